"""Greedy top-k: a query returns the k most probable labels of its row and no sampled one, so a
floor remains.

The obvious student, exact on the k labels with the hidden mass M in equal shares on the others and
uniform on unvisited rows, is exactly minimax for every input law: averaged over label permutations
(ties broken independently of the label) any student gives the hidden labels of a row one
probability c, and sum_hidden |c - p| + |(A-k)c - M| is least at c = M/(A-k). So the limit is its
largest risk,

    sum_s rho_s [q_s TV(U, p_s) + (1-q_s) T(p_s)],
    q_s = (1-rho_s)^n,   T(p) = 1/2 sum_hidden |p - M/(A-k)|.

In a row the bracket is convex in p on {p_1 >= ... >= p_A >= 0, sum 1}, whose vertices are uniform
on j labels. A row of j <= k labels loses nothing once visited, and one of j > k labels T_j =
(j-k)(A-j) / (j(A-k)). The largest is

    h(q) = max(q (1-1/A), max_j q (1-j/A) + (1-q) T_j),

convex in q and growing, because T_j <= 1-j/A. Its best real j is sqrt(kA / (1 + q(A-k)/((1-q)A))).
F = h(0) is the floor that no n removes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np

from kt_theory.limits.bracket import (
    Bracket,
    Curve,
    Impossible,
    Lower,
    Tail,
    Upper,
    coverage_curve,
    coverage_lower,
    falling,
)
from kt_theory.limits.crossing import STEP
from kt_theory.limits.law import Terms
from kt_theory.limits.laws import largest_over_laws
from kt_theory.limits.limit import Limit
from kt_theory.limits.optimise import maximum
from kt_theory.limits.soft import soft_limit, unvisited_mass
from kt_theory.limits.whole_rows import coverage_words
from kt_theory.teacher import Teacher

LARGEST_INPUTS = 10**12
"""Most inputs: beyond, rho * multiplicity of a teacher by classes is no longer 1 to 1e-9 in
float64.
"""

CELLS = 1500
"""Cells of the mass of a row where its loss bends; the bound exceeds the truth by about 1e-5 of the
part that falls.
"""


def worst_row(q: np.ndarray, labels: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (h(q), j): the largest expected loss of a row that is unvisited with probability q,
    and its labels.

    Parameters
    ----------
    q : array, in [0, 1]
    labels, k : int
        1 <= k < labels.
    """
    q = np.asarray(q, dtype=np.float64)
    size, hidden = float(labels), float(labels - k)
    real = np.sqrt(k * size * (1.0 - q) / np.maximum(1.0 - q + q * hidden / size, 1e-300))
    value, best = q * (1.0 - 1.0 / size), np.ones_like(q)
    for j in (np.clip(np.floor(real), k + 1.0, size), np.clip(np.floor(real) + 1.0, k + 1.0, size)):
        spread = q * (1.0 - j / size) + (1.0 - q) * (j - k) * (size - j) / (j * hidden)
        best = np.where(spread > value, j, best)
        value = np.maximum(value, spread)
    return value, best


def floor(labels: int, k: int) -> float:
    """Return F = max_j (j-k)(A-j) / (j(A-k)), what the k most probable labels leave unknown however
    often seen.

    Parameters
    ----------
    labels, k : int
        0 for k >= labels - 1.
    """
    return float(worst_row(np.zeros(1), labels, k)[0][0]) if k < labels - 1 else 0.0


