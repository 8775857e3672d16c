"""The students of distorted answers, pooled rows and priors: what they write, against definitions of their own."""

from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction

import numba
import numpy as np
import pytest
from grids import few_quick
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

import kt_theory as kt
from kt_theory import access, students
from kt_theory.affine import AffineLogits
from kt_theory.testing import confidence_radius, teachers

RNG = np.random.default_rng(21)
X = RNG.normal(size=(6, 2))
AFFINE = kt.Teacher(
    AffineLogits(RNG.normal(size=(4, 2)), RNG.normal(size=4)).table(X), RNG.dirichlet(np.ones(6))
)
PRIOR = RNG.dirichlet(np.ones(4), size=6)

ALL = [
    students.top_k(2, sampled=False),
    *(
        students.tempered(tau, of=of)
        for tau in (0.5, 3.0)
        for of in (access.SOFT, access.PARTIAL, access.top_k(2))
    ),
    students.tempered(2.0, 3.0),
    students.rounded(0.7),
    students.rounded(0.7, access.PARTIAL),
    students.quantised(3),
    students.quantised(3, access.top_k(2)),
    students.quantised(2, access.top_k(2, sampled=False)),
    students.noisy(0.5),
    students.noisy(0.5, access.PARTIAL),
    *(
        students.logits(of)
        for of in (access.SOFT, access.PARTIAL, access.top_k(2), access.top_k(2, sampled=False))
    ),
    students.jacobian(X),
    students.affine_ful(X),
    students.tempered_mle(2.0),
    *(
        students.with_prior(base, PRIOR)
        for base in ("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful", students.top_k(2))
    ),
    students.shrink(PRIOR, 3.0),
    students.shrink(PRIOR, np.arange(6.0)),
    students.grad_ful(kt.graphs.nearest_neighbours(X, 2)),
]


def learnt(student, counts, pi, rng=None):
    seen = student.access.seen_counts(counts, pi)
    return student.table(seen, student.access.reveal(seen, pi, rng))


machine_code = functools.cache(numba.njit)
"""Of a function, compiled once: many students share one, with other parameters or channels."""


@pytest.mark.parametrize(
    "student",
    few_quick(ALL, [student for student in ALL if student.name != "affine_ful(2 features)"]),
)
def test_every_student_writes_distributions_compiles_and_is_pure(student):
    """The compiled rule, called on the same arrays, writes what the Python rule writes."""
    compiled = machine_code(student.rule.function)
    given = () if student.rule.values is None else (student.rule.values,)
    pooled = isinstance(student.rule, students.TableRule)
    for n in (0, 1, 3, 40):
        counts = student.access.seen_counts(kt.draw_counts(AFFINE, n, 1, seed=n)[0], AFFINE.pi)
        revealed = student.access.reveal(counts, AFFINE.pi, np.random.default_rng(n))
        before = counts.copy(), revealed.copy()
        table = student.table(counts, revealed)
        np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)
        assert (table >= 0).all()
        again = student.before(table.shape)
        if pooled:
            compiled(counts, revealed, again, *given)
        else:
            for s in range(len(table)):
                compiled(counts[s], revealed[s], again[s], *given)
        np.testing.assert_allclose(again, table, atol=1e-12)
        np.testing.assert_array_equal(counts, before[0])
        np.testing.assert_array_equal(revealed, before[1])
        fallback = np.full(table.shape, 0.25) if student.prior is None else PRIOR
        if n == 0:
            np.testing.assert_allclose(table, fallback, atol=1e-15)


FOR_ANY_TEACHER = [
    s for s in ALL if s.prior is None and s.access.reach.inputs is None and "affine" not in s.name
]


@pytest.mark.parametrize("student", FOR_ANY_TEACHER, ids=lambda student: student.name)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_every_student_survives_degenerate_rows(student, n):
    for pi in ([[1.0]], [[1.0, 0.0, 0.0]], np.eye(3), [[0.5, 0.5, 0.0], [1 / 3] * 3]):
        counts = kt.draw_counts(kt.Teacher(pi), n, 1)[0]
        table = learnt(student, counts, np.asarray(pi), np.random.default_rng(0))
        np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)
        assert (table >= 0).all()


