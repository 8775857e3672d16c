"""Dumps of texts in memory for tests: whole rows, or their most probable labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.dumps import Dump, Part
from kt_theory.dumps.block import Listed
from kt_theory.dumps.kinds import Reading


@dataclass(frozen=True, eq=False)
class Texts(Part):
    """Texts, one after the other, `block` positions at a time; row i says what follows token i."""

    values: np.ndarray
    listed_labels: np.ndarray | None
    tokens: np.ndarray
    lengths: tuple[int, ...]
    labels: int
    block: int = 7
    name: str = "texts"
    kind: str = "probabilities"

    @property
    def positions(self):
        return len(self.values)

    @property
    def width(self):
        return self.labels if self.listed_labels is None else None

    def listed(self, start):
        ends = np.repeat(np.cumsum(self.lengths), self.lengths)
        starts = ends - np.repeat(self.lengths, self.lengths)
        after = np.arange(len(self.tokens)) + 1
        for first in range(start, self.positions, self.block):
            at = slice(first, first + self.block)
            named = None if self.listed_labels is None else self.listed_labels[at]
            yield Listed(
                self.values[at], named, after[at], self.tokens, starts[at], after[at], ends[at]
            )


def dump_of(rows, tokens, lengths, k=None, block=7):
    """Rows (N, A) of texts of such lengths, whole or the k most probable labels of each."""
    if k is None:
        values, named = rows, None
    else:
        named = np.argsort(-rows, axis=1, kind="stable")[:, :k]
        values = np.take_along_axis(rows, named, axis=1)
    labels = rows.shape[1]
    part = Texts(values, named, np.asarray(tokens), tuple(lengths), labels, block)
    return Dump((part,), Reading(labels))


def random_dump(seed, lengths=(9, 5, 12, 1, 8, 15), labels=4, k=None, block=7):
    """Texts of a few tokens and rows of their own at each position."""
    random = np.random.default_rng(seed)
    size = sum(lengths)
    rows = random.dirichlet(np.full(labels, 0.7), size)
    tokens = random.integers(0, labels, size)
    return rows, tokens, dump_of(rows, tokens, lengths, k, block)


def contexts_of(tokens, lengths, context):
    """The last tokens at each position, as tuples, and the text it is of."""
    found, texts, at = [], [], 0
    for number, length in enumerate(lengths):
        text = [-1] * context + list(tokens[at : at + length])
        found += [tuple(text[i + 1 : i + 1 + context]) for i in range(length)]
        texts += [number] * length
        at += length
    return found, np.array(texts)


def other_spreads(rows, k, times, seed):
    """Rows with the same k most probable labels, whose rest is spread otherwise, none above the
    k-th: evenly, as unevenly as can be, and in between."""
    random = np.random.default_rng(seed)
    for i in range(times):
        found = rows.copy()
        for row in found:
            order = np.argsort(-row, kind="stable")
            hidden, cap = random.permutation(order[k:]), row[order[k - 1]]
            mass = row[hidden].sum()
            full = np.clip(mass - cap * np.arange(len(hidden)), 0.0, cap)
            even = np.full(len(hidden), mass / len(hidden))
            share = (0.0, 1.0, random.random())[i % 3]
            row[hidden] = share * full + (1.0 - share) * even
        yield found
