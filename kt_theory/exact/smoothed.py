"""Exact risks of frequencies with pseudo-counts: the same for all labels, or those of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.exact.averages import LabelMeans, average_over_visits, in_batches, visit_window
from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.counted import Counted
from kt_theory.exact.informed import refuse_other_shape
from kt_theory.exact.risk import ExactRisk, RowRisk
from kt_theory.losses import Loss, SumOverLabels
from kt_theory.numeric import total_variation
from kt_theory.teacher import RowClasses, Teacher

PRICE = 300.0
"""Nanoseconds for a binomial probability and a distribution function."""


@dataclass(frozen=True)
class Smoothed(RowRisk):
    """The risk of add_c.

    After k visits the student writes (X + c)/(k + cA), X ~ Bin(k, p). With m = p (k + cA) - c and v
    = floor(m),

        E|X - m| = c (1 - pA) (1 - 2 P(Bin(k-1, p) <= v-1)) + 2 m (1-p) P(Bin(k-1, p) = v),

    from E|X - m| = E(X - m) + 2 E(m - X)^+, E(m - X)^+ = m P(X <= v) - kp P(Bin(k-1, p) <= v-1),
    and P(X <= v) = P(Bin(k-1, p) <= v-1) + (1-p) P(Bin(k-1, p) = v). No difference of large numbers
    is left; c = 0 gives de Moivre's formula.
    """

    c: float

    @property
    def name(self) -> str:  # type: ignore[override]
        """As refusals call it."""
        return f"add_c({self.c:g})"

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        pairs = self.c * classes.rows.shape[1]

        def mean(k: np.ndarray, p: np.ndarray, rest: np.ndarray) -> np.ndarray:
            return deviation(k, p, self.c, pairs)

        means = LabelMeans(in_batches(mean), PRICE, errs_at_0=True)
        simulation = f"simulate(teacher, students.{self.name}, n)"
        return average_over_visits(classes, n, means, self.name, simulation)

    def in_loss(self, loss: Loss) -> ExactRisk | None:
        """Return the risk in another loss, if it is a sum over the labels."""
        return Counted(self.c, self.name, loss) if isinstance(loss, SumOverLabels) else None


@dataclass(frozen=True, eq=False)
class Shrunk(ExactRisk):
    """The risk of (n_sa + w_s prior_s) / (n_s + w_s), E|(X + w b)/(k + w) - p| over X ~ Bin(k, p),
    k, s and a.

    The mean deviation is that of add_c, with w b for c and w for cA.

    Attributes
    ----------
    prior : (S, A) array, rows sum to 1
    weights : (S,) array, >= 0 or inf
    name : str
    """

    prior: np.ndarray
    weights: np.ndarray
    name: str

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,)."""
        from scipy.stats import binom

        refuse_other_shape(self.prior, teacher)
        kept = np.asarray(total_variation(self.prior, teacher.pi))
        believes = np.isfinite(self.weights)
        learns = np.flatnonzero(believes & (teacher.rho > 0))
        floor = float((teacher.rho * kept)[~believes].sum())
        risk = np.full(len(n), floor)
        finite = np.flatnonzero(np.isfinite(n))
        rhos = {s: min(float(teacher.rho[s]), 1.0) for s in learns}
        windows = {s: visit_window(n[finite], rho) for s, rho in rhos.items()}
        visits = sum(float((high - low + 1).sum()) for low, high in windows.values())
        refuse_beyond(
            visits * PRICE * teacher.labels, "shrink", "use simulate(teacher, student, n)"
        )
        for s, (low, high) in windows.items():
            rho = rhos[s]
            weight = float(self.weights[s])
            for i, first, last in zip(finite, low, high, strict=True):
                k = np.arange(max(first, 1.0), last + 1.0)
                each = deviation(k[:, None], teacher.pi[s], weight * self.prior[s], weight)
                lost = 0.5 * each.sum(axis=1)
                never = binom.pmf(0, n[i], rho)
                risk[i] += rho * (never * kept[s] + binom.pmf(k, n[i], rho) @ lost)
        return risk


def deviation(
    k: np.ndarray,
    p: np.ndarray,
    c: Any,
    pairs: Any,
) -> np.ndarray:
    """Return E|(X + c)/(k + pairs) - p| for X ~ Bin(k, p), k >= 1, by broadcasting."""
    from scipy.special import betainc
    from scipy.stats import binom

    total = k + pairs
    m = p * total - c
    v = np.floor(m)
    inside = (v >= 1) & (v <= k - 1)
    first = np.where(inside, k - v, 1.0)
    second = np.where(inside, v, 1.0)
    tail = betainc(first, second, np.broadcast_to(1.0 - p, v.shape))
    below = np.where(inside, tail, v > k - 1)
    here = binom.pmf(v, k - 1, p)
    gap = (c - p * pairs) * (1.0 - 2.0 * below)
    gap += 2.0 * m * (1.0 - p) * here
    return np.maximum(gap, 0.0) / total
