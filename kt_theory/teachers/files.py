"""Teachers of one's own: tables in files, and fitted classifiers."""

from __future__ import annotations

import csv
import io
import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.delimited import (
    INDEX_NAMES,
    SAMPLE,
    counts_rows,
    delimiter_of,
    first_rows,
    lines_of,
    long_cells,
    named_delimiter,
    other_encoding,
    with_point,
)
from kt_theory.sources import TooLarge, read_npy, read_npz, refuse_cells, refuse_parquet
from kt_theory.teacher import Teacher
from kt_theory.validation import as_path, refuse_no_text, shown, true_or_false, unknown_name

KINDS = ("probabilities", "logits")
"""What the entries of a table may be."""

_ABOVE_ONE = 1e-6
"""Excess over 1 that float32 rounding explains; a larger entry is no probability."""


class _Table(NamedTuple):
    """What a file holds, before it is validated: the cells, and what is known beside them."""

    cells: Any
    rho: Any = None
    inputs: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    kind: str | None = None


def from_table(path: str | Path, *, kind: str | None = None, normalise: bool = False) -> Teacher:
    """Return the teacher that a file holds. The suffix says the format; the file is only read.

    ============  =================================================================================
    ``.csv``      UTF-8; commas, semicolons, tabs or bars part the cells. The first line names the
    ``.tsv``      columns, each further line is one input. Column ``rho``: the input law. Column
                  ``input``, or a first column without a name (a pandas index): names of the inputs.
                  All others: labels, one column each.
    ``.parquet``  The same columns; an index that pandas has stored names the inputs.
    ``.npz``      Array ``pi`` or ``logits``, (S, A), and optionally ``rho``, (S,).
    ``.npy``      One (S, A) array.
    ============  =================================================================================

    A column called id or index, say, that holds 0, 1, 2, ... or 1, 2, 3, ... names the inputs too,
    and so does one of texts that is called prompt, question, text or the like: a warning says so.

    Parameters
    ----------
    path : str or Path
    kind : {"probabilities", "logits"}, optional
        What the entries are. If omitted, NPZ goes by the name of the array and the other formats
        hold probabilities: an entry outside [0, 1] is refused, never taken for a logit. Logits are
        natural, up to a constant per row.
    normalise : bool
        Divide rows of probabilities (or of counts, which may exceed 1), and rho, by their sums.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        In one line that begins with the path: unknown suffix, unreadable or truncated file, empty
        table, text cell, duplicate column, or what `Teacher` refuses.
    """
    refuse_no_text(kind=kind)
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    true_or_false(normalise, "normalise")
    file = as_path(path, "path")
    try:
        reader = _READERS.get(file.suffix.lower())
        if reader is None:
            raise ValueError(
                f"unknown suffix {file.suffix!r}: must be one of {', '.join(_READERS)}"
            )
        if not file.exists():
            raise FileNotFoundError(f"{file}: no such file")
        if not file.is_file():
            raise ValueError("is not a regular file")
        return _teacher(reader(file), kind, normalise).named(file.name)
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        raise ValueError(f"{file}: {error}") from None


def from_classifier(
    clf: Any, X: Any, rho: ArrayLike | None = None, *, normalise: bool = False
) -> Teacher:
    """Return the teacher pi(.|s) = clf.predict_proba(X)[s]: one input per row of X.

    Parameters
    ----------
    clf : object
        Fitted, with scikit-learn's `predict_proba`; `classes_`, if it is there, names the labels.
    X : array_like, (S, features)
        Whatever `predict_proba` takes; repeated rows stay separate inputs.
    rho : array_like, (S,), optional
        Input law. Uniform over the rows of X if omitted.
    normalise : bool
        Divide the rows of probabilities, and rho, by their sums instead of refusing them.

    Raises
    ------
    ValueError
        If there is no `predict_proba`, X is empty, or the output is not one distribution per row of
        X.
    """
    name = type(clf).__name__
    if not callable(getattr(clf, "predict_proba", None)):
        raise ValueError(
            f"clf = {name}: has no predict_proba; give a fitted classifier that has one"
        )
    try:
        # A sparse X has a shape and no len().
        rows = X.shape[0] if getattr(X, "shape", None) else len(X)
    except TypeError:
        raise ValueError(
            f"X = {type(X).__name__}: must be a table with one row per input"
        ) from None
    if rows == 0:
        raise ValueError("X has no rows: give at least one input")
    output = clf.predict_proba(X)
    if isinstance(output, list):
        raise ValueError(
            f"{name}.predict_proba returns {len(output)} tables: a classifier with one output is "
            "needed"
        )
    pi = np.asarray(output)
    if pi.ndim != 2 or len(pi) != rows:
        raise ValueError(
            f"{name}.predict_proba returns shape {pi.shape}: must be ({rows}, labels), one row per "
            "row of X"
        )
    classes = getattr(clf, "classes_", None)
    names = None if classes is None else [str(label) for label in classes]
    return Teacher(pi, rho, normalise=normalise, label_names=names)


