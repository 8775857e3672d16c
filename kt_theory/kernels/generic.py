"""The loss of any student: its compiled row rule is called on every row. The reference for the closed forms.

Compiled without reassociation: here NaN means "hidden".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.layout import row_cells
from kt_theory.kernels.options import INLINE, LEAF, SIMD
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

    Scratch: whole (A,) int64 and rows (3 (A + 1),): what is revealed, the student's row, the teacher's row.
    """
    labels = table.labels
    revealed = rows.ctypes.data
    out = revealed + 8 * (labels + 1)
    total = 0.0
    for s in range(table.inputs):
        reached = False
        for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
            reached |= visits[rules.ball[i]] > 0
        top = rules.top[k] if reached else 0
        at, step = row_cells(s, labels, table.woven)
        _lay_out(counts, table.pi, at, step, np.uint64(labels), rules.sampled[k], top >= labels, whole, rows)
        if 0 < top < labels:
            _reveal_top(table.pi, table.ranks, at, step, np.uint64(labels), top, rows)
        call_rule(rules.address[k], labels, whole.ctypes.data, revealed, out)  # type: ignore[call-arg]
        distance = _distance(rows, np.uint64(labels))
        if not distance >= 0.0:
            return np.nan, s
        total += table.rho[s] * distance
    return total, -1


@njit(**SIMD)
def _lay_out(counts, pi, at, step, labels, sampled, complete, whole, rows):
    """Lay out a row as the student sees it; its own row is NaN, so that a rule that writes nothing is found out."""
    one = np.uint64(1)
    out, own = labels + one, np.uint64(2) * (labels + one)
    for a in range(labels):
        i = np.uint64(a)
        whole[i] = counts[at + i * step]
        rows[own + i] = pi[at + i * step]
    for a in range(labels):
        i = np.uint64(a)
        p = rows[own + i]
        rows[i] = p if ((whole[i] > 0) & sampled) | complete else np.nan
    for a in range(labels + one):
        rows[out + np.uint64(a)] = np.nan


@njit(**LEAF)
def _reveal_top(pi, ranks, at, step, labels, top, rows):
    for a in range(labels):
        i = np.uint64(a)
        if ranks[at + i * step] < top:
            rows[i] = pi[at + i * step]


@njit(**SIMD)
def _distance(rows, labels):
    """Return TV between the student's row and the teacher's, or NaN if it is no distribution or the rule has raised."""
    one = np.uint64(1)
    out, own = labels + one, np.uint64(2) * (labels + one)
    mass, gap, negative = 0.0, 0.0, 0
    for a in range(labels):
        i = np.uint64(a)
        q = rows[out + i]
        mass += q
        gap += abs(q - rows[own + i])
        negative += q < 0.0
    fine = abs(mass - 1.0) <= ROW_SUM_TOLERANCE and negative == 0 and rows[out + labels] == 1.0
    return 0.5 * gap if fine else np.nan
