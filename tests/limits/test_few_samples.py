"""Light labels at few samples: the law beyond all mass, a label that holds the rest, and the table."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from grids import few_quick
from limits.test_light_labels import adversary, risk, risks, spread, unseen_law

from kt_theory.kernels.light_labels import row_risk, with_rest
from kt_theory.limits.sharing import light_labels as light
from kt_theory.limits.sharing import light_search
from kt_theory.limits.sharing.upper import one_row_upper, partial_upper, top_k_upper
from kt_theory.minimax import minimax_risk


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_beyond_all_mass_there_is_still_a_law(n) -> None:
    """(1 - s/n)^n cut off at 0: probabilities for d <= n labels of any t; for more they are not."""
    rng = np.random.default_rng(n)
    assert light_search.unseen(np.array([0.0, n / 2, n, n + 1.5]), n).tolist() == [1, 0.5**n, 0, 0]
    for _ in range(40):
        d = int(rng.integers(1, n + 1))
        law = unseen_law(rng.uniform(0, 2 * n, size=d) * rng.random(), n)
        assert law.min() >= -1e-12
        assert law.sum() == pytest.approx(1.0)
    more = min(
        unseen_law(rng.uniform(0, n, size=n + 2) * rng.random(), n).min() for _ in range(200)
    )
    assert more < -1e-6


@pytest.mark.parametrize("n", [3, 4, 7])
def test_what_bends_down_along_one_label_of_any_mass(n) -> None:
    rng = np.random.default_rng(n)
    for _ in range(60):
        d = int(rng.integers(2, min(n, 5) + 1))
        t = rng.uniform(0, n, d) * (rng.random(d) < 0.8)
        a, b = np.sort(rng.uniform(0, n, 2))
        share = rng.random()
        value = []
        for x in ((1 - share) * a + share * b, a, b):
            t[0] = x
            value.append(risk(t, n))
        bend = light_search.bend_at_most(d, np.array([a]), n)[0]
        chord = (1 - share) * value[1] + share * value[2]
        assert value[0] <= chord + share * (1 - share) / 2 * bend * (b - a) ** 2 + 1e-12


def test_what_bends_down_along_a_label_that_takes_from_the_heaviest() -> None:
    """All mass is in the row; half of the bound is not enough."""
    rng = np.random.default_rng(4)
    nearest = 0.0
    for _ in range(400):
        A, n = int(rng.integers(3, 6)), int(rng.integers(2, 9))
        t = rng.dirichlet(np.full(A, rng.choice([0.2, 1.0]))) * n
        both = t[0] + t[1]
        a, b = np.sort(rng.uniform(0, both, 2) * rng.choice([0.05, 1.0], 2))
        share = rng.random()
        value = []
        for x in ((1 - share) * a + share * b, a, b):
            t[:2] = x, both - x
            value.append(risk(t, n))
        low = light_search.bend_at_most(A - 1, np.array([a, both - b]), n)
        over = value[0] - (1 - share) * value[1] - share * value[2]
        most = share * (1 - share) / 2 * low.sum() * (b - a) ** 2
        assert over <= most + 1e-12
        nearest = max(nearest, over / most) if most > 1e-6 else nearest
    assert nearest > 0.5


def test_a_label_that_holds_the_rest_is_one_more_label() -> None:
    """Every transfer set drawn; the rest is lighter, as heavy or heavier than the others."""
    n, whole = 3, light_search.WHOLE
    unit = n / whole
    for light_ones in ([0, 0, whole // 4], [whole // 2], [whole // 3, whole // 3], [5, 9, 700]):
        found, counts = np.unique(light_ones, return_counts=True)
        levels, many = np.zeros(5, np.int64), np.zeros(5, np.int64)
        levels[: len(found)], many[: len(found)] = found, counts
        places = with_rest.py_func(levels, many, len(found), whole)
        assert (np.diff(levels[:places]) > 0).all()
        assert levels[:places] @ many[:places] == whole
        assert many[:places].sum() == len(light_ones) + 1
        t = unit * np.array([*light_ones, whole - sum(light_ones)])
        total = 0.0
        for drawn in itertools.product(range(len(t)), repeat=n):
            hidden = np.setdiff1d(np.arange(len(t)), drawn)
            total += float(np.prod(t[list(drawn)] / n)) * spread(t[hidden])
        power = light_search.unseen(unit * np.arange(whole + 1), n)
        value = row_risk.py_func(
            levels, many, places, unit, power, light_search.CHOOSE, np.empty(2 << len(t))
        )
        assert value == pytest.approx(total, abs=1e-13)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_four_labels_on_a_lattice(n) -> None:
    """All rows of a lattice of the simplex: nothing exceeds the table, and something comes near."""
    size = 60
    cells = np.array(
        [
            (i, j, k, size - i - j - k)
            for i in range(size // 4 + 1)
            for j in range(i, size)
            for k in range(j, size)
            if size - i - j - k >= k
        ]
    )
    t = cells * (n / size)
    most = float(risks(t, n).max())
    recorded = light.few_bound("label", 3, n)
    assert most <= recorded <= most * 1.004


def test_the_table_is_whole_and_grows_with_labels() -> None:
    """Between the places of the rest too: a label that counts adds, what is known may be less."""
    for rest, most in light.FEW_LABELS.items():
        for d in range(3, most + 1):
            first = 1 if rest == "label" else d
            n = range(first, light.FEW_RATIO * (d + 1))
            rows = [light.few_bound(rest, d, m) for m in n]
            assert all(math.isfinite(value) for value in rows)
            assert math.isinf(light.few_bound(rest, d, first - 1))
            assert math.isinf(light.few_bound(rest, d, light.FEW_RATIO * (d + 1)))
            fewer = [light.few_bound(rest, d - 1, m) for m in n]
            more = [a / b for a, b in zip(rows, fewer, strict=True) if math.isfinite(b)]
            assert min(more, default=2.0) > 0.999
    for n in range(5, 24):
        known, among = (light.few_bound(rest, 5, n) for rest in ("known", "rows"))
        assert known <= among * 1.002


@pytest.mark.parametrize("labels", few_quick(range(4, 11), (4, 7, 10)))
def test_partial_labels_of_one_input_are_known_at_any_n(labels) -> None:
    for n in (1, 2, 3, labels - 1, labels, 2 * labels, 4 * labels - 1):
        limit = minimax_risk("partial", 1, labels, n)
        assert limit.lower <= limit.upper <= 1.00011 * limit.lower


@pytest.mark.parametrize(("inputs", "labels", "times"), [(10, 4, 1), (10, 5, 2)])
def test_ten_inputs_are_known_to_a_twentieth(inputs, labels, times) -> None:
    limit = minimax_risk("partial", inputs, labels, times * inputs * labels)
    assert limit.upper <= 1.035 * limit.lower


def test_several_rows_by_what_one_of_them_loses() -> None:
    """The sum over rows; and without the heaviest label, which adds (1 - 1/A) of itself at most."""
    for inputs, labels, n in ((2, 4, 8), (2, 4, 30), (7, 3, 200), (3, 5, 14), (9, 6, 54)):
        row, fewer = (light.row_among_others(d, n) for d in (labels, labels - 1))
        assert row == min(light.few_bound("rows", labels, n), light.light_bound(labels, n))
        p = 1 / (inputs * labels)
        dropped = fewer + n * (1 - 1 / labels) * p * (1 - p) ** n
        most = (inputs - 1) * row + (min(row, dropped) if n + 1 >= inputs * labels else row)
        assert n * light.many_rows(inputs, labels, n) == pytest.approx(most, rel=1e-12)
        t = np.zeros(labels)
        t[0] = 1.3
        assert spread(t) == pytest.approx((1 - 1 / labels) * 1.3, rel=1e-12)
    assert light.row_among_others(2, 9) == light.of_two(2)


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "known"),
    few_quick(
        [(1, 4, 5, 0), (1, 5, 3, 0), (1, 6, 9, 0), (2, 4, 12, 0), (1, 6, 7, 1), (1, 7, 10, 2)],
        [(1, 4, 5, 0), (1, 6, 7, 1)],
    ),
)
def test_no_teacher_loses_more(inputs, labels, n, known) -> None:
    _try_all_teachers(inputs, labels, n, known, starts=2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(120))
def test_no_teacher_loses_more_at_many_sizes(seed) -> None:
    rng = np.random.default_rng([seed, 7])
    inputs = int(rng.choice([1, 1, 2, 3]))
    labels = int(rng.integers(4, 8 if inputs == 1 else 5))
    known = min(int(rng.choice([0, 0, 1, 2])), labels - 3)
    n = max(1, round(inputs * labels * float(rng.choice([0.3, 0.7, 1, 1.4, 2, 2.7, 3.9]))))
    _try_all_teachers(inputs, labels, n, known, starts=6)


def _try_all_teachers(inputs: int, labels: int, n: int, known: int, starts: int) -> None:
    worst = adversary(inputs, labels, n, known, starts=starts, seed=labels + n)
    if known:
        upper, limit = (
            top_k_upper(inputs, labels, n, known),
            minimax_risk("top_k", inputs, labels, n, k=known),
        )
    else:
        upper = one_row_upper(labels, n) if inputs == 1 else partial_upper(inputs, labels, n)
        limit = minimax_risk("partial", inputs, labels, n)
    assert worst <= upper
    assert limit.upper <= upper * (1 + 1e-12)


@pytest.mark.long
@pytest.mark.parametrize("rest", light.REST)
@pytest.mark.parametrize("labels", [3, 4, 5, 6])
def test_the_search_gives_the_rows_of_the_table(rest, labels) -> None:
    for n, value in light_search.few_rows(rest, labels).items():
        assert value * (1 + light.ROUNDING) == pytest.approx(
            light.few_bound(rest, labels, n), abs=1e-9
        )


@pytest.mark.long
def test_a_search_below_the_worst_row_does_not_close() -> None:
    for rest in light.REST:
        assert light_search.few_searched(rest, 4, 6, -0.001) is None
        assert light_search.few_searched(rest, 4, 6, 0.002) is not None
