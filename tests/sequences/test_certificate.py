"""The bound on the mean over texts: it holds, and it is not wasteful."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sequence_dumps import random_dump

import kt_theory as kt
from kt_theory.sequences.certificate import certified, mean_bound

DELTA = 0.1

LAWS = {
    "coins": (lambda random, n: (random.random(n) < 0.05).astype(float), 0.05),
    "steady": (lambda random, n: random.beta(30.0, 70.0, n), 0.3),
    "wide": (lambda random, n: random.beta(0.3, 0.2, n), 0.6),
    "high": (lambda random, n: (random.random(n) < 0.9).astype(float), 0.9),
}


def failures(law, texts, sets, bound):
    draw, mean = LAWS[law]
    random = np.random.default_rng(11)
    return sum(bound(draw(random, texts)) < mean for _ in range(sets))


def mostly_within(failed, sets):
    """As many failures as sets of a bound that fails with probability DELTA, but for 1 in 10^6."""
    return failed <= sets * DELTA + 4.9 * math.sqrt(sets * DELTA * (1 - DELTA))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("texts", [5, 60])
def test_the_bound_fails_no_more_often_than_it_says(law, texts):
    """60 sets; the mean itself, in place of the bound, is convicted."""
    sets = 60
    assert mostly_within(failures(law, texts, sets, lambda x: mean_bound(x, DELTA)), sets)
    assert not mostly_within(failures(law, texts, sets, np.mean), sets)


@pytest.mark.long
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("texts", [2, 20, 200])
def test_the_bound_fails_no_more_often_in_many_sets(law, texts):
    """2,000 sets: a bound that fails with probability 0.133 and not 0.1 is convicted half of the
    time."""
    sets = 2000
    assert mostly_within(failures(law, texts, sets, lambda x: mean_bound(x, DELTA)), sets)


@pytest.mark.parametrize("law", LAWS)
def test_the_bound_is_near_the_mean_where_texts_are_alike(law):
    """Below Hoeffding's where texts vary little, and never far above; nearer with more texts."""
    draw, mean = LAWS[law]
    values = draw(np.random.default_rng(2), 2000)
    bound = mean_bound(values, 0.05)
    spread = values.std()
    assert values.mean() < bound < values.mean() + 4.5 * spread / math.sqrt(2000) + 8 / 2000
    if law in ("steady", "coins"):
        assert bound < values.mean() + math.sqrt(math.log(20) / 4000)
    assert mean_bound(values[:50], 0.05) > bound
    assert bound > mean - 0.03


def test_the_bound_by_its_own_inequality():
    """At the bound the mean of the products of all stakes is 1/delta."""
    values = np.array([0.1, 0.3, 0.2, 0.5, 0.25])
    stakes = [0.95, *(2.0**-i for i in range(1, 15))]
    t = mean_bound(values, 0.05)
    products = [math.prod(1 + s * (t - x) / (1 - t) for x in values) for s in stakes]
    assert sum(products) / len(products) == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize("values", [np.ones(5), np.zeros(1), np.array([0.5])])
def test_bounds_of_few_and_of_extreme_values(values):
    """In [mean, 1]."""
    assert values.mean() <= mean_bound(values, 0.05) <= 1.0


def test_a_copy_is_certified_by_the_means_of_its_texts():
    """Each held-out text counts alike, whatever its length."""
    lengths = (4, 6, 3, 5, 10, 2, 4, 4, 4, 20)
    _, _, dump = random_dump(3, lengths=lengths)
    copy = kt.fit(dump, "kneser_ney", context=1)
    ends = [0, 10, 30]
    means = [copy.held_out.high[a:b].mean() for a, b in itertools.pairwise(ends)]
    found = copy.certificate(0.9)
    assert found.bound == mean_bound(np.array(means), 1.0 - 0.9)
    assert found.measured == pytest.approx(np.mean(means), abs=1e-15)
    assert (found.texts, found.acceptance) == (2, 1.0 - found.bound)
    assert "with confidence 0.9, a mean over texts, from 2 held out" in str(found)
    assert "assumes: texts are independent draws of one law" in str(found)
    with pytest.raises(ValueError, match="confidence = 1: must lie strictly between 0 and 1"):
        copy.certificate(1)
    assert certified(np.array([0.2]), 0.95).bound > 0.9
