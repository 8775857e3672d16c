"""Upper confidence bounds on the loss of a copy, from the transfer set alone, whatever rho and the
teacher are.

All rest on one lemma. Colour each record red with probability theta, else blue, independently of
everything. Learn a copy from the blue records and let M be its loss TV(copy, teacher | rho). Given
these and the colours, the red records are fresh draws. Let X_i in [0, 1] be computed from the blue
records and red record i alone with E[X_i | blue] >= M. Then E prod_red (1 - lambda X_i) / (1 -
lambda M) <= 1 for every lambda in (0, 1]. The colours are ours: the mean of this quantity over any
number of colourings, drawn without looking at the records, still has mean at most 1, so by Markov's
inequality and the concavity of the logarithm, with probability at least 1 - delta

    mean[-R ln(1 - lambda M)] <= mean[sum_red -ln(1 - lambda X_i)] + ln(1/delta),

means over the colourings, R the number of red records. The student's loss L on all records is at
most M whatever the colours (or at most their mean over colours, for hard labels), so the left side
is at least -mean(R) ln(1 - lambda L), and

    L <= (1 - exp(-(mean cost + ln(1/delta)) / mean(R))) / lambda.                               (1)

Over a grid of (theta, lambda) with weights, fixed before the data, all hold at once with
ln(1/(weight delta)). For one lambda and X_i an indicator, (1) is a leave-some-out version of Good
and Turing's N_1/n with its deviation.

The colours come from a fixed seed, so that the same records give the same bound. If the records
stand in the order in which they were asked, or in any order that does not look at them, the
confidence holds for that seed; if they were sorted by what they say, it holds on average over the
seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_theory.transfer.design import DRAWN, Parts
from kt_theory.transfer.rows import Rows, left_over

THETAS = (0.03, 0.1, 0.3, 0.6)
"""Shares of red records."""

LAMBDAS = (0.1, 0.3, 0.6, 1.0)
"""Stakes of the lemma."""

COLOURINGS = 64
"""The most colourings: the bound holds for any number of them, and more make it steadier."""

_SEED = 20_231_007

_WHOLE = np.ones(1)
"""The weight of one part that is all."""


def unseen_mass(queries: np.ndarray, delta: float) -> float:
    """Return an upper bound on the input mass that no record visited, valid with probability 1 -
    delta for every rho.

    Here the mean over all colourings has a closed form. With lambda = 1, X_i = 1[no blue record
    shares the input of i], M the missing mass of the blue records, at least that of all, and w =
    1/(1 - M):

        E_colours [w^R 1[no red record is new]] = (1 - theta + theta w)^n prod_s (1 - t^(n_s)),
        t = theta w / (1 - theta + theta w),

    is at most 1/delta with probability 1 - delta, and rises in M: the bound is the root in M. For
    small theta it tends to Good and Turing's N_1/n plus sqrt(2 (N_1 + 2 N_2) ln(1/delta)) / n, N_k
    the number of inputs visited k times.

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


def unseen_parts(rows: Rows, parts: Parts, delta: float) -> float:
    """Return an upper bound on the weighted mass of inputs that no record visited, where each part
    of the inputs is drawn from: that of each of H parts with probability 1 - delta/H.

    Parameters
    ----------
    rows : Rows
    parts : Parts
    delta : float
        In (0, 1).
    """
    share = delta / len(parts.weight)
    each = [unseen_mass(rows.queries[parts.of == part], share) for part in range(len(parts.weight))]
    return float(parts.weight @ each)


def shared_mass(
    rows: Rows,
    delta: float,
    *,
    parts: Parts | None = None,
    sampled_from_teacher: bool = True,
) -> float:
    """Return an upper bound on the loss of the student that shares the hidden mass equally, on
    inputs of parts that have records.

    On a row whose blue records leave the mass h to U labels the copy q is exact elsewhere and
    writes m = h/U on those (1/A on all if there is no blue record). TV(q, pi) = sum_a (pi(a) -
    q(a))_+, so for a red record with label a

        X = (1 - q(a) / pi(a|s))_+,  E[X | blue] = TV(q, pi | rho):

    an unbiased estimate of the loss itself, computed from stated probabilities. Revealing one more
    label z never raises the loss: with m' = (h - z)/(U - 1), sum_rest |p - m'| <= sum_rest |p - m|
    + (U - 1)|m - m'|, and (U - 1)|m - m'| = |z - m|. So the loss on all records is at most M, and
    (1) applies. A copy that keeps censored labels below what their records list, where equal shares
    are above it, is no further from pi on any row.

    Where labels have variants, what is stated of some of them is a lower bound only, and U counts
    such labels too: the copy adds h/U to it. TV(q, pi) <= h (1 - 1/U), h for an open label set, and
    the chance of a red record whose own variant no blue record of the row states is h: X is (1 -
    1/U), or 1, there. Both only fall as more is revealed.

    Where the labels were not sampled from the teacher's distribution (greedy or truncated
    decoding), X is replaced by the largest loss that the blue records leave possible, h (1 - 1/U),
    or h for an open label set.

    Where a design weighs parts of the inputs, the red records of part u are fresh draws of it, and
    with stakes lambda_u of its own (1) holds for the sum: sum_u -R_u ln(1 - lambda_u L_u) is at
    most the mean cost and ln(1/delta).

    Parameters
    ----------
    rows : Rows
        At least one record.
    delta : float
        In (0, 1).
    parts : Parts, optional
        What the design weighs; by default all inputs are drawn together.
    sampled_from_teacher : bool
        Whether sampled labels follow the stated probabilities.
    """
    parts = parts or DRAWN.parts(rows)
    return _from_colourings(
        rows.n,
        rows.labels,
        lambda red: held_out_losses(rows, red, sampled_from_teacher),
        delta,
        parts.weight,
        parts.of[rows.record_row],
    )


