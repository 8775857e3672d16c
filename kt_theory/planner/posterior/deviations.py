"""The table behind the risk of hard labels: E |X/k - p| 1{k >= 1}, X ~ Bin(k, p), k Poisson."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

MOST_VISITS = 2_000
"""Largest visit count of the sums; beyond a mean of 1,000 visits the normal limit is taken."""


class Deviations(NamedTuple):
    """log_p (V,) and log_mu (U,) are evenly spaced; log_mean (U, V) is the log of the mean."""

    log_p: np.ndarray
    log_mu: np.ndarray
    log_mean: np.ndarray


@cache
def deviations() -> Deviations:
    """Return the table: sums over k of the Poisson weight times de Moivre's mean deviation.

    E |X/k - p| = 2 (v/k) C(k, v) p^v (1-p)^(k-v+1), v = floor(kp) + 1. In p and 1 - p it is the
    same, so that p <= 1/2 is enough; below the least p of the table it is 2 p P(k >= 1), up to a
    factor 1 - p.
    """
    from scipy.special import gammaln

    log_p, log_mu = (
        np.linspace(np.log(1e-9), np.log(0.5), 240),
        np.linspace(np.log(1e-6), np.log(1e3), 200),
    )
    p, k = np.exp(log_p), np.arange(1.0, MOST_VISITS)[:, None]
    v = np.floor(k * p) + 1.0
    inside = np.minimum(v, k)
    log = (
        np.log(2.0 * inside / k)
        + gammaln(k + 1.0)
        - gammaln(inside + 1.0)
        - gammaln(k - inside + 1.0)
    )
    each = np.exp(log + inside * log_p + (k - inside + 1.0) * np.log1p(-p))
    each = np.where(v > k, 0.0, each)
    count = k.ravel()
    weight = np.exp(-np.exp(log_mu)[:, None] + count * log_mu[:, None] - gammaln(count + 1.0))
    return Deviations(log_p, log_mu, np.log(np.maximum(weight @ each, 1e-300)))
