"""Exact risk of add_c, the frequencies after c has been added to each count."""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.exact.empirical import average_over_visits
from kt_theory.teacher import RowClasses

PRICE = 300.0
"""Nanoseconds for a binomial probability and a distribution function."""

BATCH = 2**18


def smoothed_loss(classes: RowClasses, n: np.ndarray, c: float) -> np.ndarray:
    """Return sum_s rho_s E[row loss of add_c; row visited], the part of its risk that is not an unvisited row's.

    After k visits the student writes (X + c)/(k + cA), X ~ Bin(k, p). With m = p (k + cA) - c and v = floor(m),

        E|X - m| = c (1 - pA) (1 - 2 P(Bin(k-1, p) <= v-1)) + 2 m (1-p) P(Bin(k-1, p) = v),

    from E|X - m| = E(X - m) + 2 E(m - X)^+, E(m - X)^+ = m P(X <= v) - kp P(Bin(k-1, p) <= v-1), and
    P(X <= v) = P(Bin(k-1, p) <= v-1) + (1-p) P(Bin(k-1, p) = v). No difference of large numbers is left; c = 0 gives
    de Moivre's formula.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    c : float

    Returns
    -------
    (N,) array in [0,1].
    """
    width = classes.rows.shape[1]

    def deviations(first: float, labels: np.ndarray, weight: np.ndarray, profile: np.ndarray) -> None:
        step = max(1, BATCH // len(labels))
        for start in range(0, len(profile), step):
            k = first + np.arange(start, min(start + step, len(profile)))
            profile[start : start + len(k)] = deviation(k[:, None], labels[None, :], c, c * width) @ weight

    return average_over_visits(classes, n, deviations, f"add_c({c:g})", price=PRICE, errs_at_0=True)


def deviation(k: np.ndarray, p: np.ndarray, c: Any, pairs: Any) -> np.ndarray:
    """Return E|(X + c)/(k + pairs) - p| for X ~ Bin(k, p), k >= 1, by broadcasting."""
    from scipy.special import betainc
    from scipy.stats import binom

    total = k + pairs
    m = p * total - c
    v = np.floor(m)
    inside = (v >= 1) & (v <= k - 1)
    first, second = np.where(inside, k - v, 1.0), np.where(inside, v, 1.0)
    below = np.where(inside, betainc(first, second, np.broadcast_to(1.0 - p, v.shape)), (v > k - 1).astype(np.float64))
    here = binom.pmf(v, k - 1, p)
    return np.maximum((c - p * pairs) * (1.0 - 2.0 * below) + 2.0 * m * (1.0 - p) * here, 0.0) / total
