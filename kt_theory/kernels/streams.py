"""Random streams: counters scrambled by SplitMix64, one stream per repeat, keyed by (seed, cell,
repeat).

The i-th word of a stream is mix64(start + i gamma): no word waits for the one before it, so that
LLVM makes several at a time, 0.2 to 0.6 ns each. Start and the odd gamma of a repeat, 127 bits, are
SplitMix64 outputs at two positions that no other repeat of the same key shares: a repeat's bits
depend on its absolute index alone, whatever the threads or chunks (Steele, Lea and Flood 2014,
"Fast splittable pseudorandom number generators", whose rule for weak gammas is kept). Look-ups take
half a word each, and in the rare case that its bits do not decide they go on in a second stream of
the same gamma.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.options import BARE

_GOLDEN = uint64(0x9E3779B97F4A7C15)
_MIX_1 = uint64(0xBF58476D1CE4E5B9)
_MIX_2 = uint64(0x94D049BB133111EB)
_ALTERNATING = uint64(0xAAAAAAAAAAAAAAAA)
_FEWEST_FLIPS = uint64(24)
_PAIRS = uint64(0x5555555555555555)
_FOURS = uint64(0x3333333333333333)
_BYTES = uint64(0x0F0F0F0F0F0F0F0F)
_EVERY_BYTE = uint64(0x0101010101010101)
_SECOND = uint64(0x5851F42D4C957F2D)
_TO_UNIT = 2.0**-53
_ONE, _TWO = uint64(1), uint64(2)
_S1, _S4, _S11, _S27, _S30, _S31, _HALF, _S56 = (uint64(k) for k in (1, 4, 11, 27, 30, 31, 32, 56))


def stream_key(seed: int, *cell: int) -> np.ndarray:
    """Return the 128-bit key of a family of streams, (2,) uint64, from the seed and the integers
    that name the cell.
    """
    return np.random.SeedSequence([seed, *cell]).generate_state(2, uint64)


@njit(**BARE)
def mix64(x):
    """Return SplitMix64's bijective scrambling of a 64-bit word."""
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@njit(**BARE)
def start_stream(key, repeat, state):
    """Set `state`, (3,) uint64: (next counter, gamma, next counter of the second stream), to the
    start of the stream of repeat number `repeat`.
    """
    base = _TWO * uint64(repeat)
    state[0] = mix64(mix64(key[0] + (base + _ONE) * _GOLDEN) ^ key[1])
    gamma = mix64(mix64(key[0] + (base + _TWO) * _GOLDEN) ^ key[1]) | _ONE
    # Too regular a gamma would move only a few bits of the counter at a time.
    state[1] = gamma ^ _ALTERNATING if _ones(gamma ^ (gamma >> _S1)) < _FEWEST_FLIPS else gamma
    state[2] = state[0] ^ _SECOND


@njit(**BARE)
def _ones(word):
    """Return the number of bits that are set: of pairs, of fours, of bytes, of all together."""
    word -= (word >> _S1) & _PAIRS
    word = (word & _FOURS) + ((word >> _TWO) & _FOURS)
    word = (word + (word >> _S4)) & _BYTES
    return (word * _EVERY_BYTE) >> _S56


@njit(**BARE)
def fill_words(state, number, words):
    """Write the next `number` words, 64 random bits each, to the front of `words` and advance
    `state`.
    """
    counter, gamma = state[0], state[1]
    for i in range(number):
        words[uint64(i)] = mix64(counter)
        counter += gamma
    state[0] = counter


@njit(**BARE)
def next_word(state):
    """Return the next 64 random bits and advance `state`."""
    word = mix64(state[0])
    state[0] += state[1]
    return word


@njit(**BARE)
def next_half(state):
    """Return 32 random bits of the second stream and advance it."""
    word = mix64(state[2])
    state[2] += state[1]
    return word >> _HALF


@njit(**BARE)
def next_unit(state):
    """Return a uniform float64 in (0, 1): 53 random bits, centred in their cell so that 0 and 1
    never come.
    """
    return (np.float64(next_word(state) >> _S11) + 0.5) * _TO_UNIT
