"""Where a bound that falls in n is first small enough: the search, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kt_theory.validation import LARGEST_COUNT

FINE = 60
"""Binary digits that keep every whole number up to 2^53."""

STEP = 11
"""Binary digits of the n at which a bound is searched that is not exact: steps below 1/1000."""


@dataclass(frozen=True)
class Crossing:
    """`n` is the first number on the lattice with value <= tv (None: beyond 2^53), `last_above` the
    one before it.

    `tried` are the (n, value) evaluated; `last_above` is -1 where n is 0.
    """

    n: int | None
    last_above: int
    tried: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Enough:
    """n suffices (None: beyond 2^53, or as `reason` says); `first` fewer are proved not to, where
    `exact`.

    `interval` holds the number of the teacher in hand with 90 % probability, where records let that
    be estimated.
    """

    n: int | None
    certificate: str
    tried: tuple[tuple[int, float], ...]
    exact: bool = False
    first: int = 0
    interval: tuple[int, int] | None = None
    reason: str = ""

    @classmethod
    def of(cls, found: Crossing, certificate: str, *, exact: bool = False) -> Enough:
        """Return a crossing with the words for it."""
        return cls(found.n, certificate, found.tried, exact, found.last_above + 1)


def first_below(
    value: Callable[[int], float], tv: float, *, start: float, digits: int, power: float | None
) -> Crossing:
    """Return where `value` crosses tv, among the n with at most `digits` binary digits before
    zeros.

    Parameters
    ----------
    value : callable
        Falls in n, at least beyond the crossing.
    tv : float
    start : float
        Where to look first.
    digits : int
    power : float or None
        About value ~ n^(-1/power) guides the steps; None: halve from `start`, so that of several
        crossings of a bound that rises first the last is found; then secants, or bisection where
        every n counts.
    """
    low, high, seen = -1, index(LARGEST_COUNT, digits) + 1, {}
    at = min(max(index(int(min(start, LARGEST_COUNT)), digits), 0), high - 1)
    while high - low > 1:
        found = value(number(at, digits))
        seen[number(at, digits)] = found
        low, high = (low, at) if found <= tv else (at, high)
        ends = number(low, digits) if low >= 0 else -1, number(high, digits)
        if ends[0] in seen and ends[1] in seen:
            bisect = (power is None and digits == FINE) or len(seen) % 4 == 3
            guess = None if bisect else _secant(*ends, seen, tv)
            step = (low + high) // 2 if guess is None else index(guess, digits)
        else:
            step = _outward(number(at, digits), found, tv, digits, power)
        at = min(max(step, low + 1), high - 1)
    n = number(high, digits)
    tried = tuple(sorted(seen.items()))
    return Crossing(
        n if n <= LARGEST_COUNT else None, number(low, digits) if low >= 0 else -1, tried
    )


def _secant(left: int, right: int, seen: dict[int, float], tv: float) -> int | None:
    """Return about where a power law through two places has the value tv, None if none fits."""
    if left == 0 or not 0 < seen[right] < seen[left]:
        return None
    slope = math.log(seen[right] / seen[left]) / math.log(right / left)
    growth = math.exp(min(math.log(tv / seen[left]) / slope, 50.0))
    return math.ceil(min(left * growth, LARGEST_COUNT))


def _outward(here: int, found: float, tv: float, digits: int, power: float | None) -> int:
    """Return the next place beyond `here`, where the value is `found`: half, double, or by a power
    law.
    """
    enough = found <= tv
    if power is None or found <= 0.0:
        return index(here // 2 if enough else min(2 * here + 1, LARGEST_COUNT), digits)
    factor = min(max(min(found / tv, 1e3) ** power, 1e-3), 1e3)
    step = index(min(math.ceil(here * factor) + 1, LARGEST_COUNT), digits)
    return step - 1 if enough else step + 1


def proved_below(
    lower: Callable[[int], float], tv: float, start: float, power: float, looks: int
) -> int:
    """Return 1 + the largest n tried with lower(n) > tv, 0 if there is none: secant steps in
    logarithms.
    """
    at, tried = int(min(max(start, 1.0), LARGEST_COUNT)), {}
    for _ in range(looks):
        tried[at] = lower(at)
        excess = tried[at] / tv
        if 1.0 < excess < 1.003 or excess == 0.0:
            break
        if len(tried) > 1:
            (n, v), (m, w) = list(tried.items())[-2:]
            power = min(max(math.log(n / m) / math.log(w / v) if w != v else power, 0.3), 20.0)
        at = int(min(max(at * min(excess * 0.9985, 1e3) ** power, 1.0), LARGEST_COUNT))
        if at in tried:
            break
    return max((n + 1 for n, value in tried.items() if value > tv), default=0)


def number(index: int, digits: int) -> int:
    """Return the number at a place of the lattice 0, 1, ..., 2^d - 1, then 2^d (steps of 2), ...; d
    = `digits`.
    """
    half = 1 << (digits - 1)
    if index < 2 * half:
        return index
    shift, rest = divmod(index - half, half)
    return (half + rest) << shift


def index(n: int, digits: int) -> int:
    """Return the place of the smallest number of the lattice that is at least n."""
    shift = max(n.bit_length() - digits, 0)
    half = 1 << (digits - 1)
    scaled = -((-n) >> shift)
    return scaled if not shift else half * shift + scaled