@given(
    teacher=teachers(4, 6), n=st.integers(0, 20), seed=st.integers(0, 2**32), k=st.integers(1, 7)
)
def test_greedy_top_k_shares_the_tail(teacher, n, seed, k):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    table = learnt(students.top_k(k, sampled=False), counts, teacher.pi)
    for s, row in enumerate(teacher.pi):
        order = sorted(range(teacher.labels), key=lambda a, row=row: (-row[a], a))
        expected = np.full(teacher.labels, 1 / teacher.labels)
        if counts[s].any():
            expected = row.copy()
            if k < teacher.labels:
                expected[order[k:]] = row[order[k:]].sum() / (teacher.labels - k)
        np.testing.assert_allclose(table[s], expected, atol=1e-12)


def test_no_rule_for_the_tail_beats_equal_shares_over_permutations_of_the_hidden_labels():
    for _ in range(50):
        tail, rival = RNG.dirichlet(np.ones(4)), RNG.dirichlet(np.ones(4))
        moved = np.array(list(itertools.permutations(tail)))
        equal = np.abs(0.25 - tail).sum()
        assert np.abs(rival - moved).sum(axis=1).mean() >= equal - 1e-12


@given(
    teacher=teachers(4, 6), n=st.integers(1, 20), seed=st.integers(0, 2**32), k=st.integers(0, 4)
)
def test_logits_of_some_labels_lose_exactly_the_missing_mass(teacher, n, seed, k):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    level = access.top_k(k)
    loss = kt.total_variation(learnt(students.logits(level), counts, teacher.pi), teacher.pi)
    hidden = np.isnan(level.reveal(counts, teacher.pi))
    for s in np.flatnonzero(counts.sum(axis=1)):
        assert loss[s] == pytest.approx(teacher.pi[s, hidden[s]].sum(), abs=1e-12)


@given(
    teacher=teachers(4, 6), n=st.integers(0, 20), seed=st.integers(0, 2**32), k=st.integers(0, 4)
)
def test_temperature_one_and_no_distortion_give_the_students_of_plain_answers(teacher, n, seed, k):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    plain = learnt(students.top_k(k), counts, teacher.pi)
    np.testing.assert_allclose(
        learnt(students.tempered(1.0, of=access.top_k(k)), counts, teacher.pi), plain, atol=1e-12
    )
    fine = learnt(students.rounded(1e-12, access.top_k(k)), counts, teacher.pi)
    np.testing.assert_allclose(fine, plain, atol=1e-11)
    fine = learnt(students.quantised(50, access.top_k(k)), counts, teacher.pi)
    np.testing.assert_allclose(fine, plain, atol=1e-12)
    still = learnt(
        students.noisy(1e-12, access.top_k(k)), counts, teacher.pi, np.random.default_rng(seed)
    )
    np.testing.assert_allclose(still, plain, atol=1e-10)


def noisy_losses(row, sigma, visits, repeats, seed):
    """Losses of the noisy student on one input after `visits` visits, through Access.reveal."""
    student = students.noisy(sigma)
    pi = np.tile(row, (repeats, 1))
    counts = np.zeros(pi.shape, dtype=int)
    counts[:, 0] = visits
    return np.asarray(
        kt.total_variation(learnt(student, counts, pi, np.random.default_rng(seed)), pi)
    )


@pytest.mark.parametrize(("p", "sigma", "visits"), [(0.5, 1.0, 1), (0.9, 1.0, 4), (0.03, 3.0, 2)])
def test_noise_on_two_labels_by_quadrature(p, sigma, visits):
    """False alarm 1e-6."""
    spread = sigma * math.sqrt(2 / visits)
    logit = math.log(p / (1 - p))
    expected = quad(
        lambda x: abs(1 / (1 + math.exp(-logit - spread * x)) - p) * norm.pdf(x), -12, 12, limit=200
    )[0]
    losses = noisy_losses([p, 1 - p], sigma, visits, 8000, seed=1)
    radius = confidence_radius(losses.std() / math.sqrt(len(losses)), len(losses))
    assert abs(losses.mean() - expected) < radius < 0.04
    assert (
        abs(noisy_losses([p, 1 - p], 1.5 * sigma, visits, 8000, seed=1).mean() - expected) > radius
    )


