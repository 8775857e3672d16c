"""Exact risks of the students: sums over rows and visit counts, without randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kt_theory.graphs import as_graph
from kt_theory.queries.laws import QueryLaw, as_queries, is_default
from kt_theory.exact.settled import hidden_mass_loss, prior_risk, shown_limit, shown_loss, shrunk_risk
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.empirical import empirical_loss
from kt_theory.exact.informed import (
    greedy_limit,
    greedy_loss,
    masked_risk,
    mixed_loss,
    non_target_loss,
    pooled_teacher,
)
from kt_theory.exact.reweighted import reweighted_limit, reweighted_loss
from kt_theory.exact.smoothed import smoothed_loss
from kt_theory.exact.unseen import unseen_loss
from kt_theory.students import as_students
from kt_theory.teacher import RowClasses, Teacher
from kt_theory.validation import whole_number

__all__ = ["EXACT", "NoExactRisk", "exact_risk", "gradient_risk", "uniform_distance", "unvisited_risk"]


def exact_risk(teacher: Teacher, student: Any, n: Any, *, queries: QueryLaw | None = None) -> float | np.ndarray:
    """Return the exact risk E TV(student, pi | rho) after n samples, to about 13 digits.

    The risk is additive over the inputs, and an input sees only its own visit count k ~ Bin(n, rho_s):

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s) + sum_{k>=1} Bin(k; n, rho_s) E(row loss after k visits)].

    Equal rows of equal rho cost as much as one, whatever their number (`Teacher.classes`).

    Parameters
    ----------
    teacher : Teacher
        From a dense table or from row classes; grad_ful needs a dense table.
    student : str or Student
        ce_sgl, ce_ful, grad_ful, add_c (laplace, krichevsky_trofimov), logits, of complete rows tempered, rounded and
        quantised, argmax, argmax_hedged, non_target, hinton at temperature 1: any teacher. sel_ptl and top_k: rows of
        few distinct probabilities, or of up to about 20 labels. ce_ptl: rows of few distinct probabilities. jacobian:
        softmax-affine teachers. masked and grouped: teachers that agree with the mask or the groups.
    n : int or array_like of int, up to 2^53, or inf
        Number of samples; inf gives the limit, which is 0 but for ce_ptl and for answers that hide something
        for good.
    queries : QueryLaw, optional
        How inputs are chosen, from `kt_theory.queries`; iid from rho if omitted. iid and adaptive(weights): every
        student above. chain and episodes: ce_ful and grad_ful at any size, the others where a table over visits and
        inputs fits. two_stage: the risk of ce_ful and grad_ful once the pilot asks every input, which is 0. Students
        with a prior: iid from rho alone.

    Returns
    -------
    float, or an array of the shape of n.

    Raises
    ------
    NoExactRisk
        If the student has no exact risk, or none is to be had in reasonable time; decided before any long computation.
    ValueError
        If n is not a whole number or the student is unknown.
    """
    if not isinstance(teacher, Teacher):
        raise ValueError(f"teacher is a {type(teacher).__name__}: must be a Teacher")
    chosen, *others = as_students(student)
    if others:
        raise ValueError(f"student names {1 + len(others)} students: give one at a time")
    if not chosen.exact:
        raise NoExactRisk(f"student {chosen.name!r} has no exact risk: use simulate(teacher, student, n)")
    chosen.refuse_other_sizes((teacher.inputs, teacher.labels))
    kind, *parameters = chosen.exact
    sizes = _sizes(n)
    if queries is not None and not is_default(as_queries(queries, teacher.inputs)):
        from kt_theory.exact.queried import queried_risk

        if kind != "jacobian":
            return _shaped(queried_risk(teacher, chosen, sizes, queries), n)
    if kind == "jacobian":
        parameters[0].refuse_impossible(teacher.pi)
        return _shaped(np.where(sizes == 0, teacher.rho @ uniform_distance(teacher.pi), 0.0), n)
    if kind == "masked":
        return _shaped(masked_risk(teacher, chosen, sizes, EXACT, unvisited_risk), n)
    if kind == "grouped":
        return exact_risk(pooled_teacher(teacher, chosen, parameters[1]), parameters[0], n)
    if kind == "grad_ful":
        graph, hops = parameters
        return gradient_risk(teacher, graph, hops, n)
    if kind == "shrink" and chosen.prior is not None:
        return _shaped(shrunk_risk(teacher, chosen.prior, parameters[0], sizes), n)
    fallback = chosen.prior if kind == "with_prior" else None
    if fallback is not None:
        kind, *parameters = parameters
    loss, limit = EXACT[kind]
    finite = np.isfinite(sizes)
    risk = np.empty(len(sizes))
    if not finite.all():
        risk[~finite] = limit(teacher.classes, *parameters)
    if finite.any():
        visited = loss(teacher.classes, sizes[finite], *parameters)
        if fallback is None:
            risk[finite] = unvisited_risk(teacher.classes, sizes[finite]) + visited
        else:
            risk[finite] = prior_risk(teacher, fallback, sizes[finite]) + visited
    return _shaped(risk, n)


def gradient_risk(teacher: Teacher, graph: Any, hops: int, n: Any) -> float | np.ndarray:
    """Return the exact risk of grad_ful: sum_s rho_s (1 - rho(N_h[s]))^n TV(Uniform, pi_s).

    An input stays unknown as long as no sample falls within `hops` edges of it.

    Parameters
    ----------
    teacher : Teacher
        With a dense table: the vertices of the graph are its inputs.
    graph : Graph, networkx.Graph or (S, S) adjacency
    hops : int
    n : int or array_like of int, or inf

    Returns
    -------
    float, or an array of the shape of n.
    """
    net = as_graph(graph)
    radius = whole_number(hops, "hops")
    rho, distance = teacher.rho, uniform_distance(teacher.pi)
    if net.vertices != teacher.inputs:
        raise ValueError(f"graph has {net.vertices} vertices: the teacher has {teacher.inputs} inputs, one vertex each")
    balls = net.balls(radius)
    hit = np.minimum(balls @ rho, 1.0)
    missed = 1.0 - hit
    for s in np.flatnonzero(missed < 0.5):
        # The difference from 1 would cancel: add up what lies outside.
        outside = rho.copy()
        outside[balls.indices[balls.indptr[s] : balls.indptr[s + 1]]] = 0.0
        missed[s] = outside.sum()
    log = _log_missed(hit, missed)
    risk = np.array([(rho * distance) @ _power(log, draws) for draws in _sizes(n)])
    return _shaped(risk, n)


def uniform_distance(rows: np.ndarray) -> np.ndarray:
    """Return TV(Uniform, row) of each row, the loss of an unvisited row for all of the paper's students."""
    return np.maximum(rows - 1.0 / rows.shape[1], 0.0).sum(axis=1)


