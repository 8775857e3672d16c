"""The posterior behind `plan --answers`, piece by piece, each against another way to compute the same."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
from grids import few_quick, grid
from scipy import integrate, special, stats

import kt_theory as kt
from kt_theory.kernels import crossings
from kt_theory.planner.posterior import draws, entries, inputs, rows
from kt_theory.planner.posterior.deviations import deviations
from kt_theory.planner.posterior.pilot import MOST_ROWS, pilot

SPIKED = [
    place
    for place, kind in enumerate(rows.KINDS)
    if kind.spike is not None and 0.2 <= kind.alpha <= 5
]
PLAIN = [
    place for place, kind in enumerate(rows.KINDS) if kind.spike is None and 0.2 <= kind.alpha <= 5
]


def transfer_of(pi, n, seed, shown="partial", rho=None):
    """n records of a table that reveal hard, partial, top-2 or soft labels."""
    rng = np.random.default_rng(seed)
    size, labels = pi.shape
    s = rng.choice(size, n, p=rho)
    a = np.array([rng.choice(labels, p=pi[i]) for i in s])
    rank = np.argsort(np.argsort(-pi, axis=1), axis=1)
    own = np.arange(labels) == a[:, None]
    seen = {"partial": own, "top2": own | (rank[s] < 2), "soft": np.ones_like(own), "hard": None}[
        shown
    ]
    logprobs = None if seen is None else np.where(seen, np.log(pi[s]), np.nan)
    names = [str(i) for i in range(labels)]
    return kt.TransferSet.from_arrays([f"q{i}" for i in s], a, logprobs=logprobs, labels=names)


# Rows


@pytest.mark.parametrize("total", [1, 3, 5])
def test_the_chances_of_all_counts_of_a_row_sum_to_one(total):
    counts = np.array([x for x in product(range(total + 1), repeat=3) if sum(x) == total])
    ways = special.gammaln(total + 1) - special.gammaln(counts + 1).sum(axis=1)
    chance = np.exp(rows.count_evidence(counts) + ways[:, None]).sum(axis=0)
    np.testing.assert_allclose(chance, 1.0, rtol=1e-9)


@pytest.mark.parametrize("place", [*PLAIN[:2], *SPIKED[:4]])
def test_the_chance_of_counts_is_the_integral_over_rows(place):
    """A = 2: the density of p is Beta(alpha, alpha), or that of a spike at one label or the other."""
    kind, x, y = rows.KINDS[place], 3, 1
    if kind.spike is None:
        density = stats.beta(kind.alpha, kind.alpha).pdf
    else:
        one, other = stats.beta(*kind.spike), stats.beta(*kind.spike[::-1])

        def density(p):
            return 0.5 * (one.pdf(p) + other.pdf(p))

    integral = integrate.quad(lambda p: p**x * (1.0 - p) ** y * density(p), 0.0, 1.0)[0]
    assert math.exp(rows.count_evidence(np.array([[x, y]]))[0, place]) == pytest.approx(
        integral, rel=1e-6
    )


def over(values):
    """Nodes and weights that integrate over (0, 1), dense towards both ends: the logistic rule."""
    x = np.linspace(-60.0, 60.0, values)
    p, rest = special.expit(x), special.expit(-x)
    return p, rest, p * rest * (x[1] - x[0])


@pytest.mark.parametrize("place", [PLAIN[1], PLAIN[3], SPIKED[1], SPIKED[5]])
def test_the_density_of_a_stated_probability_is_a_density(place):
    """One of three labels is stated: the density of its probability integrates to 1."""
    p, _, weight = over(2001)
    stated = np.column_stack([p, 0 * p, 0 * p])
    density = np.exp(rows.stated_evidence(stated, stated > 0)[:, place])
    assert density @ weight == pytest.approx(1.0, rel=1e-2)


@pytest.mark.parametrize(
    ("place", "p"),
    grid(
        [PLAIN[3], PLAIN[5], SPIKED[3], SPIKED[9]],
        [0.15, 0.6],
        quick=[(PLAIN[3], 0.6), (PLAIN[5], 0.15), (SPIKED[3], 0.15), (SPIKED[9], 0.6)],
    ),
)
def test_hiding_labels_is_integrating_over_them(place, p):
    """f(p) is the integral of f(p, q, 1-p-q) over q: the spike at a hidden label is found by a sum over its share."""

    share, rest, weight = over(2001)
    stated = np.column_stack([np.full(2001, p), (1.0 - p) * share, (1.0 - p) * rest])
    density = np.exp(rows.stated_evidence(stated, stated > -1.0)[:, place])
    one = np.array([[p, 0.0, 0.0]])
    hidden = math.exp(rows.stated_evidence(one, one > 0)[0, place])
    assert hidden == pytest.approx((1.0 - p) * density @ weight, rel=1e-2)


def test_what_is_stated_is_kept_exactly_in_every_draw_and_what_is_hidden_stays_under_its_cap():
    rng = np.random.default_rng(3)
    pi = rng.dirichlet(np.full(6, 0.5), 40)
    post = draws.posterior(transfer_of(pi, 120, 1, "top2"), 6)
    known, seen = post.pilot.known, len(post.pilot.kept)
    assert 0 < known.mean() < 1
    assert (post.pilot.cap < 1.0).any()
    for draw in post.draws:
        np.testing.assert_allclose(draw.p.sum(axis=1), 1.0, atol=1e-9)
        np.testing.assert_array_equal(draw.p[:seen][known], post.pilot.stated[known])
        hidden = np.where(known, 0.0, draw.p[:seen])
        # Where even equal shares exceed the cap, the mass has no other place.
        assert (hidden <= np.maximum(post.pilot.cap, 1e-12)[:, None] * (1 + 1e-6)).mean() > 0.999
        assert draw.mass.sum() == pytest.approx(1.0)


def test_the_cap_is_the_smallest_that_a_record_lists_beside_its_own_label():
    logp = np.full((3, 4), np.nan)
    logp[0, [0, 1, 3]] = np.log([0.5, 0.3, 0.05])
    logp[1, [0, 1]] = np.log([0.5, 0.3])
    logp[2, 2] = math.log(0.4)
    transfer = kt.TransferSet.from_arrays(["p", "p", "q"], [3, 0, 2], logprobs=logp)
    assert pilot(transfer, 4).cap.tolist() == [0.3, 1.0]
    # A larger label that a record left out: these lists are not of the most probable.
    logp[1, [0, 1]] = np.log([np.nan, 0.3])
    logp[1, 2] = math.log(0.01)
    other = kt.TransferSet.from_arrays(["p", "p", "q"], [3, 2, 2], logprobs=logp)
    assert pilot(other, 4).cap.tolist() == [1.0, 1.0]


def test_drawn_rows_have_the_mean_of_the_posterior():
    """Dirichlet(alpha) and counts x: (alpha + x) / (A alpha + n), to 5 standard errors of 20,000 draws."""
    place = next(i for i, kind in enumerate(rows.KINDS) if kind == rows.Kind(0.7))
    count = np.tile([4, 0, 1], (20_000, 1))
    p = rows.draw_counted(count, np.full(20_000, place), np.random.default_rng(1))
    error = np.abs(p.mean(axis=0) - (0.7 + count[0]) / (2.1 + 5)) / (
        p.std(axis=0) / math.sqrt(20_000)
    )
    assert error.max() < 5.0


def test_kinds_of_rows_are_found_again():
    """200 rows of Dirichlet(0.1), wholly stated: the kinds drawn have alphas about it."""
    rng = np.random.default_rng(2)
    pi = np.maximum(rng.dirichlet(np.full(8, 0.1), 200), 1e-12)
    evidence = rows.stated_evidence(pi, np.ones(pi.shape, dtype=bool))
    kind, share = rows.draw_kinds(evidence, np.zeros(200, dtype=np.int64), rng)
    alpha = np.array([rows.KINDS[k].alpha for k in kind])
    assert ((alpha >= 0.05) & (alpha <= 0.2)).mean() > 0.9
    assert share.sum() == pytest.approx(1.0)


def test_the_law_of_entries_fits_rows_that_are_permutations():
    """Zipf rows with half of the labels hidden: drawn rows have about the sum of square roots that the rows have."""
    rng = np.random.default_rng(4)
    row = 1.0 / np.arange(1.0, 13.0)
    pi = np.array([rng.permutation(row / row.sum()) for _ in range(150)])
    known = rng.random(pi.shape) < 0.5
    stated, cap = np.where(known, pi, 0.0), np.ones(150)
    law = entries.entry_law(stated, known, cap)
    drawn = law.draw(stated, known, law.hidden(stated, known, cap), rng)
    np.testing.assert_array_equal(drawn[known], pi[known])
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, atol=1e-9)
    assert np.sqrt(drawn).sum() == pytest.approx(np.sqrt(pi).sum(), rel=0.05)
    others = np.log(np.exp(rows.stated_evidence(stated, known)).sum(axis=1)).sum()
    assert law.evidence(stated, known, cap).sum() > others


def half_shown(pi, seed):
    known = np.random.default_rng(seed).random(pi.shape) < 0.5
    return np.where(known, pi, 0.0), known, np.ones(len(pi))


def test_the_tilt_is_that_of_plain_bisection():
    """All 24 halvings, for means that F reaches and for those that it does not, with caps and without."""
    rng = np.random.default_rng(8)
    log_law = np.log(rng.dirichlet(np.full(len(entries.GRID), 0.3)) + 1e-9)
    mean = np.concatenate([np.exp(rng.uniform(-14, 0, 200)), [1e-12, 2.0, 0.3, 0.3]])
    cap = np.concatenate([rng.uniform(0.01, 1.0, 200), [1.0, 1.0, 0.2, 1e-9]])
    _, _, tilt, _ = entries._tilted(log_law, mean, cap, entries.GRID)
    log = np.where(cap[:, None] * 1.06 >= entries.GRID, log_law, -np.inf)
    log[:, 0] = np.maximum(log[:, 0], -60.0)
    low, high = np.full(204, -6.5), np.full(204, 18.0)
    for _ in range(24):
        middle = 0.5 * (low + high)
        exponent = log - np.sinh(middle)[:, None] * entries.GRID
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        above = weight @ entries.GRID > mean * weight.sum(axis=1)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    np.testing.assert_array_equal(tilt, np.sinh(0.5 * (low + high)))


def test_a_profile_knows_which_values_are_left():
    """Permutations of one list with half of it stated: hidden entries are those of the list that the row lacks."""
    rng = np.random.default_rng(5)
    row = 1.0 / np.arange(1.0, 13.0)
    pi = np.array([rng.permutation(row / row.sum()) for _ in range(150)])
    stated, known, cap = half_shown(pi, 6)
    law = entries.entry_law(stated, known, cap)
    found = entries.profile(law, stated, known, cap)
    assert found.number.sum() == pytest.approx(12.0)
    drawn = found.draw(stated, known, found.hidden(stated, known, cap), rng)
    np.testing.assert_array_equal(drawn[known], pi[known])
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, atol=1e-9)
    # The largest hidden value of each row is found more often than by independent entries.
    largest = np.where(known, 0.0, pi).max(axis=1)
    near = []
    for rows_drawn in (drawn, law.draw(stated, known, law.hidden(stated, known, cap), rng)):
        off = np.abs(np.log(np.where(known, 0.0, rows_drawn).max(axis=1) / largest))
        near.append((off < 0.2).mean())
    assert near[0] > 0.75
    assert near[0] > near[1]


@pytest.mark.parametrize(("permuted", "sign"), [(True, 1), (False, -1)])
def test_rows_that_are_permutations_are_told_from_rows_that_are_not(permuted, sign):
    rng = np.random.default_rng(7)
    row = 1.0 / np.arange(1.0, 13.0)
    alike = np.array([rng.permutation(row / row.sum()) for _ in range(150)])
    pi = alike if permuted else np.maximum(rng.dirichlet(np.full(12, 0.5), 150), 1e-12)
    stated, known, cap = half_shown(pi, 8)
    law = entries.entry_law(stated, known, cap)
    found = entries.profile(law, stated, known, cap)
    others = np.logaddexp.reduce(rows.stated_evidence(stated, known), axis=1).sum()
    assert sign * (found.evidence(stated, known, cap).sum() - others) > 100.0


# Inputs


def test_the_chance_of_visits_is_poisson_up_to_the_sharpest():
    grid = np.log([0.3, 7.0, 350.0])
    j = np.array([1, 5, 400])
    np.testing.assert_allclose(
        np.exp(inputs.log_visits(j, grid)), stats.poisson.pmf(j, np.exp(grid)[:, None]), rtol=1e-9
    )
    sharper = inputs.log_visits(np.array([10_000]), np.log([9_000.0, 10_000.0, 11_000.0]))[:, 0]
    assert sharper[1] > max(sharper[0], sharper[2])


@pytest.mark.parametrize("known", [None, 60])
def test_the_evidence_of_a_family_is_its_integral_over_the_box(known):
    """Population Monte Carlo against a sum over a fine grid of the two parameters of the gamma family."""
    visits = np.random.default_rng(5).poisson(2.0, 60)
    visits = visits[visits > 0]
    family = inputs.families(float(visits.max()))[0]
    grid = np.arange(np.log(1e-4), np.log(2e4), inputs.STEP)
    j, number = np.unique(visits, return_counts=True)
    chance, never = np.exp(inputs.log_visits(j, grid)), np.exp(-np.exp(grid))

    def value(law):
        missed = law @ never
        seen = np.log(np.maximum(law @ chance, 1e-300)) @ number
        if known is None:
            return seen - len(visits) * np.log1p(-np.minimum(missed, 1 - 1e-12))
        return seen + (known - len(visits)) * np.log(np.maximum(missed, 1e-300))

    (a, b), (c, d) = family.box
    first, second = np.linspace(a, b, 161), np.linspace(c, d, 161)
    points = np.array(list(product(first, second)))
    log = value(family.law(points, grid))
    integral = log.max() + math.log(np.exp(log - log.max()).mean())
    _, weight = inputs._particles(family, grid, value, np.random.default_rng(6))
    assert inputs._log_mean(weight) == pytest.approx(integral, abs=0.3)


def test_as_many_inputs_as_are_known_are_drawn():
    visits = np.array([3, 1, 2, 2, 1])
    law = inputs.input_law(visits, 10, np.random.default_rng(0), inputs=9)
    for which in range(10):
        visited, unseen, stands = law.draw(which, np.arange(5), 200, np.random.default_rng(which))
        assert len(visited) == 5
        assert len(unseen) == 4
        assert stands.tolist() == [1.0] * 4
    all_asked = inputs.input_law(visits, 3, np.random.default_rng(0), inputs=5)
    assert all_asked.draw(0, np.arange(5), 9, np.random.default_rng(1))[1].size == 0


# Risks of a draw


def test_the_table_of_deviations_is_the_sum_it_stands_for():
    """Against scipy's binomial and Poisson laws; between the points of the table, to 1 in 500."""
    table = deviations()
    for p, mu in ((0.3, 2.5), (0.011, 40.0), (0.5, 0.02), (1e-4, 7.0), (0.13, 350.0)):
        k = np.arange(1, int(mu + 12.0 * mu**0.5) + 30)
        deviation = [
            np.abs(np.arange(i + 1) / i - p) @ stats.binom.pmf(np.arange(i + 1), i, p)
            for i in k.tolist()
        ]
        exact = stats.poisson.pmf(k, mu) @ np.array(deviation)
        q = np.array([[p, 1.0 - p]])
        risk = crossings.hard_risk(1.0, q, np.ones(1), np.array([mu]), np.zeros(1), *table)
        # Two labels deviate alike, and half of the sum counts.
        assert risk == pytest.approx(exact, rel=2e-3)