@pytest.mark.parametrize("sigma", few_quick([0.2, 1.0], [0.2]))
def test_noise_costs_at_most_its_bounds(sigma):
    """E TV <= sigma / (2 sqrt k), and sigma / sqrt(2 pi k) in the limit, which rows of many equal labels attain."""
    for labels in (2, 5, 40):
        for visits in (1, 9):
            for row in (np.full(labels, 1 / labels), RNG.dirichlet(np.full(labels, 0.5))):
                losses = noisy_losses(row, sigma, visits, 600, seed=2)
                radius = confidence_radius(losses.std() / math.sqrt(600), 600)
                assert losses.mean() - radius < sigma / math.sqrt(2 * math.pi * visits)
    many = noisy_losses(np.full(4000, 1 / 4000), sigma, 1, 20, seed=3).mean()
    assert many == pytest.approx(2 * norm.cdf(sigma / 2) - 1, rel=0.02)
    assert 0.94 < many / (sigma / math.sqrt(2 * math.pi)) < 1


@pytest.mark.parametrize("sigma", [0.3, 2.0])
@pytest.mark.parametrize("inputs", [1, 4])
def test_noise_risk_keeps_below_coverage_and_noise(sigma, inputs):
    """risk <= S/n + sigma sqrt(S / (2 pi n)), at 1e-6, over uniform rho."""
    teacher = kt.Teacher(RNG.dirichlet(np.ones(5), size=inputs))
    for n in (2, 4, 10, 60):
        estimate = kt.simulate(teacher, students.noisy(sigma), n, 4000, seed=5).estimates[0]
        radius = confidence_radius(estimate.std_error, estimate.repeats)
        assert estimate.mean - radius < inputs / n + sigma * math.sqrt(inputs / (2 * math.pi * n))


def power_likelihood(power, counts, q):
    positive = q > 0
    logs = np.log(np.where(positive, q, 1.0))
    weights = np.where(positive, np.exp(power * logs), 0.0)
    return (counts * (power * logs - np.log(weights.sum(axis=1, keepdims=True)))).sum()


