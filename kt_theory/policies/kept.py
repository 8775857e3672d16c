"""What a policy keeps of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from kt_theory.kernels import storage
from kt_theory.objectives import forward_kl_tail, forward_kl_top
from kt_theory.policies.values import Values, width


def id_bytes(labels: int) -> int:
    """Return the bytes of a label's number: 1, 2 or 4, the least that A labels need."""
    return width(labels)


class Kept(ABC):
    """What is kept of a row; the kinds are the final classes below.

    Attributes
    ----------
    number : int
        What the kernel calls it.
    name : str
        As it stands first in the name of a policy.
    words : str
        In a sentence: "the 50 most probable labels, ...".
    takes_values, takes_temperature : bool
        Whether values can be rounded, and be those of another temperature.
    among_others : bool
        Whether labels that are not kept get what the values leave.
    """

    number: ClassVar[int]
    takes_values: ClassVar[bool] = True
    takes_temperature: ClassVar[bool] = False
    among_others: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """As it stands first in the name of a policy."""

    @property
    @abstractmethod
    def words(self) -> str:
        """In a sentence."""

    @abstractmethod
    def sizes(self, visits: int) -> tuple[int, int, float]:
        """Return k or N, how many draws a context's visits pool, and p or t."""

    @abstractmethod
    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return the bytes of a position, and of each label that is stored of it."""

    def most(self, labels: int) -> int:
        """Return how many labels are stored at most."""
        return labels

    @abstractmethod
    def refuse(self, labels: int) -> None:
        """Raise an error where no row of A labels can be stored so."""

    @abstractmethod
    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return what a student makes of rows (S, A) in descending order that are so stored."""


class OfRow(Kept):
    """What is kept is decided by the row alone, not by draws."""

    def sizes(self, visits: int) -> tuple[int, int, float]:
        """Return nothing but k."""
        return self.most(0), 0, 1.0


def _undone(kept: np.ndarray, values: Values, tau: float) -> np.ndarray:
    """Return rows (S, k) that sum to 1 as they come out of storage."""
    shown = kept ** (1.0 / tau)
    shown = values.channel.shown(shown / shown.sum(axis=1, keepdims=True))
    weights: np.ndarray = values.channel.undo(shown) ** tau
    return weights / weights.sum(axis=1, keepdims=True)


@final
@dataclass(frozen=True)
class Everything(OfRow):
    """Every label, in the order of the labels: no numbers of labels are stored."""

    number: ClassVar[int] = storage.SOFT
    takes_temperature: ClassVar[bool] = True
    name: ClassVar[str] = "soft"
    words: ClassVar[str] = "whole rows"

    def refuse(self, labels: int) -> None:
        """Do nothing: any row has all labels."""

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return the values alone."""
        return 0, values.bytes

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return what the channel's own student makes of whole rows."""
        return _undone(rows, values, tau)


@dataclass(frozen=True)
class _First(OfRow):
    """The k most probable labels."""

    k: int

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return a number and a value for each label."""
        return 0, id_bytes(labels) + values.bytes

    def most(self, labels: int) -> int:
        """Return k."""
        return self.k

    def refuse(self, labels: int) -> None:
        """Raise an error where k labels are all there are."""
        if self.k >= labels:
            raise ValueError(
                f"policies = '{self.name}': k must be below the number of labels, {labels}; 'soft' "
                "keeps whole rows"
            )


@final
@dataclass(frozen=True)
class Renormalised(_First):
    """The k most probable labels, divided by their sum: the others get 0. What is lost is their
    mass, 1 - P; see `kt_theory.objectives.forward_kl_top`.

    Attributes
    ----------
    k : int
        At least 1, below A.
    """

    number: ClassVar[int] = storage.RENORMALISED
    takes_temperature: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As it stands first in the name of a policy."""
        return f"renormalised({self.k})"

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"the {self.k} most probable labels, divided by their sum"

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return p_T / P as it comes out of storage, 0 elsewhere."""
        kept = forward_kl_top(self.k).written(rows)
        kept[:, : self.k] = _undone(kept[:, : self.k], values, tau)
        return kept


@final
@dataclass(frozen=True)
class EvenTail(_First):
    """The k most probable labels as they are; the student shares the rest of the mass equally. What
    is lost is 1/2 sum_tail |p - M/(A-k)|, which no student of k labels can be sure to undercut; see
    `kt_theory.objectives.forward_kl_tail` and the level `top_k_only(k)`.

    Attributes
    ----------
    k : int
        At least 1, below A.
    """

    number: ClassVar[int] = storage.EVEN_TAIL
    among_others: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As it stands first in the name of a policy."""
        return f"even_tail({self.k})"

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"the {self.k} most probable labels, the rest of the mass shared equally"

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return p on T as it comes out of storage, what that leaves in equal shares elsewhere."""
        if values.name:
            first = np.arange(rows.shape[1]) < self.k
            shown = np.where(first, values.channel.shown(rows), 0.0)
            table = values.channel.completed(shown, self.k)
            return np.maximum(table, 0.0) / np.maximum(table, 0.0).sum(axis=1, keepdims=True)
        return forward_kl_tail(self.k).written(rows)


@final
@dataclass(frozen=True)
class TailMass(_First):
    """The k most probable labels and the mass of all others as one more value. The student is free
    on those: what is lost lies between nothing but rounding, for one who gives them what the
    teacher does, and all of their mass but what the least probable has, for one who gives it all.

    Attributes
    ----------
    k : int
        At least 1, below A.
    """

    number: ClassVar[int] = storage.TAIL_MASS

    @property
    def name(self) -> str:
        """As it stands first in the name of a policy."""
        return f"tail_mass({self.k})"

    @property
    def words(self) -> str:
        """In a sentence."""
        return (
            f"the {self.k} most probable labels and the mass of the others, who get it as you like"
        )

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return a number and a value for each label, and one more value."""
        return values.bytes, id_bytes(labels) + values.bytes

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return the copy that shares the others' mass equally."""
        rest = rows[:, self.k :].sum(axis=1, keepdims=True)
        table = _undone(np.hstack([rows[:, : self.k], rest]), values, tau)
        outside = rows.shape[1] - self.k
        return np.hstack([table[:, :-1], np.repeat(table[:, -1:] / outside, outside, axis=1)])


