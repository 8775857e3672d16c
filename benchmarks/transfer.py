"""Reading real records beside json.loads and pandas on the same files, in one process, round by round.

Prints, as Markdown, MB per second of one core for each format, the ratio to the peer (1: as fast as the peer, which
only parses), and the seconds that a fit and its certificate take. Parquet is packed: of it records per second count.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow
from tqdm import tqdm

import kt_theory as kt

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import servers

LABELS = [f"label{i}" for i in range(20)]
TOP = 5
WANTED = 50.0
"""MB/s of one core."""

Record = tuple[str, str, float, dict[str, float]]


def records(count: int, inputs: int) -> Iterator[Record]:
    """Yield records of a teacher of 20 labels that lists its 5 largest."""
    rng = np.random.default_rng(0)
    teacher = kt.Teacher(rng.dirichlet(np.full(len(LABELS), 0.3), size=inputs))
    order = np.argsort(-teacher.pi, axis=1)[:, :TOP]
    logs = np.log(np.maximum(teacher.pi, 1e-300))
    edges = np.cumsum(teacher.pi, axis=1)
    for s, u in zip(rng.integers(0, inputs, count), rng.random(count), strict=True):
        a = min(int(np.searchsorted(edges[s], u)), len(LABELS) - 1)
        tops = {LABELS[j]: float(logs[s, j]) for j in order[s]}
        yield f"What is the capital of country number {s}?", LABELS[a], float(logs[s, a]), tops


def write_files(folder: Path, size: int, inputs: int) -> dict[str, Path]:
    """Write the same records in every format."""
    servers.IDS = dict(zip(LABELS, range(100, 100 + len(LABELS)), strict=True))
    found = list(records(size, inputs))
    paths = {}
    for name, form in servers.FORMATS.items():
        paths[name] = folder / f"{name}.jsonl"
        with paths[name].open("w") as file:
            file.writelines(json.dumps(form(*record)) + "\n" for record in found)
    paths[JOINED] = write_batch(folder, found)
    paths[MERGED] = paths["openai_chat"]
    paths["plain, hard"] = folder / "hard.jsonl"
    with paths["plain, hard"].open("w") as file:
        file.writelines(json.dumps({"input": q, "label": a}) + "\n" for q, a, _, _ in found)
    paths["one JSON array"] = folder / "array.json"
    paths["one JSON array"].write_text(json.dumps([servers.plain(*record) for record in found]))
    for name, columns in (("csv", 4), ("csv, hard", 2)):
        paths[name] = folder / f"{name}.csv"
        with paths[name].open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["input", "label", "logprob", "top_logprobs"][:columns])
            rows.writerows([q, a, own, json.dumps(tops)][:columns] for q, a, own, tops in found)
    frame = pd.DataFrame(found, columns=["input", "label", "logprob", "top_logprobs"])
    lists = frame["top_logprobs"].map(
        lambda tops: [{"label": a, "logprob": v} for a, v in tops.items()]
    )
    tables = {
        "parquet, lists": frame.assign(top_logprobs=lists),
        "parquet, JSON": frame.assign(top_logprobs=frame["top_logprobs"].map(json.dumps)),
        "parquet, struct": frame,
        "parquet, hard": frame[["input", "label"]],
    }
    for name, table in tables.items():
        paths[name] = folder / f"{name}.parquet"
        table.to_parquet(paths[name])
    return paths


JOINED, MERGED = "openai_batch, joined to its requests", "openai_chat, labels folded and pooled"


def write_batch(folder: Path, found: list[Record]) -> Path:
    """Write a Batch whose answers name their requests by `custom_id` alone, and the requests beside it."""
    answers, requests = folder / "batch_output.jsonl", folder / "batch_input.jsonl"
    with answers.open("w") as output, requests.open("w") as input:
        for i, record in enumerate(found):
            chat = servers.openai_chat(*record)
            response = {"status_code": 200, "request_id": f"r{i}", "body": chat["response"]}
            output.write(
                json.dumps(
                    {"id": f"b{i}", "custom_id": f"c{i}", "response": response, "error": None}
                )
                + "\n"
            )
            input.write(
                json.dumps({"custom_id": f"c{i}", "method": "POST", "body": chat["request"]}) + "\n"
            )
    return answers


def options_of(name: str, path: Path) -> dict[str, object]:
    """How a file is read."""
    if name == JOINED:
        return {"requests": path.with_name("batch_input.jsonl")}
    if name == MERGED:
        return {"labels": LABELS[:3], "other": "pool", "fold": "strip,casefold"}
    return {}


def line_by_line(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def peers(path: Path) -> dict[str, Callable[[], object]]:
    """What else reads the file, without making a transfer set of it."""
    if path.suffix == ".csv":
        return {"pandas.read_csv": lambda: pd.read_csv(path)}
    if path.suffix == ".parquet":
        return {"pandas.read_parquet": lambda: pd.read_parquet(path)}
    if path.suffix == ".json":
        return {"json.loads": lambda: json.loads(path.read_bytes())}
    found: dict[str, Callable[[], object]] = {"json.loads": lambda: line_by_line(path)}
    if path.name in ("plain.jsonl", "hard.jsonl"):
        found["pandas.read_json"] = lambda: pd.read_json(path, lines=True)
    return found


def seconds(run: Callable[[], object]) -> float:
    """Return the seconds of one core, over all threads: other people's processes do not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


