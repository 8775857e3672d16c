"""How the examples print their tables: in Markdown, risks in three digits."""

from __future__ import annotations

import math


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Return a risk in three digits; what is below 10^-6 as 0, what has no exact value as a dash."""
    return "-" if math.isnan(value) else "0" if value < 1e-6 else f"{value:.3g}"
