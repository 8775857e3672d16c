"""How the code is written: what the syntax trees must not hold, and that imports have no cycles."""

from __future__ import annotations

import ast

import networkx as nx
import pytest
from syntax import modules, nodes_of

NOT_YET: set[str] = set()
"""Rooms, or single modules of them, that do not keep the rules yet; the list only ever shrinks."""

MANY_PARAMETERS = {
    "kt_theory.minimax.minimax_risk",
    "kt_theory.planner.needed.samples_needed",
    "kt_theory.planner.sizes.plan",
    "kt_theory.planner.sizes.plans",
    "kt_theory.simulation.run.simulate",
    "kt_theory.students.student.__init__",
    "kt_theory.sweep.run.run",
    "kt_theory.transfer.sets.from_arrays",
    "kt_theory.transfer.sets.read",
}
"""The public verbs that take more than `MOST_PARAMETERS`."""

MOST_PARAMETERS = 7
MOST_CHARACTERS = 100

OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMED_TUPLES


def nested_conditionals(tree, module):
    for node in nodes_of(tree):
        if isinstance(node, ast.IfExp):
            inside = [part for part in ast.walk(node) if isinstance(part, ast.IfExp)]
            if len(inside) > 1:
                yield node.lineno, "a conditional expression holds another one"


def named_lambdas(tree, module):
    for node in nodes_of(tree):
        bound = isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr))
        if bound and isinstance(node.value, ast.Lambda):
            yield node.lineno, "a lambda is bound to a name: write a function"


def private_imports(tree, module):
    imported = set()
    for node in nodes_of(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kt_theory"):
            imported |= {alias.asname or alias.name for alias in node.names}
            for alias in node.names:
                if is_private(alias.name):
                    yield node.lineno, f"{alias.name} belongs to {node.module}"
    for node in nodes_of(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr):
            continue
        owner = ast.unparse(node.value)
        if owner in imported:
            yield node.lineno, f"{node.attr} belongs to {owner}"


def many_parameters(tree, module):
    for node in nodes_of(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if f"{module}.{node.name}" in MANY_PARAMETERS or any(map(is_command, node.decorator_list)):
            continue
        given = node.args
        names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        names += [each.arg for each in (given.vararg, given.kwarg) if each]
        number = len(names) - (names[:1] in (["self"], ["cls"]))
        if number > MOST_PARAMETERS:
            yield node.lineno, f"{node.name} takes {number} parameters"


def is_command(decorator):
    """Return whether a decorator makes a function a command of the command line."""
    made_by = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(made_by, ast.Attribute) and made_by.attr == "command"


CHECKS = [nested_conditionals, named_lambdas, private_imports, many_parameters]


def in_rooms(module, rooms):
    """Return whether a module is, or lies in, one of `rooms`."""
    parts = module.split(".")[1:]
    return bool(rooms & {".".join(parts[:1]), ".".join(parts[:2])})


@pytest.mark.parametrize("check", CHECKS)
def test_the_code_keeps_its_style(check):
    found = []
    for module in modules():
        free = check is many_parameters and in_rooms(module.name, {"kernels"})
        if not free and not in_rooms(module.name, NOT_YET):
            said = check(module.tree, module.name)
            found += [f"{module.name}:{n}: {what}" for n, what in said]
    assert not found, "\n".join(found)


def test_lines_are_short():
    found = []
    for module in modules():
        for number, line in enumerate(module.source.splitlines(), start=1):
            if len(line) > MOST_CHARACTERS and not in_rooms(module.name, NOT_YET):
                found.append(f"{module.name}:{number}: {len(line)} characters")
    assert not found, "\n".join(found)


def test_rooms_are_told_from_modules():
    assert in_rooms("kt_theory.a.b.c", {"a"})
    assert in_rooms("kt_theory.a.b", {"a.b"})
    assert in_rooms("kt_theory", {""})
    assert not in_rooms("kt_theory.a.c", {"a.b", "b", "c", ""})


@pytest.mark.parametrize(
    ("check", "wrong", "right"),
    [
        (nested_conditionals, "x = a if b else c if d else e", "x = a if b else c"),
        (nested_conditionals, "x = f(a if b else c) if d else e", "if a: x = b if c else d"),
        (named_lambdas, "f = lambda x: x", "g(lambda x: x)"),
        (named_lambdas, "f: object = lambda x: x", "f = sorted(a, key=lambda x: x)"),
        (private_imports, "from kt_theory.a import _b", "from kt_theory.a import b"),
        (private_imports, "from kt_theory import a\na._b()", "from kt_theory import a\na.b()"),
        (private_imports, "from kt_theory import a as c\nc._b", "import os\nos._exit(0)"),
        (many_parameters, "def f(a, b, c, d, *, e, f, g, h): pass", "def f(a, b, c, *d): pass"),
        (
            many_parameters,
            "def f(a, b, c, d, e, f, *g, **h): pass",
            "def f(self, a, b, c, d, e, f, g): pass",
        ),
        (
            many_parameters,
            "@cache\ndef f(a, b, c, d, e, f, g, h): pass",
            "@group.command()\ndef f(a, b, c, d, e, f, g, h): pass",
        ),
    ],
)
def test_the_checks_tell_right_from_wrong(check, wrong, right):
    assert list(check(ast.parse(wrong), "kt_theory.module"))
    assert not list(check(ast.parse(right), "kt_theory.module"))


# Imports, those inside functions too.


def run_time_nodes(tree):
    """Yield the nodes of a tree but for those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from run_time_nodes(node)


def import_graph(trees):
    """Return which module imports which: `trees` maps a module to its syntax tree."""
    graph = nx.DiGraph()
    for module, tree in trees.items():
        for node in run_time_nodes(tree):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [name if name in trees else node.module for name in inside]
            else:
                continue
            graph.add_edges_from((module, name) for name in named if name in trees)
    return graph


def cycles(trees):
    rings = nx.strongly_connected_components(import_graph(trees))
    return {frozenset(ring) for ring in rings if len(ring) > 1}


def test_modules_do_not_import_each_other():
    assert not cycles({module.name: module.tree for module in modules()})


def cycles_in(sources):
    return cycles({module: ast.parse(source) for module, source in sources.items()})


def test_a_cycle_is_found_inside_functions_but_not_among_types():
    lazy = {"a": "def f():\n    from b import g", "b": "import a"}
    assert cycles_in(lazy) == {frozenset({"a", "b"})}
    types = {"a": "if TYPE_CHECKING:\n    from b import g", "b": "import a"}
    assert cycles_in(types) == set()
    assert cycles_in({"p": "", "p.a": "from p import b", "p.b": "from p import a"}) == {
        frozenset({"p.a", "p.b"})
    }
