"""Repeats in blocks of bounded memory, each with a random stream of its own, and their running
means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kt_theory.intervals import Facts, interval
from kt_theory.kernels.statistics import ROUNDING

_NUMBERS_AT_ONCE = 2**22


class Running:
    """Means and standard errors of several quantities, block by block (Chan, Golub and LeVeque
    1983), and their skewness (Pébay 2008).
    """

    def __init__(self, quantities: int) -> None:
        self.repeats = 0
        self.mean = np.zeros(quantities)
        self._squares = np.zeros(quantities)
        self._cubes = np.zeros(quantities)

    def add(self, values: np.ndarray) -> None:
        """Add a block of values, (quantities, R)."""
        size = values.shape[1]
        mean = values.mean(axis=1)
        centred = values - mean[:, None]
        squares = (centred**2).sum(axis=1)
        before, total = self.repeats, self.repeats + size
        gap = mean - self.mean
        self._cubes += (centred**3).sum(axis=1)
        self._cubes += gap**3 * before * size * (before - size) / total**2
        self._cubes += 3.0 * gap * (before * squares - size * self._squares) / total
        self._squares += squares + gap**2 * before * size / total
        self.mean = self.mean + gap * size / total
        self.repeats = total

    @property
    def std_error(self) -> np.ndarray:
        """Standard errors of the means, (quantities,), from at least 2 repeats."""
        return np.sqrt(self._squares / (self.repeats - 1) / self.repeats)

    def estimate(self, i: int) -> dict[str, Any]:
        """Return the columns mean, std_error, low, high and interval of a quantity in [0, 1]."""
        mean, error = float(self.mean[i]), float(self.std_error[i])
        facts = Facts(self.repeats, mean, error, 0.0, ((mean, self.repeats),))
        if error > ROUNDING * mean:
            spread = float(np.sqrt(self._squares[i] / self.repeats))
            skewness = float(self._cubes[i]) / self.repeats / spread / spread / spread
            facts = Facts(self.repeats, mean, error, skewness)
        low, high, kind = interval(facts)
        return {"mean": mean, "std_error": error, "low": low, "high": high, "interval": kind}


def blocks(
    repeats: int, numbers: int, seed: int, *key: int
) -> Iterator[tuple[int, np.random.Generator]]:
    """Yield (size, generator) of blocks of repeats that need `numbers` float64 each.

    Block i draws from the i-th stream of (seed, key).
    """
    size = max(1, _NUMBERS_AT_ONCE // numbers)
    for i, start in enumerate(range(0, repeats, size)):
        stream = np.random.SeedSequence(seed, spawn_key=(*key, i))
        yield min(size, repeats - start), np.random.Generator(np.random.PCG64(stream))
