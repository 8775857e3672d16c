"""The exact risk of labels that come back as others at a known rate, of two labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.exact.averages import LabelMeans, average_over_visits, in_batches
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import RowRisk
from kt_theory.exact.smoothed import PRICE
from kt_theory.exact.unvisited import uniform_distance
from kt_theory.teacher import RowClasses


@dataclass(frozen=True)
class Flipped(RowRisk):
    """The risk of `kt_theory.students.confused` of a rate eta, for teachers of two labels.

    After k visits X ~ Bin(k, r) labels come back as the first one, r = eta + l p, l = 1 - 2 eta,
    and the student writes Y = (X/k - eta) / l cut to [0, 1]. For eta < 1/2, as p lies in [0, 1],

        E|q - p| = E|Y - p| - E(Y - 1)^+ - E(-Y)^+
                 = [2 E(k r - X)^+ - E(k eta - X')^+ - E(k eta - X)^+] / (k l),    X' = k - X,
        E(m - X)^+ = m P(X <= v) - k r P(Bin(k-1, r) <= v-1),    v = floor(m).

    eta > 1/2 is the same as 1 - eta with the labels exchanged; at 1/2 the student is uniform.
    """

    rate: float
    least: float

    @property
    def name(self) -> str:  # type: ignore[override]
        """As refusals call it."""
        return f"confused({self.rate:g})"

    @property
    def told(self) -> bool:
        """Whether anything of two labels comes back."""
        return abs(1.0 - 2.0 * self.rate) > self.least

    def limit(self, classes: RowClasses) -> float:
        """Return 0, or what the uniform student loses where nothing comes back."""
        self._refuse_more_labels(classes)
        if self.told:
            return 0.0
        return float((classes.multiplicity * classes.rho) @ uniform_distance(classes.rows))

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        self._refuse_more_labels(classes)
        means = LabelMeans(in_batches(self._deviation), 3.0 * PRICE, errs_at_0=True)
        simulation = f"simulate(teacher, students.{self.name}, n)"
        return average_over_visits(classes, n, means, self.name, simulation)

    def _deviation(self, k: np.ndarray, p: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Return E|q - p|, by broadcasting."""
        if not self.told:
            return np.abs(p - 0.5) * np.ones_like(k)
        eta = min(self.rate, 1.0 - self.rate)
        left = 1.0 - 2.0 * eta
        r, other = eta + left * p, eta + left * rest
        # One of a pair of labels: what comes back as the second is the rest.
        off = 2.0 * _short(k, r, k * r)
        cut = _short(k, other, k * eta) + _short(k, r, k * eta)
        return np.maximum(off - cut, 0.0) / (k * left)

    def _refuse_more_labels(self, classes: RowClasses) -> None:
        labels = classes.rows.shape[1]
        if labels != 2:
            raise NoExactRisk(
                f"student {self.name!r} has an exact risk for teachers of two labels, not of "
                f"{labels}: use simulate(teacher, student, n)"
            )


def _short(k: np.ndarray, r: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Return E(m - X)^+ for X ~ Bin(k, r), k >= 1, 0 < r < 1, by broadcasting."""
    from scipy.stats import binom

    v = np.floor(m)
    return m * binom.cdf(v, k, r) - k * r * binom.cdf(v - 1.0, k - 1.0, r)
