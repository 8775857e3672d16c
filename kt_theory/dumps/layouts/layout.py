"""What each layout says of itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_theory.dumps.part import Part

NEXT, SAME = "next", "same"


@dataclass(frozen=True)
class Asked:
    """What a caller says of a dump's files, beside where they are.

    Attributes
    ----------
    labels : int or None
        How many the teacher has; None: as the files say.
    kind : str or None
        What the values are, one of `kinds.KINDS`; None: as the layout has them.
    options : Any
        A path to settings that the layout needs and its files lack, or None.
    aligned : str or None
        Which token row i of a text is the distribution of: the "next" one, number i + 1, as models
        return logits; or the "same", number i. None: as the layout has it.
    """

    labels: int | None = None
    kind: str | None = None
    options: Any = None
    aligned: str | None = None

    def ahead(self, default: str) -> int:
        """Return how many tokens further than its own number the token of a row is, 1 or 0."""
        return int((self.aligned or default) == NEXT)


@dataclass(frozen=True)
class Layout:
    """A layout of dumps.

    Attributes
    ----------
    name : str
        What `format=` calls it.
    looks : str
        Its fields, with commas between; then, behind a semicolon, what else is to be said of them.
    suffixes : collection of str
        Of its files, in lower case.
    has : callable
        Whether a file with these columns, fields of its first record or names of arrays has it.
    part : callable
        Opens a file: reads its head, and refuses what the layout cannot be.
    """

    name: str
    looks: str
    suffixes: Collection[str]
    has: Callable[[Collection[str]], bool]
    part: Callable[[Path, Asked], Part]
