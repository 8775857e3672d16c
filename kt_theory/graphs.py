"""Graphs whose vertices are the inputs: what a gradient query reveals is a ball of such a graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from kt_theory.content import ByContent
from kt_theory.validation import numeric_array, shown, whole_number

MOST_ENTRIES = 10**8
"""Largest number of (vertex, vertex) pairs that `Graph.balls` works through: about a gigabyte."""

MOST_EDGES = 2**24
"""Most edges of a path, a cycle, a grid or a hypercube."""


class BallsTooLarge(ValueError):
    """The balls of a graph hold too many vertices to be listed."""


@dataclass(frozen=True, eq=False)
class Graph(ByContent):
    """An undirected graph without loops on the inputs 0..S-1.

    Attributes
    ----------
    name : str
    adjacency : scipy.sparse.csr_array, (S, S), symmetric, True where two inputs are adjacent
    """

    name: str
    adjacency: Any

    def compared(self) -> Iterator[Any]:
        """Yield the edges: graphs with equal edges are equal, whatever they are called."""
        return iter((self.vertices, self.adjacency.indptr, self.adjacency.indices))

    @property
    def vertices(self) -> int:
        """The number of vertices, S."""
        return int(self.adjacency.shape[0])

    @property
    def edges(self) -> int:
        """The number of edges."""
        return int(self.adjacency.nnz // 2)

    def balls(self, hops: int = 1) -> Any:
        """Return the (S, S) csr_array whose row s marks the inputs within `hops` edges of s, s
        itself included.

        Raises
        ------
        ValueError
            If `hops` is no whole number.
        BallsTooLarge
            Before more than `MOST_ENTRIES` pairs would have to be worked through.
        """
        import scipy.sparse as sp

        eye = sp.eye_array(self.vertices, dtype=bool, format="csr")
        step = (self.adjacency + eye).astype(bool)
        ball = eye
        for _ in range(whole_number(hops, "hops")):
            pairs = float(np.diff(step.indptr)[ball.indices].sum())
            if pairs > MOST_ENTRIES:
                raise BallsTooLarge(
                    f"{self!r}: the balls of radius {hops} take {pairs:.2g} pairs, more than "
                    f"{MOST_ENTRIES:.0g}: use fewer hops or a sparser graph"
                )
            wider = (ball @ step).astype(bool)
            if wider.nnz == ball.nnz:
                break
            ball = wider
        ball = sp.csr_array(ball)
        ball.sort_indices()
        return ball

    def __repr__(self) -> str:
        return f"Graph({self.name}, {self.vertices} vertices, {self.edges} edges)"


def as_graph(graph: Any) -> Graph:
    """Return `graph` as a `Graph`.

    Parameters
    ----------
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        Input s is the s-th node in networkx's own order, or row s of a symmetric adjacency matrix,
        of which only the zero pattern counts. Loops are dropped: an input always reveals itself.

    Raises
    ------
    ValueError
        If the graph is directed, empty, or not square.
    """
    import scipy.sparse as sp

    if isinstance(graph, Graph):
        return graph
    if hasattr(graph, "is_directed") and hasattr(graph, "nodes"):
        if graph.is_directed():
            raise ValueError(
                "graph is directed: gradients run along undirected edges; use graph.to_undirected()"
            )
        if graph.number_of_nodes() == 0:
            raise ValueError("graph has no vertices: must have one vertex for each input")
        position = {node: i for i, node in enumerate(graph.nodes)}
        starts = np.array([position[u] for u, _ in graph.edges()], dtype=np.int64)
        ends = np.array([position[v] for _, v in graph.edges()], dtype=np.int64)
        return _graph("networkx graph", _joined(len(position), starts, ends))
    try:
        entries = graph if sp.issparse(graph) else np.asarray(graph)
        if entries.dtype.kind == "c":
            raise TypeError
        entries = entries.astype(np.float64)
        matrix = sp.csr_array(entries)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"graph of type {type(graph).__name__}: must be a networkx graph, a scipy.sparse or "
            "(S, S) adjacency matrix, or one of kt_theory.graphs.path, cycle, grid, hypercube, "
            "complete"
        ) from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(
            f"graph has an adjacency matrix of shape {matrix.shape}: must be square, (inputs, "
            "inputs)"
        )
    if not np.isfinite(matrix.data.astype(np.float64)).all() or (matrix.data < 0).any():
        raise ValueError(
            "graph has NaN, infinite or negative entries in its adjacency matrix: must be finite "
            "and >= 0"
        )
    pattern = matrix != 0
    if (pattern != pattern.T).nnz:
        raise ValueError(
            "graph is directed: its adjacency matrix is not symmetric; use adjacency + adjacency.T"
        )
    return _graph("adjacency matrix", matrix)


def path(inputs: int) -> Graph:
    """Return the path 0 - 1 - ... - (inputs-1)."""
    size = whole_number(inputs, "inputs", low=1, high=MOST_EDGES)
    return _graph(f"path({size})", _path_matrix(size))


def cycle(inputs: int) -> Graph:
    """Return the cycle on `inputs` >= 3 vertices."""
    size = whole_number(inputs, "inputs", low=3, high=MOST_EDGES)
    here = np.arange(size)
    return _graph(f"cycle({size})", _joined(size, here, (here + 1) % size))


def grid(*shape: int) -> Graph:
    """Return the grid of these side lengths in C order; in `grid(3, 4)` (i, j) is input 4 i + j."""
    if not shape:
        raise ValueError("grid(): give at least one side length")
    sides = [whole_number(side, "shape", low=1) for side in shape]
    edges = sum(math.prod(sides) // side * (side - 1) for side in sides)
    if edges > MOST_EDGES:
        raise ValueError(
            f"shape = {shown(shape)}: the grid has more than {MOST_EDGES} edges; give shorter sides"
        )
    return _graph(f"grid({', '.join(map(str, sides))})", _product(sides))


def hypercube(dimension: int) -> Graph:
    """Return the hypercube: of 2^dimension inputs those are adjacent that differ in one bit."""
    size = whole_number(dimension, "dimension", low=0, high=20)
    return _graph(f"hypercube({size})", _product([2] * size or [1]))


def complete(inputs: int) -> Graph:
    """Return the complete graph: one query reveals the whole teacher."""
    import scipy.sparse as sp

    size = whole_number(inputs, "inputs", low=1, high=2**15)
    return _graph(f"complete({size})", sp.csr_array(np.ones((size, size), dtype=bool)))


def everything(inputs: int) -> Any:
    """Return the balls of the complete graph, the (S, S) csr_array of ones; as `Graph.balls`,
    refused if too large.
    """
    import scipy.sparse as sp

    inputs = whole_number(inputs, "inputs", low=1)
    if float(inputs) ** 2 > MOST_ENTRIES:
        raise BallsTooLarge(
            f"a query that reveals all of {inputs} inputs takes {float(inputs) ** 2:.2g} pairs, "
            f"more than {MOST_ENTRIES:.0g}: use exact_risk"
        )
    columns, ends = np.tile(np.arange(inputs), inputs), inputs * np.arange(inputs + 1)
    return sp.csr_array((np.ones(inputs**2, dtype=bool), columns, ends), shape=(inputs, inputs))


def nearest_neighbours(features: Any, k: int) -> Graph:
    """Return the graph that joins each input with the k nearest by Euclidean distance of features.

    Two inputs are adjacent if either is among the k nearest of the other. Of equally distant
    inputs the same ones are taken every time.

    Parameters
    ----------
    features : (S, d) array_like
    k : int
        From 1 to S-1.
    """
    from scipy.spatial import KDTree

    points = numeric_array(features, "features", 2).astype(np.float64)
    size = len(points)
    count = whole_number(k, "k", low=1, high=max(size - 1, 1))
    if size < 2:
        raise ValueError("features has 1 row: neighbours need at least 2 inputs")
    # So that squared distances do not overflow.
    points /= max(np.abs(points).max(), np.finfo(np.float64).tiny)
    near = KDTree(points).query(points, k=count + 1)[1]
    others = np.argsort(near == np.arange(size)[:, None], axis=1, kind="stable")[:, :count]
    ends = np.take_along_axis(near, others, axis=1)
    starts = np.repeat(np.arange(size), count)
    return _graph(f"nearest_neighbours({count})", _joined(size, starts, ends.ravel()))


def _joined(size: int, starts: np.ndarray, ends: np.ndarray) -> Any:
    """Return the symmetric adjacency matrix of the edges from `starts` to `ends`."""
    import scipy.sparse as sp

    matrix = sp.coo_array((np.ones(len(starts)), (starts, ends)), shape=(size, size))
    return matrix + matrix.T


def _path_matrix(size: int) -> Any:
    here = np.arange(size - 1)
    return _joined(size, here, here + 1)


def _product(sides: list[int]) -> Any:
    """Return the adjacency matrix of the product of paths: a Kronecker sum, first side slowest."""
    import scipy.sparse as sp

    paths = map(_path_matrix, sides)
    return reduce(lambda a, b: sp.kronsum(b, a, format="csr"), paths)


def _graph(name: str, matrix: Any) -> Graph:
    import scipy.sparse as sp

    pattern = sp.coo_array(matrix != 0) if matrix.dtype != bool else sp.coo_array(matrix)
    off = pattern.row != pattern.col
    keep = (np.ones(int(off.sum()), dtype=bool), (pattern.row[off], pattern.col[off]))
    return Graph(name, sp.csr_array(keep, shape=matrix.shape))
