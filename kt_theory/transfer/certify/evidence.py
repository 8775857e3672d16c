"""Evidence that a loss is smaller: numbers whose mean at the true loss is at most 1, so that they
are at least 1/delta with probability delta at most (Markov's inequality).

A mean of several, with weights that do not look at the answers, is evidence again: the bound is
where it reaches 1/delta. Where one of them is the sharpest by far it costs ln(1/weight) beside
ln(1/delta); where several are nearly as sharp, less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kt_theory.content import ByContent


@dataclass(frozen=True, eq=False)
class Lines(ByContent):
    """ln e of a loss L, the largest of lines in it, increasing: max_j (slope_j L + height_j).

    Attributes
    ----------
    slope : (J,) float64
        Above 0.
    height : (J,) float64
    """

    slope: np.ndarray
    height: np.ndarray

    @classmethod
    def one(cls, slope: float, height: float) -> Lines:
        """Return ln e that is one line."""
        return cls(np.array([slope]), np.array([height]))

    def at(self, loss: float) -> float:
        """Return ln e of a loss."""
        return float((self.slope * loss + self.height).max())


def bound(evidence: list[tuple[float, Lines]], most: float, delta: float) -> float:
    """Return the least loss up to `most` at which the weighted mean of the evidence is 1/delta, or
    `most`.

    Parameters
    ----------
    evidence : list of (float, Lines)
        Weights sum to 1, and do not look at the answers.
    most : float
        The loss is never larger.
    delta : float
        In (0, 1).
    """
    price = math.log(1.0 / delta)
    shares = np.log([weight for weight, _ in evidence])

    def proved(loss: float) -> bool:
        each = shares + np.array([lines.at(loss) for _, lines in evidence])
        return float(np.logaddexp.reduce(each)) >= price

    low, high = 0.0, most
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if proved(middle) else (middle, high)
    return high
