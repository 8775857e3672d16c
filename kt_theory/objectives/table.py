"""Objectives that need no parameter, by name, and what the others are called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kt_theory.objectives import sampled, top, whole
from kt_theory.objectives.objective import Objective, kinds
from kt_theory.validation import shown, unknown_name


def _made_by() -> dict[str, Callable[..., Objective]]:
    """Return the functions that make objectives, by name: those that say they return one."""
    made = {kind.__name__ for kind in kinds()}
    return {
        name: maker
        for module in (sampled, top, whole)
        for name, maker in vars(module).items()
        if inspect.isfunction(maker) and maker.__annotations__.get("return") in made
    }


def _needs(maker: Callable[..., Objective]) -> list[str]:
    """Return the parameters that have no default."""
    given = inspect.signature(maker).parameters.values()
    return [each.name for each in given if each.default is each.empty]


MAKERS: dict[str, Callable[..., Objective]] = _made_by()
"""What makes each objective, by name."""

NAMED: dict[str, Objective] = {name: maker() for name, maker in MAKERS.items() if not _needs(maker)}
"""Every objective that needs no parameter, by name."""


def as_objective(given: Any) -> Objective:
    """Return an `Objective`, or that of a name that needs no parameter.

    `kt_theory.catalogue.objective` reads names with parameters too.

    Raises
    ------
    ValueError
        For an unknown name, or one that needs a parameter, with the way out.
    """
    if isinstance(given, Objective):
        return given
    if not isinstance(given, str):
        raise ValueError(
            f"objective = {shown(given)}: must be a name or an objective of kt_theory.objectives"
        )
    if given in NAMED:
        return NAMED[given]
    maker = given.split("(")[0].strip()
    if maker in MAKERS:
        call = f"{maker}({', '.join(inspect.signature(MAKERS[maker]).parameters)})"
        raise ValueError(f"objective {given!r} needs a parameter: give kt_theory.objectives.{call}")
    raise unknown_name("objective", given, MAKERS)
