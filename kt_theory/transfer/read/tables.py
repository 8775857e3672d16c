"""CSV and Parquet files of plain records, chunk by chunk."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kt_theory.delimited import (
    DELIMITERS,
    INDEX_NAMES,
    MOST_CELLS,
    MOST_LINE,
    SAMPLE,
    TOO_LONG,
    counts_rows,
    delimiter_of,
    first_rows,
    has_decimal_comma,
    long_cells,
    named_delimiter,
    other_encoding,
    why_too_long,
    with_point,
)
from kt_theory.sources import TooLarge, refuse_parquet
from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.read import json_files
from kt_theory.transfer.read.answers import Doc, Reading
from kt_theory.transfer.read.plain import (
    FIELDS,
    FRAMES,
    INPUTS,
    LABELS,
    LOGPROBS,
    PROBS,
    Coded,
    Columns,
    Fields,
    Numbered,
    fields_of,
    listed_in,
    read_alone,
    structured,
)
from kt_theory.transfer.read.sampling import canonical_name, may_hold_settings

_CHUNK = 1024
_BLOCK = 1 << 22
_FEW_LINES = 1 << 16
_MOST_BLANK = 10_000
_BATCH = 1 << 16
_NUMBERS = frozenset({"logprob", "prob", "temperature", "topp"})
_LISTS = ("top_logprobs", "top_probs")
_OWN = ("input", "label", "logprob", "prob")


def in_columns(reading: Reading) -> Reading:
    """Return how to read what `csv_chunks` and `parquet_chunks` yield: records with the format's
    own names.
    """
    return reading._replace(input=None, label_field=None, logprob_field=None)


class _Layout(NamedTuple):
    """Which columns of a table are read.

    Attributes
    ----------
    names : tuple of str
        What the columns are called in records: input, label, logprob, prob, and what is read as it
        stands.
    places : tuple of int
        Where they stand.
    width : int
        How many columns there are.
    delimiter : str
        What parts the cells of a CSV file.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    width: int
    delimiter: str = ","


def csv_chunks(source: Path | BinaryIO, reading: Reading) -> Iterator[list[Any] | Columns]:
    """Yield the records of a CSV file: blocks of ordinary lines as columns, any other block row by
    row.

    Parameters
    ----------
    source : path or binary file
        A file is read from where it stands, never backwards.
    reading : Reading
        What the user named; guesses go to its account.
    """
    name = source if isinstance(source, Path) else getattr(source, "name", reading.account.source)
    with ExitStack() as held:
        file = held.enter_context(source.open("rb")) if isinstance(source, Path) else source
        try:
            yield from _csv_chunks(_Source(file), name, reading)
        except _NoLine as error:
            raise ValueError(f"{name}: {error}") from None


def _csv_chunks(source: _Source, name: Any, reading: Reading) -> Iterator[list[Any] | Columns]:
    sample = source.read(SAMPLE)
    source.unread(sample.removeprefix(b"\xef\xbb\xbf"))
    _refuse_other_files(name, sample)
    text = sample.decode("utf-8", "replace").removeprefix("\ufeff")
    named, text = named_delimiter(text)
    delimiter = named or delimiter_of(text, lambda rows: _usual_names(rows[0], reading))
    rows = _Rows(source, delimiter, at_once=1)
    with long_cells():
        if named:
            next(rows)
        begin = islice(rows, _MOST_BLANK)
        header = next((row for row in begin if isinstance(row, Skip) or "".join(row).strip()), None)
    if header is None:
        if rows.pending or source.read(1):
            raise ValueError(f"{name} is not a CSV file: its first {rows.line:,} lines are blank")
        return
    if isinstance(header, Skip) or "\x00" in "".join(header):
        raise ValueError(f"{name} is not a CSV file: its first line must name the columns")
    source.unread(rows.rest())
    header = [cell.strip() for cell in header]
    first = first_rows(text, delimiter)[1:]
    layout = _layout(
        name, header, reading, _numbers_in(header, first), " (the first line is taken for names)"
    )._replace(delimiter=delimiter)
    _say_how_written(layout, first, reading.account)
    watch = _Numbering(reading)
    for chunk in _blocks(source, layout, rows.line):
        watch.see(chunk)
        yield chunk
    watch.warn()


