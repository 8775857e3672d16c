"""Calls of what is public, with arguments of the wrong type, size and order of magnitude."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kt_theory as kt
from attack.odd import OBJECTS, one_of
from kt_theory import access, compression, generations, graphs, queries, students, teachers

_TABLE = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
_TEACHER = kt.Teacher(_TABLE)
_TRANSFER = kt.TransferSet.from_arrays([0, 1, 1], [0, 2, 1], logprobs=np.log(_TABLE)[[0, 1, 1]])
_FEATURES = np.array([[0.0, 1.0], [1.0, 0.0]])

GOOD: dict[str, list[Any]] = {
    "inputs": [1, 2, 100],
    "labels": [2, 3, 25],
    "n": [0, 1, 10, 10**6],
    "access": ["hard", "partial", "soft", access.top_k(2)],
    "of": [access.SOFT, access.top_k(2)],
    "level": ["hard", "soft"],
    "teacher": [_TEACHER],
    "truth": [_TEACHER],
    "transfer": [_TRANSFER],
    "student": ["ce_sgl", "ce_ful", students.add_c(1.0)],
    "students": ["sel_ptl", ["ce_sgl", "ce_ptl"]],
    "repeats": [10],
    "seed": [0, 7],
    "tv": [0.1],
    "confidence": [None, 0.9],
    "delta": [0.1],
    "graph": [graphs.path(2), "cycle", None],
    "hops": [1, 2],
    "k": [None, 1, 2],
    "labels_per_query": [1, 2],
    "keep_losses": [False],
    "threads": [None, 1],
    "queries": [None, queries.iid()],
    "pi": [_TABLE],
    "rho": [None, [0.5, 0.5]],
    "q": [_TABLE, None],
    "p": [_TABLE],
    "table": [_TABLE],
    "features": [_FEATURES],
    "law": [queries.iid([0.5, 0.5])],
    "weights": [[0.5, 0.5]],
    "transitions": [[[0.5, 0.5], [0.5, 0.5]]],
    "start": [None, [0.5, 0.5]],
    "stages": [[("ce_sgl", 10)]],
    "path": ["nowhere.csv"],
    "progress": [False],
    "text": ["a text of some words, a text"],
    "order": [1, 2],
    "by": [None],
    "family": ["instance2"],
}
"""By the names of arguments: what serves."""


WITHIN = ("label_ranks", "refuse_too_little_access", "everything")
"""What the package itself alone calls."""


def callables() -> dict[str, Callable[..., Any]]:
    """Return what is attacked, by name."""
    found: dict[str, Callable[..., Any]] = {
        "Teacher": kt.Teacher,
        "Teacher.from_logits": kt.Teacher.from_logits,
        "Teacher.from_classes": kt.Teacher.from_classes,
        "TransferSet.from_arrays": kt.TransferSet.from_arrays,
        "Privileged": generations.Privileged,
        "Spec": kt.sweep.Spec,
        "load": kt.sweep.load,
        "status": kt.sweep.status,
    }
    for room in (kt, access, students, queries, teachers, graphs, compression, generations):
        for name in sorted(getattr(room, "__all__", None) or dir(room)):
            thing = getattr(room, name)
            here = str(getattr(thing, "__module__", "")).startswith(room.__name__)
            if name[0] != "_" and name not in WITHIN and here and inspect.isfunction(thing):
                found[f"{room.__name__}.{name}"] = thing
    return found


CALLABLES = callables()


def calls(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Call something, each argument being what serves or, of one or two, anything."""
    name = one_of(list(CALLABLES), rng)
    function = CALLABLES[name]
    keywords: dict[str, Any] = {}
    places: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            places = [one_of(OBJECTS, rng) for _ in range(int(rng.integers(3)))]
        elif parameter.kind is not parameter.VAR_KEYWORD:
            given = parameter.default is not parameter.empty
            if not given or rng.random() < 0.4:
                good = GOOD.get(parameter.name, [parameter.default] if given else OBJECTS)
                keywords[parameter.name] = one_of(good if rng.random() < 0.75 else OBJECTS, rng)
    try:
        function(*places, **keywords)
    except Exception as error:
        error.add_note(f"{name}(*{places!r}, **{keywords!r})"[:600])
        raise
    return None
