"""Dumps of whole rows in arrays: `logits` or `logprobs`, the tokens beside them, and where texts
begin. Rows are read from the file a block at a time.

Row i of a text is of its token i + 1, as models return logits, unless the caller says that it is of
token i.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.block import CELLS, Listed
from kt_theory.dumps.kinds import LOGITS, LOGPROBS, PROBABILITIES, likely_kind
from kt_theory.dumps.layouts.layout import NEXT, Asked
from kt_theory.dumps.layouts.texts import MASKED_LABEL, MASKS
from kt_theory.dumps.part import Part
from kt_theory.dumps.recognise import refuse_alignment

LOOKS = (
    "logits, logprobs or probabilities, (positions, labels); tokens, offsets, labels, loss_mask if "
    "it has them; or (texts, positions, labels) with input_ids, attention_mask"
)
"""What such a file holds, for messages and the docs."""

Rows = Callable[[int, int], np.ndarray]
"""Returns rows number `start` to `stop` of an array."""

_KINDS = {
    "logits": LOGITS,
    "logprobs": LOGPROBS,
    "log_probs": LOGPROBS,
    "probs": PROBABILITIES,
    "probabilities": PROBABILITIES,
}
_TOKENS = ("tokens", "input_ids")
_OFFSETS = "offsets"
_BESIDE = (*_TOKENS, _OFFSETS, "attention_mask", "labels", *MASKS)
_LOOKED_AT = 1024

USED = frozenset((*_KINDS, *_BESIDE))
"""Names of arrays that are read; what else a file has is left alone."""


class Array(ABC):
    """An array in a file: a frozen record that can be sent to a worker.

    Attributes
    ----------
    shape : tuple of int
        Of any number of axes; the last is that of the labels where rows are read.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def opened(self) -> AbstractContextManager[Rows]:
        """Open it to read rows, the last axis, the others run together."""

    @abstractmethod
    def picked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return single entries of it."""

    def whole(self) -> np.ndarray:
        """Return all of it."""
        with self.opened() as read:
            size = 1
            for axis in self.shape[:-1]:
                size *= axis
            return read(0, size).reshape(self.shape)


@dataclass(frozen=True)
class Flat(Array):
    """An array that lies in its file as it lies in memory, row after row.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        Where it begins, in bytes.
    dtype : str
        As NumPy writes it.
    brain : bool
        It is of bfloat16, the upper halves of float32, which NumPy has not: `dtype` is uint16.
    """

    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]
    brain: bool = False

    @contextmanager
    def opened(self) -> Iterator[Rows]:
        """Read rows from the file, not by mapping it, so that no more than a block is in memory."""
        width, dtype = self.shape[-1], np.dtype(self.dtype)

        with open(self.path, "rb") as file:

            def read(start: int, stop: int) -> np.ndarray:
                file.seek(self.offset + start * width * dtype.itemsize)
                found = np.fromfile(file, dtype, (stop - start) * width)
                if len(found) < (stop - start) * width:
                    raise ValueError(
                        f"{self.path} ends within row {start + len(found) // width + 1}"
                    )
                return self._known(found.reshape(stop - start, width))

            yield read

    def picked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return single entries, for which the file is mapped for the while."""
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return self._known(mapped.reshape(-1, self.shape[-1])[rows, columns])

    def _known(self, found: np.ndarray) -> np.ndarray:
        if not self.brain:
            return found
        return (found.astype(np.uint32) << 16).view(np.float32)


