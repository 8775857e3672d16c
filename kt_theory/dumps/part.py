"""A part of a dump: what all layouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

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
    certain : bool
        The file itself says what its values are and where they belong: its rows are not asked.
    renormalised : bool
        It says that rows sum to 1 though they leave labels out.
    drawn : bool
        It says that the labels of a row were drawn: others may be more probable.
    """

    name: str
    kind: str
    positions: int | None
    width: int | None
    labels: int | None
    certain: ClassVar[bool] = False
    renormalised: bool = False
    drawn: bool = False

    @abstractmethod
    def listed(self, start: int) -> Iterator[Listed]:
        """Yield its rows from number `start` on, about `CELLS` cells at a time."""
