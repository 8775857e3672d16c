"""What each access level takes, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.axes import given_axes, label_axes, new_axes, readable
from kt_theory.figures.legend import beside
from kt_theory.planner.figure import bars_of, numbers_of, styles_of, why_absent

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("access", "n", "lower", "certificate", "reason")
_WIDTH, _HEIGHT, _LINE = 6.4, 1.5, 0.34
_GREY = "#555555"


def plan(frame: pd.DataFrame, *, ax: Any = None) -> Any:
    """Draw a plan: a line for each access level, with the queries it takes, or what they cost.

    A point is a number of queries that suffices, and a bar reaches down to the number below which
    no student succeeds; of a plan from answers the bar is the 90 % interval of what this teacher
    takes. The name of the cheapest level is bold; a level without a number says why.

    Parameters
    ----------
    frame : DataFrame
        From `kt.plan`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure if omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the table is no plan, or no level has a number above 0.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import kt_theory as kt
    >>> ax = kt.plot.plan(kt.plan(inputs=10, labels=8, tv=0.1))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['hard', 'partial', 'top_k(1)', 'top_k(5)', 'soft']
    """
    _refuse_other(frame)
    column = "cost" if "cost" in frame else "n"
    at = numbers_of(frame, column)
    left, right = bars_of(frame, column, at)
    ends = np.concatenate([at, left, right])
    positive = ends[np.isfinite(ends) & (ends > 0)]
    if not len(positive):
        raise ValueError(f"nothing to draw: no level has a {column} above 0; ask for a smaller tv")
    with figures.style():
        if ax is None:
            axes = new_axes(1, _WIDTH, _HEIGHT + _LINE * len(frame))[1][0]
        else:
            axes = given_axes(ax, 1, "a plan")[0]
        low, high = 0.6 * float(positive.min()), 1.7 * float(positive.max())
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        readable(axes.xaxis, low, high)
        label_axes(axes, "cost" if column == "cost" else "queries", "")
        _levels(axes, frame)
        spans = np.column_stack([np.where(left > 0, left, low), right])
        for place, (colour, marker) in enumerate(styles_of(list(frame["access"])).values()):
            _level(axes, place, (colour, marker), at[place], spans[place])
            if not (at[place] > 0 or right[place] > 0):
                _absent(axes, place, why_absent(frame.iloc[[place]]))
        beside([axes], _entries(frame))
        _fit_names(axes, len(frame))
        return axes


def _refuse_other(frame: Any) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"frame is a {type(frame).__name__}: must be what kt.plan(...) returns")
    for name in _NEEDED:
        if name not in frame:
            raise ValueError(f"frame has no column {name!r}: must be what kt.plan(...) returns")
    if frame.empty or frame["access"].duplicated().any():
        raise ValueError("frame has no levels, or one twice: must be what kt.plan(...) returns")


def _levels(axes: Any, frame: pd.DataFrame) -> None:
    axes.set_yticks(np.arange(len(frame)), list(frame["access"]))
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    if "cheapest" in frame:
        for label, cheapest in zip(axes.get_yticklabels(), frame["cheapest"], strict=True):
            label.set_fontweight("bold" if cheapest else "normal")


def _fit_names(axes: Any, many: int) -> None:
    """Make the names of levels small enough to stand below each other."""
    axes.figure.draw_without_rendering()
    points = 72.0 * axes.get_window_extent().height / axes.figure.dpi
    axes.tick_params(axis="y", labelsize=min(9.0, max(3.0, points / (1.4 * many))))


def _level(axes: Any, place: int, style: tuple[str, str], at: float, span: np.ndarray) -> None:
    colour, marker = style
    if np.isfinite(span).all():
        axes.hlines(place, *span, color=colour, linewidth=5, alpha=0.3, zorder=1.5)
    if at > 0:
        axes.plot([at], [place], marker, color=colour, markersize=7, zorder=3)


def _absent(axes: Any, place: int, why: str) -> None:
    small = {"fontsize": 8, "color": _GREY, "va": "center", "style": "italic"}
    axes.text(0.02, place, why, transform=axes.get_yaxis_transform(), **small)


def _entries(frame: pd.DataFrame) -> list[Any]:
    bar = "no student succeeds with fewer than its left end"
    if "low" in frame:
        bar = "90 % interval of what this teacher takes"
    return [
        figures.legend_line("suffices", color=_GREY, marker="o", linestyle="none"),
        figures.legend_line(bar, color=_GREY, linewidth=5, alpha=0.3),
    ]
