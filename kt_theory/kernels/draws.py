"""Counts of a whole transfer set, n pairs iid from rho x pi, by one of two exact paths.

- "alias": n draws from a Walker/Vose alias table over all S A cells, about 2 ns each. Best while n is a few times S A.
- "binomial": visits of the rows by conditional binomials, then the labels within each row; S + S A draws, whatever n.

A cell of probability zero is never drawn on either path. Probabilities are realised to within 2^-60 (alias
thresholds) and the rounding of float64 (binomials); no test of feasible size can see it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kt_theory.kernels.streams import next_unit, start_stream

ALIAS, BINOMIAL = 0, 1
PATHS = ("alias", "binomial")
ALIAS_PAIRS_PER_CELL = 14
"""Above this many pairs per cell, binomials are cheaper than alias draws."""

_ONE = np.uint64(1)
_S17, _S19, _S23, _S41, _S45 = (np.uint64(k) for k in (17, 19, 23, 41, 45))


class DrawPlan(NamedTuple):
    """What a kernel needs to draw counts: the path, n, and the tables of that path (empty for the other)."""

    path: int
    n: int
    shift: int
    threshold: np.ndarray
    alias: np.ndarray
    row_share: np.ndarray
    cell_share: np.ndarray


def choose_path(pi: np.ndarray, n: int) -> int:
    """Return the path for n pairs: a rule in (S, A, n) alone."""
    return ALIAS if n <= ALIAS_PAIRS_PER_CELL * pi.size else BINOMIAL


def draw_plan(pi: np.ndarray, rho: np.ndarray, n: int, path: int | None = None) -> DrawPlan:
    """Return the plan to draw the counts of n pairs from pi (S, A) and rho (S,)."""
    path = choose_path(pi, n) if path is None else path
    if path == ALIAS:
        joint = (rho[:, None] * pi).ravel()
        bits = max(1, int(np.ceil(np.log2(joint.size))))
        threshold, alias = np.zeros(2**bits, dtype=np.uint64), np.zeros(2**bits, dtype=np.uint32)
        _fill_alias_table(joint / joint.sum(), 64 - bits, threshold, alias)
        return DrawPlan(path, n, 64 - bits, threshold, alias, np.zeros(0), np.zeros((0, 0)))
    words, labels = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint32)
    return DrawPlan(path, n, 0, words, labels, _conditional_shares(rho), _conditional_shares(pi))


def _conditional_shares(p: np.ndarray) -> np.ndarray:
    """Return p_j / (p_j + p_{j+1} + ...) along the last axis: exactly 1 at the last positive entry, 0 at zeros."""
    tail = np.cumsum(p[..., ::-1], axis=-1)[..., ::-1]
    return np.ascontiguousarray(np.divide(p, tail, out=np.zeros_like(p), where=p > 0))


@njit(cache=True, nogil=True)
def _fill_alias_table(p, shift, threshold, alias):
    """Fill Vose's alias table for p, padded with zero cells to a power of two.

    Column i keeps a draw if its low `shift` bits are below threshold[i], else hands it to alias[i].
    """
    size = threshold.size
    full = np.uint64(1) << np.uint64(shift)
    weight = np.zeros(size)
    weight[: p.size] = p * size
    heaviest = np.argmax(p)
    small, large = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    smalls, larges = 0, 0
    for i in range(size):
        if weight[i] < 1.0:
            small[smalls] = i
            smalls += 1
        else:
            large[larges] = i
            larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        i, j = small[smalls], large[larges - 1]
        threshold[i] = np.uint64(weight[i] * np.float64(full))
        alias[i] = j
        weight[j] = (weight[j] + weight[i]) - 1.0
        if weight[j] < 1.0:
            larges -= 1
            small[smalls] = j
            smalls += 1
    # What is left over is full up to rounding; a zero cell among it must still never be drawn.
    for stack, height in ((small, smalls), (large, larges)):
        for i in stack[:height]:
            empty = i >= p.size or p[i] == 0.0
            threshold[i] = np.uint64(0) if empty else full
            alias[i] = heaviest if empty else i


@njit(cache=True, nogil=True)
def draw_counts(plan, state, counts):
    """Overwrite `counts`, (S, A) float64, with the counts of one transfer set."""
    if plan.path == ALIAS:
        _draw_by_alias(plan.n, plan.shift, plan.threshold, plan.alias, state, counts)
    else:
        _draw_by_binomials(plan.n, plan.row_share, plan.cell_share, state, counts)


@njit(cache=True, nogil=True)
def _draw_by_alias(n, shift, threshold, alias, state, counts):
    counts[:] = 0.0
    cells = counts.reshape(-1)
    up = np.uint64(shift)
    low = (_ONE << up) - _ONE
    # The generator of streams.py written out on local words: kept in registers, the loop is twice as fast.
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for _ in range(n):
        total = s0 + s3
        word = ((total << _S23) | (total >> _S41)) + s0
        shifted = s1 << _S17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = (s3 << _S45) | (s3 >> _S19)
        column = word >> up
        cell = column if (word & low) < threshold[column] else np.uint64(alias[column])
        cells[cell] += 1.0
    state[0], state[1], state[2], state[3] = s0, s1, s2, s3


@njit(cache=True, nogil=True)
def _draw_by_binomials(n, row_share, cell_share, state, counts):
    left = n
    for s in range(counts.shape[0]):
        visits = draw_binomial(left, row_share[s], state)
        left -= visits
        for a in range(counts.shape[1]):
            hits = draw_binomial(visits, cell_share[s, a], state)
            visits -= hits
            counts[s, a] = hits


@njit(cache=True, nogil=True)
def draw_binomial(n, p, state):
    """Return one draw from Binomial(n, p): n a whole number up to 2^53, p in [0, 1]."""
    if n == 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - _binomial_half(n, 1.0 - p, state)
    return _binomial_half(n, p, state)


@njit(cache=True, nogil=True)
def _binomial_half(n, p, state):
    if n * p < 10.0:
        return _binomial_by_inversion(n, p, state)
    return _binomial_by_rejection(n, p, state)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _binomial_by_rejection(n, p, state):
    """Transformed rejection with squeeze, BTRS of Hoermann (1993), n p >= 10.

    The log-ratio of probabilities is taken from the mode by log1p, so that its rounding error stays near
    2^-53 sqrt(n p q) instead of 2^-53 n log n.
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


@njit(cache=True, nogil=True)
def _stirling_tail(k):
    """Return ln k! - [(k + 1/2) ln(k + 1) - (k + 1) + 1/2 ln(2 pi)]."""
    if k < 10.0:
        return _SMALL_TAILS[np.int64(k)]
    x = k + 1.0
    y = 1.0 / (x * x)
    return (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - y / 1680.0) * y) * y) / x


@njit(cache=True, nogil=True)
def draw_many(plan, key, first, counts):
    """Fill `counts`, (R, S, A) float64, with the transfer sets of repeats first .. first + R - 1."""
    state = np.empty(4, dtype=np.uint64)
    for r in range(counts.shape[0]):
        start_stream(key, first + r, state)
        draw_counts(plan, state, counts[r])
