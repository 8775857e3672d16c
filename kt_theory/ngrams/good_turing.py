"""Good-Turing: a label seen r times counts as one seen r* times, and what that frees is for labels
that were not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.ngrams.back_off import BackOff
from kt_theory.ngrams.counts import Pairs
from kt_theory.ngrams.smoothing import Smoothing, backed_off

_CONFIDENT = 1.96
"""Turing's estimate stands where it is so many standard deviations from the line."""


@dataclass(frozen=True)
class GoodTuring(Smoothing):
    """q(a|c) = d_r r / N(c) of a label seen r times after c; others share the rest as they do after
    the shorter context.

    The discounts d_r of each length are those of simple Good-Turing: r* = (r + 1) n_(r+1) / n_r,
    Turing's, as long as it differs from the line by 1.96 standard deviations, and from there on the
    line's, r* = r (1 + 1/r)^(b+1), b the slope of log(2 n_r / (t - q)) in log r, with q and t the
    counts that occur next to r. With N = sum r n_r and N* = sum r* n_r,

        d_r = (1 - n_1 / N) (N / N*) r* / r, at most 1.

    References
    ----------
    Katz (1987), "Estimation of probabilities from sparse data for the language model component of a
    speech recognizer", IEEE Transactions on Acoustics, Speech, and Signal Processing 35, for the
    backing off; Gale and Sampson (1995), "Good-Turing frequency estimation without tears", Journal
    of Quantitative Linguistics 2, for the discounts.
    """

    reference = "Katz (1987), Gale and Sampson (1995)"

    def model(self, counts: tuple[Pairs, ...], labels: int) -> BackOff:
        """Return the model of counts."""
        kept = []
        for pairs in counts:
            r, found = discounts(pairs.value)
            discount = found[np.searchsorted(r, pairs.value)]
            total = pairs.total(pairs.value)
            kept.append((pairs, discount * pairs.value / total[pairs.owner]))
        return backed_off(kept, labels)


def discounts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts r that occur, ascending, and d_r of each."""
    r, n = np.unique(values, return_counts=True)
    seen = float((r * n).sum())
    once = float(n[0]) if r[0] == 1 else 0.0
    adjusted = adjusted_counts(r, n)
    freed = (1.0 - once / seen) * seen / float((adjusted * n).sum())
    return r, np.minimum(freed * adjusted / r, 1.0)


def adjusted_counts(r: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return r* of each count r that occurs, ascending, n_r times."""
    slope = _slope(r, n)
    line = r * (1.0 + 1.0 / r) ** (slope + 1.0)
    following = np.where(np.append(np.diff(r), 0) == 1, np.append(n[1:], 0), 0)
    turing = (r + 1.0) * following / n
    deviation = (r + 1.0) / n * np.sqrt(following * (1.0 + following / n))
    unlike = (following > 0) & (np.abs(turing - line) > _CONFIDENT * deviation)
    as_turing = np.logical_and.accumulate(unlike)
    return np.where(as_turing, turing, line)


def _slope(r: np.ndarray, n: np.ndarray) -> float:
    """The slope of the averaged counts of counts; -1, which leaves counts as they are, of one."""
    if len(r) == 1:
        return -1.0
    before = np.append(0, r[:-1])
    after = np.append(r[1:], 2 * r[-1] - before[-1])
    x, y = np.log(r), np.log(2.0 * n / (after - before))
    x = x - x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())
