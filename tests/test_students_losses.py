"""Hinton's loss, non-target and greedy answers, known labels and groups: against definitions of their own."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from grids import few_quick
from hypothesis import given
from hypothesis import strategies as st
from oracles import transfer_sets
from scipy.optimize import minimize

import kt_theory as kt
from kt_theory import access, cli, students
from kt_theory.kernels.paths import PATHS
from kt_theory.simulation.cell import Cell
from kt_theory.simulation.plans import drawn
from kt_theory.testing import assert_risk, confidence_radius, teachers

RNG = np.random.default_rng(31)
HOT = students.hinton(0.5, 4.0)
TEACHERS = {
    "generic": (kt.Teacher([[0.5, 0.2, 0.2, 0.1], [0.0, 0.9, 0.1, 0.0]], [0.6, 0.4]), 5),
    "one input": (kt.Teacher([[0.4, 0.3, 0.2, 0.1]]), 6),
    "degenerate": (kt.Teacher([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, 0.5, 0.0]), 4),
    "one label": (kt.Teacher([[1.0], [1.0]], [0.3, 0.7]), 3),
    "zeros and ties": (
        kt.Teacher([[0.5, 0.25, 0.25, 0.0, 0.0], [0.2] * 5, [0, 0, 1, 0, 0]], [0.25, 0.5, 0.25]),
        4,
    ),
}


def learnt(student, counts, pi, rng=None):
    seen = student.access.seen_counts(counts, pi)
    return student.table(seen, student.access.reveal(seen, pi, rng))


def named(student):
    return students.as_students(student)[0]


def distance(table, teacher):
    return float(kt.total_variation(table, teacher.pi, teacher.rho))


def enumerated(student, teacher, n):
    return sum(
        w * distance(learnt(student, counts, teacher.pi), teacher)
        for counts, w in transfer_sets(teacher, n)
    )


EXACT = [
    "argmax",
    "argmax_hedged",
    "non_target",
    students.hinton(0.3),
    students.hinton(0.0, 3),
    students.hinton(1, 3),
]


@pytest.mark.parametrize("student", EXACT, ids=lambda s: getattr(s, "name", s))
@pytest.mark.parametrize("case", TEACHERS)
def test_exact_risks_by_enumeration_of_all_transfer_sets(student, case):
    teacher, n = TEACHERS[case]
    for size in (0, 1, n):
        expected = enumerated(named(student), teacher, size)
        assert kt.exact_risk(teacher, student, size) == pytest.approx(
            expected, rel=1e-10, abs=1e-14
        )


def agrees(students_, teacher, n, path=None):
    cell = Cell(teacher, students_, n, seed=4, how=drawn(teacher, n, path=path))
    losses = np.empty((2, len(cell.students)))
    cell.run(0, 2, losses)
    for (r, row), (j, student) in product(enumerate(losses), enumerate(cell.students)):
        assert row[j] == pytest.approx(
            distance(student.table(*cell.answers(j, r)), teacher), abs=1e-11
        )


@pytest.mark.parametrize("path", PATHS)
def test_the_engine_shows_what_reveal_says(path):
    """Rows of one, two and more labels of positive probability, visited never, once and often."""
    pi = RNG.dirichlet(np.full(5, 0.4), size=12)
    pi[:3] = 0.0
    pi[[0, 0, 1, 1, 2], [1, 4, 0, 1, 3]] = [0.3, 0.7, 0.5, 0.5, 1.0]
    teacher = kt.Teacher(pi, RNG.dirichlet(np.ones(12)))
    moves = kt.Student("moves", access.NON_TARGET, kt.RowRule(moves_with_everything))
    for n in (0, 9, 200):
        agrees([moves, named("non_target"), named("argmax")], teacher, n, path)


def test_the_engine_runs_rules_that_call_rules():
    teacher = kt.Teacher(RNG.dirichlet(np.full(5, 0.4), size=8), RNG.dirichlet(np.ones(8)))
    chosen = [HOT, students.grouped("sel_ptl", np.arange(8) // 2)]
    for n in (0, 25):
        agrees(chosen, teacher, n)


def moves_with_everything(counts, revealed, out):
    total = 0.0
    for a in range(counts.size):
        out[a] = (
            0.1
            + 0.05 * counts[a]
            + (0.3 if np.isnan(revealed[a]) else 2.0 * revealed[a]) * (1.0 + 0.01 * a)
        )
        total += out[a]
    out /= total


# Hinton's loss


@given(
    teacher=teachers(4, 6), n=st.integers(0, 20), seed=st.integers(0, 2**32), alpha=st.floats(0, 1)
)
def test_at_temperature_one_the_mixture_is_exact(teacher, n, seed, alpha):
    """TV(q, p) = alpha TV(e, p) on every visited row; unvisited rows are uniform."""
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    loss = kt.total_variation(learnt(students.hinton(alpha), counts, teacher.pi), teacher.pi)
    plain = kt.total_variation(learnt(kt.STUDENTS["ce_sgl"], counts, teacher.pi), teacher.pi)
    visited = counts.sum(axis=1) > 0
    np.testing.assert_allclose(loss, np.where(visited, alpha, 1.0) * plain, atol=1e-12)


def hinton_loss(logits, e, p, alpha, temperature):
    """The loss itself and its gradient in the logits of labels of positive probability."""

    def log_softmax(z):
        return z - z.max() - np.log(np.exp(z - z.max()).sum())

    log_q, log_hot, log_target = map(
        log_softmax, (logits, logits / temperature, np.log(p) / temperature)
    )
    q, hot, target = np.exp(log_q), np.exp(log_hot), np.exp(log_target)
    seen = e > 0
    value = -alpha * (e[seen] @ log_q[seen])
    value += (1 - alpha) * temperature**2 * (target @ (log_target - log_hot))
    return value, alpha * (q - e) + (1 - alpha) * temperature * (hot - target)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 2.0, 5.0, 50.0])
@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.95])
def test_the_student_minimises_the_loss(alpha, temperature):
    """Its gradient is 0 to 1e-12, and neither an optimiser nor the mixture finds less."""
    student = students.hinton(alpha, temperature)
    for visits in (1, 2, 30):
        p = RNG.dirichlet(np.full(5, 0.5))
        counts = RNG.multinomial(visits, p)
        q = learnt(student, counts[None], p[None])[0]
        value, gradient = hinton_loss(np.log(q), counts / visits, p, alpha, temperature)
        assert np.abs(gradient).max() < 1e-12 * max(temperature, 1.0)
        found = minimize(
            hinton_loss,
            np.zeros(5),
            (counts / visits, p, alpha, temperature),
            jac=True,
            method="BFGS",
            tol=1e-10,
        )
        assert value <= found.fun + 1e-12 * temperature**2
        if temperature != 1.0:
            rival = np.log(alpha * counts / visits + (1 - alpha) * p)
            assert value < hinton_loss(rival, counts / visits, p, alpha, temperature)[0] - 1e-9


def test_the_minimum_is_found_at_every_scale():
    rng = np.random.default_rng(7)
    for temperature, alpha in product((0.001, 0.05, 3.0, 1000.0), (0.001, 0.5, 0.999)):
        rule = students.hinton(alpha, temperature).rule
        for scale in (0.02, 1.0):
            p = rng.dirichlet(np.full(6, scale))
            p[1:3] = [1e-300, 0.0]
            p /= p.sum()
            counts = rng.multinomial(3, p)
            q = np.empty(6)
            rule(counts, p, q)
            assert q[2] == 0.0
            assert q.sum() == pytest.approx(1.0, abs=1e-14)
            here = (counts > 0) | ((p / p.max()) ** (1 / temperature) > 0)
            assert (q[~here] == 0.0).all()
            here = q > 0  # below 1e-308 float64 has no logit
            with np.errstate(under="ignore"):
                _, gradient = hinton_loss(
                    np.log(q[here]), (counts / 3)[here], p[here], alpha, temperature
                )
            assert np.abs(gradient).max() < 1e-11 * max(temperature, 1.0)


def test_hot_temperatures_match_logits():
    """T -> infinity: alpha (q - e) + (1-alpha)/B (centred z - centred log p) = 0, with an error of order 1/T."""
    p, e, alpha = np.array([0.6, 0.3, 0.08, 0.02, 0.0]), np.array([1, 0, 2, 0, 0]), 0.4
    v = np.log(p[:4]) - np.log(p[:4]).mean()

    def matching(z):
        q = np.exp(z - z.max())
        gap = z - z.mean() - v
        value = -alpha * (e[:4] / 3) @ (z - np.log(np.exp(z).sum())) + (1 - alpha) / 8 * gap @ gap
        return value, alpha * (q / q.sum() - e[:4] / 3) + (1 - alpha) / 4 * gap

    z = minimize(matching, v, jac=True, method="BFGS", tol=1e-12).x
    limit = np.append(np.exp(z) / np.exp(z).sum(), 0.0)
    off = [
        np.abs(learnt(students.hinton(alpha, t), e[None], p[None])[0] - limit).sum()
        for t in (10, 100, 1000)
    ]
    assert off[0] > 5 * off[1]
    assert off[1] == pytest.approx(10 * off[2], rel=0.05)
    assert off[2] < 1e-3 < np.abs(alpha * e / 3 + (1 - alpha) * p - limit).sum()


def test_hot_temperatures_take_the_noise_from_rare_labels():
    """An excess e - p moves q by (diag p - p p^T) alpha H^+ (e - p): of a rare label by far less than alpha of it."""
    p, alpha, temperature, visits = np.array([0.6, 0.39, 0.01]), 0.5, 4.0, 10**8
    counts = np.array([59_990_000, 39_000_000, 1_010_000])
    q = learnt(students.hinton(alpha, temperature), counts[None], p[None])[0]
    hot = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
    curve, hot_curve = np.diag(p) - np.outer(p, p), np.diag(hot) - np.outer(hot, hot)
    move = (
        curve
        @ np.linalg.pinv(alpha * curve + (1 - alpha) * hot_curve)
        @ (alpha * (counts / visits - p))
    )
    np.testing.assert_allclose(q - p, move, rtol=0.01)
    share = (q[2] - p[2]) / (counts[2] / visits - p[2])
    assert share == pytest.approx(alpha * p[2] / (alpha * p[2] + (1 - alpha) * hot[2]), rel=0.25)
    assert share < alpha / 5


def test_hot_risk_falls_and_stays_below_that_of_labels():
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.ones(6), size=3))
    run = kt.simulate(teacher, HOT, [50, 5000], 20_000, progress=False).estimates
    most = run[1].mean + confidence_radius(run[1].std_error, 20_000)
    assert most < 0.2 * run[0].mean
    assert most < kt.exact_risk(teacher, "ce_sgl", 5000)
    with pytest.raises(kt.NoExactRisk, match=r"hinton\(0.5, 4\)' has no exact risk"):
        kt.exact_risk(teacher, HOT, 50)


# Non-target parts


def fraction_rows():
    for parts in (
        [5, 3, 2],
        [1, 1, 1],
        [6, 3, 1, 0],
        [4, 0, 4],
        [7, 0, 0],
        [2, 5],
        [1, 8, 1, 2],
        [3],
    ):
        yield [Fraction(part, sum(parts)) for part in parts]


@pytest.mark.parametrize("row", list(fraction_rows()), ids=str)
def test_what_two_answers_determine_in_rational_arithmetic(row):
    """All rows that give the same answers: the row alone, or, with two labels, every odds."""
    labels = range(len(row))
    answers = {
        a: [row[b] / (1 - row[a]) if b != a else None for b in labels]
        for a in labels
        if 0 < row[a] < 1
    }
    pi = np.array([[float(p) for p in row]])
    for a, b in product(answers, answers):
        counts = np.bincount([a, b], minlength=len(row))[None]
        shown = access.NON_TARGET.reveal(counts, pi)[0]
        third = [c for c in labels if c not in (a, b) and row[c] > 0]
        if a == b:
            expected = [math.nan if c == a else float(answers[a][c]) for c in labels]
        elif third:
            ratio = answers[a][third[0]] / answers[b][third[0]]
            p = 1 - 1 / (ratio + answers[a][b])
            solved = [p if c == a else answers[a][c] * (1 - p) for c in labels]
            assert solved == row
            expected = [float(p) for p in row]
        else:
            for other in (Fraction(1, 7), Fraction(6, 7)):
                twin = [other if c == a else 1 - other if c == b else Fraction(0) for c in labels]
                assert [twin[c] / (1 - twin[a]) for c in labels if c != a] == [
                    answers[a][c] for c in labels if c != a
                ]
            expected = [math.nan if c in (a, b) else 0.0 for c in labels]
        np.testing.assert_allclose(shown, expected, atol=1e-14)
    if not answers:
        sure = int(np.argmax(pi))
        expected = [math.nan if c == sure else 0.0 for c in labels]
        np.testing.assert_array_equal(
            access.NON_TARGET.reveal(np.eye(len(row))[[sure]], pi)[0], expected
        )
    assert np.isnan(access.NON_TARGET.reveal(np.zeros(pi.shape), pi)).all()


@given(teacher=teachers(4, 6), n=st.integers(0, 30), seed=st.integers(0, 2**32))
def test_non_target_loss_of_a_row_is_the_chance_of_another_label(teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    loss = kt.total_variation(learnt(named("non_target"), counts, teacher.pi), teacher.pi)
    for s, row in enumerate(teacher.pi):
        seen = np.flatnonzero(counts[s])
        if len(seen) == 1:
            assert loss[s] == pytest.approx(1 - row[seen[0]], abs=1e-12)
        elif len(seen) > 1 and np.count_nonzero(row) > 2:
            assert loss[s] == pytest.approx(0.0, abs=1e-15)
        elif len(seen) > 1:
            assert loss[s] == pytest.approx(
                abs(counts[s, seen[0]] / counts[s].sum() - row[seen[0]]), abs=1e-12
            )


def test_non_target_needs_a_third_label_for_its_rate():
    """2 S / (n+1) wherever each row has three labels or one; with two, hard labels' rate: 3 S / (n+1) fails."""
    for labels, alpha, inputs in ((3, 0.3, 4), (20, 0.2, 7), (50, 5.0, 1)):
        pi = RNG.dirichlet(np.full(labels, alpha), size=inputs)
        pi[0] = np.eye(labels)[1]
        for n in (1, 3, 10, 100, 3000):
            for rho in (None, RNG.dirichlet(np.ones(inputs))):
                assert kt.exact_risk(kt.Teacher(pi, rho), "non_target", n) <= 2 * inputs / (n + 1)
    heavy = kt.Teacher([[1 - 2e-3, 1e-3, 1e-3]])
    assert kt.exact_risk(heavy, "non_target", 500) > 0.7 / math.e / 501
    coin = kt.Teacher([[0.5, 0.5, 0.0]])
    assert kt.exact_risk(coin, "non_target", 1000) == pytest.approx(
        kt.exact_risk(coin, "ce_sgl", 1000), rel=1e-12
    )
    assert kt.exact_risk(coin, "non_target", 1000) > 4 * 3 / 1001


