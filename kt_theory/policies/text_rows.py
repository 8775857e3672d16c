"""DistillKit's layout of uncompressed rows: a row for each text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kt_theory.dumps.block import CELLS, Listed
from kt_theory.dumps.layouts.columns import edges_of
from kt_theory.sources import refuse_cells


def lists(flat: np.ndarray, counts: np.ndarray) -> Any:
    """Return lists of so many numbers each as a column."""
    import pyarrow as pa

    edges = pa.array(edges_of(counts), pa.int32())
    return pa.ListArray.from_arrays(edges, pa.array(flat))


@dataclass
class TextWriter:
    """Writes a file of `input_ids`, `token_ids` and `top_values`, text by text.

    Attributes
    ----------
    file : pyarrow.parquet.ParquetWriter
    policy : str
        By name, for messages.
    """

    file: Any
    policy: str
    held: list[_Text] = field(default_factory=list)

    @staticmethod
    def schema() -> Any:
        """Return the columns of such a file."""
        import pyarrow as pa

        return pa.schema(
            {
                "input_ids": pa.list_(pa.int32()),
                "token_ids": pa.list_(pa.list_(pa.int32())),
                "top_values": pa.list_(pa.list_(pa.float32())),
            }
        )

    def add(self, listed: Listed, labels: np.ndarray | None, values: np.ndarray) -> None:
        """Write rows, the first of which may go on with a text.

        Raises
        ------
        ValueError
            If rows list all labels, or several numbers of them, or have no texts, or a text has
            tokens without a position before another one.
        """
        if labels is None or np.isnan(values).any():
            raise ValueError(
                f"layout = 'distillkit' has rows of one length: {self.policy!r} has not; "
                "layout='kt_theory' stores it"
            )
        tokens, starts, ends = listed.tokens, listed.starts, listed.ends
        if tokens is None or starts is None or ends is None or listed.after is None:
            raise ValueError(
                "layout = 'distillkit' has a row for each text: the dump has none; "
                "layout='kt_theory' stores rows alone"
            )
        firsts = np.flatnonzero(np.append(True, starts[1:] != starts[:-1]))
        for low, high in zip(firsts, [*firsts[1:], len(values)], strict=True):
            start, after = starts[low], listed.after[low:high]
            text = np.array(tokens[start : ends[low]])
            gone = self._goes_on(text, int(after[0] - start))
            if not gone:
                self._write_full()
                self.held.append(_Text(text))
            self.held[-1].add(after - start, labels[low:high], values[low:high])

    def finish(self) -> None:
        """Write what is held."""
        if self.held:
            self._write()

    def _goes_on(self, text: np.ndarray, after: int) -> bool:
        if not self.held:
            return False
        last = self.held[-1]
        return after == last.rows + 1 and np.array_equal(
            text[: after - 1], last.tokens[: after - 1]
        )

    def _write_full(self) -> None:
        if sum(text.cells for text in self.held) > CELLS:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        rows = np.array([text.rows for text in self.held])
        tokens = [text.tokens[: text.rows + 1].astype(np.int32) for text in self.held]
        columns = [lists(np.concatenate(tokens), np.array([len(one) for one in tokens]))]
        for name in ("labels", "values"):
            table = np.concatenate([piece for text in self.held for piece in getattr(text, name)])
            inner = lists(table.reshape(-1), np.full(len(table), table.shape[1]))
            columns.append(pa.ListArray.from_arrays(pa.array(edges_of(rows), pa.int32()), inner))
        self.file.write_table(pa.table(columns, self.schema()))
        self.held = []


@dataclass
class _Text:
    """The rows of a text so far."""

    tokens: np.ndarray
    labels: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    rows: int = 0
    cells: int = 0

    def add(self, after: np.ndarray, labels: np.ndarray, values: np.ndarray) -> None:
        wanted = np.arange(self.rows + 1, self.rows + 1 + len(after))
        wrong = np.flatnonzero(after != wanted)
        if len(wrong):
            raise ValueError(
                f"layout = 'distillkit' has a position for each token of a text: token "
                f"{wanted[wrong[0]]} of one has none; layout='kt_theory' stores some of them"
            )
        self.labels.append(labels.astype(np.int32))
        self.values.append(values.astype(np.float32))
        self.rows += len(after)
        self.cells += values.size
        refuse_cells((self.rows, values.shape[1]))
