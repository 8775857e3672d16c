"""Exact risks of students that are right about the labels they were shown, and lose the mass of the
others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.exact.empirical import Empirical
from kt_theory.exact.risk import RowRisk
from kt_theory.numeric import log_missed
from kt_theory.teacher import RowClasses


@dataclass(frozen=True)
class HiddenMass(RowRisk):
    """The probability of the labels outside the `top` largest that stay hidden in visited rows.

    It is all of the loss where the shown labels are right up to a common factor and the others are
    given none:

        sum_s rho_s sum_a p_a [(1 - rho_s p_a)^n - (1-rho_s)^n].
    """

    top: int = 0

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        tail = classes.rows[:, self.top :]
        rho = np.minimum(classes.rho, 1.0)[:, None]
        hit = rho * tail
        inside = (tail > 0) & (hit < 1) & (rho > 0)
        share = classes.weight[:, None] * np.where(inside, tail, 0.0)
        hit = np.where(inside, hit, 0.0)
        ratio = log_missed((rho - hit) / (1.0 - hit))
        return _missed_by_some(share, log_missed(hit), ratio, n)


@dataclass(frozen=True)
class NonTarget(RowRisk):
    """The risk of non_target.

    A row of three or more labels of positive probability is known once two of them were sampled.
    Before that all mass lies on the only one seen: after k visits, with probability p_a^k, it is a
    and 1 - p_a is lost. Over k,

        rho sum_a (1-p_a) [(1 - rho (1-p_a))^n - (1-rho)^n].

    A row of two labels keeps the frequencies, as `Empirical`; a point mass is known at the first
    visit.
    """

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        two = (classes.rows > 0.0).sum(axis=1) == 2
        odds = RowClasses(*(part[two] for part in classes))
        total = np.zeros(len(n))
        if two.any():
            total = Empirical().visited(odds, n)
        rows = classes.rows[~two]
        hit = np.minimum(classes.rho[~two], 1.0)[:, None]
        rest = 1.0 - rows
        rest[:, 0] = rows[:, 1:].sum(axis=1)  # 1 - p cancels for the largest alone
        rest = np.where(rows > 0.0, rest, 0.0)
        share = classes.weight[~two, None] * rest
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = log_missed(hit * rows / (1.0 - hit * rest))
        ratio = np.where(rows > 0.0, ratio, 0.0)
        return total + _missed_by_some(share, log_missed(hit * rest), ratio, n)


def _missed_by_some(
    share: np.ndarray,
    stays: np.ndarray,
    ratio: np.ndarray,
    n: np.ndarray,
) -> np.ndarray:
    """Return sum share (e^{n stays} - e^{n (stays + ratio)}), (N,): one power times 1 - the other's
    ratio to it.

    So near ties keep their digits.
    """
    found = np.zeros(len(n))
    for i in np.flatnonzero(n):
        missed = share * np.exp(n[i] * stays)
        found[i] = -(missed * np.expm1(n[i] * ratio)).sum()
    return found
