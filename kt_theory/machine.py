"""What differs between Linux, macOS and Windows: nothing else in the package asks where it runs.

A system is told by what it has, not by its name. Locks are the system's own, which it takes back
when a process dies; a library of lock files has neither locks on parts of a file nor any on a file
that is being written, so that these few lines stand here.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

fcntl: Any
msvcrt: Any
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None
    import msvcrt

_POLL_SECONDS = 0.05
_PATIENCE = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0)
"""Seconds between attempts at a file that somebody else has open, which Windows refuses."""

_BYTES = 2**30
"""How many bytes of a file can be locked one by one on Windows."""

_WHOLE = 2**31 - 2
"""The byte that stands for the whole file on Windows, where nobody else can read what is locked:
the last one that its locks reach, which no file of ours does.
"""

UNFINISHED = ".kt_theory-"
"""How the names of files begin that are still being written, and of folders for the while."""

_LOCK = "lock"
"""The file of a folder for the while that its process holds locked."""

_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_NO_ROOM = ("ENOSPC", "EDQUOT")
_PARENT_SECONDS = 1.0


# What the machine has.


def cores() -> int:
    """Return how many cores this process may use."""
    from loky import cpu_count

    return cpu_count()


def memory() -> int:
    """Return the bytes of this machine's memory."""
    import psutil

    return psutil.virtual_memory().total


def free_memory() -> int:
    """Return the bytes that processes can still take before the machine starts to swap."""
    import psutil

    return psutil.virtual_memory().available


# Locks.


def lock(handle: int) -> None:
    """Wait for the lock of an open file, which is given back when the file is closed."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    while not _locked_byte(handle, _WHOLE):
        time.sleep(_POLL_SECONDS)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until nobody else is in here with the same lock file, which is removed at the end."""
    stream = _first_to_lock(path)
    try:
        yield
    finally:
        if fcntl is None:  # Windows removes no open file, nor one that others wait for
            stream.close()
        with suppress(OSError):
            os.remove(path)
        stream.close()


def _first_to_lock(path: Path) -> BinaryIO:
    while True:
        stream = open(path, "ab")  # noqa: SIM115
        with suppress(OSError):  # a file system without locks
            lock(stream.fileno())
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                return stream
        stream.close()  # whoever had the lock has removed the file


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock of a file."""
    with open(path, "rb") as stream:
        if fcntl is not None:
            return not _granted(fcntl.flock, stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        for _ in range(3):  # whoever asks holds the lock for a moment
            if _locked_byte(stream.fileno(), _WHOLE):
                return False
            time.sleep(_PATIENCE[0])
        return True


def lock_part(handle: int, number: int) -> bool:
    """Take the lock of one part of an open file, 0 <= number < 2^62; False if somebody has it.

    Windows tells 2^30 parts apart: two numbers may share a lock there.
    """
    if fcntl is not None:
        return _granted(fcntl.lockf, handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    return _locked_byte(handle, number % _BYTES)


def unlock_part(handle: int, number: int) -> None:
    """Give back the lock of one part of an open file."""
    if fcntl is not None:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, number)
        return
    os.lseek(handle, number % _BYTES, os.SEEK_SET)
    msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)


def _locked_byte(handle: int, place: int) -> bool:
    os.lseek(handle, place, os.SEEK_SET)
    return _granted(msvcrt.locking, handle, msvcrt.LK_NBLCK, 1)


def _granted(ask: Callable[..., None], *what: Any) -> bool:
    try:
        ask(*what)
    except (BlockingIOError, PermissionError):
        return False
    return True


# Files.


def waits(path: Path) -> bool:
    """Return whether to read a file, regular as it may look, waits for what is still to come, as
    the messages of the kernel do: of true files all can be read, and written, at any time.
    """
    if not hasattr(select, "poll"):  # Windows, where there are no such files
        return False
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        asked = select.poll()
        asked.register(handle, select.POLLIN | select.POLLOUT)
        ready = dict(asked.poll(0)).get(handle, 0)
    finally:
        os.close(handle)
    return ready & (select.POLLIN | select.POLLOUT) != select.POLLIN | select.POLLOUT


def open_new(path: Path) -> int:
    """Return the handle of a new file to append to; FileExistsError if it is there."""
    binary = getattr(os, "O_BINARY", 0)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | binary, 0o666)


def sync(handle: int) -> None:
    """Wait until an open file is safe on the disk."""
    through_the_drive = getattr(fcntl, "F_FULLFSYNC", None)
    if through_the_drive is not None:  # macOS, whose fsync stops at the drive's own memory
        with suppress(OSError):  # file systems of a network
            fcntl.fcntl(handle, through_the_drive)
            return
    os.fsync(handle)


def sync_file(path: Path) -> None:
    """Wait until the contents of a file are safe on the disk."""
    with open(path, "r+b") as stream:
        sync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are safe on the disk, where a folder can be opened."""
    if fcntl is None:
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path) -> None:
    """Put a file in the place of another one in one step."""
    _patiently(os.replace, source, target)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        _patiently(os.remove, path)


