"""Monte Carlo risks: whole transfer sets drawn again and again, every student on the same ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.errors import NumbaError

from kt_theory.access import Access, as_access, label_ranks
from kt_theory.divergences import total_variation
from kt_theory.kernels.draws import PATHS, draw_many, draw_plan
from kt_theory.kernels.loop import run_repeats
from kt_theory.kernels.losses import CE_FUL, CE_PTL, CE_SGL, GENERIC, SEL_PTL, Rules, Table
from kt_theory.kernels.rules import compile_rule
from kt_theory.kernels.statistics import BINS, BLOCK, accumulate, quantile
from kt_theory.kernels.streams import stream_key
from kt_theory.students import STUDENTS, Student, as_students, refuse_too_little_access
from kt_theory.teacher import Teacher
from kt_theory.validation import sample_sizes, whole_number

if TYPE_CHECKING:
    import pandas as pd

_CLOSED_FORMS = {"ce_sgl": CE_SGL, "ce_ptl": CE_PTL, "sel_ptl": SEL_PTL, "ce_ful": CE_FUL}
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LARGEST_SEED = 2**128
_CHUNK_SECONDS = 0.05
_MOST_REPEATS_AT_ONCE = 2**16


class RowRuleError(ValueError):
    """A student's row rule does not compile, or wrote something that is not a distribution."""


@dataclass(frozen=True)
class RiskEstimate:
    """The Monte Carlo estimate of one student's risk E TV(q, pi | rho) at one n.

    Attributes
    ----------
    student, access : str
    n, inputs, labels : int
    mean : float
        Average loss, in [0, 1].
    std_error : float
        Standard error of the mean.
    q05, q25, q50, q75, q95 : float
        Quantiles of the loss, off by at most 2^-12 of their value.
    repeats, seed : int
    path : str
        How the counts were drawn: "alias" or "binomial".
    """

    student: str
    access: str
    n: int
    inputs: int
    labels: int
    mean: float
    std_error: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    repeats: int
    seed: int
    path: str


