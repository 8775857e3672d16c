"""What a dump holds of a run of positions: as its layout lists it, and as all else sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

NO_LABEL = -1
"""Stands where a row lists fewer labels than the widest, or where there is no token."""

CELLS = 2**20
"""A block holds about so many cells, whatever the width of a row."""


@dataclass(frozen=True, eq=False)
class Listed:
    """Rows as a layout lists them; nothing of them is checked yet.

    Attributes
    ----------
    values : (m, k) float16, float32 or float64
        What is listed of each label; NaN where a row lists fewer.
    labels : (m, k) integers, or None
        The label of each value; `NO_LABEL` where a row lists fewer. None: row j lists all labels,
        in their order.
    places : (m,) int64
        The number of each row in its file, or in its line, from 1, for messages.
    tokens : (T,) integers, or None
        The texts, one after the other. None: the layout does not have them.
    starts, after, ends : (m,) int64, or None
        Row j is the distribution of the token that follows tokens[starts[j]:after[j]], all that its
        text has before; the text is tokens[starts[j]:ends[j]].
    lognorm : (m,) float64, or None
        Logarithm of the sum of exponentials over all labels, where the layout states it and
        `values` are logits.
    following_logprob : (m,) float64, or None
        The value of the token that follows, where the layout states it beside the listed ones.
    skipped : mapping of str to int
        Positions that gave no row, and why.
    lines : (m,) int64, or None
        The line of each row, from 1, where a file has several in a line.
    off : float
        By how much a value may be off for the way in which its layout codes it; what the type of
        the numbers and their last decimals tell is known beside.
    """

    values: np.ndarray
    labels: np.ndarray | None
    places: np.ndarray
    tokens: np.ndarray | None = None
    starts: np.ndarray | None = None
    after: np.ndarray | None = None
    ends: np.ndarray | None = None
    lognorm: np.ndarray | None = None
    following_logprob: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    lines: np.ndarray | None = None
    off: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    def taken(self, chosen: slice | np.ndarray) -> Listed:
        """Return some of its rows: a slice, or (m,) bool."""
        found: dict[str, Any] = {}
        for name in _OF_EACH_ROW:
            array = getattr(self, name)
            found[name] = None if array is None else array[chosen]
        return replace(self, **found)


_OF_EACH_ROW = (
    "values",
    "labels",
    "places",
    "starts",
    "after",
    "ends",
    "lognorm",
    "following_logprob",
    "lines",
)


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive positions of a dump, checked.

    Attributes
    ----------
    logprobs : (m, k) float64
        Natural logarithms of probabilities. Where labels are listed each row descends, and ends in
        -inf if it lists fewer than k; whole rows are in the order of the labels.
    labels : (m, k) int32, or None
        The label of each; `NO_LABEL` where the row lists fewer. None: all labels, in their order.
    following : (m,) int32
        The token that follows in the text; `NO_LABEL` where that is not known.
    following_logprob : (m,) float64
        Its stated log-probability, whether or not it is among the listed; NaN where that is not
        known.
    contexts : (m,) uint64, or None
        A digest of each position's input: equal inputs, equal digests. None: the dump does not say
        what went before; no two positions are known to have the same input.
    histories : (m, h) int32, or None
        The last h tokens before each position, the nearest last, `NO_LABEL` before a text begins;
        of a dump whose inputs are those alone.
    texts : (m,) int64, or None
        Where the text of each position starts among the tokens that were read with it: within a
        block, equal numbers, equal texts. None: not known.
    depth : (m,) int64, or None
        How many tokens of its text stand before each position. None: not known.
    skipped : mapping of str to int
        Positions between these that gave no row, and why.
    """

    logprobs: np.ndarray
    labels: np.ndarray | None
    following: np.ndarray
    following_logprob: np.ndarray
    contexts: np.ndarray | None
    histories: np.ndarray | None
    texts: np.ndarray | None
    depth: np.ndarray | None
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.logprobs)

    @property
    def whole(self) -> bool:
        """Whether rows hold all labels."""
        return self.labels is None


def without_row(skipped: Mapping[str, int]) -> list[str]:
    """Return the sentence on positions that gave no row, and why, if there are any."""
    if not skipped:
        return []
    parts = ", ".join(f"{count:,} {why}" for why, count in skipped.items())
    return [f"Positions that gave no row: {parts}."]
