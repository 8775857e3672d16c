"""The bracket of hard labels: few looks at bounds that cost up to a second, on tables that are used
again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np

from kt_theory.limits import paper
from kt_theory.limits.bracket import (
    TINY,
    Bracket,
    Curve,
    Lower,
    Tail,
    TailCurve,
    Upper,
    count,
    coverage_lower,
    theorem,
    theorem_excludes,
)
from kt_theory.limits.crossing import FINE, STEP, Crossing, Enough, first_below, proved_below
from kt_theory.limits.hard.add_c import LARGEST_RATIO, envelope, mle_upper, row_upper
from kt_theory.limits.hard.inputs import inputs_lower, laws_upper, row_uppers, visit_steps
from kt_theory.limits.hard.interval import ROUNDING, hard_limit
from kt_theory.limits.hard.priors import closed_bayes_risk, prior_lower
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.sharing.curves import sharing_lowers
from kt_theory.limits.sharing.interval import partial_limit
from kt_theory.validation import LARGEST_COUNT

FINEST, GAP = 4e-3, 5e-4
"""Spacing and gap of the row bounds behind several inputs: together they cost 0.2 % of the bound,
0.4 % of n.
"""

FAR = 0.1
"""A table of row bounds serves for n within this of the one that it was made for, relatively."""

FEW_LABELS, CURVED_RATIO = 9, 2000
"""Up to so many labels, and n/A, special students beat add-c by 1/1000 or more."""

CLOSED_RATIO = 10**4
"""n/A above which the closed-form Bayes risk serves: it is within 1 % of the sum there."""

LOOKS = 4
"""Most looks at a lower bound that costs up to a second."""

CROSSING = 0.4
"""n/(SA) above which the lower bound of hard labels is not compared with that of partial labels:
they cross at 0.2 to 0.3 (measured for all A), and far above partial labels fall as SA/n and
hard ones as its root.
"""


class Hard(Bracket):
    """Hard labels: a certified interval."""

    labels_alone: ClassVar[bool] = True

    @property
    def holds_labels(self) -> bool:
        """Return True."""
        return True

    def limit(self, n: int) -> Limit:
        """Return the interval; its lower bound is that of partial labels where that is larger."""
        return replace(hard_above_partial(self.inputs, self.labels, n), access=self.access)

    def surely(self, tv: float) -> int:
        """Return where Theorem 3.2 in mean is at most tv."""
        return hard_surely(self.inputs, self.labels, tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the closed forms and the certified bound, whichever falls first."""
        return (Shrinkage(self.inputs, self.labels),)

    def lowers(self) -> Iterator[Lower]:
        """Return those of soft labels, partial labels, Theorem 3.1 and Dirichlet priors.

        A student of hard labels is one of partial labels that ignores the probabilities.
        """
        S, A = self.inputs, self.labels
        yield coverage_lower(S, A)
        for lower in sharing_lowers(S, A):
            yield Lower(_below_crossing(lower, S * A))
        yield theorem("3.1", S, A, lambda tv: self.surely(tv) / 8, 2.0)
        yield prior_curve(S, A, lambda tv: S * (A - 1) / (2 * math.pi * max(tv, TINY) ** 2))

    def tails(self) -> tuple[Tail, ...]:
        """Return bounded differences about the mean of the joint frequencies."""
        return (joint_tail(self.inputs, self.labels),)

    def terms(self) -> Terms:
        """Return kappa = S and noise sqrt(S(A-1))/2."""
        noise = 0.5 * math.sqrt(self.inputs * (self.labels - 1))
        return self.three(0.0, self.inputs, noise)


@lru_cache(maxsize=256)
def hard_above_partial(inputs: int, labels: int, n: int) -> Limit:
    """Return the limit of hard labels, its lower bound raised to that of partial labels where that
    is larger.
    """
    found = hard_limit(inputs, labels, n)
    if found.exact or n > CROSSING * inputs * labels:
        return found
    return raised(found, partial_limit(inputs, labels, n))


