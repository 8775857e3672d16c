"""Reasoning: the label is what follows it, and what is stated of the label then is not the teacher's probability."""

from __future__ import annotations

import json

import pytest
from transfer_cases import FORMATS, RECORDS, stated

from kt_theory.transfer.read.reasoning import start_of_answer
from kt_theory.transfer.sets import TransferSet

ASKED = {"messages": [{"role": "user", "content": "q"}], "temperature": 1}


def read(tmp_path, *docs, **options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return TransferSet.read(path, **options)


def chat(content, tokens=None, usage=None, request=ASKED, **message):
    listed = None
    if tokens is not None:
        listed = {
            "content": [
                {"token": t, "logprob": -0.5, "top_logprobs": [{"token": t, "logprob": -0.5}]}
                for t in tokens
            ]
        }
    choice = {
        "finish_reason": "stop",
        "message": {"content": content, **message},
        "logprobs": listed,
    }
    return {
        "request": request,
        "response": {"object": "chat.completion", "choices": [choice], "usage": usage},
    }


FORMS = {
    "<think>": "<think>Hm. No?</think>\n\nYes.",
    "the opening in the template": "Hm. No?</think>\n\nYes.",
    "<thinking>": "<thinking>Hm.</thinking>Yes.",
    "nothing thought": "<think>\n\n</think>\n\nYes.",
    "twice": "<think>Hm.</think>\n<think>No?</think> Yes.",
    "[THINK]": "[THINK]Hm.[/THINK]Yes.",
    "of thought": "<|begin_of_thought|>Hm.<|end_of_thought|>\n<|begin_of_solution|>Yes.<|end_of_solution|>",
    "<answer>": "<think>Hm.</think><answer>Yes.</answer>",
    "channels": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
    "channel of a form": "<|channel|>analysis<|message|>Hm.<|end|><|channel|>final <|constrain|>text<|message|>Yes.",
    "channels without marks": "analysisHm.assistantfinalYes.",
}


def pieces(text):
    """A text as tokens: the markers whole, the answer as `Yes` and `.`."""
    import re

    return re.findall(r"<\|?/?\w+\|?>|\[/?THINK\]|assistantfinal|Yes|\n\n|.", text, re.DOTALL)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("listed", [True, False])
def test_the_label_is_the_first_token_after_reasoning(form, listed, tmp_path):
    doc = chat(FORMS[form], pieces(FORMS[form]) if listed else None)
    transfer = read(tmp_path, doc)
    assert stated(transfer) == [("q", "Yes" if listed else "Yes.", {})]
    assert transfer.account.reasoned == 1
    assert "its label alone counts" in repr(transfer.account)
    text = read(tmp_path, doc, label="text")
    assert stated(text) == [("q", "Yes.", {})]
    assert text.account.reasoned == 1


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("Yes.", ["<think>", "Hm", "</think>", "\n\n", "Yes", "."]),
        ("Yes.", ["Hm", ".", "</think>", "Yes", "."]),
        ("Yes.", ["Yes", "."]),
        ("Yes.", ["Hm", ". ", "Yes", "."]),
        ("\n\nYes.", ["\n\n", "Yes", "."]),
    ],
)
def test_reasoning_in_a_field_of_its_own(content, tokens, tmp_path):
    for name in ("reasoning_content", "reasoning"):
        doc = chat(content, tokens, **{name: "Hm."})
        assert stated(read(tmp_path, doc)) == [("q", "Yes", {})]
        assert stated(read(tmp_path, doc, label="text")) == [("q", "Yes.", {})]


def test_reasoning_that_the_server_took_away_is_found_in_the_tokens(tmp_path):
    doc = chat("Yes.", ["<think>", "Hm", "</think>", "Yes", "."])
    transfer = read(tmp_path, doc)
    assert stated(transfer) == [("q", "Yes", {})]
    assert transfer.account.reasoned == 1


