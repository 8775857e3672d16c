"""The brackets of distorted answers, from those of the levels around them.

The student of a level also has the sampled labels, unless its queries are greedy, so the upper
bound of hard labels holds. The lower bound of the level without the channel holds as well: on
permutations of one known row what is shown of a label is a function of its probability, so the
channel tells no more there.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from kt_theory.limits.bracket import (
    Bracket,
    Curve,
    Impossible,
    Lower,
    Markov,
    Tail,
    Upper,
    falling,
)
from kt_theory.limits.channels.noise import noisy_lower, noisy_upper, shown_noise_upper
from kt_theory.limits.channels.pairs import Pairs, pairs_lower
from kt_theory.limits.channels.scale import (
    good_turing_upper,
    missing_mass_upper,
    sampled_logits_lower,
)
from kt_theory.limits.hard.bracket import Hard, LabelsToo
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.sharing.bracket import lowered
from kt_theory.limits.sharing.curves import upper_near
from kt_theory.limits.soft import soft_limit, unvisited_mass
from kt_theory.validation import positive

MEETING = 1e-12
"""Bounds that agree to this relative difference are one value, up to rounding."""

ALIKE = "teachers whose answers are alike or nearly so, one of them drawn at random"
"""The prior of lower bounds that the channel itself sets."""

DIGITS = 9
"""Binary digits of the n at which upper bounds are searched: steps below 1/200, as each look costs
up to 0.2 s.
"""


def mismatch_floor(b: float, osc: float) -> float:
    """Return tanh(|b-1| osc/4), the largest TV(softmax(b z), softmax(z)) over logits z with max z -
    min z = osc.

    A student that believes in temperature tau' where the truth is tau sharpens what is shown by b =
    tau'/tau and stays so far from the teacher. The errors (b-1) z range over |b-1| osc, so the odds
    of a set of labels change by a factor of at most e^(|b-1| osc), and 1/(1+e^-l) by at most
    tanh(|b-1| osc/4). It is sharp: one label osc above m others, ln m = (b+1) osc/2, attains it.

    Parameters
    ----------
    b : float
        Above 0; 1 is the right temperature.
    osc : float
        In nats, at least 0.
    """
    ratio = positive(b, "b")
    spread = 0.0 if osc == 0 else positive(osc, "osc")
    return math.tanh(0.25 * abs(ratio - 1.0) * spread)


def hard_at_least(inputs: int, labels: int, n: int) -> float:
    """Return what hard labels cannot beat by Theorem 3.1 of Zhao and Zhu (2023), 0 outside its
    regime.
    """
    if labels < 2 or n < inputs * labels / 4:
        return 0.0
    return math.exp(-0.5) / 16 * math.sqrt(inputs * labels / n)


@dataclass(frozen=True)
class Answer:
    """What of a level decides its bracket behind a channel.

    Attributes
    ----------
    plain : Bracket
        Of the level without the channel.
    draws : bool
        Whether the label that comes back is drawn from the row.
    top : int
        How many labels an answer shows by their rank, at most A.
    lesser : tuple of Bracket
        Of levels that reveal less, through the same channel.
    """

    plain: Bracket
    draws: bool
    top: int
    lesser: tuple[Bracket, ...] = ()


class Undone(Bracket):
    """Whole rows through a channel that can be undone: exactly the limit of soft labels."""

    def __init__(self, access: str, name: str, plain: Bracket) -> None:
        super().__init__(access, name, plain.inputs, plain.labels)
        self.plain = plain

    @property
    def whole_rows(self) -> bool:
        """Return True."""
        return True

    def limit(self, n: int) -> Limit:
        """Return the minimax risk."""
        return undone_limit(self, n)

    def surely(self, tv: float) -> int:
        """Return what is enough without the channel."""
        return self.plain.surely(tv)

    def uppers(self) -> tuple[Upper, ...]:
        """Return those without the channel."""
        return self.plain.uppers()

    def lowers(self) -> Iterator[Lower]:
        """Return those without the channel."""
        return self.plain.lowers()

    def tails(self) -> tuple[Tail, ...]:
        """Return those without the channel."""
        return self.plain.tails()

    def terms(self) -> Terms:
        """Return kappa = S alone."""
        return self.three(0.0, self.inputs, 0.0)


def undone_limit(bracket: Bracket, n: int) -> Limit:
    """Return the limit of soft labels as that of a level whose channel is no obstacle at this n."""
    soft = soft_limit(bracket.inputs, bracket.labels, n)
    known = n > 0 and bracket.labels > 1
    reference = "the channel can be undone: (1-1/A) Phi(S, n)" if known else soft.reference
    return replace(soft, access=bracket.access, reference=reference)


class Distorted(Bracket):
    """A level whose channel cannot be undone; one class for each kind of channel."""

    impossible: ClassVar[Impossible] = Bracket.impossible._replace(
        certificate="the tails that are hidden, or pairs of rows that are shown alike"
    )

    def __init__(self, access: str, name: str, answer: Answer, channel: Any) -> None:
        super().__init__(access, name, answer.plain.inputs, answer.plain.labels)
        self.answer, self.channel, self.plain = answer, channel, answer.plain
        self.hard = Hard("hard", "hard", self.inputs, self.labels)

    @property
    def whole(self) -> bool:
        """Whether an answer has all labels of its row."""
        return self.answer.top >= self.labels

    @property
    def by_rank(self) -> bool:
        """Whether answers tell which of two labels is the more probable: by what is on top, or by
        what comes back.
        """
        return not self.answer.draws or 0 < self.answer.top < self.labels

    @property
    def floor(self) -> float:
        """What no number of queries removes: 0 where labels are sampled, as these alone tell all in
        the end.
        """
        return 0.0 if self.answer.draws else self.plain.floor

    @property
    def own_floor(self) -> float:
        """What the level's own student leaves; 0 where that of hard labels, which has none, is as
        good.
        """
        return 0.0 if self.answer.draws else self.visited_floor()

    @property
    def labels_too(self) -> Bracket | None:
        """Hard labels, where labels are sampled."""
        return self.hard if self.answer.draws else None

    def surely(self, tv: float) -> int:
        """Return what is enough without the channel."""
        return self.plain.surely(tv)

    @abstractmethod
    def around(self, n: int, plain: Limit, soft: Limit) -> tuple[float, float, str]:
        """Return (lower, upper, reason) of the channel at n, beside those of levels around it."""

    @abstractmethod
    def parts(self) -> Iterator[Curve]:
        """Return the upper bounds of the level's own students, cheap ones first."""

    def channel_lowers(self) -> Iterator[Lower]:
        """Return lower bounds that are due to the channel and fall in n."""
        return iter(())

    def visited_floor(self) -> float:
        """Return a bound on what a visited row loses whatever was sampled; 1 if none is proved."""
        return 1.0

    def limit(self, n: int) -> Limit:
        """Return the minimax risk, or the interval that holds it.

        Pinsker; Bretagnolle and Huber (1979); Good (1953) for the missing mass.
        """
        S, A = self.inputs, self.labels
        if n == 0 or A == 1:
            return undone_limit(self, n)
        plain, soft = self.plain.limit(n), soft_limit(S, A, n)
        lower, upper, reason = self.around(n, plain, soft)
        upper = min(upper, self.most)
        if self.answer.draws and upper > hard_at_least(S, A, n):
            labelled = self.hard.limit(n)
            if labelled.upper < upper:
                upper, reason = labelled.upper, f"{reason}; upper: the student of hard labels"
            lower = min(lower, labelled.lower)
        teacher, prior = plain.teacher, plain.prior
        if plain.lower < lower:
            teacher, prior = None, ALIKE
        lower = max(plain.lower, lower)
        exact = upper <= lower * (1.0 + MEETING)
        if exact:
            upper = lower
        found = Limit(lower, upper, exact, teacher, reason, self.access, S, A, n, prior=prior)
        # A student may ignore the probability of the sampled label, or those of the top k.
        for less in self.answer.lesser:
            found = lowered(found, less.limit(n))
        return found

    def uppers(self) -> tuple[Upper, ...]:
        """Return those of the level's own students, and of hard labels where labels are sampled."""
        own = tuple(self.parts())
        return (*own, LabelsToo(self.hard)) if self.answer.draws else own

    def lowers(self) -> Iterator[Lower]:
        """Return those without the channel, but for the dear ones, and those of the channel."""
        yield from (lower for lower in self.plain.lowers() if not lower.dear)
        yield from self.channel_lowers()

    def tails(self) -> tuple[Tail, ...]:
        """Return three proofs: the floor and coverage, hard labels, and Markov's inequality on the
        own mean.
        """
        floor = min(self.visited_floor(), self.most)
        covered = (self.covered(floor),) if floor < self.most else ()
        by_mean = Markov(tuple(self.parts()))
        if not self.answer.draws:
            return covered or (by_mean,)
        return (*covered, *self.hard.tails(), by_mean)

    def from_inputs(self, tv: float, best: int) -> float:
        """Return where searches for the channel's lower bounds begin."""
        return max(best, self.inputs / tv)

    def pairs(self) -> int:
        """Return S A."""
        return self.inputs * self.labels

    def curve(
        self, value: Any, points: float, power: float | None, words: str, floor: float = 0.0
    ) -> Curve:
        """Return an upper bound that begins to be searched at points/tv."""
        within = "; n within 1/200 of it"
        return Curve(value, lambda tv: points / tv, words, within, DIGITS, power, floor)

    def on_shown(self) -> str:
        """Return what the student of the plain level is called in certificates."""
        return f"the student of {self.plain.access} on what is shown, every teacher"

    def plain_near(self, n: int, tv: float) -> float:
        """Return the upper bound without the channel, sharp where it is near tv."""
        curve = self.plain.uppers()[0]
        assert isinstance(curve, Curve)
        return curve.value(n, tv)


