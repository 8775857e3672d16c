"""The upper bound of hard labels by students with bent shrinkage, step by step as in
docs/proofs-hard.md, against enumeration, adversarial teachers and dense searches.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from kt_theory.limits.hard.add_c import row_upper
from kt_theory.limits.hard.bent import (
    Bent,
    Bound,
    Laws,
    Widths,
    bent_bound,
    bent_student,
    bent_upper,
    proved,
    proved_upper,
)
from kt_theory.limits.hard.interval import hard_limit
from kt_theory.limits.hard.priors import prior_lower

SMALL = Bent(3, 12, np.array([0.0, 1.0, 3.0, 6.0]), np.array([0.9, 0.7, 0.1, -0.6]), 0.6)
WIDTHS = Widths(0.3, 0.1, 10.0)


def counts_of(labels: int, n: int) -> np.ndarray:
    """All counts of n samples."""
    bars = itertools.combinations(range(n + labels - 1), labels - 1)
    edges = np.array([(-1, *b, n + labels - 1) for b in bars])
    return np.diff(edges, axis=1) - 1


def law_of(counts: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.asarray(multinomial.pmf(counts, counts[0].sum(), row))


def rows_of(labels: int, rng: np.random.Generator) -> np.ndarray:
    """Adversarial rows: of many sizes of Dirichlet parameters, of two levels, point masses."""
    drawn = [rng.dirichlet(np.full(labels, a), 12) for a in (0.1, 0.4, 1.0, 4.0, 30.0)]
    levels = []
    for m in range(1, labels):
        for x in np.array([0.01, 0.1, 0.3, 0.6, 0.9, 1.0]) / m:
            rest = (1.0 - m * x) / (labels - m)
            levels.append(np.append(np.full(m, x), np.full(labels - m, rest)))
    return np.concatenate([*drawn, np.array(levels), np.eye(labels)])


def kept(q: np.ndarray) -> np.ndarray:
    """Negative entries moved to zero, the rest scaled down to sum 1."""
    positive = np.maximum(q, 0.0)
    return positive / positive.sum(axis=1, keepdims=True)


def test_answers_sum_to_one_and_negative_entries_cost_nothing() -> None:
    """Steps 1 and 2."""
    counts = counts_of(3, 12)
    steep = Bent(3, 12, np.array([0.0, 4.0, 9.0]), np.array([-3.0, 2.0, -5.0]), 0.6)
    for student in (SMALL, steep):
        q = student.answer(counts)
        assert q.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
        for row in rows_of(3, np.random.default_rng(1)):
            before, after = np.abs(q - row).sum(axis=1), np.abs(kept(q) - row).sum(axis=1)
            assert (after <= before + 1e-12).all()
    assert steep.answer(counts).min() < 0.0  # negative control


def test_the_smoothed_absolute_value() -> None:
    """Step 3: |z - e| <= phi(z) - phi'(z) e + e^2/(2v), met where |z - e| = v has the sign of z."""
    z, e, v = np.meshgrid(
        np.linspace(-2.0, 2.0, 81), np.linspace(-2.0, 2.0, 81), [0.1, 0.4, 1.0], indexing="ij"
    )
    inside = np.abs(z) < v
    phi = np.where(inside, (z * z + v * v) / (2.0 * v), np.abs(z))
    slope = np.clip(z / v, -1.0, 1.0)
    right = phi - slope * e + e * e / (2.0 * v)
    left = np.abs(z - e)
    assert (left <= right + 1e-12).all()
    assert (left > right - 1e-3 * e * e / (2.0 * v) - 1e-12)[inside].any()
    assert (left > phi - slope * e + 0.999 * e * e / (2.0 * v) + 1e-12).any()  # 0.1 % less fails


def scatter(row: np.ndarray, n: int, slopes: np.ndarray) -> tuple[float, float]:
    """Return Var sum_b s_b n_b, and what step 5 bounds it by."""
    exact = n * float(row @ slopes**2 - (row @ slopes) ** 2)
    return exact, n * float(row @ slopes**2)


