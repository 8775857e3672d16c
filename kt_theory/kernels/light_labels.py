"""Light labels of partial labels: exact risks of rows of few levels, and a branch and bound over
all rows.

Legend: levels are whole numbers of `unit`, so that a row is known exactly by whole numbers; m[i]
labels of level x[i]; a part of the labels is a number in
mixed radix, k[i] of the m[i]; power[s] = P(labels
of total level s are all unseen); a node has g[i] labels in the interval [a[i], b[i]].
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.typed import Dict

from kt_theory.kernels.options import PLAIN

MOST_LABELS, BITS = 16, 16
"""A row's key packs its levels, of so many bits each, into four 64-bit numbers."""

GROUPS, WAITING = 24, 20_000
"""Most intervals of a node, and most nodes that wait."""

CLOSED, REFUTED, UNFINISHED = 0, 1, 2

Key = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
KEY = types.UniTuple(types.uint64, 4)


@njit(**PLAIN)
def row_risk(
    levels: np.ndarray,
    counts: np.ndarray,
    groups: int,
    unit: float,
    power: np.ndarray,
    choose: np.ndarray,
    chance: np.ndarray,
) -> float:
    """Return E T(Z), Z the unseen labels of the row, T(Z) = 1/2 sum_Z |t_a - mean|, in units of t.

    P(exactly so many of each level are unseen) comes from `power` by a binomial transform, level by
    level; labels of level 0 are never seen.

    Parameters
    ----------
    levels, counts : int64 arrays
        Distinct levels, growing, and how many labels have each; the first `groups` entries count.
    groups : int
    unit : float
    power : array
        Up to the largest sum of levels.
    choose : (M, M) array
        Binomial coefficients.
    chance : array
        Scratch, prod (counts + 1) long.
    """
    first = 0
    empty = 0
    if levels[0] == 0:
        first = 1
        empty = counts[0]
    size = 1
    for i in range(first, groups):
        size *= counts[i] + 1
    for part in range(size):
        code = part
        level = 0
        for i in range(first, groups):
            level += code % (counts[i] + 1) * levels[i]
            code //= counts[i] + 1
        chance[part] = power[level]
    stride = 1
    for i in range(first, groups):
        most = counts[i]
        block = stride * (most + 1)
        for start in range(0, size, block):
            for k in range(most + 1):
                for part in range(start + k * stride, start + (k + 1) * stride):
                    total = 0.0
                    sign = 1.0
                    for j in range(most - k + 1):
                        total += sign * choose[most - k, j] * chance[part + j * stride]
                        sign = -sign
                    chance[part] = choose[most, k] * total
        stride = block
    risk = 0.0
    for part in range(size):
        code = part
        unseen = empty
        level = 0
        for i in range(first, groups):
            k = code % (counts[i] + 1)
            code //= counts[i] + 1
            unseen += k
            level += k * levels[i]
        if unseen < 2:
            continue
        mean = level / unseen
        above = 0.0
        code = part
        for i in range(first, groups):
            k = code % (counts[i] + 1)
            code //= counts[i] + 1
            if levels[i] > mean:
                above += k * (levels[i] - mean)
        risk += chance[part] * above
    return risk * unit


@njit(**PLAIN)
def merged(
    node: np.ndarray, upper: np.ndarray, groups: int, levels: np.ndarray, counts: np.ndarray
) -> int:
    """Write the levels, growing, and counts of the corner that has upper[i] of its labels of
    interval i at the high end; return how many levels there are.
    """
    distinct = 0
    for i in range(groups):
        for side in range(2):
            count = upper[i] if side else node[i, 2] - upper[i]
            if count == 0:
                continue
            level = node[i, side]
            place = 0
            while place < distinct and levels[place] < level:
                place += 1
            if place < distinct and levels[place] == level:
                counts[place] += count
                continue
            for j in range(distinct, place, -1):
                levels[j] = levels[j - 1]
                counts[j] = counts[j - 1]
            levels[place] = level
            counts[place] = count
            distinct += 1
    return distinct


