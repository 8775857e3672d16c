"""Losses TV(q, pi | rho) of the paper's four students straight from the counts, and of any row rule.

The closed forms skip the student's table: an unvisited row costs its precomputed TV(Uniform, pi_s), and each row is
one or two passes that LLVM turns into SIMD. Reassociation is allowed (nothing here is NaN); the generic path, where NaN
means "hidden", is compiled without it. Both agree on the same counts to 1e-12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.rules import call_rule

CE_SGL, CE_PTL, SEL_PTL, CE_FUL, GENERIC = 0, 1, 2, 3, 4

ROW_SUM_TOLERANCE = 1e-9
_SIMD = {"reassoc", "nsz", "contract"}


class Table(NamedTuple):
    """The teacher as the kernels see it: pi (S, A), rho (S,), fallback (S,) = TV(Uniform, pi_s), label ranks (S, A)."""

    pi: np.ndarray
    rho: np.ndarray
    fallback: np.ndarray
    ranks: np.ndarray


class Rules(NamedTuple):
    """Students on the generic path: rule addresses and what each may see.

    address (K,) int64; sampled (K,) bool; top (K,) int64; the inputs whose visit reveals row s of student k are
    ball[ball_start[k, s] : ball_start[k, s + 1]].
    """

    address: np.ndarray
    sampled: np.ndarray
    top: np.ndarray
    ball_start: np.ndarray
    ball: np.ndarray


@njit(cache=True, nogil=True, fastmath=_SIMD)
def row_visits(counts, visits):
    """Write n_s, the number of visits of each input."""
    for s in range(counts.shape[0]):
        total = 0.0
        for a in range(counts.shape[1]):
            total += counts[s, a]
        visits[s] = total


@njit(cache=True, nogil=True)
def paper_loss(kind, counts, visits, table):
    """Return the loss of one of the paper's four students on one transfer set."""
    total = 0.0
    for s in range(counts.shape[0]):
        if visits[s] == 0.0:
            total += table.rho[s] * table.fallback[s]
        elif kind == CE_SGL:
            total += table.rho[s] * _ce_sgl_row(counts[s], visits[s], table.pi[s])
        elif kind == CE_PTL:
            total += table.rho[s] * _ce_ptl_row(counts[s], table.pi[s])
        elif kind == SEL_PTL:
            total += table.rho[s] * _sel_ptl_row(counts[s], table.pi[s])
    return total


@njit(cache=True, nogil=True, fastmath=_SIMD)
def _ce_sgl_row(counts, visits, p):
    total = 0.0
    for a in range(p.size):
        total += abs(counts[a] / visits - p[a])
    return 0.5 * total


@njit(cache=True, nogil=True, fastmath=_SIMD)
def _ce_ptl_row(counts, p):
    weight = 0.0
    for a in range(p.size):
        weight += counts[a] * p[a]
    total = 0.0
    for a in range(p.size):
        total += abs(counts[a] * p[a] / weight - p[a])
    return 0.5 * total


@njit(cache=True, nogil=True, fastmath=_SIMD)
def _sel_ptl_row(counts, p):
    seen_mass = 0.0
    unseen = 0.0
    for a in range(p.size):
        seen = counts[a] > 0.0
        seen_mass += p[a] if seen else 0.0
        unseen += 0.0 if seen else 1.0
    share = max(0.0, 1.0 - seen_mass) / max(unseen, 1.0)
    total = 0.0
    for a in range(p.size):
        total += 0.0 if counts[a] > 0.0 else abs(share - p[a])
    return 0.5 * total


@njit(cache=True, nogil=True)
def rule_loss(k, counts, visits, table, rules):
    """Return (loss, row) of generic student k; row is the first that is not a distribution, or -1."""
    inputs, labels = counts.shape
    whole = np.empty(labels, dtype=np.int64)
    revealed, out = np.empty(labels), np.empty(labels + 1)
    total = 0.0
    for s in range(inputs):
        reached = False
        for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
            reached |= visits[rules.ball[i]] > 0.0
        for a in range(labels):
            whole[a] = np.int64(counts[s, a])
            shown = (reached and table.ranks[s, a] < rules.top[k]) or (rules.sampled[k] and whole[a] > 0)
            revealed[a] = table.pi[s, a] if shown else np.nan
            out[a] = np.nan
        out[labels] = np.nan
        call_rule(rules.address[k], labels, whole.ctypes.data, revealed.ctypes.data, out.ctypes.data)  # type: ignore[call-arg]
        mass, row_loss, lowest = 0.0, 0.0, 0.0
        for a in range(labels):
            mass += out[a]
            row_loss += abs(out[a] - table.pi[s, a])
            lowest = min(lowest, out[a])
        if not (abs(mass - 1.0) <= ROW_SUM_TOLERANCE and lowest >= 0.0 and out[labels] == 1.0):
            return np.nan, s
        total += table.rho[s] * 0.5 * row_loss
    return total, -1
