"""The figures and the table of Zhao and Zhu (2023), regenerated: what to run, and how to draw it.

The paper prints S, A and the range of n of Figure 1 (a) and S, A of (b); every other size is a
choice of this package and stands in the captions.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures, machine, teachers
from kt_theory.limits import paper as bounds
from kt_theory.output import refuse_unwritable, write_table
from kt_theory.rates import PowerLawWarning, fit_rate
from kt_theory.students import STUDENTS
from kt_theory.study import BAND, bound_columns, bound_lines, risk_curves
from kt_theory.sweep import Spec, run
from kt_theory.sweep.results import measured
from kt_theory.teacher import Teacher
from kt_theory.validation import true_or_false, unknown_name

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: a family of teachers, its size and the numbers of samples.

    `student` attains the rate that the panel shows; its slope is fitted from `fit_from` on, and
    `published` is the slope that the paper prints.
    """

    name: str
    family: str
    inputs: int
    labels: int
    n: tuple[int, ...]
    student: str | None = None
    fit_from: int = 0
    published: float | None = None

    def title(self, what: str) -> str:
        """Return the panel's title: its letter in the figure, what it shows, its sizes."""
        return f"({self.name[-1]}) {what}: S = {self.inputs}, A = {self.labels}"

    def teacher(self, n: int) -> Teacher:
        """Return the teacher at n; Instance 0 stays where it is, the others move with n."""
        build: Callable[..., Teacher] = getattr(teachers, self.family)
        sizes = (self.inputs, self.labels)
        return build(*sizes) if self.family == "instance0" else build(*sizes, n)


_FITTED: dict[str, tuple[str, int, float | None]] = {
    "2a": ("ce_sgl", 1000, -0.532),
    "2b": ("ce_sgl", 0, -0.525),
    "2c": ("sel_ptl", 1000, -1.004),
    "2d": ("sel_ptl", 0, -0.998),
    "2e": ("ce_ful", 1000, None),
    "2f": ("ce_ful", 0, -0.977),
}
"""Panels of Figure 2: the student whose slope shows the rate, from which n, the paper's slope."""


def specification(figure: str) -> Spec:
    """Return the sweep behind "figure1" or "figure2": a teacher per panel, named after it."""
    return Spec.read(Path(__file__).parent / f"{figure}.toml")


def _panels(figure: str) -> tuple[Panel, ...]:
    panels = []
    for each in specification(figure).axes:
        inputs, labels = each.values["inputs"][0], each.values["labels"][0]
        place = each.name, each.family, inputs, labels, each.values["n"]
        panels.append(Panel(*place, *_FITTED.get(each.name, ())))
    return tuple(panels)


FIGURE_1, FIGURE_2 = _panels("figure1"), _panels("figure2")
_KINDS = (".png", ".svg")
PARTS = ("figure1", "figure2", "table1")
RATE = {"ce_sgl": -0.5, "sel_ptl": -1.0, "ce_ful": -1.0}
"""The exponent of n in the minimax rate of each student's level (Theorems 3.1 to 5.2)."""
CLOSE = 0.05
"""A slope this close to the exponent of the theory confirms it."""
_RATES = {"hard": "sqrt(SA/n)", "partial": "SA/n", "soft": "S/n"}
_CLASS_NOTE = (
    "* The paper's bounds in mean hold for the worst teacher of the class, not for this teacher."
)


