"""Copies of sequence teachers: what they learn, and what is measured of them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sequence_dumps import contexts_of, dump_of, other_spreads, random_dump

import kt_theory as kt
from kt_theory import cli
from kt_theory.dumps import Dump
from kt_theory.ngrams import learn
from kt_theory.sequences.held_out import EVERY
from kt_theory.sequences.learn import SEQUENCE_STUDENTS
from kt_theory.sequences.positions import Positions

LENGTHS = (9, 5, 12, 1, 8, 15)
ALL = [[a, b] for a in range(-1, 4) for b in range(-1, 4)]


def held_out(lengths=LENGTHS):
    """The fifth text of six."""
    texts = np.repeat(np.arange(len(lengths)), lengths)
    return texts == EVERY - 1


def mean_rows(rows, tokens, context, k, learnt):
    """q(a|c) = mean of what is stated, the rest as it is after the shorter context."""
    labels = rows.shape[1]
    tables = [defaultdict(list) for _ in range(context + 1)]
    before = [contexts_of(tokens, LENGTHS, m)[0] for m in range(context + 1)]
    for i in np.flatnonzero(learnt):
        row = rows[i].copy()
        if k is not None:
            row[np.argsort(-row, kind="stable")[k:]] = 0.0
        for m in range(context + 1):
            tables[m][before[m][i]].append(row)

    def row(context):
        below = row(context[1:]) if context else np.full(labels, 1.0 / labels)
        if context not in tables[len(context)]:
            return below
        mean = np.mean(tables[len(context)][context], axis=0)
        unlisted = mean == 0
        if not unlisted.any():
            return mean / mean.sum()
        return mean + unlisted * (1.0 - mean.sum()) * below / below[unlisted].sum()

    return row


@pytest.mark.parametrize("k", [None, 1, 2, 4])
def test_mean_rows_by_a_dictionary(k):
    """Of every history of two tokens, seen or not."""
    rows, tokens, dump = random_dump(0, k=k)
    copy = kt.fit(dump, context=2)
    assert copy.student == "mean_rows"
    row = mean_rows(rows, tokens, 2, k, ~held_out())
    found = copy.rows(ALL)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-13)
    np.testing.assert_allclose(found, [row(tuple(each)) for each in ALL], atol=1e-13)


@pytest.mark.parametrize("student", [s for s in SEQUENCE_STUDENTS if s != "mean_rows"])
def test_students_of_hard_labels_count_the_tokens_that_follow(student):
    """The model of the texts that are not held out; the last position of each has no token."""
    _, tokens, dump = random_dump(1)
    copy = kt.fit(dump, student, context=2)
    histories, texts = contexts_of(tokens, LENGTHS, 2)
    follows = np.append(texts[1:] == texts[:-1], False) & ~held_out()
    following = np.append(tokens[1:], 0)[follows]
    model = learn(np.array(histories)[follows], following, 4, student)
    np.testing.assert_array_equal(copy.rows(ALL), model.rows(np.array(ALL)))


@pytest.mark.parametrize("student", SEQUENCE_STUDENTS)
def test_total_variation_of_whole_rows_is_exact(student):
    """The mean of 1/2 sum |q - p| over the held-out text; acceptance is 1 minus it."""
    rows, tokens, dump = random_dump(2)
    copy = kt.fit(dump, student, context=1)
    histories = np.array(contexts_of(tokens, LENGTHS, 1)[0])[held_out()]
    expected = 0.5 * np.abs(copy.rows(histories) - rows[held_out()]).sum(axis=1)
    np.testing.assert_allclose(copy.held_out.low, expected, atol=1e-14)
    assert copy.tv == pytest.approx((expected.mean(),) * 2, abs=1e-14)
    both = np.minimum(copy.rows(histories), rows[held_out()]).sum(axis=1).mean()
    assert copy.acceptance == pytest.approx((both, both), abs=1e-12)
    q, p = copy.rows(histories), rows[held_out()]
    token = np.append(tokens[1:], 0)[held_out()][:-1]
    ratio = [min(1.0, q[i, a] / p[i, a]) for i, a in enumerate(token)]
    np.testing.assert_allclose(copy.held_out.accepted_low[:-1], ratio, rtol=1e-12)
    assert np.isnan(copy.held_out.accepted_low[-1])


@pytest.mark.parametrize(("labels", "k"), [(4, 1), (4, 3), (9, 2), (9, 6)])
@pytest.mark.parametrize("student", ["mean_rows", "kneser_ney"])
def test_total_variation_of_listed_rows_holds_however_the_rest_is_spread(labels, k, student):
    """Of each position, between the bounds for every spread; so is what is accepted."""
    rows, tokens, dump = random_dump(3, labels=labels, k=k)
    copy = kt.fit(dump, student, context=1)
    histories = np.array(contexts_of(tokens, LENGTHS, 1)[0])[held_out()]
    q, found = copy.rows(histories), copy.held_out
    token = np.append(tokens[1:], 0)[held_out()]
    nearest, farthest = np.full(len(q), np.inf), np.zeros(len(q))
    for spread in other_spreads(rows, k, 30, 4):
        p = spread[held_out()]
        exact = 0.5 * np.abs(q - p).sum(axis=1)
        assert (found.low - 1e-12 <= exact).all()
        assert (exact <= found.high + 1e-12).all()
        nearest, farthest = np.minimum(nearest, exact), np.maximum(farthest, exact)
        every = np.arange(len(p))
        with np.errstate(divide="ignore"):
            ratio = np.minimum(1.0, q[every, token] / p[every, token])[:-1]
        assert (found.accepted_low[:-1] - 1e-12 <= ratio).all()
        assert (ratio <= found.accepted_high[:-1] + 1e-12).all()
    if k == labels - 1:
        np.testing.assert_allclose(found.low, farthest, atol=1e-12)
        np.testing.assert_allclose(found.high, farthest, atol=1e-12)
    assert ((nearest - found.low) < 0.05).mean() > 0.5


def test_bounds_are_attained():
    """Rows (0.6, M = 0.4 over three) against q: at least what the listed label misses, at most all
    of the hidden mass that q does not match."""
    rows = np.array([[0.6, 0.4, 0.0, 0.0]] * 4)
    dump = dump_of(rows, [0, 0, 0, 0], (2, 2), k=1)
    copy = kt.fit(dump, context=0)
    np.testing.assert_allclose(copy.rows(np.zeros((1, 0)))[0], [0.6, *[0.4 / 3] * 3])
    assert copy.held_out.low == pytest.approx([0.0, 0.0])
    assert copy.held_out.high == pytest.approx([0.4 - 0.4 / 3] * 2)
    exact = 0.5 * np.abs(copy.rows(np.zeros((1, 0)))[0] - rows[0]).sum()
    assert exact == pytest.approx(copy.held_out.high[0])


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((4, 3), [False] * 4 + [True] * 3),
        ((10,), [False] * 8 + [True] * 2),
        ((2,), [False, True]),
        ((1,) * 11, [i % 5 == 4 for i in range(11)]),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 50])
def test_whole_texts_are_held_out_however_blocks_are_cut(lengths, expected, block):
    """Every fifth text, the last of fewer, the end of one."""
    _, _, dump = random_dump(5, lengths=lengths, block=block)
    copy = kt.fit(dump, context=0)
    assert copy.held.tolist() == expected
    assert copy.positions.texts == len(lengths)


def test_files_hold_texts_of_their_own():
    """The same text in two files is two texts."""
    _, _, one = random_dump(5, lengths=(6,))
    both = Dump(one.parts * 2, one.reading)
    copy = kt.fit(both, context=1)
    assert copy.positions.texts == 2
    assert copy.held.tolist() == [False] * 6 + [True] * 6


def test_one_text_has_no_certificate():
    _, _, dump = random_dump(6, lengths=(40,))
    copy = kt.fit(dump, "kneser_ney", context=1)
    with pytest.raises(ValueError, match="the dump holds one text: nothing follows for others"):
        copy.certificate()
    assert 0 < copy.tv[0] < 1


def with_tokens(tokens):
    rows = np.full((len(tokens), 3), 1 / 3)
    return Dump.from_arrays(rows, tokens, kind="probabilities")


@pytest.mark.parametrize(
    ("dump", "options", "said"),
    [
        (with_tokens([0, 1, 2]), {"context": 4}, "context = 4: no position has more than 3 tokens"),
        (with_tokens([0, 1, 2]), {"context": -1}, "context = -1: must be at least 0"),
        (with_tokens([0, 1, 2]), {"context": 65}, "context = 65: must be at most 64"),
        (with_tokens([0, 1, 2]), {}, "context is missing"),
        (with_tokens([0]), {"context": 0}, "the dump holds one position: at least 2"),
        (
            with_tokens([0, 1, 2]),
            {"context": 1, "student": "kneserney"},
            r"unknown student 'kneserney' \(did you mean 'kneser_ney'\?\)",
        ),
        (
            with_tokens([0, 1, 2]),
            {"context": 1, "student": "kneser_ney(2)"},
            r"student 'kneser_ney\(2\)': the discount must be a number from 0 to 1",
        ),
        (
            with_tokens([0, 1, 2]),
            {"context": 1, "student": kt.STUDENTS["ce_sgl"]},
            "of a dump it must be one of mean_rows",
        ),
        (
            Dump.from_arrays(np.full((3, 3), 1 / 3), kind="probabilities"),
            {"context": 1},
            "values: has no tokens: what stands before a position is not known",
        ),
        (
            kt.TransferSet.from_arrays(["q"], [0], labels=["a"]),
            {"context": 1},
            "context = 1: it is for a Dump; omit it",
        ),
    ],
)
def test_what_cannot_be_copied_is_refused(dump, options, said):
    with pytest.raises(ValueError, match=said) as raised:
        kt.fit(dump, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("histories", "said"),
    [
        ([[0]], "histories have 1 tokens: must have the last 2"),
        ([[0, 4]], "histories hold 4: must be tokens, 0 to 3"),
        ([[0, -2]], "histories hold -2"),
        ([[0, 0.5]], "histories hold 0.5"),
        ([0, 1], "histories has shape"),
        ([["a", "b"]], "histories: must be a table of real numbers"),
    ],
)
def test_histories_that_are_none_are_refused(histories, said):
    copy = kt.fit(random_dump(0)[2], context=2)
    with pytest.raises(ValueError, match=said):
        copy.rows(histories)


# The command line.


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("dump") / "d.npz"
    rows, tokens, _ = random_dump(7, lengths=(300,))
    np.savez(path, logprobs=np.log(rows), tokens=tokens)
    return str(path)


def test_the_command_says_what_was_measured(file):
    """In words, and the same numbers for programs."""
    words = ["fit", file, "--context", "1", "--student", "kneser_ney"]
    done = CliRunner().invoke(cli.main, words)
    copy = kt.fit(Dump.read(file), "kneser_ney", context=1)
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert f"Your copy is at TV {copy.tv[0]:.3g} from the teacher on the 60 positions" in text
    assert f"comes below TV {copy.floor.low:.3g} on all positions" in text
    assert "Nothing is certified for other texts: the dump holds one." in text
    found = json.loads(CliRunner().invoke(cli.main, [*words, "--json"]).output)
    assert found["held_out"] == {"positions": 60, "tv_low": copy.tv[0], "tv_high": copy.tv[1]}
    assert (found["certificate"], found["floor"]["low"]) == (None, copy.floor.low)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--context", "1", "--until", "0.1"], "--until is for records, --context for a dump"),
        (["--context", "1", "--out", "x.csv"], "--out is for records, --context for a dump"),
        (["--context", "99"], "--context = 99: must be at most 64"),
        (["--kind", "logits"], "--kind is for a dump: give --context too"),
        (["--context", "1", "--student", "top_k(3)"], "unknown student 'top_k(3)'"),
        (["--context", "1", "--labels", "a,b"], "--labels = 'a,b': of a dump it is how many"),
        (["--context", "1", "--confidence", "2"], "must lie strictly between 0 and 1"),
    ],
)
def test_bad_commands_are_refused(file, words, said):
    done = CliRunner().invoke(cli.main, ["fit", file, *words])
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1


PAGE = (Path(kt.__file__).parents[1] / "docs" / "sequences.md").read_text(encoding="utf-8")


def test_the_page_names_all_students_and_its_example_runs():
    """The table's first column; the code, as it stands."""
    named = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    assert named == sorted(SEQUENCE_STUDENTS, key=named.index)
    assert set(named) == set(SEQUENCE_STUDENTS)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    given = {}
    exec(code, given)
    assert given["copy"].student == "kneser_ney"
    assert given["copy"].floor.low <= given["copy"].tv[0]


