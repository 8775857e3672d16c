"""What theory says of the cells of a sweep: the paper's bounds, exact risks, minimax risks."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import catalogue
from kt_theory.minimax import minimax_risk
from kt_theory.sweep import recipes
from kt_theory.sweep.blocks import UNREADABLE
from kt_theory.sweep.spec import Cell
from kt_theory.sweep.store import Store, replace

if TYPE_CHECKING:
    import pandas as pd

_CLOSED = ("soft", "gradient")
"""Levels whose minimax risk takes microseconds; the others are searched for, 0.1 to 6 seconds
each."""
UNASKED = 5_000
"""Most exact risks that are computed without being asked for: about 1 to 20 milliseconds each."""

_PLACE = ["access", "loss", "inputs", "labels", "n"]


def exact_column(frame: pd.DataFrame, folder: Path, *, compute: bool | None) -> None:
    """Add exact, the exact risk: NaN where there is none, or not yet computed. Kept in
    `exact.parquet`."""
    known = _kept(folder / "exact.parquet", names := ["cell", "exact"])
    lacking = set(frame.loc[frame["status"].isin(["done", "unfinished"]), "cell"]) - set(
        known["cell"]
    )
    if compute is None and len(lacking) > UNASKED:
        warnings.warn(
            f"{len(lacking):,} exact risks are not computed yet: load(..., exact=True)",
            stacklevel=3,
        )
    elif lacking and compute is not False:
        cells = sorted(
            (cell for cell in Store(folder).spec.cells if cell.id in lacking), key=_curve
        )
        known = _keep(folder / "exact.parquet", known, _exact_risks(cells), names)
    frame["exact"] = frame["cell"].map(known.set_index("cell")["exact"]).astype(float)


def minimax_columns(frame: pd.DataFrame, folder: Path, *, search: bool) -> pd.DataFrame:
    """Return the frame with minimax_lower and minimax_upper; NaN where they are not known, or not
    yet searched for."""
    names = [*_PLACE, "minimax_lower", "minimax_upper"]
    known = _kept(folder / "minimax.parquet", names)
    places = frame.loc[frame["status"].isin(["done", "unfinished"]), _PLACE].drop_duplicates()
    lacking = set(places.itertuples(index=False, name=None)) - set(
        known[_PLACE].itertuples(index=False, name=None)
    )
    cheap = [place for place in sorted(lacking) if search or place[0].split("(")[0] in _CLOSED]
    if cheap:
        found = ((*place, *_minimax(*place)) for place in _counted(cheap, "minimax risks"))
        known = _keep(folder / "minimax.parquet", known, found, names)
    known = known.astype(
        {"inputs": float, "labels": float}
        | {name: frame[name].dtype for name in ("access", "loss", "n")}
    )
    return frame.astype({"inputs": float, "labels": float}).merge(
        known, on=_PLACE, how="left", validate="many_to_one"
    )


def _kept(file: Path, names: list[str]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        known = pq.read_table(file, columns=names, page_checksum_verification=True).to_pandas()
    except UNREADABLE:
        return pd.DataFrame(columns=names)
    return known if list(known) == names else pd.DataFrame(columns=names)


def _keep(file: Path, known: pd.DataFrame, found: Iterable[Any], names: list[str]) -> pd.DataFrame:
    """Return what is known with the rows of `found` added, and keep it; after an interrupt too, as
    far as it came."""
    import pandas as pd

    rows: list[Any] = []
    try:
        rows.extend(found)
    finally:
        new = pd.DataFrame(rows, columns=names)
        whole = new if known.empty else pd.concat([known, new], ignore_index=True)
        with suppress(PermissionError):  # a folder that may only be read: computed again next time
            if rows:
                replace(
                    file, lambda path: whole.to_parquet(path, index=False, write_page_checksum=True)
                )
    return whole


def _counted(values: list[Any], what: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(values, desc=what, delay=2, disable=None, leave=False)


def _exact_risks(cells: list[Cell]) -> Iterator[tuple[str, float]]:
    for curve in _counted([list(same) for _, same in groupby(cells, key=_curve)], "exact risks"):
        yield from zip([cell.id for cell in curve], _exact(curve), strict=True)


def _curve(cell: Cell) -> str:
    return json.dumps([cell.teacher, cell.student, cell.loss], sort_keys=True)


def _exact(cells: list[Cell]) -> Iterable[float]:
    """Return the exact risks of one student of one teacher over n, NaN where there is none, or
    where the student would have to be imported for it.
    """
    if catalogue.is_imported(cells[0].student):
        return [np.nan] * len(cells)
    from kt_theory.students.risk import exact_risk

    try:
        teacher = recipes.build_teacher(cells[0].teacher)
        student = catalogue.build_student(cells[0].student, teacher.inputs)
        sizes, loss = [cell.n for cell in cells], cells[0].loss
        return np.asarray(exact_risk(teacher, student, sizes, loss=loss))
    except (ValueError, OSError):  # NoExactRisk, or a file that has changed since
        return [np.nan] * len(cells)


def _minimax(access: str, loss: str, inputs: float, labels: float, n: int) -> tuple[float, float]:
    size = int(inputs)
    try:
        limit = minimax_risk(catalogue.level(access, size), size, int(labels), int(n), loss=loss)
    except (ValueError, OSError):
        return np.nan, np.nan
    return limit.lower, limit.upper
