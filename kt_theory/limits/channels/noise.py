"""Noisy log-probabilities: what k visits of a row leave unknown, and what two teachers must leave
confused.

Each query at s shows log p_a + sigma xi for every label, xi standard normal and fresh; k of them
average to noise of deviation s = sigma/sqrt(k). The student divides the weights by their sum: q_a ~
p_a e^(s xi_a).
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.limits.optimise import maximum
from kt_theory.limits.visits import most_over_laws

SMALL_NOISE = 0.2
"""Largest s^2 for which the sharp bound is used: there it is concave in the variance."""


def row_noise(deviation: np.ndarray, labels: int) -> np.ndarray:
    """Return a bound on E TV(q, p) for q_a ~ p_a e^(s xi_a), whatever p: the least of three.

    - E KL(p || q) = E ln sum p e^(s xi) = int_0^s r E[1 - sum q_r^2] dr <= v/2, v = s^2 (1-1/A), by
      parts in xi; with Pinsker's inequality sqrt(v)/2.
    - Bretagnolle and Huber: sqrt(1 - e^(-v/2)), for large noise.
    - Y_a = s (xi_a - sum p xi) has sum p_a e^(Y_a) >= e^(sum p_a Y_a) = 1, so q_a <= p_a e^(Y_a)
      and TV <= sum p_a (e^(Y_a) - 1)+, in mean sum p_a R(t_a), R(t) = e^(t^2/2) Phi(t) - 1/2, where
      t_a^2 = s^2 (1 - 2 p_a + sum p^2). R is concave in t^2 <= 0.4, so for s^2 <= 0.2 it is at most
      R(sqrt(v)), and that is sqrt(v/(2 pi)) + v/4 + ...: the constant of the first order, E|xi|/2.

    Parameters
    ----------
    deviation : array
        s = sigma/sqrt(k).
    labels : int
    """
    from scipy.special import ndtr

    s2 = np.asarray(deviation, dtype=np.float64) ** 2
    v = s2 * (1.0 - 1.0 / labels)
    bound = np.minimum(0.5 * np.sqrt(v), np.sqrt(-np.expm1(-0.5 * v)))
    small = np.where(s2 <= SMALL_NOISE, v, 0.0)
    sharp = np.exp(0.5 * small) * ndtr(np.sqrt(small)) - 0.5
    return np.where(s2 <= SMALL_NOISE, np.minimum(bound, sharp), bound)


def noisy_upper(inputs: int, labels: int, n: int, sigma: float) -> float:
    """Return a bound for whole rows with noise: max over rho of sum_s rho_s E eta(k_s), k_s ~
    Bin(n, rho_s).

    eta(0) = 1-1/A, eta(k) = `row_noise` at sigma/sqrt(k), at most 1-1/A. About S/(en) + sigma
    sqrt(S/(2 pi n)).
    """
    most = 1.0 - 1.0 / labels
    if n == 0:
        return most

    def loss(visits: np.ndarray) -> np.ndarray:
        noise = row_noise(sigma / np.sqrt(np.maximum(visits, 1.0)), labels)
        return np.where(visits > 0, np.minimum(noise, most), most)

    return min(most_over_laws(inputs, n, loss), most)


def shown_noise_upper(points: int, n: int, sigma: float) -> float:
    """Return a bound on what noise adds where labels are shown one by one: the mass of the errors
    of what is shown.

    With weights w_a = p_a e^(s xi_a - s^2/2) on the labels shown and what is left shared by the
    others (or the weights divided by their sum, if that exceeds 1), TV to the noiseless student is
    at most sum_shown |w_a - p_a|, in mean sum p_a E|e^(s xi - s^2/2) - 1| = sum p_a 2 (2 Phi(s/2) -
    1), s = sigma/sqrt(k) for an average of k answers, k ~ Bin(n, x), k >= 1, x the probability that
    a sample gives such an answer.

    Parameters
    ----------
    points : int
        How many x there are, which sum to 1: S where each visit of a row shows its labels, SA where
        the sample of a label shows it.
    n : int
    sigma : float
    """
    from scipy.special import erf

    def loss(answers: np.ndarray) -> np.ndarray:
        s = sigma / np.sqrt(np.maximum(answers, 1.0))
        return np.minimum(2.0 * erf(s / math.sqrt(8.0)), 1.0)

    return most_over_laws(points, n, loss)


def noisy_lower(inputs: int, labels: int, n: int, sigma: float) -> float:
    """Return a lower bound for whole rows with noise: pairs of labels that stay hard to tell apart.

    rho is uniform and the labels stand in pairs of probabilities (1 +- d)/A', A' = 2 floor(A/2), a
    fair coin for each. After k visits, N of them on the pair, the student has the difference of two
    log-probabilities, +-l with variance 2 sigma^2/k, l = ln((1+d)/(1-d)), and N bits that err with
    probability (1-d)/2: each the sign of a normal variable of mean +-u, Phi(u) = (1+d)/2, so no
    more informative than that variable. So it errs with probability at least Phi(-sqrt(k l^2/(2
    sigma^2) + N u^2)), convex in the bracket, and by Jensen it loses at least

        d Phi(-sqrt((n/S) (l^2/(2 sigma^2) + (2/A') u^2))).
    """
    from scipy.special import ndtr, ndtri

    even = labels - labels % 2
    if even < 2:
        return 0.0

    def loss(log_d: float) -> float:
        d = math.exp(log_d)
        apart = (math.log1p(d) - math.log1p(-d)) / sigma
        squares = 0.5 * apart**2 + 2.0 / even * float(ndtri(0.5 * (1.0 + d))) ** 2
        return d * float(ndtr(-math.sqrt(n / inputs * squares)))

    return maximum(loss, math.log(1e-9), math.log(1.0 - 1e-9), grid=65)[0]
