"""JSON that holds arrays in base64: the answers of TRL's server of teachers, and records like them.

Of TRL: `logprobs_b64` float32 and `token_ids_b64` int32 of `shape` [texts, positions, k], of which
text b has `completion_lengths[b]`; row t is of token t of the completion, `actual_token_ids_b64`,
stated in `actual_logprobs_b64`. With `sequences` and `prompt_lengths`, those of the request, the
prompts are known. Other records: `logprobs` or `logits` in base64 of `shape` [positions, k], of
`dtype` (float32), with `token_ids` of the same shape unless rows are whole, and `tokens`, whose row
i is of the token i + 1.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.block import NO_LABEL
from kt_theory.dumps.kinds import LOGITS, LOGPROBS
from kt_theory.dumps.layouts import lines
from kt_theory.dumps.layouts.layout import NEXT, SAME, Asked, Layout
from kt_theory.dumps.layouts.lines import Lines, Record, Text
from kt_theory.validation import shown

_TRL, _TRL_IDS = "logprobs_b64", "token_ids_b64"
_ACTUAL, _ACTUAL_IDS = "actual_logprobs_b64", "actual_token_ids_b64"
_VALUES = {"logprobs": LOGPROBS, "logits": LOGITS}
_TYPES = {"float16": "<f2", "float32": "<f4", "float64": "<f8", "int32": "<i4", "int64": "<i8"}


def _has(names: Collection[str]) -> bool:
    return _TRL in names or ("shape" in names and any(name in names for name in _VALUES))


def _part(path: Path, asked: Asked) -> Lines:
    record = lines.first_record(path)
    if _TRL in record:
        return Lines(
            str(path), asked.kind or LOGPROBS, partial(_answers, asked=asked), asked.labels
        )
    field = next((name for name in _VALUES if name in record), None)
    if field is None:
        raise ValueError(f"{path} has the fields {', '.join(record)}: none is logprobs or logits")
    width = None
    if "token_ids" not in record:
        width = _shape(record, 2)[1]
    read = partial(_record, field=field, asked=asked)
    return Lines(str(path), asked.kind or _VALUES[field], read, width or asked.labels, width)


def _record(record: Record, field: str, asked: Asked) -> list[Text]:
    shape = _shape(record, 2)
    values = _array(record, field, str(record.get("dtype", "float32")), shape)
    labels = None
    if "token_ids" in record:
        labels = _array(record, "token_ids", "int32", shape).astype(np.int64)
        values, labels = _without_padding(values, labels)
    places = np.arange(shape[0])
    tokens = record.get("tokens", record.get("input_ids"))
    if tokens is None:
        return [Text(values, labels, places + 1)]
    text = lines.whole_numbers(tokens, "tokens")
    if len(text) != shape[0]:
        raise ValueError(f"{len(text)} tokens for {shape[0]} rows: one for each")
    after = places + asked.ahead(NEXT)
    out = lines.masked(record, len(text), after)
    skipped = {"masked": int(out.sum())} if out.any() else {}
    return [
        Text(
            values[~out],
            None if labels is None else labels[~out],
            places[~out] + 1,
            text,
            after[~out],
            skipped=skipped,
        )
    ]


def _answers(record: Record, asked: Asked) -> list[Text]:
    shape = _shape(record, 3)
    lengths = lines.whole_numbers(record.get("completion_lengths"), "completion_lengths")
    if len(lengths) != shape[0] or (lengths < 0).any() or (lengths > shape[1]).any():
        raise ValueError(
            f"completion_lengths is {lengths.tolist()} for arrays of {shape[0]} texts of up to "
            f"{shape[1]} positions: must be a length for each"
        )
    values = _array(record, _TRL, "float32", shape)
    labels = _array(record, _TRL_IDS, "int32", shape).astype(np.int64)
    one = (shape[0], shape[1], 1)
    actual = ids = None
    if record.get(_ACTUAL_IDS) is not None:
        ids = _array(record, _ACTUAL_IDS, "int32", one)[..., 0].astype(np.int64)
        if record.get(_ACTUAL) is not None:
            actual = _array(record, _ACTUAL, "float32", one)[..., 0].astype(np.float64)
    found = []
    for b, length in enumerate(lengths.tolist()):
        listed = _without_padding(values[b, :length], labels[b, :length])
        places = np.arange(length)
        stated = None if actual is None else actual[b, :length]
        tokens, prompt, begins = _tokens(record, b, length, ids)
        after = None
        if tokens is not None:
            after = places + prompt + asked.ahead(SAME)
        if asked.aligned == NEXT:
            stated = None
        found.append(Text(*listed, places + 1, tokens, after, begins, following_logprob=stated))
    return found


def _tokens(
    record: Record, b: int, length: int, ids: np.ndarray | None
) -> tuple[np.ndarray | None, int, bool]:
    """Return the tokens of text b, how many are of its prompt, and whether they begin with it."""
    if record.get("sequences") is None:
        return (None if ids is None else ids[b, :length]), 0, False
    sequences = lines.listed_rows(record, "sequences")
    prompts = lines.whole_numbers(record.get("prompt_lengths"), "prompt_lengths")
    if len(sequences) <= b or len(prompts) <= b:
        raise ValueError(f"sequences and prompt_lengths have no text {b + 1}: one for each")
    tokens = lines.whole_numbers(sequences[b], "sequences")
    if len(tokens) != prompts[b] + length:
        raise ValueError(
            f"text {b + 1} has {len(tokens)} tokens, {prompts[b]} of its prompt and {length} rows: "
            "a row for each token after the prompt"
        )
    if ids is not None and (tokens[prompts[b] :] != ids[b, :length]).any():
        raise ValueError(f"text {b + 1} in sequences has other tokens than {_ACTUAL_IDS}")
    return tokens, int(prompts[b]), True


def _without_padding(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays are filled up with -inf."""
    empty = np.isneginf(values)
    return (
        np.where(empty, np.nan, values).astype(np.float64),
        np.where(empty, NO_LABEL, labels),
    )


def _shape(record: Record, axes: int) -> tuple[int, ...]:
    found = record.get("shape")
    good = isinstance(found, list) and len(found) == axes
    if not good or not all(type(size) is int and size >= 0 for size in found or []):
        raise ValueError(f"shape is {shown(found)}: must be a list of {axes} sizes")
    return tuple(found or [])


def _array(record: Record, field: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    text: Any = record.get(field)
    if dtype not in _TYPES:
        raise ValueError(f"dtype is {shown(dtype)}: must be one of {', '.join(_TYPES)}")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError(f"{field} is {shown(text)}: must be base64") from None
    needed = math.prod(shape) * np.dtype(_TYPES[dtype]).itemsize
    if len(raw) != needed:
        raise ValueError(
            f"{field} holds {len(raw)} bytes, {' x '.join(map(str, shape))} of {dtype} are {needed}"
        )
    return np.frombuffer(raw, dtype=_TYPES[dtype]).reshape(shape)


BASE64 = Layout(
    "base64",
    "logprobs_b64, token_ids_b64, shape, completion_lengths as TRL's server answers; or logprobs "
    "or logits in base64 with shape, and token_ids, tokens",
    lines.SUFFIXES,
    _has,
    _part,
)
