"""NPY files of whole rows, and NPZ files with what stands beside them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from kt_theory.dumps.layouts.arrays import (
    LOOKS,
    USED,
    Array,
    Flat,
    Rows,
    WholeRows,
    array_part,
    has_rows,
    unnamed,
)
from kt_theory.dumps.layouts.layout import Asked, Layout
from kt_theory.sources import SMALL, refuse_packed, require_file

_LOCAL_HEADER = 30
_MOST_PACKED = 1 << 28


def _npy_part(path: Path, asked: Asked) -> WholeRows:
    require_file(path)
    with open(path, "rb") as file:
        found = _flat(file, path, 0, os.fstat(file.fileno()).st_size)
    return unnamed(path, found, asked)


def _npz_part(path: Path, asked: Asked) -> WholeRows:
    with _opened(path) as held:
        arrays = {
            name: _member(held, member, path)
            for name, member in zip(_names(held), held.infolist(), strict=True)
            if name in USED
        }
    return array_part(path, arrays, asked)


def no_names(path: Path) -> Collection[str]:
    """Return the names of the arrays of an NPY file: its one array has none."""
    return ()


def names_of_members(path: Path) -> Collection[str]:
    """Return the names of the arrays of an NPZ file.

    Raises
    ------
    ValueError
        If it is damaged or cut off.
    """
    with _opened(path) as held:
        return _names(held)


def _names(held: zipfile.ZipFile) -> list[str]:
    return [member.filename.removesuffix(".npy") for member in held.infolist()]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    require_file(path)
    try:
        held = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no NPZ file, or is cut off: {error}") from None
    with held:
        yield held


def _member(held: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Array:
    if member.compress_type != zipfile.ZIP_STORED:
        refuse_packed(member.file_size, member.compress_size)
        if member.file_size > max(_MOST_PACKED, SMALL):
            raise ValueError(
                f"{path}: {member.filename} is compressed and holds {member.file_size:,} bytes: "
                "save it by numpy.savez, whose arrays are read a block at a time"
            )
        with held.open(member) as stream:
            shape, fortran, dtype = _header(stream, path)
            _refuse_array(fortran, dtype, path)
        return Compressed(path, member.filename, shape)
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        head = file.read(_LOCAL_HEADER)
        name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
        begin = member.header_offset + _LOCAL_HEADER + name + extra
        return _flat(file, path, begin, begin + member.file_size)


def _flat(file: IO[bytes], path: Path, begin: int, end: int) -> Flat:
    file.seek(begin)
    shape, fortran, dtype = _header(file, path)
    _refuse_array(fortran, dtype, path)
    begin = file.tell()
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if needed > end - begin:
        raise ValueError(
            f"{path} is cut off: its header says {needed:,} bytes, it has {end - begin:,}"
        )
    return Flat(path, begin, dtype.str, shape or (1,))


def _header(stream: Any, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except ValueError as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} holds no NPY array: {why}") from None


def _refuse_array(fortran: bool, dtype: np.dtype, path: Path) -> None:
    if dtype.kind not in "iufb":
        raise ValueError(f"{path} holds an array of the type {dtype}: must be of numbers")
    if fortran:
        raise ValueError(
            f"{path} holds an array column by column: save numpy.ascontiguousarray(array)"
        )


@dataclass(frozen=True)
class Compressed(Array):
    """An array that is compressed in an NPZ file, and read whole.

    Attributes
    ----------
    path : Path
        The file.
    member : str
        Its name there.
    """

    path: Path
    member: str
    shape: tuple[int, ...]

    @contextmanager
    def opened(self) -> Iterator[Rows]:
        """Decompress it once."""
        held = self._rows()

        def read(start: int, stop: int) -> np.ndarray:
            return held[start:stop]

        yield read

    def picked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return single entries."""
        return self._rows()[rows, columns]

    def _rows(self) -> np.ndarray:
        with zipfile.ZipFile(self.path) as held, held.open(self.member) as stream:
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        return array.reshape(-1, self.shape[-1] if self.shape else 1)


def _nameless(names: Collection[str]) -> bool:
    return not names


NPY = Layout("npy", "one array of rows, (positions, labels)", (".npy",), _nameless, _npy_part)

NPZ = Layout(
    "npz",
    LOOKS,
    (".npz",),
    has_rows,
    _npz_part,
)
