"""From what a layout lists to blocks: values become natural logarithms, rows are checked and
sorted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Block, Listed
from kt_theory.dumps.kinds import (
    LOGITS,
    LOGPROBS,
    PROBABILITIES,
    RENORMALISED,
    UNITS,
    Reading,
    another_kind,
)
from kt_theory.dumps.rounding import Rounding
from kt_theory.kernels import listings
from kt_theory.kernels.contexts import prefix_digests, window_digests, write_histories

_NO_MORE_LABELS = 2**31 - 1


def as_block(listed: Listed, kind: str, name: str, reading: Reading) -> Block:
    """Return the block of rows as they are listed.

    Parameters
    ----------
    listed : Listed
        The rows.
    kind : str
        What their values are: one of `KINDS`.
    name : str
        What messages call the part that they are from.
    reading : Reading
        How the dump is read.

    Raises
    ------
    ValueError
        At the first row that is wrong: with the part, the row, the value, and what reads it if
        anything does.
    """
    rows = _Rows(listed, kind, name)
    logprobs = rows.natural_logs()
    following = rows.following(reading.labels)
    stated = np.full(len(following), np.nan)
    labels = listed.labels
    if labels is None:
        rows.look_at_whole(logprobs, following, stated)
    else:
        labels = rows.whole_numbers(labels)
        rows.look_at_listed(logprobs, labels, following, stated, reading.labels)
    if listed.following_logprob is not None and kind != RENORMALISED:
        beside = rows.beside(listed.following_logprob)
        stated = np.where(np.isnan(beside), stated, beside)
    contexts, histories = _contexts(listed, reading)
    return Block(
        logprobs,
        labels,
        following,
        stated,
        contexts,
        histories,
        listed.starts,
        _depth(listed),
        listed.skipped,
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as a layout lists them, and what to call them in messages."""

    listed: Listed
    kind: str
    name: str

    def natural_logs(self) -> np.ndarray:
        """Return a copy of the values as natural logarithms, (m, k) float64: of whole rows of
        logits up to a constant.
        """
        values = self.listed.values.astype(np.float64, order="C")
        if self.kind == PROBABILITIES:
            wrong = (values < 0.0).any(axis=1)
            if wrong.any():
                least = np.nanmin(np.where(np.isnan(values), np.inf, values), axis=1)
                self._another(wrong, least, "below 0")
        if self.listed.labels is not None and self.kind == LOGITS and self.listed.lognorm is None:
            raise ValueError(
                f"{self.name}: logits of the listed labels alone, without the normaliser of their "
                "rows, do not become probabilities: store log-probabilities, or "
                f"kind={RENORMALISED!r} takes each row for all that the teacher has"
            )
        if self.kind == RENORMALISED:
            return self._renormalised(values)
        return self.natural_log(values)

    def natural_log(self, values: np.ndarray) -> np.ndarray:
        """Return values as natural logarithms; they may be overwritten."""
        if self.kind == PROBABILITIES:
            with np.errstate(divide="ignore"):
                return np.log(values, out=values)
        if self.kind in UNITS and self.kind != LOGPROBS:
            values *= UNITS[self.kind]
        if self.kind == LOGITS and self.listed.lognorm is not None:
            lognorm = self.listed.lognorm
            self._refuse(~np.isfinite(lognorm), lognorm, "its normaliser is {}, no number")
            values -= lognorm.reshape(-1, *(1,) * (values.ndim - 1))
        return values

    def beside(self, values: np.ndarray) -> np.ndarray:
        """Return what is stated of the tokens that follow beside the rows, as natural logarithms;
        NaN where nothing is.
        """
        stated = self.natural_log(np.array(values, dtype=np.float64))
        self._refuse(
            stated > self._excess(),
            values,
            f"states {{:.6g}} for the token that follows, which is no {self.kind}",
        )
        return stated

    def following(self, labels: int | None) -> np.ndarray:
        """Return the tokens that follow, (m,) int32, `NO_LABEL` where none is known."""
        listed = self.listed
        following = np.full(len(listed.values), NO_LABEL, dtype=np.int32)
        if listed.tokens is None or listed.after is None:
            return following
        known = np.flatnonzero(listed.after < listed.ends)
        found = listed.tokens[listed.after[known]]
        size = _NO_MORE_LABELS if labels is None else labels
        if listed.labels is None:
            size = listed.values.shape[1]
        outside = (found < 0) | (found >= size)
        if outside.any():
            place = int(outside.argmax())
            raise ValueError(
                f"{self._row(int(known[place]))} is followed by the token {found[place]}, not "
                f"within 0 to {size - 1}"
            )
        following[known] = found
        return following

    def _renormalised(self, values: np.ndarray) -> np.ndarray:
        if self.listed.labels is None:
            raise ValueError(
                f"{self.name}: kind={RENORMALISED!r} is for rows that list some labels; these have "
                f"all: kind={LOGITS!r} reads them"
            )
        top = np.nanmax(np.where(np.isnan(values), -np.inf, values), axis=1, keepdims=True)
        top[~np.isfinite(top)] = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.nansum(np.exp(values - top), axis=1, keepdims=True)
        return values - (top + np.log(np.maximum(sums, 1e-300)))

    def look_at_whole(
        self, logprobs: np.ndarray, following: np.ndarray, stated: np.ndarray
    ) -> None:
        """Check whole rows, normalise logits in place, and write what they state of the token that
        follows.
        """
        size = logprobs.shape[1]
        beyond = following >= size
        self._refuse(
            beyond, following, f"is followed by the token {{}}, not within 0 to {size - 1}"
        )
        normalised = self.kind != LOGITS or self.listed.lognorm is not None
        sums = np.empty(len(logprobs))
        listings.look_at_whole(logprobs.reshape(-1), size, following, normalised, sums, stated)
        self._refuse_no_numbers(np.isnan(sums))
        if normalised:
            self._refuse_sums(sums, sums < 1.0 - self._excess())

    def whole_numbers(self, labels: np.ndarray) -> np.ndarray:
        """Return labels as int32, a copy."""
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: labels are of the type {labels.dtype}, no whole numbers"
            )
        if labels.dtype.itemsize > 2 and labels.dtype != np.int32:
            wide = (labels > _NO_MORE_LABELS) | (labels < NO_LABEL)
            found = labels[np.arange(len(labels)), wide.argmax(axis=1)]
            self._refuse(wide.any(axis=1), found, "has the label {}, which no vocabulary has")
        return labels.astype(np.int32, order="C")

    def look_at_listed(
        self,
        logprobs: np.ndarray,
        labels: np.ndarray,
        following: np.ndarray,
        stated: np.ndarray,
        most: int | None,
    ) -> None:
        """Check rows that list some labels, sort them in place, and write what they state of the
        token that follows.
        """
        rows, k = logprobs.shape
        sums, faults = np.empty(rows), np.empty(rows, dtype=np.uint8)
        if k:
            table = listings.empty_table(k)
            flat, names = logprobs.reshape(-1), labels.reshape(-1)
            limit = _NO_MORE_LABELS if most is None else most
            listings.look_at_listed(flat, names, k, following, limit, table, sums, stated, faults)
        else:
            sums[:], faults[:] = 0.0, 0
        self._refuse_faults(faults, labels, most)
        self._refuse_sums(sums, sums <= 0.0)
        unsorted = np.flatnonzero(faults & listings.UNSORTED)
        if unsorted.size:
            order = np.argsort(-logprobs[unsorted], axis=1, kind="stable")
            logprobs[unsorted] = np.take_along_axis(logprobs[unsorted], order, axis=1)
            labels[unsorted] = np.take_along_axis(labels[unsorted], order, axis=1)

    def _refuse_faults(self, faults: np.ndarray, labels: np.ndarray, most: int | None) -> None:
        if not (faults & ~np.uint8(listings.UNSORTED)).any():
            return
        self._refuse_no_numbers((faults & listings.NO_NUMBER) > 0)
        unnamed = (faults & listings.NO_LABEL) > 0
        self._refuse(unnamed, faults, "has a value without a label")
        outside = (labels < NO_LABEL) | (labels >= (_NO_MORE_LABELS if most is None else most))
        found = labels[np.arange(len(labels)), outside.argmax(axis=1)]
        rule = "labels are 0 or more"
        if most is not None:
            rule = f"labels are 0 to {most - 1}; labels= is to say how many the teacher has"
        self._refuse((faults & listings.OUTSIDE) > 0, found, f"has the label {{}}: {rule}")
        twice = (faults & listings.TWICE) > 0
        ordered = np.sort(labels, axis=1)
        same = (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] != NO_LABEL)
        found = ordered[np.arange(len(labels)), same.argmax(axis=1)]
        self._refuse(twice, found, "lists the label {} twice: each label once")

    def _refuse_no_numbers(self, wrong: np.ndarray) -> None:
        if not wrong.any():
            return
        row = int(np.flatnonzero(wrong)[0])
        values = self.listed.values[row].astype(np.float64)
        here = np.isnan(values) | (values == np.inf)
        if self.listed.labels is not None:
            here &= self.listed.labels[row] != NO_LABEL
        if not here.any():
            raise ValueError(f"{self._row(row)} gives every label the probability 0")
        raise ValueError(
            f"{self._row(row)} has the value {values[here.argmax()]:g}: values are numbers, or "
            "-inf for a probability of 0"
        )

    def _excess(self) -> float:
        rounding = Rounding.of(self.listed.values).with_off(self.listed.off)
        k = max(1, self.listed.values.shape[1])
        if self.kind == PROBABILITIES:
            return rounding.of_probabilities(k)
        excess = rounding.of_logs(k, UNITS.get(self.kind, 1.0))
        if self.listed.lognorm is None:
            return excess
        largest = float(np.abs(self.listed.lognorm).max(initial=0.0))
        off = Rounding.of(self.listed.lognorm).of_size(largest) + rounding.of_size(largest)
        return excess + math.expm1(off)

    def _refuse_sums(self, sums: np.ndarray, too_little: np.ndarray) -> None:
        excess = self._excess()
        wrong = (sums > 1.0 + excess) | too_little
        if not wrong.any():
            return
        listed = self.listed.values.astype(np.float64)
        largest = np.nanmax(np.where(np.isnan(listed), -np.inf, listed), axis=1)
        bound = 1.0 if self.kind == PROBABILITIES else 0.0
        above = wrong & (largest > bound + excess)
        if above.any() and self.listed.lognorm is None:
            self._another(above, largest, f"above {bound:g}")
        rule = "whole rows sum to 1" if self.listed.labels is None else "they sum to 1 at most"
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{self._row(row)} has probabilities that sum to {sums[row]:.6g} if its values are "
            f"{self.kind}: {rule}{self._way_out()}"
        )

    def _another(self, wrong: Any, values: np.ndarray, what: str) -> None:
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{self._row(row)} has the value {values[row]:.6g}, {what}, so its values are no "
            f"{self.kind}{self._way_out()}"
        )

    def _way_out(self) -> str:
        other, whole = another_kind(self.listed, self.kind), self.listed.labels is None
        if other is None:
            return f"; kind={(LOGITS if whole else RENORMALISED)!r} makes each row sum to 1"
        if other == LOGITS and not whole:
            return (
                "; they are logits, which without the normaliser of their rows do not become "
                f"probabilities: kind={RENORMALISED!r} takes each row for all that the teacher has"
            )
        return f"; they are {other}: kind={other!r} reads them"

    def _row(self, row: int) -> str:
        place = f"row {self.listed.places[row]}"
        if self.listed.lines is not None:
            place = f"line {self.listed.lines[row]}, {place}"
        return f"{self.name}: {place}"

    def _refuse(self, wrong: Any, values: np.ndarray, what: str) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"{self._row(row)} {what.format(values[row])}")


def _depth(listed: Listed) -> np.ndarray | None:
    if listed.after is None or listed.starts is None:
        return None
    return listed.after - listed.starts


def _contexts(listed: Listed, reading: Reading) -> tuple[np.ndarray | None, np.ndarray | None]:
    if listed.tokens is None or listed.starts is None or listed.after is None:
        return None, None
    tokens = listed.tokens.astype(np.int64, copy=False)
    digests = np.empty(len(listed.starts), dtype=np.uint64)
    if reading.context is None:
        prefix_digests(tokens, listed.starts, listed.after, digests)
        return digests, None
    histories = np.empty((len(digests), reading.context), dtype=np.int32)
    write_histories(tokens, listed.starts, listed.after, histories)
    window_digests(histories, digests)
    return digests, histories
