"""Files of records: which format a file has, and its lines one by one."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kt_theory.transfer import openai, plain, servers
from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.answers import Answer, Reader, Reading
from kt_theory.transfer.builder import Builder
from kt_theory.transfer.lines import json_chunks
from kt_theory.transfer.tables import csv_chunks, in_columns, parquet_chunks
from kt_theory.validation import unknown_name

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
        .jsonl, .json, .ndjson or .txt: JSON lines, or one JSON array; .csv, .tsv; .parquet.
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
    if format not in (None, "plain"):
        _refuse_label_field(reading)
    suffix = path.suffix.lower()
    chunks: Iterable[list[Any] | plain.Columns]
    if suffix in {".csv", ".tsv"}:
        chunks, reading = csv_chunks(path, reading), in_columns(reading)
    elif suffix == ".parquet":
        chunks, reading = parquet_chunks(path, reading), in_columns(reading)
    elif suffix in {".jsonl", ".json", ".ndjson", ".txt", ""}:
        chunks = json_chunks(path)
    else:
        raise ValueError(f"{path}: must be .jsonl, .ndjson, .json, .csv, .tsv or .parquet")
    account.format = format or ("plain" if suffix in {".csv", ".tsv", ".parquet"} else "")
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


def _take(chunk: list[Any] | plain.Columns, builder: Builder, account: Account, reading: Reading, fatal: bool) -> None:
    """Read a chunk: columns, or a list of parsed records and of Skips in place of lines that are none."""
    first = account.lines + 1
    columns = chunk if isinstance(chunk, plain.Columns) else None
    if isinstance(chunk, list) and chunk and (account.format == "plain" or _begins_plainly(chunk[0], account)):
        columns = plain.Columns.of(chunk, reading) if plain.first_line(chunk, first) is not None else None
    if columns is not None:
        account.format = "plain"
        account.lines += len(columns.sizes)
        begins = plain.first_line(chunk, first)
        builder.add_columns(columns, first if begins is None else begins)
    elif isinstance(chunk, list):
        account.lines += len(chunk)
        numbers = chunk.lines if isinstance(chunk, plain.Numbered) else range(first, first + len(chunk))
        _take_each(chunk, numbers, builder, account, reading, fatal)


def _begins_plainly(doc: Any, account: Account) -> bool:
    """The first record of a file whose format is not given is a plain one."""
    try:
        return not account.format and isinstance(doc, dict) and recognise(doc) == "plain"
    except Skip:
        return False


def _take_each(
    chunk: list[Any], numbers: Iterable[int], builder: Builder, account: Account, reading: Reading, fatal: bool
) -> None:
    answers: list[Answer] = []
    lines: list[int] = []
    for line, doc in zip(numbers, chunk, strict=True):
        try:
            if isinstance(doc, Skip):
                raise doc
            if not isinstance(doc, dict):
                raise Skip("malformed", "not a JSON object: write one record a line")
            if not account.format:
                account.format = _format_of(doc, reading)
            found = READERS[account.format](doc, reading)
            if reading.model is not None:
                found = _of_model(found, reading.model)
            answers.extend(found)
            lines.extend([line] * len(found))
        except Skip as skip:
            if fatal and skip.outcome == "malformed":
                raise ValueError(f"{account.source} line {line}: {skip}") from None
            account.skipped.append((line, skip.outcome, str(skip)))
    if answers:
        builder.add(answers, lines)


def _format_of(doc: dict[str, Any], reading: Reading) -> str:
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
    """Raise an error if the user named a field of the label where an answer's label is its first token or its text."""
    if reading.label_field is not None:
        raise unknown_name("label", reading.label_field, ("first_token", "text"))


def _of_model(answers: list[Answer], model: str) -> list[Answer]:
    kept = [answer for answer in answers if answer.origin.model == model]
    if answers and not kept:
        raise Skip("other model", f"model {answers[0].origin.model or 'not stated'}")
    return kept


def recognise(doc: dict[str, Any], input: str | None = None) -> str:
    """Return the name of the format that a record has; raise a Skip if it has none of `READERS`.

    `input` is the field that the user named for the input.
    """
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
        ("plain", plain.recognises(doc, input)),
    )
    for name, found in tests:
        if found:
            return name
    raise Skip("malformed", f"no known format: fields {', '.join(sorted(map(str, doc))[:8])}")
