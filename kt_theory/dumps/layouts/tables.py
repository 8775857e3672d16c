"""Parquet files whose rows are texts, or positions, with lists of labels and values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kt_theory.dumps.block import CELLS, NO_LABEL, Listed
from kt_theory.dumps.layouts.columns import (
    Misfit,
    Ragged,
    batches,
    depth_of,
    opened,
    ragged,
    refuse_types,
    split_lists,
)
from kt_theory.dumps.layouts.pieces import after_first, filled
from kt_theory.dumps.layouts.texts import Texts
from kt_theory.dumps.part import Part

UNLISTED = -9999.0
"""A value at or below this fills up a row that lists fewer labels, whatever the label beside it."""

MASKED = "masked out"
"""Why a position gave no row."""


class Rows(ABC):
    """How the columns of a table hold the rows of a dump: a frozen record.

    Attributes
    ----------
    columns : tuple of str
        What it reads: a list of numbers for each position.
    off : float
        As of `Listed`.
    """

    off: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """What it reads: a list of numbers for each position."""

    @abstractmethod
    def table(self, columns: Mapping[str, Ragged]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, (m, k) integers, and the values, (m, k), of m positions."""


@dataclass(frozen=True)
class Pairs(Rows):
    """Labels in one column, values in another one."""

    labels: str
    values: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads."""
        return (self.labels, self.values)

    def table(self, columns: Mapping[str, Ragged]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, (m, k) integers, and the values, (m, k), of m positions."""
        labels, values = columns[self.labels], columns[self.values]
        wrong = np.flatnonzero(labels.counts != values.counts)
        if len(wrong):
            place = wrong[0]
            what = (
                f"has {labels.counts[place]} {self.labels} and {values.counts[place]} "
                f"{self.values}: one is needed for each"
            )
            raise Misfit("position", place, what)
        low = values.flat.min(initial=0)
        if not low > UNLISTED:
            gone = values.flat <= UNLISTED
            labels = Ragged(
                np.where(gone, NO_LABEL, labels.flat.astype(np.int64, copy=False)), labels.counts
            )
            values = Ragged(np.where(gone, np.nan, values.flat), values.counts)
        return labels.table(NO_LABEL), values.table(np.nan)


@dataclass(frozen=True)
class Table(Part):
    """A Parquet file.

    Attributes
    ----------
    path : Path
        Where it lies.
    rows : Rows
        Which columns hold labels and values, and how.
    texts : Texts or None
        Which columns hold the texts; None where there is none.
    """

    name: str
    path: Path
    rows: Rows
    texts: Texts | None
    kind: str
    labels: int | None
    positions: int | None = None
    width: int | None = None
    renormalised: bool = False
    drawn: bool = False

    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows from number `start` on, about `CELLS` cells at a time."""
        yield from after_first(start, filled(self._all_listed()))

    def _all_listed(self) -> Iterator[Listed]:
        others = () if self.texts is None else self.texts.columns
        texts, place = 0, 0
        with opened(self.path) as file:
            for batch in batches(file, self.path, self.rows.columns, others):
                try:
                    listed, kept = self._of_batch(batch, place)
                except Misfit as error:
                    before = texts if error.unit == "text" else place
                    number = before + error.number + 1
                    raise ValueError(f"{self.path}: {error.unit} {number} {error.what}") from None
                texts, place = texts + len(batch), place + len(listed)
                yield from _pieces(listed, kept)

    def _of_batch(self, batch: Any, place: int) -> tuple[Listed, np.ndarray]:
        """The rows of a batch, the first of them number `place` + 1, and which are kept."""
        cells = {name: batch.column(name) for name in self.rows.columns}
        counts = np.ones(len(batch), dtype=np.int64)
        if depth_of(batch.column(self.rows.columns[0]).type) == 2:
            counts, cells = _positions(cells)
        columns = {name: ragged(cell, _missing(cell)) for name, cell in cells.items()}
        labels, values = self.rows.table(columns)
        places = np.arange(place + 1, place + 1 + len(values))
        listed = Listed(values, labels, places, off=self.rows.off)
        if self.texts is None:
            return listed, np.ones(len(values), dtype=bool)
        found = {name: ragged(batch.column(name), 0) for name in self.texts.columns}
        spans = self.texts.spans(found, counts)
        listed = replace(
            listed, tokens=spans.tokens, starts=spans.starts, after=spans.after, ends=spans.ends
        )
        return listed, spans.kept


def _positions(cells: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """How many positions each text has, and the columns with a cell for each."""
    split = {name: split_lists(cell) for name, cell in cells.items()}
    (first, (counts, _)), *rest = split.items()
    for name, (others, _) in rest:
        wrong = np.flatnonzero(counts != others)
        if len(wrong):
            text = wrong[0]
            what = (
                f"has {counts[text]} positions in {first!r} and {others[text]} in {name!r}: there "
                "must be as many"
            )
            raise Misfit("text", text, what)
    return counts, {name: inner for name, (_, inner) in split.items()}


def _missing(column: Any) -> float:
    """What stands for a null."""
    import pyarrow as pa

    kind = column.type
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    return np.nan if pa.types.is_floating(kind) else NO_LABEL


def _pieces(listed: Listed, kept: np.ndarray) -> Iterator[Listed]:
    """The rows that are kept, about `CELLS` cells at a time."""
    masked = len(kept) - int(np.count_nonzero(kept))
    if masked:
        listed = listed.taken(kept)
    size = max(1, CELLS // max(listed.values.shape[1], 1))
    for start in range(0, max(len(listed), 1), size):
        piece = listed.taken(slice(start, start + size))
        yield replace(piece, skipped={MASKED: masked} if masked and not start else {})


def refuse_table(path: Path, rows: Rows, texts: Texts | None, depth: int) -> None:
    """Refuse a file that lacks a column, or whose rows are no lists of such a depth, or whose texts
    no lists of numbers.
    """
    with opened(path) as file:
        schema = file.schema_arrow
        others = () if texts is None else texts.columns
        missing = [name for name in (*rows.columns, *others) if name not in schema.names]
        if missing:
            held = ", ".join(schema.names)
            raise ValueError(f"{path} has no column {missing[0]!r}: it has {held}")
        wanted = dict.fromkeys(rows.columns, depth)
        wanted.update(dict.fromkeys(others, 1))
        refuse_types(path, schema, wanted)
