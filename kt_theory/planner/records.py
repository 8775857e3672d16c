"""What is still missing where answers are in hand: a transfer set counts for what it has resolved
already.

An input is resolved once its row is known, a pair (input, label) once its probability is: what is
resolved stays so. Legend: n0 records in hand, m further queries, U the number of unresolved points.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from kt_theory.access import HARD, PARTIAL, SOFT, top_k
from kt_theory.limits.bracket import enough
from kt_theory.limits.crossing import FINE, Enough, first_below
from kt_theory.planner.estimate import NOT_ESTIMATED, beside, estimated
from kt_theory.planner.planned import Planned
from kt_theory.plurals import counted
from kt_theory.teacher import Teacher
from kt_theory.transfer.design import Drawn
from kt_theory.transfer.fit import Copy, fit
from kt_theory.transfer.seen import refuse_impossible
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT, whole_number

if TYPE_CHECKING:
    import pandas as pd

CERTIFIED = 0.95
"""Confidence of the certificate that decides in mean whether the copy in hand is good enough."""

LEFT_OVER = 1e-3
"""A row all of whose labels are stated, and that leaves over more than this, has a label which no
record names.
"""

DEAR = 300_000
"""Stated probabilities from which on certificates of levels that see a part of them are computed in
doubt only.
"""

TOPS = (1, 5)
"""The levels top_k that a table shows unless others are asked for."""

CONTRADICTS = "what the records state contradicts itself"

PROVED = "proved"
"""How the certificate of a proof begins."""

UNIFORM = "without a query the uniform distribution"
"""How the certificate begins where nothing is needed because the total variation asked for is so
large.
"""


@dataclass(frozen=True)
class InHand:
    """What records say at an access level.

    Attributes
    ----------
    n : int
        Records.
    revealed : bool
        Whether each of them revealed what the level reveals, so that it counts as a query of the
        level.
    resolved : int
        Inputs, or pairs, that are known.
    """

    n: int
    revealed: bool
    resolved: int


def as_source(given: Any) -> Teacher | TransferSet | None:
    """Return a teacher or a transfer set from what may stand for one: also a table of
    probabilities.

    A DataFrame has a column for each label, and may have `rho` and `input`; an array is (S, A), rho
    uniform.
    """
    if given is None or isinstance(given, (Teacher, TransferSet)):
        return given
    if isinstance(given, Copy):
        return given.transfer
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):
        return _from_frame(given)
    if isinstance(given, (str, bytes)) or hasattr(given, "__fspath__"):
        raise ValueError(
            f"teacher = {str(given)!r}: must be a Teacher, a table or a TransferSet; "
            "kt.teachers.from_table and kt.TransferSet.read read files"
        )
    return Teacher(given)


def _from_frame(frame: pd.DataFrame) -> Teacher:
    import pandas as pd

    named = None if isinstance(frame.index, pd.RangeIndex) else [str(name) for name in frame.index]
    names = [str(name) for name in frame["input"]] if "input" in frame else named
    labels = [name for name in frame.columns if name not in ("rho", "input")]
    if not labels:
        raise ValueError(
            "teacher: the table has no column besides rho and input; it needs one for each label"
        )
    rho = frame["rho"].to_numpy() if "rho" in frame else None
    label_names = [str(name) for name in labels]
    return Teacher(frame[labels].to_numpy(), rho, input_names=names, label_names=label_names)


def refuse_sizes(transfer: TransferSet, inputs: Any, labels: Any) -> None:
    """Raise an error where the sizes given are smaller than what the records hold."""
    if not len(transfer):
        first = [f": line {line}: {why}" for line, _, why in transfer.account.skipped[:1]]
        source = transfer.account.source or "teacher"
        raise ValueError(
            f"{source} holds no records{''.join(first)}; give inputs= and labels= instead"
        )
    if transfer.target.other == "condition":
        raise ValueError(
            "teacher is a transfer set with other='condition': no plan is made for labels given "
            "that they are declared; read the records with other='pool'"
        )
    if not isinstance(transfer.design, Drawn):
        raise ValueError(
            f"teacher is a transfer set with design={transfer.design.name!r}: plans are for drawn "
            "inputs; read the records with design='drawn'"
        )
    sizes = ("inputs", inputs, transfer.input_names), ("labels", labels, transfer.labels)
    for name, given, names in sizes:
        held = len(names)
        if given is not None and whole_number(given, name, low=1) < held:
            raise ValueError(
                f"{name} = {given}: the records hold {held} already; omit {name}, or give all "
                "there are"
            )


def names_all(transfer: TransferSet) -> bool:
    """Whether the labels of the records can be all that there are.

    They cannot where they were not declared, and a row all of whose labels are stated leaves mass
    over.
    """
    rows = transfer.rows
    if transfer.closed or not len(rows.entry_pair):
        return True
    # What repeated statements disagree about is nobody's.
    left = rows.hidden_mass - rows.total(rows.spread)
    return not bool(((rows.hidden_labels == 0) & (left > LEFT_OVER)).any())


def labels_of(transfer: TransferSet) -> int:
    """Return the labels to plan for where nobody says how many there are: one more where
    `names_all` is not so.
    """
    return len(transfer.labels) + (not names_all(transfer))


def _rests_on_names(transfer: TransferSet, level: Planned, tv: float) -> bool:
    """Whether more than tv is what rows leave to the one named label that they do not state, and no
    label is declared.

    Another label, which nobody names, may have it.
    """
    rows = transfer.rows
    if transfer.closed or level.labels > len(transfer.labels) or not len(rows.entry_pair):
        return False
    weight = rows.queries / rows.n
    return bool(weight @ np.where(rows.hidden_labels == 1, rows.hidden_mass, 0.0) > tv)


def contradiction(transfer: TransferSet, labels: int) -> float:
    """Return by how much what the records state contradicts itself, in total variation, as a
    certificate counts it.

    Half the ranges of what is stated repeatedly, and what the rows that must sum to 1 miss of it,
    weighted by records.

    Parameters
    ----------
    transfer : TransferSet
    labels : int
        All that there are.
    """
    rows = transfer.rows
    if not len(rows.entry_pair):
        return 0.0
    weight = rows.queries / rows.n
    told = rows.known | (rows.floor > 0)
    off = rows.total(np.where(rows.known, rows.p, rows.floor)) - 1.0
    short = (off < 0) & (rows.total(rows.known) < labels)
    # Servers compute in single precision.
    off[(np.abs(off) <= 1e-6 + rows.total(told) * 2.0**-24) | short] = 0.0
    return min(1.0, float(0.5 * (weight[rows.row] @ rows.spread) + weight @ np.abs(off)))


def copy_in_hand(transfer: TransferSet, confidence: float | None) -> tuple[float, float] | None:
    """Return the certified total variation of the copy that all records teach, and its confidence.

    None where there is no certificate, or where the records contradict themselves, so that it is an
    estimate.
    """
    sure = CERTIFIED if confidence is None else confidence
    if contradiction(transfer, labels_of(transfer)) > 0.0:
        return None
    whole = Planned.at(SOFT, len(transfer.input_names), len(transfer.labels))
    try:
        return _certificate(transfer, whole, sure), sure
    except ValueError:
        return None


def more_needed(
    transfer: TransferSet,
    level: Planned,
    tv: float,
    sure: float | None,
    inputs: int | None,
    known: bool,
    tops: Sequence[int] = TOPS,
) -> Enough:
    """Return how many more queries are needed.

    In this order: no number, if what the records state contradicts itself by more than tv; none, if
    the certificate of the copy in hand is at most tv; a proof, if all sizes are `known` and the
    records do not contradict each other, with an estimate beside it; an estimate, labelled so.

    Parameters
    ----------
    transfer : TransferSet
    level : Planned
    tv : float
    sure : float or None
    inputs : int or None
        S, if it is known.
    known : bool
        All sizes are.
    tops : sequence of int
        Levels top_k that are planned beside it: with a smaller k, what they prove holds here too.
    """
    without = _without_number(transfer, level, tv)
    if without:
        return Enough(None, without, (), reason=f"{level.name}: {without}")
    if known and tv >= 1.0 - 1.0 / level.labels:
        return Enough(
            0, f"{UNIFORM} is within 1-1/A of every teacher", ((0, 1.0 - 1.0 / level.labels),)
        )
    confidence = CERTIFIED if sure is None else sure
    lesser = _lesser(level, tops)
    now = _certified_now(
        transfer, level, lesser, confidence, lambda one: _plainly_too_few(transfer, one, tv, inputs)
    )
    if now <= tv:
        words = f"certificate of the copy in hand: TV <= {now:.4g} with confidence {confidence:g}"
        return Enough(0, words, ((0, now),), interval=(0, 0))
    # Statements that contradict each other prove nothing.
    statements = transfer.rows.spread.any() or transfer.rows.contradiction.any()
    contradicted = not level.told.labels_only and bool(statements)
    if not known or contradicted:
        found = estimated(transfer, level, tv, sure, inputs, provable=not known)
        rests = not level.told.labels_only and _rests_on_names(transfer, level, tv)
        if found.n == 0 and rests:
            reason = (
                f"{level.name}: {NOT_ESTIMATED}that no query is needed would rest on there being "
                f"no label but the {level.labels} that occur; if so, declare them, labels=[...]"
            )
            return replace(found, n=None, reason=reason)
        return found
    own = _proof(transfer, level, tv, sure)
    plain = sure is None and _labels_need_no_less(own, _fresh(level, tv, sure), len(transfer))
    proofs = [(own, level)] + [
        (_proof(transfer, one, tv, sure), one)
        for one in lesser
        if not (plain and one.told.labels_only)
    ]
    proof, of = min(proofs, key=lambda found: math.inf if found[0].n is None else found[0].n)
    same_student = sure is None and not of.told.labels_only
    return beside(proof, transfer, level, tv, inputs, same_student)


def level_of(transfer: TransferSet, levels: Sequence[str]) -> str:
    """Return which of some levels, by name, the records are queries of: whole rows, most top
    labels, the sampled label's probability if any record states one, hard labels otherwise.
    """
    if not len(transfer.entry_record):
        return HARD.name
    ranked = {top_k(k).name: k for k in range(1, len(transfer.labels))}
    shown = {name: ranked[name] for name in levels if name in ranked}
    shown[SOFT.name] = len(transfer.labels) - 1
    for name, k in sorted(shown.items(), key=itemgetter(1), reverse=True):
        if k and _reveals(transfer, k):
            return name
    return PARTIAL.name


def _without_number(transfer: TransferSet, level: Planned, tv: float) -> str:
    """Return why the records give the level no number at all, empty where they may."""
    off = contradiction(transfer, level.labels)
    if off > tv:
        return f"{NOT_ESTIMATED}{CONTRADICTS} by {off:.3g} TV"
    unlabelled = int((transfer.sampled < 0).sum())
    if not level.told.labels_only or not unlabelled:
        return ""
    if unlabelled == len(transfer):
        return f"{NOT_ESTIMATED}no record names a sampled label"
    return (
        f"{NOT_ESTIMATED}{counted(unlabelled, 'record names', 'records name')} no sampled label; "
        "take those that do, "
        "transfer.take"
    )


def _lesser(level: Planned, tops: Sequence[int]) -> list[Planned]:
    """Return the levels that reveal less: a student may look at less, so that their proofs hold for
    the level too.

    Hard labels, partial ones, and of `tops` those of a smaller k.
    """
    if level.told.labels_only:
        return []
    found = [level.beside(HARD)]
    if level.told.top:
        below = level.labels - 1 if level.top is None else level.top
        found.append(level.beside(PARTIAL))
        found += [level.beside(top_k(k)) for k in sorted(set(tops)) if 0 < k < below]
    return found


def _plainly_too_few(transfer: TransferSet, level: Planned, tv: float, inputs: int | None) -> bool:
    """Whether a certificate is dear, and the estimate leaves no doubt that more are needed."""
    if not level.in_part or len(transfer.entry_record) <= DEAR:
        return False
    interval = estimated(transfer, level, tv, None, inputs).interval
    return interval is not None and interval[0] > 0


def _certified_now(
    transfer: TransferSet,
    level: Planned,
    lesser: list[Planned],
    confidence: float,
    hopeless: Callable[[Planned], bool],
) -> float:
    """Return the least certified bound of the copies of a level and of the levels that reveal less.

    Certificates of levels that are `hopeless` are left out.
    """
    try:
        now = math.inf
        if not hopeless(level):
            now = _certificate(transfer, level, confidence)
        else:
            refuse_impossible(transfer, transfer.rows)
    except ValueError as error:
        # Students are chosen where a copy is learnt, not here.
        raise ValueError(re.sub(r", student=", ", kt.fit has student=", str(error))) from None
    if (transfer.sampled < 0).any():
        return now
    for one in lesser:
        # What contradicts a lesser level alone, such as medians of one label each, is none of this
        # level's.
        with suppress(ValueError):
            counts = transfer.faithful or not one.told.labels_only
            if counts and not hopeless(one):
                now = min(now, _certificate(transfer, one, confidence))
    return now


_PROVED: WeakKeyDictionary[TransferSet, dict[tuple[Any, ...], Enough]] = WeakKeyDictionary()


def _proof(transfer: TransferSet, level: Planned, tv: float, sure: float | None) -> Enough:
    """Return what is proved of a level whose sizes are all known, computed once."""
    computed = _PROVED.setdefault(transfer, {})
    key = level.name, level.inputs, level.labels, tv, sure
    if key not in computed:
        computed[key] = _proved(in_hand(transfer, level, known=True), level, tv, sure)
    return computed[key]


_FRESH: dict[tuple[Any, ...], Enough] = {}


def _fresh(level: Planned, tv: float, sure: float | None) -> Enough:
    """Return how many queries are proved to suffice without records, computed once for all records
    of these sizes.
    """
    size = level.name, level.inputs, level.labels
    if (*size, tv, sure) not in _FRESH:
        _FRESH[*size, tv, sure] = enough(level.bracket, tv, sure)
    return _FRESH[*size, tv, sure]


def _labels_need_no_less(proof: Enough, fresh: Enough, records: int) -> bool:
    """Whether it is plain that sampled labels alone do not prove a smaller number in mean than
    `proof` does at a level.

    Fewer queries than `first` do not suffice there without records, so they do not with labels
    alone either, and of these the records in hand count at most all.
    """
    return fresh.exact and proof.n is not None and proof.n <= fresh.first - records


def in_hand(transfer: TransferSet, level: Planned, known: bool) -> InHand:
    """Return what the records have resolved at an access level.

    Parameters
    ----------
    transfer : TransferSet
    level : Planned
    known : bool
        The level's labels are all that there are.
    """
    if level.told.labels_only:
        labelled = bool((transfer.sampled >= 0).all())
        return InHand(transfer.rows.n, transfer.faithful and labelled, 0)
    rows = transfer.rows if level.top is None else transfer.seen_by(level.top)
    stated = np.round(rows.total(rows.known))
    hidden = rows.hidden_mass if len(rows.entry_pair) else np.ones(len(rows.input))
    whole = (hidden == 0.0) | ((known or rows.closed) & (level.labels - stated <= 1))
    if level.settles or level.top is None:
        return InHand(rows.n, bool(whole.all()), int(whole.sum()))
    resolved = int(np.where(whole, level.labels, stated).sum())
    return InHand(rows.n, _reveals(transfer, level.top), resolved)


def _reveals(transfer: TransferSet, k: int) -> bool:
    """Whether every record states its sampled label, and for top-k as many others as it must."""
    stated = ~np.isnan(transfer.entry_logp)
    record, label = transfer.entry_record[stated], transfer.entry_label[stated]
    own = np.bincount(record[label == transfer.sampled[record]], minlength=len(transfer)) > 0
    enough_others = np.bincount(record, minlength=len(transfer)) >= min(k + 1, len(transfer.labels))
    return bool((own & (enough_others if k else True)).all())


_CERTIFIED: WeakKeyDictionary[TransferSet, dict[tuple[str, float], float]] = WeakKeyDictionary()


def _certificate(transfer: TransferSet, level: Planned, confidence: float) -> float:
    """Return the certified bound of the copy at this level, infinite where the records hold too
    little for one.
    """
    computed = _CERTIFIED.setdefault(transfer, {})
    key = level.name, confidence
    if key not in computed:
        computed[key] = _certified(transfer, level, confidence)
    return computed[key]


def _certified(transfer: TransferSet, level: Planned, confidence: float) -> float:
    from kt_theory import students
    from kt_theory.access import AccessError

    student = None if level.top is None else students.top_k(level.top)
    try:
        return (
            fit(transfer, "ce_sgl" if level.told.labels_only else student)
            .certificate(confidence)
            .bound
        )
    except AccessError:
        return math.inf


def _proved(hand: InHand, level: Planned, tv: float, sure: float | None) -> Enough:
    """Return the lesser of two proofs, whatever the teacher: from here on, or over all the queries
    from the first.

    Given the records, an unresolved point of mass p is missed by m further queries with probability
    (1-p)^m, and p (1-p)^m <= g(m) = m^m / (m+1)^(m+1): E loss <= (1-1/A) U g(m). With confidence,
    the Chernoff bound of the missing mass of U + 1 points. Or n - n0, where n queries suffice from
    the start.
    """
    from kt_theory.limits.missing_mass import missing_mass_bounds

    fresh = _fresh(level, tv, sure)
    rest = None if fresh.n is None else max(fresh.n - hand.n * hand.revealed, 0)
    total = Enough(
        rest, f"proved over all queries, those in hand among them: {fresh.certificate}", fresh.tried
    )
    if level.told.labels_only:
        return total
    points = level.inputs if level.settles else level.inputs * level.labels
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
    what = counted(left, "input" if level.settles else "pair")
    known = f"{what} {'is' if left == 1 else 'are'} not known yet"
    here = Enough.of(found, f"proved from here on for every teacher: {known}")
    return here if here.n is not None and (total.n is None or here.n <= total.n) else total
