"""The border to the engine: blocks of absolute repeat indices of one cell, as sums that add up in
any order.

What a block stores is what the engine's tally holds (see `kt_theory.kernels.statistics`):
whole-number sums, from which mean and standard error follow exactly, and a histogram, here without
its empty bins.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from kt_theory.catalogue import build_student
from kt_theory.kernels.paths import PATHS, path_by_size
from kt_theory.kernels.statistics import SUMS, hits
from kt_theory.losses import LOSSES
from kt_theory.simulation.cost import seconds_per_repeat
from kt_theory.students import STUDENTS
from kt_theory.sweep import recipes

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_KEPT_PAIRS, _KEPT_CELLS = 2**24, 16


@dataclass(frozen=True)
class Work:
    """What a worker is asked for: repeats first .. first + repeats - 1 of some students and losses
    on the same transfer sets, of the i-th student the i-th loss.
    """

    teacher: Mapping[str, Any]
    students: Sequence[Mapping[str, Any]]
    losses: Sequence[str]
    n: int
    seed: int
    group: str
    first: int
    repeats: int

    @classmethod
    def of(cls, cells: Sequence[Any], first: int, repeats: int) -> Work:
        """Return the work at some repeats of cells of one group."""
        one = cells[0]
        students, losses = [cell.student for cell in cells], [cell.loss for cell in cells]
        return cls(one.teacher, students, losses, one.n, one.seed, one.group, first, repeats)


@dataclass(frozen=True)
class Block:
    """What a worker answers for one student and loss: the sums over its losses, or the error that
    it met.
    """

    inputs: int = 0
    labels: int = 0
    path: str = ""
    seconds: float = 0.0
    sums: Any = ()
    bins: Any = ()
    counts: Any = ()
    error: str = ""
    traceback: str = ""


def run_block(work: Work) -> list[Block]:
    """Return one block per student and loss; an error stands in the block of the one that caused
    it.
    """
    try:
        return _run(work)
    except Exception as error:
        if len(work.students) > 1:
            pairs = zip(work.students, work.losses, strict=True)
            alone = [replace(work, students=[one], losses=[loss]) for one, loss in pairs]
            return [block for single in alone for block in run_block(single)]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return [Block(error=said, traceback=traceback.format_exc())]


def losses_of(work: Work) -> np.ndarray:
    """Return every loss of a block, (repeats, students); an error is raised as it comes."""
    runner = _Runner.of(work)
    losses = np.empty((work.repeats, len(runner.cell.columns)))
    runner.cell.run(work.first, work.repeats, losses)
    return losses[:, runner.columns]


def expected_seconds(
    inputs: int, labels: int, n: int, students: Sequence[Mapping[str, Any]]
) -> float:
    """Return about how long one repeat takes, to cut work into blocks and to foretell times before
    any teacher is built; no result hangs on it.
    """
    path = PATHS[path_by_size(inputs, labels, n)]
    rules = sum(recipe["name"] not in STUDENTS for recipe in students)
    return seconds_per_repeat(path, n, (inputs, labels), len(students), rules)


def merged_histogram(
    bins: Sequence[np.ndarray], counts: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of sparse histograms: the bins that are hit, in order, and how often."""
    if len(bins) == 1:
        return bins[0], counts[0]
    found, where = np.unique(np.concatenate(bins), return_inverse=True)
    total = np.zeros(len(found), dtype=np.int64)
    np.add.at(total, where, np.concatenate(counts))
    return found, total


def _run(work: Work) -> list[Block]:
    started = time.perf_counter()
    runner = _Runner.of(work)
    tally = runner.cell.run(work.first, work.repeats)
    seconds = (time.perf_counter() - started) / len(work.students)
    facts = runner.teacher.inputs, runner.teacher.labels, runner.cell.path, seconds
    blocks = []
    for column, loss in zip(runner.columns, work.losses, strict=True):
        sums, histogram = tally.sums[column], tally.histogram[column]
        if LOSSES[loss].largest <= 1.0:
            sums = sums[:SUMS]  # all that they fill, whatever losses stand beside
        blocks.append(Block(*facts, sums.copy(), *hits(histogram)))
    return blocks


class _Runner:
    """A cell's teacher and students, ready for the kernels; the last few are kept, as many as fit
    in memory.
    """

    _kept: ClassVar[OrderedDict[str, _Runner]] = OrderedDict()
    _lock = threading.Lock()

    def __init__(self, work: Work) -> None:
        from kt_theory.kernels.streams import stream_key
        from kt_theory.simulation.cell import Cell

        self.teacher = recipes.build_teacher(work.teacher)
        different = [one for i, one in enumerate(work.students) if one not in work.students[:i]]
        students = [build_student(recipe, self.teacher.inputs) for recipe in different]
        names = list(dict.fromkeys(work.losses))
        pairs = zip(work.students, work.losses, strict=True)
        self.columns = [
            different.index(one) * len(names) + names.index(loss) for one, loss in pairs
        ]
        # simulate() keys its streams by (seed, n); cells of a sweep that differ in the teacher are
        # independent too.
        key = stream_key(work.seed, int(work.group, 16))
        losses = [LOSSES[name] for name in names]
        self.cell = Cell(self.teacher, students, work.n, work.seed, losses=losses, key=key)

    @classmethod
    def of(cls, work: Work) -> _Runner:
        """Return the runner of this cell, built once however many blocks and threads ask for it."""
        name = f"{work.group} {work.students} {work.losses}"
        with cls._lock:
            if name not in cls._kept:
                cls._kept[name] = cls(work)
                while len(cls._kept) > 1 and cls._crowded():
                    cls._kept.popitem(last=False)
            return cls._kept[name]

    @classmethod
    def _crowded(cls) -> bool:
        size = sum(runner.teacher.pi.size for runner in cls._kept.values())
        return size > _KEPT_PAIRS or len(cls._kept) > _KEPT_CELLS