def _teacher(table: _Table, kind: str | None, normalise: bool) -> Teacher:
    if kind is not None and table.kind not in (None, kind):
        raise ValueError(
            f"holds {table.kind} by the name of its array: kind={kind!r} contradicts it"
        )
    pi = table.cells
    if (kind or table.kind) == "logits":
        pi = Teacher.from_logits(pi).pi
    elif kind is None and table.kind is None and not normalise:
        _refuse_logits(pi, table.labels or ())
    return Teacher(
        pi, table.rho, normalise=normalise, input_names=table.inputs, label_names=table.labels
    )


def _refuse_logits(cells: Any, labels: Sequence[str]) -> None:
    entries = np.asarray(cells)
    if entries.dtype.kind not in "fiu":
        return
    outside = np.argwhere((entries < 0) | (entries > 1 + _ABOVE_ONE))
    if not len(outside):
        return
    where = ", ".join(map(str, outside[0]))
    found = f"entry [{where}] = {entries[tuple(outside[0])]} lies outside [0, 1]"
    way_out = "looks like logits, pass kind='logits'; for counts pass normalise=True"
    if labels and labels[outside[0][1]].lower() in INDEX_NAMES:
        name = labels[outside[0][1]]
        way_out = f"column {name!r} looks like an index; call it 'input' if it names the inputs"
    raise ValueError(f"{found}: {way_out}")


def _read_csv(file: Path) -> _Table:
    with file.open("rb") as stream:
        sample = stream.read(SAMPLE)
        encoding = other_encoding(sample)
        if encoding:
            raise ValueError(f"is not UTF-8 text: it seems to be {encoding}; save it as UTF-8")
        stream.seek(0)
        named, head = named_delimiter(sample.decode("utf-8-sig", "replace"))
        delimiter = named or delimiter_of(head, _numeric_share)
        texts = _of_texts(first_rows(head, delimiter))
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            lines = csv.reader(lines_of(text, delimiter), strict=True, delimiter=delimiter)
            if named:
                next(lines)
            try:
                with long_cells():
                    return _table_of(lines, texts)
            except UnicodeDecodeError as error:
                raise ValueError(f"is not UTF-8 text ({error.reason})") from None
            except csv.Error as error:
                raise ValueError(
                    f"line {lines.line_num} is not CSV ({error}); is the file truncated?"
                ) from None


def _numeric_share(rows: list[list[str]]) -> float:
    """Which part of the cells below the header are numbers."""
    cells = [cell for row in rows[1:] for cell in row]
    return sum(map(_is_number, cells)) / len(cells) if cells else 0.0


def _of_texts(rows: list[list[str]]) -> list[bool]:
    """Which columns hold no number in the first rows."""
    below = [row for row in rows[1:] if len(row) == len(rows[0])]
    if not below:
        return []
    return [not any(_is_number(row[i]) for row in below) for i in range(len(rows[0]))]


def _table_of(lines: Any, texts: Sequence[bool]) -> _Table:
    """The table of CSV lines; blank ones are left out."""
    header = [cell.strip() for cell in next(dropwhile(_is_blank, lines), [])]
    columns = _Columns(header, texts)
    columns.refuse_numbers()
    values = array("d")
    names: list[str] = []
    for cells in lines:
        if _is_blank(cells):
            continue
        if len(cells) != len(header):
            raise ValueError(
                f"line {lines.line_num} has {len(cells)} cells, the first line {len(header)}"
            )
        if columns.input is not None:
            names.append(cells.pop(columns.input))
        try:
            values.extend(map(_number, cells))
        except ValueError:
            raise _text_cell(f"line {lines.line_num}", cells, columns.numeric) from None
    width = len(columns.numeric)
    numbers = np.frombuffer(values, dtype=np.float64) if values else np.empty(0)
    return columns.table(list(numbers.reshape(-1, width).T), names)


