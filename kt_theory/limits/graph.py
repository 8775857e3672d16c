"""Gradients along a graph: the minimax risk is that of soft labels on a largest independent set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kt_theory.graphs import BallsTooLarge, Graph
from kt_theory.limits.bracket import Bracket, Lower, Tail, Upper, coverage_curve, coverage_lower
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import deterministic_teacher, unvisited_mass
from kt_theory.limits.whole_rows import coverage_words
from kt_theory.teacher import Teacher

LARGEST_PROGRAMME, MOST_EDGES = 400, 5000
"""Components that are not bipartite go to the integer programme up to this many inputs, or up to
this many edges.
"""

SECONDS = 10.0
"""What the integer programme may take per component before its bracket is returned."""

DENSE_ENTRIES = 10**7
"""A worst teacher of more entries than this is given by classes, without the positions of its
inputs.
"""


@dataclass(frozen=True)
class Independence:
    """The independence number alpha(G^h): it lies in [lower, upper]; `members` is an independent
    set of size lower.
    """

    lower: int
    upper: int
    members: np.ndarray


def gradient_limit(graph: Graph, labels: int, n: int, hops: int) -> Limit:
    """Return the minimax risk where a query reveals the rows within `hops` edges: (1-1/A)
    Phi(alpha(G^h), n).

    Upper: exact on the revealed rows and uniform elsewhere loses at most (1-1/A) sum_s rho_s (1 -
    rho(N[s]))^n. For two adjacent inputs s, t with the sum of their probabilities fixed that is
    convex in the split: their own terms have (1 - rho(N[s]))^n and (1 - rho(N[t]))^n constant, and
    the other terms are convex. So a worst rho lives on an independent set, of at most alpha inputs.
    Lower: deterministic teachers on an independent set, as for soft labels.
    """
    found = independence_number(graph, hops)
    law = unvisited_mass(found.lower, n)
    spread = 1.0 - 1.0 / labels
    lower, upper = spread * law.value, spread * unvisited_mass(found.upper, n).value
    exact = found.lower == found.upper
    size = str(found.lower) if exact else f"between {found.lower} and {found.upper}"
    reference = (
        f"(1-1/A) Phi(alpha, n) with the independence number alpha = {size} of the graph's "
        f"power {hops}"
    )
    teacher = _worst_teacher(graph, labels, found.members, law)
    return Limit(lower, upper, exact, teacher, reference, "gradient", graph.vertices, labels, n)


def independence_number(graph: Graph, hops: int = 1) -> Independence:
    """Return alpha of the graph in which inputs within `hops` edges are adjacent.

    Component by component: by Koenig's theorem where it is bipartite (vertices - maximum matching),
    by an integer programme with clique constraints up to 400 vertices or 5000 edges, and beyond by
    a greedy independent set from below and a greedy clique cover from above.
    """
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    try:
        balls = sp.csr_array(graph.balls(hops)).astype(np.int8)
    except BallsTooLarge:
        return _by_walks(graph, hops)
    power = sp.csr_array(balls - sp.eye_array(graph.vertices, dtype=np.int8, format="csr"))
    power.eliminate_zeros()
    count, part = connected_components(power, directed=False)
    order = np.argsort(part, kind="stable")
    sizes = np.bincount(part, minlength=count)
    alone = np.flatnonzero(sizes[part] == 1)
    lower, upper, members = len(alone), len(alone), [alone]
    ends = np.cumsum(sizes)
    for c in np.flatnonzero(sizes > 1):
        inputs = order[ends[c] - sizes[c] : ends[c]]
        piece = sp.csr_array(power[inputs][:, inputs])
        low, high, chosen = _component(piece)
        lower, upper = lower + low, upper + high
        members.append(inputs[chosen])
    return Independence(lower, upper, np.sort(np.concatenate(members)))


def known_independence(found: Independence) -> int:
    """Return the independence number, or refuse what is known within bounds only."""
    if found.lower != found.upper:
        known = f"[{found.lower}, {found.upper}]"
        raise ValueError(f"graph: its independence number is only known to lie in {known}")
    return found.upper


def _by_walks(graph: Graph, hops: int) -> Independence:
    """Bracket the independence number without the graph's power, which is too dense to be written
    down.

    From below greedily: take a vertex, strike out its ball of radius `hops`. From above by balls of
    half that radius: any two vertices of one are within `hops` of each other, so each holds at most
    one member.
    """
    adjacency = graph.adjacency.tocsr()
    rank = np.argsort(np.diff(adjacency.indptr), kind="stable")
    members = _strike_out(adjacency, rank, hops)
    cover = _strike_out(adjacency, rank[::-1], hops // 2)
    return Independence(len(members), len(cover), np.sort(members))


def _strike_out(adjacency: Any, order: np.ndarray, radius: int) -> np.ndarray:
    """Return the vertices taken when, in `order`, each that is left is taken and its ball struck
    out.
    """
    left = np.ones(adjacency.shape[0], dtype=bool)
    taken = []
    for vertex in order:
        if not left[vertex]:
            continue
        taken.append(vertex)
        reached = np.zeros(len(left), dtype=bool)
        reached[vertex] = True
        for _ in range(radius):
            wider = reached | (adjacency @ reached)
            if (wider == reached).all():
                break
            reached = wider
        left &= ~reached
    return np.array(taken)


def _component(adjacency: Any) -> tuple[int, int, np.ndarray]:
    """Return (lower, upper, members of an independent set of size lower) of a connected graph."""
    size = adjacency.shape[0]
    if adjacency.nnz == size * (size - 1):
        return 1, 1, np.array([0])
    side = _two_colours(adjacency)
    if side is not None:
        return _bipartite(adjacency, side)
    chosen = _greedy_set(adjacency)
    cliques = _greedy_cover(adjacency)
    large = size > LARGEST_PROGRAMME and adjacency.nnz > 2 * MOST_EDGES
    if len(chosen) == len(cliques) or large:
        return len(chosen), len(cliques), chosen
    return _integer_programme(adjacency, chosen, len(cliques))


def _two_colours(adjacency: Any) -> np.ndarray | None:
    """Return the side of each vertex if the connected graph is bipartite, else None."""
    from scipy.sparse.csgraph import breadth_first_order

    order, before = breadth_first_order(adjacency, 0, directed=False)
    side = np.zeros(adjacency.shape[0], dtype=bool)
    for vertex in order[1:]:
        side[vertex] = not side[before[vertex]]
    ends = adjacency.tocoo()
    return None if (side[ends.row] == side[ends.col]).any() else side


def _bipartite(adjacency: Any, side: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Koenig: what alternating paths from the unmatched vertices of one side reach gives a minimum
    vertex cover.
    """
    from scipy.sparse.csgraph import maximum_bipartite_matching

    left, right = np.flatnonzero(~side), np.flatnonzero(side)
    if not len(right):
        return len(left), len(left), left
    block = adjacency[left][:, right].tocsr()
    mate = maximum_bipartite_matching(block, perm_type="column")
    partner = np.full(len(right), -1)
    partner[mate[mate >= 0]] = np.flatnonzero(mate >= 0)
    reached_left, reached_right = mate < 0, np.zeros(len(right), dtype=bool)
    queue = list(np.flatnonzero(reached_left))
    while queue:
        i = queue.pop()
        for j in block.indices[block.indptr[i] : block.indptr[i + 1]]:
            if not reached_right[j]:
                reached_right[j] = True
                if partner[j] >= 0 and not reached_left[partner[j]]:
                    reached_left[partner[j]] = True
                    queue.append(partner[j])
    members = np.concatenate([left[reached_left], right[~reached_right]])
    return len(members), len(members), members


