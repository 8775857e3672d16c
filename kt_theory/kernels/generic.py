"""The loss of any student: its compiled rule is called on what the queries showed. The reference
for the closed forms.

A row rule is called on one row at a time, a table rule on all of them. What a student sees is laid
out as `kt_theory.access.Access.seen_counts` and `Access.reveal` define it, from tables made once:
what its channel shows of the teacher, and its prior. These lie row by row, as do the counts for a
rule: cells woven for lanes are unwoven once for all of them. Compiled without reassociation: here
NaN means "hidden".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.layout import Layout, row_cells
from kt_theory.kernels.noise import normal, start_noise
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
    student start, -1 for no prior; ranks (S A,) int64: the rank of each label in its row. The
    numbers that rule k is given are parameters[first[k] : first[k + 1]].
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
    ranks: np.ndarray
    first: np.ndarray
    parameters: np.ndarray


class Desk(NamedTuple):
    """What one repeat of a rule reads and writes: all counts, row by row (S A,), the visits of each
    input (S,), what is laid out for a rule, its rows, and the noise stream.

    For R rows at once, 1 or S: whole (R A,) int64 and rows (2 (R A + 1),): what is revealed, the
    student's rows.
    """

    counts: np.ndarray
    visits: np.ndarray
    whole: np.ndarray
    rows: np.ndarray
    noise_key: np.ndarray
    noise: np.ndarray


def rule_losses(
    counts: np.ndarray,
    layout: Layout,
    key: np.ndarray,
    first: int,
    rho: np.ndarray,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int]:
    """Write the losses of all rules on the transfer sets `counts`, (R, cells), those of repeats
    first .. first + R - 1, into `losses`, (R, rules).

    Returns (repeat, rule, row) of the first row that is not a distribution, or (-1, -1, -1).
    """
    inputs, labels = layout.inputs, layout.labels
    room = inputs * labels if rules.pooled.any() else labels
    desk = Desk(
        np.zeros(inputs * labels, dtype=np.int64),
        np.zeros(inputs, dtype=np.int64),
        np.zeros(room, dtype=np.int64),
        np.zeros(2 * (room + 1)),
        np.zeros(2, dtype=np.uint64),
        np.zeros(3, dtype=np.uint64),
    )
    return rule_loop(counts, layout, key, first, rho, rules, desk, losses)


@njit(**LEAF)
def rule_loop(counts, layout, key, first, rho, rules, desk, losses):
    """Do what `rule_losses` says on the memory that it has laid out."""
    noisy = False
    for k in range(rules.noise.size):
        noisy |= rules.noise[k] > 0.0
    for r in range(losses.shape[0]):
        _unweave(counts[r], layout, desk)
        if noisy:
            start_noise(key, first + r, desk.noise_key, desk.noise)
        for k in range(rules.address.size):
            losses[r, k], row = rule_loss(k, layout, rho, rules, desk)
            if row >= 0:
                return first + r, k, row
    return -1, -1, -1


@njit(**LEAF)
def _unweave(counts, layout, desk):
    """Write the counts row by row, and n_s, the number of visits of each input."""
    labels, to = uint64(layout.labels), uint64(0)
    for s in range(layout.inputs):
        at, step = row_cells(s, layout)
        total = 0
        for a in range(labels):
            c = counts[at + uint64(a) * step]
            desk.counts[to + uint64(a)] = c
            total += c
        desk.visits[s] = total
        to += labels


@njit(**INLINE)
def rule_loss(k, layout, rho, rules, desk):
    """Return (loss, -1) of the k-th entry of `rules`, or (NaN, row) for a row that is not a
    distribution.
    """
    inputs, labels, rows = layout.inputs, layout.labels, desk.rows
    at_once = inputs if rules.pooled[k] else 1
    room = uint64(at_once * labels + 1)
    counts_at, revealed = desk.whole.ctypes.data, rows.ctypes.data
    out = revealed + 8 * np.intp(room)
    anywhere = False
    if rules.everywhere[k]:
        for s in range(inputs):
            anywhere |= desk.visits[s] > 0
    total = 0.0
    for first in range(0, inputs, at_once):
        for s in range(first, first + at_once):
            base = uint64((s - first) * labels)
            _as_seen(k, s, anywhere, base, room, uint64(labels), rules, desk)
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
            total += rho[s] * distance
    return total, -1


@njit(**INLINE)
def _as_seen(k, s, reached, base, room, labels, rules, desk):
    """Lay out row s as student k sees it, from entry `base` on; `reached` if any query would have
    revealed it.
    """
    visits, tables, ranks, whole, rows = (
        desk.visits,
        rules.tables,
        rules.ranks,
        desk.whole,
        desk.rows,
    )
    for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
        reached |= visits[rules.ball[i]] > 0
    top = rules.top[k] if reached else 0
    cells = uint64(s) * labels
    shown = uint64(rules.shown[k]) + cells
    sampled = rules.sampled[k] and not rules.greedy[k]
    complete, asked, sigma = top >= np.int64(labels), visits[s], rules.noise[k]
    _lay_out(desk.counts, cells, labels, base, room, tables, shown, sampled, complete, whole, rows)
    if 0 < top < np.int64(labels):
        _reveal_top(tables, shown, ranks, cells, labels, base, top, rows)
    if rules.greedy[k]:
        seen = asked if rules.sampled[k] else 0
        _answer_greedily(tables, shown, ranks, cells, labels, base, asked, seen, whole, rows)
    if rules.non_target[k]:
        _leave_out_targets(tables, shown, labels, base, whole, rows)
    if sigma > 0.0:
        _add_noise(sigma, desk.noise, cells, ranks, labels, base, top, asked, whole, rows)
    if rules.prior[k] >= 0:
        _fill(tables, uint64(rules.prior[k]) + cells, labels, room + base, rows)


@njit(**SIMD)
def _lay_out(counts, cells, labels, base, room, tables, shown, sampled, complete, whole, rows):
    """Lay out a row as it is; the student's own row is NaN, so that a rule that writes nothing is
    found out.
    """
    for a in range(labels):
        i = uint64(a)
        c = counts[cells + i]
        whole[base + i] = c
        rows[base + i] = tables[shown + i] if ((c > 0) & sampled) | complete else np.nan
    for a in range(labels + uint64(1)):
        rows[room + base + uint64(a)] = np.nan


@njit(**LEAF)
def _reveal_top(tables, shown, ranks, cells, labels, base, top, rows):
    for a in range(labels):
        i = uint64(a)
        if ranks[cells + i] < top:
            rows[base + i] = tables[shown + i]


@njit(**LEAF)
def _answer_greedily(tables, shown, ranks, cells, labels, base, visits, revealed, whole, rows):
    """Put all visits on the most probable label: no sampled label is seen."""
    for a in range(labels):
        i = uint64(a)
        best = ranks[cells + i] == 0
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
def _add_noise(sigma, noise, cells, ranks, labels, base, top, visits, whole, rows):
    """Multiply what is revealed by exp(sigma N(0, 1) / sqrt(k)), k the number of queries that
    revealed it.
    """
    for a in range(labels):
        i = uint64(a)
        if not np.isnan(rows[base + i]):
            queries = visits if ranks[cells + i] < top else whole[base + i]
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
