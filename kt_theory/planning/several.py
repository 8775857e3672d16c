"""Several labels per query for the planner: m labels are drawn at each queried input, of hard or partial labels."""

from __future__ import annotations

import numpy as np

from kt_theory.limits.sharing.majorant import one_row_bound
from kt_theory.limits.hard.inputs import laws_upper, row_uppers, visit_steps
from kt_theory.limits.bunched import bunched_bayes_risk, flat_rows_risk
from kt_theory.limits.visits import most_over_laws, visit_counts
from kt_theory.planning.bounds import FEW
from kt_theory.planning.hard import FINEST, GAP
from kt_theory.planning.levels import Level
from kt_theory.planning.search import STEP, Crossing, Enough, first_below, proved_below
from kt_theory.validation import LARGEST_COUNT

LOOKS = 3
"""Most looks at a lower bound that costs up to half a second."""

FAR = 0.1
"""A table of row bounds serves for n within this of the one that it was made for, relatively."""


def bunched_enough(level: Level, tv: float, single: Enough) -> Enough:
    """Return the least n with a proved upper bound of `limits.repeated`, given that of one label per query."""
    m = level.times
    if level.inputs == 1:
        n = None if single.n is None else -(-single.n // m)
        return Enough(n, f"{m} labels per query of one input are as many samples: {single.certificate}", ())
    if level.whole_rows:
        return single
    words = f"row bounds after {m} labels per visit, the worst input law; n within about 1/100 of it"
    found, guess = Crossing(None, -1, ()), max((single.n or LARGEST_COUNT) // m, 1)
    for _ in range(4):
        counts, values = _table(level, guess)
        found = first_below(lambda n: _upper(level, n, counts, values), tv, start=guess, digits=STEP, power=2.0)  # noqa: B023
        if found.n is None or abs(found.n / guess - 1.0) <= FAR:
            break
        guess = max(found.n, 1)
    if found.n is None or (single.n is not None and single.n <= found.n):
        return single
    return Enough.of(found, words)


def bunched_too_few(level: Level, tv: float, single: int, soft: int, n: int | None) -> int:
    """Return a number of queries below which no student succeeds, given that of one label per query and of soft labels.

    For one input both are the same samples; for several, queries that reveal whole rows are no less. `n` suffices.
    """
    S, A, m = level.inputs, level.labels, level.times
    if S == 1:
        return -(-single // m)
    if level.whole_rows:
        return single
    start = max(single / m, soft, 1.0, 0.95 * n if n is not None else 0.0)
    best = soft
    if 2 < A <= FEW:
        best = max(best, proved_below(lambda n: flat_rows_risk(S, A, n, m)[0], tv, start, 1.0, LOOKS))
    if level.access == "hard":
        best = max(best, proved_below(lambda n: bunched_bayes_risk(S, A, n, m), tv, start, 2.0, LOOKS))
    return best


def _table(level: Level, n: int) -> tuple[np.ndarray, np.ndarray]:
    A, m = level.labels, level.times
    if level.access == "hard":
        counts = visit_steps(level.inputs, n, FINEST)
        return counts, row_uppers(A, m * counts, GAP)
    counts = visit_counts(min(4 * n, LARGEST_COUNT // m), first=12, ratio=1.03)
    values = [one_row_bound(A, int(k)) for k in m * counts[1:]]
    return counts, np.minimum(1.0 - 1.0 / A, np.array([1.0, *values]))


def _upper(level: Level, n: int, counts: np.ndarray, values: np.ndarray) -> float:
    if n == 0:
        return 1.0 - 1.0 / level.labels
    if level.access == "hard":
        return laws_upper(level.inputs, level.labels, n, counts, values) * (1.0 + 1e-9)
    kept = counts <= n
    return most_over_laws(level.inputs, n, lambda _: values[kept], counts[kept])
