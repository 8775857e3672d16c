"""floor + kappa/(n+1) + noise/sqrt(n) against what the minimax limits and the exact risks prove on their own."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from grids import few_quick, grid

import kt_theory as kt
from kt_theory import access, catalogue
from kt_theory.cli import main
from kt_theory.limits.law import Terms
from kt_theory.minimax import risk_terms

SIZES = [(1, 2), (1, 3), (3, 5), (10, 10)]
SAMPLES = [1, 5, 30, 1000, 10**6]
GREEDY = access.top_k(2, sampled=False)
EXACT = [
    access.HARD,
    access.PARTIAL,
    access.SOFT,
    access.top_k(1),
    access.top_k(3),
    GREEDY,
    access.temperature(2.0),
    access.logits(),
    access.logits(access.PARTIAL),
    access.logits(access.top_k(2)),
    access.rounded(0.3),
    access.rounded(0.3, GREEDY),
    access.quantised(3),
]
NOISY = [access.noisy(0.5), access.noisy(0.5, access.PARTIAL), access.noisy(0.5, GREEDY)]
OTHER = [
    access.ARGMAX,
    access.NON_TARGET,
    access.temperature(2.0, access.PARTIAL),
    access.rounded(0.3, access.PARTIAL),
    access.quantised(3, access.PARTIAL),
]


def cases(levels: list[access.Access], samples: list[int]) -> list[Any]:
    """Every level at every size and n; quick are one for each level, sizes and n in turn."""
    found = [
        (level, S, A, n)
        for level in levels
        for S, A in SIZES
        for n in samples
        if level.shows.top <= A or level.shows.whole
    ]
    quick = []
    for place, level in enumerate(levels):
        of_it = [case for case in found if case[0] is level and case[1:] != (10, 10, 10**6)]
        if level is access.NON_TARGET:  # 6 s for many queries of many inputs
            of_it = [case for case in of_it if case[3] < 1000]
        quick.append(of_it[3 * place % len(of_it)])
    return few_quick(found, quick)


@pytest.mark.parametrize(("level", "S", "A", "n"), cases(EXACT + NOISY + OTHER, SAMPLES))
def test_no_limit_is_above_its_terms(level: access.Access, S: int, A: int, n: int) -> None:
    terms = risk_terms(level, S, A)
    # The noise is that of the first order: its next one is of relative size 1/n.
    slack = 1e-4 if terms.noise else 1e-12
    assert kt.minimax_risk(level, S, A, n).upper <= terms.bound(n) * (1.0 + slack)


def own_student(level: access.Access, S: int, A: int) -> kt.Student:
    if not level.channel.fixed.name:
        if level.shows.top in (0, access.WHOLE_ROW):
            return kt.STUDENTS[
                {"hard": "ce_sgl", "partial": "sel_ptl", "soft": "ce_ful"}[level.name]
            ]
        return kt.students.top_k(level.shows.top, sampled=level.shows.own)
    found = catalogue.own_student(level, kt.teachers.uniform(S, A))
    assert isinstance(found, kt.Student)
    return found


@pytest.mark.parametrize(("level", "S", "A", "n"), cases(EXACT, [1, 4, 20, 300]))
def test_exact_risks_of_the_own_students_stay_below(
    level: access.Access, S: int, A: int, n: int
) -> None:
    rng = np.random.default_rng(3)
    terms, one = risk_terms(level, S, A), own_student(level, S, A)
    teachers = [
        kt.Teacher(rng.dirichlet(np.full(A, alpha), size=S), rng.dirichlet(np.full(S, 2.0)))
        for alpha in (0.1, 1, 9)
    ]
    worst = kt.minimax_risk(level, S, A, n).teacher
    for teacher in teachers + ([worst] if worst is not None else []):
        assert kt.exact_risk(teacher, one, n=n) <= terms.bound(n) * (1.0 + 1e-12)


@pytest.mark.parametrize(
    ("level", "n"),
    grid(
        EXACT + NOISY[:1],
        [10**4, 10**6],
        quick=[(level, 10**4) for level in EXACT + NOISY[:1]] + [(access.SOFT, 10**6)],
    ),
)
def test_the_terms_cannot_be_much_smaller(level: access.Access, n: int) -> None:
    """Far out the limit is of the order of the largest term.

    Whole rows that may be point masses cost (kappa-1)/(2e(n+1)) at least. Single labels do not: c2 = 0.1544 of SA/n is
    below 1/(2e) = 0.184, because a hidden label of a row is not lost whole but shared.
    """
    S, A = 10, 10
    terms, limit = risk_terms(level, S, A), kt.minimax_risk(level, S, A, n)
    if level.shows.own and level.shows.whole and level.channel.fixed.name and terms.floor:
        # Sampled labels see through a floor, which this student does not use.
        floored = own_student(level, S, A)
        steps = [
            kt.exact_risk(kt.Teacher(row), floored, n=n)
            for row in np.random.default_rng(0).dirichlet(np.ones(A), (400, 1))
        ]
        assert 0.25 * terms.floor < max(steps) <= terms.floor
    elif terms.floor:
        assert limit.lower > 0.5 * terms.floor
    elif terms.noise:
        assert limit.lower > 0.25 * terms.noise / math.sqrt(n)
    else:
        single = level.shows.own and not level.shows.whole
        assert limit.lower >= (terms.kappa - 1) / (2 * math.e * (n + 1)) * (0.7 if single else 1.0)


def test_single_labels_cost_less_than_point_masses_would() -> None:
    n = 10**6
    limit = kt.minimax_risk("partial", 10, 10, n)
    assert limit.upper < (risk_terms("partial", 10, 10).kappa - 1) / (2 * math.e * (n + 1))


@pytest.mark.parametrize(("labels", "k"), [(2, 0), (3, 0), (4, 1), (4, 2), (3, 2), (5, 1)])
def test_kappa_of_top_k_is_that_of_its_closure(labels: int, k: int) -> None:
    """Points are labels of a row: a query shows one and the k most probable, and a sum of 1 shows the last."""

    def resolved(seen: set[int]) -> set[int]:
        known = seen | set(range(k)) if seen else set()
        return set(range(labels)) if known and labels - len(known) <= 1 else known

    free = [
        len(chosen)
        for size in range(1, labels + 1)
        for chosen in itertools.combinations(range(labels), size)
        if all(a not in resolved(set(chosen) - {a}) for a in chosen)
    ]
    assert risk_terms(access.top_k(k), 1, labels).kappa == max(free)
    assert risk_terms(access.top_k(k), 7, labels).kappa == 7 * max(free)


def test_graphs_and_jacobians() -> None:
    net = access.gradient(kt.graphs.cycle(7))
    assert risk_terms(net, 7, 3) == Terms(net.name, 0.0, 3, 0.0, 3)
    assert risk_terms(access.jacobian(np.eye(4)), 4, 3).kappa == 1
    assert risk_terms(access.jacobian(np.eye(4)), 4, 3).bound(0) == pytest.approx(2 / 3)


def test_command() -> None:
    command = ["limits", "--inputs", "10", "--labels", "5", "--n", "100"]
    result = CliRunner().invoke(main, [*command, "--level", "argmin"])
    assert result.exit_code == 2
    assert "argmin" in result.output
    result = CliRunner().invoke(main, [*command, "--level", "rounded(0.2)", "--level", "noisy(1)"])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert ["rounded(0.2)", "soft", "0.04996", "10", "0"] in rows
    assert ["noisy(1)", "soft", "0", "10", f"{math.sqrt(10 / (2 * math.pi)):.4g}"] in rows
