"""One answer of a teacher, whatever server it came from, and the fields that all of them spell
alike.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.read.sampling import Origin

Doc = dict[str, Any]
"""A JSON object."""

CENSORED = -1000.0
"""Servers write -9999, -3.4e38 or -inf for "too small to list": so is everything at or below this.
"""

UNKNOWN = -1e308
"""What NaN and -Infinity are read as, for which JSON has no number: censored, as logarithms and as
probabilities.
"""

UNSTATED = math.inf
"""In place of a log-probability that a record does not state: nothing is known of it, not even that
it is small.
"""

ROUNDING = 1e-3
"""A log-probability may exceed 0 by that much: servers compute in half precision."""

FAR = 2**63
"""Numbers from here on name nothing: whole ones beyond 64 bits arrive as floats, which have lost
their last digits.
"""

Key = int | str | bytes
"""What tells labels apart: the token's id, else its bytes, else its text."""


class Answer(NamedTuple):
    """One record.

    Attributes
    ----------
    input : str
        What was asked.
    label : Key or None
        The sampled label, None if the record only states probabilities.
    entries : dict of Key to float
        Stated log-probabilities; NaN where censored.
    origin : Origin
        How the label was drawn, as far as the record says.
    by_text : bool
        The label is a whole text in place of a first token, as the answer states no tokens.
    reasoned : bool
        Reasoning came before the label: what is stated of it holds given that reasoning, and is
        left out.
    """

    input: str
    label: Key | None
    entries: dict[Key, float]
    origin: Origin
    by_text: bool = False
    reasoned: bool = False


class Reading(NamedTuple):
    """How to read records.

    Attributes
    ----------
    label : str
        Which part of a response is the label: "first_token" or "text".
    input : str or None
        The field that holds the input, with dots between names; the usual places if omitted.
    texts : dict
        Texts of token ids, gathered while reading.
    account : Account
        Takes down what a reader guesses or counts.
    label_field, logprob_field : str or None
        Of tables and plain records: the fields of the label and of its log-probability.
    model : str or None
        Only answers of this model are read.
    """

    label: str
    input: str | None
    texts: dict[Key, str]
    account: Account
    label_field: str | None = None
    logprob_field: str | None = None
    model: str | None = None


Reader = Callable[[Doc, Reading], list[Answer]]


def malformed(reason: str) -> Skip:
    """A line that is no record of the format."""
    return Skip("malformed", reason)


def want(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    """Return `value` if it is of the kind, else raise a Skip that names the field."""
    if type(value) is kind or (isinstance(value, kind) and type(value) is not bool):
        return value
    raise malformed(f"{name} is {_kind(value)}")


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, default=str)
    return text if len(text) < 40 else f"{text[:37]}..."


