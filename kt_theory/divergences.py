"""Distances between distributions over labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def total_variation(q: ArrayLike, p: ArrayLike, rho: ArrayLike | None = None) -> np.ndarray | float:
    """Return the total variation 1/2 sum_a |q(a) - p(a)|, in [0, 1], along the last axis.

    Parameters
    ----------
    q, p : array_like, (..., A)
        Distributions over labels; they broadcast.
    rho : array_like, (S,), optional
        Input law. If given, q and p are (..., S, A) and the rho-weighted sum TV(q, p | rho) of equation (2.1) in Zhao
        and Zhu (2023) is returned.
    """
    rows = 0.5 * np.abs(np.asarray(q, dtype=np.float64) - np.asarray(p, dtype=np.float64)).sum(axis=-1)
    return rows if rho is None else rows @ np.asarray(rho, dtype=np.float64)
