"""Students of one's own in sweeps: imported by name, versioned by their source."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kt_theory as kt
from kt_theory import catalogue
from kt_theory.catalogue import source
from kt_theory.sweep import Spec, load
from kt_theory.sweep.store import Store

RULES = """
import kt_theory as kt
from {package}.amounts import AMOUNT, unused


@kt.row_rule
def smooth(counts, revealed, out):
    out[:] = (counts + AMOUNT) / (counts.sum() + AMOUNT * counts.size)


laplace = kt.Student("laplace", access="hard", rule=smooth)


def add(c, more=0.0):
    # what is said of c
    if c < 0:
        raise ValueError(f"c = {{c}}: must be at least 0")

    def rule(counts, revealed, out, parameters):
        total = counts.sum() + parameters[0] * counts.size
        for a in range(counts.size):
            out[a] = (counts[a] + parameters[0]) / total

    return kt.Student("any name", "hard", kt.students.RowRule(rule, [c + more]))


def shown_table():
    def rule(counts, revealed, out):
        out[:] = revealed

    return kt.Student("soft", "soft", rule)


def none():
    return None


number = 3
"""

AMOUNTS = """
AMOUNT = 1.0
unused = 2.0
other = 3.0
"""

SPEC = """
name = "own"
seed = 3
students = ["laplace", "{package}.rules:laplace", "{package}.rules:add(0.5)", "add_c(0.5)"]
repeats = 64
n = [3, 10]

