"""The paper's students in losses other than total variation, straight from the counts: the sums
over the cells of a vector of rows.

With c = n_sa, p = pi(a|s), k = sum_a c, Z = sum_a c p, and t an equal share of the mass that is
hidden, a visited row q is c / k of CE_sgl, c p / Z of CE_ptl, and of SEL_ptl p where c > 0, else t.
So no row is written, and log q takes that of a whole number, which is looked up, and one for each
row. Each loss has a loop of its own, but kl and reverse_kl, so that it is the same bits whatever is
asked with it. What is infinite is told from the row (`closed_losses`), so that loops add up finite
numbers: log 0 counts as 0.

The lanes of a vector are a group: eight rows that are woven, two labels of four rows, whose halves
are added up then, or eight labels of a long row, which are all added up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.ir as ir
from numba import types

from kt_theory.kernels.divergences import (
    CHI2,
    HELLINGER2,
    JS,
    KL,
    L2,
    NAMES,
    REVERSE_KL,
    Terms,
    log,
)
from kt_theory.kernels.layout import LANES
from kt_theory.kernels.losses import CE_FUL, CE_PTL, CE_SGL, SEL_PTL
from kt_theory.kernels.vectors import INT, LONG, REAL, Lanes, entries, intrinsic, loop, number

CLOSED = (KL, REVERSE_KL, CHI2, HELLINGER2, JS, L2)
"""The losses that are taken here."""

FEWER = LANES // 2
KNOWN, VISITS, WEIGHT, SHARE, LOGARITHM, ROW_FACTS = (k * LANES for k in (0, 1, 2, 3, 4, 7))
"""Where `row` says of each lane what its row is known by: rho if visited; k, Z and t, one of each
form; and their logarithms.
"""

_ABOVE_ALL, _TINY = -4.0, 1e-300


def bits(*losses: int) -> int:
    """Return losses as bits of what is asked."""
    return sum(1 << loss for loss in losses)


@intrinsic
def read(typing, address, long, start, halves, c):
    """Write counts as reals to `c`, `halves` half vectors from number `start` of those that lie at
    `address`, of 64 bits each if they are `long`, else of 32.
    """

    def codegen(context, builder, signature, args):
        address, long, start, halves, c = args
        lanes, reals = Lanes(builder, FEWER), entries(context, builder, signature.args[4], c)

        def copy(kind):
            counts = builder.gep(builder.inttoptr(address, kind.as_pointer()), [start])

            def body(i):
                place = builder.mul(i, number(FEWER))
                lanes.store(lanes.real(lanes.load(counts, place)), reals, place)
                return []

            loop(builder, halves, 1, [], body)

        with builder.if_else(builder.icmp_signed("!=", long, number(0))) as (wide, narrow):
            with wide:
                copy(LONG)
            with narrow:
                copy(INT)
        return context.get_dummy_value()

    size = types.int64
    return types.void(size, size, size, size, c), codegen


@intrinsic
def look(typing, c, pi, rho, zeros, lane, at, vectors, rows, filled, least, row):
    """Write to `row` what the rows of a group are known by, t as 0 where no more than `least` is
    hidden. Return the largest count, and of visited rows the mass that is hidden, what of it gets
    no share, and the largest share of labels that have no mass.
    """

    def codegen(context, builder, signature, args):
        counts, pi, rho, zeros, row = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 1, 2, 3, 10)
        )
        lane, at, vectors, rows, filled, least = args[4:10]
        lanes = Lanes(builder, LANES)
        zero, one = lanes.constant(REAL, 0.0), lanes.constant(REAL, 1.0)
        above_all = lanes.constant(REAL, _ABOVE_ALL)

        def body(i, visits, weight, unseen, hidden, most):
            own = builder.mul(i, number(LANES))
            c, p = lanes.load(counts, own), lanes.load(pi, builder.add(at, own))
            empty = builder.fcmp_ordered("==", c, zero)
            return [
                builder.fadd(visits, c),
                lanes.fused(c, p, weight),
                builder.fadd(unseen, builder.select(empty, one, zero)),
                builder.fadd(hidden, lanes.larger(lanes.fused(c, above_all, p), zero)),
                lanes.larger(most, c),
            ]

        def where(x, value):
            return builder.select(builder.fcmp_ordered(">", x, zero), value, zero)

        *sums, most = loop(builder, vectors, 1, [zero] * 5, body)
        visits, weight, unseen, hidden = (_of_rows(lanes, rows, vector) for vector in sums)
        filled = lanes.spread(builder.sitofp(filled, REAL))
        unseen = lanes.larger(builder.fsub(unseen, filled), one)
        beyond = builder.fcmp_ordered(">", hidden, lanes.spread(least))
        share = builder.select(beyond, builder.fdiv(hidden, unseen), zero)
        known = where(visits, lanes.load(rho, lane))
        for place, vector in zip(
            (KNOWN, VISITS, WEIGHT, SHARE), (known, visits, weight, share), strict=True
        ):
            lanes.store(vector, row, number(place))
        hides = where(known, hidden)
        lost = builder.select(beyond, zero, hides)
        astray = where(known, where(lanes.load(zeros, lane), share))
        found = [_largest(lanes, vector) for vector in (most, hides, lost, astray)]
        return context.make_tuple(builder, signature.return_type, found)

    size, real = types.int64, types.float64
    where = size, size, size, size, size, real
    return types.UniTuple(real, 4)(c, pi, rho, zeros, *where, row), codegen


def _of_rows(lanes: Lanes, rows: Any, vector: Any) -> Any:
    """Return the sums over rows from those of lanes: in each lane that of a row."""
    builder = lanes.builder
    turned = _shuffled(builder, vector, vector, range(FEWER, FEWER + LANES))
    halves, whole = builder.fadd(vector, turned), lanes.spread(lanes.total(vector))
    fewer = builder.icmp_signed("<", rows, number(LANES))
    single = builder.icmp_signed("==", rows, number(1))
    return builder.select(single, whole, builder.select(fewer, halves, vector))


def _largest(lanes: Lanes, vector: Any) -> Any:
    return lanes.fold(vector, lambda x, y: Lanes(lanes.builder, x.type.count).larger(x, y))


@intrinsic
def take_log(typing, row, k):
    """Write the logarithm of k, Z or t, number k of them, to `row`; that of 0 is one of a small
    number.
    """

    def codegen(context, builder, signature, args):
        row = entries(context, builder, signature.args[0], args[0])
        lanes, place = Lanes(builder, LANES), builder.mul(args[1], number(LANES))
        total = lanes.load(row, builder.add(place, number(VISITS)))
        found = log(lanes, lanes.larger(total, lanes.constant(REAL, _TINY)))
        lanes.store(found, row, builder.add(place, number(LOGARITHM)))
        return context.get_dummy_value()

    return types.void(row, types.int64), codegen


@intrinsic
def look_up(typing, c, table, vectors, logs, roots):
    """Write the logarithms and the roots of the counts of a group, from a table."""

    def codegen(context, builder, signature, args):
        counts, table, logs, roots = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 1, 3, 4)
        )
        pair, half = Lanes(builder, 2), Lanes(builder, FEWER)

        def body(i):
            own = builder.mul(i, number(FEWER))
            given = half.load(counts, own)
            places = builder.shl(builder.fptosi(given, half.kind(INT)), half.constant(INT, 1))
            pairs = []
            for lane in range(FEWER):
                place = builder.extract_element(places, ir.Constant(INT, lane))
                pairs.append(pair.load(table, builder.zext(place, LONG)))
            low, high = (_shuffled(builder, pairs[k], pairs[k + 1], range(FEWER)) for k in (0, 2))
            for first, to in ((0, logs), (1, roots)):
                picked = _shuffled(builder, low, high, range(first, 2 * FEWER, 2))
                half.store(picked, to, own)
            return []

        loop(builder, builder.mul(args[2], number(2)), 1, [], body)
        return context.get_dummy_value()

    return types.void(c, table, types.int64, logs, roots), codegen


def _shuffled(builder: Any, x: Any, y: Any, places: range) -> Any:
    picked = ir.Constant(ir.VectorType(INT, len(places)), list(places))
    return builder.shuffle_vector(x, y, picked)


@intrinsic
def compute(typing, c, vectors, logs, roots):
    """Write the logarithms and the roots of counts that no table has."""

    def codegen(context, builder, signature, args):
        counts, logs, roots = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 2, 3)
        )
        lanes = Lanes(builder, LANES)
        one = lanes.constant(REAL, 1.0)

        def body(i):
            own = builder.mul(i, number(LANES))
            c = lanes.load(counts, own)
            lanes.store(log(lanes, lanes.larger(c, one)), logs, own)
            lanes.store(lanes.call("sqrt", c), roots, own)
            return []

        loop(builder, args[1], 1, [], body)
        return context.get_dummy_value()

    return types.void(c, types.int64, logs, roots), codegen


@intrinsic
def middle(typing, q, both, pi, at, vectors, row, rows, sums, form):
    """Add what the rows lose by js, of q and (p log p + q log q) / 2."""

    def codegen(context, builder, signature, args):
        q, both, pi, row, sums = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 1, 2, 5, 7)
        )
        lanes = Lanes(builder, LANES)
        terms = Terms(lanes)

        def body(i, lost):
            own = builder.mul(i, number(LANES))
            p = lanes.load(pi, builder.add(args[3], own))
            of_middle = terms.middle(lanes.load(q, own), p)
            return [builder.fadd(lost, builder.fsub(lanes.load(both, own), of_middle))]

        (lost,) = loop(builder, args[4], 1, [terms.zero], body)
        _lose(lanes, _of_rows(lanes, args[6], lost), row, sums, args[8], JS)
        return context.get_dummy_value()

    size = types.int64
    return types.void(q, both, pi, size, size, row, size, sums, size), codegen


def _lose(lanes: Lanes, lost: Any, row: Any, sums: Any, form: Any, loss: int) -> None:
    """Add the losses of the visited rows, weighed."""
    known = lanes.load(row, number(KNOWN))
    weighed = lanes.builder.fmul(known, lanes.larger(lost, lanes.constant(REAL, 0.0)))
    _add(lanes, weighed, sums, form, loss)


@intrinsic
def unvisited(typing, row, uniform, lane, lanes, sums, asked):
    """Add what the unvisited rows of a group lose to the sums of CE_ful."""

    def codegen(context, builder, signature, args):
        row, uniform, sums = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 1, 4)
        )
        lanes = Lanes(builder, LANES)
        zero = lanes.constant(REAL, 0.0)
        visited = builder.fcmp_ordered(">", lanes.load(row, number(VISITS)), zero)
        for loss in CLOSED:
            with builder.if_then(_asked(builder, args[5], bits(loss))):
                place = builder.add(args[2], builder.mul(number(loss), args[3]))
                lost = builder.select(visited, zero, lanes.load(uniform, place))
                _add(lanes, lost, sums, number(CE_FUL), loss)
        return context.get_dummy_value()

    size = types.int64
    return types.void(row, uniform, size, size, sums, size), codegen


def _asked(builder: Any, asked: Any, wanted: int) -> Any:
    return builder.icmp_signed("!=", builder.and_(asked, number(wanted)), number(0))


def _add(lanes: Lanes, lost: Any, sums: Any, form: Any, loss: int) -> None:
    of_form = lanes.builder.mul(form, number(len(NAMES) * LANES))
    place = lanes.builder.add(of_form, number(loss * LANES))
    lanes.store(lanes.builder.fadd(lanes.load(sums, place), lost), sums, place)


class _Cell(NamedTuple):
    """Vectors of cells: c, its logarithm and root, p, its logarithm and root."""

    c: Any
    lc: Any
    rc: Any
    p: Any
    lp: Any
    rp: Any


class _Frequencies:
    """Rows of CE_sgl: q = c / k."""

    form, total = CE_SGL, VISITS

    def __init__(self, lanes: Lanes, row: Any) -> None:
        self.lanes, self.builder, self.row = lanes, lanes.builder, row
        total = lanes.load(row, number(self.total))
        self.sum = lanes.larger(total, lanes.constant(REAL, _TINY))

    def prepare(self) -> None:
        """Divide once for each row."""
        self.per = self.builder.fdiv(self.lanes.constant(REAL, 1.0), self.sum)

    def prepare_logs(self) -> None:
        """Load the logarithm of each row's sum."""
        self.prepare()
        place = number(LOGARITHM + self.form * LANES)
        self.log_sum = self.lanes.load(self.row, place)

    def prepare_roots(self) -> None:
        """Take the root of its inverse."""
        self.prepare()
        self.root_per = self.lanes.call("sqrt", self.per)

    def q(self, x: _Cell) -> Any:
        """Return q."""
        return self.builder.fmul(x.c, self.per)

    def log_q(self, x: _Cell) -> Any:
        """Return log q."""
        return self.builder.fsub(x.lc, self.log_sum)

    def root_q(self, x: _Cell) -> Any:
        """Return the root of q."""
        return self.builder.fmul(x.rc, self.root_per)


