"""Reasoning as servers, requests and plain records state it."""

from __future__ import annotations

import json

import pytest

import kt_theory as kt
from kt_theory.transfer.sets import TransferSet


def read(tmp_path, text, name="a.jsonl", **options):
    path = tmp_path / name
    path.write_text(
        text if isinstance(text, str) else "".join(json.dumps(doc) + "\n" for doc in text)
    )
    return TransferSet.read(path, **options)


def labels(transfer):
    return [transfer.label_names[a] for a in transfer.sampled]


def chat(content="Yes", usage=None, message=(), request=()):
    tokens = [{"token": content, "logprob": -0.1, "top_logprobs": []}]
    choice = {
        "message": {"content": content, **dict(message)},
        "logprobs": {"content": tokens},
        "finish_reason": "stop",
    }
    asked = {"messages": [{"role": "user", "content": "q"}], **dict(request)}
    return {
        "request": asked,
        "response": {"object": "chat.completion", "choices": [choice], "usage": usage},
    }


@pytest.mark.parametrize(
    ("doc", "reasoned"),
    [
        (chat(message={"reasoning_details": [{"type": "reasoning.encrypted"}]}), 1),
        (chat(message={"reasoning_details": []}), 0),
        (chat(message={"thinking_blocks": [{"thinking": "x"}]}), 1),
        (chat(message={"provider_specific_fields": {"reasoning_content": "x"}}), 1),
        (chat(message={"provider_specific_fields": {"reasoning_content": None}}), 0),
        (
            chat(
                usage={
                    "num_reasoning_tokens": 3,
                    "completion_tokens_details": {"reasoning_tokens": 0},
                }
            ),
            1,
        ),
        (chat(usage={"num_reasoning_tokens": 0}), 0),
        (chat(request={"extra_body": {"enable_thinking": True}}), 1),
        (chat(request={"reasoning": {"max_tokens": 100}}), 1),
        (chat(request={"reasoning": {"enabled": False}}), 0),
    ],
)
def test_reasoning_beside_the_answer(doc, reasoned, tmp_path):
    transfer = read(tmp_path, [doc])
    assert (labels(transfer), transfer.account.reasoned) == (["Yes"], reasoned)
    assert len(transfer.entry_logp) == 1 - reasoned


@pytest.mark.parametrize(
    ("config", "usage", "reasoned"),
    [
        ({"thinkingBudget": 1024}, {"promptTokenCount": 1}, 1),
        ({"thinkingBudget": -1}, None, 1),
        ({"thinkingBudget": 0}, None, 0),
        ({"thinkingLevel": "high"}, None, 1),
        ({"thinkingBudget": 1024}, {"thoughtsTokenCount": 0}, 0),
        ({"includeThoughts": False}, None, 0),
    ],
)
def test_thinking_that_was_asked_of_gemini(config, usage, reasoned, tmp_path):
    listed = {"chosenCandidates": [{"token": "Yes", "logProbability": -0.1}]}
    candidate = {
        "content": {"parts": [{"text": "Yes"}]},
        "finishReason": "STOP",
        "logprobsResult": listed,
    }
    response = {"candidates": [candidate], "usageMetadata": usage}
    for name in ("generationConfig", "config"):
        transfer = read(
            tmp_path,
            [
                {
                    "request": {"contents": "q", name: {"thinkingConfig": config}},
                    "response": response,
                }
            ],
        )
        assert transfer.account.reasoned == reasoned


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<THINK>", "</THINK>"),
        ("<Thinking>", "</Thinking>"),
        ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
        ("<scratchpad>", "</scratchpad>"),
        ("<reasoning>", "</reasoning>"),
    ],
)
def test_markers_have_no_case(opening, closing, tmp_path):
    tokens = [opening, "No, or", closing, "Yes"]
    doc = chat("".join(tokens))
    (choice,) = doc["response"]["choices"]
    choice["logprobs"]["content"] = [
        {"token": token, "logprob": -0.1, "top_logprobs": []} for token in tokens
    ]
    transfer = read(tmp_path, [doc, chat(f"{opening}No, or")])
    assert (labels(transfer), transfer.account.reasoned) == (["Yes"], 1)
    assert transfer.account.outcomes == {"read": 1, "no label": 1}
    plain = [
        {"input": "q", "label": "".join(tokens), "logprob": -0.5},
        {"input": "q", "label": "Yes", "logprob": -0.5},
    ]
    for text, name in (
        (plain, "a.jsonl"),
        (f"input,label,logprob\nq,{opening}hm{closing}Yes,-1\nq,Yes,-1\n", "a.csv"),
    ):
        transfer = read(tmp_path, text, name)
        assert (labels(transfer), transfer.account.reasoned, len(transfer.entry_logp)) == (
            ["Yes", "Yes"],
            1,
            1,
        )


@pytest.mark.parametrize(
    "name", ["reasoning", "Rationale", "thought", "chain_of_thought", "cot", "thinking"]
)
def test_plain_reasoning_beside_a_label(name, tmp_path):
    docs = [
        {"input": "q", "label": "a", "logprob": -0.5, name: value}
        for value in ("hm", "", None, " ")
    ]
    rows = f"input,label,logprob,{name}\nq,a,-0.5,hm\nq,a,-0.5,\n"
    for text, file in ((docs, "a.jsonl"), (rows, "a.csv")):
        transfer = read(tmp_path, text, file)
        assert transfer.account.reasoned == 1
        assert len(transfer.entry_logp) == len(transfer) - 1
    assert read(tmp_path, docs, label=name).account.reasoned == 0


