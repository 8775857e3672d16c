"""Upper bounds for hard labels, one input: the certified worst case of students whose shrinkage
bends with the count.

The student is n q_a = n_a + h(n_a) - w(n_a) sum_b h(n_b), with h piecewise linear and w(k) =
(1-eta)/A + eta k/n, whose weights sum to 1. So sum_a q_a = 1, and negative entries may be moved to
zero at no cost. `docs/proofs-hard.md` has the proof, step by step; its numbers stand at the lines
below.

Legend: A labels, n samples, N = n/A, x = np a mean count, h_k = h(k), s the slopes of h, E_j the
mean over Bin(n-j, p), H = E_0 h, D = E_1[h(X+1) - h(X)], m the mean of H over the labels, l that of
A p D, z the error of a label whose others have sum Am, v the width of the smoothed absolute value.
"""

from __future__ import annotations

import heapq
import json
import math
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from kt_theory.limits.hard.priors import log_binomial
from kt_theory.limits.hard.shapes import ETA, shape

SIGMAS, MORE = 7.0, 20.0
"""The counts summed over lie within 7 sqrt(x) + 20 of x: what is left out has mass below 1e-10 by
Bernstein's inequality.
"""

LEFT_OUT = 1e-8
"""Allowance, relative, for the counts left out and for rounding."""

EVERY, TRIES, CLOSE = 12, 4, 1e-3
"""Multipliers are chosen on every twelfth point of the grid, and again, up to four times, with the
points where the bound that they give is met, until it is within 0.1 % of what was hoped.
"""


class Widths(NamedTuple):
    """What the bound may choose freely: the width v of the smoothed absolute value over A w(k),
    theta and kappa of the two products.
    """

    smooth: float
    theta: float
    kappa: float


@dataclass(frozen=True, eq=False)
class Bent:
    """A student with bent shrinkage: its sizes, the knots of h and its values there, and eta.

    Attributes
    ----------
    labels, n : int
    knots : (J,) array
        Whole numbers from 0 on, increasing, the last below n.
    values : (J,) array
        h at them; linear between, constant beyond.
    eta : float
        From 0, where the sum of h is shared equally, towards 1, where it is in proportion to the
        counts.
    """

    labels: int
    n: int
    knots: np.ndarray
    values: np.ndarray
    eta: float

    @cached_property
    def slopes(self) -> np.ndarray:
        """The slope of h from each knot on; 0 from the last."""
        return np.append(np.diff(self.values) / np.diff(self.knots), 0.0)

    @cached_property
    def jumps(self) -> np.ndarray:
        """How the slope changes at each knot after the first."""
        return np.diff(self.slopes)

    def at(self, k: np.ndarray) -> np.ndarray:
        """Return h(k)."""
        return np.interp(k, self.knots, self.values)

    def weight(self, k: np.ndarray) -> np.ndarray:
        """Return w(k) = (1-eta)/A + eta k/n."""
        return (1.0 - self.eta) / self.labels + self.eta * k / self.n

    def answer(self, counts: np.ndarray) -> np.ndarray:
        """Return q before negative entries are moved to zero: (..., A) counts to as many numbers of
        sum 1.
        """
        bent = self.at(counts)
        total = bent.sum(axis=-1, keepdims=True)
        return (counts + bent - self.weight(counts) * total) / self.n


