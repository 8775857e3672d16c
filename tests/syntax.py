"""The syntax trees of the package, which several tests walk: parsed once, and listed once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import kt_theory as kt

PACKAGE = Path(kt.__file__).parent


class Module(NamedTuple):
    """A file of the package.

    Attributes
    ----------
    place : Path
        Inside the package.
    source : str
    tree : ast.Module
    nodes : list of ast.AST
        All of the tree, in the order of `ast.walk`.
    """

    place: Path
    source: str
    tree: ast.Module
    nodes: list[ast.AST]

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders and the name, without its ending."""
        return self.place.with_suffix("").parts

    @property
    def name(self) -> str:
        """What it is imported as."""
        parts = ("kt_theory", *self.parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> list[Module]:
    """Return all modules, in the order of their names."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        found.append(Module(path.relative_to(PACKAGE), source, tree, list(ast.walk(tree))))
    return found


def nodes_of(tree: ast.Module) -> list[ast.AST]:
    """Return the nodes of a tree, of a module of the package without a walk."""
    return _listed().get(id(tree)) or list(ast.walk(tree))


@cache
def _listed() -> dict[int, list[ast.AST]]:
    """The nodes of each tree of `modules`, which keeps the trees so that no number is used again."""
    return {id(module.tree): module.nodes for module in modules()}
