"""A kind of row without a formula: entries that are draws of one law F, given that they sum to 1.

F is a histogram over log p. For gamma F that is a Dirichlet row; a histogram also fits rows that all have the same
values in some order, such as Zipf's. It is fitted to the stated probabilities, and to the hidden ones by their mean:
given its mass m, u hidden entries of a row are about draws of F tilted, F(p) e^(-t p) / M, to the mean m/u (Gibbs'
conditioning).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WIDTH = 0.12
GRID = np.exp(np.arange(-16.0, 1e-4, _WIDTH))
"""Values p of the histogram."""

_LOG_SIZE = np.log(GRID * 2.0 * np.sinh(0.5 * _WIDTH))
"""Log widths of its bins, in p."""

_ROUNDS, _BISECTIONS, _TRIES = 12, 24, 6
_PARAMETERS = 30
"""So many numbers of F count as fitted: each costs half a log of the number of stated entries (Schwarz 1978)."""


@dataclass(frozen=True, eq=False)
class EntryLaw:
    """`log_law` (G,): the logarithm of F on `GRID`."""

    log_law: np.ndarray

    def evidence(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the log density of each row's stated probabilities, given that the row sums to 1: (R,)."""
        hidden = (~known).sum(axis=1)
        mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
        each = np.where(known, (self.log_law - _LOG_SIZE)[_bin(stated)], 0.0)
        whole = self._log_sum_density(np.array([known.shape[1]]), np.ones(1), np.ones(1))
        found: np.ndarray = each.sum(axis=1) - whole
        some = hidden > 0
        if some.any():
            found[some] += self._log_sum_density(hidden[some], mass[some], cap[some])
        return found - 0.5 * _PARAMETERS * np.log(max(known.sum(), 2)) / len(stated)

    def _log_sum_density(self, number: np.ndarray, total: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the log density that `number` entries sum to `total`, by the saddle point of F."""
        _, log_norm, tilt, variance = _tilted(self.log_law, total / number, cap)
        found: np.ndarray = number * log_norm + tilt * total - 0.5 * np.log(2.0 * np.pi * number * variance)
        return found

    def draw(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return rows given what is stated of them, which is kept exactly: (R, A)."""
        hidden = np.maximum((~known).sum(axis=1), 1)
        mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 0.0, 1.0)
        weight, _, _, _ = _tilted(self.log_law, np.maximum(mass, 1e-12) / hidden, cap)
        cumulated = np.cumsum(weight, axis=1)
        # One sorted array for all rows: row r lies in (r, r + 1].
        cumulated = cumulated / cumulated[:, -1:] + np.arange(len(stated))[:, None]
        best, least = np.zeros(stated.shape), np.full(len(stated), np.inf)
        for _ in range(_TRIES):
            level = rng.random(stated.shape) + np.arange(len(stated))[:, None]
            place = np.searchsorted(cumulated.ravel(), level.ravel()).reshape(stated.shape)
            value = GRID[np.minimum(place - len(GRID) * np.arange(len(stated))[:, None], len(GRID) - 1)]
            value = np.where(known, 0.0, value * np.exp(rng.uniform(-0.5 * _WIDTH, 0.5 * _WIDTH, stated.shape)))
            total = np.maximum(value.sum(axis=1), 1e-300)
            off = np.abs(np.log(np.maximum(mass, 1e-12) / total))
            closer = off < least
            best[closer] = (value * (mass / total)[:, None])[closer]
            least = np.minimum(off, least)
        return np.where(known, stated, best)


def entry_law(stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> EntryLaw:
    """Return F fitted to the stated entries, and to the hidden ones by expectation and maximisation."""
    hidden = (~known).sum(axis=1)
    some = hidden > 0
    mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
    seen = np.bincount(_bin(stated)[known], minlength=len(GRID)).astype(np.float64)
    law = seen + 0.02 * seen.sum() / len(GRID) + 0.1
    law /= law.sum()
    for _ in range(_ROUNDS):
        weight, _, _, _ = _tilted(np.log(law), (mass / np.maximum(hidden, 1))[some], cap[some])
        law = seen + 0.05 + hidden[some] @ weight
        law /= law.sum()
    return EntryLaw(np.log(law))


def _bin(stated: np.ndarray) -> np.ndarray:
    place = np.round((np.log(np.maximum(stated, 1e-12)) - np.log(GRID[0])) / _WIDTH)
    found: np.ndarray = np.clip(place.astype(np.int64), 0, len(GRID) - 1)
    return found


def _tilted(
    log_law: np.ndarray, mean: np.ndarray, cap: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return F tilted to each mean, below each cap: weights (R, G), log M, t and the variance, (R,) each."""
    log = np.where(cap[:, None] * 1.06 >= GRID, log_law, -np.inf)
    log[:, 0] = np.maximum(log[:, 0], -60.0)
    low, high = np.full(len(mean), -6.5), np.full(len(mean), 18.0)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        exponent = log - np.sinh(middle)[:, None] * GRID
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        above = weight @ GRID > mean * weight.sum(axis=1)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    tilt = np.sinh(0.5 * (low + high))
    exponent = log - tilt[:, None] * GRID
    peak = exponent.max(axis=1)
    weight = np.exp(exponent - peak[:, None])
    norm = weight.sum(axis=1)
    weight /= norm[:, None]
    found = weight @ GRID
    variance = np.maximum(weight @ GRID**2 - found**2, (0.03 * found) ** 2)
    return weight, np.log(norm) + peak, tilt, variance
