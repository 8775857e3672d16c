"""Hard labels on several inputs: bounds from those of one row, each row with its own binomial
number of samples.

Legend: S inputs, A labels, n samples, k ~ Bin(n, rho_s) the visits of one input, kappa = n/S.
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.limits.hard.add_c import (
    add_c_upper,
    best_constant,
    certified_maximum,
    envelope_at_zero,
    mle_upper,
)
from kt_theory.limits.hard.games import curved_upper
from kt_theory.limits.hard.priors import (
    SEARCHED_RATIO,
    WINDOW,
    bayes_risk,
    best_prior,
    closed_bayes_risk,
)
from kt_theory.limits.optimise import minimum

ROW_GAP = 1e-4
"""Relative gap of the searches behind an upper bound for several inputs; it is part of the bound.
"""

LARGEST_ROW_RATIO = 10**5
"""Largest k/A whose add-c bound is computed for a row; beyond it the closed form is within 0.2 % of
it.
"""

LARGEST_CURVED_ROW = 500
"""Largest k for which a row of two labels uses a curved student."""


def visit_steps(inputs: int, n: int, finest: float = 1e-3) -> np.ndarray:
    """Return increasing visit counts from 0 on, dense around kappa, where a row's upper bound is
    computed.

    Between them the bound at the lower count holds too, as samples may be thrown away. The spacing
    is `finest` at kappa and wider away from it, where the concave envelope of about sqrt(u), u =
    k/kappa, leaves room (ln u)^2/8.
    """
    centre = max(n / inputs, 1.0)
    log_up, log_down = [0.0], [0.0]
    while log_up[-1] < math.log(max(n / centre, 1.0)):
        log_up.append(log_up[-1] + _spacing(log_up[-1], finest))
    while log_down[-1] > -math.log(centre) - 1e-9:
        log_down.append(log_down[-1] - _spacing(log_down[-1], finest))
    steps = np.floor(centre * np.exp(np.array(log_up + log_down)))
    small = np.arange(0.0, min(n, 16) + 1.0)
    return np.unique(np.concatenate([small, np.clip(steps, 0.0, float(n))]))


def _spacing(log_ratio: float, finest: float) -> float:
    return min(max(finest, 0.2 * log_ratio**2), max(0.15, 0.15 * abs(log_ratio)))


def row_uppers(labels: int, visits: np.ndarray, gap: float = ROW_GAP) -> np.ndarray:
    """Return a proved, non-increasing upper bound of one row's worst-case risk after each number of
    visits.

    The student uses add-c with c chosen by the number of visits: a few optimised values,
    interpolated (any c is valid); for two labels also the curved students.
    """
    used = visits[(visits >= 1.0) & (visits <= float(LARGEST_ROW_RATIO) * labels)]
    nodes = np.unique(np.floor(np.geomspace(1.0, used.max(initial=1.0), 12)))
    scaled = [best_constant(labels, int(k)) / math.sqrt(k) for k in nodes]
    constants = np.interp(np.log(used), np.log(nodes), scaled) * np.sqrt(used)
    certified = [
        add_c_upper(labels, int(k), float(c), gap) for k, c in zip(used, constants, strict=True)
    ]
    bounds = np.array([mle_upper(labels, int(k)) for k in visits])
    bounds[np.isin(visits, used)] = np.minimum(bounds[np.isin(visits, used)], certified)
    if labels == 2:
        curved = (visits >= 2.0) & (visits <= float(LARGEST_CURVED_ROW))
        bounds[curved] = np.minimum(
            bounds[curved], [curved_upper(int(k))[0] for k in visits[curved]]
        )
    return np.minimum.accumulate(np.minimum(bounds, 1.0 - 1.0 / labels))


def inputs_upper(inputs: int, labels: int, n: int) -> float:
    """Return a proved upper bound of the minimax risk over all rho and pi: `laws_upper` of dense
    row bounds.
    """
    visits = visit_steps(inputs, n)
    return laws_upper(inputs, labels, n, visits, row_uppers(labels, visits))


def laws_upper(inputs: int, labels: int, n: int, visits: np.ndarray, bounds: np.ndarray) -> float:
    """Return a proved upper bound of the minimax risk over all rho and pi, from bounds of one row.

    A student that uses add-c(k) on a row with k visits has risk at most sum_s h(rho_s), h(x) = x
    f(x), f(x) = E[G(k)], k ~ Bin(n, x), G the row's bound; G falls in k, so f falls in x. By Jensen
    the sum is at most S times the concave envelope of h at 1/S, that is S min over slopes of max_x
    h(x) - slope (x - 1/S). On [u, v], h(x) - slope x <= x (f(u) - slope), linear in x, certifies
    the maximum.

    Parameters
    ----------
    inputs, labels, n : int
    visits : (K,) array
        Increasing visit counts from 0 on; those above n are not used.
    bounds : (K,) array
        G at them; between them the bound at the lower count holds.
    """
    from scipy.special import betainc

    drops, steps, share = np.diff(bounds[visits <= n]), visits[visits <= n][1:], 1.0 / inputs

    def row_risk(x: np.ndarray) -> np.ndarray:
        return bounds[0] + betainc(steps[None, :], n - steps[None, :] + 1.0, x[:, None]) @ drops

    u = np.concatenate(
        [np.geomspace(1e-3, 0.5, 30), np.linspace(0.5, 2.0, 61), np.geomspace(2.0, inputs, 40)]
    )
    edges = np.unique(np.concatenate([[0.0, 1.0], u[u <= inputs] * share]))
    weighted, offset = edges * row_risk(edges), edges - share
    # The slope is of the order of h near 1/S: on many inputs h(1) is far larger.
    scale = float(weighted[edges <= 4.0 * share].max()) * inputs
    value, slope = envelope_at_zero(offset, weighted, 1.5 * scale)

    def excess(x: np.ndarray) -> np.ndarray:
        return x * row_risk(x) - slope * (x - share)

    def bound(
        low: np.ndarray, high: np.ndarray, at_low: np.ndarray, at_high: np.ndarray
    ) -> np.ndarray:
        start = np.where(
            low > 0.0, (at_low + slope * (low - share)) / np.where(low > 0.0, low, 1.0), bounds[0]
        )
        return slope * share + np.maximum(low * (start - slope), high * (start - slope))

    top = certified_maximum(excess, bound, edges, ROW_GAP * value)
    return min(1.0 - 1.0 / labels, inputs * top)


def inputs_lower(inputs: int, labels: int, n: int) -> float:
    """Return a proved lower bound: the Bayes risk of rho uniform and independent Dirichlet rows.

    It is the mean of one row's Bayes risk over its visits k ~ Bin(n, 1/S). That risk falls in k, so
    in a block of counts (0.25 % of kappa wide) the bound at the last count holds for all. Counts
    more than six standard deviations from kappa are dropped.
    """
    from scipy.special import betainc

    centre = n / inputs
    reach = 6.0 * math.sqrt(centre) + 12.0
    first, last = max(0.0, math.floor(centre - reach)), min(float(n), math.ceil(centre + reach))
    starts = np.append(
        np.arange(first, last + 1.0, max(1.0, math.floor(2.5e-3 * centre))), last + 1.0
    )
    ends = starts[1:] - 1.0
    tail = betainc(np.maximum(starts, 1.0), np.maximum(n - starts + 1.0, 1.0), 1.0 / inputs)
    law = -np.diff(np.where(starts < 1.0, 1.0, np.where(starts > n, 0.0, tail)))
    if centre / labels > WINDOW / 4.0:
        grid = 1.0 + math.sqrt(centre / labels) * np.geomspace(0.05, 4.0, 60)
        return float(
            (law @ np.maximum([closed_bayes_risk(labels, int(k), grid) for k in ends], 0.0)).max()
        )
    if centre >= 20.0:
        alpha, level = best_prior(labels, round(centre))
        if centre > SEARCHED_RATIO * labels:
            return float(law @ [bayes_risk(labels, int(k), alpha, level) for k in ends])
        return float(law @ _row_lowers(labels, ends, alpha))
    guess = math.log(0.55 * math.sqrt(max(centre, 1e-6) / labels))
    return -minimum(
        lambda z: -float(law @ _row_lowers(labels, ends, math.exp(z))),
        guess - 5.0,
        guess + 4.0,
        0.02,
    )[0]


def _row_lowers(labels: int, visits: np.ndarray, alpha: float) -> np.ndarray:
    """Return lower bounds of a row's Bayes risk after each number of visits, their levels searched
    at a few counts.
    """
    nodes = np.unique(np.floor(np.geomspace(visits[0] + 1.0, visits[-1] + 1.0, 6))) - 1.0
    logits = [_best_logit(labels, int(k), alpha) for k in nodes]
    level = 1.0 / (1.0 + np.exp(-np.interp(np.log(visits + 1.0), np.log(nodes + 1.0), logits)))
    return np.array(
        [bayes_risk(labels, int(k), alpha, float(z)) for k, z in zip(visits, level, strict=True)]
    )


def _best_logit(labels: int, k: int, alpha: float) -> float:
    from scipy.special import betainc, logit

    if labels == 2:
        return 0.0
    if k == 0:
        # Every label has the same posterior, the prior, and D is largest at its mean 1/A.
        return float(logit(betainc(alpha, (labels - 1) * alpha, 1.0 / labels)))
    return minimum(
        lambda z: -bayes_risk(labels, k, alpha, 1.0 / (1.0 + math.exp(-z)), terms=300),
        -0.1,
        14.0,
        1e-2,
    )[1]