@pytest.mark.parametrize(
    "tokens",
    [["<think>", "x"], ["x", "y"], ["Hm", "</think>Yes", "."]],
    ids=["cut off", "elsewhere", "in one token"],
)
def test_where_the_answers_tokens_are_not_found_its_text_is_the_label(tokens, tmp_path):
    transfer = read(tmp_path, chat("Yes.", tokens, reasoning_content="x"))
    assert stated(transfer) == [("q", "Yes.", {})]
    assert transfer.account.reasoned == 1


@pytest.mark.parametrize(
    "doc",
    [
        chat("<think>Hm.", ["<think>", "Hm", "."]),
        chat("<think>Hm.</think>", ["<think>", "Hm", "</think>"]),
        chat("", ["Hm", "."], reasoning_content="Hm."),
        chat(None, None, reasoning_content="Hm."),
        chat("<|channel|>analysis<|message|>Hm.", ["<|channel|>", "analysis"]),
    ],
)
def test_reasoning_without_an_answer_is_no_label(doc, tmp_path):
    for label in ("first_token", "text"):
        account = read(tmp_path, doc, label=label).account
        assert account.outcomes == {"no label": 1}
        assert "reasoning" in account.skipped[0][2]


@pytest.mark.parametrize(
    ("usage", "reasoned"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 64}}, 1),
        ({"output_tokens_details": {"reasoning_tokens": 64}}, 1),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, 0),
        ({"completion_tokens": 2}, 0),
        (None, 0),
    ],
)
def test_hidden_reasoning_shows_in_the_usage(usage, reasoned, tmp_path):
    transfer = read(tmp_path, chat("Yes.", ["Yes", "."], usage))
    assert transfer.account.reasoned == reasoned
    assert stated(transfer) == [("q", "Yes", {} if reasoned else {"Yes": -0.5})]


@pytest.mark.parametrize(
    ("setting", "reasoned"),
    [
        ({"reasoning_effort": "high"}, 1),
        ({"reasoning_effort": "none"}, 0),
        ({"thinking": {"type": "enabled"}}, 1),
        ({"thinking": {"type": "disabled"}}, 0),
        ({"chat_template_kwargs": {"enable_thinking": True}}, 1),
        ({"chat_template_kwargs": {"enable_thinking": False}}, 0),
        ({"body": {"reasoning_effort": "low"}}, 1),
    ],
)
def test_reasoning_that_was_asked_for_counts_where_the_usage_is_silent(setting, reasoned, tmp_path):
    request = {**ASKED, **setting}
    assert read(tmp_path, chat("Yes.", ["Yes", "."], request=request)).account.reasoned == reasoned
    nothing = {"completion_tokens_details": {"reasoning_tokens": 0}}
    assert (
        read(tmp_path, chat("Yes.", ["Yes", "."], nothing, request=request)).account.reasoned == 0
    )


def test_an_answer_that_speaks_of_thinking_is_an_answer(tmp_path):
    for text in ("I think so.", "thought", "<|x|>", "analysis"):
        transfer = read(tmp_path, chat(text, [text]))
        assert stated(transfer) == [("q", text, {text: -0.5})]
        assert transfer.account.reasoned == 0


def responses(*items, usage=None):
    body = {"object": "response", "status": "completed", "output": list(items), "usage": usage}
    return {"request": {"input": "q"}, "response": body}


def said(text):
    part = {
        "type": "output_text",
        "text": text,
        "logprobs": [{"token": text, "logprob": -0.5, "top_logprobs": []}],
    }
    return {"type": "message", "role": "assistant", "content": [part]}


THOUGHT = {"type": "reasoning", "summary": []}


