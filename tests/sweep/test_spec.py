from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory.sweep import Spec, load, run
from kt_theory.sweep.expressions import evaluate

RATES = """
name = "rates"
seed = 7
students = ["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"]
repeats = 64_000

[n]
logspace = [2, 5, 13]

[[teachers]]
family = "instance0"
inputs = [1, 100]
labels = [25, 100]

[[teachers]]
family = "instance2"
inputs = 10
labels = 11
"""


def read(tmp_path, text):
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return Spec.read(path)


def test_the_specification_that_others_follow(tmp_path):
    spec = read(tmp_path, RATES)
    sizes = [round(10 ** (2 + i / 4)) for i in range(13)]
    shapes = [*(("instance0", s, a) for s in (1, 100) for a in (25, 100)), ("instance2", 10, 11)]
    names = ("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful")
    expected = {(*shape, n, student) for shape in shapes for n in sizes for student in names}
    found = {
        (c.teacher_name, c.teacher["inputs"], c.teacher["labels"], c.n, c.student_name)
        for c in spec.cells
    }
    assert found == expected
    assert len(spec.cells) == len(expected) == 260
    assert all(cell.seed == 7 and cell.teacher.get("n", cell.n) == cell.n for cell in spec.cells)
    assert len({cell.id for cell in spec.cells}) == 260
    assert len({cell.group for cell in spec.cells}) == 65


def test_zip_binds_and_lists_cross(tmp_path):
    spec = read(
        tmp_path,
        RATES.replace("labels = [25, 100]", 'labels = [25, 100]\nzip = ["inputs", "labels"]'),
    )
    sizes = {
        (c.teacher["inputs"], c.teacher["labels"])
        for c in spec.cells
        if c.teacher_name == "instance0"
    }
    assert sizes == {(1, 25), (100, 100)}
    bound = Spec(name="x", n=[10, 20], repeats=2, teachers=[{"family": "uniform", "inputs": [1, 2], "labels": 3,
                                                            "zip": ["n", "inputs"]}])  # fmt: skip
    assert {(c.n, c.teacher["inputs"]) for c in bound.cells} == {(10, 1), (20, 2)}


def test_grid_is_shared_by_the_teachers_that_take_it():
    teachers = [{"family": "uniform"}, {"family": "zipf", "labels": 7}]
    spec = Spec(
        name="x",
        n=5,
        repeats=2,
        teachers=teachers,
        grid={"inputs": [1, 2], "labels": [3, 4], "zip": ["inputs", "labels"]},
    )
    sizes = {(c.teacher["family"], c.teacher["inputs"], c.teacher["labels"]) for c in spec.cells}
    assert sizes == {("uniform", 1, 3), ("uniform", 2, 4), ("zipf", 1, 7), ("zipf", 2, 7)}


def test_expressions_move_with_n():
    teacher = {
        "family": "dirichlet",
        "inputs": "round(sqrt(n))",
        "labels": "inputs + 1",
        "alpha": "1 / labels",
    }
    spec = Spec(name="x", n=[100, 10_000], repeats=2, teachers=[teacher], students="ce_sgl")
    assert [(c.teacher["inputs"], c.teacher["labels"]) for c in spec.cells] == [
        (10, 11),
        (100, 101),
    ]
    assert spec.cells[0].teacher["alpha"] == 1 / 11
    assert len({c.teacher_name for c in spec.cells}) == 1  # one name, so that a rate can be fitted


