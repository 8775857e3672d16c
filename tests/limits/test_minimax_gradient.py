"""Gradients: independence numbers against clique enumeration, the limit against general optimisation over rho."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from grids import few_quick
from scipy.optimize import minimize

from kt_theory import graphs
from kt_theory.graphs import as_graph
from kt_theory.limits.graph import _by_walks, independence_number
from kt_theory.limits.soft import unvisited_mass
from kt_theory.minimax import minimax_risk

SMALL = [
    (graphs.path(7), 1, 4),
    (graphs.path(7), 2, 3),
    (graphs.path(1), 1, 1),
    (graphs.path(5), 0, 5),
    (graphs.cycle(9), 1, 4),
    (graphs.cycle(10), 2, 3),
    (graphs.grid(4, 5), 1, 10),
    (graphs.grid(4, 4), 2, 4),
    (graphs.hypercube(4), 1, 8),
    (graphs.hypercube(4), 2, 2),
    (graphs.complete(9), 1, 1),
]
LARGE = [
    (graphs.cycle(1001), 1, 500),
    (graphs.cycle(1001), 3, 250),
    (graphs.grid(40, 30), 1, 600),
    (graphs.hypercube(12), 1, 2048),
    (graphs.hypercube(7), 2, 16),
    (graphs.path(5000), 1, 2500),
]


def pairs(graph: graphs.Graph, hops: int) -> np.ndarray:
    return graph.balls(hops).toarray().astype(float)


@pytest.mark.parametrize(("graph", "hops", "alpha"), SMALL + LARGE, ids=str)
def test_independence_number_of_known_graphs(graph: graphs.Graph, hops: int, alpha: int) -> None:
    found = independence_number(graph, hops)
    assert (found.lower, found.upper) == (alpha, alpha)
    assert len(set(found.members.tolist())) == alpha
    assert graph.balls(hops)[found.members][:, found.members].nnz == alpha


@pytest.mark.parametrize("seed", range(12))
def test_independence_number_of_random_graphs_against_cliques(seed: int) -> None:
    graph = nx.gnp_random_graph(14, 0.1 + 0.06 * seed, seed=seed)
    expected = max(len(clique) for clique in nx.find_cliques(nx.complement(graph)))
    found = independence_number(graphs.as_graph(graph))
    assert (found.lower, found.upper) == (expected, expected)


def test_a_hundred_vertices_are_solved_exactly() -> None:
    found = independence_number(graphs.as_graph(nx.gnp_random_graph(100, 0.08, seed=2)))
    assert found.lower == found.upper


def test_a_large_graph_is_bracketed_and_not_refused() -> None:
    graph = nx.gnp_random_graph(3000, 0.004, seed=1)
    limit = minimax_risk("gradient", graph=graph, labels=3, n=5000)
    assert 0 < limit.lower < limit.upper < 1
    assert not limit.exact
    assert "between" in limit.reference


@pytest.mark.parametrize(
    ("graph", "hops", "alpha"), [case for case in SMALL if case[0].vertices <= 10], ids=str
)
@pytest.mark.parametrize("n", few_quick([1, 3, 12], [3]))
def test_no_input_law_is_worse(graph: graphs.Graph, hops: int, alpha: int, n: int) -> None:
    near, size = pairs(graph, hops), graph.vertices
    rng = np.random.default_rng(n)
    best = 0.0
    for _ in range(12):
        found = minimize(
            lambda r: -n * (r @ np.clip(1 - near @ r, 0, 1) ** n),
            rng.dirichlet(np.full(size, 0.4)),
            method="SLSQP",
            bounds=[(0, 1)] * size,
            constraints={"type": "eq", "fun": lambda r: r.sum() - 1},
            options={"maxiter": 300, "ftol": 1e-14},
        )
        rho = np.clip(found.x, 0, 1)
        rho /= rho.sum()
        best = max(best, float(rho @ np.clip(1 - near @ rho, 0, 1) ** n))
    limit = minimax_risk("gradient", graph=graph, labels=4, n=n, hops=hops)
    assert 0.75 * best <= limit.upper * (1 + 1e-9) + 1e-15
    teacher = limit.teacher
    risk = teacher.rho @ np.clip(1 - near @ teacher.rho, 0, 1) ** n * 0.75
    assert risk == pytest.approx(limit.lower, rel=1e-10, abs=1e-15)
    assert limit.lower == pytest.approx(0.75 * unvisited_mass(alpha, n).value, rel=1e-14)


def test_extremes_and_order() -> None:
    free = nx.empty_graph(6)
    for n in (0, 1, 4, 30):
        soft = minimax_risk("soft", 6, 5, n).lower
        assert minimax_risk("gradient", graph=free, labels=5, n=n).lower == pytest.approx(
            soft, rel=1e-14
        )
        assert minimax_risk(
            "gradient", graph=graphs.cycle(6), labels=5, n=n, hops=0
        ).lower == pytest.approx(soft, rel=1e-14)
        values = [
            minimax_risk("gradient", graph=graphs.cycle(6), labels=5, n=n, hops=h).lower
            for h in (0, 1, 2, 3)
        ]
        assert all(low <= high * (1 + 1e-12) for high, low in pairwise(values))
    assert minimax_risk("gradient", graph=graphs.complete(6), labels=5, n=1).lower == 0.0
    assert minimax_risk("gradient", graph=graphs.complete(6), labels=5, n=0).lower == pytest.approx(
        0.8
    )


@pytest.mark.parametrize(
    ("given_arguments", "words"),
    [
        ({"labels": 2, "n": 1}, "graph is missing"),
        ({"labels": 2, "n": 1, "graph": nx.DiGraph([(0, 1)])}, "directed"),
        ({"labels": 2, "n": 1, "graph": nx.Graph()}, "no vertices"),
        ({"labels": 2, "n": 1, "graph": nx.path_graph(4), "inputs": 3}, "4 vertices"),
        ({"labels": 2, "n": 1, "graph": nx.path_graph(4), "hops": -1}, "hops = -1"),
        ({"labels": 2, "n": 1, "graph": nx.path_graph(4), "k": 1}, "k is given"),
        ({"n": 1, "graph": nx.path_graph(4)}, "labels is missing"),
    ],
)
def test_bad_input_is_named(given_arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        minimax_risk("gradient", **given_arguments)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_the_bracket_by_walks_holds_the_independence_number(hops):
    """Legs of two edges from one vertex, and random trees: a cover by balls of radius `hops` would be too small."""
    spider = nx.Graph([(0, i) for i in range(1, 13)] + [(i, i + 12) for i in range(1, 13)])
    for graph in (spider, *(nx.random_labeled_tree(30, seed=seed) for seed in range(4))):
        net = as_graph(graph)
        found, alpha = _by_walks(net, hops), independence_number(net, hops)
        assert alpha.lower == alpha.upper
        assert found.lower <= alpha.lower <= found.upper


def test_powers_too_dense_to_write_down_are_bracketed():
    star = minimax_risk("gradient", labels=3, n=10, graph=nx.star_graph(30_000), hops=2)
    assert star.exact, "one ball of radius 1 holds the star: alpha = 1"
    assert star.upper == 0
    two = nx.disjoint_union(nx.star_graph(20_000), nx.star_graph(20_000))
    pair = minimax_risk("gradient", labels=3, n=10, graph=two, hops=2)
    assert pair.lower == pytest.approx(
        minimax_risk("soft", inputs=2, labels=3, n=10).lower, rel=1e-12
    )
    assert pair.exact
