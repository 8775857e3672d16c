"""A teacher of the last two tokens, learnt from the source text of SciPy: what storing its rows loses, and what copies of it
are worth that see one token, or two.

    python examples/text.py [--out figures] [--dump teacher.parquet]

SciPy is installed with the package, and its licence (BSD-3-Clause) allows this. The teacher, a modified Kneser-Ney trigram, writes a
thousand texts of a thousand tokens; the 64 most probable labels of each row are the dump. Prints the tables of
docs/sequences.md, draws figures/sequences.png.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy
from tables import markdown

import kt_theory as kt
from kt_theory import figures
from kt_theory.ngrams import BackOff, learn

FOLDER = Path(scipy.__file__).parent
TEXTS, LENGTH, LISTED, BEFORE = 1000, 1000, 64, 2
AT_ONCE = 50
"""Texts whose rows are written together."""

CONTEXTS = (1, 2)
STUDENTS = ("mean_rows", "modified_kneser_ney", "good_turing")
COLOURS = ("#0072B2", "#E69F00", "#009E73")
POLICIES = (
    "renormalised(8), even_tail(8), even_tail(32), sampled(8), sampled(8, probabilities=true)"
)

TOKEN = re.compile(r"\w+|[^\w\s]")


def corpus() -> tuple[list[np.ndarray], list[str]]:
    """Return the tokens of each file, as numbers, and what they are: words, and signs one by one."""
    files = sorted(FOLDER.rglob("*.py"), key=lambda path: path.relative_to(FOLDER).as_posix())
    found = [TOKEN.findall(path.read_text("utf-8")) for path in files]
    names = sorted({token for tokens in found for token in tokens})
    number = {token: i for i, token in enumerate(names)}
    texts = [np.fromiter(map(number.__getitem__, tokens), np.int64) for tokens in found if tokens]
    return texts, names


def teacher_of(texts: list[np.ndarray], labels: int) -> BackOff:
    """Return the trigram of the texts; each begins where nothing stands before it."""
    padded = [np.concatenate([np.full(BEFORE, -1), text]) for text in texts]
    windows = [np.lib.stride_tricks.sliding_window_view(text, BEFORE)[:-1] for text in padded]
    return learn(np.concatenate(windows), np.concatenate(texts), labels, "modified_kneser_ney")


def written(teacher: BackOff, seed: int = 0) -> np.ndarray:
    """Return texts of the teacher's own, (TEXTS, BEFORE + LENGTH): what stands before is -1."""
    random = np.random.default_rng(seed)
    tokens = np.full((TEXTS, BEFORE + LENGTH), -1, dtype=np.int64)
    for i in range(BEFORE, BEFORE + LENGTH):
        tokens[:, i] = teacher.draw(tokens[:, i - BEFORE : i], random)
    return tokens


def write_dump(teacher: BackOff, tokens: np.ndarray, path: Path) -> kt.Dump:
    """Write the most probable labels of each position in DistillKit's layout, a row a text."""
    names = ("input_ids", "token_ids", "top_values")
    types = (pa.int32(), pa.list_(pa.int32()), pa.list_(pa.float32()))
    schema = pa.schema([(name, pa.list_(kind)) for name, kind in zip(names, types, strict=True)])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as file:
        for first in range(0, TEXTS, AT_ONCE):
            some = tokens[first : first + AT_ONCE]
            windows = np.lib.stride_tricks.sliding_window_view(some, BEFORE, axis=1)[:, 1:]
            label, p = teacher.top(windows.reshape(-1, BEFORE), LISTED)
            columns = [
                in_lists(some[:, BEFORE:].astype(np.int32).ravel(), LENGTH),
                in_lists(in_lists(label.astype(np.int32).ravel(), LISTED), LENGTH),
                in_lists(in_lists(np.log(p).astype(np.float32).ravel(), LISTED), LENGTH),
            ]
            file.write_table(pa.Table.from_arrays(columns, schema=schema))
    return kt.Dump.read(path, labels=teacher.labels)


def in_lists(values: Any, size: int) -> pa.Array:
    """Return values as lists of so many."""
    flat = values if isinstance(values, pa.Array) else pa.array(values)
    ends = pa.array(np.arange(0, len(flat) + 1, size, dtype=np.int32))
    return pa.ListArray.from_arrays(ends, flat)


