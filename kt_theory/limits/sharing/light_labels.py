"""What light labels lose at most, whatever their probabilities: a table, and what holds between its
rows.

d light labels have joint probabilities t_a/n, and the rest of the mass is never hidden. With Z the
unseen ones and T(Z) = 1/2 sum_Z |t_a - mean_Z t|, f(t) = E T(Z) is n times what they lose under
equal sharing, and U(d, n) its supremum.

1. Partial labels, one row: for the heaviest label h, T(Z) <= T(Z - h) + t_h if h is in Z, so n M <=
   sup f(t) + H(sum t) over d = A-1 labels, H(s) = n p (1-p)^n, p = max(1 - s/n, 1/A).
2. Several rows: each loses what its own labels do, so n M <= S U(A, n); and the heaviest label of
   all is at least 1/(SA), so n M <= (S-1) U(A, n) + U(A-1, n) + (1-1/A) (n/SA) (1-1/SA)^n for n+1
   >= SA.
3. Top-k: a visited row hides d = A-k labels, all others absorb: n M <= U(A-k, n) for one row. For
   several, an unvisited row loses more: n M <= S sup f(t) + G_k(sum t), G_k(s) = (1-1/A)/e exp(-s
   (1 + k/d)).

The table has bounds on sup f + H (k = 0), and on sup f + G_k for the few labels where G_k matters,
by branch and bound (`light_search`), at a few n; H is there that of the next smaller n of the
table. Between two n, at the same t, f is a function of u = 1/n with f'' >= -`curvature`, so that it
exceeds the chord by at most w^2/8 of it. For fewer than 4 (d+1) samples a second table has bounds
for one n after another; there the heaviest label of one row is part of the search, so that they are
bounds on n M itself. Every step is proved in docs/proofs.md.
"""

from __future__ import annotations

import csv
import math
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.limits.sharing.majorant import hidden_bound

FILE = Path(__file__).with_name("light_labels.csv")

FEW_FILE = Path(__file__).with_name("few_samples.csv")
"""Bounds on f itself for n < 4 (d+1), by where the rest of the mass is; one n after another."""

REST = {"label": 1, "known": 1, "rows": 0}
"""Where it is: in one label of the row, which counts with the light ones; in a known label; in
other rows. And how many of its labels are as heavy as each light one."""

FEW_LABELS = {"label": 9, "known": 11, "rows": 11}
"""Most light labels of that table."""

FEW_RATIO = 4
"""It begins at n = d, at n = 1 for a label, and ends at n = 4 (d+1), where the other one begins."""

LARGEST, MANY = 13, 12
"""Most light labels of the table; beyond 12 it begins at n = 10 (d+1)."""

FARTHEST = 4.0
"""The search is over t in [0, 4]; labels beyond are dropped one by one, the largest first."""

DROPPED = FARTHEST * math.exp(-FARTHEST)
"""What a label beyond costs: t (1-t/n)^n <= t e^-t."""

TOP_K, MOST_KNOWN = 6, 5
"""Most light labels, and most known ones, for which the table has sup f + G_k."""

RATIOS = (4.0, 4.55, 5.26, 6.25, 7.7, 10.0, 12.5, 50 / 3, 25.0, 50.0, math.inf)
"""n / (d+1) in the table, about evenly spaced in their inverses: 0.03, and 0.02 from 10 on."""

ROUNDING = 1e-8
"""Relative allowance for the digits of the table, and for the rounding of a search, about 1e-12."""

SERIES = 150
"""Terms of the series of `curvature`."""


def ratios(labels: int) -> tuple[float, ...]:
    """Return the n / (d+1) of the table for so many labels."""
    return RATIOS if labels <= MANY else tuple(ratio for ratio in RATIOS if ratio >= 10.0)


def light_bound(labels: int, n: float, known: int = 0) -> float:
    """Return a bound on sup f + H for `labels` light labels, or on sup f + G_k for `known` = k.

    Infinite where the table has none.

    Parameters
    ----------
    labels : int
        d, at least 3.
    n : float
        Samples.
    known : int
        k, how many labels of a visited row are known for sure.
    """
    rows = _table().get((known, labels))
    if rows is None or n < min(rows):
        return math.inf
    return interpolated(rows, labels, n) * (1.0 + ROUNDING)


