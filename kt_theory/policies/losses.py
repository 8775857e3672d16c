"""What rows lose under policies, row by row: blocks of a dump to arrays for the kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Block
from kt_theory.kernels import policy_numbers as numbers
from kt_theory.kernels.storage import storage_losses
from kt_theory.policies.policy import Policy

if TYPE_CHECKING:
    from kt_theory.policies.kept import Kept

HEAD = 4096
"""Of whole rows of more than twice as many labels so many are sorted."""

ROWS = 2048
"""Rows are taken so many at a time, fewer if they are long."""

CHOICES = 1024
"""Binomial coefficients of so many draws are in a table; those of more exceed floating point."""

TOGETHER = 32
"""So many short rows are looked at side by side."""

_CELLS = 2**21
_COLUMNS, _DIGITS = 5, 4096


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

    @cached_property
    def _asked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the kernel is told of the policies."""
        asked = [policy.numbers(self.labels, self.visits) for policy in self.policies]
        what = np.array([one for one, _ in asked], dtype=np.int64)
        how = np.array([two for _, two in asked], dtype=np.float64)
        choices = np.zeros((len(asked), CHOICES))
        for row, (kind, _, _, draws) in zip(choices, what.tolist(), strict=True):
            if kind >= numbers.SAMPLED and draws <= CHOICES:
                row[:draws] = [math.comb(draws - 1, j) for j in range(draws)]
        return what, how, choices

    def losses(self, block: Block) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield arrays (P, 5, m) of a block's rows in order, and their hidden masses (m,)."""
        rows = max(1, min(ROWS, _CELLS // block.logprobs.shape[1]))
        for start in range(0, len(block), rows):
            some = slice(start, start + rows)
            labels = None if block.labels is None else block.labels[some]
            yield self.found(block.logprobs[some], labels)

    def of_rows(self, logs: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Return the losses of rows as blocks hold them.

        Parameters
        ----------
        logs : (m, k) array
            Log-probabilities of whole rows, or listed ones in descending order.
        labels : (m, k) array of int, optional
            The listed labels, `NO_LABEL` where there are fewer than k.

        Returns
        -------
        (m, P, 5) array
            The least and the largest TV, the same of KL(p||q), and how many labels are stored at
            most.
        """
        return np.moveaxis(self.found(logs, labels)[0], 2, 0)

    def found(self, logs: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses of rows, (P, 5, m), and their hidden masses, (m,)."""
        if labels is not None:
            return self._kernel(logs, (labels != NO_LABEL).sum(axis=1))
        head = self.head
        if head == self.labels:
            return self._kernel(_falling(logs), np.full(len(logs), head))
        largest = np.partition(logs, self.labels - head, axis=1)[:, -head:]
        found, masses = self._kernel(_falling(largest), np.full(len(logs), head), logs)
        # Rows whose head does not reach the mass that a policy wants are sorted as a whole.
        short = np.isnan(found[:, numbers.TV_LEAST])
        some, rows = np.flatnonzero(short.any(axis=1)), np.flatnonzero(short.any(axis=0))
        if len(rows):
            asked = replace(self, policies=tuple(self.policies[j] for j in some))
            again, _ = asked._kernel(_falling(logs[rows]), np.full(len(rows), self.labels))
            for j, policy in enumerate(some):
                there = short[policy, rows]
                found[policy][:, rows[there]] = again[j][:, there]
        return found, masses

    def _kernel(
        self, heads: np.ndarray, lengths: np.ndarray, logs: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        what, how, choices = self._asked
        heads = np.ascontiguousarray(heads, dtype=np.float64)
        rows = np.empty((0, 0)) if logs is None else np.ascontiguousarray(logs, dtype=np.float64)
        together = TOGETHER if logs is None and heads.shape[1] <= HEAD else 1
        room = _room(together, heads.shape[1], rows.shape[1], self.labels)
        found, masses = np.empty((len(self.policies), _COLUMNS, len(heads))), np.empty(len(heads))
        storage_losses(
            heads,
            lengths.astype(np.int64),
            rows,
            np.ascontiguousarray(heads[:, -1]),
            self.complete,
            what,
            how,
            choices,
            room,
            found,
            masses,
        )
        return found, masses


def _room(together: int, head: int, rest: int, labels: int) -> numbers.Rows:
    """Return room for one call: several threads may ask at a time."""
    width = head + 1
    p, lp, tail, plogp, missed = np.empty((5, together, width))
    return numbers.Rows(
        p,
        lp,
        tail,
        plogp,
        missed,
        draws=np.empty(1, dtype=np.int64),
        spare=np.empty((3, max(width, _DIGITS))),
        n=np.empty(together, dtype=np.int64),
        facts=np.empty((6, together)),
        rest=np.empty((4, rest)),
        powers=np.empty(numbers.ORDER + 1),
        number=together,
        labels=labels,
        size=0,
        heavy=0,
        rest_plogp=0.0,
    )


def _wanted(kept: Kept, labels: int) -> int:
    """Return how many labels are looked at one by one."""
    most = kept.most(labels)
    return most if most < labels else 0


def _falling(logs: np.ndarray) -> np.ndarray:
    return np.sort(logs, axis=1)[:, ::-1]
