"""What a generation is trained on: the last one's labels alone, all labels so far, or a share of
fresh ones of the first teacher.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from kt_theory.generations.learning import Learner
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.validation import shown

REPLACE = "replace"
ACCUMULATE = "accumulate"


class Data(ABC):
    """Where the answers of a generation come from; the kinds are the final classes below."""

    @abstractmethod
    def answers(
        self, learner: Learner, tables: np.ndarray, rho: np.ndarray, n: int, rng: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts that a student sees and what is revealed to it, (R, S, A) both, of n
        new pairs.

        Parameters
        ----------
        learner : Learner
        tables : (R, S, A) array
            The last generation's.
        rho : (S,) array
        n : int
        rng : numpy.random.Generator
        """


@final
@dataclass(frozen=True)
class Replace(Data):
    """The last generation's labels alone."""

    def answers(
        self, learner: Learner, tables: np.ndarray, rho: np.ndarray, n: int, rng: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n answers of the last tables."""
        return learner.answers(tables, rho, n, rng)


@final
@dataclass
class Accumulate(Data):
    """All labels so far: a pool that each generation adds its own to, (R, S, A)."""

    pool: np.ndarray | None = field(default=None)

    def answers(
        self, learner: Learner, tables: np.ndarray, rho: np.ndarray, n: int, rng: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the pool with n more answers of the last tables."""
        counts, revealed = learner.answers(tables, rho, n, rng)
        self.pool = counts if self.pool is None else self.pool + counts
        return self.pool, revealed


@final
@dataclass(frozen=True)
class Fresh(Data):
    """A share of the labels comes from the first teacher, the others from the last generation."""

    share: float
    first: np.ndarray

    def answers(
        self, learner: Learner, tables: np.ndarray, rho: np.ndarray, n: int, rng: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return answers of the first table and of the last tables together."""
        fresh = fresh_labels(self.share, n)
        truth = np.broadcast_to(self.first, tables.shape)
        counts, revealed = learner.answers(truth, rho, fresh, rng)
        more, _ = learner.answers(tables, rho, n - fresh, rng)
        return counts + more, revealed


def fresh_labels(share: float, n: int) -> int:
    """Return how many of n labels are fresh: share * n, to the nearest whole number."""
    return math.floor(share * n + 0.5)


def as_share(data: Any) -> float | str:
    """Return `data` as REPLACE, ACCUMULATE or the share of fresh labels.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if isinstance(data, str) and data in (REPLACE, ACCUMULATE):
        return data
    try:
        share = math.nan if isinstance(data, (str, bool)) else float(data)
    except (TypeError, ValueError, OverflowError):
        share = math.nan
    if not 0.0 < share < 1.0:
        raise ValueError(
            f"data = {shown(data)}: must be {REPLACE!r}, {ACCUMULATE!r} or the share of fresh "
            "labels, a number between 0 and 1"
        )
    return share


def data_name(data: float | str) -> str:
    """Return what tables call it."""
    return data if isinstance(data, str) else f"fresh({data:g})"


def new_data(data: float | str, truth: Teacher) -> Data:
    """Return where answers come from, with an empty pool."""
    if data == REPLACE:
        return Replace()
    if data == ACCUMULATE:
        return Accumulate()
    return Fresh(float(data), truth.pi)


def refuse_stated(student: Student, data: float | str) -> None:
    """Raise ValueError if a student's answers of several teachers cannot be put together: those
    that state probabilities state each teacher's own.
    """
    told = student.access.told
    if data != REPLACE and not (told is not None and told.labels_only):
        raise ValueError(
            f"data = {data!r}: puts labels of several generations together, and student "
            f"{student.name!r} sees more than sampled labels (access {student.access.name!r}); "
            f"give data={REPLACE!r}, or a student of hard labels"
        )
