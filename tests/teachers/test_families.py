"""Families: their definitions, their laws (with stated false-alarm rates), their seeds."""

import math

import numpy as np
import pytest

import kt_theory as kt
from kt_theory import teachers

Z_1E7 = 5.33
"""Two-sided normal quantile at a false-alarm rate of 1e-7."""

FAMILIES = {
    "uniform": lambda S, A, seed: teachers.uniform(S, A),
    "deterministic": lambda S, A, seed: teachers.deterministic(S, A, seed=seed),
    "dirichlet": lambda S, A, seed: teachers.dirichlet(S, A, alpha=0.3, seed=seed),
    "zipf": lambda S, A, seed: teachers.zipf(S, A, 1.2, input_exponent=1.0, seed=seed),
    "log_linear": lambda S, A, seed: teachers.log_linear(S, A, dimension=3, scale=2.0, seed=seed),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("S", "A"), [(1, 1), (1, 5), (5, 1), (12, 7)])
def test_shapes_sums_and_seeds(family, S, A):
    make = FAMILIES[family]
    teacher = make(S, A, 3)
    assert teacher.pi.shape == (S, A)
    np.testing.assert_allclose(teacher.pi.sum(axis=1), 1.0, rtol=1e-13)
    assert math.isclose(teacher.rho.sum(), 1.0, rel_tol=1e-13)
    assert teacher.pi.tobytes() == make(S, A, 3).pi.tobytes()
    if family != "uniform" and S * A > 80:
        assert teacher.pi.tobytes() != make(S, A, 4).pi.tobytes()


def test_uniform_and_deterministic():
    assert teachers.uniform(2, 4).pi.tolist() == [[0.25] * 4] * 2
    assert teachers.deterministic(4, 3).pi.argmax(axis=1).tolist() == [0, 1, 2, 0]
    for seed in (None, 5):
        assert set(np.unique(teachers.deterministic(50, 3, seed=seed).pi)) == {0.0, 1.0}


def test_random_point_masses_are_uniform_over_labels():
    S, A = 30_000, 4
    share = teachers.deterministic(S, A, seed=1).pi.mean(axis=0)
    spread = math.sqrt((1 / A) * (1 - 1 / A) / S)
    assert np.abs(share - 1 / A).max() < Z_1E7 * spread
    # Negative control: s mod A with one label relabelled would be far outside.
    assert abs(0.27 - 1 / A) > Z_1E7 * spread


@pytest.mark.parametrize("alpha", [1e-6, 0.05, 0.5, 1.0, 20.0])
def test_dirichlet_moments(alpha):
    """E p^2 = (alpha+1)/(A(A alpha+1)), by the moments of Beta(alpha, (A-1) alpha)."""
    S, A = 20_000, 3
    pi = teachers.dirichlet(S, A, alpha=alpha, seed=2).pi
    for power, exact in ((1, 1 / A), (2, (alpha + 1) / (A * (A * alpha + 1)))):
        values = pi[:, 0] ** power
        assert abs(values.mean() - exact) < Z_1E7 * values.std() / math.sqrt(S)
    wrong = (2 * alpha + 1) / (A * (2 * A * alpha + 1))
    assert alpha < 0.01 or abs((pi[:, 0] ** 2).mean() - wrong) > Z_1E7 * (
        pi[:, 0] ** 2
    ).std() / math.sqrt(S)


def test_zipf_rows_and_inputs():
    teacher = teachers.zipf(3, 4, 2.0, input_exponent=1.0)
    weights = [1, 1 / 4, 1 / 9, 1 / 16]
    np.testing.assert_allclose(teacher.pi, [[w / sum(weights) for w in weights]] * 3, rtol=1e-15)
    np.testing.assert_allclose(teacher.rho, [6 / 11, 3 / 11, 2 / 11], rtol=1e-15)
    assert (teachers.zipf(3, 4).rho == 1 / 3).all()
    assert teachers.zipf(3, 5, 0.0).pi.tolist() == [[0.2] * 5] * 3


def test_zipf_seed_reorders_each_row_on_its_own():
    plain, shuffled = teachers.zipf(2000, 3), teachers.zipf(2000, 3, seed=0)
    np.testing.assert_array_equal(np.sort(shuffled.pi, axis=1), np.sort(plain.pi, axis=1))
    assert len(shuffled.classes.rho) == 1
    _, orders = np.unique(np.argsort(shuffled.pi, axis=1), axis=0, return_counts=True)
    assert len(orders) == 6
    assert np.abs(orders - 2000 / 6).max() < Z_1E7 * math.sqrt(2000 * (1 / 6) * (5 / 6))


