"""The proved bounds behind the planner: when n queries suffice in mean, when they cannot, without a channel."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from kt_theory.limits import paper as bounds, minimax
from kt_theory.limits.greedy.argmax import argmax_bounds
from kt_theory.limits.greedy.top_k import floor as tail_floor
from kt_theory.limits.greedy.top_k import top_k_only_limit
from kt_theory.limits.sharing.explicit import flat_rows_lower
from kt_theory.limits.soft import unvisited_mass
from kt_theory.planning.hard import hard_enough, hard_lower, non_target_enough
from kt_theory.planning.levels import Level
from kt_theory.planning.search import FINE, STEP, Enough, first_below, proved_below
from kt_theory.validation import LARGEST_COUNT

TINY = 1e-30
"""The smallest total variation that first guesses are made for: far below what 2^53 queries give."""

FEW = 200
"""Labels up to which the full search for the worst rows is cheap."""

MANY = 1000
"""Inputs up to which it is cheap at every n."""


def surely_enough(level: Level, tv: float) -> int:
    """Return an n from the closed forms in mean at which the level's student succeeds on every teacher."""
    S, A = float(level.rows), float(level.labels)
    if level.access in ("hard", "non_target"):
        factor = math.sqrt(A) / 2 if S == 1 else math.sqrt(S * A) / 2 + math.sqrt(S)
        need = (factor / max(tv, TINY)) ** 2
    else:
        need = (S * A if level.access in ("partial", "top_k") else S) / tv
    return int(min(math.ceil(need) + 1, LARGEST_COUNT))


def plain_enough(level: Level, tv: float) -> Enough:
    """Return the least n with a proved upper bound of the minimax risk in mean of at most tv."""
    S, A = level.inputs, level.labels
    if level.whole_rows or level.access == "gradient":
        size = level.alpha[1] if level.access == "gradient" else level.rows
        spread, exact = 1.0 - 1.0 / A, level.access != "gradient" or level.alpha[0] == level.alpha[1]
        found = first_below(
            lambda n: spread * unvisited_mass(size, n).value, tv, start=surely_enough(level, tv), digits=FINE, power=1.0
        )
        what = "alpha" if level.access == "gradient" else "S"
        words = f"(1-1/A) max_rho sum_s rho_s (1-rho_s)^n <= tv, {what} = {size} inputs"
        if level.access == "jacobian":
            words = "one query reveals every row"
        return Enough.of(found, words + ("; exact" if exact else "; alpha is known within bounds"), exact=exact)
    if level.access in ("hard", "non_target"):
        return hard_enough(S, A, tv) if level.access == "hard" else non_target_enough(S, A, tv)
    if level.access == "argmax":
        found = first_below(lambda n: argmax_bounds(S, A, n)[1], tv, start=S / tv, digits=FINE, power=None)
        return Enough.of(found, "floor V + (1-1/A-V) max_rho sum_s rho_s (1-rho_s)^n, argmax_hedged, every teacher")
    found = first_below(lambda n: plain_upper(level, tv, n), tv, start=_guess(level, tv), digits=STEP,
                        power=None if level.greedy else 1.0)  # fmt: skip
    words = "certified upper bound of the minimax risk for all teachers (concave majorisation); n within 1/1000 of it"
    if level.greedy:
        words = "floor F of the hidden tails, and what unvisited rows add to it, every teacher; n within 1/1000 of it"
    return Enough.of(found, words)


