"""The blocks of a page of Markdown, and what it takes to run them as a reader would.

- ``python``: run; the ``text`` block that follows at once is what it prints.
- ``console``: lines "$ command", each followed by what it prints; "Error: ..." is a refusal.
- Any block whose first line is "# NAME.EXTENSION": saved under that name, not run.
- ``sh``: for the reader's machine alone, not run here.

In what is printed "..." stands for anything, and spaces count as one.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from kt_theory.cli import main

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.S | re.M)
_FILE = re.compile(r"# (\w[\w.-]*\.(?:toml|py|csv|json))\n")
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Step:
    """What a reader does once: run code or a command, or save a file; `shown` is what he sees."""

    kind: str
    text: str
    shown: str | None = None


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of one language."""
    return [code for name, code in _BLOCK.findall(text) if name == language]


def commands(text: str) -> list[str]:
    """Return the commands of the console blocks."""
    return [step.text for block in blocks(text, "console") for step in _console(block)]


def steps(text: str) -> list[Step]:
    """Return what a page asks for, in its order."""
    found: list[Step] = []
    end = 0
    for match in _BLOCK.finditer(text):
        language, code = match.groups()
        name = _FILE.match(code)
        follows = not text[end : match.start()].strip()
        end = match.end()
        if name:
            found.append(Step(f"file {name[1]}", code))
        elif language == "python":
            found.append(Step("python", code))
        elif language == "console":
            found += _console(code)
        elif language == "text" and follows and found and found[-1].kind == "python":
            found[-1] = Step("python", found[-1].text, code)
    return found


@dataclass
class Reader:
    """Someone who does the steps of a page, one after the other, in an empty folder."""

    folder: Path
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "page"})

    def prints(self, step: Step) -> str:
        """Do a step and return what it prints; a command must succeed, or be refused as shown."""
        with contextlib.chdir(self.folder):
            if step.kind.startswith("file "):
                Path(step.kind.removeprefix("file ")).write_text(step.text, encoding="utf-8")
                return ""
            if step.kind == "python":
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    exec(compile(step.text, "page", "exec"), self.names)
                return printed.getvalue()
            program, *words = shlex.split(step.text)
            assert program == "kt-theory", step.text
            result = CliRunner().invoke(main, words, catch_exceptions=False)
            refused = bool(step.shown and step.shown.startswith("Error: "))
            assert result.exit_code == 2 * refused, f"{step.text}\n{result.output}"
            return result.output if refused else result.stdout


def difference(step: Step, printed: str) -> str:
    """Return how what is printed differs from what the page shows; empty if it does not."""
    if step.shown is None or doctest.OutputChecker().check_output(step.shown, printed, _OPTIONS):
        return ""
    example = doctest.Example(step.text, step.shown)
    return f"{step.text}\n" + doctest.OutputChecker().output_difference(example, printed, _OPTIONS)


def _console(block: str) -> Iterator[Step]:
    """Yield the commands of a console block with what the page shows of their output."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        yield Step("console", command, shown or None)
