"""What is still missing where answers are in hand: a transfer set counts for what it has resolved already.

An input is resolved once its row is known, a pair (input, label) once its probability is: what is resolved stays so.
Legend: n0 records in hand, m further queries, U the number of unresolved points, H the mass that they hide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.planning.levels import Level
from kt_theory.planning.proofs import enough, enough_surely
from kt_theory.planning.search import FINE, Enough, first_below
from kt_theory.teacher import Teacher
from kt_theory.transfer.copying import Copy, fit
from kt_theory.transfer.rows import Rows
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT, whole_number

if TYPE_CHECKING:
    import pandas as pd

PLUG_IN = "plug-in, not proved: "
"""How the certificate of an estimate begins."""

CERTIFIED = 0.95
"""Confidence of the certificate that decides in mean whether the copy in hand is good enough."""


@dataclass(frozen=True)
class InHand:
    """What records say at an access level.

    Attributes
    ----------
    n : int
        Records.
    revealed : bool
        Whether each of them revealed what the level reveals, so that it counts as a query of the level.
    resolved : int
        Inputs, or pairs, that are known.
    missing : float
        H, estimated: Good and Turing's mass of the inputs never asked, and the mass that visited ones hide.
    rate : float
        Probability that a query resolves a given unresolved point, estimated: their mass over their number U, which is
        Chao's lower bound of the number of points never drawn, plus those drawn and not resolved.
    noise : float
        For hard labels, the estimated noise of the visited rows, which falls as 1/sqrt(n); otherwise 0.
    """

    n: int
    revealed: bool
    resolved: int
    missing: float
    rate: float
    noise: float


def as_source(given: Any) -> Teacher | TransferSet | None:
    """Return a teacher or a transfer set from what may stand for one: also a table of probabilities.

    A DataFrame has a column for each label, and may have `rho` and `input`; an array is (S, A), rho uniform.
    """
    if given is None or isinstance(given, (Teacher, TransferSet)):
        return given
    if isinstance(given, Copy):
        return given.transfer
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):
        return _from_frame(given)
    if isinstance(given, (str, bytes)) or hasattr(given, "__fspath__"):
        raise ValueError(
            f"teacher = {str(given)!r}: must be a Teacher, a table or a TransferSet; kt.teachers.from_table and "
            "kt.TransferSet.read read files"
        )
    return Teacher(given)


def _from_frame(frame: pd.DataFrame) -> Teacher:
    import pandas as pd

    named = None if isinstance(frame.index, pd.RangeIndex) else [str(name) for name in frame.index]
    names = [str(name) for name in frame["input"]] if "input" in frame else named
    labels = [name for name in frame.columns if name not in ("rho", "input")]
    if not labels:
        raise ValueError("teacher: the table has no column besides rho and input; it needs one for each label")
    rho = frame["rho"].to_numpy() if "rho" in frame else None
    label_names = [str(name) for name in labels]
    return Teacher(frame[labels].to_numpy(), rho, input_names=names, label_names=label_names)


def refuse_sizes(transfer: TransferSet, inputs: Any, labels: Any) -> None:
    """Raise an error where the sizes given are smaller than what the records hold."""
    if not len(transfer):
        raise ValueError("teacher is an empty transfer set: it says nothing; give inputs= and labels= instead")
    sizes = ("inputs", inputs, transfer.input_names), ("labels", labels, transfer.labels)
    for name, given, names in sizes:
        held = len(names)
        if given is not None and whole_number(given, name, low=1) < held:
            raise ValueError(f"{name} = {given}: the records hold {held} already; omit {name}, or give all there are")


def more_needed(transfer: TransferSet, level: Level, tv: float, sure: float | None, known: bool) -> Enough:
    """Return how many more queries are needed.

    In this order: none, if the certificate of the copy in hand is at most tv; a proof, if all sizes are `known` and
    the records do not contradict each other; an estimate, labelled so.
    """
    unsaid = level.access in ("gradient", "jacobian", "top_k_only", "argmax", "non_target")
    if unsaid or level.distorted or level.times != 1:
        name = level.access if level.times == 1 and not level.given else level.name
        raise ValueError(
            f"access = {name!r}: records do not say what it would reveal; give inputs= and labels= without "
            "teacher=, or the copy as a teacher, kt.fit(...).teacher()"
        )
    confidence = CERTIFIED if sure is None else sure
    now = _certificate(transfer, level, confidence)
    if now is not None and now <= tv:
        return Enough(
            0, f"certificate of the copy in hand: TV <= {now:.4g} with confidence {confidence:g}", ((0, now),)
        )
    # Statements that contradict each other prove nothing.
    contradicted = level.access != "hard" and bool(transfer.rows.spread.any() or transfer.rows.contradiction.any())
    if not known or contradicted:
        return _estimated(in_hand(transfer, level, known), level, tv, sure, now)
    # A student of a level may look at less: what partial labels prove holds for all that show more.
    less = [replace(level, access="partial", name="partial", k=0)] if level.access in ("top_k", "soft") else []
    proofs = [_proved(in_hand(transfer, one, known), one, tv, sure) for one in (level, *less)]
    return min(proofs, key=lambda found: math.inf if found.n is None else found.n)


def in_hand(transfer: TransferSet, level: Level, known: bool) -> InHand:
    """Return what the records have resolved at an access level, and an estimate of what they have not.

    Parameters
    ----------
    transfer : TransferSet
    level : Level
    known : bool
        The level's labels are all that there are.
    """
    rows = transfer.seen_by(level.k) if level.access in ("partial", "top_k") else transfer.rows
    visited, weight, asked = len(rows.input), rows.queries / rows.n, rows.queries
    once = float((asked == 1).sum()) / rows.n
    if level.access == "hard":
        if (transfer.sampled < 0).any():
            raise ValueError("access = 'hard': some records name no sampled label; take those that do, transfer.take")
        return InHand(rows.n, True, 0, once, once / _unseen_points(asked), _noise(rows))
    stated = np.round(rows.total(rows.known))
    hidden = rows.hidden_mass if len(rows.entry_pair) else np.ones(visited)
    whole = (hidden == 0.0) | ((known or rows.closed) & (level.labels - stated <= 1))
    missing = min(once + float(weight @ np.where(whole, 0.0, hidden)), 1.0)
    if level.whole_rows:
        unresolved = min(once + float(weight @ ~whole), 1.0)
        rate = unresolved / (_unseen_points(asked) + float((~whole).sum()))
        return InHand(rows.n, bool(whole.all()), int(whole.sum()), missing, rate, 0.0)
    drawn, pairs = rows.count > 0, rows.known & (rows.count > 0)
    # A row that hides mass has a label yet to be seen; a pair that was sampled and not stated is one.
    points = _unseen_points(rows.count) + float((~whole).sum()) + float(drawn.sum() - pairs.sum())
    resolved = int(np.where(whole, level.labels, stated).sum())
    return InHand(rows.n, _reveals(transfer, level.k), resolved, missing, missing / points, 0.0)


def _reveals(transfer: TransferSet, k: int) -> bool:
    """Whether every record states its sampled label, and for top-k as many others as it must."""
    stated = ~np.isnan(transfer.entry_logp)
    record, label = transfer.entry_record[stated], transfer.entry_label[stated]
    own = np.bincount(record[label == transfer.sampled[record]], minlength=len(transfer)) > 0
    enough_others = np.bincount(record, minlength=len(transfer)) >= min(k + 1, len(transfer.labels))
    return bool((own & (enough_others if k else True)).all())


def _unseen_points(counts: np.ndarray) -> float:
    """Return Chao's estimate N1 (N1 - 1)/(2 (N2 + 1)) of the number of points that were not drawn, at least 1."""
    once, twice = float((counts == 1).sum()), float((counts == 2).sum())
    return max(once * (once - 1.0) / (2.0 * (twice + 1.0)), 1.0)


