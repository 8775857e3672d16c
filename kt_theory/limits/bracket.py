"""The proved curves behind a minimax risk, as functions of n.

A `Limit` is a bracket evaluated at one n; a sample size is a bracket inverted. Each level has one
class of brackets, in the file of its theorem; channels and several labels per query make a bracket
of another one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from kt_theory.limits.crossing import FINE, STEP, Enough, first_below, proved_below
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import unvisited_mass
from kt_theory.validation import LARGEST_COUNT

TINY = 1e-30
"""The smallest total variation that first guesses are made for: far below what 2^53 queries give.
"""

UNPROVED = "no student is proved to be better than Uniform"


class Upper(ABC):
    """A proved upper bound on the minimax risk in mean, as a function of n.

    Attributes
    ----------
    words : str
        What proves it.
    floor : float
        What it never falls below.
    """

    words: str
    floor: float = 0.0

    @abstractmethod
    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return where it falls to `tv`; `known` is a number that suffices by another bound, if one
        does.
        """

    def may_beat(self, known: int, tv: float) -> bool:
        """Return whether it may be at most tv before `known`."""
        return True


@dataclass(frozen=True)
class Curve(Upper):
    """A bound that is cheap to evaluate.

    Attributes
    ----------
    value : callable
        (n, tv) to the bound, which falls in n; it need be sharp only where it is near tv.
    start : callable
        tv to where the search begins.
    words : str
    within : str
        How sharp the n found is, if it is not exact to the last.
    digits, power
        As for `first_below`.
    floor : float
    exact : bool
        Whether the bound is the minimax risk itself.
    """

    value: Callable[[int, float], float]
    start: Callable[[float], float]
    words: str
    within: str = ""
    digits: int = FINE
    power: float | None = 1.0
    floor: float = 0.0
    exact: bool = False

    def crossing(self, tv: float, known: int | None) -> Enough:
        """Return where the curve falls to `tv`."""

        def value(n: int) -> float:
            return self.value(n, tv)

        start = self.start(tv)
        found = first_below(value, tv, start=start, digits=self.digits, power=self.power)
        words = self.words if found.n is None else self.words + self.within
        return Enough.of(found, words, exact=self.exact)

    def may_beat(self, known: int, tv: float) -> bool:
        """Return whether it is at most tv a little before `known`."""
        return self.value(math.ceil(0.995 * known) - 1, tv) <= tv


@dataclass(frozen=True)
class Lower:
    """A proved lower bound on the minimax risk in mean, as a search for a number of queries that is
    too few.

    Attributes
    ----------
    too_few : callable
        (tv, best, n): a number below which no student has risk at most tv; `best` is one that is
        known already, and `n` a number that suffices, or None.
    dear : bool
        Whether a look costs up to a second.
    """

    too_few: Callable[[float, int, int | None], int]
    dear: bool = False


class Tail(ABC):
    """A proof that P(TV > tv) <= delta for every teacher."""

    @abstractmethod
    def crossing(self, tv: float, delta: float) -> Enough:
        """Return the least n for which it holds."""


@dataclass(frozen=True)
class TailCurve(Tail):
    """A bound (n, delta) on the loss, but for a probability of delta."""

    value: Callable[[int, float], float]
    start: Callable[[float], float]
    words: str
    power: float | None

    def crossing(self, tv: float, delta: float) -> Enough:
        """Return the least n at which the bound is at most tv."""

        def value(n: int) -> float:
            return self.value(n, delta)

        start = self.start(tv)
        return Enough.of(
            first_below(value, tv, start=start, digits=FINE, power=self.power), self.words
        )


@dataclass(frozen=True)
class InMean(Tail):
    """A bound in mean of at most 0 or nothing: what one query settles for sure."""

    upper: Upper

    def crossing(self, tv: float, delta: float) -> Enough:
        """Return where the bound in mean falls to tv."""
        return self.upper.crossing(tv, None)


@dataclass(frozen=True)
class Markov(Tail):
    """Markov's inequality on proved bounds in mean."""

    uppers: tuple[Upper, ...]

    def crossing(self, tv: float, delta: float) -> Enough:
        """Return where the bounds in mean fall to tv delta."""
        found = least_enough(self.uppers, tv * delta)
        words = f"Markov's inequality, E TV <= {tv * delta:.4g}: {found.certificate}"
        return replace(found, certificate=words)


