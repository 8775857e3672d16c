"""The proved bounds behind the planner: when n queries suffice, when they cannot, at every access level."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from kt_theory.graphs import Graph, as_graph
from kt_theory.limits import bounds, minimax
from kt_theory.limits.soft import unvisited_mass
from kt_theory.planning.hard import hard_enough, hard_lower, joint_bound
from kt_theory.planning.rows import rows_lower, tail_floor, tail_lower, tail_upper
from kt_theory.planning.search import FINE, STEP, Enough, first_below, proved_below
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT, unknown_name, whole_number

LEVELS = tuple(dict.fromkeys((*minimax.LEVELS, "top_k_only")))
"""The access levels that the planner knows; top_k_only shows the k most probable labels, whatever was sampled."""

TINY = 1e-30
"""The smallest total variation that first guesses are made for: far below what 2^53 queries give."""

FEW = 200
"""Labels up to which the full search for the worst rows is cheap."""


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
        return self.access == "soft" or few or (bool(self.k) and self.k >= self.labels - 1)


def level(access: Any, inputs: Any, labels: Any, k: Any, graph: Any, hops: Any, teacher: Teacher | None) -> Level:
    """Return the level, all arguments checked."""
    if access not in LEVELS:
        raise unknown_name("access level", access, LEVELS)
    for name, given, owners in (
        ("k", k is not None, ("top_k", "top_k_only")),
        ("graph", graph is not None, ("gradient",)),
        ("hops", hops != 1, ("gradient",)),
    ):
        if given and access not in owners:
            raise ValueError(f"{name} is given: access {access!r} has none, only {' and '.join(owners)} have")
        if name != "hops" and access in owners and not given:
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
    if access == "top_k_only":
        top = whole_number(k, "k", low=1, high=A)
        return Level("top_k_only", f"top_k_only({top})", S, A, top)
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


def student_name(level: Level) -> str:
    """Return what the certificates call the level's student."""
    return "equal sharing of the tail" if level.access == "top_k_only" else str(student(level).name)


def surely_enough(level: Level, tv: float) -> int:
    """Return an n from the closed forms in mean at which the level's student succeeds on every teacher."""
    S, A = float(level.inputs), float(level.labels)
    if level.access == "hard":
        factor = math.sqrt(A) / 2 if S == 1 else math.sqrt(S * A) / 2 + math.sqrt(S)
        need = (factor / max(tv, TINY)) ** 2
    else:
        need = (S * A if level.access in ("partial", "top_k") else S) / tv
    return int(min(math.ceil(need) + 1, LARGEST_COUNT))


def enough(level: Level, tv: float) -> Enough:
    """Return the least n with a proved upper bound of the minimax risk in mean of at most tv."""
    S, A, k = level.inputs, level.labels, level.k
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
        return hard_enough(S, A, tv)
    if level.access == "top_k_only":
        found = first_below(lambda n: tail_upper(S, A, n, k), tv, start=S / tv, digits=FINE, power=None)
        return Enough.of(found, "floor F of the hidden tails, and F + (1-1/A-F) Phi(S, n) <= tv for all teachers")
    upper = lambda n: _partial_upper(level, tv, n)  # noqa: E731
    found = first_below(upper, tv, start=_partial_guess(level, tv), digits=STEP, power=1.0)
    words = "certified upper bound of the minimax risk for all teachers (concave majorisation); n within 1/1000 of it"
    return Enough.of(found, words)


def too_few(level: Level, tv: float, n: int | None) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv."""
    S, A, k = level.inputs, level.labels, level.k
    if tv >= 1.0 - 1.0 / A:
        return 0
    size, spread = (level.alpha[0] if level.access == "gradient" else S), 1.0 - 1.0 / A
    soft = first_below(lambda n: spread * unvisited_mass(size, n).value, tv, start=size / tv, digits=FINE, power=1.0)
    best = soft.last_above + 1
    if level.whole_rows or level.access == "gradient":
        return best
    if level.access == "top_k_only":
        return max(
            best, 1 + first_below(lambda n: tail_lower(S, A, n, k), tv, start=S, digits=STEP, power=None).last_above
        )
    if level.access == "hard":
        if n is None or n <= minimax.CROSSING * S * A:
            # A student of hard labels is one of partial labels that ignores the probabilities.
            best = max(best, too_few(replace(level, access="partial", name="partial"), tv, n))
        start, power, theorem = S * (A - 1) / (2 * math.pi * max(tv, TINY) ** 2), 2.0, "3.1"
    else:
        start, power, theorem = 0.15 * S * A / tv, 1.0, "4.1" if level.access == "partial" else ""
        found = first_below(lambda n: rows_lower(S, A, n, k) if n else 1.0, tv, start=start, digits=STEP, power=power)
        best = max(best, found.last_above + 1)
    if theorem:
        rule = lambda n: float(np.nan_to_num(bounds.curve(theorem, S, A, n)[0]))  # noqa: E731
        best = max(best, proved_below(rule, tv, surely_enough(level, tv) / 8, power, looks=8))
    start = min(start, n or start)
    if level.access == "hard":
        return max(best, hard_lower(S, A, tv, start))
    if A > FEW or S > minimax.LARGEST_INPUTS:
        return best
    sharp = lambda n: _partial_lower(S, A, n, k)  # noqa: E731
    if start <= FEW or A <= 20:
        return max(best, first_below(sharp, tv, start=best, digits=STEP - 2, power=power).last_above + 1)
    return max(best, proved_below(sharp, tv, best, power, looks=3))


def floor_of(level: Level, teacher: Teacher | None) -> float:
    """Return what the level's student loses after any number of queries, on the worst teacher or on the given one."""
    if level.access != "top_k_only":
        return 0.0
    if teacher is None:
        return tail_floor(level.labels, level.k)
    classes = teacher.classes
    return float((classes.multiplicity * classes.rho) @ _tail(classes.rows, level.k))


