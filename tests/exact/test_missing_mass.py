"""The law of the missing mass against rational enumeration, the occupancy chain, and its own bounds."""

from __future__ import annotations

from fractions import Fraction as F
from math import factorial

import numpy as np
import pytest
from grids import few_quick

from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.missing_mass import (
    ce_ful_weights,
    missing_mass_law,
    missing_mass_moments,
)
from kt_theory.limits.missing_mass import missing_mass_bounds
from kt_theory.students.risk import exact_risk
from kt_theory.teacher import Teacher

# (multiplicities, rho of one input, n)
TINY = [
    ([3], [F(1, 3)], 4),
    ([2, 3], [F(1, 8), F(1, 4)], 5),
    ([1, 2, 1], [F(1, 2), F(1, 4), F(0)], 3),
    ([1], [F(1)], 2),
    ([2], [F(1, 2)], 1),
    ([2], [F(1, 2)], 6),
    ([4, 1], [F(1, 20), F(4, 5)], 7),
    ([5], [F(1, 5)], 0),
    ([1, 1, 1], [F(1, 7), F(2, 7), F(4, 7)], 9),
]


def count_vectors(n: int, cells: int):
    if cells == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in count_vectors(n - first, cells - 1):
            yield (first, *rest)


def enumerated(size: list[int], rho: list[F], n: int, weight: list[F] | None = None) -> dict[F, F]:
    """The law of sum_s w_s 1[s unseen] by summing over all count vectors."""
    law = [r for m, r in zip(size, rho, strict=True) for _ in range(m)]
    w = law if weight is None else [x for m, x in zip(size, weight, strict=True) for _ in range(m)]
    result: dict[F, F] = {}
    for counts in count_vectors(n, len(law)):
        if any(c and not r for c, r in zip(counts, law, strict=True)):
            continue
        chance = F(factorial(n))
        for c, r in zip(counts, law, strict=True):
            chance *= r**c / F(factorial(c))
        value = sum((x for c, x in zip(counts, w, strict=True) if c == 0), F(0))
        result[value] = result.get(value, F(0)) + chance
    return result


def by_classes(size: list[int], rho: list[F]) -> Teacher:
    rows = [[0.5 + 0.1 * c, 0.5 - 0.1 * c] for c in range(len(size))]
    return Teacher.from_classes(rows, [float(r) for r in rho], size)


@pytest.mark.parametrize(("size", "rho", "n"), TINY)
@pytest.mark.parametrize("weighted", [False, True])
def test_rational_enumeration(size: list[int], rho: list[F], n: int, weighted: bool):
    weight = [F(c + 2, 7) for c in range(len(size))] if weighted else None
    law = enumerated(size, rho, n, weight)
    mean = sum(x * p for x, p in law.items())
    variance = sum((x - mean) ** 2 * p for x, p in law.items())
    teacher, w = by_classes(size, rho), None if weight is None else [float(x) for x in weight]
    moments = missing_mass_moments(teacher, n, w)
    assert moments.mean == pytest.approx(float(mean), rel=1e-13, abs=1e-300)
    assert moments.variance == pytest.approx(float(variance), rel=1e-12, abs=1e-30)
    exact = missing_mass_law(teacher, n, w)
    assert (np.diff(exact.values) > 0).all()
    for x in (*law, F(-1), F(1, 3), F(5)):
        below = sum((p for y, p in law.items() if y <= x), F(0))
        assert exact.cdf(float(x)) == pytest.approx(float(below), abs=1e-14)
    for level in (0.1, 0.5, 0.9, 0.999):
        want = min(y for y in law if sum(p for z, p in law.items() if z <= y) >= level - 1e-12)
        assert exact.quantile(level) == pytest.approx(float(want), abs=1e-15)


