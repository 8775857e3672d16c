"""Several labels per query: m labels are drawn at each queried input, for hard labels and partial
soft labels.

One input: n queries are n m samples, the limit of one label per query. Several: a row with k visits
has m k labels, but the k follow the queries, so the labels come in bunches and cover fewer inputs
than n m queries would.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kt_theory.limits.bracket import (
    Bracket,
    Lower,
    Markov,
    Tail,
    Upper,
    most_too_few,
)
from kt_theory.limits.crossing import STEP, Crossing, Enough, first_below, proved_below
from kt_theory.limits.hard.bracket import (
    CROSSING,
    FAR,
    FINEST,
    GAP,
    Hard,
    hard_above_partial,
    raised,
)
from kt_theory.limits.hard.inputs import laws_upper, row_uppers, visit_steps
from kt_theory.limits.hard.interval import ROUNDING
from kt_theory.limits.hard.priors import WINDOW, bayes_risk, best_prior, closed_bayes_risk
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.optimise import minimum
from kt_theory.limits.sharing.bracket import Sharing, lowered, sharing_limit
from kt_theory.limits.sharing.curves import FEW
from kt_theory.limits.sharing.few_levels import FewLevels
from kt_theory.limits.sharing.upper import one_row_upper
from kt_theory.limits.soft import soft_limit
from kt_theory.limits.visits import most_over_laws, visit_blocks, visit_counts
from kt_theory.limits.whole_rows import Soft
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT, whole_number


def repeated_hard_limit(single: Limit, labels_per_query: int) -> Limit:
    """Return the interval for hard labels with m labels per query, S >= 2.

    Upper: m labels are no worse than one; and add-c on rows with k visits, the row bound after m k
    labels, the worst rho by `most_over_laws`. Lower: soft labels after n queries; and rho uniform
    with independent Dirichlet rows, whose Bayes risk after m k labels falls in k, k ~ Bin(n, 1/S).

    Parameters
    ----------
    single : Limit
        Hard labels with one label per query.
    labels_per_query : int
        m, at least 2.
    """
    S, A, n, m = single.inputs, single.labels, single.n, labels_per_query
    counts = visit_steps(S, n)
    upper = min(
        single.upper, most_over_laws(S, n, lambda visits: row_uppers(A, m * visits), counts)
    )
    soft = soft_limit(S, A, n)
    lower = max(soft.lower, bunched_bayes_risk(S, A, n, m))
    reference = (
        "independent Dirichlet rows with m labels per visit below, add-c(visits) rows above; "
        "not known to meet"
    )
    return replace(single, lower=min(lower, upper), upper=upper, exact=False, reference=reference)


def bunched_bayes_risk(inputs: int, labels: int, n: int, labels_per_query: int) -> float:
    """Return the Bayes risk, from below, of rho uniform and Dirichlet rows that see m k labels, k ~
    Bin(n, 1/S).
    """
    visits, chances = visit_blocks(n, 1.0 / inputs)
    seen = visits * labels_per_query
    centre = n / inputs * labels_per_query
    if centre / labels > WINDOW / 4.0:
        grid = 1.0 + math.sqrt(centre / labels) * np.geomspace(0.05, 4.0, 60)
        return float(
            (
                chances @ np.maximum([closed_bayes_risk(labels, int(k), grid) for k in seen], 0.0)
            ).max()
        )
    alphas = [best_prior(labels, max(round(centre), 1))[0]]
    if centre < 20.0 * labels:
        alphas += [0.1 * alphas[0], 0.5 * alphas[0], 1.0, 0.3]
    return max(float(chances @ _row_bayes_risks(labels, seen, alpha)) for alpha in alphas)


def _row_bayes_risks(labels: int, samples: np.ndarray, alpha: float) -> np.ndarray:
    """Return lower bounds of a row's Bayes risk after so many samples, their levels searched at a
    few of them.
    """
    nodes = samples[np.unique(np.linspace(0, len(samples) - 1, 6).astype(int))]
    logits = [_best_logit(labels, int(k), alpha) for k in nodes]
    level = 1.0 / (1.0 + np.exp(-np.interp(np.log1p(samples), np.log1p(nodes), logits)))
    return np.array(
        [bayes_risk(labels, int(k), alpha, float(z)) for k, z in zip(samples, level, strict=True)]
    )


def _best_logit(labels: int, samples: int, alpha: float) -> float:
    from scipy.special import betainc, logit

    if labels == 2:
        return 0.0
    if samples == 0:
        return float(logit(betainc(alpha, (labels - 1) * alpha, 1.0 / labels)))
    return minimum(
        lambda z: -bayes_risk(labels, samples, alpha, 1.0 / (1.0 + math.exp(-z)), terms=200),
        -0.1,
        14.0,
        3e-2,
    )[1]


def repeated_partial_limit(single: Limit, labels_per_query: int) -> Limit:
    """Return the interval for partial soft labels with m labels per query, S >= 2; exact for two
    labels.

    SEL_ptl stays exactly minimax: the argument about label permutations does not look at how inputs
    are drawn. Upper: one label per query; and the one-row bound after m k labels, at the worst rho.
    Lower: soft labels after n queries; and SEL_ptl's risk on S-1 rows, or all, that are uniform on
    j labels, j and their mass searched. For two labels one seen label reveals the row, so only
    unvisited rows lose, Phi(S, n)/2.

    Parameters
    ----------
    single : Limit
        Partial soft labels with one label per query.
    labels_per_query : int
        m, at least 2.
    """
    S, A, n, m = single.inputs, single.labels, single.n, labels_per_query
    if A <= 2 or n == 0:
        return single
    most = 1.0 - 1.0 / A

    def loss(visits: np.ndarray) -> np.ndarray:
        rows = [one_row_upper(A, int(k)) for k in m * visits if k]
        return np.minimum(np.concatenate([np.full(int((visits == 0).sum()), most), rows]), most)

    counts = visit_counts(n, first=12, ratio=1.06)
    upper = min(single.upper, most_over_laws(S, n, loss, counts))
    soft = soft_limit(S, A, n)
    value, teacher = flat_rows_risk(S, A, n, m)
    lower, worst = (soft.lower, soft.teacher) if soft.lower >= value else (value, teacher)
    reference = (
        "SEL_ptl is minimax; lower: its risk on rows uniform on some labels; upper: for all "
    )
    reference += "teachers"
    return replace(
        single,
        lower=min(lower, upper),
        upper=upper,
        exact=False,
        teacher=worst,
        reference=reference,
    )


def flat_rows_risk(
    inputs: int, labels: int, n: int, labels_per_query: int
) -> tuple[float, Teacher]:
    """Return SEL_ptl's risk, from below, on the worst teacher found of S-1 rows uniform on j
    labels, and the teacher.

    The last input has the rest of the mass, on one label; or all S inputs are alike. A row of mass
    r loses r sum_k P(Bin(n, r) = k) l(m k), l(N) the loss of the row after N samples, which falls
    in N.
    """
    tried = []
    sizes = np.unique(np.round(np.geomspace(1.0, labels - 1.0, 14)).astype(int))
    for j in {*sizes.tolist(), max(1, round(0.68 * labels))}:
        hits = [t * j / (n * labels_per_query) for t in (0.5, 0.8, 1.1, 1.5, 2.0, 3.0)]
        masses = [(min(r, 1.0 / inputs), inputs - 1) for r in [*hits, 0.7 / n, 1.0 / n, 1.4 / n]]
        for r, count in {*masses, (1.0 / inputs, inputs)}:
            visits, chances = visit_blocks(n, r, most=24)
            losses = [_flat_loss(labels, int(k) * labels_per_query, j) for k in visits]
            tried.append((count * r * float(chances @ losses), j, r, count))
    value, j, r, count = max(tried)
    rows = np.zeros((2, labels))
    rows[0, :j], rows[1, 0] = 1.0 / j, 1.0
    if count == inputs:
        return value, Teacher.from_classes(rows[:1], [1.0 / inputs], [inputs])
    return value, Teacher.from_classes(rows, [r, 1.0 - count * r], [count, 1])


def _flat_loss(labels: int, samples: int, j: int) -> float:
    return FewLevels(labels, samples).flat(j, 1.0 / j)


LOOKS = 3
"""Most looks at a lower bound that costs up to half a second."""


class Bunched(Bracket):
    """A level with m labels drawn at each queried input, from its bracket with one."""

    plain: Hard | Sharing

    def __init__(self, plain: Hard | Sharing, labels_per_query: int) -> None:
        super().__init__(plain.access, plain.name, plain.inputs, plain.labels)
        self.plain, self.times = plain, labels_per_query

    @property
    def holds_labels(self) -> bool:
        """Return True."""
        return True

    @property
    @abstractmethod
    def settled(self) -> bool:
        """Whether one label settles its row, so that more are worth nothing."""

    @abstractmethod
    def several_inputs(self, n: int) -> Limit:
        """Return the limit for several inputs."""

    @abstractmethod
    def table(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return visit counts and row bounds after m times so many labels, that serve near n."""

    @abstractmethod
    def upper(self, n: int, counts: np.ndarray, values: np.ndarray) -> float:
        """Return the upper bound at n >= 1 from a table."""

    @abstractmethod
    def bunched_lowers(self) -> Iterator[tuple[Callable[[int], float], float]]:
        """Return lower bounds and the powers of their fall."""

    def limit(self, n: int) -> Limit:
        """Return the minimax risk or its interval."""
        m = self.times
        samples = whole_number(n * m, "n * labels_per_query")
        if self.inputs > 1 or n == 0:
            return self.several_inputs(n)
        found = self.plain.limit(samples)
        reference = f"{m} labels per query are as many samples: {found.reference}"
        return replace(found, n=n, reference=reference)

    def surely(self, tv: float) -> int:
        """Return what is enough with one label."""
        return self.plain.surely(tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return those with one label, and that of row bounds after m labels per visit."""
        single = self.plain.uppers()
        if self.inputs == 1:
            return tuple(AsManySamples(upper, self.times) for upper in single)
        return single if self.settled else (*single, RowTables(self))

    def lowers(self) -> Iterator[Lower]:
        """Return what is too few: of one input as many samples, of several no more than soft labels
        take.
        """
        yield Lower(self.too_few)

    def too_few(self, tv: float, best: int, n: int | None) -> int:
        """Return a number of queries below which no student succeeds; `n` suffices."""
        m = self.times
        single = most_too_few(self.plain, tv, None, quick=self.inputs > 1)
        if self.inputs == 1:
            return -(-single // m)
        if self.settled:
            return single
        soft = Soft("soft", "soft", self.inputs, self.labels)
        found = most_too_few(soft, tv, n)
        start = max(single / m, found, 1.0, 0.95 * n if n is not None else 0.0)
        for value, power in self.bunched_lowers():
            found = max(found, proved_below(value, tv, start, power, LOOKS))
        return found

    def tails(self) -> tuple[Tail, ...]:
        """Return those with one label."""
        return self.plain.tails()

    def terms(self) -> Terms:
        """Return those with one label."""
        return self.plain.terms()

    def flat_rows(self, n: int) -> float:
        """Return SEL_ptl's risk on the worst teacher found of rows uniform on some labels."""
        return flat_rows_risk(self.inputs, self.labels, n, self.times)[0]


class BunchedHard(Bunched):
    """Hard labels, m per query."""

    @property
    def settled(self) -> bool:
        """Return False: labels alone settle nothing."""
        return False

    def several_inputs(self, n: int) -> Limit:
        """Return the interval, its lower bound raised to that of partial labels where that is
        larger.
        """
        S, A, m = self.inputs, self.labels, self.times
        partial = repeated_partial_limit(sharing_limit(S, A, n, 0), m)
        if A == 1 or n == 0:
            return replace(partial, access=self.access)
        return raised(repeated_hard_limit(hard_above_partial(S, A, n), m), partial)

    def table(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds of add-c(visits) rows."""
        counts = visit_steps(self.inputs, n, FINEST)
        return counts, row_uppers(self.labels, self.times * counts, GAP)

    def upper(self, n: int, counts: np.ndarray, values: np.ndarray) -> float:
        """Return the bound at the worst input law."""
        return laws_upper(self.inputs, self.labels, n, counts, values) * (1.0 + ROUNDING)

    def bunched_lowers(self) -> Iterator[tuple[Callable[[int], float], float]]:
        """Return those of flat rows and of Dirichlet rows."""
        if 2 < self.labels <= FEW:
            yield self.flat_rows, 1.0
        S, A, m = self.inputs, self.labels, self.times
        yield (lambda n: bunched_bayes_risk(S, A, n, m)), 2.0

    def tails(self) -> tuple[Tail, ...]:
        """Return that of one label, of one input as many samples, and Markov's inequality."""
        (single,) = self.plain.tails()
        if self.inputs == 1:
            return (TailOfSamples(single, self.times),)
        return single, Markov(self.uppers())


class BunchedPartial(Bunched):
    """Partial soft labels, m per query."""

    shares_equally: ClassVar[bool] = True
    plain: Sharing

    @property
    def settled(self) -> bool:
        """Return whether there are two labels at most."""
        return self.plain.settled

    def several_inputs(self, n: int) -> Limit:
        """Return the interval, its upper bound lowered to that of hard labels where that is
        smaller.
        """
        S, A, m = self.inputs, self.labels, self.times
        partial = repeated_partial_limit(sharing_limit(S, A, n, 0), m)
        if A == 1 or n == 0 or n * m > CROSSING * S * A:
            return replace(partial, access=self.access)
        hard = repeated_hard_limit(hard_above_partial(S, A, n), m)
        return replace(lowered(partial, hard), access=self.access)

    def table(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of one row after m k labels."""
        A, m = self.labels, self.times
        counts = visit_counts(min(4 * n, LARGEST_COUNT // m), first=12, ratio=1.03)
        values = [one_row_upper(A, int(k)) for k in m * counts[1:]]
        return counts, np.minimum(self.most, np.array([1.0, *values]))

    def upper(self, n: int, counts: np.ndarray, values: np.ndarray) -> float:
        """Return the bound at the worst input law."""
        kept = counts <= n
        return most_over_laws(self.inputs, n, lambda _: values[kept], counts[kept])

    def bunched_lowers(self) -> Iterator[tuple[Callable[[int], float], float]]:
        """Return that of flat rows."""
        if 2 < self.labels <= FEW:
            yield self.flat_rows, 1.0


def _as_many(found: Enough, times: int) -> Enough:
    n = None if found.n is None else -(-found.n // times)
    words = f"{times} labels per query of one input are as many samples: {found.certificate}"
    return Enough(n, words, ())


@dataclass(frozen=True)
class AsManySamples(Upper):
    """Of one input, m labels per query are as many samples."""

    single: Upper
    times: int
    words: str = ""
    floor: float = 0.0

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return an m-th of the samples."""
        return _as_many(self.single.crossing(tv, known), self.times)


@dataclass(frozen=True)
class TailOfSamples(Tail):
    """The same with high probability."""

    single: Tail
    times: int

    def crossing(self, tv: float, delta: float) -> Enough:
        """Return an m-th of the samples."""
        return _as_many(self.single.crossing(tv, delta), self.times)


@dataclass(frozen=True)
class RowTables(Upper):
    """Row bounds after m labels per visit, at the worst input law, in tables that serve for every n
    near their own.
    """

    bracket: Bunched
    floor: float = 0.0

    @property
    def words(self) -> str:  # type: ignore[override]
        """What proves it."""
        return f"row bounds after {self.bracket.times} labels per visit, the worst input law"

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return where the bound falls to tv."""
        bracket = self.bracket
        found, guess = Crossing(None, -1, ()), max((known or LARGEST_COUNT) // bracket.times, 1)
        for _ in range(4):
            counts, values = bracket.table(guess)

            def value(n: int, counts: np.ndarray = counts, values: np.ndarray = values) -> float:
                return bracket.upper(n, counts, values) if n else bracket.most

            found = first_below(value, tv, start=guess, digits=STEP, power=2.0)
            if found.n is None or abs(found.n / guess - 1.0) <= FAR:
                break
            guess = max(found.n, 1)
        return Enough.of(found, f"{self.words}; n within about 1/100 of it")
