"""Sums behind the exact risks. Counts are passed as float64, so that they may reach 2^53.

Legend: k visits of a row, n draws, x count of one label, m size of a level (labels of equal
probability), p, q = 1-p.
"""

import math

import numpy as np
from numba import njit

from kt_theory.kernels.options import PLAIN

REFRESH = 256
LANES = 64
EIGHT = 8  # sums in one order, whatever vectors a processor has
HALF_LOG_2PI = 0.91893853320467274178
TAIL_NATS = 47.0

STIRLING = (
    0.0,
    0.0810614667953272582196702,
    0.0413406959554092940938221,
    0.02767792568499833914878929,
    0.02079067210376509311152277,
    0.01664469118982119216319487,
    0.01387612882307074799874573,
    0.01189670994589177009505572,
    0.010411265261972096497478567,
    0.009255462182712732917728637,
    0.008330563433362871256469318,
    0.007573675487951840794972024,
    0.006942840107209529865664152,
    0.006408994188004207068439631,
    0.005951370112758847735624416,
    0.005554733551962801371038690,
)


@njit(**PLAIN)
def stirling_error(n):
    """Return log n! - log(sqrt(2 pi n) (n/e)^n) for a whole number n >= 0 (0 at n = 0, by
    convention).
    """
    if n < 15.5:
        return STIRLING[int(n)]
    s = 1.0 / (n * n)
    rest = 1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 * s) * s) * s
    return (1 / 12 - (1 / 360 - rest * s) * s) / n


@njit(**PLAIN)
def deviance(x, mean):
    """Return x log(x/mean) + mean - x without cancellation near x = mean (Loader 2000)."""
    gap = x - mean
    if abs(gap) < 0.1 * (x + mean):
        v = gap / (x + mean)
        total = gap * v
        term = 2.0 * x * v
        square = v * v
        for j in range(1, 1000):
            term *= square
            new = total + term / (2 * j + 1)
            if new == total:
                break
            total = new
        return total
    if x == 0.0:
        return mean
    return x * math.log(x / mean) + mean - x


@njit(**PLAIN)
def binomial(x, n, p, q):
    """Return C(n,x) p^x q^(n-x) by Loader's saddle point form: log-gamma differences lose all
    digits at n = 1e9.
    """
    if x < 0.0 or x > n:
        return 0.0
    if p <= 0.0:
        return 1.0 if x == 0.0 else 0.0
    if q <= 0.0:
        return 1.0 if x == n else 0.0
    if x == 0.0:
        return math.exp(n * (math.log1p(-p) if p < 0.5 else math.log(q)))
    if x == n:
        return math.exp(n * (math.log1p(-q) if q < 0.5 else math.log(p)))
    log = stirling_error(n) - stirling_error(x) - stirling_error(n - x)
    log = log - deviance(x, n * p) - deviance(n - x, n * q)
    return math.exp(log) * math.sqrt(n / (2.0 * math.pi * x * (n - x)))


@njit(**PLAIN)
def log_binomial_row(first, n, nats, out):
    """Write log Bin(x; n, e^-nats) for x = first, first+1, ... to `out`; e^-nats may underflow."""
    p, q = math.exp(-nats), -math.expm1(-nats)
    for i in range(out.size):
        x = first + i
        if x == 0.0:
            out[i] = n * (math.log1p(-p) if p < 0.5 else math.log(q))
        elif x == n:
            out[i] = -n * nats
        elif n * p < 1e-3:
            # The probability of x + 1 is that of x times (n-x)/(x+1) p/q: few x matter here.
            out[i] = x * -nats + (n - x) * math.log1p(-p)
            for y in range(int(x)):
                out[i] += math.log((n - y) / (y + 1.0))
        else:
            log = stirling_error(n) - stirling_error(x) - stirling_error(n - x)
            log = log - deviance(x, n * p) - deviance(n - x, n * q)
            out[i] = log + 0.5 * math.log(n / (2.0 * math.pi * x * (n - x)))


@njit(**PLAIN)
def label_deviations(first, p, rest, weight, out):
    """Write sum_a weight[a] E|X/k - p[a]|, X ~ Bin(k, p[a]), for k = first, first+1, ... >= 1 to
    `out`.

    E|X/k - p| = 2 p q b(k), q = 1 - p = rest[a] to all digits, b(k) = Bin(floor(kp); k-1, p);
    b(k+1)/b(k) is k q/(k-m) where floor(kp) = m stays, and k p/(m+1) where it steps up. A fresh
    start every REFRESH steps keeps the rounding of the products below 1e-13.
    """
    chance, other, part = np.empty(LANES), np.empty(LANES), np.empty(EIGHT)
    value, floor = np.empty(LANES), np.empty(LANES)
    out[:] = 0.0
    for start in range(0, out.size, REFRESH):
        stop = min(start + REFRESH, out.size)
        for base in range(0, p.size, LANES):
            k = first + start
            for t in range(LANES):
                j = base + t
                if j < p.size and p[j] > 0.0 and rest[j] > 0.0:
                    chance[t], other[t] = p[j], rest[j]
                    floor[t] = min(math.floor(k * p[j]), k - 1.0)
                    twice = 2.0 * weight[j] * p[j] * other[t]
                    value[t] = twice * binomial(floor[t], k - 1.0, p[j], other[t])
                else:
                    chance[t], other[t], value[t] = 0.5, 0.5, 0.0
                    floor[t] = min(math.floor(0.5 * k), k - 1.0)
            for i in range(start, stop):
                for t in range(EIGHT):
                    part[t] = value[t]
                for block in range(EIGHT, LANES, EIGHT):
                    for t in range(EIGHT):
                        part[t] += value[block + t]
                total = ((part[0] + part[4]) + (part[2] + part[6])) + (
                    (part[1] + part[5]) + (part[3] + part[7])
                )
                for t in range(LANES):
                    up = (k + 1.0) * chance[t] >= floor[t] + 1.0
                    top = k * (chance[t] if up else other[t])
                    bottom = floor[t] + 1.0 if up else k - floor[t]
                    value[t] *= top / bottom
                    floor[t] += 1.0 if up else 0.0
                out[i] += total
                k += 1.0


