"""Rules: what turns the counts of labels and what was revealed of rows into a student's
distributions.

A row rule sees one input only and writes one distribution over the labels:

    rule(counts, revealed, out)
        counts    (A,) int64    how often the queries at this input returned each label revealed
        (A,) float64  what the student's access level shows of pi(a|s), NaN where it is hidden out
        (A,) float64  the student's distribution, to be overwritten: its prior row, NaN if it has
        none

A table rule sees all inputs at once, three arrays (S, A), for students that learn something from
all rows together. The Monte Carlo engine compiles them; called from Python they run as they stand,
which makes them their own oracles.

A rule with parameters takes them as a fourth argument, numbers (P,), so that one piece of machine
code serves all their values, and rules are equal where function and parameters are.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.validation import shown

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class _Rule(ByContent):
    """A rule.

    Parameters
    ----------
    py_func : callable
        A function of (counts, revealed, out), of (counts, revealed, out, parameters), or, with
        `inner`, what makes the latter from the function of the inner rule.
    parameters : (P,) array_like, optional
    inner : RowRule, optional
        A rule that this one calls; its parameters follow those of this one.
    """

    py_func: Function
    parameters: Any = None
    inner: RowRule | TableRule | None = None
    decorator: ClassVar[str]

    def __post_init__(self) -> None:
        if not callable(self.py_func):
            raise ValueError(
                f"{self.decorator}({shown(self.py_func)}): must be a function of "
                "(counts, revealed, out)"
            )
        if self.parameters is not None:
            object.__setattr__(self, "parameters", _vector(self.parameters))

    @cached_property
    def function(self) -> Function:
        """The function of (counts, revealed, out), and of `values` where they are not None."""
        return self.py_func if self.inner is None else _made(self.py_func, self.inner.of_four)

    @cached_property
    def of_four(self) -> Function:
        """The function of (counts, revealed, out, values)."""
        return self.function if self.values is not None else _without_values(self.function)

    @cached_property
    def values(self) -> np.ndarray | None:
        """The parameters, those of the inner rule behind them, (P,), or None."""
        if self.inner is None or self.inner.values is None:
            return self.parameters
        return np.concatenate([self.parameters, self.inner.values])

    def __call__(self, counts: np.ndarray, revealed: np.ndarray, out: np.ndarray) -> None:
        """Run the rule in plain Python."""
        given = () if self.values is None else (self.values,)
        self.function(counts, revealed, out, *given)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a rule that was defined with the decorator by its name: that name now means the
        rule.
        """
        module = self.py_func.__module__
        name = self.py_func.__qualname__
        if getattr(sys.modules.get(module), name, None) is self:
            return _rule_by_name, (module, name)
        return type(self), (self.py_func, self.parameters, self.inner)


class RowRule(_Rule):
    """A row rule: `py_func(counts, revealed, out)`, compiled when the engine first needs it."""

    decorator = "row_rule"


class TableRule(_Rule):
    """A table rule: `py_func(counts, revealed, out)` on all rows together, compiled when the engine
    first needs it.
    """

    decorator = "table_rule"


def _vector(parameters: ArrayLike) -> np.ndarray:
    vector = np.array(parameters, dtype=np.float64).reshape(-1)
    vector.flags.writeable = False
    return vector


@cache
def _made(maker: Callable[[Function], Function], inner: Function) -> Function:
    return maker(inner)


@cache
def _without_values(function: Function) -> Function:
    def of_four(counts, revealed, out, values):
        function(counts, revealed, out)

    return of_four


def _rule_by_name(module: str, name: str) -> RowRule | TableRule:
    return getattr(importlib.import_module(module), name)


