"""Bounds on the mass of what n samples miss that hold with high probability, for every law."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kt_theory.validation import unit_interval, whole_number


class MissingMassBounds(NamedTuple):
    """With probability 1 - delta, L = sum_s rho_s 1[s not sampled] is at most either number."""

    paper: float
    sharper: float


def missing_mass_bounds(inputs: int, n: int, delta: float) -> MissingMassBounds:
    """Return bounds on sum_s rho_s 1[s not sampled] that hold with probability 1 - delta for every
    rho on S inputs.

    paper: 4S/(9n) + 3 sqrt(S) ln(1/delta)/n, for delta <= 1/10 (NaN above): Zhao and Zhu (2023),
    equation (D.34).

    sharper: (1/n) inf_{0<t<1} [S (1-t)^((1-t)/t) + ln(1/delta)/t]. Key steps: multinomial counts
    are negatively associated and 1[n_s = 0] are non-increasing functions of different counts
    (Joag-Dev and Proschan 1983), so with y = n rho_s and (1-rho_s)^n <= e^-y

        ln E exp(t n L) <= sum_s ln(1 + e^-y (e^{ty} - 1)) <= sum_s (e^{-(1-t)y} - e^-y) <= S t
        (1-t)^((1-t)/t),

    the last at its maximiser e^{ty} = 1/(1-t); then P(L >= x) <= exp(-t n x) E exp(t n L) = delta
    (Chernoff).

    Parameters
    ----------
    inputs : int
        S >= 1.
    n : int
        At least 1.
    delta : float
        In (0, 1).
    """
    size = whole_number(inputs, "inputs", low=1)
    draws = whole_number(n, "n", low=1)
    log = -float(np.log(unit_interval(delta, "delta")))
    paper = 4 * size / (9 * draws) + 3 * np.sqrt(size) * log / draws if delta <= 0.1 else np.nan
    low, high = -40.0, 40.0
    for _ in range(6):
        t = 1 / (1 + np.exp(-np.linspace(low, high, 401)))
        bound = size * np.exp((1 - t) / t * np.log1p(-np.minimum(t, 1 - 1e-16))) + log / t
        best = int(np.argmin(bound))
        step = (high - low) / 400
        low, high = low + (best - 1) * step, low + (best + 1) * step
    return MissingMassBounds(float(min(paper, 1.0)), min(1.0, float(bound.min()) / draws))
