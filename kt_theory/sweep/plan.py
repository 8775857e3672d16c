"""What of a cell is still to be run: pure functions of the blocks that are stored and of what the
sweep asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from kt_theory.kernels.statistics import infinite, moments
from kt_theory.sweep.spec import Spec

FIRST_LOOK = 1024
"""Repeats after which a standard error is first looked at; then at 1.5, 2, 3, 4, 6, 8 ... times as
many.
"""

BLOCK_SECONDS = 0.5
"""About how long one block takes."""


class Stored(NamedTuple):
    """A stored block: repeats first .. first + repeats - 1, with the sums over their losses."""

    first: int
    repeats: int
    sums: Any


def disjoint(blocks: Iterable[Any]) -> list[Any]:
    """Return blocks of which no two share a repeat, in order; what two processes ran twice counts
    once.
    """
    kept, end = [], 0
    for block in sorted(blocks, key=lambda b: (b.first, -b.repeats)):
        if block.first >= end:
            kept.append(block)
            end = block.first + block.repeats
    return kept


def prefix(blocks: Sequence[Any]) -> list[Any]:
    """Return the disjoint blocks from repeat 0 up to the first gap."""
    kept, end = [], 0
    for block in blocks:
        if block.first != end:
            break
        kept.append(block)
        end += block.repeats
    return kept


def missing(spec: Spec, blocks: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the stretches (first, repeats) that a cell needs next, given its disjoint blocks; none
    when it is done.
    """
    return gaps(blocks, spec.repeats if spec.repeats is not None else _next_look(spec, blocks))


def gaps(blocks: Sequence[Any], goal: int) -> list[tuple[int, int]]:
    """Return the stretches (first, repeats) of 0 .. goal - 1 that no block covers."""
    found, end = [], 0
    for block in [*blocks, Stored(goal, 0, ())]:
        start = min(block.first, goal)
        if start > end:
            found.append((end, start - end))
        end = max(end, block.first + block.repeats)
    return found


def cut(stretch: tuple[int, int], block: int) -> list[tuple[int, int]]:
    """Return a stretch cut at the multiples of `block`."""
    first, end = stretch[0], stretch[0] + stretch[1]
    edges = [first, *range((first // block + 1) * block, end, block), end]
    return [(a, b - a) for a, b in pairwise(edges)]


def block_size(seconds: float) -> int:
    """Return the repeats of one block, a power of two, for a cell whose repeat takes so many
    seconds.
    """
    size = 256
    while size < 2**20 and 2 * size * seconds <= BLOCK_SECONDS:
        size *= 2
    return size


def _settled(sums: list[int], repeats: int, target_se: float) -> bool:
    """Return whether a risk is known: to its target, or to be infinite."""
    return infinite(sums) > 0 or moments(sums, repeats)[1] <= target_se


def _next_look(spec: Spec, blocks: Sequence[Any]) -> int:
    """Return how many repeats the cell needs before its standard error is judged again, or has
    where it is done.

    The looks do not depend on the target, so that a sharper one goes on where the last one stopped.
    A look that is no border between blocks has been passed before, when it did not suffice.
    """
    assert spec.target_se is not None
    assert spec.max_repeats is not None
    ends: dict[int, list[int]] = {}
    total, end = [0] * len(blocks[0].sums) if blocks else [], 0
    for block in prefix(blocks):
        end += block.repeats
        total = [a + int(b) for a, b in zip(total, block.sums, strict=True)]
        ends[end] = total
    look, step = FIRST_LOOK, 0
    while True:
        look = min(look, spec.max_repeats)
        if look > end or look == spec.max_repeats:
            return look
        if look in ends and _settled(ends[look], look, spec.target_se):
            return look
        step += 1
        look = FIRST_LOOK * 2 ** (step // 2) * (3 if step % 2 else 2) // 2
