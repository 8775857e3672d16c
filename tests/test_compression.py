"""Compressed teachers: the nearest tables by enumeration, the exact worst cases, and what they cost a student."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from grids import few_quick
from oracles import enumerated_risk, paper_table, transfer_sets

import kt_theory as kt
from kt_theory.compression import lattice, low_rank, pruned


def grid(labels, units):
    """All points of the simplex in multiples of 1/units, as whole numbers."""
    for bars in itertools.combinations(range(units + labels - 1), labels - 1):
        edges = (-1, *bars, units + labels - 1)
        yield tuple(high - low - 1 for low, high in itertools.pairwise(edges))


def distance(q, p):
    """TV in rational arithmetic."""
    return sum((max(a - b, Fraction(0)) for a, b in zip(q, p, strict=True)), Fraction(0))


def dyadic(rng, labels, bits=20):
    """A row whose entries are multiples of 2^-bits, so that float64 and fractions agree."""
    whole = rng.multinomial(1 << bits, rng.dirichlet(np.full(labels, rng.choice([0.2, 1.0]))))
    return whole / 2.0**bits, [Fraction(int(w), 1 << bits) for w in whole]


def worst(labels, bits):
    m = min(2**bits, labels // 2)
    return Fraction(m * (labels - m), labels * 2**bits)


@pytest.mark.parametrize(("labels", "k"), [(2, 1), (3, 1), (3, 2), (4, 2), (5, 3), (5, 5)])
def test_no_table_with_k_labels_is_nearer_than_the_pruned_one(labels, k):
    rng = np.random.default_rng(labels)
    for _ in range(10):
        row, exact = dyadic(rng, labels)
        hidden = 1 - sum(sorted(exact)[labels - k :])
        table = pruned([row], k)
        assert np.count_nonzero(table) <= k
        np.testing.assert_allclose(
            kt.total_variation(table[0], row), float(hidden), rtol=0, atol=1e-15
        )
        sparse = [q for q in grid(labels, 8) if sum(w > 0 for w in q) <= k]
        assert min(distance([Fraction(w, 8) for w in q], exact) for q in sparse) >= hidden
        if hidden > 0:  # what is kept of the smallest instead of the largest is worse: the control
            smallest = np.where(row <= np.sort(row)[k - 1], row, 0.0) + 1e-9 * (
                row == np.sort(row)[k - 1]
            )
            assert kt.total_variation(smallest / smallest.sum(), row) > float(hidden)


def test_pruning_to_all_labels_is_nothing_and_ties_keep_the_first():
    row = np.array([[0.125, 0.25, 0.25, 0.25, 0.125]])
    np.testing.assert_array_equal(pruned(row, 5), row)
    np.testing.assert_array_equal(pruned(row, 2), [[0.0, 0.5, 0.5, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("labels", "bits"), [(2, 0), (2, 3), (3, 2), (4, 0), (4, 2), (5, 1), (6, 1)]
)
def test_no_point_of_the_lattice_is_nearer(labels, bits):
    rng = np.random.default_rng(100 * labels + bits)
    units = 1 << bits
    points = [[Fraction(w, units) for w in q] for q in grid(labels, units)]
    careless = 0
    for _ in range(25):
        row, exact = dyadic(rng, labels)
        table = lattice([row], bits)[0]
        assert table.sum() == 1.0
        np.testing.assert_array_equal(table * units, np.rint(table * units))
        nearest = min(distance(q, exact) for q in points)
        assert distance([Fraction(w) for w in table.tolist()], exact) == nearest
        first = np.floor(
            row * units
        )  # the control: the units that are missing all go to the first label
        first[0] += units - first.sum()
        careless += distance([Fraction(w) for w in (first / units).tolist()], exact) > nearest
    assert careless > 5


@pytest.mark.parametrize(
    ("labels", "bits"),
    [(2, 0), (2, 2), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (6, 1)],
)
def test_the_worst_row_of_the_lattice_is_known_exactly(labels, bits):
    """In multiples of 1/(labels 2^bits), which hold the row that the formula names, no row is further off."""
    units = 1 << bits
    points = [tuple(labels * w for w in q) for q in grid(labels, units)]
    largest = max(
        min(sum(max(a - b, 0) for a, b in zip(p, q, strict=True)) for q in points)
        for p in grid(labels, labels * units)
    )
    assert Fraction(largest, labels * units) == worst(labels, bits)


@pytest.mark.parametrize("labels", [2, 3, 5, 8, 17, 64, 1000])
@pytest.mark.parametrize("bits", [0, 1, 3, 4, 10])
def test_the_worst_row_of_the_lattice_is_attained_and_never_exceeded(labels, bits):
    units, bound = 2**bits, float(worst(labels, bits))
    m = min(units, labels // 2)
    row = np.full(labels, m / (labels * units))
    row[0] += 1.0 - m / units
    np.testing.assert_allclose(kt.total_variation(lattice([row], bits)[0], row), bound, rtol=1e-9)
    rng = np.random.default_rng(labels + bits)
    alphas = np.exp(rng.uniform(-3, 5, 200))
    rows = np.array([rng.dirichlet(np.full(labels, alpha)) for alpha in alphas])
    near = np.abs(
        row + rng.normal(0, 0.05 * m / (labels * units), (200, labels))
    )  # near the worst one
    for table in (rows, near / near.sum(axis=1, keepdims=True)):
        assert kt.total_variation(lattice(table, bits), table).max() <= bound * (1 + 1e-9)
    # A / (4 2^b) is what it comes to for even A <= 2^(b+1); it never fails, and says nothing from A = 4 2^b on.
    assert bound <= labels / (4 * units)
    assert (worst(labels, bits) == Fraction(labels, 4 * units)) == (
        labels % 2 == 0 and labels <= 2 * units
    )
    assert bound < 1.0


def test_no_bits_leave_the_most_probable_label_and_all_bits_nearly_everything():
    teacher = kt.teachers.dirichlet(inputs=20, labels=7, alpha=0.5, seed=1)
    np.testing.assert_array_equal(lattice(teacher.pi, 0), pruned(teacher.pi, 1))
    assert kt.total_variation(lattice(teacher.pi, 30), teacher.pi, teacher.rho) < 7 / 4 * 2.0**-30
    off = np.array([[0.3, 0.7 - 9e-13]])  # a sum that is off by as much as a table may keep
    assert lattice(off, 30).sum() == 1.0


def alternating(scores, weights, rank, rng, sweeps):
    """Fit scores (S, A) by U V^T with entry weights (S, A): least squares in turn, from a random start."""
    right = rng.normal(size=(scores.shape[1], rank))
    for _ in range(sweeps):
        left = np.array([_solve(right, x, w) for x, w in zip(scores, weights, strict=True)])
        right = np.array([_solve(left, x, w) for x, w in zip(scores.T, weights.T, strict=True)])
    return left @ right.T


def _solve(design, values, weights):
    root = np.sqrt(weights)
    return np.linalg.lstsq(root[:, None] * design, root * values, rcond=None)[0]


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_student_of_low_rank_that_regresses_on_logits_converges_to_it(rank):
    rng = np.random.default_rng(rank)
    pi, rho = softmax(1.5 * rng.normal(size=(7, 5))), rng.dirichlet(np.full(7, 2.0))
    logits = np.log(pi) - np.log(pi).mean(axis=1, keepdims=True)
    every = np.broadcast_to(rho[:, None], pi.shape)
    fitted = alternating(logits, every, rank, rng, 300)
    np.testing.assert_allclose(
        low_rank(pi, rank, "logits", rho), softmax(fitted), rtol=0, atol=1e-7
    )
    # A shift of each row, which the softmax does not see, buys the student nothing.
    shifted = alternating(np.log(pi), every, rank + 1, rng, 300)
    assert (every * (fitted - logits) ** 2).sum() >= (
        every * (shifted - np.log(pi)) ** 2
    ).sum() - 1e-12
    # Controls: the unweighted solution is another table, and so is the one for the losses of sampled labels.
    assert np.abs(low_rank(pi, rank, "logits") - softmax(fitted)).max() > 1e-3
    sampled = alternating(logits, rho[:, None] * pi, rank, rng, 300)
    loss = rho[:, None] * pi
    assert (loss * (sampled - logits) ** 2).sum() < 0.99 * (loss * (fitted - logits) ** 2).sum()


@pytest.mark.parametrize("rank", few_quick([1, 2, 3], [2]))
def test_low_rank_probabilities_are_best_in_squared_error_and_bracketed_in_tv(rank):
    rng = np.random.default_rng(10 + rank)
    for alpha in (0.1, 1.0):
        pi, rho = rng.dirichlet(np.full(5, alpha), size=8), rng.dirichlet(np.ones(8))
        table = low_rank(pi, rank, rho=rho)
        scores = alternating(pi, np.broadcast_to(rho[:, None], pi.shape), rank, rng, 500)
        left_out = float((rho @ (scores - pi) ** 2).sum())
        spectrum = np.linalg.eigvalsh((np.sqrt(rho)[:, None] * pi).T @ (np.sqrt(rho)[:, None] * pi))
        np.testing.assert_allclose(left_out, spectrum[: 5 - rank].sum(), rtol=1e-6)
        # The nearest point y of the simplex to x is the one with (x - y) (e_a - y) <= 0 at every vertex e_a.
        beyond = scores - table
        assert (beyond - (beyond * table).sum(axis=1, keepdims=True)).max() < 1e-6
        np.testing.assert_allclose(table.sum(axis=1), 1.0, rtol=0, atol=1e-15)
        assert (rho @ (table - pi) ** 2).sum() <= left_out * (1 + 1e-9)
        assert kt.total_variation(table, pi, rho) <= np.sqrt(5 * left_out) / 2
        for _ in range(200):  # tables of that rank: mixtures of `rank` distributions
            parts = rng.dirichlet(np.full(5, rng.choice([0.1, 1.0])), size=rank)
            mixed = rng.dirichlet(np.full(rank, 0.3), size=8) @ parts
            assert kt.total_variation(mixed, pi, rho) >= left_out / 2


def test_the_best_in_squared_error_is_not_the_best_in_tv():
    """One rare input of its own: the best constant row in TV is the others' row, in squared error it is a mixture."""
    pi, rho = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]), np.array([0.8, 0.2])
    constant = np.tile([0.5, 0.5, 0.0], (2, 1))
    assert kt.total_variation(constant, pi, rho) == pytest.approx(0.2)
    table = low_rank(
        pi, 1, rho=rho
    )  # its scores are pi's heavy row and 0; the nearest distribution to 0 is Uniform
    np.testing.assert_allclose(table, [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-15)
    assert kt.total_variation(table, pi, rho) == pytest.approx(0.2 * 2 / 3)
    assert np.linalg.matrix_rank(table) == 2


def test_full_rank_changes_nothing_and_inputs_that_are_never_asked_are_fitted_by_the_others():
    teacher = kt.teachers.dirichlet(inputs=6, labels=4, alpha=2.0, seed=3)
    for of in ("probabilities", "logits"):
        np.testing.assert_allclose(low_rank(teacher.pi, 4, of), teacher.pi, rtol=0, atol=1e-13)
        rho = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
        np.testing.assert_allclose(
            low_rank(teacher.pi, 2, of, rho)[:2], teacher.pi[:2], rtol=0, atol=1e-13
        )
        assert np.abs(low_rank(teacher.pi, 2, of, rho)[2:] - teacher.pi[2:]).max() > 0.01


@pytest.mark.parametrize(
    "compress", [lambda pi: pruned(pi, 1), lambda pi: lattice(pi, 1), lambda pi: low_rank(pi, 1)]
)
@pytest.mark.parametrize("student", ["ce_sgl", "sel_ptl", "ce_ful"])
def test_who_learns_from_a_compressed_teacher_is_within_the_triangle(student, compress):
    original = kt.Teacher([[0.6, 0.3, 0.1], [0.1, 0.45, 0.45]], [0.7, 0.3])
    teacher = kt.Teacher(compress(original.pi), original.rho)
    floor = kt.total_variation(teacher.pi, original.pi, original.rho)
    assert floor > 0.01
    for n in (0, 1, 3, 5):
        to_compressed = kt.exact_risk(teacher, student, n)
        np.testing.assert_allclose(to_compressed, enumerated_risk(student, teacher, n), rtol=1e-12)
        to_original = sum(
            weight
            * kt.total_variation(
                paper_table(student, counts, teacher.pi), original.pi, original.rho
            )
            for counts, weight in transfer_sets(teacher, n)
        )
        assert abs(floor - to_compressed) - 1e-12 <= to_original <= floor + to_compressed + 1e-12
    # In the end the floor is all there is: ce_ful is on the compressed table but for the inputs that it never saw.
    missed = (original.rho * (1 - original.rho) ** n) @ kt.total_variation(
        np.full(3, 1 / 3), original.pi
    )
    seen = (original.rho * (1 - (1 - original.rho) ** n)) @ kt.total_variation(
        teacher.pi, original.pi
    )
    if student == "ce_ful":
        np.testing.assert_allclose(to_original, missed + seen, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pi: pruned(pi, 0), "k = 0: must be at least 1"),
        (lambda pi: pruned(pi, 4), "k = 4: must be at most 3"),
        (lambda pi: lattice(pi, -1), "bits = -1: must be at least 0"),
        (lambda pi: lattice(pi, 31), "bits = 31: must be at most 30"),
        (lambda pi: low_rank(pi, 0), "rank = 0: must be at least 1"),
        (lambda pi: low_rank(pi, 3), "rank = 3: must be at most 2"),
        (
            lambda pi: low_rank(pi, 1, "logits"),
            r"pi\[0, 2\] = 0: logits need positive probabilities; use of='prob",
        ),
        (lambda pi: low_rank(pi, 1, "logit"), r"unknown of 'logit' \(did you mean 'logits'\?\)"),
        (lambda pi: low_rank(pi, 1, rho=[1.0]), "rho has 1 entries: pi has 2 inputs"),
        (lambda pi: pruned(2.0 * np.asarray(pi), 1), "pi row 0 sums to 2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    assert "\n" not in str(error.value)


def each_input_asked(times, of):
    return kt.queries.adaptive(np.ones(of), labels_per_query=times)


def test_full_replication_takes_one_query_of_the_whole_table():
    teacher = kt.Teacher(
        softmax(np.random.default_rng(2).normal(size=(5, 4))), [0.1, 0.2, 0.3, 0.25, 0.15]
    )
    complete = 1.0 - np.eye(5)
    start = kt.total_variation(np.full(4, 0.25), teacher.pi, teacher.rho)
    for student in (kt.students.grad_ful(complete), kt.students.jacobian(np.eye(5))):
        assert kt.exact_risk(teacher, student, 0) == pytest.approx(start, rel=1e-14)
        assert kt.exact_risk(teacher, student, 1) == 0.0
    assert kt.exact_risk(teacher, "ce_ful", 1) > 0.1  # the control: one row is not the whole table


def test_brute_force_on_soft_labels_ends_when_every_input_was_asked_once():
    teacher = kt.teachers.dirichlet(inputs=6, labels=4, alpha=0.5, seed=5)
    law = each_input_asked(1, 6)
    np.testing.assert_array_equal(law.visits(6), 1)
    assert kt.exact_risk(teacher, "ce_ful", 6, queries=law) == 0.0
    left = int(np.argmin(law.visits(5)))
    one = teacher.rho[left] * kt.total_variation(np.full(4, 0.25), teacher.pi[left])
    assert kt.exact_risk(teacher, "ce_ful", 5, queries=law) == pytest.approx(one, rel=1e-12)
    assert (
        kt.exact_risk(teacher, "ce_ful", 6) > 0.01
    )  # iid queries of the same number leave inputs unasked


def test_brute_force_on_chosen_pairs_ends_at_all_labels_but_one_of_each_input():
    """The probability of a chosen pair, A - 1 of each row: the last one follows. One pair less does not suffice."""
    teacher = kt.teachers.dirichlet(inputs=3, labels=4, alpha=1.0, seed=6)
    asked = np.ones((3, 4), dtype=np.int64)
    asked[[0, 1, 2], [3, 0, 2]] = 0

    def copy(chosen):
        table = np.full((3, 4), np.nan)
        for s in range(3):
            kt.students.SEL_PTL.rule(
                chosen[s], np.where(chosen[s] > 0, teacher.pi[s], np.nan), table[s]
            )
        return kt.total_variation(table, teacher.pi, teacher.rho)

    assert asked.sum() == 3 * (4 - 1)
    assert copy(asked) < 1e-15
    asked[0, 0] = 0
    pair = teacher.pi[0, [0, 3]]
    assert copy(asked) == pytest.approx(teacher.rho[0] * abs(pair[0] - pair[1]) / 2, rel=1e-12)
    # By no rule: two teachers that agree on the pairs asked and differ by the mass m of the two labels of row 0 that
    # were not, put on the one or on the other, are a distance rho m apart. One of them is at least half of that away.
    mass = pair.sum()
    two = [np.where(asked > 0, teacher.pi, 0.0) for _ in range(2)]
    two[0][0, 0], two[1][0, 3] = mass, mass
    for s, a in ((1, 0), (2, 2)):
        two[0][s, a] = two[1][s, a] = teacher.pi[s, a]
    assert kt.total_variation(*two, teacher.rho) == pytest.approx(teacher.rho[0] * mass, rel=1e-12)


def test_brute_force_on_hard_labels_never_ends():
    teacher = kt.Teacher([[0.5, 0.5], [1.0, 0.0]])
    for times in (1, 2, 10, 1000, 10**6):
        risk = kt.exact_risk(teacher, "ce_sgl", 2, queries=each_input_asked(times, 2))
        # Half of E |X/k - 1/2| for k fair throws, de Moivre's formula; the point mass costs nothing.
        half = (times + 1) // 2
        log_choose = sum(np.log1p((times - half) / np.arange(1, half + 1)))
        expected = 0.5 * np.exp(np.log(half / times) + log_choose - times * np.log(2.0))
        assert risk == pytest.approx(expected, rel=1e-8)
        assert risk > 0.3 / np.sqrt(times + 1) / 2
    pinned = kt.Teacher([[0.0, 1.0], [1.0, 0.0]])
    assert kt.exact_risk(pinned, "ce_sgl", 2, queries=each_input_asked(1, 2)) == 0.0
