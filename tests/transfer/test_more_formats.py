"""Formats beside the common ones, what stands for no token, and what is no format at all."""

from __future__ import annotations

import json
import math

import pytest
from transfer_cases import FORMATS, RECORDS, stated

from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

ASKED = {"messages": [{"role": "user", "content": "q"}], "temperature": 1}


def read(tmp_path, *docs, **options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return TransferSet.read(path, **options)


def token(text, value, tops=()):
    return {
        "token": text,
        "logprob": value,
        "top_logprobs": [{"token": t, "logprob": v} for t, v in tops],
    }


def chat(logprobs, content="Yes.", **body):
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"content": content},
        "logprobs": logprobs,
    }
    return {
        "request": ASKED,
        "response": {"object": "chat.completion", "choices": [choice], **body},
    }


YES = ("q", "Yes", {"Yes": -0.25, "No": -1.5})
LISTS = {
    "tokens": ["Yes", "."],
    "token_logprobs": [-0.25, -0.5],
    "top_logprobs": [{"Yes": -0.25, "No": -1.5}, {".": -0.5}],
}


def test_legacy_lists_in_a_chat(tmp_path):
    """Together, old vLLM."""
    for doc in (chat({"content": None, **LISTS}), chat(LISTS)):
        assert stated(read(tmp_path, doc)) == [YES]
        assert stated(read(tmp_path, doc, label="text")) == [("q", "Yes.", {"Yes.": -0.75})]
    bare = chat({"tokens": ["Yes", "."], "token_logprobs": [-0.25, -0.5], "token_ids": [1, 2]})
    assert stated(read(tmp_path, bare)) == [("q", "Yes", {"Yes": -0.25})]
    assert read(tmp_path, chat({**LISTS, "tokens": ["Yes"]})).account.outcomes == {"malformed": 1}


def test_ids_alone(tmp_path):
    """The MLX server."""
    tops = [{"7": -0.25, "9": -1.5}, {"2": -0.5}]
    listed = {"tokens": [7, 2], "token_logprobs": [-0.25, -0.5], "top_logprobs": tops}
    expected = [("q", "token_id:7", {"token_id:7": -0.25, "token_id:9": -1.5})]
    assert stated(read(tmp_path, chat(listed))) == expected
    pairs = [[[7, -0.25], [9, -1.5]], [[2, -0.5]]]
    assert stated(read(tmp_path, chat({**listed, "top_logprobs": pairs}))) == expected
    legacy = {
        "prompt": "q",
        "choices": [{"text": "Yes.", "logprobs": listed, "finish_reason": "stop"}],
    }
    assert stated(read(tmp_path, legacy)) == expected
    newer = chat(
        {"content": [{"id": 7, "logprob": -0.25, "top_logprobs": [{"id": 9, "logprob": -1.5}]}]}
    )
    assert stated(read(tmp_path, newer)) == expected


def test_completions_that_list_content(tmp_path):
    """llama.cpp's /v1/completions."""
    content = [
        {**token("Yes", -0.25, [("Yes", -0.25), ("No", -1.5)]), "bytes": list(b"Yes")},
        token(".", -0.5),
    ]
    choice = {"text": "Yes.", "index": 0, "logprobs": {"content": content}, "finish_reason": "stop"}
    doc = {"prompt": "q", "object": "text_completion", "choices": [choice]}
    assert stated(read(tmp_path, doc)) == [YES]
    assert stated(read(tmp_path, doc, label="text")) == [("q", "Yes.", {"Yes.": -0.75})]


def test_scores_of_the_prompt_beside_an_answer_are_left_alone(tmp_path):
    scores = [
        None,
        {"11": {"logprob": -2.0, "decoded_token": "q"}},
        {"198": {"logprob": -0.01, "decoded_token": "\n"}},
    ]
    docs = [chat(None, "Yes", prompt_logprobs=scores), chat(None, "No", prompt_logprobs=scores)]
    assert stated(read(tmp_path, *docs)) == [("q", "Yes", {}), ("q", "No", {})]
    nothing = chat(None, "", prompt_logprobs=scores)
    transfer = read(tmp_path, nothing)
    assert transfer.account.format == "vllm"
    assert stated(transfer) == [("q", None, {"\n": -0.01})]


