"""Monte Carlo risks: whole transfer sets drawn again and again, every student on the same ones."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import machine
from kt_theory.access import Access, as_access
from kt_theory.content import ByContent
from kt_theory.losses import TV, Loss, as_losses
from kt_theory.queries.laws import QueryLaw
from kt_theory.simulation.cell import Cell, RiskEstimate, Tally
from kt_theory.simulation.control import ControlledCell
from kt_theory.simulation.plans import drawn
from kt_theory.simulation.rules import RowRuleError
from kt_theory.students import STUDENTS, Student, as_students, refuse_too_little_access
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import sample_sizes, true_or_false, unit_interval, whole_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RiskEstimate", "RowRuleError", "Simulation", "draw_counts", "simulate"]

_LARGEST_SEED = 2**128
_CHUNK_SECONDS = 0.02
_MOST_REPEATS_AT_ONCE = 2**17
_AHEAD = 4
_LOOK = 256


@dataclass(frozen=True, eq=False)
class Source:
    """What a simulation was drawn from: teacher, students, losses, query law, seed, threads."""

    teacher: Teacher
    students: list[Student]
    measured: list[Loss]
    queries: QueryLaw | None
    seed: int
    workers: int

    @property
    def columns(self) -> int:
        """How many estimates there are for each n."""
        return len(self.students) * len(self.measured)

    def cell(self, n: int) -> Cell:
        """Return the cell of transfer sets of n pairs."""
        how = drawn(self.teacher, n, self.queries)
        return Cell(self.teacher, self.students, n, self.seed, losses=self.measured, how=how)

    def losses(self, sets: list[tuple[int, int]], progress: bool) -> Iterator[np.ndarray]:
        """Yield the losses again, (repeats, columns), for each n and number of repeats."""
        total = sum(repeats for _, repeats in sets)
        with ThreadPoolExecutor(self.workers) as pool, progress_bar(total, progress) as bar:
            for n, repeats in sets:
                (kept,) = _room_for_losses(1, repeats, self.columns)
                _run(self.cell(n), 0, repeats, pool, self.workers, bar, kept)
                yield kept


@dataclass(frozen=True, eq=False)
class Simulation(ByContent):
    """What `simulate` returns.

    Attributes
    ----------
    estimates : tuple of RiskEstimate
        One per n, student and loss, in the order asked for.
    losses : (n values, repeats, students) array or None
        Every loss, if `keep_losses` was asked for; with one more axis if a list of losses was.
    frame : pandas.DataFrame
        The estimates as a tidy table, one row each.
    drawn_from : Source or None
        What `compare` needs to draw the same transfer sets again; it is not pickled.
    """

    estimates: tuple[RiskEstimate, ...]
    losses: np.ndarray | None = None
    drawn_from: Source | None = field(default=None, compare=False, repr=False)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The estimates as a tidy table: one row per n, student and loss, the fields of
        `RiskEstimate` as columns.
        """
        import pandas as pd

        return pd.DataFrame([asdict(estimate) for estimate in self.estimates])

    def plot(self, ax: Any = None) -> Any:
        """Draw the risks over n with their intervals, and return the axes: see `kt.plot.risks`,
        which draws theory beside them too.

        Parameters
        ----------
        ax : matplotlib Axes, or an array of them, optional
            Where to draw; a new figure if omitted. Several losses have a panel each.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import kt_theory as kt
        >>> teacher = kt.teachers.zipf(20, 5)
        >>> run = kt.simulate(teacher, "ce_sgl", n=[10, 100], repeats=50, progress=False)
        >>> run.plot().get_xlabel()
        'n'
        """
        from kt_theory import figures
        from kt_theory.figures.tables import draw_table

        with figures.style():
            return draw_table(self.frame, ax=ax).finish()

    def compare(self, reference: str | Student, *, progress: bool = True) -> pd.DataFrame:
        """Return what each student loses more than another one, paired on common transfer sets.

        The losses of a set hang together, so that the difference is known far better than from the
        two standard errors. Losses that were not kept are drawn again, which takes as long as the
        simulation did: the same streams give the same bits. `keep_losses=True` saves that.

        Parameters
        ----------
        reference : str or Student
            One of the students that were simulated.
        progress : bool
            Show a bar on a terminal where drawing takes more than 2 seconds.

        Returns
        -------
        DataFrame, one row per n, other student and loss: teacher, student, access, reference, n,
        inputs, labels, loss; difference (the mean loss of the student less that of the reference),
        std_error (of that mean, from the paired differences), low, high (95 %, see
        `kt_theory.intervals.interval`), interval; better and worse (the shares of sets on which the
        student loses less, and more); repeats, seed. Where both had an infinite loss on one set the
        difference is NaN. It is that of the losses, without the control of `control=True`.

        Raises
        ------
        ValueError
            The reference was not simulated, or alone; or this was pickled without its losses.

        Examples
        --------
        >>> import kt_theory as kt
        >>> teacher = kt.teachers.zipf(5, 4)
        >>> est = simulate(teacher, ["ce_sgl", "laplace"], n=20, repeats=500, progress=False)
        >>> est.compare("ce_sgl")[["student", "difference", "better"]].round(3).values.tolist()
        [['laplace', -0.179, 1.0]]
        """
        from kt_theory.simulation.paired import paired_table, reference_name

        name = reference_name(reference, self.estimates)
        if self.losses is not None:
            sizes, repeats = self.losses.shape[:2]
            kept = self.losses.reshape(sizes, repeats, -1)
            return paired_table(self.estimates, iter(kept), name)
        if self.drawn_from is None:
            raise ValueError(
                "losses = None: this Simulation was read without what it was drawn from; pickle "
                "one that has keep_losses=True"
            )
        columns = self.drawn_from.columns
        sets = [(one.n, one.repeats) for one in self.estimates[::columns]]
        return paired_table(self.estimates, self.drawn_from.losses(sets, progress), name)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"drawn_from": None}

    def __repr__(self) -> str:
        return f"Simulation of {len(self.estimates)} risks\n{self.frame.to_string(index=False)}"


