"""The proved bounds behind the planner: when n queries suffice, when they cannot, at every access level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from kt_theory.graphs import Graph, as_graph
from kt_theory.limits import bounds
from kt_theory.limits.hard import LARGEST_LABELS as LARGEST_HARD
from kt_theory.limits.minimax import CROSSING, LARGEST_INPUTS, LEVELS
from kt_theory.limits.soft import unvisited_mass
from kt_theory.plan_search import FINE, Crossing, first_below
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT, unknown_name, whole_number

STEP = 11
"""Binary digits of the n at which a bound is searched that is not exact: steps below 1/1000."""

TINY = 1e-30
"""The smallest total variation that first guesses are made for: far below what 2^53 queries give."""

LOOKS = 5
"""Most evaluations of a bound that costs up to seconds."""

FEW = 200
"""n and labels up to which the lower bounds are cheap enough for a whole search."""

DEAR_LABELS = {"hard": 10**4, "partial": 1000, "top_k": 1000}
"""Most labels for which the upper bound of hard labels on several inputs, and the lower ones of partial labels and
top-k, are evaluated. Beyond, hard labels use the closed form; a lower bound for fewer labels holds for more of them."""


@dataclass(frozen=True)
class Level:
    """An access level at its size; `alpha` (lower, upper) is the independence number of a graph's power."""

    access: str
    name: str
    inputs: int
    labels: int
    k: int = 0
    graph: Graph | None = None
    hops: int = 0
    alpha: tuple[int, int] = (0, 0)

    @property
    def whole_rows(self) -> bool:
        """Whether one query of a row reveals all of it, so that the limit is that of soft labels."""
        few = self.access in ("partial", "top_k") and self.labels <= 2
        return self.access == "soft" or few or (self.access == "top_k" and self.k >= self.labels - 1)


@dataclass(frozen=True)
class Enough:
    """n suffices (None: beyond 2^53); `first` is the number below which it is proved not to, where `exact`."""

    n: int | None
    certificate: str
    tried: tuple[tuple[int, float], ...]
    exact: bool = False
    first: int = 0

    @classmethod
    def of(cls, found: Crossing, certificate: str, *, exact: bool = False) -> Enough:
        """Return a crossing with the words for it."""
        return cls(found.n, certificate, found.tried, exact, found.last_above + 1)


def level(access: Any, inputs: Any, labels: Any, k: Any, graph: Any, hops: Any, teacher: Teacher | None) -> Level:
    """Return the level, all arguments checked."""
    if access not in LEVELS:
        raise unknown_name("access level", access, LEVELS)
    for name, given, owner in (
        ("k", k is not None, "top_k"),
        ("graph", graph is not None, "gradient"),
        ("hops", hops != 1, "gradient"),
    ):
        if given and access != owner:
            raise ValueError(f"{name} is given: access {access!r} has none, only {owner!r} does")
        if name != "hops" and access == owner and not given:
            raise ValueError(f"{name} is missing: access {access!r} needs {name}=...")
    net = None if graph is None else as_graph(graph)
    sizes = {"inputs": inputs, "labels": labels}
    for name, source in (("inputs", net and net.vertices), ("inputs", teacher and teacher.inputs),
                         ("labels", teacher and teacher.labels)):  # fmt: skip
        if source is not None and sizes[name] is None:
            sizes[name] = source
        if source is not None and sizes[name] != source:
            whose = "graph" if net is not None and source == net.vertices else "teacher"
            raise ValueError(f"{name} = {sizes[name]!r}: the {whose} has {source}; omit {name}")
    for name, value in sizes.items():
        if value is None:
            raise ValueError(f"{name} is missing: give inputs= and labels=, or teacher=")
    S, A = (whole_number(value, name, low=1) for name, value in sizes.items())
    if access == "top_k":
        top = whole_number(k, "k", high=A)
        return Level("top_k" if top else "partial", f"top_k({top})", S, A, top)
    if net is None:
        return Level(access, access, S, A)
    from kt_theory.limits.graph import independence_number

    radius = whole_number(hops, "hops")
    found = independence_number(net, radius)
    return Level(access, access, S, A, graph=net, hops=radius, alpha=(found.lower, found.upper))


def student(level: Level) -> Any:
    """Return the level's student: minimax, but for hard labels, where it is the maximum likelihood one."""
    from kt_theory import students

    if level.access == "gradient":
        return students.grad_ful(level.graph, level.hops)
    if level.access == "top_k":
        return students.top_k(level.k)
    return students.STUDENTS[{"hard": "ce_sgl", "partial": "sel_ptl", "soft": "ce_ful"}[level.access]]


def surely_enough(level: Level, tv: float) -> int:
    """Return an n from the closed forms in mean at which the level's student succeeds on every teacher."""
    S, A = float(level.inputs), float(level.labels)
    if level.access == "hard":
        factor = math.sqrt(A) / 2 if S == 1 else math.sqrt(S * A) / 2 + math.sqrt(S)
        need = (factor / max(tv, TINY)) ** 2
    else:
        need = (S if level.access in ("soft", "gradient") else S * A) / tv
    return int(min(math.ceil(need) + 1, LARGEST_COUNT))


