from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, e, exp, factorial, log, prod, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kt_theory.limits import paper as bounds
from kt_theory.teacher import Teacher

FALSE_ALARM = 1e-6


# Witnesses: exact risks by enumeration, written without the package.


def compositions(total, parts):
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def transfer_sets(pi, rho, n):
    """Every table of counts with its multinomial probability."""
    joint = (np.asarray(rho)[:, None] * pi).ravel()
    for counts in compositions(n, joint.size):
        ways = factorial(n) / prod(factorial(c) for c in counts)
        weight = ways * prod(p**c for p, c in zip(joint, counts, strict=True))
        if weight > 0:
            yield np.reshape(counts, np.shape(pi)), weight


def guess(student, counts, p):
    labels = len(p)
    if counts.sum() == 0:
        return np.full(labels, 1 / labels)
    if student == "ce_ful":
        return p
    if student == "ce_sgl":
        return counts / counts.sum()
    unseen = counts == 0
    return np.where(unseen, p[unseen].sum() / max(unseen.sum(), 1), p)


def exact_risk(student, pi, rho, n):
    return sum(
        weight * r * 0.5 * np.abs(guess(student, c, p) - p).sum()
        for counts, weight in transfer_sets(pi, rho, n)
        for c, p, r in zip(counts, pi, rho, strict=True)
    )


def ce_sgl_risk(pi, rho, n):
    """E TV of the MLE from binomial tables: rows see k ~ Bin(n, rho), label a is counted Bin(k, pi_a) times."""
    risk = 0.0
    for p, r in zip(pi, rho, strict=True):
        visits = stats.binom.pmf(np.arange(n + 1), n, r)
        for k, weight in enumerate(visits):
            if k == 0:
                risk += weight * r * 0.5 * np.abs(1 / len(p) - p).sum()
            elif weight > 1e-18:
                v = np.arange(k + 1)
                risk += (
                    weight * r * 0.5 * sum(stats.binom.pmf(v, k, a) @ np.abs(v / k - a) for a in p)
                )
    return risk


def random_teacher(rng, inputs, labels):
    pi = rng.dirichlet(np.full(labels, rng.choice([0.2, 1.0])), size=inputs)
    return pi, rng.dirichlet(np.ones(inputs))


def instance1(inputs, labels, n):
    step = 0.25 * sqrt(inputs * labels / n)
    pi = np.tile((1 + step * np.resize([1, -1], labels)) / labels, (inputs, 1))
    return pi, np.full(inputs, 1 / inputs)


def light_labels(inputs, labels, n, light):
    """One heavy label, `light` labels of mass S t/(n+1) with t as large as allowed up to 1, the others without mass."""
    row = np.zeros(labels)
    row[:light] = min(inputs / (n + 1), 1 / light)
    row[-1] = 1 - row[:light].sum()
    return np.tile(row, (inputs, 1)), np.full(inputs, 1 / inputs)


# Constants: the formulas written anew, at their regimes' edges.


def value(id, S, A, n, delta=0.05, teacher=None):
    return bounds.bound(id, S, A, n, delta, teacher).value


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    S=st.integers(2, 10**6),
    A=st.integers(3, 10**4),
    n=st.integers(10**10, 2**53),
    delta=st.floats(1e-12, 0.1),
)
def test_constants(S, A, n, delta):
    lg = np.log1p(S) - np.log(delta)
    mg = np.log(S + 2.0) - np.log(delta)
    expected = {
        "3.1": 0.037908166232039575 * (S * A / n) ** 0.5,  # 0.0379... = 1/(16 sqrt(e))
        "3.2-delta": (S * (A * 0.6931471805599453 + lg) / (2 * n)) ** 0.5
        + (2 * S * 0.6931471805599453 / n + 2 * lg / n) ** 0.5,
        "3.2-mean": (0.5 * A**0.5 + 1) * (S / n) ** 0.5,
        "4.1": 0.09196986029286058 * S * (A - 1) / (n + 1),  # 0.0919... = 1/(4e)
        "4.4-delta": S / n * (4 / 9 * A + 3 * A**0.5 * mg) * (12 + (np.log(S) + mg) * 200 / 99)
        + (4 / 9 * S + 3 * S**0.5 * mg) / n,
        "4.4-mean": S * A * (8 / (9 * n) + 1 / (n + 1)),
        "4.4-mean-sharp": S * A / (n + 1),
        "5.1": 0.18393972058572117 * (S - 1) / (n + 1),  # 0.1839... = 1/(2e)
        "5.2-delta": (S / 2.25 - 3 * S**0.5 * np.log(delta)) / n,
        "5.2-mean": S / (2.25 * n),
    }
    inside = {"3.1": 4 * n >= S * A, "4.1": 2 * (n + 1) >= S * (A - 1), "5.1": n >= S}
    for id, number in expected.items():
        got = value(id, S, A, n, delta)
        assert (got is not None) == inside.get(id, True)
        if got is not None:
            assert got == pytest.approx(number, rel=1e-12), id
    one = {
        "3.2-delta": ((A * 0.6931471805599453 - np.log(delta)) / (2 * n)) ** 0.5,
        "3.2-mean": (A / n / 4) ** 0.5,
        "4.4-delta": (A / 2.25 - 3 * A**0.5 * np.log(delta)) / n,
    }
    for id, number in one.items():
        assert value(id, 1, A, n, delta) == pytest.approx(number, rel=1e-12), id


