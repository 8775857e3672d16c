"""DistillKit's compressed log-probabilities: some values as they are, a curve through the others,
what remains in bins of few bits.

Reference: github.com/arcee-ai/DistillKit, distillkit/compression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kt_theory.dumps.layouts.bits import SIZES, floats, rounded, unpacked, unpacked_words
from kt_theory.dumps.layouts.columns import Ragged
from kt_theory.dumps.layouts.tables import Rows

_OFF = 0.02
"""How far values are off, in nats, where curves stand for them: as in rows that are worth keeping.
"""


@dataclass(frozen=True)
class Bin:
    """Values in so many bits each, times one scale.

    Attributes
    ----------
    scale : str
        The type of the scale.
    bits, count : int
        Bits of a value, and how many there are.
    """

    scale: str
    bits: int
    count: int

    @property
    def bytes(self) -> int:
        """How many a row takes."""
        return SIZES[self.scale] + (self.bits * self.count + 7) // 8

    def decoded(self, packed: np.ndarray) -> np.ndarray:
        """Return the values, (m, count), of rows of bytes."""
        size = SIZES[self.scale]
        scale = floats(packed[:, :size], self.scale)
        whole = unpacked(packed[:, size:], self.bits, self.count).astype(np.int64)
        if self.bits == 1:
            return (whole.astype(np.float32) * 2 - 1) * scale
        return (whole - 2 ** (self.bits - 1)).astype(np.float32) * scale


@dataclass(frozen=True)
class Curve:
    """A sum of terms in the rank of a value, such as 1, t, t^2 and sqrt(t).

    Attributes
    ----------
    terms : tuple of int or str
        Powers, "sqrt" or "exp".
    kind : str
        The type of the coefficients, in which the sum is taken.
    unit : bool
        t runs from 0 to 1; else from 0 in steps of 1.
    """

    terms: tuple[int | str, ...]
    kind: str
    unit: bool

    @property
    def bytes(self) -> int:
        """How many a row takes."""
        return SIZES[self.kind] * len(self.terms)

    def decoded(self, packed: np.ndarray, count: int) -> np.ndarray:
        """Return the values, (m, count), of rows of bytes."""
        coefficients = floats(packed, self.kind)
        found = np.zeros((len(packed), count), dtype=coefficients.dtype)
        for term, coefficient in zip(self._terms(count), coefficients.T, strict=True):
            found += rounded(coefficient[:, None] * term, self.kind)
        return rounded(found, self.kind)

    def _terms(self, count: int) -> list[np.ndarray]:
        wide = np.float64 if self.kind == "float64" else np.float32
        t = np.linspace(0, 1, count, dtype=wide) if self.unit else np.arange(count, dtype=wide)
        t = rounded(t, self.kind)
        found = []
        with np.errstate(over="ignore"):
            for term in self.terms:
                value = getattr(np, term)(t) if isinstance(term, str) else t**term
                found.append(rounded(value, self.kind))
        return found


@dataclass(frozen=True)
class Compressed(Rows):
    """Rows in `compressed_logprobs` and `bytepacked_indices`.

    Attributes
    ----------
    labels, listed, exact : int
        How many the teacher has, a row lists, and are stored as they are.
    exact_kind : str
        The type of those.
    curve : Curve
        Through the others.
    bins : tuple of Bin
        What the curve leaves of them, from the largest on.
    differences : bool
        Values are stored as differences from the one before.
    """

    labels: int
    listed: int
    exact: int
    exact_kind: str
    curve: Curve
    bins: tuple[Bin, ...]
    differences: bool

    columns = ("bytepacked_indices", "compressed_logprobs")
    off: ClassVar[float] = _OFF

    def table(self, columns: Mapping[str, Ragged]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, (m, k) integers, and the values, (m, k), of m positions."""
        bits = label_bits(self.labels)
        ids, values = self.columns
        packed = columns[ids].rows((bits * self.listed + 7) // 8, ids)
        labels = unpacked(packed, bits, self.listed).astype(np.int32)
        return labels, self._decoded(columns[values].rows(self._bytes(), values))

    def _bytes(self) -> int:
        of_bins = sum(part.bytes for part in self.bins)
        return self.exact * SIZES[self.exact_kind] + self.curve.bytes + of_bins

    def _decoded(self, packed: np.ndarray) -> np.ndarray:
        place = self.exact * SIZES[self.exact_kind]
        exact = floats(packed[:, :place], self.exact_kind)
        others = self.listed - self.exact
        curve = self.curve.decoded(packed[:, place : place + self.curve.bytes], others)
        place += self.curve.bytes
        rest = np.zeros((len(packed), others), dtype=np.float32)
        column = 0
        for part in self.bins:
            found = part.decoded(packed[:, place : place + part.bytes])
            rest[:, column : column + part.count] = rounded(found, self.exact_kind)
            place += part.bytes
            column += part.count
        if self.curve.terms:
            rest = self._sum(curve, rest)
        values = np.concatenate([exact, rest], axis=1)
        if self.differences:
            return rounded(np.cumsum(values.astype(np.float32), axis=1), self.exact_kind)
        return values

    def _sum(self, curve: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Two numbers of one type have a sum of that type."""
        found = curve + rest
        return rounded(found, self.exact_kind) if self.curve.kind == self.exact_kind else found


@dataclass(frozen=True)
class LegacyCompressed(Rows):
    """Rows in `packed_indices`, `exact_values` and `coeffs`.

    Attributes
    ----------
    labels, listed, exact : int
        How many the teacher has, a row lists, and are stored as they are.
    powers : tuple of float
        Of the rank, from 1, of the others: the terms of the curve through them.
    """

    labels: int
    listed: int
    exact: int
    powers: tuple[float, ...]

    columns = ("packed_indices", "exact_values", "coeffs")
    off: ClassVar[float] = _OFF

    def table(self, columns: Mapping[str, Ragged]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, (m, k) integers, and the values, (m, k), of m positions."""
        bits = label_bits(self.labels)
        ids, exact, coefficients = self.columns
        words = -(-self.listed // (64 // bits))
        labels = unpacked_words(columns[ids].rows(words, ids), bits, self.listed)
        top = columns[exact].rows(self.exact, exact).astype(np.float32)
        others = self.listed - self.exact
        rank = np.arange(1, others + 1, dtype=np.float32)
        powers = self.powers if others else ()
        curve = np.zeros((len(top), others), dtype=np.float32)
        stored = columns[coefficients].rows(len(powers), coefficients).astype(np.float32)
        for power, coefficient in zip(powers, stored.T, strict=True):
            curve += rank ** np.float32(power) * coefficient[:, None]
        return labels.astype(np.int32), np.concatenate([top, curve], axis=1)


def label_bits(labels: int) -> int:
    """Return in how many bits an id is packed: the logarithm is taken in single precision."""
    return max(int(np.ceil(np.log2(np.float32(labels)))), 1)
