"""A part of a dump: what all layouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from kt_theory.dumps.block import Listed


class Part(ABC):
    """One file of a dump, or an array in memory: a frozen record that can be sent to a worker.

    Attributes
    ----------
    name : str
        What messages call it.
    kind : str
        What its values are: one of `kinds.KINDS`.
    positions : int or None
        Rows that it holds, or None where only reading tells.
    width : int or None
        Labels of a whole row; None where rows list some of them.
    labels : int or None
        How many the teacher has; None where neither the file nor the caller says.
    renormalised : bool or None
        Whether rows sum to 1 though they leave labels out, where the file says it; None: the rows
        are to tell.
    drawn : bool
        Whether the labels of a row were drawn: others may be more probable.
    """

    name: str
    kind: str
    positions: int | None
    width: int | None
    labels: int | None
    renormalised: bool | None = None
    drawn: bool = False

    @abstractmethod
    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows from number `start` on, about `CELLS` cells at a time."""
