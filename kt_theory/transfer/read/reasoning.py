"""Where the answer begins after reasoning, in a text and among its tokens.

A probability that is stated after reasoning is P(label | input, the reasoning drawn), not the
teacher's P(label | input), which averages over reasonings: of such an answer only the label counts.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, NamedTuple

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import Doc

_TAGS = (
    "think|thinking|thought|thoughts|reasoning|seed:think|scratchpad|analysis|reflection|rationale"
)
_OPEN = re.compile(
    rf"<(?:{_TAGS})>|<\|begin_of_thought\|>|<\|START_THINKING\|>|\[THINK\]|\u25c1think\u25b7",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</(?:{_TAGS})>|<\|end_of_thought\|>|<\|END_THINKING\|>|\[/THINK\]|\u25c1/think\u25b7",
    re.IGNORECASE,
)
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_ANSWER = re.compile(
    r"\s*(?:<answer>|<\|begin_of_solution\|>|<response>"
    r"|(?:<\|START_RESPONSE\|>)?<\|START_TEXT\|>|<\|START_RESPONSE\|>)",
    re.IGNORECASE,
)
_ENDS = (
    *("</answer>", "</response>", "<|end_of_solution|>", "<|end_response|>", "<|end_text|>"),
    *("<|return|>", "<|end|>", "<|im_end|>", "<|eot_id|>", "</s>"),
)
_NEVER = -1


class Answered(NamedTuple):
    """An answer apart from its reasoning.

    Attributes
    ----------
    text : str
        The answer; without reasoning as it stands.
    first : int or None
        The position of its first token, None if it is not among those listed.
    reasoned : bool
        Reasoning came before it.
    """

    text: str
    first: int | None
    reasoned: bool


def marked(text: str) -> bool:
    """Return whether a text holds a marker of reasoning."""
    if ("<" in text or "[" in text or "\u25c1" in text) and (
        "<|" in text or _OPEN.search(text) is not None or _CLOSE.search(text) is not None
    ):
        return True
    return text.startswith("analysis") and "assistantfinal" in text


def start_of_answer(text: str) -> int:
    """Return where the answer begins: 0 if the text holds no reasoning, -1 if its reasoning does
    not end.

    Markers are <think> and its kin, whose opening may stand in the template and so not in the text,
    and channels, of which the last one named `final` holds the answer.
    """
    if "<|channel|>" in text:
        finals = list(_FINAL.finditer(text))
        return finals[-1].end() if finals else _NEVER
    if text.startswith("analysis") and "assistantfinal" in text:
        # Channels whose markers were left out.
        return text.index("assistantfinal") + len("assistantfinal")
    start = 0
    while True:
        opened = _OPEN.search(text, start)
        at_once = opened is not None and not text[start : opened.start()].strip()
        closed = _CLOSE.search(text, start)
        if closed is None:
            return _NEVER if at_once else _after_tag(text, start)
        if start > 0 and not at_once:
            return _after_tag(text, start)
        start = closed.end()


def _after_tag(text: str, start: int) -> int:
    """Behind the tag that some models put before the answer that follows reasoning."""
    if start == 0:
        return 0
    tag = _ANSWER.match(text, start)
    return tag.end() if tag else start


def answered(text: Any, tokens: list[str], thought: bool) -> Answered:
    """Return the answer in a text and in its tokens, apart from reasoning.

    Parameters
    ----------
    text : str or None
        What was generated, as the server shows it, with its reasoning or without.
    tokens : list of str
        The tokens listed for it, which may hold the reasoning where the text does not.
    thought : bool
        The record says elsewhere that reasoning came before the answer.

    Raises
    ------
    Skip
        If there is reasoning and no answer.
    """
    shown = text if isinstance(text, str) else ""
    joined = "".join(tokens)
    here, there = start_of_answer(shown), start_of_answer(joined)
    if not thought and here == 0 and there == 0:
        return Answered(shown, 0, False)
    if here == _NEVER or (not shown and (there == _NEVER or (there == 0 and thought))):
        raise Skip("no label", "the reasoning does not end: there is no answer")
    answer = _bare(shown[here:]) if shown else _bare(joined[there:])
    if not answer:
        raise Skip("no label", "no answer follows the reasoning")
    if there == 0:
        there = _found(joined, answer)
    first = _token_at(tokens, there) if there != _NEVER else None
    return Answered(answer, first, True)


def _bare(text: str) -> str:
    end = _behind(text, len(text))
    while tag := next((tag for tag in _ENDS if text[end - len(tag) : end].lower() == tag), ""):
        end = _behind(text, end - len(tag))
    return text[:end].strip()


def _behind(text: str, end: int) -> int:
    """The place behind the last character before `end` that is no space."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


def _found(joined: str, answer: str) -> int:
    """Where tokens that show no marker hold the answer: all of them, or the last ones."""
    start = len(joined) - len(joined.lstrip())
    listed = joined.strip()
    if listed and (listed.startswith(answer) or answer.startswith(listed)):
        return start
    place = joined.rfind(answer)
    if place >= 0 and not _bare(joined[place + len(answer) :]):
        return place
    return _NEVER