def _is_blank(cells: Sequence[str]) -> bool:
    return not cells


def _number(cell: str) -> float:
    """A number, also with a decimal comma: in quotes, or where semicolons part the cells."""
    try:
        return float(cell)
    except ValueError:
        return float(with_point(cell))


class _Columns:
    """The columns of a CSV or Parquet table, told apart by name: input names, rho, labels."""

    def __init__(self, header: Sequence[str], texts: Sequence[bool] = ()) -> None:
        twice = sorted(name for name, times in Counter(header).items() if times > 1)
        if twice:
            first = header.index(twice[0])
            again = header.index(twice[0], first + 1)
            raise ValueError(
                f"column {shown(twice[0])} occurs twice, as columns {first + 1} and {again + 1}: "
                "each label needs a name of its own"
            )
        nameless = 0 if header and header[0] == "" else None
        self.input = header.index("input") if "input" in header else nameless
        if self.input is None:
            self.input = _texts_of_inputs(header, texts)
        self.numeric = [name for i, name in enumerate(header) if i != self.input]
        self.labels = [name for name in self.numeric if name != "rho"]
        for name in self.labels:
            meant = name.strip().lower()
            if meant in {"rho", "input"}:
                raise ValueError(
                    f"column {name!r}: names are exact; call it {meant!r} if that is what it holds"
                )
        if not self.labels:
            raise ValueError(
                "is empty: needs a first line with the names of the columns, one per label"
            )
        if "" in self.labels:
            raise ValueError("a column has no name: each label needs a name of its own")

    def refuse_numbers(self) -> None:
        """Raise if the first line holds numbers: a file without names would lose an input."""
        if all(map(_is_number, self.labels)) and not all(_is_number(x, int) for x in self.labels):
            raise ValueError(
                f"the first line holds numbers ({self.labels[0]}, ...): it must name the columns, "
                "in words"
            )

    def table(self, numbers: Sequence[np.ndarray], names: Sequence[str] | None) -> _Table:
        """Return the table whose numeric columns, in the order of the header, are `numbers`."""
        if len(numbers[0]) == 0:
            raise ValueError("is empty: has column names but no rows")
        by_name = dict(zip(self.numeric, numbers, strict=True))
        # rho stays apart, so that a float64 law does not hide that the labels are float32.
        rho = by_name.pop("rho", None)
        index = self._index(numbers) if self.input is None else None
        if index is not None:
            _warn(
                f"column {index!r} looks like an index: it is taken for the names of the inputs, "
                "not for a label"
            )
            names = [str(int(number)) for number in by_name.pop(index)]
        return _Table(np.column_stack(list(by_name.values())), rho, names or None, list(by_name))

    def _index(self, numbers: Sequence[np.ndarray]) -> str | None:
        """The column that only numbers the rows, by its name and numbers, or as rows sum to 1."""
        found = [name for name in self.labels if name.lower() in INDEX_NAMES]
        if len(found) != 1 or len(self.labels) < 2:
            return None
        by_name = dict(zip(self.numeric, numbers, strict=True))
        column = by_name[found[0]]
        others = sum(by_name[name] for name in self.labels if name != found[0])
        with np.errstate(invalid="ignore"):
            alone = np.abs(others - 1.0).max() < _ABOVE_ONE
            together = np.abs(others + column - 1.0).max() < _ABOVE_ONE
        whole = np.isfinite(column).all() and (column == np.round(column)).all()
        if not whole or (together and not alone):
            return None
        counts = counts_rows(found[0], [str(int(number)) for number in column])
        return found[0] if counts or (alone and not together) else None


def _texts_of_inputs(header: Sequence[str], texts: Sequence[bool]) -> int | None:
    """The only column of texts, if it is called as inputs are."""
    found = [i for i, text in enumerate(texts) if text]
    if len(found) != 1 or len(texts) != len(header) or len(header) < 2:
        return None
    name = header[found[0]]
    if name.lower() not in _INPUTS:
        return None
    _warn(f"column {name!r} holds texts: it is taken for the names of the inputs")
    return found[0]


