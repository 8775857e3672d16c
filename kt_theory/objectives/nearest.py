"""The member of a convex set of rows that is nearest to a given one, by a linear program whose dual
certifies it.
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-7
"""How far the values of a linear program and of its dual may be apart."""


def distance_to_chain(row: np.ndarray, margin: float) -> float:
    """Return the least total variation from a row to those that keep its order with a margin.

    With m_g the mass that the G different probabilities, the largest first, are given, P_g what
    they have and n_g how many labels share each, it is the least sum_g (P_g - m_g)^+ with sum m = 1
    and m_g / n_g >= e^margin m_(g+1) / n_(g+1): labels of equal probability may be averaged, as
    total variation is convex. The dual of that linear program bounds it from below.

    Parameters
    ----------
    row : (A,) array
        Sums to 1.
    margin : float
        At least 0.

    Raises
    ------
    RuntimeError
        If the two differ by more than 1e-7.
    """
    values, sizes = np.unique(-row, return_counts=True)
    masses = -values * sizes
    ratio = np.exp(margin)
    if (-values[:-1] >= -ratio * values[1:]).all():
        return 0.0
    value, bound = _solved(masses, sizes.astype(np.float64), ratio)
    if value - bound > TOLERANCE:
        raise RuntimeError(f"the dual of a linear program says {bound}, not {value}")
    return max(bound, 0.0)


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
    found = linprog(cost, A_ub=rows, b_ub=sides, A_eq=whole, b_eq=[1.0], method="highs")
    above = np.minimum(found.ineqlin.marginals, 0.0)
    left = cost - rows.T @ above - whole.T @ found.eqlin.marginals
    bound = above @ sides + float(found.eqlin.marginals[0]) + np.minimum(left, 0.0).sum()
    return float(found.fun), float(bound)
