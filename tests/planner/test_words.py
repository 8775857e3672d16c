"""The planner's answer in words, and the same for programs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import kt_theory as kt
from kt_theory import cli
from kt_theory.planner.estimate import ESTIMATED
from kt_theory.planner.records import level_of
from kt_theory.planner.sizes import plan
from kt_theory.planner.words import answer, as_json, name, rests_on

pytestmark = pytest.mark.usefixtures("rough")

PRICES = {
    "hard": 0.001,
    "partial": (0.001, 0.0005),
    "top_k(5)": (0.001, 0.0005),
    "soft": (0.001, 0.0005),
}


def records(n, shown, labels=10, seed=0):
    """n records of a Dirichlet teacher of 100 inputs, as JSON lines."""
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.full(labels, 0.5), 100)
    lines = []
    for s in rng.integers(100, size=n).tolist():
        a = int(rng.choice(labels, p=pi[s]))
        record = {"input": f"q{s}", "label": f"l{a}"}
        if shown != "hard":
            record["logprob"] = float(np.log(pi[s, a]))
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


def run(*words):
    return CliRunner().invoke(
        cli.main, ["plan", *(str(word) for word in words)], catch_exceptions=False
    )


@pytest.mark.parametrize(
    ("access", "words"),
    [("hard", "hard labels"), ("top_k(5)", "top-5 log-probabilities"), ("rounded(0.1)", "rounded(0.1)"),
     ("top_k_only(3)", "top-3 log-probabilities without the sampled label"), ("soft", "all probabilities")],
)  # fmt: skip
def test_a_level_has_a_name_in_sentences(access, words):
    assert name(access) == words


def test_the_numbers_of_the_sentence_are_those_of_the_table():
    frame = plan(1, 12, 0.2, prices=PRICES, top_only=(1,))
    said = answer(frame, 0.2)
    n = dict(zip(frame["access"], frame["n"], strict=True))
    assert f"{n['hard']:,} queries of hard labels" in said
    assert f"sampled labels with their probability save {n['hard'] - n['partial']:,}" in said
    best = frame[frame["cheapest"]].iloc[0]
    assert (
        f"The cheapest is {best['access']}: {best['n']:,} queries for {best['cost']:,.2f}" in said
    )
    hard = frame[frame["access"] == "hard"].iloc[0]
    assert f"{hard['cost'] - best['cost']:,.2f} less than hard labels" in said
    assert (
        "Impossible with any number of queries: top-1 log-probabilities without the sampled label."
        in said
    )
    assert "further" not in said
    assert rests_on(frame, None, 1000, 50) == [
        "the bounds are proved for every teacher of 1,000 inputs and 50 labels"
    ]


def test_no_prices_no_cheapest():
    assert "cheapest" not in answer(plan(2, 2, 0.3), 0.3)


def test_where_nothing_is_needed_it_says_so():
    said = answer(plan(3, 2, 0.6), 0.6)
    assert (
        said
        == "No query is needed for a copy within total variation 0.6: the uniform copy is within it."
    )


def test_a_level_at_which_hard_labels_are_the_cheapest():
    frame = plan(1, 12, 0.2, prices={"hard": 0.001, "soft": 100.0})
    assert answer(frame, 0.2).endswith(
        f"The cheapest is hard: {frame['n'][0]:,} queries for {frame['cost'][0]:,.2f}."
    )


def test_weakly_determined_levels_are_said_with_their_interval(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text(records(60, "hard"))
    transfer = kt.TransferSet.read(path)
    frame = plan(teacher=transfer, tv=0.1)
    row = frame.iloc[0]
    assert row["access"] == "hard"
    assert str(row["n"]) == "<NA>"
    said = answer(frame, 0.1, further=True)
    assert f"hard labels {row['low']:,} to {row['high']:,} more" in said
    assert "No level has a number" in said


def test_open_labels_and_hard_records_are_taken_for_granted_in_words(tmp_path):
    path = tmp_path / "hard.jsonl"
    path.write_text(records(500, "hard"))
    transfer = kt.TransferSet.read(path)
    frame = plan(teacher=transfer, tv=0.1)
    grounds = "; ".join(rests_on(frame, transfer, None, None))
    assert "estimated from 500 records, not proved" in grounds
    assert "no label exists beyond the 10 that occur" in grounds
    assert "sampled labels only" in grounds
    declared = kt.TransferSet.read(path, labels=[f"l{i}" for i in range(10)], other="none")
    assert "no label exists" not in "; ".join(rests_on(frame, declared, None, None))


def test_two_levels_whose_costs_overlap_are_both_named(tmp_path):
    path = tmp_path / "partial.jsonl"
    path.write_text(records(400, "partial"))
    transfer = kt.TransferSet.read(path)
    free = plan(teacher=transfer, tv=0.05)
    n = dict(zip(free["access"], free["n"], strict=True))
    prices = {"partial": 1.0, "top_k(1)": 1.001 * float(n["partial"]) / float(n["top_k(1)"])}
    said = answer(plan(teacher=transfer, tv=0.05, prices=prices), 0.05, further=True)
    assert "The intervals leave open whether top_k(1) would be cheaper." in said
    apart = {"partial": 1.0, "top_k(1)": 100.0}
    assert "leave open" not in answer(
        plan(teacher=transfer, tv=0.05, prices=apart), 0.05, further=True
    )


def test_the_command_begins_with_the_answer_and_what_it_rests_on():
    lines = run("--inputs", 4, "--labels", 2, "--tv", 0.2).output.splitlines()
    queries = plan(4, 2, 0.2)["n"][0]
    assert lines[0].startswith(f"A copy within total variation 0.2 takes {queries:,} queries")
    assert (
        lines[1]
        == "This rests on: the bounds are proved for every teacher of 4 inputs and 2 labels."
    )
    assert lines[2].split()[:3] == ["access", "lower", "n"]


def test_json_is_all_that_is_on_standard_output(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(records(400, "partial") + "not a record\n")
    result = run("--answers", path, "--tv", 0.05, "--price", "hard=0.01", "--price", "soft=0.1,0.01", "--json",
                 "--csv", tmp_path / "t.csv", "--top", 30)  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == {"answer", "rests_on", "tv", "confidence", "levels", "records"}
    assert found["records"]["outcomes"] == {"read": 400, "malformed": 1}
    transfer = kt.TransferSet.read(path)
    frame = plan(teacher=transfer, tv=0.05, prices={"hard": 0.01, "soft": (0.1, 0.01)}, top=(30,))
    assert [line["access"] for line in found["levels"]] == frame["access"].tolist()
    assert [line["n"] for line in found["levels"]] == frame["n"].tolist()
    assert [line["low"] for line in found["levels"]] == frame["low"].tolist()
    assert found["answer"] == answer(frame, 0.05, further=True, level="partial")
    keys = [
        "access",
        "lower",
        "n",
        "low",
        "high",
        "cost",
        "cheapest",
        "cost_low",
        "cost_high",
        "certificate",
        "reason",
    ]
    assert list(found["levels"][0]) == keys
    assert "wrote" in result.stderr
    plain = run("--answers", path, "--tv", 0.05, "--top", 30).stdout
    assert found["levels"][0]["certificate"] in plain


def test_what_has_no_number_is_null_in_json():
    found = as_json(plan(1, 12, 0.2, top_only=(1,)), 0.2, None, "", [])
    impossible = next(line for line in found["levels"] if line["access"] == "top_k_only(1)")
    assert impossible["n"] is None
    assert impossible["lower"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def stated(tmp_path, *more):
    """400 records of sampled labels with their probability, and the first line that is said."""
    path = tmp_path / "stated.jsonl"
    path.write_text(records(400, "partial"))
    done = run("--answers", path, "--tv", 0.05, *more)
    assert done.exit_code == 0, done.output
    return kt.TransferSet.read(path), done.output.splitlines()[0]


def test_records_lead_with_their_own_level_and_in_mean(tmp_path):
    transfer, said = stated(tmp_path)
    frame = plan(teacher=transfer, tv=0.05)
    n = dict(zip(frame["access"], frame["n"], strict=True))
    low, high = frame.set_index("access").loc["partial", ["low", "high"]]
    assert said.startswith(
        f"A copy within total variation 0.05 in mean takes about {n['partial']:,} ({low:,} to "
        f"{high:,}) further queries of sampled labels with their probability; against them hard "
        f"labels take {n['hard'] - n['partial']:,} more, "
    )
    assert level_of(transfer, ["hard", "partial", "top_k(1)", "soft"]) == "partial"


@pytest.mark.parametrize(
    ("shown", "found"), [(0, "partial"), (1, "top_k(1)"), (2, "top_k(1)"), (9, "soft")]
)
def test_the_level_of_records_is_the_one_that_all_of_them_reveal(shown, found):
    row = np.log(np.arange(10.0, 0.0, -1.0) / 55.0)
    listed = np.where(np.arange(10) <= shown, row, np.nan)
    transfer = kt.TransferSet.from_arrays(["q"] * 3, [0, 0, 0], logprobs=[listed] * 3)
    assert level_of(transfer, ["hard", "partial", "top_k(1)", "top_k(5)", "soft"]) == found


def test_the_first_line_says_what_gives_a_number_its_confidence(tmp_path):
    said = stated(tmp_path, "--confidence", 0.95)[1]
    assert "with confidence 0.95: give --inputs and --labels for a proof. " in said
    assert "in mean takes" not in said
    assert "for a proof" not in stated(
        tmp_path, "--confidence", 0.95, "--inputs", 100, "--labels", 10
    )[1]  # fmt: skip


def test_no_query_is_no_number():
    frame = plan(teacher=kt.teachers.dirichlet(5, 4, 1.0, seed=0), tv=0.1).iloc[[0, -1]]
    frame = frame.assign(
        n=whole(100, 0), low=whole(80, 0), high=whole(120, 0), certificate=ESTIMATED
    )
    assert answer(frame, 0.1, further=True, level="soft") == (
        "A copy within total variation 0.1 in mean takes by estimate no further queries of all "
        "probabilities; against them hard labels take 100 more."
    )


def whole(*values):
    return pd.array(values, dtype="Int64")


def test_a_weak_level_that_may_be_cheaper_is_named():
    frame = plan(teacher=kt.teachers.dirichlet(5, 4, 1.0, seed=0), tv=0.1, prices={"hard": 1.0})
    frame = frame.iloc[[0, -1]].assign(
        n=whole(100, None), low=whole(80, 30), high=whole(120, 150),
        cost=[100.0, np.nan], cost_low=[80.0, 30.0], cost_high=[120.0, 150.0], cheapest=[True, False],
        certificate=ESTIMATED, reason=["", "soft: weakly determined: few"],
    )  # fmt: skip
    said = answer(frame, 0.1, further=True)
    assert "takes about 100 (80 to 120) further queries of hard labels" in said
    assert "The cheapest of those with a number is hard: 100 queries for 100.00." in said
    assert "Without a number, but perhaps cheaper: soft for 30.00 to 150.00." in said
    partial = answer(frame.iloc[:1].assign(access="partial"), 0.1, further=True)
    assert (
        "takes about 100 (80 to 120) further queries of sampled labels with their probability."
        in partial
    )