class ScaleUnknown(Distorted):
    """Rows up to a factor, not all labels shown: temperatures and logits of which the scale stays
    unknown.

    Of sampled labels: the missing-mass student, or one with Good and Turing's estimate of that
    mass. A greedy query: no student is known that beats Uniform.
    """

    def around(self, n: int, plain: Limit, soft: Limit) -> tuple[float, float, str]:
        """Return the bounds of rows of unknown scale."""
        S, A = self.inputs, self.labels
        if not self.answer.draws:
            words = (
                "the most probable labels up to a factor; no student better than Uniform is proved"
            )
            return plain.lower, 1.0, words
        upper = missing_mass_upper(S, A, n)
        if self.answer.top:
            return plain.lower, upper, "lower: without the channel; upper: the missing-mass student"
        upper = min(upper, good_turing_upper(S, A, n, plain.upper))
        lower = max(plain.lower, self.scale_lower(n))
        return lower, upper, "lower: rows of unknown scale; upper: the missing-mass student"

    def scale_lower(self, n: int) -> float:
        """Return what the unknown scale of sampled labels costs; nothing is proved of known
        temperatures.
        """
        return 0.0

    def parts(self) -> Iterator[Curve]:
        """Return those of the missing-mass student and of Good and Turing's estimate."""
        S, A = self.inputs, self.labels
        if not self.answer.draws:
            return
        words = "the missing-mass student, every teacher"
        yield self.curve(lambda n, tv: missing_mass_upper(S, A, n), self.pairs(), 1.0, words)

        def estimated(n: int, tv: float) -> float:
            return good_turing_upper(S, A, n, upper_near(S, A, 0, n, 0.0))

        words = (
            "sampled labels' shares, with Good and Turing's estimate of the missing mass, "
            "every teacher"
        )
        yield self.curve(estimated, self.pairs(), 1.0, words)

    def terms(self) -> Terms:
        """Return kappa = S max(1, A-k): nothing follows from the sum of a row; all is lost of
        greedy queries.
        """
        if not self.answer.draws:
            return self.three(1.0, self.inputs, 0.0)
        return self.three(0.0, self.inputs * max(1, self.labels - self.answer.top), 0.0)


