"""JSON as it lies on the disk, chunk by chunk: each record parsed, or the Skip of one that cannot
be.

A file holds one record a line, one array of records, records that go over several lines one after
the other, or one object that holds a list of records under one of the names in `WRAPPERS`. Only of
the first a record's number is that of its line; of the others it is its place among the records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson

from kt_theory.packed import unpacked
from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import FRAMES_OF_REQUESTS, UNKNOWN, WRAPPER, Doc
from kt_theory.transfer.read.reasoning import ASKS, asked_for
from kt_theory.transfer.read.sampling import origin_of, says_something

TOGETHER = 256
"""Records that become columns at once: however long they are, a chunk ends with the last of them.
"""
_ROOM = 5 << 14
"""Bytes of records that are parsed at once, but for the last of them: few enough for what they hold
to stay in the cache until it is read.
"""
_BLOCK = 1 << 20
_HEAD = 1 << 20
"""What is looked at to tell how a file is laid out."""
_BOM = b"\xef\xbb\xbf"

MOST_LINE = 1 << 26
"""Bytes of one record: no server takes a request as long."""
MOST_VALUES = 1 << 22
"""Values of one record: each takes up to 200 bytes of memory, however few it takes in the file."""

WRAPPERS = frozenset(
    {"data", "records", "results", "responses", "items", "samples", "interactions"}
)
"""Names under which one object holds a list of records."""


class End(Skip):
    """The line of a stream that says it has ended."""

    def __init__(self) -> None:
        super().__init__("blank", "the end of a stream")


class TooMuch(ValueError):
    """A text of more bytes or values than a record has, which is not parsed."""


def loads(text: bytes | str) -> Any:
    """Parse JSON, and the NaN and Infinity that Python writes though JSON has none: as huge
    numbers.

    Raises
    ------
    TooMuch
        Beyond `MOST_LINE` or `MOST_VALUES`.
    json.JSONDecodeError
        If it is not JSON.
    """
    if len(text) > MOST_VALUES:
        _refuse_much(text.encode() if isinstance(text, str) else text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raw = text.encode() if isinstance(text, str) else text
        # A byte that no text in UTF-8 has marks what is renamed.
        if not any(name in raw for name in _NAMES) or _MARK in raw:
            raise
    return orjson.loads(_renamed(raw))


def _refuse_much(raw: bytes) -> None:
    if len(raw) > MOST_LINE:
        raise _too_long()
    if sum(map(raw.count, b",[{")) <= MOST_VALUES:
        return
    scan, values = _Scan(), 0
    for start in range(0, len(raw), _BLOCK):
        values += int((scan.marks(raw[start : start + _BLOCK])[1] > 0).sum())
        if values > MOST_VALUES:
            raise TooMuch(f"more than {MOST_VALUES:,} values: too many for one record")


def _too_long() -> TooMuch:
    return TooMuch(f"more than {MOST_LINE:,} bytes: too long for one record")


def not_json(error: ValueError, parsed: bytes, before: int = 0) -> str:
    """Return why a line is not JSON, and at which of its columns, from what `loads` raised of it;
    `before` letters of the line were not parsed.
    """
    if isinstance(error, TooMuch):
        return str(error)
    if not isinstance(error, json.JSONDecodeError) or "UTF-8" in error.msg:
        return f"not JSON: {str(error).partition(':')[0]}"
    end, looked_at = len(parsed.decode("utf-8", "replace").rstrip()), len(error.doc.rstrip())
    # In a text it is the end of the line that is not expected.
    if error.pos >= looked_at:
        return f"not JSON: the line is cut off (column {before + end + 1})"
    # Numbers for the names that are none move what stands behind them.
    where = f", column {before + error.pos + 1}" if looked_at == end else ""
    return f"not JSON: {error.msg}{where}"


_MARK = b"\xff"
_NAMES = (b"NaN", b"Infinity")
_NUMBERS = (
    (b"\xffaN", b"%g" % UNKNOWN),
    (b"-\xffnfinity", b"%g" % UNKNOWN),
    (b"\xffnfinity", b"%g" % -UNKNOWN),
)


def _renamed(raw: bytes) -> bytearray:
    """The same with numbers for the names outside of texts, in one pass and in few bytes a byte."""
    text = bytearray(raw)
    codes = np.frombuffer(text, dtype=np.uint8)
    names = [name for name in _NAMES if name in raw]
    scan = _Scan()
    for start in range(0, len(raw), _BLOCK):
        outside = scan.outside(raw[start : start + _BLOCK])
        for name in names:
            # A name may begin in this block and end in the next one.
            found = _begins(codes[start : start + _BLOCK + len(name) - 1], name)
            found &= outside[: len(found)]
            codes[start : start + len(found)][found] = _MARK[0]
    for marked, number in _NUMBERS:
        if marked in text:
            text = text.replace(marked, number)
    return text


def _begins(codes: np.ndarray, name: bytes) -> np.ndarray:
    """Where a name begins."""
    size = max(len(codes) - len(name) + 1, 0)
    found = codes[:size] == name[0]
    for place, letter in enumerate(name[1:], 1):
        found &= codes[place : place + size] == letter
    return found


def _quotes(text: bytes) -> np.ndarray:
    """Where the quotes stand that begin and end texts: those without a backslash before them."""
    codes = np.frombuffer(text.replace(b"\\\\", b"  "), dtype=np.uint8)
    found = codes == ord('"')
    found[1:] &= codes[:-1] != ord("\\")
    return found


def json_chunks(path: Path) -> Iterator[list[Any]]:
    """Yield the records of a file of JSON, some at a time."""
    with unpacked(path) as file:
        head = file.read(_HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16: records must be UTF-8 lines of JSON")
    if head.startswith(b"PAR1"):
        raise ValueError(f"{path} is a Parquet file: records must be UTF-8 lines of JSON")
    layout = _layout(head)
    with unpacked(path) as file:
        file.read(layout.start)
        records: Iterator[bytes | Skip] = (
            _elements(file, layout, path) if layout.kind != "lines" else _lines(file)
        )
        for together in _together(records):
            chunk = _parse(together)
            yield _under(chunk, layout.head) if layout.head else chunk


def _together(records: Iterator[bytes | Skip]) -> Iterator[list[bytes | Skip]]:
    """Yield the records that are parsed at once."""
    held: list[bytes | Skip] = []
    size = 0
    for number, record in enumerate(records, 1):
        held.append(record)
        size += len(record) if type(record) is bytes else 0
        if size > _ROOM or number % TOGETHER == 0:
            yield held
            held, size = [], 0
    if held:
        yield held


def _lines(file: BinaryIO) -> Iterator[bytes | Skip]:
    """The lines of a file; the Skip of one that is too long, of which no more is held."""
    while line := file.readline(MOST_LINE + 1):
        if len(line) <= MOST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_BLOCK)
        yield Skip("malformed", str(_too_long()))


class _Layout(NamedTuple):
    """How a file holds its records.

    Attributes
    ----------
    kind : str
        "lines", "array", "wrapped" or "objects".
    start : int
        Where they begin, behind the bracket of an array.
    head : dict
        What stands before the list of records in the object that holds it.
    """

    kind: str
    start: int
    head: Doc = {}  # noqa: RUF012


def _layout(head: bytes) -> _Layout:
    """Return how a file is laid out that begins so."""
    start = len(_BOM) if head.startswith(_BOM) else 0
    text = head[start:]
    begin = start + len(text) - len(text.lstrip())
    text = text.lstrip()
    whole = len(head) < _HEAD
    if text.startswith(b"["):
        return _Layout("array", begin + 1) if _is_array(text, whole) else _Layout("lines", start)
    if not text.startswith(b"{") or _is_record(text.partition(b"\n")[0]):
        return _Layout("lines", start)
    first, newline, rest = text.partition(b"\n")
    if newline and not _unfinished(first):
        return _Layout("lines", start)
    wrapped = _wrapped(text)
    # The list may hold a record a line: only where it begins further down are these lines of their
    # own.
    if (
        newline
        and any(map(_is_record, _first_lines(rest)))
        and (wrapped is None or wrapped[0] > len(first))
    ):
        return _Layout("lines", start)
    if wrapped is not None and not (whole and _is_record(text)):
        return _Layout("wrapped", begin + wrapped[0], wrapped[1])
    return _Layout("objects" if newline else "lines", begin if newline else start)


def _is_array(text: bytes, whole: bool) -> bool:
    """What begins with a bracket is an array, not the first of several lines."""
    first, newline, rest = text.partition(b"\n")
    if not newline or (whole and not rest.strip()):
        return True
    try:
        loads(first)
    except ValueError:
        return True
    return False


def _is_record(line: bytes) -> bool:
    """A line that is an object of its own, and so a record."""
    if line[:1] != b"{":
        return False
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False


def _first_lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n", 1000)[:1000] if line[:1] == b"{"]


def _unfinished(text: bytes) -> bool:
    """Brackets are open at the end, which is not within a text: what a line of indented JSON looks
    like.
    """
    scan = _Scan()
    scan.marks(text)
    return not scan.inside and scan.depth > 0


def _wrapped(text: bytes) -> tuple[int, Doc] | None:
    """Where the list of records of an object begins, and what stands before it."""
    place, kind, depth = _Scan().marks(text)
    within = set(place[(kind == 1) & (depth == 2)].tolist())
    for found in _LISTS.finditer(text):
        if found.end() - 1 not in within:
            continue
        before = text[: found.start()].rstrip().rstrip(b",")
        try:
            head = loads(before + b"}")
        except ValueError:
            return None
        # A record may have a list of such a name too.
        return (found.end(), head) if _RECORD.isdisjoint(head) else None
    return None


_LISTS = re.compile(rb'"(?:%s)"\s*:\s*\[' % b"|".join(name.encode() for name in sorted(WRAPPERS)))
_RECORD = frozenset(
    {"choices", "candidates", "output", "outputs", "label", "response", "request", "meta_info",
     "generated_text", "custom_id", "input", "prompt", "messages", "body", "top_logprobs",
     "error"}
)  # fmt: skip
"""Fields of records, which no object that holds a list of records has."""


def elements_of(doc: Doc) -> list[Any] | None:
    """Return the records that an object holds under one of `WRAPPERS`, None if it is a record
    itself.
    """
    names = [name for name in doc if name in WRAPPERS and isinstance(doc[name], list)]
    if not names or not _RECORD.isdisjoint(doc):
        return None
    # In a log of Inspect `samples` are the records, whatever else there is.
    name = "samples" if "samples" in names else names[0]
    return _under(doc[name], {key: value for key, value in doc.items() if key != name})


def _under(chunk: list[Any], head: Doc) -> list[Any]:
    """Give records what the object that holds them says beside their list; samples of a log have it
    as a request.
    """
    beside = {
        name: value for name, value in head.items() if value is not None and _says_something(name)
    }
    settings = _settings(head)
    if not beside and not settings:
        return chunk
    more = {"request": settings} if settings else {}
    if beside:
        more[WRAPPER] = beside
    return [{**more, **doc} if isinstance(doc, dict) else doc for doc in chunk]


def _says_something(name: str) -> bool:
    """A field beside a list of records says how labels were drawn, by which model, or what else was
    asked.
    """
    return name in FRAMES_OF_REQUESTS or name in ASKS or says_something((name,))


def _settings(head: Doc) -> Doc:
    """What the head of a log of Inspect says of generation: of the plan, and of the model."""
    found: Doc = {}
    for place in ("plan", "eval"):
        held = head.get(place)
        if isinstance(held, dict):
            for name in ("config", "model_generate_config"):
                # The config of `eval` is that of the evaluation: limits, epochs, where it logs.
                if isinstance(held.get(name), dict) and (place, name) != ("eval", "config"):
                    found.update(
                        {key: value for key, value in held[name].items() if value is not None}
                    )
            if isinstance(held.get("model"), str):
                found["model"] = held["model"]
    return found


def _elements(file: BinaryIO, layout: _Layout, path: Path) -> Iterator[bytes | Skip]:
    """The elements of an array, cut at its commas, or whole objects one after the other, as they
    stand there.

    Then comes the Skip of an end that is not one.
    """
    objects = layout.kind == "objects"
    scan = _Scan()
    held = _Held()
    while block := file.read(_BLOCK):
        cuts, end = scan.objects(block) if objects else scan.elements(block)
        place = 0
        for cut in cuts:
            yield held.taken(block[place:cut], _BLANK)
            place = cut + (not objects)
        if end is not None:
            if last := held.taken(block[place:end]):
                yield last
            rest = block[end + 1 :] + file.read(_BLOCK)
            if layout.kind == "array" and rest.strip():
                yield Skip("malformed", "not JSON: something stands after the end of the array")
            if layout.kind == "wrapped":
                _refuse_settings_behind(rest, path)
            return
        held.hold(block[place:])
    last = held.taken(b"")
    if isinstance(last, Skip) or last.strip(b"," if objects else None):
        yield last
    if objects:
        return
    yield Skip("malformed", "not JSON: the array does not end")


class _Held:
    """What was read of a record that is longer than a block: each byte is looked at once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def hold(self, part: bytes) -> None:
        """Take another part, of which no more is held once there is too much."""
        self._size += len(part)
        if self._size > MOST_LINE:
            self._parts.clear()
        else:
            self._parts.append(part)

    def taken(self, last: bytes, blank: bytes | None = None) -> bytes | Skip:
        """Return the record that ends with this part, without what is blank around it, or the Skip
        of one that is too long; then nothing is held.
        """
        self.hold(last)
        record = b"".join(self._parts).strip(blank)
        much, self._size = self._size > MOST_LINE, 0
        self._parts.clear()
        return Skip("malformed", str(_too_long())) if much else record


