"""How many more queries records let one expect: an estimate with an interval, or in words why there
is none.

Legend: n0 records in hand, m further queries, T draws of the teacher given the records.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kt_theory.limits.crossing import Enough
from kt_theory.planner.planned import Planned
from kt_theory.planner.posterior.draws import Posterior, posterior
from kt_theory.planner.posterior.pilot import MOST_LABELS
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT

ESTIMATED = "estimated, not proved: "
"""How the certificate of an estimate begins."""

WEAK = "weakly determined: "
"""How the reason of an estimate without a number begins."""

NOT_ESTIMATED = "not estimated: "
"""How the reason begins where records give neither a number nor an interval."""

IN_MEAN_ONLY = "not estimated with a confidence"
"""How the reason begins where a confidence was asked for: no estimate has one."""

SIZES = "give inputs= and labels= for a proof"
"""The way out that stands in the reason of an estimate without a confidence."""

COVERAGE = 0.9
"""Of the interval."""

WIDENED, WIDENED_LABELS = 1.15, 1.3
"""By this factor the ends of the interval, as totals n0 + m, are moved apart: for what no model of
rows gets right, which is more where records are sampled labels alone. Set on the teachers of
`benchmarks/plan_accuracy.py` that are marked as tuned on, and on 13 more.
"""

WIDEST = 2.4
"""An interval of totals whose ends are further apart than that, before they are moved, says only
where n lies.
"""

FEWEST, FEWEST_LABELS = 1.6, 3.5
"""Records per input that was asked: the fewest that determine a number, with stated probabilities
and without any.
"""


def estimated(
    transfer: TransferSet,
    level: Planned,
    tv: float,
    sure: float | None,
    inputs: int | None,
    *,
    provable: bool = True,
) -> Enough:
    """Return the median over draws of the teacher of the further queries needed in mean, with a 90
    % interval.

    Where the interval is too wide there is no number, the reason says so, and the interval stands
    alone. So it does where a confidence is asked for: how the loss of one run spreads about its
    mean is not estimated.

    Parameters
    ----------
    transfer : TransferSet
    level : Planned
        Its labels are taken for all that there are.
    tv : float
    sure : float or None
        The confidence that was asked for, if one was.
    inputs : int or None
        S, if it is known.
    provable : bool
        The sizes, if they were given, would prove a number.
    """
    refused = _refused(transfer, level)
    if refused:
        return Enough(None, refused, (), reason=refused)
    if level.labels == 1:
        return Enough(0, "with one label there is nothing to learn", (), interval=(0, 0))
    found = posterior(transfer, level.labels, inputs)
    needed = _further(found, level, tv)
    counted = level.told.labels_only or found.pilot.states_each
    factor = WIDENED if found.pilot.states.any() else WIDENED_LABELS
    low, high = _interval(needed, len(transfer), counted, factor)
    n = _whole(float(np.median(needed)))
    words = _words(found)
    weak = _weak(found, *_interval(needed, len(transfer), counted, 1.0), inputs)
    if sure is not None:
        about = (
            f"between {low:,} and {high:,} more"
            if weak
            else f"about {n:,} ({low:,} to {max(high, n):,}) more"
        )
        if high == 0 and n == 0:
            about = "none"
        proof = f"{SIZES}, or " if provable else ""
        reason = (
            f"{level.name}: {IN_MEAN_ONLY}: in mean it takes {about}; {proof}leave confidence out"
        )
        return Enough(None, ESTIMATED + words, (), interval=(low, max(high, n)), reason=reason)
    if weak:
        reason = f"{level.name}: {WEAK}{weak}; between {low:,} and {high:,} more"
        return Enough(None, ESTIMATED + words, (), interval=(low, high), reason=reason)
    return Enough(n, ESTIMATED + words, (), interval=(low, max(high, n)))


def _refused(transfer: TransferSet, level: Planned) -> str:
    """Return why no number is estimated, empty where one is."""
    if level.labels > MOST_LABELS:
        many = f"there are more than {MOST_LABELS:,} labels"
        return f"{level.name}: {NOT_ESTIMATED}{many}; {SIZES}"
    if level.told.labels_only and not transfer.faithful:
        return (
            f"hard: {NOT_ESTIMATED}the records were read as sampled, not as drawn at temperature 1 "
            "and top_p 1, so that their counts are not the teacher's frequencies"
        )
    return ""


def beside(
    proof: Enough,
    transfer: TransferSet,
    level: Planned,
    tv: float,
    inputs: int | None,
    same_student: bool,
) -> Enough:
    """Return a proved number with what this teacher is estimated to need beside it, in words and as
    the interval.

    Where the number is proved of the `same_student` as the estimate's, in mean, the estimate is at
    most the number. The estimate of sampled labels is of `ce_sgl`, the proof mostly of a student
    that shrinks what is counted, which may need less.
    """
    found = estimated(transfer, level, tv, None, inputs)
    if found.interval is None:
        return proof
    most = LARGEST_COUNT if proof.n is None or not same_student else proof.n
    low, high = (min(end, most) for end in found.interval)
    middle = "" if found.n is None else f"about {min(found.n, most):,}, "
    about = f"{middle}{low:,} to {high:,} more"
    words = f"{proof.certificate}; this teacher itself is estimated to need {about}"
    if level.told.labels_only:
        words += " with ce_sgl; the proof may be of another student"
    return replace(proof, certificate=words, interval=(low, high))


def _further(found: Posterior, level: Planned, tv: float) -> np.ndarray:
    """Return the further queries needed in each draw: (T,).

    A level never needs more than one that reveals less. Where each record states its label's
    probability, hard labels take at least what partial ones do. Otherwise queries that reveal
    probabilities start anew, or go on with labels alone where that is faster.
    """
    hard = np.maximum(found.hard(tv) - found.pilot.n, 0.0)
    each = found.pilot.states_each
    if level.told.labels_only:
        return np.maximum(hard, found.further(0, tv)) if each else hard
    needed = found.further(level.top, tv)
    counted = found.pilot.labelled and found.pilot.transfer.faithful
    if each or not counted:
        return needed
    return np.minimum(needed, hard)


def _interval(needed: np.ndarray, records: int, counted: bool, factor: float) -> tuple[int, int]:
    """Return the quantiles, moved apart by a factor: as totals, where records are `counted` as
    queries of the level.
    """
    if not needed.any():
        return 0, 0
    tails = np.quantile(needed, [0.5 * (1.0 - COVERAGE), 0.5 * (1.0 + COVERAGE)])
    low = (records + tails[0]) / factor - records
    before = records if counted else 0
    high = (before + tails[1]) * factor - before
    return _whole(low), _whole(high)


def _whole(m: float) -> int:
    return min(max(math.ceil(m), 0), LARGEST_COUNT)


def _weak(found: Posterior, low: int, high: int, inputs: int | None) -> str:
    """Return why the records do not determine a number, empty where they do.

    What differs most between teachers that the records allow is how many inputs were never asked.
    """
    records, each = found.pilot.n, found.pilot.n / len(found.pilot.visits)
    states = found.pilot.states.any()
    if each < (FEWEST if states else FEWEST_LABELS):
        what = (
            "records per input asked"
            if states
            else "sampled labels per input asked, and nothing else,"
        )
        return f"{each:.2g} {what} say too little"
    if (records + high) > WIDEST * (records + low):
        known = ", less if inputs= says how many inputs there are" if inputs is None else ""
        return f"teachers that the records allow differ too much{known}"
    return ""


def _words(found: Posterior) -> str:
    what = "sampled labels" if not found.pilot.states.any() else "records"
    return (
        f"the median of {len(found.draws)} teachers drawn given the {found.pilot.n:,} {what}, "
        f"{COVERAGE:.0%} interval; {SIZES}"
    )
