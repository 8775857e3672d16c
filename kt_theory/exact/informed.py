"""Exact risks of mixed losses, of greedy and non-target answers, and of students that know labels or inputs apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.empirical import empirical_loss
from kt_theory.students import Student
from kt_theory.teacher import RowClasses, Teacher

EQUAL = 1e-12
"""Rows that differ by no more are equal; mass outside a mask up to this is rounding."""


def mixed_loss(classes: RowClasses, n: np.ndarray, alpha: float) -> np.ndarray:
    """Return alpha times the loss of ce_sgl on visited rows: with q = alpha e + (1-alpha) p, TV(q, p) = alpha TV(e, p).

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    alpha : float

    Returns
    -------
    (N,) array in [0,1].
    """
    return alpha * empirical_loss(classes, n)


def greedy_loss(classes: RowClasses, n: np.ndarray, hedged: bool) -> np.ndarray:
    """Return sum_s rho_s (1 - (1-rho_s)^n) TV(q_s, pi_s) for students told the most probable label and no more.

    TV is 1 - max p for the point mass. The hedged student leaves V = max_j (j-1)(A-1) / (j(A+j-2)) to the other labels.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    hedged : bool

    Returns
    -------
    (N,) array in [0,1].
    """
    weight = classes.rho * classes.multiplicity * greedy_distance(classes.rows, hedged)
    with np.errstate(divide="ignore"):
        log = np.log1p(-np.minimum(classes.rho, 1.0))
    return np.array([-weight @ np.expm1(draws * log) if draws else 0.0 for draws in n])


def greedy_limit(classes: RowClasses, hedged: bool) -> float:
    """Return the floor sum_s rho_s TV(q_s, pi_s), the risk as n -> infinity."""
    return float((classes.rho * classes.multiplicity) @ greedy_distance(classes.rows, hedged))


def greedy_distance(rows: np.ndarray, hedged: bool) -> np.ndarray:
    """Return TV(q_s, pi_s) of each visited row, whose probabilities fall, as `greedy_loss` tells."""
    others: np.ndarray = rows[:, 1:]
    if not hedged or not others.size:
        return others.sum(axis=1)
    labels = rows.shape[1]
    j = np.arange(1.0, labels + 1.0)
    spread = float(((j - 1.0) * (labels - 1.0) / (j * (labels + j - 2.0))).max())
    gap: np.ndarray = np.abs(1.0 - spread - rows[:, 0]) + np.abs(spread / (labels - 1.0) - others).sum(axis=1)
    return 0.5 * gap


def non_target_loss(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s E[row loss of non_target; row visited].

    A row of three or more labels of positive probability is known once two of them were sampled. Before that all mass
    lies on the only one seen: after k visits, with probability p_a^k, it is a and 1 - p_a is lost. Over k,

        rho sum_a (1-p_a) [(1 - rho (1-p_a))^n - (1-rho)^n].

    A row of two labels keeps the frequencies, as `empirical_loss`; a point mass is known at the first visit.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0

    Returns
    -------
    (N,) array in [0,1].
    """
    two = (classes.rows > 0.0).sum(axis=1) == 2
    odds = RowClasses(*(part[two] for part in classes))
    total = empirical_loss(odds, n) if two.any() else np.zeros(len(n))
    rows, hit = classes.rows[~two], np.minimum(classes.rho[~two], 1.0)[:, None]
    rest = 1.0 - rows
    rest[:, 0] = rows[:, 1:].sum(axis=1)  # 1 - p cancels for the largest alone
    share = (classes.rho * classes.multiplicity)[~two, None] * np.where(rows > 0.0, rest, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        stays = np.log1p(-hit * np.where(rows > 0.0, rest, 0.0))
        ratio = np.log1p(-np.minimum(hit * rows / (1.0 - hit * rest), 1.0))
    ratio = np.where(rows > 0.0, ratio, 0.0)
    return total + np.array(
        [-(share * np.exp(draws * stays) * np.expm1(draws * ratio)).sum() if draws else 0.0 for draws in n]
    )


def pooled_teacher(teacher: Teacher, student: Student, group: np.ndarray) -> Teacher:
    """Return the teacher with one input for each group, of the probability of all of them.

    Raises
    ------
    NoExactRisk
        If rows of one group differ where rho is positive.
    """
    law = np.bincount(group, weights=teacher.rho)
    first = np.zeros(len(law), dtype=np.int64)
    asked = np.flatnonzero(teacher.rho > 0.0)[::-1]
    first[group[asked]] = asked
    apart = np.abs(teacher.pi - teacher.pi[first[group]]).max(axis=1) > EQUAL
    wrong = np.flatnonzero(apart & (teacher.rho > 0.0))
    if len(wrong):
        raise NoExactRisk(
            f"student {student.name!r}: the rows of inputs {first[group[wrong[0]]]} and {wrong[0]}, of one group, "
            "differ: use simulate(teacher, student, n)"
        )
    return Teacher(teacher.pi[first], law, normalise=True)


def masked_classes(teacher: Teacher, student: Student, mask: np.ndarray) -> list[RowClasses]:
    """Return the row classes of the possible labels, for each number of them.

    Raises
    ------
    NoExactRisk
        If a row has mass outside the mask where rho is positive.
    """
    possible = np.broadcast_to(mask, teacher.pi.shape)
    outside = np.where(possible, 0.0, teacher.pi).sum(axis=1)
    wrong = np.flatnonzero((outside > EQUAL) & (teacher.rho > 0.0))
    if len(wrong):
        raise NoExactRisk(
            f"student {student.name!r}: input {wrong[0]} has mass {outside[wrong[0]]:.3g} outside the mask: "
            "use simulate(teacher, student, n)"
        )
    sizes = possible.sum(axis=1)
    found = []
    for size in np.unique(sizes):
        at = np.flatnonzero(sizes == size)
        rows = -np.sort(-teacher.pi[at][possible[at]].reshape(len(at), size), axis=1)
        found.append(RowClasses(rows, teacher.rho[at], np.ones(len(at), dtype=np.int64)))
    return found


def masked_risk(teacher: Teacher, student: Student, sizes: np.ndarray, exact: Any, unvisited: Any) -> np.ndarray:
    """Return the risk of a masked student, that of its base on the possible labels alone, (N,).

    Parameters
    ----------
    teacher : Teacher
    student : Student
    sizes : (N,) array, >= 0; inf for the limit
    exact, unvisited
        `EXACT` and `unvisited_risk` of `kt_theory.students.risk`.
    """
    _, base, mask = student.exact
    kind, *parameters = base.exact
    if kind not in exact:
        raise NoExactRisk(f"student {student.name!r} has no exact risk: use simulate(teacher, student, n)")
    loss, limit = exact[kind]
    risk, finite = np.zeros(len(sizes)), np.isfinite(sizes)
    for classes in masked_classes(teacher, student, mask):
        risk[finite] += unvisited(classes, sizes[finite]) + loss(classes, sizes[finite], *parameters)
        risk[~finite] += limit(classes, *parameters) if not finite.all() else 0.0
    return risk
