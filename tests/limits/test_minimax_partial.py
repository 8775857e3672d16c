"""Partial labels and top-k: against enumeration, general optimisation and linear programmes over all students."""

from __future__ import annotations

import itertools
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from grids import few_quick, grid
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from kt_theory.limits.constants import light_labels
from kt_theory.limits.limit import Limit
from kt_theory.limits.sharing import majorant, three_labels
from kt_theory.limits.sharing.explicit import many_labels_lower
from kt_theory.limits.sharing.few_levels import FewLevels
from kt_theory.limits.sharing.majorant import many_rows_bound, one_row_bound
from kt_theory.limits.sharing.three_labels import three_labels_bound
from kt_theory.limits.soft import unvisited_mass
from kt_theory.minimax import minimax_risk

Game = tuple[int, int, int, int]  # inputs, labels, n, k

SOLVED: list[Game] = [
    (1, 3, 1, 0),
    (1, 3, 5, 0),
    (1, 3, 12, 0),
    (1, 4, 1, 0),
    (1, 4, 3, 0),
    (1, 4, 10, 0),
    (1, 5, 2, 0),
    (1, 5, 7, 0),
    (1, 6, 1, 0),
    (1, 6, 4, 0),
    (1, 6, 20, 0),
    (1, 4, 3, 1),
    (1, 5, 3, 1),
    (1, 5, 6, 2),
    (2, 2, 1, 0),
    (2, 2, 7, 0),
    (2, 3, 1, 0),
    (2, 3, 5, 0),
    (2, 3, 10, 0),
    (3, 3, 3, 0),
    (3, 3, 9, 0),
    (2, 4, 5, 0),
    (2, 3, 10, 1),
    (2, 4, 8, 1),
    (2, 4, 17, 1),
    (2, 5, 7, 1),
    (3, 3, 4, 1),
]
QUICK: list[Game] = [
    *[(1, 3, 5, 0), (1, 4, 10, 0), (1, 5, 2, 0), (1, 6, 1, 0), (1, 4, 3, 1), (1, 5, 6, 2)],
    *[(2, 2, 7, 0), (3, 3, 3, 0)],
]


@lru_cache(maxsize=16)
def subsets(labels: int) -> np.ndarray:
    return ((np.arange(2**labels)[:, None] >> np.arange(labels)) & 1).astype(float)


def row_risk(p: np.ndarray, n: int, k: int = 0) -> float:
    """Return the expected loss of one row of joint probabilities p, by the law of its set of unseen labels."""
    labels = len(p)
    sets = subsets(labels)
    chance = np.clip(1 - sets @ p, 0, 1) ** n
    index = np.arange(2**labels)
    for a in range(labels):
        without = index[(index >> a) & 1 == 0]
        chance[without] -= chance[without | (1 << a)]
    hidden = sets.copy()
    if k:
        hidden[:-1, np.argsort(-p, kind="stable")[:k]] = 0.0
    share = (hidden @ p) / np.maximum(hidden.sum(axis=1), 1)
    return float(chance @ (0.5 * (hidden * np.abs(p - share[:, None])).sum(axis=1)))


def table_risk(table: np.ndarray, n: int, k: int = 0) -> float:
    return sum(row_risk(row, n, k) for row in table)


def teacher_risk(limit: Limit, n: int, k: int = 0) -> float:
    assert limit.teacher is not None
    return sum(
        int(c) * row_risk(rho * row, n, k)
        for row, rho, c in zip(*limit.teacher.classes, strict=True)
    )


def general_maximum(inputs: int, labels: int, n: int, k: int, starts: int = 8) -> float:
    """Maximise the student's risk over all (rho, pi), from many starts, knowing nothing of the worst teacher."""
    rng = np.random.default_rng(1)
    size, best = inputs * labels, 0.0
    for _ in range(starts):
        start = rng.dirichlet(np.full(size, rng.choice([0.1, 0.3, 1.0])))
        if rng.random() < 0.5:
            start *= 0.5
            start[rng.integers(size)] += 0.5
        found = minimize(
            lambda v: -max(n, 1) * table_risk(v.reshape(inputs, labels), n, k),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * size,
            constraints={"type": "eq", "fun": lambda v: v.sum() - 1},
            options={"maxiter": 300, "ftol": 1e-15},
        )
        joint = np.clip(found.x, 0, 1)
        best = max(best, table_risk((joint / joint.sum()).reshape(inputs, labels), n, k))
    return best


