"""What a smoothing is, and how counts and discounts become a model that backs off."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from kt_theory.ngrams.back_off import BackOff, Level
from kt_theory.ngrams.counts import Pairs


class Smoothing(ABC):
    """A way to estimate q(a|c) from counts: a frozen record.

    Attributes
    ----------
    reference : str
        Where it is from.
    """

    reference: str

    @abstractmethod
    def model(self, counts: tuple[Pairs, ...], labels: int) -> BackOff:
        """Return the model of the counts of contexts of length 0 to h, the longest last."""


def interpolated(kept: list[tuple[Pairs, np.ndarray, np.ndarray]], labels: int) -> BackOff:
    """Return q(a|c) = e(a|c) + w(c) q(a|c'), and q = 1/A below the empty context.

    Parameters
    ----------
    kept : list of (Pairs, (P,) float64, (C,) float64)
        For each length, the pairs, e of each, and w = 1 - sum_a e(a|c).
    labels : int
        A.
    """
    levels: list[Level] = []
    for pairs, share, weight in kept:
        value = share + weight[pairs.owner] * _of_parents(pairs, levels, labels)
        levels.append(Level(_valued(pairs, value), weight))
    return BackOff(labels, tuple(levels), interpolated=True)


def backed_off(kept: list[tuple[Pairs, np.ndarray]], labels: int) -> BackOff:
    """Return q(a|c) = e(a|c) of listed labels and w(c) q(a|c') of others, where w makes the sum 1:

        w(c) = (1 - sum of e(a|c)) / (1 - sum of q(a|c')), sums over the labels listed after c.

    Where the parent gives the others nothing, e is divided by its sum.

    Parameters
    ----------
    kept : list of (Pairs, (P,) float64)
        For each length, the pairs, and e of each.
    labels : int
        A.
    """
    levels: list[Level] = []
    for pairs, share in kept:
        of_listed = pairs.total(share)
        left = 1.0 - pairs.total(_of_parents(pairs, levels, labels))
        nobody = left <= _NOTHING
        weight = np.where(nobody, 0.0, (1.0 - of_listed) / np.where(nobody, 1.0, left))
        # What listed labels keep may round to a sum above 1.
        scale = np.where(nobody | (of_listed > 1.0), of_listed, 1.0)
        weight = np.maximum(weight, 0.0)
        levels.append(Level(_valued(pairs, share / scale[pairs.owner]), weight))
    return BackOff(labels, tuple(levels), interpolated=False)


_NOTHING = 1e-12
"""Less than that is what rounding leaves of a row whose labels are all listed."""


def _of_parents(pairs: Pairs, levels: list[Level], labels: int) -> np.ndarray:
    if not levels:
        return np.full(len(pairs.label), 1.0 / labels)
    shorter = levels[-1].pairs
    return shorter.value[pairs.places_in(shorter)]


def _valued(pairs: Pairs, value: np.ndarray) -> Pairs:
    return Pairs(pairs.contexts, pairs.start, pairs.label, value)
