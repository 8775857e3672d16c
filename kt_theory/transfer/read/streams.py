"""Pieces of streamed answers, joined to the answers that they are pieces of.

A server that streams sends an answer in pieces, and who logs them line by line has a file in which
no line is a record. Pieces belong together by the id of their answer; where they have none, those
that follow each other under one request do, until one says that the answer is finished. Within an
answer they stay apart by the index of their choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import malformed, want
from kt_theory.transfer.read.reasoning import beside, spoken

Body = dict[str, Any]

_LAG = 4096
"""Lines for which an answer that is finished waits for what is still told of it, such as its usage.
"""


class Kind(NamedTuple):
    """How a server streams.

    Attributes
    ----------
    piece : callable
        Whether a body is a piece.
    tail : callable
        Whether a body ends or follows pieces that came before; alone it is a whole answer.
    name : callable
        The id that pieces of one answer share, empty if there is none.
    ends : callable
        Whether no piece follows.
    join : callable
        The body of the answer from the bodies of its pieces; it raises a Skip if they give none.
    """

    piece: Callable[[Body], bool]
    tail: Callable[[Body], bool]
    name: Callable[[Body], str]
    ends: Callable[[Body], bool]
    join: Callable[[list[Body]], Body]


class _Stream:
    """The pieces of one answer so far."""

    def __init__(self, kind: Kind, doc: Body) -> None:
        self.kind = kind
        self.doc = doc
        self.lines: list[int] = []
        self.bodies: list[Body] = []
        self.spoken: set[Any] = set()
        self.finished: set[Any] = set()
        self.ended = False

    def add(self, line: int, body: Body) -> None:
        self.lines.append(line)
        self.bodies.append(body)
        self.ended = self.ended or self.kind.ends(body)
        for choice in _choices(body):
            if _says(choice):
                self.spoken.add(_index(choice))
            if choice.get("finish_reason") is not None:
                self.finished.add(_index(choice))

    def goes_on(self, body: Body) -> bool:
        """Whether a piece may belong here: a choice that is finished says nothing more, and none
        begins twice.
        """
        if self.ended:
            return False
        for choice in _choices(body):
            index, delta = _index(choice), choice.get("delta")
            if index in self.finished and (
                _says(choice) or choice.get("finish_reason") is not None
            ):
                return False
            begins = isinstance(delta, dict) and bool(delta.get("role")) and not _says(choice)
            if begins and index in self.spoken:
                return False
        return True

    @property
    def complete(self) -> bool:
        """All choices that began are finished."""
        return self.ended or bool(self.finished and self.finished >= self.spoken)

    def joined(self) -> Body:
        """The record of the answer; raises a Skip if the pieces give none."""
        body = self.kind.join(self.bodies)
        if isinstance(self.doc.get("response"), (dict, list)):
            return {**self.doc, "response": body}
        # What stands beside the first piece holds for all.
        return {**self.doc, **body}


class Joiner:
    """Takes pieces of streams as they come, and gives back whole answers."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: dict[Any, _Stream] = {}
        self._done: list[_Stream] = []
        self._doc: Body = {}
        self._last: Body = {}
        self._pieces: _Pieces | None = None
        self._line = 0
        self.alike = 0
        """Answers of Gemini to the request of the line before, where no id says whose they are."""

    def takes(self, line: int, doc: Body) -> bool:
        """Take a record if it is a piece of a stream."""
        body = doc.get("response", doc)
        if type(body) is not dict:
            # Ollama's own field of that name holds text.
            body = doc
        if "candidates" in body and _gemini_candidates(body):
            if doc.get("request") == self._doc.get("request"):
                self._compare(line, doc, body)
            else:
                self._doc = doc
                self._begin(line, body)
        if not self._open and not _begins(body):
            return False
        kind = _kind(body)
        if kind is None:
            if _holds_nothing(body):
                raise Skip("blank", "a line of a stream that holds no part of an answer")
            return False
        whole = not kind.piece(body)
        name = kind.name(body)
        key = (id(kind.join), name, _asked(doc, body, not name))
        stream = self._open.get(key)
        if stream is None and _holds_nothing(body):
            raise Skip("blank", "a line of a stream that holds no part of an answer")
        if stream is None or not stream.goes_on(body):
            if whole:
                return False
            if stream is not None:
                self._done.append(stream)
            stream = self._open[key] = _Stream(kind, doc)
        stream.add(line, body)
        return True

    def _compare(self, line: int, doc: Body, body: Body) -> None:
        """Refuse answers of Gemini that go on the one of the line before, though each says that it
        has ended.
        """
        before, self._doc = self._doc, doc
        name, last = _gemini_name(body), self._last
        moved = any([doc.get(field) != before.get(field) for field in _ASKED])
        if moved or name != _gemini_name(last) or _gemini_piece(body) or _gemini_piece(last):
            self._begin(line, body)
            return
        self._last = body
        if name and body["candidates"] == last["candidates"]:
            # The same answer again.
            return
        if self._pieces is None:
            self._pieces = _Pieces([last])
        self._pieces.add(body)
        if name or self._pieces.make_one():
            raise ValueError(
                f"{self._source} lines {self._line} and {line}: pieces of one answer of Gemini, "
                "each with a finishReason: put the pieces of an answer in one list, "
                '{"request": ..., "response": [piece, piece]}'
            )
        self.alike += 1

    def _begin(self, line: int, body: Body) -> None:
        """Take down an answer of Gemini that goes on none before it."""
        self._last, self._pieces, self._line = body, None, line

    def end(self) -> None:
        """Take down that a stream without an id has ended."""
        for key, stream in self._open.items():
            if not key[1]:
                stream.ended = True

    def answers(self, line: int | None = None) -> Iterator[tuple[list[int], Callable[[], Body]]]:
        """Give back the lines of each answer that is complete by a line, or of all, and what
        returns its record.
        """
        for key, stream in list(self._open.items()):
            if line is None or (stream.complete and stream.lines[-1] < line - _LAG):
                self._done.append(self._open.pop(key))
        done, self._done = self._done, []
        for stream in done:
            yield stream.lines, stream.joined


