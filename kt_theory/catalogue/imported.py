"""Students of one's own by the name that Python imports them by: "mypkg.rules:discounted(0.5)".

    name = module ":" attribute [ "(" arguments ")" ]

The attribute is a `Student`, or a function that returns one from the arguments: numbers, words and
names of files, which count by their content. The module is one on Python's path or, if there is
none, a file in the folder of the specification (of the command line and in Python: the folder that
one is in). Importing runs its code. A recipe holds the digest of the source (see
`kt_theory.catalogue.source`), which a worker that imports it compares.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from kt_theory.catalogue.files import digest as file_digest
from kt_theory.catalogue.files import names_file, refuse_changed
from kt_theory.catalogue.grammar import Call, write
from kt_theory.catalogue.source import NoSource, digest
from kt_theory.students import RowRule, Student, TableRule
from kt_theory.validation import shown, unknown_name

Recipe = Mapping[str, Any]

EXAMPLES = "'mypkg.rules:laplace' or 'mypkg.rules:discounted(0.5)'"

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_MARK = ":"
_ALLOWED: ContextVar[bool] = ContextVar("imports", default=True)
_SEEN: dict[str, tuple[Any, str]] = {}
_LOCK = threading.RLock()


def is_import(name: Any) -> bool:
    """Return whether a name is one to import: no name of the catalogue has a colon."""
    return isinstance(name, str) and _MARK in name


@contextmanager
def no_imports() -> Iterator[None]:
    """Refuse to import anything within: what is only looked at runs no code."""
    token = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def import_recipe(call: Call, folder: Path) -> dict[str, Any]:
    """Return the recipe of a student to import: name, arguments, the folder beside Python's path,
    and the digest of its source.

    Raises
    ------
    ValueError
        In one line: there is no such module, it cannot be imported, has no such name, or has no
        source; the arguments are not what the function takes.
    """
    name = call.name
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"student {shown(name)}: must be like {EXAMPLES}, a module, a colon and a name in it"
        )
    beside = str(folder.resolve())
    with _reachable(beside):
        thing, source = _found(name)
    if isinstance(thing, Student):
        if call.arguments:
            raise ValueError(f"student {write(call)!r} is a Student and no function: write {name}")
        arguments: list[list[Any]] = []
    else:
        given = [[key, _argument(key, value, name, folder)] for key, value in call.arguments]
        arguments = _in_order(thing, given, name)
    return {"name": name, "arguments": arguments, "source": source, "folder": beside}


def import_student(recipe: Recipe) -> Student:
    """Return the student of a recipe, called as tables print it.

    Raises
    ------
    ValueError
        What `import_recipe` raises; the source is no longer what the recipe says; the function
        raised, or returned no student.
    """
    printed = import_name(recipe)
    with _reachable(recipe["folder"]):
        thing, source = _found(recipe["name"])
        if source != recipe["source"]:
            raise ValueError(
                f"{recipe['name']} has changed since the sweep was planned: run it again"
            )
        if not isinstance(thing, Student):
            thing = _called(thing, recipe["arguments"], printed)
    return replace(thing, name=printed)


def import_name(recipe: Recipe) -> str:
    """Return how tables call a student that is imported: "mypkg.rules:discounted(0.5)"."""
    given = tuple((key, _word(value)) for key, value in recipe["arguments"])
    return write(Call(recipe["name"], given)) if given else str(recipe["name"])


def origin(recipe: Recipe) -> str:
    """Return in words from where a student, or the one that it is made of, is imported."""
    if not is_import(recipe["name"]):
        return origin(recipe["student"])
    module = recipe["name"].partition(_MARK)[0]
    with _reachable(recipe["folder"]):
        file = _imported(module, recipe["name"]).__file__
    return f"{import_name(recipe)}: imported from {file}, source {recipe['source'][:12]}"


@contextmanager
def _reachable(folder: str) -> Iterator[None]:
    """Put a folder behind Python's path, so that it hides nothing, for as long as it lasts."""
    with _LOCK:
        sys.path.append(folder)
        try:
            importlib.invalidate_caches()
            yield
        finally:
            for place in range(len(sys.path) - 1, -1, -1):
                if sys.path[place] == folder:
                    del sys.path[place]
                    break


def _found(name: str) -> tuple[Any, str]:
    """Return what a name means and the digest of its source."""
    module, _, attribute = name.partition(_MARK)
    loaded = _imported(module, name)
    if not hasattr(loaded, attribute):
        known = [word for word, value in vars(loaded).items() if _may_be_student(value, module)]
        raise unknown_name(f"name in {module}", attribute, known)
    thing = getattr(loaded, attribute)
    _refuse_other(thing, name)
    try:
        source = digest(module, attribute)
    except NoSource as error:
        raise ValueError(
            f"student {name!r}: {error}: a sweep knows an edit by the source; write it in a .py "
            "file"
        ) from None
    known_thing, known_source = _SEEN.setdefault(name, (thing, source))
    if known_thing is thing and known_source != source:
        raise ValueError(
            f"student {name!r}: its source has changed since this process imported it: start "
            f"Python again, or importlib.reload({module})"
        )
    _SEEN[name] = thing, source
    return thing, source


