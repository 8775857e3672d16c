"""What a policy stores of the rows of a block."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kt_theory.dumps import Block
from kt_theory.dumps.block import NO_LABEL
from kt_theory.dumps.layouts.codes import COUNTS, FLOATS, STEPS, UNITS, Codes
from kt_theory.policies.kept import (
    AllLabels,
    EvenTail,
    Renormalised,
    Sampled,
    SampledStated,
    TailMass,
    TopP,
)
from kt_theory.policies.policy import Policy
from kt_theory.policies.values import Steps, Units, width

_ROUNDING = 1e-4
"""A row may lack so much of 1 and yet list all that has probability."""


@dataclass(frozen=True, eq=False)
class Stock:
    """What is stored of m rows.

    Attributes
    ----------
    labels : (m, k) int32, or None
        None: all, in their order.
    weights : (m, k) float64
        Probabilities, or how often a label was drawn, before they are written by `Codes.coded`; one
        more in a row where `Codes.others`.
    counts : (m,) int64
        How many labels each row has.
    """

    labels: np.ndarray | None
    weights: np.ndarray
    counts: np.ndarray


def codes_of(policy: Policy) -> tuple[Codes, np.dtype]:
    """Return how a policy's values are written, and the type of its numbers."""
    match policy.kept:
        case Sampled(draws, power) if power == 1.0:
            return Codes(COUNTS, to_one=True), _unsigned(width(draws + 1.0))
        case Sampled():
            return Codes(FLOATS, to_one=True), np.dtype(np.float32)
        case SampledStated():
            return Codes(FLOATS), np.dtype(np.float32)
    to_one = not isinstance(policy.kept, EvenTail)
    others = isinstance(policy.kept, TailMass)
    found = Codes(FLOATS, 1.0, policy.tau, to_one, others)
    match policy.values:
        case Steps(step):
            return replace(found, kind=STEPS, unit=step), _unsigned(policy.values.bytes)
        case Units(bits):
            return replace(found, kind=UNITS, unit=float(bits)), _unsigned(policy.values.bytes)
    return found, np.dtype(np.float32)


def stock_of(policy: Policy, block: Block, random: np.random.Generator) -> Stock:
    """Return what a policy stores of the rows of a block.

    Parameters
    ----------
    policy : Policy
    block : Block
    random : numpy.random.Generator
        Draws the labels of policies that draw some.

    Raises
    ------
    ValueError
        If rows do not list what is to be stored.
    """
    match policy.kept:
        case AllLabels():
            _refuse_listed(policy, block)
            counts = np.full(len(block), block.logprobs.shape[1])
            return Stock(None, _tempered(np.exp(block.logprobs), policy), counts)
        case Renormalised(k) | EvenTail(k) | TailMass(k):
            return _first(policy, k, block)
        case TopP(p):
            return _reaching(policy, p, block)
        case Sampled(draws, power):
            return _drawn(policy, block, draws, power, random)
        case SampledStated(draws):
            return _drawn(policy, block, draws, None, random)
    raise AssertionError(policy.kept)


def _unsigned(size: int) -> np.dtype:
    return np.dtype(f"u{size}")


def _tempered(weights: np.ndarray, policy: Policy) -> np.ndarray:
    """Rows at the temperature at which they are stored; they sum to 1."""
    found = weights ** (1.0 / policy.tau)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _refuse_listed(policy: Policy, block: Block) -> None:
    if not block.whole:
        raise ValueError(
            f"policy = {policy.name!r} needs whole rows: the dump lists {block.logprobs.shape[1]} "
            "labels of each"
        )


def _falling(block: Block, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k most probable labels of each row, their probabilities, falling, and how many there
    are."""
    if block.labels is not None:
        labels, weights = block.labels[:, :k], np.exp(block.logprobs[:, :k])
        return labels, weights, (labels != NO_LABEL).sum(axis=1)
    size = block.logprobs.shape[1]
    if k < size:
        some = np.argpartition(-block.logprobs, k - 1, axis=1)[:, :k]
    else:
        some = np.broadcast_to(np.arange(size), block.logprobs.shape)
    logs = np.take_along_axis(block.logprobs, some, axis=1)
    order = np.argsort(-logs, axis=1, kind="stable")
    labels = np.take_along_axis(some, order, axis=1).astype(np.int32)
    weights = np.exp(np.take_along_axis(logs, order, axis=1))
    return labels, weights, np.full(len(labels), k)


def _first(policy: Policy, k: int, block: Block) -> Stock:
    labels, weights, counts = _falling(block, k)
    masses = weights.sum(axis=1, keepdims=True)
    lacking = masses[:, 0] < 1.0 - _ROUNDING
    if ((counts < k) & (lacking | isinstance(policy.kept, TailMass))).any():
        raise ValueError(
            f"policy = {policy.name!r} stores {k} labels of each row: the dump lists "
            f"{counts.min()} of one"
        )
    if isinstance(policy.kept, TailMass):
        weights = np.hstack([weights, np.maximum(1.0 - masses, 0.0)])
    if not isinstance(policy.kept, EvenTail):
        weights = _tempered(weights, policy)
    return Stock(labels, weights, counts)


def _reaching(policy: Policy, p: float, block: Block) -> Stock:
    """The fewest labels that reach p, as `TopP.weights` counts them."""
    labels, weights, listed = _falling(block, block.logprobs.shape[1])
    beyond = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1] - weights
    if not block.whole:
        beyond += np.maximum(1.0 - weights.sum(axis=1, keepdims=True), 0.0)
    enough = beyond <= (1.0 - p) * (1.0 + 2.0**-50)
    if not enough.any(axis=1).all():
        raise ValueError(
            f"policy = {policy.name!r} stores {p:g} of the mass of each row: the dump lists labels "
            f"of {weights.sum(axis=1).min():.3g} of one"
        )
    counts = np.minimum(enough.argmax(axis=1) + 1, listed)
    widest = int(counts.max(initial=1))
    there = np.arange(widest) < counts[:, None]
    weights = np.where(there, weights[:, :widest], 0.0)
    return Stock(labels[:, :widest], _tempered(weights, policy), counts)


def _drawn(
    policy: Policy, block: Block, draws: int, power: float | None, random: np.random.Generator
) -> Stock:
    """Labels that are drawn: with how often, the weights that make up for a proposal, or, where
    there is no power, their probabilities.
    """
    _refuse_listed(policy, block)
    rows = np.exp(block.logprobs)
    rows /= rows.sum(axis=1, keepdims=True)
    law = rows if power in (None, 1.0) else rows**power
    times = random.multinomial(draws, law / law.sum(axis=1, keepdims=True))
    counts = (times > 0).sum(axis=1)
    there = np.arange(counts.max(initial=1)) < counts[:, None]
    labels = np.full(there.shape, NO_LABEL, dtype=np.int32)
    weights = np.zeros(there.shape)
    of_rows, drawn = np.nonzero(times)
    labels[there] = drawn
    if power is None:
        weights[there] = rows[of_rows, drawn]
    elif power == 1.0:
        weights[there] = times[of_rows, drawn]
    else:
        weights[there] = times[of_rows, drawn] * rows[of_rows, drawn] ** (1.0 - power)
        weights /= weights.sum(axis=1, keepdims=True)
    return Stock(labels, weights, counts)
