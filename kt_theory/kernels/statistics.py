"""Statistics of losses from sums of whole numbers: any grouping and order gives the same bits.

A loss x in [0, 1] counts as the whole number k nearest to 2^50 x, k = 2^25 h + l. Four sums are
kept, of k, h h, h l and l l, each as two int64 limbs, 32 bits and the rest: no number of repeats
that anybody can wait for overflows them, and the mean and the variance follow exactly. Losses that
can exceed 1 have such sums for each of the ranges that end at 1, 2^12, ..., 2^60, with k nearest to
2^50 x over the end; those above are counted as infinite, and one makes the mean infinite.
Quantiles: a histogram of the losses so rounded on the leading bits of the float64 (11 of the
mantissa), whose bins are 2^-11 wide relative to the loss; a quantile is off by at most 2^-12 of its
value. `tally` fills sums and histogram; what is here reads them, without numba.
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
"""int64 words per column of losses in [0, 1]: four sums, low and high limbs."""

RANGE_BITS, RANGES = 12, 6
WIDE_BINS = BINS + (RANGE_BITS * (RANGES - 1) << KEPT_BITS)
WIDE_SUMS = SUMS * RANGES + 1
"""The same of losses that can exceed 1: the sums of each range, and how many are infinite."""

QUANTILE = 1.959963984540054
"""The normal law's quantile of 97.5 %."""

ROUNDING = 1e-12
"""Standard errors below this fraction of the mean are those of equal losses."""

SCALE = 2.0**50
HALF = 25
LIMB = 32


def infinite(sums: Any) -> int:
    """Return how many losses were infinite."""
    return int(sums[-1]) if len(sums) == WIDE_SUMS else 0


def moments(sums: Any, repeats: int) -> tuple[float, float]:
    """Return the mean of the losses and its standard error; exact until they round.

    Parameters
    ----------
    sums : (SUMS,) or (WIDE_SUMS,) whole numbers
        The words of one column.
    repeats : int

    Returns
    -------
    float, float
        inf and NaN if a loss was infinite.
    """
    if infinite(sums):
        return math.inf, math.nan
    repeats = int(repeats)
    words = [int(word) for word in sums]
    total, squares = 0, 0
    for i in range(len(words) // SUMS):
        one, high, cross, low = (
            a + (b << LIMB)
            for a, b in zip(
                words[SUMS * i : SUMS * (i + 1) : 2],
                words[SUMS * i + 1 : SUMS * (i + 1) : 2],
                strict=True,
            )
        )
        up = RANGE_BITS * i
        total += one << up
        squares += ((high << (2 * HALF)) + (cross << (HALF + 1)) + low) << (2 * up)
    spread = repeats * squares - total * total
    variance = spread / (repeats * (repeats - 1)) / SCALE**2 if repeats > 1 else 0.0
    return total / repeats / SCALE, math.sqrt(variance / repeats)


def hits(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which bins were hit, in order, and how often."""
    bins = np.flatnonzero(histogram > 0)  # of booleans it is ten times as fast
    return bins, histogram[bins]


def middles(index: np.ndarray) -> np.ndarray:
    """Return the middles of bins, (K,): 0 of the lowest, inf of that of infinite losses."""
    index = np.asarray(index, dtype=np.int64)
    upper = np.maximum(index, 1) + OFFSET
    low, high = (np.array([upper - 1, upper]).astype(np.uint64) << DROP).view(np.float64)
    middle = np.where(index < WIDE_BINS - 1, 0.5 * (low + high), np.inf)
    return np.where(index > 0, middle, 0.0)


def quantiles(
    counts: np.ndarray,
    probabilities: Sequence[float],
    bins: np.ndarray | None = None,
    *,
    largest: float = 1.0,
) -> list[float]:
    """Return the smallest losses with at least those shares of the repeats at or below.

    Parameters
    ----------
    counts : (K,) int64 array
        How many losses lie in each bin.
    probabilities : sequence of float
    bins : (K,) int array, optional
        Which bins, in order; all of them if omitted.
    largest : float
        No loss exceeds it; one in the last bin of all is infinite if it is above 1.
    """
    cumulative = np.cumsum(counts)
    targets = np.maximum(1.0, np.ceil(np.multiply(probabilities, float(cumulative[-1]))))
    found = np.searchsorted(cumulative, targets)
    index = found if bins is None else bins[found]
    return np.minimum(largest, middles(index)).tolist()