def _noise(rows: Rows) -> float:
    """Return sum_s rho_s E TV(frequencies, p) in the normal approximation, 1/2 sum_a sqrt(2 p (1-p) / (pi k)).

    The variance of a label is estimated by q (1-q) k/(k-1); a row asked once counts as 1 - 1/A.
    """
    k = rows.queries
    q = rows.count / np.maximum(k[rows.row], 1)
    spread = np.sqrt(q * (1.0 - q) / np.maximum(k[rows.row] - 1.0, 1.0))
    each = rows.total(spread) / math.sqrt(2.0 * math.pi)
    each = np.where(k >= 2, np.minimum(each, 1.0), 1.0 - 1.0 / max(rows.labels, 1))
    return float((k / rows.n) @ each)


def _certificate(transfer: TransferSet, level: Level, confidence: float) -> float | None:
    """Return the certified bound of the copy at this level, None where the records hold too little for one."""
    from kt_theory import students
    from kt_theory.access import AccessError

    student = {"hard": "ce_sgl", "soft": None}.get(level.access, students.top_k(level.k))
    try:
        return fit(transfer, student).certificate(confidence).bound
    except AccessError:
        return None


def _proved(hand: InHand, level: Level, tv: float, sure: float | None) -> Enough:
    """Return the lesser of two proofs, whatever the teacher: from here on, or over all the queries from the first.

    Given the records, an unresolved point of mass p is missed by m further queries with probability (1-p)^m, and
    p (1-p)^m <= g(m) = m^m / (m+1)^(m+1): E loss <= (1-1/A) U g(m). With confidence, the Chernoff bound of the missing
    mass of U + 1 points. Or n - n0, where n queries suffice from the start.
    """
    from kt_theory.risk.missing_mass import missing_mass_bounds

    fresh = enough(level, tv) if sure is None else enough_surely(level, tv, 1.0 - sure)
    rest = None if fresh.n is None else max(fresh.n - hand.n * hand.revealed, 0)
    total = Enough(rest, f"proved over all queries, those in hand among them: {fresh.certificate}", fresh.tried)
    if level.access == "hard":
        return total
    points = level.inputs if level.whole_rows else level.inputs * level.labels
    left, spread = points - hand.resolved, 1.0 - 1.0 / level.labels
    if left > LARGEST_COUNT - 1:
        return total

    def bound(m: int) -> float:
        if m == 0:
            return spread if left else 0.0
        if sure is None:
            return min(1.0, left * math.exp(-m * math.log1p(1.0 / m)) / (m + 1.0)) * spread
        return spread * missing_mass_bounds(left + 1, m, 1.0 - sure).sharper

    start = left / (math.e * tv) + 1.0
    found = first_below(bound, tv, start=start, digits=FINE, power=1.0)
    what = "inputs" if level.whole_rows else "pairs"
    here = Enough.of(found, f"proved from here on for every teacher: {left} {what} are not known yet")
    return here if here.n is not None and (total.n is None or here.n <= total.n) else total


