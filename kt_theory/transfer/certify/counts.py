"""Evidence on the loss of hard labels from the counts of each row, where the labels are declared:
for few records.

Let L = sum_s rho_s T_s be the loss, mu_s = n rho_s, k the visits of a row, c_a its counts, p its
teacher. The evidence is exp(lambda n L - sum of the costs of the visited rows); its mean is at most
1 whatever rho and the teacher are:

Labels. Given k, k T = sum_a (k p_a - c_a)_+. Let B(0) = 0 and B(c) + eta c be nondecreasing. The
counts of a row are negatively associated (Joag-Dev and Proschan 1983), and x (k p - c)_+ - B(c) -
eta c decreases in c, so with

    g(p) = ln E exp(x (k p - c)_+ - B(c) - eta c), c ~ Bin(k, p),

E exp(x k T - sum_a B(c_a) - eta k) <= exp(sum_a g(p_a)). As the p_a sum to 1, sum_a g(p_a) <= beta
+ A max_p (g(p) - beta p) for every beta; let R be the least of these plus eta k. Then C(x) = sum_a
B(c_a) + R has

    E exp(x k T - C(x)) <= 1,                                                                    (1)

and so has, by Hoelder's inequality, C between two stakes if it is interpolated linearly, C(0) = 0
included. Any B does. B(c) here is close to ln E exp(x (k p - c)_+) at p = c/k, what the loss of
that label costs if its probability is known.

Visits. Let phi(mu, k) increase in mu. A visited row costs the larger of F and

    D(k) + max of C(lambda m) - phi(k m, k) over m in [0, REACH].

By (1), given k, with m = mu/k, the mean of exp(lambda mu T - cost) is at most exp(phi(mu, k) -
D(k)) if mu <= REACH k; and always at most exp(U(lambda mu) - F) if exp(U(s)) bounds E exp(s T): by
t = min(1 - 1/A, sqrt((A - 1) / k) / 2) >= E T (Jensen, Cauchy and Schwarz), U(s) = min(s, s t + s^2
/ (8 k), ln(1 + t (e^s - 1))), as one label moves T by 1/k (Hoeffding) and T is in [0, 1]
(convexity). Let h(k) be the smaller of the two, h(0) = exp(lambda mu (1 - 1/A)), and

    H(mu) = E max of h(j) over j >= k, k ~ Bin(n, mu/n).                                         (2)

D is such that H(mu) <= 1 for every mu in [0, n]. The visits are negatively associated too, and what
stands in (2) decreases in k, so the mean of the product over the rows is at most the product of the
H(mu_s).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kt_theory.transfer.rows import Rows

STAKES = (1.0, 1.2, 1.5, 2.0, 2.7)
"""At which multiples m of lambda the costs of the labels are computed; between, they are
interpolated.
"""

REACH = STAKES[-1]

_PROBABILITIES = np.sin(np.linspace(0.0, 0.5 * np.pi, 301)) ** 2
"""Where max g is sought: steps of at most 0.005, and of a sixth of a standard deviation at 1000
visits.
"""

_SHARES = np.concatenate([[1e-6], np.geomspace(0.01, 1.0, 400)[:-1], np.geomspace(1.0, REACH, 250)])
"""Ends of the intervals of m over which the maximum is taken, with C at the upper end and phi at
the lower.
"""


@dataclass(frozen=True, eq=False)
class Prices:
    """What visits cost: `later[k]` is D(k) and `least` F, for n records of A labels at the stake
    lambda.

    Attributes
    ----------
    stake : float
        lambda.
    later : (n + 1,) array
        D(0) is not used.
    least : float
    """

    stake: float
    later: np.ndarray
    least: float


def evidence(rows: Rows, prices: Prices) -> Callable[[float], float]:
    """Return ln e of a loss: e has mean at most 1 at the true one.

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label; labels declared, two or more.
    prices : Prices
        Those of (rows.n, rows.labels).
    """
    spent = float(row_costs(rows, prices).sum())
    return lambda loss: prices.stake * rows.n * loss - spent


def row_costs(rows: Rows, prices: Prices) -> np.ndarray:
    """Return what each visited row costs: (R,)."""
    k = rows.queries
    at_stakes = np.zeros((len(k), len(STAKES) + 1))
    order = np.argsort(k[rows.row], kind="stable")
    visits, first = np.unique(k[rows.row][order], return_index=True)
    for visit, pairs in zip(visits.tolist(), np.split(order, first[1:]), strict=True):
        costs, rest = label_costs(visit, prices.stake, rows.labels)
        own = np.flatnonzero(k == visit)
        for j in range(len(STAKES)):
            total = np.bincount(
                rows.row[pairs], weights=costs[j, rows.count[pairs]], minlength=len(k)
            )
            at_stakes[own, j + 1] = total[own] + rest[j]
        crude = float(
            mean_exp(np.array(REACH * prices.stake * visit), np.array(visit), rows.labels)
        )
        # At the largest stake the labels together may cost more than a row can: the mean of two
        # bounds.
        at_stakes[own, -1] = math.log(2.0) - np.logaddexp(-at_stakes[own, -1], -crude)
    # A cost that is larger is a cost: so C increases in the stake.
    at_stakes = np.maximum.accumulate(at_stakes, axis=1)
    basis = np.array(
        [np.interp(_SHARES[1:], (0.0, *STAKES), unit) for unit in np.eye(len(STAKES) + 1)]
    )
    slack = penalty(_SHARES[:-1] * k[:, None], k[:, None].astype(np.float64), prices.stake)
    return np.maximum(prices.least, (at_stakes @ basis - slack).max(axis=1) + prices.later[k])


@lru_cache(maxsize=512)
def label_costs(k: int, stake: float, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return B(0), ..., B(k) and R of (1) at each of `STAKES` times the stake: (5, k + 1) and
    (5,).
    """
    costs, rest = np.zeros((len(STAKES), k + 1)), np.zeros(len(STAKES))
    for j, multiple in enumerate(STAKES):
        costs[j], rest[j] = costs_at(k, multiple * stake, labels)
    return costs, rest


