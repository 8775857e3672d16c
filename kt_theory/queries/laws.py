"""Query laws: which inputs are asked, how often, and with how many labels each. Whoever learns sees
the answers alone.

The loss stays TV(student, pi | rho) whatever the law of the queries; n counts queries. Zhao and Zhu
(2023), section 2 (iid from rho) and appendix G (trajectories); the others go beyond the paper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.numeric import log_missed, power_of
from kt_theory.queries.walks import never_met, survival, survival_cost
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import (
    distributions,
    infinite,
    numeric_array,
    shown,
    unit_interval,
    whole_number,
)


class _Law(ByContent, ABC):
    """What all laws share: a choice of inputs, and a number of labels that each query returns."""

    labels_per_query: int
    held: ClassVar[str] = ""
    """Which field has an entry for each input, if it is given."""

    @property
    @abstractmethod
    def inputs_name(self) -> str:
        """How the choice of inputs is called."""

    @abstractmethod
    def unseen(
        self, counts: list[Any], rho: np.ndarray | None, sets: np.ndarray | None
    ) -> np.ndarray:
        """Return the probability that no input of a set is asked: (N, T) for N numbers of queries
        and `sets`, (T, S) bool; each input if None.
        """

    def unseen_cost(self, counts: list[Any], sets: int | None) -> float:
        """Return the operations that `unseen` takes."""
        return 0.0

    @property
    def name(self) -> str:
        """How the law is called in tables."""
        times = self.labels_per_query
        return self.inputs_name if times == 1 else f"{self.inputs_name} x {times}"

    def __repr__(self) -> str:
        return f"queries.{self.name}"


@dataclass(frozen=True, eq=False, repr=False)
class Iid(_Law):
    """Inputs iid from q, or from the teacher's rho if q is None. See `iid`."""

    q: np.ndarray | None
    labels_per_query: int
    held = "q"

    def law(self, rho: np.ndarray | None) -> np.ndarray:
        """Return q, (S,)."""
        return _given(self.q, rho, "iid queries without q")

    def unseen(
        self, counts: list[Any], rho: np.ndarray | None, sets: np.ndarray | None
    ) -> np.ndarray:
        """Return (1 - q(set))^n."""
        q = self.law(rho)
        hit, missed = (q, 1.0 - q) if sets is None else (sets @ q, ~sets @ q)
        log = log_missed(hit, missed)
        return np.array([power_of(log, count) for count in counts])

    @property
    def inputs_name(self) -> str:
        """How the choice of inputs is called."""
        return "iid" if self.q is None else "iid(q)"


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories(_Law):
    """A Markov chain over the inputs, started afresh every `horizon` steps or never. See `chain`
    and `episodes`.
    """

    transitions: np.ndarray
    start: np.ndarray | None
    horizon: int | None
    labels_per_query: int
    held = "transitions"

    def first(self, rho: np.ndarray | None) -> np.ndarray:
        """Return the law of the first input, (S,)."""
        return _given(self.start, rho, "trajectories without a start")

    def unseen(
        self, counts: list[Any], rho: np.ndarray | None, sets: np.ndarray | None
    ) -> np.ndarray:
        """Return what survives a walk that is absorbed by the set; episodes are independent."""
        start = self.first(rho)
        masks = np.eye(len(start), dtype=bool) if sets is None else sets
        steps = self._walks(counts)
        missed, hit = survival(self.transitions, start, steps, masks)
        found = np.empty((len(counts), len(masks)))
        for i, count in enumerate(counts):
            if self.horizon is None:
                found[i] = (
                    never_met(self.transitions, start, masks)
                    if infinite(count)
                    else missed[steps.index(count)]
                )
                continue
            whole, rest = (np.inf, 0) if infinite(count) else divmod(count, self.horizon)
            one = steps.index(self.horizon)
            cut = steps.index(rest)
            found[i] = power_of(log_missed(hit[one], missed[one]), whole) * missed[cut]
        return found

    def unseen_cost(self, counts: list[Any], sets: int | None) -> float:
        """Return the operations that `unseen` takes."""
        inputs = len(self.transitions)
        masks = inputs if sets is None else sets
        endless = float(inputs) ** 3 * masks * any(infinite(count) for count in counts)
        return endless + survival_cost(self.transitions, self._walks(counts), masks)

    def _walks(self, counts: list[Any]) -> list[int]:
        """Return the lengths of the walks whose survival decides that of `counts` queries."""
        finite = [count for count in counts if not infinite(count)]
        if self.horizon is None:
            return sorted(set(finite))
        return sorted({self.horizon, 0, *(count % self.horizon for count in finite)})

    @property
    def inputs_name(self) -> str:
        """How the choice of inputs is called."""
        return "chain" if self.horizon is None else f"episodes({self.horizon})"


