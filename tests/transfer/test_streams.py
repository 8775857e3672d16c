"""Streams: pieces of answers are joined, whatever server sent them, and none of them is a record of its own."""

from __future__ import annotations

import json
import sys

import pytest
from transfer_cases import stated

from kt_theory.transfer.sets import TransferSet

ASKED = {"messages": [{"role": "user", "content": "q"}], "temperature": 1}


def read(tmp_path, *docs, **options):
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join((doc if isinstance(doc, str) else json.dumps(doc)) + "\n" for doc in docs)
    )
    return TransferSet.read(path, **options)


def token(text, value, tops=()):
    return {
        "token": text,
        "logprob": value,
        "top_logprobs": [{"token": t, "logprob": v} for t, v in tops],
    }


def chunk(text, value=None, *, name="c1", index=0, reason=None, role=None, **more):
    delta = {"content": text} if text is not None else {}
    delta.update({"role": role} if role else {}, **more)
    logprobs = None if value is None else {"content": [token(text, value)]}
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    found = {"object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return {**found, "id": name} if name else found


def wrapped(body, request=ASKED):
    return {"request": request, "response": body}


PARIS = [chunk("Pa", -1.25), chunk("ris", -0.5), chunk(None, reason="stop")]


def test_pieces_are_one_answer_on_the_line_of_the_first(tmp_path):
    transfer = read(tmp_path, *map(wrapped, PARIS))
    assert stated(transfer) == [("q", "Pa", {"Pa": -1.25})]
    assert stated(read(tmp_path, *map(wrapped, PARIS), label="text")) == [
        ("q", "Paris", {"Paris": -1.75})
    ]
    account = transfer.account
    assert (account.lines, account.joined, account.records) == (3, 2, 1)
    assert account.outcomes == {"read": 3}
    assert list(transfer.line) == [1]


def test_streams_that_interleave_are_told_apart_by_id_and_index(tmp_path):
    docs = [
        chunk("A", -0.5, name="x", index=1),
        chunk("B", -1.0, name="y"),
        chunk("C", -1.5, name="x", index=0),
        chunk("a", -0.25, name="x", index=1, reason="stop"),
        chunk("b", -0.25, name="y", reason="stop"),
        chunk("c", -0.25, name="x", index=0, reason="length"),
        {
            "object": "chat.completion.chunk",
            "id": "x",
            "choices": [],
            "usage": {"completion_tokens": 4},
        },
    ]
    transfer = read(tmp_path, *map(wrapped, docs), label="text")
    assert [record[1:] for record in stated(transfer)] == [
        ("Cc", {"Cc": -1.75}),
        ("Aa", {"Aa": -0.75}),
        ("Bb", {"Bb": -1.25}),
    ]
    assert list(transfer.line) == [1, 1, 2]
    assert transfer.account.joined == 5


def test_without_ids_pieces_follow_each_other_under_one_request(tmp_path):
    other = {"messages": [{"role": "user", "content": "r"}]}
    pieces = [
        wrapped(chunk("A", -0.5, name=None)),
        wrapped(chunk("X", -0.5, name=None), other),
        wrapped(chunk("b", -0.5, name=None, reason="stop")),
        wrapped(chunk("C", -0.5, name=None)),
        wrapped(chunk("y", -0.5, name=None, reason="stop"), other),
        wrapped(chunk("d", -0.5, name=None, reason="stop")),
    ]
    found = stated(read(tmp_path, *pieces, label="text"))
    assert sorted(record[:2] for record in found) == [("q", "Ab"), ("q", "Cd"), ("r", "Xy")]


def test_a_role_begins_a_new_answer_where_no_end_was_logged(tmp_path):
    once = [chunk("", name=None, role="assistant"), chunk("A", -0.5, name=None)]
    assert [record[1] for record in stated(read(tmp_path, *map(wrapped, once + once)))] == [
        "A",
        "A",
    ]


def test_lines_of_server_sent_events(tmp_path):
    lines = [
        ": keep-alive",
        "event: message",
        *(f"data: {json.dumps(wrapped(piece))}" for piece in PARIS),
    ]
    lines += ["", "data: [DONE]"]
    transfer = read(tmp_path, *lines)
    assert stated(transfer) == [("q", "Pa", {"Pa": -1.25})]
    assert transfer.account.outcomes == {"read": 3, "blank": 4}


def test_the_end_of_a_stream_ends_an_answer_without_id_and_reason(tmp_path):
    lines = [f"data: {json.dumps(wrapped(chunk('A', -0.5, name=None)))}", "data: [DONE]"] * 2
    transfer = read(tmp_path, *lines)
    assert [record[1] for record in stated(transfer)] == ["A", "A"]
    assert transfer.account.joined == 0


def test_a_whole_stream_as_the_text_or_the_list_of_a_response(tmp_path):
    text = "".join(f"data: {json.dumps(piece)}\n\n" for piece in PARIS) + "data: [DONE]\n\n"
    for response in (text, PARIS, {"status_code": 200, "body": text}):
        assert stated(read(tmp_path, {"request": ASKED, "response": response})) == [
            ("q", "Pa", {"Pa": -1.25})
        ]


def test_tokens_are_not_taken_where_a_piece_with_text_lists_none(tmp_path):
    docs = [chunk("Pa"), chunk("ris", -0.5), chunk(None, reason="stop")]
    assert stated(read(tmp_path, *map(wrapped, docs))) == [("q", "Paris", {})]


def test_pieces_of_an_answer_that_is_refused_share_its_outcome(tmp_path):
    docs = [chunk("Pa", -0.5), chunk(None, reason="content_filter")]
    account = read(tmp_path, *map(wrapped, docs)).account
    assert account.outcomes == {"refused": 2}
    assert account.skipped[1] == (2, "refused", "a piece of the answer that line 1 begins")


def test_reasoning_in_pieces_is_reasoning(tmp_path):
    docs = [chunk(None, reasoning_content="Hm."), chunk("Yes", -0.5), chunk(None, reason="stop")]
    transfer = read(tmp_path, *map(wrapped, docs))
    assert stated(transfer) == [("q", "Yes", {})]
    assert transfer.account.reasoned == 1


def legacy(text, value, reason=None, name="cmpl-1"):
    logprobs = {
        "tokens": [text],
        "token_logprobs": [value],
        "top_logprobs": [{text: value}],
        "text_offset": [0],
    }
    choice = {
        "index": 0,
        "text": text,
        "logprobs": logprobs if text else None,
        "finish_reason": reason,
    }
    return {"id": name, "object": "text_completion", "choices": [choice]}


def ollama(text, value, done=False):
    logprobs = [token(text, value)] if text else None
    return {
        "model": "m",
        "response": text,
        "done": done,
        "logprobs": logprobs,
        "done_reason": "stop" if done else None,
    }


def ollama_chat(text, value, done=False):
    body = ollama(text, value, done)
    return {**body, "message": {"role": "assistant", "content": body.pop("response")}}


def llama(text, value, stop=False):
    stated = [{"id": 7, "token": text, "logprob": value, "top_logprobs": []}] if text else []
    return {
        "index": 0,
        "content": text,
        "stop": stop,
        "id_slot": 0,
        "completion_probabilities": stated,
    }


def tgi(text, value, generated=None):
    item = {"id": 7 if text else 2, "text": text, "logprob": value, "special": not text}
    return {
        "index": 1,
        "token": item,
        "generated_text": generated,
        "details": None,
        "top_tokens": [item],
    }


def gemini(text, value, reason=None):
    chosen = {"token": text, "logProbability": value}
    result = (
        {"chosenCandidates": [chosen], "topCandidates": [{"candidates": [chosen]}]} if text else {}
    )
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "logprobsResult": result}
    return {
        "responseId": "r",
        "candidates": [{**candidate, **({"finishReason": reason} if reason else {})}],
    }


