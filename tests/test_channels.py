"""What channels show of a row, and the floors that they leave: THEORY's inequalities, each with a second derivation."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from grids import few_quick
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory import students
from kt_theory.access.channel import Quantised, Rounded, Temperature, UpToFactor
from kt_theory.affine import AffineLogits, affine_logits, from_jacobian
from kt_theory.testing import teachers

RNG = np.random.default_rng(20)


def visited(student, pi):
    """The student's table when every input was visited and every label sampled."""
    counts = np.ones(np.shape(pi), dtype=int)
    return student.table(student.access.seen_counts(counts, pi), student.access.reveal(counts, pi))


def row_distances(student, pi):
    return np.asarray(kt.total_variation(visited(student, pi), pi))


@given(teacher=teachers(5, 6), tau=st.floats(0.2, 5.0))
def test_a_known_temperature_is_undone(teacher, tau):
    q = Temperature(tau).shown(teacher.pi)
    np.testing.assert_allclose(q.sum(axis=1), 1.0, atol=1e-14)
    assert ((q > 0) == (teacher.pi > 0)).all()
    np.testing.assert_allclose(visited(students.tempered(tau), teacher.pi), teacher.pi, atol=1e-13)


def test_temperature_is_the_softmax_of_logits_over_tau():
    z = RNG.normal(size=(4, 6))
    pi = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    for tau in (0.5, 1.0, 3.0):
        expected = np.exp(z / tau) / np.exp(z / tau).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(Temperature(tau).shown(pi), expected, rtol=1e-12)


@given(teacher=teachers(5, 6), tau=st.floats(0.3, 3.0), believed=st.floats(0.3, 3.0))
def test_a_mismatched_temperature_keeps_below_its_floor(teacher, tau, believed):
    """TV(softmax(b z), p) <= tanh(|b - 1| osc / 4), b = believed / tau."""
    distance = row_distances(students.tempered(tau, believed), teacher.pi)
    for row, found in zip(teacher.pi, distance, strict=True):
        z = [math.log(p) for p in row if p > 0]
        power = [math.exp(believed / tau * x) for x in z]
        direct = 0.5 * sum(abs(w / sum(power) - math.exp(x)) for w, x in zip(power, z, strict=True))
        assert found == pytest.approx(direct, abs=1e-12)
        assert found <= math.tanh(abs(believed / tau - 1) * (max(z) - min(z)) / 4) + 1e-12


def test_the_floor_of_a_mismatch_is_sharp():
    """Two labels, b near 1: the bound's linear part is attained at p = 1/2 + small; a smaller constant would fail."""
    pi = np.array([[0.501, 0.499]])
    bound = math.tanh(0.1 * math.log(0.501 / 0.499) / 4)
    assert row_distances(students.tempered(1.0, 1.1), pi)[0] > 0.99999 * bound


@given(teacher=teachers(5, 6), step=st.floats(0.01, 6.0))
def test_rounding_keeps_below_its_floor(teacher, step):
    """TV <= tanh(step / 4): no log-probability is off by more than step / 2."""
    shown = Rounded(step).shown(teacher.pi)
    positive = teacher.pi > 0
    assert (np.abs(np.log(shown[positive]) - np.log(teacher.pi[positive])) <= step / 2 + 1e-9).all()
    assert (shown[~positive] == 0).all()
    assert (row_distances(students.rounded(step), teacher.pi) <= math.tanh(step / 4) + 1e-12).all()


@given(teacher=teachers(5, 6), step=st.floats(0.01, 6.0))
def test_rounding_of_sampled_labels_keeps_below_its_floor(teacher, step):
    """TV <= 1 - exp(-step / 2) once every possible label was sampled, though impossible ones may be given mass."""
    student = students.rounded(step, kt.access.PARTIAL)
    counts = (teacher.pi > 0).astype(int)
    table = student.table(counts, student.access.reveal(counts, teacher.pi))
    assert (kt.total_variation(table, teacher.pi) <= -math.expm1(-step / 2) + 1e-12).all()


@given(teacher=teachers(5, 6), tau=st.floats(0.3, 3.0))
def test_a_known_temperature_leaves_no_floor_to_sampled_labels(teacher, tau):
    student = students.tempered(tau, of=kt.access.PARTIAL)
    counts = (teacher.pi > 0).astype(int)
    table = student.table(counts, student.access.reveal(counts, teacher.pi))
    np.testing.assert_allclose(table, teacher.pi, atol=1e-9)


def test_the_floor_of_rounding_is_nearly_attained():
    rows = RNG.dirichlet(np.ones(5), size=20_000)
    shown = Rounded(1.0).shown(rows)
    worst = np.asarray(kt.total_variation(shown / shown.sum(axis=1, keepdims=True), rows)).max()
    assert 0.9 * math.tanh(0.25) < worst <= math.tanh(0.25)


