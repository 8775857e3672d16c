"""Fitting at the levels of real APIs: distorted rows, greedy answers, tables of one's own, pooled students."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from grids import few_quick
from scipy.stats import binom

import kt_theory as kt
from kt_theory import access, students
from kt_theory.access.channel import Quantised, Rounded, Temperature
from kt_theory.cli.fit import fit_command
from kt_theory.students.sparse import ClosedForm
from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

TEACHERS = {
    "dirichlet": kt.teachers.dirichlet(7, 5, seed=3),
    "deterministic": kt.teachers.deterministic(7, 5),
    "zeros": kt.Teacher(
        [[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]], [0.2, 0.3, 0.5]
    ),
    "uneven": kt.Teacher(
        kt.teachers.dirichlet(6, 3, seed=5).pi, [0.6, 0.3, 0.05, 0.02, 0.02, 0.01]
    ),
}
CHANNELS = [
    students.tempered(2.0),
    students.tempered(0.5),
    students.tempered(2.0, believed=1.5),
    students.rounded(0.1),
    students.rounded(1.0),
    students.quantised(4),
    students.quantised(8),
]


def draw(teacher, level, n, seed, *, labels=None):
    """n records of a teacher that answer at a level, the numbers of inputs as names; labels 0, 1, ... declared."""
    rng = np.random.default_rng(seed)
    s = rng.choice(teacher.inputs, n, p=teacher.rho)
    a = np.array([rng.choice(teacher.labels, p=teacher.pi[i]) for i in s])
    if not level.shows.draws:
        a = teacher.pi.argmax(axis=1)[s]
    shown = level.shown(teacher.pi)[s]
    hidden = access.label_ranks(teacher.pi)[s] >= level.shows.top
    hidden[np.arange(n), a] &= not level.shows.own
    with np.errstate(divide="ignore"):
        logs = np.where(hidden, np.nan, np.log(shown))
    names = [str(j) for j in range(teacher.labels)] if labels is None else labels
    return TransferSet.from_arrays(s, a, logprobs=None if hidden.all() else logs, labels=names)


def places(transfer):
    return np.array([int(name) for name in transfer.input_names])


def counts_of(transfer, teacher):
    counts = np.zeros(teacher.pi.shape, dtype=int)
    np.add.at(counts, (places(transfer)[transfer.inputs], transfer.sampled), 1)
    return counts


def loss(copy, teacher, elsewhere=None):
    table = (
        np.full(teacher.pi.shape, 1.0 / teacher.labels) if elsewhere is None else elsewhere.copy()
    )
    table[places(copy.transfer)[copy.rows.input]] = copy.pi
    return float(kt.total_variation(table, teacher.pi, teacher.rho))


def worst(channel, labels):
    match channel:
        case Temperature():
            return 1e-9
        case Rounded(step):
            return math.tanh(step / 4)
        case Quantised(bits):
            return labels / 4 / 2**bits


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
@pytest.mark.parametrize("student", CHANNELS, ids=lambda student: student.name)
def test_distorted_rows_are_undone_as_the_row_rule_does(teacher, student):
    transfer = draw(teacher, student.access, 30, 0)
    copy = fit(transfer, student)
    counts = counts_of(transfer, teacher)
    expected = student.table(counts, student.access.reveal(counts, teacher.pi))[
        places(transfer)[copy.rows.input]
    ]
    np.testing.assert_allclose(copy.pi, expected, rtol=1e-9, atol=1e-12)
    off = 0.5 * np.abs(copy.pi - teacher.pi[places(transfer)[copy.rows.input]]).sum(axis=1).max()
    if "as" not in student.name:
        assert off <= worst(student.access.channel, teacher.labels) + 1e-12
    found = copy.certificate(0.9)
    assert loss(copy, teacher) <= found.bound <= 1
    assert any(student.access.name in text for text in found.assumptions)


@pytest.mark.parametrize("student", few_quick(CHANNELS, CHANNELS[::3]))
def test_certificates_of_distorted_rows_cover(student):
    repeats, failures = 60, 0
    teacher = TEACHERS["uneven"]
    for seed in range(repeats):
        copy = fit(draw(teacher, student.access, 40, seed), student)
        failures += loss(copy, teacher) > copy.certificate(0.8).bound
    # A bound that covers with probability 0.8 fails more often than this with probability 1e-6 at most.
    assert failures <= binom.ppf(1 - 1e-6, repeats, 0.2)


@pytest.mark.parametrize("student", ["ce_sgl", "laplace", students.hinton(1.0)], ids=str)
def test_who_counts_labels_needs_one_in_each_record(student):
    teacher = TEACHERS["dirichlet"]
    transfer = TransferSet.from_arrays(range(7), None, logprobs=np.log(teacher.pi))
    with pytest.raises(
        kt.AccessError,
        match=r"a sampled label in each record; 7 records have none \(lines 1, 2, 3, .* 7",
    ):
        fit(transfer, student)


def test_a_closed_form_must_say_what_is_proved_of_it():
    class Halves(ClosedForm):
        def fit(self, rows):
            return np.full(len(rows.row), 0.5), np.zeros(len(rows.hidden_mass))

    with pytest.raises(TypeError, match="certified"):
        Halves()


def test_shares_of_rows_that_state_nothing_of_the_label_are_not_certified_as_frequencies():
    teacher = kt.Teacher([[0.9, 0.1, 0.0]], [1.0])
    logs = np.full((300, 3), np.nan)
    logs[:, 1] = math.log(0.1)
    copy = fit(TransferSet.from_arrays([0] * 300, [0] * 300, logprobs=logs), "sel_ptl")
    assert copy.pi == pytest.approx(1 / 3)
    assert loss(copy, teacher) <= copy.certificate().bound


def test_frequencies_are_certified_by_labels_whatever_is_stated_beside_them():
    teacher = kt.Teacher([[0.5, 0.3, 0.2]], [1.0])
    copy = fit(draw(teacher, access.SOFT, 5, 0), students.hinton(1.0))
    assert loss(copy, teacher) <= copy.certificate().bound
    labels = fit(draw(teacher, access.HARD, 5, 0), "ce_sgl")
    np.testing.assert_array_equal(copy.pi, labels.pi)
    assert copy.certificate().bound == labels.certificate().bound
    assert (
        fit(draw(teacher, access.SOFT, 5, 0), "ce_ful").certificate().bound
        < labels.certificate().bound
    )


def test_the_wrong_channel_is_not_covered():
    """The negative control: records at temperature 3 that are taken to be at temperature 1.01."""
    teacher = TEACHERS["dirichlet"]
    transfer = draw(teacher, access.temperature(3.0), 2000, 0)
    wrong, right = fit(transfer, students.tempered(1.01)), fit(transfer, students.tempered(3.0))
    assert loss(wrong, teacher) > wrong.certificate().bound
    assert loss(right, teacher) < 1e-9 < right.certificate().bound < 0.05


def test_a_rule_of_ones_own_for_distorted_rows_is_judged_by_the_labels():
    @kt.row_rule
    def half(counts, revealed, out):
        out[:] = 0.5 / counts.size + 0.5 * revealed / revealed.sum()

    teacher = TEACHERS["dirichlet"]
    student = kt.Student("half", access=access.rounded(0.1), rule=half)
    copy = fit(draw(teacher, student.access, 5000, 0), student)
    assert loss(copy, teacher) <= copy.certificate().bound < 0.9


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
def test_greedy_answers_leave_the_tail_open(teacher, k):
    student = students.top_k(k, sampled=False)
    transfer = draw(teacher, student.access, 300, 0)
    copy = fit(transfer, student)
    counts = counts_of(transfer, teacher)
    expected = student.table(counts, student.access.reveal(counts, teacher.pi))[
        places(transfer)[copy.rows.input]
    ]
    np.testing.assert_allclose(copy.pi, expected, rtol=1e-9, atol=1e-12)
    tail = 1 - np.sort(teacher.pi, axis=1)[:, ::-1][:, :k].sum(axis=1)
    np.testing.assert_allclose(
        copy.rows.hidden_mass, tail[places(transfer)[copy.rows.input]], atol=1e-12
    )
    found = copy.certificate(0.95)
    assert loss(copy, teacher) <= found.bound
    # What is certified is no better than the mass of the tail allows, and not much worse.
    worst = tail @ teacher.rho * (1 - 1 / max(teacher.labels - k, 1))
    assert found.bound >= 0.9 * worst - 1e-12
    assert found.bound <= worst + 0.15


def test_what_was_sampled_does_not_matter_to_a_greedy_student():
    teacher, student = TEACHERS["dirichlet"], students.top_k(2, sampled=False)
    greedy = draw(teacher, student.access, 100, 0)
    sampled = draw(teacher, access.top_k(2), 100, 0)
    one, other = fit(greedy, student), fit(sampled, student)
    np.testing.assert_allclose(one.pi, other.pi, rtol=1e-12)
    assert one.certificate().bound == pytest.approx(other.certificate().bound, rel=1e-12)
    assert fit(sampled, students.top_k(2)).rows.hidden_mass.sum() < other.rows.hidden_mass.sum()


def test_a_greedy_rule_of_ones_own_sees_the_most_probable_label():
    @kt.row_rule
    def frequencies(counts, revealed, out):
        out[:] = counts / counts.sum()

    teacher = TEACHERS["dirichlet"]
    student = kt.Student("greedy", access=access.top_k(2, sampled=False), rule=frequencies)
    copy = fit(draw(teacher, access.top_k(2), 50, 0), student)
    assert (
        copy.pi.argmax(axis=1) == teacher.pi.argmax(axis=1)[places(copy.transfer)[copy.rows.input]]
    ).all()
    assert (copy.pi.max(axis=1) == 1).all()


def test_the_greedy_command(tmp_path):
    path = tmp_path / "greedy.jsonl"
    record = {
        "input": "q",
        "label": "a",
        "logprob": -0.5,
        "top_logprobs": {"a": -0.5, "b": -2.0},
        "temperature": 0,
    }
    path.write_text((json.dumps(record) + "\n") * 200)
    words = [str(path), "--labels", "a,b,c,d", "--other", "none", "--student", "top_k_only(2)"]
    refused = CliRunner().invoke(fit_command, words)
    assert refused.exit_code == 2
    assert "drawn under temperature = 0" in refused.output
    assert "--as-sampled reads them" in refused.output
    assert '--student "top_k_only(k)" learns of greedy answers' in refused.output
    done = CliRunner().invoke(fit_command, [*words, "--as-sampled"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    tail = 1 - math.exp(-0.5) - math.exp(-2.0)
    bound = fit(
        TransferSet.read(path, labels=list("abcd"), other="none", as_sampled=True),
        students.top_k(2, sampled=False),
    )
    assert 0.5 * tail < bound.certificate().bound < tail
    assert "top_k_only(2)" in done.output
    for name in ("tempered(2)", "add_c(0.5)", "top_k_only(1.5)", "quantised(0)", "rounded(0)"):
        done = CliRunner().invoke(
            fit_command, [*words[:-1], name, "--as-sampled"], catch_exceptions=False
        )
        assert done.exit_code == (0 if name == "add_c(0.5)" else 2), done.output
        assert done.exit_code == 0 or len(done.output.splitlines()) == 1


@pytest.mark.parametrize("base", ["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful", "top_k", "shrink"])
def test_students_with_a_table_of_their_own(base):
    teacher = TEACHERS["uneven"]
    old = pd.DataFrame(
        kt.teachers.dirichlet(6, 3, seed=9).pi,
        index=[str(s) for s in range(6)],
        columns=list("012"),
    )
    for n, seed in ((4, 0), (60, 1)):
        level = {"ce_sgl": access.HARD, "shrink": access.HARD, "ce_ful": access.SOFT}.get(
            base, access.top_k(1)
        )
        transfer = draw(teacher, level, n, seed, labels=list("012"))
        prior = transfer.aligned(old.sample(frac=1, random_state=0)[["2", "0", "1"]])
        np.testing.assert_array_equal(prior, old.to_numpy()[places(transfer)])
        make = {
            "shrink": lambda table: students.shrink(table, 3.0),
            "top_k": lambda table: students.with_prior(students.top_k(1), table),
        }.get(base, lambda table: students.with_prior(base, table))
        copy = fit(transfer, make(prior))
        whole = make(old.to_numpy())
        counts = counts_of(transfer, teacher)
        expected = whole.table(counts, whole.access.reveal(counts, teacher.pi))
        np.testing.assert_allclose(
            copy.pi, expected[places(transfer)[copy.rows.input]], rtol=1e-9, atol=1e-12
        )
        assert loss(copy, teacher, old.to_numpy()) <= copy.certificate(0.9).bound


def test_certificates_with_a_bad_table_cover_the_inputs_that_were_not_asked():
    """The table is wrong everywhere: a certificate of the visited inputs alone would fail."""
    inputs = 30
    teacher = kt.Teacher(
        np.tile([1.0, 0.0], (inputs, 1)),
        1 / np.arange(1, inputs + 1) / (1 / np.arange(1, inputs + 1)).sum(),
    )
    repeats, failures, blind = 20, 0, 0
    # At seed 20 the inputs that were not asked have much mass: there a certificate without them fails.
    for seed in range(20, 20 + repeats):
        transfer = draw(teacher, access.SOFT, 60, seed, labels=["0", "1"])
        wrong = np.tile([0.0, 1.0], (inputs, 1))
        copy = fit(transfer, students.with_prior("ce_ful", wrong[: len(transfer.input_names)]))
        true = loss(copy, teacher, wrong)
        failures += true > copy.certificate(0.8).bound
        blind += true > fit(transfer, "ce_ful").certificate(0.8).bound
    assert failures <= binom.ppf(1 - 1e-6, repeats, 0.2)
    assert blind > failures


def test_tables_are_aligned_by_name():
    transfer = TransferSet.from_arrays(["b", "a"], [0, 1], labels=["yes", "no"])
    frame = pd.DataFrame([[0.2, 0.8], [0.7, 0.3]], index=["a", "z"], columns=["no", "yes"])
    np.testing.assert_allclose(transfer.aligned(frame), [[0.5, 0.5], [0.8, 0.2]])
    np.testing.assert_allclose(
        transfer.aligned(fit(transfer, "laplace")), [[2 / 3, 1 / 3], [1 / 3, 2 / 3]]
    )
    with pytest.raises(ValueError, match="label 'maybe' is not among those of the records"):
        transfer.aligned(frame.rename(columns={"no": "maybe"}))
    with pytest.raises(ValueError, match="names twice"):
        transfer.aligned(pd.concat([frame, frame]))
    with pytest.raises(ValueError, match="names twice the input 'a'"):
        transfer.aligned(pd.concat([frame, frame]))
    with pytest.raises(ValueError, match="names twice the label 'no'"):
        transfer.aligned(pd.concat([frame, frame[["no"]]], axis=1))
    for wrong in ("x", np.eye(3), None):
        with pytest.raises(ValueError, match="must be a Copy, or a pandas DataFrame"):
            transfer.aligned(wrong)


@pytest.mark.parametrize("n", [5, 400])
def test_pooled_students(n):
    teacher, student = TEACHERS["dirichlet"], students.tempered_mle(2.0)
    transfer = draw(teacher, student.access, n, 0)
    copy = fit(transfer, student)
    counts = counts_of(transfer, teacher)
    expected = student.table(counts, student.access.reveal(counts, teacher.pi))
    np.testing.assert_allclose(copy.pi, expected[places(transfer)[copy.rows.input]], rtol=1e-6)
    found = copy.certificate(0.9)
    assert loss(copy, teacher) <= found.bound
    assert not any("temperature(2)" in text for text in found.assumptions)


@pytest.mark.parametrize(
    ("student", "level", "message"),
    [
        (students.jacobian(np.eye(7)), access.SOFT, "needs gradients"),
        (students.noisy(0.1), access.SOFT, "needs noisy answers as they came"),
        (students.logits(), access.SOFT, "needs logits: records state log-probabilities"),
        (
            students.affine_ful(np.eye(7)),
            access.SOFT,
            "needs logits: records state log-probabilities",
        ),
        (students.tempered(2.0, of=access.PARTIAL), access.SOFT, "whole rows alone can be undone"),
        (students.rounded(0.1, of=access.top_k(2)), access.SOFT, "whole rows alone can be undone"),
        (students.tempered(2.0), access.top_k(2), "needs all probabilities of a row"),
        (students.rounded(0.1), access.top_k(2), "needs all probabilities of a row"),
        (students.quantised(8), access.PARTIAL, "needs all probabilities of a row"),
        (students.tempered(2.0), access.HARD, "the records state no probabilities"),
        (students.top_k(2, sampled=False), access.HARD, "the records state no probabilities"),
        (
            students.with_prior("ce_ful", np.full((3, 5), 0.2)),
            access.SOFT,
            r"its table has shape \(3, 5\)",
        ),
        (students.shrink(np.full((3, 5), 0.2), 1.0), access.HARD, r"transfer\.aligned\(table\)"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_records_cannot_hold_is_refused_in_one_line(student, level, message):
    transfer = draw(TEACHERS["dirichlet"], level, 40, 0)
    with pytest.raises(ValueError, match=message) as error:
        fit(transfer, student)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "student", [students.rounded(0.1), students.quantised(8), students.tempered(2.0)]
)
def test_weights_that_are_not_of_the_channel_are_refused(student):
    shown = student.access.channel.shown(kt.teachers.dirichlet(4, 5, seed=0).pi)

    def fitted(weights):
        with np.errstate(divide="ignore"):
            logs = np.minimum(np.log(weights), 0)
        return fit(TransferSet.from_arrays(range(4), [0] * 4, logprobs=logs), student)

    np.testing.assert_allclose(fitted(shown).pi.sum(axis=1), 1, rtol=1e-12)
    shifted = {
        Rounded: shown * math.exp(-0.5),
        Quantised: shown - (shown > 0.1) * 2.0**-5,
        Temperature: 0.8 * shown,
    }
    with pytest.raises(ValueError, match=r"sum to|hide some") as error:
        fitted(shifted[type(student.access.channel)])
    assert "\n" not in str(error.value)
    off = shown.copy()
    off[2, shown[2].argmax()] *= 1.003
    if isinstance(student.access.channel, Temperature):
        np.testing.assert_allclose(fitted(off).pi.sum(axis=1), 1, rtol=1e-12)
        return
    with pytest.raises(
        ValueError,
        match=r"input '2' \(line 3\) states .* of label '.', which is no multiple of 0\.",
    ) as error:
        fitted(off)
    assert "\n" not in str(error.value)


def test_pooled_students_need_sampled_labels():
    transfer = TransferSet.from_arrays(["a", "b"], logprobs=np.log([[0.5, 0.5], [0.25, 0.75]]))
    with pytest.raises(kt.AccessError, match="2 records have none"):
        fit(transfer, students.tempered_mle(2.0))
    np.testing.assert_allclose(fit(transfer, students.tempered(2.0)).pi, [[0.5, 0.5], [0.1, 0.9]])
