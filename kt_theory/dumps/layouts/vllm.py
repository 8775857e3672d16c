"""Answers of vLLM that score their prompt: `prompt_logprobs`, whole.

Entry i lists the most probable labels in place of token i of the prompt, and that token itself,
which is outside of them more often than not where they are few: then it says what the text has, and
is no part of the row. The first entry is null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.block import NO_LABEL
from kt_theory.dumps.kinds import LOGPROBS
from kt_theory.dumps.layouts import lines
from kt_theory.dumps.layouts.layout import SAME, Asked, Layout
from kt_theory.dumps.layouts.lines import Lines, Record, Text
from kt_theory.validation import shown

_FIELD = "prompt_logprobs"
_AROUND = ("response", "body")


def _has(names: Collection[str]) -> bool:
    return _FIELD in names or "choices" in names or "response" in names


def _part(path: Path, asked: Asked) -> Lines:
    return Lines(str(path), asked.kind or LOGPROBS, partial(_texts, asked=asked), asked.labels)


def _texts(record: Record, asked: Asked) -> list[Text]:
    found = [_text(scored, prompt, asked) for scored, prompt in _scored(record)]
    if not found:
        raise ValueError(f"no {_FIELD}: ask for them, and keep the answers whole")
    return found


def _scored(record: Record) -> Iterator[tuple[list[Any], Any]]:
    """Yield each list of scores of an answer with the ids of its prompt; several choices for one
    prompt have it once.
    """
    for name in _AROUND:
        inner = record.get(name)
        if isinstance(inner, dict):
            record = inner
    ids = record.get("prompt_token_ids")
    if record.get(_FIELD) is not None:
        yield lines.listed_rows(record, _FIELD), ids
        return
    before = None
    choices = record.get("choices") or []
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get(_FIELD) is not None:
            scored = lines.listed_rows(choice, _FIELD)
            if scored != before:
                yield scored, choice.get("prompt_token_ids", ids)
            before = scored


def _text(scored: list[Any], prompt: Any, asked: Asked) -> Text:
    there = np.array([bool(entry) for entry in scored], dtype=bool)
    places = np.flatnonzero(there)
    listed = _Entries.of([entry for entry in scored if entry])
    values, labels = listed.most_probable(places)
    skipped = {"no row": int((~there).sum())} if not there.all() else {}
    if prompt is None:
        return Text(values, labels, places + 1, skipped=skipped)
    tokens = lines.whole_numbers(prompt, "prompt_token_ids")
    if len(tokens) != len(scored):
        raise ValueError(f"{len(tokens)} prompt_token_ids, {len(scored)} {_FIELD}: one for each")
    after = places + asked.ahead(SAME)
    stated = listed.values_of(np.append(tokens, NO_LABEL)[after])
    return Text(
        values,
        labels,
        places + 1,
        tokens,
        after,
        following_logprob=stated,
        skipped=skipped,
    )


@dataclass(frozen=True, eq=False)
class _Entries:
    """What is listed in each place, in rows that are filled up; `counts` are their lengths, and
    `ranks` None where they are not stated.
    """

    labels: np.ndarray
    values: np.ndarray
    ranks: np.ndarray | None
    counts: np.ndarray

    @classmethod
    def of(cls, entries: list[Any]) -> _Entries:
        try:
            labels = np.array([int(name) for entry in entries for name in entry], dtype=np.int64)
            stated = [one for entry in entries for one in entry.values()]
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise ValueError(
                f"{_FIELD} has {shown(entries)}: must be objects from ids of tokens to logprobs"
            ) from None
        counts = np.array([len(entry) for entry in entries], dtype=np.int64)
        ranks = None
        if stated and isinstance(stated[0], dict):
            try:
                ranks = [one.get("rank") for one in stated]
                stated = [one["logprob"] for one in stated]
            except (AttributeError, KeyError):
                raise ValueError(f"{_FIELD} has entries without a logprob: all have one") from None
        values = lines.numbers(stated, _FIELD)
        known = ranks is not None and None not in ranks
        return cls(
            lines.in_rows(labels, counts, NO_LABEL),
            lines.in_rows(values, counts, np.nan),
            lines.in_rows(lines.whole_numbers(ranks, "rank"), counts, 0) if known else None,
            counts,
        )

    def most_probable(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values and labels of the k most probable, k the same for all: without the
        token of the text where its rank says that it is none of them.
        """
        counts = self.counts
        if self.ranks is not None:
            counts = counts - (self.ranks.max(axis=1, initial=0) > counts)
        k = int(counts.min(initial=self.values.shape[1]))
        if not k and len(counts):
            raise ValueError(
                f"row {places[int(counts.argmin())] + 1} of {_FIELD} lists the token of the text "
                f"alone, not the most probable ones: ask for {_FIELD} of 1 or more"
            )
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(self.values, order, axis=1),
            np.take_along_axis(self.labels, order, axis=1),
        )

    def values_of(self, tokens: np.ndarray) -> np.ndarray:
        """Return the value of one token in each row, NaN where it is not listed."""
        here = (self.labels == tokens[:, None]) & (tokens[:, None] != NO_LABEL)
        found = np.full(len(tokens), np.nan)
        rows, columns = np.nonzero(here)
        found[rows] = self.values[rows, columns]
        return found


VLLM = Layout(
    "vllm",
    "prompt_logprobs, in an answer or in its choices; prompt_token_ids, which vLLM gives if asked "
    "for return_token_ids",
    lines.SUFFIXES,
    _has,
    _part,
)
