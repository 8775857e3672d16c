"""What llama.cpp returns in its own format."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from kt_theory.transfer.read.answers import (
    UNSTATED,
    Answer,
    Doc,
    Key,
    Reading,
    asked,
    failed,
    log_probability,
    probability,
    token_key,
    want,
)
from kt_theory.transfer.read.openai import body_of
from kt_theory.transfer.read.reasoning import beside, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Entry, labelled, tell_unshown


def is_llama_cpp(body: Doc, doc: Doc) -> bool:
    """llama.cpp's own endpoint lists `completion_probabilities`, or its settings beside the
    content.
    """
    return "completion_probabilities" in body or (
        "content" in body and "generation_settings" in body
    )


def llama_cpp(doc: Doc, reading: Reading) -> list[Answer]:
    """llama.cpp: completion_probabilities[] of {id, token, bytes, logprob, top_logprobs}, or of
    prob and top_probs.

    Older servers send {content, probs: [{tok_str, prob}]}.
    """
    failed(doc)
    body = body_of(doc)
    question = asked(doc if "prompt" in doc or reading.input else {**body, **doc}, reading)
    requests = (doc.get("request"),)
    origin = origin_of(requests, (body, doc))
    tokens = body.get("completion_probabilities")
    steps = _Llama(want(tokens, list, "completion_probabilities"), reading) if tokens else None
    thought = beside(body) or thought_before(body, (*requests, doc))
    answer = labelled(question, body.get("content"), steps, thought, origin, reading)
    tell_unshown(
        body.get("tokens_predicted"), lambda: [(body.get("content"), steps)], [answer], reading
    )
    return [answer]


class _Llama(NamedTuple):
    """Tokens as llama.cpp lists them."""

    tokens: list[Any]
    reading: Reading

    def size(self) -> int:
        return len(self.tokens)

    def text(self, position: int) -> str:
        found = _llama_text(want(self.tokens[position], dict, "completion_probabilities[]"))
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_stated(token) for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        token = want(self.tokens[position], dict, "completion_probabilities[]")
        listed = token.get("top_logprobs", token.get("top_probs", token.get("probs"))) or []
        entries = [
            (_llama_key(e, self.reading), _stated(e)) for e in want(listed, list, "top_logprobs")
        ]
        key = _llama_key(token, self.reading)
        own = (
            _stated(token)
            if "logprob" in token or "prob" in token
            else dict(entries).get(key, UNSTATED)
        )
        return key, own, entries


def _llama_text(place: Doc) -> Any:
    return place.get("token", place.get("tok_str", place.get("content")))


def _llama_key(entry: Any, reading: Reading) -> Key:
    place = want(entry, dict, "entry")
    return token_key(_llama_text(place), place.get("bytes"), place.get("id"), reading.texts)


def _stated(entry: Any) -> float:
    """The log-probability that an entry states, as `logprob` or as `prob`."""
    place = want(entry, dict, "entry")
    if "logprob" in place:
        # The server writes null for -inf.
        return math.nan if place["logprob"] is None else log_probability(place["logprob"])
    return probability(place.get("prob"))
