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

from kt_theory.kernels.closed_losses import Facts, lose_more, more_losses
from kt_theory.kernels.divergences import ACCEPTANCE, TV
from kt_theory.kernels.draws import (
    DrawPlan,
    ListScratch,
    Sparse,
    draw_counts,
    draw_loop,
    new_scratch,
)
from kt_theory.kernels.generic import Measures, Rules, rule_losses
from kt_theory.kernels.losses import FORMS, GENERIC, SortedTable, Table, paper_losses
from kt_theory.kernels.options import LEAF, WITHIN
from kt_theory.kernels.sparse import sparse_losses
from kt_theory.kernels.streams import start_stream

_BLOCK = 2**17
"""Cells of the transfer sets that rules learn from at a time."""


def run_repeats(
    plan: DrawPlan,
    key: np.ndarray,
    first: int,
    table: Table | SortedTable,
    facts: Facts | None,
    columns: np.ndarray,
    measures: Measures,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int, int]:
    """Write the losses of repeats first .. first + R - 1 into `losses`, (R, columns), one column of
    each student for each loss.

    `columns` says which closed form of which loss fills a column, or GENERIC + k for the k-th
    column of what `rules` give; `facts` are for other losses than total variation and acceptance.
    Returns (repeat, rule, row, loss) as `rule_losses` does.
    """
    own = np.flatnonzero(columns >= GENERIC)
    state, scratch = np.empty(3, dtype=np.uint64), new_scratch(plan)
    if len(own) < len(columns):
        all_four = columns.tolist() == list(range(FORMS))
        four = losses if all_four else np.empty((len(losses), FORMS))
        more = more_losses(facts, listed=isinstance(plan, Sparse))
        others = np.empty((len(losses), 0 if facts is None else facts.columns.size))
        repeat_loop(plan, key, first, table, more, state, scratch, four, others)
        if not all_four:
            _copy_closed(columns, four, facts, others, losses)
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


def _copy_closed(
    columns: np.ndarray,
    four: np.ndarray,
    facts: Facts | None,
    others: np.ndarray,
    losses: np.ndarray,
) -> None:
    """Copy what closed forms gave to their columns: others are (R, facts.columns)."""
    made = [] if facts is None else facts.columns.tolist()
    for place, column in enumerate(columns.tolist()):
        loss, form = divmod(column, FORMS)
        if column in made:
            losses[:, place] = others[:, made.index(column)]
        elif loss == TV:
            losses[:, place] = four[:, form]
        elif loss == ACCEPTANCE:
            losses[:, place] = np.maximum(1.0 - four[:, form], 0.0)


@njit(**LEAF)
def repeat_loop(plan, key, first, table, more, state, scratch, losses, others):
    """Write the losses of the paper's students, (R, 4), on the memory that is laid out, and those
    that `more` asks for.
    """
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        learn(scratch, table, losses[r])
        lose_more(scratch, more, others[r])


def learn(scratch: Any, table: Any, four: Any) -> None:
    """Write the losses of the paper's students on the counts just drawn into `four`, (4,)."""
    raise NotImplementedError("from machine code alone")


@overload(learn, jit_options=WITHIN)
def _learn(scratch, table, four):
    return sparse_losses if scratch.instance_class is ListScratch else paper_losses
