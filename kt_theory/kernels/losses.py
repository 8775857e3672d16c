"""Losses TV(q, pi | rho) of the paper's four students together, straight from the counts of all cells.

With c = n_sa, p = pi(a|s), k = sum_a c, Z = sum_a c p, U and M the number and the mass of the unseen labels, a visited
row costs CE_sgl 1/2 sum |c / k - p|, CE_ptl 1/2 sum p |c / Z - 1|, SEL_ptl 1/2 sum_unseen |M / U - p| and CE_ful 0; an
unvisited row costs all four its precomputed TV(Uniform, pi_s). So no student's table is ever written: one pass for the
four sums, one for the three distances, 0.2 to 0.8 ns per cell. The loops are short and apart from each other, with
unsigned indices into flat arrays and without branches, because that is what LLVM turns into SIMD; reassociation is
allowed (nothing here is NaN). They agree with the generic path on the same counts to 1e-12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.layout import LANES
from kt_theory.kernels.options import LEAF, SIMD

CE_SGL, CE_PTL, SEL_PTL, CE_FUL, GENERIC = 0, 1, 2, 3, 4

_LANES = np.uint64(LANES)
_TINY = 1e-300


class Table(NamedTuple):
    """The teacher as the kernels see it, its cells in the order of layout.py with `width` rows interleaved.

    pi, ranks (cells,): probabilities, and the rank of each label in its row; rho, fallback (padded inputs,):
    fallback = TV(Uniform, pi_s); ascending, below (cells,): rows of pi in ascending order and the sums of the entries
    before each, for the sparse path alone; mass (S,): the sum of each row.
    """

    inputs: int
    labels: int
    width: int
    pi: np.ndarray
    rho: np.ndarray
    fallback: np.ndarray
    ranks: np.ndarray
    ascending: np.ndarray
    below: np.ndarray
    mass: np.ndarray


@njit(**LEAF)
def paper_losses(counts, table, lanes, four):
    """Write the losses of the four students into `four`, (4,); `lanes` is scratch, (9, LANES)."""
    if table.width == 1:
        _by_rows(counts, table, four)
    else:
        _by_lanes(counts, table, lanes, four)


@njit(**LEAF)
def _by_rows(counts, table, four):
    labels = np.uint64(table.labels)
    sgl, ptl, sel, ful = 0.0, 0.0, 0.0, 0.0
    for s in range(table.inputs):
        first = np.uint64(s) * labels
        visits, weight, unseen, hidden = _row_sums(counts, table.pi, first, labels)
        if visits == 0:
            ful += table.rho[s] * table.fallback[s]
        else:
            share = hidden / max(unseen, 1)
            x, y, z = _row_distances(counts, table.pi, first, labels, 1.0 / visits, 1.0 / weight, share)
            sgl += table.rho[s] * x
            ptl += table.rho[s] * y
            sel += table.rho[s] * z
    four[0], four[1], four[2], four[3] = 0.5 * sgl + ful, 0.5 * ptl + ful, 0.5 * sel + ful, ful


@njit(**SIMD)
def _row_sums(counts, pi, first, labels):
    visits, weight, unseen, hidden = 0, 0.0, 0, 0.0
    for a in range(labels):
        c, p = counts[first + np.uint64(a)], pi[first + np.uint64(a)]
        visits += c
        weight += np.float64(c) * p
        unseen += c == 0
        hidden += p if c == 0 else 0.0
    return visits, weight, unseen, hidden


@njit(**SIMD)
def _row_distances(counts, pi, first, labels, per_visit, per_weight, share):
    sgl, ptl, sel = 0.0, 0.0, 0.0
    for a in range(labels):
        c, p = np.float64(counts[first + np.uint64(a)]), pi[first + np.uint64(a)]
        sgl += abs(c * per_visit - p)
        ptl += p * abs(c * per_weight - 1.0)
        sel += abs(share - p) if c == 0.0 else 0.0
    return sgl, ptl, sel


@njit(**LEAF)
def _by_lanes(counts, table, lanes, four):
    """LANES rows at a time: lane i of every array belongs to row i of the group."""
    visits, weight, unseen, hidden, known = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    sgl, ptl, sel = lanes[5], lanes[6], lanes[7]
    four[:] = 0.0
    for group in range(table.rho.size // LANES):
        for i in range(8 * LANES):
            lanes[np.uint64(i) // _LANES, np.uint64(i) % _LANES] = 0.0
        row = np.uint64(group) * _LANES
        first = row * np.uint64(table.labels)
        _lane_sums(counts, table.pi, first, table.labels, visits, weight, unseen, hidden)
        _lane_inverses(table.rho, row, visits, weight, unseen, hidden, known)
        _lane_distances(counts, table.pi, first, table.labels, visits, weight, hidden, sgl, ptl, sel)
        x, y, z, ful = _across_lanes(table.rho, table.fallback, row, known, sgl, ptl, sel)
        four[0] += 0.5 * x + ful
        four[1] += 0.5 * y + ful
        four[2] += 0.5 * z + ful
        four[3] += ful


@njit(**SIMD)
def _lane_sums(counts, pi, first, labels, visits, weight, unseen, hidden):
    for a in range(labels):
        at = first + np.uint64(a) * _LANES
        for i in range(LANES):
            i = np.uint64(i)
            c, p = np.float64(counts[at + i]), pi[at + i]
            visits[i] += c
            weight[i] += c * p
            unseen[i] += 1.0 if c == 0.0 else 0.0
            hidden[i] += p if c == 0.0 else 0.0


@njit(**SIMD)
def _lane_inverses(rho, row, visits, weight, unseen, hidden, known):
    """Turn the sums into 1 / k, 1 / Z and M / U; `known` is rho of a visited row and 0 of another."""
    for i in range(LANES):
        i = np.uint64(i)
        known[i] = rho[row + i] if visits[i] > 0.0 else 0.0
        visits[i] = 1.0 / max(visits[i], 1.0)
        weight[i] = 1.0 / max(weight[i], _TINY)
        hidden[i] = hidden[i] / max(unseen[i], 1.0)


@njit(**SIMD)
def _lane_distances(counts, pi, first, labels, per_visit, per_weight, share, sgl, ptl, sel):
    for a in range(labels):
        at = first + np.uint64(a) * _LANES
        for i in range(LANES):
            i = np.uint64(i)
            c, p = np.float64(counts[at + i]), pi[at + i]
            sgl[i] += abs(c * per_visit[i] - p)
            ptl[i] += p * abs(c * per_weight[i] - 1.0)
            sel[i] += abs(share[i] - p) if c == 0.0 else 0.0


@njit(**SIMD)
def _across_lanes(rho, fallback, row, known, sgl, ptl, sel):
    x, y, z, ful = 0.0, 0.0, 0.0, 0.0
    for i in range(LANES):
        i = np.uint64(i)
        x += known[i] * sgl[i]
        y += known[i] * ptl[i]
        z += known[i] * sel[i]
        ful += (rho[row + i] - known[i]) * fallback[row + i]
    return x, y, z, ful
