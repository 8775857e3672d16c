"""What the page's answers are made of: calls of the library that can be kept by what they ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from kt_theory import catalogue, students
from kt_theory.exact.cost import NoExactRisk
from kt_theory.explore.state import Asked, State, level_of
from kt_theory.limits.limit import Limit
from kt_theory.minimax import minimax_risk
from kt_theory.numeric import total_variation
from kt_theory.planner.needed import SampleSize, samples_needed
from kt_theory.simulation.run import draw_counts, simulate
from kt_theory.students import Student
from kt_theory.students.risk import exact_risk

REPEATS = 100
"""Transfer sets of a simulated risk."""


@dataclass(frozen=True)
class Question:
    """A call of a function below.

    Attributes
    ----------
    verb : callable
    given : tuple
        Its arguments, which can be hashed.
    """

    verb: Callable[..., Any]
    given: tuple[Any, ...]

    def __call__(self) -> Any:
        """Return the answer."""
        return self.verb(*self.given)


@dataclass(frozen=True)
class Refused:
    """The library has no answer.

    Attributes
    ----------
    reason : str
    """

    reason: str


@dataclass(frozen=True)
class Curve:
    """A student's risks on a teacher.

    Attributes
    ----------
    n : tuple of int
    risk : tuple of float
    how : str
        "exact", or that it is simulated.
    """

    n: tuple[int, ...]
    risk: tuple[float, ...]
    how: str


@dataclass(frozen=True)
class Copy:
    """A student's copy after a step.

    Attributes
    ----------
    student : str
    access : str
    tv : float
        Its total variation from the teacher.
    row : tuple of float, (A,)
        What it writes for the first input.
    """

    student: str
    access: str
    tv: float
    row: tuple[float, ...]


def load() -> None:
    """Import the libraries that answers need: threads that import one at the same time may see it
    half made.
    """
    for name in ("pandas", "scipy.sparse.csgraph", "scipy.signal", "scipy.stats"):
        import_module(name)


def limit_at(level: str, inputs: int, labels: int, n: int) -> Limit | Refused:
    """Return the minimax risk of a level by name."""
    try:
        return minimax_risk(level_of(level, inputs), inputs, labels, n)
    except ValueError as error:
        return Refused(str(error))


def needed_for(level: str, inputs: int, labels: int, tv: float) -> SampleSize | Refused:
    """Return the queries that suffice at a level by name."""
    try:
        access = level_of(level, inputs)
        size = None if access.beyond_row else inputs
        return samples_needed(access, inputs=size, labels=labels, tv=tv)
    except ValueError as error:
        return Refused(str(error))


def learners(level: str, inputs: int) -> dict[str, Student]:
    """Return the paper's students and the level's own, by name."""
    found = dict(students.STUDENTS)
    try:
        own = catalogue.own_student(level_of(level, inputs))
    except ValueError:
        return found
    return found | {own.name: own}


def curve_of(asked: Asked, level: str, name: str, sizes: tuple[int, ...]) -> Curve:
    """Return the risks of a student of `learners` on a teacher: exact ones, or where there are
    none in reasonable time those of `REPEATS` transfer sets.
    """
    teacher, student = asked.teacher, learners(level, asked.inputs)[name]
    try:
        exact = exact_risk(teacher, student, list(sizes))
        return Curve(sizes, tuple(float(risk) for risk in np.asarray(exact)), "exact")
    except NoExactRisk:
        options: dict[str, Any] = {"repeats": REPEATS, "seed": asked.seed, "threads": 1}
        run = simulate(teacher, student, n=list(sizes), progress=False, **options)
        means = tuple(estimate.mean for estimate in run.estimates)
        return Curve(sizes, means, f"mean of {REPEATS} simulated transfer sets")


@lru_cache(maxsize=64)
def counts_after(asked: Asked, steps: tuple[int, ...]) -> np.ndarray:
    """Return how often each pair was sampled, (S, A), after steps of so many pairs each: the
    i-th, from 1, has the seed i + 1000 times the teacher's.
    """
    if not steps:
        return np.zeros((asked.inputs, asked.labels), dtype=np.int64)
    before = counts_after(asked, steps[:-1])
    seed = 1000 * asked.seed + len(steps)
    return np.asarray(before + draw_counts(asked.teacher, steps[-1], 1, seed=seed)[0])


def copies_after(asked: Asked, level: str, steps: tuple[int, ...]) -> tuple[Copy, ...]:
    """Return the copies of all `learners` after some steps."""
    counts, teacher = counts_after(asked, steps), asked.teacher
    found = []
    for name, student in learners(level, asked.inputs).items():
        access = student.access
        revealed = access.reveal(counts, teacher.pi)
        table = student.table(access.seen_counts(counts, teacher.pi), revealed)
        tv = float(total_variation(table, teacher.pi, teacher.rho))
        found.append(Copy(name, access.name, tv, tuple(table[0].tolist())))
    return tuple(found)


def levels_asked(state: State) -> dict[str, list[Question]]:
    """Return all that is asked of the levels, by level: the chosen limit, the plan, the curve."""
    plans, curves = plan_asked(state), limits_asked(state)
    found = {}
    for level in dict.fromkeys((*state.planned, *state.levels)):
        first = [limit_asked(state)] if level == state.level else []
        plan = [plans[level]] if level in plans else []
        found[level] = list(dict.fromkeys([*first, *plan, *curves.get(level, [])]))
    return found


def limits_asked(state: State) -> dict[str, list[Question]]:
    """Return the limits of the curves, by level."""
    size = state.inputs, state.labels
    return {
        level: [Question(limit_at, (level, *size, n)) for n in state.grid] for level in state.levels
    }


def limit_asked(state: State) -> Question:
    """Return the limit of the chosen level at the chosen n."""
    return Question(limit_at, (state.level, state.inputs, state.labels, state.n))


def plan_asked(state: State) -> dict[str, Question]:
    """Return what each level needs, by name."""
    goal = state.inputs, state.labels, state.tv
    return {level: Question(needed_for, (level, *goal)) for level in state.planned}


def curves_asked(state: State) -> dict[str, Question]:
    """Return the risks of the students on the teacher, by name."""
    names = learners(state.level, state.inputs)
    sizes = tuple(sorted(state.grid))
    return {name: Question(curve_of, (state.asked, state.level, name, sizes)) for name in names}


def copies_asked(state: State) -> list[Question]:
    """Return the copies after each step, and before the first."""
    ends = range(len(state.steps) + 1)
    return [Question(copies_after, (state.asked, state.level, state.steps[:end])) for end in ends]
