"""What the values of a dump can be, and which of it they are: never taken for natural logarithms
wrongly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
_LARGEST_VOCABULARY = 2**22
_TELLING = 8
_CLEAR = 20.0


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


def recognised(listed: Listed, kind: str, name: str, reading: Reading, stated: bool) -> Reading:
    """Return the reading with what the first rows of a dump tell of it.

    Parameters
    ----------
    listed : Listed
        Its first rows.
    kind : str
        What they are taken for.
    name : str
        Of the part that they are from.
    reading : Reading
        What is known beforehand.
    stated : bool
        The caller says what they are: what the rows tell otherwise is no error.

    Raises
    ------
    ValueError
        If they are something else beyond doubt; the message names the kind that reads them.
    """
    if kind == RENORMALISED:
        return replace(reading, renormalised=True)
    if listed.labels is None or listed.lognorm is not None or kind == LOGITS:
        return reading
    sample = _Sample.of(listed, reading.labels)
    if kind == PROBABILITIES:
        renormalised = sample.as_probabilities().renormalised()
        return replace(reading, renormalised=renormalised)
    others = [other for other in UNITS if other != kind and sample.possible(other).all()]
    if not stated and others and np.mean(sample.possible(kind)) < 0.5:
        raise ValueError(
            f"{name}: if its values are {_IN_WORDS[kind]}, most rows hide more than the labels "
            f"that they leave out can have; they are {_IN_WORDS[others[0]]} as far as one can see: "
            f"kind={others[0]!r} reads them, kind={kind!r} takes them as they are"
        )
    granted = ""
    if others and not stated:
        them = " or ".join(_IN_WORDS[other] for other in others)
        granted = f"its values are {_IN_WORDS[kind]}; the rows would fit {them} too"
    renormalised = sample.scaled(UNITS[kind]).renormalised()
    return replace(reading, renormalised=renormalised, granted=granted)


_IN_WORDS = {
    LOGPROBS: "natural logarithms",
    LOG2: "logarithms to the base 2",
    LOG10: "logarithms to the base 10",
}


def likely_kind(values: np.ndarray) -> str:
    """Return what whole rows are of which nobody says it: logarithms, probabilities, or logits if
    none of these.
    """
    rows = values[:_ROWS].astype(np.float64)
    return next((kind for kind in (*UNITS, PROBABILITIES) if _whole_as(rows, kind)), LOGITS)


def another_kind(listed: Listed, kind: str) -> str | None:
    """Return what rows are that are not of their kind, or None where nothing fits."""
    rows = listed.values.astype(np.float64)
    whole = listed.labels is None
    if listed.labels is not None:
        rows = np.where(listed.labels == NO_LABEL, np.nan, rows)
    for other in (PROBABILITIES, *UNITS):
        fits = _whole_as(rows, other) if whole else _listed_as(rows, other)
        if other != kind and fits:
            return other
    found = rows[np.isfinite(rows)]
    if kind == LOGITS or not len(found):
        return None
    return LOGITS if whole or found.max() > 0 else None


def _whole_as(rows: np.ndarray, kind: str) -> bool:
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


@dataclass(frozen=True, eq=False)
class _Sample:
    """Listed rows as they stand, NaN where they list fewer."""

    rows: np.ndarray
    rounding: Rounding
    labels: int

    @classmethod
    def of(cls, listed: Listed, labels: int | None) -> _Sample:
        at = np.unique(np.linspace(0, len(listed.values) - 1, _ROWS).astype(np.int64))
        rows = np.where(listed.labels[at] == NO_LABEL, np.nan, listed.values[at].astype(float))
        return cls(rows, Rounding.of(listed.values), labels or _LARGEST_VOCABULARY)

    def as_probabilities(self) -> _Sample:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(self.rows)
        return replace(self, rows=logs, rounding=Rounding(self.rounding.relative, 0.0))

    def scaled(self, unit: float) -> _Sample:
        return replace(self, rows=self.rows * unit)

    def possible(self, kind: str) -> np.ndarray:
        """Return which rows can be such logarithms of the most probable labels: they sum to at most
        1, and what is left is no more than the labels left out can have, none of which has more
        than the least that is listed.
        """
        unit = UNITS[kind]
        logs = self.rows * unit
        excess = self.rounding.of_logs(logs.shape[1], unit)
        with np.errstate(over="ignore", under="ignore"):
            sums = np.nansum(np.exp(logs), axis=1)
        least = np.nanmin(np.where(np.isnan(logs), np.inf, logs), axis=1)
        left = self.labels - (~np.isnan(logs)).sum(axis=1)
        off = self.rounding.of_size(float(np.abs(least[np.isfinite(least)]).max(initial=0.0)))
        room = np.maximum(left, 0) * np.exp(np.minimum(least + off, 0.0))
        return np.asarray((sums <= 1.0 + excess) & (1.0 - sums <= room + excess))

    def renormalised(self) -> bool:
        """Return whether rows sum to 1 though their least label is large enough that more of that
        size would show.
        """
        excess = self.rounding.of_logs(self.rows.shape[1])
        with np.errstate(over="ignore", under="ignore"):
            listed = np.exp(self.rows)
        sums, counts = np.nansum(listed, axis=1), (~np.isnan(listed)).sum(axis=1)
        least = np.nanmin(np.where(np.isnan(listed), np.inf, listed), axis=1)
        telling = (least > _CLEAR * excess) & (counts < self.labels)
        return bool(telling.sum() >= _TELLING and (np.abs(sums - 1.0) <= excess).all())
