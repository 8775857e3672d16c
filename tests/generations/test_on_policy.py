"""Students on their own inputs: laws of chains, fixed points, and rounds over all transfer sets."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from oracles import counts_of

import kt_theory as kt
from kt_theory import access, students
from kt_theory.catalogue import student as named
from kt_theory.generations import OnPolicy
from kt_theory.testing import assert_risk

TEACHER = kt.Teacher([[0.9, 0.1], [0.4, 0.6]], [0.3, 0.7])
CHAIN = OnPolicy(TEACHER, [[0, 1], [0, 1]], restart=0.25)
RNG = np.random.default_rng(3)


def test_the_law_of_a_table_is_that_of_its_chain():
    """d_q = sum_t restart (1 - restart)^t rho P^t, term by term, for one table and for many."""
    teacher = kt.Teacher(RNG.dirichlet(np.ones(3), 5), RNG.dirichlet(np.ones(5)))
    following = RNG.integers(5, size=(5, 3))
    for restart in (0.05, 0.5, 1.0):
        chain = OnPolicy(teacher, following, restart)
        tables = RNG.dirichlet(np.ones(3), (4, 5))
        laws = chain.law(tables)
        for q, found in zip(tables, laws, strict=True):
            step = np.zeros((5, 5))
            for s in range(5):
                for a in range(3):
                    step[s, following[s, a]] += q[s, a]
            at, summed = teacher.rho.copy(), np.zeros(5)
            for t in range(800):
                summed += restart * (1.0 - restart) ** t * at
                at = at @ step
            np.testing.assert_allclose(found, summed, atol=1e-14)
            np.testing.assert_allclose(chain.law(q), summed, atol=1e-14)
        assert np.abs(laws[0] - laws[1]).max() > 1e-3 or restart == 1.0
    np.testing.assert_allclose(laws, np.tile(teacher.rho, (4, 1)), atol=1e-15)


def test_a_bigram_that_ends_as_it_begins_meets_its_own_rho():
    """rho is the stationary law of the text's chain, so that any restart leaves it."""
    text = "the cat sat on the mat and the dog sat on the log "
    teacher = kt.teachers.ngram(text + text[0], 2)
    following = np.tile(np.arange(teacher.labels), (teacher.inputs, 1))
    law = OnPolicy(teacher, following, 0.01).law(teacher.pi)
    np.testing.assert_allclose(law, teacher.rho, atol=1e-13)


@pytest.mark.parametrize(
    "student", ["ce_sgl", "sel_ptl", "ce_ful", "laplace", students.noisy(0.3), students.top_k(1)]
)
def test_students_without_bias_end_as_the_teacher(student):
    found = CHAIN.fixed_point(student)
    np.testing.assert_allclose(found.table, TEACHER.pi, atol=1e-14)
    np.testing.assert_allclose(found.law, CHAIN.law(TEACHER.pi), atol=1e-14)
    assert max(found.risk, found.teacher_risk) < 1e-14
    assert found.rounds == 1


def test_a_biased_student_ends_where_its_bias_leads():
    """ce_ptl squares the rows; the law of two states is rho_0 r + (1 - r) (d_0 q_00 + d_1 q_10) =
    d_0, solved by hand.
    """
    squares = TEACHER.pi**2 / (TEACHER.pi**2).sum(axis=1, keepdims=True)
    found = CHAIN.fixed_point("ce_ptl")
    np.testing.assert_allclose(found.table, squares, atol=1e-14)
    stay, back = squares[:, 0]
    first = (0.25 * 0.3 + 0.75 * back) / (1.0 - 0.75 * (stay - back))
    np.testing.assert_allclose(found.law, [first, 1.0 - first], atol=1e-14)
    rows = 0.5 * np.abs(squares - TEACHER.pi).sum(axis=1)
    assert found.risk == pytest.approx(first * rows[0] + (1 - first) * rows[1], abs=1e-14)
    assert found.law[0] > found.teacher_law[0] + 0.02


def test_inputs_that_no_label_leads_to_are_never_learnt():
    """From input 0 alone, label 0 stays and label 1 leads to input 1, and only label 2, which the
    teacher never says, to input 2: the uniform student meets it once, and then no more.
    """
    teacher = kt.Teacher(
        [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [1, 0, 0]], [1, 0, 0, 0]
    )
    chain = OnPolicy(teacher, [[0, 1, 2], [0, 1, 1], [2, 2, 3], [0, 0, 0]], 0.5)
    found = chain.fixed_point("ce_ful")
    assert (found.law[2:] == 0.0).all()
    assert found.rounds == 1
    assert found.risk < 1e-15
    greedy = OnPolicy(teacher, [[3, 1, 2], [0, 1, 1], [2, 2, 3], [0, 0, 0]], 0.5)
    assert greedy.fixed_point(named("argmax")).law[1] == 0.0
    only_start = OnPolicy(teacher, [[0, 1, 2], [0, 1, 1], [2, 2, 3], [0, 0, 0]], 1.0)
    assert np.allclose(only_start.fixed_point("ce_ful").table[1:], 1 / 3)


