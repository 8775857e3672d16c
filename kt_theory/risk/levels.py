"""Rows as levels: labels of equal probability are exchangeable, so only their numbers matter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Levels(NamedTuple):
    """The distinct positive probabilities of a row, in descending order, and how many labels share each.

    Attributes
    ----------
    value : (L,) array, sum(value * size) = 1 up to rounding
    size : (L,) float array
    zeros : how many labels have probability 0
    """

    value: np.ndarray
    size: np.ndarray
    zeros: int


def row_levels(row: np.ndarray) -> Levels:
    """Return the levels of a row, which is divided by its sum: a multinomial law needs exactly 1."""
    value, size = np.unique(row[row > 0], return_counts=True)
    value, size = value[::-1], size[::-1].astype(np.float64)
    return Levels(value / (value @ size), size, int((row == 0).sum()))
