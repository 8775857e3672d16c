"""CSV and Parquet files of plain records, chunk by chunk."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kt_theory.transfer import lines
from kt_theory.transfer.account import Skip
from kt_theory.transfer.plain import FIELDS, Coded, Columns, listed_in, ordinary, read_alone

_CHUNK = 1024
_BLOCK = 1 << 22
_BATCH = 1 << 16
_NUMBERS = ("logprob", "prob", "temperature", "top_p")


def csv_chunks(path: Path, field: str) -> Iterator[list[Any] | Columns]:
    """Yield the records of a CSV file: blocks of ordinary lines as columns, any other block row by row."""
    with path.open("rb") as file:
        rows = _Rows(file)
        header = next(rows, None)
        if header is None:
            return
        if isinstance(header, Skip) or "\x00" in "".join(header):
            raise ValueError(f"{path} is not a CSV file: its first line must name the columns")
        header[0] = header[0].removeprefix("\ufeff").strip('"')
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise ValueError(f"{path}: column {twice[0]!r} stands there twice")
        if field not in header:
            named = ", ".join(header)
            named = named if len(named) < 120 else f"{named[:117]}..."
            raise ValueError(f"{path}: column {field!r} is missing; the first line names {named}")
        start = file.tell() - rows.waiting
        file.seek(start)
        while block := file.read(_BLOCK):
            block += file.readline()
            end = file.tell()
            columns = _columns(block, header, field)
            if columns is not None:
                yield columns
                continue
            file.seek(end - len(block))
            yield from _record_chunks(_Rows(file), header, end)


class _Rows:
    """The rows of a CSV file from where it stands; `waiting` bytes were read and not yet given out."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.pending: list[str] = []
        self._reader = csv.reader(self._lines())

    @property
    def waiting(self) -> int:
        return sum(len(line.encode("utf-8", "surrogateescape")) for line in self.pending)

    def _lines(self) -> Iterator[str]:
        for line in iter(self.file.readline, b""):
            # Bytes that are no text come back with the row that holds them. A lone carriage return ends a line too.
            text = line.decode("utf-8", "surrogateescape")
            self.pending = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
            while self.pending:
                yield self.pending.pop(0)

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> list[str] | Skip:
        limit = csv.field_size_limit(2**31 - 1)
        try:
            row = next(self._reader)
            "".join(row).encode()
            return row
        except csv.Error as error:
            return Skip("malformed", f"not CSV: {error}")
        except UnicodeEncodeError:
            return Skip("malformed", "not UTF-8")
        finally:
            csv.field_size_limit(limit)


def _record_chunks(rows: _Rows, header: list[str], end: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row if isinstance(row, Skip) else _record(header, row))
        done = rows.file.tell() >= end and not rows.pending
        if len(chunk) == _CHUNK or done:
            yield chunk
            chunk = []
        if done:
            return
    if chunk:
        yield chunk


def _record(header: list[str], row: list[str]) -> Any:
    if not row:
        return Skip("blank", "blank line")
    if len(row) != len(header):
        return Skip("malformed", f"{len(row)} cells, the header names {len(header)}")
    record: dict[str, Any] = {name: cell for name, cell in zip(header, row, strict=True) if cell != ""}
    for name in _NUMBERS:
        if name in record:
            try:
                record[name] = float(record[name])
            except ValueError:
                return Skip("malformed", f"{name} = {record[name]!r}: must be a number")
    return record


