"""A dump: its parts, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kt_theory.content import ByContent
from kt_theory.dumps.block import CELLS, Block, Listed
from kt_theory.dumps.checks import as_block
from kt_theory.dumps.files import open_parts
from kt_theory.dumps.kinds import KINDS, Reading
from kt_theory.dumps.layouts.layout import NEXT, SAME, Asked
from kt_theory.dumps.part import Part
from kt_theory.dumps.recognise import recognised
from kt_theory.validation import as_floats, as_path, unknown_name, whole_number


@dataclass(frozen=True)
class Dump:
    """What a sequence teacher says of each position of a text: its log-probabilities as they lie on
    disk. Build it with `read` or `from_arrays`.

    Attributes
    ----------
    parts : tuple of Part
        Its files, in order.
    reading : Reading
        How they are read: the number of labels, what an input is.
    """

    parts: tuple[Part, ...]
    reading: Reading

    @classmethod
    def read(
        cls,
        path: Any,
        format: str | None = None,
        *,
        labels: int | None = None,
        context: int | None = None,
        kind: str | None = None,
        aligned: str | None = None,
        options: Any = None,
    ) -> Dump:
        """Return the dump that files hold; they are read when its blocks are asked for.

        Parameters
        ----------
        path : path, or sequence of paths
            A file, a folder, or a pattern such as "logits/*.parquet". Files are read in natural
            order: part-2 before part-10.
        format : str, optional
            One of `layouts.table.LAYOUTS`; recognised by the columns, fields or arrays of the first
            file if omitted.
        labels : int, optional
            How many the teacher has, A; by default what the files say.
        context : int, optional
            An input is the last so many tokens; by default all that went before.
        kind : str, optional
            What the values are, one of `kinds.KINDS`: "logprobs" (natural logarithms), "logits",
            "probabilities", "log2", "log10", or "renormalised logits"; by default what the layout
            has, and an error where the first rows tell otherwise.
        aligned : {"next", "same"}, optional
            Whether row i of a text is of its token i + 1, as models return logits, or of token i;
            by default what the layout has, and an error where the first rows tell otherwise.
        options : path, optional
            The settings of a layout whose files do not hold them: DistillKit's compression.

        Raises
        ------
        ValueError
            If a file is damaged or has no layout that is known, or if files do not agree in their
            layout or in the number of labels.
        FileNotFoundError
            If there is no such file.
        """
        if kind is not None and kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
        if aligned not in (None, NEXT, SAME):
            raise unknown_name("alignment", aligned, (NEXT, SAME))
        given = None if labels is None else whole_number(labels, "labels", low=1, high=2**31 - 1)
        chosen = None if options is None else as_path(options, "options")
        asked = Asked(given, kind, chosen, aligned)
        parts = open_parts(path, format, asked)
        reading = Reading(given or parts[0].labels, _length(context))
        return cls(parts, _told_by_rows(parts, reading, asked))

    @classmethod
    def from_arrays(
        cls,
        values: Any,
        tokens: Any = None,
        *,
        kind: str = "logprobs",
        context: int | None = None,
    ) -> Dump:
        """Return the dump of whole rows in memory.

        Parameters
        ----------
        values : (N, A) array_like
            Row i is the distribution of the token after tokens[:i + 1].
        tokens : (N,) array_like of int, optional
            One text.
        kind : str
            What the values are, one of `kinds.KINDS`; logprobs are natural logarithms.
        context : int, optional
            An input is the last so many tokens; by default all that went before.
        """
        table = as_floats(values, "values")
        if table.ndim != 2 or not table.size:
            raise ValueError(f"values has shape {table.shape}: must be (positions, labels)")
        if kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
        text = None if tokens is None else np.asarray(tokens)
        reading = Reading(labels=table.shape[1], context=_length(context))
        rows, width = table.shape
        return cls((_InMemory(table, text, kind, rows, width, width),), reading)

    @property
    def labels(self) -> int | None:
        """Labels of the teacher, A; None where neither the dump nor the caller says."""
        return self.reading.labels

    @property
    def renormalised(self) -> bool:
        """Whether rows that list some labels sum to 1: nothing is known of what they hide."""
        return self.reading.renormalised

    @property
    def granted(self) -> tuple[str, ...]:
        """What every number of it takes for granted, in sentences."""
        found = []
        if self.renormalised:
            found.append(
                "The rows of the dump sum to 1 though they leave labels out: nothing is known of "
                "what they hide, and all numbers are those of the renormalised teacher."
            )
        if self.reading.granted:
            found.append(f"Taken for granted: {self.reading.granted}.")
        return tuple(found)

    @property
    def drawn(self) -> bool:
        """Whether the labels of a row were drawn: others may be more probable."""
        return any(part.drawn for part in self.parts)

    @property
    def whole(self) -> bool:
        """Whether all rows hold all labels."""
        return all(part.width is not None for part in self.parts)

    @property
    def positions(self) -> int | None:
        """Rows of all parts, or None where only reading tells."""
        counts = [part.positions for part in self.parts]
        return None if None in counts else sum(c for c in counts if c is not None)

    def __repr__(self) -> str:
        files = "1 part" if len(self.parts) == 1 else f"{len(self.parts):,} parts"
        counts = ((self.positions, "positions"), (self.labels, "labels"))
        known = [f"{count:,} {name}" for count, name in counts if count is not None]
        rows = "whole rows" if self.whole else "rows that list some labels"
        return f"Dump({', '.join([files, *known, rows])})"

    def split(self) -> list[Dump]:
        """Return a dump for each part, for workers."""
        return [replace(self, parts=(part,)) for part in self.parts]

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """Yield the blocks of its positions, all but the first `start` rows; of a part that does
        not know how many it holds `start` must be 0.

        Raises
        ------
        ValueError
            At the first row that is wrong, with its part and number.
        """
        for _, block in self.pairs(start):
            yield block

    def pairs(self, start: int = 0) -> Iterator[tuple[Listed, Block]]:
        """Yield each block behind its rows as they are listed, with their texts: row by row the
        same positions.
        """
        for part in self.parts:
            held = part.positions
            if held is not None and start >= held:
                start -= held
                continue
            for listed in part.listed(start):
                start = 0
                yield listed, as_block(listed, part.kind, part.name, self.reading)


@dataclass(frozen=True, eq=False)
class _InMemory(ByContent, Part):
    values: np.ndarray
    tokens: np.ndarray | None
    kind: str
    positions: int
    width: int
    labels: int
    name: str = "values"

    def listed(self, start: int) -> Iterator[Listed]:
        rows = max(1, CELLS // self.width)
        for first in range(start, self.positions, rows):
            places = np.arange(first, min(first + rows, self.positions)) + 1
            values = self.values[first : first + rows]
            if self.tokens is None:
                yield Listed(values, None, places)
            else:
                ends = np.full_like(places, len(self.tokens))
                yield Listed(values, None, places, self.tokens, np.zeros_like(places), places, ends)


def _length(context: Any) -> int | None:
    return None if context is None else whole_number(context, "context", low=0, high=64)


def _told_by_rows(parts: tuple[Part, ...], reading: Reading, asked: Asked) -> Reading:
    """The reading with what the first rows tell of it."""
    for part in parts:
        first = next(part.listed(0), None)
        if first is not None and len(first):
            if part.certain:
                return replace(reading, renormalised=part.renormalised)
            told = recognised(first, part.kind, part.name, reading, asked)
            return replace(told, renormalised=told.renormalised or part.renormalised)
    raise ValueError(f"{parts[0].name} holds no position to be read, nor does any other file")
