"""Exact risks in other losses than total variation: enumeration of all transfer sets with the losses as textbooks write
them, closed forms against sums, asymptotics, order laws, infinite risks, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from grids import few_quick, grid
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import transfer_sets
from scipy import stats

import kt_theory as kt
from kt_theory.exact.counted import Counted
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.smoothed import Smoothed
from kt_theory.exact.unseen import Unseen
from kt_theory.losses import CHI2, KL, L2, LOSSES, row_loss

KT, LAPLACE = kt.students.add_c(0.5), kt.students.add_c(1.0)


def ratio_sum(p, q, f):
    """sum f(p, q) where p > 0, inf where a positive p meets q = 0."""
    if ((p > 0) & (q == 0)).any():
        return math.inf
    return sum(f(a, b) for a, b in zip(p, q, strict=True) if a > 0)


def kl(p, q):
    return ratio_sum(p, q, lambda a, b: a * math.log(a / b))


TEXTBOOK = {
    "tv": lambda p, q: abs(p - q).sum() / 2,
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "chi2": lambda p, q: ratio_sum(p, q, lambda a, b: a * a / b) - 1.0,
    "hellinger2": lambda p, q: 1.0 - np.sqrt(p * q).sum(),
    "js": lambda p, q: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2,
    "l2": lambda p, q: ((p - q) ** 2).sum(),
    "acceptance": lambda p, q: np.minimum(p, q).sum(),
}

TEACHERS = {
    "positive": kt.Teacher([[0.4, 0.35, 0.25], [0.2, 0.2, 0.6]], [0.3, 0.7]),
    "zeros and ties": kt.Teacher([[0.5, 0.25, 0.25, 0.0], [0.0, 0.9, 0.1, 0.0]], [0.6, 0.4]),
    "one input": kt.Teacher([[0.4, 0.3, 0.2, 0.1]]),
    "degenerate": kt.Teacher([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, 0.5, 0.0]),
    "one label": kt.Teacher([[1.0], [1.0]], [0.3, 0.7]),
}
STUDENTS = {
    "ce_sgl": kt.STUDENTS["ce_sgl"],
    "ce_ful": kt.STUDENTS["ce_ful"],
    "sel_ptl": kt.STUDENTS["sel_ptl"],
    "add_c(0.1)": kt.students.add_c(0.1),
    "laplace": LAPLACE,
    "add_c(7)": kt.students.add_c(7.0),
    "top_k(1)": kt.students.top_k(1),
    "top_k_only(2)": kt.students.top_k(2, sampled=False),
    "rounded": kt.students.rounded(0.5),
    "tempered": kt.students.tempered(2.0, believed=1.5),
}


def tables(student, teacher, n):
    """Yield (table, probability) over all multisets of n pairs."""
    for counts, weight in transfer_sets(teacher, n):
        seen = student.access.seen_counts(counts, teacher.pi)
        yield student.table(seen, student.access.reveal(seen, teacher.pi)), weight


def enumerated(student, teacher, n):
    """The mean of every loss."""
    risk = dict.fromkeys(TEXTBOOK, 0.0)
    asked = np.flatnonzero(teacher.rho)
    for table, weight in tables(student, teacher, n):
        for name, loss in TEXTBOOK.items():
            lost = sum(teacher.rho[s] * loss(teacher.pi[s], table[s]) for s in asked)
            risk[name] += weight * lost
    return risk


QUICK = [
    ("positive", "ce_sgl"),
    ("positive", "laplace"),
    ("zeros and ties", "add_c(0.1)"),
    ("zeros and ties", "sel_ptl"),
    ("one input", "sel_ptl"),
    ("one input", "top_k(1)"),
    ("positive", "top_k_only(2)"),
    ("degenerate", "ce_sgl"),
    ("one label", "add_c(7)"),
    ("zeros and ties", "ce_ful"),
    ("positive", "rounded"),
    ("positive", "tempered"),
]


@pytest.mark.parametrize(("case", "name"), grid(TEACHERS, STUDENTS, quick=QUICK))
def test_enumeration_of_all_transfer_sets(case, name):
    teacher, student = TEACHERS[case], STUDENTS[name]
    for n in (0, 1, 3):
        for loss, expected in enumerated(student, teacher, n).items():
            found = kt.exact_risk(teacher, student, n, loss=loss)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-14), (loss, n)


KNOWING = {
    "masked laplace": (
        kt.students.masked(LAPLACE, [[True, True, False], [False, True, True]]),
        kt.Teacher([[0.3, 0.7, 0.0], [0.0, 0.2, 0.8]], [0.4, 0.6]),
    ),
    "masked sel_ptl": (
        kt.students.masked("sel_ptl", [True, True, True, False]),
        kt.Teacher([[0.2, 0.3, 0.5, 0.0]]),
    ),
    "grouped laplace": (
        kt.students.grouped(LAPLACE, [0, 1, 0]),
        kt.Teacher([[0.3, 0.7], [0.9, 0.1], [0.3, 0.7]], [0.2, 0.5, 0.3]),
    ),
}


@pytest.mark.parametrize("case", KNOWING)
def test_students_that_know_something_beforehand(case):
    student, teacher = KNOWING[case]
    for loss, expected in enumerated(student, teacher, 3).items():
        found = kt.exact_risk(teacher, student, 3, loss=loss)
        assert found == pytest.approx(expected, rel=1e-12), loss


@pytest.mark.long
@pytest.mark.parametrize("name", kt.students.NAMED)
def test_every_student_with_a_name_is_right_or_refuses(name):
    student, known = kt.students.NAMED[name], 0
    teacher = TEACHERS["positive"]
    expected = enumerated(student, teacher, 3)
    for loss in LOSSES:
        try:
            found = kt.exact_risk(teacher, student, 3, loss=loss)
        except kt.NoExactRisk:
            continue
        assert found == pytest.approx(expected[loss], rel=1e-12, abs=1e-14), loss
        known += 1
    assert known == len(LOSSES) or not isinstance(student.exact, Empirical | Smoothed | Unseen)


def test_another_c_is_told_apart():
    teacher = TEACHERS["positive"]
    for loss, expected in enumerated(LAPLACE, teacher, 3).items():
        found = kt.exact_risk(teacher, kt.students.add_c(1.01), 3, loss=loss)
        assert found != pytest.approx(expected, rel=1e-5), loss


def mean_by_double_sum(p, rho, n, c, loss):
    """E loss of a row over visits k ~ Bin(n, rho) and each count X ~ Bin(k, p_a), by scipy's binomial."""
    total = 0.0
    for k, weight in enumerate(stats.binom.pmf(np.arange(n + 1), n, rho)):
        if k == 0 and c == 0.0:
            total += weight * float(loss.of_rows(p, np.full(len(p), 1.0 / len(p))))
        elif weight > 1e-25:
            x = np.arange(k + 1)
            for a in p:
                total += weight * (
                    stats.binom.pmf(x, k, a) @ loss.each(a, (x + c) / (k + c * len(p)))
                )
    return total


