"""What the theory says of gradients, coverage and noise, statement by statement, where no other test would notice."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from grids import few_quick
from scipy.integrate import quad
from scipy.stats import binom, norm

import kt_theory as kt
from kt_theory import access, graphs, queries, students
from kt_theory.limits.channels.noise import row_noise, shown_noise_upper
from kt_theory.limits.graph import independence_number
from kt_theory.limits.kappa import coverage, kappa
from kt_theory.limits.soft import unvisited_mass
from kt_theory.minimax import risk_terms

RNG = np.random.default_rng(31)


# Gradients: the minimax risk is (1-1/A) Phi(alpha(G^h), n).


def bayes_risk(rho, labels, n, level):
    """Return the least mean risk of any student if all deterministic teachers are equally likely: every transcript.

    A transcript is what `level.reveal` shows after the counts of a transfer set. Given it, row s is e_a with the
    posterior chance w_a, and the best guess loses sum_a w_a (1 - q_a) = 1 - q.w, least 1 - max w.
    """
    inputs = len(rho)
    seen: dict[bytes, np.ndarray] = {}
    for labelling in itertools.product(range(labels), repeat=inputs):
        pi = np.eye(labels)[list(labelling)]
        for drawn in itertools.product(range(inputs), repeat=n):
            counts = np.zeros((inputs, labels), dtype=np.int64)
            for s in drawn:
                counts[s, labelling[s]] += 1
            transcript = (
                counts.tobytes() + np.nan_to_num(level.reveal(counts, pi), nan=-1.0).tobytes()
            )
            chance = float(np.prod(rho[list(drawn)])) / labels**inputs
            seen.setdefault(transcript, np.zeros((inputs, labels)))
            seen[transcript] += chance * pi
    return float(sum(rho @ (weight.sum(axis=1) - weight.max(axis=1)) for weight in seen.values()))


@pytest.mark.parametrize(
    ("graph", "hops"),
    [
        (graphs.path(3), 1),
        (graphs.path(4), 1),
        (graphs.path(4), 2),
        (graphs.cycle(4), 1),
        (np.zeros((3, 3)), 1),
    ],
    ids=["path 3", "path 4", "path 4 twice", "cycle 4", "no edges"],
)
@pytest.mark.parametrize(
    ("labels", "n"), few_quick([(2, 0), (2, 2), (2, 3), (3, 1)], [(2, 2), (2, 0)])
)
def test_no_student_of_gradients_beats_the_limit_on_its_worst_teachers(graph, hops, labels, n):
    """The Bayes risk under all deterministic teachers at the worst rho, from the transcripts alone; and at others."""
    limit = kt.minimax_risk("gradient", graph=graph, labels=labels, n=n, hops=hops)
    level = access.gradient(graph, hops)
    worst = limit.teacher.rho
    assert bayes_risk(worst, labels, n, level) == pytest.approx(limit.lower, rel=1e-12, abs=1e-15)
    for _ in range(3):
        rho = RNG.dirichlet(np.ones(len(worst)))
        assert bayes_risk(rho, labels, n, level) <= limit.upper + 1e-12
    if (
        n == 2 and independence_number(graphs.as_graph(graph), hops).lower > 1
    ):  # hard labels alone tell as much here
        alone = bayes_risk(np.full(len(worst), 1 / len(worst)), labels, n, access.SOFT)
        assert (alone > limit.upper + 1e-9) == (graphs.as_graph(graph).edges > 0), (
            "the control: gradients are needed"
        )


def left_over(rho, near, n):
    return float(rho @ (1.0 - near @ rho) ** n)


@pytest.mark.parametrize("seed", range(6))
def test_moving_mass_between_adjacent_inputs_is_convex_so_a_worst_law_is_independent(seed):
    """sum_s rho_s (1 - rho(N[s]))^n along an edge is convex, not so between inputs that are not adjacent."""
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(8, 0.35, seed=seed)
    near = nx.to_numpy_array(graph) + np.eye(8)
    concave = 0
    for n in (1, 2, 7):
        for s, t in itertools.combinations(range(8), 2):
            rho = rng.dirichlet(np.ones(8))
            total, split = rho[s] + rho[t], np.linspace(0, 1, 9)
            values = []
            for x in split:
                rho[s], rho[t] = x * total, (1 - x) * total
                values.append(left_over(rho, near, n))
            if graph.has_edge(s, t):
                assert np.diff(values, 2).min() >= -1e-15
            else:
                concave += np.diff(values, 2).min() < -1e-9
        rho = rng.dirichlet(np.ones(8))
        while True:  # the better end of each edge, until nothing is left to move
            edge = next(((s, t) for s, t in graph.edges if rho[s] > 0 and rho[t] > 0), None)
            if edge is None:
                break
            ends = []
            for gains, loses in (edge, edge[::-1]):
                moved = rho.copy()
                moved[gains], moved[loses] = rho[gains] + rho[loses], 0.0
                ends.append((left_over(moved, near, n), tuple(moved)))
            better = max(ends)
            assert better[0] >= left_over(rho, near, n) - 1e-15
            rho = np.array(better[1])
        alpha = independence_number(graphs.as_graph(graph)).lower
        assert np.count_nonzero(rho) <= alpha
        assert left_over(rho, near, n) <= unvisited_mass(alpha, n).value + 1e-15
    assert concave > 10, "the control"


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_derivatives_up_to_an_order_give_the_ball_of_that_radius(hops):
    """Newton's forward formula along a walk, f(t_h) = sum_j C(h, j) (D^j f)(t_0); and one order less is not enough."""
    graph = graphs.grid(3, 3)
    net = nx.from_scipy_sparse_array(graph.adjacency)
    pi = RNG.dirichlet(np.ones(4), size=9)
    logits = np.log(pi) + RNG.normal(size=(9, 1))  # an answer shows logits up to a shift of its own
    shown = np.zeros((9, 4), dtype=int)
    shown[0, 0] = 1
    revealed = access.gradient(graph, hops).reveal(shown, pi)
    for t, path in nx.single_source_shortest_path(net, 0).items():
        distance = len(path) - 1
        assert np.isnan(revealed[t]).any() == (distance > hops)
        derivatives = [np.diff(logits[path], n=j, axis=0)[0] for j in range(distance + 1)]
        found = sum(math.comb(distance, j) * d for j, d in enumerate(derivatives[: hops + 1]))
        copy = np.exp(found - found.max()) / np.exp(found - found.max()).sum()
        assert (np.abs(copy - pi[t]).max() < 1e-12) == (distance <= hops)


