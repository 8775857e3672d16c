"""The certified minimax interval for hard labels: what no student can beat, and what an explicit
student never exceeds.

Everything is proved up to rounding, which is at most `ROUNDING` relative and part of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kt_theory.limits.hard.add_c import (
    LARGEST_RATIO,
    best_constant,
    coordinate_risk,
    frequency_risk,
    row_upper,
)
from kt_theory.limits.hard.bent import proved_upper
from kt_theory.limits.hard.few_labels import LARGEST_FEW, best_relieved, relieved_upper
from kt_theory.limits.hard.games import GAME_GAP, LARGEST_SOLVED, curved_upper, solve_game
from kt_theory.limits.hard.inputs import inputs_lower, inputs_upper
from kt_theory.limits.hard.priors import prior_lower
from kt_theory.limits.limit import Limit
from kt_theory.teacher import Teacher
from kt_theory.validation import shown, whole_number

LARGEST_LABELS = 10**6
"""Largest number of labels: the returned teacher holds a row of them."""

ROUNDING = 1e-9
"""Relative allowance for rounding; the largest part is the error 1e-16 sqrt(n) of a binomial mass
at n = 10^12.
"""

UNIFORM_TIE = 1e-3
"""Relative loss of risk accepted for a uniform row instead of the worst two-level row."""


def hard_limit(inputs: Any, labels: Any, n: Any) -> Limit:
    """Return the interval that holds the minimax risk of hard labels, over all teachers and input
    laws.

    One input: from below the Bayes risk of symmetric Dirichlet priors, A/2 E_k[2 x^a (1-x)^b / (N
    B(a, b))] at posterior quantiles x; from above A/2 times the concave envelope at 1/A of the
    add-c coordinate risk E|(X+c)/(n+cA) - p|, maximised by branch and bound. Three to nine labels:
    also a student that is add-c with less shrinkage at the corners, its maximum taken for each
    number of small labels apart. At the sizes of a table, and a little beside them: a student whose
    shrinkage bends with the count, proved at length (docs/proofs-hard.md). Two labels: the game
    itself for n <= 20, solved to 1e-7 by a student and a prior, and a student with curved shrinkage
    beyond. Several inputs: rho uniform with independent Dirichlet rows from below; from above S
    times the concave envelope at 1/S of x E G(k), k ~ Bin(n, x), G(k) the row bound after k visits.

    Large sizes cost no O(n) loop: the sums run over windows of about (n/A)^(3/4) counts, and where
    a window would exceed 120,000 counts (n/A of about 10^5) the closed-form Bayes risk answers; the
    branch and bound serves up to n = 10^6 A, and sqrt((A - 1 + 2A^2/n)/(2 pi n)) of the
    maximum-likelihood student beyond.

    Parameters
    ----------
    inputs : int
        S, 1 to 2^53.
    labels : int
        A, 1 to 10^6.
    n : int
        Samples, 0 to 2^53.

    Returns
    -------
    Limit: `exact` is True for n = 0, for one label, and for the solved games, where upper - lower
    is at most 1e-7. `teacher` has rho uniform and equal rows: the row with at most two distinct
    probabilities on which the better of two students is worst, the frequencies and add-c after n/S
    visits (one input and up to nine labels: the student of `upper`), or the uniform row where that
    is within 0.1 % as bad. For a solved game it is the heaviest point of the prior, on which the
    minimax student attains the value; for n = 0 it is a point mass. `prior` is the law that proves
    `lower`.

    Raises
    ------
    ValueError
        If a size is no whole number in its range.

    References
    ----------
    Kamath, Orlitsky, Pichapati and Suresh (2015), On learning distributions from their samples, for
    the asymptotic value sqrt((A-1)/(2 pi n)) of one input; section 3 of Zhao and Zhu (2023) for the
    rate sqrt(SA/n).
    """
    inputs, labels, n = _sizes(inputs, labels, n)
    if labels == 1:
        teacher = _teacher(np.ones(1), inputs)
        return Limit(
            0.0, 0.0, True, teacher, "one label: nothing to learn", "hard", inputs, labels, n
        )
    if n == 0:
        value, point_mass = 1.0 - 1.0 / labels, np.append(1.0, np.zeros(labels - 1))
        reference = "no samples: the uniform student against a random point mass"
        return Limit(
            value,
            value,
            True,
            _teacher(point_mass, inputs),
            reference,
            "hard",
            inputs,
            labels,
            n,
            prior="point masses, the label of each drawn at random",
        )
    if inputs == 1 and labels == 2 and n <= LARGEST_SOLVED:
        return _solved(n)
    if inputs == 1:
        lower, (upper, row) = prior_lower(labels, n), _one_input(labels, n)
        reference = "Dirichlet prior below, envelope of shrinkage students above; not known to meet"
        prior = "a row drawn from a symmetric Dirichlet law"
    else:
        lower, upper = inputs_lower(inputs, labels, n), inputs_upper(inputs, labels, n)
        visits = max(1, round(n / inputs))
        row = _worst_row(labels, visits, _add_c_risk(labels, visits))
        reference = "independent Dirichlet rows below, add-c(visits) rows above; not known to meet"
        prior = "independent rows drawn from a symmetric Dirichlet law, rho uniform"
    # Point-mass rows under uniform rho: exact for soft labels if S > n, and the limit alpha -> 0 of
    # the Dirichlet rows.
    unseen = (1.0 - 1.0 / labels) * math.exp(n * math.log1p(-1.0 / inputs)) if inputs > 1 else 0.0
    teacher = _teacher(row, inputs)
    lower, upper = lower * (1.0 - ROUNDING), min(upper * (1.0 + ROUNDING), 1.0 - 1.0 / labels)
    if unseen > lower:
        lower, prior = unseen, "point masses, the label of each drawn at random, rho uniform"
    size = inputs, labels, n
    return Limit(lower, upper, False, teacher, reference, "hard", *size, prior=prior)


def best_add_c(labels: Any, n: Any) -> float:
    """Return the c of the student (n_a + c)/(n + cA) whose certified worst-case risk for one input
    is least.

    Parameters
    ----------
    labels : int
        A, 1 to 10^6.
    n : int
        Samples of the row, 0 to 2^53. Above 10^6 A the c of n = 10^6 A is scaled by sqrt(n).

    Returns
    -------
    c > 0, about 0.4 sqrt(n/A); 1 for one label or n = 0, where every c gives the same student.
    """
    _, labels, n = _sizes(1, labels, n)
    if labels == 1 or n == 0:
        return 1.0
    used = min(n, LARGEST_RATIO * labels)
    return best_constant(labels, used) * (n / used) ** 0.5


def _sizes(inputs: Any, labels: Any, n: Any) -> tuple[int, int, int]:
    count = whole_number(labels, "labels", low=1)
    if count > LARGEST_LABELS:
        raise ValueError(
            f"labels = {shown(labels)}: must be at most {LARGEST_LABELS}, "
            f"as the teacher returned holds "
            "a row"
        )
    return whole_number(inputs, "inputs", low=1), count, whole_number(n, "n")


def _solved(n: int) -> Limit:
    game = solve_game(n)
    heaviest = float(game.points[game.weights.argmax()])
    teacher = _teacher(np.array([1.0 - heaviest, heaviest]), 1)
    reference = (
        "two-label game solved by linear programming and Newton's method: a student and a prior "
        "that meet to rounding"
    )
    exact = game.upper - game.lower <= GAME_GAP
    prior = f"one of {len(game.points)} rows (1-p, p), drawn with the weights of the game"
    return Limit(game.lower, game.upper, exact, teacher, reference, "hard", 1, 2, n, prior=prior)


def _teacher(row: np.ndarray, inputs: int) -> Teacher:
    if inputs == 1:
        return Teacher(row[None, :])
    return Teacher.from_classes(row[None, :], [1.0 / inputs], [float(inputs)])


def _one_input(labels: int, n: int) -> tuple[float, np.ndarray]:
    """Return the least upper bound among the students for one input, and the worst row of the
    student it belongs to.
    """
    upper = min(row_upper(labels, n), proved_upper(labels, n))
    if labels == 2:
        curved, p = curved_upper(n)
        if curved < upper:
            return curved, np.array([1.0 - p, p])
    elif labels <= LARGEST_FEW:
        student = best_relieved(labels, n)
        relieved = relieved_upper(student)
        if relieved < upper:
            return relieved, _worst_row(labels, n, student.risk)
    return upper, _worst_row(labels, n, _add_c_risk(labels, n))


def _add_c_risk(labels: int, n: int) -> Callable[[np.ndarray], np.ndarray]:
    used = min(n, LARGEST_RATIO * labels)
    c = best_constant(labels, used)
    return lambda p: coordinate_risk(p, labels, used, c)


def _worst_row(labels: int, n: int, label_risk: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the row of at most two distinct probabilities, m times x and the rest equal, on which
    the better of two students is worst: the one of `label_risk`, and the frequencies, which lose
    nothing at a point mass.
    """
    used = min(n, LARGEST_RATIO * labels)

    def better(m: np.ndarray, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        others = labels - m
        risks = [m * each(x) + others * each(rest) for each in (label_risk, frequencies)]
        return np.asarray(np.minimum(*risks))

    def frequencies(p: np.ndarray) -> np.ndarray:
        return frequency_risk(p, used)

    m = np.unique(np.floor(np.geomspace(1.0, max(labels - 1.0, 1.0), 40)))[:, None]
    low, high = np.zeros_like(m), 1.0 / m
    for _ in range(4):
        x = low + (high - low) * np.linspace(0.0, 1.0, 65)
        rest = np.maximum(1.0 - m * x, 0.0) / (labels - m)
        risk = better(m, x, rest)
        at = risk.argmax(axis=1)[:, None]
        step = (high - low) / 64.0
        best = np.take_along_axis(x, at, axis=1)
        low, high = np.maximum(best - 2.0 * step, 0.0), np.minimum(best + 2.0 * step, 1.0 / m)
    top = int(risk.max(axis=1).argmax())
    equal = np.array([1.0 / labels])
    uniform = better(np.array([labels]), equal, equal)[0]
    if uniform >= (1.0 - UNIFORM_TIE) * risk.max():
        return np.full(labels, 1.0 / labels)
    count, value = int(m[top, 0]), float(best[top, 0])
    row = np.full(labels, max(1.0 - count * value, 0.0) / (labels - count))
    row[:count] = value
    return row / row.sum()
