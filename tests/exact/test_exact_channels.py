"""Exact risks of the students of distorted answers, and the laws and orders that they obey."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from grids import few_quick
from hypothesis import given
from hypothesis import strategies as st
from oracles import transfer_sets

import kt_theory as kt
from kt_theory import access, students
from kt_theory.affine import AffineLogits
from kt_theory.exact.hidden import HiddenMass
from kt_theory.exact.settled import Shown
from kt_theory.testing import assert_risk, teachers

RNG = np.random.default_rng(22)
TEACHERS = {
    "generic": (kt.Teacher([[0.5, 0.2, 0.2, 0.1], [0.0, 0.9, 0.1, 0.0]], [0.6, 0.4]), 4),
    "one input": (kt.Teacher([[0.4, 0.3, 0.2, 0.1]]), 5),
    "degenerate": (kt.Teacher([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, 0.5, 0.0]), 4),
    "one label": (kt.Teacher([[1.0], [1.0]], [0.3, 0.7]), 3),
    "zeros and ties": (kt.Teacher([[0.5, 0.25, 0.25, 0.0, 0.0], [0.2] * 5], [0.25, 0.75]), 3),
}
GREEDY = access.top_k(2, sampled=False)
STUDENTS = [
    *(students.top_k(k, sampled=False) for k in (1, 2, 4)),
    *(
        students.tempered(*args)
        for args in ((2.0,), (2.0, 3.0), (0.5, 0.2), (2.0, None, GREEDY), (2.0, 1.0, GREEDY))
    ),
    *(students.rounded(step, of) for step in (0.3, 2.0) for of in (access.SOFT, GREEDY)),
    *(students.quantised(bits, of) for bits in (1, 2, 4) for of in (access.SOFT, GREEDY)),
    *(
        students.logits(of)
        for of in (access.SOFT, access.PARTIAL, access.top_k(1), access.top_k(2), GREEDY)
    ),
]


def enumerated(student, teacher, n):
    def loss(counts):
        seen = student.access.seen_counts(counts, teacher.pi)
        table = student.table(seen, student.access.reveal(seen, teacher.pi))
        return float(kt.total_variation(table, teacher.pi, teacher.rho))

    return sum(weight * loss(counts) for counts, weight in transfer_sets(teacher, n))


@pytest.mark.parametrize("case", TEACHERS)
@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_enumeration_of_all_transfer_sets(student, case):
    teacher, n = TEACHERS[case]
    for size in (0, 1, n):
        expected = enumerated(student, teacher, size)
        assert kt.exact_risk(teacher, student, size) == pytest.approx(
            expected, rel=1e-10, abs=1e-14
        )


@pytest.mark.parametrize("case", TEACHERS)
def test_enumeration_with_priors(case):
    teacher, n = TEACHERS[case]
    prior = RNG.dirichlet(np.ones(teacher.labels), size=teacher.inputs)
    weights = RNG.uniform(0, 4, size=teacher.inputs)
    weights[-1] = np.inf
    mixed = [students.shrink(prior, w) for w in (0.0, 0.7, 5.0, np.inf, weights)]
    for student in [
        *(students.with_prior(name, prior) for name in ("ce_sgl", "ce_ptl", "ce_ful")),
        *mixed,
    ]:
        for size in (0, 1, n):
            expected = enumerated(student, teacher, size)
            assert kt.exact_risk(teacher, student, size) == pytest.approx(
                expected, rel=1e-10, abs=1e-14
            )


LARGER = kt.Teacher(RNG.dirichlet(np.full(8, 0.5), size=12), RNG.dirichlet(np.ones(12)))
PRIORS = RNG.dirichlet(np.ones(8), size=12)


SIMULATED = [
    *(student for student in STUDENTS if student.exact),
    *(students.with_prior(name, PRIORS) for name in ("ce_sgl", "ce_ful")),
    students.shrink(PRIORS, 2.0),
    students.shrink(PRIORS, np.arange(12.0)),
    students.grad_ful(kt.graphs.nearest_neighbours(RNG.normal(size=(12, 2)), 2)),
]


@pytest.mark.parametrize("student", few_quick(SIMULATED, SIMULATED[::2]))
def test_monte_carlo_agrees(student):
    """False alarm 1e-6 each; an error of 0.02 in a risk is caught with the same certainty."""
    estimate = kt.simulate(LARGER, student, n=40, repeats=12_000, seed=3).estimates[0]
    assert_risk(estimate, kt.exact_risk(LARGER, student, 40), detects=0.02)


def test_the_judge_convicts_a_wrong_channel():
    estimate = kt.simulate(LARGER, students.quantised(3), n=40, repeats=12_000, seed=3).estimates[0]
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(estimate, kt.exact_risk(LARGER, students.quantised(2), 40), detects=0.02)


def test_priors_and_shrinkage_at_their_ends():
    teacher = TEACHERS["generic"][0]
    uniform, n = np.full((2, 4), 0.25), np.array([0, 3, 100, 5000])
    for c in (0.0, 0.5, 3.0):
        expected = kt.exact_risk(teacher, students.add_c(c), n)
        np.testing.assert_allclose(
            kt.exact_risk(teacher, students.shrink(uniform, 4 * c), n), expected, rtol=1e-9
        )
    for name in ("ce_sgl", "ce_ful", "ce_ptl"):
        expected = kt.exact_risk(teacher, name, n[:3])
        found = kt.exact_risk(teacher, students.with_prior(name, uniform), n[:3])
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert kt.exact_risk(teacher, students.with_prior("soft", teacher.pi), 0) == 0
    assert kt.exact_risk(teacher, students.shrink(uniform, 2.0), np.inf) == 0
    assert kt.exact_risk(teacher, students.shrink(uniform, np.inf), np.inf) == pytest.approx(
        kt.total_variation(uniform, teacher.pi, teacher.rho)
    )


def test_shrinking_by_the_best_weight_helps_a_student_with_a_good_prior():
    teacher = kt.Teacher(RNG.dirichlet(np.ones(6), size=5))
    near = 0.9 * teacher.pi + 0.1 / 6
    best = students.shrink(near, students.best_shrinkage(teacher, near))
    risks = [
        kt.exact_risk(teacher, s, 50) for s in (best, students.with_prior("ce_sgl", near), "ce_sgl")
    ]
    assert risks[0] < risks[1] < risks[2]


def test_floor_and_missing_mass_in_rational_arithmetic():
    """Two inputs of rho 1/3, 2/3 and n = 60: the formulas of the docstrings, in fractions."""
    rows = [[Fraction(4, 8), Fraction(2, 8), Fraction(1, 8), Fraction(1, 8)], [Fraction(1, 4)] * 4]
    rows[1] = [Fraction(7, 10), Fraction(1, 5), Fraction(1, 10), Fraction(0)]
    law, n, k = [Fraction(1, 3), Fraction(2, 3)], 60, 2
    teacher = kt.Teacher([[float(p) for p in row] for row in rows], [float(r) for r in law])
    floor = hidden = Fraction(0)
    for r, row in zip(law, rows, strict=True):
        unvisited = r * (1 - r) ** n * sum(abs(p - Fraction(1, 4)) for p in row) / 2
        tail = row[k:]
        shared = sum(abs(p - sum(tail) / len(tail)) for p in tail) / 2
        floor += unvisited + r * (1 - (1 - r) ** n) * shared
        hidden += unvisited + r * sum(p * ((1 - r * p) ** n - (1 - r) ** n) for p in row)
    assert kt.exact_risk(teacher, students.top_k(k, sampled=False), n) == pytest.approx(
        float(floor), rel=1e-13
    )
    assert kt.exact_risk(teacher, students.logits(access.PARTIAL), n) == pytest.approx(
        float(hidden), rel=1e-13
    )


def test_a_tiny_hidden_mass_keeps_its_digits():
    """p = 1 - 1e-12 beside rho = 1e-9: the two powers agree in 20 digits."""
    p, rho, n = 1 - 2.0**-40, 2.0**-30, 3
    teacher = kt.Teacher([[p, 1 - p], [1.0, 0.0]], [rho, 1 - rho])
    r, x, y = Fraction(rho), Fraction(p), 1 - Fraction(p)
    visited = r * sum(a * ((1 - r * a) ** n - (1 - r) ** n) for a in (x, y))
    unvisited = (r * (1 - r) ** n + (1 - r) * r**n) / 2
    found = kt.exact_risk(teacher, students.logits(access.PARTIAL), n)
    assert found == pytest.approx(float(visited + unvisited), rel=1e-9)
    assert HiddenMass().visited(teacher.classes, np.array([3.0]))[0] == pytest.approx(
        float(visited), rel=1e-9
    )


@given(
    teacher=teachers(4, 6),
    n=st.integers(0, 50),
    bits=st.integers(1, 8),
    step=st.floats(0.05, 3),
    tau=st.floats(0.5, 2),
)
def test_risk_is_at_most_floor_and_coverage(teacher, n, bits, step, tau):
    """risk <= floor + kappa / (n + 1), kappa = S for complete rows."""
    coverage = kt.exact_risk(teacher, "ce_ful", n)
    assert coverage <= teacher.inputs / (n + 1) + 1e-12
    spread = max(np.ptp(np.log(row[row > 0])) for row in teacher.pi)
    floors = {
        students.tempered(tau): 0.0,
        students.logits(): 0.0,
        students.tempered(tau, 1.0): math.tanh(abs(1 / tau - 1) * spread / 4),
        students.rounded(step): math.tanh(step / 4),
        students.quantised(bits): teacher.labels / (4 * 2**bits),
    }
    for student, floor in floors.items():
        assert kt.exact_risk(teacher, student, n) <= floor + coverage + 1e-12
        assert kt.exact_risk(teacher, student, np.inf) <= floor + 1e-12


@given(teacher=teachers(3, 5), n=st.integers(0, 30), k=st.integers(0, 6))
def test_hidden_masses_obey_the_law_of_closures(teacher, n, k):
    """E[unresolved mass] <= kappa / (n + 1): a label outside the top k of its row is resolved by itself alone."""
    kappa = teacher.inputs * max(teacher.labels - k, 1)
    for student in (students.logits(access.top_k(k)), students.top_k(k)):
        assert kt.exact_risk(teacher, student, n) <= kappa / (n + 1) + 1e-12


@pytest.mark.parametrize("size", [2, 5, 40])
@pytest.mark.parametrize("n", [40, 1000])
def test_the_law_of_closures_from_below(size, n):
    """Point masses on atoms of 1/(n+1): at least (kappa - 1) / (2 e (n + 1)), kappa = S and S A."""
    rho = np.full(size, 1 / (n + 1))
    rho[-1] = 1 - rho[:-1].sum()
    points = kt.Teacher(np.eye(2)[np.arange(size) % 2], rho)
    assert kt.exact_risk(points, students.logits(), n) >= (size - 1) / (2 * math.e * (n + 1))
    one_row = kt.Teacher([rho])
    assert kt.exact_risk(one_row, students.logits(access.PARTIAL), n) >= (size - 1) / (
        2 * math.e * (n + 1)
    )


POINTS = RNG.normal(size=(6, 2))


def affine_teacher(points, labels=3):
    truth = AffineLogits(2 * RNG.normal(size=(labels, points.shape[1])), RNG.normal(size=labels))
    return kt.Teacher(truth.table(points), RNG.dirichlet(np.ones(len(points))))


def over_visited_sets(student, teacher, n):
    """The mean loss of a student that looks only at which inputs were visited: all sequences of n inputs."""
    total = 0.0
    for inputs in itertools.product(range(teacher.inputs), repeat=n):
        counts = np.zeros(teacher.pi.shape, dtype=int)
        counts[list(inputs), 0] = 1
        table = student.table(counts, student.access.reveal(counts, teacher.pi))
        total += np.prod(teacher.rho[list(inputs)]) * kt.total_variation(
            table, teacher.pi, teacher.rho
        )
    return float(total)


@pytest.mark.parametrize(
    "points", [POINTS[:5], np.arange(5.0)[:, None], np.eye(5)], ids=["plane", "line", "simplex"]
)
def test_affine_logits_cost_their_dimension(points):
    """risk <= (1 - 1/A)(d + 1)/(n + 1); on a line any two inputs reveal all; on a simplex it is ce_ful."""
    teacher = affine_teacher(points)
    student = students.affine_ful(points)
    dimension = np.linalg.matrix_rank(points - points.mean(axis=0))
    loss = teacher.rho * kt.total_variation(1 / 3, teacher.pi)
    for n in (0, 1, 3):
        risk = over_visited_sets(student, teacher, n)
        assert risk <= (2 / 3) * (dimension + 1) / (n + 1) + 1e-12
        if dimension == 1 and n:
            alone = [sum(teacher.rho[t] ** n for t in range(5) if t != s) for s in range(5)]
            assert risk == pytest.approx(float(loss @ alone), abs=1e-12)
        if dimension == 4:
            assert risk == pytest.approx(kt.exact_risk(teacher, "ce_ful", n), abs=1e-12)
    assert over_visited_sets(student, teacher, 3) <= kt.exact_risk(teacher, "ce_ful", 3) + 1e-12


@pytest.mark.parametrize("k", [1, 2, 5])
def test_gradients_on_nearest_neighbours_cost_the_independence_number(k):
    """risk <= (1 - 1/A) alpha(G) / (n + 1), alpha by networkx; k = S - 1 is the complete graph: one query."""
    graph = kt.graphs.nearest_neighbours(POINTS, k)
    teacher = kt.Teacher(RNG.dirichlet(np.ones(3), size=6), RNG.dirichlet(np.ones(6)))
    student = students.grad_ful(graph)
    complement = nx.complement(nx.from_scipy_sparse_array(graph.adjacency))
    alpha = max(len(clique) for clique in nx.find_cliques(complement))
    for n in (0, 1, 3):
        risk = kt.exact_risk(teacher, student, n)
        assert risk == pytest.approx(over_visited_sets(student, teacher, n), rel=1e-10, abs=1e-14)
        assert risk <= (2 / 3) * alpha / (n + 1) + 1e-12
    assert (alpha == 1) == (k == 5) == (kt.exact_risk(teacher, student, 1) < 1e-15)


def test_one_query_for_a_jacobian():
    teacher = affine_teacher(POINTS)
    student = students.jacobian(POINTS)
    np.testing.assert_allclose(
        kt.exact_risk(teacher, student, [0, 1, 7, np.inf]),
        [kt.exact_risk(teacher, "ce_ful", 0), 0, 0, 0],
    )
    other = kt.Teacher(RNG.dirichlet(np.ones(3), size=6))
    with pytest.raises(ValueError, match="not affine in them"):
        kt.exact_risk(other, student, 1)


EXACT_LEVELS = [
    (access.PARTIAL, students.STUDENTS["sel_ptl"]),
    *((access.top_k(k), students.top_k(k)) for k in (1, 2, 4)),
    *((access.top_k(k, sampled=False), students.top_k(k, sampled=False)) for k in (1, 2, 4)),
    (access.SOFT, students.STUDENTS["ce_ful"]),
    *(
        (access.logits(of), students.logits(of))
        for of in (access.SOFT, access.PARTIAL, access.top_k(2), GREEDY)
    ),
    (access.temperature(2.0), students.tempered(2.0)),
    (
        access.gradient(kt.graphs.nearest_neighbours(POINTS, 2)),
        students.grad_ful(kt.graphs.nearest_neighbours(POINTS, 2)),
    ),
    (access.jacobian(POINTS), students.jacobian(POINTS)),
]


def test_levels_that_cover_others_lose_no_more_on_any_common_transfer_set():
    """Data processing, transfer set by transfer set, for the levels whose students are exact on what they see."""
    teacher = affine_teacher(POINTS, labels=5)
    compared = 0
    for n in (0, 1, 4, 20):
        for counts in kt.draw_counts(teacher, n, 10, seed=n):
            losses = []
            for level, student in EXACT_LEVELS:
                seen = level.seen_counts(counts, teacher.pi)
                table = student.table(seen, level.reveal(seen, teacher.pi))
                losses.append(float(kt.total_variation(table, teacher.pi, teacher.rho)))
            for (high, _), better in zip(EXACT_LEVELS, losses, strict=True):
                for (low, _), worse in zip(EXACT_LEVELS, losses, strict=True):
                    if high.covers(low):
                        compared += 1
                        assert better <= worse + 1e-12, (high, low)
    assert compared > 2000


@given(teacher=teachers(3, 5), n=st.integers(0, 40))
def test_no_distortion_of_complete_rows_helps(teacher, n):
    least = kt.exact_risk(teacher, "ce_ful", n)
    for student in (students.tempered(2.0, 1.0), students.rounded(0.5), students.quantised(3)):
        assert kt.exact_risk(teacher, student, n) >= least - 1e-12
    for k in (1, 3):
        greedy = kt.exact_risk(teacher, students.top_k(k, sampled=False), n)
        assert greedy >= kt.exact_risk(teacher, students.top_k(k), n) - 1e-12 >= least - 2e-12


def test_worst_cases_are_ordered_soft_top_k_partial_hard():
    """Exact minimax values and certified lower ones; the students of the levels between obey the same order."""
    inputs, labels, n = 1, 5, 30
    soft, top, partial = (
        kt.minimax_risk(level, inputs=inputs, labels=labels, n=n, **more).upper
        for level, more in (("soft", {}), ("top_k", {"k": 2}), ("partial", {}))
    )
    hard = kt.minimax_risk("hard", inputs=inputs, labels=labels, n=n).lower
    assert soft <= top <= partial <= hard
    for _ in range(30):
        teacher = kt.Teacher(RNG.dirichlet(np.full(labels, 0.4), size=inputs))
        assert kt.exact_risk(teacher, students.logits(), n) <= soft + 1e-12
        assert kt.exact_risk(teacher, students.top_k(2), n) <= top + 1e-12
        assert kt.exact_risk(teacher, "sel_ptl", n) <= partial + 1e-12


@pytest.mark.parametrize(
    "student",
    [
        students.noisy(0.1),
        students.tempered_mle(2.0),
        students.affine_ful(POINTS),
        students.rounded(0.1, access.PARTIAL),
        students.quantised(4, access.top_k(2)),
        students.tempered(2.0, of=access.PARTIAL),
        students.with_prior("partial", np.full((6, 3), 1 / 3)),
    ],
    ids=lambda student: student.name,
)
def test_students_without_an_exact_risk_say_so(student):
    with pytest.raises(kt.NoExactRisk, match="has no exact risk: use simulate"):
        kt.exact_risk(affine_teacher(POINTS), student, 5)


def test_exact_risks_by_classes_serve_any_number_of_inputs():
    teacher = kt.Teacher.from_classes([[0.5, 0.3, 0.2]], [1e-9], [10**9])
    for student, floor in ((students.rounded(0.5), None), (students.top_k(1, sampled=False), 0.05)):
        at_once = kt.exact_risk(teacher, student, np.inf)
        if floor is not None:
            assert at_once == pytest.approx(floor)
        missed = math.exp(10**9 * math.log1p(-1e-9))
        unseen = 0.5 - 1 / 3
        expected = missed * unseen + (1 - missed) * at_once
        assert kt.exact_risk(teacher, student, 10**9) == pytest.approx(expected, rel=1e-9)


def test_shown_copy_keeps_rows_distributions():
    rows = -np.sort(-RNG.dirichlet(np.full(7, 0.3), size=50), axis=1)
    for student in STUDENTS:
        if isinstance(student.exact, Shown):
            copy = student.exact.copy(rows)
            np.testing.assert_allclose(copy.sum(axis=1), 1.0, atol=1e-12)
            assert (copy >= 0).all()
