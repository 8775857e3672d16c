"""Partial labels and top-k on more labels than the search for the worst row can serve: one explicit
teacher.
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.limits.sharing.few_levels import MOST_HITS
from kt_theory.teacher import Teacher


def many_labels_lower(inputs: int, labels: int, n: int, k: int = 0) -> tuple[float, Teacher]:
    """Return a lower bound of the optimal student's risk on the best explicit teacher found, and
    the teacher.

    S-1 rows, or all of them, or the only one beside a heavy label, have j labels of joint
    probability x, m of them hidden until sampled, and z = A - max(k, 1) - m or A - m empty ones.
    With U of the m unsampled the row loses at least x Uz/(U+z). Uz/(U+z) exceeds its tangent at c =
    E U = m (1-x)^n less z (U-c)^2/(c+z)^2, and Var U <= c (empty cells are negatively correlated),
    so its mean is at least cz/(c+z) - cz/(c+z)^2: a share 1/(c+z) below the value.

    Parameters
    ----------
    inputs, labels, n, k : int
        k <= labels - 2, n >= 1. k of the most probable labels are revealed beside the sampled one.
    """
    most, (light, mass, rows) = flat_rows_lower(inputs, labels, n, k)
    flat = light + max(k - 1, 0) + (1 if k and inputs > 1 else 0)
    return most, _teacher(inputs, labels, rows, flat, mass)


def flat_rows_lower(
    inputs: int, labels: int, n: int, k: int = 0
) -> tuple[float, tuple[int, float, int]]:
    """Return the bound of `many_labels_lower` and its (m, x, rows), at any size: without the
    teacher.
    """
    known = max(k - 1, 0)
    plans = []
    for count in {max(inputs - 1, 1), inputs}:
        heavy = 1 if inputs == 1 or k else 0
        m = np.unique(np.round(np.geomspace(1.0, labels - max(heavy, k) - 1.0, 600)))[:, None]
        size = m + known + heavy if inputs > 1 else m + known + 1
        x = np.minimum(np.linspace(0.02, 1.0, 99)[None, :] * MOST_HITS / n, 1.0 / (count * size))
        if count == inputs > 1:
            x = 1.0 / (count * size)  # all rows alike hold all the mass
        value = count * _row_loss(labels - max(heavy, k) - m, m, x, n)
        i, j = np.unravel_index(int(value.argmax()), value.shape)
        plans.append((float(value[i, j]), int(m[i, 0]), float(x[i, j]), count))
    most, *worst = max(plans)
    return most, (int(worst[0]), worst[1], int(worst[2]))


def _row_loss(z: np.ndarray, m: np.ndarray, x: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        c = m * np.exp(n * np.log1p(-x))
    mean = c * z / (c + z)
    loss: np.ndarray = x * np.maximum(mean - mean / (c + z), 0.0)
    return loss


def _teacher(inputs: int, labels: int, count: int, flat: int, x: float) -> Teacher:
    rows = np.zeros((2, labels))
    if inputs == 1:
        rows[0, 1 : 1 + flat] = x
        rows[0, 0] = 1.0 - math.fsum(rows[0])
        return Teacher.from_classes(rows[:1], [1.0], [1])
    rows[0, :flat], rows[1, 0] = 1.0 / flat, 1.0
    if count == inputs:
        return Teacher.from_classes(rows[:1], [1.0 / inputs], [inputs])
    mass = min(flat * x, 1.0 / count)
    return Teacher.from_classes(rows, [mass, 1.0 - count * mass], [count, 1])
