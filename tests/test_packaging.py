"""What is published: metadata, pins, types, wheels and source archives."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kt_theory as kt

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
FOR_DEVELOPERS = {"all", "browser", "dev", "docs", "release"}
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
SCRIPT = Path(__file__).with_name("typed_script.py")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == kt.__version__
    assert citation["title"] == PROJECT["project"]["name"]
    assert citation["license"] == PROJECT["project"]["license"]
    (author,) = citation["authors"]
    assert [author] == PROJECT["project"]["authors"]
    assert {"message", "type", "abstract"} <= set(citation)
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
    page = (ROOT / "docs" / "cite.md").read_text(encoding="utf-8")
    assert f"version = {{{kt.__version__}}}" in page
    assert PROJECT["project"]["urls"]["Paper"] in page


def test_all_is_every_extra_for_users():
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == set(EXTRAS) - FOR_DEVELOPERS


def test_every_requirement_has_a_pin_that_it_allows():
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    listed = [*PROJECT["project"]["dependencies"]]
    for extra in EXTRAS.values():
        listed += extra
    asked = [Requirement(each) for each in listed]
    for one in asked:
        name = canonicalize_name(one.name)
        if name != "kt-theory":
            assert name in pins, f"{one.name} is not in constraints.txt"
            assert pins[name] in one.specifier, f"{one}: constraints.txt has {pins[name]}"
    assert len(pins) == len(PINS)
    assert list(PINS) == sorted(PINS, key=str.lower)


def functions():
    """Yield every public function and public method of a public class, with its name."""
    for name in kt.__all__:
        thing = getattr(kt, name)
        if inspect.isfunction(thing):
            yield name, thing
        if inspect.isclass(thing):
            for key, method in vars(thing).items():
                found = getattr(method, "__func__", method)
                if inspect.isfunction(found) and not key.startswith("_"):
                    yield f"{name}.{key}", found


def test_public_functions_say_what_they_take_and_give():
    """What `mypy --strict` asks of the package; the long test below asks it of a user's script."""
    found = dict(functions())
    assert len(found) > 50
    for name, function in found.items():
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in list(signature.parameters.values())[1 if "." in name else 0 :]:
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter}"
    assert (Path(kt.__file__).parent / "py.typed").exists()


def strict(path, folder):
    """Run `mypy --strict` on a user's script, which finds the package as installed and typed."""
    words = ["--strict", "--follow-imports=silent", "--config-file=", "--cache-dir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *words, str(path)],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
    )


@pytest.mark.long
def test_a_typed_script_passes_mypy_and_wrong_ones_do_not(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    found = strict(tmp_path / "script.py", tmp_path / "cache")
    assert found.returncode == 0, found.stdout
    wrong = [
        'kt.exact_risk("teacher", "ce_sgl", n=3)',
        "kt.simulate(teacher).estimates[0].average",
        'kt.Student("mine", access=3, rule=laplace)',
        'assert_type(kt.exact_risk(teacher, "ce_sgl", n=3), str)',
    ]
    text = SCRIPT.read_text(encoding="utf-8")
    (tmp_path / "wrong.py").write_text("\n".join([text, *wrong]), encoding="utf-8")
    found = strict(tmp_path / "wrong.py", tmp_path / "cache")
    lines = len(text.splitlines()) + 1
    told = {int(number) for number in re.findall(r"wrong\.py:(\d+): error", found.stdout)}
    assert told == set(range(lines + 1, lines + 1 + len(wrong))), found.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The source archive and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--quiet", "--outdir", folder, ROOT)
    (source,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return source, wheel


def run(*words, **options):
    found = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=1200, **options
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


release = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("build") is None or find_spec("twine") is None,
        reason="no build, no twine: pip install 'kt_theory[release]'",
    ),
]


class TestArchives:
    """Wheel and source archive, as `python -m build` makes them."""

    pytestmark = release

    def test_they_are_fit_to_be_published(self, archives):
        said = run(sys.executable, "-m", "twine", "check", "--strict", *archives)
        assert said.count("PASSED") == 2

    def test_the_source_archive_holds_the_project(self, archives):
        """All that is under version control, so that every test runs from it, and nothing else."""
        if shutil.which("git") is None or not (ROOT / ".git").exists():
            pytest.skip("no git: what is under version control is not known")
        listed = ["ls-files", "--cached", "--others", "--exclude-standard"]
        tracked = set(run("git", "-C", ROOT, *listed).splitlines())
        with tarfile.open(archives[0]) as source:
            kept = [each.name for each in source if each.isfile() or each.issym()]
        held = {name.partition("/")[2] for name in kept}
        assert held - tracked == {"PKG-INFO"}
        assert tracked - held == {".ci/run", ".gitignore"}

    def test_the_wheel_holds_the_package(self, archives):
        with zipfile.ZipFile(archives[1]) as wheel:
            held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        with tarfile.open(archives[0]) as source:
            names = {each.name.partition("/")[2] for each in source if each.isfile()}
        assert held == {name for name in names if name.startswith("kt_theory/")}
        assert "kt_theory/py.typed" in held

    @pytest.mark.parametrize("extras", ["", "[all]"])
    def test_the_wheel_works_in_an_empty_environment(self, archives, tmp_path, extras):
        run(sys.executable, "-m", "venv", tmp_path / "venv")
        python = tmp_path / "venv" / "bin" / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pins = ["--no-compile", "--constraint", ROOT / "constraints.txt"]
        run(*pip, *pins, f"kt_theory{extras} @ {archives[1].as_uri()}")
        program = tmp_path / "venv" / "bin" / "kt-theory"
        assert "Usage: kt-theory" in run(program, "--help", cwd=tmp_path)
        code = """if True:
            import kt_theory as kt
            teacher = kt.teachers.zipf(3, 2)
            run = kt.simulate(teacher, "ce_sgl", n=4, repeats=4000, seed=0, progress=False)
            found = run.estimates[0]
            print(kt.__file__, found.mean, found.std_error, kt.exact_risk(teacher, "ce_sgl", n=4))
            """
        file, *numbers = run(python, "-I", "-c", code, cwd=tmp_path).split()
        assert Path(file).is_relative_to(tmp_path)
        mean, error, exact = map(float, numbers)
        assert 0 < error < 0.01
        assert abs(mean - exact) < 6 * error
