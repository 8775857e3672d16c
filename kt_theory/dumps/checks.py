"""From what a layout lists to blocks: values become natural logarithms, rows are checked and
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.dumps.block import NO_LABEL, Block, Listed
from kt_theory.kernels.contexts import prefix_digests, window_digests, write_histories

KINDS = ("logprobs", "logits", "probabilities")
"""What values can be: natural logarithms of probabilities, those up to a constant of each row, or
probabilities."""

EXCESS = 2e-3
"""The probabilities of a row may sum to so much more than 1: they were stored with rounding."""


@dataclass(frozen=True)
class Reading:
    """How a dump is read.

    Attributes
    ----------
    labels : int or None
        How many the teacher has; None where nobody says.
    context : int or None
        An input is the last so many tokens; None: all that went before.
    """

    labels: int | None
    context: int | None = None


def as_block(listed: Listed, kind: str, name: str, reading: Reading) -> Block:
    """Return the block of rows as they are listed.

    Raises
    ------
    ValueError
        With the part, the row and what is wrong.
    """
    logprobs = _natural_logs(listed, kind, name)
    labels = listed.labels
    if labels is not None:
        _refuse_labels(labels, listed, name, reading)
        order = np.argsort(-logprobs, axis=1, kind="stable")
        logprobs = np.take_along_axis(logprobs, order, axis=1)
        labels = np.take_along_axis(labels, order, axis=1).astype(np.int32)
    _refuse_sums(logprobs, listed, name)
    following = _following(listed)
    contexts, histories = _contexts(listed, reading)
    return Block(
        logprobs,
        labels,
        following,
        _stated(listed, logprobs, labels, following),
        contexts,
        histories,
        listed.starts,
        None if listed.after is None else listed.after - listed.starts,
        listed.skipped,
    )


def _natural_logs(listed: Listed, kind: str, name: str) -> np.ndarray:
    values = listed.values.astype(np.result_type(listed.values, np.float32), copy=False)
    missing = np.isnan(values)
    if listed.labels is None or (missing & (listed.labels != NO_LABEL)).any():
        _refuse(missing.any(axis=1), listed, name, "has a value that is no number")
    if kind == "probabilities":
        with np.errstate(divide="ignore"):
            return np.log(np.where(missing, 0.0, values))
    values = np.where(missing, -np.inf, values)
    if kind == "logprobs":
        return values
    lognorm = listed.lognorm
    if lognorm is None:
        top = values.max(axis=1)
        lognorm = top + np.log(np.exp(values - top[:, None]).sum(axis=1))
    return values - lognorm[:, None].astype(values.dtype)


def _refuse_labels(labels: np.ndarray, listed: Listed, name: str, reading: Reading) -> None:
    if reading.labels is not None:
        beyond = (labels >= reading.labels).any(axis=1)
        _refuse(beyond, listed, name, f"has a label outside 0 to {reading.labels - 1}")
    ordered = np.sort(labels, axis=1)
    twice = ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] != NO_LABEL)).any(axis=1)
    _refuse(twice, listed, name, "lists a label twice")


def _refuse_sums(logprobs: np.ndarray, listed: Listed, name: str) -> None:
    sums = np.exp(logprobs.astype(np.float64)).sum(axis=1)
    _refuse(sums > 1.0 + EXCESS, listed, name, "has probabilities that sum above 1")


def _following(listed: Listed) -> np.ndarray:
    following = np.full(len(listed.values), NO_LABEL, dtype=np.int32)
    if listed.tokens is not None and listed.after is not None:
        known = listed.after < listed.ends
        following[known] = listed.tokens[listed.after[known]]
    return following


def _stated(
    listed: Listed, logprobs: np.ndarray, labels: np.ndarray | None, following: np.ndarray
) -> np.ndarray:
    if listed.following_logprob is not None:
        return listed.following_logprob
    stated = np.full(len(following), np.nan)
    known = np.flatnonzero(following != NO_LABEL)
    if labels is None:
        stated[known] = logprobs[known, following[known]]
    else:
        rows, places = np.nonzero(labels == following[:, None])
        there = following[rows] != NO_LABEL
        stated[rows[there]] = logprobs[rows[there], places[there]]
    return stated


def _contexts(listed: Listed, reading: Reading) -> tuple[np.ndarray | None, np.ndarray | None]:
    if listed.tokens is None or listed.starts is None or listed.after is None:
        return None, None
    tokens = listed.tokens.astype(np.int64, copy=False)
    digests = np.empty(len(listed.starts), dtype=np.uint64)
    if reading.context is None:
        prefix_digests(tokens, listed.starts, listed.after, digests)
        return digests, None
    histories = np.empty((len(digests), reading.context), dtype=np.int32)
    write_histories(tokens, listed.starts, listed.after, histories)
    window_digests(histories, digests)
    return digests, histories


def _refuse(wrong: Any, listed: Listed, name: str, what: str) -> None:
    if wrong.any():
        place = listed.places[np.flatnonzero(wrong)[0]]
        raise ValueError(f"{name}: row {place} {what}")
