"""Binomials at any n, and with them a multinomial at a cost that does not grow with n at all.

The visits of the rows by conditional binomials, then the labels within each row: S + S A draws of
up to 60 ns. Five to ten times the cost of the Poisson tables; it serves the n for which those
tables would outgrow the caches.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kt_theory.kernels.layout import row_cells
from kt_theory.kernels.options import BARE
from kt_theory.kernels.streams import next_unit


def conditional_shares(p: np.ndarray) -> np.ndarray:
    """Return p_j / (p_j + p_{j+1} + ...) along the last axis: exactly 1 at the last positive entry,
    0 at zeros.
    """
    tail = np.cumsum(p[..., ::-1], axis=-1)[..., ::-1]
    return np.ascontiguousarray(np.divide(p, tail, out=np.zeros_like(p), where=p > 0))


def draw_by_binomials(plan, state, scratch):
    """Overwrite `scratch.counts`, in the order of the cells, with the counts of plan.n pairs, for
    `draw_counts`.
    """
    counts, row_share, cell_share = scratch.counts, plan.row_share, plan.cell_share
    inputs, labels = cell_share.shape
    counts[:] = 0
    left = plan.n
    for s in range(inputs):
        visits = draw_binomial(left, row_share[s], state)
        left -= visits
        at, step = row_cells(s, plan.layout)
        for a in range(labels):
            hits = draw_binomial(visits, cell_share[s, a], state)
            visits -= hits
            counts[at] = hits
            at += step


@njit(**BARE)
def draw_binomial(n, p, state):
    """Return one draw from Binomial(n, p): n a whole number up to 2^53, p in [0, 1]."""
    if n == 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - _binomial_half(n, 1.0 - p, state)
    return _binomial_half(n, p, state)


@njit(**BARE)
def _binomial_half(n, p, state):
    if n * p < 10.0:
        return _binomial_by_inversion(n, p, state)
    return _binomial_by_rejection(n, p, state)


@njit(**BARE)
def _binomial_by_inversion(n, p, state):
    """Walk the distribution function from 0: n p + 1 steps on average."""
    odds = p / (1.0 - p)
    start = np.exp(n * np.log1p(-p))
    while True:
        u = next_unit(state)
        mass = start
        k = 0
        while u > mass and k < n and k < 200:
            u -= mass
            k += 1
            mass *= odds * (n - k + 1) / k
        if u <= mass:
            return k


@njit(**BARE)
def _binomial_by_rejection(n, p, state):
    """Transformed rejection with squeeze, BTRS of Hoermann (1993), n p >= 10.

    The log-ratio of probabilities is taken from the mode by log1p, so that its rounding error stays
    near 2^-53 sqrt(n p q) instead of 2^-53 n log n.
    """
    q = 1.0 - p
    spread = np.sqrt(n * p * q)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    alpha = (2.83 + 5.1 / b) * spread
    squeeze = 0.92 - 4.2 / b
    mode = np.floor((n + 1) * p)
    above, below = n - mode + 1.0, mode + 1.0
    tilt = np.log1p((p / q * above - below) / below)
    tails = _stirling_tail(mode) + _stirling_tail(n - mode)
    while True:
        u = next_unit(state) - 0.5
        v = next_unit(state)
        room = 0.5 - abs(u)
        k = np.floor((2.0 * a / room + b) * u + centre)
        if k < 0.0 or k > n:
            continue
        if room >= 0.07 and v <= squeeze:
            return np.int64(k)
        d = k - mode
        log_ratio = (
            d * tilt
            - (k + 0.5) * np.log1p(d / below)
            - (n - k + 0.5) * np.log1p(-d / above)
            + tails
            - _stirling_tail(k)
            - _stirling_tail(n - k)
        )
        if np.log(v * alpha / (a / (room * room) + b)) <= log_ratio:
            return np.int64(k)


_SMALL_TAILS = np.array(
    [
        0.08106146679532726,
        0.04134069595540929,
        0.02767792568499834,
        0.02079067210376509,
        0.01664469118982119,
        0.01387612882307075,
        0.01189670994589177,
        0.01041126526197209,
        0.009255462182712733,
        0.008330563433362871,
    ]
)


@njit(**BARE)
def _stirling_tail(k):
    """Return ln k! - [(k + 1/2) ln(k + 1) - (k + 1) + 1/2 ln(2 pi)]."""
    if k < 10.0:
        return _SMALL_TAILS[np.int64(k)]
    x = k + 1.0
    y = 1.0 / (x * x)
    return (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - y / 1680.0) * y) * y) / x