def whole(bodies: list[Any]) -> Any:
    """Return what a list of pieces and of answers holds: the body of the answer, or the list of
    several bodies.

    Pieces of one answer share its id, and where they have none follow each other up to its end. A
    list without pieces holds whole answers, unless they share one id.
    """
    if len(bodies) == 1:
        return bodies[0]
    kinds = [_kind(body) if isinstance(body, dict) else None for body in bodies]
    kind = next((kind for kind in kinds if kind is not None), None)
    if kind is None:
        return bodies
    ours = [body for body, each in zip(bodies, kinds, strict=True) if each is kind]
    if (
        kind is _GEMINI
        and not any(map(_gemini_name, ours))
        and (_Pieces(ours).make_one() or _Pieces(ours).texts_go_on())
    ):
        return kind.join(ours)
    names = {kind.name(body) for body in ours}
    if not any(map(kind.piece, ours)) and ("" in names or len(names) == len(ours)):
        return bodies
    joined = [kind.join(group) for group in _groups(kind, ours)]
    return joined[0] if len(joined) == 1 else joined


def _groups(kind: Kind, bodies: list[Body]) -> list[list[Body]]:
    """The pieces of each answer, in the order in which the answers begin."""
    groups: list[list[Body]] = []
    by_name: dict[str, list[Body]] = {}
    last: list[Body] | None = None
    for body in bodies:
        name = kind.name(body)
        group = by_name.get(name)
        if not name and last is not None and not kind.ends(last[-1]):
            group = last
        if group is None:
            # What comes before the first id belongs to the answer of that id.
            group = last if name and last is not None and not by_name else []
            if group is not last:
                groups.append(group)
            if name:
                by_name[name] = group
        group.append(body)
        last = group
    return groups


