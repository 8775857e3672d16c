"""JSON lines and JSON arrays, chunk by chunk: each record parsed, or the Skip of one that cannot be."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from kt_theory.transfer.account import Skip

_CHUNK = 1024
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"


def lenient(line: bytes) -> Any:
    """Parse JSON, and the NaN and Infinity that Python writes though JSON has none. Texts must be valid Unicode."""
    doc = json.loads(line)
    if b"\\ud" in line.lower():
        json.dumps(doc, ensure_ascii=False).encode()
    return doc


loads: Callable[[bytes], Any]
try:
    from orjson import loads
except ImportError:  # orjson is several times faster; the standard library reads the same records.
    loads = lenient


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
        if array:
            yield from _array_chunks(file)
            return
        while lines := list(islice(file, _CHUNK)):
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
        lenient(first)
    except (ValueError, RecursionError):
        return True
    return False


def _array_chunks(file: BinaryIO) -> Iterator[list[Any]]:
    """The elements of an array, block by block, in chunks."""
    elements = _elements(file)
    while chunk := list(islice(elements, _CHUNK)):
        yield chunk


def _elements(file: BinaryIO) -> Iterator[Any]:
    """The elements of an array; after one that is no JSON the rest cannot be told apart."""
    decoder, decode = codecs.getincrementaldecoder("utf-8")(), json.JSONDecoder().raw_decode
    text, place, opened, ended, why = "", 0, False, False, "the array does not end"
    while True:
        place = _MEANINGLESS.match(text, place).end()  # type: ignore[union-attr]
        here = text[place : place + 1]
        if opened and here == "]":
            if text[place + 1 :].strip() or file.read(1).strip():
                yield Skip("malformed", "not JSON: something stands after the end of the array")
            return
        if here and not opened:
            opened, place = True, place + 1
            continue
        if here:
            try:
                doc, after = decode(text, place)
                # A number at the end of a block may go on in the next one.
                if after < len(text) or ended:
                    yield _with_valid_texts(doc, text[place:after])
                    place = after
                    continue
            except (ValueError, RecursionError) as error:
                why = " ".join(str(error).split())
        if ended:
            yield Skip("malformed", f"not JSON: {why}; the rest of the file cannot be read")
            return
        # A record longer than what was read is looked at again and again: in steps that double.
        block = file.read(max(_BLOCK, len(text) - place))
        try:
            text, place, ended = text[place:] + decoder.decode(block, not block), 0, not block
        except UnicodeDecodeError as error:
            yield Skip("malformed", f"not UTF-8: {error.reason}; the rest of the file cannot be read")
            return
        why = "the array does not end"


_MEANINGLESS = re.compile(r"[ \t\r\n,]*")


def _with_valid_texts(doc: Any, text: str) -> Any:
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(doc, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            return Skip("malformed", f"not JSON: {error}")
    return doc


def _parse(lines: list[bytes]) -> list[Any]:
    # One call for the whole chunk; a chunk with a bad line is read line by line.
    try:
        docs = loads(b"[" + b",".join(lines) + b"]")
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
        return loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return lenient(line)
    except (ValueError, RecursionError) as error:
        return Skip("malformed", f"not JSON: {' '.join(str(error).split())}")
