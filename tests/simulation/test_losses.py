"""Losses other than total variation, in the engine: each is taken of the very rows that the student
writes, and their statistics are exact whatever their size."""

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.intervals import Facts, interval
from kt_theory.kernels.divergences import NAMES, log_table
from kt_theory.kernels.statistics import WIDE_BINS, WIDE_SUMS, moments, quantiles
from kt_theory.kernels.tally import accumulate_wide
from kt_theory.losses import LOSSES, TV, as_losses
from kt_theory.simulation.cell import Cell

RNG = np.random.default_rng(16)


@kt.row_loss
def largest_gap(p, q):
    largest = 0.0
    for a in range(p.size):
        largest = max(largest, abs(p[a] - q[a]))
    return largest


@kt.row_loss
def weighted_l2(p, q):
    total = 0.0
    for a in range(p.size):
        total += (a + 1.0) * p[a] * (p[a] - q[a]) ** 2
    return total


def some_teacher(inputs, labels, *, zeros=False):
    """Return a teacher with an input of probability 0 and, with `zeros`, labels that never come."""
    pi = RNG.dirichlet(np.full(labels, 0.7), inputs)
    if zeros:
        pi[:, 1::3] = 0.0
        pi /= pi.sum(axis=1, keepdims=True)
    rho = RNG.dirichlet(np.ones(inputs))
    if inputs > 1:
        rho[0] = 0.0
        rho /= rho.sum()
    return kt.Teacher(pi, rho)


STUDENTS = [
    kt.STUDENTS["ce_sgl"],
    kt.STUDENTS["sel_ptl"],
    kt.students.add_c(0.5),
    kt.students.top_k(1),
    kt.students.noisy(0.3),
    kt.students.tempered_mle(2.0),
]


def test_the_logarithm_is_right_to_a_unit_in_the_last_place():
    x = np.concatenate(
        [
            10.0 ** RNG.uniform(-320, 0, 40_000),
            1.0 - 10.0 ** RNG.uniform(-16, 0, 40_000),
            RNG.uniform(0, 2, 40_000),
            [0.0, 5e-324, 2.0**-1022, 0.5, math.sqrt(0.5), 1.0, np.nextafter(1, 0), 2.0],
        ]
    )
    found = log_table(x)
    with np.errstate(divide="ignore"):
        right = np.log(x)
    assert found[-8] == -np.inf
    assert found[-3] == 0.0
    finite = np.isfinite(right) & (right != 0)
    off = np.abs(found[finite] - right[finite]) / np.spacing(np.abs(right[finite]))
    assert off.max() <= 1.0


def test_the_kernels_know_the_losses_of_the_package():
    assert tuple(LOSSES) == NAMES


@pytest.mark.parametrize(("inputs", "labels", "n"), [(1, 2, 3), (9, 5, 40), (3, 70, 200)])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_loss_is_that_of_the_rows_that_the_student_writes(inputs, labels, n, zeros):
    teacher = some_teacher(inputs, labels, zeros=zeros and labels > 2)
    losses = [*LOSSES.values(), largest_gap, weighted_l2]
    cell = Cell(teacher, STUDENTS, n, seed=5, losses=losses)
    found = np.empty((6, len(STUDENTS) * len(losses)))
    cell.run(0, 6, found)
    weighed = teacher.rho > 0
    for repeat, row in enumerate(found.reshape(6, len(STUDENTS), len(losses))):
        for place, student in enumerate(STUDENTS):
            table = student.table(*cell.answers(place, repeat))
            for loss, value in zip(losses, row[place], strict=True):
                each = loss.of_rows(teacher.pi, table)[weighed]
                right = teacher.rho[weighed] @ each
                assert value == pytest.approx(right, rel=1e-12, abs=1e-14), (student, loss)


def test_losses_asked_together_or_one_by_one_are_the_same_bits():
    teacher = some_teacher(12, 9)
    students = STUDENTS[:3]
    asked = list(LOSSES)
    together = kt.simulate(teacher, students, 30, 300, loss=asked, keep_losses=True)
    assert together.losses.shape == (1, 300, 3, len(asked))
    for place, name in enumerate(asked):
        alone = kt.simulate(teacher, students, 30, 300, loss=name, keep_losses=True)
        np.testing.assert_array_equal(alone.losses, together.losses[..., place])
        pairs = zip(alone.estimates, together.estimates[place :: len(asked)], strict=True)
        for one, other in pairs:
            assert one.student == other.student
            assert one.loss == other.loss == name
            assert one.mean == other.mean
    plain = kt.simulate(teacher, students, 30, 300, keep_losses=True)
    np.testing.assert_array_equal(plain.losses, together.losses[..., asked.index("tv")])


