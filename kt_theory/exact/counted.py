"""Exact risks of frequencies, with or without pseudo-counts, in losses that are sums over the
labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.exact.averages import (
    BATCH,
    CHUNK,
    TAIL_NATS,
    Deviations,
    LabelMeans,
    average_over_visits,
)
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.risk import RowRisk
from kt_theory.losses import CHI2, L2, TV, SumOverLabels
from kt_theory.numeric import bernstein
from kt_theory.teacher import RowClasses

PRICE = 60.0
"""Nanoseconds for the loss of one label at one count."""

PER_LABEL = 400.0
"""Counts that a label costs at least."""

NODES, DIRECT = 24, 256
"""How many visit counts stand for a stretch of more than `DIRECT` in which they double at most."""

AGREES = 1e-12
"""How well they must do so, relatively."""

SMALLEST_C = 1e-250
"""Pseudo-counts below vanish in float64 beside the number of visits."""


Entries = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Different labels of rows, what the others of the row sum to, and how often they occur."""


@dataclass(frozen=True)
class Counted(RowRisk):
    """The risk of add_c, and of ce_sgl for c = 0, in a loss that is a sum of phi(p_a, q_a).

    After k >= 1 visits q_a = (X_a + c)/(k + cA), X_a ~ Bin(k, p_a), so that the row loses

        sum_a E phi(p_a, (X_a + c)/(k + cA)),

    whatever the dependence between the counts. l2 is a variance and the square of a bias, sum_a
    [k p_a (1-p_a) + c^2 (1 - A p_a)^2] / (k + cA)^2. chi2 of c = 1 has a closed form too: with
    chi2 = sum_a p_a^2 / q_a - 1 and E 1/(X+1) = (1 - (1-p)^(k+1)) / ((k+1) p), for
    C(k,x)/(x+1) = C(k+1,x+1)/(k+1), it is

        (A-1)/(k+1) - (k+A)/(k+1) sum_a p_a (1-p_a)^(k+1),

    at most (A-1)/(k+1), as at a point mass. For other c, E 1/(X+c) is the integral of
    t^(c-1) (1-p+pt)^k over [0, 1], a hypergeometric function that is a sum of k + 1 terms. There,
    and in the other losses, the sum over X is taken as it stands.

    Tails are cut where they are e^-nats of the law, with nats = 47 + log(1 + n) + log(1 + phi(1,
    c/(n + cA))): the loss is nowhere above A times that phi, or a bounded loss above A phi(0, 1),
    and the risk falls no faster than 1/n.

    Attributes
    ----------
    c : float
    name : str
    loss : SumOverLabels
    """

    c: float
    name: str
    loss: SumOverLabels = TV

    def unbounded(self, rows: np.ndarray) -> np.ndarray:
        """Return whether a label of each row that stays unseen may cost infinitely much: one of
        positive probability for c = 0, one of probability 0 otherwise.
        """
        positive = rows > 0.0
        if self.c == 0.0:
            some = positive & (positive.sum(axis=1) > 1)[:, None]
            return np.asarray((some & np.isinf(self.loss.each(rows, 0.0))).any(axis=1))
        return np.asarray((~positive & np.isinf(self.loss.each(rows, 1.0))).any(axis=1))

    def visited(self, classes: RowClasses, n: np.ndarray) -> np.ndarray:
        """Return what visited rows lose, (N,)."""
        if 0.0 < self.c < SMALLEST_C:
            raise NoExactRisk(
                f"student {self.name!r}: c = {self.c:g} vanishes beside the visits: give 0, or at "
                f"least {SMALLEST_C:g}"
            )
        if (self.unbounded(classes.rows) & (classes.weight > 0.0)).any():
            return np.where(n > 0, np.inf, 0.0)
        most, labels = float(n.max(initial=0.0)), classes.rows.shape[1]
        least = self.c / (most + self.c * labels) if self.c else 1.0
        nats = TAIL_NATS + float(np.log1p(most) + np.log1p(self.loss.each(1.0, least)))
        means = LabelMeans(*self._means(classes, most, nats), errs_at_0=True, nats=nats)
        simulation = f"simulate(teacher, student, n, loss={self.loss.name!r})"
        return average_over_visits(classes, n, means, self.name, simulation)

    def _means(self, classes: RowClasses, most: float, nats: float) -> tuple[Deviations, float]:
        """Return how to take the mean over the counts, and its cost."""
        pairs = self.c * classes.rows.shape[1]
        if self.loss == L2:
            return _squares(self.c, pairs), 1.0
        if self.loss == CHI2 and self.c == 1.0:
            return _squares_over_sums(pairs), 10.0
        visits = most * classes.rho
        spread = visits[:, None] * classes.rows * (1.0 - classes.rows)
        counts = 2.0 * float(bernstein(nats, spread).mean()) + PER_LABEL
        stretch = 2.0 * bernstein(nats, visits * (1.0 - np.minimum(classes.rho, 1.0)))
        some = 3.0 * NODES / np.clip(stretch, 1.0, CHUNK)
        looks = float(np.where(stretch > DIRECT, some, 1.0).max())
        return _Sums(self.c, pairs, self.loss, nats), PRICE * counts * looks


