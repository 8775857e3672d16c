"""Lineages: the batch learner against the students' own tables, means against enumeration, floors and inequalities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import enumerated_risk, paper_table, transfer_sets

import kt_theory as kt
from kt_theory import access, students
from kt_theory.affine import AffineLogits
from kt_theory.generations import lineage
from kt_theory.generations.learning import Learner, draw_labels
from kt_theory.testing import assert_risk, confidence_radius, teachers

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 2))
AFFINE = kt.Teacher(
    AffineLogits(RNG.normal(size=(4, 2)), RNG.normal(size=4)).table(X), RNG.dirichlet(np.ones(6))
)
PRIOR = RNG.dirichlet(np.ones(4), size=6)
TINY = kt.Teacher([[0.5, 0.3, 0.2], [0.0, 0.9, 0.1]], [0.6, 0.4])


def estimate(frame, generation, column):
    row = frame[frame["generation"] == generation].iloc[0]
    return SimpleNamespace(mean=row[column], std_error=row[f"{column}_se"], repeats=row["repeats"])


@pytest.mark.parametrize(
    "student",
    [
        *students.STUDENTS.values(),
        students.NAMED["good_turing"],
        students.top_k(2),
        students.top_k(2, sampled=False),
        students.noisy(0.5, access.PARTIAL),
        students.jacobian(X),
        students.tempered_mle(2.0),
        students.with_prior("sel_ptl", PRIOR),
        students.shrink(PRIOR, 3.0),
        students.grad_ful(kt.graphs.path(6)),
    ],
    ids=lambda student: student.name,
)
def test_the_batch_learner_writes_the_tables_of_the_students(student):
    """The same answers, from the same generator, go to `Access.reveal` and `Student.table`, repeat by repeat."""
    tables = np.broadcast_to(AFFINE.pi, (5, 6, 4)).copy()
    for n in (0, 1, 12):
        done = []
        learner = Learner(student, 6, 4)
        answers = learner.answers(tables, AFFINE.rho, n, np.random.default_rng(n))
        copies = learner.write(*answers, done.append)
        assert sum(done) == 5
        rng = np.random.default_rng(n)
        visits = draw_labels(np.full((5, 1), n), np.broadcast_to(AFFINE.rho, (5, 1, 6)), rng)[:, 0]
        counts = draw_labels(visits, tables, rng)
        assert (counts.sum(axis=2) == visits).all()
        assert (visits.sum(axis=1) == n).all()
        for copy, count in zip(copies, counts, strict=True):
            seen = student.access.seen_counts(count, AFFINE.pi)
            expected = student.table(seen, student.access.reveal(count, AFFINE.pi, rng))
            np.testing.assert_allclose(copy, expected, atol=1e-12)


@given(teachers(), st.integers(0, 9), st.integers(0, 2**32))
def test_labels_of_probability_zero_are_never_drawn(teacher, n, seed):
    rng = np.random.default_rng(seed)
    counts = draw_labels(
        np.full((3, teacher.inputs), n), np.broadcast_to(teacher.pi, (3, *teacher.pi.shape)), rng
    )
    assert (counts.sum(axis=2) == n).all()
    assert (counts[:, teacher.pi == 0] == 0).all()


def test_the_last_label_is_not_drawn_by_rounding():
    """Ten tenths sum to less than 1 in float64: naive conditional binomials would leave 1e-16 to the label after."""
    row = np.array([0.1] * 10 + [0.0])
    counts = draw_labels(np.full((1, 1), 2**53), row[None, None], np.random.default_rng(0))
    assert counts[0, 0, -1] == 0
    assert counts.sum() == 2**53


@pytest.mark.parametrize("name", kt.STUDENTS)
def test_two_generations_agree_with_enumeration(name):
    """All transfer sets of the teacher, and all of every student that it can have; n = 3, 2 inputs, 3 labels."""
    frame = lineage(TINY, [(name, 3), (name, 3)], repeats=40_000, seed=1, progress=False)
    second = previous = diversity = 0.0
    for counts, weight in transfer_sets(TINY, 3):
        first = paper_table(name, counts, TINY.pi)
        child = kt.Teacher(first, TINY.rho)
        previous += weight * enumerated_risk(name, child, 3)
        for again, chance in transfer_sets(child, 3):
            table = paper_table(name, again, first)
            second += weight * chance * kt.total_variation(table, TINY.pi, TINY.rho)
            diversity += weight * chance * (TINY.rho @ (1.0 - (table**2).sum(axis=1)))
    for generation, column, expected in (
        (1, "to_truth", enumerated_risk(name, TINY, 3)),
        (2, "to_truth", second),
        (2, "to_previous", previous),
        (2, "heterozygosity", diversity),
    ):
        found = estimate(frame, generation, column)
        assert_risk(found, expected, detects=0.02)
        with pytest.raises(AssertionError, match="away"):
            assert_risk(found, expected + 0.02, detects=0.02)


def test_intervals_hold_what_was_never_seen():
    """A loss of 0 in each of 20 repeats has an upper bound, 1 - 0.05^(1/20); the truth needs none."""
    frame = lineage(TINY, [("ce_ful", 1000), ("ce_sgl", 20)], repeats=20, seed=1, progress=False)
    truth, first, second = (row for _, row in frame.iterrows())
    for column in ("to_truth", "to_previous", "heterozygosity", "point_masses"):
        assert truth[f"{column}_low"] == truth[f"{column}_high"] == truth[column]
        assert first[f"{column}_low"] <= first[column] < first[f"{column}_high"]
    assert first["to_truth"] == first["to_truth_se"] == 0.0
    assert first["to_truth_high"] == pytest.approx(1 - 0.05 ** (1 / 20), rel=1e-12)
    assert truth["to_truth_interval"] == "exact"
    assert first["to_truth_interval"] == "clopper-pearson"
    assert second["to_truth_interval"] == "normal"
    half = 2.093024054408263 * second["to_truth_se"]  # Student's t of 19 degrees
    assert second["to_truth_low"] == pytest.approx(second["to_truth"] - half, rel=1e-12)
    assert second["to_truth_high"] == pytest.approx(second["to_truth"] + half, rel=1e-12)


def test_95_in_100_intervals_hold_the_exact_risk():
    """P(Bin(200, 0.95) < 170) = 2.5e-8; intervals of half the width would hold it in about 134."""
    exact = kt.exact_risk(TINY, "ce_sgl", 12)
    held = 0
    for seed in range(200):
        row = lineage(TINY, [("ce_sgl", 12)], repeats=50, seed=seed, progress=False).iloc[1]
        held += row["to_truth_low"] <= exact <= row["to_truth_high"]
    assert 170 <= held < 200


@pytest.mark.parametrize("student", ["ce_sgl", "laplace", students.top_k(1)])
def test_the_original_training_set_is_direct_training(student):
    """One stage is the student on n pairs of the truth: its exact risk."""
    truth = kt.teachers.dirichlet(inputs=6, labels=4, alpha=0.8, seed=3)
    frame = lineage(truth, [(student, 30)], repeats=20_000, seed=2, progress=False)
    assert_risk(estimate(frame, 1, "to_truth"), kt.exact_risk(truth, student, 30), detects=0.01)


def test_an_imperfect_teacher_is_the_floor_of_its_students():
    """Soft labels of a teacher from N pairs: a row is either unvisited, or as wrong as the teacher's, independently.

    So the risk to the truth is sum_s rho_s [(1-rho_s)^n TV(Uniform, p_s) + (1 - (1-rho_s)^n) r_s], r_s the teacher's
    error on the row; here all rows and all rho are equal.
    """
    truth = kt.Teacher(np.tile([0.6, 0.3, 0.1], (4, 1)))
    floor = kt.exact_risk(truth, "ce_sgl", 40)
    for n in (2, 10, 1000):
        unseen = 0.75**n
        expected = unseen * (0.6 - 1 / 3) + (1 - unseen) * floor
        frame = lineage(
            truth, [("ce_sgl", 40), ("ce_ful", n)], repeats=20_000, seed=n, progress=False
        )
        assert_risk(estimate(frame, 2, "to_truth"), expected, detects=0.012)
    with pytest.raises(
        AssertionError, match="away"
    ):  # a perfect teacher's student would have no floor
        assert_risk(
            estimate(frame, 2, "to_truth"), kt.exact_risk(truth, "ce_ful", 1000), detects=0.012
        )


@given(
    teachers(),
    st.sampled_from(sorted(kt.STUDENTS)),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 99),
)
def test_the_triangle_inequality_holds_both_ways(truth, student, many, n, seed):
    frame = lineage(truth, [("ce_sgl", many), (student, n)], repeats=20, seed=seed, progress=False)
    teacher, to_truth = frame["to_truth"][1], frame["to_truth"][2]
    assert abs(to_truth - teacher) <= frame["to_previous"][2] + 1e-12


def test_soft_labels_of_a_rich_teacher_beat_hard_labels_of_the_truth():
    """A student with n queries: of a teacher from N pairs, all probabilities; of the truth, a label. N decides."""
    truth = kt.teachers.dirichlet(inputs=20, labels=10, alpha=1.0, seed=0)
    direct = kt.exact_risk(truth, "ce_sgl", 400)
    for many, better in ((200, False), (4000, True)):
        frame = lineage(
            truth, [("ce_sgl", many), ("ce_ful", 400)], repeats=2000, seed=0, progress=False
        )
        found = estimate(frame, 2, "to_truth")
        assert abs(found.mean - direct) > confidence_radius(found.std_error, 2000)
        assert (found.mean < direct) == better


def test_the_first_generations_do_not_depend_on_those_that_follow():
    short = lineage(TINY, [("ce_sgl", 4)], repeats=50, seed=7, progress=False)
    long = lineage(TINY, [("ce_sgl", 4), ("sel_ptl", 9)], repeats=50, seed=7, progress=False)
    again = lineage(TINY, [("ce_sgl", 4), ("sel_ptl", 9)], repeats=50, seed=7, progress=False)
    assert short.equals(long.iloc[:2])
    assert long.equals(again)
    assert not long.equals(
        lineage(TINY, [("ce_sgl", 4), ("sel_ptl", 9)], repeats=50, seed=8, progress=False)
    )


def test_blocks_of_repeats_add_up():
    """Enough repeats for several blocks: the mean is still that of the exact risk, on a large table."""
    truth = kt.teachers.dirichlet(inputs=500, labels=100, alpha=1.0, seed=1)
    frame = lineage(truth, [("ce_ful", 300)], repeats=25, seed=0, progress=False)
    assert_risk(estimate(frame, 1, "to_truth"), kt.exact_risk(truth, "ce_ful", 300), detects=5.0)
    assert frame["to_truth"][1] == pytest.approx(kt.exact_risk(truth, "ce_ful", 300), rel=0.01)


def test_large_tables_are_written_in_pieces(monkeypatch):
    """Between pieces the bar moves on and an interrupt is heard; what is written does not depend on them."""
    tables = np.broadcast_to(TINY.pi, (10, 2, 3))
    learner = Learner(students.SEL_PTL, 2, 3)
    answers = learner.answers(tables, TINY.rho, 4, np.random.default_rng(0))
    whole = learner.write(*answers, int)
    monkeypatch.setattr("kt_theory.generations.learning._CELLS_AT_ONCE", 18)
    done = []
    np.testing.assert_array_equal(learner.write(*answers, done.append), whole)
    assert done == [3, 3, 3, 1]


def test_a_function_is_a_stage():
    half = lineage(TINY, [lambda table: 0.5 * table + 0.5 / 3], repeats=2, progress=False)
    assert half["to_truth"][1] == pytest.approx(
        0.5 * TINY.rho @ np.abs(TINY.pi - 1 / 3).sum(axis=1) / 2, abs=1e-15
    )
    assert half["stage"][1] == "<lambda>"
    assert half["point_masses"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("ce_sgl", "stages = 'ce_sgl': must be a list"),
        ([], "stages = .*: give at least one"),
        ([("ce_sgl", 3), 7], "stage 2 is 7: must be"),
        ([(["ce_sgl", "ce_ful"], 3)], "stage 1 names 2 students: give one"),
        ([("ce_sgl", -1)], "n of stage 1 = -1: must be at least 0"),
        ([("cesgl", 3)], "unknown student 'cesgl'"),
        ([lambda table: table[:1]], "stage 1 wrote a table of shape"),
        ([lambda table: 2 * table], "table of stage 1 row 0 sums to 2"),
        ([(students.shrink(PRIOR, 1.0), 3)], "prior has shape"),
        ([(students.jacobian(X[:2]), 3), (students.jacobian(X[:2]), 3)], "affine"),
    ],
)
def test_bad_stages_are_named(stages, message):
    with pytest.raises(ValueError, match=message):
        lineage(TINY, stages, repeats=2, progress=False)
    with pytest.raises(ValueError, match="truth is a list"):
        lineage([[1.0]], [("ce_sgl", 1)])


def test_rules_that_write_nonsense_are_named():
    @kt.row_rule
    def twice(counts, revealed, out):
        out[:] = 2.0 / counts.size

    with pytest.raises(kt.RowRuleError, match="'twice': its row rule wrote a row that sums to 2"):
        lineage(TINY, [(kt.Student("twice", "hard", twice), 2)], repeats=2, progress=False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_rules_that_raise_are_named():
    @kt.row_rule
    def outside(counts, revealed, out):
        out[counts.size] = 1.0

    @kt.table_rule
    def missing(counts, revealed, out):
        out[counts.shape[0], 0] = 1.0

    for rule, kind in ((outside, "row rule"), (missing, "table rule")):
        with pytest.raises(kt.RowRuleError, match=f"its {kind} raised IndexError"):
            lineage(TINY, [(kt.Student("mine", "hard", rule), 2)], repeats=500, progress=False)
