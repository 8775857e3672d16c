"""More access never raises the minimax risk, and the brackets say so: data processing across the access levels."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import pytest
from grids import few_quick, grid

from kt_theory.limits.hard.bracket import CROSSING
from kt_theory.limits.hard.interval import hard_limit
from kt_theory.limits.limit import Limit
from kt_theory.minimax import minimax_risk

ROUNDING = 1e-12
SEARCHED = 1e-5
"""How far certified upper bounds may lie above the truth that neighbouring levels share."""


def chain(inputs: int, labels: int, n: int) -> list[Limit]:
    """The limits from least to most access: partial labels, top-k for growing k, soft labels."""
    tops = sorted({k for k in (0, 1, 2, labels // 2, labels - 2, labels - 1) if 0 <= k < labels})
    found = [minimax_risk("partial", inputs, labels, n)]
    found += [minimax_risk("top_k", inputs, labels, n, k=k) for k in tops]
    return [*found, minimax_risk("soft", inputs, labels, n)]


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    grid(
        [1, 2, 1000],
        [3, 4, 6, 30],
        [0, 1, 5, 40, 10**5],
        quick=[
            *[(1, 3, 5), (1, 4, 1), (1, 6, 40), (1, 30, 10**5), (1, 30, 5)],
            *[(2, 3, 1), (2, 4, 5), (2, 30, 0), (1000, 3, 10**5)],
        ],
    ),
)
def test_brackets_fall_with_access(inputs: int, labels: int, n: int) -> None:
    limits = chain(inputs, labels, n)
    for less, more in itertools.pairwise(limits):
        assert more.lower <= less.lower * (1.0 + ROUNDING), (less, more)
        assert more.upper <= less.upper * (1.0 + SEARCHED), (less, more)
    edgeless = minimax_risk("gradient", labels=labels, n=n, graph=nx.empty_graph(min(inputs, 7)))
    path = minimax_risk("gradient", labels=labels, n=n, graph=nx.path_graph(min(inputs, 7)))
    assert path.upper <= edgeless.lower * (1.0 + ROUNDING)
    if inputs <= 7:
        assert edgeless.lower == pytest.approx(limits[-1].lower, rel=1e-12)


@pytest.mark.parametrize(
    ("inputs", "labels", "ratio"),
    grid(
        [1, 2, 300],
        [3, 4, 10, 100],
        [0.0, 0.02, 0.1, 0.2, 0.3, CROSSING, 0.5],
        quick=[
            *[(1, 3, 0.3), (1, 10, 0.1), (1, 100, 0.02), (1, 100, 0.2), (1, 4, 0.5)],
            *[(2, 4, 0.2), (2, 10, CROSSING), (2, 3, 0.0), (300, 3, 0.3)],
        ],
    ),
)
def test_hard_labels_are_never_below_partial_labels(inputs: int, labels: int, ratio: float) -> None:
    n = math.ceil(inputs * labels * ratio)
    hard, partial = (
        minimax_risk("hard", inputs, labels, n),
        minimax_risk("partial", inputs, labels, n),
    )
    assert hard.lower >= partial.lower * (1.0 - ROUNDING), (hard, partial)
    assert hard.upper >= partial.lower
    assert hard.upper >= hard.lower


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick([(1, 15, 1), (1, 100, 3), (2, 100, 8), (30, 10, 15)], [(1, 15, 1), (1, 100, 3)]),
)
def test_the_worst_teacher_of_partial_labels_serves_hard_labels(
    inputs: int, labels: int, n: int
) -> None:
    alone, raised = hard_limit(inputs, labels, n), minimax_risk("hard", inputs, labels, n)
    partial = minimax_risk("partial", inputs, labels, n)
    assert raised.lower == partial.lower > alone.lower * 1.02
    assert raised.upper == alone.upper
    assert (raised.access, raised.inputs, raised.labels, raised.n) == ("hard", inputs, labels, n)
    assert raised.teacher is not None
    assert partial.teacher is not None
    assert (raised.teacher.classes.rows == partial.teacher.classes.rows).all()
    assert (raised.teacher.classes.rho == partial.teacher.classes.rho).all()


@pytest.mark.parametrize(("labels", "n"), [(7, 40), (15, 100), (1000, 10_000)])
def test_the_prior_keeps_its_bound_where_samples_abound(labels: int, n: int) -> None:
    assert minimax_risk("hard", 1, labels, n).lower == hard_limit(1, labels, n).lower
