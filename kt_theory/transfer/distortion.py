"""Whole rows that are known to be shown at another temperature, rounded or quantised: undone, and
what stays wrong.
"""

from __future__ import annotations

import math

import numpy as np

from kt_theory.access import Channel


def sums(channel: Channel | None, labels: int) -> tuple[float, float]:
    """Return the least and the most that the weights which a channel shows of a whole row sum
    to.
    """
    if channel is not None and channel.kind == "rounded":
        return math.exp(-0.5 * channel.amount), math.exp(0.5 * channel.amount)
    if channel is not None and channel.kind == "quantised":
        reach = 0.5 * labels * 2.0**-channel.amount
        return 1.0 - reach, 1.0 + reach
    return 1.0, 1.0


def undone(shown: np.ndarray, channel: Channel, power: float = 1.0) -> np.ndarray:
    """Return the rows that `kt_theory.students.tempered`, `rounded` and `quantised` write: (R, A),
    rows sum to 1.

    Parameters
    ----------
    shown : (R, A) array
        What the channel shows of whole rows, at least 0, not all 0.
    channel : Channel
    power : float
        What the student takes a temperature for.
    """
    if channel.kind == "temperature":
        weights = (shown / shown.max(axis=1, keepdims=True)) ** power
        return weights / weights.sum(axis=1, keepdims=True)
    if channel.kind == "rounded":
        return shown / shown.sum(axis=1, keepdims=True)
    left = 1.0 - shown.sum(axis=1, keepdims=True)
    takers = (shown > 0) | (left >= 0)
    corrected = np.maximum(
        np.where(takers, shown + left / takers.sum(axis=1, keepdims=True), 0.0), 0.0
    )
    # Weights that a server computed in half precision may be off by more than the smallest of them.
    return corrected / corrected.sum(axis=1, keepdims=True)


def row_error(table: np.ndarray, shown: np.ndarray, channel: Channel) -> float:
    """Return the largest TV(copy, teacher) on a row of `undone`: what the channel leaves open.

    rounded(step): tanh(step/4). quantised(b): A / (4 2^b). At a known temperature the row is known:
    the distance of the copy from it, 0 unless the student takes the temperature for another.

    Parameters
    ----------
    table, shown : (R, A) arrays
        The copy, and what it was made of.
    channel : Channel
    """
    if channel.kind == "rounded":
        return math.tanh(0.25 * channel.amount)
    if channel.kind == "quantised":
        return shown.shape[1] * 0.25 * 2.0**-channel.amount
    return float(0.5 * np.abs(table - undone(shown, channel, channel.amount)).sum(axis=1).max())