@pytest.mark.parametrize(
    ("name", "c"),
    few_quick(
        [
            (name, c)
            for name in ("l2", "chi2", "kl", "reverse_kl", "hellinger2", "js")
            for c in (0.0, 0.5, 1.0)
            if c or name not in ("kl", "chi2")
        ],
        [("chi2", 0.5), ("kl", 1.0), ("reverse_kl", 0.0)],
    ),
)
def test_means_over_visits_by_double_sums(name, c):
    """A stretch of about 350 visit counts, of which a few dozen are looked at."""
    p, rho, n = np.array([0.6, 0.3, 0.0995, 0.0005]), 0.3, 900
    expected = rho * mean_by_double_sum(p, rho, n, c, LOSSES[name])
    one_class = kt.RowClasses(p[None], np.array([rho]), np.array([1]))
    found = Counted(c, "", LOSSES[name]).over(one_class, np.array([float(n)]))
    assert float(found[0]) == pytest.approx(expected, rel=1e-12)


SKEWED = [
    [1.0 - 3e-9, 1e-9, 1e-9, 1e-9],
    [0.7, 0.3, 0.0, 0.0],
    [1.0, 0.0, 0.0, 0.0],
    [0.25, 0.25, 0.25, 0.25],
    [0.5, 0.3, 0.15, 0.05],
]


