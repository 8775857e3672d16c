"""Climbing from one teacher: the masses by Nelder and Mead's simplex, the whole numbers one by
one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import ExactRisk
from kt_theory.teacher import Teacher
from kt_theory.worst.design import Design

STEP = 0.7
"""Size of the first simplex, in nats."""

ROUNDS = 6
"""Most rounds of masses and whole numbers; it stops when a round gains less than `GAIN`."""

GAIN = 1e-9


@dataclass(frozen=True)
class Place:
    """A teacher of the search and what it is worth."""

    value: float
    design: Design
    logits: np.ndarray

    @property
    def teacher(self) -> Teacher:
        """The teacher."""
        return self.design.teacher(self.logits)


class Objective:
    """A student's exact risk, or by how much it is above another's, over designs.

    Attributes
    ----------
    evaluations : int
        How many teachers were looked at.
    left_out : int
        How many of them were left out, since an exact risk there is dear or unknown.
    """

    def __init__(
        self,
        student: ExactRisk,
        against: ExactRisk | None,
        n: int,
        each: Callable[[], None],
    ) -> None:
        self.student, self.against, self.n = student, against, n
        self.evaluations = self.left_out = 0
        self._each = each

    def of(self, teacher: Teacher) -> float:
        """Return its value at a teacher; -inf where that is dear, unknown or infinite less
        infinite.
        """
        self.evaluations += 1
        self._each()
        try:
            value = self._risk(self.student, teacher)
            if self.against is not None:
                value -= self._risk(self.against, teacher)
        except NoExactRisk:
            self.left_out += 1
            return -np.inf
        return -np.inf if np.isnan(value) else value

    def at(self, design: Design, logits: np.ndarray) -> Place:
        """Return a place with its value."""
        return Place(self.of(design.teacher(logits)), design, logits)

    def _risk(self, exact: ExactRisk, teacher: Teacher) -> float:
        if exact.dear(teacher, self.n):
            raise NoExactRisk
        return float(exact.risk(teacher, np.array([float(self.n)]))[0])


def climb(objective: Objective, start: Place, looks: int) -> Place:
    """Return the best masses near a place, after about `looks` evaluations for each of them."""
    from scipy.optimize import minimize

    free = start.design.free
    if free == 0 or not np.isfinite(start.value):
        return start

    def loss(logits: np.ndarray) -> float:
        value = objective.of(start.design.teacher(logits))
        return -value if np.isfinite(value) else 10.0

    away = np.where(start.logits > 0.0, -STEP, STEP)
    simplex = np.vstack([start.logits, start.logits + np.diag(away)])
    options = {"maxfev": looks * free + 10, "initial_simplex": simplex}
    options |= {"xatol": 1e-7, "fatol": 1e-13, "adaptive": free > 3}
    found = minimize(loss, start.logits, method="Nelder-Mead", options=options)
    value = -float(found.fun)
    return Place(value, start.design, np.asarray(found.x)) if value > start.value else start


def ascend(objective: Objective, start: Place, looks: int) -> Place:
    """Return a local maximum: no neighbouring whole number is better at the same masses."""
    best = climb(objective, start, looks)
    for _ in range(ROUNDS):
        around = [objective.at(design, best.logits) for design in best.design.neighbours()]
        top = max(around, key=_value, default=best)
        if top.value <= best.value * (1.0 + GAIN):
            break
        best = climb(objective, top, looks)
    return best


def _value(place: Place) -> float:
    return place.value
