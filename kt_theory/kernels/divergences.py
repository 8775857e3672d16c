"""Losses between a row q of a student and the teacher's p that are sums over the labels.

Vectors of labels at a time, with a logarithm of our own: the same bits on every processor, at a
fifth of the price of the C library's. Legend: p, q probabilities; lp, lq their logarithms.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numpy import uint64

from kt_theory.kernels.layout import LANES
from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.vectors import LONG, REAL, Lanes, entries, intrinsic, loop, loop_over_reals

NAMES = ("tv", "kl", "reverse_kl", "chi2", "hellinger2", "js", "l2", "acceptance")
"""The losses, in the order of the row that `row_losses` writes."""

TV, KL, REVERSE_KL, CHI2, HELLINGER2, JS, L2, ACCEPTANCE = range(len(NAMES))

SQUARES, LOGARITHMS, MIDDLE = 1, 2, 4
"""What a loss takes besides sums of differences: bits of the argument `takes`."""

TAKES = (0, LOGARITHMS, LOGARITHMS, SQUARES, SQUARES, LOGARITHMS | MIDDLE, SQUARES, 0)

HALF = LANES // 2
"""Lanes of all sums but those of differences: the constants of a logarithm need most registers, and
a loss has one order of its sum, whatever is asked with it."""

# log m = f - (f^2/2 - s (f^2/2 + R)), s = f / (2 + f), f = m - 1: the polynomial R in s^2 and the
# two halves of log 2 are those of Sun's fdlibm (Ng 1993), whose error is below one unit in the last
# place.
_EVEN = (0.3999999999940941908, 0.2222219843214978396, 0.1531383769920937332)
_ODD = (
    0.6666666666666735130,
    0.2857142874366239149,
    0.1818357216161805012,
    0.1479819860511658591,
)
_LOG_2, _LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROOT_HALF = 0x3FE6A09E667F3BCD
_SMALLEST, _UP, _UP_BITS = 2.0**-1022, 2.0**54, 54
_MANTISSA, _BIAS, _MAGIC = 52, 1024, 0x4330000000000000


def log(lanes: Lanes, x: Any, *, normal: bool = False) -> Any:
    """Return log x of reals >= 0, lane by lane: -inf at 0.

    `normal`: of normal numbers alone, by fewer steps; of smaller ones it returns finite numbers.
    """
    builder = lanes.builder

    def real(value: float) -> Any:
        return lanes.constant(REAL, value)

    def whole(value: int) -> Any:
        return lanes.constant(LONG, value)

    scaled, above = x, real(2.0**52 + _BIAS)
    if not normal:
        tiny = builder.fcmp_ordered("<", x, real(_SMALLEST))
        scaled = builder.select(tiny, builder.fmul(x, real(_UP)), x)
        above = builder.select(tiny, real(2.0**52 + _BIAS + _UP_BITS), above)
    bits = builder.bitcast(scaled, lanes.kind(LONG))
    shifted = builder.add(bits, whole((_BIAS << _MANTISSA) - _ROOT_HALF))
    exponent = builder.lshr(shifted, whole(_MANTISSA))
    fraction = builder.and_(shifted, whole((1 << _MANTISSA) - 1))
    m = builder.bitcast(builder.add(fraction, whole(_ROOT_HALF)), lanes.kind(REAL))
    k = builder.bitcast(builder.or_(exponent, whole(_MAGIC)), lanes.kind(REAL))
    k = builder.fsub(k, above)
    f = builder.fsub(m, real(1.0))
    s = builder.fdiv(f, builder.fadd(real(2.0), f))
    z = builder.fmul(s, s)
    w = builder.fmul(z, z)
    odd = builder.fmul(z, _polynomial(lanes, w, _ODD))
    rest = lanes.fused(w, _polynomial(lanes, w, _EVEN), odd)
    half = builder.fmul(real(0.5), builder.fmul(f, f))
    low = lanes.fused(s, builder.fadd(half, rest), builder.fmul(k, real(_LOG_2_LOW)))
    found = lanes.fused(k, real(_LOG_2), builder.fsub(f, builder.fsub(half, low)))
    if normal:
        return found
    return builder.select(builder.fcmp_ordered("==", x, real(0.0)), real(-math.inf), found)


def _polynomial(lanes: Lanes, w: Any, coefficients: tuple[float, ...]) -> Any:
    *rest, last = coefficients
    value = lanes.constant(REAL, last)
    for coefficient in reversed(rest):
        value = lanes.fused(w, value, lanes.constant(REAL, coefficient))
    return value


@njit(**BARE)
def row_losses(rows, out, tables, own, logs, at, labels, takes, found):
    """Write the losses of a row into `found`, (NAMES,), as far as `takes` asks for them; return the
    sum of q, and of its entries below 0.

    q is rows[out:], p is tables[own:] and lp is logs[at:], each of `labels` entries.
    """
    mass, gap, least = _gap(rows, out, tables, own, labels)
    found[TV] = 0.5 * gap
    found[ACCEPTANCE] = max(0.0, 1.0 - 0.5 * gap)
    middle = 0.0
    if takes & (SQUARES | MIDDLE):
        if takes & MIDDLE:
            chi2, roots, square, middle = _squares_and_middle(rows, out, tables, own, labels)
        else:
            chi2, roots, square = _squares(rows, out, tables, own, labels)
        found[CHI2], found[HELLINGER2], found[L2] = chi2, max(0.0, 0.5 * roots), square
    if takes & LOGARITHMS:
        kl, reverse, entropies = _logarithms(rows, out, tables, own, logs, at, labels)
        found[KL], found[REVERSE_KL] = max(0.0, kl), max(0.0, reverse)
        if takes & MIDDLE:
            found[JS] = max(0.0, 0.5 * entropies - middle)
    return mass, least


class Terms:
    """The terms of the losses at a vector of labels."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes, self.builder = lanes, lanes.builder
        self.zero = lanes.constant(REAL, 0.0)

    def where(self, x: Any, value: Any, otherwise: Any) -> Any:
        """Return `value` where x > 0."""
        return self.builder.select(self.builder.fcmp_ordered(">", x, self.zero), value, otherwise)

    def square(self, q: Any, p: Any) -> Any:
        """Return (q - p)^2."""
        apart = self.builder.fsub(q, p)
        return self.builder.fmul(apart, apart)

    def middle(self, q: Any, p: Any) -> Any:
        """Return m log m, m = (p + q) / 2."""
        half = self.lanes.constant(REAL, 0.5)
        m = self.builder.fmul(half, self.builder.fadd(p, q))
        return self.builder.fmul(m, log(self.lanes, m, normal=True))

    def entropy(self, p: Any, lp: Any, lq: Any) -> Any:
        """Return p (lp - lq), 0 where p is."""
        return self.where(p, self.builder.fmul(p, self.builder.fsub(lp, lq)), self.zero)


