"""The result of `minimax_risk`: a minimax value, or the certified interval that holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kt_theory.content import ByContent
from kt_theory.teacher import Teacher
from kt_theory.validation import LARGEST_COUNT, sample_sizes

_DIGITS = range(12, 0, -1)
_AROUND = 100
"""A picture goes from n over this to n times this, where nothing else is asked for."""
_POINTS = 9


@dataclass(frozen=True, eq=False)
class Limit(ByContent):
    """The least worst-case risk that any student can have: it lies in [lower, upper].

    The risk is E TV(q, pi | rho), the expected total variation of equation (2.1) in Zhao and Zhu
    (2023), in [0, 1], or the mean of `loss`; of acceptance, the more the better, what lies there is
    the largest that any student can be sure of. The worst case is over all teachers pi on the given
    numbers of inputs and labels and over all input laws rho.

    Attributes
    ----------
    lower, upper : float
        Proved bounds, in [0, 1]; of kl, reverse_kl and chi2 they may be larger, or inf.
    exact : bool
        True if lower and upper are the minimax risk itself, up to rounding.
    teacher : Teacher or None
        The (nearly) least favourable teacher. Where an optimal student is known, its exact risk
        there is `lower`. Where the lower bound comes from a prior over teachers and from no single
        one, it is a teacher that is bad for the student of `upper` and, of hard labels, for the
        frequencies too, or None. No single teacher has a lower bound of its own: a student that
        always writes it loses nothing there.
    reference : str
        The theorem, and what remains open where the value is not exact.
    access : str
        The access level.
    inputs, labels, n : int
        The class of teachers and the number of samples.
    loss : str
        In which loss.
    prior : str
        The law over teachers whose Bayes risk `lower` is, in words, where it is more than a random
        order of the labels of `teacher`; else empty. The mean of such a law, often uniform rows, is
        no teacher of that risk.
    over : callable or None
        n to the same limit after n samples; not compared.
    """

    lower: float
    upper: float
    exact: bool
    teacher: Teacher | None
    reference: str
    access: str
    inputs: int
    labels: int
    n: int
    loss: str = "tv"
    prior: str = ""
    over: Callable[[int], Limit] | None = field(default=None, compare=False, repr=False)

    def at(self, n: Any) -> list[Limit]:
        """Return the same limit at other numbers of samples.

        On a terminal a bar shows what takes more than 2 seconds.

        Parameters
        ----------
        n : int or array_like of int
            0 to 2^53.
        """
        from tqdm import tqdm

        if self.over is None:
            raise ValueError(
                "this Limit does not know its level at other n: kt.minimax_risk(...) returns one "
                "that does"
            )
        bar = tqdm(sample_sizes(n), unit="n", delay=2, disable=None, leave=False)
        return [replace(self.over(size), over=self.over) for size in bar]

    def plot(self, n: Iterable[int] | None = None, ax: Any = None) -> Any:
        """Draw the minimax risk over n, and return the axes.

        The band lies between the proved bounds, and is a line where the risk is exact. A larger dot
        marks this limit. Hard labels take up to 6 seconds for each n.

        Parameters
        ----------
        n : array_like of int, optional
            From 1; nine values from n/100 to 100 n if omitted.
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
        >>> ax = kt.minimax_risk("soft", inputs=100, labels=25, n=1000).plot()
        >>> ax.lines[0].get_xdata()[[0, -1]]
        array([1.e+01, 1.e+05])
        """
        from kt_theory.limits.figure import draw_limits

        sizes = _around(self.n) if n is None else sample_sizes(n)
        if min(sizes) < 1:
            raise ValueError("n = 0: has no place on a logarithmic axis; use n >= 1")
        return draw_limits(self, self.at(sorted(set(sizes))), ax)

    @property
    def width(self) -> float:
        """The relative width upper/lower - 1 of the interval; 0 where it is exact."""
        if self.exact:
            return 0.0
        return self.upper / self.lower - 1.0 if self.lower > 0 else float("inf")

    def _digits(self) -> str:
        """Return the value with the digits, 12 at most, on which both bounds agree."""
        both = ([f"{end:.{digits}g}" for end in (self.lower, self.upper)] for digits in _DIGITS)
        return next((low for low, high in both if low == high), f"{self.lower:.1g}")

    def __repr__(self) -> str:
        size = f"{self.access}, inputs={self.inputs}, labels={self.labels}, n={self.n}"
        if self.loss != "tv":
            size = f"{size}, loss={self.loss}"
        if self.exact:
            return f"Limit({size}: {self._digits()} exactly; {self.reference})"
        wide = f"{100 * self.width:.2g} % wide" if self.lower > 0 else "nothing proved from below"
        ends = f"between {self.lower:.6g} and {self.upper:.6g}"
        return f"Limit({size}: {ends}, {wide}; {self.reference})"


def _around(n: int) -> list[int]:
    """Return the numbers of samples of a picture."""
    middle = max(n, 1)
    low, high = max(1.0, middle / _AROUND), min(LARGEST_COUNT, float(middle) * _AROUND)
    sizes = {round(size) for size in np.geomspace(low, high, _POINTS)}
    return sorted({size for size in sizes if 1 <= size <= LARGEST_COUNT} | {middle})
