"""Students that know the possible labels or equal inputs beforehand, and those of greedy and non-target answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access import ARGMAX, NON_TARGET
from kt_theory.students.core import NAMED, RowRule, Student, TableRule, _ce_sgl, as_students
from kt_theory.validation import numeric_array

_TOLERANCE = 1e-9


def _hedge(counts, revealed, out):
    labels = counts.size
    visits = counts.sum()
    spread = 0.0
    root = int(np.sqrt(labels - 1.0))
    for j in range(max(root, 1), min(root + 2, labels) + 1):
        spread = max(spread, (j - 1.0) * (labels - 1.0) / (j * (labels + j - 2.0)) if j > 1 else 0.0)
    for a in range(labels):
        if visits == 0:
            out[a] = 1.0 / labels
        else:
            out[a] = 1.0 - spread if counts[a] > 0 else spread / (labels - 1.0)


def _odds_or_frequencies(counts, revealed, out):
    visits = counts.sum()
    hidden = 0
    for a in range(counts.size):
        hidden += 1 if np.isnan(revealed[a]) else 0
    for a in range(counts.size):
        if visits == 0:
            out[a] = 1.0 / counts.size
        else:
            out[a] = counts[a] / visits if hidden > 0 else revealed[a]


_GREEDY = Student(
    "argmax",
    ARGMAX,
    RowRule(_ce_sgl),
    "the point mass on the greedy label; 1 - max p on a visited row, 1 - 1/A at worst",
    ("argmax", False),
)
_HEDGED = Student(
    "argmax_hedged",
    ARGMAX,
    RowRule(_hedge),
    "1 - V on the greedy label, V = max_j (j-1)(A-1) / (j(A+j-2)) in equal shares on the others; V at worst",
    ("argmax", True),
)
_NON_TARGET = Student(
    "non_target",
    NON_TARGET,
    RowRule(_odds_or_frequencies),
    "Zhao, Cui, Song, Qiu and Liang (2022), arXiv 2203.08679: the non-target part of decoupled distillation",
    ("non_target",),
)
# What they do is told where their levels' limits are: kt_theory.limits.greedy.argmax and kt_theory.limits.non_target.
NAMED.update({student.name: student for student in (_GREEDY, _HEDGED, _NON_TARGET)})


def masked(student: Student | str, mask: ArrayLike) -> Student:
    """Return `student` with the knowledge of which labels are possible at an input: A becomes their number k.

    It is the student itself on the teacher that has the possible labels alone, in every row: its risk is that of the
    k-label teacher, with k in place of A in every rate, and unvisited rows are uniform on the possible labels.

    A teacher that contradicts the mask is not refused: other labels get probability 0 and the rest is normalised, so
    that a visited row costs at least the teacher's mass outside the mask, a floor that no n removes; ce_ful pays just
    that. The exact risk is for teachers within the mask.

    Parameters
    ----------
    student : str or Student
        One with a row rule and without a prior: ce_sgl, sel_ptl, add_c, top_k, rounded, hinton, ...
    mask : (A,) or (S, A) array_like of bool
        True where a label is possible; at least one for each input.
    """
    base, possible = _row_student(student, "masked"), _possible(mask)
    inner, rows = base.rule.py_func, len(possible)

    def rule(counts, revealed, out):
        inputs, labels = counts.shape
        few_counts, few_revealed, few_out = np.empty(labels, np.int64), np.empty(labels), np.empty(labels)
        for s in range(inputs):
            at = s if rows > 1 else 0
            size = 0
            for a in range(labels):
                if possible[at, a]:
                    few_counts[size], few_revealed[size], few_out[size] = counts[s, a], revealed[s, a], np.nan
                    size += 1
            inner(few_counts[:size], few_revealed[:size], few_out[:size])
            mass = 0.0
            for i in range(size):
                mass += few_out[i]
            size = 0
            for a in range(labels):
                out[s, a] = 0.0
                if possible[at, a]:
                    out[s, a] = few_out[size]
                    size += 1
            # Where the teacher contradicts the mask, what is shown of the possible labels does not sum to 1.
            if not abs(mass - 1.0) <= _TOLERANCE:
                for a in range(labels):
                    if possible[at, a]:
                        out[s, a] = out[s, a] / mass if mass > 0.0 else 1.0 / size

    known = ("masked", base, possible) if base.exact else ()
    about, sizes = f"{base.reference}; possible labels", (rows if rows > 1 else None, possible.shape[1])
    return Student(f"{base.name} masked", base.access, TableRule(rule), about, known, sizes=sizes)


def grouped(student: Student | str, groups: ArrayLike) -> Student:
    """Return `student` with the knowledge of which inputs have equal rows: S becomes the number of groups K.

    The answers at all inputs of a group are pooled, and each of its inputs gets the row that the student makes of them:
    its risk is that of the teacher with one input for each group, of the group's whole probability, with K in place of
    S in every rate.

    A teacher that contradicts the groups is not refused: of hard labels a group gets the mean of its rows, weighted by
    the visits, and elsewhere what was shown of one of them, normalised; the distance of the rows from it is a floor
    that no n removes. The exact risk is for teachers whose rows are equal within groups.

    Parameters
    ----------
    student : str or Student
        One with a row rule and without a prior, whose level shows equal rows alike: without noise, unnormalised logits,
        non-target parts or a graph.
    groups : (S,) array_like of int
        The group of each input, any whole numbers.
    """
    base = _row_student(student, "grouped")
    level = base.access
    unnormalised = level.distortion is not None and level.distortion.kind == "unnormalised"
    if level.noise > 0.0 or unnormalised or level.non_target or level.graph is not None or level.everywhere:
        raise ValueError(f"student {base.name!r}: what access {level.name!r} shows at two equal rows cannot be pooled")
    given = numeric_array(groups, "groups", 1)
    if (given != np.rint(given)).any():
        raise ValueError(f"groups = {given[given != np.rint(given)][0]:g}: must be whole numbers")
    _, group = np.unique(given, return_inverse=True)
    inner, number = base.rule.py_func, int(group.max()) + 1

    def rule(counts, revealed, out):
        inputs, labels = counts.shape
        pooled, shown = np.zeros((number, labels), np.int64), np.full((number, labels), np.nan)
        for s in range(inputs):
            for a in range(labels):
                pooled[group[s], a] += counts[s, a]
                if np.isnan(shown[group[s], a]):
                    shown[group[s], a] = revealed[s, a]
        copies = np.full((number, labels), np.nan)
        for g in range(number):
            inner(pooled[g], shown[g], copies[g])
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

    known = ("grouped", base, group) if base.exact else ()
    about, sizes = f"{base.reference}; equal inputs pooled", (len(group), None)
    return Student(f"{base.name} grouped", level, TableRule(rule), about, known, sizes=sizes)


def _row_student(student: Any, what: str) -> Student:
    base, *others = as_students(student)
    if others or not isinstance(base.rule, RowRule) or base.prior is not None:
        raise ValueError(f"student {base.name!r}: {what} takes one student with a row rule and without a prior")
    return base


def _possible(mask: ArrayLike) -> np.ndarray:
    try:
        given = np.asarray(mask)
    except ValueError:
        raise ValueError("mask has rows of different lengths: must be bool, (labels,) or (inputs, labels)") from None
    if given.dtype != np.bool_ or given.ndim not in (1, 2) or not given.size:
        raise ValueError(f"mask has type {given.dtype} and shape {given.shape}: must be bool, (labels,) or (inputs, "
                         "labels)")  # fmt: skip
    table = np.array(np.atleast_2d(given), order="C")
    empty = np.flatnonzero(~table.any(axis=1))
    if len(empty):
        raise ValueError(f"mask row {empty[0]} allows no label: at least one must be possible")
    return table
