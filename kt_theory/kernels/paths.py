"""The paths on which counts are drawn, and the rule that chooses one by size."""

from __future__ import annotations

PATHS = ("sparse", "alias", "poisson", "binomial")
SPARSE, ALIAS, POISSON, BINOMIAL = range(4)

_SPARSE_CELLS_PER_PAIR = 80
_SPARSE_CELLS_PER_PAIR_ONE_ROW = 4
_POISSON_PAIRS_PER_CELL = 1.25
_POISSON_PAIRS = 64


def path_by_size(inputs: int, labels: int, n: int) -> int:
    """Return the path for n pairs of a teacher without any probability near 1."""
    cells = inputs * labels
    per_pair = _SPARSE_CELLS_PER_PAIR if inputs > 1 else _SPARSE_CELLS_PER_PAIR_ONE_ROW
    if n * per_pair <= cells:
        return SPARSE
    return ALIAS if n < max(_POISSON_PAIRS, _POISSON_PAIRS_PER_CELL * cells) else POISSON
