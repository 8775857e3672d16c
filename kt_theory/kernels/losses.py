"""Losses TV(q, pi | rho) of the paper's four students together, straight from the counts of all
cells.

With c = n_sa, p = pi(a|s), k = sum_a c, Z = sum_a c p, U and M the number and the mass of the
unseen labels, a visited row costs CE_sgl 1/2 sum |c / k - p|, CE_ptl 1/2 sum p |c / Z - 1|, SEL_ptl
1/2 sum_unseen |M / U - p| and CE_ful 0; an unvisited row costs all four its precomputed TV(Uniform,
pi_s). So no student's table is ever written: one pass for the four sums, one for the three
distances, 0.2 to 0.8 ns per cell. The loops are short and apart from each other, with unsigned
indices into flat arrays and without branches, because that is what LLVM turns into SIMD;
reassociation is allowed (nothing here is NaN). They agree with the generic path on the same counts
to 1e-12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.layout import LANES
from kt_theory.kernels.options import INLINE, SIMD

CE_SGL, CE_PTL, SEL_PTL, CE_FUL, GENERIC = 0, 1, 2, 3, 4

_PARTS = [uint64(k * LANES) for k in range(8)]
_VISITS, _WEIGHT, _UNSEEN, _HIDDEN, _SGL, _PTL, _SEL, _KNOWN = _PARTS
_TINY = 1e-300


class Table(NamedTuple):
    """The teacher as the kernels see it, its cells in the order of layout.py with the first `woven`
    rows woven.

    pi, ranks (cells,): probabilities, and the rank of each label in its row; rho, fallback (S,):
    fallback = TV(Uniform, pi_s); ascending, below (cells,): rows of pi in ascending order and the
    sums of the entries before each, for the sparse path alone; mass (S,): the sum of each row.
    """

    inputs: int
    labels: int
    woven: int
    pi: np.ndarray
    rho: np.ndarray
    fallback: np.ndarray
    ranks: np.ndarray
    ascending: np.ndarray
    below: np.ndarray
    mass: np.ndarray


@njit(**INLINE)
def paper_losses(counts, table, lanes, four):
    """Write the losses of the four students into `four`, (4,); `lanes`, (8 LANES,), is scratch."""
    four[:] = 0.0
    _woven_rows(counts, table, lanes, four)
    _plain_rows(counts, table, four)
    for j in range(3):
        four[j] = 0.5 * four[j] + four[3]


@njit(**INLINE)
def _plain_rows(counts, table, four):
    pi, rho, labels = table.pi, table.rho, uint64(table.labels)
    for s in range(table.woven, table.inputs):
        first = uint64(s) * labels
        visits, weight, unseen, hidden = row_sums(counts, pi, first, labels)
        if visits == 0:
            four[3] += rho[s] * table.fallback[s]
        else:
            share, once, per_weight = hidden / max(unseen, 1), 1.0 / visits, 1.0 / weight
            sgl, ptl, sel = _row_distances(counts, pi, first, labels, once, per_weight, share)
            four[0] += rho[s] * sgl
            four[1] += rho[s] * ptl
            four[2] += rho[s] * sel


@njit(**SIMD)
def row_sums(counts, pi, first, labels):
    """Return k, Z, U and M of the row whose cells start at `first`."""
    visits, weight, unseen, hidden = 0, 0.0, 0, 0.0
    for a in range(labels):
        c, p = counts[first + uint64(a)], pi[first + uint64(a)]
        visits += c
        weight += np.float64(c) * p
        unseen += c == 0
        hidden += p if c == 0 else 0.0
    return visits, weight, unseen, hidden


@njit(**SIMD)
def _row_distances(counts, pi, first, labels, per_visit, per_weight, share):
    sgl, ptl, sel = 0.0, 0.0, 0.0
    for a in range(labels):
        c, p = np.float64(counts[first + uint64(a)]), pi[first + uint64(a)]
        sgl += abs(c * per_visit - p)
        ptl += p * abs(c * per_weight - 1.0)
        sel += abs(share - p) if c == 0.0 else 0.0
    return sgl, ptl, sel


@njit(**INLINE)
def _woven_rows(counts, table, lanes, four):
    """LANES rows at a time: entry i of each part of `lanes` belongs to row i of the group."""
    pi, rho, fallback = table.pi, table.rho, table.fallback
    for group in range(table.woven // LANES):
        for i in range(8 * LANES):
            lanes[uint64(i)] = 0.0
        row = uint64(group * LANES)
        first = uint64(group * LANES * table.labels)
        _lane_sums(counts, pi, first, table.labels, lanes)
        _lane_inverses(rho, row, lanes)
        _lane_distances(counts, pi, first, table.labels, lanes)
        _across_lanes(rho, fallback, row, lanes, four)


@njit(**SIMD)
def _lane_sums(counts, pi, first, labels, lanes):
    for a in range(labels):
        at = first + uint64(a * LANES)
        for lane in range(LANES):
            i = uint64(lane)
            c, p = np.float64(counts[at + i]), pi[at + i]
            lanes[_VISITS + i] += c
            lanes[_WEIGHT + i] += c * p
            lanes[_UNSEEN + i] += 1.0 if c == 0.0 else 0.0
            lanes[_HIDDEN + i] += p if c == 0.0 else 0.0


@njit(**SIMD)
def _lane_inverses(rho, row, lanes):
    """Turn the sums into 1 / k, 1 / Z and M / U, and U into rho of a visited row, 0 of another."""
    for lane in range(LANES):
        i = uint64(lane)
        lanes[_HIDDEN + i] = lanes[_HIDDEN + i] / max(lanes[_UNSEEN + i], 1.0)
        lanes[_KNOWN + i] = rho[row + i] if lanes[_VISITS + i] > 0.0 else 0.0
        lanes[_VISITS + i] = 1.0 / max(lanes[_VISITS + i], 1.0)
        lanes[_WEIGHT + i] = 1.0 / max(lanes[_WEIGHT + i], _TINY)


@njit(**SIMD)
def _lane_distances(counts, pi, first, labels, lanes):
    for a in range(labels):
        at = first + uint64(a * LANES)
        for lane in range(LANES):
            i = uint64(lane)
            c, p = np.float64(counts[at + i]), pi[at + i]
            lanes[_SGL + i] += abs(c * lanes[_VISITS + i] - p)
            lanes[_PTL + i] += p * abs(c * lanes[_WEIGHT + i] - 1.0)
            lanes[_SEL + i] += abs(lanes[_HIDDEN + i] - p) if c == 0.0 else 0.0


@njit(**SIMD)
def _across_lanes(rho, fallback, row, lanes, four):
    sgl, ptl, sel, ful = 0.0, 0.0, 0.0, 0.0
    for lane in range(LANES):
        i = uint64(lane)
        known = lanes[_KNOWN + i]
        sgl += known * lanes[_SGL + i]
        ptl += known * lanes[_PTL + i]
        sel += known * lanes[_SEL + i]
        ful += (rho[row + i] - known) * fallback[row + i]
    four[0] += sgl
    four[1] += ptl
    four[2] += sel
    four[3] += ful
