"""Intervals of means of losses: which kind holds its 95 % is told from a few facts about the losses
that were seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kt_theory.kernels.statistics import ROUNDING, middles, moments

CONFIDENCE = 0.95
"""With which intervals of risks hold."""

MISS = 1.0 - CONFIDENCE

SKEWED = 0.2
"""Above this, |skewness| / sqrt(repeats), from 0 to 1, says that a normal interval lies."""

NORMAL, BERNSTEIN, CLOPPER_PEARSON, INFINITE = "normal", "bernstein", "clopper-pearson", "infinite"
KINDS = (NORMAL, BERNSTEIN, CLOPPER_PEARSON, INFINITE)


@dataclass(frozen=True)
class Facts:
    """What an interval needs to know of R losses.

    Attributes
    ----------
    repeats : int
    mean, std_error : float
    skewness : float
        Third central moment over the standard deviation cubed, of the R losses themselves.
    values : tuple of (float, int)
        The values seen and how often, in ascending order, where there are one or two; else empty.
    """

    repeats: int
    mean: float
    std_error: float
    skewness: float = 0.0
    values: tuple[tuple[float, int], ...] = ()


class Interval(NamedTuple):
    """low, high and which kind of interval they are: one of `KINDS`."""

    low: float
    high: float
    kind: str


def facts_of(losses: np.ndarray) -> Facts:
    """Return the facts of losses, (R,), R >= 2."""
    repeats = len(losses)
    with np.errstate(invalid="ignore"):
        mean = float(losses.mean())
    if not math.isfinite(mean):
        return Facts(repeats, mean, math.nan)
    least, largest = float(losses.min()), float(losses.max())
    error = math.sqrt(float(np.mean((losses - mean) ** 2)) / (repeats - 1))
    if least == largest:
        return Facts(repeats, least, 0.0, 0.0, ((least, repeats),))
    skewness = _skewness(losses, np.ones(repeats))
    below, above = int((losses == least).sum()), int((losses == largest).sum())
    two = ((least, below), (largest, above)) if below + above == repeats else ()
    return Facts(repeats, mean, error, skewness, two)


def tallied(sums: Any, repeats: int, bins: np.ndarray, counts: np.ndarray) -> Facts:
    """Return the facts of a column of a tally.

    The skewness is that of the bins' middles. Where two bins were hit, the two values are those
    that have the exact mean and variance.

    Parameters
    ----------
    sums : (SUMS,) or (WIDE_SUMS,) whole numbers
    repeats : int
    bins, counts : (K,) int arrays
        The bins that were hit, in order, and how often.
    """
    mean, error = moments(sums, repeats)
    if math.isinf(mean):
        return Facts(repeats, mean, error)
    if not error > ROUNDING * mean:
        return Facts(repeats, mean, error, 0.0, ((mean, repeats),))
    if len(bins) == 2:
        above = int(counts[1])
        share = above / repeats
        skewness = (1.0 - 2.0 * share) / math.sqrt(share * (1.0 - share))
        gap = error * math.sqrt((repeats - 1) / (share * (1.0 - share)))
        least = max(0.0, mean - share * gap)
        two = (least, repeats - above), (least + gap, above)
        return Facts(repeats, mean, error, skewness, two)
    return Facts(repeats, mean, error, _skewness(middles(bins), counts))


def _skewness(values: np.ndarray, often: np.ndarray) -> float:
    shares = often / often.sum()
    centred = values - shares @ values
    centred /= np.abs(centred).max(initial=0.0) or 1.0
    variance = float(shares @ centred**2)
    return float(shares @ centred**3) / variance**1.5 if variance > 0.0 else 0.0


def interval(facts: Facts, least: float = 0.0, largest: float = 1.0) -> Interval:
    """Return an interval that holds the mean of the law of the losses with a probability of 95 %.

    Losses lie in [a, B] = [least, largest]; R of them were drawn. The first that applies:

    - An infinite loss was seen: the mean is infinite ("infinite").
    - All losses were the same number v. With p the probability of another one than v, R equal ones
      have probability (1-p)^R, at least 5 % only if p <= P = 1 - 0.05^(1/R), about 3/R; so [v - P
      (v - a), v + P (B - v)] leaves out the mean of any law with at most 5 % probability. It is
      [0, P] where no loss was seen and B is 1 ("clopper-pearson").
    - Two values u < v were seen, v K times: u + (v - u) p for p in the interval of Clopper and
      Pearson (1934) for K of R. Where a and B are finite its ends use 2 % each, and the last 1 % is
      for a third value that was missed: of probability up to P = 1 - 0.01^(1/R), placed at a and at
      B; else 2.5 % each ("clopper-pearson").
    - They are skewed, |g| > 0.2 sqrt(R) with g their skewness, and a and B are finite: mean +-
      (sqrt(2 V x / R) + 7 x (B - a) / (3 (R - 1))) with V their variance and x = ln(4 / 0.05), the
      empirical Bernstein bound of Maurer and Pontil (2009), theorem 4, on both sides
      ("bernstein").
    - Else mean +- t standard errors, with Student's t of R - 1 degrees ("normal").

    Where a and B are finite only the last needs more than that losses lie between them. It may miss
    what no loss has shown: a value far from all others, of probability below 3/R. No interval of
    finite width holds the mean of every law of losses without an end.

    Parameters
    ----------
    facts : Facts
    least, largest : float
        a and B; may be infinite.

    Examples
    --------
    >>> interval(Facts(1000, 0.002, 0.001414, 22.29, ((0.0, 998), (1.0, 2)))).kind
    'clopper-pearson'
    >>> interval(Facts(1000, 0.2, 0.001, 0.1)).kind
    'normal'
    """
    if math.isinf(facts.mean):
        return Interval(facts.mean, facts.mean, INFINITE)
    skewed = abs(facts.skewness) > SKEWED * math.sqrt(facts.repeats)
    if len(facts.values) == 1:
        low, high, kind = *_equal(facts, least, largest), CLOPPER_PEARSON
    elif len(facts.values) == 2:
        low, high = _two(facts, least, largest)
        kind = CLOPPER_PEARSON
    elif skewed and math.isfinite(largest - least):
        half, kind = _bernstein(facts, largest - least), BERNSTEIN
        low, high = facts.mean - half, facts.mean + half
    else:
        half, kind = _student(facts), NORMAL
        low, high = facts.mean - half, facts.mean + half
    return Interval(max(least, low), min(largest, high), kind)


def _equal(facts: Facts, least: float, largest: float) -> tuple[float, float]:
    mean = facts.mean
    other = -math.expm1(math.log(MISS) / facts.repeats)
    return mean - other * (mean - least), mean + other * (largest - mean)


def _two(facts: Facts, least: float, largest: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    (lower, misses), (upper, hits) = facts.values
    bounded = math.isfinite(largest - least)
    missed = MISS / 5 if bounded else 0.0
    tail = (MISS - missed) / 2
    gap = upper - lower
    low = lower + gap * float(betaincinv(hits, misses + 1, tail))
    high = lower + gap * float(betaincinv(hits + 1, misses, 1.0 - tail))
    if not bounded:
        return low, high
    third = -math.expm1(math.log(missed) / facts.repeats)
    return low - third * (upper - least), high + third * (largest - lower)


def _bernstein(facts: Facts, span: float) -> float:
    x = math.log(4.0 / MISS)
    rest = 7.0 * x * span / (3.0 * (facts.repeats - 1))
    return math.sqrt(2.0 * x) * facts.std_error + rest


def _student(facts: Facts) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(facts.repeats - 1, 1.0 - MISS / 2)) * facts.std_error
