"""Three terms for every access level: what it hides for good, what n queries have not reached, what
is left of noise.

    risk <= floor + kappa/(n+1) + noise/sqrt(n)

of the level's own student, for every teacher and every input law; see `kt_theory.limits.kappa` for
the second term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kt_theory.validation import whole_number


@dataclass(frozen=True)
class Terms:
    """What the risk of a level's own student is made of.

    Attributes
    ----------
    access : str
    floor : float
        What no number of queries removes, at the worst teacher.
    kappa : int
        The size of the largest set of points none of which is resolved by the others: coverage is
        kappa/(n+1).
    noise : float
        The coefficient of n^(-1/2). For sampled labels and noise on whole rows it is that of the
        first order as n grows (the expected divergence of a fit of dim parameters is dim/(2n),
        Pinsker); 0 where answers are exact.
    labels : int
    """

    access: str
    floor: float
    kappa: int
    noise: float
    labels: int

    def bound(self, n: int) -> float:
        """Return floor + kappa/(n+1) + noise/sqrt(n), at most 1 - 1/A, what a student without any
        answer loses.
        """
        samples = whole_number(n, "n")
        most = 1.0 - 1.0 / self.labels
        if samples == 0:
            return most
        coverage, noise = self.kappa / (samples + 1.0), self.noise / math.sqrt(samples)
        return min(most, self.floor + coverage + noise)
