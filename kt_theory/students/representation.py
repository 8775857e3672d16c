"""Students of a teacher's representation: its encoder's features, or the distances between them.

The teacher's logits are H V^T: a row H[s] of r features for each input, from the encoder, and a row
V[a] for each label, the head. These students know H, and learn from each answer what it tells of V,
so that their risk depends on the rank r where that of others depends on the number of inputs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kt_theory import access
from kt_theory.access import HARD
from kt_theory.exact.settled import WholeRows
from kt_theory.students.pooled import span_rule
from kt_theory.students.rules import TableRule
from kt_theory.students.student import Student
from kt_theory.validation import numeric_array, shown, unknown_name

_NEWTON_STEPS = 100
_RIDGE = 1e-6
_RELATIVE_RIDGE = 1e-12
_RANK_TOLERANCE = 1e-10
_EUCLIDEAN_TOLERANCE = 1e-11
_EQUAL_ENERGY = 1e-12


def features(features: Any, targets: str = "complete", *, shipped: bool = True) -> Student:
    """Return the student that knows the teacher's features and learns its head: logits H V^T, H of
    rank r.

    What it knows beforehand: the features H[s] of every input, and that the logits are H V^T for
    some V. A query at s returns a sampled label a, and

    - "hard": nothing else. V maximises the likelihood of all labels (multinomial, concave). As n
      grows the risk is at most 1/2 sqrt(r(A-1)/n): E KL -> r(A-1)/(2n), then Pinsker. Where the
      labels can be separated, as while some label is unseen, no maximum exists; a ridge of (10^-6 +
      10^-12 n)/2 |V|^2, with the columns of H made orthogonal and of mean square 1, makes it exist,
      be unique, and come close to the point masses that the likelihood tends to.
    - "sampled": the logit H[s] V[a], on a scale that is the same for all inputs. The logit of (s,
      a) is known wherever H[s] lies in the span of the inputs that returned a. A row of which some
      logits are known gets their softmax, and 0 on the other labels, so that its loss is their
      probability; a row without a known logit is uniform. So the risk is at most the mean
      probability of the unknown logits, at most rA/(n+1).
    - "complete": all logits of the row, up to a shift. A row is exact if H[s] lies in the span of
      the visited inputs, uniform otherwise: risk <= (1-1/A) r/(n+1).

    If the encoder is not shipped, a query reveals H[s] with its answer, and unvisited rows stay
    uniform. That adds at most sum_s rho_s (1-rho_s)^n TV(Uniform, pi_s) for hard labels; sampled
    logits cost at most (S + r(A-1))/(n+1) (`kt_theory.limits.kappa` has the sharp
    "encoder_queried"); complete logits are then worth no more than soft labels, S/n: the features
    of a row come too late to be of use.

    V + 1 c^T makes the same teacher as V, and all three rules write the same table for both. So
    logits are shown with mean 0 in each row, which a rule could use but these do not: "sampled"
    needs positive probabilities. Only complete logits without the encoder have an exact risk. If
    the logits are not H V^T the copy may be wrong on any row that is not seen directly. A constant
    column in H gives the labels a bias.

    Parameters
    ----------
    features : (S, r) array_like
        The row H[s] of each input. Columns may depend on each other; r above is the rank.
    targets : str
        "hard", "sampled" or "complete".
    shipped : bool
        Whether H is known beforehand; otherwise H[s] comes with a query at s.

    References
    ----------
    Romero et al. (2014), arXiv 1412.6550: FitNets, hints from the teacher's features.
    """
    if not isinstance(shipped, (bool, np.bool_)):
        raise ValueError(f"shipped = {shown(shipped)}: must be True or False")
    points = numeric_array(features, "features", 2).astype(np.float64)
    if targets not in ("hard", "sampled", "complete"):
        raise unknown_name("targets", targets, ("hard", "sampled", "complete"))
    name = (
        f"features({points.shape[1]}, {targets})"
        if shipped
        else f"features({points.shape[1]}, {targets}, queried)"
    )
    reference = "Romero et al. (2014), arXiv 1412.6550: hints from the teacher's features"
    sizes = (len(points), None)
    if targets == "hard":
        return Student(name, HARD, _maximum_likelihood(points, shipped), reference, sizes=sizes)
    vectors = points / (np.abs(points).max() or 1.0)
    rule = span_rule(vectors, whole=targets == "complete", shipped=shipped)
    if targets == "complete":
        exact = None if shipped else WholeRows(name)
        return Student(name, access.logits(), rule, reference, exact, sizes=sizes)
    return Student(name, access.true_logits(), rule, reference, sizes=sizes)


def relations(distances: Any, targets: str = "complete") -> Student:
    """Return the student that knows the distances between the features of all inputs, and learns a
    head of its own.

    What it knows beforehand: |H[s] - H[t]| for all pairs, and that the logits are H V^T. Classical
    scaling (Torgerson) finds coordinates X with H = X Q^T + 1 t^T for unknown Q, Q^T Q = 1, and t;
    so the logits are X (V Q)^T + 1 (V t)^T, affine in X. It is the student `features` of the
    columns of X and a constant: with d the dimension of the affine hull of the rows of H, at most
    r, the rank is d + 1, and for complete logits

        risk <= (1 - 1/A) (d + 1) / (n + 1):

    d + 1 inputs in general position are anchors that reveal the teacher. The teacher's own head is
    of no use to it: softmax(X V^T) keeps a floor, since Q and t cannot be seen in distances.

    Parameters
    ----------
    distances : (S, S) array_like
        Euclidean distances between the rows of H. Eigenvalues of -1/2 C D^2 C (D^2 the squares, C =
        1 - 11^T/S) within 10^-11 of the largest count as 0; d is how many are above.
    targets : str
        What a query returns with its label, as for `features`: "hard", "sampled" or "complete".

    Raises
    ------
    ValueError
        If the matrix is not square and symmetric with a zero diagonal, or has an eigenvalue below
        -10^-11 of the largest: these are distances of no points.

    References
    ----------
    Park et al. (2019), arXiv 1904.05068: relational knowledge distillation.
    """
    points = _classical_scaling(distances)
    student = features(
        np.column_stack([points / (np.abs(points).max(initial=0.0) or 1.0), np.ones(len(points))]),
        targets,
    )
    reference = "Park et al. (2019), arXiv 1904.05068: relational knowledge; classical scaling"
    return replace(
        student, name=f"relations({points.shape[1]} dimensions, {targets})", reference=reference
    )


def equal_maps(features: Any) -> np.ndarray:
    """Return which inputs have the same attention map: a group number for each input, (S,) int64.

    The attention map of an input is the energy at each position, sum_c H[s, p, c]^2. A student that
    sees maps alone writes one row for all inputs of a group: what that costs is
    `kt_theory.limits.groups.common_row_floor`.

    Parameters
    ----------
    features : (S, positions, channels) array_like
        The features of each input at each position. At each position, energies that follow each
        other within 10^-12 of the largest of all count as equal.

    References
    ----------
    Zagoruyko and Komodakis (2016), arXiv 1612.03928: attention transfer, the map sum_c |H_c|^2.
    """
    if np.ndim(features) != 3:
        raise ValueError(
            f"features has shape {np.shape(features)}: must have 3 axes, (inputs, positions, "
            "channels)"
        )
    given = numeric_array(features, "features", 3).astype(np.float64)
    energies = ((given / (np.abs(given).max() or 1.0)) ** 2).sum(axis=2)
    order = np.argsort(energies, axis=0)
    rises = np.diff(np.take_along_axis(energies, order, axis=0), axis=0, prepend=-np.inf)
    level = np.empty_like(order)
    np.put_along_axis(
        level, order, np.cumsum(rises > _EQUAL_ENERGY * energies.max(), axis=0), axis=0
    )
    return np.unique(level, axis=0, return_inverse=True)[1].reshape(-1)


def _maximum_likelihood(points: np.ndarray, shipped: bool) -> TableRule:
    left, sizes, _ = np.linalg.svd(points, full_matrices=False)
    rank = int((sizes > _RANK_TOLERANCE * sizes[0]).sum())
    basis = np.ascontiguousarray(left[:, : max(rank, 1)] * (np.sqrt(len(points)) if rank else 0.0))
    return TableRule(_most_likely, [shipped, *basis.ravel()])


def _most_likely(counts, revealed, out, parameters):
    inputs, labels = counts.shape
    width = (parameters.size - 1) // inputs
    basis = parameters[1:].reshape(inputs, width)
    shipped = parameters[0] > 0.0
    size = labels * width
    visits = np.zeros(inputs)
    for s in range(inputs):
        visits[s] = counts[s].sum()
    pairs = visits.sum()
    ridge = _RIDGE + _RELATIVE_RIDGE * pairs
    head = np.zeros(size)
    slope = np.zeros(size)
    step = np.zeros(size)
    curve = np.zeros((size, size))
    value = -np.inf
    scale = 0.0
    decrement = np.inf
    for _ in range(_NEWTON_STEPS):
        while True:  # halve the step until the penalised likelihood rises
            new = 0.0
            for i in range(size):
                new -= 0.5 * ridge * (head[i] + scale * step[i]) ** 2
            for s in range(inputs):
                top = -np.inf
                mass = 0.0
                for a in range(labels):
                    out[s, a] = 0.0
                    for j in range(width):
                        i = a * width + j
                        out[s, a] += basis[s, j] * (head[i] + scale * step[i])
                    top = max(top, out[s, a])
                for a in range(labels):
                    mass += np.exp(out[s, a] - top)
                    new += counts[s, a] * (out[s, a] - top)
                new -= visits[s] * np.log(mass)
                for a in range(labels):
                    out[s, a] = np.exp(out[s, a] - top) / mass
            if new >= value - 1e-12 * (1.0 + abs(value)) or scale < 1e-9:
                break
            scale *= 0.5
        value = new
        for i in range(size):
            head[i] += scale * step[i]
        if decrement <= 1e-14 * pairs or pairs == 0.0:
            break
        for i in range(size):
            slope[i] = -ridge * head[i]
            for k in range(size):
                curve[i, k] = ridge if i == k else 0.0
        for s in range(inputs):
            if visits[s] == 0.0:
                continue
            for a in range(labels):
                for j in range(width):
                    slope[a * width + j] += (counts[s, a] - visits[s] * out[s, a]) * basis[s, j]
                for b in range(a + 1):
                    weight = visits[s] * out[s, a] * ((1.0 if a == b else 0.0) - out[s, b])
                    for j in range(width):
                        for k in range(width):
                            curve[a * width + j, b * width + k] += (
                                weight * basis[s, j] * basis[s, k]
                            )
        for i in range(size):  # Cholesky, then two triangular solves
            for k in range(i + 1):
                for j in range(k):
                    curve[i, k] -= curve[i, j] * curve[k, j]
                curve[i, k] = np.sqrt(curve[i, i]) if i == k else curve[i, k] / curve[k, k]
            step[i] = slope[i]
            for k in range(i):
                step[i] -= curve[i, k] * step[k]
            step[i] /= curve[i, i]
        decrement = 0.0
        for i in range(size):
            decrement += step[i] ** 2
        for i in range(size - 1, -1, -1):
            for k in range(i + 1, size):
                step[i] -= curve[k, i] * step[k]
            step[i] /= curve[i, i]
        scale = 1.0
    for s in range(inputs):
        if not shipped and visits[s] == 0.0:
            for a in range(labels):
                out[s, a] = 1.0 / labels


def _classical_scaling(distances: Any) -> np.ndarray:
    given = numeric_array(distances, "distances", 2).astype(np.float64)
    if given.shape[0] != given.shape[1]:
        raise ValueError(f"distances has shape {given.shape}: must be square, (inputs, inputs)")
    unit = np.abs(given).max() or 1.0
    rounding = _EUCLIDEAN_TOLERANCE * unit
    if (given < -rounding).any() or (np.abs(np.diag(given)) > rounding).any():
        raise ValueError("distances: must be at least 0, and 0 from an input to itself")
    if np.abs(given - given.T).max() > rounding:
        s, t = np.unravel_index(np.argmax(np.abs(given - given.T)), given.shape)
        raise ValueError(
            f"distances[{s}, {t}] = {given[s, t]:g} but [{t}, {s}] = {given[t, s]:g}: must be "
            "symmetric"
        )
    squares = (0.5 * (given / unit + given.T / unit)) ** 2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    if values[0] < -_EUCLIDEAN_TOLERANCE * max(values[-1], -values[0]):
        raise ValueError(
            "distances: no points have them: -1/2 C D^2 C has the eigenvalue "
            f"{values[0] * unit**2:.3g}, the largest "
            f"is {values[-1] * unit**2:.3g}; give Euclidean distances"
        )
    kept = values > _EUCLIDEAN_TOLERANCE * values[-1]
    return vectors[:, kept] * (unit * np.sqrt(values[kept]))
