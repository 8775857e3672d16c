"""Losses between a row p of the teacher and a student's row q, and those of one's own.

A risk is the mean of sum_s rho_s loss(p_s, q_s) over transfer sets. Natural logarithms; 0 log 0 =
0; a zero under a positive probability is an infinite loss where a formula divides by it, which is a
value like any other.

On every pair of rows (Pinsker and kin; Gibbs and Su 2002, "On choosing and bounding probability
metrics")

    2 tv^2 <= kl <= log(1 + chi2),   hellinger2 <= tv <= sqrt(2 hellinger2),
    tv^2 / 2 <= js <= tv log 2,      4 tv^2 / A <= l2 <= 2 tv^2.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.validation import distributions, shown, unknown_name

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Loss(ByContent):
    """A loss between rows.

    Attributes
    ----------
    name : str
    formula : str
        In p, the teacher's row, and q, the student's.
    largest : float
        It lies in [0, largest].
    """

    name: str
    formula: str
    largest: float

    def between(self, p: ArrayLike, q: ArrayLike) -> Any:
        """Return the loss of rows q of a student on rows p of the teacher, over the last axis.

        Parameters
        ----------
        p, q : (A,) or (S, A) array_like, rows that sum to 1

        Returns
        -------
        float, or (S,) array.

        Raises
        ------
        ValueError
            If a row is not a distribution, or the shapes differ.
        """
        axes = np.ndim(p)
        teacher, student = distributions(p, "p", axes), distributions(q, "q", axes)
        if teacher.shape != student.shape:
            raise ValueError(
                f"q has shape {student.shape}: p has {teacher.shape}; both are rows of the same "
                "labels"
            )
        found = self.of_rows(teacher, student)
        return float(found) if axes == 1 else found

    def of_rows(self, p: Array, q: Array) -> Array:
        """Return the loss over the last axis of arrays that broadcast, unchecked."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class SumOverLabels(Loss):
    """A loss that is a sum over the labels.

    Attributes
    ----------
    each : callable
        (p, q), arrays that broadcast, to the terms of the sum, all of them >= 0: those of kl,
        reverse_kl and js are p log(p/q) - p + q, in which p - q sums to 0 over a row.
    """

    each: Callable[[Any, Any], Array] = field(repr=False)

    def of_rows(self, p: Array, q: Array) -> Array:
        """Return the loss over the last axis of arrays that broadcast, unchecked."""
        return np.asarray(self.each(p, q).sum(axis=-1))


