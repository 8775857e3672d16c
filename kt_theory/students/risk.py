"""The exact risk of a student on a given teacher: a sum over rows and visit counts, without randomness."""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.queries.laws import QueryLaw, as_queries, is_default
from kt_theory.students.named import as_students
from kt_theory.teacher import Teacher
from kt_theory.validation import whole_number


def exact_risk(
    teacher: Teacher, student: Any, n: Any, *, queries: QueryLaw | None = None
) -> float | np.ndarray:
    """Return the exact risk E TV(student, pi | rho) after n samples, to about 13 digits.

    The risk is additive over the inputs, and an input sees only its own visit count k ~ Bin(n, rho_s):

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s) + sum_{k>=1} Bin(k; n, rho_s) E(row loss after k visits)].

    Equal rows of equal rho cost as much as one, whatever their number (`Teacher.classes`).

    Parameters
    ----------
    teacher : Teacher
        From a dense table or from row classes; grad_ful needs a dense table.
    student : str or Student
        ce_sgl, ce_ful, grad_ful, add_c (laplace, krichevsky_trofimov), logits, of complete rows tempered, rounded and
        quantised, argmax, argmax_hedged, non_target, hinton at temperature 1: any teacher. sel_ptl and top_k: rows of
        few distinct probabilities, or of up to about 20 labels. ce_ptl: rows of few distinct probabilities. jacobian:
        softmax-affine teachers. masked and grouped: teachers that agree with the mask or the groups.
    n : int or array_like of int, up to 2^53, or inf
        Number of samples; inf gives the limit, which is 0 but for ce_ptl and for answers that hide something
        for good.
    queries : QueryLaw, optional
        How inputs are chosen, from `kt_theory.queries`; iid from rho if omitted. iid and adaptive(weights): every
        student above. chain and episodes: ce_ful and grad_ful at any size, the others where a table over visits and
        inputs fits. two_stage: the risk of ce_ful and grad_ful once the pilot asks every input, which is 0. Students
        with a prior: iid from rho alone.

    Returns
    -------
    float, or an array of the shape of n.

    Raises
    ------
    NoExactRisk
        If the student has no exact risk, or none is to be had in reasonable time; decided before any long computation.
    ValueError
        If n is not a whole number or the student is unknown.
    """
    if not isinstance(teacher, Teacher):
        raise ValueError(f"teacher is a {type(teacher).__name__}: must be a Teacher")
    chosen, *others = as_students(student)
    if others:
        raise ValueError(f"student names {1 + len(others)} students: give one at a time")
    if not chosen.exact:
        raise NoExactRisk(
            f"student {chosen.name!r} has no exact risk: use simulate(teacher, student, n)"
        )
    chosen.refuse_other_sizes((teacher.inputs, teacher.labels))
    sizes = _sizes(n)
    if queries is None or is_default(as_queries(queries, teacher.inputs)):
        risk = chosen.exact.risk(teacher, sizes)
    else:
        risk = chosen.exact.under(teacher, sizes, queries)
    return float(risk[0]) if np.ndim(n) == 0 else risk.reshape(np.shape(n))


def _sizes(n: Any) -> np.ndarray:
    """Return n as a flat float64 array of whole numbers in [0, 2^53], or inf."""
    values = list(np.ravel(np.asarray(n, dtype=object)))
    if not values:
        raise ValueError("n = []: give at least one number of samples")
    infinite = [isinstance(value, (float, np.floating)) and value == np.inf for value in values]
    return np.array(
        [
            np.inf if inf else float(whole_number(v, "n"))
            for v, inf in zip(values, infinite, strict=True)
        ]
    )
