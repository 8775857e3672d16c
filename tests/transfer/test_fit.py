"""The copy: equal to the row rules, written, refused; scikit-learn; the command line."""

from __future__ import annotations

import json
import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from transfer_cases import FORMATS, RECORDS, draw

import kt_theory as kt
from kt_theory.access import WHOLE_ROW
from kt_theory.cli.fit import fit_command
from kt_theory.transfer import words
from kt_theory.transfer.estimator import CopyClassifier
from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

TEACHERS = {
    "dirichlet": kt.teachers.dirichlet(7, 5, seed=3),
    "deterministic": kt.teachers.deterministic(7, 5),
    "zeros": kt.Teacher(
        [[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]], [0.2, 0.3, 0.5]
    ),
    "one label": kt.Teacher(np.ones((3, 1))),
}
CASES = [
    ("ce_sgl", "hard"),
    ("laplace", "hard"),
    ("krichevsky_trofimov", "partial"),
    ("good_turing", "hard"),
    ("ce_ptl", "partial"),
    ("sel_ptl", "partial"),
    ("sel_ptl", 2),
    (kt.students.top_k(2), 2),
    (kt.students.top_k(1), 3),
    ("ce_ful", "soft"),
    ("ce_sgl", "soft"),
    ("ce_ptl", "soft"),
]


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
@pytest.mark.parametrize(("student", "level"), CASES, ids=str)
@pytest.mark.parametrize("n", [1, 30])
def test_the_copy_is_what_the_row_rule_writes(teacher, student, level, n):
    transfer = draw(teacher, n, level, np.random.default_rng(n))
    copy = fit(transfer, student)
    (chosen,) = kt.students.as_students(student)
    counts = np.zeros((teacher.inputs, teacher.labels), dtype=int)
    places = np.array([int(name) for name in transfer.input_names])
    np.add.at(counts, (places[transfer.inputs], transfer.sampled), 1)
    expected = chosen.table(counts, chosen.access.reveal(counts, teacher.pi))
    np.testing.assert_allclose(copy.pi, expected[places[copy.rows.input]], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(copy.table.groupby("input")["probability"].sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("level", ["partial", 2, "soft"])
def test_by_default_all_that_is_stated_is_used(level):
    teacher = TEACHERS["dirichlet"]
    transfer = draw(teacher, 40, level, np.random.default_rng(5))
    top = {"partial": 0, "soft": WHOLE_ROW}.get(level, level)
    student = "ce_ful" if top == WHOLE_ROW else kt.students.top_k(top)
    np.testing.assert_allclose(fit(transfer).pi, fit(transfer, student).pi, rtol=1e-12)


def test_more_access_never_makes_a_worse_copy():
    for seed in range(20):
        teacher = kt.teachers.dirichlet(8, 6, seed=seed)
        transfer = draw(teacher, 60, "soft", np.random.default_rng(seed))
        places = [int(name) for name in transfer.input_names]
        losses = []
        for student in ("ce_ful", kt.students.top_k(3), kt.students.top_k(1), "sel_ptl"):
            copy = fit(transfer, student)
            pi = teacher.pi[places][copy.rows.input]
            losses.append(kt.total_variation(copy.pi, pi, np.ones(len(pi))))
        assert losses == sorted(losses)
        assert losses[0] < 1e-9 < losses[-1]


def test_a_student_of_ones_own():
    @kt.row_rule
    def half(counts, revealed, out):
        out[:] = 0.5 * counts / counts.sum() + 0.5 / counts.size

    transfer = draw(TEACHERS["dirichlet"], 50, "partial", np.random.default_rng(0))
    copy = fit(transfer, kt.Student("half", access="hard", rule=half))
    np.testing.assert_allclose(copy.pi, 0.5 * fit(transfer, "ce_sgl").pi + 0.1, rtol=1e-12)
    assert copy.certificate().bound <= 1.0

    def wrong(counts, revealed, out):
        out[:] = 0.7

    with pytest.raises(ValueError, match="student 'wrong' wrote no distribution at input"):
        fit(transfer, kt.Student("wrong", access="hard", rule=wrong))


@pytest.mark.parametrize(
    ("student", "level", "message"),
    [
        ("sel_ptl", "hard", "needs access 'partial' .* the records state no probabilities"),
        ("ce_ful", "partial", "needs all probabilities of a row; .* inputs? hides? some"),
        (kt.students.grad_ful(kt.graphs.path(7)), "soft", "needs gradients"),
    ],
    ids=str,
)
def test_too_little_access_is_refused(student, level, message):
    transfer = draw(TEACHERS["dirichlet"], 20, level, np.random.default_rng(0))
    with pytest.raises(kt.AccessError, match=message):
        fit(transfer, student)


def test_without_probabilities_the_frequencies_are_learnt_and_the_copy_says_so():
    copy = fit(draw(TEACHERS["dirichlet"], 20, "hard", np.random.default_rng(0)))
    assert copy.student == "ce_sgl"
    assert "state no probabilities" in " ".join(words.answer(copy, copy.certificate()))


def test_records_without_a_sampled_label_do_for_stated_probabilities_only():
    logprobs = np.log([[0.5, 0.25, np.nan], [0.125, np.nan, np.nan]])
    transfer = TransferSet.from_arrays(["a", "b"], logprobs=logprobs)
    np.testing.assert_allclose(fit(transfer).pi, [[0.5, 0.25, 0.25], [0.125, 0.4375, 0.4375]])
    assert fit(transfer).certificate().bound > 0.9
    with pytest.raises(kt.AccessError, match="2 records have none"):
        fit(transfer, "ce_sgl")


def test_the_table_tells_what_is_shared():
    logprobs = np.array([[np.log(0.5), np.log(0.25), np.nan, np.nan, np.nan]])
    transfer = TransferSet.from_arrays(["q"], [2], logprobs=logprobs, labels=list("abcde"))
    table = fit(transfer).table
    assert table["label"].tolist()[:3] == ["a", "b", "c"]
    assert table["source"].tolist() == ["stated", "stated", "shared", "shared"]
    np.testing.assert_allclose(table["probability"], [0.5, 0.25, 0.25 / 3, 0.5 / 3])
    assert table["shared_by"].tolist() == [1, 1, 1, 2]
    assert table["at_most"].isna().all()


MISSING = [
    '"label": "b"',
    '"label": "b", "logprob": null',
    '"label": "b", "top_logprobs": {"c": -1.0, "b": null}',
]


@pytest.mark.parametrize(
    "fields", [*MISSING, '"label": "b", "logprob": -9999', '"label": "b", "logprob": NaN']
)
def test_no_record_bounds_what_another_one_leaves_out(fields, tmp_path):
    """A missing value is not known; a censored one is at most what its own record lists, and this one lists nothing."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"input": "q", "label": "a", "logprob": -3.0}\n{"input": "q", ' + fields + "}\n"
    )
    transfer = TransferSet.read(path)
    assert fit(transfer).table["at_most"].isna().all()
    assert transfer.account.censored == (fields not in MISSING)
    path = tmp_path / "a.csv"
    path.write_text("input,label,logprob\nq,a,-3\nq,b,\n")
    assert fit(TransferSet.read(path)).table["at_most"].isna().all()


def censoring(*tops):
    """A record for each (sampled label, censored; what is listed)."""
    lines = [
        json.dumps(
            {
                "input": "q",
                "label": label,
                "logprob": -9999,
                "top_logprobs": {a: math.log(p) for a, p in top.items()},
            }
        )
        for label, top in tops
    ]
    return lines


def test_no_copy_gives_a_censored_label_more_than_its_bound(tmp_path):
    """Water-filling by hand: 0.6 + 0.1 stated, 0.3 hidden, z at most 0.1; y at most 0.6 after z."""
    path = tmp_path / "a.jsonl"
    top = {"a": 0.6, "b": 0.1}
    for labels, expected in (
        ("abzcd", [0.6, 0.1, 0.1, 0.1, 0.1]),
        ("abzc", [0.6, 0.1, 0.1, 0.2]),
        ("abz", [0.6, 0.1, 0.3]),
    ):
        path.write_text("\n".join(censoring(("z", top))))
        copy = fit(TransferSet.read(path, labels=list(labels)))
        np.testing.assert_allclose(copy.pi, [expected], rtol=1e-12)
    path.write_text(
        "\n".join(censoring(("z", {"a": 0.6, "b": 0.02}), ("y", {"a": 0.6, "b": 0.02, "x": 0.12})))
    )
    copy = fit(TransferSet.read(path, labels=list("abxyzcd")))
    np.testing.assert_allclose(copy.pi, [[0.6, 0.02, 0.12, 0.02, 0.02, 0.11, 0.11]], rtol=1e-12)
    table = copy.table
    bounded = table["at_most"].notna()
    assert (table["probability"] <= table["at_most"] + 1e-15)[bounded].all()
    np.testing.assert_allclose(table["probability"].sum(), 1.0)


def test_caps_that_are_true_never_raise_the_loss():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = np.sort(rng.dirichlet(np.full(6, 0.7)))[::-1]
        logs = np.where(np.arange(6) < 2, np.log(p), np.nan)
        plain = TransferSet.from_arrays(["q"], [2], logprobs=[logs], labels=list("abcdef"))
        entries = {
            "entry_record": [0] * 4,
            "entry_label": [0, 1, 3, 4],
            "entry_logp": [*logs[:2], np.nan, np.nan],
        }
        capped = TransferSet(
            **{**plain.__dict__, **{name: np.array(v) for name, v in entries.items()}}
        )
        capped.__dict__.pop("rows", None)
        far = [0.5 * np.abs(fit(transfer).pi[0] - p).sum() for transfer in (capped, plain)]
        assert far[0] <= far[1] + 1e-12


def test_a_censored_label_is_at_most_what_its_own_record_lists(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"input": "q", "label": "z", "logprob": -9999, "top_logprobs": {"a": -0.5, "b": -2.0}}\n'
        '{"input": "q", "label": "c", "logprob": -5.0, "top_logprobs": {"a": -0.5, "d": -9999}}\n'
    )
    table = fit(TransferSet.read(path)).table.set_index("label")
    assert table["at_most"].dropna().to_dict() == {"z": math.exp(-2.0), "d": math.exp(-0.5)}


def test_rounded_probabilities_above_one_are_scaled():
    logprobs = np.log([[0.503, 0.501]])
    copy = fit(TransferSet.from_arrays(["q"], [0], logprobs=logprobs))
    np.testing.assert_allclose(copy.pi, [[0.503 / 1.004, 0.501 / 1.004]])


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_the_copy_is_written_and_read_back(suffix, tmp_path):
    transfer = draw(TEACHERS["dirichlet"], 30, 2, np.random.default_rng(0))
    copy = fit(transfer, kt.students.top_k(2))
    path = copy.write(tmp_path / f"copy{suffix}")
    if suffix == ".parquet":
        found = pd.read_parquet(path)
    elif suffix == ".csv":
        found = pd.read_csv(path, dtype={"input": str, "label": str})
    else:
        found = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    np.testing.assert_allclose(found["probability"], copy.table["probability"], rtol=1e-15)
    assert found["input"].tolist() == copy.table["input"].tolist()
    assert found["label"].isna().tolist() == copy.table["label"].isna().tolist()
    with pytest.raises(ValueError, match=r"must end in \.parquet, \.csv, \.json"):
        copy.write(tmp_path / "copy.xlsx")


def test_the_copy_is_a_teacher():
    transfer = draw(TEACHERS["dirichlet"], 30, "partial", np.random.default_rng(0))
    copy = fit(transfer, "sel_ptl")
    teacher = copy.teacher()
    np.testing.assert_allclose(teacher.pi, copy.pi, rtol=1e-12)
    assert teacher.rho.sum() == pytest.approx(1.0)
    assert teacher.label_names == transfer.label_names


@pytest.mark.parametrize("student", [None, "laplace"])
def test_scikit_learns_own_checks(student):
    """All of them. The one that is skipped feeds arrays of other libraries, and only to estimators that take them."""
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        # It follows the protocol without inheriting, so that scikit-learn is loaded only by those who use it.
        warnings.filterwarnings("ignore", message=".*does not inherit from")
        warnings.filterwarnings("ignore", category=SkipTestWarning)
        results = check_estimator(CopyClassifier(student), on_fail=None)
    by_status = {}
    for result in results:
        by_status.setdefault(result["status"], []).append(result["check_name"])
    assert not by_status.get("failed"), by_status["failed"]
    assert by_status.get("skipped", []) == ["check_array_api_input"]
    assert len(by_status["passed"]) > 40


def test_the_classifier_with_probabilities():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (40, 2))
    pi = rng.dirichlet(np.ones(3), size=9)[X[:, 0] * 3 + X[:, 1]]
    y = np.array(["a", "b", "c"])[[rng.choice(3, p=p) for p in pi]]
    soft = CopyClassifier().fit(X, y, proba=pi)
    np.testing.assert_allclose(soft.predict_proba(X), pi, rtol=1e-9)
    hidden = np.where(np.arange(3)[None, :] == pi.argmax(axis=1)[:, None], pi, np.nan)
    top = CopyClassifier().fit(X, y, proba=hidden).predict_proba(X)
    np.testing.assert_allclose(top.max(axis=1), pi.max(axis=1), rtol=1e-9)
    np.testing.assert_allclose(
        pickle.loads(pickle.dumps(soft)).predict_proba(X + 0.0), pi, rtol=1e-9
    )
    for bad, message in (((pi[:, :2]), "must be .n, labels. = .40, 3."), (pi + 1, "must lie in")):
        with pytest.raises(ValueError, match=message):
            CopyClassifier().fit(X, y, proba=bad)


def run(*words):
    return CliRunner().invoke(fit_command, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    docs = [FORMATS["openai_chat"](*record) for record in RECORDS * 10]
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs) + "{\n")
    return path


def test_the_command_says_what_it_read_and_how_good_the_copy_is(answers, tmp_path):
    out = tmp_path / "copy.csv"
    result = run(answers, "--student", "sel_ptl", "--out", out, "--confidence", 0.9)
    assert result.exit_code == 0, result.output
    bound = fit(TransferSet.read(answers), "sel_ptl").certificate(0.9).bound
    for text in (
        "41 lines: 40 read, 1 malformed",
        "line 41: malformed",
        f"<= {bound:.4g} with confidence 0.9",
    ):
        assert text in result.output
    assert len(pd.read_csv(out)) == 6
    assert (
        run(
            answers, "--student", "top_k(1)", "--labels", "yes,no,perhaps", "--label", "first_token"
        ).exit_code
        == 0
    )
    assert "Example: kt-theory fit answers.jsonl" in run("--help").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.jsonl"], "No such file"),
        (["ANSWERS", "--student", "sel"], "unknown student 'sel'"),
        (["ANSWERS", "--format", "chat"], "unknown format 'chat'"),
        (["ANSWERS", "--strict"], "line 41: not JSON"),
        (
            ["ANSWERS", "--confidence", "95"],
            "--confidence = 95.0: must lie strictly between 0 and 1",
        ),
        (["ANSWERS", "--out", "copy.txt"], "--out copy.txt: must end in"),
        (["ANSWERS", "--out", "no/copy.csv"], "the folder no does not exist"),
        (["ANSWERS", "--student", "ce_ful"], "needs all probabilities of a row"),
        (["ANSWERS", "--input", "x"], "transfer holds no records"),
    ],
)
def test_bad_commands_are_one_line(words, message, answers):
    result = run(*(answers if word == "ANSWERS" else word for word in words))
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
