"""Teachers taught by teachers: what is left of the truth after each of several stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kt_theory.generations.learning import Learner
from kt_theory.generations.pools import (
    REPLACE,
    Data,
    as_share,
    data_name,
    new_data,
    refuse_stated,
)
from kt_theory.generations.running import Running, blocks
from kt_theory.numeric import total_variation
from kt_theory.simulation.run import progress_bar
from kt_theory.students import Student, as_students
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import distributions, shown, whole_number

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("to_truth", "to_previous", "heterozygosity", "point_masses")
_ARRAYS = 8
_POINT = 1.0 - 1e-12


class _Stage(NamedTuple):
    name: str
    access: str
    n: float
    table: Callable[[np.ndarray, Data, np.random.Generator, Callable[[int], Any]], np.ndarray]
    """(tables (R, S, A), data, generator, done): the next tables; `done` is told how many are."""


def lineage(
    truth: Teacher,
    stages: Any,
    repeats: int = 1000,
    seed: int = 0,
    *,
    data: Any = REPLACE,
    progress: bool = True,
) -> pd.DataFrame:
    """Return how far each of several stages has moved from the truth, every stage taught by the one
    before.

    A stage (student, n) asks the last stage's table n questions, inputs from rho and labels from
    that table, at the student's access level, and writes a table of its own. A stage that is a
    function makes a table (S, A) of the last one without asking: a compression, say. So

    - self-distillation, born-again networks: [("ce_sgl", 1000)] * 20;
    - an imperfect teacher, estimated from N pairs of the truth: [("ce_sgl", N), ("ce_ful", n)];
    - its original training set, or direct training: [("ce_sgl", N)], which is `exact_risk` of
      ce_sgl at N;
    - the capacity gap: [("ce_sgl", N), lambda table: rank_fit(table, 4), lambda table:
      low_rank(table, 2, "logits")], with `kt_theory.compression.low_rank`.

    In every repeat, with q the last table, p the one before and t the truth,

        |TV(q, t) - TV(p, t)| <= TV(q, p),

    so that no n takes a student of a teacher in error e below e - TV(q, p): the teacher's error is
    the floor.

    In self-distillation the visited rows (unvisited ones go back to Uniform) of

    - ce_sgl drift at random and end as point masses, each label with its probability:
      `heterozygosity`, `fixation`;
    - ce_ptl are squared in each generation, p^(2^g) for large n: point masses on the most probable
      label;
    - sel_ptl drift to Uniform. The labels not seen are given their mean, so that the copy is
      majorised by its teacher and the heterozygosity never falls, on any path. Of 3 labels or more
      all rows tend to Uniform but point masses, which stay: its mean rise is continuous and
      positive at every other row, and the rises have a finite sum. Of 2 labels each row is copied
      exactly, for ever.
    - ce_ful stay as they are.

    With data="accumulate" every generation adds its n labels to those of all before, and learns
    from the pool. Then what a row of ce_sgl keeps of its diversity does not go to 0: of k labels a
    generation the product over the generations j of 1 - 1/(k j^2), at least sin(pi/sqrt k)/(pi/sqrt
    k). With a share of fresh labels of the truth it ends at a level of its own, above 0, and so
    does the distance to the truth. `heterozygosity` has both exactly.

    Parameters
    ----------
    truth : Teacher
    stages : list of (student, n) or functions
        student is a name or a Student, n from 0 to 2^53; a function takes and returns an (S, A)
        array.
    repeats : int
        At least 2.
    seed : int
    data : "replace", "accumulate" or float
        What a stage (student, n) learns from: n labels of the last table; these and those of all
        stages before; or n labels of which this share, in (0, 1), to the nearest whole number, are
        of the truth. All but "replace" are for students of sampled labels alone.
    progress : bool
        Show a bar on a terminal once the run has taken 2 seconds.

    Returns
    -------
    DataFrame
        One row per generation, 0 for the truth: generation, stage, access, n, data, inputs, labels;
        the means over the repeats of to_truth and to_previous, TV(., . | rho) to the truth and to
        the last table; of heterozygosity, sum_s rho_s (1 - sum_a q(a|s)^2), the probability that
        two labels of a row differ; of point_masses, the probability of an input whose row is a
        point mass; each with its standard error in a column that ends in _se, and an interval that
        holds the expected value with a probability of 95 %, in columns that end in _low and _high,
        of the kind in _interval (see `kt_theory.intervals.interval`); repeats, seed. What the truth
        itself has is no estimate. The first generations do not depend on those that follow.

    Raises
    ------
    RowRuleError
        A student's rule does not compile, or a row that it wrote is not a distribution.

    Source: Furlanello, Lipton, Tschannen, Itti and Anandkumar (2018), arXiv 1805.04770:
    self-distillation; Menon, Rawat, Reddi, Kim and Kumar (2020), arXiv 2005.10419: imperfect
    teachers; Cho and Hariharan (2019), arXiv 1910.01348: the capacity gap.
    """
    import pandas as pd

    require_teacher(truth, "truth")
    source = as_share(data)
    line = _as_stages(stages, truth, source)
    repeats = whole_number(repeats, "repeats", low=2)
    seed = whole_number(seed, "seed", high=2**128)
    totals = [Running(len(COLUMNS)) for _ in line]
    with progress_bar(repeats * len(line), progress) as shown:
        for size, rng in blocks(repeats, _ARRAYS * truth.pi.size, seed):
            tables = before = np.broadcast_to(truth.pi, (size, *truth.pi.shape))
            given = new_data(source, truth)
            for stage, total in zip(line, totals, strict=True):
                before = tables
                tables = stage.table(tables, given, rng, shown.update)
                total.add(_measures(tables, before, truth))
    first = _measures(truth.pi[None], truth.pi[None], truth)[:, 0]
    stages_shown: list[tuple[str, str, float]] = [
        ("truth", "", 0),
        *((stage.name, stage.access, stage.n) for stage in line),
    ]
    found = [_known(first), *map(_estimated, totals)]
    rows = []
    for generation, ((name, access, n), measures) in enumerate(
        zip(stages_shown, found, strict=True)
    ):
        row: dict[str, Any] = {"generation": generation, "stage": name, "access": access, "n": n}
        row |= {"data": data_name(source), "inputs": truth.inputs, "labels": truth.labels}
        rows.append(row | measures | {"repeats": repeats, "seed": seed})
    return pd.DataFrame(rows)


def _known(values: np.ndarray) -> dict[str, Any]:
    """Return the columns of measures that are no estimates, (4,)."""
    found: dict[str, Any] = {}
    for column, value in zip(COLUMNS, values.tolist(), strict=True):
        found |= _columns(column, value, 0.0, value, value, "exact")
    return found


def _estimated(total: Running) -> dict[str, Any]:
    """Return the columns of measures that are means over repeats."""
    found: dict[str, Any] = {}
    for i, column in enumerate(COLUMNS):
        found |= _columns(column, *total.estimate(i).values())
    return found


def _columns(column: str, mean: float, *rest: Any) -> dict[str, Any]:
    parts = ("_se", "_low", "_high", "_interval")
    return {column: mean} | {column + part: value for part, value in zip(parts, rest, strict=True)}


def _measures(tables: np.ndarray, before: np.ndarray, truth: Teacher) -> np.ndarray:
    """Return the measures in the order of COLUMNS, (4, R)."""
    return np.array(
        [
            total_variation(tables, truth.pi, truth.rho),
            total_variation(tables, before, truth.rho),
            (1.0 - (tables**2).sum(axis=-1)) @ truth.rho,
            (tables.max(axis=-1) >= _POINT) @ truth.rho,
        ]
    )


def _as_stages(stages: Any, truth: Teacher, data: float | str) -> list[_Stage]:
    single = isinstance(stages, (str, Student)) or getattr(stages, "shape", None) == ()
    if single or not isinstance(stages, Iterable):
        raise ValueError(
            f"stages = {shown(stages)}: must be a list of (student, n), "
            f"such as [('ce_sgl', 1000)] * 20"
        )
    found = []
    learners: dict[int, Learner] = {}
    for i, stage in enumerate(stages, start=1):
        if callable(stage):
            found.append(_compression(stage, i, truth))
            continue
        try:
            student, n = stage
        except (TypeError, ValueError):
            raise ValueError(
                f"stage {i} is {stage!r}: must be (student, n), or a function of a table"
            ) from None
        chosen, *others = as_students(student)
        if others:
            raise ValueError(f"stage {i} names {1 + len(others)} students: give one")
        refuse_stated(chosen, data)
        size = whole_number(n, f"n of stage {i}")
        if id(chosen) not in learners:
            learners[id(chosen)] = Learner(chosen, truth.inputs, truth.labels)
        found.append(_learning(learners[id(chosen)], truth.rho, size))
    if not found:
        raise ValueError("stages = []: give at least one (student, n)")
    return found


def _learning(learner: Learner, rho: np.ndarray, n: int) -> _Stage:
    def table(
        tables: np.ndarray, data: Data, rng: np.random.Generator, done: Callable[[int], Any]
    ) -> np.ndarray:
        return learner.write(*data.answers(learner, tables, rho, n, rng), done)

    return _Stage(learner.student.name, learner.student.access.name, n, table)


def _compression(function: Any, stage: int, truth: Teacher) -> _Stage:
    def table(
        tables: np.ndarray, data: Data, rng: np.random.Generator, done: Callable[[int], Any]
    ) -> np.ndarray:
        written = np.empty(tables.shape)
        for repeat, one in enumerate(tables):
            made = distributions(function(one.copy()), f"table of stage {stage}", 2)
            if made.shape != one.shape:
                raise ValueError(
                    f"stage {stage} wrote a table of shape {made.shape}: must be the teacher's, "
                    f"{truth.pi.shape}"
                )
            written[repeat] = made
            done(1)
        return written

    return _Stage(getattr(function, "__name__", type(function).__name__), "", np.nan, table)
