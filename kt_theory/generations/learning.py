"""Many copies at once: a student learns from a different table in every repeat.

The repeat loop of `simulate` has one teacher for all repeats, laid out once for the kernels. Here
each repeat has its own, so that the counts come from NumPy, and a kernel calls the student's
compiled rule on row after row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kt_theory.kernels.copies import write_tables
from kt_theory.kernels.generic import ROW_SUM_TOLERANCE
from kt_theory.simulation.rules import (
    RowRuleError,
    compiled_rule,
    fault,
    pools,
    rule_kind,
    rule_parameters,
)
from kt_theory.students import Student

_CELLS_AT_ONCE = 2**14
"""Between two pieces of so many cells an interrupt is heard, and the bar moves on: a table rule may
be slow.
"""


class Learner:
    """A student with its rule compiled, ready to learn from many tables of one size."""

    def __init__(
        self,
        student: Student,
        inputs: int,
        labels: int,
    ) -> None:
        student.refuse_other_sizes((inputs, labels))
        self.student = student
        self.inputs = inputs
        self.labels = labels
        self._prior = student.before((inputs, labels)) if student.prior is not None else None
        self._rule = compiled_rule(student, True)
        self._parameters = rule_parameters(student)

    def answers(
        self, tables: np.ndarray, rho: np.ndarray, n: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the student sees of n pairs s ~ rho, a ~ table(.|s), fresh for each table:
        the counts and what is revealed, (R, S, A) both. Arguments are those of `drawn`.
        """
        return self.student.access.answers(self.drawn(tables, rho, n, rng), tables, rng)

    def drawn(
        self, tables: np.ndarray, rho: np.ndarray, n: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return how often each label was sampled at each input: (R, S, A).

        Parameters
        ----------
        tables : (R, S, A) array
        rho : (S,) array, or (R, S) of each table its own
        n : int
        rng : numpy.random.Generator
        """
        repeats = len(tables)
        laws = np.broadcast_to(rho, (repeats, self.inputs))[:, None]
        visits = draw_labels(np.full((repeats, 1), n), laws, rng)[:, 0]
        return draw_labels(visits, tables, rng)

    def write(
        self,
        counts: np.ndarray,
        revealed: np.ndarray,
        done: Callable[[int], Any],
    ) -> np.ndarray:
        """Return what the student writes of answers: (R, S, A) array, rows sum to 1.

        Parameters
        ----------
        counts, revealed : (R, S, A) arrays
            What it sees, as from `answers`.
        done : callable
            Told the number of tables since it was last called.

        Raises
        ------
        RowRuleError
            The rule wrote a row that is not a distribution.
        """
        # Each call of a rule has a spare entry at its end, set to 1 on return.
        at_once = self.inputs if pools(self.student) else 1
        cells = at_once * self.labels
        repeats = len(counts)
        calls = self.inputs // at_once
        seen = np.ascontiguousarray(counts, dtype=np.int64)
        shown = np.ascontiguousarray(revealed, dtype=np.float64)
        room = np.full((repeats, calls, cells + 1), np.nan)
        if self._prior is not None:
            room[:, :, :-1] = self._prior.reshape(calls, cells)
        size = max(1, _CELLS_AT_ONCE // (calls * cells))
        for piece in (
            slice(first, min(first + size, repeats)) for first in range(0, repeats, size)
        ):
            if not write_tables(
                self._rule.address,
                self._parameters,
                at_once,
                self.labels,
                seen[piece],
                shown[piece],
                room[piece],
            ):
                break
            done(piece.stop - piece.start)
        written = room[:, :, :-1].reshape(-1, self.labels)
        fine = (written >= 0.0).all(axis=1) & (
            np.abs(written.sum(axis=1) - 1.0) <= ROW_SUM_TOLERANCE
        )
        if not fine.all():
            repeat, row = divmod(int(np.argmin(fine)), self.inputs)
            self._refuse(row, seen[repeat], shown[repeat])
        return written.reshape(counts.shape)

    def _refuse(
        self,
        row: int,
        counts: np.ndarray,
        revealed: np.ndarray,
    ) -> None:
        """Raise the error that names a bad row, by running its rule in plain Python on the same
        answers.
        """
        found, _ = fault(self.student, counts, revealed, row)
        raise RowRuleError(
            f"student {self.student.name!r}: its {rule_kind(self.student)} {found}; "
            "a row must be >= 0 and sum to 1"
        )


def draw_labels(visits: np.ndarray, tables: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return counts (R, S, A) of visits (R, S) labels drawn from each row of tables (R, S, A).

    The rounding of a row's sum goes to its last label: the most probable one is put there, so that
    a label of probability 0 is never drawn.
    """
    rows = tables.reshape(-1, tables.shape[-1])
    rows = rows / rows.sum(axis=1, keepdims=True)
    every = np.arange(len(rows))
    top = rows.argmax(axis=1)
    last = rows.shape[1] - 1
    rows[every, top], rows[every, last] = rows[every, last], rows[every, top]
    counts = rng.multinomial(visits.ravel(), rows)
    counts[every, top], counts[every, last] = counts[every, last], counts[every, top]
    return counts.reshape(tables.shape)
