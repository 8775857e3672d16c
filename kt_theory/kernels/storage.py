"""What copies lose that are made of what a policy stores of each row: total variation and KL(p||q).

A row is its head, the labels that are known one by one in descending order; where whole rows are
longer than their heads, the rest, in the order of the labels; and where a dump lists only some
labels, the hidden ones: h labels of mass M together, none above `cap`. Of those every loss has a
least and a largest value over all spreads. The spreads are a polytope whose corners put `cap` on
as many labels as there is mass for; a sum of convex functions of one label is largest there, and
least where all labels are equal; of concave ones the other way round.

Rows that list some labels are taken several at a time, policy by policy; longer ones one by one.

Legend: p, lp a row's probabilities and their logarithms; tail[j] the mass from label j on, beyond
the head too; plogp[j] the sum of p log p over the first j; r, rl the rest; A labels; N draws.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kt_theory.kernels.coded_values import whole_coded
from kt_theory.kernels.drawn_labels import drawn, stated, weighted
from kt_theory.kernels.kept_labels import hidden_plogp, kept
from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.policy_numbers import (
    AS_IS,
    CAP,
    CHANNEL,
    CHANNEL_ERROR,
    EVEN,
    HEAPED,
    KIND,
    KL_MOST,
    LIGHT,
    MASS,
    POOLED,
    RL,
    SAMPLED,
    SAMPLED_STATED,
    SHARE,
    SIZE,
    SOFT,
    STORED,
    TV_MOST,
    UNITS,
    R,
    Rows,
)
from kt_theory.kernels.row_sums import over_entries
from kt_theory.kernels.statistics import BINS, DROP, OFFSET, SCALE

_GRID = 1.0 / SCALE
_EXACT = 4096  # as many numbers of 41 bits as a float64 sums up without rounding


@njit(**LEAF)
def storage_losses(
    heads, lengths, logs, thresholds, complete, what, how, choices, room, found, masses
):
    """Write the losses of every row under every policy to found (P, 5, m).

    Parameters
    ----------
    heads : (m, H) float64
        Log-probabilities in descending order.
    lengths : (m,) int64
        How many of them a row has.
    logs : (m, A) float64
        All log-probabilities in the order of the labels, where rows are longer than their heads;
        (0, 0) otherwise.
    thresholds : (m,) float64
        The last of each head: what is below it, or equal but no longer in the head, is the rest.
    complete : bool
        Whether what is listed is the whole of the mass, as of whole rows.
    what : (P, 4) int64
    how : (P, 5) float64
    choices : (P, T) float64
        Of a policy that draws N labels, N at most T, C(N-1, j) for j below N.
    room : Rows
        Room for some rows at a time, 1 where they are longer than their heads: W is H + 1 or
        more, and S that and 4096 or more.
    found : (P, 5, m) float64
        NaN where a head is too short for its row, though the rest is known.
    masses : (m,) float64
        The hidden mass of each row.
    """
    policies, most = what.shape[0], 1
    for j in range(policies):
        if what[j, KIND] >= SAMPLED:
            most = max(most, what[j, POOLED], what[j, SIZE])
    r, rl, facts = room.rest[R], room.rest[RL], room.facts
    for start in range(0, heads.shape[0], room.number):
        stop = min(start + room.number, heads.shape[0])
        size, heavy, rest_plogp = 0, 0, 0.0
        if logs.shape[0] > 0:
            size = _split_rest(heads[start, : lengths[start]], logs[start], thresholds[start], rl)
        for i in range(stop - start):
            n = lengths[start + i]
            hidden = room.labels - n - size
            rest_plogp = _lay_out(heads[start + i], n, hidden, complete, r, rl, size, room, i)
            masses[start + i] = facts[MASS, i]
        if size > 0:
            light = LIGHT / most
            if room.p[0, lengths[start] - 1] > light:
                heavy = _heavy_first(r, rl, size, light)
            _write_powers(r[heavy:], size - heavy, room.powers)
        room.draws[0] = 0
        rows = Rows(
            room.p,
            room.lp,
            room.tail,
            room.plogp,
            room.missed,
            room.draws,
            room.spare,
            lengths[start:stop],
            facts,
            room.rest,
            room.powers,
            stop - start,
            room.labels,
            size,
            heavy,
            rest_plogp,
        )
        for j in range(policies):
            _one(rows, what[j], how[j], choices[j], found[j, :, start:stop])


@njit(**BARE)
def _split_rest(head, row, threshold, rl):
    """Write the logarithms of the rest to rl; return how many."""
    size, alike = 0, 0
    for a in range(row.size):
        x = row[a]
        rl[size] = x
        size += x < threshold
        alike += x == threshold
    for j in range(head.size - 1, -1, -1):
        if head[j] != threshold:
            break
        alike -= 1
    rl[size : size + alike] = threshold
    return size + alike


@over_entries(reads=1, writes=1, sums=1)
def _exponentials(log):
    """Write e^x; their sum."""
    p = log.exp()
    return [p, p]


@over_entries(reads=2, writes=2, sums=2)
def _normalised(p, log, factor, shift):
    """Write p factor and log p - shift; the sums of p and p log p."""
    p, log = p * factor, log - shift
    return [p, log, p, (p * log).where(p > 0.0)]


@njit(**BARE)
def _lay_out(logs, n, hidden, complete, r, rl, size, room, i):
    """Fill row i of p, lp, tail, plogp and facts, r and rl with a row that sums to 1; return the
    rest's sum of p log p.
    """
    p, lp, tail, plogp, facts = room.p[i], room.lp[i], room.tail[i], room.plogp[i], room.facts
    total = _exponentials(logs, p, n) + _exponentials(rl, r, size)
    mass = 0.0
    if hidden > 0 and not complete and total < 1.0:
        mass = 1.0 - total
        total = 1.0
    shift, factor = math.log(total), 1.0 / total
    rest_mass, rest_plogp = _normalised(r, rl, r, rl, size, factor, shift)
    _normalised(p, logs, p, lp, n, factor, shift)
    left, total = rest_mass + mass, 0.0
    for j in range(n):
        tail[n - j], plogp[j] = left, total
        left += p[n - j - 1]
        total += p[j] * lp[j] if p[j] > 0.0 else 0.0
    tail[0], plogp[n] = left, total
    cap = 0.0
    if hidden > 0:
        # Rounded values may hide more than their own cap allows: the least that holds it then.
        cap = max(p[n - 1], mass / hidden)
    facts[MASS, i], facts[CAP, i] = mass, cap
    facts[EVEN, i], facts[HEAPED, i] = hidden_plogp(mass, hidden, cap)
    return rest_plogp


@njit(**BARE)
def _heavy_first(r, rl, size, light):
    """Move the rest's labels above `light` to its front; return how many there are."""
    heavy = 0
    for j in range(size):
        if r[j] > light:
            r[j], r[heavy] = r[heavy], r[j]
            rl[j], rl[heavy] = rl[heavy], rl[j]
            heavy += 1
    return heavy


