"""kt.worst_teacher: no teacher of a grid beats it, what theory knows is found again, refusals."""

import itertools
import time

import numpy as np
import pytest
from oracles import enumerated_risk

import kt_theory as kt
from kt_theory.students.named import one_student
from kt_theory.worst.ascent import Objective
from kt_theory.worst.design import Design
from kt_theory.worst.search import search

SHARE = 1e-9
"""How far, relatively, the search may stay below the worst teacher known."""


def looked(student, size, n, seed=0):
    """The value that the search finds without the teacher of the limit among its starts."""
    objective = Objective(one_student(student).exact, None, n, lambda: None)
    place, _ = search(objective, size, seed, [])
    return place.value


def rows_of(labels, parts):
    """All rows of multiples of 1/parts, in descending order."""
    found = itertools.combinations_with_replacement(range(parts + 1), labels)
    return [np.array(row[::-1]) / parts for row in found if sum(row) == parts]


def on_a_grid(names, inputs, labels, n, parts):
    """The largest enumerated risk, or difference of two, over teachers of a grid."""
    best = 0.0
    for rows in itertools.combinations_with_replacement(rows_of(labels, parts), inputs):
        for rho in itertools.product(range(1, parts), repeat=inputs - 1):
            law = np.array([*rho, parts - sum(rho)]) / parts
            if law[-1] <= 0.0:
                continue
            teacher = kt.Teacher(np.array(rows), law)
            risks = [enumerated_risk(name, teacher, n) for name in names]
            best = max(best, risks[0] - sum(risks[1:]))
    return best


@pytest.mark.parametrize(
    ("names", "size", "n", "parts"),
    [
        pytest.param(["ce_sgl"], (1, 2), 4, 12, marks=pytest.mark.long),
        (["ce_ful"], (2, 2), 2, 6),
        pytest.param(["sel_ptl"], (1, 3), 3, 12, marks=pytest.mark.long),
        pytest.param(["ce_ptl"], (1, 3), 3, 12, marks=pytest.mark.long),
        pytest.param(["ce_ptl", "sel_ptl"], (1, 3), 3, 8, marks=pytest.mark.long),
        pytest.param(["ce_sgl"], (1, 3), 4, 30, marks=pytest.mark.long),
        pytest.param(["ce_sgl"], (2, 2), 3, 12, marks=pytest.mark.long),
        pytest.param(["sel_ptl"], (2, 3), 3, 8, marks=pytest.mark.long),
        pytest.param(["ce_ptl"], (2, 2), 3, 12, marks=pytest.mark.long),
        pytest.param(["ce_sgl", "ce_ful"], (2, 2), 2, 10, marks=pytest.mark.long),
    ],
)
def test_no_teacher_of_a_grid_is_worse(names, size, n, parts):
    found = kt.worst_teacher(*names, n=n, inputs=size[0], labels=size[1])
    grid = on_a_grid(names, *size, n, parts)
    assert grid <= found.value * (1.0 + SHARE)
    assert grid >= 0.85 * found.value  # the grid is near: a search that stops early is convicted
    risks = [enumerated_risk(name, found.teacher.expand(), n) for name in names]
    assert np.allclose(found.risks, risks, rtol=1e-11)
    assert found.value == found.risks[0] - sum(found.risks[1:])


@pytest.mark.parametrize(
    ("student", "access", "size", "n", "options"),
    [
        ("ce_ful", "soft", (50, 4), 200, {}),
        pytest.param("sel_ptl", "partial", (1, 3), 5, {}, marks=pytest.mark.long),
        pytest.param("sel_ptl", "partial", (10, 10), 200, {}, marks=pytest.mark.long),
        pytest.param("sel_ptl", "partial", (3, 4), 100, {}, marks=pytest.mark.long),
        pytest.param("sel_ptl", "partial", (5, 20), 50, {}, marks=pytest.mark.long),
        pytest.param("sel_ptl", "partial", (100, 25), 1000, {}, marks=pytest.mark.long),
        pytest.param("sel_ptl", "partial", (30, 5), 400, {}, marks=pytest.mark.long),
        pytest.param(kt.students.top_k(1), "top_k", (10, 6), 60, {"k": 1}, marks=pytest.mark.long),
    ],
)
def test_the_search_alone_finds_what_theory_knows(student, access, size, n, options):
    limit = kt.minimax_risk(access, *size, n, **options)
    value = looked(student, size, n)
    assert value >= limit.lower * (1.0 - 1e-3)
    assert value <= limit.upper * (1.0 + 1e-12)


