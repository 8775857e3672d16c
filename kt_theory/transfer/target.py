"""Whose distribution a copy is of: which labels there are, which variants count as one, and what
happens to others.

Variants are merged row by row, after what records state was gathered under the names that they use:
of a merged label the stated variants give a lower bound, as another variant may be hidden.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.content import ByContent
from kt_theory.delimited import lines_of, long_cells
from kt_theory.sources import read_utf8
from kt_theory.validation import entries_of, shown, unknown_name

OTHERS = ("keep", "pool", "condition", "none")
"""What becomes of labels that were not declared: they are labels; they count as one, `POOLED`; the
teacher is taken given that the label is declared; there are none, and a record that has one is
refused."""

POOLED = "<other>"
"""The label that has the mass of all that were not declared."""

FOLDS = ("strip", "casefold")
"""How variants of a label may be recognised: without spaces around, without case."""


@dataclass(frozen=True, eq=False)
class Target(ByContent):
    """The labels of a copy, and which label of the records counts as which.

    Attributes
    ----------
    names : tuple of str
        The labels: the declared ones first.
    of : (labels of the records,) int64
        The label of the copy that each label of the records counts as.
    whole : (labels of the copy,) bool
        No label of a teacher counts as it but the one of that name: what is stated of it is all of
        its probability.
    closed : bool
        There are no other labels.
    other : str
        One of `OTHERS`.
    declared : int
        How many of the names were declared; 0 if none.
    """

    names: tuple[str, ...]
    of: np.ndarray
    whole: np.ndarray
    closed: bool
    other: str = "keep"
    declared: int = 0

    @classmethod
    def plain(cls, names: Sequence[str], closed: bool) -> Target:
        """Return the target whose labels are those of the records."""
        count = len(names)
        return cls(
            tuple(names),
            np.arange(count),
            np.ones(count, dtype=bool),
            closed,
            "none" if closed else "keep",
        )

    @property
    def one_to_one(self) -> bool:
        """Whether every label of the records is a label of the copy by itself."""
        return bool(self.whole.all())

    @property
    def itself(self) -> Target:
        """The same target for records whose labels are in its order."""
        return replace(self, of=np.arange(len(self.names)))

    @property
    def merges(self) -> bool:
        """Whether labels of the records count as one label of the copy, or may."""
        return not self.one_to_one

    def __str__(self) -> str:
        if self.other == "pool":
            return (
                f"the teacher, all labels but the {self.declared} declared ones pooled in {POOLED}"
            )
        if self.other == "condition":
            return f"the teacher given that its label is one of the {self.declared} declared ones"
        if self.closed:
            return f"the teacher over the {len(self.names)} declared labels"
        return "the teacher over all of its labels"


def as_map(given: Any) -> dict[str, str]:
    """Return a map from variants to labels.

    Parameters
    ----------
    given : mapping, path or None
        {variant: label} or {label: [variants]}; or a file of JSON with one of these, or of CSV with
        two columns.
    """
    if given is None:
        return {}
    if isinstance(given, (str, Path)):
        given = _map_of_file(Path(given))
    if not isinstance(given, Mapping):
        raise ValueError(
            f"label_map is of type {type(given).__name__}: must map variants to labels, or be a "
            "file"
        )
    found: dict[str, str] = {}
    for name, value in given.items():
        pairs = (
            [(value, name)]
            if isinstance(value, str)
            else [(name, variant) for variant in _variants(name, value)]
        )
        for label, variant in pairs:
            if found.setdefault(variant, label) != label:
                raise ValueError(
                    f"label_map: {variant!r} counts as {found[variant]!r} and as {label!r}: "
                    "choose one"
                )
    for variant, label in found.items():
        if found.get(label, label) != label:
            raise ValueError(
                f"label_map: {variant!r} counts as {label!r}, which counts as {found[label]!r}: "
                "give the last at once"
            )
    return found


def _variants(name: str, value: Any) -> list[str]:
    if isinstance(value, (list, tuple)) and all(isinstance(variant, str) for variant in value):
        return list(value)
    raise ValueError(
        f"label_map: {shown(name)} is mapped to {shown(value)}: must be a label, or a list of "
        "variants"
    )


def _map_of_file(path: Path) -> Any:
    text = read_utf8(path, str(path))
    if path.suffix.lower() == ".csv":
        return _map_of_rows(path, text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON ({error}): must be an object of variants and labels, or a .csv "
            "file"
        ) from None


def _map_of_rows(path: Path, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    text_lines = lines_of(io.StringIO(text, newline=""), ",", f"{path} ")
    lines = csv.reader(text_lines, strict=True)
    try:
        with long_cells():
            for row in filter(None, lines):
                where = f"{path} line {lines.line_num}"
                if len(row) != 2:
                    raise ValueError(
                        f"{where}: {len(row)} cells; must be two, the variant and its label"
                    )
                variant, label = row
                if found.setdefault(variant, label) != label:
                    raise ValueError(
                        f"{where}: {shown(variant)} counts as {shown(found[variant])} and as "
                        f"{shown(label)}: choose one"
                    )
    except csv.Error as error:
        raise ValueError(f"{path} line {lines.line_num} is not CSV ({error})") from None
    return found


def as_folds(given: Any) -> tuple[str, ...]:
    """Return the names of folds, from a sequence of them or from text with commas."""
    if given is None:
        return ()
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",")]
    names = entries_of(given, "fold")
    for name in names:
        if not isinstance(name, str) or name not in FOLDS:
            raise unknown_name("fold", name, FOLDS)
    return tuple(names)


def folded(text: str, folds: Iterable[str]) -> str:
    """Return the text without what the folds take away.

    "strip" also takes the marks that tokenisers write for a space, U+0120 and U+2581, and for a
    line's end, U+010A.
    """
    for fold in folds:
        text = text.strip(_SPACES) if fold == "strip" else text.casefold()
    return text


_SPACES = " \t\r\n\f\v\u00a0\u0120\u2581\u010a\u200b"


def aim(
    names: Sequence[str],
    texts: Sequence[str],
    declared: Sequence[str] | None,
    other: str,
    label_map: Mapping[str, str],
    folds: tuple[str, ...],
) -> Target:
    """Return the target of records.

    Parameters
    ----------
    names, texts : sequence of str
        The labels of the records: what tells them apart, and how they read.
    declared : sequence of str, optional
    other : str
        One of `OTHERS`.
    label_map : mapping
        From variants to labels.
    folds : tuple of str
        Some of `FOLDS`.
    """
    if other not in OTHERS:
        raise unknown_name("other", other, OTHERS)
    if declared is None and other != "keep":
        raise ValueError(f"other = {shown(other)}: goes with labels=[...], the declared ones")
    if declared is not None and POOLED in declared:
        raise ValueError(f"labels: {POOLED!r} is the name of what is not declared; choose another")
    if declared is None and not label_map and not folds:
        return Target.plain(names, False)
    codes: dict[str, int] = {}
    for name in declared or ():
        codes[name] = len(codes)
    first = _canonical(codes, label_map, folds)
    pool = None
    if other in ("pool", "condition"):
        pool = len(codes)
        codes[POOLED] = pool
    of = np.zeros(len(names), dtype=np.int64)
    for place, (name, text) in enumerate(zip(names, texts, strict=True)):
        label = first(text)
        if label not in codes and label == text:
            # Labels that read alike and are not declared stay apart.
            label = name
        if label not in codes and pool is not None:
            of[place] = pool
            continue
        of[place] = codes.setdefault(label, len(codes))
    whole = np.full(len(codes), not folds)
    for label in label_map.values():
        if label in codes:
            whole[codes[label]] = False
    whole[np.bincount(of, minlength=len(codes)) > 1] = False
    if pool is not None:
        whole[pool] = False
    return Target(tuple(codes), of, whole, other != "keep", other, len(declared or ()))


def _canonical(
    declared: Mapping[str, int], label_map: Mapping[str, str], folds: tuple[str, ...]
) -> Callable[[str], str]:
    """What a label counts as: by the map, else the declared or mapped label that it folds to, else
    what it folds to.
    """
    by_fold: dict[str, str] = {folded(name, folds): name for name in label_map.values()}
    alike: dict[str, str] = {}
    for name in declared:
        first = alike.setdefault(folded(name, folds), name)
        if first != name:
            raise ValueError(
                f"labels: {first!r} and {name!r} are one label under fold={folds}: declare one of "
                "them"
            )
    by_fold |= alike

    def label(text: str) -> str:
        if text in declared:
            return text
        if text in label_map:
            return label_map[text]
        if not folds:
            return text
        short = folded(text, folds) or text
        return label_map.get(short, by_fold.get(short, short))

    return label


def variants(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the groups of labels that differ by spaces around and by case alone."""
    groups: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        groups.setdefault(folded(text, FOLDS), []).append(text)
    return [tuple(group) for group in groups.values() if len(group) > 1]
