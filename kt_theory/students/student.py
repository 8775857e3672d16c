"""Students: row rules with a name, the access level they need and where they come from.

A row rule sees one input only and writes one distribution over the labels:

    rule(counts, revealed, out)
        counts    (A,) int64    how often the queries at this input returned each label
        revealed  (A,) float64  what the student's access level shows of pi(a|s), NaN where it is hidden
        out       (A,) float64  the student's distribution, to be overwritten: its prior row, NaN if it has none

A table rule sees all inputs at once, three arrays (S, A), for students that learn something from all rows together.
The Monte Carlo engine compiles them; called from Python they run as they stand, which makes them their own oracles.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import HARD, PARTIAL, SOFT, Access, AccessError, as_access, gradient
from kt_theory.access import top_k as access_top_k
from kt_theory.validation import distributions, unknown_name


@dataclass(frozen=True, eq=False)
class _Rule:
    py_func: Callable[[np.ndarray, np.ndarray, np.ndarray], None]

    def __call__(self, counts: np.ndarray, revealed: np.ndarray, out: np.ndarray) -> None:
        """Run the rule in plain Python."""
        self.py_func(counts, revealed, out)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a rule that was defined with the decorator by its name: that name now means the rule."""
        module, name = self.py_func.__module__, self.py_func.__qualname__
        if getattr(sys.modules.get(module), name, None) is self:
            return _rule_by_name, (module, name)
        return type(self), (self.py_func,)


class RowRule(_Rule):
    """A row rule: `py_func(counts, revealed, out)`, compiled when the engine first needs it."""


class TableRule(_Rule):
    """A table rule: `py_func(counts, revealed, out)` on all rows together, compiled when the engine first needs it."""


def _rule_by_name(module: str, name: str) -> RowRule | TableRule:
    return getattr(importlib.import_module(module), name)


def row_rule(function: Callable[[np.ndarray, np.ndarray, np.ndarray], None]) -> RowRule:
    """Mark `function(counts, revealed, out)` as a row rule, to be compiled by Numba when a simulation needs it.

    Its indices are checked against the bounds of the arrays in the first repeats of a simulation only, at most 64,
    because the checks double its time: a rule that leaves them later may do anything.

    A rule must be a function of its arguments alone: global names keep the value that they have when it is compiled,
    and a rule that draws random numbers would make results depend on the number of threads.

    Examples
    --------
    >>> import kt_theory as kt
    >>> @kt.row_rule
    ... def laplace(counts, revealed, out):
    ...     out[:] = (counts + 1.0) / (counts.sum() + counts.size)
    >>> student = kt.Student("laplace", access="hard", rule=laplace)
    """
    if not callable(function):
        raise ValueError(f"row_rule({function!r}): must be a function of (counts, revealed, out)")
    return RowRule(function)


def table_rule(function: Callable[[np.ndarray, np.ndarray, np.ndarray], None]) -> TableRule:
    """Mark `function(counts, revealed, out)` as a table rule: as `row_rule`, on arrays (S, A), once per transfer set.

    For students that pool rows, such as one unknown temperature for all of them. It costs four arrays of the teacher's
    size for each thread. Reductions along an axis do not compile to fast code; loops do.

    Examples
    --------
    >>> import kt_theory as kt
    >>> @kt.students.table_rule
    ... def label_marginal(counts, revealed, out):
    ...     out[:] = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])
    >>> student = kt.Student("label_marginal", access="hard", rule=label_marginal)
    """
    if not callable(function):
        raise ValueError(f"table_rule({function!r}): must be a function of (counts, revealed, out)")
    return TableRule(function)


