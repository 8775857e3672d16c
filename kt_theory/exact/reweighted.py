"""Exact risk of ce_ptl, whose labels weigh n_sa pi(a|s)."""

from __future__ import annotations

from math import lgamma

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.empirical import TAIL_NATS, empirical_loss
from kt_theory.exact.ties import Levels, row_levels
from kt_theory.teacher import RowClasses


def reweighted_limit(classes: RowClasses) -> float:
    """Return the limit of ce_ptl's risk as n -> infinity: sum_s rho_s TV(pi_s^2 / sum pi_s^2, pi_s), its bias.

    Zhao and Zhu (2023), Lemma 4.2. With c = sum p^2 the row's distance is sum_a p_a (p_a/c - 1)^+.
    """
    rows = classes.rows
    squares = (rows * rows).sum(axis=1, keepdims=True)
    loss = (rows * np.maximum(rows / squares - 1.0, 0.0)).sum(axis=1)
    return float((classes.rho * classes.multiplicity) @ loss)


def reweighted_loss(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s E[row loss of ce_ptl; row visited], the part of its risk that is not an unvisited row's.

    Given the counts N_l of the levels (m_l labels of probability v_l each), W = sum_l N_l v_l is known and a label of
    level l has X ~ Bin(N_l, 1/m_l) counts, so the row loss has the mean

        1/2 sum_l m_l (v_l / W) E|X - W|,

    which is averaged over the multinomial law of (N_1, ..., N_L, n - n_s) on n draws. All terms are >= 0. A row whose
    positive probabilities are equal makes ce_ptl the empirical distribution, ce_sgl. Zhao and Zhu (2023), section 4.1.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0

    Returns
    -------
    (N,) array in [0,1].
    """
    active = np.flatnonzero(classes.rho > 0)
    plans = [(c, row_levels(classes.rows[c])) for c in active]
    flat = [c for c, levels in plans if len(levels.value) == 1]
    plans = [(c, levels) for c, levels in plans if len(levels.value) > 1]
    cost = 0.0
    for c, levels in plans:
        cost += _cost(levels, float(classes.rho[c]), n)
        what = f"ce_ptl (up to {len(levels.value)} distinct probabilities in a row, n up to {n.max():.0f})"
        refuse_beyond(cost, what, "use n=inf, simulate(teacher, ['ce_ptl'], n), or rows of 2 or 3 levels")
    total = empirical_loss(RowClasses(*(field[flat] for field in classes)), n) if flat else np.zeros(len(n))
    for c, levels in plans:
        rho = min(float(classes.rho[c]), 1.0)
        total += rho * float(classes.multiplicity[c]) * np.array([_visited(levels, rho, draws) for draws in n])
    return total


def _visited(levels: Levels, rho: float, n: float) -> float:
    from kt_theory.kernels import exact

    value, size, _ = levels
    chance = rho * value * size
    rest = np.append(np.cumsum(chance[::-1])[::-1], 0.0) + (1.0 - rho)
    return exact.reweighted_loss(float(n), chance / rest[:-1], rest[1:] / rest[:-1], value, size)


def _cost(levels: Levels, rho: float, n: np.ndarray) -> float:
    """Return an estimate of the operations: level counts in their windows, times the terms of each E|X - W|."""
    chance = min(rho, 1.0) * levels.value * levels.size
    count = len(chance)
    total = 0.0
    for draws in n:
        spread = TAIL_NATS / 3 + np.sqrt(TAIL_NATS**2 / 9 + 2 * TAIL_NATS * draws * chance * (1 - chance))
        widths = np.sort(np.log(np.minimum(draws, 2 * spread) + 1))
        # With rho = 1 the last count follows from the others; few draws leave few vectors of counts.
        free = widths[: count - (rho >= 1)].sum()
        vectors = lgamma(draws + count + 1) - lgamma(draws + 1) - lgamma(count + 1) if draws < 1e6 else np.inf
        inner = 60 + 5 * count + np.where(levels.size == 1, 0.0, 60 + 20 * np.sqrt(draws * rho * levels.value)).sum()
        total += float(np.exp(min(free, vectors, 600.0)) * inner)
    return total
