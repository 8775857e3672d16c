"""Students that minimise a training objective: of each objective the row that is best for what was
shown, and of several the one that `kt_theory.objectives` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from kt_theory.access import Access, as_access
from kt_theory.exact.minimised import InTheEnd, Minimised
from kt_theory.exact.risk import ExactRisk
from kt_theory.objectives import Objective, as_objective, sampled, top, whole
from kt_theory.objectives.objective import kinds
from kt_theory.students.distorted import logits
from kt_theory.students.greedy import GREEDY
from kt_theory.students.losses import hinton
from kt_theory.students.paper import CE_FUL, CE_PTL, CE_SGL, SEL_PTL, top_k
from kt_theory.students.rules import Function, RowRule, in_proportion
from kt_theory.students.student import Student


def minimiser(objective: Objective | str, access: Access | str | None = None) -> Student:
    """Return the student that minimises a training objective row by row.

    Where several rows minimise it, the student writes the one that the objective's kind says.
    Unvisited rows are uniform. What it tends to, and how far that is from the teacher, is in
    `objective.minimisers(row)` and `kt_theory.consistency`.

    Parameters
    ----------
    objective : Objective or str
        From `kt_theory.objectives`, or the name of one that needs no parameter.
    access : Access or str, optional
        The level that is granted; what the objective needs if omitted. The student sees no more
        than the objective needs.

    Raises
    ------
    AccessError
        If the level does not carry what the objective needs; both are named.
    ValueError
        For an unknown name, or one that needs a parameter.

    Examples
    --------
    >>> import kt_theory as kt
    >>> student = kt.students.minimiser(kt.objectives.forward_kl_top(2), "soft")
    >>> student.access.name
    'top_k_only(2)'
    >>> student.table([[1, 0, 0]], [[0.6, 0.2, float("nan")]])
    array([[0.75, 0.25, 0.  ]])
    """
    wanted = as_objective(objective)
    if access is not None:
        wanted.refuse_access(as_access(access))
    return replace(
        _STUDENTS[type(wanted)](wanted),
        name=f"minimiser({wanted.name})",
        reference=wanted.reference,
    )


def _over_e(counts, revealed, out):
    known_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            hidden += 1
        else:
            known_mass += revealed[a]
    kept = np.exp(-1.0) if hidden > 0 else 1.0
    left = 1.0 - kept * known_mass
    for a in range(counts.size):
        out[a] = left / hidden if np.isnan(revealed[a]) else kept * revealed[a]


def _odds_within(counts, revealed, out):
    known_mass = 0.0
    hidden = 0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            hidden += 1
        else:
            known_mass += revealed[a]
    entropy = 0.0
    for a in range(counts.size):
        if revealed[a] > 0.0:
            part = revealed[a] / known_mass
            entropy -= part * np.log(part)
    width = np.exp(entropy) if known_mass > 0.0 else 0.0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            out[a] = 1.0 / (width + hidden)
        else:
            out[a] = revealed[a] / known_mass * (width / (width + hidden))


def _weighted(counts, revealed, out, parameters):
    gamma = parameters[0]
    largest = 0.0
    for a in range(counts.size):
        if counts[a] > 0:
            largest = max(largest, revealed[a])
    total = 0.0
    for a in range(counts.size):
        out[a] = counts[a] * (revealed[a] / largest) ** gamma if counts[a] > 0 else 0.0
        total += out[a]
    for a in range(counts.size):
        out[a] = out[a] / total if total > 0.0 else 1.0 / counts.size


def _smoothed(counts, revealed, out, parameters):
    spread = parameters[0]
    visits = counts.sum()
    for a in range(counts.size):
        share = counts[a] / visits if visits > 0 else 1.0 / counts.size
        out[a] = (1.0 - spread) * share + spread / counts.size


def _standardised(counts, revealed, out):
    number = 0
    mean = 0.0
    low = np.inf
    high = -np.inf
    for a in range(counts.size):
        out[a] = np.log(revealed[a]) if revealed[a] > 0.0 else 0.0
        if revealed[a] > 0.0:
            number += 1
            mean += out[a]
            low = min(low, out[a])
            high = max(high, out[a])
    mean /= max(number, 1)
    square = 0.0
    for a in range(counts.size):
        square += (out[a] - mean) ** 2 if revealed[a] > 0.0 else 0.0
    deviation = np.sqrt(square / max(number, 1)) if high - low > 1e-12 else 1.0
    total = 0.0
    for a in range(counts.size):
        out[a] = np.exp((out[a] - high) / deviation) if revealed[a] > 0.0 else 0.0
        total += out[a]
    for a in range(counts.size):
        out[a] = out[a] / total if number > 0 else 1.0 / counts.size


def _half_way(counts, revealed, out):
    even = 1.0 / counts.size
    low = np.inf
    high = 0.0
    for a in range(counts.size):
        low = min(low, revealed[a])
        high = max(high, revealed[a])
    # Of a row that is hidden no comparison holds.
    slope = 0.5 * even / (even - low) if high - low > 1e-12 * even else 0.0
    for a in range(counts.size):
        out[a] = even + slope * (revealed[a] - even) if slope > 0.0 else even


def _in_order(counts, revealed, out, parameters):
    margin = parameters[0]
    weight = 1.0
    total = 0.0
    below = np.inf
    left = counts.size
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            left = 0
    if left == 0:
        out[:] = 1.0 / counts.size
    while left > 0:
        level = -1.0
        for a in range(counts.size):
            if level < revealed[a] < below:
                level = revealed[a]
        for a in range(counts.size):
            if revealed[a] == level:
                out[a] = weight
                total += weight
                left -= 1
        below = level
        weight *= np.exp(-margin)
    if total > 0.0:
        for a in range(counts.size):
            out[a] /= total


def _in_descending_order(counts, revealed, out):
    below = np.inf
    place = 0
    for a in range(counts.size):
        if np.isnan(revealed[a]):
            place = counts.size
    if place > 0:
        out[:] = 1.0 / counts.size
    while place < counts.size:
        level = -1.0
        for a in range(counts.size):
            if level < revealed[a] < below:
                level = revealed[a]
        for a in range(counts.size):
            if revealed[a] == level:
                out[place] = level
                place += 1
        below = level


def _of_whole(objective: whole.Proper) -> Student:
    return CE_FUL


def _of_logits(objective: whole.LogitMse) -> Student:
    return logits()


def _of_counts(objective: sampled.SampledWeights) -> Student:
    return CE_SGL


def _of_greedy_labels(objective: sampled.Greedy) -> Student:
    return GREEDY


def _of_probabilities(objective: sampled.SampledProbabilities) -> Student:
    return SEL_PTL


def _of_tail(objective: top.TailBucket) -> Student:
    return top_k(objective.k, sampled=False)


def _of_drawn_tail(objective: sampled.SampledTail) -> Student:
    return top_k(objective.k)


def _of_mix(objective: sampled.Hinton) -> Student:
    return hinton(objective.alpha, objective.temperature)


def _of_weights(objective: sampled.Weighted) -> Student:
    if objective.gamma in (0.0, 1.0):
        return replace(CE_PTL if objective.gamma else CE_SGL, access=objective.needs)
    return _made(objective, RowRule(_weighted, [objective.gamma]), InTheEnd(objective))


def _of_smoothed(objective: sampled.LabelSmoothing) -> Student:
    return _made(objective, RowRule(_smoothed, [objective.epsilon]), InTheEnd(objective))


def _of_order(objective: whole.Ordered) -> Student:
    return _made(objective, RowRule(_in_order, [objective.margin]), Minimised(objective))


def _of_values(objective: whole.Sorted) -> Student:
    return _made(objective, RowRule(_in_descending_order), None)


def _made(objective: Objective, rule: RowRule, exact: ExactRisk | None) -> Student:
    return Student(objective.name, objective.needs, rule, exact=exact)


def _by_rule(function: Function) -> Callable[[Objective], Student]:
    def student(objective: Objective) -> Student:
        return _made(objective, RowRule(function), Minimised(objective))

    return student


_STUDENTS: dict[type[Objective], Callable[[Any], Student]] = {
    whole.Proper: _of_whole,
    whole.LogitMse: _of_logits,
    whole.ScaleFree: _by_rule(_standardised),
    whole.Correlation: _by_rule(_half_way),
    whole.Ordered: _of_order,
    whole.Sorted: _of_values,
    top.RenormalisedTop: _by_rule(in_proportion),
    top.TruncatedReverse: _by_rule(_over_e),
    top.WithinTop: _by_rule(_odds_within),
    top.TailBucket: _of_tail,
    sampled.SampledWeights: _of_counts,
    sampled.Greedy: _of_greedy_labels,
    sampled.SampledProbabilities: _of_probabilities,
    sampled.SampledTail: _of_drawn_tail,
    sampled.Hinton: _of_mix,
    sampled.Weighted: _of_weights,
    sampled.LabelSmoothing: _of_smoothed,
}
"""How the student of each kind of objective is made."""

for _kind in kinds():
    if _kind not in _STUDENTS:
        raise TypeError(f"{_kind.__name__}: its objectives have no student")
