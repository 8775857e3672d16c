"""What each design proves: the inputs that were never asked, the loss on the others, and distances
averaged over them, with probability 1 - delta each.

Of drawn inputs and of strata the law is not known, and every such bound is random. Of a fixed list
all weights are known: what was not asked is certain, and so is every average of a known distance.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

import numpy as np

from kt_theory.transfer.certify import bounds, divergence, fixed, hard
from kt_theory.transfer.certify.evidence import bound
from kt_theory.transfer.design import Drawn, Fixed, Strata

if TYPE_CHECKING:
    from kt_theory.transfer.fit import Copy

HALVES = "halves of the labels of each input"
STATED = "unbiased loss of held-out records"


class NotAtAllTimes(ValueError):
    """Nothing is known that holds at all times together."""


class Inputs:
    """The inputs of a copy, as its design chose them.

    Parameters
    ----------
    copy : Copy
    anytime : bool
        What is proved holds at all times together, however one decides when to look.

    Raises
    ------
    NotAtAllTimes
        If nothing holds at all times of such inputs.
    """

    def __init__(self, copy: Copy, anytime: bool) -> None:
        self.rows, self.design = copy.rows, copy.transfer.design
        self.anytime = anytime
        if anytime and self.random:
            raise NotAtAllTimes(
                f"anytime = True: goes with design='fixed', not with {self.design.name!r}, as "
                "nothing is known at all times of inputs that are drawn; kt.fit_until looks at "
                "them when it is due, and pays for each look"
            )
        self.faithful = copy.transfer.faithful
        self.parts = self.design.parts(copy.rows)

    @property
    def random(self) -> bool:
        """Whether the inputs are draws of a law that is not known."""
        return not isinstance(self.design, Fixed)

    @property
    def taken(self) -> str:
        """What is taken for granted of the choice of inputs."""
        if not self.anytime:
            return self.design.taken
        found = (
            "answers to an input are independent draws of one teacher; when to look, when to stop "
            "and which input is asked next may depend on the answers before"
        )
        equal = isinstance(self.design, Fixed) and not self.design.given
        return f"{found}; the answered inputs are the list, and weigh the same" if equal else found

    @cached_property
    def shares(self) -> np.ndarray:
        """What each visited input counts for in averages over the records: (R,)."""
        return self.parts.shares(self.rows)

    @property
    def about_unseen(self) -> float:
        """The weight of the inputs that were never asked: known, or an estimate."""
        if not self.random:
            return self.parts.unasked
        return self.parts.unasked + float(self.shares @ (self.rows.queries == 1))

    def unseen(self, delta: float) -> float:
        """Return an upper bound on the weight of the inputs that were never asked."""
        match self.design:
            case Fixed():
                return self.parts.unasked
            case Drawn():
                return bounds.unseen_mass(self.rows.queries, delta)
            case Strata():
                return self.parts.unasked + bounds.unseen_parts(self.rows, self.parts, delta)
        assert_never(self.design)

    def own_table(self, delta: float) -> float:
        """Return what a table of the student's own on inputs that were not asked may add to the
        loss: of a list what `unasked` does not count already.
        """
        return self.unseen(delta) if self.random else self.parts.unasked - self.unasked

    def distance(self, apart: np.ndarray, delta: float) -> float:
        """Return an upper bound on the mean over visited inputs of a distance that the records
        determine, (R,).
        """
        if not self.random:
            return float(self.parts.weight @ apart)
        return bounds.distance(self.rows, apart, delta, self.parts)

    def shared_mass(self, delta: float) -> tuple[str, float]:
        """Return the method and the bound for stated probabilities and equal shares of the rest.

        The hidden mass of an input that was asked is known. So of a fixed list the largest loss
        that it leaves possible is certain; what held-out records say may be less.
        """
        if self.random:
            return STATED, self._held_out(delta)
        certain = "hidden mass of each input, which is known"
        possible = self.unasked + float(self.parts.weight @ bounds.largest_losses(self.rows))
        # Held-out records of labels that were not drawn say nothing of them.
        if self.anytime or not self.faithful:
            return certain, possible
        held_out = self._held_out(delta)
        return (STATED, held_out) if held_out < possible else (certain, possible)

    def _held_out(self, delta: float) -> float:
        return self.unasked + bounds.shared_mass(
            self.rows, delta, parts=self.parts, sampled_from_teacher=self.faithful
        )

    def counted(self, delta: float) -> tuple[str, float]:
        """Return the method and the bound for the frequencies of hard labels."""
        if self.anytime:
            return self._counted_at_all_times(delta)
        match self.design:
            case Fixed():
                method = "relative entropy, mean, counts and halves of the labels of each input"
                found = fixed.counted(self.rows, self.parts, delta)
                return method if self.rows.closed else HALVES, self.unasked + found
            case Drawn():
                return f"{HALVES}, their number, and their counts", hard.counted(self.rows, delta)
            case Strata():
                return HALVES, self.unasked + self._halves(delta)
        assert_never(self.design)

    def _counted_at_all_times(self, delta: float) -> tuple[str, float]:
        rows, weight = self.rows, self.parts.weight
        if not rows.closed:
            raise NotAtAllTimes(
                "anytime = True: the number of labels must be known where labels alone count; read "
                "the records with labels=... and other='none' or other='pool'"
            )
        budget = divergence.regret(rows) + math.log(1.0 / delta)
        found = divergence.farthest(rows, weight, budget) if rows.labels > 1 else 0.0
        return (
            "relative entropy of each input, at all times (Krichevsky and Trofimov)",
            self.unasked + found,
        )

    def _halves(self, delta: float) -> float:
        most = float(self.parts.weight.sum())
        return bound(hard.halves(self.rows, self.parts), most, delta) if most > 0 else 0.0

    @property
    def unasked(self) -> float:
        """The most that the copy loses on parts without a record, where it is uniform."""
        even = 1.0 / self.rows.labels if self.rows.closed else 0.0
        return self.parts.unasked * (1.0 - even)
