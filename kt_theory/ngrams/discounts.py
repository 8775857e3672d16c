"""Absolute discounting and Kneser-Ney: something is taken off every count, and what that leaves is
given to the shorter context's row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.ngrams.back_off import BackOff
from kt_theory.ngrams.counts import Pairs, continuations, counts_of_counts
from kt_theory.ngrams.smoothing import Smoothing, interpolated
from kt_theory.validation import number_between


@dataclass(frozen=True)
class AbsoluteDiscounting(Smoothing):
    """q(a|c) = max(N(c, a) - D, 0) / N(c) + w(c) q(a|c'), where w(c) makes the sum 1.

    N are counts; below the empty context stands 1/A.

    Attributes
    ----------
    discount : float or None
        D in [0, 1], for all lengths. None: for each length D = n_1 / (n_1 + 2 n_2), where n_r
        pairs occur r times; 0 if there are none of either.

    References
    ----------
    Ney, Essen and Kneser (1994), "On structuring probabilistic dependences in stochastic language
    modelling", Computer Speech and Language 8.
    """

    discount: float | None = None
    reference = "Ney, Essen and Kneser (1994)"

    def __post_init__(self) -> None:
        _check(self.discount)

    def model(self, counts: tuple[Pairs, ...], labels: int) -> BackOff:
        """Return the model of counts."""
        values = [pairs.value for pairs in counts]
        return _discounted(counts, values, [_one(v, self.discount) for v in values], labels)


@dataclass(frozen=True)
class KneserNey(Smoothing):
    """Absolute discounting whose shorter contexts count in how many places a label goes on.

    For all lengths but the longest N(c, a) is N1+(. c a), the number of different tokens before c
    that c a follows; of contexts that begin a text, it is the count.

    Attributes
    ----------
    discount : float or None
        D in [0, 1]. None: n_1 / (n_1 + 2 n_2) of each length's N.

    References
    ----------
    Kneser and Ney (1995), "Improved backing-off for m-gram language modeling", ICASSP; interpolated
    as in Chen and Goodman (1999), "An empirical study of smoothing techniques for language
    modeling", Computer Speech and Language 13.
    """

    discount: float | None = None
    reference = "Kneser and Ney (1995), Chen and Goodman (1999)"

    def __post_init__(self) -> None:
        _check(self.discount)

    def model(self, counts: tuple[Pairs, ...], labels: int) -> BackOff:
        """Return the model of counts."""
        values = _continued(counts)
        return _discounted(counts, values, [_one(v, self.discount) for v in values], labels)


@dataclass(frozen=True)
class ModifiedKneserNey(Smoothing):
    """Kneser-Ney with three discounts, of N = 1, of N = 2, and of larger N.

    With Y = n_1 / (n_1 + 2 n_2): D_r = r - (r + 1) Y n_(r+1) / n_r for r = 1, 2, 3, within [0, r];
    Y where n_r = 0.

    References
    ----------
    Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling",
    Computer Speech and Language 13, section 3.
    """

    reference = "Chen and Goodman (1999)"

    def model(self, counts: tuple[Pairs, ...], labels: int) -> BackOff:
        """Return the model of counts."""
        values = _continued(counts)
        return _discounted(counts, values, [three_discounts(v) for v in values], labels)


def three_discounts(values: np.ndarray) -> np.ndarray:
    """Return (0, D_1, D_2, D_3) of the counts of one length."""
    n = counts_of_counts(values, 4)
    common = _ratio(values)
    found = np.array([0.0, common, common, common])
    for r in (1, 2, 3):
        if n[r]:
            found[r] = np.clip(r - (r + 1) * common * n[r + 1] / n[r], 0.0, r)
    return found


def _check(discount: float | None) -> None:
    if discount is not None:
        number_between(discount, "discount", low=0.0, high=1.0)


def _ratio(values: np.ndarray) -> float:
    n = counts_of_counts(values, 2)
    return float(n[1] / max(n[1] + 2 * n[2], 1))


def _one(values: np.ndarray, given: float | None) -> np.ndarray:
    discount = _ratio(values) if given is None else given
    return np.array([0.0, discount, discount, discount])


def _continued(counts: tuple[Pairs, ...]) -> list[np.ndarray]:
    shorter = [continuations(pairs, counts[i + 1]) for i, pairs in enumerate(counts[:-1])]
    return [*shorter, counts[-1].value]


def _discounted(
    counts: tuple[Pairs, ...], values: list[np.ndarray], discounts: list[np.ndarray], labels: int
) -> BackOff:
    kept = []
    for pairs, value, by_count in zip(counts, values, discounts, strict=True):
        taken = by_count[np.minimum(value, 3)]
        total = pairs.total(value)
        share = (value - taken) / total[pairs.owner]
        kept.append((pairs, share, pairs.total(taken) / total))
    return interpolated(kept, labels)
