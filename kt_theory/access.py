"""Access levels: what one query to the teacher reveals, ordered by how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.graphs import Graph, as_graph
from kt_theory.validation import unknown_name, whole_number

WHOLE_ROW = 2**31 - 1
"""`Access.top` of a level whose query reveals every label of a row."""


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
    """

    name: str
    description: str
    sampled: bool
    top: int
    graph: Graph | None = None
    hops: int = 0
    _balls: Any = field(default=None, init=False, repr=False)

    def covers(self, other: Access) -> bool:
        """Return whether every answer of `other` can be computed from an answer of this level (a garbling of it)."""
        if self.top < other.top or (other.sampled and not (self.sampled or self.top == WHOLE_ROW)):
            return False
        if other.graph is None:
            return True
        if self.graph is None or self.graph.vertices != other.graph.vertices:
            return other.balls(other.graph.vertices).nnz == other.graph.vertices and self.graph is None
        mine, theirs = self.balls(self.graph.vertices), other.balls(other.graph.vertices)
        return bool(mine.multiply(theirs).nnz == theirs.nnz)

    def balls(self, inputs: int) -> Any:
        """Return the (S, S) boolean csr_array whose row s marks the inputs whose query reveals row s."""
        import scipy.sparse as sp

        if self.graph is None:
            return sp.eye_array(inputs, dtype=bool, format="csr")
        if self.graph.vertices != inputs:
            raise ValueError(
                f"graph has {self.graph.vertices} vertices: the teacher has {inputs} inputs, one vertex each is needed"
            )
        if self._balls is None:
            object.__setattr__(self, "_balls", self.graph.balls(self.hops))
        return self._balls

    def reveal(self, counts: ArrayLike, pi: ArrayLike) -> np.ndarray:
        """Return what a transfer set reveals of the teacher's table.

        Parameters
        ----------
        counts : array_like, (S, A)
            How often each (input, label) pair was sampled.
        pi : array_like, (S, A)
            The teacher's table.

        Returns
        -------
        (S, A) array: pi where it is revealed, NaN where it is hidden.
        """
        counts, pi = np.asarray(counts), np.asarray(pi, dtype=np.float64)
        visited = counts.sum(axis=1) > 0
        reached = (self.balls(len(pi)) @ visited.astype(np.int64)) > 0
        shown = reached[:, None] & (label_ranks(pi) < self.top)
        if self.sampled:
            shown |= counts > 0
        return np.where(shown, pi, np.nan)

    def __repr__(self) -> str:
        return f"Access({self.name}: {self.description})"


def label_ranks(pi: np.ndarray) -> np.ndarray:
    """Return the rank of each label in its row, 0 for the most probable; equal probabilities keep label order."""
    order = np.argsort(-pi, axis=1, kind="stable")
    ranks = np.empty(pi.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(pi.shape[1], dtype=np.int32)[None, :], axis=1)
    return ranks


HARD = Access("hard", "hard labels: the sampled label", sampled=False, top=0)
PARTIAL = Access("partial", "partial soft labels: the sampled label and its probability", sampled=True, top=0)
SOFT = Access("soft", "soft labels: all probabilities of the row", sampled=True, top=WHOLE_ROW)

LEVELS = {level.name: level for level in (HARD, PARTIAL, SOFT)}
"""The levels that need no parameter, by name, in increasing order."""


def top_k(k: int) -> Access:
    """Return the level that reveals the k most probable labels of the row, and the sampled one, with probabilities.

    Of equally probable labels those with the smallest index are shown; a student that treats hidden labels alike has
    the same risk whichever are.

    Parameters
    ----------
    k : int
        At least 0; 0 is `PARTIAL`.
    """
    number = whole_number(k, "k", low=0, high=WHOLE_ROW)
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


def as_access(level: Access | str) -> Access:
    """Return `level`, an `Access` or the name of one that needs no parameter."""
    if isinstance(level, Access):
        return level
    if level in _NEED_PARAMETERS:
        raise ValueError(f"access {level!r} needs a parameter: give kt_theory.access.{_NEED_PARAMETERS[level]}")
    if level not in LEVELS:
        raise unknown_name("access level", level, [*LEVELS, *_NEED_PARAMETERS])
    return LEVELS[level]


_NEED_PARAMETERS = {"top_k": "top_k(k)", "gradient": "gradient(graph, hops=1)"}
