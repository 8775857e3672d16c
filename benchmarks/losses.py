"""`make bench-losses`: several losses of the same rows in one run beside one loss, and beside a run for each.

Nanoseconds per cell on one thread, the median of the rounds or their least, the contestants taking turns. First `laplace`,
whose rule is run for every loss; then the paper's students, which have closed forms. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import kt_theory as kt
from kt_theory.losses import LOSSES
from kt_theory.simulation.cell import Cell

SIZES = [(100, 25, 5000), (1000, 8, 4000), (10, 1000, 20_000), (1, 50_000, 100_000)]
ASKED = {
    "kl": ["kl"],
    "tv, kl, chi2": ["tv", "kl", "chi2"],
    "all but js": [name for name in LOSSES if name != "js"],
    "all eight": list(LOSSES),
}
PAPER_SIZES = [(100, 25, 10_000, 1.0), (100, 25, 100_000, 8.0), (10, 1000, 20_000, 1.0)]
"""The last is the parameter of the Dirichlet rows: at 8 every label is seen, so that kl and chi2 of frequencies are
finite."""
PAPER_ASKED = {
    "tv": ["tv"],
    "tv, kl": ["tv", "kl"],
    "tv, kl, chi2": ASKED["tv, kl, chi2"],
    "all but js": ASKED["all but js"],
    "js": ["js"],
    "all eight": ASKED["all eight"],
}
PAPER_STUDENTS = {name: [student] for name, student in kt.STUDENTS.items()} | {
    "all four": list(kt.STUDENTS.values())
}
CELLS = 4e6


def dirichlet(inputs: int, labels: int, parameter: float = 1.0) -> kt.Teacher:
    """Return a teacher with Dirichlet rows."""
    return kt.Teacher(np.random.default_rng(0).dirichlet(np.full(labels, parameter), size=inputs))


def spent(cells: dict[str, Cell], repeats: int, rounds: int) -> dict[str, list[float]]:
    """Return nanoseconds per cell of each run in each round, after a first one that compiles."""
    times: dict[str, list[float]] = {name: [] for name in cells}
    for turn in range(rounds + 1):
        for name, cell in cells.items():
            start = time.process_time()
            cell.run(0, repeats)
            if turn:
                times[name].append(time.process_time() - start)
    teacher = next(iter(cells.values())).teacher
    unit = 1e9 / (repeats * teacher.inputs * teacher.labels)
    return {name: [unit * each for each in found] for name, found in times.items()}


def of_a_rule(inputs: int, labels: int, n: int, rounds: int) -> dict[str, float]:
    """Return nanoseconds per cell for each set of losses, and of a run for each of the eight."""
    teacher, student = dirichlet(inputs, labels), kt.students.add_c(1.0)
    sets = ASKED | {name: [name] for name in LOSSES}
    cells = {
        name: Cell(teacher, [student], n, 0, losses=[LOSSES[loss] for loss in losses])
        for name, losses in sets.items()
    }
    times = spent(cells, max(10, int(CELLS / (inputs * labels))), rounds)
    found = {name: statistics.median(each) for name, each in times.items()}
    return found | {"apart": sum(found[name] for name in LOSSES)}


def of_the_paper(
    size: tuple[int, int, int, float], students: list[kt.Student], rounds: int
) -> dict[str, float]:
    """Return nanoseconds per cell for each set of losses."""
    inputs, labels, n, parameter = size
    teacher = dirichlet(inputs, labels, parameter)
    cells = {
        name: Cell(teacher, students, n, 0, losses=[LOSSES[loss] for loss in losses])
        for name, losses in PAPER_ASKED.items()
    }
    times = spent(cells, int(CELLS / (inputs * labels)), rounds)
    return {name: min(each) for name, each in times.items()}


def row(head: str, values: list[float], unit: float) -> str:
    """Return a row of a table: values, and in brackets how many times the unit they are."""
    return f"| {head} | {' | '.join(f'{x:.2f} ({x / unit:.2f})' for x in values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print("# Several losses in one run\n")
    print(
        "Nanoseconds per cell on one thread; in brackets, times the run for `kl` alone. `laplace`, Dirichlet rows.\n"
    )
    print(f"| S, A, n | {' | '.join(ASKED)} | a run for each of the eight |")
    print(f"|---|{'---|' * (len(ASKED) + 1)}")
    for size in SIZES:
        found = of_a_rule(*size, rounds)
        values = [found[name] for name in [*ASKED, "apart"]]
        print(row(", ".join(f"{x:,}" for x in size), values, found["kl"]))
    print(
        "\nThe paper's students have closed forms of every loss: times the run for `tv` alone. `js`, which takes a "
        "logarithm of every cell, is the dearest one alone; the last column is what all eight take of it. At "
        "Dirichlet(8) every label is seen; elsewhere `kl` and `chi2` of frequencies are infinite, which costs "
        "nothing.\n"
    )
    print(f"| S, A, n, Dirichlet | students | {' | '.join(PAPER_ASKED)} | eight / js |")
    print(f"|---|---|{'---|' * (len(PAPER_ASKED) + 1)}")
    for size in PAPER_SIZES:
        for name, students in PAPER_STUDENTS.items():
            found = of_the_paper(size, students, rounds)
            head = f"{', '.join(f'{x:,g}' for x in size)} | {name}"
            line = row(head, list(found.values()), found["tv"])
            print(f"{line} {found['all eight'] / found['js']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
