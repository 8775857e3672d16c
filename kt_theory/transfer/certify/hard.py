"""Upper confidence bounds on the loss of the frequencies n_sa / n_s of hard labels, from the labels
alone.

Three families of evidence, each with E e(L) <= 1 at the true loss L and e increasing in it, so that
any mean of them with weights that do not look at the records is of that form too: the certificate
is where the mean reaches 1/delta. One is from two halves of the labels of each input, one from the
visits and the number of labels alone, and one from the counts of each input
(`kt_theory.transfer.certify.counts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from kt_theory.transfer.certify import bounds, counts
from kt_theory.transfer.certify.evidence import Lines
from kt_theory.transfer.design import Parts
from kt_theory.transfer.rows import Rows

_EXACT = 64
"""Up to so many visits the mean distance of two halves of a row is summed exactly; above by Cauchy
and Schwarz.
"""

_SMALL = 2000
"""Up to so many records all three take part; above, the halves alone: they meet the line of
`counted` there, in a time that does not grow with n^2, and for sparse labels they are sharper."""


def counted(rows: Rows, delta: float) -> float:
    """Return an upper bound on TV(copy, teacher | rho) for hard labels, the copy being the
    frequencies n_sa / n_s.

    How sharp: at n = 20 S the loss itself is up to sqrt((A - 1) / 20) / 2, so that five times the
    loss is no condition for dense rows of ten labels or more; it is one for few or uneven labels.
    There (S = 1 to 100, A = 2 to 50, some 2,000 pairs of teacher and input law) the bound at
    confidence 0.95 is at most 5 max(loss, (S/2 + 2 ln 20) / n), except in up to 1 % of the transfer
    sets of about one pair in a hundred, for the most part of ten labels or more at S = 3 to 9,
    where it is up to 20 % above: their loss happens to be far below its mean, and the records do
    not show it.

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label, drawn from the teacher's
        distribution.
    delta : float
        In (0, 1).
    """
    evidence = _halves_evidence(rows)
    if rows.closed and rows.labels >= 2 and rows.n <= _SMALL:
        halves, number, each = _weights(rows.n)
        evidence = [(halves * weight, e) for weight, e in evidence] + [
            (number, _labels_evidence(rows))
        ]
        prices = counts.prices(rows.n, rows.labels)
        if prices is not None:
            evidence.append((each, counts.evidence(rows, prices)))
    price = math.log(1.0 / delta)

    def proved(loss: float) -> bool:
        """The average of the evidence that the loss is smaller than this reaches 1 / delta."""
        return (
            float(np.logaddexp.reduce([math.log(weight) + e(loss) for weight, e in evidence]))
            >= price
        )

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if proved(middle) else (middle, high)
    return high


Evidence = Callable[[float], float]
"""ln e of a loss: P(e(L) >= 1/delta) <= delta for the true loss L, and increasing."""


def _weights(n: int) -> tuple[float, float, float]:
    """Weights of the three families: what meets the line of `counted` in most of the cells that
    were tried.

    They sum to 1, and may depend on what is fixed before the records only.
    """
    if n < 100:
        return 0.35, 0.35, 0.3
    return (0.25, 0.1, 0.65) if n < 600 else (0.5, 0.25, 0.25)


def _labels_evidence(rows: Rows) -> Evidence:
    """The bound from the visits and the number of labels A alone, whatever the teacher is.

    After k visits the loss T of a row has mean at most tau / sqrt(k), tau = sqrt(A - 1) / 2
    (Jensen, and Cauchy and Schwarz), one label moves it by at most 1/k, and it is at most 1, or 1 -
    1/A if k = 0. So for mu = n rho_s, by Hoeffding's lemma, E[exp(lambda mu T) | k] <= exp(lambda
    mu min(1, tau / sqrt(k) + lambda mu / (8 k))). Let C be nondecreasing with C(0) = 0 and, for k ~
    Bin(n, mu/n) and every mu in [0, n],

        H(mu) = E exp(lambda mu min(1, tau / sqrt(k) + lambda mu / (8 k)) - C(k)) <= 1.          (2)

    The visits of a multinomial are negatively associated and the function of k in (2) decreases, so
    the mean of the product over rows is at most the product of the H's: E exp(lambda n L - sum_s
    C(n_s)) <= 1.
    """
    stake, cost = visit_costs(rows.n, rows.labels)
    spent = float(cost[rows.queries].sum())
    return lambda loss: stake * rows.n * loss - spent


@lru_cache(maxsize=64)
def visit_costs(n: int, labels: int) -> tuple[float, np.ndarray]:
    """Return lambda and C(0), ..., C(n) of (2).

    C(k) = a + max(-ln(1 - lambda (1 - 1/A)), what a row of k = mu visits needs to second order in
    lambda), and a is the least that satisfies (2) on a grid of mu, with 5 % to spare between its
    points.
    """
    stake, tau = min(0.7, math.sqrt(24.0 / n)), 0.5 * math.sqrt(labels - 1)
    k = np.arange(1.0, n + 1)
    more = 1.0 + 0.25 * stake**2
    enough = stake * tau * more * np.sqrt(k) + stake**2 / 8.0 * more * k + 0.5 * (stake * tau) ** 2
    base = np.maximum(enough, -math.log1p(-stake * (1.0 - 1.0 / labels)))
    mu = np.geomspace(1e-3, n, 300)
    seen, unseen = moments(n, labels, stake, mu, base)
    # Without a visit nothing is paid, so that a only scales the rest: ln of the least a for each
    # mu.
    extra = np.log(seen / (1.0 - unseen))
    return stake, np.concatenate([[0.0], base + 1.05 * max(float(extra.max()), 1e-3)])


def moments(
    n: int, labels: int, stake: float, mu: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two parts of H(mu) in (2): rows that are visited, at the costs C(1), ..., C(n),
    and rows that are not.

    Parameters
    ----------
    n, labels : int
    stake : float
        lambda.
    mu : (m,) array
        In (0, n].
    cost : (n,) array
    """
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(1.0, n + 1)
    share = mu[:, None] / n
    choices = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    loss = np.minimum(1.0, 0.5 * np.sqrt((labels - 1) / k) + stake * mu[:, None] / (8.0 * k))
    seen = choices + xlogy(k, share) + xlog1py(n - k, -share) + stake * mu[:, None] * loss - cost
    unseen = n * np.log1p(-np.minimum(mu / n, 1.0 - 1e-16)) + stake * mu * (1.0 - 1.0 / labels)
    return np.exp(seen).sum(axis=1), np.exp(unseen)


