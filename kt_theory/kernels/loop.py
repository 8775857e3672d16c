"""The repeat loop: draw a transfer set, let every student learn from it, write the losses.

One call runs many repeats on one thread; several calls, one per thread, run at the same time
without the interpreter's lock. Everything that a repeat needs is allocated before the first one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.draws import SPARSE, DrawPlan, draw_counts, new_scratch
from kt_theory.kernels.generic import Rules, row_visits, rule_loss
from kt_theory.kernels.layout import LANES, zeros_on_a_line
from kt_theory.kernels.losses import GENERIC, Table, paper_losses
from kt_theory.kernels.noise import start_noise
from kt_theory.kernels.options import INLINE, LEAF
from kt_theory.kernels.sparse import new_groups, sparse_losses
from kt_theory.kernels.streams import start_stream


class Desk(NamedTuple):
    """What one repeat writes on: SIMD lanes, the closed-form losses, what a rule reads and writes,
    the noise stream.
    """

    lanes: np.ndarray
    four: np.ndarray
    visits: np.ndarray
    whole: np.ndarray
    rows: np.ndarray
    noise_key: np.ndarray
    noise: np.ndarray


def run_repeats(
    plan: DrawPlan,
    key: np.ndarray,
    first: int,
    table: Table,
    kinds: np.ndarray,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int]:
    """Write the losses of repeats first .. first + R - 1 into `losses`, (R, students).

    kinds (students,) int64 says which closed form, or GENERIC + k for the k-th entry of `rules`.
    Returns (repeat, student, row) of the first row that is not a distribution, or (-1, -1, -1).
    """
    inputs, labels = table.inputs, table.labels
    scratch = new_scratch(plan, table.pi.size)
    groups = new_groups(scratch.touched.size, inputs)
    cells = inputs * labels if rules.pooled.any() else labels
    desk = Desk(
        zeros_on_a_line(8 * LANES).view(np.float64),
        np.zeros(4),
        np.zeros(inputs, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(2 * (cells + 1)),
        np.zeros(2, np.uint64),
        np.zeros(2, np.uint64),
    )
    state = np.empty(2, dtype=np.uint64)
    return repeat_loop(plan, key, first, table, kinds, rules, state, scratch, groups, desk, losses)


@njit(**LEAF)
def repeat_loop(plan, key, first, table, kinds, rules, state, scratch, groups, desk, losses):
    """Do what `run_repeats` says on the memory that it has laid out."""
    closed = kinds.size - rules.address.size
    noisy = False
    for k in range(rules.noise.size):
        noisy |= rules.noise[k] > 0.0
    unvisited = 0.0
    for s in range(table.inputs):
        unvisited += table.rho[s] * table.fallback[s]
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        if closed > 0:
            if plan.path == SPARSE:
                found = scratch.found[0]
                hit = scratch.touched
                sparse_losses(scratch.counts, hit, found, table, unvisited, groups, desk.four)
            else:
                paper_losses(scratch.counts, table, desk.lanes, desk.four)
        if noisy:
            start_noise(key, first + r, desk.noise_key, desk.noise)
        student, row = _write_losses(scratch.counts, table, kinds, rules, desk, losses, r)
        if row >= 0:
            return first + r, student, row
    return -1, -1, -1


@njit(**INLINE)
def _write_losses(counts, table, kinds, rules, desk, losses, r):
    """Fill losses[r]; return (student, row) of the first row that is not a distribution, or (-1,
    -1).
    """
    if rules.address.size > 0:
        row_visits(counts, table, desk.visits)
    for j in range(kinds.size):
        if kinds[j] < GENERIC:
            losses[r, j] = desk.four[kinds[j]]
        else:
            k, whole, rows = kinds[j] - GENERIC, desk.whole, desk.rows
            loss, row = rule_loss(k, counts, desk.visits, table, rules, desk.noise, whole, rows)
            losses[r, j] = loss
            if row >= 0:
                return j, row
    return -1, -1
