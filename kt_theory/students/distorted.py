"""Students of distorted answers: probabilities at another temperature, rounded, noisy, or known up
to a factor.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kt_theory import access
from kt_theory.access import SOFT, Access
from kt_theory.exact.hidden import HiddenMass
from kt_theory.exact.risk import RowRisk
from kt_theory.exact.settled import Shown, WholeRows
from kt_theory.students.rules import RowRule, in_proportion
from kt_theory.students.sparse import Undone
from kt_theory.students.student import Student
from kt_theory.validation import positive


def _share_and_normalise(counts, revealed, out):
    known_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        known = not np.isnan(revealed[a])
        known_mass += revealed[a] if known else 0.0
        hidden += 0 if known else 1
    left = 1.0 - known_mass
    if left <= counts.size * 2.0**-52:
        left = 0.0
    share = left / max(hidden, 1)
    total = known_mass + share * hidden
    for a in range(counts.size):
        out[a] = (share if np.isnan(revealed[a]) else revealed[a]) / total


def _share_or_correct(counts, revealed, out):
    known_mass = 0.0
    hidden = 0
    shown = 0
    for a in range(counts.size):
        known = not np.isnan(revealed[a])
        known_mass += revealed[a] if known else 0.0
        hidden += 0 if known else 1
        shown += 1 if known and revealed[a] > 0.0 else 0
    left = 1.0 - known_mass
    sharers = hidden if hidden > 0 else counts.size
    if left < 0.0:
        sharers = shown
    share = left / sharers
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            out[a] = max(share, 0.0)
        elif revealed[a] > 0.0 or left >= 0.0:
            out[a] = max(revealed[a] + (share if hidden == 0 or left < 0.0 else 0.0), 0.0)
        else:
            out[a] = 0.0


def _to_the_power(counts, revealed, out, parameters):
    power = parameters[0]
    hidden_mass = 1.0
    hidden = 0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            hidden += 1
        else:
            hidden_mass -= revealed[a]
    if hidden_mass <= counts.size * 2.0**-52:
        hidden_mass = 0.0
    largest = hidden_mass / max(hidden, 1)
    for a in range(counts.size):
        out[a] = hidden_mass / hidden if np.isnan(revealed[a]) else revealed[a]
        largest = max(largest, out[a])
    total = 0.0
    for a in range(counts.size):
        weight = out[a] / largest
        out[a] = weight * weight if power == 2.0 else weight**power
        total += out[a]
    out /= total


def tempered(tau: float, believed: float | None = None, of: Access = SOFT) -> Student:
    """Return the student that undoes a temperature: q = softmax(z / tau) is shown, it writes
    q^believed, normalised.

    Right about tau it is as good as `ce_ful`, and of complete rows its risk is the same
    (probabilities below 10^(-308 tau) apart, which float64 shows as 0). Mismatched, with b =
    believed / tau, a visited row becomes softmax(b z), and

        TV(softmax(b z), p) <= tanh(|b - 1| osc / 4),
        osc = max - min of the logits of the positive labels,

    because the log-ratio of the two has oscillation |b - 1| osc: a floor that no n removes. Of rows
    that are shown in part the hidden mass of q is shared equally first; tau = 1 gives `sel_ptl` and
    `top_k`.

    Parameters
    ----------
    tau : float
        The temperature at which the answers are shown, above 0.
    believed : float, optional
        What the student takes it for; tau if omitted.
    of : Access
        The level whose answers are shown so.
    """
    level = access.temperature(tau, of)
    shown = positive(tau, "tau")
    power = shown if believed is None else positive(believed, "believed")
    words = f"{float(tau):g}" if believed is None else f"{tau:g} as {power:g}"
    name = f"tempered({words}) {of.name}"
    reference = "Hinton, Vinyals and Dean (2015), arXiv 1503.02531: temperature"
    rule = RowRule(_to_the_power, [power])
    return _student(level, rule, reference, name, power, right=power == shown)


def rounded(step: float, of: Access = SOFT) -> Student:
    """Return the student of log-probabilities rounded to multiples of `step`: what is shown,
    divided by its sum.

    Each log-probability is off by at most step / 2, so the log-ratio of copy and teacher oscillates
    by at most `step`:

        TV(copy, p) <= tanh(step / 4) on a complete row, a floor that no n removes.

    Hidden labels share what is left of the mass, if any, equally; once all labels of positive
    probability are shown, that is at most 1 - exp(-step / 2), and so is TV(copy, p).

    Parameters
    ----------
    step : float
        In nats, above 0.
    of : Access
        The level whose answers are shown so.
    """
    level = access.rounded(step, of)
    return _student(level, RowRule(_share_and_normalise), "normalised, tanh(step/4)")


def quantised(bits: int, of: Access = SOFT) -> Student:
    """Return the student of probabilities rounded to multiples of h = 2^-bits: the error of the sum
    is shared equally.

    With w the weights shown of a complete row and D = 1 - sum w, it writes w + D/A if D >= 0, and
    takes -D in equal parts from the labels of positive weight if D < 0 (never more than they have:
    |D| <= h/2 for each of them). Then

        TV(copy, p) <= A / (4 * 2^bits) on every row,

    which no student improves on for even A <= 2^bits: of two teachers w + e and w - e, e = +-h/2
    with sum 0, it errs by A h/4 on one. With more labels than units most are shown as 0, and
    students that know that these lie within half a unit do better: `minimax_risk` has the value.
    Proof for D >= 0: the errors p - w lie in [-h/2, h/2] and have mean D/A, so their mean absolute
    deviation is at most h/2, which a half at each end attains. Division by the sum, the obvious
    rule, is off by up to A h/2: the labels below h/2 are shown as 0 and stay there. Hidden labels
    share what is left of the mass equally.

    Parameters
    ----------
    bits : int
        From 1 to 52.
    of : Access
        The level whose answers are shown so.
    """
    level = access.quantised(bits, of)
    return _student(level, RowRule(_share_or_correct), "equal correction, A / (4 * 2^b)")


def noisy(sigma: float, of: Access = SOFT) -> Student:
    """Return the student of log-probabilities with fresh Gaussian noise: the geometric mean of the
    answers, normalised.

    After k answers the log-probabilities of a row are off by sigma / sqrt(k) N(0, 1) each, and a
    complete copy by

        E TV <= 1/2 sigma / sqrt(k)          (from E KL(p, copy) <= sigma^2 / (2k) and Pinsker),
        E TV ~ sigma / sqrt(2 pi k) at most  (k -> infinity: 1/2 sum p |e - mean e|, then Jensen),

    so that the risk is at most coverage + sigma sqrt(S / (2 pi n)) for n >> S. It has no exact
    risk.

    Parameters
    ----------
    sigma : float
        Standard deviation in nats, above 0 and at most 50.
    of : Access
        The level whose answers are shown so.
    """
    level = access.noisy(sigma, of)
    reference = "geometric mean of the answers, normalised"
    return Student(level.name, level, RowRule(_share_and_normalise), reference)


def logits(of: Access = SOFT) -> Student:
    """Return the student of unnormalised logits: the softmax of those that are shown, 0 on the
    other labels.

    Of complete rows it is `ce_ful`. Where labels stay hidden the shift does too, and with m the
    hidden probability the copy is p / (1 - m) on the labels shown, so that TV = m, exactly the
    missing mass of the row:

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s)
                            + sum_a p_a ((1 - rho_s p_a)^n - (1-rho_s)^n)],

    the inner sum over the labels outside the top k.

    Parameters
    ----------
    of : Access
        The level whose answers are shown so; `kt_theory.access.PARTIAL` shows the logit of the
        sampled label.
    """
    level = access.logits(of)
    reference = "Ba and Caruana (2014), arXiv 1312.6184: regression on logits"
    student = _student(level, RowRule(in_proportion), reference)
    return student if student.exact else replace(student, exact=HiddenMass(level.shows.top))


def _student(
    level: Access,
    rule: RowRule,
    reference: str,
    name: str = "",
    power: float = 1.0,
    *,
    right: bool = True,
) -> Student:
    """Return a channel's own student, with an exact risk and a closed form where every answer of a
    row shows the same; `right`: it undoes what the channel did, if that can be undone.
    """
    name = name or level.name
    exact: RowRisk | None = None
    sparse = None
    if level.settled:
        exact = Shown(level.channel, level.shows.top, power)
        sparse = Undone(level.channel, power)
        if right and level.recovers:
            exact = WholeRows(name)
    return Student(name, level, rule, reference, exact, sparse=sparse)
