"""Paired differences of students on common transfer sets, against all transfer sets of a tiny domain."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from oracles import paper_table, transfer_sets

import kt_theory as kt

TINY = kt.Teacher([[0.7, 0.3], [0.2, 0.8]], rho=[0.6, 0.4])
NAMES = ["ce_sgl", "laplace", "ce_ful"]


def table_of(name, counts):
    if name == "laplace":
        return (counts + 1.0) / (counts.sum(axis=1, keepdims=True) + counts.shape[1])
    return paper_table(name, counts, TINY.pi)


def enumerated(one, other, n):
    """Return mean, variance and fourth central moment of the difference of losses, the shares of sets on
    which the one is better and worse, and the variance that independent sets would give.
    """
    weights, losses = [], []
    for counts, weight in transfer_sets(TINY, n):
        gaps = [np.abs(table_of(name, counts) - TINY.pi) for name in (one, other)]
        losses.append([0.5 * float(TINY.rho @ gap.sum(axis=1)) for gap in gaps])
        weights.append(weight)
    shares, pairs = np.array(weights), np.array(losses)
    difference = pairs[:, 0] - pairs[:, 1]
    difference[np.abs(difference) < 1e-12] = 0.0
    mean = shares @ difference
    centred = difference - mean
    apart = sum(shares @ (pairs[:, i] - shares @ pairs[:, i]) ** 2 for i in range(2))
    moments = mean, shares @ centred**2, shares @ centred**4
    return *moments, shares @ (difference < 0), shares @ (difference > 0), apart


@pytest.mark.parametrize("n", [2, 6])
def test_differences_are_those_of_all_transfer_sets(n):
    """200,000 sets. Means and shares within 6 standard deviations, 18 comparisons each: false alarms below
    1e-6 where the normal law holds, as it does with these sets of at least 3 values. The variance too, by
    its own; that of independent sets, the control, is refused of laplace.
    """
    repeats = 200_000
    run = kt.simulate(TINY, NAMES, n, repeats, seed=5, progress=False)
    table = run.compare("ce_sgl").set_index("student")
    assert list(table.index) == NAMES[1:]
    for name, row in table.iterrows():
        mean, variance, fourth, better, worse, apart = enumerated(name, "ce_sgl", n)
        assert abs(row["difference"] - mean) < 6 * np.sqrt(variance / repeats)
        for column, share in (("better", better), ("worse", worse)):
            deviation = np.sqrt(max(0.0, share * (1 - share)) / repeats)
            assert abs(row[column] - share) <= 6 * deviation + 1e-15
        found, spread = repeats * row["std_error"] ** 2, np.sqrt((fourth - variance**2) / repeats)
        assert abs(found - variance) < 6 * spread
        assert name == "ce_ful" or abs(found - apart) > 6 * spread
        assert row["low"] < row["difference"] < row["high"]


def test_losses_kept_or_drawn_again_are_the_same_bits():
    """On one thread and on three, with several losses and sizes; another law of queries too."""
    common = {"students": NAMES, "n": [3, 40], "seed": 2, "progress": False, "loss": ["tv", "l2"]}
    for queries in (None, kt.queries.iid([0.1, 0.9])):
        again = kt.simulate(TINY, repeats=3000, threads=3, queries=queries, **common)
        kept = kt.simulate(TINY, repeats=3000, keep_losses=True, queries=queries, **common)
        table = again.compare(kt.STUDENTS["ce_ful"])
        assert table.equals(kept.compare("ce_ful"))
        assert table["loss"].tolist() == ["tv", "l2"] * 4
        means = kept.frame.set_index(["student", "n", "loss"])["mean"]
        for _, row in table.iterrows():
            key = row["n"], row["loss"]
            gap = means[(row["student"], *key)] - means[("ce_ful", *key)]
            assert row["difference"] == pytest.approx(gap, abs=1e-11)
        swapped = again.compare("ce_sgl").query("student == 'ce_ful'")
        there = table.query("student == 'ce_sgl'")
        np.testing.assert_array_equal(swapped["difference"], -there["difference"].to_numpy())
        np.testing.assert_array_equal(swapped["better"], there["worse"])


def test_as_many_sets_as_target_se_asked_for():
    run = kt.simulate(
        TINY, NAMES[:2], [5, 50], 100, seed=1, target_se=2e-3, max_repeats=50_000, progress=False
    )
    drawn = [one.repeats for one in run.estimates[::2]]
    assert drawn[0] > 100
    assert run.compare("ce_sgl")["repeats"].tolist() == drawn


def test_equal_students_have_no_difference_but_a_bound():
    """ce_ptl writes what ce_sgl writes where the teacher's labels are equally likely."""
    run = kt.simulate(
        kt.teachers.uniform(2, 2), ["ce_sgl", "ce_ptl"], 9, 100, loss=["tv", "kl"], progress=False
    )
    row = run.compare("ce_sgl").iloc[0]
    bound = 1 - 0.05 ** (1 / 100)
    assert (row["difference"], row["better"], row["worse"]) == (0.0, 0.0, 0.0)
    assert (row["low"], row["high"]) == pytest.approx((-bound, bound))


def test_infinite_losses():
    """Where both are infinite on one set there is no difference; where one is, it is infinite."""
    run = kt.simulate(TINY, ["ce_sgl", "ce_ptl", "laplace"], 4, 50, loss="kl", progress=False)
    table = run.compare("ce_sgl").set_index("student")
    assert np.isnan(table.loc["ce_ptl", "difference"])
    assert (table.loc["ce_ptl", "low"], table.loc["ce_ptl", "high"]) == (-np.inf, np.inf)
    assert table.loc["laplace", "difference"] == table.loc["laplace", "high"] == -np.inf


@pytest.mark.parametrize(
    ("students", "reference", "message"),
    [
        (
            ["ce_sgl", "laplace"],
            "ce_ful",
            "unknown student 'ce_ful'.*must be one of ce_sgl, laplace",
        ),
        (["ce_sgl", "laplace"], 3, "unknown student 3"),
        (["ce_sgl"], "ce_sgl", "is the only student"),
    ],
)
def test_what_is_no_reference_is_refused(students, reference, message):
    run = kt.simulate(TINY, students, 4, 10, progress=False)
    with pytest.raises(ValueError, match=message):
        run.compare(reference)


def test_a_pickle_holds_no_teacher():
    """The way out in the error works."""
    options = {"students": ["ce_sgl", "laplace"], "n": 4, "repeats": 10, "progress": False}
    run = kt.simulate(TINY, **options)
    read = pickle.loads(pickle.dumps(run))
    assert read == run
    with pytest.raises(ValueError, match="pickle one that has keep_losses=True"):
        read.compare("ce_sgl")
    kept = pickle.loads(pickle.dumps(kt.simulate(TINY, keep_losses=True, **options)))
    assert kept.compare("ce_sgl").equals(run.compare("ce_sgl"))


def test_a_student_that_learns_from_other_sets_is_convicted():
    """The negative control: unpaired losses have the mean difference, but not its standard error."""
    common = {"n": 6, "repeats": 20_000, "keep_losses": True, "progress": False}
    one, other = (kt.simulate(TINY, ["ce_sgl", "laplace"], seed=seed, **common) for seed in (1, 2))
    mixed = np.stack([one.losses[:, :, 0], other.losses[:, :, 1]], axis=-1)
    wrong = kt.Simulation(one.estimates, mixed).compare("ce_sgl").iloc[0]
    right = one.compare("ce_sgl").iloc[0]
    assert wrong["std_error"] > 1.1 * right["std_error"]
