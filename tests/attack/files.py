"""Mutated transcripts, specifications of sweeps, and tables of teachers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import kt_theory as kt
from attack.odd import SCALARS, altered, deep, one_of


def transcripts(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a file of one to five mutated answers; fit and certify what is read."""
    from transfer.test_fuzz import SHAPES, mutated
    from transfer_cases import RECORDS

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


def specifications(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a mutated specification, as a file or as keywords, and list its cells."""
    if rng.random() < 0.5:
        path = folder / "spec.toml"
        path.write_bytes(altered(TOML, rng))
        spec = kt.sweep.Spec.read(path)
    else:
        from transfer.test_fuzz import places

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


def _table(rng: np.random.Generator, folder: Path) -> Path:
    """Write a table of a teacher in one of the formats."""
    import pandas as pd

    pi = rng.dirichlet(np.ones(3), 4)
    kind = one_of(["csv", "tsv", "npy", "npz", "parquet", "long.csv"], rng)
    path = folder / f"teacher.{kind}"
    frame = pd.DataFrame(
        pi, columns=["yes", "no", "maybe"], index=pd.Index(list("abcd"), name="input")
    )
    if kind == "npy":
        np.save(path, pi)
    elif kind == "npz":
        np.savez(path, pi=pi, rho=np.full(4, 0.25))
    elif kind == "parquet":
        frame.reset_index().to_parquet(path)
    elif kind == "long.csv":
        frame.reset_index().melt("input", var_name="label", value_name="probability").to_csv(
            path, index=False
        )
    else:
        frame.to_csv(path, sep="\t" if kind == "tsv" else ",")
    return path


def tables(_: int, rng: np.random.Generator, folder: Path) -> str | None:
    """Read a mutated table of a teacher; what is read is a teacher."""
    path = _table(rng, folder)
    text = path.read_bytes()
    path.write_bytes(altered(text, rng))
    kind = one_of([None, None, None, "probabilities", "logits"], rng)
    teacher = kt.teachers.from_table(path, kind=kind, normalise=bool(rng.integers(2)))
    pi = teacher.pi
    if not (
        (pi >= 0).all()
        and np.allclose(pi.sum(axis=1), 1.0, rtol=1e-9)
        and np.isclose(teacher.rho.sum(), 1.0)
    ):
        return "what was read is no teacher"
    return None
