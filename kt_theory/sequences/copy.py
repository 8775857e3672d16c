"""A copy of a sequence teacher."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kt_theory.ngrams import BackOff
from kt_theory.sequences.certificate import SequenceCertificate, certified
from kt_theory.sequences.floor import Floor, floor
from kt_theory.sequences.held_out import HeldOut, measure
from kt_theory.sequences.positions import Positions
from kt_theory.validation import as_floats


@dataclass(frozen=True, eq=False)
class SequenceCopy:
    """A student's rows for what follows the last h tokens, learnt from a part of a dump and
    measured on the rest.

    Attributes
    ----------
    student : str
    model : BackOff
        Its rows.
    positions : Positions
        Of the dump.
    held : (N,) bool
        The positions that it did not learn from.
    """

    student: str
    model: BackOff
    positions: Positions
    held: np.ndarray

    @property
    def context(self) -> int:
        """h: how many tokens it sees."""
        return self.model.context

    @property
    def labels(self) -> int:
        """A."""
        return self.model.labels

    @cached_property
    def held_out(self) -> HeldOut:
        """What was measured at the held-out positions; the dump is read again."""
        return measure(self.model, self.positions, self.held)

    @cached_property
    def floor(self) -> Floor:
        """What no student of this context can remove on the dump's positions; the dump is read
        again.
        """
        return floor(self.positions)

    @property
    def tv(self) -> tuple[float, float]:
        """Mean TV over the held-out positions, from below and above; equal where rows are whole."""
        return self.held_out.tv

    @property
    def acceptance(self) -> tuple[float, float]:
        """How often a token of the copy is accepted as a draft at the held-out positions, from
        below and above: 1 - TV.
        """
        low, high = self.tv
        return 1.0 - high, 1.0 - low

    def rows(self, histories: Any) -> np.ndarray:
        """Return the row of each history, (m, A): each sums to 1 up to rounding.

        Parameters
        ----------
        histories : (m, h or more) array_like of int
            The tokens before, the nearest last; -1 before a text begins.

        Raises
        ------
        ValueError
            For histories that are shorter than the context, or hold what is no token.
        """
        given = as_floats(histories, "histories")
        if given.ndim != 2:
            raise ValueError(f"histories has shape {given.shape}: must be (histories, tokens)")
        if given.shape[1] < self.context:
            raise ValueError(
                f"histories have {given.shape[1]} tokens: must have the last {self.context}"
            )
        wrong = ~((given >= -1) & (given < self.labels) & (given == np.trunc(given)))
        if wrong.any():
            value = given[wrong][0]
            raise ValueError(f"histories hold {value:g}: must be tokens, 0 to {self.labels - 1}")
        return self.model.rows(given.astype(np.int64))

    def certificate(self, confidence: float = 0.95) -> SequenceCertificate:
        """Return an upper confidence bound on the TV on texts to come, each position of a text
        counting alike, and each text.

        Parameters
        ----------
        confidence : float
            In (0, 1).

        Raises
        ------
        ValueError
            For a confidence outside (0, 1), or a dump of one text: nothing is known of others.
        """
        if self.positions.texts == 1:
            raise ValueError(
                "the dump holds one text: nothing follows for others; .tv is what was measured on "
                "its end"
            )
        return certified(self.held_out.by_text, confidence)

    def __repr__(self) -> str:
        return (
            f"SequenceCopy({self.student}: context {self.context}, "
            f"{len(self.model.levels[-1].contexts)} contexts, {self.labels} labels)"
        )
