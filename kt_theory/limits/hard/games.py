"""Two labels, one input, hard labels: the game solved by a primal-dual exchange and sharpened by
Newton's method, and a curved-shrinkage student.

Legend: n samples, X ~ Bin(n, p) the count of the first label, q_k the student's value for p after
k. For two labels the total variation is |q_k - p|, and averaging over the label swap makes q_{n-k}
= 1 - q_k free of cost.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kt_theory.limits.hard.add_c import certified_maximum, largest_mass
from kt_theory.limits.hard.priors import log_binomial
from kt_theory.limits.optimise import minimum

LARGEST_SOLVED = 20
"""Largest n whose two-label game is solved."""

LARGEST_CURVED = 2000
"""Largest n for which the curved student is certified; more samples may be thrown away."""

GAME_GAP = 1e-14
"""Width upper - lower at which a game counts as solved: some units of rounding."""

EXCHANGE_GAP = 1e-9
"""Width at which the linear programmes have found which points the prior has."""

_CERTIFICATE = 1e-15
"""How far above its maximum the sharpened student's bound may lie."""

_NEWTON_STEPS = 30

CURVED_GAP = 1e-5
"""Relative gap at which the search for the curved student's worst p may stop; it is part of the
bound.
"""


class Game(NamedTuple):
    """A solved two-label game.

    Attributes
    ----------
    lower : float
        Bayes risk of the prior, by weighted medians.
    upper : float
        Certified worst-case risk of the student.
    student : (n+1,) array
        q_k, non-decreasing.
    points, weights : arrays
        The prior: p in [0, 1/2] and its weight, each standing for p and 1-p with equal probability.
    """

    lower: float
    upper: float
    student: np.ndarray
    points: np.ndarray
    weights: np.ndarray


def binomial_law(n: int, p: np.ndarray) -> np.ndarray:
    """Return the (len(p), n+1) table of binomial probabilities."""
    k = np.arange(n + 1, dtype=np.float64)
    return np.exp(log_binomial(k[None, :], n - k[None, :], p[:, None]))


