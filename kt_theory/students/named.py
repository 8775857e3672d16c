"""Students by name: every one that needs no parameter, and what those that do are called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kt_theory.students.greedy import GREEDY, HEDGED
from kt_theory.students.non_target import NON_TARGET
from kt_theory.students.paper import GOOD_TURING, KRICHEVSKY_TROFIMOV, LAPLACE, STUDENTS
from kt_theory.students.student import Student
from kt_theory.validation import shown, unknown_name

NAMED: dict[str, Student] = {
    **STUDENTS,
    **{
        student.name: student
        for student in (LAPLACE, KRICHEVSKY_TROFIMOV, GOOD_TURING, GREEDY, HEDGED, NON_TARGET)
    },
}
"""Every student that needs no parameter, by name: the paper's four and those that people compare
with.
"""


def as_students(students: Any) -> list[Student]:
    """Return `students`, one or several names or `Student` objects, as a list."""
    if isinstance(students, (str, Student)):
        students = [students]
    elif isinstance(students, Mapping):
        students = students.values()
    elif not isinstance(students, Iterable) or getattr(students, "shape", None) == ():
        raise ValueError(
            f"students = {shown(students)}: must be a name, a Student, or several of them"
        )
    result = [_as_student(student) for student in students]
    if not result:
        raise ValueError(f"students = []: give at least one of {', '.join(STUDENTS)}, or a Student")
    names = [student.name for student in result]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(
            f"students: {min(twice)!r} stands there twice; names tell the rows of the result apart"
        )
    return result


_NEED_PARAMETERS = {
    "grad_ful": "grad_ful(graph, hops=1)",
    "top_k": "top_k(k)",
    "top_k_only": "top_k(k, sampled=False)",
    "add_c": "add_c(c)",
    "tempered": "tempered(tau)",
    "tempered_mle": "tempered_mle(tau)",
    "rounded": "rounded(step)",
    "quantised": "quantised(bits)",
    "noisy": "noisy(sigma)",
    "logits": "logits()",
    "jacobian": "jacobian(features)",
    "affine_ful": "affine_ful(features)",
    "with_prior": "with_prior(access, table)",
    "shrink": "shrink(table, weight)",
    "hinton": "hinton(alpha, temperature)",
    "masked": "masked(student, mask)",
    "grouped": "grouped(student, groups)",
    "features": "features(features)",
    "relations": "relations(distances)",
}


def one_student(student: Any) -> Student:
    """Return `student`, a name or a `Student`."""
    chosen, *others = as_students(student)
    if others:
        raise ValueError(f"student names {1 + len(others)} students: give one at a time")
    return chosen


def _as_student(student: Any) -> Student:
    if isinstance(student, Student):
        return student
    if not isinstance(student, str):
        raise ValueError(
            f"student {shown(student)}: must be a name or a Student; wrap a rule in Student(name, "
            "access, rule)"
        )
    if student.split("(")[0] in _NEED_PARAMETERS:
        call = _NEED_PARAMETERS[student.split("(")[0]]
        raise ValueError(
            f"student {shown(student)} needs a parameter: give kt_theory.students.{call}"
        )
    if student not in NAMED:
        raise unknown_name("student", student, NAMED)
    return NAMED[student]
