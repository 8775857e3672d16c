"""What the first rows of a dump tell of it: what its values are, whether they were renormalised,
and which token a row is the distribution of. Values are never taken for natural logarithms wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Listed
from kt_theory.dumps.kinds import (
    LOG2,
    LOG10,
    LOGITS,
    LOGPROBS,
    PROBABILITIES,
    RENORMALISED,
    UNITS,
    Reading,
    whole_as,
)
from kt_theory.dumps.layouts.layout import NEXT, SAME, Asked
from kt_theory.dumps.rounding import Rounding

_ROWS = 4096
_LARGEST_VOCABULARY = 2**22
_TELLING = 8
_CLEAR = 20.0
_DOUBT = 6.0
_MISFITS = 0.02


def recognised(listed: Listed, kind: str, name: str, reading: Reading, asked: Asked) -> Reading:
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
    asked : Asked
        What the caller says of kind and alignment: what the rows tell otherwise is no error then.

    Raises
    ------
    ValueError
        If they are something else beyond doubt; the message names the kind that reads them.
    """
    stated = asked.kind is not None
    if asked.aligned is None:
        _refuse_alignment(listed, name)
    if kind == RENORMALISED:
        return replace(reading, renormalised=True)
    if listed.labels is None:
        if kind == LOGITS and not stated and whole_as(_head(listed), PROBABILITIES):
            raise ValueError(
                f"{name}: its logits lie from 0 to 1 and sum to 1 in every row: kind="
                f"{PROBABILITIES!r} reads them as probabilities, kind={LOGITS!r} as they are"
            )
        return reading
    if listed.lognorm is not None or kind == LOGITS:
        return reading
    sample = _Sample.of(listed, listed.labels, reading.labels)
    if kind == PROBABILITIES:
        renormalised = sample.as_probabilities().renormalised()
        return replace(reading, renormalised=renormalised)
    others = [other for other in UNITS if other != kind and sample.possible(other).all()]
    wrong = ~sample.possible(kind)
    if not stated and others and wrong.sum() >= max(_TELLING, _MISFITS * len(wrong)):
        raise ValueError(
            f"{name}: if its values are {_IN_WORDS[kind]}, rows hide more than the labels "
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


def refuse_alignment(value_of: Callable[[int], np.ndarray], name: str) -> None:
    """Refuse rows that fit the token before or after the one that they are taken for.

    Of as many tokens as not a row would have the neighbour more probable by chance; by `_DOUBT`
    standard deviations more of them is no chance: 1e-9.

    Parameters
    ----------
    value_of : callable
        Of 0, the values that rows have of their tokens; of -1 and 1, those of the tokens before and
        after; NaN where there is none. What is not listed has -inf.
    name : str
        Of the part.
    """
    own = value_of(0)
    for step, aligned in ((-1, SAME), (1, NEXT)):
        other = value_of(step)
        better, worse = int(np.sum(other > own)), int(np.sum(other < own))
        if better - worse > _DOUBT * np.sqrt(better + worse):
            side = "before" if step < 0 else "after"
            raise ValueError(
                f"{name}: of {better} rows in {better + worse} the token {side} the one that they "
                f"are taken for is the more probable: aligned={aligned!r} reads them so, "
                f"aligned={_OTHER[aligned]!r} as they are"
            )


_OTHER = {SAME: NEXT, NEXT: SAME}


def _refuse_alignment(listed: Listed, name: str) -> None:
    text, after, ends = listed.tokens, listed.after, listed.ends
    if text is None or after is None or ends is None or not len(text):
        return
    rows = np.arange(min(_ROWS, len(listed.values)))
    starts = np.zeros_like(after) if listed.starts is None else listed.starts

    def value_of(step: int) -> np.ndarray:
        place = after[rows] + step
        there = (place >= starts[rows]) & (place < ends[rows])
        tokens = text[np.where(there, place, 0)]
        return np.where(there, _values_of(listed, rows, tokens), np.nan)

    refuse_alignment(value_of, name)


def _values_of(listed: Listed, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the values of one token in each row, -inf where it is not listed."""
    if listed.labels is None:
        known = (tokens >= 0) & (tokens < listed.values.shape[1])
        found = listed.values[rows, np.where(known, tokens, 0)].astype(np.float64)
        return np.where(known, found, np.nan)
    found = np.where(listed.labels[rows] == tokens[:, None], listed.values[rows], -np.inf)
    return np.nanmax(found, axis=1, initial=-np.inf)


def _head(listed: Listed) -> np.ndarray:
    return listed.values[:_ROWS].astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Listed rows as they stand, NaN where they list fewer."""

    rows: np.ndarray
    rounding: Rounding
    labels: int

    @classmethod
    def of(cls, listed: Listed, names: np.ndarray, labels: int | None) -> _Sample:
        values = listed.values
        at = np.unique(np.linspace(0, len(values) - 1, _ROWS).astype(np.int64))
        rows = np.where(names[at] == NO_LABEL, np.nan, values[at].astype(np.float64))
        return cls(rows, Rounding.of(values).with_off(listed.off), labels or _LARGEST_VOCABULARY)

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