def test_cells_are_named_by_what_determines_their_result(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,b\n0.5,0.5\n")

    def ids(**changes):
        document = {
            "name": "x",
            "n": 10,
            "repeats": 5,
            "students": ["ce_sgl"],
            "teachers": [{"family": "zipf", "inputs": 2, "labels": 3}],
        }
        return [cell.id for cell in Spec(**(document | changes)).cells]

    same = ids()
    assert same == ids(name="y") == ids(repeats=999) == ids(n=[10]) == ids(n=10.0)
    assert same == ids(
        teachers=[{"name": "other", "family": "zipf", "labels": 3, "inputs": 2, "exponent": 1}]
    )
    assert set(same) < set(ids(students=["ce_ful", "ce_sgl"], n=[3, 10]))
    for other in (
        {"seed": 1},
        {"n": 11},
        {"students": ["sel_ptl"]},
        {"teachers": [{"family": "zipf", "inputs": 3, "labels": 3}]},
    ):
        assert not set(same) & set(ids(**other))
    first = ids(teachers=[{"file": str(table)}])
    assert first == ids(teachers=[{"file": str(table.rename(tmp_path / "u.csv"))}])
    (tmp_path / "v.csv").write_text("a,b\n0.4,0.6\n")
    assert first != ids(teachers=[{"file": str(tmp_path / "v.csv")}])


def test_n_below_the_regime_is_not_defined():
    spec = Spec(
        name="x",
        n=[1, 1000],
        repeats=2,
        students="ce_sgl",
        teachers=[{"family": "instance2", "inputs": 10, "labels": 11}],
    )
    assert [bool(cell.undefined) for cell in spec.cells] == [True, False]
    assert "defined from n = 49" in spec.cells[0].undefined


def test_a_size_that_an_expression_brings_to_nothing_is_not_defined(tmp_path):
    teachers = [
        {"family": name, "inputs": "n // 10", "labels": 4} for name in ("uniform", "instance2")
    ]
    spec = Spec(name="x", n=[5, 200], repeats=2, students="sel_ptl", teachers=teachers)
    assert [cell.undefined for cell in spec.cells if cell.n == 5] == [
        "inputs = 0: must be at least 1"
    ] * 2
    assert run(spec, tmp_path, progress=False).cells == {"done": 2, "not defined": 2}
    assert load(tmp_path)["lower_bound"].isna().tolist() == [True, False, True, False]


def test_access_chooses_the_students():
    teacher = [{"family": "uniform", "inputs": 2, "labels": 2}]
    spec = Spec(name="x", n=5, repeats=2, access=["hard", "partial"], teachers=teacher)
    assert [cell.student_name for cell in spec.cells] == ["ce_sgl", "ce_ptl", "sel_ptl"]
    with pytest.raises(ValueError, match="student 'ce_ful' needs access 'soft'"):
        Spec(name="x", n=5, repeats=2, access="hard", students=["ce_ful"], teachers=teacher)
    topped = Spec(
        name="x",
        n=5,
        repeats=2,
        access=[{"name": "top_k", "k": 3}],
        students=[{"name": "top_k", "k": 2}],
        teachers=teacher,
    )
    assert topped.cells[0].access == "top_k(2)"


def test_students_with_parameters_are_written_as_tables_show_them():
    from kt_theory.catalogue import name_of as student_label
    from kt_theory.catalogue import student_recipe

    forms = {
        "top_k(5)": {"name": "top_k", "k": 5},
        "add_c(0.5)": {"name": "add_c", "c": 0.5},
        "grad_ful(cycle, 2)": {"name": "grad_ful", "graph": "cycle", "hops": 2},
        "grad_ful(path, 1)": {"name": "grad_ful", "graph": "path"},
        "top_k_only(3)": {"name": "top_k_only", "k": 3},
        "tempered(2)": {"name": "tempered", "tau": 2},
        "tempered(2, 1.5)": {"name": "tempered", "tau": 2.0, "believed": 1.5},
        "tempered(2, of=partial)": {"name": "tempered", "tau": 2.0, "of": "partial"},
        "tempered_mle(2)": {"name": "tempered_mle", "tau": 2},
        "rounded(0.5)": {"name": "rounded", "step": 0.5, "of": "soft"},
        "rounded(0.5, top_k(5))": {"name": "rounded", "step": 0.5, "of": "top_k(5)"},
        "quantised(4)": {"name": "quantised", "bits": 4},
        "noisy(0.1)": {"name": "noisy", "sigma": 0.1},
        "logits": {"name": "logits"},
        "logits(partial)": {"name": "logits", "of": "partial"},
    }
    for text, table in forms.items():
        assert student_recipe(text) == student_recipe(table)
        assert student_label(student_recipe(text)) == text
    assert student_recipe("grad_ful(path)") == student_recipe(" grad_ful( graph=path, hops = 1 )")
    teacher = [{"family": "uniform", "inputs": 2, "labels": 2}]
    by_text, by_table = (Spec(name="x", n=5, repeats=2, students=list(s), teachers=teacher)
                         for s in (forms, forms.values()))  # fmt: skip
    assert by_text.fingerprint == by_table.fingerprint
    assert Spec(
        name="x", n=5, repeats=2, access="top_k(2)", students="top_k(2)", teachers=teacher
    ).cells


def test_the_ids_of_cells_do_not_change_with_what_else_a_specification_can_say():
    teacher = [{"family": "uniform", "inputs": 2, "labels": 2}]
    students = ["ce_sgl", "top_k(5)", "add_c(0.5)", "grad_ful(path)"]
    cells = Spec(name="x", n=5, repeats=2, students=students, teachers=teacher).cells
    assert [cell.id[:8] for cell in cells] == ["f4a6d2e4", "d89a1f00", "e5227840", "a86a5a2d"]


def test_access_levels_of_distorted_answers_are_granted_by_what_their_tables_print():
    from kt_theory.catalogue import granted, level, student_recipe

    for entry in ("rounded(0.5)", "rounded(0.5, top_k(5))", "noisy(0.1, partial)", "logits", "logits(partial)",
                  "temperature(2)", "quantised(4)", "top_k_only(3)"):  # fmt: skip
        assert level(level(entry).name).name == level(entry).name
    rounded = student_recipe("rounded(0.5)")
    assert granted(["rounded(0.5)"], rounded)
    assert granted(["rounded(0.5) soft"], rounded)
    assert granted(["soft"], rounded)
    assert not granted(["rounded(0.4)", "rounded(0.5) top_k(5)", "hard", "top_k(5)"], rounded)
    assert granted(["temperature(2)"], student_recipe("tempered(2, 1)"))


def test_channels_end_in_the_floors_that_theory_says(tmp_path):
    students = [
        "ce_ful",
        "top_k_only(2)",
        "tempered(2)",
        "tempered(2, 1)",
        "rounded(0.5)",
        "quantised(4)",
        "logits",
    ]
    teacher = kt.teachers.zipf(3, 8)
    p = teacher.pi
    spec = Spec(
        name="x",
        n=[4, 4000],
        repeats=2,
        students=students,
        teachers=[{"family": "zipf", "inputs": 3, "labels": 8}],
    )
    run(spec, tmp_path / "out", workers=1, progress=False)
    exact = load(tmp_path / "out", exact=True).set_index(["student", "n"])["exact"]
    far = {name: exact[name, 4000] for name in students}
    root = np.sqrt(p) / np.sqrt(p).sum(axis=1, keepdims=True)
    tail = np.sort(p, axis=1)[:, :-2]
    log_p = np.round(np.log(p) / 0.5) * 0.5
    near = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
    floors = {
        "top_k_only(2)": 0.5 * np.abs(tail - tail.mean(axis=1, keepdims=True)).sum(axis=1).mean(),
        "tempered(2, 1)": 0.5 * np.abs(root - p).sum(axis=1).mean(),
        "rounded(0.5)": 0.5 * np.abs(near - p).sum(axis=1).mean(),
    }
    for name, floor in floors.items():
        assert far[name] == pytest.approx(floor, rel=1e-9)
    assert floors["rounded(0.5)"] <= np.tanh(0.5 / 4)
    osc = (np.log(p).max(axis=1) - np.log(p).min(axis=1)).max()
    assert floors["tempered(2, 1)"] <= np.tanh(0.5 * osc / 4)
    assert 0 < far["quantised(4)"] <= 8 / (4 * 2**4)
    for name in ("tempered(2)", "logits"):
        assert exact[name, 4] == pytest.approx(exact["ce_ful", 4], rel=1e-12)
        assert far[name] < 1e-12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ce_sgl", ', '"rounded", ', "student 'rounded' has parameters: write 'rounded(0.5)'"),
        ('"ce_sgl", ', '"rounded(-1)", ', "step = -1"),
        ('"ce_sgl", ', '"noisy(0.1, of=hard)", ', "must reveal probabilities as they are"),
        ("repeats = 64_000", 'repeats = 10\naccess = "rouned(1)"', "did you mean 'rounded'?"),
        ("seed = 7", "sede = 7", "unknown key 'sede' (did you mean 'seed'?)"),
        ("inputs = 10\n", "input = 10\n", "did you mean 'inputs'?"),
        ('"instance2"', '"instanse2"', "did you mean 'instance2'?"),
        ('"ce_sgl", ', '"ce_sg", ', "did you mean 'ce_sgl'?"),
        ("logspace", "logspce", "did you mean 'logspace'?"),
        ("logspace = [2, 5, 13]", "list = []", "Error: {path}: n = []: an empty axis"),
        ("[n]\nlogspace = [2, 5, 13]", "n = [10, -5]", "Error: {path}: n = -5: must be at least 0"),
        ("[n]\nlogspace = [2, 5, 13]", "n = [5, 10, 5]", "Error: {path}: n = 5 stands there twice"),
        ("[n]\nlogspace = [2, 5, 13]", "n = [5, 5.0]", "Error: {path}: n = 5 stands there twice"),
        ("inputs = 10\n", "inputs = 10\nn = [5, 5]\n", "Error: {path}: teachers[1].n = 5 stands there twice"),
        ("labels = [25, 100]", "labels = [25, 25]", "teachers[0].labels = 25 stands there twice"),
        ("labels = 11", "[grid]\nlabels = [0]", "Error: {path}: grid.labels = 0: must be at least 1"),
        ("[25, 100]", "[]", "teachers[0].labels = []: an empty axis"),
        ('["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"]', "[]", "students = []: an empty axis"),
        ("labels = [25, 100]", 'labels = [25]\nzip = ["inputs", "labels"]', "must have the same length"),
        ("labels = [25, 100]", 'labels = 25\nzip = ["inputs", "label"]', "did you mean 'labels'?"),
        ("labels = [25, 100]", 'labels = 25\nzip = ["n", "n"]', "'n' stands there twice"),
        ("repeats = 64_000", "repeats = 1", "repeats = 1: must be at least 2"),
        ("repeats = 64_000", "", "must be repeats, or target_se with max_repeats"),
        ("repeats = 64_000", "repeats = 10\ntarget_se = 0.1", "must be repeats, or target_se with max_repeats"),
        ("repeats = 64_000", "target_se = 0.1", "must be repeats, or target_se with max_repeats"),
        ("repeats = 64_000", "target_se = 2\nmax_repeats = 10", "target_se = 2: must lie strictly between 0 and 1"),
        ("seed = 7", "seed = -1", "seed = -1: must be at least 0"),
        ('name = "rates"', "", "name is missing"),
        ('name = "rates"', "name = 3", "name = 3: must be a text"),
        ("[2, 5, 13]", "[2, 5]", "must be [a, b, points]"),
        ("[2, 5, 13]", "[5, 2, 13]", "a <= b"),
        ("[2, 5, 13]", "[2, 50, 13]", "a <= b"),
        ("inputs = 10\n", "", "teacher 'instance2' needs inputs"),
        ("inputs = 10\n", 'inputs = "sqrt(n)"\n', "floor, ceil and round make whole numbers"),
        ("inputs = 10\n", 'inputs = "round(m)"\n', "unknown name in an expression 'm'"),
        ("inputs = 10\n", 'inputs = "__import__(1)"\n', "unknown function '__import__'"),
        ("inputs = 10\n", "inputs = true\n", "must be a whole number"),
        ("inputs = 10\n", "inputs = 0\n", "teachers[1].inputs = 0: must be at least 1"),
        ("labels = 11", "labels = [11, 0]", "teachers[1].labels = 0: must be at least 1"),
        ("inputs = 10\n", "inputs = 2.5\n", "must be a whole number"),
        ("labels = 11", 'labels = 11\nname = ""', "must be a text that is not empty"),
        ("[n]", "[[n]]", "n"),
        ("[n]", "[n", "is not TOML"),
        ('"ce_sgl", ', '"ce_sgl", "ce_sgl", ', "'ce_sgl' stands there twice"),
        ('"ce_sgl", ', '"top_k", ', "student 'top_k' has parameters"),
        ('"ce_sgl", ', '{name = "top_k"}, ', "student 'top_k': k is missing"),
        ('"ce_sgl", ', '{name = "top_k", q = 3}, ', "unknown key of student 'top_k' 'q'"),
        ('"ce_sgl", ', '{name = "grad_ful", graph = "star"}, ', "unknown graph 'star'"),
        ('"ce_sgl", ', '"top_k(5", ', "student 'top_k(5': must be like 'top_k(5)', k in brackets"),
        ('"ce_sgl", ', '"top_k(5, 6)", ', "student 'top_k(5, 6)': must be like 'top_k(5)', k in brackets"),
        ('"ce_sgl", ', '"top_k(q=5)", ', "unknown key of student 'top_k' 'q'"),
        ('"ce_sgl", ', '"top_k(many)", ', "k = 'many': must be a whole number"),
        ('"ce_sgl", ', '"topk(5)", ', "did you mean 'top_k'?"),
        ('"ce_sgl", ', '"grad_ful(pat)", ', "unknown graph 'pat' (did you mean 'path'?)"),
        ('"ce_sgl", ', '"top_k(5)", {name = "top_k", k = 5}, ', "'top_k(5)' stands there twice"),
        ("repeats = 64_000", 'repeats = 10\naccess = "topk(5)"', "did you mean 'top_k'?"),
        ("inputs = [1, 100]", "inputs = {logspace = [0, 6, 7], list = [1]}", "list and logspace together"),
        ("labels = 11", 'labels = 11\n[grid]\nlabls = [2]', "did you mean 'labels'?"),
        ("labels = 11", 'labels = 11\n[[teachers]]\nfile = "no.csv"', "No such file"),
    ],
)  # fmt: skip
def test_bad_specifications(tmp_path, command, old, new, message):
    assert old in RATES
    path = tmp_path / "spec.toml"
    path.write_text(RATES.replace(old, new, 1))
    for words in (["check", path], ["run", path, "--out", tmp_path / "out"]):
        result = command(*words)
        assert result.exit_code == 2, result.output
        assert len(result.stderr.strip().splitlines()) == 1
        assert message.replace("{path}", str(path)) in result.stderr
    assert not (tmp_path / "out").exists()


