"""What a dump says of its positions: the tokens around each, the text it is of, its row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kt_theory.dumps import Block, Dump
from kt_theory.dumps.block import NO_LABEL
from kt_theory.validation import whole_number

WIDEST = 1024
"""Of wider rows that are whole so many labels are looked at, and the rest is a hidden mass."""


@dataclass(frozen=True, eq=False)
class Stated:
    """Rows as far as they are stated, (m, ...).

    Attributes
    ----------
    label : (m, k) int64
        -1 where a row lists fewer.
    p : (m, k) float64
        0 there.
    hidden : (m,) float64
        The mass of all other labels; 0 for whole rows.
    cap : (m,) float64
        None of them has more.
    """

    label: np.ndarray
    p: np.ndarray
    hidden: np.ndarray
    cap: np.ndarray


@dataclass(frozen=True, eq=False)
class Positions:
    """All positions of a dump, without their rows.

    Attributes
    ----------
    dump : Dump
        Read so that an input is the last h tokens.
    labels : int
        A.
    histories : (N, h) int32
        The last h tokens, the nearest last; -1 before a text begins.
    following : (N,) int32
        -1 where it is not known.
    digests : (N,) uint64
        Of the histories.
    text : (N,) int64
        From 0: equal numbers, equal texts, which follow one another.
    depth : (N,) int64
        Tokens before, in the position's text.
    skipped : mapping of str to int
        Positions that gave no row, and why.
    """

    dump: Dump
    labels: int
    histories: np.ndarray
    following: np.ndarray
    digests: np.ndarray
    text: np.ndarray
    depth: np.ndarray
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.text)

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return int(self.text[-1]) + 1

    @property
    def context(self) -> int:
        """h."""
        return self.histories.shape[1]

    @classmethod
    def of(cls, dump: Dump, context: int) -> Positions:
        """Read the positions of a dump.

        Raises
        ------
        ValueError
            If the dump has no positions, no tokens, or tokens that are no labels; if nobody says
            how many labels there are; if no text is as long as the context.
        """
        length = whole_number(context, "context", low=0, high=64)
        if dump.labels is None:
            raise ValueError("labels: the dump does not say how many there are: give labels")
        windows = replace(dump, reading=replace(dump.reading, context=length))
        kept: list[tuple[np.ndarray, ...]] = []
        skipped: Counter[str] = Counter()
        for number, part in enumerate(windows.split()):
            for block in part.blocks():
                skipped.update(block.skipped)
                kept.append(_around(block, number, part.parts[0].name))
        if not kept:
            raise ValueError("the dump holds no positions: nothing can be learnt")
        columns = [np.concatenate(column) for column in zip(*kept, strict=True)]
        histories, following, digests, part_of, start, depth = columns
        found = cls(
            windows,
            dump.labels,
            histories,
            following,
            digests,
            _numbered(part_of, start, depth),
            depth,
            dict(skipped),
        )
        found.refuse_wrong()
        return found

    def refuse_wrong(self) -> None:
        """Raise an error for tokens that are no labels, or a context longer than all texts."""
        largest = max(int(self.histories.max(initial=-1)), int(self.following.max(initial=-1)))
        if largest >= self.labels:
            raise ValueError(
                f"tokens hold {largest}: labels are 0 to {self.labels - 1}; "
                f"give labels = {largest + 1} or more"
            )
        longest = int(self.depth.max())
        if self.context > longest:
            raise ValueError(
                f"context = {self.context}: no position has more than {longest} tokens before it; "
                f"must be at most {longest}"
            )

    def stated(self, block: Block, chosen: np.ndarray, widest: int = WIDEST) -> Stated:
        """Return the rows of some positions of a block, of each the `widest` most probable labels.

        A hidden label is as probable as the least listed one at most, unless labels were drawn, or
        no such labels could hold the hidden mass: then the list is not that of the most probable,
        and nothing caps it.
        """
        p = np.exp(block.logprobs[chosen])
        if block.labels is None or self.dump.renormalised:
            p /= p.sum(axis=1, keepdims=True)
        if block.labels is None:
            label = np.broadcast_to(np.arange(self.labels), p.shape)
            if self.labels > widest:
                label = np.argpartition(-p, widest - 1, axis=1)[:, :widest]
                p = np.take_along_axis(p, label, axis=1)
        else:
            label, p = block.labels[chosen][:, :widest].astype(np.int64), p[:, :widest]
            p = np.where(label == NO_LABEL, 0.0, p)
            p /= np.maximum(p.sum(axis=1, keepdims=True), 1.0)
        number = (label != NO_LABEL).sum(axis=1)
        hidden = np.where(number < self.labels, np.maximum(1.0 - p.sum(axis=1), 0.0), 0.0)
        least = np.where(label == NO_LABEL, np.inf, p).min(axis=1)
        could = least * (self.labels - number) * (1.0 + _ROUNDING) >= hidden
        could &= not self.dump.drawn
        return Stated(label, p, hidden, np.where(could, np.minimum(least, hidden), hidden))

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Yield the blocks of the dump, and which positions each holds."""
        at = 0
        for block in self.dump.blocks():
            yield slice(at, at + len(block)), block
            at += len(block)


def _around(block: Block, part: int, name: str) -> tuple[np.ndarray, ...]:
    if (
        block.contexts is None
        or block.histories is None
        or block.texts is None
        or block.depth is None
    ):
        raise ValueError(
            f"{name}: has no tokens: what stands before a position is not known; give the tokens"
        )
    numbers = np.full(len(block), part)
    return (
        block.histories,
        block.following,
        block.contexts,
        numbers,
        block.texts,
        block.depth,
    )


def _numbered(part: np.ndarray, start: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return the number of each position's text. One that goes on from one block to the next has
    the same start, and lies deeper."""
    changed = (np.diff(part) != 0) | (np.diff(start) != 0) | (np.diff(depth) <= 0)
    return np.concatenate([[0], np.cumsum(changed)])


_ROUNDING = 1e-6