def limit_of(game: Game) -> Limit:
    inputs, labels, n, k = game
    return (
        minimax_risk("top_k", inputs, labels, n, k=k)
        if k
        else minimax_risk("partial", inputs, labels, n)
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_enumeration_agrees_with_drawing_every_transfer_set(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4))
    p[:3] *= 0.8
    total = 0.0
    for n in (0, 1, 3):
        total = 0.0
        cells = [*p[:3], 1 - p[:3].sum()]
        for drawn in itertools.product(range(4), repeat=n):
            rest = np.setdiff1d(np.arange(3), drawn)
            loss = 0.5 * np.abs(p[rest] - p[rest].mean()).sum() if len(rest) else 0.0
            total += np.prod([cells[a] for a in drawn]) * loss
        assert row_risk(p[:3], n) == pytest.approx(total, abs=1e-14)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.data())
def test_rows_of_few_levels_against_the_enumeration(data: st.DataObject) -> None:
    labels = data.draw(st.integers(2, 6))
    k = data.draw(st.integers(0, labels - 1))
    family = FewLevels(labels, data.draw(st.integers(0, 14)), k)
    m = data.draw(st.integers(0, labels - max(k, 1)))
    light = family.light_labels(m)
    x = data.draw(st.floats(0, 1)) / (light + 1)
    h = x + data.draw(st.floats(0, 1)) * max(1 - (light + 1) * x, 0.0)
    row = np.zeros(labels)
    row[0], row[1 : 1 + light] = h, x
    assert family.heavy(h, m, x) == pytest.approx(row_risk(row, family.n, k), abs=1e-13)
    flat = family.flat_labels(m)
    if flat <= labels and (m or k):
        row = np.zeros(labels)
        row[:flat] = x / labels
        assert family.flat(m, x / labels) == pytest.approx(row_risk(row, family.n, k), abs=1e-13)


@pytest.mark.parametrize(("inputs", "labels", "n", "k"), few_quick(SOLVED, QUICK))
def test_a_general_maximisation_finds_the_same_worst_risk(inputs, labels, n, k) -> None:
    limit = limit_of((inputs, labels, n, k))
    brute = general_maximum(inputs, labels, n, k)
    assert limit.lower == pytest.approx(brute, rel=1e-9)
    assert brute <= limit.upper * (1 + 1e-12)
    assert teacher_risk(limit, n, k) == pytest.approx(limit.lower, rel=1e-12)


@pytest.mark.parametrize(("labels", "n"), [(2, 2), (3, 1), (3, 2), (3, 3), (3, 5), (4, 1), (4, 2)])
def test_no_student_at_all_beats_equal_sharing_on_permutations_of_the_worst_row(
    labels: int, n: int
) -> None:
    """A linear programme over every table from transcripts to rows; S = 1."""
    limit = minimax_risk("partial", 1, labels, n)
    assert limit.teacher is not None
    teachers = sorted(set(itertools.permutations(np.round(limit.teacher.classes.rows[0], 15))))
    chances: dict[tuple, dict[int, float]] = {}
    for t, pi in enumerate(teachers):
        for drawn in itertools.product([a for a in range(labels) if pi[a] > 0], repeat=n):
            key = tuple(sorted((a, pi[a]) for a in drawn))
            by = chances.setdefault(key, {})
            by[t] = by.get(t, 0.0) + float(np.prod([pi[a] for a in drawn]))
    place = {key: i * labels for i, key in enumerate(chances)}
    gaps = [(key, t, a) for key, by in chances.items() for t in by for a in range(labels)]
    first = len(chances) * labels
    size = first + len(gaps) + 1
    rows, limits = (
        np.zeros((2 * len(gaps) + len(teachers), size)),
        np.zeros(2 * len(gaps) + len(teachers)),
    )
    for g, (key, t, a) in enumerate(gaps):
        for side, sign in enumerate((1.0, -1.0)):
            rows[2 * g + side, [place[key] + a, first + g]] = sign, -1.0
            limits[2 * g + side] = sign * teachers[t][a]
        rows[2 * len(gaps) + t, first + g] = 0.5 * chances[key][t]
    rows[2 * len(gaps) :, -1] = -1.0
    sums = np.zeros((len(chances), size))
    for i in range(len(chances)):
        sums[i, i * labels : (i + 1) * labels] = 1.0
    cost = np.zeros(size)
    cost[-1] = 1.0
    solved = linprog(
        cost, A_ub=rows, b_ub=limits, A_eq=sums, b_eq=np.ones(len(chances)), bounds=(0, None)
    )
    assert solved.fun == pytest.approx(limit.lower, rel=1e-9, abs=1e-12)


