"""A proved upper bound on what the optimal student of partial labels and top-k loses, for every
teacher.

The loss of equal sharing on one row is a function of the measure mu = sum of point masses at the
joint probabilities p_a = rho(s) pi(a|s) of the unseen labels: T(mu) = 1/2 sum |p_a - mean|,
homogeneous of degree 1.

1. For fixed mean, T is linear and mu a mixture of pairs of levels l < u with that mean, a and b
   labels of each, where T = a b (u-l)/(a+b) = min over v + w = sqrt(u-l) of (a v^2 + b w^2). So
   T(mu) <= sum of c(p_a) over the unseen labels whenever sqrt(c(l)) + sqrt(c(u)) >= sqrt(u-l) for
   all 0 <= l < u <= r, r = rho(s).
2. Label a is unseen with probability (1-p_a)^n. With c(p) = (y + z p)/(1-p)^n, increasing in p, the
   condition is hardest at l = 0, and the expected loss of the row is at most sum_a (y + z p_a) = A
   y + z r.
3. V(r) = min of A y + z r over all y, z with sqrt(y) + sqrt((y + z u)/(1-u)^n) >= sqrt(u) for u in
   [0, r], and minimax <= max over rho of sum_s V(rho_s).

For n >> A >> 1 and S = 1 the bound is (A-1) c2/n: t/(1+e^(t/2))^2 is what step 2 leaves of step 1
at l = 0 and u = t/n, and its maximum is c2. It exceeds the truth by Jensen's gap alone, about
0.17/n per row.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from kt_theory.limits.laws import largest_over_laws
from kt_theory.limits.optimise import convex_minimum
from kt_theory.limits.sharing.three_labels import three_hidden_bound

SPLIT, ROUNDS = 16, 2
"""The cells of u that may hold the maximum are split into so many parts, so often, before the bound
is read off.
"""

MULTIPLIER_GAP = 1e-10
"""Relative gap of the search for the best multipliers; any are valid."""

ROW_CELLS = 96
"""Cells of the mass of a row."""


def one_row_bound(labels: int, n: int) -> float:
    """Return a bound on the minimax risk of partial labels for one input: V(1).

    Parameters
    ----------
    labels : int
    n : int
        Samples, >= 1.
    """
    y, z = _multipliers(labels, n, 1.0, 1.0)
    return labels * y + z


def hidden_bound(hidden: int, n: int, most: float, total: float) -> float:
    """Return a bound on the expected loss of `hidden` labels beside others that the student knows.

    One has nothing to share and loses 0. Two, b and c, lose (1-p_b-p_c)^n |p_b-p_c|/2, at most x
    (1-x)^n / 2.

    Parameters
    ----------
    hidden : int
        How many labels stay hidden until they are sampled.
    n : int
        Samples, >= 1.
    most, total : float
        The largest joint probability that one of them, and all of them together, can have.
    """
    if hidden <= 1:
        return 0.0
    if hidden == 2:
        return 0.5 * _unvisited(min(most, 1.0 / (n + 1)), n)
    y, z = _multipliers(hidden, n, most, total, falling=False)
    general = hidden * y + z * total
    return min(general, three_hidden_bound(n)) if hidden == 3 else general


def many_rows_bound(inputs: int, labels: int, n: int, top: int = 0) -> float:
    """Return a bound on the minimax risk for S = `inputs` >= 2 rows.

    V is bounded on cells [r, r'] of row masses by the best multipliers for r', which hold on the
    whole cell and leave a bound linear in r. For top > 0 a row loses at most V(r), and at most r
    (1-1/A) (1-r)^n while it is unvisited plus the loss of its A-k hidden labels, none of which
    exceeds r/(k+1).
    """
    scale = 1.0 / max(n, inputs)
    ends = np.geomspace(min(0.02 * scale, 0.5), 1.0, ROW_CELLS)
    mass = np.column_stack([np.concatenate([[0.0], ends[:-1]]), ends])
    value = np.array([_row_values(labels, n, top, float(a), float(b)) for a, b in mass])
    return largest_over_laws(
        inputs, n, np.repeat(np.arange(len(ends)), 2), mass.ravel(), value.ravel(), spill=0
    )


def _row_values(labels: int, n: int, top: int, a: float, b: float) -> tuple[float, float]:
    """Return bounds on V at both ends of the cell [a, b], linear or constant in between."""
    trivial = 1.0 - 1.0 / labels
    y, z = _multipliers(labels, n, b, b)
    left, right = labels * y + z * a, labels * y + z * b
    if b * trivial <= right:
        left, right = a * trivial, b * trivial
    if top:
        unvisited = trivial * max(_unvisited(r, n) for r in (a, b, min(max(1.0 / (n + 1), a), b)))
        hidden = labels - top
        known = unvisited + hidden_bound(hidden, n, b / (top + 1), b * hidden / labels)
        if known < max(left, right):
            left = right = known
    return left, right


def _unvisited(r: float, n: int) -> float:
    return r * math.exp(n * math.log1p(-r)) if r < 1 else 0.0


@lru_cache(maxsize=4096)
def _multipliers(
    labels: int, n: int, most: float, total: float, falling: bool = True
) -> tuple[float, float]:
    """Return the y and z that minimise labels * y + z * total under the condition of the module for
    u in [0, most].

    z < 0 only if `falling`, which needs the probabilities to sum to `total` exactly.
    """
    unit = 1.0 / max(n, 1)
    grid = _grid(unit, most)
    side, q = np.sqrt(grid), _powers(grid, n)

    def bound(z: float) -> tuple[float, float]:
        root = _root(side, q, z)
        i = int(root.argmax())
        y, slope = float(root[i]) ** 2, _squared_slope(float(side[i]), float(q[i]), z)
        least = _growing(z, n, most)
        if least > y:
            y, slope = least, least / z
        return labels * y + z * total, labels * slope + total

    # The condition is concave in (y, z), so `bound` is convex: an inner minimum is the least of
    # all.
    far = min(4.0 * unit, 1.0)
    ends = (far, 1.0)
    if bound(far)[1] > 0.0:
        ends = (-unit if falling else 0.0, far)
    z = convex_minimum(bound, *ends, MULTIPLIER_GAP)[1]
    return max(_proved_root(grid, z, n) ** 2, _growing(z, n, most)), z


def _grid(unit: float, most: float) -> np.ndarray:
    """Return points of u from 0 to most, dense around the maximum at u of order 1/n."""
    inner = min(6.0 * unit, most)
    dense = np.linspace(0.0, inner, 241)
    return np.concatenate([dense, np.geomspace(inner, most, 64)[1:]]) if most > inner else dense


def _proved_root(grid: np.ndarray, z: float, n: int) -> float:
    """Return an upper bound on the largest root over all u, between the grid points too.

    The root grows with sqrt(u) and with q, so on a cell [u, u'] it is at most that of sqrt(u') and
    q(u).
    """
    low, high = grid[:-1], grid[1:]
    best = float(_root(np.sqrt(grid), _powers(grid, n), z).max())
    for _ in range(ROUNDS):
        keep = _root(np.sqrt(high), _powers(low, n), z) > best
        cells = low[keep, None] + (high - low)[keep, None] * (np.arange(SPLIT + 1) / SPLIT)
        low, high = cells[:, :-1].ravel(), cells[:, 1:].ravel()
    rest = _root(np.sqrt(high), _powers(low, n), z)
    return max(best, float(rest.max())) if len(rest) else best


def _root(side: np.ndarray, q: np.ndarray, z: float) -> np.ndarray:
    """Return sqrt(y) = sqrt(u) (q-z)/(q + sqrt(q(1+z)-z)), which solves the condition at u with q =
    (1-u)^n.
    """
    root: np.ndarray = (
        side * np.maximum(q - z, 0.0) / (q + np.sqrt(np.maximum(q * (1 + z) - z, 0.0)) + 1e-300)
    )
    return root


def _squared_slope(side: float, q: float, z: float) -> float:
    """Return d/dz of `_root` squared."""
    inner = math.sqrt(max(q * (1.0 + z) - z, 1e-300))
    over, under = max(q - z, 0.0), q + inner
    if over == 0.0:
        return 0.0
    return 2.0 * side**2 * over / under**2 * (-1.0 + over / under * (1.0 - q) / (2.0 * inner))


def _growing(z: float, n: int, most: float) -> float:
    """Return the least y for which c grows on [0, most]: c' has the sign of z(1-p) + n(y + z p),
    least there.
    """
    return -z * max((1.0 + most * (n - 1)) / max(n, 1), most) if z < 0 else 0.0


def _powers(u: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.exp(n * np.log1p(-u))
