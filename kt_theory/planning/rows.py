"""Closed forms of what rows with hidden labels lose, at any size: lower bounds for the planner, and top-k's floor.

Legend: S inputs, A labels, n samples, k labels of a visited row that are revealed beside the sampled one. A row of
joint mass r has m light labels of joint probability x that stay hidden until they are sampled, z labels of probability
0, and known or heavy ones; u is the number of light labels not yet sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kt_theory.limits.rows import FewLevels
from kt_theory.limits.soft import unvisited_mass

EXACT_LABELS = 1000
"""Most labels for which the loss of the rows found is summed exactly; beyond, its closed form is 2/A below it."""

MOST_HITS = 4.0
"""Largest n x searched: no worst row has light labels that are sampled more often."""


def hidden_loss(n: float, m: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return a lower bound of x E[u z/(u+z)], what equal sharing loses on m light and z empty labels.

    With c = E u = m q, q = (1-x)^n: 1/(u+z) = 1/(c+z) - (u-c)/(c+z)^2 + (u-c)^2/((c+z)^2 (u+z)), u + z >= z, and
    Var u <= m q (1-q), as empty cells are negatively correlated. So E[u z/(u+z)] >= c z/(c+z) - z m q (1-q)/(c+z)^2.
    """
    with np.errstate(divide="ignore"):
        q = np.exp(n * np.log1p(-np.minimum(x, 1.0)))
    cells = np.maximum(m * q + z, 1e-150)
    bound: np.ndarray = x * np.maximum(m * q * z / cells - z * m * q * (1.0 - q) / cells**2, 0.0)
    return bound


def rows_lower(inputs: int, labels: int, n: int, k: int) -> float:
    """Return a lower bound of the minimax risk of partial labels (k = 0) or top-k: the risk on one explicit teacher.

    Either S equal rows share all the mass, or S-1 equal rows take some and the last one the rest on a heavy label; for
    top-k also point masses beside flat rows. The sizes of the levels are searched on a grid with the closed form; the
    value on them is exact up to 1000 labels.

    Parameters
    ----------
    inputs, labels, n, k : int
        k at most labels - 2; n at least 1.
    """
    light = _largest(inputs - 1, labels, n, k) if inputs > 1 else None
    others = (inputs - 1, *light[1]) if light is not None else (0, 0, 0.0, 0.0)
    rest = 1.0 - others[0] * (others[3] + _flat(k, others[1]) * others[2])
    heavy = _last_row(labels, n, k, max(rest, 0.0))
    apart = (light[0] if light is not None else 0.0) + heavy[0]
    equal = _equal_rows(inputs, labels, n, k)
    best = max(apart, equal[0], _points_and_flat(inputs, labels, n, k) if k and inputs > 1 else 0.0)
    if labels > EXACT_LABELS:
        return best
    family = FewLevels(labels, n, k)
    m, x, h = heavy[1]
    found = family.heavy(h, m, x)
    if others[0]:
        found += others[0] * _exact(family, *others[1:])
    m, x, h = equal[1]
    return max(best, found, inputs * _exact(family, m, x, h))


def _flat(k: int, m: Any) -> Any:
    """Labels of probability x in a row beside the one of probability h: for k = 0 a flat row has h = 0."""
    return m + k - 1 if k else m


def _exact(family: FewLevels, m: int, x: float, h: float) -> float:
    return family.heavy(h, m, x) if family.top else family.flat(m, x)


