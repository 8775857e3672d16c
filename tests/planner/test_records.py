"""The planner with a table or with answers in hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory import cli, graphs
from kt_theory.limits.missing_mass import missing_mass_bounds
from kt_theory.planner.estimate import ESTIMATED
from kt_theory.planner.planned import Planned
from kt_theory.planner.records import CONTRADICTS, contradiction, in_hand
from kt_theory.planner.sizes import plan, samples_needed
from kt_theory.planner.words import answer

pytestmark = pytest.mark.usefixtures("rough")

RNG = np.random.default_rng(11)
TEACHER = kt.Teacher(RNG.dirichlet(np.full(4, 0.7), 12), RNG.dirichlet(np.full(12, 2.0)))


def draw(teacher, n, seed, access="partial"):
    """A transfer set of n records of what an access level reveals."""
    rng = np.random.default_rng(seed)
    s = rng.choice(teacher.inputs, n, p=teacher.rho)
    a = np.array([rng.choice(teacher.labels, p=teacher.pi[i]) for i in s])
    logp = np.full((n, teacher.labels), np.nan)
    if access == "soft":
        logp = np.log(teacher.pi[s])
    elif access == "partial":
        logp[np.arange(n), a] = np.log(teacher.pi[s, a])
    inputs = [f"q{i}" for i in s]
    labels = [f"l{i}" for i in range(teacher.labels)]
    return kt.TransferSet.from_arrays(
        inputs, a, logprobs=None if access == "hard" else logp, labels=labels
    )


def test_a_table_is_a_teacher():
    teacher = kt.Teacher(TEACHER.pi[:3], [0.5, 0.3, 0.2])
    frame = pd.DataFrame(teacher.pi, columns=list("abcd")).assign(
        rho=teacher.rho, input=[f"q{i}" for i in range(3)]
    )
    expected = samples_needed("partial", teacher=teacher, tv=0.05)
    assert samples_needed("partial", teacher=frame, tv=0.05) == expected
    assert samples_needed("partial", teacher=frame.set_index("input"), tv=0.05) == expected
    uniform = samples_needed("partial", teacher=kt.Teacher(teacher.pi), tv=0.05)
    assert uniform != expected
    assert samples_needed("partial", teacher=teacher.pi, tv=0.05) == uniform
    assert samples_needed("partial", teacher=teacher.pi.tolist(), tv=0.05) == uniform
    assert plan(teacher=frame, tv=0.1)["n"].tolist() == plan(teacher=teacher, tv=0.1)["n"].tolist()


@pytest.mark.parametrize(
    ("teacher", "match"),
    [("t.csv", "from_table"), (pd.DataFrame({"rho": [1.0]}), "a column|no column"), ([[0.5, 0.4]], "sums to 0.9"),
     (pd.DataFrame({"a": ["x"], "b": ["y"]}), "real numbers"), ([0.5, 0.5], "2 axes")],
)  # fmt: skip
def test_what_is_no_teacher_is_refused(teacher, match):
    with pytest.raises(ValueError, match=match) as raised:
        samples_needed("soft", teacher=teacher, tv=0.1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("access", few_quick(["hard", "partial", "soft"], ["partial", "soft"]))
def test_enough_answers_need_no_more(access):
    transfer = draw(TEACHER, 30_000 if access == "hard" else 4000, 1, access)
    found = samples_needed(access, teacher=transfer, tv=0.1, confidence=0.9)
    assert found.n == 0
    assert "certificate of the copy in hand" in found.certificate


def further(teacher, transfer, access, m, seed):
    """The loss after m more queries of the student that keeps what the records said."""
    more = draw(teacher, m, seed, access) if m else None
    records = [transfer] if more is None else [transfer, more]
    inputs = [t.input_names[i] for t in records for i in t.inputs]
    sampled = np.concatenate([t.sampled for t in records])
    logp = np.full((len(sampled), teacher.labels), np.nan)
    at = 0
    for t in records:
        logp[t.entry_record + at, t.entry_label] = t.entry_logp
        at += len(t)
    labels = [f"l{i}" for i in range(teacher.labels)]
    copy = kt.fit(kt.TransferSet.from_arrays(inputs, sampled, logprobs=logp, labels=labels))
    table = np.full((teacher.inputs, teacher.labels), 1 / teacher.labels)
    visited = [int(copy.transfer.input_names[i][1:]) for i in copy.rows.input]
    table[visited] = copy.pi
    return kt.total_variation(table, teacher.pi) @ teacher.rho if table.ndim == 2 else 0.0


@pytest.mark.parametrize(
    ("access", "tv"), few_quick([("soft", 0.02), ("partial", 0.05)], [("partial", 0.05)])
)
def test_the_proved_number_of_further_queries_suffices(access, tv):
    """The mean loss of 20 continuations, less 5 standard errors, from each of two transfer sets."""
    for seed in range(2):
        transfer = draw(TEACHER, 15, seed, access)
        found = samples_needed(access, 12, 4, tv, teacher=transfer)
        assert found.certificate.startswith("proved")
        assert 0 < found.n <= samples_needed(access, 12, 4, tv).n
        losses = np.array([further(TEACHER, transfer, access, found.n, 100 + i) for i in range(20)])
        if "from here on" in found.certificate:
            assert losses.mean() - 5 * losses.std() / math.sqrt(20) <= tv


def test_the_proof_from_here_on_by_hand():
    """Two of three inputs known: max x (1-x)^m = m^m/(m+1)^(m+1), times 1-1/A."""
    labels = ["a", "b"]
    transfer = kt.TransferSet.from_arrays(
        ["p", "q", "p"], logprobs=np.log([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]]), labels=labels
    )
    # The second tv is so close below the value at m = 9 that a bound off by 1 % is found.
    for tv in (0.02, 0.0193):
        found = samples_needed("soft", 3, teacher=transfer, tv=tv)
        value = [0.5 * m**m / (m + 1) ** (m + 1) for m in (found.n - 1, found.n)]
        assert value[1] <= tv < value[0]
        assert found.lower == 0
    sure = samples_needed("soft", 3, teacher=transfer, tv=0.1, confidence=0.9)
    assert "1 input is not known yet" in sure.certificate
    bound = [0.5 * missing_mass_bounds(2, m, 1.0 - 0.9).sharper for m in (sure.n - 1, sure.n)]
    assert bound[1] <= 0.1 < bound[0]
    known = samples_needed("soft", 2, teacher=transfer, tv=0.02)
    assert known.n == 0


def test_records_that_do_not_reveal_a_level_do_not_count_as_its_queries():
    """20 sampled probabilities are no soft labels: rows that they leave open must be asked."""
    transfer = draw(kt.Teacher(np.full((10, 4), 1 / 4)), 20, 4, "partial")
    fresh = samples_needed("soft", 10, 4, 0.05)
    found = samples_needed("soft", 10, 4, 0.05, teacher=transfer)
    assert found.n > fresh.n - 20
    hand = in_hand(transfer, Planned.at(kt.access.SOFT, 10, 4), known=True)
    assert not hand.revealed
    assert hand.resolved == 0


@pytest.mark.parametrize("access", few_quick(["hard", "partial", "soft"], ["partial"]))
def test_without_sizes_the_estimate_is_labelled_and_near(access):
    """The number, as continued queries: the mean loss of 40 continuations is within a factor of 3 of tv."""
    tv = {"hard": 0.1, "partial": 0.05, "soft": 0.02}[access]
    n0 = 180 if access == "hard" else 60
    transfer = draw(TEACHER, n0, 5, access)
    found = samples_needed(access, teacher=transfer, tv=tv)
    assert found.certificate.startswith(ESTIMATED)
    assert found.lower == 0
    assert found.interval[0] <= found.n <= found.interval[1]
    if access == "hard":
        losses = kt.exact_risk(TEACHER, "ce_sgl", n0 + found.n)
    else:
        losses = np.mean([further(TEACHER, transfer, access, found.n, 200 + i) for i in range(40)])
    assert losses <= 3 * tv


@pytest.mark.parametrize(
    ("options", "match"),
    [({"inputs": 2}, "inputs = 2: the records hold"), ({"labels": 3}, "labels = 3: the records hold"),
     ({"inputs": 2.5}, "whole number"), ({"access": "top_k_only", "k": 1}, "do not say"),
     ({"access": "gradient", "graph": graphs.path(12)}, "do not say"), ({"access": "soft", "tv": 2}, "tv")],
)  # fmt: skip
def test_bad_questions_about_records(options, match):
    transfer = draw(TEACHER, 100, 6, "partial")
    inputs = {"inputs": 12} if options.get("access") == "gradient" else {}
    with pytest.raises(ValueError, match=match):
        samples_needed(**({"access": "partial", "teacher": transfer, "tv": 0.1} | inputs | options))


def test_an_empty_transfer_set_and_records_without_labels_are_refused():
    transfer = draw(TEACHER, 20, 7, "soft")
    with pytest.raises(ValueError, match="holds no records"):
        plan(teacher=transfer.take(np.zeros(20, dtype=bool)), tv=0.1)
    silent = kt.TransferSet.from_arrays(["p"] * 3, logprobs=np.log([[0.5, 0.5]] * 3))
    assert (
        samples_needed("hard", teacher=silent, tv=0.1).reason
        == "hard: not estimated: no record names a sampled label"
    )
    assert plan(teacher=silent, tv=0.1)["n"].notna().tolist() == [False, True, True]
    some = replace(silent, sampled=np.array([0, -1, 1]))
    assert "1 record names no sampled label" in samples_needed("hard", teacher=some, tv=0.1).reason


def run(*words):
    return CliRunner().invoke(
        cli.main, ["plan", *(str(word) for word in words)], catch_exceptions=False
    )


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    transfer = draw(TEACHER, 120, 8, "partial")
    with path.open("w") as file:
        for i in range(len(transfer)):
            record = {
                "input": transfer.input_names[transfer.inputs[i]],
                "label": transfer.label_names[transfer.sampled[i]],
                "logprob": float(transfer.entry_logp[i]),
            }
            file.write(json.dumps(record) + "\n")
    return path


def test_command_with_answers(answers, tmp_path):
    result = run(
        "--answers",
        answers,
        "--tv",
        0.02,
        "--top",
        1,
        "--plot",
        tmp_path / "p.png",
        "--csv",
        tmp_path / "p.csv",
    )
    assert result.exit_code == 0, result.output
    assert "120 records" in result.output
    assert ESTIMATED in result.output
    assert (tmp_path / "p.png").exists()


def test_command_shows_the_impossible_in_words(tmp_path):
    plot = tmp_path / "p.svg"
    result = run("--inputs", 1, "--labels", 12, "--tv", 0.2, "--top", 1, "--top-only", 1, "--price", "top_k_only(1)=1",
                 "--price", "soft=1", "--plot", plot)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "impossible" in result.output
    assert "9007199254740993" not in result.output
    assert plot.exists()


@pytest.mark.parametrize(
    "words",
    [("--answers", "ANSWERS", "--teacher", "t.csv", "--tv", 0.1), ("--answers", "none.jsonl", "--tv", 0.1),
     ("--answers", "ANSWERS", "--tv", 0.1, "--inputs", 2), ("--answers", "ANSWERS", "--tv", 0.1, "--top-only", 1),
     ("--inputs", 2, "--labels", 4, "--tv", 0.1, "--top-only", 0), ("--tv", "x", "--inputs", 2, "--labels", 2),
     ("--inputs", 0, "--labels", 4, "--tv", 0.1), ("--inputs", 2, "--labels", 4, "--tv", 0.1, "--confidence", 1),
     ("--answers", "ANSWERS", "--tv", 0.1, "--csv", "ANSWERS")],
)  # fmt: skip
def test_command_refuses_and_writes_nothing(answers, tmp_path, words):
    words = [answers if word == "ANSWERS" else word for word in words]
    before = answers.read_bytes()
    result = run(*words, "--plot", tmp_path / "p.png")
    assert result.exit_code == 2
    assert "Error: " in result.output
    assert not (tmp_path / "p.png").exists()
    assert answers.read_bytes() == before


def test_contradicting_answers_prove_nothing():
    stated = np.log([[0.6, 0.4], [0.5, 0.5], [0.6, 0.4]])
    transfer = kt.TransferSet.from_arrays([0, 0, 0], [0, 1, 0], logprobs=stated, labels=["a", "b"])
    found = samples_needed("soft", 1, 2, 0.01, teacher=transfer)
    assert found.n is None
    assert (
        found.reason == "soft: not estimated: what the records state contradicts itself by 0.1 TV"
    )
    for name in ("hard", "partial"):
        assert CONTRADICTS in samples_needed(name, teacher=transfer, tv=0.09).reason
    assert "not proved" in samples_needed("soft", 1, 2, 0.11, teacher=transfer).certificate
    same = kt.TransferSet.from_arrays(
        [0, 0, 0], [0, 1, 0], logprobs=stated[[0, 0, 2]], labels=["a", "b"]
    )
    assert "not proved" not in samples_needed("soft", 1, 2, 0.05, teacher=same).certificate


def test_what_contradicts_itself_is_counted_as_the_certificate_does():
    """A third of the records disagree by 0.1, and a declared row sums to 0.9."""
    stated = np.log([[0.6, 0.4], [0.5, 0.4], [0.5, 0.4]])
    transfer = kt.TransferSet.from_arrays(
        ["a", "b", "b"], [0, 1, 0], logprobs=stated, labels=["a", "b"]
    )
    held = kt.fit(transfer).certificate()
    assert contradiction(transfer, 2) == pytest.approx(held.disagreement + held.contradiction)
    assert contradiction(transfer, 2) == pytest.approx(0.1 * 2 / 3)
    assert contradiction(transfer, 3) == 0.0


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def stated(i, label, p):
    return {"input": f"q{i}", "label": label, "logprob": math.log(p)}


def test_what_rows_leave_over_is_of_a_label_that_no_record_names(tmp_path):
    one = lines(tmp_path / "one.jsonl", *(stated(i % 4, "yes", 0.6) for i in range(4)))
    said = run("--answers", one, "--tv", 0.1).output
    assert "one label that no record names has what the rows leave over" in said
    assert "o query is needed" not in said
    assert samples_needed("partial", teacher=kt.TransferSet.read(one), tv=0.1).n is None
    left = lines(
        tmp_path / "left.jsonl",
        *(stated(i // 2, *("yes", 0.5) if i % 2 else ("no", 0.2)) for i in range(40)),
    )
    assert "one label that no record names" in run("--answers", left, "--tv", 0.1).output
    full = lines(
        tmp_path / "full.jsonl",
        *(stated(i // 2, *("yes", 0.8) if i % 2 else ("no", 0.2)) for i in range(40)),
    )
    assert "no label exists beyond the 2 that occur" in run("--answers", full, "--tv", 0.1).output


def test_nothing_is_needed_is_not_said_where_it_rests_on_the_names_alone(tmp_path):
    path = lines(
        tmp_path / "a.jsonl",
        *(stated(i % 6, *("yes", 0.5) if i % 3 else ("no", 0.2)) for i in range(12)),
    )
    found = samples_needed("partial", teacher=kt.TransferSet.read(path), tv=0.1)
    assert found.n is None
    assert "no label but the 2 that occur" in found.reason
    declared = kt.TransferSet.read(path, labels=["yes", "no"], other="none")
    assert samples_needed("partial", teacher=declared, tv=0.1).n == 0


def test_a_certified_copy_in_hand_comes_first(tmp_path):
    rng = np.random.default_rng(3)
    rows = [
        stated(i % 40, *(("yes", 0.7) if rng.random() < 0.7 else ("no", 0.3))) for i in range(300)
    ]
    path = lines(tmp_path / "two.jsonl", *rows)
    said = run("--answers", path, "--tv", 0.1).output
    bound = kt.fit(kt.TransferSet.read(path)).certificate().bound
    first = f"You hold a copy that is certified within TV {bound:.3g} (95 % confidence): no further query is needed; "
    assert said.startswith(first + "counting only what each level reveals itself, a copy within")
    assert json.loads(run("--answers", path, "--tv", 0.1, "--json").stdout)["answer"].startswith(
        first
    )
    assert "You hold" not in run("--answers", path, "--tv", 0.5 * bound).output


def test_proved_numbers_are_at_most_for_every_teacher(answers, tmp_path):
    result = run("--answers", answers, "--tv", 0.03, "--inputs", 12, "--labels", 4, "--top", 1, "--plot",
                 tmp_path / "p.svg")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "proved" in result.output
    assert ESTIMATED not in result.output
    first, grounds = result.output.splitlines()[:2]
    assert "takes at most" in first
    assert "for every teacher of these sizes" in first
    assert "low and high are estimates for this teacher" in grounds
    assert "there are 12 inputs, as given" in grounds
    assert "proved to suffice for every teacher" in (tmp_path / "p.svg").read_text()


def test_where_the_uniform_copy_suffices_it_says_so(answers):
    frame = plan(12, 4, 0.8, teacher=kt.TransferSet.read(answers))
    assert frame["certificate"].str.startswith("without a query the uniform distribution").all()
    goal = "No further query is needed for a copy within total variation 0.8 in mean"
    assert answer(frame, 0.8, further=True) == f"{goal}: the uniform copy is within it."


def test_a_plot_of_intervals_alone(tmp_path):
    path = lines(
        tmp_path / "few.jsonl", *({"input": f"q{i}", "label": "ab"[i % 2]} for i in range(30))
    )
    result = run("--answers", path, "--tv", 0.1, "--plot", tmp_path / "p.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "p.png").exists()


def test_nothing_is_printed_where_nothing_can_be_drawn(answers, tmp_path):
    result = run(
        "--answers",
        answers,
        "--tv",
        0.9,
        "--plot",
        tmp_path / "p.png",
        "--inputs",
        12,
        "--labels",
        4,
    )
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_command_names_its_options(answers, tmp_path):
    empty = lines(tmp_path / "empty.jsonl", {"text": 3})
    for words, said in (
        (("--answers", answers, "--tv", 2), "--tv = 2.0: must lie"),
        (("--answers", answers, "--tv", 0.1, "--confidence", 3), "--confidence = 3.0"),
        (("--answers", answers, "--tv", 0.1, "--price", "hard=-1"), "--price hard = -1.0: must"),
        (
            ("--answers", answers, "--tv", 0.1, "--inputs", 1),
            "--inputs = 1: the records hold 12 already; omit --inputs",
        ),
        (("--answers", answers, "--tv", 0.1, "--labels", 0), "--labels = 0: must be at least 1"),
        (("--answers", empty, "--tv", 0.1), "empty.jsonl holds no records: line 1: "),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert said in result.output, result.output


def test_what_fit_would_do_with_impossible_records_is_said_of_fit(tmp_path):
    rows = [stated(i, "yes", 1.0) for i in range(30)] * 3 + [
        stated(40, "yes", 0.9),
        stated(40, "no", 0.9),
    ]
    result = run("--answers", lines(tmp_path / "a.jsonl", *rows), "--tv", 0.2)
    assert result.exit_code == 2
    assert "fit has --student" in result.output


def test_records_read_as_sampled_and_sizes_of_one_kind_are_said(tmp_path):
    rows = [stated(i % 5, "yes", 0.7) | {"temperature": 0} for i in range(30)]
    path = lines(
        tmp_path / "a.jsonl", *rows, *(stated(i, "no", 0.3) | {"temperature": 0} for i in range(5))
    )
    said = run("--answers", path, "--tv", 0.1, "--as-sampled", "--inputs", 9).output
    assert (
        "the records are read as sampled: the teacher is the one that was sampled, under temperature = 0"
        in said
    )
    assert "labels sampled at temperature 1" not in said
    assert "there are 9 inputs, as given" in said
