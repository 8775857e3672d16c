"""Answers read as they come, until a copy of them is certified.

How many lines there are at each look depends on the wanted bound alone: ln(1/delta)/tv at the
first, as fewer sampled labels miss a share tv of others with probability delta, then `RATIO` times
as many at each. Look j = 1, 2, ... may fail with probability delta / (j (j + 1)), which over all
looks sums to delta. Of a fixed list half of delta goes to what holds at all times together, which
looks cost nothing, and half to the looks: the lesser of two bounds at each is valid, as all of them
together fail with probability delta.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kt_theory import machine
from kt_theory.sources import require_file
from kt_theory.students import Student
from kt_theory.transfer.certify.certificate import Certificate, certify
from kt_theory.transfer.certify.inputs import NotAtAllTimes
from kt_theory.transfer.fit import Copy, fit
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import shown, unit_interval

RATIO = 1.25
"""How many times as many lines there are at the next look."""


@dataclass(frozen=True)
class Stopped:
    """Where reading stopped.

    Attributes
    ----------
    copy : Copy
        Of the lines that were read.
    certificate : Certificate
        True whatever look it was that stopped. `copy.certificate()` is not: it takes the number of
        records for fixed.
    reached : bool
        Whether the bound is at most what was asked for; otherwise the lines came to their end.
    lines, looks : int
        How many lines were read, and how often the copy was looked at.
    """

    copy: Copy
    certificate: Certificate
    reached: bool
    lines: int
    looks: int

    @property
    def summary(self) -> str:
        """Where reading stopped, in a sentence."""
        if self.reached:
            return f"Certified after {self.lines:,} lines, at look {self.looks:,}: reading stopped."
        return f"Not certified: the lines ended after {self.lines:,}, at look {self.looks:,}."

    def for_programs(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {"reached": self.reached, "lines": self.lines, "looks": self.looks}

    def __str__(self) -> str:
        return f"{self.summary}\n{self.certificate}"


def fit_until(
    source: Any,
    tv: float,
    *,
    confidence: float = 0.95,
    student: str | Student | None = None,
    **reading: Any,
) -> Stopped:
    """Read answers as they come, and stop at the first look at which a copy is certified.

    No more lines are taken from the source than the look needs: a generator may ask the teacher for
    each. At a look all lines so far are read again, so that all looks together take about five
    times as long as one reading of the file.

    Parameters
    ----------
    source : path, or iterable of str, bytes or dict
        A record a line, as a server returned it, or {"input": ..., "label": ...}; the order must
        not depend on the answers.
    tv : float
        In (0, 1): the total variation distance that is to be certified.
    confidence : float
        In (0, 1), of all looks together.
    student : str or Student, optional
        As for `fit`.
    **reading
        As for `TransferSet.read`: design, weights, labels, other, ...

    Raises
    ------
    ValueError
        As `TransferSet.read` and `fit` do; if the source is a table or compressed, which is no list
        of lines, or gives no record.

    Examples
    --------
    >>> import itertools
    >>> answers = ({"input": "q", "label": label} for label in itertools.cycle(["yes", "no"]))
    >>> asked = {"design": "fixed", "weights": {"q": 1}, "labels": ["yes", "no"], "other": "none"}
    >>> found = fit_until(answers, tv=0.1, **asked)
    >>> found.reached, found.lines, round(found.certificate.bound, 3)
    (True, 363, 0.096)
    """
    wanted = unit_interval(tv, "tv")
    looks = _Looks(1.0 - unit_interval(confidence, "confidence"), student, reading)
    lines = seen = 0
    due = math.log(1.0 / looks.delta) / wanted
    name = "lines.jsonl"
    with machine.temporary_folder() as folder, (folder / name).open("wb") as file:
        for line in _lines(source):
            file.write(line.rstrip(b"\r\n") + b"\n")
            lines += 1
            if lines >= due:
                file.flush()
                bound = looks.at(folder / name)
                seen, due = lines, lines * RATIO
                if bound <= wanted:
                    break
        if lines > seen or looks.found is None:
            file.flush()
            looks.at(folder / name, last=True)
    assert looks.found is not None
    copy, certificate = looks.found
    return Stopped(copy, certificate, certificate.bound <= wanted, lines, looks.number)


@dataclass
class _Looks:
    """Looks at the lines so far: how many there were, and what the last one found."""

    delta: float
    student: str | Student | None
    reading: dict[str, Any]
    number: int = 0
    found: tuple[Copy, Certificate] | None = None

    def __post_init__(self) -> None:
        self.listed = self.reading.get("design") == "fixed"
        if self.listed and self.reading.get("weights") is None:
            raise ValueError(
                "design='fixed': give weights=..., as the list must be known before its answers "
                "come"
            )

    def at(self, path: Path, *, last: bool = False) -> float:
        """Return the bound of the lines of a file: 1 if they hold no records yet."""
        self.number += 1
        try:
            transfer = TransferSet.read(path, **self.reading)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), path.name)) from None
        if not len(transfer) and not last:
            return 1.0
        copy = fit(transfer, self.student)
        # One half of delta for all looks of a list, the other for what holds at all times.
        share = self.delta / (self.number * (self.number + 1.0) * (1 + self.listed))
        certificate = certify(copy, 1.0 - share)
        if self.listed:
            with suppress(NotAtAllTimes):
                always = certify(copy, 1.0 - 0.5 * self.delta, anytime=True)
                certificate = min(certificate, always, key=_bound_of)
        taken = (
            "the order of the answers does not depend on them, nor where they end, if they end "
            "before the bound is reached"
        )
        assumptions = (transfer.design.taken, *certificate.assumptions[1:], taken)
        certificate = replace(
            certificate, confidence=1.0 - self.delta, assumptions=assumptions, anytime=False
        )
        self.found = copy, certificate
        return certificate.bound


def _bound_of(certificate: Certificate) -> float:
    return certificate.bound


def _lines(source: Any) -> Iterator[bytes]:
    """The lines of a source that are not blank, one by one."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        require_file(path)
        if path.suffix not in LINES:
            raise ValueError(
                f"{path}: must be {', '.join(LINES)}, a record a line; kt.fit reads whole files"
            )
        with path.open("rb") as file:
            yield from filter(bytes.strip, file)
        return
    refused = ValueError(
        f"source is of type {type(source).__name__}: must be a path, or give lines one by one"
    )
    if isinstance(source, (bytes, Mapping)):
        raise refused
    try:
        given = iter(source)
    except TypeError:
        raise refused from None
    for number, line in enumerate(given, start=1):
        if isinstance(line, Mapping):
            line = _as_json(line, number)
        if isinstance(line, str):
            line = line.encode("utf-8", "surrogatepass")
        if not isinstance(line, bytes):
            raise ValueError(
                f"source: record {number} is {shown(line)}: must be a str, bytes or a dict"
            )
        if line.strip():
            yield line


def _as_json(record: Mapping[str, Any], number: int) -> str:
    try:
        return json.dumps(dict(record))
    except TypeError as error:
        raise ValueError(
            f"source: record {number} is no JSON ({error}): give texts and numbers"
        ) from None


LINES = (".jsonl", ".ndjson", ".txt")
"""Suffixes of files that have a record a line."""