def _refuse_settings_behind(rest: bytes, path: Path) -> None:
    """Raise an error if what stands behind a long list of records says how they were drawn: they
    are read by then.
    """
    try:
        tail = loads(b"{" + rest.lstrip(_BLANK))
    except ValueError:
        return
    changed = origin_of((), (tail,)).changed
    if changed or asked_for(tail):
        said = changed or "a request for reasoning"
        raise ValueError(
            f"{path}: {said} stands behind the list of records: write it before the list, or in "
            "each record"
        )


class _Scan:
    """Brackets and commas outside of texts, block by block.

    Attributes
    ----------
    depth : int
        How many brackets are open.
    inside : bool
        A text is open.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.inside = False
        self._escaped = False

    def elements(self, block: bytes) -> tuple[list[int], int | None]:
        """Where the commas between whole elements stand, and the bracket that ends the array."""
        place, kind, depth = self.marks(block)
        ends = np.flatnonzero(depth < 0)[:1]
        commas = (kind == _COMMA) & (depth == 0)
        if len(ends):
            commas[ends[0] :] = False
        return place[commas].tolist(), int(place[ends[0]]) if len(ends) else None

    def objects(self, block: bytes) -> tuple[list[int], int | None]:
        """Where whole objects end."""
        place, kind, depth = self.marks(block)
        return (place[(kind == -1) & (depth == 0)] + 1).tolist(), None

    def marks(self, block: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the marks of the next block stand, which they are, 1, -1 or `_COMMA`, and how many
        brackets are open behind each.
        """
        kind = _KINDS[np.frombuffer(block, dtype=np.uint8)]
        kind[(kind == _QUOTE) & ~self._quotes(block)] = 0
        place = np.flatnonzero(kind)
        kind = kind[place]
        quote = kind == _QUOTE
        inside = np.logical_xor.accumulate(quote) ^ self.inside
        self.inside ^= bool(quote.sum() % 2)
        outside = ~(inside | quote)
        place, kind = place[outside], kind[outside]
        depth = self.depth + np.cumsum(np.where(kind == _COMMA, 0, kind))
        self.depth = int(depth[-1]) if len(depth) else self.depth
        return place, kind, depth

    def outside(self, block: bytes) -> np.ndarray:
        """Which bytes of the next block are neither in a text nor the quote that begins one."""
        quote = self._quotes(block)
        inside = np.logical_xor.accumulate(quote) ^ self.inside
        self.inside = bool(inside[-1])
        return ~inside

    def _quotes(self, block: bytes) -> np.ndarray:
        """Where the quotes of the next block stand that begin and end texts."""
        if self._escaped:
            block = b" " + block[1:]
        self._escaped = (len(block) - len(block.rstrip(b"\\"))) % 2 == 1
        return _quotes(block)


