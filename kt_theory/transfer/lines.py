"""JSON lines and JSON arrays, chunk by chunk: each record parsed, or the Skip of one that cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from kt_theory.transfer.account import Skip
from kt_theory.transfer.answers import UNKNOWN

_CHUNK = 256
"""Records parsed at once: few enough to stay in the cache until they are read."""
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"


def loads(text: bytes | str) -> Any:
    """Parse JSON, and the NaN and Infinity that Python writes though JSON has none: as huge numbers."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raw = text.encode() if isinstance(text, str) else text
        plain = _TEXT_OR_NAME.sub(lambda found: _NAMED.get(found[0], found[0]), raw)
        if plain == raw:
            raise
    return orjson.loads(plain)


_TEXT_OR_NAME = re.compile(rb'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)
_NAMED = {b"NaN": b"%g" % UNKNOWN, b"-Infinity": b"%g" % UNKNOWN, b"Infinity": b"%g" % -UNKNOWN}


def json_chunks(path: Path) -> Iterator[list[Any]]:
    """Yield the records of JSON lines, or of a file that is one JSON array."""
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError(f"{path} is UTF-16: records must be UTF-8 lines of JSON")
        if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PAR1")):
            kind = "a Parquet file" if head == b"PAR1" else "compressed"
            raise ValueError(f"{path} is {kind}: records must be UTF-8 lines of JSON")
        start = 3 if head.startswith(_BOM) else 0
        file.seek(start)
        array = _is_array(file)
        file.seek(start)
        records: Iterator[bytes | Skip] = _elements(file) if array else iter(file)
        while lines := list(islice(records, _CHUNK)):
            yield _parse(lines)


def _is_array(file: BinaryIO) -> bool:
    """The file begins with a JSON array that is not the first of several lines."""
    head = file.read(_BLOCK)
    text = head.lstrip()
    if not text.startswith(b"["):
        return False
    first, newline, rest = text.partition(b"\n")
    if not newline or not (rest.strip() or len(head) == _BLOCK):
        return True
    try:
        loads(first)
    except ValueError:
        return True
    return False


def _elements(file: BinaryIO) -> Iterator[bytes | Skip]:
    """The elements of an array as they stand there, cut at its commas; then the Skip of an end that is not its."""
    text, begun = b"", False
    # A record longer than what was read is looked at again and again: in steps that double.
    while block := file.read(max(_BLOCK, len(text))):
        text += block
        if not begun:
            text = text.lstrip()
            begun, text = bool(text), text[1:]
        cuts, end = _cuts(text)
        place = 0
        for cut in cuts:
            yield text[place:cut].strip()
            place = cut + 1
        if end is not None:
            if last := text[place:end].strip():
                yield last
            if text[end + 1 :].strip() or file.read(_BLOCK).strip():
                yield Skip("malformed", "not JSON: something stands after the end of the array")
            return
        text = text[place:]
    if last := text.strip():
        yield last
    yield Skip("malformed", "not JSON: the array does not end")


def _cuts(text: bytes) -> tuple[list[int], int | None]:
    """Where the commas between whole elements stand, and the bracket that ends the array."""
    # Spaces in place of what a backslash marks: the quotes that are left begin and end texts.
    marks = np.frombuffer(text.replace(b"\\\\", b"  ").replace(b'\\"', b"  "), dtype=np.uint8)
    kind = _KINDS[marks]
    place = np.flatnonzero(kind)
    kind = kind[place]
    outside = np.cumsum(kind == _QUOTE) % 2 == 0
    place, kind = place[outside], kind[outside]
    depth = np.cumsum(np.where(kind <= 1, kind, 0))
    ends = np.flatnonzero(depth < 0)[:1]
    commas = (kind == _COMMA) & (depth == 0)
    if len(ends):
        commas[ends[0] :] = False
    return place[commas].tolist(), int(place[ends[0]]) if len(ends) else None


_COMMA, _QUOTE = 2, 3
_KINDS = np.zeros(256, dtype=np.int8)
_KINDS[list(b"{[")], _KINDS[list(b"}]")], _KINDS[ord(",")], _KINDS[ord('"')] = 1, -1, _COMMA, _QUOTE


def _parse(lines: list[Any]) -> list[Any]:
    if isinstance(lines[-1], Skip):
        return [*map(_parse_line, lines[:-1]), lines[-1]]
    # One call for the whole chunk; a chunk with a bad line is read line by line.
    try:
        docs = orjson.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
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
        return loads(line)
    except ValueError as error:
        return Skip("malformed", f"not JSON: {' '.join(str(error).split())}")
