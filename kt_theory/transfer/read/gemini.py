"""What Gemini returns."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from kt_theory.transfer.account import Skip
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
    token_key,
    want,
)
from kt_theory.transfer.read.openai import body_of, each_choice
from kt_theory.transfer.read.reasoning import spoken, thought_before, tokens_counted
from kt_theory.transfer.read.sampling import Origin, origin_of
from kt_theory.transfer.read.steps import Entry, Steps, labelled, tell_unshown


def is_gemini(body: Doc, doc: Doc) -> bool:
    """Gemini returns candidates, or why there are none."""
    return "candidates" in body or "promptFeedback" in body or "prompt_feedback" in body


def gemini(doc: Doc, reading: Reading) -> list[Answer]:
    """Gemini: candidates[].logprobsResult.chosenCandidates[] and topCandidates[].candidates[].

    Parts that are thoughts are no answer; where there are some, or `thoughtsTokenCount` counts
    some, the label alone counts.
    """
    failed(doc)
    body = body_of(doc)
    feedback = body.get("promptFeedback", body.get("prompt_feedback"))
    if isinstance(feedback, dict) and _either(feedback, "blockReason") not in (
        None,
        "BLOCK_REASON_UNSPECIFIED",
    ):
        raise Skip("refused", f"block reason {_either(feedback, 'blockReason')}")
    question = asked(doc, reading)
    requests = (doc.get("request"), doc.get("config"))
    origin = origin_of(requests, (body, doc))
    thought = thought_before(body, (*requests, doc))
    candidates = want(body.get("candidates"), list, "candidates")
    answers = each_choice(
        candidates,
        lambda each: _gemini_candidate(each, question, thought, origin, reading),
        "candidate",
    )
    tell_unshown(
        tokens_counted(body),
        lambda: [_gemini_shown(each, reading) for each in candidates],
        answers,
        reading,
    )
    return answers


def _either(place: Doc, name: str) -> Any:
    """A field in camelCase, as REST sends it, or in snake_case, as the Python client dumps it."""
    return place[name] if name in place else place.get(_snake(name))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _gemini_shown(candidate: Doc, reading: Reading) -> tuple[Any, Steps | None]:
    content, result = candidate.get("content"), _either(candidate, "logprobsResult")
    text = spoken(content.get("parts"))[0] if isinstance(content, dict) else None
    return text, _Chosen.of(result, reading) if isinstance(result, dict) else None


def _gemini_candidate(
    candidate: Doc, question: str, thought: bool, origin: Origin, reading: Reading
) -> Answer:
    reason = _either(candidate, "finishReason")
    # The Python client of old dumps enumerations as their numbers.
    finished(_REASONS.get(reason, reason) if isinstance(reason, int) else reason)
    result = _either(candidate, "logprobsResult")
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    parts = want(parts or [], list, "parts")
    text, inside = spoken(parts)
    for part in parts:
        if (
            type(part) is dict
            and not _CALLS.isdisjoint(part)
            and _either(part, "functionCall") is not None
        ):
            raise Skip("no label", "the answer calls a tool")
    steps = _Chosen.of(result, reading) if isinstance(result, dict) else None
    return labelled(question, text or None, steps, thought or inside, origin, reading)


_CALLS = frozenset({"functionCall", "function_call"})


class _Chosen(NamedTuple):
    """Tokens as Gemini lists them: those chosen, and for each the most probable."""

    chosen: list[Any]
    tops: list[Any]
    reading: Reading

    @classmethod
    def of(cls, result: Doc, reading: Reading) -> _Chosen | None:
        chosen = want(_either(result, "chosenCandidates") or [], list, "chosenCandidates")
        if not chosen:
            return None
        return cls(
            chosen, want(_either(result, "topCandidates") or [], list, "topCandidates"), reading
        )

    def size(self) -> int:
        return len(self.chosen)

    def text(self, position: int) -> str:
        found = want(self.chosen[position], dict, "candidate").get("token")
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_gemini_stated(want(token, dict, "candidate")) for token in self.chosen]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        top = self.tops[position] if position < len(self.tops) else {}
        listed = want(
            want(top, dict, "topCandidates[]").get("candidates") or [],
            list,
            "topCandidates[].candidates",
        )
        (key, own), *entries = _gemini_entries([self.chosen[position], *listed], self.reading.texts)
        return key, own, entries


def _gemini_stated(place: Doc) -> Any:
    # Zero values are left out of the JSON: a token without logProbability is certain.
    stated = _either(place, "logProbability")
    return 0.0 if stated is None else stated


_REASONS = {0: None, 1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION"}


def _gemini_entries(listed: list[Any], texts: dict[Key, str]) -> list[Entry]:
    found: list[Entry] = []
    for entry in listed:
        if type(entry) is not dict:
            want(entry, dict, "candidate")
        key, value = entry.get("tokenId"), entry.get("logProbability")
        if type(key) is not int or key not in texts:
            key = token_key(entry.get("token"), None, _either(entry, "tokenId"), texts)
        if type(value) is not float or not CENSORED < value <= 0.0:
            value = log_probability(_gemini_stated(entry))
        found.append((key, value))
    return found
