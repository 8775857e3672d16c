"""What OpenAI's API and the many servers that speak it return: chat, Responses, legacy completions,
Batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import (
    Answer,
    Doc,
    Reading,
    asked,
    failed,
    finished,
    malformed,
    prompt_of,
    shared_out,
    want,
)
from kt_theory.transfer.read.reasoning import beside, spoken, thought_before, tokens_counted
from kt_theory.transfer.read.sampling import Origin, origin_of
from kt_theory.transfer.read.steps import Listed, Parallel, Steps, labelled, tell_unshown


def body_of(doc: Doc) -> Doc:
    """Return the answer's body, unwrapped from `response`, `response.body` or the Batch API's
    envelope.

    Raises
    ------
    Skip
        If there is an error in its place.
    """
    if "response" not in doc:
        return doc
    response = want(doc["response"], dict, "response")
    status, body = response.get("status_code", 200), response.get("body")
    if isinstance(body, dict):
        response = body
    if response is not body and status == 200 and "body" in response and "status_code" in response:
        want(body, dict, "response.body")
    failed(response)
    if status != 200:
        raise Skip("error", f"status code {status}")
    return response


def first_choice(body: Doc) -> Doc:
    """Return the first of a body's `choices`, an empty object if there is none."""
    choices = body.get("choices")
    return (
        choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    )


def is_chat(body: Doc, doc: Doc) -> bool:
    """Chat completions have choices."""
    return "choices" in body


def chat(doc: Doc, reading: Reading) -> list[Answer]:
    """Chat completions: choices[].logprobs.content[] of {token, logprob, bytes, top_logprobs}.

    Together and old vLLM write the legacy lists `tokens`, `token_logprobs`, `top_logprobs` in place
    of `content`; the MLX server these lists with ids alone. Scores of the prompt beside an answer
    are left alone: it is the record.
    """
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    requests = (doc.get("request"), doc.get("body"))
    origin = origin_of(requests, (body, doc))
    thought = thought_before(body, (*requests, doc))
    choices = want(body.get("choices"), list, "choices")
    answers = each_choice(
        choices, lambda choice: _chat_choice(choice, question, thought, origin, reading)
    )
    if "usage" in body:
        tell_unshown(tokens_counted(body), lambda: shown_by(choices, reading), answers, reading)
    return answers


def shown_by(choices: list[Any], reading: Reading) -> list[tuple[Any, Steps | None]]:
    """Return the text of each choice, and its tokens."""
    found = []
    for choice in choices:
        message = choice.get("message")
        text = (
            spoken(message.get("content"))[0] if isinstance(message, dict) else choice.get("text")
        )
        found.append((text, steps_of(choice.get("logprobs"), reading)))
    return found


def _noted(answer: Answer, reason: Any, reading: Reading) -> Answer:
    """The answer; a whole text that was cut off at the limit of tokens is counted in a note."""
    if reading.label == "text" and reason in ("length", "max_output_tokens"):
        notes = reading.account.notes
        place = next((i for i, note in enumerate(notes) if note.endswith(_CUT)), len(notes))
        count = int(notes[place].split()[0]) if place < len(notes) else 0
        notes[place : place + 1] = [f"{count + 1} {_CUT}"]
    return answer


_CUT = "answers were cut off (finish_reason length): their texts are labels as cut"


def each_choice(
    choices: list[Any], read: Callable[[Doc], Answer], name: str = "choice"
) -> list[Answer]:
    """Read all choices; a line counts as skipped only if none of them gives a record."""
    if not choices:
        raise Skip("no label", f"{name}s is empty")
    answers, why = [], None
    for choice in choices:
        try:
            answers.append(read(want(choice, dict, name)))
        except Skip as skip:
            if skip.outcome == "malformed":
                raise
            why = skip
    if why is not None and not answers:
        raise why
    return answers


