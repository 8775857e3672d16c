"""Exact risk of sel_ptl and of top_k: equal sharing of the hidden probability among the hidden labels."""

from __future__ import annotations

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.ties import Levels, row_levels
from kt_theory.exact.occupancy import Cells, empty_mean
from kt_theory.teacher import RowClasses

LARGEST_TABLE = 2e7
NODES = 100.0


def unseen_loss(classes: RowClasses, n: np.ndarray, top: int = 0) -> np.ndarray:
    """Return sum_s rho_s E[row loss of sel_ptl; row visited], the part of its risk that is not an unvisited row's.

    With `top` = k the same for top_k(k), to which the k largest entries of a visited row are no secret.

    With U unseen labels of total probability R, the row loss is

        1/2 sum_{a unseen} |p_a - R/U| = sum_{a unseen} (p_a - R/U)^+,

    a function of the numbers of unseen labels per level. These are empty cells of n draws over cells of probability
    rho_s p_a (the draw misses the row with probability 1 - rho_s), whose mean `empty_mean` takes without a sum over
    visit counts. A row of A distinct probabilities has 2^A sets of unseen labels; one of L levels of m_l labels has
    prod (m_l + 1) vectors of numbers. Zhao and Zhu (2023), section 4.3, define the student. The k largest entries of
    top_k(k) belong to no cell; the loss with all other labels unseen is then taken off as often as the row is
    unvisited, (1-rho_s)^n, which is no more than the unvisited row itself adds to the risk.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    top : int

    Returns
    -------
    (N,) array in [0,1]; parts below 1e-150 count as 0.
    """
    active = np.flatnonzero(classes.rho > 0)
    plans = [(c, row_levels(classes.rows[c], top)) for c in active]
    plans = [(c, levels) for c, levels in plans if _can_err(levels, top)]
    student = f"top_k({top})" if top else "sel_ptl"
    cost = 0.0
    for c, levels in plans:
        cost += _cost(levels, float(classes.rho[c]), n, student)
    refuse_beyond(cost, student, _WAY_OUT)
    total = np.zeros(len(n))
    for c, levels in plans:
        rho = min(float(classes.rho[c]), 1.0)
        table = _LossTable(levels, forget_unvisited=top == 0)
        cells = Cells(levels.size, rho * levels.value)
        share = rho * float(classes.multiplicity[c])
        risk = np.array([empty_mean(cells, draws, table) if draws else 0.0 for draws in n])
        if top:
            everything = float(table([np.array([size]) for size in levels.size]).item())
            risk = np.maximum(risk - np.where(n > 0, everything * (1.0 - rho) ** n, 0.0), 0.0)
        total += share * risk
    return total


def _can_err(levels: Levels, top: int) -> bool:
    """Whether a visited row can have hidden labels of unequal probability; all of sel_ptl's cannot be hidden."""
    if len(levels.value) == 1 and levels.zeros:
        return top > 0 or levels.size[0] > 1
    return len(levels.value) > 1


_WAY_OUT = "use simulate; exact are rows of few distinct probabilities and of up to 20 labels"


def _cost(levels: Levels, rho: float, n: np.ndarray, student: str) -> float:
    """Return an estimate of the operations for one row class; refuse tables that do not fit in memory."""
    drawn = n[n > 0]
    if not len(drawn):
        return 0.0
    what = f"{student} on a row of {len(levels.value)} distinct probabilities among {int(levels.size.sum())} labels"
    refuse_beyond(2.0 ** min(len(levels.value), 900), what, _WAY_OUT, LARGEST_TABLE)
    states = Cells(levels.size, min(rho, 1.0) * levels.value).states(drawn)
    refuse_beyond(float(states.max()), what, _WAY_OUT, LARGEST_TABLE)
    return float((states * (NODES + 4.0 * len(levels.value) ** 2) + 2e5 * len(levels.value)).sum())


class _LossTable:
    """The row loss as a table over the numbers of unseen labels per level; the last table is kept.

    With `forget_unvisited` it is 0 where all labels are unseen.
    """

    def __init__(self, levels: Levels, *, forget_unvisited: bool) -> None:
        self.levels, self.forget_unvisited = levels, forget_unvisited
        self.key: tuple[tuple[float, float], ...] = ()
        self.table = np.zeros(())

    def __call__(self, windows: list[np.ndarray]) -> np.ndarray:
        key = tuple((window[0], window[-1]) for window in windows)
        if key != self.key:
            self.key, self.table = key, self._build(windows)
        return self.table

    def _build(self, windows: list[np.ndarray]) -> np.ndarray:
        """Return sum_l u_l (sum_j u_j (v_l - v_j))^+ / U; differences come first, so that near ties keep digits."""
        value, size, zeros = self.levels
        unseen = np.meshgrid(*windows, indexing="ij", sparse=True)
        number = sum(unseen, np.full((), float(zeros)))
        loss = np.zeros(number.shape)
        for l, v in enumerate(value):
            above = sum((u * (v - w) for u, w in zip(unseen, value, strict=True)), np.full((), zeros * v))
            loss += unseen[l] * np.maximum(above, 0.0)
        loss /= np.maximum(number, 1.0)
        if self.forget_unvisited and all(window[-1] == m for window, m in zip(windows, size, strict=True)):
            loss[(-1,) * loss.ndim] = 0.0
        return loss
