"""Streams of rows as they are listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kt_theory.dumps.block import Listed


def after_first(start: int, pieces: Iterable[Listed]) -> Iterator[Listed]:
    """Yield pieces without the first `start` rows."""
    for piece in pieces:
        if start and start >= len(piece):
            start -= len(piece)
            continue
        yield piece.taken(slice(start, None)) if start else piece
        start = 0


def filled(pieces: Iterable[Listed]) -> Iterator[Listed]:
    """Yield pieces that have rows; what an empty one skipped is counted with the one before it, or
    after it. Where none has rows, one without is yielded if something was skipped.
    """
    held: Listed | None = None
    for piece in pieces:
        if held is None:
            held = piece
        elif not len(piece):
            held = _with_skipped(held, piece)
        elif not len(held):
            held = _with_skipped(piece, held)
        else:
            yield held
            held = piece
    if held is not None and (len(held) or held.skipped):
        yield held


def _with_skipped(piece: Listed, other: Listed) -> Listed:
    skipped = dict(piece.skipped)
    for why, count in other.skipped.items():
        skipped[why] = skipped.get(why, 0) + count
    return replace(piece, skipped=skipped)
