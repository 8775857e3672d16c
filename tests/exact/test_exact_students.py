"""Exact risks of the students that have parameters: top_k, add_c, grad_ful; and who has none."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import transfer_sets

import kt_theory as kt
from kt_theory.testing import assert_risk

RNG = np.random.default_rng(8)
TEACHERS = {
    "generic": (kt.Teacher([[0.5, 0.2, 0.2, 0.1], [0.0, 0.9, 0.1, 0.0]], [0.6, 0.4]), 5),
    "one input": (kt.Teacher([[0.4, 0.3, 0.2, 0.1]]), 6),
    "degenerate": (kt.Teacher([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, 0.5, 0.0]), 4),
    "one label": (kt.Teacher([[1.0], [1.0]], [0.3, 0.7]), 3),
    "zeros and ties": (kt.Teacher([[0.5, 0.25, 0.25, 0.0, 0.0], [0.2] * 5], [0.25, 0.75]), 4),
}
STUDENTS = [
    *kt.students.NAMED.values(),
    kt.students.add_c(0.0),
    kt.students.add_c(0.1),
    kt.students.add_c(7.0),
    *(kt.students.top_k(k) for k in range(5)),
]
EXACT = [student for student in STUDENTS if student.exact]


def enumerated(student, teacher, n):
    def loss(counts):
        counts = student.access.seen_counts(counts, teacher.pi)
        table = student.table(counts, student.access.reveal(counts, teacher.pi))
        return float(kt.total_variation(table, teacher.pi, teacher.rho))

    return sum(weight * loss(counts) for counts, weight in transfer_sets(teacher, n))


@pytest.mark.parametrize("case", TEACHERS)
@pytest.mark.parametrize("student", EXACT, ids=lambda student: student.name)
def test_enumeration_of_all_transfer_sets(student, case):
    teacher, n = TEACHERS[case]
    for size in (0, 1, n):
        expected = enumerated(student, teacher, size)
        assert kt.exact_risk(teacher, student, size) == pytest.approx(
            expected, rel=1e-10, abs=1e-14
        )


@pytest.mark.parametrize(
    "graph", [kt.graphs.cycle(4), kt.graphs.path(4), kt.graphs.complete(4), np.zeros((4, 4))]
)
def test_enumeration_of_grad_ful(graph):
    teacher = kt.Teacher(RNG.dirichlet(np.ones(2), size=4), RNG.dirichlet(np.ones(4)))
    student = kt.students.grad_ful(graph)
    for n in (0, 1, 4):
        assert kt.exact_risk(teacher, student, n) == pytest.approx(
            enumerated(student, teacher, n), rel=1e-10
        )


LARGER = [
    (student, teacher, n)
    for teacher, n in [
        (kt.Teacher(np.array([[0.4] + [0.02] * 20 + [0.05] * 4] * 6)), 60),
        (kt.Teacher([[0.7] + [0.3 / 99] * 99]), 300),
        (kt.Teacher(RNG.dirichlet(np.ones(7), size=5), RNG.dirichlet(np.ones(5))), 2000),
        (kt.Teacher(np.eye(12), RNG.dirichlet(np.full(12, 0.5))), 20),
    ]
    for student in [
        *kt.STUDENTS.values(),
        kt.students.add_c(0.7),
        kt.students.top_k(1),
        kt.students.top_k(3),
    ]
    if not (student.name == "ce_ptl" and teacher.inputs == 5)
]


@pytest.mark.parametrize(
    ("student", "teacher", "n"),
    LARGER,
    ids=[f"{s.name}-{t.inputs}x{t.labels}" for s, t, _ in LARGER],
)
def test_monte_carlo_agrees(student, teacher, n):
    """False alarm 1e-6 each; an error of 0.006 in a risk is caught with the same certainty."""
    estimate = kt.simulate(teacher, student, n=n, repeats=50_000, seed=3).estimates[0]
    assert_risk(estimate, kt.exact_risk(teacher, student, n), detects=0.006)


def test_the_judge_convicts_a_wrong_student():
    teacher = LARGER[0][1]
    estimate = kt.simulate(teacher, kt.students.add_c(0.7), n=60, repeats=50_000, seed=3).estimates[
        0
    ]
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(estimate, kt.exact_risk(teacher, kt.students.add_c(0.8), 60), detects=0.006)


def test_parameters_at_their_ends():
    teacher = kt.Teacher([[0.4, 0.3, 0.2, 0.1], [0.25] * 4], [0.3, 0.7])
    n = np.array([0, 1, 10, 100, 10**6])
    same = {
        "add_c(0)": (kt.students.add_c(0), "ce_sgl"),
        "top_k(0)": (kt.students.top_k(0), "sel_ptl"),
    }
    same |= {f"top_k({k})": (kt.students.top_k(k), "ce_ful") for k in (3, 4, 9)}
    for student, equal in same.values():
        np.testing.assert_allclose(
            kt.exact_risk(teacher, student, n), kt.exact_risk(teacher, equal, n), rtol=1e-11
        )
    no_edges = kt.students.grad_ful(np.zeros((2, 2)))
    np.testing.assert_allclose(
        kt.exact_risk(teacher, no_edges, n), kt.exact_risk(teacher, "ce_ful", n), rtol=1e-12
    )
    floors = {"ce_ptl", "argmax", "argmax_hedged"}
    assert all(
        kt.exact_risk(teacher, student, np.inf) == 0
        for student in EXACT
        if student.name not in floors
    )


def test_add_c_at_large_n_tends_to_ce_sgl():
    teacher = kt.Teacher.from_classes([[0.5, 0.3, 0.2]], [1e-3], [1000])
    for n in (10**6, 10**8):
        ratio = kt.exact_risk(teacher, kt.students.add_c(0.5), n) / kt.exact_risk(
            teacher, "ce_sgl", n
        )
        assert abs(ratio - 1) < 30 / (n / 1000) ** 0.5 / 10


def test_students_without_an_exact_risk_say_so():
    teacher = kt.Teacher([[0.5, 0.5]])
    with pytest.raises(
        kt.NoExactRisk, match=r"student 'good_turing' has no exact risk: use simulate"
    ):
        kt.exact_risk(teacher, "good_turing", 5)
    with pytest.raises(ValueError, match="did you mean 'ce_sgl'"):
        kt.exact_risk(teacher, "ce_sgll", 5)
    with pytest.raises(kt.NoExactRisk, match=r"top_k\(2\) on a row of .* distinct probabilities"):
        kt.exact_risk(kt.teachers.zipf(1, 1000), kt.students.top_k(2), 50)
