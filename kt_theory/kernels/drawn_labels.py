"""Losses where labels are drawn: frequencies, weighted ones, and draws with their probabilities."""

from __future__ import annotations

import math

from numba import njit

from kt_theory.kernels.exact import binomial
from kt_theory.kernels.exponentials import exponentials
from kt_theory.kernels.kept_labels import hidden_plogp
from kt_theory.kernels.options import BARE
from kt_theory.kernels.policy_numbers import (
    KL_LEAST,
    KL_MOST,
    LIGHT,
    LP,
    ORDER,
    POOLED,
    POWERS,
    RL,
    SIZE,
    STORED,
    TV_LEAST,
    TV_MOST,
    P,
    R,
)

_SQUARED = 4096  # above so many draws (1-p)^N is an exponential

UNSEEN, MISSING, ABOVE, SQUARE, CROSSED, BELOW, ENTROPY, VARIANCE = range(8)
"""Sums over labels for `stated`; each label p is unseen with probability q = (1-p)^N.

q; p q; (p - c)^+ q; (p - c)^2 q (1-q); those above c of (p - c) p q / (1-p), those below of (c - p)
p q / (1-p); p log p q; p^2 q (1-q).
"""


@njit(**BARE)
def _missed(p, draws):
    """Return (1-p)^draws."""
    if draws > _SQUARED:
        return math.exp(draws * math.log1p(-p)) if p < 1.0 else 0.0
    base, power = 1.0 - p, 1.0
    while draws > 0:
        if draws & 1:
            power *= base
        base *= base
        draws >>= 1
    return power


@njit(**BARE)
def _all_missed(p, n, draws, base, chances):
    """Write (1-p)^draws of the first n labels to `chances`: a bit of the exponent at a time, so
    that labels lie side by side in vectors.
    """
    if draws > _SQUARED:
        for a in range(n):
            chances[a] = _missed(p[a], draws)
        return
    for a in range(n):
        base[a] = 1.0 - p[a]
        chances[a] = 1.0
    while draws > 0:
        if draws & 1:
            for a in range(n):
                chances[a] *= base[a]
        for a in range(n):
            base[a] *= base[a]
        draws >>= 1


@njit(**BARE)
def _half_deviation(p, draws):
    """Return E|X/N - p| / 2, X ~ Bin(N, p): p (1-p)^N where N p < 1, de Moivre's form elsewhere."""
    if draws * p < 1.0:
        return p * _missed(p, draws)
    above = math.floor(draws * p) + 1.0
    if p >= 1.0 or above > draws:
        return 0.0
    return (1.0 - p) * above / draws * binomial(above, float(draws), p, 1.0 - p)


@njit(**BARE)
def _light_sum(powers, draws):
    """Return the sum of p^j (1-p)^N over the light labels of the rest, of the sums of powers from j
    on.
    """
    total, factor = 0.0, 1.0
    for j in range(powers.size):
        total += factor * powers[j]
        factor *= -(draws - j) / (j + 1.0)
    return total


@njit(**BARE)
def _unseen(row, draws):
    """Return how many known labels N draws are expected to leave."""
    p, n, r, heavy, powers, scratch, rest = (
        row.head[P],
        row.n,
        row.rest[R],
        row.heavy,
        row.head[POWERS],
        row.head,
        row.rest,
    )
    known = _light_sum(powers[: ORDER + 1], draws)
    _all_missed(p, n, draws, scratch[6], scratch[7])
    for a in range(n):
        known += scratch[7, a]
    _all_missed(r, heavy, draws, rest[3], rest[2])
    for a in range(heavy):
        known += rest[2, a]
    return known


@njit(**BARE)
def _unseen_hidden(row, draws):
    """Return how many hidden labels N draws are expected to leave at least: if all are equal."""
    mass, hidden = row.mass, row.hidden
    return hidden * _missed(mass / hidden, draws) if mass > 0.0 else float(hidden)


