"""Every level and every student meets every verb: an answer of its own, or a refusal that names it.

What is walked comes from the catalogue, so that an entry that is added is walked too. The numbers
are held against what an enumeration of all transfer sets says, through `Access.reveal` and the
student's rule in plain Python alone. A simulation is compared within 6 standard errors: one of
fewer than 200 such comparisons is wrong by chance with a probability below 1e-6.
"""

from __future__ import annotations

import ast
import gc
import inspect
import itertools
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from grids import few_quick
from oracles import transfer_sets

import kt_theory as kt
from kt_theory import catalogue
from kt_theory.access import AccessError, Channel, Reach, Shows
from kt_theory.access.channel import AsIs
from kt_theory.catalogue import LEVELS, STUDENTS, brackets, channels, own, own_student
from kt_theory.catalogue.grammar import Call, parse, write
from kt_theory.exact.risk import ExactRisk
from kt_theory.limits.bracket import Bracket, Tail, Upper
from kt_theory.minimax import risk_terms
from kt_theory.queries.laws import Iid
from kt_theory.sweep import Spec

INPUTS, LABELS, N = 3, 5, 2
TV = 0.3
SIGMAS = 6.0
BASES = ["partial", "top_k(2)", "top_k_only(2)"]
REFUSALS = (ValueError, kt.NoExactRisk, AccessError)

ROWS = np.array([[0.36, 0.27, 0.19, 0.12, 0.06], [0.05, 0.1, 0.45, 0.22, 0.18]])
TEACHER = kt.Teacher(ROWS[[0, 0, 1]], [0.5, 0.3, 0.2])
FOUR = [[0.4, 0.3, 0.2, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4, 0.0], [0.25, 0.25, 0.25, 0.25, 0.0]]
MASKED = kt.Teacher(FOUR)
LAW = kt.queries.adaptive([1.0, 2.0, 1.0])


@pytest.fixture(autouse=True, scope="module")
def files(tmp_path_factory):
    """The files that the examples of the catalogue name, in the folder where the tests run."""
    folder = tmp_path_factory.mktemp("protocol")
    points = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        np.save("mask.npy", np.arange(LABELS) < LABELS - 1)
        np.save("groups.npy", np.array([0, 0, 1]))
        np.save("features.npy", points)
        np.save("distances.npy", np.linalg.norm(points[:, None] - points, axis=2))
        prior = pd.DataFrame([[0.3, 0.25, 0.2, 0.15, 0.1]] * INPUTS, columns=list("abcde"))
        prior.to_parquet("prior.parquet")
        Path("edges.csv").write_text("from,to\n0,1\n1,2\n")
        yield folder


def texts(entries):
    """Return the example of each entry, and behind a channel each base that it may have."""
    found = []
    for entry in entries.values():
        found.append(entry.example)
        if any(each.name == "of" for each in entry.parameters):
            example = parse(entry.example)
            given = example.arguments if isinstance(example, Call) else ()
            found += [write(Call(entry.name, (*given, ("of", parse(base))))) for base in BASES]
    return found


@cache
def level_of(text):
    return catalogue.level(text, INPUTS)


@cache
def student_of(text):
    return catalogue.student(text, INPUTS)


@cache
def own_of(text):
    """Return the level's own student, which shares its compiled rule with the student of its name."""
    return own_student(level_of(text), TEACHER)


def teacher_of(student):
    return MASKED if "masked" in student.name else TEACHER


@cache
def estimate(student, teacher):
    return kt.simulate(teacher, student, N, 4000, seed=3, progress=False).estimates[0]


def by_design(teacher, visits):
    """Yield (counts (S, A), probability) over all labels of queries at fixed inputs."""
    inputs = np.repeat(np.arange(INPUTS), visits)
    for labels in itertools.product(range(LABELS), repeat=len(inputs)):
        counts = np.zeros((INPUTS, LABELS), dtype=np.int64)
        np.add.at(counts, (inputs, labels), 1)
        yield counts, math.prod(teacher.pi[inputs, labels])


