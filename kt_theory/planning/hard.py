"""Hard labels for the planner: few looks at bounds that cost up to a second, on tables that are used again."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from kt_theory.limits import paper as bounds
from kt_theory.limits.hard.interval import ROUNDING, hard_limit
from kt_theory.limits.hard.add_c import LARGEST_RATIO, envelope, mle_upper, row_upper
from kt_theory.limits.hard.inputs import inputs_lower, laws_upper, row_uppers, visit_steps
from kt_theory.limits.hard.priors import closed_bayes_risk, prior_lower
from kt_theory.limits.non_target import non_target_rows, one_label_loss
from kt_theory.planning.search import FINE, STEP, Crossing, Enough, first_below, proved_below
from kt_theory.validation import LARGEST_COUNT

FINEST, GAP = 4e-3, 5e-4
"""Spacing and gap of the row bounds behind several inputs: together they cost 0.2 % of the bound, 0.4 % of n."""

FAR = 0.1
"""A table of row bounds serves for n within this of the one that it was made for, relatively."""

FEW_LABELS, CURVED_RATIO = 9, 2000
"""Up to so many labels, and n/A, special students beat add-c by 1/1000 or more."""

CLOSED_RATIO = 10**4
"""n/A above which the closed-form Bayes risk serves: it is within 1 % of the sum there."""

LOOKS = 4
"""Most looks at a lower bound that costs up to a second."""


def hard_enough(inputs: int, labels: int, tv: float) -> Enough:
    """Return the least n found with a proved upper bound of the minimax risk of hard labels in mean of at most tv."""
    words = "certified upper bound of the minimax risk (shrinkage students)"
    closed = first_below(lambda n: _closed_mean(inputs, labels, n), tv, start=_closed_start(inputs, labels, tv),
                         digits=FINE, power=2.0)  # fmt: skip
    fallback = Enough.of(
        closed, "closed form: Theorem 3.2 in mean, or E TV of the joint frequencies plus that of the inputs'"
    )
    row = _row_guess(labels, tv)
    if inputs * row > 2 * LARGEST_COUNT:
        return fallback
    if inputs == 1:
        found = first_below(lambda n: _row_upper(labels, n), tv, start=row, digits=STEP, power=2.0)
        sharp = Enough.of(found, words + "; n within 1/1000 of it")
    else:
        rows = lambda visits: row_uppers(labels, visits, GAP)  # noqa: E731
        found = _on_tables(inputs, labels, tv, min(inputs * row, LARGEST_COUNT), rows)
        sharp = Enough.of(found, words + "; n within about 1/100 of it")
    return sharp if sharp.n is not None and (fallback.n is None or sharp.n <= fallback.n) else fallback


def non_target_enough(inputs: int, labels: int, tv: float) -> Enough:
    """Return the least n found with a proved upper bound of the minimax risk of non-target parts of at most tv."""
    if labels <= 2:
        return hard_enough(inputs, labels, tv)
    words = "certified upper bound of the minimax risk (rows of two labels as hard labels)"
    row = _row_guess(2, tv)
    if inputs * row > 2 * LARGEST_COUNT:
        return hard_enough(inputs, labels, tv)
    if inputs == 1:
        alone = lambda n: max(_row_upper(2, n), float(one_label_loss(labels, np.array([n]))[0]))  # noqa: E731
        found = first_below(alone, tv, start=row, digits=STEP, power=2.0)
        return Enough.of(found, words + "; n within 1/1000 of it")
    rows = lambda visits: non_target_rows(labels, visits, GAP)  # noqa: E731
    found = _on_tables(inputs, labels, tv, min(inputs * row, LARGEST_COUNT), rows)
    return Enough.of(found, words + "; n within about 1/100 of it")


def hard_lower(inputs: int, labels: int, tv: float, start: float) -> int:
    """Return a number of queries below which no student of hard labels has worst-case mean risk at most tv."""
    if start <= 100:
        return first_below(lambda n: _lower(inputs, labels, n), tv, start=start, digits=STEP - 2,
                           power=2.0).last_above + 1  # fmt: skip
    return proved_below(lambda n: _lower(inputs, labels, n), tv, start, 2.0, LOOKS)


def joint_bound(inputs: int, labels: int, n: int, delta: float) -> float:
    """Return what the loss of ce_sgl exceeds with probability at most delta, for every teacher.

    With hats for frequencies, rho_s TV(q_s, pi_s) <= 1/2 sum_a |hat rho_s q_s(a) - rho_s pi_s(a)|
    + 1/2 |hat rho_s - rho_s|, also on unvisited rows. So the loss is at most the TV of the joint frequencies of the SA
    pairs plus that of the S inputs. One record changes their sum by at most 2/n (1/n for S = 1): McDiarmid adds
    sqrt(2 ln(1/delta)/n) (half of it for S = 1) to its mean, which `mle_upper` bounds.
    """
    if n == 0:
        return 1.0
    rest = math.sqrt(2.0 * math.log(1.0 / delta) / n)
    mean = _frequencies(inputs * labels, n)
    return min(1.0, mean + 0.5 * rest if inputs == 1 else mean + _frequencies(inputs, n) + rest)


def _frequencies(atoms: int, n: int) -> float:
    """Return a bound on the expected total variation of the frequencies of n draws among so many atoms."""
    return min(0.5 * math.sqrt((atoms - 1) / n), mle_upper(atoms, n))


def _closed_mean(inputs: int, labels: int, n: int) -> float:
    """Return the better of Theorem 3.2 in mean and the mean part of `joint_bound`."""
    if n == 0:
        return 1.0
    joint = _frequencies(inputs * labels, n) + (_frequencies(inputs, n) if inputs > 1 else 0.0)
    return min(float(bounds.curve("3.2-mean", inputs, labels, n)[0]), joint)


def _closed_start(inputs: int, labels: int, tv: float) -> float:
    return min(inputs * labels / 4.0 / max(tv, 1e-30) ** 2 + 1.0, LARGEST_COUNT)


def _row_guess(labels: int, tv: float) -> float:
    """Return about the n at which one row's risk is tv, by add-c's worst case on a grid."""

    def risk(n: int) -> float:
        used = min(n, LARGEST_RATIO * labels)
        if used < n or n == 0:
            return mle_upper(labels, n) if n else 1.0
        return 0.5 * labels * envelope(labels, n, 0.4 * math.sqrt(n / labels))[0]

    start = (labels - 1) / (2.0 * math.pi * max(tv, 1e-30) ** 2)
    if start > LARGEST_COUNT:
        return start
    found = first_below(risk, tv, start=start, digits=7, power=2.0)
    return float(found.n if found.n is not None else start)


@cache
def _row_upper(labels: int, n: int) -> float:
    if n == 0:
        return 1.0 - 1.0 / labels
    special = labels <= FEW_LABELS and n <= CURVED_RATIO * labels
    return hard_limit(1, labels, n).upper if special else row_upper(labels, n) * (1.0 + ROUNDING)


def _on_tables(inputs: int, labels: int, tv: float, guess: float, rows: Callable[[np.ndarray], np.ndarray]) -> Crossing:
    """Return where the bound for several inputs crosses tv: its row bounds serve for every n near their own."""
    found = Crossing(None, -1, ())
    tables: list[tuple[int, np.ndarray, np.ndarray]] = []
    seen: dict[int, float] = {}

    def value(n: int) -> float:
        if n == 0:
            return 1.0 - 1.0 / labels
        near = next((table for table in tables if abs(n / table[0] - 1.0) <= FAR), tables[-1])
        if n not in seen:
            seen[n] = laws_upper(inputs, labels, n, *near[1:]) * (1.0 + ROUNDING)
        return seen[n]

    for _ in range(3):
        at = max(int(guess), 1)
        visits = visit_steps(inputs, at, FINEST)
        tables.append((at, visits, rows(visits)))
        seen.clear()
        found = first_below(value, tv, start=at, digits=STEP, power=2.0)
        if found.n is None or abs(found.n / at - 1.0) <= FAR:
            break
        guess = found.n
    return found


@cache
def _lower(inputs: int, labels: int, n: int) -> float:
    if labels == 1:
        return 0.0
    if n == 0:
        return 1.0 - 1.0 / labels
    if inputs > 1:
        return inputs_lower(inputs, labels, n) * (1.0 - ROUNDING)
    if labels == 2 and n <= 20:
        return hard_limit(1, 2, n).lower
    if n > CLOSED_RATIO * labels:
        alpha = 1.0 + math.sqrt(n / labels) * np.geomspace(0.05, 4.0, 200)
        return max(0.0, float(closed_bayes_risk(labels, n, alpha).max())) * (1.0 - ROUNDING)
    return prior_lower(labels, n) * (1.0 - ROUNDING)
