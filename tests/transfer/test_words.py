"""What `fit` says: the answer first, and the same for programs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from transfer_cases import draw

import kt_theory as kt
from kt_theory import cli
from kt_theory.cli.shared import in_options
from kt_theory.transfer import words
from kt_theory.transfer.fit import SHARED, fit
from kt_theory.transfer.read.files import READERS
from kt_theory.transfer.target import FOLDS, OTHERS

TEACHER = kt.teachers.dirichlet(5, 3, seed=0)


def records(count, question="q{}", **more):
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        p = TEACHER.pi[i % 5]
        a = int(rng.choice(3, p=p))
        found.append(
            {"input": question.format(i % 5), "label": "abc"[a], "logprob": math.log(p[a]), **more}
        )
    return found


def run(tmp_path, docs, *options):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    return CliRunner().invoke(cli.main, ["fit", str(path), *options], catch_exceptions=False)


def test_the_output_begins_with_the_answer(tmp_path):
    done = run(tmp_path, records(400), "--out", str(tmp_path / "copy.csv"))
    assert done.exit_code == 0
    first = done.output.splitlines()
    bound = float(first[0].split("TV ")[1].split(" ")[0])
    assert first[0].startswith("Your copy is within TV ")
    assert "of the teacher over all of its labels (95 % confidence)" in first[0]
    assert first[1].startswith(
        "Student all_stated learnt it from 400 records of 5 inputs and 3 labels"
    )
    assert first[3].startswith("What this takes for granted: records are independent draws")
    copy = fit(kt.TransferSet.read(tmp_path / "a.jsonl"))
    assert bound == pytest.approx(copy.certificate().bound, rel=6e-3)


def test_the_same_for_programs(tmp_path):
    done = run(tmp_path, records(400), "--json", "--out", str(tmp_path / "copy.csv"))
    found = json.loads(done.stdout)
    copy = fit(kt.TransferSet.read(tmp_path / "a.jsonl"))
    assert found["certificate"]["bound"] == copy.certificate().bound
    assert found["answer"] == words.answer(copy, copy.certificate())
    assert found["target"] == found["certificate"]["target"] == copy.target
    assert found["labels"] == list(copy.labels)
    assert found["records"]["outcomes"] == {"read": 400}
    assert "copy.csv" in done.stderr


def test_no_part_is_larger_than_the_whole():
    """Two labels of three are stated: the third is known, though the records hide its mass."""
    row = np.log([0.6, 0.3, np.nan])
    transfer = kt.TransferSet.from_arrays(
        ["q"] * 8, [0] * 8, logprobs=[row] * 8, labels=["a", "b", "c"], design="fixed"
    )
    copy = fit(transfer)
    certificate = copy.certificate()
    assert certificate.bound == 0.0
    assert certificate.hidden_mass == pytest.approx(0.1)
    assert words.answer(copy, certificate)[2] == "Nothing is left open."
    part = words.answer(copy, replace(certificate, bound=0.04))[2]
    assert part.startswith("The largest part of it is due to probabilities that the answers hide")
    assert "(at most 0.04)" in part


def test_one_is_no_plural(tmp_path):
    said = run(tmp_path, [*records(1), {"input": "q"}]).output
    for text in ("from 1 record of 1 input and", "1 line without a label is left out", "; 1 record\n",
                 "1 of 2 lines is an answer without a label", "all_stated: 1 input, 1 label",
                 "1 record that does not say how it was sampled"):  # fmt: skip
        assert text in said
    said = run(tmp_path, [*records(2), {"input": "q"}, {"input": "q"}]).output
    for text in ("from 2 records of 2 inputs", "2 lines without a label are left out", "; 2 records\n",
                 "2 of 4 lines are answers without a label"):  # fmt: skip
        assert text in said


def test_lines_that_are_not_shown_are_in_json(tmp_path):
    docs = [*records(20), *({"input": f"q{i}"} for i in range(7))]
    shown = run(tmp_path, docs).output
    assert "line 25: no label" in shown
    assert "line 26" not in shown
    assert "... and 2 more: --json lists them all" in shown
    assert ".frame" not in shown
    listed = json.loads(run(tmp_path, docs, "--json").stdout)["records"]["skipped"]
    assert [entry["line"] for entry in listed] == list(range(21, 28))
    assert "... and 2 more, see .frame" in str(kt.TransferSet.read(tmp_path / "a.jsonl").account)


def test_json_keeps_the_certificate(tmp_path):
    """What the copy's file does not hold: all of standard output is one JSON object."""
    done = run(tmp_path, records(60), "--json", "--out", str(tmp_path / "copy.csv"))
    kept = json.loads(done.stdout)["certificate"]
    certificate = fit(kt.TransferSet.read(tmp_path / "a.jsonl")).certificate()
    assert {**kept, "assumptions": tuple(kept["assumptions"])} == {
        **asdict(certificate),
        "acceptance": certificate.acceptance,
    }


