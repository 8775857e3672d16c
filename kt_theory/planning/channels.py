"""Levels whose answers are distorted: what of `limits.channels` falls below a total variation, bound by bound.

Every bound there is a minimum (from above) or a maximum (from below) of a few, so the first n at which it is small
enough is the least, or the largest, of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from kt_theory.limits.channels.pairs import pairs_lower, quantised_floor, quantised_pairs, rounded_floor, rounded_pairs
from kt_theory.limits.greedy.top_k import floor as tail_floor
from kt_theory.limits.channels.noise import noisy_lower, noisy_upper, shown_noise_upper
from kt_theory.limits.channels.scale import good_turing_upper, missing_mass_upper, sampled_logits_lower
from kt_theory.limits.soft import unvisited_mass
from kt_theory.planning.bounds import plain_too_few, plain_upper, surely_enough, theorem_lower
from kt_theory.planning.hard import hard_enough
from kt_theory.planning.levels import Level
from kt_theory.planning.search import STEP, Enough, first_below

DIGITS = 9
"""Binary digits of the n at which upper bounds are searched: steps below 1/200, as each look costs up to 0.2 s."""


class Part(NamedTuple):
    """An upper bound (n, tv) -> value that falls in n, sharp where it is near tv; and what it says."""

    value: Callable[[int, float], float]
    start: float
    power: float | None
    words: str
    floor: float = 0.0


def kind(level: Level) -> str:
    """Return what stands between student and teacher: noisy, rounded, quantised, temperature or unnormalised."""
    given = level.given
    assert given is not None
    return "noisy" if given.noise > 0.0 or given.distortion is None else given.distortion.kind


def upper_floor(level: Level) -> float:
    """Return a bound on what a visited row loses to the level's student, whatever was sampled; 1 where none is proved.

    Whole rows: that of the channel. Greedy top-k: the tail's, and 1 - e^(-step/2), or half a unit for each label shown.
    """
    name, amount = kind(level), _amount(level)
    if level.shows_whole_rows:
        if name == "rounded":
            return rounded_floor(amount, level.labels)
        return quantised_floor(int(amount), level.labels) if name == "quantised" else 1.0
    if level.greedy and name in ("rounded", "quantised"):
        return tail_floor(level.labels, level.k) + _extra(level)
    return 1.0


def lower_floor(level: Level) -> float:
    """Return what no number of queries removes: 0 where labels are sampled, as these alone tell all in the end."""
    if not level.greedy:
        return 0.0
    plain = tail_floor(level.labels, level.k)
    return max([plain, *(rule(0) for rule, _, fixed in _lowers(level) if fixed)])


def channel_enough(level: Level, tv: float, *, hard_too: bool = True) -> Enough:
    """Return the least n with a proved upper bound of the minimax risk in mean of at most tv.

    `hard_too`: by the student of hard labels as well, where labels are sampled.
    """
    best = Enough(None, "no student is proved to be better than Uniform", ())
    for part in _parts(level):
        if part.floor >= tv:
            best = best if best.n is not None else replace(best, certificate=part.words)
            continue
        if best.n is not None and part.value(math.ceil(0.995 * best.n) - 1, tv) > tv:
            continue
        value = lambda n, part=part: part.value(n, tv)  # noqa: E731
        found = first_below(value, tv, start=part.start / tv, digits=DIGITS, power=part.power)
        if found.n is not None:
            best = Enough.of(found, part.words + "; n within 1/200 of it")
        elif best.n is None:
            best = replace(best, tried=found.tried, certificate=part.words)
    if level.greedy or not hard_too:
        return best
    S, A = level.inputs, level.labels
    least = theorem_lower("3.1", S, A, tv, surely_enough(replace(level.plain, access="hard"), tv) / 8, 2.0)
    if best.n is not None and best.n <= least:
        return best
    hard = hard_enough(S, A, tv)
    if hard.n is not None and (best.n is None or hard.n < best.n):
        return replace(hard, certificate=f"that of hard labels, which are sampled too: {hard.certificate}")
    return best


def channel_too_few(level: Level, tv: float) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv."""
    best = plain_too_few(level.plain, tv, None, quick=True)
    for rule, power, fixed in _lowers(level):
        if not fixed and best < 2**53:
            found = first_below(rule, tv, start=max(best, level.inputs / tv), digits=STEP, power=power)
            best = max(best, found.last_above + 1)
    return best


