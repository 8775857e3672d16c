"""One mutant on trial: a copy of the checkout with its mutation, and tests on that copy."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from mutants.mutant import Mutant

HERE = Path(__file__).resolve().parents[2]
"""The checkout."""

ABOUT_SOURCES = ("test_mutants.py", "test_style.py", "test_design.py", "test_attack.py")
"""Tests that would convict a mutation of being one, or that are of another tool."""

LIKELY_SECONDS, WHOLE_SECONDS = 900.0, 5400.0
"""What the likely tests, and the whole quick suite, may take.

A mutant that takes longer hangs, and counts as killed.
"""

_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".arm", "build", "dist", "*.egg-info", "*.jsonl"
)


class Verdict(NamedTuple):
    """What came of a trial.

    Attributes
    ----------
    killed : bool
    by : str
        The test that convicted it; "hangs in ..." if it took too long, "dies in ..." if the
        process died.
    seconds : float
    """

    killed: bool
    by: str
    seconds: float


def copied(source: Path, to: Path) -> Path:
    """Return a copy of a checkout, machine code included, which holds as files keep their times."""
    shutil.copytree(source, to, ignore=_NOT_COPIED)
    return to


def tried(mutant: Mutant, pristine: Path, folder: Path, *, by_all: bool) -> Verdict:
    """Return the verdict on a mutant of its likely tests, or `by_all` the tests of the quick suite.

    A test convicts only if it passes on the `pristine` copy, and fails again on the mutant.
    """
    what, words, seconds = (
        "its likely tests",
        [f"tests/{name}" for name in mutant.tests.split()],
        LIKELY_SECONDS,
    )
    if by_all:
        what, words, seconds = "the quick suite", ["tests"], WHOLE_SECONDS
    started = time.monotonic()
    copy = copied(pristine, folder / mutant.name)
    package = copy / "kt_theory"
    text = mutant.written(package)
    (package / mutant.file).write_text(text, encoding="utf-8")
    try:
        by = convicted(copy, words, seconds, what)
        if by and not by.startswith(("hangs", "dies")):
            if convicted(pristine, [by], LIKELY_SECONDS, by):
                raise RuntimeError(f"{by} fails without a mutation: it convicts nobody")
            # On a busy machine a test may have failed for its time.
            by = convicted(copy, [by], LIKELY_SECONDS, by) or convicted(copy, words, seconds, what)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return Verdict(bool(by), by, time.monotonic() - started)


def convicted(copy: Path, words: list[str], seconds: float, what: str) -> str:
    """Return the first test that fails in a copy, empty if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += ["-m", "not long", *(f"--ignore=tests/{name}" for name in ABOUT_SOURCES), *words]
    paths = {"PYTHONPATH": str(copy), "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    with subprocess.Popen(
        command,
        cwd=copy,
        env={**os.environ, **paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return f"hangs in {what}: more than {seconds:.0f} s"
    if process.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said, re.MULTILINE)
    if found:
        return found[1]
    if process.returncode < 0 or "Fatal Python error" in said:
        return f"dies in {what}: signal {-process.returncode}"
    raise RuntimeError(f"pytest ended with {process.returncode}:\n{said[-2000:]}")


def mark(mutant: Mutant, by: str, checkout: Path) -> str:
    """Return a digest of what a conviction depends on: package, mutation, file of the test."""
    found = hashlib.sha256(repr((mutant.file, mutant.old, mutant.new)).encode())
    test = by.split("::")[0]
    files = sorted((checkout / "kt_theory").rglob("*.py"))
    if test.endswith(".py"):
        files.append(checkout / test)
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]
