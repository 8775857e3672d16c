"""One cell of a simulation: a teacher, its students, one n and one seed, run in blocks of absolute
repeat indices.

A block of repeats gives a `Tally`; tallies add up to the same bits in any grouping and order, on
any thread, process or machine. So a long run can be cut, sharded, saved and resumed at will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from kt_theory import machine
from kt_theory.intervals import interval, tallied
from kt_theory.kernels.closed_losses import facts_of
from kt_theory.kernels.draws import ByRows, Sparse, draw_many, path_of
from kt_theory.kernels.generic import Rules, mixed_labels
from kt_theory.kernels.layout import Layout, as_tables, in_cell_order
from kt_theory.kernels.loop import run_repeats
from kt_theory.kernels.losses import SortedTable, Table
from kt_theory.kernels.noise import noise_of
from kt_theory.kernels.statistics import (
    BINS,
    SUMS,
    WIDE_BINS,
    WIDE_SUMS,
    hits,
    infinite,
    moments,
    quantiles,
)
from kt_theory.kernels.streams import stream_key
from kt_theory.kernels.tally import accumulate, accumulate_wide
from kt_theory.losses import TV, Loss, RowLoss
from kt_theory.numeric import total_variation
from kt_theory.simulation.cost import seconds_per_repeat
from kt_theory.simulation.plans import Drawn, drawn
from kt_theory.simulation.rules import (
    RowRuleError,
    fault,
    kernel_students,
    losses_of_rules,
    measures,
    pools,
    rule_addresses,
    rule_kind,
    ruled,
)
from kt_theory.students import Student
from kt_theory.teacher import Teacher

_QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_PIECE = 2**13
_MOST_TRIALS = 64
_TRIAL_CELLS = 10**6
_ARRAYS = 20
_ARRAYS_OF_TABLE_RULES = 3


@dataclass(frozen=True)
class RiskEstimate:
    """The Monte Carlo estimate of one student's risk at one n, E TV(q, pi | rho) or that of another
    loss.

    Attributes
    ----------
    teacher : str
        Its name.
    student, access : str
    n, inputs, labels : int
    mean : float
        Average loss; inf if a loss was infinite.
    std_error : float
        Standard error of the mean.
    low, high : float
        They hold the risk with a probability of 95 %.
    interval : str
        Which kind they are of: "normal", or where that would lie "clopper-pearson" or "bernstein";
        "infinite" if a loss was. See `kt_theory.intervals.interval`.
    q05, q25, q50, q75, q95 : float
        Quantiles of the loss, off by at most 2^-12 of their value.
    repeats, seed : int
    path : str
        How the counts were drawn: "sparse", "alias", "poisson" or "binomial"; under another law of
        queries its name stands before it, as in "iid(q) alias", or alone, as in "chain".
    reached : bool
        Whether `std_error` is at most the `target_se` that was asked for; True if none was.
    variance_factor : float
        The variance of the plain mean over that of this one: above 1 where a control variate was
        used.
    loss : str
        Its name; see `kt_theory.losses`.
    infinite : int
        How many of the losses were infinite, or above 2^60.
    """

    teacher: str
    student: str
    access: str
    n: int
    inputs: int
    labels: int
    mean: float
    std_error: float
    low: float
    high: float
    interval: str
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    repeats: int
    seed: int
    path: str
    reached: bool = True
    variance_factor: float = 1.0
    loss: str = "tv"
    infinite: int = 0


@dataclass(eq=False)
class Tally:
    """Sums over the losses of some repeats; `a + b` is the tally of both, whatever the order.

    Attributes
    ----------
    repeats : int
    sums : (columns, SUMS or WIDE_SUMS) int64 array
        Whole-number sums from which mean and standard error follow exactly.
    histogram : (columns, BINS or WIDE_BINS) int64 array
        Where the quantiles come from.
    """

    repeats: int
    sums: np.ndarray
    histogram: np.ndarray

    @classmethod
    def empty(cls, columns: int, *, wide: bool = False) -> Tally:
        """Return the tally of no repeats; `wide`: for losses that can exceed 1."""
        sums, bins = (WIDE_SUMS, WIDE_BINS) if wide else (SUMS, BINS)
        return cls(
            0, np.zeros((columns, sums), dtype=np.int64), np.zeros((columns, bins), dtype=np.int64)
        )

    @classmethod
    def of(cls, losses: np.ndarray) -> Tally:
        """Return the tally of `losses`, (repeats, columns), in [0, 1]."""
        tally = cls.empty(losses.shape[1])
        tally.count(losses)
        return tally

    def count(self, losses: np.ndarray) -> None:
        """Add the losses of some repeats, (repeats, columns)."""
        wide = self.sums.shape[1] == WIDE_SUMS
        (accumulate_wide if wide else accumulate)(losses, self.sums, self.histogram)
        self.repeats += len(losses)

    def __add__(self, other: Tally) -> Tally:
        """Return the tally of both."""
        return Tally(
            self.repeats + other.repeats, self.sums + other.sums, self.histogram + other.histogram
        )

    def absorb(self, other: Tally) -> None:
        """Add `other` to this tally in place, at a tenth of the cost of a new one."""
        self.repeats += other.repeats
        self.sums += other.sums
        self.histogram += other.histogram


class Cell:
    """A teacher, its students, one n and one seed, ready for the kernels.

    Parameters
    ----------
    teacher : Teacher
    students : list of Student
    n : int
        Pairs per transfer set.
    seed : int
    losses : sequence of Loss
        Total variation if omitted. Each student has a column of each.
    how : Drawn, optional
        How the counts are drawn, from `kt_theory.simulation.plans.drawn`; iid from rho if omitted.
    key : (2,) uint64 array, optional
        Names its family of random streams, from `kt_theory.kernels.streams.stream_key`; that of
        (seed, n) if omitted.

    Examples
    --------
    >>> import kt_theory as kt
    >>> cell = Cell(kt.Teacher([[0.5, 0.5]]), [kt.STUDENTS["ce_sgl"]], n=10, seed=0)
    >>> cell.estimates(cell.run(0, 100) + cell.run(100, 50)) == cell.estimates(cell.run(0, 150))
    True
    """

    def __init__(
        self,
        teacher: Teacher,
        students: Sequence[Student],
        n: int,
        seed: int,
        *,
        losses: Sequence[Loss] = (TV,),
        how: Drawn | None = None,
        key: np.ndarray | None = None,
    ) -> None:
        self.teacher, self.students, self.n, self.seed = teacher, list(students), n, seed
        self.losses = list(losses)
        pi = teacher.pi
        rho = teacher.rho
        _refuse_beyond_memory(teacher, self.students)
        self.plan, self.path = how or drawn(teacher, n)
        sparse = isinstance(self.plan, Sparse)
        self.table = kernel_table(pi, rho, self.plan.layout, sparse=sparse)
        self.columns, self.rules = kernel_students(self.students, pi, self.losses)
        self.facts = facts_of(pi, rho, self.columns)
        self.measures = measures(losses_of_rules(self.students, self.losses), pi, rho)
        self._key = stream_key(seed, n) if key is None else key
        if len(self.rules.address):
            self._try_out()

    def run(
        self,
        first: int,
        repeats: int,
        losses: np.ndarray | None = None,
    ) -> Tally:
        """Return the tally of repeats first .. first + repeats - 1; write every loss into `losses`
        if it is given.

        Parameters
        ----------
        first, repeats : int
        losses : (repeats, columns) array, optional
            The losses of a student side by side.

        Raises
        ------
        RowRuleError
            A row that a student's rule wrote is not a distribution.
        ValueError
            A loss of one's own is no number >= 0.
        """
        tally = self.no_repeats()
        width = len(self.columns)
        room = np.empty((min(repeats, _PIECE), width)) if losses is None else losses
        for at in range(0, repeats, _PIECE):
            size = min(_PIECE, repeats - at)
            part = room[:size] if losses is None else losses[at : at + size]
            self._fill(first + at, self.rules, part)
            tally.count(part)
        return tally

    def no_repeats(self) -> Tally:
        """Return the tally of no repeats."""
        return Tally.empty(len(self.columns), wide=any(loss.largest > 1 for loss in self.losses))

    def _fill(self, first: int, rules: Rules, losses: np.ndarray) -> None:
        bad = run_repeats(
            self.plan,
            self._key,
            first,
            self.table,
            self.facts,
            self.columns,
            self.measures,
            rules,
            losses,
        )
        if bad[2] >= 0:
            self._refuse_row(*bad)

    def draw(self, first: int, repeats: int) -> np.ndarray:
        """Return the counts of repeats first .. first + repeats - 1: (repeats, S, A) int64."""
        cells = np.empty((repeats, self.table.pi.size), dtype=np.int64)
        draw_many(self.plan, self._key, first, cells)
        return as_tables(cells, self.plan.layout)

    def answers(self, student: int, repeat: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what a student saw in a repeat, noise included: counts (S, A) and revealed (S, A),
        NaN where hidden.

        `student` is its place in the list. `Student.table` makes its table from them.
        """
        level = self.students[student].access
        pi = self.teacher.pi
        deviates: Any = _Deviates(self._key, repeat)
        counts = level.seen_counts(self.draw(repeat, 1)[0], pi, deviates)
        return counts, level.reveal(counts, pi, deviates)

    def std_errors(self, tally: Tally) -> list[float]:
        """Return the standard error of each column's mean loss, NaN where one was infinite."""
        return [moments(row, tally.repeats)[1] for row in tally.sums]

    def estimates(self, tally: Tally, *, target_se: float | None = None) -> list[RiskEstimate]:
        """Return one estimate per student and loss from at least 2 repeats."""
        found = []
        columns = product(self.students, self.losses)
        rows = zip(columns, tally.sums, tally.histogram, strict=True)
        for (student, loss), sums, histogram in rows:
            bins, counts = hits(histogram)
            facts = tallied(sums, tally.repeats, bins, counts)
            low, high, kind = interval(facts, largest=loss.largest)
            shares = quantiles(counts, list(_QUANTILES.values()), bins, largest=loss.largest)
            endless = infinite(sums)
            found.append(
                RiskEstimate(
                    teacher=self.teacher.name,
                    student=student.name,
                    access=student.access.name,
                    n=self.n,
                    inputs=self.teacher.inputs,
                    labels=self.teacher.labels,
                    mean=facts.mean,
                    std_error=facts.std_error,
                    low=low,
                    high=high,
                    interval=kind,
                    **dict(zip(_QUANTILES, shares, strict=True)),
                    repeats=tally.repeats,
                    seed=self.seed,
                    path=self.path,
                    reached=target_se is None or endless > 0 or facts.std_error <= target_se,
                    loss=loss.name,
                    infinite=endless,
                )
            )
        return found

    def seconds_per_repeat(self) -> float:
        """Return a rough cost, to cut work into pieces; no result depends on it."""
        plan = self.plan
        return seconds_per_repeat(
            path_of(plan) or "rows",
            self.n,
            (self.teacher.inputs, self.teacher.labels),
            len(self.students),
            len(self.rules.address),
            per_query=plan.labels_per_query if isinstance(plan, ByRows) else 1,
        )

    def _try_out(self) -> None:
        """Run users' rules with their bounds checked on the first repeats; the others go
        unchecked.
        """
        students = ruled(self.students, self.losses)
        checked = self.rules._replace(address=rule_addresses(students, checked=True))
        trials = min(_MOST_TRIALS, max(4, _TRIAL_CELLS // self.teacher.pi.size))
        self._fill(0, checked, np.empty((trials, len(self.columns))))

    def _refuse_row(self, repeat: int, rule: int, row: int, loss: int) -> None:
        """Raise the error that names a bad row, or a loss of one's own that is none, by running the
        rule in plain Python on the same answers.
        """
        culprit = ruled(self.students, self.losses)[rule]
        answers = self.answers(self.students.index(culprit), repeat)
        if loss >= 0:
            own = [one for one in self.losses if isinstance(one, RowLoss)][loss]
            value = own(self.teacher.pi[row], culprit.table(*answers)[row])
            raise ValueError(
                f"loss {own.name!r} of student {culprit.name!r}, row {row}, repeat {repeat}, n = "
                f"{self.n}, is {value:.6g}: must be a number >= 0, or inf"
            )
        found, here = fault(culprit, *answers, row)
        at = f"row {row}, repeat {repeat}" if here else f"repeat {repeat}"
        raise RowRuleError(
            f"student {culprit.name!r}, {at}, n = {self.n}: its {rule_kind(culprit)} {found}; "
            "a row must be >= 0 and sum to 1"
        )


class _Deviates:
    """Gives the engine's own noise to `Access.reveal`."""

    def __init__(self, key: np.ndarray, repeat: int) -> None:
        self.key = key
        self.repeat = repeat

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the deviates of the repeat, (S, A)."""
        return noise_of(self.key, self.repeat, shape[0] * shape[1]).reshape(shape)

    def multinomial(self, counts: np.ndarray, confusion: np.ndarray) -> np.ndarray:
        """Return what comes back of labels that are mixed, (S, 1, A): the sum over those drawn."""
        return mixed_labels(self.key, self.repeat, counts, confusion)[:, None]


def _refuse_beyond_memory(teacher: Teacher, students: list[Student]) -> None:
    """Raise before the machine starts to swap: the plan and the tables are many arrays of the
    teacher's size.
    """
    size = 8.0 * teacher.pi.size
    memory = float(machine.memory())
    extra = sum(one.access.channel.tables + (one.prior is not None) for one in students)
    arrays = _ARRAYS + extra + (_ARRAYS_OF_TABLE_RULES if any(map(pools, students)) else 0)
    if arrays * size > memory:
        raise ValueError(
            f"a teacher of {teacher.inputs} x {teacher.labels} takes {size:.3g} bytes as a dense "
            "table and "
            f"{arrays} times that to draw from it, more than the {memory:.3g} bytes of this "
            "machine: exact_risk takes "
            "Teacher.from_classes"
        )


def kernel_table(
    pi: np.ndarray,
    rho: np.ndarray,
    layout: Layout,
    *,
    sparse: bool,
) -> Table | SortedTable:
    """Return the teacher in the form that the kernels take."""
    fallback = np.array(total_variation(np.full(pi.shape[1], 1.0 / pi.shape[1]), pi))
    table = Table(layout, in_cell_order(pi, layout), np.array(rho), fallback)
    if not sparse:
        return table
    ascending = np.sort(pi, axis=1)
    below = np.cumsum(ascending, axis=1) - ascending
    return SortedTable(
        *table, ascending.reshape(-1), below.reshape(-1), pi.sum(axis=1), float(rho @ fallback)
    )
