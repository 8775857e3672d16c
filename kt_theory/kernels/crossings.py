"""Where the risk of a drawn teacher crosses a total variation: of hard labels, and of those that
reveal more.

Legend: R rows, A labels, C copies of the arrival times, m further queries, n queries in all, mu
mean visits of a row.
"""

import math

import numpy as np
from numba import njit

from kt_theory.kernels.options import PLAIN

NEVER = 2.0**53
_DIGITS = 10  # binary digits of the m that are told apart: steps below 1/500


@njit(**PLAIN)
def lattice(place):
    """Return the number at a place: 0, 1, ..., 2^d - 1, then 2^d in steps of 2, and so on."""
    half = 1 << (_DIGITS - 1)
    if place < 2 * half:
        return float(place)
    shift = (place - half) // half
    return float(half + (place - half) % half) * 2.0**shift


@njit(**PLAIN)
def place_of(m):
    """Return the place of the largest number of the lattice that is at most m."""
    half = 1 << (_DIGITS - 1)
    if m < 2 * half:
        return int(m)
    shift = int(math.log2(m)) - _DIGITS + 1
    return half * shift + int(m / 2.0**shift)


@njit(**PLAIN)
def equal_sharing(p, known):
    """Return 1/2 sum over the unknown labels of each row of |p - their mean|: (R,)."""
    rows, labels = p.shape
    out = np.empty(rows)
    for r in range(rows):
        number, mass = 0, 0.0
        for a in range(labels):
            if not known[r, a]:
                number += 1
                mass += p[r, a]
        loss = 0.0
        for a in range(labels):
            if not known[r, a]:
                loss += abs(p[r, a] - mass / number)
        out[r] = 0.5 * loss
    return out


@njit(**PLAIN)
def revealed_risk(m, p, mass, known, rank, top, untouched, arrival, first):
    """Return the loss after m further queries, in the mean over the copies of the arrival times.

    p (R, A); mass (R,) of the rows; known (R, A) what is known from the start; rank (R, A) of the
    labels by p, 0 the largest; the `top` largest are revealed with the row's first query, others
    when they are drawn, at `arrival` (C, R, A); first (C, R) is the least of a row's; untouched
    (R,) is its loss before.
    """
    copies, rows, labels = arrival.shape
    total = 0.0
    for c in range(copies):
        for r in range(rows):
            if first[c, r] > m:
                total += mass[r] * untouched[r]
                continue
            if top >= labels:
                continue
            number, hidden = 0, 0.0
            for a in range(labels):
                if arrival[c, r, a] > m and not known[r, a] and rank[r, a] >= top:
                    number += 1
                    hidden += p[r, a]
            if number < 2:
                continue
            mean, loss = hidden / number, 0.0
            for a in range(labels):
                if arrival[c, r, a] > m and not known[r, a] and rank[r, a] >= top:
                    loss += abs(p[r, a] - mean)
            total += 0.5 * mass[r] * loss
    return total / copies


@njit(**PLAIN)
def revealed_crossing(tv, start, p, mass, known, rank, top, untouched, arrival, first):
    """Return the first m of the lattice with a risk of at most tv, NEVER if there is none below.

    The risk never rises in m: what is unknown only shrinks.
    """
    last = place_of(NEVER)
    if revealed_risk(0.0, p, mass, known, rank, top, untouched, arrival, first) <= tv:
        return 0.0
    low, high = 0, last
    at = min(max(place_of(start), 1), last)
    step = 1 << (_DIGITS - 2)
    while high - low > 1:
        if revealed_risk(lattice(at), p, mass, known, rank, top, untouched, arrival, first) <= tv:
            high = at
        else:
            low = at
        # Steps from the start until it lies between two of them, then halves.
        if low == 0 and high > step:
            at = high - step
        elif high == last and low + step < last:
            at = low + step
        else:
            at = (low + high) // 2
        at = min(max(at, low + 1), high - 1)
    return lattice(high) if high < last else NEVER


@njit(**PLAIN)
def hard_risk(n, p, mass, rate, unvisited, log_p, log_mu, table):
    """Return the risk of frequencies after n queries in all, each row visited Poisson(n rate)
    times, uniform before.

    table (U, V): log E |X/k - p| 1{k >= 1} for X ~ Bin(k, p), k ~ Poisson(mu), at log_mu (U,) and
    log_p (V,), evenly spaced; between them it is interpolated. unvisited (R,) is the row's distance
    from uniform.
    """
    rows, labels = p.shape
    p_step, mu_step = log_p[1] - log_p[0], log_mu[1] - log_mu[0]
    total = 0.0
    for r in range(rows):
        mu = n * rate[r]
        y = (math.log(max(mu, 1e-300)) - log_mu[0]) / mu_step
        loss = 0.0
        if y >= log_mu.size - 1:
            for a in range(labels):
                loss += math.sqrt(2.0 * p[r, a] * max(1.0 - p[r, a], 0.0) / (math.pi * mu))
        elif y > 0.0:
            j = int(y)
            v = y - j
            for a in range(labels):
                q = min(p[r, a], 1.0 - p[r, a])
                x = (math.log(max(q, 1e-300)) - log_p[0]) / p_step
                if x <= 0.0:
                    # The mean is 2 q P(k >= 1), to first order.
                    loss += 2.0 * max(q, 0.0)
                    continue
                i = min(int(x), log_p.size - 2)
                u = x - i
                low = (1.0 - u) * table[j, i] + u * table[j, i + 1]
                high = (1.0 - u) * table[j + 1, i] + u * table[j + 1, i + 1]
                loss += math.exp((1.0 - v) * low + v * high)
        total += mass[r] * (0.5 * loss + math.exp(-mu) * unvisited[r])
    return total


@njit(**PLAIN)
def hard_crossing(tv, start, p, mass, rate, unvisited, log_p, log_mu, table):
    """Return the last crossing: the first n of the lattice from which on the risk is at most tv, as
    far as steps show.

    The risk of frequencies may rise before it falls: the search comes from large n, in steps of a
    fifth.
    """
    last = place_of(NEVER)
    at = min(max(place_of(start), 1), last)
    step = 1 << (_DIGITS - 3)
    while at < last and hard_risk(lattice(at), p, mass, rate, unvisited, log_p, log_mu, table) > tv:
        at = min(at + 4 * step, last)
    if at == last:
        return NEVER
    high = at
    while at > 0 and hard_risk(lattice(at), p, mass, rate, unvisited, log_p, log_mu, table) <= tv:
        high = at
        at = max(at - step, 0)
    low = at
    if low == 0 and hard_risk(0.0, p, mass, rate, unvisited, log_p, log_mu, table) <= tv:
        return 0.0
    while high - low > 1:
        at = (low + high) // 2
        if hard_risk(lattice(at), p, mass, rate, unvisited, log_p, log_mu, table) <= tv:
            high = at
        else:
            low = at
    return lattice(high)
