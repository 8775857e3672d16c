"""How far a teacher can be from the frequencies of its labels, given how much relative entropy is
between them: regions for labels of inputs that were chosen, not drawn.

Input s was asked k_s times, with frequencies f_s; its teacher is p_s. Two regions hold the teacher,

    sum_s k_s KL(f_s || p_s) <= C,                                                               (1)

one with probability 1 - delta for numbers of answers that were fixed before (`fixed_stake`), one
with probability 1 - delta at all times together (`regret`), however one decides when
to look, when to stop and whom to ask next. `farthest` is the largest sum_s w_s TV(f_s, p_s) in (1).
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.transfer.certify.evidence import Lines
from kt_theory.transfer.rows import Rows

STAKES = np.arange(1, 10) / 10.0
"""t of the moments."""

_MOMENTS = np.array([0.0718, 0.1483, 0.2295, 0.3202, 0.4219, 0.5431, 0.6941, 0.9018, 1.2494])
"""ln of the largest E exp(t m KL(c/m || p)), c ~ Bin(m, p), over p and m = 1, ..., `_COMPUTED`."""

_COMPUTED = 2000
"""Up to so many answers an input the moments are computed; above Agrawal's bound 1/(1 - t) counts.
"""


def fixed_stake(answers: np.ndarray, labels: int, delta: float) -> tuple[float, float]:
    """Return t and K with E exp(t sum_s k_s KL(f_s || p_s) - K) <= 1 for numbers of answers that
    were fixed before; t is the one whose region at confidence 1 - delta is least.

    Take the labels of a row one after the other: k KL(f || p) is the sum over a of m_a KL(c_a/m_a
    || p_a/(p_a + p_(a+1) + ...)), m_a the answers that are left after the labels before a, and
    given m_a the count c_a is binomial. So E exp(t k KL(f || p)) <= G_t^(A - 1), G_t the largest
    moment of a binomial of at most k draws (Agrawal 2020, whose G_t = 1/(1 - t) holds for all k;
    the computed one is smaller). Inputs are independent: K = sum_s (A - 1) ln G_t(k_s). By Markov's
    inequality C = (K + ln(1/delta)) / t satisfies (1).

    Parameters
    ----------
    answers : (R,) int array
        k_s, at least 1.
    labels : int
        A.
    delta : float
        In (0, 1).
    """
    many = int((answers > _COMPUTED).sum())
    few = len(answers) - many
    cost = (labels - 1.0) * (few * _MOMENTS - many * np.log1p(-STAKES))
    best = int(((cost + math.log(1.0 / delta)) / STAKES).argmin())
    return float(STAKES[best]), float(cost[best])


def regret(rows: Rows) -> float:
    """Return K with E exp(sum_s k_s KL(f_s || p_s) - K) <= 1 at all times together.

    KT(x) is the probability of a sequence x of labels under the mixture of Krichevsky and Trofimov
    (1981), Dirichlet with parameters 1/2. Prod_s KT(x_s) / p_s(x_s) is a non-negative martingale of
    mean 1, one answer after the other, whichever input is asked next: so it reaches 1/delta at any
    time with probability delta at most (Ville 1939), and its logarithm is sum_s k_s KL(f_s || p_s)
    less K = sum_s [ln f_s(x_s) - ln KT(x_s)]: C = K + ln(1/delta) satisfies (1).

    Parameters
    ----------
    rows : Rows
        Every record with a sampled label.
    """
    from scipy.special import gammaln, xlogy

    half, c = 0.5 * rows.labels, rows.count
    k = rows.sampled.astype(np.float64)
    likely = float(xlogy(c, c).sum() - xlogy(k, k).sum())
    mixed = gammaln(half) - gammaln(k + half)
    return likely - float(mixed.sum() + (gammaln(c + 0.5) - gammaln(0.5)).sum())


def farthest(rows: Rows, weight: np.ndarray, budget: float) -> float:
    """Return the largest sum_s w_s TV(f_s, p_s) in (1), up to what rows of many labels are rounded
    up by.

    For every multiplier mu it is at most mu C + sum_s max over p of [w_s TV(f_s, p) - mu k_s
    KL(f_s || p)], and the best mu attains it. In a row, let B be the labels to which p gives more
    than f, b = f(B) and x = p(B): TV = x - b, and among all p of that x the divergence is least,
    kl(b || x), where p is proportional to f on B and outside. With v = w / (mu k) the row's value
    is

        w max over b, x of x - b - kl(b || x) / v,

    concave in (b, x). Given b, x - b = v x (1 - x); over all b it is largest at x = (1 - e^v (1 -
    v)) / (v (e^v - 1)). Attained b are sums of frequencies: those of the `_listed` most frequent
    labels are enumerated, and any part of the rest may be added, so by concavity the nearest b on
    both sides decide.

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label.
    weight : (R,) array
        w_s >= 0.
    budget : float
        C >= 0.
    """
    if not (weight > 0).any():
        return 0.0
    lines = distances(rows, weight, budget)
    # Any multiplier gives a bound.
    return min(float(weight.sum()), float((lines.slope**-1 * (budget - lines.height)).min()))


def distances(rows: Rows, weight: np.ndarray, budget: float) -> Lines:
    """Return the least sum_s k_s KL(f_s || p_s) of each sum_s w_s TV(f_s, p_s), as lines in it.

    Each multiplier mu gives a line: (loss - sum_s value of the row) / mu. They stand around the one
    that is best for `budget`.

    Parameters
    ----------
    rows, weight, budget
        As for `farthest`; some weight is above 0.
    """
    chosen = weight > 0
    begin, rest = _sums(rows, chosen)
    w, k = weight[chosen], rows.sampled[chosen].astype(np.float64)

    def gains(mu: np.ndarray) -> np.ndarray:
        blocks = np.array_split(mu, min(len(mu), 1 + mu.size * begin.size // _CELLS))
        values = [_row_values(w / (block[:, None] * k), begin, rest) @ w for block in blocks]
        # Rounding is allowed for.
        return (1.0 + 1e-9) * np.concatenate(values)

    # Where v is 1e-6 in every row the distance is given up for 1e-6; where it is 100 in every row,
    # it costs nothing.
    wide = np.geomspace(float((w / k).min()) / 100.0, 1e6 * float((w / k).max()), 64)
    best = wide[int((wide * budget + gains(wide)).argmin())]
    mu = best * np.geomspace(wide[0] / wide[1], wide[1] / wide[0], 17)
    return Lines(1.0 / mu, -gains(mu) / mu)


_CELLS = 4_000_000
"""Sums of frequencies that are looked at together."""


def _sums(rows: Rows, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums of frequencies over every set of the most frequent labels of each chosen row, in
    order, (R, 2^J), and what is left to the other labels, (R,).
    """
    pairs = chosen[rows.row]
    row = (np.cumsum(chosen) - 1)[rows.row[pairs]]
    share = rows.count[pairs] / rows.sampled[rows.row[pairs]]
    order = np.lexsort((-share, row))
    row, share = row[order], share[order]
    first = np.searchsorted(row, np.arange(int(chosen.sum())))
    place = np.arange(len(row)) - first[row]
    listed = min(_listed(int(chosen.sum())), int(place.max(initial=0)) + 1)
    top = np.zeros((int(chosen.sum()), listed))
    inside = place < listed
    top[row[inside], place[inside]] = share[inside]
    begin = np.zeros((len(top), 1))
    for column in top.T:
        begin = np.concatenate([begin, begin + column[:, None]], axis=1)
    rest = np.bincount(row[~inside], weights=share[~inside], minlength=len(top))
    return np.sort(begin, axis=1), rest


