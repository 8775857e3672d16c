"""The order of the cells (s, a) in memory, chosen so that the losses run in SIMD lanes.

Long rows lie one after the other: a lane per label, each row filled up with zeros to a whole number
of vectors. Short rows are woven, eight of them side by side, with cell (s, a) at

    ((s // 8) A + a) 8 + s % 8:

a lane per input, and no sum across lanes; four of what is left below eight are woven by four, and
up to three rows stay as long rows do. All is filled up to a whole number of vectors. Arrays start
on a cache line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy import uint64

from kt_theory.kernels.options import BARE

LANES = 8
_FEWER = 4
_SHORT_ROW = 64
_LINE = 64


class Layout(NamedTuple):
    """Where the cells of `inputs` rows of `labels` lie.

    The first `eights` rows are woven by eight, the next `fours` by four, the others have `width`
    cells each; `cells` is the length of the whole.
    """

    inputs: int
    labels: int
    eights: int
    fours: int
    width: int
    cells: int


def in_lanes(inputs: int, labels: int) -> Layout:
    """Return the layout for the losses of all cells."""
    short = labels < _SHORT_ROW
    eights = inputs // LANES * LANES if short else 0
    fours = (inputs - eights) // _FEWER * _FEWER if short else 0
    width = -(-labels // LANES) * LANES
    used = (eights + fours) * labels + (inputs - eights - fours) * width
    return Layout(inputs, labels, eights, fours, width, -(-used // LANES) * LANES)


def row_by_row(inputs: int, labels: int) -> Layout:
    """Return the layout in which nothing lies between the rows."""
    return Layout(inputs, labels, 0, 0, labels, inputs * labels)


def positions(layout: Layout) -> np.ndarray:
    """Return where the cells lie, (S, A) int64: in numbers what `row_cells` says of each row."""
    s, a = np.arange(layout.inputs)[:, None], np.arange(layout.labels)
    t, u = s - layout.eights, s - layout.eights - layout.fours
    first = layout.eights * layout.labels
    second = first + layout.fours * layout.labels
    woven = np.where(
        t < 0,
        (s // LANES * layout.labels + a) * LANES + s % LANES,
        first + (t // _FEWER * layout.labels + a) * _FEWER + t % _FEWER,
    )
    return np.where(u < 0, woven, second + u * layout.width + a)


def in_cell_order(table: np.ndarray, layout: Layout) -> np.ndarray:
    """Return `table`, (S, A), as a flat array in the order of the cells, on a cache line."""
    cells = zeros_on_a_line(layout.cells, table.dtype)
    cells[positions(layout)] = table
    return cells


def as_tables(cells: np.ndarray, layout: Layout) -> np.ndarray:
    """Return flat cells (R, cells) as tables (R, S, A): the inverse of `in_cell_order`."""
    return cells[:, positions(layout)]


def zeros_on_a_line(size: int, dtype: type | np.dtype) -> np.ndarray:
    """Return `size` zeros that start on a cache line."""
    room = np.zeros(size * np.dtype(dtype).itemsize + _LINE, dtype=np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size * np.dtype(dtype).itemsize].view(dtype)


@njit(**BARE)
def row_cells(s, layout):
    """Return (first, step), unsigned: the cells of row s are first, first + step, ..."""
    labels, t = layout.labels, s - layout.eights
    if t < 0:
        return uint64((s // LANES) * labels * LANES + s % LANES), uint64(LANES)
    first = layout.eights * labels
    if t < layout.fours:
        return uint64(first + (t // _FEWER) * labels * _FEWER + t % _FEWER), uint64(_FEWER)
    u = t - layout.fours
    return uint64(first + layout.fours * labels + u * layout.width), uint64(1)