# Greedy answers and knowledge


def test_known_labels_have_no_exact_risk_under_other_queries():
    law = kt.queries.iid([0.5, 0.5])
    for student in (students.masked("ce_sgl", [True, True]), students.grouped("ce_sgl", [0, 1])):
        with pytest.raises(
            kt.NoExactRisk, match=r"has no exact risk under iid\(q\) queries: use simulate"
        ):
            kt.exact_risk(kt.Teacher([[0.5, 0.5], [0.1, 0.9]], [0.3, 0.7]), student, 5, queries=law)


def test_the_floor_of_greedy_labels():
    teacher = kt.Teacher(RNG.dirichlet(np.ones(5), size=6), RNG.dirichlet(np.ones(6)))
    floor = float(teacher.rho @ (1 - teacher.pi.max(axis=1)))
    assert kt.exact_risk(teacher, "argmax", np.inf) == pytest.approx(floor, rel=1e-12)
    assert kt.exact_risk(teacher, "argmax", 10**7) == pytest.approx(floor, rel=1e-9)
    run = kt.simulate(teacher, ["argmax", "argmax_hedged"], 40, 30_000, progress=False).estimates
    for estimate in run:
        assert_risk(estimate, kt.exact_risk(teacher, estimate.student, 40), detects=0.005)
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(run[0], kt.exact_risk(teacher, "argmax_hedged", 40), detects=0.005)


