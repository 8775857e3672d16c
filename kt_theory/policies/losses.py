"""What rows lose under policies, row by row: blocks of a dump to arrays for the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Block
from kt_theory.kernels import storage
from kt_theory.policies.policy import Policy

if TYPE_CHECKING:
    from kt_theory.policies.kept import Kept

HEAD = 4096
"""Of whole rows of more than twice as many labels so many are sorted."""

ROWS = 8192
"""Rows are taken so many at a time, fewer if they are long."""

CODES = 1024
"""Codes of rounded logarithms whose exponentials are in a table."""

_CELLS = 2**21
_SCRATCH = 16


@dataclass(frozen=True)
class Question:
    """What is asked of every row.

    Attributes
    ----------
    policies : tuple of Policy
    labels : int
        A.
    visits : int
        How often each context is visited: draws of all visits are pooled.
    complete : bool
        Whether the listed labels have all of the mass, though they are not all labels.
    """

    policies: tuple[Policy, ...]
    labels: int
    visits: int = 1
    complete: bool = False

    @property
    def head(self) -> int:
        """How many labels of a whole row are sorted."""
        longest = max(_wanted(policy.kept, self.labels) for policy in self.policies)
        head = max(HEAD, longest)
        return head if 2 * head < self.labels else self.labels

    def losses(self, block: Block) -> Iterator[np.ndarray]:
        """Yield arrays (m, P, 5) of a block's rows in order: the least and the largest TV, the same
        of KL(p||q), and how many labels are stored at most.
        """
        rows = max(1, min(ROWS, _CELLS // block.logprobs.shape[1]))
        for start in range(0, len(block), rows):
            some = slice(start, start + rows)
            labels = None if block.labels is None else block.labels[some]
            yield self.of_rows(block.logprobs[some], labels)

    def of_rows(self, logs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return the losses of rows as blocks hold them, (m, P, 5)."""
        if labels is None:
            return self.of_whole(logs)
        return self._found(logs, (labels != NO_LABEL).sum(axis=1))

    def of_whole(self, logs: np.ndarray) -> np.ndarray:
        """Return the losses of rows of log-probabilities (m, A), (m, P, 5)."""
        head = self.head
        if head == self.labels:
            return self._found(_falling(logs), np.full(len(logs), head))
        largest = np.partition(logs, self.labels - head, axis=1)[:, -head:]
        found = self._found(_falling(largest), np.full(len(logs), head), logs)
        # Rows whose head does not reach the mass that a policy wants are sorted as a whole.
        short = np.isnan(found[:, :, storage.TV_LEAST])
        rows, some = np.flatnonzero(short.any(axis=1)), np.flatnonzero(short.any(axis=0))
        if len(rows):
            asked = replace(self, policies=tuple(self.policies[j] for j in some))
            listed = np.full(len(rows), self.labels)
            again = asked._found(_falling(logs[rows]), listed)
            found[rows[:, None], some] = np.where(
                short[rows[:, None], some, None], again, found[rows[:, None], some]
            )
        return found

    def _found(
        self, heads: np.ndarray, lengths: np.ndarray, logs: np.ndarray | None = None
    ) -> np.ndarray:
        numbers = [policy.numbers(self.labels, self.visits) for policy in self.policies]
        what = np.array([one for one, _ in numbers], dtype=np.int64)
        how = np.array([two for _, two in numbers], dtype=np.float64)
        heads = np.ascontiguousarray(heads, dtype=np.float64)
        rows = np.empty((0, 0)) if logs is None else np.ascontiguousarray(logs, dtype=np.float64)
        scratch = np.empty((6, max(heads.shape[1] + 1, _SCRATCH)))
        rest = np.empty((3, rows.shape[1]))
        found = np.empty((len(heads), len(self.policies), 5))
        storage.storage_losses(
            heads,
            lengths.astype(np.int64),
            rows,
            np.ascontiguousarray(heads[:, -1]),
            self.labels,
            self.complete,
            what,
            how,
            _tables(how),
            scratch,
            rest,
            found,
        )
        return found


def _wanted(kept: Kept, labels: int) -> int:
    """Return how many labels are looked at one by one."""
    most = kept.most(labels)
    return most if most < labels else 0


def _tables(how: np.ndarray) -> np.ndarray:
    """Return e^(-tau d j) of every policy, (P, CODES)."""
    nats: np.ndarray = how[:, storage.TAU] * how[:, storage.AMOUNT]
    return np.exp(-nats[:, None] * np.arange(CODES))


def _falling(logs: np.ndarray) -> np.ndarray:
    return np.sort(logs, axis=1)[:, ::-1]
