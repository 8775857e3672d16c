"""Soft labels: the minimax risk in closed form, from the largest mean mass of unvisited inputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kt_theory.limits.limit import Limit
from kt_theory.numeric import missed
from kt_theory.teacher import Teacher


class WorstLaw(NamedTuple):
    """An input law with at most two values and its expected unvisited mass.

    Attributes
    ----------
    value : float
        sum_s rho_s (1-rho_s)^n.
    light, heavy : float
        inputs - 1 inputs have probability `light` and one has `heavy`; the two are equal if the law
        is uniform.
    """

    value: float
    light: float
    heavy: float


def unvisited_mass(inputs: int, n: int) -> WorstLaw:
    r"""Return Phi(S, n) = max_rho sum_s rho_s (1-rho_s)^n and the law that attains it.

    With g(x) = x (1-x)^n a maximiser has g'(rho_s) equal wherever rho_s > 0, and no zero because
    g'(0) = 1 exceeds g' everywhere else. g' = (1-x)^(n-1) (1-(n+1)x) falls to its minimum at
    2/(n+1), then rises: at most two values, and at most one input beyond 2/(n+1), where g is
    convex. So rho is uniform, or one heavy input h = 1-(S-1)x and S-1 inputs x in [1/(n+1), 1/S];
    for S >= n+1 it is uniform. F(x) = (S-1) g(x) + g(h) rises where D(x) = ln(g'(x)/g'(h)) is
    negative, and with P = (n+1)x-1, Q = (n+1)h-1

        D'(x) has the sign of (n+1)(n+1-S) x(1-x) - (n-1) P Q,

    a convex quadratic, positive at 1/(n+1). Before its first root r, D rises from -infinity; so F
    has at most one inner maximum, the zero of D in (1/(n+1), r), and there is one exactly if D(r) >
    0. F is stationary there: an error of 1e-9 in x is one of 1e-18 in Phi.

    Parameters
    ----------
    inputs : int
        S >= 1.
    n : int
        Samples, >= 0.
    """
    uniform = 1.0 / inputs
    flat = WorstLaw(missed(uniform, n), uniform, uniform)
    if inputs == 1 or inputs >= n + 1:
        return flat
    excess = _inner_maximum(inputs, n)
    if excess is None:
        return flat
    light = (1.0 + excess) / (n + 1)
    others = (inputs - 1) * light
    # The heavy input is missed if all samples fall on the others: 1 - heavy would cancel.
    value = others * missed(light, n) + (1.0 - others) * math.exp(n * math.log(others))
    return max(flat, WorstLaw(value, light, 1.0 - others))


def _inner_maximum(inputs: int, n: int) -> float | None:
    """Return P = (n+1)x - 1 at the inner maximum of F, None if F has none on (1/(n+1), 1/S)."""
    others = inputs - 1

    def slope_order(excess: float) -> float:
        x = (1.0 + excess) / (n + 1)
        # Q = (n+1)h - 1 with h = 1 - (S-1)x.
        heavy_excess = n - others - others * excess
        return (
            (n - 1) * (math.log1p(-x) - math.log(others * x))
            + math.log(excess)
            - math.log(heavy_excess)
        )

    # The quadratic a P^2 - b P + c in P, from x(1-x) = (1+P)(n-P)/(n+1)^2 and Q = (n-S+1) - (S-1)P.
    room = n + 1 - inputs
    a = (n - 1) * others - room / (n + 1)
    b = (n - 1) * room - room * (n - 1) / (n + 1)
    c = room * n / (n + 1)
    disc = b * b - 4.0 * a * c
    if disc < 0 or b <= 0:
        return None
    first_root = 2.0 * c / (b + math.sqrt(disc))
    tiny = 1e-12
    if first_root >= room / inputs or slope_order(first_root) <= 0:
        return None
    if first_root <= tiny or slope_order(tiny) >= 0:
        return min(tiny, first_root)
    low, high = math.log(tiny), math.log(first_root)
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope_order(math.exp(middle)) < 0 else (low, middle)
    return math.exp(0.5 * (low + high))


def soft_limit(inputs: int, labels: int, n: int) -> Limit:
    """Return the minimax risk with soft labels, (1-1/A) Phi(S, n), exact.

    Upper: the student that copies the visited rows and is uniform elsewhere loses TV(Uniform, p) <=
    1-1/A on an unvisited row. Lower: against deterministic teachers drawn uniformly at random every
    guess on an unvisited row loses 1-1/A on average, whatever rho. So the worst teacher is
    deterministic, with the law of `unvisited_mass`.
    """
    law = unvisited_mass(inputs, n)
    value = (1.0 - 1.0 / labels) * law.value
    teacher = deterministic_teacher(inputs, labels, law)
    reference = (
        "(1-1/A) max_rho sum_s rho_s (1-rho_s)^n, attained by CE_ful; sharpens Theorems 5.1 and 5.2"
    )
    return Limit(value, value, True, teacher, reference, "soft", inputs, labels, n)


def deterministic_teacher(inputs: int, labels: int, law: WorstLaw) -> Teacher:
    """Return the teacher whose rows are point masses and whose inputs follow `law`, given by
    classes.
    """
    point = np.zeros(labels)
    point[0] = 1.0
    if inputs == 1 or law.light == law.heavy:
        return Teacher.from_classes([point], [1.0 / inputs], [inputs])
    return Teacher.from_classes([point, point], [law.light, law.heavy], [inputs - 1, 1])
