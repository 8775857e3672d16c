"""From students and losses to what the kernels call: which of them has a closed form, the compiled
rules of all the others, and the losses that are taken of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from kt_theory.access import Access, label_ranks
from kt_theory.access.channel import AsIs
from kt_theory.kernels import divergences
from kt_theory.kernels.binomial import conditional_shares
from kt_theory.kernels.closed_forms import CLOSED
from kt_theory.kernels.generic import Measures, Rules
from kt_theory.kernels.losses import CE_FUL, CE_PTL, CE_SGL, FORMS, GENERIC, SEL_PTL
from kt_theory.kernels.nested import let_rules_call
from kt_theory.kernels.rules import compile_loss, compile_rule
from kt_theory.losses import TV, Loss, RowLoss
from kt_theory.students import STUDENTS, Student, TableRule

_KINDS = {"ce_sgl": CE_SGL, "ce_ptl": CE_PTL, "sel_ptl": SEL_PTL, "ce_ful": CE_FUL}
_CLOSED_FORMS = {
    (STUDENTS[name].rule, STUDENTS[name].access): kind for name, kind in _KINDS.items()
}


class RowRuleError(ValueError):
    """A student's rule does not compile, or wrote something that is not a distribution."""


_CLOSED_LOSSES = [
    divergences.NAMES[loss] for loss in (divergences.TV, divergences.ACCEPTANCE, *CLOSED)
]


def ruled(students: Sequence[Student], losses: Sequence[Loss] = (TV,)) -> list[Student]:
    """Return the students whose rules are run: those that have no closed form of all losses."""
    return [one for one in students if any(_column(one, loss) is None for loss in losses)]


def losses_of_rules(students: Sequence[Student], losses: Sequence[Loss]) -> list[Loss]:
    """Return the losses that are taken of what rules write: those that lack a closed form of some
    student.
    """
    return [loss for loss in losses if any(_column(one, loss) is None for one in students)]


def kernel_students(
    students: Sequence[Student], pi: np.ndarray, losses: Sequence[Loss] = (TV,)
) -> tuple[np.ndarray, Rules]:
    """Return (columns, rules): which closed form gives each student's losses, or GENERIC + which
    column of what rules give, (students x losses,), and the compiled rules.

    The rules hold a copy of the teacher's table pi (S, A), and one more for each channel and each
    prior among them.
    """
    generic, taken = ruled(students, losses), losses_of_rules(students, losses)
    columns = []
    places = {id(one): place for place, one in enumerate(generic)}
    for one in students:
        for loss in losses:
            column = _column(one, loss)
            if column is None:
                column = GENERIC + places[id(one)] * len(taken) + taken.index(loss)
            columns.append(column)
    for student in generic:
        student.refuse_other_sizes(pi.shape)
    levels = [student.access for student in generic]
    for level in levels:
        level.refuse_impossible(pi)
    starts, revealers = _revealers(levels, len(pi))
    tables, shown, prior = _tables(generic, pi)
    tables, confused = _with_confusions(tables, levels, pi.shape[1])
    kinds_of_answer = np.array([level.for_kernels for level in levels], dtype=np.float64)
    own, greedy, parts, top, sigma, everywhere = kinds_of_answer.reshape(-1, 6).T
    parameters = [rule_parameters(student) for student in generic]
    rules = Rules(
        rule_addresses(generic, checked=False),
        np.array([pools(student) for student in generic], dtype=np.bool_),
        own.astype(np.bool_),
        greedy.astype(np.bool_),
        parts.astype(np.bool_),
        top.astype(np.int64),
        sigma.copy(),
        everywhere.astype(np.bool_),
        starts,
        revealers,
        tables,
        shown,
        prior,
        confused,
        label_ranks(pi).astype(np.int64).reshape(-1),
        np.cumsum([0, *map(len, parameters)], dtype=np.int64),
        np.concatenate([np.zeros(0), *parameters]),
    )
    return np.array(columns, dtype=np.int64), rules


def rule_addresses(students: Sequence[Student], *, checked: bool) -> np.ndarray:
    """Return the addresses of the students' compiled rules."""
    return np.array([compiled_rule(one, checked).address for one in students], dtype=np.int64)


def measures(losses: Sequence[Loss], pi: np.ndarray, rho: np.ndarray) -> Measures:
    """Return the losses as the kernels take them of the rows of rules."""
    own = [loss for loss in losses if isinstance(loss, RowLoss)]
    names = [*divergences.NAMES, *map(id, own)]
    places = [names.index(id(loss) if isinstance(loss, RowLoss) else loss.name) for loss in losses]
    takes = 0
    for place in places:
        takes |= divergences.TAKES[place] if place < len(divergences.TAKES) else 0
    logs = np.zeros(0)
    if takes & divergences.LOGARITHMS:
        logs = divergences.log_table(pi)
    addresses = [_compiled_loss(loss).address for loss in own]
    numbers = np.array(places, dtype=np.int64), takes, np.array(addresses, dtype=np.int64)
    return Measures(np.array(rho), *numbers, logs)


