"""Partial labels and top-k on more labels than the search for the worst row can serve: one explicit
teacher.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kt_theory.limits.sharing.few_levels import MOST_HITS
from kt_theory.teacher import Teacher


class Plan(NamedTuple):
    """A teacher of flat rows.

    Attributes
    ----------
    value : float
        A lower bound of the optimal student's risk on it.
    hidden : int
        m, labels of each flat row that hide until they are sampled.
    x : float
        The joint probability of each.
    rows : int
        How many rows are flat and nothing else.
    heavy : bool
        Whether one row more has a label with the rest of the mass,
    both : bool
        and m hidden labels beside it.
    """

    value: float
    hidden: int
    x: float
    rows: int
    heavy: bool
    both: bool


def many_labels_lower(inputs: int, labels: int, n: int, k: int = 0) -> tuple[float, Teacher]:
    """Return a lower bound of the optimal student's risk on the best explicit teacher found, and
    the teacher.

    S rows, or S-1, have j labels of joint probability x, m of them hidden until sampled, and z = A
    - m - k empty ones; in the last of them, or as the only label of a row of its own, one label may
    have all the rest of the mass, which leaves it A - m - max(k, 1) empty ones. With U of the m
    unsampled a row loses at least x Uz/(U+z). Uz/(U+z) exceeds its tangent at c = E U = m (1-x)^n
    less z (U-c)^2/(c+z)^2, and Var U <= c (empty cells are negatively correlated), so its mean is
    at least cz/(c+z) - cz/(c+z)^2: a share 1/(c+z) below the value.

    Parameters
    ----------
    inputs, labels, n, k : int
        k <= labels - 2, n >= 1. k of the most probable labels are revealed beside the sampled one.
    """
    plan = flat_rows_lower(inputs, labels, n, k)
    return plan.value, _teacher(labels, plan, k)


def flat_rows_lower(inputs: int, labels: int, n: int, k: int = 0) -> Plan:
    """Return the teacher of `many_labels_lower` as it is planned, at any size."""
    plans = [_best(labels, n, k, inputs - 1, heavy=True, both=True)]
    if inputs > 1:
        plans.append(_best(labels, n, k, inputs - 1, heavy=True, both=False))
        plans.append(_best(labels, n, k, inputs, heavy=False, both=False))
    return max(plans)


def _best(labels: int, n: int, k: int, rows: int, *, heavy: bool, both: bool) -> Plan:
    top = max(k, 1) if both else k
    m = np.unique(np.round(np.geomspace(1.0, labels - top - 1.0, 600)))[:, None]
    flat, beside = rows * (m + k), m + top - 1 if both else 0.0
    if heavy:
        even = 1.0 / (flat + beside + 1.0)
        x = np.minimum(np.linspace(0.02, 1.0, 99)[None, :] * MOST_HITS / n, even)
    else:
        x = 1.0 / flat
    value = rows * _row_loss(labels - k - m, m, x, n)
    if both:
        value = value + _row_loss(labels - top - m, m, x, n)
    i, j = np.unravel_index(int(value.argmax()), value.shape)
    return Plan(float(value[i, j]), int(m[i, 0]), float(x[i, j]), rows, heavy, both)


def _row_loss(z: np.ndarray, m: np.ndarray, x: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        c = m * np.exp(n * np.log1p(-x))
    mean = c * z / (c + z)
    loss: np.ndarray = x * np.maximum(mean - mean / (c + z), 0.0)
    return loss


def _teacher(labels: int, plan: Plan, k: int) -> Teacher:
    flat, beside = plan.hidden + k, 0
    if plan.both:
        beside = plan.hidden + max(k, 1) - 1
    rows = np.zeros((2, labels))
    rows[0, :flat] = 1.0 / flat
    rest = 1.0
    if plan.heavy:
        mass = plan.rows * flat * plan.x
        rest = 1.0 - mass
        rows[1, 1 : 1 + beside] = plan.x / rest
        rows[1, 0] = 1.0 - math.fsum(rows[1])
        if not plan.rows:
            return Teacher.from_classes(rows[1:], [1.0], [1])
        return Teacher.from_classes(rows, [mass / plan.rows, rest], [plan.rows, 1])
    return Teacher.from_classes(rows[:1], [1.0 / plan.rows], [plan.rows])