def test_plain_probabilities_after_reasoning_without_a_label_are_no_record(tmp_path):
    docs = [
        {"input": "q", "label": "a"},
        {"input": "q", "top_logprobs": {"a": -0.5}, "reasoning": "x"},
    ]
    assert read(tmp_path, docs).account.outcomes == {"read": 1, "no label": 1}


@pytest.mark.parametrize("name", ["context", "passage"])
def test_a_context_is_part_of_the_input(name, tmp_path):
    transfer = read(tmp_path, f"question,{name},answer\nq,x,a\nq,y,b\n", "a.csv")
    assert transfer.input_names == (f"{name}: x\nq", f"{name}: y\nq")
    assert (
        transfer.account.notes[-1]
        == f"'{name}' is part of the input: input=... names a field that is all of it"
    )


@pytest.mark.parametrize("name", ["prediction", "answer"])
def test_a_further_column_like_a_label_is_named(name, tmp_path):
    transfer = read(tmp_path, [{"input": "q", "label": "a", name: "b"}])
    assert transfer.account.notes == [
        f"'{name}' is not the label: label=... names it in place of 'label'"
    ]
    assert (
        read(tmp_path, [{"input": "q", "label": "a", name: "b"}], label="label").account.notes == []
    )


def test_a_log_probability_that_no_record_has_is_refused(tmp_path):
    docs = [{"input": "q", "label": "a", "p": None}, {"input": "q", "label": "a"}]
    ((line, outcome, why),) = read(tmp_path, docs, logprob="p").account.skipped
    assert (line, outcome, why) == (2, "malformed", "field 'p' is missing")
    with pytest.raises(ValueError, match="nope"):
        read(tmp_path, docs, logprob="nope", on_error="raise")


HIDES = {
    "chat": (chat(usage={"completion_tokens": 200}), 1),
    "a count of 0 is stated": (chat(usage={"completion_tokens": 200, "reasoning_tokens": 0}), 0),
    "few more": (chat(usage={"completion_tokens": 17}), 0),
    "a long text of which one token is listed": (chat(usage={"completion_tokens": 200}), 0),
    "all tokens listed": (chat(usage={"completion_tokens": 101}), 0),
    "all tokens listed, and more counted": (chat(usage={"completion_tokens": 150}), 1),
    "nothing stated": (chat(usage={"completion_tokens": 200}), 0),
}
for _name in list(HIDES)[3:]:
    _choice = HIDES[_name][0]["response"]["choices"][0]
    _choice["message"]["content"] = (
        "Yes" + " and so on" * 33 if _name != "nothing stated" else "Yes"
    )
    _choice["logprobs"]["content"] = [{"token": "Yes", "logprob": -0.1}]
    if "all" in _name:
        _choice["logprobs"]["content"] += [
            {"token": f" {word}", "logprob": -0.1} for word in ("and", "so", "on") * 33
        ]
    if _name == "nothing stated":
        _choice["logprobs"] = None


@pytest.mark.parametrize(("doc", "unshown"), HIDES.values(), ids=HIDES)
def test_more_tokens_counted_than_shown(doc, unshown, tmp_path):
    transfer = read(tmp_path, [doc])
    account = transfer.account
    assert account.unshown == unshown
    assert (
        any(
            "1 answer counts far more tokens than it shows" in warning
            for warning in account.warnings
        )
        == unshown
    )
    said = "no reasoning came before the 1 answer that counts more tokens than it shows"
    assert (said in kt.fit(transfer).certificate().assumptions) == unshown


def of_gemini(usage):
    listed = {"chosenCandidates": [{"token": "Yes", "logProbability": -0.1}]}
    candidate = {
        "content": {"parts": [{"text": "Yes"}]},
        "finishReason": "STOP",
        "logprobsResult": listed,
    }
    return {
        "request": {"contents": "q"},
        "response": {"candidates": [candidate], "usageMetadata": usage},
    }


def of_server(count):
    """The same answer of servers that count its tokens, each under a name of its own."""
    token = {"token": "Yes", "logprob": -0.1, "top_logprobs": []}
    part = {"type": "output_text", "text": "Yes", "logprobs": [token]}
    message = {"type": "message", "content": [part]}
    legacy = {"tokens": ["Yes"], "token_logprobs": [-0.1], "top_logprobs": None}
    meta = {
        "finish_reason": {"type": "stop"},
        "output_token_logprobs": [[-0.1, 5, "Yes"]],
        "completion_tokens": count,
    }
    llama = {"content": "Yes", "completion_probabilities": [token], "tokens_predicted": count}
    choice = {"message": {"content": "Yes"}, "logprobs": {"content": [token]}}
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
    return [
        {"prompt": "q", "choices": [{"text": "Yes", "logprobs": legacy}], "usage": usage},
        {"prompt": "q", "response": {"output": [message], "usage": {"output_tokens": count}}},
        {"prompt": "q", "text": "Yes", "meta_info": meta},
        {"prompt": "q", "generation_settings": {}, **llama},
        {
            "prompt": "q",
            "message": {"content": "Yes"},
            "done": True,
            "logprobs": [token],
            "eval_count": count,
        },
        {"input": "q", "output": {"choices": [choice], "usage": {"output_tokens": count}}},
        of_gemini({"candidatesTokenCount": count}),
        of_gemini({"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 3 + count}),
    ]


@pytest.mark.parametrize("which", range(8))
def test_more_tokens_counted_than_shown_by_other_servers(which, tmp_path):
    for count, unshown in ((1, 0), (200, 1)):
        assert read(tmp_path, [of_server(count)[which]]).account.unshown == unshown
