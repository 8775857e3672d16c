"""Means over the number of times that an input is asked, k ~ Bin(n, rho): all but e^-47 of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kt_theory.exact.cost import refuse_beyond
from kt_theory.numeric import NEAR_ONE, bernstein, complement
from kt_theory.teacher import RowClasses

TAIL_NATS = 47.0
CHUNK = 2**16
BATCH = 2**18


def visit_window(
    n: np.ndarray, rho: float, nats: float = TAIL_NATS
) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers low, high with P(k < low) and P(k > high) at most e^-nats for k ~ Bin(n,
    rho).

    Bernstein: P(|k - n rho| >= t) <= 2 exp(-t^2 / (2 n rho (1-rho) + 2t/3)).
    """
    mean = n * rho
    spread = bernstein(nats, mean * (1 - rho))
    if rho >= 1.0:
        return n.copy(), n.copy()
    low = np.maximum(np.floor(mean - spread), 0.0)
    high = np.minimum(np.ceil(mean + spread), n)
    return low, high


def mean_over_visits(function: Callable[[np.ndarray], np.ndarray], n: int, rho: float) -> float:
    """Return E[function(k); k >= 1], k ~ Bin(n, rho): all but e^-47 of it.

    Parameters
    ----------
    function : callable
        Of an array of whole numbers k >= 1, at most about 1.
    n : int
    rho : float

    Raises
    ------
    NoExactRisk
        Before more than half a minute of work.
    """
    from kt_theory.kernels.exact import binomial_averages

    size = np.array([float(n)])
    total = np.zeros(1)
    low, high = visit_window(size, rho)
    low = np.maximum(low, 1.0)
    width = float((high - low)[0])
    refuse_beyond(10.0 * width, f"a mean over {width:.1g} visits", "give a smaller n")
    for first in range(int(low[0]), int(high[0]) + 1, CHUNK):  # floats cannot count on from 2^53
        length = min(CHUNK, int(high[0]) - first + 1)
        k = first + np.arange(length, dtype=np.float64)
        binomial_averages(size, rho, 1.0 - rho, low, high, float(first), function(k), total)
    return float(total[0])


