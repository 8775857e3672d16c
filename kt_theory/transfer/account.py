"""What became of each line of a file of records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kt_theory.plurals import counted

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = (
    "read",
    "blank",
    "malformed",
    "error",
    "refused",
    "no label",
    "no token",
    "no request",
    "other model",
    "repeated",
)
"""read; blank line; not a record of this format; the server failed; the teacher declined; no answer
to take a label from; an answer without tokens where others state theirs; no request has its
custom_id; another teacher's answer; the same answer again."""


class Skip(Exception):
    """A line that gives no record: its outcome, one of `OUTCOMES`, and why, in one line."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(" ".join(reason.split()))
        self.outcome = outcome


@dataclass
class Account:
    """What became of each line: the outcomes add up to `lines`. Accounts are equal where all but
    `source` is.

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
    changed : dict of str to list of int
        Settings under which labels do not follow the stated probabilities, such as "temperature =
        0": the lines of the records that were drawn so.
    unstated_sampling : int
        Records that do not say how they were sampled.
    unknown_options : dict of str to int
        Settings of requests that are not known: how many records have them.
    models : dict of str to int
        The teachers that the records name: how many records each has.
    repeated : int
        Records with the prompt and the seed of an earlier one: the same draw again, whose label
        does not count.
    reasoned : int
        Records whose label follows reasoning: only the label counts, not what is stated of it.
    merged : dict of str to dict of str to int
        Labels of the copy, the variants that count as each, and how often each was sampled.
    same_id : int
        Answers that have the id of an earlier one.
    unshown : int
        Answers that state probabilities, for which the server counted far more tokens than it
        shows.
    named_by_id : int
        Records whose input is the id of their request, as the request is not at hand.
    joined : int
        Lines that are pieces of an answer which another line begins.
    warnings : list of str
        What the reader should see first.
    notes : list of str
        What was guessed, and what else there is to know.
    """

    source: str = field(default="", compare=False)
    format: str = ""
    lines: int = 0
    records: int = 0
    skipped: list[tuple[int, str, str]] = field(default_factory=list)
    censored: int = 0
    changed: dict[str, list[int]] = field(default_factory=dict)
    unstated_sampling: int = 0
    unknown_options: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    reasoned: int = 0
    merged: dict[str, dict[str, int]] = field(default_factory=dict)
    same_id: int = 0
    unshown: int = 0
    named_by_id: int = 0
    joined: int = 0
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def other_sampling(self) -> int:
        """Records whose labels do not follow the stated probabilities."""
        return sum(len(lines) for lines in self.changed.values())

    @property
    def unanswered(self) -> int:
        """Lines on which the teacher gave no label: refused, filtered, empty, cut off, a tool
        called.
        """
        return sum(outcome in ("refused", "no label") for _, outcome, _ in self.skipped)

    @property
    def unnamed_model(self) -> int:
        """Records that name no model, where others do."""
        return max(self.records - sum(self.models.values()), 0) if self.models else 0

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

    def note(self, text: str) -> None:
        """Take down a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def for_programs(self) -> dict[str, Any]:
        """Return the account as numbers and texts."""
        return {
            "source": self.source,
            "format": self.format,
            "lines": self.lines,
            "outcomes": self.outcomes,
            "records": self.records,
            "models": self.models,
            "changed": {why: sorted(set(lines)) for why, lines in self.changed.items()},
            "merged": self.merged,
            "warnings": self.warnings,
            "notes": [*self._counts(), *self.notes],
            "skipped": [
                {"line": line, "outcome": outcome, "reason": why}
                for line, outcome, why in self.skipped
            ],
        }

    def __repr__(self) -> str:
        parts = (
            ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.items()) or "empty"
        )
        lines, records = counted(self.lines, "line"), counted(self.records, "record")
        head = f"{self.source} ({self.format}): {lines}: {parts}; {records}"
        first = [f"line {line}: {outcome}: {reason}" for line, outcome, reason in self.skipped[:5]]
        more = [f"... and {len(self.skipped) - 5:,} more, see .frame"] if self.skipped[5:] else []
        return "\n  ".join([head, *self.warnings, *self._counts(), *self.notes, *first, *more])

    def _counts(self) -> list[str]:
        """What was counted, in words."""
        counts = (
            (
                self.joined,
                "line is a piece of an answer that another line begins: joined",
                "lines are pieces of answers that other lines begin: joined",
            ),
            (self.censored, "censored log-probability", "censored log-probabilities"),
            (
                self.reasoned,
                "answer follows reasoning: what it states holds given it, so that its label alone "
                "counts",
                "answers follow reasoning: what they state holds given it, so that their labels "
                "alone count",
            ),
            (
                self.unstated_sampling,
                "record that does not say how it was sampled",
                "records that do not say how they were sampled",
            ),
        )
        found = [counted(count, one, many) for count, one, many in counts if count]
        found += [
            f"{counted(len(lines), 'record')} {drawn(why, lines)}"
            for why, lines in self.changed.items()
        ]
        unknown = "which is not known: taken not to change the labels"
        found += [
            f"{counted(count, 'record sets', 'records set')} {name}, {unknown}"
            for name, count in self.unknown_options.items()
        ]
        for name, variants in self.merged.items():
            parts = ", ".join(
                f"{variant!r} ({times} sampled)" for variant, times in list(variants.items())[:8]
            )
            more = f" and {len(variants) - 8} more" if len(variants) > 8 else ""
            found.append(f"{parts}{more} count as {name!r}")
        return found


def drawn(why: str, lines: list[int]) -> str:
    """Return how records were drawn, and on which lines they stand."""
    return f"drawn under {why} ({numbered(lines)})"


def numbered(lines: list[int]) -> str:
    """Return "line 3" or "lines 3, 7, 9, ... 812"."""
    distinct = sorted(set(lines))
    if len(distinct) == 1:
        return f"line {distinct[0]}"
    if len(distinct) <= 4:
        return f"lines {', '.join(map(str, distinct))}"
    return f"lines {', '.join(map(str, distinct[:3]))}, ... {distinct[-1]}"


def shortened(name: str) -> str:
    """Return a name in quotes, cut where it is long."""
    return repr(name) if len(name) <= 60 else f"{name[:57]!r}..."
