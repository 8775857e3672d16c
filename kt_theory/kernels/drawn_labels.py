"""Losses where labels are drawn: frequencies, weighted ones, and draws with their probabilities."""

from __future__ import annotations

import math

from numba import njit

from kt_theory.kernels.divergences import HALF
from kt_theory.kernels.exact import binomial
from kt_theory.kernels.options import BARE, INLINE
from kt_theory.kernels.policy_numbers import (
    CAP,
    EVEN,
    HEAPED,
    KL_LEAST,
    KL_MOST,
    LIGHT,
    MASS,
    MISSING,
    OTHER,
    POOLED,
    RL,
    SEEN,
    SIZE,
    SPARE,
    STORED,
    TV_LEAST,
    TV_MOST,
    R,
)
from kt_theory.kernels.row_sums import over_entries

_SQUARED = 4096  # above so many draws (1-p)^N is an exponential


@njit(**BARE)
def _missed(p, draws):
    """Return (1-p)^draws."""
    if draws > _SQUARED:
        return math.exp(draws * math.log1p(-p)) if p < 1.0 else 0.0
    return _power(1.0 - p, draws)


@njit(**BARE)
def _power(base, exponent):
    power = 1.0
    while exponent > 0:
        power *= base if exponent & 1 else 1.0
        base *= base
        exponent >>= 1
    return power


@njit(**BARE)
def _all_missed(weights, factor, largest, n, draws, missed):
    """Write (1-q)^draws of the first n labels, q = weights factor, no weight above `largest`."""
    if draws <= _SQUARED:
        _missed_by_squares(weights, missed, n, factor, draws)
    elif draws * largest * factor <= LIGHT:
        _missed_by_series(weights, missed, n, factor, float(draws))
    else:
        for a in range(n):
            missed[a] = _missed(weights[a] * factor, draws)


@over_entries(reads=1, writes=1, sums=0)
def _missed_by_squares(weight, factor, draws):
    """Write (1-q)^N, q = weight factor."""
    return [(1.0 - weight * factor).power(draws)]


@over_entries(reads=1, writes=1, sums=0)
def _missed_by_series(weight, factor, draws):
    """The same, N q at most `LIGHT`."""
    return [_missed_light(weight * factor, draws)]


def _missed_light(p, draws):
    """Return (1-p)^N, N p at most `LIGHT`: the binomial series."""
    x = 1.0 - (draws - 4.0) * p * 0.2
    x = 1.0 - (draws - 3.0) * p * 0.25 * x
    x = 1.0 - (draws - 2.0) * p * (1.0 / 3.0) * x
    x = 1.0 - (draws - 1.0) * p * 0.5 * x
    return 1.0 - draws * p * x


@njit(**BARE)
def _over_q(q, draws, choose):
    """Return E|X/N - q| / (2q), X ~ Bin(N, q): (1-q)^N where N q < 1, de Moivre's form elsewhere.
    `choose` has C(N-1, j) for j below N, unless it is shorter than that.
    """
    if draws * q < 1.0:
        return _missed(q, draws)
    above = math.floor(draws * q) + 1
    if q >= 1.0 or above > draws:
        return 0.0
    if draws <= choose.size:
        return choose[above - 1] * _power(q, above - 1) * _power(1.0 - q, draws - above + 1)
    return (1.0 - q) * above / (draws * q) * binomial(float(above), float(draws), q, 1.0 - q)


@njit(**BARE)
def _heavy(p, weights, factor, n, draws, missed, choose):
    """Return what is lacking in the sum of p (1-q)^N, q = weights factor, to that of
    p E|X/N - q| / (2q): it differs where N q is 1 or more.
    """
    more = 0.0
    for a in range(n):
        q = weights[a] * factor
        if draws * q >= 1.0:
            more += p[a] * (_over_q(q, draws, choose) - missed[a])
    return more


@njit(**BARE)
def _heavy_first(p, weights, factor, n, draws, missed, choose, chances):
    """The same of descending weights; `chances` is for scratch."""
    heavy = 0
    while heavy < n and draws * weights[heavy] * factor >= 1.0:
        heavy += 1
    if draws > choose.size:
        return _heavy(p, weights, factor, heavy, draws, missed, choose)
    _chances(weights, chances, heavy, factor, float(draws), draws)
    more = 0.0
    for a in range(heavy):
        hits = int(draws * (weights[a] * factor))
        if hits < draws:
            more += p[a] * (choose[hits] * chances[a] - missed[a])
    return more


@over_entries(reads=1, writes=1, sums=0, width=HALF)
def _chances(weight, factor, times, draws):
    """Write q^h (1-q)^(N-h), h the whole part of N q; `times` is N."""
    q = weight * factor
    return [q.chance((q * times).floor(), draws)]


