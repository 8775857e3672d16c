"""What one of several rows loses at most by the sum of its labels, and with it all of them.

The labels of S rows have joint probabilities t/n, so that the sums of t of the rows are n together.
A row of d = A labels whose t sum to s or more loses at most T(s)/n; T falls. With s_0 = 0 < s_1 <
... < s_J, a row of a sum from s_j to s_{j+1} loses T(s_j)/n at most, and a row beyond s_J may hold
all that the others leave. Let j be the place of the largest sum: then n M <= T(s_j) + (S-1) L_j,
L_j the largest mean of T(s_i), i <= j, over all ways to weigh places whose mean of s_{i+1} is (n -
s_{j+1})/(S-1) or more. T is bounded by branch and bound (`light_search`), at a few n; between two
of them, and for labels beyond those of the search, see docs/proofs.md.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from kt_theory.limits.sharing.light_labels import (
    FARTHEST,
    FEW_RATIO,
    ROUNDING,
    interpolated,
    row_among_others,
)

FILE = Path(__file__).with_name("row_sums.csv")

SUMS = (0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0)
"""The sums of the table, in units of d, beside 0."""

CLOSE_SUMS = (*(0.9 + 0.05 * step for step in range(15)), 2.0, 2.5, 3.0)
"""The same for up to `FEW` labels."""

FEW = 6

MOST_LABELS = 9
"""Most labels of a row in the table."""


def sums(labels: int) -> tuple[float, ...]:
    """Return s_0, ..., s_J for rows of so many labels."""
    return (0.0, *(labels * share for share in shares(labels)))


def shares(labels: int) -> tuple[float, ...]:
    """Return s_1, ..., s_J in units of d, rounded as the table has them."""
    return tuple(round(share, 2) for share in (CLOSE_SUMS if labels <= FEW else SUMS))


def row_by_sum(labels: int, n: float) -> tuple[float, ...]:
    """Return bounds on T(s_0), ..., T(s_J), infinite where there are none.

    Parameters
    ----------
    labels : int
        d, all labels of the row, at least 1.
    n : float
    """
    if labels == 1:
        return (0.0,) * (len(shares(1)) + 1)
    if labels == 2:
        return tuple(of_two_by_sum(total) for total in sums(labels))
    found = [row_among_others(labels, n)]
    for total in sums(labels)[1:]:
        found.append(min(found[-1], _bound(labels, n, total)))
    return tuple(found)


def of_two_by_sum(total: float) -> float:
    """Return max of e^-s s/2 over s >= `total`, which bounds (1-s/n)^n |t_a - t_b| / 2."""
    s = max(total, 1.0)
    return 0.5 * s * math.exp(-s)


def far_by_sum(fewer: Sequence[float], labels: int, total: float) -> float:
    """Return a bound on f for rows with a label beyond `FARTHEST` whose sum is `total` or more.

    Without its largest label a row of d has bounds by the sum of the others; and that label, h,
    costs at most (1-1/d) h e^-h, h at least what the others leave and as large as each of them.

    Parameters
    ----------
    fewer : sequence of float
        T(s_0), ..., T(s_J) of rows of d-1 labels.
    labels : int
        d, at least 2.
    total : float
    """
    ends = (*sums(labels - 1)[1:], math.inf)
    bound = 0.0
    for below, end, most in zip(sums(labels - 1), ends, fewer, strict=True):
        heavy = max(FARTHEST, total - end, below / (labels - 1))
        bound = max(bound, most + (1.0 - 1.0 / labels) * heavy * math.exp(-heavy))
    return bound


@lru_cache(maxsize=4096)
def rows_by_sums(inputs: int, labels: int, n: int) -> float:
    """Return a bound on the risk of partial labels for S rows, infinite where there is none.

    Parameters
    ----------
    inputs, labels, n : int
        S >= 2, A >= 3.
    """
    most = row_by_sum(labels, n)
    if math.isinf(most[0]):
        return math.inf
    return together(inputs, (*sums(labels)[1:], math.inf), most, n) / n


def together(inputs: int, ends: Sequence[float], most: Sequence[float], total: float) -> float:
    """Return the largest sum of what S rows lose, their sums being `total` together.

    Parameters
    ----------
    inputs : int
        S >= 2.
    ends, most : sequences of float
        s_1, ..., s_J, inf and T(s_0), ..., T(s_J).
    total : float
    """
    best = 0.0
    for place, (end, own) in enumerate(zip(ends, most, strict=True)):
        if place and ends[place - 1] > total:
            break
        others = (total - end) / (inputs - 1)
        if others <= end:
            mean = _largest_mean(ends[: place + 1], most[: place + 1], others)
            best = max(best, own + (inputs - 1) * mean)
    return best


def _largest_mean(ends: Sequence[float], most: Sequence[float], least: float) -> float:
    """Return the largest mean of `most` over weights whose mean of `ends` is `least` or more: two
    places are enough.
    """
    best = 0.0
    for end, value in zip(ends, most, strict=True):
        if end >= least:
            best = max(best, value)
            continue
        for far, low in zip(ends, most, strict=True):
            if far >= least:
                share = (least - end) / (far - end)
                best = max(best, value + share * (low - value))
    return best


def _bound(labels: int, n: float, total: float) -> float:
    """Return what the table has for one sum, infinite where it has nothing."""
    rows = table_by_sum().get((labels, total))
    if rows is None or not min(rows) <= n <= max(rows):
        return math.inf
    if n < FEW_RATIO * (labels + 1):
        return rows.get(n, math.inf) * (1.0 + ROUNDING)
    return interpolated(rows, labels, n) * (1.0 + ROUNDING)


@cache
def table_by_sum() -> dict[tuple[int, float], dict[float, float]]:
    """Return the bounds of the table: by d and the sum, then by n."""
    found: dict[tuple[int, float], dict[float, float]] = {}
    with FILE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels = int(row["labels"])
            place = labels, labels * float(row["share"])
            found.setdefault(place, {})[float(row["n"])] = float(row["bound"])
    return found
