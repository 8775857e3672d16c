"""Losses of the paper's students straight from the counts, against their definitions in plain Python: rows of every
kind of lane, labels without mass, inputs never asked, counts beyond the tables."""

import math

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.kernels.paths import PATHS
from kt_theory.losses import LOSSES
from kt_theory.simulation.cell import Cell
from kt_theory.simulation.plans import drawn

PAPER = ["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"]
REPEATS = 5


def row_of(name, c, p):
    """Return the row that a student of the paper writes."""
    labels, visits = len(p), sum(c)
    if visits == 0:
        return [1.0 / labels] * labels
    if name == "ce_sgl":
        return [count / visits for count in c]
    if name == "ce_ptl":
        mass = math.fsum(count * each for count, each in zip(c, p, strict=True))
        return [count * each / mass for count, each in zip(c, p, strict=True)]
    if name == "ce_ful":
        return p
    hidden = math.fsum(each for count, each in zip(c, p, strict=True) if count == 0)
    hidden = hidden if hidden > labels * 2.0**-52 else 0.0
    unseen = sum(count == 0 for count in c)
    return [each if count else hidden / unseen for count, each in zip(c, p, strict=True)]


def entropy(p, q):
    if p == 0.0:
        return 0.0
    return p * math.log(p / q) if q > 0.0 else math.inf


def over(p, q):
    return 0.0 if p == q else ((p - q) ** 2 / q if q > 0.0 else math.inf)


TERMS = {
    "tv": lambda p, q: 0.5 * abs(p - q),
    "kl": entropy,
    "reverse_kl": lambda p, q: entropy(q, p),
    "chi2": over,
    "hellinger2": lambda p, q: 0.5 * (math.sqrt(p) - math.sqrt(q)) ** 2,
    "js": lambda p, q: 0.5 * (entropy(p, 0.5 * (p + q)) + entropy(q, 0.5 * (p + q))),
    "l2": lambda p, q: (p - q) ** 2,
    "acceptance": min,
}


def plainly(teacher, counts, name, loss):
    lost = 0.0
    for rho, p, c in zip(teacher.rho.tolist(), teacher.pi.tolist(), counts.tolist(), strict=True):
        if rho > 0.0:
            pairs = zip(p, row_of(name, c, p), strict=True)
            lost += rho * math.fsum(TERMS[loss](*pair) for pair in pairs)
    return lost


def some_teacher(inputs, labels, seed, *, zeros=False, rows=None):
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.full(labels, 0.8), inputs)
    if zeros:
        pi[:, 1::3] = 0.0
        pi[0] = np.eye(labels)[0]
        pi /= pi.sum(axis=1, keepdims=True)
    if rows is not None:
        pi = np.array(rows, dtype=float)
    rho = rng.dirichlet(np.ones(len(pi)))
    if inputs > 2:
        rho[1] = 0.0
        rho /= rho.sum()
    return kt.Teacher(pi, rho)


def losses_of(cell):
    found = np.empty((REPEATS, len(cell.students) * len(cell.losses)))
    cell.run(0, REPEATS, found)
    return found.reshape(REPEATS, len(cell.students), len(cell.losses))


def agree(teacher, n, how=None):
    """Compare all; return how many of the losses are infinite."""
    students = [kt.STUDENTS[name] for name in PAPER]
    cell = Cell(teacher, students, n, seed=7, losses=list(LOSSES.values()), how=how)
    assert len(cell.rules.address) == 0, "a rule is run where a closed form is"
    endless = 0
    for found, counts in zip(losses_of(cell), cell.draw(0, REPEATS), strict=True):
        for name, row in zip(PAPER, found, strict=True):
            for loss, value in zip(LOSSES, row, strict=True):
                right = plainly(teacher, counts, name, loss)
                assert value == pytest.approx(right, rel=1e-12, abs=1e-14), (name, loss)
                endless += math.isinf(value)
    return endless


