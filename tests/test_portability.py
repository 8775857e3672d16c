"""The main verbs without what Linux alone has: as on macOS, and as on Windows.

Both are imitated (see `portability/sitecustomize.py`): what is shown is that the package uses
nothing that they lack, and gives the same bytes.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from grids import few_quick

import kt_theory as kt
from kt_theory import machine
from kt_theory.sweep import Spec

HERE = Path(__file__).parent / "portability"
PACKAGE = Path(kt.__file__).parent
SYSTEMS = ["macos", "windows"]
SECONDS = 6.0
"""How long the processes of a killed sweep may live."""

SWEEP = """
name = "portable"
seed = 11
repeats = 30_000
n = [50, 400]
students = ["ce_sgl", "sel_ptl"]
[[teachers]]
family = "dirichlet"
inputs = 10
labels = [20, 30, 40, 50]
"""


def surroundings(system, folder):
    """Return the environment of a process as on `system`, "linux" for what is at hand."""
    if system == "linux":
        return dict(os.environ)
    return os.environ | {
        "KT_THEORY_SYSTEM": system,
        "KT_THEORY_ROOT": str(folder),
        "PYTHONPATH": str(HERE),
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONIOENCODING": "cp1252" if system == "windows" else "utf-8",
    }


def start(system, folder, *words):
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=surroundings(system, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run(system, folder, *words):
    process = start(system, folder, *words)
    said, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return said


def verbs(system, folder):
    """Return the numbers that the verbs find, and every file of a figure, of one process."""
    figure = folder / "figure"
    if system == "linux":  # this process is one
        runpy.run_path(str(HERE / "verbs.py"))["main"](folder, figure)
    else:
        run(system, folder, HERE / "verbs.py", folder, figure)
    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    return numbers, {path.name: path.read_bytes() for path in figure.iterdir()}


def sweep_words(folder, executor):
    words = ["-m", "kt_theory", "sweep", "run", folder / "spec.toml", "--out", folder / "out"]
    return [*words, "--quiet", "--workers", 2, "--executor", executor]


def sweep(system, folder):
    (folder / "spec.toml").write_text(SWEEP, encoding="utf-8")
    run(system, folder, *sweep_words(folder, "threads"))
    return (folder / "out" / "results.parquet").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of the sweep with everything at hand, uninterrupted."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "spec.toml").write_text(SWEEP, encoding="utf-8")
    kt.sweep.run(Spec.read(folder / "spec.toml"), folder / "out", progress=False)
    return (folder / "out" / "results.parquet").read_bytes()


@pytest.fixture(scope="module")
def on_linux(tmp_path_factory):
    """What the verbs give with everything at hand, one by one when somebody asks."""
    known = {}

    def once(verb):
        if verb not in known:
            known[verb] = verb("linux", tmp_path_factory.mktemp(verb.__name__))
        return known[verb]

    return once


@pytest.mark.parametrize("system", few_quick(SYSTEMS, ["windows"]))
def test_the_same_comes_out_and_nothing_is_left_behind(system, on_linux, tmp_path):
    numbers, figure = verbs(system, tmp_path)
    assert set(figure) == {f"table1.{suffix}" for suffix in ("csv", "png", "svg")}
    assert (numbers, figure) == on_linux(verbs)
    assert not list(tmp_path.rglob(".*"))


def wait_for_records(folder, process):
    while not any(path.stat().st_size for path in (folder / "out" / "journal").glob("*.log")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def living(processes):
    return [each for each in processes if each.is_running() and each.status() != "zombie"]


@pytest.mark.parametrize("system", few_quick(SYSTEMS, ["macos"]))
def test_a_killed_sweep_ends_with_all_its_processes_and_goes_on(system, whole, tmp_path):
    (tmp_path / "spec.toml").write_text(SWEEP, encoding="utf-8")
    process = start(system, tmp_path, *sweep_words(tmp_path, "processes"))
    wait_for_records(tmp_path, process)
    company = psutil.Process(process.pid).children(recursive=True)
    assert len(company) >= 2
    process.kill()
    killed = time.monotonic()
    while living(company) and time.monotonic() < killed + SECONDS:
        time.sleep(0.05)
    assert not living(company)
    process.communicate()
    left = tmp_path / "out" / f"{machine.UNFINISHED}0badcafe-results.parquet"
    left.write_bytes(b"half")
    assert sweep(system, tmp_path) == whole
    assert not left.exists()


USES = {
    "macos": ["import os; os.sched_getaffinity", "open('/proc/meminfo')", "open('file').read()"],
    "windows": [
        "import fcntl",
        "from os import getuid",
        "import os; os.sysconf",
        "import signal; signal.SIGKILL",
        "import os; os.open('.', os.O_RDONLY)",
        "import os; stream = open('file', 'rb'); os.replace('file', 'other')",
        "import os; stream = open('file', 'rb'); os.fsync(stream.fileno())",
    ],
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_linux_alone_has_is_missed(system, tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    code = """if True:
        import os, sys
        os.chdir(sys.argv[1])
        for use in sys.argv[2:]:
            try:
                exec(compile(use, "module.py", "exec"), {"__name__": "kt_theory.module"})
            except (ImportError, AttributeError, OSError, EncodingWarning):
                continue
            raise SystemExit(use + ": went well")
    """
    run(system, tmp_path, "-c", code, tmp_path, *USES[system])


# Names of systems.

PLATFORM_MODULES = {"fcntl", "msvcrt", "resource", "pwd", "grp", "termios", "posix", "_winapi"}
PLATFORM_NAMES = {
    "os": """sysconf sched_getaffinity sched_setaffinity fork forkpty getuid geteuid getppid umask
        chmod fchmod chown killpg kill setsid getpgid nice fsync replace rename O_DIRECTORY O_CLOEXEC
        O_NOFOLLOW O_BINARY name cpu_count process_cpu_count getloadavg uname dup2 mkfifo""",
    "sys": "platform getwindowsversion",
    "signal": "SIGKILL SIGTERM SIGHUP SIGQUIT SIGPIPE SIGALRM SIGXFSZ SIGBREAK signal alarm",
    "multiprocessing": "cpu_count set_start_method get_context",
    "platform": "system",
}
PLATFORM_PATHS = ("/proc", "/dev/", "/sys/", "/tmp", "/etc/")
TEXT = ("open", "read_text", "write_text")
TELLING = re.compile(
    rf"\b({'|'.join([*PLATFORM_NAMES, *PLATFORM_MODULES, *TEXT])})\b|{'|'.join(PLATFORM_PATHS)}"
)
"""A source without any of these words has nothing that the checks find, and is not parsed."""


def platform_names(tree):
    """Yield where a syntax tree names what a system may lack."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = PLATFORM_NAMES.get(node.module or "", "").split()
            names = [alias.name for alias in node.names if alias.name in inside]
            names = [*names, node.module or ""]
            names = [f"{node.module}.{name}" if name in inside else name for name in names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = PLATFORM_NAMES.get(node.value.id, "").split()
            names = [f"{node.value.id}.{node.attr}"] if node.attr in known else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if node.value.startswith(PLATFORM_PATHS) else []
        else:
            continue
        for name in names:
            owner, _, last = name.partition(".")
            known = last in PLATFORM_NAMES.get(owner, "").split()
            if name in PLATFORM_MODULES or known or name.startswith(PLATFORM_PATHS):
                yield node.lineno, name


def texts_as_the_system_likes(tree):
    """Yield where a text file is opened in the system's own encoding, or written with its ends of
    lines."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        owner = function.value if isinstance(function, ast.Attribute) else None
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        of_os = isinstance(owner, ast.Name) and owner.id in ("os", "members")
        if name not in TEXT or of_os:
            continue
        given = {keyword.arg for keyword in node.keywords}
        words = [each.value for each in node.args if isinstance(each, ast.Constant)]
        mode = next((word for word in words if set(str(word)) <= set("rwaxbt+")), "r")
        if name == "open" and "b" in str(mode):
            continue
        encoded = "encoding" in given or (name == "read_text" and node.args)
        writes = name == "write_text" or (name == "open" and set(str(mode)) & set("wax"))
        if not encoded or (writes and "newline" not in given):
            yield node.lineno, f"{name} without " + ("newline" if encoded else "encoding")


CHECKS = [platform_names, texts_as_the_system_likes]


def test_one_module_alone_knows_systems():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name not in ("machine.py", "interrupts.py") and TELLING.search(source):
            tree = ast.parse(source)
            said = itertools.chain.from_iterable(check(tree) for check in CHECKS)
            found += [f"{path.relative_to(PACKAGE)}:{n}: {what}" for n, what in said]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("check", "wrong", "right"),
    [
        (platform_names, "import fcntl", "import json"),
        (platform_names, "from fcntl import flock", "from os import access"),
        (platform_names, "from os import fork", "from os import getpid"),
        (platform_names, "len(os.sched_getaffinity(0))", "os.access(path, os.W_OK)"),
        (platform_names, "signal.SIGKILL", "scipy.signal"),
        (platform_names, "open('/proc/meminfo')", "open('proc')"),
        (platform_names, "sys.platform == 'win32'", "sys.stdout"),
        (texts_as_the_system_likes, "open(path)", "open(path, 'rb')"),
        (texts_as_the_system_likes, "path.open('w', encoding='utf-8')", "path.open('ab')"),
        (texts_as_the_system_likes, "path.read_text()", "path.read_text(encoding='utf-8')"),
        (texts_as_the_system_likes, "path.write_text(x, encoding='utf-8')", "path.write_bytes(x)"),
    ],
)
def test_the_checks_tell_right_from_wrong(check, wrong, right):
    assert TELLING.search(wrong)
    assert list(check(ast.parse(wrong)))
    assert not list(check(ast.parse(right)))
