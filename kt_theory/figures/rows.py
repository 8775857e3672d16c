"""A table of distributions as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kt_theory.figures import house
from kt_theory.figures.axes import given_axes, label_axes, new_axes

_WIDTH, _HEIGHT = 6.4, 4.2
_NAMED = 25
"""Rows or columns up to which each has its name."""
_LONGEST = 18
_WRITTEN = (26.0, 11.0)
"""Points that a cell needs in width and height to hold its number."""


def draw_rows(
    table: np.ndarray,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    words: tuple[str, str, str],
    ax: Any = None,
) -> Any:
    """Draw a table of probabilities and return the axes.

    Parameters
    ----------
    table : (rows, columns) array
    rows, columns : sequence of str, or None
        Their names; numbers if None.
    words : (str, str, str)
        Title, and what rows and columns are.
    ax : matplotlib Axes, optional
    """
    with house.style():
        if ax is None:
            axes = new_axes(1, _WIDTH, _HEIGHT)[1][0]
        else:
            axes = given_axes(ax, 1, "a teacher")[0]
        shown = {"cmap": "viridis", "vmin": 0.0, "vmax": max(float(table.max()), 1e-12)}
        image = axes.imshow(table, aspect="auto", interpolation="nearest", **shown)
        title, of_rows, of_columns = words
        label_axes(axes, of_columns, of_rows)
        if ax is None:
            house.title(axes, title)
        _named(axes.yaxis, rows, len(table), 0.0)
        longest = max(map(len, columns), default=0) if columns else 0
        _named(axes.xaxis, columns, table.shape[1], 90.0 if longest > 2 else 0.0)
        bar = axes.figure.colorbar(image, ax=axes, label="π(a|s)", pad=0.02)
        bar.outline.set_visible(False)
        _numbers(axes, table)
        return axes


def _named(axis: Any, names: Sequence[str] | None, many: int, rotation: float) -> None:
    from matplotlib.ticker import MaxNLocator

    if names is None or many > _NAMED:
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        return
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    axis.set_ticks(np.arange(many), short, rotation=rotation, parse_math=False)


def _numbers(axes: Any, table: np.ndarray) -> None:
    """Write the probabilities into the cells where there is room for all of them."""
    box = axes.get_window_extent()
    points = 72.0 / axes.figure.dpi
    room = (points * box.width / table.shape[1], points * box.height / len(table))
    if room[0] < _WRITTEN[0] or room[1] < _WRITTEN[1]:
        return
    middle = 0.5 * float(table.max())
    for (row, column), value in np.ndenumerate(table):
        colour = "black" if value > middle else "white"
        small = {"fontsize": 7, "color": colour, "ha": "center", "va": "center"}
        axes.text(column, row, f"{value:.2g}", **small)
