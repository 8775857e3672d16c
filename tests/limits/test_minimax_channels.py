"""Channels, noise and unnormalised logits: floors and brackets against enumeration, integration and optimisation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from grids import few_quick
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom, norm

from kt_theory.access import (
    HARD,
    PARTIAL,
    SOFT,
    Access,
    gradient,
    jacobian,
    logits,
    noisy,
    quantised,
    rounded,
    temperature,
    top_k,
)
from kt_theory.access.channel import Quantised, Rounded
from kt_theory.limits.channels.brackets import hard_at_least, mismatch_floor
from kt_theory.limits.channels.noise import (
    SMALL_NOISE,
    noisy_lower,
    noisy_upper,
    row_noise,
    shown_noise_upper,
)
from kt_theory.limits.channels.pairs import pair_error, quantised_pairs, rounded_pairs
from kt_theory.limits.channels.scale import (
    good_turing_upper,
    missing_mass_upper,
    sampled_logits_lower,
)
from kt_theory.limits.soft import unvisited_mass
from kt_theory.limits.visits import mean_over_visits, most_over_laws, visit_blocks, visit_counts
from kt_theory.minimax import minimax_risk

GREEDY = top_k(2, sampled=False)
CHANNELS = {
    "temperature": lambda of: temperature(2.0, of),
    "logits": logits,
    "rounded": lambda of: rounded(0.2, of),
    "quantised": lambda of: quantised(6, of),
    "noisy": lambda of: noisy(0.3, of),
}
LEVELS = [HARD, PARTIAL, top_k(2), GREEDY, SOFT]
LEVELS += [through(of) for through in CHANNELS.values() for of in (PARTIAL, top_k(2), GREEDY, SOFT)]


def tv(q: np.ndarray, p: np.ndarray) -> float:
    return 0.5 * float(np.abs(q - p).sum())


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick(
        [(1, 5, 50), (20, 10, 1000), (40, 12, 10), (3, 4, 1), (2, 3, 10**6)],
        [(1, 5, 50), (2, 3, 10**6)],
    ),
)
def test_brackets_follow_the_order_of_the_levels(inputs: int, labels: int, n: int) -> None:
    limits = {level.name: minimax_risk(level, inputs, labels, n) for level in LEVELS}
    compared = 0
    for more, less in itertools.permutations(LEVELS, 2):
        if more.covers(less):
            above, below = limits[more.name], limits[less.name]
            assert above.lower <= below.lower * (1 + 1e-9), (above, below)
            assert above.upper <= below.upper * (1 + 1e-9), (above, below)
            compared += 1
    assert compared > 100
    for limit in limits.values():
        assert 0 <= limit.lower <= limit.upper <= 1 - 1 / labels + 1e-15


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_protocol_at_the_edges(level: Access) -> None:
    for inputs, labels, n in (
        (1, 1, 5),
        (7, 1, 0),
        (3, 4, 0),
        (1, 2, 1),
        (2, 2, 3),
        (10**9, 3, 2**53),
    ):
        limit = minimax_risk(level, inputs, labels, n)
        assert 0 <= limit.lower <= limit.upper <= 1 - 1 / labels + 1e-15
        assert (limit.access, limit.inputs, limit.labels, limit.n) == (
            level.name,
            inputs,
            labels,
            n,
        )
        if n == 0 or labels == 1:
            assert limit.exact
            assert limit.lower == pytest.approx(1 - 1 / labels)


def test_levels_that_can_be_undone_are_exact() -> None:
    soft = minimax_risk("soft", 30, 8, 200)
    for level in (SOFT, temperature(3.0), logits(), logits(top_k(8)), temperature(0.5, top_k(9))):
        limit = minimax_risk(level, 30, 8, 200)
        assert limit.exact
        assert limit.lower == limit.upper == soft.lower
    features = np.arange(12.0).reshape(6, 2)
    assert minimax_risk(jacobian(features), labels=4, n=0).lower == 0.75
    assert minimax_risk(jacobian(features), labels=4, n=1).upper == 0.0
    net = np.eye(5, k=1) + np.eye(5, k=-1)
    same = minimax_risk("gradient", graph=net, labels=3, n=9)
    assert minimax_risk(gradient(net), labels=3, n=9).lower == same.lower
    assert minimax_risk(gradient(net), 5, 3, 9).upper == same.upper


def test_strings_and_objects_agree() -> None:
    for name, level in (("hard", HARD), ("partial", PARTIAL), ("soft", SOFT)):
        assert minimax_risk(level, 3, 4, 9).lower == minimax_risk(name, 3, 4, 9).lower
    assert minimax_risk(top_k(2), 3, 6, 9).upper == minimax_risk("top_k", 3, 6, 9, k=2).upper


@pytest.mark.parametrize(
    ("level", "options", "words"),
    [
        (SOFT, {"k": 2}, "k is given"),
        (SOFT, {"labels_per_query": 2}, "labels_per_query is given"),
        (HARD, {"hops": 2}, "hops is given"),
        (gradient(np.eye(3)), {"inputs": 4}, "the graph has 3 vertices"),
        (jacobian(np.eye(3)), {"inputs": 4}, "the features are of 3 inputs"),
        ("softly", {}, "unknown access level"),
    ],
)
def test_bad_input_is_named(level: Access | str, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        minimax_risk(level, **{"inputs": 3, "labels": 4, "n": 5} | options)


# Floors of rounding and of a wrong temperature.


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.integers(2, 8), st.floats(0.01, 4.0), st.integers(0, 2**32 - 1))
def test_normalised_rounded_rows_stay_within_the_floor(labels: int, step: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(labels, rng.choice([0.2, 1.0, 10.0])))
    shown = Rounded(step).shown(p[None, :])[0]
    assert tv(shown / shown.sum(), p) <= math.tanh(step / 4) + 1e-12


def test_the_rounded_floor_is_sharp() -> None:
    """Rows of one code 1/A, a share of them above: all permutations look alike, and equal shares lose tanh(step/4)."""
    labels, step = 10**4, math.log(100.0)
    high = math.ceil(labels / (1 + math.exp(step / 2))) + 1
    p = np.full(labels, math.exp(-step / 2) / labels * (1 + 1e-12))
    p[:high] = (1 - p[high:].sum()) / high
    assert np.unique(Rounded(step).shown(p[None, :])).size == 1
    assert tv(np.full(labels, 1 / labels), p) == pytest.approx(
        Rounded(step).floor(labels), rel=1e-3
    )
    assert Rounded(50.0).floor(4) == 0.75


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.integers(2, 6), st.floats(0.1, 5.0), st.integers(0, 2**32 - 1))
def test_mismatch_floor(labels: int, b: float, seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=labels) * 2
    p, q = np.exp(z) / np.exp(z).sum(), np.exp(b * z) / np.exp(b * z).sum()
    assert tv(p, q) <= mismatch_floor(b, float(np.ptp(z))) + 1e-12
    m = labels * 7
    osc = 2 * math.log(m) / (b + 1)
    p, q = ((np.r_[math.exp(c * osc), np.ones(m)] / (math.exp(c * osc) + m)) for c in (1, b))
    assert tv(p, q) == pytest.approx(mismatch_floor(b, osc), abs=1e-12)


def test_mismatch_floor_refuses() -> None:
    assert mismatch_floor(1.0, 9.0) == mismatch_floor(3.0, 0.0) == 0.0
    for b, osc, word in ((0.0, 1.0, "b = 0.0"), (2.0, -1.0, "osc = -1.0")):
        with pytest.raises(ValueError, match=word):
            mismatch_floor(b, osc)


# Quantised rows.


def radius(low: np.ndarray, high: np.ndarray) -> float | None:
    """Return the least over q of the largest TV(q, p), p in {low <= p <= high, sum 1}, by a linear programme."""
    labels, corners = len(low), []
    for free in range(labels):
        others = [a for a in range(labels) if a != free]
        for ends in itertools.product(*[(low[a], high[a]) for a in others]):
            rest = 1 - sum(ends)
            if low[free] - 1e-12 <= rest <= high[free] + 1e-12:
                corner = np.empty(labels)
                corner[others], corner[free] = ends, rest
                corners.append(corner)
    if not corners:
        return None
    size = labels * (1 + len(corners)) + 1
    rows, limits = [], []
    for c, corner in enumerate(corners):
        total = np.zeros(size)
        for a in range(labels):
            for sign in (1.0, -1.0):
                line = np.zeros(size)
                line[a], line[labels * (1 + c) + a] = sign, -1.0
                rows.append(line)
                limits.append(sign * corner[a])
            total[labels * (1 + c) + a] = 0.5
        total[-1] = -1.0
        rows.append(total)
        limits.append(0.0)
    sums = np.r_[np.ones(labels), np.zeros(size - labels)][None, :]
    cost = np.r_[np.zeros(size - 1), 1.0]
    return float(
        linprog(cost, A_ub=np.array(rows), b_ub=limits, A_eq=sums, b_eq=[1.0], bounds=(0, None)).fun
    )


@pytest.mark.parametrize(("labels", "bits"), [(2, 1), (2, 3), (3, 1), (3, 2), (4, 1), (4, 2)])
def test_quantised_floor_against_the_best_decoder_of_every_code(labels: int, bits: int) -> None:
    unit, worst = 2.0**-bits, 0.0
    for code in itertools.combinations_with_replacement(range(2**bits + 1), labels):
        middle = np.array(code) * unit
        found = radius(np.maximum(middle - unit / 2, 0), np.minimum(middle + unit / 2, 1))
        worst = max(worst, found or 0.0)
    assert worst <= Quantised(bits).floor(labels) + 1e-12
    teachers = quantised_pairs(bits, labels)
    pairs = max(
        sum(one.number * one.total * one.contrast / 2 for one in kinds) for kinds in teachers
    )
    assert pairs <= worst + 1e-12
    if labels % 2 == 0 and labels <= 2**bits:
        assert pairs == pytest.approx(Quantised(bits).floor(labels), rel=1e-8)
        assert Quantised(bits).floor(labels) == pytest.approx(labels / 4 * unit)


@pytest.mark.parametrize(
    ("labels", "bits"), [(2, 1), (3, 1), (3, 2), (4, 1), (4, 2), (5, 2), (5, 3)]
)
def test_the_quantised_floor_is_what_its_student_loses_at_worst(labels: int, bits: int) -> None:
    """Every code, every set of labels: the student stands on the line between the ends of the cells."""
    unit, worst = 2.0**-bits, 0.0
    for code in itertools.combinations_with_replacement(range(2**bits + 1), labels):
        middle = np.array(code) * unit
        low, high = np.maximum(middle - unit / 2, 0), np.minimum(middle + unit / 2, 1)
        if low.sum() > 1 or high.sum() < 1:
            continue
        q = low + (1 - low.sum()) / (high - low).sum() * (high - low)
        for chosen in itertools.product((False, True), repeat=labels):
            inside = np.array(chosen)
            mass = min(high[inside].sum(), 1 - low[~inside].sum())
            worst = max(worst, mass - q[inside].sum())
    assert Quantised(bits).floor(labels) == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize("labels", [2, 3, 5, 16, 25, 300])
def test_pairs_are_shown_alike(labels: int) -> None:
    teachers = [(Rounded(step), rounded_pairs(step, labels)) for step in (0.01, 0.3, 1.0, 4.0)]
    teachers += [(Quantised(bits), quantised_pairs(bits, labels)) for bits in (1, 3, 8)]
    for channel, kinds in teachers:
        for pairs in kinds:
            rows = np.zeros((2, labels))
            used, mass = 0, 0.0
            for one in pairs:
                assert 0 < one.contrast <= 1
                for sign in (0, 1):
                    ends = 0.5 * one.total * (1 + np.array([1, -1]) * one.contrast * (1 - 2 * sign))
                    rows[sign, used : used + 2 * one.number] = np.tile(ends, one.number)
                used, mass = used + 2 * one.number, mass + one.number * one.total
            assert used <= labels
            assert mass <= 1 + 1e-12
            shown = channel.shown(rows)
            np.testing.assert_array_equal(shown[0], shown[1])
            assert mass == pytest.approx(1.0) or used < labels


def test_pair_error_is_the_bayes_risk_of_a_pair() -> None:
    for n, share, d in ((0, 0.5, 0.3), (1, 0.5, 0.3), (7, 0.9, 0.1), (30, 0.2, 0.6), (5, 1.0, 1.0)):
        direct = 0.0
        for hits in range(n + 1):
            ups = np.arange(hits + 1)
            chance = (
                np.minimum(
                    binom.pmf(ups, hits, (1 + d) / 2), binom.pmf(ups, hits, (1 - d) / 2)
                ).sum()
                / 2
            )
            direct += binom.pmf(hits, n, share) * chance
        assert pair_error(n, share, d) == pytest.approx(direct, rel=1e-9)


def test_rounding_costs_little_when_fine_and_the_floor_when_coarse() -> None:
    fine, coarse = minimax_risk(rounded(1e-6), 5, 10, 40), minimax_risk(rounded(0.5), 5, 10, 40)
    assert fine.upper <= minimax_risk("soft", 5, 10, 40).lower + 1e-6
    assert coarse.lower > 0.04
    many = minimax_risk(rounded(0.5, GREEDY), 5, 10, 10**12)
    assert many.lower > 0.3
    assert minimax_risk(rounded(0.5), 5, 10, 10**12).upper < 1e-4


# Noise.


def expected_tv_two(p: float, s: float) -> float:
    x, w = np.polynomial.hermite_e.hermegauss(101)
    q = 1 / (1 + (1 - p) / p * np.exp(s * math.sqrt(2) * x))
    return float(w @ np.abs(q - p)) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("s", [0.01, 0.1, 0.3, 0.4, 0.6, 1.0, 3.0, 10.0])
def test_row_noise_bounds_two_labels_by_quadrature(s: float) -> None:
    bound = float(row_noise(np.array([s]), 2)[0])
    worst = max(expected_tv_two(p, s) for p in (0.5, 0.4, 0.2, 0.05))
    assert worst <= bound * (1 + 2e-2)  # the integrand has a kink, which the quadrature sees to 2 %
    if s <= 0.01:
        assert worst > 0.95 * bound


def test_row_noise_bounds_many_labels_by_simulation() -> None:
    """40,000 draws: a standard error below 0.3 % of the mean; six of them make a false alarm rarer than 1e-8."""
    rng = np.random.default_rng(0)
    for labels, s in itertools.product((3, 30), (0.05, 0.4, 1.5)):
        bound = float(row_noise(np.array([s]), labels)[0])
        for p in (np.full(labels, 1 / labels), np.r_[0.5, np.full(labels - 1, 0.5 / (labels - 1))]):
            q = p * np.exp(s * rng.standard_normal((40_000, labels)))
            losses = 0.5 * np.abs(q / q.sum(axis=1, keepdims=True) - p).sum(axis=1)
            assert losses.mean() - 6 * losses.std() / 200 <= bound
        if s == 0.05 and labels == 30:
            uniform = 0.5 * math.sqrt(2 / math.pi) * s * math.sqrt(1 - 1 / labels)
            assert bound == pytest.approx(uniform, rel=0.05)
            assert bound * 0.9 < uniform  # a constant ten per cent smaller would be wrong


def test_noisy_lower_is_below_the_bayes_risk_of_two_teachers() -> None:
    """One input, two labels: the exact error of the likelihood ratio test of both kinds of evidence."""
    for n, sigma in ((1, 1.0), (10, 0.5), (25, 3.0)):
        best = 0.0
        for d in np.linspace(0.005, 0.99, 60):
            apart = math.log1p(d) - math.log1p(-d)
            ups = np.arange(n + 1)
            # log-likelihood ratio: normal with mean n l^2/sigma^2 and variance twice that, plus (2 ups - n) l
            mean = n * apart**2 / sigma**2 + (2 * ups - n) * apart
            error = binom.pmf(ups, n, (1 + d) / 2) @ norm.cdf(
                -mean / (math.sqrt(2 * n) * apart / sigma)
            )
            best = max(best, d * float(error))
        found = noisy_lower(1, 2, n, sigma)
        assert 0.5 * best < found <= best * (1 + 1e-3)


def test_the_sharp_bound_of_noise_is_concave_where_it_is_used() -> None:
    """R(t) = e^(t^2/2) Phi(t) - 1/2 as a function of t^2, up to twice the largest s^2: what its proof needs."""
    square = np.linspace(1e-4, 2.0 * SMALL_NOISE, 2001)
    risk = np.exp(0.5 * square) * norm.cdf(np.sqrt(square)) - 0.5
    assert (np.diff(risk, 2) < 0.0).all()


def test_an_odd_label_is_in_no_pair() -> None:
    assert noisy_lower(1, 1, 5, 0.5) == 0.0
    assert noisy_lower(2, 3, 9, 0.5) == noisy_lower(2, 2, 9, 0.5)


def test_noise_vanishes_with_sigma_and_with_n() -> None:
    assert noisy_upper(2, 5, 0, 0.2) == 0.8
    assert noisy_upper(20, 5, 300, 1e-9) == pytest.approx(
        minimax_risk("soft", 20, 5, 300).lower, rel=0.02
    )
    for n in (10**4, 10**6, 10**8):
        asymptotic = 0.8 * unvisited_mass(20, n).value + 0.4 * math.sqrt(
            20 * 0.8 / (2 * math.pi * n)
        )
        assert asymptotic * 0.75 < noisy_upper(20, 5, n, 0.4) < asymptotic * 1.1
    assert shown_noise_upper(10, 1000, 1e-6) < 1e-6


# Rows of unknown scale.


def missing_mass_risk(pi: np.ndarray, rho: np.ndarray, n: int) -> float:
    """The risk of the missing-mass student, by drawing every transfer set."""
    inputs, labels = pi.shape
    joint, total = (rho[:, None] * pi).ravel(), 0.0
    for drawn in itertools.product(range(inputs * labels), repeat=n):
        chance, loss = float(np.prod(joint[list(drawn)])), 0.0
        for s in range(inputs):
            seen = {i % labels for i in drawn if i // labels == s}
            q = np.zeros(labels) if seen else np.full(labels, 1 / labels)
            for a in seen:
                q[a] = pi[s, a]
            loss += rho[s] * tv(q / max(q.sum(), 1e-300), pi[s]) if chance else 0.0
        total += chance * loss
    return total


@pytest.mark.parametrize(
    ("inputs", "labels", "n"), [(1, 3, 1), (1, 3, 4), (2, 2, 3), (2, 3, 2), (3, 2, 2)]
)
def test_missing_mass_upper(inputs: int, labels: int, n: int) -> None:
    bound, rng = missing_mass_upper(inputs, labels, n), np.random.default_rng(4)
    for _ in range(20):
        pi = rng.dirichlet(np.full(labels, rng.choice([0.3, 3.0])), size=inputs)
        rho = rng.dirichlet(np.full(inputs, 1.0))
        assert missing_mass_risk(pi, rho, n) <= bound + 1e-12
    if inputs == 1:
        law = unvisited_mass(labels, n)
        row = np.full(labels, law.light)
        row[0] = law.heavy
        attained = missing_mass_risk(row[None, :], np.ones(1), n)
        assert attained == pytest.approx(min(law.value, 1.0), rel=1e-9)
        assert bound == pytest.approx(min(attained, 1 - 1 / labels), rel=1e-9)


@pytest.mark.parametrize(("labels", "n"), [(2, 1), (2, 6), (3, 5), (5, 4)])
def test_good_turing_upper(labels: int, n: int) -> None:
    bound, rng = good_turing_upper(1, labels, n, 0.0), np.random.default_rng(6)
    for _ in range(10):
        p = rng.dirichlet(np.full(labels, rng.choice([0.2, 1.0, 5.0])))
        error = 0.0
        for drawn in itertools.product(range(labels), repeat=n):
            counts = np.bincount(drawn, minlength=labels)
            error += float(np.prod(p[list(drawn)])) * abs(
                (counts == 1).sum() / n - p[counts == 0].sum()
            )
        assert error <= bound


@pytest.mark.parametrize("n", [1, 5, 40, 10**4])
def test_sampled_logits_lower_for_two_labels(n: int) -> None:
    """One input: a second label of probability y may be there or not; unseen, it costs y q/(1+q), q = (1-y)^n."""
    y = np.geomspace(1e-3 / n, 0.9, 20_001)
    q = np.exp(n * np.log1p(-y))
    found = sampled_logits_lower(1, 2, n)
    assert found == pytest.approx(float((y * q / (1 + q)).max()), rel=1e-5)
    assert minimax_risk("partial", 1, 2, n).upper == 0.0
    assert found <= minimax_risk(logits(PARTIAL), 1, 2, n).upper


def test_sampled_logits_lower_is_below_every_student_it_could_meet() -> None:
    for inputs, labels, n in ((1, 3, 4), (1, 20, 50), (5, 4, 30), (100, 6, 10**4), (10, 3, 2)):
        assert sampled_logits_lower(inputs, labels, n) <= missing_mass_upper(inputs, labels, n)


# What all of them rest on.


@pytest.mark.parametrize(
    ("inputs", "n"),
    few_quick([(1, 5), (2, 3), (3, 40), (50, 20), (60, 2000)], [(1, 5), (2, 3), (3, 40), (50, 20)]),
)
def test_most_over_laws(inputs: int, n: int) -> None:
    def loss(visits: np.ndarray) -> np.ndarray:
        return np.where(visits > 0, 0.4 / np.sqrt(np.maximum(visits, 1)), 0.8)

    bound, rng, k = most_over_laws(inputs, n, loss), np.random.default_rng(0), np.arange(n + 1.0)
    best = 0.0
    for _ in range(30):
        rho = rng.dirichlet(np.full(inputs, rng.choice([0.3, 2.0, 100.0])))
        best = max(best, sum(r * float(binom.pmf(k, n, r) @ loss(k)) for r in rho))
    even = inputs * (1 / inputs) * float(binom.pmf(k, n, 1 / inputs) @ loss(k))
    assert max(best, even) <= bound * (1 + 1e-12)
    assert bound <= max(best, even) * 1.06


def test_means_over_visits() -> None:
    counts = visit_counts(5000)
    values, x = 1 / (1 + counts), np.array([0.0, 1e-4, 0.01, 0.3, 1.0])
    k = np.arange(5001.0)
    for place, found in zip(x, mean_over_visits(counts, values, 5000, x), strict=True):
        direct = float(binom.pmf(k, 5000, place) @ (1 / (1 + k)))
        assert direct - 1e-12 <= found <= direct * 1.02
        if place > 0:
            ends, chances = visit_blocks(5000, place)
            assert direct * 0.85 <= chances @ (1 / (1 + ends)) <= direct + 1e-12


def test_the_shortcut_past_hard_labels_is_a_lower_bound() -> None:
    for inputs, labels, n in ((1, 2, 1), (1, 10, 50), (30, 5, 200)):
        assert hard_at_least(inputs, labels, n) <= minimax_risk("hard", inputs, labels, n).lower


def test_a_top_label_tells_apart_what_its_code_does_not():
    """Of two labels the top one is shown as 1/2 or 1: .625 and .875 are off by at most .125, no bound is above."""
    tops = np.linspace(0.5, 1.0, 1001)
    copies = np.where(np.rint(2.0 * tops) == 1.0, 0.625, 0.875)
    worst = np.abs(copies - tops).max()
    assert worst == pytest.approx(0.125)
    for sampled in (False, True):
        found = minimax_risk(quantised(1, top_k(1, sampled=sampled)), inputs=1, labels=2, n=1)
        assert (
            found.lower <= worst * (1 if not sampled else 0.96) <= found.upper
        )  # .12 is reached with the sampled label
