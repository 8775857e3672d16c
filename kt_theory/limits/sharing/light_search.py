"""The tables of light-label bounds, by branch and bound over all rows.

`python -m kt_theory.limits.sharing.light_search` writes `light_labels.csv`, `few_samples.csv` and
`row_sums.csv` anew, which takes some hours; with labels and n, it searches once: `... light_search
5 60`. What is proved, and why, stands in `light_labels`, `row_sums` and docs/proofs.md.
"""

from __future__ import annotations

import csv
import math
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kt_theory.kernels.light_labels import (
    CLOSED,
    MOST_LABELS,
    REFUTED,
    row_risk,
    search,
    with_rest,
)
from kt_theory.limits.constants import light_labels
from kt_theory.limits.sharing.light_labels import (
    DROPPED,
    FARTHEST,
    FEW_FILE,
    FEW_LABELS,
    FEW_RATIO,
    FILE,
    LARGEST,
    MANY,
    MOST_KNOWN,
    REST,
    TOP_K,
    heavy_at_most,
    interpolated,
    of_two,
    ratios,
    unvisited_at_most,
)
from kt_theory.limits.sharing.row_sums import FILE as ROW_FILE
from kt_theory.limits.sharing.row_sums import MOST_LABELS as ROW_LABELS
from kt_theory.limits.sharing.row_sums import (
    far_by_sum,
    row_by_sum,
    shares,
    sums,
    table_by_sum,
)

TOP = 1 << 15
"""Levels are whole numbers of FARTHEST/TOP, so that corners are known exactly."""

UNIT = FARTHEST / TOP

STARTS = (0.0, 0.35, 0.8, 1.2, 1.7, 2.5, FARTHEST)
"""Ends of the intervals of t that the search begins with."""

WHOLE = 1 << 15
"""The levels of all mass, for few samples; they are whole numbers of n/WHOLE."""

FEW_STARTS = (*STARTS, 6.0, 9.0, 14.0, 24.0)

FEW_EXCESS = (1e-6, 1e-4, 2e-3, 1e-2, 3e-2)
"""How far above the best row of few levels the search for few samples aims, one after another; from
the second one on for n > 3, and from the fourth on for d > 9.
"""

MOST_NODES = 10**7

LOOSE, CLOSE, FAR = 2e-3, 8e-4, 6e-3
"""How far above the best row of two levels the search aims: for n below and from 10 (d+1) on; for
d > 12.
"""

CHOOSE = np.array([[math.comb(i, j) for j in range(18)] for i in range(18)], dtype=np.float64)

SUM_EXCESS = (2e-3, 5e-3, 1e-2, 2e-2, 3e-2, 5e-2, 1e-1, 2e-1)
"""The same for rows of a sum: from the third one on for sums below 2d, and for d > 7."""

SUM_NODES = 4 * 10**5

SUM_MANY, SUM_RATIO = 8, 17.0
"""For more labels the table of sums ends at such an n / (d+1)."""

NEVER = -1e3
"""What is added to rows that are left out."""

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
    power = unseen(total, n)
    nothing = np.zeros(len(total))
    extra = nothing if known else heavy_at_most(labels, total, least)
    spare = unvisited_at_most(labels, total, known) if known else nothing
    first = 0.2 if spare.any() else 0.9
    grid = np.arange(round(first / UNIT), round(1.8 / UNIT), round(0.01 / UNIT))
    lower = best_of_two_levels([grid] * labels, UNIT, power, spare)
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
        len(total),
        0,
        np.empty(0),
    )
    if status != CLOSED:
        why = f"a row reaches {value}" if status == REFUTED else f"{nodes} nodes do not close it"
        raise ArithmeticError(f"{labels} labels, n = {n}, {excess} above {lower}: {why}")
    return Search(value, lower, nodes)


