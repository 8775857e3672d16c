"""What SGLang returns in its own format."""

from __future__ import annotations

from typing import Any, NamedTuple

from kt_theory.transfer.read.answers import (
    CENSORED,
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
from kt_theory.transfer.read.reasoning import beside, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Entry, labelled, tell_unshown


def is_sglang(body: Doc, doc: Doc) -> bool:
    """SGLang tells of an answer in `meta_info`."""
    return "meta_info" in body


def sglang(doc: Doc, reading: Reading) -> list[Answer]:
    """SGLang: meta_info.output_token_logprobs and output_top_logprobs of (log-probability, token
    id, text).
    """
    failed(doc)
    body = body_of(doc)
    alone = body is doc or reading.input or type(doc.get("request")) is dict
    question = asked(doc if alone else {**body, **doc}, reading)
    meta = want(body.get("meta_info"), dict, "meta_info")
    finished(meta.get("finish_reason"))
    requests = (doc.get("request"), doc.get("sampling_params"))
    origin = origin_of(requests, (body, doc))
    thought = beside(body) or thought_before(meta, (*requests, doc))
    tokens = meta.get("output_token_logprobs")
    steps = _Triples(want(tokens, list, "output_token_logprobs"), meta, reading) if tokens else None
    answer = labelled(question, body.get("text"), steps, thought, origin, reading)
    tell_unshown(
        meta.get("completion_tokens"), lambda: [(body.get("text"), steps)], [answer], reading
    )
    return [answer]


class _Triples(NamedTuple):
    """Tokens as SGLang lists them: [logprob, token id, text]."""

    tokens: list[Any]
    meta: Doc
    reading: Reading

    def size(self) -> int:
        return len(self.tokens)

    def text(self, position: int) -> str:
        token = self.tokens[position]
        found = token[-1] if type(token) is list and token else None
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_triple(token)[0] for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        triples = [self.tokens[position]]
        triples += self._beside("output_top_logprobs", position)
        if "output_token_ids_logprobs" in self.meta:
            # Labels that the request named by their ids, whatever their rank.
            triples += self._beside("output_token_ids_logprobs", position)
        (key, value), *entries = _from_triples(triples, self.reading)
        return key, value, entries

    def _beside(self, name: str, position: int) -> list[Any]:
        rows = self.meta.get(name)
        if not rows or position >= len(want(rows, list, name)):
            return []
        row = rows[position]
        return want(row, list, f"{name}[]") if row else []


def _triple(entry: Any) -> list[Any]:
    """What an entry holds, None in place of a text that is not sent."""
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        raise malformed("an entry of output_token_logprobs must be [logprob, token id, text]")
    return entry if len(entry) == 3 else [*entry, None]


def _from_triples(triples: list[Any], reading: Reading) -> list[Entry]:
    texts = reading.texts
    found: list[Entry] = []
    for entry in triples:
        value, number, text = entry if type(entry) is list and len(entry) == 3 else _triple(entry)
        if type(number) is not int or number not in texts:
            number = token_key(text, None, want(number, int, "token id"), texts)
        if type(value) is not float or not CENSORED < value <= 0.0:
            value = log_probability(value)
        found.append((number, value))
    return found
