"""Softmax-affine teachers: logits W x + b in known features x of the inputs, and what one Jacobian
reveals of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.numeric import softmax, total_variation
from kt_theory.validation import distributions, numeric_array

TOLERANCE = 1e-9
"""Largest TV between a row and the nearest softmax-affine row at which a teacher still counts as
softmax-affine.
"""


@dataclass(frozen=True, eq=False)
class AffineLogits(ByContent):
    """Logits W x + b, up to a shift of all labels that may depend on x.

    Attributes
    ----------
    weights : (A, d) array, the matrix W
    bias : (A,) array; -inf for a label of probability 0
    """

    weights: np.ndarray
    bias: np.ndarray

    def table(self, features: ArrayLike) -> np.ndarray:
        """Return softmax(W x + b) for each row x of `features` (S, d): (S, A), rows sum to 1."""
        logits = np.asarray(features, dtype=np.float64) @ self.weights.T + self.bias
        return softmax(logits)


def from_jacobian(row: ArrayLike, jacobian: ArrayLike, x: ArrayLike) -> AffineLogits:
    """Return the softmax-affine teacher from one answer: the probabilities at x and their Jacobian.

    The Jacobian of p = softmax(W x + b) is J = (diag p - p p^T) W, so J_a / p_a = W_a - p^T W: the
    matrix up to a shift of all its rows. Then b_a = log p_a - (W x)_a up to a constant. One query
    reveals all inputs.

    Parameters
    ----------
    row : (A,) array_like
        Probabilities at x, all above 0.
    jacobian : (A, d) array_like
        dp_a / dx_j at x.
    x : (d,) array_like
        The features of the input that was asked.
    """
    p = distributions(row, "row", 1)
    slopes = numeric_array(jacobian, "jacobian", 2).astype(np.float64)
    point = numeric_array(x, "x", 1).astype(np.float64)
    if slopes.shape != (len(p), len(point)):
        raise ValueError(
            f"jacobian has shape {slopes.shape}: must be (labels, features), {(len(p), len(point))}"
        )
    if not (p > 0).all():
        raise ValueError(
            f"row[{int(np.argmin(p))}] = 0: a softmax of finite logits has no zeros; leave the "
            "label out"
        )
    weights = slopes / p[:, None]
    return AffineLogits(weights, np.log(p) - weights @ point)


def affine_logits(pi: ArrayLike, features: Any) -> AffineLogits:
    """Return the softmax-affine form of a teacher's table.

    Labels of probability 0 at every input have the logit -inf; they are compatible with any
    features.

    Parameters
    ----------
    pi : (S, A) array_like
        Rows sum to 1.
    features : (S, d) array_like
        One row for each input.

    Raises
    ------
    ValueError
        If the logits are not affine in the features: the nearest table by least squares of the
        centred log-probabilities is more than `TOLERANCE` away from some row in TV.
    """
    table = distributions(pi, "pi", 2)
    points = numeric_array(features, "features", 2).astype(np.float64)
    if len(points) != len(table):
        raise ValueError(
            f"features has {len(points)} rows: the teacher has {len(table)} inputs, one row each "
            "is needed"
        )
    possible = table.max(axis=0) > 0.0
    zero = np.argwhere(table[:, possible] == 0.0)
    if len(zero):
        raise ValueError(
            f"features: the logits of input {zero[0][0]} are not affine in them: a label has "
            "probability 0 there and not everywhere"
        )
    logits = np.log(table[:, possible])
    logits -= logits.mean(axis=1, keepdims=True)
    middle = points.mean(axis=0)
    spread = np.abs(points - middle).max(axis=0)
    spread[spread == 0.0] = 1.0
    design = (points - middle) / spread
    with_ones = np.column_stack([design, np.ones(len(points))])
    solution = np.linalg.lstsq(with_ones, logits, rcond=None)[0]
    labels, dimension = table.shape[1], points.shape[1]
    weights, bias = np.zeros((labels, dimension)), np.full(labels, -np.inf)
    weights[possible], bias[possible] = solution[:-1].T, solution[-1]
    distance = np.asarray(total_variation(AffineLogits(weights, bias).table(design), table))
    worst = int(np.argmax(distance))
    if distance[worst] > TOLERANCE:
        raise ValueError(
            f"features: the logits are not affine in them: input {worst} is TV "
            f"{distance[worst]:.3g} away from the nearest softmax-affine table by least squares; "
            "use gradient(graph) for other teachers"
        )
    weights /= spread
    return AffineLogits(weights, bias - weights @ middle)
