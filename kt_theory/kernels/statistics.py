"""Streaming statistics of losses: the same bits whatever the chunks, in memory that does not grow with the repeats.

Moments: repeats fall into blocks of 256 absolute indices; each block is summed on its own and merged in order (Chan,
Golub and LeVeque 1983). Quantiles: a histogram on the leading bits of the float64 (11 of the mantissa), whose bins are
2^-11 wide relative to the loss; a quantile is off by at most 2^-12 of its value. Counts merge exactly.
"""

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 256
_KEPT_BITS = 11
_LOWEST_EXPONENT = 960  # 2^-63: smaller losses, zero among them, share the bottom bin
_DROP = np.uint64(52 - _KEPT_BITS)
_OFFSET = np.int64(_LOWEST_EXPONENT << _KEPT_BITS)
BINS = ((1023 - _LOWEST_EXPONENT) << _KEPT_BITS) + 2


@njit(cache=True, nogil=True)
def accumulate(losses, done, mean, m2, histogram):
    """Add `losses`, (R, students), to mean and m2 (students,) and histogram (students, BINS) int64.

    `done` repeats have been added before; it must be a multiple of BLOCK.
    """
    repeats, students = losses.shape
    for j in range(students):
        for start in range(0, repeats, BLOCK):
            stop = min(start + BLOCK, repeats)
            total = 0.0
            for r in range(start, stop):
                total += losses[r, j]
            block_mean = total / (stop - start)
            spread = 0.0
            for r in range(start, stop):
                spread += (losses[r, j] - block_mean) ** 2
            old, new = np.float64(done + start), np.float64(stop - start)
            step = block_mean - mean[j]
            mean[j] += step * (new / (old + new))
            m2[j] += spread + step * step * (old * new / (old + new))
        column = losses[:, j].copy()
        for word in column.view(np.uint64):
            index = np.int64(word >> _DROP) - _OFFSET + 1
            histogram[j, min(max(index, 0), BINS - 1)] += 1


def quantile(histogram: np.ndarray, probability: float) -> float:
    """Return the smallest loss with at least `probability` of the repeats at or below it, from (BINS,) counts."""
    target = max(1, int(np.ceil(probability * histogram.sum())))
    index = int(np.searchsorted(np.cumsum(histogram), target))
    if index == 0:
        return 0.0
    edges = np.array([index - 1, index], dtype=np.uint64) + np.uint64(_OFFSET)
    low, high = (edges << _DROP).view(np.float64)
    return float(min(1.0, 0.5 * (low + high)))
