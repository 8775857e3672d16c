"""Mutated transcripts, specifications of sweeps, and tables of teachers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from transfer.test_fuzz import SHAPES, mutated, places
from transfer_cases import FORMATS, RECORDS

import kt_theory as kt
from attack.odd import SCALARS, altered, deep, one_of
from kt_theory.catalogue import files


def transcripts(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a file of one to five mutated answers; fit and certify what is read."""
    shape = SHAPES[one_of(list(SHAPES), rng)]
    answers = [mutated(shape(*one_of(RECORDS, rng)), rng) for _ in range(int(rng.integers(1, 6)))]
    if rng.random() < 0.5:
        text = "".join(json.dumps(doc) + "\n" for doc in answers).encode()
    else:
        text = json.dumps(answers, indent=int(rng.integers(3))).encode()
    path = folder / one_of(["answers.jsonl", "answers.json", "answers"], rng)
    path.write_bytes(altered(text, rng) if rng.random() < 0.7 else text)
    options: dict[str, Any] = one_of(
        [
            {},
            {"as_sampled": True},
            {"label": "text"},
            {"other": "pool", "labels": ["yes", "no"]},
            {"fold": "strip"},
        ],
        rng,
    )
    transfer = kt.TransferSet.read(path, **options)
    account = transfer.account
    if account.lines != sum(account.outcomes.values()):
        return f"the account does not add up: {account}"
    if any("\n" in why for _, _, why in account.skipped):
        return "a reason has more than one line"
    copy = kt.fit(transfer)
    if not np.allclose(copy.pi.sum(axis=1), 1.0, rtol=1e-9) or not (copy.pi >= 0).all():
        return "a row of the copy is no distribution"
    bound = copy.certificate().bound
    return None if 0.0 <= bound <= 1.0 else f"the certificate is {bound}"


SPEC: dict[str, Any] = {
    "name": "attacked",
    "seed": 3,
    "n": [5, 20],
    "repeats": 60,
    "students": ["ce_sgl", {"name": "top_k", "k": 2}, "rounded(0.5, top_k(2))"],
    "teachers": [
        {"family": "dirichlet", "inputs": [1, 3], "labels": [2, 4], "alpha": 0.5},
        {
            "family": "zipf",
            "inputs": "n",
            "labels": "inputs + 1",
            "exponent": 1.5,
            "zip": ["n", "inputs"],
        },
        {"family": "instance2", "inputs": 3, "labels": 4},
    ],
    "grid": {"seed": [1, 2]},
    "compute": {"target_se": 0.01},
}

EXPRESSIONS = ["(" * 300, "-" * 200_000, "9**9**9", "n +", "1 / (n - 5)", "labels"]

TOML = b"""
name = "attacked"
seed = 7
students = ["ce_sgl", "sel_ptl"]
repeats = 640
[n]
logspace = [1, 3, 5]
[[teachers]]
family = "instance0"
inputs = [1, 10]
labels = [2, 5]
zip = ["inputs", "labels"]
[[teachers]]
family = "uniform"
inputs = "round(sqrt(n))"
labels = 11
"""


LINES = """
name = "a"
seed = 3
students = ["ce_sgl", "top_k(2)", {name = "add_c", c = 0.5}]
access = ["soft", "hard"]
repeats = 10
n = [10, 100]
grid = {inputs = [3, "round(sqrt(n))"]}
[[teachers]]
family = "zipf"
labels = {logspace = [0, 1, 3]}
exponent = 1.5
[[teachers]]
family = "instance1"
inputs = "n // 2"
labels = 4
zip = ["inputs", "n"]
"""
"""Whose lines are replaced."""

VALUES = [
    "[]",
    "{}",
    "1",
    "-1",
    "1.5",
    "nan",
    "inf",
    '""',
    '"x"',
    "true",
    "[[1]]",
    "[{}]",
    "{a = 1}",
    "1979-05-27",
    "9" * 400,
]
VALUES += [
    '"' + "(" * 2000 + '"',
    '"' + "-" * 20_000 + '1"',
    "[" * 200 + "]" * 200,
    '["a", 1]',
    "{file = 3}",
    "0x10",
    "{logspace = 3}",
]
VALUES += ['{name = ["a"]}', '"1/0"', '"9**9**9"', '"\\u0000"']
"""What a key of a file may be given."""


