"""The sharpest of the proved upper bounds of partial labels and top-k."""

from __future__ import annotations

from functools import lru_cache

from kt_theory.limits.sharing import light_labels, row_sums
from kt_theory.limits.sharing.majorant import hidden_bound, many_rows_bound, one_row_bound
from kt_theory.limits.sharing.three_labels import three_labels_bound
from kt_theory.limits.soft import unvisited_mass


def one_row_upper(labels: int, n: int) -> float:
    """Return a bound on the minimax risk of partial labels for one input.

    Parameters
    ----------
    labels : int
        At least 3: for three, the minimax risk itself.
    n : int
        Samples, >= 1.
    """
    if labels == 3:
        return 0.5 * unvisited_mass(2, n).value
    return min(one_row_bound(labels, n), light_labels.one_row(labels, n))


@lru_cache(maxsize=4096)
def partial_upper(inputs: int, labels: int, n: int) -> float:
    """Return the sharpest proved bound for partial labels.

    Parameters
    ----------
    inputs, labels, n : int
        labels >= 3, n >= 1.
    """
    if inputs == 1:
        return one_row_upper(labels, n)
    light = min(light_labels.many_rows(inputs, labels, n), row_sums.rows_by_sums(inputs, labels, n))
    if labels == 3:
        return min(light, three_labels_bound(inputs, n))
    return min(light, many_rows_bound(inputs, labels, n))


@lru_cache(maxsize=4096)
def top_k_upper(inputs: int, labels: int, n: int, k: int) -> float:
    """Return the sharpest proved bound for top-k alone, without that of partial labels.

    Parameters
    ----------
    inputs, labels, n, k : int
        1 <= k <= labels - 2, n >= 1.
    """
    hidden = labels - k
    if inputs > 1:
        bound = many_rows_bound(inputs, labels, n, k)
    else:
        bound = hidden_bound(hidden, n, 1.0 / (k + 1), hidden / labels)
    if inputs == 1 and hidden == 2:
        return bound
    return min(bound, light_labels.hidden_rows(inputs, labels, n, k))
