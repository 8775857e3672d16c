"""The loss of any student: its compiled row rule is called on every row. The reference for the closed forms.

Compiled without reassociation: here NaN means "hidden".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.layout import row_cells
from kt_theory.kernels.options import INLINE, SIMD
from kt_theory.kernels.rules import call_rule

ROW_SUM_TOLERANCE = 1e-9


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


@njit(**INLINE)
def row_visits(counts, table, visits):
    """Write n_s, the number of visits of each input."""
    for s in range(table.inputs):
        at, step = row_cells(s, table.labels, table.woven)
        total = 0
        for _ in range(table.labels):
            total += counts[at]
            at += step
        visits[s] = total


@njit(**INLINE)
def rule_loss(k, counts, visits, table, rules, whole, rows):
    """Return (loss, -1) of the k-th entry of `rules`, or (NaN, row) for a row that is not a distribution.

    Scratch: whole (A,) int64 and rows (3, A + 1): what is revealed, the student's row, the teacher's row.
    """
    labels = table.labels
    revealed, out = rows[0], rows[1]
    total = 0.0
    for s in range(table.inputs):
        _reveal(k, s, counts, visits, table, rules, whole, rows)
        call_rule(rules.address[k], labels, whole.ctypes.data, revealed.ctypes.data, out.ctypes.data)  # type: ignore[call-arg]
        distance = _distance(rows, labels)
        if not distance >= 0.0:
            return np.nan, s
        total += table.rho[s] * distance
    return total, -1


@njit(**INLINE)
def _reveal(k, s, counts, visits, table, rules, whole, rows):
    """Lay out row s as student k sees it; `out` is NaN, so that a rule that writes nothing is found out."""
    reached = False
    for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
        reached |= visits[rules.ball[i]] > 0
    top = rules.top[k] if reached else 0
    least = 1 if rules.sampled[k] else np.iinfo(np.int64).max
    labels = np.uint64(table.labels)
    at, step = row_cells(s, table.labels, table.woven)
    for a in range(labels):
        c, p = counts[at], table.pi[at]
        whole[np.uint64(a)] = c
        rows[0, np.uint64(a)] = p if (c >= least) | (table.ranks[at] < top) else np.nan
        rows[1, np.uint64(a)] = np.nan
        rows[2, np.uint64(a)] = p
        at += step
    rows[1, labels] = np.nan


@njit(**SIMD)
def _distance(rows, labels):
    """Return TV between the student's row and the teacher's, or NaN if it is no distribution or the rule has raised."""
    mass, gap, lowest = 0.0, 0.0, 0.0
    for a in range(labels):
        q = rows[1, np.uint64(a)]
        mass += q
        gap += abs(q - rows[2, np.uint64(a)])
        lowest = min(lowest, q)
    fine = abs(mass - 1.0) <= ROW_SUM_TOLERANCE and lowest >= 0.0 and rows[1, np.uint64(labels)] == 1.0
    return 0.5 * gap if fine else np.nan
