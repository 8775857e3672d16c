"""The journal: one append-only file per running process, one checked record per block.

A record is the marker, the length and the CRC-32 of what follows: one line of JSON, then
little-endian int64. A process that is killed leaves at most its last record torn. A damaged record
is recognised, skipped and said, and its block runs again; those behind it are found by their
markers. The writer holds a lock on its file as long as it lives.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory import machine
from kt_theory.kernels.statistics import SUMS
from kt_theory.sources import require_file
from kt_theory.sweep.cells import Block

_MARK = b"KTB1"
_HEAD = struct.Struct("<4sII")
_SYNC_SECONDS = 1.0


@dataclass(frozen=True)
class Record:
    """A block of a cell: repeats first .. first + repeats - 1, or the error that they met."""

    cell: str
    first: int
    repeats: int
    block: Block


def pack(record: Record) -> bytes:
    """Return a record as the bytes of a journal."""
    block = record.block
    facts: dict[str, Any] = {"cell": record.cell, "first": record.first, "repeats": record.repeats}
    if block.error:
        facts |= {"error": block.error, "traceback": block.traceback}
    else:
        facts |= {name: getattr(block, name) for name in ("inputs", "labels", "path", "seconds")}
        if len(block.sums) != SUMS:
            facts["sums"] = len(block.sums)
    parts = block.sums, block.bins, block.counts
    numbers = np.concatenate([np.asarray(part, dtype="<i8") for part in parts])
    payload = json.dumps(facts).encode() + b"\n" + numbers.tobytes()
    return _HEAD.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def _unpack(payload: bytes) -> Record:
    line, _, rest = payload.partition(b"\n")
    facts = json.loads(line)
    place = facts.pop("cell"), facts.pop("first"), facts.pop("repeats")
    if "error" in facts:
        return Record(*place, Block(**facts))
    numbers = np.frombuffer(rest, dtype="<i8")
    sums, histogram = np.split(numbers, [facts.pop("sums", SUMS)])
    bins, counts = np.split(histogram, [len(histogram) // 2])
    return Record(*place, Block(**facts, sums=sums, bins=bins, counts=counts))


class Reader:
    """Reads a journal, also one that still grows: each `new` goes on where the last one stopped."""

    def __init__(self, path: Path) -> None:
        self.path, self.position, self.damaged = path, 0, 0

    def new(self, *, finished: bool) -> Iterator[Record]:
        """Yield the records since the last call; `damaged` counts the gaps between good ones.

        Parameters
        ----------
        finished : bool
            Nobody writes any more, so that an incomplete record at the end is torn and not on its
            way.
        """
        require_file(self.path)
        with open(self.path, "rb") as stream:
            stream.seek(self.position)
            data = stream.read()
        at = 0
        while at < len(data):
            head = data[at : at + _HEAD.size]
            end = at + _HEAD.size
            if len(head) == _HEAD.size and head[:4] == _MARK:
                _, length, crc = _HEAD.unpack(head)
                payload = data[end : end + length]
                if len(payload) == length and zlib.crc32(payload) == crc:
                    yield _unpack(payload)
                    at = end + length
                    continue
                if len(payload) < length and not finished and data.find(_MARK, at + 1) < 0:
                    break
            elif len(head) < _HEAD.size and not finished:
                break
            self.damaged += 1
            found = data.find(_MARK, at + 1)
            at = len(data) if found < 0 else found
        self.position += at


class Writer:
    """Appends records; what `append` has returned from survives the death of the process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.log"
        self._file = machine.open_new(self.path)
        machine.lock(self._file)
        self._synced, self._size = time.monotonic(), 0

    def append(self, records: list[Record]) -> None:
        """Write records.

        Raises
        ------
        OSError
            If the disk is full; what was written of these records is taken back.
        """
        data = b"".join(map(pack, records))
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                machine.sync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise full_disk(error, self.path) from error
        self._size += len(data)

    def close(self) -> None:
        """Bring everything to the disk and let go of the file; one without records is removed."""
        if self._size:
            machine.sync(self._file)
        os.close(self._file)
        if not self._size:
            machine.remove(self.path)


def full_disk(error: OSError, path: Path) -> OSError:
    """Return `error`, with the way out where there was no room for a file."""
    if not (reason := machine.no_room(error)):
        return error
    said = f"{reason}; what was finished is saved: make room and run the same again"
    return OSError(error.errno, said, str(path))
