"""The page of the architecture: its tree is the package's, and its worked examples work.

Each example is applied to a copy of the package, and what it says to run is run there.
"""

from __future__ import annotations

import ast
import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_design import FLOORS

import kt_theory as kt

PACKAGE = Path(kt.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"

SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

SLOW = (
    "a student with a name",
    "a student of one's own",
    "a query law",
    "a training objective",
    "a loss",
)
"""The example that takes most: three commands."""

CHANNEL = "an access level through a new channel"


@dataclass(frozen=True)
class Example:
    """A worked example of the page.

    Attributes
    ----------
    title : str
    files : int
        How many files the title says that it takes.
    diff : str
    runs : list of (str, str, str)
        The kind of block ("python" or "console"), what is run, and what it prints.
    """

    title: str
    files: int
    diff: str
    runs: list[tuple[str, str, str]]


def read_examples(text):
    """Return the examples of the page, in their order."""
    found = []
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        name, number = re.fullmatch(r"(.*): (\d+) files", title).groups()
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL)
        diff, runs = "", []
        for kind, block in blocks:
            if kind == "diff":
                diff += block
            elif kind == "python":
                runs.append((kind, block, ""))
            elif kind == "output":
                runs[-1] = (*runs[-1][:2], block)
            else:
                for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                    asked, _, printed = command.partition("\n")
                    runs.append((kind, asked, printed))
        found.append(Example(name[0].lower() + name[1:], int(number), diff, runs))
    return found


EXAMPLES = {example.title: example for example in read_examples(PAGE.read_text())}


def files_of(diff):
    """Return the parts of a diff by the file that each is of."""
    parts = re.split(r"^--- \S+\n\+\+\+ (\S+)\n", diff, flags=re.MULTILINE)
    assert not parts[0].strip()
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def applied(part, source):
    """Return a source after the hunks of a part of a diff; each must fit at one place alone."""
    for hunk in part.split("@@\n"):
        lines = hunk.splitlines()
        assert all(line[:1] in ("", " ", "+", "-") for line in lines), hunk
        old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        places = [
            found.start() for found in re.finditer(rf"^{re.escape(old)}", source, re.MULTILINE)
        ]
        assert len(places) == 1, f"{len(places)} places for\n{old}"
        source = source[: places[0]] + new + source[places[0] + len(old) :]
    return source


def written(part, path):
    """Return what a part of a diff makes of a file, which need not be there."""
    if path.exists():
        return applied(part, path.read_text())
    return "".join(f"{line[1:]}\n" for line in part.splitlines())


def apply(diff, folder, *, but=""):
    """Change the copy of the package in a folder, but for one file."""
    for name, part in files_of(diff).items():
        path = folder / name
        if name != but:
            text = written(part, path)
            path.unlink(missing_ok=True)  # a link, see `copy`
            path.write_text(text)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy of the package, machine code and all."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copytree(PACKAGE, folder / "kt_theory")
    return folder


