"""What servers really send: the irregularities of each format, one by one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from transfer_cases import FORMATS, IDS, RECORDS, stated

from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

FIRST = RECORDS[0]


def read(tmp_path, *docs, **options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return TransferSet.read(path, **options)


def chat(choice=(), **body):
    doc = FORMATS["openai_chat"](*FIRST)
    doc["response"].update(body)
    doc["response"]["choices"][0].update(choice)
    return doc


def token(text, value, tops=()):
    listed = [{"token": t, "logprob": v, "bytes": list(t.encode())} for t, v in tops]
    return {"token": text, "logprob": value, "bytes": list(text.encode()), "top_logprobs": listed}


def test_a_sampled_token_outside_the_top_is_censored_unless_it_is_listed(tmp_path):
    """OpenAI: -9999.0 where the token is not within the top 20."""
    rare = chat(
        {"logprobs": {"content": [token("perhaps", -9999.0, [("yes", -0.25), ("no", -1.75)])]}}
    )
    listed = chat(
        {"logprobs": {"content": [token("no", -9999.0, [("yes", -0.25), ("no", -1.75)])]}}
    )
    for doc in (rare, listed):
        (choice,) = doc["response"]["choices"]
        choice["message"]["content"] = choice["logprobs"]["content"][0]["token"]
    (_, label, entries), (_, _, other) = stated(read(tmp_path, rare, listed))
    assert label == "perhaps"
    assert math.isnan(entries["perhaps"])
    assert other == {"no": -1.75, "yes": -0.25}
    table = fit(read(tmp_path, rare)).table
    perhaps = table[table["label"] == "perhaps"]
    assert perhaps["probability"].item() == pytest.approx(1 - math.exp(-0.25) - math.exp(-1.75))
    assert perhaps["at_most"].item() == pytest.approx(math.exp(-1.75))


def test_tokens_that_read_alike_without_bytes_count_as_the_first(tmp_path):
    content = [
        {"token": "\ufffd", "logprob": -0.5, "top_logprobs": [{"token": "\ufffd", "logprob": -4.0}]}
    ]
    assert stated(read(tmp_path, chat({"logprobs": {"content": content}})))[0][2] == {
        "\ufffd": -0.5
    }


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("stop", "read"),
        ("length", "read"),
        ("content_filter", "refused"),
        ("tool_calls", "no label"),
        ("function_call", "no label"),
        ("abort", "error"),
        ("insufficient_system_resource", "error"),
        ("e\nd_turn", "error"),
        (None, "read"),
    ],
)
def test_finish_reasons_of_chat(reason, outcome, tmp_path):
    transfer = read(tmp_path, chat({"finish_reason": reason}))
    assert transfer.account.outcomes == {outcome: 1}
    assert not any("\n" in why for _, _, why in transfer.account.skipped)


def test_log_probabilities_of_a_refusal_are_no_answer(tmp_path):
    declined = {
        "message": {"role": "assistant", "content": None, "refusal": "I cannot"},
        "logprobs": {"content": None, "refusal": [token("I", -0.1)]},
    }
    assert read(tmp_path, chat(declined)).account.outcomes == {"refused": 1}


def test_a_chat_server_that_states_ids_is_keyed_by_them(tmp_path):
    """llama.cpp's chat endpoint adds an id to each token, so that equal texts stay apart."""
    first = {**token("yes", -0.25), "id": 5}
    first["top_logprobs"] = [{**token("yes", -0.25), "id": 5}, {**token("yes", -3.0), "id": 6}]
    transfer = read(tmp_path, chat({"logprobs": {"content": [first]}}))
    assert stated(transfer)[0][2] == {"yes (token 5)": -0.25, "yes (token 6)": -3.0}


def responses(**body):
    doc = FORMATS["openai_responses"](*FIRST)
    doc["response"].update(body)
    return doc


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "read"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refused"),
        ({"status": "failed", "error": {"code": "server_error", "message": "boom"}}, "error"),
        ({"status": "cancelled"}, "error"),
        ({"output": [{"type": "reasoning", "summary": []}]}, "no label"),
        ({"output": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "no label"),
        (
            {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]},
            "refused",
        ),
    ],
)
def test_responses_that_end_otherwise(body, outcome, tmp_path):
    assert read(tmp_path, responses(**body)).account.outcomes == {outcome: 1}