@pytest.mark.parametrize(("loss", "c"), [(L2, 0.0), (L2, 1.0), (L2, 9.0), (CHI2, 1.0)], ids=str)
def test_closed_forms_are_the_sums_over_counts(loss, c):
    """A loss of another name is summed as it stands."""
    n = np.array([0.0, 1.0, 30.0, 1e4, 1e7])
    for row in SKEWED:
        classes = kt.Teacher.from_classes([row], [0.01], [100]).classes
        closed = Counted(c, "", loss).over(classes, n)
        summed = Counted(c, "", replace(loss, name="another")).over(classes, n)
        np.testing.assert_allclose(closed, summed, rtol=1e-11, atol=1e-300)


def test_chi2_of_laplace_in_closed_form():
    """(A-1)/(k+1) - (k+A)/(k+1) E[missing mass of k+1 samples], at most (A-1)/(k+1)."""
    for row in SKEWED:
        p, labels = np.array(row), len(row)
        teacher = kt.Teacher.from_classes([row], [1.0], [1])
        for k in (0, 1, 7, 200):
            missing = (p * (1.0 - p) ** (k + 1)).sum()
            expected = (labels - 1) / (k + 1) - (k + labels) / (k + 1) * missing
            found = kt.exact_risk(teacher, "laplace", k, loss="chi2")
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
            assert found <= (labels - 1) / (k + 1) * (1 + 1e-14)
        point = kt.exact_risk(kt.Teacher([[1.0, 0.0, 0.0]]), "laplace", 9, loss="chi2")
        assert point == pytest.approx(0.2, rel=1e-14)


def test_what_is_rare_and_dear_is_not_cut_off():
    """chi2 of an unseen label is about k/(4c): after 300 visits 2^-300 of it is 10^11. In rational numbers."""
    c, p = Fraction(1, 10**100), Fraction(1, 2)
    for k in (1, 5, 300):
        expected = Fraction(0)
        for x in range(k + 1):
            q = (x + c) / (k + 2 * c)
            expected += 2 * math.comb(k, x) * p**k * (p - q) ** 2 / q
        found = kt.exact_risk(kt.Teacher([[0.5, 0.5]]), kt.students.add_c(1e-100), k, loss="chi2")
        assert found == pytest.approx(float(expected), rel=1e-12)


DIMENSIONS = {
    "chi2": lambda p: p.size - 1.0,
    "kl": lambda p: (p.size - 1.0) / 2,
    "reverse_kl": lambda p: (p.size - 1.0) / 2,
    "hellinger2": lambda p: (p.size - 1.0) / 8,
    "js": lambda p: (p.size - 1.0) / 8,
    "l2": lambda p: 1.0 - p @ p,
}
"""n times the risk as n grows: each loss is sum (p-q)^2 / p to second order, times a factor, but for l2."""


@pytest.mark.parametrize("name", DIMENSIONS)
@pytest.mark.parametrize("inputs", [1, 10])
def test_a_million_samples_are_normal(name, inputs):
    """Relative corrections are sums of 1/(k p_a) over labels, times small factors."""
    p = np.linspace(1.0, 3.0, 25) / 50.0
    teacher = kt.Teacher.from_classes([p], [1.0 / inputs], [inputs])
    k = 10**6 / inputs
    found = kt.exact_risk(teacher, KT, 10**6, loss=name)
    assert found == pytest.approx(DIMENSIONS[name](p) / k, rel=3.0 * (1.0 / (k * p)).sum() / 24)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["laplace", "ce_sgl", "sel_ptl", "ce_ful"]))
