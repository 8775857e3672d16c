"""Self-distillation: Wright-Fisher in rational arithmetic, against simulation, and what SEL_ptl and CE_ptl do."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import transfer_sets

import kt_theory as kt
from kt_theory import students
from kt_theory.generations import fixation, heterozygosity, lineage
from kt_theory.testing import assert_risk, teachers

ROW = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
TINY = kt.Teacher([[0.5, 0.3, 0.2], [0.0, 0.9, 0.1]], [0.6, 0.4])


def wright_fisher(row, visits, generations):
    """Return the laws of the row, generation by generation: {row: probability}, by all sequences of labels."""
    laws = [{tuple(row): Fraction(1)}]
    for _ in range(generations):
        law = Counter()
        for p, weight in laws[-1].items():
            for labels in product(range(len(p)), repeat=visits):
                chance = weight
                for a in labels:
                    chance *= p[a]
                if chance:
                    law[tuple(Fraction(labels.count(a), visits) for a in range(len(p)))] += chance
        laws.append(dict(law))
    return laws


def of(frame, generation, column):
    row = frame.iloc[generation]
    return SimpleNamespace(mean=row[column], std_error=row[f"{column}_se"], repeats=row["repeats"])


@pytest.mark.parametrize("visits", [1, 2, 3])
def test_fixed_visits_are_wright_fisher_exactly(visits):
    laws = wright_fisher(ROW, visits, 4)
    exact = heterozygosity(kt.Teacher([[float(p) for p in ROW]]), "ce_sgl", visits, 4)
    fixed = fixation([float(p) for p in ROW], visits, 4)
    start = 1 - sum(p * p for p in ROW)
    for g, law in enumerate(laws):
        h = sum(weight * (1 - sum(p * p for p in row)) for row, weight in law.items())
        assert (
            h == start * (1 - Fraction(1, visits)) ** g
        )  # the claim itself, in rational arithmetic
        assert exact[g] == pytest.approx(float(h), abs=1e-15)
        drift = sum(
            weight * sum((q - p) ** 2 for q, p in zip(row, ROW, strict=True))
            for row, weight in law.items()
        )
        assert drift == start - h
        for a in range(3):
            on_a = sum(weight for row, weight in law.items() if row[a] == 1)
            assert fixed[g, a] == pytest.approx(float(on_a), abs=1e-14)
            assert sum(weight * row[a] for row, weight in law.items()) == ROW[a]


@pytest.mark.parametrize("visits", [2, 5, 30])
def test_a_label_is_left_alone_with_its_own_probability(visits):
    row = np.array([0.6, 0.25, 0.15, 0.0])
    fixed = fixation(row, visits, 60 * visits)
    np.testing.assert_allclose(fixed[-1], row, atol=1e-12)
    assert (np.diff(fixed, axis=0) >= -1e-15).all()


def test_fixation_takes_about_as_long_as_diffusion_says():
    k, p = 100, 0.3
    fixed = fixation([p, 1 - p], k, 4000)[:, 0] / p
    assert (1.0 - fixed).sum() == pytest.approx(-2 * k * (1 - p) / p * np.log(1 - p), rel=0.02)


def test_simulated_lineages_collapse_as_computed():
    truth = kt.Teacher([[float(p) for p in ROW]])
    frame = lineage(truth, [("ce_sgl", 5)] * 12, repeats=12_000, seed=3, progress=False)
    fixed, diversity = (
        fixation(truth.pi[0], 5, 12).sum(axis=1),
        heterozygosity(truth, "ce_sgl", 5, 12),
    )
    for g in (1, 2, 5, 12):
        assert_risk(of(frame, g, "point_masses"), fixed[g], detects=0.06)
        assert_risk(of(frame, g, "heterozygosity"), diversity[g], detects=0.03)
    with pytest.raises(AssertionError, match="away"):
        assert_risk(of(frame, 5, "heterozygosity"), diversity[6], detects=0.03)


@pytest.mark.parametrize(
    "student", ["ce_sgl", "laplace", students.add_c(0.3), "ce_ful", students.tempered(2.0)]
)
def test_random_visits_agree_with_enumeration(student):
    """Two generations over all transfer sets of 3 pairs; the second by linearity, from each first table."""
    student = students.as_students(student)[0]
    exact = heterozygosity(TINY, student, 3, 2)
    first = second = 0.0
    for counts, weight in transfer_sets(TINY, 3):
        table = student.table(counts, student.access.reveal(counts, TINY.pi))
        first += weight * (TINY.rho @ (1.0 - (table**2).sum(axis=1)))
        for again, chance in transfer_sets(kt.Teacher(table, TINY.rho), 3):
            child = student.table(again, student.access.reveal(again, table))
            second += weight * chance * (TINY.rho @ (1.0 - (child**2).sum(axis=1)))
    assert exact[1:] == pytest.approx([first, second], abs=1e-12)


def test_the_largest_number_of_visits_counts():
    """From 2^53 on a float does not change when 1 is added."""
    for n in (2**53 - 1, 2**53):
        np.testing.assert_allclose(
            heterozygosity(kt.Teacher([[0.7, 0.3]]), "ce_sgl", n, 2), 0.42, rtol=1e-14
        )


def test_rounding_above_one_is_no_more_than_certain():
    np.testing.assert_array_equal(fixation([1.0 + 5e-13, 0.0], 3, 2), [[1.0, 0.0]] * 3)


def test_work_without_end_is_refused():
    with pytest.raises(
        kt.NoExactRisk, match=r"^1000000000 generations takes about .*: give fewer$"
    ):
        heterozygosity(TINY, "ce_sgl", 10, 10**9)
    with pytest.raises(
        kt.NoExactRisk,
        match=r"^fixation over 1000000 generations takes about .*: give fewer, or fewer",
    ):
        fixation([0.5, 0.5], 1000, 10**6)


def test_the_recursion_of_random_visits():
    """h' = P(0) (1 - 1/A) + h sum_k P(k) (1 - 1/k), by rational arithmetic; and where it ends."""
    inputs, labels, n = 4, 3, 9
    law = [Fraction(comb(n, k) * 3 ** (n - k), 4**n) for k in range(n + 1)]
    keep = sum(p * (1 - Fraction(1, k)) for k, p in enumerate(law) if k)
    gain = law[0] * (1 - Fraction(1, labels))
    found = heterozygosity(kt.Teacher([[0.7, 0.1, 0.2]] * inputs), "ce_sgl", n, 300)
    h = 1 - Fraction(49 + 1 + 4, 100)
    for value in found[:10]:
        assert value == pytest.approx(float(h), abs=1e-14)
        h = gain + keep * h
    assert found[-1] == pytest.approx(float(gain / (1 - keep)), abs=1e-13)


