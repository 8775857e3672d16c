"""Copies of one row under every policy, built label by label in plain Python and NumPy, and dumps
that list some labels in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.dumps import Dump, Part
from kt_theory.dumps.block import Listed
from kt_theory.dumps.kinds import Reading


def first(row, k):
    """Return the k most probable labels, the smaller first where two are alike."""
    return sorted(range(len(row)), key=lambda a: (-row[a], a))[:k]


def rounded(values, step):
    return np.array([np.exp(-step * round(-np.log(x) / step)) if x > 0 else 0.0 for x in values])


def quantised(values, bits):
    return np.array([round(x * 2**bits) / 2**bits for x in values])


def undone(values, how, amount):
    """What a student makes of values that sum to 1 and come out of storage."""
    if how == "rounded":
        shown = rounded(values, amount)
        return shown / shown.sum()
    if how == "quantised":
        shown = quantised(values, amount)
        left = 1.0 - shown.sum()
        takers = shown > 0 if left < 0 else np.ones(len(shown), dtype=bool)
        shown[takers] += left / takers.sum()
        shown = np.maximum(shown, 0.0)
        return shown / shown.sum()
    return np.array(values)


def tempered(values, how, amount, tau):
    powers = np.array(values) ** (1.0 / tau)
    weights = undone(powers / powers.sum(), how, amount) ** tau
    return weights / weights.sum()


def cut(row, labels, how, amount, tau):
    """The labels' values divided by their sum, 0 elsewhere."""
    kept = np.array([row[a] for a in labels])
    copy = np.zeros(len(row))
    copy[labels] = tempered(kept / kept.sum(), how, amount, tau)
    return copy


def reach(row, p):
    """Return the fewest labels whose mass is at least p."""
    k = 1
    while sum(row[a] for a in first(row, k)) < p - 1e-15:
        k += 1
    return first(row, k)


def even_tail(row, k, how, amount):
    """The k most probable labels, what their values leave shared equally by the others."""
    labels = first(row, k)
    others = [a for a in range(len(row)) if a not in labels]
    values = np.array([row[a] for a in labels])
    if how == "rounded":
        values = rounded(values, amount)
    if how == "quantised":
        values = quantised(values, amount)
        if values.sum() > 1.0:
            above = values > 0
            values[above] += (1.0 - values.sum()) / above.sum()
            values = np.maximum(values, 0.0)
    copy = np.zeros(len(row))
    copy[labels] = values
    copy[others] = max(1.0 - values.sum(), 0.0) / len(others)
    return copy / copy.sum()


def tail_mass(row, k, how, amount):
    """Copies for whoever gives the others' mass as the teacher does, and to the least of them."""
    labels = first(row, k)
    others = [a for a in range(len(row)) if a not in labels]
    rest = sum(row[a] for a in others)
    table = undone(np.array([*(row[a] for a in labels), rest]), how, amount)
    best, worst = np.zeros(len(row)), np.zeros(len(row))
    best[labels] = worst[labels] = table[:-1]
    best[others] = np.array([row[a] for a in others]) * table[-1] / rest
    worst[min(others, key=lambda a: row[a])] = table[-1]
    return best, worst


def tv(copy, row):
    return 0.5 * np.abs(copy - row).sum()


def kl(row, copy):
    inside = row > 0
    if (copy[inside] <= 0).any():
        return np.inf
    return float((row[inside] * np.log(row[inside] / copy[inside])).sum())


@dataclass(frozen=True, eq=False)
class TopOfRows(Part):
    """A dump in memory that lists the first labels of rows of probabilities."""

    logs: np.ndarray
    names: np.ndarray
    labels: int
    tokens: np.ndarray | None = None
    kind: str = "logprobs"
    name: str = "top of rows"
    width: None = None
    cells: int = 2**22

    @property
    def positions(self):
        return len(self.logs)

    def listed(self, start):
        rows = max(1, self.cells // self.logs.shape[1])
        for at in range(start, len(self.logs), rows):
            some = slice(at, at + rows)
            places = np.arange(at, min(at + rows, len(self.logs))) + 1
            if self.tokens is None:
                yield Listed(self.logs[some], self.names[some], places)
            else:
                none = np.zeros_like(places)
                ends = np.full_like(places, len(self.tokens))
                yield Listed(
                    self.logs[some], self.names[some], places, self.tokens, none, places, ends
                )


def top_of(rows, k, *, cells=2**22, tokens=None):
    """Return the dump that lists the k most probable labels of rows (S, A)."""
    names = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    logs = np.log(np.take_along_axis(rows, names, axis=1))
    labels = rows.shape[1]
    return Dump((TopOfRows(logs, names, labels, tokens, cells=cells),), Reading(labels=labels))
