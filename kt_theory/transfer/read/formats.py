"""The formats of records, each with its reader, how it is recognised, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read import openai, plain
from kt_theory.transfer.read.answers import Answer, Doc, Reader, Reading, failed, shared_out
from kt_theory.transfer.read.anthropic import anthropic, is_anthropic
from kt_theory.transfer.read.cohere import cohere, is_cohere
from kt_theory.transfer.read.gemini import gemini, is_gemini
from kt_theory.transfer.read.inspect_logs import inspect, is_inspect
from kt_theory.transfer.read.llama_cpp import is_llama_cpp, llama_cpp
from kt_theory.transfer.read.ollama import is_ollama, ollama
from kt_theory.transfer.read.sglang import is_sglang, sglang
from kt_theory.transfer.read.tgi import is_tgi, tgi
from kt_theory.transfer.read.vllm import is_vllm, vllm

PLAIN = '{"input": ..., "label": ..., "logprob": ...}'


class Format(NamedTuple):
    """A format of records.

    Attributes
    ----------
    name : str
        Its name.
    reader : callable
        Returns the answers of a record.
    recognised : callable
        Whether a record has it, by the answer's body and the whole record.
    needs : tuple of str
        What its records cannot lack.
    usual : tuple of str
        What else they often have: the format that most of a record's fields belong to is the
        nearest.
    """

    name: str
    reader: Reader
    recognised: Callable[[Doc, Doc], bool]
    needs: tuple[str, ...]
    usual: tuple[str, ...] = ()


def _is_plain(body: Doc, doc: Doc) -> bool:
    return plain.recognises(doc)


def _is_batch(body: Doc, doc: Doc) -> bool:
    return "custom_id" in doc and ("response" in doc or "error" in doc)


def batch(doc: Doc, reading: Reading) -> list[Answer]:
    """Lines of the Batch API: `custom_id`, `response.status_code`, `response.body` of any other
    format, `error`.
    """
    body = _body(doc)
    forms = _WITH_CHOICES
    if "choices" not in body:
        failed(doc)
        body, forms = openai.body_of(doc), FORMATS[1:]
    for form in forms:
        if form.recognised(body, doc):
            return form.reader(doc, reading)
    return openai.chat(doc, reading)


FORMATS = (
    Format("openai_batch", batch, _is_batch, ("custom_id", "response"), ("error", "method", "url")),
    Format(
        "inspect",
        inspect,
        is_inspect,
        ("output", "input"),
        ("epoch", "target", "scores", "messages"),
    ),
    Format("sglang", sglang, is_sglang, ("meta_info",), ("text", "output_ids", "sampling_params")),
    Format(
        "llama_cpp",
        llama_cpp,
        is_llama_cpp,
        ("content", "completion_probabilities"),
        (
            "generation_settings",
            "id_slot",
            "tokens_predicted",
            "tokens_evaluated",
            "stop",
            "stop_type",
            "n_probs",
        ),
    ),
    Format(
        "gemini",
        gemini,
        is_gemini,
        ("candidates",),
        (
            "usageMetadata",
            "modelVersion",
            "responseId",
            "contents",
            "generationConfig",
            "usage_metadata",
        ),
    ),
    Format(
        "tgi",
        tgi,
        is_tgi,
        ("generated_text",),
        ("details", "inputs", "parameters", "tokens"),
    ),
    Format(
        "ollama",
        ollama,
        is_ollama,
        ("done", "message"),
        (
            "created_at",
            "eval_count",
            "prompt_eval_count",
            "done_reason",
            "eval_duration",
            "total_duration",
            "context",
        ),
    ),
    Format(
        "openai_responses",
        openai.responses,
        openai.is_responses,
        ("output",),
        (
            "status",
            "instructions",
            "output_text",
            "incomplete_details",
            "previous_response_id",
            "max_output_tokens",
        ),
    ),
    Format(
        "vllm",
        vllm,
        is_vllm,
        ("outputs",),
        ("prompt_token_ids", "prompt_logprobs", "request_id", "finished", "encoder_prompt"),
    ),
    Format(
        "openai_completions", openai.completions, openai.is_completions, ("choices",), ("echo",)
    ),
    Format(
        "openai_chat",
        openai.chat,
        openai.is_chat,
        ("choices",),
        (
            "messages",
            "usage",
            "object",
            "created",
            "system_fingerprint",
            "service_tier",
            "model",
            "id",
        ),
    ),
    Format(
        "anthropic",
        anthropic,
        is_anthropic,
        ("content", "stop_reason"),
        ("stop_sequence", "role", "type", "result"),
    ),
    Format(
        "cohere", cohere, is_cohere, ("message", "finish_reason"), ("generation_id", "chat_history")
    ),
    Format(
        "plain",
        plain.record,
        _is_plain,
        ("input", "label"),
        (
            "logprob",
            "logprobs",
            "top_logprobs",
            "prob",
            "top_probs",
            "prompt",
            "question",
            "answer",
            "text",
        ),
    ),
)
"""In the order in which they are recognised."""

_WITH_CHOICES = tuple(
    form for form in FORMATS if form.name in ("vllm", "openai_completions", "openai_chat")
)
"""What almost all lines of a Batch hold."""


def _drawn(reader: Reader) -> Reader:
    """Return a reader of records whose `response` is one answer or a list of several, all drawn for
    one request.
    """

    def read(doc: Doc, reading: Reading) -> list[Answer]:
        response = doc.get("response")
        if type(response) is not list or not response:
            return reader(doc, reading)
        if (
            type(response[0]) is dict
            and "candidates" in response[0]
            and not response[0].get("responseId")
        ):
            reading.account.note(_LISTS)
        answers, why = [], None
        for body, one in zip(response, shared_out(doc, len(response)), strict=True):
            try:
                answers += reader({**one, "response": body}, reading)
            except Skip as skip:
                if skip.outcome == "malformed":
                    raise
                why = skip
        if why is not None and not answers:
            raise why
        return answers

    return read


_LISTS = (
    "answers of Gemini in one list have no responseId: they are taken for draws, not for pieces of "
    "a stream"
)

READERS: dict[str, Reader] = {
    form.name: form.reader if form.name == "plain" else _drawn(form.reader) for form in FORMATS
}
"""Readers of records, by the name of their format."""


def recognise(doc: Doc, input: str | None = None) -> str:
    """Return the name of the format that a record has.

    `input` is the field that the user named for the input.

    Raises
    ------
    Skip
        If it has none: it names the nearest one, and what the record lacks of it.
    """
    body = _body(doc)
    for form in FORMATS:
        if form.recognised(body, doc):
            return form.name
    if input is not None and plain.recognises(doc, input):
        return "plain"
    raise Skip("malformed", _unknown(body, doc))


def _body(doc: Doc) -> Doc:
    """The answer in a record: the record itself if it stands for no more."""
    response = doc.get("response")
    if isinstance(response, list) and response:
        response = response[0]
    if not isinstance(response, dict):
        return doc
    body = response.get("body", response)
    return body if isinstance(body, dict) else doc


def _unknown(body: Doc, doc: Doc) -> str:
    fields = [name for name in dict.fromkeys([*body, *doc]) if name not in ("response", "request")]
    shown = ", ".join(fields[:8]) or "none"
    shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
    nearest, lacks = _nearest(set(body) | set(doc))
    if nearest is None:
        return f"no known format: fields {shown}; the plain format is {PLAIN}"
    return (
        f"no known format: nearest is {nearest.name}, but {lacks!r} is missing; the plain format "
        f"is {PLAIN}"
    )


def _nearest(fields: set[str]) -> tuple[Format | None, str]:
    """The format that most fields belong to, and the first that it needs and is missing."""
    best, most, lacks = None, 0, ""
    for form in reversed(FORMATS):
        missing = [name for name in form.needs if name not in fields]
        shared = len(fields.intersection(form.usual)) + 2 * (len(form.needs) - len(missing))
        if missing and shared > most:
            best, most, lacks = form, shared, missing[0]
    return best, lacks
