"""The picture of a limit: the minimax risk over n."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.axes import given_axes, label_axes, new_axes, readable, spread_over
from kt_theory.figures.curves import Curve, draw_curves, handle_of, reach
from kt_theory.figures.legend import beside
from kt_theory.figures.looks import Look

if TYPE_CHECKING:
    from kt_theory.limits.limit import Limit

_WIDTH, _HEIGHT = 6.4, 4.2
_CALLED = {"tv": "risk, TV", "acceptance": "acceptance"}
_BOUNDED = ("tv", "acceptance", "js", "hellinger2")


def draw_limits(here: Limit, limits: Sequence[Limit], ax: Any = None) -> Any:
    """Draw a limit at several n and return the axes.

    Parameters
    ----------
    here : Limit
        The one that a dot marks.
    limits : sequence of Limit
        In the order of n.
    ax : matplotlib Axes, optional
    """
    log = here.loss != "acceptance"
    n, lower, upper = np.array([(one.n, one.lower, one.upper) for one in limits], dtype=float).T
    colour, marker = figures.ACCESS_STYLE.get(here.access, ("#555555", "o"))
    exact = all(one.exact for one in limits)
    words = "minimax risk" if exact else "minimax risk: within the band"
    curve = Curve(words, Look(colour, marker), n, upper, lower, upper)
    with figures.style():
        if ax is None:
            axes = new_axes(1, _WIDTH, _HEIGHT)[1][0]
            figures.title(axes, f"{here.access}: S = {here.inputs:,}, A = {here.labels:,}")
        else:
            axes = given_axes(ax, 1, "a limit")[0]
        axes.set_yscale("log" if log else "linear")
        label_axes(axes, "n", f"minimax {_CALLED.get(here.loss, f'risk, {here.loss}')}")
        spread_over(axes, n)
        ends = reach([curve], log, 1.0 if here.loss in _BOUNDED else np.inf)
        axes.set_ylim(ends)
        if log:
            readable(axes.yaxis, *ends)
        arrows = draw_curves(axes, [curve], log=log)
        inside = n[0] <= here.n <= n[-1] and np.isfinite(here.upper)
        if inside and (here.upper > 0 or not log):
            dot = {"color": colour, "markersize": 9, "markerfacecolor": "none", "zorder": 4}
            axes.plot([here.n], [here.upper], "o", **dot)
        beside([axes], [] if exact and not arrows else [handle_of(curve), *arrows])
        return axes
