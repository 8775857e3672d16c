"""Students that start from a table of their own, such as a pre-trained one, instead of Uniform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import HARD, Access, as_access
from kt_theory.exact.informed import WithPrior
from kt_theory.exact.risk import RowRisk
from kt_theory.exact.settled import WholeRows
from kt_theory.exact.smoothed import Shrunk
from kt_theory.students.greedy import GREEDY
from kt_theory.students.named import NAMED
from kt_theory.students.paper import CE_FUL, CE_SGL, SEL_PTL
from kt_theory.students.rules import (
    RowRule,
    TableRule,
    frequencies,
    reweighted_frequencies,
    share_the_rest,
)
from kt_theory.students.student import Student
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import as_floats, distributions


def _frequencies_or_prior(counts, revealed, out):
    visits = counts.sum()
    if visits > 0:
        np.divide(counts, visits, out)


def _reweighted_or_prior(counts, revealed, out):
    total = 0.0
    for a in range(counts.size):
        total += counts[a] * revealed[a] if counts[a] > 0 else 0.0
    if total > 0.0:
        for a in range(counts.size):
            out[a] = counts[a] * revealed[a] / total if counts[a] > 0 else 0.0


def _share_by_prior(counts, revealed, out):
    known_mass = 0.0
    prior_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            hidden += 1
            prior_mass += out[a]
        else:
            known_mass += revealed[a]
    left = 1.0 - known_mass
    if left <= counts.size * 2.0**-52:
        left = 0.0
    for a in range(counts.size):
        if not np.isnan(revealed[a]):
            out[a] = revealed[a]
        elif prior_mass > 0.0:
            out[a] *= left / prior_mass
        else:
            out[a] = left / hidden


_WITH_PRIOR = {
    frequencies: _frequencies_or_prior,
    reweighted_frequencies: _reweighted_or_prior,
    share_the_rest: _share_by_prior,
}
_OF_ACCESS = (CE_SGL, SEL_PTL, CE_FUL, GREEDY)


def with_prior(student: Student | Access | str, table: ArrayLike) -> Student:
    """Return a student that falls back on `table` instead of Uniform.

    An unvisited row is table[s]. On a visited row the hard-label student ce_sgl and ce_ptl are as
    they were; students that share the hidden mass (sel_ptl, top_k, grad_ful, ce_ful) share it in
    proportion to the table, or equally if the table has no mass there. The risk of an unvisited row
    becomes TV(table[s], pi_s).

    Parameters
    ----------
    student : Student, Access or str
        ce_sgl, ce_ptl, sel_ptl, ce_ful, top_k(k), grad_ful(graph) or argmax; or an access level
        that shows labels alone, or probabilities as they are, which stands for ce_sgl, sel_ptl,
        ce_ful, argmax or the sharing rule.
    table : (S, A) array_like
        Rows sum to 1.
    """
    base = _based_on(student)
    prior = distributions(table, "table", 2)
    rule = _WITH_PRIOR.get(base.rule.function)
    if rule is None or base.prior is not None:
        raise ValueError(
            f"student {base.name!r}: a prior needs one of ce_sgl, ce_ptl, sel_ptl, ce_ful, "
            "top_k(k), grad_ful(graph), "
            "argmax; for others write a rule that reads `out`, and give Student(..., prior=table)"
        )
    name = f"{base.name} with prior"
    # Hidden mass that is shared by the prior has no exact risk.
    exact = None
    if isinstance(base.exact, WholeRows if rule is _share_by_prior else RowRisk):
        exact = WithPrior(base.exact, prior, name)
    reference = f"{base.reference}; falls back on a prior"
    return Student(name, base.access, RowRule(rule), reference, exact, prior)


def _based_on(student: Student | Access | str) -> Student:
    if isinstance(student, Student):
        return student
    if isinstance(student, str) and student in NAMED:
        return NAMED[student]
    level = as_access(student)
    if not level.unaltered:
        raise ValueError(
            f"access {level.name!r}: must show probabilities as they are, or labels alone, for a "
            "student with a prior"
        )
    sharing = Student(level.name, level, RowRule(share_the_rest), "hidden mass shared")
    return next((base for base in _OF_ACCESS if base.access == level), sharing)


def _towards_prior(counts, revealed, out, weights):
    inputs, labels = counts.shape
    for s in range(inputs):
        visits = counts[s].sum()
        if visits > 0 and weights[s] < np.inf:
            for a in range(labels):
                out[s, a] = (counts[s, a] + weights[s] * out[s, a]) / (visits + weights[s])


def shrink(table: ArrayLike, weight: Any) -> Student:
    """Return the hard-label student that shrinks towards a table: (n_sa + weight pi_0(a|s)) / (n_s
    + weight).

    pi_0 is `table`: a prior of `weight` pairs. Its mean squared error after k visits is

        E |q - p|^2 = [k (1 - |p|^2) + weight^2 |pi_0 - p|^2] / (k + weight)^2,

    least, for every k, at weight = (1 - |p|^2) / |pi_0 - p|^2: `best_shrinkage`. Unvisited rows are
    pi_0. The uniform table of weight c A is `add_c(c)`.

    Parameters
    ----------
    table : (S, A) array_like
        Rows sum to 1.
    weight : float or (S,) array_like
        At least 0; inf keeps the table. One for all inputs, or one each.
    """
    prior = distributions(table, "table", 2)
    given = as_floats(weight, "weight")
    if given.ndim > 1 or (given.ndim == 1 and len(given) != len(prior)):
        raise ValueError(
            f"weight has shape {given.shape}: must be a number, or one for each of the "
            f"{len(prior)} inputs"
        )
    if not (given >= 0.0).all():
        raise ValueError(f"weight = {float(given.min()):g}: must be at least 0")
    weights = np.broadcast_to(given, len(prior)).copy()
    name = f"shrink({float(given):g})" if given.ndim == 0 else "shrink"
    reference = "James and Stein (1961): shrinkage towards a table"
    exact = Shrunk(prior, weights, name)
    return Student(name, HARD, TableRule(_towards_prior, weights), reference, exact, prior)


def best_shrinkage(teacher: Teacher, table: ArrayLike) -> np.ndarray:
    """Return the weight of `shrink` with the least mean squared error at each input: (1 - |p|^2) /
    |pi_0 - p|^2, (S,).

    It does not depend on the number of visits. inf where the table is right, 0 where the teacher is
    a point mass and the table is wrong.

    Parameters
    ----------
    teacher : Teacher
    table : (S, A) array_like
        Rows sum to 1.
    """
    require_teacher(teacher)
    prior = distributions(table, "table", 2)
    if prior.shape != teacher.pi.shape:
        raise ValueError(
            f"table has shape {prior.shape}: must be the teacher's, {teacher.pi.shape}"
        )
    spread = 1.0 - (teacher.pi**2).sum(axis=1)
    distance = ((prior - teacher.pi) ** 2).sum(axis=1)
    return np.where(
        distance > 0.0, np.maximum(spread, 0.0) / np.where(distance > 0.0, distance, 1.0), np.inf
    )
