"""After how many visits of a context drawing pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kt_theory.kernels import storage
from kt_theory.policies.kept import EvenTail
from kt_theory.policies.losses import Question
from kt_theory.policies.policy import MOST_DRAWS, Policy

if TYPE_CHECKING:
    import pandas as pd

Losses = Callable[[Question], np.ndarray]
"""From a question to the losses (m, P, 5) of some rows."""

MOST_VISITS = 2**20

POSITIONS = 64
"""So many rows say when drawing pays."""


@dataclass(frozen=True)
class Crossing:
    """When frequencies of pooled draws become better than what keeps the most probable labels.

    Attributes
    ----------
    drawn, rival : str
        Policies; the rival keeps the most probable labels, as many as take no more bytes.
    visits : int or None
        The fewest visits of each context after which `drawn` loses less; None: more than are
        looked at.
    looked : int
        The most visits that were looked at.
    positions : int
        So many rows were asked, the first.
    """

    drawn: str
    rival: str
    visits: int | None
    looked: int
    positions: int

    @property
    def words(self) -> str:
        """In a sentence."""
        where = "" if self.positions == 1 else f"On the first {self.positions:,} positions: "
        if self.visits is None:
            return (
                f"{where}{self.drawn} is unbiased, but even {self.looked:,} visits of each context "
                f"do not bring it below {self.rival}, of no more bytes."
            )
        if self.visits == 1:
            return f"{where}{self.drawn} loses less than {self.rival}, of no more bytes."
        return (
            f"{where}{self.drawn} is unbiased, and loses less than {self.rival}, of no more bytes, "
            f"from {self.visits:,} visits of each context on."
        )


def crossing(
    question: Question, frame: pd.DataFrame, losses: Losses, listed: int
) -> Crossing | None:
    """Return when drawing pays; None where nothing is drawn, or nothing else costs as little.

    Parameters
    ----------
    question : Question
    frame : DataFrame
        What `kt.storage` returns of the whole of it.
    losses : callable
        The losses of the rows to ask.
    listed : int
        How many labels those rows have, or list.
    """
    pair = _pair(question, frame, listed)
    if pair is None:
        return None
    drawn, rival = pair
    goal = _mean(losses(replace(question, policies=(rival,))))
    most = min(MOST_VISITS, MOST_DRAWS // drawn.kept.sizes(1)[1])
    rows = len(losses(replace(question, policies=(rival,))))

    def pays(visits: int) -> bool:
        return _mean(losses(replace(question, policies=(drawn,), visits=visits))) < goal

    low, high = 0, 1
    while high < most and not pays(high):
        low, high = high, min(2 * high, most)
    if not pays(high):
        return Crossing(drawn.name, rival.name, None, most, rows)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return Crossing(drawn.name, rival.name, high, most, rows)


def _pair(question: Question, frame: pd.DataFrame, most: int) -> tuple[Policy, Policy] | None:
    """Return the most draws with counts, and the most labels with an even tail that take no more
    bytes.
    """
    drawn = [p for p in question.policies if p.kept.number == storage.SAMPLED]
    plain = [p for p in drawn if p.kept.sizes(1)[2] == 1.0]
    if not plain:
        return None
    best = max(plain, key=_draws)
    size = float(frame.loc[frame["policy"] == best.name, "bytes"].iloc[0])
    k = int(size / Policy(EvenTail(1)).bytes(question.labels, 1.0))
    k = min(k, question.labels - 1, most)
    return (best, Policy(EvenTail(k))) if k else None


def _draws(policy: Policy) -> int:
    return policy.kept.sizes(1)[0]


def _mean(losses: np.ndarray) -> float:
    return float(losses[:, 0, storage.TV_MOST].mean())
