"""A student: a rule with a name, the access level it needs, what is known of its risk, and where it
comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import Access, AccessError, as_access
from kt_theory.content import ByContent
from kt_theory.exact.risk import ExactRisk
from kt_theory.students.rules import RowRule, TableRule, row_rule
from kt_theory.students.sparse import ByRule, SparseFit
from kt_theory.validation import (
    LARGEST_COUNT,
    as_floats,
    distributions,
    in_unicode,
    numeric_array,
    shown,
)


@dataclass(frozen=True, eq=False)
class Student(ByContent):
    """A student on finite domains.

    Parameters
    ----------
    name : str
        Names its rows in result tables.
    access : Access or str
        The level it needs; it sees exactly what this level reveals, even where more is granted.
    rule : RowRule or TableRule
        See `row_rule` and `table_rule`. A plain function is wrapped as a row rule.
    reference : str
        Where it is defined.
    exact : ExactRisk, optional
        Its exact risk, if it has one: see `kt_theory.exact`.
    prior : (S, A) array_like, optional
        What the student believes before the first query, rows that sum to 1: its rule finds them in
        `out`, whose entries are NaN otherwise.
    sizes : (int or None, int or None)
        The inputs and labels that its knowledge is about, None where any number will do.
    sparse : SparseFit, optional
        How it is fitted to sparse records in closed form, if it can be: see
        `kt_theory.students.sparse`.
    """

    name: str
    access: Access
    rule: RowRule | TableRule
    reference: str = ""
    exact: ExactRisk | None = None
    prior: np.ndarray | None = None
    sizes: tuple[int | None, int | None] = (None, None)
    sparse: SparseFit | None = None

    if TYPE_CHECKING:  # what callers may give, which is more than what the fields hold

        def __init__(
            self,
            name: str,
            access: Access | str,
            rule: RowRule | TableRule | Callable[..., None],
            reference: str = "",
            exact: ExactRisk | None = None,
            prior: ArrayLike | None = None,
            sizes: tuple[int | None, int | None] = (None, None),
            sparse: SparseFit | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip()):
            raise ValueError(
                f"name = {shown(self.name)}: must be a word that names the student's rows in tables"
            )
        object.__setattr__(self, "name", in_unicode(self.name))
        object.__setattr__(self, "access", as_access(self.access))
        if not isinstance(self.rule, (RowRule, TableRule)):
            object.__setattr__(self, "rule", row_rule(self.rule))
        if self.prior is not None:
            object.__setattr__(self, "prior", distributions(self.prior, "prior", 2))

    @property
    def form(self) -> SparseFit:
        """How it is fitted to records: in closed form, or by its rule."""
        return self.sparse or ByRule(needs_labels=isinstance(self.rule, TableRule))

    def table(self, counts: ArrayLike, revealed: ArrayLike) -> np.ndarray:
        """Return the student's table (S, A) learnt from counts (S, A) and what was revealed (S, A),
        in plain Python.

        The counts are those that its access level shows, `access.seen_counts`.

        Raises
        ------
        ValueError
            If they are no whole numbers, or the shapes differ.
        """
        whole, seen = _arrays(counts, revealed)
        self.refuse_other_sizes(whole.shape)
        out = self.before(whole.shape)
        if isinstance(self.rule, TableRule):
            self.rule(whole, seen, out)
            return out
        for row_counts, row_shown, row_out in zip(whole, seen, out, strict=True):
            self.rule(row_counts, row_shown, row_out)
        return out

    def refuse_other_sizes(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if a teacher of this shape, (S, A), is not one that the student's
        knowledge is about.
        """
        for what, known, given in zip(("inputs", "labels"), self.sizes, shape, strict=True):
            if known not in (None, given):
                raise ValueError(
                    f"student {self.name!r}: what it knows is about {known} {what}: the teacher "
                    f"has {given}"
                )

    def before(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return what the rule finds in `out`: a copy of the prior, whose shape must be `shape` =
        (S, A), or NaN.
        """
        if self.prior is None:
            return np.full(shape, np.nan)
        if self.prior.shape != shape:
            raise ValueError(
                f"student {self.name!r}: prior has shape {self.prior.shape}: must be the teacher's "
                f"{shape}, "
                "one row for each input"
            )
        return self.prior.copy()

    def __repr__(self) -> str:
        return f"Student({self.name}, access={self.access.name})"


def _arrays(counts: ArrayLike, revealed: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    numbers = numeric_array(counts, "counts", 2)
    if ((numbers < 0) | (numbers > LARGEST_COUNT) | (numbers != np.floor(numbers))).any():
        raise ValueError("counts: entries must be whole numbers from 0 to 2^53")
    whole = numbers.astype(np.int64)
    seen = np.array(as_floats(revealed, "revealed"), order="C")
    if seen.shape != whole.shape:
        raise ValueError(
            f"revealed has shape {seen.shape}: counts has {whole.shape}, both are (inputs, labels)"
        )
    return whole, seen


def refuse_too_little_access(students: Iterable[Student], granted: Access) -> None:
    """Raise AccessError, naming both levels, if a student needs more than `granted` reveals."""
    for student in students:
        if not granted.covers(student.access):
            raise AccessError(
                f"student {student.name!r} needs access {student.access.name!r} "
                f"({student.access.description}), "
                f"but access {granted.name!r} is granted ({granted.description})"
            )
