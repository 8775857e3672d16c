"""The minimax risks of greedy labels and of non-target parts: games solved by linear programming, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from grids import few_quick
from scipy.optimize import linprog

import kt_theory as kt
from kt_theory import access
from kt_theory.limits.greedy.argmax import argmax_bounds, floor
from kt_theory.limits.non_target import TWICE, non_target_rows, one_label_loss
from kt_theory.limits.soft import unvisited_mass

RNG = np.random.default_rng(11)


def least_maximum(rows, weights=None):
    """min over q of max_i TV(q, rows_i), or of sum_i weights_i TV(q, rows_i), by linear programming."""
    many, labels = rows.shape
    gaps = many * labels
    signs = np.vstack([np.eye(gaps), -np.eye(gaps)])
    q = np.vstack([np.tile(np.eye(labels), (many, 1)), -np.tile(np.eye(labels), (many, 1))])
    upper = np.hstack([q, -np.vstack([np.eye(gaps), np.eye(gaps)]), np.zeros((2 * gaps, 1))])
    right = np.concatenate([rows.ravel(), -rows.ravel()])
    cost = np.zeros(labels + gaps + 1)
    if weights is None:
        each = np.hstack(
            [
                np.zeros((many, labels)),
                np.kron(np.eye(many), np.full(labels, 0.5)),
                -np.ones((many, 1)),
            ]
        )
        upper, right = np.vstack([upper, each]), np.append(right, np.zeros(many))
        cost[-1] = 1.0
    else:
        cost[labels:-1] = 0.5 * np.repeat(weights, labels)
    total = np.append(np.ones(labels), np.zeros(gaps + 1))[None]
    assert signs.shape[0] == len(right) - (many if weights is None else 0)
    return linprog(cost, upper, right, total, [1.0], bounds=(0, None)).fun


def uniform_sets(labels, first):
    """The vertices of the rows whose most probable label is `first`: uniform on sets that contain it."""
    for size in range(labels):
        for others in itertools.combinations([a for a in range(labels) if a != first], size):
            row = np.zeros(labels)
            row[[first, *others]] = 1.0 / (size + 1)
            yield row


@pytest.mark.parametrize("labels", [2, 3, 4, 5, 6])
def test_the_floor_of_greedy_labels_is_the_value_of_the_game(labels):
    rows = np.array(list(uniform_sets(labels, 0)))
    assert floor(labels) == pytest.approx(least_maximum(rows), abs=1e-9)
    limit = kt.minimax_risk("argmax", 1, labels, 3)
    assert limit.exact
    assert limit.lower == floor(labels)


@pytest.mark.parametrize("labels", [1, 2, 3, 10, 17, 50, 1000])
def test_the_floor_in_closed_form(labels):
    j = np.arange(1.0, labels + 1.0)
    brute = ((j - 1) * (labels - 1) / (j * np.maximum(labels + j - 2, 1))).max()
    assert floor(labels) == pytest.approx(brute, rel=1e-14, abs=0)
    for unvisited in (0.001, 0.2, 0.9):
        inputs, n = 30, round(-30 * math.log(unvisited))
        phi = unvisited_mass(inputs, n).value
        share = (
            (labels - 1)
            / (j * np.maximum(labels + j - 2, 1))
            * (j - 1 + phi * (labels - j) / labels)
        )
        assert argmax_bounds(inputs, labels, n)[0] == pytest.approx(
            share.max(), rel=1e-13, abs=1e-300
        )
    if math.isqrt(labels - 1) ** 2 == labels - 1:
        assert floor(labels) == pytest.approx(
            (labels - 1) / (1 + math.sqrt(labels - 1)) ** 2, rel=1e-14
        )


@pytest.mark.parametrize(("labels", "size"), [(4, 2), (4, 3), (5, 3)])
def test_the_bayes_risk_below_is_that_of_the_prior(labels, size):
    """Point masses with probability w, else uniform on `size` labels, the greedy one among them at random: by LP."""
    w = (size - 1) / (labels + size - 2)
    points = [(w / labels, np.eye(labels)[a], a) for a in range(labels)]
    sets = [row for row in uniform_sets(labels, 0) if np.count_nonzero(row) == size]
    spread = (1 - w) / labels / len(sets)
    for first, row in itertools.product(range(labels), sets):
        points.append((spread, np.roll(row, first), first))
    weight, rows, first = (np.array(part) for part in zip(*points, strict=True))
    assert weight.sum() == pytest.approx(1.0)
    blind = least_maximum(rows, weight)
    told = sum(least_maximum(rows[first == a], weight[first == a]) for a in range(labels))
    value = (size - 1) * (labels - 1) / (size * (labels + size - 2))
    assert told == pytest.approx(value, abs=1e-9)
    gain = (labels - 1) * (labels - size) / (labels * size * (labels + size - 2))
    assert blind == pytest.approx(value + gain, abs=1e-9)
    for inputs, n in ((2, 1), (9, 6)):
        phi = unvisited_mass(inputs, n).value
        assert argmax_bounds(inputs, labels, n)[0] >= phi * blind + (1 - phi) * told - 1e-9


@pytest.mark.parametrize(("inputs", "labels", "n"), [(1, 5, 4), (3, 4, 2), (8, 10, 20), (5, 2, 9)])
def test_the_hedged_student_never_exceeds_the_limit_and_attains_it(inputs, labels, n):
    limit = kt.minimax_risk("argmax", inputs, labels, n)
    assert kt.exact_risk(limit.teacher, "argmax_hedged", n) == pytest.approx(limit.upper, rel=1e-12)
    for size in range(1, labels + 1):
        row = np.append(np.full(size, 1 / size), np.zeros(labels - size))
        teacher = kt.Teacher(np.tile(row, (inputs, 1)))
        assert kt.exact_risk(teacher, "argmax_hedged", n) <= limit.upper + 1e-12
        if size == labels > 2:
            assert kt.exact_risk(teacher, "argmax", 10**6) > limit.lower
    for scale in (0.05, 1.0, 30.0):
        teacher = kt.Teacher(
            RNG.dirichlet(np.full(labels, scale), inputs), RNG.dirichlet(np.ones(inputs))
        )
        assert kt.exact_risk(teacher, "argmax_hedged", n) <= limit.upper + 1e-12


def test_greedy_labels_need_no_less_than_what_reveals_more():
    for inputs, labels, n in itertools.product((1, 4, 200), (2, 3, 60), (0, 1, 3000)):
        found = kt.minimax_risk("argmax", inputs, labels, n)
        more = kt.minimax_risk("top_k_only", inputs, labels, n, k=1)
        assert found.lower >= more.lower * (1 - 1e-12)
        assert found.upper >= more.upper * (1 - 1e-6)
        assert found.upper <= 1 - 1 / labels
        assert kt.minimax_risk(access.ARGMAX, inputs, labels, n).lower == found.lower


# Non-target parts


def powers(row, k, x):
    """E[|x - p_a|; one label a in k visits]."""
    return float((row**k * np.abs(x - row)).sum())


@pytest.mark.parametrize("labels", few_quick([3, 4, 30], [3, 4]))
def test_what_rows_of_one_seen_label_cost(labels):
    """The bound holds on many rows; the first three are attained or nearly so, and no other x does better at k = 1."""
    rows = [RNG.dirichlet(np.full(labels, a)) for a in (0.05, 0.3, 1, 10) for _ in range(60)]
    for h in np.linspace(0, 1, 201):
        rows.append(np.append([h, 1 - h], np.zeros(labels - 2)))
        rows.append(np.append([h], np.full(labels - 1, (1 - h) / (labels - 1))))
        for m in range(2, labels):
            rows.append(np.append(np.full(m, h / m), np.full(labels - m, (1 - h) / (labels - m))))
    for k, x in ((1, 0.5 * (1 + 1 / labels)), (2, TWICE), (3, 1.0), (4, 1.0), (7, 1.0), (40, 1.0)):
        worst = max(powers(row, k, x) for row in rows)
        bound = one_label_loss(labels, np.array([k]))[0]
        assert worst <= bound + 1e-12
        assert worst > 0.7 * bound
        if k <= 3:
            assert worst == pytest.approx(bound, rel=1e-9)
        assert max(powers(row, k, x - 0.05) for row in rows) > worst or k > 1
        assert max(powers(row, k, x + 0.05) for row in rows) > worst or k > 1
    assert one_label_loss(labels, np.array([0]))[0] == 1 - 1 / labels


def test_one_visit_costs_half_of_everything_below():
    """A uniform row or one of nearly all mass on one label, a fair coin: both look alike, whatever is answered."""
    labels, tiny = 5, 1e-9
    rows = np.full((labels, labels), tiny / (labels - 1))
    np.fill_diagonal(rows, 1 - tiny)
    flat = np.full(labels, 1 / labels)
    shown = access.NON_TARGET.reveal(np.eye(labels)[:1], flat[None])
    np.testing.assert_allclose(
        access.NON_TARGET.reveal(np.eye(labels)[:1], rows[:1]), shown, atol=1e-15
    )
    seen_heavy, seen_flat = 0.5 * rows[:, 0] / labels, np.array([0.5 / labels])
    value = labels * least_maximum(np.vstack([rows, flat]), np.append(seen_heavy, seen_flat))
    found = kt.minimax_risk("non_target", 1, labels, 1)
    assert found.exact
    assert found.lower == pytest.approx(value, abs=1e-8)
    assert found.lower == 0.5 * (1 - 1 / labels)


@pytest.mark.parametrize("n", [2, 3, 8, 20])
def test_one_input_is_a_coin(n):
    coin, found = kt.minimax_risk("hard", 1, 2, n), kt.minimax_risk("non_target", 1, 7, n)
    assert found.exact
    assert (found.lower, found.upper) == (coin.lower, coin.upper)
    assert found.teacher.labels == 7
    assert (found.teacher.classes.rows > 0).sum() == 2


def test_two_labels_cost_more_than_three_after_every_number_of_visits():
    visits = np.array([2, 3, 4, 5, 10, 30, 100, 1000])
    for k in visits:
        assert one_label_loss(3, np.array([k]))[0] < kt.minimax_risk("hard", 1, 2, int(k)).lower
    rows = non_target_rows(6, np.arange(40.0))
    assert (np.diff(rows) <= 0).all()
    assert rows[0] == 5 / 6
    assert rows[1] == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("inputs", "labels"), few_quick([(1, 2), (1, 3), (2, 4), (30, 50)], [(1, 2), (1, 3), (2, 4)])
)
def test_non_target_lies_between_its_neighbours(inputs, labels):
    for n in (0, 1, 2, 300) if inputs == 1 else (2,):
        found = kt.minimax_risk("non_target", inputs, labels, n)
        hard, soft = (
            kt.minimax_risk("hard", inputs, labels, n),
            kt.minimax_risk("soft", inputs, labels, n),
        )
        assert soft.lower <= found.lower * (1 + 1e-12)
        assert found.lower <= hard.upper * (1 + 1e-9)
        assert found.upper <= hard.upper * (1 + 1e-4)
        assert found.lower <= found.upper <= 1 - 1 / labels
        assert kt.minimax_risk(access.NON_TARGET, inputs, labels, n).upper == found.upper
        if labels == 2:
            assert (found.lower, found.upper) == (hard.lower, hard.upper)
        if found.teacher is not None:
            assert (found.teacher.inputs, found.teacher.labels) == (inputs, labels)


@pytest.mark.long
def test_many_samples_are_as_good_as_two_hard_labels():
    """sqrt(S / (2 pi n)), free of A, within 3 %; partial labels of a thousand labels need far more."""
    found = kt.minimax_risk("non_target", 50, 1000, 50 * 2000)
    assert found.upper < 1.015 * found.lower
    assert found.upper == pytest.approx(math.sqrt(1 / (2 * math.pi * 2000)), rel=0.03)
    assert kt.minimax_risk("partial", 50, 1000, 50 * 200).lower > 2 * found.upper


@pytest.mark.parametrize(("inputs", "labels", "n"), [(3, 3, 4), (6, 8, 30), (1, 4, 12)])
def test_the_named_student_is_close_to_the_limit(inputs, labels, n):
    """The student's risk on many teachers: below 1.6 times the limit, and above it on the worst of two labels."""
    limit = kt.minimax_risk("non_target", inputs, labels, n)
    worst = 0.0
    for scale, _ in itertools.product((0.05, 0.3, 3.0), range(20)):
        worst = max(
            worst,
            kt.exact_risk(
                kt.Teacher(RNG.dirichlet(np.full(labels, scale), inputs)), "non_target", n
            ),
        )
    coin = np.tile(np.append([0.5, 0.5], np.zeros(labels - 2)), (inputs, 1))
    worst = max(worst, kt.exact_risk(kt.Teacher(coin), "non_target", n))
    assert limit.lower * 0.8 < worst < 1.6 * limit.upper