class ShiftUnknown(ScaleUnknown):
    """Logits, each input with its own unknown shift."""

    def scale_lower(self, n: int) -> float:
        """Return the lower bound of rows whose sampled labels never tell their sum."""
        return sampled_logits_lower(self.inputs, self.labels, n)

    def channel_lowers(self) -> Iterator[Lower]:
        """Return that of sampled logits."""
        if not self.answer.top:
            yield falling(self.scale_lower, self.from_inputs, 1.0)


class OnGrid(Distorted):
    """Rounded and quantised: with f the floor of the channel, F(q) <= f + (1-1/A-f) q bounds a
    row's loss.

    q is the chance that the row is unvisited, so f + (1-1/A-f) Phi(S, n) bounds the risk. Of labels
    shown one by one, beside the limit without the channel, the student loses at most 1 -
    e^(-step/2), or half a unit for each label.
    """

    @abstractmethod
    def kinds(self) -> list[list[Pairs]]:
        """Return teachers as lists of pairs of labels that are shown alike."""

    @abstractmethod
    def shown_upper(self, n: int, plain: Limit) -> float:
        """Return an upper bound where labels are shown one by one."""

    def from_pairs(self, n: int) -> float:
        """Return what pairs of labels with one code prove; only sampled labels tell them apart."""
        return pairs_lower(self.inputs, n, self.kinds())

    def around(self, n: int, plain: Limit, soft: Limit) -> tuple[float, float, str]:
        """Return the bounds of pairs of labels with one code, and of the channel's floor."""
        lower = max(plain.lower, 0.0 if self.by_rank else self.from_pairs(n))
        if self.whole:
            floor = self.channel.floor(self.labels)
            upper = floor + max(1.0 - floor / self.most, 0.0) * soft.upper
            return lower, upper, f"floor {floor:.6g}; lower: pairs of labels with one code"
        source = "without the channel" if lower == plain.lower else "pairs of labels with one code"
        words = f"lower: {source}; upper: the plain student on what is shown"
        return lower, self.shown_upper(n, plain), words

    def visited_floor(self) -> float:
        """Return the floor of the channel on whole rows, that of tail and channel of greedy
        answers.
        """
        if self.whole:
            return self.channel.floor(self.labels)
        return 1.0 if self.answer.draws else self.plain.floor + self.each()

    def each(self) -> float:
        """Return what the channel costs where labels are shown one by one."""
        return self.channel.label_floor(self.labels if self.answer.draws else self.answer.top)

    def channel_lowers(self) -> Iterator[Lower]:
        """Return what pairs prove."""
        if not self.by_rank:
            yield falling(self.from_pairs, self.from_inputs, 2.0)

    def parts(self) -> Iterator[Curve]:
        """Return that of the floor, or that of the plain student on what is shown."""
        S, A = self.inputs, self.labels
        if self.whole:
            floor = self.channel.floor(A)
            rest = max(self.most - floor, 0.0)

            def covered(n: int, tv: float) -> float:
                return floor + rest * unvisited_mass(S, n).value

            words = f"floor {floor:.6g} of the channel, F + (1-1/A-F) Phi(S, n), every teacher"
            yield self.curve(covered, S, None, words, floor)
            return
        yield from self.normalised()
        each, tail = self.each(), self.plain.floor

        def shown(n: int, tv: float) -> float:
            return each + self.plain_near(n, tv - each)

        yield self.curve(shown, self.pairs(), None, self.on_shown(), each + tail)

    def normalised(self) -> Iterator[Curve]:
        """Return that of a student that divides by sums, if there is one."""
        return iter(())

    def terms(self) -> Terms:
        """Return the terms without the channel, with its floor beside them."""
        plain = self.plain.terms()
        more = self.channel.floor(self.labels) if self.whole else self.each()
        return self.three(plain.floor + more, plain.kappa, plain.noise)