def unvisited_risk(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s (1-rho_s)^n TV(Uniform, pi_s), which is all of the risk of ce_ful, (N,).

    Zhao and Zhu (2023), Theorem 5.2 and section 6 (the uniform distribution on unvisited rows).
    """
    weight = classes.rho * classes.multiplicity * uniform_distance(classes.rows)
    hit = np.minimum(classes.rho, 1.0)
    log = _log_missed(hit, 1.0 - hit)
    return np.array([weight @ _power(log, draws) for draws in n])


def _log_missed(hit: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return log(1 - hit), given missed = 1 - hit to its own relative accuracy."""
    with np.errstate(divide="ignore"):
        return np.where(hit < 0.5, np.log1p(-np.minimum(hit, 0.5)), np.log(missed))


def _power(log: np.ndarray, n: float) -> np.ndarray:
    """Return exp(n log), with 0^0 = 1 and 1^inf = 1."""
    if n == 0:
        return np.ones(len(log))
    return np.exp(n * log) if np.isfinite(n) else (log == 0).astype(np.float64)


def _nothing(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    return np.zeros(len(n))


def _vanishes(classes: RowClasses, *parameters: Any) -> float:
    return 0.0


EXACT: dict[str, tuple[Callable[..., np.ndarray], Callable[..., float]]] = {
    "ce_sgl": (empirical_loss, _vanishes),
    "ce_ptl": (reweighted_loss, reweighted_limit),
    "sel_ptl": (unseen_loss, _vanishes),
    "top_k": (unseen_loss, _vanishes),
    "ce_ful": (_nothing, _vanishes),
    "add_c": (smoothed_loss, _vanishes),
    "shown": (shown_loss, shown_limit),
    "hidden_mass": (hidden_mass_loss, _vanishes),
    "mixed": (mixed_loss, _vanishes),
    "argmax": (greedy_loss, greedy_limit),
    "non_target": (non_target_loss, _vanishes),
}
"""Formula to (risk on visited rows given (classes, n, *parameters), limit for n -> infinity (classes, *parameters))."""


def _sizes(n: Any) -> np.ndarray:
    """Return n as a flat float64 array of whole numbers in [0, 2^53], or inf."""
    values = list(np.ravel(np.asarray(n, dtype=object)))
    if not values:
        raise ValueError("n = []: give at least one number of samples")
    infinite = [isinstance(value, (float, np.floating)) and value == np.inf for value in values]
    return np.array([np.inf if inf else float(whole_number(v, "n")) for v, inf in zip(values, infinite, strict=True)])


def _shaped(risk: np.ndarray, n: Any) -> float | np.ndarray:
    return float(risk[0]) if np.ndim(n) == 0 else risk.reshape(np.shape(n))