@lru_cache(maxsize=512)
def costs_at(k: int, x: float, labels: int) -> tuple[np.ndarray, float]:
    """Return B(0), ..., B(k) and R of (1) at the stake x: (k + 1,) and a number."""
    c = np.arange(k + 1.0)
    p = _PROBABILITIES
    mass = _binomial(k)
    short = np.maximum(k * p[:, None] - c, 0.0)
    centre = np.where(c == 0, 0.0, (c + 0.6) / (k + 1.2))
    eta = 0.1 * x / math.sqrt(k)
    tilted = mass * np.exp(x * short)
    known = np.log(tilted.sum(axis=1))
    # Weighted by exp(x (k p - c)_+), c lies below its mean.
    likely = np.minimum(1.0, centre + 0.5 * x * centre * (1.0 - centre))
    costs = np.maximum.accumulate(np.interp(likely, p, known) + eta * c) - eta * c
    g = np.log(tilted @ np.exp(-costs - eta * c))
    return costs, eta * k + on_simplex(g, p, labels)


@lru_cache(maxsize=16)
def _binomial(k: int) -> np.ndarray:
    return binomial(k, _PROBABILITIES)


def on_simplex(g: np.ndarray, p: np.ndarray, labels: int) -> float:
    """Return the least of beta + A max (g - beta p) over beta, at least sum_a g(p_a) for p_a that
    sum to 1.
    """
    low, high = -2.0, 40.0

    def value(beta: float) -> float:
        return beta + labels * float((g - beta * p).max())

    for _ in range(40):
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, right) if value(left) < value(right) else (left, high)
    # Between points of the grid g is higher by less than 1e-4.
    return value(0.5 * (low + high)) + 0.002 + 1e-4 * labels


def penalty(mu: np.ndarray, k: np.ndarray, stake: float) -> np.ndarray:
    """Return phi(mu, k) = -0.4 lambda w + min(0.2, 0.7 lambda) min(w, 0)^2, w = (k - mu) / sqrt(mu)
    up to 2, about.

    w is the root of the deviance 2 (k ln(k/mu) - k + mu) with the sign of k - mu. The first term is
    what most rows gain where mu < k, the second keeps the others from being charged for mu far
    above k.
    """
    root = np.sign(k - mu) * np.sqrt(2.0 * np.maximum(k * np.log(k / mu) - k + mu, 0.0))
    w = np.minimum(root, 2.0)
    return -0.4 * stake * w + min(0.2, 0.7 * stake) * np.minimum(w, 0.0) ** 2


