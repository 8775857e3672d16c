"""Students that learn from all rows together: one unknown temperature, logits that are affine in
known features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory import access
from kt_theory.students.rules import TableRule
from kt_theory.students.student import Student
from kt_theory.validation import numeric_array

_LARGEST_POWER = 1024.0
_NEWTON_STEPS = 100
_SPAN_TOLERANCE = 1e-8


def _fit_power(counts, revealed, out):
    inputs, labels = counts.shape
    pairs = 0
    for s in range(inputs):
        visits = counts[s].sum()
        pairs += visits
        if visits == 0:
            continue
        top = 0.0
        for a in range(labels):
            top = max(top, revealed[s, a])
        for a in range(labels):
            out[s, a] = np.log(revealed[s, a] / top) if revealed[s, a] > 0.0 else -np.inf
    power = 1.0
    low = 0.0
    high = _LARGEST_POWER
    for _ in range(_NEWTON_STEPS):
        slope = 0.0
        curvature = 0.0
        for s in range(inputs):
            visits = counts[s].sum()
            if visits == 0:
                continue
            mass, first, second, seen = 0.0, 0.0, 0.0, 0.0
            for a in range(labels):
                if out[s, a] > -np.inf:
                    weight = np.exp(power * out[s, a])
                    mass += weight
                    first += weight * out[s, a]
                    second += weight * out[s, a] ** 2
                    seen += counts[s, a] * out[s, a]
            first /= mass
            slope += seen - visits * first
            curvature += visits * max(second / mass - first**2, 0.0)
        if slope > 0.0:
            low = power
        else:
            high = power
        step = slope / curvature if curvature > 0.0 else 0.0
        if abs(slope) <= 1e-13 * pairs or abs(step) <= 1e-13 * power or high - low <= 1e-13 * high:
            break
        power = power + step if low < power + step < high else 0.5 * (low + high)
    for s in range(inputs):
        visits = counts[s].sum()
        mass = 0.0
        for a in range(labels):
            out[s, a] = np.exp(power * out[s, a]) if visits > 0 else 1.0
            mass += out[s, a]
        for a in range(labels):
            out[s, a] /= mass


def tempered_mle(tau: float) -> Student:
    """Return the student that sees rows at a temperature that it does not know, and the labels that
    were sampled.

    With q = softmax(z / tau) shown, the teacher is q^b, normalised, for b = tau. The student
    maximises the concave

        L(b) = sum_s sum_a n_sa [b log q(a|s) - log sum_a' q(a'|s)^b]

    over 0 <= b <= 1024 by Newton's method between brackets. The Fisher information of a pair is
    E_rho Var_p(log q), and the derivative of TV in b is 1/2 E_rho sum p |log q - mean| at most half
    its square root: so

        risk = coverage + at most 1/sqrt(2 pi n) (1 + o(1)),

    a constant free of S and A, attained where |log q - mean| is constant on every row. It has no
    exact risk.

    Parameters
    ----------
    tau : float
        The temperature at which the teacher shows its rows, above 0; the student's rule does not
        use it.
    """
    level = access.temperature(tau)
    return Student(
        f"tempered_mle({float(tau):g})",
        level,
        TableRule(_fit_power),
        "maximum likelihood of one temperature",
    )


def affine_ful(features: Any) -> Student:
    """Return the student of complete logits, up to a shift per input, that knows them to be affine
    in the features.

    A visited input is known. So is every input x = sum c_i x_i, sum c_i = 1, in the affine span of
    the visited ones: z(x) = sum c_i z(x_i), up to a shift of all labels. The others stay uniform.
    No more than d + 1 inputs are affinely independent, and a new query falls outside the span of n
    others with the mean probability that a point of an exchangeable n + 1 is outside the span of
    the rest, at most (d + 1) / (n + 1). So

        risk <= (1 - 1/A) (d + 1) / (n + 1),

    free of S, and d + 1 queries in general position reveal the teacher. It has no exact risk.
    `features` is the same for logits without a bias.

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input. If the logits are not affine in them the copy is wrong on unvisited
        inputs.
    """
    points = numeric_array(features, "features", 2).astype(np.float64)
    middle = points - points.mean(axis=0)
    lifted = np.column_stack([middle / (np.abs(middle).max() or 1.0), np.ones(len(points))])
    name = f"affine_ful({points.shape[1]} features)"
    rule = span_rule(lifted, whole=True)
    sizes = (len(points), None)
    return Student(name, access.logits(), rule, "affine span of the queries", sizes=sizes)


def span_rule(vectors: np.ndarray, *, whole: bool, shipped: bool = True) -> TableRule:
    """Return the table rule that knows a logit where linear algebra gives it: in the span of those
    that it was shown.

    The logit of (s, a) is sum c_i z(s_i, a) if vectors[s] = sum c_i vectors[s_i] over inputs s_i
    whose logit of a was shown. A row gets the softmax of its known logits, 0 on the other labels;
    it is uniform if none is known. The span is grown from the row that is farthest from it (Gram
    and Schmidt), rows nearer than 10^-8 lie in it.

    Parameters
    ----------
    vectors : (S, w) array
        Largest entry about 1.
    whole : bool
        A visit shows all labels of a row, so that one span serves all of them.
    shipped : bool
        Otherwise the vector of an unvisited input is unknown, and its row uniform.
    """
    return TableRule(_in_the_span, [whole, shipped, *vectors.ravel()])


def _in_the_span(counts, revealed, out, parameters):
    inputs, labels = counts.shape
    width = (parameters.size - 2) // inputs
    vectors = parameters[2:].reshape(inputs, width)
    whole, shipped = parameters[0] > 0.0, parameters[1] > 0.0
    rest = np.zeros((inputs, width))
    share = np.zeros((inputs, width))
    part = np.zeros((inputs, width))  # vectors[s] = sum_i part[s, i] vectors[chosen[i]] + rest[s]
    chosen = np.zeros(width, dtype=np.int64)
    base = np.zeros(width)
    inside = np.zeros(inputs, dtype=np.bool_)
    rank = 0
    for a in range(labels):
        if a == 0 or not whole:
            for s in range(inputs):
                for j in range(width):
                    rest[s, j] = vectors[s, j]
            rank = 0
            while rank < width:
                longest = 0.0
                for s in range(inputs):
                    length = 0.0
                    for j in range(width):
                        length += rest[s, j] ** 2
                    if length > longest and not np.isnan(revealed[s, a]):
                        longest = length
                        chosen[rank] = s
                if longest <= _SPAN_TOLERANCE**2:
                    break
                for j in range(width):
                    base[j] = rest[chosen[rank], j] / np.sqrt(longest)
                for s in range(inputs):
                    along = 0.0
                    for j in range(width):
                        along += rest[s, j] * base[j]
                    for j in range(width):
                        rest[s, j] -= along * base[j]
                    share[s, rank] = along
                rank += 1
            for s in range(inputs):
                length = 0.0
                for j in range(width):
                    length += rest[s, j] ** 2
                known = shipped or counts[s].sum() > 0
                inside[s] = known and length <= _SPAN_TOLERANCE**2
                for i in range(rank - 1, -1, -1):
                    part[s, i] = share[s, i]
                    for j in range(i + 1, rank):
                        part[s, i] -= part[s, j] * share[chosen[j], i]
                    part[s, i] /= share[chosen[i], i]
        for s in range(inputs):
            own = revealed[s, a]
            if not np.isnan(own):
                out[s, a] = np.log(own) if own > 0.0 else -np.inf
            elif inside[s]:
                out[s, a] = 0.0
                for i in range(rank):
                    weight = revealed[chosen[i], a]
                    out[s, a] += part[s, i] * np.log(weight) if weight > 0.0 else -np.inf
            else:
                out[s, a] = np.nan
    for s in range(inputs):
        top = -np.inf
        mass = 0.0
        for a in range(labels):
            top = max(top, -np.inf if np.isnan(out[s, a]) else out[s, a])
        for a in range(labels):
            if top == -np.inf:
                out[s, a] = 1.0
            else:
                out[s, a] = 0.0 if np.isnan(out[s, a]) else np.exp(out[s, a] - top)
            mass += out[s, a]
        for a in range(labels):
            out[s, a] /= mass
