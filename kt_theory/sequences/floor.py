"""What no student that sees the last h tokens alone can remove, on the positions of a dump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kt_theory.dumps import Block
from kt_theory.dumps.block import NO_LABEL
from kt_theory.sequences.positions import WIDEST, Positions, Stated

HELD = 2**24
"""So many listed probabilities are held at once; contexts beyond that wait for the next reading."""

SORTED = 2**21
"""About so many are sorted at once."""


@dataclass(frozen=True)
class Floor:
    """The least mean TV of a table with one row for each context, over the dump's positions.

    Attributes
    ----------
    low, high : float
        It lies between; equal, up to rounding, where rows are whole.
    repeated : float
        The share of positions whose context another one has too. The others add nothing: at one
        position a row can be right.
    context : int
        h.
    """

    low: float
    high: float
    repeated: float
    context: int


def floor(positions: Positions) -> Floor:
    """Return the floor of a dump: with the positions i in contexts c,

        (1/N) sum over c of min_q sum over i in c of TV(q, p_i).

    See `kt_theory.limits.groups.common_row_floor`. Of rows that hide a mass each label that is not
    listed has a probability in [0, cap], and all that no position of the context lists are taken
    for one label: what is least then is a lower bound. The row that attains it, against the
    farthest row that each position may have, is the upper one.
    """
    _, number, visits = np.unique(positions.digests, return_inverse=True, return_counts=True)
    repeated = visits[number] > 1
    low = high = 0.0
    for group, rows in _gathered(positions, number, visits):
        from_below, from_above = nearest_rows(group, rows, positions.labels)
        low += from_below
        high += from_above
    size = len(positions)
    return Floor(low / size, max(low, high) / size, float(repeated.mean()), positions.context)


def _gathered(
    positions: Positions, number: np.ndarray, visits: np.ndarray
) -> Iterator[tuple[np.ndarray, Stated]]:
    """Yield the rows of the repeated contexts, all of a context together, and the context of each,
    from 0.
    """
    width = next(block.logprobs.shape[1] for _, block in positions.blocks())
    width = min(width, WIDEST)
    many = np.flatnonzero(visits > 1)
    reading = np.full(len(visits), -1)
    reading[many] = (np.cumsum(visits[many]) - visits[many]) * width // HELD
    of_position = reading[number]
    for each in np.unique(reading[many]):
        kept, contexts = [], []
        for place, block in positions.blocks():
            chosen = np.flatnonzero(of_position[place] == each)
            if len(chosen):
                kept.append(_compact(positions.stated(block, chosen, width), block))
                contexts.append(number[place][chosen])
        yield from _sorted(np.concatenate(contexts), _joined(kept))


def _compact(rows: Stated, block: Block) -> Stated:
    return Stated(
        rows.label.astype(np.int32), rows.p.astype(block.logprobs.dtype), rows.hidden, rows.cap
    )


def _joined(kept: list[Stated]) -> Stated:
    width = max(rows.p.shape[1] for rows in kept)

    def wide(values: np.ndarray, fill: int) -> np.ndarray:
        missing = width - values.shape[1]
        return np.pad(values, ((0, 0), (0, missing)), constant_values=fill)

    return Stated(
        np.concatenate([wide(rows.label, NO_LABEL) for rows in kept]),
        np.concatenate([wide(rows.p, 0) for rows in kept]),
        np.concatenate([rows.hidden for rows in kept]),
        np.concatenate([rows.cap for rows in kept]),
    )


def _sorted(context: np.ndarray, rows: Stated) -> Iterator[tuple[np.ndarray, Stated]]:
    """Yield the rows context by context, some contexts at a time; of a context with more rows than
    are sorted at once, fewer labels of each.
    """
    order = np.argsort(context, kind="stable")
    begins = np.flatnonzero(np.diff(context[order], prepend=-1))
    width = rows.p.shape[1]
    batch = begins * width // SORTED
    firsts = begins[np.flatnonzero(np.diff(batch, prepend=-1))]
    for first, last in pairwise([*firsts.tolist(), len(order)]):
        chosen = order[first:last]
        widest = max(1, min(width, 2 * SORTED // len(chosen)))
        _, group = np.unique(context[chosen], return_inverse=True)
        yield group, _cut(rows, chosen, widest)


def _cut(rows: Stated, chosen: np.ndarray, widest: int) -> Stated:
    """Return some rows with so many labels of each; the others are hidden."""
    label, p = rows.label[chosen], rows.p[chosen].astype(np.float64)
    hidden, cap = rows.hidden[chosen], rows.cap[chosen]
    if widest < p.shape[1]:
        best = np.argpartition(-p, widest - 1, axis=1)[:, :widest]
        label, kept = np.take_along_axis(label, best, 1), np.take_along_axis(p, best, 1)
        hidden = hidden + p.sum(axis=1) - kept.sum(axis=1)
        cap, p = np.maximum(cap, kept.min(axis=1)), kept
    return Stated(label.astype(np.int64), p, hidden, cap)


def nearest_rows(group: np.ndarray, rows: Stated, labels: int) -> tuple[float, float]:
    """Return bounds on the sum over groups of min_q sum_i TV(q, p_i).

    Twice the sum of a group is separable and convex in the q(a), and piecewise linear: a mass of 1
    laid on the pieces of smallest slope first makes it least.

    Parameters
    ----------
    group : (m,) int64
        The group of each row, from 0, none empty.
    rows : Stated
    labels : int
        A.
    """
    row, column = np.nonzero(rows.label >= 0)
    p = rows.p[row, column]
    places, at = np.unique(group[row] * labels + rows.label[row, column], return_inverse=True)
    pieces = _Pieces.of(group, rows, (places, at, p), labels)
    laid, least = pieces.filled()
    q = laid[at]
    high = np.maximum(p - q, 0.0).sum() + rows.hidden.sum()
    return 0.5 * least, float(high)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Linear pieces of convex functions of one probability each: the listed labels of the groups,
    then what each group has of others.
    """

    function: np.ndarray
    group: np.ndarray
    slope: np.ndarray
    length: np.ndarray
    at_zero: float
    functions: int

    @classmethod
    def of(
        cls,
        group: np.ndarray,
        rows: Stated,
        listed: tuple[np.ndarray, np.ndarray, np.ndarray],
        labels: int,
    ) -> _Pieces:
        """Return them: |x - p| of each row that lists the label, (x - cap)_+ of each that does not;
        of other labels the distance of x from what the row can have of them.
        """
        places, at, p = listed
        size = np.bincount(group)
        groups, own = len(size), places // labels
        cap = np.zeros(groups)
        np.maximum.at(cap, group, rows.cap)
        lists = np.bincount(at)
        unlisted = size[own] - lists
        together = np.bincount(own, minlength=groups)[group]
        number = (rows.label >= 0).sum(axis=1)
        least = np.maximum(rows.hidden - (together - number) * rows.cap, 0.0)
        most = np.minimum(rows.hidden, (labels - together) * rows.cap)
        least = np.minimum(least, most)
        functions = len(places) + groups
        others = len(places) + np.arange(groups)
        breaks = [
            (np.arange(functions), np.zeros(functions), np.append(-lists, -size)),
            (at, p, np.full(len(p), 2)),
            (np.arange(len(places)), cap[own], unlisted),
            (others[group], least, np.ones(len(group), dtype=np.int64)),
            (others[group], most, np.ones(len(group), dtype=np.int64)),
        ]
        function, x, jump = (np.concatenate(column) for column in zip(*breaks, strict=True))
        # Stable: what begins at 0 stands first.
        order = np.lexsort((x, function))
        function, x, jump = function[order], x[order], jump[order]
        total = np.cumsum(jump)
        first = np.flatnonzero(np.diff(function, prepend=-1))
        before = np.repeat((total - jump)[first], np.diff(np.append(first, len(function))))
        ends = np.append(x[1:], 1.0)
        ends[np.append(first[1:], len(function)) - 1] = 1.0
        whose = np.append(own, np.arange(groups))
        at_zero = float(p.sum() + least.sum())
        return cls(function, whose[function], total - before, ends - x, at_zero, functions)

    def filled(self) -> tuple[np.ndarray, float]:
        """Return what is laid on each function, and twice the least sum."""
        order = np.lexsort((self.slope, self.group))
        length, group = self.length[order], self.group[order]
        reached = np.cumsum(length)
        first = np.flatnonzero(np.diff(group, prepend=-1))
        before = np.repeat((reached - length)[first], np.diff(np.append(first, len(group))))
        left = 1.0 - (reached - before - length)
        laid = np.clip(left, 0.0, length)
        least = self.at_zero + float((laid * self.slope[order]).sum())
        return np.bincount(self.function[order], weights=laid, minlength=self.functions), least
