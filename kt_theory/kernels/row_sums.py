"""Passes over the entries of rows, written as expressions of one entry: sums, and arrays that are
written on the way, a vector of entries at a time, the same bits on every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
from numba import types

from kt_theory.kernels import divergences, exponentials
from kt_theory.kernels.layout import LANES
from kt_theory.kernels.vectors import (
    LONG,
    REAL,
    Lanes,
    entries,
    intrinsic,
    loop,
    loop_over_reals,
    number,
)

BIT = ir.IntType(1)

_ROUNDER = 1.5 * 2.0**52


class Reals:
    """A vector of entries, or of one number in every lane, that is added, multiplied and compared.

    Comparisons return what `where` takes.
    """

    def __init__(self, lanes: Lanes, vector: Any) -> None:
        self.lanes, self.vector = lanes, vector

    def of(self, value: Any) -> Any:
        """Return the vector of `value`, a number or `Reals`."""
        if isinstance(value, Reals):
            return value.vector
        return self.lanes.constant(REAL, float(value))

    def made(self, vector: Any) -> Reals:
        """Return another vector."""
        return Reals(self.lanes, vector)

    def __add__(self, other: Any) -> Reals:
        return self.made(self.lanes.builder.fadd(self.vector, self.of(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Reals:
        return self.made(self.lanes.builder.fsub(self.vector, self.of(other)))

    def __rsub__(self, other: Any) -> Reals:
        return self.made(self.lanes.builder.fsub(self.of(other), self.vector))

    def __mul__(self, other: Any) -> Reals:
        return self.made(self.lanes.builder.fmul(self.vector, self.of(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Reals:
        return self.made(self.lanes.builder.fdiv(self.vector, self.of(other)))

    def __abs__(self) -> Reals:
        return self.made(self.lanes.size(self.vector))

    def __gt__(self, other: Any) -> Any:
        return self.lanes.builder.fcmp_ordered(">", self.vector, self.of(other))

    def __lt__(self, other: Any) -> Any:
        return self.lanes.builder.fcmp_ordered("<", self.vector, self.of(other))

    def where(self, wanted: Any, otherwise: Any = 0.0) -> Reals:
        """Return these where `wanted`, `otherwise` elsewhere."""
        return self.made(self.lanes.builder.select(wanted, self.vector, self.of(otherwise)))

    def counted(self, wanted: Any) -> Reals:
        """Return 1 where `wanted`, 0 elsewhere."""
        return self.made(self.of(1.0)).where(wanted)

    def positive(self) -> Reals:
        """Return the larger of these and 0."""
        return self.where(self > 0.0)

    def floor(self) -> Reals:
        """Return the whole numbers that are not above."""
        return self.made(self.lanes.call("floor", self.vector))

    def nearest(self) -> Reals:
        """Return the nearest whole numbers, even ones where two are; all are below 2^51."""
        return (self + _ROUNDER) - _ROUNDER

    def exp(self) -> Reals:
        """Return exponentials."""
        return self.made(exponentials.exp(self.lanes, self.vector))

    def log(self) -> Reals:
        """Return logarithms."""
        return self.made(divergences.log(self.lanes, self.vector))

    def power(self, exponent: Any) -> Reals:
        """Return powers, `exponent` a whole number >= 0 of the kernel's."""
        builder = self.lanes.builder

        def turn(_: Any, found: Any, base: Any, left: Any) -> list[Any]:
            more = builder.select(builder.trunc(left, BIT), builder.fmul(found, base), found)
            return [more, builder.fmul(base, base), builder.lshr(left, number(1))]

        carried = [self.of(1.0), self.vector, exponent]
        return self.made(loop(builder, _bits(builder, exponent), 1, carried, turn)[0])

    def chance(self, hits: Reals, draws: Any) -> Reals:
        """Return q^h (1-q)^(N-h), h whole numbers and N one of the kernel's."""
        builder = self.lanes.builder

        def raised(found: Any, base: Any, left: Any) -> tuple[Any, Any]:
            half = (self.made(left) * 0.5).floor()
            odd = self.made(left) > half * 2.0
            return builder.select(odd, builder.fmul(found, base), found), half.vector

        def turn(_: Any, found: Any, q: Any, left: Any, rest: Any, others: Any) -> list[Any]:
            found, left = raised(found, q, left)
            found, others = raised(found, rest, others)
            return [found, builder.fmul(q, q), left, builder.fmul(rest, rest), others]

        all_draws = self.made(self.lanes.spread(builder.sitofp(draws, REAL)))
        rest, others = 1.0 - self, all_draws - hits
        carried = [self.of(1.0), self.vector, hits.vector, rest.vector, others.vector]
        return self.made(loop(builder, _bits(builder, draws), 1, carried, turn)[0])


def _bits(builder: Any, exponent: Any) -> Any:
    """Return how many binary digits a whole number has."""
    return builder.sub(number(LONG.width), builder.ctlz(exponent, ir.Constant(BIT, 0)))


def over_entries(
    reads: int, sums: int, writes: int = 0, width: int = LANES
) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that makes a pass over the first n entries of arrays of float64 of an
    expression of one entry: called as `f(*read, *written, n, *numbers)`.

    The expression takes `Reals` of the arrays that are read and of the numbers; whole numbers come
    to it as they are. It returns first what is written, then the terms of sums. The pass returns
    the sums, one number if there is one.
    """

    def decorator(expression: Callable[..., Any]) -> Any:
        arrays = reads + writes

        @intrinsic
        def made(typing, *kinds):
            result = types.float64 if sums == 1 else types.UniTuple(types.float64, sums)

            def codegen(context, builder, signature, packed):
                args = [builder.extract_value(packed[0], k) for k in range(len(kinds))]
                places = [entries(context, builder, kinds[k], args[k]) for k in range(arrays)]
                lanes = Lanes(builder, width)
                zero = lanes.constant(REAL, 0.0)
                numbers = [
                    value if value.type == LONG else Reals(lanes, lanes.spread(value))
                    for value in args[arrays + 1 :]
                ]

                def body(wanted, *now):
                    entry = [Reals(lanes, vector) for vector in now[:reads]]
                    found = [one.vector for one in expression(*entry, *numbers)]
                    terms = found[writes:]
                    if wanted is not None:
                        terms = [builder.select(wanted, term, zero) for term in terms]
                    added = zip(now[reads:], terms, strict=True)
                    return [*found[:writes], *(builder.fadd(a, b) for a, b in added)]

                last = loop_over_reals(
                    lanes, args[arrays], places[:reads], [zero] * sums, body, places[reads:]
                )
                totals = [lanes.total(vector) for vector in last]
                if sums == 1:
                    return totals[0]
                return context.make_tuple(builder, signature.return_type, totals)

            return result(types.Tuple(kinds)), codegen

        return made

    return decorator
