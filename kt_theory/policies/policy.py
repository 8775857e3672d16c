"""A policy: what is kept of each row, and how its values are written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.policies.kept import Everything, Kept, Renormalised
from kt_theory.policies.values import FLOATS, Values
from kt_theory.validation import distributions

MOST_DRAWS = 2**31
"""Draws of a position, and of all visits of a context together."""


@dataclass(frozen=True)
class Policy:
    """What is stored of each position: `kt_theory.policies.policy` reads one from its name.

    Attributes
    ----------
    kept : Kept
    values : Values
    tau : float
        The temperature at which values are stored; a student undoes it.
    """

    kept: Kept
    values: Values = FLOATS
    tau: float = 1.0

    @property
    def name(self) -> str:
        """As tables call it: "renormalised(50) rounded(2)"."""
        tempered = "" if self.tau == 1.0 else f"temperature({self.tau:g})"
        written = [word for word in (tempered, self.values.name) if word]
        if self.kept == Everything() and written:
            return " ".join(written)
        return " ".join([self.kept.name, *written])

    @property
    def words(self) -> str:
        """In a sentence."""
        at = "" if self.tau == 1.0 else f", at temperature {self.tau:g}"
        coded = self.values.channel.description
        return f"{self.kept.words}{at}{', ' if coded else ''}{coded}"

    def refuse(self, labels: int) -> None:
        """Raise an error where no row of A labels can be stored so."""
        self.kept.refuse(labels)

    def bytes(self, labels: int, stored: float) -> float:
        """Return the bytes of a position of which so many labels are stored, of A."""
        fixed, each = self.kept.bytes(labels, self.values)
        return fixed + each * stored

    def copies(self, pi: ArrayLike) -> np.ndarray:
        """Return the rows that a student comes to who has what is stored of the teacher's.

        Parameters
        ----------
        pi : (S, A) array_like
            Rows sum to 1.

        Returns
        -------
        (S, A) array, rows sum to 1.

        Raises
        ------
        ValueError
            If labels are drawn: there is no one copy of a row.
        """
        rows = distributions(pi, "pi", 2)
        self.refuse(rows.shape[1])
        order = np.argsort(-rows, axis=1, kind="stable")
        falling = np.take_along_axis(rows, order, axis=1)
        found = np.empty_like(rows)
        np.put_along_axis(found, order, self.kept.weights(falling, self.values, self.tau), axis=1)
        return found

    def numbers(self, labels: int, visits: int) -> tuple[list[int], list[float]]:
        """Return what the kernel calls it, a row of its `what` and one of its `how`."""
        size, pooled, share = self.kept.sizes(visits)
        error = self.values.error(
            min(self.kept.most(labels) + 1, labels), self.tau, among_others=self.kept.among_others
        )
        what = [self.kept.number, size, self.values.number, pooled]
        return what, [share, *self.values.amounts, self.tau, error]


USUAL = Policy(Renormalised(50))
"""What people store most."""
