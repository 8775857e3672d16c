"""Before a sweep and while it runs: what it will cost, how it stands."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kt_theory.content import ByContent
from kt_theory.students import STUDENTS
from kt_theory.sweep import recipes
from kt_theory.sweep.cells import expected_seconds
from kt_theory.sweep.journal import Reader
from kt_theory.sweep.plan import block_size, cut, disjoint
from kt_theory.sweep.results import status_of
from kt_theory.sweep.spec import Cell, Spec
from kt_theory.sweep.store import Store
from kt_theory.validation import as_path

_BYTES_PER_CELL = 6000
"""A block on the disk: most of it the histogram, a thousand bins or so."""

_START_SECONDS = 1.5
"""Loading the engine, and the table at the end."""

_RULE_SECONDS = 1.0
"""Compiling a rule that has no kernel of its own."""

_BLOCK_SECONDS = 0.0025
"""Sending out a block, its plan to draw from, saving it."""

_CELL_SECONDS = 0.0002
"""A student of a block: its sums, histogram and record."""


@dataclass(frozen=True)
class Estimate:
    """What one group of cells, those that learn from the same transfer sets, will cost on one core.

    Attributes
    ----------
    cells : tuple of Cell
    inputs, labels, repeats : int
        `repeats` is the most there can be.
    seconds : float
        Within a factor of two or so; 0 where the teacher is not defined.
    """

    cells: tuple[Cell, ...]
    inputs: int
    labels: int
    repeats: int
    seconds: float


def estimates(spec: Spec) -> list[Estimate]:
    """Return what every group of cells will cost; tables and texts are read for their size.

    Raises
    ------
    ValueError, OSError
        If a file cannot be read as a teacher.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in spec.cells:
        groups.setdefault(cell.group, []).append(cell)
    found = []
    for cells in groups.values():
        inputs, labels = recipes.shape(cells[0].teacher)
        defined = [cell.student for cell in cells if not cell.undefined]
        repeats = spec.repeats or spec.max_repeats or 0 if defined else 0
        seconds = _seconds(inputs, labels, cells[0].n, repeats, defined) if defined else 0.0
        found.append(Estimate(tuple(cells), inputs, labels, repeats, seconds))
    return found


def _seconds(
    inputs: int, labels: int, n: int, repeats: int, students: Sequence[Mapping[str, Any]]
) -> float:
    """Return what the blocks of one group of cells cost, sampling and bookkeeping."""
    each = expected_seconds(inputs, labels, n, students)
    blocks = len(cut((0, repeats), block_size(each)))
    return repeats * each + blocks * (_BLOCK_SECONDS + _CELL_SECONDS * len(students))


def total_seconds(found: list[Estimate]) -> float:
    """Return about how long a run takes on one core, its start and its rules included."""
    cells = [cell for each in found for cell in each.cells if not cell.undefined]
    rules = {cell.student["name"] for cell in cells if cell.student["name"] not in STUDENTS}
    start = _START_SECONDS + _RULE_SECONDS * len(rules) if cells else 0.0
    return start + sum(each.seconds for each in found)


def stored_bytes(found: list[Estimate]) -> float:
    """Return about how large the folder will become."""
    return float(_BYTES_PER_CELL * sum(len(each.cells) for each in found if each.repeats))


def clock(seconds: float) -> str:
    """Return a time as people say it, such as "12 s" or "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True, eq=False)
class Status(ByContent):
    """How a sweep stands.

    Attributes
    ----------
    name : str
    cells : dict
        How many are done, unfinished, failed, not defined, missing.
    repeats : int
        Saved so far.
    processes : int
        At work on the folder now; `speed` is theirs in repeats per second.
    speed : float
    failures : tuple of (Cell, str)
    damage : tuple of str
        What is damaged in the folder and will be run again.
    """

    name: str
    cells: dict[str, int]
    repeats: int
    processes: int
    speed: float
    failures: tuple[tuple[Cell, str], ...]
    damage: tuple[str, ...]


def status(folder: str | Path) -> Status:
    """Return how the sweep in a folder stands, while it runs or after."""
    store = Store(as_path(folder, "folder"))
    store.refresh()
    spec = store.spec
    blocks = {cell.id: disjoint(store.blocks.get(cell.id, [])) for cell in spec.cells}
    counts: Counter[str] = Counter()
    failures = []
    for cell in spec.cells:
        stands = status_of(spec, cell, blocks[cell.id], failed=cell.id in store.errors)
        counts[stands] += 1
        if stands == "failed":
            failures.append((cell, store.errors[cell.id].block.error))
    repeats = sum(block.repeats for stored in blocks.values() for block in stored)
    processes, speed = _at_work(store)
    return Status(
        spec.name, dict(counts), repeats, processes, speed, tuple(failures), tuple(store.damage)
    )


def _at_work(store: Store) -> tuple[int, float]:
    """Return how many processes write to the folder, and how many repeats of a student they add per
    second."""
    started = {f"{run['host']}-{run['pid']}": run["started"] for run in store.about["runs"]}
    living = store.living()
    speed = 0.0
    for path in living:
        since = time.mktime(
            time.strptime(started[path.stem.rpartition("-")[0]][:19], "%Y-%m-%dT%H:%M:%S")
        )
        done = sum(record.repeats for record in Reader(path).new(finished=False))
        speed += done / max(time.time() - since, 1.0)
    return len(living), speed
