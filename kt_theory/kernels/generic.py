"""The loss of any student: its compiled rule is called on what the queries showed. The reference
for the closed forms.

A row rule is called on one row at a time, a table rule on all of them. What a student sees is laid
out as `kt_theory.access.Access.seen_counts` and `Access.reveal` define it, from tables made once:
what its channel shows of the teacher, and its prior. These lie row by row, as do the counts for a
rule: cells woven for lanes are unwoven once for all of them. NaN means "hidden".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.binomial import conditional_shares, draw_binomial
from kt_theory.kernels.divergences import NAMES, row_losses
from kt_theory.kernels.layout import LANES, Layout, row_cells
from kt_theory.kernels.noise import normal, start_noise
from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.rules import call_loss, call_rule

ROW_SUM_TOLERANCE = 1e-9

_CELLS_AT_ONCE = 2**12
"""Of a row rule: what it reads and writes stays in the caches."""


class Rules(NamedTuple):
    """Students on the generic path: rule addresses and what each may see.

    address (K,) int64; pooled (K,) bool, whether it is a table rule; sampled, greedy, non_target
    (K,) bool; top (K,) int64; noise (K,) float64. The inputs whose visit reveals row s of student k
    are ball[ball_start[k, s] : ball_start[k, s + 1]]; everywhere (K,) bool: those are all of them,
    and not listed. tables (T S A,) float64 has the teacher's rows one after the other, then what
    each channel shows of them, then the priors; shown, prior (K,) int64 say where those of the
    student start, -1 for no prior; confused (K,) int64 says where the shares start by which labels
    come back as others, row by row as `kernels.binomial.conditional_shares` has them, -1 for labels
    that come back as drawn; ranks (S A,) int64: the rank of each label in its row. The
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
    confused: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    parameters: np.ndarray


class Measures(NamedTuple):
    """The losses that are taken of every rule: (L,) places in the row that `row_losses` writes, as
    far as `takes` asks it to, behind which those of one's own follow, (O,) addresses.

    rho (S,) weighs the rows; logs (S A,) has the logarithms of the teacher's rows, or nothing if no
    loss takes them.
    """

    rho: np.ndarray
    places: np.ndarray
    takes: int
    own: np.ndarray
    logs: np.ndarray


class Desk(NamedTuple):
    """What one repeat of a rule reads and writes: all counts, row by row (S A,), the visits of each
    input (S,), what is laid out for a rule, its rows, the noise stream, and the losses of a row.

    For R rows at once, of which whole (R A,) int64 and rows (2 (R A + 1),) have what is revealed
    and the student's rows: at_once rows for a row rule, all for a table rule.
    """

    at_once: int
    counts: np.ndarray
    visits: np.ndarray
    whole: np.ndarray
    rows: np.ndarray
    noise_key: np.ndarray
    noise: np.ndarray
    found: np.ndarray
    mixing: np.ndarray


