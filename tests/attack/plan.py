"""The attacks, and how many attempts of each make a full one: an hour on two cores."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Attempt = Callable[[int, np.random.Generator, Path], "str | None"]
"""Takes its number, a source of randomness and an empty folder; returns what is wrong, or None."""


@dataclass(frozen=True)
class Attack:
    """A kind of attempt.

    Attributes
    ----------
    name : str
        Of the function in `module`.
    title : str
    module : str
    count : int
        Attempts of a full attack.
    chunk : int
        Attempts of one process, and of one line of the journal.
    seconds : float
        After which an attempt hangs.
    """

    name: str
    title: str
    module: str
    count: int
    chunk: int
    seconds: float

    def attempt(self) -> Attempt:
        """Return what makes an attempt."""
        found: Attempt = getattr(importlib.import_module(f"attack.{self.module}"), self.name)
        return found


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack("transcripts", "mutated files of answers", "files", 100_000, 1000, 30.0),
        Attack("specifications", "mutated specifications of sweeps", "files", 20_000, 500, 30.0),
        Attack("tables", "mutated tables of teachers", "files", 20_000, 500, 30.0),
        Attack("calls", "calls with wrong arguments", "calls", 5_000, 100, 60.0),
        Attack("kills", "sweeps killed at random, and resumed", "runs", 200, 10, 600.0),
        Attack("disks", "sweeps on a disk that is full, and resumed", "runs", 40, 10, 120.0),
        Attack(
            "growth", "10,000 calls in one process: memory and descriptors", "growth", 8, 1, 600.0
        ),
    )
}
"""By name."""
