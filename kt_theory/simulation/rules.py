"""From students to what the kernels call: which of them has a closed form, and the compiled rules of all the others."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from kt_theory.access import Access
from kt_theory.kernels.generic import Rules
from kt_theory.kernels.losses import CE_FUL, CE_PTL, CE_SGL, GENERIC, SEL_PTL
from kt_theory.kernels.nested import let_rules_call
from kt_theory.kernels.rules import compile_rule
from kt_theory.students import STUDENTS, Student, TableRule

_CLOSED_FORMS = {"ce_sgl": CE_SGL, "ce_ptl": CE_PTL, "sel_ptl": SEL_PTL, "ce_ful": CE_FUL}


class RowRuleError(ValueError):
    """A student's rule does not compile, or wrote something that is not a distribution."""


def kernel_students(students: list[Student], pi: np.ndarray) -> tuple[np.ndarray, Rules]:
    """Return (kinds, rules): which closed form serves each student, and the compiled rules of all the others.

    The rules hold a copy of the teacher's table pi (S, A), and one more for each channel and each prior among them.
    """
    closed, generic = _closed_forms(), _generic(students)
    kinds = [GENERIC + generic.index(s) if s in generic else closed[s.rule, s.access] for s in students]
    for student in generic:
        student.refuse_other_sizes(pi.shape)
    levels = [student.access for student in generic]
    for level in levels:
        level.refuse_impossible(pi)
    starts, balls = _balls(levels, len(pi))
    tables, shown, prior = _tables(generic, pi)
    rules = Rules(
        rule_addresses(students, checked=False),
        np.array([pools(student) for student in generic], dtype=np.bool_),
        np.array([level.sampled for level in levels], dtype=np.bool_),
        np.array([level.greedy for level in levels], dtype=np.bool_),
        np.array([level.non_target for level in levels], dtype=np.bool_),
        np.array([level.top for level in levels], dtype=np.int64),
        np.array([level.noise for level in levels], dtype=np.float64),
        np.array([level.everywhere for level in levels], dtype=np.bool_),
        starts,
        balls,
        tables,
        shown,
        prior,
    )
    return np.array(kinds, dtype=np.int64), rules


def rule_addresses(students: list[Student], *, checked: bool) -> np.ndarray:
    """Return the addresses of the compiled rules of those students that have no closed form."""
    return np.array([compiled_rule(student, checked).address for student in _generic(students)], dtype=np.int64)


def pools(student: Student) -> bool:
    """Return whether the student's rule is a table rule."""
    return isinstance(student.rule, TableRule)


def rule_kind(student: Student) -> str:
    """Return what to call the student's rule in messages."""
    return "table rule" if pools(student) else "row rule"


def _closed_forms() -> dict[tuple[Any, Access], int]:
    return {(STUDENTS[name].rule, STUDENTS[name].access): kind for name, kind in _CLOSED_FORMS.items()}


def _generic(students: list[Student]) -> list[Student]:
    closed = _closed_forms()
    return [student for student in students if (student.rule, student.access) not in closed]


def _balls(levels: list[Access], inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where those inputs start whose visit reveals each row, and all of them: none where any visit does."""
    starts, balls, offset = [], [], 0
    for level in levels:
        if level.everywhere:
            starts.append(np.full(inputs + 1, offset, dtype=np.int64))
            continue
        ball = level.balls(inputs)
        starts.append(ball.indptr.astype(np.int64) + offset)
        balls.append(ball.indices.astype(np.int64))
        offset += len(ball.indices)
    table = np.array(starts, dtype=np.int64).reshape(len(levels), inputs + 1)
    return table, np.concatenate([*balls, np.zeros(0, dtype=np.int64)])


def _tables(generic: list[Student], pi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tables that rules read, flat, and where what is shown to each student and its prior start."""
    if not generic:
        return np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    channels = {student.access.distortion: student.access for student in generic if student.access.distortion is not None}
    priors = [student for student in generic if student.prior is not None]
    tables = [pi, *(level.shown(pi) for level in channels.values()), *(one.before(pi.shape) for one in priors)]
    shown = [[None, *channels].index(student.access.distortion) for student in generic]
    prior = [1 + len(channels) + priors.index(one) if one in priors else -1 for one in generic]
    at_shown, at_prior = np.array([shown, prior], dtype=np.int64) * pi.size
    return np.array(tables, dtype=np.float64).reshape(-1), at_shown, at_prior


def compiled_rule(student: Student, checked: bool) -> Any:
    """Return the student's rule as the kernels call it, with its `address`; `checked`: against the arrays' bounds."""
    for cell in student.rule.py_func.__closure__ or ():
        if isinstance(cell.cell_contents, FunctionType):
            let_rules_call(cell.cell_contents)
    try:
        return compile_rule(student.rule.py_func, pools(student), checked)
    except (NumbaError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "nopython" not in line]
        reason = lines[0] if lines else type(error).__name__
        raise RowRuleError(f"student {student.name!r}: its {rule_kind(student)} does not compile: {reason}") from error
