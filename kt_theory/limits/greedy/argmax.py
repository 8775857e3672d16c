"""Greedy labels: a query returns the most probable label of its row and no probability, so a large
floor remains.

On the rows with a given most probable label, whose vertices are uniform on j labels with it among
them, TV is convex, and the other labels are exchangeable: averaged over their permutations any
student gives the label x and the others (1-x)/(A-1) each, at no cost in the worst case. With x >=
1/j it loses

    (j-1)/j - (j-1)(1-x)/(A-1)   to j labels,   1-x to the point mass (j = 1),

and the least maximum over j is where the two are equal for the worst j:

    V = max_j (j-1)(A-1) / (j (A+j-2)),   1-x = V;
    V = (A-1) / (1 + sqrt(A-1))^2 where j = 1 + sqrt(A-1) is whole.

The point mass itself, x = 1, loses 1-1/A, to the uniform row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from kt_theory.limits.bracket import (
    Bracket,
    Curve,
    Impossible,
    Lower,
    Tail,
    Upper,
    coverage_lower,
    falling,
)
from kt_theory.limits.crossing import FINE
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import deterministic_teacher, soft_limit, unvisited_mass

MEETING = 1e-12
"""Bounds that agree to this relative difference are one value, up to rounding."""


def floor(labels: int) -> float:
    """Return V = max_j (j-1)(A-1) / (j(A+j-2)), what the most probable label leaves unknown however
    often it is seen.

    Parameters
    ----------
    labels : int
        A >= 1; V is 0 for one label and 1/4 for two.
    """
    return _bayes(labels, 0.0)


def _bayes(labels: int, unvisited: float) -> float:
    """Return max_j of the Bayes risk that `argmax_limit` tells of, for rows unvisited with this
    mean chance.

    It is proportional to (a j - b) / (j (A+j-2)), a = 1 - unvisited/A, b = 1 - unvisited, which
    grows up to the root (b + sqrt(b^2 + a b (A-2))) / a of its derivative and falls beyond it.
    """
    if labels == 1:
        return 0.0
    size, b = float(labels), 1.0 - unvisited
    a = 1.0 - unvisited / size
    root = math.floor((b + math.sqrt(b * b + a * b * (size - 2.0))) / a)
    sizes = [float(min(max(j, 1), labels)) for j in (root, root + 1)]
    return max(
        (size - 1.0) / (j * (size + j - 2.0)) * (j - 1.0 + unvisited * (size - j) / size)
        for j in sizes
    )


def argmax_bounds(inputs: int, labels: int, n: int) -> tuple[float, float]:
    """Return (lower, upper) of the minimax risk, as `argmax_limit` tells.

    Parameters
    ----------
    inputs, labels, n : int
    """
    most, unvisited = 1.0 - 1.0 / labels, unvisited_mass(inputs, n).value
    least = floor(labels)
    return _bayes(labels, unvisited), least + (most - least) * unvisited


def argmax_limit(inputs: int, labels: int, n: int) -> Limit:
    """Return the minimax risk where a query returns the most probable label alone: V for one input,
    or its interval.

    Upper: the student that gives 1-V to the label, V/(A-1) to each of the others, and is uniform on
    unvisited rows. It loses at most V on a visited row and 1-1/A on another: V + (1-1/A-V) Phi(S,
    n), which it does lose to point masses. Lower: at the law of Phi rows are independent: point
    masses with probability w = (j-1)/(A+j-2), and otherwise uniform on j labels, of which the most
    probable one (by a hair) is drawn with the others. On a visited row every x from 1/j to 1 loses
    V_j = (j-1)(A-1)/(j(A+j-2)) in the mean, on an unvisited one the uniform student 1 - (w + (1-w)
    j)/A. Together

        max_j  V_j + Phi(S, n) (A-1)(A-j) / (A j (A+j-2)).

    The student could use more of 1-x on rows of few visits: the two differ by less than Phi V_j.
    They are one for one input, where both are V for n >= 1, and for n = 0.

    Parameters
    ----------
    inputs, labels, n : int
    """
    if labels == 1 or n == 0:
        return replace(soft_limit(inputs, labels, n), access="argmax")
    least = floor(labels)
    lower, upper = argmax_bounds(inputs, labels, n)
    exact = upper <= lower * (1.0 + MEETING)
    reference = f"the floor V = max_j (j-1)(A-1)/(j(A+j-2)) = {least:.6g}"
    if not exact:
        reference += (
            "; lower: point masses and uniform rows; upper: 1-V on the label, on visited rows"
        )
    teacher = deterministic_teacher(inputs, labels, unvisited_mass(inputs, n))
    return Limit(
        lower, lower if exact else upper, exact, teacher, reference, "argmax", inputs, labels, n
    )


class Argmax(Bracket):
    """The most probable label alone: V for one input, an interval for several."""

    impossible: ClassVar[Impossible] = Bracket.impossible._replace(
        certificate="point masses and uniform rows of the same most probable label are told apart "
        "by no answer"
    )

    @property
    def floor(self) -> float:
        """V."""
        return floor(self.labels)

    def limit(self, n: int) -> Limit:
        """Return the minimax risk or its interval."""
        return replace(argmax_limit(self.inputs, self.labels, n), access=self.access)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the risk of argmax_hedged."""

        def value(n: int, tv: float) -> float:
            return argmax_bounds(self.inputs, self.labels, n)[1]

        words = "floor V + (1-1/A-V) max_rho sum_s rho_s (1-rho_s)^n, argmax_hedged, every teacher"
        return (Curve(value, lambda tv: self.inputs / tv, words, digits=FINE, power=None),)

    def lowers(self) -> Iterator[Lower]:
        """Return those of soft labels, and of point masses and uniform rows."""

        def value(n: int) -> float:
            return argmax_bounds(self.inputs, self.labels, n)[0]

        yield coverage_lower(self.inputs, self.labels)
        yield falling(value, lambda tv, best: self.inputs / tv, None, FINE)

    def tails(self) -> tuple[Tail, ...]:
        """Return the Chernoff bound of the missing mass of the inputs, beside the floor."""
        return (self.covered(),)

    def terms(self) -> Terms:
        """Return the floor V and kappa = S."""
        return self.three(self.floor, self.inputs, 0.0)