def test_order_laws(seed, student):
    """2 tv^2 <= kl <= log(1 + chi2), H^2 <= tv <= sqrt(2 H^2), tv^2/2 <= js <= tv log 2,
    4 tv^2/A <= l2 <= 2 tv, 2 tv^2 <= reverse_kl: by Jensen's inequality between risks too.
    """
    rng = np.random.default_rng(seed)
    inputs, labels = rng.integers(1, 4), int(rng.integers(2, 6))
    teacher = kt.Teacher(
        rng.dirichlet(np.full(labels, 0.5), size=inputs), rng.dirichlet(np.ones(inputs))
    )
    n = int(rng.integers(0, 60))
    risk = {loss: kt.exact_risk(teacher, student, n, loss=loss) for loss in LOSSES}
    tv, slack = risk["tv"], 1.0 + 1e-12
    assert 2.0 * tv**2 <= min(risk["kl"], risk["reverse_kl"]) * slack + 1e-15
    assert risk["kl"] <= math.log1p(risk["chi2"]) * slack + 1e-15
    assert 4.0 * tv**2 <= risk["chi2"] * slack + 1e-15
    assert risk["hellinger2"] <= tv * slack
    assert tv <= math.sqrt(2.0 * risk["hellinger2"]) * slack + 1e-15
    assert tv**2 / 2.0 <= risk["js"] * slack + 1e-15
    assert risk["js"] <= tv * math.log(2.0) * slack
    assert 4.0 * tv**2 / labels <= risk["l2"] * slack + 1e-15
    assert risk["l2"] <= 2.0 * tv * slack
    assert risk["acceptance"] == pytest.approx(1.0 - tv, rel=1e-15)


def test_l2_of_the_minimax_student_is_constant():
    """E |q - p|^2 = (1-1/A)/(sqrt n + 1)^2 of add_c(sqrt(n)/A), whatever the row; not so of its neighbours."""
    rng = np.random.default_rng(16)
    for labels, n in ((2, 1), (3, 10), (10, 100), (40, 7)):
        rows = rng.dirichlet(np.full(labels, 0.3), size=50)
        expected = (1.0 - 1.0 / labels) / (math.sqrt(n) + 1.0) ** 2
        best, next_to_it = (kt.students.add_c(f * math.sqrt(n) / labels) for f in (1.0, 1.1))
        found = [kt.exact_risk(kt.Teacher([row]), best, n, loss="l2") for row in rows]
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        point = kt.Teacher(np.eye(labels)[:1])
        assert kt.exact_risk(point, next_to_it, n, loss="l2") > expected * (1 + 1e-2)


INF = math.inf
INFINITE = {
    "a label of ce_sgl may stay unseen": ([[0.5, 0.5]], "ce_sgl", "kl", [0, 1, 10**6, INF]),
    "and chi2 divides by it": ([[0.5, 0.5]], "ce_sgl", "chi2", [0, 1, 10**6, INF]),
    "mass on a zero": ([[0.5, 0.5, 0.0]], "laplace", "reverse_kl", [0, 1, 10**15, INF]),
    "unvisited rows": ([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], "ce_sgl", "reverse_kl", [0, 10**4, INF]),
    "and of ce_ful": ([[1.0, 0.0], [1.0, 0.0]], "ce_ful", "reverse_kl", [0, 10**4, INF]),
    "shared with a zero": ([[0.5, 0.4, 0.0, 0.1]], "sel_ptl", "reverse_kl", [0, 1, 99, INF]),
}


@pytest.mark.parametrize("case", INFINITE)
def test_infinite_by_rule_and_never_by_overflow(case):
    """Of however small a probability: 2^-10^6 of it is 0 in float64. Endless samples leave nothing unseen."""
    rows, student, loss, sizes = INFINITE[case]
    found = kt.exact_risk(kt.Teacher(rows), student, sizes, loss=loss)
    first = rows[0].count(1.0 / len(rows[0])) < len(rows[0])
    expected = [INF if n or first or student != "ce_sgl" else 0.0 for n in sizes[:-1]]
    np.testing.assert_array_equal(found, [*expected, 0.0])


