"""Upper confidence bounds on the loss of a copy, from the transfer set alone, whatever rho and the teacher are.

All rest on one lemma. Colour each record red with probability theta, else blue, independently of everything. Learn a
copy from the blue records and let M be its loss TV(copy, teacher | rho). Given these and the colours, the red records
are fresh draws. Let X_i in [0, 1] be computed from the blue records and red record i alone with
E[X_i | blue] >= M. Then E prod_red (1 - lambda X_i) / (1 - lambda M) <= 1 for every lambda in (0, 1]. The colours are
ours: the mean of this quantity over any number of colourings, drawn without looking at the records, still has mean at
most 1, so by Markov's inequality and the concavity of the logarithm, with probability at least 1 - delta

    mean[-R ln(1 - lambda M)] <= mean[sum_red -ln(1 - lambda X_i)] + ln(1/delta)   (means over the colourings),

R the number of red records. The student's loss L on all records is at most M whatever the colours
(or at most their mean over colours, for hard labels), so the left side is at least -mean(R) ln(1 - lambda L), and

    L <= (1 - exp(-(mean cost + ln(1/delta)) / mean(R))) / lambda.                                                 (1)

Over a grid of (theta, lambda) with weights, fixed before the data, all hold at once with ln(1/(weight delta)).
For one lambda and X_i an indicator, (1) is a leave-some-out version of Good and Turing's N_1/n with its deviation.

The colours come from a fixed seed, so that the same records give the same bound. If the records stand in the order in
which they were asked, or in any order that does not look at them, the confidence holds for that seed; if they were
sorted by what they say, it holds on average over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_theory.transfer.rows import Rows, left_over

THETAS = (0.03, 0.1, 0.3, 0.6)
"""Shares of red records."""

LAMBDAS = (0.1, 0.3, 0.6, 1.0)
"""Stakes of the lemma."""

_SEED = 20_231_007
_EXACT = 64
"""Up to so many visits the mean distance of two halves of a row is summed exactly; above by Cauchy and Schwarz."""


def unseen_mass(queries: np.ndarray, delta: float) -> float:
    """Return an upper bound on the input mass that no record visited, valid with probability 1 - delta for every rho.

    Here the mean over all colourings has a closed form. With lambda = 1, X_i = 1[no blue record shares the input of i],
    M the missing mass of the blue records, at least that of all, and w = 1/(1 - M):

        E_colours [w^R 1[no red record is new]] = (1 - theta + theta w)^n prod_s (1 - t^(n_s)),
        t = theta w / (1 - theta + theta w),

    is at most 1/delta with probability 1 - delta, and rises in M: the bound is the root in M. For small theta it tends
    to Good and Turing's N_1/n plus sqrt(2 (N_1 + 2 N_2) ln(1/delta)) / n, N_k the number of inputs visited k times.

    Parameters
    ----------
    queries : (R,) int array
        Records of each visited input, at least 1 each.
    delta : float
        In (0, 1).
    """
    visits, inputs = np.unique(queries, return_counts=True)
    n = float(visits @ inputs)
    if n == 0 or visits[-1] == 1:
        return 1.0
    grid = np.geomspace(1e-3, 0.9, 12)
    limit = np.log(len(grid) / delta)

    def evidence(mass: float) -> float:
        base = 1.0 + grid * mass / (1.0 - mass)
        t = grid / (1.0 - mass) / base
        return float((n * np.log(base) + np.log1p(-(t[:, None] ** visits)) @ inputs).max())

    low, high = 0.0, 1.0 - 1e-12
    if evidence(high) < limit:
        return 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if evidence(middle) >= limit else (middle, high)
    return high


def shared_mass(rows: Rows, delta: float, *, sampled_from_teacher: bool = True) -> float:
    """Return an upper bound on TV(copy, teacher | rho) of the student that shares the hidden mass equally.

    On a row whose blue records leave the mass h to U labels the copy q is exact elsewhere and writes m = h/U on those
    (1/A on all if there is no blue record). TV(q, pi) = sum_a (pi(a) - q(a))_+, so for a red record with label a

        X = (1 - q(a) / pi(a|s))_+,  E[X | blue] = TV(q, pi | rho):

    an unbiased estimate of the loss itself, computed from stated probabilities. Revealing one more label z never
    raises the loss: with m' = (h - z)/(U - 1), sum_rest |p - m'| <= sum_rest |p - m| + (U - 1)|m - m'|, and
    (U - 1)|m - m'| = |z - m|. So the loss on all records is at most M, and (1) applies.

    Where the labels were not sampled from the teacher's distribution (greedy or truncated decoding), X is replaced by
    the largest loss that the blue records leave possible, h (1 - 1/U), or h for an open label set.

    Parameters
    ----------
    rows : Rows
        At least one record.
    delta : float
        In (0, 1).
    sampled_from_teacher : bool
        Whether sampled labels follow the stated probabilities.
    """
    return _from_colourings(rows.n, lambda red: held_out_losses(rows, red, sampled_from_teacher), delta)


def held_out_losses(rows: Rows, red: np.ndarray, sampled_from_teacher: bool) -> np.ndarray:
    """Return X of `shared_mass` for each red record, given the colours.

    Parameters
    ----------
    rows : Rows
    red : (n,) bool array
    sampled_from_teacher : bool
        As for `shared_mass`.
    """
    blue = ~red
    from_blue = np.bincount(rows.entry_pair[blue[rows.entry_record]], minlength=len(rows.label)) > 0
    mass = left_over(rows.total(np.where(from_blue, rows.shown, 0.0)))
    hidden = rows.labels - rows.total(from_blue)
    row = rows.record_row[red]
    # Mass that no known label is left for is lost whole.
    spare = 1.0 / np.maximum(hidden, 1.0) if rows.closed else 0.0
    worst = (mass * np.where(hidden > 0, 1.0 - spare, 1.0))[row]
    if not sampled_from_teacher or not len(rows.label):
        return worst
    pair = rows.record_pair[red]
    stated = np.where(pair >= 0, rows.shown[pair] * rows.known[pair], 0.0)
    share = (mass / np.maximum(hidden, 1.0))[row]
    with np.errstate(divide="ignore", invalid="ignore"):
        new = np.where(stated > 0, np.maximum(0.0, 1.0 - share / stated), 1.0)
    new = np.where(from_blue[pair], 0.0, new)
    # Without a sampled label the record says nothing of the loss but its largest value.
    return np.where(pair >= 0, new, worst)


def _from_colourings(n: int, payoffs: Callable[[np.ndarray], np.ndarray], delta: float) -> float:
    """The bound (1): `payoffs(red)` returns X of the red records."""
    # More colourings only make the bound steadier; their number depends on n alone.
    colourings = int(np.clip(200_000 // max(n, 1), 2, 64))
    rng = np.random.Generator(np.random.PCG64(_SEED))
    price = np.log(len(THETAS) * len(LAMBDAS) / delta)
    best = 1.0
    for theta in THETAS:
        cost, reds = np.zeros(len(LAMBDAS)), 0
        for _ in range(colourings):
            red = rng.random(n, dtype=np.float32) < theta
            x = payoffs(red)
            x = x[x > 0]
            with np.errstate(divide="ignore"):
                cost += [-np.log1p(-lam * x).sum() for lam in LAMBDAS]
            reds += int(red.sum())
        best = min(best, _invert(cost / colourings, reds / colourings, np.array(LAMBDAS), price))
    return best


def _invert(cost: np.ndarray | float, reds: float, stake: np.ndarray | float, price: float) -> float:
    """The smallest of (1) over the stakes, given the mean cost at each; `price` is ln(1 / (weight * delta))."""
    if reds == 0:
        return 1.0
    return float(min(1.0, np.min(-np.expm1(-(cost + price) / reds) / stake)))


def counted(rows: Rows, delta: float) -> float:
    """Return an upper bound on TV(copy, teacher | rho) for hard labels, the copy being the frequencies n_sa / n_s.

    Let B_s be the labels to which the blue copy q gives too much: M = sum_s rho_s (q(B_s) - pi(B_s)). So for a red one
    X = q(B_s) - 1[a in B_s] has mean M, and the lemma holds although B_s is unknown (X in [-1, 1], lambda < 1; rows
    without a blue record count as lost, X = 1). Let row s have r red records, with frequencies q', and
    D = TV(q, q'), d = q(B_s) - q'(B_s) <= D. As -ln(1 - z) <= z + h(lambda) z^2 for z <= lambda,
    h(lambda) = (-ln(1 - lambda) - lambda) / lambda^2, and the mean of X^2 over them is d^2 + q'(B_s) (1 - q'(B_s)),

        sum over the row's red records of -ln(1 - lambda X) <= r [lambda D + lambda^2 h(lambda) (D^2 + V)],

    V = g (1 - g) for g = 1 - max q' < 1/2, else 1/4. Here the mean over all colours is taken in closed form: of k
    records with c of label a, r red, c' - c r/k is a centred hypergeometric variable; E D is 1/2 sum_a of its
    mean deviation (de Moivre's identity), E D^2 <= (1/2 sum_a of its standard deviation)^2 by Minkowski, E V <= V at
    the frequencies of all records by Jensen. The loss L on all records is at most the mean of M over colours: the
    loss is convex in q and the frequencies of a row are the mean of the blue ones, given how many are blue; and as
    fewer blue records only raise the mean of M, mean(-R ln(1 - lambda M)) >= -theta n ln(1 - lambda L). Hence (1).

    Parameters
    ----------
    rows : Rows
        At least one record; every record with a sampled label, drawn from the teacher's distribution.
    delta : float
        In (0, 1).
    """
    k = rows.queries[rows.row].astype(np.float64)
    q = rows.count / k
    deviation = 0.5 * rows.total(np.sqrt(q * (1.0 - q)))
    gap = 1.0 - np.maximum.reduceat(q, rows.start[:-1])
    variance = np.where(gap < 0.5, gap * (1.0 - gap), 0.25)
    visits, which, inputs = np.unique(rows.queries, return_inverse=True, return_counts=True)
    first, second, spread = (np.bincount(which, weights=w) for w in (deviation, deviation**2, variance))
    best = 1.0
    cells = _hard_cells(rows.n)
    for theta in cells:
        far, far2 = _halves(visits, theta)
        lost = visits * theta**visits
        small = visits <= _EXACT
        distance = _exact_halves(rows, theta) + float((first * far)[~small].sum())
        square = float(second @ far2 + spread @ (visits * theta - lost))
        gone = float(inputs @ lost)
        for lam, weight in cells[theta]:
            cost = lam * distance + (-np.log1p(-lam) - lam) * square - gone * np.log1p(-lam)
            best = min(best, _invert(cost, theta * rows.n, lam, np.log(1.0 / (weight * delta))))
    return best


def _hard_cells(n: int) -> dict[float, list[tuple[float, float]]]:
    """For each theta the stakes and their weights, which sum to 1: a choice that depends on n alone.

    For records of variance V the best stake is about sqrt(8 / (theta n V)). Most of the weight is on V = 1/4.
    """

    def stake(theta: float, variance: float) -> float:
        best = np.sqrt(8.0 / (theta * n * variance))
        return float(best / (1.0 + best))

    return {
        0.5: [(stake(0.5, 0.25), 0.5), (stake(0.5, 0.02), 0.2), (0.8, 0.1)],
        0.25: [(stake(0.25, 0.25), 0.1), (stake(0.25, 0.02), 0.1)],
    }


def _halves(visits: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """E[r sd; r < k] and E[r sd^2; r < k], r ~ Bin(k, theta), sd^2 = k^2 / ((k - 1) r (k - r)) where q (1 - q) = 1."""
    from scipy.stats import binom

    far, far2 = np.zeros(len(visits)), np.zeros(len(visits))
    for i, k in enumerate(visits):
        if k == 1:
            continue
        # All but 1e-12 of the mass; out there r sd and r sd^2 are at most 2 k^(3/2) and 2 k.
        low, high = (0, k - 1) if k <= 1000 else binom.interval(1 - 1e-12, k, theta)
        steps = np.unique(np.linspace(low, min(high, k - 1), 1001).astype(np.int64))
        mass = np.diff(binom.cdf(np.r_[steps[0] - 1, steps], k, theta))
        # Both rise in r: a step carries the value at its upper end.
        far[i] = mass @ (k * np.sqrt(steps / ((k - 1.0) * (k - steps)))) + (2e-12 * k**1.5 if k > 1000 else 0.0)
        far2[i] = mass @ np.where(steps > 0, k**2 / ((k - 1.0) * (k - steps)), 0.0) + (2e-12 * k if k > 1000 else 0.0)
    return far, far2


def _exact_halves(rows: Rows, theta: float) -> float:
    """The sum over rows of at most `_EXACT` visits of E[r D; r < k], r ~ Bin(k, theta) of the k records red.

    For X hypergeometric (r of k, c marked) and v = floor(c r / k) + 1, E|X - c r/k| = 2 v (k - c - r + v) P(X = v) / k,
    and q_a - q'_a = k (c r/k - X) / (r (k - r)).
    """
    from scipy.special import gammaln

    visits = rows.queries[rows.row]
    few = (visits <= _EXACT) & (rows.count > 0) & (rows.count < visits)
    if not few.any():
        return 0.0
    keys, pairs = np.unique(visits[few] * (_EXACT + 1) + rows.count[few], return_counts=True)
    k, c, r = (keys // (_EXACT + 1))[:, None], (keys % (_EXACT + 1))[:, None], np.arange(1, _EXACT)[None, :]
    v = c * r // k + 1
    possible = (r < k) & (v <= c) & (v <= r) & (k - c - r + v > 0)

    def log_choose(n: np.ndarray, m: np.ndarray) -> np.ndarray:
        return gammaln(n + 1.0) - gammaln(m + 1.0) - gammaln(n - m + 1.0)

    with np.errstate(invalid="ignore", divide="ignore"):
        log_p = log_choose(c, v) + log_choose(k - c, r - v) - log_choose(k, r)
        log_b = log_choose(k, r) + r * np.log(theta) + (k - r) * np.log1p(-theta)
        mean = 2.0 * v * (k - c - r + v) / k * np.exp(np.where(possible, log_p + log_b, -np.inf))
        far = np.where(possible, mean * k / np.maximum(k - r, 1), 0.0)
    return float(0.5 * pairs @ far.sum(axis=1))


def distance(rows: Rows, apart: np.ndarray, delta: float) -> float:
    """Return an upper bound on sum_s rho_s d_s over visited inputs, for any d that the records determine.

    sum_s (rho_s - n_s/n) d_s <= max d * sup_B (rho(B) - n_B/n). The supremum has mean at most that of
    (1/n) sum_s |sum of n_s random signs| <= (1/n) sum_s sqrt(n_s) (symmetrisation), and one record changes the
    difference of supremum and (1/n) sum_s E|signs| by at most 2/n. McDiarmid: with confidence 1 - delta,

        sum_s rho_s d_s <= sum_s (n_s/n) d_s + max d [(1/n) sum_s sqrt(n_s) + 2 sqrt(ln(1/delta) / (2n))].

    Parameters
    ----------
    rows : Rows
    apart : (R,) array
        d_s in [0, 1].
    delta : float
        In (0, 1).
    """
    n = float(rows.n)
    noise = np.sqrt(rows.queries).sum() / n + 2.0 * np.sqrt(np.log(1.0 / delta) / (2.0 * n))
    return float(rows.queries @ apart / n + apart.max() * noise)
