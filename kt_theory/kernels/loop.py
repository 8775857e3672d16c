"""The repeat loop: draw a transfer set, let every student learn from it, write the losses.

One call runs many repeats on one thread; several calls, one per thread, run at the same time
without the interpreter's lock. Everything that a repeat needs is allocated before the first one.
The paper's students learn from counts that never leave the caches of their loop; for rules, the
same transfer sets are drawn, some at a time, and laid out once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from kt_theory.kernels.draws import DrawPlan, Sparse, draw_counts, draw_many, new_scratch
from kt_theory.kernels.generic import Rules, rule_losses
from kt_theory.kernels.losses import GENERIC, Table, paper_losses
from kt_theory.kernels.options import LEAF, WITHIN
from kt_theory.kernels.sparse import new_groups, sparse_losses
from kt_theory.kernels.streams import start_stream

_STUDENTS = 4
_BLOCK = 2**15
"""Cells of the transfer sets that rules learn from at a time."""


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
    closed = np.flatnonzero(kinds < GENERIC)
    own = np.flatnonzero(kinds >= GENERIC)
    if len(closed) > 0:
        same = kinds.tolist() == list(range(_STUDENTS))
        four = losses if same else np.empty((len(losses), _STUDENTS))
        _closed_forms(plan, key, first, table, four)
        if not same:
            losses[:, closed] = four[:, kinds[closed]]
    at_once = max(1, _BLOCK // plan.layout.cells) if len(own) > 0 else len(losses)
    for start in range(0, len(losses) if len(own) > 0 else 0, at_once):
        stop = min(start + at_once, len(losses))
        counts = np.empty((stop - start, plan.layout.cells), dtype=np.int64)
        draw_many(plan, key, first + start, counts)
        found = np.empty((stop - start, len(own)))
        bad = rule_losses(counts, plan.layout, key, first + start, table.rho, rules, found)
        losses[start:stop, own] = found
        if bad[0] >= 0:
            return bad[0], int(own[bad[1]]), bad[2]
    return -1, -1, -1


def _closed_forms(
    plan: DrawPlan, key: np.ndarray, first: int, table: Table, losses: np.ndarray
) -> None:
    scratch = new_scratch(plan)
    groups = new_groups(scratch.touched.size, plan.layout.inputs)
    state = np.empty(3, dtype=np.uint64)
    repeat_loop(plan, key, first, table, state, scratch, groups, losses)


@njit(**LEAF)
def repeat_loop(plan, key, first, table, state, scratch, groups, losses):
    """Write the losses of the paper's students, (R, 4), on the memory that is laid out."""
    unvisited = 0.0
    for s in range(table.rho.size):
        unvisited += table.rho[s] * table.fallback[s]
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        learn(plan, scratch, table, unvisited, groups, losses[r])


def learn(plan: Any, scratch: Any, table: Any, unvisited: Any, groups: Any, four: Any) -> None:
    """Write the losses of the paper's students on the counts just drawn into `four`, (4,)."""
    raise NotImplementedError("from machine code alone")


@overload(learn, jit_options=WITHIN)
def _learn(plan, scratch, table, unvisited, groups, four):
    return _from_list if plan.instance_class is Sparse else _from_all


def _from_list(plan, scratch, table, unvisited, groups, four):
    found, hit = scratch.found[0], scratch.touched
    sparse_losses(scratch.counts, hit, found, table, unvisited, groups, four)


def _from_all(plan, scratch, table, unvisited, groups, four):
    paper_losses(scratch.counts, table, four)
