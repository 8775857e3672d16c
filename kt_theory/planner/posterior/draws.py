"""Draws of a teacher given records, and where the risk of each access level crosses a total
variation in each of them.

All levels are answered from the same draws, with the same arrival times of the further queries: a
level that reveals more knows more of every row at every time, so that in each draw it never needs
more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kt_theory.planner.posterior import entries, rows
from kt_theory.planner.posterior.deviations import deviations
from kt_theory.planner.posterior.inputs import InputLaw, input_law
from kt_theory.planner.posterior.pilot import MOST_CELLS, Pilot, pilot, rows_of
from kt_theory.transfer.sets import TransferSet

DRAWS, FEWEST_DRAWS = 48, 16
"""Teachers that are drawn; fewer where there are so many labels that a draw is dear."""

SEED = 20_240_607

_CELLS = 12_000
"""Arrival times are drawn until a draw has so many rows x labels."""

_MOST_COPIES = 24

UNSEEN_POINTS = 200
"""Inputs never asked are represented by at most so many."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One teacher: visited inputs that are kept, then points of inputs never asked; R of them.

    Attributes
    ----------
    p : (R, A) float64
        Rows; what the records state is in them exactly.
    mass, rate : (R,) float64
        rho of the inputs that the row stands for, together; and of one of them. The masses sum to
        1.
    rank : (R, A) int64
        Of the labels of a row by p, 0 the most probable.
    arrival : (C, R, A) float64
        After how many further queries each pair is drawn first, C times.
    first : (C, R) float64
        The least of a row's.
    """

    p: np.ndarray
    mass: np.ndarray
    rate: np.ndarray
    rank: np.ndarray
    arrival: np.ndarray
    first: np.ndarray


@dataclass(frozen=True, eq=False)
class Posterior:
    """`draws` of the teacher given what `pilot` holds; crossings once found are kept in `found`."""

    pilot: Pilot
    draws: tuple[Draw, ...]
    found: dict[tuple[Any, ...], np.ndarray] = field(default_factory=dict)

    def further(self, top: int | None, tv: float) -> np.ndarray:
        """Return for each draw after how many further queries the expected loss is at most tv:
        (T,), 2^53: never.

        Of the student that keeps what is revealed and shares the rest of a row equally, and that
        knows what the records in hand reveal through this level.

        Parameters
        ----------
        top : int or None
            The level: the sampled label's probability and the `top` largest; None: whole rows.
        tv : float
        """
        return self._once(("further", top, tv), lambda: self._further(top, tv))

    def hard(self, tv: float) -> np.ndarray:
        """Return for each draw how many queries in all frequencies take for a risk of at most tv:
        (T,).
        """
        return self._once(("hard", tv), lambda: self._hard(tv))

    def _once(self, key: tuple[Any, ...], compute: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in self.found:
            self.found[key] = compute()
        return self.found[key]

    def _further(self, top: int | None, tv: float) -> np.ndarray:
        from kt_theory.kernels.crossings import equal_sharing, revealed_crossing

        known = self.pilot.known_by(top)
        width = self.pilot.labels if top is None else top
        found, start = np.empty(len(self.draws)), float(self.pilot.n)
        for place, draw in enumerate(self.draws):
            from_start = np.zeros(draw.p.shape, dtype=bool)
            from_start[: len(known)] = known
            untouched = equal_sharing(draw.p, from_start)
            found[place] = revealed_crossing(
                tv,
                start,
                draw.p,
                draw.mass,
                from_start,
                draw.rank,
                width,
                untouched,
                draw.arrival,
                draw.first,
            )
            start = max(found[place], 1.0)
        return found

    def _hard(self, tv: float) -> np.ndarray:
        from kt_theory.kernels.crossings import hard_crossing

        table, labels = deviations(), self.pilot.labels
        found, start = np.empty(len(self.draws)), float(self.pilot.n)
        for place, draw in enumerate(self.draws):
            unvisited = 0.5 * np.abs(draw.p - 1.0 / labels).sum(axis=1)
            found[place] = hard_crossing(tv, start, draw.p, draw.mass, draw.rate, unvisited, *table)
            start = max(found[place], 1.0)
        return found


_COMPUTED: WeakKeyDictionary[TransferSet, dict[tuple[Any, ...], Posterior]] = WeakKeyDictionary()


def posterior(transfer: TransferSet, labels: int, inputs: int | None = None) -> Posterior:
    """Return the posterior of the teacher behind a transfer set: the same for the same records,
    computed once.

    Parameters
    ----------
    transfer : TransferSet
    labels : int
        A, all that there are.
    inputs : int, optional
        S, if it is known.
    """
    computed = _COMPUTED.setdefault(transfer, {})
    key = labels, inputs
    if key not in computed:
        computed[key] = _posterior(transfer, labels, inputs)
    return computed[key]


def _posterior(transfer: TransferSet, labels: int, inputs: int | None) -> Posterior:
    rng = np.random.default_rng(SEED)
    records = pilot(transfer, labels)
    draws = min(max(DRAWS * MOST_CELLS // records.stated.size, FEWEST_DRAWS), DRAWS)
    law = input_law(records.visits, draws, rng, inputs)
    kinds = row_kinds(records, rng)
    return Posterior(
        records, tuple(_draw(records, law, kinds, which, rng) for which in range(draws))
    )


@dataclass(frozen=True, eq=False)
class RowKinds:
    """The evidence of the `pilot` for each kind of row: (R, K), `rows.KINDS` first, then the `laws`
    learnt from stated entries.
    """

    evidence: np.ndarray
    laws: tuple[entries.EntryLaw | entries.Profile, ...]
    stratum: np.ndarray
    pilot: Pilot

    @cached_property
    def hidden(self) -> tuple[np.ndarray, ...]:
        """What each law says of a hidden entry of the rows that state something: (R, G) each, the
        same in all draws.
        """
        stated = self.pilot.states
        found = []
        for law in self.laws:
            weight = np.zeros((len(stated), len(entries.GRID)))
            weight[stated] = law.hidden(
                self.pilot.stated[stated], self.pilot.known[stated], self.pilot.cap[stated]
            )
            found.append(weight)
        return tuple(found)

    @cached_property
    def unseen(self) -> tuple[np.ndarray, ...]:
        """What each law says of an entry of a row of which nothing is stated: (1, G) each."""
        nothing = np.zeros((1, self.pilot.labels))
        return tuple(law.hidden(nothing, nothing > 0.0, np.ones(1)) for law in self.laws)


def row_kinds(records: Pilot, rng: np.random.Generator) -> RowKinds:
    """Return the evidence of the records for the kinds of their rows."""
    stated = records.states
    evidence = rows.count_evidence(records.count)
    stratum = rows.strata(records.visits[records.kept])
    if not stated.any():
        return RowKinds(evidence, (), stratum, records)
    p, known, cap = records.stated[stated], records.known[stated], records.cap[stated]
    evidence[stated] = rows.stated_evidence(p, known) + rows.cap_evidence(p, known, cap, rng)
    law = entries.entry_law(p, known, cap)
    laws: tuple[entries.EntryLaw | entries.Profile, ...] = (
        law,
        entries.profile(law, p, known, cap),
    )
    # Counts say nothing of the laws of entries: rows that state nothing are of the other kinds.
    columns = np.full((len(evidence), len(laws)), -np.inf)
    for place, one in enumerate(laws):
        columns[stated, place] = one.evidence(p, known, cap)
    return RowKinds(np.column_stack([evidence, columns]), laws, stratum, records)


def _draw(
    records: Pilot, law: InputLaw, kinds: RowKinds, which: int, rng: np.random.Generator
) -> Draw:
    kind, share = rows.draw_kinds(kinds.evidence, kinds.stratum, rng)
    most = min(rows_of(records.labels), UNSEEN_POINTS)
    visited, unseen, stands = law.draw(which, records.kept, most, rng)
    p = np.concatenate(
        [_visited_rows(records, kinds, kind, rng), _unseen_rows(records, kinds, share, unseen, rng)]
    )
    number = np.concatenate([np.full(len(visited), records.share), stands])
    rate = np.concatenate([visited, unseen])
    total = (number * rate).sum()
    mass, rate = number * rate / total, rate / total
    rank = np.argsort(np.argsort(-p, axis=1, kind="stable"), axis=1)
    copies = min(max(_CELLS // p.size, 1), _MOST_COPIES)
    arrival = rng.standard_exponential((copies, *p.shape)) / np.maximum(rate[:, None] * p, 1e-300)
    return Draw(p, mass, rate, rank, arrival, arrival.min(axis=2))


def _visited_rows(
    records: Pilot, kinds: RowKinds, kind: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    stated, plain = records.states, kind < len(rows.KINDS)
    found = np.empty(records.stated.shape)
    counted = np.flatnonzero(~stated)
    found[counted] = rows.draw_counted(records.count[counted], kind[counted], rng)
    some = np.flatnonzero(stated & plain)
    found[some] = rows.draw_stated(
        records.stated[some], records.known[some], records.cap[some], kind[some], rng
    )
    for place, law in enumerate(kinds.laws):
        others = np.flatnonzero(kind == len(rows.KINDS) + place)
        known, cap = records.known[others], records.cap[others]
        drawn = law.draw(records.stated[others], known, kinds.hidden[place][others], rng)
        hidden = rows.under(np.where(known, 0.0, drawn), known, cap)
        found[others] = np.where(known, records.stated[others], hidden)
    return found


def _unseen_rows(
    records: Pilot, kinds: RowKinds, share: np.ndarray, unseen: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return rows of inputs never asked: their kinds have the shares of the rows that were asked
    least.
    """
    kind = rng.choice(len(share), len(unseen), p=share)
    found = np.empty((len(unseen), records.labels))
    plain = np.flatnonzero(kind < len(rows.KINDS))
    found[plain] = rows.draw_counted(
        np.zeros((len(plain), records.labels), dtype=np.int64), kind[plain], rng
    )
    for place, law in enumerate(kinds.laws):
        others = np.flatnonzero(kind == len(rows.KINDS) + place)
        nothing = np.zeros((len(others), records.labels))
        weight = np.broadcast_to(kinds.unseen[place], (len(others), len(entries.GRID)))
        found[others] = law.draw(nothing, nothing > 0.0, weight, rng)
    return found
