"""Labels through a known confusion matrix: what comes back, the student, exact risks and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracles import transfer_sets

import kt_theory as kt
from kt_theory import access, students
from kt_theory.catalogue import level, own_student
from kt_theory.catalogue import student as named
from kt_theory.catalogue.brackets import bracket
from kt_theory.minimax import risk_terms
from kt_theory.simulation.cell import Cell
from kt_theory.testing import assert_risk

MATRIX = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.0, 0.3, 0.7]])
MERGED = np.array([[1.0, 0.0, 0.0], [0.0, 0.4, 0.6], [0.0, 0.4, 0.6]])
TEACHER = kt.Teacher([[0.6, 0.3, 0.1], [0.0, 0.2, 0.8]], [0.7, 0.3])
COINS = kt.Teacher([[0.9, 0.1], [0.35, 0.65], [1.0, 0.0]], [0.5, 0.3, 0.2])


def through(teacher, noise):
    """Return the teacher whose labels are those that come back."""
    confusion = access.confused(noise).channel.confusion(teacher.labels)
    return kt.Teacher(teacher.pi @ confusion, teacher.rho)


def enumerated(teacher, noise, n):
    """Return the risk of the student over all transfer sets of what comes back."""
    student, total = students.confused(noise), 0.0
    for counts, chance in transfer_sets(through(teacher, noise), n):
        table = student.table(counts, np.full(counts.shape, np.nan))
        total += chance * float(kt.total_variation(table, teacher.pi, teacher.rho))
    return total


def nearest(x):
    """The distribution nearest to x: the threshold by a fine search, not by rounds."""
    low, high = x.min() - 1.0, x.max()
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.maximum(x - middle, 0.0).sum() > 1 else (low, middle)
    return np.maximum(x - high, 0.0)


@pytest.mark.parametrize("noise", [0.2, 0.6, 0.9, MATRIX])
def test_the_student_inverts_the_matrix_and_takes_the_nearest_distribution(noise):
    confusion = access.confused(noise).channel.confusion(3)
    rng = np.random.default_rng(1)
    off = 0
    for visits in (1, 5, 40):
        counts = rng.multinomial(visits, rng.dirichlet(np.ones(3), 50))
        table = students.confused(noise).table(counts, np.full(counts.shape, np.nan))
        for row, count in zip(table, counts, strict=True):
            undone = np.linalg.solve(confusion.T, count / visits)
            np.testing.assert_allclose(row, nearest(undone), atol=1e-12)
            off += (undone < 0).any()
    assert off > 20, "the projection is not tried"
    many = np.rint(2.0**50 * (TEACHER.pi @ confusion))
    exact = students.confused(noise).table(many, np.full(many.shape, np.nan))
    np.testing.assert_allclose(exact, TEACHER.pi, atol=1e-13)


def test_labels_whose_rows_are_equal_share_their_mass():
    """The pseudo-inverse: 0.6 of labels 1 and 2 together is 0.3 each."""
    table = students.confused(MERGED).table([[40, 24, 36]], [[math.nan] * 3])
    np.testing.assert_allclose(table, [[0.4, 0.3, 0.3]], atol=1e-12)
    uniform = students.confused(2 / 3).table([[5, 1, 0]], [[math.nan] * 3])
    np.testing.assert_allclose(uniform, [[1 / 3] * 3], atol=1e-12)


@pytest.mark.parametrize("noise", [0.25, MATRIX], ids=["rate", "matrix"])
def test_simulations_are_what_enumeration_says(noise):
    """False alarms below 1e-6; gaps of 0.03 are found. Labels as they were drawn are convicted."""
    student = students.confused(noise)
    run = kt.simulate(TEACHER, ["ce_sgl", student], 4, 20_000, seed=2, progress=False)
    assert_risk(run.estimates[1], enumerated(TEACHER, noise, 4), detects=0.03)
    clean = students.confused(1e-9)
    with pytest.raises(AssertionError, match="away"):
        assert_risk(run.estimates[1], kt.simulate(
            TEACHER, clean, 4, 20_000, progress=False).estimates[0].mean, detects=0.03)  # fmt: skip
    alone = kt.simulate(TEACHER, "ce_sgl", 4, 20_000, seed=2, progress=False)
    assert run.estimates[0] == alone.estimates[0]


def test_the_engine_answers_what_it_says():
    """The labels of a repeat that Python is shown are those that the kernel mixed, at few visits
    and at many; they keep their number.
    """
    student = students.confused(MATRIX)
    for n in (7, 10**6):
        cell = Cell(TEACHER, [kt.STUDENTS["ce_sgl"], student, students.confused(0.3)], n, 3)
        losses = np.empty((4, 3))
        cell.run(0, 4, losses)
        for repeat in range(4):
            drawn, _ = cell.answers(0, repeat)
            for place in (1, 2):
                seen, revealed = cell.answers(place, repeat)
                assert (seen.sum(axis=1) == drawn.sum(axis=1)).all()
                table = cell.students[place].table(seen, revealed)
                loss = kt.total_variation(table, TEACHER.pi, TEACHER.rho)
                assert losses[repeat, place] == pytest.approx(float(loss), abs=1e-12)
        assert (seen != drawn).any()


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.5, 0.85])
def test_two_labels_have_an_exact_risk(rate):
    """Against enumeration, at fixed and at random visits."""
    student = students.confused(rate)
    for n in (0, 1, 2, 4):
        exact = kt.exact_risk(COINS, student, n)
        assert exact == pytest.approx(enumerated(COINS, rate, n), abs=1e-13)
    one = kt.Teacher(COINS.pi[:1])
    assert kt.exact_risk(one, student, 9) == pytest.approx(enumerated(one, rate, 9), abs=1e-13)
    limit = kt.exact_risk(COINS, student, math.inf)
    uniform = float(kt.total_variation(np.full((3, 2), 0.5), COINS.pi, COINS.rho))
    assert limit == (0.0 if rate != 0.5 else pytest.approx(uniform))


def test_noise_of_two_labels_costs_one_over_one_minus_twice_the_rate():
    """At p = 1/2 and many visits the risk is that of clean labels over 1 - 2 eta, to 1 in 1,000."""
    even = kt.Teacher([[0.5, 0.5]])
    for rate in (0.1, 0.4):
        clean = kt.exact_risk(even, "ce_sgl", 10**6)
        ratio = kt.exact_risk(even, students.confused(rate), 10**6) / clean
        assert ratio == pytest.approx(1 / (1 - 2 * rate), rel=1e-3)


def test_more_labels_have_none():
    with pytest.raises(kt.NoExactRisk, match="for teachers of two labels, not of 3: use simulate"):
        kt.exact_risk(TEACHER, students.confused(0.1), 5)
    with pytest.raises(kt.NoExactRisk):
        kt.exact_risk(TEACHER, students.confused(MATRIX), 5)


@pytest.mark.parametrize(
    ("noise", "inputs"),
    [
        (0.1, 1),
        (0.8, 3),
        (MERGED, 1),
        *(
            pytest.param(noise, inputs, marks=pytest.mark.long)
            for noise, inputs in ((0.1, 3), (0.45, 1), (MATRIX, 1), (MATRIX, 3), (MERGED, 3))
        ),
    ],
)
def test_limits_hold_what_students_lose(noise, inputs):
    """No teacher tried loses more than `upper` with the level's student; the worst of a grid of
    pairs, solved by Bayes' rule, loses no less than `lower`.
    """
    labels = 2 if isinstance(noise, float) else 3
    shown = access.confused(noise)
    rng = np.random.default_rng(2)
    for n in (1, 3, 200):
        limit = kt.minimax_risk(shown, inputs, labels, n)
        assert 0.0 < limit.lower <= limit.upper <= 1 - 1 / labels
        for alpha in (0.3, 5.0):
            teacher = kt.Teacher(rng.dirichlet(np.full(labels, alpha), inputs))
            if labels == 2:
                risk = kt.exact_risk(teacher, students.confused(noise), n)
            else:
                run = kt.simulate(teacher, own_student(shown), n, 400, progress=False).estimates[0]
                risk = run.mean - 6 * run.std_error
            assert risk <= limit.upper + 1e-12


def coin_of_bayes(one, other, n):
    """Return the Bayes risk of guessing which of two rows answers, both equally likely: half of
    what both laws of the counts have in common, times their distance.
    """
    common = 0.0
    laws = [dict(counts_of_law(row, n)) for row in (one, other)]
    for counts, chance in laws[0].items():
        common += min(chance, laws[1].get(counts, 0.0))
    return 0.5 * common


def counts_of_law(row, n):
    for counts, chance in transfer_sets(kt.Teacher(row[None]), n):
        yield tuple(counts.ravel().tolist()), chance


def test_of_a_rate_one_pair_of_labels_stands_for_all():
    confusion = access.confused(0.3).channel.confusion(6)
    alike = [np.sqrt(confusion[a] * confusion[b]).sum() for a in range(6) for b in range(a)]
    assert np.ptp(alike) < 1e-15
    assert bracket(access.confused(0.3), 2, 3000).near_pairs == [(0, 1)]
    near = np.array([[0.8, 0.1, 0.1], [0.1, 0.5, 0.4], [0.1, 0.4, 0.5]])
    assert bracket(access.confused(near), 2, 3).near_pairs[0] == (1, 2)


def test_lower_bounds_are_below_the_bayes_risk_of_two_rows():
    """Of one input and two labels the bound is d/2 (1 - sqrt(1 - b^(2n))) at most, and each prior
    on two rows has at least that; the best d of a fine grid nearly attains what is printed.
    """
    for rate, n in ((0.2, 4), (0.35, 9)):
        shown = access.confused(rate)
        confusion = shown.channel.confusion(2)
        bounds, risks = [], []
        for d in np.linspace(0.01, 1.0, 100):
            one, other = np.array([0.5 + d / 2, 0.5 - d / 2]), np.array([0.5 - d / 2, 0.5 + d / 2])
            back = one @ confusion, other @ confusion
            affinity = np.sqrt(back[0] * back[1]).sum()
            bounds.append(d / 2 * (1 - math.sqrt(1 - affinity ** (2 * n))))
            risks.append(d * coin_of_bayes(*back, n))
        assert (np.array(risks) >= np.array(bounds) - 1e-12).all()
        lower = kt.minimax_risk(level(shown.name), 1, 2, n).lower
        hard = kt.minimax_risk("hard", 1, 2, n).lower
        assert lower >= max(0.98 * max(bounds), hard) - 1e-12
        assert lower <= max(*risks, hard) + 1e-12


def test_a_singular_matrix_leaves_a_floor():
    """Merged labels: 1/2 of two, whatever n is; nothing comes back at the rate 1 - 1/A."""
    merged = kt.minimax_risk(access.confused(MERGED), 2, 3, 10**6)
    assert merged.lower == 0.5
    assert risk_terms(access.confused(MERGED), 2, 3).floor >= 0.5
    nothing = kt.minimax_risk(access.confused(2 / 3), 2, 3, 10**6)
    assert nothing.lower == nothing.upper == pytest.approx(2 / 3)
    turned = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.375, 0.375, 0.25]])
    assert kt.minimax_risk(access.confused(turned), 2, 3, 10**6).lower == 0.5
    needed = kt.samples_needed(access.confused(MERGED), 2, 3, 0.3)
    assert needed.n is None
    assert "the confusion matrix does not tell apart" in needed.reason


def test_levels_are_ordered():
    hard, one, other = access.HARD, access.confused(0.1), access.confused(0.2)
    assert hard.covers(one)
    assert access.PARTIAL.covers(one)
    assert not one.covers(hard)
    assert not one.covers(other)
    assert one.covers(access.confused(0.1))
    assert not one.covers(access.PARTIAL)


def test_names_are_read_and_printed(tmp_path):
    np.save(tmp_path / "m.npy", MATRIX)
    assert level("confused(0.1)") == access.confused(0.1)
    assert level("confused(0.1)").name == named("confused(0.1)").name == "confused(0.1)"
    from_file = level(f"confused({tmp_path / 'm.npy'})")
    assert from_file == access.confused(MATRIX)
    assert own_student(from_file) == students.confused(MATRIX)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: access.confused(0.0), "noise = 0.0: must lie strictly between 0 and 1"),
        (lambda: access.confused(math.nan), "noise = nan: must lie strictly between"),
        (lambda: access.confused([[0.5, 0.5]]), r"noise has shape \(1, 2\): must be \(labels, lab"),
        (lambda: access.confused([[0.9, 0.2], [0.5, 0.5]]), "noise row 0 sums to 1.1"),
        (lambda: access.confused([[1.1, -0.1], [0.5, 0.5]]), r"noise\[0, 1\] = -0.1: prob"),
        (
            lambda: kt.minimax_risk(access.confused(MATRIX), 2, 4, 10),
            "its confusion matrix has 3 labels, the teacher 4",
        ),
        (
            lambda: kt.simulate(COINS, students.confused(MATRIX), 5, 10),
            "what it knows is about 3 labels: the teacher has 2",
        ),
        (
            lambda: kt.fit(kt.TransferSet.from_arrays(["q"], [0]), students.confused(0.1)),
            "needs labels that came back through a confusion matrix: .* take 'ce_sgl'",
        ),
        (
            lambda: access.confused(0.1).seen_counts([[1, 1]], [[0.5, 0.5]]),
            "is noisy; give a numpy.random.Generator",
        ),
    ],
)
def test_what_is_no_confusion_is_refused(call, said):
    with pytest.raises(ValueError, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