class _WeightedFrequencies(_Frequencies):
    """Rows of CE_ptl: q = c p / Z."""

    form, total = CE_PTL, WEIGHT

    def q(self, x: _Cell) -> Any:
        """Return q."""
        return self.builder.fmul(super().q(x), x.p)

    def log_q(self, x: _Cell) -> Any:
        """Return log q."""
        return self.builder.fadd(super().log_q(x), x.lp)

    def root_q(self, x: _Cell) -> Any:
        """Return the root of q."""
        return self.builder.fmul(super().root_q(x), x.rp)


class _EqualShares(_Frequencies):
    """Rows of SEL_ptl: q = p where c > 0, else t."""

    form, total = SEL_PTL, SHARE

    def prepare(self) -> None:
        """Load t, which may be 0."""
        self.share = self.lanes.load(self.row, number(self.total))

    def prepare_roots(self) -> None:
        """Take the root of t."""
        self.prepare()
        self.root_share = self.lanes.call("sqrt", self.share)

    def q(self, x: _Cell) -> Any:
        """Return q."""
        return self._known(x, x.p, self.share)

    def log_q(self, x: _Cell) -> Any:
        """Return log q."""
        return self._known(x, x.lp, self.log_sum)

    def root_q(self, x: _Cell) -> Any:
        """Return the root of q."""
        return self._known(x, x.rp, self.root_share)

    def _known(self, x: _Cell, seen: Any, unseen: Any) -> Any:
        """Return `seen` of labels that were, and of those that fill up, whose p is -0."""
        builder, lanes = self.builder, self.lanes
        sign = builder.bitcast(x.p, lanes.kind(LONG))
        fills = builder.icmp_signed("<", sign, lanes.constant(LONG, 0))
        zero = lanes.constant(REAL, 0.0)
        known = builder.or_(builder.fcmp_ordered(">", x.c, zero), fills)
        return builder.select(known, seen, unseen)