def test_a_right_copy_loses_nothing():
    """Equal rows have no loss at all, so that a risk is that of unvisited inputs alone."""
    teacher = some_teacher(7, 70)
    cell = Cell(teacher, [kt.STUDENTS["ce_ful"]], 10**5, 1, losses=list(LOSSES.values()))
    found = np.empty((20, len(LOSSES)))
    cell.run(0, 20, found)
    right = [1.0 if name == "acceptance" else 0.0 for name in LOSSES]
    whole = cell.draw(0, 20).sum(axis=2)[:, teacher.rho > 0].all(axis=1)
    assert whole.any()
    assert (found[whole][:, :-1] == right[:-1]).all()
    np.testing.assert_allclose(found[whole][:, -1], 1.0, rtol=1e-15)


@pytest.mark.parametrize("zeros", [False, True])
def test_order_laws_hold_on_every_transfer_set(zeros):
    teacher = some_teacher(1, 6, zeros=zeros)  # one row: the laws are those of rows
    found = kt.simulate(
        teacher, STUDENTS, [0, 1, 7, 60], 400, loss=list(LOSSES), keep_losses=True
    ).losses
    tv, kl, _, chi2, hellinger2, js, l2, acceptance = np.moveaxis(found, -1, 0)
    room = 1e-14
    assert (2 * tv**2 <= kl + room).all()
    assert (kl <= np.log1p(chi2) + room).all()
    assert (hellinger2 <= tv + room).all()
    assert (tv <= np.sqrt(2 * hellinger2) + 1e-8).all()
    assert (tv**2 / 2 <= js + room).all()
    assert (js <= tv * np.log(2) + room).all()
    assert (4 * tv**2 / 6 <= l2 + room).all()
    assert (l2 <= 2 * tv**2 + room).all()
    np.testing.assert_allclose(acceptance, 1 - tv, atol=1e-15)
    assert not (2 * tv**2 <= 0.9 * kl).all()  # the laws are sharp enough to be broken


def test_infinite_losses_are_counted_and_never_averaged_away():
    """KL of frequencies is infinite where a label of positive probability stays unseen, which the
    counts tell."""
    teacher = kt.Teacher([[0.6, 0.3, 0.1, 0.0]])
    counts = kt.draw_counts(teacher, 15, 2000, seed=3)[:, 0, :3]
    unseen = int((counts == 0).any(axis=1).sum())
    assert 0 < unseen < 2000
    (found,) = kt.simulate(teacher, "ce_sgl", 15, 2000, seed=3, loss="kl").estimates
    assert found.infinite == unseen
    assert (found.mean, found.low, found.high) == (math.inf,) * 3
    assert math.isnan(found.std_error)
    share = unseen / 2000
    for name, level in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert math.isinf(getattr(found, name)) == (level > 1 - share)
    (finite,) = kt.simulate(teacher, "ce_sgl", 15, 2000, seed=3, loss="reverse_kl").estimates
    assert finite.infinite == 0
    assert math.isfinite(finite.high)


def test_an_infinite_risk_stops_the_search_for_precision():
    teacher = kt.Teacher([[0.6, 0.3, 0.1]])
    found = kt.simulate(
        teacher, ["ce_sgl"], 4, 100, loss=["kl", "l2"], target_se=0.002, max_repeats=10**5
    ).estimates
    assert found[0].infinite > 0
    assert found[0].reached
    assert found[1].reached
    assert found[1].std_error <= 0.002