def _chat_choice(
    choice: Doc, question: str, thought: bool, origin: Origin, reading: Reading
) -> Answer:
    message = choice.get("message")
    text = None
    if isinstance(message, dict):
        if message.get("refusal"):
            raise Skip("refused", "the message is a refusal")
        text, inside = spoken(message.get("content"))
        thought = thought or inside or beside(message)
    reason = choice.get("finish_reason")
    finished(reason)
    steps = steps_of(choice.get("logprobs"), reading)
    return _noted(labelled(question, text, steps, thought, origin, reading, True), reason, reading)


def steps_of(logprobs: Any, reading: Reading) -> Steps | None:
    """The tokens of a choice's `logprobs`, in `content` or as parallel lists."""
    if not isinstance(logprobs, dict):
        return None
    content = logprobs.get("content")
    if content is not None:
        return Listed(want(content, list, "logprobs.content"), reading) if content else None
    if logprobs.get("tokens"):
        return Parallel.of(logprobs, reading)
    return None


def is_responses(body: Doc, doc: Doc) -> bool:
    """The Responses API lists what it did in `output`."""
    return isinstance(body.get("output"), list)


def responses(doc: Doc, reading: Reading) -> list[Answer]:
    """Responses: output[].content[].logprobs[] of {token, logprob, bytes, top_logprobs}.

    Of several messages the last one is the answer. What stands before it, reasoning or calls of
    tools, was drawn too: then the label alone counts.
    """
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    status = body.get("status", "completed")
    if status not in ("completed", "incomplete"):
        raise Skip("error", f"status {status}")
    why = body.get("incomplete_details")
    if isinstance(why, dict) and why.get("reason") != "max_output_tokens":
        finished(why.get("reason"))
    before, message = _last_message(want(body.get("output"), list, "output"))
    parts = [
        want(part, dict, "content part")
        for part in want(message.get("content"), list, "output[].content")
    ]
    if any(part.get("type") == "refusal" for part in parts):
        raise Skip("refused", "the message is a refusal")
    parts = [part for part in parts if part.get("type", "output_text") == "output_text"]
    if not parts:
        raise Skip("no label", "output holds no text")
    requests = (doc.get("request"), doc.get("body"))
    origin = origin_of(requests, (body, doc))
    thought = _thought(body, before, (*requests, doc))
    text = parts[0].get("text")
    if len(parts) > 1:
        text = "".join([part["text"] for part in parts if isinstance(part.get("text"), str)])
    # The API sends an empty list where log-probabilities were not asked for.
    listed = [want(part.get("logprobs") or [], list, "logprobs") for part in parts]
    tokens = listed[0] if len(listed) == 1 else [token for part in listed for token in part]
    steps = Listed(tokens, reading) if tokens else None
    answer = labelled(question, text, steps, thought, origin, reading, True)
    tell_unshown(tokens_counted(body), lambda: [(text, steps)], [answer], reading)
    return [_noted(answer, why.get("reason") if isinstance(why, dict) else None, reading)]


def _last_message(items: list[Any]) -> tuple[list[str], Doc]:
    """The kinds of what stands before the last message, and that message."""
    kinds = [str(item.get("type", "message")) if isinstance(item, dict) else "" for item in items]
    if "message" not in kinds:
        called = [kind for kind in kinds if kind in _CALLS]
        raise Skip(
            "no label",
            f"the answer calls a tool, {called[0]}" if called else "output holds no message",
        )
    last = len(kinds) - 1 - kinds[::-1].index("message")
    if _CALLS.intersection(kinds[last:]):
        raise Skip("no label", "the answer calls a tool after its message")
    return kinds[:last], items[last]


_CALLS = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "mcp_approval_request",
    }
)


def _thought(body: Doc, before: list[str], requests: tuple[Any, ...]) -> bool:
    """Whether something was drawn before the message: reasoning, unless its tokens are counted as
    0, or a call.
    """
    if any(kind not in ("reasoning", "") for kind in before):
        return True
    if thought_before(body, requests):
        return True
    if "reasoning" not in before:
        return False
    usage = body.get("usage")
    details = usage.get("output_tokens_details") if isinstance(usage, dict) else None
    return not (isinstance(details, dict) and details.get("reasoning_tokens") == 0)


