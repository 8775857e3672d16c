"""The counts of a whole transfer set, n pairs iid from rho x pi, by one of four exact paths.

- "sparse": n alias draws; the cells hit are listed, and the losses look at those alone. For n far
  below S A.
- "alias": n alias draws, 1.2 ns each.
- "poisson": a table look-up of 1 ns per cell, and some sqrt(n) alias draws. For n above S A.
- "binomial": a binomial of up to 60 ns per cell, whatever n. Where the Poisson tables would outgrow
  the caches.

The path is a rule in (S, A, n, pi). A cell of probability zero is never drawn on any of them.
Queries that are not iid, or have several labels each, go row by row: see visits.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.alias import WORDS, alias_table, scatter, scatter_listing
from kt_theory.kernels.binomial import conditional_shares, draw_by_binomials
from kt_theory.kernels.layout import in_cell_order, woven_rows, zeros_on_a_line
from kt_theory.kernels.options import INLINE, LEAF
from kt_theory.kernels.poisson import Ladder, draw_by_poisson, fits, ladder
from kt_theory.kernels.streams import start_stream
from kt_theory.kernels.visits import FIXED, TWO_STAGE, RowPlan, alias_tables, draw_by_rows

SPARSE, ALIAS, POISSON, BINOMIAL, ROWS = 0, 1, 2, 3, 4
PATHS = ("sparse", "alias", "poisson", "binomial")

_SPARSE_CELLS_PER_PAIR = 80
_SPARSE_CELLS_PER_PAIR_ONE_ROW = 4
_POISSON_PAIRS_PER_CELL = 1.25
_POISSON_PAIRS = 64
_NO_WORDS, _NO_COUNTS = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
_NO_LADDER = Ladder(
    least=_NO_COUNTS,
    first_pass=_NO_COUNTS,
    entry=_NO_WORDS,
    base=_NO_COUNTS,
    base_total=_NO_COUNTS,
    rest_entry=_NO_WORDS,
    rest_base=_NO_COUNTS,
    bits=0,
    rest=_NO_WORDS,
    cells=_NO_WORDS,
    tables=_NO_WORDS,
)
_NO_ROWS = RowPlan(
    law=FIXED,
    inputs=0,
    labels_per_query=1,
    horizon=1,
    start_bits=0,
    start=_NO_WORDS,
    step_bits=0,
    steps=_NO_WORDS,
    row_share=np.zeros(0),
    visits=_NO_COUNTS,
    rho=np.zeros(0),
)


class DrawPlan(NamedTuple):
    """What a kernel needs to draw counts: the path, n, the order of the cells, and the tables of
    that path.
    """

    path: int
    n: int
    woven: int
    bits: int
    entries: np.ndarray
    ladder: Ladder
    row_share: np.ndarray
    cell_share: np.ndarray
    rows: RowPlan = _NO_ROWS


class Scratch(NamedTuple):
    """A thread's own memory: counts and a spare copy (cells,), random words, the cells hit and how
    many they are.

    weights (2 S,): for queries in two stages.
    """

    counts: np.ndarray
    spare: np.ndarray
    words: np.ndarray
    touched: np.ndarray
    found: np.ndarray
    weights: np.ndarray


def choose_path(pi: np.ndarray, rho: np.ndarray, n: int) -> int:
    """Return the path for n pairs: a rule in (S, A, n) and the largest probability."""
    per_pair = _SPARSE_CELLS_PER_PAIR if len(pi) > 1 else _SPARSE_CELLS_PER_PAIR_ONE_ROW
    if n * per_pair <= pi.size:
        return SPARSE
    if n < max(_POISSON_PAIRS, _POISSON_PAIRS_PER_CELL * pi.size):
        return ALIAS
    return POISSON if fits(n, rho[:, None] * pi) else BINOMIAL


def draw_plan(pi: np.ndarray, rho: np.ndarray, n: int, path: int | None = None) -> DrawPlan:
    """Return the plan to draw the counts of n pairs from pi (S, A) and rho (S,)."""
    path = choose_path(pi, rho, n) if path is None else path
    woven = 0 if path == SPARSE else woven_rows(*pi.shape, padding=path == ALIAS)
    joint = in_cell_order(rho[:, None] * pi, woven)
    joint /= joint.sum()
    bits, entries = alias_table(joint) if path in (SPARSE, ALIAS) else (0, _NO_WORDS)
    rungs = ladder(joint, n) if path == POISSON else _NO_LADDER
    shares = np.zeros(0), np.zeros((0, 0))
    if path == BINOMIAL:
        shares = conditional_shares(rho), conditional_shares(pi)
    return DrawPlan(path, n, woven, bits, entries, rungs, *shares)


def row_plan(pi: np.ndarray, rows: RowPlan, n: int) -> DrawPlan:
    """Return the plan to draw the visits of n queries by `rows`, and labels from pi (S, A)."""
    woven = woven_rows(*pi.shape, padding=True)
    bits, entries = alias_tables(pi)
    shares = np.zeros(0), conditional_shares(pi)
    return DrawPlan(ROWS, n, woven, bits, entries, _NO_LADDER, *shares, rows)


def new_scratch(plan: DrawPlan, cells: int) -> Scratch:
    """Return the scratch memory of one thread."""
    touched = plan.n + 1 if plan.path == SPARSE else 0
    weights = 2 * plan.rows.inputs if plan.rows.law == TWO_STAGE else 0
    return Scratch(
        zeros_on_a_line(cells),
        zeros_on_a_line(cells),
        np.empty(WORDS, dtype=np.uint64),
        np.zeros(touched, dtype=np.uint64),
        np.zeros(1, dtype=np.int64),
        np.zeros(weights),
    )


@njit(**INLINE)
def draw_counts(plan, state, scratch):
    """Overwrite `scratch.counts`, in the order of the cells, with those of one transfer set."""
    counts, words = scratch.counts, scratch.words
    if plan.path == SPARSE:
        for i in range(scratch.found[0]):
            counts[scratch.touched[np.uint64(i)]] = 0
        touched = scratch.touched
        found = scatter_listing(plan.n, plan.bits, plan.entries, state, words, counts, touched)
        scratch.found[0] = found
    elif plan.path == ALIAS:
        counts[:] = 0
        scatter(plan.n, plan.bits, plan.entries, state, words, counts)
    elif plan.path == POISSON:
        draw_by_poisson(plan.n, plan.ladder, state, words, scratch.spare, counts)
    elif plan.path == ROWS:
        draw_by_rows(plan, state, scratch)
    else:
        draw_by_binomials(plan.n, plan.row_share, plan.cell_share, plan.woven, state, counts)


def draw_many(plan: DrawPlan, key: np.ndarray, first: int, counts: np.ndarray) -> None:
    """Fill `counts`, (R, cells) int64, with the transfer sets of repeats first .. first + R - 1."""
    state, scratch = np.empty(2, dtype=np.uint64), new_scratch(plan, counts.shape[1])
    draw_loop(plan, key, first, state, scratch, counts)


@njit(**LEAF)
def draw_loop(plan, key, first, state, scratch, counts):
    """Fill `counts` repeat by repeat."""
    for r in range(counts.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        for j in range(counts.shape[1]):
            counts[r, j] = scratch.counts[j]