class Laws:
    """Binomial laws of n and n - 1 samples at many p, each on a window of counts, end to end."""

    def __init__(self, student: Bent, x: np.ndarray) -> None:
        n = student.n
        reach = SIGMAS * np.sqrt(x) + MORE
        first = np.maximum(np.floor(x - reach), 0.0)
        self.top = np.minimum(np.ceil(x + reach), float(n))
        sizes = (self.top - first + 1.0).astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        i = np.repeat(np.arange(len(x)), sizes)
        self.k = np.arange(float(sizes.sum())) + np.repeat(first - self.starts, sizes)
        self.i = i
        p = x[i] / n
        self.law = np.exp(log_binomial(self.k, n - self.k, p, n))
        left = (n - self.k) / (n * np.maximum(1.0 - p, 1e-300))
        self.law_less = np.where(p < 1.0, self.law * left, 1.0 * (self.k == n - 1.0))
        self.off = self.k - x[i]
        self.h = student.at(self.k)
        self.piece = np.searchsorted(student.knots, self.k, side="right") - 1
        self.weight = student.weight(self.k)

    def mean(self, f: np.ndarray) -> np.ndarray:
        """Return E_0 f at every x."""
        return np.add.reduceat(self.law * f, self.starts)

    def mean_less(self, f: np.ndarray) -> np.ndarray:
        """Return E_1 f at every x."""
        return np.add.reduceat(self.law_less * f, self.starts)


