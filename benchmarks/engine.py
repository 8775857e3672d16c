"""`make bench`: the engine beside its peers, in one process, round by round.

results.md has a section for each kind of processor; a run replaces that of its own. Prints and writes microseconds per repeat for all four students from the same counts, the ratios batched / engine, the
cost against n and against S A, memory, and the time from process start to the first result.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numba
import numpy as np
from contestants import Contestant, contestants, engine
from llvmlite.binding import get_host_cpu_features
from scipy.optimize import least_squares
from tqdm import tqdm

import kt_theory as kt
from kt_theory.simulation.cost import LAW, Law, seconds_per_repeat

CELLS = {
    (1, 1001, 10**2): 90,
    (1000, 10, 10**3): 50,
    (20, 20, 10**2): 45,
    (100, 25, 10**4): 45,
    (20, 20, 10**4): 42,
    (1, 100, 10**4): 20,
    (1000, 10, 10**5): 48,
    (100, 25, 10**7): 9.5,
    (1, 100, 10**7): 2.9,
}
"""(S, A, n): the ratio batched / engine on one thread that the engine must reach without AVX-512."""

GEOMETRIC_MEAN = 28
FREE = 10.0
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "neon": "NEON"}
TINY = {(2, 3, 50): 1}
AGAINST_N = [(100, 25, 10**k) for k in range(0, 10)]
AGAINST_CELLS = [(inputs, 10, 10**4) for inputs in (1, 10, 100, 1000, 10_000)]
FIRST_RESULT = "import kt_theory as kt; kt.simulate(kt.teachers.instance0(100, 25), n=1000, repeats=100, progress=False)"


HEAD = """# The engine beside its peers

`make bench` writes the section of the processor that it runs on. Microseconds per repeat, median of the rounds (lowest
to highest), one thread unless said: all four students' losses from the same transfer sets. Dirichlet rows, uniform rho.
"""


class Timing(NamedTuple):
    """Microseconds per repeat: median of the rounds, lowest and highest."""

    median: float
    low: float
    high: float


def dirichlet(inputs: int, labels: int) -> kt.Teacher:
    """Return the teacher of the table: flat Dirichlet rows, uniform rho."""
    return kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(labels), size=inputs))


def race(runners: dict[str, Contestant], rounds: int, seconds: float) -> dict[str, Timing]:
    """Return the timing of each contestant; the contestants take turns, so that a busy machine slows all of them."""
    sizes, means = {}, {}
    for name, run in runners.items():
        run(2)
        size, spent = 64, 0.0  # fewer say nothing of the risk
        while spent < seconds / 4:
            spent = math.inf
            for _ in range(2):  # one hiccup of the machine must not pass for a long round
                start = time.perf_counter()
                losses = run(size)
                spent = min(spent, time.perf_counter() - start)
            means[name] = losses.mean(axis=0), losses.std(axis=0) / math.sqrt(len(losses))
            size = max(size + 1, int(size * min(16.0, seconds / max(spent, 1e-9))))
        sizes[name] = size
    agree(means)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            made = len(run(sizes[name]))
            times[name].append(1e6 * (time.perf_counter() - start) / made)
    return {name: Timing(statistics.median(t), min(t), max(t)) for name, t in times.items()}


def agree(means: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuse contestants that estimate another risk: they would be doing other work."""
    reference, error = means["engine"]
    for name, (mean, own) in means.items():
        if (np.abs(mean - reference) > 7.0 * np.hypot(error, own) + 2e-3).any():
            raise AssertionError(f"{name} finds the risks {mean}, the engine {reference}")


