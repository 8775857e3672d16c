"""Bytes per position against what is lost: a point for each policy, the frontier marked."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.axes import given_axes, new_axes
from kt_theory.kernels import policy_numbers as numbers
from kt_theory.policies.words import usual

if TYPE_CHECKING:
    from kt_theory.policies.policy import Policy
    from kt_theory.policies.table import Storage

_KINDS = {
    numbers.SOFT: ("#000000", "s", "whole rows"),
    numbers.RENORMALISED: ("#0072B2", "o", "top k, renormalised"),
    numbers.EVEN_TAIL: ("#009E73", "^", "top k, even tail"),
    numbers.TAIL_MASS: ("#E69F00", "v", "top k and the tail's mass"),
    numbers.TOP_P: ("#56B4E9", "D", "top p"),
    numbers.SAMPLED: ("#CC3377", "P", "drawn, with counts"),
    numbers.SAMPLED_STATED: ("#8C564B", "X", "drawn, with probabilities"),
}
"""Colour, marker and words of each kind: Okabe and Ito's colours, and markers that tell as much."""

_OFFSETS = (
    *((-6, -8), (7, 0), (6, 8), (-7, 0), (6, -8), (-6, 8), (0, -12), (0, 12)),
    *((-10, -20), (10, -20), (-14, -32), (14, -32), (-20, -48), (20, -48), (-24, -64), (24, -64)),
    *((-40, -80), (10, 20), (-10, 20), (14, 32)),
)
"""Where a label may stand beside its point, in points; the first that is free is taken."""

_PAD = 1.5
SIZE = (8.0, 5.2)
"""Inches of a new picture."""


def draw(result: Storage, ax: Any = None) -> Any:
    """Draw a table of policies and return the axes."""
    with figures.style():
        ax = new_axes(1, *SIZE)[1][0] if ax is None else given_axes(ax, 1, "a table of policies")[0]
        floor = _floor(result)
        _points(ax, result, floor)
        _frontier(ax, result, floor)
        _frame(ax, result, floor)
        ax.figure.draw_without_rendering()
        _labels(ax, result, floor)
        return ax


def _floor(result: Storage) -> float:
    """Return where the axis of TV ends below: a loss of 0 is drawn there."""
    frame = result.frame
    positive = np.concatenate([frame["tv_upper"], frame["tv_lower"]])
    # A bound that is nearly 0 would push all else together at the top.
    largest = max(float(frame["tv_upper"].max()), 1e-6)
    positive = positive[positive > 1e-4 * largest]
    least = float(positive.min()) if len(positive) else 1e-3
    return 10.0 ** np.floor(np.log10(0.5 * least))


def _points(ax: Any, result: Storage, floor: float) -> None:
    seen = set()
    for policy, row in zip(result.policies, result.frame.itertuples(), strict=True):
        colour, marker, words = _KINDS[policy.kept.number]
        low, high = max(row.tv_lower, floor), max(row.tv_upper, floor)
        label = "" if words in seen else words
        seen.add(words)
        ax.plot(
            [row.bytes],
            [high],
            marker,
            color=colour,
            markersize=6,
            label=label,
            zorder=3,
            fillstyle="none" if policy.values.name else "full",
            clip_on=False,
        )
        if high > low * 1.001:
            ax.plot([row.bytes] * 2, [low, high], "-_", color=colour, linewidth=1.0, zorder=2)


def _frontier(ax: Any, result: Storage, floor: float) -> None:
    frame = result.frame.set_index("policy").loc[result.frontier]
    heights = frame["tv_upper"].clip(lower=floor)
    line = {"color": "#555555", "linewidth": 1.0, "zorder": 1, "label": "best for its bytes"}
    ax.step(frame["bytes"], heights, where="post", linestyle="--", **line)