def _begins(body: Body) -> bool:
    """Whether a body may be a piece where no stream has begun: a look at few fields, as most are
    whole answers.
    """
    choices = body.get("choices")
    if choices is not None:
        choice = choices[0] if type(choices) is list and choices else None
        return type(choice) is not dict or choice.get("finish_reason") is None or "delta" in choice
    return any([begins(body[field]) for field, begins in _FIRST if field in body])


def _kind(body: Body) -> Kind | None:
    """The way of streaming of which a body may be a piece or the end."""
    if "choices" in body:
        if body.get("object") == "chat.completion":
            return None
        for kind in (_CHAT, _LEGACY):
            if kind.piece(body) or kind.tail(body):
                return kind
        return None
    for field, kind in _BY_FIELD:
        if field in body and (kind.piece(body) or kind.tail(body)):
            return kind
    return None


def _asked(doc: Body, body: Body, by_request: bool) -> Any:
    """What tells requests apart: their id, and where an answer has none the request."""
    names = ("custom_id", "key", *_REQUEST) if by_request else ("custom_id", "key")
    found = {
        name: doc[name]
        for name in names
        if name in doc and (doc is not body or name not in _OF_BODIES)
    }
    if not found:
        return ""
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


_REQUEST = ("request", "prompt", "messages", "contents", "input", "inputs", "body", "url")
_OF_BODIES = ("prompt", "input", "body")
_ASKED = ("prompt", "contents", "custom_id", "key")


def _holds_nothing(body: Body) -> bool:
    """A line of a stream that tells of filters or of usage alone, as Azure sends them between the
    pieces.
    """
    choices = body.get("choices")
    if type(choices) is not list or body.get("object") not in ("", None, "chat.completion.chunk"):
        return False
    if not choices:
        return body.get("object") == "chat.completion.chunk" or not _BESIDE_PIECES.isdisjoint(body)
    return all(
        type(choice) is dict
        and choice.get("finish_reason") is None
        and "content_filter_results" in choice
        and not any(choice.get(name) for name in _PARTS)
        for choice in choices
    )


_BESIDE_PIECES = frozenset({"prompt_filter_results", "prompt_annotations"})
_PARTS = ("delta", "text", "message", "logprobs")


def _nothing(_: Body) -> bool:
    return False


def _no_name(_: Body) -> str:
    return ""


def _id(body: Body) -> str:
    found = body.get("id")
    return found if isinstance(found, str) else ""


