"""Several labels per query: m labels are drawn at each queried input, for hard labels and partial soft labels.

One input: n queries are n m samples, the limit of one label per query. Several: a row with k visits has m k labels, but
the k follow the queries, so the labels come in bunches and cover fewer inputs than n m queries would.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kt_theory.limits.coverage import one_row_bound
from kt_theory.limits.descent import minimum
from kt_theory.limits.hard_inputs import row_uppers, visit_steps
from kt_theory.limits.hard_prior import WINDOW, bayes_risk, best_prior, closed_bayes_risk
from kt_theory.limits.limit import Limit
from kt_theory.limits.rows import FewLevels
from kt_theory.limits.soft import soft_limit, unvisited_mass
from kt_theory.limits.visits import most_over_laws, visit_blocks, visit_counts
from kt_theory.teacher import Teacher


def repeated_hard_limit(single: Limit, labels_per_query: int) -> Limit:
    """Return the interval for hard labels with m labels per query, S >= 2.

    Upper: m labels are no worse than one; and add-c on rows with k visits, the row bound after m k labels, the worst
    rho by `most_over_laws`. Lower: soft labels after n queries; and rho uniform with independent Dirichlet rows, whose
    Bayes risk after m k labels falls in k, k ~ Bin(n, 1/S).

    Parameters
    ----------
    single : Limit
        Hard labels with one label per query.
    labels_per_query : int
        m, at least 2.
    """
    S, A, n, m = single.inputs, single.labels, single.n, labels_per_query
    counts = visit_steps(S, n)
    upper = min(single.upper, most_over_laws(S, n, lambda visits: row_uppers(A, m * visits), counts))
    soft = soft_limit(S, A, n)
    lower = max(soft.lower, bunched_bayes_risk(S, A, n, m))
    reference = "independent Dirichlet rows with m labels per visit below, add-c(visits) rows above; not known to meet"
    return replace(single, lower=min(lower, upper), upper=upper, exact=False, reference=reference)


def bunched_bayes_risk(inputs: int, labels: int, n: int, labels_per_query: int) -> float:
    """Return the Bayes risk, from below, of rho uniform and Dirichlet rows that see m k labels, k ~ Bin(n, 1/S)."""
    visits, chances = visit_blocks(n, 1.0 / inputs)
    seen = visits * labels_per_query
    centre = n / inputs * labels_per_query
    if centre / labels > WINDOW / 4.0:
        grid = 1.0 + math.sqrt(centre / labels) * np.geomspace(0.05, 4.0, 60)
        return float((chances @ np.maximum([closed_bayes_risk(labels, int(k), grid) for k in seen], 0.0)).max())
    alphas = [best_prior(labels, max(round(centre), 1))[0]]
    if centre < 20.0 * labels:
        alphas += [0.1 * alphas[0], 0.5 * alphas[0], 1.0, 0.3]
    return max(float(chances @ _row_bayes_risks(labels, seen, alpha)) for alpha in alphas)


def _row_bayes_risks(labels: int, samples: np.ndarray, alpha: float) -> np.ndarray:
    """Return lower bounds of a row's Bayes risk after so many samples, their levels searched at a few of them."""
    nodes = samples[np.unique(np.linspace(0, len(samples) - 1, 6).astype(int))]
    logits = [_best_logit(labels, int(k), alpha) for k in nodes]
    level = 1.0 / (1.0 + np.exp(-np.interp(np.log1p(samples), np.log1p(nodes), logits)))
    return np.array([bayes_risk(labels, int(k), alpha, float(z)) for k, z in zip(samples, level, strict=True)])


def _best_logit(labels: int, samples: int, alpha: float) -> float:
    from scipy.special import betainc, logit

    if labels == 2:
        return 0.0
    if samples == 0:
        return float(logit(betainc(alpha, (labels - 1) * alpha, 1.0 / labels)))
    return minimum(
        lambda z: -bayes_risk(labels, samples, alpha, 1.0 / (1.0 + math.exp(-z)), terms=200), -0.1, 14.0, 3e-2
    )[1]


def repeated_partial_limit(single: Limit, labels_per_query: int) -> Limit:
    """Return the interval for partial soft labels with m labels per query, S >= 2; exact for two labels.

    SEL_ptl stays exactly minimax: the argument about label permutations does not look at how inputs are drawn. Upper:
    one label per query; and the one-row bound after m k labels, at the worst rho. Lower: soft labels after n queries;
    and SEL_ptl's risk on S-1 rows, or all, that are uniform on j labels, j and their mass searched. For two labels one
    seen label reveals the row, so only unvisited rows lose, Phi(S, n)/2.

    Parameters
    ----------
    single : Limit
        Partial soft labels with one label per query.
    labels_per_query : int
        m, at least 2.
    """
    S, A, n, m = single.inputs, single.labels, single.n, labels_per_query
    if A <= 2 or n == 0:
        return single
    most = 1.0 - 1.0 / A

    def loss(visits: np.ndarray) -> np.ndarray:
        rows = [unvisited_mass(2, int(k)).value / 2 if A == 3 else one_row_bound(A, int(k)) for k in m * visits if k]
        return np.minimum(np.concatenate([np.full(int((visits == 0).sum()), most), rows]), most)

    counts = visit_counts(n, first=12, ratio=1.06)
    upper = min(single.upper, most_over_laws(S, n, loss, counts))
    soft = soft_limit(S, A, n)
    value, teacher = flat_rows_risk(S, A, n, m)
    lower, worst = (soft.lower, soft.teacher) if soft.lower >= value else (value, teacher)
    reference = "SEL_ptl is minimax; lower: its risk on rows uniform on some labels; upper: for all teachers"
    return replace(single, lower=min(lower, upper), upper=upper, exact=False, teacher=worst, reference=reference)


def flat_rows_risk(inputs: int, labels: int, n: int, labels_per_query: int) -> tuple[float, Teacher]:
    """Return SEL_ptl's risk, from below, on the worst teacher found of S-1 rows uniform on j labels, and the teacher.

    The last input has the rest of the mass, on one label; or all S inputs are alike. A row of mass r loses
    r sum_k P(Bin(n, r) = k) l(m k), l(N) the loss of the row after N samples, which falls in N.
    """
    tried = []
    sizes = np.unique(np.round(np.geomspace(1.0, labels - 1.0, 14)).astype(int))
    for j in {*sizes.tolist(), max(1, round(0.68 * labels))}:
        hits = [t * j / (n * labels_per_query) for t in (0.5, 0.8, 1.1, 1.5, 2.0, 3.0)]
        masses = [(min(r, 1.0 / inputs), inputs - 1) for r in [*hits, 0.7 / n, 1.0 / n, 1.4 / n]]
        for r, count in {*masses, (1.0 / inputs, inputs)}:
            visits, chances = visit_blocks(n, r, most=24)
            losses = [_flat_loss(labels, int(k) * labels_per_query, j) for k in visits]
            tried.append((count * r * float(chances @ losses), j, r, count))
    value, j, r, count = max(tried)
    rows = np.zeros((2, labels))
    rows[0, :j], rows[1, 0] = 1.0 / j, 1.0
    if count == inputs:
        return value, Teacher.from_classes(rows[:1], [1.0 / inputs], [inputs])
    return value, Teacher.from_classes(rows, [r, 1.0 - count * r], [count, 1])


def _flat_loss(labels: int, samples: int, j: int) -> float:
    return FewLevels(labels, samples).flat(j, 1.0 / j)