def answering(student, teacher):
    """Return the teacher whose labels are those that come back: pi C behind a confusion matrix."""
    confusion = student.access.channel.confusion(LABELS)
    return teacher if confusion is None else kt.Teacher(teacher.pi @ confusion, teacher.rho)


def enumerated(student, teacher, sets):
    """Return the expected loss over transfer sets, through what the access level reveals of each;
    the labels of the sets are those that come back (`answering`).
    """
    total, mixed = 0.0, student.access.channel.mixes_labels
    for counts, chance in sets:
        shown = student.access.reveal(counts, teacher.pi)
        seen = counts if mixed else student.access.seen_counts(counts, teacher.pi)
        table = student.table(seen, shown)
        total += chance * float(kt.total_variation(table, teacher.pi, teacher.rho))
    return total


@cache
def true_risk(student):
    """Return the risk after N samples, None where noise leaves no finite number of answers."""
    if student.access.channel.sigma > 0.0:
        return None
    teacher = teacher_of(student)
    return enumerated(student, teacher, transfer_sets(answering(student, teacher), N))


class Answer(NamedTuple):
    """What a verb says, and whose it says that it is."""

    whose: str
    value: object


def recorded(level, teacher, n=12):
    """Return records of a teacher that answers at a level, one query each, and their counts."""
    rng = np.random.default_rng(5)
    counts = np.zeros((INPUTS, LABELS), dtype=np.int64)
    inputs, labels, logs = [], [], []
    for s in np.arange(n) % INPUTS:
        one = np.zeros_like(counts)
        one[s, rng.choice(LABELS, p=teacher.pi[s])] = 1
        counts += one
        inputs.append(s)
        labels.append(int(level.seen_counts(one, teacher.pi)[s].argmax()))
        with np.errstate(divide="ignore"):
            logs.append(np.minimum(np.log(level.reveal(one, teacher.pi, rng)[s]), 0.0))
    stated = None if np.isnan(logs).all() else np.array(logs)
    names = [str(label) for label in range(LABELS)]
    return kt.TransferSet.from_arrays(inputs, labels, logprobs=stated, labels=names), counts


# Verbs of levels.


@cache
def plan_of_all():
    levels = [level_of(text) for text in texts(LEVELS)]
    return kt.plan(INPUTS, LABELS, TV, top=(), levels=levels).set_index("access")


def planned(text):
    row = plan_of_all().loc[level_of(text).name]
    return Answer(str(row.name), row["n"])


@cache
def worst_case(text):
    found = kt.samples_needed(level_of(text), INPUTS, LABELS, TV)
    return Answer(found.access, found)


@cache
def with_teacher(text):
    found = kt.samples_needed(level_of(text), teacher=TEACHER, tv=TV)
    return Answer(found.access, found)


def for_records(text):
    transfer, _ = recorded(level_of(text), TEACHER)
    found = kt.samples_needed(level_of(text), INPUTS, LABELS, TV, teacher=transfer)
    return Answer(found.access, found)


def named(verb):
    def ask(text):
        found = verb(level_of(text))
        return Answer(found.access, found)

    return ask


LEVEL_VERBS = {
    "minimax_risk": named(lambda level: kt.minimax_risk(level, INPUTS, LABELS, N)),
    "risk_terms": named(lambda level: risk_terms(level, INPUTS, LABELS)),
    "samples_needed": worst_case,
    "with confidence": named(
        lambda level: kt.samples_needed(level, INPUTS, LABELS, TV, confidence=0.9)
    ),
    "with a teacher": with_teacher,
    "with records": for_records,
    "plan": planned,
}


# Verbs of students.


def exactly(student):
    return Answer(student.name, kt.exact_risk(teacher_of(student), student, N))


def exactly_queried(student):
    return Answer(student.name, kt.exact_risk(teacher_of(student), student, N, queries=LAW))


def fitted(student):
    transfer, counts = recorded(student.access, teacher_of(student))
    copy = kt.fit(transfer, student)
    return Answer(copy.student, (copy, counts))