def _choices(body: Body) -> list[Body]:
    found = body.get("choices")
    return (
        [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []
    )


def _index(choice: Body) -> Any:
    index = choice.get("index", 0)
    return index if isinstance(index, int) else 0


def _says(choice: Body) -> bool:
    """A piece of a choice holds something of the answer."""
    delta = choice.get("delta")
    place = delta if isinstance(delta, dict) else choice
    return any(
        place.get(name)
        for name in ("content", "text", "reasoning_content", "reasoning", "tool_calls", "refusal")
    )


def _chat_piece(body: Body) -> bool:
    if body.get("object") == "chat.completion.chunk":
        return True
    choices = _choices(body)
    return (
        bool(choices)
        and "delta" in choices[0]
        and "message" not in choices[0]
        and "text" not in choices[0]
    )


def _join_chat(bodies: list[Body]) -> Body:
    """One chat completion."""
    joined = _one_of(bodies, "chat.completion")
    for index, pieces in _by_index(bodies):
        deltas = [want(piece.get("delta") or {}, dict, "delta") for piece in pieces]
        message: Body = {"role": "assistant"}
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            message[name] = _text([spoken(delta.get(name))[0] for delta in deltas])
        if any(spoken(delta.get("content"))[1] or beside(delta) for delta in deltas):
            message["reasoning"] = message["reasoning"] or "thinking"
        said = [bool(delta.get("content")) for delta in deltas]
        joined["choices"].append(
            {
                "index": index,
                "message": message,
                "logprobs": _logprobs(pieces, said),
                "finish_reason": _reason(pieces),
            }
        )
    return joined


def _legacy_piece(body: Body) -> bool:
    choices = _choices(body)
    return (
        bool(choices)
        and "text" in choices[0]
        and "finish_reason" in choices[0]
        and choices[0]["finish_reason"] is None
    )


def _legacy_tail(body: Body) -> bool:
    choices = _choices(body)
    return "text" in choices[0] if choices else "usage" in body


def _join_legacy(bodies: list[Body]) -> Body:
    """One legacy completion."""
    joined = _one_of(bodies, "text_completion")
    for index, pieces in _by_index(bodies):
        said = [bool(piece.get("text")) for piece in pieces]
        text = _text([piece.get("text") for piece in pieces])
        choice = {
            "index": index,
            "text": text,
            "logprobs": _logprobs(pieces, said),
            "finish_reason": _reason(pieces),
        }
        joined["choices"].append(choice)
    return joined


def _one_of(bodies: list[Body], kind: str) -> Body:
    """What the pieces of an answer say of it, with no choices yet."""
    joined: Body = {}
    for body in bodies:
        joined.update(
            {
                name: value
                for name, value in body.items()
                if value is not None and name not in joined
            }
        )
        if body.get("usage"):
            joined["usage"] = body["usage"]
    return {**joined, "object": kind, "choices": []}


def _by_index(bodies: list[Body]) -> list[tuple[int, list[Body]]]:
    """The pieces of each choice, in the order of the lines."""
    found: dict[int, list[Body]] = {}
    for body in bodies:
        for choice in _choices(body):
            found.setdefault(_index(choice), []).append(choice)
    return sorted(found.items())


def _text(pieces: list[Any]) -> str | None:
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if texts else None


def _reason(pieces: list[Body]) -> Any:
    return next(
        (
            piece["finish_reason"]
            for piece in reversed(pieces)
            if piece.get("finish_reason") is not None
        ),
        None,
    )


def _logprobs(pieces: list[Body], said: list[bool]) -> Body | None:
    """The tokens of all pieces; None if a piece with text lists none, as it would be unknown which
    ones are listed.
    """
    stated: list[Body] = []
    for piece, text in zip(pieces, said, strict=True):
        logprobs = piece.get("logprobs")
        if isinstance(logprobs, dict) and any(
            isinstance(value, list) and value for value in logprobs.values()
        ):
            stated.append(logprobs)
        elif text:
            return None
    names = dict.fromkeys(
        name for logprobs in stated for name, value in logprobs.items() if isinstance(value, list)
    )
    if not names:
        return None
    return {name: _all(stated, name) for name in names}


def _ollama_piece(body: Body) -> bool:
    return body.get("done") is False


def _ollama_tail(body: Body) -> bool:
    return body.get("done") is True


def _join_ollama(bodies: list[Body]) -> Body:
    """One answer of Ollama, with what its last piece says of it."""
    joined = {**bodies[0], **bodies[-1]}
    if any("message" in body for body in bodies):
        turns = [want(body.get("message") or {}, dict, "message") for body in bodies]
        message = {
            name: _text([turn.get(name) for turn in turns]) for name in ("content", "thinking")
        }
        joined["message"] = {"role": "assistant", **message}
    else:
        joined["response"] = _text([body.get("response") for body in bodies]) or ""
        joined["thinking"] = _text([body.get("thinking") for body in bodies])
    joined["logprobs"] = _all(bodies, "logprobs") or None
    return {**joined, "done": True}


def _all(bodies: list[Body], name: str) -> list[Any]:
    """The entries of a list that each piece holds a part of."""
    return [entry for body in bodies for entry in want(body.get(name) or [], list, name)]


def _llama_piece(body: Body) -> bool:
    return body.get("stop") is False and isinstance(body.get("content"), str)


def _llama_tail(body: Body) -> bool:
    return body.get("stop") is True and isinstance(body.get("content"), str)


def _llama_name(body: Body) -> str:
    places = [body.get("id_slot", body.get("slot_id")), body.get("index")]
    return "" if places == [None, None] else f"slot {places[0]}, {places[1]}"


def _join_llama(bodies: list[Body]) -> Body:
    """One answer of llama.cpp."""
    joined = {**bodies[0], **bodies[-1], "content": _text([body.get("content") for body in bodies])}
    return {**joined, "completion_probabilities": _all(bodies, "completion_probabilities") or None}


def _tgi_piece(body: Body) -> bool:
    return isinstance(body.get("token"), dict)


def _tgi_ends(body: Body) -> bool:
    return isinstance(body.get("generated_text"), str)


def _join_tgi(bodies: list[Body]) -> Body:
    """One answer of TGI."""
    details = want(bodies[-1].get("details") or {}, dict, "details")
    tokens = [want(body.get("token"), dict, "token") for body in bodies]
    text = bodies[-1].get("generated_text")
    if text is None:
        text = "".join(
            str(token.get("text", "")) for token in tokens if token.get("special") is not True
        )
    tops = [want(body.get("top_tokens") or [], list, "top_tokens") for body in bodies]
    return {"generated_text": text, "details": {**details, "tokens": tokens, "top_tokens": tops}}


def _gemini_candidates(body: Body) -> list[Body]:
    found = body.get("candidates")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _gemini_ended(candidate: Body) -> bool:
    return candidate.get("finishReason", candidate.get("finish_reason")) not in _NO_REASONS


_NO_REASONS = (None, 0, "FINISH_REASON_UNSPECIFIED")


def _gemini_piece(body: Body) -> bool:
    candidates = _gemini_candidates(body)
    return bool(candidates) and not any(map(_gemini_ended, candidates))


class _Pieces:
    """Bodies of Gemini that all say they have ended, as they come: of each only what tells whether
    they are pieces of one answer.
    """

    def __init__(self, bodies: list[Body]) -> None:
        self._listed = 0
        self._all_list = True
        self._adds_up = True
        self._count: float = -math.inf
        self._grows = True
        self._begins: bool | None = None
        self._goes_on = False
        for body in bodies:
            self.add(body)

    def add(self, body: Body) -> None:
        """Take the next body."""
        listed, count, text = len(_gemini_chosen(body)), _gemini_count(body), _gemini_text(body)
        self._listed += listed
        self._all_list = self._all_list and listed > 0
        self._adds_up = self._adds_up and count == self._listed
        self._grows = self._grows and count is not None and count > self._count
        self._count = count if count is not None else self._count
        within = text is not None and (not text or text[0].isspace() or text[0] in ".,;:!?)")
        if self._begins is None:
            self._begins = text is not None and not within
        self._goes_on = self._goes_on or within

    def make_one(self) -> bool:
        """Whether they are pieces of one answer: these count the tokens of those before, too.

        Without a list of tokens the counts must grow, and the texts go on.
        """
        return self._adds_up if self._all_list else self._grows and self.texts_go_on()

    def texts_go_on(self) -> bool:
        """Whether a text begins within a sentence, or is empty, and the first one does not."""
        return bool(self._begins) and self._goes_on


def _gemini_count(body: Body) -> Any:
    usage = body.get("usageMetadata", body.get("usage_metadata"))
    found = (
        usage.get("candidatesTokenCount", usage.get("candidates_token_count"))
        if isinstance(usage, dict)
        else None
    )
    return found if isinstance(found, int) else None


def _gemini_chosen(body: Body) -> list[Any]:
    candidate = next(iter(_gemini_candidates(body)), {})
    result = candidate.get("logprobsResult", candidate.get("logprobs_result"))
    found = (
        result.get("chosenCandidates", result.get("chosen_candidates"))
        if isinstance(result, dict)
        else None
    )
    return found if isinstance(found, list) else []


def _gemini_text(body: Body) -> str | None:
    """The text of the first candidate, None where there is no content."""
    content = next(iter(_gemini_candidates(body)), {}).get("content")
    text = spoken(content.get("parts"))[0] if isinstance(content, dict) else None
    return text if isinstance(text, str) else None


def _gemini_ends(body: Body) -> bool:
    return any(map(_gemini_ended, _gemini_candidates(body)))


def _gemini_name(body: Body) -> str:
    found = body.get("responseId", body.get("response_id"))
    return found if isinstance(found, str) else ""


def _join_gemini(bodies: list[Body]) -> Body:
    """One answer of Gemini."""
    if len(bodies) == 1:
        return bodies[0]
    if not _gemini_ends(bodies[-1]):
        raise malformed(
            "candidates without finishReason: pieces of a stream whose end is missing, or answers "
            "that must keep it"
        )
    found: dict[Any, list[Body]] = {}
    for body in bodies:
        for candidate in _gemini_candidates(body):
            found.setdefault(_index(candidate), []).append(candidate)
    joined = {**bodies[0], **bodies[-1], "candidates": []}
    for _, pieces in sorted(found.items()):
        parts, chosen, tops = [], [], []
        for piece in pieces:
            content = want(piece.get("content") or {}, dict, "content")
            parts += want(content.get("parts") or [], list, "parts")
            result = want(
                piece.get("logprobsResult", piece.get("logprobs_result")) or {},
                dict,
                "logprobsResult",
            )
            chosen += want(
                result.get("chosenCandidates", result.get("chosen_candidates")) or [],
                list,
                "chosenCandidates",
            )
            tops += want(
                result.get("topCandidates", result.get("top_candidates")) or [],
                list,
                "topCandidates",
            )
        candidate = {**pieces[-1], "content": {"role": "model", "parts": parts}}
        candidate.pop("logprobs_result", None)
        candidate["logprobsResult"] = (
            {"chosenCandidates": chosen, "topCandidates": tops} if chosen else None
        )
        joined["candidates"].append(candidate)
    return joined


def _event(body: Body) -> str:
    kind = body.get("type")
    return kind if isinstance(kind, str) else ""


def _responses_piece(body: Body) -> bool:
    return _event(body).startswith("response.")


_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed", "response.done")


def _responses_ends(body: Body) -> bool:
    return _event(body) in _LAST_EVENTS


def _join_responses(bodies: list[Body]) -> Body:
    """The answer of the Responses API, which its last event holds as a whole."""
    if not _responses_ends(bodies[-1]):
        raise malformed("events of a stream without response.completed, which holds the answer")
    found: Body = want(bodies[-1].get("response"), dict, f"response of {_event(bodies[-1])}")
    return found


_ANTHROPIC = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)


