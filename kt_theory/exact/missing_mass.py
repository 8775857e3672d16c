"""The law of the missing mass L = sum_s w_s 1[s not sampled], and bounds that hold with high
probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.occupancy import Cells, contour, empty_factors, empty_laws, joint
from kt_theory.exact.unvisited import uniform_distance
from kt_theory.numeric import missed
from kt_theory.teacher import RowClasses, Teacher, require_teacher
from kt_theory.validation import (
    LARGEST_COUNT,
    as_floats,
    numeric_array,
    unit_interval,
    whole_number,
)

LARGEST_LAW = 5e6
SMALLEST = 1e-26
SAME = 4e-15
"""Values of the missing mass closer than this, relative to the largest, are one value."""


class Moments(NamedTuple):
    """Mean and variance of a missing mass."""

    mean: float
    variance: float


@dataclass(frozen=True, eq=False)
class MissingMassLaw(ByContent):
    """The exact law of a missing mass: finitely many values.

    Attributes
    ----------
    values : (V,) array, ascending
    probabilities : (V,) array, sums to 1; absolute error about 1e-14
    """

    values: np.ndarray
    probabilities: np.ndarray

    def cdf(self, x: ArrayLike) -> np.ndarray | float:
        """Return P(L <= x)."""
        slack = SAME * self.values[-1]
        at = as_floats(x, "x") + slack
        index = np.searchsorted(self.values, at, side="right")
        sums = np.minimum(np.cumsum(self.probabilities), 1.0)
        below = np.append(0.0, sums)[index]
        return float(below) if np.ndim(x) == 0 else below

    def quantile(self, level: float) -> float:
        """Return the smallest value v with P(L <= v) >= level, 0 < level < 1; above 1 - 1e-12
        rounding decides.
        """
        tails = np.cumsum(self.probabilities[::-1])[::-1]
        upper = np.append(tails[1:], 0.0)
        enough = np.flatnonzero(upper <= 1.0 - unit_interval(level, "level"))
        return float(self.values[enough[0]])


def ce_ful_weights(teacher: Teacher) -> np.ndarray:
    """Return w = rho TV(Uniform, pi) for each row class: with these weights the missing mass is the
    loss of ce_ful.
    """
    require_teacher(teacher)
    return teacher.classes.rho * uniform_distance(teacher.classes.rows)


def missing_mass_moments(teacher: Teacher, n: int, weights: ArrayLike | None = None) -> Moments:
    """Return the exact mean and variance of the missing mass.

    With q = (1-rho)^n and y = w q/(1-rho), kappa = rho/(1-rho), E(x) = (1+x)^n - 1 - nx:

        mean = sum_s w_s q_s,
        variance = n Var_{s ~ rho}(y_s) + sum_s (w_s q_s)^2 E(kappa_s)
                   + sum_{s != t} w_s w_t q_s q_t E(-kappa_s kappa_t).

    Key line: P(s, t unseen) - q_s q_t = q_s q_t [(1 - kappa_s kappa_t)^n - 1], q_s - q_s^2 = q_s^2
    [(1+kappa_s)^n - 1]; the terms of first order in kappa add up to the variance under rho. Every
    term is >= 0, so that the variance keeps its digits where the sum of covariances cancels (many
    rare inputs).

    Parameters
    ----------
    teacher : Teacher
    n : int
        Number of samples.
    weights : array_like, (C,), optional
        Weight w >= 0 of one input of each of `teacher.classes`; rho if omitted. See
        `ce_ful_weights`.
    """
    require_teacher(teacher)
    rho, size, w = _weighted(teacher.classes, weights)
    draws = float(whole_number(n, "n"))
    rho = np.minimum(rho, 1.0)
    if draws == 0:
        return Moments(float(size @ w), 0.0)
    q = missed(rho, draws)
    mean = float(size @ (w * q))
    keep = (rho < 1) & (w > 0)
    if not keep.any():
        return Moments(mean, 0.0)
    refuse_beyond(
        20.0 * keep.sum() ** 2,
        f"the variance over {keep.sum()} row classes",
        "use the mean, or simulate",
    )
    outside = float(size[~keep] @ rho[~keep]) + max(0.0, 1.0 - float(size @ rho))
    rho = rho[keep]
    size = size[keep]
    w = w[keep]
    q = q[keep]
    kappa = rho / (1 - rho)
    y = w * q / (1 - rho)
    centre = (size * rho) @ y
    total = draws * ((size * rho) @ (y - centre) ** 2 + outside * centre**2)
    total += size @ (w**2 * _alone(kappa, q, draws))
    mass = w * q
    for c in range(len(mass)):
        others = size.copy()
        others[c] -= 1
        pairs = _together(-kappa[c] * kappa, draws)
        total += size[c] * mass[c] * float((others * mass) @ pairs)
    return Moments(mean, float(total))


def missing_mass_law(teacher: Teacher, n: int, weights: ArrayLike | None = None) -> MissingMassLaw:
    """Return the exact law of the missing mass, for rho of few distinct values.

    The numbers of unseen inputs per class are the numbers of empty cells after n draws: their joint
    law is a Cauchy integral over independent binomial laws (`kt_theory.exact.occupancy`).
    `weights=ce_ful_weights(teacher)` gives the law of ce_ful's loss.

    Parameters
    ----------
    teacher, n, weights
        As for `missing_mass_moments`.

    Raises
    ------
    NoExactRisk
        If the classes of equal (rho, w) have too many joint numbers of unseen inputs.
    """
    require_teacher(teacher)
    rho, size, w = _weighted(teacher.classes, weights)
    draws = float(whole_number(n, "n"))
    never = float(size[rho == 0] @ w[rho == 0])
    asked = rho > 0
    both = np.column_stack([rho, w])[asked]
    pairs, position = np.unique(both, axis=0, return_inverse=True)
    number = np.bincount(position.ravel(), weights=size[asked], minlength=len(pairs))
    cells = Cells(number, pairs[:, 0] / (pairs[:, 0] @ number))
    if draws == 0:
        everything = never + number @ pairs[:, 1]
        return MissingMassLaw(np.array([everything]), np.ones(1))
    what = f"the law of the missing mass over {len(pairs)} classes of inputs"
    way_out = "use missing_mass_moments and missing_mass_bounds, or simulate(..., keep_losses=True)"
    refuse_beyond(
        float(number.max(initial=0.0)),
        what + " (their numbers beyond 2^53)",
        way_out,
        LARGEST_COUNT,
    )
    joint_numbers = cells.states(np.array([draws]))
    refuse_beyond(float(joint_numbers[0]), what, way_out, LARGEST_LAW)
    windows = cells.windows(draws)
    laws = empty_laws(cells, windows, draws)[1]
    windows = [window[law > SMALLEST] for window, law in zip(windows, laws, strict=True)]
    scale, laws = empty_laws(cells, windows, draws)
    path = contour(draws, draws, 0.0, cells, windows)
    states = float(np.prod([len(window) for window in windows]))
    each = states + 50 * sum(map(len, windows))
    refuse_beyond(len(path.angle) * each, what, way_out)
    values = np.array([never])
    for window, weight in zip(windows, pairs[:, 1], strict=True):
        values = np.add.outer(values, window * weight).ravel()
    probabilities = np.zeros(len(values))
    longest = max(len(law) for law in laws)
    block = max(1, int(2**21 / longest / max(1.0, np.sqrt(states) / 1e3)))
    for start in range(0, len(path.angle), block):
        weight, factors = empty_factors(cells, windows, path.cut(start, start + block))
        left, right = joint(factors)
        left = weight[:, None] * left
        probabilities += (left.real.T @ right.real - left.imag.T @ right.imag).ravel()
    return _collected(values, np.maximum(probabilities * np.exp(path.log_scale + scale), 0.0))


def _weighted(classes: RowClasses, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rho, multiplicity and the checked weights of the classes."""
    size = classes.multiplicity.astype(np.float64)
    if weights is None:
        return classes.rho, size, classes.rho
    w = numeric_array(weights, "weights", 1).astype(np.float64)
    if len(w) != len(size):
        raise ValueError(
            f"weights has {len(w)} entries: the teacher has {len(size)} row classes, one is needed "
            "for each"
        )
    if (w < 0).any():
        c = int(np.argmax(w < 0))
        raise ValueError(f"weights[{c}] = {w[c]}: must be >= 0")
    return classes.rho, size, w


