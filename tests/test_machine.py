"""Locks, replaced files, private folders, and what ends a process."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from kt_theory import machine, sources
from kt_theory.output import refuse_unwritable, replace_file, write_bytes


def start(code, *words, first_line=True):
    """Run code in another process; return it, as a rule when it has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    if first_line:
        process.stdout.readline()
    return process


HOLD = """
import sys, time
from pathlib import Path
from kt_theory import machine
stream = open(sys.argv[1], "ab")
machine.lock(stream.fileno())
machine.lock_part(stream.fileno(), 5)
print("locked", flush=True)
time.sleep(60)
"""

FILL = """
import sys, time
from pathlib import Path
from kt_theory.output import replace_file
def write(beside):
    beside.write_bytes(b"half")
    print("half written", flush=True)
    time.sleep(60)
replace_file(Path(sys.argv[1]), write)
"""


def test_locks_end_with_their_process(tmp_path):
    path = tmp_path / "lock"
    holder = start(HOLD, path)
    with open(path, "ab") as stream:
        assert machine.is_locked(path)
        assert not machine.lock_part(stream.fileno(), 5)
        assert machine.lock_part(stream.fileno(), 6)
        machine.unlock_part(stream.fileno(), 6)
        holder.kill()
        holder.communicate()
        assert not machine.is_locked(path)
        assert machine.lock_part(stream.fileno(), 5)


def test_one_at_a_time_is_alone_and_leaves_no_lock_file(tmp_path):
    inside, most = [], []

    def enter():
        for _ in range(20):
            with machine.alone(tmp_path / ".lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert set(most) == {1}
    assert not list(tmp_path.iterdir())


def test_the_next_writer_removes_what_a_killed_one_left_and_no_more(tmp_path):
    dead, alive = (start(FILL, tmp_path / name) for name in ("dead.csv", "alive.csv"))
    dead.kill()
    dead.communicate()
    assert len(list(tmp_path.iterdir())) == 2
    try:
        write_bytes(tmp_path / "other.csv", b"whole")
        (left,) = set(tmp_path.iterdir()) - {tmp_path / "other.csv"}
        assert left.name.endswith("-alive.csv")
    finally:
        alive.kill()
        alive.communicate()
    (tmp_path / "folder").mkdir()
    write_bytes(tmp_path / "other.csv", b"again")
    assert {path.name for path in tmp_path.iterdir()} == {"other.csv", "folder"}
    assert (tmp_path / "other.csv").read_bytes() == b"again"


def test_a_file_that_is_not_written_stays_as_it_was(tmp_path):
    path = write_bytes(tmp_path / "table.csv", b"old")

    def fail(beside):
        beside.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_file(path, fail)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EFBIG, r"no file may become that large here \(ulimit -f\)"),
    ],
)
def test_where_there_is_no_room_the_file_is_named(tmp_path, number, said):
    path = tmp_path / "table.csv"

    def fail(beside):
        raise OSError(number, os.strerror(number), str(beside))

    with pytest.raises(OSError, match=said) as raised:
        replace_file(path, fail)
    assert raised.value.filename == str(path)
    assert machine.no_room(OSError(errno.EACCES, "")) == ""


COPYING = """
import sys, time
from kt_theory import machine
with machine.temporary_folder() as folder:
    (folder / "copy").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_processes_go_and_those_of_the_living_stay(tmp_path, monkeypatch):
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive = start(COPYING), start(COPYING)
    dead.kill()
    dead.communicate()
    (tmp_path / ".kt_theory-young").mkdir()
    (tmp_path / ".kt_theory-file").write_bytes(b"of another kind")
    assert len(list(tmp_path.iterdir())) == 4
    try:
        with machine.temporary_folder() as folder:
            assert len(list(tmp_path.iterdir())) == 3
            (folder / "copy").write_bytes(b"whole")
        (left,) = (path for path in tmp_path.iterdir() if path.is_dir())
        assert left != folder
        assert (left / "copy").read_bytes() == b"half"
    finally:
        alive.kill()
        alive.communicate()


def test_a_folder_that_is_swept_up_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = []

    def swept(handle):
        made.append(handle)
        if len(made) == 1:
            (young,) = tmp_path.iterdir()
            (young / "lock").unlink()
            young.rmdir()

    monkeypatch.setattr(machine, "lock", swept)
    with machine.temporary_folder() as folder:
        assert (folder / "lock").exists()
        assert len(made) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_not_replaced(tmp_path):
    """The superuser could put a file in the place of a device."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    link = tmp_path / "link.csv"
    link.symlink_to(pipe)
    for path in (pipe, link):
        for write in (lambda path=path: write_bytes(path, b"x"), lambda path=path: _check(path)):
            with pytest.raises(ValueError, match=rf"{path.name} is not a regular file"):
                write()
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "pipe.csv"]