@pytest.mark.parametrize(
    ("id", "S", "A", "n", "delta", "applies"),
    [
        ("3.1", 3, 5, 4, 0.05, True),  # SA/4 = 3.75
        ("3.1", 3, 5, 3, 0.05, False),
        ("3.1", 4, 5, 5, 0.05, True),  # equality counts
        ("3.1", 4, 1, 5, 0.05, False),
        ("4.1", 4, 5, 7, 0.05, True),  # S(A-1)/2 - 1 = 7
        ("4.1", 4, 5, 6, 0.05, False),
        ("4.1", 1, 3, 0, 0.05, True),
        ("4.1", 1, 2, 100, 0.05, False),  # the risk is 0 there
        ("5.1", 7, 2, 7, 0.05, True),
        ("5.1", 7, 2, 6, 0.05, False),
        ("5.1", 1, 2, 6, 0.05, False),
        ("5.1", 7, 1, 9, 0.05, False),
        ("5.2-delta", 7, 2, 1, 0.1, True),
        ("5.2-delta", 7, 2, 1, 0.1001, False),
        ("5.2-delta", 7, 2, 0, 0.05, False),
        ("4.4-delta", 1, 2, 1, 0.1, True),
        ("4.4-delta", 1, 2, 1, 0.1001, False),
        ("4.4-delta", 2, 2, 1, 0.3999, True),  # (S+2)/10 = 0.4, strict
        ("4.4-delta", 2, 2, 1, 0.4, False),
        ("4.4-delta", 9, 2, 1, 0.999, True),
        ("4.4-mean", 2, 2, 0, 0.05, False),
        ("4.4-mean-sharp", 2, 2, 0, 0.05, True),
        ("3.2-mean", 1, 1, 0, 0.05, False),
        ("3.2-delta", 1, 1, 1, 0.999, True),
        ("H.2", 1, 1, 1, 0.05, False),
    ],
)
def test_regime_edges(id, S, A, n, delta, applies):
    bound = bounds.bound(id, S, A, n, delta)
    assert bound.applies == applies
    assert (bound.value is not None) == applies


# Lower bounds: the steps of the proofs, and below the risk of a good student on the hard teacher.


