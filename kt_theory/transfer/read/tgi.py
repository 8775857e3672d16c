"""What Text Generation Inference returns in its own format."""

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
    prompt_of,
    token_key,
    want,
)
from kt_theory.transfer.read.openai import body_of
from kt_theory.transfer.read.reasoning import thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Entry, labelled


def is_tgi(body: Doc, doc: Doc) -> bool:
    """TGI returns `generated_text`, with the tokens in `details`."""
    return "generated_text" in body


def tgi(doc: Doc, reading: Reading) -> list[Answer]:
    """TGI: generated_text, details.tokens[] of {id, text, logprob, special} and
    details.top_tokens[][].

    With best_of, `details.best_of_sequences` holds the other sequences: all of them are draws.
    Where it is missing, the best of several is no draw, and the setting is refused as others that
    change the draw.
    """
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    text = body.get("generated_text")
    details = want(body.get("details") or {}, dict, "details")
    sequences = want(details.get("best_of_sequences") or [], list, "best_of_sequences")
    request = doc.get("request")
    origin = origin_of((_all_drawn(request, 1 + len(sequences)),), (body, doc))
    answers = []
    for sequence in [{**details, "generated_text": text}, *sequences]:
        finished(want(sequence, dict, "best_of_sequences[]").get("finish_reason"))
        tokens = sequence.get("tokens")
        steps = _Tgi(want(tokens, list, "details.tokens"), sequence, reading) if tokens else None
        shown = sequence.get("generated_text")
        if isinstance(shown, str) and isinstance(request, dict) and _full_text(request):
            shown = shown.removeprefix(prompt_of(doc, reading))
        answers.append(
            labelled(question, shown, steps, thought_before(body, (request, doc)), origin, reading)
        )
    return answers


def _full_text(request: Doc) -> bool:
    parameters = request.get("parameters")
    return isinstance(parameters, dict) and parameters.get("return_full_text") is True


def _all_drawn(request: Any, count: int) -> Any:
    """A request whose best of `count` sequences was asked for, as one for all of them, as they are
    all there.
    """
    if count == 1 or not isinstance(request, dict):
        return request
    found = {**request, "n": count}
    if isinstance(request.get("parameters"), dict):
        found["parameters"] = {**request["parameters"], "n": count}
    return found


class _Tgi(NamedTuple):
    """Tokens as TGI lists them."""

    tokens: list[Any]
    sequence: Doc
    reading: Reading

    def size(self) -> int:
        return len(self.tokens)

    def text(self, position: int) -> str:
        found = want(self.tokens[position], dict, "details.tokens[]").get("text")
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        # The token that ends the answer is no part of its text, but of its probability.
        return [want(token, dict, "details.tokens[]").get("logprob") for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        tops = want(self.sequence.get("top_tokens") or [], list, "top_tokens")
        listed = want(tops[position] if position < len(tops) else [], list, "top_tokens[]")
        key, own = self._entry(self.tokens[position])
        return key, own, [self._entry(entry) for entry in listed]

    def _entry(self, entry: Any) -> Entry:
        place = want(entry, dict, "a token of TGI")
        key = token_key(place.get("text"), None, place.get("id"), self.reading.texts)
        return key, log_probability(place.get("logprob"))