@lru_cache(maxsize=64)
def prices(n: int, labels: int) -> Prices | None:
    """Return the prices of (2), or None where they would be too high.

    D(k) = d_0 + d_1 / k: d_0 is what inputs of many visits need, and then d_1 what all need, on a
    grid of mu. Between its points there are 3 % and 0.002 to spare. At this lambda, found by trial,
    the evidence is sharpest for n = 20 S.
    """
    stake = min(0.7, (2.0 / labels) ** 0.3 * math.sqrt(17.0 / n))
    least = -2.2 * math.log1p(-stake * (1.0 - 1.0 / labels))
    # Just above REACH k, H jumps; at 60 REACH the rows of so few visits have no mass left.
    jumps = np.nextafter(REACH * np.arange(1.0, 61.0), np.inf)
    mu = np.union1d(np.geomspace(1e-3, n, 160), jumps[jumps < n])
    k = np.maximum(np.arange(n + 1.0), 1.0)
    moments = visit_moments(n, labels, stake, mu, least)
    heavy = mu >= min(40.0, 0.5 * n)
    level = _least(lambda d: bool((moments(np.full(n + 1, d))[heavy] <= 1.0).all()), 2.0)
    extra = _least(lambda d: bool((moments(level + d / k) <= 1.0).all()), 8.0)
    return None if math.isnan(extra) else Prices(stake, 1.03 * (level + extra / k) + 0.002, least)


def _least(enough: Callable[[float], bool], high: float) -> float:
    """Return the least number in [0, high] that is enough, to a thousandth of `high`; NaN if there
    is none.
    """
    low = 0.0
    if not enough(high):
        return math.nan
    for _ in range(10):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def visit_moments(
    n: int, labels: int, stake: float, mu: np.ndarray, least: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that takes D(0), ..., D(n), of which the first is not used, to H(mu) of
    (2): (m,).

    Parameters
    ----------
    n, labels : int
    stake : float
        lambda.
    mu : (m,) array
        In (0, n].
    least : float
        F.
    """
    k, share = np.arange(1.0, n + 1), mu[:, None]
    mass = binomial(n, mu / n)
    free = np.where(share <= REACH * k, penalty(share, k, stake), np.inf)
    bound = mean_exp(stake * share, k, labels) - least
    unseen = stake * mu * (1.0 - 1.0 / labels)

    def moments(later: np.ndarray) -> np.ndarray:
        h = np.minimum(free - later[1:], bound)
        highest = np.maximum.accumulate(h[:, ::-1], axis=1, out=h[:, ::-1])[:, ::-1]
        first = np.exp(np.maximum(unseen, highest[:, 0]))
        return mass[:, 0] * first + np.einsum("mk,mk->m", mass[:, 1:], np.exp(highest, out=highest))

    return moments


def mean_exp(s: np.ndarray, k: np.ndarray, labels: int) -> np.ndarray:
    """Return U(s): the logarithm of E exp(s T) after k >= 1 visits is at most that, whatever the
    teacher.
    """
    t = np.minimum(1.0 - 1.0 / labels, 0.5 * np.sqrt((labels - 1.0) / k))
    convex = np.log1p(t * np.expm1(np.minimum(s, 500.0)))
    return np.minimum(np.where(s < 500.0, convex, s), np.minimum(s, s * t + s**2 / (8.0 * k)))


def binomial(n: int, p: np.ndarray) -> np.ndarray:
    """Return P(Bin(n, p) = k): (len(p), n + 1)."""
    from scipy.special import gammaln, xlog1py, xlogy

    k, p = np.arange(n + 1.0), p[:, None]
    return np.exp(
        gammaln(n + 1.0)
        - gammaln(k + 1.0)
        - gammaln(n - k + 1.0)
        + xlogy(k, p)
        + xlog1py(n - k, -p)
    )