@dataclass(frozen=True, eq=False, repr=False)
class Design(_Law):
    """A fixed number of queries at each input, in proportion to weights. See `adaptive` and
    `oracle`.
    """

    weights: np.ndarray
    once: np.ndarray
    labels_per_query: int
    held = "weights"

    def visits(self, n: int) -> np.ndarray:
        """Return how often each input is asked: (S,) int64 with sum n.

        n_s = max(1, x w_s) where `once` says so, x w_s elsewhere, with the x that makes the sum n;
        fractions are rounded up from the largest on (Hamilton's method). If n is too small to ask
        all of `once`, it is ignored.
        """
        from kt_theory.kernels.visits import apportion

        count = whole_number(n, "n")
        visits = (
            self.once.astype(np.int64)
            if self.once.sum() <= count
            else np.zeros(len(self.once), dtype=np.int64)
        )
        apportion(count, self.weights.copy(), visits, np.empty(len(visits)))
        return visits

    def for_ever(self) -> np.ndarray:
        """Return how often each input is asked as n -> infinity: (S,)."""
        return np.where(self.weights > 0, np.inf, self.once)

    def unseen(
        self, counts: list[Any], rho: np.ndarray | None, sets: np.ndarray | None
    ) -> np.ndarray:
        """Return 0 or 1."""
        numbers = [self.for_ever() if infinite(count) else self.visits(count) for count in counts]
        asked = [visits > 0 for visits in numbers]
        return _not_met(asked, sets)

    @property
    def inputs_name(self) -> str:
        """How the choice of inputs is called."""
        return "design"


@dataclass(frozen=True, eq=False, repr=False)
class TwoStage(_Law):
    """A pilot with equal visits, then the design that its labels call for. See `two_stage`."""

    pilot: float
    labels_per_query: int

    def pilot_visits(self, n: int, rho: np.ndarray) -> np.ndarray:
        """Return how often the pilot asks each input: (S,) int64, equal where rho > 0 but for
        rounding.
        """
        asked = rho > 0
        return Design(asked.astype(np.float64), np.zeros(len(rho), dtype=bool), 1).visits(
            round(self.pilot * n)
        )

    def unseen(
        self, counts: list[Any], rho: np.ndarray | None, sets: np.ndarray | None
    ) -> np.ndarray:
        """Return 0 or 1: what the pilot asks."""
        if rho is None:
            raise ValueError("two-stage queries follow the teacher's rho: give rho")
        asked = []
        for count in counts:
            asked.append(rho > 0 if infinite(count) else self.pilot_visits(count, rho) > 0)
            if not asked[-1][rho > 0].all() and count > 0:
                raise ValueError(
                    f"{self.name}: a pilot that leaves inputs out makes the rest depend on the "
                    "labels drawn"
                )
        return _not_met(asked, sets)

    @property
    def inputs_name(self) -> str:
        """How the choice of inputs is called."""
        return f"two_stage({self.pilot:g})"


QueryLaw = Iid | Trajectories | Design | TwoStage
"""Any law of queries."""


