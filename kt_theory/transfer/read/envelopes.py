"""What people wrap answers in: JSON as text, recorded HTTP, lists of records under a name."""

from __future__ import annotations

from typing import Any

import orjson

from kt_theory.transfer.read.answers import Doc
from kt_theory.transfer.read.json_files import loads
from kt_theory.transfer.read.sampling import holds_request
from kt_theory.transfer.read.streams import whole


def opened(doc: Doc) -> Doc:
    """Return a record with the JSON that stands in its texts parsed.

    `response`, `response.body` and `body` may hold JSON as text, lines of JSON, or the `data:`
    lines of a stream; the body of recorded HTTP may be {"string": text}. Pieces of a stream in one
    list are joined; a list of whole answers stays one.

    Raises
    ------
    Skip
        If pieces of a stream cannot be joined.
    """
    if not _OTHER_NAMES.isdisjoint(doc):
        doc = _renamed(doc)
    response, request = doc.get("response"), doc.get("request")
    if (
        (response is None or _open(response))
        and (request is None or _open(request))
        and type(doc.get("body")) is not str
    ):
        return doc
    if isinstance(response, str) and "done" in doc:
        # Ollama's own field of that name holds the answer itself.
        response = None
    doc = dict(doc)
    if isinstance(request, (str, dict)):
        doc["request"] = _request(request)
    if response is not None:
        doc["response"] = _response(response)
    if isinstance(doc.get("body"), str):
        _place_body(doc)
    return doc


def _renamed(doc: Doc) -> Doc:
    """Return a record that holds a request and its answer by other names with them as `request` and
    `response`.
    """
    requests = ("request",) if "request" in doc else _REQUESTS
    asked = next(
        (name for name in requests if name in doc and holds_request(_object_in(doc[name]))), None
    )
    if asked is None:
        return doc
    answers = ("response",) if "response" in doc else _ANSWERS
    answered = next((name for name in answers if name in doc and _answers(doc[name])), None)
    if answered is None:
        return doc
    rest = {name: value for name, value in doc.items() if name not in (asked, answered)}
    return {**rest, "request": doc[asked], "response": doc[answered]}


_REQUESTS = (
    "input",
    "inputs",
    "request_body",
    "requestBody",
    "payload",
    "kwargs",
    "arguments",
    "query",
)
_ANSWERS = ("output", "completion", "response_body", "responseBody", "result", "answer", "reply")
_OTHER_NAMES = frozenset({*_REQUESTS, *_ANSWERS})
"""What else a request and its answer are called. A log of Inspect has its answer as `output`,
beside what it asked.
"""


def _answers(response: Any) -> bool:
    """An answer, or several, as they stand or as JSON in a text."""
    found = _parsed(response) if isinstance(response, str) else response
    return isinstance(found, list) or (
        isinstance(found, dict) and not _OF_ANSWERS.isdisjoint(found.get("body", found))
    )


def _object_in(value: Any) -> Doc:
    """An object, as it stands or as JSON in a text; an empty one if it is none."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        value = _parsed(value)
    return value if isinstance(value, dict) else {}


def _open(place: Any) -> bool:
    """Nothing needs to be parsed there."""
    if type(place) is not dict:
        return False
    body = place.get("body")
    if body is None:
        return _PACKED.isdisjoint(place)
    return type(body) is dict and "string" not in body and type(place.get("status")) is not dict


_PACKED = frozenset({"json", "data", "payload"})
"""Where else recorded HTTP may hold the body of a request."""


def _request(request: Any) -> Any:
    if isinstance(request, str):
        found = _parsed(request)
        return found if isinstance(found, dict) else request
    for name in ("body", "json", "data", "payload", "input"):
        found = _object_in(_text_of(request.get(name)))
        if found and (name == "body" or holds_request(found)):
            return {**{key: value for key, value in request.items() if key != name}, "body": found}
    return request


def _response(response: Any) -> Any:
    if isinstance(response, list):
        return whole(response)
    if isinstance(response, str):
        found = _parsed(response)
        if found is None:
            return response
        return whole(found) if isinstance(found, list) else found
    if not isinstance(response, dict):
        return response
    body = _text_of(response.get("body"))
    found = _parsed(body) if isinstance(body, str) else None
    if isinstance(body, list):
        found = body
    status = response.get("status")
    if isinstance(status, dict) and "status_code" not in response:
        response = {**response, "status_code": status.get("code", 200)}
    if isinstance(found, list) and found:
        found = whole(found)
        if isinstance(found, list):
            # Several answers under one status.
            return [{**response, "body": each} for each in found]
    return response if found is None else {**response, "body": found}


def _place_body(doc: Doc) -> None:
    """Put a body that is JSON as text where it belongs: an answer is the response, anything else
    the request.
    """
    found = _parsed(doc["body"])
    if isinstance(found, list):
        found = whole(found)
    if isinstance(found, list) and found and "response" not in doc and all(map(_is_answer, found)):
        del doc["body"]
        doc["response"] = found
    if not isinstance(found, dict):
        return
    del doc["body"]
    if "response" not in doc and not _OF_ANSWERS.isdisjoint(found):
        doc["response"] = found
    elif "request" not in doc:
        doc["request"] = found


def _is_answer(body: Any) -> bool:
    return isinstance(body, dict) and not _OF_ANSWERS.isdisjoint(body)


_OF_ANSWERS = frozenset(
    {"choices", "candidates", "output", "outputs", "generated_text", "meta_info",
     "completion_probabilities", "done", "content", "message", "error"}
)  # fmt: skip


def _text_of(body: Any) -> Any:
    return body.get("string") if isinstance(body, dict) and "string" in body else body


def _parsed(text: str) -> Any:
    """The JSON in a text: an object or a list, or the list of its lines or of a stream's events;
    None if it is none.
    """
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            return loads(text)
        except ValueError:
            pass
    elif not text.startswith(("data:", "event:", ":", "id:", "retry:")):
        return None
    found = []
    for line in text.split("\n"):
        data = line.removeprefix("data:").strip()
        if not data or data == "[DONE]" or line.startswith(("event:", ":", "id:", "retry:")):
            continue
        try:
            found.append(orjson.loads(data))
        except ValueError:
            return None
    return found or None