def _greedy_set(adjacency: Any) -> np.ndarray:
    """Return a maximal independent set: always the vertex with the fewest neighbours still free."""
    import heapq

    indptr, indices = adjacency.indptr, adjacency.indices
    degree = np.diff(indptr).astype(np.int64)
    free = np.ones(len(degree), dtype=bool)
    heap = [(int(d), v) for v, d in enumerate(degree)]
    heapq.heapify(heap)
    chosen = []
    while heap:
        d, v = heapq.heappop(heap)
        if not free[v] or d != degree[v]:
            continue
        chosen.append(v)
        free[v] = False
        gone = [w for w in indices[indptr[v] : indptr[v + 1]] if free[w]]
        free[gone] = False
        for w in gone:
            for x in indices[indptr[w] : indptr[w + 1]]:
                if free[x]:
                    degree[x] -= 1
                    heapq.heappush(heap, (int(degree[x]), int(x)))
    return np.array(chosen)


def _greedy_cover(adjacency: Any) -> list[list[int]]:
    """Return disjoint cliques that cover all vertices; an independent set has at most one vertex in
    each.
    """
    degree = np.diff(adjacency.indptr)
    free = np.ones(len(degree), dtype=bool)
    cover = []
    for v in np.argsort(degree, kind="stable"):
        if free[v]:
            clique = _grow_clique(adjacency, [int(v)], free)
            free[clique] = False
            cover.append(clique)
    return cover