def _loss(labels: int, n: int, k: int, m: np.ndarray, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return a lower bound of the loss of a row with a known label h beside its light ones (k = 0: a flat row)."""
    z = labels - k - m
    found = hidden_loss(n, m, x, z)
    if not k:
        return found
    mass = h + (m + k - 1) * x
    far = np.maximum(h - mass / labels, 0.0) + (m + k - 1) * np.maximum(x - mass / labels, 0.0)
    with np.errstate(divide="ignore"):
        unvisited = np.exp(n * np.log1p(-np.minimum(mass, 1.0)))
    extra: np.ndarray = found + unvisited * (far - x * m * z / np.maximum(m + z, 1))
    return extra


def _largest(count: int, labels: int, n: int, k: int) -> tuple[float, tuple[int, float, float]]:
    """Return (value, (m, x, h)) of `count` equal rows with at most all the mass."""

    def value(m: np.ndarray, hits: np.ndarray, ratio: np.ndarray) -> np.ndarray:
        x = np.minimum(hits / n, 1.0 / (count * (m + max(k, 1) - 1 + ratio)))
        return count * _loss(labels, n, k, m, x, ratio * x if k else 0.0 * x)

    top = max(1.0, 4.0 * labels / max(k, 1)) if k else 1.0
    found, (m, hits, ratio) = _climb(value, [1.0, 1e-3, 1.0], [labels - max(k, 1), MOST_HITS, top])
    x = min(hits / n, 1.0 / (count * (m + max(k, 1) - 1 + ratio)))
    return found, (int(m), x, ratio * x if k else 0.0)


def _equal_rows(inputs: int, labels: int, n: int, k: int) -> tuple[float, tuple[int, float, float]]:
    """Return (value, (m, x, h)) of S equal rows that share all the mass."""
    mass = 1.0 / inputs

    def value(m: np.ndarray, share: np.ndarray) -> np.ndarray:
        x = share * mass / (m + k) if k else mass / m + 0.0 * share
        return inputs * _loss(labels, n, k, m, x, mass - (m + k - 1) * x)

    found, (m, share) = _climb(value, [1.0, 1e-6 if k else 1.0], [labels - max(k, 1), 1.0])
    x = share * mass / (m + k) if k else mass / m
    return found, (int(m), x, mass - (m + k - 1) * x if k else 0.0)


def _last_row(labels: int, n: int, k: int, mass: float) -> tuple[float, tuple[int, float, float]]:
    """Return (value, (m, x, h)) of one row of the given mass, most of it on a heavy label."""

    def heavy(m: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.minimum(hits / n, mass / (_flat(k, m) + 1))
        return x, np.maximum(mass - _flat(k, m) * x, 0.0)

    def value(m: np.ndarray, hits: np.ndarray) -> np.ndarray:
        x, h = heavy(m, hits)
        if k:
            return _loss(labels, n, k, m, x, h)
        z = labels - 1 - m
        with np.errstate(divide="ignore"):
            unseen = np.exp(n * np.log1p(-np.minimum(h, 1.0)))
        left: np.ndarray = hidden_loss(n, m, x, z) - unseen * x * m * z / np.maximum(m + z, 1)
        return left

    found, (m, hits) = _climb(value, [1.0, 1e-3], [labels - max(k, 1), MOST_HITS])
    x, h = heavy(m, hits)
    return max(found, 0.0), (int(m), float(x), float(h))


def _points_and_flat(inputs: int, labels: int, n: int, k: int) -> float:
    """Return the value of point masses, which lose while unvisited, beside `count` flat rows with the rest."""

    def value(m: np.ndarray, share: np.ndarray, mass: np.ndarray) -> np.ndarray:
        count = np.clip(np.round(share * inputs), 1.0, inputs - 1.0)
        others = inputs - count
        each = mass / others
        x = (1.0 - mass) / count / (m + k)
        points = mass * (1.0 - 1.0 / labels) * np.exp(n * np.log1p(-each))
        found: np.ndarray = points + count * _loss(labels, n, k, m, x, x)
        return found

    return _climb(value, [1.0, 1.0 / inputs, 1e-2], [labels - k, 1.0, 0.99])[0]


def _climb(value: Callable[..., np.ndarray], low: list[float], high: list[float]) -> tuple[float, list]:
    """Return the largest value on a grid that closes in on it, in logarithms; the first coordinate is whole."""
    low, high = list(np.log(low)), list(np.log(np.maximum(high, low)))
    points = 33 if len(low) == 2 else 15
    best: tuple[float, list] = (-np.inf, [])
    for _ in range(6):
        axes = [np.exp(np.linspace(a, b, points)) for a, b in zip(low, high, strict=True)]
        axes[0] = np.unique(np.round(axes[0]))
        grid = np.meshgrid(*axes, indexing="ij")
        values = value(*grid)
        at = np.unravel_index(int(np.argmax(values)), values.shape)
        if values[at] > best[0]:
            best = float(values[at]), [float(axis[i]) for axis, i in zip(axes, at, strict=True)]
        for i, place in enumerate(np.log(best[1])):
            reach = 2.5 * (high[i] - low[i]) / (points - 1)
            low[i], high[i] = max(low[i], place - reach), min(high[i], place + reach)
    return best


def tail_floor(labels: int, k: int) -> float:
    """Return the largest loss that hidden tails leave: max over m of m/(k+m) (1 - m/(A-k)).

    The k most probable labels of a visited row are known, the others share what is left equally: the row loses
    1/2 sum_tail |p - M/(A-k)|, M the mass of its tail, and no student does better on all label permutations of the
    row. That is convex in p, so largest at a vertex of {p: each of k labels at least as probable as each other}: a
    point mass, or k + m equal labels, where it is m/(k+m) (1 - m/(A-k)).

    Parameters
    ----------
    labels, k : int
        k >= 1.
    """
    hidden = labels - k
    if hidden <= 1:
        return 0.0
    root = (k * (k + hidden)) ** 0.5 - k  # where the derivative in m vanishes
    m = np.clip([np.floor(root), np.floor(root) + 1.0], 1.0, hidden)
    return float((m / (k + m) * (1.0 - m / hidden)).max())


def tail_upper(inputs: int, labels: int, n: int, k: int) -> float:
    """Return a bound for every teacher: w(q) = max(q (1-1/A), max_m q TV(U, p_m) + (1-q) tail(p_m)) is convex in q.

    A row not visited with probability q loses at most w(q) <= F + (1-1/A-F) q, F the floor; hence
    F + (1-1/A-F) Phi(S, n).
    """
    floor = tail_floor(labels, k)
    return floor + (1.0 - 1.0 / labels - floor) * unvisited_mass(inputs, n).value


def tail_lower(inputs: int, labels: int, n: int, k: int) -> float:
    """Return the largest risk over the laws of S-1 inputs of probability x and one of 1-(S-1)x, each row its worst."""
    if n == 0:
        return 1.0 - 1.0 / labels
    m = np.unique(np.floor(np.geomspace(1.0, max(labels - k, 1), 400)))
    root = (k * labels) ** 0.5 - k
    m = np.unique(np.append(m, np.clip([np.floor(root), np.floor(root) + 1.0], 1.0, max(labels - k, 1))))
    far = np.append(1.0 - (k + m) / labels, 1.0 - 1.0 / labels)
    tail = np.append(m / (k + m) * (1.0 - m / max(labels - k, 1)), 0.0)

    def worst(x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            q = np.exp(n * np.log1p(-x))[:, None]
        found: np.ndarray = x * (q * far + (1.0 - q) * tail).max(axis=1)
        return found

    if inputs == 1:
        return float(worst(np.ones(1))[0])
    low, high, others = np.log(1e-3 / (n + inputs)), -np.log(inputs), inputs - 1.0
    best = 0.0
    for _ in range(4):
        z = np.linspace(low, high, 161)
        x = np.exp(z)
        values = others * worst(x) + worst(np.clip(1.0 - others * x, 0.0, 1.0))
        at = int(values.argmax())
        best, step = max(best, float(values[at])), (high - low) / 160
        low, high = max(low, z[at] - 2 * step), min(high, z[at] + 2 * step)
    return best
