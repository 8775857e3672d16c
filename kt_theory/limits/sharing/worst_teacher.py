"""The search for the worst teacher of partial labels and top-k: rows of few levels, few classes of
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kt_theory.limits.optimise import best_whole, highest
from kt_theory.limits.sharing.few_levels import MOST_HITS, FewLevels
from kt_theory.limits.soft import unvisited_mass
from kt_theory.teacher import Teacher

ROUNDS = 30
"""Most rounds of coordinate ascent; it stops when a round gains less than rounding."""


@dataclass(frozen=True)
class Group:
    """`count` equal rows: m hidden light labels of joint probability x, and a heavy label h (h = x:
    none).
    """

    count: int
    m: int
    x: float
    h: float


@dataclass(frozen=True)
class Found:
    """A teacher as groups of rows, and the optimal student's exact risk on it."""

    value: float
    groups: tuple[Group, ...]

    def teacher(self, family: FewLevels) -> Teacher:
        """Return the teacher, given by classes."""
        groups = [group for group in self.groups if group.count]
        light = [family.light_labels(group.m) * group.x for group in groups]
        mass = np.array([group.h + part for group, part in zip(groups, light, strict=True)])
        counts = np.array([group.count for group in groups])
        rows = [family.row(group.m, group.x, group.h) for group in groups]
        return Teacher.from_classes(rows, mass / (mass @ counts), counts)


def one_row(family: FewLevels) -> Found:
    """Return the worst few-level teacher on one input: {h once, x on the light labels, 0
    elsewhere}.

    For each number m of light labels one maximum in x; m by a unimodal search with a check of its
    neighbours.
    """
    empty_most = family.labels - max(family.top, 1)
    found: dict[int, tuple[float, float]] = {}

    def best(m: int) -> float:
        if m not in found:
            light = family.light_labels(m)
            top = 1.0 / (light + 1) if family.top else 1.0 / max(light, 1)
            high = min(top, MOST_HITS / max(family.n, 1)) if m else 0.0
            found[m] = highest(
                lambda x: family.heavy(np.maximum(1.0 - light * x, 0.0), m, x), 0.0, high
            )
        return found[m][0]

    best_m = best_whole(best, 0, empty_most) if empty_most else 0
    value = best(best_m)
    x = found[best_m][1]
    return Found(value, (Group(1, best_m, x, max(1.0 - family.light_labels(best_m) * x, 0.0)),))


def many_rows(family: FewLevels, inputs: int) -> Found:
    """Return the best teacher found on `inputs` >= 2 inputs, from four families, each with its own
    search.

    - deterministic rows under the law of the soft-label limit;
    - rows without a heavy label, of two kinds (m and m' light labels), which share all the mass:
      the worst while the mass is short, n << S A;
    - equal rows of light labels and one row that carries the rest of the mass on its heavy label:
      the worst for n >> SA;
    - for top-k, rows that all have a heavy label: it is known once the row is visited, and its mass
      decides how often.
    """
    candidates = [_deterministic(family, inputs), _heavy_row(family, inputs)]
    candidates += _short_of_mass(family, inputs)
    if family.top:
        candidates.append(_heavy_rows(family, inputs))
    return max(candidates, key=lambda found: found.value)


def _deterministic(family: FewLevels, inputs: int) -> Found:
    law = unvisited_mass(inputs, family.n)
    value = (1 - 1 / family.labels) * law.value
    return Found(value, (Group(inputs - 1, 0, 0.0, law.light), Group(1, 0, 0.0, law.heavy)))


def _flat_range(family: FewLevels) -> tuple[int, int]:
    return (0, family.labels - family.top - 1) if family.top else (1, family.labels - 1)


def _flat_group(family: FewLevels, count: int, m: int, x: float) -> Group:
    return Group(count, m if family.top else m - 1, x, x)


def _short_of_mass(family: FewLevels, inputs: int) -> list[Found]:
    low, high = _flat_range(family)
    equal = {}

    def all_equal(m: int) -> float:
        if m not in equal:
            x = 1.0 / (inputs * family.flat_labels(m))
            equal[m] = inputs * family.flat(m, x) if family.n * x <= MOST_HITS else 0.0
        return equal[m]

    best = best_whole(all_equal, low, high)
    x = 1.0 / (inputs * family.flat_labels(best))
    result = [Found(all_equal(best), (_flat_group(family, inputs, best, x),))]
    for m in range(max(low, best - 1), min(high, best + 1)):
        result.append(_two_kinds(family, inputs, m, m + 1))
    return result


def _two_kinds(family: FewLevels, inputs: int, first: int, second: int) -> Found:
    """Return the best split of the inputs into rows of `first` and of `second` light labels that
    use all the mass.
    """
    sizes = family.flat_labels(first), family.flat_labels(second)
    found: dict[int, tuple[float, float]] = {}

    def best(count: int) -> float:
        if count not in found:
            others = inputs - count
            cap = 1.0 / (count * sizes[0])
            most = min(cap, MOST_HITS / max(family.n, 1))
            least = max(0.0, cap * (1.0 - others * sizes[1] * MOST_HITS / max(family.n, 1)))

            def value(x: np.ndarray) -> np.ndarray:
                y = np.maximum(1.0 - count * sizes[0] * x, 0.0) / (others * sizes[1])
                total: np.ndarray = count * family.flat(first, x) + others * family.flat(second, y)
                return total

            found[count] = highest(value, least, most) if least < most else (0.0, least)
        return found[count][0]

    count = best_whole(best, 1, inputs - 1)
    value, x = best(count), found[count][1]
    y = max(1.0 - count * sizes[0] * x, 0.0) / ((inputs - count) * sizes[1])
    return Found(
        value,
        (_flat_group(family, count, first, x), _flat_group(family, inputs - count, second, y)),
    )