def test_the_risk_of_hard_labels_is_the_exact_one():
    """Poisson instead of binomial visits: 400 inputs, within 1 %."""
    rng = np.random.default_rng(7)
    pi = rng.dirichlet(np.full(5, 0.6), 400)
    teacher = kt.Teacher(pi)
    unvisited = 0.5 * np.abs(pi - 0.2).sum(axis=1)
    rho = teacher.rho
    for n in (200, 2000, 40_000, 2_000_000):
        risk = crossings.hard_risk(float(n), pi, rho, rho, unvisited, *deviations())
        assert risk == pytest.approx(kt.exact_risk(teacher, "ce_sgl", n), rel=0.01)


@pytest.mark.parametrize(("student", "top"), [("sel_ptl", 0), ("top_k(2)", 2), ("ce_ful", 6)])
def test_the_risk_of_levels_that_reveal_is_that_of_their_students(student, top):
    """Arrival times against the simulator: 500 inputs, 5 standard errors and 1.5 % for Poisson visits."""
    rng = np.random.default_rng(8)
    pi = rng.dirichlet(np.full(6, 0.5), 500)
    arrival = rng.standard_exponential((60, 500, 6)) * 500.0 / pi
    known = np.zeros(pi.shape, dtype=bool)
    rank = np.argsort(np.argsort(-pi, axis=1), axis=1)
    untouched = crossings.equal_sharing(pi, known)
    chosen = kt.students.top_k(2) if top == 2 else student
    simulated = kt.simulate(
        kt.Teacher(pi), students=[chosen], n=1500, repeats=400, seed=1
    ).frame.iloc[0]
    mass = np.full(500, 1 / 500)
    risk = crossings.revealed_risk(
        1500.0, pi, mass, known, rank, top, untouched, arrival, arrival.min(axis=2)
    )
    spread = 5 * simulated["std_error"] * (1.0 + math.sqrt(400 / 60))
    assert abs(risk - simulated["mean"]) < 0.015 * simulated["mean"] + spread


