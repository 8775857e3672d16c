"""The exact risk of a student on a given teacher: a sum over rows and visit counts, without
randomness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import ExactRisk
from kt_theory.losses import ACCEPTANCE, LOSSES, TV, Loss, as_loss
from kt_theory.queries.laws import QueryLaw, as_queries, is_default
from kt_theory.students.named import one_student
from kt_theory.students.student import Student
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import as_given, sample_sizes


@overload
def exact_risk(
    teacher: Teacher,
    student: str | Student,
    n: float | np.number,
    *,
    queries: QueryLaw | None = None,
    loss: str | Loss = "tv",
) -> float: ...


@overload
def exact_risk(
    teacher: Teacher,
    student: str | Student,
    n: Sequence[float] | np.ndarray,
    *,
    queries: QueryLaw | None = None,
    loss: str | Loss = "tv",
) -> np.ndarray: ...


def exact_risk(
    teacher: Teacher,
    student: str | Student,
    n: Any,
    *,
    queries: QueryLaw | None = None,
    loss: str | Loss = "tv",
) -> float | np.ndarray:
    """Return the exact risk after n samples, E TV(student, pi | rho) or the mean of another loss,
    to about 13 digits.

    Labels and inputs of probability 10^-15 beside one of nearly 1 keep them, for what is left of 1
    is summed from the others. Of sel_ptl and top_k an error of 10^-26 may be left, where the loss
    is as rare as that.

    The risk is additive over the inputs, and an input sees only its own visit count k ~ Bin(n,
    rho_s):

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s)
                            + sum_{k>=1} Bin(k; n, rho_s) E(row loss after k visits)].

    Equal rows of equal rho cost as much as one, whatever their number (`Teacher.classes`).

    Parameters
    ----------
    teacher : Teacher
        From a dense table or from row classes; grad_ful needs a dense table.
    student : str or Student
        ce_sgl, ce_ful, grad_ful, add_c (laplace, krichevsky_trofimov), logits, of complete rows
        tempered, rounded and quantised, argmax, argmax_hedged, non_target, hinton at temperature 1:
        any teacher. sel_ptl and top_k: rows of few distinct probabilities, or of up to about 20
        labels. ce_ptl: rows of few distinct probabilities. jacobian: softmax-affine teachers.
        masked and grouped: teachers that agree with the mask or the groups.
    n : int or array_like of int, up to 2^53, or inf
        Number of samples; inf gives the limit, which is 0 but for ce_ptl and for answers that hide
        something for good.
    queries : QueryLaw, optional
        How inputs are chosen, from `kt_theory.queries`; iid from rho if omitted. iid and
        adaptive(weights): every student above. chain and episodes: ce_ful and grad_ful at any size,
        the others where a table over visits and inputs fits. two_stage: the risk of ce_ful and
        grad_ful once the pilot asks every input, which is 0. Students with a prior: iid from rho
        alone.
    loss : str or Loss
        "tv", "acceptance" (1 - tv): every student above. "l2", "chi2", "kl", "reverse_kl",
        "hellinger2", "js": ce_sgl, add_c, ce_ful, grad_ful, sel_ptl and top_k, of complete rows
        tempered, rounded and quantised; these masked or grouped. A `row_loss` of one's own: ce_ful
        and grad_ful. The risk is inf where a transfer set of positive probability, however small,
        costs infinitely much: kl and chi2 of ce_sgl at every n unless rows are point masses,
        reverse_kl of add_c on rows with zeros. At n = inf it is that of what the student tends to.

    Returns
    -------
    float, or an array of the shape of n.

    Raises
    ------
    NoExactRisk
        If the student has no exact risk, or none is to be had in reasonable time; decided before
        any long computation.
    ValueError
        If n is not a whole number or the student is unknown.
    """
    require_teacher(teacher)
    chosen = one_student(student)
    measure = as_loss(loss)
    exact = exact_in(chosen, TV if measure == ACCEPTANCE else measure)
    chosen.refuse_other_sizes((teacher.inputs, teacher.labels))
    sizes = np.array(sample_sizes(n, endless=True), dtype=np.float64)
    if queries is None or is_default(as_queries(queries, teacher.inputs)):
        risk = exact.risk(teacher, sizes)
    else:
        risk = exact.under(teacher, sizes, queries)
    return as_given(1.0 - risk if measure == ACCEPTANCE else risk, n)


def exact_in(student: Student, loss: Loss) -> ExactRisk:
    """Return a student's exact risk in a loss.

    Raises
    ------
    NoExactRisk
        If it has none.
    """
    if not student.exact:
        raise NoExactRisk(
            f"student {student.name!r} has no exact risk: use simulate(teacher, student, n)"
        )
    found = student.exact if loss == TV else student.exact.in_loss(loss)
    if found is None:
        raise NoExactRisk(
            f"student {student.name!r} has no exact risk in loss {loss.name!r}: use "
            f"simulate(teacher, student, n, loss={_given(loss)})"
        )
    return found


def _given(loss: Loss) -> str:
    return repr(loss.name) if loss.name in LOSSES else loss.name
