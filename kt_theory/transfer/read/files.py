"""Files of records: how they are laid out, and what becomes of each record."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kt_theory.packed import as_plain_file, suffix_of
from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.read import plain
from kt_theory.transfer.read.answers import Answer, Doc, Reading, failed
from kt_theory.transfer.read.builder import Builder
from kt_theory.transfer.read.envelopes import opened
from kt_theory.transfer.read.formats import READERS as READERS
from kt_theory.transfer.read.formats import recognise as recognise
from kt_theory.transfer.read.json_files import TOGETHER, End, json_chunks
from kt_theory.transfer.read.requests import Requests
from kt_theory.transfer.read.streams import Joiner
from kt_theory.transfer.read.tables import csv_chunks, in_columns, parquet_chunks
from kt_theory.validation import unknown_name

Chunks = Iterable["list[Any] | plain.Columns"]


def read_file(
    path: Path,
    builder: Builder,
    account: Account,
    format: str | None,
    reading: Reading,
    fatal: bool,
    requests: str | Path | None = None,
) -> None:
    """Read the records of a file into `builder`, and what became of its lines into `account`.

    Parameters
    ----------
    path : Path
        .jsonl, .json, .ndjson or .txt: JSON, as `json_files` reads it; .csv, .tsv; .parquet; also
        compressed, .gz or .zst.
    format : str or None
        One of `READERS`; recognised by the first record if omitted.
    fatal : bool
        Raise an error at the first line that gives no record.
    requests : path, optional
        The file of the requests that the records answer, which are joined by `custom_id` or `key`.

    Raises
    ------
    ValueError
        For an unknown format or suffix, a line without a record if `fatal`, a file of requests that
        cannot be read, or damaged compressed data.
    """
    if format is not None and format not in READERS:
        raise unknown_name("format", format, READERS)
    if format not in (None, "plain"):
        _refuse_label_field(reading)
    suffix = suffix_of(path)
    table = suffix in {".csv", ".tsv", ".parquet"}
    if not table and suffix not in {".jsonl", ".json", ".ndjson", ".txt", ""}:
        raise ValueError(
            f"{path}: must be .jsonl, .ndjson, .json, .csv, .tsv or .parquet, also with .gz or .zst"
        )
    account.format = format or ("plain" if table else "")
    joined = None if requests is None else Requests(Path(requests))
    intake = _Intake(builder, account, in_columns(reading) if table else reading, fatal, joined)
    with _no_collection():
        if table:
            with _table_chunks(path, suffix, reading) as chunks:
                intake.take_all(chunks)
        else:
            intake.take_all(json_chunks(path))
    if joined is not None:
        joined.tell(account)
    account.format = account.format or "unknown"


@contextmanager
def _table_chunks(path: Path, suffix: str, reading: Reading) -> Iterator[Chunks]:
    with as_plain_file(path) as file:
        try:
            yield (
                parquet_chunks(file, reading) if suffix == ".parquet" else csv_chunks(file, reading)
            )
        except ValueError as error:
            # The copy of a compressed file has a name that says nothing to anybody.
            raise ValueError(str(error).replace(str(file), str(path))) from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Parsed records hold no cycles: looking for some would take half of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@dataclass
class _Intake:
    """Takes what a file holds, record by record or as columns."""

    builder: Builder
    account: Account
    reading: Reading
    fatal: bool
    requests: Requests | None
    ids: set[int] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    empty: int = 0
    handed_on: int = 0

    def __post_init__(self) -> None:
        self.joiner = Joiner(self.account.source)

    def take_all(self, chunks: Chunks) -> None:
        """Take all chunks: columns, or lists of parsed records and of Skips in place of lines that
        are none.
        """
        for chunk in chunks:
            self._take(chunk)
        self._take_joined(None)
        self._hand_on()
        if self.joiner.alike:
            self.account.notes.append(
                f"{_alike(self.joiner.alike)}: taken for draws of their own, not for pieces of a "
                "stream"
            )
        self.account.skipped.sort(key=_line_of)

    def _take(self, chunk: list[Any] | plain.Columns) -> None:
        account = self.account
        first = account.lines + 1
        columns = chunk if isinstance(chunk, plain.Columns) else None
        alone = self.requests is not None or self.reading.model is not None
        if isinstance(chunk, list) and chunk and not alone and self._is_plain(chunk[0]):
            columns = (
                plain.Columns.of(chunk, self.reading)
                if plain.first_line(chunk, first) is not None
                else None
            )
        if columns is not None and self.reading.model is not None:
            raise ValueError(
                f"{account.source}: its records name no model; leave out "
                f"model={self.reading.model!r}"
            )
        if columns is not None:
            account.format = "plain"
            account.lines += len(columns.sizes)
            begins = plain.first_line(chunk, first)
            self._hand_on()
            self.builder.add_columns(columns, first if begins is None else begins)
        elif isinstance(chunk, list):
            account.lines += len(chunk)
            numbers = (
                chunk.lines
                if isinstance(chunk, plain.Numbered)
                else range(first, first + len(chunk))
            )
            for line, doc in zip(numbers, chunk, strict=True):
                try:
                    self._record(line, doc)
                except Skip as skip:
                    self._skip(skip, [line])
                except RecursionError:
                    self._skip(_DEEP, [line])
            if account.lines - self.handed_on >= TOGETHER:
                self.handed_on = account.lines
                self._take_joined(account.lines)
                self._hand_on()
            self._refuse_others()
        if isinstance(chunk, list):
            # Its memory is in the cache, where the next chunk is to lie.
            chunk.clear()

    def _is_plain(self, doc: Any) -> bool:
        """Whether records are plain: the file's, or those of a file that begins with this one."""
        if isinstance(doc, dict) and len(doc) > _MOST_FIELDS:
            return False
        if self.account.format:
            return self.account.format == "plain"
        try:
            return isinstance(doc, dict) and recognise(opened(doc)) == "plain"
        except Skip:
            return False

    def _take_joined(self, line: int | None) -> None:
        """Take the answers whose pieces have all come by a line, or all."""
        for lines, joined in self.joiner.answers(line):
            self.account.joined += len(lines) - 1
            try:
                self._read(lines[0], joined())
            except Skip as skip:
                self._skip(skip, lines)
            except RecursionError:
                self._skip(_DEEP, lines)

    def _hand_on(self) -> None:
        if self.answers:
            self.builder.add(self.answers, self.lines)
            self.answers, self.lines = [], []

    def _refuse_others(self) -> None:
        """Raise an error if almost no line so far holds a record."""
        account = self.account
        if self.empty <= max(_MOST_EMPTY, 0.9 * account.lines):
            return
        line, _, why = next(skip for skip in account.skipped if skip[1] in _EMPTY)
        raise ValueError(
            f"{account.source}: {self.empty:,} of its first {account.lines:,} lines hold no "
            f"record, line {line} the first ({why}): give a file of records"
        )

    def _skip(self, skip: Skip, lines: list[int]) -> None:
        if self.fatal and skip.outcome not in ALLOWED:
            raise ValueError(f"{self.account.source} line {lines[0]}: {skip}") from None
        self.account.skipped.append((lines[0], skip.outcome, str(skip)))
        self.empty += skip.outcome in _EMPTY
        for line in lines[1:]:
            self.account.skipped.append(
                (line, skip.outcome, f"a piece of the answer that line {lines[0]} begins")
            )

    def _record(self, line: int, doc: Any) -> None:
        """Read what stands on a line, or keep it if it is a piece of an answer."""
        if type(doc) is not dict:
            if isinstance(doc, End):
                self.joiner.end()
            if isinstance(doc, Skip):
                raise doc
            raise Skip("malformed", "not a JSON object: write one record a line")
        if len(doc) > _MOST_FIELDS:
            raise Skip("malformed", f"{len(doc):,} fields: at most {_MOST_FIELDS:,}")
        doc = opened(doc)
        if not self.joiner.takes(line, doc):
            self._read(line, doc)

    def _read(self, line: int, doc: Doc) -> None:
        if self.requests is not None:
            doc = self.requests.joined(doc, line)
        account = self.account
        name = _id_of(doc)
        if name is not None:
            if name in self.ids:
                account.same_id += 1
            self.ids.add(name)
        if not account.format:
            failed(doc)
            account.format = _format_of(doc, self.reading)
        found = READERS[account.format](doc, self.reading)
        if self.reading.model is not None:
            found = _of_model(found, self.reading.model)
        self.answers += found
        self.lines += [line] * len(found)