def few_bound(rest: str, labels: int, n: float) -> float:
    """Return the bound on sup f for few samples, infinite where the table has none.

    Parameters
    ----------
    rest : "label", "known" or "rows"
        Where the rest of the mass is; a "label" counts with the light ones.
    labels : int
        d, the light ones.
    n : float
    """
    return _few_samples().get((rest, labels, n), math.inf) * (1.0 + ROUNDING)


def one_row(labels: int, n: int) -> float:
    """Return a bound on the risk of partial labels for one row, infinite where there is none.

    Parameters
    ----------
    labels : int
        A, at least 4.
    n : int
    """
    return min(few_bound("label", labels - 1, n), light_bound(labels - 1, n)) / n


def row_among_others(labels: int, n: float) -> float:
    """Return a bound on U(d, n), n times what one of several rows loses, or infinity.

    Parameters
    ----------
    labels : int
        d, all labels of the row.
    n : float
    """
    if labels == 2:
        return of_two(labels)
    return min(few_bound("rows", labels, n), light_bound(labels, n))


def many_rows(inputs: int, labels: int, n: int) -> float:
    """Return a bound on the risk of partial labels for S >= 2 rows, infinite where there is none.

    Parameters
    ----------
    inputs, labels, n : int
        A >= 3.
    """
    pairs, row = inputs * labels, row_among_others(labels, n)
    if n + 1 < pairs:
        return inputs * row / n
    heavy = (1.0 - 1.0 / labels) * n / pairs * math.exp(n * math.log1p(-1.0 / pairs))
    last = min(row, row_among_others(labels - 1, n) + heavy)
    return ((inputs - 1) * row + last) / n


@lru_cache(maxsize=4096)
def hidden_rows(inputs: int, labels: int, n: int, known: int) -> float:
    """Return a bound on the risk of top-k for S rows of A-k >= 2 hidden labels, or infinity.

    Beyond k = 5, for which the table has no rows, the bound of k = 5 may be the sharper one.

    Parameters
    ----------
    inputs, labels, n, known : int
    """
    hidden = labels - known
    if inputs == 1 and hidden == 2:
        return of_two(hidden) / n
    if inputs == 1:
        return min(few_bound("known", hidden, n), light_bound(hidden, n)) / n
    if hidden == 2:
        return inputs * _two_hidden(known) / n
    if known > MOST_KNOWN:
        fewer = hidden_rows(inputs, labels, n, MOST_KNOWN)
        return min(fewer, inputs * _with_unvisited(hidden, n, known) / n)
    known_rows = light_bound(hidden, n, known) if hidden <= TOP_K else math.inf
    return inputs * float(min(known_rows, _with_unvisited(hidden, n, known))) / n


def _two_hidden(known: int) -> float:
    """Return max over s of e^-s s/2 + G_k(s), which bounds f + G_k for two labels."""
    s = np.linspace(0.0, 4.0, 100_001)
    value = np.exp(-s) * 0.5 * s + unvisited_at_most(2, s, known)
    return float(value.max()) + s[1] * (0.5 + 0.5 * (1.0 + 0.5 * known))


def _with_unvisited(hidden: int, n: int, known: int) -> float:
    """Return a bound on sup f + G_k from those on f: the sharp one where the sum of t is large,
    where G_k is small, and that of `majorant` where it is small.
    """
    sharp = row_among_others(hidden, n)
    if math.isinf(sharp):
        return sharp
    largest, start = 0.0, 0.0
    for end in hidden * np.linspace(0.05, 0.6, 12):
        some = n * hidden_bound(hidden, n, 1.0, min(end / n, 1.0))
        if some >= sharp:
            break
        largest = max(largest, some + unvisited_at_most(hidden, start, known))
        start = end
    return max(largest, sharp + unvisited_at_most(hidden, start, known))


