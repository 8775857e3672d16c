"""Three labels with partial soft labels: the worst row for a given rho(s) is proved to have an
empty label.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kt_theory.limits.laws import largest_over_laws

NODES, BINS = 560, 160
"""Grid points for each of the two probabilities; cells of their sum."""

FAR = 12.0
"""n p1 above this is bounded as a whole: (1-p1)^n < 1e-5."""


def three_labels_bound(inputs: int, n: int) -> float:
    r"""Return an upper bound on the minimax risk of partial labels for A = 3 and S = `inputs` >= 2,
    n >= 1.

    A row with joint probabilities p1 >= p2 >= p3 of sum r loses, with phi(p) = (1-r+p)^n - (1-r)^n
    the probability that a label of probability p is the only one seen,

        (1-r)^n TV(Uniform) + 1/2 [phi(p1)(p2-p3) + phi(p2)(p1-p3) + phi(p3)(p1-p2)].

    Moving p3 onto p1 raises the first term (the new row majorises the old one), and the bracket by
    at least phi(p1) p3 - phi(p3) p1 >= 0, because phi(p)/p grows. So p3 = 0, and with g(x) = x
    (1-x)^n

        V(r) = max over p1 + p2 = r of f(p1, p2) = 1/2 [g(p1) + g(p2)] + (1-r)^n (max(r/3, p1-r/3) -
        r/2).

    f - eta r on a rectangle of the grid exceeds its corners by at most sum_ij w_i w_j |f_ij| / 8, w
    its sides, because it differs from its bilinear interpolation by no more; |g''| <= 2n, and each
    second derivative of (1-r)^n times either branch is at most 5n/2. Then `largest_over_laws`.
    """
    nodes, cell, mass, value = _points(n)
    if nodes[-1] < 1.0:
        # p1 beyond the grid: one value for all, at both ends of every cell of r that reaches so
        # far, and one cell more.
        edges = np.append(_edges(nodes), 1.0)
        beyond = np.flatnonzero(edges[1:] >= nodes[-1])
        ends = np.concatenate([np.maximum(edges[beyond], nodes[-1]), edges[beyond + 1]])
        cell, mass = np.concatenate([cell, beyond, beyond]), np.concatenate([mass, ends])
        value = np.concatenate([value, np.full(len(ends), _far(nodes, n))])
    order = np.argsort(cell, kind="stable")
    cell = np.unique(cell[order], return_inverse=True)[1]
    return largest_over_laws(inputs, n, cell, mass[order], value[order], spill=1)


@lru_cache(maxsize=64)
def three_hidden_bound(n: int) -> float:
    """Return an upper bound on what three hidden labels beside known ones can lose: the maximum of
    f.
    """
    nodes, _, _, value = _points(n)
    return max(float(value.max()), _far(nodes, n) if nodes[-1] < 1.0 else 0.0)


def _far(nodes: np.ndarray, n: int) -> float:
    single = nodes * _powers(nodes, n)
    return float(0.5 * single.max() + n * (nodes[1:] - nodes[:-1]).max() ** 2 + 2 / 3 * single[-1])


def _points(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the grid, and (cell of r, r, bound on f) of its pairs p1 >= p2, each in every cell
    that it bounds.

    The nodes are quadratically spaced: fine near 0 for rows of tiny mass. A rectangle belongs to
    the cell of its smallest r; so each node stands in its own cell and in that of its r less the
    sides below and above it.
    """
    nodes = min(1.0, FAR / n) * (np.arange(NODES) / (NODES - 1)) ** 2
    i, j = np.tril_indices(NODES)
    side = np.diff(nodes, append=2 * nodes[-1] - nodes[-2])
    w, v = side[i], side[j]
    error = n / 8 * (3.5 * w**2 + 5 * w * v + 3.5 * v**2)
    single = nodes * _powers(nodes, n)
    r = nodes[i] + nodes[j]
    spread = np.maximum(r / 3, nodes[i] - r / 3) - r / 2
    # Rectangles may cross r = 1: (1-r)^n goes on smoothly there, as 0 for n > 1.
    none_seen = 1.0 - r if n == 1 else _powers(np.minimum(r, 1.0), n)
    value = 0.5 * (single[i] + single[j]) + none_seen * spread + error
    low = np.maximum(r - side[np.maximum(i - 1, 0)] - side[np.maximum(j - 1, 0)], 0.0)
    edges = _edges(nodes)
    here = np.minimum(np.searchsorted(edges, r, side="right") - 1, BINS - 1)
    below = np.minimum(np.searchsorted(edges, low, side="right") - 1, BINS - 1)
    both = below < here
    return (
        nodes,
        np.concatenate([here, below[both]]),
        np.concatenate([r, r[both]]),
        np.concatenate([value, value[both]]),
    )


def _edges(nodes: np.ndarray) -> np.ndarray:
    """Return the ends of the cells of r: spaced like the nodes, at least three rectangles wide."""
    edges: np.ndarray = 2 * nodes[-1] * (np.arange(BINS + 1) / BINS) ** 2
    return edges


def _powers(x: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.exp(n * np.log1p(-x))