def test_responses_without_log_probabilities_have_their_text_as_the_label(tmp_path):
    doc = responses()
    doc["response"]["output"][1]["content"][0]["logprobs"] = []
    assert stated(read(tmp_path, doc)) == [(FIRST[0], "yes.", {})]


def test_lines_of_a_batch_joined_with_their_requests_ask_the_same_thing(tmp_path):
    """custom_id is unique to a request: alone it is all that there is, beside the messages it is not the input."""
    docs = [{**FORMATS["openai_batch"](*r), "custom_id": f"id-{i}"} for i, r in enumerate(RECORDS)]
    assert read(tmp_path, *docs).input_names == ("id-0", "id-1", "id-2", "id-3")
    for i, (question, *_) in enumerate(RECORDS):
        body = {"model": "m", "messages": [{"role": "user", "content": question}], "temperature": 1}
        docs[i]["request"] = {
            "custom_id": f"id-{i}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body,
        }
    transfer = read(tmp_path, *docs)
    assert transfer.input_names == ("Is it raining?", "Is it late?")
    assert list(transfer.inputs) == [0, 0, 1, 1]


def test_batch_lines_that_failed_name_why(tmp_path):
    docs = [
        {
            "custom_id": "a",
            "response": None,
            "error": {"code": "batch_expired", "message": "expired"},
        },
        {
            "custom_id": "b",
            "response": {"status_code": 400, "body": {"error": {"message": "bad\nmodel"}}},
            "error": None,
        },
        {"custom_id": "c", "response": {"status_code": 500, "body": None}, "error": None},
        {
            "custom_id": "d",
            "response": {"status_code": 200, "body": {"object": "list", "data": []}},
            "error": None,
        },
    ]
    skipped = read(tmp_path, *docs).account.skipped
    assert [(outcome, reason) for _, outcome, reason in skipped[:3]] == [
        ("error", "expired"),
        ("error", "bad model"),
        ("error", "status code 500"),
    ]
    assert skipped[3][1:] == ("malformed", "choices is missing")


def legacy(**logprobs):
    doc = FORMATS["openai_completions"](*FIRST)
    doc["choices"][0]["logprobs"].update(logprobs)
    return doc


def test_token_ids_as_texts_in_legacy_completions(tmp_path):
    """vLLM with return_tokens_as_token_ids: names such as token_id:42 in tokens and as keys."""
    doc = legacy(
        tokens=["token_id:42", "token_id:13"],
        top_logprobs=[{"token_id:42": -0.25, "token_id:7": -2.0, "token_id:x": -9.0}, None],
    )
    transfer = read(tmp_path, doc)
    assert stated(transfer)[0][1:] == (
        "token_id:42",
        {"token_id:42": -0.25, "token_id:7": -2.0, "token_id:x": -9.0},
    )


def test_an_echo_ends_where_the_prompt_does(tmp_path):
    tops = [None, {"is": -1.0}, {"yes": -0.25, "no": -1.75}]
    doc = legacy(
        tokens=["Is it ", "raining?", "yes"],
        token_logprobs=[None, -3.0, -0.25],
        top_logprobs=tops,
        text_offset=[0, 6, 14],
    )
    doc["choices"][0]["text"] = "Is it raining?yes"
    assert stated(read(tmp_path, doc)) == [(FIRST[0], "yes", {"yes": -0.25, "no": -1.75})]
    assert stated(read(tmp_path, doc, label="text")) == [(FIRST[0], "yes", {"yes": -0.25})]
    # max_tokens = 0: the prompt was scored and nothing generated.
    cut = {name: values[:2] for name, values in doc["choices"][0]["logprobs"].items()}
    doc["choices"][0].update(logprobs=cut, text="Is it raining?")
    assert read(tmp_path, doc).account.outcomes == {"no label": 1}