def _parts(level: Level) -> Iterator[Part]:
    """Yield the upper bounds of `limits.channels`, but for that of hard labels, cheap ones first."""
    S, A, name = level.inputs, level.labels, kind(level)
    sampled, pairs = not level.greedy, S * A
    if level.shows_whole_rows:
        if name == "noisy":
            words = "normalised weights, noise averaged over the visits, every teacher"
            yield Part(lambda n, tv: noisy_upper(S, A, n, _sigma(level)), _sigma(level) ** 2 * S + S, 2.0, words)
        else:
            floor = upper_floor(level)
            rest = max(1.0 - 1.0 / A - floor, 0.0)
            words = f"floor {floor:.6g} of the channel, F + (1-1/A-F) Phi(S, n), every teacher"
            yield Part(lambda n, tv: floor + rest * unvisited_mass(S, n).value, S, None, words, floor)
        return
    plain = f"the student of {level.plain.access} on what is shown, every teacher"
    if name in ("temperature", "unnormalised"):
        if sampled:
            yield Part(lambda n, tv: missing_mass_upper(S, A, n), pairs, 1.0, "the missing-mass student, every teacher")
            one = replace(level.plain, access="partial", k=0)
            words = "sampled labels' shares, with Good and Turing's estimate of the missing mass, every teacher"
            yield Part(lambda n, tv: good_turing_upper(S, A, n, plain_upper(one, 0.0, n)), pairs, 1.0, words)
        return
    if name == "rounded" and sampled:
        floor = rounded_floor(_amount(level), A)
        words = f"the missing-mass student, and floor {floor:.6g} of the channel, every teacher"
        yield Part(lambda n, tv: floor + missing_mass_upper(S, A, n), pairs, None, words, floor)
    if name == "noisy":
        points = S if level.greedy else pairs

        def noisy(n: int, tv: float) -> float:
            extra = shown_noise_upper(points, n, _sigma(level)) if n else 1.0
            return min(1.0, extra + (plain_upper(level.plain, tv - extra, n) if extra < tv else 0.0))

        yield Part(noisy, pairs, None if level.greedy else 2.0, plain)
        return
    extra = _extra(level)
    tail = tail_floor(A, level.k) if level.greedy else 0.0
    yield Part(lambda n, tv: extra + plain_upper(level.plain, tv - extra, n), pairs, None, plain, extra + tail)


def _extra(level: Level) -> float:
    """Return what the channel costs where labels are shown one by one: 1 - e^(-step/2), or half a unit per label."""
    if kind(level) == "rounded":
        return -math.expm1(-0.5 * _amount(level))
    shown = level.k if level.greedy else level.labels
    return float(shown * 2.0 ** -(_amount(level) + 1.0))


def _lowers(level: Level) -> Iterator[tuple[Callable[[int], float], float, bool]]:
    """Yield lower bounds with the power of their fall, and whether they stay the same for every n."""
    S, A, name = level.inputs, level.labels, kind(level)
    if name in ("rounded", "quantised"):
        kinds = rounded_pairs(_amount(level), A) if name == "rounded" else quantised_pairs(int(_amount(level)), A)
        # Without sampled labels nothing tells rows of one code apart, whatever n.
        yield (lambda n: pairs_lower(S, 0 if level.greedy else n, kinds)), 2.0, level.greedy
    if name == "noisy":
        yield (lambda n: noisy_lower(S, A, n, _sigma(level))), 2.0, False
    if name == "unnormalised" and level.access == "partial":
        yield (lambda n: sampled_logits_lower(S, A, n)), 1.0, False


def _amount(level: Level) -> float:
    return level.given.distortion.amount if level.given is not None and level.given.distortion is not None else 0.0


def _sigma(level: Level) -> float:
    return level.given.noise if level.given is not None else 0.0