@over_entries(reads=2, sums=2)
def _sums(p, missed):
    """Sum 1 - (1-p)^N and p (1-p)^N."""
    return [1.0 - missed, p * missed]


@njit(**BARE)
def _fill(rows, draws):
    """Write (1-p)^N of the labels of all heads, unless they are there."""
    if rows.draws[0] != draws:
        rows.draws[0] = draws
        for i in range(rows.number):
            p = rows.p[i]
            _all_missed(p, 1.0, p[0], rows.n[i], draws, rows.missed[i])
            rows.facts[SEEN, i], rows.facts[MISSING, i] = _sums(p, rows.missed[i], rows.n[i])


@njit(**BARE)
def _light_sum(powers, draws):
    """Return the sum of p^j (1-p)^N, or of (1-p)^N - 1, over the light labels of the rest, of the
    sums of powers from j on, or of 0 and those from 1 on.
    """
    total, factor = 0.0, 1.0
    for j in range(powers.size):
        total += factor * powers[j]
        factor *= -(draws - j) / (j + 1.0)
    return total


@njit(**BARE)
def _rest_sums(rows, draws):
    """Return the sums of 1 - (1-p)^N and p (1-p)^N over the rest; leave (1-p)^N in OTHER for its
    heavy labels.
    """
    if rows.size == 0:
        return 0.0, 0.0
    rest, heavy = rows.rest, rows.heavy
    _all_missed(rest[R], 1.0, 1.0, heavy, draws, rest[OTHER])
    seen, missing = _sums(rest[R], rest[OTHER], heavy)
    return seen - _light_sum(rows.powers, draws), missing + _light_sum(rows.powers[1:], draws)


@njit(**BARE)
def _stored(rows, i, draws):
    """Return how many labels of row i N draws are expected to see at most: if the hidden ones are
    equal.
    """
    p, n, seen, mass = rows.p[i], rows.n[i], rows.facts[SEEN, i], rows.facts[MASS, i]
    if rows.draws[0] != draws:
        _all_missed(p, 1.0, p[0], n, draws, rows.spare[1])
        seen = _sums(p, rows.spare[1], n)[0]
    seen += _rest_sums(rows, draws)[0]
    if mass > 0.0:
        hidden = rows.labels - n - rows.size
        seen += hidden * (1.0 - _missed(mass / hidden, draws))
    return seen


@njit(**BARE)
def _hidden_deviation(rows, i, draws, choose):
    """Return bounds on the sum of E|X/N - p| / 2 over the hidden labels.

    f(p) = p (1-p)^N is concave up to 1/N, so that the corners of the polytope hold the least and
    equal labels the largest. Above, f(p)/p still falls: M f(cap)/cap is a lower bound, and the
    tangent at M/h an upper one as long as its slope is at least (1-1/N)^N, which no f(p)/p beyond
    1/N exceeds. Elsewhere f(p) is at most half the standard deviation, which is concave.
    """
    mass, cap = rows.facts[MASS, i], rows.facts[CAP, i]
    hidden = rows.labels - rows.n[i] - rows.size
    if mass <= 0.0:
        return 0.0, 0.0
    even = mass / hidden
    most = mass * _over_q(even, draws, choose)
    least = _over_q(cap, draws, choose)
    if draws * cap < 1.0:
        full = min(math.floor(mass / cap), hidden)
        left = min(max(mass - full * cap, 0.0), cap)
        least = full * cap * least + left * _over_q(left, draws, choose)
        return min(least, most), most
    slope = _missed(even, draws - 1) * (1.0 - (draws + 1) * even)
    if slope < _missed(1.0 / draws, draws):
        most = min(mass, 0.5 * hidden * math.sqrt(even * (1.0 - even) / draws))
    return min(mass * least, most), most


@njit(**BARE)
def drawn(rows, what, choose, found):
    """Frequencies of N draws."""
    draws, rest = what[POOLED], rows.rest
    _fill(rows, draws)
    for i in range(rows.number):
        p, n, missed = rows.p[i], rows.n[i], rows.missed[i]
        found[STORED, i] = _stored(rows, i, what[SIZE])
        known = rows.facts[MISSING, i] + _rest_sums(rows, draws)[1]
        known += _heavy_first(p, p, 1.0, n, draws, missed, choose, rows.spare[0])
        known += _heavy(rest[R], rest[R], 1.0, rows.heavy, draws, rest[OTHER], choose)
        low, high = _hidden_deviation(rows, i, draws, choose)
        found[TV_LEAST, i], found[TV_MOST, i] = known + low, min(known + high, 1.0)
        found[KL_LEAST, i] = found[KL_MOST, i] = _without(p[0])