def _check(path):
    refuse_unwritable([path])


def test_links_lead_to_what_is_written(tmp_path):
    for name in ("there", "here"):
        (tmp_path / name).mkdir()
    link = tmp_path / "here" / "table.csv"
    link.symlink_to(tmp_path / "there" / "real.csv")
    for text in (b"new", b"replaced"):
        write_bytes(link, text)
        assert link.is_symlink()
        assert (tmp_path / "there" / "real.csv").read_bytes() == text


LIMITED = """
import resource, sys
from pathlib import Path
from kt_theory.output import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_bytes(Path(sys.argv[1]), bytes(1000))
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(find_spec("resource") is None, reason="no limits on files here")
def test_a_limit_on_files_names_the_file(tmp_path):
    said = start(LIMITED, tmp_path / "large.csv", first_line=False).communicate()[0]
    assert "large.csv was not written: no file may become that large here" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owners here")
def test_a_folder_that_others_may_write_to_is_not_private(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = machine.private_folder()
    assert own == machine.private_folder()
    assert own.stat().st_mode & 0o077 == 0
    for mode in (0o720, 0o702):
        own.chmod(mode)
        other = machine.private_folder()
        assert other != own
        assert other.stat().st_mode & 0o077 == 0
    own.rmdir()
    own.symlink_to(tmp_path)
    assert machine.private_folder() not in (own, tmp_path)
    own.unlink()
    own.write_bytes(b"")
    assert machine.private_folder() != own


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_an_end_interrupts_and_handlers_come_back(name):
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"no {name} here")
    before = signal.getsignal(number)
    with pytest.raises(machine.Ended) as raised, machine.ends_interrupt():
        signal.raise_signal(number)
    assert machine.exit_status(raised.value) == 128 + number
    assert machine.exit_status(KeyboardInterrupt()) == 130
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with machine.ends_interrupt():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_process_ends_with_its_parent(tmp_path):
    child = (
        "import os, sys, time; from kt_theory import machine; machine.end_with(os.getppid());"
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE);"
        "print(child.stdout.readline().decode().strip(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, child], stdout=subprocess.PIPE, encoding="utf-8"
    )
    grandchild = psutil.Process(int(process.stdout.readline()))
    assert grandchild.is_running()
    process.kill()
    process.communicate()
    assert psutil.wait_procs([grandchild], timeout=5)[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_waits_when_it_is_read_looks_like_a_file_and_is_none(tmp_path, monkeypatch):
    pipe, empty, full = (tmp_path / name for name in ("pipe", "empty", "full"))
    os.mkfifo(pipe)
    empty.touch()
    full.write_text("a")
    assert [machine.waits(path) for path in (pipe, empty, full)] == [True, False, False]
    looks = os.stat(empty)
    monkeypatch.setattr(sources.os, "stat", lambda path: looks)
    with pytest.raises(ValueError, match=r"pipe is not a regular file$"):
        sources.require_file(pipe)
    sources.require_file(empty)


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="no such file, or not for us")
def test_messages_of_the_kernel_are_no_file():
    """By its mode it is a regular one; whoever reads it waits for the next message."""
    assert stat.S_ISREG(os.stat("/proc/kmsg").st_mode)
    with pytest.raises(ValueError, match="/proc/kmsg is not a regular file"):
        sources.require_file("/proc/kmsg")
    for path in ("/proc/self/status", "/proc/meminfo"):
        sources.require_file(path)


def test_cores_and_memory():
    assert 1 <= machine.cores() <= os.cpu_count()
    assert 0 < machine.free_memory() <= machine.memory()
    assert Path(os.devnull).exists()
