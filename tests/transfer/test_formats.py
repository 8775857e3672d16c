"""Each server's records, as it writes them, with the irregularities that occur."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from transfer_cases import FORMATS, IDS, RECORDS, openai_chat, stated

from kt_theory.transfer.read.files import READERS
from kt_theory.transfer.sets import TransferSet


def write(path, docs):
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return path


def read(tmp_path, docs, format=None, **options):
    return TransferSet.read(write(tmp_path / "a.jsonl", docs), format, **options)


def test_every_reader_has_a_transcript():
    # Cohere and Anthropic list no other labels beside the sampled one.
    assert set(FORMATS) | {"cohere", "anthropic"} == set(READERS)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("explicit", [False, True])
def test_every_format_gives_the_same_records(name, explicit, tmp_path):
    transfer = read(tmp_path, [FORMATS[name](*r) for r in RECORDS], name if explicit else None)
    assert stated(transfer) == [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS]
    assert transfer.account.format == name
    assert transfer.account.outcomes == {"read": 4}
    assert transfer.account.unstated_sampling == (0 if name not in ("plain", "openai_batch") else 4)
    assert transfer.faithful


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "plain"])
def test_the_whole_text_as_the_label(name, tmp_path):
    transfer = read(tmp_path, [FORMATS[name](*r) for r in RECORDS], label="text")
    assert stated(transfer) == [(q, f"{a}.", {f"{a}.": own - 0.5}) for q, a, own, _ in RECORDS]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("mark", [-9999.0, -3.4e38, -1000.0, -math.inf, math.nan])
def test_marks_for_too_small_are_censored_never_zero(name, mark, tmp_path):
    q, a, own, tops = RECORDS[0]
    transfer = read(tmp_path, [FORMATS[name](q, a, own, {**tops, "perhaps": mark})])
    assert math.isnan(stated(transfer)[0][2]["perhaps"])
    assert transfer.account.censored == 1
    assert transfer.rows.hidden_mass[0] == pytest.approx(1 - math.exp(-0.25) - math.exp(-1.75))


@pytest.mark.parametrize("name", FORMATS)
def test_fewer_entries_than_asked(name, tmp_path):
    q, a, own, _ = RECORDS[0]
    transfer = read(tmp_path, [FORMATS[name](q, a, own, {})])
    assert stated(transfer) == [(q, a, {a: own})]


def chat_with(**choice):
    doc = openai_chat(*RECORDS[0])
    doc["response"]["choices"][0].update(choice)
    return doc


def test_refusals_errors_and_empty_answers_are_counted_and_left_out(tmp_path):
    refusal = chat_with(message={"role": "assistant", "content": None, "refusal": "I cannot"})
    docs = [
        openai_chat(*RECORDS[0]),
        refusal,
        chat_with(finish_reason="content_filter"),
        chat_with(finish_reason="error"),
        chat_with(logprobs={"content": []}),
        {"error": {"message": "rate limit\nreached", "type": "x"}},
        {"request": {"messages": []}, "response": {"choices": []}},
        {"custom_id": "a", "response": {"status_code": 429, "body": {}}},
    ]
    transfer = read(tmp_path, docs)
    outcomes = list(transfer.account.frame["outcome"])
    assert outcomes == ["refused", "refused", "error", "no token", "error", "malformed", "error"]
    assert list(transfer.account.frame["line"]) == [2, 3, 4, 5, 6, 7, 8]
    assert len(transfer) == 1
    assert "rate limit reached" in repr(transfer.account)
    assert sum(transfer.account.outcomes.values()) == transfer.account.lines == 8


def test_the_token_is_known_by_id_then_bytes_then_text(tmp_path):
    def first(token, octets):
        content = [{"token": token, "logprob": -0.5, "bytes": octets, "top_logprobs": []}]
        return chat_with(logprobs={"content": content})

    docs = [
        first("\ufffd", [226, 130]),
        first("\ufffd", [240, 159]),
        first("yes", None),
        first("?", list(b"yes")),
        first("token_id:42", list(b"token_id:42")),
    ]
    transfer = read(tmp_path, docs)
    assert transfer.label_names == ("\\xe2\\x82", "\\xf0\\x9f", "yes", "token_id:42")
    assert list(transfer.sampled) == [0, 1, 2, 2, 3]


def test_tokens_with_the_same_text_and_different_ids_are_different(tmp_path):
    doc = FORMATS["sglang"](*RECORDS[0])
    doc["meta_info"]["output_top_logprobs"][0] = [[-1.0, 5, "yes"], [-2.0, 6, None]]
    transfer = read(tmp_path, [doc])
    assert transfer.label_names == ("yes (token 9891)", "yes (token 5)", "token_id:6")


def test_legacy_completions_with_echo(tmp_path):
    q, _, _, tops = RECORDS[0]
    doc = FORMATS["openai_completions"](*RECORDS[0])
    doc["choices"][0]["logprobs"] = {
        "tokens": ["Is it ", "raining?", "yes"],
        "token_logprobs": [None, -4.0, -0.25],
        "top_logprobs": [None, {"late": -1.0}, {**tops, "?": -3.0}],
        "text_offset": [0, 6, 14],
    }
    assert stated(read(tmp_path, [doc])) == [(q, "yes", {"yes": -0.25, "no": -1.75, "?": -3.0})]
    doc["choices"][0]["logprobs"]["text_offset"] = None
    assert read(tmp_path, [doc]).account.outcomes == {"malformed": 1}
    doc["usage"] = {"prompt_tokens": 2}
    assert stated(read(tmp_path, [doc]))[0][1] == "yes"


def test_k_plus_one_entries_and_lists_of_unequal_length(tmp_path):
    doc = FORMATS["openai_completions"](*RECORDS[2])
    assert len(doc["choices"][0]["logprobs"]["top_logprobs"][0]) == 3
    assert len(stated(read(tmp_path, [doc]))[0][2]) == 3
    doc["choices"][0]["logprobs"]["token_logprobs"].pop()
    transfer = read(tmp_path, [doc])
    assert "2 tokens, 1 token_logprobs" in transfer.account.skipped[0][2]


def test_batch_of_every_kind_of_body(tmp_path):
    docs = []
    for name in ("openai_chat", "openai_responses", "openai_completions"):
        body = FORMATS[name](*RECORDS[0])
        docs.append(
            {
                "custom_id": name,
                "response": {"status_code": 200, "body": body.get("response", body)},
            }
        )
    docs.append(
        {"custom_id": "x", "response": None, "error": {"code": "expired", "message": "expired"}}
    )
    transfer = read(tmp_path, docs)
    assert transfer.account.outcomes == {"read": 3, "error": 1}
    assert transfer.input_names[0] == "openai_chat"
    assert all(record[1] == "yes" for record in stated(transfer))


def test_vllm_prompt_logprobs_state_probabilities_without_a_sampled_label(tmp_path):
    scored = {
        str(IDS["yes"]): {"logprob": -0.25, "rank": 1, "decoded_token": "yes"},
        "7": {"logprob": -2.0},
    }
    doc = {
        "prompt": "q",
        "prompt_logprobs": [None, {"3": {"logprob": -1.0}}, scored],
        "outputs": [],
    }
    transfer = read(tmp_path, [doc, {**doc, "prompt_logprobs": [None]}])
    assert stated(transfer) == [("q", None, {"yes": -0.25, "token_id:7": -2.0})]
    assert transfer.account.outcomes == {"read": 1, "no label": 1}
    choice = {
        "text": "x",
        "logprobs": None,
        "finish_reason": "length",
        "prompt_logprobs": doc["prompt_logprobs"],
    }
    assert stated(read(tmp_path, [{"prompt": "q", "choices": [choice]}])) == stated(
        read(tmp_path, [doc])
    )
    doc["prompt_logprobs"][-1] = {"token_id:42": -0.5, "43": -1.5}
    assert stated(read(tmp_path, [doc]))[0][2] == {"token_id:42": -0.5, "token_id:43": -1.5}


def test_an_answer_of_vllm_in_openais_format_is_one_of_openais(tmp_path):
    doc = openai_chat(*RECORDS[0])
    doc["response"]["prompt_logprobs"] = None
    doc["response"]["choices"][0]["logprobs"] = None
    transfer = read(tmp_path, [doc])
    assert transfer.account.format == "openai_chat"
    assert stated(transfer) == [("Is it raining?", "yes.", {})]


def test_llama_cpp_with_probabilities_in_place_of_logarithms(tmp_path):
    doc = FORMATS["llama_cpp"](*RECORDS[0])
    top = [{"id": 9891, "token": "yes", "prob": 0.75}, {"id": 1, "token": "x", "prob": 0.0}]
    doc["completion_probabilities"] = [
        {"id": 9891, "token": "yes", "bytes": [1], "prob": 0.75, "top_probs": top}
    ]
    entries = stated(read(tmp_path, [doc]))[0][2]
    assert entries["yes"] == pytest.approx(math.log(0.75))
    assert math.isnan(entries["x"])
    doc["completion_probabilities"] = [
        {"content": "yes", "probs": [{"tok_str": "yes", "prob": 0.5}]}
    ]
    assert stated(read(tmp_path, [doc]))[0] == ("Is it raining?", "yes", {"yes": math.log(0.5)})


def test_gemini_blocked_snake_case_and_certain_tokens(tmp_path):
    blocked = {
        "request": {"contents": "q"},
        "response": {"promptFeedback": {"blockReason": "SAFETY"}},
    }
    unsafe = FORMATS["gemini"](*RECORDS[0])
    unsafe["response"]["candidates"][0]["finishReason"] = "SAFETY"
    snake = {
        "contents": "q",
        "candidates": [
            {
                "finish_reason": "STOP",
                "logprobs_result": {
                    "chosen_candidates": [{"token": "yes", "token_id": 5}],
                    "top_candidates": [
                        {"candidates": [{"token": "no", "token_id": 6, "log_probability": -9.0}]}
                    ],
                },
            }
        ],
    }
    transfer = read(tmp_path, [snake, blocked, unsafe])
    assert stated(transfer) == [("q", "yes", {"yes": 0.0, "no": -9.0})]
    assert transfer.account.outcomes == {"read": 1, "refused": 2}


@pytest.mark.parametrize(
    "name", [name for name in FORMATS if name not in ("plain", "openai_batch")]
)
def test_other_sampling_is_refused_unless_told_so(name, tmp_path):
    doc = json.loads(
        json.dumps(FORMATS[name](*RECORDS[0]))
        .replace('"temperature": 1', '"temperature": 0.7;')
        .replace(";.0", "")
        .replace(";", "")
    )
    with pytest.raises(
        ValueError, match=r"1 of 1 record do not follow .*temperature = 0\.7 \(line 1\)"
    ):
        read(tmp_path, [doc])
    transfer = read(tmp_path, [doc], as_sampled=True)
    assert not transfer.faithful
    assert transfer.account.other_sampling == 1


def test_messages_and_named_fields_as_inputs(tmp_path):
    doc = openai_chat(*RECORDS[0])
    doc["request"]["messages"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi?"}]},
    ]
    doc["metadata"] = {"question": "q7"}
    assert read(tmp_path, [doc]).input_names == ("system: Be brief.\nuser: Hi?",)
    assert read(tmp_path, [doc], input="metadata.question").input_names == ("q7",)
    transfer = read(tmp_path, [doc], input="metadata.nothing")
    assert transfer.account.skipped == [(1, "malformed", "field 'metadata.nothing' is missing")]


def test_several_choices_of_one_request_are_several_records(tmp_path):
    doc = openai_chat(*RECORDS[0])
    doc["response"]["choices"] += openai_chat(*RECORDS[1])["response"]["choices"]
    doc["response"]["choices"].append(
        dict(doc["response"]["choices"][0], finish_reason="content_filter")
    )
    transfer = read(tmp_path, [doc])
    assert [record[1] for record in stated(transfer)] == ["yes", "no"]
    assert (transfer.account.lines, transfer.account.records) == (1, 2)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables(suffix, tmp_path):
    frame = pd.DataFrame(RECORDS, columns=["input", "label", "logprob", "top_logprobs"])
    path = tmp_path / f"records{suffix}"
    if suffix == ".csv":
        frame["top_logprobs"] = frame["top_logprobs"].map(json.dumps)
        frame.to_csv(path, index=False)
    else:
        frame["top_logprobs"] = frame["top_logprobs"].map(
            lambda tops: [{"label": label, "logprob": value} for label, value in tops.items()]
        )
        frame.to_parquet(path)
    transfer = TransferSet.read(path)
    assert stated(transfer) == [(q, a, {a: own, **tops}) for q, a, own, tops in RECORDS]


def test_bad_cells_of_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        'input,label,logprob\nq,yes,-0.5\nq,yes\n\nq,yes,abc\n,yes,-1\nq,,\nq,no,0.5\nq,no,\n"a\nb",no,-1\n'
    )
    transfer = TransferSet.read(path)
    assert transfer.account.outcomes == {"read": 3, "blank": 1, "malformed": 4, "no label": 1}
    assert "logprob = 'abc'" in transfer.account.skipped[2][2]
    path.write_text("ask,label\nq,yes\n")
    with pytest.raises(ValueError, match="column 'input' is missing"):
        TransferSet.read(path)


def test_hugging_face_arrays():
    logits = np.array([[2.0, 1.0, -np.inf], [0.0, 0.0, 0.0]])
    transfer = TransferSet.from_arrays(["a", "b"], [0, 2], logits=logits)
    entries = stated(transfer)
    assert entries[0][2]["0"] == pytest.approx(math.log(1 / (1 + math.exp(-1))))
    assert math.isnan(entries[0][2].get("2", math.nan))
    assert entries[1] == ("b", "2", {str(a): pytest.approx(math.log(1 / 3)) for a in range(3)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give sampled labels, logits or logprobs"),
        ({"sampled": [0]}, "sampled has 1 entries: inputs has 2"),
        ({"sampled": [0.5, 1.0]}, "must be whole numbers"),
        ({"sampled": [-1, 0]}, "codes 0 to"),
        ({"sampled": [[0], [1]]}, "must be whole numbers"),
        ({"logits": [[0.0, 1.0]] * 2, "labels": ["yes"]}, "labels has 1 names"),
        ({"logits": [[0.0, 1.0]]}, "logits has 1 entries"),
        ({"logits": [[-np.inf], [0.0]]}, "with a finite one in each row"),
        ({"logits": [[np.inf], [0.0]]}, "with a finite one in each row"),
        ({"logprobs": [[0.5], [0.0]]}, "0.5 is above 0"),
        ({"logits": [[np.nan], [0.0]]}, "entries must be numbers"),
        ({"logits": [0.0, 1.0]}, "must have 2 axes"),
        ({"logits": [[0.0], [1.0]], "logprobs": [[0.0], [0.0]]}, "not both"),
    ],
)
def test_bad_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransferSet.from_arrays(["a", "b"], **arguments)
