"""The counts of a whole transfer set, n pairs iid from rho x pi, by one of four exact paths.

- "sparse": n alias draws; the cells hit are listed, and the losses look at those alone. For n far
  below S A.
- "alias": n alias draws, 1.2 ns each.
- "poisson": a table look-up of 1 ns per cell, and some sqrt(n) alias draws. For n above S A.
- "binomial": a binomial of up to 60 ns per cell, whatever n. Where the Poisson tables would outgrow
  the caches.

The path is a rule in (S, A, n, pi). A cell of probability zero is never drawn on any of them.
Queries that are not iid, or have several labels each, go row by row: see visits.py.

Each path is a plan of a class of its own. What takes a plan, `draw_counts` among it, is compiled
for that class alone, when it is first asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numba.extending import overload

from kt_theory.kernels.binomial import conditional_shares, draw_by_binomials
from kt_theory.kernels.layout import Layout, in_cell_order, in_lanes, row_by_row, zeros_on_a_line
from kt_theory.kernels.lookups import Alias, Words, alias_of, new_words, scatter, scatter_listing
from kt_theory.kernels.options import LEAF, WITHIN
from kt_theory.kernels.paths import BINOMIAL, PATHS, POISSON, SPARSE, path_by_size
from kt_theory.kernels.poisson import Ladder, draw_by_poisson, fits, ladder
from kt_theory.kernels.sparse import Groups, new_groups
from kt_theory.kernels.streams import start_stream
from kt_theory.kernels.visits import Pilot, Visits, draw_by_rows, row_tables


class Sparse(NamedTuple):
    """n alias draws from `cells`, listed."""

    n: int
    layout: Layout
    cells: Alias


class ByAlias(NamedTuple):
    """n alias draws from `cells`."""

    n: int
    layout: Layout
    cells: Alias


class ByPoisson(NamedTuple):
    """The tables of n pairs."""

    n: int
    layout: Layout
    ladder: Ladder


class ByBinomials(NamedTuple):
    """Conditional shares of the rows (S,), and of the labels in each (S, A)."""

    n: int
    layout: Layout
    row_share: np.ndarray
    cell_share: np.ndarray


class ByRows(NamedTuple):
    """The law of the visits of n queries, and how labels are drawn: the alias tables of the rows,
    2^bits entries uint64 each, and conditional shares (S, A).
    """

    n: int
    layout: Layout
    law: Visits
    labels_per_query: int
    bits: int
    entries: np.ndarray
    cell_share: np.ndarray


DrawPlan: TypeAlias = Sparse | ByAlias | ByPoisson | ByBinomials | ByRows


class Scratch(NamedTuple):
    """A thread's own memory: counts and a spare copy (cells,), random words.

    Counts are int32 where they cannot exceed it.
    """

    counts: np.ndarray
    spare: np.ndarray
    words: Words


class ListScratch(NamedTuple):
    """Counts, random words, the cells hit and how many they are, and room to sort them."""

    counts: np.ndarray
    words: Words
    touched: np.ndarray
    found: np.ndarray
    groups: Groups


class RowScratch(NamedTuple):
    """Counts, the visits of each input (S,), random words, and weights (2 S,) for a pilot."""

    counts: np.ndarray
    visits: np.ndarray
    words: Words
    weights: np.ndarray


def choose_path(pi: np.ndarray, rho: np.ndarray, n: int) -> int:
    """Return the path for n pairs: a rule in (S, A, n) and the largest probability."""
    inputs, labels = pi.shape
    path = path_by_size(inputs, labels, n)
    return BINOMIAL if path == POISSON and not fits(n, rho[:, None] * pi) else path


def path_of(plan: DrawPlan) -> str | None:
    """Return the name of the path of a plan, None where queries go row by row."""
    kinds: dict[type, str] = dict(
        zip((Sparse, ByAlias, ByPoisson, ByBinomials), PATHS, strict=True)
    )
    return kinds.get(type(plan))


def draw_plan(pi: np.ndarray, rho: np.ndarray, n: int, path: int | None = None) -> DrawPlan:
    """Return the plan to draw the counts of n pairs from pi (S, A) and rho (S,)."""
    path = choose_path(pi, rho, n) if path is None else path
    layout = (row_by_row if path == SPARSE else in_lanes)(*pi.shape)
    if path == BINOMIAL:
        return ByBinomials(n, layout, conditional_shares(rho), conditional_shares(pi))
    joint = in_cell_order(rho[:, None] * pi, layout)
    joint /= joint.sum()
    if path == POISSON:
        return ByPoisson(n, layout, ladder(joint, n))
    return (Sparse if path == SPARSE else ByAlias)(n, layout, alias_of(joint))


def row_plan(pi: np.ndarray, law: Visits, labels_per_query: int, n: int) -> ByRows:
    """Return the plan to draw the visits of n queries by `law`, and labels from pi (S, A)."""
    layout, shares = in_lanes(*pi.shape), conditional_shares(pi)
    return ByRows(n, layout, law, labels_per_query, *row_tables(pi), shares)


def new_scratch(plan: DrawPlan) -> Scratch | ListScratch | RowScratch:
    """Return the scratch memory of one thread."""
    cells, inputs, words = plan.layout.cells, plan.layout.inputs, new_words()
    match plan:
        case Sparse():
            touched, counts = np.zeros(plan.n + 1, dtype=np.uint64), np.zeros(cells, dtype=np.int32)
            found = np.zeros(1, dtype=np.int64)
            return ListScratch(counts, words, touched, found, new_groups(plan.n + 1, inputs))
        case ByRows():
            weights = np.zeros(2 * inputs if isinstance(plan.law, Pilot) else 0)
            visits = np.zeros(inputs, dtype=np.int64)
            return RowScratch(zeros_on_a_line(cells, np.int64), visits, words, weights)
        case _:
            narrow = np.int64 if isinstance(plan, ByBinomials) else np.int32
            spare = cells if isinstance(plan, ByPoisson) else 0
            room = zeros_on_a_line(cells, narrow), zeros_on_a_line(spare, narrow)
            return Scratch(*room, words)


def draw_counts(plan: Any, state: Any, scratch: Any) -> None:
    """Overwrite `scratch.counts`, in the order of the cells, with those of one transfer set."""
    raise NotImplementedError("from machine code alone")


@overload(draw_counts, jit_options=WITHIN)
def _draw_counts(plan, state, scratch):
    return _DRAWS[plan.instance_class]


def _by_sparse(plan, state, scratch):
    counts, touched = scratch.counts, scratch.touched
    for i in range(scratch.found[0]):
        counts[touched[np.uint64(i)]] = 0
    scratch.found[0] = scatter_listing(plan.n, plan.cells, state, scratch.words, counts, touched)


def _by_alias(plan, state, scratch):
    scratch.counts[:] = 0
    scatter(plan.n, plan.cells, state, scratch.words, scratch.counts)


_DRAWS = {
    Sparse: _by_sparse,
    ByAlias: _by_alias,
    ByPoisson: draw_by_poisson,
    ByBinomials: draw_by_binomials,
    ByRows: draw_by_rows,
}


def draw_many(plan: DrawPlan, key: np.ndarray, first: int, counts: np.ndarray) -> None:
    """Fill `counts`, (R, cells) int64, with the transfer sets of repeats first .. first + R - 1."""
    draw_loop(plan, key, first, np.empty(3, dtype=np.uint64), new_scratch(plan), counts)


@njit(**LEAF)
def draw_loop(plan, key, first, state, scratch, counts):
    """Fill `counts` repeat by repeat, on the memory that is laid out."""
    for r in range(counts.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, scratch)
        for j in range(counts.shape[1]):
            counts[r, j] = scratch.counts[j]