def test_the_variance_of_a_sum_over_labels() -> None:
    """Step 5: Var sum_b f_b(n_b) <= n sum_b p_b E_1 (f_b(n_b + 1) - f_b(n_b))^2; equal for linear f
    with sum_b p_b s_b = 0.
    """
    rng = np.random.default_rng(2)
    counts = counts_of(3, 12)
    for row in rng.dirichlet(np.ones(3), 30):
        law = law_of(counts, row)
        f = rng.normal(size=(3, 13))
        total = sum(f[b][counts[:, b]] for b in range(3))
        exact = float(law @ total**2 - (law @ total) ** 2)
        less = binom.pmf(np.arange(12), 11, row[:, None])
        bound = 12 * float(row @ (less * np.diff(f, axis=1) ** 2).sum(axis=1))
        assert exact <= bound + 1e-10
        slopes = rng.normal(size=3)
        exact, bound = scatter(row, 12, slopes - row @ slopes)
        assert exact == pytest.approx(bound, rel=1e-10)
        assert exact > 0.999 * bound  # 0.1 % less fails


def test_the_covariances_of_different_labels() -> None:
    """Step 6: |sum_{a != b} Cov(c_a, f_b)|^2 <= sum_a p_a/(1-p_a) Var c_a times the same of f, if
    sum_b p_b E_1 (f_b(n_b + 1) - f_b(n_b)) = 0; equal for c = f linear.
    """
    rng = np.random.default_rng(3)
    n, counts = 12, counts_of(3, 12)
    for row in rng.dirichlet(np.ones(3), 30):
        law, less = law_of(counts, row), binom.pmf(np.arange(n), n - 1, row[:, None])
        odds = row / (1.0 - row)

        def both(c, f, law=law, odds=odds):
            a = np.stack([c[i][counts[:, i]] for i in range(3)])
            b = np.stack([f[i][counts[:, i]] for i in range(3)])
            a, b = a - (a @ law)[:, None], b - (b @ law)[:, None]
            table = (a * law) @ b.T
            spread = odds @ (a**2 @ law), odds @ (b**2 @ law)
            return float(table.sum() - np.trace(table)), math.sqrt(spread[0] * spread[1])

        c, f = rng.normal(size=(3, n + 1)), rng.normal(size=(3, n + 1))
        f -= (row @ (less * np.diff(f, axis=1)).sum(axis=1)) * np.arange(n + 1)
        value, bound = both(c, f)
        assert abs(value) <= bound + 1e-10
        slopes = rng.normal(size=3)
        linear = (slopes - row @ slopes)[:, None] * np.arange(n + 1)
        value, bound = both(linear, linear)
        assert abs(value) == pytest.approx(bound, rel=1e-9)
        assert abs(value) > 0.999 * bound  # 0.1 % less fails


def shift(student: Bent, row: np.ndarray) -> tuple[float, float]:
    """Return m and l of a teacher."""
    n, k = student.n, np.arange(student.n + 1.0)
    h = student.at(k)
    mean = (binom.pmf(k, n, row[:, None]) * h).sum(axis=1).mean()
    less = binom.pmf(k[:-1], n - 1, row[:, None])
    return float(mean), float(row @ (less * np.diff(h)).sum(axis=1))


@pytest.mark.parametrize("eta", [0.0, 0.6, 0.9])
def test_the_sum_over_labels_is_above_the_risk(eta: float) -> None:
    """Steps 1 to 8, at each teacher's own m and l, against enumeration."""
    student = Bent(3, 12, SMALL.knots, SMALL.values, eta)
    counts, n = counts_of(3, 12), 12
    q = student.answer(counts)
    nearest = math.inf
    bounds = [Bound(student, WIDTHS, 0.05, heavy) for heavy in (False, True)]
    for row in rows_of(3, np.random.default_rng(4)):
        m, l = shift(student, row)
        risk = 0.5 * float(law_of(counts, row) @ np.abs(q - row).sum(axis=1))
        total = 0.0
        bound = bounds[int(row.max() > 0.5)]
        bound_at = bound.smooth(m, l)
        rest = np.append(bound.rest(l), bound.rest(l)[-1])
        for p in row:
            i = int(np.clip(np.searchsorted(bound.x, n * p), 0, len(bound.x) - 1))
            j = max(i - 1, 0)
            total += float(max(bound_at[i], bound_at[j]) + max(rest[i], rest[j]))
        assert risk <= 0.5 * total / n * (1.0 + 1e-3)
        nearest = min(nearest, 0.5 * total / n / risk if risk > 0.05 else math.inf)
    assert nearest < 1.25  # it is no empty bound


