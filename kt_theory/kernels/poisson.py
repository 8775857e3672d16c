"""A multinomial without logarithms: independent Poisson counts, one table look-up of 1 ns each.

**Exactness.** Let N_j ~ Poisson(m p_j) be independent, N their sum. Given N, the N_j are
Multinomial(N, p): that holds for every value of N, so it still holds given N <= n, an event of the
total alone. So: draw the N_j; if N > n, throw all of them away and draw again; then add n - N pairs
drawn one by one. The sum is Multinomial(n, p), exactly. With m = n - c sqrt(n) the draw is kept
with probability Phi(c), and some c sqrt(n) pairs are left to draw.

**Ladder.** Where c sqrt(n) is more than the number of cells, the same step is repeated with smaller
m: by the same argument each rung, given its total, is multinomial.

**Tables.** A Poisson variable of rate x is a sum of independent ones whose rates add up to x. Each
cell's rate is floored to a grid of rates that share alias tables, what it lacks is floored to a
finer grid in a second pass, and so on while that pays; the rest of all cells is pooled into one
Poisson total, spread over the cells by alias draws. Tables hold the outcomes whose probability is
at least 1e-18 of the mode's, counted from `base`; with that cut, 48-bit thresholds and float64
weights, one look-up is off by less than 1e-13 in total variation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.alias import fill_alias_table
from kt_theory.kernels.lookups import (
    OUTCOME_BITS,
    Alias,
    add_outcomes,
    alias_of,
    one_outcome,
    place,
    scatter,
    split,
)
from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.streams import next_word

MOST_BITS = OUTCOME_BITS
"""Tables have at most 2^16 columns, enough for a rate of 1.2e7."""

_MOST_ENTRIES = 2**16
"""Of one pass, 256 KiB: tables, counts and plan stay in a second-level cache of 512 KiB."""
_FINEST_STEP = 1.0 / 8.0
_MOST_DISTINCT = 512
_SCATTER = 1.2  # the cost of an alias draw, in look-ups
_LEAST_PROBABILITY = 1e-18


class Ladder(NamedTuple):
    """The rungs' tables. R rungs, P passes of all rungs together, K cells.

    least (R,): a rung is used while so many pairs are left; first_pass (R + 1,); places (P K,)
    uint32: where a cell's table starts, and its shift; base (R K,) int32: what the tables of a cell
    leave out, base_total (R,) its sum; pool_place (R,) uint32, pool_base (R,): the table of the
    pooled rest; pool: its alias tables over the cells, one for each rung behind the other; cells:
    the alias table of p itself; tables, rest: all tables of counts, and the rest of their
    thresholds, uint32.
    """

    least: np.ndarray
    first_pass: np.ndarray
    places: np.ndarray
    base: np.ndarray
    base_total: np.ndarray
    pool_place: np.ndarray
    pool_base: np.ndarray
    pool: Alias
    cells: Alias
    tables: np.ndarray
    rest: np.ndarray


@njit(**BARE)
def _span(rate):
    """Return (lowest outcome, number of outcomes) that a table of Poisson(rate) keeps."""
    mode = math.floor(rate)
    low, high, weight = mode, mode, 1.0
    while weight >= _LEAST_PROBABILITY and low > 0:
        weight *= low / rate
        low -= 1
    weight = 1.0
    while weight >= _LEAST_PROBABILITY:
        high += 1
        weight *= rate / high
    return low, high - low + 1


@njit(**LEAF)
def table_bits(rates, bits):
    """Write, for each rate, the bits of the number of columns that its table needs."""
    for i in range(rates.size):
        columns = _span(rates[i])[1]
        bits[i] = 1
        while (1 << bits[i]) < columns:
            bits[i] += 1


@njit(**BARE)
def _fill_weights(rate, low, outcomes, weight):
    """Write Poisson(rate) on low .. low + outcomes - 1 to the front of `weight`, scaled to mean 1,
    and zeros behind.
    """
    weight[:] = 0.0
    mode = int(rate) - low
    weight[mode] = 1.0
    total = 1.0
    for k in range(mode - 1, -1, -1):
        weight[k] = weight[k + 1] * ((low + k + 1) / rate)
        total += weight[k]
    for k in range(mode + 1, outcomes):
        weight[k] = weight[k - 1] * (rate / (low + k))
        total += weight[k]
    for k in range(outcomes):
        weight[k] *= weight.size / total


@njit(**LEAF)
def _fill_tables(rates, starts, bits, tables, low, weight, order):
    """Write the alias table of Poisson(rates[i]) to 2^bits[i] entries from starts[i] on; low[i] is
    its outcome 0.
    """
    for i in range(rates.size):
        size = 1 << bits[i]
        low[i], outcomes = _span(rates[i])
        _fill_weights(rates[i], low[i], outcomes, weight[:size])
        table = tables[starts[i] : starts[i] + size]
        fill_alias_table(weight[:size], np.int64(MOST_BITS), table, order[:size])


def _bits(rates: np.ndarray) -> np.ndarray:
    bits = np.empty(len(rates), dtype=np.int64)
    table_bits(np.ascontiguousarray(rates), bits)
    return bits


def fits(n: int, p: np.ndarray) -> bool:
    """Return whether the table of the heaviest cell is small enough."""
    return bool(n * p.max() < 1e8 and _bits(np.array([n * p.max()]))[0] <= MOST_BITS)


def ladder(p: np.ndarray, n: int) -> Ladder:
    """Return the rungs that draw n pairs from p, (K,), in the order of the cells."""
    passes = _passes(p * n)
    slack = _best_slack(n, p.size, p.size * len(passes[0]) + _SCATTER * passes[1].sum())
    totals = [max(n - slack * math.sqrt(n), 0.25 * n)]
    below = 0.75 * slack * math.sqrt(n)
    while below > 2.0 * p.size:
        totals.append(below)
        below /= 2.0
    shelf = _Shelf()
    places, bases, rests, first_pass = [], [], [], [0]
    for total in totals:
        floors, rest = _passes(p * total)
        base = np.zeros(p.size, dtype=np.int64)
        for floor in floors:
            found, low = shelf.put(floor)
            places.append(found)
            base += low
        bases.append(base)
        rests.append(rest)
        first_pass.append(len(places))
    pool_place, pool_base = shelf.put(np.array([rest.sum() for rest in rests]))
    pools = [alias_of(rest if rest.sum() > 0 else p) for rest in rests]
    tables, rest_bits = split(np.concatenate(shelf.tables), MOST_BITS)
    return Ladder(
        np.array([math.ceil(total + 2.0 * math.sqrt(total)) for total in totals], dtype=np.int64),
        np.array(first_pass, dtype=np.int64),
        np.concatenate([*places, np.zeros(0, dtype=np.uint32)]),
        np.concatenate(bases).astype(np.int32),
        np.array([base.sum() for base in bases], dtype=np.int64),
        pool_place,
        pool_base,
        Alias(
            pools[0].bits,
            np.concatenate([pool.entries for pool in pools]),
            np.concatenate([pool.rest for pool in pools]),
        ),
        alias_of(p),
        tables,
        rest_bits,
    )


def _passes(rates: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the floors of `rates`, (K,), one array per pass, and the rest that is left to the
    pool.
    """
    floors: list[np.ndarray] = []
    rest = rates
    while True:
        floor = _floor(rest)
        left = np.maximum(rest - floor, 0.0)
        if _SCATTER * (rest.sum() - left.sum()) <= rates.size:
            return floors, rest
        floors.append(floor)
        rest = left


