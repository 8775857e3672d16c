"""The repeat loop: draw a transfer set, let every student learn from it, write the losses.

One call runs many repeats on one thread; several calls, one per thread, run at the same time
without the interpreter's lock. Everything that a repeat needs is allocated before the first one.
The paper's students learn at once, from counts that are still in the caches; for rules, the counts
of some repeats are kept and laid out once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from kt_theory.kernels.draws import DrawPlan, ListScratch, draw_counts, new_scratch
from kt_theory.kernels.generic import Rules, rule_losses
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
    kinds: np.ndarray,
    rules: Rules,
    losses: np.ndarray,
) -> tuple[int, int, int]:
    """Write the losses of repeats first .. first + R - 1 into `losses`, (R, students).

    kinds (students,) int64 says which closed form, or GENERIC + k for the k-th entry of `rules`.
    Returns (repeat, student, row) of the first row that is not a distribution, or (-1, -1, -1).
    """
    closed, own = np.flatnonzero(kinds < GENERIC), np.flatnonzero(kinds >= GENERIC)
    all_four = kinds.tolist() == list(range(_STUDENTS))
    four = losses if all_four else np.empty((len(losses), _STUDENTS))
    cells = plan.layout.cells if len(own) > 0 else 0
    at_once = max(1, _BLOCK // cells) if cells > 0 else len(losses)
    state, scratch = np.empty(3, dtype=np.uint64), new_scratch(plan)
    for start in range(0, len(losses), at_once):
        size = min(at_once, len(losses) - start)
        part = slice(start, start + size)
        counts = np.empty((size if cells > 0 else 0, cells), dtype=np.int64)
        known = four[part] if len(closed) > 0 else four[:0]
        repeat_loop(plan, key, first + start, size, table, state, scratch, known, counts)
        if cells > 0:
            found = np.empty((len(counts), len(own)))
            bad = rule_losses(counts, plan.layout, key, first + start, table.rho, rules, found)
            losses[part, own] = found
            if bad[0] >= 0:
                return bad[0], int(own[bad[1]]), bad[2]
    if not all_four:
        losses[:, closed] = four[:, kinds[closed]]
    return -1, -1, -1


def draw_many(
    plan: DrawPlan, key: np.ndarray, first: int, table: Table | SortedTable, counts: np.ndarray
) -> None:
    """Fill `counts`, (R, cells) int64, with the transfer sets of repeats first .. first + R - 1."""
    state, scratch = np.empty(3, dtype=np.uint64), new_scratch(plan)
    four = np.empty((0, _STUDENTS))
    repeat_loop(plan, key, first, len(counts), table, state, scratch, four, counts)


@njit(**LEAF)
def repeat_loop(plan, key, first, repeats, table, state, scratch, losses, counts):
    """Write the losses of the paper's students, (R, 4), and the counts that they learnt from, (R,
    cells), as far as there is room.
    """
    for r in range(repeats):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        learn(scratch, table, losses[r])
        if r < counts.shape[0]:
            for j in range(counts.shape[1]):
                counts[r, j] = scratch.counts[j]


def learn(scratch: Any, table: Any, four: Any) -> None:
    """Write the losses of the paper's students on the counts just drawn into `four`, (4,)."""
    raise NotImplementedError("from machine code alone")


@overload(learn, jit_options=WITHIN)
def _learn(scratch, table, four):
    return sparse_losses if scratch.instance_class is ListScratch else paper_losses
