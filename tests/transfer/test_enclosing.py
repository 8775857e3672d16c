"""Settings, models and what was asked, at each level that encloses an answer."""

from __future__ import annotations

import csv
import json

import pytest

from kt_theory.transfer.read import json_files
from kt_theory.transfer.read.sampling import NOTHING_SAID, origin_of
from kt_theory.transfer.sets import TransferSet

MESSAGES = [{"role": "user", "content": "q"}]
PLAIN = {"input": "q", "label": "yes", "logprob": -0.5}


def read(tmp_path, text, name="a.jsonl", **options):
    path = tmp_path / name
    docs = text if isinstance(text, list) else [text]
    path.write_text(
        text if isinstance(text, str) else "".join(json.dumps(doc) + "\n" for doc in docs)
    )
    return TransferSet.read(path, **options)


def asked(temperature, **more):
    return {"model": "m", "temperature": temperature, "messages": MESSAGES, **more}


def chat(label="yes", **more):
    listed = {"content": [{"token": label, "logprob": -0.5, "top_logprobs": []}]}
    choice = {
        "index": 0,
        "message": {"content": label},
        "finish_reason": "stop",
        "logprobs": listed,
    }
    return {"object": "chat.completion", "choices": [choice], **more}


def inputs(transfer):
    return [transfer.input_names[s] for s in transfer.inputs]


NAMES = (
    ("input", "output"),
    ("inputs", "output"),
    ("input", "response"),
    ("request", "output"),
    ("request", "completion"),
    ("request", "result"),
    ("kwargs", "response"),
    ("payload", "response_body"),
    ("request_body", "response_body"),
)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("names", NAMES, ids="-".join)
def test_a_request_and_its_answer_by_other_names(names, as_text, tmp_path):
    def record(temperature):
        parts = asked(temperature), chat()
        return dict(zip(names, map(json.dumps, parts) if as_text else parts, strict=True))

    transfer = read(tmp_path, record(1))
    assert (inputs(transfer), transfer.account.models, transfer.account.format) == (
        ["q"],
        {"m": 1},
        "openai_chat",
    )
    with pytest.raises(ValueError, match="drawn under temperature = 0"):
        read(tmp_path, record(0))


def test_a_log_of_inspect_is_still_one(tmp_path):
    sample = {"input": "q", "output": {"model": "m", **chat()}}
    assert read(tmp_path, sample).account.format == "inspect"
    for beside in ({"temperature": 0}, {"config": {"temperature": 0}}):
        with pytest.raises(ValueError, match="temperature = 0"):
            read(tmp_path, {**sample, **beside})
    assert read(tmp_path, {**sample, "reasoning_effort": "high"}).account.reasoned == 1


@pytest.mark.parametrize("name", ["body", "json", "data", "payload"])
@pytest.mark.parametrize("as_text", [False, True])
def test_recorded_requests_hold_the_body_by_several_names(name, as_text, tmp_path):
    def record(temperature):
        body = asked(temperature)
        return {
            "request": {"url": "u", name: json.dumps(body) if as_text else body},
            "response": chat(),
        }

    assert inputs(read(tmp_path, record(1))) == ["q"]
    with pytest.raises(ValueError, match=r"body\.temperature = 0"):
        read(tmp_path, record(0))


@pytest.mark.parametrize(
    "beside",
    [
        {"sampling": {"temperature": 0}},
        {"decoding": {"temperature": 0}},
        {"generation": {"top_k": 1}},
        {"meta": {"temperature": 0}},
        {"metadata": {"request": asked(0)}},
        {"config": {"sampling": {"temperature": 0}}},
        {"modelParameters": {"temperature": 0}},
        {"gen_args": {"temperature": 0}},
        {"llm_config": {"temperature": 0}},
        {"decoding_options": '{"temperature": 0}'},
    ],
    ids=str,
)
def test_settings_beside_answers_and_plain_records(beside, tmp_path):
    for record in ({"prompt": "q", "response": chat()}, PLAIN):
        with pytest.raises(ValueError, match=r"(temperature = 0|top_k = 1) "):
            read(tmp_path, {**record, **beside})


def test_the_request_within_an_answer(tmp_path):
    with pytest.raises(ValueError, match=r"request\.temperature = 0"):
        read(tmp_path, {"prompt": "q", "response": {"request": asked(0), **chat()}})
    assert read(
        tmp_path, {"prompt": "q", "response": {"request": asked(1), **chat()}}
    ).account.models == {"m": 1}


def test_a_request_as_the_input_of_a_plain_record(tmp_path):
    for request in (asked(0), json.dumps(asked(0))):
        with pytest.raises(ValueError, match="temperature = 0"):
            read(tmp_path, {**PLAIN, "input": request})
    assert len(read(tmp_path, {**PLAIN, "input": asked(1)})) == 1


@pytest.mark.parametrize("name", ["input", "text", "data"])
def test_what_is_no_request_holds_no_settings(name):
    assert origin_of((), ({name: {"city": "Rome", "temperature": 25}},)) == NOTHING_SAID
    assert origin_of((), ({name: '{"temperature": 25}'},)) == NOTHING_SAID


