"""The bracket of partial soft labels and top-k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar

from kt_theory.limits.bracket import (
    Bracket,
    Covered,
    Lower,
    Tail,
    Upper,
    count,
    coverage_curve,
)
from kt_theory.limits.greedy.top_k import top_k_only_limit
from kt_theory.limits.hard.bracket import hard_above_partial
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.sharing.curves import settled, sharing_lowers, sharing_upper
from kt_theory.limits.sharing.interval import partial_limit, top_k_limit
from kt_theory.limits.whole_rows import coverage_words


class Sharing(Bracket):
    """Partial soft labels, k = 0, and top-k: equal sharing of the hidden mass is minimax."""

    shares_equally: ClassVar[bool] = True

    def __init__(self, access: str, name: str, inputs: int, labels: int, k: int = 0) -> None:
        super().__init__(access, name, inputs, labels)
        self.k = min(k, labels)

    @property
    def settled(self) -> bool:
        """Whether one query of a row reveals all of it."""
        return settled(self.labels, self.k)

    @property
    def holds_labels(self) -> bool:
        """Return True."""
        return True

    @property
    def whole_rows(self) -> bool:
        """Return whether one query of a row reveals all of it."""
        return self.settled

    def limit(self, n: int) -> Limit:
        """Return the minimax risk where a worst teacher is proved, else a certified interval."""
        found = sharing_limit(self.inputs, self.labels, n, self.k)
        return replace(found, access=self.access)

    def surely(self, tv: float) -> int:
        """Return where the mean missing mass of the SA pairs is at most tv."""
        return count(float(self.inputs) * float(self.labels) / tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the certified bound; where a query settles its row, the minimax risk itself."""
        S, A = self.inputs, self.labels
        if self.settled:
            words = coverage_words(S) + "; exact"
            return (coverage_curve(S, A, self.surely, words, exact=True),)
        return (sharing_upper(S, A, self.k),)

    def lowers(self) -> Iterator[Lower]:
        """Return those of soft labels, of explicit teachers, of Theorem 4.1 and of the worst
        teacher found.
        """
        return sharing_lowers(self.inputs, self.labels, self.k)

    def tails(self) -> tuple[Tail, ...]:
        """Return the Chernoff bound of the missing mass of the pairs, or of the inputs where a
        query settles one.
        """
        if self.settled:
            return (self.covered(),)
        points = self.inputs * self.labels
        mass = "the S A pairs, which bounds the loss of equal sharing"
        return (Covered(points, self.most, 0.0, self.most, self.surely, mass),)

    def terms(self) -> Terms:
        """Return kappa = S max(1, A-1-k) alone."""
        return self.three(0.0, self.inputs * max(1, self.labels - 1 - self.k), 0.0)


@lru_cache(maxsize=256)
def sharing_limit(inputs: int, labels: int, n: int, k: int) -> Limit:
    """Return the limit of partial labels or top-k, its upper bound lowered to that of levels that
    reveal less.
    """
    if k == 0:
        found = partial_limit(inputs, labels, n)
        if found.exact or inputs == 1 or 4 * n > inputs:
            return found
        return lowered(found, hard_above_partial(inputs, labels, n))
    found = top_k_limit(inputs, labels, n, k)
    return found if found.exact else lowered(found, top_k_only_limit(inputs, labels, n, k))


def lowered(limit: Limit, less: Limit) -> Limit:
    """Return `limit` with the upper bound of a level that reveals less, where that is smaller."""
    if less.upper >= limit.upper:
        return limit
    reference = f"{limit.reference}; upper: here that of {less.access}"
    return replace(limit, upper=max(less.upper, limit.lower), reference=reference)
