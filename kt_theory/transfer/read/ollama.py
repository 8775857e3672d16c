"""What Ollama returns in its own format."""

from __future__ import annotations

from kt_theory.transfer.read.answers import (
    Answer,
    Doc,
    Reading,
    asked,
    failed,
    finished,
    want,
)
from kt_theory.transfer.read.openai import body_of
from kt_theory.transfer.read.reasoning import beside, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Listed, labelled, tell_unshown


def is_ollama(body: Doc, doc: Doc) -> bool:
    """Ollama's own endpoints say whether the answer is `done`."""
    if "done" not in body:
        return False
    return isinstance(body.get("response"), str) or isinstance(body.get("message"), dict)


def ollama(doc: Doc, reading: Reading) -> list[Answer]:
    """Ollama: `response` of /api/generate or `message` of /api/chat, and logprobs[] where they were
    asked for.
    """
    failed(doc)
    body = doc if isinstance(doc.get("response"), str) else body_of(doc)
    finished(body.get("done_reason"))
    request = doc.get("request")
    place = {
        name: value for name, value in doc.items() if name not in ("response", "message", "context")
    }
    question = asked(place, reading)
    origin = origin_of((request,), (body, doc))
    message = body.get("message")
    text = body.get("response")
    thought = beside(body) or thought_before(body, (request, doc))
    if isinstance(message, dict):
        text, thought = message.get("content"), thought or beside(message)
    logprobs = body.get("logprobs")
    steps = Listed(want(logprobs, list, "logprobs"), reading) if logprobs else None
    answer = labelled(question, text, steps, thought, origin, reading)
    tell_unshown(body.get("eval_count"), lambda: [(text, steps)], [answer], reading)
    return [answer]
