"""Bounds for several inputs from what one row loses after k visits, k ~ Bin(n, rho(s))."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kt_theory.limits.laws import largest_over_laws

RATIO = 1.01
"""Neighbouring visit counts, and neighbouring masses of a row, differ by so much where a bound is
evaluated.
"""


def most_over_laws(
    inputs: int, n: int, loss: Callable[[np.ndarray], np.ndarray], counts: np.ndarray | None = None
) -> float:
    """Return an upper bound on max over rho of sum_s rho_s E loss(k_s), k_s ~ Bin(n, rho_s).

    `loss` must not rise with the visits. It is evaluated at some counts and holds until the next;
    then f(x) = E loss(k), k ~ Bin(n, x), falls in x, so x f(x) <= x f(a) on a cell [a, b], and
    `largest_over_laws`.

    Parameters
    ----------
    inputs, n : int
    loss : function of a float array of visit counts, returning an array; bounds on the loss of a
        row
    counts : (C,) array, optional
        Where `loss` is evaluated, rising from 0; `visit_counts` if omitted.
    """
    if inputs == 1:
        return float(loss(np.array([float(n)]))[0])
    counts = visit_counts(n) if counts is None else counts
    values = np.minimum.accumulate(loss(counts))
    unit = 1.0 / max(n, inputs)
    fine = math.log(RATIO)
    near = np.exp(np.arange(math.log(0.05 / inputs), math.log(min(5.0 / inputs, 1.0)), fine))
    wide = np.geomspace(min(1e-2 * unit, 0.02 / inputs), 1.0, 160)
    edges = np.unique(
        np.concatenate([[0.0], near, wide, np.linspace(0.0, min(4.0 * unit, 1.0), 120)])
    )
    a, b = edges[:-1], edges[1:]
    f = mean_over_visits(counts, values, n, a)
    mass, value = np.column_stack([a, b]).ravel(), np.column_stack([a * f, b * f]).ravel()
    return largest_over_laws(inputs, n, np.repeat(np.arange(len(a)), 2), mass, value, spill=0)


def visit_counts(n: int, first: int = 32, ratio: float = RATIO) -> np.ndarray:
    """Return visit counts from 0 to n: all up to `first`, then in steps of the given ratio."""
    start = np.arange(min(n, first) + 1.0)
    if n <= first:
        return start
    steps = np.floor(
        np.exp(np.arange(math.log(first), math.log(n) + math.log(ratio), math.log(ratio)))
    )
    return np.unique(np.concatenate([start, np.minimum(steps, float(n))]))


def mean_over_visits(counts: np.ndarray, values: np.ndarray, n: int, x: np.ndarray) -> np.ndarray:
    """Return an upper bound on E v(k), k ~ Bin(n, x), for v falling: values[i] from counts[i] on,
    counts[0] = 0.

    v(0) + sum of the drops times P(k >= count); a tail is taken as 0 where it is below 1e-15.

    Parameters
    ----------
    counts, values : (C,) arrays
    n : int
    x : (X,) array, in [0, 1]
    """
    from scipy.special import betainc

    drops, steps = np.diff(values), counts[1:]
    centre = n * x[:, None]
    reach = 9.0 * np.sqrt(centre) + 40.0
    tail = (steps[None, :] < centre - reach).astype(np.float64)
    i, j = np.nonzero(np.abs(steps[None, :] - centre) <= reach)
    tail[i, j] = betainc(steps[j], n - steps[j] + 1.0, x[i])
    mean: np.ndarray = values[0] + tail @ drops
    return mean


def visit_blocks(n: int, x: float, most: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return (ends, chances) of at most about `most` blocks of counts k ~ Bin(n, x) within eight
    deviations.

    E v(k) >= chances @ v(ends) for every v >= 0 that falls with k.

    Parameters
    ----------
    n : int
    x : float, in (0, 1]
    most : int
    """
    from scipy.special import betainc

    centre = n * x
    reach = 8.0 * math.sqrt(centre) + 12.0
    low, high = max(0.0, math.floor(centre - reach)), min(float(n), math.ceil(centre + reach))
    starts = np.arange(low, high + 1.0, max(1.0, math.ceil((high + 1.0 - low) / most)))
    starts = np.append(starts, high + 1.0)
    tail = np.where(starts < 1.0, 1.0, 0.0)
    inside = (starts >= 1.0) & (starts <= n)
    tail[inside] = betainc(starts[inside], n - starts[inside] + 1.0, min(x, 1.0))
    chances: np.ndarray = np.maximum(-np.diff(tail), 0.0)
    return starts[1:] - 1.0, chances
