"""Files that are read: regular ones alone, and none whose header says more than can be held."""

from __future__ import annotations

import math
import os
import stat
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kt_theory import machine

MOST_CELLS = 2**28
"""Cells of a table: 2 GiB of float64."""

SMALL = 1 << 26
"""Bytes that a file may hold however small it is."""

RATIO = 500
"""Above `SMALL` no file holds as many times its own size: it was made to fill the memory."""


MOST_COPIED = 1 << 32
"""Bytes of a stream that are copied to the disk, where nobody knows whether it ends."""

_BLOCK = 1 << 20


class TooLarge(ValueError):
    """What a file holds by its own header."""


def require_file(path: str | Path) -> None:
    """Raise an error in one line unless a path is a regular file: devices and pipes have no end."""
    facts = os.stat(path)
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(f"{path} is a folder: give the name of a file")
    # What the system makes up while it is read has no size.
    if not stat.S_ISREG(facts.st_mode) or (not facts.st_size and machine.waits(Path(path))):
        raise ValueError(f"{path} is not a regular file")


def read_utf8(path: Path, what: str) -> str:
    """Return the text of a file, or refuse one that is no UTF-8; `what` it is, for the message."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{what} is not a UTF-8 text: byte {error.start} cannot be decoded"
        ) from None


def refuse_cells(shape: tuple[int, ...]) -> None:
    """Raise TooLarge if a table of this shape has more than `MOST_CELLS` cells."""
    cells = math.prod(shape)
    if cells > MOST_CELLS:
        size = " x ".join(map(str, shape))
        raise TooLarge(f"holds {size} = {cells:,} cells: at most {MOST_CELLS:,}")


def refuse_packed(held: int, size: int) -> None:
    """Raise TooLarge if `held` bytes cannot honestly be packed in `size`."""
    if held > max(SMALL, RATIO * size):
        raise TooLarge(
            f"holds {held:,} bytes, over {RATIO} times its size: store it uncompressed if that is "
            "meant"
        )


@contextmanager
def copied(
    stream: BinaryIO, name: str, most: int | None = None, head: bytes = b""
) -> Iterator[Path]:
    """Give the path of a copy of what a stream holds, a file called `name`, for the while; `head`
    is what was read of it already.

    Raises
    ------
    TooLarge
        If the stream holds more than `most` bytes, or more than half of what is free where
        temporary files lie: others need some too.
    OSError
        With the folder's name where the disk is full all the same.
    """
    with machine.temporary_folder() as folder:
        half = machine.free_space(folder) // 2
        copy = folder / name
        try:
            with copy.open("wb") as file:
                file.write(head)
                while block := stream.read(_BLOCK):
                    file.write(block)
                    _refuse_copied(file.tell(), most, half, folder.parent)
        except OSError as error:
            if not (reason := machine.no_room(error)):
                raise
            raise OSError(error.errno, reason, str(folder.parent)) from None
        yield copy


def _refuse_copied(size: int, most: int | None, half: int, place: Path) -> None:
    if most is not None and size > most:
        raise TooLarge(f"holds more than {most:,} bytes: give the name of a file")
    if size > half:
        raise TooLarge(f"holds more than {half:,} bytes, half of what is free in {place}")


def read_npy(path: str | Path) -> np.ndarray:
    """Return the array of an NPY file.

    Raises
    ------
    TooLarge
        By its header, before anything is allocated.
    ValueError
        If it is damaged, cut off, or holds Python objects.
    """
    with open(path, "rb") as stream:
        _refuse_header(stream, os.fstat(stream.fileno()).st_size)
        stream.seek(0)
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file by name; it raises what `read_npy` raises."""
    with zipfile.ZipFile(path) as members:
        for member in members.infolist():
            refuse_packed(member.file_size, member.compress_size)
            with members.open(member) as stream:
                _refuse_header(stream, member.file_size)
        refuse_cells((sum(member.file_size for member in members.infolist()) // 8,))
    with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as held:
        return dict(held)


def refuse_parquet(path: str | Path, metadata: Any) -> None:
    """Raise TooLarge by what the metadata of a Parquet file say."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    stored = sum(group.total_byte_size for group in groups)
    cells = 8 * metadata.num_rows * metadata.num_columns
    refuse_packed(max(stored, cells), os.stat(path).st_size)


def refuse_lists(path: str | Path, metadata: Any, columns: Collection[str]) -> None:
    """Raise TooLarge by what the metadata of a Parquet file say of columns that hold lists: a row
    group is held as numbers of four bytes, and a row at once.
    """
    size = os.stat(path).st_size
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        leaves = [group.column(place) for place in range(group.num_columns)]
        cells = [
            leaf.num_values for leaf in leaves if leaf.path_in_schema.partition(".")[0] in columns
        ]
        refuse_packed(4 * max(cells, default=0), size)
        refuse_cells((max(cells, default=0) // max(group.num_rows, 1),))


def _refuse_header(stream: Any, size: int) -> None:
    """Refuse an array that is too large, or whose file of `size` bytes is too small for it."""
    shape, dtype = _header(stream)
    refuse_cells(shape)
    needed = math.prod(shape) * dtype.itemsize
    if needed > 8 * MOST_CELLS:
        raise TooLarge(f"holds {needed:,} bytes: at most {8 * MOST_CELLS:,}")
    if not dtype.hasobject and needed > size:
        raise ValueError(f"its header says {needed:,} bytes, the file has {size:,}")


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype
