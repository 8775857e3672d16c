"""Students that learn from all rows together: one unknown temperature, logits that are affine in known features."""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory import access
from kt_theory.students.core import Student, TableRule
from kt_theory.validation import numeric_array

_LARGEST_POWER = 1024.0
_NEWTON_STEPS = 100
_SPAN_TOLERANCE = 1e-8


def _fit_power(counts, revealed, out):
    inputs, labels = counts.shape
    pairs = 0
    for s in range(inputs):
        visits = 0
        for a in range(labels):
            visits += counts[s, a]
        pairs += visits
        if visits == 0:
            continue
        top = 0.0
        for a in range(labels):
            top = max(top, revealed[s, a])
        for a in range(labels):
            out[s, a] = np.log(revealed[s, a] / top) if revealed[s, a] > 0.0 else -np.inf
    power, low, high = 1.0, 0.0, _LARGEST_POWER
    for _ in range(_NEWTON_STEPS):
        slope, curvature = 0.0, 0.0
        for s in range(inputs):
            visits = 0
            for a in range(labels):
                visits += counts[s, a]
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
        visits = 0
        for a in range(labels):
            visits += counts[s, a]
        mass = 0.0
        for a in range(labels):
            out[s, a] = np.exp(power * out[s, a]) if visits > 0 else 1.0
            mass += out[s, a]
        for a in range(labels):
            out[s, a] /= mass


def tempered_mle(tau: float) -> Student:
    """Return the student that sees rows at a temperature that it does not know, and the labels that were sampled.

    With q = softmax(z / tau) shown, the teacher is q^b, normalised, for b = tau. The student maximises the concave

        L(b) = sum_s sum_a n_sa [b log q(a|s) - log sum_a' q(a'|s)^b]

    over 0 <= b <= 1024 by Newton's method between brackets. The Fisher information of a pair is E_rho Var_p(log q), and
    the derivative of TV in b is 1/2 E_rho sum p |log q - mean| at most half its square root: so

        risk = coverage + at most 1/sqrt(2 pi n) (1 + o(1)),

    a constant free of S and A, attained where |log q - mean| is constant on every row. It has no exact risk.

    Parameters
    ----------
    tau : float
        The temperature at which the teacher shows its rows, above 0; the student's rule does not use it.
    """
    level = access.temperature(tau)
    return Student(f"tempered_mle({tau:g})", level, TableRule(_fit_power), "maximum likelihood of one temperature")


def affine_ful(features: Any) -> Student:
    """Return the student of complete logits, up to a shift per input, that knows them to be affine in the features.

    A visited input is known. So is every input x = sum c_i x_i, sum c_i = 1, in the affine span of the visited ones:
    z(x) = sum c_i z(x_i), up to a shift of all labels. The others stay uniform. No more than d + 1 inputs are affinely
    independent, and a new query falls outside the span of n others with the mean probability that a point of an
    exchangeable n + 1 is outside the span of the rest, at most (d + 1) / (n + 1). So

        risk <= (1 - 1/A) (d + 1) / (n + 1),

    free of S, and d + 1 queries in general position reveal the teacher. It has no exact risk.

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input. If the logits are not affine in them the copy is wrong on unvisited inputs.
    """
    points = numeric_array(features, "features", 2).astype(np.float64)
    middle = points - points.mean(axis=0)
    lifted = np.column_stack([middle / (np.abs(middle).max() or 1.0), np.ones(len(points))])

    def rule(counts, revealed, out):
        inputs, labels = counts.shape
        width = lifted.shape[1]
        rest = lifted.copy()
        share = np.zeros((inputs, width))  # lifted[s] = rest[s] + sum_j share[s, j] base[j]
        chosen = np.zeros(width, dtype=np.int64)
        base = np.zeros(width)
        rank = 0
        while rank < width:
            longest = 0.0
            for s in range(inputs):
                length = 0.0
                for j in range(width):
                    length += rest[s, j] ** 2
                if length > longest and not np.isnan(revealed[s, 0]):
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
        part = np.zeros(width)
        for s in range(inputs):
            own = not np.isnan(revealed[s, 0])
            length = 0.0
            for j in range(width):
                length += rest[s, j] ** 2
            if not own and (rank == 0 or length > _SPAN_TOLERANCE**2):
                for a in range(labels):
                    out[s, a] = 1.0 / labels
                continue
            for i in range(rank - 1, -1, -1):
                part[i] = share[s, i]
                for j in range(i + 1, rank):
                    part[i] -= part[j] * share[chosen[j], i]
                part[i] /= share[chosen[i], i]
            top = -np.inf
            for a in range(labels):
                if own:
                    out[s, a] = np.log(revealed[s, a]) if revealed[s, a] > 0.0 else -np.inf
                else:
                    out[s, a] = 0.0
                    for i in range(rank):
                        weight = revealed[chosen[i], a]
                        out[s, a] += part[i] * np.log(weight) if weight > 0.0 else -np.inf
                top = max(top, out[s, a])
            mass = 0.0
            for a in range(labels):
                out[s, a] = np.exp(out[s, a] - top)
                mass += out[s, a]
            for a in range(labels):
                out[s, a] /= mass

    name = f"affine_ful({points.shape[1]} features)"
    return Student(name, access.logits(), TableRule(rule), "affine span of the queries")