def test_equal_values_may_stand_in_axes_that_are_bound_to_others():
    teacher = {"family": "uniform", "inputs": [1, 2], "labels": 3, "zip": ["n", "inputs"]}
    assert (
        len(Spec(name="x", n=[10, 10], repeats=2, students="ce_sgl", teachers=[teacher]).cells) == 2
    )
    with pytest.raises(ValueError, match=r"n = 10, teachers\[0\].inputs = 2 stands there twice"):
        Spec(
            name="x",
            n=[10, 10],
            repeats=2,
            students="ce_sgl",
            teachers=[teacher | {"inputs": [2, 2]}],
        )


def test_more_top_labels_than_there_are_is_not_defined(tmp_path):
    """As `minimax_risk("top_k", labels=3, k=9)` refuses it; the other labels and students of the sweep are run."""
    teacher = {"family": "zipf", "inputs": 2, "labels": [3, 9]}
    students = [
        "top_k(9)",
        "top_k(3)",
        "rounded(0.5, top_k(4))",
        "top_k_only(4)",
        "ce_sgl",
        "grad_ful(path)",
    ]
    spec = Spec(name="x", n=5, repeats=2, students=students, teachers=[teacher])
    why = {(cell.student_name, cell.teacher["labels"]): cell.undefined for cell in spec.cells}
    wrong = {"top_k(9)": 9, "rounded(0.5, top_k(4))": 4, "top_k_only(4)": 4}
    for (name, labels), reason in why.items():
        k = wrong.get(name, 0) if labels == 3 else 0
        assert reason == (f"k = {k}: must be at most 3, the number of labels" if k else "")
    with pytest.raises(ValueError, match="k = 9: must be at most 3"):
        kt.minimax_risk("top_k", 2, 3, 5, k=9)
    run(Spec(**spec.document | {"students": ["top_k(4)", "ce_sgl"]}), tmp_path / "out")
    table = load(tmp_path / "out")
    assert dict(table.status.value_counts()) == {"done": 3, "not defined": 1}


