"""Objectives on the k most probable labels T of a row, whose probability is P; ties go to the
smaller index, as answers break them.

What one visit of a row shows is all that these objectives ever see. Of k >= A labels they see the
whole row, and are least at p alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from kt_theory.access import WHOLE_ROW, Access, top_k
from kt_theory.objectives.objective import (
    Objective,
    Rows,
    Worst,
    among_first,
    called,
    none_lost,
    uniform_on,
)
from kt_theory.validation import whole_number

_OF_TOP = "the log-probabilities of the k most probable labels"
_KEPT = 1.0 / math.e
"""What is left of a probability where q log(q/p) is least."""


@dataclass(frozen=True, eq=False, repr=False)
class OfTop(Objective):
    """An objective on the k most probable labels.

    Attributes
    ----------
    title : str
    k : int
        At least 1.
    """

    title: str
    k: int

    reference: ClassVar[str] = _OF_TOP

    @property
    def name(self) -> str:
        """As tables call it."""
        return called(self.title, self.k)

    @property
    def needs(self) -> Access:
        """The k most probable labels with their probabilities."""
        return top_k(self.k, sampled=False)

    def parts(self, rows: Rows) -> tuple[Rows, np.ndarray]:
        """Return the rows on T, 0 elsewhere, and P (S, 1)."""
        kept = np.where(among_first(rows, self.k), rows, 0.0)
        return kept, kept.sum(axis=1, keepdims=True)

    def hidden_share(self, rows: Rows, mass: np.ndarray) -> Rows:
        """Return a mass (S, 1) in equal shares on the labels outside T, 0 on T."""
        hidden = rows.shape[1] - self.k
        return np.where(among_first(rows, self.k), 0.0, mass / hidden)

    def least_hidden(self, rows: Rows) -> np.ndarray:
        """Return the smallest probability outside T, (S,)."""
        outside: np.ndarray = np.where(among_first(rows, self.k), np.inf, rows).min(axis=1)
        return outside


@final
class RenormalisedTop(OfTop):
    """KL either way from q to p_T / P, or the sum over T of p log(p/q): least at p_T / P, and 0
    elsewhere.

    For the truncated sum: at given q(T) = m it is P log(P/m) plus P times the divergence from p_T /
    P to q_T / m, so that q = p_T / P is best, at P log P < 0. The total variation to p is 1 - P, no
    more than 1 - k/A.
    """

    words: ClassVar[str] = "p / P on the k most probable labels, 0 elsewhere"

    def written(self, rows: Rows) -> Rows:
        """Return p_T / P."""
        kept, mass = self.parts(rows)
        return rows if self.k >= rows.shape[1] else kept / mass

    def worst(self, labels: int) -> Worst:
        """Return 1 - k/A, at the uniform row."""
        if self.k >= labels:
            return none_lost(labels)
        return Worst(1.0 - self.k / labels, uniform_on(labels, labels))


@final
class TruncatedReverse(OfTop):
    """The sum over T of q log(q/p): least at q = p/e on T, the rest of the mass anywhere outside.

    Each term has its least value, -p/e, at q = p/e, and the sum over T of p/e is at most 1/e, so
    the rest goes outside T; the student shares it equally. p is missed by (1-1/e) P on T at least,
    and by no more than that where every label outside gets its p; by most where all of the rest is
    on the least probable label. All of that is convex in p on the rows of one order, so that it is
    largest at a row that is uniform on its first j labels.
    """

    words: ClassVar[str] = "p / e on the k most probable labels, the rest anywhere else"

    def written(self, rows: Rows) -> Rows:
        """Return p_T / e with equal shares of the rest."""
        if self.k >= rows.shape[1]:
            return rows
        kept, mass = self.parts(rows)
        return kept * _KEPT + self.hidden_share(rows, 1.0 - mass * _KEPT)

    def least(self, rows: Rows) -> np.ndarray:
        """Return (1-1/e) P, (S,)."""
        if self.k >= rows.shape[1]:
            return np.zeros(len(rows))
        return (1.0 - _KEPT) * self.parts(rows)[1][:, 0]

    def most(self, rows: Rows) -> np.ndarray:
        """Return 1 - P/e less the least probable label, (S,)."""
        if self.k >= rows.shape[1]:
            return np.zeros(len(rows))
        return 1.0 - _KEPT * self.parts(rows)[1][:, 0] - self.least_hidden(rows)

    def unique(self, rows: Rows) -> np.ndarray:
        """Return whether one label at most is left for the rest, (S,) bool."""
        return np.full(len(rows), self.k >= rows.shape[1] - 1)

    def worst(self, labels: int) -> Worst:
        """Return the largest over rows that are uniform on their first j labels."""
        if self.k >= labels:
            return none_lost(labels)
        size = np.arange(1.0, labels + 1.0)
        mass = np.minimum(self.k / size, 1.0)
        share = (1.0 - _KEPT * mass) / (labels - self.k)
        tail = np.maximum(size - self.k, 0.0) * np.maximum(1.0 / size - share, 0.0)
        return _largest((1.0 - _KEPT) * mass + tail, labels)

    def widest(self, labels: int) -> Worst:
        """Return the largest over rows that are uniform on their first j labels."""
        if self.k >= labels:
            return none_lost(labels)
        size = np.arange(1.0, labels + 1.0)
        mass = np.minimum(self.k / size, 1.0)
        return _largest(1.0 - _KEPT * mass - np.where(size == labels, 1.0 / labels, 0.0), labels)


@final
class WithinTop(OfTop):
    """KL either way between p_T / P and q_T / q(T), both renormalised: the odds within T are
    right, and q(T) > 0 and all outside T are free.

    The student writes the member of largest entropy: q(T) = e^H / (e^H + A - k), with H the entropy
    of p_T / P, and equal shares outside. One label, k = 1, says nothing. Members come as near as
    one likes to a point mass on the least probable label. What is written loses at most 1 - q(T)
    where q(T) <= P, and 1 - P <= 1 - k/A elsewhere, so (A-k) / (A-k+1) at most, as it does at a
    point mass, where H = 0.
    """

    words: ClassVar[str] = "the odds of p within the k most probable labels, all else free"

    def written(self, rows: Rows) -> Rows:
        """Return the members of largest entropy."""
        hidden = rows.shape[1] - self.k
        if hidden <= 0:
            return rows
        kept, mass = self.parts(rows)
        inside = kept / mass
        entropy = -(inside * np.log(np.where(inside > 0.0, inside, 1.0))).sum(axis=1, keepdims=True)
        weight = np.exp(entropy) / (np.exp(entropy) + hidden)
        return weight * inside + self.hidden_share(rows, 1.0 - weight)

    def least(self, rows: Rows) -> np.ndarray:
        """Return 0: p is among them."""
        return np.zeros(len(rows))

    def most(self, rows: Rows) -> np.ndarray:
        """Return 1 less the least probable label, (S,)."""
        if self.k >= rows.shape[1]:
            return np.zeros(len(rows))
        return 1.0 - self.least_hidden(rows)

    def worst(self, labels: int) -> Worst:
        """Return (A-k) / (A-k+1), at a point mass."""
        hidden = labels - self.k
        if hidden <= 0:
            return none_lost(labels)
        return Worst(hidden / (hidden + 1.0), uniform_on(1, labels))

    def widest(self, labels: int) -> Worst:
        """Return 1: nearly all of q on a label of probability 0."""
        if self.k >= labels:
            return none_lost(labels)
        return Worst(1.0, uniform_on(1, labels), attained=False)


@final
class TailBucket(OfTop):
    """KL either way on T and one more label, "other", for all the rest: p on T, the rest free.

    The student shares the rest equally, as `top_k(k, sampled=False)` does; of one label outside T
    the rest is known. Both distances are convex in p on the rows of one order, so they are largest
    at a row that is uniform on its first j labels: (j-k)(A-j) / (j(A-k)) for equal shares, and
    M less the least probable label, M = 1 - P, for the rest on that label.
    """

    words: ClassVar[str] = "p on the k most probable labels, the rest anywhere else"

    def written(self, rows: Rows) -> Rows:
        """Return p on T with equal shares of the rest."""
        if self.k >= rows.shape[1]:
            return rows
        kept, mass = self.parts(rows)
        return kept + self.hidden_share(rows, np.maximum(1.0 - mass, 0.0))

    def least(self, rows: Rows) -> np.ndarray:
        """Return 0: p is among them."""
        return np.zeros(len(rows))

    def most(self, rows: Rows) -> np.ndarray:
        """Return 1 - P less the least probable label, (S,)."""
        if self.k >= rows.shape[1] - 1:
            return np.zeros(len(rows))
        outside = np.where(among_first(rows, self.k), 0.0, rows).sum(axis=1)
        return outside - self.least_hidden(rows)

    def worst(self, labels: int) -> Worst:
        """Return the largest (j-k)(A-j) / (j(A-k))."""
        if self.k >= labels - 1:
            return none_lost(labels)
        size = np.arange(1.0, labels + 1.0)
        spread = np.maximum(size - self.k, 0.0) * (labels - size)
        return _largest(spread / (size * (labels - self.k)), labels)

    def widest(self, labels: int) -> Worst:
        """Return 1 - k/(A-1), at the row that is uniform on all labels but one."""
        if self.k >= labels - 1:
            return none_lost(labels)
        return Worst(1.0 - self.k / (labels - 1.0), uniform_on(labels - 1, labels))


def _largest(of_sizes: np.ndarray, labels: int) -> Worst:
    place = int(of_sizes.argmax())
    return Worst(float(of_sizes[place]), uniform_on(place + 1, labels))


# By name.


def forward_kl_top(k: int) -> RenormalisedTop:
    """Return KL(p_T / P || q).

    Parameters
    ----------
    k : int
        At least 1.
    """
    return RenormalisedTop("forward_kl_top", _number(k))


def reverse_kl_top(k: int) -> RenormalisedTop:
    """Return KL(q || p_T / P), infinite where q leaves T.

    Parameters
    ----------
    k : int
        At least 1.
    """
    return RenormalisedTop("reverse_kl_top", _number(k))


def forward_kl_truncated(k: int) -> RenormalisedTop:
    """Return the sum over T of p log(p/q).

    Parameters
    ----------
    k : int
        At least 1.
    """
    return RenormalisedTop("forward_kl_truncated", _number(k))


def reverse_kl_truncated(k: int) -> TruncatedReverse:
    """Return the sum over T of q log(q/p).

    Parameters
    ----------
    k : int
        At least 1.
    """
    return TruncatedReverse("reverse_kl_truncated", _number(k))


def forward_kl_within(k: int) -> WithinTop:
    """Return KL(p_T / P || q_T / q(T)).

    Parameters
    ----------
    k : int
        At least 1.
    """
    return WithinTop("forward_kl_within", _number(k))


def reverse_kl_within(k: int) -> WithinTop:
    """Return KL(q_T / q(T) || p_T / P).

    Parameters
    ----------
    k : int
        At least 1.
    """
    return WithinTop("reverse_kl_within", _number(k))


def forward_kl_tail(k: int) -> TailBucket:
    """Return KL(p || q) on T and a bucket for all other labels.

    Parameters
    ----------
    k : int
        At least 1.
    """
    return TailBucket("forward_kl_tail", _number(k))


def reverse_kl_tail(k: int) -> TailBucket:
    """Return KL(q || p) on T and a bucket for all other labels.

    Parameters
    ----------
    k : int
        At least 1.
    """
    return TailBucket("reverse_kl_tail", _number(k))


def _number(k: Any) -> int:
    return whole_number(k, "k", low=1, high=WHOLE_ROW)
