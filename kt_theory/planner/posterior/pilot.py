"""What the posterior reads of a transfer set: visits, counts and stated probabilities of the
visited inputs, dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kt_theory.transfer.rows import Rows
from kt_theory.transfer.sets import TransferSet

MOST_CELLS = 30_000
"""Cells (rows x labels) that are looked at; of more rows a sample, spread over the visit counts,
stands for all.
"""

MOST_ROWS, LEAST_ROWS = 1_500, 40

MOST_LABELS = 50_000
"""Beyond so many labels no posterior is computed."""

ROUNDING = 2e-6
"""A row whose stated probabilities miss 1 by no more hides nothing: servers compute in single
precision.
"""


@dataclass(frozen=True, eq=False)
class Pilot:
    """Records as the posterior sees them: R rows kept of the visited inputs, A labels.

    Attributes
    ----------
    transfer : TransferSet
    n : int
        Records.
    visits : (V,) int64
        Queries of every visited input, kept or not.
    kept : (R,) int64
        Which rows of the transfer set are kept, in the order of the inputs' names, so that the
        order of the records changes nothing.
    columns : (A,) int64
        Codes of the labels in the order of their names; labels that no record names have codes of
        their own.
    count : (R, A) int64
        How often each label was sampled.
    stated : (R, A) float64
        The stated probability, 0 where hidden; rows sum to at most 1.
    known : (R, A) bool
        The probability is stated, or follows from those that are.
    cap : (R,) float64
        No hidden label of the row is more probable: the smallest that a record of it lists among
        its most probable.
    """

    transfer: TransferSet
    n: int
    visits: np.ndarray
    kept: np.ndarray
    columns: np.ndarray
    count: np.ndarray
    stated: np.ndarray
    known: np.ndarray
    cap: np.ndarray

    @property
    def labels(self) -> int:
        """A."""
        return len(self.columns)

    @property
    def share(self) -> float:
        """How many visited inputs a kept row stands for."""
        return len(self.visits) / len(self.kept)

    @cached_property
    def states(self) -> np.ndarray:
        """Which rows have a stated probability: (R,) bool."""
        return np.asarray(self.known.any(axis=1))

    @property
    def labelled(self) -> bool:
        """Whether every record names the label that it sampled."""
        return bool((self.transfer.sampled >= 0).all())

    @cached_property
    def states_each(self) -> bool:
        """Whether every record states the probability of the label that it sampled."""
        drawn = self.count > 0
        return bool((self.known | ~drawn).all())

    def known_by(self, top: int | None) -> np.ndarray:
        """Return which probabilities the records reveal through an access level: (R, A) bool.

        Parameters
        ----------
        top : int or None
            As for `TransferSet.seen_by`.
        """
        rows, kept = self.transfer.rows, self.kept
        if top is not None:
            rows = self._looked_at.seen_by(top)
            kept = np.searchsorted(rows.input, self.transfer.rows.input[self.kept])
        known: np.ndarray = _dense(rows, _told(rows), kept, self.columns)
        return known.astype(np.bool_)

    @cached_property
    def _looked_at(self) -> TransferSet:
        """The records of the kept rows."""
        rows = self.transfer.rows
        kept = np.zeros(len(rows.input), dtype=bool)
        kept[self.kept] = True
        return self.transfer if kept.all() else self.transfer.take(kept[rows.record_row])


def pilot(transfer: TransferSet, labels: int) -> Pilot:
    """Return what the posterior reads of records, with `labels` labels in all."""
    rows = transfer.rows
    kept = _spread(transfer, rows, rows_of(labels))
    named = len(transfer.labels)
    order = np.argsort(np.array(transfer.labels, dtype=object), kind="stable")
    columns = np.concatenate([order, np.arange(named, labels)])
    stated = _dense(rows, rows.shown, kept, columns)
    known = _dense(rows, _told(rows), kept, columns) > 0.0
    cap = _caps(transfer, rows, kept)
    hidden = 1.0 - stated.sum(axis=1)
    full = known.any(axis=1) & (hidden <= ROUNDING)
    stated[full] /= stated[full].sum(axis=1, keepdims=True)
    last = ~full & ((~known).sum(axis=1) == 1)
    stated[last] += np.where(known[last], 0.0, hidden[last, None])
    known = known | (full | last)[:, None]
    count = _dense(rows, rows.count.astype(np.float64), kept, columns).astype(np.int64)
    return Pilot(transfer, rows.n, rows.queries, kept, columns, count, stated, known, cap)


def _told(rows: Rows) -> np.ndarray:
    """1 for each pair whose probability is stated, or those of some of its variants, which are
    taken for all.
    """
    return (rows.known | (rows.floor > 0)).astype(np.float64)


def rows_of(labels: int) -> int:
    """Return how many rows of so many labels are looked at, at most."""
    return max(min(MOST_CELLS // labels, MOST_ROWS), LEAST_ROWS)


def _spread(transfer: TransferSet, rows: Rows, most: int) -> np.ndarray:
    """Return at most so many rows, evenly spread over their visit counts, in the order of the
    inputs' names.
    """
    names = np.array(transfer.input_names, dtype=object)[rows.input]
    by_name = np.argsort(names, kind="stable")
    if len(by_name) <= most:
        return by_name
    by_visits = by_name[np.argsort(rows.queries[by_name], kind="stable")]
    taken = by_visits[((np.arange(most) + 0.5) * len(by_visits) / most).astype(np.int64)]
    return taken[np.argsort(names[taken], kind="stable")]


def _dense(rows: Rows, values: np.ndarray, kept: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return `values`, one per pair, as a table (R, A) of the kept rows, 0 without a pair."""
    place = np.full(len(rows.input), -1)
    place[kept] = np.arange(len(kept))
    column = np.empty(len(columns), dtype=np.int64)
    column[columns] = np.arange(len(columns))
    used = place[rows.row] >= 0
    table = np.zeros((len(kept), len(columns)))
    table[place[rows.row[used]], column[rows.label[used]]] = values[used]
    return table


