"""Rows of logarithms as a dump lists them: what is wrong with them, what they sum to, what they say
of the token that follows.

Vectors of entries at a time, with an exponential of our own: the same bits on every processor.
Legend: a block has m rows of k entries, one after the other; x a logarithm.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types
from numpy import int64, uint8, uint64

from kt_theory.kernels.layout import LANES
from kt_theory.kernels.options import LEAF
from kt_theory.kernels.row_sums import over_entries
from kt_theory.kernels.vectors import REAL, Lanes, entries, intrinsic, loop_over_reals

MISSING = -1
"""Stands for the label where a row lists fewer than k."""

NO_NUMBER, NO_LABEL, OUTSIDE, TWICE, UNSORTED = (1 << bit for bit in range(5))
"""What can be wrong with a listed row: a label with NaN or +inf, a value without a label, a label
beyond the last, one that is there twice; and that it does not descend."""

_STAMP = uint64(0x9E3779B97F4A7C15)
_HALF = uint64(32)


@njit(**LEAF)
def look_at_listed(values, labels, k, following, most, table, sums, stated, faults):
    """Look at the rows of `values` and `labels`, (m k,): NaN in `values` becomes -inf.

    Writes of each row the sum of its exponentials, the value of `following` if it lists that, and
    what is wrong with it. Labels are below `most`; `table` has zeros, twice as many as k or more, a
    power of two.
    """
    mask = int64(len(table) - 1)
    for j in range(len(following)):
        wrong, followed = uint8(0), following[j]
        row = uint64(j + 1) << _HALF
        for i in range(j * k, j * k + k):
            label = labels[i]
            if label == MISSING:
                if values[i] > -math.inf:
                    wrong |= uint8(NO_LABEL)
                values[i] = -math.inf
                continue
            if label < 0 or label >= most:
                wrong |= uint8(OUTSIDE)
            if label == followed:
                stated[j] = values[i]
            mark = row | (uint64(label) & uint64(0xFFFFFFFF))
            slot = int64((mark * _STAMP) >> _HALF) & mask
            while table[slot] >> _HALF == row >> _HALF and table[slot] != mark:
                slot = (slot + 1) & mask
            if table[slot] == mark:
                wrong |= uint8(TWICE)
            table[slot] = mark
        x = values[j * k : j * k + k]
        sums[j], no_numbers = _listed(x, k)
        if no_numbers > 0.0:
            wrong |= uint8(NO_NUMBER)
        if _rises(x[1:], x, k - 1) > 0.0:
            wrong |= uint8(UNSORTED)
        faults[j] = wrong


@over_entries(reads=1, sums=2)
def _listed(x):
    """Sum e^x, and count what is NaN or +inf."""
    return [x.exp(), 1.0 - x.counted(x < math.inf)]


@over_entries(reads=2, sums=1)
def _rises(x, before):
    """Count the entries that are above the one before."""
    return [x.counted(x > before)]


@njit(**LEAF)
def look_at_whole(values, labels, following, normalised, sums, stated):
    """Look at rows of all labels, `values` (m labels,), and make logarithms of probabilities of
    them in place unless they are `normalised`.

    Writes of each row the sum of its exponentials, over that of its largest entry if it is not
    normalised, and the value of `following`; sums are NaN where an entry is NaN or +inf.
    """
    for j in range(len(following)):
        at = j * labels
        row = values[at : at + labels]
        shift = 0.0
        if normalised:
            sums[j] = _exponentials(row, labels, 0.0)
        else:
            top = _largest(values, at, labels)
            sums[j] = _exponentials(row, labels, top)
            shift = top + math.log(sums[j])
            for i in range(at, at + labels):
                values[i] -= shift
        if following[j] >= 0:
            stated[j] = values[at + following[j]]


@over_entries(reads=1, sums=1)
def _exponentials(x, shift):
    """Sum e^(x - shift)."""
    return [(x - shift).exp()]


@intrinsic
def _largest(typing, rows, at, size):
    """Return the largest of rows[at : at + size] that is a number."""

    def codegen(context, builder, signature, args):
        address = builder.gep(entries(context, builder, signature.args[0], args[0]), [args[1]])
        lanes = Lanes(builder, LANES)
        least = lanes.constant(REAL, -math.inf)

        def larger(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        def body(wanted, x, top):
            return [larger(x if wanted is None else builder.select(wanted, x, least), top)]

        (top,) = loop_over_reals(lanes, args[2], [address], [least], body)
        return lanes.fold(top, larger)

    return types.float64(rows, types.int64, types.int64), codegen


def empty_table(k: int) -> np.ndarray:
    """Return a table for `look_at_listed`."""
    return np.zeros(1 << (2 * k).bit_length(), dtype=np.uint64)
