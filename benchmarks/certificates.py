"""Bounds on the loss of hard labels beside the published ones, on 30 settings of a list that was chosen.

Prints, as Markdown, the mean bound at confidence 0.95 over the same draws: the certificate; McDiarmid with the largest
mean of the loss; Cohen, Kontorovich and Wolfer (2020), which needs no number of labels; Krichevsky and Trofimov, which
holds at all times; the certificate as if inputs were drawn; and the ratio of the certificate to the least of these.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import kt_theory as kt

DELTA = 0.05


class Setting(NamedTuple):
    """Inputs, labels, answers to each input, and the kind of teacher."""

    inputs: int
    labels: int
    answers: int
    kind: str


SETTINGS = [
    Setting(inputs, labels, answers, kind)
    for inputs, labels, answers in (
        (1, 2, 50),
        (1, 2, 1000),
        (1, 5, 300),
        (1, 20, 2000),
        (1, 50, 200),
        (5, 3, 100),
        (10, 10, 40),
        (20, 2, 30),
        (50, 4, 20),
        (50, 20, 20),
    )
    for kind in ("even", "uneven", "certain")
]


def teacher(setting: Setting) -> kt.Teacher:
    """Even rows; rows of Zipf's law, one label of probability 0.95 if there are two; rows that are almost certain."""
    ranks = np.arange(1, setting.labels + 1.0)
    row = {
        "even": np.ones_like(ranks),
        "uneven": 1 / ranks if setting.labels > 2 else np.array([0.95, 0.05]),
        "certain": np.where(ranks == 1, 1.0, 0.002 / setting.labels),
    }[setting.kind]
    return kt.Teacher(np.tile(row / row.sum(), (setting.inputs, 1)))


Counts = np.ndarray
"""(inputs, labels)."""


def mcdiarmid(counts: Counts) -> float:
    """The mean of a row's loss is at most sqrt((A - 1) / k) / 2; one label moves the loss by 1/n."""
    inputs, labels = counts.shape
    k = counts.sum(axis=1)
    mean = float(np.mean(np.minimum(1.0, 0.5 * np.sqrt((labels - 1) / k))))
    return min(1.0, mean + math.sqrt(math.log(1 / DELTA) / 2 * float((1 / k).sum()) / inputs**2))


def cohen_kontorovich_wolfer(counts: Counts) -> float:
    """Theorem 2.1: sum_a sqrt(f_a / k) and 3 sqrt(ln(2/delta) / 2k); of several inputs the sum moves likewise."""
    k = counts.sum(axis=1, keepdims=True)
    empirical = float(np.sqrt(counts / k / k).sum(axis=1).mean())
    moved = 3 * math.sqrt(math.log(2 / DELTA) / 2 * float((1 / k).sum()) / len(counts) ** 2)
    return min(1.0, empirical + moved)


def copy_of(counts: Counts, design: str) -> kt.Copy:
    """Return the frequencies of hard labels."""
    s, a = np.nonzero(counts)
    size = counts[s, a]
    labels = [str(i) for i in range(counts.shape[1])]
    transfer = kt.TransferSet.from_arrays(
        np.repeat(s, size), np.repeat(a, size), labels=labels, design=design
    )
    return kt.fit(transfer, "ce_sgl")


def krichevsky_trofimov(counts: Counts) -> float:
    """The region that holds at all times."""
    return copy_of(counts, "fixed").certificate(1 - DELTA, anytime=True).bound


def certificate(counts: Counts) -> float:
    """The certificate of the list."""
    return copy_of(counts, "fixed").certificate(1 - DELTA).bound


def drawn(counts: Counts) -> float:
    """The certificate as if inputs were drawn, which holds for draws alone."""
    return copy_of(counts, "drawn").certificate(1 - DELTA).bound


BOUNDS: dict[str, Callable[[Counts], float]] = {
    "certificate": certificate,
    "McDiarmid": mcdiarmid,
    "CKW 2020": cohen_kontorovich_wolfer,
    "KT": krichevsky_trofimov,
    "as if drawn": drawn,
}


def measured(setting: Setting, draws: int) -> dict[str, float]:
    """Return the mean of each bound over draws, and the largest ratio of the certificate to the least in a draw."""
    rng = np.random.default_rng(0)
    rows = teacher(setting).pi
    found = []
    for _ in range(draws):
        counts = np.array([rng.multinomial(setting.answers, row) for row in rows])
        found.append([bound(counts) for bound in BOUNDS.values()])
    each = np.array(found)
    means = dict(zip(BOUNDS, each.mean(axis=0).tolist(), strict=True))
    return {**means, "ratio": float((each[:, 0] / each[:, 1:].min(axis=1)).max())}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5)
    draws = parser.parse_args().draws
    names = [*BOUNDS, "ratio"]
    print("# Bounds on the loss of hard labels\n")
    print(
        f"A list of inputs of equal weight, confidence 0.95; means of {draws} draws, and the largest ratio, in a draw, of"
    )
    print(
        "the certificate to the least of the others. `python benchmarks/certificates.py --draws 20`.\n"
    )
    print(f"| inputs | labels | answers each | rows | {' | '.join(names)} |")
    print("|" + "---|" * (4 + len(names)))
    worst = 0.0
    for setting in SETTINGS:
        found = measured(setting, draws)
        worst = max(worst, found["ratio"])
        cells = [*map(str, setting), *(f"{found[name]:.3f}" for name in names)]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nThe largest ratio to the least of the others: {worst:.3f}.")


if __name__ == "__main__":
    main()
