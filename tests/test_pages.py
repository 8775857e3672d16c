"""Every guide does what it shows: its code and commands run in order, and print what stands there."""

from __future__ import annotations

import re
import shlex
from functools import reduce
from pathlib import Path

import pages
import pytest
from command_words import read
from grids import few_quick

import kt_theory as kt
from kt_theory import catalogue
from kt_theory.cli import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOPICS = [DOCS / f"{name}.md" for name in ("students", "intervals", "property-tests")]
GUIDES = [DOCS / "quickstart.md", *TOPICS, *sorted((DOCS / "guides").glob("*.md"))]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in GUIDES}
REFERENCES = ("install", "comparison", "statements", "sweep-format")
LINKED = [*GUIDES, *(DOCS / f"{name}.md" for name in REFERENCES)]

QUICK = ["students"]
"""Pages that take less than a second; of the others the quick suite reads the words alone."""


@pytest.mark.parametrize("name", few_quick(TEXTS, QUICK))
def test_a_reader_sees_what_stands_there(name, tmp_path):
    reader = pages.Reader(tmp_path)
    found = [pages.difference(step, reader.prints(step)) for step in pages.steps(TEXTS[name])]
    assert not any(found), "\n".join(filter(None, found))


def test_another_number_is_told_apart(tmp_path):
    (step,) = pages.steps("```python\nprint(0.25)\n```\n\n```text\n0.24\n```\n")
    assert "0.24" in pages.difference(step, pages.Reader(tmp_path).prints(step))


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_of_commands_are_known(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = pages.commands(TEXTS[name])
    shell = [line for block in pages.blocks(TEXTS[name], "sh") for line in block.splitlines()]
    commands += [line.split("  #")[0] for line in shell if line.startswith("kt-theory")]
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "kt-theory"
        assert read(main, words)


def for_a_shell(command):
    """Whether a shell would read the command as words alone: brackets stand in quotes."""
    words = shlex.shlex(command.partition("  #")[0], posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return not set("".join(word for word in words if set(word) <= set("();<>|&")))


def test_commands_can_be_pasted_into_a_shell():
    """All pages and the README; brackets without quotes are told."""
    pages_of_all = [ROOT / "README.md", *DOCS.rglob("*.md")]
    said = [c for path in pages_of_all for c in pages.commands(path.read_text(encoding="utf-8"))]
    assert len(said) > 40
    assert [command for command in said if not for_a_shell(command)] == []
    assert not for_a_shell("kt-theory plan --price top_k(5)=0.1")


@pytest.mark.parametrize("name", TEXTS)
def test_code_names_what_is_there(name):
    for code in pages.blocks(TEXTS[name], "python"):
        compile(code, name, "exec")
        for path in re.findall(r"\bkt((?:\.\w+)+)", code):
            reduce(getattr, path[1:].split("."), kt)


def test_every_student_and_level_is_named():
    text = TEXTS["students"] + (DOCS / "sweep-format.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", text))
    assert {*catalogue.LEVELS, *catalogue.STUDENTS} <= named
    assert set(kt.STUDENTS) <= set(re.findall(r"\w+", TEXTS["students"]))


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.stem)
def test_links_lead_to_files(path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_is_run_or_for_the_readers_machine(name):
    """A block of another language would pass unread."""
    languages = set(re.findall(r"^```(\w*)$", TEXTS[name], re.M)) - {""}
    assert languages <= {"python", "text", "console", "toml", "sh"}
    texts = sum(
        step.shown is not None for step in pages.steps(TEXTS[name]) if step.kind == "python"
    )
    assert texts == len(pages.blocks(TEXTS[name], "text"))
