"""Speculative decoding: how often a copy's tokens are accepted, and what that saves.

A draft model proposes g tokens, one after the other from its own rows q; the teacher looks at all
of them in one call and accepts a token a of context s with probability min(1, p(a|s)/q(a|s)). At
the first that is refused it writes one of its own, drawn from (p - q)_+; after g accepted ones it
adds one more. What is written has the teacher's distribution exactly, whatever q is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kt_theory.limits.limit import Limit
from kt_theory.ngrams import BackOff
from kt_theory.sequences import SequenceCopy
from kt_theory.sequences.rounds import along_texts, on_chain
from kt_theory.simulation.run import RiskEstimate
from kt_theory.transfer.certify.certificate import Certificate
from kt_theory.transfer.fit import Copy
from kt_theory.validation import number_between, shown, whole_number

ONE_TOKEN = "a label is one token, and contexts come as rho says"
"""What every acceptance takes for granted."""

INDEPENDENT = "each token of a draft is accepted with the same probability, whatever came before"
"""What tokens per round and the speed-up take for granted beside it."""

ENDLESS = "the teacher writes on and on, and rounds have gone on for long"
"""What exact sums over contexts take for granted."""

OWN_TOKENS = "the held-out texts are the teacher's own, drawn from its rows"
"""What tokens per round along texts take for granted."""


@dataclass(frozen=True)
class Span:
    """A number, or the interval that holds it.

    Attributes
    ----------
    value : float or None
        None where the interval alone is known.
    low, high : float
        Both `value` where that is exact.
    assumes : tuple of str
        What it takes for granted.
    """

    value: float | None
    low: float
    high: float
    assumes: tuple[str, ...]

    def __str__(self) -> str:
        interval = f"{self.low:.4g} to {self.high:.4g}"
        if self.value is None:
            return interval
        return f"{self.value:.4g}" if self.low == self.high else f"{self.value:.4g} ({interval})"


@dataclass(frozen=True)
class Acceptance:
    """What a copy is worth as a draft model.

    Attributes
    ----------
    acceptance : Span
        The probability that a proposed token is accepted, in [0, 1].
    tokens_per_round : Span
        Tokens written for each call of the teacher, from 1 to draft + 1.
    speed_up : Span
        The time of decoding with the teacher alone over that of a round, per token; below 1 the
        draft slows it down.
    draft : int
        Tokens proposed in a round.
    cost : float
        Of one proposed token, in calls of the teacher.
    if_independent : float or None
        Tokens per round by the formula that takes acceptances for independent, where
        `tokens_per_round` does not: on texts, and on the chain of an n-gram teacher.
    """

    acceptance: Span
    tokens_per_round: Span
    speed_up: Span
    draft: int
    cost: float
    if_independent: float | None = None

    def __str__(self) -> str:
        lines = [
            f"acceptance: {self.acceptance}",
            f"tokens per round of {self.draft} proposed: {self.tokens_per_round}",
            *self._beside_the_formula(),
            f"speed-up at {self.cost:g} calls of the teacher a proposed token: {self.speed_up}",
        ]
        taken = dict.fromkeys((*self.acceptance.assumes, *self.speed_up.assumes))
        return "\n".join([*lines, *(f"  assumes: {text}" for text in taken)])

    def _beside_the_formula(self) -> list[str]:
        measured = self.tokens_per_round.value
        if self.if_independent is None or measured is None:
            return []
        off = 100.0 * (self.if_independent / measured - 1.0)
        which = "above" if off >= 0 else "below"
        return [
            f"  by independent acceptances: {self.if_independent:.4g}, {abs(off):.2g} % {which}"
        ]


def acceptance(
    copy_or_risk: Any, draft: int = 4, cost: float = 0.05, *, teacher: BackOff | None = None
) -> Acceptance:
    """Return how often the tokens of a draft model are accepted, and the speed-up that this gives.

    In context s a token of q(.|s) is accepted with probability sum_a min(p(a|s), q(a|s)), so that

        acceptance a = sum_s rho_s sum_a min(p(a|s), q(a|s)) = 1 - TV(q, p | rho)      exactly,
        tokens per round = 1 + a + ... + a^g = (1 - a^(g+1)) / (1 - a),
        speed-up = tokens per round / (g c + 1),

    g proposed tokens a round at the cost c each. The second and the third take acceptances for
    independent with the same probability at every place. In texts some contexts are harder than
    others, and rounds begin where a token was refused: on bigrams and trigrams of a text, with
    drafts learnt from 300 to 30,000 tokens, tokens per round were 0 to 2.4 % below the formula.

    Of an estimated risk it is the acceptance of the mean copy: as tokens per round are convex in a,
    their mean over copies is no smaller. Of a minimax risk it is that of the best draft table on
    the worst teacher.

    Parameters
    ----------
    copy_or_risk : float, RiskEstimate, Limit, Certificate, Copy, SequenceCopy or BackOff
        A risk in total variation, in [0, 1]; or what has one, or its acceptance. Intervals are
        carried through: the 95 % interval of an estimate, the proved one of a limit; of a
        certificate, or of a copy with its certificate at confidence 0.95, `low` is a lower
        confidence bound. Of a `SequenceCopy`: its acceptance at held-out positions, `low` being a
        lower confidence bound for texts to come, and the tokens per round along the held-out texts,
        with all that makes acceptances depend on one another. Of an n-gram model
        (`kt_theory.ngrams`): exact sums over the contexts of its teacher.
    draft : int
        g, at least 1.
    cost : float
        c, at least 0: the time of one proposed token over that of one call of the teacher.
    teacher : BackOff, optional
        Of an n-gram model as the draft: the n-gram model that it is a draft of, with at most 2^24
        contexts times labels.

    Returns
    -------
    Acceptance

    Raises
    ------
    ValueError
        For a risk that is no number in [0, 1], a draft below 1, a negative cost; for an n-gram
        draft without a teacher, or one that looks farther back than the teacher.

    References
    ----------
    Leviathan, Kalman and Matias (2023), arXiv 2211.17192: Corollary 3.6, equation (1), Theorem 3.8.

    Examples
    --------
    >>> import kt_theory as kt
    >>> print(kt.acceptance(0.2))
    acceptance: 0.8
    tokens per round of 4 proposed: 3.362
    speed-up at 0.05 calls of the teacher a proposed token: 2.801
      assumes: a label is one token, and contexts come as rho says
      assumes: each token of a draft is accepted with the same probability, whatever came before
    """
    proposed = whole_number(draft, "draft", low=1)
    price = number_between(cost, "cost", low=0.0, high=math.inf)
    if isinstance(copy_or_risk, BackOff):
        return _on_chain(copy_or_risk, teacher, proposed, price)
    if teacher is not None:
        raise ValueError("teacher is for an n-gram model as the draft: omit it")
    if isinstance(copy_or_risk, SequenceCopy):
        return _along_texts(copy_or_risk, proposed, price)
    risk, low, high, assumes = _risk(copy_or_risk)

    def span(of: Callable[[float], float], *more: str) -> Span:
        value = None if risk is None else of(risk)
        return Span(value, of(high), of(low), (*assumes, ONE_TOKEN, *more))

    def tokens(lost: float) -> float:
        return tokens_per_round(lost, proposed)

    def faster(lost: float) -> float:
        return tokens(lost) / (proposed * price + 1.0)

    return Acceptance(
        span(_accepted),
        span(tokens, INDEPENDENT),
        span(faster, INDEPENDENT),
        proposed,
        price,
    )


def _on_chain(draft: BackOff, teacher: BackOff | None, proposed: int, price: float) -> Acceptance:
    if not isinstance(teacher, BackOff):
        raise ValueError("teacher is missing: an n-gram draft needs the n-gram model it is one of")
    accepted, tokens = on_chain(teacher, draft, proposed)
    return Acceptance(
        _exactly(accepted),
        _exactly(tokens),
        _exactly(tokens / (proposed * price + 1.0)),
        proposed,
        price,
        tokens_per_round(1.0 - accepted, proposed),
    )


def _exactly(value: float) -> Span:
    return Span(value, value, value, (ENDLESS,))


def _along_texts(copy: SequenceCopy, proposed: int, price: float) -> Acceptance:
    measured, accepted = copy.held_out, copy.acceptance
    placed = ~np.isnan(measured.accepted_low)
    run = measured.runs[placed]
    tokens = [
        along_texts(each[placed], run, proposed)
        for each in (measured.accepted_low, measured.accepted_high)
    ]
    if tokens[0] is None or tokens[1] is None:
        raise ValueError(
            f"draft = {proposed}: no held-out text is as long as that; propose fewer tokens"
        )
    sure: tuple[str, ...] = ("what is measured is that of the held-out end of the one text",)
    low = accepted[0]
    if copy.positions.texts > 1:
        certificate = copy.certificate()
        low = min(low, certificate.acceptance)
        sure = (f"{100 * certificate.confidence:g} % confidence", *certificate.assumptions)
    whole = accepted[0] == accepted[1]
    formula = tokens_per_round(1.0 - 0.5 * sum(accepted), proposed)

    def span(low: float, high: float, *more: str) -> Span:
        return Span(low if low == high else None, low, high, more)

    per_call = proposed * price + 1.0
    return Acceptance(
        Span(accepted[0] if whole else None, low, accepted[1], sure),
        span(tokens[0], tokens[1], OWN_TOKENS),
        span(tokens[0] / per_call, tokens[1] / per_call, OWN_TOKENS),
        proposed,
        price,
        formula,
    )


def tokens_per_round(risk: float, draft: int) -> float:
    """Return (1 - a^(g+1)) / (1 - a), a = 1 - risk: g + 1 at risk 0.

    Parameters
    ----------
    risk : float
        In [0, 1].
    draft : int
        g, at least 1.
    """
    if risk == 0.0:
        return draft + 1.0
    if risk == 1.0:
        return 1.0
    return -math.expm1((draft + 1.0) * math.log1p(-risk)) / risk


def _accepted(risk: float) -> float:
    return 1.0 - risk


_Risk = tuple[float | None, float, float, tuple[str, ...]]
"""A risk, if it is known, the interval that holds it, and what that takes for granted."""


def _in_tv(
    loss: str, value: float | None, low: float, high: float
) -> tuple[float | None, float, float]:
    """Return a risk and its interval in total variation; acceptance is 1 minus it."""
    if loss == "tv":
        return value, low, high
    if loss == "acceptance":
        return None if value is None else 1.0 - value, 1.0 - high, 1.0 - low
    raise ValueError(
        f"copy_or_risk has loss = {loss!r}: must be a risk in tv or in acceptance, which is 1 - tv"
    )


def _risk(given: Any) -> _Risk:
    match given:
        case RiskEstimate():
            sure = f"the risk of {given.student} lies in its 95 % interval"
            return (*_in_tv(given.loss, given.mean, given.low, given.high), (sure,))
        case Limit():
            value = given.lower if given.exact else None
            best = "the draft is the best student, and the teacher the worst one of its size"
            return (*_in_tv(given.loss, value, given.lower, given.upper), (best,))
        case Copy():
            return _risk(given.certificate())
        case Certificate():
            sure = f"{100 * given.confidence:g} % confidence of the certificate"
            return None, 0.0, given.bound, (sure, *given.assumptions)
    try:
        risk = number_between(given, "risk", low=0.0, high=1.0)
    except ValueError:
        raise ValueError(
            f"copy_or_risk = {shown(given)}: must be a total variation in [0, 1], a RiskEstimate, "
            "a Limit, a Certificate or a Copy"
        ) from None
    return risk, risk, risk, ()
