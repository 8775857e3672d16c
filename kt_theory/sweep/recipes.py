"""Teachers and students by recipe: a family and its parameters, cheap to hash and to send, built where needed."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
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
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{name} has {len(str(value))} digits: must be a number that float64 holds") from None
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

_OF = {"of": "level"}
_STUDENTS: dict[str, dict[str, str]] = {
    "top_k": {"k": "int"},
    "top_k_only": {"k": "int"},
    "add_c": {"c": "float"},
    "grad_ful": {"graph": "str", "hops": "int"},
    "tempered": {"tau": "float", "believed": "float", **_OF},
    "tempered_mle": {"tau": "float"},
    "rounded": {"step": "float", **_OF},
    "quantised": {"bits": "int", **_OF},
    "noisy": {"sigma": "float", **_OF},
    "logits": _OF,
    "hinton": {"alpha": "float", "temperature": "float"},
}
_OPTIONAL = {"hops", "believed", "of", "temperature"}
_LEVELS: dict[str, dict[str, str]] = {
    "top_k": {"k": "int"},
    "top_k_only": {"k": "int"},
    "temperature": {"tau": "float", **_OF},
    **{name: _STUDENTS[name] for name in ("rounded", "quantised", "noisy", "logits")},
}
_EXAMPLES = {
    **{"top_k": "top_k(5)", "top_k_only": "top_k_only(5)", "add_c": "add_c(0.5)", "grad_ful": "grad_ful(path)"},
    **{"tempered": "tempered(2)", "tempered_mle": "tempered_mle(2)", "temperature": "temperature(2)"},
    **{"rounded": "rounded(0.5)", "quantised": "quantised(4)", "noisy": "noisy(0.1)", "logits": "logits(partial)"},
    "hinton": "hinton(0.5, 2)",
}
_PRINTED = re.compile(r"(\w+)(?:\(([^()]*)\))? (\w+(?:\(\d+\))?)")
"""How tables print a level shown through a channel: "rounded(0.5) top_k(5)"."""


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
        if entry in _STUDENTS and not set(_STUDENTS[entry]) <= _OPTIONAL:
            raise ValueError(f"student {entry!r} has parameters: write {_EXAMPLES[entry]!r}")
        if entry not in NAMED and entry not in _STUDENTS:
            raise unknown_name("student", entry, [*NAMED, *_STUDENTS])
        return {"name": entry}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError(f"students: {entry!r}: must be a name, or such as 'top_k(5)' or {{name = 'top_k', k = 5}}")
    name = entry["name"]
    if name not in _STUDENTS:
        if len(entry) > 1 and name in NAMED:
            raise ValueError(f"student {name!r} has no parameters: {', '.join(k for k in entry if k != 'name')}")
        return student_recipe(name)
    recipe = _checked(entry, _STUDENTS[name], f"student {name!r}")
    if name == "grad_ful" and recipe["graph"] not in GRAPHS:
        raise unknown_name("graph", recipe["graph"], GRAPHS)
    if name != "grad_ful":
        build_student(recipe, 1)  # what the student refuses is said now
    return recipe


def _checked(entry: Mapping[str, Any], known: Mapping[str, str], what: str) -> dict[str, Any]:
    """Return the recipe in a table: every value in its type, and without what says no more than the default."""
    recipe: dict[str, Any] = {"name": entry["name"]}
    for key in entry:
        if key != "name" and key not in known:
            raise unknown_name(f"key of {what}", key, known)
    for key, kind in known.items():
        if key not in entry and key not in _OPTIONAL:
            raise ValueError(f"{what}: {key} is missing")
        if kind == "level":
            if key in entry and (base := level(entry[key])) is not access.SOFT:
                recipe[key] = base.name
        elif key in entry or key == "hops":
            recipe[key] = typed(entry.get(key, 1), kind, key)
    if recipe.get("temperature") == 1.0:
        del recipe["temperature"]
    return recipe


def build_student(recipe: Mapping[str, Any], inputs: int) -> Student:
    """Return the student of a recipe for a teacher with that many inputs."""
    if recipe["name"] == "grad_ful":
        return students.grad_ful(GRAPHS[recipe["graph"]](inputs), recipe["hops"])
    return _student(*recipe.items())


@lru_cache(maxsize=256)
def _student(*items: tuple[str, Any]) -> Student:
    """Return the same object for the same recipe: a new row rule is compiled again, a second for each cell."""
    given = dict(items)
    name = given.pop("name")
    if name in NAMED:
        return NAMED[name]
    if name == "top_k_only":
        return students.top_k(**given, sampled=False)
    if "of" in given:
        given["of"] = level(given["of"])
    student: Student = getattr(students, name)(**given)
    return student


def student_label(recipe: Mapping[str, Any]) -> str:
    """Return how tables call the student, such as "sel_ptl", "top_k(5)" or "rounded(0.5, partial)"."""
    name, keys = recipe["name"], [key for key in recipe if key != "name"]
    words = []
    for place, key in enumerate(keys):
        value = recipe[key]
        word = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(word if [*_STUDENTS[name]][place] == key else f"{key}={word}")
    return f"{name}({', '.join(words)})" if words else name


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
    return any(level(entry).covers(needed) for entry in entries)


def level(entry: Any) -> access.Access:
    """Return the access level of a name, of "top_k(5)", "rounded(0.5)" or "rounded(0.5) partial", or of a table."""
    if isinstance(entry, str) and (printed := _PRINTED.fullmatch(entry)):
        name, amount, base = printed.groups()
        entry = f"{name}({amount}, of={base})" if amount else f"{name}(of={base})"
    if isinstance(entry, str) and "(" in entry:
        entry = _called(entry, _LEVELS, "access")
    if isinstance(entry, Mapping):
        if not isinstance(entry.get("name"), str) or entry["name"] not in _LEVELS:
            raise ValueError(f"access: {dict(entry)!r}: must be a name, or such as 'top_k(5)' or 'rounded(0.5)'")
        given = _checked(entry, _LEVELS[entry["name"]], f"access {entry['name']!r}")
        name = given.pop("name")
        if name == "top_k_only":
            return access.top_k(given["k"], sampled=False)
        if "of" in given:
            given["of"] = level(given["of"])
        found: access.Access = getattr(access, name)(**given)
        return found
    if not isinstance(entry, str):
        raise ValueError(f"access: {entry!r}: must be a name, or such as 'top_k(5)' or 'rounded(0.5)'")
    if entry == "logits":
        return access.logits()
    return access.SOFT if entry == "gradient" else access.as_access(entry)


def teacher_label(family: str, given: Mapping[str, Any]) -> str:
    """Return how tables call a teacher: its family and what the specification says beside the sizes, n left alone."""
    shown = {name: value for name, value in given.items() if name not in ("inputs", "labels", "n")}
    if "file" in shown:
        shown["file"] = Path(shown["file"]).name
    inside = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"{family}({inside})" if inside else family
