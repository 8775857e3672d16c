"""Exact risks where the queries are not simply iid from rho."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from kt_theory.exact.averages import visit_window
from kt_theory.exact.cost import NoExactRisk, refuse_beyond
from kt_theory.exact.unvisited import uniform_loss, unvisited_risk
from kt_theory.losses import TV, Loss, SumOverLabels
from kt_theory.queries.laws import Design, Iid, QueryLaw, Trajectories, TwoStage
from kt_theory.queries.walks import (
    never_met,
    reachable,
    sum_cost,
    sum_law,
    visit_counts,
    visit_counts_cost,
)
from kt_theory.teacher import RowClasses, Teacher
from kt_theory.validation import LARGEST_COUNT

if TYPE_CHECKING:
    from kt_theory.exact.risk import RowRisk

WAY_OUT = "use simulate(teacher, student, n, queries=law)"

_NEVER = 1e-290
_NEGLIGIBLE = 1e-25


def additive_risk(
    loss: RowRisk,
    teacher: Teacher,
    n: np.ndarray,
    law: QueryLaw,
) -> np.ndarray:
    """Return the exact risk of a student with these row losses after n queries under `law`, (N,).

    With n_s the visits of input s and g the expected row loss, risk = sum_s rho_s sum_k P(n_s = k)
    g(k m; pi_s), m the labels per query. The law of n_s is Bin(n, q_s) for iid queries, a dynamic
    program for trajectories, and one number for a design. On trajectories, visit counts of a
    probability below 1e-25 are left out.

    Parameters
    ----------
    loss : RowRisk
    teacher : Teacher
    n : (N,) array of whole numbers or inf
    law : QueryLaw

    Raises
    ------
    NoExactRisk
    ValueError
        If that is more than 2^53 labels.
    """
    refuse_too_many_labels(n, law)
    if loss.loss != TV:
        _refuse_loss(loss, teacher, law)
    match law:
        case Iid():
            return _iid(loss, teacher, n, law)
        case Design():
            return np.array([_design(loss, teacher, draws, law) for draws in n])
        case Trajectories():
            return np.array([_trajectory(loss, teacher, draws, law) for draws in n])
        case TwoStage():
            raise NoExactRisk(f"{law.name} queries depend on the labels drawn: {WAY_OUT}")
        case _:
            assert_never(law)


def unrevealed_risk(
    teacher: Teacher,
    n: np.ndarray,
    law: QueryLaw,
    student: str,
    balls: np.ndarray | None = None,
    loss: Loss = TV,
) -> np.ndarray:
    """Return sum_s rho_s P(no query reveals row s) loss(pi_s, Uniform), (N,).

    All of the risk of students that know a row after one visit.

    Parameters
    ----------
    teacher : Teacher
    n : (N,) array of whole numbers or inf
    law : QueryLaw
    student : str
        For the refusal.
    balls : (S, S) bool array, optional
        Whose row s marks the inputs whose query reveals row s; s alone if omitted.
    loss : Loss
    """
    refuse_too_many_labels(n, law)
    counts: list[Any] = [np.inf if draws == np.inf else int(draws) for draws in n]
    refuse_beyond(law.unseen_cost(counts, None), f"{student} under {law.name} queries", WAY_OUT)
    try:
        missed = law.unseen(counts, teacher.rho, balls)
    except ValueError as error:
        raise NoExactRisk(f"{error}: {WAY_OUT}") from None
    lost = uniform_loss(loss, teacher.pi)
    _refuse_infinite(loss, np.isinf(lost) & (teacher.rho > 0.0), law)
    return missed @ (teacher.rho * np.where(np.isinf(lost), 0.0, lost))


def refuse_too_many_labels(n: np.ndarray, law: QueryLaw) -> None:
    """Raise ValueError if the most queries of `n` return more than 2^53 labels."""
    most = int(n[n < np.inf].max(initial=0.0))
    if most * law.labels_per_query > LARGEST_COUNT:
        labels = f"{law.labels_per_query} labels per query"
        raise ValueError(f"n = {most}: with {labels} that is more than 2^53 labels")


def _refuse_loss(loss: RowRisk, teacher: Teacher, law: QueryLaw) -> None:
    if not isinstance(loss.loss, SumOverLabels):
        raise NoExactRisk(
            f"loss {loss.loss.name!r}: under {law.name} queries the labels of a row are sorted: "
            f"{_simulation(loss.loss)}"
        )
    endless = np.isinf(uniform_loss(loss.loss, teacher.pi)) | loss.unbounded(teacher.pi)
    _refuse_infinite(loss.loss, endless & (teacher.rho > 0.0), law)


def _refuse_infinite(loss: Loss, endless: np.ndarray, law: QueryLaw) -> None:
    """Raise `NoExactRisk` if a row may cost infinitely much: float64 does not tell a small chance
    of that from none.
    """
    if endless.any():
        raise NoExactRisk(
            f"loss {loss.name!r}: input {np.flatnonzero(endless)[0]} may cost infinitely much, and "
            f"{law.name} queries do not tell how likely: {_simulation(loss)} counts how often"
        )


def _simulation(loss: Loss) -> str:
    return f"simulate(teacher, student, n, queries=law, loss={loss.name!r})"


def _after(
    loss: RowRisk,
    law: QueryLaw,
    rows: np.ndarray,
    weight: np.ndarray,
    visits: np.ndarray,
) -> np.ndarray:
    """Return sum_i weight_i g(k m; row_i) for each k in `visits`, whole numbers or inf: (K,)."""
    falling = -np.sort(-rows, axis=1)
    classes = RowClasses(falling, np.ones(len(rows)), weight)
    found = np.full(len(visits), weight @ uniform_loss(loss.loss, rows))
    asked = visits > 0
    if asked.any():
        found[asked] = loss.once_visited(classes, visits[asked] * law.labels_per_query)
    return found


def _iid(
    loss: RowRisk,
    teacher: Teacher,
    n: np.ndarray,
    law: Iid,
) -> np.ndarray:
    """Return the risk of iid queries: sum_s rho_s E g(k m; pi_s), k ~ Bin(n, q_s)."""
    finite = np.isfinite(n)
    risk = np.empty(len(n))
    if not finite.all():
        risk[~finite] = _iid_limit(loss, teacher, law)
    classes, never = _classes(loss, teacher, law)
    if finite.any():
        unvisited = never + unvisited_risk(classes, n[finite], loss.loss)
        risk[finite] = unvisited + _visited(loss, classes, n[finite], law)
    return risk


def _iid_limit(loss: RowRisk, teacher: Teacher, law: Iid) -> float:
    if law.q is None:
        return loss.limit(teacher.classes)
    asked = law.q > 0
    endless = np.array([np.inf])
    seen = _after(loss, law, teacher.pi[asked], teacher.rho[asked], endless)
    never = teacher.rho[~asked] @ uniform_loss(loss.loss, teacher.pi[~asked])
    return float(seen[0] + never)


def _classes(loss: RowRisk, teacher: Teacher, law: Iid) -> tuple[RowClasses, float]:
    """Return row classes with q in the place of rho and multiplicities that carry the weight, and
    the risk of the rest.

    sum_s rho_s E(loss; k ~ Bin(n, q_s)) is a sum over classes of q times multiplicity rho/q. The
    rest are inputs that 2^53 queries miss for sure, to the last digit.
    """
    if law.q is None:
        return teacher.classes, 0.0
    q = law.q
    rho = teacher.rho
    rows = -np.sort(-teacher.pi, axis=1)
    never = float(rho[q < _NEVER] @ uniform_loss(loss.loss, rows[q < _NEVER]))
    asked = (q >= _NEVER) & (rho > 0)
    both = np.column_stack([q, rows])[asked]
    keys, which = np.unique(both, axis=0, return_inverse=True)
    weight = np.bincount(which.ravel(), weights=rho[asked], minlength=len(keys))
    rows = np.ascontiguousarray(keys[:, 1:])
    return RowClasses(rows, keys[:, 0].copy(), weight / keys[:, 0]), never


def _visited(
    loss: RowRisk,
    classes: RowClasses,
    n: np.ndarray,
    law: Iid,
) -> np.ndarray:
    """Return sum_s rho_s sum_{k >= 1} Bin(k; n, q_s) g(k m; pi_s), (N,)."""
    if law.labels_per_query == 1:
        return loss.visited(classes, n)
    from kt_theory.kernels.exact import binomial_averages

    total = np.zeros(len(n))
    for value in np.unique(classes.rho[classes.rho > 0]):
        group = classes.rho == value
        weight = value * classes.multiplicity[group].astype(np.float64)
        q = min(float(value), 1.0)
        for i in range(len(n)):
            one = n[i : i + 1]
            low, high = visit_window(one, q)
            low = np.maximum(low, 1.0)
            what = f"every visit count of an input at n = {n[i]:.0f}"
            refuse_beyond(float(high[0] - low[0]) ** 2, what, WAY_OUT)
            visits = np.arange(low[0], high[0] + 1)
            profile = _after(loss, law, classes.rows[group], weight, visits)
            binomial_averages(one, q, 1.0 - q, low, high, low[0], profile, total[i : i + 1])
    return total


def _design(
    loss: RowRisk,
    teacher: Teacher,
    n: float,
    law: Design,
) -> float:
    visits = law.visits(int(n)).astype(np.float64) if n < np.inf else law.for_ever()
    total = 0.0
    for k in np.unique(visits):
        at = visits == k
        lost = _after(loss, law, teacher.pi[at], teacher.rho[at], np.array([k]))
        total += float(lost[0])
    return total


def _trajectory(
    loss: RowRisk,
    teacher: Teacher,
    n: float,
    law: Trajectories,
) -> float:
    asked = np.flatnonzero(teacher.rho > 0)
    if n == np.inf:
        return _endless(loss, teacher, law, asked)
    horizon = min(law.horizon or int(n), int(n))
    cost = visit_counts_cost(law.transitions, horizon) + sum_cost(horizon, int(n))
    what = f"the visits of {len(asked)} inputs in {law.name} queries"
    refuse_beyond(len(asked) * cost, what, WAY_OUT)
    total = 0.0
    start = law.first(teacher.rho)
    for s in asked:
        least, chance = _visit_law(law, start, int(n), int(s))
        matters = np.flatnonzero(chance > _NEGLIGIBLE)
        visits = least + matters.astype(np.float64)
        one = slice(s, s + 1)
        total += float(
            chance[matters] @ _after(loss, law, teacher.pi[one], teacher.rho[one], visits)
        )
    return total


def _visit_law(
    law: Trajectories,
    start: np.ndarray,
    n: int,
    s: int,
) -> tuple[int, np.ndarray]:
    """Return (k0, P(n_s = k0), P(n_s = k0 + 1), ...); episodes are independent."""
    if law.horizon is None or law.horizon >= n:
        return 0, visit_counts(law.transitions, start, n, s)
    whole, rest = divmod(n, law.horizon)
    one = visit_counts(law.transitions, start, law.horizon, s)
    cut = visit_counts(law.transitions, start, rest, s)
    least, chance = sum_law(one, whole)
    return least, np.convolve(chance, cut)


def _endless(
    loss: RowRisk,
    teacher: Teacher,
    law: Trajectories,
    asked: np.ndarray,
) -> float:
    """Return the limit: an input is never visited or again and again, unless a chain leaves it for
    good.
    """
    start = law.first(teacher.rho)
    if law.horizon is None:
        reaches = reachable(law.transitions)
        leaves = asked[(reaches[asked] & ~reaches[:, asked].T).any(axis=1)]
        met = (start > 0) | (start[:, None] * reaches).any(axis=0)
        passing = leaves[met[leaves]]
        if len(passing):
            raise NoExactRisk(
                f"the chain leaves input {passing[0]} for good after a random number of visits: "
                f"{WAY_OUT}"
            )
        never = never_met(law.transitions, start, np.eye(teacher.inputs, dtype=bool))
    else:
        never = law.unseen([np.inf], teacher.rho, None)[0]
    total = 0.0
    ends = np.array([0.0, np.inf])
    for s in asked:
        one = slice(s, s + 1)
        blind, limit = _after(loss, law, teacher.pi[one], teacher.rho[one], ends)
        total += float(never[s] * blind + (1.0 - never[s]) * limit)
    return total
