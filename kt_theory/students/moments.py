"""Statistical information: what a statistic of the teacher, known before the first query, is worth
as a prior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import distributions, numeric_array

_NEWTON_STEPS = 300
_CONVERGED = 1e-12
_TOLERANCE = 1e-9
_RANK_TOLERANCE = 1e-12
_LARGEST_LOGIT = 1e5


def label_marginal(teacher: Teacher) -> np.ndarray:
    """Return the table whose rows are all mu = sum_s rho_s pi_s, the share of each label: (S, A).

    What a student writes that knows how often each label occurs, and nothing else: a prior for
    `with_prior`. Its risk before the first query is TV(mu, pi | rho). It is `moment_prior` for the
    constant feature.

    Parameters
    ----------
    teacher : Teacher
        With a dense table.
    """
    require_teacher(teacher)
    return np.tile(teacher.rho @ teacher.pi, (teacher.inputs, 1))


def moment_prior(
    features: ArrayLike, moments: ArrayLike, rho: ArrayLike | None = None
) -> np.ndarray:
    """Return the table of largest entropy that has given moments: a prior for `with_prior`, (S, A).

    Known of the teacher are the moments of the features x_s with each label, m_a = sum_s rho_s
    pi(a|s) x_s: with a constant feature the shares of the labels, with others times these the class
    means, with products of features the second moments. Among all tables with these moments, q(.|s)
    = softmax(V x_s) has the largest conditional entropy, with V the minimum of the convex

        sum_s rho_s log sum_a exp(V_a x_s) - sum_a V_a m_a,

    found by Newton's method. It is the teacher if its logits are linear in the features, and
    otherwise the one of these closest to it, in the sense of sum_s rho_s KL(pi_s, q_s). As a prior
    it turns the risk of an unvisited row to TV(q_s, pi_s).

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input. A constant column lets logits be affine.
    moments : (A, d) array_like
        Of a teacher: `(teacher.pi.T * teacher.rho) @ features`.
    rho : (S,) array_like, optional
        Input law; uniform if omitted.

    Raises
    ------
    ValueError
        If no table has these moments, to 10^-9 of the size of each feature, root mean square. Those
        on the edge of what is possible, such as a label of share 0, are met to that accuracy.

    References
    ----------
    Jaynes (1957): the distribution of maximum entropy; its dual is multinomial logistic regression.
    """
    points = numeric_array(features, "features", 2).astype(np.float64)
    target = numeric_array(moments, "moments", 2).astype(np.float64)
    law = np.full(len(points), 1.0 / len(points)) if rho is None else distributions(rho, "rho", 1)
    if len(law) != len(points):
        raise ValueError(
            f"rho has {len(law)} entries: features has {len(points)} rows, one entry each is needed"
        )
    if target.shape[1] != points.shape[1]:
        raise ValueError(
            f"moments has shape {target.shape}: must be (labels, features), with the "
            f"{points.shape[1]} of features"
        )
    size = np.abs(points).max(axis=0)
    size[size == 0.0] = 1.0
    spread = np.sqrt(law @ (points / size) ** 2)
    size[spread > 0.0] *= spread[spread > 0.0]
    points = points / size
    target = target / size
    gap = np.abs(target.sum(axis=0) - law @ points)
    if gap.max() > _TOLERANCE:
        j = int(np.argmax(gap))
        raise ValueError(
            f"moments: column {j} sums to {target[:, j].sum() * size[j]:.6g} over the labels: must "
            "be the mean of "
            f"feature {j}, {law @ points[:, j] * size[j]:.6g}"
        )
    _, sizes, right = np.linalg.svd(np.sqrt(law)[:, None] * points, full_matrices=False)
    kept = sizes > _RANK_TOLERANCE * sizes[0]
    if not kept.any():
        return np.full((len(points), len(target)), 1.0 / len(target))
    if np.abs(target - target @ right[kept].T @ right[kept]).max() > _TOLERANCE:
        raise ValueError(
            "moments: no table has them: the features depend linearly on each other, the moments "
            "do not"
        )
    whiten = right[kept].T / sizes[kept]
    table, miss = _largest_entropy(points @ whiten, target @ whiten, law)
    if np.abs(miss @ (right[kept] * sizes[kept][:, None])).max() > _TOLERANCE:
        raise ValueError(
            f"moments: no table has them; those of label {int(np.abs(miss).max(axis=1).argmax())} "
            "lie outside what "
            "probabilities from 0 to 1 can give"
        )
    return table


def _largest_entropy(
    points: np.ndarray, target: np.ndarray, law: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the table and its moments less the target, for features with sum_s rho_s x_s x_s^T =
    1.
    """
    labels, width = target.shape
    head = np.zeros((labels, width))
    step = np.zeros((labels, width))
    scale = 0.0
    # The likelihood does not change along a shift of all labels; this keeps the Hessian regular
    # there.
    shifts = np.kron(np.full((labels, labels), 1.0 / labels), np.eye(width))
    value = np.inf
    slope = np.inf
    for _ in range(_NEWTON_STEPS):
        while True:
            table, new = _dual(points, target, law, head + scale * step)
            if new <= value - 1e-4 * scale * slope + 1e-14 * (1.0 + abs(value)) or scale < 1e-9:
                break
            scale *= 0.5
        head = head + scale * step
        value = new
        miss = (table.T * law) @ points - target
        if np.abs(miss).max() <= _CONVERGED or np.abs(head).max() > _LARGEST_LOGIT:
            break
        weighted = table * law[:, None]
        curve = -np.einsum("sa,sb,sj,sk->ajbk", weighted, table, points, points, optimize=True)
        for a in range(labels):
            curve[a, :, a] += (weighted[:, a, None] * points).T @ points
        curve = curve.reshape(labels * width, -1) + shifts
        curve[np.diag_indices_from(curve)] += 1e-15
        step = -np.linalg.solve(curve, miss.ravel()).reshape(labels, width)
        slope = -float((miss * step).sum())
        scale = 1.0
    return table, miss


def _dual(
    points: np.ndarray, target: np.ndarray, law: np.ndarray, head: np.ndarray
) -> tuple[np.ndarray, float]:
    logits = points @ head.T
    top = logits.max(axis=1, keepdims=True)
    powers = np.exp(logits - top)
    mass = powers.sum(axis=1, keepdims=True)
    partition = (np.log(mass) + top)[:, 0]
    return powers / mass, float(law @ partition - (head * target).sum())