def reproduce(
    out: Path,
    *,
    only: tuple[str, ...] = PARTS,
    repeats: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> list[Path]:
    """Regenerate the paper's figures and table into the folder `out` and return the files written.

    Each figure is a sweep, kept in a hidden folder of `out` until its pictures are written: after
    an interrupt the same call goes on where the last one stopped.

    Parameters
    ----------
    out : Path
        Made if it is not there.
    only : tuple of {"figure1", "figure2", "table1"}
    repeats : int, optional
        Transfer sets per point; the paper's 100 for Figure 1 and 64,000 for Figure 2 if omitted.
    seed : int
    progress : bool
        Show a bar on a terminal, a line now and then elsewhere.

    Raises
    ------
    ValueError
        A part that does not exist, or bad repeats or seed.
    OSError
        `out` cannot be written; nothing has been computed then.
    """
    true_or_false(progress, "progress")
    for part in only:
        if part not in PARTS:
            raise unknown_name("part", part, PARTS)
    wanted = {}
    if "figure1" in only or "table1" in only:
        wanted["figure1"] = FIGURE_1 if "figure1" in only else FIGURE_1[:1]
    if "figure2" in only or "table1" in only:
        wanted["figure2"] = FIGURE_2
    specs = [_asked(name, panels, repeats, seed) for name, panels in wanted.items()]
    out.mkdir(parents=True, exist_ok=True)
    refuse_unwritable(out / f"{part}{suffix}" for part in only for suffix in (".csv", *_KINDS))
    with machine.alone(out / ".lock"):  # the first to end would take all away
        frames = {spec.name: _risks(spec, out / f".{spec.name}", progress) for spec in specs}
        written = _draw(frames, only, out)
        for spec in specs:
            shutil.rmtree(out / f".{spec.name}", ignore_errors=True)
    return written


def _draw(frames: dict[str, pd.DataFrame], only: tuple[str, ...], out: Path) -> list[Path]:
    written: list[Path] = []
    with figures.style():
        if "figure1" in only:
            written += _write(out / "figure1", frames["figure1"], _draw_figure_1(frames["figure1"]))
        if "figure2" in only:
            written += _write(out / "figure2", frames["figure2"], _draw_figure_2(frames["figure2"]))
        if "table1" in only:
            table = table_1(frames["figure2"], frames["figure1"])
            written += _write(out / "table1", table, _draw_table_1(table))
    return written


def table_1(moving: pd.DataFrame, fixed: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 with measurements: theory, measured slope, the paper's slope, verdict.

    Parameters
    ----------
    moving : DataFrame
        The risks of Figure 2.
    fixed : DataFrame
        The risks of Figure 1 (a), for the student without a rate.
    """
    import pandas as pd

    rows = []
    for panel in FIGURE_2:
        assert panel.student is not None
        fit = _fit(moving[moving["panel"] == panel.name], panel)
        theory = RATE[panel.student]
        access = STUDENTS[panel.student].access.name
        near = abs(fit["slope"] - theory) <= CLOSE
        verdict = f"{'rate confirmed:' if near else 'not'} within {CLOSE} of {theory:g}"
        if not fit["power_law"]:
            verdict += f"; the local slope changes by {fit['slope_change']:+.2f} over the range"
        rows.append(
            _setting(panel, panel.student, access, _RATES[access])
            | {
                "n_min": int(fit["n_min"]),
                "n_max": int(fit["n_max"]),
                "theory": theory,
                "measured": fit["slope"],
                "low": fit["slope_low"],
                "high": fit["slope_high"],
                "paper": np.nan if panel.published is None else panel.published,
                "verdict": verdict,
            }
        )
    rows.append(_bias_row(fixed))
    return pd.DataFrame(rows)


def _setting(panel: Panel, student: str, access: str, rate: str) -> dict[str, Any]:
    """The columns of Table 1 that say what a row is about."""
    return {
        "access": access,
        "rate": rate,
        "student": student,
        "panel": panel.name,
        "teacher": panel.family,
        "inputs": panel.inputs,
        "labels": panel.labels,
    }


def _bias_row(fixed: pd.DataFrame) -> dict[str, Any]:
    """The row of CE_ptl: its risk at the largest n of Figure 1 (a) against Lemma 4.2's limit."""
    panel = FIGURE_1[0]
    limit = bounds.ce_ptl_limit(panel.teacher(0))
    last = fixed[(fixed["panel"] == panel.name) & (fixed["student"] == "ce_ptl")].iloc[-1]
    risk, band = last["mean"], BAND * last["std_error"]
    near = "" if abs(risk - limit) <= CLOSE * limit else "not "
    return _setting(panel, "ce_ptl", "partial", "Omega(1), biased") | {
        "n_min": int(last["n"]),
        "n_max": int(last["n"]),
        "theory": limit,
        "measured": risk,
        "low": risk - band,
        "high": risk + band,
        "paper": np.nan,
        "verdict": f"risk {risk:.4f} is {near}within {CLOSE:.0%} of its limit {limit:.4f}",
    }


def _asked(figure: str, panels: tuple[Panel, ...], repeats: int | None, seed: int) -> Spec:
    """Return the sweep of some panels of a figure, with the repeats and the seed asked for."""
    document = specification(figure).document
    names = {panel.name for panel in panels}
    chosen = [teacher for teacher in document["teachers"] if teacher["name"] in names]
    given = document["repeats"] if repeats is None else repeats
    return Spec(**{**document, "teachers": chosen, "repeats": given, "seed": seed})


def _risks(spec: Spec, folder: Path, progress: bool) -> pd.DataFrame:
    """Return the risks of a figure, from a sweep in `folder`, with the paper's bounds in mean."""
    try:
        done = run(spec, folder, progress=progress)
    except KeyboardInterrupt:
        if progress:
            kept = f"{folder} keeps what was finished: the same command goes on from there"
            print(kept, file=sys.stderr)
        raise
    if done.failures:
        cell, error = done.failures[0]
        raise RuntimeError(f"{error}; kt-theory sweep replay {folder} {cell.id[:12]}")
    frame = measured(folder).rename(columns={"teacher": "panel"})
    frame.insert(2, "teacher", frame["panel"].map({each.name: each.family for each in spec.axes}))
    bound_columns(frame)
    return frame.drop(columns=["cell", "status", "error", "loss", "infinite"])


def _draw_figure_1(frame: pd.DataFrame) -> Any:
    figure, grid = figures.canvas(2, 2, height=3.1)
    titles = {
        "1a": "general case",
        "1b": "one input",
        "1c": "many labels, small n",
        "1d": "many cells, small n",
    }
    for axes, panel in zip(grid.flat, FIGURE_1, strict=True):
        rows = frame[frame["panel"] == panel.name]
        risk_curves(axes, rows[rows["mean"] > 0])
        bound_lines(axes, rows)
        limit = bounds.ce_ptl_limit(panel.teacher(0))
        axes.axhline(limit, linewidth=1.0, zorder=1, **figures.BIAS)
        axes.set(xlabel="n", ylabel="risk, E TV", xlim=(0, None), ylim=(0, 0.8))
        figures.title(axes, panel.title(titles[panel.name]))
    caption = (
        f"Figure 1. Instance 0, teacher fixed in n; mean of {frame['repeats'].iloc[0]:,} transfer "
        "sets, bands of two standard errors. S and A of (a) and (b) and the range of n of (a) are "
        f"the paper's; it does not print the other sizes, which are chosen here. {_CLASS_NOTE}"
    )
    line = figures.legend_line("limit of CE_ptl", linewidth=1, **figures.BIAS)
    figures.legend_and_caption(figure, grid[0, 0], caption, bounds=True, extra=(line,))
    return figure


def _draw_figure_2(frame: pd.DataFrame) -> Any:
    figure, grid = figures.canvas(3, 2, height=3.2)
    for axes, panel in zip(grid.flat, FIGURE_2, strict=True):
        rows = frame[frame["panel"] == panel.name]
        risk_curves(axes, rows[rows["mean"] > 0])
        bound_lines(axes, rows)
        shown = rows[rows["student"] == panel.student]
        floor = np.nanmin([shown["mean"].min(), shown["lower_bound"].min()])
        axes.set(xlabel="n", ylabel="risk, E TV", xscale="log", yscale="log", ylim=(floor / 3, 1.2))
        figures.title(axes, panel.title(f"Instance {panel.family[-1]}"), _slope_note(rows, panel))
    caption = (
        "Figure 2. Instances 1 to 3, teachers that move with n; mean of "
        f"{frame['repeats'].iloc[0]:,} transfer sets, bands of two standard errors; the axes end "
        "below the panel's minimax student, points further down are cut off (with one input "
        "CE_ful has no risk at all, in (b) and (d)). The paper does not print S, A and n: they "
        f"are chosen here. {_CLASS_NOTE}"
    )
    figures.legend_and_caption(figure, grid[0, 0], caption, bounds=True)
    return figure


def _fit(rows: pd.DataFrame, panel: Panel) -> pd.Series:
    """Return the fitted rate of the panel's student; a bend is said in words beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PowerLawWarning)
        curve = rows[rows["student"] == panel.student]
        return fit_rate(curve, by="student", n_min=panel.fit_from).iloc[0]


def _slope_note(rows: pd.DataFrame, panel: Panel) -> str:
    fit = _fit(rows, panel)
    label = figures.STUDENT_STYLE[str(panel.student)][2].split(" ")[0]
    where = f" for n ≥ {panel.fit_from}" if panel.fit_from else ""
    half = (fit["slope_high"] - fit["slope_low"]) / 2
    paper = f", paper {panel.published:.3f}" if panel.published is not None else ""
    return f"slope of {label}{where}: here {fit['slope']:.3f} ± {half:.4f}{paper}"


def _draw_table_1(table: pd.DataFrame) -> Any:
    slopes = table[table["student"] != "ce_ptl"].iloc[::-1].reset_index(drop=True)
    figure, grid = figures.canvas(1, 1, width=11, height=4.0)
    axes = grid[0, 0]
    place = np.arange(len(slopes))
    line: dict[str, Any] = {"color": "#444444", "linewidth": 2, "label": "theory"}
    axes.vlines(slopes["theory"], place - 0.3, place + 0.3, zorder=1, **line)
    here = slopes["measured"]
    half = [here - slopes["low"], slopes["high"] - here]
    dot = {"fmt": "o", "color": "#0072B2", "label": "measured here, 95 % interval"}
    axes.errorbar(here, place, xerr=half, capsize=3, zorder=2, **dot)
    diamond = {"marker": "D", "facecolors": "none", "edgecolors": "#D55E00", "label": "paper"}
    axes.scatter(slopes["paper"], place, zorder=3, **diamond)
    names = [
        f"{row.access} labels, {row.rate}\n{row.student}, Instance {row.teacher[-1]}, "
        f"S={row.inputs}, A={row.labels}"
        for row in slopes.itertuples()
    ]
    axes.set_yticks(place, names)
    axes.set(xlabel="slope of log risk on log n", xlim=(-1.15, -0.4))
    axes.set(ylim=(-0.6, len(slopes) - 0.4))
    beside = {"transform": axes.get_yaxis_transform(), "fontsize": 7.5, "va": "center"}
    for at, row in zip(place, slopes.itertuples(), strict=True):
        numbers = f"{row.measured:.3f} [{row.low:.3f}, {row.high:.3f}]\n{row.verdict.split(';')[0]}"
        axes.text(1.01, at, numbers, **beside)
    bias = table[table["student"] == "ce_ptl"].iloc[0]
    where = f"Instance 0, S = {bias.inputs}, A = {bias.labels}, n = {bias.n_max}"
    caption = f"CE_ptl has no rate: on {where}, its {bias.verdict}."
    figures.legend_and_caption(figure, axes, caption, bounds=False)
    return figure


def _write(stem: Path, frame: pd.DataFrame, figure: Any) -> list[Path]:
    return [
        write_table(frame, stem.with_suffix(".csv")),
        *(figures.write(figure, stem.with_suffix(s)) for s in _KINDS),
    ]
