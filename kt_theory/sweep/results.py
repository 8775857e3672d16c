"""The table of a sweep: what was measured, what is exact, and the theory beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kt_theory.intervals import interval, tallied
from kt_theory.kernels.statistics import infinite, quantiles
from kt_theory.losses import LOSSES
from kt_theory.sweep.blocks import UNREADABLE, intact, merge
from kt_theory.sweep.cells import QUANTILES
from kt_theory.sweep.columns import column
from kt_theory.sweep.journal import Record
from kt_theory.sweep.plan import Stored, missing, prefix
from kt_theory.sweep.spec import Cell, Spec
from kt_theory.sweep.store import Store, replace
from kt_theory.validation import as_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_LEVELS = tuple(f"q{100 * share:02.0f}" for share in QUANTILES)
_COLUMNS = {
    **dict.fromkeys(("cell", "teacher", "student", "access", "loss"), "string"),
    **dict.fromkeys(("n", "inputs", "labels"), "int64"),
    **dict.fromkeys(("mean", "std_error", "low", "high"), "double"),
    "interval": "string",
    **dict.fromkeys(_LEVELS, "double"),
    **dict.fromkeys(("repeats", "infinite", "asked"), "int64"),
    **dict.fromkeys(("seed", "path", "status", "error"), "string"),
}


def results_table(spec: Spec, merged: Mapping[str, list[Record]]) -> pa.Table:
    """Return one row per cell of the specification, in its order, from each cell's records."""
    import pyarrow as pa

    rows = [_row(spec, cell, merged.get(cell.id, [])) for cell in spec.cells]
    columns = {name: [row.get(name) for row in rows] for name in _COLUMNS}
    return pa.table({name: column(columns[name], kind) for name, kind in _COLUMNS.items()})


def counted(table: pa.Table) -> dict[str, int]:
    """Return how many cells have each status."""
    return dict(Counter(table["status"].to_pylist()))


def write_results(folder: Path, spec: Spec, table: pa.Table) -> None:
    """Write the table with its specification's mark: a second run sees that nothing is missing."""
    import pyarrow.parquet as pq

    marked = table.replace_schema_metadata({"fingerprint": spec.fingerprint})
    replace(
        folder / "results.parquet",
        lambda file: pq.write_table(marked, file, compression="zstd", write_page_checksum=True),
    )


def left_over(folder: Path) -> str:
    """Return in one line how many cells have more repeats than are asked for; empty if none has."""
    import pyarrow.parquet as pq

    file = folder / "results.parquet"
    names = ["repeats", "asked"]
    if not file.exists() or not set(names) <= set(pq.read_schema(file).names):
        return ""
    columns = _read(file, names).to_pydict().values()
    more = [(done, asked) for done, asked in zip(*columns, strict=True) if done > asked]
    if not more:
        return ""
    most = max(done for done, _ in more)
    return (
        f"{len(more):,} cells keep up to {most:,} repeats of an earlier run where {more[0][1]:,} "
        "are asked for; a new folder has no more than these"
    )


def finished_counts(folder: Path, spec: Spec) -> dict[str, int] | None:
    """Return the counts of a finished sweep, None if there is anything left to run."""
    file = folder / "results.parquet"
    if not file.exists() or any((folder / "journal").glob("*.log")):
        return None
    try:
        if _fingerprint(folder) != spec.fingerprint or not intact(folder / "blocks.parquet"):
            return None
        counts = counted(_read(file))
    except UNREADABLE:
        return None
    return (
        counts
        if set(counts) <= {"done", "not defined"} and Store(folder).spec.name == spec.name
        else None
    )