def _estimated(hand: InHand, level: Level, tv: float, sure: float | None, now: float | None) -> Enough:
    """Return the m at which an estimate of the loss, or of its certificate, is tv.

    E loss(m) is about (1-1/A) H (1-rate)^m: unresolved points of equal mass; for hard labels the noise of the visited
    rows, times sqrt(n0/(n0+m)), is added. The excess of the certificate over it is taken to fall as sqrt(n0/(n0+m)).
    """
    spread, excess = 1.0 - 1.0 / level.labels, 0.0

    def risk(m: int) -> float:
        left = hand.missing * math.exp(m * math.log1p(-hand.rate)) if hand.rate < 1.0 else hand.missing * (m == 0)
        return spread * left + (hand.noise + excess) * math.sqrt(hand.n / (hand.n + m))

    if sure is not None:
        excess = max((1.0 if now is None else now) - risk(0), 0.0)
    found = first_below(risk, tv, start=hand.n, digits=FINE, power=None)
    words = f"unknown mass {hand.missing:.3g} (Good-Turing), each point resolved at {hand.rate:.3g} per query (Chao)"
    if hand.noise:
        words += f", noise {hand.noise:.3g} falling as 1/sqrt(n)"
    if sure is not None:
        words += "; the excess of the certificate over it falls as 1/sqrt(n)"
    return Enough.of(found, PLUG_IN + words + "; give inputs= and labels= for a proof")
