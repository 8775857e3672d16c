"""Minimax risks in other losses than total variation: order laws from the bracket in tv, and what
is proved directly. Each inequality is between rows, and goes over to risks by Jensen's.

p is the teacher's row, q the student's, d = p - q, t = TV(p, q), U the uniform row, e a point mass.

From below, by functions of t that are convex and rise, so that the worst-case E phi(TV) of every
student is at least phi of its worst-case E TV, and that at least phi of the minimax risk in tv:

- kl, reverse_kl >= 2 t^2 (Pinsker).
- chi2 >= 4 t^2: (sum |d|)^2 <= sum d^2/q sum q (Cauchy and Schwarz).
- hellinger2 >= t^2/2: 2 t = sum |sqrt p - sqrt q| (sqrt p + sqrt q) <= sqrt((2 - 2B)(2 + 2B)) <=
  sqrt(8 (1 - B)), B = sum sqrt(p q).
- js >= t^2/2: with m = (p+q)/2 and v = |d|/(2m), js = sum m h(v), h(v) = ((1+v) log(1+v) + (1-v)
  log(1-v))/2 = sum_j v^(2j) / (2j (2j-1)) >= v^2/2, and sum m v^2 >= (sum m v)^2 = t^2.
- l2 >= 4 t^2/A (Cauchy and Schwarz).

From above, whatever the student, by functions that are linear: hellinger2 <= t, as sqrt(p q) >=
min(p, q); js <= t log 2, as h(v) <= v^2 log 2 <= v log 2; l2 <= 2 t, as |d| <= 1.

From above, by students:

- Uniform: the losses are convex in p, so that none exceeds loss(e, U) for it: log A, A - 1, ...
- Equal shares of what is hidden, the rest exact (ce_ful, sel_ptl, top_k): at most F t, F = loss(e,
  U) / (1-1/A). Let q = c on the u hidden labels, x = p/q in [0, u]. A loss that is sum q f(x), f
  convex with f(1) = 0, lies below the chords of f over [0, 1] and [1, u], and sum q (x-1)^+ = sum
  q (1-x)^+ = t: so it is at most t (f(0) + f(u)/(u-1)), which rises in u, and is F t for u = A. For
  l2 = sum q^2 (x-1)^2, f = (x-1)^2 gives c u t <= t = F t. These students attain the minimax risk
  in tv, so that it bounds their worst-case risk.
- add_c(1) on hard labels: chi2 of a row after k visits is at most (A-1)/(k+1), as E 1/(X+1) = (1 -
  (1-p)^(k+1))/((k+1) p). With C = sum_s rho_s E 1/(k_s+1) = sum_s (1 - (1-rho_s)^(n+1))/(n+1), a
  concave sum, C <= S (1 - (1-1/S)^(n+1))/(n+1), and chi2 <= (A-1) C. Concave functions of it:
  kl <= log(1 + chi2); hellinger2 <= 1 - (1+chi2)^(-1/2), as kl >= -2 log B; js <= chi2 log(2)/2,
  as h(v) <= v^2 log 2 and 4 m v^2 = d^2/m <= 2 d^2/q.
- add_c(sqrt(k)/A) on rows visited k times: l2 <= (1-1/A)/(sqrt k + 1)^2 <= (1-1/A)/(k+1), so at
  most (1-1/A) C.
- ce_sgl on one input, n >= 1: reverse_kl <= log(1 + sum (q-p)^2/p), of mean at most log(1 +
  (A-1)/n) (Paninski 2003).

Directly:

- Soft labels, gradients, and all that settles whole rows: F times the minimax risk in tv, exactly.
  Above: Uniform on rows that are not settled. Below: deterministic rows, all equally likely; the
  losses are convex and symmetric in q, so that no guess does better than U, which loses loss(e, U).
  Any level that shows rows of the input alone can be no better than soft labels. reverse_kl is
  infinite: of mass on a label that the teacher does not have.
- l2, hard labels, one input: (1-1/A)/(sqrt n + 1)^2. The risk of add_c(sqrt(n)/A) is constant, and
  it is the posterior mean under a Dirichlet prior, hence minimax (Steinhaus 1957). With several
  inputs rho may lie on one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from kt_theory.limits.bracket import (
    TINY,
    UNPROVED,
    Bracket,
    coverage_lower,
    least_enough,
    most_too_few,
)
from kt_theory.limits.crossing import FINE, Enough, first_below
from kt_theory.limits.limit import Limit
from kt_theory.limits.order_laws import OrderLaw, order_law, uniform_cost
from kt_theory.limits.soft import unvisited_mass
from kt_theory.losses import ACCEPTANCE, TV, Loss
from kt_theory.numeric import log_missed
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

MEETING = 1e-12
"""Bounds that agree to this relative difference are one value, up to rounding."""


INFINITE = "every student gives a row that it knows nothing of mass on labels that may have none"
ONE_ROW = "(1-1/A)/(sqrt n + 1)^2, attained by add_c(sqrt(n)/A), whose risk is constant"


def limit_in(bracket: Bracket, n: int, loss: Loss) -> Limit:
    """Return the minimax risk of a level in a loss, or the interval that holds it.

    Raises
    ------
    ValueError
        For a loss of one's own.
    """
    if loss == TV:
        return bracket.limit(n)
    if loss == ACCEPTANCE:
        found = bracket.limit(n)
        words = f"1 - tv: {found.reference}"
        lower, upper = 1.0 - found.upper, 1.0 - found.lower
        return replace(found, lower=lower, upper=upper, reference=words, loss=loss.name)
    one = InLoss.of(bracket, loss)
    if bracket.labels == 1:
        return replace(bracket.limit(n), loss=loss.name)
    if bracket.whole_rows:
        return one.settled(n)
    return one.interval(n)


@dataclass(frozen=True)
class InLoss:
    """The bracket of a level, in a loss.

    Attributes
    ----------
    bracket : Bracket
    loss : Loss
    law : OrderLaw
    most : float
        loss(e, U).
    """

    bracket: Bracket
    loss: Loss
    law: OrderLaw
    most: float

    @classmethod
    def of(cls, bracket: Bracket, loss: Loss) -> InLoss:
        """Return it, or raise ValueError where nothing is known of the loss."""
        law = order_law(loss, bracket.labels)
        return cls(bracket, loss, law, uniform_cost(loss, bracket.labels))

    @property
    def factor(self) -> float:
        """F = loss(e, U) / (1-1/A)."""
        return self.most / self.bracket.most

    @property
    def constant(self) -> bool:
        """Whether the risk is known exactly, as that of a student whose risk is constant."""
        one = self.bracket.labels_alone and self.bracket.inputs == 1
        return one and self.loss.name == "l2"

    @property
    def floor(self) -> float:
        """What no number of queries removes."""
        if self.factor == math.inf and self.bracket.rows > 1:
            return math.inf
        return self.law.square * self.bracket.floor**2

    @property
    def slopes(self) -> Iterator[tuple[float, str]]:
        """The numbers that the loss is at most times the minimax risk in tv, and why."""
        bracket = self.bracket
        if bracket.whole_rows or (bracket.shares_equally and self.factor < math.inf):
            yield self.factor, "F tv, F = loss(e, U) / (1-1/A), equal shares of what is hidden"
        if self.law.slope < math.inf:
            yield self.law.slope, f"{self.law.slope:.4g} tv"

    def settled(self, n: int) -> Limit:
        """Return F times the limit in tv, where whole rows are settled."""
        found = self.bracket.limit(n)
        lower, upper = (
            self.factor * end if end > 0.0 else 0.0 for end in (found.lower, found.upper)
        )
        reference = f"loss(e, U) / (1-1/A) times that in tv, which is {found.reference}"
        if lower == math.inf:
            reference = INFINITE
        return replace(found, lower=lower, upper=upper, reference=reference, loss=self.loss.name)

    def interval(self, n: int) -> Limit:
        """Return the best of the bounds; that in tv is dear, and not looked at without need."""
        unseen = unvisited_mass(self.bracket.inputs, n).value
        if self.constant:
            point = Teacher(np.eye(self.bracket.labels)[:1])
            return self._limit(n, (self.one_row(n), self.one_row(n)), ONE_ROW, point)
        if self.factor == math.inf and unseen > 0.0:
            return self._limit(n, (math.inf, math.inf), INFINITE)
        found = self.bracket.limit(n)
        lower, below = max(self._lowers(n, found.lower, unseen), key=itemgetter(0))
        upper, above = min(self._uppers(n, found.upper), key=itemgetter(0))
        if upper <= lower * (1.0 + MEETING):
            return self._limit(n, (lower, lower), above)
        return self._limit(n, (lower, upper), f"lower: {below}; upper: {above}")

    def _limit(
        self, n: int, ends: tuple[float, float], words: str, teacher: Teacher | None = None
    ) -> Limit:
        one, (lower, upper) = self.bracket, ends
        size = one.access, one.inputs, one.labels, n
        return Limit(lower, upper, lower == upper, teacher, words, *size, loss=self.loss.name)

    def _lowers(self, n: int, tv: float, unseen: float) -> Iterator[tuple[float, str]]:
        yield self.law.square * tv * tv, f"{self.law.square:.4g} tv^2, tv >= {tv:.6g}"
        if unseen > 0.0:
            words = "soft labels: loss(e, U) Phi(S, n), e a point mass, U uniform"
            yield self.most * unseen, words
        if self.bracket.labels_alone and self.loss.name == "l2":
            yield self.one_row(n), "(1-1/A)/(sqrt n + 1)^2, that of one input"

    def _uppers(self, n: int, tv: float) -> Iterator[tuple[float, str]]:
        yield self.most, "the uniform student, loss(e, U)"
        for slope, words in self.slopes:
            yield slope * tv, f"{words}, tv <= {tv:.6g}"
        if self.bracket.holds_labels:
            yield self.labelled(n), self.labelled_words

    def one_row(self, n: int) -> float:
        """Return (1-1/A)/(sqrt n + 1)^2."""
        return self.bracket.most / (math.sqrt(n) + 1.0) ** 2

    def labelled(self, n: int) -> float:
        """Return what a student of hard labels loses at most."""
        S, A = self.bracket.inputs, self.bracket.labels
        if self.loss.name == "reverse_kl":
            return math.log1p((A - 1) / n) if S == 1 and n > 0 else math.inf
        seen = -math.expm1((n + 1) * float(log_missed(1.0 / S)))
        return self.law.of_chi2((A - 1) * seen * S / (n + 1))

    @property
    def labelled_words(self) -> str:
        """What proves `labelled`."""
        if self.loss.name == "reverse_kl":
            return "log(1 + (A-1)/n), attained by ce_sgl on one input"
        if self.loss.name == "l2":
            return "(1-1/A) C, add_c(sqrt(k)/A) after k visits, C = S (1 - (1-1/S)^(n+1)) / (n+1)"
        return "of chi2 <= (A-1) C, add_c(1), C = S (1 - (1-1/S)^(n+1)) / (n+1)"


def enough_in(bracket: Bracket, loss: Loss, risk: float) -> Enough:
    """Return the least n that is proved to bring the minimax risk in a loss to `risk`."""
    one = InLoss.of(bracket, loss)
    if risk >= one.most:
        return Enough(0, "the uniform student, every teacher", ((0, one.most),))
    found = [Enough(None, UNPROVED, (), reason=_why_not(one, risk))]
    for slope, words in one.slopes:
        scaled = least_enough(bracket.uppers(), max(risk / slope, TINY))
        exact = scaled.exact and bracket.whole_rows
        certificate = f"{words}: {scaled.certificate}"
        found.append(replace(scaled, certificate=certificate, exact=exact))
    start = bracket.inputs * bracket.labels / risk
    if bracket.holds_labels:
        falls = first_below(one.labelled, risk, start=start, digits=FINE, power=1.0)
        found.append(Enough.of(falls, f"{one.labelled_words}, every teacher"))
    if one.constant:
        falls = first_below(one.one_row, risk, start=start, digits=FINE, power=1.0)
        found.append(Enough.of(falls, ONE_ROW, exact=True))
    return min(found, key=_queries)


def _why_not(one: InLoss, risk: float) -> str:
    """Return what to say where no number of queries is proved to suffice."""
    name, loss = one.bracket.name, one.loss.name
    if one.floor == math.inf:
        return f"{name}: impossible, {loss} is infinite: {INFINITE}"
    if one.floor > risk:
        hides = one.bracket.impossible.hides
        return f"{name}: impossible, {hides} {loss} >= {one.floor:.6g} > {risk:g} for good"
    return f"{name}: no student is proved to reach {loss} = {risk:g} on every teacher"


def _queries(found: Enough) -> float:
    """Return the number by which proofs are compared; of two equal ones the exact is the better."""
    return math.inf if found.n is None else found.n - 0.5 * found.exact


def too_few_in(bracket: Bracket, loss: Loss, risk: float, enough: Enough) -> int:
    """Return a number of queries below which no student has worst-case risk at most `risk`."""
    one = InLoss.of(bracket, loss)
    if risk >= one.most:
        return 0
    if one.floor > risk:
        return LARGEST_COUNT + 1
    if enough.exact:
        return enough.first
    scaled = max(risk / one.factor, TINY)
    if bracket.whole_rows:
        return most_too_few(bracket, scaled, enough.n)
    best = most_too_few(bracket, math.sqrt(risk / one.law.square), enough.n)
    unasked = coverage_lower(bracket.inputs, bracket.labels)
    best = max(best, unasked.too_few(scaled, best, enough.n))
    if bracket.labels_alone and one.loss.name == "l2":
        falls = first_below(one.one_row, risk, start=1.0 / risk, digits=FINE, power=1.0)
        best = max(best, falls.last_above + 1)
    return best