[[teachers]]
family = "zipf"
inputs = 3
labels = 4
"""

COUNT = iter(range(1000))


@pytest.fixture
def package(tmp_path):
    """A package with a name of its own: modules stay imported for as long as the process lives."""
    name = f"own_rules_{next(COUNT)}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "rules.py").write_text(RULES.format(package=name))
    (folder / "amounts.py").write_text(AMOUNTS)
    (tmp_path / "spec.toml").write_text(SPEC.format(package=name))
    return folder


def edit(folder, file, old, new):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def python(*words, cwd="/", **environment):
    here = str(Path(kt.__file__).parent.parent)
    known = {**os.environ, "PYTHONPATH": here, **environment}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=known, cwd=cwd, check=False
    )


def digests(folder):
    name = folder.name
    sys.path.insert(0, str(folder.parent))
    try:
        return {what: source.digest(f"{name}.rules", what) for what in ("laplace", "add")}
    finally:
        sys.path.remove(str(folder.parent))


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("rules.py", "counts + AMOUNT", "counts + 2 * AMOUNT", {"laplace"}),
        ("amounts.py", "AMOUNT = 1.0", "AMOUNT = 1.5", {"laplace"}),
        ("amounts.py", "other = 3.0", "other = 4.0", set()),
        ("rules.py", "must be at least 0", "must not be negative", {"add"}),
        ("rules.py", "what is said of c", "a comment within", {"add"}),
        ("rules.py", "number = 3", "number = 4\n# a comment elsewhere", set()),
        ("rules.py", "import kt_theory as kt\n", "import kt_theory as kt\n\n\n", set()),
    ],
)
def test_an_edit_changes_the_digest_of_what_uses_it_and_of_nothing_else(
    package, file, old, new, changed
):
    before = digests(package)
    edit(package, file, old, new)
    after = digests(package)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_star_import_makes_the_whole_module_count(package):
    edit(package, "rules.py", "import kt_theory as kt\n", "from kt_theory.testing import *\n")
    before = digests(package)
    edit(package, "rules.py", "number = 3", "number = 4")
    after = digests(package)
    assert before["laplace"] != after["laplace"]
    assert before["add"] != after["add"]


@pytest.mark.long
def test_imported_students_are_those_of_the_catalogue_in_disguise(package, tmp_path):
    spec = Spec.read(package.parent / "spec.toml")
    kt.sweep.run(spec, tmp_path / "out", workers=2, progress=False)
    frame = load(tmp_path / "out", exact=True)
    assert (frame["status"] == "done").all()
    name = package.name
    for own, theirs in (
        (f"{name}.rules:laplace", "laplace"),
        (f"{name}.rules:add(0.5)", "add_c(0.5)"),
    ):
        mine = frame[frame["student"] == own]
        same = frame[frame["student"] == theirs]
        assert len(mine) == 2
        assert np.allclose(mine["mean"], same["mean"], rtol=1e-12)
        assert set(mine["access"]) == {"hard"}
        assert mine["exact"].isna().all()
        assert same["exact"].notna().all()
    assert Store(tmp_path / "out").spec == spec


@pytest.mark.long
def test_a_folder_is_looked_at_without_importing(package, tmp_path):
    spec = Spec.read(package.parent / "spec.toml")
    kt.sweep.run(spec, tmp_path / "out", progress=False)
    for file in package.iterdir():
        if file.is_file():
            file.write_text("raise SystemExit('imported')")
    words = (
        "from kt_theory.sweep import load, status; load({0!r}, exact=True); print(status({0!r}))"
    )
    looked = python("-c", words.format(str(tmp_path / "out")), cwd=package.parent)
    assert looked.returncode == 0, looked.stderr
    assert "8" in looked.stdout
    about = tmp_path / "out" / "sweep.json"
    text = about.read_text()
    assert '"laplace",' in text
    about.write_text(text.replace('"laplace",', f'"{package.name}.other:laplace",'))
    (package / "other.py").write_text("raise SystemExit('imported')")
    looked = python("-c", words.format(str(tmp_path / "out")), cwd=package.parent)
    assert "nothing is imported here" in looked.stderr


def test_a_specification_that_a_folder_keeps_is_read_without_importing(package):
    spec = Spec.read(package.parent / "spec.toml")
    kept = json.loads(json.dumps(spec.document))
    with catalogue.no_imports():
        again = Spec(**kept)
        assert again == spec
        assert again.fingerprint == spec.fingerprint
        with pytest.raises(ValueError, match="nothing is imported here"):
            Spec(**{**kept, "students": [f"{package.name}.rules:laplace"]})


def test_an_imported_rule_is_the_one_of_the_catalogue(package, monkeypatch):
    monkeypatch.chdir(package.parent)
    counts, hidden = np.array([[3, 1, 0], [0, 0, 0]]), np.full((2, 3), np.nan)
    own = catalogue.student(f"{package.name}.rules:add(0.5)")
    assert np.allclose(own.table(counts, hidden), kt.students.add_c(0.5).table(counts, hidden))
    assert own.access.name == "hard"


def test_cells_of_the_catalogue_keep_their_identity_beside_imports(package):
    spec = Spec.read(package.parent / "spec.toml")
    plain = Spec(**{**spec.document, "students": ["laplace", "add_c(0.5)"]})
    known = {(cell.student_name, cell.n): cell.id for cell in spec.cells}
    assert all(known[cell.student_name, cell.n] == cell.id for cell in plain.cells)


def test_keywords_and_tables_mean_the_same_cell(package, monkeypatch):
    monkeypatch.chdir(package.parent)
    name = f"{package.name}.rules:add"
    forms = [f"{name}(0.5, 1)", f"{name}(more=1, c=0.5)", {"name": name, "c": 0.5, "more": 1}]
    recipes = [catalogue.student_recipe(form) for form in forms]
    assert recipes[0] == recipes[1] == recipes[2]
    printed = catalogue.name_of(recipes[0])
    assert printed == f"{name}(0.5, 1)"
    assert catalogue.student(printed).name == printed


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("nosuch.rules:laplace", "there is no module 'nosuch.rules'"),
        ("{0}.nosuch:laplace", "there is no module"),
        ("{0}.rules:laplac", "did you mean 'laplace'"),
        ("{0}.rules:number", "is of type int: must be a kt.Student"),
        ("{0}.rules:smooth", "is a rule: name it and its level"),
        ("{0}.rules:none", "the function returned a NoneType"),
        ("{0}.rules:add(-1)", "the function raised ValueError: c = -1"),
        ("{0}.rules:add", "missing a required argument: 'c'"),
        ("{0}.rules:add(1, 2, 3)", "too many positional arguments"),
        ("{0}.rules:add(hard(2))", "hard(2): must be a number, a word"),
        ("{0}.rules:laplace(2)", "is a Student and no function"),
        ("{0}.rules:add(0.5", "a bracket is open"),
        ("{0}.broken:x", "importing {0}.broken raised ZeroDivisionError"),
        ("math:sin", "has no source file"),
        ("__main__:x", "write it in a module"),
        ("a-b:c", "must be like 'mypkg.rules:laplace'"),
        ("{0}.rules:shown_table", "needs access 'soft'"),
    ],
)
def test_errors_say_in_a_line_what_is_wrong(package, monkeypatch, written, words):
    (package / "broken.py").write_text("x = 1 / 0")
    monkeypatch.chdir(package.parent)
    document = {"name": "own", "n": 3, "repeats": 4, "access": "hard"}
    teachers = [{"family": "zipf", "inputs": 2, "labels": 3}]
    with pytest.raises(ValueError, match=".") as error:  # noqa: RUF043
        Spec(**document, students=[written.format(package.name)], teachers=teachers)
    assert words.format(package.name) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_this_process_has_imported_before_an_edit_is_not_taken_for_the_new(package):
    Spec.read(package.parent / "spec.toml")
    edit(package, "amounts.py", "AMOUNT = 1.0", "AMOUNT = 1.5")
    with pytest.raises(ValueError, match="has changed since this process imported it"):
        Spec.read(package.parent / "spec.toml")


def test_a_namesake_of_another_folder_is_not_taken_for_this_one(tmp_path):
    name = f"own_file_{next(COUNT)}"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(
            AMOUNTS + "import kt_theory as kt\n"
            "def rule(counts, revealed, out):\n    out[:] = 0.25\n"
            "flat = kt.Student('flat', 'hard', rule)\n"
        )
    recipe = catalogue.student_recipe(f"{name}:flat", tmp_path / "one")
    assert catalogue.build_student(recipe).name == f"{name}:flat"
    assert f"one{os.sep}{name}.py" in catalogue.origin(recipe)
    with pytest.raises(ValueError, match="give one of them another name"):
        catalogue.student_recipe(f"{name}:flat", tmp_path / "two")
    assert str(tmp_path / "one") not in sys.path


@pytest.mark.long
def test_an_edit_runs_its_cells_again_wherever_they_run(package, tmp_path):
    out, spec = tmp_path / "out", package.parent / "spec.toml"
    words = ["-m", "kt_theory", "sweep"]
    assert python(*words, "check", str(spec)).stdout.count("imported from") == 2
    first = python(*words, "run", str(spec), "--out", str(out), "--quiet")
    assert "8 done" in first.stdout, first.stderr
    before = {record.cell for record in Store(out).records()}
    assert len(before) == 8
    assert "nothing to run" in python(*words, "run", str(spec), "--out", str(out)).stdout
    edit(package, "amounts.py", "AMOUNT = 1.0", "AMOUNT = 1.5")
    again = python(*words, "run", str(spec), "--out", str(out), "--quiet")
    assert "8 done" in again.stdout, again.stderr
    ran = {record.cell for record in Store(out).records()} - before
    edited = {cell.id for cell in Store(out).spec.cells if cell.student_name.endswith(":laplace")}
    assert ran == edited
    for place, options in (("p", ("--executor", "processes")), ("d", ("--executor", "dask"))):
        other = tmp_path / place
        ran = python(*words, "run", str(spec), "--out", str(other), "--workers", "2", *options)
        assert ran.returncode == 0, ran.stderr
        assert (other / "results.parquet").read_bytes() == (out / "results.parquet").read_bytes()
    shards = []
    for i in (1, 2):
        shards.append(str(tmp_path / f"s{i}"))
        python(*words, "run", str(spec), "--out", shards[-1], "--shard", f"{i}/2", "--quiet")
    merged = python(*words, "merge", *shards, "--out", str(tmp_path / "merged"))
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert (tmp_path / "merged" / "results.parquet").read_bytes() == (
        out / "results.parquet"
    ).read_bytes()


@pytest.mark.long
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(package, tmp_path):
    spec = package.parent / "spec.toml"
    spec.write_text(spec.read_text().replace("repeats = 64", "repeats = 2_000_000"))
    words = [sys.executable, "-m", "kt_theory", "sweep", "run", str(spec), "--quiet", "--out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(kt.__file__).parent.parent)}
    killed = subprocess.Popen([*words, str(tmp_path / "a")], env=environment, cwd="/")
    journal = tmp_path / "a" / "journal"
    while killed.poll() is None and not any(
        log.stat().st_size > 10_000 for log in journal.glob("*.log")
    ):
        pass
    killed.kill()
    killed.wait()
    for place in ("a", "b"):
        subprocess.run([*words, str(tmp_path / place)], env=environment, cwd="/", check=True)
    results = [(tmp_path / place / "results.parquet").read_bytes() for place in ("a", "b")]
    assert results[0] == results[1]
