"""Answers of vLLM that score their prompt: `prompt_logprobs`, whole.

Entry i lists the most probable labels in place of token i of the prompt, and that token itself,
which is outside of them more often than not where they are few: then it says what the text has, and
is no part of the row. The first entry is null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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
    entries = [_entries(entry) for entry in scored if entry]
    k = min(map(len, entries), default=0)
    labels = np.empty((len(entries), k), dtype=np.int64)
    values = np.empty((len(entries), k))
    for j, entry in enumerate(entries):
        top = sorted(entry.items(), key=_descending)[:k]
        ranks = [rank for _, (_, rank) in top if rank is not None]
        if ranks and max(ranks) > k:
            raise ValueError(
                f"row {places[j] + 1} of {_FIELD} lists the token of the text alone, of rank "
                f"{max(ranks)}, not the most probable ones: ask for {_FIELD} of 1 or more"
            )
        labels[j] = [label for label, _ in top]
        values[j] = [value for _, (value, _) in top]
    skipped = {"no row": int((~there).sum())} if not there.all() else {}
    if prompt is None:
        return Text(values, labels, places + 1, skipped=skipped)
    tokens = lines.whole_numbers(prompt, "prompt_token_ids")
    if len(tokens) != len(scored):
        raise ValueError(f"{len(tokens)} prompt_token_ids, {len(scored)} {_FIELD}: one for each")
    after = places + asked.ahead(SAME)
    padded = np.append(tokens, -1)
    stated = [
        entry.get(int(token), (np.nan, None))[0]
        for entry, token in zip(entries, padded[after], strict=True)
    ]
    return Text(
        values,
        labels,
        places + 1,
        tokens,
        after,
        following_logprob=np.array(stated, dtype=np.float64),
        skipped=skipped,
    )


def _descending(entry: tuple[int, tuple[float, Any]]) -> float:
    return -entry[1][0]


def _entries(listed: Any) -> dict[int, tuple[float, Any]]:
    """Return the value and rank of each label."""
    try:
        return {int(name): _value(stated) for name, stated in listed.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f"{_FIELD} has {shown(listed)}: must be an object from ids of tokens to logprobs"
        ) from None


def _value(stated: Any) -> tuple[float, Any]:
    if isinstance(stated, dict):
        return float(stated["logprob"]), stated.get("rank")
    return float(stated), None


VLLM = Layout(
    "vllm",
    "prompt_logprobs, in an answer or in its choices; prompt_token_ids, which vLLM gives if asked "
    "for return_token_ids",
    lines.SUFFIXES,
    _has,
    _part,
)
