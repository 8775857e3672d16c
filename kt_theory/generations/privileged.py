"""Privileged information: the teacher's answer depends on something that the student never sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.exact.averages import mean_over_visits
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.empirical import Empirical
from kt_theory.generations.learning import draw_labels
from kt_theory.generations.running import Running, blocks
from kt_theory.numeric import total_variation
from kt_theory.simulation.run import progress_bar
from kt_theory.students.risk import exact_risk
from kt_theory.teacher import RowClasses, Teacher
from kt_theory.validation import ROUNDING, as_given, distributions, sample_sizes, whole_number

if TYPE_CHECKING:
    import pandas as pd

_ARRAYS = 6


class Privileged(ByContent):
    """A teacher who also sees u: a query at s draws u and shows all of p(.|s, u), but not u itself.

    The student wants pi(.|s) = sum_u w_u p(.|s, u) and writes the mean of the rows that it was
    shown, Uniform on an unvisited input. It is unbiased on visited inputs, and only the spread over
    u costs: with k visits,

        E TV <= 1/2 sum_a sqrt(Var_u p(a|s, u) / k).

    If p does not depend on u it is ce_ful; if every p(.|s, u) is a point mass it is ce_sgl of pi,
    and always at least as good: it is the mean of ce_sgl's table given the values of u.

    Parameters
    ----------
    tables : array_like, (U, S, A)
        p(a|s, u), rows sum to 1.
    weights : array_like, (U,)
        The law of u, the same at every input.
    rho : array_like, (S,), optional
        Input law. Uniform if omitted.

    Attributes
    ----------
    teacher : Teacher
        The table pi that the student wants, with rho.

    Source: Lopez-Paz, Bottou, Schoelkopf and Vapnik (2015), arXiv 1511.03643; Vapnik and Vashist
    (2009).

    Examples
    --------
    >>> import kt_theory as kt
    >>> hidden = kt.generations.Privileged([[[0.9, 0.1]], [[0.5, 0.5]]], [0.5, 0.5])
    >>> round(hidden.risk(n=4), 12)
    0.075
    """

    def __init__(
        self,
        tables: ArrayLike,
        weights: ArrayLike,
        rho: ArrayLike | None = None,
    ) -> None:
        self._tables = distributions(tables, "tables", 3)
        self._weights = distributions(weights, "weights", 1)
        if len(self._tables) != len(self._weights):
            raise ValueError(
                f"tables has {len(self._tables)} values of u: weights has {len(self._weights)}, "
                "one each is needed"
            )
        law = None if rho is None else distributions(rho, "rho", 1)
        self.teacher = Teacher(np.tensordot(self._weights, self._tables, axes=1), law)

    def compared(self) -> Iterator[Any]:
        """Yield the tables, the law of u and the teacher."""
        return iter((self._tables, self._weights, self.teacher))

    def risk(self, n: Any) -> float | np.ndarray:
        """Return the exact risk E TV(student, pi | rho) after n queries, if no p(a|s, u) has more
        than two values in u.

        If u has two values, or every p(.|s, u) is a point mass, say. With w the probability of the
        larger value x and y the smaller, the number X of visits that show x is Bin(k, w), so label
        a of a visited row is off by (x - y) E|X/k - w|: what ce_sgl loses of the labels (w, 1-w),
        times x - y.

        Parameters
        ----------
        n : int or array_like of int

        Returns
        -------
        float, or an array of the shape of n.

        Raises
        ------
        NoExactRisk
            A label has three probabilities or more at an input, or n is too large: `bound`, or
            `simulate`.
        """
        larger, smaller, chance = self._two_values()
        coins = np.stack([chance, 1.0 - chance], axis=-1).reshape(-1, 2)
        rho = np.repeat(self.teacher.rho, self.teacher.labels)
        # An exact risk is linear in the multiplicities, which need not be whole numbers for that.
        classes = RowClasses(coins, rho, 0.5 * (larger - smaller).ravel())
        try:
            noise = Empirical().visited(classes, np.array(sample_sizes(n), dtype=np.float64))
        except NoExactRisk:
            raise NoExactRisk(
                f"n = {n!r}: takes more than half a minute; use bound(n) or simulate(n, repeats)"
            ) from None
        return exact_risk(self.teacher, "ce_ful", n) + as_given(noise, n)

    def _two_values(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the larger and the smaller value of each p(a|s, u) over u, and the chance of the
        larger, (S, A).
        """
        tables = self._tables[self._weights > 0]
        weights = self._weights[self._weights > 0]
        larger = tables.max(axis=0)
        smaller = tables.min(axis=0)
        above = larger - tables
        below = tables - smaller
        between = np.argwhere((np.minimum(above, below) > ROUNDING).any(axis=0))
        if len(between):
            s, a = between[0]
            raise NoExactRisk(
                f"tables[:, {s}, {a}] has more than two values: no exact risk; use bound(n) or "
                "simulate(n, repeats)"
            )
        return larger, smaller, np.tensordot(weights, above < below, axes=1)

    def bound(self, n: Any) -> float | np.ndarray:
        """Return coverage + 1/2 sum_s rho_s sum_a sd_u p(a|s, u) E[k^(-1/2); k >= 1], which the
        risk never exceeds.

        coverage is the risk of ce_ful, at most S / (e n); the rest at most 1/2 sum_s sqrt(2 rho_s /
        (n + 1)) sum_a sd.

        Parameters
        ----------
        n : int or array_like of int

        Returns
        -------
        float, or an array of the shape of n.
        """
        spread = np.sqrt(
            np.tensordot(self._weights, (self._tables - self.teacher.pi) ** 2, axes=1)
        ).sum(axis=1)
        rhos, place = np.unique(np.minimum(self.teacher.rho, 1.0), return_inverse=True)
        share = np.bincount(place, weights=spread)
        noise = [
            float(sum(0.5 * rhos * share * [mean_over_visits(_per_root, size, r) for r in rhos]))
            for size in sample_sizes(n)
        ]
        return exact_risk(self.teacher, "ce_ful", n) + as_given(noise, n)

    def simulate(
        self,
        n: Any,
        repeats: int = 1000,
        seed: int = 0,
        *,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Return the risk estimated from `repeats` transfer sets of n queries each.

        Parameters
        ----------
        n : int or array_like of int
        repeats : int
            At least 2.
        seed : int
        progress : bool
            Show a bar on a terminal once the run has taken 2 seconds.

        Returns
        -------
        DataFrame
            One row per n: teacher, student ("privileged"), n, inputs, labels, mean, std_error, low,
            high (95 %), interval, repeats, seed.
        """
        import pandas as pd

        sizes = sample_sizes(n)
        repeats = whole_number(repeats, "repeats", low=2)
        seed = whole_number(seed, "seed", high=2**128)
        teacher = self.teacher
        shape = (self.teacher.inputs, len(self._weights))
        rows = []
        with progress_bar(repeats * len(sizes), progress) as shown:
            for size in sizes:
                total = Running(1)
                for count, rng in blocks(
                    repeats, _ARRAYS * teacher.inputs * max(teacher.labels, shape[1]), seed, size
                ):
                    law = np.broadcast_to(teacher.rho, (count, 1, shape[0]))
                    visits = draw_labels(np.full((count, 1), size), law, rng)[:, 0]
                    weights = np.broadcast_to(self._weights, (count, *shape))
                    values = draw_labels(visits, weights, rng)
                    loss = total_variation(self._means(values), teacher.pi, teacher.rho)
                    total.add(np.reshape(loss, (1, count)))
                    shown.update(count)
                row = {
                    "teacher": teacher.name,
                    "student": "privileged",
                    "n": size,
                    "inputs": teacher.inputs,
                    "labels": teacher.labels,
                }
                rows.append(row | total.estimate(0) | {"repeats": repeats, "seed": seed})
        return pd.DataFrame(rows)

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Return the student's tables (R, S, A) from how often each value of u answered at each
        input, (R, S, U).
        """
        visits = values.sum(axis=2, keepdims=True)
        shown = np.einsum("rsu,usa->rsa", values, self._tables, optimize=True) / np.maximum(
            visits, 1
        )
        return np.where(visits > 0, shown, 1.0 / self.teacher.labels)

    def __repr__(self) -> str:
        return f"Privileged({len(self._weights)} hidden values, {self.teacher!r})"


def _per_root(visits: np.ndarray) -> np.ndarray:
    return visits**-0.5
