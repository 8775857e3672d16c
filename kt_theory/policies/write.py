"""`kt.store`: what a policy keeps of a teacher's rows, as a Parquet file that is read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps import Dump
from kt_theory.dumps.block import CELLS, Listed
from kt_theory.dumps.layouts import stored
from kt_theory.dumps.layouts.codes import KEY, Codes, Notes
from kt_theory.output import refuse_unwritable, replace_file
from kt_theory.policies.kept import AllLabels, Sampled, SampledStated, id_bytes
from kt_theory.policies.names import policy as named
from kt_theory.policies.policy import Policy
from kt_theory.policies.run import storage
from kt_theory.policies.stock import Stock, codes_of, stock_of
from kt_theory.policies.text_rows import TextWriter, lists
from kt_theory.teacher import Teacher
from kt_theory.validation import as_path, shown, unknown_name, whole_number

LAYOUTS = ("kt_theory", "distillkit")


def store(
    source: Dump | Teacher,
    policy: str | Policy,
    path: str | Path,
    *,
    layout: str = "kt_theory",
    seed: int = 0,
) -> Path:
    """Write what a policy keeps of a teacher's rows to a Parquet file.

    `Dump.read` gives it back: the rows that a student comes to who has what is stored, as
    `Policy.copies` writes them, on the labels that are listed. The file's metadata have the
    policy, its bytes, the number of labels and what a student loses, a row of `kt.storage`, as
    JSON under the key "kt_theory".

    Parameters
    ----------
    source : Dump or Teacher
        The teacher. Of a `Teacher` the rows are stored in order, without rho.
    policy : str or Policy
        Such as "renormalised(50) rounded(0.1)"; see `kt_theory.policies.policy`.
    path : path
        Ends in .parquet. It is written whole or not at all.
    layout : {"kt_theory", "distillkit"}
        A row for each position, values as few bytes as the policy needs; or DistillKit's own
        layout of uncompressed rows (`input_ids`, `token_ids`, `top_values`), a row for each text:
        values are float32, all rows list as many labels, and each token has a position.
    seed : int
        Of the draws of policies that draw labels.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ValueError
        If there is no such policy or layout, or the rows do not list what is to be stored.
    """
    chosen = named(policy)
    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    target = as_path(path, "path")
    if target.suffix.lower() != ".parquet":
        raise ValueError(f"path = {shown(str(target))}: must end in .parquet")
    if not isinstance(source, (Dump, Teacher)):
        raise ValueError(f"source = {shown(source)}: must be a Dump or a Teacher")
    random = np.random.default_rng(whole_number(seed, "seed"))
    dump = source
    if isinstance(dump, Teacher):
        dump = Dump.from_arrays(dump.pi, kind="probabilities")
    inputs = [Path(part.name) for part in dump.parts]
    refuse_unwritable([target], [path for path in inputs if path.exists()])
    notes = _notes(source, chosen)
    stocks = _stocks(dump, chosen, random)

    _, kind = codes_of(chosen)

    def write(beside: Path) -> None:
        if layout == "distillkit":
            _write_texts(beside, stocks, notes, kind)
        else:
            _write_positions(beside, stocks, notes, kind)

    replace_file(target, write)
    return target


Stocks = Iterator[tuple[Listed, Stock]]


def _stocks(dump: Dump, policy: Policy, random: np.random.Generator) -> Stocks:
    for listed, block in dump.pairs():
        if len(block):
            yield listed, stock_of(policy, block, random)


def _notes(source: Dump | Teacher, policy: Policy) -> Notes:
    found = storage(source, [policy])
    row = found.frame.iloc[0].drop(["policy", "bytes"])
    loss = {str(name): float(value) for name, value in row.items()}
    values, _ = codes_of(policy)
    whole = isinstance(policy.kept, AllLabels)
    drawn = isinstance(policy.kept, (Sampled, SampledStated))
    size = float(found.frame["bytes"].iloc[0])
    counts = found.labels, found.positions
    return Notes(policy.name, *counts, whole, drawn, values, size, loss)


def _writer(path: Path, schema: Any) -> Any:
    """A writer of Parquet files: a dictionary of whole numbers takes fewer bits than they do, one
    of floats more; bytes of floats that stand together pack better.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    leaves = {}
    for name, kind in zip(schema.names, schema.types, strict=True):
        leaf = name
        while hasattr(kind, "value_type"):
            leaf, kind = f"{leaf}.list.element", kind.value_type
        leaves[leaf] = pa.types.is_floating(kind)
    floats = {leaf: "BYTE_STREAM_SPLIT" for leaf, floating in leaves.items() if floating}
    whole = [leaf for leaf, floating in leaves.items() if not floating]
    return pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=whole, column_encoding=floats
    )


