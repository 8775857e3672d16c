"""What copies lose that are made of what a policy stores of each row: total variation and KL(p||q).

A row is its head, the labels that are known one by one in descending order; where whole rows are
longer than their heads, the rest, in the order of the labels; and where a dump lists only some
labels, the hidden ones: h labels of mass M together, none above `cap`. Of those every loss has a
least and a largest value over all spreads. The spreads are a polytope whose corners put `cap` on
as many labels as there is mass for; a sum of convex functions of one label is largest there, and
least where all labels are equal; of concave ones the other way round.

Legend: p, lp a row's probabilities and their logarithms; tail[j] the mass from label j on, beyond
the head too; plogp[j] the sum of p log p over the first j; r, rl the rest; A labels; N draws.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kt_theory.kernels.coded_values import whole_coded
from kt_theory.kernels.drawn_labels import drawn, stated
from kt_theory.kernels.exponentials import exponentials
from kt_theory.kernels.kept_labels import beyond, cut, reach, with_tail
from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.policy_numbers import (
    AS_IS,
    CHANNEL,
    CHANNEL_ERROR,
    EVEN_TAIL,
    KIND,
    KL_MOST,
    LIGHT,
    POOLED,
    SAMPLED,
    SAMPLED_STATED,
    SHARE,
    SIZE,
    SOFT,
    STORED,
    TAIL_MASS,
    TOP_P,
    TV_MOST,
    UNITS,
    Row,
)
from kt_theory.kernels.statistics import BINS, DROP, OFFSET, SCALE

_GRID = 1.0 / SCALE


@njit(**LEAF)
def storage_losses(
    heads,
    lengths,
    rows,
    thresholds,
    labels,
    complete,
    what,
    how,
    tables,
    scratch,
    rest,
    found,
    masses,
):
    """Write the losses of every row under every policy to found (m, P, 5).

    Parameters
    ----------
    heads : (m, H) float64
        Log-probabilities in descending order.
    lengths : (m,) int64
        How many of them a row has.
    rows : (m, A) float64
        All log-probabilities in the order of the labels, where rows are longer than their heads;
        (0, 0) otherwise.
    thresholds : (m,) float64
        The last of each head: what is below it, or equal but no longer in the head, is the rest.
    labels : int
        A.
    complete : bool
        Whether what is listed is the whole of the mass, as of whole rows.
    what : (P, 4) int64
    how : (P, 5) float64
    tables : (P, T) float64
        e^(-tau d j) of a policy that rounds to multiples of d, for codes j below T.
    scratch : (10, H + 1) float64
    rest : (5, A) float64, or (5, 0)
    found : (m, P, 5) float64
        NaN where a head is too short for its row, though the rest is known.
    masses : (m,) float64
        The hidden mass of each row.
    """
    policies = what.shape[0]
    most = 1
    for j in range(policies):
        if what[j, KIND] >= SAMPLED:
            most = max(most, what[j, POOLED], what[j, SIZE])
    p, lp, tail, plogp, q, powers = (
        scratch[0],
        scratch[1],
        scratch[2],
        scratch[3],
        scratch[4],
        scratch[5],
    )
    r, rl, other = rest[0], rest[1], rest[2]
    for i in range(heads.shape[0]):
        n = lengths[i]
        size = 0
        if rows.shape[0] > 0:
            size = _split_rest(heads[i], rows[i], thresholds[i], r, rl)
        hidden = labels - n - size
        rest_plogp, mass, cap = _prepare(
            heads[i], n, r, rl, size, other, hidden, complete, p, lp, tail, plogp
        )
        heavy = _light_powers(r, rl, size, LIGHT / most, powers)
        masses[i] = mass
        row = Row(scratch, rest, n, size, heavy, hidden, rest_plogp, mass, cap)
        for j in range(policies):
            _one(row, labels, what[j], how[j], tables[j], q, other, found[i, j])


@njit(**BARE)
def _split_rest(logs, row, threshold, r, rl):
    """Write the logarithms of the rest to rl; return how many."""
    equal = 0
    for j in range(logs.size - 1, -1, -1):
        if logs[j] != threshold:
            break
        equal += 1
    size = 0
    for a in range(row.size):
        x = row[a]
        if x < threshold:
            rl[size] = x
            size += 1
        elif x == threshold:
            if equal > 0:
                equal -= 1
            else:
                rl[size] = x
                size += 1
    return size


@njit(**BARE)
def _prepare(logs, n, r, rl, size, scale, hidden, complete, p, lp, tail, plogp):
    """Fill p, lp, tail, plogp and r with a row that sums to 1; return the rest's sum of p log p,
    the hidden mass and the cap.
    """
    exponentials(logs, n, p, lp)
    exponentials(rl, size, r, scale)
    listed, more = 0.0, 0.0
    for j in range(n):
        listed += p[j]
    for j in range(size):
        more += r[j]
    total = listed + more
    mass = 0.0
    if hidden > 0 and not complete and total < 1.0:
        mass = 1.0 - total
        total = 1.0
    shift, factor = math.log(total), 1.0 / total
    rest_mass, rest_plogp = 0.0, 0.0
    for j in range(size):
        r[j] *= factor
        rl[j] -= shift
        rest_mass += r[j]
        if r[j] > 0.0:
            rest_plogp += r[j] * rl[j]
    plogp[0] = 0.0
    for j in range(n):
        p[j] *= factor
        lp[j] = logs[j] - shift
        plogp[j + 1] = plogp[j] + (p[j] * lp[j] if p[j] > 0.0 else 0.0)
    tail[n] = rest_mass + mass
    for j in range(n - 1, -1, -1):
        tail[j] = tail[j + 1] + p[j]
    cap = 0.0
    if hidden > 0:
        # Rounded values may hide more than their own cap allows: the least that holds it then.
        cap = max(p[n - 1], mass / hidden)
    return rest_plogp, mass, cap


@njit(**BARE)
def _light_powers(r, rl, size, light, powers):
    """Move the rest's labels above `light` to its front; write the sums of powers 0 to ORDER of the
    others. Return how many are above.
    """
    heavy = 0
    s1, s2, s3, s4, s5, s6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(size):
        x = r[j]
        if x > light:
            r[j], r[heavy] = r[heavy], x
            rl[j], rl[heavy] = rl[heavy], rl[j]
            heavy += 1
        else:
            x2 = x * x
            s1 += x
            s2 += x2
            s3 += x2 * x
            s4 += x2 * x2
            s5 += x2 * x2 * x
            s6 += x2 * x2 * x2
    powers[0] = size - heavy
    powers[1], powers[2], powers[3], powers[4], powers[5], powers[6] = s1, s2, s3, s4, s5, s6
    return heavy


@njit(**BARE)
def _one(row, labels, what, how, table, q, other, found):
    """Write the losses of one row under one policy."""
    n, size, hidden = row.n, row.size, row.hidden
    kind, k = what[KIND], what[SIZE]
    found[:] = 0.0
    if kind == SAMPLED:
        drawn(row, labels, what, how[SHARE], q, other, found)
    elif kind == SAMPLED_STATED:
        stated(row, labels, what, q, other, found)
    elif kind == SOFT:
        found[STORED] = labels
        if what[CHANNEL] != AS_IS and hidden > 0:
            found[TV_MOST], found[KL_MOST] = how[CHANNEL_ERROR], math.inf
        elif what[CHANNEL] != AS_IS:
            whole_coded(row, what, how, table, q, other, found)
    else:
        if kind == TOP_P:
            k = reach(row, how[SHARE])
        if k > n and size > 0:
            found[:] = math.nan
        elif k > n:
            beyond(row, kind, k, how, found)
        elif kind in (EVEN_TAIL, TAIL_MASS):
            with_tail(row, labels, what, how, table, k, q, found)
        else:
            cut(row, what, how, table, k, q, found)


@njit(**LEAF)
def add_up(found, wholes, fractions, infinite, largest, histogram):
    """Add what was found of rows (m, P, 5), none of it negative.

    Parameters
    ----------
    found : (m, P, 5) float64
    wholes, fractions : (5, P) int64
        Of finite values: the sums of the whole parts, and of the rest in units of 2^-40.
    infinite : (5, P) int64
        How many are infinite.
    largest : (P,) float64
        Of the upper bounds of TV.
    histogram : (P, BINS) int64
        Of the upper bounds of TV, as `statistics` reads it.
    """
    rows, policies, columns = found.shape
    for j in range(policies):
        for column in range(columns):
            whole_sum, fraction_sum, ends = np.int64(0), np.int64(0), 0
            for i in range(rows):
                x = found[i, j, column]
                if x == math.inf:
                    ends += 1
                else:
                    whole = np.int64(x)
                    whole_sum += whole
                    fraction_sum += np.int64((x - whole) * UNITS + 0.5)
            wholes[column, j] += whole_sum
            fractions[column, j] += fraction_sum
            infinite[column, j] += ends
        for i in range(rows):
            x = found[i, j, TV_MOST]
            largest[j] = max(largest[j], x)
            on_grid = np.int64(x * SCALE + 0.5) * _GRID
            index = np.int64(np.float64(on_grid).view(np.uint64) >> DROP) - OFFSET + 1
            histogram[j, min(max(index, 0), BINS - 1)] += 1
