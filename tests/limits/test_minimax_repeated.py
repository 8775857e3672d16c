"""Several labels per query: against enumeration of clustered draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from grids import few_quick

from kt_theory.access import HARD, PARTIAL
from kt_theory.limits.bunched import bunched_bayes_risk, flat_rows_risk
from kt_theory.limits.limit import Limit
from kt_theory.minimax import minimax_risk


def clustered_risk(pi: np.ndarray, rho: np.ndarray, n: int, m: int, student: str) -> float:
    """Expected loss after n queries with m labels each, by drawing every visit count and every row of labels."""
    labels, total = pi.shape[1], 0.0
    for s, row in enumerate(pi):
        for k in range(n + 1):
            visits = float(
                len(list(itertools.combinations(range(n), k)))
                * rho[s] ** k
                * (1 - rho[s]) ** (n - k)
            )
            loss = 0.0
            for drawn in itertools.product(range(labels), repeat=k * m):
                counts = np.bincount(drawn, minlength=labels) if drawn else np.zeros(labels)
                if student == "add one half":
                    q = (counts + 0.5) / (counts.sum() + 0.5 * labels)
                else:
                    hidden = counts == 0
                    q = np.where(hidden, row[hidden].sum() / max(hidden.sum(), 1), row)
                loss += float(np.prod(row[list(drawn)])) * 0.5 * float(np.abs(q - row).sum())
            total += rho[s] * visits * loss
    return total


def limit_of(access: str, inputs: int, labels: int, n: int, m: int) -> Limit:
    return minimax_risk(access, inputs, labels, n, labels_per_query=m)


@pytest.mark.parametrize("access", ["hard", "partial"])
def test_one_input_is_as_many_samples(access: str) -> None:
    found, plain = limit_of(access, 1, 4, 3, 2), minimax_risk(access, 1, 4, 6)
    assert (found.lower, found.upper, found.n) == (plain.lower, plain.upper, 3)
    assert limit_of(access, 1, 4, 0, 3).lower == pytest.approx(0.75)
    assert limit_of(access, 5, 4, 9, 1).lower == minimax_risk(access, 5, 4, 9).lower
    level = HARD if access == "hard" else PARTIAL
    assert (
        minimax_risk(level, 5, 4, 9, labels_per_query=2).upper == limit_of(access, 5, 4, 9, 2).upper
    )


def test_two_partial_labels_lose_unvisited_rows_only() -> None:
    for m in (1, 2, 50):
        limit = limit_of("partial", 7, 2, 20, m)
        assert limit.exact
        assert limit.lower == minimax_risk("soft", 7, 2, 20).lower


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "m"),
    few_quick(
        [(2, 3, 2, 2), (2, 3, 3, 2), (3, 3, 2, 2), (2, 4, 1, 4), (2, 3, 1, 3)],
        [(2, 3, 2, 2), (3, 3, 2, 2), (2, 4, 1, 4), (2, 3, 1, 3)],
    ),
)
def test_partial_labels_against_every_draw(inputs: int, labels: int, n: int, m: int) -> None:
    limit, rng = limit_of("partial", inputs, labels, n, m), np.random.default_rng(0)
    for _ in range(12):
        pi = rng.dirichlet(np.full(labels, rng.choice([0.2, 1.0])), size=inputs)
        rho = rng.dirichlet(np.full(inputs, 2.0))
        assert clustered_risk(pi, rho, n, m, "sel") <= limit.upper + 1e-12
    value, teacher = flat_rows_risk(inputs, labels, n, m)
    dense = teacher.expand()
    exact = clustered_risk(dense.pi, dense.rho, n, m, "sel")
    assert value <= exact + 1e-12
    assert value >= 0.9 * exact
    assert limit.lower >= value - 1e-15
    assert limit.lower >= minimax_risk("soft", inputs, labels, n).lower


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "m"),
    few_quick(
        [(2, 2, 2, 2), (2, 2, 3, 3), (3, 2, 2, 3), (2, 3, 2, 2)], [(2, 2, 2, 2), (3, 2, 2, 3)]
    ),
)
def test_the_bayes_risk_of_hard_labels_is_below_a_students_worst_case(
    inputs: int, labels: int, n: int, m: int
) -> None:
    limit, grid = limit_of("hard", inputs, labels, n, m), np.linspace(0, 1, 21)
    rows = [np.array([p, *[(1 - p) / (labels - 1)] * (labels - 1)]) for p in grid]
    even = np.full(inputs, 1 / inputs)
    worst = max(
        clustered_risk(np.tile(row, (inputs, 1)), even, n, m, "add one half") for row in rows
    )
    assert bunched_bayes_risk(inputs, labels, n, m) <= worst
    assert 0 < limit.lower <= limit.upper
    assert limit.lower <= worst


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick(
        [(2, 3, 5), (5, 4, 30), (10, 25, 100), (1000, 5, 10), (10**6, 8, 10**8)], [(2, 3, 5)]
    ),
)
def test_more_labels_per_query_never_hurt_and_soft_labels_bound_them(
    inputs: int, labels: int, n: int
) -> None:
    soft = minimax_risk("soft", inputs, labels, n).lower
    for access in ("hard", "partial"):
        before = minimax_risk(access, inputs, labels, n)
        for m in (2, 20):
            limit = limit_of(access, inputs, labels, n, m)
            assert soft * (1 - 1e-12) <= limit.lower <= limit.upper <= before.upper * (1 + 1e-12)
            assert limit.upper <= 2.2 * limit.lower
            before = limit
        partial = limit_of("partial", inputs, labels, n, 20)
        assert partial.lower <= limit_of("hard", inputs, labels, n, 20).lower * (1 + 1e-12)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="labels_per_query = 0: must be at least 1"):
        limit_of("hard", 2, 3, 4, 0)
    with pytest.raises(ValueError, match="labels_per_query is given: access 'soft'"):
        limit_of("soft", 2, 3, 4, 2)
    with pytest.raises(ValueError, match="n \\* labels_per_query"):
        limit_of("hard", 2, 3, 2**50, 2**10)
