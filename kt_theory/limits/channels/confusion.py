"""The bracket of labels that come back through a known confusion matrix C.

From above, the student that inverts C and takes the nearest distribution: with lambda the least |v
C| / |v| over rows v that sum to 0, a row of k visits loses at most sqrt((A-1)/k) / (2 lambda)
(`kt_theory.students.confused`), so that

    E TV <= (1-1/A) Phi(S, n) + sum_s rho_s sqrt(A-1) / (2 lambda) E[k^(-1/2); k >= 1]
         <= (1-1/A) Phi(S, n) + sqrt(2 S (A-1) / (n+1)) / (2 lambda),

as k^(-1) <= 2/(k+1) and E 1/(k+1) <= 1/((n+1) rho_s); of one input, k = n, sqrt((A-1)/n) / (2
lambda).

From below, hard labels, of which these are a garbling, and two rows that C makes alike. Let each of
S equally probable inputs have one of two rows by a fair coin of its own, d apart in TV, and b = sum
sqrt(r r') the affinity of what comes back of them. After m labels the coin is told with an error of
at least 1/2 (1 - sqrt(1 - b^(2m))), as 1 - TV >= 1 - sqrt(1 - b^(2m)), and a wrong guess costs d
between both rows, so that each student loses d/2 (1 - sqrt(1 - b^(2m))) at least. This is convex in
m, and E b^(2m) = (1 - w (1 - b^2))^n if m ~ Bin(n, w):

    minimax >= d/2 (1 - sqrt(1 - (1 - w (1 - b^2))^n)),    w = 1/S.

Of a rate eta the labels of a row are paired, each pair with a coin of its own: labels 2j-1 and 2j
have (1 +- x)/(2m) of the mass, m pairs in all. What comes back within a pair has the odds (1 + y) :
(1 - y), and the affinity b^2 = 1 - y^2, with y = x lambda / (m T), T = lambda / m + 2 eta / (A-1)
the mass of a pair, w = T / S, and the sum over all pairs costs d = x: of order sqrt(S A / n) /
lambda.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from kt_theory.limits.bracket import (
    TINY,
    Bracket,
    Curve,
    Impossible,
    Lower,
    Markov,
    Tail,
    Upper,
    count,
    falling,
)
from kt_theory.limits.channels.brackets import ALIKE, MEETING, Answer, undone_limit
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import unvisited_mass
from kt_theory.numeric import missed

_GRID = 48
"""Distances of two rows that are tried; each is a bound of its own."""


class ConfusedLabels(Bracket):
    """Hard labels through a confusion matrix."""

    impossible: ClassVar[Impossible] = Impossible(
        "what the confusion matrix does not tell apart leaves",
        "labels that come back as they were drawn",
        "two rows that come back alike",
    )

    def __init__(self, access: str, name: str, answer: Answer, channel: Any) -> None:
        super().__init__(access, name, answer.plain.inputs, answer.plain.labels)
        self.plain, self.channel = answer.plain, channel
        self.confusion: np.ndarray = channel.confusion(self.labels)
        self.rate: float | None = channel.rate

    @cached_property
    def left(self) -> float:
        """lambda: how much of a difference of two rows is left."""
        return float(self.channel.least_singular_value(self.labels))

    @property
    def floor(self) -> float:
        """What rows that come back alike leave: 1/2 where C is singular, 1 - 1/j for j labels of
        equal rows.

        The positive and the negative part of a row v with v C = 0, scaled, are two distributions
        without a label in common.
        """
        if self.left > 0.0 or self.labels == 1:
            return 0.0
        apart = np.abs(self.confusion[:, None] - self.confusion[None]).max(axis=2)
        alike = int((apart <= 1e-12).sum(axis=1).max())
        return max(0.5, 1.0 - 1.0 / alike)

    @property
    def own_floor(self) -> float:
        """That, or all where nothing is proved of the pseudo-inverse."""
        return float(self.channel.floor(self.labels))

    def surely(self, tv: float) -> int:
        """Return where coverage and noise are at most tv/2 each."""
        goal, left = max(tv, TINY), max(self.left, TINY)
        noise = 2.0 * self.inputs * (self.labels - 1) / (left * goal) ** 2
        return count(max(self.inputs / goal, noise))

    def upper(self, n: int) -> float:
        """Return what the student that inverts C loses at most."""
        if n == 0 or self.left == 0.0 or self.labels == 1:
            return self.most
        rows = math.sqrt(self.labels - 1) / (2.0 * self.left)
        if self.inputs == 1:
            return min(self.most, rows / math.sqrt(n))
        unvisited = self.most * unvisited_mass(self.inputs, n).value
        return min(self.most, unvisited + rows * math.sqrt(2.0 * self.inputs / (n + 1)))

    def noise_lower(self, n: int) -> float:
        """Return what two rows that come back almost alike cost."""
        if self.labels == 1:
            return 0.0
        x = np.geomspace(1e-9, 1.0, _GRID)
        if n > 0:
            near = 1.2 / (max(self.left, TINY) * math.sqrt(4.0 * n / (self.inputs * self.labels)))
            x = np.unique(np.minimum(1.0, np.concatenate([x, near * np.geomspace(0.1, 10, _GRID)])))
        found = self._of_pair(n, x)
        return found if self.rate is None else max(found, self._of_pairs(n, x, self.rate))

    def _of_pair(self, n: int, x: np.ndarray) -> float:
        """Two labels that share all the mass, (1 +- x)/2 each."""
        best = 0.0
        if self.labels == 1:
            return best
        for a, b in self.near_pairs:
            one, other = self.confusion[a], self.confusion[b]
            middle, apart = 0.5 * (one + other), 0.5 * (one - other)
            row = middle - x[:, None] * apart
            affinity = np.sqrt(np.maximum(middle + x[:, None] * apart, 0.0) * row).sum(axis=1)
            best = max(best, _told(x, np.minimum(affinity, 1.0) ** 2, 1.0 / self.inputs, n))
        return best

    @cached_property
    def near_pairs(self) -> list[tuple[int, int]]:
        """The pairs of labels whose rows in C are nearest: three at most, or one of equal ones."""
        if self.rate is not None:
            return [(0, 1)]
        first, second = np.triu_indices(self.labels, 1)
        overlap = np.sqrt(self.confusion[first] * self.confusion[second]).sum(axis=1)
        nearest = np.argsort(-overlap, kind="stable")[:3]
        return [(int(first[i]), int(second[i])) for i in nearest]

    def _of_pairs(self, n: int, x: np.ndarray, rate: float) -> float:
        """All labels in pairs, each with a coin of its own."""
        pairs = self.labels // 2
        # Below 0 where a label comes back as another one more often than as itself.
        left = 1.0 - rate * self.labels / (self.labels - 1)
        mass = left / pairs + 2.0 * rate / (self.labels - 1)
        y = np.minimum(x * abs(left) / (pairs * mass), 1.0)
        return _told(x, 1.0 - y**2, mass / self.inputs, n)

    def limit(self, n: int) -> Limit:
        """Return the interval that holds the minimax risk."""
        if n == 0 or self.labels == 1:
            return undone_limit(self, n)
        plain = self.plain.limit(n)
        lower = max(plain.lower, self.floor, self.noise_lower(n))
        teacher, prior = plain.teacher, plain.prior
        if plain.lower < lower:
            teacher, prior = None, ALIKE
        upper = self.upper(n)
        exact = upper <= lower * (1.0 + MEETING)
        words = (
            "lower: hard labels, or two rows that come back almost alike; upper: the inverse of "
            "the confusion matrix"
        )
        size = self.inputs, self.labels, n
        top = lower if exact else upper
        return Limit(lower, top, exact, teacher, words, self.access, *size, prior=prior)

    def uppers(self) -> tuple[Upper, ...]:
        """Return that of the student that inverts C, where it can be inverted."""
        if self.left == 0.0:
            return ()
        words = "the inverse of the confusion matrix, and the nearest distribution, every teacher"
        return (Curve(lambda n, tv: self.upper(n), self.surely, words, power=2.0),)

    def lowers(self) -> Iterator[Lower]:
        """Return those of hard labels, and that of two rows that come back almost alike."""
        yield from self.plain.lowers()
        yield falling(self.noise_lower, lambda tv, best: max(best, self.surely(tv) / 30), 2.0)

    def tails(self) -> tuple[Tail, ...]:
        """Return Markov's inequality on the mean."""
        return (Markov(self.uppers()),)

    def terms(self) -> Terms:
        """Return kappa = S and noise sqrt(2 S (A-1)) / (2 lambda), where C can be inverted; of one
        input without the 2 in the root.
        """
        rows = self.inputs if self.inputs == 1 else 2 * self.inputs
        noise = 0.0
        if self.left > 0.0:
            noise = math.sqrt(rows * (self.labels - 1)) / (2.0 * self.left)
        return self.three(self.own_floor, self.inputs, noise)


def _told(apart: np.ndarray, affinity: np.ndarray, chance: float, n: int) -> float:
    """Return the largest d/2 (1 - sqrt(1 - (1 - w (1 - b^2))^n)) over d and b^2."""
    alike = missed(chance * (1.0 - affinity), n)
    return float((0.5 * apart * (1.0 - np.sqrt(1.0 - np.minimum(alike, 1.0)))).max())
