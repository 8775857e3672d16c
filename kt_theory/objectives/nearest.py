"""The member of a convex set of rows that is nearest to a given one, by a linear program whose dual
certifies it.
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-7
"""How far the values of a linear program and of its dual may be apart."""

_NEGLIGIBLE = 45.0
"""Nats below the first probability at which the others no longer count."""


def distance_to_chain(row: np.ndarray, margin: float) -> float:
    """Return the least total variation from a row to those that keep its order with a margin.

    With m_g the mass that the G different probabilities, the largest first, are given, P_g what
    they have and n_g how many labels share each, it is the least sum_g (P_g - m_g)^+ with sum m = 1
    and m_g / n_g >= e^margin m_(g+1) / n_(g+1): labels of equal probability may be averaged, as
    total variation is convex. Beyond the first 45 / margin of them m is less than 10^-19 and left
    out. The dual of that linear program bounds it from below.

    Parameters
    ----------
    row : (A,) array
        Sums to 1.
    margin : float
        At least 0.

    Raises
    ------
    RuntimeError
        If the two differ by more than 1e-7, or the program has no answer.
    """
    falling, sizes = np.unique(-row, return_counts=True)
    masses = -falling * sizes
    ratio = np.exp(margin)
    if (falling[:-1] <= ratio * falling[1:]).all():
        return 0.0
    first = len(masses)
    if margin * first > _NEGLIGIBLE:
        first = max(int(np.ceil(_NEGLIGIBLE / margin)), 2)
    value, bound = _solved(masses[:first], sizes[:first].astype(np.float64), ratio)
    if value - bound > TOLERANCE:
        raise RuntimeError(f"the dual of a linear program says {bound}, not {value}")
    return float(max(bound, 0.0) + masses[first:].sum())


def _solved(masses: np.ndarray, sizes: np.ndarray, ratio: float) -> tuple[float, float]:
    """Return the value of the program and that of its dual, after what the dual's infeasibility
    may cost is taken from it: every variable is at most 1.
    """
    import scipy.sparse as sp
    from scipy.optimize import linprog

    number = len(masses)
    falling = sp.diags_array(
        [-1.0 / sizes[:-1], ratio / sizes[1:]], offsets=[0, 1], shape=(number - 1, number)
    )
    unit = sp.eye_array(number)
    rows = sp.block_array([[-unit, -unit], [falling, None]], format="csr")
    sides = np.concatenate([-masses, np.zeros(number - 1)])
    cost = np.concatenate([np.zeros(number), np.ones(number)])
    whole = sp.csr_array(np.concatenate([np.ones(number), np.zeros(number)])[None, :])
    found = linprog(cost, A_ub=rows, b_ub=sides, A_eq=whole, b_eq=[1.0], method="highs-ipm")
    if found.status != 0:
        raise RuntimeError(f"a linear program of {number} unknowns: {found.message}")
    above = np.minimum(found.ineqlin.marginals, 0.0)
    left = cost - rows.T @ above - whole.T @ found.eqlin.marginals
    bound = above @ sides + float(found.eqlin.marginals[0]) + np.minimum(left, 0.0).sum()
    return float(found.fun), float(bound)
