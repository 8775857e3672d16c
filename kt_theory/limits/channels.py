"""Levels whose answers show probabilities through a channel: brackets from the limits of the levels around them.

The student of a level also has the sampled labels, unless its queries are greedy, so the upper bound of hard labels
holds. The lower bound of the level without the channel holds as well: on permutations of one known row what is shown of
a label is a function of its probability, so the channel tells no more there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from kt_theory.access import WHOLE_ROW, Access
from kt_theory.limits.floors import Pairs, pairs_lower, quantised_floor, quantised_pairs, rounded_floor, rounded_pairs
from kt_theory.limits.limit import Limit
from kt_theory.limits.noise import noisy_lower, noisy_upper, shown_noise_upper
from kt_theory.limits.sampled import good_turing_upper, missing_mass_upper, sampled_logits_lower
from kt_theory.validation import positive

MEETING = 1e-12
"""Bounds that agree to this relative difference are one value, up to rounding."""


def mismatch_floor(b: float, osc: float) -> float:
    """Return tanh(|b-1| osc/4), the largest TV(softmax(b z), softmax(z)) over logits z with max z - min z = osc.

    A student that believes in temperature tau' where the truth is tau sharpens what is shown by b = tau'/tau and stays
    so far from the teacher. The errors (b-1) z range over |b-1| osc, so the odds of a set of labels change by a factor
    of at most e^(|b-1| osc), and 1/(1+e^-l) by at most tanh(|b-1| osc/4). It is sharp: one label osc above m others,
    ln m = (b+1) osc/2, attains it.

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


def channel_limit(level: Access, plain: Limit, soft: Limit, hard: Callable[[], Limit]) -> Limit:
    """Return the minimax risk of a level with a channel or noise, or the interval that holds it.

    - Temperature known, or unnormalised logits, of whole rows: the channel can be undone, exactly the limit of soft
      labels. Of sampled labels: the missing-mass student, or one with Good and Turing's estimate of that mass.
    - Rounded and quantised: with f the floor of the channel, F(q) <= f + (1-1/A-f) q bounds the loss of a row that is
      unvisited with probability q, so f + (1-1/A-f) Phi(S, n). Of labels shown one by one: beside the limit without the
      channel, the student loses at most 1 - e^(-step/2), and half a unit for each label shown.
    - Noisy: see `kt_theory.limits.noise`.
    - A greedy query through a channel that hides the scale: no student is known that beats Uniform.

    Parameters
    ----------
    level : Access
        With a channel or noise, without a graph.
    plain : Limit
        Of the same level without channel and noise.
    soft : Limit
    hard : function without arguments, returning the Limit of hard labels
        Not called where it cannot help.

    References
    ----------
    Pinsker; Bretagnolle and Huber (1979); Good (1953) for the missing mass.
    """
    S, A, n = plain.inputs, plain.labels, plain.n
    most = 1.0 - 1.0 / A
    whole = level.top >= A
    kind = "noisy" if level.noise > 0.0 or level.distortion is None else level.distortion.kind
    if n == 0 or A == 1 or (whole and kind in ("temperature", "unnormalised", "centred")):
        reference = "the channel can be undone: (1-1/A) Phi(S, n)" if n and A > 1 else soft.reference
        return replace(soft, access=level.name, reference=reference)
    lower, upper, reason = _BOUNDS[kind](level, plain, soft, whole)
    upper = min(upper, most)
    if not level.greedy and upper > hard_at_least(S, A, n):
        labelled = hard()
        if labelled.upper < upper:
            upper, reason = labelled.upper, f"{reason}; upper: the student of hard labels"
        lower = min(lower, labelled.lower)
    teacher = plain.teacher if plain.lower >= lower else None
    lower = max(plain.lower, lower)
    exact = upper <= lower * (1.0 + MEETING)
    return Limit(lower, lower if exact else upper, exact, teacher, reason, level.name, S, A, n)


def hard_at_least(inputs: int, labels: int, n: int) -> float:
    """Return what hard labels cannot beat by Theorem 3.1 of Zhao and Zhu (2023), 0 outside its regime."""
    if labels < 2 or n < inputs * labels / 4:
        return 0.0
    return math.exp(-0.5) / 16 * math.sqrt(inputs * labels / n)


