"""Exactly how likely an input is never asked, and how often it is asked on average, under any query
law.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.numeric import log_missed, power_of
from kt_theory.queries.laws import Design, Iid, QueryLaw, Trajectories, TwoStage
from kt_theory.queries.walks import mean_visits, never_met, survival, survival_cost
from kt_theory.validation import distributions, infinite, whole_number

LARGEST_COST = 3e10
"""Multiplications that one call may take."""


def unseen_probability(law: QueryLaw, n: Any, rho: ArrayLike | None = None) -> np.ndarray:
    """Return the exact probability that an input is not among n queries, for each input.

    iid: (1 - q_s)^n. A chain of transitions P from start mu: mu D (P D)^(n-1) 1, D the identity
    without s (an absorbing chain). Episodes: the product over the episodes. A design: 0 or 1. All
    terms are non-negative; where the input is left behind for good with a chance of q per step, the
    error grows like min(n, 1/q) 1e-16.

    Parameters
    ----------
    law : QueryLaw
    n : int, inf, or array_like of them
        Number of queries.
    rho : array_like, (S,), optional
        The teacher's input law, for laws that follow or start from it.

    Returns
    -------
    An array of the shape of n and (S,) at its end, in [0,1].

    Raises
    ------
    ValueError
        If it depends on the labels (`two_stage` with a pilot that does not ask every input), or
        takes too long.
    """
    if not isinstance(law, QueryLaw):
        raise ValueError(f"law = {law!r}: must be a query law, such as kt_theory.queries.iid()")
    given = None if rho is None else distributions(rho, "rho", 1)
    counts = [
        value if infinite(value) else whole_number(value, "n")
        for value in np.ravel(np.asarray(n, dtype=object))
    ]
    if not counts:
        raise ValueError("n = []: give at least one number of queries")
    cost = unseen_cost(law, counts)
    if cost > LARGEST_COST:
        raise ValueError(
            f"{law.name} takes about {cost:.1g} operations: more than {LARGEST_COST:.1g}; use "
            "simulate"
        )
    missed = unseen_sets(law, counts, given)
    return missed.reshape(*np.shape(n), missed.shape[1])


def unseen_sets(
    law: QueryLaw,
    counts: list[Any],
    rho: np.ndarray | None,
    sets: np.ndarray | None = None,
) -> np.ndarray:
    """Return the probability that no input of a set is asked: (N, T) for `sets`, (T, S) bool; each
    input if omitted.
    """
    if isinstance(law, Trajectories):
        return _by_trajectories(law, counts, law.first(rho), sets)
    if isinstance(law, Iid):
        return _by_iid(law.law(rho), counts, sets)
    return np.array([_by_design(law, count, rho, sets) for count in counts])


def unseen_cost(law: QueryLaw, counts: list[Any], sets: int | None = None) -> float:
    """Return the operations that `unseen_sets` takes."""
    if not isinstance(law, Trajectories):
        return 0.0
    inputs = len(law.transitions)
    endless = (
        float(inputs) ** 3
        * (inputs if sets is None else sets)
        * any(infinite(count) for count in counts)
    )
    return endless + survival_cost(
        law.transitions, _walks(law, counts), inputs if sets is None else sets
    )


def occupancy(law: Iid | Trajectories, n: int, rho: ArrayLike | None = None) -> np.ndarray:
    """Return the expected share of n queries that fall on each input, E n_s / n: (S,), sums to 1.

    Zhao and Zhu (2023), appendix G, put the occupancy measure in the place of rho.

    Parameters
    ----------
    law : Iid or Trajectories
    n : int
        At least 1.
    rho : array_like, (S,), optional
        The teacher's input law, for laws that follow or start from it.
    """
    count = whole_number(n, "n", low=1)
    given = None if rho is None else distributions(rho, "rho", 1)
    if isinstance(law, Iid):
        return law.law(given)
    if not isinstance(law, Trajectories):
        raise ValueError(f"law = {law!r}: must be queries.iid, queries.chain or queries.episodes")
    whole, rest = divmod(count, law.horizon or count)
    total = whole * mean_visits(law.transitions, law.first(given), law.horizon or count)
    if rest:
        total += mean_visits(law.transitions, law.first(given), rest)
    return total / count


def _by_iid(q: np.ndarray, counts: list[Any], sets: np.ndarray | None) -> np.ndarray:
    hit, missed = (q, 1.0 - q) if sets is None else (sets @ q, ~sets @ q)
    log = log_missed(hit, missed)
    return np.array([power_of(log, count) for count in counts])


def _by_trajectories(
    law: Trajectories,
    counts: list[Any],
    start: np.ndarray,
    sets: np.ndarray | None,
) -> np.ndarray:
    masks = np.eye(len(start), dtype=bool) if sets is None else sets
    steps = _walks(law, counts)
    missed, hit = survival(law.transitions, start, steps, masks)
    found = np.empty((len(counts), len(masks)))
    for i, count in enumerate(counts):
        if law.horizon is None:
            found[i] = (
                never_met(law.transitions, start, masks)
                if infinite(count)
                else missed[steps.index(count)]
            )
            continue
        whole, rest = (np.inf, 0) if infinite(count) else divmod(count, law.horizon)
        one = steps.index(law.horizon)
        cut = steps.index(rest)
        found[i] = power_of(log_missed(hit[one], missed[one]), whole) * missed[cut]
    return found


def _walks(law: Trajectories, counts: list[Any]) -> list[int]:
    """Return the lengths of the walks whose survival decides that of `counts` queries."""
    finite = [count for count in counts if not infinite(count)]
    if law.horizon is None:
        return sorted(set(finite))
    return sorted({law.horizon, 0, *(count % law.horizon for count in finite)})


def _by_design(
    law: Design | TwoStage,
    count: Any,
    rho: np.ndarray | None,
    sets: np.ndarray | None,
) -> np.ndarray:
    if isinstance(law, Design):
        met_for_ever = (law.weights > 0) | law.once
        asked = met_for_ever if infinite(count) else law.visits(count) > 0
    else:
        if rho is None:
            raise ValueError("two-stage queries follow the teacher's rho: give rho")
        asked = rho > 0 if infinite(count) else law.pilot_visits(count, rho) > 0
        if not asked[rho > 0].all() and count > 0:
            raise ValueError(
                f"{law.name}: a pilot that leaves inputs out makes the rest depend on the labels "
                "drawn"
            )
    met = asked if sets is None else (sets & asked).any(axis=1)
    return np.asarray(met == 0, dtype=np.float64)
