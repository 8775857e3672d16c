"""The rows that minimise each objective, against its loss written out once more: by search around
them, by a solver of convex problems, and over whole sets of minimisers.
"""

from __future__ import annotations

import numpy as np
import pytest
from objective_oracles import LOSSES, OBJECTIVES, SETS, SMOOTH, K, top_of
from scipy.optimize import minimize
from scipy.special import entr

import kt_theory as kt
from kt_theory import objectives
from kt_theory.access import label_ranks
from kt_theory.catalogue import OBJECTIVES as ENTRIES
from kt_theory.objectives.objective import kinds
from kt_theory.students.minimiser import minimiser

LABELS = 5
SOLVED = 1e-6
"""The solver has not ended where it is further above what is written."""
CANDIDATES = 120


def random_rows(number, seed, labels=LABELS):
    """Rows of three kinds: uneven, even over the simplex, and nearly uniform."""
    rng = np.random.default_rng(seed)
    concentration = rng.choice([0.4, 1.0, 8.0], number)
    rows = np.array([rng.dirichlet(np.full(labels, c)) for c in concentration])
    rows = np.maximum(rows, 1e-6)
    return rows / rows.sum(axis=1, keepdims=True)


def candidates(rng, written):
    """Rows around those written, (S, M, A): mixtures with others, and transfers between two labels."""
    number, labels = written.shape
    steps = 10.0 ** rng.uniform(-4.0, 0.0, (number, CANDIDATES, 1))
    others = rng.dirichlet(np.full(labels, 0.5), (number, CANDIDATES))
    mixed = (1.0 - steps) * written[:, None, :] + steps * others
    moved = np.repeat(written[:, None, :], CANDIDATES, axis=1)
    giver = rng.integers(labels, size=(number, CANDIDATES, 1))
    taker = (giver + rng.integers(1, labels, size=giver.shape)) % labels
    given = steps * np.take_along_axis(moved, giver, axis=2)
    np.put_along_axis(moved, giver, np.take_along_axis(moved, giver, axis=2) - given, axis=2)
    np.put_along_axis(moved, taker, np.take_along_axis(moved, taker, axis=2) + given, axis=2)
    return np.concatenate([mixed, moved], axis=1)


def improvements(name, written, rows, seed):
    """By how much the best candidate is better than what is written, for each row: (S,)."""
    found = candidates(np.random.default_rng(seed), written)
    here = LOSSES[name](rows, written)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = LOSSES[name](rows[:, None, :], found)
    finite = np.where(np.isinf(here), 0.0, here)
    return np.where(np.isinf(here), np.inf, finite - np.nanmin(there, axis=1))


NUMBERS = [20, pytest.param(200, marks=pytest.mark.long)]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_row_near_or_far_has_a_smaller_loss(name, number):
    rows = random_rows(number, 1)
    written = OBJECTIVES[name].written(rows)
    assert improvements(name, written, rows, 2).max() <= 1e-12


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_that_is_off_by_a_hundredth_is_found_out(name):
    rows = random_rows(8, 3)
    written = OBJECTIVES[name].written(rows)
    off = 0.99 * written + 0.01 * np.roll(np.eye(LABELS)[rows.argmin(axis=1)], 1, axis=1)
    assert improvements(name, off, rows, 4).max() > 1e-9


