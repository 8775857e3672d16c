"""The border to the engine: blocks of absolute repeat indices of one cell, as sums that add up in any order.

A loss x counts as the whole number k nearest to 2^50 x = 2^25 h + l. The sums of k, h h, h l and l l, each as a low
limb of 32 bits and the rest, are exact; so the same repeats give the same mean and standard error to the bit, however
they were cut, shared out and put together again. Quantiles come from a histogram on the leading bits of the losses.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kt_theory.sweep import recipes

SUMS = 8
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_SCALE, _HALF, _LIMB = 2.0**50, 25, 32
_PIECE = 4096  # as many squares below 2^51 as an int64 holds
_DROP, _OFFSET, _LAST = np.uint64(41), 960 << 11, (63 << 11) + 1
_KEPT_CELLS = 2**24


@dataclass(frozen=True)
class Work:
    """What a worker is asked for: repeats first .. first + repeats - 1 of some students on the same transfer sets."""

    teacher: Mapping[str, Any]
    students: Sequence[Mapping[str, Any]]
    n: int
    seed: int
    group: str
    first: int
    repeats: int


@dataclass(frozen=True)
class Block:
    """What a worker answers for one student: the sums over its losses, or the error that it met."""

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
    """Return one block per student; an error stands in the block of the student that caused it."""
    try:
        return _run(work)
    except Exception as error:
        if len(work.students) > 1:
            alone = [Work(work.teacher, [s], work.n, work.seed, work.group, work.first, work.repeats)
                     for s in work.students]  # fmt: skip
            return [block for single in alone for block in run_block(single)]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return [Block(error=said, traceback=traceback.format_exc())]


def losses_of(work: Work) -> np.ndarray:
    """Return every loss of a block, (repeats, students); an error is raised as it comes."""
    return _Runner.of(work).losses(work.first, work.repeats)


def seconds_per_repeat(inputs: int, labels: int, n: int, students: int) -> float:
    """Return a rough cost of one repeat, to cut work into blocks and to foretell times; no result hangs on it."""
    pairs = inputs * labels
    return 1e-9 * (100.0 + 3.0 * min(n, 20 * pairs) + pairs * (2.0 + 2.0 * students))


def moments(sums: Any, repeats: int) -> tuple[float, float]:
    """Return the mean and the standard error of the mean from the (SUMS,) words; exact until they round."""
    total, high, cross, low = (int(sums[2 * i]) + (int(sums[2 * i + 1]) << _LIMB) for i in range(4))
    squares = (high << (2 * _HALF)) + (cross << (_HALF + 1)) + low
    spread = repeats * squares - total * total
    variance = spread / (repeats * (repeats - 1)) / _SCALE**2 if repeats > 1 else 0.0
    return total / repeats / _SCALE, math.sqrt(variance / repeats)


def merged_histogram(bins: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of sparse histograms: the bins that are hit, in order, and how often."""
    if len(bins) == 1:
        return bins[0], counts[0]
    found, where = np.unique(np.concatenate(bins), return_inverse=True)
    total = np.zeros(len(found), dtype=np.int64)
    np.add.at(total, where, np.concatenate(counts))
    return found, total


def quantiles(bins: np.ndarray, counts: np.ndarray) -> list[float]:
    """Return the smallest losses with at least the shares `QUANTILES` at or below, off by 2^-12 of their value."""
    cumulative = np.cumsum(counts)
    targets = [max(1, math.ceil(share * int(cumulative[-1]))) for share in QUANTILES]
    index = bins[np.searchsorted(cumulative, targets)].astype(np.int64)
    edges = np.array([np.maximum(index, 1) - 1, np.maximum(index, 1)]) + _OFFSET
    low, high = (edges.astype(np.uint64) << _DROP).view(np.float64)
    return [float(x) for x in np.where(index > 0, np.minimum(1.0, 0.5 * (low + high)), 0.0)]


def _run(work: Work) -> list[Block]:
    started = time.perf_counter()
    runner = _Runner.of(work)
    losses = runner.losses(work.first, work.repeats)
    seconds = (time.perf_counter() - started) / len(work.students)
    shape = runner.teacher.inputs, runner.teacher.labels
    return [Block(*shape, runner.path, seconds, *_statistics(column)) for column in losses.T]


def _statistics(losses: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    k = (losses * _SCALE + 0.5).astype(np.int64)
    h, l = k >> _HALF, k & ((1 << _HALF) - 1)
    sums = [0] * SUMS
    for at in range(0, len(k), _PIECE):
        piece = slice(at, at + _PIECE)
        parts = k[piece].sum(), h[piece] @ h[piece], h[piece] @ l[piece], l[piece] @ l[piece]
        for i, part in enumerate(map(int, parts)):
            sums[2 * i] += part & ((1 << _LIMB) - 1)
            sums[2 * i + 1] += part >> _LIMB
    index = (np.ascontiguousarray(losses).view(np.uint64) >> _DROP).astype(np.int64) - _OFFSET + 1
    bins, counts = np.unique(np.clip(index, 0, _LAST), return_counts=True)
    return sums, bins, counts


class _Runner:
    """A cell's teacher and students, ready for the kernels; the last few are kept, as many as fit in memory."""

    _kept: ClassVar[OrderedDict[str, _Runner]] = OrderedDict()
    _lock = threading.Lock()

    def __init__(self, work: Work) -> None:
        from kt_theory.kernels.draws import PATHS, draw_plan
        from kt_theory.kernels.streams import stream_key
        from kt_theory.risk.montecarlo import kernel_students, kernel_table

        self.teacher = recipes.build_teacher(work.teacher)
        students = [recipes.build_student(recipe, self.teacher.inputs) for recipe in work.students]
        self.plan = draw_plan(self.teacher.pi, self.teacher.rho, work.n)
        self.path = PATHS[self.plan.path]
        self.table = kernel_table(self.teacher)
        self.kinds, self.rules = kernel_students(students, self.teacher.inputs)
        self.key = stream_key(work.seed, int(work.group, 16))

    @classmethod
    def of(cls, work: Work) -> _Runner:
        """Return the runner of this cell, built once however many blocks and threads ask for it."""
        name = f"{work.group} {work.students}"
        with cls._lock:
            if name not in cls._kept:
                runner = cls(work)
                cls._kept[name] = runner
                while len(cls._kept) > 1 and sum(r.teacher.pi.size for r in cls._kept.values()) > _KEPT_CELLS:
                    cls._kept.popitem(last=False)
                while len(cls._kept) > 16:
                    cls._kept.popitem(last=False)
            return cls._kept[name]

    def losses(self, first: int, repeats: int) -> np.ndarray:
        """Return the losses of repeats first .. first + repeats - 1, (repeats, students)."""
        from kt_theory.kernels.loop import run_repeats

        losses = np.empty((repeats, len(self.kinds)))
        _, student, row = run_repeats(self.plan, self.key, first, self.table, self.kinds, self.rules, losses)
        if row >= 0:
            raise ValueError(f"student number {student} wrote a row {row} that is not a distribution")
        return losses
