"""Upper bounds for hard labels, one input: the certified worst case of the add-c students (n_a +
c)/(n + cA).

Legend: A labels, n samples, M = n + cA, j = floor(Mp - c) the largest count whose estimate does not
exceed p, F_j and b_j the distribution function and the mass of a binomial at j.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from kt_theory.limits.hard.priors import log_binomial
from kt_theory.limits.optimise import minimum

CERTIFICATE = 1e-7
"""Relative gap at which the search for the maximum may stop; it is part of the bound."""

LARGEST_RATIO = 10**6
"""Largest n/A whose coordinate risk is maximised; beyond it the closed form is sharper than 1e-6 of
itself.
"""

SMOOTH_RATIO = 2000
"""n/A above which the ripple of the coordinate risk is below 1e-4 of it, and asymptotic parameters
serve.
"""


def coordinate_risk(p: np.ndarray, labels: int, n: int, c: float) -> np.ndarray:
    """Return r(p) = E|(X + c)/(n + cA) - p|, X ~ Bin(n, p), the expected error of add-c on a label
    of probability p.

    de Moivre's sum_{x<=j} (x - np) b_x = -(j+1)(1-p) b_{j+1} gives, exactly,
    r(p) = [c (1 - Ap)(1 - 2 F_j) + 2 (j+1)(1-p) b_{j+1}] / M.
    """
    from scipy.special import betainc

    total = n + c * labels
    j = np.clip(np.floor(total * p - c), -1.0, n)
    inside = (j >= 0.0) & (j < n)
    i = np.where(inside, j, 0.0)
    below = np.where(inside, betainc(n - i, i + 1.0, 1.0 - p), np.where(j < 0.0, 0.0, 1.0))
    jump = np.where(
        inside, 2.0 * (i + 1.0) * (1.0 - p) * np.exp(log_binomial(i + 1.0, n - i - 1.0, p, n)), 0.0
    )
    return (c * (1.0 - labels * p) * (1.0 - 2.0 * below) + jump) / total


def frequency_risk(p: np.ndarray, n: int) -> np.ndarray:
    """Return E|X/n - p|, X ~ Bin(n, p), the expected error of the frequency of a label: de Moivre's
    2 (j+1)(1-p) b_{j+1} / n at j = floor(np), 0 for p of 0 and 1. n >= 1.
    """
    inside = (p > 0.0) & (p < 1.0)
    share = np.where(inside, p, 0.5)
    i = np.minimum(np.floor(n * share), n - 1.0)
    mass = np.exp(log_binomial(i + 1.0, n - i - 1.0, share, n))
    return np.asarray(np.where(inside, 2.0 * (i + 1.0) * (1.0 - share) * mass / n, 0.0))


def certified_maximum(
    function: Callable[[np.ndarray], np.ndarray],
    bound: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    edges: np.ndarray,
    gap: float,
    rounds: int = 60,
) -> float:
    """Return an upper bound of max function on [edges[0], edges[-1]], at most `gap` above it unless
    `rounds` run out.

    Branch and bound by halving: `bound(u, v, f(u), f(v))` is above the function on [u, v].
    Intervals whose bound is within `gap` of the best value seen are done.
    """
    value = function(edges)
    low, high, at_low, at_high = edges[:-1], edges[1:], value[:-1], value[1:]
    best, settled = float(value.max()), -math.inf
    for _ in range(rounds):
        above = bound(low, high, at_low, at_high)
        todo = above > best + gap
        settled = max(settled, float(above[~todo].max(initial=-math.inf)))
        if not todo.any():
            return max(best, settled)
        low, high, at_low, at_high = low[todo], high[todo], at_low[todo], at_high[todo]
        middle = 0.5 * (low + high)
        at_middle = function(middle)
        best = max(best, float(at_middle.max()))
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        at_low, at_high = np.concatenate([at_low, at_middle]), np.concatenate([at_middle, at_high])
    return max(best, settled, float(bound(low, high, at_low, at_high).max()))


def largest_mass(j: np.ndarray, n: float) -> np.ndarray:
    """Return a bound over all p of the binomial mass b(j; n, p): sqrt(n / (2 pi j (n-j))) by
    Stirling, or 1.
    """
    inside = (j > 0.0) & (j < n)
    i = np.where(inside, j, 1.0)
    bound = np.sqrt(n / (2.0 * np.pi * i * np.maximum(n - i, 1.0)))
    return np.where(inside, np.minimum(bound, 1.0), np.where((j < 0.0) | (j > n), 0.0, 1.0))


def envelope_bound(labels: int, n: int, c: float, slope: float, gap: float) -> float:
    """Return an upper bound of max over p in [0, 1] of r(p) - slope (p - 1/A), so of r's concave
    envelope at 1/A.

    Between two neighbouring kinks (j + c)/M the risk is a polynomial with r'' = n(n-1) E[second
    difference >= 0] - 4n b(j; n-1, p) >= -4n B_j, B_j the largest mass, and at a kink its slope
    jumps up by 2 b(j; n, p). So with B the largest B_j met on [u, v], r + 2nB p^2 is convex there,
    and r - slope p is at most the larger end value + (v-u)^2/8 * 4nB. Also |r'| <= cA/M + 2B, which
    is sharper over many kinks. Far above 1/A shrinkage decides: with d = c(Ap-1) and Z = X - np, M
    r = d + 2 E(Z-d)_+, and (z)_+ <= e^(tz-1)/t gives E(Z-d)_+ <= exp(np(e^t-1-t) - td - 1)/t for
    any t, whose exponent is linear in p.
    """
    total = n + c * labels

    def far(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        t = np.clip(c * (labels * u - 1.0) / np.maximum(n * u, 1e-300), 1e-12, 1.0)
        growth = n * (np.expm1(t) - t) - t * c * labels
        power = np.maximum(growth * u, growth * v) + t * c - 1.0
        line = np.maximum((c * labels / total - slope) * u, (c * labels / total - slope) * v)
        above = (
            line + slope / labels - c / total + 2.0 * np.exp(np.minimum(power, 50.0)) / (t * total)
        )
        return np.where((labels * u > 1.0) & (power < 50.0), above, np.inf)

    def excess(p: np.ndarray) -> np.ndarray:
        return coordinate_risk(p, labels, n, c) - slope * (p - 1.0 / labels)

    def bound(u: np.ndarray, v: np.ndarray, at_u: np.ndarray, at_v: np.ndarray) -> np.ndarray:
        first, last = np.floor(total * u - c), np.floor(total * v - c)
        certain = ((first <= 0.0) & (last >= 0.0)) | ((first <= n - 1.0) & (last >= n - 1.0))
        mass = np.where(
            certain, 1.0, np.maximum(largest_mass(first, n - 1.0), largest_mass(last, n - 1.0))
        )
        smooth = np.maximum(at_u, at_v) + 0.5 * n * mass * (v - u) ** 2
        steep = 0.5 * (at_u + at_v) + 0.5 * (c * labels / total + 2.0 * mass + abs(slope)) * (v - u)
        return np.minimum(np.minimum(smooth, steep), far(u, v))

    return certified_maximum(excess, bound, risk_grid(labels, n, c), gap)


def risk_grid(labels: int, n: int, c: float) -> np.ndarray:
    """Return the points of [0, 1] where a search for the worst p starts: the first kinks, 1/A and
    what is around it.

    The risk's ripple between kinks is about A/(8n) of it; where that shows, the points at 1/A
    resolve the kinks.
    """
    total = n + c * labels
    rippled = n < SMOOTH_RATIO * labels
    kinks = (0.125 * np.arange(161 if rippled else 41) + c) / total
    centre = 1.0 / labels + 0.25 * np.arange(-200 if rippled else 0, 201 if rippled else 1) / total
    around = np.geomspace(0.2, 5.0, 150) / labels
    points = np.concatenate(
        [[0.0, 1.0], kinks, centre, around, np.geomspace(0.01 / total, 1.0, 80)]
    )
    return np.unique(points[(points >= 0.0) & (points <= 1.0)])


def envelope(labels: int, n: int, c: float) -> tuple[float, float]:
    """Return r's concave envelope at 1/A over the points of `risk_grid` and its slope there: not a
    bound.
    """
    p = risk_grid(labels, n, c)
    risk = coordinate_risk(p, labels, n, c)
    return envelope_at_zero(p - 1.0 / labels, risk, 1.5 * float(risk.max()) * labels)


def envelope_at_zero(x: np.ndarray, value: np.ndarray, steepest: float) -> tuple[float, float]:
    """Return min over slopes of max_i value_i - slope x_i, which is the concave envelope at x = 0,
    and that slope.

    The chord between the points that lead at two slopes gives the next slope, until no point is
    above it.

    Parameters
    ----------
    x, value : (P,) arrays
    steepest : float
        Slopes of at most this size are tried.
    """

    def leader(slope: float) -> tuple[float, int]:
        line = value - slope * x
        i = int(line.argmax())
        return float(line[i]), i

    (first, right), (last, left) = leader(-steepest), leader(steepest)
    best = min((first, -steepest), (last, steepest))
    while x[left] < 0.0 < x[right]:
        slope = float((value[right] - value[left]) / (x[right] - x[left]))
        top, i = leader(slope)
        best = min(best, (top, slope))
        if i in (left, right) or top <= (value[right] - slope * x[right]) * (1.0 + 1e-15):
            break
        left, right = (i, right) if x[i] < 0.0 else (left, i)
    return best


@lru_cache(maxsize=4096)
def best_constant(labels: int, n: int) -> float:
    """Return the c, about 0.4 sqrt(n/A), that (nearly) minimises the worst case of add-c; any c > 0
    proves a bound.
    """
    n = min(n, LARGEST_RATIO * labels)
    scale = math.sqrt(n / labels)
    ends = math.log(0.1), math.log(2.0)
    return scale * math.exp(
        minimum(lambda x: envelope(labels, n, scale * math.exp(x))[0], *ends, 1e-4)[1]
    )


def add_c_upper(labels: int, n: int, c: float, gap: float = CERTIFICATE) -> float:
    """Return a proved bound of the worst-case risk of add-c: A/2 times r's concave envelope at 1/A.

    sum_a r(pi_a) over the simplex is at most A env(1/A) by Jensen, and env(1/A) = min over slopes
    of max_p r(p) - slope (p - 1/A), so any slope proves a bound. The search may end `gap` of it
    above the maximum: that is part of the bound.
    """
    value, slope = envelope(labels, n, c)
    return 0.5 * labels * envelope_bound(labels, n, c, slope, gap * value)


def mle_upper(labels: int, n: int) -> float:
    """Return the closed-form bound sqrt((A - 1 + 2 A^2/n) / (2 pi n)) of the worst case of n_a/n,
    for n >= 10; else 1.

    For p <= 1/2 and x = (floor(np) + 1)/n, de Moivre and Stirling give E|X/n - p| <= sqrt(2/(pi n))
    (1-p) sqrt(x/(1-x)) <= sqrt(2/(pi n)) sqrt(p(1-p) + 2/n), symmetric and concave in p.
    """
    return (
        math.sqrt((labels - 1.0 + 2.0 * labels * (labels / n)) / (2.0 * math.pi * n))
        if n >= 10
        else 1.0
    )


def row_upper(labels: int, n: int) -> float:
    """Return the proved upper bound for one input and n samples: the best of add-c, the closed form
    and 1 - 1/A.

    Samples may be thrown away, so above n = 10^6 A the add-c bound at 10^6 A stands in where the
    closed form is worse.
    """
    used = min(n, LARGEST_RATIO * labels)
    add_c = add_c_upper(labels, used, best_constant(labels, used)) if n else 1.0
    return min(1.0 - 1.0 / labels, mle_upper(labels, n), add_c)
