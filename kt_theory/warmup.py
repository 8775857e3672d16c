"""Compile everything once, so that no later command has to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from kt_theory.access import PARTIAL
from kt_theory.dumps import Dump
from kt_theory.kernels.paths import PATHS
from kt_theory.losses import LOSSES
from kt_theory.policies.run import storage
from kt_theory.queries.laws import QueryLaw, adaptive, chain, iid, two_stage
from kt_theory.simulation.cell import Cell
from kt_theory.simulation.control import ControlledCell
from kt_theory.simulation.plans import Drawn, drawn
from kt_theory.students import STUDENTS, Student, row_rule
from kt_theory.students.risk import exact_risk
from kt_theory.teacher import Teacher


def _uniform(counts: Any, revealed: Any, out: Any) -> None:
    out[:] = 1.0 / counts.size


def warmup(*, progress: bool = True) -> float:
    """Compile the kernels of simulations, exact risks, dumps and storage into the cache on disk and
    return the seconds that it took.

    There is one loop for each way to draw transfer sets and for each law of queries, and one for
    rules of one's own.

    Parameters
    ----------
    progress : bool
        Show a bar on a terminal, with what is being compiled.
    """
    from tqdm import tqdm

    start = time.perf_counter()
    steps = list(_steps())
    bar = tqdm(steps, desc="compiling", disable=None if progress else True)
    for name, step in bar:
        bar.set_postfix_str(name)
        step()
    return time.perf_counter() - start


def _steps() -> Iterator[tuple[str, Any]]:
    teacher = Teacher([[0.5, 0.5], [0.25, 0.75]])
    own = Student("own", access=PARTIAL, rule=row_rule(_uniform))
    students = list(STUDENTS.values())

    def cell(own: list[Student], how: Drawn) -> Any:
        def run() -> None:
            Cell(teacher, [*students, *own], 100, 0, how=how).run(0, 2)

        return run

    for path in PATHS:
        yield f"the path {path!r} and rules", cell([own], drawn(teacher, 100, path=path))
    laws: dict[str, QueryLaw] = {
        "a uniform design": adaptive(np.ones(2)),
        "a pilot": two_stage(),
        "a walk": chain(np.full((2, 2), 0.5)),
        "several labels": iid(labels_per_query=2),
    }
    for name, law in laws.items():
        yield f"queries by {name}", cell([], drawn(teacher, 100, law))
    several = Cell(teacher, students, 100, 0, losses=list(LOSSES.values()))
    yield "losses", lambda: several.run(0, 2)
    few = Cell(teacher, students, 1, 0, how=drawn(teacher, 1, laws["several labels"]))
    yield "few queries", lambda: few.run(0, 2)
    yield "control", lambda: ControlledCell(teacher, students, 100, 0).run(0, 2)
    yield "exact risks", lambda: [exact_risk(teacher, one, 10) for one in students]
    dump = Dump.from_arrays(np.log(teacher.pi), [0, 1], context=1)
    yield "dumps and what to store", lambda: storage(dump, progress=False)
