"""Partial soft labels and top-k: equal sharing is exactly minimax, so the limit is its risk on the
worst teacher.

Averaging a student over label permutations costs nothing in the worst case, and an equivariant
student gives every unseen label of a row the same probability; among those, sharing what is left,
R/U each, loses the least. Hence minimax = max over (rho, pi) of the risk of SEL_ptl, for every S, A
and n; with top-k (ties broken independently of the label), of the student that is exact on the top
k and on the sampled labels of a row. `lower` is its exact risk on the worst teacher that a search
finds, `upper` a bound for all teachers.
"""

from __future__ import annotations

import math
from functools import lru_cache

from kt_theory.limits.limit import Limit
from kt_theory.limits.sharing.explicit import many_labels_lower
from kt_theory.limits.sharing.few_levels import FewLevels
from kt_theory.limits.sharing.upper import partial_upper, top_k_upper
from kt_theory.limits.sharing.worst_teacher import Found, many_rows, one_row
from kt_theory.limits.soft import soft_limit, unvisited_mass

LARGEST_SEARCH = 10**4
"""Most labels whose worst row is searched for, at a cost of labels squared; beyond one explicit
teacher serves.
"""

MEETING = 1e-12
"""Bounds that agree to this relative difference are one value, up to rounding."""


@lru_cache(maxsize=256)
def partial_limit(inputs: int, labels: int, n: int) -> Limit:
    """Return the minimax risk of partial soft labels, or the interval that holds it.

    Exact where a maximiser is proved:

    - A = 1: 0; n = 0: 1-1/A, the prior risk.
    - A = 2: Phi(S,n)/2. One seen label reveals the row, so only unvisited rows lose.
    - S = 1, A = 3, n >= 1: Phi(2,n)/2. The risk is 1/2 sum_a p_a^n |p_b - p_c|; with p1 >= p2 >=
      p3, moving p3 onto p1 adds at least p1^n p3 - p3^n p1 >= 0 to twice of it, and {p1, p2, 0} has
      risk 1/2 (p1^n p2 + p2^n p1).
    """
    if labels <= 2 or n == 0:
        return _as_soft(
            inputs, labels, n, "partial", "only unvisited rows lose: SEL_ptl equals CE_ful"
        )
    if labels > LARGEST_SEARCH:
        return _explicit("partial", inputs, labels, n, partial_upper(inputs, labels, n))
    family = FewLevels(labels, n)
    if inputs > 1:
        return _interval(
            "partial", family, many_rows(family, inputs), partial_upper(inputs, labels, n), inputs
        )
    if labels == 3:
        worst = one_row(family)
        value = 0.5 * unvisited_mass(2, n).value
        return Limit(value, value, True, worst.teacher(family), "Phi(2, n)/2", "partial", 1, 3, n)
    return _interval("partial", family, one_row(family), partial_upper(inputs, labels, n), inputs)


def top_k_limit(inputs: int, labels: int, n: int, k: int) -> Limit:
    """Return the minimax risk where a query reveals the k most probable labels of the row beside
    the sampled one.

    k = 0 is partial labels; k >= A-1 reveals visited rows, which is soft labels. For S = 1 and k =
    A-2 the two hidden labels b, c lose (1-p_b-p_c)^n |p_b-p_c|/2, largest for p_c = 0 and p_b =
    min(1/(n+1), 1/(k+1)): exact.
    """
    if k == 0:
        found = partial_limit(inputs, labels, n)
        return Limit(
            found.lower,
            found.upper,
            found.exact,
            found.teacher,
            found.reference,
            "top_k",
            inputs,
            labels,
            n,
        )
    if k >= labels - 1 or n == 0:
        return _as_soft(
            inputs, labels, n, "top_k", "visited rows are known: the limit of soft labels"
        )
    if labels > LARGEST_SEARCH:
        upper = partial_upper(inputs, labels, n)
        if inputs > 1:
            upper = min(upper, top_k_upper(inputs, labels, n, k))
        return _explicit("top_k", inputs, labels, n, upper, k)
    family = FewLevels(labels, n, k)
    if inputs > 1:
        upper = min(top_k_upper(inputs, labels, n, k), partial_upper(inputs, labels, n))
        return _interval("top_k", family, many_rows(family, inputs), upper, inputs)
    worst = one_row(family)
    if k == labels - 2:
        x = min(1.0 / (n + 1), 1.0 / (k + 1))
        value = 0.5 * x * math.exp(n * math.log1p(-x))
        reference = f"max x (1-x)^n / 2 over x <= 1/(k+1), at x = {x:.6g}"
        return Limit(value, value, True, worst.teacher(family), reference, "top_k", 1, labels, n)
    upper = min(top_k_upper(1, labels, n, k), partial_upper(1, labels, n))
    return _interval("top_k", family, worst, upper, inputs)


def _explicit(access: str, inputs: int, labels: int, n: int, upper: float, k: int = 0) -> Limit:
    lower, worst = many_labels_lower(inputs, labels, n, k)
    soft = soft_limit(inputs, labels, n)
    teacher = soft.teacher if soft.lower > lower else worst
    lower = max(lower, soft.lower)
    reference = (
        "equal sharing is minimax; lower: its risk on one explicit teacher, upper: proved for all "
        "teachers by concave majorisation"
    )
    top = max(min(upper, 1.0 - 1.0 / labels), lower)
    return Limit(lower, top, False, teacher, reference, access, inputs, labels, n)


def _as_soft(inputs: int, labels: int, n: int, access: str, reason: str) -> Limit:
    found = soft_limit(inputs, labels, n)
    reference = f"{reason}; (1-1/A) Phi(S, n)"
    return Limit(
        found.lower, found.upper, True, found.teacher, reference, access, inputs, labels, n
    )


def _interval(access: str, family: FewLevels, worst: Found, upper: float, inputs: int) -> Limit:
    # The two sides are rounded independently; a true value lies in [lower, upper] to within that
    # rounding.
    met = upper <= worst.value * (1 + MEETING)
    top = worst.value if met else min(upper, 1.0 - 1.0 / family.labels)
    reference = (
        "equal sharing is minimax; lower: its exact risk on the worst teacher of few levels "
        "found, upper: proved for all teachers"
    )
    return Limit(
        worst.value,
        top,
        met,
        worst.teacher(family),
        reference,
        access,
        inputs,
        family.labels,
        family.n,
    )