@pytest.mark.parametrize(
    "empty",
    [None, [], {}, {"content": None}, {"content": []}, {"tokens": [], "token_logprobs": []}],
)
def test_no_token_stated_is_a_label_of_the_whole_text_without_probability(empty, tmp_path):
    transfer = read(tmp_path, chat(empty))
    assert stated(transfer) == [("q", "Yes.", {})]
    mixed = read(tmp_path, chat(LISTS), chat(empty))
    assert stated(mixed) == [YES]
    assert mixed.account.skipped == [
        (
            2,
            "no token",
            "the answer states no token, others do; label='text' reads the texts of all",
        )
    ]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "plain"])
def test_no_token_stated_in_every_format(name, tmp_path):
    """Null and empty lists in place of the tokens: the text is the label."""

    def without(node, empty):
        if isinstance(node, dict):
            return {
                k: empty if k in _TOKENS and isinstance(v, (list, dict)) else without(v, empty)
                for k, v in node.items()
            }
        return [without(value, empty) for value in node] if isinstance(node, list) else node

    for empty in (None, []):
        doc = without(json.loads(json.dumps(FORMATS[name](*RECORDS[0]))), empty)
        if name == "tgi":
            doc["response"]["details"] = None
        assert stated(read(tmp_path, doc)) == [(RECORDS[0][0], "yes.", {})]


_TOKENS = ("logprobs", "output_token_logprobs", "completion_probabilities", "logprobsResult")


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_probability_above_0_is_malformed_beyond_rounding(name, tmp_path):
    q, a, _, _ = RECORDS[0]
    account = read(tmp_path, FORMATS[name](q, a, 0.5, {a: 0.5})).account
    assert account.outcomes == {"malformed": 1}
    assert "must be at most 0" in account.skipped[0][2]
    assert stated(read(tmp_path, FORMATS[name](q, a, 5e-4, {a: 5e-4})))[0][2] == {a: 0.0}


def cohere(**body):
    message = {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]}
    listed = [
        {"text": "Yes", "token_ids": [7], "logprobs": [-0.25]},
        {"text": ".", "token_ids": [2], "logprobs": [-0.5]},
    ]
    response = {
        "id": "c",
        "finish_reason": "COMPLETE",
        "message": message,
        "logprobs": listed,
        **body,
    }
    return {"request": {"model": "command", **ASKED}, "response": response}


def test_cohere(tmp_path):
    transfer = read(tmp_path, cohere())
    assert stated(transfer) == [("q", "Yes", {"Yes": -0.25})]
    assert transfer.account.format == "cohere"
    assert transfer.account.models == {"command": 1}
    assert stated(read(tmp_path, cohere(), label="text")) == [("q", "Yes.", {"Yes.": -0.75})]
    two = cohere(logprobs=[{"text": "Yes.", "token_ids": [7, 2], "logprobs": [-0.25, -0.5]}])
    assert stated(read(tmp_path, two)) == [("q", "token_id:7", {"token_id:7": -0.25})]
    assert stated(read(tmp_path, cohere(logprobs=None))) == [("q", "Yes.", {})]
    outcomes = {
        "MAX_TOKENS": "read",
        "TOOL_CALL": "no label",
        "ERROR_TOXIC": "refused",
        "ERROR": "error",
    }
    for reason, outcome in outcomes.items():
        assert read(tmp_path, cohere(finish_reason=reason)).account.outcomes == {outcome: 1}
    unequal = cohere(logprobs=[{"text": "Yes", "token_ids": [7, 8], "logprobs": [-0.25]}])
    assert "2 token_ids, 1 logprobs" in read(tmp_path, unequal).account.skipped[0][2]


def anthropic(**body):
    content = [{"type": "text", "text": "Yes."}]
    message = {
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": "end_turn",
    }
    return {"request": {"system": "Be brief.", **ASKED}, "response": {**message, **body}}