def _heavy_row(family: FewLevels, inputs: int) -> Found:
    """Return the best teacher of inputs-1 equal flat rows and one row with a heavy label, by ascent
    in two levels.
    """
    others = inputs - 1
    low, high = _flat_range(family)
    most = MOST_HITS / max(family.n, 1)
    flats: dict[int, tuple[float, float]] = {}
    heavies: dict[int, tuple[float, float]] = {}

    def flat(m: int) -> float:
        if m not in flats:
            flats[m] = highest(
                lambda x: family.flat(m, x), 0.0, min(most, 1.0 / (others * family.flat_labels(m)))
            )
        return flats[m][0]

    m = best_whole(flat, low, high)
    size = family.flat_labels(m)

    def last_row(k: int, x: float) -> tuple[float, float]:
        light, rest = family.light_labels(k), max(1.0 - others * size * x, 0.0)
        return highest(
            lambda y: family.heavy(np.maximum(rest - light * y, 0.0), k, y),
            0.0,
            min(most, rest / (light + 1)),
        )

    def heavy(k: int) -> float:
        if k not in heavies:
            heavies[k] = last_row(k, flats[m][1])
        return heavies[k][0]

    k = best_whole(heavy, 0, family.labels - max(family.top, 1))
    x, y = flats[m][1], heavies[k][1]
    light = family.light_labels(k)

    def total(x: Any, y: float) -> Any:
        rest = np.maximum(1.0 - others * size * x - light * y, 0.0)
        return others * family.flat(m, x) + family.heavy(rest, k, y)

    value = total(x, y)
    for _ in range(ROUNDS):
        before, room = value, max(1.0 - (light + 1) * y, 0.0) / (others * size)
        x = highest(partial(lambda y, x: total(x, y), y), 0.0, min(most, room))[1]
        y = last_row(k, x)[1]
        value = total(x, y)
        if value <= before * (1 + 1e-13):
            break
    rest = max(1.0 - others * size * x - light * y, 0.0)
    return Found(value, (_flat_group(family, others, m, x), Group(1, k, y, rest)))


def _heavy_rows(family: FewLevels, inputs: int) -> Found:
    """Return the best teacher whose rows all have a heavy label: inputs-1 equal ones {h, x} and one
    {rest, y}.

    Coordinate ascent from two starts: equal rows, and rows of about 1.6/n and 1.1/n that leave the
    rest to the last.
    """
    others, unit = inputs - 1, 1.0 / max(family.n, 1)
    most = MOST_HITS * unit
    found: dict[int, tuple[float, float]] = {}

    def equal(m: int) -> float:
        if m not in found:
            light = family.light_labels(m)
            high = min(most, 1.0 / (inputs * (light + 1)))
            found[m] = highest(
                lambda x: family.heavy(1.0 / inputs - light * x, m, x), 0.0, high if m else 0.0
            )
        return inputs * found[m][0]

    widest = family.labels - family.top
    m = best_whole(equal, 0, widest)
    x = found[m][1]
    candidates = [_ascend(family, others, m, [1.0 / inputs - family.light_labels(m) * x, x, x])]
    m = best_whole(lambda m: family.heavy(1.6 * unit, m, 1.1 * unit), 0, widest)
    candidates.append(_ascend(family, others, m, [1.6 * unit, 1.1 * unit, 1.1 * unit]))
    return max(candidates, key=lambda found: found.value)


def _ascend(family: FewLevels, others: int, m: int, start: list[float]) -> Found:
    """Return the local maximum over (h, x, y) near `start`, for rows {h, x} and one row {rest, y}
    of m light labels.
    """
    light, place = family.light_labels(m), list(start)

    def rest(h: Any, x: Any, y: Any) -> Any:
        return 1.0 - others * (h + light * x) - light * y

    def total(h: Any, x: Any, y: Any) -> np.ndarray:
        last = rest(h, x, y)
        found = others * family.heavy(h, m, x) + family.heavy(np.maximum(last, 0.0), m, y)
        return np.where((last < y - 1e-15) | (h < x), 0.0, found)

    def along(i: int, value: np.ndarray) -> np.ndarray:
        h, x, y = (value if j == i else np.full(len(value), old) for j, old in enumerate(place))
        return total(h, x, y)

    value = float(total(*place))
    for _ in range(ROUNDS if m and value > 0 else 0):
        before = value
        for i in range(3):
            gained, new = highest(partial(along, i), 0.5 * place[i], 1.5 * place[i])
            if gained > value:
                value, place[i] = gained, new
        if value <= before * (1 + 1e-13):
            break
    h, x, y = place
    return Found(value, (Group(others, m, x, h), Group(1, m, y, max(rest(h, x, y), 0.0))))