class RoundedLogs(OnGrid):
    """Log-probabilities rounded to multiples of a step."""

    def kinds(self) -> list[list[Pairs]]:
        """Return pairs within one cell."""
        from kt_theory.limits.channels.pairs import rounded_pairs

        return rounded_pairs(self.channel.step, self.labels)

    def shown_upper(self, n: int, plain: Limit) -> float:
        """Return the better of the plain student and, for drawn labels, the missing-mass one."""
        upper = plain.upper + self.each()
        if not self.answer.draws:
            return upper
        missing = missing_mass_upper(self.inputs, self.labels, n)
        return min(upper, missing + self.channel.floor(self.labels))

    def normalised(self) -> Iterator[Curve]:
        """Return that of the missing-mass student of sampled labels."""
        if not self.answer.draws:
            return
        S, A = self.inputs, self.labels
        floor = self.channel.floor(A)
        words = f"the missing-mass student, and floor {floor:.6g} of the channel, every teacher"

        def value(n: int, tv: float) -> float:
            return floor + missing_mass_upper(S, A, n)

        yield self.curve(value, self.pairs(), None, words, floor)


class QuantisedParts(OnGrid):
    """Probabilities rounded to multiples of a unit."""

    def kinds(self) -> list[list[Pairs]]:
        """Return pairs that are shown as the same multiple."""
        from kt_theory.limits.channels.pairs import quantised_pairs

        return quantised_pairs(self.channel.bits, self.labels)

    def shown_upper(self, n: int, plain: Limit) -> float:
        """Return half a unit for each label that n queries can show."""
        drawn = n if self.answer.draws else 0
        shown = min(self.labels, self.answer.top + drawn)
        return plain.upper + self.channel.label_floor(shown)


