"""The grammar of names: what people write and what tables print, "rounded(0.5, top_k(5))" or
"rounded(0.5) top_k(5)".

    name    = phrase
    phrase  = term { term }                 "noisy(0.1) soft": what comes second is the first's
    level term    = number | quoted | word [ "(" [ part { "," part } ] ")" ]
    part    = [ word "=" ] phrase           "2 as 1" are two parts, "3 features" is a word

A word holds no space, bracket, comma, quote or "=", so that paths of files need quotes only if they
do.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

_TOKEN = re.compile(r"""\s*(?:([(),=])|'([^']*)'|"([^"]*)"|([^\s(),='"]+))""")
_WORD = re.compile(r"""[^\s(),='"]+""")
_ENDINGS = {("masked",): "masked", ("grouped",): "grouped", ("with", "prior"): "with_prior"}
"""How tables print students that are made of another one, and what makes them."""


@dataclass(frozen=True)
class Call:
    """A name with arguments: (keyword or "", value) each."""

    name: str
    arguments: tuple[tuple[str, Value], ...]


Value = int | float | str | Call


def parse(text: str) -> Value:
    """Return what a text says: a word as str, a number, or a `Call`.

    Raises
    ------
    ValueError
        Without the text: the caller says what it should be like.
    """
    reader = _Reader(_tokens(text))
    try:
        values = reader.phrase()
    except RecursionError:
        raise ValueError("a name is missing within so many brackets") from None
    if reader.rest or len(values) != 1:
        raise ValueError(f"{[*reader.rest][:1] or values} is left over")
    return values[0]


def write(value: Value) -> str:
    """Return a text that `parse` reads as this value."""
    if isinstance(value, Call):
        parts = (f"{key}={write(given)}" if key else write(given) for key, given in value.arguments)
        return f"{value.name}({', '.join(parts)})"
    if not isinstance(value, str) or _WORD.fullmatch(value):
        return str(value)
    return f"'{value}'" if "'" not in value else f'"{value}"'


@dataclass(frozen=True)
class _Token:
    text: str
    mark: bool
    quoted: bool


def _tokens(text: str) -> list[_Token]:
    found, place = [], 0
    stripped = text.rstrip()
    while place < len(stripped):
        token = _TOKEN.match(stripped, place)
        if token is None:
            raise ValueError(f"{stripped[place:]!r} is an open quote")
        mark, single, double, word = token.groups()
        quoted = mark is None and word is None
        texts = [part for part in (mark, single, double, word) if part is not None]
        found.append(_Token(texts[0], mark is not None, quoted))
        place = token.end()
    return found


class _Reader:
    """Reads tokens from the front of `rest`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.rest = deque(tokens)

    def marked(self, mark: str) -> bool:
        """Take the mark if it comes next, and say whether it did."""
        comes = bool(self.rest) and self.rest[0] == _Token(mark, True, False)
        if comes:
            self.rest.popleft()
        return comes

    def term(self) -> Value:
        if not self.rest or self.rest[0].mark:
            raise ValueError("a name is missing")
        token = self.rest.popleft()
        if token.quoted:
            return token.text
        if self.marked("("):
            return Call(token.text, self.arguments())
        return _number(token.text)

    def phrase(self) -> list[Value]:
        terms = [self.term()]
        while self.rest and not self.rest[0].mark:
            terms.append(self.term())
        if terms[1:2] == ["as"]:
            return terms[:1] + terms[2:]
        return [_joined(terms)]

    def arguments(self) -> tuple[tuple[str, Value], ...]:
        found: list[tuple[str, Value]] = []
        while not self.marked(")"):
            if found and not self.marked(","):
                raise ValueError("a bracket is open")
            key = ""
            if len(self.rest) > 1 and self.rest[1] == _Token("=", True, False):
                key = self.rest.popleft().text
                self.rest.popleft()
            found += [(key, value) for value in self.phrase()]
        return tuple(found)


def _joined(terms: list[Value]) -> Value:
    """Return what several terms in a row stand for."""
    first = terms[0]
    if len(terms) == 1:
        return first
    for words, name in _ENDINGS.items():
        before = terms[: -len(words)]
        if tuple(terms[-len(words) :]) == words and before:
            return Call(name, (("student", _joined(before)),))
    if isinstance(first, int | float):
        return " ".join(map(str, terms))
    if terms == ["true", "logits"]:
        return "true_logits"
    call = first if isinstance(first, Call) else Call(first, ())
    return Call(call.name, (*call.arguments, ("of", _joined(terms[1:]))))


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def split(text: str) -> list[str]:
    """Return the names in a list of them: a comma within brackets belongs to a name."""
    depth, begin = 0, 0
    found = []
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth <= 0:
            found.append(text[begin:place].strip())
            begin = place + 1
    return [*found, text[begin:].strip()]