ROWS = st.lists(st.integers(0, 40), min_size=1, max_size=9).filter(any)


@given(weights=ROWS, bits=st.integers(1, 6))
def test_quantisation_keeps_below_its_floor(weights, bits):
    """TV <= A / (4 * 2^b), in rational arithmetic and in the package."""
    exact = [Fraction(w, sum(weights)) for w in weights]
    unit = Fraction(1, 2**bits)
    shown = [round(p / unit) * unit for p in exact]  # ties to even, as the channel does
    left = 1 - sum(shown)
    takes = [left >= 0 or w > 0 for w in shown]
    copy = [w + left / sum(takes) if t else w for w, t in zip(shown, takes, strict=True)]
    distance = sum(abs(q - p) for q, p in zip(copy, exact, strict=True)) / 2
    assert sum(copy) == 1
    assert min(copy) >= 0
    assert distance <= Fraction(len(weights), 4 * 2**bits)
    pi = np.array([[float(p) for p in exact]])
    if min(abs((p / unit) % 1 - Fraction(1, 2)) for p in exact) > Fraction(
        1, 10**9
    ):  # float ties may fall elsewhere
        assert row_distances(students.quantised(bits), pi)[0] == pytest.approx(
            float(distance), abs=1e-12
        )
    assert row_distances(students.quantised(bits), pi)[0] <= len(weights) / (4 * 2**bits) + 1e-12


def test_division_by_the_sum_would_break_the_floor_of_quantisation():
    """The obvious rule is off by up to A / (2 * 2^b): labels just below half a step stay at 0."""
    labels, unit = 17, 1 / 64
    row = np.full(labels, 0.499 * unit)
    row[0] = 1 - row[1:].sum()
    shown = Quantised(6).shown(row[None])
    floor = labels * unit / 4
    naive = float(np.squeeze(kt.total_variation(shown / shown.sum(), row)))
    assert naive > 1.8 * floor
    assert row_distances(students.quantised(6), row[None])[0] <= floor


def test_no_student_beats_the_floor_of_quantisation():
    """Two teachers that are shown alike and lie A / (2 * 2^b) apart."""
    unit = 1 / 64
    up = np.tile([1.0, -1.0], 4) * 0.4999 * unit
    middle = np.full(8, 8 * unit)
    both = np.array([middle + up, middle - up])
    shown = Quantised(6).shown(both)
    np.testing.assert_array_equal(shown[0], shown[1])
    assert kt.total_variation(both[0], both[1]) / 2 > 0.999 * 8 * unit / 4
    assert row_distances(students.quantised(6), both).max() <= 8 * unit / 4


def test_rows_too_wide_for_the_bits_are_still_distributions():
    pi = np.full((1, 1000), 1e-3)
    assert not Quantised(4).shown(pi).any()
    np.testing.assert_allclose(visited(students.quantised(4), pi), 1e-3, rtol=1e-12)


@given(teacher=teachers(5, 6))
def test_unnormalised_weights_tell_ratios_only(teacher):
    shown = UpToFactor().shown(teacher.pi)
    factor = shown.sum(axis=1)
    assert ((factor >= 0.5) & (factor <= 2)).all()
    np.testing.assert_allclose(shown / factor[:, None], teacher.pi, atol=1e-15)
    np.testing.assert_allclose(visited(students.logits(), teacher.pi), teacher.pi, atol=1e-15)


def softmax_affine(inputs, labels, features):
    x = RNG.normal(size=(inputs, features))
    truth = AffineLogits(RNG.normal(size=(labels, features)), RNG.normal(size=labels))
    return x, truth, truth.table(x)


def test_one_query_reveals_the_matrix():
    """Probabilities and their Jacobian at one input, the Jacobian by complex steps of the teacher's own softmax."""
    x, truth, pi = softmax_affine(30, 5, 3)
    at = 7
    jacobian = np.empty((5, 3))
    for j in range(3):
        point = x[at].astype(complex)
        point[j] += 1e-200j
        powers = np.exp(truth.weights @ point + truth.bias)
        jacobian[:, j] = (powers / powers.sum()).imag / 1e-200
    found = from_jacobian(pi[at], jacobian, x[at])
    np.testing.assert_allclose(found.table(x), pi, atol=1e-12)
    np.testing.assert_allclose(
        np.diff(found.weights, axis=0), np.diff(truth.weights, axis=0), atol=1e-10
    )
    np.testing.assert_allclose(np.diff(found.bias), np.diff(truth.bias), atol=1e-10)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            from_jacobian(pi[at], 1.01 * jacobian, x[at]).table(x), pi, atol=1e-4
        )


