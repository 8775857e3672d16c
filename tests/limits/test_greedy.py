"""Greedy top-k: its limit against enumeration, linear programmes over all students and general maximisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from grids import few_quick, grid
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from kt_theory.access import top_k
from kt_theory.limits.greedy import top_k as greedy
from kt_theory.limits.greedy.top_k import floor, worst_row
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import unvisited_mass
from kt_theory.minimax import minimax_risk


def row_loss(p: np.ndarray, k: int) -> float:
    """What the obvious student loses on a visited row."""
    tail = np.sort(p)[::-1][k:]
    return 0.5 * float(np.abs(tail - tail.mean()).sum())


def risk(pi: np.ndarray, rho: np.ndarray, n: int, k: int) -> float:
    unvisited = (1 - rho) ** n
    far = 0.5 * np.abs(pi - 1 / pi.shape[1]).sum(axis=1)
    return float(rho @ (unvisited * far + (1 - unvisited) * [row_loss(p, k) for p in pi]))


def least(inputs: int, labels: int, n: int, k: int) -> Limit:
    return minimax_risk("top_k_only", inputs, labels, n, k=k)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.integers(2, 40), st.data())
def test_the_worst_row_is_the_worst_vertex(labels: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, labels - 1))
    q = data.draw(st.floats(0, 1))
    vertices = np.tril(np.ones((labels, labels))) / np.arange(1, labels + 1)[:, None]
    losses = [q * (1 - j / labels) + (1 - q) * row_loss(p, k) for j, p in enumerate(vertices, 1)]
    value, j = worst_row(np.array([q]), labels, k)
    assert value[0] == pytest.approx(max(losses), abs=1e-14)
    assert losses[int(j[0]) - 1] == pytest.approx(max(losses), abs=1e-14)


@pytest.mark.parametrize(("labels", "k"), [(3, 1), (4, 1), (4, 2), (5, 1), (5, 2), (6, 4)])
def test_no_decoder_beats_the_floor(labels: int, k: int) -> None:
    """A linear programme over every table from answers to rows, on all permutations of the worst row."""
    j = int(worst_row(np.zeros(1), labels, k)[1][0])
    teachers = []
    for support in itertools.combinations(range(labels), j):
        row = np.zeros(labels)
        row[list(support)] = 1 / j
        # Ties of the k most probable are broken at random: every choice of k of the support is as likely.
        teachers.append((row, [frozenset(top) for top in itertools.combinations(support, k)]))
    answers = sorted({answer for _, tops in teachers for answer in tops}, key=sorted)
    place = {answer: i * labels for i, answer in enumerate(answers)}
    pairs = [(t, top) for t, (_, tops) in enumerate(teachers) for top in tops]
    first, size = len(answers) * labels, len(answers) * labels + len(pairs) * labels + 1
    rows, limits = [], []
    for g, (t, top) in enumerate(pairs):
        for a in range(labels):
            for sign in (1.0, -1.0):
                line = np.zeros(size)
                line[place[top] + a], line[first + g * labels + a] = sign, -1.0
                rows.append(line)
                limits.append(sign * teachers[t][0][a])
    for t, (_, tops) in enumerate(teachers):
        line = np.zeros(size)
        for g, (u, _) in enumerate(pairs):
            if u == t:
                line[first + g * labels : first + (g + 1) * labels] = 0.5 / len(tops)
        line[-1] = -1.0
        rows.append(line)
        limits.append(0.0)
    sums = np.zeros((len(answers), size))
    for i in range(len(answers)):
        sums[i, i * labels : (i + 1) * labels] = 1.0
    cost = np.zeros(size)
    cost[-1] = 1.0
    solved = linprog(
        cost,
        A_ub=np.array(rows),
        b_ub=limits,
        A_eq=sums,
        b_eq=np.ones(len(answers)),
        bounds=(0, None),
    )
    assert solved.fun == pytest.approx(floor(labels, k), abs=1e-9)
    for n in (1, 7, 10**9):
        limit = least(1, labels, n, k)
        assert limit.exact
        assert limit.lower == pytest.approx(solved.fun, abs=1e-9)


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "k"),
    few_quick(
        [(2, 3, 2, 1), (2, 4, 5, 1), (3, 4, 4, 2), (4, 3, 3, 1)], [(2, 3, 2, 1), (2, 4, 5, 1)]
    ),
)
def test_a_general_maximisation_stays_in_the_bracket(
    inputs: int, labels: int, n: int, k: int
) -> None:
    limit, rng, best, size = (
        least(inputs, labels, n, k),
        np.random.default_rng(3),
        0.0,
        inputs * labels,
    )

    def value(joint: np.ndarray) -> float:
        joint = np.maximum(joint.reshape(inputs, labels), 1e-300)
        rho = joint.sum(axis=1)
        return risk(joint / rho[:, None], rho / rho.sum(), n, k)

    for _ in range(12):
        start = rng.dirichlet(np.full(size, rng.choice([0.1, 0.5])))
        found = minimize(
            lambda v: -value(v),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * size,
            constraints={"type": "eq", "fun": lambda v: v.sum() - 1},
        )
        best = max(best, value(np.clip(found.x, 0, 1)), value(start))
    assert best <= limit.upper * (1 + 1e-9)
    assert limit.teacher is not None
    rows, rho, count = limit.teacher.classes
    attained = risk(np.repeat(rows, count, axis=0), np.repeat(rho, count), n, k)
    assert attained == pytest.approx(limit.lower, rel=1e-12)
    assert best <= attained * (1 + 1e-3)
    assert limit.width < 1e-3


@pytest.mark.parametrize(
    ("inputs", "n"),
    grid(
        [2, 30, 10**6, 10**12],
        [1, 1000, 2**53],
        quick=[(2, 1000), (30, 1), (10**6, 2**53), (10**12, 1)],
    ),
)
def test_extreme_sizes_and_the_chord(inputs: int, n: int) -> None:
    for labels, k in ((3, 1), (1000, 900), (10**5, 7)):
        limit = least(inputs, labels, n, k)
        base = floor(labels, k)
        chord = base + (1 - 1 / labels - base) * unvisited_mass(inputs, n).value
        assert base <= limit.lower <= limit.upper <= chord * (1 + 1e-12)
        assert limit.upper - limit.lower <= 1e-4 * limit.upper
        assert limit.lower >= minimax_risk("soft", inputs, labels, n).lower * (1 - 1e-12)


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "k", "cells"), [(2, 3, 5, 1, 12), (30, 5, 100, 2, 40)]
)
def test_the_bound_holds_on_cells_of_any_width(monkeypatch, inputs, labels, n, k, cells) -> None:
    """On wide cells the bend of G beyond its chord decides: a quarter of it would be too little."""
    limit, base = least(inputs, labels, n, k), floor(labels, k)
    monkeypatch.setattr(greedy, "CELLS", cells)
    assert base + greedy._falling_bound(inputs, labels, n, k, base) >= limit.lower


def test_the_upper_bound_is_the_smaller_of_two() -> None:
    for inputs, labels, n, k in ((2, 3, 1, 1), (10**6, 5, 3, 2), (30, 5, 100, 2)):
        limit, base = least(inputs, labels, n, k), floor(labels, k)
        chord = base + (1 - 1 / labels - base) * unvisited_mass(inputs, n).value
        cells = base + greedy._falling_bound(inputs, labels, n, k, base)
        assert limit.upper == pytest.approx(max(limit.lower, min(chord, cells)), rel=1e-14)


def test_edges_and_refusals() -> None:
    assert least(4, 5, 0, 2).lower == pytest.approx(0.8, rel=1e-15)
    assert least(4, 5, 9, 4).lower == minimax_risk("soft", 4, 5, 9).lower
    assert least(4, 1, 9, 1).lower == 0.0
    assert minimax_risk(top_k(2, sampled=False), 3, 6, 11).lower == least(3, 6, 11, 2).lower
    assert minimax_risk(top_k(2, sampled=False), 3, 6, 11).access == "top_k_only(2)"
    with pytest.raises(ValueError, match="k is missing"):
        minimax_risk("top_k_only", 2, 3, 4)
    with pytest.raises(ValueError, match="k = 0: must be at least 1"):
        least(2, 3, 4, 0)
