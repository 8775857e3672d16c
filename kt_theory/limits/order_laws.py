"""Laws that order losses by total variation, and what the uniform student loses: proofs are in
`kt_theory.limits.losses`.
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
