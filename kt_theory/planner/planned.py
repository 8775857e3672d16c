"""A level that is planned for records in hand: what of it they hold, at its sizes."""

from __future__ import annotations

from dataclasses import dataclass

from kt_theory.access import Access
from kt_theory.access.shows import WHOLE_ROW, Told
from kt_theory.brackets import bracket
from kt_theory.limits.bracket import Bracket
from kt_theory.minimax import Asked


@dataclass(frozen=True)
class Planned:
    """A level at its sizes, with what records hold of it.

    Attributes
    ----------
    told : Told
    bracket : Bracket
    """

    told: Told
    bracket: Bracket

    @classmethod
    def of(cls, level: Asked, bracket: Bracket) -> Planned:
        """Return a level that is asked for.

        Raises
        ------
        ValueError
            If records do not say what it would reveal.
        """
        if level.level.told is None or level.labels_per_query != 1:
            raise ValueError(
                f"access = {level.access!r}: records do not say what it would reveal; give inputs= "
                "and labels= without teacher=, or the copy as a teacher, kt.fit(...).teacher()"
            )
        return cls(level.level.told, bracket)

    @classmethod
    def at(cls, level: Access, inputs: int, labels: int) -> Planned:
        """Return a level whose answers records hold, at its sizes."""
        assert level.told is not None
        return cls(level.told, bracket(level, inputs, labels))

    def beside(self, level: Access) -> Planned:
        """Return another level at the same sizes."""
        return self.at(level, self.inputs, self.labels)

    @property
    def name(self) -> str:
        """As tables call it."""
        return self.bracket.name

    @property
    def inputs(self) -> int:
        """S."""
        return self.bracket.inputs

    @property
    def labels(self) -> int:
        """A."""
        return self.bracket.labels

    @property
    def top(self) -> int | None:
        """How many labels it shows by their rank, None for whole rows."""
        return None if self.told.top == WHOLE_ROW else min(self.told.top, self.labels)

    @property
    def in_part(self) -> bool:
        """Whether it shows some probabilities of a row and not all."""
        return not self.told.labels_only and self.top is not None

    @property
    def settles(self) -> bool:
        """Whether one query of a row reveals all of it."""
        return self.told.settles(self.labels)
