"""What one query shows of the row of its input: the label that comes back, and which probabilities
come with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, final

import numpy as np

from kt_theory.validation import as_floats

WHOLE_ROW = 2**31 - 1
"""`Shows.top` where every label of the row is shown."""


class Told(NamedTuple):
    """What records of sampled labels and log-probabilities hold of a level.

    Attributes
    ----------
    labels_only : bool
        The labels and nothing else.
    top : int
        How many labels are stated by their rank; `WHOLE_ROW` for all.
    """

    labels_only: bool
    top: int

    def settles(self, labels: int) -> bool:
        """Return whether one record of a row of A `labels` settles it."""
        return not self.labels_only and (labels <= 2 or self.top >= labels - 1)


class Records(Protocol):
    """Records of sampled labels and log-probabilities, as some levels see them."""

    def labels_alone(self) -> Any:
        """Return the sampled labels."""

    def most_probable(self, top: int, *, drawn: bool) -> Any:
        """Return the `top` largest probabilities of each record, and if `drawn` the sampled label
        with its own.
        """

    def whole_rows(self) -> Any:
        """Return all probabilities of every row."""


class Shows(ABC):
    """What an answer holds of its row; the kinds are the final classes below.

    Attributes
    ----------
    name, description : str
        As tables and messages call it.
    top : int
        How many of the row's most probable labels come with their probabilities; `WHOLE_ROW` for
        all.
    settled : bool
        Whether one answer reveals all that any number of answers of its row do.
    """

    top: ClassVar[int] = 0
    parts: ClassVar[bool] = False
    """Whether what is shown are relative parts of the row's labels that were not drawn."""
    settled: ClassVar[bool] = False

    @property
    @abstractmethod
    def own(self) -> bool:
        """Whether the label that comes back has its probability with it, wherever it ranks."""

    @property
    @abstractmethod
    def draws(self) -> bool:
        """Whether that label is drawn from the row; otherwise it is the most probable one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As tables call it."""

    @property
    @abstractmethod
    def description(self) -> str:
        """In words."""

    @property
    def recorded(self) -> bool:
        """Whether records of sampled labels and log-probabilities hold such answers."""
        return True

    @property
    def whole(self) -> bool:
        """Whether all probabilities of the row are shown."""
        return self.top == WHOLE_ROW

    @property
    def states(self) -> bool:
        """Whether any probability comes with the label."""
        return self.own or self.top > 0

    def from_records(self, records: Records) -> Any:
        """Return what records hold of such answers."""
        if self.whole:
            return records.whole_rows()
        return records.most_probable(self.top, drawn=self.draws)

    def revealed(self, labels: int) -> int:
        """Return how many log-probabilities an answer of a row of A `labels` holds."""
        return min(self.top + self.own, labels)

    @property
    def told(self) -> Told | None:
        """What records hold of it, None where they do not say what it would show."""
        return None

    def answered(
        self, counts: np.ndarray, pi: np.ndarray, visits: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the counts (S, A) of drawn labels as the answers show them; `visits` (S,) where
        some have no label.
        """
        return counts

    def marked(self, counts: np.ndarray, pi: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """Return whose weight is revealed, (S, A) bool: of rows that were `reached`, and of labels
        that came back.
        """
        ranked = self.ranked(pi, reached)
        return ranked | (counts > 0) if self.own else ranked

    def ranked(self, pi: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """Return which labels are revealed by their rank, (S, A) bool, on the rows that were
        `reached`.
        """
        return reached[:, None] & (label_ranks(pi) < self.top)

    def weights(self, counts: np.ndarray, pi: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) of the answers; `shown` is what the level's channel makes of
        pi.
        """
        return shown

    def covers(self, other: Shows, *, ordered: bool) -> bool:
        """Return whether an answer names all labels that one of `other` names; `ordered`: its
        weights keep order.
        """
        if other.draws and not self.draws:
            return False
        if self.top < other.top or (other.own and not (self.own or self.top == WHOLE_ROW)):
            return False
        # Which labels are the most probable is seen from weights that keep their order, or is said
        # by the answer.
        if not other.draws and self.draws and not (ordered and self.top > 0):
            return False
        return ordered or other.top in (0, self.top, WHOLE_ROW)


@final
@dataclass(frozen=True)
class Nothing(Shows):
    """The sampled label and no probability: hard labels."""

    name: ClassVar[str] = "hard"
    description: ClassVar[str] = "hard labels: the sampled label"
    top: ClassVar[int] = 0
    own: ClassVar[bool] = False
    draws: ClassVar[bool] = True

    @property
    def told(self) -> Told | None:
        """What records hold of it."""
        return Told(labels_only=True, top=0)

    def from_records(self, records: Records) -> Any:
        """Return the labels."""
        return records.labels_alone()


@final
@dataclass(frozen=True)
class SampledLabel(Shows):
    """The sampled label with its probability: partial soft labels."""

    name: ClassVar[str] = "partial"
    description: ClassVar[str] = "partial soft labels: the sampled label and its probability"
    top: ClassVar[int] = 0
    own: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    @property
    def told(self) -> Told | None:
        """What records hold of it."""
        return Told(labels_only=False, top=0)


@final
@dataclass(frozen=True)
class TopK(Shows):
    """The k most probable labels and the sampled one, with their probabilities.

    Of equally probable labels those with the smallest index are shown; a student that treats hidden
    labels alike has the same risk whichever are.
    """

    top: int  # type: ignore[misc]
    own: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"top_k({self.top})"

    @property
    def description(self) -> str:
        """In words."""
        return f"the sampled label and the {self.top} most probable labels with their probabilities"

    @property
    def told(self) -> Told | None:
        """What records hold of it."""
        return Told(labels_only=False, top=self.top)


@final
@dataclass(frozen=True)
class WholeRow(Shows):
    """All probabilities of the row: soft labels."""

    name: ClassVar[str] = "soft"
    description: ClassVar[str] = "soft labels: all probabilities of the row"
    top: ClassVar[int] = WHOLE_ROW
    own: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    settled: ClassVar[bool] = True

    @property
    def told(self) -> Told | None:
        """What records hold of it."""
        return Told(labels_only=False, top=WHOLE_ROW)


@final
@dataclass(frozen=True)
class NonTarget(Shows):
    """The sampled label and the row of the others relative to each other, p_b / (1 - p_a) for all b
    but the sampled a.

    The non-target part of decoupled distillation (Zhao, Cui, Song, Qiu and Liang 2022, arXiv
    2203.08679). A query that samples a reveals r_b = p_b / (1 - p_a) for all b != a, and 0 where
    p_a = 1. Two answers with different labels a and b determine a row of three or more labels of
    positive probability: with t = (1-p_b) / (1-p_a), the ratio of what they show of a third label,
    p_a = 1 - 1 / (t + r_b). If a and b are all the labels there are, each answer shows a point mass
    on the other, and the odds stay hidden. So `Access.reveal` gives: of a row in which one label
    was seen, r on the others and NaN at it; of one in which more were, the row itself, or 0 on the
    others and NaN on both of only two. The target part alone, p_a of the sampled label, is
    `SampledLabel`.
    """

    name: ClassVar[str] = "non_target"
    description: ClassVar[str] = (
        "the sampled label and the relative probabilities of all the others"
    )
    top: ClassVar[int] = 0
    own: ClassVar[bool] = False
    draws: ClassVar[bool] = True
    parts: ClassVar[bool] = True
    recorded: ClassVar[bool] = False
    states: ClassVar[bool] = True

    def revealed(self, labels: int) -> int:
        """Return how many log-probabilities an answer holds: all but that of the sampled label."""
        return labels - 1

    def marked(self, counts: np.ndarray, pi: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """Return whose weight is revealed, (S, A) bool."""
        seen = counts > 0
        distinct = seen.sum(axis=1, keepdims=True)
        return _told_whole(distinct, pi) | ((distinct > 0) & ~seen)

    def weights(self, counts: np.ndarray, pi: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) that all answers of a row tell together."""
        seen = counts > 0
        distinct = seen.sum(axis=1, keepdims=True)
        others = np.where(seen, 0.0, pi)
        rest = others.sum(axis=1, keepdims=True)
        relative = np.divide(
            others, rest, out=np.zeros_like(pi), where=(distinct == 1) & (rest > 0.0)
        )
        return np.where(_told_whole(distinct, pi), pi, relative)


@final
@dataclass(frozen=True)
class MostProbable(Shows):
    """A greedy query: the most probable label, whatever would be drawn, and the `top` most probable
    with probabilities.

    `top` = 0: answers at temperature 0 without log-probabilities. What it hides no number of
    queries shows.
    """

    top: int = 0  # type: ignore[misc]
    own: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    settled: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"top_k_only({self.top})" if self.top else "argmax"

    @property
    def description(self) -> str:
        """In words."""
        if not self.top:
            return "the most probable label, whatever was sampled, and no probability"
        return f"the {self.top} most probable labels with their probabilities, whatever was sampled"

    @property
    def recorded(self) -> bool:
        """Whether probabilities tell which label is the most probable one."""
        return self.top > 0

    def answered(
        self, counts: np.ndarray, pi: np.ndarray, visits: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the counts (S, A): all visits of a row on its most probable label."""
        seen = np.zeros_like(counts)
        every = counts.sum(axis=1) if visits is None else visits
        seen[np.arange(len(counts)), np.argmax(pi, axis=1)] = every
        return seen


AnyShows = Nothing | SampledLabel | TopK | WholeRow | NonTarget | MostProbable
"""Everything that an answer may hold of its row."""


def _told_whole(distinct: np.ndarray, pi: np.ndarray) -> np.ndarray:
    return (distinct > 1) & ((pi > 0.0).sum(axis=1, keepdims=True) > 2)


def label_ranks(pi: np.ndarray) -> np.ndarray:
    """Return the rank of each label in its row, 0 for the most probable; equal probabilities keep
    label order.
    """
    pi = as_floats(pi, "pi")
    order = np.argsort(-pi, axis=1, kind="stable")
    ranks = np.empty(pi.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(pi.shape[1], dtype=np.int32)[None, :], axis=1)
    return ranks
