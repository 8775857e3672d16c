"""Access levels: what one query to the teacher reveals, ordered by how much."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.affine import affine_logits
from kt_theory.channels import Channel
from kt_theory.graphs import Graph, as_graph, everything
from kt_theory.validation import numeric_array, positive, unknown_name, whole_number

WHOLE_ROW = 2**31 - 1
"""`Access.top` of a level whose query reveals every label of a row."""

LARGEST_NOISE = 50.0
"""Largest standard deviation of the noise on a log-probability, in nats."""


class AccessError(ValueError):
    """A student needs more than the access level reveals."""


@dataclass(frozen=True, eq=False)
class Access:
    """What one query reveals of the teacher besides the pair (s, a) itself.

    Attributes
    ----------
    name : str
        Short name, as in tables.
    description : str
        What one query returns.
    sampled : bool
        The probability of the sampled label is revealed.
    top : int
        How many of a row's most probable labels are revealed with their probabilities; `WHOLE_ROW` for all.
    graph : Graph or None
        If given, a query reveals the rows within `hops` edges of its input instead of its own row alone.
    hops : int
        Order of the derivatives that come with the logits.
    channel : Channel or None
        How the revealed probabilities are shown, if not as they are.
    noise : float
        Standard deviation of the Gaussian noise on each revealed log-probability, fresh in every answer: a query that
        returns m labels gives m answers.
    greedy : bool
        The query returns the most probable label in place of a sampled one.
    features : (S, d) array or None
        If given, one query reveals every row, as the input-Jacobian does of a teacher whose logits are affine in them.
    non_target : bool
        The query reveals the row of the labels that were not sampled, p_b / (1 - p_a) for all b but the sampled a.
    """

    name: str
    description: str
    sampled: bool
    top: int
    graph: Graph | None = None
    hops: int = 0
    channel: Channel | None = None
    noise: float = 0.0
    greedy: bool = False
    features: Any = field(default=None, repr=False)
    non_target: bool = False
    _balls: Any = field(default=None, init=False, repr=False)

    @property
    def everywhere(self) -> bool:
        """Whether one query, wherever it falls, reveals every row."""
        return self.features is not None

    def covers(self, other: Access) -> bool:
        """Return whether every answer of `other` can be computed from an answer of this level (a garbling of it)."""
        return self._shows_labels(other) and self._shows_weights(other) and self._shows_rows(other)

    def _shows_labels(self, other: Access) -> bool:
        if self.greedy and not other.greedy:
            return False
        if self.top < other.top or (other.sampled and not (self.sampled or self.top == WHOLE_ROW)):
            return False
        # Which labels are the most probable is seen from weights that keep their order, or is said by the answer.
        ordered = (self.channel is None or self.channel.invertible) and self.noise == 0.0
        if other.greedy and not (self.greedy or (ordered and self.top > 0)):
            return False
        return ordered or other.top in (0, self.top, WHOLE_ROW)

    def _shows_weights(self, other: Access) -> bool:
        if other.non_target and not self.non_target:
            whole = self.top == WHOLE_ROW and self.noise == 0.0
            return whole and (self.channel is None or self.channel.invertible)
        if other.top == 0 and not other.sampled:
            return True
        if self.noise > other.noise:
            return False
        if self.channel == other.channel:
            return True
        if self.channel is None:
            whole = self.top == WHOLE_ROW
            return whole or (other.channel is not None and not other.channel.needs_whole_row)
        return self.channel.invertible and self.top == WHOLE_ROW

    def _shows_rows(self, other: Access) -> bool:
        mine, theirs = self._inputs, other._inputs
        if theirs is None or (self.everywhere and mine == theirs):
            return True
        if mine is not None and mine != theirs:
            return False
        if other.everywhere:
            return bool(self.balls(theirs).nnz == theirs**2)
        needed = other.balls(theirs)
        return bool(self.balls(theirs).multiply(needed).nnz == needed.nnz)

    @property
    def _inputs(self) -> int | None:
        """How many inputs the graph or the features are for; None for a level that fits any teacher."""
        if self.features is not None:
            return len(self.features)
        return None if self.graph is None else self.graph.vertices

    def balls(self, inputs: int) -> Any:
        """Return the (S, S) boolean csr_array whose row s marks the inputs whose query reveals row s.

        Of a level that reveals every row (`everywhere`) it has S^2 entries: use the flag where S is large.

        Raises
        ------
        BallsTooLarge
            Before more than `kt_theory.graphs.MOST_ENTRIES` entries would have to be worked through.
        """
        import scipy.sparse as sp

        if self._inputs is None:
            return sp.eye_array(inputs, dtype=bool, format="csr")
        if self._inputs != inputs:
            what = f"graph has {self._inputs} vertices" if self.graph else f"features has {self._inputs} rows"
            one = "one vertex each" if self.graph else "one row each"
            raise ValueError(f"{what}: the teacher has {inputs} inputs, {one} is needed")
        if self._balls is None:
            balls = everything(inputs) if self.graph is None else self.graph.balls(self.hops)
            object.__setattr__(self, "_balls", balls)
        return self._balls

    def refuse_impossible(self, pi: np.ndarray) -> None:
        """Raise ValueError if no teacher of table pi (S, A) can answer so: a Jacobian needs affine logits."""
        if self.features is not None:
            affine_logits(pi, self.features)

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) that an answer shows in place of the probabilities pi (S, A)."""
        return pi if self.channel is None else self.channel.shown(pi)

    def seen_counts(self, counts: ArrayLike, pi: ArrayLike) -> np.ndarray:
        """Return the counts (S, A) as a student sees them: a greedy query returns the most probable label."""
        counts = np.asarray(counts)
        if not self.greedy:
            return counts
        seen = np.zeros_like(counts)
        seen[np.arange(len(counts)), np.argmax(pi, axis=1)] = counts.sum(axis=1)
        return seen

    def reveal(self, counts: ArrayLike, pi: ArrayLike, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return what a transfer set reveals of the teacher's table.

        Parameters
        ----------
        counts : array_like, (S, A)
            How often each (input, label) pair was sampled.
        pi : array_like, (S, A)
            The teacher's table.
        rng : numpy.random.Generator, optional
            Where the noise of a noisy level comes from. A weight that k queries revealed is the geometric mean of what
            they showed: its log-probability plus noise / sqrt(k).

        Returns
        -------
        (S, A) array: what is shown of pi where it is revealed, NaN where it is hidden.
        """
        counts, pi = np.asarray(counts), np.asarray(pi, dtype=np.float64)
        self.refuse_impossible(pi)
        visits = counts.sum(axis=1)
        if self.everywhere:
            reached = np.full(len(pi), bool(visits.any()))
        else:
            reached = (self.balls(len(pi)) @ (visits > 0).astype(np.int64)) > 0
        ranked = reached[:, None] & (label_ranks(pi) < self.top)
        revealed = ranked | (counts > 0) if self.sampled else ranked
        weights = self.shown(pi)
        if self.non_target:
            weights, revealed = _without_targets(counts, pi)
        if self.noise > 0.0:
            if rng is None:
                raise ValueError(f"rng = None: access {self.name!r} is noisy; give a numpy.random.Generator")
            answers = np.maximum(np.where(ranked, visits[:, None], counts), 1)
            weights = weights * np.exp(self.noise * rng.standard_normal(pi.shape) / np.sqrt(answers))
        return np.where(revealed, weights, np.nan)

    def __repr__(self) -> str:
        return f"Access({self.name}: {self.description})"


def label_ranks(pi: np.ndarray) -> np.ndarray:
    """Return the rank of each label in its row, 0 for the most probable; equal probabilities keep label order."""
    order = np.argsort(-pi, axis=1, kind="stable")
    ranks = np.empty(pi.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(pi.shape[1], dtype=np.int32)[None, :], axis=1)
    return ranks


def _without_targets(counts: np.ndarray, pi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the non-target parts of the answers tell, (S, A), and where; see `NON_TARGET`."""
    seen, positive = counts > 0, pi > 0.0
    distinct = seen.sum(axis=1, keepdims=True)
    whole = (distinct > 1) & (positive.sum(axis=1, keepdims=True) > 2)
    others = np.where(seen, 0.0, pi)
    rest = others.sum(axis=1, keepdims=True)
    relative = np.divide(others, rest, out=np.zeros_like(pi), where=(distinct == 1) & (rest > 0.0))
    return np.where(whole, pi, relative), whole | ((distinct > 0) & ~seen)


HARD = Access("hard", "hard labels: the sampled label", sampled=False, top=0)
PARTIAL = Access("partial", "partial soft labels: the sampled label and its probability", sampled=True, top=0)
SOFT = Access("soft", "soft labels: all probabilities of the row", sampled=True, top=WHOLE_ROW)

LEVELS = {level.name: level for level in (HARD, PARTIAL, SOFT)}
"""The levels that need no parameter and are ordered, by name, in increasing order."""

NON_TARGET = Access(
    "non_target",
    "the sampled label and the relative probabilities of all the others",
    sampled=False,
    top=0,
    non_target=True,
)
"""The non-target part of decoupled distillation (Zhao, Cui, Song, Qiu and Liang 2022, arXiv 2203.08679).

A query that samples a reveals r_b = p_b / (1 - p_a) for all b != a, and 0 where p_a = 1. Two answers with different
labels a and b determine a row of three or more labels of positive probability: with t = (1-p_b) / (1-p_a), the ratio of
what they show of a third label, p_a = 1 - 1 / (t + r_b). If a and b are all the labels there are, each answer shows a
point mass on the other, and the odds stay hidden. So `Access.reveal` gives: of a row in which one label was seen, r on
the others and NaN at it; of one in which more were, the row itself, or 0 on the others and NaN on both of only two. The
target part alone, p_a of the sampled label, is `PARTIAL`.
"""

ARGMAX = Access(
    "argmax", "the most probable label, whatever was sampled, and no probability", sampled=False, top=0, greedy=True
)
"""Answers at temperature 0 without log-probabilities: the most probable label of the row and nothing else."""

_UNORDERED = {level.name: level for level in (NON_TARGET, ARGMAX)}


def top_k(k: int, *, sampled: bool = True) -> Access:
    """Return the level that reveals the k most probable labels of the row, and the sampled one, with probabilities.

    Of equally probable labels those with the smallest index are shown; a student that treats hidden labels alike has
    the same risk whichever are.

    Parameters
    ----------
    k : int
        At least 0; 0 is `PARTIAL`.
    sampled : bool
        False: the query is greedy and reveals the k most probable labels alone, as an API at temperature 0 does; k is
        then at least 1. What it hides no number of queries shows.
    """
    number = whole_number(k, "k", low=0 if sampled else 1, high=WHOLE_ROW)
    if not sampled:
        text = f"the {number} most probable labels with their probabilities, whatever was sampled"
        return Access(f"top_k_only({number})", text, sampled=False, top=number, greedy=True)
    text = f"the sampled label and the {number} most probable labels with their probabilities"
    return Access(f"top_k({number})", text, sampled=True, top=number)


def gradient(graph: Any, hops: int = 1) -> Access:
    """Return the level whose query at s reveals the logits at s and their derivatives along the graph up to `hops`.

    The discrete gradient along the edges at s, added to the logits at s, gives the logits of every neighbour; order
    `hops` gives every input within that many edges. So the query reveals pi on the ball of that radius.

    Parameters
    ----------
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        Undirected; one vertex per input. See `kt_theory.graphs.as_graph`.
    hops : int
        At least 0; 0 reveals the row itself only, which is `SOFT`.
    """
    net = as_graph(graph)
    radius = whole_number(hops, "hops", low=0)
    text = f"logits and their derivatives up to order {radius} along {net.name}"
    return Access(f"gradient({net.name}, {radius})", text, sampled=True, top=WHOLE_ROW, graph=net, hops=radius)


def jacobian(features: Any) -> Access:
    """Return the level that reveals the logits at s and their derivatives by the features, for softmax-affine teachers.

    The logits are W x + b with x the features of the input. A query at x reveals W (up to a shift that the softmax does
    not see) and W x + b, so the whole teacher: one query suffices. Other teachers are refused where they are met, by
    `Access.refuse_impossible`.

    Parameters
    ----------
    features : (S, d) array_like
        One row for each input.
    """
    points = numeric_array(features, "features", 2).astype(np.float64)
    text = f"logits and their derivatives by {points.shape[1]} features, for logits that are affine in them"
    return Access(f"jacobian({points.shape[1]} features)", text, sampled=True, top=WHOLE_ROW, features=points)


def temperature(tau: float, of: Access = SOFT) -> Access:
    """Return level `of` with the probabilities shown at temperature `tau`: the softmax of the logits divided by tau.

    Parameters
    ----------
    tau : float
        From 0.001 to 1000. Who knows it can undo it on whole rows; see `kt_theory.students.tempered`.
    of : Access
        The level whose answers are shown so; without graph, channel or noise of its own.
    """
    number = positive(tau, "tau", low=1e-3, high=1e3)
    return _through(of, Channel("temperature", number), f"temperature({number:g})", f"at temperature {number:g}")


def rounded(step: float, of: Access = SOFT) -> Access:
    """Return level `of` with log-probabilities rounded to multiples of `step`, from 1e-15 to 1000."""
    number = positive(step, "step", low=1e-15, high=1e3)
    return _through(
        of, Channel("rounded", number), f"rounded({number:g})", f"log-probabilities rounded to multiples of {number:g}"
    )


def quantised(bits: int, of: Access = SOFT) -> Access:
    """Return level `of` with probabilities rounded to multiples of 2^-bits."""
    number = whole_number(bits, "bits", low=1, high=52)
    return _through(
        of, Channel("quantised", float(number)), f"quantised({number})", f"probabilities rounded to {number} bits"
    )


def logits(of: Access = SOFT) -> Access:
    """Return level `of` with unnormalised logits in place of log-probabilities: each row up to an unknown shift.

    Of `SOFT` the softmax undoes it. Of `PARTIAL` (the logit of the sampled label) the mass of a row stays unknown.
    """
    return _through(of, Channel("unnormalised"), "logits", "as logits, with an unknown shift for each input")


def noisy(sigma: float, of: Access = SOFT) -> Access:
    """Return level `of` with Gaussian noise of standard deviation `sigma` on each log-probability, fresh per query.

    Parameters
    ----------
    sigma : float
        In nats, from 1e-15 to 50.
    of : Access
        The level whose answers are shown so; without graph, channel or noise of its own.
    """
    number = positive(sigma, "sigma", low=1e-15, high=LARGEST_NOISE)
    text = f"log-probabilities with noise of standard deviation {number:g}"
    return _through(of, None, f"noisy({number:g})", text, noise=number)


def _through(of: Access, channel: Channel | None, name: str, text: str, noise: float = 0.0) -> Access:
    if not isinstance(of, Access):
        raise ValueError(f"of = {of!r}: must be an Access, such as kt_theory.access.SOFT or top_k(5)")
    if of.graph is not None or of.everywhere or of.channel is not None or of.noise > 0.0 or not (of.sampled or of.top):
        raise ValueError(f"of = {of!r}: must reveal probabilities as they are, and without a graph")
    return replace(of, name=f"{name} {of.name}", description=f"{of.description}; {text}", channel=channel, noise=noise)


def as_access(level: Access | str) -> Access:
    """Return `level`, an `Access` or the name of one that needs no parameter."""
    if isinstance(level, Access):
        return level
    if level in _NEED_PARAMETERS:
        raise ValueError(f"access {level!r} needs a parameter: give kt_theory.access.{_NEED_PARAMETERS[level]}")
    known = LEVELS | _UNORDERED
    if level not in known:
        raise unknown_name("access level", level, [*known, *_NEED_PARAMETERS])
    return known[level]


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
}
