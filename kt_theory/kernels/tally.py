"""Losses to the sums and the histogram that `statistics` reads."""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.statistics import (
    BINS,
    DROP,
    HALF,
    LIMB,
    OFFSET,
    RANGE_BITS,
    RANGES,
    SCALE,
    SUMS,
    WIDE_BINS,
)

_LOW_HALF = (1 << HALF) - 1
_LOW_LIMB = (1 << LIMB) - 1
_PIECE = 4096  # as many squares below 2^51 as an int64 holds


@njit(**LEAF)
def accumulate(losses, sums, histogram):
    """Add `losses` (R, students) to sums (students, SUMS) and histogram (students, BINS), int64.

    Both see a loss as the nearest multiple of 2^-50: the last bits of a loss depend on the vectors
    that a processor has, and are worth less than that.
    """
    repeats, students = losses.shape
    for j in range(students):
        for start in range(0, repeats, _PIECE):
            total, high, cross, low = _sums(losses, j, start, min(start + _PIECE, repeats))
            for i, word in enumerate((total, high, cross, low)):
                sums[j, 2 * i] += word & _LOW_LIMB
                sums[j, 2 * i + 1] += word >> LIMB
        for r in range(repeats):
            on_grid = int(losses[r, j] * SCALE + 0.5) / SCALE
            index = np.int64(np.float64(on_grid).view(np.uint64) >> DROP) - OFFSET + 1
            histogram[j, min(max(index, 0), BINS - 1)] += 1


@njit(**LEAF)
def accumulate_wide(losses, sums, histogram):
    """The same for losses that can exceed 1: sums (columns, WIDE_SUMS), histogram (columns,
    WIDE_BINS).
    """
    repeats, columns = losses.shape
    step = 2.0**RANGE_BITS
    for j in range(columns):
        for r in range(repeats):
            loss, end, at = losses[r, j], 1.0, 0
            while loss > end and at < RANGES:
                end *= step
                at += 1
            if at == RANGES:
                sums[j, SUMS * RANGES] += 1
                histogram[j, WIDE_BINS - 1] += 1
                continue
            k = int(loss / end * SCALE + 0.5)
            h, l = k >> HALF, k & _LOW_HALF
            for i, word in enumerate((k, h * h, h * l, l * l)):
                sums[j, SUMS * at + 2 * i] += word & _LOW_LIMB
                sums[j, SUMS * at + 2 * i + 1] += word >> LIMB
            on_grid = k / SCALE * end
            index = np.int64(np.float64(on_grid).view(np.uint64) >> DROP) - OFFSET + 1
            histogram[j, min(max(index, 0), WIDE_BINS - 2)] += 1


@njit(**BARE)
def _sums(losses, j, start, stop):
    total, high, cross, low = 0, 0, 0, 0
    for r in range(start, stop):
        k = int(losses[r, j] * SCALE + 0.5)
        h, l = k >> HALF, k & _LOW_HALF
        total += k
        high += h * h
        cross += h * l
        low += l * l
    return total, high, cross, low