def _anthropic_piece(body: Body) -> bool:
    return _event(body) in _ANTHROPIC or (_event(body) == "ping" and len(body) == 1)


def _anthropic_ends(body: Body) -> bool:
    return _event(body) == "message_stop"


def _join_anthropic(bodies: list[Body]) -> Body:
    """One message of Anthropic's."""
    joined: Body = {"type": "message", "content": []}
    blocks: dict[Any, Body] = {}
    for body in bodies:
        kind, delta = _event(body), want(body.get("delta") or {}, dict, "delta")
        if kind == "message_start":
            joined.update(want(body.get("message"), dict, "message"))
        elif kind == "content_block_start":
            blocks[_index(body)] = dict(want(body.get("content_block"), dict, "content_block"))
        elif kind == "content_block_delta":
            block = blocks.setdefault(_index(body), {"type": "text", "text": ""})
            if delta.get("type") == "text_delta":
                block["text"] = f"{block.get('text', '')}{delta.get('text', '')}"
        elif kind == "message_delta":
            joined.update(delta)
    return {**joined, "content": [block for _, block in sorted(blocks.items())]}


_COHERE = frozenset(
    {"message-start", "content-start", "content-delta", "content-end", "message-end",
     "tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end", "citation-start",
     "citation-end"}
)  # fmt: skip


