"""How finely a dump was stored, and what its rows may sum to for that."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

FLOOR = 1e-4
"""Rows may sum to so much more than 1 however finely they are stored: whoever computed them summed
in float32."""

_SAMPLE = 4096
_FEWEST = 8
_DECIMALS = range(2, 7)
_DOUBLE, _SINGLE, _HALF, _BRAIN = 2.0**-53, 2.0**-24, 2.0**-11, 2.0**-9
_TELLS = 0.05


@dataclass(frozen=True)
class Rounding:
    """Half of the last place of stored values.

    Attributes
    ----------
    relative, absolute : float
        A value x is off by `relative` |x| + `absolute` at most.
    """

    relative: float
    absolute: float

    @classmethod
    def of(cls, values: np.ndarray) -> Rounding:
        """Return that of values in float16, float32 or float64, by what the first of them are:
        bfloat16 and float16 are known in wider types too, and decimals by their last place.
        """
        sample = values.reshape(-1)[: 4 * _SAMPLE]
        sample = sample[np.isfinite(sample) & (sample != 0)][:_SAMPLE]
        if values.dtype == np.float16:
            return cls(_HALF, 2.0**-25)
        if len(sample) < _FEWEST:
            return cls(_SINGLE, 0.0)
        with np.errstate(over="ignore", under="ignore"):
            single = sample.astype(np.float32)
            in_single = bool((single == sample).all())
            if in_single and not (single.view(np.uint32) & 0xFFFF).any():
                return cls(_BRAIN, 0.0)
            if in_single and (single.astype(np.float16) == single).all():
                return cls(_HALF, 0.0)
        own = _SINGLE if in_single else _DOUBLE
        for decimals in _DECIMALS:
            scaled = np.abs(sample) * 10.0**decimals
            off = 2.0 * own * scaled + 1e-9
            if off.max() < _TELLS and (np.abs(scaled - np.rint(scaled)) <= off).all():
                return cls(own, 0.5 * 10.0**-decimals)
        return cls(_SINGLE, 0.0)

    def with_off(self, off: float) -> Rounding:
        """Return that of values that may be so much off besides."""
        return Rounding(self.relative, self.absolute + off)

    def of_logs(self, k: int, unit: float = 1.0) -> float:
        """Return by how much the exponentials of k logarithms of probabilities may sum above 1;
        `unit` is the logarithm of their base.

        sum p |log p| <= log k + 1 where the p sum to 1 or less.
        """
        return FLOOR + math.expm1(self.absolute * unit + self.relative * (1.0 + math.log(k)))

    def of_probabilities(self, k: int) -> float:
        """Return by how much k probabilities may sum above 1."""
        return FLOOR + self.relative + k * self.absolute

    def of_size(self, largest: float) -> float:
        """Return how far values up to `largest` are off."""
        return self.relative * largest + self.absolute
