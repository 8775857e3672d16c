"""Three labels with partial soft labels: the worst row for a given rho(s) is proved to have an empty label."""

from __future__ import annotations

import numpy as np

STEP = 0.0125
"""Grid spacing of n p1 and n p2."""

FAR = 12.0
"""n p1 above this is bounded as a whole: (1-p1)^n < 1e-5."""


def three_labels_bound(inputs: int, n: int) -> float:
    r"""Return an upper bound on the minimax risk of partial labels for A = 3 and S = `inputs` >= 2, n >= 1.

    A row with joint probabilities p1 >= p2 >= p3 of sum r loses, with phi(p) = (1-r+p)^n - (1-r)^n the probability that
    a label of probability p is the only one seen,

        (1-r)^n TV(Uniform) + 1/2 [phi(p1)(p2-p3) + phi(p2)(p1-p3) + phi(p3)(p1-p2)].

    Moving p3 onto p1 raises the first term (the new row majorises the old one), and the bracket by at least
    phi(p1) p3 - phi(p3) p1 >= 0, because phi(p)/p grows. So p3 = 0, and with g(x) = x (1-x)^n

        V(r) = max over p1 + p2 = r of f(p1, p2) = 1/2 [g(p1) + g(p2)] + (1-r)^n (max(r/3, p1-r/3) - r/2),

    and minimax <= S max_r [V(r) - eta r] + eta for every eta. The maximum over a grid of spacing w falls short of the one
    in between by at most w^2/8 (|f_11| + 2 |f_12| + |f_22|) <= 12 n w^2/8, as |g''| <= 2n and each second derivative
    of (1-r)^n times either branch is at most 5n/2.
    """
    from scipy.optimize import minimize_scalar

    last = min(1.0, FAR / n)
    nodes = np.linspace(0.0, last, int(np.ceil(n * last / STEP)) + 1)
    error = 1.5 * n * nodes[1] ** 2
    loss, mass = _losses(nodes, n)
    best = np.maximum.reduceat(loss, np.flatnonzero(np.diff(mass, prepend=-1)))
    mass = np.unique(mass) * nodes[1]
    single = nodes * _powers(nodes, n)
    far = 0.5 * single.max() + single[-1] * 2 / 3

    def bound(eta: float) -> float:
        top = float((best - eta * mass).max())
        if last < 1.0:
            top = max(top, far - eta * (last if eta > 0 else 1.0))
        return inputs * (top + error) + eta

    ranges = [(-1.0 / n, 1.0 / n), (0.0, 1.0)]
    return min(
        float(minimize_scalar(bound, bounds=ends, method="bounded", options={"xatol": 1e-7 * ends[1]}).fun)
        for ends in ranges
    )


def _losses(nodes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return f at all pairs p1 >= p2 of nodes, and p1 + p2 in steps, ordered by the latter.

    Cells of the grid may cross p1 + p2 = 1, beyond which f is continued by (1-r)^n = 0.
    """
    i, j = np.tril_indices(len(nodes))
    order = np.argsort(i + j, kind="stable")
    i, j = i[order], j[order]
    single = nodes * _powers(nodes, n)
    r = nodes[i] + nodes[j]
    spread = np.maximum(r / 3, nodes[i] - r / 3) - r / 2
    return 0.5 * (single[i] + single[j]) + _powers(np.minimum(r, 1.0), n) * spread, i + j


def _powers(x: np.ndarray, n: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.exp(n * np.log1p(-x))