@pytest.fixture
def copy(original, tmp_path):
    """Links to the files of the copy; what is changed is another file first."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True, copy_function=os.link)
    stamp = tmp_path / "kt_theory" / "kernels" / "__pycache__" / "kernels.sha256"
    text = stamp.read_bytes()
    stamp.unlink()  # or the stamp of one copy would pass for that of all
    stamp.write_bytes(text)
    (tmp_path / "work").mkdir()
    return tmp_path


def run(kind, text, folder):
    """Run what an example says with the copy of the package in a folder: what it prints, and
    whether it went well.
    """
    words = ["-c", text] if kind == "python" else ["-m", *shlex.split(text)]
    words = [word.replace("kt-theory", "kt_theory") for word in words]
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", *words],
        cwd=folder / "work",
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "110"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout + done.stderr, done.returncode


def by_time(example, commands):
    slow = example.title.startswith(SLOW) or commands
    marks = [pytest.mark.long] if slow else []
    return pytest.param(example, commands, id=f"{example.title}, {commands}", marks=marks)


@pytest.mark.parametrize(
    ("example", "commands"),
    [by_time(example, commands) for example in EXAMPLES.values() for commands in (False, True)],
)
def test_examples_work_as_they_stand(example, commands, copy):
    apply(example.diff, copy)
    for kind, text, expected in example.runs:
        if kind == "console" and not commands:
            continue
        printed, _ = run(kind, text, copy)
        same = doctest.OutputChecker().check_output(expected, printed, SAME)
        assert same, f"{text}\nprinted\n{printed}\nwhere the page says\n{expected}"


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_examples_touch_as_many_files_as_they_say(example):
    parts = files_of(example.diff)
    assert len(parts) == example.files
    for name, part in parts.items():
        assert name.startswith("kt_theory/")
        path = PACKAGE.parent / name
        text = written(part, path)
        assert not path.exists() or text != path.read_text()
        ast.parse(text)
    counts = dict(re.findall(r"^\| (an? .*?) \| (\d+) \|", PAGE.read_text(), flags=re.MULTILINE))
    assert {title: str(one.files) for title, one in EXAMPLES.items()} == counts


@pytest.mark.parametrize("name", files_of(EXAMPLES[CHANNEL].diff))
def test_a_file_that_is_forgotten_is_an_error_and_never_a_number(name, copy):
    example = EXAMPLES[CHANNEL]
    apply(example.diff, copy, but=name)
    _, text, expected = example.runs[0]
    printed, code = run("python", text, copy)
    assert code != 0
    assert "Error" in printed
    assert expected.splitlines()[0] not in printed
    assert "worst case" not in printed


def test_a_kind_of_channel_that_is_not_listed_does_not_load(copy):
    apply(EXAMPLES[CHANNEL].diff, copy)
    path = copy / "kt_theory" / "access" / "channel.py"
    less = path.read_text().replace(" | Relative\n", "\n")
    assert less != path.read_text()
    path.write_text(less)
    printed, code = run("python", "import kt_theory.access", copy)
    assert code != 0
    assert "its kinds are not those of" in printed


METHODS = ["undone", "keeps_order", "shown", "row_error", "floor", "label_floor"]
METHODS += ["name", "description"]
LOADS = """
import os, sys
import numpy
from pathlib import Path

for text in sys.stdin.read().split("\\0"):
    Path(sys.argv[1]).write_text(text)
    child = os.fork()
    if child == 0:
        try:
            import kt_theory.catalogue
            print("loaded", flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""Loads the package with one text after the other in the place of a module, with NumPy there."""


def test_a_channel_that_lacks_a_method_does_not_load(copy):
    apply(EXAMPLES[CHANNEL].diff, copy)
    path = copy / "kt_theory" / "access" / "channel.py"
    diff = files_of(EXAMPLES[CHANNEL].diff)["kt_theory/access/channel.py"]
    texts = [path.read_text()]
    for method in METHODS:
        less = re.sub(
            rf"^\+    (def )?{method}\b", rf"+    \1other_{method}", diff, flags=re.MULTILINE
        )
        assert less != diff
        texts.append(written(less, PACKAGE.parent / "kt_theory" / "access" / "channel.py"))
    done = subprocess.run(
        [sys.executable, "-B", "-c", LOADS, path],
        cwd=copy / "work",
        input="\0".join(texts),
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    whole, *lacking = done.stdout.splitlines()
    assert whole == "loaded"
    assert len(lacking) == len(METHODS)
    for method, said in zip(METHODS, lacking, strict=True):
        assert f"abstract method {method}" in said


def test_the_tree_of_the_page_is_the_package():
    tree = PAGE.read_text().split("```\nkt_theory/\n")[1].split("```")[0]
    shown = []
    for line in tree.splitlines():
        shown += re.match(r"  ((?:\w+(?:\.py|/) ?)+)", line).group(1).split()
    there = [path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    there += [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
    assert sorted(shown) == sorted(there)
    floor_of = {name: i for i, floor in enumerate(FLOORS) for name in floor}
    floors = [floor_of[name.removesuffix(".py").removesuffix("/")] for name in shown]
    assert floors == sorted(floors)


def test_what_the_page_names_is_there():
    named = re.findall(r"`((?:\w+\.)+(?!py`)\w+)(?:\(.*?\))?`", PAGE.read_text())
    modules = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }
    found = 0
    for name in named:
        module, _, last = name.rpartition(".")
        if module in modules:
            assert re.search(rf"\b{last}\b", modules[module].read_text()), name
            found += 1
        elif module.split(".")[0] in {path.name for path in PACKAGE.iterdir()}:
            assert (PACKAGE / name.replace(".", "/")).exists() or name in modules, name
            found += 1
    assert found >= 15