def _sums(number: int, arrays: int, terms: Any, width: int = LANES) -> Any:
    """Return the kernel of `number` sums over the labels of a row: `terms(terms, *vectors)` are the
    terms, of `arrays` vectors."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        addresses = [
            builder.gep(entries(context, builder, signature.args[k], args[k]), [args[k + 1]])
            for k in range(0, 2 * arrays, 2)
        ]
        lanes = Lanes(builder, width)
        here = Terms(lanes)

        def body(wanted: Any, *given: Any) -> list[Any]:
            vectors, so_far = given[:arrays], given[arrays:]
            made = terms(here, *vectors)
            return [builder.fadd(total, term) for total, term in zip(so_far, made, strict=True)]

        found = loop_over_reals(lanes, args[2 * arrays], addresses, [here.zero] * number, body)
        totals = [lanes.total(vector) for vector in found]
        return context.make_tuple(builder, signature.return_type, totals)

    return types.UniTuple(types.float64, number), codegen


def _terms_of_gap(terms: Terms, q: Any, p: Any) -> list[Any]:
    builder = terms.builder
    negative = builder.select(builder.fcmp_ordered("<", q, terms.zero), q, terms.zero)
    return [q, terms.lanes.size(builder.fsub(q, p)), negative]


def _terms_of_squares(terms: Terms, q: Any, p: Any) -> list[Any]:
    builder, lanes = terms.builder, terms.lanes
    square = terms.square(q, p)
    endless = terms.where(p, lanes.constant(REAL, math.inf), terms.zero)
    chi2 = terms.where(q, builder.fdiv(square, q), endless)
    twice = builder.fmul(lanes.constant(REAL, -2.0), lanes.call("sqrt", builder.fmul(p, q)))
    return [chi2, builder.fadd(builder.fadd(p, q), twice), square]


def _terms_of_logarithms(terms: Terms, q: Any, p: Any, lp: Any) -> list[Any]:
    builder = terms.builder
    lq = log(terms.lanes, q)
    of_p = terms.where(p, builder.fmul(p, lp), terms.zero)
    of_q = terms.where(q, builder.fmul(q, lq), terms.zero)
    both = builder.fadd(of_p, of_q)
    return [terms.entropy(p, lp, lq), terms.entropy(q, lq, lp), both]


def _terms_of_squares_and_middle(terms: Terms, q: Any, p: Any) -> list[Any]:
    return [*_terms_of_squares(terms, q, p), terms.middle(q, p)]


@intrinsic
def _gap(typing, rows, out, tables, own, labels):
    """Return (sum q, sum |q - p|, sum of q below 0)."""
    kind, codegen = _sums(3, 2, _terms_of_gap)
    return kind(rows, out, tables, own, labels), codegen


@intrinsic
def _squares(typing, rows, out, tables, own, labels):
    """Return (sum (q - p)^2 / q, sum (sqrt q - sqrt p)^2, sum (q - p)^2)."""
    kind, codegen = _sums(3, 2, _terms_of_squares, HALF)
    return kind(rows, out, tables, own, labels), codegen


@intrinsic
def _logarithms(typing, rows, out, tables, own, logs, at, labels):
    """Return (sum p (lp - lq), sum q (lq - lp), sum p lp + q lq)."""
    kind, codegen = _sums(3, 3, _terms_of_logarithms, HALF)
    return kind(rows, out, tables, own, logs, at, labels), codegen


@intrinsic
def _squares_and_middle(typing, rows, out, tables, own, labels):
    """Return what `_squares` does, and sum m log m, m = (p + q) / 2: two divisions and a root wait
    for one unit of the processor, which the logarithm leaves free for most of its time.
    """
    kind, codegen = _sums(4, 2, _terms_of_squares_and_middle, HALF)
    return kind(rows, out, tables, own, labels), codegen


def losses_of_rows(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the losses of rows q on the teacher's p, both (S, A): (S, NAMES)."""
    found = np.empty((len(table), len(NAMES)))
    take_rows(np.ravel(rows), np.ravel(table), log_table(table), found)
    return found