def array_part(path: Path, arrays: Mapping[str, Array], asked: Asked) -> WholeRows:
    """Return the part of a file with these arrays.

    Raises
    ------
    ValueError
        If none of them are rows, or those beside it do not fit.
    """
    name = _rows_among(arrays)
    if name is None:
        raise ValueError(
            f"{path} has the arrays {', '.join(arrays) or 'none'}: the rows must be called "
            f"{' or '.join(_KINDS)}"
        )
    values = arrays[name]
    if len(values.shape) not in (2, 3) or 0 in values.shape:
        raise ValueError(
            f"{path}: {name} has the shape {values.shape}: must be (positions, labels) or (texts, "
            "positions, labels)"
        )
    if asked.labels not in (None, values.shape[-1]):
        raise ValueError(
            f"{path}: {name} has {values.shape[-1]} labels, not {asked.labels}: leave labels out"
        )
    beside = {field: arrays[field].whole() for field in _BESIDE if field in arrays}
    plan = _plan(values.shape[:-1], beside, str(path), asked)
    if asked.aligned is None and plan.tokens is not None:
        _refuse_alignment(values, plan, str(path))
    return WholeRows(str(path), asked.kind or _KINDS[name], values, plan)


def has_rows(names: Collection[str]) -> bool:
    """Return whether one of the names is that of rows."""
    return _rows_among(names) is not None


def _rows_among(names: Collection[str]) -> str | None:
    return next((name for name in _KINDS if name in names), None)


