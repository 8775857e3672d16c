"""Rows with few levels and what the optimal student loses on them: the candidates for the worst
teacher.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from kt_theory.limits.sharing.empty_cells import mean_of_each, means_after_throws, means_by_chance

MOST_HITS = 4.0
"""Light labels with n x above this are not searched: t e^-t falls from t = 1 on, and no worst row
has t > 1.5.
"""


@dataclass(frozen=True)
class FewLevels:
    """Rows with one heavy label h, light labels of probability x and labels of probability 0.

    Probabilities are joint: x = rho(s) pi(a|s), so that a row adds its term to the risk without
    further weights. The student is the optimal one: exact on the `top` most probable labels of a
    visited row and on the sampled labels, and equal shares of what is left on the others (SEL_ptl
    for top = 0).

    Attributes
    ----------
    labels : int
    n : int
        Samples.
    top : int
        How many of a visited row's most probable labels are revealed.
    """

    labels: int
    n: int
    top: int = 0

    def light_labels(self, m: int) -> int:
        """Return how many labels have probability x beside the heavy one if m of the hidden labels
        have.
        """
        return m + self.top - 1 if self.top and m else m

    def flat_labels(self, m: int) -> int:
        """Return how many labels of a row without a heavy label have probability x."""
        return max(self.light_labels(m) + (self.top > 0), 1)

    def flat(self, m: int, x: Any) -> Any:
        """Return the loss of the row whose positive labels all have probability x; an array of them
        for an array x.
        """
        if self.top:
            return self.heavy(x, m, x)
        loss = np.asarray(x) * self._light_loss(m, np.atleast_1d(x), self.labels - m)
        return loss if np.ndim(x) else float(loss[0])

    def heavy(self, h: Any, m: int, x: Any) -> Any:
        """Return the loss of the row {h, x on m hidden labels, 0 elsewhere}; h is hidden too if top
        = 0.

        With u light and z empty labels unseen, and h seen, R/U = u x/(u+z) and the loss is x u
        z/(u+z). For top = 0 the loss with h unseen takes its place with probability (1-h)^n, given
        which the light labels see Bin(n, m x/(1-h)) samples; for top > 0 the whole row's distance
        to Uniform does on an unvisited row.

        Parameters
        ----------
        h, x : (X,) arrays, or floats for a float
        m : int
        """
        if not (np.ndim(h) or np.ndim(x)):
            return float(self.heavy(np.array([h]), m, np.array([x]))[0])
        h, x = np.broadcast_arrays(h, x)
        empty = self.labels - max(self.top, 1) - m
        loss = x * self._light_loss(m, x, empty)
        if self.top:
            light = self.light_labels(m)
            mass, rest = h + light * x, self.labels - 1 - light
            mean = mass / self.labels
            far = 0.5 * (np.abs(h - mean) + light * np.abs(x - mean) + rest * mean)
            return loss + _power(1.0 - mass, self.n) * (far - x * m * empty / max(m + empty, 1))
        unseen = _power(1.0 - h, self.n)
        much = unseen > 1e-20 * loss
        if much.any():
            loss[much] += unseen[much] * self._heavy_unseen(h[much, None], m, x[much, None], empty)
        return loss

    def _heavy_unseen(self, h: np.ndarray, m: int, x: np.ndarray, empty: int) -> np.ndarray:
        """Return what a row loses with h unseen more than with h seen, given that it is unseen."""
        u = np.arange(m + 1, dtype=np.float64)
        share = (u * x + h) / (u + empty + 1)
        with_heavy = 0.5 * (u * np.abs(x - share) + np.abs(h - share) + empty * share)
        more = with_heavy - x * u * empty / np.maximum(u + empty, 1)
        if not m:
            return more[:, 0]
        p = np.minimum(1.0, m * x[:, 0] / np.where(h[:, 0] < 1.0, 1.0 - h[:, 0], np.inf))
        return mean_of_each(self.n, p, more)

    def row(self, m: int, x: float, h: float) -> np.ndarray:
        """Return the row as a distribution over the labels; a row of no mass as a point mass."""
        out = np.zeros(self.labels)
        out[0] = h if h + self.light_labels(m) * x > 0 else 1.0
        out[1 : 1 + self.light_labels(m)] = x
        return out / out.sum()

    def _light_loss(self, m: int, x: np.ndarray, empty: int) -> np.ndarray:
        if m == 0 or empty <= 0:
            return np.zeros(len(x))
        means = _harmonic_means(m, empty, _throws(self.n, m, MOST_HITS))
        return means_by_chance(self.n, np.minimum(m * x, 1.0), means)


@lru_cache(maxsize=256)
def _harmonic_means(m: int, empty: int, throws: int) -> np.ndarray:
    """Return E[u z/(u+z)] for u = empty cells of m after t = 0..throws throws, z = empty labels."""
    u = np.arange(m + 1, dtype=np.float64)
    return means_after_throws(u * empty / (u + empty), throws)


def _throws(n: int, m: int, hits: float) -> int:
    mean = m * hits
    return int(min(n, mean + 12 * math.sqrt(mean) + 80))


def _power(base: np.ndarray, n: int) -> np.ndarray:
    if n == 0:
        return np.ones(base.shape)
    with np.errstate(divide="ignore"):
        power: np.ndarray = np.exp(n * np.log(np.maximum(base, 0.0)))
    return power
