"""Means over the empty cells after a random number of throws: what a row with equal light labels
loses.

Legend: m cells, the light labels; t throws at them, t ~ Bin(n, p); u empty cells. All terms are
positive.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

SHORT_ROW, FEW_THROWS = 64, 600
"""Most cells, and throws, for which dense matrices serve; the compiled sums of longer rows take 0.3
s to load.
"""


def means_after_throws(values: np.ndarray, throws: int) -> np.ndarray:
    """Return E f(u) after t = 0..throws throws.

    Parameters
    ----------
    values : (m+1,) array
        f(0), ..., f(m).
    throws : int
    """
    cells = len(values) - 1
    if cells <= SHORT_ROW and throws <= FEW_THROWS:
        means: np.ndarray = empty_law(cells, throws) @ values
        return means
    from kt_theory.kernels import limits

    return limits.means_after_throws(values, throws)


def means_by_chance(n: int, p: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return E means[t], t ~ Bin(n, p), for each p of a (P,) array in [0, 1]; `means` beyond its
    end counts as 0.
    """
    if len(means) <= FEW_THROWS + 1:
        # More throws than these have a chance below 1e-30.
        hits = n * float(p.max(initial=0.0))
        last = min(len(means) - 1, int(hits + 12.0 * math.sqrt(hits)) + 30)
        mean: np.ndarray = binomial_law(n, p, last) @ means[: last + 1]
        return mean
    from kt_theory.kernels.limits import binomial_mean

    return np.array([binomial_mean(n, float(chance), means) for chance in p])


def mean_of_each(n: int, p: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return E values[i, u] for each p[i], u the empty cells after Bin(n, p[i]) throws; values is
    (P, m+1).
    """
    hits = n * p
    throws = np.minimum(n, (hits + 12.0 * np.sqrt(hits) + 30.0).astype(np.int64))
    cells, last = values.shape[1] - 1, int(throws.max())
    if cells <= SHORT_ROW and last <= FEW_THROWS:
        mean: np.ndarray = ((binomial_law(n, p, last) @ empty_law(cells, last)) * values).sum(
            axis=1
        )
        return mean
    cases = zip(p[:, None], throws, values, strict=True)
    return np.array(
        [means_by_chance(n, chance, means_after_throws(f, int(t)))[0] for chance, t, f in cases]
    )


@lru_cache(maxsize=64)
def empty_law(cells: int, throws: int) -> np.ndarray:
    """Return P(u empty cells after t throws), (throws+1, m+1), by doubling: the law after 2^i steps
    and its power.
    """
    u = np.arange(cells + 1.0)
    step = np.diag(1.0 - u / cells) + np.diag(u[1:] / cells, -1)
    law = np.zeros((throws + 1, cells + 1))
    law[0, cells] = 1.0
    known = 1
    while known <= throws:
        take = min(known, throws + 1 - known)
        law[known : known + take] = law[:take] @ step
        known += take
        step = step @ step
    return law


def binomial_law(n: int, p: np.ndarray, last: int) -> np.ndarray:
    """Return the chances of t = 0..last under Bin(n, p), (P, last+1), to about 1e-13; last at most
    n.

    ln C(n,t) p^t is summed as t ln(np/v) + sum_(i<t) ln((1-i/n) v/(i+1)), v = max np, so that
    nothing large cancels.
    """
    if n == 0:
        return np.ones((len(p), 1))
    t = np.arange(last + 1.0)
    most = n * float(p.max()) or 1.0
    log_terms = np.zeros(last + 1)
    np.cumsum(np.log((1.0 - t[:-1] / n) * most / t[1:]), out=log_terms[1:])
    inside = (p > 0.0) & (p < 1.0)
    safe = np.where(inside, p, 0.5)
    law: np.ndarray = np.exp(
        log_terms + np.log(n * safe / most)[:, None] * t + np.log1p(-safe)[:, None] * (n - t)
    )
    law[~inside] = t == np.where(p == 1.0, n, 0)[~inside, None]
    return law
