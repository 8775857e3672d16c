"""How labels were drawn: every setting that changes the draw is found wherever it stands, and refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from together import together
from transfer_cases import draw

import kt_theory as kt
from kt_theory import students
from kt_theory.transfer.account import Account
from kt_theory.transfer.fit import fit
from kt_theory.transfer.read.sampling import NOTHING_SAID, origin_of
from kt_theory.transfer.sets import TransferSet

CHANGES = {
    "temperature": [0, 0.7, 2, "0", "0.7", "zero", [0], False, {"value": 0}],
    "top_p": [0.9, "0.9", "0,9", "50%"],
    "cache_hit": [True],
    "topP": [0.9],
    "TOP_K": [1, 40, "1"],
    "topK": [5],
    "min_p": [0.05],
    "typical_p": [0.9],
    "repetition_penalty": [1.1],
    "presence_penalty": [0.5, 1],
    "frequencyPenalty": [-0.5],
    "logit_bias": [{"9891": 100}, '{"9891": 100}', [[5, 2.0]]],
    "guided_choice": [["yes", "no"]],
    "guided_regex": ["yes|no"],
    "guided_json": [{"type": "object"}],
    "structured_outputs": [{"choice": ["a"]}],
    "response_format": [{"type": "json_object"}, {"type": "json_schema", "json_schema": {}}],
    "best_of": [2, 4],
    "use_beam_search": [True],
    "num_beams": [4],
    "do_sample": [False, "false"],
    "min_tokens": [1],
    "ignore_eos": [True],
    "bad_words": [["x"]],
    "allowed_token_ids": [[1, 2]],
}
"""Settings that are known wherever they stand, and values under which labels are not the teacher's."""

IN_REQUESTS = {
    "grammar": ["root ::= x"],
    "json_schema": [{"type": "object"}],
    "regex": ["a|b"],
    "format": ["json", {"type": "object"}],
    "text": [{"format": {"type": "json_schema"}}],
    "responseMimeType": ["application/json"],
    "response_schema": [{"type": "STRING"}],
    "n_best": [3],
}
"""Those that mean a setting in a request alone."""

PLAIN = {
    "temperature": [1, 1.0, "1", "1.0"],
    "top_p": [1, "1.0"],
    "top_k": [0, -1, "-1"],
    "min_p": [0],
    "logit_bias": [{}, None, "{}"],
    "guided_choice": [None, []],
    "response_format": [{"type": "text"}],
    "best_of": [1, None],
    "do_sample": [True],
    "format": ["", None],
    "text": [{"format": {"type": "text"}}, "a prompt"],
    "responseMimeType": ["text/plain"],
    "grammar": [""],
    "presence_penalty": [0, 0.0],
}
HOLDERS = (
    None,
    "extra_body",
    "sampling_params",
    "generation_settings",
    "generationConfig",
    "options",
    "parameters",
)


def cases(settings):
    return [(name, value) for name, values in settings.items() for value in values]


@together([(*case, holder) for case in cases({**CHANGES, **IN_REQUESTS}) for holder in HOLDERS])
def test_a_request_that_changes_the_draw_is_found(name, value, holder):
    request = {"model": "m", "messages": [], name: value}
    if holder is not None:
        request = {"messages": [], holder: {name: value}}
    found = origin_of((request,))
    assert found.changed.startswith(f"{holder}.{name}" if holder else name)
    assert not found.unknown


@together(cases(CHANGES))
def test_a_plain_record_that_changes_the_draw_is_found(name, value):
    assert origin_of((), ({"input": "q", "label": "a", name: value},)).changed


@together(cases(PLAIN))
def test_settings_that_leave_the_draw_alone(name, value):
    assert not origin_of(({name: value, "n": 3},)).changed


@pytest.mark.parametrize(
    "text",
    [
        '{"temperature": 0}',
        "{'temperature': 0}",
        "SamplingParams(n=1, temperature=0, top_k=1)",
        "no settings at all",
    ],
)
@pytest.mark.parametrize("holder", ["extra_body", "sampling_params", "generation_config"])
def test_settings_as_text_are_read(holder, text):
    for place in (
        (({"messages": [], holder: text},),),
        ((), ({"input": "q", "label": "a", holder: text},)),
    ):
        assert origin_of(*place).changed.startswith(holder)