def _imported(module: str, name: str) -> Any:
    if not _ALLOWED.get():
        raise ValueError(f"student {name!r}: nothing is imported here: run the sweep again")
    if module == "__main__":
        raise ValueError(f"student {name!r}: workers have another __main__: write it in a module")
    loaded = sys.modules.get(module)
    if loaded is None and not _exists(module):
        raise ValueError(
            f"student {name!r}: there is no module {module!r} on Python's path or in "
            f"{sys.path[-1]}: set PYTHONPATH, or put its file there"
        )
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"student {name!r}: importing {module} raised {_said(error)}") from error
    _refuse_namesake(found, module, name)
    return found


def _exists(module: str) -> bool:
    """Return whether there is such a module; packages on the way to it are not imported."""
    top, *rest = module.split(".")
    found = importlib.util.find_spec(top)
    for part in rest:
        if found is None or found.submodule_search_locations is None:
            return False
        path = list(found.submodule_search_locations)
        found = importlib.machinery.PathFinder.find_spec(part, path)
    return found is not None


def _refuse_namesake(found: Any, module: str, name: str) -> None:
    """Refuse a module of another folder that this process has imported under the same name."""
    top = sys.modules[module.partition(".")[0]]
    here = importlib.machinery.PathFinder.find_spec(top.__name__, sys.path)
    file, other = getattr(top, "__file__", None), None if here is None else here.origin
    if None not in (file, other) and Path(str(file)).resolve() != Path(str(other)).resolve():
        raise ValueError(
            f"student {name!r}: this process has imported {top.__name__} from {file}, and here it "
            f"is {other}: start Python again, or give one of them another name"
        )


def _may_be_student(value: Any, module: str) -> bool:
    return isinstance(value, Student) or (
        inspect.isfunction(value) and value.__module__ == module and value.__name__[:1] != "_"
    )


def _refuse_other(thing: Any, name: str) -> None:
    if isinstance(thing, RowRule | TableRule):
        attribute = name.partition(_MARK)[2]
        raise ValueError(
            f"student {name!r} is a rule: name it and its level, kt.Student({attribute!r}, "
            f"access='hard', rule={attribute})"
        )
    if not isinstance(thing, Student) and not callable(thing):
        raise ValueError(
            f"student {name!r} is of type {type(thing).__name__}: must be a kt.Student, or a "
            "function that returns one"
        )


def _argument(key: str, value: Any, name: str, folder: Path) -> Any:
    if names_file(value):
        path = str(folder / value)
        return {"file": path, "content": file_digest(path)}
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        where = f"{key} = " if key else ""
        printed = write(value) if isinstance(value, Call) else shown(value)
        raise ValueError(
            f"student {name!r}: {where}{printed}: must be a number, a word or a file's name"
        )
    return value


def _in_order(function: Callable[..., Any], given: list[list[Any]], name: str) -> list[list[Any]]:
    """Return arguments in the order of the function, with a keyword only where one is left out
    before.
    """
    positional = [value for key, value in given if not key]
    keywords = {key: value for key, value in given if key}
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*positional, **keywords)
    except (TypeError, ValueError) as error:
        takes = ", ".join(_parameters(function))
        raise ValueError(f"student {name!r}: {error}: write {name}({takes})") from None
    parameters = signature.parameters
    if any(parameters[key].kind in _COLLECTING for key in bound.arguments):
        return given
    order, found = list(parameters), []
    for place, (key, value) in enumerate(bound.arguments.items()):
        alone = order[place] == key and parameters[key].kind != inspect.Parameter.KEYWORD_ONLY
        found.append(["" if alone else key, value])
    return found


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _called(function: Callable[..., Any], arguments: Any, printed: str) -> Student:
    positional = [_value(value) for key, value in arguments if not key]
    keywords = {key: _value(value) for key, value in arguments if key}
    try:
        made = function(*positional, **keywords)
    except Exception as error:
        raise ValueError(f"student {printed!r}: the function raised {_said(error)}") from error
    if not isinstance(made, Student):
        raise ValueError(
            f"student {printed!r}: the function returned a {type(made).__name__}: must be a "
            "kt.Student"
        )
    return made


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        refuse_changed(value)
        return value["file"]
    return value


def _word(value: Any) -> Any:
    return Path(value["file"]).name if isinstance(value, Mapping) else value


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
