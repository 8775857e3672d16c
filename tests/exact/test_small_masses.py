"""Exact risks keep their digits where rows or the input law hold masses of 10^-9 to 10^-15."""

from fractions import Fraction
from itertools import combinations, pairwise
from math import comb, factorial

import pytest

import kt_theory as kt

MASSES = [1e-9, 3e-13, 1e-12, 1e-15]


def _rows(m):
    return {
        "one small label": ([[1 - m, m]], None),
        "two": ([[1 - 2 * m, m, m]], None),
        "among others": ([[1 - 3 * m, 2 * m, m], [0.5, 0.3, 0.2]], None),
        "small input": ([[0.6, 0.4 - m, m], [0.2, 0.3, 0.5]], [1 - m, m]),
        "no large label": ([[0.5, 0.5 - m, m]], None),
    }


def _copy(student, counts, p):
    visits, labels = sum(counts), len(p)
    if student == "ce_sgl":
        return [Fraction(count, visits) for count in counts]
    if student == "laplace":
        return [Fraction(count + 1, visits + labels) for count in counts]
    if student == "ce_ful":
        return p
    if student == "ce_ptl":
        weights = [count * q for count, q in zip(counts, p, strict=True)]
        return [weight / sum(weights) for weight in weights]
    hidden = [q for count, q in zip(counts, p, strict=True) if not count]
    return [q if count else sum(hidden) / len(hidden) for count, q in zip(counts, p, strict=True)]


def _counts(visits, labels):
    for bars in combinations(range(visits + labels - 1), labels - 1):
        yield [b - a - 1 for a, b in pairwise([-1, *bars, visits + labels - 1])]


def _row_loss(student, p, visits):
    total = Fraction(0)
    for counts in _counts(visits, len(p)):
        chance = Fraction(factorial(visits))
        for count, q in zip(counts, p, strict=True):
            chance *= q**count / Fraction(factorial(count))
        if chance:
            q = _copy(student, counts, p) if visits else [Fraction(1, len(p))] * len(p)
            total += chance * sum(abs(a - b) for a, b in zip(q, p, strict=True)) / 2
    return total


def _normalised(numbers):
    exact = [Fraction(float(number)) for number in numbers]
    return [number / sum(exact) for number in exact]


def enumerated(student, teacher, n):
    """Return the risk as a fraction, of the rows and the law as float64 holds them, normalised."""
    total = Fraction(0)
    for p, rho in zip(map(_normalised, teacher.pi), _normalised(teacher.rho), strict=True):
        for k in range(n + 1):
            chance = comb(n, k) * rho**k * (1 - rho) ** (n - k)
            total += rho * chance * _row_loss(student, p, k)
    return total


@pytest.mark.parametrize("student", ["ce_sgl", "laplace", "ce_ful", "ce_ptl", "sel_ptl"])
@pytest.mark.parametrize("mass", MASSES)
def test_small_masses(mass, student):
    """To 13 digits, or to 10^-26 where a risk is smaller: sel_ptl errs only if the large label is
    unseen.
    """
    for rows, rho in _rows(mass).values():
        teacher = kt.Teacher(rows, rho)
        for n in (1, 3):
            truth = float(enumerated(student, teacher, n))
            assert float(kt.exact_risk(teacher, student, n)) == pytest.approx(
                truth, rel=2e-13, abs=1e-26
            )
