"""Objectives on whole rows: divergences and distances, whose only minimiser is the row; and those
that see the logits up to scale, the probabilities up to an affine map, their order, or their
values without the labels, and leave the rest free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from kt_theory.access import SOFT, Access, logits
from kt_theory.numeric import softmax, total_variation
from kt_theory.objectives.nearest import distance_to_chain
from kt_theory.objectives.objective import (
    FLAT,
    Named,
    Objective,
    Rows,
    Worst,
    called,
    none_lost,
    uniform_on,
)
from kt_theory.validation import number_between

_DISTILLM = "Ko, Kim, Chen and Yun (2024), DistiLLM, arXiv 2402.03898"
_GKD = "Agarwal et al. (2024), on-policy distillation, arXiv 2306.13649"
_SEARCHED = 24
"""How many sizes of each family the searches for a worst row try."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Proper(Named):
    """An objective on whole rows that is least at p alone: a divergence, or a distance.

    Each of them is at least its value at q = p, with equality for no other row: a divergence of
    convex functions strictly convex at 1 (Jensen), a norm of p - q, or the angle between p and q,
    which is 0 for proportional rows alone, and rows that sum to 1 are then equal.
    """

    words: ClassVar[str] = "p alone"

    @property
    def needs(self) -> Access:
        """Whole rows."""
        return SOFT

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
@dataclass(frozen=True, eq=False, repr=False)
class LogitMse(Named):
    """The mean squared error of logits, mean (z_q - z_p)^2: both rows of logits are equal, so q =
    p. An unknown shift of the teacher's logits moves the student's, and no probability. Labels of
    probability 0 have the logit -inf in both.
    """

    words: ClassVar[str] = "p alone; the logits up to the teacher's own shift"

    @property
    def needs(self) -> Access:
        """Logits of whole rows, up to a shift."""
        return logits()

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
@dataclass(frozen=True, eq=False, repr=False)
class ScaleFree(Named):
    """An objective that sees the logits up to shift and scale: standardised, or by their cosine.

    It is least where the student's logits are a z_p + b, for any a > 0: at p^a / sum p^a. As a ->
    0 that tends to the uniform row on the support, as a -> infinity to the uniform row on the most
    probable labels; p^a has a monotone likelihood ratio, so the total variation to p grows both
    ways from a = 1, and its supremum is the larger one of the two ends. The student writes the
    member whose logits have standard deviation 1 over the labels of positive probability (ddof 0).
    The others, whose logits are -inf, are left out.

    Attributes
    ----------
    flat_tells : bool
        Whether rows that are uniform on their support leave that row alone; the cosine of a zero
        vector tells nothing, so that any row on the support is as good.
    """

    flat_tells: bool

    words: ClassVar[str] = "p^a / sum p^a, for every a > 0"

    @property
    def needs(self) -> Access:
        """Logits of whole rows, up to a shift."""
        return logits()

    def written(self, rows: Rows) -> Rows:
        """Return the softmax of the standardised logits."""
        logs, deviation = _logs(rows)
        flat = (deviation == 0.0)[:, None]
        scaled = logs / np.where(flat, 1.0, deviation[:, None])
        return np.where(flat, rows, softmax(np.where(rows > 0.0, scaled, -np.inf)))

    def least(self, rows: Rows) -> np.ndarray:
        """Return 0: a = 1 is among them."""
        return np.zeros(len(rows))

    def most(self, rows: Rows) -> np.ndarray:
        """Return the larger one of the two ends, (S,)."""
        support = rows > 0.0
        even = support / support.sum(axis=1, keepdims=True)
        top = rows == rows.max(axis=1, keepdims=True)
        sharp = 1.0 - np.where(top, rows, 0.0).sum(axis=1)
        ends = np.maximum(sharp, total_variation(even, rows))
        flat = _logs(rows)[1] == 0.0
        free = 0.0 if self.flat_tells else 1.0 - 1.0 / support.sum(axis=1)
        return np.where(flat, free, ends)

    def worst(self, labels: int) -> Worst:
        """Return the largest that rows of two and three different logits have, by search."""
        return none_lost(1) if labels == 1 else largest_of(self, _tilted_rows(labels))

    def widest(self, labels: int) -> Worst:
        """Return 1 - 1/A.

        No two rows of one order are further apart, and a row that is even but for a hair comes as
        near to it as one likes.
        """
        row = uniform_on(labels, labels)
        if labels > 1 and self.flat_tells:
            row[0] *= 1.0 + 1e-6
            row /= row.sum()
        return Worst(1.0 - 1.0 / labels, row, attained=labels == 1 or not self.flat_tells)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Correlation(Named):
    """1 - the correlation of q and p over the labels, the part of DIST between labels.

    It is 0 where q = 1/A + c (p - 1/A) for a c > 0, up to the c = 1 / (1 - A min p) at which the
    smallest probability is 0: the segment from the uniform row, which does not belong to it,
    through p to the border. The part of DIST between inputs leaves one common c for all rows free.
    The student writes the middle of the segment. Of uniform rows the correlation is undefined and
    every row is as good; it writes the uniform one.
    """

    words: ClassVar[str] = "1/A + c (p - 1/A), for c > 0 as long as no probability is negative"

    @property
    def needs(self) -> Access:
        """Whole rows."""
        return SOFT

    def written(self, rows: Rows) -> Rows:
        """Return the middles of the segments."""
        even = 1.0 / rows.shape[1]
        return even + 0.5 * _reach(rows)[:, None] * (rows - even)

    def least(self, rows: Rows) -> np.ndarray:
        """Return 0: c = 1 is among them."""
        return np.zeros(len(rows))

    def most(self, rows: Rows) -> np.ndarray:
        """Return the distance to the further end of the segment, (S,)."""
        reach = _reach(rows)
        to_even = 0.5 * np.abs(rows - 1.0 / rows.shape[1]).sum(axis=1)
        ends = np.maximum(to_even, (reach - 1.0) * to_even)
        return np.where(reach == 0.0, 1.0 - rows.min(axis=1), ends)

    def worst(self, labels: int) -> Worst:
        """Return (1 - 1/A) / 2, at a point mass.

        No row of a segment is further from its middle than half its length, and none is longer than
        from the uniform row to a point mass.
        """
        return Worst(0.5 * (1.0 - 1.0 / labels), uniform_on(1, labels))

    def widest(self, labels: int) -> Worst:
        """Return 1 - 1/A: of the uniform row, which tells nothing, to a point mass."""
        return Worst(1.0 - 1.0 / labels, uniform_on(labels, labels))