def in_a_lineage(student):
    frame = kt.generations.lineage(teacher_of(student), [(student, N)], 400, 1, progress=False)
    return Answer(frame["stage"][1], frame.loc[1])


def in_a_sweep(text):
    entry = {"family": "dirichlet", "inputs": INPUTS, "labels": LABELS, "seed": 2}
    cell = Spec(name="x", n=N, repeats=2, students=[text], teachers=[entry]).cells[0]
    built = catalogue.build_student(cell.student, INPUTS)
    return Answer(built.name, cell)


STUDENT_VERBS = {"exact_risk": exactly, "exact_risk of queries": exactly_queried, "fit": fitted}
"""But for `simulate` and `lineage`, whose rules take long to compile: see below."""


def answered(ask, subject, *names):
    """Return a verb's answer, which must be of one of these names; None for a refusal, which must
    say one.
    """
    try:
        found = ask(subject)
    except REFUSALS as error:
        words = str(error)
        assert any(name in words for name in names), f"a refusal that names nobody: {words}"
        assert len(words) > 30
        return None
    assert found.whose in names
    return found.value


ASKED = list(itertools.product(texts(LEVELS), LEVEL_VERBS))
SLOW = [
    *(("with confidence", name) for name in ("hard", "non_target", "noisy")),
    *(("with a teacher", name) for name in ("temperature(2, of=p", "quantised(4, of=p")),
]
"""A verb and names of levels that take it long; others of their kind are quick."""


def is_quick(text, verb):
    return not any(verb == slow and text.startswith(name) for slow, name in SLOW)


@pytest.mark.parametrize(
    ("text", "verb"), few_quick(ASKED, [asked for asked in ASKED if is_quick(*asked)])
)
def test_every_level_has_an_answer_of_its_own(text, verb):
    answered(LEVEL_VERBS[verb], text, level_of(text).name, own_of(text).name)


@pytest.mark.parametrize("verb", STUDENT_VERBS)
@pytest.mark.parametrize("text", texts(STUDENTS))
def test_every_student_has_an_answer_of_its_own(text, verb):
    student = student_of(text)
    answered(STUDENT_VERBS[verb], student, student.name, student.access.name)


@pytest.mark.parametrize("text", texts(STUDENTS))
def test_every_student_has_a_cell_of_its_own(text):
    cell = answered(in_a_sweep, text, student_of(text).name)
    again = catalogue.student(cell.student_name, INPUTS) if ".npy" not in text else None
    if again is not None and ".parquet" not in text:
        assert (again.name, again.access.name) == (
            student_of(text).name,
            student_of(text).access.name,
        )
    assert catalogue.student_access(cell.student) in (cell.access, student_of(text).access.name)


@pytest.mark.parametrize("text", texts(LEVELS))
def test_names_are_read_back_and_levels_are_ordered(text):
    level = level_of(text)
    assert catalogue.name_of(catalogue.level_recipe(text)) == write(parse(text)).replace("of=", "")
    if answered(lambda text: Answer(level.name, catalogue.level(level.name)), text, level.name):
        assert catalogue.level(level.name).covers(level)
        assert level.covers(catalogue.level(level.name))
    assert level.covers(level)
    assert level.covers(own_of(text).access)
    for other in texts(LEVELS):
        if level.covers(level_of(other)) and level_of(other).covers(level):
            same = other == text or level.recovers or level_of(other).recovers
            assert same, f"{text} and {other} are different levels"


# The numbers belong to whom they are said to be of.


@pytest.mark.parametrize("text", texts(STUDENTS))
def test_exact_risks_are_what_enumeration_says(text):
    student = student_of(text)
    teacher = teacher_of(student)
    risk = answered(exactly, student, student.name)
    if risk is not None:
        assert risk == pytest.approx(true_risk(student), abs=1e-12)
    queried = answered(exactly_queried, student, student.name)
    if queried is not None:
        sets = by_design(teacher, LAW.visits(N))
        assert queried == pytest.approx(enumerated(student, teacher, sets), abs=1e-12)


