"""How far a model is from the dump's rows at positions that it did not learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.dumps import Block
from kt_theory.dumps.block import NO_LABEL
from kt_theory.ngrams import BackOff
from kt_theory.sequences.positions import Positions

EVERY = 5
"""One text of so many is held out; of a single one the last fifth."""


def held_out_positions(positions: Positions) -> np.ndarray:
    """Return which positions are held out, (N,) bool: every fifth text, the last one of fewer than
    five, the last fifth of one.

    Raises
    ------
    ValueError
        If nothing would be left to learn from, or to hold out.
    """
    texts, size = positions.texts, len(positions)
    if size < 2:
        raise ValueError("the dump holds one position: at least 2 are needed, one is held out")
    if texts == 1:
        return np.arange(size) >= size - max(1, size // EVERY)
    if texts < EVERY:
        return positions.text == texts - 1
    return positions.text % EVERY == EVERY - 1


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was measured at held-out positions.

    Attributes
    ----------
    low, high : (M,) float64
        TV(q, p) lies between, at each position; equal where rows are whole.
    accepted_low, accepted_high : (M,) float64
        min(1, q(a)/p(a)) of the token a that follows lies between; NaN where none follows.
    text : (M,) int64
        The text of each.
    depth : (M,) int64
        Tokens before it in that text.
    """

    low: np.ndarray
    high: np.ndarray
    accepted_low: np.ndarray
    accepted_high: np.ndarray
    text: np.ndarray
    depth: np.ndarray

    @property
    def tv(self) -> tuple[float, float]:
        """Mean total variation over the positions, from below and above."""
        return float(self.low.mean()), float(self.high.mean())

    @property
    def by_text(self) -> np.ndarray:
        """Mean of `high` in each text, (texts,)."""
        _, number = np.unique(self.text, return_inverse=True)
        return np.bincount(number, weights=self.high) / np.bincount(number)

    @property
    def runs(self) -> np.ndarray:
        """Numbers the runs of positions that follow one another in a text, (M,)."""
        broken = (np.diff(self.text) != 0) | (np.diff(self.depth) != 1)
        return np.concatenate([[0], np.cumsum(broken)])


def measure(model: BackOff, positions: Positions, held: np.ndarray) -> HeldOut:
    """Return how far a model's rows are from the dump's at the held-out positions.

    With L the listed labels of a position, M the mass that is hidden and c the most that a hidden
    label can have,

        TV = sum_L (p - q)_+ + sum_others (p - q)_+, and the second sum is
        at least (M - q(others))_+ and at most M (1 - min q / c)_+.

    Parameters
    ----------
    model : BackOff
    positions : Positions
    held : (N,) bool
    """
    found = []
    for place, block in positions.blocks():
        chosen = np.flatnonzero(held[place])
        if len(chosen):
            histories = positions.histories[place][chosen]
            following = positions.following[place][chosen]
            apart = _whole if block.whole else _listed
            low, high, cap = apart(model, positions, block, chosen, histories)
            accepted = _accepted(
                model.probabilities(histories, following[:, None])[:, 0],
                np.exp(block.following_logprob[chosen]),
                cap,
                following,
            )
            found.append((low, high, *accepted))
    low, high, least, most = (np.concatenate(column) for column in zip(*found, strict=True))
    return HeldOut(low, high, least, most, positions.text[held], positions.depth[held])


def _whole(
    model: BackOff, positions: Positions, block: Block, chosen: np.ndarray, histories: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = np.exp(block.logprobs[chosen])
    p /= p.sum(axis=1, keepdims=True)
    apart = 0.5 * np.abs(p - model.rows(histories)).sum(axis=1)
    return apart, apart, np.zeros(len(chosen))


def _listed(
    model: BackOff, positions: Positions, block: Block, chosen: np.ndarray, histories: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = positions.stated(block, chosen)
    q = model.probabilities(histories, rows.label)
    beside = np.maximum(rows.p - q, 0.0).sum(axis=1)
    rest = np.maximum(1.0 - q.sum(axis=1), 0.0)
    low = beside + np.maximum(rows.hidden - rest, 0.0)
    least = model.least(histories)
    share = np.divide(least, rows.cap, out=np.ones_like(least), where=rows.cap > 0)
    high = beside + rows.hidden * np.maximum(1.0 - share, 0.0)
    # A single hidden label has all of the hidden mass.
    spread = (rows.label >= 0).sum(axis=1) < model.labels - 1
    return low, np.where(spread, np.clip(high, low, 1.0), low), rows.cap


def _accepted(
    q: np.ndarray, p: np.ndarray, cap: np.ndarray, following: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(p)
    most = np.where(known, p, cap)
    ratio = np.divide(q, most, out=np.ones_like(q), where=most > q)
    # No label can be hidden: the text is not of the teacher that the rows are of.
    ratio[~known & (cap <= 0.0)] = 0.0
    nobody = following == NO_LABEL
    low = np.where(nobody, np.nan, np.minimum(ratio, 1.0))
    return low, np.where(known | nobody, low, 1.0)
