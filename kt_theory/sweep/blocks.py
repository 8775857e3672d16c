"""`blocks.parquet`: the blocks of processes that have ended, merged cell by cell; every page
carries a checksum.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.sweep.cells import Block, merged_histogram
from kt_theory.sweep.journal import Record
from kt_theory.sweep.plan import disjoint

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    MemoryError,
)
"""What Arrow raises for a damaged file: its errors are all of these kinds."""

_RECORDS_PER_GROUP = 4096
_KINDS = {
    **dict.fromkeys(("cell", "path", "error", "traceback"), "string"),
    **dict.fromkeys(("first", "repeats", "inputs", "labels"), "int64"),
    "seconds": "double",
    **dict.fromkeys(("sums", "counts"), "list of int64"),
    "bins": "list of int32",
}


def merge(records: list[Record]) -> list[Record]:
    """Return the records of one cell with neighbouring blocks put together and the last error, if
    there is one.
    """
    good = disjoint([record for record in records if not record.block.error])
    runs: list[list[Record]] = []
    for record in good:
        if runs and runs[-1][-1].first + runs[-1][-1].repeats == record.first:
            runs[-1].append(record)
        else:
            runs.append([record])
    bad = [record for record in records if record.block.error]
    return [
        *map(_joined, runs),
        *sorted(bad, key=lambda r: (r.first, r.repeats, r.block.error))[:1],
    ]


def _joined(run: list[Record]) -> Record:
    if len(run) == 1:
        return run[0]
    blocks = [record.block for record in run]
    sums = np.sum([np.asarray(block.sums, dtype=np.int64) for block in blocks], axis=0)
    histogram = merged_histogram(
        [block.bins for block in blocks], [block.counts for block in blocks]
    )
    shape = blocks[0].inputs, blocks[0].labels, blocks[0].path
    block = Block(*shape, sum(block.seconds for block in blocks), sums, *histogram)
    return Record(run[0].cell, run[0].first, sum(record.repeats for record in run), block)


def write_blocks(file: Path, records: list[Record]) -> None:
    """Write records as Parquet with a checksum on every page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def lists(parts: list[Any], kind: Any) -> Any:
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int32)
        flat = (
            np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])
            if parts
            else np.zeros(0, np.int64)
        )
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat).cast(kind))

    blocks = [record.block for record in records]
    columns: dict[str, Any] = {
        "cell": pa.array([r.cell for r in records], pa.string()),
        "first": pa.array([r.first for r in records], pa.int64()),
        "repeats": pa.array([r.repeats for r in records], pa.int64()),
        "inputs": pa.array([b.inputs for b in blocks], pa.int64()),
        "labels": pa.array([b.labels for b in blocks], pa.int64()),
        "path": pa.array([b.path for b in blocks], pa.string()),
        "seconds": pa.array([b.seconds for b in blocks], pa.float64()),
        "error": pa.array([b.error for b in blocks], pa.string()),
        "traceback": pa.array([b.traceback for b in blocks], pa.string()),
        "sums": lists([b.sums for b in blocks], pa.int64()),
        "bins": lists([b.bins for b in blocks], pa.int32()),
        "counts": lists([b.counts for b in blocks], pa.int64()),
    }
    pq.write_table(
        pa.table(columns),
        file,
        row_group_size=_RECORDS_PER_GROUP,
        compression="zstd",
        use_dictionary=["path", "error"],
        write_page_checksum=True,
    )


def read_blocks(
    file: Path, damage: list[str], *, histograms: bool = True, checked: bool = True
) -> Iterator[Record]:
    """Yield the records in a Parquet file; groups that fail their checksum are left out and named
    in `damage`.

    A record without its histogram is no result: with `checked`, that of a histogram counts where it
    is not wanted too.
    """
    for table in _tables(file, damage, histograms or checked):
        yield from _rows(table, histograms)


def intact(file: Path) -> bool:
    """Return whether every page of `blocks.parquet` has the checksum that it was written with."""
    damage: list[str] = []
    return (
        file.exists()
        and all(table.num_rows for table in _tables(file, damage, True))
        and not damage
    )


def _tables(file: Path, damage: list[str], histograms: bool) -> Iterator[Any]:
    if not file.exists():
        return
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(file, page_checksum_verification=True)
    except PermissionError:
        raise
    except UNREADABLE as error:
        damage.append(f"{file.name} is damaged, all of it is run again: {_said(error)}")
        return
    names = [name for name in _KINDS if histograms or name not in ("bins", "counts")]
    for number in range(source.num_row_groups):
        try:
            table = source.read_row_group(number, columns=names)
            if {field.name: _kind(field.type) for field in table.schema} != {
                name: _KINDS[name] for name in names
            }:
                raise ValueError(
                    "its columns are not those that were written"
                )  # Parquet's own footer has no checksum
        except UNREADABLE as error:
            rows = source.metadata.row_group(number).num_rows
            damage.append(f"{file.name}: {rows} blocks damaged, run again: {_said(error)}")
            continue
        yield table


def _kind(arrow: Any) -> str:
    return f"list of {arrow.value_type}" if hasattr(arrow, "value_type") else str(arrow)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())


def _rows(table: Any, histograms: bool) -> Iterator[Record]:
    plain = {
        name: table[name].to_pylist()
        for name in table.column_names
        if name not in ("sums", "bins", "counts")
    }
    sums = _slices(table["sums"])
    bins, counts = (
        (_slices(table["bins"]), _slices(table["counts"]))
        if histograms
        else ([()] * len(sums),) * 2
    )
    for i in range(table.num_rows):
        facts = {
            name: plain[name][i]
            for name in ("inputs", "labels", "path", "seconds", "error", "traceback")
        }
        block = Block(**facts, sums=sums[i], bins=bins[i], counts=counts[i])
        yield Record(plain["cell"][i], plain["first"][i], plain["repeats"][i], block)


def _slices(column: Any) -> list[np.ndarray]:
    array = column.combine_chunks()
    array = array.chunk(0) if hasattr(array, "chunk") else array
    values, offsets = array.values.to_numpy(zero_copy_only=False), array.offsets.to_numpy()
    return [values[a:b] for a, b in pairwise(offsets)]
