"""The table of light-label bounds, by branch and bound over all rows.

`python -m kt_theory.limits.sharing.light_search` writes `light_labels.csv` anew, which takes half
an hour; with labels and n, it searches once: `... light_search 5 60`. What is proved, and why,
stands in `light_labels` and in docs/proofs.md.
"""

from __future__ import annotations

import csv
import math
import sys
from typing import NamedTuple

import numpy as np

from kt_theory.kernels.light_labels import CLOSED, MOST_LABELS, REFUTED, row_risk, search
from kt_theory.limits.constants import light_labels
from kt_theory.limits.sharing.light_labels import (
    DROPPED,
    FARTHEST,
    FILE,
    LARGEST,
    MANY,
    MOST_KNOWN,
    TOP_K,
    heavy_at_most,
    interpolated,
    of_two,
    ratios,
    unvisited_at_most,
)

TOP = 1 << 15
"""Levels are whole numbers of FARTHEST/TOP, so that corners are known exactly."""

UNIT = FARTHEST / TOP

STARTS = (0.0, 0.35, 0.8, 1.2, 1.7, 2.5, FARTHEST)
"""Ends of the intervals of t that the search begins with."""

MOST_NODES = 10**7

LOOSE, CLOSE, FAR = 2e-3, 8e-4, 6e-3
"""How far above the best row of two levels the search aims: for n below and from 10 (d+1) on; for
d > 12.
"""

CHOOSE = np.array([[math.comb(i, j) for j in range(18)] for i in range(18)], dtype=np.float64)

Rows = dict[float, float]


class Search(NamedTuple):
    """How a search went.

    Attributes
    ----------
    bound : float
        Proved for all rows of t in [0, FARTHEST].
    lower : float
        The best row of two levels.
    nodes : int
    """

    bound: float
    lower: float
    nodes: int


def searched(labels: int, n: float, least: float, excess: float, known: int = 0) -> Search:
    """Return a proved bound on f + H, or on f + G_k, for t in [0, FARTHEST]^d.

    Parameters
    ----------
    labels : int
        d, from 2 to 16.
    n : float
        Samples, at least FARTHEST * d; inf for independent labels.
    least : float
        H is what the heaviest label adds at most, for any number of samples from here on.
    excess : float
        How far above the best row of two levels the bound may be.
    known : int
        k; G_k takes the place of H for k > 0.

    Raises
    ------
    ArithmeticError
        If the search does not close.
    """
    total, t = UNIT * np.arange(labels * TOP + 1), UNIT * np.arange(TOP + 1)
    power = np.exp(-total) if math.isinf(n) else np.exp(n * np.log1p(-total / n))
    nothing = np.zeros(len(total))
    extra = nothing if known else heavy_at_most(labels, total, least)
    spare = unvisited_at_most(labels, total, known) if known else nothing
    lower = best_of_two_levels(labels, power, spare)
    status, value, nodes = search(
        np.round(np.array(STARTS) / UNIT).astype(np.int64),
        labels,
        lower * (1.0 + excess),
        MOST_NODES,
        UNIT,
        power,
        bend_at_most(labels, t, n),
        worth(t),
        extra,
        spare,
        CHOOSE,
    )
    if status != CLOSED:
        why = f"a row reaches {value}" if status == REFUTED else f"{nodes} nodes do not close it"
        raise ArithmeticError(f"{labels} labels, n = {n}, {excess} above {lower}: {why}")
    return Search(value, lower, nodes)


def bend_at_most(labels: int, t: np.ndarray, n: float) -> np.ndarray:
    """Return 2 (1-1/d) (1-t/n)^(n-1), a bound on minus the second derivative of f along one label.

    Parameters
    ----------
    labels : int
        d.
    t : array
        n times the label's probability.
    n : float
    """
    unseen = np.exp(-t) if math.isinf(n) else np.exp((n - 1.0) * np.log1p(-t / n))
    bend: np.ndarray = 2.0 * (1.0 - 1.0 / labels) * unseen
    return bend


def worth(t: np.ndarray) -> np.ndarray:
    """Return e^-t max(c2, (sqrt t - sqrt c2)^2), what a label adds to a row at most.

    It falls from c2, rises to c2 again at t = 1.4777 and falls; the point below that peak is given
    a little more than the value of the peak, so that it is the largest.
    """
    constant = light_labels()
    value: np.ndarray = np.exp(-t) * np.maximum(
        constant.value, (np.sqrt(t) - math.sqrt(constant.value)) ** 2
    )
    value[np.searchsorted(t, constant.t) - 1] = constant.value * (1.0 + 1e-12)
    return value


def best_of_two_levels(labels: int, power: np.ndarray, spare: np.ndarray) -> float:
    """Return the largest f + spare found of rows of m labels of one level and the others at 0."""
    chance, best = np.empty(1 << labels), float(spare[0])
    first = 0.2 if spare.any() else 0.9
    for light in range(1, labels):
        counts = np.array([labels - light, light])
        for level in range(round(first / UNIT), round(1.8 / UNIT), round(0.01 / UNIT)):
            levels = np.array([0, level])
            risk = row_risk(levels, counts, 2, UNIT, power, CHOOSE, chance)
            best = max(best, risk + float(spare[light * level]))
    return best


def rows_of_table(labels: int, below: dict[int, Rows], known: int = 0) -> Rows:
    """Return the bounds for so many labels, by n; `below` has those of fewer labels and k = 0.

    A label with t > FARTHEST is dropped at a cost of DROPPED: then the heaviest one adds what it
    can add at most, and an unvisited row no more than at the sum of the dropped ones.
    """
    rows: Rows = {}
    least = float(math.ceil(ratios(labels)[0] * (labels + 1)))
    for ratio in ratios(labels):
        n = float(math.ceil(ratio * (labels + 1))) if math.isfinite(ratio) else math.inf
        near = CLOSE if ratio >= 10.0 else LOOSE
        best = searched(labels, n, least, FAR if labels > MANY else near, known).bound
        for fewer in range(1, labels):
            kept = of_two(fewer) if fewer <= 2 else interpolated(below[fewer], fewer, n)
            dropped = labels - fewer
            if known:
                beside = float(unvisited_at_most(labels, dropped * FARTHEST, known))
            else:
                beside = float(heavy_at_most(labels, np.array([math.inf]), least)[0])
            best = max(best, kept + dropped * DROPPED + beside)
        rows[n] = best
        least = n if math.isfinite(n) else least
    return rows


def write_table() -> None:
    """Write the table anew, and say how it goes."""
    found: dict[tuple[int, int], Rows] = {}
    for labels in range(3, LARGEST + 1):
        below = {fewer: rows for (known, fewer), rows in found.items() if not known}
        for known in range(MOST_KNOWN + 1 if labels <= TOP_K else 1):
            found[known, labels] = rows_of_table(labels, below, known)
            print(labels, "labels, k =", known, found[known, labels], flush=True)
    with FILE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("known", "labels", "n", "bound"))
        for (known, labels), rows in sorted(found.items()):
            table.writerows((known, labels, f"{n:g}", f"{value:.9f}") for n, value in rows.items())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        size, samples = int(sys.argv[1]), float(sys.argv[2])
        if not 2 <= size <= MOST_LABELS:
            raise SystemExit(f"labels = {size}: must be from 2 to {MOST_LABELS}")
        print(searched(size, samples, samples, CLOSE))
    else:
        write_table()
