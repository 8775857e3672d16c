"""Arrays and graphs that names take from files; a file counts by its content."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory import graphs
from kt_theory.sources import (
    MOST_CELLS,
    read_npy,
    read_npz,
    refuse_cells,
    refuse_parquet,
    require_file,
)
from kt_theory.validation import shown

SUFFIXES = (".csv", ".parquet", ".npy", ".npz")
"""What files of arrays, tables and graphs end in."""


def names_file(value: Any) -> bool:
    """Return whether a text is the name of a file that holds an array, a table or a graph."""
    return isinstance(value, str) and value.lower().endswith(SUFFIXES)


def digest(file: str) -> str:
    """Return the SHA-256 of a file's content."""
    require_file(file)
    facts = os.stat(file)
    return _known_digest(file, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@lru_cache(maxsize=256)
def _known_digest(file: str, *version: int) -> str:
    return _fresh_digest(file)


def _fresh_digest(file: str) -> str:
    """Return the SHA-256 of a file's content, read anew."""
    require_file(file)
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_changed(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if a file of a recipe no longer has the content that the recipe says."""
    if _fresh_digest(recipe["file"]) != recipe["content"]:
        raise ValueError(f"{recipe['file']} has changed since the sweep was planned: run it again")


def read_array(file: str) -> np.ndarray:
    """Return the array in a file: .npy, .npz with one array, .csv of numbers without a header,
    .parquet."""
    require_file(file)
    suffix = Path(file).suffix.lower()
    try:
        if suffix == ".csv":
            return np.loadtxt(file, delimiter=",", ndmin=2)
        if suffix == ".parquet":
            return _of_parquet(file)
        if suffix == ".npy":
            return read_npy(file)
        arrays = list(read_npz(file).values())
    except Exception as error:
        # Decoders of damaged bytes raise whatever they stumble on.
        reason = " ".join(str(error).split())
        raise ValueError(f"{file} cannot be read as an array of numbers: {reason}") from None
    if len(arrays) != 1:
        raise ValueError(f"{file} holds {len(arrays)} arrays: must hold one")
    return arrays[0]


def _of_parquet(file: str) -> np.ndarray:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(file)
        refuse_cells((metadata.num_rows, metadata.num_columns))
        refuse_parquet(file, metadata)
        return pd.read_parquet(file).to_numpy()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"is it damaged? {error}") from None


def read_graph(file: str, inputs: int | None) -> graphs.Graph:
    """Return the graph in a file: .csv with a line for each edge, or an adjacency matrix as .npy or
    .npz.

    Parameters
    ----------
    file : str
    inputs : int or None
        The vertices of a list of edges; None: up to the largest in the list.
    """
    require_file(file)
    suffix = Path(file).suffix.lower()
    if suffix == ".csv":
        return graphs.as_graph(_edges(file, inputs))
    if suffix == ".npz" and _is_sparse(file):
        return graphs.as_graph(_sparse(file))
    return graphs.as_graph(read_array(file))


def _is_sparse(file: str) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    try:
        with zipfile.ZipFile(file) as members:
            return "format.npy" in members.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _sparse(file: str) -> Any:
    """Return the sparse matrix that SciPy stored in a file."""
    import scipy.sparse as sp

    try:
        read_npz(file)
        return sp.load_npz(file)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{file} cannot be read as a sparse matrix: {reason}") from None


def _edges(file: str, inputs: int | None) -> Any:
    """Return the adjacency matrix of a list of edges: two columns of input numbers from 0, perhaps
    with a header."""
    import scipy.sparse as sp

    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a UTF-8 text: byte {error.start}") from None
    header = bool(lines) and _is_header(lines[0])
    ends = []
    for number, line in enumerate(lines[header:], 1 + header):
        parts = line.split(",")
        if not line.strip():
            continue
        if len(parts) != 2 or not all(map(_is_vertex, parts)):
            what = f"{file}, line {number}: {shown(line)}"
            raise ValueError(f"{what}: must be two inputs, such as 0,1")
        pair = [int(part) for part in parts]
        if inputs is not None and max(pair) >= inputs:
            what = f"{file}, line {number}: {shown(line)}"
            raise ValueError(f"{what}: there are {inputs} inputs, from 0")
        ends.append(pair)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    size = int(pairs.max(initial=0)) + 1 if inputs is None else inputs
    matrix = sp.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    return matrix + matrix.T


def _is_header(line: str) -> bool:
    """Names of two columns, neither of which is a number."""
    cells = line.split(",")
    return len(cells) == 2 and not any(map(_is_number, cells))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_vertex(text: str) -> bool:
    """The number of an input, below what a list of edges may name."""
    number = text.strip()
    return number.isascii() and number.isdigit() and len(number) < 19 and int(number) < MOST_CELLS