def unnamed(path: Path, values: Array, asked: Asked) -> WholeRows:
    """Return the part of rows of which nothing says what they are: their first ones tell."""
    kind = asked.kind
    if kind is None and len(values.shape) in (2, 3) and 0 not in values.shape:
        with values.opened() as read:
            rows = max(1, min(CELLS // values.shape[-1], int(np.prod(values.shape[:-1]))))
            kind = likely_kind(read(0, rows))
    name = next((each for each in _KINDS if _KINDS[each] == kind), "logits")
    found = array_part(path, {name: values}, asked)
    return found if kind is None else WholeRows(found.name, kind, values, found.plan)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Which rows are read, and where they stand in texts.

    `kept` are their numbers; the others are as in `Listed`, of those rows.
    """

    kept: np.ndarray
    tokens: np.ndarray | None
    starts: np.ndarray | None
    after: np.ndarray | None
    ends: np.ndarray | None
    skipped: dict[str, int]


def _plan(
    shape: tuple[int, ...], beside: Mapping[str, np.ndarray], name: str, asked: Asked
) -> _Plan:
    rows = int(np.prod(shape))
    lengths = [beside[field].shape[-1] for field in _TOKENS if field in beside]
    beside = {field: _fitting(found, field, shape, name) for field, found in beside.items()}
    tokens = next((beside[field] for field in _TOKENS if field in beside), None)
    offsets = beside.get(_OFFSETS)
    if offsets is None:
        length = lengths[0] if lengths else shape[-1]
        offsets = np.arange(0, rows + 1, length)
    counts = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != rows or (counts < 0).any():
        raise ValueError(
            f"{name}: offsets go from {offsets[0]} to {offsets[-1]}: must ascend from 0 to "
            f"{rows}, the number of rows"
        )
    starts, ends = np.repeat(offsets[:-1], counts), np.repeat(offsets[1:], counts)
    inside = beside.get("attention_mask")
    filled = np.zeros(rows, dtype=bool)
    if inside is not None:
        filled = inside == 0
        starts, ends = _without_filling(filled, starts, ends, name)
    numbers = np.arange(rows)
    after = numbers + asked.ahead(NEXT)
    out = np.zeros(rows, dtype=bool)
    known = np.flatnonzero(after < ends)
    for field in ("labels", *MASKS):
        if field in beside:
            left_out = MASKED_LABEL if field == "labels" else 0
            out[known] |= beside[field][after[known]] == left_out
    kept = np.flatnonzero(~filled & ~out)
    skipped = {"filled up": int(filled.sum()), "masked": int((out & ~filled).sum())}
    skipped = {why: number for why, number in skipped.items() if number}
    if tokens is None:
        return _Plan(kept, None, None, None, None, skipped)
    return _Plan(kept, tokens, starts[kept], after[kept], ends[kept], skipped)


def _without_filling(
    filled: np.ndarray, starts: np.ndarray, ends: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return where texts begin and end that are filled up at either end."""
    numbers = np.arange(len(filled))
    size = len(filled)
    first, last = np.full(size + 1, size), np.zeros(size + 1, dtype=np.int64)
    inside = numbers[~filled]
    np.minimum.at(first, starts[~filled], inside)
    np.maximum.at(last, starts[~filled], inside + 1)
    begin, end = first[starts], last[starts]
    holes = filled & (numbers >= begin) & (numbers < end)
    if holes.any():
        raise ValueError(
            f"{name}: attention_mask is 0 within a text, in row {int(holes.argmax()) + 1}: texts "
            "are filled up at their ends alone"
        )
    return np.minimum(begin, ends), np.maximum(end, starts)


def _fitting(found: np.ndarray, field: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return what stands beside the rows as one run of whole numbers."""
    if found.dtype.kind not in "iub":
        raise ValueError(f"{name}: {field} is of the type {found.dtype}: must be whole numbers")
    wanted = shape
    if field == _OFFSETS:
        if found.ndim != 1 or not found.size or len(shape) != 1:
            raise ValueError(
                f"{name}: offsets has the shape {found.shape} for rows of {shape}: one run of "
                "where texts begin, for one run of rows"
            )
    elif found.shape != wanted and found.size != int(np.prod(wanted)):
        raise ValueError(
            f"{name}: {field} has the shape {found.shape}, the rows {wanted}: must be the same"
        )
    return found.reshape(-1).astype(np.int64)


def _refuse_alignment(values: Array, plan: _Plan, name: str) -> None:
    tokens, starts, after, ends = plan.tokens, plan.starts, plan.after, plan.ends
    if tokens is None or starts is None or after is None or ends is None or not len(plan.kept):
        return
    rows = np.unique(np.linspace(0, len(plan.kept) - 1, _LOOKED_AT).astype(np.int64))
    text, first, place, last = tokens, starts[rows], after[rows], ends[rows]

    def value_of(step: int) -> np.ndarray:
        there = (place + step >= first) & (place + step < last)
        found = text[np.where(there, place + step, 0)]
        there &= (found >= 0) & (found < values.shape[-1])
        picked = values.picked(plan.kept[rows], np.where(there, found, 0))
        return np.where(there, picked.astype(np.float64), np.nan)

    refuse_alignment(value_of, name)


@dataclass(frozen=True, eq=False)
class WholeRows(Part):
    """A file of rows of all labels."""

    name: str
    kind: str
    values: Array
    plan: _Plan

    @property
    def positions(self) -> int:  # type: ignore[override]
        """Rows that are read."""
        return len(self.plan.kept)

    @property
    def width(self) -> int:  # type: ignore[override]
        """Labels of a row."""
        return self.values.shape[-1]

    @property
    def labels(self) -> int:  # type: ignore[override]
        """Labels of the teacher."""
        return self.width

    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows, read from the file as they are needed."""
        plan, rows = self.plan, max(1, CELLS // self.width)
        skipped = plan.skipped if start == 0 else {}
        with self.values.opened() as read:
            for first in range(start, max(len(plan.kept), 1), rows):
                at = slice(first, first + rows)
                kept = plan.kept[at]
                yield Listed(
                    _read(read, kept, self.width),
                    None,
                    kept + 1,
                    plan.tokens,
                    _part_of(plan.starts, at),
                    _part_of(plan.after, at),
                    _part_of(plan.ends, at),
                    skipped=skipped,
                )
                skipped = {}


def _read(read: Rows, kept: np.ndarray, width: int) -> np.ndarray:
    """Read rows of rising numbers, in runs."""
    if not len(kept):
        return np.empty((0, width))
    runs = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    found = [read(int(run[0]), int(run[-1]) + 1) for run in runs]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _part_of(values: Any, at: slice) -> Any:
    return None if values is None else values[at]
