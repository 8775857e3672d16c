"""The formulas that everything rests on, each once: total variation, the chance to be missed,
softmax.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.validation import probabilities


def total_variation(q: ArrayLike, p: ArrayLike, rho: ArrayLike | None = None) -> np.ndarray | float:
    """Return the total variation 1/2 sum_a |q(a) - p(a)|, in [0, 1], along the last axis.

    Parameters
    ----------
    q, p : array_like, (..., A)
        Distributions over labels; they broadcast.
    rho : array_like, (S,), optional
        Input law. If given, q and p are (..., S, A) and the rho-weighted sum TV(q, p | rho) of
        equation (2.1) in Zhao and Zhu (2023) is returned.

    Raises
    ------
    ValueError
        For an entry outside [0, 1], or shapes that do not go together.
    """
    one, other = probabilities(q, "q"), probabilities(p, "p")
    law = None if rho is None else probabilities(rho, "rho")
    try:
        rows = 0.5 * np.abs(one - other).sum(axis=-1)
        return rows if law is None else rows @ law
    except ValueError:
        asked = "" if law is None else f", rho {law.shape}"
        raise ValueError(
            f"q has shape {one.shape}, p {other.shape}{asked}: must be (..., labels) and "
            "(..., labels), with rho (..., inputs, labels) and (inputs,)"
        ) from None


def missed(x: Any, n: Any) -> Any:
    """Return (1-x)^n, the chance that n samples miss what has probability x.

    Parameters
    ----------
    x : float or array
        In [0, 1]; what rounding has carried above 1 counts as 1.
    n : float or array
        At least 0, or inf; 0 samples miss everything.

    Returns
    -------
    float or array, as x and n broadcast.
    """
    if isinstance(x, float) and isinstance(
        n, int
    ):  # the searches of limits come here a million times
        if n == 0:
            return 1.0
        return math.exp(n * math.log1p(-x)) if x < 1.0 else 0.0
    return power_of(log_missed(x), n)


def log_missed(x: Any, rest: Any = None) -> Any:
    """Return log(1-x), -inf where x is 1 or more; `rest` is 1-x, if it is known to more digits than
    the difference.
    """
    with np.errstate(divide="ignore"):
        log = np.log1p(-np.minimum(x, 1.0))
        return (
            log if rest is None else np.where(np.less(x, 0.5), log, np.log(np.maximum(rest, 0.0)))
        )


NEAR_ONE = 63.0 / 64.0
"""1 - x keeps 14 digits up to here; above, x itself has fewer digits of it than its rivals do."""


def complement(largest: Any, others: Any) -> Any:
    """Return 1 - largest, summed from the other probabilities where the difference loses digits.

    Float64 rounds 1 - 10^-12 to five digits of 10^-12: with `others`, the sum of all other entries
    of the distribution, none is lost.
    """
    return np.where(np.greater(largest, NEAR_ONE), others, np.subtract(1.0, largest))


def power_of(log: Any, n: Any) -> Any:
    """Return exp(n log), with 0^0 = 1 and 1^inf = 1: `log` from -inf to 0, `n` from 0 to inf."""
    never, always = np.equal(n, 0), np.equal(log, 0)
    with np.errstate(invalid="ignore"):
        power = np.exp(np.multiply(n, log))
    found = np.where(never | always, 1.0, power)
    return found if np.ndim(found) else float(found)


def bernstein(nats: float, variance: Any) -> Any:
    """Return the t with exp(-t^2 / (2 variance + 2t/3)) = e^-nats: Bernstein, P(X - E X >= t).

    X is a sum of independent terms that exceed their means by at most 1.
    """
    return nats / 3 + np.sqrt(nats**2 / 9 + 2 * nats * variance)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return exp(z) / sum exp(z) along the last axis; each row has a finite entry, -inf is
    probability 0.
    """
    with np.errstate(over="ignore"):  # a gap beyond float64 is -inf, probability 0
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
