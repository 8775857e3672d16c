"""Students that know something beforehand: which labels are possible, or which inputs have equal
rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.exact.informed import Grouped, Masked
from kt_theory.exact.risk import RowRisk
from kt_theory.students.named import as_students
from kt_theory.students.rules import Function, RowRule, TableRule
from kt_theory.students.student import Student
from kt_theory.validation import numeric_array

_TOLERANCE = 1e-9


def masked(student: Student | str, mask: ArrayLike) -> Student:
    """Return `student` with the knowledge of which labels are possible at an input: A becomes their
    number k.

    It is the student itself on the teacher that has the possible labels alone, in every row: its
    risk is that of the k-label teacher, with k in place of A in every rate, and unvisited rows are
    uniform on the possible labels.

    A teacher that contradicts the mask is not refused: other labels get probability 0 and the rest
    is normalised, so that a visited row costs at least the teacher's mass outside the mask, a floor
    that no n removes; ce_ful pays just that. The exact risk is for teachers within the mask.

    Parameters
    ----------
    student : str or Student
        One with a row rule and without a prior: ce_sgl, sel_ptl, add_c, top_k, rounded, hinton, ...
    mask : (A,) or (S, A) array_like of bool
        True where a label is possible; at least one for each input.
    """
    base = _row_student(student, "masked")
    possible = _possible(mask)
    rows = len(possible)
    name = f"{base.name} masked"
    exact = Masked(base.exact, possible, name) if isinstance(base.exact, RowRisk) else None
    sizes = (rows if rows > 1 else None, possible.shape[1])
    reference = f"{base.reference}; possible labels"
    rule = TableRule(_on_possible_labels, [rows, *possible.ravel()], base.rule)
    return Student(name, base.access, rule, reference, exact, sizes=sizes)


def grouped(student: Student | str, groups: ArrayLike) -> Student:
    """Return `student` with the knowledge of which inputs have equal rows: S becomes the number of
    groups K.

    The answers at all inputs of a group are pooled, and each of its inputs gets the row that the
    student makes of them: its risk is that of the teacher with one input for each group, of the
    group's whole probability, with K in place of S in every rate.

    A teacher that contradicts the groups is not refused: of hard labels a group gets the mean of
    its rows, weighted by the visits, and elsewhere what was shown of one of them, normalised; the
    distance of the rows from it is a floor that no n removes. The exact risk is for teachers whose
    rows are equal within groups.

    Parameters
    ----------
    student : str or Student
        One with a row rule and without a prior, whose level shows equal rows alike: without noise,
        unnormalised logits, non-target parts or a graph.
    groups : (S,) array_like of int
        The group of each input, any whole numbers.
    """
    base = _row_student(student, "grouped")
    level = base.access
    if not level.alike:
        raise ValueError(
            f"student {base.name!r}: what access {level.name!r} shows at two equal rows cannot be "
            "pooled"
        )
    given = numeric_array(groups, "groups", 1)
    if (given != np.rint(given)).any():
        raise ValueError(f"groups = {given[given != np.rint(given)][0]:g}: must be whole numbers")
    _, group = np.unique(given, return_inverse=True)
    number = group.max() + 1
    name = f"{base.name} grouped"
    exact = Grouped(base.exact, group, name) if base.exact else None
    reference = f"{base.reference}; equal inputs pooled"
    rule = TableRule(_on_groups, [number, *group], base.rule)
    return Student(name, level, rule, reference, exact, sizes=(len(group), None))


def _on_possible_labels(inner: Function) -> Function:
    """Return the rule of `masked`; its parameters: rows of the mask, the mask, those of `inner`."""

    def rule(counts, revealed, out, parameters):
        inputs, labels = counts.shape
        rows = int(parameters[0])
        possible = parameters[1 : 1 + rows * labels].reshape(rows, labels)
        own = parameters[1 + rows * labels :]
        few_counts = np.empty(labels, np.int64)
        few_revealed = np.empty(labels)
        few_out = np.empty(labels)
        for s in range(inputs):
            at = s if rows > 1 else 0
            size = 0
            for a in range(labels):
                if possible[at, a] > 0.0:
                    few_counts[size] = counts[s, a]
                    few_revealed[size] = revealed[s, a]
                    few_out[size] = np.nan
                    size += 1
            inner(few_counts[:size], few_revealed[:size], few_out[:size], own)
            mass = 0.0
            for i in range(size):
                mass += few_out[i]
            size = 0
            for a in range(labels):
                out[s, a] = 0.0
                if possible[at, a] > 0.0:
                    out[s, a] = few_out[size]
                    size += 1
            # Where the teacher contradicts the mask, what is shown of the possible labels does not
            # sum to 1.
            if not abs(mass - 1.0) <= _TOLERANCE:
                for a in range(labels):
                    if possible[at, a] > 0.0:
                        out[s, a] = out[s, a] / mass if mass > 0.0 else 1.0 / size

    return rule


def _on_groups(inner: Function) -> Function:
    """Return the rule of `grouped`; its parameters: how many groups, that of each input, those of
    `inner`.
    """

    def rule(counts, revealed, out, parameters):
        inputs, labels = counts.shape
        number = int(parameters[0])
        group = parameters[1 : 1 + inputs].astype(np.int64)
        own = parameters[1 + inputs :]
        pooled = np.zeros((number, labels), np.int64)
        shown = np.full((number, labels), np.nan)
        for s in range(inputs):
            for a in range(labels):
                pooled[group[s], a] += counts[s, a]
                if np.isnan(shown[group[s], a]):
                    shown[group[s], a] = revealed[s, a]
        copies = np.full((number, labels), np.nan)
        for g in range(number):
            inner(pooled[g], shown[g], copies[g], own)
            mass = 0.0
            for a in range(labels):
                mass += copies[g, a]
            # Where rows differ within a group, what is shown of them need not sum to 1.
            if abs(mass - 1.0) > _TOLERANCE and mass > 0.0:
                for a in range(labels):
                    copies[g, a] /= mass
        for s in range(inputs):
            for a in range(labels):
                out[s, a] = copies[group[s], a]

    return rule


def _row_student(student: Any, what: str) -> Student:
    base, *others = as_students(student)
    if others or not isinstance(base.rule, RowRule) or base.prior is not None:
        raise ValueError(
            f"student {base.name!r}: {what} takes one student with a row rule and without a prior"
        )
    return base


def _possible(mask: ArrayLike) -> np.ndarray:
    try:
        given = np.asarray(mask)
    except ValueError:
        raise ValueError(
            "mask has rows of different lengths: must be bool, (labels,) or (inputs, labels)"
        ) from None
    if given.dtype != np.bool_ or given.ndim not in (1, 2) or not given.size:
        raise ValueError(
            f"mask has type {given.dtype} and shape {given.shape}: must be bool, (labels,) or "
            "(inputs, labels)"
        )
    table = np.array(np.atleast_2d(given), order="C")
    empty = np.flatnonzero(~table.any(axis=1))
    if len(empty):
        raise ValueError(f"mask row {empty[0]} allows no label: at least one must be possible")
    return table
