"""Exact risks of ce_sgl, the frequencies of the labels of a row, and of its mixtures with the
row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.exact.averages import LabelMeans, average_over_visits
from kt_theory.exact.counted import Counted
from kt_theory.exact.risk import ExactRisk, RowRisk
from kt_theory.losses import Loss, SumOverLabels
from kt_theory.teacher import RowClasses


@dataclass(frozen=True)
class Empirical(RowRisk):
    """The risk of ce_sgl.

    The loss of a row after k >= 1 visits is 1/2 sum_a E|X/k - p_a|, X ~ Bin(k, p_a). De Moivre's
    mean absolute deviation, E|X - kp| = 2 v (1-p) C(k,v) p^v (1-p)^(k-v) with v = floor(kp) + 1, is
    rewritten with v C(k,v) = k C(k-1,v-1) as

        E|X/k - p| = 2 p (1-p) Bin(floor(kp); k-1, p),

    which needs one binomial probability and is continuous in p, so that the rounding of floor(kp)
    does no harm; it is averaged over k ~ Bin(n, rho_s). Rows of equal rho share the weights, equal
    probabilities share the deviation, and values of n with overlapping windows of k share both.
    Source: Diaconis and Zabell (1991), Statistical Science 6(3); the student is Zhao and Zhu
    (2023), section 3.
    """

    name = "ce_sgl"

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        from kt_theory.kernels.exact import label_deviations

        simulation = f"simulate(teacher, [{self.name!r}], n)"
        return average_over_visits(classes, n, LabelMeans(label_deviations), self.name, simulation)

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if it is a sum over the labels."""
        return Counted(0.0, self.name, loss) if isinstance(loss, SumOverLabels) else None


@dataclass(frozen=True)
class Mixed(RowRisk):
    """alpha times the loss of ce_sgl on visited rows: with q = alpha e + (1-alpha) p, TV(q, p) =
    alpha TV(e, p).
    """

    alpha: float

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        return self.alpha * Empirical().visited(classes, n)