def enough(level: Level, tv: float) -> Enough:
    """Return the least n with a proved upper bound of the minimax risk in mean of at most tv."""
    S, A = level.inputs, level.labels
    if level.whole_rows or level.access == "gradient":
        size = level.alpha[1] if level.access == "gradient" else S
        spread, exact = 1.0 - 1.0 / A, level.access != "gradient" or level.alpha[0] == level.alpha[1]
        found = first_below(
            lambda n: spread * unvisited_mass(size, n).value, tv, start=surely_enough(level, tv), digits=FINE, power=1.0
        )
        what = "alpha" if level.access == "gradient" else "S"
        words = f"(1-1/A) max_rho sum_s rho_s (1-rho_s)^n <= tv, {what} = {size} inputs"
        return Enough.of(found, words + ("; exact" if exact else "; alpha is known within bounds"), exact=exact)
    if level.access == "hard":
        return _hard_enough(level, tv)
    upper = _partial_upper(level)
    found = first_below(upper, tv, start=0.2 * S * A / tv, digits=STEP, power=1.0)
    words = "certified upper bound of the minimax risk for all teachers (concave majorisation); n within 1/1000 of it"
    return Enough.of(found, words)


def too_few(level: Level, tv: float, n: int | None) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv."""
    if tv >= 1.0 - 1.0 / level.labels:
        return 0
    size = level.alpha[0] if level.access == "gradient" else level.inputs
    spread = 1.0 - 1.0 / level.labels
    soft = first_below(lambda n: spread * unvisited_mass(size, n).value, tv, start=size / tv, digits=FINE, power=1.0)
    best = soft.last_above + 1
    if level.whole_rows or level.access == "gradient":
        return best
    power = 2.0 if level.access == "hard" else 1.0
    theorem = {"hard": "3.1", "partial": "4.1"}.get(level.access)
    if theorem is not None:
        start = surely_enough(level, tv) / 8
        rule = lambda n: float(np.nan_to_num(bounds.curve(theorem, level.inputs, level.labels, n)[0]))  # noqa: E731
        best = max(best, _proved_below(rule, tv, start, power, looks=8))
    if level.access == "hard" and (n is None or n <= CROSSING * level.inputs * level.labels):
        # A student of hard labels is one of partial labels that ignores the probabilities.
        best = max(best, too_few(replace(level, access="partial", name="partial"), tv, n))
    sharp = _sharp_lower(level)
    if sharp is None:
        return best
    if level.access == "hard":
        start = level.inputs * (level.labels - 1) / (2 * math.pi * max(tv, TINY) ** 2)
    else:
        start = 0.15 * level.inputs * min(level.labels, DEAR_LABELS[level.access]) / tv
    start = min(start, n or start)
    one = level.inputs == 1 and level.labels <= FEW
    if start <= FEW or one or (level.access != "hard" and level.labels <= 20):
        found = first_below(sharp, tv, start=start, digits=STEP - 2, power=power)
        return max(best, found.last_above + 1)
    return max(best, _proved_below(sharp, tv, start, power, looks=LOOKS))


def enough_surely(level: Level, tv: float, delta: float, teacher: Teacher | None = None) -> Enough:
    """Return the least n with a proved P(TV > tv) <= delta."""
    from kt_theory.risk.missing_mass import missing_mass_bounds

    S, A = level.inputs, level.labels
    start = surely_enough(level, tv)
    if level.access == "hard":
        found = first_below(
            lambda n: float(bounds.curve("3.2-delta", S, A, n, delta)[0]) if n else 1.0,
            tv, start=start, digits=FINE, power=2.0,
        )  # fmt: skip
        return Enough.of(found, "Theorem 3.2 with probability 1-delta, ce_sgl, every teacher")
    whole = level.whole_rows or level.access == "gradient"
    atoms = S if whole else S * A
    if teacher is not None and level.access == "soft":
        law = _law_enough(teacher, tv, delta, start)
        if law is not None:
            return law
    words = "(1-1/A) times the Chernoff bound of the missing mass of the inputs" if whole else (
        "(1-1/A) times the Chernoff bound of the missing mass of the S A pairs, which bounds the loss of equal sharing "
        "and is sharper than Theorem 4.4"
    )  # fmt: skip
    if atoms > LARGEST_COUNT:
        return Enough(None, words, ())
    spread = 1.0 - 1.0 / A
    found = first_below(
        lambda n: spread * missing_mass_bounds(atoms, n, delta).sharper if n else spread,
        tv, start=start, digits=FINE, power=1.0,
    )  # fmt: skip
    return Enough.of(found, words + ", every teacher")


def _law_enough(teacher: Teacher, tv: float, delta: float, start: int) -> Enough | None:
    from kt_theory.risk.cost import NoExactRisk
    from kt_theory.risk.missing_mass import ce_ful_weights, missing_mass_law

    weights = ce_ful_weights(teacher)

    def quantile(n: int) -> float:
        return missing_mass_law(teacher, n, weights=weights).quantile(1.0 - delta)

    try:
        found = first_below(quantile, tv, start=start, digits=FINE, power=None)
    except NoExactRisk:
        return None
    return Enough.of(found, "exact quantile of the loss of ce_ful on this teacher", exact=True)


def _hard_enough(level: Level, tv: float) -> Enough:
    S, A = level.inputs, level.labels
    closed = first_below(
        lambda n: float(bounds.curve("3.2-mean", S, A, n)[0]) if n else 1.0,
        tv, start=surely_enough(level, tv), digits=FINE, power=2.0,
    )  # fmt: skip
    fallback = Enough.of(closed, "Theorem 3.2 in mean, sqrt(SA/n)/2 + sqrt(S/n)")
    if (S > 1 and DEAR_LABELS["hard"] < A) or S > LARGEST_INPUTS or A > LARGEST_HARD:
        return fallback
    words = "certified upper bound of the minimax risk (shrinkage students)"
    if S == 1:
        found = first_below(
            lambda n: _hard_upper(1, A, n), tv, start=A / (6.3 * max(tv, TINY) ** 2), digits=STEP, power=2.0
        )
        return Enough.of(found, words + "; n within 1/1000 of it")
    row = first_below(lambda n: _hard_upper(1, A, n), tv, start=A / (6.3 * max(tv, TINY) ** 2), digits=9, power=2.0)
    # One input after n/S visits is nearly as hard as S inputs: the first look lands within 1 % and mostly suffices.
    at = min(math.ceil(1.004 * S * (row.n or LARGEST_COUNT)), LARGEST_COUNT)
    tried: dict[int, float] = {}
    for _ in range(LOOKS):
        tried[at] = _hard_upper(S, A, at)
        excess = tried[at] / tv
        if 0.993 <= excess <= 1.0 or (at == LARGEST_COUNT and excess > 1.0):
            break
        at = min(max(1, math.ceil(at * (excess / 0.998) ** 2)), LARGEST_COUNT)
    fine = [n for n, value in tried.items() if value <= tv]
    if not fine:
        return fallback
    return Enough(min(fine), words + "; n within about 1 % of it", tuple(sorted(tried.items())))


def _proved_below(lower: Callable[[int], float], tv: float, start: float, power: float, looks: int) -> int:
    """Return 1 + the largest n tried with lower(n) > tv, 0 if there is none: secant steps in logarithms."""
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


def _sharp_lower(level: Level) -> Callable[[int], float] | None:
    """Return a certified lower bound of the minimax risk, None beyond the sizes that it is proved for."""
    access, S, A = level.access, level.inputs, level.labels
    if S > LARGEST_INPUTS or (access == "hard" and A > LARGEST_HARD):
        return None
    if access == "hard":
        return lambda n: _hard_lower(S, A, n)
    # The other labels have probability 0, and the student may know it.
    if level.k >= DEAR_LABELS[access] - 1:
        return None
    return lambda n: _partial_lower(S, min(A, DEAR_LABELS[access]), n, level.k)


def _partial_upper(level: Level) -> Callable[[int], float]:
    """Return the certified upper bound of partial labels or top-k."""
    S, A, k = level.inputs, level.labels, level.k
    if S > LARGEST_INPUTS:
        return lambda n: min(1.0 - 1.0 / A, S * A / (n + 1.0))
    return lambda n: _partial_upper_at(S, A, n, k)


@cache
def _partial_upper_at(inputs: int, labels: int, n: int, k: int) -> float:
    from kt_theory.limits.coverage import hidden_bound, many_rows_bound, one_row_bound
    from kt_theory.limits.three import three_labels_bound

    if n == 0:
        return 1.0 - 1.0 / labels
    if labels == 3:
        partial = 0.5 * unvisited_mass(2, n).value if inputs == 1 else three_labels_bound(inputs, n)
    else:
        partial = one_row_bound(labels, n) if inputs == 1 else many_rows_bound(inputs, labels, n)
    if k == 0:
        return partial
    hidden = labels - k
    if inputs > 1:
        return min(partial, many_rows_bound(inputs, labels, n, k))
    return min(partial, hidden_bound(hidden, n, 1 / (k + 1), hidden / labels))


@cache
def _partial_lower(inputs: int, labels: int, n: int, k: int) -> float:
    from kt_theory.limits.rows import FewLevels
    from kt_theory.limits.search import many_rows, one_row

    family = FewLevels(labels, n, k)
    return (one_row(family) if inputs == 1 else many_rows(family, inputs)).value


@cache
def _hard_upper(inputs: int, labels: int, n: int) -> float:
    from kt_theory.limits.hard import ROUNDING, hard_limit
    from kt_theory.limits.hard_inputs import inputs_upper

    if n == 0:
        return 1.0 - 1.0 / labels
    if inputs == 1:
        return hard_limit(1, labels, n).upper
    return inputs_upper(inputs, labels, n) * (1.0 + ROUNDING)


@cache
def _hard_lower(inputs: int, labels: int, n: int) -> float:
    from kt_theory.limits.hard import ROUNDING, hard_limit
    from kt_theory.limits.hard_inputs import inputs_lower

    if inputs == 1:
        return hard_limit(1, labels, n).lower
    return inputs_lower(inputs, labels, n) * (1.0 - ROUNDING)
