"""Look-ups in vectors against the same in Python's whole numbers, word by word and ties among them."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from kt_theory.kernels import lookups
from kt_theory.kernels.lookups import Alias, new_words
from kt_theory.kernels.options import LEAF

MASK = 2**64 - 1
HALF = 2**32 - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(x):
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


class Stream:
    """The words of a stream and of its second, in whole numbers."""

    def __init__(self, start, second):
        self.counter, self.second = start, second

    def word(self):
        word = mix(self.counter)
        self.counter = (self.counter + GAMMA) & MASK
        return word

    def halves(self, number):
        words = [self.word() for _ in range((number + 1) // 2)]
        return [half for word in words for half in (word & HALF, word >> 32)][:number]

    def more(self):
        word = mix(self.second)
        self.second = (self.second + GAMMA) & MASK
        return word >> 32

    def state(self):
        return np.array([self.counter, GAMMA, self.second], dtype=np.uint64)


@njit(**{**LEAF, "cache": False})
def pick(size, alias, state, words):
    lookups.pick_cells(size, alias, state, words)


@njit(**{**LEAF, "cache": False})
def add(places, first, tables, rest, state, words, base, above, counts):
    return lookups.add_outcomes(places, first, tables, rest, state, words, base, above, counts)


@njit(**{**LEAF, "cache": False})
def one(word, where, tables, rest):
    return lookups.one_outcome(word, where, tables, rest)


def chosen(half, more, bits, entry, rest, alias_bits):
    """What a half word chooses: its number, carried on by `more()` if need be, against the whole threshold."""
    fraction = half & (2 ** (32 - alias_bits) - 1)
    threshold, alias = entry >> alias_bits, entry & (2**alias_bits - 1)
    if fraction == threshold:
        return half >> (32 - bits) if more() < rest else alias
    return half >> (32 - bits) if fraction < threshold else alias


def planted(rng, halves, bits, alias_bits, size):
    """A random table whose thresholds meet half of the words that will come: ties at every turn."""
    entries = rng.integers(0, 2**32, size=size, dtype=np.uint32)
    keep = np.uint32(2**alias_bits - 1)
    for half, column in halves:
        if rng.random() < 0.5:
            threshold = np.uint32(half & (2 ** (32 - alias_bits) - 1))
            entries[column] = threshold << np.uint32(alias_bits) | entries[column] & keep
    return entries, rng.integers(0, 2**32, size=size, dtype=np.uint32)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100, 511, 512])
@pytest.mark.parametrize("bits", [1, 5, 13])
def test_cells_are_those_of_whole_numbers(bits, size):
    rng = np.random.default_rng([bits, size])
    start, second = (int(x) for x in rng.integers(0, 2**63, size=2))
    halves = Stream(start, second).halves(size)
    columns = [(half, half >> (32 - bits)) for half in halves]
    entries, rest = planted(rng, columns, bits, bits, 2**bits)
    words, stream = new_words(), Stream(start, second)
    state = stream.state()
    pick(size, Alias(bits, entries, rest), state, words)
    stream.halves(size)
    expected = []
    for half, column in columns:
        entry, lower = int(entries[column]), int(rest[column])
        expected.append(chosen(half, stream.more, bits, entry, lower, bits))
    np.testing.assert_array_equal(words.picked[:size], expected)
    np.testing.assert_array_equal(state, stream.state())
    assert stream.second != second or size < 8, "no tie was planted"


@pytest.mark.parametrize("cells", [8, 512, 1200])
def test_outcomes_are_those_of_whole_numbers(cells):
    rng = np.random.default_rng(cells)
    start, second = (int(x) for x in rng.integers(0, 2**63, size=2))
    bits = rng.integers(1, 17, size=2 * cells)
    starts = rng.integers(0, 2**16, size=2 * cells)
    places = lookups.place(starts, bits)
    blocks = [min(512, cells - at) for at in range(0, cells, 512)]
    stream = Stream(start, second)
    halves = [half for block in blocks for half in stream.halves(block)]
    slots = [
        (half, int(at) + (half >> (32 - int(b))))
        for half, at, b in zip(halves, starts[cells:], bits[cells:], strict=True)
    ]
    entries, rest = planted(rng, slots, None, 16, 2**17)
    stream, base = Stream(start, second), rng.integers(0, 9, size=cells + 3, dtype=np.int32)
    counts, state = np.zeros(cells, dtype=np.int32), stream.state()
    total = add(places, cells, entries, rest, state, new_words(), base, 3, counts)
    expected, at = [], 0
    for block in blocks:
        stream.halves(block)
        for half, slot in slots[at : at + block]:
            entry, lower = int(entries[slot]), int(rest[slot])
            expected.append(
                chosen(half, stream.more, int(bits[cells + len(expected)]), entry, lower, 16)
            )
        at += block
    np.testing.assert_array_equal(counts - base[3:], expected)
    assert total == sum(expected)
    np.testing.assert_array_equal(state, stream.state())
    assert stream.second != second


def test_a_whole_word_chooses_by_the_whole_threshold():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        bits, start = int(rng.integers(1, 17)), int(rng.integers(0, 100))
        word = int(rng.integers(0, 2**64, dtype=np.uint64))
        column = word >> (64 - bits)
        near = (word & (2**48 - 1)) + int(rng.integers(-1, 2))
        threshold = min(max(near, 0), 2**48 - 1)
        entries, rest = np.zeros(2**16 + 100, np.uint32), np.zeros(2**16 + 100, np.uint32)
        entries[start + column], rest[start + column] = threshold >> 32 << 16 | 7, threshold & HALF
        where = lookups.place(np.array([start]), np.array([bits]))[0]
        expected = column if word & (2**48 - 1) < threshold else 7
        assert one(np.uint64(word), where, entries, rest) == expected
