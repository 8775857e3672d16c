"""One cell again, exactly: to look into a failure, or at a single transfer set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kt_theory.kernels.statistics import moments
from kt_theory.sweep.cells import Work, losses_of, run_block
from kt_theory.sweep.plan import disjoint, prefix
from kt_theory.sweep.spec import Cell
from kt_theory.sweep.store import Store
from kt_theory.validation import as_path, shown, whole_number

_PIECE = 4096


@dataclass(frozen=True)
class Replay:
    """What a cell gave when it ran again.

    Attributes
    ----------
    cell : Cell
    first, repeats : int
        Which repeats ran.
    mean : float
        Of their losses; the loss itself where `repeats` is 1.
    stored : float or None
        The mean that is stored for these repeats, where it is.
    """

    cell: Cell
    first: int
    repeats: int
    mean: float
    stored: float | None = None


def find(store: Store, name: str) -> Cell:
    """Return the cell whose id begins with `name`; ValueError if there is none, several, or one
    that is not defined.
    """
    if not isinstance(name, str):
        raise ValueError(f"name = {shown(name)}: must be the id of a cell, or how it begins")
    found = [cell for cell in store.spec.cells if cell.id.startswith(name)]
    if len(found) != 1 or not name:
        many = "no id" if not found else f"{len(found)} ids"
        raise ValueError(
            f"cell {shown(name)}: {many} in the sweep {store.spec.name!r} begin so; they stand in "
            "the table"
        )
    (cell,) = found
    if cell.undefined:
        raise ValueError(
            f"cell {cell.id}: {cell.teacher_name} is not defined at n = {cell.n}: {cell.undefined}"
        )
    return cell


def replay(folder: str | Path, name: str, repeat: int | None = None) -> Replay:
    """Run the cell whose id begins with `name` again, as `replay_cell` does."""
    store = Store(as_path(folder, "folder"))
    return replay_cell(store, find(store, name), repeat)


def replay_cell(store: Store, cell: Cell, repeat: int | None = None) -> Replay:
    """Run one cell again, on this thread, and raise what it raises.

    Parameters
    ----------
    store : Store
    cell : Cell
    repeat : int, optional
        Only this one. If omitted: the stretch that failed, or else all that is stored, and the mean
        is compared.
    """
    store.refresh()
    if repeat is not None:
        first = whole_number(repeat, "repeat")
        return Replay(cell, first, 1, float(losses_of(_work(cell, first, 1))[0, 0]))
    failed = store.errors.get(cell.id)
    whole = prefix(disjoint(store.blocks.get(cell.id, [])))
    if failed is not None or not whole:
        first, repeats = (failed.first, failed.repeats) if failed is not None else (0, _PIECE)
        return Replay(cell, first, repeats, float(losses_of(_work(cell, first, repeats)).mean()))
    repeats = sum(block.repeats for block in whole)
    stored = np.sum([np.asarray(block.sums) for block in whole], axis=0)
    again = np.zeros_like(stored)
    for at in range(0, repeats, _PIECE):
        work = _work(cell, at, min(_PIECE, repeats - at))
        (block,) = run_block(work)
        if block.error:
            losses_of(work)  # raises the error as it is
        again += np.asarray(block.sums)
    return Replay(cell, 0, repeats, moments(again, repeats)[0], moments(stored, repeats)[0])


def _work(cell: Cell, first: int, repeats: int) -> Work:
    return Work.of([cell], first, repeats)