def load(folder: str | Path, *, exact: bool | None = None, minimax: bool = False) -> pd.DataFrame:
    """Return the tidy table of a sweep, finished or not, one row per cell.

    What is computed is kept in the folder, after an interrupt as far as it came, and shown from
    then on.

    Parameters
    ----------
    folder : Path
    exact : bool, optional
        Compute the exact risks that are not there yet. If omitted: unless they are more than 5,000.
    minimax : bool
        Search for the minimax risks that have no closed form, once for each size and n: hard labels
        take 1.6 seconds on average and 6 at most, top-k 0.25, partial labels 0.1.

    Returns
    -------
    DataFrame with cell, teacher, student, access, loss, n, inputs, labels, mean, std_error, low,
    high (they hold the risk with 95 % probability), interval (of which kind they are, as in
    `RiskEstimate`), q05, q25, q50, q75, q95, repeats, infinite (how
    many losses were, which make the mean infinite), asked (what the specification asks for at most;
    a run that asked for more has left more, which are kept), seed, path, status ("done",
    "unfinished", "failed", "not defined" or "missing"), error, seconds; lower_bound and upper_bound
    (the paper's, in mean, of total variation; NaN where no theorem applies), exact (the exact risk,
    NaN where there is none), minimax_lower and minimax_upper (between them lies the least
    worst-case risk at this access level).
    """
    from kt_theory.study import bound_columns
    from kt_theory.sweep.theory import exact_column, minimax_columns

    path = as_path(folder, "folder")
    frame = measured(path)
    frame["seconds"] = frame["cell"].map(_seconds(path)).astype(float)
    bound_columns(frame)
    exact_column(frame, path, compute=exact)
    frame = minimax_columns(frame, path, search=minimax)
    whole = (
        frame[["inputs", "labels"]].notna().all().all()
    )  # the size of a file's teacher is known once it has run
    return frame.astype({"inputs": "int64", "labels": "int64"}) if whole else frame


def measured(path: Path) -> pd.DataFrame:
    """Return the tidy table as far as `error`: what was measured, without the theory beside it."""
    store = Store(path)
    if not any((path / "journal").glob("*.log")):
        try:
            if _fingerprint(path) == store.about["fingerprint"]:
                table = _read(path / "results.parquet")
                if table.column_names == list(_COLUMNS):  # an earlier release wrote fewer
                    return _pandas(table)
        except UNREADABLE:
            pass  # missing or damaged: it follows from the blocks
    merged: dict[str, list[Record]] = {}
    for record in store.records():
        merged.setdefault(record.cell, []).append(record)
    table = results_table(store.spec, {cell: merge(records) for cell, records in merged.items()})
    return _pandas(table)


def _read(file: Path, columns: list[str] | None = None) -> pa.Table:
    """Return a table, its checksums held; `pyarrow.parquet.read_table` would load pandas."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, page_checksum_verification=True) as source:
        return source.read(columns)


def _pandas(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(ignore_metadata=True)


def _seconds(path: Path) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for record in Store(path).records(histograms=False):
        total[record.cell] += record.block.seconds
    return total


def _fingerprint(folder: Path) -> str:
    import pyarrow.parquet as pq

    metadata = pq.read_schema(folder / "results.parquet").metadata or {}
    return metadata.get(b"fingerprint", b"").decode()


def _row(spec: Spec, cell: Cell, records: list[Record]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cell": cell.id,
        "teacher": cell.teacher_name,
        "student": cell.student_name,
        "access": cell.access,
        "loss": cell.loss,
        "n": cell.n,
        "inputs": cell.teacher.get("inputs"),
        "labels": cell.teacher.get("labels"),
        "repeats": 0,
        "infinite": 0,
        "asked": spec.repeats or spec.max_repeats,
        "seed": str(cell.seed),
        "path": "",
        "error": cell.undefined,
    }
    if cell.undefined:
        return row | {"status": "not defined"}
    good = [record for record in records if not record.block.error]
    wrong = [record.block.error for record in records if record.block.error]
    for whole in merge(prefix(good)):
        row |= _statistics(whole, LOSSES[cell.loss].largest)
    blocks = [Stored(r.first, r.repeats, r.block.sums) for r in good]
    status = status_of(spec, cell, blocks, failed=bool(wrong))
    return row | {"status": status, "error": wrong[0] if status == "failed" else ""}


def status_of(spec: Spec, cell: Cell, blocks: Sequence[Stored], *, failed: bool) -> str:
    """Return how a cell stands, given its disjoint blocks, as `load` words it."""
    if cell.undefined:
        return "not defined"
    if blocks and not missing(spec, blocks):
        return "done"
    if failed:
        return "failed"
    return "unfinished" if blocks else "missing"


def _statistics(record: Record, largest: float) -> dict[str, Any]:
    block = record.block
    known = tallied(block.sums, record.repeats, block.bins, block.counts)
    low, high, kind = interval(known, largest=largest)
    levels = quantiles(block.counts, QUANTILES, block.bins, largest=largest)
    facts = {name: getattr(block, name) for name in ("inputs", "labels", "path")}
    facts |= {"repeats": record.repeats, "mean": known.mean, "std_error": known.std_error}
    facts |= {"low": low, "high": high, "interval": kind}
    facts["infinite"] = infinite(block.sums)
    return facts | dict(zip(_LEVELS, levels, strict=True))