@dataclass(frozen=True)
class Covered(Tail):
    """F + D M <= tv, M the Chernoff bound of the missing mass of the inputs, or of other points.

    Attributes
    ----------
    points : int
        How many there are.
    most : float
        What is lost before the first query.
    floor : float
        F, what a visited row may lose.
    spread : float
        D, what an unvisited row may lose beyond a visited one.
    start : callable
    mass : str
        Of what the missing mass is.
    """

    points: int
    most: float
    floor: float
    spread: float
    start: Callable[[float], float]
    mass: str = "the inputs"

    def crossing(self, tv: float, delta: float) -> Enough:
        """Return the least n at which the bound is at most tv."""
        from kt_theory.limits.missing_mass import missing_mass_bounds

        words = f"(1-1/A) times the Chernoff bound of the missing mass of {self.mass}"
        if self.floor:
            chernoff = "times the Chernoff bound of the missing mass of the inputs"
            words = f"floor F = {self.floor:.6g}, and {self.spread:.4g} {chernoff}"
        if self.points > LARGEST_COUNT or self.floor > tv:
            return Enough(None, words, ())

        def loss(n: int) -> float:
            if n == 0:
                return self.most
            missing = missing_mass_bounds(self.points, n, delta).sharper if self.points > 1 else 0.0
            return self.floor + self.spread * missing

        power = None if self.floor else 1.0
        found = first_below(loss, tv, start=self.start(tv), digits=FINE, power=power)
        return Enough.of(found, words + ", every teacher")


class Impossible(NamedTuple):
    """What to say where no number of queries suffices: what hides it, what would help, what proves
    it.
    """

    hides: str
    way_out: str
    certificate: str


class Bracket(ABC):
    """What is proved of the minimax risk of one level at one size, for every n.

    Attributes
    ----------
    access : str
        As `Limit.access` has it.
    name : str
        The level as tables call it.
    inputs, labels : int
    impossible : Impossible
        What to say where `floor` is too high.
    student_words : str
        What certificates call the level's own student; its name if empty.
    labels_alone : bool
        Whether answers hold sampled labels and nothing else.
    shares_equally : bool
        Whether the minimax student is exact on what it was shown and shares the rest equally.
    """

    access: str
    name: str
    inputs: int
    labels: int
    student_words: ClassVar[str] = ""
    labels_alone: ClassVar[bool] = False
    shares_equally: ClassVar[bool] = False
    impossible: ClassVar[Impossible] = Impossible(
        "what it hides leaves",
        "sampled labels, or answers that show more",
        "1/2 sum_s rho_s sum_tail |p - M/(A-k)|, M the mass of the tail, equally shared",
    )

    def __init__(self, access: str, name: str, inputs: int, labels: int) -> None:
        self.access, self.name, self.inputs, self.labels = access, name, inputs, labels

    @property
    def most(self) -> float:
        """1 - 1/A, what the uniform student loses at worst."""
        return 1.0 - 1.0 / self.labels

    @property
    def rows(self) -> int:
        """How many rows can be unresolved together."""
        return self.inputs

    @property
    def floor(self) -> float:
        """What no student gets rid of however large n is."""
        return 0.0

    @property
    def own_floor(self) -> float:
        """What the level's own student leaves, however large n is; 1 where nothing is proved."""
        return self.floor

    @property
    def labels_too(self) -> Bracket | None:
        """The bracket of the hard labels that the answers hold too, where their student may be the
        better one.
        """
        return None

    @property
    def holds_labels(self) -> bool:
        """Whether answers hold labels that are sampled from the rows."""
        return self.labels_too is not None

    @property
    def whole_rows(self) -> bool:
        """Whether a query settles whole rows, so that those that are not settled lose alone."""
        return False

    def surely(self, tv: float) -> int:
        """Return an n from the closed forms in mean at which the level's student succeeds on every
        teacher.
        """
        return count(self.inputs / tv)

    @abstractmethod
    def limit(self, n: int) -> Limit:
        """Return the minimax risk after n samples, or the interval that holds it."""

    @abstractmethod
    def uppers(self) -> tuple[Upper, ...]:
        """Return proved upper bounds in mean, cheap ones first."""

    @abstractmethod
    def lowers(self) -> Iterator[Lower]:
        """Return proved lower bounds in mean, cheap ones first."""

    @abstractmethod
    def tails(self) -> tuple[Tail, ...]:
        """Return what holds with high probability."""

    @abstractmethod
    def terms(self) -> Terms:
        """Return floor, kappa and noise of the level's own student."""

    def three(self, floor: float, kappa: int, noise: float) -> Terms:
        """Return these as the level's terms; no floor exceeds 1-1/A."""
        return Terms(self.name, min(floor, self.most), kappa, noise, self.labels)

    def covered(self, floor: float | None = None, spread: float | None = None) -> Covered:
        """Return the bound by the inputs that were not asked; F and D are those of every teacher if
        omitted.
        """
        left = self.floor if floor is None else floor
        more = self.most - left if spread is None else spread
        return Covered(self.rows, self.most, left, more, self.surely)


