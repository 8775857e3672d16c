"""Exact risk of ce_sgl, the empirical distribution of the labels of a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.teacher import RowClasses

TAIL_NATS = 47.0
CHUNK = 2**16


def visit_window(n: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers low, high with P(k < low) and P(k > high) at most e^-47 for k ~ Bin(n, rho).

    Bernstein: P(|k - n rho| >= t) <= 2 exp(-t^2 / (2 n rho (1-rho) + 2t/3)).
    """
    mean = n * rho
    spread = TAIL_NATS / 3 + np.sqrt(TAIL_NATS**2 / 9 + 2 * TAIL_NATS * mean * (1 - rho))
    if rho >= 1.0:
        return n.copy(), n.copy()
    return np.maximum(np.floor(mean - spread), 0.0), np.minimum(np.ceil(mean + spread), n)


def empirical_loss(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s E[row loss of ce_sgl; row visited], the part of its risk that is not an unvisited row's.

    The loss of a row after k >= 1 visits is 1/2 sum_a E|X/k - p_a|, X ~ Bin(k, p_a). De Moivre's mean absolute
    deviation, E|X - kp| = 2 v (1-p) C(k,v) p^v (1-p)^(k-v) with v = floor(kp) + 1, is rewritten with
    v C(k,v) = k C(k-1,v-1) as

        E|X/k - p| = 2 p (1-p) Bin(floor(kp); k-1, p),

    which needs one binomial probability and is continuous in p, so that the rounding of floor(kp) does no harm; it is
    averaged over k ~ Bin(n, rho_s). Rows of equal rho share the weights, equal probabilities share the deviation, and
    values of n with overlapping windows of k share both. Source: Diaconis and Zabell (1991), Statistical Science 6(3);
    the student is Zhao and Zhu (2023), section 3.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0

    Returns
    -------
    (N,) array in [0,1].
    """
    from kt_theory.kernels.exact import label_deviations

    return average_over_visits(classes, n, label_deviations, "ce_sgl")


Deviations = Callable[[float, np.ndarray, np.ndarray, np.ndarray], None]
"""(first, labels, weight, profile): write sum_j weight_j E|q_j - p_j| for first, first + 1, ... visits."""


def average_over_visits(
    classes: RowClasses,
    n: np.ndarray,
    deviations: Deviations,
    student: str,
    *,
    price: float = 1.0,
    errs_at_0: bool = False,
) -> np.ndarray:
    """Return sum_s rho_s E[1/2 sum_a E(|q(a) - p_a| | k visits); k >= 1], k ~ Bin(n, rho_s), (N,).

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    deviations : callable
    student : str
        For the refusal.
    price : float
        Cost of one deviation, in nanoseconds.
    errs_at_0 : bool
        Whether the student errs on labels of probability 0 and 1 of a visited row.
    """
    plans = []
    for rho in np.unique(classes.rho[classes.rho > 0]):
        group = classes.rho == rho
        rows = classes.rows[group]
        labels, position = np.unique(rows, return_inverse=True)
        share = np.repeat(classes.multiplicity[group].astype(np.float64), rows.shape[1])
        weight = np.bincount(position.ravel(), weights=share, minlength=len(labels))
        inside = np.full(len(labels), True) if errs_at_0 else (labels > 0) & (labels < 1)
        plans.append(_Plan(min(float(rho), 1.0), labels[inside], weight[inside], n, price))
    cost = sum(plan.cost for plan in plans)
    refuse_beyond(cost, student, f"give fewer values of n, a smaller n, or simulate(teacher, [{student!r}], n)")
    return sum((plan.run(deviations) for plan in plans), np.zeros(len(n)))


class _Plan:
    """Rows of equal rho: the merged windows of their visit counts, and what walking through them costs."""

    def __init__(self, rho: float, labels: np.ndarray, weight: np.ndarray, n: np.ndarray, price: float) -> None:
        self.rho, self.labels, self.weight, self.n = rho, labels, weight, n
        self.low, self.high = visit_window(n, rho)
        self.low = np.maximum(self.low, 1.0)
        self.stretches = _merge(self.low, self.high)
        walked = sum(stop - start + 1 for start, stop in self.stretches)
        averaged = float(np.maximum(self.high - self.low + 1, 0).sum())
        starts = 50.0 * len(labels) * len(self.stretches)
        self.cost = (walked * price * max(len(labels), 64) + starts + 2 * averaged) if len(labels) else 0.0

    def run(self, deviations: Deviations) -> np.ndarray:
        """Return rho times the sum over the rows of this rho, (N,)."""
        from kt_theory.kernels.exact import binomial_averages

        total = np.zeros(len(self.n))
        if not len(self.labels):
            return total
        for start, stop in self.stretches:
            for first in range(start, stop + 1, CHUNK):
                profile = np.empty(min(CHUNK, stop - first + 1))
                deviations(float(first), self.labels, self.weight, profile)
                binomial_averages(self.n, self.rho, 1.0 - self.rho, self.low, self.high, float(first), profile, total)
        return 0.5 * self.rho * total


def _merge(low: np.ndarray, high: np.ndarray) -> list[tuple[int, int]]:
    """Return the union of the intervals low..high as disjoint intervals in order."""
    merged: list[tuple[int, int]] = []
    for i in np.argsort(low, kind="stable"):
        start, stop = int(low[i]), int(high[i])
        if stop < start:
            continue
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged
