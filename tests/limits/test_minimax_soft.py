"""Soft labels: Phi(S, n) against general optimisation, linear programmes over all students, and the paper's bounds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from grids import few_quick
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from kt_theory.limits.soft import unvisited_mass
from kt_theory.minimax import minimax_risk

SIZES = [
    (2, 1),
    (2, 2),
    (2, 3),
    (2, 10),
    (3, 2),
    (3, 5),
    (3, 25),
    (4, 3),
    (4, 4),
    (4, 8),
    (5, 2),
    (5, 7),
    (5, 9),
    (6, 4),
    (6, 6),
    (6, 30),
]


def general_maximum(inputs: int, n: int) -> float:
    """Maximise sum rho (1-rho)^n over the simplex, from many starts, knowing nothing of its shape."""
    rng = np.random.default_rng(0)
    best = 0.0
    for trial in range(12):
        start = rng.dirichlet(np.full(inputs, 0.3 if trial % 2 else 3.0))
        found = minimize(
            lambda r: -max(n, 1) * (r @ (1 - r) ** n),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * inputs,
            constraints={"type": "eq", "fun": lambda r: r.sum() - 1},
            options={"maxiter": 400, "ftol": 1e-15},
        )
        rho = np.clip(found.x, 0, 1)
        rho /= rho.sum()
        best = max(best, float(rho @ (1 - rho) ** n))
    return best


def game_value(teachers: list[np.ndarray], rho: np.ndarray, n: int, reveal: str) -> float:
    """Return the least worst risk of any student against finitely many teachers, by a linear programme.

    A student is a table q for every transcript (the counts of all pairs and what was revealed with them).
    """
    inputs, labels = teachers[0].shape
    chances: dict[tuple, dict[int, float]] = {}
    for t, pi in enumerate(teachers):
        pairs = [(s, a) for s in range(inputs) for a in range(labels) if rho[s] * pi[s, a] > 0]
        for drawn in itertools.combinations_with_replacement(pairs, n):
            ways = Fraction(np.prod([float(i) for i in range(1, n + 1)]) if n else 1)
            weight = 1.0
            for pair in set(drawn):
                c = drawn.count(pair)
                ways /= Fraction(int(np.prod(range(1, c + 1))))
                weight *= (rho[pair[0]] * pi[pair]) ** c
            shown = tuple((s, a, *(pi[s] if reveal == "soft" else [pi[s, a]])) for s, a in drawn)
            chances.setdefault(shown, {}).setdefault(t, 0.0)
            chances[shown][t] += float(ways) * weight
    q = {key: i for i, key in enumerate(itertools.product(chances, range(inputs), range(labels)))}
    gaps = {
        key: len(q) + i
        for i, key in enumerate(
            (shown, t, s, a)
            for shown, by in chances.items()
            for t in by
            for s in range(inputs)
            for a in range(labels)
        )
    }
    size = len(q) + len(gaps) + 1
    rows, limits, equal = [], [], []
    for (shown, t, s, a), gap in gaps.items():
        for sign in (1.0, -1.0):
            row = np.zeros(size)
            row[q[shown, s, a]], row[gap] = sign, -1.0
            rows.append(row)
            limits.append(sign * teachers[t][s, a])
    for t in range(len(teachers)):
        row = np.zeros(size)
        for (shown, u, s, _), gap in gaps.items():
            if u == t:
                row[gap] += 0.5 * rho[s] * chances[shown][t]
        row[-1] = -1.0
        rows.append(row)
        limits.append(0.0)
    for shown in chances:
        for s in range(inputs):
            row = np.zeros(size)
            row[[q[shown, s, a] for a in range(labels)]] = 1.0
            equal.append(row)
    cost = np.zeros(size)
    cost[-1] = 1.0
    solved = linprog(
        cost,
        A_ub=np.array(rows),
        b_ub=limits,
        A_eq=np.array(equal),
        b_eq=np.ones(len(equal)),
        bounds=(0, None),
    )
    assert solved.success
    return float(solved.fun)


@pytest.mark.parametrize(("inputs", "n"), few_quick(SIZES, SIZES[::3]))
def test_phi_equals_a_general_maximisation(inputs: int, n: int) -> None:
    assert unvisited_mass(inputs, n).value == pytest.approx(general_maximum(inputs, n), rel=1e-9)


def test_the_reference_number() -> None:
    assert unvisited_mass(2, 10).value == pytest.approx(0.035049389983, abs=5e-13)


@pytest.mark.parametrize(
    ("inputs", "n"), [*SIZES, (100, 40), (100, 150), (100, 198), (100, 400), (1000, 5000)]
)
def test_the_value_is_that_of_its_law_in_rational_arithmetic(inputs: int, n: int) -> None:
    law = unvisited_mass(inputs, n)
    light = Fraction(law.light)
    heavy = 1 - (inputs - 1) * light
    exact = (inputs - 1) * light * (1 - light) ** n + heavy * (1 - heavy) ** n
    assert abs(Fraction(law.value) / exact - 1) < Fraction(1, 10**13)
    assert abs(float(heavy) - law.heavy) < 1e-12


@pytest.mark.parametrize("n", range(0, 60))
def test_no_two_valued_law_does_better(n: int) -> None:
    for inputs in (2, 5, 17, 30, 50):
        x = np.linspace(0, 1 / (inputs - 1), 4001)
        h = 1 - (inputs - 1) * x
        assert ((inputs - 1) * x * (1 - x) ** n + h * (1 - h) ** n).max() <= unvisited_mass(
            inputs, n
        ).value * (1 + 1e-12)


@pytest.mark.parametrize(
    ("inputs", "labels", "n"), [(2, 2, 1), (2, 2, 2), (2, 2, 3), (2, 3, 1), (3, 2, 1), (3, 2, 2)]
)
def test_no_student_at_all_beats_it_in_the_game_over_deterministic_teachers(
    inputs: int, labels: int, n: int
) -> None:
    limit = minimax_risk("soft", inputs, labels, n)
    law = unvisited_mass(inputs, n)
    rho = np.array([law.light] * (inputs - 1) + [law.heavy])
    teachers = [
        np.eye(labels)[list(choice)] for choice in itertools.product(range(labels), repeat=inputs)
    ]
    assert game_value(teachers, rho, n, "soft") == pytest.approx(limit.lower, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "inputs"),
    [
        (2**53, 10**9),
        (2**53, 2),
        (10**9, 10**9),
        (2 * 10**9, 10**9),
        (10**12, 10**9),
        (0, 10**9),
        (7, 1),
    ],
)
def test_huge_sizes(n: int, inputs: int) -> None:
    limit = minimax_risk("soft", inputs, 50, n)
    rows, rho, count = limit.teacher.classes
    by_hand = (
        float((rho * count) @ np.exp(n * np.log1p(-np.minimum(rho, 1 - 1e-300))))
        if inputs > 1
        else 0.0
    )
    if n == 0:
        assert limit.lower == pytest.approx(0.98, rel=1e-15)
    elif inputs == 1:
        assert limit.lower == 0.0
    else:
        assert limit.lower == pytest.approx(0.98 * by_hand, rel=1e-12)
    assert limit.exact
    assert limit.lower == limit.upper
    assert limit.teacher.inputs == inputs
    assert (rows[:, 0] == 1).all()


def test_rates_over_three_decades() -> None:
    for c in (0.25, 0.5, 1.0):
        errors = [
            abs(unvisited_mass(s, int(c * s)).value - np.exp(-c))
            for s in (10**3, 10**4, 10**5, 10**6)
        ]
        assert all(small < large / 5 for large, small in itertools.pairwise(errors))
    errors = [
        abs(n / 9 * unvisited_mass(10, n).value - np.exp(-1)) for n in (10**3, 10**4, 10**5, 10**6)
    ]
    assert all(small < large / 5 for large, small in itertools.pairwise(errors))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.integers(1, 10**6), st.integers(1, 40), st.integers(1, 10**7))
def test_order_and_the_papers_bounds(inputs: int, labels: int, n: int) -> None:
    value = minimax_risk("soft", inputs, labels, n).lower
    slack = 1 + 1e-12
    assert minimax_risk("soft", inputs, labels, n + 1).lower <= value * slack
    assert minimax_risk("soft", inputs + 1, labels, n).lower * slack >= value
    assert minimax_risk("soft", inputs, labels + 1, n).lower * slack >= value
    assert value <= 4 * inputs / (9 * n)  # Theorem 5.2
    if n > inputs - 1 and labels >= 2:
        assert value * slack >= (inputs - 1) / (2 * np.e * (n + 1))  # Theorem 5.1


@pytest.mark.parametrize(
    ("given_arguments", "words"),
    [
        ({"access": "sfot", "inputs": 1, "labels": 2, "n": 1}, "did you mean 'soft'"),
        ({"access": "soft", "inputs": 0, "labels": 2, "n": 1}, "inputs = 0: must be at least 1"),
        ({"access": "soft", "inputs": -3, "labels": 2, "n": 1}, "inputs = -3"),
        ({"access": "soft", "inputs": 1.5, "labels": 2, "n": 1}, "not a fraction"),
        ({"access": "soft", "inputs": 1, "labels": 0, "n": 1}, "labels = 0"),
        (
            {"access": "soft", "inputs": 1, "labels": 10**7, "n": 1},
            "labels = 10000000: must be at most 1000000",
        ),
        (
            {"access": "soft", "inputs": 10**13, "labels": 2, "n": 1},
            "must be at most 1000000000000",
        ),
        ({"access": "soft", "inputs": 1, "labels": 2, "n": -1}, "n = -1"),
        ({"access": "soft", "inputs": 1, "labels": 2, "n": 0.5}, "n = 0.5"),
        ({"access": "soft", "inputs": 1, "labels": 2, "n": 2**53 + 2}, "2\\^53"),
        ({"access": "soft", "inputs": 1, "labels": 2}, "n is missing"),
        ({"access": "soft", "labels": 2, "n": 1}, "inputs is missing"),
        ({"access": "soft", "inputs": 1, "labels": 2, "n": 1, "k": 1}, "k is given"),
        ({"access": "soft", "inputs": 1, "labels": 2, "n": 1, "hops": 2}, "hops is given"),
        (
            {"access": "soft", "inputs": 1, "labels": 2, "n": 1, "graph": np.eye(2)},
            "graph is given",
        ),
    ],
)
def test_bad_input_is_named(given_arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        minimax_risk(**given_arguments)


def test_repr_says_what_it_is() -> None:
    text = repr(minimax_risk("soft", 2, 2, 10))
    assert "soft, inputs=2, labels=2, n=10" in text
    assert "0.0175246949916 exactly" in text
