"""HDF5 files of whole rows, read through h5py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps.layouts.arrays import LOOKS, Array, Rows, WholeRows, array_part, has_rows
from kt_theory.dumps.layouts.layout import Asked, Layout
from kt_theory.sources import require_file

SUFFIXES = (".h5", ".hdf5")
_FEW = 128


@dataclass(frozen=True)
class InHdf5(Array):
    """A data set of an HDF5 file.

    Attributes
    ----------
    path : Path
        The file.
    member : str
        Its name there.
    """

    path: Path
    member: str
    shape: tuple[int, ...]

    @contextmanager
    def opened(self) -> Iterator[Rows]:
        """Read rows of the data set, through a file that stays open."""
        with _opened(self.path) as file:
            found = file[self.member]

            def read(start: int, stop: int) -> np.ndarray:
                if len(self.shape) < 3:
                    return np.asarray(found[start:stop])
                pieces = [np.empty((0, self.shape[-1]), dtype=found.dtype)]
                while start < stop:
                    text, row = divmod(start, self.shape[1])
                    count = min(stop - start, self.shape[1] - row)
                    pieces.append(found[text, row : row + count])
                    start += count
                return np.concatenate(pieces)

            yield read

    def picked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return single entries: of the first rows, as chunks are read whole, NaN of the others."""
        found = np.full(len(rows), np.nan)
        with self.opened() as read:
            for j in range(min(_FEW, len(rows))):
                found[j] = read(int(rows[j]), int(rows[j]) + 1)[0, columns[j]]
        return found

    def whole(self) -> np.ndarray:
        """Return all of it."""
        with _opened(self.path) as file:
            return np.asarray(file[self.member][()])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"{path}: HDF5 files are read through h5py, which is not here: pip install "
            "'kt_theory[hdf5]'"
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is no HDF5 file, or is cut off: {why}") from None
    with file:
        yield file


def _part(path: Path, asked: Asked) -> WholeRows:
    return array_part(path, data_sets(path), asked)


def data_sets(path: Path) -> dict[str, Array]:
    """Return the data sets of a file by name; those in groups are left out.

    Raises
    ------
    ValueError
        If it is damaged or cut off.
    """
    require_file(path)
    with _opened(path) as file:
        return {
            name: InHdf5(path, name, found.shape)
            for name, found in file.items()
            if hasattr(found, "shape")
        }


HDF5 = Layout(
    "hdf5",
    LOOKS,
    SUFFIXES,
    has_rows,
    _part,
)
