"""Look-ups in alias tables, eight at a time: half a random word each, 0.5 ns.

An entry is 32 bits: the leading bits of its threshold above, its alias below. A random half word
chooses a column with its leading bits and is compared with the threshold by the others. Where these
are equal the comparison goes on, 32 fresh bits of a second stream against the rest of the
threshold, so that the law is that of the whole threshold. That is rare, one draw in 2^16 for the
tables of Poisson counts, and is settled after a block of look-ups, one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import njit, types
from numpy import uint32, uint64

from kt_theory.kernels.alias import alias_table
from kt_theory.kernels.options import BARE
from kt_theory.kernels.streams import fill_words, next_half
from kt_theory.kernels.vectors import INT, LONG, Lanes, entries, intrinsic, loop

BLOCK = 512
"""Look-ups are made this many at a time, to stay in the first-level cache."""

OUTCOME_BITS = 16
"""Of an entry in a table of counts."""

_WIDTH = 8
_START = 5
_SHIFT = 2**_START - 1
_OUTCOME = 2**OUTCOME_BITS - 1
_WORD = uint64(32)
_ONE = uint64(1)


class Words(NamedTuple):
    """Scratch of one thread: random words (BLOCK / 2,) uint64, the same memory as `halves` (BLOCK,)
    uint32, and what was looked up, (BLOCK,) uint32.
    """

    words: np.ndarray
    halves: np.ndarray
    picked: np.ndarray


class Alias(NamedTuple):
    """An alias table over cells: 2^bits entries uint32, and the rest of each threshold, uint32."""

    bits: int
    entries: np.ndarray
    rest: np.ndarray


def new_words() -> Words:
    """Return the scratch of one thread."""
    words = np.zeros(BLOCK // 2, dtype=np.uint64)
    return Words(words, words.view(np.uint32), np.zeros(BLOCK, dtype=np.uint32))


def alias_of(weights: np.ndarray) -> Alias:
    """Return the alias table of `weights`, (K,) >= 0 and not all zero."""
    bits, whole = alias_table(weights)
    return Alias(bits, *split(whole, bits))


def split(whole: np.ndarray, alias_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of an alias table, uint64, as the 32 bits that are looked up and the 32
    bits of the threshold that seldom are.
    """
    threshold, alias = whole >> uint64(alias_bits), whole & uint64(2**alias_bits - 1)
    leading = threshold >> _WORD << uint64(alias_bits)
    return (leading | alias).astype(np.uint32), threshold.astype(np.uint32)


