"""What policies of storage lose, at the size that people have, beside a plain NumPy script.

    python benchmarks/storage.py > benchmarks/storage.md

Two dumps are written to a temporary folder: the 64 most probable labels of each position as a
Parquet table, and whole rows of logits as an NPY file of float32. Each is tabulated under the usual
policies of `kt.storage`, in a process of its own, and the few that the script knows are computed
with NumPy from the same rows in memory. Times are of one core.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

import kt_theory as kt
from kt_theory import machine
from kt_theory.dumps import Dump
from kt_theory.policies.defaults import usual_policies

LABELS = 128_256
KEPT = 64
PLAIN = ("renormalised(20)", "renormalised(50)", "even_tail(20)", "even_tail(50)", "sampled(50)")
"""What the plain script computes."""


HEADER = """# Policies of storage at full size

CPU seconds of one core, machine code loaded, the quickest of three runs; `python
benchmarks/storage.py` writes this page. MB are those of labels and values as arrays; the Parquet
file is compressed. Reading is reading and checking the file alone, all is with every usual policy.
The script computes {number} policies with plain NumPy, on fewer rows, scaled up; the last column is
its time for one policy over ours.

| file | positions | MB | reading, s | all, s | MB/s | memory, MB | policies \
| NumPy script, s | NumPy per policy / ours |
|---|---|---|---|---|---|---|---|---|---|"""


def zipf_logits(random: np.random.Generator, positions: int, labels: int) -> np.ndarray:
    """Return logits whose labels are in some order at each position, float32."""
    ranks = -1.4 * np.log(np.arange(1.0, labels + 1.0))
    table = (ranks + random.gumbel(size=(positions, labels)) * 0.8).astype(np.float32)
    return random.permuted(table, axis=1)


def write_listed(path: Path, positions: int) -> None:
    """Write the most probable labels of each position, as a sidecar of Parquet has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    writer = None
    for start in range(0, positions, 2**16):
        rows = min(2**16, positions - start)
        logits = -1.4 * np.log(np.arange(1.0, KEPT + 1.0)) + random.gumbel(size=(rows, KEPT)) * 0.8
        logits = -np.sort(-logits, axis=1)
        rest = random.uniform(0.02, 0.2, size=(rows, 1))
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) + np.log1p(-rest)
        names = (random.integers(0, LABELS, (rows, 1)) + 1999 * np.arange(KEPT)) % LABELS
        table = pa.table(
            {
                "input_ids": _lists(random.integers(0, LABELS, (rows // 64, 64)).astype(np.int32)),
                "teacher_topk_ids": _nested(names.astype(np.int32)),
                "teacher_topk_logprobs": _nested(logs.astype(np.float32)),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _lists(rows: np.ndarray):
    import pyarrow as pa

    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, rows.ravel())


def _nested(rows: np.ndarray):
    import pyarrow as pa

    inner = _lists(rows)
    return pa.ListArray.from_arrays(np.arange(0, len(inner) + 1, 64, dtype=np.int32), inner)


def write_whole(path: Path, positions: int) -> None:
    """Write whole rows of logits."""
    random = np.random.default_rng(1)
    held = np.lib.format.open_memmap(path, "w+", np.float32, (positions, LABELS))
    for start in range(0, positions, 64):
        held[start : start + 64] = zipf_logits(random, min(64, positions - start), LABELS)
    held.flush()


def plain_listed(logs: np.ndarray) -> list[float]:
    """Return the mean TV of `PLAIN`, the hidden mass spread evenly, in float64 NumPy."""
    p = np.exp(logs.astype(np.float64))
    hidden = LABELS - KEPT
    mass = 1.0 - p.sum(axis=1)
    found = [float((1.0 - p[:, :k].sum(axis=1)).mean()) for k in (20, 50)]
    for k in (20, 50):
        share = (1.0 - p[:, :k].sum(axis=1)) / (LABELS - k)
        away = np.abs(p[:, k:] - share[:, None]).sum(axis=1)
        found.append(float((0.5 * (away + hidden * np.abs(mass / hidden - share))).mean()))
    drawn = _frequencies(p) + hidden * _frequencies((mass / hidden)[:, None])
    return [*found, float(drawn.mean())]


def plain_whole(logits: np.ndarray) -> list[float]:
    """Return the mean TV of `PLAIN` on whole rows, in float64 NumPy."""
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p = -np.sort(-p, axis=1)
    found = [float((1.0 - p[:, :k].sum(axis=1)).mean()) for k in (20, 50)]
    for k in (20, 50):
        share = (1.0 - p[:, :k].sum(axis=1)) / (LABELS - k)
        found.append(float((0.5 * np.abs(p[:, k:] - share[:, None]).sum(axis=1)).mean()))
    return [*found, float(_frequencies(p).mean())]


def _frequencies(p: np.ndarray) -> np.ndarray:
    """1/2 sum E|X/N - p|, X ~ Bin(N, p), N = 50: de Moivre's form."""
    from scipy.stats import binom

    v = np.floor(50 * p) + 1
    return ((1.0 - p) * v / 50 * binom.pmf(v, 50, p)).sum(axis=1)


def measured(path: Path) -> None:
    """Print the CPU seconds, the largest memory and the positions of one file."""
    dump = Dump.read(path, labels=LABELS)
    next(iter(dump.blocks()))
    kt.storage(kt.Teacher([[0.5, 0.25, 0.25]]))  # compiles
    print(least_seconds(lambda: kt.storage(dump)), largest_memory(), kt.storage(dump).positions)


def least_seconds(act: Callable[[], object]) -> float:
    """Return the CPU seconds of the quickest of three runs: what else a machine does only adds."""
    found = []
    for _ in range(3):
        start = time.process_time()
        act()
        found.append(time.process_time() - start)
    return min(found)


def largest_memory() -> int:
    """Return the most bytes that this process has had in memory; `getrusage` counts those of the
    process that started it too.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def read_seconds(path: Path) -> None:
    """Print the CPU seconds that reading and checking alone take."""
    dump = Dump.read(path, labels=LABELS)
    next(iter(dump.blocks()))
    print(least_seconds(lambda: deque(dump.blocks(), maxlen=0)))


def of_process(*arguments: str) -> list[float]:
    """Return the numbers that this script prints in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(word) for word in lines.split()]


def compared(path: Path, positions: int, plain: tuple, some: int) -> str:
    """Return a line of the table: ours over all positions, NumPy's over `some` of them."""
    seconds, memory, counted = of_process("--measure", str(path))
    (reading,) = of_process("--read", str(path))
    assert counted == positions
    compute, rows = plain
    start = time.process_time()
    compute(rows)
    script = (time.process_time() - start) * positions / some
    size = 8e-6 * KEPT * positions if path.suffix == ".parquet" else path.stat().st_size / 1e6
    policies = len(usual_policies(LABELS, KEPT if path.suffix == ".parquet" else None))
    each = (seconds - reading) / policies
    return (
        f"| {path.name} | {positions:,} | {size:,.0f} | {reading:.1f} | {seconds:.1f} "
        f"| {size / seconds:.0f} | {memory / 1e6:,.0f} | {policies} | {script:.1f} "
        f"| {script / len(PLAIN) / each:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listed", type=int, default=2**20, help="Positions of 64 labels.")
    parser.add_argument("--whole", type=int, default=10_000, help="Positions of 128,256 labels.")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure is not None:
        return measured(asked.measure)
    if asked.read is not None:
        return read_seconds(asked.read)
    print(HEADER.format(number=len(PLAIN)))
    with machine.temporary_folder() as folder:
        listed, whole = folder / "top64.parquet", folder / "logits.npy"
        write_listed(listed, asked.listed)
        block = next(iter(Dump.read(listed, labels=LABELS).blocks()))
        rows = block.logprobs[:20_000]
        print(compared(listed, asked.listed, (plain_listed, rows), len(rows)), flush=True)
        listed.unlink()
        write_whole(whole, asked.whole)
        some = np.load(whole, mmap_mode="r")[:50]
        print(compared(whole, asked.whole, (plain_whole, np.array(some)), 50))
    return None


if __name__ == "__main__":
    main()
