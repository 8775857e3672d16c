"""Losses of values that are not stored as they are: rounded logarithms, multiples of a unit."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from kt_theory.kernels.divergences import HALF
from kt_theory.kernels.options import BARE
from kt_theory.kernels.policy_numbers import (
    AMOUNT,
    CHANNEL,
    KL_LEAST,
    KL_MOST,
    LAST_CODE,
    OTHER,
    RL,
    ROUNDED,
    ROUNDING,
    TAU,
    TV_LEAST,
    TV_MOST,
    R,
)
from kt_theory.kernels.row_sums import over_entries


@njit(**BARE)
def coded(p, lp, mass, k, shift, bucket, outside, what, how, q):
    """Write to q what a student makes of the values of the first k labels, e^(lp / tau - shift), as
    they are stored, up to a factor; return sum |p - q| and sum p log(p/q) over them, and what it
    gives to all others together.

    mass: the sum of the k. bucket: the mass of one more value, 0 for none. outside: how many labels
    share what is left.
    """
    last, share = 0.0, 0.0
    if what[CHANNEL] == ROUNDED:
        # log q is a multiple of the step, so that no logarithm is taken.
        whole, kl = _coarse(p, lp, k, shift, how, q)
        if bucket > 0.0:
            last = _step(-math.log(bucket), how)
        if outside > 0.0 and 1.0 - whole > (k + outside) * ROUNDING:
            share = 1.0 - whole
        whole += last + share
        kl += math.log(whole) * mass
    else:
        shown, positive = _multiples(p, lp, k, shift, how, q)
        values = k
        if bucket > 0.0:
            last = np.rint(bucket / how[AMOUNT]) * how[AMOUNT]
            values += 1
            positive += last > 0.0
        left = 1.0 - shown - last
        each = 0.0
        if left < 0.0:
            each = left / positive
        elif outside > 0.0:
            share = left
        else:
            each = left / values
        whole = share + _corrected(q, k, each, how[TAU])
        if bucket > 0.0 and (last > 0.0 or each > 0.0):
            last = max(last + each, 0.0)
        whole += last
        kl = _loss(p, lp, q, k, 1.0 / whole)
    return _away(p, q, k, 1.0 / whole), kl, (share + last) / whole


@njit(**BARE)
def whole_coded(rows, what, how, found):
    """Whole rows, every value as it is stored."""
    tau, q = how[TAU], rows.spare[0]
    for i in range(rows.number):
        shift = at_temperature(rows.lp[i][: rows.n[i]], rows.rest[RL][: rows.size], tau)
        if what[CHANNEL] == ROUNDED:
            away, kl = _all_coarse(rows, i, shift, how, q)
        else:
            away, kl = _all_multiples(rows, i, shift, how, q)
        found[TV_LEAST, i] = found[TV_MOST, i] = 0.5 * away
        found[KL_LEAST, i] = found[KL_MOST, i] = max(kl, 0.0)


@njit(**BARE)
def _all_coarse(rows, i, shift, how, q):
    """Return sum |p - q| and sum p log(p/q), logarithms rounded."""
    p, lp, n, r, rl = rows.p[i], rows.lp[i], rows.n[i], rows.rest[R], rows.rest[RL]
    other, size = rows.rest[OTHER], rows.size
    total, kl = _coarse(p, lp, n, shift, how, q)
    more, lost = _coarse(r, rl, size, shift, how, other)
    total, kl = total + more, kl + lost
    away = _away(p, q, n, 1.0 / total) + _away(r, other, size, 1.0 / total)
    return away, kl + math.log(total)


@njit(**BARE)
def _all_multiples(rows, i, shift, how, q):
    """The same of multiples of a unit. Where the last label of the head is shown as 0 the whole
    rest is, and all its labels get alike.
    """
    p, lp, n, r, rl = rows.p[i], rows.lp[i], rows.n[i], rows.rest[R], rows.rest[RL]
    other, size, tau = rows.rest[OTHER], rows.size, how[TAU]
    shown, positive = _multiples(p, lp, n, shift, how, q)
    alike = size > 0 and q[n - 1] == 0.0
    if not alike:
        more, others = _multiples(r, rl, size, shift, how, other)
        shown, positive = shown + more, positive + others
    left = 1.0 - shown
    each = left / (n + size if left >= 0.0 else positive)
    total = _corrected(q, n, each, tau)
    if alike:
        nothing = max(each, 0.0) ** tau
        total += size * nothing
        share = nothing / total
        away, kl = _apart(r, rl, size, share, math.log(share) if share > 0.0 else -math.inf)
    else:
        total += _corrected(other, size, each, tau)
        away = _away(r, other, size, 1.0 / total)
        kl = _loss(r, rl, other, size, 1.0 / total)
    return away + _away(p, q, n, 1.0 / total), kl + _loss(p, lp, q, n, 1.0 / total)


@njit(**BARE)
def at_temperature(lp, rl, tau):
    """Return the shift that makes e^(lp / tau - shift) sum to 1; 0 at temperature 1."""
    if tau == 1.0:
        return 0.0
    top = lp[0]
    total = 0.0
    for logs in (lp, rl):
        for log in logs:
            total += math.exp((log - top) / tau)
    return top / tau + math.log(total)


@njit(**BARE)
def _step(height, how):
    """Return e^(-tau d j), j the code of e^-height."""
    return math.exp(-how[TAU] * how[AMOUNT] * min(np.rint(height / how[AMOUNT]), how[LAST_CODE]))


@njit(**BARE)
def _coarse(p, lp, n, shift, how, q):
    """Write what is shown of rounded logarithms, to the power tau; return its sum, and that of
    p log(p/q) before q is divided by its own.
    """
    tau, step = how[TAU], how[AMOUNT]
    return _steps(p, lp, q, n, shift, 1.0 / tau, tau * step, step, how[LAST_CODE])


@over_entries(reads=2, writes=1, sums=2)
def _steps(p, log, shift, power, nats_of_one, step, last):
    """Write e^(-tau d j), j the codes of p > 0; their sum, and that of p log p + p tau d j."""
    code = ((shift - log * power) / step).nearest()
    nats = nats_of_one * code.where(last > code, last)
    q = (0.0 - nats).exp().where(p > 0.0)
    return [q, q, (p * (log + nats)).where(p > 0.0)]


@njit(**BARE)
def _multiples(p, lp, n, shift, how, q):
    """Write the multiples of the unit that are shown; return their sum, and how many are not 0."""
    if how[TAU] == 1.0:
        return _whole_units(p, q, n, math.exp(-shift), how[AMOUNT])
    _tempered(lp, q, n, how[TAU], shift)
    return _whole_units(q, q, n, 1.0, how[AMOUNT])


@over_entries(reads=1, writes=1, sums=0)
def _tempered(log, tau, shift):
    """Write e^(log p / tau - shift)."""
    return [(log / tau - shift).exp()]


@over_entries(reads=1, writes=1, sums=2)
def _whole_units(p, factor, unit):
    """Write p factor as the nearest multiple of the unit; the sum, and how many are above 0."""
    shown = (p * factor / unit).nearest() * unit
    return [shown, shown, p.counted(shown > 0.0)]


@njit(**BARE)
def _corrected(q, n, each, tau):
    """Add each label's share of what the sum missed, undo the temperature, and return the sum."""
    total = _shared(q, q, n, each)
    return total if tau == 1.0 else _raised(q, q, n, tau)


@over_entries(reads=1, writes=1, sums=1)
def _shared(q, each):
    """Write q + each, 0 at least; their sum."""
    more = (q + each).positive()
    return [more, more]


@over_entries(reads=1, writes=1, sums=1, width=HALF)
def _raised(q, tau):
    """Write q^tau; their sum."""
    power = (q.log() * tau).exp()
    return [power, power]


@over_entries(reads=2, sums=1)
def _away(p, q, factor):
    """Sum |p - q factor|."""
    return [abs(p - q * factor)]


@over_entries(reads=2, sums=2)
def _apart(p, log, q, log_q):
    """Sum |p - q| and p log(p/q), q alike for all."""
    return [abs(p - q), (p * (log - log_q)).where(p > 0.0)]


@over_entries(reads=3, sums=1, width=HALF)
def _loss(p, log, q, factor):
    """Sum p log(p / (q factor))."""
    return [(p * (log - (q * factor).log())).where(p > 0.0)]
