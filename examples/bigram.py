"""How many queries copy a word-bigram model of your text, at every access level, and what do they cost?

    python examples/bigram.py FILE

The teacher gives the next word's distribution after each word of the text; an input is a word, a label is the next one.
Prices are per query and per revealed log-probability, in units of one query.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import kt_theory as kt

PRICES = {
    "hard": 1,
    "partial": (1, 0.1),
    "top_k(1)": (1, 0.1),
    "top_k(5)": (1, 0.1),
    "soft": (1, 0.1),
}


def queries(text: str, tv: float) -> pd.DataFrame:
    """Return the planner's table for the bigram of a text."""
    teacher = kt.teachers.ngram(text, order=2, tokens="word")
    return kt.plan(teacher=teacher, tv=tv, prices=PRICES, top_only=(1, 5))


def markdown(plan: pd.DataFrame) -> str:
    """Return the planner's table in Markdown."""
    lines = ["| access | queries | cost |", "|---|---|---|"]
    for access, n, cost, cheapest in zip(
        plan["access"], plan["n"], plan["cost"], plan["cheapest"], strict=True
    ):
        many = "impossible" if pd.isna(n) else f"{n:,}"
        price = "-" if pd.isna(cost) else f"{cost:,.0f}" + (", the cheapest" if cheapest else "")
        lines.append(f"| {access} | {many} | {price} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table and why a level is impossible."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a text in UTF-8")
    parser.add_argument(
        "--tv", type=float, default=0.1, help="total variation that the copy may have"
    )
    options = parser.parse_args()
    plan = queries(options.file.read_text(encoding="utf-8"), options.tv)
    print(markdown(plan))
    for reason in plan["reason"][plan["reason"] != ""]:
        print(reason)


if __name__ == "__main__":
    main()