def raised(hard: Limit, partial: Limit) -> Limit:
    """Return `hard` with the lower bound of partial labels, where that is larger."""
    if partial.lower <= hard.lower:
        return hard
    reference = "worst teacher of partial labels below, add-c students above; not known to meet"
    return replace(
        hard, lower=partial.lower, teacher=partial.teacher, reference=reference, prior=""
    )


def hard_surely(inputs: int, labels: int, tv: float) -> int:
    """Return where Theorem 3.2 in mean is at most tv."""
    S, A = float(inputs), float(labels)
    factor = math.sqrt(A) / 2 if inputs == 1 else math.sqrt(S * A) / 2 + math.sqrt(S)
    return count((factor / max(tv, TINY)) ** 2)


def _below_crossing(lower: Lower, pairs: int) -> Callable[[float, int, int | None], int]:
    def too_few(tv: float, best: int, n: int | None) -> int:
        if n is not None and n > CROSSING * pairs:
            return 0
        return lower.too_few(tv, best, n)

    return too_few


def prior_curve(inputs: int, labels: int, start: Callable[[float], float]) -> Lower:
    """Return the Bayes risk of Dirichlet priors as a lower bound, searched for from `start` or a
    number that suffices.

    Parameters
    ----------
    inputs, labels : int
    start : callable
        tv to about where it crosses.
    """

    def value(n: int) -> float:
        return _prior_lower(inputs, labels, n)

    def too_few(tv: float, best: int, n: int | None) -> int:
        first = min(start(tv), n or LARGEST_COUNT)
        if first <= 100:
            found = first_below(value, tv, start=first, digits=STEP - 2, power=2.0)
            return found.last_above + 1
        return proved_below(value, tv, first, 2.0, LOOKS)

    return Lower(too_few, dear=True)


def joint_tail(inputs: int, labels: int) -> Tail:
    """Return the tail of ce_sgl by bounded differences."""

    def value(n: int, delta: float) -> float:
        return joint_bound(inputs, labels, n, delta)

    words = (
        "E TV of the joint frequencies and of the inputs' plus bounded differences, ce_sgl, "
        "every teacher"
    )
    return TailCurve(value, lambda tv: hard_surely(inputs, labels, tv), words, 2.0)


@dataclass(frozen=True)
class Shrinkage(Upper):
    """The better of the closed forms and of the certified bound of shrinkage students."""

    inputs: int
    labels: int
    words: str = "certified upper bound of the minimax risk (shrinkage students)"
    floor: float = 0.0

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return the least n found with a proved upper bound of at most tv."""
        S, A = self.inputs, self.labels
        closed = closed_curve(S, A).crossing(tv, known)
        row = row_guess(A, tv)
        if S * row > 2 * LARGEST_COUNT:
            return closed
        if S == 1:
            within = "; n within 1/1000 of it"
            curve = Curve(
                lambda n, tv: one_row_upper(A, n), lambda tv: row, self.words, within, STEP, 2.0
            )
            sharp = curve.crossing(tv, known)
        else:
            words = f"{self.words}; n within about 1/100 of it"

            def rows(visits: np.ndarray) -> np.ndarray:
                return row_uppers(A, visits, GAP)

            sharp = Enough.of(on_tables(S, A, tv, min(S * row, LARGEST_COUNT), rows), words)
        better = sharp.n is not None and (closed.n is None or sharp.n <= closed.n)
        return sharp if better else closed


@dataclass(frozen=True)
class LabelsToo(Upper):
    """The student of the hard labels that distorted answers hold too."""

    hard: Hard
    words: str = "that of hard labels, which are sampled too"
    floor: float = 0.0

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return where the bound of hard labels falls to tv."""
        found = self.hard.uppers()[0].crossing(tv, known)
        return replace(found, certificate=f"{self.words}: {found.certificate}")

    def may_beat(self, known: int, tv: float) -> bool:
        """Return whether Theorem 3.1 leaves it open."""
        start = self.hard.surely(tv) / 8
        return known > theorem_excludes("3.1", self.hard.inputs, self.hard.labels, tv, start, 2.0)


