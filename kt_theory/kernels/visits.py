"""Counts under any query law: first how often each input is asked, then the labels of each row on
their own.

Given its number of visits, a row's labels are iid from pi(.|s) whatever the law of the visits, so
only those differ. A walk costs 2 to 4 ns a step while its tables fit in the caches; the labels cost
2 ns each, or a binomial per label where they are many. Legend: S inputs, A labels, m labels per
query, k visits.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numba.extending import overload
from numpy import uint64

from kt_theory.kernels.alias import alias_table
from kt_theory.kernels.binomial import draw_binomial
from kt_theory.kernels.layout import row_cells
from kt_theory.kernels.lookups import Alias, scatter
from kt_theory.kernels.options import BARE, LEAF, WITHIN
from kt_theory.kernels.streams import mix64

_MOST_ALIAS_DRAWS = 20  # per label of a row: a binomial costs that many draws
_ONE, _WORD_BITS, _HALF, _LOW = uint64(1), uint64(64), uint64(32), uint64(2**32 - 1)
_HALVINGS = 64


class Asked(NamedTuple):
    """n alias draws from q."""

    q: Alias


class Shared(NamedTuple):
    """Binomials along q as conditional shares, (S,)."""

    share: np.ndarray


class Walk(NamedTuple):
    """A walk that starts anew every `horizon` steps: the alias table of its start, 2^bits entries
    uint64, and the `step_tables` of its transitions.
    """

    horizon: int
    start_bits: int
    start: np.ndarray
    step_bits: int
    steps: np.ndarray


class Fixed(NamedTuple):
    """The visits themselves, (S,) int64."""

    visits: np.ndarray


class Pilot(NamedTuple):
    """Visits first (S,), and the weights of the loss (S,) by which the rest is chosen then."""

    visits: np.ndarray
    rho: np.ndarray


Visits: TypeAlias = Asked | Shared | Walk | Fixed | Pilot
"""The law of the visits, (S,) whole numbers that sum to n."""


def row_tables(rows: np.ndarray) -> tuple[int, np.ndarray]:
    """Return (bits, entries) of the alias tables of `rows`, (R, K), one behind the other: R 2^bits
    entries.
    """
    tables = [alias_table(row) for row in rows]
    return tables[0][0], np.concatenate([entries for _, entries in tables])


def step_tables(transitions: np.ndarray) -> tuple[int, np.ndarray]:
    """Return (bits, tables): 2^bits columns for each row of `transitions`, (S, S).

    A column is two words: its threshold, and the input it stands for below the one that is its
    alias. A row has columns for the inputs that can follow it alone, so that sparse chains stay in
    the caches.
    """
    widest = int(np.count_nonzero(transitions, axis=1).max())
    bits = max(1, (widest - 1).bit_length())
    keep = uint64(2**bits - 1)
    tables = np.zeros((len(transitions), 2**bits, 2), dtype=uint64)
    for row, table in zip(transitions, tables, strict=True):
        follows = np.zeros(2**bits, dtype=uint64)
        possible = np.flatnonzero(row)
        follows[: len(possible)] = possible
        entries = alias_table(np.pad(row[possible], (0, 2**bits - len(possible))))[1]
        table[:, 0] = entries & ~keep
        table[:, 1] = follows | follows[entries & keep] << uint64(32)
    return bits, tables.reshape(-1)


def draw_by_rows(plan, state, scratch):
    """Overwrite `scratch.counts`, in the order of the cells, with the counts of plan.n queries, for
    `draw_counts`.
    """
    scratch.counts[:] = 0
    scratch.visits[:] = 0
    visit(plan.law, plan.n, state, scratch)
    for turn in range(2):
        if turn == 0 or visit_again(plan.law, plan, scratch):
            _label(
                scratch.visits,
                plan.labels_per_query,
                plan.layout,
                plan.bits,
                plan.entries,
                plan.cell_share,
                state,
                scratch.counts,
            )


def visit(law: Any, n: Any, state: Any, scratch: Any) -> None:
    """Add the visits of n queries, or of a pilot, to `scratch.visits`, (S,) zeros."""
    raise NotImplementedError("from machine code alone")


@overload(visit, jit_options=WITHIN)
def _visit(law, n, state, scratch):
    return {
        Asked: _by_alias,
        Shared: _by_binomials,
        Walk: _by_steps,
        Fixed: _as_given,
        Pilot: _as_given,
    }[law.instance_class]


def _by_alias(law, n, state, scratch):
    scatter(n, law.q, state, scratch.words, scratch.visits)


def _by_binomials(law, n, state, scratch):
    left, visits = n, scratch.visits
    for s in range(visits.size):
        visits[s] = draw_binomial(left, law.share[s], state)
        left -= visits[s]


def _by_steps(law, n, state, scratch):
    start_bits, step_bits, steps = law.start_bits, law.step_bits, law.steps
    _walk(n, law.horizon, start_bits, law.start, step_bits, steps, state, scratch.visits)


def _as_given(law, n, state, scratch):
    for s in range(law.visits.size):
        scratch.visits[s] = law.visits[s]


def visit_again(law: Any, plan: Any, scratch: Any) -> bool:
    """Return whether there are more visits once the first have been labelled, and write them to
    `scratch.visits`.
    """
    raise NotImplementedError("from machine code alone")


@overload(visit_again, jit_options=WITHIN)
def _visit_again(law, plan, scratch):
    return _after_the_pilot if law.instance_class is Pilot else _never


def _never(law, plan, scratch):
    return False


def _after_the_pilot(law, plan, scratch):
    inputs, visits = law.rho.size, scratch.visits
    weights, remainders = scratch.weights[:inputs], scratch.weights[inputs:]
    _estimate_weights(scratch.counts, law.rho, plan.layout, weights)
    apportion(plan.n, weights, visits, remainders)
    for s in range(inputs):
        visits[s] -= law.visits[s]
    return True


@njit(**BARE)
def _walk(n, horizon, start_bits, start_table, bits, tables, state, visits):
    """Add the visits of n steps, with a fresh start every `horizon` steps."""
    start, gamma = state[0], state[1]
    first_width, width = uint64(start_bits), uint64(bits)
    keep, down = (_ONE << first_width) - _ONE, _WORD_BITS - width
    for first in range(0, n, horizon):
        word = mix64(start + gamma * uint64(first))
        at = word >> (_WORD_BITS - first_width)
        entry = start_table[at]
        at = at if (word << first_width) < (entry & ~keep) else entry & keep
        visits[at] += 1
        for i in range(first + 1, min(first + horizon, n)):
            word = mix64(start + gamma * uint64(i))
            column = ((at << width) + (word >> down)) << _ONE
            both = tables[column + _ONE]
            at = both & _LOW if (word << width) < tables[column] else both >> _HALF
            visits[at] += 1
    state[0] = start + gamma * uint64(n)


@njit(**BARE)
def _label(visits, per_query, layout, bits, entries, cell_share, state, counts):
    """Add the labels of all visits to `counts`, the cells in the order of layout.py."""
    labels = layout.labels
    for s in range(visits.size):
        number = visits[s] * per_query
        if number > 0:
            first, step = row_cells(s, layout)
            if number <= _MOST_ALIAS_DRAWS * labels:
                _scatter_row(number, uint64(s), bits, entries, first, step, state, counts)
            else:
                _split_row(number, cell_share[s], first, step, state, counts)


@njit(**BARE)
def _scatter_row(number, s, bits, tables, first, step, state, counts):
    start, gamma = state[0], state[1]
    width = uint64(bits)
    down, keep = _WORD_BITS - width, (_ONE << width) - _ONE
    for i in range(number):
        word = mix64(start + gamma * uint64(i))
        column = word >> down
        entry = tables[(s << width) + column]
        label = column if (word << width) < (entry & ~keep) else entry & keep
        counts[first + label * step] += 1
    state[0] = start + gamma * uint64(number)


@njit(**BARE)
def _split_row(number, share, first, step, state, counts):
    at, left = first, number
    for a in range(share.size):
        hits = draw_binomial(left, share[a], state)
        left -= hits
        counts[at] += hits
        at += step


@njit(**BARE)
def _estimate_weights(counts, rho, layout, weights):
    """Write (rho_s c_s)^(2/3), c_s = sum_a sqrt(p (1-p)) at p = (n_sa + 1/A) / (n_s + 1): all
    positive where rho is.

    One pseudo-count, spread evenly (Perks 1947): a row that has shown one label only is not taken
    to be certain.
    """
    labels = layout.labels
    for s in range(rho.size):
        first, step = row_cells(s, layout)
        seen, at = 1.0, first
        for _ in range(labels):
            seen += counts[at]
            at += step
        spread, at = 0.0, first
        for _ in range(labels):
            p = (counts[at] + 1.0 / labels) / seen
            spread += math.sqrt(p * max(1.0 - p, 0.0))
            at += step
        weights[s] = (rho[s] * spread) ** (2.0 / 3.0)


@njit(**LEAF)
def apportion(n, weights, visits, remainders):
    """Raise `visits`, (S,) int64 with a sum of at most n, to a sum of n: max(visits_s, x w_s),
    rounded.

    x makes the sum n. Largest remainders are rounded up first, the first input first where they are
    equal (Hamilton's method). `weights` (S,), all equal if all are 0, and `remainders` (S,) float64
    are scratch.
    """
    total = 0.0
    for s in range(weights.size):
        total += weights[s]
    if total == 0.0:
        weights[:] = 1.0
        total = float(weights.size)
    x = _waterline(n, n / total, weights, visits)
    # Rounding of the sums must not let the whole parts exceed n.
    lower = x * (1.0 - (weights.size + 8) * 2.0**-52)
    left = n
    for s in range(weights.size):
        visits[s] = max(visits[s], np.int64(lower * weights[s]))
        remainders[s] = x * weights[s] - visits[s] if weights[s] > 0.0 else -np.inf
        left -= visits[s]
    while left > 0:
        left -= _round_up(left, remainders, visits)


@njit(**BARE)
def _waterline(n, x, weights, visits):
    """Return the x at which the max(visits_s, x w_s) sum to n; rows above the line leave it one
    after the other.
    """
    while True:
        left, total = n, 0.0
        for s in range(weights.size):
            above = x * weights[s] < visits[s]
            left -= visits[s] if above else 0
            total += 0.0 if above else weights[s]
        lower = left / total if total > 0.0 else 0.0
        if lower >= x or total == 0.0:
            return x
        x = lower


@njit(**BARE)
def _round_up(number, remainders, visits):
    """Add 1 to the visits with the `number` largest remainders, or to all that have one; return how
    many they are.
    """
    low, high, eligible = np.inf, -np.inf, 0
    for s in range(visits.size):
        if remainders[s] > -np.inf:
            eligible += 1
            low, high = min(low, remainders[s]), max(high, remainders[s])
    low -= 1.0
    number = min(number, eligible)
    if number == eligible:
        high = low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = 0
        for s in range(visits.size):
            above += remainders[s] > middle
        if above <= number:
            high = middle
        else:
            low = middle
    ties = number
    for s in range(visits.size):
        ties -= remainders[s] > high
    for s in range(visits.size):
        tied = low < remainders[s] <= high and ties > 0
        ties -= tied
        up = tied or remainders[s] > high
        visits[s] += up
        remainders[s] -= up
    return number
