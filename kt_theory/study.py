"""One teacher, many n: the risks of students beside the paper's bounds, as a table and as a
picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.limits import paper as bounds
from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    import pandas as pd


def bound_columns(frame: pd.DataFrame) -> None:
    """Add the paper's bounds in mean, NaN where no theorem applies: lower_bound and upper_bound.

    No student of this access level does better than the one on every teacher of this size; this
    student does no worse than the other on any.

    Parameters
    ----------
    frame : DataFrame
        With columns access, student, inputs, labels, n.
    """
    for column, key, theorem_of in (
        ("lower_bound", "access", bounds.lower_of),
        ("upper_bound", "student", bounds.upper_of),
    ):
        values = np.full(len(frame), np.nan)
        for place, rows in frame.groupby([key, "inputs", "labels"]).indices.items():
            name, inputs, labels = place
            theorem = theorem_of(name)
            if theorem is not None and min(inputs, labels) >= 1:
                n = frame["n"].to_numpy()[rows]
                values[rows] = bounds.curve(theorem, int(inputs), int(labels), n)
        frame[column] = values


def draw_risks(frame: pd.DataFrame, teacher: Teacher, title: str) -> Any:
    """Return a log-log picture of a table of risks, with the limit of CE_ptl if it is among
    the students."""
    from matplotlib.lines import Line2D

    rows = frame[frame["n"] > 0]
    positive = rows["mean"][rows["mean"] > 0]
    if positive.empty:
        raise ValueError(
            "nothing to draw on logarithmic axes: every risk or every n is 0; leave the plot out"
        )
    floor = positive.min() / 3
    figure, grid = figures.canvas(1, 1, width=7.5, height=5.0)
    axes = grid[0, 0]
    figures.risk_curves(axes, rows, floor=floor)
    figures.bound_lines(axes, rows)
    axes.set(
        xlabel="n",
        ylabel="risk, E TV",
        xscale="log",
        yscale="log",
        ylim=(floor, 1.2),
    )
    figures.title(axes, title)
    extra = []
    if "ce_ptl" in set(rows["student"]):
        style: dict[str, Any] = {
            "color": figures.STUDENT_STYLE["ce_ptl"][0],
            "linestyle": "-.",
            "linewidth": 1.0,
        }
        axes.axhline(bounds.ce_ptl_limit(teacher), zorder=1, **style)
        extra.append(Line2D([], [], label="limit of CE_ptl", **style))
    caption = (
        f"S = {teacher.inputs}, A = {teacher.labels}; mean of {rows['repeats'].iloc[0]:,} transfer "
        "sets, bands of two standard errors. * The paper's bounds in mean hold for the worst "
        "teacher of this size, not for this teacher."
    )
    if (none := rows[rows["mean"] == 0]).size:
        caption += (
            " Arrows at the floor: no loss was seen, the risk is at most "
            f"{none['high'].max():.2g} at 95 % confidence."
        )
    figures.legend_and_caption(figure, axes, caption, bounds=True, extra=tuple(extra))
    return figure