def _caps(transfer: TransferSet, rows: Rows, kept: np.ndarray) -> np.ndarray:
    """Return, for each kept row, the most that a hidden label can have; 1 where the records do not
    say.

    What a record lists beside its sampled label are the most probable ones: what it does not list
    is at most their smallest. Where a label that some record left out turns out larger, the records
    do not list the most probable, and nothing is concluded.
    """
    record, label = transfer.entry_record, transfer.entry_label
    listed = ~np.isnan(transfer.entry_logp) & (label != transfer.sampled[record])
    smallest = np.full(len(transfer), np.inf)
    np.minimum.at(smallest, record[listed], np.exp(transfer.entry_logp[listed]))
    cap = np.full(len(rows.input), np.inf)
    np.minimum.at(cap, rows.record_row, smallest)
    if _leaves_out_larger(transfer, rows, smallest):
        return np.ones(len(kept))
    return np.minimum(cap, 1.0)[kept]


def _leaves_out_larger(transfer: TransferSet, rows: Rows, smallest: np.ndarray) -> bool:
    """Whether a record leaves out a label that its row is known to give more than the record's
    smallest.
    """
    bound = -np.log(np.minimum(smallest, 1.0)) - 1e-6
    stated = ~np.isnan(transfer.entry_logp)
    record = transfer.entry_record[stated]
    listed = np.bincount(
        record[-transfer.entry_logp[stated] < bound[record]], minlength=len(transfer)
    )
    # Within a row, pairs in the order of -log p: one sorted array for all rows.
    nats = -np.log(np.maximum(rows.p[rows.known], 1e-300))
    order = np.sort(rows.row[rows.known] + nats / 1000.0)
    bounded = np.flatnonzero(np.isfinite(smallest))
    row = rows.record_row[bounded]
    larger = np.searchsorted(order, row + bound[bounded] / 1000.0) - np.searchsorted(order, row)
    return bool((larger > listed[bounded]).any())