def _patiently(act: Callable[..., None], *paths: Path) -> None:
    for seconds in _PATIENCE if fcntl is None else ():
        try:
            return act(*paths)
        except PermissionError:
            time.sleep(seconds)
    act(*paths)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Give a new file beside another one, whose place it takes at the end.

    It is open and locked until then, so that `remove_leftovers` knows it from those of the dead.
    """
    beside, handle = _new_beside(path)
    try:
        with ExitStack() as held:
            held.callback(os.close, handle)
            yield beside
            if fcntl is None:  # Windows moves no open file
                held.close()
            replace(beside, path)
    finally:
        remove(beside)


def _new_beside(path: Path) -> tuple[Path, int]:
    while True:
        beside = path.with_name(f"{UNFINISHED}{os.urandom(4).hex()}-{path.name}")
        handle = open_new(beside)
        with suppress(OSError):  # a file system without locks
            lock(handle)
        if beside.exists():
            return beside, handle
        os.close(handle)  # somebody took it for a leftover before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove the files of `replacement` in a folder whose processes were killed."""
    for path in folder.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            _remove_unused(path)


def _remove_unused(path: Path) -> None:
    if fcntl is None:  # Windows removes no open file
        os.remove(path)
        return
    with open(path, "r+b") as stream:
        if _locked_at_once(stream.fileno()):
            os.remove(path)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder for files that nobody needs afterwards, and remove it.

    It holds a file that is open and locked for the while, by which the next one to want such a
    folder knows those of processes that were killed, and removes them.
    """
    _remove_dead_folders()
    folder, handle = _new_folder()
    try:
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED))
        with suppress(FileNotFoundError):  # somebody took it for a leftover
            handle = open_new(folder / _LOCK)
            with suppress(OSError):  # a file system without locks
                lock(handle)
            if (folder / _LOCK).exists():
                return folder, handle
            os.close(handle)


def _remove_dead_folders() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            facts = folder.lstat()
            if stat.S_ISDIR(facts.st_mode) and _is_own(facts):
                _remove_unused_folder(folder)


def _is_own(facts: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or facts.st_uid == os.getuid()


def _remove_unused_folder(folder: Path) -> None:
    with ExitStack() as held:
        try:
            stream = held.enter_context(open(folder / _LOCK, "r+b"))
        except FileNotFoundError:
            folder.rmdir()  # its process came no further, or makes another one
            return
        if not _locked_at_once(stream.fileno()):
            return
        if fcntl is None:  # Windows removes no open file
            held.close()
        shutil.rmtree(folder, ignore_errors=True)


def _locked_at_once(handle: int) -> bool:
    """Take the lock of an open file; False if somebody has it."""
    if fcntl is None:
        return _locked_byte(handle, _WHOLE)
    return _granted(fcntl.flock, handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def free_space(folder: Path) -> int:
    """Return the bytes that can still be written to a folder."""
    return shutil.disk_usage(folder).free


def no_room(error: OSError) -> str:
    """Return in words why a file could not grow, "" if that was not the reason."""
    if error.errno in {getattr(errno, name, None) for name in _NO_ROOM}:
        return "the disk is full"
    if error.errno == errno.EFBIG:
        return "no file may become that large here (ulimit -f)"
    return ""


def private_folder() -> Path:
    """Return a temporary folder for code to be run, in which nobody else can have put any.

    One that belongs to somebody else, or that others may write to, is refused: the folder is then a
    new one, which goes with this process.
    """
    if not hasattr(os, "getuid"):  # Windows, where every user has a temporary folder
        folder = Path(tempfile.gettempdir()) / "kt_theory"
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir()) / f"kt_theory-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    of_others = not _is_own(facts) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if stat.S_ISDIR(facts.st_mode) and not of_others:
        return folder
    new = tempfile.mkdtemp(prefix="kt_theory-")
    atexit.register(shutil.rmtree, new, ignore_errors=True)
    return Path(new)


# Processes and signals.


def end_with(parent: int) -> None:
    """Let this process end within seconds of its parent, however that one ends."""
    threading.Thread(target=_wait_for_the_end_of, args=(parent,), daemon=True).start()


def _wait_for_the_end_of(parent: int) -> None:
    import psutil

    # A dead parent is no parent any more, but on Windows, where its number stays and may get lent
    # to another process.
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(parent)
        while os.getppid() == parent and process.is_running():
            time.sleep(_PARENT_SECONDS)
    os._exit(1)


class Ended(KeyboardInterrupt):
    """This process is interrupted, or asked to end by the system."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status by which a shell knows what ended a process."""
    number = interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT
    return 128 + number


@contextmanager
def ends_interrupt() -> Iterator[list[int]]:
    """Raise `Ended` where this process is interrupted or asked to end, and list the signal: modules
    that are being loaded turn the error into others.

    What the process ignores it goes on to ignore (nohup).
    """
    seen: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        seen.append(number)
        raise Ended(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _ENDINGS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            handler = signal.getsignal(number)
            if handler is signal.SIG_DFL or (number == signal.SIGINT and callable(handler)):
                before[number] = signal.signal(number, interrupt)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def nobody_reads(error: OSError) -> bool:
    """Return whether an error says that whoever read the output has closed it."""
    on_windows = error.errno == errno.EINVAL and error.filename is None and fcntl is None
    return isinstance(error, BrokenPipeError) or on_windows


def close_output() -> None:
    """Let what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
