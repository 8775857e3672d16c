"""A control variate for sel_ptl: a weighted sum over unseen cells, whose mean is known exactly.

It is taken on the very transfer sets that the losses saw, drawn once more from the same streams:
the hot loop stays as it is, and whoever asks for control pays twice the draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from kt_theory.kernels.draws import DrawPlan, Sparse, draw_counts, new_scratch
from kt_theory.kernels.options import LEAF, WITHIN
from kt_theory.kernels.streams import start_stream


def unseen_weight(
    plan: DrawPlan, key: np.ndarray, first: int, weight: np.ndarray, controls: np.ndarray
) -> None:
    """Write sum_j weight_j 1[cell j unseen] for repeats first .. first + R - 1 into `controls`,
    (R,).

    weight (cells,) is in the order of the cells, on a cache line.
    """
    control_loop(plan, key, first, weight, np.empty(3, np.uint64), new_scratch(plan), controls)


@njit(**LEAF)
def control_loop(plan, key, first, weight, state, scratch, controls):
    """Do what `unseen_weight` says on the memory that it has laid out."""
    everything = 0.0
    for j in range(weight.size):
        everything += weight[j]
    for r in range(controls.size):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        controls[r] = unseen(plan, scratch, weight, everything)


def unseen(plan: Any, scratch: Any, weight: Any, everything: Any) -> float:
    """Return the weight of the cells just drawn that are unseen; `everything` is that of all."""
    raise NotImplementedError("from machine code alone")


@overload(unseen, jit_options=WITHIN)
def _unseen(plan, scratch, weight, everything):
    return _without_list if plan.instance_class is Sparse else _over_all


def _without_list(plan, scratch, weight, everything):
    left = everything
    for i in range(scratch.found[0]):
        left -= weight[scratch.touched[np.uint64(i)]]
    return left


def _over_all(plan, scratch, weight, everything):
    left = 0.0
    for j in range(weight.size):
        left += weight[j] if scratch.counts[j] == 0 else 0.0
    return left
