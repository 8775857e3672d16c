"""From a bound on what one row of mass r = rho(s) loses to a bound for all input laws."""

from __future__ import annotations

import numpy as np

from kt_theory.limits.optimise import minimum


def largest_over_laws(
    inputs: int, n: int, cell: np.ndarray, mass: np.ndarray, value: np.ndarray, spill: int
) -> float:
    """Return an upper bound on max over rho of sum_s V(rho_s), rho with S = `inputs` >= 2 entries
    that sum to 1.

    V is given by points: V(r) - eta r is at most the largest value - eta mass among the points of
    the cell of r, for every eta. With the largest rho_s in cell c, the others in cells up to c +
    `spill`, and sum rho = 1,

        sum_s V(rho_s) <= min over eta of max_c (value - eta mass) + (S-1) max_(<= c+spill) (value -
        eta mass) + eta,

    and the bound is the maximum over c. Fixing the largest row first keeps a single heavy row from
    being counted as a fraction of every row.

    Parameters
    ----------
    inputs, n : int
    cell : (P,) int array, ascending, every cell from 0 on present
    mass, value : (P,) arrays
    spill : int
    """
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(starts[1:], len(cell))
    reach = ends[np.minimum(np.arange(len(ends)) + spill, len(ends) - 1)]
    feasible = np.maximum.reduceat(mass, starts) >= (1.0 - 1e-12) / inputs

    unit = 1.0 / n
    etas = np.concatenate(
        [-np.geomspace(2 * unit, 1e-4 * unit, 24), [0.0], np.geomspace(1e-4 * unit, 1.0, 72)]
    )
    table = np.empty((len(etas), len(starts)))
    for i, eta in enumerate(etas):
        tops = np.maximum.reduceat(value - eta * mass, starts)
        rest = np.maximum.accumulate(tops)
        table[i] = (
            tops
            + (inputs - 1) * rest[np.minimum(np.arange(len(tops)) + spill, len(tops) - 1)]
            + eta
        )

    best = np.where(feasible, table.min(axis=0), -np.inf)
    refined: set[int] = set()
    while True:
        c = int(np.argmax(best))
        if c in refined:
            return float(best[c])
        i = int(np.argmin(table[:, c]))
        bracket = float(etas[max(i - 1, 0)]), float(etas[min(i + 1, len(etas) - 1)])
        best[c] = min(
            best[c],
            _least(inputs, mass, value, (int(starts[c]), int(ends[c]), int(reach[c])), bracket),
        )
        refined.add(c)


def _least(
    inputs: int,
    mass: np.ndarray,
    value: np.ndarray,
    span: tuple[int, int, int],
    bracket: tuple[float, float],
) -> float:
    """Return the minimum over eta in `bracket` of the bound for one cell, points span[0]:span[1],
    others to span[2].
    """
    start, end, reach = span

    def bound(eta: float) -> float:
        line = value[:reach] - eta * mass[:reach]
        return float(line[start:end].max() + (inputs - 1) * line.max() + eta)

    tolerance = 1e-7 * max(abs(bracket[0]), abs(bracket[1]))
    return minimum(bound, *bracket, tolerance)[0]