def unvisited_at_most(hidden: int, total: Any, known: int) -> Any:
    """Return G_k(s), what a row loses more than its hidden labels do, because it may be unvisited.

    Parameters
    ----------
    hidden : int
        d.
    total : float or array
        s, the sum of t over the hidden labels.
    known : int
        k, at least 1.
    """
    return (1.0 - 1.0 / (hidden + known)) / math.e * np.exp(-total * (1.0 + known / hidden))


def of_two(labels: int) -> float:
    """Return U(d, n) <= 1/(2e) for d = 2, and 0 for d <= 1: (1-s/n)^n |t_a - t_b| / 2 alone."""
    return 0.5 / math.e if labels == 2 else 0.0


def heavy_at_most(labels: int, total: np.ndarray, least: float) -> np.ndarray:
    """Return H(s) = n p (1-p)^n, p = max(1 - s/n, 1/(d+1)), for n = `least`: above it H falls.

    Parameters
    ----------
    labels : int
        d.
    total : array
        s, the sum of t over the light labels.
    least : float
        At least d+1.
    """
    if math.isinf(least):
        return np.zeros(total.shape)
    p = np.maximum(1.0 - total / least, 1.0 / (labels + 1.0))
    with np.errstate(divide="ignore"):
        heavy: np.ndarray = least * p * np.exp(least * np.log1p(-p))
    return heavy


def interpolated(rows: dict[float, float], labels: int, n: float) -> float:
    """Return the bound at n from those at the n of the table on both sides of it."""
    if n in rows:
        return rows[n]
    below, above = max(m for m in rows if m < n), min(m for m in rows if m > n)
    u, left, right = 1.0 / n, 1.0 / above, 1.0 / below
    chord = ((u - left) * rows[below] + (right - u) * rows[above]) / (right - left)
    return chord + 0.5 * (u - left) * (right - u) * curvature(labels, right)


@cache
def curvature(labels: int, u: float) -> float:
    """Return a bound on |d^2 f/du^2| at fixed t in [0, 4]^d, for all 1/n from 0 to u < 1/(4d).

    (1 - us)^(1/u) has second derivative (1 - us)^(1/u) sum_j a_j u^(j-4) s^j with sum of |a_j u^j|
    at most the sum of those of (sum_(i>=2) (1-1/i) u^i)^2 and of u sum_(i>=3) (1-1/i) (i-2) u^i;
    and f with s^j (1-us)^(1/u) in the place of (1-us)^(1/u) is a sum over j labels of t_b1 ... t_bj
    times the mean of a difference of T of as many orders as there are distinct labels among them,
    which is at most 4 max(1, 2^(orders-2)).
    """
    j = np.arange(SERIES + 1.0)
    factorials = np.cumprod(np.maximum(j, 1.0))
    most = np.where(j <= FARTHEST, (j / math.e) ** j, FARTHEST**j * math.exp(-FARTHEST))
    one = most * u**j / factorials
    one[0] = 0.0
    tuples, product = np.zeros(SERIES + 1), np.eye(1, SERIES + 1)[0]
    for distinct in range(1, labels + 1):
        product = np.convolve(product, one)[: SERIES + 1]
        ways = math.comb(labels, distinct) * FARTHEST * max(1.0, 2.0 ** (distinct - 2))
        tuples += ways * product
    first = np.where(j >= 2, 1.0 - 1.0 / np.maximum(j, 1.0), 0.0)
    squared = np.convolve(first, first)[: SERIES + 1]
    third = np.where(j >= 3, first * (j - 2.0), 0.0)
    return float((tuples * factorials * (squared + u * third)).sum() / u**4)


@cache
def _table() -> dict[tuple[int, int], dict[float, float]]:
    """Return the bounds of the table: by k and d, then by n."""
    found: dict[tuple[int, int], dict[float, float]] = {}
    with FILE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = int(row["known"]), int(row["labels"])
            found.setdefault(place, {})[float(row["n"])] = float(row["bound"])
    return found


@cache
def _few_samples() -> dict[tuple[str, int, float], float]:
    """Return the bounds for few samples: by where the rest is, d and n."""
    with FEW_FILE.open(newline="", encoding="utf-8") as file:
        return {
            (row["rest"], int(row["labels"]), float(row["n"])): float(row["bound"])
            for row in csv.DictReader(file)
        }
