"""What Cohere returns in its own format."""

from __future__ import annotations

from typing import Any, NamedTuple

from kt_theory.transfer.read.answers import (
    Answer,
    Doc,
    Key,
    Reading,
    asked,
    failed,
    finished,
    log_probability,
    malformed,
    token_key,
    want,
)
from kt_theory.transfer.read.openai import body_of
from kt_theory.transfer.read.reasoning import spoken, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Entry, labelled


def is_cohere(body: Doc, doc: Doc) -> bool:
    """Cohere's second version returns one message, with its finish reason beside it."""
    return (
        isinstance(body.get("message"), dict) and "finish_reason" in body and "choices" not in body
    )


def cohere(doc: Doc, reading: Reading) -> list[Answer]:
    """Cohere v2: message.content[].text, logprobs[] of {text, token_ids, logprobs}; it lists no
    other labels.
    """
    failed(doc)
    body = body_of(doc)
    finished(body.get("finish_reason"))
    message = want(body.get("message"), dict, "message")
    requests = (doc.get("request"), doc.get("body"))
    question = asked(doc, reading)
    origin = origin_of(requests, (body, doc))
    text, inside = spoken(message.get("content"))
    listed = body.get("logprobs")
    steps = _Cohere(want(listed, list, "logprobs"), reading) if listed else None
    return [
        labelled(
            question, text, steps, inside or thought_before(body, (*requests, doc)), origin, reading
        )
    ]


class _Cohere(NamedTuple):
    """Pieces of text as Cohere lists them, each of one token or of several."""

    pieces: list[Any]
    reading: Reading

    def size(self) -> int:
        return len(self.pieces)

    def text(self, position: int) -> str:
        found = want(self.pieces[position], dict, "logprobs[]").get("text")
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [value for piece in self.pieces for value in self._numbers(piece)]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        piece = want(self.pieces[position], dict, "logprobs[]")
        ids = want(piece.get("token_ids") or [], list, "token_ids")
        numbers = self._numbers(piece)
        if ids and len(ids) != len(numbers):
            raise malformed(f"{len(ids)} token_ids, {len(numbers)} logprobs: each needs its token")
        # The text of several tokens is that of none of them.
        text = piece.get("text") if len(numbers) == 1 or not ids else None
        return (
            token_key(text, None, ids[0] if ids else None, self.reading.texts),
            log_probability(numbers[0]),
            [],
        )

    def _numbers(self, piece: Any) -> list[Any]:
        numbers: list[Any] = want(
            want(piece, dict, "logprobs[]").get("logprobs"), list, "logprobs[].logprobs"
        )
        if not numbers:
            raise malformed("logprobs[].logprobs is empty")
        return numbers
