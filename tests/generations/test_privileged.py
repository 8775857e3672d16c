"""Privileged information: exact risks against enumeration and simulation, and the two extremes ce_ful and ce_sgl."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory.generations import Privileged
from kt_theory.testing import assert_risk, teachers

RNG = np.random.default_rng(8)


def enumerated(tables, weights, rho, n):
    """The expected loss over all sequences of n queries (s, u), in rational arithmetic."""
    tables = [[[Fraction(float(x)) for x in row] for row in table] for table in tables]
    weights, rho = [Fraction(float(w)) for w in weights], [Fraction(float(r)) for r in rho]
    inputs, labels = len(rho), len(tables[0][0])
    pi = [
        [sum(w * t[s][a] for w, t in zip(weights, tables, strict=True)) for a in range(labels)]
        for s in range(inputs)
    ]
    total = Fraction(0)
    for queries in product(product(range(inputs), range(len(weights))), repeat=n):
        chance = Fraction(1)
        for s, u in queries:
            chance *= rho[s] * weights[u]
        for s in range(inputs):
            shown = [tables[u][s] for at, u in queries if at == s]
            q = [sum(column) / len(shown) for column in zip(*shown, strict=True)] or [
                Fraction(1, labels)
            ] * labels
            total += chance * rho[s] * sum(abs(x - p) for x, p in zip(q, pi[s], strict=True)) / 2
    return float(total)


def of(frame, i=0):
    return SimpleNamespace(**frame.iloc[i][["mean", "std_error", "repeats"]].to_dict())


def coarse(shape):
    """Distributions with denominators 16, so that floats are exact."""
    return RNG.multinomial(16, np.full(shape[-1], 1 / shape[-1]), size=shape[:-1]) / 16.0


@pytest.mark.parametrize("n", [0, 1, 3])
def test_two_hidden_values_are_exact(n):
    tables, weights, rho = coarse((2, 2, 3)), [0.25, 0.75], [0.375, 0.625]
    hidden = Privileged(tables, weights, rho)
    expected = enumerated(tables, weights, rho, n)
    assert hidden.risk(n) == pytest.approx(expected, abs=1e-14)
    assert hidden.bound(n) >= expected - 1e-14
    assert_risk(
        of(hidden.simulate(n, repeats=20_000, seed=n, progress=False)), expected, detects=0.02
    )


def test_three_hidden_values_are_exact_where_each_label_has_two_probabilities():
    """u = 2, 3 move label 0 alike and split the others: two values at every label, of different chances."""
    tables = [[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]]]
    hidden = Privileged(tables, [0.5, 0.25, 0.25])
    for n in (1, 4):
        assert hidden.risk(n) == pytest.approx(
            enumerated(tables, [0.5, 0.25, 0.25], [1.0], n), abs=1e-14
        )


def test_three_hidden_values_are_bounded():
    tables, weights, rho = coarse((3, 2, 2)), [0.25, 0.25, 0.5], [0.5, 0.5]
    hidden = Privileged(tables, weights, rho)
    found = of(hidden.simulate(3, repeats=20_000, seed=1, progress=False))
    expected = enumerated(tables, weights, rho, 3)
    assert_risk(found, expected, detects=0.02)
    with pytest.raises(AssertionError, match="away"):
        assert_risk(found, expected + 0.02, detects=0.02)
    assert expected <= hidden.bound(3)
    with pytest.raises(kt.NoExactRisk, match="has more than two values: no exact risk"):
        hidden.risk(3)


@given(teachers(), st.integers(0, 40))
def test_nothing_hidden_is_ce_ful(teacher, n):
    """No variance over u: the rows shown are all pi(.|s)."""
    hidden = Privileged([teacher.pi, teacher.pi], [0.3, 0.7], teacher.rho)
    exact = kt.exact_risk(teacher, "ce_ful", n)
    assert hidden.risk(n) == pytest.approx(exact, abs=1e-14)
    assert hidden.bound(n) == pytest.approx(exact, abs=1e-7)
    seen = hidden.simulate(n, repeats=50, seed=n, progress=False)
    if n == 0:
        assert seen["mean"][0] == pytest.approx(exact, abs=1e-12)


def test_point_masses_are_ce_sgl():
    """u decides the label: the answer is a hard label. Two values exactly, five by simulation."""
    masses = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    hidden = Privileged(masses, [0.8, 0.2], [0.6, 0.4])
    for n in (1, 5, 50, 1000):
        assert hidden.risk(n) == pytest.approx(
            kt.exact_risk(hidden.teacher, "ce_sgl", n), abs=1e-14
        )
    law = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    many = Privileged(np.eye(5)[:, None, :].repeat(3, axis=1), law)
    np.testing.assert_allclose(many.teacher.pi, np.tile(law, (3, 1)), atol=1e-15)
    for n in (0, 1, 30, 10**6):
        assert many.risk(n) == pytest.approx(kt.exact_risk(many.teacher, "ce_sgl", n), rel=1e-12)
    found = of(many.simulate(30, repeats=10_000, seed=2, progress=False))
    assert_risk(found, kt.exact_risk(many.teacher, "ce_sgl", 30), detects=0.02)


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 4))
def test_answers_are_never_worth_less_than_hard_labels(seed, n, inputs):
    """ce_sgl's table, given the values of u, has the student's as its mean: Jensen. And the bound is above the risk."""
    rng = np.random.default_rng(seed)
    hidden = Privileged(
        rng.dirichlet(np.ones(3), size=(2, inputs)),
        rng.dirichlet([1, 1]),
        rng.dirichlet(np.ones(inputs)),
    )
    coverage = kt.exact_risk(hidden.teacher, "ce_ful", n)
    assert (
        coverage - 1e-14
        <= hidden.risk(n)
        <= min(kt.exact_risk(hidden.teacher, "ce_sgl", n), hidden.bound(n)) + 1e-12
    )


def test_the_rate_is_coverage_and_the_spread_over_u():
    """S = 10, n large: 1/2 sum sd / sqrt(n rho) times E|g| = sqrt(2/pi), as the counts of u become normal."""
    tables = RNG.dirichlet(np.ones(4), size=(2, 10))
    hidden = Privileged(tables, [0.5, 0.5])
    n = np.array([10**5, 10**7])
    spread = 0.5 * np.abs(tables[0] - tables[1]).sum() / 2
    normal = spread / 10 / np.sqrt(n / 10) * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(hidden.risk(n), normal, rtol=1e-3)
    np.testing.assert_allclose(hidden.bound(n), spread / 10 / np.sqrt(n / 10), rtol=1e-3)
    assert (hidden.bound(n) <= 0.5 * np.sqrt(2 * 0.1 / (n + 1)) * 2 * spread).all()


def test_the_largest_number_of_queries():
    hidden = Privileged([[[0.9, 0.1]], [[0.5, 0.5]]], [0.5, 0.5])
    assert hidden.bound(2**53) == pytest.approx(0.2 / 2**26.5, rel=1e-12)
    assert hidden.risk(2**53) == pytest.approx(np.sqrt(2 / np.pi) * 0.2 / 2**26.5, rel=1e-6)
    two = Privileged(RNG.dirichlet(np.ones(2), size=(2, 2)), [0.5, 0.5])
    with pytest.raises(
        kt.NoExactRisk, match=r"^n = 9007199254740992: .* use bound\(n\) or simulate\(n, repeats\)$"
    ):
        two.risk(2**53)


def test_bad_input_is_named():
    table = [[[0.5, 0.5]]]
    for call, message in (
        (
            lambda: Privileged(table[0], [1.0]),
            r"tables has shape \(1, 2\): must have 3 axes, \(values of u, inputs, labels\)",
        ),
        (lambda: Privileged(table, [0.5, 0.5]), "tables has 1 values of u: weights has 2"),
        (lambda: Privileged(table, [0.5]), "weights sums to 0.5"),
        (lambda: Privileged([[[0.5, 0.4]]], [1.0]), "tables row 0, 0 sums to 0.9"),
        (
            lambda: Privileged([[[0.5, 0.5]], [[1.0]]], [0.5, 0.5]),
            "tables: must be a table of real numbers",
        ),
        (
            lambda: Privileged(table, [1.0], [0.5]),
            "rho sums to 0.5: must sum to 1; divide by the sum",
        ),
        (lambda: Privileged(table, [1.0], [0.5, 0.5]), "rho has 2 entries"),
        (lambda: Privileged(table, [1.0]).risk(-1), "n = -1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert repr(Privileged(table, [1.0])).startswith("Privileged(1 hidden values, Teacher(1 input")
    assert Privileged(table, [1.0]).risk([3, 4]).shape == (2,)
    frame = Privileged(table, [1.0]).simulate([3, 4], repeats=5, progress=False)
    assert frame.equals(Privileged(table, [1.0]).simulate([3, 4], repeats=5, progress=False))