def largest_losses(rows: Rows) -> np.ndarray:
    """Return the largest loss that the records leave possible on each row: (R,). It is certain: a
    row that hides the mass h from U labels is off by h (1 - 1/U) at most, by h where there may be
    other labels.

    Parameters
    ----------
    rows : Rows
    """
    stated = rows.parts or rows
    mass, _, most = _left_by(rows, _told(stated, stated.entry_pair))
    return mass * most


def held_out_losses(rows: Rows, red: np.ndarray, sampled_from_teacher: bool) -> np.ndarray:
    """Return X of `shared_mass` for each red record, given the colours.

    Parameters
    ----------
    rows : Rows
    red : (n,) bool array
    sampled_from_teacher : bool
        As for `shared_mass`.
    """
    stated = rows.parts or rows
    from_blue = _told(stated, stated.entry_pair[~red[stated.entry_record]])
    mass, hidden, most = _left_by(rows, from_blue)
    row = rows.record_row[red]
    worst = (mass * most)[row]
    if not sampled_from_teacher or not len(stated.label):
        return worst
    pair = stated.record_pair[red]
    # Of a label with variants a record states that of its own variant alone.
    exact = stated.known if rows.parts is None else stated.known & rows.known[rows.part_of]
    own = np.where(pair >= 0, stated.shown[pair] * exact[pair], 0.0)
    share = (mass / np.maximum(hidden, 1.0))[row]
    largest = most[row] if rows.parts is not None else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        new = np.where(own > 0, np.maximum(0.0, 1.0 - share / own), largest)
    new = np.where(from_blue[pair], 0.0, new)
    # Without a sampled label the record says nothing of the loss but its largest value.
    return np.where(pair >= 0, new, worst)


def _told(stated: Rows, pairs: np.ndarray) -> np.ndarray:
    """Which pairs are among those that some records state: (P,) bool."""
    return np.bincount(pairs, minlength=len(stated.label)) > 0