@njit(**BARE)
def _write_powers(r, size, powers):
    """Write 0 and the sums of powers 1 to ORDER."""
    powers[0] = 0.0
    powers[1], powers[2], powers[3], powers[4], powers[5], powers[6] = _powers(r, size)


@over_entries(reads=1, sums=6)
def _powers(x):
    """Sum x, x^2, ..., x^6."""
    x2 = x * x
    x4 = x2 * x2
    return [x, x2, x2 * x, x4, x4 * x, x4 * x2]


@njit(**BARE)
def _one(rows, what, how, choices, found):
    """Write the losses of some rows under one policy."""
    kind = what[KIND]
    if kind == SAMPLED and how[SHARE] == 1.0:
        drawn(rows, what, choices, found)
    elif kind == SAMPLED:
        weighted(rows, what, how[SHARE], choices, found)
    elif kind == SAMPLED_STATED:
        stated(rows, what, choices, found)
    elif kind == SOFT:
        _all_kept(rows, what, how, found)
    else:
        kept(rows, what, how, found)


@njit(**BARE)
def _all_kept(rows, what, how, found):
    """Every value is kept."""
    found[:] = 0.0
    found[STORED] = rows.labels
    if what[CHANNEL] == AS_IS:
        return
    if rows.labels > rows.n[0] + rows.size:
        found[TV_MOST], found[KL_MOST] = how[CHANNEL_ERROR], math.inf
    else:
        whole_coded(rows, what, how, found)


@njit(**LEAF)
def add_up(found, wholes, fractions, infinite, largest, histogram):
    """Add what was found of rows (P, 5, m), none of it negative.

    Parameters
    ----------
    found : (P, 5, m) float64
    wholes, fractions : (5, P) int64
        Of finite values: the sums of the whole parts, and of the rest in units of 2^-40.
    infinite : (5, P) int64
        How many are infinite.
    largest : (P,) float64
        Of the upper bounds of TV.
    histogram : (P, BINS) int64
        Of the upper bounds of TV, as `statistics` reads it.
    """
    policies, columns, rows = found.shape
    for j in range(policies):
        for column in range(columns):
            for start in range(0, rows, _EXACT):
                values = found[j, column, start : start + _EXACT]
                whole, fraction, ends = _whole_and_rest(values, values.size, UNITS, math.inf)
                wholes[column, j] += int(whole)
                fractions[column, j] += int(fraction)
                infinite[column, j] += int(ends)
        values, most = found[j, TV_MOST], largest[j]
        for i in range(rows):
            x = values[i]
            most = max(most, x)
            on_grid = np.int64(x * SCALE + 0.5) * _GRID
            index = np.int64(np.float64(on_grid).view(np.uint64) >> DROP) - OFFSET + 1
            histogram[j, min(max(index, 0), BINS - 1)] += 1
        largest[j] = most


@over_entries(reads=1, sums=3)
def _whole_and_rest(x, units, end):
    """Sum the whole parts of finite numbers, and the rest in units, rounded; count the others."""
    finite = end > x
    kept = x.where(finite)
    whole = kept.floor()
    return [whole, ((kept - whole) * units + 0.5).floor(), kept.counted(x > kept)]