def simulate(
    teacher: Teacher,
    students: Any = tuple(STUDENTS),
    n: Any = 1000,
    repeats: int = 10_000,
    seed: int = 0,
    *,
    access: Access | str | None = None,
    keep_losses: bool = False,
    threads: int | None = None,
    progress: bool = True,
    target_se: float | None = None,
    max_repeats: int = 10_000_000,
    control: bool = False,
    queries: QueryLaw | None = None,
    loss: Any = "tv",
) -> Simulation:
    """Estimate the risk of students by drawing transfer sets of n pairs, `repeats` times for each
    n.

    All students learn from the same transfer sets. A repeat's random stream depends on (seed, n,
    repeat) alone, so the results are the same bits for any number of threads, and for students or
    sample sizes asked together or one by one.

    Parameters
    ----------
    teacher : Teacher
    students : str, Student, or several of them
        `kt_theory.STUDENTS` has the paper's four.
    n : int or array_like of int
        Pairs per transfer set, 0 to 2^53.
    repeats : int
        Transfer sets per n, at least 2.
    seed : int
        0 to 2^128.
    access : Access or str, optional
        What the teacher's owner grants; a student that needs more is refused. Unchecked if omitted.
    keep_losses : bool
        Keep every loss: 8 bytes x n values x repeats x students.
    threads : int, optional
        All available cores if omitted.
    progress : bool
        Show a bar on a terminal once the run has taken 2 seconds.
    target_se : float, optional
        Add repeats after the first `repeats` until the standard error of every student at this n is
        at most this, or `max_repeats` is reached; `RiskEstimate.reached` says which. When to stop
        is decided by the losses themselves: with N repeats that moves the expected mean by about
        skewness / sqrt(N) standard errors, downwards for losses skewed to the right: 1 % of a
        standard error at 10,000 repeats and a skewness of 1.
    max_repeats : int
        The cap on repeats that `target_se` may ask for.
    control : bool
        Estimate `sel_ptl` with a control variate (see `kt_theory.simulation.control`): unbiased, at
        twice the draws, with `RiskEstimate.variance_factor` times less variance: thousands of times
        on Zipf rows of 1000 labels, less than once where hardly a label is unseen. The losses and
        their quantiles stay those of the plain run.
    queries : QueryLaw, optional
        How inputs are chosen, from `kt_theory.queries`; iid from rho if omitted. n counts queries.
        Students do not see the law; a trajectory costs O(n), whatever the size of the table.
    loss : str, Loss, or a list of them
        What is averaged: "tv", "kl", "reverse_kl", "chi2", "hellinger2", "js", "l2", "acceptance"
        (see `kt_theory.losses`), or a function marked `kt_theory.row_loss`. Several are taken of
        the same rows in one run. Infinite losses are counted, and make the mean infinite.

    Returns
    -------
    Simulation

    Raises
    ------
    AccessError
        A student needs more than `access` reveals.
    RowRuleError
        A row rule does not compile, or a row that it wrote is not a distribution.
    ValueError
        A loss of one's own that is no number >= 0, with the student and the row; any other bad
        argument, by name.
    """
    require_teacher(teacher)
    chosen = as_students(students)
    if access is not None:
        refuse_too_little_access(chosen, as_access(access))
    losses = as_losses(loss)
    sizes = sample_sizes(n)
    repeats = whole_number(repeats, "repeats", low=2)
    seed = whole_number(seed, "seed", high=_LARGEST_SEED)
    given = machine.cores() if threads is None else threads
    workers = whole_number(given, "threads", low=1)
    goal = None if target_se is None else unit_interval(target_se, "target_se")
    cap = whole_number(max_repeats, "max_repeats", low=repeats) if goal is not None else repeats
    keep_losses = true_or_false(keep_losses, "keep_losses")
    if keep_losses and goal is not None:
        raise ValueError("keep_losses = True: needs a fixed number of repeats; leave out target_se")
    if true_or_false(control, "control") and queries is not None:
        raise ValueError(
            "control = True: its mean is known for iid queries from rho alone; leave out queries"
        )
    if control and losses != [TV]:
        raise ValueError(f"control = True: controls total variation alone; leave out loss = {loss}")
    source = Source(teacher, chosen, losses, queries, seed, workers)
    kept = _room_for_losses(len(sizes), repeats, source.columns) if keep_losses else None
    estimates: list[RiskEstimate] = []
    with ThreadPoolExecutor(workers) as pool, progress_bar(len(sizes) * repeats, progress) as bar:
        for i, size in enumerate(sizes):
            if control:
                cell: Cell | ControlledCell = ControlledCell(teacher, chosen, size, seed)
            else:
                cell = source.cell(size)
            tally = _run(cell, 0, repeats, pool, workers, bar, None if kept is None else kept[i])
            while goal is not None and tally.repeats < cap:
                error = max(_known(cell.std_errors(tally)), default=0.0)
                if error <= goal:
                    break
                more = _next_look(tally.repeats, error / goal, cap) - tally.repeats
                bar.total += more
                tally.absorb(_run(cell, tally.repeats, more, pool, workers, bar, None))
            estimates += cell.estimates(tally, target_se=goal)
    if kept is not None and isinstance(loss, (list, tuple)):
        kept = kept.reshape(*kept.shape[:2], len(chosen), len(losses))
    return Simulation(tuple(estimates), kept, source)


