"""The run: what is missing goes out in blocks, what comes back is saved at once, and the end is one
table.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kt_theory import machine
from kt_theory.content import ByContent
from kt_theory.sweep import recipes
from kt_theory.sweep.cells import Block, Work, expected_seconds, run_block
from kt_theory.sweep.executors import Crew, crew
from kt_theory.sweep.journal import Record
from kt_theory.sweep.plan import block_size, cut, disjoint, missing
from kt_theory.sweep.progress import Progress
from kt_theory.sweep.results import counted, finished_counts, results_table, write_results
from kt_theory.sweep.spec import Cell, Spec
from kt_theory.sweep.store import Store
from kt_theory.validation import as_path, shown, true_or_false

_STRIKES = 3
_POLL_SECONDS = 0.2
_LIVE_FAILURES = 10
"""So many failures are told as they come, the others by their number at the end."""
_AGAIN = "what was finished is saved: run the same again"
_BYTES_PER_PAIR = 64
"""A dense teacher, the tables to draw from it and a transfer set, per (input, label) pair."""


@dataclass(frozen=True, eq=False)
class Summary(ByContent):
    """What a run did and how the sweep stands.

    Attributes
    ----------
    cells : dict
        How many are done, failed, not defined, unfinished, missing.
    blocks, repeats : int
        Run this time.
    seconds : float
    failures : tuple of (Cell, str)
        The cells that failed and why.
    damage : tuple of str
        What was found damaged and run again.
    """

    cells: dict[str, int]
    blocks: int = 0
    repeats: int = 0
    seconds: float = 0.0
    failures: tuple[tuple[Cell, str], ...] = ()
    damage: tuple[str, ...] = ()


def run(
    spec: Spec,
    out: str | Path,
    *,
    executor: Any = "threads",
    workers: int | None = None,
    shard: tuple[int, int] | None = None,
    fail_fast: bool = False,
    seconds: float | None = None,
    progress: bool = True,
) -> Summary:
    """Run what is missing of a sweep and write its table.

    Whatever is killed or fails: the same call goes on where the last one stopped, and the table in
    the end is the same to the byte. Several processes may run on one folder at a time; they share
    the work.

    Parameters
    ----------
    spec : Spec
    out : Path
        The sweep's folder.
    executor, workers
        See `kt_theory.sweep.executors.crew`; the results do not depend on them.
    shard : (i, N), optional
        Only every N-th group of cells, from the i-th on, 1 <= i <= N; `merge` puts the folders of
        the shards together.
    fail_fast : bool
        Stop at the first cell that fails.
    seconds : float, optional
        Send out nothing more after that time; the next run goes on from there.
    progress : bool
        Show a bar, or lines where there is no terminal.

    Returns
    -------
    Summary
    """
    folder = as_path(out, "out")
    if not isinstance(spec, Spec):
        raise ValueError(f"spec = {shown(spec)}: must be a Spec; Spec.read(file) makes one")
    if shard is not None:
        _refuse_shard(shard)
    true_or_false(fail_fast, "fail_fast")
    true_or_false(progress, "progress")
    if shard is None and (counts := finished_counts(folder, spec)) is not None:
        return Summary(counts)
    with crew(executor, workers) as hands:
        if isinstance(executor, str) and executor in ("threads", "processes", "dask"):
            refuse_memory(spec, hands.width)
        store = Store.prepare(folder, spec, executor=hands.name, workers=hands.width, shard=shard)
        groups = _groups(spec, shard)
        work = _Run(spec, store, hands, groups, fail_fast, seconds, Progress(progress))
        try:
            work.go()
        finally:
            work.progress.close()
            store.close()
    with store.put_together() as merged:
        table = results_table(spec, merged)
        write_results(folder, spec, table)
    failed = [cell for cell in spec.cells if cell.id in work.failed]
    failures = tuple((cell, store.errors[cell.id].block.error) for cell in failed)
    damage, done = tuple(dict.fromkeys(store.damage)), work.progress
    return Summary(counted(table), done.blocks, done.repeats, done.seconds, failures, damage)


def refuse_memory(spec: Spec, workers: int) -> None:
    """Raise ValueError if the largest teachers, one per worker, do not fit in the free memory."""
    free = machine.free_memory()
    for cell in spec.cells:
        if "inputs" not in cell.teacher or cell.undefined:
            continue
        inputs, labels = recipes.shape(cell.teacher)
        need = _BYTES_PER_PAIR * inputs * labels
        if need > free:
            raise ValueError(
                f"{cell.teacher_name} with inputs = {inputs}, labels = {labels} takes about "
                f"{need / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are free: take smaller sizes or "
                "another machine"
            )
        if need * workers > free:
            raise ValueError(
                f"{workers} workers at {cell.teacher_name} with inputs = {inputs}, labels = "
                f"{labels} take about {need * workers / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are "
                f"free: take at most {int(free / need)}"
            )


@dataclass
class _Group:
    """Cells that learn from the same transfer sets, and how many of their pieces are out."""

    cells: list[Cell]
    out: int = 0


@dataclass
class _Piece:
    """A stretch of repeats for some cells of a group."""

    group: _Group
    cells: list[Cell]
    first: int
    repeats: int
    strikes: int = 0

    def work(self) -> Work:
        return Work.of(self.cells, self.first, self.repeats)


def shard_of(spec: Spec, count: int) -> dict[str, int]:
    """Return which of `count` shards, from 1 on, has each cell that is defined."""
    groups = _groups(spec, None)
    return {cell.id: i % count + 1 for i, group in enumerate(groups) for cell in group.cells}


def _refuse_shard(shard: Any) -> None:
    pair = isinstance(shard, tuple) and len(shard) == 2
    if not (pair and all(type(part) is int for part in shard) and 1 <= shard[0] <= shard[1]):
        raise ValueError(f"shard = {shown(shard)}: must be (i, N) with 1 <= i <= N")


def _groups(spec: Spec, shard: tuple[int, int] | None) -> list[_Group]:
    found: dict[str, _Group] = {}
    for cell in spec.cells:
        if not cell.undefined:
            found.setdefault(cell.group, _Group([])).cells.append(cell)
    i, count = shard or (1, 1)
    return list(found.values())[i - 1 :: count]


def pieces(spec: Spec, store: Store, cells: Sequence[Cell]) -> dict[tuple[int, int], list[Cell]]:
    """Return what the cells of one group need next: (first, repeats) to the cells that lack it."""
    wanted: dict[tuple[int, int], list[Cell]] = {}
    size = 0
    for each in cells:
        for stretch in missing(spec, disjoint(store.blocks.get(each.id, []))):
            size = size or block_size(_cost_of(cells, [(0, 1)]))
            for part in cut(stretch, size):
                wanted.setdefault(part, []).append(each)
    return wanted


def _cost_of(cells: Sequence[Cell], stretches: Collection[tuple[int, int]]) -> float:
    """Return the rough seconds that stretches (first, repeats) of a group of cells take."""
    if not stretches:
        return 0.0
    repeats = sum(length for _, length in stretches)
    try:
        shape = recipes.shape(cells[0].teacher)
    except (ValueError, OSError):
        return repeats * 1e-4  # the block itself will meet the same error, and record it
    return repeats * expected_seconds(*shape, cells[0].n, [cell.student for cell in cells])


@dataclass
class _Run:
    """The state of a run."""

    spec: Spec
    store: Store
    hands: Crew
    groups: list[_Group]
    fail_fast: bool
    limit: float | None
    progress: Progress
    failed: set[str] = field(default_factory=set)
    ready: deque[_Piece] = field(default_factory=deque)
    suspects: deque[_Piece] = field(default_factory=deque)
    flying: dict[Future[list[Block]], _Piece] = field(default_factory=dict)
    elsewhere: list[_Group] = field(default_factory=list)

    def go(self) -> None:
        """Run until nothing is missing, or a first failure or the time stops it."""
        self.store.refresh()
        for line in self.store.damage:
            self.progress.say(line)
        for group in self.groups:
            wanted = pieces(self.spec, self.store, group.cells)
            self.progress.expect(len(wanted), _cost_of(group.cells, wanted))
        waiting = deque(self.groups)
        try:
            while not (self.fail_fast and self.failed):
                late = self.limit is not None and self.progress.seconds > self.limit
                if not late:
                    self._send(waiting)
                if self.flying:
                    done, _ = wait(self.flying, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._receive(future)
                elif late:
                    return
                elif self.elsewhere:
                    time.sleep(_POLL_SECONDS)
                    waiting.extend(self.elsewhere)
                    self.elsewhere.clear()
                elif not waiting:
                    return
                self.progress.show(len(self.failed))
        finally:
            for future in self.flying:
                future.cancel()
            if len(self.failed) > _LIVE_FAILURES:
                self.progress.say(f"failed: {len(self.failed) - _LIVE_FAILURES:,} more cells")

    def _send(self, waiting: deque[_Group]) -> None:
        """Keep every worker busy with one piece at hand; one that may have killed flies alone."""
        while len(self.flying) < (1 if self.suspects else 2 * self.hands.width):
            piece = self._next(waiting)
            if piece is None:
                return
            try:
                self.flying[self.hands.executor.submit(run_block, piece.work())] = piece
            except BrokenExecutor as error:
                self._mourn([piece], error)

    def _next(self, waiting: deque[_Group]) -> _Piece | None:
        while True:
            if self.suspects:
                return self.suspects.popleft()
            if self.ready:
                piece = self.ready.popleft()
                piece.cells = [cell for cell in piece.cells if cell.id not in self.failed]
                if piece.cells:
                    return piece
                self._landed(piece.group)
            elif waiting:
                group = waiting.popleft()
                if self.store.claim(group.cells[0].group):
                    self.store.refresh()
                    self._queue(group)
                else:
                    self.elsewhere.append(group)
            else:
                return None

    def _queue(self, group: _Group) -> None:
        """Line up what the group needs next; let it go where that is nothing."""
        alive = [cell for cell in group.cells if cell.id not in self.failed]
        wanted = pieces(self.spec, self.store, alive) if alive else {}
        self.ready.extend(_Piece(group, cells, *part) for part, cells in sorted(wanted.items()))
        group.out = len(wanted)
        if wanted:
            self.progress.lined_up(len(wanted), _cost_of(group.cells, wanted))
        else:
            self.store.release(group.cells[0].group)

    def _landed(self, group: _Group) -> None:
        group.out -= 1
        if group.out == 0:
            self._queue(group)

    def _receive(self, future: Future[list[Block]]) -> None:
        if future not in self.flying:
            return
        piece = self.flying.pop(future)
        try:
            blocks = future.result()
        except BrokenExecutor as error:
            lost = [piece, *self.flying.values()]
            self.flying.clear()
            self._mourn(lost, error)
            return
        except self.hands.deaths as error:
            self._suspect([piece], error, alone=not self.flying)
            return
        except CancelledError:
            raise ConnectionError(f"the scheduler is gone; {_AGAIN}") from None
        except Exception as error:
            wrong = Block(error=f"{type(error).__name__}: {error}", traceback=repr(error))
            blocks = [wrong] * len(piece.cells)
        self._save(piece, blocks)

    def _save(self, piece: _Piece, blocks: list[Block]) -> None:
        pairs = list(zip(piece.cells, blocks, strict=True))
        stretch = piece.first, piece.repeats
        self.store.append([Record(cell.id, *stretch, block) for cell, block in pairs])
        for cell, block in pairs:
            if block.error and cell.id not in self.failed:
                self.failed.add(cell.id)
                if len(self.failed) <= _LIVE_FAILURES:
                    self.progress.say(f"failed: {cell.place}: {block.error}")
        self.progress.add(piece.repeats, _cost_of(piece.group.cells, [stretch]))
        self._landed(piece.group)

    def _mourn(self, lost: list[_Piece], error: BrokenExecutor) -> None:
        """Go on after a worker died: its pieces run again one by one, to find the guilty one."""
        if not self.hands.replace():
            raise ConnectionError(f"the executor broke ({error}); {_AGAIN}") from error
        self._suspect(lost, error, alone=len(lost) == 1)

    def _suspect(self, lost: list[_Piece], error: Exception, *, alone: bool) -> None:
        for piece in lost:
            piece.strikes += 1
            if alone and piece.strikes >= _STRIKES:
                said = f"its worker died {piece.strikes} times: killed, or out of memory"
                self._save(piece, [Block(error=said, traceback=str(error))] * len(piece.cells))
            else:
                self.suspects.append(piece)
