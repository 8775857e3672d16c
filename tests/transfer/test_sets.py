"""Plain records, what becomes of bad lines, and how records are merged."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from transfer_cases import RECORDS, draw, plain, stated

import kt_theory as kt
from kt_theory.planner.sizes import plan
from kt_theory.transfer.sets import TransferSet


def written(tmp_path, *lines):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines)
    )
    return path


def good(**more):
    return json.dumps({"input": "q", "label": "a", "logprob": -0.5, **more})


BAD = {
    "{": "not JSON",
    "[1, 2]": "not a JSON object",
    "7": "not a JSON object",
    '{"z": 1}': "input is missing",
    good(logprob=0.5): "logprob = 0.5: a log-probability must be at most 0",
    good(logprob="x"): "logprob = 'x': must be a number",
    good(logprob=True): "logprob is true: must be a number",
    good(logprob=10**300): "at most 0",
    good(label={"a": 1}): "token is ",
    good(label=0.5): "token is 0.5",
    good(top_logprobs=5): "must be an object or a list",
    good(top_logprobs=[5]): "an entry of top_logprobs must be",
    good(top_logprobs={"a": [1]}): "logprob is [1]: must be a number",
    good(input=None): "input is missing",
    '{"input": "q", "label": "a", "prob": 1.5}': "prob = 1.5: must lie in [0, 1]",
    good(
        top_logprobs={"a": -0.75, "b": -2.0}
    ): "logprob = -0.5: top_logprobs states another value of label 'a'",
    good(prob=0.3): "logprob = -0.5 and prob = 0.3 disagree",
    '{"input": "q", "label": "a", "prob": 0.3, "top_probs": {"a": 0.4}}': "prob = 0.3: top_probs states another value",
    '{"input": "\\ud800", "label": "a", "logprob": NaN}': "no low surrogate in string",
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_reported_with_its_number(line, tmp_path):
    path = written(tmp_path, good(), "", line, good())
    transfer = TransferSet.read(path)
    (_, blank, _), (number, outcome, reason) = transfer.account.skipped
    assert (blank, number, outcome) == ("blank", 3, "malformed")
    assert BAD[line] in reason
    assert transfer.account.outcomes == {"read": 2, "blank": 1, "malformed": 1}
    assert len(transfer) == 2
    with pytest.raises(ValueError, match=r"a\.jsonl line 3: "):
        TransferSet.read(path, on_error="raise")


def test_statements_that_agree_are_read(tmp_path):
    lines = [
        good(top_logprobs={"a": -0.5 - 1e-7}),
        good(prob=0.6065),
        good(top_logprobs={"a": -9999}),
        good(logprob=-9999, top_logprobs={"a": -0.5}),
        good(top_logprobs=[["a", -3.0], ["a", -0.5]]),
        good(top_probs={"a": 0.6065}),
    ]
    assert TransferSet.read(written(tmp_path, *lines)).account.outcomes == {"read": 6}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_contradictions_in_tables_are_malformed_too(suffix, tmp_path):
    values = [json.dumps({"a": value, "b": -2.0}) for value in (-0.5, -0.75, -0.5)]
    frame = pd.DataFrame({"input": "q", "label": "a", "logprob": -0.5, "top_logprobs": values})
    path = tmp_path / f"a{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    account = TransferSet.read(path).account
    assert account.outcomes == {"read": 2, "malformed": 1}
    assert "states another value of label 'a'" in account.skipped[0][2]


def test_bytes_that_are_no_text_and_a_last_line_without_newline(tmp_path):
    path = written(
        tmp_path, b"\xef\xbb\xbf", good(), b'{"input": "\xff"}\n', b"\x00\x00\n", good().encode()
    )
    transfer = TransferSet.read(path)
    assert transfer.account.outcomes == {"read": 2, "malformed": 2}
    path.write_bytes(good().encode("utf-16"))
    with pytest.raises(ValueError, match="UTF-16"):
        TransferSet.read(path)


def test_lines_that_only_together_are_json_are_malformed(tmp_path):
    transfer = TransferSet.read(
        written(tmp_path, good() + "," + good(), '{"input": "q", "label": [{}', "]}", good())
    )
    assert transfer.account.outcomes == {"malformed": 3, "read": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "openai"}, "unknown format 'openai' .did you mean 'openai_"),
        ({"other": "drop"}, "unknown other 'drop'"),
        ({"other": "pool"}, "goes with labels"),
        ({"fold": "lower"}, "unknown fold 'lower'"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore'"),
        ({"labels": ["a", "a"]}, "a label stands there twice"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        TransferSet.read(written(tmp_path, good()), **arguments)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        TransferSet.read(tmp_path / "no.jsonl")
    with pytest.raises(IsADirectoryError):
        TransferSet.read(tmp_path)
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(ValueError, match=r"must be \.jsonl"):
        TransferSet.read(tmp_path / "a.xlsx")
    (tmp_path / "a.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="is not a Parquet file"):
        TransferSet.read(tmp_path / "a.parquet")


def test_an_empty_file_is_an_empty_transfer_set(tmp_path):
    transfer = TransferSet.read(written(tmp_path))
    assert (len(transfer), transfer.account.lines, transfer.account.outcomes) == (0, 0, {})
    with pytest.raises(ValueError, match="transfer holds no records"):
        kt_fit(transfer)


def kt_fit(transfer, student=None):
    from kt_theory.transfer.fit import fit

    return fit(transfer, student)


def test_repeated_queries_that_disagree_are_merged_by_the_median(tmp_path):
    values = [0.5, 0.25, 0.375, 0.5625]
    lines = [json.dumps({"input": "q", "label": "a", "prob": p}) for p in values]
    lines += [json.dumps({"input": "r", "label": "a", "prob": 0.5})] * 3
    transfer = TransferSet.read(written(tmp_path, *lines))
    np.testing.assert_allclose(transfer.rows.p, [np.median(values), 0.5], rtol=1e-15)
    np.testing.assert_allclose(transfer.rows.spread, [0.3125, 0.0], atol=1e-15)
    found = transfer.disagreements
    assert found[["input", "label", "statements"]].to_numpy().tolist() == [["q", "a", 4]]
    found = kt_fit(transfer).certificate()
    assert "disagree by 0.0893: added to the bound" in str(found)
    assert any("off by at most the range seen" in text for text in found.assumptions)
    assert "stated probabilities are exact" not in found.assumptions


def test_the_bound_covers_what_repeated_answers_disagree_about():
    """Half of the answers are of another row: the true distance is half of theirs, and no count of records helps."""
    one, two = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.6, 0.1])
    asked = 2000
    values = np.log(np.where(np.arange(asked)[:, None] % 2, one, two))
    labels = np.arange(asked) % 3
    agreeing = TransferSet.from_arrays(
        ["q"] * asked, labels, logprobs=np.log([one] * asked), labels=list("abc")
    )
    transfer = TransferSet.from_arrays(["q"] * asked, labels, logprobs=values, labels=list("abc"))
    found, sure = kt_fit(transfer).certificate(), kt_fit(agreeing).certificate()
    assert sure.disagreement == 0
    assert found.disagreement == pytest.approx(0.4)
    assert found.bound == pytest.approx(sure.bound + 0.4)
    assert found.bound >= 0.5 * np.abs(kt_fit(transfer).pi[0] - one).sum()


@pytest.mark.parametrize("total", [0.9, 0.99, 1.0, 1.0 + 1e-7, 1.005, 1.015])
def test_sums_that_miss_one_count_in_the_certificate(total):
    """The normalised row is a guess: the bound grows by |sum - 1| beyond rounding, and says that it is an estimate."""
    row = total * np.array([0.5, 0.3, 0.2])
    asked, labels = 500, list("abc")
    transfer = TransferSet.from_arrays(
        ["q"] * asked, np.arange(asked) % 3, logprobs=[np.log(row)] * asked, labels=labels
    )
    sane = TransferSet.from_arrays(
        ["q"] * asked, np.arange(asked) % 3, logprobs=[np.log(row / total)] * asked, labels=labels
    )
    found, sure = kt_fit(transfer).certificate(), kt_fit(sane).certificate()
    off = abs(total - 1) if abs(total - 1) > 1e-6 else 0.0
    assert found.contradiction == pytest.approx(off, abs=1e-12)
    assert found.bound == pytest.approx(sure.bound + off, abs=1e-9)
    assert any("contradict" in text for text in found.assumptions) == (off > 0)


def test_rows_that_cannot_be_are_refused_in_one_line():
    transfer = TransferSet.from_arrays(
        ["p", "q"], [0, 1], logprobs=np.log([[0.5, 0.5], [0.9, 0.9]])
    )
    for student in (None, "ce_ful", kt.students.top_k(1)):
        with pytest.raises(
            ValueError,
            match=r"input 'q' \(line 2\): its stated probabilities sum to 1\.8, more than 1",
        ) as error:
            kt_fit(transfer, student)
        assert "\n" not in str(error.value)
    np.testing.assert_array_equal(kt_fit(transfer, "ce_sgl").pi, np.eye(2))
    # Each record is possible, both are not.
    apart = TransferSet.from_arrays(
        ["q", "q"], [0, 1], logprobs=np.log([[0.9, np.nan], [np.nan, 0.9]])
    )
    with pytest.raises(ValueError, match=r"input 'q' \(lines 1, 2\): .* more than 1"):
        kt_fit(apart)


@pytest.mark.parametrize("given", [{"sampled": [0, 2]}, {"logprobs": np.log([[0.5, 0.5]] * 2)}])
def test_labels_of_arrays_are_declared_only_by_who_declares_them(given):
    """Where they are not, mass may lie on labels that nobody has seen: the bound is not smaller."""
    found = TransferSet.from_arrays(["q", "q"], **given)
    assert not found.closed
    assert "declared" not in repr(found)
    assert "declared" not in kt_fit(found).certificate().target
    declared = TransferSet.from_arrays(["q", "q"], **given, labels=found.labels)
    assert declared.closed
    assert f"{len(found.labels)} declared labels" in kt_fit(declared).certificate().target
    assert kt_fit(found).certificate().bound >= kt_fit(declared).certificate().bound
    np.testing.assert_array_equal(kt_fit(found).pi, kt_fit(declared).pi)


def test_no_plan_rests_on_rows_that_cannot_be():
    transfer = TransferSet.from_arrays(["q"], [0], logprobs=np.log([[0.9, 0.9]]), labels=["a", "b"])
    frame = plan(1, 2, 0.1, teacher=transfer)
    assert frame["n"].isna().all()
    assert frame["reason"].str.contains("what the records state contradicts itself").all()


def test_the_quick_path_reads_what_the_careful_one_does(tmp_path):
    rng = np.random.default_rng(1)
    docs = [
        plain(
            f"q{rng.integers(9)}",
            f"a{rng.integers(4)}",
            -float(rng.random()),
            {"a0": -0.5, "a1": -2000.0, "a2": -3},
        )
        for _ in range(500)
    ]
    quick = TransferSet.read(written(tmp_path, *map(json.dumps, docs)))
    # A field that plain records may have, and that sends each of them down the careful path.
    careful = TransferSet.read(
        written(tmp_path, *(json.dumps({**doc, "error": None}) for doc in docs))
    )
    for one, other in zip(stated(quick), stated(careful), strict=True):
        assert one[:2] == other[:2]
        assert one[2].keys() == other[2].keys()
        np.testing.assert_array_equal([one[2][a] for a in one[2]], [other[2][a] for a in one[2]])
    assert quick.account.censored == careful.account.censored > 0


def test_numbers_as_inputs_and_labels_are_texts(tmp_path):
    lines = [json.dumps({"input": i, "label": i % 2, "top_logprobs": {"0": -1.0}}) for i in (3, 4)]
    transfer = TransferSet.read(written(tmp_path, *lines))
    assert (transfer.input_names, transfer.label_names) == (("3", "4"), ("1", "0"))


def test_declared_labels(tmp_path):
    path = written(tmp_path, *(json.dumps(plain(*r)) for r in RECORDS))
    transfer = TransferSet.read(path, labels=["no", "yes"])
    assert transfer.account.outcomes == {"read": 4}
    assert transfer.labels == ("no", "yes", "perhaps")
    assert not transfer.closed
    assert not TransferSet.read(written(tmp_path, good()), labels=["a"]).closed
    assert TransferSet.read(written(tmp_path, good()), labels=["a"], other="none").closed


def test_rows_sum_up_the_records():
    teacher = kt.teachers.dirichlet(6, 4, seed=1)
    transfer = draw(teacher, 200, 2, np.random.default_rng(0))
    rows = transfer.rows
    assert rows.n == len(transfer) == rows.queries.sum() == rows.count.sum()
    shown = teacher.pi[rows.input[rows.row], rows.label]
    np.testing.assert_allclose(rows.p, shown, rtol=1e-12)
    counts = np.zeros((6, 4), dtype=int)
    np.add.at(counts, (transfer.inputs, transfer.sampled), 1)
    dense = np.zeros_like(counts)
    names = np.array([int(name) for name in transfer.input_names])
    dense[rows.input[rows.row], rows.label] = rows.count
    np.testing.assert_array_equal(dense, counts)
    assert sorted(names) == list(range(6))


def test_take_keeps_the_records_whole():
    transfer = draw(kt.teachers.dirichlet(6, 4, seed=1), 50, 2, np.random.default_rng(0))
    part = transfer.take([3, 7])
    assert stated(part) == [stated(transfer)[i] for i in (3, 7)]
    assert stated(transfer.take(np.arange(50) >= 0)) == stated(transfer)


def test_minus_infinity_of_python_is_censored(tmp_path):
    transfer = TransferSet.read(
        written(tmp_path, '{"input": "q", "label": "a", "logprob": -Infinity}')
    )
    assert math.isnan(stated(transfer)[0][2]["a"])


def test_the_input_may_lie_inside_a_field(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"metadata":{"q":"one"},"label":"x","logprob":-0.1}\n{"metadata":{},"label":"x"}\n'
    )
    found = TransferSet.read(path, input="metadata.q")
    assert list(found.input_names) == ["one"]
    assert "field 'metadata.q' is missing" in str(found.account)