def peer_table(cells: dict[tuple[int, int, int], float], rounds: int, seconds: float) -> list[str]:
    """Race all contestants on every cell; return the table in Markdown."""
    names = ["naive", "batched", "numba", "jax", "engine", "engine x2"]
    lines = ["| (S, A, n) | " + " | ".join(names) + " | batched / engine | wanted | 2 threads |"]
    lines.append("|---" * (len(names) + 4) + "|")
    ratios = []
    for (inputs, labels, n), wanted in tqdm(cells.items(), desc="peers", disable=None):
        times = race(contestants(dirichlet(inputs, labels), n), rounds, seconds)
        row = [f"({inputs}, {labels}, {n:.0e})"]
        row += [_microseconds(times[name]) if name in times else "-" for name in names]
        ratios.append(times["batched"].median / times["engine"].median)
        row += [
            f"{ratios[-1]:.1f}",
            f"{wanted:g}",
            f"{times['engine'].median / times['engine x2'].median:.2f}x",
        ]
        lines.append("| " + " | ".join(row) + " |")
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    return [
        *lines,
        "",
        f"Geometric mean of batched / engine: **{mean:.1f}** (wanted {GEOMETRIC_MEAN}).",
    ]


class Cost(NamedTuple):
    """What one repeat of four students took on one thread, microseconds."""

    path: str
    n: int
    inputs: int
    labels: int
    measured: float

    def predicted(self, law: Law) -> float:
        """Return what the law says, microseconds."""
        return 1e6 * seconds_per_repeat(
            self.path, self.n, (self.inputs, self.labels), len(kt.STUDENTS), law=law
        )


def cost_table(
    cells: list[tuple[int, int, int]], rounds: int, seconds: float, what: str
) -> tuple[list[str], list[Cost]]:
    """Race the engine alone on `cells`; return the table in Markdown, and what one thread took."""
    costs = []
    lines = ["| (S, A, n) | path | 1 thread | 2 threads | speed-up |", "|---|---|---|---|---|"]
    for inputs, labels, n in tqdm(cells, desc=what, disable=None):
        teacher = dirichlet(inputs, labels)
        path = kt.simulate(teacher, n=n, repeats=2).estimates[0].path
        times = race(contestants(teacher, n, peers=False), rounds, seconds)
        one, two = times["engine"], times["engine x2"]
        row = [f"({inputs}, {labels}, {n:.0e})", path, _microseconds(one), _microseconds(two)]
        lines.append("| " + " | ".join(row) + f" | {one.median / two.median:.2f}x |")
        costs.append(Cost(path, n, inputs, labels, one.median))
    return lines, costs


def law_table(costs: list[Cost]) -> list[str]:
    """Fit the law of cost to the clock, in relative terms; return it beside the one in use.

    What no cell tells stays as it is: a number of the law may miss by `FREE` as a cell by 1.
    """

    def misses(logs: np.ndarray) -> list[float]:
        law = Law(*np.exp(logs))
        cells = [math.log(each.predicted(law) / each.measured) for each in costs]
        return cells + ((logs - np.log(LAW)) / FREE).tolist()

    fitted = Law(*np.exp(least_squares(misses, np.log(LAW)).x).tolist())
    lines = ["| | " + " | ".join(Law._fields) + " | lowest and highest ratio to the clock |"]
    lines.append("|---" * (len(Law._fields) + 2) + "|")
    for name, law in [("in use", LAW), ("fitted", fitted)]:
        ratios = [each.predicted(law) / each.measured for each in costs]
        numbers = " | ".join(f"{value:.2g}" for value in law)
        lines.append(f"| {name} | {numbers} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return lines


@kt.row_rule
def in_loops(counts, revealed, out):
    """Write n_sa / n_s as one does who wants speed."""
    total = 0
    for a in range(counts.size):
        total += counts[a]
    for a in range(counts.size):
        out[a] = counts[a] / total if total > 0 else 1.0 / counts.size


def rule_table(cell: tuple[int, int, int], rounds: int, seconds: float) -> list[str]:
    """Race each of the four students against its own row rule, compiled as a user's rule is."""
    teacher, n = dirichlet(*cell[:2]), cell[2]
    lines = ["| student | closed form | row rule | rule / closed form |", "|---|---|---|---|"]
    students = [*kt.STUDENTS.values(), kt.Student("frequencies in loops", "hard", in_loops)]
    for student in tqdm(students, desc="rules", disable=None):
        # A function of its own: that of the package is known by its closed form.
        own = FunctionType(student.rule.py_func.__code__, student.rule.py_func.__globals__)
        rule = kt.Student("rule", student.access, kt.RowRule(own))
        runners = {
            "engine": engine(teacher, n, 1, ["ce_sgl" if student.rule is in_loops else student]),
            "rule": engine(teacher, n, 1, [rule]),
        }
        times = race(runners, rounds, seconds)
        ratio = times["rule"].median / times["engine"].median
        lines.append(
            f"| {student.name} | {_microseconds(times['engine'])} | {_microseconds(times['rule'])} | {ratio:.1f} |"
        )
    return lines


def start_table() -> list[str]:
    """Time fresh processes up to their first result: with an empty cache of compiled code, then with a full one."""
    lines = ["| from process start to | seconds |", "|---|---|"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}

        def seconds(code: str) -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)
            return time.perf_counter() - start

        lines.append(
            f"| import kt_theory | {min(seconds('import kt_theory') for _ in range(3)):.2f} |"
        )
        lines.append(f"| first result, nothing compiled yet | {seconds(FIRST_RESULT):.2f} |")
        lines.append(
            f"| first result, compiled before | {min(seconds(FIRST_RESULT) for _ in range(3)):.2f} |"
        )
    return lines


