"""Every access level, student and objective by name: one table of each, how names are read and
printed.

A name with its parameters is a recipe, a dict that is cheap to hash and to send: {"name": "top_k",
"k": 5}. It is read from a text ("top_k(5)", "top_k(k=5)", "rounded(0.5) top_k(5)", see
`kt_theory.catalogue.grammar`) or from a table of the same keys, and built where it is needed. What
comes from a file counts by its content.

To add a level, a student or an objective: one entry in `LEVELS`, `STUDENTS` or `OBJECTIVES`. An
entry that lacks a field is an error on import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory import access, graphs, objectives, students
from kt_theory.access import Access
from kt_theory.catalogue.files import (
    SUFFIXES,
    digest,
    names_file,
    read_array,
    read_graph,
    refuse_changed,
)
from kt_theory.catalogue.grammar import Call, parse, write
from kt_theory.catalogue.imported import (
    EXAMPLES,
    import_name,
    import_recipe,
    import_student,
    is_import,
)
from kt_theory.objectives import Objective
from kt_theory.students import NAMED, Student
from kt_theory.validation import shown, unknown_name, whole_number

Recipe = Mapping[str, Any]


class _NoFile(ValueError):
    """What is written is no file."""


REQUIRED = object()
"""The default of a parameter that has none."""

GRAPHS: dict[str, Callable[[int], graphs.Graph]] = {
    "path": graphs.path,
    "cycle": graphs.cycle,
    "complete": graphs.complete,
}
"""Graphs on the inputs that need no size of their own."""

_SIZED: dict[str, Callable[..., graphs.Graph]] = {
    **GRAPHS,
    "grid": graphs.grid,
    "hypercube": graphs.hypercube,
}


# What a parameter holds.


@dataclass(frozen=True)
class Kind:
    """What a parameter holds.

    Attributes
    ----------
    read : callable
        (what was written, the parameter, the folder of files) to the value in the recipe.
    make : callable
        (the value in the recipe, the number of inputs or None) to what the builder takes.
    from_file : bool
        Whether `file=` means it.
    """

    read: Callable[[Any, Parameter, Path], Any]
    make: Callable[[Any, int | None], Any]
    from_file: bool

    def __post_init__(self) -> None:
        _refuse_gaps(self)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a level or a student.

    Attributes
    ----------
    name : str
    kind : Kind
    default : object
        `REQUIRED` if there is none.
    domain : str
        What it may be, in words: "must be ..." of messages.
    example : object
        As it may stand in a text.
    always : bool
        Whether recipes and names say it even where it is the default.
    """

    name: str
    kind: Kind
    default: Any
    domain: str
    example: Any
    always: bool

    def __post_init__(self) -> None:
        _refuse_gaps(self, "default")

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED

    def refused(self, value: Any) -> ValueError:
        """Return the error for a value that it cannot be."""
        return ValueError(f"{self.name} = {value!r}: must be {self.domain}")


@dataclass(frozen=True)
class Entry:
    """What levels and students have in common.

    Attributes
    ----------
    name : str
    parameters : tuple of Parameter
        In the order in which they stand in brackets.
    build : callable
        Takes what the kinds of the parameters make, by name.
    """

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Any]

    def __post_init__(self) -> None:
        _refuse_gaps(self)

    @property
    def example(self) -> str:
        """The name as it may be written, with what must be said."""
        given = [("", each.example) for each in self.parameters if each.required or each.always]
        return write(Call(self.name, tuple(given))) if given else self.name

    @property
    def complete(self) -> bool:
        """Whether the name alone will do."""
        return not any(each.required for each in self.parameters)


@dataclass(frozen=True)
class LevelEntry(Entry):
    """An access level.

    Attributes
    ----------
    student : str
        The name of the level's own student, which has its parameters; `own_student` builds it.
    """

    student: str


@dataclass(frozen=True)
class StudentEntry(Entry):
    """A student."""


@dataclass(frozen=True)
class ObjectiveEntry(Entry):
    """A training objective."""


def _refuse_gaps(entry: Any, *free: str) -> None:
    """Refuse an entry of which a field says nothing: it would take another's place unseen."""
    for field in fields(entry):
        if getattr(entry, field.name) in (None, "") and field.name not in free:
            raise ValueError(f"{entry!r}: {field.name} is missing")