def _token_at(tokens: list[str], start: int) -> int | None:
    """The token that begins the answer at or after a place in the text, behind spaces; None if it
    begins earlier.
    """
    end = 0
    for position, end in enumerate(accumulate(map(len, tokens))):
        begin = end - len(tokens[position])
        if end > start and tokens[position][max(0, start - begin) :].strip():
            return (
                position
                if begin >= start or not tokens[position][: start - begin].strip()
                else None
            )
    return None


THOUGHTS = frozenset({"thinking", "reasoning", "redacted_thinking", "thought", "reasoning_content"})
"""Types of the parts of a message that are no answer."""


def spoken(content: Any) -> tuple[Any, bool]:
    """Return the text of a message, whose content is a text or a list of parts, and whether it
    holds reasoning.
    """
    if not isinstance(content, list):
        return content, False
    texts, thought = [], False
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            if ("type" in part and part["type"] in _THOUGHT_TYPES) or part.get("thought") is True:
                thought = True
            elif isinstance(part.get("text"), str):
                texts.append(part["text"])
    return "".join(texts), thought


_THOUGHT_TYPES = tuple(THOUGHTS)


def beside(message: Doc) -> bool:
    """Return whether a message has reasoning in a field of its own."""
    if _BESIDE.isdisjoint(message):
        return False
    for name in _BESIDE.intersection(message):
        value = message[name]
        if name == _HELD:
            if type(value) is dict and beside(value):
                return True
        elif value and (not isinstance(value, str) or value.strip()):
            return True
    return False


_HELD = "provider_specific_fields"
_BESIDE = frozenset(
    {"reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks", _HELD}
)


def tokens_spent(body: Doc) -> int | None:
    """Return how many tokens of reasoning an answer reports, None if it does not say."""
    usage = body.get("usage")
    if usage is None:
        usage = body.get("usageMetadata", body.get("usage_metadata"))
    if not usage or type(usage) is not dict:
        return None
    found = [usage[name] for name in _COUNTS if type(usage.get(name)) is int]
    for name in ("completion_tokens_details", "output_tokens_details"):
        details = usage.get(name)
        if type(details) is dict and type(details.get("reasoning_tokens")) is int:
            found.append(details["reasoning_tokens"])
    return max(found, default=None)


_COUNTS = ("reasoning_tokens", "num_reasoning_tokens", "thoughtsTokenCount", "thoughts_token_count")


def tokens_counted(body: Doc) -> int:
    """Return how many tokens a server counted for all answers of a body, 0 if few, or if it counts
    reasoning.
    """
    usage = body.get("usage")
    if type(usage) is dict:
        counted = usage.get("completion_tokens", usage.get("output_tokens"))
    else:
        usage = body.get("usageMetadata", body.get("usage_metadata"))
        counted = _counted_by_gemini(usage) if type(usage) is dict and usage else None
    if type(counted) is not int or counted <= FEW or tokens_spent(body) is not None:
        return 0
    return counted


FEW = 16
"""Tokens that are counted and never shown: marks of turns and channels, the end."""


def _counted_by_gemini(usage: Doc) -> Any:
    """All tokens but those of the prompt, as thoughts may be in the total alone."""
    for prompt, total, own in _GEMINI:
        if type(usage.get(prompt)) is int and type(usage.get(total)) is int:
            return usage[total] - usage[prompt]
        if own in usage:
            return usage[own]
    return None


_GEMINI = (
    ("promptTokenCount", "totalTokenCount", "candidatesTokenCount"),
    ("prompt_token_count", "total_token_count", "candidates_token_count"),
)


def asked_for(request: Any) -> bool:
    """Return whether a request asks for reasoning before the answer."""
    if type(request) is not dict or _ASKS_OR_HOLDS.isdisjoint(request):
        return False
    for name, value in request.items():
        if (name in ASKS and _asks(value)) or (name in _INNER and asked_for(value)):
            return True
    return False


_INNER = frozenset(
    {"body", "config", "params", "wrapper", "extra_body", "generationConfig", "generation_config"}
)
ASKS = frozenset(
    {"reasoning_effort", "reasoning", "thinking", "think", "chat_template_kwargs",
     "enable_thinking", "thinkingConfig", "thinking_config"}
)  # fmt: skip
"""Fields of a request that may ask for reasoning."""

_ASKS_OR_HOLDS = ASKS | _INNER


def _asks(value: Any) -> bool:
    if isinstance(value, dict):
        if any([type(value.get(name)) is int and value[name] != 0 for name in _BUDGETS]):
            # A budget of -1 leaves it to the model.
            return True
        return any(
            _asks(value[name])
            for name in _SAYS
            if name in value and not isinstance(value[name], dict)
        )
    if isinstance(value, str):
        return value.strip().lower() not in (
            "",
            "none",
            "disabled",
            "off",
            "false",
            "auto",
            "adaptive",
        )
    return value is True


_BUDGETS = ("thinkingBudget", "thinking_budget", "max_tokens")
_SAYS = (
    "effort",
    "type",
    "enable_thinking",
    "thinking",
    "enabled",
    "thinkingLevel",
    "thinking_level",
)


def thought_before(body: Doc, requests: tuple[Any, ...]) -> bool:
    """Return whether reasoning came before an answer, by its count of tokens, else by what was
    asked for.
    """
    spent = tokens_spent(body)
    if spent is not None:
        return spent > 0
    return True in map(asked_for, requests)
