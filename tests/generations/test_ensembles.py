"""Ensembles of noisy teachers: the floor by quadrature, by Gauss-Hermite and by sampling; both averages in m."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

import kt_theory as kt
from kt_theory.generations import ensemble, ensemble_floor
from kt_theory.generations.ensembles import _interpolated, _noisy_gumbel, mean_softmax
from kt_theory.testing import assert_risk, confidence_radius, teachers


def gauss_hermite(function, sigma):
    """Return E function(sigma g)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    return float(weights @ function(sigma * nodes) / weights.sum())


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def of(frame, average, members):
    row = frame[(frame["average"] == average) & (frame["members"] == members)].iloc[0]
    return SimpleNamespace(mean=row["mean"], std_error=row["std_error"], repeats=row["repeats"])


def two_label_distance(p, width):
    """Return E|sigmoid(z + width g) - p|, z the logit of p."""
    z = np.log(p / (1 - p))
    return quad(lambda g: abs(sigmoid(z + width * g) - p) * norm.pdf(g), -9, 9, points=[0])[0]


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 1.5])
def test_two_labels_by_gauss_hermite(sigma):
    """The difference of two noises has standard deviation sigma sqrt(2)."""
    p = 0.85
    expected = gauss_hermite(lambda x: sigmoid(np.log(p / (1 - p)) + x), sigma * np.sqrt(2))
    assert mean_softmax(np.array([p, 1 - p]), sigma) == pytest.approx(
        [expected, 1 - expected], abs=1e-11
    )
    assert ensemble_floor(kt.Teacher([[p, 1 - p]]), sigma) == pytest.approx(p - expected, abs=1e-11)


@pytest.mark.parametrize("sigma", [1e-3, 0.2, 0.999, 1.001, 4.0, 50.0])
@pytest.mark.parametrize("labels", [1, 3, 40])
def test_the_quadrature_gives_distributions(sigma, labels):
    """One of the labels is the largest: the sum is 1 only if both integrals are right."""
    row = np.random.default_rng(labels).dirichlet(np.full(labels, 0.4))
    mean = mean_softmax(row, sigma)
    assert mean.sum() == pytest.approx(1.0, abs=1e-11)
    assert (mean > 0).all()


def test_both_forms_of_the_noisy_gumbel_agree():
    v = np.linspace(-9.0, 30.0, 24)
    np.testing.assert_allclose(
        _noisy_gumbel(v, 1.0), _noisy_gumbel(v, np.nextafter(1.0, 2.0)), atol=1e-13
    )


@pytest.mark.parametrize("sigma", [0.05, 1.0, 1.5, 50.0])
def test_the_spline_of_the_noisy_gumbel_is_as_exact(sigma):
    low, high, law = _interpolated(sigma)
    v = np.random.default_rng(0).uniform(low, high, 2000)
    np.testing.assert_allclose(law(v).T, _noisy_gumbel(v, sigma), atol=2e-13)


@pytest.mark.parametrize("sigma", [0.7, 2.5])
def test_many_labels_by_sampling(sigma):
    row, repeats = np.array([0.6, 0.25, 0.1, 0.05, 0.0]), 400_000
    with np.errstate(divide="ignore"):
        weights = row * np.exp(sigma * np.random.default_rng(1).standard_normal((repeats, 5)))
    drawn = weights / weights.sum(axis=1, keepdims=True)
    for a, value in enumerate(mean_softmax(row, sigma)):
        found = SimpleNamespace(
            mean=drawn[:, a].mean(), std_error=drawn[:, a].std() / repeats**0.5, repeats=repeats
        )
        assert_risk(found, value, detects=0.008)
    assert mean_softmax(row, sigma)[4] == 0.0


@settings(max_examples=25)
@given(teachers(), st.sampled_from([0.1, 1.0, 3.0]))
def test_the_floor_is_within_the_bound_of_one_member_and_of_order_sigma_squared(teacher, sigma):
    floor = ensemble_floor(teacher, sigma)
    assert -1e-12 <= floor <= 0.5 * sigma
    flat = kt.Teacher((teacher.pi > 0) / (teacher.pi > 0).sum(axis=1, keepdims=True), teacher.rho)
    assert ensemble_floor(flat, sigma) <= 1e-12
    small, half = ensemble_floor(teacher, 0.02), ensemble_floor(teacher, 0.01)
    assert small == pytest.approx(4.0 * half, rel=0.01, abs=1e-9)


@pytest.fixture(scope="module")
def skewed():
    return kt.Teacher([[0.9, 0.1], [0.7, 0.3]], [0.5, 0.5])


