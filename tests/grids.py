"""Grids of cases of which the quick suite takes a few, every value of every axis at least once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def few_quick(cases: Iterable[Any], quick: Iterable[Any]) -> list[Any]:
    """The cases as parameters, long but for those that are `quick`, which must be among them."""
    cases, quick = list(cases), list(quick)
    strangers = [case for case in quick if case not in cases]
    if strangers:
        raise ValueError(f"not among the cases: {strangers}")
    plain = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [
        pytest.param(*values, marks=() if case in quick else pytest.mark.long, id=name_of(case))
        for values, case in zip(plain, cases, strict=True)
    ]


def name_of(case: Any) -> str:
    """Return the name of a student or level, and what else there is as text."""
    if isinstance(case, tuple):
        return "-".join(map(name_of, case))
    return str(getattr(case, "name", None) or case)


def grid(*axes: Sequence[Any], quick: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The product of the axes as parameters, long but for `quick`, in which each value occurs."""
    quick = list(quick)
    for place, axis in enumerate(axes):
        missing = set(axis) - {case[place] for case in quick}
        if missing:
            raise ValueError(f"no quick case has {missing} in place {place}")
    return few_quick(itertools.product(*axes), quick)