def typed(value: Any, kind: str, name: str) -> Any:
    """Return a value of "int", "float", "str" or "bool" in its one type: 1 and 1.0 are the same."""
    if kind == "int":
        return whole_number(value, name, high=2**64 - 1)
    if kind == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            digits = len(str(value))
            raise ValueError(
                f"{name} has {digits} digits: must be a number that float64 holds"
            ) from None
    if (kind == "str" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool)):
        return value
    raise ValueError(f"{name} = {shown(value)}: must be of type {kind}")


def _whole(value: Any, parameter: Parameter, folder: Path) -> int:
    return int(typed(value, "int", parameter.name))


def _number(value: Any, parameter: Parameter, folder: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise parameter.refused(value)
    return float(typed(value, "float", parameter.name))


def _choice(choices: tuple[str, ...], value: Any, parameter: Parameter, folder: Path) -> str:
    if value not in choices:
        raise unknown_name(parameter.name, value, choices)
    return str(value)


def _level_name(value: Any, parameter: Parameter, folder: Path) -> str:
    return level(value).name


def _objective_name(value: Any, parameter: Parameter, folder: Path) -> str:
    return objective(write(value) if isinstance(value, Call) else value).name


def _student_name(value: Any, parameter: Parameter, folder: Path) -> Recipe:
    name = _called(value, "student").name
    if name in LEVELS and name not in STUDENTS:
        value = replace(_called(value, "student"), name=LEVELS[name].student)
    return student_recipe(value, folder)


def _file(value: Any, parameter: Parameter, folder: Path) -> Recipe:
    if not names_file(value):
        printed = write(value) if isinstance(value, Call) else value
        raise _NoFile(str(parameter.refused(printed)))
    path = str(folder / value)
    return {"file": path, "content": digest(path)}


def _graph(value: Any, parameter: Parameter, folder: Path) -> Any:
    if names_file(value):
        return _file(value, parameter, folder)
    call = _called(value, "graph")
    if not call.arguments:
        if call.name not in GRAPHS:
            raise unknown_name("graph", call.name, GRAPHS)
        return call.name
    if call.name not in _SIZED:
        return _file(call, parameter, folder)
    _sized_graph(call)
    return write(call)


def _sized_graph(call: Call) -> graphs.Graph:
    try:
        return _SIZED[call.name](*(value for _, value in call.arguments))
    except TypeError:
        raise ValueError(f"graph = {write(call)!r}: must be like 'path(5)'") from None


def _make_graph(value: Any, inputs: int | None) -> graphs.Graph:
    if isinstance(value, Mapping):
        return replace(read_graph(_unchanged(value), inputs), name=Path(value["file"]).name)
    call = parse(value)
    if isinstance(call, Call):
        return _sized_graph(call)
    if inputs is None:
        raise ValueError(
            f"graph = {shown(value)}: of how many inputs? "
            f"say so, as in {value}(5), or give its edges: "
            "file=edges.csv"
        )
    return GRAPHS[value](inputs)


def _as_it_is(value: Any, inputs: int | None) -> Any:
    return value


def _make_level(value: Any, inputs: int | None) -> Access:
    return level(value)


def _make_objective(value: Any, inputs: int | None) -> Objective:
    return objective(value)


def _make_student(value: Recipe, inputs: int | None) -> Student:
    return build_student(value, inputs)


def _unchanged(value: Mapping[str, Any]) -> str:
    refuse_changed(value)
    return str(value["file"])


def _file_kind(read: Callable[[str], Any]) -> Kind:
    def make(value: Recipe, inputs: int | None) -> Any:
        return read(_unchanged(value))

    return Kind(_file, make, from_file=True)


def _groups(file: str) -> np.ndarray:
    return np.ravel(read_array(file))


def _mask(file: str) -> np.ndarray:
    given = read_array(file)
    return given.astype(np.bool_) if np.isin(given, (0, 1)).all() else given


def _table(file: str) -> np.ndarray:
    from kt_theory.teachers import from_table

    return from_table(file).pi


def _noise(value: Any, parameter: Parameter, folder: Path) -> Any:
    return (
        _file(value, parameter, folder) if names_file(value) else _number(value, parameter, folder)
    )


def _make_noise(value: Any, inputs: int | None) -> Any:
    return read_array(_unchanged(value)) if isinstance(value, Mapping) else value


WHOLE = Kind(_whole, _as_it_is, from_file=False)
NUMBER = Kind(_number, _as_it_is, from_file=False)
TARGETS = Kind(partial(_choice, ("hard", "sampled", "complete")), _as_it_is, from_file=False)
ENCODER = Kind(partial(_choice, ("shipped", "queried")), _as_it_is, from_file=False)
LEVEL = Kind(_level_name, _make_level, from_file=False)
OBJECTIVE = Kind(_objective_name, _make_objective, from_file=False)
STUDENT = Kind(_student_name, _make_student, from_file=False)
GRAPH = Kind(_graph, _make_graph, from_file=True)
ARRAY = _file_kind(read_array)
NOISE = Kind(_noise, _make_noise, from_file=True)
GROUPS = _file_kind(_groups)
MASK = _file_kind(_mask)
TABLE = _file_kind(_table)


# The two tables.


def _only(k: int) -> Student:
    return students.top_k(k, sampled=False)


def _only_level(k: int) -> Access:
    return access.top_k(k, sampled=False)


def _true_logits() -> Student:
    from kt_theory.catalogue.own import own_student

    return own_student(access.true_logits())


def _features(features: np.ndarray, targets: str, encoder: str) -> Student:
    return students.features(features, targets, shipped=encoder == "shipped")


_K = Parameter("k", WHOLE, REQUIRED, "a whole number, at least 0", 5, True)
_GRAPH = (
    Parameter("graph", GRAPH, REQUIRED, "path, cycle, complete or a file of edges", "path", True),
    Parameter("hops", WHOLE, 1, "a whole number, at least 0", 1, True),
)
_OF = Parameter("of", LEVEL, "soft", "an access level", "partial", False)
_TAU = Parameter("tau", NUMBER, REQUIRED, "a number from 0.001 to 1000", 2, True)
_BELIEVED = Parameter("believed", NUMBER, None, "a number above 0", 1.5, False)
_STEP = Parameter("step", NUMBER, REQUIRED, "a number from 1e-15 to 1000", 0.5, True)
_BITS = Parameter("bits", WHOLE, REQUIRED, "a whole number from 1 to 52", 4, True)
_SIGMA = Parameter("sigma", NUMBER, REQUIRED, "a number from 1e-15 to 50", 0.1, True)
_NOISE = Parameter(
    "noise",
    NOISE,
    REQUIRED,
    "a rate between 0 and 1, or a file of the confusion matrix",
    0.1,
    True,
)
_C = Parameter("c", NUMBER, REQUIRED, "a number from 0 to 1e+100", 0.5, True)
_ALPHA = Parameter("alpha", NUMBER, REQUIRED, "a number from 0 to 1", 0.5, True)
_HINTON = Parameter("temperature", NUMBER, 1.0, "a number from 0.001 to 1000", 2, False)
_WEIGHT = Parameter("weight", NUMBER, REQUIRED, "a number, at least 0", 5, True)
_AT_LEAST_1 = Parameter("k", WHOLE, REQUIRED, "a whole number, at least 1", 20, True)
_SKEW = Parameter("alpha", NUMBER, REQUIRED, "a number from 0, below 1", 0.1, True)
_BETA = Parameter("beta", NUMBER, 0.5, "a number between 0 and 1", 0.1, False)
_MARGIN = Parameter("margin", NUMBER, REQUIRED, "a number from 0 to 10", 1, True)
_GAMMA = Parameter("gamma", NUMBER, REQUIRED, "a number from 0 to 100", 1, True)
_EPSILON = Parameter("epsilon", NUMBER, REQUIRED, "a number from 0 to 1", 0.1, True)
_OBJECTIVE = Parameter(
    "objective", OBJECTIVE, REQUIRED, "a training objective", "forward_kl_top(2)", True
)
_BASE = Parameter("student", STUDENT, REQUIRED, "a student", "ce_sgl", True)
_PRIOR = Parameter(
    "table", TABLE, REQUIRED, "a file of probabilities, a row for each input", "prior.parquet", True
)
_MASK = Parameter("mask", MASK, REQUIRED, "a file of 0 and 1, for each label", "mask.npy", True)
_GROUPS = Parameter(
    "groups", GROUPS, REQUIRED, "a file of numbers, one for each input", "groups.npy", True
)
_FEATURES = Parameter(
    "features", ARRAY, REQUIRED, "a file, a row for each input", "features.npy", True
)
_DISTANCES = Parameter(
    "distances", ARRAY, REQUIRED, "a file, (inputs, inputs)", "distances.npy", True
)
_TARGETS = Parameter("targets", TARGETS, "complete", "hard, sampled or complete", "hard", False)
_ENCODER = Parameter("encoder", ENCODER, "shipped", "shipped or queried", "queried", False)


def _by_name(entries: Iterable[Any]) -> dict[str, Any]:
    return {entry.name: entry for entry in entries}


LEVELS: dict[str, LevelEntry] = _by_name(
    [
        LevelEntry("hard", (), partial(access.as_access, "hard"), "ce_sgl"),
        LevelEntry("partial", (), partial(access.as_access, "partial"), "sel_ptl"),
        LevelEntry("soft", (), partial(access.as_access, "soft"), "ce_ful"),
        LevelEntry("non_target", (), partial(access.as_access, "non_target"), "non_target"),
        LevelEntry("argmax", (), partial(access.as_access, "argmax"), "argmax_hedged"),
        LevelEntry("top_k", (_K,), access.top_k, "top_k"),
        LevelEntry("top_k_only", (_K,), _only_level, "top_k_only"),
        LevelEntry("gradient", _GRAPH, access.gradient, "grad_ful"),
        LevelEntry("jacobian", (_FEATURES,), access.jacobian, "jacobian"),
        LevelEntry("temperature", (_TAU, _OF), access.temperature, "tempered"),
        LevelEntry("rounded", (_STEP, _OF), access.rounded, "rounded"),
        LevelEntry("quantised", (_BITS, _OF), access.quantised, "quantised"),
        LevelEntry("noisy", (_SIGMA, _OF), access.noisy, "noisy"),
        LevelEntry("confused", (_NOISE,), access.confused, "confused"),
        LevelEntry("logits", (_OF,), access.logits, "logits"),
        LevelEntry("true_logits", (), access.true_logits, "true_logits"),
    ]
)
"""Every access level that has a name."""


STUDENTS: dict[str, StudentEntry] = _by_name(
    [
        *(StudentEntry(name, (), partial(NAMED.__getitem__, name)) for name in NAMED),
        StudentEntry("top_k", (_K,), students.top_k),
        StudentEntry("top_k_only", (_K,), _only),
        StudentEntry("add_c", (_C,), students.add_c),
        StudentEntry("grad_ful", _GRAPH, students.grad_ful),
        StudentEntry("tempered", (_TAU, _BELIEVED, _OF), students.tempered),
        StudentEntry("tempered_mle", (_TAU,), students.tempered_mle),
        StudentEntry("rounded", (_STEP, _OF), students.rounded),
        StudentEntry("quantised", (_BITS, _OF), students.quantised),
        StudentEntry("noisy", (_SIGMA, _OF), students.noisy),
        StudentEntry("confused", (_NOISE,), students.confused),
        StudentEntry("logits", (_OF,), students.logits),
        StudentEntry("true_logits", (), _true_logits),
        StudentEntry("hinton", (_ALPHA, _HINTON), students.hinton),
        StudentEntry("minimiser", (_OBJECTIVE,), students.minimiser),
        StudentEntry("jacobian", (_FEATURES,), students.jacobian),
        StudentEntry("affine_ful", (_FEATURES,), students.affine_ful),
        StudentEntry("features", (_FEATURES, _TARGETS, _ENCODER), _features),
        StudentEntry("relations", (_DISTANCES, _TARGETS), students.relations),
        StudentEntry("with_prior", (_BASE, _PRIOR), students.with_prior),
        StudentEntry("shrink", (_PRIOR, _WEIGHT), students.shrink),
        StudentEntry("masked", (_BASE, _MASK), students.masked),
        StudentEntry("grouped", (_BASE, _GROUPS), students.grouped),
    ]
)
"""Every student that has a name."""


OBJECTIVES: dict[str, ObjectiveEntry] = _by_name(
    [
        *(
            ObjectiveEntry(name, (), partial(objectives.NAMED.__getitem__, name))
            for name in objectives.NAMED
            if name != "js"
        ),
        ObjectiveEntry("js", (_BETA,), objectives.js),
        ObjectiveEntry("skewed_kl", (_SKEW,), objectives.skewed_kl),
        ObjectiveEntry("skewed_reverse_kl", (_SKEW,), objectives.skewed_reverse_kl),
        ObjectiveEntry("pairwise", (_MARGIN,), objectives.pairwise),
        ObjectiveEntry("hinton", (_ALPHA, _HINTON), objectives.hinton),
        ObjectiveEntry("label_smoothing", (_EPSILON,), objectives.label_smoothing),
        ObjectiveEntry("ce_weighted", (_GAMMA,), objectives.ce_weighted),
        ObjectiveEntry("forward_kl_top", (_AT_LEAST_1,), objectives.forward_kl_top),
        ObjectiveEntry("reverse_kl_top", (_AT_LEAST_1,), objectives.reverse_kl_top),
        ObjectiveEntry("forward_kl_truncated", (_AT_LEAST_1,), objectives.forward_kl_truncated),
        ObjectiveEntry("reverse_kl_truncated", (_AT_LEAST_1,), objectives.reverse_kl_truncated),
        ObjectiveEntry("forward_kl_within", (_AT_LEAST_1,), objectives.forward_kl_within),
        ObjectiveEntry("reverse_kl_within", (_AT_LEAST_1,), objectives.reverse_kl_within),
        ObjectiveEntry("forward_kl_tail", (_AT_LEAST_1,), objectives.forward_kl_tail),
        ObjectiveEntry("reverse_kl_tail", (_AT_LEAST_1,), objectives.reverse_kl_tail),
        ObjectiveEntry("sampled_tail", (_K,), objectives.sampled_tail),
    ]
)
"""Every training objective that has a name."""

for _entry in LEVELS.values():
    if _entry.student not in STUDENTS:
        raise ValueError(f"access {_entry.name!r}: its student {_entry.student!r} is none")


# Reading and printing.


def level(given: Any, inputs: int | None = None) -> Access:
    """Return the access level of a name: "top_k(5)", "rounded(0.5) partial", {name = ..., k = 5}.

    Parameters
    ----------
    given : str, mapping or Access
        A graph or features may come from a file: "gradient(edges.csv, 2)".
    inputs : int, optional
        For graphs that are named without their size, as in "gradient(path, 1)".

    Raises
    ------
    ValueError, OSError
        In one line, with what may be given.
    """
    if isinstance(given, Access):
        return given
    try:
        found: Access = _built(LEVELS, level_recipe(given), inputs)
    except ValueError as error:
        if isinstance(given, str):
            raise ValueError(f"level {given!r}: {error}") from None
        raise
    return found


def student(given: Any, inputs: int | None = None) -> Student:
    """Return the student of a name: "sel_ptl", "rounded(0.5, top_k(5))", "masked(ce_sgl, m.npy)",
    or one of one's own that is imported, "mypkg.rules:discounted(0.5)".

    Parameters are those of `level`.
    """
    if isinstance(given, Student):
        return given
    return build_student(student_recipe(given), inputs)


def objective(given: Any) -> Objective:
    """Return the training objective of a name: "forward_kl", "hinton(0.5, 2)", {name = ..., k = 5}.

    Raises
    ------
    ValueError
        In one line, with what may be given.
    """
    if isinstance(given, Objective):
        return given
    found: Objective = _built(OBJECTIVES, _recipe(given, "objective", Path()), None)
    return found


def level_recipe(given: Any, folder: Path = Path()) -> dict[str, Any]:
    """Return the recipe of a level; names of files are relative to `folder`."""
    return _recipe(given, "access", folder)


def student_recipe(given: Any, folder: Path = Path()) -> dict[str, Any]:
    """Return the recipe of a student; names of files are relative to `folder`."""
    recipe = _recipe(given, "student", folder)
    if _graph_of(recipe) is None:
        build_student(recipe)  # what the student refuses is said now
    return recipe


def build_student(recipe: Recipe, inputs: int | None = None) -> Student:
    """Return the student of a recipe for a teacher with that many inputs.

    The same object for the same recipe: a new row rule is compiled again, a second for each cell.
    """
    if _graph_of(recipe) is not None:
        found: Student = _built(STUDENTS, recipe, inputs)
        return found
    return _known_student(json.dumps(recipe))


@lru_cache(maxsize=256)
def _known_student(recipe: str) -> Student:
    found: Student = _built(STUDENTS, json.loads(recipe), None)
    return found


def _built(entries: Mapping[str, Any], recipe: Recipe, inputs: int | None) -> Any:
    if is_import(recipe["name"]):
        return import_student(recipe)
    entry = entries[recipe["name"]]
    given = {
        each.name: each.kind.make(recipe.get(each.name, each.default), inputs)
        for each in entry.parameters
    }
    return entry.build(**given)


def name_of(recipe: Recipe) -> str:
    """Return how tables call a level or a student: "sel_ptl", "rounded(0.5, partial)"."""
    name = recipe["name"]
    if is_import(name):
        return import_name(recipe)
    entry = (STUDENTS if name in STUDENTS else LEVELS)[name]
    given: list[tuple[str, Any]] = []
    for place, each in enumerate(entry.parameters):
        if each.name in recipe:
            key = "" if place == len(given) else each.name
            given.append((key, _as_word(recipe[each.name])))
    return write(Call(name, tuple(given))) if given else name


def _as_word(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Path(value["file"]).name if "file" in value else parse(name_of(value))
    if isinstance(value, float):
        return f"{value:g}"
    return parse(value) if isinstance(value, str) else value


def identity(recipe: Any) -> Any:
    """Return what of a recipe determines the result: of a file its content, not its name."""
    if isinstance(recipe, list):
        return [identity(value) for value in recipe]
    if not isinstance(recipe, Mapping):
        return recipe
    left_out = {"content": "file", "source": "folder"}
    skipped = {place for fact, place in left_out.items() if fact in recipe}
    return {name: identity(value) for name, value in recipe.items() if name not in skipped}


def is_imported(recipe: Recipe) -> bool:
    """Return whether a student, or the one that it is made of, is imported."""
    base = recipe.get("student")
    return is_import(recipe["name"]) or (base is not None and is_imported(base))


def student_access(recipe: Recipe) -> str:
    """Return the name of the level that the student needs: "partial", "gradient(path, 1)"."""
    graph = _graph_of(recipe)
    if graph is not None:
        return name_of({**graph, "name": "gradient"})
    return build_student(recipe).access.name


def granted(levels: Any, recipe: Recipe, needs: str | None = None) -> bool:
    """Return whether one of several levels serves the student; "gradient" serves every graph.

    Parameters
    ----------
    levels : sequence
    recipe : mapping
    needs : str, optional
        The name of the level that the student needs, if it shall not be built for it.
    """
    return any(_serves(given, recipe, needs) for given in levels)


def _serves(given: Any, recipe: Recipe, needs: str | None) -> bool:
    graph = _graph_of(recipe)
    shown = {"name": "gradient"} if given == "gradient" else level_recipe(given)
    along = shown["name"] == "gradient"
    if graph is None:
        answers = access.SOFT if along else _built(LEVELS, shown, None)
        needed = build_student(recipe).access if needs is None else level(needs)
        return bool(answers.covers(needed))
    if given == "gradient" or not along:
        return along
    same = identity(shown["graph"]) == identity(graph["graph"])
    return bool(same and shown["hops"] >= graph["hops"])


def located(given: Any, folder: Path) -> Any:
    """Return a name with its files relative to `folder`, as it was if it has none."""
    if isinstance(given, Mapping):
        return {key: located(value, folder) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [located(value, folder) for value in given]
    if isinstance(given, Call):
        arguments = tuple((key, located(value, folder)) for key, value in given.arguments)
        return replace(given, arguments=arguments)
    if names_file(given) and "(" not in given:
        return str(folder / given)
    if isinstance(given, str) and any(suffix in given for suffix in SUFFIXES):
        try:
            return write(located(parse(given), folder))
        except ValueError:
            return given
    return given


def _called(given: Any, what: str) -> Call:
    """Return a text, a word or a table as a name with arguments."""
    if isinstance(given, Call):
        return given
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return Call(
            given["name"], tuple((key, value) for key, value in given.items() if key != "name")
        )
    entries = _entries(what)
    if not isinstance(given, str):
        own = f"; one of your own by its import, {EXAMPLES}" if isinstance(given, Student) else ""
        raise ValueError(
            f"{what}: {shown(given)}: must be a name, or such as 'top_k(5)' or "
            f"{{name = 'top_k', k = 5}}{own}"
        )
    try:
        value = parse(given)
    except ValueError as error:
        name = given.strip().partition("(")[0].strip()
        if what == "student" and is_import(name):
            raise ValueError(f"student {shown(given)}: {error}: write it as {EXAMPLES}") from None
        raise _unlike(entries, name, given, what) from None
    return value if isinstance(value, Call) else Call(str(value), ())


def _entries(what: str) -> Mapping[str, Entry]:
    tables: dict[str, Mapping[str, Entry]] = {
        "student": STUDENTS,
        "access": LEVELS,
        "objective": OBJECTIVES,
    }
    return tables.get(what, {})


def _unlike(entries: Mapping[str, Entry], name: str, given: Any, what: str) -> ValueError:
    """Return the error for a name whose brackets cannot be read."""
    if what == "student" and name not in entries and "." in name:
        return ValueError(f"unknown student {shown(name)}: one of your own is written module:name")
    if name not in entries:
        return unknown_name("access level" if what == "access" else what, name, entries)
    text = write(given) if isinstance(given, Call) else given
    entry = entries[name]
    keys = ", ".join(each.name for each in entry.parameters)
    if not keys:
        return ValueError(f"{what} {name!r} has no parameters: {text!r} has")
    return ValueError(f"{what} {text!r}: must be like {entry.example!r}, {keys} in brackets")


def _recipe(given: Any, what: str, folder: Path) -> dict[str, Any]:
    call, entries = _called(given, what), _entries(what)
    if what == "student" and is_import(call.name):
        return import_recipe(call, folder)
    if call.name not in entries:
        raise _unlike(entries, call.name, given, what)
    entry = entries[call.name]
    said = _by_key(entry, call, what)
    if not isinstance(given, Mapping) and not call.arguments and not entry.complete:
        if "(" in str(given):
            raise _unlike(entries, call.name, given, what)
        raise ValueError(f"{what} {call.name!r} has parameters: {_way_out(entry)}")
    recipe: dict[str, Any] = {"name": call.name}
    for each in entry.parameters:
        if each.name in said:
            value = _value(entry, each, said[each.name], folder)
            if each.always or value != each.default:
                recipe[each.name] = value
        elif each.required:
            way_out = f"; {_way_out(entry)}" if each.kind.from_file else ""
            raise ValueError(f"{what} {call.name!r}: {each.name} is missing{way_out}")
        elif each.always:
            recipe[each.name] = each.default
    return recipe


def _value(entry: Entry, parameter: Parameter, given: Any, folder: Path) -> Any:
    try:
        return parameter.kind.read(given, parameter, folder)
    except _NoFile as error:
        raise ValueError(f"{error}; {_way_out(entry)}") from None


def _way_out(entry: Entry) -> str:
    graph = f", or '{entry.name}(file=edges.csv)'" if _GRAPH[0] in entry.parameters else ""
    return f"write {entry.example!r}{graph}"


def _by_key(entry: Entry, call: Call, what: str) -> dict[str, Any]:
    """Return the arguments by name; those without a keyword stand in the entry's order."""
    entries, names = _entries(what), [each.name for each in entry.parameters]
    files = [each.name for each in entry.parameters if each.kind.from_file]
    found: dict[str, Any] = {}
    for place, (key, value) in enumerate(call.arguments):
        name = key or next(iter(names[place:]), "")
        if key == "file" and files:
            name = files[0]
        if not name or name in found or not names:
            raise _unlike(entries, call.name, call, what)
        if name not in names:
            raise unknown_name(f"key of {what} {call.name!r}", name, names)
        found[name] = value
    return found


def _graph_of(recipe: Recipe) -> Recipe | None:
    """Return the student along a graph in this recipe: it needs the number of inputs."""
    if recipe["name"] == "grad_ful":
        return recipe
    base = recipe.get("student")
    return None if base is None else _graph_of(base)
