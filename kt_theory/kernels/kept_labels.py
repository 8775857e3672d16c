"""Losses where the most probable labels are kept: the others get nothing, or share the rest."""

from __future__ import annotations

import math

from numba import njit

from kt_theory.kernels.coded_values import at_temperature, coded
from kt_theory.kernels.heaviest import crossing
from kt_theory.kernels.options import BARE, INLINE
from kt_theory.kernels.policy_numbers import (
    AS_IS,
    CAP,
    CHANNEL,
    CHANNEL_ERROR,
    EVEN,
    EVEN_TAIL,
    HEAPED,
    KIND,
    KL_LEAST,
    KL_MOST,
    MASS,
    OTHER,
    RL,
    ROUNDING,
    SHARE,
    SIZE,
    STORED,
    TAIL_MASS,
    TAU,
    TOP_P,
    TV_LEAST,
    TV_MOST,
    R,
)
from kt_theory.kernels.row_sums import over_entries


@njit(**BARE)
def kept(rows, what, how, found):
    """Write the losses where the first k labels are kept, k fixed or as many as reach a mass."""
    kind, free = what[KIND], what[CHANNEL] == AS_IS
    for i in range(rows.number):
        n, tail, k = rows.n[i], rows.tail[i], what[SIZE]
        if kind == TOP_P:
            k = _reach(tail, n, _allowed(how[SHARE]))
        if k > n:
            if rows.size == 0:
                _beyond(rows, i, k, what, how, found)
            elif kind == TOP_P and free:
                _into_the_rest(rows, how[SHARE], found)
            else:
                found[:, i] = math.nan
            continue
        away, kl, given = 0.0, 0.0, tail[k]
        if not free:
            away, kl, given = _shown(rows, i, k, what, how)
        found[STORED, i] = k
        if kind == TAIL_MASS:
            _free_tail(rows, i, k, away, kl, given, found)
        elif kind == EVEN_TAIL:
            _even_tail(rows, i, k, away, kl, given, found)
        else:
            _cut(tail[k], tail[k] if free else away, kl, i, found)


@njit(**BARE)
def _allowed(share):
    """Return what a policy that reaches `share` may leave out."""
    return (1.0 - share) * (1.0 + 4.0 * ROUNDING)


@njit(**BARE)
def _reach(tail, n, left):
    """Return the least k from 1 on that leaves no more, n + 1 where the head does not."""
    if tail[n] > left:
        return n + 1
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if tail[middle] <= left:
            high = middle
        else:
            low = middle + 1
    return low


@njit(**BARE)
def _into_the_rest(rows, share, found):
    """The head of the one row does not reach `share`: the most probable of its rest do."""
    stay, lost = crossing(rows.rest[R], rows.size, _allowed(share), rows.rest[OTHER], rows.spare[0])
    found[TV_LEAST, 0] = found[TV_MOST, 0] = lost
    found[KL_LEAST, 0] = found[KL_MOST, 0] = math.inf if lost > 0.0 else 0.0
    found[STORED, 0] = rows.n[0] + rows.size - stay


@njit(**INLINE)
def _shown(rows, i, k, what, how):
    """Return what `coded` does of the first k labels."""
    kind, tail, shift, bucket, outside = what[KIND], rows.tail[i], 0.0, 0.0, 0.0
    if kind == TAIL_MASS:
        bucket = tail[k]  # its value is the last of k + 1
    elif kind == EVEN_TAIL:
        outside = float(rows.labels - k)
    else:
        shift = at_temperature(rows.lp[i][:k], rows.rest[RL][:0], how[TAU])
        if how[TAU] == 1.0:
            shift = math.log(tail[0] - tail[k])
    mass = tail[0] - tail[k]
    return coded(rows.p[i], rows.lp[i], mass, k, shift, bucket, outside, what, how, rows.spare[0])


@njit(**INLINE)
def _cut(lost, away, kl, i, found):
    """p_T / P on the first k labels, 0 elsewhere."""
    found[TV_LEAST, i] = found[TV_MOST, i] = 0.5 * (away + lost)
    found[KL_LEAST, i] = found[KL_MOST, i] = math.inf if lost > 0.0 else max(kl, 0.0)


@njit(**INLINE)
def _free_tail(rows, i, k, away, kl, given, found):
    """p on the first k labels, the rest as it likes."""
    lost = rows.tail[i, k]
    least = _least_outside(rows, i, k)
    found[TV_LEAST, i] = 0.5 * (away + abs(lost - given))
    found[TV_MOST, i] = 0.5 * (away + lost - least + abs(given - least))
    found[KL_LEAST, i] = found[KL_MOST, i] = max(kl, 0.0)
    if lost > 0.0:
        more = lost * math.log(lost / given) if given > 0.0 else math.inf
        found[KL_LEAST, i] = max(kl + more, 0.0)
        found[KL_MOST, i] = math.inf if rows.labels - k > 1 else found[KL_LEAST, i]


