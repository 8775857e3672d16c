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

FEW_VISITS = 2.0
"""Least kappa at which the prior is searched with a few numbers of visits in place of all."""

RARE = 1e-3
"""That search leaves out the numbers of visits that are less probable, on either side."""

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
    ends_of_search = guess - 5.0, guess + 4.0
    if centre < FEW_VISITS:
        return -minimum(
            lambda z: -float(law @ _row_lowers(labels, ends, math.exp(z))), *ends_of_search, 0.02
        )[0]
    # The prior is searched with the risks after a few numbers of visits, and all are then bounded.
    up_to = np.cumsum(law)
    nodes = _nodes(ends[(up_to > RARE) & (up_to - law < 1.0 - RARE)], 8)
    weights = np.linalg.solve(_powers(nodes, nodes).T, law @ _powers(ends, nodes))
    best = minimum(
        lambda z: -float(weights @ [_at_best_logit(labels, k, math.exp(z))[0] for k in nodes]),
        *ends_of_search,
        2e-3,
    )[1]
    return float(law @ _row_lowers(labels, ends, math.exp(best)))


def _nodes(visits: np.ndarray, most: int = 6) -> np.ndarray:
    """Return some of the numbers of visits, spaced in their logarithms."""
    if len(visits) <= most:
        return visits
    spaced = np.geomspace(visits[0] + 1.0, visits[-1] + 1.0, most)
    nodes: np.ndarray = np.unique(np.floor(spaced)) - 1.0
    return nodes


def _powers(visits: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return powers of ln(visits + 1), one for each of the nodes."""
    middle = 0.5 * (math.log(nodes[0] + 1.0) + math.log(nodes[-1] + 1.0))
    return np.vander(np.log(visits + 1.0) - middle, len(nodes))


def _row_lowers(labels: int, visits: np.ndarray, alpha: float) -> np.ndarray:
    """Return lower bounds of a row's Bayes risk after each number of visits, their levels searched
    at a few counts.
    """
    nodes = _nodes(visits)
    logits = [_at_best_logit(labels, k, alpha)[1] for k in nodes]
    level = 1.0 / (1.0 + np.exp(-np.interp(np.log(visits + 1.0), np.log(nodes + 1.0), logits)))
    return np.array(
        [bayes_risk(labels, int(k), alpha, float(z)) for k, z in zip(visits, level, strict=True)]
    )


def _at_best_logit(labels: int, visits: float, alpha: float) -> tuple[float, float]:
    """Return a row's Bayes risk at the level that makes it largest, and the logit of the level."""
    from scipy.special import betainc, logit

    k = int(visits)

    def risk(z: float) -> float:
        return bayes_risk(labels, k, alpha, 1.0 / (1.0 + math.exp(-z)), terms=300)

    if labels == 2:
        return risk(0.0), 0.0
    if k == 0:
        # Every label has the same posterior, the prior, and D is largest at its mean 1/A.
        best = float(logit(betainc(alpha, (labels - 1) * alpha, 1.0 / labels)))
        return risk(best), best
    least, best = minimum(lambda z: -risk(z), -0.1, 14.0, 1e-2)
    return -least, best
