"""Files of records: which format a file has, and its lines one by one."""

from __future__ import annotations

import csv
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from kt_theory.transfer import openai, plain, servers
from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.answers import Reader, Reading
from kt_theory.transfer.builder import Builder
from kt_theory.validation import unknown_name


def lenient(line: bytes) -> Any:
    """Parse JSON, and the NaN and Infinity that Python writes though JSON has none. Texts must be valid Unicode."""
    doc = json.loads(line)
    if b"\\ud" in line.lower():
        json.dumps(doc, ensure_ascii=False).encode()
    return doc


_loads: Callable[[bytes], Any]
try:
    from orjson import loads as _loads
except ImportError:  # orjson is several times faster; the standard library reads the same records.
    _loads = lenient

READERS: dict[str, Reader] = {
    "plain": plain.record,
    "openai_chat": openai.chat,
    "openai_responses": openai.responses,
    "openai_completions": openai.completions,
    "openai_batch": openai.batch,
    "vllm": servers.vllm,
    "sglang": servers.sglang,
    "llama_cpp": servers.llama_cpp,
    "gemini": servers.gemini,
}
"""Formats of JSON lines, by name."""

_CHUNK = 1024


def read_file(
    path: Path, builder: Builder, account: Account, format: str | None, reading: Reading, fatal: bool
) -> None:
    """Read the records of a file into `builder`, and what became of its lines into `account`.

    Parameters
    ----------
    path : Path
        .jsonl, .json, .ndjson or .txt: JSON lines; .csv; .parquet.
    format : str or None
        One of `READERS`; recognised by the first record if omitted.
    fatal : bool
        Raise an error at the first malformed line.

    Raises
    ------
    ValueError
        For an unknown format or suffix, or a malformed line if `fatal`.
    """
    if format is not None and format not in READERS:
        raise unknown_name("format", format, READERS)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        chunks = _csv_chunks(path)
    elif suffix == ".parquet":
        chunks = _parquet_chunks(path)
    elif suffix in {".jsonl", ".json", ".ndjson", ".txt", ""}:
        chunks = _json_chunks(path)
    else:
        raise ValueError(f"{path}: must be .jsonl, .ndjson, .json, .csv or .parquet")
    account.format = format or ("plain" if suffix in {".csv", ".parquet"} else "")
    with _no_collection():
        for chunk in chunks:
            _take(chunk, builder, account, reading, fatal)
    account.format = account.format or "unknown"


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


def _take(chunk: list[Any], builder: Builder, account: Account, reading: Reading, fatal: bool) -> None:
    """Read a chunk; each item is a parsed record, or the Skip of a line that is none."""
    first = account.lines + 1
    account.lines += len(chunk)
    if account.format in ("", "plain") and reading.input is None:
        columns = plain.Columns.of(chunk)
        if columns is not None and builder.add_columns(columns):
            account.format = "plain"
            return
    for line, doc in enumerate(chunk, first):
        try:
            if isinstance(doc, Skip):
                raise doc
            if not isinstance(doc, dict):
                raise Skip("malformed", "not a JSON object: write one record a line")
            if not account.format:
                account.format = recognise(doc)
            builder.add(READERS[account.format](doc, reading))
        except Skip as skip:
            if fatal and skip.outcome == "malformed":
                raise ValueError(f"{account.source} line {line}: {skip}") from None
            account.skipped.append((line, skip.outcome, str(skip)))


def recognise(doc: dict[str, Any]) -> str:
    """Return the name of the format that a record has; raise a Skip if it has none of `READERS`."""
    if "custom_id" in doc and ("response" in doc or "error" in doc):
        return "openai_batch"
    body = doc.get("response")
    body = body.get("body", body) if isinstance(body, dict) else doc
    if not isinstance(body, dict):
        body = doc
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    # vLLM writes the field into every answer, null where it was not asked for.
    scored = body.get("prompt_logprobs") or choice.get("prompt_logprobs")
    tests = (
        ("sglang", "meta_info" in body),
        ("llama_cpp", "completion_probabilities" in body or ("content" in body and "generation_settings" in body)),
        ("gemini", "candidates" in body or "promptFeedback" in body),
        ("openai_responses", isinstance(body.get("output"), list)),
        ("vllm", "outputs" in body or (scored and not choice.get("logprobs"))),
        ("openai_completions", "text" in choice),
        ("openai_chat", "message" in choice or "choices" in body),
        ("plain", "label" in doc or "top_logprobs" in doc or "top_probs" in doc),
    )
    for name, found in tests:
        if found:
            return name
    raise Skip("malformed", f"no known format: fields {', '.join(sorted(map(str, doc))[:8])}")


def _json_chunks(path: Path) -> Iterator[list[Any]]:
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(b"\xff\xfe") or head.startswith(b"\xfe\xff"):
            raise ValueError(f"{path} is UTF-16: records must be UTF-8 lines of JSON")
        file.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
        while lines := list(islice(file, _CHUNK)):
            yield _parse(lines)


def _parse(lines: list[bytes]) -> list[Any]:
    # One call for the whole chunk; a chunk with a bad line is read line by line.
    try:
        docs = _loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        docs = []
    # A line may hold two records or half of one: as many records as lines is not enough.
    if len(docs) == len(lines) and all(type(doc) is dict for doc in docs) and all(_closed(line) for line in lines):
        return docs
    return [_parse_line(line) for line in lines]


def _closed(line: bytes) -> bool:
    return line[:1] == b"{" and line.rstrip()[-1:] == b"}"


def _parse_line(line: bytes) -> Any:
    if not line.strip():
        return Skip("blank", "blank line")
    try:
        return _loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return lenient(line)
    except (ValueError, RecursionError) as error:
        return Skip("malformed", f"not JSON: {' '.join(str(error).split())}")


def _csv_chunks(path: Path) -> Iterator[list[Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if header is None:
            return
        if "input" not in header:
            raise ValueError(f"{path}: column 'input' is missing; the first line names {', '.join(header)}")
        while True:
            chunk = []
            try:
                for row in islice(reader, _CHUNK):
                    chunk.append(_csv_record(header, row))
            except (csv.Error, UnicodeDecodeError) as error:
                chunk.append(Skip("malformed", f"not CSV: {error}; the rest of the file cannot be read"))
                yield chunk
                return
            if not chunk:
                return
            yield chunk


def _csv_record(header: list[str], row: list[str]) -> Any:
    if not row:
        return Skip("blank", "blank line")
    if len(row) != len(header):
        return Skip("malformed", f"{len(row)} cells, the header names {len(header)}")
    record: dict[str, Any] = {name: cell for name, cell in zip(header, row, strict=True) if cell != ""}
    for name in ("logprob", "prob", "temperature", "top_p"):
        if name in record:
            try:
                record[name] = float(record[name])
            except ValueError:
                return Skip("malformed", f"{name} = {record[name]!r}: must be a number")
    return record


def _parquet_chunks(path: Path) -> Iterator[list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        for part in file.iter_batches(_CHUNK):
            yield [_parquet_record(record) for record in part.to_pylist()]
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file: {error}") from None


def _parquet_record(record: dict[str, Any]) -> dict[str, Any]:
    listed = record.get("top_logprobs")
    # A struct column holds every label that occurs anywhere, null where a row does not list it.
    if isinstance(listed, dict):
        listed = {label: value for label, value in listed.items() if value is not None}
    return {name: value for name, value in {**record, "top_logprobs": listed}.items() if value is not None}
