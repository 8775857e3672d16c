"""Tallies that lie in a folder, so that a run goes on where it was interrupted."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from pickle import dumps
from typing import Any

import numpy as np

from kt_theory.dumps import Dump, Part
from kt_theory.output import replace_file
from kt_theory.policies.losses import Question
from kt_theory.policies.tally import Tally

FILE = "tallies.npz"
_VERSION = 1
"""Of what is counted: tallies of another one are not taken up."""


@dataclass(frozen=True, eq=False)
class State:
    """What has been counted, and where to go on.

    Attributes
    ----------
    tally : Tally
    rows : (parts,) int64
        Rows done of each part.
    finished : (parts,) bool
    """

    tally: Tally
    rows: np.ndarray
    finished: np.ndarray

    @classmethod
    def start(cls, policies: int, parts: int) -> State:
        """Return the state of a run that has done nothing."""
        none = np.zeros(parts, dtype=np.int64)
        return cls(Tally.empty(policies), none, none.astype(bool))

    def after(self, part: int, tally: Tally, *, finished: bool) -> State:
        """Return the state after more of a part, or the last of it."""
        rows, done = self.rows.copy(), self.finished.copy()
        rows[part] += tally.positions
        done[part] = finished
        return State(self.tally.plus(tally), rows, done)


@dataclass(frozen=True)
class Folder:
    """A folder for a run's state.

    Attributes
    ----------
    path : Path
    key : str
        Digits that tell runs apart: files, how they are read, what is asked.
    """

    path: Path
    key: str = field(repr=False)

    @property
    def file(self) -> Path:
        """Where the state lies."""
        return self.path / FILE

    def read(self) -> State | None:
        """Return the state that lies there, None if there is none.

        Raises
        ------
        ValueError
            If it is that of another run, or damaged.
        """
        if not self.file.exists():
            return None
        try:
            with np.load(self.file, allow_pickle=False) as held:
                arrays = dict(held)
            if str(arrays["key"]) != self.key:
                raise ValueError(
                    f"{self.file} is of other files, policies or options: give another folder, or "
                    "remove it"
                )
            return State(Tally.unpacked(arrays), arrays["rows"], arrays["finished"])
        except (KeyError, EOFError, SyntaxError, zipfile.BadZipFile):
            raise ValueError(
                f"{self.file} is damaged: remove it, and the run starts anew"
            ) from None

    def write(self, state: State) -> None:
        """Put a state in the place of the one before, in one step."""
        self.path.mkdir(parents=True, exist_ok=True)
        packed: dict[str, Any] = state.tally.packed()
        packed |= {"key": self.key, "rows": state.rows, "finished": state.finished}

        def save(beside: Path) -> None:
            with beside.open("wb") as stream:
                np.savez(stream, **packed)

        replace_file(self.file, save)


def key_of(dump: Dump, question: Question) -> str:
    """Return digits that tell runs apart."""
    digits = blake2b(digest_size=16)
    names = [policy.name for policy in question.policies]
    asked = replace(question, policies=())
    digits.update(repr((_VERSION, names, asked, dump.reading)).encode())
    for part in dump.parts:
        digits.update(_of_part(part))
    return digits.hexdigest()


def _of_part(part: Part) -> bytes:
    """Return what changes with a part: of a file its name, size and time, else its contents."""
    path = Path(part.name)
    if path.is_file():
        facts = path.stat()
        text = (str(path.resolve()), facts.st_size, facts.st_mtime_ns, part.kind, part.width)
        return repr(text).encode()
    return blake2b(dumps(part)).digest()