@pytest.mark.parametrize(
    ("doc", "label", "reasoned"),
    [
        (responses(said("Yes")), "Yes", 0),
        (responses(THOUGHT, said("Yes")), "Yes", 1),
        (
            responses(
                THOUGHT, said("Yes"), usage={"output_tokens_details": {"reasoning_tokens": 0}}
            ),
            "Yes",
            0,
        ),
        (responses(said("Let me see."), said("Yes")), "Yes", 1),
        (responses({"type": "web_search_call", "id": "w"}, said("Yes")), "Yes", 1),
    ],
)
def test_of_several_items_of_responses_the_last_message_is_the_answer(
    doc, label, reasoned, tmp_path
):
    transfer = read(tmp_path, doc)
    assert stated(transfer) == [("q", label, {} if reasoned else {label: -0.5})]
    assert transfer.account.reasoned == reasoned


def test_a_call_after_the_last_message_is_the_answer(tmp_path):
    doc = responses(said("Let me see."), {"type": "function_call", "name": "f", "arguments": "{}"})
    assert read(tmp_path, doc).account.outcomes == {"no label": 1}


def test_thoughts_of_gemini_are_no_answer(tmp_path):
    doc = FORMATS["gemini"](*RECORDS[0])
    parts = doc["response"]["candidates"][0]["content"]["parts"]
    parts.insert(0, {"text": "Hm.", "thought": True})
    assert stated(read(tmp_path, doc)) == [("Is it raining?", "yes", {})]
    assert stated(read(tmp_path, doc, label="text")) == [("Is it raining?", "yes.", {})]
    del parts[0]
    doc["response"]["usageMetadata"] = {"thoughtsTokenCount": 30}
    assert read(tmp_path, doc).account.reasoned == 1
    doc["response"]["usageMetadata"] = {"thoughtsTokenCount": 0}
    assert read(tmp_path, doc).account.reasoned == 0


@pytest.mark.parametrize(
    "name",
    [
        "openai_completions",
        "vllm",
        "sglang",
        "llama_cpp",
        "tgi",
        "ollama",
        "inspect",
        "openai_batch",
    ],
)
def test_markers_of_reasoning_in_every_format(name, tmp_path):
    """The tokens of <think>x</think>yes in place of the answer's."""
    q, _, own, _ = RECORDS[0]
    texts = ["<think>", "x", "</think>", "\n", "yes"]
    doc = json.dumps(FORMATS[name](q, "yes", own, {"yes": own})).replace(
        '"yes."', json.dumps("".join(texts))
    )
    doc = json.loads(doc)

    def grow(node):
        """Repeat the first entry of each list of tokens with the other texts before it."""
        if isinstance(node, dict):
            return {key: grow(value) for key, value in node.items()}
        if not isinstance(node, list) or len(node) != 2 or "yes" not in json.dumps(node[0]):
            return [grow(value) for value in node] if isinstance(node, list) else node
        if not isinstance(node[0], (dict, list, str)) or "role" in node[0]:
            return node
        return [
            json.loads(json.dumps(node[0]).replace('"yes"', json.dumps(text))) for text in texts
        ]

    doc = grow(doc)
    body = json.loads(json.dumps(doc))
    if name == "openai_completions":
        body["choices"][0]["logprobs"].update(token_logprobs=[own] * 5, text_offset=[0] * 5)
    if name == "vllm":
        output = body["outputs"][0]
        ids = [9001, 9002, 9003, 9004, 9891]
        output["token_ids"] = ids
        output["logprobs"] = [
            {str(i): {"logprob": own, "decoded_token": t}} for i, t in zip(ids, texts, strict=True)
        ]
    if name in ("sglang", "llama_cpp", "tgi", "openai_batch", "ollama", "inspect"):
        body = json.loads(json.dumps(body).replace('"bytes": [121, 101, 115]', '"bytes": null'))
    transfer = read(tmp_path, body)
    assert [record[1:] for record in stated(transfer)] == [("yes", {})]
    assert transfer.account.reasoned == 1


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", 0),
        ("Yes", 0),
        ("<think>", -1),
        ("<think>a</think>b", 16),
        ("a</think>b", 9),
        ("a <think> b", 0),
    ],
)
def test_where_an_answer_begins(text, start):
    assert start_of_answer(text) == start