def test_finite_where_nothing_infinite_can_happen():
    point, pair = kt.Teacher([[0.0, 1.0, 0.0]]), kt.Teacher([[0.5, 0.5]])
    assert kt.exact_risk(point, "ce_sgl", 1, loss="kl") == 0.0
    assert kt.exact_risk(point, "sel_ptl", 1, loss="reverse_kl") == 0.0
    assert kt.exact_risk(point, "ce_sgl", 0, loss="kl") == pytest.approx(math.log(3.0))
    assert 0.0 < kt.exact_risk(pair, "ce_sgl", 3, loss="reverse_kl") < INF
    unasked = kt.Teacher([[0.3, 0.7], [1.0, 0.0]], [1.0, 0.0])
    assert kt.exact_risk(unasked, "ce_sgl", 3, loss="reverse_kl") < INF
    assert kt.exact_risk(unasked, "ce_ful", 1, loss="reverse_kl") == 0.0
    assert kt.exact_risk(unasked, "laplace", 5, loss="reverse_kl") < INF


def test_sharing_by_inclusion_and_exclusion():
    """E loss of sel_ptl and top_k from P(exactly this set is unseen), six labels."""
    p, rho, n = np.array([0.32, 0.25, 0.18, 0.12, 0.09, 0.04]), 0.5, 30
    teacher = kt.Teacher.from_classes([p], [rho], [2])
    sets = [set(some) for size in range(7) for some in combinations(range(6), size)]
    missed = {frozenset(some): (1.0 - rho * p[list(some)].sum()) ** n for some in sets}
    for top in (0, 2):
        risk = dict.fromkeys(LOSSES, 0.0)
        for some in sets:
            rest = [set(more) for more in sets if some <= set(more)]
            chance = sum((-1) ** len(more - some) * missed[frozenset(more)] for more in rest)
            hidden = sorted(some) if len(some) == 6 else sorted(some - set(range(top)))
            q = p.copy()
            if hidden:
                q[hidden] = p[hidden].sum() / len(hidden)
            for name in LOSSES:
                risk[name] += chance * TEXTBOOK[name](p, q)
        student = kt.students.top_k(top) if top else "sel_ptl"
        for name, expected in risk.items():
            found = kt.exact_risk(teacher, student, n, loss=name)
            assert found == pytest.approx(expected, rel=1e-9), name


def test_classes_equal_the_dense_table():
    row, n = np.array([0.5, 0.3, 0.2]), [0, 7, 90, INF]
    dense = kt.Teacher([row, row[::-1], [0.2, 0.2, 0.6], row[[1, 0, 2]]], [0.2, 0.2, 0.4, 0.2])
    classes = kt.Teacher.from_classes([row, [0.2, 0.6, 0.2]], [0.2, 0.4], [3, 1])
    for student in ("laplace", "sel_ptl", "ce_ful"):
        for loss in LOSSES:
            one, other = (kt.exact_risk(t, student, n, loss=loss) for t in (dense, classes))
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-300)


def test_designs_take_the_loss_after_so_many_visits():
    """sum_s rho_s g(k_s): the risk of one row after k_s samples, for each input."""
    teacher = kt.Teacher([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], [0.25, 0.75])
    law = kt.queries.adaptive([1.0, 3.0])
    visits = law.visits(12)
    for student in ("laplace", "sel_ptl", "ce_ful"):
        for loss in LOSSES:
            each = [
                kt.exact_risk(kt.Teacher([row]), student, int(k), loss=loss)
                for row, k in zip(teacher.pi, visits, strict=True)
            ]
            found = kt.exact_risk(teacher, student, 12, queries=law, loss=loss)
            assert found == pytest.approx(float(teacher.rho @ each), rel=1e-12, abs=1e-16), loss


@row_loss
def dear_first_label(p, q):
    """A loss that tells labels apart."""
    return 2.0 * abs(p[0] - q[0]) + abs(p[1] - q[1])


@row_loss
def no_number(p, q):
    return math.nan


