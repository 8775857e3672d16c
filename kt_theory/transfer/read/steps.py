"""The tokens of an answer, whatever server listed them, and the record that they give.

Meanings, the same for every format:

- No token is stated (null, a missing list or an empty one): the whole text is the label, and no
  probability.
- The list of the most probable labels lacks the sampled one: the value that the sampled token
  states counts.
- A log-probability above 0 by more than half precision rounds: the record is malformed.
- Reasoning came first: the label is the first token of the answer after it, without probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import (
    CENSORED,
    UNSTATED,
    Answer,
    Key,
    Reading,
    log_probability,
    malformed,
    token_key,
    want,
    with_sampled,
)
from kt_theory.transfer.read.reasoning import FEW, answered, marked
from kt_theory.transfer.read.sampling import Origin

Entry = tuple[Key, float]
"""A label and its log-probability."""


class Steps(Protocol):
    """The generated tokens of an answer, as a server lists them."""

    def size(self) -> int:
        """Return how many tokens are listed."""
        ...

    def text(self, position: int) -> str:
        """Return a token's text, empty if it is not stated."""
        ...

    def values(self) -> list[Any]:
        """Return the log-probability of each token, None where there is none."""
        ...

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        """Return a token's label, its log-probability and the labels listed beside it."""
        ...


def labelled(
    question: str,
    text: Any,
    steps: Steps | None,
    thought: bool,
    origin: Origin,
    reading: Reading,
    alike: bool = False,
) -> Answer:
    """Return the record of an answer.

    Parameters
    ----------
    text : str or None
        What was generated.
    steps : Steps or None
        Its tokens, if some are listed.
    thought : bool
        The record says that reasoning came before the answer.
    alike : bool
        Text and tokens begin alike where no reasoning is in one of them alone.

    Raises
    ------
    Skip
        If there is no answer, or its text and its tokens contradict each other.
    """
    first: int | None = 0
    if (
        thought
        or type(text) is not str
        or marked(text)
        or not (steps is None or text.startswith(steps.text(0)))
    ):
        # The text does not begin with the first token listed: perhaps reasoning was taken out of
        # it.
        tokens = [] if steps is None else [steps.text(i) for i in range(steps.size())]
        text, first, thought = answered(text, tokens, thought)
        if alike and tokens and not thought:
            _refuse_other(text, tokens[0])
    if reading.label == "text":
        values = steps.values() if steps is not None and not thought else []
        return whole_text(question, text, values, origin, thought)
    if steps is None or first is None:
        if isinstance(text, str) and text:
            return Answer(question, text, {}, origin, True, thought)
        raise Skip("no label", "no token was generated")
    key, own, entries = steps.at(first)
    if thought:
        return Answer(question, key, {}, origin, False, True)
    return Answer(question, key, with_sampled(key, own, entries), origin)


def tell_unshown(
    counted: Any,
    shown: Callable[[], list[tuple[Any, Steps | None]]],
    answers: list[Answer],
    reading: Reading,
) -> None:
    """Take down answers for which a server counted far more tokens than it shows: perhaps it
    reasoned before them.

    Parameters
    ----------
    counted : int
        Tokens of all answers of a body; 0, or anything else, if they are not counted.
    shown : callable
        Returns the text of each, and its tokens.
    """
    if type(counted) is not int or counted <= FEW:
        return
    if counted > FEW + sum(_tokens_in(text, steps) for text, steps in shown()):
        reading.account.unshown += sum(bool(answer.entries) for answer in answers)


def _tokens_in(text: Any, steps: Steps | None) -> int:
    """How many tokens a text may have at most: those listed, and where they do not cover it as many
    as its bytes.
    """
    tokens = [] if steps is None else [steps.text(i) for i in range(steps.size())]
    if not isinstance(text, str) or sum(map(len, tokens)) >= len(text.strip()):
        return len(tokens)
    return len(text.encode())


def _refuse_other(text: str, token: str) -> None:
    """Raise a Skip if a text begins with another letter or digit than its first token."""
    if token.startswith("token_id:"):
        return
    shown, listed = text.strip(), token.strip(_SPACES)
    one, other = shown[:1], listed[:1]
    if (
        one.isascii()
        and other.isascii()
        and one.isalnum()
        and other.isalnum()
        and one.lower() != other.lower()
    ):
        raise malformed(f"the text begins with {shown[:20]!r}, its tokens with {listed[:20]!r}")


_SPACES = " \t\r\n\u0120\u010a\u2581"
"""Spaces, and the marks that tokenizers write for them."""


def whole_text(
    question: str, text: Any, logprobs: list[Any], origin: Origin, thought: bool = False
) -> Answer:
    """Return the whole text as the label; its log-probability is the sum over its tokens, if all
    are stated.
    """
    if not isinstance(text, str) or text == "":
        raise Skip("no label", "the response holds no text")
    total = sum([log_probability(value) for value in logprobs]) if logprobs else UNSTATED
    return Answer(
        question, text, {} if total == UNSTATED else {text: total}, origin, False, thought
    )


