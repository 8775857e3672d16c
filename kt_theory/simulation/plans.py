"""From a query law to the tables that the kernels draw from."""

from __future__ import annotations

from typing import NamedTuple, assert_never

import numpy as np

from kt_theory.kernels.alias import alias_table
from kt_theory.kernels.binomial import conditional_shares
from kt_theory.kernels.draws import DrawPlan, draw_plan, path_of, row_plan
from kt_theory.kernels.lookups import alias_of
from kt_theory.kernels.paths import PATHS
from kt_theory.kernels.visits import Asked, Fixed, Pilot, Shared, Visits, Walk, step_tables
from kt_theory.queries.laws import (
    Design,
    Iid,
    QueryLaw,
    Trajectories,
    TwoStage,
    as_queries,
    is_default,
)
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

LONGEST_WALK = 10**9
"""Steps of one transfer set: some seconds."""

_ALIAS_VISITS = 40  # per input: a binomial costs that many draws


class Drawn(NamedTuple):
    """How counts are drawn, and what tables call it."""

    plan: DrawPlan
    name: str


def drawn(
    teacher: Teacher, n: int, queries: QueryLaw | None = None, *, path: str | None = None
) -> Drawn:
    """Return how the counts of n queries are drawn.

    Parameters
    ----------
    teacher : Teacher
    n : int
    queries : QueryLaw, optional
        iid from rho if omitted.
    path : str, optional
        One of `kt_theory.kernels.draws.PATHS` for iid queries from rho, instead of the rule in (S,
        A, n, pi).
    """
    if queries is None or is_default(as_queries(queries, teacher.inputs)):
        number = None if path is None else PATHS.index(path)
        plan = draw_plan(teacher.pi, teacher.rho, n, number)
        return Drawn(plan, path_of(plan) or "")
    plan = query_plan(teacher, n, queries)
    return Drawn(plan, " ".join(filter(None, (queries.name, path_of(plan)))))


def query_plan(teacher: Teacher, n: int, law: QueryLaw) -> DrawPlan:
    """Return the plan to draw the counts of n queries under `law`."""
    if isinstance(law, Iid) and law.labels_per_query == 1:
        return draw_plan(teacher.pi, law.law(teacher.rho), n)
    if isinstance(law, Trajectories) and n > LONGEST_WALK:
        raise ValueError(
            f"n = {n}: {law.name} queries are walked step by step, at most {LONGEST_WALK:.0e}; see "
            "exact_risk"
        )
    if n * law.labels_per_query > LARGEST_COUNT:
        raise ValueError(
            f"n = {n}: with {law.labels_per_query} labels per query that is more than 2^53 labels"
        )
    return row_plan(teacher.pi, _visits(teacher, n, law), law.labels_per_query, n)


def _visits(teacher: Teacher, n: int, law: QueryLaw) -> Visits:
    match law:
        case Iid():
            q = law.law(teacher.rho)
            few = n <= _ALIAS_VISITS * len(q)
            return Asked(alias_of(q)) if few else Shared(conditional_shares(q))
        case Trajectories():
            start, steps = alias_table(law.first(teacher.rho)), step_tables(law.transitions)
            return Walk(law.horizon or max(n, 1), *start, *steps)
        case Design():
            return Fixed(law.visits(n))
        case TwoStage():
            return Pilot(law.pilot_visits(n, teacher.rho), np.array(teacher.rho))
        case _:
            assert_never(law)