def _floor(rates: np.ndarray) -> np.ndarray:
    """Return `rates` floored to a grid as fine as the tables' budget allows; few distinct rates are
    kept as they are.

    Few distinct rates are the teachers with equal rows or equal labels: they need one pass and
    leave no rest.
    """
    distinct = np.unique(rates)
    if len(distinct) <= _MOST_DISTINCT and (2 ** _bits(distinct)).sum() <= _MOST_ENTRIES:
        return rates
    highest = rates.max()
    parts, floor = 2, rates
    while True:
        step = highest / parts
        steps = np.floor(rates / step).astype(np.int64)
        used = np.flatnonzero(np.bincount(steps))
        if parts > 2 and (2 ** _bits(used * step)).sum() > _MOST_ENTRIES:
            return floor
        floor = steps * step
        if step <= _FINEST_STEP:
            return floor
        parts *= 2


def _best_slack(n: int, cells: int, cost: float) -> float:
    """Return the c that minimises the expected cost of rung 0, repeated 1 / Phi(c) times, and of
    what it leaves.
    """

    def total(c: float) -> float:
        kept = 0.5 * math.erfc(-c / math.sqrt(2.0))
        left = math.sqrt(n) * (c + math.exp(-0.5 * c * c) / math.sqrt(2.0 * math.pi) / kept)
        by_rungs = 2.0 * cells * (_SCATTER + max(0.0, math.log2(max(left, 1.0) / (2.0 * cells))))
        return cost / kept + min(_SCATTER * left, by_rungs)

    return min((k / 8.0 for k in range(1, 33)), key=total)


