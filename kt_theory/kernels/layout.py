"""The order of the cells (s, a) in memory, chosen so that the losses run in SIMD lanes.

Long rows are contiguous: a lane per label. Short rows lie interleaved, 32 of them side by side, cell (s, a) at
((s // 32) A + a) 32 + s % 32: a lane per input, and no sum across lanes. Inputs are padded to whole groups with rho = 0
and pi = 0; a padded cell is never drawn and weighs nothing.
"""

from __future__ import annotations

import numpy as np

LANES = 32
_SHORT_ROW = 20
_MOST_PADDING = 1.25


def row_width(inputs: int, labels: int) -> int:
    """Return how many rows lie interleaved: LANES for short rows, else 1."""
    padded = -(-inputs // LANES) * LANES
    return LANES if labels < _SHORT_ROW and padded <= _MOST_PADDING * inputs else 1


def in_cell_order(table: np.ndarray, width: int) -> np.ndarray:
    """Return `table`, (S, A), as a flat array in the order of the cells, padded with zeros."""
    inputs, labels = table.shape
    padded = np.zeros((-(-inputs // width) * width, labels), dtype=table.dtype)
    padded[:inputs] = table
    return np.ascontiguousarray(padded.reshape(-1, width, labels).transpose(0, 2, 1)).reshape(-1)


def padded_inputs(values: np.ndarray, width: int) -> np.ndarray:
    """Return `values`, (S,), padded with zeros to whole groups of rows."""
    return np.concatenate([values, np.zeros(-len(values) % width)])


def as_tables(cells: np.ndarray, inputs: int, labels: int, width: int) -> np.ndarray:
    """Return flat cells (..., cells) as tables (..., S, A): the inverse of `in_cell_order`."""
    groups = cells.reshape(*cells.shape[:-1], -1, labels, width)
    return np.swapaxes(groups, -1, -2).reshape(*cells.shape[:-1], -1, labels)[..., :inputs, :]