@final
@dataclass(frozen=True, eq=False, repr=False)
class Ordered(Objective):
    """The pairwise hinge of logits, sum over p_a > p_b of max(0, margin - (z_a - z_b)).

    It is 0 where the log-odds of all labels of different probability are at least the margin apart,
    the way round that p says: a convex set, of which the student writes the row of largest entropy,
    exp(-margin l) up to a factor on the l-th different probability (l = 0 for the largest): every
    other member majorises it. With margin 0 that is the uniform row. The vertices of the set are
    the same weights on all labels above a place in the order and 0 below, with any labels of equal
    probability at the place; the total variation, a convex function, is largest at one of them.

    Attributes
    ----------
    margin : float
        In nats, from 0 to 10.
    """

    margin: float

    words: ClassVar[str] = (
        "every row in the order of p whose log-odds are at least the margin apart"
    )
    reference: ClassVar[str] = "Burges et al. (2005); pairwise hinge of logits"

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "margin", number_between(self.margin, "margin", low=0.0, high=10.0)
        )

    @property
    def name(self) -> str:
        """As tables call it."""
        return called("pairwise", self.margin)

    @property
    def needs(self) -> Access:
        """Whole rows."""
        return SOFT

    def written(self, rows: Rows) -> Rows:
        """Return the rows of largest entropy."""
        return softmax(-self.margin * _different(rows))

    def least(self, rows: Rows) -> np.ndarray:
        """Return the distance to the convex set, (S,)."""
        return np.array([distance_to_chain(row, self.margin) for row in rows])

    def most(self, rows: Rows) -> np.ndarray:
        """Return the largest distance to a vertex, (S,)."""
        return np.array([self._furthest_vertex(row) for row in rows])

    def _furthest_vertex(self, row: np.ndarray) -> float:
        falling = -np.sort(-row)
        weights = np.exp(-self.margin * _different(falling[None, :])[0])
        sums = np.cumsum(weights)
        loss = [
            np.maximum(weights[:end] / sums[end - 1] - falling[:end], 0.0).sum()
            for end in range(1, len(row) + 1)
        ]
        return float(max(loss))

    def worst(self, labels: int) -> Worst:
        """Return the largest of some families of rows; of margin 0 that of the uniform row to a
        point mass, 1 - 1/A.
        """
        if labels == 1:
            return none_lost(1)
        if self.margin == 0.0:
            return Worst(1.0 - 1.0 / labels, uniform_on(1, labels))
        return largest_of(self, _falling_rows(labels))

    def widest(self, labels: int) -> Worst:
        """Return 1 - 1/A: of the uniform row, which has no order to keep, to a point mass.

        Two rows of one order differ by no more: total variation is convex in both, so that it is
        largest where each is uniform on its first labels.
        """
        return Worst(1.0 - 1.0 / labels, uniform_on(labels, labels))


