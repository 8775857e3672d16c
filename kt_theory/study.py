"""One teacher, many n: the risks of students beside the paper's bounds, as a table and as a
picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.limits import paper as bounds
from kt_theory.losses import LOSSES
from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    import pandas as pd


_NOTHING = (
    "nothing to draw on logarithmic axes: every risk is 0 or infinite, or every n is 0; leave the "
    "plot out"
)


def bound_columns(frame: pd.DataFrame) -> None:
    """Add the paper's bounds in mean, NaN where no theorem applies: lower_bound and upper_bound.

    No student of this access level does better than the one on every teacher of this size; this
    student does no worse than the other on any.

    Parameters
    ----------
    frame : DataFrame
        With columns access, student, inputs, labels, n, and loss where it is not tv throughout.
    """
    for column, key, theorem_of in (
        ("lower_bound", "access", bounds.lower_of),
        ("upper_bound", "student", bounds.upper_of),
    ):
        values = np.full(len(frame), np.nan)
        of_tv = frame["loss"].to_numpy() == "tv" if "loss" in frame else np.full(len(frame), True)
        for place, rows in frame.groupby([key, "inputs", "labels"]).indices.items():
            name, inputs, labels = place
            theorem = theorem_of(name)
            if theorem is not None and min(inputs, labels) >= 1:
                n = frame["n"].to_numpy()[rows]
                values[rows] = bounds.curve(theorem, int(inputs), int(labels), n)
        frame[column] = np.where(of_tv, values, np.nan)


def draw_risks(frame: pd.DataFrame, teacher: Teacher, title: str) -> Any:
    """Return a log-log picture of a table of risks, a panel for each loss, with the limit of CE_ptl
    if it is among the students.
    """
    rows = frame[frame["n"] > 0]
    if rows.empty:
        raise ValueError(_NOTHING)
    names = list(rows["loss"].drop_duplicates())
    drawn = {name: rows[rows["loss"] == name] for name in names}
    figure, grid = figures.canvas(1, len(names), width=7.5 + 3.5 * (len(names) - 1), height=5.0)
    extra: list[Any] = []
    for axes, (name, curves) in zip(grid[0], drawn.items(), strict=True):
        extra += _draw_panel(axes, curves, teacher)
        figures.title(axes, title if len(names) == 1 else f"{name} = {LOSSES[name].formula}")
    caption = (
        f"S = {teacher.inputs}, A = {teacher.labels}; mean of {rows['repeats'].iloc[0]:,} transfer "
        "sets, bands of two standard errors."
    )
    if len(names) > 1:
        caption = f"{title}: {caption}"
    if bounds_hold := "tv" in names:
        caption += (
            " * The paper's bounds in mean hold for the worst teacher of this size, not for this "
            "teacher."
        )
    if (none := rows[rows["mean"] == 0]).size:
        caption += (
            " Arrows at the floor: no loss was seen, the risk is at most "
            f"{none['high'].max():.2g} at 95 % confidence."
        )
    if (rows["mean"] == np.inf).any():
        caption += " Arrows at the top: infinite losses were seen, the risk is infinite."
    figures.legend_and_caption(figure, grid[0, 0], caption, bounds=bounds_hold, extra=tuple(extra))
    return figure


def _draw_panel(axes: Any, rows: pd.DataFrame, teacher: Teacher) -> list[Any]:
    """Draw the risks of one loss; return what the legend is to show besides the curves."""
    from matplotlib.lines import Line2D

    loss = rows["loss"].iloc[0]
    positive = rows["mean"][(rows["mean"] > 0) & (rows["mean"] < np.inf)]
    if positive.empty:
        raise ValueError(_NOTHING)
    floor = positive.min() / 3
    top = 1.2 if LOSSES[loss].largest <= 1.0 else max(1.2, 2.0 * positive.max())
    axes.set(xlabel="n", xscale="log", yscale="log", ylim=(floor, top))
    if loss == "acceptance":
        axes.set(yscale="linear", ylim=(0.0, 1.05))
    axes.set_ylabel(f"risk, E {loss.upper()}" if loss == "tv" else f"risk, E {loss}")
    figures.risk_curves(axes, rows, floor=floor)
    if loss != "tv":
        return []
    figures.bound_lines(axes, rows)
    if "ce_ptl" not in set(rows["student"]):
        return []
    style: dict[str, Any] = {
        "color": figures.STUDENT_STYLE["ce_ptl"][0],
        "linestyle": "-.",
        "linewidth": 1.0,
    }
    axes.axhline(bounds.ce_ptl_limit(teacher), zorder=1, **style)
    return [Line2D([], [], label="limit of CE_ptl", **style)]
