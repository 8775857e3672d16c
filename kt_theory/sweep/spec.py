"""What a sweep is: the specification, strictly read, and the cells that it stands for."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from kt_theory import catalogue
from kt_theory.content import ByContent
from kt_theory.losses import LOSSES, as_losses
from kt_theory.sources import TooLarge, require_file
from kt_theory.students import STUDENTS
from kt_theory.sweep import recipes
from kt_theory.sweep.expressions import evaluate, logspace
from kt_theory.sweep.students import Swept, placed, students_of
from kt_theory.teachers import NotDefined, smallest_n
from kt_theory.validation import shown, unit_interval, unknown_name, whole_number

STREAMS = 1
"""Raise it when the engine draws other numbers for the same cell: stored cells are then computed
anew."""

LARGEST_SWEEP = 10**6
"""Most cells of one specification."""

LARGEST_FILE = 1 << 24
"""Most bytes of a specification's file, which takes a second for each three million."""

_SIZES = ("inputs", "labels")
KEYS = (
    "name",
    "seed",
    "students",
    "access",
    "loss",
    "repeats",
    "target_se",
    "max_repeats",
    "n",
    "grid",
    "teachers",
)
"""What stands at the top of a specification; docs/sweep-format.md has each with examples."""


@dataclass(frozen=True, eq=False)
class Cell(ByContent):
    """One point of a sweep: a teacher, a student, n and the seed.

    Attributes
    ----------
    id : str
        Hash of all that determines its result.
    group : str
        Hash of all that determines its transfer sets; the students of a group learn from the same
        ones.
    teacher : dict
        The recipe; `teacher_name` is how tables call it.
    student : dict
        The recipe; `student_name` and `access` are how tables call it.
    n, seed : int
    undefined : str
        Why there is no such teacher at this n; empty if there is.
    loss : str
    """

    id: str
    group: str
    teacher: Mapping[str, Any]
    teacher_name: str
    student: Mapping[str, Any]
    student_name: str
    access: str
    n: int
    seed: int
    undefined: str = ""
    loss: str = "tv"

    @property
    def place(self) -> str:
        """Where it is in the sweep, in words."""
        student = self.student_name if self.loss == "tv" else f"{self.student_name}, {self.loss}"
        return f"{self.teacher_name}, {student}, n = {self.n}"


