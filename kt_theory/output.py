"""Writing results: checked before anything is computed, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def refuse_unwritable(paths: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Raise an error if one of `paths` cannot be written, is named twice, or is one of `inputs`.
    Creates nothing.
    """
    sources = [path.resolve() for path in inputs]
    seen: list[Path] = []
    for path in paths:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder: give the name of a file")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist")
        if not (
            os.access(path.parent, os.W_OK) and (os.access(path, os.W_OK) or not path.exists())
        ):
            raise PermissionError(f"{path} cannot be written: no permission")
        if path.resolve() in sources:
            raise ValueError(
                f"{path} is an input of this command: writing the result there would destroy it"
            )
        if path.resolve() in seen:
            raise ValueError(f"{path} is named twice: the second result would overwrite the first")
        seen.append(path.resolve())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file whole or not at all: a full disk or an interrupt leaves what was there before.
    Return its path.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except OSError as error:
        raise OSError(f"{path} was not written: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return path


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table as CSV with 10 significant digits and return the path."""
    text = frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return write_bytes(path, text.encode("utf-8"))
