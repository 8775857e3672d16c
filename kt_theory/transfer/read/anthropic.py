"""What Anthropic returns: messages, and lines of its batches."""

from __future__ import annotations

from kt_theory.transfer.account import Skip
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
from kt_theory.transfer.read.reasoning import spoken, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import labelled


def is_anthropic(body: Doc, doc: Doc) -> bool:
    """Anthropic's messages are a list of parts, with a stop reason; its batches have a `result`."""
    result = doc.get("result")
    if isinstance(result, dict) and "custom_id" in doc:
        return True
    return isinstance(body.get("content"), list) and (
        "stop_reason" in body or body.get("type") == "message"
    )


def anthropic(doc: Doc, reading: Reading) -> list[Answer]:
    """Anthropic's messages: content[] of {type, text}; it states no probabilities, so that the text
    is the label.
    """
    failed(doc)
    result = doc.get("result")
    body = body_of(doc)
    if isinstance(result, dict):
        failed(result)
        if result.get("type", "succeeded") != "succeeded":
            raise Skip("error", f"result {result['type']}")
        body = want(result.get("message"), dict, "result.message")
    failed(body)
    finished(body.get("stop_reason"))
    requests = (doc.get("request"), doc.get("body"), doc.get("params"))
    text, inside = spoken(want(body.get("content"), list, "content"))
    thought = inside or thought_before(body, (*requests, doc))
    question = asked(doc, reading)
    return [labelled(question, text, None, thought, origin_of(requests, (body, doc)), reading)]