@final
@dataclass(frozen=True, eq=False, repr=False)
class Sorted(Named):
    """The distance between sorted probabilities, sum |p_(i) - q_(i)|, of universal logit
    distillation.

    It is 0 for every permutation of p. The student, whose labels nothing ties to the teacher's,
    writes the probabilities in descending order of its own labels. The antitone permutation is the
    furthest from p, for the sum of the smaller ones is supermodular.
    """

    words: ClassVar[str] = "every permutation of p"
    symmetric: ClassVar[bool] = False

    @property
    def needs(self) -> Access:
        """Whole rows."""
        return SOFT

    def written(self, rows: Rows) -> Rows:
        """Return the rows in descending order."""
        return -np.sort(-rows, axis=1)

    def least(self, rows: Rows) -> np.ndarray:
        """Return 0: the row itself is among them."""
        return np.zeros(len(rows))

    def most(self, rows: Rows) -> np.ndarray:
        """Return the distance of the ascending from the descending order, (S,)."""
        rising = np.sort(rows, axis=1)
        return np.asarray(total_variation(rising[:, ::-1], rising))

    def worst(self, labels: int) -> Worst:
        """Return 1, at the point mass on the last label."""
        if labels == 1:
            return none_lost(1)
        return Worst(1.0, uniform_on(1, labels)[::-1])


def largest_of(objective: Objective, rows: Iterable[np.ndarray]) -> Worst:
    """Return the largest total variation from some rows to what is written for them."""
    best = none_lost(1)
    for row in rows:
        away = float(total_variation(objective.written(row[None, :])[0], row))
        if away > best.value:
            best = Worst(away, row, attained=False, proved=False)
    return best


def _tilted_rows(labels: int) -> Iterator[np.ndarray]:
    """Yield rows of two and of three different logits, almost even and almost settled."""
    for first in _sizes(labels - 1):
        steps = (np.arange(labels) < first).astype(np.float64)
        yield from (softmax(scale * steps) for scale in (1e-6, 30.0))
    if labels > 2:
        near = np.full(labels, -0.04)
        near[0], near[-1] = 0.0, -1.0
        yield from (softmax(scale * near) for scale in (100.0, 300.0, 700.0))


def _falling_rows(labels: int) -> Iterator[np.ndarray]:
    """Yield rows that are uniform on their first labels, exactly and but for a strict order."""
    for first in _sizes(labels):
        even = uniform_on(first, labels)
        tilted = even * (1.0 - 1e-7 * np.arange(labels) / labels)
        yield from (even, tilted / tilted.sum())