def test_the_page_on_answers_explains_every_column_of_the_copy():
    page = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page.partition("## The copy's file")[2], re.M)
    table = fit(draw(TEACHER, 7, "partial", np.random.default_rng(1))).table
    assert rows == list(table.columns)
    assert f"`{SHARED}`" in page


def test_a_bound_that_says_nothing_is_not_praised(tmp_path):
    done = run(tmp_path, records(1))
    assert done.output.startswith("Nothing is certified of your copy")


def test_an_estimate_is_called_one():
    row = np.log(0.9 * np.array([0.5, 0.5]))
    copy = fit(
        kt.TransferSet.from_arrays(
            ["q"] * 50, np.arange(50) % 2, logprobs=[row] * 50, labels=["a", "b"]
        )
    )
    assert "This is an estimate" in words.answer(copy, copy.certificate())[0]


def test_warnings_stand_first(tmp_path):
    docs = [{**doc, "seed": 1} for doc in records(40)]
    assert "35 records repeat the prompt and the seed" in run(tmp_path, docs).output.splitlines()[0]


def test_every_line_is_used_or_accounted_for_and_strict_refuses_any_that_is_not(tmp_path):
    docs = [*records(20), {"input": "q"}, {"error": {"message": "overloaded"}}]
    done = run(tmp_path, docs)
    assert done.exit_code == 0
    assert "20 read" in done.output
    assert "line 21: no label" in done.output
    strict = run(tmp_path, docs, "--strict")
    assert strict.exit_code == 2
    assert "line 21: neither a label nor top_logprobs" in strict.output
    assert run(tmp_path, docs[:20], "--strict").exit_code == 0


def test_the_wide_table_is_the_long_one():
    copy = fit(draw(TEACHER, 7, "partial", np.random.default_rng(1)))
    wide, table = copy.wide(), copy.table
    np.testing.assert_allclose(wide.sum(axis=1), 1.0)
    for row in table.itertuples():
        named = set(table[(table.input == row.input) & (table.label != SHARED)].label)
        labels = (
            [name for name in wide.columns if name not in named]
            if row.label == SHARED
            else [row.label]
        )
        assert len(labels) == row.shared_by
        assert wide.loc[row.input, labels].sum() == pytest.approx(row.probability)
    assert isinstance(wide, pd.DataFrame)
    assert wide.index.name == "input"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("other='keep' or fold='strip,casefold'", "--other keep or --fold strip,casefold"),
        ("label_map=... and requests=...", "--label-map ... and --requests ..."),
        ("as_sampled=True, model='a b'", '--as-sampled, --model "a b"'),
        ("student='ce_sgl'", "--student ce_sgl"),
    ],
)
def test_what_python_calls_an_argument_the_command_calls_an_option(text, shown):
    assert in_options(text) == shown


def test_the_page_on_answers_names_every_format_and_every_choice():
    page = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
    for name in (*READERS, *OTHERS):
        assert f"`{name}`" in page, name
    for name in FOLDS:
        assert name in page
