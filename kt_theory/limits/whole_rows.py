"""Brackets where one query settles whole rows: soft labels, and levels whose query reveals every
row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kt_theory.limits.bracket import (
    Bracket,
    InMean,
    Lower,
    Tail,
    Upper,
    coverage_curve,
    coverage_lower,
)
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import soft_limit
from kt_theory.teacher import Teacher


def coverage_words(size: int, what: str = "S") -> str:
    """Return what proves that the mass of unvisited inputs is small enough."""
    return f"(1-1/A) max_rho sum_s rho_s (1-rho_s)^n <= tv, {what} = {size} inputs"


class Soft(Bracket):
    """Soft labels: exact, attained by CE_ful."""

    @property
    def whole_rows(self) -> bool:
        """Return True."""
        return True

    def limit(self, n: int) -> Limit:
        """Return the minimax risk."""
        return replace(soft_limit(self.inputs, self.labels, n), access=self.access)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the minimax risk itself."""
        words = coverage_words(self.inputs) + "; exact"
        return (coverage_curve(self.inputs, self.labels, self.surely, words, exact=True),)

    def lowers(self) -> Iterator[Lower]:
        """Return the minimax risk itself."""
        yield coverage_lower(self.inputs, self.labels)

    def tails(self) -> tuple[Tail, ...]:
        """Return the Chernoff bound of the missing mass of the inputs."""
        return (self.covered(),)

    def terms(self) -> Terms:
        """Return kappa = S alone."""
        return self.three(0.0, self.inputs, 0.0)


class EveryRow(Bracket):
    """One query reveals every row: 1-1/A before it, as nothing is known, and 0 after it."""

    @property
    def rows(self) -> int:
        """Return 1: all rows are resolved together."""
        return 1

    def limit(self, n: int) -> Limit:
        """Return the minimax risk."""
        one = soft_limit(1, self.labels, n)
        assert one.teacher is not None
        shares = [1.0 / self.inputs], [self.inputs]
        teacher = Teacher.from_classes(one.teacher.classes.rows, *shares)
        reference = "one query reveals every row: (1-1/A) Phi(1, n)"
        return replace(
            one, teacher=teacher, reference=reference, access=self.access, inputs=self.inputs
        )

    @property
    def whole_rows(self) -> bool:
        """Return True."""
        return True

    def surely(self, tv: float) -> int:
        """Return what is enough for one row."""
        return Soft(self.access, self.name, 1, self.labels).surely(tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the minimax risk itself."""
        words = "one query reveals every row; exact"
        return (coverage_curve(1, self.labels, self.surely, words, exact=True),)

    def lowers(self) -> Iterator[Lower]:
        """Return the minimax risk itself."""
        yield coverage_lower(1, self.labels)

    def tails(self) -> tuple[Tail, ...]:
        """Return that the first query settles it."""
        return (InMean(self.uppers()[0]),)

    def terms(self) -> Terms:
        """Return kappa = 1 alone."""
        return self.three(0.0, 1, 0.0)
