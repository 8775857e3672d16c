"""Shards: the parts of a sweep that ran apart, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kt_theory.content import ByContent
from kt_theory.sweep.results import counted, results_table, write_results
from kt_theory.sweep.run import shard_of
from kt_theory.sweep.store import Store
from kt_theory.validation import as_path, entries_of


@dataclass(frozen=True, eq=False)
class Merged(ByContent):
    """What a merge found.

    Attributes
    ----------
    cells : dict
        How many cells have each status.
    missing : dict
        Shard number to how many of its cells are not done.
    shards : int
        How many there are in all.
    """

    cells: dict[str, int]
    missing: dict[int, int]
    shards: int


def merge_shards(folders: Sequence[str | Path], out: str | Path) -> Merged:
    """Put the folders of shards together into one, which is then as if one run had made it.

    Parameters
    ----------
    folders : sequence of Path
        They stay as they are.
    out : Path
        A new folder, or one of the same sweep.

    Raises
    ------
    ValueError
        If the folders are of different sweeps, or were cut into different numbers of shards.
    """
    stores = [Store(as_path(folder, "folder")) for folder in entries_of(folders, "folders")]
    if not stores:
        raise ValueError("no folder given: name the folders of the shards")
    spec = stores[0].spec
    for store in stores:
        if store.about["fingerprint"] != stores[0].about["fingerprint"]:
            raise ValueError(
                f"{store.path} holds another sweep than {stores[0].path}: their specifications "
                "differ"
            )
    numbers = {
        run["shard"][1] for store in stores for run in store.about["runs"] if run.get("shard")
    }
    if len(numbers) > 1:
        raise ValueError(
            f"the folders were cut into {' and '.join(map(str, sorted(numbers)))} shards: must be "
            "one number"
        )
    count = numbers.pop() if numbers else 1
    target = Store.prepare(as_path(out, "out"), spec, merged=[str(store.path) for store in stores])
    with target.put_together([record for store in stores for record in store.records()]) as merged:
        table = results_table(spec, merged)
        write_results(Path(out), spec, table)
    owner = shard_of(spec, count)
    missing: dict[int, int] = {}
    for cell, status in zip(table["cell"].to_pylist(), table["status"].to_pylist(), strict=True):
        if status not in ("done", "not defined"):
            missing[owner[cell]] = missing.get(owner[cell], 0) + 1
    return Merged(counted(table), missing, count)