def test_anthropic(tmp_path):
    transfer = read(tmp_path, anthropic())
    assert stated(transfer) == [("system: Be brief.\nq", "Yes.", {})]
    assert transfer.account.models == {"claude": 1}
    thought = anthropic(
        content=[{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]
    )
    transfer = read(tmp_path, thought)
    assert stated(transfer) == [("system: Be brief.\nq", "Yes.", {})]
    assert transfer.account.reasoned == 1
    assert read(tmp_path, anthropic(stop_reason="refusal")).account.outcomes == {"refused": 1}
    assert read(tmp_path, anthropic(stop_reason="tool_use")).account.outcomes == {"no label": 1}
    batch = [
        {"custom_id": "a", "result": {"type": "succeeded", "message": anthropic()["response"]}},
        {"custom_id": "b", "result": {"type": "expired"}},
        {"custom_id": "c", "result": {"type": "errored", "error": {"message": "overloaded"}}},
    ]
    transfer = read(tmp_path, *batch)
    assert stated(transfer) == [("a", "Yes.", {})]
    assert [skip[1:] for skip in transfer.account.skipped] == [
        ("error", "result expired"),
        ("error", "overloaded"),
    ]


def test_tgi_with_its_other_sequences(tmp_path):
    doc = FORMATS["tgi"](*RECORDS[0])
    doc["request"]["parameters"]["best_of"] = 2
    with pytest.raises(ValueError, match=r"best_of = 2"):
        read(tmp_path, doc)
    other = FORMATS["tgi"](*RECORDS[1])["response"]
    doc["response"]["details"]["best_of_sequences"] = [
        {"generated_text": other["generated_text"], **other["details"]}
    ]
    transfer = read(tmp_path, doc)
    assert [record[1] for record in stated(transfer)] == ["yes", "no"]
    assert transfer.faithful
    listed = {"request": doc["request"], "response": [doc["response"]]}
    assert len(read(tmp_path, listed)) == 2
    del doc["request"]["parameters"]["best_of"]
    del doc["response"]["details"]["best_of_sequences"]
    doc["request"]["parameters"]["return_full_text"] = True
    doc["response"]["generated_text"] = f"{RECORDS[0][0]}yes."
    assert stated(read(tmp_path, doc, label="text"))[0][1] == "yes."


def test_tgi_as_openai(tmp_path):
    doc = chat({"content": [token("Yes", -0.25, [("Yes", -0.25), ("No", -1.5)])]})
    doc["response"]["object"] = "text_completion"
    transfer = read(tmp_path, doc)
    assert stated(transfer) == [YES]
    assert transfer.account.format == "openai_chat"


def test_ollama_by_chat_bare_and_with_thinking(tmp_path):
    doc = FORMATS["ollama"](*RECORDS[0])
    body = doc["response"]
    spoken = {**body, "message": {"role": "assistant", "content": body["response"]}}
    del spoken["response"]
    chatted = {
        "request": {"messages": [{"role": "user", "content": RECORDS[0][0]}]},
        "response": spoken,
    }
    assert stated(read(tmp_path, chatted)) == stated(read(tmp_path, doc))
    bare = {"prompt": RECORDS[0][0], **body}
    assert stated(read(tmp_path, bare)) == stated(read(tmp_path, doc))
    silent = {**bare, "logprobs": None}
    assert stated(read(tmp_path, silent)) == [(RECORDS[0][0], "yes.", {})]
    assert stated(read(tmp_path, {**bare, "thinking": "Hm."})) == [(RECORDS[0][0], "yes", {})]
    assert read(tmp_path, {**bare, "done_reason": "load", "response": ""}).account.outcomes == {
        "error": 1
    }


def test_a_log_of_inspect(tmp_path):
    sample = FORMATS["inspect"](*RECORDS[0])
    del sample["request"]
    system = {"role": "system", "content": "Be brief."}
    sample["messages"].insert(0, system)
    log = {
        "version": 2,
        "status": "success",
        "eval": {"model": "openai/m", "config": {"limit": 10, "epochs": 2}},
        "plan": {"steps": [], "config": {"temperature": 0.5, "max_tokens": None}},
        "results": {"scores": []},
        "samples": [sample, {**sample, "epoch": 2}, {**sample, "error": {"message": "boom"}}],
    }
    for indent in (None, 2):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(log, indent=indent))
        with pytest.raises(ValueError, match=r"drawn under temperature = 0\.5 \(lines 1, 2\)"):
            TransferSet.read(path)
        transfer = TransferSet.read(path, as_sampled=True)
        assert transfer.account.outcomes == {"read": 2, "error": 1}
        assert transfer.account.models == {"m": 2}
        assert transfer.input_names == (f"system: Be brief.\nuser: {RECORDS[0][0]}",)
        assert stated(transfer)[0][1:] == ("yes", {"yes": -0.25, "no": -1.75})