# One law for all channels without noise: kappa.


def largest_free_set(points, closure):
    for size in range(points, 0, -1):
        for chosen in itertools.combinations(range(points), size):
            if all(i not in closure(frozenset(chosen) - {i}) for i in chosen):
                return size
    return 0


def sampled_logits_closure(inputs, labels):
    """Entry (s, a) is resolved if all tables that show the same logits, up to a shift of each row, agree on it.

    Two such tables: of row s with the labels T shown, one gives the others next to nothing and the other nearly all.
    """

    def closure(seen):
        resolved = set(seen)
        for s in range(inputs):
            shown = [a for a in range(labels) if s * labels + a in seen]
            logits = np.array(
                [[0.3 * a if a in shown else other for a in range(labels)] for other in (-3.0, 3.0)]
            )
            tables = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            relative = tables / np.where(len(shown), tables[:, shown].sum(axis=1), 1.0)[:, None]
            agree = np.flatnonzero(np.abs(relative[0] - relative[1]) < 1e-9)
            resolved |= {s * labels + int(a) for a in agree}
        return frozenset(resolved)

    return closure


def rank_one_closure(inputs, labels):
    """Entry (s, a) of a matrix of rank 1 follows if s and a are joined by sampled entries: of a path, their ratio."""

    def closure(seen):
        net = nx.Graph()
        net.add_nodes_from([("s", s) for s in range(inputs)] + [("a", a) for a in range(labels)])
        net.add_edges_from((("s", i // labels), ("a", i % labels)) for i in seen)
        parts = {node: c for c, part in enumerate(nx.connected_components(net)) for node in part}
        return frozenset(
            i for i in range(inputs * labels) if parts["s", i // labels] == parts["a", i % labels]
        )

    return closure


def full_closure(points):
    return lambda seen: frozenset(seen)


@pytest.mark.parametrize(
    ("points", "closure", "size", "wrong"),
    [
        (6, sampled_logits_closure(2, 3), kappa("sampled_logits", inputs=2, labels=3), 4),
        (4, sampled_logits_closure(2, 2), kappa("sampled_logits", inputs=2, labels=2), 2),
        (6, rank_one_closure(2, 3), kappa("completion", rank=1, inputs=2, labels=3), 6),
        (9, rank_one_closure(3, 3), kappa("completion", rank=1, inputs=3, labels=3), 9),
        (6, full_closure(6), kappa("completion", rank=2, inputs=2, labels=3), 5),
        (4, full_closure(4), kappa("completion", rank=3, inputs=2, labels=2), 3),
    ],
    ids=[
        "2x3 logits",
        "2x2 logits",
        "2x3 of rank 1",
        "3x3 of rank 1",
        "2x3 of full rank",
        "2x2 beyond full rank",
    ],
)
def test_kappa_is_the_largest_set_of_which_nothing_follows_from_the_rest(
    points, closure, size, wrong
):
    assert largest_free_set(points, closure) == size != wrong
    for n in range(3 if points > 6 else 4):
        for law in (np.full(points, 1 / points), RNG.dirichlet(np.full(points, 0.3))):
            unresolved = 0.0
            for drawn in itertools.product(range(points), repeat=n):
                left = sorted(set(range(points)) - closure(frozenset(drawn)))
                unresolved += float(np.prod(law[list(drawn)]) * law[left].sum())
            assert unresolved <= coverage(size, n).upper + 1e-12
    assert coverage(size, 0).upper == 1.0


def test_the_entries_of_a_matrix_of_rank_one_follow_along_a_path():
    """z_13 = z_12 z_32^-1 z_33 and so on: what the closure above calls resolved is."""
    scores = np.outer(RNG.normal(size=3), RNG.normal(size=3))
    assert scores[0, 2] == pytest.approx(scores[0, 1] / scores[2, 1] * scores[2, 2], rel=1e-12)
    closure = rank_one_closure(3, 3)
    assert 2 in closure(frozenset({1, 7, 8}))
    assert 2 not in closure(frozenset({1, 7}))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("n", [0, 1, 5, 300])
def test_half_the_coverage_is_the_limit_of_two_labels(size, n):
    """risk_lower is attained: soft labels of `size` inputs and two labels."""
    assert coverage(size, n).risk_lower == pytest.approx(
        kt.minimax_risk("soft", size, 2, n).lower, rel=1e-12
    )
    assert coverage(size, n).lower == pytest.approx(unvisited_mass(size, n).value, rel=1e-12)


@pytest.mark.parametrize(
    ("inputs", "labels", "n"),
    few_quick(
        [(*size, n) for size in ((1, 4), (3, 3), (20, 6)) for n in (0, 1, 7, 60, 3000)],
        [(1, 4, 0), (3, 3, 1), (20, 6, 1), (1, 4, 7), (3, 3, 60), (1, 4, 3000)],
    ),
)
def test_every_limit_without_noise_or_floor_keeps_below_its_kappa(inputs, labels, n):
    """minimax <= kappa/(n+1): what is not resolved is all that a student need lose."""
    net = graphs.path(inputs)
    for limit, points in (
        (kt.minimax_risk("soft", inputs, labels, n), kappa("soft", inputs=inputs)),
        (
            kt.minimax_risk("partial", inputs, labels, n),
            kappa("partial", inputs=inputs, labels=labels),
        ),
        (
            kt.minimax_risk(access.logits(access.PARTIAL), inputs, labels, n),
            kappa("sampled_logits", inputs=inputs, labels=labels),
        ),
        (
            kt.minimax_risk("gradient", graph=net, labels=labels, n=n),
            kappa("gradient", graph=net, hops=1),
        ),
        (kt.minimax_risk(access.jacobian(np.eye(inputs)), labels=labels, n=n), kappa("jacobian")),
    ):
        assert limit.lower <= points / (n + 1) + 1e-12
        if limit.access != "logits partial":  # its upper bound may be that of another student
            assert limit.upper <= points / (n + 1) + 1e-12


# Noise: 1/2 sqrt(dim/n), from E KL -> dim/(2n) and Pinsker's inequality.


def mean_divergence(p, k):
    """E KL(frequencies || p) after k labels of one row: a sum over binomial counts for each label."""
    x = np.arange(1, k + 1)
    return sum(float(binom.pmf(x, k, q) @ (x / k * np.log(x / (k * q)))) for q in p if q > 0)


@pytest.mark.parametrize("labels", [2, 5, 12])
def test_sampled_labels_have_the_divergence_of_their_dimension(labels):
    """2k E KL -> A - 1 at the pace of 1/k, and TV <= sqrt(E KL / 2) <= about 1/2 sqrt((A-1)/k) for every k."""
    for p in (np.full(labels, 1 / labels), RNG.dirichlet(np.full(labels, 3.0))):
        gaps = []
        for k in (1, 10, 100, 1000, 10_000, 100_000):
            divergence = mean_divergence(p, k)
            risk = kt.exact_risk(kt.Teacher([p]), "ce_sgl", k)
            assert risk <= math.sqrt(divergence / 2) * (1 + 1e-12)
            assert risk <= 0.5 * math.sqrt((labels - 1) / k) * (1 + 1e-12)
            gaps.append(abs(2 * k * divergence - (labels - 1)))
        assert gaps[-1] < gaps[-2] / 5 < gaps[-3] / 25
        assert gaps[-1] < 1e-2, "labels or labels - 2 in place of the dimension would be 1 off"


@pytest.mark.parametrize("inputs", [1, 4, 30])
def test_noise_of_sampled_labels_is_that_of_s_times_a_less_one_dimensions(inputs):
    """limsup sqrt(n) risk <= 1/2 sqrt(S (A-1)); uniform rows come within a factor of sqrt(2/pi) of it."""
    for labels in (2, 9):
        dim, n = inputs * (labels - 1), 10**8
        for pi in (
            np.full((inputs, labels), 1 / labels),
            RNG.dirichlet(np.ones(labels), size=inputs),
        ):
            for rho in (None, RNG.dirichlet(np.full(inputs, 5.0))):
                scaled = math.sqrt(n) * kt.exact_risk(kt.Teacher(pi, rho), "ce_sgl", n)
                assert scaled <= 0.5 * math.sqrt(dim)
        assert risk_terms("hard", inputs, labels).noise == pytest.approx(
            0.5 * math.sqrt(dim), rel=1e-14
        )
        even = kt.exact_risk(kt.Teacher(np.full((inputs, labels), 1 / labels)), "ce_sgl", n)
        assert math.sqrt(n) * even == pytest.approx(math.sqrt(dim / (2 * math.pi)), rel=1e-3)


@pytest.mark.parametrize("s", [0.01, 0.1, 0.3, 0.44])
@pytest.mark.parametrize("labels", [2, 7])
def test_the_sharp_bound_of_noisy_rows_is_its_mean(s, labels):
    """E (e^(t xi) - 1)^+ at t = s sqrt(1 - 1/A), by quadrature; its first order is E|xi|/2 = 1/sqrt(2 pi)."""
    t = s * math.sqrt(1 - 1 / labels)
    mean = quad(lambda x: math.expm1(t * x) * norm.pdf(x), 0, 12, epsabs=0)[0]
    assert float(row_noise(np.array([s]), labels)[0]) == pytest.approx(min(mean, t / 2), rel=1e-9)
    if s == 0.01:
        assert mean == pytest.approx(t / math.sqrt(2 * math.pi), rel=0.01)


@pytest.mark.parametrize("s", [0.5, 1.0, 3.0])
def test_the_divergence_of_noisy_rows_keeps_below_its_half_variance(s):
    """E KL(p || q) <= v/2 and so TV <= sqrt(v)/2, v = s^2 (1-1/A): nearly attained by small noise on equal labels."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def divergence(p, s):
        """Two labels: E log(sum p e^(s xi)) - s E sum p xi, over both deviates."""
        first, second = np.meshgrid(nodes, nodes)
        return float(
            weights @ np.log(p * np.exp(s * first) + (1 - p) * np.exp(s * second)) @ weights
        )

    v = s**2 / 2
    assert max(divergence(p, s) for p in (0.5, 0.3, 0.05)) <= v / 2
    assert divergence(0.5, 0.02) == pytest.approx(0.02**2 / 4, rel=1e-3)
    pinsker, far = math.sqrt(v / 2 / 2), math.sqrt(-math.expm1(-v / 2))
    assert float(row_noise(np.array([s]), 2)[0]) == pytest.approx(min(pinsker, far), rel=1e-12)


@pytest.mark.parametrize(("n", "sigma"), [(1, 0.1), (1, 1.0), (25, 2.0), (400, 0.3)])
def test_noise_on_labels_shown_one_by_one_costs_the_mean_error_of_their_weights(n, sigma):
    """One point that every sample shows: E |e^(s xi - s^2/2) - 1|, s = sigma / sqrt(n), by quadrature."""
    s = sigma / math.sqrt(n)
    mean = sum(
        quad(lambda x: abs(math.expm1(s * x - s * s / 2)) * norm.pdf(x), *ends, epsabs=0)[0]
        for ends in ((-12, s / 2), (s / 2, 12))
    )
    assert shown_noise_upper(1, n, sigma) == pytest.approx(min(mean, 1.0), rel=1e-6)


# Designs, and what hides.


@pytest.mark.parametrize("seed", range(3))
def test_the_exponent_of_the_best_design_is_two_thirds(seed):
    """Of all powers of rho c the leading order is least at 2/3, and `oracle` asks in that proportion."""
    rng = np.random.default_rng(seed)
    teacher = kt.Teacher(rng.dirichlet([0.2, 1.0, 5.0], size=5), rng.dirichlet(np.ones(5)))
    cost = teacher.rho * np.sqrt(teacher.pi * (1 - teacher.pi)).sum(axis=1)

    def leading(power):
        share = cost**power / (cost**power).sum()
        return (cost / np.sqrt(share)).sum()

    powers = np.linspace(0, 1.5, 1501)
    assert powers[np.argmin([leading(power) for power in powers])] == pytest.approx(2 / 3, abs=1e-3)
    n = 10**9
    share = cost ** (2 / 3) / (cost ** (2 / 3)).sum()
    np.testing.assert_allclose(queries.oracle(teacher).visits(n) / n, share, atol=2 / n)
    assert (
        np.abs(queries.oracle(teacher).visits(n) / n - cost**0.6 / (cost**0.6).sum()).max() > 1e-3
    )
    best = kt.exact_risk(teacher, "ce_sgl", n, queries=queries.oracle(teacher))
    for power in (0.55, 0.8):
        assert best < kt.exact_risk(teacher, "ce_sgl", n, queries=queries.adaptive(cost**power)) * (
            1 - 1e-4
        )


def test_what_the_top_labels_hide_stays_hidden():
    """risk -> 1/2 sum_s rho_s sum_tail |p - M/(A-k)|, written out, and the sampled label beside them removes it."""
    teacher = kt.teachers.dirichlet(inputs=8, labels=7, alpha=0.6, seed=4)
    for k in (1, 2, 4, 6, 7):
        floor = 0.0
        for rho, row in zip(teacher.rho, teacher.pi, strict=True):
            tail = sorted(row)[: 7 - k]
            floor += 0.5 * rho * sum(abs(p - sum(tail) / (7 - k)) for p in tail)
        alone = kt.exact_risk(teacher, students.top_k(k, sampled=False), [10**6, np.inf])
        np.testing.assert_allclose(alone, floor, rtol=0, atol=1e-14)
        assert kt.exact_risk(teacher, students.top_k(k), np.inf) == 0.0
        assert (floor > 1e-3) == (k < 6)


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_half_a_unit_for_each_label_shown_is_the_floor_of_quantised_top_labels(bits):
    """All labels but the last shown, each almost half a unit too small: the last one is given the sum of the errors."""
    unit = 2.0**-bits
    tops = np.floor(np.array([0.43, 0.31]) / unit) * unit + 0.4999 * unit
    teacher = kt.Teacher([[*tops, 1 - tops.sum()]])
    level = access.quantised(bits, access.top_k(2, sampled=False))
    lost = kt.exact_risk(teacher, students.quantised(bits, access.top_k(2, sampled=False)), np.inf)
    assert 0.999 * unit < lost <= risk_terms(level, 1, 3).floor == pytest.approx(unit, rel=1e-14)