@pytest.fixture(scope="module")
def run(skewed):
    return ensemble(skewed, 1.5, [1, 4, 16, 64], repeats=20_000, seed=1, progress=False)


def test_the_geometric_mean_has_no_floor(run):
    """It is one member of noise sigma / sqrt(m): its TV of two labels by an integral, and below 1/2 sigma / sqrt(m)."""
    for members in (1, 4, 16, 64):
        expected = 0.5 * sum(two_label_distance(p, 1.5 * np.sqrt(2 / members)) for p in (0.9, 0.7))
        found = of(run, "geometric", members)
        assert_risk(found, expected, detects=0.02)
        assert found.mean <= 0.5 * 1.5 / members**0.5 + confidence_radius(
            found.std_error, found.repeats
        )
    small = ensemble(
        kt.Teacher([[0.8, 0.15, 0.05]]), 0.05, [1, 16], repeats=4000, seed=2, progress=False
    )
    assert of(small, "geometric", 1).mean / of(small, "geometric", 16).mean == pytest.approx(
        4.0, rel=0.1
    )


def test_the_arithmetic_mean_stops_at_its_floor(run, skewed):
    floor = ensemble_floor(skewed, 1.5)
    assert floor == pytest.approx(0.1, rel=0.3)
    spread = 0.0
    for p in (0.9, 0.7):
        z, width = np.log(p / (1 - p)), 1.5 * np.sqrt(2)
        mean = gauss_hermite(lambda x, z=z: sigmoid(z + x), width)
        spread += 0.5 * np.sqrt(
            gauss_hermite(lambda x, z=z, mean=mean: (sigmoid(z + x) - mean) ** 2, width)
        )
    for members in (1, 4, 16, 64):
        found = of(run, "arithmetic", members)
        radius = confidence_radius(found.std_error, found.repeats)
        assert floor - radius <= found.mean <= floor + spread / members**0.5 + radius
    assert of(run, "arithmetic", 64).mean - floor < 0.01  # detects a wrong floor, and
    assert of(run, "geometric", 64).mean < 0.6 * floor  # tells the two averages apart
    assert of(run, "arithmetic", 1).mean == pytest.approx(of(run, "geometric", 1).mean, abs=1e-15)


def test_a_biased_label_reaches_its_floor_faster_than_one_over_root_m():
    """Hoeffding: the excess is at most sum_a exp(-2 m b^2) / (4 m b). At m = 64, b = 0.26 no more than 2e-4."""
    teacher = kt.Teacher([[0.95, 0.05]])
    floor = ensemble_floor(teacher, 4.0)
    frame = ensemble(teacher, 4.0, [4, 64], repeats=10_000, seed=4, progress=False)
    assert floor == pytest.approx(0.26, rel=0.01)
    for members in (4, 64):
        found = of(frame, "arithmetic", members)
        excess = 2 * np.exp(-2 * members * floor**2) / (4 * members * floor)
        radius = confidence_radius(found.std_error, found.repeats)
        assert floor - radius <= found.mean <= floor + excess + radius
    assert excess < 2e-4
    assert radius < 0.01


def test_uniform_rows_average_out_like_one_over_root_m():
    """No bias there: the floor is 0, and the mean of m bounded deviations goes like 1/sqrt(m)."""
    frame = ensemble(kt.Teacher([[0.5, 0.5]]), 1.0, [4, 64], repeats=20_000, seed=3, progress=False)
    deviation = np.sqrt(gauss_hermite(lambda x: (sigmoid(x) - 0.5) ** 2, np.sqrt(2.0)))
    for members, tolerance in ((4, 0.05), (64, 0.03)):
        normal = deviation * np.sqrt(2 / np.pi / members)
        assert of(frame, "arithmetic", members).mean == pytest.approx(normal, rel=tolerance)


def test_ensembles_are_repeatable_and_bad_input_is_named(skewed):
    one = ensemble(skewed, 1.0, [2, 3], repeats=10, seed=5, progress=False)
    assert one.equals(ensemble(skewed, 1.0, [3, 2], repeats=10, seed=5, progress=False))
    alone = ensemble(skewed, 1.0, 2, repeats=10, seed=5, progress=False)
    assert alone["mean"].tolist() == one[one["members"] == 2]["mean"].tolist()
    for call, message in (
        (lambda: ensemble([[1.0]], 1.0, 2), "teacher is a list"),
        (lambda: ensemble(skewed, 0.0, 2), "sigma = 0.0"),
        (lambda: ensemble(skewed, 1.0, 0), "members = 0: must be at least 1"),
        (lambda: ensemble(skewed, 1.0, []), r"members = \[\]"),
        (lambda: ensemble_floor(skewed, 51.0), "sigma = 51.0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
