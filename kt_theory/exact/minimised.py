"""Exact risks of students that minimise a training objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import RowRisk
from kt_theory.exact.settled import Settled
from kt_theory.numeric import total_variation
from kt_theory.objectives.objective import Objective
from kt_theory.teacher import RowClasses


@dataclass(frozen=True)
class Minimised(Settled):
    """The risk where one visit of a row tells all that the objective sees of it.

    Attributes
    ----------
    objective : Objective
        A symmetric one.
    """

    objective: Objective

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the student is called."""
        return f"minimiser({self.objective.name})"

    def settled(self, rows: np.ndarray) -> np.ndarray:
        """Return TV(copy, row) of each row."""
        return np.asarray(total_variation(self.objective.written(rows), rows))


@dataclass(frozen=True)
class InTheEnd(RowRisk):
    """The limit alone, of an objective whose student depends on the labels that were drawn.

    Attributes
    ----------
    objective : Objective
        A symmetric one.
    """

    objective: Objective

    @property
    def name(self) -> str:  # type: ignore[override]
        """As the student is called."""
        return f"minimiser({self.objective.name})"

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Refuse."""
        raise NoExactRisk(
            f"student {self.name!r} has an exact risk at n=inf alone: use simulate(teacher, "
            "student, n)"
        )

    def limit(self, classes: RowClasses) -> float:
        """Return sum_s rho_s TV(copy_s, pi_s)."""
        away = total_variation(self.objective.written(classes.rows), classes.rows)
        return float(classes.weight @ away)