def test_losses_of_ones_own_see_labels_in_their_places():
    teacher = kt.Teacher([[0.1, 0.2, 0.7], [0.1, 0.7, 0.2]], [0.3, 0.7])
    uniform = np.full(3, 1.0 / 3.0)
    lost = [dear_first_label(row, uniform) for row in teacher.pi]
    assert lost[0] != lost[1]
    for n in (0, 1, 5):
        expected = sum(r * (1.0 - r) ** n * x for r, x in zip(teacher.rho, lost, strict=True))
        found = kt.exact_risk(teacher, "ce_ful", n, loss=dear_first_label)
        assert found == pytest.approx(expected, rel=1e-13)
    graph = kt.graphs.path(2)
    found = kt.exact_risk(teacher, kt.students.grad_ful(graph), [0, 1], loss=dear_first_label)
    np.testing.assert_allclose(found, [teacher.rho @ lost, 0.0], rtol=1e-13)
    with pytest.raises(ValueError, match="it is nan between row 0 of the teacher and Uniform"):
        kt.exact_risk(teacher, "ce_ful", 3, loss=no_number)


def test_who_has_no_exact_risk_says_so():
    teacher = kt.Teacher([[0.5, 0.5], [0.5, 0.5]])
    for student in ("ce_ptl", "non_target", kt.students.hinton(0.5), "argmax"):
        with pytest.raises(kt.NoExactRisk, match=r"in loss 'kl': use simulate\(.*loss='kl'\)"):
            kt.exact_risk(teacher, student, 3, loss="kl")
        tv = kt.exact_risk(teacher, student, 3)
        assert kt.exact_risk(teacher, student, 3, loss="acceptance") == 1.0 - tv
    for student in ("laplace", "sel_ptl"):
        with pytest.raises(kt.NoExactRisk, match="in loss 'dear_first_label'"):
            kt.exact_risk(teacher, student, 3, loss=dear_first_label)
    with pytest.raises(ValueError, match="unknown loss 'tvd'"):
        kt.exact_risk(teacher, "ce_sgl", 3, loss="tvd")
    law = kt.queries.iid(labels_per_query=2)
    for student, loss in (("ce_sgl", "kl"), ("ce_ful", dear_first_label)):
        with pytest.raises(kt.NoExactRisk, match=r"loss='\w+'\)"):
            kt.exact_risk(teacher, student, 3, queries=law, loss=loss)
    with pytest.raises(kt.NoExactRisk, match="vanishes beside the visits"):
        kt.exact_risk(teacher, kt.students.add_c(1e-300), 3, loss=KL)
    rows = kt.Teacher(np.random.default_rng(1).dirichlet(np.ones(50), size=200))
    with pytest.raises(kt.NoExactRisk, match=r"give fewer values of n.*loss='js'"):
        kt.exact_risk(rows, KT, 10**12, loss="js")


@pytest.mark.long
def test_simulations_agree_and_tell_another_student():
    """Six standard errors: a false alarm once in 10^8 of 18; add_c(0.5) instead of add_c(1) is 12 or more away in each loss."""
    teacher = kt.Teacher([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]], [0.3, 0.7])
    names = ["kl", "reverse_kl", "chi2", "hellinger2", "js", "l2"]
    students = [LAPLACE, "sel_ptl", "ce_ful"]
    run = kt.simulate(teacher, students, 20, 20_000, seed=3, loss=names, progress=False)
    assert len(run.estimates) == 18
    for found in run.estimates:
        student = LAPLACE if found.student == LAPLACE.name else found.student
        exact = kt.exact_risk(teacher, student, 20, loss=found.loss)
        assert abs(found.mean - exact) <= 6.0 * found.std_error, (found.student, found.loss)
        if student is LAPLACE:
            other = kt.exact_risk(teacher, kt.students.add_c(0.5), 20, loss=found.loss)
            assert abs(found.mean - other) > 12.0 * found.std_error


def test_the_way_out_of_a_refusal_works():
    teacher = kt.Teacher([[0.5, 0.5], [0.1, 0.9]])
    for student, loss in (("ce_ptl", "js"), ("laplace", dear_first_label)):
        with pytest.raises(kt.NoExactRisk, match=r"use simulate\(teacher, student, n, loss="):
            kt.exact_risk(teacher, student, 3, loss=loss)
        found = kt.simulate(teacher, student, 3, 50, loss=loss, progress=False).estimates[0]
        assert found.mean > 0.0
