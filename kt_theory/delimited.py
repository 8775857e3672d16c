"""CSV files of other people: which character parts the cells, how numbers are written, which
encoding it is.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TextIO

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What parts cells, the likeliest first, and what it is called."""

SAMPLE = 1 << 20
"""Bytes at the start of a file by which it is judged."""

INDEX_NAMES = frozenset({"", "id", "idx", "index", "row", "unnamed: 0", "rownames"})
"""What a column that only numbers the rows is called, without case."""

MOST_LINE = 1 << 25
"""Letters of a line, and of a cell: no table of answers or probabilities has longer ones."""

MOST_CELLS = 1 << 20
"""Cells of a line."""

_HEAD = 1 << 15
_ROWS = 20
_NAMED = re.compile(r'"?sep=([,;\t|:^~])"?[ \t]*(?:\r\n|\n|\r)', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")


def delimiter_of(text: str, good: Callable[[list[list[str]]], float]) -> str:
    """Return the character that parts the cells of a text.

    Parameters
    ----------
    text : str
        The first lines, blank ones left out.
    good : callable
        How well a header and its rows fit what the file should hold; among equals the more regular
        rows win, then the likelier character.
    """
    best, found = (0.0, 0.0), ","
    for delimiter in DELIMITERS:
        rows = first_rows(text, delimiter)
        if not rows or len(rows[0]) < 2:
            continue
        regular = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        score = (good(rows), regular)
        if score > best:
            best, found = score, delimiter
    return found


def named_delimiter(text: str) -> tuple[str, str]:
    """Return the character that the first line names as Excel writes it, `sep=;`, and the text
    behind that line.

    The character is empty where no line does so.
    """
    found = _NAMED.match(text)
    return (found[1], text[found.end() :]) if found else ("", text)


def first_rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the first rows of a text that are not blank; a last line that may have been cut is
    left out.
    """
    head = text[:_HEAD]
    if len(head) < len(text):
        # Whole lines, at least a header and a row of them.
        head = text if head.count("\n") < 2 else head[: head.rfind("\n") + 1]
    found: list[list[str]] = []
    with long_cells(), suppress(csv.Error):
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            cells = [cell.strip() for cell in row]
            if any(cells):
                found.append(cells)
            if len(found) == _ROWS:
                break
    return found


TOO_LONG = f"more than {MOST_LINE:,} letters: too long for one line"


def why_too_long(line: str, delimiter: str) -> str:
    """Return in words why no table has such a line, "" if one may."""
    if len(line) > MOST_LINE:
        return TOO_LONG
    if line.count(delimiter) >= MOST_CELLS:
        return f"more than {MOST_CELLS:,} cells: too many for one line"
    return ""


def lines_of(text: TextIO, delimiter: str, where: str = "") -> Iterator[str]:
    """Yield the lines of a text, or refuse one that no table has; `where` they stand, for the
    message.
    """
    for number, line in enumerate(iter(partial(text.readline, MOST_LINE + 1), ""), 1):
        if why := why_too_long(line, delimiter):
            raise ValueError(f"{where}line {number} has {why}")
        yield line


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the cells that `csv` reads be as long as lines are."""
    limit = csv.field_size_limit(MOST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def with_point(cell: str) -> str:
    """Return a number with a point for its decimal comma, anything else as it stands."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def has_decimal_comma(cell: str) -> bool:
    """Return whether a cell is a number with a decimal comma."""
    return _DECIMAL_COMMA.fullmatch(cell) is not None


def counts_rows(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column only numbers the rows: it is called so, and holds 0, 1, 2, ... or 1,
    2, 3, ...
    """
    if name.strip().lower() not in INDEX_NAMES or not cells or cells[0] not in ("0", "1"):
        return False
    first = int(cells[0])
    return list(cells) == [str(number) for number in range(first, first + len(cells))]


def other_encoding(sample: bytes) -> str:
    """Return which other encoding than UTF-8 a text seems to have, in words, or an empty text.

    Of bytes that are no UTF-8, all must read as letters of Windows-1252 and none as UTF-8: a stray
    byte in a text that holds letters of UTF-8 is damage, not another encoding.
    """
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    head = sample[:200]
    if len(head) > 1 and (not any(head[1::2]) or not any(head[::2])) and any(head):
        return "UTF-16 without a mark"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return ""
    except UnicodeDecodeError as error:
        high = sample.translate(None, bytes(range(128)))
        if set(high) & _NOT_WINDOWS or _UTF8.search(sample):
            return ""
        line = sample.count(b"\n", 0, error.start) + 1
        return f"Windows-1252 (cp1252), see byte 0x{sample[error.start]:02x} on line {line}"


_NOT_WINDOWS = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D, 0xFE, 0xFF})
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