@pytest.mark.parametrize("drawn", [True, False])
def test_labels_that_were_drawn_cap_no_hidden_one(drawn, tmp_path, monkeypatch):
    """Whichever label of a row was drawn, the most probable one may be hidden."""
    row = np.array([0.5, *[0.1] * 4, *[0.1 / 7] * 7])
    whole = Dump.from_arrays(np.tile(row, (60, 1)), np.arange(60) % 12, kind="probabilities")
    path = kt.store(whole, "sampled(1, probabilities=true)", tmp_path / "drawn.parquet", seed=2)
    stored = Dump.read(path)
    assert stored.drawn
    if not drawn:
        monkeypatch.setattr(Dump, "drawn", False)
    positions = Positions.of(stored, 0)
    ((_, block),) = positions.blocks()
    found = positions.stated(block, np.arange(60))
    largest = [np.delete(row, label).max() for label in found.label[:, 0]]
    assert (found.cap >= largest).all() == drawn
    low, high = kt.fit(stored, "absolute_discounting", context=0).tv
    true, _ = kt.fit(whole, "absolute_discounting", context=0).tv
    assert low <= true <= high


def test_positions_without_a_row_are_counted(tmp_path):
    row = [{"token": f"token_id:{a}", "logprob": float(np.log(0.3))} for a in range(3)]
    rows = [row, [], row, row, row]
    line = {"input_ids": [0, 1, 2, 0, 1, 2], "labels": [0, 1, 2, 0, -100, 2], "logprobs": rows}
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    words = ["fit", str(path), "--context", "0", "--labels", "4"]
    said = CliRunner().invoke(cli.main, words)
    assert "Positions that gave no row: 1 no row, 1 masked." in said.output
    found = json.loads(CliRunner().invoke(cli.main, [*words, "--json"]).output)
    assert found["skipped"] == {"no row": 1, "masked": 1}