def rule_losses(
    counts: np.ndarray,
    layout: Layout,
    key: np.ndarray,
    first: int,
    measures: Measures,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int, int]:
    """Write the losses of all rules on the transfer sets `counts`, (R, cells), those of repeats
    first .. first + R - 1, into `losses`, (R, rules x L): those of a rule side by side.

    Returns (repeat, rule, row, -1) of the first row that is not a distribution, or with the loss of
    one's own that is no number >= 0 there; (-1, -1, -1, -1) if there is none.
    """
    inputs, labels = layout.inputs, layout.labels
    at_once = min(inputs, max(1, _CELLS_AT_ONCE // labels))
    room = (inputs if rules.pooled.any() else at_once) * labels
    desk = Desk(
        at_once,
        np.zeros(inputs * labels, dtype=np.int64),
        np.zeros(inputs, dtype=np.int64),
        np.zeros(room, dtype=np.int64),
        np.zeros(2 * (room + 1)),
        np.zeros(2, dtype=np.uint64),
        np.zeros(3, dtype=np.uint64),
        np.zeros(len(NAMES) + len(measures.own)),
        np.zeros(3, dtype=np.uint64),
    )
    return rule_loop(counts, layout, key, first, measures, rules, desk, losses)


@njit(**LEAF)
def rule_loop(counts, layout, key, repeat, measures, rules, desk, losses):
    """Do what `rule_losses` says on the memory that it has laid out."""
    inputs, labels, visits = layout.inputs, uint64(layout.labels), desk.visits
    whole, rows, tables, ranks = desk.whole, desk.rows, rules.tables, rules.ranks
    rho, places, takes = measures.rho, measures.places, measures.takes
    own, logs, found = measures.own, measures.logs, desk.found
    noisy = False
    for k in range(rules.noise.size):
        noisy |= (rules.noise[k] > 0.0) | (rules.confused[k] >= 0)
    for r in range(losses.shape[0]):
        _unweave(counts[r], layout, desk.counts, desk.visits)
        if noisy:
            start_noise(key, repeat + r, desk.noise_key, desk.noise)
        for k in range(rules.address.size):
            at_once = inputs if rules.pooled[k] else desk.at_once
            top, greedy, sigma = rules.top[k], rules.greedy[k], rules.noise[k]
            anywhere = np.bool_(False)
            for s in range(inputs if rules.everywhere[k] else 0):
                anywhere |= visits[s] > 0
            column = k * places.size
            losses[r, column : column + places.size] = 0.0
            for i in range(desk.mixing.size):
                desk.mixing[i] = desk.noise[i]
            for first in range(0, inputs, at_once):
                number = min(at_once, inputs - first)
                start, cells = uint64(first) * labels, uint64(number) * labels
                out = cells + uint64(1)
                shown = uint64(rules.shown[k]) + start
                sampled = rules.sampled[k] and not greedy
                _lay_out(desk.counts, start, cells, tables, shown, sampled, out, whole, rows)
                if rules.confused[k] >= 0:
                    shares, mixing = uint64(rules.confused[k]), desk.mixing
                    _mix_labels(desk.counts, start, number, labels, tables, shares, mixing, whole)
                for s in range(first, first + number):
                    base = uint64(s - first) * labels
                    reached = anywhere
                    for i in range(rules.ball_start[k, s], rules.ball_start[k, s + 1]):
                        reached |= visits[rules.ball[i]] > 0
                    if reached and top >= layout.labels:
                        _copy(tables, shown + base, labels, base, rows)
                    elif reached and top > 0:
                        _reveal_top(
                            tables, shown + base, ranks, start + base, labels, base, top, rows
                        )
                    if greedy:
                        asked, seen = visits[s], visits[s] if rules.sampled[k] else 0
                        at, row = shown + base, start + base
                        _answer_greedily(
                            tables, at, ranks, row, labels, base, asked, seen, whole, rows
                        )
                    if rules.non_target[k]:
                        _leave_out_targets(tables, shown + base, labels, base, whole, rows)
                    if sigma > 0.0:
                        most, row = top if reached else 0, start + base
                        noise, asked = desk.noise, visits[s]
                        _add_noise(sigma, noise, row, ranks, labels, base, most, asked, whole, rows)
                if rules.prior[k] >= 0:
                    _copy(tables, uint64(rules.prior[k]) + start, cells, out, rows)
                address, size = rules.address[k], rules.first[k + 1] - rules.first[k]
                given = rules.parameters.ctypes.data + 8 * np.intp(rules.first[k])
                revealed = rows.ctypes.data
                written = revealed + 8 * np.intp(out)
                call_rule(
                    address,
                    number,
                    layout.labels,
                    whole.ctypes.data,
                    revealed,
                    written,
                    size,
                    given,
                )
                returned = rows[out + cells]
                for s in range(number):
                    base = uint64(s) * labels
                    at, p = out + base, start + base
                    fine = _is_distribution(
                        row_losses(rows, at, tables, p, logs, p, labels, takes, found)
                    )
                    if not (s < returned and fine):
                        return repeat + r, k, first + s, -1
                    wrong = _own_losses(own, rows, at, tables, p, layout.labels, found)
                    if wrong >= 0:
                        return repeat + r, k, first + s, wrong
                    if rho[first + s] > 0.0:
                        for i in range(places.size):
                            losses[r, column + i] += rho[first + s] * found[places[i]]
    return -1, -1, -1, -1


@njit(**BARE)
def _unweave(counts, layout, cells, visits):
    """Write the counts row by row, and n_s, the number of visits of each input."""
    labels, woven = layout.labels, layout.eights
    for s in range(0, woven, LANES):
        at, to = uint64(s * labels), uint64(s * labels)
        for a in range(labels):
            for lane in range(LANES):
                cells[to + uint64(lane * labels + a)] = counts[at + uint64(a * LANES + lane)]
    for s in range(woven, layout.inputs):
        at, step = row_cells(s, layout)
        for a in range(labels):
            cells[uint64(s * labels + a)] = counts[at + uint64(a) * step]
    for s in range(layout.inputs):
        total = 0
        for a in range(labels):
            total += cells[uint64(s * labels + a)]
        visits[s] = total


@njit(**BARE)
def _lay_out(counts, start, cells, tables, shown, sampled, out, whole, rows):
    """Lay out rows as they are; the student's own are NaN, so that a rule that writes nothing is
    found out.
    """
    for j in range(cells):
        i = uint64(j)
        whole[i] = counts[start + i]
        rows[i] = tables[shown + i] if (counts[start + i] > 0) & sampled else np.nan
    for j in range(cells + uint64(1)):
        rows[out + uint64(j)] = np.nan


def mixed_labels(
    key: np.ndarray, repeat: int, counts: np.ndarray, confusion: np.ndarray
) -> np.ndarray:
    """Return the counts (S, A) that come back in a repeat where `counts` were drawn.

    Parameters
    ----------
    key : (2,) uint64 array
    repeat : int
    counts : (S, A) int64 array
    confusion : (A, A) array
    """
    inputs, labels = counts.shape
    seen = np.empty(counts.size, dtype=np.int64)
    state = np.empty(3, dtype=np.uint64)
    shares = conditional_shares(confusion).reshape(-1)
    mix_repeat(
        key,
        repeat,
        np.empty(2, dtype=np.uint64),
        state,
        np.ascontiguousarray(counts).reshape(-1),
        shares,
        inputs,
        labels,
        seen,
    )
    return seen.reshape(counts.shape)


@njit(**LEAF)
def mix_repeat(key, repeat, noise_key, state, counts, shares, inputs, labels, seen):
    """Do what `mixed_labels` says on the memory that it has laid out."""
    start_noise(key, repeat, noise_key, state)
    _mix_labels(counts, uint64(0), inputs, uint64(labels), shares, uint64(0), state, seen)


@njit(**BARE)
def _mix_labels(counts, start, number, labels, tables, shares, state, whole):
    """Overwrite rows of `whole` with what comes back of the labels that were drawn, label by label,
    from the noise stream.
    """
    for s in range(number):
        base = uint64(s) * labels
        for b in range(labels):
            whole[base + uint64(b)] = 0
        for a in range(labels):
            left = counts[start + base + uint64(a)]
            at = shares + uint64(a) * labels
            for b in range(labels):
                if left == 0:
                    break
                number_back = draw_binomial(left, tables[at + uint64(b)], state)
                whole[base + uint64(b)] += number_back
                left -= number_back


@njit(**BARE)
def _reveal_top(tables, shown, ranks, cells, labels, base, top, rows):
    for a in range(labels):
        i = uint64(a)
        if ranks[cells + i] < top:
            rows[base + i] = tables[shown + i]


@njit(**BARE)
def _answer_greedily(tables, shown, ranks, cells, labels, base, visits, revealed, whole, rows):
    """Put all visits on the most probable label: no sampled label is seen."""
    for a in range(labels):
        i = uint64(a)
        best = ranks[cells + i] == 0
        whole[base + i] = visits if best else 0
        if best & (revealed > 0):
            rows[base + i] = tables[shown + i]


@njit(**BARE)
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


@njit(**BARE)
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


@njit(**BARE)
def _copy(tables, start, number, to, rows):
    for j in range(number):
        rows[to + uint64(j)] = tables[start + uint64(j)]


@njit(**BARE)
def _is_distribution(sums):
    mass, least = sums
    return abs(mass - 1.0) <= ROW_SUM_TOLERANCE and least >= 0.0


@njit(**BARE)
def _own_losses(own, rows, out, tables, p, labels, found):
    """Write the losses of one's own behind the others; return which of them is no number >= 0, or
    -1.
    """
    for i in range(own.size):
        teacher = tables.ctypes.data + 8 * np.intp(p)
        value = call_loss(own[i], labels, teacher, rows.ctypes.data + 8 * np.intp(out))
        found[len(NAMES) + i] = value
        if not value >= 0.0:
            return i
    return -1
