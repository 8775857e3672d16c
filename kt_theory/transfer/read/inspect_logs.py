"""Samples of Inspect's evaluation logs."""

from __future__ import annotations

from typing import Any

from kt_theory.transfer.read.answers import (
    Answer,
    Doc,
    Reading,
    failed,
    field_of,
    finished,
    input_key,
    want,
)
from kt_theory.transfer.read.openai import each_choice, shown_by, steps_of
from kt_theory.transfer.read.reasoning import beside, spoken, thought_before, tokens_counted
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import labelled, tell_unshown


def is_inspect(body: Doc, doc: Doc) -> bool:
    """A sample of Inspect has an `output` with choices, beside its input."""
    output = doc.get("output")
    return isinstance(output, dict) and "choices" in output


def inspect(doc: Doc, reading: Reading) -> list[Answer]:
    """Inspect: samples[].output.choices[].logprobs.content[], as OpenAI's; asked are the messages
    before the answer.

    The settings of generation stand at the head of the log, from where each sample has them as its
    `request`.
    """
    failed(doc)
    output = want(doc.get("output"), dict, "output")
    failed(output)
    question = input_key(_asked(doc) if reading.input is None else field_of(doc, reading.input))
    request = doc.get("request")
    origin = origin_of((request,), (output, doc))
    thought = thought_before(output, (request, doc))

    def read(choice: Doc) -> Answer:
        finished(choice.get("stop_reason"))
        message = want(choice.get("message"), dict, "message")
        text, inside = spoken(message.get("content"))
        steps = steps_of(choice.get("logprobs"), reading)
        return labelled(
            question, text, steps, thought or inside or beside(message), origin, reading
        )

    choices = want(output.get("choices"), list, "choices")
    answers = each_choice(choices, read)
    tell_unshown(tokens_counted(output), lambda: shown_by(choices, reading), answers, reading)
    return answers


def _asked(doc: Doc) -> Any:
    """The messages up to the answer, with those that a solver put before the input; else the
    input.
    """
    messages = doc.get("messages")
    if isinstance(messages, list) and messages and all(isinstance(turn, dict) for turn in messages):
        last = messages[-1].get("role") == "assistant"
        asked = messages[:-1] if last else messages
        if asked:
            return [
                {"role": turn.get("role", "user"), "content": turn.get("content")} for turn in asked
            ]
    return doc.get("input")