def plain_too_few(level: Level, tv: float, n: int | None, *, quick: bool = False) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv.

    `quick` leaves out the searches for worst rows that cost up to a second.
    """
    S, A, k = level.inputs, level.labels, level.k
    if tv >= 1.0 - 1.0 / A:
        return 0
    size, spread = (level.alpha[0] if level.access == "gradient" else level.rows), 1.0 - 1.0 / A
    soft = first_below(lambda n: spread * unvisited_mass(size, n).value, tv, start=size / tv, digits=FINE, power=1.0)
    best = soft.last_above + 1
    if level.whole_rows or level.access == "gradient":
        return best
    if level.access == "non_target":
        return max(best, hard_lower(S, 2, tv, min(S / (2 * math.pi * max(tv, TINY) ** 2), n or LARGEST_COUNT)))
    if level.access == "argmax":
        found = first_below(lambda n: argmax_bounds(S, A, n)[0], tv, start=S / tv, digits=FINE, power=None)
        return max(best, found.last_above + 1)
    if level.greedy:
        found = first_below(lambda n: _greedy_lower(S, A, n, k), tv, start=S / tv, digits=STEP, power=None)
        return max(best, found.last_above + 1)
    if level.access == "hard":
        if n is None or n <= minimax.CROSSING * S * A:
            # A student of hard labels is one of partial labels that ignores the probabilities.
            best = max(best, plain_too_few(replace(level, access="partial", name="partial"), tv, n))
        start, power, theorem = S * (A - 1) / (2 * math.pi * max(tv, TINY) ** 2), 2.0, "3.1"
    else:
        start, power, theorem = 0.15 * S * A / tv, 1.0, "4.1" if level.access == "partial" else ""
        found = first_below(lambda n: _rows_lower(S, A, n, k), tv, start=start, digits=STEP, power=power)
        best = max(best, found.last_above + 1)
    if theorem:
        best = max(best, theorem_lower(theorem, S, A, tv, surely_enough(level, tv) / 8, power))
    start = min(start, n or start)
    if quick:
        return best
    if level.access == "hard":
        return max(best, hard_lower(S, A, tv, start))
    if A > FEW or S > minimax.LARGEST_INPUTS:
        return best
    sharp = lambda n: _partial_lower(S, A, n, k)  # noqa: E731
    if start <= FEW or (A <= 20 and S <= MANY):
        return max(best, first_below(sharp, tv, start=best, digits=STEP - 2, power=power).last_above + 1)
    return max(best, proved_below(sharp, tv, best, power, looks=3))


def theorem_lower(theorem: str, inputs: int, labels: int, tv: float, start: float, power: float) -> int:
    """Return the number of queries below which a theorem of the paper excludes tv, as far as it is found."""
    rule = lambda n: float(np.nan_to_num(bounds.curve(theorem, inputs, labels, n)[0]))  # noqa: E731
    return proved_below(rule, tv, start, power, looks=8)


def plain_upper(level: Level, tv: float, n: int) -> float:
    """Return a certified upper bound of partial labels or top-k: the dear ones only where the others exceed tv."""
    S, A, k = level.inputs, level.labels, level.k
    if level.whole_rows:
        return (1.0 - 1.0 / A) * unvisited_mass(S, n).value
    value = min(1.0 - 1.0 / A, 1.0 if level.greedy else S * A / (n + 1.0), _tail_upper(S, A, n, k) if k else 1.0)
    if level.greedy:
        return _greedy_upper(S, A, n, k) if value > tv > tail_floor(A, k) and S <= minimax.LARGEST_INPUTS else value
    for known in (k, 0) if k else (0,):
        if value > tv:
            value = min(value, _partial_upper_at(S, A, n, known))
    return value


def _guess(level: Level, tv: float) -> float:
    """Return about the n at which the upper bound crosses tv: there the closed lower bound nearly does."""
    S, A, k = level.inputs, level.labels, level.k
    if level.greedy:
        return S / tv
    found = first_below(lambda n: _rows_lower(S, A, n, k), tv, start=0.15 * S * A / tv, digits=7, power=1.0)
    if k and tail_floor(A, k) < tv:
        cheap = first_below(lambda n: _tail_upper(S, A, n, k), tv, start=S / tv, digits=STEP, power=None)
        return float(min(2 * (found.n or LARGEST_COUNT), cheap.n or LARGEST_COUNT))
    return float(found.n or LARGEST_COUNT)


def _tail_upper(inputs: int, labels: int, n: int, k: int) -> float:
    """Return F + (1-1/A-F) Phi(S, n), which bounds greedy top-k, and top-k, at any size; see `limits.greedy`."""
    floor = tail_floor(labels, k)
    return floor + (1.0 - 1.0 / labels - floor) * unvisited_mass(inputs, n).value


@cache
def _greedy_upper(inputs: int, labels: int, n: int, k: int) -> float:
    return top_k_only_limit(inputs, labels, n, k).upper


@cache
def _greedy_lower(inputs: int, labels: int, n: int, k: int) -> float:
    """Return the limit from below; on fewer inputs than there are, where there are too many: they are no harder."""
    return top_k_only_limit(min(inputs, minimax.LARGEST_INPUTS), labels, n, k).lower


@cache
def _rows_lower(inputs: int, labels: int, n: int, k: int) -> float:
    return flat_rows_lower(inputs, labels, n, k)[0] if n else 1.0 - 1.0 / labels


@cache
def _partial_upper_at(inputs: int, labels: int, n: int, k: int) -> float:
    from kt_theory.limits.sharing.majorant import hidden_bound, many_rows_bound, one_row_bound
    from kt_theory.limits.sharing.three_labels import three_labels_bound

    if n == 0:
        return 1.0 - 1.0 / labels
    if labels == 3 and not k:
        return 0.5 * unvisited_mass(2, n).value if inputs == 1 else three_labels_bound(inputs, n)
    if inputs > 1:
        return many_rows_bound(inputs, labels, n, k)
    partial, hidden = one_row_bound(labels, n), labels - k
    return min(partial, hidden_bound(hidden, n, 1 / (k + 1), hidden / labels)) if k else partial


@cache
def _partial_lower(inputs: int, labels: int, n: int, k: int) -> float:
    from kt_theory.limits.sharing.few_levels import FewLevels
    from kt_theory.limits.sharing.worst_teacher import many_rows, one_row

    if n == 0:
        return 1.0 - 1.0 / labels
    family = FewLevels(labels, n, k)
    return (one_row(family) if inputs == 1 else many_rows(family, inputs)).value
