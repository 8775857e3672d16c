"""What `kt.storage` returns: a table with a row for each policy, and what it says in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.kernels import policy_numbers as numbers
from kt_theory.output import replace_file, write_table
from kt_theory.policies.losses import ROWS, Question
from kt_theory.policies.policy import Policy
from kt_theory.policies.tally import QUANTILE, Tally
from kt_theory.policies.visits import POSITIONS, Crossing, Losses, crossing
from kt_theory.teacher import Teacher
from kt_theory.validation import as_path

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "policy",
    "bytes",
    "tv",
    "tv_lower",
    "tv_upper",
    "tv_q95",
    "tv_max",
    "kl",
    "kl_lower",
    "kl_upper",
    "kl_infinite",
    "acceptance",
)


@dataclass(frozen=True, eq=False)
class Storage:
    """What a student loses by each policy.

    Attributes
    ----------
    frame : DataFrame
        A row for each policy. policy; bytes per position, at most; tv, the mean total variation of
        the student's rows from the teacher's, in the middle of tv_lower and tv_upper, which are
        equal where the loss is exact; tv_q95 and tv_max, of the upper bounds of all positions, the
        95th percentile (off by at most 2^-12 of itself) and the largest; kl, the mean of KL(p||q)
        in nats, in the middle of kl_lower and kl_upper, infinite where they are; kl_infinite, the
        share of positions where it is, or may be, infinite; acceptance, 1 - tv, of drafts from the
        student in speculative decoding.
    policies : tuple of Policy
        In the order of the rows.
    positions, labels : int
    visits : int
        Of each context, as asked.
    goal : float or None
        The TV that `cheapest` is to reach.
    hidden : float
        The mean mass of labels that the dump does not list; 0 for whole rows.
    repeated : float or None
        How often a context comes in the dump on average; None where contexts are not known.
    skipped : mapping of str to int
        Positions that gave no row, and why.
    crossing : Crossing or None
        After how many visits drawing pays, if a policy draws.
    notes : tuple of str
        What is taken for granted of the dump, in sentences.
    """

    frame: pd.DataFrame
    policies: tuple[Policy, ...]
    positions: int
    labels: int
    visits: int
    goal: float | None
    hidden: float = 0.0
    repeated: float | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    crossing: Crossing | None = None
    notes: tuple[str, ...] = ()

    @property
    def cheapest(self) -> str | None:
        """The policy of the fewest bytes whose tv_upper reaches the goal; None if none does, or no
        goal was given.
        """
        if self.goal is None:
            return None
        reached = self.frame[self.frame["tv_upper"] <= self.goal]
        if reached.empty:
            return None
        return str(reached.sort_values(["bytes", "tv_upper"])["policy"].iloc[0])

    @property
    def frontier(self) -> list[str]:
        """Policies that no other undercuts in bytes and tv_upper both, from the fewest bytes up."""
        found, least = [], math.inf
        for row in self.frame.sort_values(["bytes", "tv_upper"]).itertuples():
            if row.tv_upper < least:
                found.append(str(row.policy))
                least = float(row.tv_upper)
        return found

    def plot(self, ax: Any = None) -> Any:
        """Draw bytes per position against TV, and return the axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if omitted.
        """
        from kt_theory.policies.figure import draw

        return draw(self, ax)

    def write(self, path: str | Path) -> Path:
        """Write the table, or the picture, by the suffix of a file, and return its path.

        Parameters
        ----------
        path : path
            .csv or .parquet for the table, .png, .svg or .pdf for the picture.
        """
        from kt_theory import figures
        from kt_theory.policies.figure import SIZE

        file = as_path(path, "path")
        suffix = file.suffix.lower()
        if suffix in figures.KINDS:
            with figures.style():
                figure, grid = figures.canvas(1, 1, *SIZE)
                self.plot(grid[0, 0])
                return figures.write(figure, file)
        if suffix == ".csv":
            return write_table(self.frame, file)
        if suffix != ".parquet":
            kinds = ", ".join((".csv", ".parquet", *figures.KINDS))
            raise ValueError(f"path = {str(path)!r}: must end in {kinds}")
        replace_file(file, partial(self.frame.to_parquet, index=False))
        return file

    def __str__(self) -> str:
        from kt_theory.policies.words import described

        return described(self)

    def __repr__(self) -> str:
        return f"Storage({len(self.policies)} policies, {self.positions:,} positions)"


def of_dump(
    question: Question, tally: Tally, goal: float | None, first: tuple[Losses, int]
) -> Storage:
    """Return what a tally says; `first` gives the losses of the first rows, for the visits, and
    how many labels they list."""
    found = []
    for j in range(len(question.policies)):
        columns = [tally.mean(column, j) for column in range(5)]
        infinite = tally.share_infinite(numbers.KL_MOST, j)
        largest = float(tally.largest[j])
        found.append((columns, infinite, min(tally.quantile(j), largest), largest))
    frame = _frame(question, found)
    return Storage(
        frame,
        question.policies,
        tally.positions,
        question.labels,
        question.visits,
        goal,
        tally.hidden_mass,
        tally.visits,
        tally.skipped,
        crossing(question, frame, *first),
    )


def of_teacher(teacher: Teacher, question: Question, goal: float | None) -> Storage:
    """Return what the rows of a teacher lose, weighted by rho."""
    with np.errstate(divide="ignore"):
        logs = np.log(teacher.pi)
    rows = max(1, min(ROWS, 2**21 // teacher.labels))
    starts = range(0, teacher.inputs, rows)
    chunks = [question.of_rows(logs[start : start + rows]) for start in starts]
    losses = np.concatenate(chunks)[teacher.rho > 0.0]
    rho = teacher.rho[teacher.rho > 0.0]
    found = []
    for j in range(len(question.policies)):
        columns = [math.fsum(rho * losses[:, j, column]) for column in range(5)]
        infinite = math.fsum(rho[np.isinf(losses[:, j, numbers.KL_MOST])])
        upper = losses[:, j, numbers.TV_MOST]
        found.append((columns, infinite, _quantile(upper, rho), float(upper.max())))
    frame = _frame(question, found)
    first = logs[teacher.rho > 0.0][:POSITIONS]
    return Storage(
        frame,
        question.policies,
        teacher.inputs,
        question.labels,
        question.visits,
        goal,
        crossing=crossing(question, frame, lambda asked: asked.of_rows(first), teacher.labels),
    )


def _quantile(values: np.ndarray, rho: np.ndarray) -> float:
    """Return the least value with 95 % of the inputs' probability at or below it."""
    order = np.argsort(values)
    reached = np.cumsum(rho[order]) >= QUANTILE * (1.0 - 1e-12)
    return float(values[order[int(np.argmax(reached))]])


def _frame(question: Question, found: list[Any]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for policy, (columns, infinite, quantile, largest) in zip(
        question.policies, found, strict=True
    ):
        least, most, kl_least, kl_most, stored = columns
        tv = 0.5 * (least + most)
        size = policy.bytes(question.labels, stored)
        kl = 0.5 * (kl_least + kl_most)
        losses = (tv, least, most, quantile, largest, kl, kl_least, kl_most, infinite)
        rows.append((policy.name, size, *losses, 1.0 - tv))
    return pd.DataFrame(rows, columns=list(COLUMNS))