@njit(**BARE)
def _hidden_deviation(row, draws):
    """Return bounds on the sum of E|X/N - p| / 2 over the hidden labels.

    f(p) = p (1-p)^N is concave up to 1/N, so that the corners of the polytope hold the least and
    equal labels the largest. Above, f(p)/p still falls: M f(cap)/cap is a lower bound, and the
    tangent at M/h an upper one as long as its slope is at least (1-1/N)^N, which no f(p)/p beyond
    1/N exceeds. Elsewhere f(p) is at most half the standard deviation, which is concave.
    """
    mass, hidden, cap = row.mass, row.hidden, row.cap
    if mass <= 0.0:
        return 0.0, 0.0
    even = mass / hidden
    most = hidden * _half_deviation(even, draws)
    if draws * cap < 1.0:
        full = min(math.floor(mass / cap), hidden)
        left = min(max(mass - full * cap, 0.0), cap)
        least = full * _half_deviation(cap, draws) + _half_deviation(left, draws)
        return min(least, most), most
    least = mass * _half_deviation(cap, draws) / cap
    slope = _missed(even, draws - 1) * (1.0 - (draws + 1) * even)
    if slope < _missed(1.0 / draws, draws):
        most = min(mass, 0.5 * hidden * math.sqrt(even * (1.0 - even) / draws))
    return min(least, most), most


@njit(**BARE)
def drawn(row, labels, what, power, q, other, found):
    """Frequencies of N draws, from p or from p^t with weights."""
    p = row.head[P]
    draws = what[POOLED]
    if power == 1.0:
        n, r, heavy, powers = row.n, row.rest[R], row.heavy, row.head[POWERS]
        known = _light_sum(powers[1 : ORDER + 1], draws)
        unseen = _light_sum(powers[: ORDER + 1], draws)
        _all_missed(p, n, draws, row.head[6], q)
        _all_missed(r, heavy, draws, row.rest[3], other)
        for x, chances in ((p[:n], q), (r[:heavy], other)):
            lost, left = 0.0, 0.0
            for a in range(x.size):
                left += chances[a]
                if draws * x[a] < 1.0:
                    lost += x[a] * chances[a]
                else:
                    lost += _half_deviation(x[a], draws)
            known += lost
            unseen += left
        low, high = _hidden_deviation(row, draws)
        found[TV_LEAST], found[TV_MOST] = known + low, min(known + high, 1.0)
        if draws != what[SIZE]:
            unseen = _unseen(row, what[SIZE])
        found[STORED] = labels - unseen - _unseen_hidden(row, what[SIZE])
    else:
        _weighted(row, what, power, q, other, found)
    if p[0] < 1.0:
        found[KL_LEAST] = found[KL_MOST] = math.inf


@njit(**BARE)
def _missed_light(p, draws):
    """Return (1-p)^N, N p at most `LIGHT`: the binomial series."""
    x = 1.0 - (draws - 4) * p / 5.0
    x = 1.0 - (draws - 3) * p / 4.0 * x
    x = 1.0 - (draws - 2) * p / 3.0 * x
    x = 1.0 - (draws - 1) * p / 2.0 * x
    return 1.0 - draws * p * x


@njit(**BARE)
def _parts(p, n, draws, weights, factor, scratch):
    """Return the sum of E|X p/(N q) - p| / 2 over the first n labels, q = factor weights, and that
    of p^2 / weights; leave (1-q)^N in scratch[7] and q in scratch[9].
    """
    chances, q = scratch[7], scratch[9]
    for a in range(n):
        q[a] = weights[a] * factor
    _all_missed(q, n, draws, scratch[6], chances)
    lost, square = 0.0, 0.0
    for a in range(n):
        if p[a] > 0.0:
            if draws * q[a] < 1.0:
                lost += p[a] * chances[a]
            else:
                lost += p[a] * (_half_deviation(q[a], draws) / q[a])
            square += p[a] * (p[a] / weights[a])
    return lost, square


