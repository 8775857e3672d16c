"""Exact risks where answers are distorted, or fall back on a prior: floors on visited rows and hidden masses."""

from __future__ import annotations

import numpy as np

from kt_theory.access import Channel
from kt_theory.numeric import total_variation
from kt_theory.exact.cost import refuse_beyond
from kt_theory.exact.empirical import visit_window
from kt_theory.exact.smoothed import PRICE, deviation
from kt_theory.teacher import RowClasses, Teacher


def shown_copy(rows: np.ndarray, channel: Channel | None, top: int, power: float = 1.0) -> np.ndarray:
    """Return what the student of `channel` writes on visited rows of which the `top` largest labels are shown.

    With w the weights shown, M = (1 - sum w)^+ and A - k hidden labels, the copy is proportional to (w, M/(A-k)) to the
    `power`; of unnormalised weights to (w, 0). Complete quantised rows are corrected by equal shares of 1 - sum w.

    Parameters
    ----------
    rows : (C, A) array, in descending order
    channel : Channel or None
        None shows the probabilities as they are.
    top : int
    power : float

    Returns
    -------
    (C, A) array, rows sum to 1.
    """
    labels = rows.shape[1]
    weights = (rows if channel is None else channel.shown(rows)).copy()
    kind = "" if channel is None else channel.kind
    shown = min(top, labels)
    weights[:, shown:] = 0.0
    left = 1.0 - weights.sum(axis=1, keepdims=True)
    if kind == "quantised" and (shown == labels or (left < 0).any()):
        sharers = np.where(left < 0, weights > 0, shown == labels)
        weights += sharers * left / np.maximum(sharers.sum(axis=1, keepdims=True), 1)
        left = np.maximum(1.0 - weights.sum(axis=1, keepdims=True), 0.0)
    if kind != "unnormalised" and shown < labels:
        weights[:, shown:] = np.where(left > labels * 2.0**-52, left, 0.0) / (labels - shown)
    powers = (weights / weights.max(axis=1, keepdims=True)) ** power
    return powers / powers.sum(axis=1, keepdims=True)


def shown_loss(classes: RowClasses, n: np.ndarray, channel: Channel | None, top: int, power: float = 1.0) -> np.ndarray:
    """Return sum_s rho_s (1 - (1-rho_s)^n) TV(copy_s, pi_s), for students whose visited rows are always the same.

    So are complete rows at a wrong temperature, rounded or quantised, and the top k labels without the sampled one.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    channel, top, power
        See `shown_copy`.

    Returns
    -------
    (N,) array in [0,1].
    """
    floor = classes.rho * classes.multiplicity * _distance(classes, channel, top, power)
    return np.array([floor @ (1.0 - _missed(classes.rho, draws)) for draws in n])


def shown_limit(classes: RowClasses, channel: Channel | None, top: int, power: float = 1.0) -> float:
    """Return the floor sum_s rho_s TV(copy_s, pi_s), the risk as n -> infinity."""
    return float((classes.rho * classes.multiplicity) @ _distance(classes, channel, top, power))


def hidden_mass_loss(classes: RowClasses, n: np.ndarray, top: int = 0) -> np.ndarray:
    """Return sum_s rho_s sum_a p_a [(1 - rho_s p_a)^n - (1-rho_s)^n] over the labels outside the `top` largest.

    The probability of the labels that stay hidden in visited rows: all of the loss where the shown labels are right up
    to a common factor and the others are given none.

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    top : int

    Returns
    -------
    (N,) array in [0,1].
    """
    tail = classes.rows[:, top:]
    hit = np.minimum(classes.rho, 1.0)[:, None] * tail
    inside = (tail > 0) & (hit < 1) & (classes.rho > 0)[:, None]
    share = (classes.rho * classes.multiplicity)[:, None] * np.where(inside, tail, 0.0)
    hit = np.where(inside, hit, 0.0)
    with np.errstate(divide="ignore"):
        # The difference of the powers is one of them times 1 - ratio^n: near ties keep their digits.
        ratio = np.log1p(-np.minimum((np.minimum(classes.rho, 1.0)[:, None] - hit) / (1.0 - hit), 1.0))
    stays = np.log1p(-hit)
    return np.array([-(share * np.exp(draws * stays) * np.expm1(draws * ratio)).sum() if draws else 0.0 for draws in n])


def prior_risk(teacher: Teacher, prior: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s (1-rho_s)^n TV(prior_s, pi_s), the loss of unvisited rows, (N,)."""
    _refuse_shape(prior, teacher)
    loss = teacher.rho * total_variation(prior, teacher.pi)
    return np.array([loss @ _missed(teacher.rho, draws) for draws in n])


def _refuse_shape(prior: np.ndarray, teacher: Teacher) -> None:
    if prior.shape != teacher.pi.shape:
        raise ValueError(f"prior has shape {prior.shape}: must be the teacher's {teacher.pi.shape}")


def shrunk_risk(teacher: Teacher, prior: np.ndarray, weights: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the risk of (n_sa + w_s prior_s) / (n_s + w_s), E|(X + w b)/(k + w) - p| over X ~ Bin(k, p), k, s and a.

    The mean deviation is that of add_c, with w b for c and w for cA; see `kt_theory.exact.smoothed`.

    Parameters
    ----------
    teacher : Teacher
    prior : (S, A) array, rows sum to 1
    weights : (S,) array, >= 0 or inf
    n : (N,) array, >= 0; inf for the limit

    Returns
    -------
    (N,) array in [0,1].
    """
    from scipy.stats import binom

    _refuse_shape(prior, teacher)
    kept = np.asarray(total_variation(prior, teacher.pi))
    finite = np.flatnonzero(np.isfinite(weights) & (teacher.rho > 0))
    risk = np.full(len(n), float((teacher.rho * kept)[~np.isfinite(weights)].sum()))
    windows = {s: visit_window(n[np.isfinite(n)], min(float(teacher.rho[s]), 1.0)) for s in finite}
    cost = sum(float((high - low + 1).sum()) for low, high in windows.values()) * PRICE * teacher.labels
    refuse_beyond(cost, "shrink", "use simulate(teacher, student, n)")
    for s, (low, high) in windows.items():
        rho, weight = min(float(teacher.rho[s]), 1.0), float(weights[s])
        for i, (first, last) in zip(np.flatnonzero(np.isfinite(n)), np.stack([low, high], axis=1), strict=True):
            k = np.arange(max(first, 1.0), last + 1.0)[:, None]
            loss = 0.5 * deviation(k, teacher.pi[s], weight * prior[s], weight).sum(axis=1)
            risk[i] += rho * (binom.pmf(0, n[i], rho) * kept[s] + binom.pmf(k[:, 0], n[i], rho) @ loss)
    return risk


def _distance(classes: RowClasses, channel: Channel | None, top: int, power: float) -> np.ndarray:
    return np.asarray(total_variation(shown_copy(classes.rows, channel, top, power), classes.rows))


def _missed(rho: np.ndarray, n: float) -> np.ndarray:
    """Return (1 - rho)^n, with 0^0 = 1."""
    if n == 0:
        return np.ones(len(rho))
    with np.errstate(divide="ignore"):
        return np.exp(n * np.log1p(-np.minimum(rho, 1.0)))
