"""The answers of a Batch beside the requests that they answer."""

from __future__ import annotations

import gzip
import json

import pytest
from transfer_cases import FORMATS, RECORDS, openai_chat, stated

from kt_theory.transfer.sets import TransferSet


def request(name, question, **more):
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": question}],
        "temperature": 1,
        **more,
    }
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def answer(name, record, own="c"):
    body = {**openai_chat(*record)["response"], "id": own}
    return {
        "id": f"batch_{name}",
        "custom_id": name,
        "response": {"status_code": 200, "body": body},
        "error": None,
    }


def lines(docs):
    return "".join(
        (doc if isinstance(doc, str) else json.dumps(doc)) + "\n" for doc in docs
    ).encode()


def read(tmp_path, answers, requests, pack=bytes, **options):
    path, asked = tmp_path / "out.jsonl", tmp_path / "in.jsonl"
    path.write_bytes(lines(answers))
    asked.write_bytes(pack(lines(requests)))
    return TransferSet.read(path, requests=asked, **options)


REQUESTS = [request(f"r{i}", record[0]) for i, record in enumerate(RECORDS)]
ANSWERS = [answer(f"r{i}", record, own=f"c{i}") for i, record in enumerate(RECORDS)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_answers_have_the_input_and_the_settings_of_their_requests(pack, tmp_path):
    transfer = read(tmp_path, ANSWERS[::-1], REQUESTS, pack)
    assert stated(transfer) == [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS[::-1]]
    account = transfer.account
    assert (account.named_by_id, account.unstated_sampling) == (0, 0)
    assert account.notes == []
    hot = [request(f"r{i}", record[0], temperature=0.2) for i, record in enumerate(RECORDS)]
    with pytest.raises(ValueError, match=r"temperature = 0\.2"):
        read(tmp_path, ANSWERS, hot)


def test_without_the_requests_the_id_is_the_input(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(lines(ANSWERS))
    transfer = TransferSet.read(path)
    assert transfer.input_names == ("r0", "r1", "r2", "r3")
    assert transfer.account.named_by_id == 4


def test_what_has_no_partner_is_counted_on_both_sides(tmp_path):
    nameless = {name: value for name, value in ANSWERS[0].items() if name != "custom_id"}
    transfer = read(tmp_path, [*ANSWERS[:2], answer("x", RECORDS[0]), nameless], REQUESTS)
    assert transfer.account.outcomes == {"read": 2, "no request": 2}
    assert transfer.account.skipped[0] == (3, "no request", "no request has the custom_id 'x'")
    assert transfer.account.skipped[1] == (4, "no request", "the answer has no custom_id")
    assert "2 of 4 requests have no answer, custom_id 'r2' the first" in transfer.account.notes


def test_an_answer_again_counts_once_and_another_answer_is_another_draw(tmp_path):
    again = answer("r0", RECORDS[1], own="other")
    transfer = read(tmp_path, [*ANSWERS, ANSWERS[0], again], REQUESTS)
    assert transfer.account.outcomes == {"read": 5, "repeated": 1}
    assert transfer.account.skipped == [
        (5, "repeated", "the answer of line 1 again, of the same id")
    ]
    assert any(
        "a further one to the same request" in note and "'r0' on lines 1 and 6" in note
        for note in transfer.account.notes
    )
    assert list(transfer.inputs) == [0, 0, 1, 1, 0]


def test_answers_without_an_id_of_their_own_are_draws(tmp_path):
    bare = json.loads(json.dumps(ANSWERS[0]))
    del bare["id"], bare["response"]["body"]["id"]
    assert len(read(tmp_path, [bare, bare], REQUESTS)) == 2


def test_an_answer_after_an_error_is_the_first(tmp_path):
    failed = {"custom_id": "r0", "response": None, "error": {"message": "expired"}}
    transfer = read(tmp_path, [failed, ANSWERS[0], ANSWERS[0]], REQUESTS)
    assert transfer.account.outcomes == {"read": 1, "error": 1, "repeated": 1}


def test_requests_of_one_id_must_ask_the_same(tmp_path):
    assert len(read(tmp_path, ANSWERS, [*REQUESTS, "", REQUESTS[0]])) == 4
    with pytest.raises(ValueError, match=r"in\.jsonl lines 1 and 6: 'r0' names two requests"):
        read(tmp_path, ANSWERS, [*REQUESTS, "", request("r0", "another?")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("oops", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ({"url": "/v1"}, "line 2: no custom_id"),
        ({"custom_id": "r1", "url": "/v1"}, "line 2: no body"),
        ({"custom_id": "r1", "body": 7}, "line 2: no body"),
        ('{"custom_id": "r1", "body": {', "line 2: not JSON"),
    ],
)
def test_a_line_that_is_no_request_is_named(line, message, tmp_path):
    with pytest.raises(ValueError, match=rf"in\.jsonl {message}"):
        read(tmp_path, ANSWERS, [REQUESTS[0], line])


def test_odd_files_of_requests(tmp_path):
    assert read(tmp_path, ANSWERS, []).account.outcomes == {"no request": 4}
    shuffled = [{name: doc[name] for name in ("body", "custom_id")} for doc in REQUESTS]
    assert len(read(tmp_path, ANSWERS, ["\ufeff" + json.dumps(shuffled[0]), *shuffled[1:]])) == 4
    as_text = [{**doc, "body": json.dumps(doc["body"])} for doc in REQUESTS]
    assert stated(read(tmp_path, ANSWERS, as_text)) == stated(read(tmp_path, ANSWERS, REQUESTS))
    escaped = request('a"\u00e9', RECORDS[0][0])
    assert len(read(tmp_path, [answer('a"\u00e9', RECORDS[0])], [escaped])) == 1
    with pytest.raises(FileNotFoundError):
        TransferSet.read(tmp_path / "out.jsonl", requests=tmp_path / "nothing.jsonl")


def test_a_batch_of_gemini_is_joined_by_key(tmp_path):
    docs = [FORMATS["gemini"](*record) for record in RECORDS]
    requests = [{"key": f"k{i}", "request": doc["request"]} for i, doc in enumerate(docs)]
    answers = [{"key": f"k{i}", "response": doc["response"]} for i, doc in enumerate(docs)]
    transfer = read(tmp_path, answers, requests)
    assert stated(transfer) == [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS]
    assert transfer.account.format == "gemini"


def test_every_reader_takes_its_input_from_the_request(tmp_path):
    """Bodies of all chat-like servers under a custom_id."""
    for name in (
        "openai_responses",
        "openai_completions",
        "gemini",
        "tgi",
        "sglang",
        "llama_cpp",
        "vllm",
    ):
        doc = FORMATS[name](*RECORDS[0])
        body = doc.get("response", doc)
        body = {field: value for field, value in body.items() if field not in ("prompt", "request")}
        found = {"custom_id": "r0", "response": {"status_code": 200, "body": body}}
        transfer = read(tmp_path, [found], REQUESTS[:1])
        assert [record[:2] for record in stated(transfer)] == [(RECORDS[0][0], "yes")], name