def test_prompts_scored_by_vllm_ask_what_stands_before_their_last_token(tmp_path):
    def scored(label):
        by_id = {
            str(IDS[t]): {"logprob": v, "rank": 1, "decoded_token": t}
            for t, v in (("yes", -0.25), ("no", -1.75))
        }
        return {
            "prompt": f"Is it raining? {label}",
            "prompt_token_ids": [1, 2, IDS[label]],
            "prompt_logprobs": [None, {"2": {"logprob": -1.0}}, by_id],
            "outputs": [],
        }

    transfer = read(tmp_path, scored("yes"), scored("no"))
    assert transfer.input_names == ("Is it raining? ",)
    assert [record[1:] for record in stated(transfer)] == [(None, {"yes": -0.25, "no": -1.75})] * 2
    named = read(tmp_path, scored("yes"), input="prompt")
    assert named.input_names == ("Is it raining? yes",)


def test_vllm_states_minus_infinity_and_bare_numbers(tmp_path):
    doc = FORMATS["vllm"](*FIRST)
    doc["outputs"][0]["logprobs"][0] = {str(IDS["yes"]): -0.25, "7": -math.inf, "8": None}
    entries = stated(read(tmp_path, doc))[0][2]
    assert entries["token_id:9891"] == -0.25
    assert math.isnan(entries["token_id:7"])
    assert "token_id:8" not in entries


def sglang(**meta):
    doc = FORMATS["sglang"](*FIRST)
    doc["meta_info"].update(meta)
    return doc


def test_sglang_triples_without_text_or_top_and_labels_named_by_id(tmp_path):
    bare = sglang(
        output_token_logprobs=[[-0.25, 9891, None]],
        output_top_logprobs=[[[-0.25, 9891, None], [-1.75, 7, None]]],
    )
    assert stated(read(tmp_path, bare))[0][2] == {"token_id:9891": -0.25, "token_id:7": -1.75}
    for nothing in (None, [], [None], [[]]):
        assert stated(read(tmp_path, sglang(output_top_logprobs=nothing)))[0][2] == {"yes": -0.25}
    named = sglang(
        output_top_logprobs=None,
        output_token_ids_logprobs=[[[-0.25, 9891, "yes"], [-6.5, 77, "rare"]]],
    )
    assert stated(read(tmp_path, named))[0][2] == {"yes": -0.25, "rare": -6.5}


def test_sglang_is_asked_by_text_or_by_token_ids(tmp_path):
    doc = sglang()
    del doc["prompt"]
    for request, question in (({"text": "Is it?"}, "Is it?"), ({"input_ids": [1, 22]}, "[1, 22]")):
        assert stated(read(tmp_path, {"request": request, "response": doc}))[0][0] == question
    assert stated(read(tmp_path, {"input_ids": [3], **doc}))[0][0] == "[3]"


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ({"type": "abort", "message": "out of memory"}, "error"),
        ({"type": "length", "length": 1}, "read"),
        ("stop", "read"),
    ],
)
def test_finish_reasons_of_sglang(reason, outcome, tmp_path):
    assert read(tmp_path, sglang(finish_reason=reason)).account.outcomes == {outcome: 1}


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": 0.8},
        {"top_p": 0.95},
        {"top_k": 40},
        {"min_p": 0.05},
        {"repeat_penalty": 1.1},
        {"mirostat": 2},
        {"typical_p": 0.9},
        {"xtc_probability": 0.5},
        {"presence_penalty": 0.5},
    ],
    ids=str,
)
def test_samplers_that_change_the_distribution_are_refused(setting, tmp_path):
    doc = FORMATS["llama_cpp"](*FIRST)
    doc["generation_settings"].update(setting)
    with pytest.raises(ValueError, match="as_sampled=True reads them all the same"):
        read(tmp_path, doc)
    hard = {**doc, "completion_probabilities": None}
    assert not read(tmp_path, hard, as_sampled=True).faithful


