"""Alias tables (Walker 1977, Vose 1991) in one word per column: a draw costs one random word and
one look-up. `lookups` has the form in which most are drawn from.

Of a random word the high bits choose a column and the low bits decide between the column and its
alias. An entry holds the threshold in its high bits and the alias in its low `alias_bits`, so that
one comparison of whole words decides. The probability of each outcome is realised to within
2^(alias_bits - 64): 2^-44 in a table of 2^20 cells. Tables have a power of two of columns. An
outcome of probability zero is never drawn.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.options import LEAF


def alias_table(weights: np.ndarray) -> tuple[int, np.ndarray]:
    """Return (bits, entries) of the alias table of `weights`, (K,) >= 0 and not all zero; 2^bits
    entries uint64.
    """
    bits = max(1, int(len(weights) - 1).bit_length())
    columns = np.zeros(2**bits)
    columns[: len(weights)] = weights * (2**bits / weights.sum())
    entries = np.empty(2**bits, dtype=uint64)
    fill_alias_table(columns, bits, entries, np.empty(2**bits, dtype=np.int64))
    return bits, entries


@njit(**LEAF)
def fill_alias_table(weight, alias_bits, entries, order):
    """Fill `entries`, a power of two of uint64, with the alias table of `weight`, as long and of
    mean 1.

    A full column is its own alias, whatever its threshold. `weight` is used up; `order`, as long,
    is scratch: small columns stack up from its front, large ones from its back.
    """
    size = entries.size
    scale = 2.0 ** (64 - alias_bits)
    up = uint64(alias_bits)
    smalls, larges, heaviest = 0, size, 0
    for i in range(size):
        entries[i] = uint64(i)
        heaviest = i if weight[i] > weight[heaviest] else heaviest
        if weight[i] < 1.0:
            order[smalls] = i
            smalls += 1
        else:
            larges -= 1
            order[larges] = i
    for i in range(size):
        # Left over by rounding, a zero column must still never be drawn.
        entries[i] = uint64(heaviest) if weight[i] == 0.0 else entries[i]
    while smalls > 0 and larges < size:
        smalls -= 1
        i, j = order[smalls], order[larges]
        entries[i] = (uint64(weight[i] * scale) << up) | uint64(j)
        weight[j] = (weight[j] + weight[i]) - 1.0
        if weight[j] < 1.0:
            larges += 1
            order[smalls] = j
            smalls += 1