def _columns(block: bytes, header: list[str], field: str) -> Columns | None:
    """The columns of a block of whole lines, or None where a row is out of the ordinary and must be read alone."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    rows = block.count(b"\n") + (not block.endswith(b"\n"))
    whole = block.count(b'"') % 2 == 0 and block.count(b"\r") == block.count(b"\r\n") and b"\x00" not in block
    if not whole or "label" not in header or not ordinary(header):
        return None
    coded = pa.dictionary(pa.int32(), pa.string())
    kinds = {field: coded, "label": coded, "logprob": pa.float64(), "top_logprobs": pa.string()}
    kinds = {name: kind for name, kind in kinds.items() if name in header}
    try:
        table = arrow.read_csv(
            pa.py_buffer(block),
            arrow.ReadOptions(column_names=header, use_threads=False, block_size=len(block) + 1),
            arrow.ParseOptions(newlines_in_values=b'"' in block),
            arrow.ConvertOptions(
                include_columns=list(kinds), column_types=kinds, null_values=[""], strings_can_be_null=True
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    if table.num_rows != rows or any(column.null_count for column in table.columns):
        return None
    return _of_table(table, field)


def _of_table(table: Any, field: str) -> Columns | None:
    """The columns of an Arrow table, or None where a cell is out of the ordinary."""
    inputs, labels = (_texts(table[name].combine_chunks()) for name in (field, "label"))
    listed: Any = listed_in([], table.num_rows)
    if "top_logprobs" in table.column_names:
        listed = _listed(table["top_logprobs"].combine_chunks())
    own = _numbers(table["logprob"].combine_chunks()) if "logprob" in table.column_names else None
    if inputs is None or labels is None or listed is None or (own is None and "logprob" in table.column_names):
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

    if cells.null_count or not (pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type)):
        return None
    return cells.to_numpy(zero_copy_only=False).astype(np.float64)


def _listed(cells: Any) -> tuple[np.ndarray, Coded, Any] | None:
    """What each row lists, of JSON objects, a struct, a map or lists of {label, logprob}: sizes, labels, values."""
    import pyarrow as pa

    if pa.types.is_large_string(cells.type):
        cells = cells.cast(pa.string())
    if pa.types.is_string(cells.type):
        docs = None if cells.null_count else _objects(cells)
        return None if docs is None else listed_in(docs, len(cells))
    if pa.types.is_struct(cells.type):
        # It holds every label that occurs anywhere, null where a row does not list it.
        fields = [field for field in cells.type if field.name]
        if not fields or not all(pa.types.is_floating(field.type) for field in fields):
            return None
        parts = cells.flatten()
        here = np.column_stack([part.is_valid().to_numpy(zero_copy_only=False) for part in parts])
        used = np.flatnonzero(here.any(axis=0))
        row, place = np.nonzero(here[:, used])
        values = np.column_stack([part.to_numpy(zero_copy_only=False) for part in parts])[:, used][row, place]
        return here.sum(axis=1), Coded([fields[i].name for i in used], place), values
    if pa.types.is_map(cells.type):
        pair = cells.keys, cells.items
    elif pa.types.is_list(cells.type) and pa.types.is_struct(cells.type.value_type) and not cells.values.null_count:
        parts = dict(zip([field.name for field in cells.type.value_type], cells.values.flatten(), strict=True))
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


def _objects(cells: Any) -> list[Any] | None:
    """The JSON objects that the cells hold, or None if one holds anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.and_(pc.starts_with(cells, "{"), pc.ends_with(cells, "}"))
    if not pc.all(whole).as_py():
        return None
    text = pc.binary_join(pa.ListArray.from_arrays([0, len(cells)], cells), ",")[0].as_buffer().to_pybytes()
    try:
        docs = lines.loads(b"[" + text + b"]")
    except ValueError:
        return None
    return docs if len(docs) == len(cells) and set(map(type, docs)) <= {dict} else None


def parquet_chunks(path: Path, field: str) -> Iterator[list[Any] | Columns]:
    """Yield the records of a Parquet file: batches of ordinary rows as columns, any other batch row by row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if field not in names:
            raise ValueError(f"{path}: column {field!r} is missing; there are {', '.join(names)}")
        wanted = [name for name in names if name in FIELDS or name == field or read_alone(name)]
        in_columns = "label" in names and ordinary(names)
        for part in file.iter_batches(_BATCH, columns=wanted):
            columns = _of_table(pa.table(part), field) if in_columns else None
            if columns is not None:
                yield columns
                continue
            for start in range(0, part.num_rows, _CHUNK):
                yield [_parquet_record(record) for record in part.slice(start, _CHUNK).to_pylist()]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{path} is not a Parquet file: {error}") from None


def _parquet_record(record: dict[str, Any]) -> dict[str, Any]:
    listed = record.get("top_logprobs")
    # A struct column holds every label that occurs anywhere, null where a row does not list it.
    if isinstance(listed, dict):
        listed = {label: value for label, value in listed.items() if value is not None}
    return {name: value for name, value in {**record, "top_logprobs": listed}.items() if value is not None}