def draw_counts(
    teacher: Teacher,
    n: int,
    repeats: int,
    seed: int = 0,
    *,
    queries: QueryLaw | None = None,
) -> np.ndarray:
    """Return the very transfer sets that `simulate` draws for (teacher, n, seed, queries), as
    counts.

    Parameters
    ----------
    teacher : Teacher
    n : int
        Pairs per transfer set.
    repeats : int
        How many transfer sets, from repeat 0 on.
    seed : int
    queries : QueryLaw, optional
        iid from rho if omitted.

    Returns
    -------
    (repeats, S, A) int64 array: how often each (input, label) pair was sampled.
    """
    require_teacher(teacher)
    size = whole_number(n, "n")
    repeats = whole_number(repeats, "repeats", low=1)
    seed = whole_number(seed, "seed", high=_LARGEST_SEED)
    return Cell(teacher, [], size, seed, how=drawn(teacher, size, queries)).draw(0, repeats)


def _run(
    cell: Cell | ControlledCell,
    first: int,
    repeats: int,
    pool: ThreadPoolExecutor,
    workers: int,
    bar: Any,
    kept: np.ndarray | None,
) -> Tally:
    """Return the tally of repeats first .. first + repeats - 1, run on all workers in bounded
    memory.
    """

    def start(at: int, size: int) -> Future[Tally]:
        return pool.submit(
            cell.run, first + at, size, None if kept is None else kept[at : at + size]
        )

    pieces = _pieces(repeats, workers, cell.seconds_per_repeat())
    parts = _in_order(starmap(start, pieces), ahead=_AHEAD * workers)
    total = next(parts)
    bar.update(total.repeats)
    for part in parts:
        bar.update(part.repeats)
        total.absorb(part)
    return total