class _Group:
    """Loops over the cells of a group, and what becomes of their sums."""

    def __init__(self, builder: Any, arrays: dict[str, Any], where: Any, kind: Any) -> None:
        self.lanes, self.builder, self.arrays = Lanes(builder, LANES), builder, arrays
        self.terms = Terms(self.lanes)
        self.at, self.vectors, self.rows_at_once = where
        self.rows = kind(self.lanes, arrays["row"])

    def sums(self, count: int, terms: Callable[[_Cell], list[Any]]) -> list[Any]:
        """Return the sums of `terms` over the cells of each row."""

        def body(i: Any, *so_far: Any) -> list[Any]:
            pairs = zip(so_far, terms(self.cell(i)), strict=True)
            return [self.builder.fadd(total, term) for total, term in pairs]

        found = loop(self.builder, self.vectors, 1, [self.terms.zero] * count, body)
        return [_of_rows(self.lanes, self.rows_at_once, vector) for vector in found]

    def cell(self, i: Any) -> _Cell:
        """Return vector number i of the cells."""
        own = self.builder.mul(i, number(LANES))
        given = self.builder.add(self.at, own)
        return _Cell(
            *(
                self.lanes.load(self.arrays[name], own if name in ("c", "lc", "rc") else given)
                for name in _Cell._fields
            )
        )

    def lose(self, lost: Any, loss: int) -> None:
        """Add the losses of the visited rows, weighed."""
        row, sums, form = self.arrays["row"], self.arrays["sums"], number(self.rows.form)
        _lose(self.lanes, lost, row, sums, form, loss)


