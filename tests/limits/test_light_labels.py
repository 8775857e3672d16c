"""Light labels: each step of the proof, the search and its table, and adversaries over all teachers."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize

from kt_theory.kernels.light_labels import key_of, row_risk
from kt_theory.limits.constants import fixed_labels, light_labels
from kt_theory.limits.sharing import light_labels as light
from kt_theory.limits.sharing import light_search
from kt_theory.limits.sharing.upper import one_row_upper, partial_upper, top_k_upper
from kt_theory.minimax import minimax_risk

INF = math.inf
SIZES = [(3, 16), (3, 40), (4, 20), (4, 57), (5, 31), (5, 700), (6, 36), (6, 100)]
"""Labels of one row and samples."""


def spread(values: np.ndarray) -> float:
    """T(Z) of the labels in Z."""
    return 0.5 * float(np.abs(values - values.mean()).sum()) if len(values) else 0.0


@lru_cache(maxsize=16)
def subsets(labels: int) -> np.ndarray:
    return ((np.arange(2**labels)[:, None] >> np.arange(labels)) & 1).astype(float)


def unseen_law(t: np.ndarray, n: float) -> np.ndarray:
    """P(exactly the labels of a set are unseen), by inclusion and exclusion; n need not be whole."""
    total = subsets(len(t)) @ t
    chance = np.exp(-total) if math.isinf(n) else np.clip(1 - total / n, 0, 1) ** n
    index = np.arange(len(total))
    for a in range(len(t)):
        without = index[(index >> a) & 1 == 0]
        chance[without] -= chance[without | (1 << a)]
    return chance


def risk(t: np.ndarray, n: float) -> float:
    """f(t) = E T(Z) of light labels, the rest of the mass being no label."""
    sets = subsets(len(t))
    share = (sets @ t) / np.maximum(sets.sum(axis=1), 1)
    return float(unseen_law(t, n) @ (0.5 * (sets * np.abs(t - share[:, None])).sum(axis=1)))


def risks(t: np.ndarray, n: float) -> np.ndarray:
    """f of many rows at a time, (m, d)."""
    sets = subsets(t.shape[1])
    total = t @ sets.T
    chance = np.exp(-total) if math.isinf(n) else np.clip(1 - total / n, 0, 1) ** n
    index = np.arange(len(sets))
    for label in range(t.shape[1]):
        without = index[(index >> label) & 1 == 0]
        chance[:, without] -= chance[:, without | (1 << label)]
    mean = total / np.maximum(sets.sum(axis=1), 1)
    lost = 0.5 * (sets * np.abs(t[:, None, :] - mean[:, :, None])).sum(axis=2)
    value: np.ndarray = (chance * lost).sum(axis=1)
    return value


def of_kernel(t: np.ndarray, n: float) -> float:
    levels, counts = np.unique(np.round(t / light_search.UNIT).astype(np.int64), return_counts=True)
    total = light_search.UNIT * np.arange(int(levels @ counts) + 1)
    power = np.exp(-total) if math.isinf(n) else (1 - total / n) ** n
    chance = np.empty(1 << len(t))
    return row_risk.py_func(
        levels, counts, len(levels), light_search.UNIT, power, light_search.CHOOSE, chance
    )


@pytest.mark.parametrize("n", [17, 60, INF])
def test_the_kernels_risk_is_the_enumerations(n) -> None:
    rng = np.random.default_rng(3)
    for _ in range(12):
        t = light_search.UNIT * rng.integers(0, light_search.TOP, size=rng.integers(1, 4))
        t = np.repeat(t * (rng.random(len(t)) < 0.7), rng.integers(1, 3, size=len(t)))[:4]
        assert of_kernel(t, n) == pytest.approx(risk(t, n), rel=1e-11, abs=1e-13)


def test_drawing_every_transfer_set_gives_the_same() -> None:
    t, n = np.array([0.5, 1.2, 0.0, 0.9]), 4
    cells, total = [*t / n, 1 - t.sum() / n], 0.0
    for drawn in itertools.product(range(5), repeat=n):
        chance = float(np.prod([cells[a] for a in drawn]))
        total += chance * spread(t[np.setdiff1d(np.arange(4), drawn)])
    assert risk(t, n) == pytest.approx(total, abs=1e-14)


def test_another_row_has_another_key() -> None:
    rng, seen = np.random.default_rng(5), {}
    for _ in range(1000):
        row = np.sort(rng.integers(0, 4, size=rng.integers(1, 17)) * 8191 + 1)
        levels, counts = np.unique(row, return_counts=True)
        key = tuple(map(int, key_of.py_func(levels, counts, len(levels))))
        assert seen.setdefault(key, tuple(row)) == tuple(row)


def test_facts_of_one_set() -> None:
    """Convex; more labels spread more; the largest adds at most itself; slopes at most 1 - 1/|Z|."""
    rng = np.random.default_rng(0)
    nearest = 0.0
    for _ in range(1000):
        z = np.sort(rng.exponential(size=rng.integers(2, 7)) ** rng.integers(1, 4))
        a = rng.integers(len(z))
        assert spread(z) <= spread(z[:-1]) + z[-1] + 1e-12
        assert spread(z) >= spread(np.delete(z, a)) - 1e-12
        bound = (1 - 1 / len(z)) * abs(z[a] - np.delete(z, a).mean())
        assert spread(z) - spread(np.delete(z, a)) <= bound + 1e-12
        nearest = max(nearest, (spread(z) - spread(np.delete(z, a))) / bound)
        other = rng.exponential(size=len(z))
        assert spread(0.3 * z + 0.7 * other) <= 0.3 * spread(z) + 0.7 * spread(other) + 1e-12
        moved = z.copy()
        moved[a] += 1e-3
        assert abs(spread(moved) - spread(z)) <= 1e-3 * (1 - 1 / len(z)) + 1e-12
    assert nearest > 1 - 1e-9
    far = np.array([0.0, 0.0, 1e6])
    assert spread(far) / 1e6 == pytest.approx(1 - 1 / 3, rel=1e-9)


def test_a_difference_of_many_orders_is_at_most_its_positive_half() -> None:
    rng = np.random.default_rng(1)
    for _ in range(120):
        z = rng.uniform(0, light.FARTHEST, size=rng.integers(2, 7))
        for orders in range(1, len(z) + 1):
            difference = sum(
                (-1) ** len(out) * spread(np.delete(z, list(out)))
                for size in range(orders + 1)
                for out in itertools.combinations(range(orders), size)
            )
            assert abs(difference) <= light.FARTHEST * max(1.0, 2.0 ** (orders - 2)) + 1e-12


@pytest.mark.parametrize("n", [9.5, 16, 40.25, INF])
def test_the_law_of_unseen_labels_is_a_law_for_any_real_n(n) -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        t = rng.uniform(0, 4, size=rng.integers(1, 7)) * rng.random()
        law = unseen_law(t * min(1.0, n / (t.sum() + 1e-9)), n)
        assert law.min() >= -1e-13
        assert law.sum() == pytest.approx(1.0)


def test_what_bends_down_along_one_label() -> None:
    """Against chords of random rows; and two labels attain the bound at t = 0."""
    rng = np.random.default_rng(4)
    for _ in range(400):
        d = int(rng.integers(2, 6))
        n = float(rng.choice([4 * d + 4, 60, INF]))
        t = rng.uniform(0, 4, d) * (rng.random(d) < 0.8)
        a, b = np.sort(rng.uniform(0, 4, 2))
        bend, share = light_search.bend_at_most(d, np.array([a]), n)[0], rng.random()
        value = []
        for x in ((1 - share) * a + share * b, a, b):
            t[0] = x
            value.append(risk(t, n))
        chord = (1 - share) * value[1] + share * value[2]
        assert value[0] <= chord + share * (1 - share) / 2 * bend * (b - a) ** 2 + 1e-12
    w = 1e-4
    second = (2 * risk(np.array([w, 0.0]), INF) - risk(np.array([2 * w, 0.0]), INF)) / w**2
    assert second == pytest.approx(light_search.bend_at_most(2, np.zeros(1), INF)[0], rel=4e-4)
    ratio = light_search.bend_at_most(5, np.array([1.0]), 30.0) / light_search.bend_at_most(
        5, np.zeros(1), 30.0
    )
    assert ratio[0] == pytest.approx((1 - 1 / 30) ** 29, rel=1e-12)


def test_what_a_label_is_worth() -> None:
    """Pairs of levels meet the condition, rows lose no more, and the peak is c2."""
    constant = light_labels()
    t = light_search.UNIT * np.arange(light_search.TOP + 1)
    worth = light_search.worth(t)
    cost = np.sqrt(worth * np.exp(t))
    assert (cost[0] + cost >= np.sqrt(t) - 1e-9).all()
    assert worth.max() == pytest.approx(constant.value, rel=1e-9)
    assert abs(t[worth.argmax()] - constant.t) < 2 * light_search.UNIT
    assert worth.argmax() > 0
    rng = np.random.default_rng(6)
    for n in (30, INF):
        for _ in range(100):
            level = rng.integers(0, light_search.TOP, size=rng.integers(2, 6))
            level = level * (rng.random(len(level)) < 0.6)
            assert risk(t[level], n) <= worth[level].sum() + 1e-12


def test_what_is_dropped_costs_no_more() -> None:
    """A label beyond the search, and the heaviest one."""
    t, n = np.linspace(light.FARTHEST, 40, 2000), 10**9
    assert (t * (1 - t / n) ** n).max() == pytest.approx(light.DROPPED, rel=1e-6)
    for d, least in ((3, 16), (7, 32), (12, 80)):
        total = np.linspace(0, 0.999 * least, 300)
        bound = light.heavy_at_most(d, total, least)
        assert (np.diff(bound) >= -1e-15).all()
        for n in (least, least + 1, 2 * least, 50 * least):
            p = np.maximum(1 - total / n, 1 / (d + 1))
            assert (n * p * (1 - p) ** n <= bound * (1 + 1e-12) + 1e-300).all()
        p = 1 - total[150] / least
        assert bound[150] == pytest.approx(least * p * (1 - p) ** least, rel=1e-12)


def test_what_an_unvisited_row_loses_more() -> None:
    rng = np.random.default_rng(7)
    nearest = 0.0
    for _ in range(2000):
        d, k = int(rng.integers(2, 5)), int(rng.integers(1, 4))
        t = rng.uniform(0, 1.5, d) * (rng.random(d) < 0.7) * rng.choice([0.0, 1.0])
        known = t.max() + rng.exponential(size=k) * rng.choice([0.01, 1.0])
        every = np.append(t, known)
        more = math.exp(-every.sum()) * (spread(every) - spread(t))
        bound = light.unvisited_at_most(d, t.sum(), k)
        assert more <= bound * (1 + 1e-12)
        nearest = max(nearest, more / bound)
    assert nearest > 0.95
    one = math.exp(-1.0) * spread(np.array([0.0, 0.0, 1.0]))
    assert one == pytest.approx(light.unvisited_at_most(2, 0.0, 1), rel=1e-12)


@pytest.mark.parametrize(("d", "u"), [(2, 0.05), (3, 1 / 16), (4, 0.01)])
def test_the_curvature_in_n_by_every_tuple_of_labels(d, u) -> None:
    """The series to its seventh term, every tuple of labels counted one by one."""
    most = [0.0] + [
        max(t**i * math.exp(-t) for t in np.append(np.linspace(0, 4, 401), min(i, 4)))
        for i in range(1, 8)
    ]
    total = 0.0
    for j in range(3, 8):
        tuples = 0.0
        for labels in itertools.product(range(d), repeat=j):
            times = [labels.count(a) for a in set(labels)]
            bound = 4.0 * max(1.0, 2.0 ** (len(times) - 2))
            tuples += bound * math.prod(most[i] for i in times)
        squared = sum((1 - 1 / i) * (1 - 1 / (j - i)) for i in range(2, j - 1))
        total += tuples * (squared * u ** (j - 4) + (1 - 1 / j) * (j - 2) * u ** (j - 3))
    short, light.SERIES = light.SERIES, 7
    try:
        assert light.curvature.__wrapped__(d, u) == pytest.approx(total, rel=1e-9)
    finally:
        light.SERIES = short


def test_between_two_n_a_row_stays_below_its_chord_and_the_curvature() -> None:
    rng = np.random.default_rng(8)
    for _ in range(150):
        d = int(rng.integers(2, 6))
        left, right = np.sort(rng.uniform(0, 1 / (4 * d + 4), 2)) * rng.choice([0.0, 1.0], 2)
        left, right = min(left, right), max(left, right, 1e-3)
        u = left + (right - left) * rng.random()
        t = rng.uniform(0, 4, d)
        at = {x: risk(t, 1 / x if x else INF) for x in (left, u, right)}
        chord = ((u - left) * at[right] + (right - u) * at[left]) / (right - left)
        assert at[u] <= chord + (u - left) * (right - u) / 2 * light.curvature(d, right) + 1e-12


def test_what_stands_between_two_n_of_the_table() -> None:
    rows = {20.0: 1.0, 40.0: 2.0, INF: 4.0}
    assert light.interpolated(rows, 3, 40.0) == 2.0
    bend = light.curvature(3, 1 / 40)
    u = 1 / 80
    assert light.interpolated(rows, 3, 80) == pytest.approx(3.0 + 0.5 * u * u * bend, rel=1e-12)
    u, bend = 1 / 30, light.curvature(3, 1 / 20)
    part = (u - 1 / 40) / (1 / 20 - 1 / 40)
    more = 0.5 * (u - 1 / 40) * (1 / 20 - u) * bend
    assert light.interpolated(rows, 3, 30) == pytest.approx(2 - part + more, rel=1e-12)


@pytest.mark.parametrize("n", [16, INF])
def test_three_labels_on_a_lattice(n) -> None:
    """A full lattice and the same bend: another way to the bound of the table."""
    levels = np.linspace(0, 4, 81)
    bend = light_search.bend_at_most(3, levels[:-1], n)
    error = 3 * (bend * np.diff(levels) ** 2 / 8).max()
    a, b, c = (x.ravel() for x in np.meshgrid(levels, levels, levels, indexing="ij"))
    keep = (a <= b) & (b <= c)
    t = np.column_stack([a, b, c])[keep]
    value = risks(t, n)
    recorded = light.light_bound(3, n)
    assert value.max() <= recorded <= value.max() * 1.003
    assert value.max() + error <= recorded * 1.01


def test_the_table_is_whole_and_grows_with_n_and_labels() -> None:
    table = light._table()
    some = {(k, d) for k in range(1, light.MOST_KNOWN + 1) for d in range(3, light.TOP_K + 1)}
    assert set(table) == some | {(0, d) for d in range(3, light.LARGEST + 1)}
    for (k, d), rows in table.items():
        expected = [math.ceil(r * (d + 1)) if math.isfinite(r) else r for r in light.ratios(d)]
        assert list(rows) == expected
        values = np.array(list(rows.values()))
        assert (np.diff(values) > -2e-3 * values[:-1]).all()
        if (k, d + 1) in table:
            assert all(
                light.light_bound(d, n, k) < light.light_bound(d + 1, n, k) for n in (10**4, INF)
            )
    for d in range(3, light.LARGEST + 1):
        assert (
            1.0 < light.light_bound(d, INF) / fixed_labels(d).value < (1.001 if d <= 12 else 1.007)
        )


WIDTHS = [(4, 17, 1.01), (9, 50, 1.01), (4, 40, 1.002), (7, 77, 1.002), (12, 120, 1.002)]
WIDTHS += [(10, 470, 1.002), (12, 10**6, 1.002), (14, 140, 1.008), (14, 10**5, 1.008)]


@pytest.mark.parametrize(("labels", "n", "most"), WIDTHS)
def test_partial_labels_are_known_to_a_per_mille_or_a_per_cent(labels, n, most) -> None:
    limit = minimax_risk("partial", 1, labels, n)
    assert limit.lower < limit.upper <= most * limit.lower


@pytest.mark.parametrize(
    ("access", "labels", "known", "most"),
    [
        ("partial", 4, 0, 1.003),
        ("partial", 10, 0, 1.003),
        ("top_k", 7, 1, 1.01),
        ("top_k", 8, 5, 1.02),
        ("top_k", 4, 1, 1.05),
    ],
)
def test_several_inputs_too(access, labels, known, most) -> None:
    more = {"k": known} if known else {}
    limit = minimax_risk(access, 10, labels, 100 * labels, **more)
    assert limit.lower < limit.upper <= most * limit.lower


def adversary(inputs: int, labels: int, n: int, known: int, starts: int, seed: int) -> float:
    """The largest risk found over all teachers, from random starts; nothing is known of the worst one."""
    rng = np.random.default_rng(seed)
    sets = subsets(labels)
    size = inputs * labels

    def lost(joint: np.ndarray) -> float:
        total = 0.0
        for row in joint.reshape(inputs, labels):
            chance = unseen_law(n * row, n)
            hidden = sets.copy()
            if known:
                hidden[:-1, np.argsort(-row, kind="stable")[:known]] = 0.0
            share = (hidden @ row) / np.maximum(hidden.sum(axis=1), 1)
            total += float(chance @ (0.5 * (hidden * np.abs(row - share[:, None])).sum(axis=1)))
        return total

    def simplex(z: np.ndarray) -> np.ndarray:
        joint = z**2
        return joint / joint.sum()

    best = 0.0
    for _ in range(starts):
        joint = rng.uniform(0.0, 2.5, size) * (rng.random(size) < 0.7) / n
        joint[rng.integers(size)] += max(1.0 - joint.sum(), 0.0)
        found = minimize(
            lambda z: -n * lost(simplex(z)),
            np.sqrt(joint / joint.sum()),
            method="L-BFGS-B",
            options={"maxiter": 60},
        )
        best = max(best, -float(found.fun) / n)
    return best


@pytest.mark.parametrize(("labels", "n"), SIZES[1:6:2])
def test_no_teacher_loses_more(labels, n) -> None:
    worst = adversary(1, labels, n, 0, starts=3, seed=labels + n)
    assert worst <= one_row_upper(labels, n)
    assert worst >= 0.99 * minimax_risk("partial", 1, labels, n).lower


@pytest.mark.long
@pytest.mark.parametrize("seed", range(220))
def test_no_teacher_loses_more_at_many_sizes(seed) -> None:
    rng = np.random.default_rng(seed)
    inputs = int(rng.choice([1, 1, 1, 2]))
    labels = int(rng.integers(4, 8 if inputs == 1 else 5))
    known = int(rng.choice([0, 0, 1, 2])) if labels > 4 or inputs == 1 else int(rng.choice([0, 1]))
    known = min(known, labels - 3)
    n = round(inputs * labels * 4 * float(rng.choice([1, 1.2, 2.5, 3, 7, 50])))
    worst = adversary(inputs, labels, n, known, starts=6, seed=seed)
    upper = partial_upper(inputs, labels, n)
    if known:
        upper = min(upper, top_k_upper(inputs, labels, n, known))
    assert worst <= upper


@pytest.mark.parametrize("labels", [4, 9])
def test_the_bound_falls_in_n(labels) -> None:
    n = np.unique(np.round(np.geomspace(2 * labels, 2000 * labels, 120)).astype(int))
    for inputs in (1, 30):
        values = [light.one_row(labels, int(m)) for m in n]
        if inputs > 1:
            values = [light.many_rows(inputs, labels, inputs * int(m)) for m in n]
        values = [value for value in values if math.isfinite(value)]
        assert len(values) > 80
        assert all(more < less for less, more in itertools.pairwise(values))


@pytest.mark.long
@pytest.mark.parametrize(
    ("labels", "known"), [(3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (3, 1), (5, 4)]
)
def test_the_search_gives_the_rows_of_the_table(labels, known) -> None:
    table = light._table()
    below = {d: table[0, d] for d in range(3, labels)}
    found = light_search.rows_of_table(labels, below, known)
    assert found.keys() == table[known, labels].keys()
    for n, value in found.items():
        assert value == pytest.approx(table[known, labels][n], abs=1e-9)


@pytest.mark.long
def test_a_target_below_the_worst_row_is_refuted() -> None:
    with pytest.raises(ArithmeticError, match="a row reaches"):
        light_search.searched(4, INF, INF, -0.001)
