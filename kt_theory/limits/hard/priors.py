"""Lower bounds for hard labels, one input: the Bayes risk of symmetric Dirichlet priors under total
variation.

Legend: A labels, n samples, alpha the Dirichlet parameter, N = n + A alpha, k the count of one
label, a = alpha + k and b = N - a the parameters of its posterior Beta(a, b).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from kt_theory.limits.optimise import simplex_minimum

WINDOW = 120_000
"""Longest sum over the counts of one label; beyond it the closed form of `closed_bayes_risk`
answers.
"""

SEARCHED_RATIO = 1000
"""Largest n/A for which the prior is searched; beyond it the asymptotic one is within 1e-5 of the
best.
"""


def log_gamma_excess(x: np.ndarray) -> np.ndarray:
    """Return ln Gamma(x+1) - (x ln x - x) for x >= 0, about 1/2 ln(2 pi x) + 1/(12x), accurate to
    about 1e-16.
    """
    from scipy.special import gammaln, xlogy

    x = np.asarray(x, dtype=np.float64)
    y = np.maximum(x, 16.0)
    z = 1.0 / (y * y)
    series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z / 1188)))) / y
    excess = np.asarray(0.5 * np.log(2.0 * np.pi * y) + series)
    small = x <= 16.0
    if small.any():
        few = x[small]
        excess[small] = gammaln(few + 1.0) - xlogy(few, few) + few
    return excess


def _deviance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    positive = x > 0.0
    safe = np.where(positive, x, 1.0)
    e = np.maximum((y - safe) / safe, -1.0)
    with np.errstate(divide="ignore"):
        return np.where(positive, safe * (e - np.log1p(e)), y)


def log_binomial(
    a: np.ndarray, b: np.ndarray, p: np.ndarray, total: float | None = None
) -> np.ndarray:
    """Return ln[Gamma(a+b+1) / (Gamma(a+1) Gamma(b+1)) p^a (1-p)^b] for real a, b >= 0, free of
    cancellation.

    Loader's form: the Stirling excesses minus (a+b) KL(a/(a+b) || p). The error is about 1e-16
    sqrt(a+b) within ten standard deviations of the mean, where differences of log-gammas would lose
    1e-16 (a+b). `total` is a + b where that is one number.
    """
    whole = a + b if total is None else np.array(float(total))
    excess = log_gamma_excess(whole) - log_gamma_excess(a) - log_gamma_excess(b)
    return excess - _deviance(a, whole * p) - _deviance(b, whole * (1.0 - p))


def _window(labels: int, n: int, alpha: float) -> tuple[int, int]:
    from scipy.special import betaincinv

    low, high = (
        float(betaincinv(alpha, (labels - 1) * alpha, level)) for level in (1e-10, 1.0 - 1e-10)
    )
    first = n * low - 7.0 * math.sqrt(n * low) - 20.0
    last = n * high + 7.0 * math.sqrt(n * high) + 30.0
    return max(0, int(first)), min(n, int(last))


def bayes_risk(labels: int, n: int, alpha: float, level: float, terms: int | None = None) -> float:
    """Return a lower bound of the Bayes risk of the prior Dirichlet(alpha, ..., alpha), so of the
    minimax risk.

    For |lambda| < 1 any student q has sum_a q_a = 1, so its Bayes risk is at least 1/2 E[lambda +
    sum_a min_x (E[|p_a - x| | k_a] - lambda x)]. The inner minimum is at the posterior quantile of
    level (1 + lambda)/2, where lambda cancels: the bound is A/2 E_k D(x_k), k beta-binomial, with
    D(x) = E[sgn(p - x)(p - E p)] = 2 x^a (1-x)^b / (N B(a, b)). lambda = 0 gives posterior medians;
    lambda > 0 is what the simplex constraint is worth, and it makes the bound 1 - 1/A at n = 0,
    alpha -> 0. For a point x of any other level F the test function t sgn(p - x) +- (1 - t) with t
    = min(level/F, (1-level)/(1-F)) proves t D(x), so an inexact quantile costs sharpness and never
    validity; so do the dropped tails of the sum.

    Parameters
    ----------
    labels, n : int
        At least 2 labels; n samples.
    alpha : float
        Positive.
    level : float
        (1 + lambda)/2, in (0, 1).
    terms : int, optional
        At most so many terms, evenly spaced: an approximation for searching alpha, not a bound.
    """
    from scipy.special import betainc, betaincinv

    a, b, weight = _posteriors(labels, n, alpha, terms)
    total = n + labels * alpha
    x = betaincinv(a, b, level)
    below = betainc(a, b, x)
    with np.errstate(divide="ignore"):
        proof = np.minimum(level / below, (1.0 - level) / (1.0 - below))
    spread = np.exp(-_deviance(a, total * x) - _deviance(b, total * (1.0 - x)))
    return float(weight @ (spread * np.minimum(proof, 1.0)))


@lru_cache(maxsize=8)
def _posteriors(
    labels: int, n: int, alpha: float, terms: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what of `bayes_risk` no level changes: a and b after each count, and the weights that
    its spreads e^(-N KL(a/N || x)) have in the sum.
    """
    first, last = _window(labels, n, alpha)
    stride = 1 if terms is None else max(1, (last - first) // terms)
    k = np.arange(first, last + 1, stride, dtype=np.float64)
    beta, total = (labels - 1) * alpha, n + labels * alpha
    a, b = alpha + k, beta + (n - k)
    mean = a / total
    prior = log_binomial(np.array(alpha), np.array(beta), mean) + math.log(
        alpha * beta / (alpha + beta)
    )
    peak = log_gamma_excess(np.array(total)) - log_gamma_excess(a) - log_gamma_excess(b)
    law = log_binomial(k, n - k, mean, n) + prior - peak - np.log(a * b / total)
    return a, b, labels * stride * mean * (b / total) * np.exp(law + peak)


def closed_bayes_risk(labels: int, n: int, alpha: np.ndarray) -> np.ndarray:
    """Return a closed-form lower bound of the Bayes risk of Dirichlet priors with alpha > 1: O(1)
    in n, may be < 0.

    `bayes_risk` at level 1/2 with x the posterior mean, where Stirling gives D >= sqrt(2ab/(pi
    N^3)) (1 - 1/(12a) - 1/(12b)) and, as the median lies between mode and mean (Payton, Young and
    Young 1989), |2F - 1| <= 2 |b-a|/(N (N-2)) (N-1) sqrt((N-2)/(2 pi (a-1)(b-1))). Expectations
    over the beta-binomial k: sqrt(y) >= sqrt(z)(3y/z - y^2/z^2)/2 with the factorial moments of ab,
    E sqrt(b/a) <= sqrt(N E[1/(a-1)]), and E[(N-1)/(a-1)] = E[1/p] = (A alpha - 1)/(alpha - 1). It
    is sqrt((A-1)/(2 pi n)) (1 - O(sqrt(A/n))).
    """
    beta, weight = (labels - 1) * alpha, labels * alpha
    total = n + weight
    square = total * (total + 1) * (alpha / weight) * (beta / (weight + 1))
    rising = (alpha + 1) / (weight + 2) * ((beta + 1) / (weight + 3))
    fourth = (total + 2) * (total + 3) * square * rising - (total + 1) * square
    root = square * np.sqrt(square / fourth)
    inverse = np.sqrt(total / (total - 1) * (weight - 1))
    stirling = inverse * (1.0 / np.sqrt(alpha - 1) + 1.0 / np.sqrt(beta - 1)) / 12.0
    skew = (
        np.sqrt(2.0 / np.pi * total)
        * alpha
        / (alpha - 1)
        * (total - 1)
        / np.sqrt(total * (total - 2))
    )
    return 0.5 * labels * np.sqrt(2.0 / np.pi) * (root - stirling - skew) / total**1.5


def best_prior(labels: int, n: int) -> tuple[float, float]:
    """Return (alpha, level) that (nearly) maximise `bayes_risk`; any value is valid, a poor one is
    less sharp.

    For large n/A, alpha = 1/2 sqrt(n/(A-1)) balances the prior's pull, A alpha/(2n), against its
    spread, (1-1/A)/(8 alpha).
    """
    alpha = 0.5 * math.sqrt(n / (labels - 1))
    start = [math.log(alpha), (1.0 - 2.0 / labels) * math.log1p(1.0 / (3.0 * alpha))]
    if n > SEARCHED_RATIO * labels:
        return alpha, 1.0 / (1.0 + math.exp(-start[1]))

    def negative(z: list[float]) -> float:
        if not (abs(z[0] - start[0]) < 4.0 and -0.1 < z[1] < 20.0):
            return 0.0
        return -bayes_risk(labels, n, math.exp(z[0]), 1.0 / (1.0 + math.exp(-z[1])), terms=1500)

    simplex = [start, [start[0] + 0.3, start[1]], [start[0], 1.1 * start[1] + 0.01]]
    best = simplex_minimum(negative, simplex, 1e-3, 90)
    return math.exp(best[0]), 1.0 / (1.0 + math.exp(-best[1]))


def prior_lower(labels: int, n: int) -> float:
    """Return the lower bound of the minimax risk for one input: the better of `bayes_risk` and the
    closed form.
    """
    alpha = 1.0 + math.sqrt(n / labels) * np.geomspace(0.05, 4.0, 200)
    closed = max(0.0, float(closed_bayes_risk(labels, n, alpha).max()))
    first, last = _window(labels, n, 0.5 * math.sqrt(n / labels))
    return (
        closed
        if last - first > WINDOW
        else max(closed, bayes_risk(labels, n, *best_prior(labels, n)))
    )