def rounds_of(student, data, n, rounds):
    """(own_inputs, teacher_inputs) of each round, over all transfer sets of all rounds."""
    teacher_law = CHAIN.law(TEACHER.pi)
    laws, found = Counter({(0, 0, 0, 0): 1.0}), []
    for _ in range(rounds + 1):
        totals, following = np.zeros(2), Counter()
        for pool, weight in laws.items():
            counts = np.array(pool).reshape(2, 2)
            seen = student.access.seen_counts(counts, TEACHER.pi)
            table = student.table(seen, student.access.reveal(counts, TEACHER.pi))
            law = CHAIN.law(table)
            rows = 0.5 * np.abs(table - TEACHER.pi).sum(axis=1)
            totals += weight * np.array([rows @ law, rows @ teacher_law])
            joint = (law[:, None] * TEACHER.pi).ravel()
            for more in counts_of(n, 4):
                chance = math.factorial(n) * math.prod(
                    p**k / math.factorial(k) for p, k in zip(joint, more, strict=True)
                )
                kept = tuple(np.add(pool, more)) if data == "accumulate" else more
                following[kept] += weight * chance
        found.append(totals)
        laws = following
    return np.array(found)


@pytest.mark.parametrize("data", ["replace", "accumulate"])
@pytest.mark.parametrize("student", ["ce_sgl", "ce_ful", "ce_ptl"])
def test_rounds_are_those_of_all_transfer_sets(student, data):
    """False alarms below 1e-6; gaps of 0.02 are found."""
    exact = rounds_of(students.STUDENTS[student], data, 2, 3)
    frame = CHAIN.simulate(student, 2, 3, 20_000, 1, data=data, progress=False)
    assert len(frame) == 4
    for at in range(4):
        for column, value in zip(("own_inputs", "teacher_inputs"), exact[at], strict=True):
            assert_risk(of(frame, at, column), value, detects=0.02)
    with pytest.raises(AssertionError, match="away"):
        assert_risk(of(frame, 1, "own_inputs"), exact[0, 0], detects=0.02)


def of(frame, at, column):
    row = frame.iloc[at]
    return SimpleNamespace(mean=row[column], std_error=row[f"{column}_se"], repeats=row["repeats"])


def test_many_pairs_come_to_the_fixed_point():
    found = CHAIN.fixed_point("ce_ptl")
    frame = CHAIN.simulate("ce_ptl", 10**8, 3, 20, 0, progress=False)
    assert frame["own_inputs"].iloc[-1] == pytest.approx(found.risk, abs=1e-4)
    assert frame["teacher_inputs"].iloc[-1] == pytest.approx(found.teacher_risk, abs=1e-4)
    apart = 0.5 * np.abs(found.law - found.teacher_law).sum()
    assert frame["laws_apart"].iloc[-1] == pytest.approx(apart, abs=1e-4)
    assert abs(frame["own_inputs"].iloc[0] - found.risk) > 0.01


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: OnPolicy(TEACHER, [[0, 1, 1]] * 2), r"following has shape \(2, 3\): must be the"),
        (lambda: OnPolicy(TEACHER, [[0, 2]] * 2), r"following\[0, 1\] = 2: must be an input, from"),
        (lambda: OnPolicy(TEACHER, [[0, 0.5]] * 2), r"following\[0, 1\] = 0.5: must be an input"),
        (lambda: OnPolicy(TEACHER, [[0, math.nan]] * 2), r"following\[0, 1\] = nan"),
        (
            lambda: OnPolicy(TEACHER, [[0, 1]] * 2, 0.0),
            "restart = 0.0: must be a finite number abo",
        ),
        (lambda: OnPolicy(TEACHER, [[0, 1]] * 2, 1.5), "restart = 1.5: must lie from 0 to 1"),
        (lambda: OnPolicy("t", [[0, 1]] * 2), "teacher"),
        (lambda: CHAIN.law([[1.0]]), r"table has shape \(1, 1\): must be the teacher's, \(2, 2\)"),
        (lambda: CHAIN.simulate("ce_sgl", -1), "n = -1: must be at least 0"),
        (lambda: CHAIN.simulate("ce_sgl", 5, 0), "rounds = 0: must be at least 1"),
        (lambda: CHAIN.simulate("ce_sgl", 5, data="keep"), "unknown data 'keep'"),
        (
            lambda: CHAIN.simulate(students.noisy(0.5, access.PARTIAL), 5, data="accumulate"),
            "the noise that student 'noisy.* sees is fresh in every answer; give data='replace'",
        ),
    ],
)
def test_what_is_no_chain_is_refused(call, said):
    with pytest.raises((ValueError, TypeError), match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