def _cohere_piece(body: Body) -> bool:
    return _event(body) in _COHERE


def _cohere_ends(body: Body) -> bool:
    return _event(body) == "message-end"


def _join_cohere(bodies: list[Body]) -> Body:
    raise Skip(
        "malformed",
        "events of a stream of Cohere: they are not joined, ask for answers without stream",
    )


def _sglang_piece(body: Body) -> bool:
    meta = body.get("meta_info")
    return isinstance(meta, dict) and "finish_reason" in meta and meta["finish_reason"] is None


def _sglang_tail(body: Body) -> bool:
    return isinstance(body.get("meta_info"), dict)


def _sglang_name(body: Body) -> str:
    return _id(body["meta_info"]) if isinstance(body.get("meta_info"), dict) else ""


def _sglang_ends(body: Body) -> bool:
    return not _sglang_piece(body)


def _join_sglang(bodies: list[Body]) -> Body:
    """The last answer of SGLang, as each one repeats those before; else the texts and tokens of
    all.
    """
    last, meta = bodies[-1], want(bodies[-1].get("meta_info"), dict, "meta_info")
    texts = [body["text"] for body in bodies if isinstance(body.get("text"), str)]
    if len(bodies) == 1 or all(texts[-1].startswith(text) for text in texts):
        return last
    metas = [want(body.get("meta_info"), dict, "meta_info") for body in bodies]
    names = ("output_token_logprobs", "output_top_logprobs", "output_token_ids_logprobs")
    listed = {name: _all(metas, name) for name in names if any(each.get(name) for each in metas)}
    return {**last, "text": "".join(texts), "meta_info": {**meta, **listed}}


