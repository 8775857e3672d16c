"""The result of `minimax_risk`: a minimax value, or the certified interval that holds it."""

from __future__ import annotations

from dataclasses import dataclass

from kt_theory.content import ByContent
from kt_theory.teacher import Teacher

_DIGITS = range(12, 0, -1)


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
