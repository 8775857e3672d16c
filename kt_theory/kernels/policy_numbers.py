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

P, LP, TAIL, PLOGP, Q, POWERS = range(6)
"""Rows of `Row.head`; those behind them are scratch."""

R, RL, OTHER = range(3)
"""Rows of `Row.rest`; those behind them are scratch."""


class Row(NamedTuple):
    """A row of the teacher, laid out for all policies.

    Attributes
    ----------
    head : (10, H + 1) float64
        p and log p of the labels that are known one by one, in descending order; the mass from each
        on, beyond them too; the sum of p log p before each; scratch; sums of powers of light ones.
    rest : (5, A) float64
        p and log p of the other known ones.
    n, size : int
        How many there are of both.
    heavy : int
        How many of the rest are no light ones; they come first.
    hidden : int
        How many labels are not known.
    rest_plogp : float
        The sum of p log p over the rest.
    mass, cap : float
        The mass of the hidden labels, and what none of them exceeds.
    """

    head: np.ndarray
    rest: np.ndarray
    n: int
    size: int
    heavy: int
    hidden: int
    rest_plogp: float
    mass: float
    cap: float