def test_affine_logits_are_found_and_others_refused():
    x, truth, pi = softmax_affine(12, 4, 2)
    found = affine_logits(pi, x)
    np.testing.assert_allclose(
        np.diff(found.weights, axis=0), np.diff(truth.weights, axis=0), atol=1e-9
    )
    with_zero = np.column_stack([pi, np.zeros(12)])
    np.testing.assert_allclose(affine_logits(with_zero, x).table(x), with_zero, atol=1e-12)
    repeated = np.column_stack([x, x @ [1.0, 2.0]])
    np.testing.assert_allclose(affine_logits(pi, repeated).table(repeated), pi, atol=1e-12)
    other = RNG.dirichlet(np.ones(4), size=12)
    with pytest.raises(ValueError, match=r"not affine in them: input \d+ is TV"):
        affine_logits(other, x)
    with pytest.raises(ValueError, match="not affine in them: a label has probability 0"):
        affine_logits([[0.5, 0.5], [1.0, 0.0]], [[0.0], [1.0]])
    with pytest.raises(ValueError, match="features has 3 rows: the teacher has 12 inputs"):
        affine_logits(pi, x[:3])


def unresolved_mass(vectors, law, n):
    """E of the law's mass outside the linear span of n draws, by all sequences of draws."""
    total = 0.0
    for drawn in itertools.product(range(len(law)), repeat=n):
        rank = np.linalg.matrix_rank(vectors[list(drawn)]) if n else 0
        outside = [np.linalg.matrix_rank(vectors[[*drawn, i]]) > rank for i in range(len(law))]
        total += np.prod(law[list(drawn)]) * law[outside].sum()
    return total


CLOSURES = {
    "sampled logits, log-linear in R^2": (RNG.normal(size=(6, 2)), 2),
    "complete logits, affine in R^2": (np.column_stack([RNG.normal(size=(6, 2)), np.ones(6)]), 3),
    "sampled logits, encoder of rank 1, 2 labels": (np.kron(RNG.normal(size=(3, 1)), np.eye(2)), 2),
    "sampled logits, encoder of rank 2, 2 labels": (np.kron(RNG.normal(size=(3, 2)), np.eye(2)), 4),
    "tables": (np.eye(6), 6),
}


@pytest.mark.parametrize("case", CLOSURES)
@pytest.mark.parametrize("n", few_quick([0, 1, 3], [0, 1]))
def test_one_law_for_all_channels_without_noise(case, n):
    """E[unresolved mass] <= kappa / (n + 1), and (kappa - 1) / (2 e (n + 1)) for the law that makes it hard."""
    vectors, kappa = CLOSURES[case]
    for concentration in (0.2, 1.0, 10.0):
        assert (
            unresolved_mass(vectors, RNG.dirichlet(np.full(6, concentration)), n)
            <= kappa / (n + 1) + 1e-12
        )
    hard = np.zeros(6)
    basis = independent(vectors)
    hard[basis] = 1 / (n + 1)
    hard[basis[-1]] = 1 - hard[basis[:-1]].sum()
    assert len(basis) == kappa
    if hard.min() >= 0:
        assert unresolved_mass(vectors, hard, n) >= (kappa - 1) / (2 * math.e * (n + 1))


def independent(vectors):
    """The first rows that are linearly independent."""
    chosen = []
    for i in range(len(vectors)):
        if np.linalg.matrix_rank(vectors[[*chosen, i]]) > len(chosen):
            chosen.append(i)
    return chosen


def test_bad_jacobians_are_refused():
    with pytest.raises(
        ValueError, match=r"jacobian has shape \(2, 1\): must be \(labels, features\), \(2, 2\)"
    ):
        from_jacobian([0.5, 0.5], [[1.0], [1.0]], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"row\[1\] = 0"):
        from_jacobian([1.0, 0.0], [[1.0], [1.0]], [0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: students.tempered(0.0), "tau = 0.0: must be a finite number above 0"),
        (lambda: students.tempered(2.0, believed=-1), "believed = -1: must be"),
        (lambda: students.rounded(float("nan")), "step = nan"),
        (lambda: students.quantised(53), "bits = 53"),
        (lambda: students.noisy(51), "sigma = 51: must lie from 1e-15 to 50"),
        (lambda: students.logits(of="soft"), "of = 'soft': must be an Access"),
        (lambda: students.rounded(0.1, of=kt.access.HARD), "must reveal probabilities"),
        (lambda: students.top_k(0, sampled=False), "k = 0: must be at least 1"),
        (lambda: kt.access.as_access("temperature"), "needs a parameter"),
    ],
)
def test_bad_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
