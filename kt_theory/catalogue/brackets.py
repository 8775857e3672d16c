"""From a level to its bracket: which theorem speaks of what an answer shows, through which channel,
of which rows.
"""

from __future__ import annotations

from typing import assert_never, cast

from kt_theory.access import Access
from kt_theory.access.channel import AsIs
from kt_theory.access.reach import AnyReach, Ball, Everything, OwnRow
from kt_theory.access.shows import (
    AnyShows,
    MostProbable,
    NonTarget,
    Nothing,
    SampledLabel,
    Shows,
    TopK,
    WholeRow,
)
from kt_theory.catalogue.channels import channel_bracket
from kt_theory.limits.bracket import Bracket
from kt_theory.limits.bunched import BunchedHard, BunchedPartial
from kt_theory.limits.channels.brackets import Answer, Undone
from kt_theory.limits.graph import Gradient
from kt_theory.limits.greedy.argmax import Argmax
from kt_theory.limits.greedy.top_k import GreedyTopK
from kt_theory.limits.hard.bracket import Hard
from kt_theory.limits.non_target import NonTargetPart
from kt_theory.limits.sharing.bracket import Sharing
from kt_theory.limits.whole_rows import EveryRow, Soft


def bracket(
    level: Access,
    inputs: int,
    labels: int,
    labels_per_query: int = 1,
    *,
    access: str = "",
    name: str = "",
) -> Bracket:
    """Return what is proved of the minimax risk of a level at its size.

    Parameters
    ----------
    level : Access
    inputs, labels : int
    labels_per_query : int
        Of hard and partial labels.
    access, name : str
        What limits and tables call the level; its own name if omitted.

    Raises
    ------
    ValueError
        Where nothing is known: channels along a graph, several labels per query of other levels.
    """
    calls, known = access or level.name, name or level.name
    match cast(AnyReach, level.reach):
        case OwnRow():
            pass
        case Ball(graph, hops):
            _refuse_parts(level, "along a graph")
            return Gradient(calls, known, graph, hops, labels)
        case Everything():
            _refuse_parts(level, "where a query reveals every row")
            return EveryRow(calls, known, inputs, labels)
        case other:
            assert_never(other)
    if level.channel == AsIs():
        plain = _plain(level.shows, inputs, labels, calls, known)
        return plain if labels_per_query == 1 else _several(level, plain, labels_per_query)
    shown = level.plain.name
    plain = _plain(level.shows, inputs, labels, shown.partition("(")[0], shown)
    return _behind(level, plain, calls, known)


def _plain(shows: Shows, inputs: int, labels: int, access: str, name: str) -> Bracket:
    match cast(AnyShows, shows):
        case Nothing():
            return Hard(access, name, inputs, labels)
        case SampledLabel():
            return Sharing(access, name, inputs, labels)
        case TopK(k):
            return Sharing(access, name, inputs, labels, k)
        case WholeRow():
            return Soft(access, name, inputs, labels)
        case NonTarget():
            return NonTargetPart(access, name, inputs, labels)
        case MostProbable(0):
            return Argmax(access, name, inputs, labels)
        case MostProbable(k):
            return GreedyTopK(access, name, inputs, labels, k)
        case other:
            assert_never(other)


def _behind(level: Access, plain: Bracket, access: str, name: str) -> Bracket:
    shows, channel = level.shows, level.channel
    top = min(shows.top, plain.labels)
    whole = top >= plain.labels
    if whole and channel.undone:
        return Undone(access, name, plain)
    lesser: tuple[Bracket, ...] = ()
    if shows.own and 0 < top < plain.labels:
        less = MostProbable(shows.top), SampledLabel()
        levels = [Access(part, channel, name=level.name) for part in less]
        lesser = tuple(bracket(one, plain.inputs, plain.labels) for one in levels)
    answer = Answer(plain, shows.draws, top, lesser)
    return channel_bracket(channel)(access, name, answer, channel)


def _several(level: Access, plain: Bracket, labels_per_query: int) -> Bracket:
    match level.shows:
        case Nothing():
            return BunchedHard(cast(Hard, plain), labels_per_query)
        case SampledLabel():
            return BunchedPartial(cast(Sharing, plain), labels_per_query)
    raise ValueError(
        f"labels_per_query is given: access {level.name!r} has none, only 'hard' and 'partial' do"
    )


def _refuse_parts(level: Access, where: str) -> None:
    if level.channel != AsIs():
        raise ValueError(f"access {level.name!r}: no limit is known for a channel {where}")
    if level.shows != WholeRow():
        raise ValueError(f"access {level.name!r}: only whole rows {where} are known")