@given(
    teacher=teachers(4, 5),
    n=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    tau=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_the_unknown_temperature_is_the_maximum_of_the_likelihood(teacher, n, seed, tau):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    student = students.tempered_mle(tau)
    q = student.access.shown(teacher.pi)
    table = learnt(student, counts, teacher.pi)
    seen = counts.sum(axis=1) > 0
    found = (counts * np.log(np.where(table > 0, table, 1.0))).sum()
    best = minimize_scalar(
        lambda b: -power_likelihood(b, counts, q), bounds=(0, 40), method="bounded"
    )
    assert found >= -best.fun - 1e-9 * n
    np.testing.assert_allclose(table[~seen], 1 / teacher.labels)
    ratio = np.log(np.where(q > 0, q, 1.0))
    for s in np.flatnonzero(seen):
        p, z = table[s][q[s] > 0], ratio[s][q[s] > 0]
        if np.ptp(z) > 1e-6 and (p > 1e-200).all():
            slope = np.ptp(np.log(p)) / np.ptp(z)
            np.testing.assert_allclose(np.log(p) - np.log(p[0]), slope * (z - z[0]), atol=1e-6)


def test_the_unknown_temperature_of_two_labels_matches_the_frequency():
    """One input of two labels: the family of powers meets the empirical distribution, if that is on the right side."""
    student = students.tempered_mle(2.0)
    for first in (6, 8, 9):
        table = learnt(student, np.array([[first, 10 - first]]), np.array([[0.8, 0.2]]))
        np.testing.assert_allclose(table, [[first / 10, 1 - first / 10]], atol=1e-10)
    wrong_side = learnt(student, np.array([[3, 7]]), np.array([[0.8, 0.2]]))
    np.testing.assert_allclose(wrong_side, [[0.5, 0.5]], atol=1e-10)


def temperature_losses(teacher, n, repeats):
    return kt.simulate(
        teacher, students.tempered_mle(2.0), n, repeats, keep_losses=True
    ).losses.ravel()


def test_an_unknown_temperature_costs_a_constant_free_of_inputs_and_labels():
    """sqrt(n) (risk - coverage) -> 1/sqrt(2 pi) where |log q - mean| is constant, whatever S and A; less elsewhere.

    n is so large that no input stays unvisited.
    """
    limit, n = 1 / math.sqrt(2 * math.pi), 10_000
    for inputs, labels in ((1, 3), (5, 9), (30, 40)):
        half = np.tile([0.5] + [0.5 / (labels - 1)] * (labels - 1), (inputs, 1))
        losses = math.sqrt(n) * temperature_losses(kt.Teacher(half), n, 3000)
        radius = 5 * losses.std() / math.sqrt(len(losses))
        assert abs(losses.mean() - limit) < radius + 0.005
        assert radius < 0.03
        generic = kt.Teacher(RNG.dirichlet(np.ones(labels), size=inputs))
        losses = math.sqrt(n) * temperature_losses(generic, n, 500)
        assert losses.mean() < limit + 5 * losses.std() / math.sqrt(500)


def test_temperature_is_fitted_by_all_rows_together():
    """Fitted row by row, the temperature would cost sqrt(S / n)."""
    inputs, n = 30, 3000
    half = kt.Teacher(np.tile([0.5, 0.25, 0.25], (inputs, 1)))
    together = temperature_losses(half, n, 200).mean()
    alone = temperature_losses(kt.Teacher(half.pi[:1]), n // inputs, 200).mean()
    assert alone > 4 * together


@pytest.mark.parametrize("graph", [kt.graphs.nearest_neighbours(X, k) for k in (1, 2, 5)])
def test_gradients_on_nearest_neighbours(graph):
    student = students.grad_ful(graph)
    distance = np.linalg.norm(X[:, None] - X[None], axis=2)
    k = int(graph.name.split("(")[1].rstrip(")"))
    near = np.argsort(distance, axis=1)[:, : k + 1]
    for s in range(6):
        counts = np.zeros((6, 4), dtype=int)
        counts[s, 0] = 1
        table = learnt(student, counts, AFFINE.pi)
        known = [t for t in range(6) if t in near[s] or s in near[t]]
        expected = np.full((6, 4), 0.25)
        expected[known] = AFFINE.pi[known]
        np.testing.assert_array_equal(table, expected)


def test_a_jacobian_reveals_all_at_one_query_for_any_number_of_inputs():
    student = students.jacobian(X)
    counts = np.zeros((6, 4), dtype=int)
    counts[2, 1] = 1
    np.testing.assert_array_equal(learnt(student, counts, AFFINE.pi), AFFINE.pi)
    other = RNG.dirichlet(np.ones(4), size=6)
    with pytest.raises(ValueError, match="not affine in them"):
        learnt(student, counts, other)
    wide = RNG.normal(size=(10**5, 3))
    pi = AffineLogits(RNG.normal(size=(4, 3)), RNG.normal(size=4)).table(wide)
    level = access.jacobian(wide)
    counts = np.zeros(pi.shape, dtype=int)
    assert np.isnan(level.reveal(counts, pi)).all()
    counts[77, 0] = 1
    np.testing.assert_array_equal(level.reveal(counts, pi), pi)
    assert level.covers(access.SOFT)
    assert kt.exact_risk(kt.Teacher(pi), students.jacobian(wide), 1) == 0


def affine_span(points, chosen):
    """Which points are in the affine span of the chosen ones, by ranks."""
    lifted = np.column_stack([points, np.ones(len(points))])
    rank = np.linalg.matrix_rank(lifted[chosen], tol=1e-9)
    return [
        np.linalg.matrix_rank(lifted[[*chosen, s]], tol=1e-9) == rank for s in range(len(points))
    ]


@pytest.mark.parametrize(
    "points", [X, np.arange(6.0)[:, None], np.repeat(X[:3], 2, axis=0), np.ones((6, 2))]
)
def test_affine_ful_knows_the_affine_span_of_its_queries(points):
    teacher = kt.Teacher(
        AffineLogits(RNG.normal(size=(4, points.shape[1])), RNG.normal(size=4)).table(points)
    )
    student = students.affine_ful(points)
    for size in (1, 2, 3, 4):
        for chosen in itertools.combinations(range(6), size):
            counts = np.zeros((6, 4), dtype=int)
            counts[list(chosen), 0] = 1
            known = affine_span(points, list(chosen))
            expected = np.where(np.array(known)[:, None], teacher.pi, 0.25)
            np.testing.assert_allclose(learnt(student, counts, teacher.pi), expected, atol=1e-10)


def test_affine_ful_leaves_impossible_labels_alone():
    pi = np.column_stack([AFFINE.pi, np.zeros(6)])
    counts = np.zeros((6, 5), dtype=int)
    counts[[0, 2, 4], 1] = 1
    np.testing.assert_allclose(learnt(students.affine_ful(X), counts, pi), pi, atol=1e-10)


@given(n=st.integers(0, 12), seed=st.integers(0, 2**32), k=st.integers(0, 4))
def test_a_prior_fills_what_is_hidden_in_proportion(n, seed, k):
    counts = kt.draw_counts(AFFINE, n, 1, seed)[0]
    level = access.top_k(k)
    table = learnt(students.with_prior(students.top_k(k), PRIOR), counts, AFFINE.pi)
    np.testing.assert_array_equal(
        table, learnt(students.with_prior(level, PRIOR), counts, AFFINE.pi)
    )
    hidden = np.isnan(level.reveal(counts, AFFINE.pi))
    for s in range(6):
        expected = AFFINE.pi[s].copy()
        if hidden[s].any():
            expected[hidden[s]] = (
                expected[hidden[s]].sum() * PRIOR[s, hidden[s]] / PRIOR[s, hidden[s]].sum()
            )
        np.testing.assert_allclose(table[s], expected, atol=1e-12)
    uniform = np.full((6, 4), 0.25)
    plain = learnt(students.top_k(k), counts, AFFINE.pi)
    np.testing.assert_allclose(
        learnt(students.with_prior(students.top_k(k), uniform), counts, AFFINE.pi),
        plain,
        atol=1e-12,
    )


def test_a_prior_without_mass_on_the_hidden_labels_gives_way_to_equal_shares():
    student = students.with_prior("partial", [[1.0, 0.0, 0.0]])
    table = learnt(student, np.array([[1, 0, 0]]), np.array([[0.4, 0.4, 0.2]]))
    np.testing.assert_allclose(table, [[0.4, 0.3, 0.3]])


def test_a_right_prior_has_no_risk_and_the_hard_students_keep_their_visited_rows():
    for base in ("partial", "soft", students.grad_ful(kt.graphs.cycle(6))):
        student = students.with_prior(base, AFFINE.pi)
        for counts in kt.draw_counts(AFFINE, 3, 5):
            np.testing.assert_allclose(learnt(student, counts, AFFINE.pi), AFFINE.pi, atol=1e-14)
    for name in ("ce_sgl", "ce_ptl"):
        counts = kt.draw_counts(AFFINE, 4, 1)[0]
        visited = counts.sum(axis=1) > 0
        table = learnt(students.with_prior(name, PRIOR), counts, AFFINE.pi)
        np.testing.assert_allclose(
            table[visited], learnt(kt.STUDENTS[name], counts, AFFINE.pi)[visited], atol=1e-15
        )
        np.testing.assert_array_equal(table[~visited], PRIOR[~visited])
    assert students.with_prior("hard", PRIOR).access.name == "hard"


def compositions(total, parts):
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def exact_mse(p, prior, visits, weight):
    """E |q - p|^2 in rational arithmetic, by all counts."""
    total = Fraction(0)
    for counts in compositions(visits, len(p)):
        chance = Fraction(math.factorial(visits))
        for c, x in zip(counts, p, strict=True):
            chance *= x**c / math.factorial(c)
        copy = [(c + weight * b) / (visits + weight) for c, b in zip(counts, prior, strict=True)]
        total += chance * sum((q - x) ** 2 for q, x in zip(copy, p, strict=True))
    return total


def test_the_best_shrinkage_has_the_least_squared_error_at_every_number_of_visits():
    p = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    prior = [Fraction(1, 5), Fraction(3, 5), Fraction(1, 5)]
    distance = sum((b - x) ** 2 for b, x in zip(prior, p, strict=True))
    best = (1 - sum(x * x for x in p)) / distance
    teacher = kt.Teacher([[float(x) for x in p]])
    found = students.best_shrinkage(teacher, [[float(x) for x in prior]])
    np.testing.assert_allclose(found, [float(best)], rtol=1e-12)
    for visits in (1, 2, 5):
        least = exact_mse(p, prior, visits, best)
        spread = 1 - sum(x * x for x in p)
        assert least == (visits * spread + best**2 * distance) / (visits + best) ** 2
        for factor in (Fraction(9, 10), Fraction(11, 10), Fraction(0), Fraction(5)):
            assert exact_mse(p, prior, visits, factor * best) > least
        mean = 0.0
        for counts in compositions(visits, 3):
            chance = math.factorial(visits) * math.prod(
                float(x) ** c / math.factorial(c) for c, x in zip(counts, p, strict=True)
            )
            table = students.shrink([[0.2, 0.6, 0.2]], found).table(
                [counts], np.full((1, 3), np.nan)
            )
            mean += chance * ((table - teacher.pi) ** 2).sum()
        assert mean == pytest.approx(float(least), rel=1e-12)


def test_shrinkage_at_its_ends():
    counts = np.array([[3, 1, 0, 0]] * 6)
    hidden = np.full((6, 4), np.nan)
    uniform = np.full((6, 4), 0.25)
    for c in (0.0, 0.5, 2.0):
        expected = students.add_c(c).table(counts, hidden)
        np.testing.assert_allclose(
            students.shrink(uniform, 4 * c).table(counts, hidden), expected, atol=1e-15
        )
    np.testing.assert_array_equal(students.shrink(PRIOR, np.inf).table(counts, hidden), PRIOR)
    np.testing.assert_array_equal(students.shrink(PRIOR, 0.0).table(0 * counts, hidden), PRIOR)
    points = kt.Teacher(np.eye(4))
    np.testing.assert_array_equal(students.best_shrinkage(points, np.eye(4)), np.inf)
    np.testing.assert_array_equal(students.best_shrinkage(points, np.full((4, 4), 0.25)), 0.0)


def test_a_prior_of_greedy_labels_by_level_is_that_by_name():
    teacher = kt.Teacher([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], rho=[0.6, 0.4])
    prior = np.array([[0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])
    for level in ("argmax", access.ARGMAX):
        student = students.with_prior(level, prior)
        expected = [
            sum(
                rho
                * (
                    (1 - rho) ** n * 0.5 * np.abs(q - p).sum()
                    + (1 - (1 - rho) ** n) * (1 - p.max())
                )
                for rho, p, q in zip(teacher.rho, teacher.pi, prior, strict=True)
            )
            for n in (0, 3)
        ]
        np.testing.assert_allclose(kt.exact_risk(teacher, student, [0, 3]), expected, rtol=1e-13)
        np.testing.assert_array_equal(
            student.table([[4, 0, 0], [0, 0, 0]], np.full((2, 3), np.nan))[1], prior[1]
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: students.with_prior("laplace", PRIOR), "'laplace': a prior needs one of ce_sgl"),
        (lambda: students.with_prior(students.logits(), PRIOR), "a prior needs one of"),
        (
            lambda: students.with_prior(access.rounded(0.1), PRIOR),
            "must show probabilities as they are",
        ),
        (
            lambda: students.with_prior(access.NON_TARGET, PRIOR),
            "access 'non_target': must show probabilities as they",
        ),
        (lambda: students.with_prior("soft", [[0.5, 0.6]]), "table row 0 sums to 1.1"),
        (lambda: students.shrink(PRIOR, -1.0), "weight = -1: must be at least 0"),
        (
            lambda: students.shrink(PRIOR, [1.0, 2.0]),
            r"weight has shape \(2,\): must be a number, or one for each of the 6",
        ),
        (lambda: students.best_shrinkage(AFFINE, [[1.0]]), r"table has shape \(1, 1\)"),
        (lambda: students.as_students("tempered"), r"give kt_theory.students.tempered\(tau\)"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
