"""The shapes of h of the students with bent shrinkage, from a table that
`benchmarks/hard_shapes.py` writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

ETA = 0.6
"""What part of the sum of h is taken in proportion to the counts, not equally."""


class Shape(NamedTuple):
    """One h: its sizes, knots and values."""

    labels: float
    ratio: float
    knots: np.ndarray
    values: np.ndarray

    def scaled(self, u: np.ndarray) -> np.ndarray:
        """Return h(u N) / sqrt(N)."""
        values: np.ndarray = np.interp(u * self.ratio, self.knots, self.values)
        return values / math.sqrt(self.ratio)


@cache
def shapes() -> tuple[Shape, ...]:
    """Return the table."""
    text = files("kt_theory.limits.hard").joinpath("shapes.json").read_text(encoding="utf-8")
    return tuple(
        Shape(
            float(row["labels"]),
            float(row["ratio"]),
            np.array(row["knots"], dtype=np.float64),
            np.array(row["values"]),
        )
        for row in json.loads(text)
    )


def shape(labels: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return knots and values of h for A labels and n samples: those of the neighbouring sizes of
    the table, interpolated linearly in 1/A and ln(n/A) on the scale of N = n/A, h of sqrt(N).
    """
    table = shapes()
    ratio = n / labels
    near = _neighbours(sorted({s.ratio for s in table}), ratio, math.log)
    sides = _neighbours(sorted({s.labels for s in table}), float(labels), lambda a: -1.0 / a)
    parts = {
        (s.labels, s.ratio): sides[s.labels] * near[s.ratio]
        for s in table
        if s.labels in sides and s.ratio in near
    }
    used = [s for s in table if parts.get((s.labels, s.ratio), 0.0) > 0.0]
    widest = max(used, key=lambda s: len(s.knots))
    knots = np.unique(np.round(widest.knots * (ratio / widest.ratio)))
    knots = knots[knots <= 0.85 * n]
    values = np.zeros(len(knots))
    for s in used:
        values += parts[s.labels, s.ratio] * s.scaled(knots / ratio)
    return knots, math.sqrt(ratio) * values


def _neighbours(
    places: list[float], at: float, scale: Callable[[float], float]
) -> dict[float, float]:
    """Return the places next to `at` and their weights; the end beyond the ends."""
    inside = min(max(at, places[0]), places[-1])
    above = next(p for p in places if p >= inside)
    below = max(p for p in places if p <= inside)
    if above == below:
        return {above: 1.0}
    part = (scale(inside) - scale(below)) / (scale(above) - scale(below))
    return {below: 1.0 - part, above: part}
