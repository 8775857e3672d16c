"""Rows by the sum of their labels: the sums of several rows, the table, and adversaries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from limits.test_light_labels import adversary, risk, risks
from scipy.optimize import linprog

from kt_theory.limits.sharing import light_labels as light
from kt_theory.limits.sharing import light_search, row_sums
from kt_theory.limits.sharing.upper import partial_upper
from kt_theory.minimax import minimax_risk


def test_rows_share_their_mass_as_well_as_they_can() -> None:
    """Against all ways to place 2, 3 or 4 rows, and a linear program for each place of the largest."""
    rng = np.random.default_rng(1)
    for _ in range(60):
        inputs, places = int(rng.integers(2, 5)), int(rng.integers(2, 6))
        ends = (*np.cumsum(rng.uniform(0.2, 2.0, places - 1)).tolist(), math.inf)
        most = np.sort(rng.uniform(0.0, 1.0, places))[::-1].tolist()
        starts, total = (0.0, *ends[:-1]), float(rng.uniform(0.1, 12.0))
        found = row_sums.together(inputs, ends, most, total)
        some = 0.0
        for row in itertools.combinations_with_replacement(range(places), inputs):
            if sum(starts[j] for j in row) <= total <= sum(ends[j] for j in row):
                some = max(some, sum(most[j] for j in row))
        assert found >= some - 1e-12
        assert found == pytest.approx(_by_programs(inputs, ends, most, total), abs=1e-9)
        if inputs == 2:
            assert found <= some + max(most) - min(most)


def _by_programs(inputs: int, ends, most, total: float) -> float:
    best = 0.0
    for place, own in enumerate(most):
        if place and ends[place - 1] > total:
            continue
        if math.isinf(ends[place]):
            best = max(best, own + (inputs - 1) * most[0])
            continue
        solved = linprog(
            -np.array(most[: place + 1]),
            A_ub=[[-end for end in ends[: place + 1]]],
            b_ub=[-(total - ends[place])],
            A_eq=[[1.0] * (place + 1)],
            b_eq=[inputs - 1.0],
        )
        if solved.status == 0:
            best = max(best, own - float(solved.fun))
    return best


def test_two_labels_by_their_sum() -> None:
    for n, total in itertools.product((4, 9, 100), (0.0, 0.5, 1.5, 3.0)):
        s = np.linspace(total, n, 5001)
        exact = ((1 - s / n) ** n * 0.5 * s).max()
        assert exact <= row_sums.of_two_by_sum(total) <= max(0.5 / math.e, exact * math.e)
    t = np.array([1.2, 0.0])
    assert risk(t, math.inf) == pytest.approx(row_sums.of_two_by_sum(1.2))


@pytest.mark.parametrize(("labels", "n"), [(3, 7), (3, 31), (4, 13), (4, 60), (5, 24)])
def test_no_row_of_a_sum_loses_more(labels, n) -> None:
    """Random rows, most labels light and the rest on one or two, beyond the search's reach too."""
    rng = np.random.default_rng(n)
    size = 4000
    t = rng.uniform(0.0, 2.5, (size, labels)) * (rng.random((size, labels)) < 0.7)
    t[:, 0] += rng.exponential(2.0 * labels, size) * (rng.random(size) < 0.8)
    t *= (n / np.maximum(t.sum(axis=1), n))[:, None]
    found, total = risks(t, n), t.sum(axis=1)
    bounds = row_sums.row_by_sum(labels, n)
    near = []
    for least, bound in zip(row_sums.sums(labels), bounds, strict=True):
        some = found[total >= least]
        assert some.max(initial=0.0) <= bound
        near.append(some.max(initial=0.0) / max(bound, 1e-9))
    assert near[1] > 0.9
    assert bounds == tuple(sorted(bounds, reverse=True))


