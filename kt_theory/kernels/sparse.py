"""The same losses from the cells that were hit alone, for n far below S A: cost O(n), whatever S
and A.

In a visited row, with sigma = sum_a p (1 up to rounding) and sums over its seen labels only, CE_sgl
= 1/2 [sum |c / k - p| + sigma - sum p], CE_ptl = 1/2 [sum p |c / Z - 1| + sigma - sum p], and
SEL_ptl = 1/2 [sum over all labels of |t - p|, less sum |t - p|], t = M / U. The sum over all labels
comes from the row's values in ascending order and their prefix sums: A - 2 i values above t less i
below, found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numpy import uint64

from kt_theory.kernels.layout import LANES
from kt_theory.kernels.options import BARE, INLINE
from kt_theory.kernels.vectors import REAL, Lanes, entries, intrinsic, loop_over_reals


class Groups(NamedTuple):
    """Scratch to sort the cells hit by row: their rows, the cells in order, the rows hit, sizes
    (S,) and ends (S,).

    counts, pi: those of the cells of one row side by side, for SIMD.
    """

    row_of: np.ndarray
    cells: np.ndarray
    rows: np.ndarray
    size: np.ndarray
    end: np.ndarray
    counts: np.ndarray
    pi: np.ndarray


def new_groups(touched: int, inputs: int) -> Groups:
    """Return scratch for as many cells as `touched` has room for."""
    return Groups(
        np.zeros(touched, dtype=uint64),
        np.zeros(touched, dtype=uint64),
        np.zeros(touched, dtype=uint64),
        np.zeros(inputs, dtype=uint64),
        np.zeros(inputs, dtype=uint64),
        np.zeros(touched),
        np.zeros(touched),
    )


def sparse_losses(scratch, table, four):
    """Write the losses of the four students into `four`, (4,), for `learn`."""
    counts, touched, found = scratch.counts, scratch.touched, scratch.found[0]
    groups = scratch.groups
    seen_counts, seen_pi = groups.counts, groups.pi
    layout = table.layout
    if layout.inputs == 1 and found > 0:
        start, stop = uint64(0), uint64(found)
        row = np.int64(0)
        sgl, ptl, sel = _row(counts, touched, start, stop, table, row, seen_counts, seen_pi)
        weight = table.rho[0]
        four[0], four[1], four[2], four[3] = weight * sgl, weight * ptl, weight * sel, 0.0
        return
    rows = _sort_by_row(touched, found, uint64(layout.labels), groups)
    four[:] = 0.0
    four[3] = table.unvisited
    for r in range(rows):
        s = groups.rows[uint64(r)]
        stop = groups.end[s]
        start = stop - groups.size[s]
        row = np.int64(s)
        sgl, ptl, sel = _row(counts, groups.cells, start, stop, table, row, seen_counts, seen_pi)
        groups.size[s] = 0
        four[0] += table.rho[s] * sgl
        four[1] += table.rho[s] * ptl
        four[2] += table.rho[s] * sel
        four[3] -= table.rho[s] * table.fallback[s]
    four[3] = max(four[3], 0.0)
    four[0] += four[3]
    four[1] += four[3]
    four[2] += four[3]


@njit(**INLINE)
def _sort_by_row(touched, found, labels, groups):
    """Sort the cells hit by row, in the order in which rows were first hit; return the number of
    rows.
    """
    row_of, cells, rows = groups.row_of, groups.cells, groups.rows
    size, end = groups.size, groups.end
    number = uint64(0)
    for i in range(found):
        s = touched[uint64(i)] // labels
        row_of[uint64(i)] = s
        rows[number] = s
        number += uint64(size[s] == 0)
        size[s] += uint64(1)
    start = uint64(0)
    for r in range(number):
        s = rows[uint64(r)]
        end[s] = start
        start += size[s]
    for i in range(found):
        s = row_of[uint64(i)]
        cells[end[s]] = touched[uint64(i)]
        end[s] += uint64(1)
    return np.int64(number)


@njit(**INLINE)
def _row(counts, cells, start, stop, table, s, seen_counts, seen_pi):
    """Return the three losses of row s, whose seen labels are cells[start:stop]."""
    pi, seen, labels = table.pi, stop - start, table.layout.labels
    for i in range(seen):
        cell = cells[start + uint64(i)]
        seen_counts[uint64(i)] = np.float64(counts[cell])
        seen_pi[uint64(i)] = pi[cell]
    visits, weight, mass = _seen_sums(seen_counts, seen_pi, seen)
    first = uint64(s) * uint64(labels)
    hidden = max(table.mass[s] - mass, 0.0)
    unseen = labels - np.int64(seen)
    share = hidden / max(unseen, 1)
    sgl, ptl, sel = _seen_distances(seen_counts, seen_pi, seen, 1.0 / visits, 1.0 / weight, share)
    smaller = np.int64(_below(table.ascending, first, uint64(labels), share))
    rest = table.below[first + uint64(smaller)] if smaller < labels else table.mass[s]
    everywhere = table.mass[s] - 2.0 * rest - share * (labels - 2 * smaller)
    equal = 0.5 * max(everywhere - sel, 0.0) if unseen > 0 else 0.0
    return 0.5 * (sgl + hidden), 0.5 * (ptl + hidden), equal


@intrinsic
def _seen_sums(typing, counts, pi, seen):
    """Return (sum c, sum c p, sum p) over the first `seen` entries."""

    def codegen(context, builder, signature, args):
        def body(lanes, wanted, c, p, visits, weight, mass):
            return [builder.fadd(visits, c), lanes.fused(c, p, weight), builder.fadd(mass, p)]

        return _over_seen(context, builder, signature, args, body)

    return _THREE(counts, pi, types.uint64), codegen


@intrinsic
def _seen_distances(typing, counts, pi, seen, per_visit, per_weight, share):
    """Return (sum |c per_visit - p|, sum p |c per_weight - 1|, sum |share - p|) over the first
    `seen` entries.
    """

    def codegen(context, builder, signature, args):
        def body(lanes, wanted, c, p, sgl, ptl, sel):
            per_visit, per_weight, share = (lanes.spread(value) for value in args[3:])
            zero, one = lanes.constant(REAL, 0.0), lanes.constant(REAL, 1.0)
            lacking = builder.fsub(share, p)
            if wanted is not None:
                lacking = builder.select(wanted, lacking, zero)
            return [
                builder.fadd(sgl, lanes.size(lanes.fused(c, per_visit, lanes.minus(p)))),
                lanes.fused(p, lanes.size(lanes.fused(c, per_weight, lanes.minus(one))), ptl),
                builder.fadd(sel, lanes.size(lacking)),
            ]

        return _over_seen(context, builder, signature, args, body)

    real = types.float64
    return _THREE(counts, pi, types.uint64, real, real, real), codegen


_THREE = types.UniTuple(types.float64, 3)


def _over_seen(
    context: Any, builder: Any, signature: Any, args: Any, body: Callable[..., list[Any]]
) -> Any:
    """Write three sums over the first args[2] entries of two arrays."""
    counts, pi = (entries(context, builder, signature.args[k], args[k]) for k in (0, 1))
    lanes = Lanes(builder, LANES)
    start = [lanes.constant(REAL, 0.0)] * 3

    def turn(wanted: Any, *values: Any) -> list[Any]:
        return body(lanes, wanted, *values)

    found = loop_over_reals(lanes, args[2], [counts, pi], start, turn)
    return context.make_tuple(builder, _THREE, [lanes.total(vector) for vector in found])


@njit(**BARE)
def _below(ascending, first, labels, share):
    """Return how many of the row's values in ascending order are at most `share`, by bisection
    without branches.
    """
    at, left, one = uint64(0), labels, uint64(1)
    while left > one:
        half = left >> one
        at += half if ascending[first + at + half - one] <= share else uint64(0)
        left -= half
    return at + uint64(ascending[first + at] <= share)