def _microseconds(timing: Timing) -> str:
    return f"{timing.median:.3g} ({timing.low:.3g} to {timing.high:.3g})"


def _processor() -> str:
    """Return the kind of this processor and its widest vectors."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [
        line.split(":")[1].strip() for line in about.splitlines() if line.startswith("model name")
    ]
    has = get_host_cpu_features()
    vectors = [name for key, name in VECTORS.items() if has.get(key)]
    return f"{names[0] if names else platform.processor()}, {vectors[0] if vectors else 'no vectors known'}"


def _machine() -> str:
    versions = (
        f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    )
    busy = f"{os.getloadavg()[0]:.1f} other processes running at the start"
    return f"{datetime.date.today()}, {os.cpu_count()} cores, {busy}, {platform.system()}, {versions}, kt_theory {kt.__version__}"


def main() -> None:
    """Run the benchmark and write its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one tiny cell, to see that everything runs"
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds per contestant, at least 5 for a report"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="length of one round of one contestant"
    )
    parser.add_argument("--only-peers", action="store_true", help="the table of peers alone")
    parser.add_argument(
        "--out", type=Path, help="file to write; results.md beside this one, nothing with --quick"
    )
    options = parser.parse_args()
    report = options.out or (None if options.quick else Path(__file__).parent / "results.md")
    rounds, seconds = (2, 0.01) if options.quick else (options.rounds, options.seconds)
    lines = [f"## {_processor()}", "", f"{_machine()}.", ""]
    lines += peer_table(TINY if options.quick else CELLS, rounds, seconds)
    if not options.only_peers:
        costs = []
        for title, sizes in [("n", AGAINST_N), ("S A", AGAINST_CELLS)]:
            table, found = cost_table(
                list(TINY) if options.quick else sizes, rounds, seconds, title
            )
            lines += ["", f"### Cost against {title}", "", *table]
            costs += found
        lines += [
            "",
            "### The law of cost",
            "",
            "Seconds: `kt_theory.simulation.cost`, from which `sweep check` foretells times.",
            "",
            *law_table(costs),
        ]
        size = next(iter(TINY)) if options.quick else (100, 25, 10**4)
        lines += [
            "",
            f"### Rules of one's own, at (S, A, n) = {size}",
            "",
            *rule_table(size, rounds, seconds),
        ]
        lines += ["", "### Start", "", *start_table()]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines += ["", f"Peak memory of this process, peers included: {peak:.0f} MiB."]
    text = "\n".join(lines) + "\n"
    if report is not None:
        before = report.read_text() if report.exists() else ""
        report.write_text(with_section(before, text))
    print(text)


def with_section(report: str, section: str) -> str:
    """Return a report with a section in the place of the one of the same title, or at its end."""
    old = [part for part in ("\n" + report).split("\n## ")[1:] if part.strip()]
    kept = {part.partition("\n")[0]: f"## {part.strip()}\n" for part in old}
    kept[section.partition("\n")[0].removeprefix("## ")] = section
    return "\n".join([HEAD, *kept.values()])


if __name__ == "__main__":
    main()
