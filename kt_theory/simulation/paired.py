"""Paired differences: what a student gains over another on the same transfer sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.intervals import INFINITE, facts_of, interval
from kt_theory.kernels.statistics import ROUNDING
from kt_theory.losses import LOSSES
from kt_theory.simulation.cell import RiskEstimate
from kt_theory.students import Student
from kt_theory.validation import shown, unknown_name

if TYPE_CHECKING:
    import pandas as pd

_GRID = 2.0**-49
"""Losses are counted as multiples of 2^-50."""


def paired_table(
    estimates: Sequence[RiskEstimate], losses: Iterable[np.ndarray], reference: str
) -> pd.DataFrame:
    """Return the table of `Simulation.compare`.

    Parameters
    ----------
    estimates : sequence of RiskEstimate
        Those of each n side by side.
    losses : iterable of (repeats, columns) arrays
        One for each n, in the order of `estimates`.
    reference : str
        The name of one of the students.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    start = 0
    for drawn in losses:
        columns = estimates[start : start + drawn.shape[1]]
        start += drawn.shape[1]
        base = {one.loss: drawn[:, i] for i, one in enumerate(columns) if one.student == reference}
        for i, one in enumerate(columns):
            if one.student != reference:
                rows.append(_row(one, reference, drawn[:, i], base[one.loss]))
    return pd.DataFrame(rows)


def reference_name(reference: Any, estimates: Sequence[RiskEstimate]) -> str:
    """Return the name of the student that others are compared with, or refuse it."""
    name = reference.name if isinstance(reference, Student) else reference
    names = list(dict.fromkeys(one.student for one in estimates))
    if name not in names:
        raise unknown_name("student", name, names)
    if len(names) == 1:
        raise ValueError(
            f"reference = {shown(name)}: is the only student; simulate it with another one, as in "
            f"students=[{shown(name)}, 'laplace']"
        )
    return str(name)


def _row(
    one: RiskEstimate, reference: str, losses: np.ndarray, others: np.ndarray
) -> dict[str, Any]:
    difference, better, worse = _differences(losses, others)
    facts = facts_of(difference)
    span = LOSSES[one.loss].largest if one.loss in LOSSES else math.inf
    if math.isnan(facts.mean):
        low, high, kind = -math.inf, math.inf, INFINITE
    else:
        low, high, kind = interval(facts, -span, span)
    return {
        "teacher": one.teacher,
        "student": one.student,
        "access": one.access,
        "reference": reference,
        "n": one.n,
        "inputs": one.inputs,
        "labels": one.labels,
        "loss": one.loss,
        "difference": facts.mean,
        "std_error": facts.std_error,
        "low": low,
        "high": high,
        "interval": kind,
        "better": better,
        "worse": worse,
        "repeats": len(losses),
        "seed": one.seed,
    }


def _differences(losses: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the differences, and the shares that are below 0 and above; rounding is no difference,
    and two infinite losses have none.
    """
    with np.errstate(invalid="ignore"):
        difference = losses - others
    close = np.isfinite(others) & (np.abs(difference) <= ROUNDING * others + _GRID)
    difference[close] = 0.0
    return difference, float(np.mean(difference < 0.0)), float(np.mean(difference > 0.0))