def _halves_evidence(rows: Rows) -> list[tuple[float, Evidence]]:
    """The bound from two halves of the labels of each input: weights that sum to 1, and evidence.

    Let B_s be the labels to which the blue copy q gives too much: M = sum_s rho_s (q(B_s) -
    pi(B_s)). So for a red one X = q(B_s) - 1[a in B_s] has mean M, and the lemma of `bounds` holds
    although B_s is unknown (X in [-1, 1], lambda < 1; rows without a blue record count as lost, X =
    1). Let row s have r red records, with frequencies q', and D = TV(q, q'), d = q(B_s) - q'(B_s)
    <= D. As -ln(1 - z) <= z + h(lambda) z^2 for z <= lambda, h(lambda) = (-ln(1 - lambda) - lambda)
    / lambda^2, and the mean of X^2 over them is d^2 + q'(B_s) (1 - q'(B_s)),

        sum over the row's red records of -ln(1 - lambda X) <= r [lambda D + lambda^2 h(lambda) (D^2
        + V)],

    V = g (1 - g) for g = 1 - max q' < 1/2, else 1/4. Here the mean over all colours is taken in
    closed form: of k records with c of label a, r red, c' - c r/k is a centred hypergeometric
    variable; E D is 1/2 sum_a of its mean deviation (de Moivre's identity), E D^2 <= (1/2 sum_a of
    its standard deviation)^2 by Minkowski, E V <= V at the frequencies of all records by Jensen.
    The loss L on all records is at most the mean of M over colours: the loss is convex in q and the
    frequencies of a row are the mean of the blue ones, given how many are blue; and as fewer blue
    records only raise the mean of M, mean(-R ln(1 - lambda M)) >= -theta n ln(1 - lambda L).
    """
    found: list[tuple[float, Evidence]] = []
    for theta, distance, square, lost in _halves_of_rows(rows):
        whole, squares, gone = float(distance.sum()), float(square.sum()), float(lost.sum())
        for lam, weight in _hard_cells(rows.n)[theta]:
            cost = lam * whole + (-np.log1p(-lam) - lam) * squares - gone * np.log1p(-lam)
            found.append((weight, _half(theta * rows.n, lam, float(cost))))
    return found