Bounds = tuple[float, float, str]


def _above_floor(floor: float, soft: Limit) -> float:
    """Return f + (1-1/A-f) Phi(S, n)."""
    most = 1.0 - 1.0 / soft.labels
    return floor + max(1.0 - floor / most, 0.0) * soft.upper


def _scaled(level: Access, plain: Limit, soft: Limit, whole: bool) -> Bounds:
    S, A, n = plain.inputs, plain.labels, plain.n
    if level.greedy:
        return plain.lower, 1.0, "the most probable labels up to a factor; no student better than Uniform is proved"
    upper = missing_mass_upper(S, A, n)
    if level.top:
        return plain.lower, upper, "lower: without the channel; upper: the missing-mass student"
    upper = min(upper, good_turing_upper(S, A, n, plain.upper))
    lower = plain.lower
    if level.distortion is not None and level.distortion.kind == "unnormalised":
        lower = max(lower, sampled_logits_lower(S, A, n))
    return lower, upper, "lower: rows of unknown scale; upper: the missing-mass student"


def _from_pairs(level: Access, inputs: int, n: int, pairs: list[list[Pairs]]) -> float:
    """Return what pairs of labels with one code prove, 0 of the top k: which labels are on top tells a pair apart."""
    if 0 < level.top < WHOLE_ROW:
        return 0.0
    # Without sampled labels nothing tells rows of one code apart, whatever n.
    return pairs_lower(inputs, 0 if level.greedy else n, pairs)


def _rounded(level: Access, plain: Limit, soft: Limit, whole: bool) -> Bounds:
    S, A, n = plain.inputs, plain.labels, plain.n
    step = level.distortion.amount if level.distortion is not None else 0.0
    lower = max(plain.lower, _from_pairs(level, S, n, rounded_pairs(step, A)))
    floor = rounded_floor(step, A)
    if whole:
        return (
            lower,
            _above_floor(floor, soft),
            f"floor {floor:.6g}; lower: pairs of labels with one code",
        )
    upper = plain.upper - math.expm1(-0.5 * step)
    if level.sampled:
        upper = min(upper, missing_mass_upper(S, A, n) + floor)
    source = "without the channel" if lower == plain.lower else "pairs of labels with one code"
    return lower, upper, f"lower: {source}; upper: the plain student on what is shown"


def _quantised(level: Access, plain: Limit, soft: Limit, whole: bool) -> Bounds:
    S, A, n = plain.inputs, plain.labels, plain.n
    bits = int(level.distortion.amount) if level.distortion is not None else 0
    lower = max(plain.lower, _from_pairs(level, S, n, quantised_pairs(bits, A)))
    if whole:
        floor = quantised_floor(bits, A)
        return lower, _above_floor(floor, soft), f"floor {floor:.6g}; lower: pairs of labels with one code"
    shown = min(A, level.top + (n if level.sampled else 0))
    upper = plain.upper + shown * 2.0 ** -(bits + 1)
    source = "without the channel" if lower == plain.lower else "pairs of labels with one code"
    return lower, upper, f"lower: {source}; upper: the plain student on what is shown"


def _noisy(level: Access, plain: Limit, soft: Limit, whole: bool) -> Bounds:
    S, A, n = plain.inputs, plain.labels, plain.n
    lower = plain.lower if 0 < level.top < A else max(plain.lower, noisy_lower(S, A, n, level.noise))
    if whole:
        return lower, noisy_upper(S, A, n, level.noise), "lower: pairs of labels hard to tell apart; upper: normalising"
    # Greedy answers average over the visits of the row; what a sampled label shows, over the samples of that label.
    upper = plain.upper + shown_noise_upper(S if level.greedy else S * A, n, level.noise)
    source = "without the noise" if lower == plain.lower else "pairs of labels hard to tell apart"
    return lower, upper, f"lower: {source}; upper: the plain student on what is shown"


_BOUNDS: dict[str, Callable[[Access, Limit, Limit, bool], Bounds]] = {
    "temperature": _scaled,
    "unnormalised": _scaled,
    "centred": _scaled,
    "rounded": _rounded,
    "quantised": _quantised,
    "noisy": _noisy,
}
