"""How far a run is, counted in positions."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """A bar on a terminal; nothing elsewhere.

    Parameters
    ----------
    shown : bool
    positions : int or None
        Of the whole dump, where that is known.
    done : int
        Counted before this run.
    """

    def __init__(self, shown: bool, positions: int | None, done: int) -> None:
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=positions, initial=done, unit=" positions", leave=False, dynamic_ncols=True
            )

    def to(self, positions: int) -> None:
        """Show that so many are done."""
        if self._bar is not None:
            self._bar.update(positions - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