def _entropies(group: _Group) -> None:
    builder, rows = group.builder, group.rows
    rows.prepare_logs()

    def terms(x: _Cell) -> list[Any]:
        apart = builder.fsub(x.lp, rows.log_q(x))
        return [builder.fmul(x.p, apart), builder.fmul(rows.q(x), apart)]

    kl, reverse = group.sums(2, terms)
    group.lose(kl, KL)
    group.lose(group.lanes.minus(reverse), REVERSE_KL)


def _to_the_middle(group: _Group) -> None:
    """Write q and (p log p + q log q) / 2 for `middle`."""
    builder, lanes, rows = group.builder, group.lanes, group.rows
    rows.prepare_logs()
    half = lanes.constant(REAL, 0.5)

    def write(i: Any) -> list[Any]:
        x, own = group.cell(i), builder.mul(i, number(LANES))
        q = rows.q(x)
        both = builder.fadd(builder.fmul(x.p, x.lp), builder.fmul(q, rows.log_q(x)))
        lanes.store(q, group.arrays["q"], own)
        lanes.store(builder.fmul(half, both), group.arrays["both"], own)
        return []

    loop(builder, group.vectors, 1, [], write)


def _between_roots(group: _Group) -> None:
    rows = group.rows
    rows.prepare_roots()

    def terms(x: _Cell) -> list[Any]:
        return [group.terms.square(rows.root_q(x), x.rp)]

    (square,) = group.sums(1, terms)
    half = group.lanes.constant(REAL, 0.5)
    group.lose(group.builder.fmul(half, square), HELLINGER2)