@dataclass(frozen=True, eq=False)
class Student:
    """A student on finite domains.

    Parameters
    ----------
    name : str
        Names its rows in result tables.
    access : Access or str
        The level it needs; it sees exactly what this level reveals, even where more is granted.
    rule : RowRule or TableRule
        See `row_rule` and `table_rule`. A plain function is wrapped as a row rule.
    reference : str
        Where it is defined.
    exact : tuple
        The formula of its exact risk and that formula's parameters, if `exact_risk` has one.
    prior : (S, A) array_like, optional
        What the student believes before the first query, rows that sum to 1: its rule finds them in `out`, whose
        entries are NaN otherwise.
    sizes : (int or None, int or None)
        The inputs and labels that its knowledge is about, None where any number will do.
    """

    name: str
    access: Access
    rule: RowRule | TableRule
    reference: str = ""
    exact: tuple[Any, ...] = ()
    prior: np.ndarray | None = None
    sizes: tuple[int | None, int | None] = (None, None)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip()):
            raise ValueError(f"name = {self.name!r}: must be a word that names the student's rows in tables")
        object.__setattr__(self, "access", as_access(self.access))
        if not isinstance(self.rule, (RowRule, TableRule)):
            object.__setattr__(self, "rule", row_rule(self.rule))
        if self.prior is not None:
            object.__setattr__(self, "prior", distributions(self.prior, "prior", 2))

    def table(self, counts: ArrayLike, revealed: ArrayLike) -> np.ndarray:
        """Return the student's table (S, A) learnt from counts (S, A) and what was revealed (S, A), in plain Python.

        The counts are those that its access level shows, `access.seen_counts`.
        """
        whole = np.ascontiguousarray(counts, dtype=np.int64)
        shown = np.ascontiguousarray(revealed, dtype=np.float64)
        self.refuse_other_sizes(whole.shape)
        out = self.before(whole.shape)
        if isinstance(self.rule, TableRule):
            self.rule(whole, shown, out)
            return out
        for row_counts, row_shown, row_out in zip(whole, shown, out, strict=True):
            self.rule(row_counts, row_shown, row_out)
        return out

    def refuse_other_sizes(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if a teacher of this shape, (S, A), is not one that the student's knowledge is about."""
        for what, known, given in zip(("inputs", "labels"), self.sizes, shape, strict=True):
            if known not in (None, given):
                raise ValueError(
                    f"student {self.name!r}: what it knows is about {known} {what}: the teacher has {given}"
                )

    def before(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return what the rule finds in `out`: a copy of the prior, whose shape must be `shape` = (S, A), or NaN."""
        if self.prior is None:
            return np.full(shape, np.nan)
        if self.prior.shape != shape:
            raise ValueError(
                f"student {self.name!r}: prior has shape {self.prior.shape}: must be the teacher's {shape}, "
                "one row for each input"
            )
        return self.prior.copy()

    def __repr__(self) -> str:
        return f"Student({self.name}, access={self.access.name})"


def _ce_sgl(counts, revealed, out):
    visits = counts.sum()
    if visits == 0:
        out[:] = 1.0 / counts.size
    else:
        out[:] = counts / visits


def _ce_ptl(counts, revealed, out):
    total = 0.0
    for a in range(counts.size):
        out[a] = counts[a] * revealed[a] if counts[a] > 0 else 0.0
        total += out[a]
    if total == 0.0:
        out[:] = 1.0 / counts.size
    else:
        out /= total


def _share_the_rest(counts, revealed, out):
    known_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        known = not np.isnan(revealed[a])
        known_mass += revealed[a] if known else 0.0
        hidden += 0 if known else 1
    left = 1.0 - known_mass
    if left <= counts.size * 2.0**-52:
        left = 0.0  # the rounding of the sum, not mass
    share = left / max(hidden, 1)
    for a in range(counts.size):
        out[a] = share if np.isnan(revealed[a]) else revealed[a]


def _good_turing(counts, revealed, out):
    visits = counts.sum()
    once = 0
    unseen = 0
    for count in counts:
        once += count == 1
        unseen += count == 0
    if visits == 0:
        out[:] = 1.0 / counts.size
    elif unseen == 0:
        out[:] = counts / visits
    else:
        out[:] = counts * ((1.0 - once / visits) / visits)
        for a in range(counts.size):
            if counts[a] == 0:
                out[a] = once / visits / unseen


_LARGEST_C = 1e100
_PAPER = "Zhao and Zhu (2023), arXiv 2310.07838"

CE_SGL = Student(
    "ce_sgl", HARD, RowRule(_ce_sgl), f"{_PAPER}, (3.3): n_sa / n_s, the maximum likelihood student", ("ce_sgl",)
)
CE_PTL = Student(
    "ce_ptl", PARTIAL, RowRule(_ce_ptl), f"{_PAPER}, (4.3): proportional to n_sa pi(a|s); biased", ("ce_ptl",)
)
SEL_PTL = Student(
    "sel_ptl",
    PARTIAL,
    RowRule(_share_the_rest),
    f"{_PAPER}, (4.7): pi(a|s) on seen labels, the rest of the mass in equal shares on the unseen ones",
    ("sel_ptl",),
)
CE_FUL = Student("ce_ful", SOFT, RowRule(_share_the_rest), f"{_PAPER}, (5.2): pi(.|s) on visited inputs", ("ce_ful",))

STUDENTS: dict[str, Student] = {student.name: student for student in (CE_SGL, CE_PTL, SEL_PTL, CE_FUL)}
"""The paper's four students by name. All of them write Uniform(A) on an unvisited input."""


def top_k(k: int, *, sampled: bool = True) -> Student:
    """Return the student of top-k access: exact on the k most probable and the sampled labels, the rest shared equally.

    It is exactly minimax for this access, for every n, S and A: averaged over label permutations any student treats the
    hidden labels alike, and among those equal shares lose least. k = 0 is `sel_ptl`.

    Without the sampled label no number of queries shows the tail, so that a visited row keeps a floor: with M its
    probability and A - k its labels,

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s) + (1 - (1-rho_s)^n) 1/2 sum_tail |p - M/(A-k)|].

    Parameters
    ----------
    k : int
        At least 0, or 1 if not sampled.
    sampled : bool
        Whether the query also reveals the sampled label.
    """
    level = access_top_k(k, sampled=sampled)
    known = ("top_k", level.top) if sampled else ("shown", None, level.top)
    return Student(level.name, level, RowRule(_share_the_rest), "equal sharing of the hidden mass", known)


def add_c(c: float) -> Student:
    """Return the hard-label student that adds c to each count: (n_sa + c) / (n_s + c A).

    c = 1 is Laplace's rule, c = 1/2 Krichevsky and Trofimov's; `kt_theory.best_add_c` gives the c whose certified
    worst case is smallest at given A and n. c = 0 is `ce_sgl`.

    Parameters
    ----------
    c : float
        From 0 to 10^100.
    """
    if isinstance(c, bool) or not isinstance(c, Real) or not 0.0 <= c <= _LARGEST_C:
        raise ValueError(f"c = {c!r}: must be a number from 0 to {_LARGEST_C:g}")
    amount = float(c)

    def rule(counts, revealed, out):
        total = counts.sum() + amount * counts.size
        if total == 0.0:
            out[:] = 1.0 / counts.size
        else:
            out[:] = (counts + amount) / total

    return Student(f"add_c({amount:g})", HARD, RowRule(rule), "additive smoothing", ("add_c", amount))


def grad_ful(graph: Any, hops: int = 1) -> Student:
    """Return the student of logits with gradient information: exact on what is revealed, uniform elsewhere.

    Its risk is sum_s rho_s (1 - rho(N_h[s]))^n TV(Uniform, pi_s), where N_h[s] is the ball of radius `hops` at s: a row
    stays unknown only if no query fell into its ball. On a graph without edges it is `ce_ful`.

    Parameters
    ----------
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        Undirected, one vertex per input; `kt_theory.graphs` has path, cycle, grid, hypercube and complete.
    hops : int
        The order of derivatives that a query reveals, at least 0.
    """
    level = gradient(graph, hops)
    name = level.name.replace("gradient", "grad_ful", 1)
    known = ("grad_ful", level.graph, level.hops)
    return Student(name, level, RowRule(_share_the_rest), "logits and their gradients along a graph", known)


NAMED: dict[str, Student] = {
    **STUDENTS,
    "laplace": replace(add_c(1.0), name="laplace", reference="Laplace (1774): add 1 to each count"),
    "krichevsky_trofimov": replace(
        add_c(0.5), name="krichevsky_trofimov", reference="Krichevsky and Trofimov (1981): add 1/2 to each count"
    ),
    "good_turing": Student(
        "good_turing",
        HARD,
        RowRule(_good_turing),
        "Good (1953): the share of labels seen once goes to the unseen ones, equally; the rest by frequency",
    ),
}
"""Every student that needs no parameter, by name: the paper's four and those that people compare with."""


def as_students(students: Any) -> list[Student]:
    """Return `students`, one or several names or `Student` objects, as a list."""
    if isinstance(students, (str, Student)):
        students = [students]
    elif isinstance(students, Mapping):
        students = students.values()
    elif not isinstance(students, Iterable):
        raise ValueError(f"students = {students!r}: must be a name, a Student, or several of them")
    result = [_as_student(student) for student in students]
    if not result:
        raise ValueError(f"students = []: give at least one of {', '.join(STUDENTS)}, or a Student")
    names = [student.name for student in result]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"students: {min(twice)!r} stands there twice; names tell the rows of the result apart")
    return result


def refuse_too_little_access(students: Iterable[Student], granted: Access) -> None:
    """Raise AccessError, naming both levels, if a student needs more than `granted` reveals."""
    for student in students:
        if not granted.covers(student.access):
            raise AccessError(
                f"student {student.name!r} needs access {student.access.name!r} ({student.access.description}), "
                f"but access {granted.name!r} is granted ({granted.description})"
            )


_NEED_PARAMETERS = {
    "grad_ful": "grad_ful(graph, hops=1)",
    "top_k": "top_k(k)",
    "top_k_only": "top_k(k, sampled=False)",
    "add_c": "add_c(c)",
    "tempered": "tempered(tau)",
    "tempered_mle": "tempered_mle(tau)",
    "rounded": "rounded(step)",
    "quantised": "quantised(bits)",
    "noisy": "noisy(sigma)",
    "logits": "logits()",
    "jacobian": "jacobian(features)",
    "affine_ful": "affine_ful(features)",
    "with_prior": "with_prior(access, table)",
    "shrink": "shrink(table, weight)",
    "hinton": "hinton(alpha, temperature)",
    "masked": "masked(student, mask)",
    "grouped": "grouped(student, groups)",
    "features": "features(features)",
    "relations": "relations(distances)",
}


def _as_student(student: Any) -> Student:
    if isinstance(student, Student):
        return student
    if not isinstance(student, str):
        raise ValueError(
            f"student {student!r}: must be a name or a Student; wrap a rule in Student(name, access, rule)"
        )
    if student.split("(")[0] in _NEED_PARAMETERS:
        call = _NEED_PARAMETERS[student.split("(")[0]]
        raise ValueError(f"student {student!r} needs a parameter: give kt_theory.students.{call}")
    if student not in NAMED:
        raise unknown_name("student", student, NAMED)
    return NAMED[student]