def test_bodies_that_are_json_as_text(tmp_path):
    doc = FORMATS["openai_chat"](*RECORDS[0])
    expected = stated(read(tmp_path, doc))
    request, response = json.dumps(doc["request"]), json.dumps(doc["response"])
    shapes = [
        {**doc, "response": response},
        {"request": request, "response": response},
        {**doc, "response": {"status_code": 200, "body": response}},
        {"request": doc["request"], "body": response},
        {"body": request, "response": doc["response"]},
        {
            "request": {"method": "POST", "body": request},
            "response": {"status": {"code": 200}, "body": {"string": response}},
        },
        {"request": {"body": request}, "response": {"body": {"string": response}}},
    ]
    for shape in shapes:
        assert stated(read(tmp_path, shape)) == expected, shape
    failed = {
        "request": {"body": request},
        "response": {"status": {"code": 503}, "body": {"string": "busy"}},
    }
    assert read(tmp_path, shapes[-1], failed).account.outcomes == {"read": 1, "error": 1}
    path = tmp_path / "cassette.json"
    path.write_text(json.dumps({"version": 1, "interactions": [*shapes[-2:], failed]}, indent=1))
    assert TransferSet.read(path).account.outcomes == {"read": 2, "error": 1}


@pytest.mark.parametrize(
    ("doc", "message"),
    [
        (
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "message": {}},
            "openai_chat, but 'choices'",
        ),
        ({"usageMetadata": {}, "modelVersion": "g"}, "gemini, but 'candidates'"),
        ({"created_at": "", "eval_count": 2, "response": ""}, "ollama, but 'done'"),
        ({"prompt_token_ids": [1], "request_id": "0", "prompt": "q"}, "vllm, but 'outputs'"),
        ({"input": "q", "logprob": -0.5}, "plain, but 'label'"),
    ],
)
def test_what_is_not_known_names_the_nearest_format(doc, message, tmp_path):
    account = read(tmp_path, doc).account
    assert account.outcomes == {"malformed": 1}
    assert message in account.skipped[0][2]
    assert account.skipped[0][2].endswith(
        'is missing; the plain format is {"input": ..., "label": ..., "logprob": ...}'
    )
    with pytest.raises(ValueError, match="line 1: no known format: nearest is"):
        fit(read(tmp_path, doc))


def test_what_resembles_no_format_names_its_fields(tmp_path):
    why = read(tmp_path, {"a": 1, "b": 2}).account.skipped[0][2]
    assert why.startswith("no known format: fields a, b; the plain format is {")
    assert len(read(tmp_path, {"x" * 10**5: 1}).account.skipped[0][2]) < 300


def test_an_error_on_the_first_line_is_an_error(tmp_path):
    account = read(tmp_path, {"error": {"message": "busy"}}, chat(LISTS)).account
    assert account.outcomes == {"read": 1, "error": 1}


@pytest.mark.parametrize(
    ("doc", "outcome"),
    [({"error": {"message": "busy"}}, "busy"), (chat(None, ""), "no token was generated")],
)
def test_strict_is_for_every_line_without_a_record(doc, outcome, tmp_path):
    with pytest.raises(ValueError, match=rf"a\.jsonl line 2: {outcome}"):
        read(tmp_path, chat(LISTS), doc, on_error="raise")


@pytest.mark.parametrize("name", ["gemini", "ollama", "inspect", "llama_cpp", "openai_chat"])
def test_the_teachers_name_is_read(name, tmp_path):
    doc = FORMATS[name](*RECORDS[0])
    if name == "llama_cpp":
        doc["model"] = "m"
    other = json.loads(
        json.dumps(doc)
        .replace('"modelVersion": "gemini"', '"modelVersion": "pro"')
        .replace('"m"', '"n"')
    )
    assert len(read(tmp_path, doc).account.models) == 1
    with pytest.raises(ValueError, match="the answers of 2 teachers"):
        read(tmp_path, doc, other)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "plain"])
def test_deep_nesting_is_one_line(name, tmp_path):
    deep = "[" * 990 + "]" * 990
    text = json.dumps(FORMATS[name](*RECORDS[0]))
    path = tmp_path / "a.jsonl"
    lines = [
        text.replace(json.dumps(RECORDS[0][0]), deep),
        text[:-1] + f', "prompt": {deep}}}',
        text,
    ]
    path.write_text("\n".join(lines))
    account = TransferSet.read(path, name, as_sampled=True).account
    assert sum(account.outcomes.values()) == 3
    assert math.isfinite(account.records)
