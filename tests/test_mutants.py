"""The table of mutants holds, and a trial tells a mutant that is seen from one that is not."""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from mutants import trial
from mutants.mutant import Mutant
from mutants.table import MUTANTS, ROOMS
from together import together

import kt_theory as kt

PACKAGE = Path(kt.__file__).parent
TESTS = Path(__file__).parent


def test_enough_of_them_each_with_a_name_of_its_own():
    names = [mutant.name for room in ROOMS for mutant in room.MUTANTS]
    assert len(names) >= 80
    assert [name for name, times in Counter(names).items() if times > 1] == []


@cache
def statements(file):
    """Return the lines of a file, and the first line of each statement at its top level."""
    source = (PACKAGE / file).read_text(encoding="utf-8")
    heads = [
        min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
        for node in ast.parse(source).body
    ]
    return source.splitlines(keepends=True), heads


def changed(mutant):
    """Return the statements at the top level that a mutant touches, before and after, as trees.

    All others stay what they are, and need not be parsed again for each mutant.
    """
    lines, heads = statements(mutant.file)
    before, after = "".join(lines), mutant.written(PACKAGE)
    place = before.index(mutant.old)
    first = before[:place].count("\n") + 1
    last = first + mutant.old.rstrip("\n").count("\n")
    begin = max((head for head in heads if head <= first), default=1) - 1
    end = min((head for head in heads if head > last), default=len(lines) + 1) - 1
    head, tail = "".join(lines[:begin]), "".join(lines[end:])
    assert after.startswith(head)
    assert after.endswith(tail)
    texts = "".join(lines[begin:end]), after[len(head) : len(after) - len(tail)]
    return [ast.dump(ast.parse(text)) for text in texts]


@together(MUTANTS)
def test_its_text_stands_once_and_what_replaces_it_is_python(name):
    mutant = MUTANTS[name]
    before, after = changed(mutant)
    assert before != after
    for test in mutant.tests.split():
        assert (TESTS / test.split("::")[0]).exists()


def test_a_mutant_that_changes_nothing_or_is_no_python_is_seen():
    mutant = next(iter(MUTANTS.values()))
    before, after = changed(dataclasses.replace(mutant, new=f"{mutant.old}  "))
    assert before == after
    with pytest.raises(SyntaxError):
        changed(dataclasses.replace(mutant, new=")"))


def test_a_text_that_is_gone_or_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old, times in (("y", 0), ("x = 1", 2)):
        with pytest.raises(ValueError, match=f"has {times} times"):
            Mutant("one", "a.py", old, "z", "", "").written(tmp_path)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package of one constant, with a test that looks at it from one side only."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading them takes most of the time
    (tmp_path / "a" / "kt_theory").mkdir(parents=True)
    (tmp_path / "a" / "tests").mkdir()
    (tmp_path / "a" / "kt_theory" / "__init__.py").write_text("HALF = 0.5\n")
    (tmp_path / "a" / "tests" / "test_half.py").write_text(
        "import kt_theory\ndef test_half():\n    assert kt_theory.HALF <= 0.5\n"
    )
    return tmp_path / "a"


@pytest.mark.parametrize(
    ("new", "by"),
    [("0.6", "tests/test_half.py::test_half"), ("0.4", ""), ("no", "tests/test_half.py")],
)
def test_a_trial_tells_who_is_seen(checkout, tmp_path, new, by):
    mutant = Mutant("m", "__init__.py", "0.5", new, "", "test_half.py")
    verdict = trial.tried(mutant, checkout, tmp_path, by_all=False)
    assert verdict[:2] == (bool(by), by)
    assert not (tmp_path / "m").exists()


def test_a_test_that_fails_anyway_convicts_nobody(checkout, tmp_path):
    (checkout / "tests" / "test_half.py").write_text("def test_half():\n    raise ValueError\n")
    with pytest.raises(RuntimeError, match="fails without a mutation"):
        trial.tried(
            Mutant("m", "__init__.py", "0.5", "0.6", "", "test_half.py"),
            checkout,
            tmp_path,
            by_all=True,
        )


def test_a_mutant_that_hangs_counts_as_killed(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "LIKELY_SECONDS", 5.0)
    hangs = "0.5\n__import__('time').sleep(1e3)"
    mutant = Mutant("m", "__init__.py", "0.5", hangs, "", "test_half.py")
    verdict = trial.tried(mutant, checkout, tmp_path, by_all=False)
    assert verdict.killed
    assert verdict.by.startswith("hangs in its likely tests")