_BLANK = b", \t\r\n"
"""What may stand between records, beside the commas that part those of an array."""

_COMMA, _QUOTE = 2, 3
_KINDS = np.zeros(256, dtype=np.int8)
_KINDS[list(b"{[")], _KINDS[list(b"}]")], _KINDS[ord(",")], _KINDS[ord('"')] = 1, -1, _COMMA, _QUOTE


def _parse(lines: list[Any]) -> list[Any]:
    if any([isinstance(line, Skip) for line in lines]):
        return _parse_each(lines)
    if len(lines) == 1:  # it may be so long that nobody wants to parse it twice
        return _parse_each(lines)
    # One call for the whole chunk; a chunk with a bad line is read line by line.
    try:
        docs = loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        docs = []
    # A line may hold two records or half of one: as many records as lines is not enough.
    if len(docs) == len(lines) and all([type(doc) is dict for doc in docs]) and _closed(lines):
        return docs if all(map(WRAPPERS.isdisjoint, docs)) else _unwrapped(docs)
    return _parse_each(lines)


def _parse_each(lines: list[Any]) -> list[Any]:
    return _unwrapped([line if isinstance(line, Skip) else _parse_line(line) for line in lines])


def _unwrapped(docs: list[Any]) -> list[Any]:
    """The same records, in place of an object that holds a list of them those."""
    found = []
    for doc in docs:
        held = elements_of(doc) if isinstance(doc, dict) else None
        if held is None:
            found.append(doc)
        else:
            found.extend(held)
    return found


def _closed(lines: list[bytes]) -> bool:
    return all(
        [line.startswith(b"{") and line.endswith((b"}\n", b"}", b"}\r\n")) for line in lines]
    )


def _parse_line(line: bytes) -> Any:
    if not line.strip():
        return Skip("blank", "blank line")
    before = 0
    if line[:1] != b"{" and (event := _EVENT.match(line)):
        before = len(line.rstrip())
        line = line[event.end() :].strip()
        before -= len(line)
        if line == b"[DONE]":
            return End()
        if event[0] != b"data:" or not line:
            return Skip("blank", "a line of a stream that holds no data")
    try:
        return loads(line)
    except ValueError as error:
        return Skip("malformed", not_json(error, line, before))


_EVENT = re.compile(rb'data:|event:|id:|retry:|:(?=[^"{}\[\],]*\Z)')
"""What lines of server-sent events begin with; a comment must not look like what was cut off a
record.
"""
