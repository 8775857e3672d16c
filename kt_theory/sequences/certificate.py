"""An upper confidence bound on the mean of what was measured at held-out texts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kt_theory.validation import unit_interval

TAKEN = (
    "texts are independent draws of one law, those held out as those to come",
    "the dump's rows are the teacher's own",
)

_STAKES = np.append(0.95, 2.0 ** -np.arange(1.0, 15.0))
"""Shares of what can be lost at most that are bet, each with the same capital."""


@dataclass(frozen=True)
class SequenceCertificate:
    """How far a copy is from its teacher on texts to come.

    Attributes
    ----------
    bound : float
        Upper confidence bound on the mean over texts of a text's mean TV, in [0, 1].
    confidence : float
    measured : float
        That mean over the held-out texts; where rows hide mass, its upper end.
    texts : int
        Held out.
    assumptions : tuple of str
    """

    bound: float
    confidence: float
    measured: float
    texts: int
    assumptions: tuple[str, ...] = TAKEN

    @property
    def acceptance(self) -> float:
        """Lower confidence bound on the probability that a token of the copy is accepted as a
        draft, in [0, 1].
        """
        return 1.0 - self.bound

    def __str__(self) -> str:
        lines = [
            f"TV(copy, teacher) <= {self.bound:.4g} with confidence {self.confidence:g}, a mean "
            f"over texts, from {self.texts} held out (measured: {self.measured:.4g})",
            f"  as a draft of speculative decoding it is accepted with probability "
            f"{self.acceptance:.3g} or more",
            *(f"  assumes: {text}" for text in self.assumptions),
        ]
        return "\n".join(lines)


def certified(by_text: np.ndarray, confidence: float) -> SequenceCertificate:
    """Return the certificate of what was measured at each held-out text, (n,), in [0, 1]."""
    delta = 1.0 - unit_interval(confidence, "confidence")
    bound = mean_bound(by_text, delta)
    return SequenceCertificate(bound, 1.0 - delta, float(by_text.mean()), len(by_text))


def mean_bound(values: np.ndarray, delta: float) -> float:
    """Return an upper bound on the mean of independent values in [0, 1] of one law, which fails
    with probability delta at most.

    If their mean is t or more, sum_i w_i prod_j (1 + s_i (t - x_j) / (1 - t)) has mean 1 at most
    for stakes s_i in [0, 1), weights w_i of sum 1, so that it exceeds 1/delta with probability
    delta at most (Markov). It grows in t: the bound is the least t at which it does.

    Parameters
    ----------
    values : (n,) float64
    delta : float

    References
    ----------
    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting",
    Journal of the Royal Statistical Society B 86; here with fixed stakes, so that the order of the
    values plays no part.
    """
    wanted = math.log(len(_STAKES) / delta)

    def exceeds(t: float) -> bool:
        gains = (t - values) / (1.0 - t)
        logs = np.log1p(_STAKES[:, None] * gains).sum(axis=1)
        largest = float(logs.max())
        return largest + math.log(float(np.exp(logs - largest).sum())) >= wanted

    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if exceeds(middle) else (middle, high)
    return high


_HALVINGS = 40
