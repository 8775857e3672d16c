from __future__ import annotations

import numpy as np
import pytest

from kt_theory.kernels.statistics import BINS, BLOCK, accumulate, quantile


def gather(losses, cuts):
    students = losses.shape[1]
    mean, m2 = np.zeros(students), np.zeros(students)
    histogram = np.zeros((students, BINS), dtype=np.int64)
    for start, stop in zip([0, *cuts], [*cuts, len(losses)], strict=True):
        accumulate(losses[start:stop], start, mean, m2, histogram)
    return mean, m2, histogram


LOSSES = np.random.default_rng(0).beta(2, 5, size=(5 * BLOCK + 17, 3)) * [1.0, 1e-6, 0.5]


@pytest.mark.parametrize("cuts", [[], [BLOCK], [2 * BLOCK, 3 * BLOCK], [k * BLOCK for k in range(1, 6)]])
def test_chunks_do_not_change_a_bit(cuts):
    for whole, parts in zip(gather(LOSSES, []), gather(LOSSES, cuts), strict=True):
        np.testing.assert_array_equal(whole, parts)


def test_students_together_or_alone_are_the_same_bits():
    together = gather(LOSSES, [])
    for j in range(3):
        alone = gather(LOSSES[:, j : j + 1].copy(), [BLOCK])
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(many[j], one[0])


def test_moments_equal_numpy():
    mean, m2, histogram = gather(LOSSES, [BLOCK])
    np.testing.assert_allclose(mean, LOSSES.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(m2, LOSSES.var(axis=0) * len(LOSSES), rtol=1e-12)
    assert (histogram.sum(axis=1) == len(LOSSES)).all()


@pytest.mark.parametrize("probability", [1e-9, 0.05, 0.5, 0.95, 1.0])
def test_quantiles_are_within_their_stated_error(probability):
    histogram = gather(LOSSES, [])[2]
    for j in range(3):
        exact = np.quantile(LOSSES[:, j], probability, method="inverted_cdf")
        assert quantile(histogram[j], probability) == pytest.approx(exact, rel=2.0**-12)


def test_edges_of_the_histogram():
    histogram = gather(np.array([[0.0, 1.0, 1.0 + 2e-16], [0.0, 1.0, 1.0], [2.0**-70, 0.5, 1.0]]), [])[2]
    assert [quantile(histogram[j], 0.5) for j in range(3)] == [0.0, 1.0, 1.0]
    assert quantile(histogram[0], 1.0) == 0.0