def test_proved_values() -> None:
    assert minimax_risk("partial", 1, 3, 5).lower == pytest.approx(0.033544227793, abs=5e-13)
    for n in (1, 2, 5, 40, 10**6):
        assert minimax_risk("partial", 1, 3, n).lower == pytest.approx(
            unvisited_mass(2, n).value / 2, rel=1e-12
        )
        assert minimax_risk("partial", 1, 3, n).exact
        assert minimax_risk("partial", 7, 2, n).lower == pytest.approx(
            unvisited_mass(7, n).value / 2, rel=1e-12
        )
    for access in ("partial", "top_k"):
        k = {"k": 1} if access == "top_k" else {}
        assert minimax_risk(access, 4, 1, 9, **k).lower == 0.0
        assert minimax_risk(access, 4, 5, 0, **k).lower == pytest.approx(0.8, rel=1e-15)
    for k in (4, 5):
        assert minimax_risk("top_k", 3, 5, 11, k=k).lower == minimax_risk("soft", 3, 5, 11).lower
    two_hidden = minimax_risk("top_k", 1, 6, 9, k=4)
    assert two_hidden.exact
    assert two_hidden.lower == pytest.approx(0.1 * 0.9**9 / 2, rel=1e-12)
    assert minimax_risk("top_k", 1, 6, 9, k=0).lower == minimax_risk("partial", 1, 6, 9).lower


