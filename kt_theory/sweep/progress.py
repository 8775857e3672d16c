"""Progress, counted on completion: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

_LINE_SECONDS = 10.0


class Progress:
    """Blocks done of those known, repeats per second, time left, failed cells.

    Parameters
    ----------
    shown : bool
        Whether anything is printed, on stderr.
    """

    def __init__(self, shown: bool) -> None:
        self.shown, self.blocks, self.repeats, self.total = shown, 0, 0, 0
        self._started = self._last = time.monotonic()
        self._known, self._known_cost, self._cost, self._done_cost = 0, 0.0, 0.0, 0.0
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            from tqdm import tqdm

            look = "{l_bar}{bar}| {n_fmt}/{total_fmt} blocks{postfix}"
            self._bar = tqdm(leave=False, dynamic_ncols=True, bar_format=look)

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """The seconds left, if blocks go on to take what their estimates lead to expect; NaN before
        the first.
        """
        return self.seconds * (self._cost / self._done_cost - 1.0) if self._done_cost else math.nan

    def expect(self, blocks: int, cost: float) -> None:
        """Add blocks, and their estimated cost, that are known to be missing at the start."""
        self.total += blocks
        self._cost += cost

    def lined_up(self, blocks: int, cost: float) -> None:
        """Count blocks that are lined up; where they pass what was expected, the total grows."""
        self._known += blocks
        self._known_cost += cost
        self.total, self._cost = max(self.total, self._known), max(self._cost, self._known_cost)

    def add(self, repeats: int, cost: float) -> None:
        """Count a block that is done."""
        self.blocks += 1
        self.repeats += repeats
        self._done_cost += cost

    def show(self, failed: int) -> None:
        """Bring what is shown up to date."""
        speed = self.repeats / max(self.seconds, 1e-9)
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.set_postfix_str(
                f"{speed:,.0f} repeats/s, {self.left:.0f} s left, {failed} failed", refresh=False
            )
            self._bar.update(self.blocks - self._bar.n)
        elif self.shown and time.monotonic() - self._last > _LINE_SECONDS:
            self._last = time.monotonic()
            left = "time left unknown" if math.isnan(self.left) else f"about {self.left:.0f} s left"
            self.say(
                f"{self.blocks}/{self.total} blocks, {speed:,.0f} repeats/s, {left}, {failed} "
                "failed"
            )

    def say(self, line: str) -> None:
        """Print a line beside the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif self.shown:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
