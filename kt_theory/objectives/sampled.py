"""Objectives on labels, sampled or greedy: alone, with their probabilities, beside whole rows, or
beside the most probable labels.

With frequencies e of k visits of a row, e -> p: each is what its student writes of e, at e = p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from kt_theory.access import ARGMAX, HARD, PARTIAL, SOFT, WHOLE_ROW, Access, top_k
from kt_theory.objectives.objective import (
    Named,
    Objective,
    Rows,
    Worst,
    among_first,
    called,
    none_lost,
    uniform_on,
)
from kt_theory.validation import number_between, positive, whole_number

_ZOOMS, _POINTS = 12, 64


@final
class SampledWeights(Named):
    """Cross-entropy with sampled labels, each stored with its share of the draws: q = e."""

    words: ClassVar[str] = "p alone, at the rate n^(-1/2)"

    @property
    def needs(self) -> Access:
        """Sampled labels."""
        return HARD

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
class Greedy(Named):
    """Cross-entropy with the teacher's most probable label: the point mass on it.

    It misses p by 1 - max p, at most 1 - 1/A, at the uniform row. Ties go to the smaller index.
    """

    words: ClassVar[str] = "the point mass on the most probable label"

    @property
    def needs(self) -> Access:
        """The most probable label."""
        return ARGMAX

    def written(self, rows: Rows) -> Rows:
        """Return the point masses."""
        return among_first(rows, 1).astype(np.float64)

    def worst(self, labels: int) -> Worst:
        """Return 1 - 1/A, at the uniform row."""
        return Worst(1.0 - 1.0 / labels, uniform_on(labels, labels))


@final
class SampledProbabilities(Named):
    """The squared error of the log-probabilities of sampled labels, sum 1/2 (log q - log p)^2: p on
    labels that were drawn, the rest of the mass free and shared equally; in the end all of positive
    probability are drawn.
    """

    words: ClassVar[str] = "p alone, at the rate 1/n"

    @property
    def needs(self) -> Access:
        """Sampled labels with their probabilities."""
        return PARTIAL

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
@dataclass(frozen=True, eq=False, repr=False)
class SampledTail(Objective):
    """KL on the k most probable labels, those drawn so far, and a bucket for all others: p on the
    former, the rest of the mass free and shared equally; in the end all labels are drawn.

    Attributes
    ----------
    k : int
        At least 0; 0 is `sampled_probabilities`.
    """

    k: int

    words: ClassVar[str] = "p alone, at a rate from S/n to S(A-k)/n"
    reference: ClassVar[str] = "the k most probable labels and the sampled one, the rest shared"

    @property
    def name(self) -> str:
        """As tables call it."""
        return called("sampled_tail", self.k)

    @property
    def needs(self) -> Access:
        """The sampled label and the k most probable ones, with probabilities."""
        return top_k(self.k)

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Hinton(Objective):
    """Hinton's mix, alpha CE(e, q) + (1-alpha) T^2 KL(p_T || q_T).

    As e -> p both parts are least at p, and neither at any other row.

    Attributes
    ----------
    alpha : float
        Weight of the sampled labels, from 0 to 1.
    temperature : float
        T, from 0.001 to 1000.
    """

    alpha: float
    temperature: float

    words: ClassVar[str] = "p alone; at n samples alpha e + (1-alpha) p if T = 1"
    reference: ClassVar[str] = "Hinton, Vinyals and Dean (2015), arXiv 1503.02531"

    @property
    def name(self) -> str:
        """As tables call it."""
        after = [] if self.temperature == 1.0 else [self.temperature]
        return called("hinton", self.alpha, *after)

    @property
    def needs(self) -> Access:
        """Sampled labels and whole rows."""
        return SOFT

    def written(self, rows: Rows) -> Rows:
        """Return the rows."""
        return rows

    def worst(self, labels: int) -> Worst:
        """Return 0."""
        return none_lost(labels)


@final
@dataclass(frozen=True, eq=False, repr=False)
class Weighted(Objective):
    """Cross-entropy with sampled labels of weight p^gamma: -sum p(a_i)^gamma log q(a_i).

    q is proportional to n_a p_a^gamma, which tends to p^b / sum p^b, b = 1 + gamma. TV is the
    largest over sets H of labels of P_H / (P_H + Q_H) - m_H, with m_H the mass of H, P_H the sum of
    p^b in H and Q_H outside. At given masses P_H is largest where one label has all of m_H, and Q_H
    smallest where the others share evenly, as p^b is convex. So with weights 1 and e^y, y <= 0, of
    one label and each of the others the largest is

        max_y  1 / (1 + (A-1) e^(b y)) - 1 / (1 + (A-1) e^y).

    Attributes
    ----------
    gamma : float
        From 0 (no weights) to 100; 1 is `ce_ptl`.
    """

    gamma: float

    words: ClassVar[str] = "p^(1+gamma) / sum p^(1+gamma)"
    reference: ClassVar[str] = "Zhao and Zhu (2023), arXiv 2310.07838, Lemma 4.2, for gamma = 1"

    @property
    def name(self) -> str:
        """As tables call it."""
        return called("ce_weighted", self.gamma)

    @property
    def needs(self) -> Access:
        """Sampled labels with their probabilities."""
        return PARTIAL

    def written(self, rows: Rows) -> Rows:
        """Return p^(1+gamma), normalised."""
        if self.gamma == 0.0:
            return rows
        powers = (rows / rows.max(axis=1, keepdims=True)) ** (1.0 + self.gamma)
        return powers / powers.sum(axis=1, keepdims=True)

    def worst(self, labels: int) -> Worst:
        """Return the maximum over y, to about 12 digits."""
        if labels == 1 or self.gamma == 0.0:
            return none_lost(labels)
        others, power = labels - 1.0, 1.0 + self.gamma
        low, high = -40.0 - np.log(others), 0.0
        for _ in range(_ZOOMS):
            y = np.linspace(low, high, _POINTS)
            gap = 1.0 / (1.0 + others * np.exp(power * y)) - 1.0 / (1.0 + others * np.exp(y))
            place = int(gap.argmax())
            low, high = y[max(place - 1, 0)], y[min(place + 1, _POINTS - 1)]
        row = np.full(labels, np.exp(y[place]))
        row[0] = 1.0
        return Worst(float(gap[place]), row / row.sum())


@final
@dataclass(frozen=True, eq=False, repr=False)
class LabelSmoothing(Objective):
    """Cross-entropy with sampled labels of which a part is spread evenly.

    q = (1-epsilon) e + epsilon/A tends to (1-epsilon) p + epsilon/A, which misses p by epsilon
    TV(Uniform, p), at most epsilon (1-1/A), at point masses.

    Attributes
    ----------
    epsilon : float
        From 0 to 1.
    """

    epsilon: float

    words: ClassVar[str] = "(1-epsilon) p + epsilon/A"
    reference: ClassVar[str] = "Szegedy et al. (2016), arXiv 1512.00567, section 7"

    @property
    def name(self) -> str:
        """As tables call it."""
        return called("label_smoothing", self.epsilon)

    @property
    def needs(self) -> Access:
        """Sampled labels."""
        return HARD

    def written(self, rows: Rows) -> Rows:
        """Return the mixture with the uniform row."""
        return (1.0 - self.epsilon) * rows + self.epsilon / rows.shape[1]

    def worst(self, labels: int) -> Worst:
        """Return epsilon (1-1/A), at a point mass."""
        return Worst(self.epsilon * (1.0 - 1.0 / labels), uniform_on(1, labels))


# By name.


def sampled_weights() -> SampledWeights:
    """Return cross-entropy with sampled labels, stored with their shares of the draws."""
    source = "Anshumann et al. (2025), sparse logit sampling, arXiv 2503.16870"
    return SampledWeights("sampled_weights", source)


def greedy() -> Greedy:
    """Return cross-entropy with the most probable label."""
    return Greedy("greedy", "Kim and Rush (2016), arXiv 1606.07947: of whole sequences")


def sampled_probabilities() -> SampledProbabilities:
    """Return the squared error of the log-probabilities of sampled labels."""
    return SampledProbabilities("sampled_probabilities", "Zhao and Zhu (2023), (4.7)")


def sampled_tail(k: int) -> SampledTail:
    """Return KL on the k most probable labels, those drawn so far, and a bucket for all others.

    Parameters
    ----------
    k : int
        At least 0.
    """
    return SampledTail(whole_number(k, "k", high=WHOLE_ROW))


def hinton(alpha: float, temperature: float = 1.0) -> Hinton:
    """Return Hinton's mix of sampled labels and whole rows at a temperature.

    Parameters
    ----------
    alpha : float
        Weight of the sampled labels, from 0 to 1.
    temperature : float
        From 0.001 to 1000.
    """
    tau = positive(temperature, "temperature", low=1e-3, high=1e3)
    return Hinton(number_between(alpha, "alpha", low=0.0, high=1.0), tau)


def ce_weighted(gamma: float) -> Weighted:
    """Return cross-entropy with sampled labels of weight p^gamma.

    Parameters
    ----------
    gamma : float
        From 0 to 100.
    """
    return Weighted(number_between(gamma, "gamma", low=0.0, high=100.0))


def label_smoothing(epsilon: float) -> LabelSmoothing:
    """Return cross-entropy with sampled labels of which a part is spread evenly.

    Parameters
    ----------
    epsilon : float
        From 0 to 1.
    """
    return LabelSmoothing(number_between(epsilon, "epsilon", low=0.0, high=1.0))
