"""Columns of lists in Parquet files, as arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.block import CELLS
from kt_theory.sources import TooLarge, refuse_lists, require_file

_BUFFER = 1 << 20


class Misfit(ValueError):
    """What is wrong with a text or a position.

    Attributes
    ----------
    unit : {"text", "position"}
    number : int
        Among those that were read with it, from 0.
    what : str
        The rest of the message.
    """

    def __init__(self, unit: str, number: int, what: str) -> None:
        super().__init__(f"{unit} {number + 1} {what}")
        self.unit, self.number, self.what = unit, int(number), what


@dataclass(frozen=True, eq=False)
class Ragged:
    """Lists of numbers, one after the other.

    Attributes
    ----------
    flat : (T,) ndarray
    counts : (m,) int64
        How many each list holds.
    """

    flat: np.ndarray
    counts: np.ndarray

    def edges(self) -> np.ndarray:
        """Return where each list begins, and where the last one ends: (m + 1,) int64."""
        return edges_of(self.counts)

    def table(self, fill: float) -> np.ndarray:
        """Return the lists as rows, (m, widest); `fill` stands where one is shorter."""
        width = int(self.counts.max(initial=0))
        if (self.counts == width).all():
            return self.flat.reshape(len(self.counts), width)
        kind = np.int64 if self.flat.dtype.kind == "u" and fill < 0 else self.flat.dtype
        table = np.full((len(self.counts), width), fill, dtype=kind)
        table[np.arange(width) < self.counts[:, None]] = self.flat
        return table

    def rows(self, width: int, column: str) -> np.ndarray:
        """Return the lists as rows, (m, width), or refuse one that is longer or shorter."""
        wrong = np.flatnonzero(self.counts != width)
        if len(wrong):
            held = self.counts[wrong[0]]
            raise Misfit(
                "position",
                wrong[0],
                f"has {held} numbers in {column!r}, {width} are needed: these are not the settings "
                "that it was written with",
            )
        return self.flat.reshape(len(self.counts), width)


def edges_of(counts: np.ndarray) -> np.ndarray:
    """Return where runs of so many begin, and where the last one ends: (m + 1,) int64."""
    edges = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=edges[1:])
    return edges


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a Parquet file, and say in one line what is wrong with it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_file(path)
    try:
        # What is buffered before it is asked for stays in memory: whole row groups.
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield file
    except TooLarge as error:
        raise ValueError(f"{path}: {error}") from None
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is not a Parquet file, or a damaged one: {reason}") from None


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file."""
    with opened(path) as file:
        return list(file.schema_arrow.names)


def batches(file: Any, path: Path, wide: Collection[str], others: Collection[str]) -> Iterator[Any]:
    """Yield the rows of a Parquet file, about `CELLS` cells of the columns `wide` at a time."""
    refuse_lists(path, file.metadata, wide)
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        leaves = [group.column(place) for place in range(group.num_columns)]
        cells = [
            leaf.num_values for leaf in leaves if leaf.path_in_schema.partition(".")[0] in wide
        ]
        size = max(1, CELLS * group.num_rows // max([*cells, 1]))
        yield from file.iter_batches(
            min(size, CELLS), row_groups=[number], columns=[*wide, *others]
        )


def depth_of(kind: Any) -> int:
    """Return how many lists are one within the other in cells of a type."""
    depth = 0
    while hasattr(kind, "value_type"):
        kind = kind.value_type
        depth += 1
    return depth


def refuse_types(path: Path, schema: Any, depths: dict[str, int]) -> None:
    """Refuse a file with columns that hold no numbers, or not in lists of such depths."""
    import pyarrow as pa

    for name, depth in depths.items():
        kind = leaf = schema.field(name).type
        while hasattr(leaf, "value_type"):
            leaf = leaf.value_type
        number = (
            pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_boolean(leaf)
        )
        if not number or depth_of(kind) != depth:
            raise ValueError(f"{path}: column {name!r} holds {kind}: it must hold {_LISTS[depth]}")


_LISTS = ("numbers", "lists of numbers", "lists of lists of numbers")


def split_lists(column: Any) -> tuple[np.ndarray, Any]:
    """Return how long the lists of a column are, (m,) int64, and what they hold, one after the
    other; a list that is missing is empty.
    """
    import pyarrow.compute as pc

    counts = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return counts.astype(np.int64), column.flatten()


def ragged(column: Any, missing: float) -> Ragged:
    """Return a column of lists of numbers; `missing` stands for those that are null."""
    counts, flat = split_lists(column)
    return Ragged(numbers(flat, missing), counts)


def numbers(column: Any, missing: float) -> np.ndarray:
    """Return a column of numbers; `missing` stands for those that are null."""
    import pyarrow as pa

    if column.null_count:
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if pa.types.is_unsigned_integer(column.type):
            column = column.cast(pa.int64())
        column = column.fill_null(pa.scalar(missing).cast(column.type))
    return column.to_numpy(zero_copy_only=False)
