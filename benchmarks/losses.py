"""`make bench-losses`: several losses of the same rows in one run beside one loss, and beside a run for each.

Nanoseconds per cell on one thread, median of the rounds, the contestants taking turns; the student is `laplace`, whose rule
is run for every loss. Prints Markdown.
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
CELLS = 4e6


def measured(inputs: int, labels: int, n: int, rounds: int) -> dict[str, float]:
    """Return nanoseconds per cell for each set of losses, and of a run for each of the eight."""
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(labels), size=inputs))
    student = kt.students.add_c(1.0)
    repeats = max(10, int(CELLS / (inputs * labels)))
    sets = ASKED | {name: [name] for name in LOSSES}
    cells = {
        name: Cell(teacher, [student], n, 0, losses=[LOSSES[loss] for loss in losses])
        for name, losses in sets.items()
    }
    times: dict[str, list[float]] = {name: [] for name in cells}
    for turn in range(rounds + 1):
        for name, cell in cells.items():
            start = time.process_time()
            cell.run(0, repeats)
            if turn:
                times[name].append(time.process_time() - start)
    unit = 1e9 / (repeats * inputs * labels)
    found = {name: unit * statistics.median(spent) for name, spent in times.items()}
    return found | {"apart": sum(found[name] for name in LOSSES)}


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
        found = measured(*size, rounds)
        cells = [
            f"{found[name]:.2f} ({found[name] / found['kl']:.2f})" for name in [*ASKED, "apart"]
        ]
        print(f"| {', '.join(f'{x:,}' for x in size)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
