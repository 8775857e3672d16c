"""What became of each line of a file of records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = ("read", "blank", "malformed", "error", "refused", "no label", "outside")
"""read; blank line; not a record of this format; the server failed; the teacher declined; no answer to take a label
from; the label is not among the declared ones."""


class Skip(Exception):
    """A line that gives no record: its outcome, one of `OUTCOMES`, and why."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(eq=False)
class Account:
    """What became of each line: the outcomes add up to `lines`.

    Attributes
    ----------
    source : str
        What was read.
    format : str
        As which format.
    lines : int
        Lines of a text file, rows of a table, elements of a JSON array.
    records : int
        Answers that were read; a line with several choices holds several.
    skipped : list of (int, str, str)
        Number, outcome and reason of each line that gave no record.
    censored : int
        Stated log-probabilities that stand for "too small to list".
    outside : int
        Listed alternatives that are not among the declared labels; their mass counts as hidden.
    other_sampling : int
        Records sampled at another temperature than 1, or truncated.
    unstated_sampling : int
        Records that do not say how they were sampled.
    """

    source: str = ""
    format: str = ""
    lines: int = 0
    records: int = 0
    skipped: list[tuple[int, str, str]] = field(default_factory=list)
    censored: int = 0
    outside: int = 0
    other_sampling: int = 0
    unstated_sampling: int = 0

    @property
    def outcomes(self) -> dict[str, int]:
        """How many lines had each outcome; the numbers add up to `lines`."""
        found = Counter(outcome for _, outcome, _ in self.skipped)
        found["read"] = self.lines - len(self.skipped)
        return {outcome: found[outcome] for outcome in OUTCOMES if found[outcome]}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per line that gave no record: line, outcome, reason."""
        import pandas as pd

        return pd.DataFrame(self.skipped, columns=["line", "outcome", "reason"])

    def __repr__(self) -> str:
        parts = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items()) or "empty"
        head = f"{self.source} ({self.format}): {self.lines} lines: {parts}; {self.records} records"
        notes = [
            f"{count} {what}"
            for count, what in (
                (self.censored, "censored log-probabilities"),
                (self.outside, "listed alternatives outside the declared labels"),
                (self.other_sampling, "records not sampled at temperature 1, top_p 1"),
                (self.unstated_sampling, "records that do not say how they were sampled"),
            )
            if count
        ]
        first = [f"line {line}: {outcome}: {reason}" for line, outcome, reason in self.skipped[:5]]
        more = [f"... and {len(self.skipped) - 5} more, see .frame"] if len(self.skipped) > 5 else []
        return "\n  ".join([head, *notes, *first, *more])