def place(starts: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return where tables of 2^bits entries start, with the shift that makes their columns, uint32.

    Raises
    ------
    ValueError
        The tables together are too long.
    """
    if len(starts) and starts.max() >= 2 ** (32 - _START):
        raise ValueError(f"tables of {starts.max()} entries: at most 2^27")
    return (starts << _START | (32 - bits)).astype(np.uint32)


@intrinsic
def _pick_cells(typing, halves, size, bits, table, picked):
    """Write the cells that `size` half words choose to `picked`; return whether any was a tie."""

    def codegen(context, builder, signature, args):
        halves, table, picked = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 3, 4)
        )
        lanes = Lanes(builder, _WIDTH)
        bits = builder.trunc(args[2], INT)
        down = builder.sub(ir.Constant(INT, 32), bits)
        one = ir.Constant(INT, 1)
        keep = lanes.spread(builder.sub(builder.shl(one, bits), one))
        low = lanes.spread(builder.sub(builder.shl(one, down), one))
        bits, down = lanes.spread(bits), lanes.spread(down)

        def body(i, ties):
            word = lanes.load(halves, i)
            column = builder.lshr(word, down)
            entry = lanes.pick(table, column)
            given, threshold = builder.and_(word, low), builder.lshr(entry, bits)
            own = builder.icmp_unsigned("<", given, threshold)
            lanes.store(builder.select(own, column, builder.and_(entry, keep)), picked, i)
            tie = builder.icmp_unsigned("==", given, threshold)
            return [builder.or_(ties, builder.sext(tie, ties.type))]

        (ties,) = loop(builder, args[1], _WIDTH, [lanes.constant(INT, 0)], body)
        return builder.icmp_unsigned("!=", lanes.fold(ties, builder.or_), ir.Constant(INT, 0))

    return types.boolean(halves, types.int64, types.int64, table, picked), codegen


@njit(**BARE)
def pick_cells(size, alias, state, words):
    """Write `size` <= BLOCK draws from an alias table to the front of `words.picked`."""
    fill_words(state, (size + 1) >> 1, words.words)
    if _pick_cells(words.halves, size, alias.bits, alias.entries, words.picked):
        bits = uint32(alias.bits)
        keep, low = (uint32(1) << bits) - uint32(1), (uint32(1) << (uint32(32) - bits)) - uint32(1)
        for j in range(size):
            i = uint64(j)
            column = words.halves[i] >> (uint32(32) - bits)
            entry = alias.entries[column]
            if words.halves[i] & low == entry >> bits:
                own = next_half(state) < alias.rest[column]
                words.picked[i] = column if own else entry & keep


@njit(**BARE)
def scatter(number, alias, state, words, counts):
    """Add `number` draws from an alias table over the cells to `counts`, (cells,)."""
    picked = words.picked
    while number > 0:
        size = min(number, BLOCK)
        pick_cells(size, alias, state, words)
        for i in range(size):
            counts[uint64(picked[uint64(i)])] += 1
        number -= size


@njit(**BARE)
def scatter_listing(number, alias, state, words, counts, touched):
    """As `scatter` into zero counts; list the cells hit, each once, in `touched` and return how
    many they are.
    """
    picked, found = words.picked, uint64(0)
    while number > 0:
        size = min(number, BLOCK)
        pick_cells(size, alias, state, words)
        for i in range(size):
            cell = uint64(picked[uint64(i)])
            before = counts[cell]
            counts[cell] = before + 1
            touched[found] = cell
            found += uint64(before == 0)
        number -= size
    return np.int64(found)


@intrinsic
def _add_outcomes(typing, halves, size, places, first, tables, base, above, counts, start):
    """Write base[above:][:size] plus the outcomes that half words choose in the tables at
    places[first:] to counts[start:]; return the sum of the outcomes and whether any was a tie.
    """

    def codegen(context, builder, signature, args):
        halves, places, tables, base, counts = (
            entries(context, builder, signature.args[k], args[k]) for k in (0, 2, 4, 5, 7)
        )
        places, base, counts = (
            builder.gep(array, [args[k]]) for array, k in ((places, 3), (base, 6), (counts, 8))
        )
        lanes = Lanes(builder, _WIDTH)
        low = lanes.constant(INT, _OUTCOME)

        def body(i, total, ties):
            word, where = lanes.load(halves, i), lanes.load(places, i)
            column = builder.lshr(word, builder.and_(where, lanes.constant(INT, _SHIFT)))
            start = builder.lshr(where, lanes.constant(INT, _START))
            entry = lanes.pick(tables, builder.add(start, column))
            given = builder.and_(word, low)
            threshold = builder.lshr(entry, lanes.constant(INT, OUTCOME_BITS))
            own = builder.icmp_unsigned("<", given, threshold)
            outcome = builder.select(own, column, builder.and_(entry, low))
            lanes.store(builder.add(lanes.load(base, i), outcome), counts, i)
            tie = builder.sext(builder.icmp_unsigned("==", given, threshold), ties.type)
            return [builder.add(total, outcome), builder.or_(ties, tie)]

        none = lanes.constant(INT, 0)
        total, ties = loop(builder, args[1], _WIDTH, [none, none], body)
        tied = builder.icmp_unsigned("!=", lanes.fold(ties, builder.or_), ir.Constant(INT, 0))
        total = builder.zext(lanes.total(total), LONG)
        return context.make_tuple(builder, signature.return_type, [total, tied])

    found = types.Tuple((types.int64, types.boolean))
    whole = types.int64
    kinds = (halves, whole, places, whole, tables, base, whole, counts, whole)
    return found(*kinds), codegen


@njit(**BARE)
def add_outcomes(places, first, tables, rest, state, words, base, above, counts):
    """Write base[above:] plus one outcome each of the tables at places[first:] to `counts`, whole
    vectors of int32, and return the sum of the outcomes.
    """
    total = 0
    for start in range(0, counts.size, BLOCK):
        size = min(BLOCK, counts.size - start)
        fill_words(state, (size + 1) >> 1, words.words)
        found = _add_outcomes(
            words.halves, size, places, first + start, tables, base, above + start, counts, start
        )
        total += found[0]
        if found[1]:
            total += _settle(places, first, start, size, tables, rest, state, words, counts)
    return total


@njit(**BARE)
def _settle(places, first, start, size, tables, rest, state, words, counts):
    """Redo the ties of a block, which were taken for the alias; return what that adds."""
    total = np.int64(0)
    for j in range(size):
        where, word = places[uint64(first + start + j)], words.halves[uint64(j)]
        column = word >> (where & uint32(_SHIFT))
        at = (where >> uint32(_START)) + column
        entry = tables[at]
        if word & uint32(_OUTCOME) == entry >> uint32(OUTCOME_BITS) and next_half(state) < rest[at]:
            more = np.int64(column) - np.int64(entry & uint32(_OUTCOME))
            counts[uint64(start + j)] += more
            total += more
    return total


@njit(**BARE)
def one_outcome(word, where, tables, rest):
    """Return the outcome that a whole word chooses in the table at `where`."""
    column = word >> ((where & uint32(_SHIFT)) + _WORD)
    at = uint64(where >> uint32(_START)) + column
    entry = uint64(tables[at])
    threshold = (entry >> uint64(OUTCOME_BITS)) << _WORD | uint64(rest[at])
    own = (word & ((_ONE << uint64(48)) - _ONE)) < threshold
    return np.int64(column if own else entry & uint64(_OUTCOME))
