"""Standard input in place of a file, which commands name `-`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kt_theory.sources import MOST_COPIED, TooLarge, copied

NAME = "standard input"

_BLOCK = 1 << 20
_MARKS = {
    b"PAR1": ".parquet",
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"\x1f\x8b": ".jsonl.gz",
    b"\x28\xb5\x2f\xfd": ".jsonl.zst",
}
_JSON = (b"{", b"[", b"data:", b"event:", b"id:", b":")


@contextmanager
def as_file(path: Path) -> Iterator[Path]:
    """Give the path itself, or for `-` that of a copy of standard input for the while.

    What standard input holds is told by how it begins.

    Raises
    ------
    ValueError
        If it holds no text and no table, or has no end; whatever is wrong with the copy is said of
        standard input.
    """
    if str(path) != "-":
        yield path
        return
    stream = sys.stdin.buffer
    head = stream.read(_BLOCK)
    if head[:64].count(0) == 64:
        raise ValueError(f"{NAME} begins with zeros: it holds no text and no table")
    with ExitStack() as held:
        try:
            name = f"{NAME}{_suffix(head)}"
            copy = held.enter_context(copied(stream, name, MOST_COPIED, head))
        except TooLarge as error:
            raise TooLarge(f"{NAME} {error}") from None
        try:
            yield copy
        except (ValueError, OSError) as error:
            raise ValueError(str(error).replace(str(copy), NAME)) from None


def _suffix(head: bytes) -> str:
    for mark, suffix in _MARKS.items():
        if head.startswith(mark):
            return suffix
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return ".jsonl" if text.startswith(_JSON) else ".csv"