_GEMINI = Kind(_gemini_piece, _gemini_ends, _gemini_name, _gemini_ends, _join_gemini)
_CHAT = Kind(_chat_piece, _nothing, _id, _nothing, _join_chat)
_LEGACY = Kind(_legacy_piece, _legacy_tail, _id, _nothing, _join_legacy)
_RESPONSES = Kind(_responses_piece, _nothing, _no_name, _responses_ends, _join_responses)
_MESSAGES = Kind(_anthropic_piece, _nothing, _no_name, _anthropic_ends, _join_anthropic)
_EVENTS = Kind(_cohere_piece, _nothing, _no_name, _cohere_ends, _join_cohere)


def _goes_on(value: Any) -> bool:
    return value is False


def _no_reason(value: Any) -> bool:
    return type(value) is dict and value.get("finish_reason") is None


def _no_end(value: Any) -> bool:
    return not (
        type(value) is list and value and type(value[0]) is dict and _gemini_ended(value[0])
    )


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_object(value: Any) -> bool:
    return type(value) is dict


_FIRST: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("type", _is_text),
    ("done", _goes_on),
    ("stop", _goes_on),
    ("token", _is_object),
    ("candidates", _no_end),
    ("meta_info", _no_reason),
)
"""Fields of pieces without choices, and what they may hold in the first one of an answer."""

_BY_FIELD = (
    ("type", _RESPONSES),
    ("type", _MESSAGES),
    ("type", _EVENTS),
    ("done", Kind(_ollama_piece, _ollama_tail, _no_name, _ollama_tail, _join_ollama)),
    ("stop", Kind(_llama_piece, _llama_tail, _llama_name, _llama_tail, _join_llama)),
    ("token", Kind(_tgi_piece, _nothing, _no_name, _tgi_ends, _join_tgi)),
    ("candidates", _GEMINI),
    ("meta_info", Kind(_sglang_piece, _sglang_tail, _sglang_name, _sglang_ends, _join_sglang)),
)
"""Ways of streaming without choices, by a field that their pieces have."""