@dataclass(frozen=True, eq=False)
class Simulation:
    """What `simulate` returns.

    Attributes
    ----------
    estimates : tuple of RiskEstimate
        One per n and student, in the order asked for.
    losses : (n values, repeats, students) array or None
        Every loss, if `keep_losses` was asked for.
    frame : pandas.DataFrame
        The estimates as a tidy table, one row each.
    """

    estimates: tuple[RiskEstimate, ...]
    losses: np.ndarray | None = None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The estimates as a tidy table: one row per n and student, the fields of `RiskEstimate` as columns."""
        import pandas as pd

        return pd.DataFrame([asdict(estimate) for estimate in self.estimates])

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
) -> Simulation:
    """Estimate the risk of students by drawing transfer sets of n pairs, `repeats` times for each n.

    All students learn from the same transfer sets. A repeat's random stream depends on (seed, n, repeat) alone, so the
    results are the same bits for any number of threads, and for students or sample sizes asked together or one by one.

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
        Any other bad argument, by name.
    """
    chosen = as_students(students)
    if access is not None:
        refuse_too_little_access(chosen, as_access(access))
    sizes = sample_sizes(n)
    repeats = whole_number(repeats, "repeats", low=2)
    seed = whole_number(seed, "seed", high=_LARGEST_SEED)
    workers = whole_number(threads, "threads", low=1) if threads is not None else len(os.sched_getaffinity(0))
    run = _Run(teacher, chosen, seed)
    kept = _room_for_losses(len(sizes), repeats, len(chosen)) if keep_losses else None
    estimates: list[RiskEstimate] = []
    with ThreadPoolExecutor(workers) as pool, _bar(len(sizes) * repeats, progress) as bar:
        for i, size in enumerate(sizes):
            out = None if kept is None else kept[i]
            estimates += run.estimate(size, repeats, pool, workers, bar, out)
    return Simulation(tuple(estimates), kept)


def draw_counts(teacher: Teacher, n: int, repeats: int, seed: int = 0) -> np.ndarray:
    """Return the very transfer sets that `simulate` draws for (teacher, n, seed), as counts.

    Parameters
    ----------
    teacher : Teacher
    n : int
        Pairs per transfer set.
    repeats : int
        How many transfer sets, from repeat 0 on.
    seed : int

    Returns
    -------
    (repeats, S, A) int64 array: how often each (input, label) pair was sampled.
    """
    size, repeats = whole_number(n, "n"), whole_number(repeats, "repeats", low=1)
    seed = whole_number(seed, "seed", high=_LARGEST_SEED)
    counts = np.empty((repeats, *teacher.pi.shape))
    draw_many(draw_plan(teacher.pi, teacher.rho, size), stream_key(seed, size), 0, counts)
    return counts.astype(np.int64)


class _Run:
    """One teacher and its students, ready for the kernels."""

    def __init__(self, teacher: Teacher, students: list[Student], seed: int) -> None:
        self.teacher, self.students, self.seed = teacher, students, seed
        self.table = kernel_table(teacher)
        self.kinds, self.rules = kernel_students(students, teacher.inputs)

    def estimate(
        self, n: int, repeats: int, pool: ThreadPoolExecutor, workers: int, bar: Any, kept: np.ndarray | None
    ) -> list[RiskEstimate]:
        """Return the estimates at one n; every loss goes into `kept`, (repeats, students), where it is given."""
        plan = draw_plan(self.teacher.pi, self.teacher.rho, n)
        key = stream_key(self.seed, n)
        students = len(self.students)
        mean, m2 = np.zeros(students), np.zeros(students)
        histogram = np.zeros((students, BINS), dtype=np.int64)

        def work(first: int, losses: np.ndarray) -> tuple[int, int, int]:
            return run_repeats(plan, key, first, self.table, self.kinds, self.rules, losses)

        cost = self._seconds_per_repeat(n)
        for first, size in _batches(repeats, workers, cost):
            losses = np.empty((size, students)) if kept is None else kept[first : first + size]
            piece = max(1, min(int(_CHUNK_SECONDS / cost), -(-size // workers)))
            parts = [losses[at : at + piece] for at in range(0, size, piece)]
            for part, bad in zip(parts, pool.map(work, range(first, first + size, piece), parts), strict=True):
                if bad[2] >= 0:
                    self._refuse_row(n, *bad)
                bar.update(len(part))
            accumulate(losses, first, mean, m2, histogram)
        error = np.sqrt(m2 / (repeats - 1) / repeats)
        shape, path = (self.teacher.inputs, self.teacher.labels), PATHS[plan.path]
        found = []
        for j, student in enumerate(self.students):
            q05, q25, q50, q75, q95 = (quantile(histogram[j], q) for q in _QUANTILES)
            moments = float(mean[j]), float(error[j]), q05, q25, q50, q75, q95
            found.append(RiskEstimate(student.name, student.access.name, n, *shape, *moments, repeats, self.seed, path))
        return found

    def _seconds_per_repeat(self, n: int) -> float:
        """A rough cost, to size the chunks; the results do not depend on it."""
        cells = self.teacher.pi.size
        return 1e-9 * (100.0 + 3.0 * min(n, 20 * cells) + cells * (2.0 + 2.0 * len(self.students)))

    def _refuse_row(self, n: int, repeat: int, student: int, row: int) -> None:
        culprit = self.students[student]
        counts = np.empty((1, *self.teacher.pi.shape))
        draw_many(draw_plan(self.teacher.pi, self.teacher.rho, n), stream_key(self.seed, n), repeat, counts)
        whole = counts[0].astype(np.int64)
        out = np.full(self.teacher.labels, np.nan)
        revealed = culprit.access.reveal(whole, self.teacher.pi)[row]
        try:
            culprit.rule(whole[row], revealed, out)
            found = f"wrote a row that sums to {out.sum():.12g} with smallest entry {out.min():.6g}"
        except Exception as error:
            found = f"raised {type(error).__name__}: {error}"
        raise RowRuleError(
            f"student {culprit.name!r}, row {row}, repeat {repeat}, n = {n}: its row rule {found}; "
            "a row must be >= 0 and sum to 1"
        )


def kernel_table(teacher: Teacher) -> Table:
    """Return the teacher in the form that the kernels take."""
    pi, rho = teacher.pi, teacher.rho
    fallback = np.ascontiguousarray(total_variation(np.full(teacher.labels, 1.0 / teacher.labels), pi))
    return Table(pi, rho, fallback, label_ranks(pi))


def kernel_students(students: list[Student], inputs: int) -> tuple[np.ndarray, Rules]:
    """Return (kinds, rules): which closed form serves each student, and the compiled rules of all the others."""
    closed = {(STUDENTS[name].rule, STUDENTS[name].access): kind for name, kind in _CLOSED_FORMS.items()}
    generic = [student for student in students if (student.rule, student.access) not in closed]
    kinds = [GENERIC + generic.index(s) if s in generic else closed[s.rule, s.access] for s in students]
    starts, balls, offset = [], [], 0
    for student in generic:
        ball = student.access.balls(inputs)
        starts.append(ball.indptr.astype(np.int64) + offset)
        balls.append(ball.indices.astype(np.int64))
        offset += len(ball.indices)
    rules = Rules(
        np.array([_compiled(student).address for student in generic], dtype=np.int64),
        np.array([student.access.sampled for student in generic], dtype=np.bool_),
        np.array([student.access.top for student in generic], dtype=np.int64),
        np.array(starts, dtype=np.int64).reshape(len(generic), inputs + 1),
        np.concatenate([*balls, np.zeros(0, dtype=np.int64)]),
    )
    return np.array(kinds, dtype=np.int64), rules


def _compiled(student: Student) -> Any:
    try:
        return compile_rule(student.rule.py_func)
    except (NumbaError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "nopython" not in line]
        reason = lines[0] if lines else type(error).__name__
        raise RowRuleError(f"student {student.name!r}: its row rule does not compile: {reason}") from error


def _batches(repeats: int, workers: int, cost: float) -> Iterator[tuple[int, int]]:
    """Cut the repeats into batches of whole blocks: enough work for all threads, bounded memory."""
    wanted = int(8 * workers * _CHUNK_SECONDS / cost)
    batch = BLOCK * max(1, min(wanted, _MOST_REPEATS_AT_ONCE) // BLOCK)
    for first in range(0, repeats, batch):
        yield first, min(batch, repeats - first)


def _room_for_losses(sizes: int, repeats: int, students: int) -> np.ndarray:
    try:
        return np.empty((sizes, repeats, students))
    except (MemoryError, ValueError):
        size = 8.0 * sizes * repeats * students
        raise ValueError(
            f"keep_losses = True needs {size:.3g} bytes for {sizes} x {repeats} x {students} losses: "
            "more than there is; use fewer repeats, or the quantiles in .frame"
        ) from None


def _bar(total: int, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="sets", unit_scale=True, delay=2, disable=None if shown else True, leave=False)
