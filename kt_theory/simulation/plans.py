"""From a query law to the tables that the kernels draw from."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np

from kt_theory.kernels.alias import alias_table
from kt_theory.kernels.binomial import conditional_shares
from kt_theory.kernels.draws import DrawPlan, draw_plan, row_plan
from kt_theory.kernels.lookups import Alias, alias_of
from kt_theory.kernels.visits import (
    BY_ALIAS,
    BY_BINOMIALS,
    FIXED,
    TWO_STAGE,
    WALK,
    RowPlan,
    step_tables,
)
from kt_theory.queries.laws import Design, Iid, QueryLaw, Trajectories, TwoStage
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT

LONGEST_WALK = 10**9
"""Steps of one transfer set: some seconds."""

_ALIAS_VISITS = 40  # per input: a binomial costs that many draws


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
    nothing = RowPlan(
        law=FIXED,
        inputs=teacher.inputs,
        labels_per_query=law.labels_per_query,
        horizon=1,
        asked=Alias(0, np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint32)),
        start_bits=0,
        start=np.zeros(0, dtype=np.uint64),
        step_bits=0,
        steps=np.zeros(0, dtype=np.uint64),
        row_share=np.zeros(0),
        visits=np.zeros(0, dtype=np.int64),
        rho=np.zeros(0),
    )
    return row_plan(teacher.pi, nothing._replace(**_visits(teacher, n, law)), n)


def _visits(teacher: Teacher, n: int, law: QueryLaw) -> dict[str, Any]:
    """Return the fields of `RowPlan` that say how the visits come about."""
    match law:
        case Iid():
            q = law.law(teacher.rho)
            if n > _ALIAS_VISITS * len(q):
                return {"law": BY_BINOMIALS, "row_share": conditional_shares(q)}
            return {"law": BY_ALIAS, "asked": alias_of(q)}
        case Trajectories():
            start_bits, start = alias_table(law.first(teacher.rho))
            step_bits, steps = step_tables(law.transitions)
            walk = {"start_bits": start_bits, "start": start, "step_bits": step_bits}
            return {"law": WALK, "horizon": law.horizon or max(n, 1), "steps": steps, **walk}
        case Design():
            return {"law": FIXED, "visits": law.visits(n)}
        case TwoStage():
            visits, rho = law.pilot_visits(n, teacher.rho), np.array(teacher.rho)
            return {"law": TWO_STAGE, "visits": visits, "rho": rho}
        case _:
            assert_never(law)