@pytest.mark.parametrize("heavy", [False, True])
def test_the_terms_of_one_label(heavy: bool) -> None:
    """Step 8, term by term as it is written: 0.1 % less of any fails."""
    A, n, eta, l, m = 12, 60, 0.6, -0.1, 0.2
    student = Bent(A, n, np.array([0.0, 2.0, 7.0, 15.0]), np.array([0.8, 0.6, -0.4, -1.5]), eta)
    bound = Bound(student, WIDTHS, 0.02, heavy)
    u, theta, kappa = WIDTHS
    k = np.arange(n + 1.0)
    h, w = student.at(k), (1.0 - eta) / A + eta * k / n
    rest, parts = bound.rest(l), []
    for i in range(0, bound.near, 7):
        x = float(bound.high[i])
        p = x / n
        law, less = binom.pmf(k, n, p), binom.pmf(k[:-1], n - 1, p)
        z = k - x + h - w * (A * m + h - law @ h - l * (k - x))
        v = u * A * w
        phi = law @ np.where(np.abs(z) < v, (z * z + v * v) / (2.0 * v), np.abs(z))
        assert bound.smooth(m, l)[i + 1] == pytest.approx(phi, rel=1e-9)
        spread = x * float(less @ (np.diff(h) - l) ** 2)
        sign = A * A * float(law @ w**2)
        light = theta * p / (1.0 - p) if p < 1.0 else math.inf
        if p <= 0.5:
            sign *= light
        else:
            sign *= min(light, 1.0 / kappa)
        scale = (1.0 - (1.0 - eta) / A) / u + heavy * kappa
        whole = (sign + spread * (p / theta + scale)) / (2.0 * A)
        assert rest[i] >= whole * (1.0 - 1e-9)
        parts.append((rest[i] / whole, spread / x))
    assert min(ratio for ratio, _ in parts) < 1.0005


def test_the_curvature_between_points_of_the_grid() -> None:
    """Step 9: second differences of the smooth part less multipliers are above -K."""
    student = bent_student(20, 100)
    bound = Bound(student, Widths(0.2, 0.1, 10.0), 0.05, False)
    m, l, t, r = 0.1, -0.12, 0.7, -3.0
    worst = 0.0
    K = bound.curvature(l, t, r)
    for i in range(1, bound.near, 3):
        x = 0.5 * (bound.low[i] + bound.high[i]) + 1e-3 * np.arange(-1, 2)
        fine = Bound.__new__(Bound)
        fine.student, fine.widths, fine.x, fine.laws = student, bound.widths, x, Laws(student, x)
        fine.H = fine.laws.mean(fine.laws.h)
        fine.own, fine._smooth = fine.laws.h - fine.H[fine.laws.i], {}
        slope = fine.laws.mean_less(student.slopes[fine.laws.piece])
        part = fine.smooth(m, l) - t * fine.H - r * x * 20 / 100 * slope
        second = float(part[2] - 2.0 * part[1] + part[0]) / 1e-6
        assert second >= -K[i] - 1e-6
        worst = min(worst, second / K[i])
    assert worst < -0.02  # it does bend down


@pytest.mark.parametrize("heavy", [False, True])
def test_a_rectangle_is_above_a_dense_search(heavy: bool) -> None:
    """Step 10: the bound at a corner is above Psi on a finer grid, whatever the multipliers."""
    student = bent_student(20, 100)
    rough, fine = (Bound(student, WIDTHS, step, heavy) for step in (0.08, 0.02))
    for m, l, at in (
        (0.05, -0.12, np.array([0.1, 0.05, 0.4, 0.3])),
        (-0.1, -0.09, np.array([0.12, -0.4, -1.0, -0.2])),
    ):
        lines, _ = fine.lines(m, l)
        psi = fine.smooth(m, l) - lines @ at
        # A finer grid's scatter on the interval below each point is at least that at the point.
        top = float(psi.max())
        assert top <= rough.top(m, l, at)[0]
        assert fine.top(m, l, at)[0] <= rough.top(m, l, at)[0] * (1.0 + 1e-9)


def test_means_that_the_grid_leaves_to_closed_forms() -> None:
    """Step 9, beyond the grid: the closed form is above the mean of the smoothed error, and not far
    where h ends at 0: 4 % less would be below.
    """
    k, n = np.arange(201.0), 200
    flat = Bent(40, n, np.array([0.0, 3.0, 8.0]), np.array([0.5, 0.2, 0.0]), 0.6)
    narrow = WIDTHS._replace(smooth=0.01)
    for student, m, l in ((flat, 0.0, 0.0), (bent_student(40, n), 0.2, -0.1)):
        bound = Bound(student, narrow, 0.08, True)
        far, nearest = bound.smooth_far(m, l), math.inf
        ends = bound.low[bound.near :], bound.high[bound.near :]
        for low, high, most in zip(*ends, far, strict=True):
            for x in (low, 0.5 * (low + high), high):
                law = binom.pmf(k, n, x / n)
                h = student.at(k)
                others = 40 * m + h - law @ h - l * (k - x)
                z = np.abs(k - x + h - student.weight(k) * others)
                v = narrow.smooth * 40 * student.weight(k)
                exact = law @ np.where(z < v, 0.5 * (z * z / v + v), z)
                assert exact <= most * (1.0 + 1e-12)
                nearest = min(nearest, most / exact if exact else math.inf)
        assert student is not flat or nearest < 1.04


