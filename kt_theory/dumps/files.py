"""The files of a dump: which they are, and which layout they have."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from kt_theory.dumps.layouts.layout import Asked, Layout
from kt_theory.dumps.layouts.table import HEADS, LAYOUTS
from kt_theory.dumps.part import Part
from kt_theory.packed import suffix_of
from kt_theory.sources import require_file
from kt_theory.validation import as_path, entries_of, unknown_name


def open_parts(path: Any, format: str | None, asked: Asked) -> tuple[Part, ...]:
    """Return a part for each file, all of one layout and of one number of labels.

    Raises
    ------
    ValueError
        What is wrong with the first file that is, or how two of them differ.
    """
    if format is not None and format not in LAYOUTS:
        raise unknown_name("format", format, LAYOUTS)
    paths = files_of(path)
    layout = _layout_of(paths[0], format)
    first, *others = paths
    parts = [layout.part(first, asked)]
    for file in others:
        if format is None:
            _refuse_other_layout(first, layout, file)
        part = layout.part(file, asked)
        if part.labels != parts[0].labels:
            raise ValueError(
                f"{first} has {parts[0].labels} labels and {file} {part.labels}: files of one dump "
                "have those of one teacher; read them one by one"
            )
        parts.append(part)
    return tuple(parts)


def files_of(path: Any) -> list[Path]:
    """Return the files that a path, a folder, a pattern or a sequence of those name, each folder
    and pattern in natural order.
    """
    if isinstance(path, (str, os.PathLike)):
        return _files_of_one(as_path(path, "path"))
    found = [
        file for entry in entries_of(path, "path") for file in _files_of_one(as_path(entry, "path"))
    ]
    if not found:
        raise ValueError("path = []: name at least one file")
    twice = (
        {file for file in found if found.count(file) > 1} if len(set(found)) < len(found) else ()
    )
    for file in twice:
        raise ValueError(f"{file} is named twice: its positions would count twice")
    return found


def _files_of_one(path: Path) -> list[Path]:
    if path.is_dir():
        return _files_in(path)
    if path.exists() or not glob.has_magic(str(path)):
        require_file(path)
        return [path]
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    files = [file for file in found if file.is_file()]
    if not files:
        raise FileNotFoundError(f"{path}: no file has such a name")
    return sorted(files, key=_natural)


def _files_in(folder: Path) -> list[Path]:
    """The files of a dump in a folder and those below it: those of the first ending that occurs."""
    by_suffix: dict[str, list[Path]] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(place, name)
            suffix = suffix_of(file)
            if suffix in HEADS and not name.startswith("."):
                by_suffix.setdefault(suffix, []).append(file)
    kinds = [suffix for suffix in by_suffix if suffix != ".json"]
    if len(kinds) > 1:
        raise ValueError(
            f"{folder} holds files of several kinds, {' and '.join(sorted(kinds))}: name those of "
            f"one, such as {folder / ('*' + sorted(kinds)[0])}"
        )
    if not by_suffix:
        raise ValueError(f"{folder} holds no file that ends in {', '.join(sorted(HEADS))}")
    suffix = kinds[0] if kinds else ".json"
    return sorted(by_suffix[suffix], key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order by numbers where names have some: part-2 before part-10."""
    pieces = re.split("([0-9]+)", str(path))
    return [(int(piece), piece) if piece.isdigit() else (-1, piece) for piece in pieces]


def _layout_of(path: Path, format: str | None) -> Layout:
    if format is not None:
        return LAYOUTS[format]
    suffix = suffix_of(path)
    head = HEADS.get(suffix)
    if head is None:
        raise ValueError(
            f"{path}: a dump's files end in {', '.join(sorted(HEADS))}; name its layout by format= "
            "if it is one of those"
        )
    names = head(path)
    layouts = [layout for layout in LAYOUTS.values() if suffix in layout.suffixes]
    fits = next((layout for layout in layouts if layout.has(names)), None)
    if fits is None:
        raise ValueError(
            f"{path} has {', '.join(map(str, names)) or 'nothing'}: {_nearest(names, layouts)}"
        )
    return fits


def _nearest(names: Collection[str], layouts: Sequence[Layout]) -> str:
    """Words for the layout with the largest share of its fields among names."""
    fields = {layout.name: _fields(layout) for layout in layouts}
    lacking = {
        name: [word for word in words if word not in names] for name, words in fields.items()
    }
    nearest = min(fields, key=lambda name: len(lacking[name]) / max(len(fields[name]), 1))
    lacks = f", for which it lacks {', '.join(lacking[nearest])}" if lacking[nearest] else ""
    return (
        f"no layout of a dump; the nearest is {nearest} ({LAYOUTS[nearest].looks}){lacks}; "
        "format= names another"
    )


def _fields(layout: Layout) -> list[str]:
    """The fields that a layout's words begin with."""
    pieces = [piece.strip() for piece in layout.looks.partition(";")[0].split(",")]
    return list(takewhile(str.isidentifier, pieces))


def _refuse_other_layout(first: Path, layout: Layout, file: Path) -> None:
    other = _layout_of(file, None)
    if other is not layout:
        raise ValueError(
            f"{first} has the layout {layout.name}, {file} that of {other.name}: read them one by "
            "one"
        )
