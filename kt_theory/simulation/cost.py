"""What one repeat of a simulation costs, foretold from its size: work is cut into pieces by it and
`sweep check` says how long a run takes. No result hangs on it.
"""

from __future__ import annotations

from typing import NamedTuple

PER_RULE = 2.5e-9
PER_BINOMIAL = 6e-8
PER_ROW_QUERY, PER_ROW_LABEL = 5e-9, 2e-9
"""Seconds per cell and rule of one's own, per cell drawn as a binomial, and, where labels are drawn
row by row, per query and per label."""


class Law(NamedTuple):
    """Seconds of a repeat, of one student's loss in a cell, and of a draw: per pair on the sparse
    path (one row, many) and by alias, per cell of Poisson counts, times (n / (S A))^power.
    """

    repeat: float
    loss: float
    sparse_row: float
    sparse: float
    alias: float
    poisson: float
    power: float


LAW = Law(1.8e-7, 2.1e-10, 4e-9, 5e-8, 1.7e-9, 1.2e-9, 0.25)
"""As `benchmarks/engine.py` fits it on a processor with AVX2."""


def seconds_per_repeat(
    path: str,
    n: float,
    shape: tuple[int, int],
    students: int,
    rules: int = 0,
    *,
    per_query: int = 1,
    law: Law = LAW,
) -> float:
    """Return about how long one repeat takes on one thread: a + b n' + c S A.

    Parameters
    ----------
    path : str
        How the counts are drawn, one of `kt_theory.kernels.draws.PATHS` or "rows".
    n : float
        Pairs, or queries where labels go row by row.
    shape : (S, A)
    students, rules : int
        How many there are, rules of one's own included, and how many of these.
    per_query : int
        Labels per query.
    law : Law

    Returns
    -------
    float
        Seconds. n', the work of the draw, is n where every pair is drawn by itself, and S A times a
        small power of n / (S A) where every count is: tables grow with the counts.
    """
    inputs, labels = shape
    cells = inputs * labels
    drawn = {
        "sparse": (law.sparse if inputs > 1 else law.sparse_row) * n,
        "alias": law.alias * n,
        "poisson": law.poisson * cells * (n / cells) ** law.power,
        "binomial": PER_BINOMIAL * cells,
        "rows": PER_ROW_QUERY * n + PER_ROW_LABEL * min(n * per_query, 20 * cells),
    }
    seen = min(cells, n) if path == "sparse" else cells
    return law.repeat + drawn[path] + seen * (law.loss * students + PER_RULE * rules)
