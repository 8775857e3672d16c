"""The same call 10,000 times: memory and descriptors stay as they are."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kt_theory as kt

CALLS = 10_000
GROWTH = 16 << 20
"""Bytes that 9,000 calls may add to the memory in use after 1,000."""


def _verbs(folder: Path) -> list[Callable[[int], Any]]:
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    teacher, csv = kt.Teacher(table), folder / "teacher.csv"
    csv.write_text("input,yes,no\na,0.5,0.5\nb,0.1,0.9\n")
    answers = folder / "answers.csv"
    answers.write_text("input,label,logprob\na,yes,-0.1\nb,no,-0.2\n")
    transfer = kt.TransferSet.from_arrays([0, 1, 1], [0, 2, 1], logprobs=np.log(table)[[0, 1, 1]])
    document = {"name": "x", "n": [5, 20], "repeats": 10, "students": ["ce_sgl"]}
    family = [{"family": "uniform", "inputs": 2, "labels": 3}]
    return [
        lambda i: kt.simulate(teacher, n=20, repeats=4, seed=i, progress=False),
        lambda i: kt.exact_risk(teacher, "ce_sgl", 10 + i),
        lambda i: kt.minimax_risk("soft", 10, 5, 10 + i),
        lambda i: kt.samples_needed("soft", 10, 5, tv=0.1 + 1e-6 * i),
        lambda i: kt.fit(transfer).certificate(0.9),
        lambda i: kt.teachers.from_table(csv),
        lambda i: kt.TransferSet.read(answers),
        lambda i: kt.sweep.Spec(**document, teachers=family, seed=i).cells,
    ]


def growth(number: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Call one verb; which one is a choice of the number of the attempt, in turn."""
    verbs = _verbs(folder)
    verb = verbs[number % len(verbs)]
    before = (0, 0)
    for i in range(CALLS):
        if i == CALLS // 10:
            before = _in_use()
        verb(i)
    after = _in_use()
    if after[0] - before[0] > GROWTH:
        return f"memory grows by {(after[0] - before[0]) >> 20} MB"
    return f"{after[1] - before[1]} descriptors stay open" if after[1] > before[1] else None


def _in_use() -> tuple[int, int]:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resident, len(os.listdir("/proc/self/fd"))
