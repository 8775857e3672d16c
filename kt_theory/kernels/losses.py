"""Losses TV(q, pi | rho) of the paper's four students together, straight from the counts of all
cells.

With c = n_sa, p = pi(a|s), k = sum_a c, Z = sum_a c p, U and M the number and the mass of the
unseen labels, a visited row costs CE_sgl sum (p - c / k)^+, CE_ptl sum p (1 - c / Z)^+, SEL_ptl
sum_unseen (p - M / U)^+ and CE_ful 0: half the sum of absolute differences, as rows sum to 1; an
unvisited row costs all four its precomputed TV(Uniform, pi_s). So no student's table is ever
written: one pass for the four sums, one for the three distances, 0.3 to 0.7 ns per cell. A label is
unseen where p - 4 c is not negative. They agree with the generic path on the same counts to 1e-12.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import types

from kt_theory.kernels.divergences import NAMES
from kt_theory.kernels.layout import LANES, Layout
from kt_theory.kernels.vectors import REAL, Lanes, entries, intrinsic, loop, number

FORMS = 4
CE_SGL, CE_PTL, SEL_PTL, CE_FUL = range(FORMS)
GENERIC = FORMS * len(NAMES)
"""Where columns of rules begin, behind those of each form for each loss: form + FORMS * loss."""

_ABOVE_ALL = -4.0
_TINY = 1e-300


class Table(NamedTuple):
    """The teacher as the kernels see it, its cells in the order of `layout`.

    pi (cells,): probabilities; rho, fallback (S,): fallback = TV(Uniform, pi_s).
    """

    layout: Layout
    pi: np.ndarray
    rho: np.ndarray
    fallback: np.ndarray


class SortedTable(NamedTuple):
    """The same for the sparse path, with more to look up.

    ascending, below (cells,): rows of pi in ascending order and the sums of the entries before
    each; mass (S,): the sum of each row; unvisited = sum_s rho_s fallback_s.
    """

    layout: Layout
    pi: np.ndarray
    rho: np.ndarray
    fallback: np.ndarray
    ascending: np.ndarray
    below: np.ndarray
    mass: np.ndarray
    unvisited: float


def paper_losses(scratch, table, four):
    """Write the losses of the four students into `four`, (4,), for `learn`."""
    counts, layout, pi, rho, fallback = (
        scratch.counts,
        table.layout,
        table.pi,
        table.rho,
        table.fallback,
    )
    labels, at, row = layout.labels, 0, 0
    sgl, ptl, sel, ful = 0.0, 0.0, 0.0, 0.0
    if layout.eights > 0:
        more = _by_eight(counts, pi, at, labels, layout.eights, rho, fallback, row)
        sgl, ptl, sel, ful = sgl + more[0], ptl + more[1], sel + more[2], ful + more[3]
        at, row = layout.eights * labels, layout.eights
    if layout.fours > 0:
        more = _by_four(counts, pi, at, labels, layout.fours, rho, fallback, row)
        sgl, ptl, sel, ful = sgl + more[0], ptl + more[1], sel + more[2], ful + more[3]
        at, row = at + layout.fours * labels, row + layout.fours
    for s in range(row, layout.inputs):
        more = _long_row(counts, pi, at, labels, layout.width)
        seen = more[3] > 0.0
        known, unknown = (rho[s], 0.0) if seen else (0.0, rho[s])
        sgl, ptl, sel = sgl + known * more[0], ptl + known * more[1], sel + known * more[2]
        ful += unknown * fallback[s]
        at += layout.width
    four[0], four[1], four[2], four[3] = sgl + ful, ptl + ful, sel + ful, ful


class _Row:
    """The sums of W rows, or of W columns of a row, and the distances, a vector of cells at a
    time.
    """

    def __init__(self, lanes: Lanes, counts: Any, pi: Any, step: int) -> None:
        self.lanes, self.counts, self.pi, self.step = lanes, counts, pi, step
        self.zero, self.one = lanes.constant(REAL, 0.0), lanes.constant(REAL, 1.0)

    def cells(self, i: Any) -> tuple[Any, Any, Any]:
        """Return counts number i, the same as reals, and probabilities."""
        at = self.lanes.builder.mul(i, number(self.step))
        counts = self.lanes.load(self.counts, at)
        return counts, self.lanes.real(counts), self.lanes.load(self.pi, at)

    def sums(self, stop: Any) -> list[Any]:
        """Return k, Z, U and M, lane by lane."""
        lanes, builder = self.lanes, self.lanes.builder
        above_all = lanes.constant(REAL, _ABOVE_ALL)
        none = lanes.constant(self.counts.type.pointee, 0)

        def body(i: Any, visits: Any, weight: Any, unseen: Any, hidden: Any) -> list[Any]:
            whole, c, p = self.cells(i)
            # A comparison that holds is -1 as a signed number.
            empty = builder.sext(builder.icmp_signed("==", whole, none), none.type)
            return [
                builder.fadd(visits, c),
                lanes.fused(c, p, weight),
                builder.sub(unseen, empty),
                builder.fadd(hidden, lanes.larger(lanes.fused(c, above_all, p), self.zero)),
            ]

        start = [self.zero, self.zero, none, self.zero]
        visits, weight, unseen, hidden = loop(builder, stop, 1, start, body)
        return [visits, weight, lanes.real(unseen), hidden]

    def distances(self, stop: Any, per_visit: Any, per_weight: Any, share: Any) -> list[Any]:
        """Return those of CE_sgl, CE_ptl and SEL_ptl, lane by lane."""
        lanes, builder = self.lanes, self.lanes.builder
        above_all = lanes.constant(REAL, _ABOVE_ALL)
        per_visit, per_weight = lanes.minus(per_visit), lanes.minus(per_weight)

        def body(i: Any, sgl: Any, ptl: Any, sel: Any) -> list[Any]:
            _, c, p = self.cells(i)
            lacking = lanes.larger(lanes.fused(c, per_weight, self.one), self.zero)
            beyond = lanes.fused(c, above_all, builder.fsub(p, share))
            return [
                builder.fadd(sgl, lanes.larger(lanes.fused(c, per_visit, p), self.zero)),
                lanes.fused(p, lacking, ptl),
                builder.fadd(sel, lanes.larger(beyond, self.zero)),
            ]

        return loop(builder, stop, 1, [self.zero] * 3, body)


def _woven(width: int) -> Any:
    """Return the kernel of rows that are woven by `width`."""

    @intrinsic
    def losses(typing, counts, pi, at, labels, rows, rho, fallback, row):
        """Return sum_s rho_s (CE_sgl, CE_ptl, SEL_ptl) over visited rows, and over the others
        sum_s rho_s fallback_s, for `rows` rows from number `row` on whose cells start at `at`.
        """

        def codegen(context, builder, signature, args):
            counts, pi, rho, fallback = (
                entries(context, builder, signature.args[k], args[k]) for k in (0, 1, 5, 6)
            )
            counts, pi = builder.gep(counts, [args[2]]), builder.gep(pi, [args[2]])
            rho, fallback = builder.gep(rho, [args[7]]), builder.gep(fallback, [args[7]])
            lanes, labels = Lanes(builder, width), args[3]

            def group(i, sgl, ptl, sel, ful):
                first = builder.mul(i, labels)
                one = _Row(lanes, builder.gep(counts, [first]), builder.gep(pi, [first]), width)
                visits, weight, unseen, hidden = one.sums(labels)
                seen = builder.fcmp_ordered(">", visits, one.zero)
                mass = lanes.load(rho, i)
                known = builder.select(seen, mass, one.zero)
                distances = one.distances(
                    labels,
                    builder.fdiv(one.one, lanes.larger(visits, one.one)),
                    builder.fdiv(one.one, lanes.larger(weight, lanes.constant(REAL, _TINY))),
                    builder.fdiv(hidden, lanes.larger(unseen, one.one)),
                )
                made = [
                    lanes.fused(known, distance, so_far)
                    for distance, so_far in zip(distances, (sgl, ptl, sel), strict=True)
                ]
                unknown = builder.fsub(mass, known)
                return [*made, lanes.fused(unknown, lanes.load(fallback, i), ful)]

            found = loop(builder, args[4], width, [lanes.constant(REAL, 0.0)] * 4, group)
            totals = [lanes.total(vector) for vector in found]
            return context.make_tuple(builder, signature.return_type, totals)

        four = types.UniTuple(types.float64, 4)
        whole = types.int64
        return four(counts, pi, whole, whole, whole, rho, fallback, whole), codegen

    return losses


_by_eight, _by_four = _woven(LANES), _woven(LANES // 2)


@intrinsic
def _long_row(typing, counts, pi, at, labels, width):
    """Return (CE_sgl, CE_ptl, SEL_ptl, visits) of the row whose cells are at[:width]."""

    def codegen(context, builder, signature, args):
        counts, pi = (
            builder.gep(entries(context, builder, signature.args[k], args[k]), [args[2]])
            for k in (0, 1)
        )
        lanes = Lanes(builder, LANES)
        vectors = builder.sdiv(args[4], number(LANES))
        one = _Row(lanes, counts, pi, LANES)
        visits, weight, unseen, hidden = (lanes.total(vector) for vector in one.sums(vectors))
        filled = builder.sitofp(builder.sub(args[4], args[3]), REAL)
        unseen = builder.fsub(unseen, filled)

        def at_least(value, least):
            low = ir.Constant(REAL, least)
            return builder.select(builder.fcmp_ordered(">", value, low), value, low)

        unit = ir.Constant(REAL, 1.0)
        distances = one.distances(
            vectors,
            lanes.spread(builder.fdiv(unit, at_least(visits, 1.0))),
            lanes.spread(builder.fdiv(unit, at_least(weight, _TINY))),
            lanes.spread(builder.fdiv(hidden, at_least(unseen, 1.0))),
        )
        totals = [lanes.total(vector) for vector in distances]
        return context.make_tuple(builder, signature.return_type, [*totals, visits])

    whole = types.int64
    return types.UniTuple(types.float64, 4)(counts, pi, whole, whole, whole), codegen
