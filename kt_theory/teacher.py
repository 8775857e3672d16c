"""The teacher: an exact conditional distribution pi(a|s) over finite inputs and labels, with the
input law rho.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent, digest
from kt_theory.numeric import softmax
from kt_theory.validation import (
    SUM_TOLERANCE,
    as_floats,
    distributions,
    entries_of,
    in_unicode,
    input_law,
    numeric_array,
    shown,
)

_DRAWN_ROWS, _DRAWN_LABELS = 60, 200
"""The largest table that a picture shows."""

SMALL = 10**6
"""Cells up to which the table of a teacher given by classes is made when somebody looks at it."""


@dataclass(frozen=True, eq=False)
class RowClasses(ByContent):
    """Inputs grouped by (pi(.|s) up to label order, rho(s)); every exact risk costs one row per
    class.

    Attributes
    ----------
    rows : (C, A) array, each row sorted in descending order
    rho : (C,) array, the probability of *one* input of the class
    multiplicity : (C,) int64 array, how many inputs the class holds; sum(rho * multiplicity) = 1
    """

    rows: np.ndarray
    rho: np.ndarray
    multiplicity: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.rows, self.rho, self.multiplicity))

    @property
    def weight(self) -> np.ndarray:
        """The probability of each class, (C,)."""
        return self.rho * self.multiplicity


class Teacher(ByContent):
    """An exact teacher: pi(a|s) over finite inputs and labels and the input law rho. Immutable.

    Teachers of equal tables, laws and names of inputs and labels are equal.

    Parameters
    ----------
    pi : array_like, (S, A)
        Row s is the distribution over labels at input s: entries >= 0, each row sums to 1 within
        1e-9 (float32 tables within their own rounding; those are renormalised in float64).
    rho : array_like, (S,), optional
        Input law, sums to 1. Uniform if omitted.
    normalise : bool
        Divide the rows of pi, and rho, by their sums instead of refusing them.
    input_names, label_names : sequence of str, optional
        What the inputs and labels are called, where they have names.
    name : str, optional
        What result tables call the teacher; a digest of its content such as "teacher 3f9a2c71" if
        omitted. The families of `kt_theory.teachers` are called after themselves and their
        parameters other than inputs, labels and n, and those from files after the file.

    Raises
    ------
    ValueError
        Naming the entry or row, its value and the rule that it breaks.

    Examples
    --------
    >>> import kt_theory as kt
    >>> kt.Teacher([[0.5, 0.5], [1.0, 0.0]])
    Teacher(2 inputs, 2 labels, rho uniform, 2 row classes, mean top probability 0.75, mean entropy
    0.3466 nats)
    """

    inputs: int
    labels: int
    input_names: tuple[str, ...] | None
    label_names: tuple[str, ...] | None
    _name: str | None
    _pi: np.ndarray | None
    _rho: np.ndarray | None

    def __init__(
        self,
        pi: ArrayLike,
        rho: ArrayLike | None = None,
        *,
        normalise: bool = False,
        input_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        table = distributions(pi, "pi", 2, normalise=normalise)
        inputs, labels = table.shape
        self._freeze(
            _pi=_read_only(table),
            _rho=_read_only(input_law(rho, inputs, normalise=normalise)),
            inputs=inputs,
            labels=labels,
            input_names=_names(input_names, inputs, "input_names"),
            label_names=_names(label_names, labels, "label_names"),
            _name=_name(name),
        )

    @classmethod
    def from_logits(
        cls,
        logits: ArrayLike,
        rho: ArrayLike | None = None,
        *,
        input_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        name: str | None = None,
    ) -> Teacher:
        """Return the teacher pi(.|s) = softmax(logits[s]).

        Parameters
        ----------
        logits : array_like, (S, A)
            Log-probabilities up to a constant per row, in nats. -inf is probability 0; a row needs
            one finite entry.
        rho, input_names, label_names, name
            As for `Teacher`.
        """
        array = as_floats(logits, "logits") if np.ma.isMaskedArray(logits) else np.asarray(logits)
        hidden = np.isneginf(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        finite = np.where(hidden, 0.0, array) if hidden.any() else array
        z = numeric_array(finite, "logits", 2).astype(np.float64)
        empty = np.flatnonzero(hidden.all(axis=1))
        if len(empty):
            raise ValueError(
                f"logits row {empty[0]} is -inf everywhere: a row needs at least one finite logit"
            )
        z[hidden] = -np.inf
        pi = softmax(z)
        return cls(pi, rho, input_names=input_names, label_names=label_names, name=name)

    @classmethod
    def from_classes(
        cls, rows: ArrayLike, rho: ArrayLike, multiplicity: ArrayLike, *, name: str | None = None
    ) -> Teacher:
        """Return a teacher given by row classes, without a dense table, so that S may be 10^12.

        Exact risks and limits accept it; whatever needs a dense table (`simulate`, `.pi`) refuses
        it: see `expand`.

        Parameters
        ----------
        rows : array_like, (C, A)
            One distribution per class.
        rho : array_like, (C,)
            The probability of one input of the class.
        multiplicity : array_like, (C,)
            How many inputs each class holds, whole numbers >= 1. sum(rho * multiplicity) must be 1.
        name : str, optional
            As for `Teacher`.
        """
        table = distributions(rows, "rows", 2)
        law = numeric_array(rho, "rho", 1).astype(np.float64)
        counts = numeric_array(multiplicity, "multiplicity", 1).astype(np.float64)
        for argument, array in (("rho", law), ("multiplicity", counts)):
            if len(array) != len(table):
                raise ValueError(
                    f"{argument} has {len(array)} entries: rows has {len(table)} classes, one is "
                    "needed each"
                )
        for c in np.flatnonzero(law < 0):
            raise ValueError(f"rho[{c}] = {law[c]}: input probabilities must be >= 0")
        for c in np.flatnonzero((counts < 1) | (counts != np.floor(counts)) | (counts > 2**62)):
            raise ValueError(
                f"multiplicity[{c}] = {counts[c]:g}: must be a whole number between 1 and 2^62"
            )
        mass = float(law @ counts)
        if abs(mass - 1.0) > SUM_TOLERANCE:
            raise ValueError(f"sum(rho * multiplicity) = {mass:.12g}: must be 1")
        self = cls.__new__(cls)
        descending = np.ascontiguousarray(-np.sort(-table, axis=1))
        classes = _row_classes(descending, law, counts.astype(np.int64))
        self._freeze(
            _pi=None,
            _rho=None,
            inputs=sum(int(c) for c in classes.multiplicity),
            labels=table.shape[1],
            input_names=None,
            label_names=None,
            _name=_name(name),
            classes=classes,
        )
        return self

    def expand(self) -> Teacher:
        """Return the same teacher with a dense table: the inputs of each class in turn, labels in
        descending order.

        Raises
        ------
        ValueError
            If the table would have more than 2^28 cells (2 GiB).
        """
        if self._pi is not None:
            return self
        if self.inputs * self.labels > 2**28:
            raise ValueError(
                f"{_too_dense(self)}, more than the limit of 2 GiB: use exact_risk or minimax_risk"
            )
        rows, rho, multiplicity = self.classes
        table, law = np.repeat(rows, multiplicity, axis=0), np.repeat(rho, multiplicity)
        return Teacher(table, law, name=self._name)

    @cached_property
    def name(self) -> str:
        """What result tables call the teacher."""
        return self._name or f"teacher {digest(*self._held)[:8]}"

    def named(self, name: str) -> Teacher:
        """Return the same teacher, called `name` in result tables."""
        again = Teacher.__new__(Teacher)
        again._freeze(**{**self.__dict__, "_name": _name(name)})
        again.__dict__.pop("name", None)
        return again

    def plot(self, ax: Any = None) -> Any:
        """Draw pi(a|s) as a heat map, and return the axes.

        Up to 60 inputs of 200 labels each input is a row. Of a larger teacher the rows are its row
        classes, heaviest first, 60 at most, the labels of each in descending order, 200 at most.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if omitted.

        Returns
        -------
        matplotlib Axes

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import kt_theory as kt
        >>> ax = kt.Teacher([[0.5, 0.5], [1.0, 0.0]]).plot()
        >>> ax.images[0].get_array().shape
        (2, 2)
        """
        from kt_theory.figures.rows import draw_rows

        size = f"S = {self.inputs:,}, A = {self.labels:,}"
        if self.inputs <= _DRAWN_ROWS and self.labels <= _DRAWN_LABELS:
            even = np.ptp(self.rho) < SUM_TOLERANCE
            words = (f"{self.name}, {size}", "input" if even else "input: rho", "label")
            return draw_rows(self.pi, _row_names(self), self.label_names, words, ax)
        rows, rho, multiplicity = self.classes
        weight = rho * multiplicity
        heaviest = np.argsort(-weight, kind="stable")[:_DRAWN_ROWS]
        names = [f"{float(multiplicity[c]):.4g} x {rho[c]:.2g}" for c in heaviest]
        held = f"{_count(len(rho), 'row class', 'row classes')}"
        if len(heaviest) < len(rho):
            held = f"the {len(heaviest)} heaviest of {held}, {weight[heaviest].sum():.0%} of rho"
        words = (f"{size}: {held}", "row class: inputs x rho", "label by rank")
        return draw_rows(rows[heaviest, :_DRAWN_LABELS], names, None, words, ax)

    @property
    def pi(self) -> np.ndarray:
        """The table pi(a|s): (S, A), rows sum to 1, read-only.

        Of a teacher given by classes it is that of `expand`, where it is small.
        """
        return self._dense[0]

    @property
    def rho(self) -> np.ndarray:
        """The input law: (S,), sums to 1, read-only."""
        return self._dense[1]

    @cached_property
    def classes(self) -> RowClasses:
        """The row classes: inputs with equal rho and equal pi(.|s) up to label order."""
        keyed = np.column_stack([self.rho, -np.sort(-self.pi, axis=1)])
        unique, multiplicity = np.unique(keyed, axis=0, return_counts=True)
        rows, rho = np.ascontiguousarray(unique[:, 1:]), np.ascontiguousarray(unique[:, 0])
        return _row_classes(rows, rho, multiplicity.astype(np.int64))

    def __repr__(self) -> str:
        rows, rho, multiplicity = self.classes
        weight = rho * multiplicity
        positive = np.where(rows > 0, rows, 1.0)
        entropy = -(weight @ (positive * np.log(positive)).sum(axis=1))
        low, high = rho.min(), rho.max()
        law = "rho uniform" if low == high else f"rho from {low:.3g} to {high:.3g}"
        return (
            f"Teacher({_count(self.inputs, 'input')}, {_count(self.labels, 'label')}, {law}, "
            f"{_count(len(rho), 'row class', 'row classes')}, mean top probability "
            f"{weight @ rows[:, 0]:.4g}, mean entropy {max(0.0, entropy):.4g} nats)"
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Teacher is immutable: {name} cannot be set; build a new one")

    def __reduce__(self) -> tuple[Any, ...]:
        names = self.input_names, self.label_names, self._name
        return _rebuild, (self._pi is None, self._held, *names)

    def compared(self) -> Iterator[Any]:
        """Yield what counts when teachers are compared."""
        return iter((self._pi is None, self.input_names, self.label_names, *self._held))

    @property
    def _held(self) -> tuple[np.ndarray, ...]:
        """The table and the law, or the classes."""
        if self._pi is not None and self._rho is not None:
            return self._pi, self._rho
        return tuple(self.classes)

    def _freeze(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    @cached_property
    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        if self._pi is not None and self._rho is not None:
            return self._pi, self._rho
        if self.inputs * self.labels > SMALL:
            way_out = "use exact_risk or minimax_risk, or teacher.expand()"
            raise ValueError(f"{_too_dense(self)}: {way_out}")
        return self.expand()._dense


def require_teacher(given: Any, name: str = "teacher") -> None:
    """Raise ValueError, naming the argument, if `given` is not a Teacher."""
    if not isinstance(given, Teacher):
        raise ValueError(f"{name} is a {type(given).__name__}: must be a Teacher")


def _too_dense(teacher: Teacher) -> str:
    size = 8.0 * teacher.inputs * teacher.labels
    shape = f"{teacher.inputs} x {teacher.labels} would take {size:.3g} bytes"
    return f"a teacher given by classes has no dense table ({shape})"


def _rebuild(by_classes: bool, held: tuple[Any, ...], *names: Any) -> Teacher:
    input_names, label_names, name = names
    if by_classes:
        return Teacher.from_classes(*held, name=name)
    return Teacher(*held, input_names=input_names, label_names=label_names, name=name)


def _row_classes(rows: np.ndarray, rho: np.ndarray, multiplicity: np.ndarray) -> RowClasses:
    return RowClasses(*map(_read_only, (rows, rho, multiplicity)))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array.view()  # a view cannot be made writeable again by its holder


def _row_names(teacher: Teacher) -> list[str]:
    """Return the names of inputs, with their probabilities where these differ."""
    names = teacher.input_names or tuple(map(str, range(teacher.inputs)))
    if np.ptp(teacher.rho) < SUM_TOLERANCE:
        return list(names)
    return [f"{name}: {rho:.2g}" for name, rho in zip(names, teacher.rho, strict=True)]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _name(name: str | None) -> str | None:
    if name is None:
        return None
    if isinstance(name, str) and name.strip():
        return in_unicode(name)
    raise ValueError(f"name = {shown(name)}: must be words that name the teacher's rows in tables")


def _names(names: Sequence[str] | None, length: int, what: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    result = tuple(in_unicode(str(name)) for name in entries_of(names, what))
    if len(result) != length:
        raise ValueError(f"{what} has {len(result)} entries: {length} are needed")
    return result