BASES = [
    *("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful", "laplace", "argmax", "argmax_hedged", "non_target"),
    *(
        students.top_k(2),
        students.top_k(1, sampled=False),
        students.rounded(0.4),
        students.tempered(2.0),
    ),
    *(students.hinton(0.3), students.logits(access.PARTIAL)),
]


@pytest.mark.parametrize("base", few_quick(BASES, BASES[::3]))
def test_a_mask_makes_the_student_that_of_the_possible_labels(base):
    mask = np.array([[1, 0, 1, 1, 0], [1, 1, 0, 1, 1], [0, 0, 1, 0, 0]], dtype=bool)
    pi = np.zeros((3, 5))
    for s, row in enumerate(([0.5, 0.2, 0.3], [0.1, 0.4, 0.4, 0.1], [1.0])):
        pi[s, mask[s]] = row
    teacher, student = kt.Teacher(pi, [0.5, 0.3, 0.2]), students.masked(base, mask)

    @cache
    def among_the_possible(s, counts):
        seen = np.array(counts)[None, mask[s]]
        row = np.zeros(5)
        row[mask[s]] = learnt(named(base), seen, pi[s : s + 1, mask[s]])[0]
        return row

    for n in (0, 1, 4):
        expected = 0.0
        for counts, weight in transfer_sets(teacher, n):
            whole = np.array([among_the_possible(s, tuple(counts[s])) for s in range(3)])
            np.testing.assert_allclose(learnt(student, counts, pi), whole, atol=1e-14)
            expected += weight * teacher.rho @ (0.5 * np.abs(whole - pi).sum(axis=1))
        assert kt.exact_risk(teacher, student, n) == pytest.approx(expected, rel=1e-10, abs=1e-14)
    same = kt.Teacher([[0.5, 0.0, 0.3, 0.2], [0.7, 0.0, 0.0, 0.3]])
    small = kt.Teacher(same.pi[:, [0, 2, 3]])
    every = students.masked(base, [True, False, True, True])
    n = np.array([0, 1, 20, np.inf], dtype=object)
    np.testing.assert_allclose(
        kt.exact_risk(same, every, n), kt.exact_risk(small, base, n), rtol=1e-12, atol=1e-15
    )