@dataclass(frozen=True)
class Axes:
    """One [[teachers]] table: a family, and the list of values of each parameter and of n."""

    where: str
    name: str
    family: str
    values: Mapping[str, tuple[Any, ...]]
    bound: tuple[tuple[str, ...], ...]

    @property
    def points(self) -> int:
        """How many combinations there are."""
        return math.prod(len(self.values[names[0]]) for names in self.joint())

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield every combination of the crossed axes, those bound by `zip` moving together."""
        joint = self.joint()
        for chosen in product(
            *(list(zip(*(self.values[name] for name in names), strict=True)) for names in joint)
        ):
            yield {name: value for names, values in zip(joint, chosen, strict=True)
                   for name, value in zip(names, values, strict=True)}  # fmt: skip

    def joint(self) -> list[tuple[str, ...]]:
        """Return the names that move together, each axis in one group."""
        tied = {name for names in self.bound for name in names}
        return [*self.bound, *((name,) for name in self.values if name not in tied)]


class Spec(ByContent):
    """A sweep: teachers x n x students, with repeats or a precision to reach.

    Parameters
    ----------
    name : str
        Names the sweep; a folder holds the cells of one name.
    teachers : sequence of mapping
        Each has `family` (or `file`: a table of pi) and that family's parameters. A parameter is a
        value, a list of values, {"logspace": [a, b, points]} or an arithmetic expression in n,
        inputs and labels. Lists are crossed; `zip` names those that move together. `n` here
        replaces the common one; `name` is the teacher's name in tables. A family that takes n gets
        the n of the cell.
    n : int, array_like of int or mapping
        {"logspace": [2, 5, 13]} is 13 values from 10^2 to 10^5, rounded.
    students : sequence of str or mapping
        Such as "ce_sgl", "top_k(5)", "add_c(0.5)", "grad_ful(path)" or "grad_ful(cycle, 2)" (graph,
        hops; the graphs are path, cycle and complete); {"name": "top_k", "k": 5} is the same.
        Students of one's own by the name that Python imports them by: "mypkg.rules:laplace",
        "mypkg.rules:discounted(0.5)". The paper's four if omitted.
    access : str or sequence, optional
        The levels granted, such as "partial" or "top_k(5)"; a student named that none of them
        serves is refused, an unnamed one left out.
    loss : str or sequence of str, optional
        "tv" if omitted; see `kt_theory.losses`. Each has a cell of its own, all learn from the same
        transfer sets.
    repeats : int, optional
        Transfer sets per cell, at least 2.
    target_se, max_repeats : float and int, optional
        Instead: as many as bring a student's standard error down to `target_se`, at most
        `max_repeats`.
    seed : int
    grid : mapping, optional
        Parameters that all teachers share which take them, such as {"inputs": [10, 100]}.

    Raises
    ------
    ValueError
        For an unknown key, a wrong type, an empty axis, a value that stands twice, bound axes of
        different lengths, by name. A student of more top labels than a teacher has is not defined
        there, as an instance out of its regime.
    """

    def __init__(self, **document: Any) -> None:
        for key in document:
            if key not in KEYS:
                raise unknown_name("key", key, KEYS)
        for key in ("name", "teachers", "n"):
            if key not in document:
                own = document.get("teachers") if key == "n" else None
                if not (
                    isinstance(own, Sequence)
                    and own
                    and all(isinstance(t, Mapping) and "n" in t for t in own)
                ):
                    raise ValueError(
                        f"{key} is missing: a sweep needs name, n, teachers and repeats or "
                        "target_se"
                    )
        document = {key: _without_arrays(value) for key, value in document.items()}
        self.name = _text(document["name"], "name")
        self.seed = whole_number(document.get("seed", 0), "seed", high=2**128)
        self.repeats, self.target_se, self.max_repeats = _precision(document)
        self.students = _students(document)
        self.document = _kept(document, self.students)
        self.losses = _losses(document)
        self.axes = _all_axes(document)

    @classmethod
    def read(cls, path: str | Path) -> Spec:
        """Return the specification in a TOML file; file names in it are relative to its folder."""
        source = Path(path)
        try:
            require_file(source)
            if (size := source.stat().st_size) > LARGEST_FILE:
                raise TooLarge(f"{source} has {size:,} bytes: at most {LARGEST_FILE:,}")
            document = tomllib.loads(source.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{source} is not a UTF-8 text: byte {error.start}") from None
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{source} is not TOML: {error}") from None
        except RecursionError:
            raise ValueError(f"{source} is nested too deeply") from None
        except OSError as error:
            raise OSError(f"{source} cannot be read: {error.strerror or error}") from None
        try:
            spec = cls(**_located(document, source.resolve().parent))
            spec.cells  # noqa: B018  what is wrong with a cell is said with the file's name too
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None
        return spec

    def compared(self) -> Iterator[Any]:
        """Yield what a specification says, however it was written."""
        precision = (self.repeats, self.target_se, self.max_repeats)
        return iter((self.name, self.seed, *precision, self.students, self.losses, self.axes))

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell once, in the order of the specification."""
        points = sum(axes.points for axes in self.axes) * len(self.students) * len(self.losses)
        if points > LARGEST_SWEEP:
            raise ValueError(
                f"the sweep {self.name!r} has {points:,} cells: at most {LARGEST_SWEEP:,}; split it"
            )
        found: dict[str, Cell] = {}
        for axes in self.axes:
            for combination in axes.combinations():
                found.update((cell.id, cell) for cell in self._cells_at(axes, combination))
        return list(found.values())

    @property
    def fingerprint(self) -> str:
        """Hash of the cells and of the precision that is asked for; the same for specs that mean
        the same."""
        return _hash(
            [cell.id for cell in self.cells], self.repeats, self.target_se, self.max_repeats
        )

    def _cells_at(self, axes: Axes, combination: dict[str, Any]) -> Iterator[Cell]:
        n = combination["n"]
        given = _evaluated(axes, combination)
        try:
            recipe = recipes.teacher_recipe(axes.family, given)
        except ValueError as error:
            raise ValueError(f"{axes.where}, n = {n}: {error}") from None
        empty = [name for name in _SIZES if given.get(name, 1) < 1]
        why = f"{empty[0]} = {given[empty[0]]}: must be at least 1" if empty else ""
        if axes.family in recipes.INSTANCES and not why:
            try:
                least = smallest_n(axes.family, *recipes.shape(recipe))
                why = f"defined from n = {least}" if n < least else ""
            except NotDefined as error:
                why = str(error)
            except ValueError as error:
                raise ValueError(f"{axes.where}, n = {n}: {error}") from None
        shown = {
            k: v
            for k, v in combination.items()
            if len(axes.values[k]) > 1 or not _is_default(axes.family, k, v)
        }
        name = axes.name or recipes.teacher_label(axes.family, shown)
        group = _hash(STREAMS, catalogue.identity(recipe), n, self.seed)
        for student, loss in product(self.students, self.losses):
            wrong = why or student.misfit(recipe)
            identity = [catalogue.identity(student.recipe), *([] if loss == "tv" else [loss])]
            yield Cell(
                _hash(group, *identity),
                group,
                recipe,
                name,
                student.recipe,
                student.name,
                student.access,
                n,
                self.seed,
                wrong,
                loss,
            )

    def __repr__(self) -> str:
        teachers, students, cells = len(self.axes), len(self.students), len(self.cells)
        return f"Spec({self.name!r}: {teachers} teachers, {students} students, {cells} cells)"


