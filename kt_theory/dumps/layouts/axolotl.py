"""JSONL as axolotl's distillation reads it: the most probable labels of each position, as objects
or as two lists of numbers.

A data set's row r is of token number (tokens - rows) + r of its text; where the fields are those
that axolotl makes of a data set, `target_logprobs`, row j is of token j + 1
(axolotl.integrations.kd.chat_template).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.block import NO_LABEL
from kt_theory.dumps.kinds import LOGPROBS
from kt_theory.dumps.layouts import lines
from kt_theory.dumps.layouts.layout import NEXT, SAME, Asked, Layout
from kt_theory.dumps.layouts.lines import Lines, Record, Text
from kt_theory.validation import shown

_IDS, _MADE, _MASK = "target_token_ids", "target_logprobs", "target_mask"
_OTHERS = {"prompt_logprobs", "logprob_token_ids", "logprobs_b64", "topk_logits"}
_BY_ID = "token_id:"
_PADDING = -1e9


def _has(names: Collection[str]) -> bool:
    return _field(names) is not None and _OTHERS.isdisjoint(names)


def _field(names: Collection[str]) -> str | None:
    if _MADE in names:
        return _MADE if _IDS in names else None
    found = [name for name in names if name == "logprobs" or name.endswith("_logprobs")]
    return min(found, key=len) if found else None


def _part(path: Path, asked: Asked) -> Lines:
    record = lines.first_record(path)
    field = _field(record)
    if field is None:
        raise ValueError(f"{path} has the fields {', '.join(record)}: none is called logprobs")
    read = partial(_texts, field=field, asked=asked, known={})
    return Lines(str(path), asked.kind or LOGPROBS, read, asked.labels)


def _texts(record: Record, field: str, asked: Asked, known: dict[Any, int]) -> list[Text]:
    rows = lines.listed_rows(record, field)
    made = field == _MADE
    there = np.array([bool(row) for row in rows], dtype=bool)
    kept = [row for row in rows if row]
    if _IDS in record:
        values, labels = _two_lists(record, there, kept, field)
    else:
        values, labels = _objects(kept, field, known)
    if made:
        _drop_padding(record, there, values, labels)
    missing = (labels == NO_LABEL).all(axis=1)
    places = np.flatnonzero(there)
    skipped = {"no row": int((~there).sum() + missing.sum())}
    wanted = ~missing
    tokens = after = None
    if record.get("input_ids") is not None:
        tokens = lines.whole_numbers(record["input_ids"], "input_ids")
        first = 0 if made else max(0, len(tokens) - len(rows))
        default = NEXT if made else SAME
        after = places + first + asked.ahead(default)
        beyond = after > len(tokens)
        out = lines.masked(record, len(tokens), np.minimum(after, len(tokens)))
        skipped["masked"] = int((out & wanted).sum())
        skipped["beyond the text"] = int((beyond & wanted & ~out).sum())
        wanted &= ~out & ~beyond
        after = after[wanted]
    skipped = {why: number for why, number in skipped.items() if number}
    return [
        Text(values[wanted], labels[wanted], places[wanted] + 1, tokens, after, skipped=skipped)
    ]


def _two_lists(
    record: Record, there: np.ndarray, kept: list[Any], field: str
) -> tuple[np.ndarray, np.ndarray]:
    listed = lines.listed_rows(record, _IDS)
    if len(listed) != len(there):
        raise ValueError(f"{_IDS} has {len(listed)} rows, {field} {len(there)}: must be as many")
    named = [row for row, is_there in zip(listed, there, strict=True) if is_there]
    for place, values, ids in zip(np.flatnonzero(there), kept, named, strict=True):
        if not isinstance(ids, list) or len(ids) != len(values):
            raise ValueError(
                f"row {place + 1} has {len(values)} values in {field} and {shown(ids)} in {_IDS}: "
                "a label for each value"
            )
    return lines.table(kept, field, whole=False), lines.table(named, _IDS, whole=True)


def _objects(kept: list[Any], field: str, known: dict[Any, int]) -> tuple[np.ndarray, np.ndarray]:
    try:
        stated = [entry["logprob"] for row in kept for entry in row]
        names = [entry["token"] for row in kept for entry in row]
    except (TypeError, KeyError):
        raise ValueError(
            f"{field} has {shown(kept)}: must be lists of objects with token and logprob"
        ) from None
    counts = np.array([len(row) for row in kept], dtype=np.int64)
    labels = _ids(names)
    if labels is None:
        each = [_numbered([_name(entry) for entry in row], known) for row in kept]
        labels = np.array([label for row in each for label in row], dtype=np.int64)
    values = lines.numbers(stated, field)
    return lines.in_rows(values, counts, np.nan), lines.in_rows(labels, counts, NO_LABEL)


def _ids(names: list[Any]) -> np.ndarray | None:
    """The ids of tokens that all say theirs; None if any does not."""
    try:
        first, *said = "".join(names).split(_BY_ID)
        found = np.array(list(map(int, said)), dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if not first and len(found) == len(names) else None


def _name(entry: Record) -> Any:
    """The id of a token, or its bytes or text."""
    token = entry["token"]
    if type(token) is int:
        return token
    if not isinstance(token, str):
        raise ValueError(f"a token is {shown(token)}: must be a text, or a number")
    if token.startswith(_BY_ID) and token[len(_BY_ID) :].isdigit():
        return int(token[len(_BY_ID) :])
    stated = entry.get("bytes")
    return bytes(stated) if stated else token


def _numbered(names: list[Any], known: dict[Any, int]) -> list[int]:
    """Tokens that have no ids are numbered as they come; several in a row that read alike, such as
    halves of characters, are several labels.
    """
    found: list[int] = []
    for place, name in enumerate(names):
        if isinstance(name, int):
            found.append(name)
            continue
        again = names[:place].count(name)
        found.append(known.setdefault((name, again), len(known)))
    return found


def _drop_padding(
    record: Record, there: np.ndarray, values: np.ndarray, labels: np.ndarray
) -> None:
    """Take out what axolotl fills rows up with."""
    out = values <= _PADDING
    if record.get(_MASK) is not None:
        marks = lines.listed_rows(record, _MASK)
        if len(marks) != len(there):
            raise ValueError(f"{_MASK} has {len(marks)} rows for {len(there)}: must be as many")
        kept = [row for row, is_there in zip(marks, there, strict=True) if is_there]
        mask = lines.table(kept, _MASK, whole=True)
        width = min(mask.shape[1], out.shape[1])
        out[:, :width] |= mask[:, :width] == 0
    values[out], labels[out] = np.nan, NO_LABEL


AXOLOTL = Layout(
    "axolotl",
    "logprobs, or a field that ends in _logprobs, of objects {token, logprob}, or of numbers with "
    "target_token_ids; input_ids and labels if it has them",
    lines.SUFFIXES,
    _has,
    _part,
)
