from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from kt_theory.kernels.statistics import BINS, SUMS, moments, quantiles
from kt_theory.kernels.tally import accumulate

LOSSES = np.random.default_rng(0).beta(2, 5, size=(10_017, 3)) * [1.0, 1e-6, 0.5]


def gather(losses, cuts):
    students = losses.shape[1]
    sums, histogram = (
        np.zeros((students, SUMS), dtype=np.int64),
        np.zeros((students, BINS), dtype=np.int64),
    )
    for start, stop in zip([0, *cuts], [*cuts, len(losses)], strict=True):
        accumulate(losses[start:stop], sums, histogram)
    return sums, histogram


def results(losses, cuts=()):
    sums, histogram = gather(losses, list(cuts))
    return [
        (*moments(s, len(losses)), *quantiles(h, [0.1, 0.9]))
        for s, h in zip(sums, histogram, strict=True)
    ]


@pytest.mark.parametrize("cuts", [[1], [4096, 8192], [17, 5000], [0, 10_016]])
def test_grouping_and_order_do_not_change_a_bit(cuts):
    assert results(LOSSES, cuts) == results(LOSSES)
    assert results(np.ascontiguousarray(LOSSES[::-1]), cuts) == results(LOSSES)


def test_students_together_or_alone_are_the_same_bits():
    assert [results(LOSSES[:, j : j + 1].copy())[0] for j in range(3)] == results(LOSSES)


def test_moments_are_exact_sums_of_the_rounded_losses():
    repeats = len(LOSSES)
    for j, (mean, error, *_) in enumerate(results(LOSSES)):
        exact = [Fraction(int(x * 2.0**50 + 0.5), 2**50) for x in LOSSES[:, j]]
        average = sum(exact) / repeats
        variance = sum((x - average) ** 2 for x in exact) / (repeats - 1)
        assert mean == float(average)
        assert error == pytest.approx(float(variance / repeats) ** 0.5, rel=1e-15)
        assert mean == pytest.approx(LOSSES[:, j].mean(), abs=1e-15)
        assert error == pytest.approx(LOSSES[:, j].std(ddof=1) / repeats**0.5, rel=1e-8)


def test_the_largest_losses_do_not_overflow():
    losses = np.ones((300_000, 1))
    losses[::2] = 1.0 + 2e-16
    sums, _ = gather(losses, [])
    mean, error = moments(sums[0], len(losses))
    assert mean == 1.0
    assert error == 0.0


@pytest.mark.parametrize("probability", [1e-9, 0.05, 0.5, 0.95, 1.0])
def test_quantiles_are_within_their_stated_error(probability):
    histogram = gather(LOSSES, [])[1]
    for j in range(3):
        exact = np.quantile(LOSSES[:, j], probability, method="inverted_cdf")
        assert quantiles(histogram[j], [probability]) == pytest.approx([exact], rel=2.0**-12)


def test_a_quantile_has_its_share_at_or_below_it():
    histogram = gather(np.array([[0.25], [0.5], [0.75]]), [])[1]
    found = quantiles(histogram[0], [0.33, 0.34, 0.5, 0.67])
    assert found == pytest.approx([0.25, 0.5, 0.5, 0.75], rel=2.0**-12)


def test_edges_of_the_histogram():
    histogram = gather(
        np.array([[0.0, 1.0, 1.0 + 2e-16], [0.0, 1.0, 1.0], [2.0**-70, 0.5, 1.0]]), []
    )[1]
    assert [quantiles(histogram[j], [0.5])[0] for j in range(3)] == [0.0, 1.0, 1.0]
    assert quantiles(histogram[0], [1.0]) == [0.0]