def closed_curve(inputs: int, labels: int) -> Curve:
    """Return the better of Theorem 3.2 in mean and the mean part of `joint_bound`."""

    def value(n: int, tv: float) -> float:
        if n == 0:
            return 1.0
        joint = _frequencies(inputs * labels, n)
        joint += _frequencies(inputs, n) if inputs > 1 else 0.0
        return min(float(paper.curve("3.2-mean", inputs, labels, n)[0]), joint)

    def start(tv: float) -> float:
        return min(inputs * labels / 4.0 / max(tv, TINY) ** 2 + 1.0, LARGEST_COUNT)

    words = "closed form: Theorem 3.2 in mean, or E TV of the joint frequencies plus that of the "
    words += "inputs'"
    return Curve(value, start, words, digits=FINE, power=2.0)


def joint_bound(inputs: int, labels: int, n: int, delta: float) -> float:
    """Return what the loss of ce_sgl exceeds with probability at most delta, for every teacher.

    With hats for frequencies, rho_s TV(q_s, pi_s) <= 1/2 sum_a |hat rho_s q_s(a) - rho_s pi_s(a)| +
    1/2 |hat rho_s - rho_s|, also on unvisited rows. So the loss is at most the TV of the joint
    frequencies of the SA pairs plus that of the S inputs. One record changes their sum by at most
    2/n (1/n for S = 1): McDiarmid adds sqrt(2 ln(1/delta)/n) (half of it for S = 1) to its mean,
    which `mle_upper` bounds.
    """
    if n == 0:
        return 1.0
    rest = math.sqrt(2.0 * math.log(1.0 / delta) / n)
    mean = _frequencies(inputs * labels, n)
    if inputs == 1:
        return min(1.0, mean + 0.5 * rest)
    return min(1.0, mean + _frequencies(inputs, n) + rest)


def _frequencies(atoms: int, n: int) -> float:
    """Return a bound on the expected total variation of the frequencies of n draws among so many
    atoms.
    """
    return min(0.5 * math.sqrt((atoms - 1) / n), mle_upper(atoms, n))


def row_guess(labels: int, tv: float) -> float:
    """Return about the n at which one row's risk is tv, by add-c's worst case on a grid."""

    def risk(n: int) -> float:
        if n == 0:
            return 1.0
        if n > LARGEST_RATIO * labels:
            return mle_upper(labels, n)
        return 0.5 * labels * envelope(labels, n, 0.4 * math.sqrt(n / labels))[0]

    start = (labels - 1) / (2.0 * math.pi * max(tv, TINY) ** 2)
    if start > LARGEST_COUNT:
        return start
    found = first_below(risk, tv, start=start, digits=7, power=2.0)
    return float(found.n if found.n is not None else start)


@cache
def one_row_upper(labels: int, n: int) -> float:
    """Return a proved upper bound for one input, the special students of few labels among them."""
    if n == 0:
        return 1.0 - 1.0 / labels
    if labels <= FEW_LABELS and n <= CURVED_RATIO * labels:
        return hard_limit(1, labels, n).upper
    return row_upper(labels, n) * (1.0 + ROUNDING)


def on_tables(
    inputs: int, labels: int, tv: float, guess: float, rows: Callable[[np.ndarray], np.ndarray]
) -> Crossing:
    """Return where the bound for several inputs crosses tv: its row bounds serve for every n near
    their own.

    Parameters
    ----------
    inputs, labels : int
    tv : float
    guess : float
        About where it crosses.
    rows : callable
        (K,) visit counts to proved bounds of one row after so many visits.
    """
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
def _prior_lower(inputs: int, labels: int, n: int) -> float:
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
        closed = float(closed_bayes_risk(labels, n, alpha).max())
        return max(0.0, closed) * (1.0 - ROUNDING)
    return prior_lower(labels, n) * (1.0 - ROUNDING)