def _squares(group: _Group) -> None:
    rows = group.rows
    rows.prepare()

    def terms(x: _Cell) -> list[Any]:
        return [group.terms.square(rows.q(x), x.p)]

    (square,) = group.sums(1, terms)
    group.lose(square, L2)


def _squares_over_share(group: _Group) -> None:
    builder, rows = group.builder, group.rows
    rows.prepare()

    def terms(x: _Cell) -> list[Any]:
        return [group.terms.square(rows.q(x), x.p)]

    (square,) = group.sums(1, terms)
    group.lose(square, L2)
    some = group.terms.where(rows.share, builder.fdiv(square, rows.share), group.terms.zero)
    group.lose(some, CHI2)


def _squares_over(group: _Group) -> None:
    rows = group.rows
    rows.prepare()

    def terms(x: _Cell) -> list[Any]:
        q = rows.q(x)
        return [
            group.terms.where(
                q, group.builder.fdiv(group.terms.square(q, x.p), q), group.terms.zero
            )
        ]

    (chi2,) = group.sums(1, terms)
    group.lose(chi2, CHI2)


_LOGARITHMS = (
    (bits(KL, REVERSE_KL), _entropies),
    (bits(JS), _to_the_middle),
    (bits(HELLINGER2), _between_roots),
)
_OF_FREQUENCIES = (*_LOGARITHMS, (bits(L2), _squares), (bits(CHI2), _squares_over))
_OF_SHARES = (*_LOGARITHMS, (bits(L2, CHI2), _squares_over_share))


def _losses_of(kind: type[_Frequencies], parts: Any) -> Any:
    """Return the kernel that adds rho max(0, loss) of the visited rows of a group to the sums of a
    form.
    """

    @intrinsic
    def losses(typing, c, lc, rc, p, lp, rp, q, both, row, sums, at, vectors, rows, asked):
        def codegen(context, builder, signature, args):
            names = (*_Cell._fields, "q", "both", "row", "sums")
            arrays = {
                name: entries(context, builder, signature.args[k], args[k])
                for k, name in enumerate(names)
            }
            with builder.if_then(_asked(builder, args[13], bits(*CLOSED))):
                group = _Group(builder, arrays, args[10:13], kind)
                for wanted, add in parts:
                    with builder.if_then(_asked(builder, args[13], wanted)):
                        add(group)
            return context.get_dummy_value()

        size = types.int64
        return types.void(c, lc, rc, p, lp, rp, q, both, row, sums, size, size, size, size), codegen

    return losses


frequencies = _losses_of(_Frequencies, _OF_FREQUENCIES)
weighted_frequencies = _losses_of(_WeightedFrequencies, _OF_FREQUENCIES)
equal_shares = _losses_of(_EqualShares, _OF_SHARES)
