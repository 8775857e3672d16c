"""How students are fitted to sparse records: closed forms that list some labels of a row and treat
the others alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from kt_theory.access import Channel


class SparseRows(Protocol):
    """Records summed up: R rows, P pairs of a row and a label that occurs there, A labels."""

    @property
    def labels(self) -> int:
        """A, how many labels there are."""

    @property
    def row(self) -> np.ndarray:
        """The row of each pair."""

    @property
    def count(self) -> np.ndarray:
        """How often the label of each pair was sampled, (P,)."""

    @property
    def known(self) -> np.ndarray:
        """Whether the probability of each pair is stated, (P,)."""

    @property
    def shown(self) -> np.ndarray:
        """What is stated of each pair, 0 if nothing, (P,)."""

    @property
    def cap(self) -> np.ndarray:
        """The most that records leave to each pair that they censor, inf elsewhere, (P,)."""

    @property
    def sampled(self) -> np.ndarray:
        """Labels sampled at each row, (R,)."""

    @property
    def hidden_mass(self) -> np.ndarray:
        """The probability that nothing states, of each row, (R,)."""

    @property
    def hidden_labels(self) -> np.ndarray:
        """How many labels that is left to, (R,)."""

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values`, (P,), over each row: (R,)."""


class ClosedForm:
    """A student's copy, pair by pair.

    Attributes
    ----------
    assumes : str
        What a certificate may assume of the copy. "shared": it keeps stated probabilities and
        shares the hidden mass equally. "frequencies": n_sa / n_s. "other": nothing.
    """

    assumes: ClassVar[str] = "other"

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return q(a|s) of each pair, (P,), and of each label of a row that is not among its pairs,
        (R,).
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Sharing(ClosedForm):
    """Stated probabilities as they are, the rest of the row in equal shares (Zhao and Zhu 2023,
    (4.7) and (5.2)).
    """

    assumes: ClassVar[str] = "shared"

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return the stated probabilities, and shares of the rest that caps bound."""
        share = rows.hidden_mass / np.maximum(rows.hidden_labels, 1)
        # A row without a hidden label that does not sum to 1 is divided by its sum.
        full = rows.hidden_labels == 0
        total = np.where(full, rows.total(rows.shown), 1.0)
        empty = full & (total <= 0)
        stated = rows.shown / np.where(empty, 1.0, total)[rows.row]
        value = np.where(rows.known, stated, rows.shown + share[rows.row])
        if (value > rows.cap)[~rows.known].any():
            value, share = _capped(rows, value, share)
        return np.where(empty[rows.row], 1.0 / rows.labels, value), share


@dataclass(frozen=True)
class Smoothed(ClosedForm):
    """(n_sa + c) / (n_s + c A)."""

    c: float

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return the frequencies with pseudo-counts."""
        total = rows.sampled + self.c * rows.labels
        return (rows.count + self.c) / total[rows.row], self.c / total


@dataclass(frozen=True)
class Frequencies(Smoothed):
    """n_sa / n_s."""

    c: float = 0.0
    assumes: ClassVar[str] = "frequencies"


@dataclass(frozen=True)
class Weighted(ClosedForm):
    """Proportional to n_sa pi(a|s) (Zhao and Zhu 2023, (4.3))."""

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights, divided by their sum."""
        even = 1.0 / rows.labels
        weight = rows.count * rows.shown
        total = rows.total(weight)
        lost = total <= 0
        value = weight / np.where(lost, 1.0, total)[rows.row]
        return np.where(lost[rows.row], even, value), np.where(lost, even, 0.0)


@dataclass(frozen=True)
class Undone:
    """Whole rows that a known channel distorts, undone. All their labels count as pairs.

    Attributes
    ----------
    assumes : str
        "undone": the copy is off by no more than `Channel.row_error` on a row.
    """

    channel: Channel
    power: float = 1.0
    assumes: ClassVar[str] = "undone"

    def undo(self, shown: np.ndarray) -> np.ndarray:
        """Return the copy of whole rows, (R, A), from what is shown of them, (R, A)."""
        return self.channel.undo(shown, self.power)


SparseFit = ClosedForm | Undone
"""How a student is fitted to sparse records."""


def _capped(
    rows: SparseRows, value: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """No hidden label above its cap, what it gives up to the other hidden labels: min(cap, t), the
    row's t all others.

    Where the cap is true no row is further from the teacher than with equal shares: what a label
    gives up was too much by all of it, and what others take adds to their errors no more than it.
    Caps that leave mass to no label stay unmet: mass that the records leave to labels which they
    rule out is beyond the labels there are.
    """
    level = share.copy()
    held = np.zeros(len(rows.row), dtype=bool)
    while (more := ~rows.known & ~held & (rows.cap < level[rows.row])).any():
        held |= more
        left = rows.hidden_mass - rows.total(np.where(held, rows.cap, 0.0))
        free = rows.hidden_labels - rows.total(held)
        level = np.where(free > 0, left / np.maximum(free, 1), 0.0)
    met = rows.hidden_labels > rows.total(held)
    fair = rows.shown + np.minimum(rows.cap, level[rows.row])
    return np.where(rows.known | ~met[rows.row], value, fair), np.where(met, level, share)
