"""Ties in a row: labels of equal probability are exchangeable, so only their numbers matter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Ties(NamedTuple):
    """The distinct positive probabilities of a row, in descending order, and how many labels share
    each.

    Attributes
    ----------
    value : (L,) array
    size : (L,) float array
    zeros : how many labels have probability 0
    """

    value: np.ndarray
    size: np.ndarray
    zeros: int


def ties_of(row: np.ndarray, top: int = 0) -> Ties:
    """Return the ties of a row but for its `top` largest entries, after division of the row by its
    sum.

    Parameters
    ----------
    row : (A,) array in descending order
        Divided by its sum because a multinomial law needs exactly 1.
    top : int
    """
    tail = row[top:]
    value, size = np.unique(tail[tail > 0], return_counts=True)
    value = value[::-1]
    size = size[::-1].astype(np.float64)
    total = row[:top].sum() + value @ size
    zeros = int((tail == 0).sum())
    return Ties(value / total, size, zeros)
