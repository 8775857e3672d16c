"""Losses where the most probable labels are kept: the others get nothing, or share the rest."""

from __future__ import annotations

import math

from numba import njit

from kt_theory.kernels.coded_values import at_temperature, coded
from kt_theory.kernels.options import BARE
from kt_theory.kernels.policy_numbers import (
    AS_IS,
    CHANNEL,
    CHANNEL_ERROR,
    EVEN_TAIL,
    KIND,
    KL_LEAST,
    KL_MOST,
    LP,
    PLOGP,
    RL,
    ROUNDING,
    SHARE,
    STORED,
    TAIL,
    TAIL_MASS,
    TAU,
    TOP_P,
    TV_LEAST,
    TV_MOST,
    P,
    R,
)


@njit(**BARE)
def reach(row, share):
    """Return the least k whose mass reaches `share`, n + 1 where the head does not."""
    tail, n = row.head[TAIL], row.n
    left = 1.0 - share
    for k in range(1, n + 1):
        if tail[k] <= left * (1.0 + 4.0 * ROUNDING):
            return k
    return n + 1


@njit(**BARE)
def cut(row, what, how, table, k, q, found):
    """p_T / P on the first k labels, 0 elsewhere."""
    tail = row.head[TAIL]
    lost = tail[k]
    found[STORED] = k
    away, kl = lost, 0.0
    if what[CHANNEL] != AS_IS:
        shift = at_temperature(row.head[LP][:k], row.rest[RL][:0], how[TAU])
        if how[TAU] == 1.0:
            shift = math.log(tail[0] - lost)
        away, kl, _ = coded(row, k, shift, 0.0, 0.0, what, how, table, q)
        away += lost
        away *= 0.5
    if lost > 0.0:
        kl = math.inf
    found[TV_LEAST] = found[TV_MOST] = away
    found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)


@njit(**BARE)
def with_tail(row, labels, what, how, table, k, q, found):
    """p on the first k labels, the rest shared equally or free."""
    lost = row.head[TAIL][k]
    outside = labels - k
    found[STORED] = k
    bucket = what[KIND] == TAIL_MASS
    away, kl, given = 0.0, 0.0, lost
    if what[CHANNEL] != AS_IS:
        # The bucket's value is the last of k + 1; equal shares are what the channel's student does.
        if bucket:
            away, kl, given = coded(row, k, 0.0, lost, 0.0, what, how, table, q)
        else:
            away, kl, given = coded(row, k, 0.0, 0.0, float(outside), what, how, table, q)
    if bucket:
        least = _least_outside(row, k)
        found[TV_LEAST] = 0.5 * (away + abs(lost - given))
        found[TV_MOST] = 0.5 * (away + lost - least + abs(given - least))
        found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)
        if lost > 0.0:
            more = lost * math.log(lost / given) if given > 0.0 else math.inf
            found[KL_LEAST] = max(kl + more, 0.0)
            found[KL_MOST] = math.inf if outside > 1 else found[KL_LEAST]
        return
    share = given / outside
    low, high = _above(row, k, share)
    spread = lost - given
    found[TV_LEAST] = 0.5 * (away + max(2.0 * low - spread, 0.0))
    found[TV_MOST] = 0.5 * (away + max(2.0 * high - spread, 0.0))
    if lost <= 0.0:
        found[KL_LEAST] = found[KL_MOST] = max(kl, 0.0)
    elif share <= 0.0:
        found[KL_LEAST] = found[KL_MOST] = math.inf
    else:
        even, heaped = _tail_plogp(row, k)
        rest = kl - lost * math.log(share)
        found[KL_LEAST] = max(rest + even, 0.0)
        found[KL_MOST] = max(rest + heaped, 0.0)


@njit(**BARE)
def _above(row, k, share):
    """Return the least and the largest sum of (p - share)^+ beyond the first k labels."""
    p, n, r, size = row.head[P], row.n, row.rest[R], row.size
    mass, hidden, cap = row.mass, row.hidden, row.cap
    low = 0.0
    at = k
    while at < n and p[at] > share:
        low += p[at] - share
        at += 1
    if at == n:
        low += _rest_above(r, size, share)
    high = low
    if mass > 0.0:
        low += max(mass - hidden * share, 0.0)
        full = min(math.floor(mass / cap), hidden)
        high += full * max(cap - share, 0.0) + max(mass - full * cap - share, 0.0)
        high = max(low, high)
    return low, high


@njit(**BARE)
def _rest_above(r, size, share):
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    stop = size - size % 4
    for j in range(0, stop, 4):
        one += max(r[j] - share, 0.0)
        two += max(r[j + 1] - share, 0.0)
        three += max(r[j + 2] - share, 0.0)
        four += max(r[j + 3] - share, 0.0)
    for j in range(stop, size):
        one += max(r[j] - share, 0.0)
    return (one + two) + (three + four)


@njit(**BARE)
def _tail_plogp(row, k):
    """Return the least and the largest sum of p log p beyond the first k labels."""
    plogp, n, rest_plogp = row.head[PLOGP], row.n, row.rest_plogp
    mass, hidden, cap = row.mass, row.hidden, row.cap
    known = plogp[n] - plogp[k] + rest_plogp
    if mass <= 0.0:
        return known, known
    low, high = hidden_plogp(mass, hidden, cap)
    return known + low, known + high


@njit(**BARE)
def hidden_plogp(mass, hidden, cap):
    """Return the least and the largest sum of p log p over hidden labels."""
    low = mass * math.log(mass / hidden)
    full = min(math.floor(mass / cap), hidden)
    left = mass - full * cap
    high = full * cap * math.log(cap)
    if left > 0.0:
        high += left * math.log(left)
    return low, max(low, high)


@njit(**BARE)
def _least_outside(row, k):
    """Return the least that the least probable label can have."""
    p, n, r, size = row.head[P], row.n, row.rest[R], row.size
    mass, hidden, cap = row.mass, row.hidden, row.cap
    if hidden > 0:
        return max(mass - (hidden - 1) * cap, 0.0)
    least = p[n - 1] if k < n else math.inf
    for j in range(size):
        least = min(least, r[j])
    return least


@njit(**BARE)
def beyond(row, kind, k, how, found):
    """Bounds where the first k labels are not all listed: j = k - n of the hidden ones are kept."""
    n, mass, hidden, cap = row.n, row.mass, row.hidden, row.cap
    if kind == TOP_P:
        wanted = max(how[SHARE] - (1.0 - mass), 0.0)
        least = max(mass - wanted - cap, 0.0)
        most = mass - wanted
        found[STORED] = n + min(math.ceil(wanted * hidden / mass), hidden) if mass > 0.0 else n
    else:
        j = k - n
        found[STORED] = k
        least = max(mass - j * cap, 0.0)
        most = mass * (1.0 - j / hidden)
        if kind == EVEN_TAIL:
            a, b = math.sqrt(j), math.sqrt(hidden)
            least, most = 0.0, mass * (b - a) / (b + a)
        elif kind == TAIL_MASS:
            least = 0.0
    error = how[CHANNEL_ERROR]
    found[TV_LEAST] = max(least - error, 0.0)
    found[TV_MOST] = min(most + error, 1.0)
    found[KL_MOST] = math.inf if mass > 0.0 or error > 0.0 else 0.0
    if kind not in (EVEN_TAIL, TAIL_MASS) and least > 0.0:
        found[KL_LEAST] = math.inf
