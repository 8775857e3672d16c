"""The assertions for tests of one's own: false alarms as stated, power as stated, and each convicts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import kt_theory as kt
from kt_theory import testing
from kt_theory.testing import (
    assert_below,
    assert_consistent,
    assert_rate,
    assert_risk,
    confidence_radius,
)

TEACHER = kt.teachers.zipf(2, 3)
SIZES = [10, 40, 160]
EXACT = kt.exact_risk(TEACHER, "ce_sgl", SIZES)


@pytest.fixture(scope="module")
def run():
    return kt.simulate(TEACHER, "ce_sgl", SIZES, 40_000, seed=3, progress=False)


def estimate(losses, **more):
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    return SimpleNamespace(mean=losses.mean(), std_error=error, repeats=len(losses), **more)


def fails(assertion, *args, **options):
    try:
        assertion(*args, **options)
    except AssertionError:
        return True
    return False


# All rows of a simulation, its frame, or one of them.


def test_all_rows_or_one(run):
    assert_risk(run, EXACT, detects=0.02)
    assert_risk(run.frame, EXACT, detects=0.02)
    assert_risk(run.estimates[1], EXACT[1], detects=0.02)
    assert_below(run, EXACT, detects=0.02)
    assert_below(run, 0.5, detects=0.02)


def test_one_wrong_row_is_convicted(run):
    wrong = EXACT + np.array([0.0, 0.02, 0.0])
    with pytest.raises(AssertionError, match=r"ce_sgl on zipf.*, n = 40: mean 0.1\d* is 0.02"):
        assert_risk(run, wrong, detects=0.02)
    assert_below(run, wrong, detects=0.02)
    with pytest.raises(AssertionError, match=r"n = 40: mean .* exceeds .* by 0.01"):
        assert_below(run, EXACT - np.array([0.0, 0.02, 0.0]), detects=0.02)


def test_without_power_nothing_passes(run):
    for assertion in (assert_risk, assert_below):
        with pytest.raises(AssertionError, match=r"40000 repeats detect 0.0.* at best, not 0.001"):
            assertion(run, EXACT, detects=0.001)
    said = r"40000 repeats know the slope to 0\.0.* = 0.001 is needed: take about \d{3,} times"
    with pytest.raises(AssertionError, match=said):
        assert_rate(run, -0.52, detects=0.001)


def test_rates(run):
    logs = np.log(SIZES)
    true = np.polyfit(logs, np.log(EXACT), 1)[0]
    assert_rate(run, true, detects=0.2)
    assert_rate(run.frame, -0.5, within=0.1, detects=0.3)
    with pytest.raises(
        AssertionError, match=r"the slope lies from -0.\d+ to -0.\d+: not -1 \+- 0.1"
    ):
        assert_rate(run, -1.0, within=0.1, detects=0.4)
    with pytest.raises(AssertionError, match="the slope lies from"):
        assert_rate(run, true + 0.2, detects=0.2)


def test_curves_are_apart():
    """A student whose bias does not vanish has no rate, also where others have theirs."""
    both = kt.simulate(TEACHER, ["ce_sgl", "ce_ptl"], SIZES, 40_000, seed=3, progress=False)
    with pytest.raises(AssertionError, match=r"student=ce_ptl, access=partial.*: the slope lies"):
        assert_rate(both, -0.5, within=0.1, detects=0.3)


@pytest.mark.parametrize("student", ["ce_sgl", "sel_ptl", "ce_ful"])
def test_consistent_students(student):
    assert_consistent(student)


@pytest.mark.parametrize("student", ["ce_ptl", "argmax"])
def test_a_bias_is_convicted(student):
    with pytest.raises(AssertionError, match=r"n = 1000000: mean 0\.\d+ exceeds 0.01"):
        assert_consistent(student)


# How often they are wrong, at a false alarm that can be measured.


LAWS = {
    "coins": lambda rng, shape: (rng.random(shape) < 0.5).astype(float),
    "rare": lambda rng, shape: (rng.random(shape) < 0.02).astype(float),
    "uniform": lambda rng, shape: rng.random(shape),
}
MEANS = {"coins": 0.5, "rare": 0.02, "uniform": 0.5}


@pytest.mark.parametrize(
    ("law", "calls"),
    [("coins", 100), *(pytest.param(law, 2000, marks=pytest.mark.long) for law in LAWS)],
)
def test_false_alarms_of_all_rows_together(law, calls):
    """Calls of 10 rows at a false alarm of 1e-2: more than the quantile of 1 - 1e-6 refutes it. The
    control, each row at 95 % by the normal law, fails far more often.
    """
    rng = np.random.default_rng(2)
    allowed = binom.ppf(1 - 1e-6, calls, 1e-2)
    wrong = {"risk": 0, "below": 0, "normal": 0}
    for losses in LAWS[law](rng, (calls, 10, 200)):
        rows = pd.DataFrame([vars(estimate(row)) for row in losses])
        common = {"detects": 2.0, "false_alarm": 1e-2}
        wrong["risk"] += fails(assert_risk, rows, MEANS[law], **common)
        wrong["below"] += fails(assert_below, rows, MEANS[law], **common)
        gaps = (rows["mean"] - MEANS[law]).abs()
        wrong["normal"] += bool((gaps > 1.96 * rows["std_error"]).any())
    assert max(wrong["risk"], wrong["below"]) <= allowed < wrong["normal"]


@pytest.mark.long
def test_false_alarms_of_a_rate():
    """300 curves of 3 n whose true slope is -1/2; the control takes the slope to be known exactly."""
    rng = np.random.default_rng(4)
    sizes = np.array([1, 4, 16])
    allowed = binom.ppf(1 - 1e-6, 300, 1e-2)
    wrong = control = 0
    for _ in range(300):
        means = 0.8 * sizes**-0.5
        losses = (rng.random((3, 2000)) < means[:, None]).astype(float)
        rows = pd.DataFrame(
            [vars(estimate(row, n=n)) for row, n in zip(losses, sizes, strict=True)]
        )
        wrong += fails(assert_rate, rows, -0.5, detects=2.0, false_alarm=1e-2)
        found = np.polyfit(np.log(sizes), np.log(rows["mean"]), 1)[0]
        control += abs(found + 0.5) > 0.005
    assert wrong <= allowed < control


def test_what_must_be_detected_is():
    """Gaps of `detects` are caught in 100 runs: at 1e-2, fewer than the 1e-6 quantile refute it."""
    rng = np.random.default_rng(5)
    caught = passed = 0
    for losses in LAWS["coins"](rng, (100, 2000)):
        row = estimate(losses)
        detects = 2.0 * confidence_radius(row.std_error, 2000, 1e-2) * 1.0001
        caught += fails(assert_risk, row, 0.5 + detects, detects=detects, false_alarm=1e-2)
        caught += fails(assert_below, row, 0.5 - detects, detects=detects, false_alarm=1e-2)
        passed += not fails(assert_risk, row, 0.5, detects=detects, false_alarm=1e-2)
    assert caught >= binom.ppf(1e-6, 200, 0.99)
    assert passed >= binom.ppf(1e-6, 100, 0.99)


def test_losses_up_to_2_have_twice_the_room():
    """The rest of Bernstein's bound grows with the range; losses without an end are refused."""
    losses = np.zeros(500)
    radius = confidence_radius(0.0, 500, 1e-6, 2.0)
    assert radius == pytest.approx(2.0 * confidence_radius(0.0, 500, 1e-6))
    assert_risk(estimate(losses, loss="l2"), 0.0, detects=2.0 * radius)
    assert fails(assert_risk, estimate(losses, loss="l2"), 0.0, detects=1.9 * radius)
    run = kt.simulate(TEACHER, "laplace", 20, 50, loss="kl", progress=False)
    with pytest.raises(ValueError, match=r"loss = 'kl': has no end.*loss='tv'"):
        assert_risk(run, 0.1, detects=0.5)


