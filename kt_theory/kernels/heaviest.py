"""Where the most probable labels end if what they leave is bounded, without sorting."""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.options import BARE

_DIGIT = 12
_FIRST = 50  # probabilities below 1 have ten bits of the exponent, and two of the mantissa follow


@njit(**BARE)
def crossing(p, size, left, candidates, sums):
    """Return how many of the least of the first `size` entries of p, none of it 1 or more, have a
    sum of `left` at most, as many as can be, and that sum.

    By digits of the numbers as whole numbers, which are in the same order: all entries of a digit
    stay or go until it is the digit where the sum crosses; those of that one are looked at by the
    next. `candidates` (size,) and `sums` (4096,) are for scratch.
    """
    for a in range(size):
        candidates[a] = p[a]
    stay, below, digits, shift = 0, 0.0, 1 << _DIGIT, _FIRST
    while True:
        sums[:digits] = 0.0
        for a in range(size):
            sums[(_bits(candidates[a]) >> shift) & (digits - 1)] += candidates[a]
        at = 0
        while at < digits - 1 and below + sums[at] <= left:
            below += sums[at]
            at += 1
        more = 0
        for a in range(size):
            digit = (_bits(candidates[a]) >> shift) & (digits - 1)
            stay += digit < at
            if digit == at:
                candidates[more] = candidates[a]
                more += 1
        size = more
        if shift == 0 or size == 0:
            break
        shift = max(shift - _DIGIT, 0)
    if size > 0:
        # They are all alike.
        last = candidates[0]
        number = size
        if last > 0.0:
            number = min(max(np.int64((left - below) / last), 0), size)
        stay += number
        below += number * last
    return stay, below


@njit(**BARE)
def _bits(x):
    return np.float64(x).view(np.int64)
