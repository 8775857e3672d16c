"""What a training objective is, and what is known of it: the rows that minimise it for a row of the
teacher, and how far from that row they are at worst.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import Access, AccessError, label_ranks
from kt_theory.content import ByContent
from kt_theory.numeric import total_variation
from kt_theory.validation import distributions, whole_number

Rows = np.ndarray
"""(S, A) float64, rows that sum to 1."""

LARGEST_LABELS = 10**5
"""Most labels of `worst` and `widest`: the worst row is a dense array."""

FLAT = 1e-12
"""Log-probabilities that differ by no more are equal but for rounding."""


class Worst(NamedTuple):
    """The largest total variation over all rows of so many labels.

    Attributes
    ----------
    value : float
    row : (A,) array
        A row of the teacher where it is, or within 1e-6 of it.
    attained : bool
        False: a supremum, which rows or minimisers come as near as one likes.
    proved : bool
        False: the largest that a search found, a lower bound.
    """

    value: float
    row: np.ndarray
    attained: bool = True
    proved: bool = True


class Minimisers(NamedTuple):
    """All rows that minimise an objective for one row p of the teacher.

    Attributes
    ----------
    written : (A,) array
        The one that the student of the objective writes, or tends to as n grows.
    unique : bool
        Whether there is no other.
    least, most : float
        Their smallest and largest total variation to p; `most` may be a supremum.
    words : str
        The set, in words.
    """

    written: np.ndarray
    unique: bool
    least: float
    most: float
    words: str


class Objective(ByContent, ABC):
    """A training objective; the kinds are the final classes of this package.

    A student on a finite domain has one free row for each input, so the objective is minimised row
    by row. What is said of rows is the limit n -> infinity; of objectives that draw no labels one
    visit of a row is enough.

    Attributes
    ----------
    name : str
        As tables call it, and as the catalogue reads it.
    reference : str
        Where it is defined or used.
    words : str
        The rows that minimise it for a row p, in words.
    symmetric : bool
        Whether what is written moves with the labels; otherwise it depends on their order.
    """

    symmetric: ClassVar[bool] = True

    @property
    @abstractmethod
    def name(self) -> str:
        """As tables call it."""

    @property
    @abstractmethod
    def reference(self) -> str:
        """Where it is defined or used."""

    @property
    @abstractmethod
    def needs(self) -> Access:
        """The access level that carries what it is computed from."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The rows that minimise it for a row p of the teacher."""

    @abstractmethod
    def written(self, rows: Rows) -> Rows:
        """Return the row that its student tends to for each row of the teacher, (S, A)."""

    @abstractmethod
    def worst(self, labels: int) -> Worst:
        """Return the largest total variation from p to what is written, over rows of A labels."""

    def least(self, rows: Rows) -> np.ndarray:
        """Return the smallest total variation from each row to its minimisers, (S,)."""
        return _distance(self.written(rows), rows)

    def most(self, rows: Rows) -> np.ndarray:
        """Return the largest total variation from each row to its minimisers, (S,)."""
        return _distance(self.written(rows), rows)

    def unique(self, rows: Rows) -> np.ndarray:
        """Return whether each row has one minimiser alone, (S,) bool."""
        return np.asarray(self.most(rows) == self.least(rows))

    def widest(self, labels: int) -> Worst:
        """Return the largest `most` over rows of A labels."""
        return self.worst(labels)

    def minimisers(self, row: ArrayLike) -> Minimisers:
        """Return the rows that minimise the objective for a row of the teacher.

        Parameters
        ----------
        row : (A,) array_like
            Sums to 1.

        Raises
        ------
        ValueError
            If it is no distribution.
        """
        given = distributions(row, "row", 1)[None, :]
        written = self.written(given)[0]
        least, most = float(self.least(given)[0]), float(self.most(given)[0])
        return Minimisers(written, bool(self.unique(given)[0]), least, most, self.words)

    def refuse_access(self, granted: Access) -> None:
        """Raise AccessError, naming both, if an access level does not carry what it needs."""
        if not granted.covers(self.needs):
            raise AccessError(
                f"objective {self.name!r} needs access {self.needs.name!r} "
                f"({self.needs.description}), but access {granted.name!r} is granted "
                f"({granted.description})"
            )

    def __repr__(self) -> str:
        return f"Objective({self.name}, needs={self.needs.name})"


@dataclass(frozen=True, eq=False, repr=False)
class Named(Objective):
    """An objective whose name and reference are given.

    Attributes
    ----------
    title : str
    source : str
    """

    title: str
    source: str

    @property
    def name(self) -> str:
        """As tables call it."""
        return self.title

    @property
    def reference(self) -> str:
        """Where it is defined or used."""
        return self.source


def kinds(base: type[Objective] = Objective) -> Iterator[type[Objective]]:
    """Yield the final kinds of objectives."""
    for kind in base.__subclasses__():
        if getattr(kind, "__final__", False):
            yield kind
        yield from kinds(kind)


def _distance(one: Rows, other: Rows) -> np.ndarray:
    return np.asarray(total_variation(one, other))


def called(name: str, *amounts: float) -> str:
    """Return a name with its parameters in brackets, in as few digits as tell them."""
    return f"{name}({', '.join(map(_digits, amounts))})" if amounts else name


def _digits(amount: float) -> str:
    short = f"{amount:g}"
    return short if float(short) == amount else repr(amount)


def label_number(labels: Any) -> int:
    """Return a number of labels, from 1 to 10^5."""
    return whole_number(labels, "labels", low=1, high=LARGEST_LABELS)


def among_first(rows: Rows, k: int) -> np.ndarray:
    """Return which labels are the k most probable of their row, (S, A) bool; ties by index."""
    return np.asarray(label_ranks(rows) < k)


def uniform_on(first: int, labels: int) -> np.ndarray:
    """Return the row that is uniform on so many labels, the first ones: (A,)."""
    row = np.zeros(labels)
    row[:first] = 1.0 / first
    return row


def none_lost(labels: int) -> Worst:
    """Return that no row is missed."""
    return Worst(0.0, uniform_on(labels, labels))