def test_masks_make_labels_fewer_in_the_rate_and_simulations_agree():
    pi = np.zeros((4, 30))
    pi[:, :3] = RNG.dirichlet(np.ones(3), size=4)
    teacher, known = kt.Teacher(pi), students.masked("sel_ptl", np.arange(30) < 3)
    assert kt.exact_risk(teacher, known, 12) < 0.6 * kt.exact_risk(teacher, "sel_ptl", 12)
    estimate = kt.simulate(teacher, known, 12, 20_000, progress=False).estimates[0]
    assert_risk(estimate, kt.exact_risk(teacher, known, 12), detects=0.01)


@given(
    teacher=teachers(4, 5),
    n=st.integers(0, 20),
    seed=st.integers(0, 2**32),
    which=st.integers(0, len(BASES) - 1),
)
def test_a_wrong_mask_costs_at_least_the_mass_outside(teacher, n, seed, which):
    mask = np.random.default_rng(seed).random(teacher.pi.shape) < 0.5
    mask[~mask.any(axis=1)] = True
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    table = learnt(students.masked(BASES[which], mask), counts, teacher.pi)
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-9)
    assert (table[~mask] == 0).all()
    outside = np.where(mask, 0.0, teacher.pi).sum(axis=1)
    loss = kt.total_variation(table, teacher.pi)
    assert (loss >= outside - 1e-9).all()
    if BASES[which] == "ce_ful":
        visited = (counts.sum(axis=1) > 0) & (outside < 1)
        np.testing.assert_allclose(loss[visited], outside[visited], atol=1e-9)
    if (outside[teacher.rho > 0] > 1e-9).any() and named(BASES[which]).exact:
        with pytest.raises(kt.NoExactRisk, match="outside the mask"):
            kt.exact_risk(teacher, students.masked(BASES[which], mask), n)


