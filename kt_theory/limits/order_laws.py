"""Order laws between losses: what total variation says of the others. Each inequality is between
rows, and goes over to risks by Jensen's.

p is the teacher's row, q the student's, d = p - q, t = TV(p, q).

From below, by functions of t that are convex and rise, so that the worst-case E phi(TV) of every
student is at least phi of its worst-case E TV, and that at least phi of the minimax risk in tv:

- kl, reverse_kl >= 2 t^2 (Pinsker).
- chi2 >= 4 t^2: (sum |d|)^2 <= sum d^2/q sum q (Cauchy and Schwarz).
- hellinger2 >= t^2/2: 2 t = sum |sqrt p - sqrt q| (sqrt p + sqrt q) <= sqrt((2 - 2B)(2 + 2B)) <=
  sqrt(8 (1 - B)), B = sum sqrt(p q).
- js >= t^2/2: with m = (p+q)/2 and v = |d|/(2m), js = sum m h(v), h(v) = ((1+v) log(1+v) + (1-v)
  log(1-v))/2 = sum_j v^(2j) / (2j (2j-1)) >= v^2/2, and sum m v^2 >= (sum m v)^2 = t^2.
- l2 >= 4 t^2/A (Cauchy and Schwarz).

From above, whatever the student, by functions that are linear: hellinger2 <= t, as sqrt(p q) >=
min(p, q); js <= t log 2, as h(v) <= v^2 log 2 <= v log 2; l2 <= 2 t, as |d| <= 1.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from kt_theory.losses import Loss, SumOverLabels


@dataclass(frozen=True)
class OrderLaw:
    """What is known of a loss from others.

    Attributes
    ----------
    square : float
        It is at least this times t^2.
    slope : float
        It is at most this times t.
    of_chi2 : callable
        chi2 <= x implies that it is at most this function of x; concave.
    """

    square: float
    slope: float
    of_chi2: Callable[[float], float]


def _hellinger2_of(chi2: float) -> float:
    return -math.expm1(-0.5 * math.log1p(chi2))


def order_law(loss: Loss, labels: int) -> OrderLaw:
    """Return the law of a loss from the module's head.

    Raises
    ------
    ValueError
        For a loss of one's own.
    """
    laws = _order_laws(labels)
    if not isinstance(loss, SumOverLabels) or loss.name not in laws:
        known = ", ".join(("tv", *laws, "acceptance"))
        raise ValueError(
            f"loss {loss.name!r}: no bound over all teachers is known, only of {known}; "
            "exact_risk and simulate take it on one teacher"
        )
    return laws[loss.name]


def _order_laws(labels: int) -> dict[str, OrderLaw]:
    """Return the laws by name; that of l2 is of hard labels, not of chi2."""
    nothing = partial(max, math.inf)
    half = partial(operator.mul, 0.5 * math.log(2.0))
    return {
        "kl": OrderLaw(2.0, math.inf, math.log1p),
        "reverse_kl": OrderLaw(2.0, math.inf, nothing),
        "chi2": OrderLaw(4.0, math.inf, float),
        "hellinger2": OrderLaw(0.5, 1.0, _hellinger2_of),
        "js": OrderLaw(0.5, math.log(2.0), half),
        "l2": OrderLaw(4.0 / labels, 2.0, partial(operator.mul, 1.0 / labels)),
    }


def uniform_cost(loss: Loss, labels: int) -> float:
    """Return loss(e, U), the most that the uniform student loses, and the minimax risk at n = 0."""
    point = np.zeros(labels)
    point[0] = 1.0
    return float(loss.of_rows(point, np.full(labels, 1.0 / labels)))
