"""The order of the cells (s, a) in memory, chosen so that the losses run in SIMD lanes.

Long rows are contiguous: a lane per label. Short rows are woven, 32 of them side by side, cell (s,
a) at ((s // 32) A + a) 32 + s % 32: a lane per input, and no sum across lanes; what is left below
32 rows stays contiguous, or is padded to 32 where that is cheaper. Arrays that the lanes read and
write start on a cache line: it makes those loops 1.6 times as fast.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.options import LEAF

LANES = 32
_SHORT_ROW = 64
_FEWEST_ROWS = 12
_LINE = 64


def woven_rows(inputs: int, labels: int, *, padding: bool) -> int:
    """Return how many of the first rows lie woven: whole groups of LANES if the rows are short,
    else none.

    With `padding`, where a cell costs the draws nothing, the last group may be filled up with rows
    of rho = pi = 0.
    """
    if labels >= _SHORT_ROW:
        return 0
    return (inputs + (LANES - _FEWEST_ROWS if padding else 0)) // LANES * LANES


def in_cell_order(table: np.ndarray, woven: int) -> np.ndarray:
    """Return `table`, (S, A), as a flat array in the order of the cells, padded with zeros, on a
    cache line.
    """
    labels = table.shape[1]
    first = padded(table[:woven], woven).reshape(-1, LANES, labels).transpose(0, 2, 1)
    return on_a_line(np.concatenate([first.reshape(-1), table[woven:].reshape(-1)]))


def padded(rows: np.ndarray, woven: int) -> np.ndarray:
    """Return `rows`, at least `woven` of them, with zeros at the end if they were fewer."""
    short = max(0, woven - len(rows))
    return np.concatenate([rows, np.zeros((short, *rows.shape[1:]), dtype=rows.dtype)])


def as_tables(cells: np.ndarray, inputs: int, labels: int, woven: int) -> np.ndarray:
    """Return flat cells (R, cells) as tables (R, S, A): the inverse of `in_cell_order`."""
    groups = cells[:, : woven * labels].reshape(len(cells), -1, labels, LANES)
    first = np.swapaxes(groups, -1, -2).reshape(len(cells), woven, labels)[:, :inputs]
    rest = cells[:, woven * labels :].reshape(len(cells), -1, labels)
    return np.concatenate([first, rest], axis=1)


def on_a_line(values: np.ndarray) -> np.ndarray:
    """Return a copy of `values`, (K,) of 8 bytes each, that starts on a cache line."""
    copy = zeros_on_a_line(len(values)).view(values.dtype)
    copy[:] = values
    return copy


def zeros_on_a_line(size: int) -> np.ndarray:
    """Return `size` int64 zeros that start on a cache line."""
    room = np.zeros(size + _LINE // 8, dtype=np.int64)
    start = (-room.ctypes.data % _LINE) // 8
    return room[start : start + size]


@njit(**LEAF)
def row_cells(s, labels, woven):
    """Return (first, step), unsigned: the cells of row s are first, first + step, ..."""
    if s < woven:
        return uint64((s // LANES) * labels * LANES + s % LANES), uint64(LANES)
    return uint64(s * labels), uint64(1)
