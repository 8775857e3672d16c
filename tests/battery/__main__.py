"""The random words of the engine under TestU01 (L'Ecuyer and Simard 2007): `make battery`.

Every sequence is made by the kernels that the engine itself draws with, 32 bits at a time: halves of one stream; the
first words of neighbouring repeats, of neighbouring seeds; 64 streams in turn; the second stream beside the first. A
sequence passes if no p-value is within 10^-7 of 0 or of 1: with the at most 144 statistics of Crush a false alarm has
probability 3e-5 a sequence. The last sequence is a planted defect, counters that are not scrambled, and must fail.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic
from tqdm import tqdm

from kt_theory.kernels.options import LEAF
from kt_theory.kernels.streams import fill_words, next_half, start_stream, stream_key

SMALLEST = 1e-7
WORDS = 256
STREAMS = 64
KERNEL: dict[str, Any] = {**LEAF, "cache": False}
Turn = Callable[..., None]


@njit(**KERNEL)
def one_stream(turn, keys, state, words):
    if turn == 0:
        start_stream(keys[0], 0, state)
    fill_words(state, WORDS, words)


@njit(**KERNEL)
def repeats(turn, keys, state, words):
    """Sixteen words of each of the next sixteen repeats."""
    for i in range(0, WORDS, 16):
        start_stream(keys[0], 16 * turn + i // 16, state)
        fill_words(state, 16, words[i : i + 16])


@njit(**KERNEL)
def seeds(turn, keys, state, words):
    """Sixteen words of the same repeat of sixteen neighbouring seeds."""
    for i in range(0, WORDS, 16):
        number = 16 * turn + i // 16
        start_stream(keys[number % len(keys)], number // len(keys), state)
        fill_words(state, 16, words[i : i + 16])


@njit(**KERNEL)
def in_turn(turn, keys, state, words):
    """One word of each of 64 streams, then the next of each."""
    states = state[: 3 * STREAMS].reshape(STREAMS, 3)
    if turn == 0:
        for k in range(STREAMS):
            start_stream(keys[0], k, states[k])
    for i in range(WORDS):
        fill_words(states[i % STREAMS], 1, words[i : i + 1])


@njit(**KERNEL)
def both(turn, keys, state, words):
    """A word of the stream, then two halves of its second stream."""
    if turn == 0:
        start_stream(keys[0], 0, state)
    for i in range(0, WORDS, 2):
        fill_words(state, 1, words[i : i + 1])
        words[i + 1] = next_half(state) << np.uint64(32) | next_half(state)


@njit(**KERNEL)
def planted(turn, keys, state, words):
    """The counters themselves."""
    if turn == 0:
        start_stream(keys[0], 0, state)
    for i in range(WORDS):
        words[i] = state[0]
        state[0] += state[1]


SEQUENCES: dict[str, Any] = {
    "one stream": one_stream,
    "neighbouring repeats": repeats,
    "neighbouring seeds": seeds,
    "64 streams in turn": in_turn,
    "the second stream beside the first": both,
    "planted: counters": planted,
}


@intrinsic
def memory(typing, address):
    """Return the 64-bit words at an address."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint64)(address), codegen


class Source:
    """A C function that returns the next 32 bits of a sequence."""

    def __init__(self, fill: Any) -> None:
        size = 3 * STREAMS
        self.memory = np.zeros(2 + size + WORDS, dtype=np.uint64)
        self.keys = np.array([stream_key(seed, 100) for seed in range(4096)])
        at, keys, many = self.memory.ctypes.data, self.keys.ctypes.data, len(self.keys)

        @cfunc(types.uint32())
        def bits():
            # Entries: the turn, halves left of it, the streams' state, the words.
            all_words = carray(memory(np.intp(at)), (2 + size + WORDS,))
            words = all_words[2 + size :]
            if all_words[1] == 0:
                known = carray(memory(np.intp(keys)), (many, 2))
                fill(np.int64(all_words[0]), known, all_words[2 : 2 + size], words)
                all_words[0] += np.uint64(1)
                all_words[1] = np.uint64(2 * WORDS)
            place = np.uint64(2 * WORDS) - all_words[1]
            all_words[1] -= np.uint64(1)
            word = words[place >> np.uint64(1)]
            return np.uint32(word >> np.uint64(32)) if place & np.uint64(1) else np.uint32(word)

        self.bits = bits

    def bytes(self) -> int:
        """Return how much has been read."""
        return 8 * WORDS * int(self.memory[0])


def library(folder: Path) -> Any:
    """Return TestU01 from the folder that testu01.sh has filled."""
    (found,) = folder.glob("usr/lib/*/libtestu01.so.0")
    for name in ("libtestu01mylib.so.0", "libtestu01probdist.so.0"):
        ctypes.CDLL(str(found.with_name(name)), mode=ctypes.RTLD_GLOBAL)
    testu01 = ctypes.CDLL(str(found))
    testu01.unif01_CreateExternGenBits.restype = ctypes.c_void_p
    testu01.unif01_CreateExternGenBits.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    for taker in ("bbattery_SmallCrush", "bbattery_Crush", "unif01_DeleteExternGenBits"):
        getattr(testu01, taker).argtypes = [ctypes.c_void_p]
    return testu01


def p_values(testu01: Any, battery: str, source: Source) -> list[float]:
    """Return those of a battery on a sequence."""
    generator = testu01.unif01_CreateExternGenBits(b"sequence", source.bits.address)
    getattr(testu01, f"bbattery_{battery}")(generator)
    testu01.unif01_DeleteExternGenBits(generator)
    number = ctypes.c_int.in_dll(testu01, "bbattery_NTests").value
    return list((ctypes.c_double * 200).in_dll(testu01, "bbattery_pVal")[:number])


def main() -> None:
    """Run a battery on every sequence, print a table, and leave with 1 if one fails or the planted one does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="filled by testu01.sh")
    parser.add_argument("--battery", choices=["SmallCrush", "Crush"], default="SmallCrush")
    parser.add_argument("--only", choices=list(SEQUENCES), action="append")
    options = parser.parse_args()
    testu01 = library(options.folder)
    lines = [
        "| sequence | statistics | GB | seconds | nearest to 0 or 1 | |",
        "|---|---|---|---|---|---|",
    ]
    wrong = False
    for name in tqdm(options.only or SEQUENCES, desc=options.battery, disable=None):
        source, start = Source(SEQUENCES[name]), time.perf_counter()
        found = p_values(testu01, options.battery, source)
        nearest = min(min(p, 1.0 - p) for p in found)
        passed = nearest >= SMALLEST
        wrong |= passed == name.startswith("planted")
        cells = (len(found), f"{source.bytes() / 1e9:.2f}", f"{time.perf_counter() - start:.0f}")
        verdict = "passes" if passed else "fails"
        lines.append(
            f"| {name} | " + " | ".join(map(str, cells)) + f" | {nearest:.2g} | {verdict} |"
        )
    print("\n".join(lines))
    sys.exit(int(wrong))


if __name__ == "__main__":
    main()