def _replaced(rng: np.random.Generator) -> bytes:
    """Return `LINES` with one or two lines left out, repeated or of another value."""
    lines = LINES.splitlines()
    for _ in range(int(rng.integers(1, 3))):
        place = int(rng.integers(1, len(lines)))
        kind, key = int(rng.integers(4)), lines[place].partition(" = ")[0]
        if kind == 0:
            lines[place] = ""
        elif kind == 1:
            lines[place] = one_of(lines[1:], rng)
        else:
            lines[place] = f"{key} = {one_of(VALUES, rng)}"
    return "\n".join(lines).encode()


def specifications(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a mutated specification, as a file or as keywords, and list its cells."""
    if rng.random() < 0.5:
        path = folder / "spec.toml"
        path.write_bytes(altered(TOML, rng) if rng.random() < 0.4 else _replaced(rng))
        spec = kt.sweep.Spec.read(path)
    else:
        document = json.loads(json.dumps(SPEC))
        spots = [path for path in places(document) if path]
        first = one_of(spots, rng)
        others = [
            spot for spot in spots if spot[: len(first)] != first and spot != first[: len(spot)]
        ]
        for spot in (first, one_of(others, rng))[: int(rng.integers(1, 3))]:
            parent: Any = document
            for name in spot[:-1]:
                parent = parent[name]
            odd = one_of([*SCALARS, [], {}, [[]], [None], {"a": 1}, deep(2000), *EXPRESSIONS], rng)
            if rng.random() < 0.2 and isinstance(parent, dict):
                parent["odd" if isinstance(odd, list) else str(odd)[:40]] = parent.pop(spot[-1])
            else:
                parent[spot[-1]] = odd
        spec = kt.sweep.Spec(**document)
    identities = [cell.id for cell in spec.cells]
    return None if len(set(identities)) == len(identities) else "two cells have one identity"


def _tables(folder: Path) -> dict[str, Callable[[Path], Any]]:
    """Write a table in every format; return what reads each file."""
    pi = np.array([[0.5, 0.5], [0.2, 0.8]])
    frame = pd.DataFrame({"input": ["a", "b"], "yes": pi[:, 0], "no": pi[:, 1], "rho": 0.5})
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_csv(folder / "a.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "a.parquet")
    np.save(folder / "a.npy", pi)
    np.savez(folder / "a.npz", pi=pi)
    np.savez_compressed(folder / "b.npz", logits=pi, rho=[0.5, 0.5])
    reads = dict.fromkeys((path.name for path in sorted(folder.iterdir())), _teacher)
    texts = pd.DataFrame({"input": ["a", "b"] * 9, "label": ["x", "y"] * 9, "logprob": [-0.5] * 18})
    texts.to_csv(folder / "records.csv", index=False)
    texts.to_parquet(folder / "records.parquet")
    lines = "".join(json.dumps(FORMATS["openai_chat"](*record)) + "\n" for record in RECORDS)
    (folder / "records.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    records = dict.fromkeys(("records.csv", "records.parquet", "records.jsonl.gz"), _records)
    return {**reads, **records}


def _teacher(path: Path) -> str | None:
    teacher = kt.teachers.from_table(path)
    pi = teacher.pi
    right = (pi >= 0).all() and np.allclose(pi.sum(axis=1), 1.0, rtol=1e-9)
    return None if right and np.isclose(teacher.rho.sum(), 1.0) else "what was read is no teacher"


def _records(path: Path) -> None:
    kt.TransferSet.read(path, as_sampled=True)


def _array(path: Path) -> None:
    files.read_array(str(path))


def _graph(path: Path) -> None:
    files.read_graph(str(path), 2)


def tables(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a mutated table as what it was, or as knowledge of a student."""
    reads = _tables(folder)
    path = folder / one_of(list(reads), rng)
    path.write_bytes(altered(path.read_bytes(), rng))
    read = reads[path.name]
    if read is _teacher:
        read = one_of([_teacher, _teacher, _array, _graph], rng)
    return read(path)