@dataclass(frozen=True, eq=False)
class RowLoss(Loss):
    """A loss of one's own.

    Attributes
    ----------
    py_func : callable
        Of (p, q), two rows (A,), to a number >= 0, or inf.
    """

    py_func: Callable[[Array, Array], float] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was defined with the decorator by its name: that name now means the loss."""
        module, name = self.py_func.__module__, self.py_func.__qualname__
        if getattr(sys.modules.get(module), name, None) is self:
            return _loss_by_name, (module, name)
        return type(self), (self.name, self.formula, self.largest, self.py_func)

    def __call__(self, p: Array, q: Array) -> float:
        """Run it in plain Python on two rows."""
        return float(self.py_func(p, q))

    def of_rows(self, p: Array, q: Array) -> Array:
        """Return the loss over the last axis of arrays that broadcast, unchecked."""
        teacher, student = np.broadcast_arrays(p, q)
        rows = zip(_as_rows(teacher), _as_rows(student), strict=True)
        return np.array([self(one, other) for one, other in rows]).reshape(teacher.shape[:-1])


def row_loss(function: Callable[[Array, Array], float]) -> RowLoss:
    """Mark `function(p, q)` as a loss between a row p of the teacher and a row q of a student.

    It returns a number >= 0, or inf; both rows are (A,) float64 and may not be written to. As a
    rule it is compiled by Numba when a simulation first needs it, and must be a function of its
    arguments alone. `kt_theory.simulate(..., loss=)` takes it.

    Examples
    --------
    >>> import numpy as np
    >>> import kt_theory as kt
    >>> @kt.row_loss
    ... def largest_gap(p, q):
    ...     return np.abs(p - q).max()
    >>> float(largest_gap.between([0.5, 0.5], [0.25, 0.75]))
    0.25
    """
    if not callable(function):
        raise ValueError(f"row_loss({shown(function)}): must be a function of (p, q)")
    return RowLoss(function.__name__, "a loss of one's own", math.inf, function)


def _loss_by_name(module: str, name: str) -> RowLoss:
    return getattr(importlib.import_module(module), name)


def _as_rows(rows: Array) -> Array:
    return rows.reshape(-1, rows.shape[-1])


def _half_gap(p: Array, q: Array) -> Array:
    return 0.5 * np.abs(p - q)


def _relative_entropy(p: Array, q: Array) -> Array:
    """Return p log(p/q) - p + q; near p = q by its series in v = (p-q)/(p+q), so that no digit is
    lost (Loader 2000): (p-q) v + 2 p v sum_j v^(2j) / (2j+1).
    """
    from scipy.special import rel_entr

    gap = np.subtract(p, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        v = gap / np.add(p, q)
    near = np.abs(v) < 0.1
    v = np.where(near, v, 0.0)
    square, series = v * v, np.zeros(v.shape)
    for j in range(8, 0, -1):
        series = (series + 1.0 / (2 * j + 1)) * square
    return np.where(near, gap * v + 2.0 * np.multiply(p, v) * series, rel_entr(p, q) - gap)


def _reverse_relative_entropy(p: Array, q: Array) -> Array:
    return _relative_entropy(q, p)


def _squares_over(p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p == q, 0.0, (p - q) ** 2 / q)


def _half_square_of_roots(p: Array, q: Array) -> Array:
    return 0.5 * (np.sqrt(p) - np.sqrt(q)) ** 2


def _entropies_to_the_middle(p: Array, q: Array) -> Array:
    middle = 0.5 * (p + q)
    return 0.5 * (_relative_entropy(p, middle) + _relative_entropy(q, middle))


def _squares(p: Array, q: Array) -> Array:
    return np.asarray((p - q) ** 2)


TV = SumOverLabels("tv", "1/2 sum |p - q|", 1.0, _half_gap)
"""Total variation, the loss of Zhao and Zhu (2023)."""
KL = SumOverLabels("kl", "sum p log(p / q)", math.inf, _relative_entropy)
"""Relative entropy of the teacher's row to the student's, in nats."""
REVERSE_KL = SumOverLabels("reverse_kl", "sum q log(q / p)", math.inf, _reverse_relative_entropy)
"""Relative entropy of the student's row to the teacher's, in nats."""
CHI2 = SumOverLabels("chi2", "sum (p - q)^2 / q", math.inf, _squares_over)
"""Pearson's chi-square of the teacher's row to the student's."""
HELLINGER2 = SumOverLabels("hellinger2", "1 - sum sqrt(p q)", 1.0, _half_square_of_roots)
"""The squared Hellinger distance."""
JS = SumOverLabels(
    "js",
    "1/2 kl(p, m) + 1/2 kl(q, m), m = (p + q) / 2",
    math.log(2.0),
    _entropies_to_the_middle,
)
"""The Jensen-Shannon divergence, in nats."""
L2 = SumOverLabels("l2", "sum (p - q)^2", 2.0, _squares)
"""The squared Euclidean distance."""
ACCEPTANCE = SumOverLabels("acceptance", "sum min(p, q) = 1 - tv", 1.0, np.minimum)
"""The share of a draft's labels that speculative sampling keeps: the more the better."""

LOSSES: dict[str, SumOverLabels] = {
    loss.name: loss for loss in (TV, KL, REVERSE_KL, CHI2, HELLINGER2, JS, L2, ACCEPTANCE)
}
"""The losses by name: tv is that of Zhao and Zhu (2023), acceptance the share of a draft's labels
that speculative sampling keeps (Leviathan, Kalman and Matias 2023), the more the better.
"""


def as_loss(loss: Any) -> Loss:
    """Return a loss given by name or as itself.

    Raises
    ------
    ValueError
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if isinstance(loss, str):
        raise unknown_name("loss", loss, LOSSES)
    raise ValueError(
        f"loss = {shown(loss)}: must be a name such as 'kl', or a function marked @kt.row_loss"
    )


def as_losses(losses: Any) -> list[Loss]:
    """Return one or several losses as a list, none of them twice.

    Raises
    ------
    ValueError
    """
    several = list(losses) if isinstance(losses, (list, tuple)) else [losses]
    found = [as_loss(loss) for loss in several]
    if not found:
        raise ValueError("loss = []: give at least one, such as 'tv'")
    names = [loss.name for loss in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"loss: {name!r} stands there twice; each has one column")
    return found
