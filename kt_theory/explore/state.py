"""What the page asks: sizes, a level, prices, a teacher and the steps in which it was asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory import catalogue, teachers
from kt_theory.access import Access
from kt_theory.teacher import Teacher

INPUTS = (1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 200, 300, 500, 700, 1000)
LABELS = (2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 70, 100)
SAMPLES = (*(digit * 10**power for power in range(6) for digit in (1, 2, 3, 5, 7)), 10**6)
DISTANCES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4)
PRICES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Where the sliders stop."""

PAPER_LEVELS = ("hard", "partial", "soft")
LEVELS = {
    "hard": "the sampled label",
    "partial": "and its probability",
    "top_k(1)": "and the most probable label with its own",
    "top_k(5)": "and the five most probable",
    "soft": "all probabilities",
    "argmax": "the most probable label alone",
    "top_k_only(5)": "the five most probable, no sample",
    "temperature(2)": "all probabilities, at temperature 2",
    "rounded(0.1)": "all log-probabilities, in steps of 0.1",
    "quantised(8)": "all probabilities, of 8 bits",
    "gradient(cycle, 1)": "all probabilities, and those of two neighbours on a cycle",
}
"""The levels to choose from, with what one query reveals."""

FAMILIES = {
    "zipf": "each row a Zipf law in an order of its own",
    "dirichlet": "rows drawn uniformly from all distributions",
    "deterministic": "one label for each input",
    "uniform": "all labels alike",
}
"""The teachers to choose from, with their description."""

MOST_PAIRS = 10**7
"""Largest transfer set of the page."""

_POINTS = 11


@dataclass(frozen=True)
class Asked:
    """A teacher of a family: what its table depends on, and no more.

    Attributes
    ----------
    family : str
        A key of `FAMILIES`.
    inputs, labels : int
        S and A.
    seed : int
    """

    family: str
    inputs: int
    labels: int
    seed: int

    @property
    def teacher(self) -> Teacher:
        """The teacher itself."""
        size = self.inputs, self.labels
        match self.family:
            case "zipf":
                return teachers.zipf(*size, seed=self.seed)
            case "dirichlet":
                return teachers.dirichlet(*size, seed=self.seed)
            case "deterministic":
                return teachers.deterministic(*size, seed=self.seed)
        return teachers.uniform(*size)


@dataclass(frozen=True)
class State:
    """All that the page's answers depend on.

    Attributes
    ----------
    inputs, labels, n : int
        S, A and the pairs of a transfer set.
    level : str
        A key of `LEVELS`.
    tv : float
        The total variation to plan for.
    query_price, entry_price : float
        Of a query, and of a log-probability that it reveals.
    family : str
    seed : int
        Of the teacher and of its answers.
    steps : tuple of int
        How many pairs were sampled at each step.
    """

    inputs: int = 100
    labels: int = 25
    n: int = 1000
    level: str = "partial"
    tv: float = 0.05
    query_price: float = 0.01
    entry_price: float = 0.001
    family: str = "zipf"
    seed: int = 0
    steps: tuple[int, ...] = ()

    @property
    def asked(self) -> Asked:
        """The teacher that is asked."""
        return Asked(self.family, self.inputs, self.labels, self.seed)

    @property
    def grid(self) -> tuple[int, ...]:
        """The n at which curves are computed, with every fourth first, so that their shape shows
        early.
        """
        ends = max(1, self.inputs // 3), 100 * self.inputs * self.labels
        points = np.unique(np.geomspace(*ends, _POINTS).round().astype(int)).tolist()
        return (*points[::4], *points[2::4], *points[1::2])

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels whose limits are drawn: the paper's and the one that is chosen."""
        return tuple(dict.fromkeys((*PAPER_LEVELS, self.level)))

    @property
    def planned(self) -> tuple[str, ...]:
        """The levels to plan for: those that `plan` shows, and the one that is chosen."""
        ranked = [f"top_k({k})" for k in (1, 5) if k < self.labels - 1]
        return tuple(dict.fromkeys(("hard", "partial", *ranked, "soft", self.level)))

    @property
    def totals(self) -> tuple[int, ...]:
        """The pairs sampled after each step, from 0."""
        return (0, *np.cumsum(self.steps, dtype=np.int64).tolist())


def level_of(name: str, inputs: int) -> Access:
    """Return the access level of a name, of a graph the one with that many inputs.

    Raises
    ------
    ValueError
        If a graph has no such size.
    """
    return catalogue.level(name, inputs)
