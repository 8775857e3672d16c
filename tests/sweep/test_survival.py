"""Kills, damage, full disks, company: the table is the same to the byte whatever happened on the way."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import psutil
import pytest
from grids import few_quick

from kt_theory.sweep import Spec, load, run, status
from kt_theory.sweep.journal import Reader
from kt_theory.sweep.store import Store

SPEC = """
name = "kills"
seed = 11
repeats = 60_000
n = [50, 100, 200, 400]
students = ["ce_sgl", "sel_ptl", "ce_ful", "ce_ptl"]
[[teachers]]
family = "dirichlet"
inputs = 10
labels = [20, 40, 60]
"""
COMMAND = "from kt_theory.cli.sweep import sweep_group; sweep_group()"


def table(folder):
    return (folder / "results.parquet").read_bytes()


def start(spec, out, *options):
    words = [
        sys.executable,
        "-c",
        COMMAND,
        "run",
        str(spec),
        "--out",
        str(out),
        "--quiet",
        *options,
    ]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    spec = folder / "spec.toml"
    spec.write_text(SPEC)
    run(Spec.read(spec), folder / "out", workers=1, progress=False)
    return spec, table(folder / "out")


@pytest.fixture(scope="module")
def seconds(uninterrupted, tmp_path_factory):
    """How long a process takes for the whole sweep."""
    begun = time.monotonic()
    process = start(uninterrupted[0], tmp_path_factory.mktemp("timed") / "out", "--workers", "1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return time.monotonic() - begun


def wait_for(process, out, records):
    """Wait until the journals of a folder have so many records more, or the process has ended.

    A block of this sweep makes four records, one for each student.
    """
    before = written(out)
    while written(out) < before + records and process.poll() is None:
        time.sleep(0.002)


def written(out):
    """Return the number of whole records in the journals of a folder."""
    return sum(len(list(Reader(path).new(finished=True))) for path in out.glob("journal/*.log"))


def kill_and_resume(spec, out, whole, rng):
    """Kill runs on one folder at random moments until one of them ends; return how many were killed."""
    killed = 0
    for _ in range(60):
        process = start(spec, out, "--workers", str(rng.choice([1, 2])))
        try:
            process.communicate(timeout=rng.uniform(0.3, 0.9) * whole)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
            if killed % 3:
                continue
            process = start(spec, out)
            process.communicate(timeout=120)
        assert process.returncode == 0
        return killed
    raise AssertionError("the sweep never ended")


def test_killed_sweeps_give_the_bytes_of_an_uninterrupted_one(uninterrupted, tmp_path):
    """Killed before the first record, and after some that each run adds: none of them is lost."""
    spec, expected = uninterrupted
    rng, out = random.Random(1), tmp_path / "out"
    for records, workers in ((0, 1), (6, 2)):
        process = start(spec, out, "--workers", str(workers))
        wait_for(process, out, records)
        time.sleep(rng.uniform(0.0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    finished = written(out) // 4
    assert finished >= 1
    assert run(Spec.read(spec), out, progress=False).blocks == 12 - finished
    assert table(out) == expected


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def test_a_sweep_that_is_asked_to_end_says_so_in_a_line_and_goes_on(uninterrupted, tmp_path):
    spec, expected = uninterrupted
    out = tmp_path / "out"
    process = start(spec, out, "--workers", "1", "--executor", "processes")
    wait_for(process, out, 1)
    company = descendants(process)
    assert company
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, len(errors.splitlines())) == (128 + signal.SIGTERM, 1), errors
    assert "interrupted: what was finished is saved" in errors
    assert not psutil.wait_procs(company, timeout=6)[1]
    run(Spec.read(spec), out, progress=False)
    assert table(out) == expected


@pytest.mark.long
@pytest.mark.skipif(
    find_spec("distributed") is None, reason="no Dask: pip install 'kt_theory[dask]'"
)
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_no_process_outlives_a_killed_sweep(uninterrupted, tmp_path, executor):
    spec, _ = uninterrupted
    out = tmp_path / "out"
    process = start(spec, out, "--workers", "2", "--executor", executor)
    wait_for(process, out, 1)
    company = descendants(process)
    process.kill()
    assert not psutil.wait_procs(company, timeout=6)[1]
    process.communicate()


@pytest.mark.long
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_twenty_kills(uninterrupted, seconds, tmp_path, executor):
    spec, expected = uninterrupted
    rng, killed, attempt = random.Random(executor), 0, 0
    while killed < 20:
        attempt += 1
        killed += kill_and_resume(spec, tmp_path / str(attempt), seconds, rng)
        assert table(tmp_path / str(attempt)) == expected


def test_what_is_finished_is_not_run_again(tiny, tmp_path):
    first = run(tiny(), tmp_path, progress=False)
    assert first.cells == {"done": 24}
    before = table(tmp_path)
    second = run(tiny(), tmp_path, progress=False)
    assert (second.blocks, second.repeats, second.cells) == (0, 0, {"done": 24})
    more = run(tiny(repeats=900), tmp_path, progress=False)
    assert more.repeats == 8 * 300  # eight groups of transfer sets, of 300 more each
    wider = run(
        tiny(repeats=900, n=[5, 20, 60], students=["ce_sgl", "sel_ptl", "ce_ful", "ce_ptl"]),
        tmp_path,
        progress=False,
    )
    assert wider.repeats == 8 * 900 + 4 * 900  # one more student, one more n
    run(
        tiny(repeats=900, n=[5, 20, 60], students=["ce_sgl", "sel_ptl", "ce_ful", "ce_ptl"]),
        tmp_path / "b",
        progress=False,
    )
    assert table(tmp_path) == table(tmp_path / "b") != before


def test_a_second_run_of_a_finished_sweep_loads_no_engine(uninterrupted, tmp_path):
    spec, expected = uninterrupted
    shutil.copytree(spec.parent / "out", tmp_path, dirs_exist_ok=True)
    code = (
        "import sys; from kt_theory.sweep import Spec, run; print(run(Spec.read(sys.argv[1]), sys.argv[2]).blocks,"
        " *(name in sys.modules for name in ('numba', 'scipy', 'pandas')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, spec, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "False", "False", "False"]
    assert table(tmp_path) == expected


def interrupt(monkeypatch, spec, folder, after):
    """Run until `after` pieces have been saved, then stop as an error would stop it."""
    from kt_theory.sweep import store

    append, calls = store.Store.append, []

    def stop(self, records):
        append(self, records)
        calls.append(records)
        if len(calls) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            run(spec, folder, workers=1, progress=False)


@pytest.mark.parametrize("stops", few_quick([[1, 4, 8], [2, 3, 5, 6, 7]], [[1, 4, 8]]))
def test_runs_stopped_after_any_block_go_on(tiny, tmp_path, monkeypatch, stops):
    run(tiny(), tmp_path / "whole", progress=False)
    for after in stops:
        interrupt(monkeypatch, tiny(), tmp_path / str(after), after)
        assert status(tmp_path / str(after)).cells["done"] == 3 * after
        assert (load(tmp_path / str(after))["status"] == "done").sum() == 3 * after
        assert run(tiny(), tmp_path / str(after), progress=False).repeats == (8 - after) * 600
        assert table(tmp_path / str(after)) == table(tmp_path / "whole")


def test_runs_stopped_by_the_clock_go_on(tiny, tmp_path):
    run(tiny(), tmp_path / "whole", progress=False)
    stopped = run(tiny(), tmp_path / "out", seconds=0.0, progress=False)
    assert stopped.cells == {"missing": 24}
    assert run(tiny(), tmp_path / "out", seconds=1e6, progress=False).cells == {"done": 24}
    assert table(tmp_path / "out") == table(tmp_path / "whole")


def test_damaged_records_run_again_and_are_said(tiny, tmp_path, monkeypatch):
    run(tiny(), tmp_path / "whole", progress=False)
    for where in ("head", "length", "middle", "tail"):
        folder = tmp_path / where
        interrupt(monkeypatch, tiny(), folder, 5)
        (journal,) = (folder / "journal").glob("*.log")
        data = bytearray(journal.read_bytes())
        records = list(Reader(journal).new(finished=True))
        place = {"head": 1, "length": 5, "middle": len(data) // 2, "tail": len(data) - 3}[where]
        data[place] ^= 0x55
        journal.write_bytes(data)
        assert any("damaged" in line for line in status(folder).damage)
        kept = list(Reader(journal).new(finished=True))
        assert len(kept) == len(records) - 1  # no more than the damaged one is lost
        done = run(tiny(), folder, progress=False)
        assert any("damaged" in line for line in done.damage)
        assert table(folder) == table(tmp_path / "whole")


def test_half_written_records_are_torn_only_when_the_writer_is_gone(tiny, tmp_path, monkeypatch):
    interrupt(monkeypatch, tiny(), tmp_path, 5)
    (journal,) = (tmp_path / "journal").glob("*.log")
    data = journal.read_bytes()
    total = len(list(Reader(journal).new(finished=True)))
    for cut in range(len(data) - 30, len(data)):
        journal.write_bytes(data[:cut])
        reader = Reader(journal)
        assert len(list(reader.new(finished=False))) == total - 1
        assert reader.damaged == 0
        journal.write_bytes(data)
        assert len(list(reader.new(finished=False))) == 1  # the rest of it has arrived
        journal.write_bytes(data[:cut])
        reader = Reader(journal)
        assert len(list(reader.new(finished=True))) == total - 1
        assert reader.damaged == 1


@pytest.mark.parametrize("place", ["page", "footer", "empty", "gone"])
def test_damaged_parquet_is_run_again_and_said(tiny, tmp_path, place):
    run(tiny(), tmp_path, progress=False)
    expected = table(tmp_path)
    file = tmp_path / "blocks.parquet"
    data = bytearray(file.read_bytes())
    if place == "page":
        data[200:240] = bytes(40)
    elif place == "footer":
        data[-20:] = bytes(20)
    file.write_bytes(b"" if place == "empty" else bytes(data))
    if place == "gone":
        file.unlink()
    done = run(tiny(), tmp_path, progress=False)
    assert (place == "gone") or any("damaged" in line for line in done.damage)
    assert done.repeats == 8 * 600
    assert table(tmp_path) == expected


def test_one_wrong_bit_anywhere_in_the_blocks_is_found(tiny, tmp_path):
    spec = tiny(
        teachers=[{"family": "uniform", "inputs": 2, "labels": 3}],
        n=[5],
        students=["ce_sgl", "sel_ptl"],
    )
    run(spec, tmp_path, progress=False)
    expected, file = table(tmp_path), tmp_path / "blocks.parquet"
    data = file.read_bytes()
    for i in range(1, 24):
        wrong = bytearray(data)
        wrong[i * len(data) // 24] ^= 4
        file.write_bytes(bytes(wrong))
        done = run(spec, tmp_path, progress=False)
        assert done.cells == {"done": 2}, i
        assert table(tmp_path) == expected
        assert status(tmp_path).cells == {"done": 2}


@pytest.mark.parametrize("place", ["page", "footer", "gone"])
def test_a_damaged_table_follows_from_the_blocks(tiny, tmp_path, place):
    run(tiny(), tmp_path, progress=False)
    before = load(tmp_path)
    expected = table(tmp_path)
    file = tmp_path / "results.parquet"
    data = bytearray(expected)
    data[slice(60, 90) if place == "page" else slice(-20, None)] = bytes(
        30 if place == "page" else 20
    )
    file.write_bytes(bytes(data))
    if place == "gone":
        file.unlink()
    assert load(tmp_path).equals(before)
    assert run(tiny(), tmp_path, progress=False).repeats == 0
    assert table(tmp_path) == expected


def test_two_processes_on_one_folder_share_the_work(uninterrupted, tmp_path):
    """This process joins when the other has written its first block."""
    spec, expected = uninterrupted
    process = start(spec, tmp_path / "out", "--workers", "1")
    wait_for(process, tmp_path / "out", 1)
    own = run(Spec.read(spec), tmp_path / "out", workers=1, progress=False).repeats
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert table(tmp_path / "out") == expected
    others = int(said.split(" repeats")[0].split(", ")[-1].replace(",", "")) if "ran" in said else 0
    assert own + others == 12 * 60_000  # nothing was run twice


@pytest.mark.long
def test_one_of_two_processes_is_killed(uninterrupted, tmp_path):
    spec, expected = uninterrupted
    processes = [start(spec, tmp_path / "out", "--workers", "1") for _ in range(2)]
    wait_for(processes[0], tmp_path / "out", 8)
    os.killpg(processes[0].pid, signal.SIGKILL)
    said = [process.communicate(timeout=120) for process in processes]
    assert processes[1].returncode == 0, said
    assert table(tmp_path / "out") == expected


def test_the_table_has_what_a_living_process_wrote(tiny, tmp_path):
    """One process has run all cells and not ended yet, when another finds nothing left to run and writes the table."""
    run(tiny(), tmp_path / "whole", progress=False)
    done = list(Store(tmp_path / "whole").records())
    other = Store.prepare(tmp_path / "out", tiny())
    other.append(done)
    assert other.living()
    summary = run(tiny(), tmp_path / "out", progress=False)
    assert (summary.repeats, summary.cells) == (0, {"done": 24})
    assert table(tmp_path / "out") == table(tmp_path / "whole")
    other.close()  # as if it were killed: what it wrote is still there
    assert run(tiny(), tmp_path / "out", progress=False).repeats == 0
    assert table(tmp_path / "out") == table(tmp_path / "whole")


def test_full_disk_keeps_what_is_finished(tiny, tmp_path, monkeypatch):
    run(tiny(), tmp_path / "whole", progress=False)
    write, written = os.write, []

    def fill(file, data):
        if os.readlink(f"/proc/self/fd/{file}").endswith(".log"):
            written.append(len(data))
            if len(written) == 4:
                return write(file, data[: len(data) // 2])
            if len(written) > 4:
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(OSError, match="the disk is full; what was finished is saved"):
            run(tiny(), tmp_path / "full", workers=1, progress=False)
    stands = status(tmp_path / "full")
    assert not stands.damage  # the half that was written is taken back
    assert stands.repeats == 3 * 3 * 600
    run(tiny(), tmp_path / "full", progress=False)
    assert table(tmp_path / "full") == table(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small tmpfs")
def test_a_disk_that_is_really_full(tiny, tmp_path, command):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        spec = tmp_path / "spec.toml"
        spec.write_text(SPEC.replace("60_000", "2_000"))
        result = command("run", spec, "--out", disk / "out", "--quiet")
        assert result.exit_code == 2
        assert "the disk is full" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


def test_folders_that_do_not_fit(tiny, tmp_path, command):
    run(tiny(), tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="holds the sweep 'tiny', not 'other'"):
        run(tiny(name="other"), tmp_path / "a", progress=False)
    about = json.loads((tmp_path / "a" / "sweep.json").read_text())
    (tmp_path / "a" / "sweep.json").write_text(json.dumps(about | {"format": 99}))
    for use in (
        lambda: run(tiny(repeats=700), tmp_path / "a", progress=False),
        lambda: load(tmp_path / "a"),
    ):
        with pytest.raises(ValueError, match="has format 99: this version reads up to"):
            use()
    (tmp_path / "a" / "sweep.json").write_text("{")
    assert "sweep.json is damaged" in command("status", tmp_path / "a").stderr
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"holds thesis.tex and no sweep"):
        run(tiny(), tmp_path / "b", progress=False)
    with pytest.raises(NotADirectoryError):
        run(tiny(), tmp_path / "b" / "thesis.tex", progress=False)
    for words in (
        ["status", tmp_path / "no"],
        ["replay", tmp_path / "no", "ab"],
        ["merge", tmp_path / "no", "--out", tmp_path / "x"],
    ):
        result = command(*words)
        assert result.exit_code == 2
        assert "holds no sweep" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tiny, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        run(tiny(), tmp_path / "locked" / "out", progress=False)


def test_provenance_stands_beside_the_table(tiny, tmp_path):
    run(tiny(), tmp_path, progress=False)
    run(tiny(repeats=700), tmp_path, progress=False)
    about = json.loads((tmp_path / "sweep.json").read_text())
    assert about["format"] == 1
    assert [run["spec"]["repeats"] for run in about["runs"]] == [600, 700]
    for entry in about["runs"]:
        assert entry["seed"] == 3
        assert entry["versions"]["numpy"] == np.__version__
        assert {"git", "host", "python", "started", "executor", "workers"} <= set(entry)
    assert not list(tmp_path.glob("*.pkl"))
    assert not list((tmp_path / "journal").iterdir())
