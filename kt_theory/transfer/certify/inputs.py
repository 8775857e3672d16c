"""What each design proves: the inputs that were never asked, the loss on the others, and distances
averaged over them, with probability 1 - delta each.

Of drawn inputs and of strata the law is not known, and every such bound is random. Of a fixed list
all weights are known: what was not asked is certain, and so is every average of a known distance.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, assert_never

import numpy as np

from kt_theory.transfer.certify import bounds, fixed, hard
from kt_theory.transfer.certify.evidence import bound
from kt_theory.transfer.design import Drawn, Fixed, Strata

if TYPE_CHECKING:
    from kt_theory.transfer.fit import Copy

HALVES = "halves of the labels of each input"
STATED = "unbiased loss of held-out records"


class Inputs:
    """The inputs of a copy, as its design chose them.

    Parameters
    ----------
    copy : Copy
    """

    def __init__(self, copy: Copy) -> None:
        self.rows, self.design = copy.rows, copy.transfer.design
        self.faithful = copy.transfer.faithful
        self.parts = self.design.parts(copy.rows)

    @property
    def random(self) -> bool:
        """Whether the inputs are draws of a law that is not known."""
        return not isinstance(self.design, Fixed)

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
        held_out = self.unasked + bounds.shared_mass(
            self.rows, delta, parts=self.parts, sampled_from_teacher=self.faithful
        )
        if self.random:
            return STATED, held_out
        possible = self.unasked + float(self.parts.weight @ bounds.largest_losses(self.rows))
        # Held-out records of labels that were not drawn say nothing of them.
        if possible <= held_out or not self.faithful:
            return "hidden mass of each input, which is known", possible
        return STATED, held_out

    def counted(self, delta: float) -> tuple[str, float]:
        """Return the method and the bound for the frequencies of hard labels."""
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

    def _halves(self, delta: float) -> float:
        most = float(self.parts.weight.sum())
        return bound(hard.halves(self.rows, self.parts), most, delta) if most > 0 else 0.0

    @property
    def unasked(self) -> float:
        """The most that the copy loses on parts without a record, where it is uniform."""
        even = 1.0 / self.rows.labels if self.rows.closed else 0.0
        return self.parts.unasked * (1.0 - even)