def copies(dump: kt.Dump) -> pd.DataFrame:
    """Return what each copy is worth: a row for each student and context."""
    rows = []
    for context in CONTEXTS:
        floor = None
        for student in STUDENTS:
            copy = kt.fit(dump, student, context=context)
            floor = floor or copy.floor
            worth = kt.acceptance(copy)
            rows.append(
                {
                    "student": student,
                    "context": context,
                    "tv_low": copy.tv[0],
                    "tv_high": copy.tv[1],
                    "certified": copy.certificate().bound,
                    "floor_low": floor.low,
                    "floor_high": floor.high,
                    "tokens_low": worth.tokens_per_round.low,
                    "tokens_high": worth.tokens_per_round.high,
                    "independent": worth.if_independent,
                }
            )
    return pd.DataFrame(rows)


def of_copies(frame: pd.DataFrame) -> str:
    """Return the table of the copies."""
    head = [
        "context",
        "student",
        "TV",
        "at most, in 95 % of dumps",
        "floor",
        "tokens per round",
        "by independence",
    ]
    found = []
    for row in frame.itertuples():
        found.append(
            [
                str(row.context),
                row.student,
                f"{row.tv_low:.3f} to {row.tv_high:.3f}",
                f"{row.certified:.3f}",
                f"{row.floor_low:.3f} to {row.floor_high:.3f}",
                f"{row.tokens_low:.2f} to {row.tokens_high:.2f}",
                f"{row.independent:.2f}",
            ]
        )
    return markdown(head, found)


def of_storage(frame: pd.DataFrame) -> str:
    """Return the table of what storing loses."""
    found = []
    for row in frame.itertuples():
        found.append([row.policy, f"{row.bytes:.0f}", f"{row.tv_lower:.3f} to {row.tv_upper:.3f}"])
    return markdown(["policy", "bytes a position", "TV"], found)


def draw(frame: pd.DataFrame, path: Path) -> Path:
    """Draw the distance of each copy, and the floor of its context."""
    with figures.style():
        figure, ((axes,),) = figures.canvas(1, 1, width=6.4, height=3.6)
        ticks = []
        for at, context in enumerate(CONTEXTS):
            some = frame[frame["context"] == context]
            low, high = some["floor_low"].iloc[0], some["floor_high"].iloc[0]
            label = "floor of the context" if not at else None
            axes.fill_between([at - 0.4, at + 0.4], low, high, color="#cccccc", lw=0, label=label)
            for place, (colour, row) in enumerate(zip(COLOURS, some.itertuples(), strict=True)):
                x = at + 0.25 * (place - 1)
                name = row.student if not at else None
                axes.plot(
                    [x, x],
                    [row.tv_low, row.tv_high],
                    color=colour,
                    lw=5,
                    label=name,
                    solid_capstyle="butt",
                )
                axes.plot(x, row.certified, marker="_", ms=14, color=colour, mew=1.5)
            ticks.append(f"sees {context} token" + "s" * (context > 1))
        axes.set_xticks(range(len(CONTEXTS)), ticks)
        axes.set_xlim(-0.5, len(CONTEXTS) - 0.5)
        axes.set_ylim(0.0, 0.7)
        axes.set_ylabel("total variation to the teacher")
        axes.legend(loc="upper right", frameon=False)
        return figures.write(figure, path)


def main() -> None:
    """Write the dump, print the tables, draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("figures"), help="a folder for the picture"
    )
    parser.add_argument("--dump", type=Path, help="keep the dump in this file")
    options = parser.parse_args()
    texts, names = corpus()
    print(f"{len(texts):,} files, {sum(map(len, texts)):,} tokens, {len(names):,} labels\n")
    teacher = teacher_of(texts, len(names))
    with tempfile.TemporaryDirectory() as folder:
        file = options.dump or Path(folder) / "teacher.parquet"
        dump = write_dump(teacher, written(teacher), file)
        print(of_storage(kt.storage(dump, POLICIES).frame), end="\n\n")
        frame = copies(dump)
    print(of_copies(frame))
    options.out.mkdir(parents=True, exist_ok=True)
    print(draw(frame, options.out / "sequences.png"))


if __name__ == "__main__":
    main()