@final
@dataclass(frozen=True)
class TopP(OfRow):
    """The fewest labels whose mass reaches p, divided by their sum.

    Attributes
    ----------
    p : float
        Between 0 and 1.
    """

    number: ClassVar[int] = storage.TOP_P
    takes_temperature: ClassVar[bool] = True
    p: float

    @property
    def name(self) -> str:
        """As it stands first in the name of a policy."""
        return f"top_p({self.p:g})"

    @property
    def words(self) -> str:
        """In a sentence."""
        return f"the fewest labels that have {self.p:g} of the mass, divided by their sum"

    def refuse(self, labels: int) -> None:
        """Do nothing: some labels always reach p."""

    def sizes(self, visits: int) -> tuple[int, int, float]:
        """Return p."""
        return 0, 0, self.p

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return their number, and for each its own number and a value."""
        return id_bytes(labels), id_bytes(labels) + values.bytes

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Return p_T / P as it comes out of storage, 0 elsewhere."""
        found = np.zeros_like(rows)
        left = (1.0 - self.p) * (1.0 + 2.0**-50)
        for row, copy in zip(rows, found, strict=True):
            beyond = np.cumsum(row[::-1])[::-1] - row
            k = int(np.argmax(beyond <= left)) + 1
            copy[:k] = _undone(row[None, :k] / row[:k].sum(), values, tau)[0]
        return found


@dataclass(frozen=True)
class _Draws(Kept):
    """Labels that are drawn from the row."""

    draws: int

    takes_values: ClassVar[bool] = False

    def refuse(self, labels: int) -> None:
        """Do nothing: labels can be drawn of any row."""

    def weights(self, rows: np.ndarray, values: Values, tau: float) -> np.ndarray:
        """Raise an error: draws differ from time to time."""
        raise ValueError(f"'{self.name}' stores draws: there is no one copy of a row")


@final
@dataclass(frozen=True)
class Sampled(_Draws):
    """N draws from p^t / sum p^t, each label stored once with how often it was drawn, at t = 1, or
    with the weight that makes up for the proposal. The student writes the weights divided by their
    sum: at t = 1 the frequencies, which miss p by 1/2 sum E|X/N - p|, exactly; elsewhere the loss
    is bounded. Anshumann et al. (2025), arXiv 2503.16870.

    Attributes
    ----------
    draws : int
        N, at least 1.
    power : float
        t, above 0 and below 2.
    """

    number: ClassVar[int] = storage.SAMPLED
    power: float = 1.0

    @property
    def name(self) -> str:
        """As it stands in the name of a policy."""
        return (
            f"sampled({self.draws})"
            if self.power == 1.0
            else f"sampled({self.draws}, {self.power:g})"
        )

    @property
    def words(self) -> str:
        """In a sentence."""
        law = "" if self.power == 1.0 else f" from p^{self.power:g}, weighted"
        return f"{self.draws} labels drawn{law}, with how often"

    def sizes(self, visits: int) -> tuple[int, int, float]:
        """Return N, the draws of all visits, and t."""
        return self.draws, self.draws * visits, self.power

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return the number of labels, and for each its own number and a count or a float32."""
        count = width(self.draws + 1.0)
        return count, id_bytes(labels) + (count if self.power == 1.0 else 4)


@final
@dataclass(frozen=True)
class SampledStated(_Draws):
    """N draws, each label stored once with its probability. The student writes those, and shares
    the rest of the mass equally: SEL_ptl of Zhao and Zhu (2023).

    Attributes
    ----------
    draws : int
        N, at least 1.
    """

    number: ClassVar[int] = storage.SAMPLED_STATED

    @property
    def name(self) -> str:
        """As it stands in the name of a policy."""
        return f"sampled({self.draws}, probabilities=true)"

    @property
    def words(self) -> str:
        """In a sentence."""
        return (
            f"{self.draws} labels drawn, with their probabilities, the rest of the mass shared "
            "equally"
        )

    def sizes(self, visits: int) -> tuple[int, int, float]:
        """Return N and the draws of all visits."""
        return self.draws, self.draws * visits, 1.0

    def bytes(self, labels: int, values: Values) -> tuple[int, int]:
        """Return the number of labels, and for each its own number and a float32."""
        return width(self.draws + 1.0), id_bytes(labels) + 4