def _refuse_other_files(name: Any, sample: bytes) -> None:
    """Raise an error if a file does not begin as a CSV file in UTF-8."""
    encoding = other_encoding(sample)
    if encoding:
        raise ValueError(
            f"{name} is not a CSV file in UTF-8: it seems to be {encoding}; save it as UTF-8"
        )
    for mark, kind in _MARKS.items():
        if sample.startswith(mark):
            raise ValueError(f"{name} is not a CSV file: it is {kind}; its suffix must say so")


_MARKS = {
    b"\x1f\x8b": "compressed",
    b"\x28\xb5\x2f\xfd": "compressed",
    b"PK\x03\x04": "compressed",
    b"PAR1": "a Parquet file",
}


def _blocks(source: _Source, layout: _Layout, line: int) -> Iterator[list[Any] | Columns]:
    """The records after `line` lines, block by block."""
    while block := source.lines(_BLOCK):
        columns = _columns(block, layout)
        if columns is not None:
            yield columns._replace(first=line + 1)
            # A block with line ends within its cells is read row by row.
            line += len(columns.sizes)
            continue
        source.unread(block)
        size = len(block)
        del block
        rows = _Rows(source, layout.delimiter, line)
        yield from _record_chunks(rows, layout, size)
        line = rows.line


def _usual_names(header: Sequence[str], reading: Reading) -> float:
    """How many columns have names that records have."""
    named = {reading.input, reading.label_field, reading.logprob_field}
    usual = {*INPUTS, *LABELS, *LOGPROBS, *PROBS, *_LISTS}
    return sum(cell in named or cell.lower() in usual or read_alone(cell) for cell in header)


