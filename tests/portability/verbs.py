"""The main verbs, one after the other, as a script that does not know where it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kt_theory as kt
from kt_theory import machine
from kt_theory.cli.reproduce import reproduce_command as reproduce


def risks():
    teacher = kt.teachers.instance0(inputs=3, labels=4)
    estimate = kt.simulate(teacher, students=kt.STUDENTS, n=[10, 200], repeats=400, seed=5)
    exact = [kt.exact_risk(teacher, student, n=20) for student in ("ce_sgl", "sel_ptl", "ce_ful")]
    limit = kt.minimax_risk("partial", inputs=1, labels=3, n=5)
    return [*estimate.frame["mean"], *exact, limit.lower, limit.upper]


def plans():
    planned = kt.samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
    return [planned.n]


def copies(folder):
    answers = folder / "answers.jsonl"
    lines = [
        {
            "input": f"q{i % 7}",
            "label": "yes" if i % 3 else "no",
            "logprob": -0.4 if i % 3 else -1.1,
        }
        for i in range(60)
    ]
    answers.write_bytes("\r\n".join(map(json.dumps, lines)).encode())
    copy = kt.fit(kt.TransferSet.read(answers), student="sel_ptl")
    for name in ("copy.csv", "copy.parquet", "copy.csv"):  # the last one takes the place of another
        copy.write(folder / name)
    return [copy.certificate(confidence=0.95).bound, len((folder / "copy.csv").read_bytes())]


def main(where, figure):
    """Write the numbers that the verbs find into one folder, and a figure into the other."""
    numbers = [*risks(), *plans(), *copies(where)]
    assert machine.cores() >= 1
    assert 0 < machine.free_memory() <= machine.memory()
    (where / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    words = ["--only", "table1", "--repeats", "10", "--out", str(figure)]
    reproduce.main(words, standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
