"""Students whose answers reach beyond the row of their input: gradients along a graph, Jacobians by
features.
"""

from __future__ import annotations

from typing import Any

from kt_theory import access
from kt_theory.exact.reached import Balls, OneQuery
from kt_theory.students.rules import RowRule, share_the_rest
from kt_theory.students.student import Student


def grad_ful(graph: Any, hops: int = 1) -> Student:
    """Return the student of logits with gradient information: exact on what is revealed, uniform
    elsewhere.

    Its risk is sum_s rho_s (1 - rho(N_h[s]))^n TV(Uniform, pi_s), where N_h[s] is the ball of
    radius `hops` at s: a row stays unknown only if no query fell into its ball. On a graph without
    edges it is `ce_ful`.

    Parameters
    ----------
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        Undirected, one vertex per input; `kt_theory.graphs` has path, cycle, grid, hypercube and
        complete.
    hops : int
        The order of derivatives that a query reveals, at least 0.
    """
    level = access.gradient(graph, hops)
    name = level.name.replace("gradient", "grad_ful", 1)
    reference = "logits and their gradients along a graph"
    return Student(name, level, RowRule(share_the_rest), reference, Balls(level.reach, name))


def jacobian(features: Any) -> Student:
    """Return the student of logits and their Jacobian by the features, for softmax-affine teachers:
    exact at one query.

    The logits are W x + b. An answer at x has W x + b and W, up to a shift of all labels that the
    softmax does not see: the whole teacher. `kt_theory.affine.from_jacobian` does this arithmetic
    on one answer. The risk is TV(Uniform, pi | rho) at n = 0 and 0 afterwards. A teacher whose
    logits are not affine in the features is refused.

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input.
    """
    level = access.jacobian(features)
    reference = "Srinivas and Fleuret (2018), arXiv 1803.00443: matching Jacobians"
    return Student(level.name, level, RowRule(share_the_rest), reference, OneQuery(level.reach))
