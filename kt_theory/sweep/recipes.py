"""Teachers and students by recipe: a family and its parameters, cheap to hash and to send, built where needed."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from kt_theory import access, graphs, students, teachers
from kt_theory.students import NAMED, Student
from kt_theory.teacher import Teacher
from kt_theory.validation import unknown_name, whole_number

INSTANCES = ("instance0", "instance1", "instance2", "instance3")


def _table(file: str, kind: str | None = None, normalise: bool = False) -> Teacher:
    return teachers.from_table(file, kind=kind, normalise=normalise)


def _ngram(file: str, order: int, tokens: str = "char") -> Teacher:
    return teachers.ngram(Path(file).read_text(encoding="utf-8"), order, tokens)


FAMILIES: dict[str, Callable[..., Teacher]] = {
    **{name: getattr(teachers, name) for name in INSTANCES},
    **{name: getattr(teachers, name) for name in ("uniform", "deterministic", "dirichlet", "zipf", "log_linear")},
    "table": _table,
    "ngram": _ngram,
}
"""Every family that a specification may name; a table or a text comes with `file`."""


@cache
def parameters(family: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a family of teachers, n among them where the teacher moves with n."""
    if family not in FAMILIES:
        raise unknown_name("teacher family", family, FAMILIES)
    return inspect.signature(FAMILIES[family]).parameters


def kind_of(family: str, name: str) -> str:
    """Return what a parameter holds: "int", "float", "str" or "bool"."""
    return str(parameters(family)[name].annotation).split(" ")[0]


def typed(value: Any, kind: str, name: str) -> Any:
    """Return a parameter's value in its one canonical type, so that 1 and 1.0 give the same cell."""
    if kind == "int":
        return whole_number(value, name, high=2**64 - 1)
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if (kind == "str" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool)):
        return value
    raise ValueError(f"{name} = {value!r}: must be of type {kind}")


