"""Hypothesis strategies: teachers, query laws, access levels, students."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import catalogue
from kt_theory.access import Access
from kt_theory.catalogue.grammar import Call, parse, write
from kt_theory.catalogue.names import (
    GRAPH,
    LEVEL,
    NOISE,
    NUMBER,
    OBJECTIVE,
    STUDENT,
    WHOLE,
    Entry,
    Parameter,
)
from kt_theory.queries import adaptive, chain, episodes, iid, oracle, two_stage
from kt_theory.queries.laws import QueryLaw
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.validation import true_or_false, whole_number

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_PLAIN = (WHOLE, NUMBER, NOISE)
_NAMED = {STUDENT: "student", LEVEL: "level", OBJECTIVE: "objective"}


def teachers(
    max_inputs: int = 4, max_labels: int = 5, *, zeros: bool = True
) -> SearchStrategy[Teacher]:
    """Return a Hypothesis strategy of teachers: generic ones, point masses, ties, zero labels and
    zero inputs.

    Parameters
    ----------
    max_inputs, max_labels : int
    zeros : bool
        Whether labels and inputs may have probability 0; some students refuse such teachers.
    """
    from hypothesis import strategies as st

    least = 0 if true_or_false(zeros, "zeros") else 1

    @st.composite
    def build(draw: Any) -> Teacher:
        inputs, labels = draw(st.integers(1, max_inputs)), draw(st.integers(1, max_labels))
        pi = draw(st.lists(_weights(labels, least), min_size=inputs, max_size=inputs))
        return Teacher(
            np.array(pi, dtype=np.float64),
            np.array(draw(_weights(inputs, least)), dtype=np.float64),
            normalise=True,
        )

    return build()


def query_laws(teacher: Teacher) -> SearchStrategy[QueryLaw]:
    """Return a Hypothesis strategy of query laws for the inputs of a teacher: iid (under rho or
    another law), chains and episodes, adaptive designs, the oracle, two stages; one to three labels
    per query.
    """
    from hypothesis import strategies as st

    inputs = teacher.inputs

    @st.composite
    def build(draw: Any) -> QueryLaw:
        m = draw(st.integers(1, 3))
        kind = draw(st.sampled_from(["rho", "iid", "chain", "episodes", "adaptive", "oracle", "2"]))
        if kind == "rho":
            return iid(labels_per_query=m)
        if kind == "oracle":
            return oracle(teacher, labels_per_query=m)
        if kind == "2":
            return two_stage(draw(st.sampled_from([0.1, 0.25, 0.5])), labels_per_query=m)
        if kind == "iid":
            return iid(draw(_law(inputs)), labels_per_query=m)
        if kind == "adaptive":
            return adaptive(draw(_law(inputs)), labels_per_query=m)
        steps = np.array([draw(_law(inputs)) for _ in range(inputs)])
        start = draw(_law(inputs))
        if kind == "chain":
            return chain(steps, start, labels_per_query=m)
        return episodes(steps, start, draw(st.integers(1, 4)), labels_per_query=m)

    return build()


def levels(inputs: int | None = None) -> SearchStrategy[Access]:
    """Return a Hypothesis strategy of access levels: every entry of the catalogue that needs no
    file, with random parameters.

    Parameters
    ----------
    inputs : int, optional
        Of the teacher; levels along a graph are left out without it.
    """
    size = None if inputs is None else whole_number(inputs, "inputs", low=1)
    names = _names("level", graphs=size is not None)
    return names.map(lambda name: _built(catalogue.level, name, size)).filter(_there)


def students(inputs: int | None = None, *, parameters: bool = True) -> SearchStrategy[Student]:
    """Return a Hypothesis strategy of students: every entry of the catalogue that needs no file, by
    a random name of its grammar, such as rounded(0.31, top_k(2)).

    Parameters
    ----------
    inputs : int, optional
        Of the teacher; students along a graph are left out without it.
    parameters : bool
        Whether to draw students with parameters too. Each of them is compiled anew where it is
        simulated, for about a second; `exact_risk` and `Student.table` compile nothing.
    """
    size = None if inputs is None else whole_number(inputs, "inputs", low=1)
    names = _names("student", graphs=size is not None)
    if not true_or_false(parameters, "parameters"):
        names = names.filter(lambda name: "(" not in name)
    return names.map(lambda name: _built(catalogue.student, name, size)).filter(_there)


def _there(made: Any) -> bool:
    return made is not None


def _built(build: Any, name: str, inputs: int | None) -> Any:
    """Return what a name means, None if its parameters do not go together."""
    try:
        return build(name, inputs)
    except ValueError:
        return None


def _weights(width: int, least: int) -> SearchStrategy[list[int]]:
    from hypothesis import strategies as st

    return st.lists(st.integers(least, 6), min_size=width, max_size=width).filter(any)


def _law(width: int) -> SearchStrategy[np.ndarray]:
    """Return a strategy of laws without zeros."""
    return _weights(width, 1).map(lambda weights: np.array(weights) / sum(weights))


def _tables() -> dict[str, dict[str, Any]]:
    return {
        "student": catalogue.STUDENTS,
        "level": catalogue.LEVELS,
        "objective": catalogue.OBJECTIVES,
    }


def _names(what: str, *, graphs: bool, deep: bool = True) -> SearchStrategy[str]:
    """Return a strategy of names with their parameters; `deep`: some hold another name."""
    from hypothesis import strategies as st

    entries = [
        entry
        for entry in _tables()[what].values()
        if all(_offered(each, graphs=graphs, deep=deep) for each in entry.parameters)
    ]

    @st.composite
    def build(draw: Any) -> str:
        entry: Entry = draw(st.sampled_from(entries))
        given = []
        for each in entry.parameters:
            if each.required or draw(st.booleans()):
                given.append((each.name, draw(_values(each))))
        return write(Call(entry.name, tuple(given))) if given else entry.name

    return build()


def _offered(parameter: Parameter, *, graphs: bool, deep: bool) -> bool:
    """Return whether a parameter can be drawn, or left out."""
    if not parameter.required or parameter.kind in _PLAIN:
        return True
    return graphs if parameter.kind == GRAPH else parameter.kind in _NAMED and deep


def _values(parameter: Parameter) -> SearchStrategy[Any]:
    """Return a strategy of values near the catalogue's example; what it refuses is drawn again."""
    from hypothesis import strategies as st

    kind = parameter.kind
    if kind == WHOLE:
        return st.integers(0, 2 * int(parameter.example))
    if kind in _PLAIN:
        return st.integers(1, 200).map(lambda part: float(f"{parameter.example * part / 100:.3g}"))
    if kind in _NAMED:
        return _names(_NAMED[kind], graphs=False, deep=False).map(parse)
    return st.just(parameter.example)