def _together(x: np.ndarray, n: float) -> np.ndarray:
    """Return (1+x)^n - 1 - nx >= 0 for -1 <= x <= 0; by its series where the difference cancels."""
    x = np.maximum(x, -1.0)
    small = n * np.abs(x) < 0.5
    with np.errstate(divide="ignore"):
        direct = np.expm1(n * np.log1p(np.where(small, 0.0, x))) - n * x
    return np.where(small, _series(np.where(small, x, 0.0), n), direct)


def _alone(kappa: np.ndarray, q: np.ndarray, n: float) -> np.ndarray:
    """Return q^2 [(1+kappa)^n - 1 - n kappa] = q - q^2 (1 + n kappa), 1 + kappa = 1/(1-rho)."""
    small = n * kappa < 0.5
    return np.where(
        small,
        q * q * _series(np.where(small, kappa, 0.0), n),
        np.maximum(q - q * q * (1 + n * kappa), 0.0),
    )


def _series(x: np.ndarray, n: float) -> np.ndarray:
    term = n * x
    total = np.zeros_like(x)
    for j in range(2, 24):
        term = term * ((n - j + 1) / j) * x
        total += term
    return total


def _collected(values: np.ndarray, probabilities: np.ndarray) -> MissingMassLaw:
    order = np.argsort(values, kind="stable")
    values = values[order]
    probabilities = probabilities[order]
    new = np.append(True, np.diff(values) > SAME * values[-1])
    group = np.cumsum(new) - 1
    return MissingMassLaw(values[new], np.bincount(group, weights=probabilities))
