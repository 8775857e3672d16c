"""What `kt.store` writes: Parquet files, a row for each position.

Columns: `labels`, a list; `values`, a list, written as the file's notes say; and, where texts are
known, `tokens`, those that stand between the position before and this one, or before this one
where `begins`; and `following`, the token that follows, if one does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Listed
from kt_theory.dumps.kinds import LOGPROBS
from kt_theory.dumps.layouts.codes import KEY, Notes
from kt_theory.dumps.layouts.columns import (
    Misfit,
    batches,
    edges_of,
    numbers,
    opened,
    ragged,
    refuse_types,
)
from kt_theory.dumps.layouts.layout import Asked, Layout
from kt_theory.dumps.layouts.pieces import after_first
from kt_theory.dumps.part import Part

LABELS, VALUES, TOKENS, BEGINS, FOLLOWING = "labels", "values", "tokens", "begins", "following"
TEXTS = (TOKENS, BEGINS, FOLLOWING)
"""The columns of texts."""


@dataclass(frozen=True)
class Stored(Part):
    """A file of `kt.store`.

    Attributes
    ----------
    path : Path
        Where it lies.
    notes : Notes
        What it says of itself.
    texts : bool
        Whether it has the columns of texts.
    """

    name: str
    path: Path
    notes: Notes
    texts: bool
    kind: str
    labels: int
    width: int | None
    positions: int
    renormalised: bool
    drawn: bool
    certain: ClassVar[bool] = True

    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows from number `start` on, about `CELLS` cells at a time."""
        yield from after_first(start, self._all_listed())

    def _all_listed(self) -> Iterator[Listed]:
        wide = (VALUES,) if self.notes.whole else (LABELS, VALUES)
        place, before = 0, np.zeros(0, dtype=np.int64)
        with opened(self.path) as file:
            for batch in batches(file, self.path, wide, TEXTS if self.texts else ()):
                try:
                    listed = self._of_batch(batch, place)
                except Misfit as error:
                    number = place + error.number + 1
                    raise ValueError(f"{self.path}: position {number} {error.what}") from None
                if self.texts:
                    listed, before = _with_texts(listed, batch, before)
                place += len(listed)
                if len(listed):
                    yield listed

    def _of_batch(self, batch: Any, place: int) -> Listed:
        values = ragged(batch.column(VALUES), 0)
        places = np.arange(place + 1, place + 1 + len(batch))
        if self.notes.whole:
            values.rows(self.notes.labels, VALUES)
        if self.notes.values.others and len(batch):
            values.rows(int(values.counts[0]), VALUES)
        logs = self.notes.values.logs(values.table(0), values.counts)
        if self.notes.whole:
            return Listed(logs, None, places)
        labels = ragged(batch.column(LABELS), NO_LABEL)
        wrong = np.flatnonzero(labels.counts + self.notes.values.others != values.counts)
        if len(wrong):
            held = f"{labels.counts[wrong[0]]} labels and {values.counts[wrong[0]]} values"
            raise Misfit("position", wrong[0], f"has {held}, which do not go together")
        return Listed(logs, labels.table(NO_LABEL), places)


def _with_texts(listed: Listed, batch: Any, before: np.ndarray) -> tuple[Listed, np.ndarray]:
    """The rows with their texts, and the tokens before the end of the last one; `before` is what
    the first row goes on with unless it begins a text.
    """
    new = ragged(batch.column(TOKENS), NO_LABEL)
    begins = numbers(batch.column(BEGINS), False).astype(bool)
    following = numbers(batch.column(FOLLOWING), NO_LABEL)
    count = len(begins)
    last = np.append(begins[1:], True)
    known = last & (following != NO_LABEL)
    carried = np.zeros(0, dtype=np.int64) if count and begins[0] else before
    edges = edges_of(new.counts + known) + len(carried)
    tokens = np.empty(edges[-1], dtype=np.int64)
    tokens[: len(carried)] = carried
    after = edges[:-1] + new.counts
    tokens[after[known]] = following[known]
    from_columns = np.ones(len(tokens), dtype=bool)
    from_columns[: len(carried)] = False
    from_columns[after[known]] = False
    tokens[from_columns] = new.flat
    firsts = begins.copy()
    firsts[:1] = True
    of_text = np.cumsum(firsts) - 1
    text_starts = np.where(np.arange(count) == 0, 0, edges[:-1])[firsts]
    starts, ends = text_starts[of_text], edges[1:][last][of_text]
    listed = replace(listed, tokens=tokens, starts=starts, after=after, ends=ends)
    return listed, tokens[starts[-1] : after[-1]] if count else before


def _has(names: Collection[str]) -> bool:
    return VALUES in names and (LABELS in names or {VALUES, *TEXTS} >= set(names))


def _part(path: Path, asked: Asked) -> Stored:
    with opened(path) as file:
        metadata = file.metadata.metadata or {}
        if KEY not in metadata:
            raise ValueError(f"{path} was not written by kt.store: it says nothing of itself")
        notes = Notes.read(metadata[KEY], path)
        names = file.schema_arrow.names
        texts = set(TEXTS) <= set(names)
        wanted = {VALUES: 1} if notes.whole else {LABELS: 1, VALUES: 1}
        if texts:
            wanted.update({TOKENS: 1, BEGINS: 0, FOLLOWING: 0})
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}: it has {', '.join(names)}")
        refuse_types(path, file.schema_arrow, wanted)
        positions = file.metadata.num_rows
    labels = asked.labels or notes.labels
    if labels != notes.labels:
        raise ValueError(f"labels = {labels}: {path} is of a teacher with {notes.labels}")
    return Stored(
        name=str(path),
        path=path,
        notes=notes,
        texts=texts,
        kind=asked.kind or LOGPROBS,
        labels=labels,
        width=labels if notes.whole else None,
        positions=positions,
        renormalised=notes.renormalised,
        drawn=notes.drawn,
    )


STORED = Layout(
    "kt_theory",
    "labels, values; tokens, begins, following where texts are known; notes of what they are",
    (".parquet",),
    _has,
    _part,
)