@pytest.mark.parametrize(
    ("seed", "k"), grid(range(4), [0, 1, 2], quick=[(0, 0), (1, 1), (2, 2), (3, 0)])
)
def test_upper_bounds_hold_for_random_teachers_and_a_smaller_bound_does_not(
    seed: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(6):
        inputs, labels, n = (
            int(rng.integers(1, 4)),
            int(rng.integers(3, 6)),
            int(rng.choice([1, 2, 4, 9, 30])),
        )
        if k > labels - 1:
            continue
        limit = limit_of((inputs, labels, n, k))
        for _ in range(25):
            joint = rng.dirichlet(np.full(inputs * labels, rng.choice([0.1, 0.3, 1, 10])))
            if rng.random() < 0.7:
                joint[1:] *= min(1.0, 1.2 * inputs * labels / n) * rng.random()
                joint[0] = 1 - joint[1:].sum()
            assert (
                table_risk(joint.reshape(inputs, labels), n, k) <= limit.upper * (1 + 1e-12) + 1e-15
            )
        assert teacher_risk(limit, n, k) >= 0.999 * limit.lower


def test_the_three_label_bound_is_close_and_agrees_with_the_general_one() -> None:
    for inputs, n in ((2, 1), (3, 40), (30, 10**5)):
        limit = minimax_risk("partial", inputs, 3, n)
        assert limit.width < 0.008
        assert limit.upper <= many_rows_bound(inputs, 3, n) * (1 + 1e-9)
        assert three_labels_bound(inputs, n) * 0.99 < limit.lower


def test_the_three_label_bound_holds_on_a_coarse_grid(monkeypatch) -> None:
    """There what a rectangle may hold beyond its corners decides: a tenth of it would be too little."""
    monkeypatch.setattr(three_labels, "NODES", 100)
    monkeypatch.setattr(three_labels, "BINS", 30)
    assert three_labels_bound(30, 20) >= minimax_risk("partial", 30, 3, 20).lower


@pytest.mark.parametrize(("labels", "n"), [(3, 1), (5, 4), (10, 100)])
def test_multipliers_hold_between_the_points_of_their_grid(labels: int, n: int) -> None:
    y, z = majorant._multipliers(labels, n, 1.0, 1.0)
    u = np.linspace(0.0, min(1.0, 20.0 / n), 200_001)[1:-1]
    cost = (y + z * u) / (1.0 - u) ** n
    assert (np.sqrt(y) + np.sqrt(cost) >= np.sqrt(u)).all()
    assert (np.diff(cost) >= 0.0).all()


@pytest.mark.parametrize(("labels", "n", "low", "high"), [(5, 10, 0.1, 0.3), (4, 1, 0.2, 1.0)])
def test_a_cell_of_row_masses_is_bounded_at_both_ends(labels, n, low, high) -> None:
    left, right = majorant._row_values(labels, n, 0, low, high)
    for mass, bound in ((low, left), (high, right)):
        for light in range(1, labels):
            for x in np.linspace(0.0, mass / light, 40)[1:]:
                row = np.zeros(labels)
                row[:light], row[light] = x, max(mass - light * x, 0.0)
                assert row_risk(row, n, 0) <= bound * (1 + 1e-12)


@pytest.mark.parametrize(
    ("labels", "width"),
    few_quick(
        [(5, 0.41), (10, 0.14), (30, 0.043), (100, 0.012), (1000, 0.0014)],
        [(5, 0.41), (10, 0.14), (30, 0.043), (100, 0.012)],
    ),
)
@pytest.mark.parametrize("times", [1, 10, 100])
def test_width_of_the_interval_for_one_input(labels: int, width: float, times: int) -> None:
    limit = minimax_risk("partial", 1, labels, labels * times)
    assert 0 < limit.width < width
    plain = (light_labels().value * labels + np.sqrt(2 * labels) / np.e) / (labels * times)
    assert limit.upper < plain


def test_the_one_row_bound_tends_to_the_constant() -> None:
    for labels in (2, 7, 60):
        n = 10**9
        assert n * one_row_bound(labels, n) == pytest.approx(
            (labels - 1) * light_labels().value, rel=2e-4
        )


EXPLICIT: list[Game] = [(1, 6, 8, 0), (1, 6, 8, 2), (2, 5, 20, 0), (3, 5, 4, 0), (2, 6, 9, 1)]


@pytest.mark.parametrize(("inputs", "labels", "n", "k"), EXPLICIT)
def test_the_explicit_teacher_loses_what_its_closed_form_says(
    inputs: int, labels: int, n: int, k: int
) -> None:
    value, teacher = many_labels_lower(inputs, labels, n, k)
    exact = sum(
        int(c) * row_risk(rho * row, n, k) for row, rho, c in zip(*teacher.classes, strict=True)
    )
    assert 0.3 * exact < value <= exact + 1e-14
    assert value <= limit_of((inputs, labels, n, k)).upper


@pytest.mark.parametrize(
    ("inputs", "n"),
    few_quick([(1, 10**6), (1, 5000), (2, 10**5), (100, 10**4), (100, 10**8)], [(1, 10**6)]),
)
def test_more_labels_than_the_search_can_serve(inputs: int, n: int) -> None:
    searched, explicit = (
        minimax_risk("partial", inputs, 2000, n),
        many_labels_lower(inputs, 2000, n)[0],
    )
    assert 0.998 * searched.lower < explicit
    assert explicit <= searched.upper
    for labels in (10**4 + 1, 10**6):
        limit, top = (
            minimax_risk("partial", inputs, labels, n),
            minimax_risk("top_k", inputs, labels, n, k=7),
        )
        assert limit.upper < 1.005 * limit.lower
        assert top.lower <= limit.lower * (1 + 1e-12)
        assert top.upper <= limit.upper * (1 + 1e-12)
        assert limit.lower >= minimax_risk("soft", inputs, labels, n).lower


def test_few_samples_on_many_inputs_leave_partial_labels_below_hard_ones() -> None:
    hard, partial = minimax_risk("hard", 1000, 5, 10), minimax_risk("partial", 1000, 5, 10)
    assert partial.upper <= hard.upper
    assert minimax_risk("top_k", 1000, 5, 10, k=1).upper <= partial.upper


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    grid(
        [1, 2, 10**9, 10**12],
        [1, 2, 3, 4, 100],
        [0, 1, 5, 10**3, 10**9, 2**53],
        quick=[
            *[(1, 4, 2**53), (1, 100, 5), (1, 3, 0), (2, 3, 10**9), (2, 4, 1), (2, 1, 5)],
            *[(10**9, 2, 10**3), (10**12, 2, 10**9), (10**12, 3, 2**53)],
        ],
    ),
)
def test_extreme_sizes(inputs: int, labels: int, n: int) -> None:
    for limit in (
        minimax_risk("partial", inputs, labels, n),
        minimax_risk("top_k", inputs, labels, n, k=1),
        minimax_risk("top_k", inputs, labels, n, k=min(labels, 2)),
    ):
        assert 0 <= limit.lower <= limit.upper <= 1 - 1 / labels + 1e-15
        assert limit.lower >= minimax_risk("soft", inputs, labels, n).lower * (1 - 1e-12)
        assert limit.teacher is not None
        assert limit.teacher.inputs == inputs
        assert limit.teacher.labels == labels


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    grid(
        [1, 2, 10, 1000],
        [3, 8, 40],
        [1, 10, 300, 10**5],
        quick=[
            *[(1, 3, 10), (1, 40, 300), (2, 3, 300), (2, 8, 1), (10, 8, 300), (10, 40, 10)],
            *[(10, 3, 10**5), (1000, 3, 10**5)],
        ],
    ),
)
def test_the_papers_bounds(inputs: int, labels: int, n: int) -> None:
    limit = minimax_risk("partial", inputs, labels, n)
    assert limit.lower <= limit.upper <= 1 - 1 / labels + 1e-15
    assert limit.upper <= inputs * labels / (n + 1) * (
        1 + 1e-9
    )  # Theorem 4.4 in mean, its sharper form
    if n >= inputs * (labels - 1) / 2 - 1:
        assert limit.lower >= inputs * (labels - 1) / (4 * np.e * (n + 1))  # Theorem 4.1


