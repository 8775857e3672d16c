from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from kt_theory import catalogue
from kt_theory.kernels.statistics import moments, quantiles
from kt_theory.simulation.cell import Tally
from kt_theory.sweep import Spec, cells, executors, load, merge_shards, plan, replay, run, status
from kt_theory.sweep.plan import Stored, cut, disjoint, gaps, prefix
from kt_theory.testing import confidence_radius

DASK = pytest.mark.skipif(
    find_spec("distributed") is None, reason="no Dask: pip install 'kt_theory[dask]'"
)


def table(folder):
    return (folder / "results.parquet").read_bytes()


def test_means_agree_with_exact_risks(tiny, tmp_path):
    spec = tiny(
        repeats=20_000,
        students=["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful", "laplace", {"name": "top_k", "k": 1}],
    )
    run(spec, tmp_path, progress=False)
    frame = load(tmp_path)
    assert (frame["status"] == "done").all()
    known = frame[frame["exact"].notna()]
    assert set(known["student"]) >= {"ce_sgl", "sel_ptl", "ce_ful", "laplace", "top_k(1)"}
    for row in known.itertuples():
        # Bernstein's bound with a false-alarm rate of 1e-9 a row.
        assert abs(row.mean - row.exact) <= confidence_radius(row.std_error, row.repeats, 1e-9), row
    wrong = np.abs(known["mean"] - np.roll(known["exact"], 1))
    assert (wrong > confidence_radius(known["std_error"].max(), 20_000, 1e-9)).any()


def test_theory_is_computed_when_asked_for_and_kept_as_far_as_it_came(tiny, tmp_path, monkeypatch):
    from kt_theory.sweep import theory

    run(tiny(), tmp_path, progress=False)
    monkeypatch.setattr(theory, "UNASKED", 3)
    with pytest.warns(
        UserWarning, match=r"^24 exact risks are not computed yet: load\(\.\.\., exact=True\)$"
    ):
        assert load(tmp_path)["exact"].isna().all()
    assert load(tmp_path, exact=False)["exact"].isna().all()
    exact, curves = theory._exact, []

    def interrupted(cells):
        if len(curves) == 2:
            raise KeyboardInterrupt
        curves.append(cells)
        return exact(cells)

    monkeypatch.setattr(theory, "_exact", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, exact=True)
    assert load(tmp_path, exact=False)["exact"].notna().sum() == sum(map(len, curves)) > 0
    again = []
    monkeypatch.setattr(theory, "_exact", lambda cells: again.extend(cells) or exact(cells))
    assert load(tmp_path, exact=True)["exact"].notna().all()
    assert len(again) == 24 - sum(map(len, curves))


def test_the_cells_of_a_sweep_share_their_compiled_students():
    for recipe in ({"name": "add_c", "c": 0.25}, {"name": "top_k", "k": 3}, {"name": "laplace"}):
        assert catalogue.build_student(recipe, 2) is catalogue.build_student(dict(recipe), 5)


def test_stored_statistics_are_the_engines():
    rng = np.random.default_rng(5)
    losses = np.concatenate([rng.beta(0.3, 3.0, 9_000), [0.0, 1.0, 1e-30]])[rng.permutation(9_003)]
    parts = [
        Tally.of(losses[part][:, None])
        for part in (slice(0, 10), slice(10, 4500), slice(4500, None))
    ]
    sums = np.sum([part.sums[0] for part in parts], axis=0)
    bins = [np.flatnonzero(part.histogram[0]) for part in parts]
    counts = [part.histogram[0][hit] for part, hit in zip(parts, bins, strict=True)]
    mean, error = moments(sums, len(losses))
    assert mean == pytest.approx(losses.mean(), rel=1e-13)
    assert error == pytest.approx(losses.std(ddof=1) / np.sqrt(len(losses)), rel=1e-12)
    whole = Tally.of(losses[:, None]).histogram[0]
    merged = cells.merged_histogram(bins, counts)
    assert np.array_equal(merged[0], np.flatnonzero(whole))
    assert quantiles(merged[1], cells.QUANTILES, merged[0]) == quantiles(whole, cells.QUANTILES)