def test_a_controlled_mean_has_the_range_of_its_control():
    run = kt.simulate(TEACHER, "sel_ptl", 20, 5000, control=True, progress=False)
    row = run.estimates[0]
    assert row.variance_factor != 1.0
    radius = confidence_radius(row.std_error, 5000, 1e-6, 4.0)
    assert not fails(assert_risk, run, row.mean, detects=2.01 * radius)
    assert fails(assert_risk, run, row.mean, detects=1.99 * radius)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: assert_risk(run, [0.1], detects=0.1), "expected has 1 entries: there are 3"),
        (lambda run: assert_risk(3, 0.1, detects=0.1), "estimate is a int without rows of mean"),
        (lambda run: assert_risk(run, 0.1, detects=0), "detects = 0: must be a finite number"),
        (lambda run: assert_below(run, "x", detects=0.1), "bound: must be a table of real numbers"),
        (lambda run: assert_rate(run.estimates[0], -1, detects=1), "n = .10.: must be at least 3"),
        (lambda run: assert_rate(run, -1, detects=0.1, within=0.2), "within = 0.2: must be a num"),
        (lambda run: assert_consistent("ce_sgl", []), "teachers = .*give at least one"),
        (lambda run: assert_consistent("ce_sgl", within=0.3), "within = 0.3: must be a number"),
    ],
)
def test_bad_input(run, call, message):
    with pytest.raises(ValueError, match=message):
        call(run)


# Strategies.

QUICK = settings(max_examples=15, deadline=None, database=None, derandomize=True)


@QUICK
@given(st.data())
def test_drawn_students_write_distributions(data):
    """Students of any name and parameters, at their level, on teachers of any kind."""
    teacher = data.draw(testing.teachers(zeros=False))
    student = data.draw(testing.students(teacher.inputs))
    counts = student.access.seen_counts(
        kt.draw_counts(teacher, 5, 1, seed=1)[0], teacher.pi, np.random.default_rng(0)
    )
    revealed = student.access.reveal(counts, teacher.pi, np.random.default_rng(0))
    table = student.table(counts, revealed)
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-9)
    assert (table >= 0).all()


@QUICK
@given(st.data())
def test_drawn_laws_and_levels(data):
    teacher = data.draw(testing.teachers())
    law = data.draw(testing.query_laws(teacher))
    drawn = kt.draw_counts(teacher, 6, 2, queries=law)
    assert (drawn.sum(axis=(1, 2)) == 6 * law.labels_per_query).all()
    level = data.draw(testing.levels(teacher.inputs))
    assert level.covers(level)


@pytest.mark.long
def test_strategies_draw_every_kind():
    """By 400 draws all entries of the catalogue that need no file have been there, and parameters move."""
    from kt_theory import catalogue

    seen, names, laws, shown = set(), set(), set(), set()

    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(
        testing.students(3),
        testing.students(parameters=False),
        testing.query_laws(TEACHER),
        testing.levels(3),
    )
    def collect(student, bare, law, level):
        seen.add(student.name)
        names.add(bare.name)
        laws.add(type(law).__name__)
        shown.add(level.name.partition("(")[0].partition(" ")[0])

    collect()
    assert laws == {"Iid", "Trajectories", "Design", "TwoStage"}
    bare = {entry.build().name for entry in catalogue.STUDENTS.values() if not entry.parameters}
    assert names <= bare | {"logits soft"}
    assert len(seen) > 60
    assert {"gradient", "top_k", "rounded", "confused", "hard"} <= shown
    assert not any("(path" in name for name in names)
