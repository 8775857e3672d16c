"""Numbers packed in bits, and floating point in bytes."""

from __future__ import annotations

import numpy as np

SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
"""Bytes of a number of each type."""


def unpacked(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Return `count` whole numbers of so many bits each, the highest bit first, of each row.

    Parameters
    ----------
    packed : (m, b) uint8
        With 8 b >= bits * count.
    bits : int
        From 1 to 64.

    Returns
    -------
    (m, count) uint64
    """
    first = np.arange(count) * bits
    if bits <= _WINDOW:
        return _window(packed, first, bits)
    high = _window(packed, first, bits - 32)
    return (high << np.uint64(32)) | _window(packed, first + (bits - 32), 32)


_WINDOW = 57
"""So many bits lie within eight bytes wherever they begin."""


def _window(packed: np.ndarray, first: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of so many bits that begin at the bits `first` of each row."""
    width = (bits + 14) // 8
    kind = np.uint32 if width <= 4 else np.uint64
    whole = np.zeros((len(packed), packed.shape[1] + width), dtype=kind)
    whole[:, : packed.shape[1]] = packed
    words = np.zeros((len(packed), len(first)), dtype=kind)
    for place in range(width):
        words <<= kind(8)
        words |= np.take(whole, first // 8 + place, axis=1)
    words >>= (8 * width - bits - first % 8).astype(kind)
    words &= kind(2**bits - 1)
    return words.astype(np.uint64)


def unpacked_words(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Return `count` whole numbers of so many bits each, as many as fit in words of 64 bits, the
    lowest bits first.

    Parameters
    ----------
    packed : (m, w) uint64 or int64
        With w * (64 // bits) >= count.
    bits : int
        From 1 to 63.

    Returns
    -------
    (m, count) uint64
    """
    fit = 64 // bits
    place = np.arange(count)
    words = np.take(packed.view(np.uint64), place // fit, axis=1)
    words >>= (bits * (place % fit)).astype(np.uint64)
    words &= np.uint64(2**bits - 1)
    return words


def floats(packed: np.ndarray, kind: str) -> np.ndarray:
    """Return the numbers of a type that bytes hold, the lowest byte first.

    Parameters
    ----------
    packed : (m, b) uint8
    kind : str
        One of `SIZES`.

    Returns
    -------
    (m, b / size) float64 if that is the type, else float32
    """
    packed = np.ascontiguousarray(packed)
    if kind == "bfloat16":
        return (packed.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    found = packed.view(f"<f{SIZES[kind]}")
    return found if kind == "float64" else found.astype(np.float32)


def rounded(values: np.ndarray, kind: str) -> np.ndarray:
    """Return numbers rounded to a type: float64 if that is the type, else float32.

    Halfway cases go to the even one.
    """
    if kind == "float64":
        return values.astype(np.float64)
    if kind == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    found = values.astype(np.float32)
    if kind == "float32":
        return found
    bits = found.view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    up = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(found), up, bits & np.uint32(0xFFFF0000)).view(np.float32)
