"""Partial labels and top-k as functions of n: dear bounds only where the others do not decide."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from kt_theory.limits.bracket import (
    Curve,
    Lower,
    coverage_lower,
    falling,
    few_looks,
    theorem,
)
from kt_theory.limits.crossing import STEP, first_below
from kt_theory.limits.greedy.top_k import floor as tail_floor
from kt_theory.limits.sharing.explicit import flat_rows_lower
from kt_theory.limits.sharing.few_levels import FewLevels
from kt_theory.limits.sharing.upper import partial_upper, top_k_upper
from kt_theory.limits.sharing.worst_teacher import many_rows, one_row
from kt_theory.limits.soft import unvisited_mass
from kt_theory.validation import LARGEST_COUNT

FEW = 200
"""Labels up to which the full search for the worst rows is cheap."""

MANY = 1000
"""Inputs up to which it is cheap at every n."""

LARGEST_INPUTS = 10**12
"""Most inputs: beyond, rho * multiplicity of a teacher by classes is no longer 1 to 1e-9 in
float64.
"""


def settled(labels: int, k: int) -> bool:
    """Return whether one query of a row reveals all of it, so that the limit is that of soft
    labels.
    """
    return labels <= 2 or (k > 0 and k >= labels - 1)


def sharing_upper(inputs: int, labels: int, k: int) -> Curve:
    """Return the certified upper bound of partial labels, k = 0, or of top-k; n within 1/1000 of
    its crossing.
    """
    words = "certified upper bound of the minimax risk for all teachers"

    def value(n: int, tv: float) -> float:
        return upper_near(inputs, labels, k, n, tv)

    def start(tv: float) -> float:
        return _guess(inputs, labels, k, tv)

    return Curve(value, start, words + "; n within 1/1000 of it", digits=STEP, power=1.0)


def upper_near(inputs: int, labels: int, k: int, n: int, tv: float) -> float:
    """Return a certified upper bound of partial labels or top-k: the dear ones only where the
    others exceed tv.
    """
    if settled(labels, k):
        return (1.0 - 1.0 / labels) * unvisited_mass(inputs, n).value
    value = min(1.0 - 1.0 / labels, inputs * labels / (n + 1.0))
    if k:
        value = min(value, tail_upper(inputs, labels, n, k))
    for known in sorted({k, 0}, reverse=True):
        if value > tv:
            value = min(value, _sharpest(inputs, labels, n, known))
    return value


def sharing_lowers(inputs: int, labels: int, k: int = 0) -> Iterator[Lower]:
    """Return the lower bounds of partial labels, k = 0, or of top-k, cheap ones first."""
    S, A = inputs, labels
    yield coverage_lower(S, A)
    if settled(A, k):
        return

    def start(tv: float, best: int) -> float:
        return 0.15 * S * A / tv

    yield falling(lambda n: _explicit(S, A, n, k), start, 1.0)
    if k == 0:
        yield theorem("4.1", S, A, lambda tv: pairs_surely(S, A, tv) / 8, 1.0)
    if A > FEW or S > LARGEST_INPUTS:
        return

    def sharp(n: int) -> float:
        return _worst_teacher(S, A, n, k)

    searched = falling(sharp, lambda tv, best: best, 1.0, STEP - 2)
    looked_at = few_looks(sharp, lambda tv, best, n: best, 1.0, looks=3)

    def too_few(tv: float, best: int, n: int | None) -> int:
        first = min(0.15 * S * A / tv, n or LARGEST_COUNT)
        cheap = first <= FEW or (A <= 20 and S <= MANY)
        return (searched if cheap else looked_at).too_few(tv, best, n)

    yield Lower(too_few, dear=True)


def pairs_surely(inputs: int, labels: int, tv: float) -> int:
    """Return where the mean missing mass of the SA pairs, at most SA/(n+1), is at most tv."""
    from kt_theory.limits.bracket import count

    return count(inputs * labels / tv)


def tail_upper(inputs: int, labels: int, n: int, k: int) -> float:
    """Return F + (1-1/A-F) Phi(S, n), which bounds greedy top-k, and top-k, at any size; see
    `limits.greedy`.
    """
    floor = tail_floor(labels, k)
    return floor + (1.0 - 1.0 / labels - floor) * unvisited_mass(inputs, n).value


def _guess(inputs: int, labels: int, k: int, tv: float) -> float:
    """Return about the n at which the upper bound crosses tv: there the closed lower bound nearly
    does.
    """
    first = 0.15 * inputs * labels / tv
    found = first_below(
        lambda n: _explicit(inputs, labels, n, k), tv, start=first, digits=7, power=1.0
    )
    if k == 0 or tail_floor(labels, k) >= tv:
        return float(found.n or LARGEST_COUNT)

    def tail(n: int) -> float:
        return tail_upper(inputs, labels, n, k)

    cheap = first_below(tail, tv, start=inputs / tv, digits=STEP, power=None)
    return float(min(2 * (found.n or LARGEST_COUNT), cheap.n or LARGEST_COUNT))


@cache
def _explicit(inputs: int, labels: int, n: int, k: int) -> float:
    return flat_rows_lower(inputs, labels, n, k).value if n else 1.0 - 1.0 / labels


def _sharpest(inputs: int, labels: int, n: int, k: int) -> float:
    if n == 0:
        return 1.0 - 1.0 / labels
    return top_k_upper(inputs, labels, n, k) if k else partial_upper(inputs, labels, n)


@cache
def _worst_teacher(inputs: int, labels: int, n: int, k: int) -> float:
    if n == 0:
        return 1.0 - 1.0 / labels
    family = FewLevels(labels, n, k)
    return (one_row(family) if inputs == 1 else many_rows(family, inputs)).value
