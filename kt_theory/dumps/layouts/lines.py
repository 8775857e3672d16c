"""Dumps of one JSON record a line: read line by line, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from kt_theory.dumps.block import CELLS, NO_LABEL, Listed
from kt_theory.dumps.layouts.texts import MASKED_LABEL, MASKS
from kt_theory.dumps.part import Part
from kt_theory.packed import suffix_of, unpacked
from kt_theory.sources import require_file
from kt_theory.validation import shown

SUFFIXES = (".jsonl", ".ndjson", ".json")
"""Of files of records; one of `.json` is one record, or a list of them, if it is no longer."""

_LONGEST = 1 << 30
_WHOLE_FILE = 1 << 28
_FILLED = 64
"""Rows may be filled up to so many times what they list."""

_HEAD = 16
"""The first block is so much smaller: it is read once more, to see what rows are."""

_BOM = b"\xef\xbb\xbf"

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Text:
    """The rows of a text in a record.

    Attributes
    ----------
    values : (n, k) float64
        As `Listed.values`.
    labels : (n, k) int64, or None
        As `Listed.labels`.
    places : (n,) int64
        The number of each row in its record, from 1.
    tokens : (T,) int64, or None
        The text.
    after : (n,) int64, or None
        Row j is the distribution of the token that follows tokens[:after[j]].
    begins : bool
        Nothing goes before the first of the tokens.
    lognorm, following_logprob : (n,) float64, or None
        As in `Listed`.
    skipped : mapping of str to int
        Positions that gave no row, and why.
    """

    values: np.ndarray
    labels: np.ndarray | None
    places: np.ndarray
    tokens: np.ndarray | None = None
    after: np.ndarray | None = None
    begins: bool = True
    lognorm: np.ndarray | None = None
    following_logprob: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def has(self) -> tuple[bool, ...]:
        """What it says; texts that say the same go into one block."""
        parts = (self.labels, self.tokens, self.lognorm, self.following_logprob)
        return (*(part is not None for part in parts), self.begins)


@dataclass(frozen=True)
class Lines(Part):
    """A file of JSON records.

    Attributes
    ----------
    name : str
        Its path.
    texts : callable
        The texts of a record; a ValueError says what is wrong with it.
    """

    name: str
    kind: str
    texts: Callable[[Record], list[Text]]
    labels: int | None
    width: int | None = None
    positions: None = None

    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows, in blocks of texts that say the same."""
        held: list[tuple[int, Text]] = []
        rows = widest = 0
        enough = CELLS // _HEAD
        for line, record in records(Path(self.name)):
            for text in self._texts(line, record):
                count, width = text.values.shape
                full = (rows + count) * max(widest, width) > enough
                if held and (full or text.has != held[-1][1].has):
                    yield _joined(held)
                    held, rows, widest, enough = [], 0, 0, CELLS
                held.append((line, text))
                rows, widest = rows + count, max(widest, width)
        if held:
            yield _joined(held)

    def _texts(self, line: int, record: Any) -> list[Text]:
        if not isinstance(record, dict):
            raise ValueError(f"{self.name}: line {line} is {shown(record)}: must be an object")
        try:
            return self.texts(record)
        except ValueError as error:
            raise ValueError(f"{self.name}: line {line}: {error}") from None