@njit(**PLAIN)
def binomial_averages(n, p, q, low, high, first, profile, out):
    """Add sum_k Bin(k; n[i], p) profile[k-first] over low[i] <= k <= high[i] to out[i], as far as
    `profile` goes.
    """
    for i in range(n.size):
        start, stop = max(low[i], first), min(high[i], first + (profile.size - 1.0))
        total, weight = 0.0, 0.0
        # Counted by an integer: k + 1.0 == k at 2^53.
        for j in range(int(stop - start) + 1 if stop >= start else 0):
            k = start + j
            if j % REFRESH == 0:
                weight = binomial(k, n[i], p, q)
            total += weight * profile[int(k - first)]
            weight *= (n[i] - k) * p / ((k + 1.0) * q)
        out[i] += total


@njit(**PLAIN)
def mean_distance(n, m, c):
    """Return E|X - c|, X ~ Bin(n, 1/m), as |c - n/m| + 2 E(X - c)^+ or + 2 E(c - X)^+, the smaller:
    all terms >= 0.
    """
    if m == 1.0:
        return abs(n - c)
    p, q = 1.0 / m, (m - 1.0) / m
    gap = c - n * p
    upward = gap >= 0.0
    x = math.floor(c) + 1.0 if upward else math.ceil(c) - 1.0
    if x < 0.0 or x > n:
        return abs(gap)
    weight = binomial(x, n, p, q)
    total = 0.0
    while 0.0 <= x <= n:
        term = weight * abs(x - c)
        total += term
        if term <= 1e-19 * (total + abs(gap)):
            break
        if upward:
            weight *= (n - x) / ((x + 1.0) * (m - 1.0))
            x += 1.0
        else:
            weight *= x * (m - 1.0) / (n - x + 1.0)
            x -= 1.0
    return abs(gap) + 2.0 * total


@njit(**PLAIN)
def reweighted_loss(n, hit, miss, value, size, other):
    """Return the mean row loss of ce_ptl on the event that the row is visited.

    Level l has size[l] labels of probability value[l], and other[l] is 1 - value[l]; hit[l]
    (miss[l] = 1 - hit[l]) is the chance that a draw falls on level l given that it falls on none
    before. The counts of the levels run over all but 1e-20 of their law.
    """
    levels = hit.size
    left, weight = np.empty(levels), np.empty(levels)
    count, steps = np.empty(levels), np.empty(levels)
    left[0], weight[0] = n, 1.0
    spread = TAIL_NATS / 3 + math.sqrt(TAIL_NATS**2 / 9 + 2 * TAIL_NATS * n * hit[0] * miss[0])
    count[0] = max(0.0, math.floor(n * hit[0] - spread)) - 1.0 if miss[0] > 0 else n - 1.0
    # Steps are counted down: count + 1 == count at 2^53.
    steps[0] = min(n, math.ceil(n * hit[0] + spread)) - count[0]
    level, total = 0, 0.0
    while level >= 0:
        if steps[level] <= 0.0:
            level -= 1
            continue
        steps[level] -= 1.0
        count[level] += 1.0
        chance = weight[level] * binomial(count[level], left[level], hit[level], miss[level])
        if level < levels - 1:
            rest = left[level] - count[level]
            level += 1
            left[level], weight[level] = rest, chance
            mean = rest * hit[level]
            square = TAIL_NATS**2 / 9 + 2 * TAIL_NATS * mean * miss[level]
            spread = TAIL_NATS / 3 + math.sqrt(square)
            lowest = max(0.0, math.floor(mean - spread)) if miss[level] > 0 else rest
            count[level] = lowest - 1.0
            steps[level] = min(rest, math.ceil(mean + spread)) - count[level]
            continue
        mass = 0.0
        for l in range(levels):
            mass += count[l] * value[l]
        if mass > 0.0 and chance > 0.0:
            loss = 0.0
            for l in range(levels):
                if size[l] == 1.0:
                    # count - mass, without the digits that cancel where the value is near 1.
                    gap = count[l] * other[l]
                    for j in range(levels):
                        gap -= count[j] * value[j] if j != l else 0.0
                    loss += value[l] * abs(gap)
                else:
                    loss += size[l] * value[l] * mean_distance(count[l], size[l], mass)
            total += chance * 0.5 * loss / mass
    return total
