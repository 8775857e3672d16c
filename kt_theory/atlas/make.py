"""From the sweeps to the atlas: tables, a page and a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from kt_theory import catalogue, figures
from kt_theory.atlas import grid, page
from kt_theory.atlas.coverage import coverage
from kt_theory.atlas.laws import laws
from kt_theory.consistency import consistency
from kt_theory.exact.cost import NoExactRisk
from kt_theory.output import refuse_unwritable, write_bytes, write_table
from kt_theory.students.risk import exact_risk
from kt_theory.sweep import recipes, run
from kt_theory.sweep.results import load
from kt_theory.sweep.spec import Cell, Spec
from kt_theory.validation import as_path, whole_number

if TYPE_CHECKING:
    import pandas as pd

FILES = ("atlas.csv", "coverage.csv", "atlas.md", "atlas.png")


def make(
    out: str | Path, *, repeats: int = 2000, seed: int = 0, progress: bool = True
) -> list[Path]:
    """Run the atlas and write its tables, page and picture into a folder; return their paths.

    What an earlier call has finished is not run again: the sweeps lie in `out`/sweeps.

    Parameters
    ----------
    out : Path
    repeats : int
        Transfer sets per point.
    seed : int
    progress : bool

    Returns
    -------
    list of Path
    """
    import pandas as pd

    folder = as_path(out, "out")
    whole_number(repeats, "repeats", low=2)
    whole_number(seed, "seed")
    folder.mkdir(parents=True, exist_ok=True)
    refuse_unwritable([folder / name for name in FILES])
    points = swept(folder / "sweeps", repeats, seed, progress=progress)
    curves, known = laws(points), coverage(repeats, seed, progress=progress)
    with figures.style():
        picture = page.draw(curves, points, known)
        drawn = figures.write(picture, folder / FILES[3])
    tables = [
        write_table(table, folder / name)
        for table, name in zip((curves, known), FILES[:2], strict=True)
    ]
    # What the page says follows from the tables as they are written.
    text = page.text(pd.read_csv(tables[0]), pd.read_csv(tables[1]), repeats)
    return [*tables, write_bytes(folder / FILES[2], text.encode()), drawn]


def swept(folder: Path, repeats: int, seed: int, *, progress: bool = True) -> pd.DataFrame:
    """Return the table of all sweeps of the atlas, run as far as they are not."""
    import pandas as pd

    tables = []
    for name, spec in grid.specs(folder, repeats, seed).items():
        run(spec, folder / name, progress=progress)
        frame = load(folder / name, exact=True)
        frame["limit"] = _limits(spec)
        tables.append(frame)
    return pd.concat(tables, ignore_index=True)


def _limits(spec: Spec) -> list[float]:
    """Return `limit_of` each cell, worked out once for each teacher and student."""
    found: dict[str, float] = {}
    keys = [json.dumps([cell.teacher, cell.student], sort_keys=True) for cell in spec.cells]
    for key, cell in zip(keys, spec.cells, strict=True):
        if key not in found:
            found[key] = limit_of(cell)
    return [found[key] for key in keys]


def limit_of(cell: Cell) -> float:
    """Return what a cell's risk tends to as n grows, NaN where the teacher moves with n.

    The exact limit, the bias of an objective, or 0 where a student has neither: what its level
    shows tells the whole teacher, and the student is consistent.
    """
    if "n" in cell.teacher:
        return math.nan
    teacher = recipes.build_teacher(cell.teacher)
    student = catalogue.build_student(cell.student, teacher.inputs)
    if cell.student["name"] == "minimiser":
        objective = catalogue.objective(cell.student["objective"])
        found = consistency(objective, student.access, teacher=teacher).bias
        assert found is not None
        return found
    try:
        return float(exact_risk(teacher, student, math.inf))
    except NoExactRisk:
        return 0.0