def _frame(ax: Any, result: Storage, floor: float) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    sizes = result.frame["bytes"]
    ax.set_xlim(sizes.min() / 3.0, sizes.max() * 2.5)
    ax.set_ylim(floor, 1.0)
    ax.set_xlabel("bytes per position")
    ax.set_ylabel("total variation lost, at most")
    if result.goal is not None:
        ax.axhline(result.goal, color="#555555", linewidth=0.8, linestyle=":", zorder=1)
        ax.annotate(
            f"TV {result.goal:g}",
            (1.0, result.goal),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
        )
    visits = f", {result.visits:,} visits of each context" if result.visits > 1 else ""
    size = f"{result.positions:,} position{'s' if result.positions > 1 else ''}"
    ax.set_title(f"{size}, {result.labels:,} labels{visits}", loc="left")
    if any(policy.values.name for policy in result.policies):
        hollow = {"color": "#555555", "fillstyle": "none", "label": "hollow: values rounded"}
        ax.plot([], [], "o", markersize=6, **hollow)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def _named(result: Storage) -> list[tuple[Policy, Any]]:
    """Return the policies that get a label: the frontier, and what people use most."""
    wanted = {*result.frontier, usual(result)}
    rows = zip(result.policies, result.frame.itertuples(), strict=True)
    return [(policy, row) for policy, row in rows if policy.name in wanted]


def _labels(ax: Any, result: Storage, floor: float) -> None:
    scale = ax.figure.dpi / 72.0
    frame = result.frame
    heights = np.maximum(frame["tv_upper"], floor)
    points = ax.transData.transform(np.column_stack([frame["bytes"], heights]))
    taken: list[tuple[float, ...]] = [
        (x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in points
    ]
    lower = ax.transData.transform(
        np.column_stack([frame["bytes"], frame["tv_lower"].clip(lower=floor)])
    )
    taken += [(x - 2, y, x + 2, top) for (x, y), (_, top) in zip(lower, points, strict=True)]
    taken += _steps(ax, result, floor)
    room = ax.get_window_extent()
    inside = (room.x0, room.y0 - 2 * scale, room.x1, room.y1 + 8 * scale)
    for policy, row in _named(result):
        text = f"{policy.name}: {row.tv_upper:.1g}" if row.tv_upper < floor else policy.name
        _label(ax, text, (row.bytes, max(row.tv_upper, floor)), (taken, inside))


def _steps(ax: Any, result: Storage, floor: float) -> list[tuple[float, ...]]:
    """Return the boxes of the frontier's line."""
    frame = result.frame.set_index("policy").loc[result.frontier]
    heights = frame["tv_upper"].clip(lower=floor)
    places = ax.transData.transform(np.column_stack([frame["bytes"], heights]))
    found: list[tuple[float, ...]] = []
    for (x, y), (next_x, next_y) in pairwise(places):
        found += [(x, y - 1.0, next_x, y + 1.0), (next_x - 1.0, next_y, next_x + 1.0, y)]
    return found


def _label(ax: Any, text: str, place: tuple[float, float], room: Any) -> None:
    """Write a label at the first place that is free; none if there is none."""
    from matplotlib.text import Text

    taken, inside = room
    for x, y in _OFFSETS:
        side = "center"
        if x:
            side = "left" if x > 0 else "right"
        note = ax.annotate(
            text,
            place,
            (x, y),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "#555555"}
            if abs(y) > 15
            else None,
        )
        note.set_in_layout(False)
        note.get_window_extent()  # puts the text in its place
        found = Text.get_window_extent(note)  # without the line to its point
        box = (found.x0 - _PAD, found.y0 - _PAD, found.x1 + _PAD, found.y1 + _PAD)
        if _within(box, inside) and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return
        note.remove()


def _within(box: tuple[float, ...], room: tuple[float, ...]) -> bool:
    return box[0] >= room[0] and box[1] >= room[1] and box[2] <= room[2] and box[3] <= room[3]


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    apart = one[0] > other[2] or other[0] > one[2] or one[1] > other[3] or other[1] > one[3]
    return not apart