@lru_cache(maxsize=256)
def top_k_only_limit(inputs: int, labels: int, n: int, k: int) -> Limit:
    """Return the minimax risk where a query reveals the k most probable labels of its row and
    nothing of a sampled one.

    Exact for one input, where it is F = h(0) for n >= 1, for n = 0, and for k >= A-1, which shows
    the row. For several inputs the value is max over rho of F + sum_s G(rho_s), G(x) = x
    (h((1-x)^n) - F): `lower` is the best rho found of two values, `upper` the least of two bounds:

    - h convex gives h(q) <= F + (1-1/A-F) q, so F + (1-1/A-F) Phi(S, n);
    - on a cell [a, b] of x, G is a maximum of functions of second derivative at most 2n(1-1/A), so
      it exceeds its chord by at most n (b-a)^2/4; then `largest_over_laws`.
    """
    if k >= labels - 1 or n == 0:
        found = soft_limit(inputs, labels, n)
        reference = "visited rows are known: (1-1/A) Phi(S, n)"
        return Limit(
            found.lower,
            found.upper,
            True,
            found.teacher,
            reference,
            "top_k_only",
            inputs,
            labels,
            n,
        )
    least = floor(labels, k)
    if inputs == 1:
        reference = (
            "the floor max_j (j-k)(A-j)/(j(A-k)): what the k most probable labels leave unknown"
        )
        return Limit(
            least,
            least,
            True,
            _teacher(labels, n, k, [(1.0, 1)]),
            reference,
            "top_k_only",
            1,
            labels,
            n,
        )
    count, x, gain = _two_values(inputs, labels, n, k, least)
    lower = least + gain
    chord = (1.0 - 1.0 / labels - least) * unvisited_mass(inputs, n).value
    upper = least + min(chord, _falling_bound(inputs, labels, n, k, least))
    reference = f"floor {least:.6g}; equal shares are minimax; lower: its risk for the best rho of "
    reference += "two values"
    upper = max(upper, lower)
    teacher = _teacher(
        labels, n, k, [(x, count), (max(1.0 - count * x, 0.0) / (inputs - count), inputs - count)]
    )
    return Limit(lower, upper, False, teacher, reference, "top_k_only", inputs, labels, n)


