"""The folder of a sweep: what is planned, what is done, and who is at work on it.

    sweep.json        format, specification, and of every run: versions, git commit, machine, time
    journal/*.log     blocks as they come, one file per process (see `journal`)
    blocks.parquet    the journals of processes that have ended, put together; pages carry checksums
    results.parquet   the tidy table; the same bytes whatever happened on the way
    exact.parquet, minimax.parquet   what theory says of the cells, computed once
    lock, claims      locks that the system takes back when a process dies

Files are replaced by writing beside them, fsync and rename.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

from kt_theory import machine
from kt_theory.catalogue import no_imports
from kt_theory.output import replace_file
from kt_theory.sweep.blocks import merge, read_blocks, write_blocks
from kt_theory.sweep.journal import Reader, Record, Writer, full_disk
from kt_theory.sweep.plan import Stored
from kt_theory.sweep.spec import Spec

FORMAT = 1
_LIBRARIES = ("kt_theory", "numpy", "numba", "scipy", "pyarrow", "pandas")


class Store:
    """A sweep's folder, open: the index of all blocks in it, and a journal to append to.

    Parameters
    ----------
    path : Path
        A folder that `prepare` has made.

    Attributes
    ----------
    blocks : dict
        Cell id to its stored blocks, sums without histograms.
    errors : dict
        Cell id to the record of its last failure.
    damage : list of str
        What was found damaged and will be run again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks: dict[str, list[Stored]] = defaultdict(list)
        self.errors: dict[str, Record] = {}
        self.damage: list[str] = []
        self._writer: Writer | None = None
        self._claims: BinaryIO | None = None
        self._readers: dict[Path, Reader] = {}
        self._seen: Any = None
        self.about = _read_about(path)

    @classmethod
    def prepare(cls, path: Path, spec: Spec, **facts: Any) -> Store:
        """Return the store of a sweep about to run, made if need be, with this run written into
        `sweep.json`.

        Raises
        ------
        ValueError
            The folder holds something else: another sweep, a newer format, other files.
        OSError
            No permission, no space.
        """
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(f"{path} is a file: --out needs a folder")
        if path.is_dir() and not (path / "sweep.json").exists() and _strangers(path):
            raise ValueError(
                f"{path} holds {_strangers(path)[0]} and no sweep: give an empty or a new folder"
            )
        (path / "journal").mkdir(parents=True, exist_ok=True)
        with _locked(path):
            machine.remove_leftovers(path)
            if (path / "sweep.json").exists():
                about = _read_about(path)
                if about["spec"]["name"] != spec.name:
                    raise ValueError(
                        f"{path} holds the sweep {about['spec']['name']!r}, not {spec.name!r}: "
                        "give another folder"
                    )
            else:
                about = {"format": FORMAT, "runs": []}
            about |= {"spec": spec.document, "fingerprint": spec.fingerprint}
            about["runs"].append(_provenance() | {"spec": spec.document, "seed": spec.seed} | facts)
            text = json.dumps(about, indent=1, default=lambda number: number.item())
            replace(path / "sweep.json", lambda file: file.write_bytes(text.encode()))
        return cls(path)

    @property
    def spec(self) -> Spec:
        """The specification that the folder was last run with; nothing is imported for it."""
        with no_imports():
            return Spec(**self.about["spec"])

    def refresh(self) -> None:
        """Take in what other processes have finished since the last call."""
        for _ in range(100):
            try:
                if self._identity() != self._seen:
                    self._load()
                self._read_journals(own=False)
                return
            except FileNotFoundError:
                self._seen = None  # another process has just put journals together
        raise OSError(f"{self.path}: the folder changes faster than it can be read")

    def append(self, records: list[Record]) -> None:
        """Save records; they are safe from the death of this process when it returns."""
        if self._writer is None:
            with _locked(self.path):
                self._writer = Writer(self.path / "journal")
        self._writer.append(records)
        for record in records:
            self._index(record)

    def claim(self, group: str) -> bool:
        """Take a group of cells for this process; False if another one that lives has it."""
        if self._claims is None:
            self._claims = open(self.path / "claims", "ab")  # noqa: SIM115
        return machine.lock_part(self._claims.fileno(), int(group[:15], 16))

    def release(self, group: str) -> None:
        """Give back a group of cells."""
        if self._claims is not None:
            machine.unlock_part(self._claims.fileno(), int(group[:15], 16))

    def close(self) -> None:
        """Bring everything to the disk and end this process's part."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._claims is not None:
            self._claims.close()
            self._claims = None

    def records(self, *, histograms: bool = True) -> Iterator[Record]:
        """Yield every record as it is stored: the same repeats may come twice."""
        for path in self._journals():
            yield from Reader(path).new(finished=False)
        yield from read_blocks(
            self.path / "blocks.parquet", [], histograms=histograms, checked=histograms
        )

    def living(self) -> list[Path]:
        """Return the journals of the processes that are at work on the folder now."""
        return [path for path in self._journals() if machine.is_locked(path)]

    @contextmanager
    def put_together(self, extra: Iterable[Record] = ()) -> Iterator[dict[str, list[Record]]]:
        """Move the journals of ended processes, and `extra`, into `blocks.parquet`; yield all
        merged records.

        What processes still at work have written is among them, for they may die before their own
        end. Until the caller is through with the table nobody else gets here, so that no older
        table replaces a newer one.
        """
        self.close()
        with _locked(self.path):
            living = self.living()
            journals = [path for path in self._journals() if path not in living]
            old = self.path / "blocks.parquet"
            found: dict[str, list[Record]] = defaultdict(list)
            ended = [record for path in journals for record in Reader(path).new(finished=True)]
            for record in [*ended, *extra, *read_blocks(old, [])]:
                found[record.cell].append(record)
            merged = {cell: merge(records) for cell, records in sorted(found.items())}
            if journals or not old.exists() or extra:
                flat = [record for records in merged.values() for record in records]
                replace(old, lambda file: write_blocks(file, flat))
                for path in journals:
                    machine.remove(path)
            self._seen = None
            for record in [
                record for path in living for record in Reader(path).new(finished=False)
            ]:
                merged[record.cell] = merge([*merged.get(record.cell, []), record])
            yield merged

    def _journals(self) -> list[Path]:
        return sorted((self.path / "journal").glob("*.log"))

    def _identity(self) -> Any:
        try:
            facts = os.stat(self.path / "blocks.parquet")
        except FileNotFoundError:
            return ()
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    def _load(self) -> None:
        # Journals first: what moves into blocks.parquet meanwhile is then seen twice, never missed.
        self.blocks.clear()
        self.errors.clear()
        self._readers = {}
        self._read_journals(own=True)
        self._seen = self._identity()
        for record in read_blocks(self.path / "blocks.parquet", self.damage, histograms=False):
            self._index(record)

    def _read_journals(self, *, own: bool) -> None:
        for path in self._journals():
            if not own and self._writer is not None and path == self._writer.path:
                continue
            reader = self._readers.setdefault(path, Reader(path))
            finished = not machine.is_locked(path)
            before = reader.damaged
            for record in reader.new(finished=finished):
                self._index(record)
            if reader.damaged > before:
                self.damage.append(
                    f"{path.name}: {reader.damaged - before} damaged or half-written, run again"
                )

    def _index(self, record: Record) -> None:
        if record.block.error:
            self.errors[record.cell] = record
        else:
            self.blocks[record.cell].append(Stored(record.first, record.repeats, record.block.sums))


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Replace a file as `replace_file` does; it is safe on the disk when this returns."""

    def write_through(beside: Path) -> None:
        write(beside)
        machine.sync_file(beside)

    try:
        replace_file(path, write_through)
        machine.sync_folder(path.parent)
    except OSError as error:
        raise full_disk(error, path) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path / "lock", "ab") as stream:
        machine.lock(stream.fileno())
        yield