def test_a_crossing_is_the_first_number_of_the_lattice_that_is_small_enough():
    rng = np.random.default_rng(9)
    pi = rng.dirichlet(np.full(4, 0.5), 30)
    arrival = rng.standard_exponential((5, 30, 4)) * 30.0 / pi
    known = rng.random(pi.shape) < 0.2
    rank = np.argsort(np.argsort(-pi, axis=1), axis=1)
    fixed = (
        pi,
        np.full(30, 1 / 30),
        known,
        rank,
        0,
        crossings.equal_sharing(pi, known),
        arrival,
        arrival.min(axis=2),
    )
    for tv in (0.2, 0.05, 0.01, 1e-4):
        found = {crossings.revealed_crossing(tv, start, *fixed) for start in (1.0, 50.0, 1e6)}
        assert len(found) == 1
        m = found.pop()
        assert crossings.revealed_risk(m, *fixed) <= tv
        if m:
            before = crossings.lattice(crossings.place_of(m) - 1)
            assert crossings.revealed_risk(before, *fixed) > tv
    unvisited = 0.5 * np.abs(pi - 0.25).sum(axis=1)
    hard = (pi, fixed[1], fixed[1], unvisited, *deviations())
    n = {crossings.hard_crossing(0.05, start, *hard) for start in (1.0, 1e3, 1e8)}
    assert len(n) == 1
    n = n.pop()
    assert (
        crossings.hard_risk(n, *hard)
        <= 0.05
        < crossings.hard_risk(crossings.lattice(crossings.place_of(n) - 1), *hard)
    )