@pytest.mark.long
def test_the_known_worst_row_of_frequencies_is_found():
    """One input of two labels: the uniform row is the worst (binomial mean deviation), n even."""
    found = kt.worst_teacher("ce_sgl", n=10, inputs=1, labels=2)
    uniform = kt.exact_risk(kt.Teacher([[0.5, 0.5]]), "ce_sgl", 10)
    assert found.value >= uniform * (1.0 - 1e-12)
    assert found.most >= found.value
    assert found.least <= found.value


@pytest.mark.long
def test_the_bias_of_ce_ptl_is_found():
    """Instance 0 keeps 0.4457 with 25 labels; the worst row of one heavy label keeps more."""
    known = kt.exact_risk(kt.teachers.instance0(inputs=1, labels=25), "ce_ptl", 300)
    found = kt.worst_teacher("ce_ptl", n=300, inputs=1, labels=25)
    assert found.value >= known
    assert found.most is None


def test_the_same_seed_finds_the_same_teacher():
    one, again = (kt.worst_teacher("ce_ful", n=7, inputs=3, labels=4, seed=5) for _ in range(2))
    assert one == again
    assert [each.starts for each in one.searched] == [len(each.best) for each in one.searched]
    assert one.evaluations > 100


def test_other_losses_and_infinite_ones():
    found = kt.worst_teacher("ce_sgl", n=5, inputs=1, labels=3, loss="l2")
    assert found.value == pytest.approx((1 - 1 / 3) / 5, rel=1e-9)  # sum p(1-p)/n, uniform rows
    assert kt.worst_teacher("ce_sgl", n=5, inputs=1, labels=3, loss="kl").value == np.inf


def test_a_design_is_the_teacher_that_it_was_made_of():
    teacher = kt.Teacher.from_classes([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], [0.1, 0.7], [3, 1])
    design, logits = Design.of(teacher)
    assert design.free == len(logits)
    again = design.teacher(logits)
    assert kt.exact_risk(again, "ce_sgl", 6) == pytest.approx(
        kt.exact_risk(teacher, "ce_sgl", 6), rel=1e-13
    )
    for other in design.neighbours():
        assert sum(other.counts) == teacher.inputs
        assert other.free == design.free
        assert other.teacher(logits).labels == 3


@pytest.mark.parametrize(
    ("student", "options", "words"),
    [
        ("good_turing", {}, "no exact risk in loss 'tv'"),
        ("ce_ptl", {"loss": "kl"}, "no exact risk in loss 'kl'"),
        ("ce_sgl", {"loss": "acceptance"}, "acceptance is 1 - tv"),
        (kt.students.grad_ful(kt.graphs.path(3)), {}, "sees beyond rows"),
        (kt.students.masked("ce_sgl", np.array([True, True, False])), {}, "knows something of one"),
        ("ce_sgl", {"labels": 0}, "labels = 0"),
        ("ce_sgl", {"n": 1.5}, "n = 1.5"),
        ("ce_sgl", {"seed": -1}, "seed = -1"),
    ],
)
def test_what_cannot_be_searched_is_refused(student, options, words):
    with pytest.raises(ValueError, match=".") as error:  # noqa: RUF043
        kt.worst_teacher(student, **{"n": 5, "inputs": 3, "labels": 3} | options)
    assert words in str(error.value)


@pytest.mark.long
@pytest.mark.parametrize("student", ["ce_sgl", "laplace", "sel_ptl", "ce_ful"])
def test_large_sizes_take_less_than_a_minute(student):
    started = time.process_time()
    found = kt.worst_teacher(student, n=100_000, inputs=1000, labels=100)
    assert time.process_time() - started < 60
    assert found.least <= found.value * (1.0 + 1e-4)
    assert found.most is None or found.value <= found.most * (1.0 + 1e-12)
