"""`python benchmarks/sweep_overhead.py`: what a sweep costs beside its kernels, and how fast a large one loads.

Prints the time of 1,000 cells of 10 ms each as a sweep over that of the bare kernels, on one process and one thread,
which must stay below 1.5, and the seconds that 100,000 finished cells take to load, which must stay below 5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from kt_theory.catalogue import build_student
from kt_theory.simulation.cell import Cell
from kt_theory.sweep import Spec, load, run
from kt_theory.sweep.cells import Work, run_block
from kt_theory.sweep.journal import Record
from kt_theory.sweep.recipes import build_teacher
from kt_theory.sweep.results import results_table, write_results
from kt_theory.sweep.store import Store

OVERHEAD, LOAD_SECONDS = 1.5, 5.0


def cells(count: int, repeats: int) -> Spec:
    """Return a sweep of so many cells, each a teacher of its own."""
    teacher = {"family": "dirichlet", "inputs": 20, "labels": 20, "seed": list(range(count))}
    return Spec(name="overhead", students="ce_sgl", n=1000, repeats=repeats, teachers=[teacher])


def kernels(spec: Spec) -> float:
    """Return the seconds of the kernels alone: teachers and tables stand ready."""
    ready = [
        Cell(teacher, [build_student(cell.student, teacher.inputs)], cell.n, cell.seed)
        for cell in spec.cells
        for teacher in [build_teacher(cell.teacher)]
    ]
    started = time.perf_counter()
    for each in ready:
        each.run(0, spec.repeats or 0)
    return time.perf_counter() - started


def sweep(spec: Spec) -> float:
    """Return the seconds of the same cells as a sweep, from the specification to the table on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run(Spec(**spec.document), Path(folder) / "out", workers=1, progress=False)
        return time.perf_counter() - started


def overhead(rounds: int, count: int, seconds: float) -> float:
    """Return sweep over kernels, the quickest round of each: a busy machine slows some rounds."""
    sweep(cells(2, 2))
    trial = min(kernels(cells(50, 1000)) for _ in range(3)) / 50_000
    spec = cells(count, max(2, round(seconds / trial)))
    bare, whole = [], []
    for _ in range(rounds):
        bare.append(kernels(spec))
        whole.append(sweep(spec))
        each = 1000 * bare[-1] / count
        print(
            f"{count:,} cells of {each:.1f} ms: kernels {bare[-1]:.2f} s, sweep {whole[-1]:.2f} s",
            flush=True,
        )
    return min(whole) / min(bare)


def loading(count: int, rounds: int) -> float:
    """Return the longest of several times, in seconds, that `load` takes for so many finished cells."""
    students = ["ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"]
    teacher = {"family": "zipf", "inputs": [1, 10], "labels": [2, 5], "exponent": [0.5, 1.0]}
    sizes = list(range(10, 10 + count // 32))
    spec = Spec(name="many", students=students, n=sizes, repeats=100, teachers=[teacher])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        store = Store.prepare(folder, spec)
        first = spec.cells[0]
        (block,) = run_block(Work.of([first], 0, 100))
        store.append([Record(cell.id, 0, 100, block) for cell in spec.cells])
        write_results(folder, spec, results_table(spec, store.put_together()))
        spent = []
        for _ in range(rounds):
            started = time.perf_counter()
            frame = load(folder, exact=False)
            spent.append(time.perf_counter() - started)
        assert (frame["status"] == "done").all()
    print(f"{len(frame):,} cells loaded in {', '.join(f'{each:.2f}' for each in spent)} s")
    return max(spent)


def main() -> None:
    """Measure both and print the verdicts; the exit status is 1 if one is missed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ratio, seconds = overhead(rounds, 1000, 0.01), loading(100_000, rounds)
    print(
        f"sweep / kernels: {ratio:.3f} (wanted {OVERHEAD}); load of 100,000 cells: {seconds:.2f} s ({LOAD_SECONDS:g})"
    )
    sys.exit(ratio > OVERHEAD or seconds > LOAD_SECONDS)


if __name__ == "__main__":
    main()