@njit(**BARE)
def _weighted(row, what, power, head, other, found):
    """Draws from q ~ p^t, each with the weight p/q, divided by the sum W of all weights.

    1/2 sum_a E|X p/(N q) - p| is exact; dividing by W moves the copy by |W - 1| / 2, whose mean is
    at most half the standard deviation sqrt((sum p^2/q - 1) / N).
    """
    p, lp, n, r, rl, size = row.head[P], row.head[LP], row.n, row.rest[R], row.rest[RL], row.size
    mass, hidden, cap = row.mass, row.hidden, row.cap
    draws, once = what[POOLED], what[SIZE]
    known = 0.0
    raised, scale = row.head[6], row.head[7]
    for a in range(n):
        raised[a] = power * lp[a]
    exponentials(raised, n, head, scale)
    for a in range(n):
        known += head[a]
    raised, scale = row.rest[3], row.rest[4]
    for a in range(size):
        raised[a] = power * rl[a]
    exponentials(raised, size, other, scale)
    for a in range(size):
        known += other[a]
    low_z, high_z = known, known
    if mass > 0.0:
        even = hidden * math.exp(power * math.log(mass / hidden))
        full = min(math.floor(mass / cap), hidden)
        left = max(mass - full * cap, 0.0)
        heaped = full * cap**power + left**power
        low_z += min(even, heaped)
        high_z += max(even, heaped)
    factor, other_factor = 1.0 / low_z, 1.0 / high_z
    alike = draws == once
    scratch = row.head
    low, square = _parts(p, n, draws, head, factor, scratch)
    stored = float(n)
    if not alike:
        _all_missed(scratch[9], n, once, scratch[6], scratch[7])
    for a in range(n):
        stored -= scratch[7, a]
    high = low
    if mass > 0.0:
        high, _ = _parts(p, n, draws, head, other_factor, scratch)
    for a in range(size):
        if r[a] > 0.0:
            q = other[a] * factor
            if draws * q <= LIGHT:
                chance = _missed_light(q, draws)
                low += r[a] * chance
                stored += 1.0 - (chance if alike else _missed_light(q, once))
            else:
                low += r[a] * (_half_deviation(q, draws) / q)
                stored += 1.0 - _missed(q, once)
            square += r[a] * (r[a] / other[a])
    if mass > 0.0:
        # A hidden label misses no more than its p, and no less than where its q is largest.
        q = min(cap**power / low_z, 1.0)
        low += mass * _half_deviation(q, draws) / q
        high += mass
        even = hidden * (mass / hidden) ** (2.0 - power)
        square += mass * cap ** (1.0 - power) if power < 1.0 else even
        share = (high_z - known) / high_z
        stored += hidden * (1.0 - _missed(share / hidden, once))
    else:
        high = low
    spread = 0.5 * math.sqrt(max(high_z * square - 1.0, 0.0) / draws)
    found[TV_LEAST], found[TV_MOST] = max(low - spread, 0.0), min(high + spread, 1.0)
    found[STORED] = stored


@njit(**BARE)
def stated(row, labels, what, q, other, found):
    """N draws, each with its probability; the mass that was not drawn is shared equally.

    With Z the unseen labels, U their number, R their mass, the loss is 1/2 sum_Z |p - R/U|. With c
    = E R / E U it differs from 1/2 sum_Z |p - c|, whose mean is exact, by at most |R - cU| / 2;
    from below by no more than the N/(A-N)-th part of |R - cU|, since 1/2 sum_Z |p - x| is convex in
    x, R - cU has mean 0, and the slope at c is U times what all labels give it, up to that part. E
    |R - cU| is at most the standard deviation: being unseen is negatively associated, and the
    covariance of two labels at most N p p' (1-p)^(N-1) (1-p')^(N-1).
    """
    p, lp, n, r, rl, size = row.head[P], row.head[LP], row.n, row.rest[R], row.rest[RL], row.size
    heavy, powers, mass, hidden = row.heavy, row.head[POWERS], row.mass, row.hidden
    draws = what[POOLED]
    sums = powers[ORDER + 1 : ORDER + 9]
    sums[:] = 0.0
    sums[UNSEEN], sums[MISSING] = (
        _light_sum(powers[: ORDER + 1], draws),
        _light_sum(powers[1 : ORDER + 1], draws),
    )
    _all_missed(p, n, draws, row.head[6], q)
    _all_missed(r, heavy, draws, row.rest[3], other)
    _count(p, n, q, sums)
    _count(r, heavy, other, sums)
    left = sums[UNSEEN]
    if draws != what[SIZE]:
        left = _unseen(row, what[SIZE])
        _all_missed(r, heavy, draws, row.rest[3], other)
    found[STORED] = labels - left - _unseen_hidden(row, what[SIZE])
    if mass > 0.0:
        _stated_hidden(row, labels, draws, sums, q, found)
        return
    unseen, missing = sums[UNSEEN] + hidden, sums[MISSING]
    c = missing / unseen if unseen > 0.0 else 0.0
    _spread(p, lp, n, q, c, sums)
    _spread(r, rl, heavy, other, c, sums)
    _spread_light(r, rl, heavy, size, draws, c, sums)
    deviation = math.sqrt(sums[SQUARE] + 2.0 * draws * sums[CROSSED] * sums[BELOW])
    part = 0.5
    if labels > 3 * draws:
        part = draws / (labels - draws)
    found[TV_LEAST] = max(sums[ABOVE] - part * deviation, 0.0)
    found[TV_MOST] = min(sums[ABOVE] + 0.5 * deviation, missing)
    if missing > 0.0:
        # -x log x is concave, and R log R at most R log r + R (R - r) / r.
        level = sums[ENTROPY] - missing * math.log(missing)
        few = level + missing * math.log(max(labels - draws, 1)) - sums[VARIANCE] / missing
        found[KL_LEAST] = max(few, 0.0)
        found[KL_MOST] = max(level + missing * math.log(labels), 0.0)


