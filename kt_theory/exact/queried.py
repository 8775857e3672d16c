"""Exact risks where the queries are not simply iid from rho."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kt_theory.queries.laws import Design, Iid, QueryLaw, Trajectories
from kt_theory.queries.unseen import unseen_cost, unseen_sets
from kt_theory.queries.walks import never_met, reachable, sum_cost, sum_law, visit_counts, visit_counts_cost
from kt_theory.exact.cost import NoExactRisk, refuse_beyond
from kt_theory.exact.empirical import visit_window
from kt_theory.students.risk import EXACT, uniform_distance, unvisited_risk
from kt_theory.students import Student
from kt_theory.teacher import RowClasses, Teacher
from kt_theory.validation import LARGEST_COUNT

_NEVER = 1e-290
_NEGLIGIBLE = 1e-25
_WAY_OUT = "use simulate(teacher, student, n, queries=law)"


def queried_risk(teacher: Teacher, student: Student, sizes: np.ndarray, law: QueryLaw) -> np.ndarray:
    """Return the exact risk of `student` after `sizes` queries under `law`, (N,).

    With n_s the visits of input s and g the expected row loss, risk = sum_s rho_s sum_k P(n_s = k) g(k m; pi_s), m the
    labels per query. The law of n_s is Bin(n, q_s) for iid queries, a dynamic program for trajectories, and one number
    for a design. Students that know a row after one visit need P(n_s = 0) alone. On trajectories, visit counts of a
    probability below 1e-25 are left out.

    Parameters
    ----------
    teacher : Teacher
    student : Student
        With an exact risk.
    sizes : (N,) array of whole numbers or inf
    law : QueryLaw

    Raises
    ------
    NoExactRisk
    ValueError
        If that is more than 2^53 labels.
    """
    most = max((int(n) for n in sizes if n < np.inf), default=0)
    if most * law.labels_per_query > LARGEST_COUNT:
        raise ValueError(f"n = {most}: with {law.labels_per_query} labels per query that is more than 2^53 labels")
    kind, *parameters = student.exact
    if kind in ("ce_ful", "grad_ful") and not (kind == "ce_ful" and isinstance(law, Iid)):
        return _whole_rows(teacher, student, sizes, law)
    if kind not in EXACT:
        raise NoExactRisk(f"student {student.name!r} has no exact risk under {law.name} queries: {_WAY_OUT}")
    losses = _Losses(*EXACT[kind], parameters, law.labels_per_query)
    if isinstance(law, Iid):
        return _iid(teacher, law, sizes, losses)
    if isinstance(law, Design):
        return np.array([_design(teacher, law, n, losses) for n in sizes])
    if isinstance(law, Trajectories):
        return np.array([_trajectory(teacher, law, n, losses) for n in sizes])
    raise NoExactRisk(f"{law.name} queries depend on the labels drawn: {_WAY_OUT}")


class _Losses(NamedTuple):
    """A student's exact row losses: `visited` and `limit` as in `EXACT`."""

    visited: Callable[..., np.ndarray]
    limit: Callable[..., float]
    parameters: list[Any]
    labels_per_query: int

    def after(self, rows: np.ndarray, weight: np.ndarray, visits: np.ndarray) -> np.ndarray:
        """Return sum_i weight_i g(k m; row_i) for each k in `visits`, whole numbers or inf: (K,)."""
        classes = RowClasses(-np.sort(-rows, axis=1), np.ones(len(rows)), weight)
        loss = np.empty(len(visits))
        loss[visits == 0] = weight @ uniform_distance(rows)
        loss[visits == np.inf] = self.limit(classes, *self.parameters) if (visits == np.inf).any() else 0.0
        between = (visits > 0) & (visits < np.inf)
        if between.any():
            loss[between] = self.visited(classes, visits[between] * self.labels_per_query, *self.parameters)
        return loss


def _whole_rows(teacher: Teacher, student: Student, sizes: np.ndarray, law: QueryLaw) -> np.ndarray:
    """Return sum_s rho_s P(no query reveals row s) TV(Uniform, pi_s)."""
    sets = None if student.access.graph is None else student.access.balls(teacher.inputs).toarray()
    counts = [np.inf if n == np.inf else int(n) for n in sizes]
    refuse_beyond(unseen_cost(law, counts), f"{student.name} under {law.name} queries", _WAY_OUT)
    try:
        missed = unseen_sets(law, counts, teacher.rho, sets)
    except ValueError as error:
        raise NoExactRisk(f"{error}: {_WAY_OUT}") from None
    return missed @ (teacher.rho * uniform_distance(teacher.pi))


def _iid(teacher: Teacher, law: Iid, sizes: np.ndarray, losses: _Losses) -> np.ndarray:
    """Return the risk of iid queries: sum_s rho_s E g(k m; pi_s), k ~ Bin(n, q_s)."""
    finite = np.isfinite(sizes)
    risk = np.empty(len(sizes))
    if not finite.all():
        risk[~finite] = _iid_limit(teacher, law, losses)
    classes, never = _classes(teacher, law)
    if finite.any():
        risk[finite] = never + unvisited_risk(classes, sizes[finite]) + _visited(classes, sizes[finite], losses)
    return risk