def test_plans_cover_every_repeat_once():
    rng = np.random.default_rng(2)
    for _ in range(300):
        goal = int(rng.integers(1, 40))
        stored = [
            Stored(int(rng.integers(0, 40)), int(rng.integers(1, 12)), ())
            for _ in range(rng.integers(0, 6))
        ]
        kept = disjoint(stored)
        pieces = [
            part for stretch in gaps(kept, goal) for part in cut(stretch, int(rng.integers(1, 9)))
        ]
        whole = [*((block.first, block.repeats) for block in kept), *pieces]
        covered = [r for first, size in whole for r in range(first, first + size)]
        assert len(covered) == len(set(covered))
        assert set(range(goal)) <= set(covered)
        assert (
            sum(block.repeats for block in prefix(disjoint([Stored(*part, ()) for part in whole])))
            >= goal
        )


def test_precision_is_reached_or_capped_and_does_not_hang_on_the_way(tiny, tmp_path):
    wanted = tiny(repeats=None, target_se=2e-3, max_repeats=20_000)
    run(wanted, tmp_path / "a", workers=1, progress=False)
    frame = load(tmp_path / "a")
    assert ((frame["std_error"] <= 2e-3) | (frame["repeats"] == 20_000)).all()
    assert frame["repeats"].nunique() > 3
    looks = {1024 * 2 ** (k // 2) * (3 if k % 2 else 2) // 2 for k in range(12)} | {20_000}
    assert set(frame["repeats"]) <= looks
    rough = tiny(repeats=None, target_se=1e-2, max_repeats=20_000)
    run(rough, tmp_path / "b", workers=2, progress=False)
    assert load(tmp_path / "b")["repeats"].sum() < frame["repeats"].sum()
    run(wanted, tmp_path / "b", workers=2, progress=False)
    assert table(tmp_path / "a") == table(tmp_path / "b")


@pytest.fixture
def broken(tiny, tmp_path):
    file = tmp_path / "broken.csv"
    file.write_text("a,b\n0.5,0.5\n0.5,0.4\n")
    good = {"family": "uniform", "inputs": 2, "labels": 3}
    undefined = {"family": "instance1", "inputs": 50, "labels": 20}
    return tiny(teachers=[good, {"file": str(file)}, undefined], n=[5]), file


def test_failures_are_recorded_and_the_sweep_goes_on(broken, tmp_path):
    spec, file = broken
    done = run(spec, tmp_path / "out", progress=False)
    assert done.cells == {"done": 3, "failed": 3, "not defined": 3}
    assert all(
        error.startswith(f"ValueError: {file}: pi row 1 sums to 0.9") for _, error in done.failures
    )
    frame = load(tmp_path / "out")
    assert list(frame["status"]) == ["done"] * 3 + ["failed"] * 3 + ["not defined"] * 3
    assert frame["mean"].notna().tolist() == [True] * 3 + [False] * 6
    assert "defined from n = 63" in frame["error"].iloc[-1]
    again = run(spec, tmp_path / "out", progress=False)
    assert again.cells == done.cells
    assert len(again.failures) == 3
    with pytest.raises(ValueError, match=r"sums to 0\.9"):
        replay(tmp_path / "out", frame["cell"][3])


def test_fail_fast_stops(broken, tmp_path):
    spec, _ = broken
    teachers = spec.document["teachers"]
    spec = type(spec)(
        **(spec.document | {"teachers": [teachers[1], teachers[0]], "n": list(range(2, 40))})
    )
    done = run(spec, tmp_path / "out", workers=1, fail_fast=True, progress=False)
    assert done.failures
    assert done.cells["missing"] > 50
    frame = load(tmp_path / "out")
    assert set(frame["status"]) >= {"failed", "missing"}


def test_command_line(broken, tmp_path, command):
    _, file = broken
    path = tmp_path / "spec.toml"
    lines = [
        'name = "tiny"',
        "seed = 3",
        "n = 5",
        "repeats = 600",
        "[[teachers]]",
        'file = "broken.csv"',
    ]
    path.write_text(
        "\n".join([*lines, "[[teachers]]", 'family = "uniform"', "inputs = 2", "labels = 3"])
    )
    result = command("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "4 done, 4 failed" in result.output
    again = next(line.split()[-1] for line in result.stderr.splitlines() if "sweep replay" in line)
    replayed = command("replay", tmp_path / "out", again)
    assert replayed.exit_code == 1
    assert "sums to 0.9" in replayed.stderr
    assert "Traceback" in replayed.stderr
    stands = command("status", tmp_path / "out")
    assert "tiny: 4 done, 4 failed" in stands.output
    good = load(tmp_path / "out").query("status == 'done'")["cell"].iloc[0]
    assert "as stored, to the bit" in command("replay", tmp_path / "out", good[:10]).output
    assert "repeat 17: loss 0." in command("replay", tmp_path / "out", good, "--repeat", 17).output
    early = command("run", path, "--out", tmp_path / "early", "--minutes", 0).output
    assert "stopped before a block was done, the same command goes on: 8 missing" in early
    file.write_text("a,b\n0.5,0.5\n0.5,0.5\n")  # mended: other content, other cells
    result = command("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "8 done" in result.output
    assert "nothing to run: 8 done" in command("run", path, "--out", tmp_path / "out").output
    for words, message in [
        (["replay", tmp_path / "out", "zz"], "no id in the sweep 'tiny' begin so"),
        (["replay", tmp_path / "out", ""], "8 ids in the sweep 'tiny' begin so"),
        (
            ["replay", tmp_path / "out", load(tmp_path / "out")["cell"][0], "--repeat", "-1"],
            "repeat = -1: must be at",
        ),
        (["report", tmp_path / "none"], "none holds no sweep"),
        (["report", tmp_path / "out", "--out", tmp_path], "is a folder: give the name of a file"),
        (["run", path, "--out", tmp_path / "out", "--shard", "3/2"], "must be I/N"),
        (
            ["run", path, "--out", tmp_path / "new", "--executor", "mpi"],
            "executor = 'mpi': must be one of threads",
        ),
        (["run", path, "--out", tmp_path / "new", "--workers", "0"], "workers = 0"),
        (
            ["run", tmp_path / "none.toml", "--out", tmp_path / "out"],
            "none.toml cannot be read: No such file",
        ),
    ]:
        result = command(*words)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("executor", [pd.NA, None, 3, np.array(["threads"])], ids=repr)
def test_what_is_no_executor_is_refused(executor, tiny, tmp_path):
    with pytest.raises(ValueError, match=r"executor = .*must be one of threads"):
        run(tiny(), tmp_path / "out", executor=executor, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@DASK
@pytest.mark.filterwarnings("ignore")
def test_dask_on_this_machine_gives_the_same_bits(tiny, tmp_path):
    run(tiny(), tmp_path / "threads", progress=False)
    run(tiny(), tmp_path / "dask", executor="dask", workers=1, progress=False)
    assert table(tmp_path / "threads") == table(tmp_path / "dask")


def test_a_cell_that_is_not_defined_is_not_replayed_and_many_failures_take_few_lines(
    broken, tmp_path, command, capsys
):
    spec, file = broken
    teachers = [{"file": str(file)}, {"family": "instance1", "inputs": 50, "labels": 20}]
    wide = Spec(**{**spec.document, "teachers": teachers, "n": [5, 6, 7, 8, 9]})
    run(wide, tmp_path / "out")
    told = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("failed: table") for line in told) == 10
    assert "failed: 5 more cells" in told
    undefined = load(tmp_path / "out").query("status == 'not defined'")["cell"].iloc[0]
    result = command("replay", tmp_path / "out", undefined)
    assert result.exit_code == 2
    assert "is not defined at n = 5: defined from n = 63" in result.stderr
    said = command("status", tmp_path / "out").stderr
    assert said.count("failed: ") == 10
    assert "and 5 more: kt.sweep.load(" in said


def test_replay_opens_the_debugger_where_the_error_is(broken, tmp_path):
    spec, file = broken
    run(spec, tmp_path / "out", progress=False)
    cell = load(tmp_path / "out").query("status == 'failed'")["cell"].iloc[0]
    code = "from kt_theory.cli.sweep import sweep_group; sweep_group()"
    words = [sys.executable, "-c", code, "replay", tmp_path / "out", cell, "--debug"]
    done = subprocess.run(words, input="p 'inside', str(file)\nq\n", capture_output=True, text=True)
    assert done.returncode == 1
    assert f"('inside', '{file}')" in done.stdout  # the frame that raised, with its variables


def test_progress_in_lines_and_as_a_bar(tiny, tmp_path, monkeypatch, capsys):
    from kt_theory.sweep import progress

    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    run(tiny(), tmp_path / "lines", workers=1)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"8/8 blocks, [\d,]+ repeats/s, about 0 s left, 0 failed", lines[-1])
    counts = [int(line.split("/")[0]) for line in lines]
    assert counts == sorted(counts)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = progress.Progress(True)
    bar.expect(4, 1.0)
    bar.add(1000, 0.5)
    time.sleep(0.15)
    bar.show(2)
    bar.close()
    assert re.search(r"1/4 blocks, [\d,]+ repeats/s, 0 s left, 2 failed", capsys.readouterr().err)
    run(tiny(), tmp_path / "silent", workers=1, progress=False)
    assert capsys.readouterr().err == ""


def test_status_while_it_runs(tiny, tmp_path):
    seen = []

    class Watched(ThreadPoolExecutor):
        def submit(self, function, /, *words):
            if (tmp_path / "out" / "sweep.json").exists():
                seen.append(status(tmp_path / "out"))
            return super().submit(function, *words)

    with Watched(1) as pool:
        run(tiny(), tmp_path / "out", executor=pool, progress=False)
    assert seen[0].cells == {"missing": 24}
    assert seen[-1].processes == 1
    assert seen[-1].speed > 0
    assert 0 < seen[-1].cells["done"] < 24
    assert [each.repeats for each in seen] == sorted(each.repeats for each in seen)
    stands = status(tmp_path / "out")
    assert (stands.cells, stands.processes, stands.repeats) == ({"done": 24}, 0, 24 * 600)


@pytest.mark.parametrize("name", ["check", "run", "status", "replay", "merge", "report"])
def test_help_shows_an_example(command, name):
    result = command(name, "--help")
    assert result.exit_code == 0
    assert f"Example: kt-theory sweep {name}" in result.output


def test_one_repeat_is_the_same_alone_and_in_the_run(tiny, tmp_path):
    spec = tiny(n=[20], repeats=300, students=["ce_sgl"])
    run(spec, tmp_path, progress=False)
    frame = load(tmp_path)
    cell = frame.iloc[-1]
    losses = [replay(tmp_path, cell["cell"], repeat).mean for repeat in range(300)]
    assert np.mean(losses) == pytest.approx(cell["mean"], rel=1e-12)
    assert np.std(losses, ddof=1) / np.sqrt(300) == pytest.approx(cell["std_error"], rel=1e-10)


def test_students_of_a_group_learn_from_the_same_transfer_sets(tiny):
    spec = tiny(students=["sel_ptl", {"name": "top_k", "k": 0}], n=[7])
    one, other = spec.cells[:2]
    assert one.group == other.group
    both = cells.Work.of([one, other], 0, 50)
    losses = cells.losses_of(both)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-12)


def test_shards_put_together_are_the_whole(tiny, tmp_path):
    spec = tiny()
    run(spec, tmp_path / "whole", progress=False)
    parts = [tmp_path / f"part{i}" for i in (1, 2, 3)]
    for i in (1, 3):
        run(spec, parts[i - 1], shard=(i, 3), progress=False)
    merged = merge_shards([parts[0], parts[2]], tmp_path / "out")
    assert set(merged.missing) == {2}
    assert merged.shards == 3
    assert merged.cells["missing"] == merged.missing[2]
    run(spec, parts[1], shard=(2, 3), progress=False)
    assert not merge_shards(parts, tmp_path / "out").missing
    assert table(tmp_path / "out") == table(tmp_path / "whole")
    run(tiny(seed=4), tmp_path / "other", progress=False)
    with pytest.raises(ValueError, match="holds another sweep"):
        merge_shards([parts[0], tmp_path / "other"], tmp_path / "out")


class Slow(ThreadPoolExecutor):
    """An executor of one's own that answers late and in any order."""

    def submit(self, function, /, *words):
        def late():
            time.sleep(np.random.default_rng().uniform(0, 0.02))
            return function(*words)

        return super().submit(late)


def test_executors_give_the_same_bits(tiny, tmp_path):
    spec = tiny(repeats=1500)
    run(spec, tmp_path / "threads", workers=2, progress=False)
    with Slow(4) as pool:
        run(spec, tmp_path / "own", executor=pool, progress=False)
    run(spec, tmp_path / "processes", executor="processes", workers=1, progress=False)
    assert table(tmp_path / "threads") == table(tmp_path / "own") == table(tmp_path / "processes")


@pytest.mark.long
def test_a_worker_that_dies_is_survived(tiny, tmp_path, monkeypatch):
    spec = tiny(
        n=[50, 60],
        repeats=40_000,
        teachers=[{"family": "dirichlet", "inputs": 10, "labels": [20, 30]}],
    )
    run(spec, tmp_path / "whole", progress=False)
    killed = []

    def kill():
        from multiprocessing import active_children

        while not killed:
            time.sleep(0.05)
            if status_of_run() and (children := active_children()):
                os.kill(children[0].pid, signal.SIGKILL)
                killed.append(children[0].pid)

    def status_of_run():
        return (tmp_path / "out" / "sweep.json").exists() and status(tmp_path / "out").repeats > 0

    killer = threading.Thread(target=kill)
    killer.start()
    done = run(spec, tmp_path / "out", executor="processes", workers=2, progress=False)
    killer.join()
    assert killed
    assert done.cells == {"done": 12}
    assert table(tmp_path / "out") == table(tmp_path / "whole")


def test_a_cell_that_kills_its_worker_fails_and_the_others_do_not(tiny, tmp_path, monkeypatch):
    from kt_theory.sweep import executors

    make = executors._owned

    def deadly(work):  # sent by value: no worker loads this module
        import os
        import signal

        if work.n == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        from kt_theory.sweep import cells

        return cells.run_block(work)

    class Deadly:
        def __init__(self, pool):
            self.pool, self.shutdown = pool, pool.shutdown

        def submit(self, function, work):
            return self.pool.submit(deadly, work)

    monkeypatch.setattr(
        executors, "_owned", lambda make_pool, *facts: make(lambda: Deadly(make_pool()), *facts)
    )
    spec = tiny(n=[6, 7], teachers=[{"family": "uniform", "inputs": 2, "labels": 3}])
    done = run(spec, tmp_path, executor="processes", workers=1, progress=False)
    assert done.cells == {"done": 3, "failed": 3}
    assert all(cell.n == 6 and "its worker died" in error for cell, error in done.failures)


@DASK
@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_bits_and_survives_a_killed_worker(tiny, tmp_path):
    from distributed import Client, LocalCluster

    spec = tiny(
        n=[50, 60],
        repeats=40_000,
        teachers=[{"family": "dirichlet", "inputs": 10, "labels": [20, 30]}],
    )
    run(spec, tmp_path / "whole", progress=False)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def kill():
            while (
                not (tmp_path / "out" / "sweep.json").exists()
                or status(tmp_path / "out").repeats == 0
            ):
                time.sleep(0.02)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        done = run(spec, tmp_path / "out", executor=address, progress=False)
        killer.join()
    assert done.cells == {"done": 12}
    run(spec, tmp_path / "local", executor="dask", workers=1, progress=False)
    assert table(tmp_path / "out") == table(tmp_path / "local") == table(tmp_path / "whole")


class Deadly(Executor):
    """Runs what is submitted at once, but the first `deaths` times its worker dies."""

    def __init__(self, deaths):
        self.left = deaths

    def submit(self, work, *words):
        future = Future()
        self.left -= 1
        if self.left >= 0:
            future.set_exception(ChildProcessError("4 workers died"))
        else:
            future.set_result(work(*words))
        return future


@pytest.mark.parametrize(("deaths", "cells"), [(2, {"done": 2}), (99, {"failed": 2})])
def test_deaths_of_workers_that_others_replace_are_counted(
    tiny, tmp_path, monkeypatch, deaths, cells
):
    hands = executors.Crew(Deadly(deaths), 1, "deadly", deaths=(ChildProcessError,))
    monkeypatch.setattr(sys.modules["kt_theory.sweep.run"], "crew", lambda *given: hands)
    spec = tiny(
        teachers=[{"family": "uniform", "inputs": 2, "labels": 3}],
        n=[5],
        students=["ce_sgl", "sel_ptl"],
    )
    done = run(spec, tmp_path, progress=False)
    assert done.cells == cells
    assert all("its worker died 3 times" in error for _, error in done.failures)


@DASK
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer(tiny, tmp_path, monkeypatch):
    from kt_theory.sweep import executors

    monkeypatch.setattr(executors, "CONNECT_SECONDS", 1)
    with pytest.raises(
        ConnectionError, match=r"no Dask scheduler answers at dask://127\.0\.0\.1:9"
    ):
        run(tiny(), tmp_path / "out", executor="dask://127.0.0.1:9", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_spec("distributed") is not None, reason="Dask is installed")
def test_without_dask(tiny, tmp_path):
    with pytest.raises(ValueError, match="needs Dask: pip install"):
        run(tiny(), tmp_path / "out", executor="dask", progress=False)


def test_block_sizes():
    assert plan.block_size(1.0) == 256
    assert plan.block_size(1e-9) == 2**20
    assert plan.block_size(1e-4) == 4096