@njit(**BARE)
def _count(p, n, chances, sums):
    unseen, missing = 0.0, 0.0
    for a in range(n):
        unseen += chances[a]
        missing += p[a] * chances[a]
    sums[UNSEEN] += unseen
    sums[MISSING] += missing


@njit(**BARE)
def _spread(p, lp, n, chances, c, sums):
    above, square, crossed, below, entropy, variance = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(n):
        x, chance = p[a], chances[a]
        gap = x - c
        part = chance * (1.0 - chance)
        square += gap * gap * part
        if gap > 0.0:
            above += gap * chance
            crossed += gap * x * chance / (1.0 - x) if x < 1.0 else 0.0
        else:
            below -= gap * x * chance / (1.0 - x) if x < 1.0 else 0.0
        if x > 0.0:
            entropy += x * lp[a] * chance
            variance += x * x * part
    sums[ABOVE] += above
    sums[SQUARE] += square
    sums[CROSSED] += crossed
    sums[BELOW] += below
    sums[ENTROPY] += entropy
    sums[VARIANCE] += variance


@njit(**BARE)
def _spread_light(r, rl, start, stop, draws, c, sums):
    """The same for light labels: 1 - q is at most N p, and q at most 1."""
    above, entropy, variance, mass, square, crossed = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(start, stop):
        x = r[a]
        if x > 0.0:
            chance = _missed_light(x, draws)
            entropy += x * rl[a] * chance
            variance += x * x * x
            if x > c:
                above += (x - c) * chance
                square += (x - c) * (x - c) * x
                crossed += (x - c) * x
            else:
                mass += x
    sums[ABOVE] += above
    sums[ENTROPY] += entropy
    sums[VARIANCE] += draws * variance
    sums[SQUARE] += draws * (square + c * c * mass)
    sums[CROSSED] += crossed
    sums[BELOW] += c * mass


@njit(**BARE)
def _stated_hidden(row, labels, draws, sums, chances, found):
    """The loss is sum_Z (p - R/U)^+, R/U at most 1/(A-N), and at most R."""
    p, lp, n = row.head[P], row.head[LP], row.n
    mass, hidden, cap = row.mass, row.hidden, row.cap
    known = sums[MISSING]
    share = 1.0
    if labels > draws:
        share = 1.0 / (labels - draws)
    for a in range(n):
        x, chance = p[a], chances[a]
        if x > 0.0:
            part = x * chance
            sums[ABOVE] += max(x - share, 0.0) * chance
            sums[ENTROPY] += lp[a] * part
            sums[VARIANCE] += x * part * (1.0 - chance)
    least, most = known + mass * _missed(cap, draws), known + _hidden_deviation(row, draws)[1]
    found[TV_LEAST], found[TV_MOST] = sums[ABOVE], min(most, 1.0)
    low, high = hidden_plogp(mass, hidden, cap)
    first, last = -least * math.log(least), -most * math.log(most)
    variance = (sums[VARIANCE] + mass * cap) / least
    few = sums[ENTROPY] + low + min(first, last) + least * math.log(max(labels - draws, 1))
    top = max(first, last)
    if least < 1.0 / math.e < most:
        top = 1.0 / math.e
    many = sums[ENTROPY] + _missed(cap, draws) * high + top + most * math.log(labels)
    found[KL_LEAST], found[KL_MOST] = max(few - variance, 0.0), max(many, 0.0)
