"""Least values of functions of one and of two variables, where loading an optimiser would cost more
than the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

GOLDEN = 0.5 * (3.0 - math.sqrt(5.0))
ROOT_ROUNDING = math.sqrt(2.2e-16)
MOST_STEPS, MOST_BRACKETS = 500, 16


def minimum(
    function: Callable[[float], float], low: float, high: float, tolerance: float
) -> tuple[float, float]:
    """Return (value, place) of the least value of a unimodal `function` between `low` and `high`.

    Parabolas through the last three places, golden sections where those leave the bracket or shrink
    too slowly.

    Parameters
    ----------
    function : callable
    low, high : float
        The ends are approached, never evaluated.
    tolerance : float
        Absolute error of the place; 1.5e-8 of it, relative, comes on top.

    References
    ----------
    Brent (1973), Algorithms for Minimization without Derivatives, chapter 5, with the steps of
    fminbound.
    """
    a, b = float(low), float(high)
    best = second = third = a + GOLDEN * (b - a)
    at_best = at_second = at_third = float(function(best))
    step = last = 0.0
    for _ in range(MOST_STEPS):
        middle = 0.5 * (a + b)
        least = ROOT_ROUNDING * abs(best) + tolerance / 3.0
        if abs(best - middle) <= 2.0 * least - 0.5 * (b - a):
            break
        step, last = _next_step(
            (a, b), (best, second, third), (at_best, at_second, at_third), (step, last), least
        )
        x = best + math.copysign(max(abs(step), least), step if step else 1.0)
        at_x = float(function(x))
        if at_x <= at_best:
            a, b = (best, b) if x >= best else (a, best)
            third, at_third, second, at_second, best, at_best = (
                second,
                at_second,
                best,
                at_best,
                x,
                at_x,
            )
            continue
        a, b = (x, b) if x < best else (a, x)
        if at_x <= at_second or second == best:
            third, at_third, second, at_second = second, at_second, x, at_x
        elif at_x <= at_third or third in (best, second):
            third, at_third = x, at_x
    return at_best, best


def _next_step(
    bracket: tuple[float, float],
    places: tuple[float, float, float],
    values: tuple[float, float, float],
    steps: tuple[float, float],
    least: float,
) -> tuple[float, float]:
    """Return the next step from the best place, and the one that the step after it has to halve."""
    (a, b), (best, second, third), (at_best, at_second, at_third) = bracket, places, values
    middle, (step, last) = 0.5 * (a + b), steps
    if abs(last) > least:
        r = (best - second) * (at_best - at_third)
        q = (best - third) * (at_best - at_second)
        p = (best - third) * q - (best - second) * r
        q = 2.0 * (q - r)
        p, q = (-p, q) if q > 0.0 else (p, -q)
        if abs(p) < abs(0.5 * q * last) and q * (a - best) < p < q * (b - best):
            x = best + p / q
            if x - a < 2.0 * least or b - x < 2.0 * least:
                return math.copysign(least, middle - best), step
            return p / q, step
    reach = a - best if best >= middle else b - best
    return GOLDEN * reach, reach


def convex_minimum(
    function: Callable[[float], tuple[float, float]], low: float, high: float, gap: float
) -> tuple[float, float]:
    """Return (value, place) of the least value of a convex function on [low, high], from values and
    slopes.

    The tangents at both ends of a bracket meet below the minimum: the search ends when that is
    within `gap`, relative, of the best value. The next place is in turn where they meet and where
    the slope would be 0 if it were linear.
    """
    a, b = low, high
    (at_a, down), (at_b, up) = function(a), function(b)
    if down >= 0.0 or up <= 0.0:
        return min((at_a, a), (at_b, b))
    best = min((at_a, a), (at_b, b))
    for i in range(MOST_STEPS):
        meet = (at_b - at_a + down * a - up * b) / (down - up)
        if best[0] - (at_a + down * (meet - a)) <= gap * abs(best[0]) or not a < meet < b:
            break
        x = meet if i % 2 else a + (b - a) * down / (down - up)
        if a > 0.0 and b > 16.0 * a:
            x = math.sqrt(a * b)
        value, slope = function(x)
        best = min(best, (value, x))
        if slope < 0.0:
            a, at_a, down = x, value, slope
        elif slope > 0.0:
            b, at_b, up = x, value, slope
        else:
            break
    return best


def highest(
    function: Callable[[np.ndarray], np.ndarray], low: float, high: float
) -> tuple[float, float]:
    """Return (value, place) of the largest maximum of a vectorised `function` on [low, high] that
    17 places can see.

    Its neighbours bracket it, and eight parts of the bracket, with the vertex of the parabola among
    them, give the next one, until a vertex has the height that its parabola said to 1e-13, or the
    bracket is 4^-16 of the range.
    """
    if high <= low:
        return float(function(np.array([low]))[0]), low
    places = np.unique(np.linspace(low, high, 17))
    values = function(places)
    promised = math.inf
    for _ in range(MOST_BRACKETS):
        i = int(values.argmax())
        top, left, right = (
            float(values[i]),
            places[max(i - 1, 0)],
            places[min(i + 1, len(places) - 1)],
        )
        if abs(promised - top) <= 1e-13 * abs(top):
            break
        vertex, promised = _vertex(places, values, i)
        places = np.concatenate(
            [np.linspace(left, places[i], 5), np.linspace(places[i], right, 5)[1:]]
        )
        # Two places that rounding alone tells apart would give a parabola of noise.
        if np.abs(places - vertex).min() > 1e-4 * (right - left):
            places = np.sort(np.append(places, vertex))
        places = np.unique(places)
        values = function(places)
    i = int(values.argmax())
    return float(values[i]), float(places[i])


def _vertex(x: np.ndarray, y: np.ndarray, i: int) -> tuple[float, float]:
    """Return (place, height) of the vertex of the parabola through three neighbours; the middle one
    at an end.
    """
    if i == 0 or i == len(x) - 1:
        return float(x[i]), math.inf
    a, b = x[i - 1] - x[i], x[i + 1] - x[i]
    down, up = (y[i - 1] - y[i]) / a, (y[i + 1] - y[i]) / b
    bend = (up - down) / (b - a)
    if not bend < 0.0:
        return float(x[i]), math.inf
    slope = down - bend * a
    step = min(max(-0.5 * slope / bend, a), b)
    return float(x[i] + step), float(y[i] + (slope + bend * step) * step)


def simplex_minimum(
    function: Callable[[Any], float],
    corners: Sequence[Sequence[float]],
    tolerance: float,
    most: int,
) -> list[float]:
    """Return the place of a local minimum of a `function` of two variables, by the Nelder-Mead
    simplex.

    Parameters
    ----------
    function : callable
        Takes two numbers in a list.
    corners : three starting places
    tolerance : float
        The search ends when the corners are so close to the best one in each variable.
    most : int
        Evaluations after which no further step is begun.
    """
    simplex = sorted(
        ((float(function(list(place))), list(place)) for place in corners),
        key=lambda corner: corner[0],
    )
    used = 3
    while used < most:
        (least, best), (middle, _), (worst, far) = simplex
        if (
            max(abs(x - y) for _, place in simplex[1:] for x, y in zip(place, best, strict=True))
            <= tolerance
        ):
            break
        centre = [0.5 * (x + y) for x, y in zip(best, simplex[1][1], strict=True)]

        def tried(
            factor: float, centre: list[float] = centre, far: list[float] = far
        ) -> tuple[float, list[float]]:
            place = [(1.0 + factor) * c - factor * f for c, f in zip(centre, far, strict=True)]
            return float(function(place)), place

        new = tried(1.0)
        used += 1
        if new[0] < least:
            new = min(tried(2.0), new, key=lambda corner: corner[0])
            used += 1
        elif new[0] >= middle:
            inner = tried(0.5 if new[0] < worst else -0.5)
            used += 1
            if inner[0] <= min(new[0], worst):
                new = inner
            else:
                halved = [
                    [b + 0.5 * (p - b) for p, b in zip(place, best, strict=True)]
                    for _, place in simplex[1:]
                ]
                simplex[1:] = [(float(function(place)), place) for place in halved]
                used += 2
                new = simplex.pop()
        simplex = sorted([*simplex[:2], new], key=lambda corner: corner[0])
    return simplex[0][1]


def maximum(
    function: Callable[[float], float], low: float, high: float, *, grid: int = 17
) -> tuple[float, float]:
    """Return (value, place) of the largest maximum of `function` on [low, high] that a grid can
    see.

    The best grid point and its neighbours bracket a maximum, which parabolic interpolation within
    golden sections (Brent) closes to 1e-9 of the range; the value there is then accurate to
    rounding.
    """
    if high <= low:
        return function(low), low
    places = np.linspace(low, high, grid)
    values = [function(float(x)) for x in places]
    i = int(np.argmax(values))
    left, right = places[max(i - 1, 0)], places[min(i + 1, grid - 1)]
    least, place = minimum(lambda x: -function(x), left, right, 1e-9 * (high - low))
    return max((float(values[i]), float(places[i])), (-least, place))


def best_whole(function: Callable[[int], float], low: int, high: int) -> int:
    """Return the whole number in [low, high] with the largest value of a unimodal `function`.

    Thirds shrink the range to 12 candidates, which are all tried; steps from the best go on until
    both neighbours are lower, so that a wrong third is repaired within its hill.
    """
    a, b = low, high
    while b - a > 12:
        third = (b - a) // 3
        left, right = a + third, b - third
        if function(left) < function(right):
            a = left
        else:
            b = right
    best = max(range(a, b + 1), key=function)
    while True:
        higher = [
            i for i in (best - 1, best + 1) if low <= i <= high and function(i) > function(best)
        ]
        if not higher:
            return best
        best = max(higher, key=function)