@njit(**INLINE)
def _even_tail(rows, i, k, away, kl, given, found):
    """p on the first k labels, the rest shared equally."""
    lost = rows.tail[i, k]
    share = given / (rows.labels - k)
    low, high = _above(rows, i, k, share)
    spread = lost - given
    found[TV_LEAST, i] = 0.5 * (away + max(2.0 * low - spread, 0.0))
    found[TV_MOST, i] = 0.5 * (away + max(2.0 * high - spread, 0.0))
    if lost <= 0.0:
        found[KL_LEAST, i] = found[KL_MOST, i] = max(kl, 0.0)
    elif share <= 0.0:
        found[KL_LEAST, i] = found[KL_MOST, i] = math.inf
    else:
        rest = kl - lost * math.log(share) + _plogp_beyond(rows, i, k)
        found[KL_LEAST, i] = max(rest + rows.facts[EVEN, i], 0.0)
        found[KL_MOST, i] = max(rest + rows.facts[HEAPED, i], 0.0)


@njit(**BARE)
def _above(rows, i, k, share):
    """Return the least and the largest sum of (p - share)^+ beyond the first k labels."""
    p, n, tail = rows.p[i], rows.n[i], rows.tail[i]
    mass, cap = rows.facts[MASS, i], rows.facts[CAP, i]
    hidden = rows.labels - n - rows.size
    low, high = k, n
    if k < n and p[n - 1] > share:
        low = n
    while low < high:
        middle = (low + high) // 2
        if p[middle] > share:
            low = middle + 1
        else:
            high = middle
    least = max(tail[k] - tail[low] - (low - k) * share, 0.0)
    if low == n:
        least += rest_above(rows.rest[R], rows.size, share)
    most = least
    if mass > 0.0:
        full = min(math.floor(mass / cap), hidden)
        most += full * max(cap - share, 0.0) + max(mass - full * cap - share, 0.0)
        least += max(mass - hidden * share, 0.0)
        most = max(least, most)
    return least, most


@over_entries(reads=1, sums=1)
def rest_above(r, share):
    """Sum (r - share)^+."""
    return [(r - share).positive()]


@njit(**BARE)
def _plogp_beyond(rows, i, k):
    """Return the sum of p log p over the known labels beyond the first k."""
    return rows.plogp[i, rows.n[i]] - rows.plogp[i, k] + rows.rest_plogp


@njit(**BARE)
def hidden_plogp(mass, hidden, cap):
    """Return the least and the largest sum of p log p over hidden labels."""
    if mass <= 0.0:
        return 0.0, 0.0
    low = mass * math.log(mass / hidden)
    full = min(math.floor(mass / cap), hidden)
    left = mass - full * cap
    high = full * cap * math.log(cap)
    if left > 0.0:
        high += left * math.log(left)
    return low, max(low, high)


@njit(**BARE)
def _least_outside(rows, i, k):
    """Return the least that the least probable label can have."""
    n, r = rows.n[i], rows.rest[R]
    hidden = rows.labels - n - rows.size
    if hidden > 0:
        return max(rows.facts[MASS, i] - (hidden - 1) * rows.facts[CAP, i], 0.0)
    least = rows.p[i, n - 1] if k < n else math.inf
    for j in range(rows.size):
        least = min(least, r[j])
    return least


@njit(**INLINE)
def _beyond(rows, i, k, what, how, found):
    """Bounds where the first k labels are not all listed: j = k - n of the hidden ones are kept."""
    kind, n, mass, cap = what[KIND], rows.n[i], rows.facts[MASS, i], rows.facts[CAP, i]
    hidden = rows.labels - n
    stored = float(k)
    if kind == TOP_P:
        wanted = max(how[SHARE] - (1.0 - mass), 0.0)
        least = max(mass - wanted - cap, 0.0)
        most = mass - wanted
        stored = n + min(math.ceil(wanted * hidden / mass), hidden) if mass > 0.0 else n
    else:
        j = k - n
        least = max(mass - j * cap, 0.0)
        most = mass * (1.0 - j / hidden)
        if kind == EVEN_TAIL:
            a, b = math.sqrt(j), math.sqrt(hidden)
            least, most = 0.0, mass * (b - a) / (b + a)
        elif kind == TAIL_MASS:
            least = 0.0
    error = how[CHANNEL_ERROR]
    found[STORED, i] = stored
    found[TV_LEAST, i] = max(least - error, 0.0)
    found[TV_MOST, i] = min(most + error, 1.0)
    found[KL_LEAST, i] = 0.0
    found[KL_MOST, i] = math.inf if mass > 0.0 or error > 0.0 else 0.0
    if kind not in (EVEN_TAIL, TAIL_MASS) and least > 0.0:
        found[KL_LEAST, i] = math.inf