WRAPPED = (
    ({"model": "m", "temperature": 0}, "wrapper.temperature = 0"),
    ({"config": {"model": "m", "temperature": 0}}, "wrapper.config.temperature = 0"),
    ({"parameters": {"do_sample": False}}, "wrapper.parameters.do_sample = false"),
    ({"generation_config": {"top_k": 1}}, "wrapper.generation_config.top_k = 1"),
    ({"meta": {"temperature": 0}}, "wrapper.meta.temperature = 0"),
    ({"presence_penalty": 0.5}, "wrapper.presence_penalty = 0.5"),
)
RECORDS = (
    PLAIN,
    {"request": {"messages": MESSAGES}, "response": chat()},
    {"prompt": "q", **chat()},
)


@pytest.mark.parametrize("record", RECORDS, ids=["plain", "beside its request", "bare"])
@pytest.mark.parametrize(("head", "said"), WRAPPED, ids=[said for _, said in WRAPPED])
def test_settings_beside_a_list_reach_each_record(head, said, record, tmp_path):
    indent = json.dumps({**head, "data": [record, record]}, indent=1)
    behind = json.dumps({"data": [record, record], **head})
    for text, name in ((indent, "a.json"), (behind, "b.json"), (behind, "c.jsonl")):
        with pytest.raises(ValueError, match=f"2 of 2 records .* drawn under {said} "):
            read(tmp_path, text, name)
        assert len(read(tmp_path, text, name, as_sampled=True)) == 2


def test_settings_behind_a_long_list_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_files, "_HEAD", 64)
    records = [PLAIN] * 5
    for tail in ({"temperature": 0}, {"reasoning_effort": "high"}):
        with pytest.raises(
            ValueError, match="stands behind the list of records: write it before the list"
        ):
            read(tmp_path, json.dumps({"data": records, **tail}), "a.json")
    for tail in ({"temperature": 1, "model": "m"}, {"has_more": False}):
        assert len(read(tmp_path, json.dumps({"data": records, **tail}), "a.json")) == 5
    with pytest.raises(ValueError, match=r"wrapper\.temperature = 0"):
        read(tmp_path, json.dumps({"temperature": 0, "data": records}), "a.json")


def test_models_of_a_wrapper_and_of_its_records(tmp_path):
    assert read(tmp_path, {"model": "m", "data": [PLAIN, PLAIN]}).account.models == {"m": 2}
    assert read(tmp_path, {"model": "m", "data": [{**PLAIN, "model": "own"}]}).account.models == {
        "own": 1
    }
    with pytest.raises(ValueError, match="2 teachers"):
        read(tmp_path, {"model": "m", "data": [{**PLAIN, "model": "own"}, PLAIN]})
    with pytest.raises(ValueError, match="2 teachers"):
        read(tmp_path, [{"model": name, "data": [PLAIN]} for name in "ab"])
    with pytest.raises(ValueError, match="2 teachers"):
        read(tmp_path, [{**PLAIN, "meta": {"model": name}} for name in "ab"])


def test_what_a_wrapper_asks_is_part_of_the_input(tmp_path):
    for record in RECORDS:
        for name in ("system", "instructions", "system_prompt"):
            transfer = read(
                tmp_path, [{name: text, "data": [record]} for text in ("one", "two", "two")]
            )
            assert len(set(inputs(transfer))) == 2
            assert all(
                text in shown
                for text, shown in zip(("one", "two", "two"), inputs(transfer), strict=True)
            )


def test_reasoning_that_is_asked_for_beside_an_answer_or_a_list(tmp_path):
    for record in RECORDS:
        assert read(tmp_path, {"reasoning_effort": "high", "data": [record]}).account.reasoned == 1
        assert read(tmp_path, {"reasoning_effort": "none", "data": [record]}).account.reasoned == 0
        assert read(tmp_path, {"reasoning_effort": "high", **record}).account.reasoned == 1


def table(tmp_path, names, *rows):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return TransferSet.read(tmp_path / "a.csv")


def test_settings_in_the_cells_of_a_table(tmp_path):
    for name in ("sampling", "meta", "gen_args", "request"):
        with pytest.raises(ValueError, match="temperature = 0"):
            table(tmp_path, ["input", "label", name], ["q", "a", '{"temperature": 0}'])
    with pytest.raises(ValueError, match="temperature = 0"):
        table(tmp_path, ["input", "label"], ["q", "a"], [json.dumps(asked(0)), "a"])
    assert table(tmp_path, ["input", "label"], [json.dumps(asked(1)), "a"]).account.models == {
        "m": 1
    }
    # A text that begins with a bracket is but a text.
    transfer = table(
        tmp_path, ["input", "label", "generation"], ["q", "a", "[INST] hello"], ["q", "a", "{oh"]
    )
    assert transfer.account.outcomes == {"read": 2}


def test_a_whole_answer_is_no_label(tmp_path):
    rows = [["q", json.dumps(chat())], ["q", "yes"], ["q", json.dumps({"candidates": []})]]
    account = table(tmp_path, ["prompt", "response"], *rows).account
    assert account.outcomes == {"read": 1, "malformed": 2}
    assert "a whole answer of a server as JSON" in account.skipped[0][2]
    assert (
        read(tmp_path, {"prompt": "q", "response": json.dumps(chat())}).account.format
        == "openai_chat"
    )


def test_what_stands_beside_the_pieces_of_a_stream(tmp_path):
    token = {"id": 7, "text": "yes", "logprob": -0.5, "special": False}
    piece = {
        "request": {"inputs": "q", "parameters": {"temperature": 0.5}},
        "token": token,
        "generated_text": "yes",
    }
    with pytest.raises(ValueError, match=r"parameters\.temperature = 0\.5"):
        read(tmp_path, piece)