def event(kind, **more):
    return {"type": f"response.{kind}", **more}


def completed():
    part = {
        "type": "output_text",
        "text": "Paris",
        "logprobs": [token("Pa", -1.25), token("ris", -0.5)],
    }
    return {
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "content": [part]}],
    }


def message(kind, **more):
    return {"type": kind, **more}


STREAMS = {
    "legacy": [legacy("Pa", -1.25), legacy("ris", -0.5), legacy("", None, "stop")],
    "legacy, no id": [legacy("Pa", -1.25, name=None), legacy("ris", -0.5, "stop", name=None)],
    "ollama": [ollama("Pa", -1.25), ollama("ris", -0.5), ollama("", None, True)],
    "ollama chat": [
        ollama_chat("Pa", -1.25),
        ollama_chat("ris", -0.5),
        ollama_chat("", None, True),
    ],
    "llama.cpp": [llama("Pa", -1.25), llama("ris", -0.5), llama("", None, True)],
    "tgi": [tgi("Pa", -1.25), tgi("ris", -0.5, "Paris")],
    "gemini": [gemini("Pa", -1.25), gemini("ris", -0.5, "STOP")],
    "sglang": [
        {
            "text": text,
            "meta_info": {"id": "s", "finish_reason": reason, "output_token_logprobs": tokens},
        }
        for text, reason, tokens in (
            ("Pa", None, [[-1.25, 7, "Pa"]]),
            ("Paris", {"type": "stop"}, [[-1.25, 7, "Pa"], [-0.5, 8, "ris"]]),
        )
    ],
    "responses": [
        event("created", response={"id": "r", "status": "in_progress"}),
        event("output_text.delta", delta="Pa"),
        event("completed", response=completed()),
    ],
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_every_server_are_joined(name, tmp_path):
    asked = {"messages": [{"role": "user", "content": "q"}]}
    pieces = [wrapped(body, asked) for body in STREAMS[name]]
    transfer = read(tmp_path, *pieces)
    assert stated(transfer) == [("q", "Pa", {"Pa": -1.25})]
    assert transfer.account.joined == len(pieces) - 1
    assert transfer.account.outcomes == {"read": len(pieces)}
    assert stated(read(tmp_path, *pieces, label="text"))[0][1] == "Paris"
    assert len(read(tmp_path, *pieces, *pieces)) == 2
    listed = read(tmp_path, {"request": asked, "response": STREAMS[name]})
    assert stated(listed) == [("q", "Pa", {"Pa": -1.25})]


def test_events_of_anthropic_are_joined(tmp_path):
    events = [
        message(
            "message_start", message={"id": "m", "role": "assistant", "content": [], "model": "c"}
        ),
        message("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        message("content_block_delta", index=0, delta={"type": "text_delta", "text": "Pa"}),
        message("content_block_delta", index=0, delta={"type": "text_delta", "text": "ris"}),
        message("content_block_stop", index=0),
        message("message_delta", delta={"stop_reason": "end_turn"}),
        message("message_stop"),
    ]
    transfer = read(tmp_path, *map(wrapped, events))
    assert stated(transfer) == [("q", "Paris", {})]
    assert transfer.account.format == "anthropic"
    assert transfer.account.models == {"c": 1}


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (STREAMS["responses"][:2], "events of a stream without response.completed"),
        ([gemini("Pa", -1.25), gemini("ris", -0.5)], "pieces of a stream whose end is missing"),
        (
            [
                message("content-delta", delta={"message": {"content": {"text": "Pa"}}}),
                message("message-end"),
            ],
            "events of a stream of Cohere",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused_in_one_line(pieces, reason, tmp_path):
    account = read(tmp_path, *map(wrapped, pieces)).account
    assert account.outcomes == {"malformed": 2}
    assert reason in account.skipped[0][2]


def test_an_output_of_vllm_on_the_way_is_no_answer(tmp_path):
    doc = {
        "prompt": "q",
        "finished": False,
        "outputs": [{"text": "Pa", "token_ids": [7], "logprobs": None}],
    }
    assert read(tmp_path, doc).account.outcomes == {"no label": 1}
    assert len(read(tmp_path, {**doc, "finished": True})) == 1


def test_answers_are_given_back_before_the_end_of_a_long_file(tmp_path, monkeypatch):
    from kt_theory.transfer.read import streams

    monkeypatch.setattr(streams, "_LAG", 10)
    docs = [
        piece
        for i in range(600)
        for piece in (chunk("A", -0.5, name=f"c{i}"), chunk("", name=f"c{i}", reason="stop"))
    ]
    most = []
    monkeypatch.setattr(
        streams._Stream,
        "joined",
        lambda self, joined=streams._Stream.joined: most.append(1) or joined(self),
    )
    transfer = read(tmp_path, *map(wrapped, docs))
    assert len(transfer) == len(most) == 600
    assert transfer.account.joined == 600


def ended(text, count=None, listed=True, **more):
    """A body of Gemini that says it has ended, as each piece of its older streams does."""
    candidate = gemini(text, -0.5, "STOP")["candidates"][0]
    if not listed:
        del candidate["logprobsResult"]
    usage = (
        {}
        if count is None
        else {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": count}}
    )
    return {"candidates": [candidate], **usage, **more}


GONE_ON = {
    "counts of tokens": [ended("Pa", 1), ended("ris", 2)],
    "growing counts, texts that go on": [
        ended("Paris", 1, False),
        ended(" it is", 4, False),
        ended(".", 5, False),
    ],
    "one id": [ended("Pa", responseId="r"), ended("ris", responseId="r")],
}


@pytest.mark.parametrize("pieces", GONE_ON.values(), ids=GONE_ON)
def test_pieces_of_gemini_that_all_say_they_have_ended(pieces, tmp_path):
    asked = {"contents": "q"}
    transfer = read(tmp_path, {"request": asked, "response": pieces}, label="text")
    (name,) = transfer.labels
    assert name.startswith("Paris")
    assert not transfer.account.notes
    alone = [{"request": asked, "response": piece} for piece in pieces]
    with pytest.raises(ValueError, match=r"a\.jsonl lines 1 and 2: pieces of one answer of Gemini"):
        read(tmp_path, *alone)
    # Other answers between them make them answers of their own.
    other = {**alone[0], "request": {"contents": "r"}}
    assert len(read(tmp_path, alone[0], other, alone[1])) == 3


@pytest.mark.parametrize("text", ["", " it is", ", it is", "."])
def test_texts_of_gemini_in_one_list_that_go_on(text, tmp_path):
    pieces = [ended("Paris", listed=False), ended(text, listed=False)]
    transfer = read(tmp_path, {"request": {"contents": "q"}, "response": pieces}, label="text")
    assert transfer.labels == (f"Paris{text}",)


def test_draws_of_gemini_without_ids_are_said_to_be_taken_for_some(tmp_path):
    draws = [ended("Paris", 1), ended("Rome", 1), ended(" Rome", 1), ended("Rome", 1)]
    asked = {"contents": "q"}
    transfer = read(tmp_path, *({"request": asked, "response": draw} for draw in draws))
    assert len(transfer) == 4
    assert transfer.account.notes[0].startswith(
        "3 answers of Gemini follow one to the same request and have no resp"
    )
    transfer = read(
        tmp_path,
        {"request": asked, "response": draws[:2]},
        {"request": asked, "response": draws[:2]},
    )
    assert len(transfer) == 4
    assert transfer.account.notes == [
        "answers of Gemini in one list have no responseId: they are taken for draws, not for pieces of a stream"
    ]
    named = [
        {"request": asked, "response": {**draw, "responseId": str(i)}}
        for i, draw in enumerate(draws)
    ]
    assert not read(tmp_path, *named).account.joined
    # The same answer twice is a copy, of which the account warns.
    transfer = read(tmp_path, named[0], {**named[0], "note": 1})
    assert (len(transfer), transfer.account.same_id) == (2, 1)


@pytest.mark.parametrize("held", [[], "", None, [7]])
def test_a_line_of_gemini_without_a_candidate_is_no_piece_of_the_answer_beside_it(held, tmp_path):
    asked = {"contents": "q"}
    answer = ended("Paris", responseId="r")
    nothing = {"responseId": "r", "candidates": held}
    for bodies in ([answer, nothing], [nothing, answer]):
        account = read(tmp_path, *({"request": asked, "response": body} for body in bodies)).account
        assert (account.records, len(account.skipped)) == (1, 1)


def calls(run):
    """How often functions of Python are called."""
    count = 0

    def counting(frame, event, _):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def test_each_draw_of_gemini_to_one_request_is_looked_at_once(tmp_path):
    draws = [{"request": {"contents": "q"}, "response": ended("Paris", 1)}] * 240
    read(tmp_path, *draws)
    few, many = (calls(lambda n=n: read(tmp_path, *draws[:n])) for n in (60, 240))
    # Each to all of those before it would be 16 times as many.
    assert many < 5 * few


@pytest.mark.parametrize("reason", [None, "FINISH_REASON_UNSPECIFIED", 0])
def test_a_reason_that_is_none_ends_no_answer_of_gemini(reason, tmp_path):
    first = gemini("Pa", -1.25, "STOP")
    first["candidates"][0]["finishReason"] = reason
    pieces = [
        {"request": {"contents": "q"}, "response": body}
        for body in (first, gemini("ris", -0.5, "STOP"))
    ]
    assert len(read(tmp_path, *pieces)) == 1