def solved(name, row):
    """The minimum by sequential quadratic programming over the simplex, from the uniform row."""
    found = minimize(
        lambda q: float(LOSSES[name](row, q)),
        np.full(LABELS, 1.0 / LABELS),
        method="SLSQP",
        bounds=[(1e-12, 1.0)] * LABELS,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    q = np.maximum(found.x, 0.0)
    return q / q.sum()


@pytest.mark.parametrize("number", [1, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_solver_of_convex_problems_ends_at_the_same_row(name, number):
    rows = random_rows(number, 5)
    written = OBJECTIVES[name].written(rows)
    ended = 0
    for row, mine in zip(rows, written, strict=True):
        other = solved(name, row)
        left = LOSSES[name](row, other) - LOSSES[name](row, mine)
        assert left >= -1e-9
        if left > SOLVED:
            continue
        ended += 1
        alone = OBJECTIVES[name].unique(row[None, :])[0]
        known = np.full(LABELS, True) if alone else top_of(row)
        np.testing.assert_allclose(mine[known], other[known], atol=5e-3)
    assert ended >= 0.95 * number


def entropy(rows):
    return entr(rows).sum(axis=-1)


LARGEST_ENTROPY = {name for name in SETS if name.startswith(("pairwise", "forward_", "reverse_"))}
"""Objectives whose student writes the member of largest entropy."""


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", SETS)
def test_every_member_of_a_set_has_the_least_loss_and_none_is_further_than_is_said(name, number):
    rng = np.random.default_rng(6)
    objective = OBJECTIVES[name]
    rows = random_rows(number, 7)
    written, least, most = (
        part(rows) for part in (objective.written, objective.least, objective.most)
    )
    for i, row in enumerate(rows):
        members = SETS[name](rng, row, 300)
        np.testing.assert_allclose(members.sum(axis=1), 1.0, atol=1e-12)
        loss = LOSSES[name](row, members[(members > 0.0).all(axis=1)])
        wanted = LOSSES[name](row, written[i])
        assert np.abs(loss - wanted).max(initial=0.0) < 1e-7
        away = 0.5 * np.abs(members - row).sum(axis=1)
        assert away.max() <= most[i] + 1e-9
        assert away.max() >= most[i] - 0.02
        assert away.min() >= least[i] - 1e-9
        if name in LARGEST_ENTROPY:
            assert entropy(members).max() <= entropy(written[i]) + 1e-9
        assert least[i] <= kt.total_variation(written[i], row) + 1e-12
        assert kt.total_variation(written[i], row) <= most[i] + 1e-12
    if name != "pairwise(1)":
        near = [0.5 * np.abs(SETS[name](rng, row, 300) - row).sum(axis=1).min() for row in rows]
        assert np.abs(near - least).max() < 0.02
    assert not objective.unique(rows).any()


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in SETS])
def test_where_the_minimiser_is_unique_other_rows_have_more(name):
    rng = np.random.default_rng(8)
    rows = random_rows(20, 9)
    objective = OBJECTIVES[name]
    written = objective.written(rows)
    assert objective.unique(rows).all()
    np.testing.assert_array_equal(objective.least(rows), objective.most(rows))
    others = rng.dirichlet(np.ones(LABELS), (len(rows), 500))
    others[:, :250] = 0.97 * written[:, None, :] + 0.03 * others[:, :250]
    away = 0.5 * np.abs(others - written[:, None, :]).sum(axis=-1)
    with np.errstate(divide="ignore"):
        more = LOSSES[name](rows[:, None, :], others) - LOSSES[name](rows, written)[:, None]
    assert (more[away > 3e-3] > 0.0).all()


def nearest_in_order(row, margin):
    """The least total variation to the rows in order, over mixtures of the vertices, by a fine
    search with shrinking steps.
    """
    rng = np.random.default_rng(10)
    order = np.argsort(-row)
    weights = np.tril(np.exp(-margin * np.arange(row.size)) * np.ones((row.size, row.size)))
    vertices = weights / weights.sum(axis=1, keepdims=True)
    best = np.full(row.size, 1.0 / row.size)
    for step in 0.9 ** np.arange(150):
        others = rng.dirichlet(np.full(row.size, 0.3), 300)
        tried = np.concatenate([best[None, :], best + step * (others - best)])
        away = 0.5 * np.abs(tried @ vertices - row[order]).sum(axis=1)
        best = tried[away.argmin()]
    return away.min()


@pytest.mark.parametrize("number", [2, pytest.param(30, marks=pytest.mark.long)])
def test_the_nearest_row_in_order_is_that_of_a_search(number):
    rows = random_rows(number, 11)
    for row, least in zip(rows, objectives.pairwise(0.7).least(rows), strict=True):
        found = nearest_in_order(row, 0.7)
        assert least - 1e-7 <= found <= least + 0.01


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_the_nearest_row_in_order_is_the_written_one_where_they_cross_once(margin):
    """Every row of the set majorises the written row g, so none is nearer than the largest sum of
    the first entries of g - p; where g and p cross once that is TV(g, p).
    """
    rows = -np.sort(-random_rows(20, 13), axis=1)
    objective = objectives.pairwise(margin)
    ahead = objective.written(rows) - rows
    bound = np.maximum(np.cumsum(ahead, axis=1).max(axis=1), 0.0)
    least = objective.least(rows)
    assert (least >= bound - 1e-7).all()
    once = (np.diff(np.sign(ahead), axis=1) != 0).sum(axis=1) == 1
    once &= ahead[:, 0] > 0.0
    assert once.sum() >= 3
    away = kt.total_variation(rows + ahead, rows)
    np.testing.assert_allclose(least[once], away[once], atol=1e-7)


def test_a_long_row_is_cut_where_the_rest_no_longer_counts():
    """A Zipf row and its written row cross once, and the latter is below 10^-19 from label 45 on."""
    row = kt.teachers.zipf(1, 300).pi
    objective = objectives.pairwise(1)
    ahead = objective.written(row) - row
    assert (np.diff(np.sign(ahead[0])) != 0).sum() == 1
    wanted = kt.total_variation(row + ahead, row)
    np.testing.assert_allclose(objective.least(row), wanted, atol=1e-9)


AWKWARD = np.array(
    [
        [0.4, 0.3, 0.2, 0.1, 0.0],
        [0.2, 0.2, 0.2, 0.2, 0.2],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.25, 0.25, 0.25, 0.25],
        [0.3, 0.1, 0.3, 0.3, 0.0],
    ]
)
"""Zeros, ties, a uniform row, a point mass."""

E = np.exp(-1.0)


