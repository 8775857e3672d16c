"""A transfer set summed up by row: who was asked how often, which labels came, and which
probabilities were stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kt_theory.content import ByContent
from kt_theory.transfer.target import Target


@dataclass(frozen=True, eq=False)
class Rows(ByContent):
    """A transfer set as rows (visited inputs), pairs (labels that occur at a row) and records.

    Attributes
    ----------
    labels : int
        A, how many labels the copy spreads its mass over.
    closed : bool
        The label set was declared: nothing outside it can occur.
    input : (R,) int64
        Codes of the visited inputs, ascending.
    start : (R + 1,) int64
        Pairs start[r] to start[r + 1] belong to row r.
    label : (P,) int64
        The pair's label, ascending within a row.
    p : (P,) float64
        The median of what is stated of its probability, NaN where nothing is.
    spread : (P,) float64
        The largest less the smallest of what is stated, 0 where all agree.
    cap : (P,) float64
        Where a record censors the pair: the smallest probability that the same record lists;
        infinite where none does.
    record_row, record_pair : (n,) int64
        The row of each record, and the pair that it sampled, -1 if it names no sampled label.
    entry_record, entry_pair : (m,) int64
        Which record states the probability of which pair.
    floor : (P,) float64
        Where a label has variants: what those that are stated sum to. Its probability, which is not
        known, is at least that; 0 elsewhere.
    parts : Rows or None
        Where labels are merged: the rows before. Then `entry_pair` and `entry_record` are those of
        `parts` still.
    part_of : (pairs of parts,) int64 or None
        The pair that each pair of `parts` counts as.
    """

    labels: int
    closed: bool
    input: np.ndarray
    start: np.ndarray
    label: np.ndarray
    p: np.ndarray
    spread: np.ndarray
    cap: np.ndarray
    record_row: np.ndarray
    record_pair: np.ndarray
    entry_record: np.ndarray
    entry_pair: np.ndarray
    floor: np.ndarray
    parts: Rows | None = None
    part_of: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Records in all."""
        return len(self.record_row)

    @cached_property
    def row(self) -> np.ndarray:
        """The row of each pair: (P,) int64."""
        return np.repeat(np.arange(len(self.input)), np.diff(self.start))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of `values`, one per pair, over each row: (R,) float64."""
        return np.bincount(self.row, weights=values, minlength=len(self.input))

    @cached_property
    def queries(self) -> np.ndarray:
        """Records of each row: (R,) int64."""
        return np.bincount(self.record_row, minlength=len(self.input))

    @cached_property
    def count(self) -> np.ndarray:
        """How often each pair was sampled: (P,) int64."""
        return np.bincount(self.record_pair[self.record_pair >= 0], minlength=len(self.label))

    @cached_property
    def sampled(self) -> np.ndarray:
        """Sampled labels of each row: (R,) int64."""
        return self.total(self.count).astype(np.int64)

    @cached_property
    def known(self) -> np.ndarray:
        """The probability of the pair is stated: (P,) bool."""
        return ~np.isnan(self.p)

    @cached_property
    def shown(self) -> np.ndarray:
        """What is stated of each pair, 0 where it is hidden; rows that sum to more than 1, by
        rounding, scaled down.

        Shape (P,), float64.
        """
        stated = np.where(self.known, self.p, self.floor)
        excess = np.maximum(1.0, self.total(stated))
        return stated / excess[self.row]

    @cached_property
    def contradiction(self) -> np.ndarray:
        """What is stated of a row less 1, beyond rounding: (R,) float64.

        Above 0 where it exceeds 1, below 0 where it falls short although all labels that there are
        are stated.
        """
        off = self.total(np.where(self.known, self.p, self.floor)) - 1.0
        # Servers compute in single precision.
        rounding = 1e-6 + self.total(self.known | (self.floor > 0)) * 2.0**-24
        possible = (self.hidden_labels > 0) | (not self.closed)
        return np.where((np.abs(off) <= rounding) | ((off < 0) & possible), 0.0, off)

    @cached_property
    def hidden_mass(self) -> np.ndarray:
        """1 less what is stated: (R,) float64, in [0, 1]. What float64 leaves of an exhausted row
        is 0.
        """
        return left_over(self.total(self.shown))

    @cached_property
    def hidden_labels(self) -> np.ndarray:
        """How many of the A labels are not stated: (R,) int64."""
        return self.labels - self.total(self.known).astype(np.int64)


def merged(parts: Rows, target: Target) -> Rows:
    """Return rows in which the variants of a label count as one.

    What is stated of a label without variants is its probability. Of others the stated variants add
    up to `floor`; if they are all that the row hides no mass beside, that is their probability.
    """
    width = len(target.names)
    keys = parts.row * width + target.of[parts.label]
    pairs, part_of = np.unique(keys, return_inverse=True)
    row, label = pairs // width, pairs % width
    stated = np.bincount(part_of, weights=np.where(parts.known, parts.p, 0.0), minlength=len(pairs))
    told = np.bincount(part_of, weights=parts.known, minlength=len(pairs)) > 0
    whole = target.whole[label] & told
    # What is left of the row could be another variant.
    exhausted = (parts.hidden_mass == 0.0)[row]
    whole |= exhausted
    spread = np.bincount(part_of, weights=parts.spread, minlength=len(pairs))
    cap = np.full(len(pairs), np.inf)
    single = target.whole[target.of[parts.label]]
    cap[part_of[single]] = parts.cap[single]
    return Rows(
        width,
        target.closed,
        parts.input,
        starts(np.bincount(row, minlength=len(parts.input))),
        label,
        np.where(whole, stated, np.nan),
        spread,
        cap,
        parts.record_row,
        renumbered(parts.record_pair, part_of),
        parts.entry_record,
        parts.entry_pair,
        np.where(whole, 0.0, stated),
        parts,
        part_of,
    )


def starts(sizes: np.ndarray) -> np.ndarray:
    """Return where rows of so many pairs begin, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)])