def log_probability(value: Any, name: str = "logprob") -> float:
    """Return a log-probability in (-1000, 0], NaN if it is censored, or `UNSTATED` if there is
    none.
    """
    if type(value) is float and CENSORED < value <= 0.0:
        return value
    if value is None:
        return UNSTATED
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise malformed(f"{name} = {value!r}: must be a number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise malformed(f"{name} is {_kind(value)}: must be a number")
    if value > ROUNDING:
        raise malformed(f"{name} = {_kind(value)}: a log-probability must be at most 0")
    if value <= CENSORED or value != value:
        return math.nan
    return min(float(value), 0.0)


def probability(value: Any, name: str = "prob") -> float:
    """Return the logarithm of a probability, NaN (censored) for 0 or NaN, or `UNSTATED` if there is
    none.
    """
    if value is None:
        return UNSTATED
    if value == UNKNOWN:
        return math.nan
    number = want(value, (int, float), name)
    if number > 1.0 + ROUNDING or number < 0.0:
        raise malformed(f"{name} = {_kind(number)}: must lie in [0, 1]")
    return min(0.0, math.log(number)) if number > 0.0 else math.nan


def token_key(
    text: Any, raw: Any = None, number: Any = None, texts: dict[Key, str] | None = None
) -> Key:
    """Return what tells a token apart: its id, else its bytes, else its text. `token_id:42` is the
    id 42.
    """
    if raw is None and number is None and type(text) is str and "token_id:" not in text:
        return text
    if number is not None:
        key: int = want(number, int, "token id")
        if texts is not None and isinstance(text, str):
            texts.setdefault(key, text)
        return key
    if (
        isinstance(text, str)
        and text.startswith("token_id:")
        and text[9:].isdecimal()
        and len(text) < 30
    ):
        return int(text[9:])
    if type(raw) is list and raw:
        try:
            octets = bytes(raw)
        except (TypeError, ValueError, OverflowError):
            raise malformed(
                f"bytes = {_kind(raw)}: must be a list of whole numbers from 0 to 255"
            ) from None
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets
    if isinstance(text, str):
        return text
    raise malformed(f"token is {_kind(text)}")


def with_sampled(key: Key, value: float, entries: list[tuple[Key, float]]) -> dict[Key, float]:
    """Return what is stated, the sampled label's own first, each label once: of tokens that read
    alike the first.
    """
    # The sampled token may be listed with a value where its own field holds the censoring mark.
    listed = dict(entries)
    if len(listed) == len(entries):
        if key in listed and (-math.inf < value < math.inf or listed[key] == UNSTATED):
            listed[key] = value
        found = {key: value, **listed}
    else:
        found = {key: value}
        for name, stated in entries:
            if name not in found or (
                (found[name] != found[name] or found[name] == UNSTATED) and stated != UNSTATED
            ):
                found[name] = stated
    if UNSTATED in found.values():
        return {name: stated for name, stated in found.items() if stated != UNSTATED}
    return found


def each_once(entries: list[tuple[Key, float]]) -> dict[Key, float]:
    """Return the entries, each label once: of tokens that read alike the first."""
    return with_sampled(*entries[0], entries) if entries else {}


def finished(reason: Any) -> None:
    """Raise a Skip unless the answer ended in an ordinary way."""
    if type(reason) is dict:
        reason = reason.get("type")
    if reason is None or (type(reason) is str and reason in _ORDINARY):
        return
    name = str(reason).rpartition(".")[2].lower()
    if name in _ORDINARY:
        return
    if name in _DECLINED:
        raise Skip("refused", f"finish reason {reason}")
    if name in _CALLS:
        raise Skip("no label", f"finish reason {reason}: the answer calls a tool")
    raise Skip("error", f"finish reason {reason}")


_ORDINARY = {
    "stop",
    "length",
    "eos",
    "eos_token",
    "limit",
    "word",
    "max_tokens",
    "stop_sequence",
    "end_turn",
    "finish_reason_unspecified",
    "complete",
    "model_length",
}
_DECLINED = {
    "content_filter",
    "safety",
    "blocklist",
    "prohibited_content",
    "spii",
    "recitation",
    "refusal",
    "model_armor",
    "error_toxic",
}
_CALLS = {"tool_calls", "tool_call", "function_call", "tool_use"}


def failed(doc: Doc) -> None:
    """Raise a Skip if the line holds an error in place of an answer."""
    error = doc.get("error")
    if error:
        text = error.get("message", error) if isinstance(error, dict) else error
        raise Skip("error", " ".join(str(text)[:1000].split())[:200])
    if doc.get("object") == "error":
        raise Skip("error", " ".join(str(doc.get("message", "error"))[:1000].split())[:200])


def field_of(doc: Doc, path: str) -> Any:
    """Return the field at a path of names with dots between, such as metadata.question."""
    found: Any = doc
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if found is None:
        raise malformed(f"field {path!r} is missing")
    return found


def asked(doc: Doc, reading: Reading) -> str:
    """Return what was asked: the field that the user named, else a prompt, messages, or an id given
    to the request.

    Instructions, tools and what else a request adds to the prompt are part of it.
    """
    if reading.input is not None:
        return input_key(field_of(doc, reading.input))
    places = _requests(doc)
    frame = _frame(doc, places)
    if frame:
        return "\n".join([*frame, _prompt(doc, places, reading)])
    return _prompt(doc, places, reading)


def prompt_of(doc: Doc, reading: Reading) -> str:
    """Return what was asked without its frame, as the teacher's echo would repeat it."""
    if reading.input is not None:
        return input_key(field_of(doc, reading.input))
    return _prompt(doc, _requests(doc), reading)


def shared_out(doc: Doc, count: int) -> list[Doc]:
    """Return the record of each of `count` answers: where one request asks several prompts, each
    has its own.

    The answers to the first prompt come first, as many as to each other one.

    Raises
    ------
    Skip
        If the prompts do not divide the answers.
    """
    for place in _requests(doc):
        for name in _LISTS:
            if type(place.get(name)) is list and _several(place[name]):
                return _divided(doc, place, name, count)
    return [doc] * count


_LISTS = ("prompt", "text", "inputs", "input_ids", "prompt_token_ids")
"""Where requests for completions may hold several prompts."""


def _several(value: list[Any]) -> bool:
    """A list of prompts: texts, or lists of ids."""
    if not value:
        return False
    return all([type(v) is str for v in value]) or all([type(v) is list for v in value])


def _divided(doc: Doc, place: Doc, name: str, count: int) -> list[Doc]:
    prompts = place[name]
    if count % len(prompts):
        raise malformed(f"{len(prompts)} prompts, {count} answers: each prompt needs as many")
    found = []
    for prompt in prompts:
        one = _replaced(doc, place, {**place, name: prompt})
        found += [one] * (count // len(prompts))
    return found


def _replaced(node: Doc, old: Doc, new: Doc) -> Doc:
    """The record with one of its places changed."""
    if node is old:
        return new
    inner = {
        name: _replaced(node[name], old, new)
        for name in _PLACES & node.keys()
        if type(node[name]) is dict
    }
    return {**node, **inner}


def _prompt(doc: Doc, places: list[Doc], reading: Reading) -> str:
    for place in places:
        # Beside messages a prompt is but a name.
        talk = place.get("messages") or place.get("contents")
        if talk:
            return _stored(places, input_key(talk))
    if type(doc.get("prompt")) is str:
        return str(doc["prompt"])
    for place in places:
        for name in _PROMPTS:
            value = place.get(name)
            if value is not None and value != [] and (name != "prompt" or type(value) is not dict):
                return _stored(places, input_key(value))
        # In a response the text is the answer.
        if place is not doc and isinstance(place.get("text"), str) and place["text"]:
            return str(place["text"])
    for place in places:
        if type(place.get("prompt")) is dict and place["prompt"]:
            return input_key(place["prompt"])
    # An id tells requests apart, not what they ask: only where the request itself is not at hand.
    for name in ("custom_id", "key"):
        if isinstance(doc.get(name), str) and doc[name]:
            reading.account.named_by_id += 1
            return str(doc[name])
    raise malformed(
        "no input: the line holds no prompt, messages, contents, input, input_ids or custom_id; "
        "name the field"
    )


_PROMPTS = ("prompt", "input", "inputs", "input_ids", "prompt_token_ids")


def _stored(places: list[Doc], asked: str) -> str:
    """What was asked, behind the prompt kept at the server, {id, variables}, that it goes with."""
    for place in places:
        if type(place.get("prompt")) is dict and place["prompt"]:
            return f"prompt: {_short(place['prompt'])}\n{asked}"
    return asked


def _frame(doc: Doc, places: list[Doc]) -> list[str]:
    """What a request adds to the prompt: instructions as they stand, tools, pictures and the like
    by digest.
    """
    found: list[str] = []
    for place in places:
        names = _FRAMES_OF_RECORDS if place is doc else FRAMES_OF_REQUESTS
        if not names.isdisjoint(place):
            _add_frame(found, place, names)
    response = doc.get("response")
    if type(response) is dict:
        # The body of an answer may repeat what was asked.
        body = response.get("body")
        place = body if type(body) is dict else response
        if not _FRAMES.isdisjoint(place):
            _add_frame(found, place, _FRAMES)
    return sorted(found) if found else found


def _add_frame(found: list[str], place: Doc, names: frozenset[str]) -> None:
    for name in names.intersection(place):
        value = place[name]
        if not value and (value is not False or name not in _SWITCHES):
            continue
        line = f"system: {_system(value)}" if name in _INSTRUCTIONS else f"{name}: {_short(value)}"
        if line not in found:
            found.append(line)


def _short(value: Any) -> str:
    """A short scalar as it stands, anything else by digest."""
    if type(value) in (bool, int, float) or (type(value) is str and len(value) <= 64):
        return " ".join(str(value).splitlines())
    return digest(json.dumps(value, sort_keys=True, default=str).encode())


_INSTRUCTIONS = frozenset(
    {"instructions", "systemInstruction", "system_instruction", "system", "system_prompt",
     "system_message", "developer", "preamble"}
)  # fmt: skip

_SWITCHES = frozenset({"think", "enable_thinking"})
"""What is thought of a request that leaves them out is the model's own choice: false is another
request.
"""

_FRAMES = _INSTRUCTIONS | {
    "tools", "functions", "toolConfig", "tool_config", "documents", "conversation",
    "previous_response_id",
}  # fmt: skip
"""What makes part of the input wherever it stands."""

_FRAMES_OF_RECORDS = _FRAMES | {
    "suffix", "images", "image", "image_data", "template", "cachedContent", "cached_content",
    "multi_modal_data", "chat_template", "chat_template_kwargs", "reasoning_effort", "think",
    "enable_thinking",
}  # fmt: skip
"""What makes part of it in a record too, which may hold answer and request side by side."""

FRAMES_OF_REQUESTS = _FRAMES_OF_RECORDS | {
    "reasoning", "thinking", "context", "thinkingConfig", "thinking_config",
}  # fmt: skip
"""What means something else in an answer."""


def _system(value: Any) -> str:
    if isinstance(value, dict) and "parts" in value:
        return _text(value["parts"])
    return _text(value)


def _requests(doc: Doc) -> list[Doc]:
    """The places where a line may keep what was asked."""
    places = [doc]
    if _PLACES.isdisjoint(doc):
        return places
    for name in ("request", "body", "config", "params", WRAPPER):
        place = doc.get(name)
        if type(place) is not dict:
            continue
        places.append(place)
        if not _PLACES.isdisjoint(place):
            for inner in _INNER:
                if type(place.get(inner)) is dict:
                    places.append(place[inner])
    return places


_INNER = ("body", "config", "params", "extra_body", "generationConfig", "generation_config")
WRAPPER = "wrapper"
"""The field of a record for what stands beside the list that held it."""

_PLACES = frozenset({"request", WRAPPER, *_INNER})


def input_key(value: Any) -> str:
    """Return an input as text: text as it stands, messages as their texts, anything else as
    JSON.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and abs(value) >= FAR:
        raise malformed(f"input = {_kind(value)}: a number must have at most 64 bits")
    if type(value) is list and len(value) == 1 and type(value[0]) is dict:
        turn = value[0]
        if turn.get("role", "user") == "user" and _BESIDE.isdisjoint(turn):
            return _text(turn.get("content", turn.get("parts")))
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        return "\n".join(_turn(turn) for turn in value)
    if value is None or value == [] or value == {}:
        raise malformed("input is missing")
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _turn(turn: Doc) -> str:
    """One message as text, with the calls of tools that it makes."""
    text = f"{turn.get('role', 'user')}: {_text(turn.get('content', turn.get('parts')))}"
    if _BESIDE.isdisjoint(turn):
        return text
    beside = [f"[{name} {_short(turn[name])}]" for name in _NAMES_BESIDE if turn.get(name)]
    calls = turn.get("tool_calls")
    return " ".join(
        [text, *beside, json.dumps(calls, sort_keys=True)] if calls else [text, *beside]
    )


_NAMES_BESIDE = (
    "name",
    "function_call",
    "audio",
    "images",
    "reasoning_content",
    "reasoning",
    "thinking",
    "refusal",
)
_BESIDE = frozenset({"tool_calls", *_NAMES_BESIDE})
"""What a message may hold beside its content, and is asked with it."""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, dict) and set(content) == {"text"}:
        return str(content["text"])
    if isinstance(content, list):
        return "".join([_part(part) for part in content])
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def _part(part: Any) -> str:
    """A part of a message: text as it stands, pictures, sounds and files by digest."""
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    text = json.dumps(part, sort_keys=True, ensure_ascii=False, default=str)
    kind = part.get("type", "part") if isinstance(part, dict) else "part"
    return f"[{kind} {digest(text.encode())}]"


def digest(data: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()[:16]
