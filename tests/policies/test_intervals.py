"""Bounds on what rows lose of which only the most probable labels are known."""

import math

import numpy as np
import pytest
from policies import oracle
from policies.enumeration import expected_losses

from kt_theory.kernels.policy_numbers import KL_LEAST, KL_MOST, STORED, TV_LEAST, TV_MOST
from kt_theory.policies import policies
from kt_theory.policies.losses import Question

LABELS, LISTED = 15, 5

EXACT = (
    "renormalised(3), even_tail(3), tail_mass(3), even_tail(5), top_p(0.4), sampled(4),"
    "even_tail(3) rounded(0.3), tail_mass(3) quantised(5), renormalised(4) quantised(5)"
)
"""Policies whose bounds some spread attains, of those whose loss on a whole row is exact."""

LOOSE = (
    "renormalised(8), even_tail(8), tail_mass(8), top_p(0.9), renormalised(8) rounded(0.3),"
    "even_tail(8) quantised(5), soft, rounded(0.3), quantised(5), sampled(60), sampled(900)"
)
"""Policies whose bounds hold, and need not be attained."""


def spreads(listed, random):
    """Yield hidden probabilities that go with the listed ones: corners, the even one, others."""
    mass, cap, hidden = 1.0 - listed.sum(), listed[-1], LABELS - LISTED
    full = int(mass / cap)
    corner = np.zeros(hidden)
    corner[:full], corner[full] = cap, mass - full * cap
    even = np.full(hidden, mass / hidden)
    yield even
    yield corner
    for _ in range(40):
        mixed = random.dirichlet(np.full(4, 0.5)) @ [
            *(random.permutation(corner) for _ in "abc"),
            even,
        ]
        yield mixed


@pytest.fixture(scope="module")
def tops():
    """Rows of listed probabilities whose hidden mass fits under the last of them."""
    random = np.random.default_rng(5)
    found = []
    while len(found) < 12:
        listed = np.sort(random.dirichlet(np.full(LISTED, 0.7)))[::-1] * random.uniform(0.5, 0.97)
        if 1.0 - listed.sum() < 0.95 * (LABELS - LISTED) * listed[-1]:
            found.append(listed)
    return np.array(found)


def both(names, tops):
    """Return the bounds of every row, and the losses of every spread of it."""
    question = Question(tuple(policies(names)), LABELS)
    listed = np.tile(np.arange(LISTED, dtype=np.int32), (len(tops), 1))
    bounds = question.of_rows(np.log(tops), listed)
    random = np.random.default_rng(6)
    whole = []
    for row in tops:
        rows = np.array([[*row, *spread] for spread in spreads(row, random)])
        with np.errstate(divide="ignore"):
            whole.append(question.of_rows(np.log(rows)))
    return bounds, np.array(whole)


def inside(bounds, whole, columns):
    """Which spreads of which rows lie within the bounds, (rows, spreads, policies)."""
    low, high = columns
    above = whole[..., low] >= bounds[:, None, :, low] - 1e-12
    return above & (whole[..., high] <= bounds[:, None, :, high] + 1e-12)


@pytest.mark.parametrize("names", [EXACT, LOOSE])
def test_no_spread_leaves_the_bounds(tops, names):
    bounds, whole = both(names, tops)
    assert inside(bounds, whole, (TV_LEAST, TV_MOST)).all()
    assert inside(bounds, whole, (KL_LEAST, KL_MOST)).all()
    assert (whole[..., STORED] <= bounds[:, None, :, STORED] + 1e-9).all()


def test_some_spread_attains_each_bound(tops):
    bounds, whole = both(EXACT, tops)
    for column, best in ((TV_LEAST, np.min), (KL_LEAST, np.min), (TV_MOST, np.max)):
        reached = best(whole[..., column], axis=1)
        for j in range(len(policies(EXACT))):
            np.testing.assert_allclose(reached[:, j], bounds[:, j, column], atol=1e-12)


def test_a_spread_that_breaks_the_cap_is_found_out(tops):
    """The control: more on one hidden label than on the last listed one leaves the bounds."""
    question = Question(tuple(policies("even_tail(3)")), LABELS)
    bounds, _ = both("even_tail(3)", tops)
    rows = np.zeros((len(tops), LABELS))
    rows[:, :LISTED] = tops
    rows[:, -1] = 1.0 - tops.sum(axis=1)
    rows = -np.sort(-rows, axis=1)
    with np.errstate(divide="ignore"):
        heaped = question.of_rows(np.log(rows))
    assert (heaped[:, 0, TV_MOST] > bounds[:, 0, TV_MOST] + 1e-9).any()


@pytest.mark.parametrize(
    "name", ["sampled(3, 0.7)", "sampled(3, 1.4)", "sampled(3, probabilities=true)"]
)
def test_bounds_of_draws_hold_for_every_spread(name):
    """Expected losses by enumeration of all draws."""
    random = np.random.default_rng(8)
    (one,) = policies(name)
    question = Question((one,), 6)
    for _ in range(6):
        listed = np.sort(random.dirichlet(np.ones(2)))[::-1] * random.uniform(0.4, 0.8)
        mass, cap = 1.0 - listed.sum(), max(listed[-1], (1.0 - listed.sum()) / 4)
        if cap > listed[-1]:
            continue
        full = math.floor(mass / cap)
        corner = np.zeros(4)
        corner[:full], corner[full : full + 1] = cap, mass - full * cap
        names = np.arange(2, dtype=np.int32)[None]
        found = question.of_rows(np.log(listed[None]), names)[0, 0]
        for hidden in (corner, np.full(4, mass / 4), 0.5 * corner + mass / 8):
            tv, kl, stored = expected_losses(np.array([*listed, *hidden]), one)
            assert found[TV_LEAST] - 1e-12 <= tv <= found[TV_MOST] + 1e-12
            assert found[KL_LEAST] - 1e-12 <= kl <= found[KL_MOST] + 1e-12
            assert stored <= found[STORED] + 1e-12


def test_rows_that_are_complete_hide_nothing():
    rows = np.array([[0.5, 0.3, 0.2]])
    names = np.arange(3, dtype=np.int32)[None]
    chosen = tuple(policies("renormalised(2), even_tail(2), sampled(3)"))
    whole = Question(chosen, 9).of_rows(np.log([[0.5, 0.3, 0.2, *[1e-300] * 6]]))
    found = Question(chosen, 9, complete=True).of_rows(np.log(0.9 * rows), names)
    np.testing.assert_allclose(found[0, :, :2], whole[0, :, :2], atol=1e-12)


def test_a_mass_that_no_cap_holds_is_spread_evenly():
    """Rounded values can hide more than A - K labels of the least listed value."""
    found = Question(tuple(policies("even_tail(1)")), 3)
    losses = found.of_rows(np.log([[0.5, 0.1]]), np.array([[0, 1]], dtype=np.int32))[0, 0]
    assert (
        losses[TV_LEAST]
        == losses[TV_MOST]
        == pytest.approx(oracle.tv(np.array([0.5, 0.25, 0.25]), np.array([0.5, 0.1, 0.4])))
    )
