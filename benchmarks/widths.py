"""`make widths`: how far the certified upper bound of a minimax risk lies above the lower one, level by level.

Prints Markdown; about five minutes, most of it the designs behind the bounds of hard labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tqdm import tqdm

import kt_theory as kt

INPUTS = (1, 2, 10, 100)
LABELS = (4, 6, 8, 10, 12, 13, 14, 20, 50, 100, 1000, 1_000_000)
RATIOS = (1, 2, 4, 5, 10, 100)
"""n over S A."""

LEVELS: dict[str, tuple[str, dict[str, int]]] = {
    "hard": ("hard", {}),
    "partial": ("partial", {}),
    "top_k(1)": ("top_k", {"k": 1}),
    "top_k(5)": ("top_k", {"k": 5}),
}

MOST_HARD = 1000
"""Labels of a row beyond which hard labels are as at this many."""

INTRODUCTION = """\
# Certified widths

Upper over lower bound of the minimax risk, as `kt_theory.minimax_risk` has them: 1 is exact. Written by `make widths`. What
is proved, and what stands in the way where it is wide: [proofs.md](proofs.md) for partial labels and the top k,
[proofs-hard.md](proofs-hard.md) for hard labels. Soft labels, gradients and the levels that follow from them are exact.
"""


def width(level: str, inputs: int, labels: int, ratio: int) -> str:
    """Return upper over lower bound at n = ratio S A, rounded up, as the table has it."""
    name, parameters = LEVELS[level]
    limit = kt.minimax_risk(
        name, inputs=inputs, labels=labels, n=ratio * inputs * labels, **parameters
    )
    thousandths = -(-limit.upper * 1000 // limit.lower)
    return f"{thousandths / 1000:.3f}"


def rows() -> Iterator[tuple[str, int, int]]:
    for level, (_, parameters) in LEVELS.items():
        for inputs in INPUTS:
            for labels in LABELS:
                hidden = labels - parameters.get("k", 0)
                if hidden > 1 and (level != "hard" or labels <= MOST_HARD):
                    yield level, inputs, labels


def line(level: str, inputs: int, labels: int) -> str:
    found = " | ".join(width(level, inputs, labels, ratio) for ratio in RATIOS)
    return f"| {level} | {inputs} | {labels:,} | {found} |"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(INTRODUCTION)
    print(f"| level | S | A | {' | '.join(f'n = {ratio} SA' for ratio in RATIOS)} |")
    print(f"|---|---|---|{'---|' * len(RATIOS)}")
    for row in tqdm(list(rows()), unit="row", disable=None):
        print(line(*row), flush=True)


if __name__ == "__main__":
    main()
