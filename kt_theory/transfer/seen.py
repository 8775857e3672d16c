"""What a student sees of real records: exactly what its access level reveals, or why they do not
hold that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.access import WHOLE_ROW, Access, AccessError, Channel
from kt_theory.access.channel import UpToFactor
from kt_theory.students import Student, TableRule
from kt_theory.transfer.account import shortened
from kt_theory.transfer.distortion import sums
from kt_theory.transfer.rows import Rows, collect
from kt_theory.transfer.sets import TransferSet


@dataclass(frozen=True)
class Basis:
    """What a certificate must know of the student that wrote a copy.

    Attributes
    ----------
    access : Access or None
        None for all that is stated.
    kind : str
        "shared": it keeps stated probabilities and shares the hidden mass equally. "frequencies":
        n_sa / n_s. "undone": it is the rule of the package that undoes a known channel of whole
        rows. "other".
    prior : bool
        It keeps a table of its own on inputs that were not asked.
    """

    access: Access | None = None
    kind: str = "shared"
    prior: bool = False

    @property
    def reveals(self) -> bool:
        """Whether the student sees probabilities."""
        return self.access is None or self.access.sampled or self.access.top > 0

    @property
    def channel(self) -> Channel | None:
        """How the answers are distorted, if the student takes them to be."""
        return None if self.access is None else self.access.distortion


def basis(student: Student) -> Basis:
    """Return what a certificate must know of a student."""
    kind = "other" if student.sparse is None else student.sparse.assumes
    return Basis(student.access, kind, student.prior is not None)


def seen(transfer: TransferSet, student: Student) -> Rows:
    """Return what the student's access level shows it of the records.

    Raises
    ------
    AccessError
        If they hold less, or nothing of the kind.
    ValueError
        If the student's own table does not fit them.
    """
    level, name = student.access, student.name
    _refuse_other_kinds(student)
    _refuse_other_tables(transfer, student)
    unlabelled = int((transfer.sampled < 0).sum())
    needs_label = level.top < WHOLE_ROW and not level.greedy
    if unlabelled and (isinstance(student.rule, TableRule) or needs_label):
        raise AccessError(
            f"student {name!r} needs a sampled label in each record; {unlabelled} records have none"
        )
    if not level.sampled and not level.top:
        sampled = np.where(transfer.sampled >= 0, transfer.target.of[transfer.sampled], -1)
        return collect(transfer.inputs, sampled, *_NOTHING, len(transfer.labels), transfer.closed)
    if not len(transfer.entry_record):
        raise AccessError(
            f"student {name!r} needs access {level.name!r} ({level.description}); the records "
            "state no probabilities"
        )
    rows = (
        transfer.rows
        if level.top == WHOLE_ROW
        else transfer.seen_by(level.top, sampled=not level.greedy)
    )
    if level.distortion is None:
        refuse_impossible(transfer, rows)
    elif transfer.target.merges:
        raise AccessError(
            f"student {name!r} undoes rows as they were shown, so that no labels can be merged or "
            "pooled: read the records with other='keep' and without label_map and fold"
        )
    if level.top == WHOLE_ROW:
        _refuse_hidden(rows, student)
        _refuse_off_grid(transfer, student)
        _refuse_sums(transfer, rows, student)
    return rows


def refuse_impossible(transfer: TransferSet, rows: Rows) -> None:
    """Raise an error where the probabilities of a row that are stated as they are cannot all be
    right.

    Or where the labels cannot have been drawn from them.
    """
    # What repeated answers disagree about is in the certificate already.
    excess = rows.contradiction - rows.total(rows.spread)
    if (excess > _IMPOSSIBLE).any():
        worst = int(excess.argmax())
        name = transfer.input_names[rows.input[worst]]
        raise ValueError(
            f"input {shortened(name)}: its stated probabilities sum to "
            f"{1.0 + rows.contradiction[worst]:.4g}, more than 1, so that they are not the "
            "teacher's own; name how they are shown, student=kt.students.rounded(step), "
            "quantised(bits) or tempered(tau), or learn from the labels alone, student='ce_sgl'"
        )
    refuse_unlikely(transfer, rows)


def refuse_unlikely(transfer: TransferSet, rows: Rows) -> None:
    """Raise an error where the sampled labels cannot be draws from the stated probabilities.

    Of a label of probability p that came c times in the k labels of its input both tails of Bin(k,
    p) at c are at least delta p k / n, but for a chance of 2 delta over all inputs and labels
    together: the probabilities of an input sum to
    1. Where no row hides mass the labels do not count, and nothing is refused.
    """
    from scipy.special import betainc

    told = rows.parts or rows
    drawn = np.asarray(told.sampled, dtype=np.float64)
    hides = (told.hidden_mass > 1e-6) & ((told.hidden_labels > 0) | (not told.closed))
    if not transfer.faithful or not hides.any() or drawn.sum() == 0:
        return
    k, c = drawn[told.row], told.count.astype(np.float64)
    exact = told.known & (told.spread == 0) & (k > 0)
    k, c, p = k[exact], c[exact], told.p[exact]
    # Servers compute in half precision.
    most, least = np.minimum(1.0, p * 1.01 + 1e-6), np.maximum(0.0, p * 0.99 - 1e-6)
    above = np.where(c > 0, betainc(np.maximum(c, 1.0), k - c + 1.0, most), 1.0)
    below = np.where(c < k, betainc(np.maximum(k - c, 1.0), c + 1.0, 1.0 - least), 1.0)
    odd = np.minimum(above, below) < _CHANCE * most * k / drawn.sum()
    if odd.any():
        first = int(np.flatnonzero(exact)[int(odd.argmax())])
        name = transfer.input_names[told.input[told.row[first]]]
        raise ValueError(
            f"input {shortened(name)}: label {transfer.label_names[told.label[first]]!r} came "
            f"{int(told.count[first])} times in {int(drawn[told.row[first]])} answers, though its "
            f"stated probability is {told.p[first]:.4g}: labels were not drawn from what is stated "
            "(a bias, guided or greedy decoding, another temperature?); read them with "
            "as_sampled=True, so that what is stated counts alone, or learn from the labels "
            "alone, student='ce_sgl'"
        )


_CHANCE = 5e-10
"""Honest records are refused with at most twice that probability."""


_NOTHING = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))


def _refuse_other_kinds(student: Student) -> None:
    """Records hold labels and log-probabilities of their own input, at most 0."""
    level = student.access
    if level.graph is not None or level.everywhere:
        raise AccessError(f"student {student.name!r} needs gradients: records of labels hold none")
    if level.non_target or (level.greedy and not level.top):
        raise AccessError(
            f"student {student.name!r} needs access {level.name!r} ({level.description}): records "
            "of sampled labels and log-probabilities show others; take 'ce_sgl', 'sel_ptl', "
            "'ce_ful' or top_k"
        )
    if level.distortion is None and not level.noise:
        return
    if level.noise:
        raise AccessError(
            f"student {student.name!r} needs noisy answers as they came: records cut "
            "log-probabilities off at 0"
        )
    if level.distortion == UpToFactor():
        raise AccessError(
            f"student {student.name!r} needs logits: records state log-probabilities; take "
            "'ce_ful', 'sel_ptl' or top_k"
        )
    if level.distortion is not None and level.top < WHOLE_ROW:
        raise AccessError(
            f"student {student.name!r}: of records that show {level.distortion.kind} "
            "probabilities, whole rows alone can be undone"
        )


def _refuse_other_tables(transfer: TransferSet, student: Student) -> None:
    shape = len(transfer.input_names), len(transfer.labels)
    if student.prior is not None and student.prior.shape != shape:
        raise ValueError(
            f"student {student.name!r}: its table has shape {student.prior.shape}, the records "
            f"{shape}: give one row for each of transfer.input_names and one column for each of "
            "transfer.labels, transfer.aligned(table)"
        )


def _refuse_hidden(rows: Rows, student: Student) -> None:
    """Labels that a whole row does not state have probability 0, or are shown as 0."""
    total = rows.total(np.where(rows.known, rows.p, rows.floor))
    low, _ = sums(student.access.distortion, rows.labels)
    # What is left is the probability of a label that alone is hidden.
    short = (total < low - 1e-6) & (rows.hidden_labels > (rows.parts is not None and rows.closed))
    if short.any():
        worst = float(rows.hidden_mass.max())
        raise AccessError(
            f"student {student.name!r} needs all probabilities of a row; {int(short.sum())} inputs "
            f"hide some, up to {worst:.3g} of their mass; leave student out to share it"
        )


def _refuse_off_grid(transfer: TransferSet, student: Student) -> None:
    """What is rounded or quantised consists of multiples of a unit."""
    channel, logp = student.access.distortion, transfer.entry_logp
    if channel is None or channel.kind not in ("rounded", "quantised"):
        return
    values = logp if channel.kind == "rounded" else np.exp(logp)
    unit = channel.amount if channel.kind == "rounded" else 2.0**-channel.amount
    away = np.abs(values - unit * np.rint(values / unit))
    # Censored entries are NaN, and never off.
    off = away > (1e-6 * np.maximum(unit, np.abs(values)) if channel.kind == "rounded" else 1e-9)
    if off.any():
        worst = int(off.argmax())
        name = transfer.input_names[transfer.inputs[transfer.entry_record[worst]]]
        what = "log-probability" if channel.kind == "rounded" else "probability"
        raise ValueError(
            f"student {student.name!r}: input {name!r} states the {what} {values[worst]:.6g} of "
            f"label {transfer.label_names[transfer.entry_label[worst]]!r}, which is no multiple of "
            f"{unit:.6g}; name the unit of these answers, or leave student out if they are shown "
            "as they are"
        )


def _refuse_sums(transfer: TransferSet, rows: Rows, student: Student) -> None:
    """Whole rows sum to what their channel can show."""
    channel = student.access.distortion
    total = rows.total(np.where(rows.known, rows.p, 0.0))
    low, high = sums(channel, rows.labels)
    # Values on a grid are exact.
    slack = 1e-6 if channel is not None and channel.kind in ("rounded", "quantised") else _SERVERS
    odd = (total < low - slack) | (total > high + slack)
    if channel is not None and odd.any():
        name = transfer.input_names[rows.input[int(odd.argmax())]]
        raise ValueError(
            f"student {student.name!r}: {int(odd.sum())} inputs, {name!r} the first, show weights "
            f"that sum to {total[odd][0]:.4g} or so; those of access {student.access.name!r} sum "
            f"to {low:.4g} at least and to {high:.4g} at most"
        )


_IMPOSSIBLE = 0.02
"""An excess of a row's sum over 1 that no server's rounding explains. Smaller ones count in the
certificate.
"""

_SERVERS = 0.01
"""By so much servers that compute in half precision may miss the sum of a row."""


def dense(rows: Rows, student: Student, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts and what is shown, (inputs, A), NaN where hidden: what the student's rule
    reads.

    A student with a table of its own, or one that pools rows, sees every input that has a name;
    others the visited ones, in the order of `rows`.
    """
    place = rows.input if sees_all(student) else np.arange(len(rows.input))
    shape = (inputs if sees_all(student) else len(rows.input)), rows.labels
    counts, shown = np.zeros(shape, dtype=np.int64), np.full(shape, np.nan)
    channel = student.access.distortion
    if channel is not None:
        shown[place] = 0.0
    at = place[rows.row], rows.label
    counts[at] = rows.count
    weights = rows.shown if channel is None else rows.p
    shown[at] = np.where(rows.known, weights, shown[at])
    if student.access.greedy:
        counts[place, np.nanargmax(np.fmax(shown[place], -1.0), axis=1)] = rows.queries
    return counts, shown


def sees_all(student: Student) -> bool:
    """Return whether the student's rule needs the rows of inputs that were not asked."""
    return student.prior is not None or isinstance(student.rule, TableRule)