SLOW = {"affine_ful", "features", "relations", "masked", "grouped"}
SLOW |= {
    "laplace",
    "krichevsky_trofimov",
    "with_prior",
    "shrink",
    "good_turing",
    "add_c",
    "tempered_mle",
}
"""Students whose rules take a second or more to compile: those of whole tables, and some
that others are like."""


def by_compilation(text):
    return pytest.param(text, marks=pytest.mark.long) if text.split("(")[0] in SLOW else text


@pytest.mark.parametrize("text", [by_compilation(text) for text in texts(STUDENTS)])
def test_simulations_are_near_what_enumeration_says(text):
    student = student_of(text)
    true, found = true_risk(student), estimate(student, teacher_of(student))
    assert (found.student, found.access) == (student.name, student.access.name)
    stage = answered(in_a_lineage, student, student.name)
    if true is None:
        true, margin = found.mean, SIGMAS * found.std_error
    else:
        margin = 0.0
        assert abs(found.mean - true) <= SIGMAS * found.std_error + 1e-12
    assert abs(stage["to_truth"] - true) <= SIGMAS * stage["to_truth_se"] + margin + 1e-12


@pytest.mark.parametrize("text", texts(STUDENTS))
def test_copies_are_what_the_rule_writes(text):
    student = student_of(text)
    served = answered(fitted, student, student.name, student.access.name)
    if served is not None and student.access.channel.sigma == 0.0:
        copy, counts = served
        teacher = teacher_of(student)
        shown = student.access.reveal(counts, teacher.pi)
        table = student.table(student.access.seen_counts(counts, teacher.pi), shown)
        np.testing.assert_allclose(copy.pi, table, atol=1e-12)


@pytest.mark.parametrize("text", texts(LEVELS))
def test_the_own_student_of_a_level_is_the_one_of_its_name(text):
    level, own_one = level_of(text), own_of(text)
    assert own_one.access.covers(level)
    assert level.covers(own_one.access)
    risk = answered(exactly, own_one, own_one.name)
    if risk is not None:
        assert risk == pytest.approx(true_risk(own_one), abs=1e-12)


NOT_MINIMAX = {"ce_sgl", "non_target"}
"""Own students that are the most likely table instead."""


def worst_risk(student, teacher, n):
    """Return the exact risk on the worst teacher of a limit; 1 - 1/A of one that cannot answer so."""
    try:
        return kt.exact_risk(teacher.expand(), student, n)
    except ValueError:
        if student.name != "jacobian(2 features)":
            raise
        return 1.0 - 1.0 / LABELS


SLOW_BASES = ("noisy(0.1, of=top_k(2))", "quantised(4, of=top_k(2))")


@pytest.mark.parametrize(
    "text", few_quick(texts(LEVELS), [text for text in texts(LEVELS) if text not in SLOW_BASES])
)
def test_limits_terms_plans_and_risks_of_a_level_agree(text):
    level, own_one = level_of(text), own_of(text)
    terms = risk_terms(level, INPUTS, LABELS)
    for n in (N, 40):
        limit = kt.minimax_risk(level, INPUTS, LABELS, n)
        assert 0.0 <= limit.lower <= limit.upper <= 1.0 - 1.0 / LABELS + 1e-12
        assert terms.bound(n) >= limit.upper - 1e-12, (n, terms.bound(n), limit.upper)
        # Of mixed labels the exact risk is that of teachers of two labels.
        if own_one.exact is not None and not level.channel.mixes_labels:
            risk = kt.exact_risk(TEACHER, own_one, n)
            assert risk <= terms.bound(n) + 1e-12, n
            if own_one.name not in NOT_MINIMAX and limit.teacher is not None:
                assert limit.lower <= worst_risk(own_one, limit.teacher, n) + 1e-12, n
    found = worst_case(text).value
    assert planned(text).value == found.n or (found.n is None and pd.isna(planned(text).value))
    if found.n is not None:
        assert kt.minimax_risk(level, INPUTS, LABELS, found.n).upper <= TV + 1e-12
        assert found.lower <= found.n
    taught = with_teacher(text).value
    if taught.certificate == f"exact risk of {own_one.name} on this teacher" and taught.n:
        before, at = kt.exact_risk(TEACHER, own_one, [taught.n - 1, taught.n])
        assert at <= TV < before