class Bound:
    """The bound of one student for teachers without a label above 1/2, or (`heavy`) with one.

    Up to `student.beyond`, mean counts are on a grid; above, h is constant wherever a count may
    fall, and closed forms bound whole intervals.
    """

    def __init__(self, student: Bent, widths: Widths, fine: float, heavy: bool) -> None:
        from scipy.special import ive

        self.student, self.widths, self.heavy = student, widths, heavy
        A, n = student.labels, student.n
        most = float(n) if heavy else 0.5 * n
        x, far = grid(student, fine, most)
        laws = self.laws = Laws(student, x)
        self.x = x
        self.H = laws.mean(laws.h)
        self.D = laws.mean_less(student.slopes[laws.piece])
        self.own = laws.h - self.H[laws.i]
        self.R = x * A / n * self.D
        self.low, self.high = np.append(x[:-1], far[:-1]), np.append(x[1:], far[1:])
        self.near = len(x) - 1
        self.middle = np.flatnonzero(x == 0.5 * n)
        ends = np.array([0, 1, self.near])
        self.some = np.unique(np.concatenate([np.arange(0, len(x), EVERY), self.middle, ends]))
        low, high = self.low[: self.near], self.high[: self.near]
        p, q = low / n, high / n
        # Step 9: the largest masses that p in [p, q] can give to the counts about the knots.
        knot = student.knots[1:, None]
        before, at_knot = _peak(knot - 1.0, n - 2, p, q), _peak(knot, n - 2, p, q)
        jumps = np.abs(student.jumps)[:, None]
        self.turn = (jumps * before).sum(axis=0)
        self.turn_size = (jumps * ((knot + 1.0) * before + knot * at_knot)).sum(axis=0)
        self.mass = ive(0.0, (n - 1.0) * np.minimum(p * (1.0 - p), q * (1.0 - q)))
        # Step 7: what the product of one label's sign and the others' sum costs.
        p, q = self.low / n, self.high / n
        square = (1.0 - student.eta + student.eta * A * q) ** 2
        square += student.eta**2 * A * A * q * (1.0 - p) / n
        light = widths.theta * q / np.maximum(1.0 - q, 1e-300)
        self.big = p >= 0.5
        self.sign = square * np.where(self.big, np.minimum(light, 1.0 / widths.kappa), light)
        self._spreads: dict[float, np.ndarray] = {}
        self._smooth: dict[tuple[float, float], np.ndarray] = {}

    def spread(self, l: float) -> np.ndarray:
        """Return an upper bound of E_1 (s - l)^2 on each interval: its rising part at the upper
        end, its falling part at the lower.
        """
        if l not in self._spreads:
            f = (self.student.slopes - l) ** 2
            step = np.diff(f)
            up = np.concatenate([[f[0]], f[0] + np.cumsum(np.maximum(step, 0.0))])
            down = np.concatenate([[0.0], np.cumsum(np.minimum(step, 0.0))])
            laws = self.laws
            rise, fall = laws.mean_less(up[laws.piece]), laws.mean_less(down[laws.piece])
            rest = np.full(len(self.low) - self.near, l * l)
            self._spreads[l] = np.append(rise[1:] + fall[:-1], rest)
        return self._spreads[l]

    def smooth(self, m: float, l: float) -> np.ndarray:
        """Return E_0 phi(z) at every x of the grid: the smoothed error of a label."""
        if (m, l) not in self._smooth:
            student, laws = self.student, self.laws
            others = student.labels * m + self.own - l * laws.off
            z = np.abs(laws.off + laws.h - laws.weight * others)
            v = self.widths.smooth * student.labels * laws.weight
            self._smooth[m, l] = laws.mean(np.where(z < v, 0.5 * (z * z / v + v), z))
        return self._smooth[m, l]

    def smooth_far(self, m: float, l: float) -> np.ndarray:
        """Return an upper bound of E_0 phi(z) on each interval beyond the grid."""
        student = self.student
        A, n, last = student.labels, student.n, float(student.values[-1])
        low, high = self.low[self.near :], self.high[self.near :]
        scatter = np.sqrt(2.0 / math.pi * (high * (1.0 - low / n) + 2.0))
        ends = [np.abs(last - A * m * student.weight(x)) for x in (low, high)]
        shift = np.maximum(ends[0], ends[1])
        width = 0.5 * self.widths.smooth * A * student.weight(high)
        return scatter * (1.0 + abs(l) + student.eta * abs(m) * A / n) + shift + width

    def rest(self, l: float) -> np.ndarray:
        """Return an upper bound on each interval of what the scatter of the sum of h costs."""
        A, n, eta = self.student.labels, self.student.n, self.student.eta
        per = (1.0 - (1.0 - eta) / A) / self.widths.smooth
        per += self.widths.kappa if self.heavy else 0.0
        both = self.high * self.spread(l) * (self.high / n / self.widths.theta + per)
        return (self.sign + both) / (2.0 * A)

    def curvature(self, l: float, t: float, r: float) -> np.ndarray:
        """Return K with second derivative >= -K in x of the smooth part less its multipliers."""
        student = self.student
        A, n, eta = student.labels, student.n, student.eta
        steep = float(np.abs(student.slopes - l).max())
        kink = 4.0 * self.mass * (1.0 + student.weight(self.laws.top[1:]) * steep)
        bends = (1.0 + abs(t) + student.weight(self.high[: self.near])) * self.turn
        return kink + bends + abs(r) * A / n * self.turn_size + 4.0 * eta / n * steep

    def rising(self, m: float, l: float) -> bool:
        """Return whether z rises faster than its width in the count, which the curvature takes for
        granted.
        """
        student = self.student
        spread = float(np.ptp(student.values))
        reach = SIGMAS * math.sqrt(self.x[-1]) + MORE
        less = student.labels * max(m, 0.0) + spread + abs(l) * reach
        rise = 1.0 + min(float(student.slopes.min()), l) - student.eta / student.n * less
        return rise >= self.widths.smooth * student.eta * student.labels / student.n

    def lines(self, m: float, l: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what the multipliers weigh, at the grid and at both ends of each interval beyond:
        (P, 4) and (F, 2, 4).
        """
        N, share = self.student.n / self.student.labels, 1.0 / self.student.labels
        big = 1.0 * (self.x >= 0.5 * self.student.n) - share
        at = np.column_stack([self.x - N, self.H - m, self.R - l, big * self.heavy])
        low, high = self.low[self.near :], self.high[self.near :]
        rest = np.ones_like(low)
        last = float(self.student.values[-1])
        above = (1.0 * self.big[self.near :] - share) * self.heavy
        ends = [np.column_stack([x - N, rest * (last - m), -rest * l, above]) for x in (low, high)]
        return at, np.stack(ends, axis=1)

    def top(self, m: float, l: float, multipliers: np.ndarray) -> tuple[float, int]:
        """Return an upper bound of max over p of Psi less what the multipliers weigh, and the
        interval that it is met on.
        """
        if not self.rising(m, l):
            return math.inf, 0
        at, ends = self.lines(m, l)
        _, t, r, u = multipliers
        rest = self.rest(l)
        value = self.smooth(m, l) - at[:, :3] @ multipliers[:3]
        jump = u * self.heavy * (1.0 * self.big - 1.0 / self.student.labels)
        near = np.maximum(value[:-1], value[1:]) - jump[: self.near]
        width = self.high[: self.near] - self.low[: self.near]
        near += self.curvature(l, float(t), float(r)) * width**2 / 8.0 + rest[: self.near]
        far = self.smooth_far(m, l) + rest[self.near :] - (ends @ multipliers).min(axis=1)
        every = np.append(near, far)
        place = int(every.argmax())
        return float(every[place]), place

    def rectangle(self, corners: list[tuple[float, float]]) -> float:
        """Return the bound of a rectangle of pairs (m, l): the largest at its corners.

        Where that is met between points that the multipliers were not chosen for, they are chosen
        again.
        """
        best = math.inf
        for _ in range(TRIES):
            at, hoped = self.multipliers(corners)
            tops = [self.top(m, l, at) for m, l in corners]
            best = min(best, max(top for top, _ in tops))
            if best <= hoped + CLOSE * abs(hoped):
                break
            more = [j + i for _, j in tops for i in (0, 1) if j < self.near]
            self.some = np.union1d(self.some, more).astype(np.int64)
        return best

    def multipliers(self, corners: list[tuple[float, float]]) -> tuple[np.ndarray, float]:
        """Return nearly the best multipliers for all corners of a rectangle, any of which prove a
        bound, and the bound at some points of the grid.
        """
        from scipy.optimize import linprog

        rows, right = [], []
        for m, l in corners:
            at, ends = self.lines(m, l)
            rest = self.rest(l)
            psi = self.smooth(m, l) + np.append(0.0, rest[: self.near])
            far = np.repeat(self.smooth_far(m, l) + rest[self.near :], 2)
            both = at[self.middle].copy()
            both[:, 3] -= self.heavy
            rows.append(np.concatenate([at[self.some], both, ends.reshape(-1, 4)]))
            right.append(np.concatenate([psi[self.some], psi[self.middle], far]))
        table = np.concatenate(rows)
        big = 10.0 * float(np.abs(self.student.slopes).max()) + 10.0
        N = self.student.n / self.student.labels
        found = linprog(
            [0.0, 0.0, 0.0, 0.0, 1.0],
            A_ub=-np.column_stack([table, np.ones(len(table))]),
            b_ub=-np.concatenate(right),
            bounds=[(-big, big), (-big, big), (-big * N, big * N), (None, None), (None, None)],
            method="highs",
        )
        if found.x is None:
            return np.zeros(4), -math.inf
        return np.asarray(found.x[:4]), float(found.x[4])


def _peak(k: np.ndarray, n: int, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return max over [p, q] of the binomial mass b(k; n, .): at k/n, or at the end next to it."""
    inside = (k >= 0.0) & (k <= n)
    j = np.where(inside, k, 0.0)
    at = np.clip(j / n, p, q)
    return np.where(inside, np.exp(log_binomial(j + 0.0 * at, n - j + 0.0 * at, at, n)), 0.0)


def grid(student: Bent, fine: float, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean counts from 0 on, spaced so that the curvature between them costs about `fine`^2
    of the bound, relative, and the ends of the intervals beyond, up to `most`.
    """
    n = student.n
    # K is about 1.6/sqrt(x), the bound 0.8 sqrt(N) for each label.
    step = fine * math.sqrt(4.0 * math.sqrt(n / student.labels))
    half = 0.5 * SIGMAS
    beyond = (half + math.sqrt(half * half + MORE + float(student.knots[-1]) + 1.0)) ** 2
    end = min(beyond, most)
    small = 0.5 * step * np.arange(0.0, math.ceil(2.0 / step) + 1.0)
    # dx = step x^(1/4) is even in x^(3/4).
    far = np.arange(small[-1] ** 0.75, end**0.75, 0.75 * step) ** (4.0 / 3.0)
    x = np.unique(np.concatenate([small, far, [0.5 * n, end]]))
    pieces = np.geomspace(end, most, 2 + int(25.0 * math.log(most / end)))
    rest = np.unique(np.append(pieces, 0.5 * n if end < 0.5 * n else end))
    return x[x <= end], rest


def bent_upper(student: Bent, widths: Widths, fine: float, most: int) -> float:
    """Return a proved bound of the worst-case risk of the student, by at most `most` halvings for
    each of the two kinds of teachers.
    """
    if student.n < 10:
        return math.inf
    light = part_upper(Bound(student, widths, fine, False), most, 0.0)
    return max(light, part_upper(Bound(student, widths, fine, True), most, light))


def part_upper(bound: Bound, most: int, goal: float) -> float:
    """Return the bound of one of the two parts.

    Branch and bound over the pairs (m, l), one of which every teacher has: Psi is convex in them,
    so a rectangle's bound is that of its corners, with one set of multipliers.
    """
    student = bound.student
    # How many times as wide a rectangle may be in m as in l.
    wide = 6.0 / math.sqrt(student.labels)
    factor = 0.5 * student.labels / student.n * (1.0 + LEFT_OUT)

    def cell(box: tuple[float, float, float, float]) -> float:
        m0, m1, l0, l1 = box
        return factor * bound.rectangle([(m, l) for m in (m0, m1) for l in (l0, l1)])

    slopes, values = student.slopes, student.values
    box = (float(values.min()), float(values.max()), float(slopes.min()), float(slopes.max()))
    queue = [(-cell(box), box)]
    for _ in range(most):
        value, box = -queue[0][0], queue[0][1]
        if value <= goal:
            break
        heapq.heappop(queue)
        m0, m1, l0, l1 = box
        m, l = 0.5 * (m0 + m1), 0.5 * (l0 + l1)
        parts = [(m0, m, l0, l1), (m, m1, l0, l1)]
        if m1 - m0 < wide * (l1 - l0):
            parts = [(m0, m1, l0, l), (m0, m1, l, l1)]
        for part in parts:
            value = cell(part)
            heapq.heappush(queue, (-value, part))
    return -queue[0][0]


def bent_student(labels: int, n: int) -> Bent:
    """Return the student whose shape is interpolated from the table."""
    return Bent(labels, n, *shape(labels, n), ETA)


def bent_bound(labels: int, n: int, fine: float = 0.02, most: int = 120) -> float:
    """Return the proved bound of the worst-case risk of `bent_student`, in seconds.

    Parameters
    ----------
    labels, n : int
        A and n, best with A >= 20 and n from 2A to 100A.
    fine : float
        The grid costs about its square, relative.
    most : int
        Most halvings of rectangles.
    """
    smooth = 0.56 * math.sqrt(0.1 * n / labels) * labels ** (-1.0 / 3.0)
    return bent_upper(bent_student(labels, n), Widths(smooth, 0.1, 3.0), fine, most)


@cache
def proved() -> np.ndarray:
    """Return the table that `benchmarks/hard_proved.py` writes: (P, 3) of A, n and `bent_bound`."""
    text = files("kt_theory.limits.hard").joinpath("proved.json").read_text(encoding="utf-8")
    return np.array(json.loads(text), dtype=np.float64)


def proved_upper(labels: int, n: int) -> float:
    """Return the least bound of the table that holds for A labels and n samples, else 1.

    The minimax risk rises in A, as labels may have probability 0, and falls in n, as samples may be
    thrown away.
    """
    table = proved()
    holds = (table[:, 0] >= labels) & (table[:, 1] <= n)
    return float(table[holds, 2].min(initial=1.0))