@pytest.mark.parametrize(
    "holder", ["options", "parameters", "params", "config", "metadata", "settings"]
)
def test_settings_beside_an_answer_are_read_and_other_things_are_not_taken_for_some(holder):
    record = {"input": "q", "label": "a"}
    assert (
        origin_of((), ({**record, holder: {"temperature": 0}},)).changed
        == f"{holder}.temperature = 0"
    )
    assert origin_of((), ({**record, holder: '{"top_p": 0.5}'},)).changed == f"{holder}.top_p = 0.5"
    for other in ("A) yes B) no", {"A": "yes", "B": "no"}, ["yes", "no"], 3, "", None):
        assert origin_of((), ({**record, holder: other},)) == NOTHING_SAID


def test_names_that_tables_have_flattened():
    assert origin_of((), ({"request.temperature": 0.5},)).changed == "request.temperature = 0.5"
    assert origin_of((), ({"sampling_params.top_k": 1},)).changed
    assert origin_of((), ({"weather.temperature": 0.5},)) == NOTHING_SAID


def test_a_record_with_messages_is_a_request_too():
    flat = {"messages": [], "choices": [], "grammar": "root ::= x"}
    assert origin_of((), (flat,)).changed == "grammar = root ::= x"
    assert origin_of((), ({"output": [], "text": {"format": {"type": "json_schema"}}},)).changed


def test_missing_numbers_of_tables_say_nothing():
    assert origin_of((), ({"temperature": math.nan, "top_p": -1e308},)) == NOTHING_SAID


@pytest.mark.parametrize("name", ["model", "model_name", "modelId", "engine", "deployment"])
def test_what_a_model_is_called(name):
    assert origin_of(({name: "m"},)).model == "m"
    assert origin_of(({"deployment": "d", "model": "m", "engine": "e"},)).model == "m"
    assert origin_of(({name: {"name": "m"}},)).model == "m"


def test_columns_of_another_meaning_are_left_alone():
    columns = {"format": "csv", "regex": "a+", "grammar": "good", "text": "x", "json": "{...}"}
    assert origin_of((), (columns,)) == NOTHING_SAID


def test_the_first_setting_and_the_temperature_are_told():
    assert origin_of(({"temperature": 1},)).said
    assert not origin_of(({"top_p": 1},)).said
    assert origin_of(({"temperature": 0.5, "top_p": 0.5},)).changed == "temperature = 0.5"


def test_unknown_settings_of_requests_are_named_and_those_of_records_are_not():
    assert origin_of(({"messages": [], "quantum_foam": 3, "extra_body": {"flux": 1}},)).unknown == (
        "quantum_foam",
        "extra_body.flux",
    )
    assert origin_of((), ({"input": "q", "quantum_foam": 3},)) == NOTHING_SAID


def write(path, docs):
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return path


def chat(question="q", label="yes", model=None, **request):
    first = {"token": label, "logprob": -0.5, "top_logprobs": []}
    choice = {"index": 0, "message": {"content": label}, "logprobs": {"content": [first]}}
    body = {"object": "chat.completion", "choices": [choice]} | ({"model": model} if model else {})
    settings = {"messages": [{"role": "user", "content": question}], "temperature": 1} | request
    return {"request": settings, "response": body}


def test_changed_draws_are_refused_with_their_lines_and_read_as_sampled(tmp_path):
    docs = [chat(), chat(logit_bias={"5": 9}), chat(top_p=0.5), chat(logit_bias={"5": 9})]
    path = write(tmp_path / "a.jsonl", docs)
    with pytest.raises(ValueError, match=r"3 of 4 records") as raised:
        TransferSet.read(path)
    assert 'logit_bias = {"5": 9} (lines 2, 4)' in str(raised.value)
    assert "top_p = 0.5 (line 3)" in str(raised.value)
    transfer = TransferSet.read(path, as_sampled=True)
    said = " ".join(fit(transfer).certificate().assumptions)
    assert "as sampled" in said
    assert "logit_bias" in said
    assert not transfer.faithful