def test_loss_of_ce_ful():
    teacher = Teacher([[0.8, 0.2], [0.3, 0.7], [1.0, 0.0], [0.2, 0.8]], [0.1, 0.4, 0.4, 0.1])
    rows, _, multiplicity = teacher.classes
    assert len(rows) == 3
    law = missing_mass_law(teacher, 3, ce_ful_weights(teacher))
    assert law.values @ law.probabilities == pytest.approx(
        exact_risk(teacher, "ce_ful", 3), rel=1e-14
    )
    # Enumeration over all 4^3 sequences.
    loss = teacher.rho * np.array([0.3, 0.2, 0.5, 0.3])
    total: dict[float, float] = {}
    for code in range(64):
        drawn = [code % 4, code // 4 % 4, code // 16]
        value = round(loss.sum() - loss[list(set(drawn))].sum(), 12)
        total[value] = total.get(value, 0.0) + float(np.prod(teacher.rho[drawn]))
    for x in total:
        assert law.cdf(x + 1e-11) == pytest.approx(
            sum(p for y, p in total.items() if y <= x), abs=1e-14
        )
    assert missing_mass_moments(teacher, 3, ce_ful_weights(teacher)).mean == pytest.approx(
        exact_risk(teacher, "ce_ful", 3), rel=1e-14
    )
    assert multiplicity.sum() == 4


@pytest.mark.parametrize(("inputs", "n"), [(60, 10), (60, 60), (60, 500), (200, 150)])
def test_occupancy_chain(inputs: int, n: int):
    law = np.zeros(inputs + 1)
    law[inputs] = 1
    u = np.arange(inputs + 1)
    for _ in range(n):
        step = law * (inputs - u) / inputs
        step[:-1] += law[1:] * u[1:] / inputs
        law = step
    exact = missing_mass_law(Teacher(np.eye(inputs)), n)
    np.testing.assert_allclose(exact.cdf((u + 0.25) / inputs), np.cumsum(law), atol=2e-14)
    wrong = missing_mass_law(Teacher(np.eye(inputs)), n + 1)
    assert abs(wrong.cdf((u + 0.25) / inputs) - np.cumsum(law)).max() > 1e-5


@pytest.mark.parametrize(
    ("inputs", "n"),
    few_quick(
        [(10**4, 10**4), (10**6, 10**3), (10**9, 10**9), (10**6, 10**7)],
        [(10**4, 10**4), (10**6, 10**3), (10**6, 10**7)],
    ),
)
def test_law_agrees_with_moments(inputs: int, n: int):
    teacher = Teacher.from_classes([[0.5, 0.5]], [1 / inputs], [inputs])
    law, moments = missing_mass_law(teacher, n), missing_mass_moments(teacher, n)
    mean = law.values @ law.probabilities
    assert mean == pytest.approx(moments.mean, rel=1e-12)
    assert (law.values - mean) ** 2 @ law.probabilities == pytest.approx(moments.variance, rel=1e-9)


def test_variance_of_rare_inputs_keeps_its_digits():
    # 10^3 draws on 10^12 equal inputs: L = 1 - (1000 - X)/S, X ~ number of coincidences, about Poisson(n^2 / 2S).
    inputs, n = 10**12, 1000
    moments = missing_mass_moments(Teacher.from_classes([[0.5, 0.5]], [1 / inputs], [inputs]), n)
    q, both = F(inputs - 1, inputs) ** n, F(inputs - 2, inputs) ** n
    exact = F(1, inputs) * (q - q * q) + F(inputs - 1, inputs) * (both - q * q)
    assert moments.variance == pytest.approx(float(exact), rel=1e-10, abs=0)
    mixed = Teacher.from_classes([[0.5, 0.5]] * 2, [1e-9, 9e-10], [5 * 10**8, 5 * 10**8 + 55555556])
    assert missing_mass_moments(mixed, 50).variance > 0


def test_variance_of_one_weight_among_rare_inputs():
    """Weights of equal rare inputs but one: covariances of pairs, far below what cancels, are all there is."""
    inputs, n = 10**8, 7
    rho = [1 / inputs] * 2
    teacher = Teacher.from_classes([[0.5, 0.5], [0.6, 0.4]], rho, [inputs - 1, 1])
    q, both = F(inputs - 1, inputs) ** n, F(inputs - 2, inputs) ** n
    for weight in ((F(1), F(0)), (F(0), F(1)), (F(1), F(1))):
        many, one = weight
        size = inputs - 1
        alone = (many**2 * size + one**2) * (q - q * q)
        pairs = (many**2 * size * (size - 1) + 2 * many * one * size) * (both - q * q)
        found = missing_mass_moments(teacher, n, [float(many), float(one)]).variance
        assert found == pytest.approx(float(alone + pairs), rel=1e-11, abs=0)


def worst_laws(inputs: int):
    yield [inputs], [1 / inputs]
    for heavy in (0.3, 0.9):
        yield [inputs - 1, 1], [(1 - heavy) / (inputs - 1), heavy]
    yield (
        [inputs // 2, inputs - inputs // 2],
        [1.6 / inputs, (1 - 1.6 / inputs * (inputs // 2)) / (inputs - inputs // 2)],
    )


@pytest.mark.parametrize("inputs", [2, 10, 100, 1000])
def test_bounds_hold_above_exact_quantiles(inputs: int):
    beaten = False
    for n in (1, inputs // 2 + 1, inputs, 3 * inputs, 20 * inputs):
        for size, rho in worst_laws(inputs):
            rows = [[0.5, 0.5], [0.6, 0.4]][: len(size)]
            law = missing_mass_law(Teacher.from_classes(rows, rho, size), n)
            for delta in (0.5, 0.1, 1e-3, 1e-6):
                bound = missing_mass_bounds(inputs, n, delta)
                quantile = law.quantile(1 - delta)
                assert quantile <= bound.sharper + 1e-14
                assert np.isnan(bound.paper) if delta > 0.1 else quantile <= bound.paper + 1e-14
                # Negative control: Thm 5.2's mean without a term for delta is no such bound.
                beaten |= quantile > inputs / (np.e * n)
    assert beaten


def test_sharper_bound_is_the_infimum():
    for inputs, n, delta in ((1, 10, 0.05), (100, 1000, 1e-4), (10**9, 10**10, 0.3)):
        t = np.linspace(1e-6, 1 - 1e-9, 400_001)
        grid = (inputs * (1 - t) ** ((1 - t) / t) + np.log(1 / delta) / t).min() / n
        assert missing_mass_bounds(inputs, n, delta).sharper == pytest.approx(
            min(grid, 1), rel=1e-6
        )
    bound = missing_mass_bounds(100, 2000, 0.01)
    assert bound.paper == pytest.approx(400 / 18000 + 30 * np.log(100) / 2000)
    assert bound.sharper < bound.paper


def test_refusals():
    teacher = Teacher(np.eye(40), np.arange(1, 41) / 820)
    with pytest.raises(NoExactRisk, match="missing_mass_bounds"):
        missing_mass_law(teacher, 100)
    with pytest.raises(NoExactRisk, match="beyond 2"):
        missing_mass_law(Teacher.from_classes([[0.5, 0.5]], [2.0**-60], [2**60]), 3)
    with pytest.raises(ValueError, match="weights has 2 entries"):
        missing_mass_moments(teacher, 100, [1.0, 2.0])
    with pytest.raises(ValueError, match="must be >= 0"):
        missing_mass_moments(teacher, 100, -np.ones(40))
    with pytest.raises(ValueError, match="delta = 0"):
        missing_mass_bounds(3, 100, 0)
    with pytest.raises(ValueError, match="n = 0: must be at least 1"):
        missing_mass_bounds(3, 0, 0.1)
    with pytest.raises(ValueError, match="level = 1"):
        missing_mass_law(Teacher(np.eye(2)), 3).quantile(1.0)
