"""The repeat loop: draw a transfer set, let every student learn from it, write the losses."""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.draws import draw_counts
from kt_theory.kernels.losses import GENERIC, paper_loss, row_visits, rule_loss
from kt_theory.kernels.streams import start_stream


@njit(cache=True, nogil=True)
def run_repeats(plan, key, first, table, kinds, rules, losses):
    """Write the losses of repeats first .. first + R - 1 into `losses`, (R, students).

    kinds (students,) int64 says which closed form, or GENERIC + k for the k-th entry of `rules`. Returns (repeat,
    student, row) of the first row that is not a distribution, or (-1, -1, -1).
    """
    state = np.empty(4, dtype=np.uint64)
    counts = np.empty(table.pi.shape)
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, counts)
        student, row = score_counts(counts, table, kinds, rules, losses[r])
        if row >= 0:
            return first + r, student, row
    return -1, -1, -1


@njit(cache=True, nogil=True)
def score_counts(counts, table, kinds, rules, losses):
    """Write every student's loss on the transfer set with `counts` (S, A) into `losses`, (students,).

    Returns (student, row) of the first row that is not a distribution, or (-1, -1).
    """
    inputs, _labels = counts.shape
    visits = np.empty(inputs)
    row_visits(counts, visits)
    for j in range(kinds.size):
        if kinds[j] < GENERIC:
            losses[j] = paper_loss(kinds[j], counts, visits, table)
        else:
            losses[j], row = rule_loss(kinds[j] - GENERIC, counts, visits, table, rules)
            if row >= 0:
                return j, row
    return -1, -1