def reading_table(paths: dict[str, Path], rounds: int) -> list[str]:
    """Race the reader with its peers on every file; they take turns, so that a busy machine slows all of them."""
    lines = [
        "| format | bytes per record | records/s | MB/s | lowest to highest | peer | peer MB/s | ratio |"
    ]
    lines.append("|---" * 8 + "|")
    for name, path in tqdm(paths.items(), desc="reading", disable=None):
        options = options_of(name, path)
        size = path.stat().st_size / 1e6
        if "requests" in options:
            size += path.with_name("batch_input.jsonl").stat().st_size / 1e6
        own_reader = partial(kt.TransferSet.read, path, **options)
        runners: dict[str, Callable[[], object]] = {"": own_reader, **peers(path)}
        count = len(own_reader())
        times: dict[str, list[float]] = {peer: [] for peer in runners}
        for _ in range(rounds):
            for peer, run in runners.items():
                times[peer].append(size / seconds(run))
        own = times.pop("")
        for peer, rates in times.items():
            ratio = statistics.median(a / b for a, b in zip(own, rates, strict=True))
            speed = f"{statistics.median(own):.0f} | {min(own):.0f} to {max(own):.0f}"
            many = f"{1e6 * size / count:.0f} | {statistics.median(own) / size * count:,.0f}"
            row = (
                f"{name} | {many} | {speed} | {peer} | {statistics.median(rates):.0f} | {ratio:.2f}"
            )
            lines.append(f"| {row} |")
    return lines


def fit_table(path: Path) -> list[str]:
    """Time the fit and the certificate of the records of one file, level by level."""
    transfer = kt.TransferSet.read(path)
    lines = [
        f"| student, {len(transfer):,} records | fit, s | certificate, s | bound |",
        "|---" * 4 + "|",
    ]
    for student in ("ce_sgl", "sel_ptl", kt.students.top_k(3), None):
        fresh = transfer.take(np.arange(len(transfer)))
        spent = seconds(lambda fresh=fresh, student=student: kt.fit(fresh, student))
        copy = kt.fit(fresh, student)
        certified = seconds(copy.certificate)
        bound = copy.certificate().bound
        lines.append(f"| {copy.student} | {spent:.2f} | {certified:.2f} | {bound:.4f} |")
    return lines


def main() -> None:
    """Run the benchmark, print its report and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--records", type=int, default=50_000, help="records per file; 1000000 fills 8 GB of disk"
    )
    parser.add_argument(
        "--fit", type=int, default=1_000_000, help="records of the file that is fitted"
    )
    parser.add_argument("--inputs", type=int, default=2000, help="distinct inputs")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per file")
    parser.add_argument("--out", type=Path, help="file to write the report to, too")
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, orjson {orjson.__version__}, PyArrow {pyarrow.__version__}"
    kt.TransferSet.from_arrays(["q"], [0])
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), options.records, options.inputs)
        lines = [
            "# Reading real records",
            "",
            f"{datetime.date.today()}, {os.cpu_count()} cores, {versions}. ",
        ]
        lines[-1] += f"Time of one core; wanted: {WANTED:g} MB/s of text."
        lines += ["", *reading_table(paths, options.rounds)]
        large = Path(folder) / "large.jsonl"
        with large.open("w") as file:
            file.writelines(
                json.dumps(servers.plain(*r)) + "\n" for r in records(options.fit, options.inputs)
            )
        lines += ["", f"A file of {large.stat().st_size / 1e6:.0f} MB:", "", *fit_table(large)]
    report = "\n".join(lines) + "\n"
    if options.out is not None:
        options.out.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