# Nothing is left out.


def kinds(base):
    """Return the classes below another one that the package defines."""
    found = [one for one in base.__subclasses__() if one.__module__.startswith("kt_theory.")]
    return found + [kind for one in found for kind in kinds(one)]


def patterns(module):
    """Return the names of the classes in the cases of a module."""
    tree = ast.parse(inspect.getsource(module))
    found = [node.cls for node in ast.walk(tree) if isinstance(node, ast.MatchClass)]
    return {ast.unparse(name).split(".")[-1] for name in found}


MATCHED = [
    *((kind, module) for kind in kinds(Shows) + kinds(Reach) for module in (own, brackets)),
    *((kind, channels) for kind in kinds(Channel)),
]


def described(pair):
    return f"{pair[0].__name__} in {pair[1].__name__.split('.')[-1]}"


@pytest.mark.parametrize(("kind", "module"), MATCHED, ids=map(described, MATCHED))
def test_every_kind_has_a_case(kind, module):
    assert kind.__name__ in patterns(module)


class Absent:
    """What no level is made of."""


def without(module, kind):
    """Return the namespace of a module whose cases do not know a kind."""

    class Forget(ast.NodeTransformer):
        def visit_MatchClass(self, node):
            if ast.unparse(node.cls).split(".")[-1] != kind.__name__:
                return node
            return ast.MatchClass(ast.Name("Absent", ast.Load()), [], [], [])

    tree = ast.fix_missing_locations(Forget().visit(ast.parse(inspect.getsource(module))))
    space = {"__name__": "kt_theory.catalogue.in_part", "Absent": Absent}
    exec(compile(tree, module.__name__, "exec"), space)
    return space


def level_with(kind):
    """Return a level of the catalogue with a part of this kind, as plain as there is one."""
    levels = sorted(map(level_of, texts(LEVELS)), key=lambda level: level.channel != AsIs())
    return next(one for one in levels if kind in map(type, (one.shows, one.channel, one.reach)))


@pytest.mark.parametrize(("kind", "module"), MATCHED, ids=map(described, MATCHED))
def test_a_kind_without_a_case_is_an_error_and_never_taken_for_another(kind, module):
    space, level = without(module, kind), level_with(kind)
    asked = {
        own: [lambda: space["own_student"](level)],
        brackets: [lambda: space["bracket"](level, INPUTS, LABELS)],
        channels: [
            lambda: space["channel_student"](level),
            lambda: space["channel_bracket"](level.channel),
        ],
    }
    for ask in asked[module]:
        with pytest.raises(AssertionError, match="unreachable"):
            ask()


ABSTRACT = [Shows, Channel, Reach, ExactRisk, Bracket, Upper, Tail, Iid.__base__]


@pytest.mark.parametrize("base", ABSTRACT, ids=lambda base: base.__name__)
def test_a_class_that_lacks_a_method_makes_no_object(base):
    taken = 0
    for kind in kinds(base):
        for name in vars(kind).keys() & set().union(
            *(one.__abstractmethods__ for one in kind.__bases__)
        ):
            space = {key: value for key, value in vars(kind).items() if key != name}
            for key in ("__dict__", "__weakref__", "_abc_impl"):
                space.pop(key, None)
            less = type(kind)(kind.__name__, kind.__bases__, space | {"__module__": "trial"})
            with pytest.raises(TypeError, match=f"abstract.* {name}"):
                less()
            taken += 1
    assert taken >= 2


def test_a_kind_that_is_not_among_the_kinds_does_not_load():
    text = Path(kt.access.__file__).read_text()
    for kind in ("Trial(Shows)", "Trial(Channel)", "Trial(Reach)"):
        added = text.replace("for _part", f"class {kind}:\n    pass\n\nfor _part")
        with pytest.raises(TypeError, match="its kinds are not those of"):
            exec(compile(added, "access", "exec"), {"__name__": "trial"})
    gc.collect()