@njit(**LEAF)
def take_rows(rows, table, logs, found):
    """Do what `losses_of_rows` says on the memory that it has laid out."""
    labels = uint64(rows.size // found.shape[0])
    takes = SQUARES | LOGARITHMS | MIDDLE
    for s in range(found.shape[0]):
        at = uint64(s) * labels
        row_losses(rows, at, table, at, logs, at, labels, takes, found[s])


def log_table(table: np.ndarray) -> np.ndarray:
    """Return the logarithms of the entries of an array, one after the other: those that the losses
    take, so that equal rows have none.
    """
    entries = np.ones(-(-table.size // LANES) * LANES)
    entries[: table.size] = table.reshape(-1)
    found = np.empty_like(entries)
    _write_logs(entries, found)
    return found[: table.size]


@njit(**LEAF)
def _write_logs(entries, found):
    _logs(entries, found, entries.size)


@intrinsic
def _logs(typing, source, target, size):
    """Write the logarithms of a whole number of vectors."""

    def codegen(context, builder, signature, args):
        places = [entries(context, builder, signature.args[k], args[k]) for k in (0, 1)]
        lanes = Lanes(builder, LANES)

        def body(i):
            lanes.store(log(lanes, lanes.load(places[0], i)), places[1], i)
            return []

        loop(builder, args[2], LANES, [], body)
        return context.get_dummy_value()

    return types.void(source, target, types.int64), codegen
