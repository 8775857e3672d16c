"""Non-target parts: a query that samples a reveals p_b / (1-p_a) for all other labels b.

Two different sampled labels determine a row of three or more labels of positive probability. As
long as only one was seen, the rest of the row is known up to p_a, and a student that gives a
probability x loses |x - p_a|. With x = 1 that is the chance that the next draw of the row shows
another label. Of n+1 exchangeable draws, at most two of an input are so placed or the first there
(both of two different ones), so that on such rows

    E loss <= 2S/(n+1), free of A.

A row of exactly two labels is another matter: each answer shows a point mass on the other label,
whatever the odds, so hard labels of two labels are all there is, and sqrt(S/(2 pi n)) the rate. No
c S/(n+1) bounds the risk of such rows.

x = 1 is the best choice but for a label seen once or twice, where a smaller x loses less at worst
(`one_label_loss`). From the second visit on rows of two labels are worse than all others, so the
limit is theirs but for rows of at most one visit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from kt_theory.limits.bracket import (
    TINY,
    Bracket,
    Curve,
    Lower,
    Markov,
    Tail,
    Upper,
    coverage_lower,
)
from kt_theory.limits.crossing import STEP, Enough
from kt_theory.limits.hard.bracket import (
    GAP,
    Shrinkage,
    hard_above_partial,
    hard_surely,
    joint_tail,
    on_tables,
    one_row_upper,
    prior_curve,
    row_guess,
)
from kt_theory.limits.hard.inputs import ROW_GAP, laws_upper, row_uppers, visit_steps
from kt_theory.limits.hard.interval import ROUNDING
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import soft_limit
from kt_theory.numeric import missed
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

TWICE = 0.81
"""What a label seen twice, and no other, gets; it loses at most 0.19, less than two labels cost
after two visits.
"""


def one_label_loss(labels: int, visits: np.ndarray) -> np.ndarray:
    """Return a bound on E[|x - p_a|; only a was seen] after k visits of any row of three or more
    labels.

    k = 1: x = (1+1/A)/2 loses (1-1/A)/2, and no x less: mix a uniform row with one of nearly all
    mass on a label. k = 2: with x = 0.81, sum p^2 |x-p| <= max(x^2/4, 1-x) = 0.19. k >= 3: with x =
    1, sum p^k (1-p) is largest where nearly all mass lies on two labels h >= 1/2 and 1-h, with h^k
    (1-h) + (1-h)^k h: 1/8 for k = 3, and at most k^k / (k+1)^(k+1) + 2^-(k+1), about 1/(e k).

    Parameters
    ----------
    labels : int
        A >= 3.
    visits : (K,) array of whole numbers, >= 0

    Returns
    -------
    (K,) array; 1-1/A for k = 0.
    """
    most, k = 1.0 - 1.0 / labels, np.asarray(visits, dtype=np.float64)
    few = np.array([most, 0.5 * most, 1.0 - TWICE, 0.125])
    many = np.exp(-k * np.log1p(1.0 / np.maximum(k, 1.0))) / (k + 1.0) + 2.0 ** -np.minimum(
        k + 1.0, 1000.0
    )
    return np.where(k < 4.0, few[np.minimum(k, 3.0).astype(np.int64)], many)


def non_target_rows(labels: int, visits: np.ndarray, gap: float = ROW_GAP) -> np.ndarray:
    """Return a proved, non-increasing upper bound of one row's worst-case risk after each number of
    visits.

    Parameters
    ----------
    labels : int
        A >= 3.
    visits : (K,) array of whole numbers, >= 0, increasing
    gap : float
        Of the searches for the worst odds of two labels.
    """
    bounds: np.ndarray = np.maximum(row_uppers(2, visits, gap), one_label_loss(labels, visits))
    return np.minimum.accumulate(bounds)


def non_target_limit(inputs: int, labels: int, n: int, hard: Callable[[int], Limit]) -> Limit:
    """Return the minimax risk where the non-target part of each answer is revealed, or the interval
    that holds it.

    From below: rows of two labels, so hard labels of two; soft labels; and, for rows of one visit,
    rho uniform and rows that are uniform or nearly point masses, a fair coin each: (1-1/A)/2 P(at
    most one visit). From above: rows of two labels are recognised by their first answer, and played
    as hard labels of two are; the others as in `one_label_loss`. One input: (1-1/A)/2 for n = 1,
    and the value of two hard labels for n >= 2. Several: S times the concave envelope of what a row
    loses after its visits, as for hard labels. At most two labels are hard labels.

    Parameters
    ----------
    inputs, labels, n : int
    hard : function of a number of labels, returning the Limit of hard labels at these inputs and n

    References
    ----------
    Zhao, Cui, Song, Qiu and Liang (2022), arXiv 2203.08679, for the non-target part.
    """
    if labels <= 2 or n == 0:
        found = hard(labels) if n else soft_limit(inputs, labels, n)
        words = (
            "the other label of two is no news: hard labels"
            if n and labels == 2
            else found.reference
        )
        return Limit(
            found.lower,
            found.upper,
            found.exact,
            found.teacher,
            words,
            "non_target",
            inputs,
            labels,
            n,
        )
    most, share, two = 1.0 - 1.0 / labels, 1.0 / inputs, hard(2)
    soft = soft_limit(inputs, labels, n)
    never, once = missed(share, n), n * share * missed(share, n - 1)
    uniform = Teacher.from_classes([np.full(labels, 1.0 / labels)], [share], [inputs])
    known = [
        (two.lower, _padded(two, labels), "hard labels on rows of two"),
        (soft.lower, soft.teacher, "soft labels"),
        (0.5 * most * (never + once), uniform, "rows of one visit"),
    ]
    lower, teacher, source = max(known, key=lambda one: one[0])
    if inputs == 1:
        upper = max(float(one_label_loss(labels, np.array([n]))[0]), two.upper if n > 1 else 0.25)
    else:
        visits = visit_steps(inputs, n)
        upper = laws_upper(inputs, labels, n, visits, non_target_rows(labels, visits)) * (
            1.0 + ROUNDING
        )
    upper = max(min(upper, most), lower)
    exact = upper == lower or (inputs == 1 and two.exact and upper == two.upper)
    reference = (
        f"lower: {source}; upper: rows of two labels as hard labels, others by the first two "
        "different labels"
    )
    if exact:
        reference = f"{source}: no other row is worse"
    return Limit(lower, upper, exact, teacher, reference, "non_target", inputs, labels, n)


def _padded(two: Limit, labels: int) -> Teacher | None:
    """Return the teacher of two labels with more labels of probability 0."""
    if two.teacher is None:
        return None
    rows, rho, multiplicity = two.teacher.classes
    wide = np.zeros((len(rows), labels))
    wide[:, : rows.shape[1]] = rows
    return Teacher.from_classes(wide, rho, multiplicity)


@lru_cache(maxsize=256)
def _limit(inputs: int, labels: int, n: int) -> Limit:
    return non_target_limit(inputs, labels, n, lambda width: hard_above_partial(inputs, width, n))


class NonTargetPart(Bracket):
    """The non-target part of each answer: exact for one input and few samples, else an interval."""

    @property
    def holds_labels(self) -> bool:
        """Return True."""
        return True

    def limit(self, n: int) -> Limit:
        """Return the minimax risk or its interval."""
        return replace(_limit(self.inputs, self.labels, n), access=self.access)

    def surely(self, tv: float) -> int:
        """Return where hard labels succeed."""
        return hard_surely(self.inputs, self.labels, tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return the certified bound."""
        if self.labels <= 2:
            return (Shrinkage(self.inputs, self.labels),)
        return (RowsOfTwo(self.inputs, self.labels),)

    def lowers(self) -> Iterator[Lower]:
        """Return those of soft labels, and of hard labels on rows of two."""
        yield coverage_lower(self.inputs, self.labels)
        yield prior_curve(
            self.inputs, 2, lambda tv: self.inputs / (2 * math.pi * max(tv, TINY) ** 2)
        )

    def tails(self) -> tuple[Tail, ...]:
        """Return that of hard labels, and Markov's inequality."""
        return joint_tail(self.inputs, self.labels), Markov(self.uppers())

    def terms(self) -> Terms:
        """Return kappa = 2S and the noise of two labels; those of hard labels where there are no
        more.
        """
        if self.labels <= 2:
            return self.three(0.0, self.inputs, 0.5 * math.sqrt(self.inputs * (self.labels - 1)))
        return self.three(0.0, 2 * self.inputs, 0.5 * math.sqrt(self.inputs))


@dataclass(frozen=True)
class RowsOfTwo(Upper):
    """Rows of two labels as hard labels, the others by their first two different labels."""

    inputs: int
    labels: int
    words: str = "certified upper bound of the minimax risk (rows of two labels as hard labels)"
    floor: float = 0.0

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return the least n found with a proved upper bound of at most tv."""
        S, A, row = self.inputs, self.labels, row_guess(2, tv)
        if S * row > 2 * LARGEST_COUNT:
            return Shrinkage(S, A).crossing(tv, known)
        if S == 1:

            def alone(n: int, tv: float) -> float:
                return max(one_row_upper(2, n), float(one_label_loss(A, np.array([n]))[0]))

            within = "; n within 1/1000 of it"
            curve = Curve(alone, lambda tv: row, self.words + within, digits=STEP, power=2.0)
            return curve.crossing(tv, known)

        def rows(visits: np.ndarray) -> np.ndarray:
            return non_target_rows(A, visits, GAP)

        found = on_tables(S, A, tv, min(S * row, LARGEST_COUNT), rows)
        return Enough.of(found, f"{self.words}; n within about 1/100 of it")
