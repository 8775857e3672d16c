"""Docstrings are plain text for the terminal; here they become what docutils reads the same way.

An indented block after a blank line is a formula, and keeps its lines. A bar is a bar, and a star
between two characters is a star.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"``.*?``|`[^`]*`")
_MARKS = re.compile(r"\||(?<=[^\s*])\*(?=[^\s*])")
_ITEM = re.compile(r"\s*([-*]|\d+\.) ")


def escaped(line: str) -> str:
    """Return a line of prose whose bars and stars are no markup."""
    parts = []
    end = 0
    for code in _CODE.finditer(line):
        parts += [_MARKS.sub(r"\\\g<0>", line[end : code.start()]), code.group()]
        end = code.end()
    return "".join([*parts, _MARKS.sub(r"\\\g<0>", line[end:])])


def indent(line: str) -> int:
    """Return how far a line is indented."""
    return len(line) - len(line.lstrip())


def as_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText."""
    out: list[str] = []
    formula = 0
    session = False
    before = ""
    for line in lines:
        if not line.strip():
            out.append(line)
            session = False
            continue
        session = session or line.lstrip().startswith(">>>")
        if indent(line) < formula:
            formula = 0
        if not formula and _opens(line, before, out):
            formula = indent(line)
            if not before.endswith("::"):
                out += [" " * indent(before) + "::", ""]
        out.append(line if formula or session else escaped(line))
        before = line
    return out


def _opens(line: str, before: str, out: list[str]) -> bool:
    """Whether a line opens a block that is indented below the paragraph before it."""
    parted = bool(before) and not out[-1].strip()
    return parted and indent(line) > indent(before) and not _ITEM.match(before)
