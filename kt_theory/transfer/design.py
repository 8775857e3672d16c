"""How the inputs of records were chosen, which says what a certificate averages over and what is
random.

Drawn: inputs are draws of one law rho, which nobody knows. Fixed: a list of inputs with weights,
each asked as often as was decided before; nothing is unseen but what was not asked. Strata: groups
of inputs with known weights, so many draws in each.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from kt_theory.content import ByContent
from kt_theory.delimited import lines_of, long_cells
from kt_theory.sources import read_utf8, require_file
from kt_theory.transfer.account import shortened
from kt_theory.transfer.rows import Rows, left_over
from kt_theory.validation import refuse_no_text, shown, unknown_name

DESIGNS = ("drawn", "fixed", "strata")
"""What `TransferSet.read` calls the designs."""


@dataclass(frozen=True, eq=False)
class Parts(ByContent):
    """The parts of the inputs that a design weighs: all of them, each input, or each stratum.

    Attributes
    ----------
    weight : (U,) float64
        The weight of each part that has records.
    of : (R,) int64
        The part that each visited input belongs to.
    unasked : float
        The weight of parts without a record. With `weight` it sums to 1.
    """

    weight: np.ndarray
    of: np.ndarray
    unasked: float = 0.0

    def records(self, rows: Rows) -> np.ndarray:
        """Return how many records each part has: (U,)."""
        return np.bincount(self.of, weights=rows.queries, minlength=len(self.weight))

    def shares(self, rows: Rows) -> np.ndarray:
        """Return what each visited input counts for, its part's weight by records: (R,)."""
        return self.weight[self.of] * rows.queries / self.records(rows)[self.of]


class Design(ABC, ByContent):
    """How inputs were chosen.

    Attributes
    ----------
    name : str
        One of `DESIGNS`.
    average : str
        What the loss is averaged over.
    taken : str
        What is taken for granted of the choice.
    """

    name: str
    average: str
    taken: str

    @abstractmethod
    def parts(self, rows: Rows) -> Parts:
        """Return the parts of the visited inputs."""


@final
@dataclass(frozen=True, eq=False)
class Drawn(Design):
    """Inputs are draws of one law, which is not known."""

    name = "drawn"
    average = "the inputs as they were asked"
    taken = "records are independent draws of one input law and one teacher"

    def parts(self, rows: Rows) -> Parts:
        """Return one part, of all inputs."""
        return Parts(np.ones(1), np.zeros(len(rows.input), dtype=np.int64))


@final
@dataclass(frozen=True, eq=False)
class Fixed(Design):
    """A list of inputs, each with a weight, each asked as often as was decided without looking at
    answers.

    Attributes
    ----------
    weights : (inputs,) float64
        Of each input that has a name in the records, at least 0. Less than 1 in all where the list
        has others.
    given : bool
        Whether the weights were given; all are equal otherwise.
    """

    weights: np.ndarray
    given: bool = True
    name = "fixed"
    average = "the inputs of the list by their weights"

    @property
    def taken(self) -> str:  # type: ignore[override]
        """What is taken for granted of the choice."""
        equal = "" if self.given else ", the answered inputs are the list, and weigh the same"
        return (
            "the inputs, and how often each is asked, were chosen without looking at answers"
            f"{equal}; answers to an input are independent draws of one teacher"
        )

    def parts(self, rows: Rows) -> Parts:
        """Return a part for each visited input."""
        weight = _counted(self.weights[rows.input])
        return Parts(weight, np.arange(len(weight)), float(left_over(weight.sum())))


@final
@dataclass(frozen=True, eq=False)
class Strata(Design):
    """Groups of inputs with known weights; of each so many inputs were drawn as was decided before.

    Attributes
    ----------
    weights : (H,) float64
        Of each stratum, at least 0; they sum to 1.
    of : (inputs,) int64
        The stratum of each input that has a name in the records.
    """

    weights: np.ndarray
    of: np.ndarray
    name = "strata"
    average = "the strata by their weights"
    taken = (
        "how many inputs of each stratum are asked was chosen without looking at answers; within "
        "one, records are independent draws of one input law and one teacher"
    )

    def parts(self, rows: Rows) -> Parts:
        """Return a part for each stratum that has records."""
        visited, part = np.unique(self.of[rows.input], return_inverse=True)
        weight = _counted(self.weights[visited])
        return Parts(weight, part, float(left_over(weight.sum())))


def _counted(weight: np.ndarray) -> np.ndarray:
    """Weights that are rounding count as unasked: squares of the others are finite."""
    return np.where(weight < 1e-12, 0.0, weight)


AnyDesign = Drawn | Fixed | Strata

DRAWN = Drawn()


