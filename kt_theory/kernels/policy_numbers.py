"""What kernels of storage call policies, and the columns of what they take and give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SOFT, RENORMALISED, EVEN_TAIL, TAIL_MASS, TOP_P, SAMPLED, SAMPLED_STATED = range(7)
AS_IS, ROUNDED, QUANTISED = range(3)

KIND, SIZE, CHANNEL, POOLED = range(4)
"""Columns of `what`: the kind, k or N, the channel, and N times the visits."""

SHARE, AMOUNT, LAST_CODE, TAU, CHANNEL_ERROR = range(5)
"""Columns of `how`: p or t, step or bits, the last code of a step, the temperature, and how far at
most the channel moves a row that it cannot see."""

TV_LEAST, TV_MOST, KL_LEAST, KL_MOST, STORED = range(5)
"""Columns of what is found: losses, and how many labels are stored (at most)."""

FRACTION = 40
"""Sums are kept in units of 2^-40."""

ORDER = 6
"""Sums of so many powers stand for the light labels of the rest: N p at most `LIGHT`, so that
the first term that is left out is below 2^-51 of the sum."""

LIGHT = 1.0 / 128.0
UNITS = 2.0**40

ROUNDING = 2.0**-52

MASS, CAP, EVEN, HEAPED, SEEN, MISSING = range(6)
"""Rows of `Rows.facts`: the mass of the hidden labels, what none of them exceeds, and the least and
the largest sum of p log p over them; the sums over the head of 1 - (1-p)^N and p (1-p)^N."""

R, RL, OTHER, SPARE = range(4)
"""Rows of `Rows.rest`: p and log p of the labels that are not in the head, and scratch."""


class Rows(NamedTuple):
    """Some rows of the teacher, laid out for all policies; one at a time where they have a rest.

    Attributes
    ----------
    p, lp : (c, W) float64
        p and log p of the labels that are known one by one, in descending order.
    tail, plogp : (c, W) float64
        The mass from each of those on, beyond them too; the sum of p log p before each.
    missed : (c, W) float64
        (1-p)^N of each.
    draws : (1,) int64
        N of `missed` and of the facts of the head; 0 as long as they are not written.
    spare : (3, S) float64
        Scratch.
    n : (c,) int64
        How many labels are in the head.
    facts : (6, c) float64
    rest : (4, A) float64
    powers : (ORDER + 1,) float64
        0, and the sums of powers 1 to ORDER of the light ones of the rest.
    number : int
        How many rows there are.
    labels, size : int
        A, and how many labels are in the rest.
    heavy : int
        How many of the rest are no light ones; they come first.
    rest_plogp : float
        The sum of p log p over the rest.
    """

    p: np.ndarray
    lp: np.ndarray
    tail: np.ndarray
    plogp: np.ndarray
    missed: np.ndarray
    draws: np.ndarray
    spare: np.ndarray
    n: np.ndarray
    facts: np.ndarray
    rest: np.ndarray
    powers: np.ndarray
    number: int
    labels: int
    size: int
    heavy: int
    rest_plogp: float