def _write_texts(path: Path, stocks: Stocks, notes: Notes, kind: np.dtype) -> None:
    with _writer(path, TextWriter.schema()) as file:
        file.add_key_value_metadata({KEY: notes.written()})
        writer = TextWriter(file, notes.policy)
        for listed, stock in stocks:
            codes = notes.values.coded(stock.weights, kind)
            counts = stock.counts + notes.values.others
            writer.add(listed, stock.labels, notes.values.logs(codes, counts))
        writer.finish()


def _write_positions(path: Path, stocks: Stocks, notes: Notes, kind: np.dtype) -> None:
    import pyarrow as pa

    before, label_kind = _Before(), np.dtype(f"u{id_bytes(notes.labels)}")
    with ExitStack() as held:
        file, waiting, cells = None, [], 0
        for listed, stock in stocks:
            columns = _columns(stock, notes.values, kind, label_kind)
            waiting.append(pa.table({**columns, **before.columns(listed)}))
            cells += stock.weights.size
            if file is None:
                file = held.enter_context(_writer(path, waiting[0].schema))
                file.add_key_value_metadata({KEY: notes.written()})
            if cells >= CELLS:
                file.write_table(pa.concat_tables(waiting))
                waiting, cells = [], 0
        if file is not None and waiting:
            file.write_table(pa.concat_tables(waiting))


def _columns(stock: Stock, values: Codes, kind: np.dtype, label_kind: np.dtype) -> dict[str, Any]:
    counts = stock.counts + values.others
    there = np.arange(stock.weights.shape[1]) < counts[:, None]
    columns = {stored.VALUES: lists(values.coded(stock.weights[there], kind), counts)}
    if stock.labels is not None:
        there = np.arange(stock.labels.shape[1]) < stock.counts[:, None]
        labels = stock.labels[there].astype(label_kind)
        columns[stored.LABELS] = lists(labels, stock.counts)
    return columns


class _Before:
    """What stands before each position that the position before did not have."""

    def __init__(self) -> None:
        self.text = np.zeros(0, dtype=np.int64)

    def columns(self, listed: Listed) -> dict[str, Any]:
        """Return the columns of texts; of rows without any, none."""
        import pyarrow as pa

        tokens, starts, after, ends = listed.tokens, listed.starts, listed.after, listed.ends
        if tokens is None or starts is None or after is None or ends is None:
            return {}
        first = np.ones(len(starts), dtype=bool)
        first[1:] = (starts[1:] != starts[:-1]) | (after[1:] <= after[:-1])
        begun = np.where(first, starts, np.concatenate([[0], after[:-1]]))
        first[0], begun[0] = self._begins(tokens[starts[0] : after[0]], starts[0])
        self.text = np.array(tokens[starts[-1] : after[-1]])
        counts = after - begun
        places = np.arange(counts.sum()) + np.repeat(begun - (np.cumsum(counts) - counts), counts)
        known = after < ends
        following = tokens[np.where(known, after, 0)].astype(np.int32)
        return {
            stored.TOKENS: lists(tokens[places].astype(np.int32), counts),
            stored.BEGINS: pa.array(first),
            stored.FOLLOWING: pa.array(following, mask=~known),
        }

    def _begins(self, text: np.ndarray, start: int) -> tuple[bool, int]:
        """Whether a text is another one than that of the last row before, and how far that went."""
        held = len(self.text)
        if 0 < held < len(text) and np.array_equal(text[:held], self.text):
            return False, start + held
        return True, start