@pytest.mark.parametrize("dimension", [1, 2, 10])
def test_log_linear_is_bounded_by_its_scale(dimension):
    """||phi||_2 = 1 and ||theta||_2 = scale: log-odds within a row are at most 2 scale apart."""
    pi = teachers.log_linear(300, 20, dimension, scale=1.5, seed=4).pi
    odds = np.log(pi.max(axis=1) / pi.min(axis=1))
    assert odds.max() <= 3.0 + 1e-12
    assert odds.max() > 1.5 / math.sqrt(dimension)
    np.testing.assert_allclose(
        teachers.log_linear(3, 20, dimension, scale=0.0).pi, 1 / 20, rtol=1e-15
    )


def test_log_linear_logits_lie_in_a_space_of_the_given_dimension():
    """log pi(a|s) - c_s = scale <phi, u>: teachers that differ in scale have proportional centred logits."""
    one, two = (np.log(teachers.log_linear(40, 6, 3, scale=s, seed=1).pi) for s in (1.0, 2.5))
    one, two = (z - z.mean(axis=1, keepdims=True) for z in (one, two))
    np.testing.assert_allclose(two, 2.5 * one, atol=1e-12)


def test_log_linear_has_the_law_of_features_on_the_sphere():
    """With 2 labels the log-odds are scale * (x - y), x and y coordinates of unit vectors: variance 2 scale^2/d."""
    S, d, scale = 20_000, 5, 2.0
    pi = teachers.log_linear(S, 2, d, scale=scale, seed=3).pi
    squares = np.log(pi[:, 0] / pi[:, 1]) ** 2
    assert abs(squares.mean() - 2 * scale**2 / d) < Z_1E7 * squares.std() / math.sqrt(S)
    assert abs(squares.mean() - 2 * scale**2 / (d + 1)) > Z_1E7 * squares.std() / math.sqrt(S)


def test_log_linear_obeys_proposition_h2():
    scales = [0.0, 0.1, 1.0, 3.0, 50.0]
    made = [teachers.log_linear(30, 5, 4, scale=s, seed=8) for s in scales]
    for i, a in enumerate(made):
        for j, b in enumerate(made):
            distance = 0.5 * float(a.rho @ np.abs(a.pi - b.pi).sum(axis=1))
            assert distance <= abs(scales[i] - scales[j]) + 1e-12


def test_log_linear_does_not_depend_on_its_blocks(monkeypatch):
    whole = teachers.log_linear(50, 6, 4, seed=7).pi
    monkeypatch.setattr("kt_theory.teachers.families._BLOCK", 28)
    np.testing.assert_allclose(teachers.log_linear(50, 6, 4, seed=7).pi, whole, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: teachers.uniform(0, 2), "inputs = 0"),
        (lambda: teachers.uniform(10**9, 10**3), "limit is 2 GiB.*from_classes"),
        (lambda: teachers.deterministic(2, 2, seed=-1), "seed = -1"),
        (lambda: teachers.deterministic(2, 2, seed=1.5), "seed = 1.5"),
        (
            lambda: teachers.dirichlet(2, 2, alpha=0),
            "alpha = 0: must be a number from 1e-06 to 1e",
        ),
        (lambda: teachers.dirichlet(2, 2, alpha=[1, 2]), r"alpha = \[1, 2\]"),
        (lambda: teachers.dirichlet(2, 2, alpha="1"), "alpha = '1'"),
        (lambda: teachers.dirichlet(2, 2, seed=None), "seed = None"),
        (lambda: teachers.zipf(2, 2, -1.0), "exponent = -1.0"),
        (lambda: teachers.zipf(2, 2, float("nan")), "exponent = nan"),
        (lambda: teachers.zipf(2, 2, input_exponent=float("inf")), "input_exponent = inf"),
        (lambda: teachers.log_linear(2, 2, 0), "dimension = 0"),
        (lambda: teachers.log_linear(2, 2, 2, scale=-1), "scale = -1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_families_return_teachers():
    assert all(isinstance(make(2, 3, 0), kt.Teacher) for make in FAMILIES.values())