def _listed(rows: int) -> int:
    """How many labels of each row are taken apart: 2^8 sums a row, fewer where rows are many."""
    return int(np.clip(math.log2(5e5 / rows), 3.0, 8.0))


def _row_values(v: np.ndarray, begin: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The largest x - b - kl(b || x) / v of each row, for each of several v: (m, R)."""
    free = _freest(v)
    place = (begin <= free[:, :, None]).sum(axis=2) - 1
    here = np.arange(v.shape[1])
    below = np.minimum(begin[here, place] + rest, free)
    after = np.minimum(place + 1, begin.shape[1] - 1)
    above = np.where(below < free, np.maximum(begin[here, after], below), free)
    return np.maximum(_value(below, v), _value(np.minimum(above, 1.0), v))


def _freest(v: np.ndarray) -> np.ndarray:
    """The b at which the value is largest."""
    small = v < 1e-3
    safe = np.where(small, 1.0, v)
    # Divided by e^v.
    shrunk = np.exp(-safe)
    x = np.where(small, 0.5 + v / 12.0, (shrunk - 1.0 + safe) / (safe * (1.0 - shrunk)))
    return np.clip(x * (1.0 - v * (1.0 - x)), 0.0, 1.0)


def _value(b: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The largest x - b - kl(b || x) / v over x, given b."""
    given, v = v, np.minimum(v, 1e6)
    root = np.sqrt((1.0 - v) ** 2 + 4.0 * v * b)
    less = 1.0 - v
    with np.errstate(divide="ignore", invalid="ignore"):
        # Each form where it does not cancel.
        x = np.where(less > 0, 2.0 * b / (less + root), (root - less) / (2.0 * v))
    x = np.clip(x, b, 1.0)
    d = v * x * (1.0 - x)
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(b > 0, -b * np.log1p(d / b), 0.0)
        kl = kl - np.where(b < 1, (1.0 - b) * np.log1p(-d / (1.0 - b)), 0.0)
    # Where x rounds to 1, the most that x - b can be.
    return np.where(given > 1e6, 1.0 - b, np.maximum(0.0, d - np.maximum(kl, 0.0) / v))
