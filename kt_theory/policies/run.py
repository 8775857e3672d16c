"""`kt.storage`: what each policy of storage loses, of a dump or of a teacher."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.dumps import Dump
from kt_theory.policies.defaults import usual_policies
from kt_theory.policies.losses import Question
from kt_theory.policies.names import policies as named
from kt_theory.policies.policy import MOST_DRAWS, Policy
from kt_theory.policies.progress import Bar
from kt_theory.policies.state import Folder, State, key_of
from kt_theory.policies.table import Storage, of_dump, of_teacher
from kt_theory.policies.tally import Tally
from kt_theory.policies.visits import POSITIONS, Losses
from kt_theory.teacher import Teacher
from kt_theory.validation import as_path, shown, true_or_false, unit_interval, whole_number

SAVE_SECONDS = 10.0
"""How often tallies are kept at most."""


def storage(
    source: Dump | Teacher,
    policies: str | Policy | Iterable[str | Policy] | None = None,
    tv: float | None = None,
    visits: int = 1,
    *,
    executor: Any = None,
    folder: str | Path | None = None,
    progress: bool = False,
) -> Storage:
    """Return what a student loses by each policy of storage, and how many bytes a position takes.

    Parameters
    ----------
    source : Dump or Teacher
        The teacher: every position of a dump counts alike; the inputs of a `Teacher` by rho. Of a
        dump that lists only some labels of each row losses are bounded: the mass of the others is
        known, how it is spread is not, and the bounds hold for every spread.
    policies : str, Policy or list of them, optional
        Such as "renormalised(50), sampled(50)"; see `kt_theory.policies.policy`. A choice of usual
        ones if omitted.
    tv : float, optional
        The total variation that `.cheapest` is to reach.
    visits : int
        How often each context is visited. Draws of all visits are pooled; everything else gains
        nothing.
    executor : optional
        "dask", "dask://HOST:PORT", "processes", or an executor: parts of the dump are counted side
        by side, to the same bits.
    folder : path, optional
        Where tallies are kept as they grow; the same call goes on there.
    progress : bool
        Show a bar on a terminal.

    Returns
    -------
    Storage
        `.frame` has a row for each policy.

    Raises
    ------
    ValueError
        For a policy that does not exist or that no row of so many labels can be stored by, a dump
        without positions, or one that does not say how many labels there are.
    """
    true_or_false(progress, "progress")
    goal = None if tv is None else unit_interval(tv, "tv")
    number = whole_number(visits, "visits", low=1, high=MOST_DRAWS)
    chosen = None if policies is None else named(policies)
    if isinstance(source, Teacher):
        _refuse_runs(executor, folder)
        question = _question(source.labels, chosen, number, None)
        return of_teacher(source, question, goal)
    if not isinstance(source, Dump):
        raise ValueError(f"source = {shown(source)}: must be a Dump or a Teacher")
    if source.labels is None:
        raise ValueError(
            "labels is not known: the dump does not say how many the teacher has; give labels=..."
        )
    if source.drawn and not source.renormalised:
        raise ValueError(
            "the dump lists labels that were drawn: others may be more probable, and losses have "
            "no bound; give the dump that they were drawn from"
        )
    question = _question(source.labels, chosen, number, _listed(source, chosen))
    question = replace(question, complete=source.renormalised)
    place = None
    if folder is not None:
        place = Folder(as_path(folder, "folder"), key_of(source, question))
    tally = _counted(source, question, executor, place, progress).tally
    if not tally.positions:
        raise ValueError("the dump has no positions: there is nothing to store")
    return replace(of_dump(question, tally, goal, _first_rows(source)), notes=source.granted)


def _first_rows(dump: Dump) -> tuple[Losses, int]:
    """Return what gives the losses of a dump's first rows, and how many labels they list."""
    block = next(block for block in dump.blocks() if len(block))
    logs = block.logprobs[:POSITIONS]
    labels = None if block.labels is None else block.labels[:POSITIONS]
    return partial(_losses_of, logs=logs, labels=labels), logs.shape[1]


def _losses_of(asked: Question, logs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    return asked.of_rows(logs, labels)


def _refuse_runs(executor: Any, folder: Any) -> None:
    for name, value in (("executor", executor), ("folder", folder)):
        if value is not None:
            raise ValueError(f"{name} = {shown(value)}: a Teacher is counted at once, without it")


def _question(
    labels: int, chosen: list[Policy] | None, visits: int, listed: int | None
) -> Question:
    asked = chosen if chosen is not None else usual_policies(labels, listed)
    for policy in asked:
        policy.refuse(labels)
        if policy.kept.sizes(visits)[1] > MOST_DRAWS:
            raise ValueError(
                f"visits = {visits}: {policy.name} would pool more than 2^31 draws; give fewer"
            )
    return Question(tuple(asked), labels, visits)


def _listed(dump: Dump, chosen: list[Policy] | None) -> int | None:
    """Return how many labels the first rows list, None if all or if nobody asks."""
    if dump.whole or chosen is not None:
        return None
    block = next(iter(dump.blocks()), None)
    return None if block is None or block.whole else block.logprobs.shape[1]


def _counted(
    dump: Dump, question: Question, executor: Any, place: Folder | None, progress: bool
) -> State:
    state = place.read() if place is not None else None
    if state is None:
        state = State.start(len(question.policies), len(dump.parts))
    last = time.monotonic()
    bar = Bar(progress, dump.positions, state.tally.positions)
    try:
        for later in _states(dump, question, state, executor):
            state = later
            bar.to(state.tally.positions)
            if place is not None and time.monotonic() - last > SAVE_SECONDS:
                place.write(state)
                last = time.monotonic()
    except KeyboardInterrupt:
        if place is not None:
            place.write(state)
        raise
    finally:
        bar.close()
    if place is not None:
        place.write(state)
    return state


def _states(dump: Dump, question: Question, state: State, executor: Any) -> Iterator[State]:
    """Yield the states of a run as it goes on."""
    left = np.flatnonzero(~state.finished).tolist()
    if executor is None:
        for part in left:
            for tally in _of_part(dump, part, question, int(state.rows[part])):
                state = state.after(part, tally, finished=False)
                yield state
            state = state.after(part, Tally.empty(len(question.policies)), finished=True)
            yield state
        return
    from concurrent.futures import as_completed

    from kt_theory.sweep.executors import crew

    with crew(executor) as hands:
        waiting = {
            hands.executor.submit(_packed, dump, part, question, int(state.rows[part])): part
            for part in left
        }
        try:
            for future in as_completed(waiting):
                tally = Tally.unpacked(future.result())
                state = state.after(waiting[future], tally, finished=True)
                yield state
        finally:
            for future in waiting:
                future.cancel()


def _packed(dump: Dump, part: int, question: Question, done: int) -> dict[str, Any]:
    """Return the tally of what is left of a part, as a worker sends it."""
    tally = Tally.empty(len(question.policies))
    for more in _of_part(dump, part, question, done):
        tally = tally.plus(more)
    return tally.packed()


def _of_part(dump: Dump, part: int, question: Question, done: int) -> Iterator[Tally]:
    """Yield the tallies of a part's rows, all but the first `done`."""
    one = replace(dump, parts=(dump.parts[part],))
    if one.positions is not None:
        return Tally.of_blocks(one.blocks(done), question)
    return Tally.of_blocks(_without(one, done), question)


def _without(dump: Dump, done: int) -> Iterator[Any]:
    """Yield the blocks of a part that does not know its rows, all but the first `done`: blocks are
    cut alike each time.
    """
    for block in dump.blocks():
        if done >= len(block):
            done -= len(block)
        else:
            yield block
