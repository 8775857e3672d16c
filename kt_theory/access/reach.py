"""Which rows a query reveals: that of its input, those within some edges of it in a graph, or all
of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np

from kt_theory.affine import affine_logits
from kt_theory.content import ByContent
from kt_theory.graphs import Graph, everything
from kt_theory.validation import shown, whole_number


class Reach(ByContent, ABC):
    """Which rows a query reveals; the kinds are the final classes below.

    Attributes
    ----------
    name, description : str
        As tables and messages call a level that reaches so far; empty for the row of the input
        alone.
    inputs : int or None
        How many inputs it is for; None fits any teacher.
    everywhere : bool
        Whether one query, wherever it falls, reveals every row.
    alone : bool
        Whether a query reveals the row of its own input and no other.
    """

    everywhere: ClassVar[bool] = False
    alone: ClassVar[bool] = False
    unrecorded: ClassVar[str] = " needs gradients: records of labels hold none"
    """Why records of labels and log-probabilities hold no such answers, behind the name of who
    needs them; empty if they do.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """As tables call it."""

    @property
    @abstractmethod
    def description(self) -> str:
        """In words."""

    @property
    @abstractmethod
    def inputs(self) -> int | None:
        """How many inputs it is for."""

    def sized(self, inputs: Any) -> int:
        """Return how many inputs there are: `inputs`, a whole number, or what the level itself
        says.

        Raises
        ------
        ValueError
            If the level says another number.
        """
        if self.inputs is None:
            return whole_number(inputs, "inputs", low=1)
        if inputs is not None and whole_number(inputs, "inputs", low=1) != self.inputs:
            raise ValueError(f"inputs = {shown(inputs)}: {self.of_size}; omit inputs")
        return self.inputs

    @property
    def of_size(self) -> str:
        """How many inputs it is for, in words."""
        return f"it is for {self.inputs} inputs"

    @abstractmethod
    def balls(self, inputs: int) -> Any:
        """Return the (S, S) boolean csr_array whose row s marks the inputs whose query reveals row
        s.
        """

    def revealers(self, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where those inputs start whose query reveals each row, (S + 1,), and all of them
        in turn.

        None are listed where any query does.
        """
        balls = self.balls(inputs)
        return balls.indptr.astype(np.int64), balls.indices.astype(np.int64)

    def reached(self, visits: np.ndarray) -> np.ndarray:
        """Return which rows the queries revealed, (S,) bool, from how often each input was asked,
        (S,).
        """
        return (self.balls(len(visits)) @ (visits > 0).astype(np.int64)) > 0

    def covers(self, other: Reach) -> bool:
        """Return whether a query reveals every row that one of `other` does."""
        if other.inputs is None:
            return True
        if self.inputs is not None and self.inputs != other.inputs:
            return False
        needed = other.balls(other.inputs)
        return bool(self.balls(other.inputs).multiply(needed).nnz == needed.nnz)

    def refuse_impossible(self, pi: np.ndarray) -> None:
        """Raise ValueError if no teacher of table pi (S, A) can answer so: none is refused."""


@final
@dataclass(frozen=True)
class OwnRow(Reach):
    """The row of the input that is asked."""

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    inputs: ClassVar[int | None] = None
    alone: ClassVar[bool] = True
    unrecorded: ClassVar[str] = ""

    def balls(self, inputs: int) -> Any:
        """Return the identity, (S, S)."""
        import scipy.sparse as sp

        return sp.eye_array(inputs, dtype=bool, format="csr")

    def reached(self, visits: np.ndarray) -> np.ndarray:
        """Return which inputs were asked."""
        return visits > 0


@final
@dataclass(frozen=True)
class Ball(Reach):
    """The rows within `hops` edges of the input in a graph."""

    graph: Graph
    hops: int
    _known: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"gradient({self.graph.name}, {self.hops})"

    @property
    def description(self) -> str:
        """In words."""
        return f"logits and their derivatives up to order {self.hops} along {self.graph.name}"

    @property
    def inputs(self) -> int | None:
        """The vertices of the graph."""
        return self.graph.vertices

    @property
    def of_size(self) -> str:
        """How many inputs it is for, in words."""
        return f"the graph has {self.graph.vertices} vertices, one for each input"

    def balls(self, inputs: int) -> Any:
        """Return the balls of the graph.

        Raises
        ------
        BallsTooLarge
            Before more than `kt_theory.graphs.MOST_ENTRIES` entries would have to be worked
            through.
        """
        _refuse_other_size(
            f"graph has {self.graph.vertices} vertices", self.graph.vertices, "vertex", inputs
        )
        if inputs not in self._known:
            self._known[inputs] = self.graph.balls(self.hops)
        return self._known[inputs]


@final
@dataclass(frozen=True, eq=False)
class Everything(Reach):
    """Every row: the answer has the Jacobian of logits W x + b, which gives the whole teacher.

    The logits are W x + b with x the features of the input. A query at x reveals W (up to a shift
    that the softmax does not see) and W x + b. Other teachers are refused where they are met.
    """

    features: np.ndarray
    everywhere: ClassVar[bool] = True
    _known: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"jacobian({self.features.shape[1]} features)"

    @property
    def description(self) -> str:
        """In words."""
        width = self.features.shape[1]
        return (
            f"logits and their derivatives by {width} features, for logits that are affine in them"
        )

    @property
    def inputs(self) -> int | None:
        """The rows of the features."""
        return len(self.features)

    @property
    def of_size(self) -> str:
        """How many inputs it is for, in words."""
        return f"the features are of {len(self.features)} inputs"

    def balls(self, inputs: int) -> Any:
        """Return the (S, S) csr_array of ones, which has S^2 entries: use `everywhere` where S is
        large.
        """
        rows = len(self.features)
        _refuse_other_size(f"features has {rows} rows", rows, "row", inputs)
        if inputs not in self._known:
            self._known[inputs] = everything(inputs)
        return self._known[inputs]

    def revealers(self, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return empty lists: any query reveals any row."""
        return np.zeros(inputs + 1, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def reached(self, visits: np.ndarray) -> np.ndarray:
        """Return all rows, if any input was asked."""
        return np.full(len(visits), bool(visits.any()))

    def covers(self, other: Reach) -> bool:
        """Return whether the other is for the same number of inputs."""
        return other.inputs in (None, self.inputs)

    def refuse_impossible(self, pi: np.ndarray) -> None:
        """Raise ValueError if the logits of pi (S, A) are not affine in the features."""
        affine_logits(pi, self.features)


AnyReach = OwnRow | Ball | Everything
"""Every kind of reach."""


def _refuse_other_size(what: str, size: int, each: str, inputs: int) -> None:
    if size != inputs:
        raise ValueError(f"{what}: the teacher has {inputs} inputs, one {each} each is needed")