def _compiled_loss(loss: RowLoss) -> Any:
    try:
        return compile_loss(loss.py_func)
    except (NumbaError, TypeError) as error:
        raise ValueError(f"loss {loss.name!r} does not compile: {_reason(error)}") from error


def pools(student: Student) -> bool:
    """Return whether the student's rule is a table rule."""
    return isinstance(student.rule, TableRule)


def rule_kind(student: Student) -> str:
    """Return what to call the student's rule in messages."""
    return "table rule" if pools(student) else "row rule"


def fault(
    student: Student,
    counts: np.ndarray,
    revealed: np.ndarray,
    row: int,
) -> tuple[str, bool]:
    """Return what a rule does wrong at a row, in words, and whether it is known to be there: it is
    run in Python.
    """
    try:
        if pools(student):
            out = student.table(counts, revealed)[row]
        else:
            out = student.before(counts.shape)[row]
            student.rule(counts[row], revealed[row], out)
        return (
            f"wrote a row that sums to {out.sum():.12g} with smallest entry {out.min():.6g}",
            True,
        )
    except Exception as error:
        return f"raised {type(error).__name__}: {error}", not pools(student)


def _column(student: Student, loss: Loss) -> int | None:
    """Return the column of the closed form of a student's loss, None if it has none."""
    form = _closed_form(student)
    if form is None or isinstance(loss, RowLoss) or loss.name not in _CLOSED_LOSSES:
        return None
    return form + FORMS * divergences.NAMES.index(loss.name)


def _closed_form(student: Student) -> int | None:
    """Return which closed form serves the student, if any does."""
    return _CLOSED_FORMS.get((student.rule, student.access))


def _revealers(levels: list[Access], inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where those inputs start whose visit reveals each row, and all of them: none where any
    visit does.
    """
    starts = np.empty((len(levels), inputs + 1), dtype=np.int64)
    members = [np.zeros(0, dtype=np.int64)]
    offset = 0
    for i, level in enumerate(levels):
        first, inside = level.reach.revealers(inputs)
        starts[i] = first + offset
        members.append(inside)
        offset += len(inside)
    return starts, np.concatenate(members)


def _tables(generic: list[Student], pi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tables that rules read, flat, and where what is shown to each student and its
    prior start.
    """
    channels = [AsIs(), *(student.access.channel.fixed for student in generic)]
    channels = list(dict.fromkeys(channels)) if generic else []
    priors = [student for student in generic if student.prior is not None]
    tables = [channel.shown(pi) for channel in channels]
    tables += [student.before(pi.shape) for student in priors]
    shown = [channels.index(student.access.channel.fixed) for student in generic]
    prior = [-1] * len(generic)
    at_prior = (i for i, student in enumerate(generic) if student.prior is not None)
    for table, i in enumerate(at_prior, start=len(channels)):
        prior[i] = table
    at = np.array([shown, prior], dtype=np.int64) * pi.size
    return np.array(tables, dtype=np.float64).reshape(-1), at[0], at[1]


def _with_confusions(
    tables: np.ndarray, levels: list[Access], labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tables with the shares by which labels come back as others behind them, and where
    those of each level start, -1 for none.
    """
    confused = np.full(len(levels), -1, dtype=np.int64)
    parts = [tables]
    at = len(tables)
    for k, level in enumerate(levels):
        confusion = level.channel.confusion(labels)
        if confusion is not None:
            parts.append(conditional_shares(confusion).reshape(-1))
            confused[k] = at
            at += labels**2
    return np.concatenate(parts), confused


def compiled_rule(student: Student, checked: bool) -> Any:
    """Return the student's rule as the kernels call it, with its `address`; `checked`: against the
    arrays' bounds, if it is not one of the package, whose tests see to that.
    """
    rule = student.rule.function
    _let_call_others(rule)
    takes = student.rule.values is not None
    foreign = not str(rule.__module__).startswith("kt_theory.")
    try:
        return compile_rule(rule, pools(student), checked and foreign, parameters=takes)
    except (NumbaError, TypeError) as error:
        raise RowRuleError(
            f"student {student.name!r}: its {rule_kind(student)} does not compile: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """Return the first line of Numba's message that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and "nopython" not in line]
    return said[0] if said else type(error).__name__


def rule_parameters(student: Student) -> np.ndarray:
    """Return the numbers that the student's rule is given besides what it sees, (P,) float64."""
    values = student.rule.values
    return np.zeros(0) if values is None else values


def _let_call_others(rule: Callable[..., Any]) -> None:
    """Let a rule call the plain functions that it closes over, and these theirs."""
    for cell in getattr(rule, "__closure__", None) or ():
        if isinstance(cell.cell_contents, FunctionType):
            _let_call_others(cell.cell_contents)
            let_rules_call(cell.cell_contents)
