"""Sweeps that are killed, and sweeps whose disk is full: resumed, they give the table of a run left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from attack.odd import one_of

SPEC = """
name = "attacked"
seed = 11
repeats = 40_000
n = [50, 400]
students = ["ce_sgl", "sel_ptl", "ce_ful", "laplace"]
[[teachers]]
family = "dirichlet"
inputs = 10
labels = [20, 40, 60]
"""
SECONDS_TO_END = 8.0
"""In which every process of a sweep must be gone once its first one is."""


def start(spec: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start a sweep in a session of its own."""
    words = [
        sys.executable,
        "-m",
        "kt_theory",
        "sweep",
        "run",
        str(spec),
        "--out",
        str(out),
        "--quiet",
        *options,
    ]
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def left_behind(session: int) -> str | None:
    """Return what is wrong if processes of a session live on; they are ended."""
    deadline = time.monotonic() + SECONDS_TO_END
    while (alive := members(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in alive:
        os.kill(process, signal.SIGKILL)
    return f"{len(alive)} processes live on" if alive else None


@lru_cache(maxsize=1)
def left_alone() -> tuple[Path, bytes, float]:
    """Return the specification, the table of a run that nobody disturbs, and its seconds."""
    folder = Path(mkdtemp(prefix="attack"))
    spec = folder / "spec.toml"
    spec.write_text(SPEC)
    begun = time.monotonic()
    start(spec, folder / "out").communicate()
    return spec, (folder / "out" / "results.parquet").read_bytes(), time.monotonic() - begun


def kills(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """End the first process of a sweep at a random moment, and resume."""
    spec, expected, seconds = left_alone()
    executor, out = one_of(["threads", "threads", "processes", "dask"], rng), folder / "out"
    slower = {"threads": 1.0, "processes": 3.0, "dask": 5.0}[executor]
    name = one_of(["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"], rng)
    process = start(spec, out, "--executor", executor, "--workers", "2")
    try:
        _, errors = process.communicate(timeout=float(rng.uniform(0.05, 1.1)) * seconds * slower)
        if process.returncode:
            return f"undisturbed, on {executor}: status {process.returncode}, {errors[-300:]}"
    except subprocess.TimeoutExpired:
        process.send_signal(getattr(signal, name))
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"{name} on {executor}: goes on for 30 s"
    if wrong := left_behind(process.pid):
        return f"{name} on {executor}: {wrong}"
    after = start(spec, out, "--executor", one_of(["threads", executor], rng), "--workers", "2")
    _, errors = after.communicate()
    if after.returncode:
        return f"{name} on {executor}, resumed: status {after.returncode}, {errors[-300:]}"
    if (out / "results.parquet").read_bytes() != expected:
        return f"{name} on {executor}: another table"
    return None


def mounted(place: Path, kilobytes: int) -> bool:
    """Mount an empty file system of that size; return whether that is permitted."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    try:
        return subprocess.run(words, capture_output=True).returncode == 0
    except OSError:
        return False


def may_mount() -> bool:
    """Return whether `disks` may mount file systems."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "disk"
        found = mounted(place, 4)
        if found:
            subprocess.run(["umount", "-l", str(place)], check=True)
    return found


def disks(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Run a sweep on a file system that is too small, make it larger, and resume."""
    spec, expected, _ = left_alone()
    place, size = folder / "disk", 4 * int(rng.integers(1, 30))
    if not mounted(place, size):
        return "no file system may be mounted here"
    try:
        first = start(spec, place / "out")
        _, errors = first.communicate()
        if first.returncode and not (
            0 < len(errors.strip().splitlines()) <= 2 and "Traceback" not in errors
        ):
            return f"{size} KB: {errors[-300:]}"
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        again = start(spec, place / "out")
        _, errors = again.communicate()
        if again.returncode:
            return f"{size} KB, resumed: {errors[-300:]}"
        if (place / "out" / "results.parquet").read_bytes() != expected:
            return f"{size} KB: another table"
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
    return None