@njit(**PLAIN)
def with_rest(levels: np.ndarray, counts: np.ndarray, distinct: int, whole: int) -> int:
    """Add the label of the rest, as heavy as any; return how many levels there are."""
    rest = whole
    for i in range(distinct):
        rest -= levels[i] * counts[i]
    place = 0
    while place < distinct and levels[place] < rest:
        place += 1
    if place < distinct and levels[place] == rest:
        counts[place] += 1
        return distinct
    for i in range(distinct, place, -1):
        levels[i] = levels[i - 1]
        counts[i] = counts[i - 1]
    levels[place] = rest
    counts[place] = 1
    return distinct + 1


@njit(**PLAIN)
def key_of(levels: np.ndarray, counts: np.ndarray, distinct: int) -> Key:
    """Return the levels of all labels, packed into four numbers: another key for another row."""
    words = (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
    first, second, third, fourth = words
    written = 0
    for i in range(distinct):
        for _ in range(counts[i]):
            level = np.uint64(levels[i]) << np.uint64(BITS * (written % 4))
            if written < 4:
                first |= level
            elif written < 8:
                second |= level
            elif written < 12:
                third |= level
            else:
                fourth |= level
            written += 1
    return first, second, third, fourth


@njit(**PLAIN)
def largest_corner(
    node: np.ndarray,
    groups: int,
    stop: float,
    unit: float,
    power: np.ndarray,
    choose: np.ndarray,
    chance: np.ndarray,
    levels: np.ndarray,
    counts: np.ndarray,
    upper: np.ndarray,
    known: Dict,
    whole: int,
) -> float:
    """Return the largest risk of the corners of a node, or the first that exceeds `stop`; the rest
    is a label if `whole` > 0.
    """
    upper[:] = 0
    best = -1.0
    while True:
        distinct = merged(node, upper, groups, levels, counts)
        key = key_of(levels, counts, distinct)
        if key in known:
            risk = known[key]
        else:
            if whole > 0:
                distinct = with_rest(levels, counts, distinct, whole)
            risk = row_risk(levels, counts, distinct, unit, power, choose, chance)
            known[key] = risk
        best = max(best, risk)
        if best > stop:
            return best
        i = 0
        while i < groups and upper[i] == node[i, 2]:
            upper[i] = 0
            i += 1
        if i == groups:
            return best
        upper[i] += 1


@njit(**PLAIN)
def most_worth(worth: np.ndarray, peak: int, low: int, high: int) -> float:
    """Return the most that a label of a level from `low` to `high` adds."""
    return worth[peak] if low <= peak <= high else max(worth[low], worth[high])


@njit(**PLAIN)
def search(
    edges: np.ndarray,
    labels: int,
    target: float,
    most_nodes: int,
    unit: float,
    power: np.ndarray,
    bend: np.ndarray,
    worth: np.ndarray,
    extra: np.ndarray,
    spare: np.ndarray,
    choose: np.ndarray,
    whole: int,
    heavier: int,
    rest: np.ndarray,
) -> tuple[int, float, int]:
    """Return (CLOSED, bound, nodes) if f + extra + spare <= bound <= target everywhere.

    Parameters
    ----------
    edges : (E+1,) int64 array
        Ends of the intervals of levels that the search begins with.
    labels : int
        At most MOST_LABELS.
    target : float
    most_nodes : int
        Beyond, the answer is UNFINISHED; REFUTED, with its value, if a corner exceeds the target.
    unit : float
    power, extra, spare : (labels * top + 1,) arrays
        By the sum of levels; `extra` grows and `spare` falls. Rows where `extra` is negative are
        left out: a corner there refutes nothing.
    bend, worth : (top + 1,) arrays
        By level: a bound on minus the second derivative along one label, which falls; and what a
        label adds to the risk at most, which falls, rises to one peak and falls.
    choose : (M, M) array
    whole : int
        The levels sum to no more.
    heavier : int
        How many labels that are not light are at least as heavy as each of these.
    rest : (whole + 1,) or empty array
        If not empty, the rest is one label: by the sum of the light levels, a bound on minus the
        second derivative that it adds, which grows.
    """
    a_label = rest.size > 0
    intervals = edges.size - 1
    nodes = np.zeros((WAITING, GROUPS, 3), np.int64)
    sizes = np.zeros(WAITING, np.int64)
    old = np.zeros((GROUPS, 3), np.int64)
    levels = np.zeros(2 * GROUPS + 1, np.int64)
    counts = np.zeros(2 * GROUPS + 1, np.int64)
    upper = np.zeros(GROUPS, np.int64)
    chance = np.empty(1 << (labels + 1))
    known = Dict.empty(KEY, types.float64)
    peak = worth.argmax()
    parts = np.zeros(intervals, np.int64)
    parts[0] = labels
    closed = -1.0
    visited = 0
    while True:
        waiting = 1
        groups = 0
        for i in range(intervals):
            if parts[i] > 0:
                nodes[0, groups, 0] = edges[i]
                nodes[0, groups, 1] = edges[i + 1]
                nodes[0, groups, 2] = parts[i]
                groups += 1
        sizes[0] = groups
        while waiting > 0:
            waiting -= 1
            visited += 1
            groups = sizes[waiting]
            node = nodes[waiting]
            if visited > most_nodes:
                return UNFINISHED, 0.0, visited
            sum_low = 0
            sum_high = 0
            heaviest = 0
            most = 0
            for i in range(groups):
                sum_low += node[i, 2] * node[i, 0]
                sum_high += node[i, 2] * node[i, 1]
                heaviest = max(heaviest, node[i, 0])
                most = max(most, node[i, 1])
            if sum_low + heavier * heaviest > whole:
                continue
            bend_of_rest = rest[min(sum_high, whole)] if a_label else 0.0
            error = 0.0
            widest = -1.0
            split = 0
            cheap = 0.0
            for i in range(groups):
                low = node[i, 0]
                high = node[i, 1]
                width = unit * (high - low)
                loss = 0.125 * width * width * (bend[low] + bend_of_rest)
                error += node[i, 2] * loss
                cheap += node[i, 2] * most_worth(worth, peak, low, high)
                if loss > widest:
                    widest = loss
                    split = i
            error += extra[sum_high] + spare[sum_low]
            cheap += extra[sum_high] + spare[sum_low]
            if a_label:
                least = max(heaviest, whole - sum_high)
                cheap += most_worth(worth, peak, least, whole - sum_low)
            if cheap <= target:
                closed = max(closed, cheap)
                continue
            if not a_label or sum_high <= whole:
                risk = largest_corner(
                    node,
                    groups,
                    target - error,
                    unit,
                    power,
                    choose,
                    chance,
                    levels,
                    counts,
                    upper,
                    known,
                    whole if a_label else 0,
                )
                if risk > target and sum_high + heavier * most <= whole and extra[sum_low] >= 0.0:
                    return REFUTED, risk, visited
                if risk + error <= target:
                    closed = max(closed, risk + error)
                    continue
            low = node[split, 0]
            high = node[split, 1]
            if high - low < 2 or waiting + node[split, 2] + 1 >= WAITING or groups + 1 >= GROUPS:
                return UNFINISHED, 0.0, visited
            old[:groups] = node[:groups]
            middle = (low + high) // 2
            for k in range(old[split, 2] + 1):
                q = 0
                for i in range(groups):
                    if i != split:
                        nodes[waiting, q] = old[i]
                        q += 1
                if k > 0:
                    nodes[waiting, q, 0] = low
                    nodes[waiting, q, 1] = middle
                    nodes[waiting, q, 2] = k
                    q += 1
                if k < old[split, 2]:
                    nodes[waiting, q, 0] = middle
                    nodes[waiting, q, 1] = high
                    nodes[waiting, q, 2] = old[split, 2] - k
                    q += 1
                sizes[waiting] = q
                waiting += 1
        i = 0
        while parts[i] == 0:
            i += 1
        if i == intervals - 1:
            return CLOSED, closed, visited
        taken = parts[i]
        parts[i] = 0
        parts[0] = taken - 1
        parts[i + 1] += 1
