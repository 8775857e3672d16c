"""Exact risks of students that know something beforehand: the possible labels, equal inputs, a
table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import ExactRisk, RowRisk
from kt_theory.exact.unvisited import still_missed
from kt_theory.losses import Loss, SumOverLabels
from kt_theory.numeric import log_missed, total_variation
from kt_theory.teacher import RowClasses, Teacher

EQUAL = 1e-12
"""Rows that differ by no more are equal; mass outside a mask up to this is rounding."""

_WAY_OUT = "use simulate(teacher, student, n)"


@dataclass(frozen=True, eq=False)
class Masked(ExactRisk):
    """The risk of `base` on the possible labels alone, of which `mask`, (1 or S, A) bool, tells."""

    base: RowRisk
    mask: np.ndarray
    name: str

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if it is a sum over the labels."""
        base = self.base.in_loss(loss)
        if not (isinstance(loss, SumOverLabels) and isinstance(base, RowRisk)):
            return None
        return replace(self, base=base)

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,).

        Raises
        ------
        NoExactRisk
            If a row has mass outside the mask where rho is positive.
        """
        risk = np.zeros(len(n))
        for part in self._parts(teacher):
            risk += self.base.over(part, n)
        return risk

    def _parts(self, teacher: Teacher) -> list[RowClasses]:
        """Return the rows over the possible labels, for each number of them."""
        possible = np.broadcast_to(self.mask, teacher.pi.shape)
        outside = np.where(possible, 0.0, teacher.pi).sum(axis=1)
        wrong = np.flatnonzero((outside > EQUAL) & (teacher.rho > 0.0))
        if len(wrong):
            raise NoExactRisk(
                f"student {self.name!r}: input {wrong[0]} has mass {outside[wrong[0]]:.3g} outside "
                f"the mask: {_WAY_OUT}"
            )
        sizes = possible.sum(axis=1)
        found = []
        for size in np.unique(sizes):
            at = np.flatnonzero(sizes == size)
            rows = teacher.pi[at][possible[at]].reshape(len(at), size)
            once = np.ones(len(at), dtype=np.int64)
            found.append(RowClasses(-np.sort(-rows, axis=1), teacher.rho[at], once))
        return found


@dataclass(frozen=True, eq=False)
class Grouped(ExactRisk):
    """The risk of `base` with one input for each group; `group` has the number of each input's,
    (S,).
    """

    base: ExactRisk
    group: np.ndarray
    name: str

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if that of `base` is known."""
        base = self.base.in_loss(loss)
        return replace(self, base=base) if base else None

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,).

        Raises
        ------
        NoExactRisk
            If rows of one group differ where rho is positive.
        """
        return self.base.risk(self._pooled(teacher), n)

    def _pooled(self, teacher: Teacher) -> Teacher:
        """Return the teacher with one input for each group, of the probability of all of them."""
        law = np.bincount(self.group, weights=teacher.rho)
        first = np.zeros(len(law), dtype=np.int64)
        asked = np.flatnonzero(teacher.rho > 0.0)[::-1]
        first[self.group[asked]] = asked
        model = first[self.group]
        apart = np.abs(teacher.pi - teacher.pi[model]).max(axis=1) > EQUAL
        wrong = np.flatnonzero(apart & (teacher.rho > 0.0))
        if len(wrong):
            raise NoExactRisk(
                f"student {self.name!r}: the rows of inputs {model[wrong[0]]} and {wrong[0]}, of "
                "one group, differ: "
                f"{_WAY_OUT}"
            )
        return Teacher(teacher.pi[first], law, normalise=True)


@dataclass(frozen=True, eq=False)
class WithPrior(ExactRisk):
    """The risk of `base` with the rows of `prior`, (S, A), in place of Uniform on unvisited
    inputs.
    """

    base: RowRisk
    prior: np.ndarray
    name: str

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return sum_s rho_s (1-rho_s)^n TV(prior_s, pi_s) and what visited rows lose, (N,)."""
        visited = self.base.once_visited(teacher.classes, n)
        refuse_other_shape(self.prior, teacher)
        weight = teacher.rho * total_variation(self.prior, teacher.pi)
        return still_missed(weight, log_missed(teacher.rho), n) + visited


def refuse_other_shape(prior: np.ndarray, teacher: Teacher) -> None:
    """Raise ValueError if a table is not of the teacher's shape."""
    if prior.shape != teacher.pi.shape:
        raise ValueError(f"prior has shape {prior.shape}: must be the teacher's {teacher.pi.shape}")
