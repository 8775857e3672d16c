"""Legends outside of the axes, where they cover no data, as small as the figure asks for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

_SIZES = (8.5, 7.0, 6.0, 5.0)
"""Points of the text; the first that leaves the axes room is taken."""
_ROOM = 0.55
"""Share of the axes that the legend must leave."""
_LABELS = (0.6, 0.55)
"""Inches that labels of axes and a title take in width and height."""
_WRAPPED = 42
_GAP = 0.24
"""Inches between axes and legend: arrows at the last n reach so far."""


def beside(axes: Sequence[Any], handles: Sequence[Any]) -> None:
    """Put a legend outside of the axes.

    Where a figure of constrained layout has no other axes it stands beside or above them all, as
    leaves more room; else beside the last ones. Axes of a figure without a layout shrink by as much
    as it takes.

    Parameters
    ----------
    axes : sequence of Axes
        All panels.
    handles : sequence of artists
        With labels; none for no legend.
    """
    figure = axes[0].figure
    entries = [handle for handle in handles if handle.get_label()]
    if not entries:
        return
    for handle in entries:
        handle.set_label("\n".join(textwrap.wrap(handle.get_label(), _WRAPPED)))
    if _whole(figure, axes):
        _on_figure(figure, entries)
    else:
        _on_axes(figure, axes, entries)


def _whole(figure: Any, axes: Sequence[Any]) -> bool:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    alone = set(figure.axes) == set(axes)
    return alone and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)


def _on_figure(figure: Any, handles: list[Any]) -> None:
    best, most = {"handles": handles, "loc": "outside upper center"}, 0.0
    for size in _SIZES:
        for how in _ways(len(handles)):
            options = how | {"fontsize": size, "handles": handles}
            left = _left(figure, _shares(figure, figure, options), how["loc"])
            if left > 1.03 * most:
                best, most = options, left
        if most >= _ROOM * _left(figure, (0.0, 0.0), ""):
            break
    figure.legend(**best)


def _left(figure: Any, legend: tuple[float, float], loc: str) -> float:
    """Return the square inches that a legend leaves to the inside of the axes; 0 where it has no
    room.
    """
    if max(legend) > 0.96:
        return 0.0
    taken = (legend[0], 0.0) if loc.startswith("outside right") else (0.0, legend[1])
    sides = zip(figure.get_size_inches(), taken, _LABELS, strict=True)
    width, height = (max(0.0, side * (1.0 - share) - labels) for side, share, labels in sides)
    return float(width * height)


def _ways(entries: int) -> list[dict[str, Any]]:
    above = [
        {"loc": "outside upper center", "ncols": columns}
        for columns in range(min(entries, 6), 0, -1)
    ]
    return [{"loc": "outside right upper", "ncols": 1}, *above]


def _on_axes(figure: Any, axes: Sequence[Any], handles: list[Any]) -> None:
    from matplotlib.transforms import ScaledTranslation

    last = max(axes, key=lambda one: (one.get_position().x1, one.get_position().y1))
    aside = ScaledTranslation(_GAP, 0.0, figure.dpi_scale_trans)
    place: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.0, 1.0),
        "borderaxespad": 0.0,
    }
    place["bbox_transform"] = last.transAxes + aside
    for size in _SIZES:
        options = place | {"fontsize": size, "handles": handles}
        width, height = _shares(last, figure, options)
        whole = last.get_position().width
        if width < (1.0 - _ROOM) * whole and height < 0.8:
            break
    last.legend(**options)
    if figure.get_layout_engine() is None:
        _make_room(figure, axes, width)


def _make_room(figure: Any, axes: Sequence[Any], width: float) -> None:
    """Move the right end of all axes to the left by the width of the legend."""
    taken = width + _GAP / figure.get_figwidth()
    left = min(one.get_position().x0 for one in axes)
    right = max(one.get_position().x1 for one in axes)
    factor = max(0.25, 1.0 - taken / (right - left))
    for one in axes:
        box = one.get_position()
        place = (left + factor * (box.x0 - left), box.y0, factor * box.width, box.height)
        one.set_position(place)


def _shares(holder: Any, figure: Any, options: dict[str, Any]) -> tuple[float, float]:
    """Return the width and the height of a legend, as shares of the figure."""
    trial = holder.legend(**options)
    box = trial.get_window_extent()
    trial.remove()
    whole = figure.bbox
    return box.width / whole.width, box.height / whole.height