Deviations = Callable[[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
"""(first, labels, rest, weight, profile): write sum_j weight_j E|q_j - p_j|, or twice another loss,
for first, first + 1, ... visits, with p_j = labels_j and 1 - p_j = rest_j.
"""


def in_batches(
    mean: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Deviations:
    """Return the deviations of `mean`(k, p, 1 - p), which broadcasts, a batch of visit counts at a
    time.
    """

    def deviations(
        first: float,
        labels: np.ndarray,
        rest: np.ndarray,
        weight: np.ndarray,
        profile: np.ndarray,
    ) -> None:
        step = max(1, BATCH // len(labels))
        for start in range(0, len(profile), step):
            k = first + np.arange(start, min(start + step, len(profile)))
            each = mean(k[:, None], labels[None, :], rest[None, :])
            profile[start : start + len(k)] = each @ weight

    return deviations


@dataclass(frozen=True)
class LabelMeans:
    """What labels of a visited row lose in mean, and what that costs.

    Attributes
    ----------
    deviations : callable
    price : float
        Cost of one deviation, in nanoseconds.
    errs_at_0 : bool
        Whether the student errs on labels of probability 0 and 1 of a visited row.
    nats : float
        All but e^-nats of the visit counts are looked at.
    """

    deviations: Deviations
    price: float = 1.0
    errs_at_0: bool = False
    nats: float = TAIL_NATS


def average_over_visits(
    classes: RowClasses, n: np.ndarray, means: LabelMeans, student: str, simulation: str
) -> np.ndarray:
    """Return sum_s rho_s E[1/2 sum_a E(|q(a) - p_a| | k visits); k >= 1], k ~ Bin(n, rho_s), (N,).

    Parameters
    ----------
    classes : RowClasses
    n : (N,) array, finite, >= 0
    means : LabelMeans
    student, simulation : str
        For the refusal: the student, and the call that takes the place of this one.
    """
    plans = []
    for rho in np.unique(classes.rho[classes.rho > 0]):
        group = classes.rho == rho
        labels, rest, weight = _weighed(classes.rows[group], classes.multiplicity[group])
        inside = means.errs_at_0 | ((labels > 0) & (rest > 0))
        entries = labels[inside], rest[inside], weight[inside]
        plan = _Plan(min(float(rho), 1.0), entries, n, means)
        plans.append(plan)
    cost = sum(plan.cost for plan in plans)
    refuse_beyond(cost, student, f"give fewer values of n, a smaller n, or {simulation}")
    total = np.zeros(len(n))
    for plan in plans:
        total += plan.run(means.deviations)
    return total


def _weighed(
    rows: np.ndarray, multiplicity: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different entries p of rows, what the others of the row sum to, and how often
    they occur.
    """
    rest = 1.0 - rows
    rest[:, 0] = complement(rows[:, 0], rows[:, 1:].sum(axis=1))
    share = np.repeat(multiplicity.astype(np.float64), rows.shape[1])
    # Entries near 1 are told apart by what is left of 1.
    small = np.where(rest > 0.0, -rest, -np.inf)
    different = np.where(rows > NEAR_ONE, small, rows)
    _, first, position = np.unique(different, return_index=True, return_inverse=True)
    weight = np.bincount(position.ravel(), weights=share, minlength=len(first))
    labels, left = rows.ravel()[first], rest.ravel()[first]
    order = np.argsort(labels, kind="stable")
    return labels[order], left[order], weight[order]


class _Plan:
    """Rows of equal rho: the merged windows of their visit counts, and what walking through them
    costs.
    """

    def __init__(
        self,
        rho: float,
        entries: tuple[np.ndarray, np.ndarray, np.ndarray],
        n: np.ndarray,
        means: LabelMeans,
    ) -> None:
        self.rho, self.n = rho, n
        self.labels, self.rest, self.weight = labels, _, _ = entries
        self.low, self.high = visit_window(n, rho, means.nats)
        self.low = np.maximum(self.low, 1.0)
        self.stretches = _merge(self.low, self.high)
        walked = sum(stop - start + 1 for start, stop in self.stretches)
        averaged = float(np.maximum(self.high - self.low + 1, 0).sum())
        starts = 50.0 * len(labels) * len(self.stretches)
        self.cost = (
            (walked * means.price * max(len(labels), 64) + starts + 2 * averaged)
            if len(labels)
            else 0.0
        )

    def run(self, deviations: Deviations) -> np.ndarray:
        """Return rho times the sum over the rows of this rho, (N,)."""
        from kt_theory.kernels.exact import binomial_averages

        total = np.zeros(len(self.n))
        if not len(self.labels):
            return total
        for start, stop in self.stretches:
            for first in range(start, stop + 1, CHUNK):
                profile = np.empty(min(CHUNK, stop - first + 1))
                deviations(float(first), self.labels, self.rest, self.weight, profile)
                binomial_averages(
                    self.n,
                    self.rho,
                    1.0 - self.rho,
                    self.low,
                    self.high,
                    float(first),
                    profile,
                    total,
                )
        return 0.5 * self.rho * total


def _merge(low: np.ndarray, high: np.ndarray) -> list[tuple[int, int]]:
    """Return the union of the intervals low..high as disjoint intervals in order."""
    merged: list[tuple[int, int]] = []
    for i in np.argsort(low, kind="stable"):
        start = int(low[i])
        stop = int(high[i])
        if stop < start:
            continue
        if merged and start <= merged[-1][1] + 1:
            first, last = merged[-1]
            merged[-1] = (first, max(last, stop))
        else:
            merged.append((start, stop))
    return merged