def _evaluated(axes: Axes, combination: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with every expression replaced by its value; n and the sizes are what
    it may name."""
    taken = recipes.parameters(axes.family)
    given: dict[str, Any] = {}
    names: dict[str, float] = {"n": combination["n"]}
    order = [name for name in ("n", "inputs", "labels") if name in combination]
    for name in [*order, *(name for name in combination if name not in order)]:
        value = combination[name]
        if name not in taken:
            continue
        kind = recipes.kind_of(axes.family, name)
        if isinstance(value, str) and kind in ("int", "float"):
            try:
                value = evaluate(value, names)
                value = catalogue.typed(value, kind, name)
            except ValueError as error:
                way_out = "; floor, ceil and round make whole numbers" if kind == "int" else ""
                raise ValueError(
                    f"{axes.where}.{name} = {combination[name]!r}: {error}{way_out}"
                ) from None
        given[name] = value
        if name in ("inputs", "labels"):
            names[name] = value
    return given


def _is_default(family: str, name: str, value: Any) -> bool:
    parameter = recipes.parameters(family).get(name)
    return parameter is None or value == parameter.default


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} = {shown(value)}: must be a text that is not empty")
    return value


def _precision(document: Mapping[str, Any]) -> tuple[int | None, float | None, int | None]:
    given = [key for key in ("repeats", "target_se", "max_repeats") if key in document]
    if given == ["repeats"]:
        return whole_number(document["repeats"], "repeats", low=2, high=2**31), None, None
    if given == ["target_se", "max_repeats"]:
        cap = whole_number(document["max_repeats"], "max_repeats", low=2, high=2**31)
        return None, unit_interval(document["target_se"], "target_se"), cap
    raise ValueError(
        f"{', '.join(given) or 'no repeats'} given: must be repeats, or target_se with max_repeats"
    )


def _students(document: Mapping[str, Any]) -> list[Swept]:
    named = _listed(document.get("students", list(STUDENTS)), "students")
    levels = _listed(document["access"], "access") if "access" in document else None
    return students_of(named, levels, asked="students" in document)


def _kept(document: dict[str, Any], students: list[Swept]) -> dict[str, Any]:
    """Return the document with what need not be imported again in place of imports."""
    if not any(student.imported for student in students):
        return document
    named = _listed(document["students"], "students")
    places = zip(named, students, strict=True)
    return document | {"students": [one.kept if one.imported else entry for entry, one in places]}


def _losses(document: Mapping[str, Any]) -> list[str]:
    named = _listed(document.get("loss", "tv"), "loss")
    for name in named:
        if not (isinstance(name, str) and name in LOSSES):
            raise unknown_name("loss", name, LOSSES)
    return [loss.name for loss in as_losses(named)]


def _without_arrays(value: Any) -> Any:
    """Return a value of a specification with lists in place of arrays and columns of tables."""
    if isinstance(value, Mapping):
        return {key: _without_arrays(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _listed(value: Any, name: str) -> list[Any]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        raise ValueError(f"{name} = []: an empty axis; give at least one value, or leave it out")
    return values


def _all_axes(document: Mapping[str, Any]) -> list[Axes]:
    tables = document["teachers"]
    if (
        not isinstance(tables, (list, tuple))
        or not tables
        or not all(isinstance(t, Mapping) for t in tables)
    ):
        raise ValueError("teachers: must be one or more tables, each headed [[teachers]]")
    grid = document.get("grid", {})
    if not isinstance(grid, Mapping):
        raise ValueError(f"grid = {shown(grid)}: must be a table of parameters")
    known = {
        "zip",
        *(name for family in recipes.FAMILIES for name in recipes.parameters(family)),
    } - {"n"}
    for key in grid:
        if key not in known:
            raise unknown_name("key of grid", key, known)
    return [_axes(f"teachers[{i}]", table, grid, document) for i, table in enumerate(tables)]


def _axes(
    where: str, table: Mapping[str, Any], grid: Mapping[str, Any], document: Mapping[str, Any]
) -> Axes:
    if "family" not in table and "file" not in table:
        raise ValueError(
            f"{where}: family is missing: must be one of {', '.join(recipes.FAMILIES)}"
        )
    family = table.get("family", "table")
    if not isinstance(family, str):
        raise ValueError(
            f"{where}.family = {shown(family)}: must be one name; "
            f"write a [[teachers]] table for each "
            "family"
        )
    taken = recipes.parameters(family)
    known = {"family", "name", "zip", "n", *taken}
    for key in table:
        if key not in known:
            raise ValueError(f"{where}: {unknown_name(f'key of teacher {family!r}', key, known)}")
    shared = {key: value for key, value in grid.items() if key in taken and key not in table}
    given = {"n": document.get("n"), **shared, **table}
    values = {
        name: _axis(
            given[name],
            _place(name, where, table),
            "int" if name == "n" else recipes.kind_of(family, name),
        )
        for name in given
        if name not in ("family", "name", "zip")
    }
    for name, parameter in taken.items():
        if name != "n" and name not in values and parameter.default is parameter.empty:
            raise ValueError(f"{where}: teacher {family!r} needs {name}")
    if "zip" in table:
        bound = _bound(table["zip"], values, where)
    else:
        # What a teacher sets itself is no longer an axis of the grid, nor tied to its other axes.
        common = {
            key: values[key] for key in values if key in shared or (key == "n" and "n" not in table)
        }
        groups = [
            group for group in _groups(grid.get("zip", []), where) if set(group) <= set(common)
        ]
        bound = _bound(groups, common, where)
    name = _text(table["name"], f"{where}.name") if "name" in table else ""
    axes = Axes(where, name, family, values, bound)
    for names in axes.joint():
        for point, times in Counter(zip(*(values[axis] for axis in names), strict=True)).items():
            if times > 1:
                text = ", ".join(
                    f"{_place(axis, where, table)} = {v!r}"
                    for axis, v in zip(names, point, strict=True)
                )
                raise ValueError(f"{text} stands there twice")
    return axes


def _place(name: str, where: str, table: Mapping[str, Any]) -> str:
    """Return where the specification sets the axis `name` of the teacher `where`."""
    if name in table:
        return f"{where}.{name}"
    return "n" if name == "n" else f"grid.{name}"


def _axis(value: Any, where: str, kind: str) -> tuple[Any, ...]:
    """Return the values of an axis: one, a list, {list = ...} or {logspace = [a, b, points]} from
    10^a to 10^b."""
    if isinstance(value, Mapping):
        if set(value) == {"logspace"}:
            return logspace(value["logspace"], where, kind, LARGEST_SWEEP)
        if set(value) != {"list"}:
            key = next(iter(set(value) - {"list", "logspace"}), "list and logspace together")
            raise ValueError(f"{where}: {unknown_name('axis', key, ['list', 'logspace'])}")
        value = value["list"]
    values = _listed(value, where)
    moves = kind in ("int", "float") and where != "n" and not where.endswith(".n")
    if where.endswith(tuple(f".{name}" for name in _SIZES)):
        values = [v if isinstance(v, str) else whole_number(v, where, low=1) for v in values]
    return tuple(
        v if moves and isinstance(v, str) else catalogue.typed(v, kind, where) for v in values
    )


def _groups(value: Any, where: str) -> list[list[str]]:
    """Return the lists of names in a `zip`; a single one may stand without its outer brackets."""
    groups = value if isinstance(value, (list, tuple)) else [value]
    groups = (
        [list(groups)] if groups and all(isinstance(name, str) for name in groups) else list(groups)
    )
    if not all(
        isinstance(group, (list, tuple)) and all(isinstance(name, str) for name in group)
        for group in groups
    ):
        raise ValueError(
            f"{where}.zip = {shown(value)}: must be a list of names, or a list of such lists"
        )
    return [list(group) for group in groups if group]


def _bound(
    value: Any, values: Mapping[str, tuple[Any, ...]], where: str
) -> tuple[tuple[str, ...], ...]:
    """Return the groups of axes that move together, all of one length."""
    found: list[tuple[str, ...]] = []
    for group in _groups(value, where):
        for name in group:
            if name not in values:
                raise ValueError(f"{where}.zip: {unknown_name('axis', name, values)}")
            if [*group, *(n for other in found for n in other)].count(name) > 1:
                raise ValueError(f"{where}.zip: {name!r} stands there twice")
        lengths = {name: len(values[name]) for name in group}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{where}.zip: {lengths}: axes bound together must have the same length"
            )
        found.append(tuple(group))
    return tuple(found)


def _located(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document with the files of its teachers, students and levels relative to
    `folder`."""

    def place(table: Any) -> Any:
        if not isinstance(table, Mapping) or "file" not in table:
            return table
        names = table["file"]
        several = names if isinstance(names, list) else [names]
        here = [str(folder / name) if isinstance(name, str) else name for name in several]
        return {**table, "file": here}

    found = dict(document)
    if isinstance(document.get("teachers"), list):
        found["teachers"] = [place(table) for table in document["teachers"]]
    if "access" in document:
        found["access"] = catalogue.located(document["access"], folder)
    if "students" in document:
        named = _listed(document["students"], "students")
        found["students"] = [placed(entry, folder) for entry in named]
    return found
