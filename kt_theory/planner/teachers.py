"""The planner with a teacher in hand: exact risks of each level's student where they are cheap,
else simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from kt_theory.access import HARD
from kt_theory.catalogue import own_student
from kt_theory.limits.bracket import Bracket, least_surely
from kt_theory.limits.crossing import FINE, Enough, first_below
from kt_theory.minimax import Asked
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

SIMULATED_SETS, MOST_SETS, STANDARD_ERRORS = 256, 2**14, 5.0
"""Least and most transfer sets per n where a teacher is simulated, and how many standard errors
decide.
"""

STEP = 8
"""Binary digits of the n at which a teacher is simulated: steps of 0.4 to 0.8 %."""

HARD_LABELS = Asked(HARD, HARD.name, HARD.name)


class OnTeacher:
    """A level's own student, or another that it serves, on one teacher, and what a search for n
    needs of it.
    """

    def __init__(
        self, level: Asked, bracket: Bracket, teacher: Teacher, student: Student | None = None
    ) -> None:
        self.level, self.bracket, self.teacher = level, bracket, teacher
        self.student = student or own_student(level.level, teacher)
        self.student_name = str(self.student.name)
        """What certificates call the student."""
        if student is None and bracket.student_words:
            self.student_name = bracket.student_words

    @cached_property
    def visited(self) -> np.ndarray | None:
        """What each row class loses once it is visited, None where that depends on the sampled
        labels.
        """
        exact = self.student.exact
        return None if exact is None else exact.settled(self.teacher.classes.rows)

    @property
    def floor(self) -> float:
        """What the student loses after any number of queries, where that is known exactly."""
        if self.visited is None:
            return 0.0
        classes = self.teacher.classes
        return float((classes.multiplicity * classes.rho) @ self.visited)

    @property
    def endless(self) -> float:
        """The exact risk after any number of queries; 0 where it is not known."""
        from kt_theory.exact.cost import NoExactRisk
        from kt_theory.students.risk import exact_risk

        try:
            return float(exact_risk(self.teacher, self.student, np.inf))
        except NoExactRisk:
            return 0.0

    def enough(self, tv: float) -> tuple[Enough, int]:
        """Return the n from which on the risk is at most tv, and the number that is too few."""
        from kt_theory.exact.cost import NoExactRisk
        from kt_theory.queries.laws import iid
        from kt_theory.students.risk import exact_risk

        largest, times = self.bracket.surely(tv), self.level.labels_per_query
        law = None if times == 1 else iid(labels_per_query=times)
        most = LARGEST_COUNT // times
        exact = self.student.exact
        if exact is not None and exact.dear(self.teacher, largest):
            return self._simulated(law, tv, largest)

        def risk(n: int) -> float:
            return float(exact_risk(self.teacher, self.student, min(n, most), queries=law))

        try:
            found = first_below(risk, tv, start=largest, digits=FINE, power=None)
        except NoExactRisk:
            return self._simulated(law, tv, largest)
        certificate = f"exact risk of {self.student_name} on this teacher"
        return Enough.of(found, certificate, exact=True), found.last_above + 1

    def enough_surely(self, tv: float, delta: float) -> Enough:
        """Return the least n with P(TV > tv) <= delta: exact where visited rows always lose the
        same, else proved.
        """
        from kt_theory.exact.unvisited import uniform_distance

        if self.visited is None:
            return least_surely(self.bracket.tails(), tv, delta)
        found = self._quantile(self.visited, tv, delta)
        if found is not None:
            return found
        unvisited = uniform_distance(self.teacher.classes.rows)
        more = float(np.maximum(unvisited - self.visited, 0.0).max())
        return self.bracket.covered(self.floor, more).crossing(tv, delta)

    def _quantile(self, visited: np.ndarray, tv: float, delta: float) -> Enough | None:
        from kt_theory.exact.cost import NoExactRisk
        from kt_theory.exact.missing_mass import ce_ful_weights, missing_mass_law

        teacher, floor = self.teacher, self.floor
        excess = ce_ful_weights(teacher) - teacher.classes.rho * visited
        # A row may lose less while it is unvisited than after a visit; its difference counts as 0,
        # which is no less.
        exact = bool((excess >= -1e-15).all())
        weights = np.maximum(excess, 0.0) if floor else ce_ful_weights(teacher)

        def quantile(n: int) -> float:
            law = missing_mass_law(teacher, n, weights=weights)
            return floor + law.quantile(1.0 - delta)

        start = self.bracket.surely(tv)
        try:
            found = first_below(quantile, tv, start=start, digits=FINE, power=None)
        except NoExactRisk:
            return None
        what = "exact quantile" if exact else "quantile of a bound"
        words = f"{what} of the loss of {self.student_name} on this teacher"
        return Enough.of(found, words, exact=exact)

    def _simulated(self, law: Any, tv: float, largest: int) -> tuple[Enough, int]:
        """Decide by simulation: n suffices where mean + 5 standard errors <= tv, fails where mean -
        5 > tv.
        """
        from kt_theory.simulation.run import simulate

        seen: dict[int, tuple[float, float]] = {}

        def margin(sign: float) -> Callable[[int], float]:
            def value(n: int) -> float:
                if n not in seen:
                    run = simulate(
                        self.teacher,
                        self.student,
                        n,
                        SIMULATED_SETS,
                        target_se=max(tv, 1e-9) / 1000,
                        max_repeats=MOST_SETS,
                        progress=False,
                        queries=law,
                    )
                    seen[n] = (run.estimates[0].mean, run.estimates[0].std_error)
                mean, error = seen[n]
                return mean + sign * STANDARD_ERRORS * error

            return value

        above = first_below(margin(1.0), tv, start=largest, digits=STEP, power=None)
        start = above.n or largest
        below = first_below(margin(-1.0), tv, start=start, digits=STEP, power=None)
        certificate = (
            f"simulated risk of {self.student.name} on this teacher (an exact one is dear or "
            "unknown): mean + 5 standard errors <= tv, one-sided error below 1e-6 per n in the "
            "normal approximation; n in steps of 0.4 to 0.8 %"
        )
        return Enough.of(above, certificate), below.last_above + 1