# S, A: rows by eight, by four (an odd number of labels fills up half a vector), long ones, and all of them.
SIZES = [(1, 1), (1, 2), (4, 3), (7, 5), (8, 4), (15, 3), (2, 67), (13, 1)]


@pytest.mark.parametrize(("inputs", "labels"), SIZES)
@pytest.mark.parametrize("zeros", [False, True])
def test_every_loss_of_every_student_is_that_of_the_row_it_writes(inputs, labels, zeros):
    teacher = some_teacher(inputs, labels, labels, zeros=zeros and labels > 2)
    endless = [agree(teacher, n) for n in (0, 3, 40 * inputs * labels)]
    if labels > 2:
        assert endless[1] > 0


@pytest.mark.parametrize("path", PATHS)
def test_on_every_path(path):
    teacher = some_teacher(14, 5, 3, zeros=True)
    agree(teacher, 30, drawn(teacher, 30, path=path))


def test_counts_that_no_table_has():
    """Beyond 4,095 logarithms and roots are computed: the same bits at the seam."""
    agree(some_teacher(9, 3, 1), 10**5)
    agree(some_teacher(2, 2, 2), 10**10)
    agree(some_teacher(1, 1, 2, rows=[[1.0]]), 4095)
    agree(some_teacher(1, 1, 2, rows=[[1.0]]), 4096)


def test_what_hides_in_the_rounding_of_a_row_is_no_mass():
    """The rule has it so, and then a label that has some is given none."""
    teacher = kt.Teacher([[0.5, 0.5, 1e-17]])
    assert agree(teacher, 40) >= 2 * REPEATS


def test_a_label_without_mass_that_is_given_some():
    """Only reverse_kl is infinite, of the row that shares, until all mass is seen."""
    teacher = kt.Teacher([[0.7, 0.3, 0.0]])
    sel = kt.STUDENTS["sel_ptl"]
    cell = Cell(teacher, [sel], 3, seed=0, losses=[LOSSES["reverse_kl"], LOSSES["kl"]])
    found = losses_of(cell)[:, 0]
    whole = (cell.draw(0, REPEATS)[:, 0, :2] > 0).all(axis=1)
    assert 0 < whole.sum() < REPEATS
    assert (np.isinf(found[:, 0]) == ~whole).all()
    assert (found[whole] == 0.0).all()
    assert np.isfinite(found[:, 1]).all()


def test_together_or_alone_they_are_the_same_bits():
    teacher = some_teacher(15, 5, 5)
    others = [kt.STUDENTS[name] for name in PAPER]
    together = losses_of(Cell(teacher, others, 60, 2, losses=list(LOSSES.values())))
    for place, student in enumerate(others):
        for at, loss in enumerate(LOSSES.values()):
            alone = losses_of(Cell(teacher, [student], 60, 2, losses=[loss]))
            np.testing.assert_array_equal(alone[:, 0, 0], together[:, place, at])


@kt.row_loss
def half_l2(p, q):
    total = 0.0
    for a in range(p.size):
        total += 0.5 * (p[a] - q[a]) ** 2
    return total


@pytest.mark.long  # a loss of one's own and a rule are compiled
def test_beside_rules_they_are_the_same_bits():
    teacher = some_teacher(15, 5, 5)
    others = [kt.STUDENTS[name] for name in PAPER]
    together = losses_of(Cell(teacher, others, 60, 2, losses=list(LOSSES.values())))
    mixed = [others[2], kt.students.add_c(1.0), others[0]]
    beside = losses_of(Cell(teacher, mixed, 60, 2, losses=[LOSSES["js"], half_l2, LOSSES["kl"]]))
    for place, old in ((0, 2), (2, 0)):
        np.testing.assert_array_equal(beside[:, place, 0], together[:, old, 5])
        np.testing.assert_array_equal(beside[:, place, 2], together[:, old, 1])
        np.testing.assert_allclose(beside[:, place, 1], 0.5 * together[:, old, 6], rtol=1e-12)