def test_the_lattice_counts_by_ones_then_by_twos():
    assert [crossings.lattice(i) for i in (0, 1, 1023, 1024, 1025)] == [0, 1, 1023, 1024, 1026]
    for m in (0, 5, 1023, 1024, 1500, 123_456, 2.0**53):
        place = crossings.place_of(float(m))
        assert crossings.lattice(place) <= m < crossings.lattice(place + 1)


# All together


@pytest.mark.parametrize("shown", few_quick(["hard", "partial", "top2", "soft"], ["hard", "top2"]))
def test_in_every_draw_a_level_that_reveals_more_needs_no_more(shown):
    pi = np.random.default_rng(10).dirichlet(np.full(6, 0.4), 50)
    post = draws.posterior(transfer_of(pi, 150, 2, shown), 6)
    for tv in (0.3, 0.1, 0.03, 0.01):
        needed = [post.further(top, tv) for top in (0, 1, 2, 4, None)]
        for less, more in pairwise(needed):
            assert (less >= more).all()


def test_many_rows_are_looked_at_by_a_sample_that_covers_all_visit_counts():
    rng = np.random.default_rng(11)
    s = np.concatenate([np.arange(5000), np.repeat(np.arange(50), 40)])
    transfer = kt.TransferSet.from_arrays(
        s.tolist(), rng.integers(3, size=len(s)), labels=list("abc")
    )
    found = pilot(transfer, 3)
    assert len(found.kept) == MOST_ROWS
    assert len(np.unique(found.kept)) == MOST_ROWS
    assert found.share == pytest.approx(5000 / MOST_ROWS)
    assert (found.visits[found.kept] == 41).mean() == pytest.approx(0.01, abs=0.002)


def test_a_family_without_a_law_is_an_error():
    with pytest.raises(ValueError, match="has no law"):
        inputs.Family("flat", np.zeros((2, 2))).law(np.zeros((1, 2)), np.zeros(3))


def test_what_a_level_knows_of_a_sample_of_rows_is_what_it_knows_of_them_all(monkeypatch):
    """The rows that are kept see their own records alone."""
    pi = np.random.default_rng(0).dirichlet(np.full(5, 0.5), 60)
    transfer = transfer_of(pi, 200, 1, "top2")
    whole = pilot(transfer, 5)
    monkeypatch.setattr("kt_theory.planner.posterior.pilot.rows_of", lambda labels: 20)
    part = pilot(transfer, 5)
    assert len(part.kept) == 20 < len(whole.kept)
    place = [whole.kept.tolist().index(row) for row in part.kept.tolist()]
    for top in (0, 1, None):
        np.testing.assert_array_equal(part.known_by(top), whole.known_by(top)[place])