class Listed(NamedTuple):
    """Tokens as a list of {token, logprob, bytes, id, top_logprobs}, as OpenAI and most servers
    write them.
    """

    tokens: list[Any]
    reading: Reading
    name: str = "token"

    def size(self) -> int:
        """Return how many tokens are listed."""
        return len(self.tokens)

    def text(self, position: int) -> str:
        """Return a token's text."""
        token = want(self.tokens[position], dict, self.name)
        found = token.get("token")
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        """Return the tokens' log-probabilities."""
        return [want(token, dict, self.name).get("logprob") for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        """Return a token's label, its log-probability and the labels listed beside it."""
        token = want(self.tokens[position], dict, self.name)
        listed = want(token.get("top_logprobs") or [], list, "top_logprobs")
        (key, own), *entries = entries_of([token, *listed], self.reading.texts)
        return key, own, entries


def entries_of(listed: list[Any], texts: dict[Key, str]) -> list[Entry]:
    """Return labels and log-probabilities of a list of {token, logprob, bytes, id}."""
    found = []
    for entry in listed:
        if type(entry) is not dict:
            want(entry, dict, "top_logprobs entry")
        key, value = entry.get("token"), entry.get("logprob")
        # Almost every token is a text, and its bytes are those of the text.
        if type(key) is not str or "id" in entry or entry.get("bytes") != _SPELT[key]:
            key = token_key(key, entry.get("bytes"), entry.get("id"), texts)
        if type(value) is not float or not CENSORED < value <= 0.0:
            value = log_probability(value)
        found.append((key, value))
    return found


class _Spelt(dict[str, Any]):
    """The bytes of texts, as lists of numbers; what equals no list for names of ids."""

    def __missing__(self, text: str) -> Any:
        found = () if "token_id:" in text else list(text.encode("utf-8", "surrogatepass"))
        if len(text) <= _SHORT:
            if len(self) >= _MOST_SPELT:
                self.clear()
            self[text] = found
        return found


_SPELT = _Spelt()
_MOST_SPELT, _SHORT = 1 << 14, 64
"""How many texts are kept, and the letters of the longest."""


class Parallel(NamedTuple):
    """Tokens as the legacy completions write them: lists `tokens`, `token_logprobs` and
    `top_logprobs`.

    Tokens are texts, or ids where a server states ids alone.
    """

    tokens: list[Any]
    numbers: list[Any]
    tops: list[Any]
    texts: dict[Key, str]
    start: int = 0

    @classmethod
    def of(cls, logprobs: dict[str, Any], reading: Reading) -> Parallel:
        """Return the tokens of an answer's `logprobs`; raise a Skip if the lists are not of one
        length.
        """
        tokens = want(logprobs.get("tokens"), list, "logprobs.tokens")
        values = want(logprobs.get("token_logprobs"), list, "logprobs.token_logprobs")
        tops = logprobs.get("top_logprobs")
        tops = (
            [None] * len(tokens)
            if tops is None or tops == []
            else want(tops, list, "logprobs.top_logprobs")
        )
        if not len(tokens) == len(values) == len(tops):
            raise malformed(
                f"{len(tokens)} tokens, {len(values)} token_logprobs, {len(tops)} top_logprobs: "
                "must be equal"
            )
        return cls(tokens, values, tops, reading.texts)

    def size(self) -> int:
        """Return how many tokens are listed."""
        return len(self.tokens) - self.start

    def text(self, position: int) -> str:
        """Return a token's text, empty if it is an id."""
        token = self.tokens[self.start + position]
        return token if type(token) is str and token[:9] != "token_id:" else ""

    def values(self) -> list[Any]:
        """Return the tokens' log-probabilities."""
        return self.numbers[self.start :]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        """Return a token's label, its log-probability and the labels listed beside it."""
        place = self.start + position
        token, listed = self.tokens[place], self.tops[place] or {}
        if type(token) is int:
            return token, log_probability(self.numbers[place]), self._by_id(listed)
        if isinstance(listed, list):
            return (
                token_key(token),
                log_probability(self.numbers[place]),
                entries_of(listed, self.texts),
            )
        entries = []
        for name, value in want(listed, dict, "top_logprobs entry").items():
            if "token_id:" in name:
                name = token_key(name)
            if type(value) is not float or not CENSORED < value <= 0.0:
                value = log_probability(value)
            entries.append((name, value))
        return token_key(token), log_probability(self.numbers[place]), entries

    def _by_id(self, listed: Any) -> list[Entry]:
        """Entries by id: an object, or a list of {id, logprob} or of [id, logprob]."""
        if isinstance(listed, dict):
            return [(token_id(name), log_probability(value)) for name, value in listed.items()]
        found: list[Entry] = []
        for entry in want(listed, list, "top_logprobs entry"):
            if isinstance(entry, list) and len(entry) == 2:
                found.append((token_key(None, None, entry[0]), log_probability(entry[1])))
            else:
                found.extend(entries_of([entry], self.texts))
        return found


def token_id(name: str) -> int:
    """Return the id that a key such as "42" or "token_id:42" names."""
    digits = name.removeprefix("token_id:")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise malformed(f"token id {name!r}: must be a whole number")
    return int(digits)