def iid(q: ArrayLike | None = None, *, labels_per_query: int = 1) -> Iid:
    """Return iid queries from q: model compression by pseudo-data, whose transfer set does not
    follow rho.

    The risk of ce_ful is sum_s rho_s (1 - q_s)^n TV(Uniform, pi_s), at most max(rho/q) S / (e n).
    An input with q = 0 is never asked. Bucila, Caruana and Niculescu-Mizil (2006), Model
    compression.

    Parameters
    ----------
    q : array_like, (S,), optional
        Law of the queries, sums to 1; the teacher's rho if omitted.
    labels_per_query : int
        Labels sampled at each queried input, at least 1. n counts queries.
    """
    return Iid(None if q is None else _law(q, "q", 1), _labels(labels_per_query))


def chain(
    transitions: ArrayLike, start: ArrayLike | None = None, *, labels_per_query: int = 1
) -> Trajectories:
    """Return queries along one trajectory of a Markov chain over the inputs: n dependent inputs.

    Parameters
    ----------
    transitions : array_like, (S, S)
        Row s is the law of the input that follows s; rows sum to 1. It need not be irreducible.
    start : array_like, (S,), optional
        Law of the first input; the teacher's rho if omitted.
    labels_per_query : int
        Labels sampled at each step, at least 1.
    """
    return _trajectories(transitions, start, None, labels_per_query)


def episodes(
    transitions: ArrayLike,
    start: ArrayLike | None,
    horizon: int,
    *,
    labels_per_query: int = 1,
) -> Trajectories:
    """Return queries along episodes of `horizon` steps, each with a fresh start; the last one is
    cut at n.

    Zhao and Zhu (2023), appendix G. With the occupancy measure as rho, E episodes leave an input
    unseen with a probability between (1 - horizon rho_s)^E and (1 - rho_s)^E: they are worth at
    least E iid samples. They are worth at most E horizon samples if the chain starts from its
    stationary law and is reversible with non-negative eigenvalues (lazy, for example), but not in
    general: a cycle that is walked around leaves nothing unseen.

    Parameters
    ----------
    transitions : array_like, (S, S)
        Row s is the law of the input that follows s; rows sum to 1.
    start : array_like, (S,), or None
        Law of an episode's first input; None for the teacher's rho.
    horizon : int
        Steps of one episode, at least 1.
    labels_per_query : int
        Labels sampled at each step, at least 1.
    """
    return _trajectories(
        transitions, start, whole_number(horizon, "horizon", low=1), labels_per_query
    )


def adaptive(weights: ArrayLike, *, labels_per_query: int = 1) -> Design:
    """Return queries at inputs of the student's own choice: n_s in proportion to weights, rounded
    (Hamilton's method).

    Parameters
    ----------
    weights : array_like, (S,)
        At least 0, not all 0; they need not sum to 1. An input of weight 0 is never asked.
    labels_per_query : int
        Labels sampled at each query, at least 1.

    Examples
    --------
    >>> import kt_theory as kt
    >>> kt.queries.adaptive([1, 2, 4]).visits(9)
    array([1, 3, 5])
    """
    weight = numeric_array(weights, "weights", 1).astype(np.float64)
    if (weight < 0).any():
        s = int(np.argmax(weight < 0))
        raise ValueError(f"weights[{s}] = {weight[s]}: must be >= 0")
    if weight.max() == 0:
        raise ValueError("weights are all 0: at least one must be positive")
    weight /= weight.max()
    return Design(_read_only(weight), np.zeros(len(weight), dtype=bool), _labels(labels_per_query))


