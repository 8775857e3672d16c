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

from kt_theory.kernels.draws import DrawPlan, ListScratch, draw_counts, draw_loop, new_scratch
from kt_theory.kernels.generic import Measures, Rules, rule_losses
from kt_theory.kernels.losses import GENERIC, SortedTable, Table, paper_losses
from kt_theory.kernels.options import LEAF, WITHIN
from kt_theory.kernels.sparse import sparse_losses
from kt_theory.kernels.streams import start_stream

_STUDENTS = 4
_BLOCK = 2**17
"""Cells of the transfer sets that rules learn from at a time."""


def run_repeats(
    plan: DrawPlan,
    key: np.ndarray,
    first: int,
    table: Table | SortedTable,
    columns: np.ndarray,
    measures: Measures,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int, int]:
    """Write the losses of repeats first .. first + R - 1 into `losses`, (R, columns), one column of
    each student for each loss.

    `columns` says which closed form fills a column, or GENERIC + k for the k-th column of what
    `rules` give. Returns (repeat, rule, row, loss) as `rule_losses` does.
    """
    closed, own = np.flatnonzero(columns < GENERIC), np.flatnonzero(columns >= GENERIC)
    all_four = columns.tolist() == list(range(_STUDENTS))
    four = losses if all_four else np.empty((len(losses), _STUDENTS))
    state, scratch = np.empty(3, dtype=np.uint64), new_scratch(plan)
    if len(closed) > 0:
        repeat_loop(plan, key, first, table, state, scratch, four)
    if not all_four:
        losses[:, closed] = four[:, columns[closed]]
    at_once = max(1, _BLOCK // plan.layout.cells)
    wanted = columns[own] - GENERIC
    made = len(rules.address) * len(measures.places)
    for start in range(0, len(losses) if len(own) > 0 else 0, at_once):
        size = min(at_once, len(losses) - start)
        counts = np.empty((size, plan.layout.cells), dtype=np.int64)
        found = np.empty((size, made))
        draw_loop(plan, key, first + start, state, scratch, counts)
        bad = rule_losses(counts, plan.layout, key, first + start, measures, rules, found)
        losses[start : start + size, own] = found[:, wanted]
        if bad[0] >= 0:
            return bad
    return -1, -1, -1, -1


@njit(**LEAF)
def repeat_loop(plan, key, first, table, state, scratch, losses):
    """Write the losses of the paper's students, (R, 4), on the memory that is laid out."""
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        learn(scratch, table, losses[r])


def learn(scratch: Any, table: Any, four: Any) -> None:
    """Write the losses of the paper's students on the counts just drawn into `four`, (4,)."""
    raise NotImplementedError("from machine code alone")


@overload(learn, jit_options=WITHIN)
def _learn(scratch, table, four):
    return sparse_losses if scratch.instance_class is ListScratch else paper_losses