def few_searched(rest: str, labels: int, n: int, excess: float) -> Search | None:
    """Return a proved bound on f for few samples, for all t; None if the search does not close.

    Parameters
    ----------
    rest : "label", "known" or "rows"
        Where the rest of the mass is: in one label of the row, the heaviest, which counts with the
        light ones; in a known label that is as heavy as each light one; anywhere.
    labels : int
        d, the light ones.
    n : int
        Samples; for "known" and "rows" at least d.
    excess : float
        How far above the best row of few levels the bound may be.
    """
    inside, unit = rest == "label", n / WHOLE
    top = WHOLE // 2 if inside else WHOLE
    t = unit * np.arange(WHOLE + 1)
    power = unseen(unit * np.arange((WHOLE if inside else labels * WHOLE) + 1), n)
    nothing = np.zeros(labels * top + 1)
    slope = bend_at_most(labels, t, n)
    ends = (WHOLE // (light + REST[rest]) for light in range(1, labels + 1))
    grids = [np.unique(np.linspace(1, end, 400).astype(np.int64)) for end in ends]
    lower = best_of_two_levels(grids, unit, power, nothing, WHOLE if inside else 0)
    edges = [edge for edge in FEW_STARTS if edge < unit * top]
    status, value, nodes = search(
        np.append(np.round(np.array(edges) / unit).astype(np.int64), top),
        labels,
        lower * (1.0 + excess),
        MOST_NODES,
        unit,
        power,
        slope,
        worth(t),
        nothing,
        nothing,
        CHOOSE,
        WHOLE,
        REST[rest],
        slope[::-1].copy() if inside else np.empty(0),
    )
    return Search(value, lower, nodes) if status == CLOSED else None


def searched_by_sum(
    labels: int, n: float, total: float, excess: float, floor: float = 0.0
) -> Search | None:
    """Return a proved bound on f over rows whose t sum to `total` or more; None if the search does
    not close.

    Parameters
    ----------
    labels : int
        d.
    n : float
        Samples, at least d. Below 4 (d+1) all t count, from there on those in [0, FARTHEST]^d.
    total : float
    excess : float
        How far above the best row of three levels the bound may be.
    floor : float
        A lower bound than this is of no use.
    """
    few = n < FEW_RATIO * (labels + 1)
    unit = n / WHOLE if few else UNIT
    held, t = unit * np.arange(labels * WHOLE + 1), unit * np.arange(WHOLE + 1)
    power = unseen(held, n)
    nothing = np.zeros(len(held))
    left_out = np.where(held < total - unit, NEVER, 0.0)
    lower = _best_of_three_levels(labels, unit, power, math.ceil(total / unit))
    edges = np.array([edge for edge in FEW_STARTS if edge < unit * WHOLE])
    while True:
        status, value, nodes = search(
            np.append(np.round(edges / unit).astype(np.int64), WHOLE),
            labels,
            max(lower * (1.0 + excess), floor),
            SUM_NODES,
            unit,
            power,
            bend_at_most(labels, t, n),
            worth(t),
            left_out,
            nothing,
            CHOOSE,
            WHOLE if few else len(held),
            0,
            np.empty(0),
        )
        if status == CLOSED:
            return Search(value, lower, nodes)
        if status != REFUTED or excess < 0.0:
            return None
        lower = value


def _best_of_three_levels(labels: int, unit: float, power: np.ndarray, total: int) -> float:
    """Return the largest f found of rows of m labels of one level, as few as can make up the sum
    of another one, and the others at 0.
    """
    best, chance = 0.0, np.empty(2 << labels)
    for light in range(labels + 1):
        for level in np.unique(np.linspace(1, WHOLE // max(light, 1), 200).astype(np.int64)):
            rest = max(total - light * int(level), 0)
            heavy = -(-rest // WHOLE)
            if light + heavy > labels:
                continue
            row = Counter({int(level): light, 0: labels - light - heavy})
            row[-(-rest // max(heavy, 1))] += heavy
            held = sorted(place for place, count in row.items() if count)
            counts = np.array([*(row[place] for place in held), 0])
            levels = np.array([*held, 0])
            risk = row_risk(levels, counts, len(held), unit, power, CHOOSE, chance)
            best = max(best, risk)
    return best


def unseen(total: np.ndarray, n: float) -> np.ndarray:
    """Return (1 - s/n)^n, or 0 for s > n: whether labels of so much mass are all unseen."""
    if math.isinf(n):
        return np.exp(-total)
    value: np.ndarray = np.maximum(1.0 - total / n, 0.0) ** n
    return value


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
    still = np.exp(-t) if math.isinf(n) else np.maximum(1.0 - t / n, 0.0) ** (n - 1.0)
    bend: np.ndarray = 2.0 * (1.0 - 1.0 / labels) * still
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
    peak = max(int(np.searchsorted(t, constant.t)) - 1, 0)
    value[peak] = constant.value * (1.0 + 1e-12)
    return value


def best_of_two_levels(
    grids: Sequence[np.ndarray], unit: float, power: np.ndarray, spare: np.ndarray, whole: int = 0
) -> float:
    """Return the largest f + spare found of rows of m labels of one level and the others at 0; the
    rest is one more label if `whole`, the levels of all mass, is not 0.

    Parameters
    ----------
    grids : sequence of int64 arrays
        The levels that are tried for m = 1, 2, ..., d.
    unit : float
    power, spare : arrays
        By the sum of levels.
    whole : int
    """
    labels, best = len(grids), float(spare[0])
    chance = np.empty(2 << labels)
    for light, grid in enumerate(grids, 1):
        zeros = [0] if light < labels else []
        for level in grid:
            levels = np.array([*zeros, level, 0])
            counts = np.array([labels - light] * len(zeros) + [light, 0])
            places = len(zeros) + 1
            if whole:
                places = with_rest(levels, counts, places, whole)
            risk = row_risk(levels, counts, places, unit, power, CHOOSE, chance)
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


def few_rows(rest: str, labels: int) -> dict[int, float]:
    """Return the bounds of `few_searched` for so many light labels, by n."""
    rows: dict[int, float] = {}
    for n in range(1 if rest == "label" else labels, FEW_RATIO * (labels + 1)):
        for excess in FEW_EXCESS[3 if labels > 9 else int(n > 3) :]:
            found = few_searched(rest, labels, n, excess)
            if found is not None:
                rows[n] = found.bound
                break
    return rows


def write_few_samples() -> None:
    """Write the table of few samples anew, and say how it goes."""
    with FEW_FILE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("rest", "labels", "n", "bound"))
        for rest in REST:
            for labels in range(3, FEW_LABELS[rest] + 1):
                rows = few_rows(rest, labels)
                print(rest, labels, rows, flush=True)
                table.writerows((rest, labels, n, f"{value:.9f}") for n, value in rows.items())


def bounds_by_sum(labels: int, n: float, fewer: Sequence[float]) -> list[float]:
    """Return bounds on f over rows of the sums of `row_sums.sums`, in order; infinite where the
    search does not close.

    Parameters
    ----------
    labels : int
        d, at least 3.
    n : float
    fewer : sequence of float
        The bounds for d-1 labels, that of all rows first.
    """
    found = []
    for share, total in zip(shares(labels), sums(labels)[1:], strict=True):
        tried = SUM_EXCESS[2 * int(share < 2.0 or labels > 7) :]
        far = far_by_sum(fewer, labels, total) if n >= FEW_RATIO * (labels + 1) else 0.0
        closed = (searched_by_sum(labels, n, total, excess, far) for excess in tried)
        bound = next((search.bound for search in closed if search is not None), math.inf)
        found.append(max(bound, far))
    return found


def sum_samples(labels: int) -> list[float]:
    """Return the n of the table of sums: one after another below 4 (d+1), then those of ratios, for
    d > 8 the first ones.
    """
    few = range(2 * labels, FEW_RATIO * (labels + 1))
    some = [ratio for ratio in ratios(labels) if labels <= SUM_MANY or ratio <= SUM_RATIO]
    many = [ratio * (labels + 1) for ratio in some]
    return [float(math.ceil(n)) if math.isfinite(n) else n for n in (*few, *many)]


def write_row_sums() -> None:
    """Write the table of rows by their sums anew, and say how it goes."""
    with ROW_FILE.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("labels", "share", "n", "bound"))
        for labels in range(3, ROW_LABELS + 1):
            for n in sum_samples(labels):
                bounds = bounds_by_sum(labels, n, row_by_sum(labels - 1, n))
                print(labels, n, bounds, flush=True)
                table.writerows(
                    (labels, share, f"{n:g}", f"{bound:.9f}")
                    for share, bound in zip(shares(labels), bounds, strict=True)
                    if math.isfinite(bound)
                )
            file.flush()
            table_by_sum.cache_clear()


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
        write_few_samples()
        write_row_sums()
