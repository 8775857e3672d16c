"""The student that keeps the mean of the rows that were stated at a context."""

from __future__ import annotations

import numpy as np

from kt_theory.ngrams.back_off import BackOff
from kt_theory.ngrams.counts import Contexts, Pairs, lengthened
from kt_theory.ngrams.smoothing import backed_off
from kt_theory.sequences.positions import Positions

MOST_CELLS = 2**24
"""The rows that are learnt from are cut to so many labels together."""


def mean_rows(positions: Positions, learnt: np.ndarray) -> BackOff:
    """Return q(a|c) = the mean of the stated p(a) over the positions at context c; what they do not
    state is shared by the other labels as it is after the shorter context.

    Of each row the most probable labels are used, as many as together fill 2^24 cells, but at
    least 8.

    Parameters
    ----------
    positions : Positions
    learnt : (N,) bool
        The positions that it learns from.
    """
    labels = positions.labels
    contexts, number = [Contexts.empty(labels)], np.zeros(int(learnt.sum()), dtype=np.int64)
    for back in range(1, positions.context + 1):
        longer, number = lengthened(contexts[-1], number, positions.histories[learnt, -back])
        contexts.append(longer)
    visits = np.bincount(number, weights=np.ones(len(number)))
    keys, sums = _sums(positions, learnt, number)
    kept: list[tuple[Pairs, np.ndarray]] = []
    for level in reversed(contexts):
        start = np.searchsorted(keys, np.arange(len(level) + 1) * level.symbols)
        pairs = Pairs(level, start, keys % level.symbols, sums)
        owner = pairs.owner
        kept.append((pairs, sums / visits[owner]))
        if len(kept) < len(contexts):
            parent = level.parent
            keys, sums = _added(parent[owner] * level.symbols + pairs.label, sums)
            visits = np.bincount(parent, weights=visits)
    return backed_off(kept[::-1], labels)


def _sums(
    positions: Positions, learnt: np.ndarray, number: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return context * (A + 1) + label, ascending, and the sum of what is stated of each."""
    widest = max(8, MOST_CELLS // len(number))
    symbols = positions.labels + 1
    keys, values, at = [], [], 0
    for place, block in positions.blocks():
        chosen = np.flatnonzero(learnt[place])
        rows = positions.stated(block, chosen, widest)
        contexts = number[at : at + len(chosen), None]
        at += len(chosen)
        there = rows.p > 0
        keys.append((contexts * symbols + rows.label)[there])
        values.append(rows.p[there])
    return _added(np.concatenate(keys), np.concatenate(values))


def _added(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    return ordered[first], np.add.reduceat(values[order], first)
