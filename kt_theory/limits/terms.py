"""Three terms for every access level: what it hides for good, what n queries have not reached, what is left of noise.

    risk <= floor + kappa/(n+1) + noise/sqrt(n)

of the level's own student, for every teacher and every input law; see `kt_theory.limits.kappa` for the second term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kt_theory.access import Access, as_access
from kt_theory.limits import argmax, greedy
from kt_theory.limits.floors import quantised_floor, rounded_floor
from kt_theory.limits.kappa import kappa
from kt_theory.validation import whole_number


@dataclass(frozen=True)
class Terms:
    """What the risk of a level's own student is made of.

    Attributes
    ----------
    access : str
    floor : float
        What no number of queries removes, at the worst teacher.
    kappa : int
        The size of the largest set of points none of which is resolved by the others: coverage is kappa/(n+1).
    noise : float
        The coefficient of n^(-1/2). For sampled labels and noise on whole rows it is that of the first order as n grows
        (the expected divergence of a fit of dim parameters is dim/(2n), Pinsker); 0 where answers are exact.
    labels : int
    """

    access: str
    floor: float
    kappa: int
    noise: float
    labels: int

    def bound(self, n: int) -> float:
        """Return floor + kappa/(n+1) + noise/sqrt(n), at most 1 - 1/A, what a student without any answer loses."""
        samples = whole_number(n, "n")
        most = 1.0 - 1.0 / self.labels
        if samples == 0:
            return most
        return min(most, self.floor + self.kappa / (samples + 1.0) + self.noise / math.sqrt(samples))


def risk_terms(access: str | Access, inputs: int, labels: int) -> Terms:
    """Return floor, kappa and noise of an access level; the formulas are these, with S inputs and A labels.

    ===========================  ==============================  ================  ===========================
    answer                       floor                           kappa             noise
    ===========================  ==============================  ================  ===========================
    hard                         0                               S                 sqrt(S(A-1))/2
    partial                      0                               S(A-1)            0
    top_k(k)                     0                               S max(1, A-1-k)   0
    argmax                       max_j (j-1)(A-1)/(j(A+j-2))     S                 0
    non_target                   0                               2S                sqrt(S)/2
    top_k(k, sampled=False)      max_j (j-k)(A-j)/(j(A-k))       S                 0
    soft                         0                               S                 0
    gradient(graph, hops)        0                               alpha(graph^h)    0
    jacobian(features)           0                               1                 0
    temperature, logits, whole   0                               S                 0
    the same of a sampled label  0                               S max(1, A-k)     0
    rounded(d), whole            tanh(d/4)                       S                 0
    rounded(d), otherwise        1 - e^(-d/2)                    as without        as without
    quantised(b), whole          A/(4 2^b)                       S                 0
    quantised(b), otherwise      2^-(b+1) for each label shown   as without        as without
    noisy(sigma), whole          0                               S                 sigma sqrt(S/(2 pi))
    noisy(sigma), otherwise      as without                      as without        sigma sqrt(2 m/pi), m answers
    ===========================  ==============================  ================  ===========================

    m is S for greedy queries and SA for sampled ones. The student is the level's own (of argmax: argmax_hedged): one of
    hard labels passes every floor, at the pace of hard labels, wherever labels are sampled.

    Parameters
    ----------
    access : str or Access
        A name or an object of `kt_theory.access`; of a graph, one whose independence number is found.
    inputs, labels : int

    Examples
    --------
    >>> from kt_theory.access import rounded
    >>> from kt_theory.limits.terms import risk_terms
    >>> risk_terms(rounded(0.1), inputs=100, labels=25)
    Terms(access='rounded(0.1) soft', floor=0.024994792968420664, kappa=100, noise=0.0, labels=25)
    """
    level = as_access(access)
    S, A = whole_number(inputs, "inputs", low=1), whole_number(labels, "labels", low=1)
    floor, count, noise = _plain(level, S, A)
    whole = level.top >= A
    if level.distortion is not None:
        more, count = _distorted(level, S, A, count, whole)
        floor += more
    if level.noise > 0.0:
        answers = S if level.greedy or whole else S * A
        noise = level.noise * math.sqrt(answers * (0.5 if whole else 2.0) / math.pi)
    return Terms(level.name, min(floor, 1.0 - 1.0 / A), count, noise, A)


def _plain(level: Access, S: int, A: int) -> tuple[float, int, float]:
    """Return the terms of the level without channel and noise."""
    if level.graph is not None:
        return 0.0, kappa("gradient", graph=level.graph, hops=level.hops), 0.0
    if level.everywhere:
        return 0.0, 1, 0.0
    if level.greedy and not level.top:
        return argmax.floor(A), S, 0.0
    if level.non_target and A > 2:
        return 0.0, 2 * S, 0.5 * math.sqrt(S)
    if not (level.top or level.sampled):
        return 0.0, S, 0.5 * math.sqrt(S * (A - 1))
    if level.greedy:
        return greedy.floor(A, level.top), S, 0.0
    return 0.0, S * max(1, A - 1 - level.top), 0.0


def _distorted(level: Access, S: int, A: int, count: int, whole: bool) -> tuple[float, int]:
    """Return what a channel adds to the floor, and the kappa behind it."""
    channel = level.distortion
    assert channel is not None
    if channel.kind == "rounded":
        return (rounded_floor(channel.amount, A) if whole else -math.expm1(-0.5 * channel.amount)), count
    if channel.kind == "quantised":
        bits = int(channel.amount)
        return (quantised_floor(bits, A) if whole else (A if level.sampled else level.top) * 0.5**bits / 2), count
    if whole:
        return 0.0, count
    # The scale of what is shown stays unknown: nothing follows from the sum of a row.
    return (1.0, S) if level.greedy else (0.0, S * max(1, A - level.top))