POOLED = [base for base in BASES if named(base).name not in ("non_target", "logits partial")]


@pytest.mark.parametrize("base", POOLED, ids=lambda s: getattr(s, "name", s))
def test_groups_make_the_student_that_of_one_input_each(base):
    rows = np.array([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]])
    groups = [7, -1, 7, -1, 7]
    teacher = kt.Teacher(rows[[1, 0, 1, 0, 1]], [0.1, 0.3, 0.2, 0.4, 0.0])
    small, student = kt.Teacher(rows, [0.7, 0.3]), students.grouped(base, groups)
    for n in (0, 1, 3):
        expected = enumerated(named(base), small, n)
        assert enumerated(student, teacher, n) == pytest.approx(expected, rel=1e-10, abs=1e-14)
        assert kt.exact_risk(teacher, student, n) == pytest.approx(expected, rel=1e-10, abs=1e-14)
    assert kt.exact_risk(teacher, student, np.inf) == pytest.approx(
        kt.exact_risk(small, base, np.inf), abs=1e-15
    )


def test_wrong_groups_leave_the_distance_to_the_mean_row():
    teacher = kt.Teacher([[0.9, 0.1], [0.3, 0.7]], [0.25, 0.75])
    student = students.grouped("ce_sgl", [0, 0])
    mean = teacher.rho @ teacher.pi
    floor = distance(np.array([mean, mean]), teacher)
    losses = [
        distance(learnt(student, counts, teacher.pi), teacher)
        for counts in kt.draw_counts(teacher, 10**7, 20)
    ]
    np.testing.assert_allclose(losses, floor, atol=6e-3)  # 12 standard deviations
    assert floor > 0.2
    with pytest.raises(kt.NoExactRisk, match="rows of inputs 0 and 1, of one group, differ"):
        kt.exact_risk(teacher, student, 5)
    for counts in kt.draw_counts(teacher, 3, 20):
        for base in ("sel_ptl", "ce_ful", "ce_ptl"):
            np.testing.assert_allclose(
                learnt(students.grouped(base, [0, 0]), counts, teacher.pi).sum(axis=1), 1.0
            )


