"""Statistics of losses from sums of whole numbers: any grouping and order gives the same bits.

A loss x in [0, 1] counts as the whole number k nearest to 2^50 x, k = 2^25 h + l. Four sums are
kept, of k, h h, h l and l l, each as two int64 limbs, 32 bits and the rest: no number of repeats
that anybody can wait for overflows them, and the mean and the variance follow exactly. Quantiles: a
histogram of 2^-50 k on the leading bits of the float64 (11 of the mantissa), whose bins are 2^-11
wide relative to the loss; a quantile is off by at most 2^-12 of its value. `tally` fills sums and
histogram; what is here reads them, without numba.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

KEPT_BITS = 11
LOWEST_EXPONENT = 960  # 2^-63: smaller losses, zero among them, share the bottom bin
DROP = np.uint64(52 - KEPT_BITS)
OFFSET = np.int64(LOWEST_EXPONENT << KEPT_BITS)
BINS = ((1023 - LOWEST_EXPONENT) << KEPT_BITS) + 2
SUMS = 8
"""int64 words per student: four sums, low and high limbs."""

CONFIDENCE = 0.95
"""With which intervals of risks hold."""

QUANTILE = 1.959963984540054
"""The normal law's quantile, of (1 + CONFIDENCE) / 2."""

ROUNDING = 1e-12
"""Standard errors below this fraction of the mean are those of equal losses."""

SCALE = 2.0**50
HALF = 25
LIMB = 32


def moments(sums: Any, repeats: int) -> tuple[float, float]:
    """Return the mean of the losses and its standard error; exact until they round.

    Parameters
    ----------
    sums : (SUMS,) whole numbers
        The words of one student.
    repeats : int
    """
    repeats = int(repeats)
    words = [int(word) for word in sums]
    total, high, cross, low = (
        a + (b << LIMB) for a, b in zip(words[::2], words[1::2], strict=True)
    )
    squares = (high << (2 * HALF)) + (cross << (HALF + 1)) + low
    spread = repeats * squares - total * total
    variance = spread / (repeats * (repeats - 1)) / SCALE**2 if repeats > 1 else 0.0
    return total / repeats / SCALE, math.sqrt(variance / repeats)


def interval(mean: float, std_error: float, repeats: int) -> tuple[float, float]:
    """Return an interval that holds the risk with a probability of 95 %.

    It is mean +- 1.96 standard errors, within [0, 1] where losses lie: as good as the normal law of
    a mean of so many losses. If all R losses were the same number v the standard error is 0 and
    says nothing. With p the probability of another loss than v, R equal ones have probability
    (1-p)^R, at least 5 % only if p <= P = 1 - 0.05^(1/R), about 3/R; and since losses lie in
    [0, 1], where 1 is attained by a copy that puts all on a label of probability 0, the risk lies
    in [(1-p) v, (1-p) v + p], and so in

        [v - P v, v + P (1 - v)],

    which for any law of the losses leaves out the risk with at most 5 % probability: [0, P] where
    no loss was seen. A law that often shows equal losses and rarely others is covered so; one that
    has shown a few of the others has the normal interval, too narrow where they are very few.

    Parameters
    ----------
    mean, std_error : float
    repeats : int
    """
    if std_error > ROUNDING * mean:
        half = QUANTILE * std_error
        return max(0.0, mean - half), min(1.0, mean + half)
    other = -math.expm1(math.log1p(-CONFIDENCE) / repeats)
    return mean - other * mean, min(1.0, mean + other * (1.0 - mean))


def quantiles(
    counts: np.ndarray, probabilities: Sequence[float], bins: np.ndarray | None = None
) -> list[float]:
    """Return the smallest losses with at least those shares of the repeats at or below.

    Parameters
    ----------
    counts : (K,) int64 array
        How many losses lie in each bin.
    probabilities : sequence of float
    bins : (K,) int array, optional
        Which bins, in order; all of them if omitted.
    """
    cumulative = np.cumsum(counts)
    targets = np.maximum(1.0, np.ceil(np.multiply(probabilities, float(cumulative[-1]))))
    found = np.searchsorted(cumulative, targets)
    index = (found if bins is None else bins[found]).astype(np.int64)
    upper = np.maximum(index, 1) + OFFSET
    low, high = (np.array([upper - 1, upper]).astype(np.uint64) << DROP).view(np.float64)
    return np.where(index > 0, np.minimum(1.0, 0.5 * (low + high)), 0.0).tolist()
