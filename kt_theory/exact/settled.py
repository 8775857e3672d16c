"""Exact risks of students whose visited rows do not depend on the labels that were drawn."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from kt_theory.access import Channel
from kt_theory.exact.queried import unrevealed_risk
from kt_theory.exact.risk import ExactRisk, RowRisk
from kt_theory.exact.unvisited import log_unasked
from kt_theory.losses import TV, Loss, SumOverLabels
from kt_theory.numeric import total_variation
from kt_theory.queries.laws import Iid, QueryLaw
from kt_theory.teacher import RowClasses, Teacher


class Settled(RowRisk):
    """Every visited row costs `settled(rows)`: sum_s rho_s (1 - (1-rho_s)^n) loss(pi_s, copy_s)."""

    @abstractmethod
    def settled(self, rows: np.ndarray) -> np.ndarray:
        """Return loss(row, copy) of each visited row, (C,)."""

    def unbounded(self, rows: np.ndarray) -> np.ndarray:
        """Return whether the copy of each row costs infinitely much."""
        return np.isinf(self.settled(rows))

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        weight = self._weight(classes)
        log = log_unasked(classes)
        return np.array([-weight @ np.expm1(draws * log) if draws else 0.0 for draws in n])

    def limit(self, classes: RowClasses) -> float:
        """Return the floor sum_s rho_s loss(pi_s, copy_s)."""
        return float(self._weight(classes).sum())

    def _weight(self, classes: RowClasses) -> np.ndarray:
        lost = self.settled(classes.rows)
        return classes.weight * np.where(classes.weight > 0.0, lost, 0.0)


@dataclass(frozen=True)
class WholeRows(Settled):
    """The risk of ce_ful and of all that know a row after one visit: that of unvisited rows
    alone.
    """

    name: str = "ce_ful"
    loss: Loss = TV

    def in_loss(self, loss: Loss) -> ExactRisk:
        """Return the risk in another loss."""
        return replace(self, loss=loss)

    def settled(self, rows: np.ndarray) -> np.ndarray:
        """Return 0 for each row."""
        return np.zeros(len(rows))

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return 0 for each n."""
        return np.zeros(len(n))

    def under(
        self,
        teacher: Teacher,
        n: np.ndarray,
        law: QueryLaw,
    ) -> np.ndarray:
        """Return sum_s rho_s P(no query at s) loss(pi_s, Uniform), (N,)."""
        if isinstance(law, Iid):
            return super().under(teacher, n, law)
        return unrevealed_risk(teacher, n, law, self.name, loss=self.loss)


@dataclass(frozen=True)
class Shown(Settled):
    """The risk of a channel's student where every answer of a row reveals its `top` largest labels.

    So are complete rows at a wrong temperature, rounded or quantised, and the top k labels without
    the sampled one.

    Attributes
    ----------
    channel : Channel
    top : int
    power : float
        What the student raises the weights to.
    """

    channel: Channel
    top: int
    power: float = 1.0
    loss: Loss = TV

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if it is a sum over the labels."""
        return replace(self, loss=loss) if isinstance(loss, SumOverLabels) else None

    def copy(self, rows: np.ndarray) -> np.ndarray:
        """Return what the student writes on visited rows: (C, A), rows sum to 1.

        With w the weights shown, M = (1 - sum w)^+ and A - k hidden labels, the copy is
        proportional to (w, M/(A-k)) to the `power`; of unnormalised weights to (w, 0). Complete
        quantised rows are corrected by equal shares of 1 - sum w.

        Parameters
        ----------
        rows : (C, A) array, in descending order
        """
        shown = min(self.top, rows.shape[1])
        weights = self.channel.shown(rows).copy()
        weights[:, shown:] = 0.0
        weights = self.channel.completed(weights, shown)
        powers = (weights / weights.max(axis=1, keepdims=True)) ** self.power
        return powers / powers.sum(axis=1, keepdims=True)

    def settled(self, rows: np.ndarray) -> np.ndarray:
        """Return loss(row, copy) of each row."""
        if self.loss == TV:
            return np.asarray(total_variation(self.copy(rows), rows))
        return self.loss.of_rows(rows, self.copy(rows))


@dataclass(frozen=True)
class Greedy(Settled):
    """The risk of students told the most probable label and no more.

    TV is 1 - max p for the point mass. The hedged student leaves V = max_j (j-1)(A-1) / (j(A+j-2))
    to the other labels.
    """

    hedged: bool

    def settled(self, rows: np.ndarray) -> np.ndarray:
        """Return TV(copy, row) of each row, whose probabilities fall."""
        others: np.ndarray = rows[:, 1:]
        if not self.hedged or not others.size:
            return others.sum(axis=1)
        labels = rows.shape[1]
        j = np.arange(1.0, labels + 1.0)
        spread = float(((j - 1.0) * (labels - 1.0) / (j * (labels + j - 2.0))).max())
        first = np.abs(1.0 - spread - rows[:, 0])
        rest = np.abs(spread / (labels - 1.0) - others).sum(axis=1)
        return 0.5 * (first + rest)
