"""Intervals of risks: they hold as often as they say, also where all losses are equal."""

import numpy as np
import pytest
from scipy.stats import binom

import kt_theory as kt
from kt_theory.kernels.statistics import interval


@pytest.mark.parametrize("repeats", [2, 10, 100, 10_000, 10**9])
def test_equal_losses_bound_the_risk(repeats):
    """0.05^(1/R) is the chance of the loss seen at which R of them have a chance of 5 %."""
    low, high = interval(0.0, 0.0, repeats)
    assert low == 0.0
    assert (1.0 - high) ** repeats == pytest.approx(0.05, rel=1e-6)
    low, high = interval(0.25, 0.0, repeats)
    assert low == pytest.approx(0.25 * 0.05 ** (1 / repeats))
    assert 1.0 - high == pytest.approx(0.75 * 0.05 ** (1 / repeats))
    assert interval(0.25, 1e-20, repeats) == (low, high)


def test_the_bound_fails_at_most_as_often_as_it_says():
    """Losses of 0 or 1, of any chance: none is seen and the bound is below it at most 5 %."""
    repeats = 50
    bound = interval(0.0, 0.0, repeats)[1]
    for risk in np.linspace(0.0, 1.0, 1001):
        wrong = binom.pmf(0, repeats, risk) * (risk > bound)
        assert wrong <= 0.05 + 1e-12


@pytest.mark.parametrize(
    ("seeds", "few", "many"), [(500, 5, 55), pytest.param(2000, 60, 145, marks=pytest.mark.long)]
)
def test_simulated_intervals_hold_the_exact_risk(seeds, few, many):
    """2,000 seeds: misses of 5 % are 60 or fewer with probability 1e-5, of 5.3 %, what the normal law
    of 200 losses may be off, 145 or more with probability 1.2e-4; of 500 seeds, 5 or fewer, or 55
    or more, with probability below 1e-6.
    """
    teacher = kt.Teacher([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    exact = float(kt.exact_risk(teacher, "ce_sgl", 20))
    missed = 0
    for seed in range(seeds):
        found = kt.simulate(teacher, "ce_sgl", 20, 200, seed, progress=False, threads=1).estimates[
            0
        ]
        missed += not found.low <= exact <= found.high
    assert few < missed < many


def test_rare_losses_are_bounded():
    """The risk of ce_ful is 2e-6 here: no loss is seen, and the interval holds the risk."""
    teacher = kt.Teacher([[0.7, 0.3], [0.1, 0.9]])
    found = kt.simulate(teacher, "ce_ful", 16, 100, progress=False).estimates[0]
    assert found.mean == found.low == found.std_error == 0.0
    assert float(kt.exact_risk(teacher, "ce_ful", 16)) < found.high < 0.03


def test_a_controlled_mean_has_an_interval_of_its_own():
    teacher = kt.teachers.zipf(2, 50)
    plain, controlled = (
        kt.simulate(teacher, "sel_ptl", 30, 500, control=control, progress=False).estimates[0]
        for control in (False, True)
    )
    assert controlled.high - controlled.low < 0.2 * (plain.high - plain.low)
    assert controlled.low < controlled.mean < controlled.high


def test_curves_of_two_teachers_are_apart():
    frames = []
    for exponent in (0.5, 2.0):
        teacher = kt.teachers.zipf(3, 20, exponent)
        frames.append(kt.simulate(teacher, "ce_sgl", [100, 200, 400], 500, progress=False).frame)
    import pandas as pd

    rates = kt.fit_rate(pd.concat(frames))
    assert rates["teacher"].tolist() == ["zipf(exponent=0.5)", "zipf(exponent=2.0)"]
    nameless = kt.Teacher([[0.5, 0.5]]), kt.Teacher([[0.4, 0.6]])
    assert nameless[0].name != nameless[1].name == kt.Teacher([[0.4, 0.6]]).name