def test_a_temperature_of_1_is_no_parameter_of_a_sweep():
    from kt_theory.catalogue import name_of as student_label
    from kt_theory.catalogue import student_recipe

    assert (
        student_recipe("hinton(0.5, 1)")
        == student_recipe("hinton(0.5)")
        == {"name": "hinton", "alpha": 0.5}
    )
    assert (
        student_label(student_recipe({"name": "hinton", "alpha": 0.5, "temperature": 1}))
        == "hinton(0.5)"
    )
    assert student_label(student_recipe("hinton(0.5, 2)")) == "hinton(0.5, 2)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: students.hinton(1.5), r"alpha = 1.5: must be a number from 0 to 1"),
        (lambda: students.hinton(True), "alpha = True"),
        (lambda: students.hinton(0.5, 0), "temperature = 0: must be a finite number above 0"),
        (lambda: students.hinton(0.5, 1e4), "temperature = 10000.0: must lie from 0.001 to 1000"),
        (
            lambda: students.as_students("hinton"),
            r"give kt_theory.students.hinton\(alpha, temperature\)",
        ),
        (lambda: students.masked("ce_sgl", [1, 0]), "must be bool"),
        (
            lambda: students.masked("ce_sgl", [[True], [True, False]]),
            "mask has rows of different lengths",
        ),
        (
            lambda: students.masked("ce_sgl", [[True, True], [False, False]]),
            "mask row 1 allows no label",
        ),
        (
            lambda: students.masked(students.tempered_mle(2), [True]),
            "takes one student with a row rule",
        ),
        (
            lambda: students.masked(students.with_prior("ce_sgl", [[1.0]]), [True]),
            "without a prior",
        ),
        (lambda: students.grouped(students.noisy(0.1), [0, 0]), "cannot be pooled"),
        (lambda: students.grouped("non_target", [0, 0]), "cannot be pooled"),
        (lambda: students.grouped("ce_sgl", [0.5, 0]), "groups = 0.5: must be whole numbers"),
        (
            lambda: kt.exact_risk(kt.Teacher([[1.0]]), students.grouped("ce_sgl", [0, 0]), 1),
            "about 2 inputs: the teacher has 1",
        ),
        (
            lambda: kt.exact_risk(kt.Teacher([[1.0]]), students.masked("ce_sgl", [True] * 2), 1),
            "about 2 labels",
        ),
        (
            lambda: kt.exact_risk(kt.Teacher([[1.0]]), students.grouped("good_turing", [0]), 1),
            "has no exact risk: use simulate",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_records_do_not_hold_what_these_levels_show():
    records = kt.TransferSet.from_arrays(["p", "q"], np.array([0, 1]), labels=["a", "b", "c"])
    for name in ("argmax", "argmax_hedged", "non_target"):
        with pytest.raises(kt.AccessError, match=f"{name}' needs access .* show others"):
            kt.fit(records, student=name)


def test_the_command_knows_students_with_parameters(tmp_path):
    np.save(tmp_path / "table.npy", TEACHERS["one input"][0].pi)
    asked = [
        "risk",
        str(tmp_path / "table.npy"),
        "--n",
        "5",
        "--students",
        "hinton(0.5, 2),argmax",
        "--repeats",
        "4",
    ]
    shown = CliRunner().invoke(cli.main, asked)
    assert shown.exit_code == 0, shown.output
    assert "hinton(0.5, 2)" in shown.output
    assert "argmax" in shown.output


def test_knowledge_of_another_size_is_refused():
    counts, hidden = np.ones((2, 2), dtype=int), np.full((2, 2), np.nan)
    teacher = kt.Teacher(np.full((2, 2), 0.5))
    wrong = [
        (
            students.masked("ce_sgl", [True] * 3),
            "'ce_sgl masked': what it knows is about 3 labels: the teacher has 2",
        ),
        (
            students.masked("ce_sgl", [[True, True]] * 3),
            "what it knows is about 3 inputs: the teacher has 2",
        ),
        (students.grouped("ce_sgl", [0, 0, 0]), "what it knows is about 3 inputs"),
        (students.features(np.eye(3)), "what it knows is about 3 inputs"),
        (students.features(np.eye(3), "hard"), "what it knows is about 3 inputs"),
        (students.features(np.eye(3), shipped=False), "what it knows is about 3 inputs"),
        (students.relations(np.zeros((3, 3))), "what it knows is about 3 inputs"),
        (students.affine_ful(np.eye(3)), "what it knows is about 3 inputs"),
    ]
    for student, message in wrong:
        with pytest.raises(ValueError, match=message):
            student.table(counts, hidden)
        with pytest.raises(ValueError, match=message):
            kt.simulate(teacher, student, 5, 10, progress=False)
        with pytest.raises(ValueError, match=message):
            kt.generations.lineage(teacher, [(student, 5)], repeats=2, progress=False)
        if student.exact:
            with pytest.raises(ValueError, match=message):
                kt.exact_risk(teacher, student, 5)