def tail_risk(teacher: Teacher, k: int, n: int) -> float:
    """Return sum_s rho_s [q_s TV(U, p_s) + (1-q_s) tail(p_s)], q = (1-rho)^n: the exact risk of top-k alone."""
    from kt_theory.risk.exact import uniform_distance

    classes = teacher.classes
    with np.errstate(divide="ignore"):
        unvisited = np.exp(n * np.log1p(-classes.rho)) if n else np.ones(len(classes.rho))
    loss = unvisited * uniform_distance(classes.rows) + (1.0 - unvisited) * _tail(classes.rows, k)
    return float((classes.multiplicity * classes.rho) @ loss)


def _tail(rows: np.ndarray, k: int) -> np.ndarray:
    """Return 1/2 sum_tail |p - M/(A-k)| of rows in descending order."""
    if k >= rows.shape[1]:
        return np.zeros(len(rows))
    tail = rows[:, k:]
    loss: np.ndarray = 0.5 * np.abs(tail - tail.mean(axis=1, keepdims=True)).sum(axis=1)
    return loss


def enough_surely(level: Level, tv: float, delta: float, teacher: Teacher | None = None) -> Enough:
    """Return the least n with a proved P(TV > tv) <= delta."""
    from kt_theory.risk.missing_mass import missing_mass_bounds

    S, A = level.inputs, level.labels
    start, floor = surely_enough(level, tv), floor_of(level, teacher)
    if level.access == "hard":
        found = first_below(lambda n: joint_bound(S, A, n, delta), tv, start=start, digits=FINE, power=2.0)
        words = "E TV of the joint frequencies and of the inputs' plus bounded differences, ce_sgl, every teacher"
        return Enough.of(found, words)
    if teacher is not None and (level.whole_rows or level.access == "top_k_only"):
        law = _law_enough(level, teacher, tv, delta, start)
        if law is not None:
            return law
    atoms = {"partial": S * A, "top_k": S * A}.get(level.access, S) if not level.whole_rows else S
    mass = "the inputs" if atoms == S else "the S A pairs, which bounds the loss of equal sharing"
    words = f"(1-1/A) times the Chernoff bound of the missing mass of {mass}"
    if floor:
        words = "floor F, and F + (1-1/A-F) times the Chernoff bound of the missing mass of the inputs"
    if atoms > LARGEST_COUNT:
        return Enough(None, words, ())
    spread = 1.0 - 1.0 / A - floor
    found = first_below(
        lambda n: floor + spread * missing_mass_bounds(atoms, n, delta).sharper if n else 1.0 - 1.0 / A,
        tv, start=start, digits=FINE, power=None if floor else 1.0,
    )  # fmt: skip
    return Enough.of(found, words + ", every teacher")


def _law_enough(level: Level, teacher: Teacher, tv: float, delta: float, start: int) -> Enough | None:
    from kt_theory.risk.cost import NoExactRisk
    from kt_theory.risk.missing_mass import ce_ful_weights, missing_mass_law

    weights, floor = ce_ful_weights(teacher), floor_of(level, teacher)
    if floor:
        # A visited row loses its tail, an unvisited one its distance to Uniform, which is no smaller.
        weights = np.maximum(weights - teacher.classes.rho * _tail(teacher.classes.rows, level.k), 0.0)

    def quantile(n: int) -> float:
        return floor + missing_mass_law(teacher, n, weights=weights).quantile(1.0 - delta)

    try:
        found = first_below(quantile, tv, start=start, digits=FINE, power=None)
    except NoExactRisk:
        return None
    return Enough.of(found, f"exact quantile of the loss of {student_name(level)} on this teacher", exact=True)


def _partial_upper(level: Level, tv: float, n: int) -> float:
    """Return a certified upper bound of partial labels or top-k: the dear ones only where the others exceed tv."""
    S, A, k = level.inputs, level.labels, level.k
    value = min(1.0 - 1.0 / A, S * A / (n + 1.0), tail_upper(S, A, n, k) if k else 1.0)
    for known in (k, 0) if k else (0,):
        if value > tv:
            value = min(value, _partial_upper_at(S, A, n, known))
    return value


def _partial_guess(level: Level, tv: float) -> float:
    """Return about the n at which the upper bound crosses tv: there the closed lower bound nearly does."""
    S, A, k = level.inputs, level.labels, level.k
    guess = lambda n: rows_lower(S, A, n, k) if n else 1.0  # noqa: E731
    found = first_below(guess, tv, start=0.15 * S * A / tv, digits=7, power=1.0)
    if k and tail_floor(A, k) < tv:
        cheap = first_below(lambda n: tail_upper(S, A, n, k), tv, start=S / tv, digits=STEP, power=None)
        return float(min(2 * (found.n or LARGEST_COUNT), cheap.n or LARGEST_COUNT))
    return float(found.n or LARGEST_COUNT)


@cache
def _partial_upper_at(inputs: int, labels: int, n: int, k: int) -> float:
    from kt_theory.limits.coverage import hidden_bound, many_rows_bound, one_row_bound
    from kt_theory.limits.three import three_labels_bound

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
    from kt_theory.limits.rows import FewLevels
    from kt_theory.limits.search import many_rows, one_row

    if n == 0:
        return 1.0 - 1.0 / labels
    family = FewLevels(labels, n, k)
    return (one_row(family) if inputs == 1 else many_rows(family, inputs)).value