def _in_order(jobs: Iterator[Future[Tally]], ahead: int) -> Iterator[Tally]:
    """Yield the tallies of `jobs` in order, never more than `ahead` of them in memory; after an
    error start no more.
    """
    waiting = deque(islice(jobs, ahead))
    try:
        while waiting:
            tally = waiting.popleft().result()
            waiting.extend(islice(jobs, 1))
            yield tally
    finally:
        for job in waiting:
            job.cancel()


def _pieces(repeats: int, workers: int, cost: float) -> Iterator[tuple[int, int]]:
    """Cut the repeats into (start, size): equal pieces, as many for each worker, so that all finish
    together.
    """
    largest = max(1, min(int(_CHUNK_SECONDS / cost), _MOST_REPEATS_AT_ONCE))
    number = min(repeats, -(-math.ceil(repeats / largest) // workers) * workers)
    for i in range(number):
        start = i * repeats // number
        stop = (i + 1) * repeats // number
        yield start, stop - start


def _known(errors: list[float]) -> list[float]:
    """Return the standard errors of risks that are not known to be infinite."""
    return [error for error in errors if not math.isnan(error)]


def _next_look(repeats: int, excess: float, cap: int) -> int:
    """Return the number of repeats at which to look at the standard errors again: at most twice as
    many as now.
    """
    wanted = 1.05 * repeats * min(excess, 2.0**40) ** 2
    blocks = math.ceil(min(wanted, 2.0 * repeats, 2.0**62) / _LOOK)
    return min(cap, max(repeats + 1, blocks * _LOOK))


def _room_for_losses(sizes: int, repeats: int, students: int) -> np.ndarray:
    try:
        return np.empty((sizes, repeats, students))
    except (MemoryError, ValueError):
        size = 8.0 * sizes * repeats * students
        raise ValueError(
            f"{sizes} x {repeats} x {students} losses need {size:.3g} bytes: more than there is; "
            "use fewer repeats, or the quantiles in .frame"
        ) from None


def progress_bar(total: int, progress: bool) -> Any:
    """Return a bar over `total` transfer sets that a terminal shows after 2 seconds, if
    `progress`, which must be a truth value.
    """
    from tqdm import tqdm

    return tqdm(
        total=total,
        unit="sets",
        unit_scale=True,
        delay=2,
        disable=None if true_or_false(progress, "progress") else True,
        leave=False,
    )