@njit(**BARE)
def _without(first):
    """Return KL(p||q) of a copy that surely leaves labels out unless the first has all."""
    return math.inf if first < 1.0 else 0.0


@over_entries(reads=1, writes=1, sums=1)
def _raised(log, power):
    """Write p^t; their sum."""
    weight = (log * power).exp()
    return [weight, weight]


@over_entries(reads=3, sums=3)
def _weighted_sums(p, weight, missed):
    """Sum p (1-q)^N, p^2 / weight and 1 - (1-q)^N."""
    return [p * missed, (p * (p / weight)).where(p > 0.0), 1.0 - missed]


@njit(**BARE)
def _parts(p, weights, factor, largest, n, draws, missed):
    """Return the sums of p (1-q)^N, p^2 / weight and 1 - (1-q)^N over the first n labels, q =
    factor weights; leave (1-q)^N in `missed`.
    """
    _all_missed(weights, factor, largest, n, draws, missed)
    return _weighted_sums(p, weights, missed, n)


@njit(**BARE)
def weighted(rows, what, power, choose, found):
    """Draws from q ~ p^t, each with the weight p/q, divided by the sum W of all weights.

    1/2 sum_a E|X p/(N q) - p| is exact; dividing by W moves the copy by |W - 1| / 2, whose mean is
    at most half the standard deviation sqrt((sum p^2/q - 1) / N).
    """
    rest, size, draws, once = rows.rest, rows.size, what[POOLED], what[SIZE]
    weights, missed, chances = rows.spare[0], rows.spare[1], rows.spare[2]
    r, others, skipped = rest[R], rest[OTHER], rest[SPARE]
    for i in range(rows.number):
        p, n, mass, cap = rows.p[i], rows.n[i], rows.facts[MASS, i], rows.facts[CAP, i]
        hidden = rows.labels - n - size
        known = _raised(rows.lp[i], weights, n, power) + _raised(rest[RL], others, size, power)
        low_z, high_z = known, known
        capped, even = 0.0, 0.0
        if mass > 0.0:
            capped, even = cap**power, hidden * (mass / hidden) ** power
            full = min(math.floor(mass / cap), hidden)
            heaped = full * capped + max(mass - full * cap, 0.0) ** power
            low_z += min(even, heaped)
            high_z += max(even, heaped)
        factor, first, last = 1.0 / low_z, weights[0], weights[n - 1]
        low, square, stored = _parts(p, weights, factor, first, n, draws, missed)
        low += _heavy_first(p, weights, factor, n, draws, missed, choose, chances)
        if once != draws:
            stored = _parts(p, weights, factor, first, n, once, missed)[2]
        if size > 0:
            lost, more, seen = _parts(r, others, factor, last, size, draws, skipped)
            if draws * last * factor >= 1.0:
                lost += _heavy(r, others, factor, size, draws, skipped, choose)
            if once != draws:
                seen = _parts(r, others, factor, last, size, once, skipped)[2]
            low, square, stored = low + lost, square + more, stored + seen
        high = low
        if mass > 0.0:
            # A hidden label misses no more than its p, and no less than where its q is largest.
            other_factor = 1.0 / high_z
            _all_missed(weights, other_factor, first, n, draws, missed)
            high = mass + _sums(p, missed, n)[1]
            high += _heavy_first(p, weights, other_factor, n, draws, missed, choose, chances)
            low += mass * _over_q(min(capped / low_z, 1.0), draws, choose)
            square += mass * cap / capped if power < 1.0 else mass * mass / even
            share = (high_z - known) / high_z
            stored += hidden * (1.0 - _missed(share / hidden, once))
        spread = 0.5 * math.sqrt(max(high_z * square - 1.0, 0.0) / draws)
        found[TV_LEAST, i], found[TV_MOST, i] = max(low - spread, 0.0), min(high + spread, 1.0)
        found[STORED, i] = stored
        found[KL_LEAST, i] = found[KL_MOST, i] = _without(p[0])


@over_entries(reads=3, sums=6)
def _spread(p, log, missed, c):
    """Sum, of q = (1-p)^N: (p - c)^+ q; (p - c)^2 q (1-q); those above c of (p - c) p q / (1-p);
    those below of (c - p) p q / (1-p); p log p q; p^2 q (1-q).
    """
    gap, part, seen = p - c, missed * (1.0 - missed), 1.0 - p
    crossed = (gap * p * missed / seen).where(seen > 0.0)
    entropy = (p * log * missed).where(p > 0.0)
    return [
        gap.positive() * missed,
        gap * gap * part,
        crossed.positive(),
        (0.0 - crossed).positive(),
        entropy,
        p * p * part,
    ]


