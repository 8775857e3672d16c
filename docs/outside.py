"""Pages that lie outside this folder, and links between them and the pages inside.

A page that is nothing but an `include` stands for the file that it names. Links are written so
that they hold where the files lie; on the site they lead to where the pages stand.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent

_INCLUDED = re.compile(r"```\{include\} (\S+)\n```\s*")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def file_of(page: Path, text: str) -> Path:
    """Return the file that a page stands for: itself, or the one that it includes."""
    found = _INCLUDED.fullmatch(text)
    return (page.parent / found[1]).resolve() if found else page


def page_of() -> dict[Path, Path]:
    """Return the page of each file outside this folder that has one."""
    pages = {}
    for page in sorted(HERE.rglob("*.md")):
        file = file_of(page, page.read_text(encoding="utf-8"))
        if file != page:
            pages[file] = page
    return pages


def as_page(text: str, page: Path, file: Path, pages: dict[Path, Path]) -> str:
    """Return the text of a file with its links as they hold at the place of its page."""

    def link(found: re.Match[str]) -> str:
        target = (file.parent / found[1]).resolve()
        if not target.exists():
            return found[0]
        place = os.path.relpath(pages.get(target, target), page.parent)
        return f"]({Path(place).as_posix()}{found[2] or ''})"

    return _LINK.sub(link, text)
