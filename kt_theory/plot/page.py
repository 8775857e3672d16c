"""The picture that `kt-theory risk` writes: risks of one teacher, theory beside them, a caption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kt_theory import figures
from kt_theory.figures.tables import draw_table
from kt_theory.limits import paper as bounds
from kt_theory.losses import LOSSES
from kt_theory.plot.theory import draw_theory

if TYPE_CHECKING:
    import pandas as pd

    from kt_theory.teacher import Teacher

_BIAS: dict[str, Any] = {"linewidth": 1.0, **figures.BIAS}


def risks_page(frame: pd.DataFrame, teacher: Teacher, title: str) -> Any:
    """Return a figure of a table of risks, a panel for each loss, with the paper's bounds and the
    limit of CE_ptl, if it is among the students.
    """
    losses = list(frame["loss"].drop_duplicates())
    width = 7.5 + 3.5 * (len(losses) - 1)
    figure, grid = figures.canvas(1, len(losses), width=width, height=5.0)
    picture = draw_table(frame, ax=grid[0])
    entries = draw_theory(picture, ["paper"])
    for axes, loss in zip(picture.axes, losses, strict=True):
        figures.title(axes, title if len(losses) == 1 else f"{loss} = {LOSSES[loss].formula}")
    if "tv" in losses and "ce_ptl" in set(frame["student"]):
        picture.axes[losses.index("tv")].axhline(bounds.ce_ptl_limit(teacher), zorder=1, **_BIAS)
        entries.append(figures.legend_line("limit of ce_ptl", **_BIAS))
    picture.finish(entries)
    figures.caption(figure, _caption(frame, teacher, title, losses))
    return figure


def _caption(frame: pd.DataFrame, teacher: Teacher, title: str, losses: list[str]) -> str:
    repeats = f"{frame['repeats'].iloc[0]:,} transfer sets with 95 % intervals"
    said = f"S = {teacher.inputs}, A = {teacher.labels}; mean of {repeats}."
    if len(losses) > 1:
        said = f"{title}: {said}"
    if "tv" in losses:
        said += (
            " The paper's bounds in mean hold for the worst teacher of this size, not for this "
            "teacher."
        )
    none = frame[(frame["mean"] == 0) & (frame["n"] > 0)]
    if len(none):
        said += (
            " Arrows at the floor: no loss was seen, the risk is at most "
            f"{none['high'].max():.2g} at 95 % confidence."
        )
    return said
