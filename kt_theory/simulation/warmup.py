"""Compile everything once, so that no later command has to."""

from __future__ import annotations

import time
from typing import Any

from kt_theory.access import PARTIAL
from kt_theory.simulation.run import draw_counts, simulate
from kt_theory.students import STUDENTS, Student, row_rule
from kt_theory.teacher import Teacher


def _uniform(counts: Any, revealed: Any, out: Any) -> None:
    out[:] = 1.0 / counts.size


def warmup(*, progress: bool = True) -> float:
    """Compile the simulation's kernels into the cache on disk and return the seconds that it took.

    Parameters
    ----------
    progress : bool
        Show a bar on a terminal.
    """
    from tqdm import tqdm

    teacher = Teacher([[0.5, 0.5], [0.25, 0.75]])
    own = Student("own", access=PARTIAL, rule=row_rule(_uniform))
    steps = {
        "drawing transfer sets": lambda: draw_counts(teacher, n=4, repeats=2),
        "the repeat loop": lambda: simulate(
            teacher, [*STUDENTS, own], n=[4, 1000], repeats=2, progress=False
        ),
    }
    start = time.perf_counter()
    bar = tqdm(steps.items(), desc="compiling", disable=None if progress else True)
    for name, step in bar:
        bar.set_postfix_str(name)
        step()
    return time.perf_counter() - start
