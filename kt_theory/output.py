"""Writing results: checked before anything is computed, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kt_theory import machine

if TYPE_CHECKING:
    import pandas as pd


def refuse_unwritable(paths: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Raise an error if a path cannot be written, is named twice or is an input; create nothing."""
    sources = [path.resolve() for path in inputs]
    seen: list[Path] = []
    for path in paths:
        refuse_special(path)
        folder = path.resolve().parent
        if not folder.is_dir():
            missing = folder if path.is_symlink() else path.parent
            raise FileNotFoundError(f"{path}: the folder {missing} does not exist")
        writable = os.access(path, os.W_OK) or not path.exists()
        if not (writable and os.access(folder, os.W_OK)):
            raise PermissionError(f"{path} cannot be written: no permission")
        if path.resolve() in sources:
            raise ValueError(
                f"{path} is an input of this command: writing the result there would destroy it"
            )
        if path.resolve() in seen:
            raise ValueError(f"{path} is named twice: the second result would overwrite the first")
        seen.append(path.resolve())


def refuse_special(path: Path) -> None:
    """Raise an error if a path is a folder, a device or a pipe: a file in its place would be the
    end of it.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file: nothing is written there")


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Replace a file in one step or not at all: `write` fills another one beside it.

    Of a link it is the file that the link leads to. What killed processes left half-written in its
    folder is removed.

    Raises
    ------
    OSError
        With the file's name where the disk is full or no file may become so large.
    ValueError
        If it is a device or a pipe.
    """
    refuse_special(path)
    target = path.resolve()
    machine.remove_leftovers(target.parent)
    try:
        with machine.replacement(target) as beside:
            write(beside)
    except OSError as error:
        if not (reason := machine.no_room(error)):
            raise
        raise OSError(error.errno, reason, str(path)) from error


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file whole or not at all: whatever fails leaves what was there. Return its path."""
    try:
        replace_file(path, lambda beside: beside.write_bytes(data))
    except OSError as error:
        raise OSError(f"{path} was not written: {error.strerror}") from error
    return path


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same table with an apostrophe before texts that a spreadsheet would compute."""
    found = frame.rename(columns=_as_text)
    for place, kind in enumerate(frame.dtypes):
        if str(kind) in ("object", "str", "string", "category"):
            found.isetitem(place, frame.iloc[:, place].astype(object).map(_as_text))
    return found


def _as_text(cell: Any) -> Any:
    computed = isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell)
    return f"'{cell}" if computed else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table as CSV with 10 significant digits and return the path."""
    text = without_formulas(frame).to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return write_bytes(path, text.encode("utf-8"))