def row_rule(function: Function) -> RowRule:
    """Mark `function(counts, revealed, out)` as a row rule, to be compiled by Numba when a
    simulation needs it.

    Its indices are checked against the bounds of the arrays in the first repeats of a simulation
    only, at most 64, because the checks double its time: a rule that leaves them later may do
    anything.

    A rule must be a function of its arguments alone: global names keep the value that they have
    when it is compiled, and a rule that draws random numbers would make results depend on the
    number of threads.

    Loops are fastest: a rule written with them costs about as much as the paper's students and the
    draws together. An expression over a whole row makes an array for each row, costs half as much
    again, and takes seconds longer to compile; `np.divide(counts, visits, out)` does neither.

    Examples
    --------
    >>> import kt_theory as kt
    >>> @kt.row_rule
    ... def laplace(counts, revealed, out):
    ...     out[:] = (counts + 1.0) / (counts.sum() + counts.size)
    >>> student = kt.Student("laplace", access="hard", rule=laplace)

    The same in loops:

    >>> @kt.row_rule
    ... def laplace(counts, revealed, out):
    ...     total = float(counts.size)
    ...     for a in range(counts.size):
    ...         total += counts[a]
    ...     for a in range(counts.size):
    ...         out[a] = (counts[a] + 1.0) / total
    """
    return RowRule(function)


def table_rule(function: Function) -> TableRule:
    """Mark `function(counts, revealed, out)` as a table rule: as `row_rule`, on arrays (S, A), once
    per transfer set.

    For students that pool rows, such as one unknown temperature for all of them. It costs four
    arrays of the teacher's size for each thread. Reductions along an axis do not compile to fast
    code; loops do.

    Examples
    --------
    >>> import kt_theory as kt
    >>> @kt.students.table_rule
    ... def label_marginal(counts, revealed, out):
    ...     out[:] = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])
    >>> student = kt.Student("label_marginal", access="hard", rule=label_marginal)
    """
    return TableRule(function)


def frequencies(counts, revealed, out):
    """Write n_sa / n_s."""
    visits = counts.sum()
    if visits == 0:
        out[:] = 1.0 / counts.size
    else:
        np.divide(counts, visits, out)


def smoothed_frequencies(counts, revealed, out, parameters):
    """Write (n_sa + c) / (n_s + c A); the parameter is c."""
    amount = parameters[0]
    total = counts.sum() + amount * counts.size
    if total == 0.0:
        out[:] = 1.0 / counts.size
    else:
        for a in range(counts.size):
            out[a] = (counts[a] + amount) / total


def reweighted_frequencies(counts, revealed, out):
    """Write what is proportional to n_sa pi(a|s)."""
    total = 0.0
    for a in range(counts.size):
        out[a] = counts[a] * revealed[a] if counts[a] > 0 else 0.0
        total += out[a]
    if total == 0.0:
        out[:] = 1.0 / counts.size
    else:
        out /= total


def share_the_rest(counts, revealed, out):
    """Write what is shown, and the rest of the mass in equal shares on the hidden labels."""
    known_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        known = not np.isnan(revealed[a])
        known_mass += revealed[a] if known else 0.0
        hidden += 0 if known else 1
    left = 1.0 - known_mass
    if left <= counts.size * 2.0**-52:
        left = 0.0  # the rounding of the sum, not mass
    share = left / max(hidden, 1)
    for a in range(counts.size):
        out[a] = share if np.isnan(revealed[a]) else revealed[a]


def in_proportion(counts, revealed, out):
    """Write what is shown, divided by its sum, and 0 on the hidden labels."""
    total = 0.0
    for a in range(counts.size):
        out[a] = 0.0 if np.isnan(revealed[a]) else revealed[a]
        total += out[a]
    if total == 0.0:
        out[:] = 1.0 / counts.size
    else:
        out /= total


def good_turing(counts, revealed, out):
    """Write the frequencies but for the share of labels seen once, which goes to the unseen ones,
    equally.
    """
    visits = counts.sum()
    once = 0
    unseen = 0
    for count in counts:
        once += count == 1
        unseen += count == 0
    if visits == 0:
        out[:] = 1.0 / counts.size
    elif unseen == 0:
        np.divide(counts, visits, out)
    else:
        np.multiply(counts, (1.0 - once / visits) / visits, out)
        for a in range(counts.size):
            if counts[a] == 0:
                out[a] = once / visits / unseen