@pytest.mark.parametrize("repeats", [1, 7, 500])
def test_sums_of_large_losses_are_exact(repeats):
    losses = 2.0 ** RNG.uniform(-60, 59.9, (repeats, 2))
    losses[0, 1] = 2.0**60
    sums = np.zeros((2, WIDE_SUMS), dtype=np.int64)
    histogram = np.zeros((2, WIDE_BINS), dtype=np.int64)
    accumulate_wide(losses, sums, histogram)
    parts = np.zeros_like(sums)
    for row in losses[::-1]:
        accumulate_wide(row[None], parts, np.zeros_like(histogram))
    np.testing.assert_array_equal(parts, sums)
    for column in range(2):
        mean, error = moments(sums[column], repeats)
        right = sum(map(Fraction, losses[:, column].tolist())) / repeats
        assert mean == pytest.approx(float(right), rel=1e-11)
        if repeats > 1:
            spread = losses[:, column].std(ddof=1) / math.sqrt(repeats)
            assert error == pytest.approx(spread, rel=1e-9)
        ordered = np.sort(losses[:, column])
        for share in (0.05, 0.5, 0.95):
            (found,) = quantiles(histogram[column], [share], largest=math.inf)
            exact = ordered[max(1, math.ceil(share * repeats)) - 1]
            assert found == pytest.approx(exact if exact > 2.0**-50 else 0.0, rel=2.0**-11)


def test_a_loss_too_large_to_count_is_infinite():
    sums = np.zeros((1, WIDE_SUMS), dtype=np.int64)
    histogram = np.zeros((1, WIDE_BINS), dtype=np.int64)
    accumulate_wide(np.array([[2.0**60], [2.0**61], [np.inf]]), sums, histogram)
    assert sums[0, -1] == 2
    assert quantiles(histogram[0], [0.3, 0.9], largest=math.inf)[1] == math.inf


def test_equal_losses_without_an_end_have_no_upper_bound():
    facts = Facts(100, 2.0, 0.0, 0.0, ((2.0, 100),))
    low, high, _ = interval(facts, largest=math.inf)
    assert 1.9 < low < 2.0
    assert high == math.inf
    facts = Facts(100, 0.5, 0.0, 0.0, ((0.5, 100),))
    assert interval(facts, largest=math.log(2)).high < math.log(2)


def test_a_loss_of_ones_own_that_is_no_loss_is_refused():
    @kt.row_loss
    def negative(p, q):
        return p[0] - 2.0

    @kt.row_loss
    def undefined(p, q):
        return np.nan

    teacher = some_teacher(3, 4)
    said = rf"loss 'negative' of student 'laplace', row 0.* {teacher.pi[0, 0] - 2.0:.6g}: must be"
    with pytest.raises(ValueError, match=said):
        kt.simulate(teacher, "laplace", 10, 2, loss=["tv", negative])
    with pytest.raises(ValueError, match=r"loss 'undefined' of student 'ce_sgl', row 0.*is nan"):
        kt.simulate(teacher, "ce_sgl", 10, 2, loss=undefined)


def test_a_loss_that_does_not_compile_or_writes_is_refused():
    @kt.row_loss
    def writes(p, q):
        q[0] = 0.0
        return 0.0

    @kt.row_loss
    def strange(p, q):
        return p.no_such_thing()

    for loss in (writes, strange):
        with pytest.raises(ValueError, match=f"loss '{loss.name}' does not compile"):
            kt.simulate(some_teacher(2, 3), "ce_sgl", 10, 2, loss=loss)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("kullback", r"unknown loss 'kullback'.*kl"),
        ([], r"loss = \[\]"),
        (["tv", "tv"], "'tv' stands there twice"),
        (3, r"loss = 3: must be a name"),
        (len, r"loss = .*row_loss"),
    ],
)
def test_bad_losses_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        kt.simulate(some_teacher(2, 3), "ce_sgl", 10, 2, loss=loss)


def test_control_is_of_total_variation_alone():
    teacher = some_teacher(4, 6)
    with pytest.raises(ValueError, match="controls total variation alone"):
        kt.simulate(teacher, "sel_ptl", 10, 20, control=True, loss="kl")
    kt.simulate(teacher, "sel_ptl", 10, 20, control=True, loss=TV)


def test_losses_between_tables_are_checked():
    with pytest.raises(ValueError, match=r"q sums to 1\.1"):
        LOSSES["kl"].between([0.5, 0.5], [0.5, 0.6])
    with pytest.raises(ValueError, match="shape"):
        LOSSES["kl"].between([0.5, 0.5], [0.5, 0.25, 0.25])
    with pytest.raises(ValueError, match="row_loss"):
        kt.row_loss(3)
    assert [loss.name for loss in as_losses("kl")] == ["kl"]


def test_the_page_of_losses_says_what_is_so():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(code, "losses.md", "exec"), {})
    for loss in LOSSES.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{loss.name}` |"))
        assert loss.formula.replace("|", "\\|").replace(" / ", "/") in row.replace(" / ", "/")
