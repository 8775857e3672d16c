"""The planner with a teacher in hand: exact risks of each level's student where they are cheap, else simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from kt_theory.planning.bounds import surely_enough
from kt_theory.planning.levels import Level, student, student_name
from kt_theory.planning.proofs import covered, enough_surely
from kt_theory.planning.search import FINE, Enough, first_below
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

SIMULATED_SETS, MOST_SETS, STANDARD_ERRORS = 256, 2**14, 5.0
"""Least and most transfer sets per n where a teacher is simulated, and how many standard errors decide."""

STEP = 8
"""Binary digits of the n at which a teacher is simulated: steps of 0.4 to 0.8 %."""


def tails(teacher: Teacher, level: Level) -> np.ndarray | None:
    """Return what each row class loses once it is visited, None where that depends on the sampled labels."""
    rows = teacher.classes.rows
    known = student(level, teacher).exact
    if level.whole_rows and level.access != "jacobian":
        return np.zeros(len(rows))
    return None if known is None else known.settled(rows)


def floor_of(level: Level, teacher: Teacher) -> float:
    """Return what the level's student loses on the teacher after any number of queries, where that is known exactly."""
    visited = tails(teacher, level)
    classes = teacher.classes
    return 0.0 if visited is None else float((classes.multiplicity * classes.rho) @ visited)


def enough_on(level: Level, teacher: Teacher, tv: float) -> tuple[Enough, int]:
    """Return the n from which on the risk of the level's student is at most tv, and the number that is too few."""
    from kt_theory.exact.cost import NoExactRisk
    from kt_theory.queries.laws import iid
    from kt_theory.students.risk import exact_risk

    own, largest = student(level, teacher), surely_enough(level, tv)
    law = None if level.times == 1 else iid(labels_per_query=level.times)
    most = LARGEST_COUNT // level.times
    if own.exact is not None and own.exact.dear(teacher, largest):
        return _simulated(own, law, teacher, tv, largest)
    try:
        found = first_below(
            lambda n: float(exact_risk(teacher, own, min(n, most), queries=law)),
            tv,
            start=largest,
            digits=FINE,
            power=None,
        )
    except NoExactRisk:
        return _simulated(own, law, teacher, tv, largest)
    certificate = f"exact risk of {student_name(level, teacher)} on this teacher"
    return Enough.of(found, certificate, exact=True), found.last_above + 1


def enough_surely_on(level: Level, teacher: Teacher, tv: float, delta: float) -> Enough:
    """Return the least n with P(TV > tv) <= delta: exact where visited rows always lose the same, else as proved."""
    from kt_theory.exact.unvisited import uniform_distance

    visited = tails(teacher, level)
    if visited is None:
        return enough_surely(level, tv, delta)
    law = _quantile(level, teacher, visited, tv, delta)
    if law is not None:
        return law
    unvisited = uniform_distance(teacher.classes.rows)
    more = float(np.maximum(unvisited - visited, 0.0).max())
    return covered(level, tv, delta, floor_of(level, teacher), spread=more)


def _quantile(level: Level, teacher: Teacher, visited: np.ndarray, tv: float, delta: float) -> Enough | None:
    from kt_theory.exact.cost import NoExactRisk
    from kt_theory.exact.missing_mass import ce_ful_weights, missing_mass_law

    rho, floor = teacher.classes.rho, floor_of(level, teacher)
    excess = ce_ful_weights(teacher) - rho * visited
    # A row may lose less while it is unvisited than after a visit; its difference counts as 0, which is no less.
    exact = bool((excess >= -1e-15).all())
    weights = np.maximum(excess, 0.0) if floor else ce_ful_weights(teacher)

    def quantile(n: int) -> float:
        return floor + missing_mass_law(teacher, n, weights=weights).quantile(1.0 - delta)

    try:
        found = first_below(quantile, tv, start=surely_enough(level, tv), digits=FINE, power=None)
    except NoExactRisk:
        return None
    what = "exact quantile" if exact else "quantile of a bound"
    return Enough.of(found, f"{what} of the loss of {student_name(level, teacher)} on this teacher", exact=exact)


def _simulated(own: Any, law: Any, teacher: Teacher, tv: float, largest: int) -> tuple[Enough, int]:
    """Decide by simulation: n suffices where mean + 5 standard errors <= tv, fails where mean - 5 > tv."""
    from kt_theory.simulation.run import simulate

    seen: dict[int, tuple[float, float]] = {}

    def margin(sign: float) -> Callable[[int], float]:
        def value(n: int) -> float:
            if n not in seen:
                run = simulate(teacher, own, n, SIMULATED_SETS, target_se=max(tv, 1e-9) / 1000, max_repeats=MOST_SETS,
                               progress=False, queries=law)  # fmt: skip
                seen[n] = (run.estimates[0].mean, run.estimates[0].std_error)
            return seen[n][0] + sign * STANDARD_ERRORS * seen[n][1]

        return value

    above = first_below(margin(1.0), tv, start=largest, digits=STEP, power=None)
    below = first_below(margin(-1.0), tv, start=above.n or largest, digits=STEP, power=None)
    certificate = (
        f"simulated risk of {own.name} on this teacher (an exact one is dear or unknown): mean + 5 standard errors <= "
        "tv, one-sided error below 1e-6 per n in the normal approximation; n in steps of 0.4 to 0.8 %"
    )
    return Enough.of(above, certificate), below.last_above + 1


def hard_of(level: Level) -> Level:
    """Return the hard labels that the level samples too."""
    return replace(level, access="hard", k=0, given=None)
