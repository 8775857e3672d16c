"""Where the search begins: families of few-valued rows, and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kt_theory.worst.ascent import Objective, Place, ascend, climb
from kt_theory.worst.design import Design

SHARES = np.array([-6.0, -4.0, -2.5, -1.5, -0.75, 0.0, 0.75, 1.5, 2.5, 4.0])
"""Where the mass of the first level is looked at, as logits."""

VISITS = (0.5, 1.0, 2.0, 4.0)
"""How often an input, or a label of it, is asked in the mean where one other input has the rest."""

CLIMBED, POLISHED, RANDOM = 3, 3, 8
"""How many places of each family are climbed from, how many of all to the end, and how many random
ones there are.
"""

COARSE, FINE = 25, 80
"""Evaluations for each free mass, at first and in the end."""

Shape = tuple[tuple[int, ...], np.ndarray]
"""The levels of a row and the logits of their masses."""

EQUAL = "equal rows of one or two levels"
HEAVY = "equal rows and one input with the rest of rho"
SPIKED = "uniform rows on some labels, and one row that is nearly a point mass with the rest of rho"
MIXED = "two kinds of rows, half of the inputs each"
KNOWN = "the teacher of the level's minimax limit"
SPLIT = "random rows of up to three levels, of up to three kinds"


@dataclass(frozen=True)
class Family:
    """What was found in one family: how many places were climbed from, and the best value of
    each.
    """

    name: str
    values: tuple[float, ...]


def search(
    objective: Objective, size: tuple[int, int], seed: int, known: list[Place]
) -> tuple[Place | None, list[Family]]:
    """Return the best place found, None where no teacher could be looked at, and what each family
    gave.

    Parameters
    ----------
    objective : Objective
    size : (int, int)
        Inputs and labels.
    seed : int
        Of the random starts.
    known : list of Place
        What theory knows already.
    """
    inputs, labels = size
    n = objective.n
    equal = _distinct(_equal_rows(objective, inputs, labels), 2 * CLIMBED)
    shapes = [(one.design.levels[0], one.logits) for one in equal]
    starts = {EQUAL: equal[:CLIMBED]}
    if inputs > 1:
        plain = [((1,), np.zeros(0)), ((labels,), np.zeros(0))]
        kinds = _without_doubles([*shapes[:4], *plain])
        starts[HEAVY] = _distinct(_heavy(objective, size, (kinds, kinds)), CLIMBED)
        flat: list[Shape] = [((number,), np.zeros(0)) for number in _numbers(labels)]
        starts[SPIKED] = _distinct(_heavy(objective, size, (flat, _spikes(labels, n))), CLIMBED)
        starts[MIXED] = _distinct(_mixed(objective, size, kinds), 2)
    starts[SPLIT] = list(_random(objective, size, seed))
    starts[KNOWN] = known
    found, families = [], []
    for name, places in starts.items():
        reached = [climb(objective, place, COARSE) for place in places]
        found += reached
        families.append(Family(name, tuple(place.value for place in reached)))
    best = [ascend(objective, place, FINE) for place in _distinct(found, POLISHED)]
    return max(best, key=_value, default=None), [each for each in families if each.values]


def _equal_rows(objective: Objective, inputs: int, labels: int) -> Iterator[Place]:
    """Yield equal rows under uniform rho: uniform on some labels, and of two levels."""
    numbers = _numbers(labels)
    for first in numbers:
        yield objective.at(Design((inputs,), ((first,),), labels), np.zeros(0))
        for second in (*numbers, labels - first):
            if second < 1 or first + second > labels:
                continue
            design = Design((inputs,), ((first, second),), labels)
            for share in SHARES:
                yield objective.at(design, np.array([share]))


def _heavy(
    objective: Objective, size: tuple[int, int], kinds: tuple[list[Shape], list[Shape]]
) -> Iterator[Place]:
    """Yield S-1 equal rows that are asked a few times, and one input with the rest."""
    inputs, labels = size
    for light in kinds[0]:
        wanted = [visits * per for per in (1.0, float(sum(light[0]))) for visits in VISITS]
        masses = {min((inputs - 1) * visits / max(objective.n, 1), 0.99) for visits in wanted}
        for heavy in kinds[1]:
            design = Design((inputs - 1, 1), (light[0], heavy[0]), labels)
            for mass in sorted(masses):
                odds = np.log(mass / (1.0 - mass))
                yield objective.at(design, np.concatenate([[odds], light[1], heavy[1]]))


def _spikes(labels: int, n: int) -> list[Shape]:
    """Return rows of a heavy label, and of light ones that n samples show about once each."""
    light = [number for number in _numbers(labels) if number < labels]
    return [((1, number), np.array([np.log(max(n, 2) / number)])) for number in light]


def _mixed(objective: Objective, size: tuple[int, int], kinds: list[Shape]) -> Iterator[Place]:
    """Yield two kinds of rows on half of the inputs each."""
    inputs, labels = size
    for place, one in enumerate(kinds):
        for other in kinds[:place]:
            counts = (inputs - inputs // 2, inputs // 2)
            design = Design(counts, (one[0], other[0]), labels)
            odds = np.log(counts[0] / counts[1])
            yield objective.at(design, np.concatenate([[odds], one[1], other[1]]))


def _random(objective: Objective, size: tuple[int, int], seed: int) -> Iterator[Place]:
    inputs, labels = size
    source = np.random.default_rng(seed)
    for _ in range(RANDOM):
        counts = _split(source, inputs, int(source.integers(1, min(3, inputs) + 1)))
        levels = []
        for _ in counts:
            several = int(source.integers(1, min(3, labels) + 1))
            used = int(source.integers(several, labels + 1))
            levels.append(_split(source, used, several))
        design = Design(counts, tuple(levels), labels)
        yield objective.at(design, source.normal(0.0, 1.5, design.free))


def _split(source: np.random.Generator, total: int, parts: int) -> tuple[int, ...]:
    """Return at most so many whole numbers, at least 1, that sum to `total`."""
    cuts = np.unique(source.integers(1, total, parts - 1)) if total > 1 else np.zeros(0, int)
    return tuple(int(part) for part in np.diff([0, *cuts.tolist(), total]))


def _numbers(labels: int) -> list[int]:
    """Return how many labels a level may have at first: few, some, half, all."""
    grid = np.unique(np.rint(np.geomspace(1, labels, 7)).astype(int))
    return sorted({*grid.tolist(), min(2, labels), max(1, labels // 2), max(1, labels - 1)})


def _distinct(places: Iterator[Place] | list[Place], most: int) -> list[Place]:
    """Return the best places of different designs."""
    best: dict[Design, Place] = {}
    for place in places:
        if place.design not in best or place.value > best[place.design].value:
            best[place.design] = place
    ranked = sorted(best.values(), key=_value, reverse=True)
    return [place for place in ranked if place.value > -np.inf][:most]


def _without_doubles(kinds: list[Shape]) -> list[Shape]:
    found: dict[tuple[object, ...], Shape] = {}
    for shape in kinds:
        found.setdefault((shape[0], *shape[1].tolist()), shape)
    return list(found.values())


def _value(place: Place) -> float:
    return place.value