def _polynomial(nodes: np.ndarray, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the polynomial through (nodes, values) at x (Berrut and Trefethen 2004)."""
    gaps = 4.0 * (nodes[:, None] - nodes) / (nodes[-1] - nodes[0])
    np.fill_diagonal(gaps, 1.0)
    weights = 1.0 / gaps.prod(axis=1)
    away = x[:, None] - nodes
    at_node = away == 0.0
    shares = weights / np.where(at_node, 1.0, away)
    shares = np.where(at_node.any(axis=1)[:, None], at_node, shares)
    return np.asarray(shares @ values / shares.sum(axis=1))


def _squares(c: float, pairs: float) -> Deviations:
    """Return the means of l2."""

    def means(
        first: float,
        labels: np.ndarray,
        rest: np.ndarray,
        weight: np.ndarray,
        profile: np.ndarray,
    ) -> None:
        k = first + np.arange(len(profile))
        variance = weight @ (labels * rest)
        bias = weight @ (c - pairs * labels) ** 2
        profile[:] = 2.0 * (k * variance + bias) / (k + pairs) ** 2

    return means


def _squares_over_sums(pairs: float) -> Deviations:
    """Return the means of chi2 for c = 1, summed over rows, whose probabilities sum to 1."""

    def means(
        first: float,
        labels: np.ndarray,
        rest: np.ndarray,
        weight: np.ndarray,
        profile: np.ndarray,
    ) -> None:
        rows = weight @ labels
        unseen = rest > 0.0
        share, log = (weight * labels)[unseen], np.log1p(-labels[unseen])
        log = np.where(labels[unseen] > 0.5, np.log(rest[unseen]), log)
        step = max(1, BATCH // max(len(share), 1))
        for start in range(0, len(profile), step):
            part = profile[start : start + step]
            k = first + start + np.arange(len(part))
            missing = np.exp((k[:, None] + 1.0) * log) @ share
            part[:] = 2.0 * (rows * (pairs - 1.0) - (k + pairs) * missing) / (k + 1.0)

    return means


@dataclass(frozen=True)
class _Sums:
    """The means of any sum over labels, by a sum over the count of each.

    Over k they are smooth: 1/(X+c), log(X+c), sqrt(X+c), and with m = p (k + cA) log(X+c+m), are
    integrals over u of e^(-uX) e^(-uk p) and the like, whose means have factors (1-p+p e^-u)^k, of
    modulus at most 1 wherever Re k >= 0. So a mean is analytic in that half-plane, and
    interpolation between k and 2k by a polynomial in N nodes errs like (3 + sqrt 8)^-N.
    """

    c: float
    pairs: float
    loss: SumOverLabels
    nats: float

    def __call__(
        self,
        first: float,
        labels: np.ndarray,
        rest: np.ndarray,
        weight: np.ndarray,
        profile: np.ndarray,
    ) -> None:
        start = 0
        while start < len(profile):
            stop = min(len(profile), start + max(DIRECT, int(first) + start))
            self._fill(first + start, (labels, rest, weight), profile[start:stop])
            start = stop

    def _fill(self, first: float, entries: Entries, profile: np.ndarray) -> None:
        """Write the means after first, first + 1, ... visits: of many by interpolation, if that
        agrees with the sums between its nodes, else of each half apart.
        """
        length = len(profile)
        if length <= DIRECT:
            profile[:] = self._after(first + np.arange(length), *entries)
            return
        angle = np.pi * (np.arange(NODES) + 0.5) / NODES
        nodes = np.unique(np.rint(0.5 * (length - 1.0) * (1.0 - np.cos(angle))))
        looks = np.floor(0.5 * (nodes[1:] + nodes[:-1]))[:: NODES // 4]
        found = self._after(first + np.concatenate([nodes, looks]), *entries)
        values, seen = found[: len(nodes)], found[len(nodes) :]
        if np.allclose(_polynomial(nodes, values, looks), seen, rtol=AGREES, atol=0.0):
            profile[:] = _polynomial(nodes, values, np.arange(float(length)))
            return
        half = length // 2
        self._fill(first, entries, profile[:half])
        self._fill(first + half, entries, profile[half:])

    def _after(
        self, k: np.ndarray, labels: np.ndarray, rest: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """Return twice the loss of all labels after k visits, (K,)."""
        lost = np.zeros(len(k))
        random = (labels > 0.0) & (rest > 0.0)
        for p, share in zip(labels[~random], weight[~random], strict=True):
            lost += share * self.loss.each(p, (k * p + self.c) / (k + self.pairs))
        labels, rest, weight = labels[random], rest[random], weight[random]
        reach = np.ceil(bernstein(self.nats, k.max() * labels * rest)) + 1.0
        start = 0
        while start < len(labels):
            farthest = np.maximum.accumulate(reach[start : start + BATCH])
            cells = (2.0 * farthest + 1.0) * np.arange(1.0, len(farthest) + 1.0)
            number = max(1, int(np.searchsorted(cells, BATCH, side="right")))
            some, far = slice(start, start + number), float(farthest[number - 1])
            step = max(1, int(BATCH / (number * (2.0 * far + 1.0))))
            for at in range(0, len(k), step):
                each = self._each(k[at : at + step], labels[some], rest[some], far)
                lost[at : at + step] += each @ weight[some]
            start += number
        return 2.0 * lost

    def _each(self, k: np.ndarray, p: np.ndarray, rest: np.ndarray, far: float) -> np.ndarray:
        """Return E phi(p, (X + c)/(k + cA)), (K, L), over counts within `far` of the mode.

        The weights are products of the ratios Bin(x+1)/Bin(x) away from the mode, divided by their
        sum, in which the tails are below rounding.
        """
        count, p, rest = k[:, None, None], p[None, :, None], rest[None, :, None]
        mode = np.minimum(np.floor((count + 1.0) * p), count)
        above = mode + np.arange(1.0, min(far, float((count - mode).max())) + 1.0)
        below = mode - np.arange(0.0, min(far, float(mode.max())))
        up = np.maximum(count - above + 1.0, 0.0) * p / (above * rest)
        down = np.maximum(below, 0.0) * rest / ((count - below + 1.0) * p)
        total, lost = np.ones(mode.shape[:2]), self._at(mode, count, p)[:, :, 0]
        for x, ratio in ((above, up), (below - 1.0, down)):
            chance = np.cumprod(ratio, axis=2)
            here = np.where(chance > 0.0, x, mode)
            total += chance.sum(axis=2)
            lost += (chance * self._at(here, count, p)).sum(axis=2)
        return np.asarray(lost / total)

    def _at(self, x: np.ndarray, count: np.ndarray, p: np.ndarray) -> np.ndarray:
        return self.loss.each(p, (x + self.c) / (count + self.pairs))