def least_enough(uppers: tuple[Upper, ...], tv: float) -> Enough:
    """Return the least n at which one of the bounds is at most tv."""
    best = Enough(None, UNPROVED, ())
    for upper in uppers:
        if upper.floor >= tv:
            best = replace(best, certificate=upper.words) if best.n is None else best
            continue
        if best.n is not None and not upper.may_beat(best.n, tv):
            continue
        found = upper.crossing(tv, best.n)
        if best.n is None or (found.n is not None and found.n < best.n):
            best = found
    return best


def least_surely(tails: tuple[Tail, ...], tv: float, delta: float) -> Enough:
    """Return the least n that one of the tails proves."""
    best = None
    for tail in tails:
        found = tail.crossing(tv, delta)
        if best is None or (found.n is not None and (best.n is None or found.n < best.n)):
            best = found
    assert best is not None
    return best


def enough(bracket: Bracket, tv: float, sure: float | None) -> Enough:
    """Return the least n that is proved to suffice: in mean, or with confidence `sure`."""
    if sure is None:
        return least_enough(bracket.uppers(), tv)
    return least_surely(bracket.tails(), tv, 1.0 - sure)


def most_too_few(bracket: Bracket, tv: float, n: int | None, *, quick: bool = False) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv.

    Parameters
    ----------
    bracket : Bracket
    tv : float
    n : int or None
        Suffices.
    quick : bool
        Leave out what costs up to a second.
    """
    best = 0
    if tv >= bracket.most:
        return best
    for lower in bracket.lowers():
        if not (quick and lower.dear):
            best = max(best, lower.too_few(tv, best, n))
    return best


def coverage_curve(
    size: int, labels: int, start: Callable[[float], float], words: str, exact: bool
) -> Curve:
    """Return (1-1/A) Phi(size, n) as an upper bound."""
    spread = 1.0 - 1.0 / labels

    def value(n: int, tv: float) -> float:
        return spread * unvisited_mass(size, n).value

    return Curve(value, start, words, exact=exact)


def coverage_lower(size: int, labels: int) -> Lower:
    """Return (1-1/A) Phi(size, n) as a lower bound: that of soft labels on so many inputs."""
    spread = 1.0 - 1.0 / labels

    def value(n: int) -> float:
        return spread * unvisited_mass(size, n).value

    def too_few(tv: float, best: int, n: int | None) -> int:
        return first_below(value, tv, start=size / tv, digits=FINE, power=1.0).last_above + 1

    return Lower(too_few)


def falling(
    value: Callable[[int], float],
    start: Callable[[float, int], float],
    power: float | None,
    digits: int = STEP,
) -> Lower:
    """Return a lower bound whose crossing is searched for; `start` is (tv, best) to where the
    search begins.
    """

    def too_few(tv: float, best: int, n: int | None) -> int:
        found = first_below(value, tv, start=start(tv, best), digits=digits, power=power)
        return found.last_above + 1

    return Lower(too_few)


def few_looks(
    value: Callable[[int], float],
    start: Callable[[float, int, int | None], float],
    power: float,
    looks: int,
) -> Lower:
    """Return a lower bound that is dear: a few looks from `start`, (tv, best, n) to where they
    begin.
    """

    def too_few(tv: float, best: int, n: int | None) -> int:
        return proved_below(value, tv, start(tv, best, n), power, looks)

    return Lower(too_few, dear=True)


def theorem(
    id: str, inputs: int, labels: int, start: Callable[[float], float], power: float
) -> Lower:
    """Return a theorem of the paper as a lower bound, as far as eight looks find where it excludes
    tv.
    """
    return Lower(lambda tv, best, n: theorem_excludes(id, inputs, labels, tv, start(tv), power))


def theorem_excludes(
    id: str, inputs: int, labels: int, tv: float, start: float, power: float
) -> int:
    """Return the number of queries below which a theorem of the paper excludes tv, as far as it is
    found.
    """
    import numpy as np

    from kt_theory.limits import paper

    def value(n: int) -> float:
        return float(np.nan_to_num(paper.curve(id, inputs, labels, n)[0]))

    return proved_below(value, tv, start, power, looks=8)


def count(need: float) -> int:
    """Return the whole number of queries above `need`, at most 2^53."""
    return min(math.ceil(min(need, LARGEST_COUNT)) + 1, LARGEST_COUNT)
