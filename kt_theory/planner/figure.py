"""The planner's picture: total variation against cost, or against the number of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.axes import readable
from kt_theory.planner.estimate import ESTIMATED, WEAK
from kt_theory.planner.records import PROVED
from kt_theory.planner.sizes import plans

if TYPE_CHECKING:
    import pandas as pd

FACTORS = (4.0, 0.25)
"""The picture shows what these multiples of the total variation asked for take, beside it."""

_TOP = [
    ("#E69F00", "s"),
    ("#8C564B", "P"),
    ("#56B4E9", "v"),
    ("#555555", "X"),
    ("#F0E442", "p"),
    ("#D55E00", "h"),
]
"""Colours after Okabe and Ito, which colour-blind readers can tell apart; the markers say the same
again.
"""


def plan_curves(
    frame: pd.DataFrame, inputs: Any, labels: Any, tv: float, **options: Any
) -> pd.DataFrame:
    """Return the tables of `plan` at a few total variations around `tv`, one below the other, with
    a column tv.

    Parameters are those of `plan`, and its table at `tv`; total variations of 1 or more are left
    out.
    """
    import pandas as pd

    others = [tv * factor for factor in FACTORS if tv * factor < 1.0]
    tables = [frame, *plans(others, inputs, labels, **options)]
    return pd.concat(
        [table.assign(tv=at) for table, at in zip(tables, [tv, *others], strict=True)],
        ignore_index=True,
    )


def draw_plan(curves: pd.DataFrame, text: str, tv: float) -> Any:
    """Return a log-log picture of a table of `plan_curves`: total variation against cost, without
    prices against n.

    A point is a number of queries that suffices; a bar reaches down to the number below which none
    does, or for records spans the interval of what this teacher takes, by estimate: alone where
    there is no number. Levels that can never reach it, or have no price, are named below the
    picture. The dashed line is `tv`.
    """
    from matplotlib.lines import Line2D

    column = "cost" if "cost" in curves else "n"
    at = numbers_of(curves, column)
    left, right = bars_of(curves, column, at)
    # There is no 0 on a logarithmic axis: bars from there begin at its left edge.
    ends = np.concatenate([at, left, right])
    positive = ends[np.isfinite(ends) & (ends > 0)]
    edge = 0.7 * float(positive.min(initial=np.inf))
    from_zero = (left <= 0) & (right > 0)
    left[from_zero] = edge
    shown = curves.assign(at=at, left=left, right=right)[(at > 0) | (right > 0)]
    if shown.empty:
        raise ValueError(
            f"nothing to draw on logarithmic axes: no level has a {column} above 0; leave the plot "
            "out"
        )
    figure, grid = figures.canvas(1, 1, width=7.5, height=5.0)
    axes = grid[0, 0]
    styles = styles_of(list(curves["access"].drop_duplicates()))
    axes.axhline(tv, color="#666666", linewidth=0.9, linestyle=figures.DASHED, zorder=1)
    absent = []
    for place, (name, (colour, marker)) in enumerate(styles.items()):
        rows = shown[shown["access"] == name].sort_values("at")
        if rows.empty:
            absent.append(f"{name} ({why_absent(curves[curves['access'] == name])})")
            continue
        # Markers shrink, so that of points in one place all can be seen.
        size = 11.0 - 7.0 * place / max(len(styles) - 1, 1)
        points = rows[rows["at"] > 0]
        axes.plot(
            points["at"],
            points["tv"],
            color=colour,
            marker=marker,
            markersize=size,
            linewidth=1.4,
            label=name,
        )
        axes.hlines(
            rows["tv"],
            rows["left"],
            rows["right"],
            color=colour,
            linewidth=4,
            alpha=0.3,
            zorder=1.5,
        )
    axes.set(
        xlabel="cost" if column == "cost" else "queries",
        ylabel="total variation",
        xscale="log",
        yscale="log",
    )
    wanted = np.unique(curves["tv"])
    axes.set_yticks(wanted, [f"{value:.3g}" for value in wanted])
    axes.minorticks_off()
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.06, y=0.08)
    if from_zero.any():
        axes.set_xlim(left=edge)
    readable(axes.xaxis, *axes.get_xlim())
    figures.title(axes, text)
    line = Line2D(
        [],
        [],
        color="#666666",
        linewidth=0.9,
        linestyle=figures.DASHED,
        label=f"asked for: {tv:.4g}",
    )
    note = (
        "Points: queries that suffice. Bars reach down to the number below which no student "
        "succeeds, if proved."
    )
    if "low" in curves:
        note = note_on_records(curves)
    if absent:
        note += f" Not drawn: {', '.join(absent)}."
    figures.legend_and_caption(figure, axes, note, bounds=False, extra=(line,))
    return figure


def note_on_records(curves: pd.DataFrame) -> str:
    """Return what points and bars are where records are in hand."""
    numbered = curves[curves["n"].notna()]["certificate"]
    points = []
    if numbered.str.startswith(ESTIMATED).any():
        points.append("estimated to suffice, not proved")
    if numbered.str.startswith(PROVED).any():
        points.append("proved to suffice for every teacher of these sizes")
    bars = "Bars: 90 % intervals of what this teacher takes, estimated, not proved."
    return f"Points: further queries that are {', or '.join(points)}. {bars}" if points else bars


def bars_of(curves: pd.DataFrame, column: str, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the bars: those of the interval, or what is too few and n; NaN where there
    is none.
    """
    if "low" in curves:
        names = ("cost_low", "cost_high") if column == "cost" else ("low", "high")
        return numbers_of(curves, names[0]), numbers_of(curves, names[1])
    n, lower = numbers_of(curves, "n"), numbers_of(curves, "lower")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where((lower > 0) & (n > 0), np.minimum(lower / n, 1.0), 1.0)
    return at * share, at.copy()


def numbers_of(curves: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of a plan as float64, NaN where it is missing."""
    found: np.ndarray = curves[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def styles_of(names: list[str]) -> dict[str, tuple[str, str]]:
    """Return colour and marker of each level."""
    others = [name for name in names if name not in figures.ACCESS_STYLE]
    return {
        name: figures.ACCESS_STYLE.get(name) or _TOP[others.index(name) % len(_TOP)]
        for name in names
    }


def why_absent(rows: pd.DataFrame) -> str:
    """Return in a few words why some rows of a plan have no place on a logarithmic axis."""
    if rows["n"].isna().all():
        for word in ("impossible", WEAK.rstrip(": "), "not estimated"):
            if rows["reason"].str.contains(word).all():
                return word
        return "beyond 2^53"
    if (rows["n"].fillna(1) == 0).all():
        return "no query needed"
    if "cost" in rows and rows["cost"].isna().all():
        return "no price"
    return "no query needed, or no number"
