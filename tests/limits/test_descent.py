"""The searches of their own against SciPy's, and the sums of short rows against the compiled ones of long rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from kt_theory.kernels import limits as compiled
from kt_theory.limits.hard.add_c import envelope_at_zero
from kt_theory.limits.optimise import convex_minimum, highest, minimum, simplex_minimum
from kt_theory.limits.sharing.empty_cells import (
    binomial_law,
    empty_law,
    mean_of_each,
    means_after_throws,
    means_by_chance,
)

COMMON = settings(deadline=None, derandomize=True, max_examples=60)


@COMMON
@given(
    place=st.floats(-2, 3),
    power=st.floats(1, 4),
    bend=st.floats(-0.9, 0.9),
    wide=st.floats(1e-9, 1e6),
)
def test_the_search_takes_the_steps_of_scipys(
    place: float, power: float, bend: float, wide: float
) -> None:
    def function(x: float) -> float:
        y = x / wide - place
        return abs(y) ** power + bend * y

    value, x = minimum(function, -wide, 2 * wide, 1e-7 * wide)
    other = minimize_scalar(
        function, bounds=(-wide, 2 * wide), method="bounded", options={"xatol": 1e-7 * wide}
    )
    assert (value, x) == (other.fun, other.x)


@COMMON
@given(
    place=st.floats(-0.2, 1.2),
    width=st.floats(0.05, 3),
    low=st.floats(-1e3, 1e3),
    scale=st.floats(1e-9, 1e9),
)
def test_the_highest_place_of_a_smooth_hill(
    place: float, width: float, low: float, scale: float
) -> None:
    def hill(x: np.ndarray) -> np.ndarray:
        y = ((x - low) / scale - place) / width
        return np.exp(-(y**2)) * (1 + 0.1 * y)

    value, x = highest(hill, low, low + scale)
    grid = low + scale * np.linspace(0, 1, 20001)
    assert value >= hill(grid).max() * (1 - 1e-12)
    assert value == hill(np.array([x]))[0]
    assert low <= x <= low + scale


def test_a_cliff_is_found_though_no_parabola_fits() -> None:
    value, x = highest(lambda x: np.where(x > 0.3, 0.0, x), 0.0, 1.0)
    assert value == pytest.approx(0.3, abs=1e-9)
    assert x <= 0.3
    assert highest(lambda x: -x, 2.0, 2.0) == (-2.0, 2.0)
    near = np.nextafter(1.0, 2.0)
    assert highest(lambda x: x, 1.0, near) == (near, near)


@COMMON
@given(
    slopes=st.lists(st.floats(-5, 5), min_size=2, max_size=8),
    heights=st.lists(st.floats(-2, 2), min_size=8),
)
def test_convex_minimum_of_lines_and_a_parabola(slopes: list[float], heights: list[float]) -> None:
    def function(x: float) -> tuple[float, float]:
        lines = [(10 + h + s * x, s) for s, h in zip(slopes, heights, strict=False)]
        top, slope = max(lines)
        return top + 0.5 * x * x, slope + x

    value, x = convex_minimum(function, -3.0, 3.0, 1e-10)
    grid = np.linspace(-3, 3, 3001)
    assert value <= min(function(float(y))[0] for y in grid) * (1 + 1e-10)
    assert value == function(x)[0]


def test_simplex_minimum_of_a_valley() -> None:
    def valley(z: list[float]) -> float:
        return (z[0] - 0.3) ** 2 + 10 * (z[1] + 0.2 - z[0] ** 2) ** 2

    x, y = simplex_minimum(valley, [[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]], 1e-7, 400)
    assert (x, y) == (pytest.approx(0.3, abs=1e-5), pytest.approx(-0.11, abs=1e-5))


@COMMON
@given(seed=st.integers(0, 2**32 - 1), points=st.integers(1, 30))
def test_the_envelope_is_the_best_chord(seed: int, points: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.unique(np.concatenate([rng.uniform(-1, 2, points), [0.0, -1.0, 2.0]]))
    y = rng.uniform(0, 1, len(x))
    chords = [y[x == 0.0][0]]
    chords += [
        (y[i] * x[j] - y[j] * x[i]) / (x[j] - x[i])
        for i in np.where(x < 0)[0]
        for j in np.where(x > 0)[0]
    ]
    value, slope = envelope_at_zero(x, y, 1e9)
    assert value == pytest.approx(max(chords), rel=1e-12)
    assert (y - slope * x).max() == value


@pytest.mark.parametrize("cells", [1, 2, 7, 64])
@pytest.mark.parametrize("n", [1, 5, 300, 2**40])
def test_dense_sums_are_the_compiled_ones(cells: int, n: int) -> None:
    throws = min(n, 4 * cells + int(24 * np.sqrt(cells)) + 80)
    u = np.arange(cells + 1.0)
    values = u * 9 / (u + 9)
    means = compiled.means_after_throws(values, throws)
    np.testing.assert_allclose(means_after_throws(values, throws), means, rtol=1e-12, atol=1e-24)
    np.testing.assert_allclose(empty_law(cells, throws).sum(axis=1), 1.0, rtol=1e-12)
    p = np.array([0.0, 0.3, 1.0, 2.0, 4.0]) * cells / max(n, 4 * cells)
    expected = [compiled.binomial_mean(n, float(chance), means) for chance in p]
    np.testing.assert_allclose(means_by_chance(n, p, means), expected, rtol=1e-12)
    each = mean_of_each(n, p, np.broadcast_to(values, (len(p), cells + 1)))
    np.testing.assert_allclose(each, expected, rtol=1e-12)


def test_the_binomial_law_at_its_ends() -> None:
    p = np.array([0.0, 1e-12, 0.2, 1.0])
    t = np.arange(21)
    np.testing.assert_allclose(
        binomial_law(20, p, 20), binom.pmf(t[None, :], 20, p[:, None]), rtol=1e-11, atol=1e-300
    )
    assert binomial_law(30, np.array([1.0]), 20).sum() == 0.0
    assert binomial_law(0, np.array([0.5]), 0).tolist() == [[1.0]]