@settings(deadline=None, derandomize=True, max_examples=3)
@given(st.integers(1, 12), st.integers(2, 9), st.integers(0, 200), st.integers(0, 9))
def test_order_of_access_and_of_sizes(inputs: int, labels: int, n: int, k: int) -> None:
    k, slack = min(k, labels), 1 + 1e-9
    partial = minimax_risk("partial", inputs, labels, n)
    top = minimax_risk("top_k", inputs, labels, n, k=k)
    soft = minimax_risk("soft", inputs, labels, n)
    for small, large in ((soft, top), (top, partial)):
        assert small.lower <= large.lower * slack
        assert small.lower <= large.upper * slack
        assert small.upper <= large.upper * slack
    for limit in (partial, top):
        assert limit.lower <= limit.upper
    assert minimax_risk("partial", inputs, labels, n + 1).lower <= partial.lower * slack
    assert minimax_risk("partial", inputs, labels + 1, n).lower * slack >= partial.lower
    assert minimax_risk("partial", inputs + 1, labels, n).lower * slack >= partial.lower
    assert minimax_risk("top_k", inputs, labels, n + 1, k=k).lower <= top.lower * slack


def test_the_constant_over_three_decades() -> None:
    gaps = [
        abs(100 * minimax_risk("partial", 1, a, 100 * a).lower / light_labels().value - 1)
        for a in (5, 50, 500, 5000)
    ]
    assert all(small < large / 6 for large, small in pairwise(gaps))


@pytest.mark.parametrize(
    ("access", "given_arguments", "words"),
    [
        ("partial", {"inputs": 1, "labels": 10**7, "n": 1}, "at most 1000000"),
        ("partial", {"inputs": 1, "labels": 3, "n": 1, "k": 2}, "k is given"),
        ("top_k", {"inputs": 1, "labels": 3, "n": 1}, "k is missing"),
        ("top_k", {"inputs": 1, "labels": 3, "n": 1, "k": 4}, "k = 4: must be at most 3"),
        ("top_k", {"inputs": 1, "labels": 3, "n": 1, "k": 0.5}, "k = 0.5"),
    ],
)
def test_bad_input_is_named(access: str, given_arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        minimax_risk(access, **given_arguments)
