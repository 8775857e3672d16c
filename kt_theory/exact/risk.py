"""What an exact risk is: an object that a student carries, and that answers for any teacher, n and
query law.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from kt_theory.content import ByContent
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.queried import WAY_OUT, additive_risk, refuse_too_many_labels
from kt_theory.exact.unvisited import unvisited_risk
from kt_theory.losses import TV, Loss, SumOverLabels
from kt_theory.queries.laws import QueryLaw
from kt_theory.teacher import RowClasses, Teacher


class ExactRisk(ByContent, ABC):
    """The exact risk of one student: E TV(student, pi | rho), or the mean of another loss.

    Attributes
    ----------
    name : str
        What refusals call the student, where there are any.
    loss : Loss
    """

    name: str
    loss: Loss = TV

    @abstractmethod
    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, inputs iid from rho: (N,).

        Parameters
        ----------
        teacher : Teacher
        n : (N,) float64 array of whole numbers >= 0, or inf for the limit

        Raises
        ------
        NoExactRisk
            Before any long computation.
        """

    def under(
        self,
        teacher: Teacher,
        n: np.ndarray,
        law: QueryLaw,
    ) -> np.ndarray:
        """Return the risk after n queries under `law`, (N,).

        Raises
        ------
        NoExactRisk
        ValueError
            If n queries return more than 2^53 labels.
        """
        refuse_too_many_labels(n, law)
        raise NoExactRisk(
            f"student {self.name!r} has no exact risk under {law.name} queries: {WAY_OUT}"
        )

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the same student's risk in another loss than tv, None where it is not known."""
        return None

    def settled(self, rows: np.ndarray) -> np.ndarray | None:
        """Return what each row loses once it is visited, (C,), or None where that depends on the
        labels drawn.

        Parameters
        ----------
        rows : (C, A) array, each in descending order
        """
        return None

    def dear(self, teacher: Teacher, n: int) -> bool:
        """Return whether risks up to about n samples cost more than simulations of them would."""
        return False


class RowRisk(ExactRisk):
    """A risk that is additive over the inputs, each of which sees its own visit count k ~ Bin(n,
    rho_s) alone.

    risk = sum_s rho_s [(1-rho_s)^n loss(pi_s, Uniform) + sum_{k>=1} Bin(k; n, rho_s) E(row loss
    after k visits)].
    """

    def unbounded(self, rows: np.ndarray) -> np.ndarray:
        """Return whether each row may cost infinitely much once it is visited, (C,) bool."""
        return np.zeros(len(rows), dtype=bool)

    @abstractmethod
    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return sum_s rho_s E[row loss; row visited], the part of the risk that is not an
        unvisited row's: (N,).

        Parameters
        ----------
        classes : RowClasses
        n : (N,) array, finite, >= 0
        """

    def limit(self, classes: RowClasses) -> float:
        """Return the risk as n -> infinity."""
        return 0.0

    def once_visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return `visited`, and `limit` where n is inf: (N,)."""
        loss = np.empty(len(n))
        endless = n == np.inf
        if endless.any():
            loss[endless] = self.limit(classes)
        if not endless.all():
            loss[~endless] = self.visited(classes, n[~endless])
        return loss

    def over(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return the risk over some row classes, (N,)."""
        return unvisited_risk(classes, n, self.loss) + self.once_visited(classes, n)

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,): equal rows of equal rho cost as much as one, but
        for a loss of one's own, which may tell labels apart.
        """
        if isinstance(self.loss, SumOverLabels):
            return self.over(teacher.classes, n)
        one_each = np.ones(teacher.inputs, dtype=np.int64)
        return self.over(RowClasses(teacher.pi, teacher.rho, one_each), n)

    def under(
        self,
        teacher: Teacher,
        n: np.ndarray,
        law: QueryLaw,
    ) -> np.ndarray:
        """Return the risk after n queries under `law`, (N,)."""
        return additive_risk(self, teacher, n, law)
