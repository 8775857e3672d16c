"""The constants of the rates: what n times the minimax risk tends to, at every access level."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kt_theory.limits.hard.priors import log_binomial
from kt_theory.limits.optimise import best_whole, maximum
from kt_theory.validation import whole_number

LARGEST_ROW = 10**6
"""Most labels whose worst row is searched for."""

WIDE_ROW = 1000
"""Labels above which the worst row is searched near its limiting shape, and sums run over twelve
deviations.
"""


class LightLabels(NamedTuple):
    """The worst row with partial soft labels for n >> A >> 1.

    Attributes
    ----------
    value : float
        c2 = (t-1)^2/t, the limit of n/A times the minimax risk.
    t : float
        A light label has probability t/n.
    fraction : float
        The share 1/t of the labels that are light; the others, but one, have probability 0.
    """

    value: float
    t: float
    fraction: float


class FixedLabels(NamedTuple):
    """The worst B labels of total probability O(1/n) in a row with partial soft labels, as n ->
    infinity.

    Attributes
    ----------
    value : float
        K(B), the limit of n times the loss.
    light : int
        m, how many of the B labels have probability t/n; the others have 0.
    t : float
    """

    value: float
    light: int
    t: float


class Rate(NamedTuple):
    """A minimax rate with its constant: minimax risk ~ constant * rate.

    Attributes
    ----------
    access : str
    rate : str
        The rate as a formula in S, A, n.
    constant : float
    regime : str
        Where the ratio of the two sides tends to 1.
    reference : str
    """

    access: str
    rate: str
    constant: float
    regime: str
    reference: str


@lru_cache(maxsize=1)
def light_labels() -> LightLabels:
    """Return c2 = max_{t,f} t f e^-t (1-f) / (f e^-t + 1-f) = 0.1544, its t and its f.

    A share f of the labels has t/n, and is unseen with probability e^-t; per label, u = f e^-t
    light ones and z = 1-f empty ones are unseen and lose t u z / (u+z), n times. The best f for a
    given t leaves t / (1 + e^(t/2))^2, whose stationary point solves e^(t/2) (t-1) = 1; there f =
    1/t and the value is (t-1)^2/t.
    """
    t = 1.5
    for _ in range(60):
        grown = math.exp(t / 2)
        step = (grown * (t - 1) - 1) / (grown * (t + 1) / 2)
        t -= step
        if abs(step) < 1e-16:
            break
    return LightLabels((t - 1) ** 2 / t, t, 1 / t)


@lru_cache(maxsize=4096)
def fixed_labels(labels: int) -> FixedLabels:
    """Return K(B) = max_{m,t} t E[U(B-m)/(U+B-m)], U ~ Bin(m, e^-t), for B labels.

    m of the B labels have probability t/n and stay unseen independently with probability e^-t as n
    -> infinity; U unseen light ones and B-m empty ones lose t U(B-m)/(U+B-m), n times. K(1) = 0;
    K(2) = max t e^-t / 2 = 1/(2e).

    Parameters
    ----------
    labels : int
        B, from 1 to 10^6.
    """
    size = whole_number(labels, "labels", low=1, high=LARGEST_ROW)
    if size == 1:
        return FixedLabels(0.0, 0, 0.0)
    found: dict[int, tuple[float, float]] = {}

    def best(light: int) -> float:
        if light not in found:
            found[light] = maximum(lambda t: _row_constant(size, light, t), *ends, grid=grid)
        return found[light][0]

    if size <= WIDE_ROW:
        low, high, ends, grid = 1, size - 1, (0.5, 3.0), 17
    else:
        # m = B/t up to a bounded number of labels, as K(B) - c2 B is bounded and smooth in m.
        centre = round(light_labels().fraction * size)
        low, high, ends, grid = centre - 30, centre + 30, (1.4, 1.55), 5
    light = best_whole(best, low, high)
    value, t = found[light]
    return FixedLabels(value, light, t)


def _row_constant(labels: int, light: int, t: float) -> float:
    empty = labels - light
    p = math.exp(-t)
    reach = 12.0 * math.sqrt(light * p * (1.0 - p)) + 1.0
    unseen = np.arange(
        max(0.0, math.floor(light * p - reach)), min(light, math.ceil(light * p + reach)) + 1.0
    )
    law = np.exp(log_binomial(unseen, light - unseen, np.array(p)))
    return t * float(law @ (unseen * empty / (unseen + empty)))


def asymptotic_rates(inputs: int, labels: int) -> list[Rate]:
    """Return the rate and constant of every access level on S inputs and A labels, in increasing
    order of access.

    - hard: sqrt(S(A-1)/(2 pi n)); the constant is E|Z|/2 for Z standard normal (Kamath et al.
      2015).
    - partial: n M -> (S-1) K(A) + K(A-1) for fixed S and A: S-1 rows hold light labels only, one
      row also the heavy label; and n M / (S A) -> c2 for n >> SA, A >> 1.
    - soft and gradient: g(x) = x(1-x)^n peaks at x = 1/(n+1) with (1/n) 1/e; one input or one
      independent vertex is heavy, so n M -> (1-1/A)(S-1)/e, with the independence number in place
      of S for gradients.
    """
    size = whole_number(inputs, "inputs", low=1)
    width = whole_number(labels, "labels", low=1, high=LARGEST_ROW)
    half_normal = 0.5 * math.sqrt(2 / math.pi)
    rows = (size - 1) * fixed_labels(width).value + (
        fixed_labels(width - 1).value if width > 1 else 0.0
    )
    spread = (1 - 1 / width) / math.e
    return [
        Rate(
            "hard",
            "sqrt(S(A-1)/n)",
            half_normal,
            "n -> infinity",
            "Kamath, Orlitsky, Pichapati, Suresh (2015)",
        ),
        Rate("partial", "1/n", rows, "S, A fixed, n -> infinity", "(S-1) K(A) + K(A-1)"),
        Rate(
            "partial",
            "SA/n",
            light_labels().value,
            "n >> SA, A >> 1",
            "c2 = (t-1)^2/t, e^(t/2)(t-1) = 1",
        ),
        Rate("soft", "1/n", (size - 1) * spread, "S fixed, n -> infinity", "(1-1/A)(S-1)/e"),
        Rate("soft", "(1-1/A) S/n", math.exp(-1), "n >> S >> 1", "max_c c e^-c"),
        Rate(
            "gradient",
            "(1-1/A)(alpha-1)/n",
            math.exp(-1),
            "graph fixed, n -> infinity",
            "alpha(G^h) in place of S",
        ),
    ]