def test_hard_lower_is_what_assouad_gives_for_odd_labels_too():
    for S, A in product((1, 3, 50), (2, 3, 4, 5, 7, 30, 31)):
        for n in np.unique(np.geomspace(max(1, -(-S * A // 4)), 1e9, 40).astype(int)):
            even = A - A % 2
            step = 0.25 * sqrt(S * even / n)
            assert step <= 0.5
            divergence = n / (S * even) * 2 * step * log((1 + step) / (1 - step))
            proof = step / 4 * exp(-divergence)
            assert value("3.1", S, A, int(n)) <= proof
    assert 2 * value("3.1", 1, 2, 10**9) > 0.25 / 4 * sqrt(2 / 1e9) * exp(
        -0.25
    )  # control: twice the bound is no theorem


def expected_harmonic(n, unit, positive, zero):
    """E[U z / (U + z)], U of `positive` light labels of mass `unit` unseen in n draws, by inclusion-exclusion."""
    total = Fraction(0)
    for u in range(1, positive + 1):
        exactly = sum(
            (-1) ** j * comb(positive - u, j) * (1 - (u + j) * unit) ** n
            for j in range(positive - u + 1)
        ) * comb(positive, u)
        total += exactly * Fraction(u * zero, u + zero)
    return total


@pytest.mark.parametrize("labels", [3, 4, 5, 6, 7, 8, 12])
def test_partial_lower_constant_is_proved_for_even_labels_too(labels):
    """Rational arithmetic: the Bayes risk St/(n+1) E[Uz/(U+z)] of random light labels is at least S(A-1)/(4e(n+1))."""
    light = labels - 1
    positive = -(-light // 2)
    for inputs in (1, 2, 5):
        first = max(0, -(-inputs * light // 2) - 1)
        for n in sorted({first, first + 1, first + 2, 2 * first + 3, 60}):
            t = min(Fraction(1), Fraction(n + 1, inputs * positive))
            risk = (
                inputs * t / (n + 1) * expected_harmonic(n, t / (n + 1), positive, light - positive)
            )
            low = value("4.1", inputs, labels, n)
            assert low <= risk
            assert 3 * low > risk  # control: three times the bound is no theorem


@pytest.mark.parametrize(
    ("S", "A", "n"), [(1, 3, 1), (1, 3, 6), (1, 4, 2), (1, 5, 4), (2, 3, 3), (2, 4, 3)]
)
def test_partial_lower_below_sel_ptl_on_its_hard_teacher(S, A, n):
    pi, rho = light_labels(S, A, n, A // 2)
    risk = exact_risk("sel_ptl", pi, rho, n)
    assert value("4.1", S, A, n) <= risk
    assert 4 * value("4.1", S, A, n) > risk


@pytest.mark.parametrize(
    ("S", "A", "n"), [(1, 2, 1), (1, 2, 40), (2, 4, 5), (2, 4, 60), (3, 6, 30)]
)
def test_hard_lower_below_ce_sgl_on_its_hard_teacher(S, A, n):
    risk = ce_sgl_risk(*instance1(S, A, n), n)
    assert value("3.1", S, A, n) <= risk
    assert 40 * value("3.1", S, A, n) > risk


@pytest.mark.parametrize(("S", "A", "n"), [(2, 2, 2), (2, 5, 40), (5, 3, 5), (40, 2, 300)])
def test_soft_lower_below_ce_ful_on_its_hard_teacher(S, A, n):
    atoms = np.full(S, 1 / (n + 1))
    atoms[0] = 1 - (S - 1) / (n + 1)
    risk = (1 - 1 / A) * float(np.sum(atoms * (1 - atoms) ** n))
    assert value("5.1", S, A, n) <= risk
    assert 4 * value("5.1", S, A, n) > risk


def test_lower_bounds_below_published_minimax_values():
    for n, minimax in ((1, 0.25), (2, 0.1916025856), (4, 0.1437480498)):
        assert value("3.1", 1, 2, n) <= minimax <= value("3.2-mean", 1, 2, n)
    assert value("4.1", 1, 3, 5) <= 0.033544227793 <= value("4.4-mean-sharp", 1, 3, 5)
    assert value("5.1", 2, 2, 10) <= 0.035049389983 / 2 <= value("5.2-mean", 2, 2, 10)


# Mean upper bounds: above every exact risk.

MEAN_UPPER = {
    "ce_sgl": ["3.2-mean", "3.2-instance"],
    "sel_ptl": ["4.4-mean", "4.4-mean-sharp"],
    "ce_ful": ["5.2-mean"],
}


@pytest.mark.parametrize("student", MEAN_UPPER)
@pytest.mark.parametrize(("S", "A"), [(1, 2), (1, 4), (2, 2), (2, 3), (3, 2)])
def test_mean_upper_bounds_above_exact_risk(student, S, A):
    rng = np.random.default_rng(7)
    teachers = [random_teacher(rng, S, A) for _ in range(3)] + [
        light_labels(S, A, 3, max(A // 2, 1))
    ]
    for (pi, rho), n in product(teachers, (1, 2, 4)):
        risk = exact_risk(student, pi, rho, n)
        for id in MEAN_UPPER[student]:
            assert risk <= value(id, S, A, n, teacher=Teacher(pi, rho)) + 1e-14


def test_mean_upper_bounds_of_the_mle_at_larger_n():
    rng = np.random.default_rng(8)
    for S, A, n in ((1, 5, 80), (3, 4, 60), (4, 10, 40)):
        pi, rho = random_teacher(rng, S, A)
        for table, law in ((pi, rho), (np.full((S, A), 1 / A), np.full(S, 1 / S))):
            risk = ce_sgl_risk(table, law, n)
            assert risk <= value("3.2-mean", S, A, n)
            assert risk <= value("3.2-instance", S, A, n, teacher=Teacher(table, law))
    uniform = ce_sgl_risk(np.full((1, 5), 0.2), np.ones(1), 80)
    assert uniform > value("3.2-mean", 1, 5, 80) / 2  # control: half the bound is no theorem
    assert uniform == pytest.approx(exact_mle_uniform(5, 80), rel=1e-12)


def exact_mle_uniform(A, n):
    terms = (
        comb(n, v) * (A - 1) ** (n - v) * abs(Fraction(v, n) - Fraction(1, A)) for v in range(n + 1)
    )
    return float(sum(terms) / A**n * A / 2)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
    n=st.integers(1, 10**5),
    A=st.integers(1, 50),
)
def test_soft_mean_upper_above_the_missing_mass(weights, n, A):
    rho = np.array(weights) / sum(weights)
    risk = (1 - 1 / A) * np.sum(rho * np.exp(n * np.log1p(-np.minimum(rho, 1 - 1e-16))))
    assert risk <= value("5.2-mean", len(rho), A, n)


def test_constant_four_ninths_is_needed_up_to_a_fifth():
    """Lemma E.5: max x(1-x)^n = n^n/(n+1)^(n+1) < 1/(en) < 4/(9n)."""
    for n in (1, 2, 10, 1000):
        peak = Fraction(n**n, (n + 1) ** (n + 1))
        assert peak < 1 / (e * n) < value("5.2-mean", 1, 1, n)
    assert 0.81 * value("5.2-mean", 1, 1, 10**6) < float(1e6 / (1e6 + 1)) ** (10**6 + 1) / 1e6


def test_instance_dependent_formula():
    pi = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0]])
    rho = np.array([0.5, 0.2, 0.3])
    missing = 0.5 * 0.5**9 + 0.2 * 0.8**9 + 0.3 * 0.7**9
    expected = sqrt(1.0 * 9 / 20) + missing  # row sums of min(pi, 1-pi): 0.6, 1, 0
    assert value("3.2-instance", 3, 3, 9, teacher=Teacher(pi, rho)) == pytest.approx(
        expected, rel=1e-14
    )
    unvisited = Teacher(pi, [0.7, 0.0, 0.3])  # the row that never occurs no longer sets xi
    missing = 0.7 * 0.3**9 + 0.3 * 0.7**9
    assert value("3.2-instance", 3, 3, 9, teacher=unvisited) == pytest.approx(
        sqrt(0.6 * 9 / 20) + missing, rel=1e-14
    )
    point = Teacher(np.eye(2), [1.0, 0.0])
    assert value("3.2-instance", 2, 2, 5, teacher=point) == 0.0
    assert value("3.2-instance", 2, 2, 0, teacher=point) == 1.0
    assert value("3.2-instance", 2, 2, 5) is None


def test_instance_dependent_bound_for_huge_domains():
    """10^12 inputs given by classes: the missing mass (1-1/S)^n keeps its digits."""
    S = 10**12
    teacher = Teacher.from_classes([[1.0, 0.0]], [1 / S], [S])
    assert value("3.2-instance", S, 2, 3 * S, teacher=teacher) == pytest.approx(exp(-3), rel=1e-10)


def test_products_beyond_int64():
    frame = bounds.table(10**15, 10**15, 2**53)
    assert frame["value"].dtype == np.float64
    assert value("4.4-mean-sharp", 10**15, 10**15, 10**15 - 1) == pytest.approx(1e15)


# Bounds with high probability.


def test_missing_mass_constant_against_a_proved_bound():
    """4K/9 + 3 sqrt(K) ln(1/delta) is above inf_theta K (1-theta)^((1-theta)/theta) + ln(1/delta)/theta."""
    theta = np.linspace(1e-4, 0.999, 4000)
    base = (1 - theta) ** ((1 - theta) / theta)
    for K, delta in product((1, 2, 3, 10, 1000, 10**6), (0.1, 0.05, 1e-3, 1e-9)):
        proved = np.min(K * base + log(1 / delta) / theta)
        assert proved <= value("5.2-delta", K, 2, 1, delta)
        assert proved <= value("4.4-delta", 1, K, 1, delta)


def test_constant_200_over_99_follows_from_chernoff_not_from_its_weakening():
    rate = 0.9 + 0.1 * log(0.1)  # P(X <= mu/10) <= exp(-rate mu)
    assert 200 / 99 * rate >= 1.0
    assert 200 / 99 * 0.9**2 / 2 < 1.0  # what Lemma E.9 as printed would give


def losses(student, pi, rho, n, repeats, rng):
    S, A = pi.shape
    counts = rng.multinomial(n, (rho[:, None] * pi).ravel(), size=repeats).reshape(repeats, S, A)
    visits = counts.sum(axis=2, keepdims=True)
    unseen = counts == 0
    if student == "ce_sgl":
        q = counts / np.maximum(visits, 1)
    elif student == "ce_ful":
        q = np.broadcast_to(pi, counts.shape)
    else:
        share = (pi * unseen).sum(axis=2, keepdims=True) / np.maximum(
            unseen.sum(axis=2, keepdims=True), 1
        )
        q = np.where(unseen, share, pi)
    q = np.where(visits > 0, q, 1 / A)
    return 0.5 * np.abs(q - pi).sum(axis=2) @ rho


@pytest.mark.parametrize(
    ("id", "student", "S", "A"),
    [
        ("3.2-delta", "ce_sgl", 1, 6),
        ("3.2-delta", "ce_sgl", 5, 6),
        ("4.4-delta", "sel_ptl", 1, 7),
        ("4.4-delta", "sel_ptl", 4, 5),
        ("5.2-delta", "ce_ful", 6, 3),
    ],
)
def test_high_probability_bounds(id, student, S, A):
    """Violations of a true bound are Binomial(repeats, <= delta): more than the 1 - 1e-6 quantile is a false theorem.

    The bound divided by 10,000 is the control: it must be refused.
    """
    rng, n, delta, repeats = np.random.default_rng(11), 6000, 0.1, 2000
    allowed = stats.binom.ppf(1 - FALSE_ALARM, repeats, delta)
    if student == "ce_sgl":
        pi, rho = instance1(S, A, n)
    else:
        pi, rho = light_labels(S, A, n, A // 2)
    if student == "ce_ful":
        rho = np.full(S, 1 / (n + 1))
        rho[-1] = 1 - (S - 1) / (n + 1)
    limit = value(id, S, A, n, delta)
    sample = losses(student, pi, rho, n, repeats, rng)
    assert limit < 1.0
    assert np.sum(sample > limit) <= allowed
    assert np.sum(sample > limit / 10_000) > allowed


# The limit of ce_ptl.


def test_ce_ptl_limit_of_instance_0():
    labels = 25
    top, rest = Fraction(13, 25), Fraction(1, 50)
    total = top**2 + 24 * rest**2
    expected = (abs(top**2 / total - top) + 24 * abs(rest**2 / total - rest)) / 2
    pi = np.full((50, labels), 0.02) + 0.5 * np.eye(labels)[np.arange(50) % labels]
    assert bounds.ce_ptl_limit(Teacher(pi)) == pytest.approx(float(expected), rel=1e-14)
    assert float(expected) == pytest.approx(0.4457, abs=5e-5)


def test_ce_ptl_limit_is_reached():
    rng = np.random.default_rng(3)
    pi, rho = random_teacher(rng, 3, 4)
    n = 10**9
    counts = rng.multinomial(n, (rho[:, None] * pi).ravel()).reshape(3, 4)
    q = counts * pi / (counts * pi).sum(axis=1, keepdims=True)
    loss = 0.5 * np.abs(q - pi).sum(axis=1) @ rho
    assert bounds.ce_ptl_limit(Teacher(pi, rho)) == pytest.approx(loss, abs=1e-3)
    assert loss > 0.01


def test_ce_ptl_limit_vanishes_exactly_on_rows_uniform_on_their_support():
    rows = [[0.25] * 4, [0, 1, 0, 0], [0.5, 0, 0.5, 0]]
    assert bounds.ce_ptl_limit(Teacher(rows)) == 0.0
    assert bounds.ce_ptl_limit(Teacher([*rows, [0.6, 0.4, 0, 0]], [0.5, 0.25, 0.25, 0.0])) == 0.0
    assert bounds.ce_ptl_limit(Teacher([[0.6, 0.4]])) == pytest.approx(0.36 / 0.52 - 0.6)

    def limit(p):
        return bounds.ce_ptl_limit(Teacher([[p, 1 - p]]))

    place = max(np.linspace(0.5, 1, 201), key=limit)
    worst = max(map(limit, place + np.linspace(-0.0025, 0.0025, 201)))
    assert worst == pytest.approx(0.1501415530, abs=1e-8)  # the largest over all two-label teachers


# Log-linear teachers.


def test_log_linear():
    rng = np.random.default_rng(5)
    for _ in range(50):
        features = rng.normal(size=(6, 5, 3))
        theta, other = rng.normal(size=(2, 3))
        q, p = (
            np.exp(features @ t) / np.exp(features @ t).sum(axis=1, keepdims=True)
            for t in (theta, other)
        )
        distance = np.linalg.norm(theta - other)
        bound = bounds.log_linear(np.linalg.norm(features, axis=2).max(), distance)
        assert (0.5 * np.abs(q - p).sum(axis=1)).max() <= bound
    with pytest.raises(ValueError, match=r"distance = -1: must be a finite number >= 0"):
        bounds.log_linear(1, -1)
    with pytest.raises(ValueError, match="feature_norm = nan"):
        bounds.log_linear(float("nan"), 1)


# Table, curve, bad input.


def test_table_has_one_row_per_theorem_and_n():
    frame = bounds.table(
        inputs=10, labels=5, n=[0, 30, 1000], teacher=Teacher(np.full((10, 5), 0.2))
    )
    assert list(frame.columns[:4]) == ["id", "access", "student", "kind"]
    assert len(frame) == 3 * len(bounds.THEOREMS)
    assert not frame.duplicated(["id", "n"]).any()
    assert (frame["applies"] == frame["value"].notna()).all()
    assert frame["applies"].dtype == frame["vacuous"].dtype == bool
    assert frame.loc[frame["vacuous"], "value"].min() >= 1.0
    assert frame.loc[frame["applies"] & ~frame["vacuous"], "value"].max() < 1.0
    assert set(frame["kind"]) == {"lower", "upper", "limit"}
    assert set(frame["access"]) == {"hard", "partial", "soft", "any"}
    lower = frame[(frame["kind"] == "lower")].set_index(["access", "n"])["value"]
    upper = frame[(frame["kind"] == "upper") & (frame["form"] == "mean")]
    for row in upper[upper["applies"] & upper["n"].gt(0)].itertuples():
        assert not lower[row.access, row.n] > row.value or row.id == "3.2-instance"
    assert len(bounds.table(10, 5, 30)) == len(bounds.THEOREMS)


def test_curve_is_the_table():
    n = [0, 1, 7, 50, 10**6, 2**53]
    teacher = Teacher(np.full((10, 5), 0.2))
    frame = bounds.table(10, 5, n, delta=0.01, teacher=teacher)
    for id, group in frame.groupby("id"):
        np.testing.assert_array_equal(
            bounds.curve(id, 10, 5, n, delta=0.01, teacher=teacher), group["value"]
        )
    assert np.isnan(bounds.curve("5.1", 10, 5, [0, 9])).all()
    assert bounds.curve("4.1", 10, 5, np.array([100, 200])).shape == (2,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2, 3), "inputs = 0: must be at least 1"),
        ((2, 1.5, 3), "labels = 1.5: must be a whole number"),
        ((2, 2, -1), "n = -1: must be at least 0"),
        ((2, 2, []), "n = .*: give at least one"),
        ((2, 2, 3, 0.0), "delta = 0.0: must lie strictly between 0 and 1"),
        (
            (2, 2, 3, 0.05, Teacher([[1.0, 0.0]])),
            "teacher has 1 inputs and 2 labels: must have inputs = 2",
        ),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        bounds.table(*arguments)


def test_unknown_theorem():
    with pytest.raises(ValueError, match=r"unknown theorem '3.2'.*must be one of 3.1, 3.2-delta"):
        bounds.bound("3.2", 2, 2, 5)
