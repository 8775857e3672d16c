"""The access levels, each built from its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.access.channel import (
    LARGEST_NOISE,
    AsIs,
    Centred,
    Channel,
    Confused,
    Noisy,
    Quantised,
    Rounded,
    Temperature,
    UpToFactor,
)
from kt_theory.access.level import Access
from kt_theory.access.reach import Ball, Everything, OwnRow
from kt_theory.access.shows import (
    WHOLE_ROW,
    MostProbable,
    NonTarget,
    Nothing,
    SampledLabel,
    TopK,
    WholeRow,
)
from kt_theory.graphs import as_graph
from kt_theory.validation import (
    distributions,
    numeric_array,
    positive,
    shown,
    true_or_false,
    unit_interval,
    unknown_name,
    whole_number,
)

HARD = Access(Nothing())
"""The sampled label alone."""
PARTIAL = Access(SampledLabel())
"""The sampled label and its probability."""
SOFT = Access(WholeRow())
"""The sampled label and the whole row."""
NON_TARGET = Access(NonTarget())
"""The sampled label, and the other labels' probabilities given that it is none of them."""
ARGMAX = Access(MostProbable())
"""The most probable label alone."""

LEVELS = {level.name: level for level in (HARD, PARTIAL, SOFT)}
"""The levels that need no parameter and are ordered, by name, in increasing order."""


def top_k(k: int, *, sampled: bool = True) -> Access:
    """Return the level that reveals the k most probable labels of the row, and the sampled one,
    with probabilities.

    Of equally probable labels those with the smallest index are shown; a student that treats hidden
    labels alike has the same risk whichever are.

    Parameters
    ----------
    k : int
        At least 0; 0 is `PARTIAL`.
    sampled : bool
        False: the query is greedy and reveals the k most probable labels alone, as an API at
        temperature 0 does; k is then at least 1. What it hides no number of queries shows.
    """
    true_or_false(sampled, "sampled")
    number = whole_number(k, "k", low=0 if sampled else 1, high=WHOLE_ROW)
    return Access(TopK(number) if sampled else MostProbable(number))


def gradient(graph: Any, hops: int = 1) -> Access:
    """Return the level whose query at s reveals the logits at s and their derivatives along the
    graph up to `hops`.

    The discrete gradient along the edges at s, added to the logits at s, gives the logits of every
    neighbour; order `hops` gives every input within that many edges. So the query reveals pi on the
    ball of that radius.

    Parameters
    ----------
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        Undirected; one vertex per input. See `kt_theory.graphs.as_graph`.
    hops : int
        At least 0; 0 reveals the row itself only, which is `SOFT`.
    """
    net = as_graph(graph)
    return Access(WholeRow(), reach=Ball(net, whole_number(hops, "hops", low=0)))


def jacobian(features: Any) -> Access:
    """Return the level that reveals the logits at s and their derivatives by the features, for
    softmax-affine teachers.

    The logits are W x + b with x the features of the input. A query at x reveals W (up to a shift
    that the softmax does not see) and W x + b, so the whole teacher: one query suffices. Other
    teachers are refused where they are met, by `Access.refuse_impossible`.

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input.
    """
    return Access(
        WholeRow(), reach=Everything(numeric_array(features, "features", 2).astype(np.float64))
    )


def temperature(tau: float, of: Access = SOFT) -> Access:
    """Return level `of` with the probabilities shown at temperature `tau`: the softmax of the
    logits divided by tau.

    Parameters
    ----------
    tau : float
        From 0.001 to 1000. Who knows it can undo it on whole rows; see
        `kt_theory.students.tempered`.
    of : Access
        The level whose answers are shown so; without graph, channel or noise of its own.
    """
    return through(of, Temperature(positive(tau, "tau", low=1e-3, high=1e3)))


def rounded(step: float, of: Access = SOFT) -> Access:
    """Return level `of` with log-probabilities rounded to multiples of `step`, 1e-15 to 1000."""
    return through(of, Rounded(positive(step, "step", low=1e-15, high=1e3)))


