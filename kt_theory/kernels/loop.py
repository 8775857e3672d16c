"""The repeat loop: draw a transfer set, let every student learn from it, write the losses.

One call runs many repeats on one thread; several calls, one per thread, run at the same time
without the interpreter's lock. Everything that a repeat needs is allocated before the first one.
The paper's students learn from counts that never leave the caches of their loop; for their other
losses these are kept, some at a time; for rules, the same transfer sets are drawn and laid out once
more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload

from kt_theory.kernels.closed_forms import (
    Facts,
    asked_of,
    closed_losses,
    keep,
    new_desk,
    new_kept,
)
from kt_theory.kernels.divergences import ACCEPTANCE, NAMES, TV
from kt_theory.kernels.draws import (
    DrawPlan,
    ListScratch,
    RowScratch,
    Scratch,
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

_KEPT = 2**16
"""The same of those that losses other than total variation are taken of."""


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
    closed, own = np.flatnonzero(columns < GENERIC), np.flatnonzero(columns >= GENERIC)
    run = _Run(plan, key, first, np.empty(3, dtype=np.uint64), new_scratch(plan))
    if columns.tolist() == list(range(FORMS)):
        run.learn(table, losses)
    elif len(closed) > 0:
        found = run.closed(table, facts, columns[closed], len(losses))
        losses[:, closed] = found.reshape(len(losses), -1)[:, columns[closed]]
    at_once = max(1, _BLOCK // plan.layout.cells)
    wanted = columns[own] - GENERIC
    made = len(rules.address) * len(measures.places)
    for start in range(0, len(losses) if len(own) > 0 else 0, at_once):
        size = min(at_once, len(losses) - start)
        counts = np.empty((size, plan.layout.cells), dtype=np.int64)
        found = np.empty((size, made))
        draw_loop(plan, key, first + start, run.state, run.scratch, counts)
        bad = rule_losses(counts, plan.layout, key, first + start, measures, rules, found)
        losses[start : start + size, own] = found[:, wanted]
        if bad[0] >= 0:
            return bad
    return -1, -1, -1, -1


class _Run(NamedTuple):
    """Repeats from number `first` on, and the memory that they are run on."""

    plan: DrawPlan
    key: np.ndarray
    first: int
    state: np.ndarray
    scratch: Scratch | ListScratch | RowScratch

    def learn(self, table: Table | SortedTable, four: np.ndarray) -> None:
        """Write the total variations of the paper's students, (R, FORMS)."""
        kept = new_kept(0, self.plan.layout, self.scratch.counts.dtype)
        repeat_loop(self.plan, self.key, self.first, table, self.state, self.scratch, four, kept)

    def closed(
        self, table: Table | SortedTable, facts: Facts | None, columns: np.ndarray, repeats: int
    ) -> np.ndarray:
        """Return the losses that closed forms give, (R, NAMES, FORMS), those of `columns`."""
        found, four = np.empty((repeats, len(NAMES), FORMS)), np.empty((repeats, FORMS))
        if facts is None:
            self.learn(table, four)
        else:
            self._keep(table, facts, asked_of(columns), four, found)
        found[:, TV], found[:, ACCEPTANCE] = four, np.maximum(1.0 - four, 0.0)
        return found

    def _keep(self, table: Any, facts: Facts, asked: np.ndarray, four: Any, found: Any) -> None:
        layout, desk = self.plan.layout, new_desk(facts)
        at_once = max(1, _KEPT // layout.cells)
        room = new_kept(at_once, layout, self.scratch.counts.dtype)
        for start in range(0, len(four), at_once):
            part = slice(start, start + at_once)
            kept = room._replace(counts=room.counts[: len(four[part])])
            repeat_loop(
                self.plan,
                self.key,
                self.first + start,
                table,
                self.state,
                self.scratch,
                four[part],
                kept,
            )
            closed_losses(kept.counts, facts, asked, desk, found[part])


@njit(**LEAF)
def repeat_loop(plan, key, first, table, state, scratch, losses, kept):
    """Write the losses of the paper's students, (R, 4), on the memory that is laid out; keep the
    transfer sets if there is room for them.
    """
    for r in range(losses.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        learn(scratch, table, losses[r])
        if kept.counts.shape[0] > 0:
            keep(scratch, kept, r)


def learn(scratch: Any, table: Any, four: Any) -> None:
    """Write the losses of the paper's students on the counts just drawn into `four`, (4,)."""
    raise NotImplementedError("from machine code alone")


@overload(learn, jit_options=WITHIN)
def _learn(scratch, table, four):
    return sparse_losses if scratch.instance_class is ListScratch else paper_losses