class _Shelf:
    """Tables put one behind the other."""

    def __init__(self) -> None:
        self.tables: list[np.ndarray] = []
        self.length = 0

    def put(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add the tables of the distinct `rates`; return where each rate's table lies and its
        lowest outcome.
        """
        distinct, which = np.unique(rates, return_inverse=True)
        bits = _bits(distinct)
        ends = np.cumsum(2**bits)
        tables, low = np.zeros(ends[-1], dtype=uint64), np.zeros(len(distinct), dtype=np.int64)
        most = 2 ** int(bits.max())
        scratch = np.empty(most), np.empty(most, dtype=np.int64)
        _fill_tables(distinct, ends - 2**bits, bits, tables, low, *scratch)
        found = place(self.length + ends - 2**bits, bits)
        self.tables.append(tables)
        self.length += len(tables)
        return found[which], low[which]


def draw_by_poisson(plan, state, scratch):
    """Overwrite `scratch.counts`, (K,) int32, with the counts of plan.n pairs, for `draw_counts`.

    A count stays below 2^31: the rate of a cell is at most 1e8 (see `fits`).
    """
    n, ladder, words = plan.n, plan.ladder, scratch.words
    counts, spare = scratch.counts, scratch.spare
    total = -1
    while total < 0:
        total = _draw_rung(np.int64(0), n, ladder, state, words, counts)
    left = n - total
    for rung in range(1, ladder.least.size):
        while left >= ladder.least[rung]:
            total = _draw_rung(rung, left, ladder, state, words, spare)
            if total >= 0:
                left -= total
                for j in range(counts.size):
                    counts[j] += spare[j]
    scatter(left, ladder.cells, state, words, counts)


@njit(**BARE)
def _draw_rung(rung, most, ladder, state, words, counts):
    """Overwrite `counts` with Poisson counts; return their total, or -1 if above `most`."""
    cells = counts.size
    total, above = ladder.base_total[rung], rung * cells
    first, last = ladder.first_pass[rung], ladder.first_pass[rung + 1]
    places, tables, rest, base = ladder.places, ladder.tables, ladder.rest, ladder.base
    if first == last:
        for j in range(cells):
            counts[j] = base[above + j]
    for k in range(first, last):
        at = k * cells
        if k > first:
            base, above = counts, 0
        total += add_outcomes(places, at, tables, rest, state, words, base, above, counts)
    pooled = ladder.pool_base[rung]
    pooled += one_outcome(next_word(state), ladder.pool_place[rung], tables, rest)
    if total + pooled > most:
        return -1
    if pooled > 0:
        start, stop = rung << ladder.pool.bits, (rung + 1) << ladder.pool.bits
        entries, pool_rest = ladder.pool.entries[start:stop], ladder.pool.rest[start:stop]
        pool = Alias(ladder.pool.bits, entries, pool_rest)
        scatter(pooled, pool, state, words, counts)
    return total + pooled