def _strangers(path: Path) -> list[str]:
    ours = {
        "journal",
        "lock",
        "claims",
        "blocks.parquet",
        "results.parquet",
        "exact.parquet",
        "minimax.parquet",
    }
    return sorted(
        p.name
        for p in path.iterdir()
        if p.name not in ours and not p.name.startswith(machine.UNFINISHED)
    )


def _read_about(path: Path) -> dict[str, Any]:
    file = path / "sweep.json"
    if not file.exists():
        raise FileNotFoundError(
            f"{path} holds no sweep: {file.name} is not there; kt-theory sweep run SPEC --out "
            f"{path}"
        )
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        version = int(about["format"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{file} is damaged: put it back, or run the sweep in a new folder"
        ) from None
    if version > FORMAT:
        raise ValueError(
            f"{path} has format {version}: this version reads up to {FORMAT}; install a newer "
            "kt_theory"
        )
    return about


def _provenance() -> dict[str, Any]:
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "versions": dict(_versions()),
        "git": _git_commit(),
    }


@cache
def _versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _git_commit() -> str:
    """Return the commit of the package where it runs from a checkout, with + where files were
    changed.
    """
    here = Path(__file__).parent
    try:
        words = [
            "git",
            "-C",
            str(here),
            "describe",
            "--always",
            "--abbrev=40",
            "--dirty=+",
            "--exclude=*",
        ]
        return subprocess.run(
            words, capture_output=True, encoding="utf-8", timeout=5, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