def renumbered(pairs: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return pairs by their `new` numbers; -1, for no pair, stays."""
    return np.where(pairs >= 0, new[pairs], -1) if len(new) else pairs


def left_over(stated: np.ndarray) -> np.ndarray:
    """Return 1 - stated, and 0 where that is rounding."""
    mass = 1.0 - stated
    return np.where(mass < 1e-12, 0.0, mass)


def collect(
    inputs: np.ndarray,
    sampled: np.ndarray,
    entry_record: np.ndarray,
    entry_label: np.ndarray,
    entry_p: np.ndarray,
    labels: int,
    closed: bool,
) -> Rows:
    """Return the `Rows` of records.

    Parameters
    ----------
    inputs, sampled : (n,) int64
        Input and sampled label of each record; -1 where no label was sampled.
    entry_record, entry_label : (m,) int64
        The probabilities stated: record, and label.
    entry_p : (m,) float64
        The probability; NaN where it is censored.
    labels, closed
        See `Rows`.
    """
    present = np.bincount(inputs) > 0 if len(inputs) else np.zeros(0, dtype=bool)
    visited = np.flatnonzero(present)
    row_of = np.cumsum(present) - 1
    record_row = row_of[inputs] if len(inputs) else np.zeros(0, dtype=np.int64)
    has_label = np.flatnonzero(sampled >= 0)
    width = max(labels, 1)
    keys = np.concatenate(
        [record_row[entry_record] * width + entry_label, (record_row * width + sampled)[has_label]]
    )
    pairs, pair_of = _unique(keys, len(visited) * width)
    entry_pair = pair_of[: len(entry_record)]
    record_pair = np.full(len(inputs), -1, dtype=np.int64)
    record_pair[has_label] = pair_of[len(entry_record) :]
    stated = ~np.isnan(entry_p)
    cap = _caps(sampled, entry_record, entry_label, entry_p, entry_pair, len(pairs))
    entry_record, entry_pair, entry_p = entry_record[stated], entry_pair[stated], entry_p[stated]
    p, spread = _merge(entry_pair, entry_p, len(pairs))
    row = pairs // width
    start = starts(np.bincount(row, minlength=len(visited)))
    return Rows(
        labels,
        closed,
        visited,
        start,
        pairs % width,
        p,
        spread,
        cap,
        record_row,
        record_pair,
        entry_record,
        entry_pair,
        np.zeros(len(pairs)),
    )


def _caps(
    sampled: np.ndarray,
    record: np.ndarray,
    label: np.ndarray,
    p: np.ndarray,
    pair: np.ndarray,
    pairs: int,
) -> np.ndarray:
    """The least that a record lists beside a pair that it censors, infinite where no record
    does.
    """
    cap = np.full(pairs, np.inf)
    censored = np.isnan(p)
    if censored.any():
        # What is stated of the sampled label need not be listed: it may be smaller than what is
        # left out.
        listed = ~censored & (label != sampled[record])
        smallest = np.full(len(sampled), np.inf)
        np.minimum.at(smallest, record[listed], p[listed])
        np.minimum.at(cap, pair[censored], smallest[record[censored]])
    return cap


def _unique(keys: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """np.unique with the inverse, by a table where the keys are few enough for one."""
    if top <= 4 * len(keys) + 1_000_000:
        present = np.zeros(top, dtype=bool)
        present[keys] = True
        rank = np.cumsum(present) - 1
        return np.flatnonzero(present), rank[keys]
    return np.unique(keys, return_inverse=True)


def _merge(pair: np.ndarray, p: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and range of the values of each pair."""
    high, low = np.full(pairs, -np.inf), np.full(pairs, np.inf)
    np.maximum.at(high, pair, p)
    np.minimum.at(low, pair, p)
    median = np.where(np.isfinite(high), high, np.nan)
    differ = high > low
    if differ.any():
        chosen = np.flatnonzero(differ[pair])
        order = chosen[np.lexsort((p[chosen], pair[chosen]))]
        values, owner = p[order], pair[order]
        first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
        size = np.diff(np.r_[first, len(owner)])
        median[owner[first]] = 0.5 * (values[first + (size - 1) // 2] + values[first + size // 2])
    return median, np.where(differ, high - low, 0.0)
