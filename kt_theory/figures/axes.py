"""Axes to draw on, those given or new ones, and numbers that can be read on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kt_theory.figures.house import canvas
from kt_theory.validation import shown

_COLUMNS = 3
_MOST = 36
_TALL = 2.5
"""Inches of a figure below which labels are small."""
_DECADES = 2.0
"""A range shorter than this has too few powers of ten to be read by them."""
_FEWEST_TICKS, _MOST_TICKS = 3, 5


def new_axes(
    panels: int, width: float, height: float, *, known: bool = True
) -> tuple[Any, list[Any]]:
    """Return (figure, axes): a new figure with a panel for each.

    Parameters
    ----------
    panels : int
    width, height : float
        Of one panel, in inches.
    known : bool
        Whether pyplot knows of it, so that notebooks show it; files are written without.
    """
    columns = min(panels, _COLUMNS)
    rows = math.ceil(panels / columns)
    if known:
        from matplotlib import pyplot

        size = (width * columns, height * rows)
        figure, grid = pyplot.subplots(
            rows, columns, squeeze=False, figsize=size, layout="constrained"
        )
    else:
        figure, grid = canvas(rows, columns, width * columns, height)
    every = list(grid.flat)
    for spare in every[panels:]:
        spare.remove()
    return figure, every[:panels]


def given_axes(ax: Any, panels: int, of: str) -> list[Any]:
    """Return the axes that a caller gave, as many as there are panels.

    Parameters
    ----------
    ax : matplotlib Axes, or an array of them
    panels : int
    of : str
        What has a panel each.
    """
    from matplotlib.axes import Axes

    every = list(np.ravel(np.asarray(ax, dtype=object)))
    for one in every:
        if not isinstance(one, Axes):
            rule = "must be a matplotlib Axes, or an array of them; omit it for a new figure"
            raise ValueError(f"ax = {shown(ax)}: {rule}")
    if len(every) < panels:
        few = "1 axes" if len(every) == 1 else f"{len(every)} axes"
        raise ValueError(
            f"ax holds {few}: {of} needs {panels}; omit ax, or plt.subplots(1, {panels})"
        )
    return every[:panels]


def refuse_many(panels: int, of: str) -> None:
    """Raise an error where nobody could look at so many panels."""
    if panels > _MOST:
        raise ValueError(
            f"{of} has {panels} values: {_MOST} panels at most; keep fewer rows of the table"
        )


def label_axes(axes: Any, x: str, y: str) -> None:
    """Put labels on axes, smaller ones on a small figure."""
    small = axes.figure.get_figheight() < _TALL
    axes.set_xlabel(x, fontsize=7.5 if small else 9.0)
    axes.set_ylabel(y, fontsize=7.5 if small else 9.0)


def readable(axis: Any, low: float, high: float) -> None:
    """Put numbers on a logarithmic axis: powers of ten, or a few plain ones where it is short."""
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogFormatterSciNotation,
        LogLocator,
        NullFormatter,
        NullLocator,
    )

    if not 0.0 < low < high:
        return
    if math.log10(high / low) >= _DECADES:
        axis.set_major_locator(LogLocator())
        axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=True))
        axis.set_minor_formatter(NullFormatter())
        return
    axis.set_major_locator(FixedLocator(_round_numbers(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain))


def spread_over(axes: Any, values: np.ndarray) -> None:
    """Make the horizontal axis logarithmic, a little wider than values above 0."""
    low, high = float(values.min()), float(values.max())
    wider = max((high / low) ** 0.06, 1.15) if low < high else 2.5
    axes.set_xscale("log")
    axes.set_xlim(low / wider, high * wider)
    readable(axes.xaxis, low / wider, high * wider)


def _round_numbers(low: float, high: float) -> list[float]:
    """Return 2 to 5 numbers of few digits in a range."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [d * 10.0**e for e in exponents for d in digits if low <= d * 10.0**e <= high]
        if len(found) >= _FEWEST_TICKS:
            return _spread(found) if len(found) > _MOST_TICKS else found
    step = 10.0 ** math.floor(math.log10((high - low) / 2.0))
    found = [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return _spread(found) if len(found) > _MOST_TICKS else found


def _spread(numbers: list[float]) -> list[float]:
    places = np.linspace(0, len(numbers) - 1, _MOST_TICKS).round().astype(int)
    return [numbers[place] for place in places]


def _plain(value: float, _: Any = None) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
