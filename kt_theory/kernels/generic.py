"""The loss of any student: its compiled rule is called on what the queries showed. The reference
for the closed forms.

A row rule is called on one row at a time, a table rule on all of them. What a student sees is laid
out as `kt_theory.access.Access.seen_counts` and `Access.reveal` define it, from tables made once:
what its channel shows of the teacher, and its prior. These lie row by row, which a rule reads
faster than cells woven for lanes. Compiled without reassociation: here NaN means "hidden".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.layout import row_cells
from kt_theory.kernels.noise import normal
from kt_theory.kernels.options import INLINE, LEAF, SIMD
from kt_theory.kernels.rules import call_rule

ROW_SUM_TOLERANCE = 1e-9


class Rules(NamedTuple):
    """Students on the generic path: rule addresses and what each may see.

    address (K,) int64; pooled (K,) bool, whether it is a table rule; sampled, greedy, non_target
    (K,) bool; top (K,) int64; noise (K,) float64. The inputs whose visit reveals row s of student k
    are ball[ball_start[k, s] : ball_start[k, s + 1]]; everywhere (K,) bool: those are all of them,
    and not listed. tables (T S A,) float64 has the teacher's rows one after the other, then what
    each channel shows of them, then the priors; shown, prior (K,) int64 say where those of the
    student start, -1 for no prior. The numbers that rule k is given are parameters[first[k] :
    first[k + 1]].
    """

    address: np.ndarray
    pooled: np.ndarray
    sampled: np.ndarray
    greedy: np.ndarray
    non_target: np.ndarray
    top: np.ndarray
    noise: np.ndarray
    everywhere: np.ndarray
    ball_start: np.ndarray
    ball: np.ndarray
    tables: np.ndarray
    shown: np.ndarray
    prior: np.ndarray
    first: np.ndarray
    parameters: np.ndarray


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
def rule_loss(k, counts, visits, table, rules, noise, whole, rows):
    """Return (loss, -1) of the k-th entry of `rules`, or (NaN, row) for a row that is not a
    distribution.

    noise (2,) uint64 is the state of the repeat's noise. Scratch, for R rows at once, 1 or S: whole
    (R A,) int64 and rows (2 (R A + 1),): what is revealed, the student's rows.
    """
    labels = table.labels
    at_once = table.inputs if rules.pooled[k] else 1
    room = uint64(at_once * labels + 1)
    counts_at, revealed = whole.ctypes.data, rows.ctypes.data
    out = revealed + 8 * np.intp(room)
    anywhere = False
    if rules.everywhere[k]:
        for s in range(table.inputs):
            anywhere |= visits[s] > 0
    total = 0.0
    for first in range(0, table.inputs, at_once):
        for s in range(first, first + at_once):
            base = uint64((s - first) * labels)
            _as_seen(k, s, anywhere, base, room, counts, visits, table, rules, noise, whole, rows)
        address, size = rules.address[k], rules.first[k + 1] - rules.first[k]
        given = rules.parameters.ctypes.data + 8 * np.intp(rules.first[k])
        call_rule(  # type: ignore[call-arg]
            address, at_once, labels, counts_at, revealed, out, size, given
        )
        returned = rows[uint64(2) * room - uint64(1)] == 1.0
        for s in range(first, first + at_once):
            own, written = uint64(s * labels), room + uint64((s - first) * labels)
            distance = _distance(rows, written, rules.tables, own, uint64(labels))
            if not (returned and distance >= 0.0):
                return np.nan, s
            total += table.rho[s] * distance
    return total, -1


@njit(**INLINE)
def _as_seen(k, s, reached, base, room, counts, visits, table, rules, noise, whole, rows):
    """Lay out row s as student k sees it, from entry `base` on; `reached` if any query would have
    revealed it.
    """
    labels, tables, ranks = uint64(table.labels), rules.tables, table.ranks
    for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
        reached |= visits[rules.ball[i]] > 0
    top = rules.top[k] if reached else 0
    at, step = row_cells(s, table.labels, table.woven)
    cells = uint64(s) * labels
    shown = uint64(rules.shown[k]) + cells
    sampled = rules.sampled[k] and not rules.greedy[k]
    complete, asked, sigma = top >= table.labels, visits[s], rules.noise[k]
    _lay_out(counts, at, step, labels, base, room, tables, shown, sampled, complete, whole, rows)
    if 0 < top < table.labels:
        _reveal_top(tables, shown, ranks, at, step, labels, base, top, rows)
    if rules.greedy[k]:
        seen = asked if rules.sampled[k] else 0
        _answer_greedily(tables, shown, ranks, at, step, labels, base, asked, seen, whole, rows)
    if rules.non_target[k]:
        _leave_out_targets(tables, shown, labels, base, whole, rows)
    if sigma > 0.0:
        _add_noise(sigma, noise, cells, ranks, at, step, labels, base, top, asked, whole, rows)
    if rules.prior[k] >= 0:
        _fill(tables, uint64(rules.prior[k]) + cells, labels, room + base, rows)


@njit(**SIMD)
def _lay_out(counts, at, step, labels, base, room, tables, shown, sampled, complete, whole, rows):
    """Lay out a row as it is; the student's own row is NaN, so that a rule that writes nothing is
    found out.
    """
    one = uint64(1)
    for a in range(labels):
        i = uint64(a)
        whole[base + i] = counts[at + i * step]
    for a in range(labels):
        i = uint64(a)
        revealed = ((whole[base + i] > 0) & sampled) | complete
        rows[base + i] = tables[shown + i] if revealed else np.nan
    for a in range(labels + one):
        rows[room + base + uint64(a)] = np.nan


@njit(**LEAF)
def _reveal_top(tables, shown, ranks, at, step, labels, base, top, rows):
    for a in range(labels):
        i = uint64(a)
        if ranks[at + i * step] < top:
            rows[base + i] = tables[shown + i]


@njit(**LEAF)
def _answer_greedily(tables, shown, ranks, at, step, labels, base, visits, revealed, whole, rows):
    """Put all visits on the most probable label: no sampled label is seen."""
    for a in range(labels):
        i = uint64(a)
        best = ranks[at + i * step] == 0
        whole[base + i] = visits if best else 0
        if best & (revealed > 0):
            rows[base + i] = tables[shown + i]


@njit(**LEAF)
def _leave_out_targets(tables, shown, labels, base, whole, rows):
    """Show all but the sampled label relative to each other, or what several different sampled
    labels tell.
    """
    distinct, positive, rest = 0, 0, 0.0
    for a in range(labels):
        i = uint64(a)
        seen = whole[base + i] > 0
        distinct += seen
        positive += tables[shown + i] > 0.0
        rest += 0.0 if seen else tables[shown + i]
    for a in range(labels):
        i = uint64(a)
        if distinct > 1 and positive > 2:
            rows[base + i] = tables[shown + i]
        elif distinct > 0 and whole[base + i] == 0:
            rows[base + i] = tables[shown + i] / rest if distinct == 1 and rest > 0.0 else 0.0


@njit(**LEAF)
def _add_noise(sigma, noise, cells, ranks, at, step, labels, base, top, visits, whole, rows):
    """Multiply what is revealed by exp(sigma N(0, 1) / sqrt(k)), k the number of queries that
    revealed it.
    """
    for a in range(labels):
        i = uint64(a)
        if not np.isnan(rows[base + i]):
            queries = visits if ranks[at + i * step] < top else whole[base + i]
            spread = np.sqrt(np.float64(max(queries, 1)))
            rows[base + i] *= np.exp(sigma * normal(noise, cells + i) / spread)


@njit(**LEAF)
def _fill(tables, prior, labels, out, rows):
    for a in range(labels):
        rows[out + uint64(a)] = tables[prior + uint64(a)]


@njit(**SIMD)
def _distance(rows, out, tables, own, labels):
    """Return TV between the student's row and the teacher's, or NaN if it is no distribution."""
    mass, gap, negative = 0.0, 0.0, 0
    for a in range(labels):
        i = uint64(a)
        q = rows[out + i]
        mass += q
        gap += abs(q - tables[own + i])
        negative += q < 0.0
    fine = abs(mass - 1.0) <= ROW_SUM_TOLERANCE and negative == 0
    return 0.5 * gap if fine else np.nan
