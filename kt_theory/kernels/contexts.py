"""Digests of what stands before each position of a text.

Legend: a sequence is a run of tokens; a row at `after` says what follows tokens[start:after].
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.options import BARE, LEAF
from kt_theory.kernels.streams import mix64

_EMPTY = uint64(0x9E3779B97F4A7C15)


@njit(**BARE)
def _with_token(digest: np.uint64, token: int) -> np.uint64:
    return mix64(digest + uint64(token) + uint64(1))


@njit(**LEAF)
def prefix_digests(
    tokens: np.ndarray, starts: np.ndarray, after: np.ndarray, out: np.ndarray
) -> None:
    """Write to `out` a 64-bit digest of tokens[starts[j]:after[j]] for each row j; rows of a
    sequence that follow one another in order cost a step for each token.
    """
    start, place, digest = -1, 0, _EMPTY
    for j in range(len(starts)):
        if starts[j] != start or after[j] < place:
            start, place, digest = starts[j], starts[j], _EMPTY
        while place < after[j]:
            digest = _with_token(digest, tokens[place])
            place += 1
        out[j] = digest


@njit(**LEAF)
def window_digests(histories: np.ndarray, out: np.ndarray) -> None:
    """Write to `out` a 64-bit digest of each row of `histories`, (m, h); -1 stands before the start
    of a text.
    """
    for j in range(len(histories)):
        digest = _EMPTY
        for i in range(histories.shape[1]):
            digest = _with_token(digest, histories[j, i])
        out[j] = digest


@njit(**LEAF)
def write_histories(
    tokens: np.ndarray, starts: np.ndarray, after: np.ndarray, out: np.ndarray
) -> None:
    """Write to `out`, (m, h), the last h tokens of tokens[starts[j]:after[j]], the nearest last; -1
    where the text has not begun.
    """
    length = out.shape[1]
    for j in range(len(starts)):
        for i in range(length):
            place = after[j] - length + i
            out[j, i] = tokens[place] if place >= starts[j] else -1
