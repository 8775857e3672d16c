"""Logits of the sampled labels, each input with its own unknown shift: the mass of what was not
sampled stays unknown.

The missing-mass student divides the weights of a visited row by their sum and is uniform on
unvisited rows. On a visited row it loses exactly the mass of the labels that were not sampled.
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.limits.laws import largest_over_laws
from kt_theory.limits.optimise import maximum
from kt_theory.limits.soft import unvisited_mass
from kt_theory.limits.visits import most_over_laws, visit_blocks


def missing_mass_upper(inputs: int, labels: int, n: int) -> float:
    """Return a bound on the missing-mass student for all teachers; for one input and n >= 1 its
    worst case, Phi(A, n).

    Its risk is sum over pairs of g(x), x = rho(s) pi(a|s), g(x) = x (1-x)^n, less sum_s (1-rho_s)^n
    times rho_s - rho_s TV(U, p_s) = sum_a min(x, rho_s/A) >= rho_s/A. The first sum is at most
    Phi(SA, n), which for one input rows attain. For several: the concave majorant of g is g(min(x,
    1/(n+1))), so a row of mass r loses at most A g(min(r/A, 1/(n+1))) - g(r)/A; then
    `largest_over_laws`.
    """
    most = 1.0 - 1.0 / labels
    if n == 0 or labels == 1:
        return most
    whole = unvisited_mass(inputs * labels, n).value
    if inputs == 1:
        return min(most, whole)
    unit = 1.0 / max(n, inputs)
    parts = [
        np.linspace(0.0, 4.0 * unit, 600),
        np.linspace(0.0, 4.0 / n, 300),
        np.geomspace(4.0 * unit, 1.0, 300),
    ]
    edges = np.unique(np.minimum(np.concatenate(parts), 1.0))
    a, b = edges[:-1], edges[1:]
    peak = 1.0 / (n + 1)
    # g rises to its peak and falls behind it, so on a cell it is least at an end.
    row = (
        labels * _mass_term(np.minimum(b / labels, peak), n)
        - np.minimum(_mass_term(a, n), _mass_term(b, n)) / labels
    )
    mass, value = np.column_stack([a, b]).ravel(), np.repeat(row, 2)
    cell = np.repeat(np.arange(len(a)), 2)
    return min(most, whole, largest_over_laws(inputs, n, cell, mass, value, spill=0))


def good_turing_upper(inputs: int, labels: int, n: int, partial: float) -> float:
    """Return `partial`, a bound for partial labels, plus what it costs to estimate the mass that
    was not sampled.

    The student of partial labels gives the unsampled labels of a row their mass R in equal shares
    and the others what is shown. With N1/k in place of R, N1 the labels sampled once in k visits,
    it loses |N1/k - R| more, the square in mean at most sum p (1-p)^(k-1)/k + p^2 (1-p)^k, at most
    A ((1-1/k)^(k-1) + 4/e^2)/k^2, plus for two labels p p' c^(k-2) ((1-c)^2 - 1/k), c = 1-p-p',
    together at most (1 - 1/sqrt(k))^(k-2).

    Parameters
    ----------
    inputs, labels, n : int
    partial : float
    """

    def loss(visits: np.ndarray) -> np.ndarray:
        k = np.maximum(visits, 2.0)
        once = np.exp((k - 1.0) * np.log1p(-1.0 / k)) + 4.0 * math.exp(-2.0)
        square = labels * once / k**2 + np.exp((k - 2.0) * np.log1p(-1.0 / np.sqrt(k)))
        return np.where(
            visits == 0, 0.0, np.where(visits < 2.0, 1.0, np.minimum(np.sqrt(square), 1.0))
        )

    return partial + most_over_laws(inputs, n, lambda visits: loss(np.maximum(visits, 1.0)))


def sampled_logits_lower(inputs: int, labels: int, n: int) -> float:
    """Return a lower bound that partial labels do not have: a row of one seen label may hold others
    or not.

    rho is uniform. A row has one label of weight 1 and L labels that have weight w with chance f
    and else 0, independently; probabilities are weights divided by their sum. What is shown of seen
    labels never tells that sum. Given which of the others a row has, a label that was not seen in k
    visits has likelihood ratio at least z^k, z = 1/(1+w), in favour of being there, and then
    probability at least w/(1+Lw). So it costs the student at least w/(1+Lw) E min(f z^k, 1-f), k ~
    Bin(n, 1/S); TV is at least the cost of one label, and half of the sum over all L. The choice of
    L = 1 or A-1, w and f = 1/(1 + z^(n/S)) is free.
    """
    visits, chances = visit_blocks(n, 1.0 / inputs)

    def loss(log_w: float, light: int, weight: float) -> float:
        w = math.exp(log_w)
        log_z = -math.log1p(w)
        share = 1.0 / (1.0 + math.exp(n / inputs * log_z))
        return (
            weight
            * w
            / (1.0 + light * w)
            * float(chances @ np.minimum(share * np.exp(visits * log_z), 1.0 - share))
        )

    unit = inputs / (n + inputs)
    ends, most = (math.log(0.05 * unit), math.log(20.0)), 0.5 * (labels - 1)
    one = maximum(lambda log_w: loss(log_w, 1, 1.0), *ends, grid=97)[0]
    return max(one, maximum(lambda log_w: loss(log_w, labels - 1, most), *ends, grid=97)[0])


def _mass_term(x: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        term: np.ndarray = x * np.exp(n * np.log1p(-x))
    return term
