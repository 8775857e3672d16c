"""How students are fitted to sparse records: closed forms that list some labels of a row and treat
the others alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kt_theory.access import Channel

if TYPE_CHECKING:
    from kt_theory.students.student import Student


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


class Proofs(Protocol):
    """Bounds on the loss of a copy of records, each proved of what one kind of student writes."""

    def of_shares(self) -> Any:
        """Return the bound for stated probabilities as they are and equal shares of the rest."""

    def of_frequencies(self) -> Any:
        """Return the bound for n_sa / n_s."""

    def of_undone(self, channel: Channel) -> Any:
        """Return the bound for whole rows that are off by `Channel.row_error` at most."""

    def of_any(self) -> Any:
        """Return the bound for any rule: it pays for its distance from one of the others."""


class SparseFit(ABC):
    """How a student is fitted to records, and what may be proved of its copy.

    Attributes
    ----------
    needs_labels : bool
        Whether each record must have a sampled label.
    """

    needs_labels: bool

    @abstractmethod
    def certified(self, proofs: Proofs) -> Any:
        """Return the one of `proofs` that holds of the copy."""


class ClosedForm(SparseFit):
    """A student's copy, pair by pair."""

    @abstractmethod
    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return q(a|s) of each pair, (P,), and of each label of a row that is not among its pairs,
        (R,).
        """


class WholeRows(SparseFit):
    """A student's copy, row by row. All labels count as pairs."""

    @abstractmethod
    def table(self, student: Student, counts: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Return a student's copy, (R, A), of the counts and what is shown, (R, A) both."""


@dataclass(frozen=True)
class Sharing(ClosedForm):
    """Stated probabilities as they are, the rest of the row in equal shares (Zhao and Zhu 2023,
    (4.7) and (5.2)).
    """

    needs_labels = False

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for shares."""
        return proofs.of_shares()

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
    needs_labels = True

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for any rule."""
        return proofs.of_any()

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return the frequencies with pseudo-counts."""
        total = rows.sampled + self.c * rows.labels
        return (rows.count + self.c) / total[rows.row], self.c / total


@dataclass(frozen=True)
class Frequencies(Smoothed):
    """n_sa / n_s."""

    c: float = 0.0

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for frequencies."""
        return proofs.of_frequencies()


@dataclass(frozen=True)
class Weighted(ClosedForm):
    """Proportional to n_sa pi(a|s) (Zhao and Zhu 2023, (4.3))."""

    needs_labels = True

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for any rule."""
        return proofs.of_any()

    def fit(self, rows: SparseRows) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights, divided by their sum."""
        even = 1.0 / rows.labels
        weight = rows.count * rows.shown
        total = rows.total(weight)
        lost = total <= 0
        value = weight / np.where(lost, 1.0, total)[rows.row]
        return np.where(lost[rows.row], even, value), np.where(lost, even, 0.0)


@dataclass(frozen=True)
class Undone(WholeRows):
    """Whole rows that a known channel distorts, undone."""

    channel: Channel
    power: float = 1.0
    needs_labels = False

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for undone rows."""
        return proofs.of_undone(self.channel)

    def table(self, student: Student, counts: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Return the rows that are shown, undone."""
        return self.channel.undo(shown, self.power)


@dataclass(frozen=True)
class ByRule(WholeRows):
    """What a student's rule makes of the rows, where it has no closed form."""

    needs_labels: bool

    def certified(self, proofs: Proofs) -> Any:
        """Return the bound for any rule."""
        return proofs.of_any()

    def table(self, student: Student, counts: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Return the student's table."""
        return student.table(counts, shown)


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
