"""Upper confidence bounds on the loss of the frequencies of hard labels, where the inputs and how
often each is asked were chosen before: the labels alone are random.

Five kinds of evidence (`kt_theory.transfer.certify.evidence`), and their mean is the certificate.
Each is the sharpest somewhere:

- the region of relative entropy (`kt_theory.transfer.certify.divergence`), for few inputs and
  labels;
- that which holds at all times (`at_all_times`), for many labels and few answers;
- the mean and the deviation of the loss, whatever the teacher is (`mean_and_deviation`), for even
  rows of many labels;
- the counts of each input (`label_counts`), for uneven rows;
- two halves of the labels of each input (`kt_theory.transfer.certify.hard.halves`), where most
  labels do not occur. It does not know how many there are: where the labels were not declared it is
  the only one.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from kt_theory.transfer.certify import counts, divergence, hard
from kt_theory.transfer.certify.evidence import Lines, bound
from kt_theory.transfer.design import Parts
from kt_theory.transfer.rows import Rows

STAKES = (3.3, 6.0)
"""Of the counts, in units of 1 / sqrt(sum_s w_s^2 / k_s)."""

_SUMMED = 400
"""Up to so many answers an input the largest mean loss of a row is summed; above it has a closed
form that is hardly larger."""

_COUNTED = 2000
"""Up to so many answers an input its counts are evidence; above, computing it takes long."""

_STEP = math.log(1.25)
"""Between stakes at which costs of counts are computed, as logarithms."""

_WORK = 20_000
"""Up to so many answers, of inputs that differ in them or in their stake, counts are evidence."""


def counted(rows: Rows, parts: Parts, delta: float) -> float:
    """Return an upper bound on sum_s w_s TV(f_s, p_s), f the frequencies of the asked inputs.

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label, drawn from the teacher's
        distribution.
    parts : Parts
        A part for each input.
    delta : float
        In (0, 1).
    """
    most = float(parts.weight.sum())
    if most == 0.0 or (rows.closed and rows.labels == 1):
        return 0.0
    halves = hard.halves(rows, parts)
    if not rows.closed:
        return bound(halves, most, delta)
    shares = weights(rows.sampled, rows.labels, parts.weight)
    evidence = [(share * shares["halves"], lines) for share, lines in halves]
    for name, make in _MAKERS.items():
        if name in shares:
            evidence.append((shares[name], make(rows, parts.weight, shares[name] * delta)))
    if "counts" in shares:
        share = shares["counts"] / len(STAKES)
        evidence += [(share, label_counts(rows, parts.weight, stake)) for stake in STAKES]
    return bound(evidence, most, delta)


def weights(answers: np.ndarray, labels: int, weight: np.ndarray) -> dict[str, float]:
    """Return the weight of each kind of evidence, from what is fixed before the labels alone.

    Parameters
    ----------
    answers : (R,) int array
        k_s.
    labels : int
        A.
    weight : (R,) array
        w_s >= 0, some above 0.
    """
    free = len(answers) * (labels - 1)
    shares = next(dict(shares) for most, shares in _WEIGHTS if free <= most)
    stakes = np.floor(np.log(np.maximum(weight, 1e-300) / answers) / _STEP)
    work = np.unique(np.stack([answers, stakes]), axis=1)[0].sum()
    if answers.max() > _COUNTED or work > _WORK:
        shares["halves"] += shares.pop("counts")
    return shares


_WEIGHTS: tuple[tuple[float, dict[str, float]], ...] = (
    (1, {"region": 0.7, "mean": 0.1, "counts": 0.05, "halves": 0.15}),
    (4, {"region": 0.6, "mean": 0.15, "counts": 0.1, "halves": 0.15}),
    (20, {"region": 0.1, "sequence": 0.02, "mean": 0.2, "counts": 0.08, "halves": 0.6}),
    (math.inf, {"region": 0.04, "sequence": 0.02, "mean": 0.14, "counts": 0.1, "halves": 0.7}),
)
"""By how many probabilities are free, S (A - 1): what makes the certificate the least or close to
it on the settings of `benchmarks/certificates.py`."""


def _region(rows: Rows, weight: np.ndarray, delta: float) -> Lines:
    """The evidence of the region for numbers of answers fixed before."""
    stake, cost = divergence.fixed_stake(rows.sampled, rows.labels, delta)
    lines = divergence.distances(rows, weight, (cost + math.log(1.0 / delta)) / stake)
    return Lines(stake * lines.slope, stake * lines.height - cost)


def at_all_times(rows: Rows, weight: np.ndarray, delta: float) -> Lines:
    """Return the evidence of Krichevsky and Trofimov, which holds at all times together, sharpest
    at delta.

    Parameters
    ----------
    rows : Rows
        Every record with a sampled label; labels declared.
    weight : (R,) array
        w_s >= 0, some above 0.
    delta : float
        In (0, 1).
    """
    cost = divergence.regret(rows)
    lines = divergence.distances(rows, weight, cost + math.log(1.0 / delta))
    return Lines(lines.slope, lines.height - cost)


def _mean(rows: Rows, weight: np.ndarray, delta: float) -> Lines:
    """The line of `mean_and_deviation` that is best at delta."""
    mean, spread = _mean_and_spread(rows.sampled, rows.labels, weight)
    stake = math.sqrt(8.0 * math.log(1.0 / delta) / spread)
    return Lines.one(stake, -stake * mean - stake**2 * spread / 8.0)


_MAKERS = {"region": _region, "sequence": at_all_times, "mean": _mean}
"""Evidence that is sharpest at a delta of its own."""


def label_counts(rows: Rows, weight: np.ndarray, stake: float) -> Lines:
    """Return the evidence of the counts of each input.

    By (1) of `kt_theory.transfer.certify.counts` E exp(x k T - C(x)) <= 1 for a row of k answers
    and every x, C between two stakes being interpolated. With x_s = l w_s / k_s the product over
    inputs, which are independent, is exp(l L - sum_s C_s(x_s)).

    Parameters
    ----------
    rows : Rows
        Every record with a sampled label; labels declared, two or more.
    weight : (R,) array
        w_s >= 0.
    stake : float
        l sqrt(sum_s w_s^2 / k_s).
    """
    k = rows.sampled
    # So that exp(l w_s) is finite.
    length = min(stake / math.sqrt(float((weight**2 / k).sum())), 300.0 / float(weight.max()))
    # A larger x_s makes the product no less.
    x = np.maximum(length * weight / k, 1e-12)
    grid = np.floor(np.log(x) / _STEP)
    below, above = np.exp(_STEP * grid), np.exp(_STEP * (grid + 1.0))
    spent = 0.0
    part = (x - below) / (above - below)
    for end, share in ((below, 1.0 - part), (above, part)):
        keys = np.stack([k.astype(np.float64), end])
        found, which = np.unique(keys, axis=1, return_inverse=True)
        for place, (answers, own) in enumerate(found.T):
            here = which == place
            costs, rest = counts.costs_at(int(answers), float(own), rows.labels)
            pairs = here[rows.row]
            spent += float(share[rows.row[pairs]] @ costs[rows.count[pairs]])
            spent += rest * float(share[here].sum())
    return Lines.one(length, -spent)


def mean_and_deviation(rows: Rows, weight: np.ndarray, delta: float) -> float:
    """Return the largest mean of the loss, over all teachers, and its deviation (McDiarmid 1989).

    One label of input s moves the loss by w_s / k_s at most, so with probability 1 - delta

        L <= sum_s w_s max_p E TV(f_s, p) + sqrt(ln(1/delta) / 2 * sum_s w_s^2 / k_s).

    Parameters
    ----------
    rows : Rows
    weight : (R,) array
        w_s >= 0.
    delta : float
        In (0, 1).
    """
    mean, spread = _mean_and_spread(rows.sampled, rows.labels, weight)
    return min(float(weight.sum()), mean + math.sqrt(0.5 * math.log(1.0 / delta) * spread))


def _mean_and_spread(k: np.ndarray, labels: int, weight: np.ndarray) -> tuple[float, float]:
    answers, which = np.unique(k, return_inverse=True)
    means = np.array([largest_mean(int(count), labels) for count in answers])
    return float(weight @ means[which]), float((weight**2 / k).sum())


@lru_cache(maxsize=4096)
def largest_mean(k: int, labels: int) -> float:
    """Return an upper bound on E TV(f, p) after k answers, whatever p is.

    It is 1/2 sum_a E|c_a/k - p_a|, c_a ~ Bin(k, p_a): at most min over beta of beta + A max over p
    of [E|c/k - p|/2 - beta p], as the p_a sum to 1. For large k, with q = 1 - p and v = floor(k p)
    + 1, de Moivre's E|c/k - p| = 2 q v P(c = v) / k and P(c = v) <= sqrt(k / (2 pi v (k - v)))
    (Stirling, Robbins) give for p <= 1/2, and by symmetry for all p,

        E|c/k - p| <= sqrt(2 / pi) sqrt(k / (k - 2)) sqrt(k p q + max(p, q)) / k,

    so that by Cauchy and Schwarz, as max(p, q) <= 1, E TV <= sqrt((k (A - 1) + A^2) / (2 pi k (k -
    2))). Always E TV <= sqrt((A - 1) / k) / 2 (Cauchy and Schwarz).

    Parameters
    ----------
    k : int
        At least 1.
    labels : int
        A.
    """
    crude = 0.5 * math.sqrt((labels - 1.0) / k)
    if k > _SUMMED:
        spread = k * (labels - 1.0) + labels**2
        return min(1.0, crude, math.sqrt(spread / (2.0 * math.pi * k * (k - 2.0))))
    p = np.sin(np.linspace(0.0, 0.5 * np.pi, int(60 * math.sqrt(k)) + 1)) ** 2
    c = np.arange(k + 1.0)
    # Between points of the grid the mean is higher by less than a thousandth of it.
    mean = 1.001 * 0.5 * (counts.binomial(k, p) * np.abs(c / k - p[:, None])).sum(axis=1)

    def most(beta: float) -> float:
        return beta + labels * float((mean - beta * p).max())

    low, high = 0.0, 1.0
    for _ in range(40):
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, right) if most(left) < most(right) else (left, high)
    return min(1.0, crude, most(0.5 * (low + high)))
