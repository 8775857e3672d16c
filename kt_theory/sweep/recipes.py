"""Teachers by recipe: a family and its parameters, cheap to hash and to send, built where
needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from kt_theory import teachers
from kt_theory.catalogue import typed
from kt_theory.catalogue.files import digest, refuse_changed
from kt_theory.sources import require_file
from kt_theory.teacher import Teacher
from kt_theory.teachers import families
from kt_theory.validation import unknown_name

INSTANCES = ("instance0", "instance1", "instance2", "instance3")


def _table(file: str, kind: str | None = None, normalise: bool = False) -> Teacher:
    return teachers.from_table(file, kind=kind, normalise=normalise)


def _ngram(file: str, order: int, tokens: str = "char") -> Teacher:
    require_file(file)
    try:
        text = Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a UTF-8 text: byte {error.start}") from None
    return teachers.ngram(text, order, tokens)


FAMILIES: dict[str, Callable[..., Teacher]] = {
    **{name: getattr(teachers, name) for name in INSTANCES},
    **families.FAMILIES,
    "table": _table,
    "ngram": _ngram,
}
"""Every family that a specification may name; a table or a text comes with `file`."""


@cache
def parameters(family: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a family of teachers, n among them where the teacher moves with
    n."""
    if family not in FAMILIES:
        raise unknown_name("teacher family", family, FAMILIES)
    return inspect.signature(FAMILIES[family]).parameters


def kind_of(family: str, name: str) -> str:
    """Return what a parameter holds: "int", "float", "str" or "bool"."""
    return str(parameters(family)[name].annotation).split(" ")[0]


def teacher_recipe(family: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of a teacher: its family and every parameter, defaults filled in, a file by
    its content too."""
    recipe: dict[str, Any] = {"family": family}
    for name, parameter in parameters(family).items():
        if name not in given and parameter.default is parameter.empty:
            raise ValueError(f"teacher {family!r}: {name} is missing")
        value = given.get(name, parameter.default)
        recipe[name] = value if value is None else typed(value, kind_of(family, name), name)
    if "file" in recipe:
        recipe["content"] = digest(recipe["file"])
    return recipe


def build_teacher(recipe: Mapping[str, Any]) -> Teacher:
    """Return the teacher of a recipe.

    Raises
    ------
    ValueError
        What the family refuses; a file whose content is no longer what the recipe says.
    """
    given = {name: value for name, value in recipe.items() if name not in ("family", "content")}
    if "content" in recipe:
        refuse_changed(recipe)
    return FAMILIES[recipe["family"]](**given)


def shape(recipe: Mapping[str, Any]) -> tuple[int, int]:
    """Return (inputs, labels) of a recipe; a table or a text has to be read for it."""
    if "inputs" in recipe:
        return recipe["inputs"], recipe["labels"]
    return _file_shape(recipe["content"], tuple(recipe.items()))


@lru_cache(maxsize=256)
def _file_shape(content: str, items: tuple[tuple[str, Any], ...]) -> tuple[int, int]:
    teacher = build_teacher(dict(items))
    return teacher.inputs, teacher.labels


def teacher_label(family: str, given: Mapping[str, Any]) -> str:
    """Return how tables call a teacher: its family and what the specification says beside the
    sizes, n left alone."""
    shown = {name: value for name, value in given.items() if name not in ("inputs", "labels", "n")}
    if "file" in shown:
        shown["file"] = Path(shown["file"]).name
    inside = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"{family}({inside})" if inside else family
