"""The certified interval for hard labels against linear programmes, enumeration, quadrature and dense searches."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from grids import few_quick
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import linprog, minimize_scalar
from scipy.sparse import coo_array, vstack
from scipy.stats import beta as beta_law
from scipy.stats import betabinom, binom

import kt_theory as kt
from kt_theory.limits.hard.add_c import (
    add_c_upper,
    certified_maximum,
    coordinate_risk,
    envelope,
    largest_mass,
    mle_upper,
    row_upper,
)
from kt_theory.limits.hard.few_labels import (
    RELIEF,
    SMALL,
    Relieved,
    best_relieved,
    few_grid,
    relieved_upper,
    small_counts,
)
from kt_theory.limits.hard.games import (
    curved_student,
    curved_upper,
    solve_game,
    student_risk,
    student_upper,
)
from kt_theory.limits.hard.inputs import (
    inputs_lower,
    inputs_upper,
    laws_upper,
    row_uppers,
    visit_steps,
)
from kt_theory.limits.hard.interval import LARGEST_LABELS, ROUNDING, best_add_c, hard_limit
from kt_theory.limits.hard.priors import (
    bayes_risk,
    best_prior,
    closed_bayes_risk,
    log_binomial,
    prior_lower,
)


def row_risk(row: np.ndarray, n: int, c: float) -> float:
    return 0.5 * float(coordinate_risk(np.asarray(row), len(row), n, c).sum())


# --- an oracle that knows nothing of the theory: a linear programme over all students against a grid of teachers


def transfer_sets(inputs: int, labels: int, n: int) -> list[np.ndarray]:
    """All count tables of n pairs."""
    cells = inputs * labels
    tables = []
    for bars in itertools.combinations(range(n + cells - 1), cells - 1):
        edges = np.array([-1, *bars, n + cells - 1])
        tables.append((np.diff(edges) - 1).reshape(inputs, labels))
    return tables


def multinomial(table: np.ndarray, joint: np.ndarray) -> float:
    coefficient = math.factorial(int(table.sum())) / math.prod(
        math.factorial(int(c)) for c in table.ravel()
    )
    return coefficient * float(np.prod(joint**table))


def simplex_grid(labels: int, steps: int) -> list[np.ndarray]:
    bars = itertools.combinations(range(steps + labels - 1), labels - 1)
    return [(np.diff(np.array([-1, *b, steps + labels - 1])) - 1) / steps for b in bars]


def grid_game(
    inputs: int, labels: int, n: int, teachers: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, np.ndarray]:
    """Return the least worst-case risk over the teachers (a lower bound of the minimax risk) and its student."""
    sets = transfer_sets(inputs, labels, n)
    size, cells = len(sets) * inputs * labels, inputs * labels
    law = np.array([[multinomial(t, rho[:, None] * pi) for t in sets] for rho, pi in teachers])
    m = len(teachers)
    target = np.concatenate([np.tile(pi.ravel(), len(sets)) for _, pi in teachers])
    weight = np.concatenate(
        [
            np.repeat(law[i], cells) * np.tile(np.repeat(0.5 * rho, labels), len(sets))
            for i, (rho, _) in enumerate(teachers)
        ]
    )
    e = size + np.arange(m * size)
    q = np.tile(np.arange(size), m)
    r = np.arange(m * size)
    width, one = size + m * size + 1, np.ones(m * size)
    two = (np.concatenate([r, r]), np.concatenate([q, e]))
    above = coo_array((np.concatenate([one, -one]), two), shape=(m * size, width))
    below = coo_array((np.concatenate([-one, -one]), two), shape=(m * size, width))
    rows = np.concatenate([np.repeat(np.arange(m), size), np.arange(m)])
    risk = coo_array(
        (np.concatenate([weight, -np.ones(m)]), (rows, np.concatenate([e, np.full(m, width - 1)]))),
        shape=(m, width),
    )
    sums = coo_array(
        (np.ones(size), (np.arange(size) // labels, np.arange(size))), shape=(size // labels, width)
    )
    found = linprog(
        np.append(np.zeros(width - 1), 1.0),
        A_ub=vstack([above, below, risk]).tocsr(),
        b_ub=np.concatenate([target, -target, np.zeros(m)]),
        A_eq=sums.tocsr(),
        b_eq=np.ones(size // labels),
        bounds=(0.0, None),
        method="highs",
    )
    return float(found.fun), found.x[:size].reshape(len(sets), inputs, labels)


def worst_case(student: np.ndarray, n: int, teachers: list[tuple[np.ndarray, np.ndarray]]) -> float:
    _, inputs, labels = student.shape
    sets = transfer_sets(inputs, labels, n)
    worst = 0.0
    for rho, pi in teachers:
        law = np.array([multinomial(t, rho[:, None] * pi) for t in sets])
        loss = 0.5 * (rho[None, :, None] * np.abs(student - pi)).sum(axis=(1, 2))
        worst = max(worst, float(law @ loss))
    return worst


@pytest.mark.parametrize(
    ("labels", "n", "steps"),
    few_quick(
        [(2, 1, 60), (2, 2, 60), (2, 3, 60), (3, 1, 15), (3, 2, 12), (3, 3, 12)],
        [(2, 1, 60), (2, 3, 60), (3, 2, 12)],
    ),
)
def test_a_linear_programme_over_all_students_brackets_one_input(
    labels: int, n: int, steps: int
) -> None:
    one = np.ones(1)
    value, student = grid_game(
        1, labels, n, [(one, pi[None, :]) for pi in simplex_grid(labels, steps)]
    )
    fine = worst_case(student, n, [(one, pi[None, :]) for pi in simplex_grid(labels, 5 * steps)])
    limit = hard_limit(1, labels, n)
    assert limit.upper >= value - 1e-9
    assert limit.lower <= fine + 1e-9
    assert fine - value < 0.01  # the programme itself is sharp
    if labels == 2:
        assert value - 1e-9 <= limit.lower
        assert limit.upper <= fine + 1e-6


def test_a_linear_programme_over_all_students_brackets_two_inputs() -> None:
    rows, laws = (
        [np.array([x, 1.0 - x]) for x in (0.0, 0.2, 0.5, 0.8, 1.0)],
        np.linspace(0.1, 0.9, 5),
    )
    for n in (1, 2):
        teachers = [
            (np.array([r, 1 - r]), np.array([a, b])) for r in laws for a in rows for b in rows
        ]
        value, student = grid_game(2, 2, n, teachers)
        grid = np.linspace(0.0, 1.0, 11)
        fine = [
            (np.array([r, 1 - r]), np.array([[a, 1 - a], [b, 1 - b]]))
            for r in grid
            for a in grid
            for b in grid
        ]
        limit = hard_limit(2, 2, n)
        assert limit.upper >= value - 1e-9
        assert limit.lower <= worst_case(student, n, fine) + 1e-9
        assert limit.lower < limit.upper < 0.5


# --- solved games


@pytest.mark.parametrize(("n", "value"), [(1, 0.25), (2, 0.1916025856), (4, 0.1437480498)])
def test_solved_games_give_the_known_values(n: int, value: float) -> None:
    limit = hard_limit(1, 2, n)
    assert limit.exact
    assert 0.0 <= limit.upper - limit.lower <= 1e-7
    assert limit.lower == pytest.approx(value, abs=2e-10)


@pytest.mark.parametrize("n", [1, 3, 8, 20])
def test_a_solved_game_holds_between_its_prior_and_its_student(n: int) -> None:
    game = solve_game(n)
    p = np.linspace(0.0, 1.0, 4001)
    k = np.arange(n + 1)
    risk = (binom.pmf(k, n, p[:, None]) * np.abs(game.student - p[:, None])).sum(axis=1)
    assert risk.max() <= game.upper
    assert risk.max() >= game.upper - 1e-5
    points = np.concatenate([game.points, 1.0 - game.points])
    joint = np.tile(game.weights / game.weights.sum() / 2.0, 2)[:, None] * binom.pmf(
        k, n, points[:, None]
    )
    guesses = np.concatenate([points, np.linspace(0.0, 1.0, 501)])
    losses = np.abs(points[:, None] - guesses[None, :])
    bayes = (joint.T @ losses).min(axis=1).sum()
    assert bayes == pytest.approx(game.lower, abs=1e-12)
    assert 0.0 <= game.upper - game.lower <= 1e-7
    heaviest = game.points[game.weights.argmax()]
    assert student_risk(game.student, np.array([heaviest]))[0] == pytest.approx(
        game.lower, abs=1e-6
    )


@pytest.mark.parametrize("n", [1, 2, 5, 12, 20])
def test_general_bounds_hold_around_the_solved_games(n: int) -> None:
    game = solve_game(n)
    assert prior_lower(2, n) <= game.lower
    assert row_upper(2, n) >= game.upper - 1e-9
    assert curved_upper(n)[0] >= game.lower


@pytest.mark.parametrize("n", [7, 60, 301])
def test_the_curved_students_worst_case_is_certified(n: int) -> None:
    student = curved_student(n, 0.9 / math.sqrt(n))
    p = np.linspace(0.0, 1.0, 20_001)
    risk = np.concatenate([student_risk(student, part) for part in np.array_split(p, 40)])
    bound = student_upper(student, 1e-8)
    assert risk.max() <= bound <= risk.max() * (1.0 + 1e-5)
    assert curved_upper(n)[0] <= bound * (1.0 + 1e-4)


# --- lower bound


def exact_binomial(a: int, b: int, p: Fraction) -> Fraction:
    return math.comb(a + b, a) * p**a * (1 - p) ** b


@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 7), (3, 4), (40, 2), (300, 700), (1000, 0)])
def test_log_binomial_against_rational_arithmetic(a: int, b: int) -> None:
    for p in (Fraction(1, 7), Fraction(1, 3), Fraction(31, 64)):
        got = log_binomial(np.array([float(a)]), np.array([float(b)]), np.array([float(p)]))[0]
        exact = exact_binomial(a, b, p)
        want = math.log(exact.numerator) - math.log(exact.denominator)
        assert got == pytest.approx(want, abs=3e-12 + 1e-13 * abs(want))


@pytest.mark.parametrize(
    ("labels", "n", "alpha", "level"),
    few_quick(
        [(2, 3, 0.7, 0.5), (3, 2, 0.4, 0.6), (5, 4, 1.3, 0.55), (4, 0, 0.05, 0.9)],
        [(3, 2, 0.4, 0.6)],
    ),
)
def test_bayes_risk_against_quadrature(labels: int, n: int, alpha: float, level: float) -> None:
    price = 2.0 * level - 1.0
    total = price
    for k in range(n + 1):
        law = beta_law(alpha + k, (labels - 1) * alpha + n - k)

        def cost(x: float, law=law) -> float:
            below = quad(law.cdf, 0.0, x, epsabs=1e-11, limit=200)[0]
            above = quad(law.sf, x, 1.0, epsabs=1e-11, limit=200)[0]
            return below + above - price * x

        best = minimize_scalar(cost, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-8})
        total += labels * betabinom.pmf(k, n, alpha, (labels - 1) * alpha) * best.fun
    assert bayes_risk(labels, n, alpha, level) == pytest.approx(0.5 * total, rel=2e-6)


def test_bayes_risk_is_below_every_student_on_average() -> None:
    rng = np.random.default_rng(3)
    pi = rng.dirichlet(np.full(4, 0.8), size=40_000)
    counts = rng.multinomial(9, pi)
    for c in (0.4, 0.8, 1.2):
        student = (counts + c) / (9 + 4 * c)
        loss = 0.5 * np.abs(student - pi).sum(axis=1)
        low = loss.mean() - 5.0 * loss.std() / math.sqrt(len(loss))  # false alarm below 1e-6
        assert max(bayes_risk(4, 9, 0.8, level) for level in (0.5, 0.53, 0.56)) > 0.9 * low
        assert all(
            bayes_risk(4, 9, 0.8, level) < loss.mean() + 5.0 * loss.std() / 200.0
            for level in (0.5, 0.53, 0.56)
        )


@pytest.mark.parametrize(
    ("labels", "n", "alpha"),
    [
        (2, 400, 9.0),
        (2, 10**5, 150.0),
        (10, 3000, 12.0),
        (1000, 10**6, 30.0),
        (100, 3, 3.0),  # where the median is not the mean
        (1000, 3, 3.0),
    ],
)
def test_the_closed_form_stays_below_the_sum_it_bounds(labels: int, n: int, alpha: float) -> None:
    summed = bayes_risk(labels, n, alpha, 0.5)
    closed = float(closed_bayes_risk(labels, n, np.array([alpha]))[0])
    assert closed <= summed
    assert closed >= summed * (1.0 - 2.5 * math.sqrt(labels / n))


# --- upper bound


@given(
    n=st.integers(1, 9),
    labels=st.integers(2, 5),
    c=st.fractions(Fraction(1, 10), 3, max_denominator=20),
    p=st.fractions(0, 1, max_denominator=60),
)
@settings(deadline=None, derandomize=True, max_examples=80)
def test_coordinate_risk_against_rational_enumeration(
    n: int, labels: int, c: Fraction, p: Fraction
) -> None:
    exact = sum(
        exact_binomial(k, n - k, p) * abs((k + c) / (n + c * labels) - p) for k in range(n + 1)
    )
    got = coordinate_risk(np.array([float(p)]), labels, n, float(c))[0]
    assert got == pytest.approx(float(exact), rel=1e-11, abs=1e-14)


@pytest.mark.parametrize(
    ("labels", "n", "c"), [(2, 6, 0.8), (3, 30, 1.5), (10, 4, 0.3), (50, 500, 1.3)]
)
def test_the_curvature_bound_between_kinks(labels: int, n: int, c: float) -> None:
    total = n + c * labels
    j = np.repeat(np.arange(0.0, n), 5)
    p = (j + c + np.tile([0.15, 0.3, 0.5, 0.7, 0.85], n)) / total
    p, j = p[p < 1 - 0.1 / total], j[p < 1 - 0.1 / total]
    h = 1e-2 / total
    second = (
        coordinate_risk(p + h, labels, n, c)
        + coordinate_risk(p - h, labels, n, c)
        - 2 * coordinate_risk(p, labels, n, c)
    ) / h**2
    assert (second >= -4.0 * n * binom.pmf(j, n - 1, p) * (1.0 + 1e-3) - 1e-4).all()
    assert (second >= -4.0 * n * largest_mass(j, n - 1.0) - 1e-4).all()
    assert (second < -1.0).any()
    kink = (np.arange(1.0, n) + c) / total
    kink = kink[kink < 1.0 - h]
    rise = (
        coordinate_risk(kink + h, labels, n, c)
        + coordinate_risk(kink - h, labels, n, c)
        - 2.0 * coordinate_risk(kink, labels, n, c)
    ) / h
    mass = binom.pmf(np.arange(1, len(kink) + 1), n, kink)
    assert rise == pytest.approx(2.0 * mass, rel=0.2, abs=1e-3)


def test_largest_mass_bounds_the_binomial() -> None:
    p = np.linspace(0.0, 1.0, 2001)
    for n in (1, 2, 5, 40):
        j = np.arange(-1.0, n + 2.0)
        assert (binom.pmf(j[:, None], n, p).max(axis=1) <= largest_mass(j, float(n)) + 1e-12).all()


@pytest.mark.parametrize(
    ("labels", "n"), [(2, 3), (2, 200), (3, 300), (7, 1), (10, 100), (40, 10), (200, 20_000)]
)
def test_the_envelope_is_above_every_teacher_and_hardly_more(labels: int, n: int) -> None:
    c = best_add_c(labels, n)
    bound = add_c_upper(labels, n, c)
    rng = np.random.default_rng(11)
    rows = [
        rng.dirichlet(np.full(labels, a))
        for a in (0.01, 0.1, 0.5, 1.0, 5.0, 100.0)
        for _ in range(60)
    ]
    rows += [np.full(labels, 1.0 / labels), np.eye(labels)[0], hard_worst_row(labels, n)]
    risks = np.array([row_risk(row, n, c) for row in rows])
    assert (risks <= bound).all()
    assert risks.max() > 0.985 * bound  # negative control: 1.5 % less would be beaten by a teacher


def hard_worst_row(labels: int, n: int) -> np.ndarray:
    return hard_limit(1, labels, n).teacher.classes.rows[0]


@pytest.mark.parametrize(
    ("labels", "n", "c"), [(2, 25, 1.9), (5, 12, 0.6), (100, 40, 0.2), (30, 3000, 4.0)]
)
def test_the_certificate_meets_a_dense_search(labels: int, n: int, c: float) -> None:
    value, slope = envelope(labels, n, c)
    p = np.unique(
        np.concatenate([np.linspace(0.0, 1.0, 200_001), np.linspace(0.0, 20.0 / labels, 200_001)])
    )
    p = p[p <= 1.0]
    dense = (coordinate_risk(p, labels, n, c) - slope * (p - 1.0 / labels)).max()
    bound = add_c_upper(labels, n, c) * 2.0 / labels
    assert dense <= bound <= dense * (1.0 + 1e-5) + 1e-7 * value


def test_branch_and_bound_fails_without_its_curvature_term() -> None:
    edges = np.linspace(0.0, 1.0, 4)

    def wave(x: np.ndarray) -> np.ndarray:
        return np.sin(11.0 * x)

    def honest(u, v, at_u, at_v):
        return np.maximum(at_u, at_v) + 121.0 * (v - u) ** 2 / 8.0

    def naive(u, v, at_u, at_v):
        return np.maximum(at_u, at_v)

    assert 1.0 <= certified_maximum(wave, honest, edges, 1e-9) <= 1.0 + 1e-8
    assert certified_maximum(wave, honest, edges, 1e-9, rounds=1) >= 1.0
    assert certified_maximum(wave, naive, edges, 1e-9) < 0.99


@pytest.mark.parametrize("n", [10, 37, 1000, 10**6])
def test_the_closed_form_bounds_maximum_likelihood(n: int) -> None:
    p = np.unique(
        np.concatenate([np.linspace(0.0, 1.0, 20_001), np.linspace(0.0, min(1.0, 20.0 / n), 5001)])
    )
    risk = coordinate_risk(p, 2, n, 0.0)
    assert (
        risk <= math.sqrt(2.0 / (math.pi * n)) * np.sqrt(p * (1.0 - p) + 2.0 / n) * (1.0 + 1e-12)
    ).all()
    for labels in (2, 5, 100):
        assert 0.5 * labels * coordinate_risk(np.array([1.0 / labels]), labels, n, 0.0)[
            0
        ] <= mle_upper(labels, n)


def test_best_add_c_is_a_minimum() -> None:
    for labels, n in ((2, 50), (10, 100), (100, 30), (1000, 10**5)):
        c = best_add_c(labels, n)
        best = add_c_upper(labels, n, c)
        assert best <= min(add_c_upper(labels, n, 0.8 * c), add_c_upper(labels, n, 1.25 * c))
        assert best < add_c_upper(labels, n, 1e-3)  # maximum likelihood is not minimax
    assert best_add_c(1, 5) == best_add_c(5, 0) == 1.0
    assert best_add_c(10, 4 * 10**12) == pytest.approx(2.0 * best_add_c(10, 10**12), rel=1e-9)


# --- few labels: the student relieved at the corners


def promise(student: Relieved) -> np.ndarray:
    """u(0), ..., u(n), written from the definition."""
    labels, n, c = student
    x, m, delta = np.arange(n + 1.0), student.reach, RELIEF * c
    given, taken = np.maximum(1.0 - x / m, 0.0), np.maximum(labels - 1.0 - (n - x) / m, 0.0)
    return (x + c - delta * given + delta * taken) / (n + c * labels)


FEW = [
    Relieved(3, 1, 0.4),
    Relieved(3, 12, 0.9),
    Relieved(4, 40, 1.5),
    Relieved(9, 17, 0.5),
    Relieved(5, 500, 4.6),
]


@pytest.mark.parametrize("student", FEW)
def test_relieved_risk_against_enumeration(student: Relieved) -> None:
    rng = np.random.default_rng(8)
    kinks = promise(student)
    p = np.concatenate(
        [
            [0.0, 1.0, 1.0 / 3.0],
            kinks[kinks < 1.0][:50],
            rng.random(100),
            rng.random(100) * 4 / student.n,
        ]
    )
    p = p[p <= 1.0]
    law = binom.pmf(np.arange(student.n + 1), student.n, p[:, None])
    exact = (law * np.maximum(p[:, None] - kinks, 0.0)).sum(axis=1)
    assert student.risk(p) == pytest.approx(exact, rel=1e-11, abs=1e-14)


def test_relieved_risk_without_relief_is_half_of_add_c_on_rows() -> None:
    row = np.array([0.5, 0.3, 0.2])
    relieved = Relieved(3, 10**9, 6000.0)  # relief is out of reach of these probabilities
    assert relieved.risk(row).sum() == pytest.approx(row_risk(row, 10**9, 6000.0), rel=1e-9)


@pytest.mark.parametrize(
    "student",
    [
        Relieved(3, 12, 0.9),
        pytest.param(Relieved(3, 40, 1.9), marks=pytest.mark.long),
        Relieved(4, 12, 0.8),
    ],
)
def test_relieved_estimates_can_be_completed_to_a_student(student: Relieved) -> None:
    labels, n, c = student
    tables = np.array([t.ravel() for t in transfer_sets(1, labels, n)])
    u = promise(student)[tables]
    assert u.min() >= 0.0
    rest = 1.0 - u.sum(axis=1)
    assert rest.min() >= -1e-12
    assert rest[tables.max(axis=1) == n] == pytest.approx(0.0, abs=1e-12)
    assert ((n - tables < student.edge).sum(axis=1) <= 1).all()
    wide = promise(student) + 0.01 * c / student.total * (np.arange(n + 1.0) > n - student.edge)
    assert (
        wide[tables].sum(axis=1).max() > 1.0 + 1e-12
    )  # negative control: a larger bonus cannot be promised
    q = u + rest[:, None] / labels
    bound = relieved_upper(student)
    rng = np.random.default_rng(2)
    rows = np.concatenate(
        [rng.dirichlet(np.full(labels, a), 30) for a in (0.1, 1.0, 20.0)] + [np.eye(labels)]
    )
    for row in rows:
        law = np.array([multinomial(t, row) for t in tables])
        risk = 0.5 * float(law @ np.abs(q - row).sum(axis=1))
        assert risk <= student.risk(row).sum() + 1e-12
        assert student.risk(row).sum() <= bound


@pytest.mark.parametrize("student", FEW)
def test_the_curvature_bound_of_the_relieved_student(student: Relieved) -> None:
    _, n, _ = student
    rng = np.random.default_rng(4)
    p = rng.random(4000)
    h = 1e-4 / n
    p = p[(student.last(p - h) == student.last(p + h)) & (p > h) & (p < 1.0 - h)]
    second = (student.risk(p + h) + student.risk(p - h) - 2.0 * student.risk(p)) / h**2
    floor = -2.0 * n * binom.pmf(student.last(p), n - 1, p)
    bend = np.array([math.floor(n - student.edge) - 1.0, math.ceil(n - student.edge) - 1.0])
    allowance = (
        n
        * (n - 1.0)
        * student.steep
        / student.total
        * binom.pmf(bend[:, None], n - 2, p).max(axis=0)
    )
    noise = 1e-14 / h**2
    assert (second >= floor - np.nan_to_num(allowance) - noise - 1e-3 * np.abs(floor)).all()
    if n == 40:
        assert (
            second < floor - 2.0 * noise
        ).any()  # negative control: without the bend's term the bound fails


@pytest.mark.parametrize(
    ("labels", "n"), few_quick([(3, 30), (3, 300), (4, 5), (5, 1000), (9, 90)], [(3, 30), (4, 5)])
)
def test_the_relieved_certificate_meets_a_search_over_rows(labels: int, n: int) -> None:
    student = best_relieved(labels, n)
    bound = relieved_upper(student)
    rng = np.random.default_rng(6)
    rows = np.concatenate(
        [rng.dirichlet(np.full(labels, a), 20_000) for a in (0.05, 0.3, 1.0, 10.0, 300.0)]
    )
    rows = np.concatenate(
        [rows, *(np.eye(labels)[: z + 1].mean(axis=0)[None, :] for z in range(labels))]
    )
    risks = student.risk(rows.ravel()).reshape(rows.shape).sum(axis=1)
    assert risks.max() <= bound
    assert risks.max() >= 0.997 * bound  # negative control: 0.3 % less would be beaten by a row
    # Against a dense maximum for each number of small labels, slopes from the coarse grid.
    points = few_grid(student)
    dense = np.unique(np.concatenate([points, np.linspace(0.0, 1.0, 50_001)]))
    small, risk, offset = dense <= SMALL / labels, student.risk(dense), dense - 1.0 / labels
    for z, slope in enumerate(small_counts(student, points)[1]):
        e = risk - slope * offset
        assert z * e[small].max() + (labels - z) * e[~small].max() <= bound


@pytest.mark.parametrize("n", few_quick([1, 2, 3, 7, 3 * 10**6, 10**9, 2**53], [1, 3, 2**53]))
def test_the_relieved_student_serves_every_size(n: int) -> None:
    student = best_relieved(3, n)
    assert relieved_upper(student) >= hard_limit(1, 3, min(n, student.n)).lower
    assert 2.0 * student.edge <= student.n


# --- the interval


@pytest.mark.parametrize("labels", few_quick([*range(2, 11), 30, 100, 300, 1000], [2, 10, 1000]))
def test_widths(labels: int) -> None:
    assert hard_limit(1, labels, 10 * labels).width <= (0.037 if labels < 10 else 0.036)
    assert hard_limit(1, labels, 100 * labels).width <= (0.011 if labels < 10 else 0.012)


@pytest.mark.parametrize(
    ("labels", "long"),
    few_quick(itertools.product([2, 3, 40], [False, True]), [(2, False)]),
)
def test_the_interval_falls_in_n(labels: int, long: bool) -> None:
    sizes = [0, 1, 9, 20, 21, 100, 101]
    sizes += [10**6 * labels, 10**6 * labels + 1, 10**9 * labels, 2**53]
    sizes += [2, 3, 2000, 2001, 10**4, 3000 * labels] if long else []
    limits = [hard_limit(1, labels, n) for n in sorted(sizes)]
    for before, after in itertools.pairwise(limits):
        assert after.lower <= before.lower * (1.0 + 1e-8)
        assert after.upper <= before.upper * (1.0 + 2e-5)
        assert 0.0 < after.lower <= after.upper


@pytest.mark.parametrize("labels", few_quick([2, 10, 1000], [10]))
def test_the_asymptotic_constant_over_many_decades(labels: int) -> None:
    for ratio in (10**2, 10**4, 10**8):
        n = ratio * labels
        limit = hard_limit(1, labels, n)
        constant = math.sqrt((labels - 1) / (2.0 * math.pi * n))
        for bound in (limit.lower, limit.upper):
            assert abs(bound / constant - 1.0) <= 2.0 / math.sqrt(ratio)


def test_degenerate_games() -> None:
    for inputs, labels in ((1, 2), (1, 7), (5, 3)):
        limit = hard_limit(inputs, labels, 0)
        assert limit.exact
        assert limit.lower == limit.upper == 1.0 - 1.0 / labels
    limit = hard_limit(4, 1, 10)
    assert limit.exact
    assert limit.upper == 0.0


@pytest.mark.parametrize(("labels", "n"), [(10, 900), (12, 40), (50, 25), (1000, 9_000)])
def test_add_c_attains_the_upper_bound_on_the_returned_teacher(labels: int, n: int) -> None:
    limit = hard_limit(1, labels, n)
    risk = row_risk(limit.teacher.pi[0], n, best_add_c(labels, n))
    assert risk <= limit.upper
    assert risk >= limit.upper * (1.0 - 3e-3)


# --- several inputs


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick(
        [
            (2, 2, 3),
            (3, 4, 10),
            (10, 5, 200),
            (50, 3, 20),
            (10**6, 10, 100),
            (100, 25, 10**4),
            (7, 10, 10**4),
        ],
        [(2, 2, 3), (3, 4, 10), (10, 5, 200)],
    ),
)
def test_several_inputs_are_bracketed(inputs: int, labels: int, n: int) -> None:
    limit = hard_limit(inputs, labels, n)
    assert 0.0 < limit.lower < limit.upper <= 1.0 - 1.0 / labels
    assert limit.lower >= (1.0 - 1.0 / labels) * (1.0 - 1.0 / inputs) ** n * (
        1.0 - 1e-12
    )  # soft labels reveal more
    assert limit.upper >= hard_limit(1, labels, n).upper * (
        1.0 - 1e-3
    )  # one input is a special case
    assert limit.teacher.inputs == inputs
    assert limit.width <= (0.065 if n >= 4 * inputs * labels else 0.5)


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick([(3, 4, 600), (10, 5, 2000), (20, 10, 10**4)], [(3, 4, 600)]),
)
def test_maximum_likelihood_on_the_uniform_teacher_is_above_the_lower_bound(
    inputs: int, labels: int, n: int
) -> None:
    k = np.arange(1, n + 1)
    law = binom.pmf(k, n, 1.0 / inputs)
    k, law = k[law > 1e-18], law[law > 1e-18]
    row = [
        0.5 * labels * coordinate_risk(np.array([1.0 / labels]), labels, int(i), 0.0)[0] for i in k
    ]
    risk = float(law @ np.array(row))
    limit = hard_limit(inputs, labels, n)
    assert limit.lower <= risk
    assert 0.9 * risk < limit.upper < risk  # maximum likelihood is not minimax at finite n


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick([(2, 3, 7), (5, 4, 30), (20, 2, 10)], [(2, 3, 7), (20, 2, 10)]),
)
def test_the_lower_bound_is_the_mean_of_row_bayes_risks(inputs: int, labels: int, n: int) -> None:
    k = np.arange(n + 1)
    law = binom.pmf(k, n, 1.0 / inputs)
    for alpha, level in ((0.3, 0.5), (1.0, 0.5), (0.6, 0.55)):
        mean = float(law @ [bayes_risk(labels, int(i), alpha, level) for i in k])
        assert inputs_lower(inputs, labels, n) >= mean * (1.0 - 1e-3)


def test_a_block_of_visits_has_the_bound_of_its_last() -> None:
    inputs, n = 3, 2400
    k = np.arange(600, 1001)
    alpha, _ = best_prior(2, n // inputs)
    mean = float(binom.pmf(k, n, 1.0 / inputs) @ [bayes_risk(2, int(i), alpha, 0.5) for i in k])
    assert mean * (1.0 - 3e-3) <= inputs_lower(inputs, 2, n) <= mean * (1.0 + 1e-9)


def test_between_two_row_masses_the_bound_is_that_of_the_worse_one() -> None:
    """A row bound that drops at 2,200 visits: nearly all inputs at the peak of x P(k < 2,200), one with the rest."""
    inputs, n, drop = 100, 10**6, 2200
    x = np.linspace(0.5 * drop / n, drop / n, 2001)
    attained = (inputs - 1) * float((0.9 * x * binom.cdf(drop - 1, n, x)).max())
    bound = laws_upper(inputs, 10**6, n, np.array([0.0, drop]), np.array([0.9, 0.0]))
    assert attained <= bound <= attained * 1.01


@pytest.mark.parametrize(("inputs", "labels", "n"), [(2, 3, 7), (5, 4, 300), (20, 2, 10)])
def test_the_upper_bound_is_above_every_input_law(inputs: int, labels: int, n: int) -> None:
    bound = inputs_upper(inputs, labels, n)
    visits = visit_steps(inputs, n)
    rows = row_uppers(labels, visits)
    assert (np.diff(rows) <= 0.0).all()
    at = rows[np.searchsorted(visits, np.arange(n + 1), side="right") - 1]
    rng = np.random.default_rng(5)
    laws = [rng.dirichlet(np.full(inputs, a)) for a in (0.1, 1.0, 10.0) for _ in range(30)]
    risks = [sum(x * float(binom.pmf(np.arange(n + 1), n, x) @ at) for x in rho) for rho in laws]
    uniform = float(binom.pmf(np.arange(n + 1), n, 1.0 / inputs) @ at)
    assert max(risks) <= bound * (1.0 + 1e-12)
    assert uniform <= bound * (1.0 + 1e-12)
    assert uniform >= 0.9 * bound  # negative control: 10 % less would be beaten by the uniform law


def test_large_sizes_answer() -> None:
    for inputs, labels, n in (
        (10**9, 1000, 10**11),
        (2**53, 2, 2**53),
        (10, 10, 2**53),
        (1, LARGEST_LABELS, 10**7),
    ):
        limit = hard_limit(inputs, labels, n)
        assert 0.0 < limit.lower < limit.upper


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2, 1), "inputs = 0: must be at least 1"),
        ((1, 0, 1), "labels = 0: must be at least 1"),
        ((1, 2, -1), "n = -1: must be at least 0"),
        ((1, 2.5, 1), "labels = 2.5: must be a whole number"),
        ((1, 2, 2**54), r"n = .*must be at most 2\^53"),
        ((1, 10**7, 1), "labels = 10000000: must be at most 1000000"),
    ],
)
def test_impossible_sizes_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hard_limit(*arguments)


def test_rounding_is_part_of_the_interval() -> None:
    limit = hard_limit(1, 10, 90)
    assert limit.lower == prior_lower(10, 90) * (1.0 - ROUNDING)
    assert limit.upper == row_upper(10, 90) * (1.0 + ROUNDING)


def test_games_of_two_labels_are_solved_to_rounding():
    """`exact` means to rounding, and digits that are printed hold."""
    for n in range(1, 21, 3):
        game = solve_game(n)
        assert 0.0 <= game.upper - game.lower <= 2e-15
    found = kt.minimax_risk("hard", 1, 2, 2)
    assert found.exact
    assert found.lower == pytest.approx(0.191602585627289, abs=1e-15)
    assert "0.191602585627 exactly" in repr(found)


@pytest.mark.parametrize("access", ["hard", "partial", "soft", "top_k", "argmax"])
def test_exact_limits_are_exact_to_twelve_digits(access):
    given = {"k": 1} if access == "top_k" else {}
    for inputs, labels, n in itertools.product((1, 3), (1, 2, 5), (0, 2, 9)):
        if access == "top_k" and labels < 2:
            continue
        found = kt.minimax_risk(access, inputs, labels, n, **given)
        if found.exact:
            assert found.upper == pytest.approx(found.lower, rel=1e-12, abs=1e-300)
