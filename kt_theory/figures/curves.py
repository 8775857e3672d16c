"""Risks with their intervals on logarithmic axes: zeros at the floor, infinite ones at the top."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.figures.house import legend_line
from kt_theory.figures.looks import Look

_STEP = 6.0
"""Points between arrows at one n, which would hide each other."""
_WIDEST = 26.0
"""Points that the arrows at one n take together at most."""
_TENTH = 0.1
_LINE = 1.4
NO_LOSS = "0: no loss was seen; bar: its interval"
INFINITE = "the risk is infinite"


@dataclass(frozen=True, eq=False)
class Curve:
    """Values over x, with the intervals that hold them.

    Attributes
    ----------
    label : str
        What legends call it.
    look : Look
    x, mean, low, high : (points,) float64 arrays
        In the order of x. NaN where there is no value or no interval; inf is drawn as an arrow.
    """

    label: str
    look: Look
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def drawn(self, log: bool) -> np.ndarray:
        """Return where the line goes."""
        return np.isfinite(self.mean) & ((self.mean > 0.0) | (not log))

    def ends(self, log: bool) -> np.ndarray:
        """Return the values that axes must reach: means and ends of intervals, unsorted."""
        there = self.drawn(log)
        # An interval down to nearly nothing would push everything else together at the top.
        near = there & (self.low > _TENTH * self.mean)
        zero = (self.mean == 0.0) & log
        values = [self.mean[there], self.low[near], self.high[there | zero]]
        found = np.concatenate(values)
        return found[np.isfinite(found) & ((found > 0.0) | (not log))]


def draw_curves(axes: Any, curves: Iterable[Curve], *, log: bool = True) -> list[Any]:
    """Draw curves with their intervals and return what a legend is to say of the arrows.

    A band is the interval along a line, a bar that of a point without neighbours. On a logarithmic
    axis a mean of 0 is an arrow at the floor whose bar ends at `high`; an infinite one is an arrow
    at the top.

    Parameters
    ----------
    axes : matplotlib Axes
    curves : iterable of Curve
    log : bool
        Whether the axis of the values is logarithmic.
    """
    every = list(curves)
    for curve in every:
        _line(axes, curve, log)
    handles = []
    for pointer, marker, words in (("floor", "v", NO_LOSS), ("top", "^", INFINITE)):
        if _arrows(axes, every, pointer, log):
            style = {"color": "#555555", "linestyle": "none", "markersize": 6}
            handles.append(legend_line(words, marker=marker, **style))
    return handles


def reach(
    curves: Sequence[Curve], log: bool = True, largest: float = np.inf
) -> tuple[float, float]:
    """Return the ends of an axis that shows curves and their intervals.

    Parameters
    ----------
    curves : sequence of Curve
    log : bool
    largest : float
        No value exceeds it.
    """
    ends = np.concatenate([curve.ends(log) for curve in curves])
    if not log:
        top = float(ends.max(initial=0.0))
        return 0.0, 1.05 * (largest if largest < np.inf else top or 1.0)
    if not len(ends):
        return 1e-3, 1.0
    low, high = float(ends.min()), float(ends.max())
    zeros = any((curve.mean == 0.0).any() for curve in curves)
    bottom = low / (3.0 if zeros else 1.4)
    return bottom, min(max(1.4 * high, 3.0 * bottom), max(1.2 * largest, 2.0 * bottom))


def handle_of(curve: Curve) -> Any:
    """Return the entry of a curve in a legend."""
    look = curve.look
    style = {"color": look.colour, "marker": look.marker, "markersize": 4, "linewidth": _LINE}
    return legend_line(curve.label, linestyle=look.line, **style)


def _line(axes: Any, curve: Curve, log: bool) -> None:
    there, look = curve.drawn(log), curve.look
    style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
    style |= {"markersize": 4, "linewidth": _LINE, "label": curve.label, "zorder": 3}
    axes.plot(curve.x, np.where(there, curve.mean, np.nan), **style)
    held = there & np.isfinite(curve.low) & np.isfinite(curve.high)
    low, high = (np.where(held, end, np.nan) for end in (curve.low, curve.high))
    shade = {"color": look.colour, "linewidth": 0, "alpha": 0.25, "zorder": 2}
    axes.fill_between(curve.x, low, high, **shade)
    alone = held & ~_beside(held)
    bars = {"color": look.colour, "linewidth": 1.2, "zorder": 2.5, "alpha": 0.7}
    if alone.any():
        axes.vlines(curve.x[alone], low[alone], high[alone], **bars)


def _beside(there: np.ndarray) -> np.ndarray:
    """Return which entries have a neighbour."""
    padded = np.concatenate([[False], there, [False]])
    return padded[:-2] | padded[2:]


def _arrows(axes: Any, curves: Sequence[Curve], pointer: str, log: bool) -> bool:
    """Draw the arrows at one end of the axis and return whether there are any."""
    at: dict[float, list[tuple[Curve, int]]] = defaultdict(list)
    for curve in curves:
        ends = curve.mean == (0.0 if pointer == "floor" else np.inf)
        if pointer == "top" or log:
            for place in np.flatnonzero(ends).tolist():
                at[float(curve.x[place])].append((curve, place))
    for here in at.values():
        step = min(_STEP, _WIDEST / len(here))
        for rank, (curve, place) in enumerate(here):
            _arrow(axes, curve, place, pointer, step * (rank - 0.5 * (len(here) - 1)))
    return bool(at)


def _arrow(axes: Any, curve: Curve, place: int, pointer: str, aside: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    moved = ScaledTranslation(aside / 72.0, 0.0, axes.figure.dpi_scale_trans)
    x, high, colour = curve.x[place], curve.high[place], curve.look.colour
    marker, height = ("v", 0.0) if pointer == "floor" else ("^", 1.0)
    arrow = {"marker": marker, "markersize": 7, "linestyle": "none", "clip_on": False}
    arrow |= {"color": colour, "zorder": 4, "gid": f"{pointer} {curve.label}"}
    axes.plot([x], [height], transform=axes.get_xaxis_transform() + moved, **arrow)
    if pointer == "floor" and np.isfinite(high) and high > 0.0:
        bar = {"color": colour, "linewidth": 1.2, "alpha": 0.7, "zorder": 2.5}
        bar["gid"] = f"interval {curve.label}"
        axes.plot([x, x], [curve.low[place], high], transform=axes.transData + moved, **bar)
