"""Values that nobody means, for arguments, keys and cells."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

SCALARS: list[Any] = [
    None,
    True,
    False,
    "",
    "x",
    "nan",
    "\x00",
    "1" * 400,
    0,
    -1,
    1,
    2,
    3,
    1.5,
    0.1,
]
SCALARS += [
    10**30,
    -(10**400),
    2**53,
    2**63,
    1e308,
    -1e308,
    1e-308,
    float("nan"),
    float("inf"),
    -float("inf"),
]
"""What a file may hold too."""

OBJECTS: list[Any] = [
    *SCALARS,
    b"bytes",
    Fraction(1, 3),
    1j,
    object(),
    int,
    len,
    range(3),
    {1, 2},
    iter(()),
]
OBJECTS += [
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    ["a", 1],
    np.zeros(0),
    np.zeros((0, 3)),
    np.ones((2, 2, 2)),
]
OBJECTS += [
    np.array([0.5, 0.5]),
    np.array([[0.5, 0.5], [1.0, 0.0]]),
    np.array([["a", "b"]]),
    np.array([1j, 2]),
]
OBJECTS += [
    np.ma.masked_array([0.5, 0.5], [True, False]),
    np.array([np.nan, 1.0]),
    np.array(3),
    np.float16(0.1),
]
OBJECTS += [np.datetime64("2020-01-01"), [[0.5, 0.5], [1.0]], [[1e308, -1e308, 0.0]]]


def deep(depth: int) -> Any:
    """Return a list in a list, so many times."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def one_of(values: Any, rng: np.random.Generator) -> Any:
    """Return one of `values`."""
    return values[int(rng.integers(len(values)))]


def altered(text: bytes, rng: np.random.Generator) -> bytes:
    """Return a text with one to three of its bytes, pieces or ends changed."""
    line = bytearray(text)
    for _ in range(int(rng.integers(1, 4))):
        spot = int(rng.integers(len(line) + 1))
        end = min(len(line), spot + int(rng.integers(1, 20)))
        kind = int(rng.integers(7))
        if kind == 0 and spot < len(line):
            line[spot] = int(rng.integers(256))
        elif kind == 1:
            del line[spot:end]
        elif kind == 2:
            line[spot:spot] = line[spot:end]
        elif kind == 3:
            del line[spot:]
        elif kind == 4:
            line[spot:spot] = str(one_of(SCALARS, rng)).encode()
        elif kind == 5:
            line[spot:spot] = one_of(
                [b"[", b"{", b'"', b"\\", b"\n", b",", b"\xff\xfe", b"\xef\xbb\xbf", b"="], rng
            )
        else:
            line[spot:spot] = one_of([b"[", b"{", b"(", b'"\\'], rng) * int(rng.integers(1, 3000))
    return bytes(line)