def test_unvisited_rows_keep_a_lineage_from_collapsing():
    """With iid inputs a row starts again from Uniform now and then: the share of point masses does not go to 1."""
    truth = kt.Teacher(np.tile([0.5, 0.3, 0.2], (5, 1)))
    frame = lineage(truth, [("ce_sgl", 10)] * 60, repeats=2000, seed=4, progress=False)
    assert_risk(
        of(frame, 60, "heterozygosity"), heterozygosity(truth, "ce_sgl", 10, 60)[-1], detects=0.08
    )
    assert (
        of(frame, 60, "point_masses").mean < 1.0 - 0.8**10
    )  # the others were not visited in this generation
    fixed = lineage(
        kt.Teacher([[0.5, 0.3, 0.2]]), [("ce_sgl", 2)] * 60, repeats=2000, seed=4, progress=False
    )
    assert fixed["point_masses"][60] == 1.0


def test_the_loss_grows_like_the_square_root_of_the_generation():
    truth = kt.Teacher([[0.4, 0.3, 0.2, 0.1]])
    frame = lineage(truth, [("ce_sgl", 2000)] * 16, repeats=4000, seed=5, progress=False)
    assert frame["to_truth"][16] / frame["to_truth"][1] == pytest.approx(4.0, rel=0.05)
    assert frame["to_truth"][1] == pytest.approx(kt.exact_risk(truth, "ce_sgl", 2000), rel=0.05)


@given(teachers(max_labels=6), st.integers(0, 12), st.integers(0, 2**32))
def test_sel_ptl_is_majorised_by_its_teacher(teacher, n, seed):
    """On every path: the largest m labels of the copy weigh at most those of the teacher, so h never falls."""
    counts = np.random.default_rng(seed).multinomial(
        n, teacher.pi / teacher.pi.sum(axis=1, keepdims=True)
    )
    copy = students.SEL_PTL.table(counts, students.SEL_PTL.access.reveal(counts, teacher.pi))
    largest = np.cumsum(-np.sort(-copy, axis=1), axis=1)
    assert (largest <= np.cumsum(-np.sort(-teacher.pi, axis=1), axis=1) + 1e-12).all()
    assert ((copy**2).sum(axis=1) <= (teacher.pi**2).sum(axis=1) + 1e-12).all()