def halves(rows: Rows, parts: Parts) -> list[tuple[float, Lines]]:
    """Return the evidence of two halves of the labels of each input where a design weighs parts of
    the inputs: weights that sum to 1, and ln e of sum_u w_u L_u, L_u the loss on part u.

    The red records of a part are fresh draws of that part, and each part may have a stake of its
    own, fixed before the labels: lambda_u in proportion to w_u / n_u. The evidence is the product
    over the parts, for each of the stakes of `_hard_cells`: ln e = sum_u -theta n_u ln(1 - lambda_u
    L_u) - sum_u cost_u, at the L_u of that mean for which it is least.

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label.
    parts : Parts
        At least one of weight above 0.
    """
    records = parts.records(rows)
    pace = bounds.stakes_of(parts.weight, records)
    found = []
    for theta, distance, square, lost in _halves_of_rows(rows):
        for lam, weight in _hard_cells(rows.n)[theta]:
            stakes = np.minimum(_LARGEST_STAKE, lam * pace)
            each = stakes[parts.of]
            late = -np.log1p(-each)
            cost = float((each * distance + (late - each) * square + late * lost).sum())
            found.append((weight, _at_least(parts.weight, theta * records, stakes, cost)))
    return found


_LARGEST_STAKE = 0.95
"""Of halves: at 1 a row without a blue record would cost everything."""


