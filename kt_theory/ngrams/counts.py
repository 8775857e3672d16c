"""How often each token follows each context, for contexts of every length.

A context of length m is the m tokens before a position; without the farthest of them it is the
context of length m - 1 that a model backs off to, its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Contexts:
    """Contexts of one length, numbered.

    Attributes
    ----------
    keys : (C,) int64
        parent * (A + 1) + the farthest token, ascending: the place of a key is the context's
        number. The token before a text begins is A.
    symbols : int
        A + 1.
    """

    keys: np.ndarray
    symbols: int

    @classmethod
    def empty(cls, labels: int) -> Contexts:
        """Return the one context of length 0."""
        return cls(np.zeros(1, dtype=np.int64), labels + 1)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def parent(self) -> np.ndarray:
        """Number of the context without its farthest token, (C,)."""
        return self.keys // self.symbols

    @property
    def begins(self) -> np.ndarray:
        """Whether the farthest token is the beginning of a text, (C,)."""
        return self.keys % self.symbols == self.symbols - 1

    def find(self, parent: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Return the numbers of the contexts that lengthen `parent` by `token`; -1 for those that
        do not occur, or whose parent is -1.
        """
        wanted = parent * self.symbols + coded(token, self.symbols)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        there = (parent >= 0) & (self.keys[place] == wanted)
        return np.where(there, place, -1)


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was counted of the pairs of a context and the token that follows, for one length.

    Attributes
    ----------
    contexts : Contexts
    start : (C + 1,) int64
        Pairs start[c]:start[c + 1] are those of context c.
    label : (P,) int64
        Ascending within a context.
    value : (P,) int64 or float64
        Counts, or probabilities.
    """

    contexts: Contexts
    start: np.ndarray
    label: np.ndarray
    value: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """The context of each pair, (P,)."""
        return np.repeat(np.arange(len(self.contexts)), np.diff(self.start))

    @cached_property
    def keys(self) -> np.ndarray:
        """context * (A + 1) + label of each pair, ascending, (P,)."""
        return self.owner * self.contexts.symbols + self.label

    @cached_property
    def smallest(self) -> np.ndarray:
        """The least value of each context, (C,); each has a pair."""
        return np.minimum.reduceat(self.value, self.start[:-1])

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values`, (P,), over the pairs of each context, (C,)."""
        return np.bincount(self.owner, weights=values, minlength=len(self.contexts))

    def places_in(self, shorter: Pairs) -> np.ndarray:
        """Return where each pair stands, (P,), among those of the contexts one token shorter, which
        hold them all.
        """
        wanted = self.contexts.parent[self.owner] * self.contexts.symbols + self.label
        return np.searchsorted(shorter.keys, wanted)


def coded(tokens: np.ndarray, symbols: int) -> np.ndarray:
    """Return tokens as numbers from 0: -1, the beginning of a text, is the last."""
    return np.where(tokens < 0, symbols - 1, tokens).astype(np.int64, copy=False)


def count(histories: np.ndarray, following: np.ndarray, labels: int) -> tuple[Pairs, ...]:
    """Return the counts of contexts of length 0 to h.

    Those of a shorter context are the sums over what lengthens it, so that all lengths count the
    same positions.

    Parameters
    ----------
    histories : (N, h) integers
        The h tokens before each position, the nearest last; -1 before a text begins.
    following : (N,) integers in [0, A)
    labels : int
        A.
    """
    contexts = Contexts.empty(labels)
    number = np.zeros(len(following), dtype=np.int64)
    found = [_pairs(contexts, number, following, labels)]
    for back in range(1, histories.shape[1] + 1):
        contexts, number = lengthened(contexts, number, histories[:, -back])
        found.append(_pairs(contexts, number, following, labels))
    return tuple(found)


def lengthened(
    contexts: Contexts, number: np.ndarray, tokens: np.ndarray
) -> tuple[Contexts, np.ndarray]:
    """Return the contexts one token longer, and the number (N,) of each position's, of whose
    shorter ones `number` is that, and `tokens` the token before it.
    """
    keys = number * contexts.symbols + coded(tokens, contexts.symbols)
    distinct, numbers = np.unique(keys, return_inverse=True)
    return Contexts(distinct, contexts.symbols), numbers


def _pairs(contexts: Contexts, number: np.ndarray, following: np.ndarray, labels: int) -> Pairs:
    keys, counts = np.unique(
        number * contexts.symbols + following.astype(np.int64), return_counts=True
    )
    start = np.searchsorted(keys, np.arange(len(contexts) + 1) * contexts.symbols)
    return Pairs(contexts, start, keys % contexts.symbols, counts)


def continuations(pairs: Pairs, longer: Pairs) -> np.ndarray:
    """Return N1+(. c a), (P,): how many different tokens stand before each pair; of a pair whose
    context begins a text, before which nothing stands, its own count.
    """
    before = np.bincount(longer.places_in(pairs), minlength=len(pairs.label))
    return np.where(pairs.contexts.begins[pairs.owner], pairs.value, before)


def counts_of_counts(values: np.ndarray, most: int) -> np.ndarray:
    """Return n_0, n_1, ..., n_most, (most + 1,): how many of the values are so much."""
    return np.bincount(np.minimum(values, most + 1), minlength=most + 2)[: most + 1]