_MOST_FIELDS = 10_000
_MOST_EMPTY = 10_000
_EMPTY = ("malformed", "blank")
"""Outcomes of lines that hold no record of any kind."""

_DEEP = Skip("malformed", "nested too deeply")

ALLOWED = ("blank", "other model", "repeated")
"""What a line may be that gives no record where all others must: nothing of what was asked for is
lost.
"""


def _alike(answers: int) -> str:
    if answers == 1:
        return "1 answer of Gemini follows one to the same request and has no responseId"
    return f"{answers:,} answers of Gemini follow one to the same request and have no responseId"


def _line_of(entry: tuple[int, str, str]) -> int:
    return entry[0]


def _id_of(doc: Doc) -> int | None:
    """A number for the id that a server gave to an answer; None if there is none. Plain records
    have none.
    """
    body = doc.get("response", doc)
    if type(body) is dict and "body" in body:
        body = body["body"]
    if type(body) is not dict:
        return None
    name = body.get("responseId")
    if "id" in body and ("choices" in body or "output" in body):
        name = body["id"]
    return hash(name) if type(name) is str and name else None


def _format_of(doc: Doc, reading: Reading) -> str:
    """The format of the first record; one that has the label in a field of its own is plain."""
    try:
        found = recognise(doc, reading.input)
    except Skip:
        if reading.label_field is None:
            raise
        return "plain"
    if found != "plain":
        _refuse_label_field(reading)
    return found


def _refuse_label_field(reading: Reading) -> None:
    """Raise an error if the user named a field of the label where an answer's label is its first
    token or its text.
    """
    if reading.label_field is not None:
        raise unknown_name("label", reading.label_field, ("first_token", "text"))


def _of_model(answers: list[Answer], model: str) -> list[Answer]:
    kept = [answer for answer in answers if answer.origin.model == model]
    if answers and not kept:
        raise Skip("other model", f"model {answers[0].origin.model or 'not stated'}")
    return kept
