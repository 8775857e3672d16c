"""Compressed teachers: tables that are pruned, put on a lattice, or of low rank, and what that
costs.

Each function takes a table (S, A) and returns another, a teacher for whoever learns from it:
`Teacher(table, rho)`. Its floor is `total_variation(table, pi, rho)`, which no number of queries to
the compressed teacher removes: a student at risk r from the compressed teacher is at risk between
|floor - r| and floor + r from the original, by the triangle inequality.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import label_ranks
from kt_theory.numeric import softmax
from kt_theory.validation import distributions, input_law, unknown_name, whole_number

MOST_BITS = 30
"""With more bits than this, the rounding of a row's sum would count as units of the lattice."""


def pruned(pi: ArrayLike, k: int) -> np.ndarray:
    """Return the nearest table with at most k positive labels in each row: the k largest, divided
    by their sum.

    Whatever has k labels misses what the teacher gives the others, so that with M_k = 1 - (the sum
    of the k largest)

        TV(q(.|s), pi(.|s)) >= M_k(s) for every q with k labels,

    and any q that is at least pi on the k largest attains it. Of equally probable labels the first
    are kept.

    Parameters
    ----------
    pi : (S, A) array_like
        Rows sum to 1.
    k : int
        From 1 to A.

    Returns
    -------
    (S, A) array, rows sum to 1. Han, Pool, Tran and Dally (2015), arXiv 1506.02626: pruning by
    size.
    """
    table = distributions(pi, "pi", 2)
    kept = np.where(
        label_ranks(table) < whole_number(k, "k", low=1, high=table.shape[1]), table, 0.0
    )
    return kept / kept.sum(axis=1, keepdims=True)


def lattice(pi: ArrayLike, bits: int) -> np.ndarray:
    """Return the nearest table in multiples of 2^-bits: rows are rounded down and the largest
    remainders up.

    With N = 2^bits, a row N p has remainders r in [0, 1) with a whole sum m, the units that
    rounding down loses. Those that are not rounded up are the A - m smallest, and N TV is their
    sum, at most m (A - m) / A. m is below A and at most N, and one label of mass 1 - m/N + m/(NA)
    with the others at m/(NA) attains it, so that

        max over p of TV = m (A - m) / (A 2^bits) at m = min(2^bits, floor(A/2)),

    at most A / (4 * 2^bits), with equality for even A <= 2^(bits+1); for more labels it is 1 -
    2^bits / A. No point of the lattice is nearer: the cost of one more unit, |r - 1| - |r| from the
    floor and 1 above that, grows from unit to unit, and the m cheapest are taken. Unlike
    probabilities that are each rounded by themselves (`kt_theory.access.quantised`), these sum to
    1.

    Parameters
    ----------
    pi : (S, A) array_like
        Rows sum to 1.
    bits : int
        From 0, which leaves the most probable label of each row, to 30.

    Returns
    -------
    (S, A) array, whole multiples of 2^-bits; rows sum to exactly 1. Reznik (2011), An algorithm for
    quantization of discrete probability distributions.
    """
    table = distributions(pi, "pi", 2)
    units = 1 << whole_number(bits, "bits", low=0, high=MOST_BITS)
    whole = np.floor(table * units)
    missing = units - whole.sum(axis=1, keepdims=True)
    return (whole + (label_ranks(table * units - whole) < missing)) / units


def low_rank(
    pi: ArrayLike,
    rank: int,
    of: Literal["probabilities", "logits"] = "probabilities",
    rho: ArrayLike | None = None,
) -> np.ndarray:
    """Return the table of the best scores of rank at most `rank` in squared error, sum_s rho_s
    |score_s - x_s|^2.

    x are the probabilities, or the logits: the log-probabilities less their mean in each row, since
    the softmax does not see a shift. The best scores are x V V^T with V the first right singular
    vectors of diag(sqrt(rho)) x (Eckart and Young 1936). A student of rank `rank` that regresses on
    complete rows with the squared error converges to them; errors that are weighted by the label's
    own probability, as those of sampled labels are, have no such solution.

    Scores of probabilities become the nearest distribution in Euclidean distance, which is never
    further from the teacher than the scores are, and may have a higher rank. Those of logits go
    through the softmax. With t the sum of the squared singular values that are left out of the
    probabilities, of singular values of diag(sqrt(rho)) pi,

        t / 2 <= TV of every table of rank `rank`,    TV of this one <= sqrt(A t) / 2,

    for a difference d of two distributions has |d|^2 / 2 <= TV <= sqrt(A) |d| / 2. It is best in
    squared error, and only near the best in TV.

    Parameters
    ----------
    pi : (S, A) array_like
        Rows sum to 1. All entries must be positive for logits.
    rank : int
        From 1 to min(S, A).
    of : {"probabilities", "logits"}
        What has the low rank.
    rho : (S,) array_like, optional
        Weights of the inputs, the law that the student's queries follow. Uniform if omitted.

    Returns
    -------
    (S, A) array, rows sum to 1.
    """
    table = distributions(pi, "pi", 2)
    inputs, labels = table.shape
    number = whole_number(rank, "rank", low=1, high=min(inputs, labels))
    law = input_law(rho, inputs)
    if of == "probabilities":
        return _nearest_distributions(_projected(table, law, number))
    if of != "logits":
        raise unknown_name("of", of, ["probabilities", "logits"])
    for s, a in np.argwhere(table == 0.0):
        raise ValueError(
            f"pi[{s}, {a}] = 0: logits need positive probabilities; use of='probabilities'"
        )
    logits = np.log(table)
    scores = _projected(logits - logits.mean(axis=1, keepdims=True), law, number)
    return softmax(scores)


def _projected(table: np.ndarray, law: np.ndarray, rank: int) -> np.ndarray:
    """Return the rows of `table` (S, A) projected on its first right singular vectors."""
    directions = np.linalg.svd(np.sqrt(law)[:, None] * table, full_matrices=False)[2][:rank]
    return (table @ directions.T) @ directions


def _nearest_distributions(scores: np.ndarray) -> np.ndarray:
    """Return max(score - c, 0) with the c of each row that makes the sum 1, the Euclidean
    projection on the simplex.

    Held, Wolfe and Crowder (1974), Validation of subgradient optimization.
    """
    falling = -np.sort(-scores, axis=1)
    excess = (np.cumsum(falling, axis=1) - 1.0) / np.arange(1, scores.shape[1] + 1)
    last = (falling > excess).sum(
        axis=1, keepdims=True
    ) - 1  # c is the excess of the labels that stay positive
    nearest = np.maximum(scores - np.take_along_axis(excess, last, axis=1), 0.0)
    return nearest / nearest.sum(axis=1, keepdims=True)