def oracle(teacher: Teacher, *, labels_per_query: int = 1) -> Design:
    """Return the best design for hard labels: n_s in proportion to (rho_s c_s)^(2/3), c_s = sum_a
    sqrt(p (1-p)).

    A row costs ce_sgl c_s / sqrt(2 pi n_s) to leading order, and these n_s minimise sum_s rho_s c_s
    / sqrt(n_s) under sum n_s = n: the risk is (sum_s (rho_s c_s)^(2/3))^(3/2) / sqrt(2 pi n)
    against sum_s c_s sqrt(rho_s / (2 pi n)) in proportion to rho. Inputs of positive rho are asked
    at least once as far as n goes: one label tells a point mass.

    Parameters
    ----------
    teacher : Teacher
        Its table is what makes this an oracle; `two_stage` estimates c_s instead.
    labels_per_query : int
        Labels sampled at each query, at least 1.
    """
    require_teacher(teacher)
    variance = teacher.pi * np.maximum(1.0 - teacher.pi, 0.0)
    spread = np.sqrt(variance).sum(axis=1)
    weights = (teacher.rho * spread) ** (2.0 / 3.0)
    law = adaptive(weights if weights.any() else teacher.rho, labels_per_query=labels_per_query)
    return Design(law.weights, _read_only(teacher.rho > 0), law.labels_per_query)


def two_stage(pilot: float = 0.25, *, labels_per_query: int = 1) -> TwoStage:
    """Return `oracle` without the oracle: a pilot asks all inputs of positive rho equally, its
    labels say what is next.

    c_s is estimated by sum_a sqrt(p (1-p)) at p = (n_sa + 1/A) / (n_s + 1) with the pilot's counts;
    then each input gets what it lacks of its share (rho_s c_s)^(2/3) of all n queries. The counts
    of both stages are used.

    Parameters
    ----------
    pilot : float
        Share of the n queries that the pilot takes, strictly between 0 and 1.
    labels_per_query : int
        Labels sampled at each query, at least 1.
    """
    return TwoStage(unit_interval(pilot, "pilot"), _labels(labels_per_query))


def as_queries(law: Any, inputs: int) -> QueryLaw:
    """Return `law` after a check that it is a query law over `inputs` inputs."""
    if not isinstance(law, QueryLaw):
        raise ValueError(
            f"queries = {shown(law)}: must be a law from kt_theory.queries, such as queries.iid(q)"
        )
    array = getattr(law, law.held) if law.held else None
    if array is not None and len(array) != inputs:
        raise ValueError(
            f"queries: {law.held} is for {len(array)} inputs, but the teacher has {inputs}"
        )
    return law


def is_default(law: QueryLaw | None) -> bool:
    """Return whether the law is iid from rho with one label per query, the package's default."""
    return law is None or (isinstance(law, Iid) and law.q is None and law.labels_per_query == 1)


def _not_met(asked: list[np.ndarray], sets: np.ndarray | None) -> np.ndarray:
    """Return 1 where no input of a set is asked, for each of several choices of inputs, (S,)
    bool.
    """
    met = [one if sets is None else (sets & one).any(axis=1) for one in asked]
    return np.array([np.asarray(one == 0, dtype=np.float64) for one in met])


def _trajectories(
    transitions: ArrayLike,
    start: ArrayLike | None,
    horizon: int | None,
    m: int,
) -> Trajectories:
    table = _law(transitions, "transitions", 2)
    if table.shape[0] != table.shape[1]:
        raise ValueError(
            f"transitions has shape {table.shape}: must be square, one row and one column per input"
        )
    first = None if start is None else _law(start, "start", 1)
    if first is not None and len(first) != len(table):
        raise ValueError(f"start has {len(first)} entries: transitions has {len(table)} inputs")
    return Trajectories(table, first, horizon, _labels(m))


def _law(values: ArrayLike, name: str, ndim: int) -> np.ndarray:
    """Return `values` as distributions that sum to 1 to the last bit or two: a walk repeats their
    rounding n times.
    """
    table = distributions(values, name, ndim)
    return _read_only(table / table.sum(axis=-1, keepdims=True))


def _labels(number: int) -> int:
    return whole_number(number, "labels_per_query", low=1)


def _given(own: np.ndarray | None, rho: np.ndarray | None, what: str) -> np.ndarray:
    if own is not None:
        return own
    if rho is None:
        raise ValueError(f"{what} follow the teacher's rho: give rho")
    return rho


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
