"""What is lost for good if a student must write the same row for all inputs of a group.

So it is for whoever sees only which group an input is in: the attention map of an image in place of
the image, a coarse description, a cluster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.numeric import total_variation
from kt_theory.teacher import Teacher


def common_row_floor(teacher: Teacher, groups: Any) -> float:
    """Return the least TV of a table with one row for each group: sum over groups of min_q sum_s
    rho_s TV(q, pi_s).

    No student that sees the groups of its inputs alone has a smaller risk, whatever it asked. The
    floor is 0 exactly if inputs of positive probability in a group have equal rows; for attention
    maps, if the logits depend on the map alone. Who estimates the mean row of each group, as pooled
    counts do, comes to at most twice the floor.

    Parameters
    ----------
    teacher : Teacher
        With a dense table.
    groups : (S,) array_like
        Which group each input is in: equal entries, equal groups.
    """
    return float(total_variation(common_rows(teacher, groups), teacher.pi, teacher.rho))


def common_rows(teacher: Teacher, groups: Any) -> np.ndarray:
    """Return the table (S, A) that attains `common_row_floor`: equal rows within each group.

    For each label, sum_s rho_s |q(a) - pi(a|s)| is convex and piecewise linear in q(a), with breaks
    at the pi(a|s). The sum of them all is least, over the simplex, if a mass of 1 is laid on the
    pieces of smallest slope first: a weighted median of each label, moved until they sum to 1.

    Parameters
    ----------
    teacher : Teacher
        With a dense table.
    groups : (S,) array_like
    """
    if not isinstance(teacher, Teacher):
        raise ValueError(f"teacher is a {type(teacher).__name__}: must be a Teacher")
    try:
        names = np.asarray(groups).tolist()
        places: dict[Any, int] = {}
        number = np.array([places.setdefault(name, len(places)) for name in names])
    except (TypeError, ValueError):
        raise ValueError(
            "groups: must be a list of numbers or words, one entry for each input"
        ) from None
    if len(number) != teacher.inputs:
        raise ValueError(
            f"groups has {len(number)} entries: the teacher has {teacher.inputs} inputs, one each "
            "is needed"
        )
    order = np.argsort(number, kind="stable")
    table = np.empty_like(teacher.pi)
    for members in np.split(order, np.cumsum(np.bincount(number))[:-1]):
        table[members] = _nearest_row(teacher.pi[members], teacher.rho[members])
    return table


def _nearest_row(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the q of the simplex with the least sum_s w_s |q - row_s|, (A,)."""
    if not weights.any():
        return rows.mean(axis=0)
    order = np.argsort(rows, axis=0)
    # The slope of a piece, up to a constant: the weight of the rows below it.
    slopes = np.vstack([np.zeros(rows.shape[1]), np.cumsum(weights[order], axis=0)])
    lengths = np.diff(np.take_along_axis(rows, order, axis=0), axis=0, prepend=0.0, append=1.0)
    first = np.argsort(slopes, axis=None, kind="stable")
    laid = np.diff(np.minimum(np.cumsum(lengths.ravel()[first]), 1.0), prepend=0.0)
    row = np.bincount(first % rows.shape[1], weights=laid, minlength=rows.shape[1])
    return row / row.sum()