def test_a_label_beyond_the_search_costs_what_it_weighs() -> None:
    """Bounds of rows of a label less are taken from their own largest risks here: nothing is spare."""
    labels, rng = 3, np.random.default_rng(2)
    fewer = [row_sums.of_two_by_sum(total) for total in row_sums.sums(2)]
    t = rng.uniform(0.0, 1.5, (20_000, labels))
    t[:, 0] = light.FARTHEST + rng.exponential(1.5, len(t))
    found, total = risks(t, math.inf), t.sum(axis=1)
    for least in row_sums.sums(labels):
        bound = row_sums.far_by_sum(fewer, labels, least)
        assert found[total >= least].max() <= bound
    heavy = light.FARTHEST * math.exp(-light.FARTHEST)
    assert row_sums.far_by_sum(fewer, 3, 0.0) == pytest.approx(0.5 / math.e + 2 / 3 * heavy)
    assert row_sums.far_by_sum(fewer, 3, 9.0) < 0.5 / math.e + 0.02


@pytest.mark.parametrize(("n", "share"), [(6, 1.0), (10, 1.4), (12, 2.5), (40, 1.2)])
def test_three_labels_of_a_sum_on_a_lattice(n, share) -> None:
    """The search finds what a lattice of all rows has, and not much more."""
    total = 3 * share
    side = np.linspace(0.0, min(4.0, n) if n >= 16 else n, 61)
    t = np.array(list(itertools.combinations_with_replacement(side, 3)))
    t = t[(t.sum(axis=1) >= total) & (t.sum(axis=1) <= n)]
    found = light_search.searched_by_sum(3, n, total, 5e-3)
    assert found is not None
    best = risks(t, n).max()
    assert best <= found.bound <= 1.04 * best
    assert found.bound <= 1.00501 * found.lower
    assert light_search.searched_by_sum(3, n, total, -0.01) is None


def _as_searched(labels: int, n: float) -> tuple[list[float], list[float]]:
    """What the table has for rows of a sum, and what the search finds."""
    held = row_sums.row_by_sum(labels, n)
    found = light_search.bounds_by_sum(labels, n, row_sums.row_by_sum(labels - 1, n))
    again = np.minimum.accumulate([held[0] / (1 + light.ROUNDING), *found])
    return list(held), (again * (1 + light.ROUNDING)).tolist()


def test_the_table_has_what_the_search_finds() -> None:
    for n in (8.0, 15.0, 16.0, 50.0):
        held, found = _as_searched(3, n)
        assert held == pytest.approx(found, abs=2e-9)
    found = light_search.sum_samples(3)
    assert found[:11] == [*map(float, range(6, 17))]
    assert found[-2:] == [200.0, math.inf]


WIDTHS = [(2, 3, 1, 1.01), (2, 4, 2, 1.01), (2, 6, 1, 1.05), (2, 8, 2, 1.02), (3, 4, 2, 1.01)]
WIDTHS += [(3, 5, 1, 1.05), (5, 7, 2, 1.01), (9, 5, 5, 1.01)]


@pytest.mark.parametrize(("inputs", "labels", "times", "most"), WIDTHS)
def test_few_inputs_are_known_to_a_twentieth(inputs, labels, times, most) -> None:
    limit = minimax_risk("partial", inputs, labels, times * inputs * labels)
    assert limit.lower <= limit.upper <= most * limit.lower


def test_no_teacher_of_two_inputs_loses_more() -> None:
    for labels, n in ((3, 12), (4, 16), (4, 40)):
        worst = adversary(2, labels, n, 0, starts=3, seed=n)
        assert worst <= partial_upper(2, labels, n)
        assert worst >= 0.98 * minimax_risk("partial", 2, labels, n).lower


@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_no_teacher_loses_more_at_many_sizes(seed) -> None:
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(2, 5))
    labels = int(rng.integers(3, 7 if inputs == 2 else 5))
    n = round(inputs * labels * float(rng.choice([1, 1.3, 1.7, 2, 2.5, 3, 4, 6, 10])))
    worst = adversary(inputs, labels, n, 0, starts=6, seed=seed)
    assert worst <= partial_upper(inputs, labels, n)


@pytest.mark.long
@pytest.mark.parametrize("labels", [4, 5, 6])
def test_the_search_gives_the_rows_of_the_table(labels) -> None:
    for n in light_search.sum_samples(labels):
        held, found = _as_searched(labels, n)
        assert held == pytest.approx(found, abs=1e-8)
