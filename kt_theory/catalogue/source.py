"""The source of one name in a module of one's own: what an edit of it changes, and what not.

What counts is the text of the top-level statements that bind the name, with their decorators and
comments, and, again and again, of those that bind a name which they use: in the same module, and in
the others of the same package or, of a module that stands alone, in single files beside it. Where a
module imports `*`, all of it counts. Libraries count by nothing, nor do files that a module reads.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import site
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WHOLE = "*"
"""In place of a name: the whole module."""


class NoSource(ValueError):
    """There is no text of a module to be found."""


@dataclass(frozen=True)
class _Statement:
    text: str
    binds: frozenset[str]
    uses: frozenset[str]
    imports: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Module:
    name: str
    statements: tuple[_Statement, ...]

    @property
    def opaque(self) -> bool:
        """Whether nobody can say from the text what its names are."""
        return any(name == WHOLE for each in self.statements for name in each.binds)

    def needed(self, name: str) -> Iterator[_Statement]:
        """Yield the statements that bind the name."""
        whole = name == WHOLE or self.opaque
        return (each for each in self.statements if whole or name in each.binds)


def digest(module: str, name: str) -> str:
    """Return the SHA-256 of the source of `name` in `module` and of what it uses.

    Raises
    ------
    NoSource
        If the module has no source file that can be read.
    """
    first = _file_of(module)
    if first is None:
        raise NoSource(f"{module} has no source file")
    folder = _folder_beside(module, first)
    read: dict[str, _Module | None] = {module: _read(module, first)}
    parts: set[tuple[str, str]] = set()
    waiting, seen = [(module, name)], set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        where, what = place
        if where not in read:
            read[where] = _own(where, module, folder)
        found = read[where]
        for statement in () if found is None else found.needed(what):
            parts.add((where, statement.text))
            waiting += [(where, used) for used in statement.uses]
            waiting += [_place(*imported, module) for imported in statement.imports]
    return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()


def _own(module: str, first: str, folder: Path | None) -> _Module | None:
    """Return a module that belongs to the first one, None for a library."""
    package = module.partition(".")[0] == first.partition(".")[0]
    if not package and (folder is None or "." in module):
        return None
    file = _file_of(module)
    if file is None or (not package and file.parent != folder):
        return None
    return _read(module, file)


def _folder_beside(module: str, file: Path) -> Path | None:
    """Return the folder of a module that stands alone, whose neighbours count; None of one that is
    installed or in a package.
    """
    installed = {Path(path) for path in [*site.getsitepackages(), site.getusersitepackages()]}
    installed |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    alone = "." not in module and file.name != "__init__.py"
    return file.parent if alone and file.parent not in installed else None


def _file_of(module: str) -> Path | None:
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return None
    return Path(found.origin)


def _place(module: str, name: str, first: str) -> tuple[str, str]:
    """Return what `from module import name` means: a name of it, or a module in the package."""
    inner = f"{module}.{name}"
    package = module.partition(".")[0] == first.partition(".")[0]
    if package and name != WHOLE and _file_of(inner) is not None:
        return inner, WHOLE
    return module, name


def _read(module: str, file: Path) -> _Module:
    try:
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body
    except (OSError, SyntaxError, ValueError) as error:
        raise NoSource(f"{file} cannot be read as Python: {error}") from None
    lines = text.splitlines()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _Module(module, tuple(_statement(node, lines, package) for node in body))


def _statement(node: ast.stmt, lines: list[str], package: str) -> _Statement:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    text = "\n".join(lines[first - 1 : node.end_lineno])
    uses = frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    return _Statement(text, frozenset(_bound(node)), uses, tuple(_imported(node, package)))


_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement binds, or whose value it may change."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.Expr):
        yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    else:
        yield from _stored(node)
        for inner in ast.walk(node):
            if isinstance(inner, _NAMED):
                yield from _bound(inner)


def _stored(node: ast.stmt) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            yield each.id
        elif isinstance(each, ast.Subscript | ast.Attribute) and isinstance(each.ctx, ast.Store):
            yield from (part.id for part in ast.walk(each.value) if isinstance(part, ast.Name))


def _imported(node: ast.stmt, package: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of what a statement imports."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from ((alias.name, WHOLE) for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            above = package.rsplit(".", each.level - 1)[0] if each.level else ""
            module = ".".join(part for part in (above, each.module or "") if part)
            yield from ((module, alias.name) for alias in each.names)
