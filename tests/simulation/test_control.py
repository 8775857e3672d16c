"""Controlled Monte Carlo of sel_ptl: unbiased, with much less variance, the same bits however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import transfer_sets

import kt_theory as kt
from kt_theory.simulation.control import ControlledCell, control_variate
from kt_theory.testing import confidence_radius


@pytest.mark.parametrize("n", [0, 1, 5])
def test_the_mean_of_the_control_is_exact(n):
    for teacher in (
        kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]], [0.6, 0.4]),
        kt.Teacher([[1.0, 0.0], [0.5, 0.5]], [1.0, 0.0]),
        kt.Teacher([[0.4, 0.3, 0.2, 0.1]]),
    ):
        weight, mean = control_variate(teacher, n)
        assert (weight >= 0).all()
        assert weight.sum() <= 2
        drawn = sum(p * float(weight[counts == 0].sum()) for counts, p in transfer_sets(teacher, n))
        assert mean == pytest.approx(drawn, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize(("inputs", "exponent"), [(1, 0.8), (1, 1.0), (1, 1.2), (10, 1.0)])
@pytest.mark.parametrize("n", [100, 1000])
def test_fifty_times_less_variance_on_zipf_rows(inputs, exponent, n):
    teacher = kt.teachers.zipf(inputs, 1000, exponent)
    controlled = kt.simulate(teacher, "sel_ptl", n=n, repeats=2000, control=True).estimates[0]
    plain = kt.simulate(teacher, "sel_ptl", n=n, repeats=2000).estimates[0]
    assert controlled.variance_factor == pytest.approx(
        (plain.std_error / controlled.std_error) ** 2, rel=1e-6
    )
    assert controlled.variance_factor > 50
    assert (controlled.q05, controlled.q95) == (plain.q05, plain.q95)
    assert plain.variance_factor == 1
    assert abs(controlled.mean - plain.mean) < 5.5 * plain.std_error


def test_unbiased_against_the_exact_risk():
    """False alarm 1e-6 each, for values in an interval of length 4; an error of 0.0005 in a risk is caught."""
    row = np.r_[0.4, np.full(40, 0.01), np.full(40, 0.005)]
    for teacher, n in ((kt.Teacher([row]), 60), (kt.Teacher([row, row], [0.3, 0.7]), 200)):
        estimate = kt.simulate(
            teacher, "sel_ptl", n=n, repeats=400_000, seed=5, control=True
        ).estimates[0]
        radius = 4 * confidence_radius(estimate.std_error / 4, estimate.repeats)
        assert 2 * radius < 0.0011
        exact = kt.exact_risk(teacher, "sel_ptl", n)
        assert abs(estimate.mean - exact) < radius
        assert abs(estimate.mean - 1.02 * exact) > radius, "blind to an error of 2 %"


def test_other_students_are_left_alone():
    teacher = kt.teachers.zipf(3, 50)
    controlled = kt.simulate(
        teacher, kt.STUDENTS, n=[20, 2000], repeats=500, control=True
    ).estimates
    plain = kt.simulate(teacher, kt.STUDENTS, n=[20, 2000], repeats=500).estimates
    for with_control, without in zip(controlled, plain, strict=True):
        assert (with_control == without) == (without.student != "sel_ptl")


def test_any_cut_gives_the_same_bits():
    teacher = kt.teachers.zipf(40, 9)
    for n in (3, 100, 5000, 10**8):
        cell = ControlledCell(teacher, [kt.STUDENTS["sel_ptl"]], n, seed=2)
        whole = cell.run(0, 300)
        parts = cell.run(0, 17)
        parts.absorb(cell.run(17, 283))
        assert cell.estimates(whole) == cell.estimates(parts)


def test_a_target_is_reached_sooner():
    teacher = kt.teachers.zipf(1, 300)
    plain = kt.simulate(teacher, "sel_ptl", n=200, repeats=500, target_se=2e-5).estimates[0]
    controlled = kt.simulate(
        teacher, "sel_ptl", n=200, repeats=500, target_se=2e-5, control=True
    ).estimates[0]
    assert plain.reached
    assert controlled.reached
    assert controlled.repeats < plain.repeats / 50


def test_control_needs_its_student():
    with pytest.raises(
        ValueError, match=r"control = True: controls 'sel_ptl', which is not among the students"
    ):
        kt.simulate(kt.Teacher([[0.5, 0.5]]), "ce_sgl", n=5, repeats=10, control=True)
