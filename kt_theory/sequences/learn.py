"""Learning a copy of a sequence teacher from its dump."""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.dumps import Dump
from kt_theory.ngrams import SMOOTHINGS, BackOff, learn, smoothing_named
from kt_theory.sequences.copy import SequenceCopy
from kt_theory.sequences.held_out import held_out_positions
from kt_theory.sequences.pooled import mean_rows
from kt_theory.sequences.positions import Positions
from kt_theory.validation import shown, unknown_name

MEAN_ROWS = "mean_rows"
"""The student that learns from the stated rows; all others learn from the tokens that follow."""

SEQUENCE_STUDENTS = (MEAN_ROWS, *SMOOTHINGS)
"""Students of `kt.fit` on a dump."""


def fit_dump(dump: Dump, student: Any = None, context: int | None = None) -> SequenceCopy:
    """Return a copy of a sequence teacher that sees the last h tokens.

    Parameters
    ----------
    dump : Dump
    student : str, optional
        `mean_rows` (the default) averages the stated rows of a context; `kneser_ney`,
        `modified_kneser_ney`, `absolute_discounting` and `good_turing` count the tokens that
        follow. All back off to shorter contexts.
    context : int, optional
        h, from 0 to 64; by default that of the dump.

    Raises
    ------
    ValueError
        For an unknown student, a context that nobody gives or no text is as long as, a dump without
        tokens or with a single position.
    """
    length = dump.reading.context if context is None else context
    if length is None:
        raise ValueError("context is missing: give the number of tokens that the copy sees")
    name = MEAN_ROWS if student is None else student
    if not isinstance(name, str):
        raise ValueError(
            f"student = {shown(name)}: of a dump it must be one of {', '.join(SEQUENCE_STUDENTS)}"
        )
    if name.split("(")[0] not in SEQUENCE_STUDENTS:
        raise unknown_name("student", name, SEQUENCE_STUDENTS)
    if name != MEAN_ROWS:
        smoothing_named(name, "student")
    positions = Positions.of(dump, length)
    held = held_out_positions(positions)
    return SequenceCopy(name, _learnt(name, positions, ~held), positions, held)


def _learnt(name: str, positions: Positions, learnt: np.ndarray) -> BackOff:
    if name == MEAN_ROWS:
        return mean_rows(positions, learnt)
    known = learnt & (positions.following >= 0)
    if not known.any():
        raise ValueError(
            f"student {name!r} learns from the tokens that follow: the dump has none; take "
            f"{MEAN_ROWS}"
        )
    return learn(positions.histories[known], positions.following[known], positions.labels, name)
