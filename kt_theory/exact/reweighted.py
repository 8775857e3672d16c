"""Exact risk of ce_ptl, whose labels weigh n_sa pi(a|s)."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np

from kt_theory.exact.averages import TAIL_NATS
from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.risk import RowRisk
from kt_theory.exact.ties import Ties, ties_of
from kt_theory.numeric import bernstein
from kt_theory.teacher import RowClasses, Teacher

DEAR = 3e7
"""Operations of about a nanosecond beyond which simulations cost less."""

_WAY_OUT = "use n=inf, simulate(teacher, ['ce_ptl'], n), or rows of 2 or 3 levels"


@dataclass(frozen=True)
class Reweighted(RowRisk):
    """The risk of ce_ptl.

    Given the counts N_l of the levels (m_l labels of probability v_l each), W = sum_l N_l v_l is
    known and a label of level l has X ~ Bin(N_l, 1/m_l) counts, so the row loss has the mean

        1/2 sum_l m_l (v_l / W) E|X - W|,

    which is averaged over the multinomial law of (N_1, ..., N_L, n - n_s) on n draws. All terms are
    >= 0. A row whose positive probabilities are equal makes ce_ptl the empirical distribution,
    ce_sgl. Zhao and Zhu (2023), section 4.1.
    """

    name = "ce_ptl"

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        plans = [(c, ties_of(classes.rows[c])) for c in np.flatnonzero(classes.rho > 0)]
        flat = [c for c, ties in plans if len(ties.value) == 1]
        plans = [(c, ties) for c, ties in plans if len(ties.value) > 1]
        cost = 0.0
        for c, ties in plans:
            cost += _cost(ties, float(classes.rho[c]), n)
            size = f"up to {len(ties.value)} distinct probabilities in a row, n up to {n.max():.0f}"
            refuse_beyond(cost, f"ce_ptl ({size})", _WAY_OUT)
        total = np.zeros(len(n))
        if flat:
            total = Empirical().visited(RowClasses(*(field[flat] for field in classes)), n)
        for c, ties in plans:
            rho = min(float(classes.rho[c]), 1.0)
            losses = np.array([_row_loss(ties, rho, draws) for draws in n])
            total += rho * float(classes.multiplicity[c]) * losses
        return total

    def dear(self, teacher: Teacher, n: int) -> bool:
        """Return whether rows have so many levels and visits that simulations cost less."""
        sizes, cost = np.array([float(n)]), 0.0
        for rho, row in zip(teacher.classes.rho, teacher.classes.rows, strict=True):
            ties = ties_of(row)
            if rho > 0.0 and len(ties.value) > 1:
                cost += _cost(ties, float(rho), sizes)
        return cost > DEAR

    def limit(self, classes: RowClasses) -> float:
        """Return its bias, sum_s rho_s TV(pi_s^2 / sum pi_s^2, pi_s): Zhao and Zhu (2023), Lemma
        4.2.

        With c = sum p^2 the row's distance is sum_a p_a (p_a/c - 1)^+.
        """
        rows = classes.rows
        squares = (rows * rows).sum(axis=1, keepdims=True)
        loss = (rows * np.maximum(rows / squares - 1.0, 0.0)).sum(axis=1)
        return float(classes.weight @ loss)


def _row_loss(ties: Ties, rho: float, n: float) -> float:
    from kt_theory.kernels.exact import reweighted_loss

    value, size, _ = ties
    chance = rho * value * size
    rest = np.append(np.cumsum(chance[::-1])[::-1], 0.0) + (1.0 - rho)
    taken = chance / rest[:-1]
    left = rest[1:] / rest[:-1]
    others = value @ size - value
    others[0] = (size[0] - 1.0) * value[0] + value[1:] @ size[1:]
    return reweighted_loss(float(n), taken, left, value, size, others)


def _cost(ties: Ties, rho: float, n: np.ndarray) -> float:
    """Return an estimate of the operations: counts in their windows, times the terms of each E|X -
    W|.
    """
    chance = min(rho, 1.0) * ties.value * ties.size
    count = len(chance)
    total = 0.0
    for draws in n:
        spread = bernstein(TAIL_NATS, draws * chance * (1 - chance))
        widths = np.sort(np.log(np.minimum(draws, 2 * spread) + 1))
        # With rho = 1 the last count follows from the others; few draws leave few vectors of
        # counts.
        free = widths[: count - (rho >= 1)].sum()
        vectors = np.inf
        if draws < 1e6:
            vectors = lgamma(draws + count + 1) - lgamma(draws + 1) - lgamma(count + 1)
        single = 60 + 20 * np.sqrt(draws * rho * ties.value)
        inner = 60 + 5 * count + np.where(ties.size == 1, 0.0, single).sum()
        total += float(np.exp(min(free, vectors, 600.0)) * inner)
    return total