class NoisyLogs(Distorted):
    """Log-probabilities with noise, fresh in each answer: see `kt_theory.limits.channels.noise`."""

    @property
    def sigma(self) -> float:
        """The standard deviation."""
        return float(self.channel.sigma)

    @property
    def points(self) -> int:
        """How many things are averaged: visits of a row of greedy answers, samples of a label of
        drawn ones.
        """
        return self.pairs() if self.answer.draws else self.inputs

    def noise_lower(self, n: int) -> float:
        """Return the lower bound of pairs of labels that are hard to tell apart."""
        return noisy_lower(self.inputs, self.labels, n, self.sigma)

    def around(self, n: int, plain: Limit, soft: Limit) -> tuple[float, float, str]:
        """Return the bounds of noise on whole rows, or on labels one by one."""
        S, A = self.inputs, self.labels
        lower = plain.lower if self.by_rank else max(plain.lower, self.noise_lower(n))
        if self.whole:
            words = "lower: pairs of labels hard to tell apart; upper: normalising"
            return lower, noisy_upper(S, A, n, self.sigma), words
        upper = plain.upper + shown_noise_upper(self.points, n, self.sigma)
        source = (
            "without the noise" if lower == plain.lower else "pairs of labels hard to tell apart"
        )
        return lower, upper, f"lower: {source}; upper: the plain student on what is shown"

    def parts(self) -> Iterator[Curve]:
        """Return that of normalised weights on whole rows, else of the plain student on what is
        shown.
        """
        S, A, sigma = self.inputs, self.labels, self.sigma
        if self.whole:
            words = "normalised weights, noise averaged over the visits, every teacher"
            points = sigma**2 * S + S
            yield self.curve(lambda n, tv: noisy_upper(S, A, n, sigma), points, 2.0, words)
            return

        def shown(n: int, tv: float) -> float:
            extra = shown_noise_upper(self.points, n, sigma) if n else 1.0
            return min(1.0, extra + (self.plain_near(n, tv - extra) if extra < tv else 0.0))

        power = 2.0 if self.answer.draws else None
        yield self.curve(shown, self.pairs(), power, self.on_shown())

    def channel_lowers(self) -> Iterator[Lower]:
        """Return that of pairs of labels."""
        if not self.by_rank:
            yield falling(self.noise_lower, self.from_inputs, 2.0)

    def terms(self) -> Terms:
        """Return the terms without the noise, and sigma sqrt(S/(2 pi)) of whole rows, sigma sqrt(2
        m/pi) of m answers.
        """
        plain = self.plain.terms()
        answers = self.inputs if self.whole else self.points
        share = 0.5 if self.whole else 2.0
        return self.three(
            plain.floor, plain.kappa, self.sigma * math.sqrt(answers * share / math.pi)
        )