def test_llama_cpp_writes_null_and_the_smallest_float_for_minus_infinity(tmp_path):
    doc = FORMATS["llama_cpp"](*FIRST)
    doc["completion_probabilities"][0]["top_logprobs"] += [
        {"id": 8, "token": "x", "bytes": [120], "logprob": None},
        {"id": 9, "token": "z", "bytes": [122], "logprob": -3.4028234663852886e38},
    ]
    transfer = read(tmp_path, doc)
    assert transfer.account.censored == 2
    assert math.isnan(stated(transfer)[0][2]["z"])


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("STOP", "read"),
        ("MAX_TOKENS", "read"),
        (1, "read"),
        ("FinishReason.STOP", "read"),
        ("FINISH_REASON_UNSPECIFIED", "read"),
        ("SAFETY", "refused"),
        (3, "refused"),
        ("RECITATION", "refused"),
        ("PROHIBITED_CONTENT", "refused"),
        ("OTHER", "error"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        (99, "error"),
    ],
)
def test_finish_reasons_of_gemini(reason, outcome, tmp_path):
    doc = FORMATS["gemini"](*FIRST)
    doc["response"]["candidates"][0]["finishReason"] = reason
    assert read(tmp_path, doc).account.outcomes == {outcome: 1}


def test_gemini_leaves_out_zeros_and_writes_infinity_as_text(tmp_path):
    doc = FORMATS["gemini"](*FIRST)
    result = doc["response"]["candidates"][0]["logprobsResult"]
    result["chosenCandidates"][0] = {"token": "yes", "tokenId": 9891}
    result["topCandidates"][0]["candidates"] = [
        {"token": "yes", "tokenId": 9891},
        {"token": "no", "tokenId": 2201, "logProbability": "-Infinity"},
    ]
    entries = stated(read(tmp_path, doc))[0][2]
    assert entries["yes"] == 0.0
    assert math.isnan(entries["no"])
    del doc["request"]
    doc["key"] = "request-7"
    assert read(tmp_path, doc).input_names == ("request-7",)


def test_arrays_as_generate_returns_them():
    steps = tuple(np.log([[[0.5, 0.25, 0.25]], [[0.1, 0.8, 0.1]]]).astype(np.float16))
    with pytest.raises(ValueError, match=r"give the first step: logits\[0\]"):
        TransferSet.from_arrays(["q"], [0], logits=steps)
    transfer = TransferSet.from_arrays(["q"], [0], logits=steps[0])
    assert stated(transfer)[0][2]["0"] == pytest.approx(math.log(0.5), abs=1e-3)


def test_large_arrays_are_what_their_records_are():
    rng = np.random.default_rng(0)
    logprobs = np.log(rng.dirichlet(np.ones(5), size=300))
    logprobs[rng.random((300, 5)) < 0.3] = np.nan
    logprobs[0] = [-2000.0, -np.inf, np.nan, -1.0, -2.0]
    transfer = TransferSet.from_arrays(rng.integers(0, 9, 300), logprobs=logprobs)
    assert transfer.account.outcomes == {"read": 300}
    for (_, label, entries), row in zip(stated(transfer), logprobs, strict=True):
        assert label is None
        assert entries == {str(a): v for a, v in enumerate(row) if v > -1000}


def test_ids_declared_by_their_texts(tmp_path):
    transfer = read(tmp_path, *(FORMATS["sglang"](*r) for r in RECORDS), labels=["no", "yes"])
    assert transfer.account.outcomes == {"read": 4}
    assert transfer.labels == ("no", "yes", "perhaps")
    assert any("not declared" in note for note in transfer.account.notes)


def test_fewer_entries_than_declared_leave_mass_that_is_shared(tmp_path):
    transfer = read(
        tmp_path, FORMATS["openai_chat"](*FIRST), labels=["yes", "no", "perhaps", "never"]
    )
    rest = (1 - math.exp(-0.25) - math.exp(-1.75)) / 2
    np.testing.assert_allclose(fit(transfer).pi, [[math.exp(-0.25), math.exp(-1.75), rest, rest]])