def test_too_many_cells_and_too_much_memory(tmp_path, command):
    path = tmp_path / "spec.toml"
    path.write_text(RATES.replace("inputs = 10\n", "inputs = {logspace = [0, 6, 900000]}\n"))
    assert "at most 1,000,000; split it" in command("check", path).stderr
    path.write_text(RATES.replace("[1, 100]", "100_000").replace("[25, 100]", "90_000"))
    result = command("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "GiB are free" in result.stderr


def test_check_prints_cells_time_and_space(tmp_path, command):
    path = tmp_path / "spec.toml"
    path.write_text(RATES.replace("logspace = [2, 5, 13]", "list = [10, 100]"))
    result = command("check", path)
    assert result.exit_code == 0
    assert "rates: 40 cells, 4 of them not defined; about" in result.output
    assert sum(line.startswith("instance") for line in result.output.splitlines()) == 10
    assert "MiB on disk" in result.output


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*n + 1", 21),
        ("-n // 3", -4),
        ("sqrt(n) ** 2", 10),
        ("min(n, 3, 7)", 3),
        ("log(exp(2))", 2),
        ("ceil(n/3)", 4),
    ],
)
def test_expressions(text, value):
    assert evaluate(text, {"n": 10}) == pytest.approx(value, rel=1e-15)


