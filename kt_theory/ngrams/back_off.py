"""A smoothed model: a row for every history, sparse over the row of the shorter context."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kt_theory.ngrams.counts import Contexts, Pairs
from kt_theory.validation import whole_number


@dataclass(frozen=True, eq=False)
class Level:
    """Rows of the contexts of one length.

    Attributes
    ----------
    pairs : Pairs
        `value` is q(a|c) of each listed label.
    weight : (C,) float64
        Of a label that context c does not list, q(a|c) is weight[c] q(a|c'), c' its parent; for the
        empty context, weight / A.
    """

    pairs: Pairs
    weight: np.ndarray

    @property
    def contexts(self) -> Contexts:
        """The contexts."""
        return self.pairs.contexts


@dataclass(frozen=True, eq=False)
class BackOff:
    """An n-gram model that backs off: q(a|c) of the labels seen after a context, and a weight of
    the shorter context's row for all others.

    Interpolated models have this form too, with the interpolated probability of what is listed. Of
    a history whose longest context never occurred it is the row of the longest that did.

    Attributes
    ----------
    labels : int
        A.
    levels : tuple of Level
        For contexts of length 0, 1, ..., h.
    interpolated : bool
        Whether a listed label has at least weight[c] q(a|c').
    """

    labels: int
    levels: tuple[Level, ...]
    interpolated: bool

    @property
    def context(self) -> int:
        """h, the longest context."""
        return len(self.levels) - 1

    def contexts_of(self, histories: np.ndarray) -> np.ndarray:
        """Return the number of each history's context of length 0 to h, (m, h + 1); -1 where it
        never occurred.

        Parameters
        ----------
        histories : (m, h or more) integers
            The tokens before, the nearest last; -1 before a text begins.
        """
        given = np.asarray(histories)
        found = np.zeros((len(given), self.context + 1), dtype=np.int64)
        for length in range(1, self.context + 1):
            level = self.levels[length].contexts
            found[:, length] = level.find(found[:, length - 1], given[:, -length])
        return found

    def probabilities(self, histories: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return q(labels[i, j] | histories[i]), (m, k).

        Parameters
        ----------
        histories : (m, h or more) integers
        labels : (m, k) integers
            A label outside 0 to A - 1 has probability 0.
        """
        numbers = self.contexts_of(histories)
        wanted = np.asarray(labels, dtype=np.int64)
        found = np.zeros(wanted.shape)
        rows, columns = np.nonzero((wanted >= 0) & (wanted < self.labels))
        label, factor = wanted[rows, columns], np.ones(len(rows))
        for length in range(self.context, -1, -1):
            level = self.levels[length]
            number = numbers[rows, length]
            value, weight = _looked_up(level, number, label)
            listed = ~np.isnan(value)
            found[rows[listed], columns[listed]] = factor[listed] * value[listed]
            rest = ~listed
            rows, columns, label = rows[rest], columns[rest], label[rest]
            factor = (factor * weight)[rest]
        found[rows, columns] = factor / self.labels
        return found

    def rows(self, histories: np.ndarray) -> np.ndarray:
        """Return the whole row of each history, (m, A): each sums to 1 up to rounding.

        Parameters
        ----------
        histories : (m, h or more) integers
        """
        numbers = self.contexts_of(histories)
        factor = np.ones((len(numbers), self.context + 2))
        for length in range(self.context, -1, -1):
            weight = self.levels[length].weight[numbers[:, length]]
            used = np.where(numbers[:, length] >= 0, weight, 1.0)
            factor[:, length] = factor[:, length + 1] * used
        table = np.repeat(factor[:, :1] / self.labels, self.labels, axis=1)
        for length, level in enumerate(self.levels):
            known = np.flatnonzero(numbers[:, length] >= 0)
            row, place = spread_out(level.pairs.start, numbers[known, length])
            row = known[row]
            pairs = level.pairs
            table[row, pairs.label[place]] = pairs.value[place] * factor[row, length + 1]
        return table

    def least(self, histories: np.ndarray) -> np.ndarray:
        """Return a lower bound, (m,), on all probabilities of each history's row."""
        numbers = self.contexts_of(histories)
        factor = np.full(len(numbers), 1.0 / self.labels)
        for length, level in enumerate(self.levels):
            number = numbers[:, length]
            known = number >= 0
            down = np.minimum(factor * level.weight[number], level.pairs.smallest[number])
            factor = np.where(known, down, factor)
        return factor

    def top(self, histories: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most probable labels of each history, descending, (m, k) int64, and their
        probabilities, (m, k).

        They are among what the context lists and the k most probable of the shorter one, as a
        listed label has at least its interpolated probability.

        Raises
        ------
        ValueError
            For a model that is not interpolated, or a k that is not in [1, A].
        """
        size = whole_number(k, "k", low=1, high=self.labels)
        if not self.interpolated:
            raise ValueError("top needs an interpolated model: take rows() and sort them")
        numbers = self.contexts_of(histories)
        found = _Top.of_row(self._row_of_no_context(), size)
        label, probability = found.label[numbers[:, 0]], found.probability[numbers[:, 0]]
        for length in range(1, self.context + 1):
            known = numbers[:, length] >= 0
            if known.any():
                used = np.unique(numbers[known, length])
                found = found.lengthened(self.levels[length], used)
                at = np.searchsorted(used, numbers[known, length])
                label[known], probability[known] = found.label[at], found.probability[at]
        return label, probability

    def draw(self, histories: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return a label drawn from the row of each history, (m,) int64.

        With the weight of the shorter context it is one of that row, otherwise one of what is left
        of the listed.

        Raises
        ------
        ValueError
            For a model that is not interpolated.
        """
        if not self.interpolated:
            raise ValueError("draw needs an interpolated model: draw from rows()")
        numbers = self.contexts_of(histories)
        drawn = np.full(len(numbers), -1, dtype=np.int64)
        for length in range(self.context, -1, -1):
            number = numbers[:, length]
            sums = self._kept[length]
            start = self.levels[length].pairs.start[number]
            at = np.searchsorted(sums, sums[start] + random.random(len(number)), side="right") - 1
            here = (drawn < 0) & (number >= 0)
            here &= at < self.levels[length].pairs.start[number + 1]
            drawn[here] = self.levels[length].pairs.label[at[here]]
        rest = drawn < 0
        drawn[rest] = random.integers(0, self.labels, int(rest.sum()))
        return drawn

    @cached_property
    def _kept(self) -> list[np.ndarray]:
        """For each length, running sums (P + 1,) of q(a|c) - weight[c] q(a|c')."""
        found = []
        for length, level in enumerate(self.levels):
            pairs = level.pairs
            if length:
                shorter = self.levels[length - 1].pairs
                below = shorter.value[pairs.places_in(shorter)]
            else:
                below = np.full(len(pairs.label), 1.0 / self.labels)
            kept = np.maximum(pairs.value - level.weight[pairs.owner] * below, 0.0)
            found.append(np.concatenate([[0.0], np.cumsum(kept)]))
        return found

    def _row_of_no_context(self) -> np.ndarray:
        level = self.levels[0]
        row = np.full(self.labels, level.weight[0] / self.labels)
        row[level.pairs.label] = level.pairs.value
        return row


@dataclass(frozen=True, eq=False)
class _Top:
    """The k most probable labels of some contexts of one length, (n, k), descending."""

    contexts: np.ndarray
    label: np.ndarray
    probability: np.ndarray

    @classmethod
    def of_row(cls, row: np.ndarray, k: int) -> _Top:
        """Return those of the empty context."""
        label = np.argsort(-row, kind="stable")[:k]
        return cls(np.zeros(1, dtype=np.int64), label[None], row[label][None])

    def lengthened(self, level: Level, used: np.ndarray) -> _Top:
        """Return those of the contexts `used`, whose parents are all among `self`."""
        pairs, k = level.pairs, self.label.shape[1]
        row, place = spread_out(pairs.start, used)
        above = np.searchsorted(self.contexts, pairs.contexts.parent[used])
        others = self.label[above]
        rest = self.probability[above] * level.weight[used][:, None]
        keys = used[:, None] * pairs.contexts.symbols + others
        new, column = np.nonzero(~found_in(pairs.keys, keys))
        rows = np.concatenate([row, new])
        labels = np.concatenate([pairs.label[place], others[new, column]])
        values = np.concatenate([pairs.value[place], rest[new, column]])
        order = np.lexsort((labels, -values, rows))
        begins = np.searchsorted(rows[order], np.arange(len(used)))
        first = order[(begins[:, None] + np.arange(k)).ravel()]
        return _Top(used, labels[first].reshape(-1, k), values[first].reshape(-1, k))


def found_in(ascending: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return whether each of `wanted` is among the ascending keys."""
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return ascending[place] == wanted


def spread_out(start: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of runs start[c]:start[c + 1], for each c of `chosen`, which of the chosen each entry
    is of, and its place.
    """
    sizes = start[chosen + 1] - start[chosen]
    row = np.repeat(np.arange(len(chosen)), sizes)
    ends = np.cumsum(sizes)
    return row, np.arange(len(row)) + np.repeat(start[chosen] - (ends - sizes), sizes)


def _looked_up(
    level: Level, number: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return q of each context and label, NaN where it is not listed, and the weight of the
    shorter context: 1 where the context never occurred.
    """
    pairs = level.pairs
    wanted = number * pairs.contexts.symbols + label
    place = np.minimum(np.searchsorted(pairs.keys, wanted), len(pairs.keys) - 1)
    there = (number >= 0) & (pairs.keys[place] == wanted)
    value = np.where(there, pairs.value[place], np.nan)
    return value, np.where(number >= 0, level.weight[number], 1.0)