def student_risk(student: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return E|q_X - p|, X ~ Bin(n, p), exactly."""
    return (binomial_law(len(student) - 1, p) * np.abs(student[None, :] - p[:, None])).sum(axis=1)


def student_upper(student: np.ndarray, gap: float) -> float:
    """Return a proved bound of max over p of the risk of a non-decreasing student with q_{n-k} = 1
    - q_k.

    Between q_j and q_{j+1} the risk is a polynomial with r'' >= -n(n-1) max|second difference of q|
    - 4n B_j, B_j the largest mass of Bin(n-1, .) at j: the second difference of |q_k - p| in k is
    at least minus that of q, and d/dp |q_k - p| jumps by -2 at j. So on [u, v] the risk is at most
    the larger end value + (v-u)^2/8 times that.
    """
    n = len(student) - 1
    kinks = student[(student > 0.0) & (student < 0.5)]
    edges = np.unique(np.concatenate([[0.0, 0.5], kinks]))
    bend = n * (n - 1.0) * float(np.abs(np.diff(student, 2)).max(initial=0.0))

    def bound(u: np.ndarray, v: np.ndarray, at_u: np.ndarray, at_v: np.ndarray) -> np.ndarray:
        j = np.searchsorted(student, 0.5 * (u + v), side="right") - 1.0
        return (
            np.maximum(at_u, at_v)
            + (bend + 4.0 * n * largest_mass(j, n - 1.0)) * (v - u) ** 2 / 8.0
        )

    return certified_maximum(lambda p: student_risk(student, p), bound, edges, gap)


def prior_risk(n: int, points: np.ndarray, weights: np.ndarray) -> float:
    """Return the Bayes risk sum_k min_q sum_i w_i b(k; n, p_i) |q - p_i| of a symmetric discrete
    prior, exactly.

    The minimum is at a weighted median of the posterior.
    """
    p = np.concatenate([points, 1.0 - points])
    joint = binomial_law(n, p) * (0.5 * np.concatenate([weights, weights]) / weights.sum())[:, None]
    order = np.argsort(p, kind="stable")
    p, joint = p[order], joint[order]
    share = np.cumsum(joint, axis=0)
    median = p[(share >= 0.5 * share[-1]).argmax(axis=0)]
    return float((joint * np.abs(p[:, None] - median[None, :])).sum())


def solve_game(n: int) -> Game:
    """Return the minimax risk of two labels and n samples, bracketed by a student and a prior, n <=
    LARGEST_SOLVED.

    Exchange: the linear programme over students against finitely many p gives a student and, by
    duality, a prior on those p; the student's worst p are added until the certified worst case
    meets the prior's Bayes risk. Then both are sharpened to rounding, where that narrows the
    bracket.
    """
    from scipy.signal import argrelmax

    grid = 0.5 * np.sin(np.linspace(0.0, 0.5 * np.pi, 200 * (n + 1)))
    points = grid[:: 100 * (n + 1) // (n + 2)]
    student, prior, lower, upper = np.full(n + 1, 0.5), (points, np.ones(len(points))), 0.0, 1.0
    for _ in range(40):
        candidate, weights = _programme(n, points)
        from_below, from_above = (
            prior_risk(n, points, weights),
            student_upper(candidate, 0.1 * EXCHANGE_GAP),
        )
        if from_below > lower:
            lower, prior = from_below, (points, weights)
        if from_above < upper:
            upper, student = from_above, candidate
        if upper - lower <= EXCHANGE_GAP:
            break
        peaks = (
            argrelmax(np.pad(student_risk(candidate, grid), 1, mode="reflect"), mode="clip")[0] - 1
        )
        fine = np.concatenate(
            [np.linspace(grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)], 201) for i in peaks]
        )
        local = student_risk(candidate, fine).reshape(len(peaks), -1).argmax(axis=1)
        points = np.unique(
            np.concatenate([points, fine.reshape(len(peaks), -1)[np.arange(len(peaks)), local]])
        )
    found = Game(lower, upper, student, *prior)
    sharper = _sharpened(n, found)
    return sharper if sharper.upper - sharper.lower < upper - lower else found


def _sharpened(n: int, game: Game) -> Game:
    """Return a game solved nearly, solved to rounding.

    At the solution the student's risk r is level on the prior's points, r(p_i) = t, and flat there
    where they lie inside, r'(p_i) = 0: Newton's method in the free q_k (k < n/2), p_i and t. Each
    q_k lies between points, so that the posterior weighs both sides alike: linear equations for the
    prior's weights. Whatever comes out is a student and a prior, whose bounds are proved as those
    of any.
    """
    free, k = (n + 1) // 2, np.arange(n + 1.0)
    points = _support(n, game)
    inner = np.flatnonzero((points > 0.0) & (points < 0.5))
    student = game.student.copy()
    for _ in range(_NEWTON_STEPS if n else 0):
        law, gap = binomial_law(n, points), student[None, :] - points[:, None]
        p, side, size = points[inner, None], np.sign(gap), np.abs(gap)
        score = k / p - (n - k) / (1.0 - p)
        change = law[inner] * score
        curve = law[inner] * (score**2 - k / p**2 - (n - k) / (1.0 - p) ** 2)
        risk = (law * size).sum(axis=1)
        slope = (change * size[inner] - law[inner] * side[inner]).sum(axis=1)
        bend = (curve * size[inner] - 2.0 * change * side[inner]).sum(axis=1)
        level = np.zeros((len(points), len(inner)))
        level[inner, np.arange(len(inner))] = slope
        jacobian = np.block(
            [
                [_by_swap(law * side, free), level, -np.ones((len(points), 1))],
                [_by_swap(change * side[inner], free), np.diag(bend), np.zeros((len(inner), 1))],
            ]
        )
        off = np.concatenate([risk - risk.mean(), slope])
        step = -np.linalg.lstsq(jacobian, off, rcond=1e-13)[0]
        student[:free] = np.clip(student[:free] + step[:free], 0.0, 0.5)
        student[n + 1 - free :] = 1.0 - student[:free][::-1]
        points[inner] = np.clip(points[inner] + step[free:-1], 1e-12, 0.5)
        if np.abs(step[:-1]).max() <= 2.0**-53:
            break
    balance = _by_swap(binomial_law(n, points) * np.sign(student - points[:, None]), free)
    equations = np.vstack([balance.T, np.ones(len(points))])
    one = np.append(np.zeros(free), 1.0)
    weights = np.maximum(np.linalg.lstsq(equations, one, rcond=1e-14)[0], 0.0)
    student = np.maximum.accumulate(student)
    lower, upper = prior_risk(n, points, weights), student_upper(student, _CERTIFICATE)
    return Game(lower, upper, student, points, weights)


def _support(n: int, game: Game) -> np.ndarray:
    """Return the points of a prior that have weight, those side by side put together."""
    heavy = game.weights > 1e-7 * game.weights.sum()
    points, weights = game.points[heavy], game.weights[heavy]
    apart = np.flatnonzero(np.diff(points) > 0.01 / (n + 1)) + 1
    pairs = zip(np.split(points, apart), np.split(weights, apart), strict=True)
    middle = np.array([np.average(near, weights=weight) for near, weight in pairs])
    middle[middle < 1e-9] = 0.0
    middle[middle > 0.5 - 1e-9] = 0.5
    return middle


def _by_swap(table: np.ndarray, free: int) -> np.ndarray:
    """Return the columns of q_0, q_1, ... below n/2, with those of q_{n-k} = 1 - q_k taken off."""
    return table[:, :free] - table[:, ::-1][:, :free]


def _programme(n: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the minimax student against the points and its dual prior: min t, sum_k b_k(p) e_pk <=
    t, |q - p| <= e.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_array, coo_array, eye_array, kron

    m, size = len(points), n + 1
    copies, errors = kron(np.ones((m, 1)), eye_array(size)), eye_array(m * size)
    rows = np.repeat(np.arange(m), size)
    mean = coo_array(
        (binomial_law(n, points).ravel(), (rows, np.arange(m * size))), shape=(m, m * size)
    )
    target = np.repeat(points, size)
    less = block_array(
        [[mean, None, -np.ones((m, 1))], [-errors, copies, None], [-errors, -copies, None]],
        format="csr",
    )
    swap = coo_array(np.eye(size) + np.eye(size)[::-1])
    equal = block_array([[coo_array((size, m * size)), swap, coo_array((size, 1))]], format="csr")
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        np.append(np.zeros(m * size + size), 1.0),
        A_ub=less,
        b_ub=np.concatenate([np.zeros(m), target, -target]),
        A_eq=equal,
        b_eq=np.ones(size),
        bounds=(0.0, 1.0),
        method="highs",
        options=tight,
    )
    student = np.maximum.accumulate(np.clip(found.x[m * size : -1], 0.0, 1.0))
    return 0.5 * (student + 1.0 - student[::-1]), np.maximum(-found.ineqlin.marginals[:m], 0.0)


def curved_student(n: int, shrinkage: float) -> np.ndarray:
    """Return q_k = 1/2 + y/2 (1 - shrinkage / (1 + y^2/4)), y = 2k/n - 1: full shrinkage at 1/2,
    less at the ends.

    An affine (add-c) rule that shrinks enough at p = 1/2 is biased too much at p = 0; this rule
    closes most of the gap.
    """
    y = 2.0 * np.arange(n + 1) / n - 1.0
    return 0.5 + 0.5 * y * (1.0 - shrinkage / (1.0 + 0.25 * y * y))


def curved_upper(n: int) -> tuple[float, float]:
    """Return the certified worst-case risk of the best curved student on min(n, LARGEST_CURVED)
    samples, and its p.
    """
    return _curved(min(n, LARGEST_CURVED))


@lru_cache(maxsize=4096)
def _curved(used: int) -> tuple[float, float]:
    p = np.unique(np.concatenate([np.linspace(0.0, 0.5, 120), np.linspace(0.0, 4.0 / used, 20)]))
    law = binomial_law(used, p)

    def risks(x: float) -> np.ndarray:
        student = curved_student(used, x / math.sqrt(used))
        return (law * np.abs(student[None, :] - p[:, None])).sum(axis=1)

    best = minimum(lambda x: float(risks(x).max()), 0.6, 1.1, 1e-4)[1]
    at_best = risks(best)
    upper = student_upper(
        curved_student(used, best / math.sqrt(used)), CURVED_GAP * float(at_best.max())
    )
    return upper, float(p[at_best.argmax()])
