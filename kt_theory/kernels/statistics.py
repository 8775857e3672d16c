"""Statistics of losses from sums of whole numbers: any grouping and order gives the same bits.

A loss x in [0, 1] counts as the whole number k nearest to 2^50 x, k = 2^25 h + l. Four sums are
kept, of k, h h, h l and l l, each as two int64 limbs, 32 bits and the rest: no number of repeats
that anybody can wait for overflows them, and the mean and the variance follow exactly. Quantiles: a
histogram on the leading bits of the float64 (11 of the mantissa), whose bins are 2^-11 wide
relative to the loss; a quantile is off by at most 2^-12 of its value. `tally` fills sums and
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