def test_sel_ptl_drifts_to_uniform_from_three_labels_on():
    """Slowly from a heavy label: (h, x, x) moves only when the heavy label is not seen, with probability (1-h)^k."""
    start = kt.Teacher([[0.6, 0.4, 0.0]])
    frame = lineage(start, [("sel_ptl", 2)] * 80, repeats=500, seed=6, progress=False)
    assert frame["heterozygosity"][80] == pytest.approx(2 / 3, abs=1e-3)
    assert (np.diff(frame["heterozygosity"]) >= -1e-15).all()
    # It is not unbiased: one label a of (1/2, 3/10, 1/5) seen, the others share the rest.
    first = lineage(
        kt.Teacher([[0.5, 0.3, 0.2]]), [("sel_ptl", 1)], repeats=2000, seed=6, progress=False
    )
    squares = 0.5 * (0.25 + 2 * 0.25**2) + 0.3 * (0.09 + 2 * 0.35**2) + 0.2 * (0.04 + 2 * 0.4**2)
    assert_risk(of(first, 1, "heterozygosity"), 1.0 - squares, detects=0.06)


@pytest.mark.parametrize("row", [[0.9, 0.1], [1.0, 0.0, 0.0], [0.25] * 4])
def test_sel_ptl_has_fixed_points(row):
    """Two labels are copied exactly, for ever: of two, one is seen and the other is what is left. Nor do point masses
    and Uniform move; only on an unvisited input do they."""
    frame = lineage(kt.Teacher([row]), [("sel_ptl", 1)] * 30, repeats=50, seed=0, progress=False)
    assert frame["to_truth"].max() <= 1e-14
    unvisited = lineage(
        kt.Teacher([row] * 3), [("sel_ptl", 1)] * 30, repeats=50, seed=0, progress=False
    )
    assert (unvisited["to_truth"].max() > 0.05) == (row != [0.25] * 4)


def test_ce_ptl_squares_its_teacher():
    """With unlimited samples generation g is p^(2^g), normalised: it collapses onto the most probable label."""
    p = np.array([0.4, 0.35, 0.25])
    frame = lineage(kt.Teacher([p]), [("ce_ptl", 10**12)] * 6, repeats=2, seed=0, progress=False)
    for g in range(7):
        power = p ** (2**g) / (p ** (2**g)).sum()
        assert frame["to_truth"][g] == pytest.approx(kt.total_variation(power, p), abs=1e-4)
    assert frame["heterozygosity"][6] < 1e-3


def test_large_n_and_classes_are_cheap():
    teacher = kt.Teacher.from_classes(
        [[0.5, 0.5], [0.9, 0.1]], [1e-12, 1e-12], [4 * 10**11, 6 * 10**11]
    )
    found = heterozygosity(teacher, "ce_sgl", 10**12, 3)
    assert found[0] == pytest.approx(0.4 * 0.5 + 0.6 * 0.18, rel=1e-9)
    assert heterozygosity(kt.Teacher([[0.5, 0.5]]), "ce_sgl", 10**9, 1)[1] == pytest.approx(
        0.5 * (1 - 1e-9), abs=1e-15
    )
    assert heterozygosity(kt.Teacher([[0.7, 0.3]]), "ce_sgl", 0, 2) == pytest.approx(
        [0.42, 0.5, 0.5]
    )
    np.testing.assert_allclose(
        heterozygosity(kt.Teacher([[1.0]]), "laplace", 0, 2), 0.0, atol=1e-15
    )


@pytest.mark.long
def test_a_large_lineage_follows_its_exact_heterozygosity():
    """S = 100, A = 10, 20 generations: 8,000 repeats detect 0.02."""
    truth = kt.teachers.dirichlet(inputs=100, labels=10, alpha=1.0, seed=0)
    frame = lineage(truth, [("ce_sgl", 1000)] * 20, repeats=8000, seed=1, progress=False)
    exact = heterozygosity(truth, "ce_sgl", 1000, 20)
    for g in range(21):
        assert_risk(of(frame, g, "heterozygosity"), exact[g], detects=0.02)


def test_bad_input_is_named():
    with pytest.raises(kt.NoExactRisk, match="'sel_ptl' has no exact heterozygosity: use lineage"):
        heterozygosity(TINY, "sel_ptl", 3, 2)
    with pytest.raises(ValueError, match="teacher is a list"):
        heterozygosity([[1.0]], "ce_sgl", 3, 2)
    with pytest.raises(ValueError, match="visits = 0: must be at least 1"):
        fixation([0.5, 0.5], 0, 2)
    with pytest.raises(ValueError, match=r"row sums to 0\.9"):
        fixation([0.5, 0.4], 3, 2)
