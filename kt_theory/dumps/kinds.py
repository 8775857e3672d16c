"""What the values of a dump can be, and which of it whole blocks of them fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Listed
from kt_theory.dumps.rounding import Rounding

LOGPROBS, LOGITS, PROBABILITIES = "logprobs", "logits", "probabilities"
LOG2, LOG10, RENORMALISED = "log2", "log10", "renormalised logits"

KINDS = (LOGPROBS, LOGITS, PROBABILITIES, LOG2, LOG10, RENORMALISED)
"""What values can be: natural logarithms of probabilities; those up to a constant of each row;
probabilities; logarithms to the base 2 or 10; logits of listed labels, each row of which is to be
taken for all that the teacher has."""

UNITS = {LOGPROBS: 1.0, LOG2: math.log(2.0), LOG10: math.log(10.0)}
"""The natural logarithm of the base, of kinds that are logarithms of probabilities."""

_ROWS = 4096
_SURELY_ABOVE = 0.5


@dataclass(frozen=True)
class Reading:
    """How a dump is read.

    Attributes
    ----------
    labels : int or None
        How many the teacher has; None where nobody says.
    context : int or None
        An input is the last so many tokens; None: all that went before.
    renormalised : bool
        Listed rows sum to 1 though labels are left out: nothing is known of what is hidden, and
        the rows are those of the renormalised teacher.
    granted : str
        What is taken for granted of the values because the rows do not tell, in words; or nothing.
    """

    labels: int | None
    context: int | None = None
    renormalised: bool = False
    granted: str = ""


def likely_kind(values: np.ndarray) -> str:
    """Return what whole rows are of which nobody says it: logarithms, probabilities, or logits if
    none of these.
    """
    rows = values[:_ROWS].astype(np.float64)
    return next((kind for kind in (*UNITS, PROBABILITIES) if whole_as(rows, kind)), LOGITS)


def another_kind(listed: Listed, kind: str) -> str | None:
    """Return what rows are that are not of their kind, or None where nothing fits."""
    rows = listed.values.astype(np.float64)
    whole = listed.labels is None
    if listed.labels is not None:
        rows = np.where(listed.labels == NO_LABEL, np.nan, rows)
    for other in (PROBABILITIES, *UNITS):
        fits = whole_as(rows, other) if whole else _listed_as(rows, other)
        if other != kind and fits:
            return other
    found = rows[np.isfinite(rows)]
    if kind == LOGITS or not len(found):
        return None
    return LOGITS if found.max() > _SURELY_ABOVE else None


def whole_as(rows: np.ndarray, kind: str) -> bool:
    """Whether whole rows sum to 1."""
    sums, excess = _sums(rows, kind)
    return bool((np.abs(sums - 1.0) <= excess).all())


def _listed_as(rows: np.ndarray, kind: str) -> bool:
    sums, excess = _sums(rows, kind)
    return bool((sums <= 1.0 + excess).all() and (sums > 0.0).all())


def _sums(rows: np.ndarray, kind: str) -> tuple[np.ndarray, float]:
    rounding, k = Rounding.of(rows), rows.shape[1]
    if kind == PROBABILITIES:
        sums = np.where((rows < 0).any(axis=1), np.inf, np.nansum(rows, axis=1))
        return sums, rounding.of_probabilities(k)
    unit = UNITS[kind]
    with np.errstate(over="ignore", under="ignore"):
        return np.nansum(np.exp(rows * unit), axis=1), rounding.of_logs(k, unit)
