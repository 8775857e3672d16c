"""The worst teacher of a student, or the one that parts two students most, as far as a search finds
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.content import ByContent
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import ExactRisk
from kt_theory.losses import ACCEPTANCE, LOSSES, Loss, as_loss
from kt_theory.students import Student
from kt_theory.students.named import one_student
from kt_theory.students.risk import exact_in, exact_risk
from kt_theory.teacher import Teacher
from kt_theory.validation import shown, whole_number
from kt_theory.worst.ascent import Objective, Place
from kt_theory.worst.ceiling import Ceiling, ceiling, limit_of
from kt_theory.worst.design import Design
from kt_theory.worst.search import Family, search

LARGEST_INPUTS, LARGEST_LABELS = 10**12, 10**4

MOST_KINDS, MOST_LEVELS = 4, 4
"""A teacher that a limit names is climbed from if it has no more kinds of rows, and levels."""


@dataclass(frozen=True)
class Searched:
    """One family of teachers that was searched.

    Attributes
    ----------
    family : str
    starts : int
        From how many of its teachers the search climbed.
    best : tuple of float
        What it reached from each.
    """

    family: str
    starts: int
    best: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class WorstTeacher(ByContent):
    """The worst teacher that a search found.

    The worst case of the student is at least `value`, which is an exact risk; that no teacher is
    worse is not proved. It lies between the larger of `value` and `least` and `most`, where there
    are any.

    Attributes
    ----------
    teacher : Teacher
    value : float
        The exact risk of the student on it, or by how much it is above that of `against`.
    student : str
    against : str or None
    risks : tuple of float
        The exact risks of the one or the two on the teacher.
    searched : tuple of Searched
    evaluations, left_out : int
        How many teachers were looked at, and how many of these had no exact risk at a fair price.
    least : float or None
        No student of the level has a worst case below: `minimax_risk(...).lower`. None for a
        difference.
    most : float or None
        No teacher has a larger value; None where nothing is proved. For a difference it is that of
        the student alone.
    reference : str
        What proves `most`, or that nothing does.
    inputs, labels, n : int
    loss : str
    seed : int
    """

    teacher: Teacher
    value: float
    student: str
    against: str | None
    risks: tuple[float, ...]
    searched: tuple[Searched, ...]
    evaluations: int
    left_out: int
    least: float | None
    most: float | None
    reference: str
    inputs: int
    labels: int
    n: int
    loss: str
    seed: int

    def __repr__(self) -> str:
        beyond = "" if self.against is None else f" - {self.against}"
        size = f"inputs={self.inputs}, labels={self.labels}, n={self.n}"
        least = self.value if self.least is None else max(self.value, self.least)
        most = "no upper bound is proved" if self.most is None else f"at most {self.most:.6g}"
        return (
            f"WorstTeacher({self.student}{beyond}, {size}: {self.value:.6g} in {self.loss}, the "
            f"largest of {self.evaluations:,} teachers; the worst case is at least {least:.6g}, "
            f"{most})"
        )


def worst_teacher(
    student: Any,
    against: Any = None,
    *,
    n: Any,
    inputs: Any,
    labels: Any,
    loss: str | Loss = "tv",
    seed: int = 0,
) -> WorstTeacher:
    """Return the teacher of a size on which a student's exact risk is largest, as far as a search
    finds it, or on which it exceeds that of another student most.

    An exact risk is a sum over kinds of rows, so that few numbers describe a teacher of any size:
    how many inputs each kind has, what part of rho, and how many labels each level of its rows. The
    search looks at equal rows of one or two levels, equal rows beside one input that has the rest
    of rho, two kinds of rows, random ones of three levels and three kinds, and the teacher of the
    level's minimax limit; climbs from the best of each (Nelder and Mead, 1965), and then from the
    best of all, whole numbers too. A bar shows what takes more than 2 seconds.

    Parameters
    ----------
    student : str or Student
        One that has an exact risk and sees a row at a time.
    against : str or Student, optional
        The largest risk(student) - risk(against) is sought then.
    n : int
        Samples, from 0.
    inputs, labels : int
        S, up to 10^12, and A, up to 10^4.
    loss : str
        "tv", or another in which the students have exact risks; acceptance is 1 - tv.
    seed : int
        Of the random starts; the same seed gives the same teacher.

    Returns
    -------
    WorstTeacher

    Raises
    ------
    NoExactRisk
        If a student has no exact risk.
    ValueError
        If a student knows something of the teacher, or sees beyond rows.

    Examples
    --------
    >>> import kt_theory as kt
    >>> found = kt.worst_teacher("ce_ful", inputs=1, labels=4, n=0)
    >>> found.value, found.most
    (0.75, 0.75)
    """
    one = _searchable(student)
    other = None if against is None else _searchable(against)
    size = (
        whole_number(inputs, "inputs", low=1, high=LARGEST_INPUTS),
        whole_number(labels, "labels", low=1, high=LARGEST_LABELS),
        whole_number(n, "n"),
    )
    start, measure = whole_number(seed, "seed", high=2**128), _loss(loss)
    exact = _exact(one, measure)
    opposed = None if other is None else _exact(other, measure)
    limit = limit_of(one, *size, measure)
    place, objective, families = _found(
        (exact, opposed), size, start, None if limit is None else limit.teacher
    )
    chosen = [one] if other is None else [one, other]
    teacher = place.teacher
    risks = tuple(float(exact_risk(teacher, each, size[2], loss=measure)) for each in chosen)
    proved: Ceiling = ceiling(one, limit, size)
    return WorstTeacher(
        teacher=teacher,
        value=risks[0] if other is None else risks[0] - risks[1],
        student=one.name,
        against=None if other is None else other.name,
        risks=risks,
        searched=tuple(Searched(each.name, len(each.values), each.values) for each in families),
        evaluations=objective.evaluations,
        left_out=objective.left_out,
        least=limit.lower if limit is not None and other is None else None,
        most=proved.value,
        reference=proved.words,
        inputs=size[0],
        labels=size[1],
        n=size[2],
        loss=measure.name,
        seed=start,
    )


def _found(
    exact: tuple[ExactRisk, ExactRisk | None],
    size: tuple[int, int, int],
    seed: int,
    known: Teacher | None,
) -> tuple[Place, Objective, list[Family]]:
    """Run the search, with a bar."""
    from tqdm import tqdm

    with tqdm(unit=" teachers", delay=2, disable=None, leave=False) as bar:
        objective = Objective(*exact, size[2], bar.update)
        starts = [] if known is None else list(_climbable(objective, known))
        place, families = search(objective, size[:2], seed, starts)
    if place is None:
        raise NoExactRisk(
            f"no teacher of {size[0]} inputs and {size[1]} labels has an exact risk after "
            f"{size[2]} samples at a fair price: take smaller sizes"
        )
    return place, objective, families


def _climbable(objective: Objective, teacher: Teacher) -> list[Place]:
    design, logits = Design.of(teacher)
    fits = len(design.counts) <= MOST_KINDS and max(map(len, design.levels)) <= MOST_LEVELS
    return [objective.at(design, np.asarray(logits))] if fits else []


def _searchable(given: Any) -> Student:
    """Return a student of one row at a time that knows nothing of the teacher."""
    student = one_student(given)
    if student.access.beyond_row:
        raise ValueError(
            f"student {student.name!r} sees beyond rows, and the search is over rows: "
            "minimax_risk('gradient', graph=..., ...).teacher is the worst of graphs"
        )
    if student.prior is not None or any(student.sizes):
        raise ValueError(
            f"student {student.name!r} knows something of one teacher: its worst one is sought "
            "without that; give the student that it is made of"
        )
    return student


def _loss(given: str | Loss) -> Loss:
    loss = as_loss(given)
    if loss == ACCEPTANCE or loss.name not in LOSSES:
        raise ValueError(
            f"loss = {shown(given)}: must be tv, or another named one; acceptance is 1 - tv"
        )
    return loss


def _exact(student: Student, loss: Loss) -> ExactRisk:
    try:
        return exact_in(student, loss)
    except NoExactRisk:
        raise NoExactRisk(
            f"student {student.name!r} has no exact risk in loss {loss.name!r}, which the search "
            "climbs: simulate(teacher, student, n) on teachers of your choice, such as "
            "worst_teacher('ce_sgl', ...).teacher"
        ) from None