def _left_by(rows: Rows, told: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row, where such pairs are known: the mass that is hidden, how many labels hide it,
    and the largest share of it that the copy may lose, (R,) each.
    """
    stated = rows.parts or rows
    mass = left_over(stated.total(np.where(told, stated.shown, 0.0)))
    hidden = rows.labels - _settled(rows, told)
    # Mass that no known label is left for is lost whole.
    spare = 1.0 / np.maximum(hidden, 1.0) if rows.closed else 0.0
    return mass, hidden, np.where(hidden > 0, 1.0 - spare, 1.0)


def _settled(rows: Rows, from_blue: np.ndarray) -> np.ndarray:
    """How many labels of each row have a probability that the blue records state: (R,)."""
    if rows.parts is None or rows.part_of is None:
        return rows.total(from_blue)
    told = np.bincount(rows.part_of, weights=from_blue, minlength=len(rows.label)) > 0
    return rows.total(told & rows.known)


def _from_colourings(
    n: int,
    labels: int,
    payoffs: Callable[[np.ndarray], np.ndarray],
    delta: float,
    weight: np.ndarray = _WHOLE,
    part: np.ndarray | None = None,
) -> float:
    """The bound (1): `payoffs(red)` returns X of the red records; `part` is that of each record, by
    default the only one.
    """
    part = np.zeros(n, dtype=np.int64) if part is None else part
    # Their number depends on n and the number of labels alone.
    affordable = min(200_000 // max(n, 1), 20_000_000 // max(n * labels, 1))
    colourings = int(np.clip(affordable, 2, COLOURINGS))
    rng = np.random.Generator(np.random.PCG64(_SEED))
    price = np.log(len(THETAS) * len(LAMBDAS) / delta)
    pace = stakes_of(weight, np.bincount(part, minlength=len(weight)))
    stakes = np.minimum(1.0, np.array(LAMBDAS)[:, None] * pace)
    best = float(weight.sum())
    for theta in THETAS:
        cost, reds = np.zeros(len(LAMBDAS)), np.zeros(len(weight))
        for _ in range(colourings):
            red = rng.random(n, dtype=np.float32) < theta
            x, own = payoffs(red), part[red]
            reds += np.bincount(own, minlength=len(weight))
            lost = x > 0
            with np.errstate(divide="ignore"):
                cost -= np.log1p(-stakes.take(own[lost], axis=1) * x[lost]).sum(axis=1)
        budgets = cost / colourings + price
        for each, budget in zip(stakes, budgets.tolist(), strict=True):
            best = min(best, together(weight, reds / colourings, each, budget))
    return best


def stakes_of(weight: np.ndarray, records: np.ndarray) -> np.ndarray:
    """Return the stake of each part as a multiple of the common one, w_u n / n_u: (U,).

    It is 1 where there is one part, or where the records are in proportion to the weights: then the
    evidence weighs the loss of a part as the mean does.
    """
    return weight * (records.sum() / records)


def together(weight: np.ndarray, reds: np.ndarray, stakes: np.ndarray, budget: float) -> float:
    """Return the largest sum_u w_u L_u with sum_u -R_u ln(1 - lambda_u L_u) <= budget, L_u in [0,
    1].

    Of one part it is (1). Of more, for every nu >= 0 it is at most nu budget + sum_u max over L of
    [w_u L + nu R_u ln(1 - lambda_u L)], where L_u = 1/lambda_u - nu R_u / w_u or the end of [0, 1]
    next to it; the nu at which the budget is spent attains it.

    Parameters
    ----------
    weight : (U,) array
        w_u >= 0.
    reds : (U,) array
        R_u >= 0.
    stakes : (U,) array
        lambda_u in [0, 1].
    budget : float
    """
    bets = (weight > 0) & (reds > 0) & (stakes > 0)
    lost = float(weight[~bets].sum())
    w, r, lam = weight[bets], reds[bets], stakes[bets]
    if not len(w) or not budget < np.inf:
        return float(weight.sum())
    if len(w) == 1:
        return lost + float(w[0] * min(1.0, -np.expm1(-budget / r[0]) / lam[0]))

    def at(nu: float) -> tuple[float, float]:
        loss = np.clip(1.0 / lam - nu * r / w, 0.0, 1.0)
        with np.errstate(divide="ignore"):
            spent = -r * np.log1p(-lam * loss)
        return float(spent.sum()), float(w @ loss)

    # At `high` nothing is lost; towards 0 everything is.
    low, high = 0.0, float((w / (lam * r)).max())
    for _ in range(60):
        nu = 0.5 * (low + high)
        low, high = (nu, high) if at(nu)[0] > budget else (low, nu)
    spent, loss = at(high)
    return lost + min(float(w.sum()), loss + high * max(0.0, budget - spent))


def distance(rows: Rows, apart: np.ndarray, delta: float, parts: Parts | None = None) -> float:
    """Return an upper bound on the mean of d over visited inputs, by the weights of the design, for
    any d that the records determine.

    Of part u with weight w_u and n_u records, sum_(s in u) (rho_s - n_s/n_u) d_s <= max d * sup_B
    (rho(B) - n_B/n_u). The supremum has mean at most that of (1/n_u) sum_s |sum of n_s random
    signs| <= (1/n_u) sum_s sqrt(n_s) (symmetrisation), and one record changes the difference of
    supremum and (1/n_u) sum_s E|signs| by at most 2/n_u. McDiarmid: with confidence 1 - delta,

        sum_u w_u sum_(s in u) rho_s d_s <= sum_s (w_u n_s/n_u) d_s + max d [sum_u (w_u/n_u) sum_s
        sqrt(n_s) + 2 sqrt(ln(1/delta)/2 * sum_u w_u^2/n_u)].

    Parameters
    ----------
    rows : Rows
    apart : (R,) array
        d_s in [0, 1].
    delta : float
        In (0, 1).
    parts : Parts, optional
        What the design weighs; by default all inputs are drawn together.
    """
    parts = parts or DRAWN.parts(rows)
    records = parts.records(rows)
    each = parts.weight / records
    spread = 0.5 * np.log(1.0 / delta) * float(parts.weight @ each)
    noise = float(each[parts.of] @ np.sqrt(rows.queries)) + 2.0 * np.sqrt(spread)
    return float(parts.shares(rows) @ apart + apart.max() * noise)