def quantised(bits: int, of: Access = SOFT) -> Access:
    """Return level `of` with probabilities rounded to multiples of 2^-bits."""
    return through(of, Quantised(whole_number(bits, "bits", low=1, high=52)))


def logits(of: Access = SOFT) -> Access:
    """Return level `of` with unnormalised logits in place of log-probabilities: each row up to an
    unknown shift.

    Of `SOFT` the softmax undoes it. Of `PARTIAL` (the logit of the sampled label) the mass of a row
    stays unknown.
    """
    return through(of, UpToFactor())


def true_logits() -> Access:
    """Return the level that shows the logit of the sampled label, on a scale that is the same for
    all inputs.
    """
    text = f"{PARTIAL.description}, {Centred.description}"
    return Access(SampledLabel(), Centred(), name="true logits", description=text)


def noisy(sigma: float, of: Access = SOFT) -> Access:
    """Return level `of` with Gaussian noise of standard deviation `sigma` on each log-probability,
    fresh per query.

    Parameters
    ----------
    sigma : float
        In nats, from 1e-15 to 50.
    of : Access
        The level whose answers are shown so; without graph, channel or noise of its own.
    """
    return through(of, Noisy(positive(sigma, "sigma", low=1e-15, high=LARGEST_NOISE)))


def confused(noise: ArrayLike) -> Access:
    """Return the level whose sampled label comes back as another one, by a known law: hard labels
    through noise.

    Parameters
    ----------
    noise : float or (A, A) array_like
        A rate in (0, 1): another label, all equally likely, comes back so often. Or the confusion
        matrix: row a is the law of what comes back where a was drawn; rows sum to 1.
    """
    if np.ndim(noise) == 0:
        channel = Confused(unit_interval(noise, "noise"))
    else:
        matrix = distributions(noise, "noise", 2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"noise has shape {matrix.shape}: must be (labels, labels)")
        channel = Confused(None, tuple(map(tuple, matrix.tolist())))
    text = f"hard labels: the sampled label, or {channel.description}"
    if channel.rate is None:
        text = f"hard labels: the sampled label {channel.description}"
    return Access(Nothing(), channel, name=channel.name, description=text)


def through(of: Access, channel: Channel) -> Access:
    """Return level `of` with its probabilities shown through a channel.

    Parameters
    ----------
    of : Access
        Without graph, channel or noise of its own.
    channel : Channel

    Raises
    ------
    ValueError
        If it shows no probabilities, or not as they are.
    """
    if not isinstance(of, Access):
        raise ValueError(
            f"of = {shown(of)}: must be an Access, such as kt_theory.access.SOFT or top_k(5)"
        )
    if of.reach != OwnRow() or of.channel != AsIs() or not (of.shows.own or of.shows.top):
        raise ValueError(
            f"of = {shown(of)}: must reveal probabilities as they are, and without a graph"
        )
    return Access(of.shows, channel)


def as_access(level: Access | str) -> Access:
    """Return `level`, an `Access` or the name of one that needs no parameter."""
    if isinstance(level, Access):
        return level
    if not isinstance(level, str):
        raise unknown_name("access level", level, [*_NAMED, *_NEED_PARAMETERS])
    if level in _NEED_PARAMETERS:
        raise ValueError(
            f"access {level!r} needs a parameter: give kt_theory.access.{_NEED_PARAMETERS[level]}"
        )
    if level not in _NAMED:
        raise unknown_name("access level", level, [*_NAMED, *_NEED_PARAMETERS])
    return _NAMED[level]


_NAMED = {**LEVELS, NON_TARGET.name: NON_TARGET, ARGMAX.name: ARGMAX}
_NEED_PARAMETERS = {
    "top_k": "top_k(k)",
    "top_k_only": "top_k(k, sampled=False)",
    "gradient": "gradient(graph, hops=1)",
    "jacobian": "jacobian(features)",
    "temperature": "temperature(tau)",
    "rounded": "rounded(step)",
    "quantised": "quantised(bits)",
    "logits": "logits()",
    "noisy": "noisy(sigma)",
    "confused": "confused(noise)",
}