def _at_least(weight: np.ndarray, reds: np.ndarray, stakes: np.ndarray, cost: float) -> Lines:
    """The least of sum_u -R_u ln(1 - lambda_u L_u) - cost over L_u in [0, 1] of a given sum_u w_u
    L_u, as lines in it.

    For every nu it is at least (loss - sum_u max over L of [w_u L + nu R_u ln(1 - lambda_u L)]) /
    nu - cost (`bounds.together`).
    """
    bets = stakes > 0
    w, r, lam = weight[bets], reds[bets], stakes[bets]
    nu = np.linspace(0.02, 1.0, 60)[:, None] * float((w / (lam * r)).max())
    gains = []
    for block in np.array_split(nu, min(len(nu), 1 + len(nu) * len(w) // 1_000_000)):
        loss = np.clip(1.0 / lam - block * r / w, 0.0, 1.0)
        gains.append((w * loss + block * r * np.log1p(-lam * loss)).sum(axis=1))
    return Lines(1.0 / nu[:, 0], -np.concatenate(gains) / nu[:, 0] - cost)


def _halves_of_rows(
    rows: Rows,
) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield each share theta of red records with the means over colours, row by row, of r D, of r
    (D^2 + V), and of r where no record is blue.
    """
    k = rows.queries[rows.row].astype(np.float64)
    q = rows.count / k
    deviation = 0.5 * rows.total(np.sqrt(q * (1.0 - q)))
    gap = 1.0 - np.maximum.reduceat(q, rows.start[:-1])
    variance = np.where(gap < 0.5, gap * (1.0 - gap), 0.25)
    visits, which = np.unique(rows.queries, return_inverse=True)
    for theta in _hard_cells(rows.n):
        far, far2 = (values[which] for values in _halves(visits, theta))
        lost = rows.queries * theta**rows.queries
        distance = np.where(rows.queries <= _EXACT, _exact_halves(rows, theta), deviation * far)
        square = deviation**2 * far2 + variance * (rows.queries * theta - lost)
        yield theta, distance, square, lost


def _half(reds: float, stake: float, cost: float) -> Evidence:
    return lambda loss: -reds * math.log1p(-stake * loss) - cost


def _hard_cells(n: int) -> dict[float, list[tuple[float, float]]]:
    """For each theta the stakes and their weights, which sum to 1: a choice that depends on n
    alone.

    For records of variance V the best stake is about sqrt(8 / (theta n V)). Most of the
    weight is on V = 0.14, a label of probability 0.83.
    """

    def stake(theta: float, variance: float) -> float:
        best = np.sqrt(8.0 / (theta * n * variance))
        return float(best / (1.0 + best))

    return {
        0.5: [(stake(0.5, 0.14), 0.6), (stake(0.5, 0.02), 0.2), (0.8, 0.08)],
        0.25: [(stake(0.25, 0.25), 0.06), (stake(0.25, 0.02), 0.06)],
    }


def _halves(visits: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """E[r sd; r < k] and E[r sd^2; r < k], r ~ Bin(k, theta), sd^2 = k^2 / ((k - 1) r (k - r))
    where q (1 - q) = 1.
    """
    # scipy.stats has the same function, and takes most of a second to load.
    from scipy.special import bdtr

    far, far2 = np.zeros(len(visits)), np.zeros(len(visits))
    for i, k in enumerate(visits):
        if k == 1:
            continue
        # All but 1e-12 of the mass (Hoeffding); out there r sd and r sd^2 are at most 2 k^(3/2) and
        # 2 k.
        reach = np.sqrt(0.5 * k * np.log(2e12)) + 1.0
        low, high = (0, k - 1) if k <= 1000 else (max(0.0, k * theta - reach), k * theta + reach)
        steps = np.unique(np.linspace(low, min(high, k - 1), 1001).astype(np.int64))
        mass = np.diff(
            np.r_[0.0 if steps[0] == 0 else bdtr(steps[0] - 1.0, k, theta), bdtr(steps, k, theta)]
        )
        # Both rise in r: a step carries the value at its upper end.
        far[i] = mass @ (k * np.sqrt(steps / ((k - 1.0) * (k - steps)))) + (
            2e-12 * k**1.5 if k > 1000 else 0.0
        )
        far2[i] = mass @ np.where(steps > 0, k**2 / ((k - 1.0) * (k - steps)), 0.0) + (
            2e-12 * k if k > 1000 else 0.0
        )
    return far, far2


def _exact_halves(rows: Rows, theta: float) -> np.ndarray:
    """E[r D; r < k] of each row of at most `_EXACT` visits, r ~ Bin(k, theta) of the k records red,
    and 0 of others: (R,).

    For X hypergeometric (r of k, c marked) and v = floor(c r / k) + 1, E|X - c r/k| = 2 v (k - c -
    r + v) P(X = v) / k, and q_a - q'_a = k (c r/k - X) / (r (k - r)).
    """
    from scipy.special import gammaln

    visits = rows.queries[rows.row]
    few = (visits <= _EXACT) & (rows.count > 0) & (rows.count < visits)
    if not few.any():
        return np.zeros(len(rows.input))
    keys, which = np.unique(visits[few] * (_EXACT + 1) + rows.count[few], return_inverse=True)
    k, c, r = (
        (keys // (_EXACT + 1))[:, None],
        (keys % (_EXACT + 1))[:, None],
        np.arange(1, _EXACT)[None, :],
    )
    v = c * r // k + 1
    possible = (r < k) & (v <= c) & (v <= r) & (k - c - r + v > 0)

    def log_choose(n: np.ndarray, m: np.ndarray) -> np.ndarray:
        return gammaln(n + 1.0) - gammaln(m + 1.0) - gammaln(n - m + 1.0)

    with np.errstate(invalid="ignore", divide="ignore"):
        log_p = log_choose(c, v) + log_choose(k - c, r - v) - log_choose(k, r)
        log_b = log_choose(k, r) + r * np.log(theta) + (k - r) * np.log1p(-theta)
        mean = 2.0 * v * (k - c - r + v) / k * np.exp(np.where(possible, log_p + log_b, -np.inf))
        far = np.where(possible, mean * k / np.maximum(k - r, 1), 0.0)
    each = np.zeros(len(rows.label))
    each[few] = far.sum(axis=1)[which]
    return 0.5 * rows.total(each)
