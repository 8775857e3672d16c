"""The same answers of a small teacher as nine servers would write them, read back, fitted and certified.

    python examples/transcripts.py --out transcripts

Writes one JSONL file per server. Each answer has the sampled label, its log-probability and the two most probable.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import servers

import kt_theory as kt

LABELS = ["yes", "no", "perhaps", "ask again"]
QUESTIONS = [f"Question {i}?" for i in range(30)]
ANSWERS = 600
CONFIDENCE = 0.95


def answers(teacher: kt.Teacher, seed: int = 0) -> list[tuple[str, str, float, dict[str, float]]]:
    """Return (question, sampled label, its log-probability, the two most probable labels with theirs)."""
    rng = np.random.default_rng(seed)
    asked = rng.choice(teacher.inputs, size=ANSWERS, p=teacher.rho)
    found = []
    for s in asked:
        a = int(rng.choice(teacher.labels, p=teacher.pi[s]))
        best = np.argsort(-teacher.pi[s])[:2]
        logs = np.log(teacher.pi[s])
        found.append(
            (QUESTIONS[s], LABELS[a], float(logs[a]), {LABELS[j]: float(logs[j]) for j in best})
        )
    return found


def distance(copy: kt.Copy, teacher: kt.Teacher) -> float:
    """Return the true TV between the copy and the teacher, in the mean over the questions."""
    known = copy.pi
    total = 0.0
    for s, question in enumerate(QUESTIONS):
        row = np.full(len(LABELS), 1.0 / len(LABELS))
        if question in copy.transfer.input_names:
            at = copy.transfer.input_names.index(question)
            row = np.array([known[at, copy.transfer.label_names.index(label)] for label in LABELS])
        total += teacher.rho[s] * 0.5 * np.abs(row - teacher.pi[s]).sum()
    return total


def main() -> None:
    """Write the transcripts, and print what comes back of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("transcripts"), help="folder to write to")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    servers.IDS = {label: 1000 + i for i, label in enumerate(LABELS)}
    teacher = kt.teachers.dirichlet(inputs=len(QUESTIONS), labels=len(LABELS), alpha=0.5, seed=1)
    records = answers(teacher)
    print(
        f"| transcript | answers read | TV of the copy | certified, confidence {CONFIDENCE} |\n|---|---|---|---|"
    )
    for name, write in servers.FORMATS.items():
        path = folder / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps(write(*record)) + "\n" for record in records), encoding="utf-8"
        )
        transfer = kt.TransferSet.read(path, labels=LABELS)
        copy = kt.fit(transfer)
        bound = copy.certificate(CONFIDENCE).bound
        print(f"| {name} | {len(transfer)} | {distance(copy, teacher):.3f} | at most {bound:.3f} |")


if __name__ == "__main__":
    main()
