"""The atlas as a page and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.atlas.laws import APART, EXPONENTS, NEWS

if TYPE_CHECKING:
    import pandas as pd

_MOVING = "instance3"
_SHARP = 0.3
"""Width of an interval of an exponent that is worth a point in the picture."""
_BLUE, _ORANGE, _GREEN = "#0072B2", "#D55E00", "#009E73"


def text(curves: pd.DataFrame, known: pd.DataFrame, repeats: int) -> str:
    """Return the page, Markdown.

    Parameters
    ----------
    curves : DataFrame
        From `kt_theory.atlas.laws.laws`.
    known : DataFrame
        From `kt_theory.atlas.coverage.coverage`.
    repeats : int
    """
    counts = curves["verdict"].value_counts()
    news = int(counts.get(NEWS, 0)) + int((~known["agrees"]).sum())
    said = "nothing disagrees." if news == 0 else f"{news} disagree: look for {NEWS}."
    lines = [
        "# Atlas: every student by name, simulated beside what theory says",
        "",
        f"{len(curves):,} curves over n, {repeats:,} transfer sets per point; {said}",
        f"{int(counts.get('exact', 0)):,} agree with the exact risk at every n, within {APART:g} "
        f"standard errors; {int(counts.get('limit', 0)):,} have no exact risk and a fitted floor "
        f"that agrees with the limit; {int(counts.get('unknown', 0)):,} have neither. "
        "`kt-theory atlas` makes this page, atlas.csv (all curves) and coverage.csv.",
        "",
        "![Simulated risks, exponents and kappas over those of theory](atlas.png)",
        "",
        "The law of a risk is floor + scale n^-exponent. Ranges are over sizes and teachers; the "
        "exponents in brackets are those of the exact risks, fitted in the same way. On teachers "
        "that stay where they are, an answer without noise is known or not, and what is not known "
        "fades faster than any power; on `instance3`, which moves with n, as 1/n.",
        "",
        "| student | needs | floor | limit | exponent, teacher fixed | exponent, `instance3` "
        "| verdicts |",
        "|---|---|---|---|---|---|---|",
    ]
    for student, rows in _by_student(curves):
        fixed, moving = rows[rows["teacher"] != _MOVING], rows[rows["teacher"] == _MOVING]
        verdicts = ", ".join(f"{k} {v}" for k, v in rows["verdict"].value_counts().items())
        cells = [
            f"`{student}`",
            rows["access"].iloc[0],
            _range(fixed["floor"]),
            _range(fixed["limit"]),
            _exponents(fixed),
            _exponents(moving),
            verdicts,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "## What n answers leave unknown",
        "",
        "At the law of the inputs that leaves most, the mass that a student does not know says "
        "what kappa is, in E[unknown mass] <= kappa/(n+1):",
        "",
        "| channel | n | kappa | as simulated | 95 % |",
        "|---|---|---|---|---|",
    ]
    for row in known.itertuples():
        mark = "" if row.agrees else f" {NEWS}"
        lines.append(
            f"| {row.channel} | {row.n:,} | {row.kappa} | {row.fitted:.2f}{mark} | "
            f"{row.fitted_low:.2f} to {row.fitted_high:.2f} |"
        )
    return "\n".join(lines) + "\n"


def draw(curves: pd.DataFrame, points: pd.DataFrame, known: pd.DataFrame) -> Any:
    """Return the picture: simulated risks, exponents and kappas over those of theory.

    Parameters
    ----------
    curves, known : DataFrame
        As for `text`.
    points : DataFrame
        The table of the sweeps.
    """
    figure, grid = figures.canvas(1, 3, width=12.0, height=4.2)
    _draw_risks(grid[0, 0], points)
    _draw_exponents(grid[0, 1], curves)
    _draw_kappas(grid[0, 2], known)
    figures.caption(
        figure,
        f"Every student by name, three sizes, four teachers: {len(curves):,} curves. Bars are 95 % "
        f"intervals; exponents whose interval is wider than {_SHARP:g} are left out, and risks of "
        "which no loss was seen. Where theory and simulation agree, points lie on the lines.",
    )
    return figure


def _draw_risks(axes: Any, points: pd.DataFrame) -> None:
    seen = points[(points["mean"] > 0) & (points["exact"] > 0)]
    low = seen[["mean", "exact"]].min().min()
    axes.plot([low, 1], [low, 1], color="#555555", linewidth=0.8, zorder=1)
    style = {"markersize": 3, "alpha": 0.35, "linestyle": "none", "markeredgewidth": 0}
    axes.plot(seen["exact"], seen["mean"], "o", color=_BLUE, **style)
    axes.set(xscale="log", yscale="log", xlabel="exact risk", ylabel="simulated risk")
    figures.title(axes, f"{len(seen):,} risks")


def _draw_exponents(axes: Any, curves: pd.DataFrame) -> None:
    sharp = _sharp(curves)
    sharp = sharp[sharp["exact_exponent"].notna()]
    fixed = sharp["teacher"] != _MOVING
    top = float(sharp[["exponent_high", "exact_exponent"]].max().max())
    low = float(sharp[["exponent_low", "exact_exponent"]].min().min())
    axes.plot([low, top], [low, top], color="#555555", linewidth=0.8, zorder=1)
    groups = ((fixed, _BLUE, "o", "teacher fixed"), (~fixed, _ORANGE, "^", _MOVING))
    for which, colour, marker, label in groups:
        rows = sharp[which]
        bars = rows["exponent"] - rows["exponent_low"], rows["exponent_high"] - rows["exponent"]
        bar = {"linewidth": 0.8, "markersize": 4, "alpha": 0.7, "label": label}
        place = rows["exact_exponent"], rows["exponent"]
        axes.errorbar(*place, yerr=np.array(bars), fmt=marker, color=colour, **bar)
    axes.set(xlabel="exponent of the exact risk", ylabel="exponent of the simulated risk")
    axes.legend(loc="upper left")
    figures.title(axes, f"{len(sharp):,} exponents")


def _draw_kappas(axes: Any, known: pd.DataFrame) -> None:
    rows = known[known["n"] == known["n"].min()]
    place = np.arange(len(rows))[::-1]
    ratio = rows["fitted"] / rows["kappa"]
    bars = np.array([rows["fitted"] - rows["fitted_low"], rows["fitted_high"] - rows["fitted"]])
    axes.axvline(1.0, color="#555555", linewidth=0.8, zorder=1)
    bar = {"fmt": "D", "color": _GREEN, "markersize": 4, "linewidth": 0.8}
    axes.errorbar(ratio, place, xerr=bars / rows["kappa"].to_numpy(), **bar)
    names = [f"{row.channel}, {row.kappa}" for row in rows.itertuples()]
    axes.set_yticks(place, names)
    axes.set(xlabel="kappa as simulated / kappa")
    figures.title(axes, f"kappa at n = {rows['n'].iloc[0]:,}")


def _by_student(curves: pd.DataFrame) -> Any:
    """Yield the curves of each student, files of one kind under one name."""
    return curves.groupby(curves["student"].str.replace(".npy", "", regex=False), sort=False)


def _sharp(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the curves whose exponent is known well, and none of the largest that are tried."""
    width = rows["exponent_high"] - rows["exponent_low"]
    return rows[(width < _SHARP) & (rows["exponent_high"] < 0.99 * EXPONENTS[-1])]


def _range(values: pd.Series) -> str:
    there = values.dropna()
    if there.empty:
        return ""
    low, high = (f"{value:.3g}" if value >= 5e-4 else "0" for value in (there.min(), there.max()))
    return low if low == high else f"{low} to {high}"


def _exponents(rows: pd.DataFrame) -> str:
    sharp = _sharp(rows)
    if sharp.empty:
        return ""
    found, exact = _range(sharp["exponent"]), _range(sharp["exact_exponent"])
    return f"{found} ({exact})" if exact else found
