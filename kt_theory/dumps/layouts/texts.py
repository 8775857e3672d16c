"""Where the texts of a table's rows stand, and which token each position asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from kt_theory.dumps.layouts.columns import Misfit, Ragged, edges_of

MASKS = ("loss_mask", "response_mask", "completion_mask", "assistant_masks", "assistant_mask")
"""Columns that are 0 at tokens which nothing is learnt of."""

MASKED_LABEL = -100
"""What `labels` holds at such tokens."""

Columns = Mapping[str, Ragged]


@dataclass(frozen=True, eq=False)
class Spans:
    """What went before each of m rows.

    Attributes
    ----------
    tokens : (T,) ndarray
    starts, after, ends : (m,) int64
        As of `Listed`.
    kept : (m,) bool
        Whether the row is one that something is learnt of.
    """

    tokens: np.ndarray
    starts: np.ndarray
    after: np.ndarray
    ends: np.ndarray
    kept: np.ndarray


class Texts(ABC):
    """How a table holds its texts: a frozen record.

    Attributes
    ----------
    columns : collection of str
        What it reads.
    """

    @property
    @abstractmethod
    def columns(self) -> Collection[str]:
        """What it reads."""

    @abstractmethod
    def spans(self, columns: Columns, counts: np.ndarray) -> Spans:
        """Return the spans of texts that have so many rows each.

        Raises
        ------
        ValueError
            `Misfit`, where rows and tokens do not go together.
        """


@dataclass(frozen=True)
class WholeTexts(Texts):
    """Row i asks for token i + `ahead`: for 1, the one after tokens[:i + 1], as a causal model
    returns its logits.

    Where `answers` and a text has as many rows as tokens that its mask keeps, fewer than it has
    tokens, row j asks for the j-th of those.
    """

    tokens: str
    masks: tuple[str, ...]
    ahead: int = 1
    answers: bool = False

    @property
    def columns(self) -> Collection[str]:
        """What it reads."""
        return (self.tokens, *self.masks)

    def spans(self, columns: Columns, counts: np.ndarray) -> Spans:
        """Return the spans of texts that have so many rows each."""
        tokens = columns[self.tokens]
        _refuse_lengths(columns, self.masks, tokens.counts)
        _refuse_more_rows(counts, tokens.counts)
        kept = _kept(columns, self.masks, len(tokens.flat))
        own = _ranges(tokens.edges()[:-1], counts)
        after = own + self.ahead
        if self.answers:
            answered = _answered(kept, tokens, counts)
            own[answered[0]] = after[answered[0]] = answered[1]
        first, last = _segments(tokens, columns.get("attention_mask"))
        starts, ends = first[own], last[own]
        keep = kept[np.where(after < ends, after, own)]
        if "attention_mask" in columns:
            keep &= columns["attention_mask"].flat[own] != 0
        return Spans(tokens.flat, starts, after, ends, keep)


@dataclass(frozen=True)
class Answers(Texts):
    """Row j asks for token j + `ahead` of the answer to a prompt."""

    prompt: str
    answer: str
    masks: tuple[str, ...]
    ahead: int = 0

    @property
    def columns(self) -> Collection[str]:
        """What it reads."""
        return (self.prompt, self.answer, *self.masks)

    def spans(self, columns: Columns, counts: np.ndarray) -> Spans:
        """Return the spans of texts that have so many rows each."""
        prompt, answer = columns[self.prompt], columns[self.answer]
        _refuse_lengths(columns, self.masks, answer.counts)
        _refuse_more_rows(counts, answer.counts)
        edges = edges_of(prompt.counts + answer.counts)
        begins = edges[:-1] + prompt.counts
        tokens = np.empty(edges[-1], dtype=np.int64)
        tokens[_ranges(edges[:-1], prompt.counts)] = prompt.flat
        tokens[_ranges(begins, answer.counts)] = answer.flat
        kept = np.ones(len(tokens), dtype=bool)
        kept[_ranges(begins, answer.counts)] = _kept(columns, self.masks, len(answer.flat))
        own = _ranges(begins, counts)
        after, ends = own + self.ahead, np.repeat(edges[1:], counts)
        starts = np.repeat(edges[:-1], counts)
        return Spans(tokens, starts, after, ends, kept[np.where(after < ends, after, own)])


def masks_among(names: Collection[str]) -> tuple[str, ...]:
    """Return which columns say what is learnt of and where documents end."""
    return tuple(name for name in ("attention_mask", "labels", *MASKS) if name in names)


def _ranges(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Runs of whole numbers, so many from each first one on."""
    edges = edges_of(counts)
    return np.arange(edges[-1]) + np.repeat(firsts - edges[:-1], counts)


def _refuse_lengths(columns: Columns, masks: Collection[str], counts: np.ndarray) -> None:
    for name in masks:
        wrong = np.flatnonzero(columns[name].counts != counts)
        if len(wrong):
            text = wrong[0]
            what = (
                f"has {counts[text]} tokens and {columns[name].counts[text]} entries in {name!r}: "
                "one is needed for each token"
            )
            raise Misfit("text", text, what)


def _refuse_more_rows(counts: np.ndarray, tokens: np.ndarray) -> None:
    wrong = np.flatnonzero(counts > tokens)
    if len(wrong):
        text = wrong[0]
        what = (
            f"has {counts[text]} positions and {tokens[text]} tokens: there can be at most one for "
            "each token"
        )
        raise Misfit("text", text, what)


def _segments(tokens: Ragged, documents: Ragged | None) -> tuple[np.ndarray, np.ndarray]:
    """Where the text of each token begins and ends: a row of several documents numbers them in its
    attention mask, 0 at padding.
    """
    begins = np.zeros(len(tokens.flat) + 1, dtype=bool)
    begins[tokens.edges()] = True
    if documents is not None and len(documents.flat):
        begins[1:-1] |= documents.flat[1:] != documents.flat[:-1]
    bounds = np.flatnonzero(begins)
    lengths = np.diff(bounds)
    return np.repeat(bounds[:-1], lengths), np.repeat(bounds[1:], lengths)


def _kept(columns: Columns, masks: Collection[str], size: int) -> np.ndarray:
    """Which of `size` tokens something is learnt of, by all masks but that of attention."""
    kept = np.ones(size, dtype=bool)
    for name in masks:
        if name == "labels":
            kept &= columns[name].flat != MASKED_LABEL
        elif name != "attention_mask":
            kept &= columns[name].flat != 0
    return kept


def _answered(
    kept: np.ndarray, tokens: Ragged, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are of texts that have one for each kept token, and the places of those tokens."""
    sums = np.concatenate([[0], np.cumsum(kept)])
    held = np.diff(sums[tokens.edges()])
    only = (counts == held) & (held < tokens.counts)
    return np.repeat(only, counts), np.flatnonzero(np.repeat(only, tokens.counts) & kept)