@pytest.mark.parametrize(("labels", "n"), [(3, 12), pytest.param(4, 10, marks=pytest.mark.long)])
def test_the_bound_is_above_every_teacher_of_a_tiny_domain(labels: int, n: int) -> None:
    """The whole, by enumeration of all transfer sets."""
    student = Bent(labels, n, SMALL.knots, SMALL.values, 0.6)
    bound = bent_upper(student, WIDTHS, 0.1, 4)
    counts = counts_of(labels, n)
    q = kept(student.answer(counts))
    rows = rows_of(labels, np.random.default_rng(5))
    risks = [0.5 * float(law_of(counts, r) @ np.abs(q - r).sum(axis=1)) for r in rows]
    assert max(risks) <= bound
    assert prior_lower(labels, n) <= bound


def test_what_ships_lies_between_the_lower_bound_and_add_c() -> None:
    table = proved()
    assert len(table) >= 10
    for labels, n, value in table[::9]:
        A, size = int(labels), int(n)
        assert prior_lower(A, size) < value
        assert value < row_upper(A, size)
        assert proved_upper(A, size) <= value


def test_a_value_serves_fewer_labels_and_more_samples() -> None:
    """Step 11."""
    for labels, n, value in proved()[::3]:
        A, size = int(labels), int(n)
        assert proved_upper(A, size + 1) <= value
        assert proved_upper(A - 1, size) <= value
        assert proved_upper(A - 1, size) <= proved_upper(A, size) <= proved_upper(A, size - 1)
    assert proved_upper(2, 10) == 1.0
    assert proved_upper(10**6, 10**9) == 1.0


@pytest.mark.parametrize("labels", [20, 100, 1000])
def test_widths_at_ten_samples_a_label(labels: int) -> None:
    width = {20: 1.0110, 100: 1.0110, 1000: 1.0110}[labels]
    limit = hard_limit(1, labels, 10 * labels)
    assert 1.0 < limit.upper / limit.lower <= width


def test_adversarial_teachers_stay_below_what_ships() -> None:
    """Simulated: few levels, and the teachers that the multipliers are tight at. The false alarm
    rate is below 1e-6; 1.5 % less than the bound would be beaten.
    """
    labels, n = 20, 200
    student, value = bent_student(labels, n), proved_upper(labels, n)
    rng = np.random.default_rng(6)
    rows = [np.full(labels, 1.0 / labels)]
    for m, x in ((15, 0.1), (10, 0.15), (6, 0.0), (14, 0.17), (16, 0.25), (19, 0.3), (19, 0.7)):
        rest = (labels - m * x) / (labels - m)
        rows.append(np.append(np.full(m, x), np.full(labels - m, rest)) / labels)
    rows += list(rng.dirichlet(np.full(labels, 1.7), 4))
    risks = []
    for row in rows:
        q = kept(student.answer(rng.multinomial(n, row, size=6000)))
        loss = 0.5 * np.abs(q - row).sum(axis=1)
        risks.append(loss.mean() - 5.0 * loss.std() / math.sqrt(len(loss)))
    assert max(risks) <= value
    assert max(risks) >= 0.975 * value


@pytest.mark.long
def test_values_that_ship_are_computed_again() -> None:
    for labels, n in ((30, 300), (100, 1000)):
        assert bent_bound(labels, n) == pytest.approx(proved_upper(labels, n), rel=1e-5)


@pytest.mark.long
def test_lower_below_upper_and_falling_on_many_sizes() -> None:
    for labels in (2, 3, 10, 19, 20, 37, 100, 999, 1000):
        sizes = sorted({round(labels * r) for r in np.geomspace(0.5, 200.0, 20)})
        sizes += [10 * labels - 1, 10 * labels, 10 * labels + 1]
        limits = [hard_limit(1, labels, n) for n in sorted({max(n, 1) for n in sizes})]
        for before, after in itertools.pairwise(limits):
            assert after.lower <= after.upper
            assert after.upper <= before.upper * (1.0 + 2e-5)
            assert after.lower <= before.lower * (1.0 + 1e-8)