def _grow_clique(adjacency: Any, clique: list[int], allowed: np.ndarray) -> list[int]:
    """Return `clique` grown by `allowed` vertices, first those with the fewest neighbours, until it
    is maximal.
    """
    indptr, indices = adjacency.indptr, adjacency.indices

    def around(v: int) -> np.ndarray:
        return indices[indptr[v] : indptr[v + 1]]

    common = around(clique[0])
    for v in clique[1:]:
        common = np.intersect1d(common, around(v))
    common = common[allowed[common]]
    clique = list(clique)
    while len(common):
        v = int(common[np.argmin(np.diff(indptr)[common])])
        clique.append(v)
        common = np.intersect1d(common, around(v))
    return clique


def _integer_programme(
    adjacency: Any, chosen: np.ndarray, cover: int
) -> tuple[int, int, np.ndarray]:
    """Maximise sum x over x in {0,1} with sum x <= 1 on cliques that cover every edge (HiGHS branch
    and cut).
    """
    import scipy.sparse as sp
    from scipy.optimize import Bounds, LinearConstraint, milp

    size = adjacency.shape[0]
    missing = {(int(i), int(j)) for i, j in zip(*adjacency.nonzero(), strict=True) if i < j}
    everything = np.ones(size, dtype=bool)
    cliques = []
    for i, j in sorted(missing):
        if (i, j) in missing:
            clique = sorted(_grow_clique(adjacency, [i, j], everything))
            missing.difference_update((a, b) for a in clique for b in clique if a < b)
            cliques.append(clique)
    row = np.repeat(np.arange(len(cliques)), [len(clique) for clique in cliques])
    matrix = sp.csr_array(
        (np.ones(len(row)), (row, np.concatenate(cliques))), shape=(len(cliques), size)
    )
    found = milp(
        -np.ones(size),
        integrality=np.ones(size),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, 1.0),
        options={"time_limit": SECONDS},
    )
    if found.x is not None and round(-found.fun) > len(chosen):
        chosen = np.flatnonzero(found.x > 0.5)
    bound = getattr(found, "mip_dual_bound", None)
    upper = cover if bound is None else min(cover, int(np.floor(-bound + 1e-6)))
    return len(chosen), max(upper, len(chosen)), chosen


def _worst_teacher(graph: Graph, labels: int, members: np.ndarray, law: Any) -> Teacher:
    if graph.vertices * labels > DENSE_ENTRIES:
        return deterministic_teacher(len(members), labels, law)
    pi = np.zeros((graph.vertices, labels))
    pi[:, 0] = 1.0
    rho = np.zeros(graph.vertices)
    rho[members] = law.light
    rho[members[-1]] = law.heavy
    return Teacher(pi, rho / rho.sum())


class Gradient(Bracket):
    """Gradients along a graph: soft labels on a largest independent set."""

    def __init__(self, access: str, name: str, graph: Graph, hops: int, labels: int) -> None:
        super().__init__(access, name, graph.vertices, labels)
        self.graph, self.hops = graph, hops

    @property
    def whole_rows(self) -> bool:
        """Return True."""
        return True

    @cached_property
    def alpha(self) -> Independence:
        """The independence number of the graph's power."""
        return independence_number(self.graph, self.hops)

    def limit(self, n: int) -> Limit:
        """Return the minimax risk, or its interval where the independence number is known within
        bounds.
        """
        return replace(gradient_limit(self.graph, self.labels, n, self.hops), access=self.access)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the limit of soft labels on as many inputs as can be independent."""
        known = self.alpha.lower == self.alpha.upper
        words = coverage_words(self.alpha.upper, "alpha")
        words += "; exact" if known else "; alpha is known within bounds"
        return (coverage_curve(self.alpha.upper, self.labels, self.surely, words, exact=known),)

    def lowers(self) -> Iterator[Lower]:
        """Return the limit of soft labels on as many inputs as are found to be independent."""
        yield coverage_lower(self.alpha.lower, self.labels)

    def tails(self) -> tuple[Tail, ...]:
        """Return the Chernoff bound of the missing mass of the inputs."""
        return (self.covered(),)

    def terms(self) -> Terms:
        """Return kappa = alpha alone."""
        return self.three(0.0, known_independence(self.alpha), 0.0)