def _numbers_in(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers in the first rows, or nothing."""
    cells = [
        [row[i] for row in rows if len(row) == len(header) and row[i]] for i in range(len(header))
    ]
    return [all(_is_number(cell) for cell in column[:_FEW]) for column in cells]


_FEW = 5


def _is_number(cell: str) -> bool:
    try:
        float(with_point(cell))
    except ValueError:
        return False
    return True


def _say_how_written(layout: _Layout, first: Sequence[Sequence[str]], account: Account) -> None:
    """Take down what parts the cells and the digits, where it is not a comma and a point."""
    if layout.delimiter != ",":
        account.notes.append(
            f"cells are parted by {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))}"
        )
    numbers = [
        i
        for name, i in zip(layout.names, layout.places, strict=True)
        if name in ("logprob", "prob")
    ]
    if any(
        len(row) == layout.width and has_decimal_comma(row[i]) for row in first for i in numbers
    ):
        account.notes.append("numbers are written with decimal commas: 0,25 is 0.25")


def _layout(
    name: Any, header: Sequence[str], reading: Reading, numbers: Sequence[bool], where: str = ""
) -> _Layout:
    """Return which columns are read, or refuse a header that does not say it; `where` says where
    the names stand.
    """
    # A column of texts states no log-probability, whatever it is called.
    guessed = {*LOGPROBS[1:], *PROBS[1:]}
    texts = {
        cell
        for cell, number in zip(header, numbers, strict=True)
        if not number and cell.lower() in guessed
    }
    free = tuple(cell for cell in dict.fromkeys(header) if cell not in texts)
    try:
        fields = fields_of(free, reading.input, reading.label_field, reading.logprob_field)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    _refuse_missing(name, f"{_shown(header)}{where}", header, fields)
    chosen = {given: own for own, given in zip(_OWN, fields[:4], strict=True) if given is not None}
    kept = {
        cell for cell in header if cell not in _OWN and (cell in fields.frame or _is_read(cell))
    }
    used = [i for i, cell in enumerate(header) if cell in chosen or cell in kept]
    first: dict[str, int] = {}
    for i in used:
        if first.setdefault(header[i], i) != i:
            raise ValueError(
                f"{name}: column {header[i]!r} is named twice, as columns {first[header[i]] + 1} "
                f"and {i + 1}: names must differ"
            )
    fields.say(reading.account)
    if texts and reading.logprob_field is None:
        reading.account.notes.append(
            f"column {min(texts)!r} holds no numbers: no probability is taken from it"
        )
    return _Layout(tuple(chosen.get(header[i], header[i]) for i in used), tuple(used), len(header))


def _is_read(cell: str) -> bool:
    return cell in _LISTS or read_alone(cell)


def _shown(header: Sequence[str]) -> str:
    names = ", ".join(" ".join(cell[:120].split()) for cell in header[:120])
    return f"the columns are {names if len(names) < 120 else f'{names[:117]}...'}"


def _refuse_missing(name: Any, shown: str, header: Sequence[str], fields: Fields) -> None:
    """Raise an error if a column is not there."""
    for given in (fields.input, fields.label, fields.logprob or fields.prob):
        if given is not None and given not in header:
            raise ValueError(f"{name}: column {given!r} is missing; {shown}")
    if fields.input is None:
        index = [cell for cell in header if cell.lower() in INDEX_NAMES]
        also = f"; {index[0]!r} looks like an index" if index else ""
        raise ValueError(
            f"{name}: column 'input' is missing; {shown}; input=... says which holds it{also}"
        )
    if fields.label is None and not set(_LISTS) & set(header):
        raise ValueError(
            f"{name}: column 'label' is missing; {shown}; label=... says which holds it"
        )


class _Numbering:
    """Whether the column that was named as the input only numbers the rows."""

    def __init__(self, reading: Reading) -> None:
        self.account = reading.account
        self.name = reading.input
        self.possible = self.name is not None and self.name.strip().lower() in INDEX_NAMES
        self.cells: list[str] = []

    def see(self, chunk: list[Any] | Columns) -> None:
        """Take the next rows; only the first of a file are kept."""
        if not self.possible or len(self.cells) >= _CHUNK:
            return
        if isinstance(chunk, Columns):
            names = chunk.inputs.names
            found = (
                names
                if chunk.inputs.codes is None
                else [names[code] for code in chunk.inputs.codes[:_CHUNK]]
            )
        else:
            found = [record.get("input") for record in chunk if isinstance(record, dict)]
        self.cells += map(str, found)

    def warn(self) -> None:
        """Warn if they are 0, 1, 2, ... or 1, 2, 3, ..."""
        if (
            self.possible
            and self.name is not None
            and len(self.cells) > 1
            and counts_rows(self.name, self.cells)
        ):
            self.account.warnings.append(
                f"column {self.name!r} looks like an index, {self.cells[0]}, {self.cells[1]}, ...: "
                "then each row has an input of its own, and its copy says nothing of others; "
                "input=... names another column"
            )


class _Source:
    """A file that is read forwards alone, and takes back what was read too much."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.held = io.BytesIO()
        self.place = 0
        self._line = 0

    def read(self, size: int) -> bytes:
        data = self.held.read(size)
        if len(data) < size:
            data += self.file.read(size - len(data))
        self._move(data, 1)
        return data

    def lines(self, size: int) -> bytes:
        """Return so many bytes, and the rest of the line that they end in; refuse one that no table
        has.
        """
        data = self.read(size)
        if data.endswith(b"\n"):
            return data
        rest = self.held.readline()
        if not rest.endswith(b"\n"):
            rest += self.file.readline(MOST_LINE + 1)
        if len(rest) > MOST_LINE:
            raise _NoLine(f"line {self._line + 1:,} has {TOO_LONG}")
        self._move(rest, 1)
        return data + rest

    def unread(self, data: bytes) -> None:
        self.held = io.BytesIO(data + self.held.read())
        self._move(data, -1)

    def _move(self, data: bytes, sign: int) -> None:
        self.place += sign * len(data)
        self._line += sign * data.count(b"\n")


class _NoLine(ValueError):
    """A line that no table has."""


class _Rows:
    """The rows of a CSV file from where it stands, after `before` lines, of which so many bytes are
    read at once.
    """

    def __init__(
        self, source: _Source, delimiter: str, before: int = 0, at_once: int = _FEW_LINES
    ) -> None:
        self.source = source
        self.before = before
        self.pending: deque[str] = deque()
        self._reader = csv.reader(self._lines(delimiter, at_once), delimiter=delimiter)

    @property
    def line(self) -> int:
        """The line that the last row ends on."""
        return self.before + self._reader.line_num

    def rest(self) -> bytes:
        """Return what was read of the file and not yet given out."""
        return "".join(self.pending).encode("utf-8", "surrogateescape")

    def _lines(self, delimiter: str, at_once: int) -> Iterator[str]:
        while lines := self.source.lines(at_once):
            # Bytes that are no text come back with the row that holds them. A lone carriage return
            # ends a line too.
            self.pending = deque(_LINES.findall(lines.decode("utf-8", "surrogateescape")))
            del lines
            while self.pending:
                line = self.pending.popleft()
                if len(line) >= MOST_CELLS and (why := why_too_long(line, delimiter)):
                    raise _NoLine(f"line {self.line + 1:,} has {why}")
                yield line
                del line

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> list[str] | Skip:
        try:
            row = next(self._reader)
            if not all(map(str.isascii, row)):
                "".join(row).encode()
            return row
        except csv.Error as error:
            return Skip("malformed", f"not CSV: {error}")
        except UnicodeEncodeError:
            return Skip("malformed", "not UTF-8")


_LINES = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++")


def _record_chunks(rows: _Rows, layout: _Layout, size: int) -> Iterator[Numbered]:
    """The records of the next `size` bytes, and of the row that they end in."""
    end, done = rows.source.place + size, False
    while not done:
        with long_cells():
            chunk, done = _next_chunk(rows, layout, end)
        if chunk:
            yield chunk


def _next_chunk(rows: _Rows, layout: _Layout, end: int) -> tuple[Numbered, bool]:
    """A chunk of records, and whether it reaches the end."""
    chunk, begin = Numbered(), rows.line + 1
    for row in rows:
        chunk.lines.append(begin)
        chunk.append(row if isinstance(row, Skip) else _record(layout, row))
        begin = rows.line + 1
        done = rows.source.place >= end and not rows.pending
        if done or len(chunk) == _CHUNK:
            return chunk, done
    return chunk, True


def _record(layout: _Layout, row: list[str]) -> Any:
    if not row:
        return Skip("blank", "blank line")
    if len(row) != layout.width:
        return Skip("malformed", f"{len(row)} cells, the header names {layout.width}")
    record: Doc = {}
    try:
        for name, place in zip(layout.names, layout.places, strict=True):
            record[name] = _cell(name, row[place])
    except ValueError as error:
        return Skip("malformed", str(error))
    return record


def _cell(name: str, cell: str) -> Any:
    """What a cell holds: None, a text, a number, or of a setting what it writes as JSON."""
    if cell == "":
        return None
    if name in ("input", "label", *_LISTS) or name.lower() in FRAMES:
        return cell
    text = with_point(cell)
    if canonical_name(name) in _NUMBERS:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{name} = {cell[:40]!r}: must be a number") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return structured(text)
        except ValueError as error:
            if may_hold_settings(name):
                # Perhaps it is but a text.
                return text
            raise ValueError(f"{name} = {cell[:40]!r}: {error}") from None
    return text


def _is_ordinary(names: Sequence[str]) -> bool:
    """Columns of records that may be read at once."""
    return "label" in names and set(names) <= FIELDS


def _columns(block: bytes, layout: _Layout) -> Columns | None:
    """The columns of a block of whole lines, or None where a row is out of the ordinary and must be
    read alone.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    rows = block.count(b"\n") + (not block.endswith(b"\n"))
    whole = (
        block.count(b'"') % 2 == 0
        and block.count(b"\r") == block.count(b"\r\n")
        and b"\x00" not in block
    )
    if not whole or not _is_ordinary(layout.names):
        return None
    coded = pa.dictionary(pa.int32(), pa.string())
    types = {"input": coded, "label": coded, "logprob": pa.float64(), "top_logprobs": pa.string()}
    header = [f"unused {i}" for i in range(layout.width)]
    for name, place in zip(layout.names, layout.places, strict=True):
        header[place] = name
    try:
        table = arrow.read_csv(
            pa.py_buffer(block),
            arrow.ReadOptions(column_names=header, use_threads=False, block_size=len(block) + 1),
            arrow.ParseOptions(newlines_in_values=b'"' in block, delimiter=layout.delimiter),
            arrow.ConvertOptions(
                include_columns=list(layout.names),
                column_types={name: types[name] for name in layout.names},
                null_values=[""],
                strings_can_be_null=True,
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    if table.num_rows != rows or any(column.null_count for column in table.columns):
        return None
    return _of_table(table)


def _of_table(table: Any) -> Columns | None:
    """The columns of an Arrow table, or None where a cell is out of the ordinary."""
    inputs, labels = (_texts(table[name].combine_chunks()) for name in ("input", "label"))
    listed: Any = listed_in([], table.num_rows)
    if "top_logprobs" in table.column_names:
        listed = _listed(table["top_logprobs"].combine_chunks())
    own = _numbers(table["logprob"].combine_chunks()) if "logprob" in table.column_names else None
    if (
        inputs is None
        or labels is None
        or listed is None
        or (own is None and "logprob" in table.column_names)
    ):
        return None
    return Columns.made(inputs, labels, own, *listed)


def _texts(cells: Any) -> Coded | None:
    """Texts, or whole numbers as texts."""
    import pyarrow as pa

    kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if cells.null_count or not (texts or pa.types.is_integer(kind)):
        return None
    if not pa.types.is_dictionary(cells.type):
        cells = cells.cast(pa.string()).dictionary_encode()
    elif not texts:
        cells = cells.cast(kind).cast(pa.string()).dictionary_encode()
    names = cells.dictionary.to_pylist()
    return Coded(names, cells.indices.to_numpy(zero_copy_only=False).astype(np.int64))


def _numbers(cells: Any) -> np.ndarray | None:
    """Numbers, none of them missing."""
    import pyarrow as pa

    if cells.null_count or not (
        pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type)
    ):
        return None
    return cells.to_numpy(zero_copy_only=False).astype(np.float64)


def _listed(cells: Any) -> tuple[np.ndarray, Coded, Any] | None:
    """What each row lists, of JSON objects, a struct, a map or lists of {label, logprob}: sizes,
    labels, values.
    """
    import pyarrow as pa

    if pa.types.is_large_string(cells.type):
        cells = cells.cast(pa.string())
    if pa.types.is_string(cells.type):
        return None if cells.null_count else _listed_in_texts(cells)
    if pa.types.is_struct(cells.type):
        # It holds every label that occurs anywhere, null where a row does not list it.
        fields = [field for field in cells.type if field.name]
        if not fields or not all(pa.types.is_floating(field.type) for field in fields):
            return None
        parts = cells.flatten()
        here = np.column_stack([part.is_valid().to_numpy(zero_copy_only=False) for part in parts])
        used = np.flatnonzero(here.any(axis=0))
        row, place = np.nonzero(here[:, used])
        values = np.column_stack([part.to_numpy(zero_copy_only=False) for part in parts])[:, used][
            row, place
        ]
        return here.sum(axis=1), Coded([fields[i].name for i in used], place), values
    if pa.types.is_map(cells.type):
        pair = cells.keys, cells.items
    elif (
        pa.types.is_list(cells.type)
        and pa.types.is_struct(cells.type.value_type)
        and not cells.values.null_count
    ):
        parts = dict(
            zip(
                [field.name for field in cells.type.value_type], cells.values.flatten(), strict=True
            )
        )
        pair = parts.get("label", parts.get("token")), parts.get("logprob")
    else:
        return None
    if pair[0] is None or pair[1] is None:
        return None
    places = cells.offsets.to_numpy()
    sizes = np.diff(places).astype(np.int64)
    names, values = (part.slice(places[0], places[-1] - places[0]) for part in pair)
    labels, stated = _texts(names), _numbers(values)
    if labels is None or stated is None or _twice(sizes, labels):
        return None
    return sizes, labels, stated


def _twice(sizes: np.ndarray, labels: Coded) -> bool:
    """A row lists a label twice."""
    assert labels.codes is not None
    keys = np.sort(np.repeat(np.arange(len(sizes)), sizes) * len(labels.names) + labels.codes)
    return bool((keys[1:] == keys[:-1]).any())


def _listed_in_texts(cells: Any) -> tuple[np.ndarray, Coded, Any] | None:
    """What JSON objects list, parsed a few at a time: what they hold stays in the cache until it is
    read.
    """
    sizes: list[np.ndarray] = []
    names: list[Any] = []
    values: list[Any] = []
    for start in range(0, len(cells), _CHUNK):
        docs = _objects(cells.slice(start, _CHUNK))
        if docs is None:
            return None
        size, listed, stated = listed_in(docs, len(docs))
        sizes.append(size)
        names += listed.names
        values += stated
    return np.concatenate([*sizes, np.zeros(0, dtype=np.int64)]), Coded(names), values


def _objects(cells: Any) -> list[Any] | None:
    """The JSON objects that the cells hold, or None if one holds anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.and_(pc.starts_with(cells, "{"), pc.ends_with(cells, "}"))
    if not pc.all(whole).as_py():
        return None
    text = (
        pc.binary_join(pa.ListArray.from_arrays([0, len(cells)], cells), ",")[0]
        .as_buffer()
        .to_pybytes()
    )
    try:
        docs = json_files.loads(b"[" + text + b"]")
    except ValueError:
        return None
    return docs if len(docs) == len(cells) and set(map(type, docs)) <= {dict} else None


def parquet_chunks(path: Path, reading: Reading) -> Iterator[list[Any] | Columns]:
    """Yield the records of a Parquet file: batches of ordinary rows as columns, any other batch row
    by row.

    Dates and times are called by their ISO form, whole and decimal numbers by their digits, truth
    values true and false.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        refuse_parquet(path, file.metadata)
        schema = file.schema_arrow
        numbers = [_may_be_number(kind) for kind in schema.types]
        layout = _layout(path, schema.names, reading, numbers)
        watch = _Numbering(reading)
        stored = [schema.names[place] for place in layout.places]
        for part in file.iter_batches(_BATCH, columns=stored):
            arrays = [
                _readable(part.column(name), name, own)
                for name, own in zip(stored, layout.names, strict=True)
            ]
            table = pa.table(arrays, names=list(layout.names))
            for chunk in _table_chunks(table):
                watch.see(chunk)
                yield chunk
        watch.warn()
    except (_Unreadable, TooLarge) as error:
        raise ValueError(f"{path}: {error}") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is not a Parquet file, or a damaged one: {reason}") from None


def _table_chunks(table: Any) -> Iterable[list[Any] | Columns]:
    columns = None
    if _is_ordinary(table.column_names):
        columns = _of_table(table)
    if columns is not None:
        yield columns
        return
    for start in range(0, table.num_rows, _CHUNK):
        yield [_parquet_record(record) for record in table.slice(start, _CHUNK).to_pylist()]


class _Unreadable(ValueError):
    """A column of a type that holds no names and no numbers."""


def _may_be_number(kind: Any) -> bool:
    import pyarrow as pa

    is_text = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
    return is_text or pa.types.is_null(kind) or _is_numeric(kind)


def _is_numeric(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)


def _readable(cells: Any, stored: str, own: str) -> Any:
    """Return a column as texts or numbers that can be read, or refuse its type."""
    import pyarrow as pa

    kind = cells.type
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        cells, kind = cells.cast(kind.value_type), kind.value_type
    if pa.types.is_string_view(kind):
        cells, kind = cells.cast(pa.string()), pa.string()
    if own in ("input", "label"):
        return _named(cells, stored, own)
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return cells.cast(pa.float64())
    if own in ("logprob", "prob") and not _may_be_number(kind):
        raise _Unreadable(f"column {stored!r} has type {kind}: the {own} must be a number")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_temporal(kind):
        raise _Unreadable(f"column {stored!r} has type {kind}: it must hold texts or numbers")
    return cells


def _named(cells: Any, stored: str, own: str) -> Any:
    """Return a column of inputs or labels as texts, or as it is where its cells are named one by
    one.
    """
    import pyarrow as pa

    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return _iso(cells)
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return cells.cast(pa.string())
    if _is_messages(kind) and own == "input":
        return cells
    if pa.types.is_floating(kind) and own == "label":
        return pa.array(map(_digits, cells.to_pylist()), pa.string())
    plain = pa.types.is_dictionary(kind) or _may_be_number(kind)
    if not plain:
        raise _Unreadable(f"column {stored!r} has type {str(kind)[:60]}: store each {own} as text")
    return cells


def _digits(value: float | None) -> str | None:
    """A number as text, a whole one without a point: pandas makes floats of whole numbers beside
    missing ones.
    """
    if value is None or value != value:
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def _iso(cells: Any) -> Any:
    """Dates and times as ISO 8601 writes them, without zeros at the end of a fraction: the same for
    every unit.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = cells.cast(pa.string())
    texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    texts = pc.replace_substring_regex(texts, r"(\.\d*?)0+(Z?)$", r"\1\2")
    return pc.replace_substring_regex(texts, r"\.(Z?)$", r"\1")


def _is_messages(kind: Any) -> bool:
    """Lists of {role, content}: a conversation."""
    import pyarrow as pa

    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(
        kind.value_type
    ):
        return False
    return {"role", "content"} <= {field.name for field in kind.value_type}


def _parquet_record(record: Doc) -> Doc:
    listed = record.get("top_logprobs")
    # A struct column holds every label that occurs anywhere, null where a row does not list it.
    if isinstance(listed, dict):
        return {
            **record,
            "top_logprobs": {label: value for label, value in listed.items() if value is not None},
        }
    return record