@pytest.mark.parametrize(
    ("objective", "away"),
    [
        (objectives.forward_kl_top(1), [0.6, 0.8, 0.0, 0.75, 0.7]),
        (objectives.reverse_kl_top(4), [0.0, 0.2, 0.0, 0.0, 0.0]),
        (objectives.forward_kl_truncated(2), [0.3, 0.6, 0.0, 0.5, 0.4]),
        (objectives.forward_kl_tail(1), [0.2, 0.0, 0.0, 0.1875, 0.25]),
        (objectives.reverse_kl_tail(2), [0.1, 0.0, 0.0, 1 / 6, 1 / 6]),
        (objectives.forward_kl_tail(4), [0.0, 0.0, 0.0, 0.0, 0.0]),
        (
            objectives.reverse_kl_truncated(4),
            [1 - E, 0.8 * (1 - E), 1 - E, 1 - E, 1 - E],
        ),
        (
            objectives.reverse_kl_truncated(2),
            [
                0.7 * (1 - E),
                0.4 * (1 - E),
                1 - E,
                0.5 * (1 - E) + 2 * max(0.25 - (1 - 0.5 * E) / 3, 0.0),
                0.6 * (1 - E) + max(0.3 - (1 - 0.6 * E) / 3, 0.0),
            ],
        ),
        (
            objectives.forward_kl_within(4),
            [
                1 / (1 + 0.4**-0.4 * 0.3**-0.3 * 0.2**-0.2 * 0.1**-0.1),
                0.0,
                0.5,
                0.2,
                1 / (1 + 0.3**-0.9 * 0.1**-0.1),
            ],
        ),
        (objectives.label_smoothing(0.5), [0.15, 0.0, 0.4, 0.1, 0.15]),
        (objectives.ce_weighted(1), [4 / 30, 0.0, 0.0, 0.0, 0.1 - 1 / 28]),
        (objectives.correlation(), [0.15, 0.0, 0.4, 0.1, 0.15]),
        (objectives.sorted_distance(), [0.0, 0.0, 1.0, 0.25, 0.2]),
    ],
    ids=repr,
)
def test_biases_at_awkward_rows(objective, away):
    """Closed forms by hand: 1 - P for what is renormalised, (1-1/e) P and what the shares lack."""
    found = kt.total_variation(objective.written(AWKWARD), AWKWARD)
    np.testing.assert_allclose(found, away, atol=1e-9)
    for row, bias in zip(AWKWARD, found, strict=True):
        said = objective.minimisers(row)
        assert said.least <= bias + 1e-12
        assert bias <= said.most + 1e-12
        np.testing.assert_allclose(said.written.sum(), 1.0)


ENDS = [k for k in (1, LABELS - 1, LABELS, LABELS + 3)]
TOPS = [
    getattr(objectives, name)
    for name in objectives.__all__
    if name.startswith(("forward_kl_", "reverse_kl_"))
]


@pytest.mark.parametrize("k", ENDS)
@pytest.mark.parametrize("make", TOPS, ids=lambda make: make.__name__)
def test_students_write_what_is_said_at_every_k(make, k):
    check_student(make(k))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_students_write_what_is_said(name):
    check_student(OBJECTIVES[name])


def check_student(objective):
    """The rule and the closed form, which share no code, on rows seen as often as they say."""
    rows = np.concatenate([AWKWARD, random_rows(3, 12)])
    student = kt.students.minimiser(objective, "soft")
    assert student.name == f"minimiser({objective.name})"
    assert student.access == objective.needs
    counts = np.rint(rows * 2.0**40).astype(np.int64)
    shown = student.access.reveal(counts, rows)
    table = student.table(student.access.seen_counts(counts, rows), shown)
    np.testing.assert_allclose(table, objective.written(rows), atol=1e-9)
    unseen = student.table(0 * counts, student.access.reveal(0 * counts, rows))
    np.testing.assert_allclose(unseen, 1.0 / LABELS)


def test_beyond_all_labels_the_objectives_on_the_most_probable_ones_are_on_all():
    for make in TOPS:
        for objective in (make(LABELS), make(LABELS + 3)):
            np.testing.assert_array_equal(objective.written(AWKWARD), AWKWARD)
            assert objective.unique(AWKWARD).all()
            assert objective.worst(LABELS).value == objective.widest(LABELS).value == 0.0


def test_ties_are_broken_as_answers_break_them():
    kept = objectives.forward_kl_top(K).written(AWKWARD) > 0.0
    np.testing.assert_array_equal(kept, (label_ranks(AWKWARD) < K) & (AWKWARD > 0.0))


def test_every_objective_of_the_catalogue_is_tested_here():
    tested = {name.partition("(")[0] for name in OBJECTIVES}
    assert tested == {name for name in LOSSES for name in [name.partition("(")[0]]} == set(ENTRIES)
    assert len(ENTRIES) >= 16
    assert {type(each) for each in OBJECTIVES.values()} == set(kinds())


def test_values_are_equal_by_content():
    assert objectives.forward_kl_top(3) == objectives.forward_kl_top(3)
    assert objectives.forward_kl_top(3) != objectives.reverse_kl_top(3)
    assert objectives.forward_kl_top(3) != objectives.forward_kl_top(4)
    assert minimiser("tv") == minimiser(objectives.tv())
    assert len({objectives.js(), objectives.js(0.5), objectives.js(0.1)}) == 2
