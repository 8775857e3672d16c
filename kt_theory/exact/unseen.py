"""Exact risk of sel_ptl and of top_k: equal sharing of the hidden probability among the hidden
labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.occupancy import Cells, empty_mean
from kt_theory.exact.risk import ExactRisk, RowRisk
from kt_theory.exact.ties import Ties, ties_of
from kt_theory.losses import TV, Loss, SumOverLabels
from kt_theory.numeric import missed
from kt_theory.teacher import RowClasses, Teacher

LARGEST_TABLE = 2e7
NODES = 100.0

DEAR = 2e8
"""Operations of about a nanosecond beyond which a risk costs more than the simulations that replace
it.
"""

_MOST_DIFFERENT = 24
_WAY_OUT = "use simulate; exact are rows of few distinct probabilities and of up to 20 labels"


@dataclass(frozen=True)
class Unseen(RowRisk):
    """The risk of sel_ptl, and of top_k(k), to which the k = `top` largest entries of a visited row
    are no secret.

    With U unseen labels of total probability R, the row loss is

        1/2 sum_{a unseen} |p_a - R/U| = sum_{a unseen} (p_a - R/U)^+,

    or sum_{a unseen} phi(p_a, R/U) in a loss that is a sum of phi(p_a, q_a), always a function of
    the numbers of unseen labels per level. These are empty cells of n draws over cells of
    probability rho_s p_a (the draw misses the row with probability 1 - rho_s), whose mean
    `empty_mean` takes without a sum over visit counts. A row of A distinct probabilities has 2^A
    sets of unseen labels; one of L levels of m_l labels has prod (m_l + 1) vectors of numbers. Zhao
    and Zhu (2023), section 4.3, define the student. The k largest entries of top_k(k) belong to no
    cell; the loss with all other labels unseen is then taken off as often as the row is unvisited,
    (1-rho_s)^n, which in TV is no more than the unvisited row itself adds to the risk.
    """

    top: int = 0
    loss: Loss = TV

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if it is a sum over the labels."""
        return replace(self, loss=loss) if isinstance(loss, SumOverLabels) else None

    def unbounded(self, rows: np.ndarray) -> np.ndarray:
        """Return whether labels of probability 0 of each row may get mass at an infinite cost."""
        known = max(self.top, 1)
        hidden = ((rows > 0.0).sum(axis=1) > known) & (rows == 0.0).any(axis=1)
        return hidden & bool(np.isinf(self.loss.of_rows(np.zeros(1), np.ones(1))))

    @property
    def name(self) -> str:  # type: ignore[override]
        """As refusals call it."""
        return f"top_k({self.top})" if self.top else "sel_ptl"

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,); parts below 1e-150 count as 0."""
        if (self.unbounded(classes.rows) & (classes.weight > 0.0)).any():
            return np.where(n > 0, np.inf, 0.0)
        plans = []
        cost = 0.0
        for c in np.flatnonzero(classes.rho > 0):
            ties = ties_of(classes.rows[c], self.top)
            if self._can_err(ties):
                cells = Cells(ties.size, min(float(classes.rho[c]), 1.0) * ties.value)
                plans.append((c, ties, cells))
                cost += self._cost(ties, cells, n)
        refuse_beyond(cost, self.name, _WAY_OUT)
        total = np.zeros(len(n))
        for c, ties, cells in plans:
            rho = min(float(classes.rho[c]), 1.0)
            table = _LossTable(ties, self.loss, forget_unvisited=self.top == 0)
            loss = np.array([empty_mean(cells, draws, table) if draws else 0.0 for draws in n])
            if self.top:
                all_hidden = [np.array([size]) for size in ties.size]
                everything = float(table(all_hidden).item())
                unvisited = np.where(n > 0, everything * missed(rho, n), 0.0)
                loss = np.maximum(loss - unvisited, 0.0)
            total += rho * float(classes.multiplicity[c]) * loss
        return total

    def settled(self, rows: np.ndarray) -> np.ndarray | None:
        """Return 0 for each row if a visit hides one label at most, which is then known too."""
        hidden = rows.shape[1] - max(self.top, 1)
        return np.zeros(len(rows)) if hidden <= 1 else None

    def dear(self, teacher: Teacher, n: int) -> bool:
        """Return whether a row has so many different probabilities that simulations cost less."""
        classes = teacher.classes
        sizes = np.array([float(max(n // 16, 1))])
        cost = 0.0
        for rho, row in zip(classes.rho, classes.rows, strict=True):
            ties = ties_of(row, self.top)
            if len(ties.value) > _MOST_DIFFERENT:
                return True
            if rho > 0.0 and len(ties.value):
                states = Cells(ties.size, min(float(rho), 1.0) * ties.value).states(sizes)
                cost += _operations(ties, states)
            if cost > DEAR:
                return True
        return False

    def _can_err(self, ties: Ties) -> bool:
        """Whether a visited row can have hidden labels of unequal probability; all of sel_ptl's
        cannot be hidden.
        """
        if len(ties.value) == 1 and ties.zeros:
            return self.top > 0 or ties.size[0] > 1
        return len(ties.value) > 1

    def _cost(
        self,
        ties: Ties,
        cells: Cells,
        n: np.ndarray,
    ) -> float:
        """Return an estimate of the operations for one row class; refuse tables that do not fit in
        memory.
        """
        drawn = n[n > 0]
        if not len(drawn):
            return 0.0
        labels = f"{len(ties.value)} distinct probabilities among {int(ties.size.sum())} labels"
        what = f"{self.name} on a row of {labels}"
        refuse_beyond(2.0 ** min(len(ties.value), 900), what, _WAY_OUT, LARGEST_TABLE)
        states = cells.states(drawn)
        refuse_beyond(float(states.max()), what, _WAY_OUT, LARGEST_TABLE)
        return _operations(ties, states)


def _operations(ties: Ties, states: np.ndarray) -> float:
    different = len(ties.value)
    return float((states * (NODES + 4.0 * different**2) + 2e5 * different).sum())


class _LossTable:
    """The row loss as a table over the numbers of unseen labels per level; the last table is kept.

    With `forget_unvisited` it is 0 where all labels are unseen.
    """

    def __init__(self, ties: Ties, loss: Loss, *, forget_unvisited: bool) -> None:
        self.ties, self.loss = ties, loss
        self.forget_unvisited = forget_unvisited
        self.key: tuple[tuple[float, float], ...] = ()
        self.table = np.zeros(())

    def __call__(self, windows: list[np.ndarray]) -> np.ndarray:
        key = tuple((window[0], window[-1]) for window in windows)
        if key != self.key:
            self.key = key
            self.table = self._build(windows)
        return self.table

    def _build(self, windows: list[np.ndarray]) -> np.ndarray:
        unseen = np.meshgrid(*windows, indexing="ij", sparse=True)
        number = sum(unseen, np.full((), float(self.ties.zeros)))
        loss_of = self._tv if self.loss == TV else self._sum_over_labels
        loss = loss_of(unseen, number)
        size = self.ties.size
        if self.forget_unvisited and all(
            window[-1] == m for window, m in zip(windows, size, strict=True)
        ):
            loss[(-1,) * loss.ndim] = 0.0
        return loss

    def _tv(self, unseen: Sequence[np.ndarray], number: np.ndarray) -> np.ndarray:
        """Return sum_l u_l (sum_j u_j (v_l - v_j))^+ / U; differences come first, so that near ties
        keep digits.
        """
        value, _, zeros = self.ties
        loss = np.zeros(number.shape)
        for l, v in enumerate(value):
            above = sum(
                (u * (v - w) for u, w in zip(unseen, value, strict=True)), np.full((), zeros * v)
            )
            loss += unseen[l] * np.maximum(above, 0.0)
        loss /= np.maximum(number, 1.0)
        return loss

    def _sum_over_labels(self, unseen: Sequence[np.ndarray], number: np.ndarray) -> np.ndarray:
        """Return sum_l u_l phi(v_l, R/U), labels of probability 0 among them."""
        assert isinstance(self.loss, SumOverLabels)
        value, _, zeros = self.ties
        mass = sum((u * v for u, v in zip(unseen, value, strict=True)), np.zeros(()))
        share = mass / np.maximum(number, 1.0)
        loss = np.zeros(number.shape)
        for u, v in zip([*unseen, np.full((), float(zeros))], [*value, 0.0], strict=True):
            loss += u * np.where(u > 0.0, self.loss.each(v, share), 0.0)
        return loss
