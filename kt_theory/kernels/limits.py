"""Sums over the occupancy law: the risk of rows with few levels.

Legend: m cells thrown at with equal probability; u = empty cells, after t throws; G(t) = E f(u).
All terms are positive, so every sum is accurate to a few units of rounding per step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.options import PLAIN


@njit(**PLAIN)
def means_after_throws(values: np.ndarray, throws: int) -> np.ndarray:
    """Return G(t) = E f(empty cells after t throws) for t = 0..throws.

    Parameters
    ----------
    values : (m+1,) array
        f(0), ..., f(m).
    throws : int

    Notes
    -----
    Forward equation of the law of u: P_(t+1)(u) = (1-u/m) P_t(u) + ((u+1)/m) P_t(u+1). The law has
    about sqrt(m) states that matter; ends below 1e-26 are dropped.
    """
    cells = values.size - 1
    out = np.empty(throws + 1)
    law = np.zeros(cells + 2)
    law[cells] = 1.0
    low, high = cells, cells
    out[0] = values[cells]
    for t in range(1, throws + 1):
        low = max(low - 1, 0)
        mean = 0.0
        for u in range(low, high + 1):
            law[u] = law[u] * ((cells - u) / cells) + law[u + 1] * ((u + 1) / cells)
            mean += law[u] * values[u]
        while low < high and law[low] < 1e-26:
            law[low] = 0.0
            low += 1
        while high > low and law[high] < 1e-26:
            law[high] = 0.0
            high -= 1
        out[t] = mean
    return out


@njit(**PLAIN)
def binomial_mean(n: int, p: float, values: np.ndarray) -> float:
    """Return E values[X], X ~ Bin(n, p), taking values as 0 beyond its end.

    The weights come from their ratios outward from the mode and are normalised by their own sum, so
    no factorial of a large n is needed; terms below 1e-22 of the mode are left out.
    """
    last = values.size - 1
    if p <= 0.0:
        return values[0]
    if p >= 1.0:
        return values[n] if n <= last else 0.0
    mode = min(n, int((n + 1) * p))
    odds = p / (1.0 - p)
    total = 1.0
    mean = values[mode] if mode <= last else 0.0
    weight = 1.0
    k = mode
    while k < n and weight > 1e-22:
        weight *= (n - k) / (k + 1.0) * odds
        k += 1
        total += weight
        if k <= last:
            mean += weight * values[k]
    weight = 1.0
    k = mode
    while k > 0 and weight > 1e-22:
        weight *= k / (n - k + 1.0) / odds
        k -= 1
        total += weight
        if k <= last:
            mean += weight * values[k]
    return mean / total
