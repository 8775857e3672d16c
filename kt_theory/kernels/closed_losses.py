"""Losses of the paper's students other than total variation, transfer set by transfer set, beside
the loop that draws them.

An unvisited row is uniform, whose losses are known beforehand; those are all that CE_ful loses. Of
a visited row they are what `closed_forms` adds up; kl and chi2 are infinite where a label with mass
is given none, reverse_kl where one without mass is given some.

This is machine code of its own, compiled once for all ways to draw and called by its address:
whoever asks for total variation alone neither compiles nor loads it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import carray, cfunc, njit, types
from numba.extending import overload
from numpy import uint64

from kt_theory.kernels.closed_forms import (
    CLOSED,
    FEWER,
    ROW_FACTS,
    bits,
    compute,
    equal_shares,
    frequencies,
    look,
    look_up,
    middle,
    read,
    take_log,
    unvisited,
    weighted_frequencies,
)
from kt_theory.kernels.divergences import (
    CHI2,
    HELLINGER2,
    JS,
    KL,
    NAMES,
    REVERSE_KL,
    log_table,
    losses_of_rows,
)
from kt_theory.kernels.draws import ListScratch
from kt_theory.kernels.layout import LANES, Layout, in_lanes, positions, row_cells
from kt_theory.kernels.losses import CE_FUL, CE_PTL, CE_SGL, FORMS, SEL_PTL
from kt_theory.kernels.options import BARE, INLINE, WITHIN
from kt_theory.kernels.vectors import entries, intrinsic

_LOOKED_UP = 2**12
_ROUNDING = 2.0**-52
_OF_UNSEEN, _OF_ABSENT = bits(KL, CHI2), bits(REVERSE_KL)
_OF_LOGARITHMS, _OF_MIDDLE = bits(KL, REVERSE_KL, JS), bits(JS)
_OF_COUNTS = _OF_LOGARITHMS | bits(HELLINGER2)
_ASKED, _HEAD = 5, 5 + FORMS
_SUMS = FORMS * len(NAMES) * LANES


class Facts(NamedTuple):
    """A teacher, and what is asked, as machine code takes them.

    numbers: how many groups there are, lanes (8 for each group), cells, columns, and cells of the
    longest group; which losses are asked of each form, as bits; then the columns, form + FORMS *
    loss; then of each group where its cells start in the tables, and in the counts, how many
    vectors they are, of how many rows, and by how many cells each of these is filled up.

    tables: pi, -0 in cells that fill up, its logarithms, log 0 as 0, and its roots, (cells,); of
    the row in each lane its weight, in one lane alone if it is long, 1 if a label has no mass, and
    the weighed losses of the uniform row, (NAMES, lanes); the logarithms of whole numbers and their
    roots, side by side; the mass that is no more than rounding.
    """

    layout: Layout
    columns: np.ndarray
    numbers: np.ndarray
    tables: np.ndarray


class More(NamedTuple):
    """What the loop over repeats is given for other losses: the address of `_lose`, 0 for none, the
    facts, and memory of the thread: that of `_lose`, and counts in `layout` for those listed.
    """

    address: int
    layout: Layout
    numbers: np.ndarray
    tables: np.ndarray
    desk: np.ndarray
    counts: np.ndarray


def facts_of(pi: np.ndarray, rho: np.ndarray, columns: np.ndarray) -> Facts | None:
    """Return the facts for `columns`, form + FORMS * loss: None if they are of no loss that is
    taken here.
    """
    columns = np.array([column for column in columns if column // FORMS in CLOSED], dtype=np.int64)
    if len(columns) == 0:
        return None
    layout, labels = in_lanes(*pi.shape), pi.shape[1]
    groups, rows = _groups(layout)
    group = np.repeat(np.arange(len(rows)), rows)
    lane = np.arange(len(pi)) - np.repeat(np.cumsum(rows) - rows, rows)
    of_row, lanes = LANES * group + lane, LANES * len(rows)
    asked = np.zeros(FORMS, dtype=np.int64)
    for column in columns:
        asked[column % FORMS] |= bits(column // FORMS)
    visited = rho > 0.0
    uniform = np.zeros((len(NAMES), lanes))
    lost = losses_of_rows(np.full(pi.shape, 1.0 / labels), pi)[visited]
    uniform[:, of_row[visited]] = (rho[visited, None] * lost).T
    cells = positions(layout)
    cells[layout.eights + layout.fours :] += _filling(layout)

    def laid_out(table: np.ndarray, places: np.ndarray, size: int, filling: float) -> np.ndarray:
        found = np.full(size, filling)
        found[places] = table
        return found

    size = layout.cells + _filling(layout)
    tables = [
        laid_out(pi, cells, size, -0.0),
        laid_out(_finite_logs(pi), cells, size, 0.0),
        laid_out(np.sqrt(pi), cells, size, 0.0),
        laid_out(rho, of_row, lanes, 0.0),
        laid_out((pi == 0.0).any(axis=1), of_row, lanes, 0.0),
        uniform.reshape(-1),
        _of_whole_numbers(),
        np.array([labels * _ROUNDING]),
    ]
    sizes = [len(rows), lanes, size, len(columns), LANES * groups[2].max()]
    numbers = np.concatenate([np.array(sizes), asked, columns, groups.reshape(-1)])
    return Facts(layout, columns, numbers.astype(np.int64), np.concatenate(tables))


def _finite_logs(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0.0, log_table(x).reshape(x.shape), 0.0)


@cache
def _of_whole_numbers() -> np.ndarray:
    numbers = np.arange(float(_LOOKED_UP))
    return np.stack([_finite_logs(numbers), np.sqrt(numbers)], axis=1).reshape(-1)


def _filling(layout: Layout) -> int:
    """Return by how many cells rows woven by four are filled up to whole vectors in the tables."""
    return -layout.fours * layout.labels % LANES


def _groups(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return what `Facts` says of each group, (5, G), and how many rows it has."""
    labels = layout.labels
    eights = np.arange(layout.eights // LANES)
    long = np.arange(layout.inputs - layout.eights - layout.fours)
    sizes = [len(eights), layout.fours // FEWER, len(long)]

    def each(*values: int) -> np.ndarray:
        return np.repeat(np.array(values), sizes)

    woven, end = layout.eights * labels, (layout.eights + layout.fours) * labels
    first = [eights * LANES * labels, np.full(sizes[1], woven), end + long * layout.width]
    starts, rows = np.concatenate(first), each(LANES, FEWER, 1)
    vectors = each(labels, -(-labels // 2), layout.width // LANES)
    filled = each(0, labels % 2, layout.width - labels)
    return np.stack([starts + each(0, 0, _filling(layout)), starts, vectors, rows, filled]), rows


def more_losses(facts: Facts | None, *, listed: bool) -> More:
    """Return what a thread needs to take them; `listed`: the cells that are hit are."""
    none, counts = np.zeros(0), np.zeros(0, dtype=np.int32)
    if facts is None:
        return More(0, in_lanes(1, 1), np.zeros(0, dtype=np.int64), none, none, counts)
    desk = np.zeros(5 * facts.numbers[4] + ROW_FACTS + _SUMS)
    if listed:
        counts = np.zeros(facts.layout.cells, dtype=np.int32)
    return More(_compiled().address, facts.layout, facts.numbers, facts.tables, desk, counts)


@cache
def _compiled() -> Any:
    reals, size = types.CPointer(types.float64), types.int64
    kinds = types.CPointer(size), reals, reals, size, size, reals
    return cfunc(types.void(*kinds), cache=True, error_model="numpy")(_lose)


def _lose(numbers, tables, desk, counts, long, losses):
    """Write the losses of the columns that are asked on the transfer set at the address `counts`,
    whose counts have 64 bits if they are `long`, else 32.
    """
    head = carray(numbers, (_HEAD,))
    groups, lanes, cells, columns, longest = head[0], head[1], head[2], head[3], head[4]
    integers = carray(numbers, (_HEAD + columns + 5 * groups,))
    reals = carray(tables, (3 * cells + (2 + len(NAMES)) * lanes + 2 * _LOOKED_UP + 1,))
    room = carray(desk, (5 * longest + ROW_FACTS + _SUMS,))
    row, sums = room[5 * longest :], room[5 * longest + ROW_FACTS :]
    sums[:] = 0.0
    endless = (0, 0)
    for g in range(groups):
        endless = _add_group(counts, long, integers, reals, room, row, sums, g, endless)
    found = carray(losses, (columns,))
    for j in range(columns):
        column = integers[_HEAD + j]
        loss, form = column // FORMS, column % FORMS
        lost = _total(sums, CE_FUL, loss)
        without_end = 0
        if form != CE_FUL:
            lost += _total(sums, form, loss)
            without_end = endless[1] if form == SEL_PTL else endless[0]
        found[j] = np.inf if without_end >> loss & 1 else lost


@njit(**INLINE)
def _add_group(counts, long, integers, reals, room, row, sums, g, endless):
    """Add the losses of the rows of a group to the sums; return which are infinite of CE_sgl and
    CE_ptl, and of SEL_ptl.
    """
    groups, lanes, cells, longest = integers[0], integers[1], integers[2], integers[4]
    first = _HEAD + integers[3] + g
    at, start, vectors = integers[first], integers[first + groups], integers[first + 2 * groups]
    rows, filled = integers[first + 3 * groups], integers[first + 4 * groups]
    pi, logs, roots = reals[:cells], reals[cells:], reals[2 * cells :]
    rho, zeros = reals[3 * cells :], reals[3 * cells + lanes :]
    uniform, table = zeros[lanes:], zeros[(1 + len(NAMES)) * lanes :]
    least, lane = table[2 * _LOOKED_UP], LANES * g
    c, lc, rc = room, room[longest:], room[2 * longest :]
    q, both = room[3 * longest :], room[4 * longest :]
    halves = 2 * vectors - (filled if rows == FEWER else 0)
    read(counts, long, start, halves, c)
    for j in range(FEWER * halves, LANES * vectors):
        c[j] = 0.0
    most, hides, lost, astray = look(c, pi, rho, zeros, lane, at, vectors, rows, filled, least, row)
    of_two = endless[0] | (_OF_UNSEEN if hides > 0.0 else 0)
    of_sel = endless[1] | (_OF_UNSEEN if lost > 0.0 else 0) | (_OF_ABSENT if astray > 0.0 else 0)
    sgl, ptl, sel = integers[_ASKED], integers[_ASKED + CE_PTL], integers[_ASKED + SEL_PTL]
    unvisited(row, uniform, lane, lanes, sums, sgl | ptl | sel | integers[_ASKED + CE_FUL])
    sgl, ptl, sel = sgl & ~of_two, ptl & ~of_two, sel & ~of_sel
    if (sgl | ptl) & _OF_COUNTS:
        if most < _LOOKED_UP:
            look_up(c, table, vectors, lc, rc)
        else:
            compute(c, vectors, lc, rc)
    for form in range(CE_FUL):
        asked = sgl
        if form > CE_SGL:
            asked = ptl if form == CE_PTL else sel
        if asked & _OF_LOGARITHMS:
            take_log(row, form)
        if form == CE_SGL:
            frequencies(c, lc, rc, pi, logs, roots, q, both, row, sums, at, vectors, rows, asked)
        elif form == CE_PTL:
            weighted_frequencies(
                c, lc, rc, pi, logs, roots, q, both, row, sums, at, vectors, rows, asked
            )
        else:
            equal_shares(c, lc, rc, pi, logs, roots, q, both, row, sums, at, vectors, rows, asked)
        if asked & _OF_MIDDLE:
            middle(q, both, pi, at, vectors, row, rows, sums, form)
    return of_two, of_sel


@njit(**BARE)
def _total(sums, form, loss):
    at = (form * len(NAMES) + loss) * LANES
    total = 0.0
    for i in range(at, at + LANES):
        total += sums[i]
    return total


def lose_more(scratch: Any, more: Any, losses: Any) -> None:
    """Write the other losses on the counts just drawn, if any are asked."""
    raise NotImplementedError("from machine code alone")


@overload(lose_more, jit_options=WITHIN)
def _lose_more(scratch, more, losses):
    return _lose_listed if scratch.instance_class is ListScratch else _lose_drawn


def _lose_drawn(scratch, more, losses):
    if more.address != 0:
        _call(more.address, more.numbers, more.tables, more.desk, scratch.counts, losses)


def _lose_listed(scratch, more, losses):
    if more.address != 0:
        _lay_out(scratch, more, True)
        _call(more.address, more.numbers, more.tables, more.desk, more.counts, losses)
        _lay_out(scratch, more, False)


@njit(**INLINE)
def _lay_out(scratch, more, hit):
    """Copy the counts of the cells that were hit to where they lie in a layout, or 0."""
    labels = uint64(more.layout.labels)
    for i in range(scratch.found[0]):
        cell = scratch.touched[uint64(i)]
        s = cell // labels
        first, step = row_cells(np.int64(s), more.layout)
        more.counts[first + (cell - s * labels) * step] = scratch.counts[cell] if hit else 0


@intrinsic
def _call(typing, address, numbers, tables, desk, counts, losses):
    """Call `_lose` by its address."""

    def codegen(context, builder, signature, args):
        given = [
            entries(context, builder, kind, array)
            for kind, array in zip(signature.args[1:], args[1:], strict=True)
        ]
        whole = ir.IntType(64)
        long = ir.Constant(whole, int(given[3].type.pointee == whole))
        given[3:4] = [builder.ptrtoint(given[3], whole), long]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(args[0], ir.PointerType(function)), given)
        return context.get_dummy_value()

    return types.void(types.int64, numbers, tables, desk, counts, losses), codegen
