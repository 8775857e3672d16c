"""Streaming statistics of losses: sums of whole numbers, so that any grouping and order gives the
same bits.

A loss x in [0, 1] counts as the whole number k nearest to 2^50 x, k = 2^25 h + l. Four sums are
kept, of k, h h, h l and l l, each as two int64 limbs, 32 bits and the rest: no number of repeats
that anybody can wait for overflows them, and the mean and the variance follow exactly. Quantiles: a
histogram on the leading bits of the float64 (11 of the mantissa), whose bins are 2^-11 wide
relative to the loss; a quantile is off by at most 2^-12 of its value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from kt_theory.kernels.options import LEAF

_KEPT_BITS = 11
_LOWEST_EXPONENT = 960  # 2^-63: smaller losses, zero among them, share the bottom bin
_DROP = np.uint64(52 - _KEPT_BITS)
_OFFSET = np.int64(_LOWEST_EXPONENT << _KEPT_BITS)
BINS = ((1023 - _LOWEST_EXPONENT) << _KEPT_BITS) + 2
SUMS = 8
"""int64 words per student: four sums, low and high limbs."""

_SCALE = 2.0**50
_HALF = 25
_LOW_HALF = (1 << _HALF) - 1
_LIMB = 32
_LOW_LIMB = (1 << _LIMB) - 1
_PIECE = 4096  # as many squares below 2^51 as an int64 holds


@njit(**LEAF)
def accumulate(losses, sums, histogram):
    """Add `losses`, (R, students), to sums (students, SUMS) and histogram (students, BINS), both
    int64.
    """
    repeats, students = losses.shape
    for j in range(students):
        for start in range(0, repeats, _PIECE):
            total, high, cross, low = _sums(losses, j, start, min(start + _PIECE, repeats))
            for i, word in enumerate((total, high, cross, low)):
                sums[j, 2 * i] += word & _LOW_LIMB
                sums[j, 2 * i + 1] += word >> _LIMB
        for r in range(repeats):
            index = np.int64(np.float64(losses[r, j]).view(np.uint64) >> _DROP) - _OFFSET + 1
            histogram[j, min(max(index, 0), BINS - 1)] += 1


@njit(**LEAF)
def _sums(losses, j, start, stop):
    total, high, cross, low = 0, 0, 0, 0
    for r in range(start, stop):
        k = int(losses[r, j] * _SCALE + 0.5)
        h, l = k >> _HALF, k & _LOW_HALF
        total += k
        high += h * h
        cross += h * l
        low += l * l
    return total, high, cross, low


def moments(sums: np.ndarray, repeats: int) -> tuple[float, float]:
    """Return the mean and the standard error of the mean from one student's (SUMS,) words; exact
    until they round.
    """
    repeats = int(repeats)
    total, high, cross, low = (int(sums[2 * i]) + (int(sums[2 * i + 1]) << _LIMB) for i in range(4))
    squares = (high << (2 * _HALF)) + (cross << (_HALF + 1)) + low
    spread = repeats * squares - total * total
    variance = spread / (repeats * (repeats - 1)) / _SCALE**2 if repeats > 1 else 0.0
    return total / repeats / _SCALE, float(np.sqrt(variance / repeats))


def quantiles(histogram: np.ndarray, probabilities: Sequence[float]) -> list[float]:
    """Return the smallest losses with at least those shares of the repeats at or below, from
    (BINS,) counts.
    """
    cumulative = np.cumsum(histogram)
    found = []
    for probability in probabilities:
        target = max(1, int(np.ceil(probability * int(cumulative[-1]))))
        index = int(np.searchsorted(cumulative, target))
        edges = np.array([max(index, 1) - 1, max(index, 1)], dtype=np.uint64) + np.uint64(_OFFSET)
        low, high = (edges << _DROP).view(np.float64)
        found.append(float(min(1.0, 0.5 * (low + high))) if index > 0 else 0.0)
    return found
