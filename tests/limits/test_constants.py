"""The constants of the rates against brute maximisation, closed forms and the limits themselves."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from kt_theory.limits.constants import asymptotic_rates, fixed_labels, light_labels
from kt_theory.minimax import minimax_risk


def test_the_light_label_constant() -> None:
    found = light_labels()
    assert found.value == pytest.approx(0.154411119376052, abs=1e-15)
    assert found.t == pytest.approx(1.477670062263216, abs=2e-15)
    assert found.fraction == pytest.approx(1 / found.t, rel=1e-15)
    t, f = np.meshgrid(np.linspace(0.5, 4, 701), np.linspace(0.01, 0.99, 491))
    light = f * np.exp(-t)
    brute = (t * light * (1 - f) / (light + 1 - f)).max()
    assert found.value * (1 - 2e-5) < brute <= found.value * (1 + 1e-12)


@pytest.mark.parametrize(
    ("labels", "value"), [(1, 0.0), (2, 1 / (2 * math.e)), (3, 0.325727865273)]
)
def test_reference_constants(labels: int, value: float) -> None:
    assert fixed_labels(labels).value == pytest.approx(value, abs=5e-13)


@pytest.mark.parametrize("labels", range(2, 13))
def test_fixed_labels_against_the_sum_written_out(labels: int) -> None:
    best = 0.0
    t = np.linspace(0.3, 4, 3001)
    for m in range(1, labels):
        q = np.exp(-t)
        mean = sum(
            math.comb(m, u) * q**u * (1 - q) ** (m - u) * u * (labels - m) / (u + labels - m)
            for u in range(1, m + 1)
        )
        best = max(best, float((t * mean).max()))
    assert best <= fixed_labels(labels).value * (1 + 1e-12)
    assert best == pytest.approx(fixed_labels(labels).value, rel=1e-6)


def test_fixed_labels_tend_to_the_light_label_constant() -> None:
    gaps = [1 - fixed_labels(b).value / (b * light_labels().value) for b in (10, 100, 1000, 10_000)]
    assert all(0 < small < large / 8 for large, small in pairwise(gaps))


def test_partial_labels_tend_to_their_constants_over_three_decades() -> None:
    for inputs, labels in ((1, 4), (1, 9), (3, 3), (2, 6)):
        constant = next(
            r.constant
            for r in asymptotic_rates(inputs, labels)
            if r.regime.startswith("S, A fixed")
        )
        sizes = (10**3, 10**4, 10**5, 10**6)
        gaps = [
            abs(n * minimax_risk("partial", inputs, labels, n).lower / constant - 1) for n in sizes
        ]
        assert all(small < large / 5 for large, small in pairwise(gaps))
        assert gaps[-1] < 1e-5


def test_soft_labels_and_gradients_tend_to_theirs() -> None:
    rates = {(r.access, r.rate): r.constant for r in asymptotic_rates(6, 4)}
    n = 10**8
    assert n * minimax_risk("soft", 6, 4, n).lower == pytest.approx(rates["soft", "1/n"], rel=1e-7)
    assert rates["hard", "sqrt(S(A-1)/n)"] == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-15)
    assert rates["soft", "(1-1/A) S/n"] == pytest.approx(1 / math.e, rel=1e-15)
    assert rates["gradient", "(1-1/A)(alpha-1)/n"] == pytest.approx(1 / math.e, rel=1e-15)


@pytest.mark.parametrize("labels", [0, -1, 2.5, 10**7])
def test_sizes_out_of_range_are_refused(labels: float) -> None:
    with pytest.raises(ValueError, match="labels"):
        fixed_labels(labels)