_BAD = "n n,1/0,9**9**9,sqrt(-1),(-1)**0.5,n.real,[1],'a',True,lambda: 1,sqrt(),min,exp(1000),n if n else 1,f'{n}'"


@pytest.mark.parametrize("text", ["", "(" * 500, *_BAD.split(",")])
def test_bad_expressions(text):
    with pytest.raises(ValueError, match=r"."):
        evaluate(text, {"n": 10})


axes = st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True)


@given(axes, axes, axes, st.booleans(), st.permutations(["ce_sgl", "sel_ptl", "ce_ful"]))
def test_cells_are_the_product_of_the_axes(n, inputs, labels, bind, students):
    size = min(len(inputs), len(labels))
    teacher = {"family": "uniform", "inputs": inputs, "labels": labels}
    if bind:
        teacher |= {"inputs": inputs[:size], "labels": labels[:size], "zip": ["inputs", "labels"]}
    spec = Spec(name="x", n=n, repeats=2, students=students, teachers=[teacher])
    pairs = zip(inputs, labels, strict=False) if bind else ((s, a) for s in inputs for a in labels)
    expected = {(size, s, a, name) for s, a in pairs for size in n for name in students}
    assert {
        (c.n, c.teacher["inputs"], c.teacher["labels"], c.student_name) for c in spec.cells
    } == expected
    assert len(spec.cells) == len(expected)
    shuffled = Spec(
        name="y",
        n=n[::-1],
        repeats=3,
        students=students[::-1],
        teachers=[dict(reversed(teacher.items()))],
    )
    assert {cell.id for cell in shuffled.cells} == {cell.id for cell in spec.cells}
    again = Spec(**json.loads(json.dumps(spec.document)))
    assert again.fingerprint == spec.fingerprint


