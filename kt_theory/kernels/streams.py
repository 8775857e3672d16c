"""Random streams: one xoshiro256++ generator per repeat, keyed by (seed, cell, repeat).

The four state words of a repeat are SplitMix64 outputs at four positions that no other repeat of the same key shares,
so a repeat's bits depend on its absolute index alone, whatever the threads or chunks (Blackman and Vigna 2021,
"Scrambled linear pseudorandom number generators"; Steele, Lea and Flood 2014 for SplitMix64).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53
_S11, _S17, _S23, _S27, _S30, _S31, _S45, _S41, _S19 = (np.uint64(k) for k in (11, 17, 23, 27, 30, 31, 45, 41, 19))


def stream_key(seed: int, *cell: int) -> np.ndarray:
    """Return the 128-bit key of a family of streams, (2,) uint64, from the seed and the integers that name the cell."""
    return np.random.SeedSequence([seed, *cell]).generate_state(2, np.uint64)


@njit(cache=True, nogil=True)
def mix64(x):
    """Return SplitMix64's bijective scrambling of a 64-bit word."""
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@njit(cache=True, nogil=True)
def start_stream(key, repeat, state):
    """Set `state`, (4,) uint64, to the start of the stream of repeat number `repeat` under `key`."""
    base = np.uint64(4) * np.uint64(repeat)
    for i in range(4):
        word = mix64(key[0] + (base + np.uint64(i + 1)) * _GOLDEN)
        state[i] = mix64(word ^ key[1])


@njit(cache=True, nogil=True)
def next_word(state):
    """Return the next 64 random bits and advance `state`."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    total = s0 + s3
    result = ((total << _S23) | (total >> _S41)) + s0
    shifted = s1 << _S17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    state[0], state[1], state[2] = s0, s1, s2
    state[3] = (s3 << _S45) | (s3 >> _S19)
    return result


@njit(cache=True, nogil=True)
def next_unit(state):
    """Return a uniform float64 in (0, 1): 53 random bits, centred in their cell so that 0 and 1 never come."""
    return (np.float64(next_word(state) >> _S11) + 0.5) * _TO_UNIT
