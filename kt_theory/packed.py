"""Files as they lie on the disk, plain or compressed by gzip or zstd, as streams of their
contents.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kt_theory.sources import RATIO, SMALL, TooLarge, copied

_MARKS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zX": "xz"}
SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")
"""Endings of the names of compressed files, behind the ending that says what they hold."""

_BUFFER = 1 << 20


def suffix_of(path: Path) -> str:
    """Return the ending of a file's name that says what it holds, in small letters."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def packing(path: Path) -> str:
    """Return "gzip", "zstd", or an empty text for a file that is not compressed.

    Raises
    ------
    ValueError
        If it is compressed otherwise.
    """
    with path.open("rb") as file:
        head = file.read(4)
    for mark, name in _OTHERS.items():
        if head.startswith(mark):
            raise ValueError(
                f"{path} is compressed, {name}: of compressed files, those of gzip and zstd are "
                "read"
            )
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read what it holds.

    Raises
    ------
    ValueError
        While it is read, if its compressed data are damaged, or grow beyond what records do.
    """
    kind = packing(path)
    with path.open("rb") as file:
        if not kind:
            yield file
            return
        inner: Any
        if kind == "gzip":
            inner = gzip.GzipFile(fileobj=file)
        else:
            import pyarrow as pa

            inner = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        with io.BufferedReader(_Guarded(inner, kind, path), _BUFFER) as stream:
            yield stream


class _Guarded(io.RawIOBase):
    """Decompressed bytes, with a limit and with errors that name the file."""

    def __init__(self, inner: Any, kind: str, path: Path) -> None:
        self._inner, self._kind, self._path = inner, kind, path
        self._limit = max(SMALL, RATIO * path.stat().st_size)
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except (EOFError, OSError, zlib.error, ValueError) as error:
            why = " ".join(str(error).split())
            raise ValueError(
                f"{self._path}: its {self._kind} data are damaged or break off: {why}"
            ) from None
        self._count += len(data)
        if self._count > self._limit:
            raise ValueError(
                f"{self._path} holds more than {self._limit:,} bytes, over {RATIO} times its "
                "size: decompress it first if that is meant"
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def as_plain_file(path: Path) -> Iterator[Path]:
    """Give the path of a file with the same contents that is not compressed: itself, or a copy for
    the while.
    """
    if not packing(path):
        yield path
        return
    name = path.name
    while Path(name).suffix.lower() in SUFFIXES:
        name = Path(name).stem
    with ExitStack() as held:
        with unpacked(path) as source:
            try:
                copy = held.enter_context(copied(source, name))
            except TooLarge as error:
                raise TooLarge(f"{path} {error}: decompress it elsewhere") from None
        yield copy
