"""Kinds of levels are told apart inside `access` and `catalogue` alone: what the syntax trees say."""

from __future__ import annotations

import ast
from typing import get_type_hints

import pytest
from syntax import modules, nodes_of

from kt_theory.access import Access, Channel, Reach, Shows

HOME = {"access", "catalogue"}
"""Rooms that tell kinds apart: what a part is, and what belongs to each."""

PARTS = {name for name, kind in get_type_hints(Access).items() if kind in (Shows, Channel, Reach)}

FLAGS = {
    "amount",
    "distortion",
    "features",
    "graph",
    "greedy",
    "hops",
    "invertible",
    "kind",
    "noise",
    "non_target",
    "sampled",
}
"""What of a level was a flag of old, or would be one."""

LEVELS = {"access", "granted", "level", "needed", "plain"}
"""How variables that hold a level are called."""


def kinds(base):
    """Return the final classes of a part of levels."""
    found = [one for one in base.__subclasses__() if one.__module__.startswith("kt_theory.")]
    return set().union(found, *map(kinds, found))


CLASSES = {kind.__name__ for base in (Shows, Channel, Reach) for kind in kinds(base)}


def deciding(tree):
    """Yield every expression or pattern that decides which way a program goes."""
    for node in nodes_of(tree):
        if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert)):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.match_case):
            yield node.pattern
            yield from [node.guard] if node.guard else []
        elif isinstance(node, ast.BoolOp):
            yield from node.values[:-1]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            yield node


def kinds_read(tree):
    """Return (line, what) for everything that decides by the kind of a level."""
    found = set()
    for decision in deciding(tree):
        for node in ast.walk(decision):
            if isinstance(node, ast.Attribute):
                owner, name = ast.unparse(node.value), node.attr
                of_level = owner.split(".")[-1] in LEVELS
                if name in PARTS | CLASSES or (name in FLAGS and of_level):
                    found.add((node.lineno, f"{owner}.{name}"))
            elif isinstance(node, ast.Name) and node.id in CLASSES:
                found.add((node.lineno, node.id))
    return sorted(found)


def test_every_part_has_its_kinds():
    assert {"shows", "channel", "reach"} == PARTS
    assert {"TopK", "Rounded", "Ball"} < CLASSES
    assert len(CLASSES) >= 16


def test_no_kind_of_level_is_told_apart_elsewhere():
    found = []
    for module in modules():
        if module.place.parts[0] not in HOME:
            for line, what in kinds_read(module.tree):
                found.append(f"{module.place}:{line} decides by {what}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "if level.shows.top: pass",
        "x = 1 if student.access.channel == y else 2",
        "while granted.reach.alone: pass",
        "x = [one for one in levels if one.channel.undone]",
        "match level.shows:\n    case x: pass",
        "match part:\n    case TopK(k): pass",
        "match part:\n    case shows.TopK(k): pass",
        "match x:\n    case y if y.channel: pass",
        "x = isinstance(part, Rounded)",
        "x = level.channel and 1",
        "assert level.shows == other",
        "if student.access.sampled: pass",
        "if not level.greedy: pass",
    ],
)
def test_a_branch_on_a_kind_is_found(source):
    assert kinds_read(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "x = level.shows.top",
        "if self.sampled: pass",
        "if level.settled: pass",
        "x = [AsIs(), level.channel.fixed]",
        "if level.covers(other): pass",
        "match law:\n    case Iid(): pass",
    ],
)
def test_a_use_that_decides_nothing_is_free(source):
    assert not kinds_read(ast.parse(source))