@over_entries(reads=2, sums=6)
def _spread_light(p, log, draws, c):
    """The same for light labels, with 1 - q at most N p and q at most 1, and what follows from that
    still to be multiplied: sum (p - c)^+ q, those above c of (p - c)^2 p and (p - c) p, the p of
    the others, p log p q, p^3.
    """
    missed, above = _missed_light(p, draws), (p - c).positive()
    lifted = above * p
    return [
        above * missed,
        above * lifted,
        lifted,
        p - p.where(above > 0.0),
        (p * log * missed).where(p > 0.0),
        p * p * p,
    ]


@njit(**BARE)
def stated(rows, what, choose, found):
    """N draws, each with its probability; the mass that was not drawn is shared equally.

    With Z the unseen labels, U their number, R their mass, the loss is 1/2 sum_Z |p - R/U|. With c
    = E R / E U it differs from 1/2 sum_Z |p - c|, whose mean is exact, by at most |R - cU| / 2;
    from below by no more than the N/(A-N)-th part of |R - cU|, since 1/2 sum_Z |p - x| is convex in
    x, R - cU has mean 0, and the slope at c is U times what all labels give it, up to that part. E
    |R - cU| is at most the standard deviation: being unseen is negatively associated, and the
    covariance of two labels at most N p p' (1-p)^(N-1) (1-p')^(N-1).
    """
    draws = what[POOLED]
    few, many = math.log(max(rows.labels - draws, 1)), math.log(rows.labels)
    _fill(rows, draws)
    for i in range(rows.number):
        found[STORED, i] = _stored(rows, i, what[SIZE])
        if rows.facts[MASS, i] > 0.0:
            _stated_hidden(rows, i, draws, choose, few, many, found)
        else:
            _stated_known(rows, i, draws, few, many, found)


@njit(**INLINE)
def _stated_known(rows, i, draws, few, many, found):
    """Rows that hide no mass; `few` and `many` are the logarithms of A - N and A."""
    rest, labels, heavy = rows.rest, rows.labels, rows.heavy
    seen, missing = _rest_sums(rows, draws)
    unseen = labels - (rows.facts[SEEN, i] + seen)
    missing += rows.facts[MISSING, i]
    c = missing / unseen if unseen > 0.0 else 0.0
    above, square, crossed, below, entropy, variance = _spread(
        rows.p[i], rows.lp[i], rows.missed[i], rows.n[i], c
    )
    if rows.size > 0:
        first = _spread(rest[R], rest[RL], rest[OTHER], heavy, c)
        light = _spread_light(rest[R][heavy:], rest[RL][heavy:], rows.size - heavy, float(draws), c)
        above += first[0] + light[0]
        square += first[1] + draws * (light[1] + c * c * light[3])
        crossed += first[2] + light[2]
        below += first[3] + c * light[3]
        entropy += first[4] + light[4]
        variance += first[5] + draws * light[5]
    deviation = math.sqrt(square + 2.0 * draws * crossed * below)
    part = 0.5
    if labels > 3 * draws:
        part = draws / (labels - draws)
    found[TV_LEAST, i] = max(above - part * deviation, 0.0)
    found[TV_MOST, i] = min(above + 0.5 * deviation, missing)
    found[KL_LEAST, i] = found[KL_MOST, i] = 0.0
    if missing > 0.0:
        # -x log x is concave, and R log R at most R log r + R (R - r) / r.
        level = entropy - missing * math.log(missing)
        found[KL_LEAST, i] = max(level + missing * few - variance / missing, 0.0)
        found[KL_MOST, i] = max(level + missing * many, 0.0)


@njit(**INLINE)
def _stated_hidden(rows, i, draws, choose, few, many, found):
    """The loss is sum_Z (p - R/U)^+, R/U at most 1/(A-N), and at most R."""
    labels, mass, cap = rows.labels, rows.facts[MASS, i], rows.facts[CAP, i]
    share = 1.0
    if labels > draws:
        share = 1.0 / (labels - draws)
    above, _, _, _, entropy, variance = _spread(
        rows.p[i], rows.lp[i], rows.missed[i], rows.n[i], share
    )
    missed, known = _missed(cap, draws), rows.facts[MISSING, i]
    least, most = known + mass * missed, known + _hidden_deviation(rows, i, draws, choose)[1]
    found[TV_LEAST, i], found[TV_MOST, i] = above, min(most, 1.0)
    low, high = rows.facts[EVEN, i], rows.facts[HEAPED, i]
    first, last = -least * math.log(least), -most * math.log(most)
    variance = (variance + mass * cap) / least
    top = max(first, last)
    if least < 1.0 / math.e < most:
        top = 1.0 / math.e
    smallest = entropy + low + min(first, last) + least * few - variance
    largest = entropy + missed * high + top + most * many
    found[KL_LEAST, i], found[KL_MOST, i] = max(smallest, 0.0), max(largest, 0.0)
