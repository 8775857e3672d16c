"""Labels of several generations together: diversity in rational arithmetic over all transfer sets,
and against simulated lineages.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from oracles import counts_of

import kt_theory as kt
from kt_theory import students
from kt_theory.generations import heterozygosity, lineage
from kt_theory.testing import assert_risk

ROW = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
OTHER = (Fraction(1, 10), Fraction(9, 10), Fraction(0))
HALF = Fraction(1, 2)
TRUTH = kt.Teacher([[float(p) for p in ROW]])


def drawn(row, rho, n):
    """(counts of the labels, their probability) of n pairs, of which each falls on the row with
    probability rho.
    """
    for counts in counts_of(n, len(row) + 1):
        chance = Fraction(math.factorial(n))
        for number, p in zip(counts, (*(rho * p for p in row), 1 - rho), strict=True):
            chance *= p**number / Fraction(math.factorial(number))
        if chance:
            yield counts[:-1], chance


def written(counts, c):
    """The row of add-c, uniform where nothing is known."""
    total = sum(counts) + c * len(counts)
    if not total:
        return (Fraction(1, len(counts)),) * len(counts)
    return tuple((number + Fraction(c)) / total for number in counts)


def plus(one, other):
    return tuple(a + b for a, b in zip(one, other, strict=True))


def diversities(data, n, c, generations, row=ROW, rho=Fraction(1)):
    """E(1 - sum_a q_a^2) of one row, generation by generation, over all transfer sets."""
    nothing = (0,) * len(row)
    laws = [{(nothing, row): Fraction(1)}]
    fresh = 0 if isinstance(data, str) else math.floor(data * n + 0.5)
    for _ in range(generations):
        law = Counter()
        for (pool, last), weight in laws[-1].items():
            kept = pool if data == "accumulate" else nothing
            for first, chance in drawn(row, rho, fresh):
                for second, more in drawn(last, rho, n - fresh):
                    counts = plus(kept, plus(first, second))
                    law[counts, written(counts, c)] += weight * chance * more
        laws.append(dict(law))
    return [sum(w * (1 - sum(p * p for p in row)) for (_, row), w in law.items()) for law in laws]


@pytest.mark.parametrize("visits", [1, 2, 3])
def test_a_pool_keeps_the_product_of_its_generations(visits):
    """h_g = h_0 prod_(t <= g) (1 - 1/(k t^2)), in rational arithmetic over all transfer sets."""
    laws = diversities("accumulate", visits, 0, 4)
    found = heterozygosity(TRUTH, "ce_sgl", visits, 4, data="accumulate")
    kept = laws[0]
    for t in range(1, 5):
        kept *= 1 - Fraction(1, visits * t**2)
        assert laws[t] == kept
        assert found[t] == pytest.approx(float(kept), abs=1e-15)


def test_a_pool_ends_at_the_sine():
    """prod_t (1 - 1/(k t^2)) = sin(pi / sqrt k) / (pi / sqrt k): the product of 2,000 generations
    is above it, by about 1 / (2000 k).
    """
    for visits in (2, 7):
        end = heterozygosity(TRUTH, "ce_sgl", visits, 2000, data="accumulate")[-1]
        angle = math.pi / math.sqrt(visits)
        limit = (1 - float(sum(p * p for p in ROW))) * math.sin(angle) / angle
        assert end / limit - 1 == pytest.approx(1 / (2000 * visits), rel=0.01)


def test_the_page_has_the_numbers():
    page = " ".join((Path(kt.__file__).parents[1] / "docs" / "channels.md").read_text().split())
    kept = []
    for data in ("accumulate", "replace", 0.1):
        h = heterozygosity(TRUTH, "ce_sgl", 100, 100, data=data)
        kept.append(h[-1] / h[0])
    pooled, replaced, fresh = kept
    assert f"{pooled:.3f} at k = 100, where replacing keeps {replaced:.2f} after 100" in page
    assert f"one label in ten fresh from the truth, holds {fresh:.2f} of it" in page


def test_fresh_labels_hold_a_level_of_diversity():
    """h -> (1 - 1/k) (1 - w) h_0 / (1 - (1 - 1/k) w), w the chance that two of the k labels are
    both of the last generation.
    """
    k, fresh = 20, 5
    w = (k - fresh) * (k - fresh - 1) / (k * (k - 1))
    h = heterozygosity(TRUTH, "ce_sgl", k, 400, data=fresh / k)
    assert h[-1] == pytest.approx((1 - 1 / k) * (1 - w) * h[0] / (1 - (1 - 1 / k) * w), rel=1e-13)
    assert heterozygosity(TRUTH, "ce_sgl", k, 400)[-1] < 1e-8


@pytest.mark.parametrize(
    ("data", "n", "c"),
    [
        ("accumulate", 2, 0),
        ("accumulate", 2, HALF),
        (0.4, 2, 0),
        (0.4, 2, HALF),
        pytest.param("accumulate", 3, 1, marks=pytest.mark.long),
        pytest.param(0.7, 3, 0, marks=pytest.mark.long),
    ],
)
def test_inputs_that_are_drawn_too(data, n, c):
    """k ~ Bin(n, rho) visits a generation, Uniform before the first: over all transfer sets."""
    shares = Fraction(3, 5), Fraction(2, 5)
    teacher = kt.Teacher([[float(p) for p in row] for row in (ROW, OTHER)], [0.6, 0.4])
    courses = [
        diversities(data, n, c, 3, row, rho) for row, rho in zip((ROW, OTHER), shares, strict=True)
    ]
    expected = [
        float(sum(rho * h for rho, h in zip(shares, each, strict=True)))
        for each in zip(*courses, strict=True)
    ]
    student = students.add_c(float(c)) if c else "ce_sgl"
    found = heterozygosity(teacher, student, n, 3, data=data)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    # Another source of labels is convicted.
    assert np.abs(heterozygosity(teacher, student, n, 3) - expected).max() > 1e-3


def of(frame, generation, column):
    row = frame.iloc[generation]
    return SimpleNamespace(mean=row[column], std_error=row[f"{column}_se"], repeats=row["repeats"])


@pytest.mark.parametrize(
    ("data", "student"),
    [
        ("accumulate", "ce_sgl"),
        (0.25, "laplace"),
        pytest.param("accumulate", "laplace", marks=pytest.mark.long),
        pytest.param(0.25, "ce_sgl", marks=pytest.mark.long),
    ],
)
def test_simulated_lineages_keep_what_is_computed(data, student):
    """False alarms below 1e-6; gaps of 0.04 are found."""
    truth = kt.Teacher([[0.5, 0.3, 0.2], [0.0, 0.9, 0.1]], [0.6, 0.4])
    frame = lineage(truth, [(student, 8)] * 4, 6000, 3, data=data, progress=False)
    exact = heterozygosity(truth, student, 8, 4, data=data)
    for g in (1, 4):
        assert_risk(of(frame, g, "heterozygosity"), exact[g], detects=0.04)
    with pytest.raises(AssertionError, match="away"):
        assert_risk(of(frame, 4, "heterozygosity"), exact[3] + 0.05, detects=0.04)
    assert set(frame["data"]) == {data if data == "accumulate" else "fresh(0.25)"}


def test_a_pool_of_one_generation_is_its_labels():
    """The first generation has no other labels, whatever is done with them later."""
    frames = [
        lineage(TRUTH, [("ce_sgl", 9)] * 2, 50, 1, data=data, progress=False)
        for data in ("replace", "accumulate")
    ]
    first, pooled = (frame.drop(columns="data").iloc[1] for frame in frames)
    assert first.equals(pooled)
    assert not frames[0].iloc[2, 5:].equals(frames[1].iloc[2, 5:])


@pytest.mark.parametrize("data", ["keep", 0.0, 1.0, 1, -0.1, math.nan, True, None, "0.5", [0.5]])
def test_data_that_are_none_are_refused(data):
    for call in (
        lambda: lineage(TRUTH, [("ce_sgl", 9)], 5, data=data),
        lambda: heterozygosity(TRUTH, "ce_sgl", 9, 2, data=data),
    ):
        with pytest.raises(ValueError, match=r"data = .*: must be 'replace', 'accumulate' or the"):
            call()


@pytest.mark.parametrize("student", ["sel_ptl", "ce_ful", students.top_k(1, sampled=False)])
def test_answers_that_state_probabilities_are_not_pooled(student):
    """Two generations state two probabilities of one label."""
    for data in ("accumulate", 0.5):
        with pytest.raises(ValueError, match=r"sees more than sampled labels .*; give data='rep"):
            lineage(TRUTH, [("ce_sgl", 9), (student, 9)], 5, data=data)
    assert len(lineage(TRUTH, [(student, 9)], 5, data="replace", progress=False)) == 2