def _sizes(largest: int) -> list[int]:
    """Return some numbers from 1 to the largest, all of them where they are few."""
    if largest <= _SEARCHED:
        return list(range(1, largest + 1))
    steps = np.geomspace(1.0, largest, _SEARCHED).astype(np.int64)
    return [int(size) for size in np.unique([*steps, largest // 2])]


def _logs(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities less their mean over the support, 0 beyond it, and their standard
    deviations (S,), 0 where they are equal.
    """
    support = rows > 0.0
    logs = np.log(np.where(support, rows, 1.0))
    number = support.sum(axis=1)
    logs = np.where(support, logs - (logs.sum(axis=1) / number)[:, None], 0.0)
    deviation = np.sqrt((logs**2).sum(axis=1) / number)
    return logs, np.where(np.ptp(logs, axis=1) > FLAT, deviation, 0.0)


def _reach(rows: Rows) -> np.ndarray:
    """Return the largest c of a segment, (S,); 0 for uniform rows."""
    even = 1.0 / rows.shape[1]
    below = even - rows.min(axis=1)
    flat = np.ptp(rows, axis=1) <= FLAT * even
    return np.where(flat, 0.0, even / np.where(flat, 1.0, below))


def _different(rows: Rows) -> np.ndarray:
    """Return for each label how many different larger probabilities its row has, (S, A)."""
    order = np.argsort(-rows, axis=1, kind="stable")
    falling = np.take_along_axis(rows, order, axis=1)
    steps = np.zeros(rows.shape)
    steps[:, 1:] = np.cumsum(falling[:, 1:] < falling[:, :-1], axis=1)
    found = np.empty(rows.shape)
    np.put_along_axis(found, order, steps, axis=1)
    return found


# By name.


def forward_kl() -> Proper:
    """Return KL(p || q) on whole rows."""
    return Proper("forward_kl", "Hinton, Vinyals and Dean (2015), arXiv 1503.02531")


def reverse_kl() -> Proper:
    """Return KL(q || p) on whole rows."""
    return Proper("reverse_kl", "Gu, Dong, Wei and Huang (2024), MiniLLM, arXiv 2306.08543")


def js(beta: float = 0.5) -> Proper:
    """Return beta KL(p || m) + (1-beta) KL(q || m), m = beta p + (1-beta) q.

    Parameters
    ----------
    beta : float
        Strictly between 0 and 1; 1/2 is the Jensen-Shannon divergence.
    """
    weight = _inside(beta, "beta")
    return Proper(called("js", *([] if weight == 0.5 else [weight])), _GKD)


def skewed_kl(alpha: float) -> Proper:
    """Return KL(p || alpha p + (1-alpha) q).

    Parameters
    ----------
    alpha : float
        From 0, below 1.
    """
    return Proper(called("skewed_kl", _skew(alpha)), _DISTILLM)


def skewed_reverse_kl(alpha: float) -> Proper:
    """Return KL(q || (1-alpha) p + alpha q).

    Parameters
    ----------
    alpha : float
        From 0, below 1.
    """
    return Proper(called("skewed_reverse_kl", _skew(alpha)), _DISTILLM)


def tv() -> Proper:
    """Return 1/2 sum |p - q| on whole rows."""
    return Proper("tv", "Wen, Li, Du and Mou (2023), f-distillation, arXiv 2307.15190")


def probability_mse() -> Proper:
    """Return the mean of (p - q)^2 on whole rows."""
    return Proper("probability_mse", "Brier (1950)")


def cosine() -> Proper:
    """Return 1 - cos(p, q) of the probabilities."""
    return Proper("cosine", "cosine distance of probabilities")


def logit_mse() -> LogitMse:
    """Return the mean squared error of logits."""
    return LogitMse("logit_mse", "Ba and Caruana (2014), arXiv 1312.6184: regression on logits")


def standardised_logits() -> ScaleFree:
    """Return the squared error, or the KL, of logits of mean 0 and standard deviation 1."""
    source = "Sun, Ren, Li, Wang and Cao (2024), logit standardization, arXiv 2403.01528"
    return ScaleFree("standardised_logits", source, True)


def cosine_logits() -> ScaleFree:
    """Return 1 - the cosine of logits of mean 0."""
    return ScaleFree("cosine_logits", "cosine distance of logits", False)


def correlation() -> Correlation:
    """Return 1 - the correlation of p and q over the labels, as DIST does."""
    return Correlation(
        "correlation", "Huang, You, Wang, Qian and Xu (2022), DIST, arXiv 2205.10536"
    )


def pairwise(margin: float) -> Ordered:
    """Return the pairwise hinge of logits.

    Parameters
    ----------
    margin : float
        In nats, from 0 (the order alone) to 10.
    """
    return Ordered(margin)


def sorted_distance() -> Sorted:
    """Return the distance between sorted probabilities, as universal logit distillation does."""
    return Sorted("sorted_distance", "Boizard et al. (2024), ULD, arXiv 2402.12030")


def _inside(value: float, name: str) -> float:
    weight = number_between(value, name, low=0.0, high=1.0)
    if weight in (0.0, 1.0):
        raise ValueError(f"{name} = {weight:g}: must lie strictly between 0 and 1")
    return weight


def _skew(alpha: float) -> float:
    weight = number_between(alpha, "alpha", low=0.0, high=1.0)
    if weight == 1.0:
        raise ValueError("alpha = 1: must be below 1, where the objective no longer sees q")
    return weight
