"""Teachers of few kinds of rows, each of few levels: whole numbers that say how many, and the
masses, free of constraints as logarithms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kt_theory.numeric import softmax
from kt_theory.teacher import Teacher

SMALLEST_MASS = 1e-14
"""A level, or a kind of rows, of no more than this mass beside the others has none."""


@dataclass(frozen=True)
class Design:
    """How many inputs each kind of rows has, and how many labels each level of its rows.

    Labels that belong to no level have probability 0.

    Attributes
    ----------
    counts : tuple of int
        Inputs of each kind, which sum to S.
    levels : tuple of tuple of int
        For each kind the labels of each level, which sum to A at most.
    labels : int
        A.
    """

    counts: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    labels: int

    @classmethod
    def of(cls, teacher: Teacher) -> tuple[Design, np.ndarray]:
        """Return the design of a teacher and the logits of its masses."""
        classes = teacher.classes
        sizes, shares = [], []
        for row in classes.rows:
            values, numbers = np.unique(row[row > 0.0], return_counts=True)
            sizes.append(tuple(int(number) for number in numbers))
            shares.append(np.log(values * numbers))
        counts = tuple(int(number) for number in classes.multiplicity)
        groups = [np.log(np.maximum(classes.weight, SMALLEST_MASS)), *shares]
        logits = np.concatenate([group[:-1] - group[-1] for group in groups])
        return cls(counts, tuple(sizes), teacher.labels), logits

    @property
    def free(self) -> int:
        """How many masses are free: of the kinds but one, and of the levels of each but one."""
        return len(self.counts) - 1 + sum(len(sizes) - 1 for sizes in self.levels)

    def teacher(self, logits: np.ndarray) -> Teacher:
        """Return the teacher whose masses are the softmax of `logits`, (free,), with 0 for the last
        of each group.
        """
        place = len(self.counts) - 1
        mass = _masses(logits[:place])
        rows = np.zeros((len(self.counts), self.labels))
        for row, sizes in zip(rows, self.levels, strict=True):
            stop = place + len(sizes) - 1
            shares = _masses(logits[place:stop])
            row[: sum(sizes)] = np.repeat(shares / sizes, sizes)
            place = stop
        return Teacher.from_classes(rows, mass / np.array(self.counts), self.counts)

    def neighbours(self) -> Iterator[Design]:
        """Yield designs of as many kinds and levels, one of the whole numbers changed: by 1, and by
        a quarter.
        """
        for kind, sizes in enumerate(self.levels):
            for place, size in enumerate(sizes):
                for new in _near(size):
                    changed = (*sizes[:place], new, *sizes[place + 1 :])
                    if sum(changed) <= self.labels:
                        yield self._with(kind, changed)
            if len(sizes) > 1 and sum(sizes) == self.labels:
                for step in (1, -1):
                    moved = (sizes[0] + step, sizes[1] - step, *sizes[2:])
                    if min(moved) >= 1:
                        yield self._with(kind, moved)
        for kind in range(1, len(self.counts)):
            for new in _near(self.counts[0]):
                rest = self.counts[kind] + self.counts[0] - new
                if rest >= 1:
                    counts = [new, *self.counts[1:]]
                    counts[kind] = rest
                    yield Design(tuple(counts), self.levels, self.labels)

    def _with(self, kind: int, sizes: tuple[int, ...]) -> Design:
        levels = (*self.levels[:kind], sizes, *self.levels[kind + 1 :])
        return Design(self.counts, levels, self.labels)


def _masses(logits: np.ndarray) -> np.ndarray:
    """Return the masses of a group; what is next to nothing is nothing."""
    found = softmax(np.append(logits, 0.0)[None, :])[0]
    kept = np.where(found > SMALLEST_MASS, found, 0.0)
    return np.asarray(kept / kept.sum())


def _near(number: int) -> list[int]:
    step = max(1, number // 4)
    return [new for new in dict.fromkeys((number + 1, number - 1, number + step, number - step))
            if new >= 1]  # fmt: skip