@dataclass(frozen=True)
class Choice:
    """What was said of a design, before the inputs of the records are known.

    Attributes
    ----------
    name : str
    weights : dict of str to float, or None
    strata : dict of str to str, or None
    """

    name: str = "drawn"
    weights: Mapping[str, float] | None = None
    strata: Mapping[str, str] | None = None

    @classmethod
    def of(cls, design: str, weights: Any, strata: Any) -> Choice:
        """Return the choice that arguments name.

        Parameters
        ----------
        design : str
            One of `DESIGNS`.
        weights : mapping or path, optional
            Of a list: {input: weight}, equal by default. Of strata: {stratum: weight}.
        strata : mapping or path, optional
            {input: stratum}.

        Raises
        ------
        ValueError
            Naming the argument, what is wrong with it, and a way out.
        """
        refuse_no_text(design=design)
        if design not in DESIGNS:
            raise unknown_name("design", design, DESIGNS)
        if weights is not None and design == "drawn":
            raise ValueError(
                "weights: go with design='fixed' or design='strata'; leave them out for drawn "
                "inputs, whose law is not known"
            )
        if strata is not None and design != "strata":
            raise ValueError(f"strata: go with design='strata', not with {shown(design)}")
        if design == "strata" and (strata is None or weights is None):
            raise ValueError(
                "design='strata': goes with strata=..., the stratum of each input, and "
                "weights=..., the weight of each stratum"
            )
        found = None if weights is None else _weights(_pairs(weights, "weights"))
        groups = None if strata is None else _groups(_pairs(strata, "strata"))
        return cls(design, found, groups)

    def designed(self, names: Sequence[str]) -> AnyDesign:
        """Return the design of records with these inputs."""
        if self.strata is not None and self.weights is not None:
            return _strata(self.strata, self.weights, names)
        if self.name == "fixed":
            return _fixed(self.weights, names)
        return DRAWN


def _fixed(weights: Mapping[str, float] | None, names: Sequence[str]) -> Fixed:
    if weights is None:
        return Fixed(np.full(len(names), 1.0 / max(len(names), 1)), given=False)
    missing = [name for name in names if name not in weights]
    if missing:
        raise ValueError(
            f"weights: input {shortened(missing[0])} was asked and has no weight, as "
            f"{len(missing)} of {len(names)} inputs; give each one, 0 if it does not count"
        )
    listed = np.array([weights[name] for name in names])
    return Fixed(listed)


def _strata(
    groups: Mapping[str, str], weights: Mapping[str, float], names: Sequence[str]
) -> Strata:
    missing = [name for name in names if name not in groups]
    if missing:
        raise ValueError(
            f"strata: input {shortened(missing[0])} was asked and is in no stratum, as "
            f"{len(missing)} of {len(names)} inputs; name the stratum of each"
        )
    places = {name: place for place, name in enumerate(weights)}
    for group in groups.values():
        if group not in places:
            raise ValueError(
                f"weights: stratum {shortened(group)} has no weight; give each one, 0 if it does "
                "not count"
            )
    of = np.array([places[groups[name]] for name in names], dtype=np.int64)
    return Strata(np.array(list(weights.values())), of)


def _weights(pairs: list[tuple[str, Any]]) -> dict[str, float]:
    """Weights that sum to 1."""
    found: dict[str, float] = {}
    for name, value in pairs:
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not 0.0 <= number < float("inf"):
            raise ValueError(
                f"weights: {shortened(name)} has the weight {shown(value)}: must be a finite "
                "number of at least 0"
            )
        found[name] = number
    largest = max(found.values(), default=0.0)
    if largest == 0.0:
        raise ValueError("weights sum to 0: give at least one input or stratum a weight above 0")
    # Relative to the largest: sums of huge weights are not finite.
    total = sum(value / largest for value in found.values())
    return {name: value / largest / total for name, value in found.items()}


def _groups(pairs: list[tuple[str, Any]]) -> dict[str, str]:
    for name, value in pairs:
        if isinstance(value, (dict, list)) or value is None:
            raise ValueError(
                f"strata: {shortened(name)} is in {shown(value)}: must be the name of a stratum"
            )
    return {name: str(value) for name, value in pairs}


def _pairs(given: Any, name: str) -> list[tuple[str, Any]]:
    """The names and values of a mapping, or of a file: JSON, an object; .csv, two columns."""
    where = name
    if isinstance(given, (str, Path)):
        path = Path(given)
        require_file(path)
        where = f"{name}: {path}"
        pairs = _pairs_of_file(path, where)
    elif isinstance(given, Mapping):
        pairs = [(str(key), value) for key, value in given.items()]
    else:
        raise ValueError(
            f"{name} is of type {type(given).__name__}: must be a mapping, or a file of one, .json "
            "or .csv"
        )
    known: set[str] = set()
    for key, _ in pairs:
        if key in known:
            raise ValueError(f"{where} names {shortened(key)} twice: give each one once")
        known.add(key)
    return pairs


def _pairs_of_file(path: Path, where: str) -> list[tuple[str, Any]]:
    text = read_utf8(path, where)
    if path.suffix.lower() == ".csv":
        return _pairs_of_rows(text, where)
    try:
        found = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where} is not JSON ({error}): must be an object, or a .csv file of two columns"
        ) from None
    if not isinstance(found, _Object):
        raise ValueError(f"{where} holds no object: must be {{name: value, ...}}")
    return list(found)


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name which stands there twice is found."""


_HEADS = ({"input", "weight"}, {"stratum", "weight"}, {"input", "stratum"})
"""First lines of a table that name its columns."""


def _pairs_of_rows(text: str, where: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    text_lines = lines_of(io.StringIO(text, newline=""), ",", f"{where} ")
    lines = csv.reader(text_lines, strict=True)
    try:
        with long_cells():
            for row in filter(None, lines):
                if len(row) != 2:
                    raise ValueError(
                        f"{where} line {lines.line_num}: {len(row)} cells; must be two"
                    )
                if lines.line_num > 1 or {cell.strip().lower() for cell in row} not in _HEADS:
                    pairs.append((row[0], row[1]))
    except csv.Error as error:
        raise ValueError(f"{where} line {lines.line_num} is not CSV ({error})") from None
    return pairs
