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
from kt_theory.sweep.columns import column, lists
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
_PLACE = {"cell": "string", "first": "int64", "repeats": "int64"}
_FACTS = {
    "inputs": "int64",
    "labels": "int64",
    "path": "string",
    "seconds": "double",
    "error": "string",
    "traceback": "string",
}
_LISTS = {"sums": "int64", "bins": "int32", "counts": "int64"}
_KINDS = _PLACE | _FACTS | {name: f"list of {kind}" for name, kind in _LISTS.items()}
_HISTOGRAM = ("bins", "counts")


def merge(records: list[Record]) -> list[Record]:
    """Return the records of one cell, neighbouring blocks put together and one error at most."""
    good = disjoint([record for record in records if not record.block.error])
    runs: list[list[Record]] = []
    for record in good:
        if runs and runs[-1][-1].first + runs[-1][-1].repeats == record.first:
            runs[-1].append(record)
        else:
            runs.append([record])
    bad = [record for record in records if record.block.error]
    bad.sort(key=lambda record: (record.first, record.repeats, record.block.error))
    return [*map(_joined, runs), *bad[:1]]


def _joined(run: list[Record]) -> Record:
    if len(run) == 1:
        return run[0]
    blocks = [record.block for record in run]
    sums = np.sum([np.asarray(block.sums, dtype=np.int64) for block in blocks], axis=0)
    bins, counts = [block.bins for block in blocks], [block.counts for block in blocks]
    histogram = merged_histogram(bins, counts)
    shape = blocks[0].inputs, blocks[0].labels, blocks[0].path
    block = Block(*shape, sum(block.seconds for block in blocks), sums, *histogram)
    return Record(run[0].cell, run[0].first, sum(record.repeats for record in run), block)


def write_blocks(file: Path, records: list[Record]) -> None:
    """Write records as Parquet with a checksum on every page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    blocks = [record.block for record in records]
    columns: dict[str, Any] = {}
    for kinds, things in ((_PLACE, records), (_FACTS, blocks)):
        for name, kind in kinds.items():
            columns[name] = column([getattr(thing, name) for thing in things], kind)
    for name, kind in _LISTS.items():
        parts = [np.asarray(getattr(block, name), dtype=np.int64) for block in blocks]
        columns[name] = lists(parts, kind)
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
    whole = all(table.num_rows for table in _tables(file, damage, True))
    return file.exists() and whole and not damage


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
    names = [name for name in _KINDS if histograms or name not in _HISTOGRAM]
    written = {name: _KINDS[name] for name in names}
    for number in range(source.num_row_groups):
        try:
            table = source.read_row_group(number, columns=names)
            # Parquet's own footer has no checksum.
            if {field.name: _kind(field.type) for field in table.schema} != written:
                raise ValueError("its columns are not those that were written")
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
    place = zip(*(table[name].to_pylist() for name in _PLACE), strict=True)
    facts = zip(*(table[name].to_pylist() for name in _FACTS), strict=True)
    lists: dict[str, Any] = dict.fromkeys(_LISTS, [()] * table.num_rows)
    for name in _LISTS if histograms else ["sums"]:
        lists[name] = _slices(table[name])
    for (cell, first, repeats), what, *numbers in zip(place, facts, *lists.values(), strict=True):
        block = dict(zip((*_FACTS, *_LISTS), (*what, *numbers), strict=True))
        yield Record(cell, first, repeats, Block(**block))


def _slices(column: Any) -> list[np.ndarray]:
    array = column.combine_chunks()
    array = array.chunk(0) if hasattr(array, "chunk") else array
    values, offsets = array.values.to_numpy(zero_copy_only=False), array.offsets.to_numpy()
    return [values[a:b] for a, b in pairwise(offsets)]
