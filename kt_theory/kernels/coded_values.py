"""Losses of values that are not stored as they are: rounded logarithms, multiples of a unit."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

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
def coded(p, lp, mass, k, shift, bucket, outside, what, how, table, q):
    """Write to q what a student makes of the values of the first k labels, e^(lp / tau - shift), as
    they are stored, up to a factor; return sum |p - q| and sum p log(p/q) over them, and what it
    gives to all others together.

    mass: the sum of the k. bucket: the mass of one more value, 0 for none. outside: how many labels
    share what is left.
    """
    last, share = 0.0, 0.0
    if what[CHANNEL] == ROUNDED:
        # log q is a multiple of the step, so that no logarithm is taken.
        whole, kl = _steps(p, lp, k, shift, how, table, q)
        if bucket > 0.0:
            last = _step(-math.log(bucket), how, table)
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
        kl = _loss(p, lp, q, k, whole)
    return _away(p, q, k, 1.0 / whole), kl, (share + last) / whole


@njit(**BARE)
def whole_coded(rows, what, how, table, found):
    """Whole rows, every value as it is stored."""
    rest, size, tau, other = rows.rest, rows.size, how[TAU], rows.rest[OTHER]
    r, rl, q = rest[R], rest[RL], rows.spare[0]
    for i in range(rows.count):
        p, lp, n = rows.p[i], rows.lp[i], rows.n[i]
        shift = at_temperature(lp[:n], rl[:size], tau)
        if what[CHANNEL] == ROUNDED:
            head_total, head_kl = _steps(p, lp, n, shift, how, table, q)
            rest_total, rest_kl = _steps(r, rl, size, shift, how, table, other)
            total = head_total + rest_total
            kl = head_kl + rest_kl + math.log(total)
        else:
            head_total, head_positive = _multiples(p, lp, n, shift, how, q)
            rest_total, rest_positive = _multiples(r, rl, size, shift, how, other)
            left = 1.0 - (head_total + rest_total)
            takers = n + size if left >= 0.0 else head_positive + rest_positive
            each = left / takers
            total = _corrected(q, n, each, tau) + _corrected(other, size, each, tau)
            kl = _loss(p, lp, q, n, total) + _loss(r, rl, other, size, total)
        away = _away(p, q, n, 1.0 / total) + _away(r, other, size, 1.0 / total)
        found[TV_LEAST, i] = found[TV_MOST, i] = 0.5 * away
        found[KL_LEAST, i] = found[KL_MOST, i] = max(kl, 0.0)


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
def _step(height, how, table):
    """Return e^(-tau d j), j the code of e^-height."""
    code = min(np.rint(height / how[AMOUNT]), how[LAST_CODE])
    if code < table.size:
        return table[int(code)]
    return math.exp(-how[TAU] * how[AMOUNT] * code)


@njit(**BARE)
def _steps(p, lp, n, shift, how, table, q):
    """Write what is shown of rounded logarithms, to the power tau; return its sum, and that of
    p log(p/q) before q is divided by its own.
    """
    step, last, tau = how[AMOUNT], how[LAST_CODE], how[TAU]
    total, kl = 0.0, 0.0
    for a in range(n):
        q[a] = 0.0
        if p[a] > 0.0:
            height = shift - lp[a] if tau == 1.0 else shift - lp[a] / tau
            code = min(np.rint(height / step), last)
            nats = tau * step * code
            q[a] = table[int(code)] if code < table.size else math.exp(-nats)
            total += q[a]
            kl += p[a] * (lp[a] + nats)
    return total, kl


@njit(**BARE)
def _multiples(p, lp, n, shift, how, q):
    """Write the multiples of the unit that are shown; return their sum, and how many are not 0."""
    unit, tau = how[AMOUNT], how[TAU]
    plain = tau == 1.0
    factor = math.exp(-shift)
    total, positive = 0.0, 0
    for a in range(n):
        x = p[a] * factor if plain else math.exp(lp[a] / tau - shift)
        q[a] = np.rint(x / unit) * unit
        total += q[a]
        positive += q[a] > 0.0
    return total, positive


@njit(**BARE)
def _raised(x, tau):
    return x if tau == 1.0 else x**tau


@njit(**BARE)
def _corrected(q, n, each, tau):
    """Add each label's share of what the sum missed, undo the temperature, and return the sum."""
    nothing = _raised(max(each, 0.0), tau)
    total = 0.0
    for a in range(n):
        q[a] = _raised(max(q[a] + each, 0.0), tau) if q[a] > 0.0 else nothing
        total += q[a]
    return total


@over_entries(reads=2, sums=1)
def _away(p, q, factor):
    """Sum |p - q factor|."""
    return [abs(p - q * factor)]


@njit(**BARE)
def _loss(p, lp, q, n, total):
    """Return the sum of p log(p/q); q repeats itself, and so do its logarithms."""
    kl, before, log = 0.0, -1.0, 0.0
    for a in range(n):
        if p[a] > 0.0:
            if q[a] != before:
                before = q[a]
                log = math.log(before / total) if before > 0.0 else -math.inf
            kl += p[a] * (lp[a] - log)
    return kl