def teacher_recipe(family: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of a teacher: its family and every parameter, defaults filled in, a file by its content too."""
    recipe: dict[str, Any] = {"family": family}
    for name, parameter in parameters(family).items():
        if name not in given and parameter.default is parameter.empty:
            raise ValueError(f"teacher {family!r}: {name} is missing")
        value = given.get(name, parameter.default)
        recipe[name] = value if value is None else typed(value, kind_of(family, name), name)
    if "file" in recipe:
        recipe["content"] = _digest(recipe["file"])
    return recipe


def identity(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a recipe determines the result: a file counts by its content, not by its name."""
    return {name: value for name, value in recipe.items() if name != "file" or "content" not in recipe}


def build_teacher(recipe: Mapping[str, Any]) -> Teacher:
    """Return the teacher of a recipe.

    Raises
    ------
    ValueError
        What the family refuses; a file whose content is no longer what the recipe says.
    """
    given = {name: value for name, value in recipe.items() if name not in ("family", "content")}
    if "content" in recipe and _fresh_digest(recipe["file"]) != recipe["content"]:
        raise ValueError(f"{recipe['file']} has changed since the sweep was planned: run it again")
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


def _digest(file: str) -> str:
    facts = os.stat(file)
    return _known_digest(file, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@lru_cache(maxsize=256)
def _known_digest(file: str, *version: int) -> str:
    return _fresh_digest(file)


def _fresh_digest(file: str) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


GRAPHS: dict[str, Callable[[int], graphs.Graph]] = {
    "path": graphs.path,
    "cycle": graphs.cycle,
    "complete": graphs.complete,
}
"""Graphs on the inputs that need no size of their own, for `grad_ful`."""

_STUDENTS = {"top_k": {"k": "int"}, "add_c": {"c": "float"}, "grad_ful": {"graph": "str", "hops": "int"}}
_EXAMPLES = {"top_k": "top_k(5)", "add_c": "add_c(0.5)", "grad_ful": "grad_ful(path)"}


def _called(entry: str, known: Mapping[str, Mapping[str, str]], what: str) -> dict[str, Any]:
    """Return "top_k(5)" or "top_k(k=5)" as the table that it stands for."""
    name, _, rest = entry.strip().partition("(")
    name = name.strip()
    if name not in known:
        raise unknown_name(f"{what} with parameters", name, known)
    table: dict[str, Any] = {"name": name}
    for place, word in enumerate(rest.removesuffix(")").split(",")):
        key, named, value = (part.strip() for part in word.partition("="))
        if not named:
            key, value = next(iter([*known[name]][place:]), ""), key
        if not key or not value or key in table or not rest.endswith(")"):
            raise ValueError(
                f"{what} {entry!r}: must be like {_EXAMPLES[name]!r}, {', '.join(known[name])} in brackets"
            )
        table[key] = _number(value)
    return table


def _number(text: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text.strip("'\"")


def student_recipe(entry: Any) -> dict[str, Any]:
    """Return the recipe of a student: a name, "top_k(5)", or a table such as {name = "top_k", k = 5}."""
    if isinstance(entry, str) and "(" in entry:
        return student_recipe(_called(entry, _STUDENTS, "student"))
    if isinstance(entry, str):
        if entry in _STUDENTS:
            raise ValueError(f"student {entry!r} has parameters: write {_EXAMPLES[entry]!r}")
        if entry not in NAMED:
            raise unknown_name("student", entry, [*NAMED, *_STUDENTS])
        return {"name": entry}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError(f"students: {entry!r}: must be a name, or such as 'top_k(5)' or {{name = 'top_k', k = 5}}")
    name = entry["name"]
    if name not in _STUDENTS:
        if len(entry) > 1 and name in NAMED:
            raise ValueError(f"student {name!r} has no parameters: {', '.join(k for k in entry if k != 'name')}")
        return student_recipe(name)
    known = _STUDENTS[name]
    recipe: dict[str, Any] = {"name": name}
    for key in entry:
        if key != "name" and key not in known:
            raise unknown_name(f"key of student {name!r}", key, known)
    for key, kind in known.items():
        if key not in entry and key != "hops":
            raise ValueError(f"student {name!r}: {key} is missing")
        recipe[key] = typed(entry.get(key, 1), kind, key)
    if name == "grad_ful" and recipe["graph"] not in GRAPHS:
        raise unknown_name("graph", recipe["graph"], GRAPHS)
    return recipe


def build_student(recipe: Mapping[str, Any], inputs: int) -> Student:
    """Return the student of a recipe for a teacher with that many inputs."""
    if recipe["name"] == "grad_ful":
        return students.grad_ful(GRAPHS[recipe["graph"]](inputs), recipe["hops"])
    return _student(*recipe.values())


@lru_cache(maxsize=256)
def _student(name: str, *given: Any) -> Student:
    """Return the same object for the same recipe: a new row rule is compiled again, a second for each cell."""
    if name == "top_k":
        return students.top_k(*given)
    return students.add_c(*given) if name == "add_c" else NAMED[name]


def student_label(recipe: Mapping[str, Any]) -> str:
    """Return how tables call the student, such as "sel_ptl" or "top_k(5)"."""
    given = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in list(recipe.values())[1:])
    return f"{recipe['name']}({given})" if given else recipe["name"]


def student_access(recipe: Mapping[str, Any]) -> str:
    """Return the name of the access level that the student needs, such as "partial" or "top_k(5)"."""
    name = recipe["name"]
    if name == "grad_ful":
        return f"gradient({recipe['graph']}, {recipe['hops']})"
    return build_student(recipe, 1).access.name


def granted(entries: Any, recipe: Mapping[str, Any]) -> bool:
    """Return whether one of several access levels (names, "top_k(5)", {name = "top_k", k = 5}) serves the student."""
    if recipe["name"] == "grad_ful":
        return "gradient" in entries
    needed = build_student(recipe, 1).access
    return any(_level(entry).covers(needed) for entry in entries)


def _level(entry: Any) -> access.Access:
    if isinstance(entry, str) and "(" in entry:
        entry = _called(entry, {"top_k": {"k": "int"}}, "access")
    if isinstance(entry, Mapping):
        if set(entry) != {"name", "k"} or entry["name"] != "top_k":
            raise ValueError(f"access: {dict(entry)!r}: must be a name or 'top_k(5)'")
        return access.top_k(entry["k"])
    if not isinstance(entry, str):
        raise ValueError(f"access: {entry!r}: must be a name or 'top_k(5)'")
    return access.SOFT if entry == "gradient" else access.as_access(entry)


def teacher_label(family: str, given: Mapping[str, Any]) -> str:
    """Return how tables call a teacher: its family and what the specification says beside the sizes, n left alone."""
    shown = {name: value for name, value in given.items() if name not in ("inputs", "labels", "n")}
    if "file" in shown:
        shown["file"] = Path(shown["file"]).name
    inside = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"{family}({inside})" if inside else family
