"""Controlled Monte Carlo for sel_ptl: the same transfer sets, a mean with a small part of the
variance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kt_theory.intervals import NORMAL, interval, tallied
from kt_theory.kernels.control import unseen_weight
from kt_theory.kernels.layout import in_cell_order
from kt_theory.kernels.statistics import hits, moments
from kt_theory.kernels.streams import stream_key
from kt_theory.numeric import missed
from kt_theory.simulation.cell import Cell, RiskEstimate, Tally
from kt_theory.students import Student
from kt_theory.teacher import Teacher

_CONTROLLED = "sel_ptl"
_PIECE = 2**13


def control_variate(teacher: Teacher, n: int) -> tuple[np.ndarray, float]:
    """Return (w, m): the control sum_sa w_sa 1[a unseen at s] of the loss of sel_ptl, and its exact
    mean m.

    The loss of a row with unseen mass R on U unseen labels is 1/2 sum_{a unseen} |p_a - R/U|.
    Around c = E R / E U,

        R/U - c ~ (R - cU) / E U  and  d/dc sum_{a unseen} |p_a - c| ~ k E U,

    k E U the mean number of unseen labels below c less that above. So to first order the loss is a
    sum over unseen cells with w_sa = rho_s (|p_a - c| + k (p_a - c)) / 2 >= 0, and a cell of
    probability rho_s p_a is unseen with probability (1 - rho_s p_a)^n. What is left over is of
    second order; the gain fades where few labels are unseen.

    Parameters
    ----------
    teacher : Teacher
    n : int

    Returns
    -------
    (S, A) array >= 0 with sum at most 2, and a float.
    """
    pi = teacher.pi
    rho = teacher.rho[:, None]
    unseen = missed(rho * pi, n)
    number = unseen.sum(axis=1, keepdims=True)
    number[number == 0.0] = 1.0
    level = (pi * unseen).sum(axis=1, keepdims=True) / number
    slope = (np.sign(level - pi) * unseen).sum(axis=1, keepdims=True) / number
    weight = 0.5 * rho * (np.abs(pi - level) + slope * (pi - level))
    return weight, float((weight * unseen).sum())


class ControlledCell:
    """A `Cell` whose estimate of sel_ptl has its control subtracted, and the control's exact mean
    added: unbiased.

    Its tallies have one row more than a cell's, of (2 + loss - control) / 4, which lies in [0, 1].
    """

    def __init__(
        self,
        teacher: Teacher,
        students: list[Student],
        n: int,
        seed: int,
    ) -> None:
        names = [student.name for student in students]
        if _CONTROLLED not in names:
            raise ValueError(
                f"control = True: controls {_CONTROLLED!r}, which is not among the students {names}"
            )
        self.cell = Cell(teacher, students, n, seed)
        weight, self.mean = control_variate(teacher, n)
        self._column = names.index(_CONTROLLED)
        self._weight = in_cell_order(weight, self.cell.plan.layout)
        self._key = stream_key(seed, n)

    def run(
        self,
        first: int,
        repeats: int,
        losses: np.ndarray | None = None,
    ) -> Tally:
        """Return the tally of repeats first .. first + repeats - 1; see `Cell.run`."""
        students = len(self.cell.students)
        total = Tally.empty(students + 1)
        for at in range(0, repeats, _PIECE):
            size = min(_PIECE, repeats - at)
            part = np.empty((size, students)) if losses is None else losses[at : at + size]
            plain = self.cell.run(first + at, size, part)
            controls = np.empty(size)
            unseen_weight(self.cell.plan, self._key, first + at, self._weight, controls)
            difference = Tally.of(0.25 * (2.0 + part[:, self._column] - controls)[:, None])
            sums = np.concatenate([plain.sums, difference.sums])
            total.absorb(Tally(size, sums, np.concatenate([plain.histogram, difference.histogram])))
        return total

    def std_errors(self, tally: Tally) -> list[float]:
        """Return the standard error of each student's estimate."""
        errors = self.cell.std_errors(self._plain(tally))
        errors[self._column] = 4.0 * moments(tally.sums[-1], tally.repeats)[1]
        return errors

    def estimates(self, tally: Tally, *, target_se: float | None = None) -> list[RiskEstimate]:
        """Return one estimate per student; that of sel_ptl is controlled, its quantiles are those
        of the loss.
        """
        found = self.cell.estimates(self._plain(tally), target_se=target_se)
        plain = found[self._column]
        facts = tallied(tally.sums[-1], tally.repeats, *hits(tally.histogram[-1]))
        quarter = interval(facts)
        mean, low, high = (
            4.0 * value - 2.0 + self.mean for value in (facts.mean, quarter.low, quarter.high)
        )
        error = 4.0 * facts.std_error
        if quarter.kind != NORMAL:
            # The plain losses, of a narrower range, bound the risk more closely.
            low, high = min(plain.low, mean), max(plain.high, mean)
        found[self._column] = replace(
            plain,
            mean=mean,
            std_error=error,
            low=max(0.0, low),
            high=min(1.0, high),
            interval=NORMAL if quarter.kind == NORMAL else plain.interval,
            variance_factor=(plain.std_error / error) ** 2 if error > 0 else 1.0,
            reached=target_se is None or error <= target_se,
        )
        return found

    def seconds_per_repeat(self) -> float:
        """Return a rough cost, to cut work into pieces; no result depends on it."""
        return 2.0 * self.cell.seconds_per_repeat()

    @staticmethod
    def _plain(tally: Tally) -> Tally:
        return Tally(tally.repeats, tally.sums[:-1], tally.histogram[:-1])
