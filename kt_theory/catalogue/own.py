"""Which students belong to a level: its own, and those that it is enough for."""

from __future__ import annotations

from typing import assert_never, cast

from kt_theory import access, students
from kt_theory.access import Access, channel, reach, shows
from kt_theory.catalogue.channels import channel_student
from kt_theory.exact.risk import RowRisk
from kt_theory.students import NAMED, Student
from kt_theory.teacher import Teacher


def own_student(level: Access, teacher: Teacher | None = None) -> Student:
    """Return the level's student: minimax, but for hard labels and non-target parts, where it is
    maximum likelihood.

    Parameters
    ----------
    level : Access
    teacher : Teacher, optional
        Of greedy labels the student is the point mass where that leaves less of this teacher than
        the minimax student, as it does where a label stands out.

    Raises
    ------
    ValueError
        For a level along a graph whose answers are not whole rows as they are.
    """
    plain = Access(level.shows)
    match cast(reach.AnyReach, level.reach):
        case reach.OwnRow():
            pass
        case reach.Ball(graph, hops):
            _refuse_parts(level)
            return students.grad_ful(graph, hops)
        case reach.Everything(features):
            _refuse_parts(level)
            return students.jacobian(features)
        case other_reach:
            assert_never(other_reach)
    if level.channel == channel.AsIs():
        return _own_plain(plain, teacher)
    return channel_student(level)


def _own_plain(level: Access, teacher: Teacher | None) -> Student:
    match cast(shows.AnyShows, level.shows):
        case shows.Nothing():
            return students.CE_SGL
        case shows.SampledLabel():
            return students.SEL_PTL
        case shows.WholeRow():
            return students.CE_FUL
        case shows.TopK(top):
            return students.top_k(top)
        case shows.NonTarget():
            return NAMED["non_target"]
        case shows.MostProbable(0):
            return NAMED["argmax" if _stands_out(teacher) else "argmax_hedged"]
        case shows.MostProbable(top):
            return students.top_k(top, sampled=False)
        case other:
            assert_never(other)


def _stands_out(teacher: Teacher | None) -> bool:
    """Whether a point mass on the most probable label leaves less of it than hedging does."""
    if teacher is None:
        return False
    bold, hedged = (cast(RowRisk, NAMED[name].exact) for name in ("argmax", "argmax_hedged"))
    return bold.limit(teacher.classes) <= hedged.limit(teacher.classes)


def _refuse_parts(level: Access) -> None:
    if Access(shows.WholeRow(), reach=level.reach) != level:
        raise ValueError(
            f"access {level.name!r} has no student of its own: where a query reveals other rows, "
            "only whole rows as they are have one"
        )


def default_students(granted: Access | None) -> list[Student]:
    """Return the paper's students that a level allows and its own; if there are none, all it allows
    by name.

    Of no level, the paper's four.
    """
    if granted is None:
        return [*students.STUDENTS.values()]
    allowed = [one for one in NAMED.values() if granted.covers(one.access)]
    beside = granted != access.HARD
    papers = [
        one
        for one in allowed
        if one.name in students.STUDENTS or (beside and one.access == granted)
    ]
    return papers or allowed