_ODD = [
    *(None, True, 2.5, math.nan, 10**400, -1, "x", "", "9" * 500, "(" * 2000, "n**n**n**n", b"x"),
    *([], [1], [[1]], [{}], {}, {"a": {"b": 1}}, {"list": [1, 2]}, {"logspace": "x"}),
    *({"name": ["a"]}, {"name": "top_k", "k": [1]}),
]


@pytest.mark.parametrize(
    "key", ["name", "seed", "students", "access", "repeats", "n", "grid", "teachers"]
)
def test_any_value_of_a_key_is_read_or_refused_in_one_line(key):
    for odd in _ODD:
        for value in (odd, [odd]):
            read_or_refused(
                {"name": "x", "repeats": 10, "n": [10], "teachers": [_UNIFORM], key: value}
            )


@pytest.mark.parametrize(
    "key", ["family", "inputs", "labels", "n", "name", "zip", "file", "alpha", "exponent"]
)
@pytest.mark.parametrize("family", ["uniform", "dirichlet", "zipf", "instance2"])
def test_any_value_of_a_teacher_is_read_or_refused_in_one_line(key, family):
    for odd in _ODD:
        for value in (odd, [odd, odd]):
            table = {"family": family, "inputs": 2, "labels": 3, key: value}
            read_or_refused({"name": "x", "repeats": 10, "n": [10], "teachers": [table]})


_UNIFORM = {"family": "uniform", "inputs": 2, "labels": 2}


def read_or_refused(document):
    said = ""
    try:
        assert Spec(**document).cells
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
    assert "\n" not in said
