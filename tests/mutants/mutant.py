"""What a mutant is: one text of one file of the package, replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """A wrong version of the package.

    Attributes
    ----------
    name : str
        Of letters, digits and -.
    file : str
        Below `kt_theory/`.
    old, new : str
        `old` stands exactly once in the file, and `new` goes in its place.
    why : str
        What is wrong then.
    tests : str
        Files, or tests of files, below `tests/` that are likely to convict it, with spaces
        between them: they run first.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: str

    def written(self, package: Path) -> str:
        """Return the file with the mutation.

        Raises
        ------
        ValueError
            If `old` stands there never, or more than once.
        """
        text = (package / self.file).read_text(encoding="utf-8")
        times = text.count(self.old)
        if times != 1:
            raise ValueError(f"{self.name}: {self.file} has {times} times {self.old!r}, not once")
        return text.replace(self.old, self.new)
