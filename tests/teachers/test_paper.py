"""The paper's instances against a plain transcription of Appendix F in rational arithmetic, 1-based as printed."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from together import together

from kt_theory import teachers

SIZES = list(itertools.product((1, 2, 3, 7, 16), (1, 2, 3, 4, 5, 8, 25)))
LARGER = list(
    itertools.product((1, 2, 3, 7, 16), (1, 2, 3, 4, 5, 8, 25), (0, 1, 13, 10**6, 10**12))
)
"""Sizes, and by how much n is above the smallest."""

FAMILIES = {
    "instance1": teachers.instance1,
    "instance2": teachers.instance2,
    "instance3": teachers.instance3,
}


def printed_instance0(S, A):
    table = {}
    for s in range(S):
        for a in range(1, A + 1):
            table[s, a] = Fraction(1, 2) * Fraction(1, A) + Fraction(1, 2) * (a == s % A + 1)
    return table


def printed_instance1(S, A, n):
    """Signs and the square of d are exact; d itself is the only irrational number."""
    table = dict.fromkeys(((s, a) for s in range(S) for a in range(1, A + 1)), 0.0)
    B = A if A % 2 == 0 else A - 1
    d = float(Fraction(S * B, 16 * n)) ** 0.5
    for s in range(S):
        for j in range(1, B // 2 + 1):
            table[s, 2 * j - 1] = (1 + d) / B
            table[s, 2 * j] = (1 - d) / B
    return table


def printed_instance2(S, A, n):
    table = dict.fromkeys(((s, a) for s in range(S) for a in range(1, A + 1)), Fraction(0))
    B = A if A % 2 == 1 else A - 1
    for s in range(S):
        for j in range(1, (B - 1) // 2 + 1):
            table[s, 2 * j - 1] = Fraction(S, n + 1)
        table[s, B] = 1 - Fraction(S, 2) * Fraction(B - 1, n + 1)
    return table


def array(table, S, A):
    return np.array([[float(table[s, a]) for a in range(1, A + 1)] for s in range(S)])


@together(SIZES)
def test_instance0_is_the_printed_one(S, A):
    teacher = teachers.instance0(S, A)
    np.testing.assert_allclose(teacher.pi, array(printed_instance0(S, A), S, A), rtol=0, atol=1e-15)
    assert (teacher.rho == 1 / S).all()
    assert len(teacher.classes.rho) == 1
    assert teachers.smallest_n("instance0", S, A) == 0


@together([case for case in LARGER if case[1] > 1])
def test_instance1_is_the_printed_one(S, A, extra):
    n = teachers.smallest_n("instance1", S, A) + extra
    teacher = teachers.instance1(S, A, n)
    np.testing.assert_allclose(
        teacher.pi, array(printed_instance1(S, A, n), S, A), rtol=0, atol=1e-15
    )
    assert (teacher.rho == 1 / S).all()
    assert A % 2 == 0 or (teacher.pi[:, -1] == 0).all()


@together(LARGER)
def test_instance2_is_the_printed_one(S, A, extra):
    n = teachers.smallest_n("instance2", S, A) + extra
    teacher = teachers.instance2(S, A, n)
    printed = printed_instance2(S, A, n)
    assert all(sum(printed[s, a] for a in range(1, A + 1)) == 1 for s in range(S))
    np.testing.assert_allclose(teacher.pi, array(printed, S, A), rtol=1e-15, atol=0)
    assert (teacher.rho == 1 / S).all()


@together(LARGER)
def test_instance3_is_instance2_under_a_law_with_one_heavy_input(S, A, extra):
    n = teachers.smallest_n("instance3", S, A) + extra
    teacher = teachers.instance3(S, A, n)
    np.testing.assert_array_equal(teacher.pi, teachers.instance2(S, A, n).pi)
    rho = [Fraction(1, n + 1)] * (S - 1) + [1 - Fraction(S - 1, n + 1)]
    assert sum(rho) == 1
    assert rho[-1] == max(rho)
    np.testing.assert_allclose(teacher.rho, [float(p) for p in rho], rtol=1e-15, atol=0)


def defined(family, S, A, n):
    """The rule in rational arithmetic: the printed formula is a distribution (and for 3 the last input is heaviest)."""
    odd = A if A % 2 else A - 1
    if family == "instance1":
        return n > 0 and A > 1 and Fraction(S * (A - A % 2), 16 * n) <= 1
    heavy = 1 - Fraction(S * (odd - 1), 2 * (n + 1)) >= 0
    return (
        heavy
        if family == "instance2"
        else heavy and 1 - Fraction(S - 1, n + 1) >= Fraction(1, n + 1)
    )


@together([(family, *size) for family in FAMILIES for size in SIZES])
def test_the_smallest_n_is_tight(family, S, A):
    if family == "instance1" and A == 1:
        assert not any(defined(family, S, A, n) for n in range(100))
        return
    least = teachers.smallest_n(family, S, A)
    assert [defined(family, S, A, n) for n in range(least + 3)] == [False] * least + [True] * 3
    teacher = FAMILIES[family](S, A, least)
    assert teacher.pi.min() >= 0
    assert teacher.pi.max() <= 1
    if least > 0:
        with pytest.raises(
            teachers.NotDefined, match=rf"n = {least - 1}: {family} .* from n = {least}: "
        ) as caught:
            FAMILIES[family](S, A, least - 1)
        assert caught.value.smallest_n == least


def test_the_limits_are_reached_exactly():
    """d = 1 leaves no label of the second kind; the heavy label of instance 2 vanishes, without a rounding residue."""
    assert set(np.unique(teachers.instance1(8, 4, 2).pi)) == {0.0, 0.5}
    for S, A in [(7, 25), (49, 3), (16, 9), (3, 7)]:
        teacher = teachers.instance2(S, A, teachers.smallest_n("instance2", S, A))
        assert (teacher.pi[:, A - 1] == 0.0).all()


def test_one_label_and_one_input():
    for n in (0, 1, 5):
        assert teachers.instance2(3, 1, n).pi.tolist() == [[1.0]] * 3
        assert teachers.instance2(3, 2, n).pi.tolist() == [[1.0, 0.0]] * 3
        assert teachers.instance3(1, 2, n).rho.tolist() == [1.0]
    with pytest.raises(
        teachers.NotDefined, match=r"labels = 1: instance1 .* at least 2 .* no n"
    ) as caught:
        teachers.instance1(3, 1, 10)
    assert caught.value.smallest_n is None
    with pytest.raises(teachers.NotDefined):
        teachers.smallest_n("instance1", 3, 1)


def test_the_largest_n():
    for make in FAMILIES.values():
        teacher = make(10, 5, 2**53)
        np.testing.assert_allclose(teacher.pi.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: teachers.instance0(0, 3), "inputs = 0: must be at least 1"),
        (lambda: teachers.instance0(3, 2.5), "labels = 2.5: .* whole number"),
        (lambda: teachers.instance1(3, 2, -1), "n = -1: must be at least 0"),
        (lambda: teachers.instance2(3, 2, 0.5), "n = 0.5: .* whole number"),
        (lambda: teachers.instance3(3, 2, 2**53 + 2), "n = .*2\\^53"),
        (
            lambda: teachers.smallest_n("instance9", 3, 2),
            "unknown instance 'instance9'.*did you mean",
        ),
        (
            lambda: teachers.instance0(2**20, 2**9),
            r"1048576 x 512: a dense table of 4 GiB, the limit is 2 GiB",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