_INPUTS = INDEX_NAMES.union(
    ["prompt", "question", "text", "x", "query", "instruction", "sentence", "name"]
)


def _warn(message: str) -> None:
    warnings.warn(message, TableWarning, stacklevel=2)


class TableWarning(UserWarning):
    """What was guessed of a table."""


def _is_number(text: str, kind: Callable[[str], float] = _number) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _text_cell(where: str, cells: Sequence[str], columns: Sequence[str]) -> ValueError:
    pairs = zip(columns, cells, strict=True)
    name, cell = next((name, cell) for name, cell in pairs if not _is_number(cell))
    if not cell.strip():
        return ValueError(f"{where}, column {name!r} is empty")
    return ValueError(f"{where}, column {name!r} = {cell[:40]!r} is not a number; {_CALL_IT_INPUT}")


_CALL_IT_INPUT = "call the column 'input' if it names the inputs"


def _read_parquet(file: Path) -> _Table:
    import pandas as pd
    import pyarrow.parquet as pq

    metadata = _decode(lambda: pq.read_metadata(file))
    refuse_cells((metadata.num_rows, metadata.num_columns))
    refuse_parquet(file, metadata)
    schema = _decode(metadata.schema.to_arrow_schema)
    _Columns([name for name in schema.names if not name.startswith("__index_level_")])
    frame = _decode(lambda: pd.read_parquet(file))
    texts = [not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    columns = _Columns([str(name) for name in frame.columns], texts)
    names = None if isinstance(frame.index, pd.RangeIndex) else _names(frame.index, "index")
    if columns.input is not None:
        names = _names(frame.iloc[:, columns.input], str(frame.columns[columns.input]))
    numbers = []
    for i, name in enumerate(frame.columns):
        column = frame.iloc[:, i]
        if i == columns.input:
            continue
        if not pd.api.types.is_numeric_dtype(column.dtype):
            wrong = (r for r, cell in enumerate(column) if not isinstance(cell, (int, float)))
            row = next(wrong, 0)
            cell = str(column.iloc[row] if len(column) else column.dtype)
            what = f"row {row}, column {name!r} = {cell[:40]!r} is not a number"
            raise ValueError(f"{what}; store numbers as float64, and {_CALL_IT_INPUT}")
        numbers.append(column.to_numpy(na_value=np.nan))
    return columns.table(numbers, names)


def _names(cells: Any, column: str) -> list[str]:
    """The names of inputs: dates and times by their ISO form, truth values as true and false."""
    found = []
    for row, cell in enumerate(cells):
        if isinstance(cell, (bool, np.bool_)):
            found.append(str(cell).lower())
        elif hasattr(cell, "isoformat"):
            found.append(cell.isoformat().removesuffix("T00:00:00"))
        elif isinstance(cell, (bytes, list, dict, np.ndarray)):
            kind = "binary" if isinstance(cell, bytes) else "nested"
            raise ValueError(
                f"row {row}, column {column!r} is {kind}: names of inputs must be texts, numbers "
                "or dates"
            )
        else:
            found.append(str(cell))
    return found


def _read_npz(file: Path) -> _Table:
    arrays = _decode(lambda: read_npz(file))
    tables = [name for name in ("pi", "logits") if name in arrays]
    if len(tables) != 1 or set(arrays) - {*tables, "rho"}:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise ValueError(
            f"holds {held}: must hold one of the arrays pi and logits, optionally rho, and no other"
        )
    kind = "logits" if tables == ["logits"] else "probabilities"
    return _Table(arrays[tables[0]], arrays.get("rho"), kind=kind)


def _read_npy(file: Path) -> _Table:
    return _Table(_decode(lambda: read_npy(file)))


def _decode(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except TooLarge:
        raise
    except Exception as error:
        # Decoders of damaged bytes raise whatever they stumble on: zlib, struct, tokenizer, Arrow
        # and memory errors.
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ValueError(f"cannot be read, is it damaged or truncated? ({reason})") from None


_READERS: dict[str, Callable[[Path], _Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}
