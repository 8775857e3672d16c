"""Risk curves, and what theory says of them beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kt_theory import figures
from kt_theory.figures.tables import draw_table
from kt_theory.plot.theory import asked_theory, draw_theory

if TYPE_CHECKING:
    import pandas as pd


def risks(frame: pd.DataFrame, *, theory: Any = None, ax: Any = None) -> Any:
    """Draw risks over n, a curve for each student, with the intervals that hold them.

    Both axes are logarithmic. Bands and bars are the intervals `low` to `high`; a risk of 0 is an
    arrow at the floor whose bar ends at `high`, an infinite one an arrow at the top. The loss
    acceptance has a linear axis. Several losses have a panel each.

    Parameters
    ----------
    frame : DataFrame
        `simulate(...).frame`, or the rows of one teacher of `sweep.load`: student, n, mean, and
        low and high for the intervals.
    theory : str or sequence of str, optional
        What to draw beside the curves. "minimax": the least worst-case risk at the access level of
        each student, between proved bounds, from the columns minimax_lower and minimax_upper or
        computed (hard labels take 1.6 s for each n); "paper": the bounds of Zhao and Zhu (2023) in
        mean, of total variation; "exact": the column `exact`. The first two hold for the worst
        teacher of the size, not for the teacher of the table.
    ax : matplotlib Axes, or an array of them, optional
        Where to draw; a new figure if omitted. Losses need one each.

    Returns
    -------
    matplotlib Axes, or an array of them where the table has several losses

    Raises
    ------
    ValueError
        For an empty table, columns that are missing, two rows at one place of a curve, or theory
        where sizes differ.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import kt_theory as kt
    >>> teacher = kt.teachers.zipf(20, 5)
    >>> run = kt.simulate(teacher, ["ce_sgl", "sel_ptl"], n=[10, 100], repeats=50, progress=False)
    >>> ax = kt.plot.risks(run.frame, theory="paper")
    >>> ax.get_xscale(), ax.get_yscale()
    ('log', 'log')
    """
    wanted = asked_theory(theory)
    with figures.style():
        picture = draw_table(frame, ax=ax)
        return picture.finish(draw_theory(picture, wanted))
