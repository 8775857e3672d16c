"""The access levels that the planner knows: by name, in words as tables print them, or as `Access` objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kt_theory import access as levels_of_access
from kt_theory.access import Access
from kt_theory.graphs import Graph, as_graph
from kt_theory.limits import argmax, greedy, minimax
from kt_theory.teacher import Teacher
from kt_theory.validation import unknown_name, whole_number

NAMES = (*minimax.LEVELS, *minimax.OTHERS)
"""The access levels by name; top_k_only shows the k most probable labels, whatever was sampled."""


@dataclass(frozen=True)
class Level:
    """An access level at its size.

    Attributes
    ----------
    access : str
        One of `NAMES`, or "jacobian": without the channel, if there is one.
    name : str
    inputs, labels : int
    k : int
        For top-k.
    graph, hops, alpha
        For gradients; `alpha` (lower, upper) is the independence number of the graph's power.
    times : int
        Labels per query.
    given : Access or None
        Where its answers are distorted, or its queries reveal all rows, the level itself.
    """

    access: str
    name: str
    inputs: int
    labels: int
    k: int = 0
    graph: Graph | None = None
    hops: int = 0
    alpha: tuple[int, int] = (0, 0)
    times: int = 1
    given: Access | None = None

    @property
    def whole_rows(self) -> bool:
        """Whether one query of a row reveals all of it, so that the limit is that of soft labels."""
        if self.distorted:
            return False
        few = self.access in ("partial", "top_k") and self.labels <= 2
        return self.access in ("soft", "jacobian") or few or (bool(self.k) and self.k >= self.labels - 1)

    @property
    def shows_whole_rows(self) -> bool:
        """Whether an answer has all labels of its row, perhaps distorted."""
        return self.access == "soft" or self.k >= self.labels

    @property
    def distorted(self) -> bool:
        """Whether a channel or noise stands between student and teacher that whole rows do not undo."""
        if self.given is None or self.given.everywhere:
            return False
        channel = self.given.distortion
        return not (self.shows_whole_rows and channel is not None and channel.invertible)

    @property
    def greedy(self) -> bool:
        """Whether no label is sampled, so that hard labels are less than what the level shows only in part."""
        return self.access == "argmax" or (self.access == "top_k_only" and self.k < self.labels)

    @property
    def tail_floor(self) -> float:
        """What greedy answers without a channel leave unknown in the worst case, however many; 0 of sampled labels."""
        if self.access == "argmax":
            return argmax.floor(self.labels)
        return greedy.floor(self.labels, self.k) if self.greedy else 0.0

    @property
    def rows(self) -> int:
        """How many rows can be unresolved together: S, or 1 where a query reveals all."""
        return 1 if self.access == "jacobian" else self.inputs

    @property
    def plain(self) -> Level:
        """The level without its channel."""
        return replace(self, given=None)


def level(
    access: Any, inputs: Any, labels: Any, k: Any, graph: Any, hops: Any, teacher: Teacher | None, times: Any = 1
) -> Level:
    """Return the level, all arguments checked."""
    given = access if isinstance(access, Access) else None
    if isinstance(access, str) and access not in NAMES:
        given = parse(access)
    if given is None:
        return _named(access, inputs, labels, k, graph, hops, teacher, times)
    if k is not None or graph is not None or hops != 1:
        raise ValueError(f"access {given.name!r} says all itself: leave out k, graph and hops")
    if (given.graph is not None or given.everywhere) and (given.distortion is not None or given.noise > 0.0):
        raise ValueError(f"access {given.name!r}: no limit is known for a channel where a query reveals other rows")
    if given.everywhere:
        size = len(given.features)
        base = _named("soft", size if inputs is None else inputs, labels, None, None, 1, teacher, times)
        if base.inputs != size:
            raise ValueError(f"inputs = {inputs!r}: the features are of {size} inputs; omit inputs")
        return replace(base, access="jacobian", name=given.name, given=given)
    name, top = _kind(given)
    radius = 1 if given.graph is None else given.hops
    base = _named(name, inputs, labels, None, given.graph, radius, teacher, times, top)
    distorted = given.distortion is not None or given.noise > 0.0
    if distorted and times != 1:
        raise ValueError(f"labels_per_query is given: access {given.name!r} has none, only hard and partial have")
    return replace(base, name=given.name, given=given if distorted else None)


def _kind(given: Access) -> tuple[str, int | None]:
    if given.graph is not None:
        if given.top != levels_of_access.WHOLE_ROW:
            raise ValueError(f"access {given.name!r}: only whole rows along a graph are known")
        return "gradient", None
    if given.top == levels_of_access.WHOLE_ROW:
        return "soft", None
    if given.non_target:
        return "non_target", None
    if given.greedy or (given.top and not given.sampled):
        if not given.greedy:
            raise ValueError(f"access {given.name!r}: no limit is known for it")
        return ("top_k_only", given.top) if given.top else ("argmax", None)
    if given.top:
        return "top_k", given.top
    return ("partial" if given.sampled else "hard"), None


def _named(
    access: Any, inputs: Any, labels: Any, k: Any, graph: Any, hops: Any, teacher: Teacher | None, times: Any,
    top: int | None = None,
) -> Level:  # fmt: skip
    """Return a level by name; `top` is k of an `Access`, which may exceed the labels."""
    if access not in NAMES:
        raise unknown_name("access level", access, NAMES)
    for name, present, owners in (
        ("k", k is not None or top is not None, ("top_k", "top_k_only")),
        ("graph", graph is not None, ("gradient",)),
        ("hops", hops != 1, ("gradient",)),
        ("labels_per_query", times != 1, ("hard", "partial")),
    ):
        if present and access not in owners:
            raise ValueError(f"{name} is given: access {access!r} has none, only {' and '.join(owners)} have")
        if name in ("k", "graph") and access in owners and not present:
            raise ValueError(f"{name} is missing: access {access!r} needs {name}=...")
    net = None if graph is None else as_graph(graph)
    S, A = _sizes(inputs, labels, net, teacher)
    each = whole_number(times, "labels_per_query", low=1)
    if access in ("top_k", "top_k_only"):
        number = (
            min(top, A) if top is not None else whole_number(k, "k", low=1 if access == "top_k_only" else 0, high=A)
        )
        name = f"{access}({number})"
        return Level(access if number else "partial", name, S, A, number)
    if net is None:
        return Level(access, access, S, A, times=each)
    from kt_theory.limits.graph import independence_number

    radius = whole_number(hops, "hops")
    found = independence_number(net, radius)
    return Level(access, access, S, A, graph=net, hops=radius, alpha=(found.lower, found.upper))


def _sizes(inputs: Any, labels: Any, net: Graph | None, teacher: Teacher | None) -> tuple[int, int]:
    sizes = {"inputs": inputs, "labels": labels}
    for name, source in (("inputs", net and net.vertices), ("inputs", teacher and teacher.inputs),
                         ("labels", teacher and teacher.labels)):  # fmt: skip
        if source is not None and sizes[name] is None:
            sizes[name] = source
        if source is not None and sizes[name] != source:
            whose = "graph" if net is not None and source == net.vertices else "teacher"
            raise ValueError(f"{name} = {sizes[name]!r}: the {whose} has {source}; omit {name}")
    for name, value in sizes.items():
        if value is None:
            raise ValueError(f"{name} is missing: give inputs= and labels=, or teacher=")
    S, A = (whole_number(value, name, low=1) for name, value in sizes.items())
    return S, A


def parse(text: str) -> Access:
    """Return the level that tables name so: "top_k_only(3)", "rounded(0.1)", "noisy(0.5) top_k(5)"."""
    from kt_theory import catalogue

    return catalogue.level(text)


def student(level: Level, teacher: Teacher) -> Any:
    """Return the level's student, see `kt_theory.catalogue.own_student`."""
    from kt_theory import catalogue

    return catalogue.own_student(_shown(level), teacher)


def _shown(level: Level) -> Access:
    if level.given is not None:
        return level.given
    if level.access == "gradient":
        return levels_of_access.gradient(level.graph, level.hops)
    if level.k:
        return levels_of_access.top_k(level.k, sampled=level.access == "top_k")
    return levels_of_access.as_access(level.access)


def _base_name(given: Access) -> str:
    """Return the name of the level whose answers are distorted: what follows the channel in its own."""
    return given.name.partition(" ")[2] or given.name


def student_name(level: Level, teacher: Teacher) -> str:
    """Return what the certificates call the level's student."""
    if level.access == "top_k_only" and not level.given:
        return "equal sharing of the tail"
    return str(student(level, teacher).name)


def revealed(level: Level) -> int:
    """Return how many log-probabilities a query reveals; 0 also where inputs differ in that."""
    if level.access in ("gradient", "jacobian", "hard", "argmax"):
        return 0
    if level.access == "soft":
        return level.labels
    if level.access == "non_target":
        return level.labels - 1
    return min(level.k + (level.access != "top_k_only"), level.labels)
