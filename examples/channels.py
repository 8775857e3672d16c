"""The channels of the distillation literature on one teacher: what each of them buys, in numbers and in a picture.

The teacher has 50 inputs in 25 pairs of equal rows, ten labels, and logits H V^T of rank 4. Prints the tables of
docs/channels.md, draws figures/channels.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import markdown, number

import kt_theory as kt
from kt_theory import compression, figures, generations, students
from kt_theory.limits.groups import common_row_floor
from kt_theory.output import write_table

PAIRS, LABELS, RANK, POSITIONS = 25, 10, 4, 2
REPEATS = 100
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
SMALLEST = 1e-4
"""The lower edge of the picture."""

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC3377", "#56B4E9", "#999933", "#000000")


def head_and_features() -> tuple[np.ndarray, np.ndarray]:
    """Return H (50, 4), every row twice, and V (10, 4)."""
    rng = np.random.default_rng(7)
    return np.repeat(rng.standard_normal((PAIRS, RANK)), 2, axis=0), 1.2 * rng.standard_normal(
        (LABELS, RANK)
    )


H, V = head_and_features()
TEACHER = kt.Teacher.from_logits(H @ V.T)
DISTANCES = np.linalg.norm(H[:, None] - H[None, :], axis=-1)
TWINS = np.repeat(np.arange(PAIRS), 2)


def answers() -> dict[str, kt.Student]:
    """Return what the student has, in words, and the student that uses it."""
    return {
        "sampled labels": kt.STUDENTS["ce_sgl"],
        "Hinton's mix, alpha = 0.1, T = 1": students.hinton(0.1),
        "Hinton's mix, alpha = 0.1, T = 4": students.hinton(0.1, 4.0),
        "decoupled: the target part alone": kt.STUDENTS["sel_ptl"],
        "decoupled: the non-target part alone": students.NAMED["non_target"],
        "the most probable label alone": students.NAMED["argmax"],
        "all probabilities": kt.STUDENTS["ce_ful"],
        "sampled labels, and which inputs are equal": students.grouped("ce_sgl", TWINS),
        "sampled labels, and all features": students.features(H, "hard"),
        "sampled logits, and all features": students.features(H, "sampled"),
        "all logits, and features of queried inputs": students.features(H, shipped=False),
        "all logits, and all features": students.features(H),
        "all logits, and distances of features": students.relations(DISTANCES),
    }


def risks(repeats: int = REPEATS) -> pd.DataFrame:
    """Return the simulated risk of each student at every n: student, n, mean and more."""
    return kt.simulate(
        TEACHER, list(answers().values()), n=list(SIZES), repeats=repeats, seed=0
    ).frame


def table_of_answers(frame: pd.DataFrame) -> str:
    """Return the risks at 1, 10 and 100 queries per input in Markdown."""
    at = frame.pivot(index="student", columns="n", values="mean")
    rows = [
        [words, *(number(at.loc[student.name, times * TEACHER.inputs]) for times in (1, 10, 100))]
        for words, student in answers().items()
    ]
    return markdown(["the student has", "n = 1 S", "n = 10 S", "n = 100 S"], rows)


def table_of_knowledge() -> str:
    """Return what is known before the first query, and the exact risk of a student of complete rows that uses it."""
    points = np.column_stack([H[:, :2], np.ones(TEACHER.inputs)])
    everything = np.column_stack([H, np.ones(TEACHER.inputs)])

    def moments(features: np.ndarray) -> np.ndarray:
        return TEACHER.pi.T @ (TEACHER.rho[:, None] * features)

    priors = {
        "nothing": np.full(TEACHER.pi.shape, 1.0 / LABELS),
        "how often each label comes": students.label_marginal(TEACHER),
        "class means of two of the four features": students.moment_prior(points, moments(points)),
        "class means of all four": students.moment_prior(everything, moments(everything)),
    }
    rows = []
    for words, prior in priors.items():
        student = students.with_prior("soft", prior)
        rows.append([words, *(number(kt.exact_risk(TEACHER, student, n)) for n in (0, 50, 200))])
    return markdown(["known before the first query", "n = 0", "n = 1 S", "n = 4 S"], rows)


def table_of_floors() -> str:
    """Return what a compressed teacher, or a map in place of the features, hides for good."""
    pi, rho = TEACHER.pi, TEACHER.rho
    hidden = H.reshape(TEACHER.inputs, POSITIONS, -1)
    normalised = hidden / np.linalg.norm(hidden, axis=2, keepdims=True)
    tables = {
        "pruned to the 3 largest": compression.pruned(pi, 3),
        "multiples of 1/16": compression.lattice(pi, 4),
        "probabilities of rank 4": compression.low_rank(pi, 4, rho=rho),
        "logits of rank 3": compression.low_rank(pi, 3, of="logits", rho=rho),
        "logits of rank 4": compression.low_rank(pi, 4, of="logits", rho=rho),
    }
    rows = [
        [words, number(float(kt.total_variation(table, pi, rho)))]
        for words, table in tables.items()
    ]
    for words, seen in (
        ("its attention map", hidden),
        ("the same, of features of norm 1", normalised),
    ):
        rows.append([words, number(common_row_floor(TEACHER, students.equal_maps(seen)))])
    return markdown(["what is left of the teacher", "floor"], rows)


def table_of_generations() -> str:
    """Return how far a student is from the truth when its teacher is itself a student, an ensemble or half blind."""
    rows = []
    line = generations.lineage(
        TEACHER, [("ce_sgl", 5000)] * 20, repeats=200, seed=0, progress=False
    )
    for g in (1, 5, 20):
        rows.append(
            [f"self-distillation, generation {g}, 5,000 labels each", number(line["to_truth"][g])]
        )
    for size in (500, 5000, 50_000):
        line = generations.lineage(
            TEACHER, [("ce_sgl", size), ("ce_ful", 1000)], repeats=200, seed=0, progress=False
        )
        rows.append(
            [
                f"all probabilities of a teacher taught by {size:,} labels",
                number(line["to_truth"][2]),
            ]
        )
    noisy = generations.ensemble(TEACHER, 1.0, [1, 16, 256], repeats=200, seed=0, progress=False)
    for mean in ("arithmetic", "geometric"):
        for members in (16, 256):
            (row,) = noisy[(noisy["average"] == mean) & (noisy["members"] == members)]["mean"]
            rows.append(
                [f"{mean} mean of {members} teachers with noise 1 on their logits", number(row)]
            )
    rows.append(
        ["the same, arithmetic, of any number", number(generations.ensemble_floor(TEACHER, 1.0))]
    )
    shift = np.random.default_rng(1).standard_normal(TEACHER.pi.shape)
    tables = [kt.Teacher.from_logits(H @ V.T + sign * shift).pi for sign in (-1.0, 1.0)]
    hidden = generations.Privileged(tables, [0.5, 0.5])
    for n in (500, 5000):
        rows.append(
            [f"rows that depend on a hidden coin, n = {n:,}", number(float(hidden.risk(n)))]
        )
    return markdown(["who teaches", "TV to the truth"], rows)


def draw(frame: pd.DataFrame) -> Any:
    """Return the picture, risk against n: what an answer shows, and what the student knows beside the answers."""
    figure, grid = figures.canvas(1, 2, width=11.0, height=6.4)
    chosen = list(answers().items())
    plain = chosen.pop(6)
    panels = ((chosen[:6], "What an answer shows"), (chosen[6:], "What is known beside it"))
    for axes, (lines, title) in zip(grid[0], panels, strict=True):
        for (words, student), colour, marker in zip(
            [*lines, plain], COLOURS, "osD^vXP", strict=True
        ):
            rows = frame[frame["student"] == student.name]
            # What is 0 lies far below the picture, so that its line leaves it.
            style: dict[str, Any] = {
                "linestyle": "--" if student is plain[1] else "-",
                "marker": marker,
                "markersize": 5,
            }
            axes.plot(
                rows["n"], np.maximum(rows["mean"], 1e-12), color=colour, label=words, **style
            )
        axes.set(xscale="log", yscale="log", ylim=(SMALLEST, 1.2), xlabel="n, queries", title=title)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    grid[0, 0].set_ylabel("risk, E TV")
    figures.caption(
        figure,
        f"S = {TEACHER.inputs} inputs in pairs, A = {LABELS} labels, logits of rank {RANK}; mean of {REPEATS} transfer "
        "sets. Lines that leave at the bottom fall to 0, or nearly so.",
    )
    return figure


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder of the picture and its data"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    frame = risks()
    for table in (
        table_of_answers(frame),
        table_of_knowledge(),
        table_of_floors(),
        table_of_generations(),
    ):
        print(table, end="\n\n")
    with figures.style():
        figures.write(draw(frame), folder / "channels.png")
    write_table(frame, folder / "channels.csv")


if __name__ == "__main__":
    main()
