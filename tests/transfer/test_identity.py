"""What tells inputs apart, and how many draws a record holds."""

from __future__ import annotations

import json

import pytest

from kt_theory.transfer.sets import TransferSet


def read(tmp_path, *docs, **options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return TransferSet.read(path, **options)


def records(transfer):
    """The input and the label of each record."""
    pairs = zip(transfer.inputs, transfer.sampled, strict=True)
    return [(transfer.input_names[s], transfer.label_names[a]) for s, a in pairs]


def chat(label, **more):
    body = {"object": "chat.completion", "model": "m"}
    return {
        **body,
        "choices": [{"index": 0, "message": {"content": label}, "finish_reason": "stop"}],
        **more,
    }


def sglang(label, name, reason="length"):
    return {"text": label, "meta_info": {"id": name, "finish_reason": reason and {"type": reason}}}


def gemini(label, **more):
    return {
        "candidates": [{"content": {"parts": [{"text": label}]}, "finishReason": "STOP"}],
        **more,
    }


def ollama(label, **more):
    return {"model": "l", "response": label, "done": True, "done_reason": "stop", **more}


def legacy(*labels, **more):
    choices = [
        {"index": i, "text": label, "finish_reason": "stop"} for i, label in enumerate(labels)
    ]
    return {"object": "text_completion", "choices": choices, **more}


@pytest.mark.parametrize(
    ("request_", "answers"),
    [
        ({"text": "q"}, [sglang("Yes", "a"), sglang("No", "b")]),
        ({"text": "q"}, [sglang("Yes", ""), sglang("No", "")]),
        ({"contents": "q"}, [gemini("Yes"), gemini("No")]),
        ({"contents": "q"}, [gemini("Yes", responseId="a"), gemini("No", responseId="b")]),
        ({"messages": [{"role": "user", "content": "q"}]}, [chat("Yes"), chat("No")]),
        ({"inputs": "q"}, [{"generated_text": "Yes"}, {"generated_text": "No"}]),
        ({"prompt": "q"}, [ollama("Yes"), ollama("No")]),
        ({"prompt": "q"}, [legacy("Yes"), legacy("No")]),
    ],
)
@pytest.mark.parametrize("form", ["list", "text", "body"])
def test_whole_answers_in_a_list_are_several_draws(form, request_, answers, tmp_path):
    response = {
        "list": answers,
        "text": json.dumps(answers),
        "body": {"status_code": 200, "body": answers},
    }[form]
    transfer = read(tmp_path, {"request": request_, "response": response})
    assert records(transfer) == [("q", "Yes"), ("q", "No")]


def test_pieces_in_a_list_are_joined_by_their_id(tmp_path):
    pieces = [
        sglang("Ye", "a", None),
        sglang("No", "b", None),
        sglang("Yes", "a"),
        sglang("Nope", "b"),
    ]
    transfer = read(tmp_path, {"request": {"text": "q"}, "response": pieces})
    assert records(transfer) == [("q", "Yes"), ("q", "Nope")]
    pieces = [gemini("Y", responseId="a"), gemini("es", responseId="a")]
    assert records(read(tmp_path, {"request": {"contents": "q"}, "response": pieces})) == [
        ("q", "Yes")
    ]
    pieces = [
        ollama(text, done=done)
        for text, done in (("Y", False), ("es", True), ("N", False), ("o", True))
    ]
    assert records(read(tmp_path, {"request": {"prompt": "q"}, "response": pieces})) == [
        ("q", "Yes"),
        ("q", "No"),
    ]


def test_of_draws_in_a_list_those_that_are_answers_count(tmp_path):
    blocked = {"candidates": [{"finishReason": "SAFETY"}]}
    doc = {"request": {"contents": "q"}, "response": [gemini("Yes"), blocked]}
    assert records(read(tmp_path, doc)) == [("q", "Yes")]
    transfer = read(tmp_path, doc, {**doc, "response": [blocked, blocked]})
    assert transfer.account.outcomes == {"read": 1, "refused": 1}


@pytest.mark.parametrize("prompts", [["q", "r"], [[1], [2]]])
def test_each_choice_belongs_to_its_prompt(prompts, tmp_path):
    request = {"prompt": prompts, "n": 2}
    body = legacy("a", "b", "c", "d")
    body["choices"].reverse()
    names = [prompt if isinstance(prompt, str) else json.dumps(prompt) for prompt in prompts]
    q, r = names
    transfer = read(tmp_path, {"request": request, "response": body})
    assert sorted(records(transfer)) == sorted([(q, "a"), (q, "b"), (r, "c"), (r, "d")])
    assert sorted(records(read(tmp_path, {"prompt": prompts, **body}))) == sorted(records(transfer))


def test_each_answer_of_a_list_belongs_to_its_prompt(tmp_path):
    doc = {"request": {"text": ["q", "r"]}, "response": [sglang("Yes", "a"), sglang("No", "b")]}
    assert records(read(tmp_path, doc)) == [("q", "Yes"), ("r", "No")]


@pytest.mark.parametrize(
    ("labels", "indices", "why"),
    [(("a", "b", "c"), (0, 1, 2), "2 prompts, 3 answers"), (("a", "b"), (0, 0), "needs its own")],
)
def test_choices_that_belong_to_no_prompt_are_malformed(labels, indices, why, tmp_path):
    body = legacy(*labels)
    for choice, index in zip(body["choices"], indices, strict=True):
        choice["index"] = index
    (skip,) = read(tmp_path, {"request": {"prompt": ["q", "r"]}, "response": body}).account.skipped
    assert skip[1] == "malformed"
    assert why in skip[2]


TURNS = [{"role": "user", "content": "q"}]
STORED = [{"id": "p", "variables": {"x": x}} for x in ("1", "2")]


@pytest.mark.parametrize(
    "doc",
    [
        {"request": {"messages": TURNS, "prompt": "name"}, "response": chat("a")},
        {"request": {"messages": TURNS}, "prompt": "name", "response": chat("a")},
        {"request": {"contents": "q"}, "prompt": "name", "response": gemini("a")},
        {"prompt": "q", "context": [1, 2], **ollama("a")},
        {
            "request": {"messages": TURNS},
            "response": chat("a", reasoning={"effort": "high"}, context=[1]),
        },
    ],
)
def test_a_plain_question_is_named_by_its_text(doc, tmp_path):
    assert records(read(tmp_path, doc)) == [("q", "a")]


def responses(**more):
    message = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
    return {"status": "completed", "output": [message], **more}


@pytest.mark.parametrize(
    ("name", "one", "other", "asked", "body"),
    [
        ("suffix", "x", "y", {"prompt": "q"}, legacy("a")),
        ("images", ["x"], ["y"], {"prompt": "q"}, ollama("a")),
        ("template", "x", "y", {"prompt": "q"}, ollama("a")),
        ("context", [1], [2], {"prompt": "q"}, ollama("a")),
        ("think", False, True, {"prompt": "q"}, ollama("a")),
        ("image_data", [{"data": "x"}], [{"data": "y"}], {"prompt": "q"}, legacy("a")),
        ("multi_modal_data", {"image": "x"}, {"image": "y"}, {"prompt": "q"}, legacy("a")),
        ("cachedContent", "x", "y", {"contents": "q"}, gemini("a")),
        ("generationConfig", {"thinkingConfig": {"thinkingBudget": 1}}, {}, {"contents": "q"}, gemini("a")),
        ("chat_template", "x", "y", {"messages": TURNS}, chat("a")),
        ("chat_template_kwargs", {"l": "x"}, {"l": "y"}, {"messages": TURNS}, chat("a")),
        ("extra_body", {"chat_template": "x"}, {"chat_template": "y"}, {"messages": TURNS}, chat("a")),
        ("reasoning_effort", "low", "high", {"messages": TURNS}, chat("a")),
        ("thinking", {"type": "enabled"}, {"type": "disabled"}, {"messages": TURNS}, chat("a")),
        ("reasoning", {"effort": "low"}, {"effort": "high"}, {"input": "q"}, responses()),
        ("prompt", STORED[0], STORED[1], {"input": "q"}, responses()),
        ("prompt", STORED[0], STORED[1], {}, responses()),
        ("conversation", "x", "y", {"input": "q"}, responses()),
        ("previous_response_id", "x", None, {"input": "q"}, responses()),
    ],
)  # fmt: skip
def test_what_a_request_adds_is_part_of_the_input(name, one, other, asked, body, tmp_path):
    docs = [{"request": {**asked, name: value}, "response": body} for value in (one, other, one)]
    transfer = read(tmp_path, *docs)
    assert transfer.inputs.tolist() == [0, 1, 0]
    assert all("q" in name or not asked for name in transfer.input_names)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("name", "bob", "eve"),
        ("images", ["x"], ["y"]),
        ("audio", {"id": "x"}, {"id": "y"}),
        ("reasoning_content", "x" * 100, "y" * 100),
        ("function_call", {"name": "f", "arguments": "0"}, {"name": "f", "arguments": "1"}),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_what_a_message_holds_beside_its_text_is_part_of_the_input(
    alone, name, one, other, tmp_path
):
    turns = [[{"role": "user", "content": "q", name: value}] for value in (one, other, one, None)]
    docs = [
        {"request": {"messages": turn if alone else turn + TURNS}, "response": chat("a")}
        for turn in turns
    ]
    transfer = read(tmp_path, *docs)
    assert transfer.inputs.tolist() == [0, 1, 0, 2]
    assert max(map(len, transfer.input_names)) < 80


def test_an_echo_ends_behind_the_prompt_whatever_else_was_asked(tmp_path):
    logprobs = {
        "tokens": ["q", "a"],
        "token_logprobs": [None, -0.5],
        "top_logprobs": [None, {"a": -0.5}],
    }
    body = legacy("qa")
    body["choices"][0]["logprobs"] = {**logprobs, "text_offset": [0, 1]}
    transfer = read(
        tmp_path, {"request": {"prompt": "q", "suffix": "s", "echo": True}, "response": body}
    )
    assert records(transfer) == [("suffix: s\nq", "a")]


def test_text_and_tokens_must_begin_alike(tmp_path):
    def stated(text, token):
        doc = chat(text)
        doc["choices"][0]["logprobs"] = {
            "content": [{"token": token, "logprob": -0.1, "top_logprobs": []}]
        }
        return {"request": {"messages": TURNS}, "response": doc}

    alike = [
        ("Yes", "\u2581Yes"),
        ("yes", " Yes"),
        ("", "Yes"),
        ("\u00e9", "x"),
        ("Yes", "token_id:7"),
        ("Y", "\u0120Y"),
    ]
    assert len(read(tmp_path, *[stated(*pair) for pair in alike])) == len(alike)
    ((_, outcome, why),) = read(tmp_path, stated("Yes", "Yes"), stated("No", "Yes")).account.skipped
    assert (outcome, why) == ("malformed", "the text begins with 'No', its tokens with 'Yes'")


def test_texts_that_were_cut_off_are_counted_once(tmp_path):
    cut = chat("Yes it is bec")
    cut["choices"][0]["finish_reason"] = "length"
    docs = [{"request": {"messages": TURNS}, "response": body} for body in (cut, chat("Yes"), cut)]
    found = "answers were cut off (finish_reason length): their texts are labels as cut"
    assert read(tmp_path, *docs, label="text").account.notes == [f"2 {found}"]
    assert read(tmp_path, *docs).account.notes == []


def test_a_call_after_text_is_no_label(tmp_path):
    call = gemini("Let me")
    call["candidates"][0]["content"]["parts"].append({"functionCall": {"name": "f"}})
    docs = [{"request": {"contents": "q"}, "response": body} for body in (gemini("a"), call)]
    assert read(tmp_path, *docs).account.outcomes == {"read": 1, "no label": 1}


def azure(**more):
    return {"id": "", "object": "", "created": 0, "model": "", **more}


def chunk(delta, reason=None, **more):
    choices = [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
    return {"id": "c0", "object": "chat.completion.chunk", "choices": choices, **more}


def test_lines_without_choices_do_not_stop_a_stream(tmp_path):
    filtered = {
        "index": 0,
        "finish_reason": None,
        "content_filter_results": {},
        "content_filter_offsets": {},
    }
    docs = [
        azure(choices=[], prompt_filter_results=[]),
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Yes"}),
        azure(choices=[filtered]),
        chunk({}, "stop"),
        chunk({}, choices=[], usage={"completion_tokens": 1}),
        chunk({}, choices=[], id="c1", usage={"completion_tokens": 1}),
    ]
    docs = [{**doc, "custom_id": "q"} for doc in docs]
    transfer = read(tmp_path, *docs, on_error="raise")
    assert records(transfer) == [("q", "Yes")]
    assert transfer.account.outcomes == {"read": 4, "blank": 3}
    whole = [{"messages": TURNS, **chat("Yes")}, {"messages": TURNS, **chat("a", choices=[])}]
    assert read(tmp_path, *whole).account.outcomes == {"read": 1, "no label": 1}


@pytest.mark.parametrize("text", ["", None])
def test_an_answer_without_a_text_has_no_text_for_a_label(text, tmp_path):
    body = chat(text)
    body["choices"][0]["logprobs"] = {"content": [{"token": "Yes", "logprob": -0.5}]}
    doc = {"request": {"prompt": "q"}, "response": body}
    assert read(tmp_path, doc, label="text").account.skipped == [
        (1, "no label", "the response holds no text")
    ]
    assert records(read(tmp_path, doc)) == [("q", "Yes")]
