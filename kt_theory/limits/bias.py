"""The largest bias of CE_ptl: how far it can stay from its teacher however many samples it sees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kt_theory.limits.optimise import minimum
from kt_theory.teacher import Teacher
from kt_theory.validation import whole_number


@lru_cache(maxsize=64)
def largest_bias(labels: int) -> tuple[float, Teacher]:
    """Return the largest limit TV(pi^2 / sum pi^2, pi) of CE_ptl's risk over all teachers on A
    labels, and a teacher.

    TV is the largest over sets H of labels of P_H / (P_H + Q_H) - m_H, with m_H the mass of H, P_H
    the sum of squares in H and Q_H outside. At given masses it grows with P_H, which is largest
    when one label holds all of m_H, and falls with Q_H, which is smallest when the other A-1 labels
    share t = 1 - m_H evenly. So the maximum is

        max_t (1-t)^2 / ((1-t)^2 + t^2 / (A-1)) - (1-t),

    0.1501415530 for two labels. (Zhao and Zhu 2023, Lemma 4.2 and Theorem 4.3, show that it is
    positive.)

    Parameters
    ----------
    labels : int
        A, at least 1; one label has no bias.
    """
    width = whole_number(labels, "labels", low=1, high=10**6)
    if width == 1:
        return 0.0, Teacher([[1.0]])

    def loss(t: float) -> float:
        return (1.0 - t) - (1.0 - t) ** 2 / ((1.0 - t) ** 2 + t * t / (width - 1))

    grid = np.linspace(0.0, 1.0, 41)
    start = int(np.argmin([loss(t) for t in grid]))
    bounds = (grid[max(start - 1, 0)], grid[min(start + 1, 40)])
    t = minimum(loss, *bounds, 1e-12)[1]
    return -loss(t), Teacher([[1.0 - t] + [t / (width - 1)] * (width - 1)])
