"""Upper bounds for hard labels, one input and few labels: add-c relieved at the corners of the
simplex.

What limits add-c is its bias at the corners: the c that serves a uniform row shrinks a point mass
too much. Here the estimate of label a is at least u(n_a), with

    M u(x) = x + c - delta (1 - x/m)^+ + delta (A-1 - (n-x)/m)^+,
    M = n + cA, delta = c/5, m about c^2.

If 2m(A-1) <= n, at most one label has the last term, and by Jensen it is at most what the others
give up: sum_a u <= 1. So some student has q >= u, and it loses sum_a (pi_a - q_a)^+ <= sum_a (pi_a
- u(n_a))^+, a sum over labels.

Legend: A labels, n samples, j the largest count with u(j) <= p, `edge` = m(A-1).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kt_theory.limits.hard.add_c import (
    CERTIFICATE,
    LARGEST_RATIO,
    best_constant,
    certified_maximum,
    largest_mass,
    risk_grid,
)
from kt_theory.limits.hard.priors import log_binomial
from kt_theory.limits.optimise import minimum

LARGEST_FEW = 9
"""Most labels for which the relieved student is certified; beyond, it gains less than 0.1 % on
add-c.
"""

RELIEF = 0.2
"""delta / c: how much less an unseen label gets at a corner."""

SMALL = 0.3
"""A label counts as small below this multiple of 1/A; small and other labels are bounded apart."""


class Relieved(NamedTuple):
    """The relieved student: its sizes and c."""

    labels: int
    n: int
    c: float

    @property
    def total(self) -> float:
        """M = n + cA."""
        return self.n + self.c * self.labels

    @property
    def reach(self) -> float:
        """The count m from which a label gives nothing up: c^2, and 2m(A-1) <= n."""
        return min(self.c * self.c, 0.5 * self.n / (self.labels - 1))

    @property
    def steep(self) -> float:
        """delta/m, what relief adds to the slope of M u at the ends."""
        return RELIEF * self.c / self.reach

    @property
    def edge(self) -> float:
        """m(A-1): the label with more than n - m(A-1) samples gets what the others give up."""
        return self.reach * (self.labels - 1)

    def last(self, p: np.ndarray) -> np.ndarray:
        """Return j, the largest count with u(j) <= p, between -1 and n."""
        x, delta = self.total * p - self.c, RELIEF * self.c
        low, high = (
            (x + delta) / (1.0 + self.steep),
            (x + self.steep * (self.n - self.edge)) / (1.0 + self.steep),
        )
        count = np.where(x < self.reach, low, np.where(x < self.n - self.edge, x, high))
        return np.clip(np.floor(count), -1.0, self.n)

    def risk(self, p: np.ndarray) -> np.ndarray:
        """Return E (p - u(X))^+, X ~ Bin(n, p): the sum over x <= j of a piecewise linear function,
        in closed form.
        """
        j, reach, edge, n = self.last(p), self.reach, self.edge, self.n
        shortfall = _below(self.total * p - self.c, j, n, p)
        given = _below(reach, np.minimum(j, math.floor(reach)), n, p)
        far = math.floor(edge)
        taken = _below(edge, far, n, 1.0 - p) - _below(
            edge, np.minimum(n - j - 1.0, far), n, 1.0 - p
        )
        return (shortfall + self.steep * (given - taken)) / self.total

    def excess_bound(self, slope: float, edges: np.ndarray, gap: float) -> float:
        """Return an upper bound of max r(p) - slope (p - 1/A) between the first and the last of
        `edges`.

        Between kinks r'' = n(n-1) E[second difference of (p - u)^+] - 2n b(j; n-1, p), and at kinks
        r' jumps up. u bends up only at n - m(A-1), by delta/(mM), so r'' >= -2n B_j - n(n-1)
        delta/(mM) B, B_j and B the largest masses of Bin(n-1, .) at j and of Bin(n-2, .) at the
        bend. Also |r'| <= cA/M + B_j + n delta/(mM).
        """
        n, total = self.n, self.total
        bend_at = np.array([math.floor(n - self.edge) - 1.0, math.ceil(n - self.edge) - 1.0])
        bend = (
            n
            * (n - 1.0)
            * self.steep
            / total
            * float(largest_mass(bend_at, max(n - 2.0, 0.0)).max())
        )
        slopes = (self.c * self.labels + n * self.steep) / total + abs(slope)

        def excess(p: np.ndarray) -> np.ndarray:
            return self.risk(p) - slope * (p - 1.0 / self.labels)

        def bound(u: np.ndarray, v: np.ndarray, at_u: np.ndarray, at_v: np.ndarray) -> np.ndarray:
            first, last = self.last(u), self.last(v)
            certain = ((first <= 0.0) & (last >= 0.0)) | ((first <= n - 1.0) & (last >= n - 1.0))
            mass = np.where(
                certain, 1.0, np.maximum(largest_mass(first, n - 1.0), largest_mass(last, n - 1.0))
            )
            smooth = np.maximum(at_u, at_v) + (2.0 * n * mass + bend) * (v - u) ** 2 / 8.0
            return np.minimum(smooth, 0.5 * (at_u + at_v) + 0.5 * (slopes + mass) * (v - u))

        return certified_maximum(excess, bound, edges, gap)


def _below(w: np.ndarray | float, i: np.ndarray | float, n: int, p: np.ndarray) -> np.ndarray:
    """Return E[(w - X) 1{X <= i}], X ~ Bin(n, p): (w - np) F_i + (i+1)(1-p) b_{i+1}, de Moivre."""
    from scipy.special import betainc

    inside = (i >= 0.0) & (i < n)
    k = np.where(inside, i, 0.0)
    share = np.where(
        inside, betainc(n - k, k + 1.0, 1.0 - p), np.where(np.asarray(i) < 0.0, 0.0, 1.0)
    )
    jump = np.where(
        inside, (k + 1.0) * (1.0 - p) * np.exp(log_binomial(k + 1.0, n - k - 1.0, p)), 0.0
    )
    return (w - n * p) * share + jump


def small_counts(student: Relieved, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for z = 0 .. A-1 small labels, the maximum of sum_a r(pi_a) over the points p, and
    its best slope.

    With z labels below `SMALL`/A and A-z above, the sum is at most z max_small e + (A-z) max_other
    e for every slope of e(p) = r(p) - slope (p - 1/A); z = A cannot sum to one. One envelope for
    all labels would allow fractional z.
    """
    risk, offset = student.risk(p), p - 1.0 / student.labels
    scale, cut = float(risk.max()) * student.labels, SMALL / student.labels
    small, other = p <= cut, p >= cut
    found = []
    for z in range(student.labels):

        def total(x: float, z: int = z) -> float:
            e = risk - x * scale * offset
            return float(z * e[small].max() + (student.labels - z) * e[other].max())

        value, x = minimum(total, -3.0, 3.0, 1e-9)
        found.append((value, x * scale))
    values, slopes = np.array(found).T
    return values, slopes