def first_record(path: Path) -> Record:
    """Return the first record of a file.

    Raises
    ------
    ValueError
        If it has none, or the first is no object.
    """
    for line, record in records(path):
        if not isinstance(record, dict):
            raise ValueError(f"{path}: line {line} is {shown(record)}: must be an object")
        return record
    raise ValueError(f"{path} has no records")


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line, from 1, and its record; of a file that is one record or a list
    of them, the number of the record.

    Raises
    ------
    ValueError
        At a line that is no JSON.
    """
    require_file(path)
    if suffix_of(path) == ".json" and path.stat().st_size <= _WHOLE_FILE:
        yield from _whole(path)
        return
    with unpacked(path) as stream:
        for line, text in enumerate(_lines(stream, path), start=1):
            if text and not text.isspace():
                yield line, _parsed(text, f"{path}: line {line}")


def _whole(path: Path) -> Iterator[tuple[int, Any]]:
    with unpacked(path) as stream:
        text = stream.read(_WHOLE_FILE + 1).removeprefix(_BOM)
    if len(text) > _WHOLE_FILE:
        raise ValueError(
            f"{path} holds over {_WHOLE_FILE:,} bytes: write one record a line, and call it .jsonl"
        )
    try:
        found = _parsed(text, str(path))
    except ValueError:
        if b"\n" not in text.strip():
            raise
        lines = enumerate(text.split(b"\n"), start=1)
        yield from ((n, _parsed(each, f"{path}: line {n}")) for n, each in lines if each.strip())
        return
    yield from enumerate(found if isinstance(found, list) else [found], start=1)


def _lines(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    first = True
    while text := stream.readline(_LONGEST + 1):
        if len(text) > _LONGEST:
            raise ValueError(f"{path} has a line of over {_LONGEST:,} bytes: one record a line")
        yield text.removeprefix(_BOM) if first else text
        first = False


def _parsed(text: bytes, where: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # Python writes NaN and Infinity, which JSON has not.
        if b"NaN" in text or b"Infinity" in text:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                pass
        raise ValueError(
            f"{where} is no JSON, so the file is damaged or cut off: {error.msg}"
        ) from None


def _joined(held: list[tuple[int, Text]]) -> Listed:
    texts = [text for _, text in held]
    counts = [len(text.values) for text in texts]
    lengths = [0 if text.tokens is None else len(text.tokens) for text in texts]
    starts = np.repeat(np.cumsum([0, *lengths[:-1]]), counts)
    has_labels, has_tokens, has_lognorm, has_following, begins = texts[0].has
    widest = max(text.values.shape[1] for text in texts)
    if not has_labels and any(text.values.shape[1] != widest for text in texts):
        raise ValueError(f"line {held[0][0]} and those after it have rows of several lengths")

    def join(name: str) -> np.ndarray:
        return np.concatenate([getattr(text, name) for text in texts])

    return Listed(
        np.concatenate([_filled(text.values, widest, np.nan) for text in texts]),
        np.concatenate([_filled(text.labels, widest, NO_LABEL) for text in texts])
        if has_labels
        else None,
        join("places"),
        join("tokens") if has_tokens else None,
        starts if has_tokens and begins else None,
        starts + join("after") if has_tokens else None,
        starts + np.repeat(lengths, counts) if has_tokens else None,
        join("lognorm") if has_lognorm else None,
        join("following_logprob") if has_following else None,
        added(text.skipped for text in texts),
        np.repeat([line for line, _ in held], counts),
    )


def added(skipped: Any) -> dict[str, int]:
    """Return the sums of several counts of what was skipped."""
    total: dict[str, int] = {}
    for each in skipped:
        for why, number in each.items():
            total[why] = total.get(why, 0) + number
    return total


def _filled(rows: Any, width: int, fill: float) -> np.ndarray:
    if rows.shape[1] == width:
        return np.asarray(rows)
    wider = np.full((len(rows), width), fill, dtype=rows.dtype)
    wider[:, : rows.shape[1]] = rows
    return wider


def listed_rows(record: Record, name: str) -> list[Any]:
    """Return a field that must be a list."""
    found = record.get(name)
    if not isinstance(found, list):
        raise ValueError(f"{name} is {shown(found)}: must be a list")
    return found


def whole_numbers(values: Any, name: str) -> np.ndarray:
    """Return a list of whole numbers as int64."""
    found = _as_array(values, name)
    if found.size == 0:
        return np.zeros(0, dtype=np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ValueError(f"{name} is {shown(values)}: must be a list of whole numbers")
    return found.astype(np.int64)


def numbers(values: Any, name: str) -> np.ndarray:
    """Return a list of numbers as float64."""
    found = _as_array(values, name)
    if found.size == 0:
        return np.zeros(0)
    if found.ndim != 1 or found.dtype.kind not in "iuf":
        raise ValueError(f"{name} is {shown(values)}: must be a list of numbers")
    return found.astype(np.float64)


def table(rows: list[Any], name: str, *, whole: bool) -> np.ndarray:
    """Return lists of numbers, one for each row, as an array that is filled up: with NaN as
    float64, or with `NO_LABEL` as int64 where they must be `whole` numbers.
    """
    fill = NO_LABEL if whole else np.nan
    dtype = np.int64 if whole else np.float64
    kinds = "iu" if whole else "iuf"
    found = _as_array(rows, name)
    if found.ndim == 2 and found.dtype.kind in kinds:
        return found.astype(dtype)
    read = whole_numbers if whole else numbers
    each = [read(row, f"{name}, row {j},") for j, row in enumerate(rows, start=1)]
    counts = np.array([len(row) for row in each], dtype=np.int64)
    flat = np.concatenate([np.zeros(0, dtype=dtype), *each])
    return in_rows(flat, counts, fill)


def in_rows(flat: np.ndarray, counts: np.ndarray, fill: float) -> np.ndarray:
    """Return entries in rows of `counts` entries each, filled up to the longest."""
    widest = int(counts.max(initial=0))
    if widest * len(counts) > max(_FILLED * len(flat), CELLS):
        raise ValueError(
            f"one row lists {widest:,} labels and the {len(counts):,} of its record {len(flat):,}: "
            "rows are to be of similar lengths"
        )
    made = np.full((len(counts), widest), fill, dtype=flat.dtype)
    made[np.arange(widest) < counts[:, None]] = flat
    return made


def _as_array(values: Any, name: str) -> np.ndarray:
    try:
        return np.array(values)
    except (ValueError, OverflowError):
        return np.array(None)


def masked(record: Record, tokens: int, after: np.ndarray) -> np.ndarray:
    """Return which rows are of tokens that the masks of a record leave out."""
    out = np.zeros(len(after), dtype=bool)
    for name in ("labels", *MASKS):
        if record.get(name) is None:
            continue
        marks = numbers(record[name], name)
        if len(marks) != tokens:
            raise ValueError(f"{name} has {len(marks)} entries for {tokens} tokens: one for each")
        there = after < tokens
        out[there] |= marks[after[there]] == (MASKED_LABEL if name == "labels" else 0)
    return out