def is_completions(body: Doc, doc: Doc) -> bool:
    """Legacy completions have choices with a text."""
    return "text" in first_choice(body)


def completions(doc: Doc, reading: Reading) -> list[Answer]:
    """Legacy completions: logprobs of parallel lists `tokens`, `token_logprobs`, `top_logprobs`,
    `text_offset`.

    llama.cpp writes `content` there, as chat completions do. Of several prompts in one request each
    has as many choices: those of the first come first.
    """
    failed(doc)
    body = body_of(doc)
    choices = want(body.get("choices"), list, "choices")
    docs = shared_out(doc, len(choices))
    if len(docs) > 1 and any(one is not docs[0] for one in docs):
        places = [_place(choice, position, len(choices)) for position, choice in enumerate(choices)]
        if sorted(places) != list(range(len(choices))):
            raise malformed(f"indices {places}: with several prompts each choice needs its own")
        # The usage counts the tokens of all prompts.
        alone = {name: value for name, value in body.items() if name != "usage"}
        reads = [_completions_of(docs[place], alone, reading) for place in places]
        count = iter(reads)
        answers = each_choice(choices, lambda choice: next(count)(choice))
    else:
        answers = each_choice(choices, _completions_of(docs[0] if docs else doc, body, reading))
    if "usage" in body:
        tell_unshown(tokens_counted(body), lambda: shown_by(choices, reading), answers, reading)
    return answers


def _place(choice: Any, position: int, count: int) -> int:
    """The place of a choice among all, as it says."""
    index = choice.get("index", position) if isinstance(choice, dict) else position
    return index if isinstance(index, int) and 0 <= index < count else -1


def _completions_of(doc: Doc, body: Doc, reading: Reading) -> Callable[[Doc], Answer]:
    """Return what reads a choice of a body that answers one prompt."""
    question = asked(doc, reading)
    requests = (doc.get("request"), doc.get("body"))
    echo = doc.get("echo") is True or body.get("echo") is True
    for request in requests:
        echo = echo or (type(request) is dict and request.get("echo") is True)
    origin = origin_of(requests, (body, doc))
    thought = thought_before(body, (*requests, doc))

    def read(choice: Doc) -> Answer:
        reason = choice.get("finish_reason")
        finished(reason)
        text, logprobs = choice.get("text"), choice.get("logprobs")
        steps = steps_of(logprobs, reading)
        # An echoed prompt shows by its null first entry, too.
        if (
            isinstance(logprobs, dict)
            and isinstance(steps, Parallel)
            and (echo or steps.numbers[0] is None)
        ):
            prompt = prompt_of(doc, reading)
            steps = steps._replace(
                start=_first_generated(steps, logprobs.get("text_offset"), body, prompt)
            )
            text = text.removeprefix(prompt) if isinstance(text, str) else text
        answer = labelled(question, text, steps, thought or beside(choice), origin, reading)
        return _noted(answer, reason, reading)

    return read


def _first_generated(steps: Parallel, offsets: Any, body: Doc, prompt: str) -> int:
    """The position of the first token behind the echoed prompt; raises a Skip if none is."""
    count = len(steps.tokens)
    first: Any
    if isinstance(offsets, list) and len(offsets) == count:
        start = offsets[0] if offsets and isinstance(offsets[0], int) else 0
        ends = [isinstance(offset, int) and offset - start >= len(prompt) for offset in offsets]
        first = ends.index(True) if True in ends else count
    else:
        usage = body.get("usage")
        first = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if not isinstance(first, int) or first < 0:
            raise malformed(
                "an echoed prompt needs its text and text_offset, or usage.prompt_tokens, to tell "
                "where it ends"
            )
    if first >= count:
        raise Skip("no label", "no token was generated")
    return int(first)
