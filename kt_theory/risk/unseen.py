"""Exact risk of sel_ptl: equal sharing of the unseen probability among the unseen labels."""

from __future__ import annotations

import numpy as np

from kt_theory.risk.cost import refuse_beyond
from kt_theory.risk.levels import Levels, row_levels
from kt_theory.risk.occupancy import Cells, empty_mean
from kt_theory.teacher import RowClasses

LARGEST_TABLE = 2e7
NODES = 100.0


def unseen_loss(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s E[row loss of sel_ptl; row visited], the part of its risk that is not an unvisited row's.

    With U unseen labels of total probability R, the row loss is

        1/2 sum_{a unseen} |p_a - R/U| = sum_{a unseen} (p_a - R/U)^+,

    a function of the numbers of unseen labels per level. These are empty cells of n draws over cells of probability
    rho_s p_a (the draw misses the row with probability 1 - rho_s), whose mean `empty_mean` takes without a sum over
    visit counts. A row of A distinct probabilities has 2^A sets of unseen labels; one of L levels of m_l labels has
    prod (m_l + 1) vectors of numbers. Zhao and Zhu (2023), section 4.2, define the student.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0

    Returns
    -------
    (N,) array in [0,1]; parts below 1e-150 count as 0.
    """
    active = np.flatnonzero(classes.rho > 0)
    plans = [(c, row_levels(classes.rows[c])) for c in active]
    plans = [(c, levels) for c, levels in plans if len(levels.value) > 1 or (levels.zeros and levels.size[0] > 1)]
    cost = 0.0
    for c, levels in plans:
        cost += _cost(levels, float(classes.rho[c]), n)
    refuse_beyond(cost, "sel_ptl", _WAY_OUT)
    total = np.zeros(len(n))
    for c, levels in plans:
        rho = min(float(classes.rho[c]), 1.0)
        table = _LossTable(levels)
        cells = Cells(levels.size, rho * levels.value)
        share = rho * float(classes.multiplicity[c])
        total += [share * empty_mean(cells, draws, table) if draws else 0.0 for draws in n]
    return total


_WAY_OUT = "use simulate(teacher, ['sel_ptl'], n); exact are rows of few distinct probabilities and of up to 20 labels"


def _cost(levels: Levels, rho: float, n: np.ndarray) -> float:
    """Return an estimate of the operations for one row class; refuse tables that do not fit in memory."""
    drawn = n[n > 0]
    if not len(drawn):
        return 0.0
    what = f"sel_ptl on a row of {len(levels.value)} distinct probabilities among {int(levels.size.sum())} labels"
    refuse_beyond(2.0 ** min(len(levels.value), 900), what, _WAY_OUT, LARGEST_TABLE)
    states = Cells(levels.size, min(rho, 1.0) * levels.value).states(drawn)
    refuse_beyond(float(states.max()), what, _WAY_OUT, LARGEST_TABLE)
    return float((states * (NODES + 4.0 * len(levels.value) ** 2) + 2e5 * len(levels.value)).sum())


class _LossTable:
    """The row loss as a table over the numbers of unseen labels per level; the last table is kept."""

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
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
        if all(window[-1] == m for window, m in zip(windows, size, strict=True)):
            loss[(-1,) * loss.ndim] = 0.0
        return loss