def few_grid(student: Relieved) -> np.ndarray:
    """Return `risk_grid` and more points: about 0, 1, 1/2, ..., 1/A, the cut of small labels and
    the bends of u.
    """
    labels, n, c = student
    spread = np.geomspace(1.0 / n, 1.0, 200)
    bends = (np.array([student.reach, n - student.edge]) + c) / student.total
    relief = bends[:, None] * np.array([0.98, 0.99, 1.0, 1.01, 1.02])
    more = [
        spread,
        1.0 - spread,
        1.0 / np.arange(1.0, labels),
        [SMALL / labels],
        np.minimum(relief.ravel(), 1.0),
    ]
    return np.unique(np.concatenate([risk_grid(labels, n, c), *more]))


def best_relieved(labels: int, n: int) -> Relieved:
    """Return the relieved student whose c (nearly) minimises its worst case; any c > 0 proves a
    bound. n >= 1.
    """
    used = min(n, LARGEST_RATIO * labels)
    c = best_constant(labels, used)

    def worst(x: float) -> float:
        student = Relieved(labels, used, c * x)
        return float(small_counts(student, few_grid(student))[0].max())

    return Relieved(labels, used, c * minimum(worst, 0.98, 1.15, 1e-3)[1])


def relieved_upper(student: Relieved) -> float:
    """Return a proved bound of the student's worst case: the largest of the bounds for z small
    labels.
    """
    labels, cut = student.labels, SMALL / student.labels
    points = few_grid(student)
    values, slopes = small_counts(student, points)
    worst, bounds = float(values.max()), []
    for z, (value, slope) in enumerate(zip(values, slopes, strict=True)):
        # Where z small labels are not the worst, a coarse bound will do.
        gap = (CERTIFICATE * worst + 0.5 * (worst - value)) / labels
        other = student.excess_bound(slope, points[points >= cut], gap)
        small = student.excess_bound(slope, points[points <= cut], gap) if z else 0.0
        bounds.append(z * small + (labels - z) * other)
    return max(bounds)
