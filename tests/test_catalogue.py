"""Names of levels and students: printed ones are read back, entries are whole, errors help."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory import access, catalogue, graphs, students
from kt_theory.catalogue import (
    LEVELS,
    OBJECTIVES,
    STUDENTS,
    level,
    name_of,
    names,
    own_student,
    student,
    student_recipe,
)
from kt_theory.catalogue.grammar import Call, parse, split, write
from kt_theory.cli import main
from kt_theory.limits import paper as bounds
from kt_theory.sweep import Spec, load, run

INPUTS = 3
BASES = [access.SOFT, access.PARTIAL, access.top_k(2), access.top_k(2, sampled=False)]
CHANNELS = {
    access.temperature: 2.0,
    access.rounded: 0.5,
    access.quantised: 4,
    access.noisy: 0.1,
}
PLAIN = [access.HARD, access.NON_TARGET, access.ARGMAX, access.true_logits(), *BASES]
SHOWN = [make(amount, base) for make, amount in CHANNELS.items() for base in BASES]
ALL = [*PLAIN, *SHOWN, *map(access.logits, BASES)]
GRAPHS = [
    graphs.path(5),
    graphs.cycle(5),
    graphs.complete(3),
    graphs.grid(2, 3),
    graphs.hypercube(2),
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the examples of the catalogue name, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    np.save("mask.npy", np.array([True, True, False]))
    np.save("groups.npy", np.array([0, 0, 1]))
    points = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
    np.save("features.npy", points)
    np.save("distances.npy", np.linalg.norm(points[:, None] - points, axis=2))
    pd.DataFrame([[0.5, 0.3, 0.2]] * 3, columns=list("abc")).to_parquet("prior.parquet")
    Path("edges.csv").write_text("from,to\n0,1\n1,2\n")
    return tmp_path


# Printed names.


@pytest.mark.parametrize("shown", ALL, ids=lambda level: level.name)
def test_levels_are_read_as_they_are_printed(shown):
    assert level(shown.name) == shown
    assert level(shown.name).name == shown.name


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_graphs_are_read_as_they_are_printed(graph):
    printed = access.gradient(graph, 2)
    again = level(printed.name)
    assert again.name == printed.name
    assert again.covers(printed)
    assert printed.covers(again)
    assert student(students.grad_ful(graph, 2).name).name == students.grad_ful(graph, 2).name


MADE = [
    *students.NAMED.values(),
    *(students.top_k(k) for k in (0, 5)),
    students.top_k(3, sampled=False),
    *(students.add_c(c) for c in (0.0, 0.5, 1e-7, 1e100)),
    students.tempered_mle(2.0),
    *(students.hinton(*amounts) for amounts in ((0.5,), (0.5, 2.0), (0.0,))),
    *(students.rounded(0.5, base) for base in BASES),
    *(students.quantised(4, base) for base in BASES),
    *(students.noisy(0.1, base) for base in BASES),
    *(students.logits(base) for base in BASES),
    *(students.tempered(2.0, believed, base) for base in BASES for believed in (None, 1.0)),
    own_student(access.true_logits()),
]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_students_are_read_as_they_are_printed(made):
    again = student(made.name)
    assert (again.name, again.access) == (made.name, made.access)
    counts = np.array([[3, 0, 1, 0], [0, 0, 0, 0]])
    pi = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])
    shown = made.access.reveal(counts, pi, np.random.default_rng(0))
    seen = made.access.seen_counts(counts, pi)
    np.testing.assert_array_equal(made.table(seen, shown), again.table(seen, shown))
    label = name_of(student_recipe(made.name))
    assert student_recipe(label) == student_recipe(made.name)


UNNAMED = [
    (lambda: students.masked("ce_sgl", [True, False, True]), "masked(ce_sgl, mask.npy)"),
    (lambda: students.masked(students.top_k(2), [True] * 3), "masked(ce_sgl, mask.npy)"),
    (lambda: students.grouped("sel_ptl", [0, 0, 1]), "grouped(ce_sgl, groups.npy)"),
    (lambda: students.with_prior("soft", [[0.5, 0.5]]), "with_prior(ce_sgl, prior.parquet)"),
    (lambda: students.shrink([[0.5, 0.5]], 5.0), "shrink(prior.parquet, 5)"),
    (lambda: students.shrink([[0.5, 0.5]], [5.0]), "shrink(prior.parquet, 5)"),
    (lambda: students.jacobian([[1.0], [2.0]]), "jacobian(features.npy)"),
    (lambda: students.affine_ful([[1.0], [2.0]]), "affine_ful(features.npy)"),
    (lambda: students.features([[1.0], [2.0]], "hard"), "features(features.npy)"),
    (lambda: students.features([[1.0]], "sampled", shipped=False), "features(features.npy)"),
    (lambda: students.relations([[0.0, 1.0], [1.0, 0.0]]), "relations(distances.npy)"),
]


@pytest.mark.parametrize(("make", "way_out"), UNNAMED, ids=range(len(UNNAMED)))
def test_printed_names_of_what_has_no_name_say_that_a_file_has_it(make, way_out, files):
    with pytest.raises(ValueError, match=re.escape(way_out)):
        student(make().name)
    assert isinstance(student(way_out), kt.Student)


def test_the_jacobian_and_graphs_of_ones_own_need_files(files):
    own = graphs.nearest_neighbours([[0.0], [1.0], [3.0]], 1)
    for printed in (access.jacobian(np.ones((3, 2))).name, access.gradient(own).name,
                    access.gradient(np.ones((3, 3))).name):  # fmt: skip
        with pytest.raises(ValueError, match=r"\.npy|file=edges\.csv"):
            level(printed)
    assert level("jacobian(features.npy)").covers(access.jacobian(np.load("features.npy")))


# The grammar.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("soft", "soft"),
        ("top_k(5)", Call("top_k", (("", 5),))),
        (" top_k ( k = 5 ) ", Call("top_k", (("k", 5),))),
        ("rounded(1e-3)", Call("rounded", (("", 1e-3),))),
        ("add_c(-1)", Call("add_c", (("", -1),))),
        ("a(b(1), c=d(e=2))", Call("a", (("", Call("b", (("", 1),))), ("c", Call("d", (("e", 2),)))))),
        ("a('x y.npy', \"it's.npy\")", Call("a", (("", "x y.npy"), ("", "it's.npy")))),
        ("a(../b/c-1.npy)", Call("a", (("", "../b/c-1.npy"),))),
        ("noisy(0.1) soft", Call("noisy", (("", 0.1), ("of", "soft")))),
        ("logits partial", Call("logits", (("of", "partial"),))),
        ("tempered(2 as 1) soft", Call("tempered", (("", 2), ("", 1), ("of", "soft")))),
        ("jacobian(3 features)", Call("jacobian", (("", "3 features"),))),
        ("logits partial masked", Call("masked", (("student", Call("logits", (("of", "partial"),))),))),
        ("ce_ful with prior", Call("with_prior", (("student", "ce_ful"),))),
    ],
)  # fmt: skip
def test_the_grammar(text, found):
    assert parse(text) == found


WORDS = st.from_regex(r"[a-z_][a-z_0-9]{0,5}", fullmatch=True).filter(
    lambda word: word not in {"as", "inf", "nan", "infinity", "masked", "grouped"}
)
VALUES = st.recursive(
    st.integers(-999, 999) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.builds(
        Call, WORDS, st.lists(st.tuples(WORDS | st.just(""), inner), max_size=3).map(tuple)
    ),
)


@given(VALUES)
def test_what_is_written_is_read(value):
    assert parse(write(value)) == value


@pytest.mark.parametrize(
    "text", ["", "(", "a(", "a)", "a(1", "a(1,)", "a(,1)", "a(1)(2)", "a('b", "a(=1)", "a((1))"]
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match=r"missing|open|left over"):
        parse(text)
    with pytest.raises(ValueError, match=r"student|access level"):
        student(text)


def test_lists_of_names_are_split_outside_of_brackets():
    assert split("ce_sgl,rounded(0.5, top_k(5)), hinton(0.5, 2)") == [
        "ce_sgl",
        "rounded(0.5, top_k(5))",
        "hinton(0.5, 2)",
    ]


def test_texts_keywords_and_tables_mean_the_same():
    nested = [
        "rounded(0.5, top_k(5))",
        "rounded(0.5) top_k(5)",
        "rounded(step=0.5, of=top_k(k=5))",
        {"name": "rounded", "step": 0.5, "of": {"name": "top_k", "k": 5}},
        {"name": "rounded", "of": "top_k(5)", "step": 0.5},
    ]
    assert {json.dumps(student_recipe(given)) for given in nested} == {
        json.dumps({"name": "rounded", "step": 0.5, "of": "top_k(5)"})
    }
    assert len({level(given) for given in nested}) == 1


# The tables.


def test_every_student_and_every_level_of_the_package_has_an_entry():
    makers = {
        name
        for name in kt.students.__all__
        if inspect.isfunction(getattr(students, name))
        and inspect.signature(getattr(students, name)).return_annotation == "Student"
    }
    assert makers | set(students.NAMED) | {"top_k_only", "true_logits"} == set(STUDENTS)
    levels = {
        name
        for name in access.__all__
        if inspect.isfunction(getattr(access, name))
        and inspect.signature(getattr(access, name)).return_annotation == "Access"
    }
    named = {"hard", "partial", "soft", "non_target", "argmax", "top_k_only"}
    assert levels - {"as_access"} | named == set(LEVELS)


def test_an_entry_that_lacks_a_field_is_an_error_when_the_package_loads():
    """Each call is tried alone, among the names of the module, whose loading makes all of them."""
    kinds = {"LevelEntry", "StudentEntry", "ObjectiveEntry", "Parameter", "Kind"}
    taken = 0
    calls = list(_made_on_loading(ast.parse(Path(names.__file__).read_text()), kinds))
    for call in calls:
        for part in [*call.args, *call.keywords]:
            place = call.args if part in call.args else call.keywords
            at = place.index(part)
            del place[at]
            with pytest.raises(TypeError, match="missing"):
                _value(call)
            place.insert(at, part)
            taken += 1
        assert _value(call)
    assert len(calls) > 60
    assert taken > 250


def _made_on_loading(node, kinds):
    """Yield the calls of `kinds` outside functions, the outer ones first."""
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in kinds:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _made_on_loading(child, kinds)


def _value(call):
    given = {**vars(names), "name": "ce_sgl"}  # which one of a loop's calls names
    return eval(compile(ast.Expression(call), "catalogue.py", "eval"), given)


@pytest.mark.parametrize(
    "entries", [LEVELS, STUDENTS, OBJECTIVES], ids=["levels", "students", "objectives"]
)
def test_a_field_that_says_nothing_is_an_error_too(entries):
    for entry in entries.values():
        for whole in (entry, *entry.parameters, *(each.kind for each in entry.parameters)):
            for field in fields(whole):
                if field.name != "default":
                    with pytest.raises(ValueError, match=f"{field.name} is missing"):
                        replace(whole, **{field.name: None})


@pytest.mark.parametrize("name", STUDENTS)
def test_the_example_of_every_student_works(name, files):
    entry = STUDENTS[name]
    made = student(entry.example, INPUTS)
    assert made.name
    if not entry.complete:
        with pytest.raises(ValueError, match=re.escape(f"write {entry.example!r}")):
            student(name)
    recipe = student_recipe(entry.example)
    assert student_recipe(name_of(recipe)) == recipe
    json.dumps(recipe)
    longest = write(Call(name, tuple((each.name, each.example) for each in entry.parameters)))
    assert student(longest if entry.parameters else name, INPUTS).name


@pytest.mark.parametrize("name", LEVELS)
def test_the_example_of_every_level_works_and_its_student_is_its_own(name, files):
    entry = LEVELS[name]
    made = level(entry.example, INPUTS)
    own = own_student(made)
    assert made.covers(own.access)
    assert own.access.covers(made)
    assert own.name == student(entry.example.replace(name, entry.student, 1), INPUTS).name
    assert STUDENTS[entry.student].parameters[:1] == entry.parameters[:1]
    if not entry.complete:
        with pytest.raises(ValueError, match=re.escape(f"write {entry.example!r}")):
            level(name)


@pytest.mark.parametrize("shown", ALL, ids=lambda level: level.name)
def test_every_level_has_a_student_that_sees_what_it_shows(shown):
    own = own_student(shown)
    assert own.access == shown
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.ones(4), 2))
    found = kt.simulate(teacher, own, 5, 200, progress=False).estimates[0]
    assert 0.0 <= found.mean < 1.0


def test_greedy_labels_are_hedged_where_no_label_stands_out():
    assert own_student(access.ARGMAX).name == "argmax_hedged"
    assert own_student(access.ARGMAX, kt.Teacher([[0.98, 0.01, 0.01]])).name == "argmax"
    assert own_student(access.ARGMAX, kt.Teacher([[0.4, 0.3, 0.3]])).name == "argmax_hedged"


def test_the_student_of_true_logits_is_right_and_a_channel_along_a_graph_is_refused():
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.ones(4), 6))
    features = students.features(np.random.default_rng(0).normal(size=(6, 2)), "sampled")
    found = kt.samples_needed(features.access, teacher=teacher, tv=0.1)
    own = own_student(features.access, teacher)
    assert kt.exact_risk(teacher, own, found.n) <= 0.1 < kt.exact_risk(teacher, own, found.n - 1)
    estimate = kt.simulate(teacher, own, found.n, 20_000, seed=4, progress=False).estimates[0]
    gap = abs(estimate.mean - kt.exact_risk(teacher, own, found.n))
    assert gap < 6 * estimate.std_error < 0.003
    along = access.gradient(graphs.path(3))
    with pytest.raises(ValueError, match="no student of its own: where a query reveals other rows"):
        own_student(access.Access(along.shows, access.rounded(0.5).channel, along.reach))


def test_default_students_are_those_that_a_level_allows():
    def names(granted):
        return [one.name for one in catalogue.default_students(granted)]

    assert names(None) == ["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"]
    assert names(access.HARD) == ["ce_sgl"]
    assert names(access.NON_TARGET) == ["ce_sgl", "non_target"]
    assert names(level("top_k_only(2)")) == ["argmax", "argmax_hedged"]


def test_theorem_tables_follow_from_the_theorems():
    lower = {name: bounds.lower_of(name) for name in ("hard", "partial", "soft", "top_k(1)", "any")}
    assert lower == {"hard": "3.1", "partial": "4.1", "soft": "5.1", "top_k(1)": None, "any": None}
    upper = {name: bounds.upper_of(name) for name in ("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful")}
    assert upper == {
        "ce_sgl": "3.2-mean",
        "ce_ptl": None,
        "sel_ptl": "4.4-mean",
        "ce_ful": "5.2-mean",
    }


# Files.


def test_graphs_come_from_lists_of_edges_and_adjacency_matrices(files):
    import scipy.sparse as sp

    wanted = graphs.path(3).adjacency.toarray()
    np.save("dense.npy", wanted.astype(float))
    np.savez("dense.npz", wanted)
    sp.save_npz("sparse.npz", sp.csr_matrix(wanted.astype(float)))
    Path("bare.csv").write_text("0,1\n\n2,1\n")
    for file in ("edges.csv", "bare.csv", "dense.npy", "dense.npz", "sparse.npz"):
        for text in (f"gradient(file={file})", f"gradient({file}, 1)", f"gradient(graph={file})"):
            made = level(text)
            assert made.name == f"gradient({file}, 1)"
            np.testing.assert_array_equal(made.reach.graph.adjacency.toarray(), wanted)
        assert student(f"grad_ful(file={file}, hops=2)").name == f"grad_ful({file}, 2)"
        assert student({"name": "grad_ful", "file": file}).name == f"grad_ful({file}, 1)"
    assert level("gradient(edges.csv)", 5).reach.graph.vertices == 5


def test_tables_come_from_the_formats_that_teachers_do(files):
    prior = [[0.5, 0.3, 0.2]] * 3
    np.save("prior.npy", prior)
    Path("prior.csv").write_text("a,b,c\n" + "0.5,0.3,0.2\n" * 3)
    for file in ("prior.parquet", "prior.npy", "prior.csv"):
        np.testing.assert_array_equal(student(f"shrink({file}, 5)").prior, prior)
    np.savetxt("mask.csv", [[1, 1, 0]], delimiter=",", fmt="%d")
    np.savetxt("groups.csv", [0, 0, 1], fmt="%d")
    np.savetxt("features.csv", [[0.0], [1.0], [3.0]])
    for text in ("masked(ce_sgl, mask.csv)", "grouped(ce_sgl, groups.csv)"):
        kept = student(text.replace(".csv", ".npy"))
        counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 0]])
        np.testing.assert_array_equal(
            student(text).table(counts, np.full((3, 3), np.nan)),
            kept.table(counts, np.full((3, 3), np.nan)),
        )
    assert student("features(features.csv, hard)").sizes == (3, None)


def test_a_sweep_counts_files_by_their_content(files, tmp_path):
    def cells(mask):
        return Spec(
            name="x", n=5, repeats=2, students=[f"masked(ce_sgl, {mask})"], teachers=teachers
        ).cells

    teachers = [{"family": "uniform", "inputs": 3, "labels": 3}]
    Path("same.npy").write_bytes(Path("mask.npy").read_bytes())
    np.save("other.npy", np.array([True, False, True]))
    assert cells("mask.npy")[0].id == cells("same.npy")[0].id != cells("other.npy")[0].id
    assert cells("mask.npy")[0].student_name == "masked(ce_sgl, mask.npy)"
    planned = cells("same.npy")[0].student
    np.save("same.npy", np.array([True, False, True]))
    names._known_student.cache_clear()
    with pytest.raises(ValueError, match=r"same.npy has changed since the sweep was planned"):
        catalogue.build_student(planned)


def test_a_sweep_keeps_every_digit_of_what_stands_beside_a_file(files, tmp_path):
    Path("x.toml").write_text(
        'name = "x"\nrepeats = 2\nn = 6\nstudents = ["shrink(prior.parquet, 0.123456789)"]\n'
        '[[teachers]]\nfamily = "uniform"\ninputs = 3\nlabels = 3\n'
    )
    cell = Spec.read("x.toml").cells[0]
    assert cell.student["weight"] == 0.123456789
    assert cell.student["table"]["file"] == str(tmp_path.resolve() / "prior.parquet")


def test_a_sweep_runs_students_from_files_beside_it(files, tmp_path, monkeypatch):
    folder = tmp_path / "specs"
    folder.mkdir()
    for file in tmp_path.glob("*.*"):
        file.rename(folder / file.name)
    (folder / "x.toml").write_text(
        'name = "x"\nrepeats = 400\nn = 6\naccess = ["gradient(file=edges.csv, hops=2)", "soft"]\nstudents = ["ce_ful",'
        ' "masked(ce_sgl, mask.npy)", "with_prior(sel_ptl, prior.parquet)", "grad_ful(file=edges.csv)",'
        ' "shrink(prior.parquet, 3)", {name = "grouped", student = "ce_ful", file = "groups.npy"}]\n'
        '[[teachers]]\nfamily = "uniform"\ninputs = [3, 4]\nlabels = 3\n'
    )
    spec = Spec.read(folder / "x.toml")
    run(spec, tmp_path / "out", workers=1, progress=False)
    frame = load(tmp_path / "out", exact=True)
    done = frame[frame["inputs"] == 3]
    assert set(done["status"]) == {"done"}
    assert set(done["student"]) == {
        "ce_ful",
        "masked(ce_sgl, mask.npy)",
        "with_prior(sel_ptl, prior.parquet)",
        "grad_ful(edges.csv, 1)",
        "shrink(prior.parquet, 3)",
        "grouped(ce_ful, groups.npy)",
    }
    assert set(done["access"]) == {"soft", "hard", "partial", "gradient(edges.csv, 1)"}
    four = frame[frame["inputs"] == 4].set_index("student")["status"]
    assert four["with_prior(sel_ptl, prior.parquet)"] == "not defined"
    assert four["ce_ful"] == "done"


# Errors.


ERRORS = [
    (level, "gradient", "write 'gradient(path, 1)', or 'gradient(file=edges.csv)'"),
    (level, "gradient(path, 1)", "as in path(5)"),
    (level, "gradient(pat)", "did you mean 'path'"),
    (level, "gradient(no.csv)", "no.csv"),
    (level, "gradient(path(2, 3))", "graph = 'path(2, 3)': must be like 'path(5)'"),
    (level, "gradient(grid(2.5, 3))", "shape = 2.5: must be a whole number"),
    (level, "rounded(" * 9999, "must be like 'rounded(0.5)'"),
    (level, "top_k(-1)", "k = -1: must be at least 0"),
    (level, "rounded(much)", "step = 'much': must be a number from 1e-15 to 1000"),
    (level, "rounded(1, 2, 3)", "must be like 'rounded(0.5)', step, of in brackets"),
    (level, "rounded(0.5, of=rounded(0.5))", "must reveal probabilities as they are"),
    (level, 5, "must be a name"),
    (student, "ce_sgl(5)", "student 'ce_sgl' has no parameters"),
    (student, "masked(nobody, mask.npy)", "unknown student 'nobody'"),
    (student, "masked(ce_sgl, 3)", "mask = 3: must be a file of 0 and 1, for each label; write"),
    (student, "masked(ce_sgl, many.npz)", "many.npz holds 2 arrays: must hold one"),
    (student, "masked(ce_sgl, text.csv)", "text.csv cannot be read as an array of numbers"),
    (student, "shrink(prior.parquet)", "weight is missing"),
    (student, "features(features.npy, soft)", "unknown targets 'soft'"),
    (student, "grad_ful(bad.csv)", "bad.csv, line 2: '1;2': must be two inputs, such as 0,1"),
    (student, "grad_ful(far.csv)", "far.csv, line 1: '0,9': there are 3 inputs, from 0"),
]


@pytest.mark.parametrize(("read", "given", "words"), ERRORS, ids=range(len(ERRORS)))
def test_errors_are_one_line_with_a_way_out(read, given, words, files):
    np.savez("many.npz", np.ones(2), np.ones(3))
    Path("text.csv").write_text("yes,no\n")
    Path("bad.csv").write_text("0,1\n1;2\n")
    Path("far.csv").write_text("0,9\n")
    inputs = None if "(path" in str(given) else INPUTS
    with pytest.raises((ValueError, OSError), match=re.escape(words)) as raised:
        read(given, inputs)
    assert "\n" not in str(raised.value)


# Commands.


def shell(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_limits_along_a_graph_need_it_and_print_it(files):
    size = ["limits", "--inputs", 3, "--labels", 4, "--n", 10]
    refused = shell(*size, "--level", "gradient")
    assert refused.exit_code == 2
    assert "write 'gradient(path, 1)', or 'gradient(file=edges.csv)'" in refused.output
    for text, printed in (("gradient(path, 1)", "gradient(path(3), 1)"),
                          ("gradient(file=edges.csv)", "gradient(edges.csv, 1)")):  # fmt: skip
        shown = shell(*size, "--level", text).output
        row = next(line for line in shown.splitlines() if printed in line)
        limit = kt.minimax_risk("gradient", labels=4, n=10, graph=graphs.path(3))
        assert f"{limit.lower:.4g}" in row
        assert row.endswith("yes")
        assert len([line for line in shown.splitlines() if printed in line]) == 2


def test_plans_along_a_graph_have_a_price(files):
    words = ["plan", "--inputs", 5, "--labels", 3, "--tv", 0.3, "--level", "gradient(cycle, 1)"]
    shown = shell(*words, "--price", "gradient(graph=cycle)=2", "--price", "hard=1")
    assert shown.exit_code == 0, shown.output
    number = kt.samples_needed("gradient", labels=3, tv=0.3, graph=graphs.cycle(5)).n
    row = next(
        line for line in shown.output.splitlines() if line.startswith("gradient(cycle(5), 1)")
    )
    assert row.split()[-3:] == [str(number), str(2 * number), "True"]


def test_risks_take_nested_names_and_files(files):
    np.save("table.npy", np.array([[0.5, 0.3, 0.2]] * 3))
    names = (
        "ce_sgl,rounded(0.5, top_k(1)),with_prior(sel_ptl, prior.parquet),grad_ful(file=edges.csv)"
    )
    shown = shell("risk", "table.npy", "--n", 5, "--repeats", 20, "--students", names)
    assert shown.exit_code == 0, shown.output
    for name in ("ce_sgl", "rounded(0.5) top_k(1)", "sel_ptl with prior", "grad_ful(edges.csv, 1)"):
        assert name in shown.output
    granted = [
        "risk",
        "table.npy",
        "--n",
        5,
        "--repeats",
        20,
        "--students",
        "grad_ful(path)",
        "--access",
    ]
    assert shell(*granted, "gradient(path, 1)").exit_code == 0
    assert "needs access" in shell(*granted, "gradient(path, 0)").output


@pytest.mark.parametrize("name", STUDENTS)
def test_fit_takes_every_student_or_says_why_records_cannot_serve_it(name, files):
    """Whole rows are stated, so that the level is not what is lacking."""
    row = {"a": 0.5, "b": 0.3, "c": 0.2}
    top = [{"label": label, "logprob": float(np.log(p))} for label, p in row.items()]
    lines = [{"input": f"q{i % 3}", "label": "abc"[i % 2], "logprob": top[i % 2]["logprob"], "top_logprobs": top}
             for i in range(12)]  # fmt: skip
    Path("r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = shell("fit", "r.jsonl", "--student", STUDENTS[name].example)
    made = student(STUDENTS[name].example, INPUTS)
    if done.exit_code:
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
        assert f"student {made.name!r}" in done.stderr
    else:
        assert f"Student {made.name} learnt it from 12 records" in done.output
