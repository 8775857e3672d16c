"""Means over the number of times an input is asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.empirical import CHUNK, visit_window


def mean_over_visits(function: Callable[[np.ndarray], np.ndarray], n: int, rho: float) -> float:
    """Return E[function(k); k >= 1], k ~ Bin(n, rho): all but e^-47 of it.

    Parameters
    ----------
    function : callable
        Of an array of whole numbers k >= 1, at most about 1.
    n : int
    rho : float

    Raises
    ------
    NoExactRisk
        Before more than half a minute of work.
    """
    from kt_theory.kernels.exact import binomial_averages

    size, total = np.array([float(n)]), np.zeros(1)
    low, high = visit_window(size, rho)
    low = np.maximum(low, 1.0)
    refuse_beyond(10.0 * float((high - low)[0]), f"a mean over {float((high - low)[0]):.1g} visits", "give a smaller n")
    for first in range(int(low[0]), int(high[0]) + 1, CHUNK):  # floats cannot count on from 2^53
        k = first + np.arange(min(CHUNK, int(high[0]) - first + 1), dtype=np.float64)
        binomial_averages(size, rho, 1.0 - rho, low, high, float(first), function(k), total)
    return float(total[0])