def test_a_plain_file_of_text_cells_is_judged_alike(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("input,label,logprob,Temperature,top_k\nq,yes,-0.9,1,1\n")
    with pytest.raises(ValueError, match=r"top_k = 1 \(line"):
        TransferSet.read(path)


def test_an_unknown_setting_gets_a_note(tmp_path):
    account = TransferSet.read(write(tmp_path / "a.jsonl", [chat(quantum_foam=3)] * 2)).account
    assert account.unknown_options == {"quantum_foam": 2}
    assert "2 records set quantum_foam" in str(account)


def test_one_seed_and_one_prompt_are_one_draw(tmp_path):
    docs = [chat(f"q{i % 3}", seed=42) for i in range(12)]
    transfer = TransferSet.read(write(tmp_path / "a.jsonl", docs))
    assert len(transfer) == 3
    assert transfer.account.repeated == 9
    assert transfer.account.outcomes == {"read": 3, "repeated": 9}
    assert "9 records repeat the prompt and the seed" in transfer.account.warnings[0]
    for student in (None, "ce_sgl", "sel_ptl"):
        certificate = fit(transfer, student).certificate()
        assert certificate.bound > 0.5
        assert "one draw" in " ".join(certificate.assumptions)
    for seeds in ([{"seed": i} for i in range(12)], [{}] * 12, [{"seed": -1}] * 12):
        docs = [chat(f"q{i % 3}", **seed) for i, seed in enumerate(seeds)]
        assert len(TransferSet.read(write(tmp_path / "a.jsonl", docs))) == 12


def test_the_choices_of_one_seeded_answer_are_draws_of_their_own(tmp_path):
    doc = chat(seed=7)
    doc["response"]["choices"] *= 3
    assert len(TransferSet.read(write(tmp_path / "a.jsonl", [doc]))) == 3
    transfer = TransferSet.read(write(tmp_path / "a.jsonl", [doc, doc]))
    assert len(transfer) == 3
    assert transfer.account.outcomes == {"read": 1, "repeated": 1}


def test_two_models_are_refused_unless_one_is_chosen(tmp_path):
    path = write(
        tmp_path / "a.jsonl", [chat(model="m-1"), chat(model="m-2"), chat("p", model="m-1")]
    )
    with pytest.raises(ValueError, match=r"2 teachers, 'm-1' \(2 records\), .*, model='m-1'"):
        TransferSet.read(path)
    transfer = TransferSet.read(path, model="m-1")
    assert len(transfer) == 2
    assert transfer.account.outcomes == {"read": 2, "other model": 1}


def test_records_without_a_model_beside_others_are_told(tmp_path):
    transfer = TransferSet.read(write(tmp_path / "a.jsonl", [chat(model="m"), chat()]))
    assert "1 record does not say which model answered" in transfer.account.warnings[0]
    assert "the 1 record that names no model is of the same one" in " ".join(
        fit(transfer).certificate().assumptions
    )
    unnamed = TransferSet.read(
        write(tmp_path / "b.jsonl", [{"input": "q", "label": "a"}]), model="m"
    )
    assert unnamed.account.outcomes == {"other model": 1}
    (tmp_path / "c.csv").write_text("input,label\nq,a\n")
    with pytest.raises(ValueError, match="its records name no model"):
        TransferSet.read(tmp_path / "c.csv", model="m")


def test_answers_of_one_id_are_told(tmp_path):
    doc = chat()
    doc["response"]["id"] = "chatcmpl-1"
    transfer = TransferSet.read(write(tmp_path / "a.jsonl", [doc] * 4))
    assert transfer.account.same_id == 3
    assert "3 answers have the id of an earlier one" in transfer.account.warnings[0]
    assert "are draws of their own" in " ".join(fit(transfer).certificate().assumptions)


def test_what_was_not_answered_is_what_was_refused_or_has_no_label():
    lines = [(1, "refused", ""), (2, "no label", ""), (3, "no label", ""), (4, "error", "")]
    assert Account(lines=5, skipped=lines).unanswered == 3


def test_the_teacher_is_taken_given_that_it_answers(tmp_path):
    refusal = chat()
    refusal["response"]["choices"][0]["message"] = {"content": None, "refusal": "I cannot"}
    copy = fit(TransferSet.read(write(tmp_path / "a.jsonl", [refusal] * 9 + [chat()])))
    assert copy.target.endswith("given that it answers")
    assert "9 of 10 lines are answers without a label" in copy.transfer.account.warnings[0]
    assert "given that it answers: 9 lines" in " ".join(copy.certificate().assumptions)


def test_a_model_that_requests_ask_for_under_a_shorter_name_is_one(tmp_path):
    path = write(tmp_path / "a.jsonl", [chat(model="m-2026-01-01") | {}] * 2)
    docs = [json.loads(line) for line in path.read_text().splitlines()]
    docs[0]["request"]["model"] = "m"
    assert len(TransferSet.read(write(path, docs))) == 2


def test_almost_every_input_once_is_warned_of(tmp_path):
    docs = [chat(f"q{i}") for i in range(30)]
    assert (
        "almost each asked once"
        in TransferSet.read(write(tmp_path / "a.jsonl", docs)).account.warnings[0]
    )
    named = [
        {"custom_id": f"c{i}", "response": {"status_code": 200, "body": chat()["response"]}}
        for i in range(30)
    ]
    warning = TransferSet.read(write(tmp_path / "b.jsonl", named)).account.warnings[0]
    assert "custom_id" in warning
    assert "requests=..." in warning
    assert not TransferSet.read(write(tmp_path / "c.jsonl", docs * 2)).account.warnings


def forced(label, count, question="q"):
    """Answers whose label is the same every time, though others are stated to be likely."""
    doc = chat(question, label)
    first = doc["response"]["choices"][0]["logprobs"]["content"][0]
    stated = {"yes": math.log(0.4), "a": math.log(0.5), "zz": math.log(0.05)}
    first["logprob"] = stated[label]
    first["top_logprobs"] = [{"token": name, "logprob": stated[name]} for name in ("yes", "a")]
    return [doc] * count


@pytest.mark.parametrize("student", [None, "sel_ptl", students.top_k(1)], ids=str)
def test_labels_that_cannot_follow_what_is_stated_are_refused(student, tmp_path):
    """A bias that no setting shows: 0.4^100."""
    path = write(tmp_path / "a.jsonl", forced("yes", 100))
    with pytest.raises(ValueError, match=r"label 'yes' came 100 times in 100 answers") as raised:
        fit(TransferSet.read(path), student)
    assert "as_sampled=True" in str(raised.value)
    assert "(lines 1, 2, 3, ... 100)" in str(raised.value)
    fit(TransferSet.read(path), "ce_sgl")
    read = TransferSet.read(path, as_sampled=True)
    assert not read.faithful
    # The 0.1 that is hidden, or the 0.6, is not taken for seen.
    assert fit(read, student).certificate().bound >= 0.1


def test_labels_that_follow_what_is_stated_are_not(tmp_path):
    """Five answers of one label at 0.4 each are no surprise; honest draws are refused once in 10^9 sets."""
    fit(TransferSet.read(write(tmp_path / "a.jsonl", forced("yes", 5))))
    rng = np.random.default_rng(0)
    for level in ("partial", 2):
        for _ in range(40):
            fit(draw(kt.teachers.dirichlet(20, 6, seed=int(rng.integers(99))), 600, level, rng))


def test_one_label_too_rare_is_found(tmp_path):
    docs = forced("a", 1) + forced("yes", 60) + forced("zz", 90)
    with pytest.raises(ValueError, match="label 'a' came 1 times in 151 answers"):
        fit(TransferSet.read(write(tmp_path / "a.jsonl", docs)))