def _gain(x: np.ndarray, n: int, labels: int, k: int, least: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        q = np.exp(n * np.log1p(-np.minimum(x, 1.0)))
    gain: np.ndarray = x * (worst_row(q, labels, k)[0] - least)
    return gain


def _two_values(inputs: int, labels: int, n: int, k: int, least: float) -> tuple[int, float, float]:
    """Return (count, x, sum_s G) for the best rho found: `count` inputs of mass x <= 1/S, others
    share the rest.

    One heavy input among equal ones is the worst for soft labels; as G has a kink where the worst
    row changes, a split into two kinds of which both are many can be a little worse still.
    """
    unit = np.minimum(np.linspace(0.0, 8.0, 400) * inputs / n, 1.0)
    grid = np.unique(np.concatenate([np.linspace(0.0, 1.0, 400), unit]))
    best = (1, 0.0, -1.0)
    for others in {1, *(round(inputs * share) for share in np.linspace(0.05, 0.95, 19))}:
        if not 1 <= others < inputs:
            continue
        count = inputs - others

        def total(x: np.ndarray, count: int = count, others: int = others) -> np.ndarray:
            rest = np.maximum(1.0 - count * x, 0.0) / others
            value: np.ndarray = count * _gain(x, n, labels, k, least) + others * _gain(
                rest, n, labels, k, least
            )
            return value

        values = total(grid / inputs)
        i = int(values.argmax())
        if values[i] <= best[2] * (1.0 - 1e-3):
            continue
        ends = grid[max(i - 1, 0)] / inputs, grid[min(i + 1, len(grid) - 1)] / inputs
        value, x = maximum(partial(_at, total), *ends)
        best = max(
            best,
            (count, float(grid[i] / inputs), float(values[i])),
            (count, x, value),
            key=lambda one: one[2],
        )
    return best


def _at(function: Callable[[np.ndarray], np.ndarray], x: float) -> float:
    return float(function(np.array([x]))[0])


def _falling_bound(inputs: int, labels: int, n: int, k: int, least: float) -> float:
    unit = 1.0 / max(n, inputs)
    parts = [
        np.linspace(0.0, 8.0 * unit, CELLS),
        np.linspace(0.0, 8.0 / n, CELLS),
        np.geomspace(8.0 / n, 1.0, 200),
    ]
    edges = np.unique(np.minimum(np.concatenate(parts), 1.0))
    gain = _gain(edges, n, labels, k, least)
    # Far out, where cells are wide, G <= x (h(q(a)) - F) on [a, b] is the smaller bound.
    a, b = edges[:-1], edges[1:]
    bend = 0.25 * n * (b - a) ** 2
    slope = np.divide(gain[:-1], a, out=np.full(len(a), 1.0 - 1.0 / labels - least), where=a > 0.0)
    chord = gain[:-1] + bend, gain[1:] + bend
    line = a * slope, b * slope
    shorter = np.maximum(*line) < np.maximum(*chord)
    value = np.column_stack([np.where(shorter, line[i], chord[i]) for i in (0, 1)])
    cell = np.repeat(np.arange(len(a)), 2)
    return largest_over_laws(
        inputs, n, cell, np.column_stack([a, b]).ravel(), value.ravel(), spill=0
    )


def _teacher(labels: int, n: int, k: int, masses: list[tuple[float, int]]) -> Teacher:
    """Return the teacher with so many inputs of each mass, each with its worst row."""
    rows = np.zeros((len(masses), labels))
    for row, (mass, _) in zip(rows, masses, strict=True):
        q = math.exp(n * math.log1p(-mass)) if mass < 1.0 else 0.0
        j = int(worst_row(np.array([q]), labels, k)[1][0])
        row[:j] = 1.0 / j
    return Teacher.from_classes(rows, [mass for mass, _ in masses], [count for _, count in masses])


class GreedyTopK(Bracket):
    """The k most probable labels and no sampled one: a floor remains, unless the answer settles its
    row.
    """

    student_words: ClassVar[str] = "equal sharing of the tail"
    shares_equally: ClassVar[bool] = True

    impossible: ClassVar[Impossible] = Bracket.impossible._replace(
        hides="the tails that it hides leave",
        way_out="a larger k, or the sampled label's probability too (top_k)",
    )

    def __init__(self, access: str, name: str, inputs: int, labels: int, k: int) -> None:
        super().__init__(access, name, inputs, labels)
        self.k = min(k, labels)

    @property
    def settled(self) -> bool:
        """Whether one query of a row reveals all of it."""
        return self.k >= self.labels - 1

    @property
    def floor(self) -> float:
        """F, what the hidden tails leave."""
        return floor(self.labels, self.k)

    def limit(self, n: int) -> Limit:
        """Return the minimax risk or its interval."""
        found = top_k_only_limit(self.inputs, self.labels, n, self.k)
        return replace(found, access=self.access)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the certified bound: the dear one only where the closed one does not decide."""
        S, A = self.inputs, self.labels
        if self.settled:
            words = coverage_words(S) + "; exact"
            return (coverage_curve(S, A, self.surely, words, exact=True),)
        words = "floor F of the hidden tails, and what unvisited rows add to it, every teacher"
        words += "; n within 1/1000 of it"
        return (Curve(self.upper_near, lambda tv: S / tv, words, digits=STEP, power=None),)

    def upper_near(self, n: int, tv: float) -> float:
        """Return an upper bound that is sharp where it is near tv."""
        S, A = self.inputs, self.labels
        if self.settled:
            return self.most * unvisited_mass(S, n).value
        value = min(self.most, self.floor + (self.most - self.floor) * unvisited_mass(S, n).value)
        if value > tv > self.floor and S <= LARGEST_INPUTS:
            return top_k_only_limit(S, A, n, self.k).upper
        return value

    def lowers(self) -> Iterator[Lower]:
        """Return those of soft labels, and of the worst law found: fewer inputs are easier."""
        size = min(self.inputs, LARGEST_INPUTS)

        def value(n: int) -> float:
            return top_k_only_limit(size, self.labels, n, self.k).lower

        yield coverage_lower(self.inputs, self.labels)
        if not self.settled:
            yield falling(value, lambda tv, best: self.inputs / tv, None)

    def tails(self) -> tuple[Tail, ...]:
        """Return the Chernoff bound of the missing mass of the inputs, beside the floor."""
        return (self.covered(),)

    def terms(self) -> Terms:
        """Return the floor F and kappa = S."""
        return self.three(self.floor, self.inputs, 0.0)
