"""Many small cases in one test, where pytest takes longer for a test of each than each takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from grids import name_of


def together(cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Run a check of all cases, tuples of arguments, in one test: all that fail are named."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    if not cases:
        raise ValueError("no cases: a test of none of them tests nothing")

    def of_all(check: Callable[..., None]) -> Callable[[], None]:
        def test() -> None:
            wrong = []
            for case in cases:
                try:
                    check(*case)
                except (Exception, pytest.fail.Exception) as error:
                    wrong.append(f"{name_of(case)}: {type(error).__name__}: {error}")
            assert not wrong, "\n".join([f"{len(wrong)} of {len(cases)} fail", *wrong])

        test.__name__, test.__doc__, test.__module__ = (
            check.__name__,
            check.__doc__,
            check.__module__,
        )
        return test

    return of_all
