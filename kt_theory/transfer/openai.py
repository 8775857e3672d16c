"""What OpenAI's API and the many servers that speak it return: chat, Responses, legacy completions, Batch."""

from __future__ import annotations

from typing import Any

from kt_theory.transfer.account import Skip
from kt_theory.transfer.answers import (
    CENSORED,
    UNSTATED,
    Answer,
    Reading,
    asked,
    failed,
    finished,
    log_probability,
    malformed,
    token_key,
    want,
    with_sampled,
)
from kt_theory.transfer.sampling import Origin, origin_of


def body_of(doc: dict[str, Any]) -> dict[str, Any]:
    """Return the answer's body, unwrapped from `response`, `response.body` or the Batch API's envelope."""
    response = doc.get("response", doc)
    if isinstance(response, dict) and isinstance(response.get("body"), dict):
        status = response.get("status_code", 200)
        if status != 200:
            failed(response["body"])
            raise Skip("error", f"status code {status}")
        response = response["body"]
    elif isinstance(response, dict) and response.get("status_code", 200) != 200:
        raise Skip("error", f"status code {response['status_code']}")
    want(response, dict, "response")
    if response is not doc:
        failed(response)
    return response


def chat(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Chat completions: choices[].logprobs.content[] of {token, logprob, bytes, top_logprobs}."""
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    origin = origin_of((doc.get("request"), doc.get("body")), (body, doc))
    choices = want(body.get("choices"), list, "choices")
    return _each(choices, lambda choice: _chat_choice(choice, question, origin, reading))


def _each(choices: list[Any], read: Any) -> list[Answer]:
    """Read all choices; a line counts as skipped only if none of them gives a record."""
    if not choices:
        raise Skip("no label", "choices is empty")
    answers, why = [], None
    for choice in choices:
        try:
            answers.append(read(want(choice, dict, "choice")))
        except Skip as skip:
            if skip.outcome == "malformed":
                raise
            why = skip
    if why is not None and not answers:
        raise why
    return answers


def _chat_choice(choice: dict[str, Any], question: Any, origin: Origin, reading: Reading) -> Answer:
    message = choice.get("message")
    if isinstance(message, dict) and message.get("refusal"):
        raise Skip("refused", "the message is a refusal")
    finished(choice.get("finish_reason"))
    text = message.get("content") if isinstance(message, dict) else None
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return from_tokens(question, text, content, origin, reading)


def from_tokens(question: Any, text: Any, content: Any, origin: Origin, reading: Reading) -> Answer:
    """One answer from a list of tokens with their log-probabilities, or from its text alone."""
    tokens = want(content, list, "logprobs.content") if content is not None else []
    if reading.label == "text":
        return whole_text(question, text, [want(t, dict, "token").get("logprob") for t in tokens], origin)
    if not tokens:
        if content is None and isinstance(text, str) and text:
            # Without log-probabilities the first token is unknown: the text itself is the label.
            return Answer(question, text, {}, origin, by_text=True)
        raise Skip("no label", "no token was generated")
    first = want(tokens[0], dict, "token")
    key = token_key(first.get("token"), first.get("bytes"), first.get("id"), reading.texts)
    listed = want(first.get("top_logprobs") or [], list, "top_logprobs")
    texts = reading.texts
    entries = [
        (
            token_key(want(t, dict, "top_logprobs entry").get("token"), t.get("bytes"), t.get("id"), texts),
            log_probability(t.get("logprob")),
        )
        for t in listed
    ]
    return Answer(question, key, with_sampled(key, log_probability(first.get("logprob")), entries), origin)


def whole_text(question: Any, text: Any, logprobs: list[Any], origin: Origin) -> Answer:
    """The whole response as the label; its log-probability is the sum over its tokens, if all are stated."""
    if not isinstance(text, str) or text == "":
        raise Skip("no label", "the response holds no text")
    total = sum([log_probability(value) for value in logprobs]) if logprobs else UNSTATED
    return Answer(question, text, {} if total == UNSTATED else {text: total}, origin)


def responses(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Responses: output[].content[].logprobs[] of {token, logprob, bytes, top_logprobs}."""
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    status = body.get("status", "completed")
    if status not in ("completed", "incomplete"):
        raise Skip("error", f"status {status}")
    why = body.get("incomplete_details")
    if isinstance(why, dict) and why.get("reason") != "max_output_tokens":
        finished(why.get("reason"))
    parts = []
    for item in want(body.get("output"), list, "output"):
        if isinstance(item, dict) and item.get("type", "message") == "message":
            parts.extend(want(item.get("content"), list, "output[].content"))
    for part in parts:
        if want(part, dict, "content part").get("type") == "refusal":
            raise Skip("refused", "the message is a refusal")
    texts = [part for part in parts if part.get("type", "output_text") == "output_text"]
    if not texts:
        raise Skip("no label", "output holds no text")
    origin = origin_of((doc.get("request"), doc.get("body")), (body, doc))
    first = texts[0]
    # The API sends an empty list where log-probabilities were not asked for.
    return [from_tokens(question, first.get("text"), first.get("logprobs") or None, origin, reading)]


def completions(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Legacy completions: logprobs of parallel lists `tokens`, `token_logprobs`, `top_logprobs`, `text_offset`."""
    failed(doc)
    body = body_of(doc)
    question = asked(doc, reading)
    places = (doc.get("request"), doc, doc.get("body"), body)
    origin = origin_of((doc.get("request"), doc.get("body")), (body, doc))
    choices = want(body.get("choices"), list, "choices")
    return _each(choices, lambda choice: _completion(choice, question, origin, places, reading))


def _completion(
    choice: dict[str, Any], question: Any, origin: Origin, places: tuple[Any, ...], reading: Reading
) -> Answer:
    finished(choice.get("finish_reason"))
    text, logprobs = choice.get("text"), choice.get("logprobs")
    if not isinstance(logprobs, dict):
        if isinstance(text, str) and text:
            return Answer(question, text, {}, origin, by_text=True)
        raise Skip("no label", "the response holds no text")
    tokens = want(logprobs.get("tokens"), list, "logprobs.tokens")
    values = want(logprobs.get("token_logprobs"), list, "logprobs.token_logprobs")
    tops = logprobs.get("top_logprobs")
    tops = [None] * len(tokens) if tops is None else want(tops, list, "logprobs.top_logprobs")
    if not len(tokens) == len(values) == len(tops):
        raise malformed(f"{len(tokens)} tokens, {len(values)} token_logprobs, {len(tops)} top_logprobs: must be equal")
    first = _first_generated(tokens, values, logprobs.get("text_offset"), question, places)
    if first >= len(tokens):
        raise Skip("no label", "no token was generated")
    if reading.label == "text":
        answer = text[len(question) :] if first and isinstance(text, str) and isinstance(question, str) else text
        return whole_text(question, answer, values[first:], origin)
    key = token_key(tokens[first])
    listed = want(tops[first] or {}, dict, "top_logprobs entry")
    entries = [
        (
            token if token[:9] != "token_id:" else token_key(token),
            value if type(value) is float and CENSORED < value <= 0.0 else log_probability(value),
        )
        for token, value in listed.items()
    ]
    return Answer(question, key, with_sampled(key, log_probability(values[first]), entries), origin)


def _first_generated(tokens: list[Any], values: list[Any], offsets: Any, question: Any, places: tuple[Any, ...]) -> int:
    """The position of the first token that is not the echoed prompt; an echo shows by its null first entry."""
    if not (values and values[0] is None):
        for place in places:
            if type(place) is dict and place.get("echo") is True:
                break
        else:
            return 0
    if isinstance(question, str) and isinstance(offsets, list) and len(offsets) == len(tokens):
        start = offsets[0] if offsets and isinstance(offsets[0], int) else 0
        for position, offset in enumerate(offsets):
            if isinstance(offset, int) and offset - start >= len(question):
                return position
        return len(tokens)
    usage = places[-1].get("usage")
    prompt = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if isinstance(prompt, int) and prompt >= 0:
        return int(prompt)
    raise malformed("an echoed prompt needs its text and text_offset, or usage.prompt_tokens, to tell where it ends")


def batch(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Lines of the Batch API: `custom_id`, `response.status_code`, `response.body` of any of the above, `error`."""
    failed(doc)
    body = body_of(doc)
    inner = responses if "output" in body else completions if _is_legacy(body) else chat
    return inner(doc, reading)


def _is_legacy(body: dict[str, Any]) -> bool:
    choices = body.get("choices")
    return bool(isinstance(choices, list) and choices and isinstance(choices[0], dict) and "text" in choices[0])
