"""One teacher, many n: the risks of students beside the paper's bounds, as a table and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.access import Access
from kt_theory.limits import paper as bounds
from kt_theory.simulation.run import simulate
from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    import pandas as pd

_LOWER = {"hard": "3.1", "partial": "4.1", "soft": "5.1"}
_UPPER = {"ce_sgl": "3.2-mean", "sel_ptl": "4.4-mean", "ce_ful": "5.2-mean"}


def risk_table(
    teacher: Teacher,
    students: Any,
    n: Any,
    repeats: int,
    seed: int,
    *,
    access: Access | str | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the simulated risks of students with the paper's bounds in mean beside them.

    Parameters are those of `simulate`.

    Returns
    -------
    DataFrame
        The columns of `RiskEstimate` and lower_bound, no student of this access level does better on every teacher of
        this size; upper_bound, this student does no worse on any. NaN where no theorem applies.
    """
    found = simulate(
        teacher, students, n, repeats, seed, access=access, threads=threads, progress=progress
    ).frame.copy()
    sizes = (teacher.inputs, teacher.labels)
    for column, key, theorems in (("lower_bound", "access", _LOWER), ("upper_bound", "student", _UPPER)):
        found[column] = [
            bounds.curve(theorems[name], *sizes, size)[0] if name in theorems else np.nan
            for name, size in zip(found[key], found["n"], strict=True)
        ]
    return found


def draw_risks(frame: pd.DataFrame, teacher: Teacher, title: str) -> Any:
    """Return a log-log picture of a table of `risk_table`, with the limit of CE_ptl if it is among the students."""
    from matplotlib.lines import Line2D

    rows = frame[(frame["mean"] > 0) & (frame["n"] > 0)]
    if rows.empty:
        raise ValueError("nothing to draw on logarithmic axes: every risk or every n is 0; leave the plot out")
    figure, grid = figures.canvas(1, 1, width=7.5, height=5.0)
    axes = grid[0, 0]
    figures.risk_curves(axes, rows)
    figures.bound_lines(axes, rows)
    axes.set(xlabel="n", ylabel="risk, E TV", xscale="log", yscale="log", ylim=(rows["mean"].min() / 3, 1.2))
    figures.title(axes, title)
    extra = []
    if "ce_ptl" in set(rows["student"]):
        style: dict[str, Any] = {"color": figures.STUDENT_STYLE["ce_ptl"][0], "linestyle": "-.", "linewidth": 1.0}
        axes.axhline(bounds.ce_ptl_limit(teacher), zorder=1, **style)
        extra.append(Line2D([], [], label="limit of CE_ptl", **style))
    caption = (
        f"S = {teacher.inputs}, A = {teacher.labels}; mean of {rows['repeats'].iloc[0]:,} transfer sets, bands of two "
        "standard errors. * The paper's bounds in mean hold for the worst teacher of this size, not for this teacher."
    )
    figures.legend_and_caption(figure, axes, caption, bounds=True, extra=tuple(extra))
    return figure
