"""The student of labels that came back through a known confusion matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kt_theory import access
from kt_theory.access.channel import LEAST_LEFT
from kt_theory.exact.confused import Flipped
from kt_theory.students.rules import RowRule
from kt_theory.students.student import Student


def _undo_and_project(counts, revealed, out, parameters):
    """Write the frequencies f behind C, f C^-1, and the distribution nearest to it; the parameters
    are a rate and what of it counts as nothing left, or C^-1 row by row.

    The nearest distribution is max(x - t, 0) for the t at which it sums to 1: labels that fall
    below 0 are left out, one round after another (Michelot 1986).
    """
    labels = counts.size
    total = counts.sum()
    if labels == 1:
        out[0] = 1.0
        return
    if parameters.size == 2:
        other = parameters[0] / (labels - 1)
        left = 1.0 - labels * other
        known = total > 0 and abs(left) > parameters[1]
        for a in range(labels):
            out[a] = (counts[a] / total - other) / left if known else 1.0 / labels
    else:
        for b in range(labels):
            out[b] = 0.0 if total > 0 else 1.0 / labels
            for a in range(labels if total > 0 else 0):
                out[b] += counts[a] / total * parameters[a * labels + b]
    for _ in range(labels):
        inside = 0
        mass = 0.0
        for a in range(labels):
            out[a] = max(out[a], 0.0)
            inside += 1 if out[a] > 0.0 else 0
            mass += out[a]
        shift = (mass - 1.0) / inside
        below = 0
        for a in range(labels):
            if out[a] > 0.0:
                out[a] -= shift
                below += 1 if out[a] < 0.0 else 0
        if below == 0:
            break


def confused(noise: float | ArrayLike) -> Student:
    """Return the student of labels through a known confusion matrix C: it inverts C, and takes the
    nearest distribution.

    The labels of a row p that come back follow r = p C. With f their frequencies after k visits it
    writes the distribution nearest, in the Euclidean distance, to f C^-1, which is unbiased. As p
    is a distribution, this takes it no further from p, and with lambda the least |v C| / |v| over
    rows v that sum to 0

        E TV <= 1/2 sqrt(A) E|f C^-1 - p| <= sqrt((A-1) / k) / (2 lambda)

    since E|f - r|^2 <= (1 - 1/A) / k. Noise so costs a factor of at most 1 / lambda in this bound,
    1 / lambda^2 in queries: 1 / (1 - 2 eta) of two labels and a rate eta. Where C has no inverse it
    takes the pseudo-inverse: labels whose rows in C are equal share their mass equally, and what C
    does not tell apart stays unknown. Of a rate and two labels it has an exact risk.

    Parameters
    ----------
    noise : float or (A, A) array_like
        As for `kt_theory.access.confused`: a rate in (0, 1), or the matrix.

    Source: Natarajan, Dhillon, Ravikumar and Tewari (2013): learning with noisy labels; Warner
    (1965): randomised response.
    """
    level = access.confused(noise)
    reference = "the inverse of the confusion matrix, and the nearest distribution"
    if np.ndim(noise) == 0:
        rate = float(np.asarray(noise))
        rule = RowRule(_undo_and_project, [rate, LEAST_LEFT])
        return Student(level.name, level, rule, reference, Flipped(rate, LEAST_LEFT))
    matrix = np.asarray(noise, dtype=np.float64)
    inverse = np.linalg.pinv(matrix / matrix.sum(axis=1, keepdims=True), rcond=LEAST_LEFT)
    rule = RowRule(_undo_and_project, inverse.ravel())
    return Student(level.name, level, rule, reference, sizes=(None, len(matrix)))
