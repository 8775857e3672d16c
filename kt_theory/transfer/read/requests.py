"""The requests that a Batch answers, found by their `custom_id`."""

from __future__ import annotations

import mmap
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kt_theory.packed import packing, unpacked
from kt_theory.plurals import counted
from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.read.answers import Doc
from kt_theory.transfer.read.json_files import loads, not_json

_NAMES = ("custom_id", "key")
_ID = re.compile(rb'\s*\{\s*"(?:custom_id|key)"\s*:\s*"([^"\\]*)"\s*,')


class Requests:
    """The lines of a file of requests: {"custom_id", "method", "url", "body"}, or {"key",
    "request"}.

    Of each request only its place in the file is kept, and it is parsed when its answer comes.

    Parameters
    ----------
    path : Path
        JSON lines, also compressed.

    Raises
    ------
    ValueError
        Naming the line that is no request, or the two lines of one id that ask different things.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = _contents(path)
        self._place: dict[str, int] = {}
        self._begin, self._end, self._line = array("Q"), array("Q"), array("Q")
        self._index()
        count = len(self._begin)
        # Of each request the line of its first answer, 0 while there is none, and the hash of that
        # answer's own id.
        self._answered, self._response = array("Q", bytes(8 * count)), array("q", bytes(8 * count))
        self._twice: list[tuple[str, int, int]] = []
        self._more = 0

    def __len__(self) -> int:
        return len(self._begin)

    def _index(self) -> None:
        """Take down where each request stands."""
        places = self._place
        for line, begin, end in _spans(self._data):
            name = self._name(line, begin, end)
            if name not in places:
                places[name] = len(places)
                self._begin.append(begin)
                self._end.append(end)
                self._line.append(line)
            elif self._body(places[name]) != self._asked(line, begin, end):
                raise ValueError(
                    f"{self.path} lines {self._line[places[name]]} and {line}: {name!r} names two "
                    "requests that ask different things"
                )

    def _name(self, line: int, begin: int, end: int) -> str:
        # Almost every request begins with its id: then the rest is parsed when it is needed.
        found = _ID.match(self._data, begin, end)
        if found:
            return found[1].decode("utf-8", "replace")
        doc = self._parsed(line, begin, end)
        name = _id_of(doc)
        if name is None:
            raise ValueError(f"{self.path} line {line}: no custom_id, by which a request is found")
        return name

    def _parsed(self, line: int, begin: int, end: int) -> Doc:
        written = self._data[begin:end]
        try:
            doc = loads(written)
        except ValueError as error:
            raise ValueError(f"{self.path} line {line}: {not_json(error, written)}") from None
        if not isinstance(doc, dict):
            raise ValueError(f"{self.path} line {line}: not a JSON object: must be a request")
        return doc

    def _asked(self, line: int, begin: int, end: int) -> Doc:
        doc = self._parsed(line, begin, end)
        body = doc.get("body", doc.get("request", doc.get("params")))
        if isinstance(body, str):
            try:
                body = loads(body)
            except ValueError:
                body = None
        if not isinstance(body, dict):
            raise ValueError(f"{self.path} line {line}: no body, which holds what was asked")
        return body

    def _body(self, place: int) -> Doc:
        return self._asked(self._line[place], self._begin[place], self._end[place])

    def joined(self, doc: Doc, line: int) -> Doc:
        """Return the answer on a line with its request beside it.

        Raises
        ------
        Skip
            If no request has its id, or it is an answer again that was read before.
        ValueError
            If the request is not one.
        """
        name = _id_of(doc)
        if name is None:
            raise Skip("no request", "the answer has no custom_id")
        place = self._place.get(name)
        if place is None:
            shown = name if len(name) <= 60 else f"{name[:57]}..."
            raise Skip("no request", f"no request has the custom_id {shown!r}")
        self._take_down(place, name, line, doc)
        return {**doc, "request": self._body(place)}

    def _take_down(self, place: int, name: str, line: int, doc: Doc) -> None:
        """Take down that a request is answered."""
        own = _own_id(doc)
        if not self._answered[place]:
            self._answered[place], self._response[place] = line, own
        elif own == self._response[place] and own not in (_FAILED, _UNNAMED):
            raise Skip(
                "repeated", f"the answer of line {self._answered[place]} again, of the same id"
            )
        elif self._response[place] == _FAILED:
            self._response[place] = own
        elif own != _FAILED:
            self._more += 1
            if len(self._twice) < 3:
                self._twice.append((name, self._answered[place], line))

    def tell(self, account: Account) -> None:
        """Say in an account which requests have no answer, and which have two."""
        missing = [place for place, line in enumerate(self._answered) if not line]
        if missing:
            place = missing[0]
            shown = self._name(self._line[place], self._begin[place], self._end[place])
            account.notes.append(
                f"{len(missing):,} of {counted(len(self), 'request')} "
                f"{'has' if len(missing) == 1 else 'have'} no answer, custom_id {shown!r} the first"
            )
        if self._more:
            shown = "; ".join(
                f"{name!r} on lines {one} and {other}" for name, one, other in self._twice
            )
            account.notes.append(
                f"{counted(self._more, 'answer is', 'answers are')} a further one to the same "
                f"request, {'a draw of its' if self._more == 1 else 'draws of their'} own: {shown}"
            )


def _id_of(doc: Doc) -> str | None:
    for name in _NAMES:
        found = doc.get(name)
        if type(found) is str:
            return found
    return None


def _own_id(doc: Doc) -> int:
    """A number that stands for the id that the server gave an answer."""
    response = doc.get("response", doc.get("result"))
    if not isinstance(response, dict):
        return _FAILED if response is None else _UNNAMED
    body = response.get("body", response.get("message", response))
    if not isinstance(body, dict) or body.get("error") or doc.get("error"):
        return _FAILED
    own = body.get("id")
    if type(own) is str and own:
        return hash(own)
    for place, name in ((body, "responseId"), (response, "request_id"), (doc, "id")):
        found = place.get(name)
        if type(found) is str and found:
            return hash(found)
    return _UNNAMED


_FAILED, _UNNAMED = 0, 1
"""In place of an answer's id: the line holds no answer, or one without an id."""


def _contents(path: Path) -> Any:
    """The bytes of a file, mapped where they lie plain on the disk."""
    if packing(path):
        with unpacked(path) as stream:
            return stream.read()
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _spans(data: Any) -> Iterator[tuple[int, int, int]]:
    """The number, the begin and the end of each line that is not blank."""
    begin = 3 if data[:3] == b"\xef\xbb\xbf" else 0
    line = 0
    while begin < len(data):
        line += 1
        end = data.find(b"\n", begin)
        if end < 0:
            end = len(data)
        if end - begin > 2 or data[begin:end].strip():
            yield line, begin, end
        begin = end + 1
