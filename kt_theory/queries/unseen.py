"""Exactly how likely an input is never asked, and how often it is asked on average, under any query
law.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.queries.laws import Iid, QueryLaw, Trajectories
from kt_theory.queries.walks import mean_visits
from kt_theory.validation import distributions, infinite, shown, whole_number

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
        raise ValueError(
            f"law = {shown(law)}: must be a query law, such as kt_theory.queries.iid()"
        )
    given = None if rho is None else distributions(rho, "rho", 1)
    counts = [
        value if infinite(value) else whole_number(value, "n")
        for value in np.ravel(np.asarray(n, dtype=object))
    ]
    if not counts:
        raise ValueError("n = []: give at least one number of queries")
    cost = law.unseen_cost(counts, None)
    if cost > LARGEST_COST:
        raise ValueError(
            f"{law.name} takes about {cost:.1g} operations: more than {LARGEST_COST:.1g}; use "
            "simulate"
        )
    missed = law.unseen(counts, given, None)
    return missed.reshape(*np.shape(n), missed.shape[1])


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
        raise ValueError(
            f"law = {shown(law)}: must be queries.iid, queries.chain or queries.episodes"
        )
    whole, rest = divmod(count, law.horizon or count)
    total = whole * mean_visits(law.transitions, law.first(given), law.horizon or count)
    if rest:
        total += mean_visits(law.transitions, law.first(given), rest)
    return total / count
