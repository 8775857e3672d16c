"""A digits classifier distilled at every access level over its pool of images.

The teacher is a logistic regression on scikit-learn's 1,797 images of digits; an input is an image, a label is a digit.
Each row of the table is what one query of an API might return. Prints the table, draws figures/digits.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tables import markdown, number

import kt_theory as kt
from kt_theory import figures
from kt_theory.output import write_table

REPEATS = 200
TIMES = (1, 10, 100)
"""Queries per image."""

SMALLEST = 1e-5
"""The left edge of the picture."""


def pool() -> tuple[kt.Teacher, np.ndarray]:
    """Return the classifier over its pool as a teacher, and the pixels of the pool, (1797, 64)."""
    pixels, digits = load_digits(return_X_y=True)
    pixels = pixels / 16.0
    classifier = LogisticRegression(C=0.05, max_iter=2000).fit(pixels[::2], digits[::2])
    return kt.teachers.from_classifier(classifier, pixels), pixels


def columns() -> list[str]:
    """Return the names of the columns of risks."""
    return [f"n = {times} S" for times in TIMES]


def answers(pixels: np.ndarray) -> dict[str, kt.Student]:
    """Return what one query returns, in words, and the student for it."""
    students, partial = kt.students, kt.access.PARTIAL
    return {
        "a sampled digit": kt.STUDENTS["ce_sgl"],
        "and its logit, unnormalised": students.logits(partial),
        "and its probability": kt.STUDENTS["sel_ptl"],
        "and the top 3 probabilities": students.top_k(3),
        "the top 3 alone": students.top_k(3, sampled=False),
        "all, rounded to 0.5 in log": students.rounded(0.5),
        "all, to 4 bits": students.quantised(4),
        "all, with noise 0.5 in log": students.noisy(0.5),
        "all, at temperature 2, unknown": students.tempered_mle(2.0),
        "all, at temperature 2, taken for 1": students.tempered(2.0, believed=1.0),
        "all ten probabilities": kt.STUDENTS["ce_ful"],
        "and gradients to the 5 nearest images": students.grad_ful(
            kt.graphs.nearest_neighbours(pixels, 5)
        ),
        "and the Jacobian by the pixels": students.jacobian(pixels),
    }


def risks(repeats: int = REPEATS) -> pd.DataFrame:
    """Return the simulated risk of each student at 1, 10 and 100 queries per image, and its exact limit; then the
    95 % interval of each risk, and its kind.
    """
    teacher, pixels = pool()
    chosen = answers(pixels)
    n = [times * teacher.inputs for times in TIMES]
    found = kt.simulate(teacher, list(chosen.values()), n=n, repeats=repeats, seed=0).frame
    wide = found.pivot(index="student", columns="n")
    wide = wide.loc[[student.name for student in chosen.values()]]
    table = wide["mean"].set_axis(columns(), axis="columns")
    table["in the limit"] = [limit(teacher, student) for student in chosen.values()]
    for risk, size in zip(columns(), n, strict=True):
        for part in ("low", "high", "interval"):
            table[f"{risk}: {part}"] = wide[part, size]
    table.insert(0, "one query returns", list(chosen))
    return table.reset_index()


def limit(teacher: kt.Teacher, student: kt.Student) -> float:
    """Return the risk that no number of queries removes, NaN where it has no exact value."""
    try:
        return float(kt.exact_risk(teacher, student, np.inf))
    except kt.NoExactRisk:
        return np.nan


def draw(table: pd.DataFrame) -> Any:
    """Return the picture: one line per answer, one dot per number of queries, a bar where the risk ends."""
    figure, grid = figures.canvas(1, 1, width=9.0, height=5.4)
    axes = grid[0, 0]
    rows = np.arange(len(table))
    looks = zip(TIMES, columns(), ("#0072B2", "#E69F00", "#CC3377"), "osD", strict=True)
    for times, name, colour, marker in looks:
        risk = table[name].to_numpy()
        seen = np.maximum(risk, SMALLEST)
        label = f"{times} quer{'y' if times == 1 else 'ies'} per image"
        axes.scatter(seen, rows, color=colour, marker=marker, label=label, zorder=3)
    floor = table["in the limit"].to_numpy()
    has = floor > SMALLEST
    axes.scatter(
        floor[has],
        rows[has],
        color="black",
        marker="|",
        s=260,
        label="however many queries",
        zorder=4,
    )
    axes.set(
        xscale="log",
        xlim=(SMALLEST / 1.5, 1.0),
        xlabel="risk, E TV (the left edge also stands for less)",
    )
    axes.set_yticks(rows, table["one query returns"])
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    caption = (
        f"Logistic regression on {len(pool()[1])} images of digits; mean of {REPEATS} transfer sets. The fallback on "
        "images never asked is the uniform distribution."
    )
    figures.legend_and_caption(figure, axes, caption, bounds=False)
    return figure


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder of the picture and its data"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    table = risks()
    shown = table[["one query returns", *columns(), "in the limit"]].map(
        lambda cell: cell if isinstance(cell, str) else number(cell)
    )
    print(markdown(list(shown.columns), shown.to_numpy().tolist()))
    with figures.style():
        figures.write(draw(table), folder / "digits.png")
    write_table(table, folder / "digits.csv")


if __name__ == "__main__":
    main()
