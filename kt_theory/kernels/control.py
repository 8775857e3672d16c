"""A control variate for sel_ptl: a weighted sum over unseen cells, whose mean is known exactly.

It is taken on the very transfer sets that the losses saw, drawn once more from the same streams:
the hot loop stays as it is, and whoever asks for control pays twice the draws.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.draws import SPARSE, DrawPlan, draw_counts, new_scratch
from kt_theory.kernels.options import LEAF
from kt_theory.kernels.streams import start_stream


def unseen_weight(
    plan: DrawPlan, key: np.ndarray, first: int, weight: np.ndarray, controls: np.ndarray
) -> None:
    """Write sum_j weight_j 1[cell j unseen] for repeats first .. first + R - 1 into `controls`,
    (R,).

    weight (cells,) is in the order of the cells, on a cache line.
    """
    state, scratch = np.empty(2, dtype=np.uint64), new_scratch(plan, weight.size)
    control_loop(plan, key, first, weight, state, scratch, controls)


@njit(**LEAF)
def control_loop(plan, key, first, weight, state, scratch, controls):
    """Do what `unseen_weight` says on the memory that it has laid out."""
    everything = 0.0
    for j in range(weight.size):
        everything += weight[j]
    for r in range(controls.size):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        unseen = 0.0
        if plan.path == SPARSE:
            unseen = everything
            for i in range(scratch.found[0]):
                unseen -= weight[scratch.touched[np.uint64(i)]]
        else:
            for j in range(weight.size):
                unseen += weight[j] if scratch.counts[j] == 0 else 0.0
        controls[r] = unseen
