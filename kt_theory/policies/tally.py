"""Sums over positions that do not depend on how they are cut or in what order they come."""

from __future__ import annotations

import math
import time
from ast import literal_eval
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kt_theory.dumps.block import Block
from kt_theory.kernels import policy_numbers as numbers
from kt_theory.kernels import statistics
from kt_theory.kernels.storage import add_up
from kt_theory.policies.losses import Question

DIGESTS = 2**14
"""So many of the least digests of contexts are kept: fewer contexts are counted one by one, more
are estimated from the largest of those, within 0.8 % (one standard deviation)."""

RUN = 2**20
_SECONDS = 2.0

_DIGEST_RANGE = 2.0**64

QUANTILE = 0.95


@dataclass(frozen=True, eq=False)
class Tally:
    """What has been counted of a dump.

    Attributes
    ----------
    positions : int
    sums : tuple of tuple of int
        For each of the kernel's columns and each policy: the sum of finite values, in units of
        2^-40.
    infinite : tuple of tuple of int
        The same of infinite values: how many.
    largest : (P,) float64
        The largest upper bound of TV of any position.
    histogram : (P, BINS) int64
        Of the upper bounds of TV.
    hidden : int
        The sum of the hidden mass over positions, in units of 2^-40.
    with_context : int
        Positions whose context is known.
    digests : (D,) uint64
        The least digests of those contexts, in order.
    skipped : mapping of str to int
        Positions that gave no row, and why.
    """

    positions: int
    sums: tuple[tuple[int, ...], ...]
    infinite: tuple[tuple[int, ...], ...]
    largest: np.ndarray
    histogram: np.ndarray
    hidden: int = 0
    with_context: int = 0
    digests: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    skipped: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, policies: int) -> Tally:
        """Return the tally of no position."""
        none = ((0,) * policies,) * _COLUMNS
        bins = np.zeros((policies, statistics.BINS), dtype=np.int64)
        return cls(0, none, none, np.zeros(policies), bins)

    @classmethod
    def of_blocks(cls, blocks: Iterable[Block], question: Question) -> Iterator[Tally]:
        """Yield the tallies of runs of blocks, each of some seconds or `RUN` rows."""
        batch = _Batch(question)
        for block in blocks:
            batch.take(block)
            if batch.full:
                yield batch.tally()
                batch = _Batch(question)
        yield batch.tally()

    def plus(self, other: Tally) -> Tally:
        """Return the tally of both together."""
        digests = _least(self.digests, other.digests)
        return Tally(
            self.positions + other.positions,
            _added(self.sums, other.sums),
            _added(self.infinite, other.infinite),
            np.maximum(self.largest, other.largest),
            self.histogram + other.histogram,
            self.hidden + other.hidden,
            self.with_context + other.with_context,
            digests,
            dict(Counter(self.skipped) + Counter(other.skipped)),
        )

    # What is read from it.

    def mean(self, column: int, policy: int) -> float:
        """Return the mean of a column of the kernel's over positions: inf if one value was."""
        if self.infinite[column][policy]:
            return math.inf
        return self.sums[column][policy] / self.positions / 2.0**numbers.FRACTION

    def share_infinite(self, column: int, policy: int) -> float:
        """Return the share of positions whose value is infinite."""
        return self.infinite[column][policy] / self.positions

    def quantile(self, policy: int) -> float:
        """Return the 95th percentile of the upper bounds of TV, off by at most 2^-12 of itself."""
        return statistics.quantiles(self.histogram[policy], [QUANTILE])[0]

    @property
    def hidden_mass(self) -> float:
        """The mean mass of the labels that are not listed."""
        return self.hidden / self.positions / 2.0**numbers.FRACTION

    @property
    def visits(self) -> float | None:
        """How often a context comes on average; None where contexts are not known."""
        if not self.with_context:
            return None
        if len(self.digests) < DIGESTS:
            return self.with_context / len(self.digests)
        contexts = (DIGESTS - 1) * _DIGEST_RANGE / float(self.digests[-1])
        return max(self.with_context / contexts, 1.0)

    # To disks and workers: histograms are nearly empty.

    def packed(self) -> dict[str, Any]:
        """Return it as arrays and one text for `unpacked`."""
        places = np.flatnonzero(self.histogram)
        counts = [self.positions, self.hidden, self.with_context, self.sums, self.infinite]
        return {
            "numbers": repr([*counts, dict(self.skipped)]),
            "largest": self.largest,
            "places": places,
            "counts": self.histogram.ravel()[places],
            "digests": self.digests,
        }

    @classmethod
    def unpacked(cls, held: Mapping[str, Any]) -> Tally:
        """Return the tally that was packed."""
        positions, hidden, known, sums, infinite, skipped = literal_eval(str(held["numbers"]))
        largest = np.array(held["largest"])
        bins = np.zeros(len(largest) * statistics.BINS, dtype=np.int64)
        bins[held["places"]] = held["counts"]
        shape = (len(largest), statistics.BINS)
        digests = np.array(held["digests"])
        return cls(
            positions, sums, infinite, largest, bins.reshape(shape), hidden, known, digests, skipped
        )


class _Batch:
    """Sums over blocks that wait to be added: a histogram is large."""

    def __init__(self, question: Question) -> None:
        self.question = question
        shape = (_COLUMNS, len(question.policies))
        self.wholes, self.fractions, self.infinite = np.zeros((3, *shape), dtype=np.int64)
        self.largest = np.zeros(shape[1])
        self.histogram = np.zeros((shape[1], statistics.BINS), dtype=np.int64)
        self.rows = self.hidden = self.with_context = 0
        self.digests = np.empty(0, dtype=np.uint64)
        self.skipped: Counter[str] = Counter()
        self.since = time.monotonic()

    @property
    def full(self) -> bool:
        return self.rows >= RUN or time.monotonic() - self.since > _SECONDS

    def take(self, block: Block) -> None:
        for losses, masses in self.question.losses(block):
            add_up(losses, self.wholes, self.fractions, self.infinite, self.largest, self.histogram)
            self.hidden += int(np.rint(masses * 2.0**numbers.FRACTION).astype(np.int64).sum())
        self.rows += len(block)
        self.skipped.update(block.skipped)
        if block.contexts is not None:
            self.with_context += len(block)
            digests = block.contexts
            if len(self.digests) == DIGESTS:
                digests = digests[digests < self.digests[-1]]
            self.digests = _least(self.digests, digests)

    def tally(self) -> Tally:
        return Tally(
            self.rows,
            tuple(
                tuple((int(a) << numbers.FRACTION) + int(b) for a, b in zip(*pair, strict=True))
                for pair in zip(self.wholes, self.fractions, strict=True)
            ),
            tuple(tuple(counts) for counts in self.infinite.tolist()),
            self.largest,
            self.histogram,
            self.hidden,
            self.with_context,
            self.digests,
            dict(self.skipped),
        )


_COLUMNS = 5


def _least(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the least `DIGESTS` of digests, in order, each once."""
    both = np.sort(np.concatenate([one, other]))
    fresh = np.ones(len(both), dtype=bool)
    fresh[1:] = both[1:] != both[:-1]
    return both[fresh][:DIGESTS]


def _added(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        tuple(a + b for a, b in zip(*pair, strict=True)) for pair in zip(one, other, strict=True)
    )