def _iid_limit(teacher: Teacher, law: Iid, losses: _Losses) -> float:
    if law.q is None:
        return losses.limit(teacher.classes, *losses.parameters)
    asked = law.q > 0
    seen = losses.after(teacher.pi[asked], teacher.rho[asked], np.array([np.inf]))
    return float(seen[0] + teacher.rho[~asked] @ uniform_distance(teacher.pi[~asked]))


def _classes(teacher: Teacher, law: Iid) -> tuple[RowClasses, float]:
    """Return row classes with q in the place of rho and multiplicities that carry the weight, and the risk of the rest.

    sum_s rho_s E(loss; k ~ Bin(n, q_s)) is a sum over classes of q times multiplicity rho/q. The rest are inputs that
    2^53 queries miss for sure, to the last digit.
    """
    if law.q is None:
        return teacher.classes, 0.0
    q, rho, rows = law.q, teacher.rho, -np.sort(-teacher.pi, axis=1)
    never = float(rho[q < _NEVER] @ uniform_distance(rows[q < _NEVER]))
    asked = (q >= _NEVER) & (rho > 0)
    keys, which = np.unique(np.column_stack([q, rows])[asked], axis=0, return_inverse=True)
    weight = np.bincount(which.ravel(), weights=rho[asked], minlength=len(keys))
    return RowClasses(np.ascontiguousarray(keys[:, 1:]), keys[:, 0].copy(), weight / keys[:, 0]), never


def _visited(classes: RowClasses, n: np.ndarray, losses: _Losses) -> np.ndarray:
    """Return sum_s rho_s sum_{k >= 1} Bin(k; n, q_s) g(k m; pi_s), (N,)."""
    if losses.labels_per_query == 1:
        return losses.visited(classes, n, *losses.parameters)
    from kt_theory.kernels.exact import binomial_averages

    total = np.zeros(len(n))
    for q in np.unique(classes.rho[classes.rho > 0]):
        group = classes.rho == q
        weight = q * classes.multiplicity[group].astype(np.float64)
        for i in range(len(n)):
            low, high = visit_window(n[i : i + 1], min(float(q), 1.0))
            low = np.maximum(low, 1.0)
            refuse_beyond(float(high[0] - low[0]) ** 2, f"every visit count of an input at n = {n[i]:.0f}", _WAY_OUT)
            profile = losses.after(classes.rows[group], weight, np.arange(low[0], high[0] + 1))
            binomial_averages(
                n[i : i + 1], min(q, 1.0), 1.0 - min(q, 1.0), low, high, low[0], profile, total[i : i + 1]
            )
    return total


def _design(teacher: Teacher, law: Design, n: float, losses: _Losses) -> float:
    visits = law.visits(int(n)).astype(np.float64) if n < np.inf else np.where(law.weights > 0, np.inf, law.once)
    total = 0.0
    for k in np.unique(visits):
        at = visits == k
        total += float(losses.after(teacher.pi[at], teacher.rho[at], np.array([k]))[0])
    return total


def _trajectory(teacher: Teacher, law: Trajectories, n: float, losses: _Losses) -> float:
    asked = np.flatnonzero(teacher.rho > 0)
    if n == np.inf:
        return _endless(teacher, law, asked, losses)
    horizon = min(law.horizon or int(n), int(n))
    cost = visit_counts_cost(law.transitions, horizon) + sum_cost(horizon, int(n))
    refuse_beyond(len(asked) * cost, f"the visits of {len(asked)} inputs in {law.name} queries", _WAY_OUT)
    total = 0.0
    for s in asked:
        least, chance = _visit_law(law, law.first(teacher.rho), int(n), int(s))
        matters = np.flatnonzero(chance > _NEGLIGIBLE)
        loss = losses.after(teacher.pi[s : s + 1], teacher.rho[s : s + 1], least + matters.astype(np.float64))
        total += float(chance[matters] @ loss)
    return total


def _visit_law(law: Trajectories, start: np.ndarray, n: int, s: int) -> tuple[int, np.ndarray]:
    """Return (k0, P(n_s = k0), P(n_s = k0 + 1), ...); episodes are independent."""
    if law.horizon is None or law.horizon >= n:
        return 0, visit_counts(law.transitions, start, n, s)
    whole, rest = divmod(n, law.horizon)
    one, cut = (visit_counts(law.transitions, start, steps, s) for steps in (law.horizon, rest))
    least, chance = sum_law(one, whole)
    return least, np.convolve(chance, cut)


def _endless(teacher: Teacher, law: Trajectories, asked: np.ndarray, losses: _Losses) -> float:
    """Return the limit: an input is never visited or again and again, unless a chain leaves it for good."""
    start = law.first(teacher.rho)
    if law.horizon is None:
        reaches = reachable(law.transitions)
        leaves = asked[(reaches[asked] & ~reaches[:, asked].T).any(axis=1)]
        met = (start > 0) | (start[:, None] * reaches).any(axis=0)
        passing = leaves[met[leaves]]
        if len(passing):
            raise NoExactRisk(
                f"the chain leaves input {passing[0]} for good after a random number of visits: {_WAY_OUT}"
            )
        never = never_met(law.transitions, start, np.eye(teacher.inputs, dtype=bool))
    else:
        never = unseen_sets(law, [np.inf], teacher.rho)[0]
    total = 0.0
    for s in asked:
        blind, limit = losses.after(teacher.pi[s : s + 1], teacher.rho[s : s + 1], np.array([0.0, np.inf]))
        total += float(never[s] * blind + (1.0 - never[s]) * limit)
    return total
