"""What a student sees of real records: exactly what its access level reveals, or why they do not
hold that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kt_theory.access import AccessError
from kt_theory.plurals import counted
from kt_theory.students import Student, TableRule
from kt_theory.transfer.account import numbered, shortened
from kt_theory.transfer.rows import Rows, collect
from kt_theory.transfer.sets import TransferSet


def seen(transfer: TransferSet, student: Student) -> Rows:
    """Return what the student's access level shows it of the records.

    Raises
    ------
    AccessError
        If they hold less, or nothing of the kind.
    ValueError
        If the student's own table does not fit them.
    """
    level = student.access
    level.refuse_unrecorded(student.name)
    shape = len(transfer.input_names), len(transfer.labels)
    if student.prior is not None and student.prior.shape != shape:
        raise ValueError(
            f"student {student.name!r}: its table has shape {student.prior.shape}, the records "
            f"{shape}: give one row for each of transfer.input_names and one column for each of "
            "transfer.labels, transfer.aligned(table)"
        )
    unlabelled = transfer.sampled < 0
    if unlabelled.any() and (student.form.needs_labels or not level.settled):
        raise AccessError(
            f"student {student.name!r} needs a sampled label in each record; "
            f"{counted(int(unlabelled.sum()), 'record has', 'records have')} none "
            f"({_on_lines(transfer, unlabelled)})"
        )
    rows: Rows = level.shows.from_records(_Records(transfer, student))
    return rows


def _on_lines(transfer: TransferSet, records: np.ndarray) -> str:
    """Return on which lines some records stand, (n,) bool."""
    return numbered(transfer.line[records].tolist())


def _of_input(transfer: TransferSet, code: int) -> str:
    """Return the name of an input, and the lines on which its probabilities are stated."""
    states = np.bincount(transfer.entry_record, minlength=len(transfer)) > 0
    lines = _on_lines(transfer, states & (transfer.inputs == code))
    return f"{shortened(transfer.input_names[code])} ({lines})"


@dataclass(frozen=True)
class _Records:
    """Records as the answers to one student."""

    transfer: TransferSet
    student: Student

    def labels_alone(self) -> Rows:
        """Return the rows of the sampled labels."""
        transfer = self.transfer
        sampled = np.where(transfer.sampled >= 0, transfer.target.of[transfer.sampled], -1)
        nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
        return collect(transfer.inputs, sampled, *nothing, len(transfer.labels), transfer.closed)

    def most_probable(self, top: int, *, drawn: bool) -> Rows:
        """Return the rows of the largest probabilities, and of the sampled labels' own."""
        self._refuse_unstated()
        rows = self.transfer.seen_by(top, sampled=drawn)
        self._refuse_impossible(rows)
        return rows

    def whole_rows(self) -> Rows:
        """Return the rows, of which all that could be stated is."""
        self._refuse_unstated()
        rows = self.transfer.rows
        self._refuse_impossible(rows)
        self._refuse_hidden(rows)
        self._refuse_off_grid()
        self._refuse_sums(rows)
        return rows

    def _refuse_unstated(self) -> None:
        level = self.student.access
        if not len(self.transfer.entry_record):
            raise AccessError(
                f"student {self.student.name!r} needs access {level.name!r} "
                f"({level.description}); the records state no probabilities"
            )

    def _refuse_impossible(self, rows: Rows) -> None:
        if self.student.access.unaltered:
            refuse_impossible(self.transfer, rows)
        elif self.transfer.target.merges:
            raise AccessError(
                f"student {self.student.name!r} undoes rows as they were shown, so that no labels "
                "can be merged or pooled: read the records with other='keep' and without label_map "
                "and fold"
            )

    def _refuse_hidden(self, rows: Rows) -> None:
        """Labels that a whole row does not state have probability 0, or are shown as 0."""
        total = rows.total(np.where(rows.known, rows.p, rows.floor))
        low, _ = self.student.access.channel.sums(rows.labels)
        # What is left is the probability of a label that alone is hidden.
        alone = rows.parts is not None and rows.closed
        short = (total < low - 1e-6) & (rows.hidden_labels > alone)
        if short.any():
            worst = float(rows.hidden_mass.max())
            raise AccessError(
                f"student {self.student.name!r} needs all probabilities of a row; "
                f"{counted(int(short.sum()), 'input hides', 'inputs hide')} some, "
                f"up to {worst:.3g} of their mass; leave student out to share it"
            )

    def _refuse_off_grid(self) -> None:
        transfer = self.transfer
        grid = self.student.access.channel.grid(transfer.entry_logp)
        if grid is None or not grid.missed.any():
            return
        worst = int(grid.missed.argmax())
        record = transfer.entry_record[worst]
        name = shortened(transfer.input_names[transfer.inputs[record]])
        raise ValueError(
            f"student {self.student.name!r}: input {name} (line {transfer.line[record]}) states "
            f"the {grid.what} "
            f"{grid.values[worst]:.6g} of label "
            f"{transfer.label_names[transfer.entry_label[worst]]!r}, which is no multiple of "
            f"{grid.unit:.6g}; name the unit of these answers, or leave student out if they are "
            "shown as they are"
        )

    def _refuse_sums(self, rows: Rows) -> None:
        """Whole rows sum to what their channel can show."""
        level = self.student.access
        total = rows.total(np.where(rows.known, rows.p, 0.0))
        low, high = level.channel.sums(rows.labels)
        odd = (total < low - level.channel.slack) | (total > high + level.channel.slack)
        if odd.any() and not level.unaltered:
            first = _of_input(self.transfer, int(rows.input[int(odd.argmax())]))
            raise ValueError(
                f"student {self.student.name!r}: {counted(int(odd.sum()), 'input')}, {first} the "
                f"first, {'shows' if odd.sum() == 1 else 'show'} weights that sum to "
                f"{total[odd][0]:.4g} or so; those of access {level.name!r} sum to {low:.4g} at "
                f"least and to {high:.4g} at most"
            )


def refuse_impossible(transfer: TransferSet, rows: Rows) -> None:
    """Raise an error where the probabilities of a row that are stated as they are cannot all be
    right.

    Or where the labels cannot have been drawn from them.
    """
    # What repeated answers disagree about is in the certificate already.
    excess = rows.contradiction - rows.total(rows.spread)
    if (excess > _IMPOSSIBLE).any():
        worst = int(excess.argmax())
        raise ValueError(
            f"input {_of_input(transfer, int(rows.input[worst]))}: its stated probabilities sum to "
            f"{1.0 + rows.contradiction[worst]:.4g}, more than 1, so that they are not the "
            "teacher's own; name how they are shown, student=kt.students.rounded(step), "
            "quantised(bits) or tempered(tau), or learn from the labels alone, student='ce_sgl'"
        )
    refuse_unlikely(transfer, rows)


def refuse_unlikely(transfer: TransferSet, rows: Rows) -> None:
    """Raise an error where the sampled labels cannot be draws from the stated probabilities.

    Of a label of probability p that came c times in the k labels of its input both tails of Bin(k,
    p) at c are at least delta p k / n, but for a chance of 2 delta over all inputs and labels
    together: the probabilities of an input sum to 1. Where no row hides mass the labels do not
    count, and nothing is refused.
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
        row = told.row[first]
        name = shortened(transfer.input_names[told.input[row]])
        lines = _on_lines(transfer, told.record_row == row)
        raise ValueError(
            f"input {name} ({lines}): label {transfer.label_names[told.label[first]]!r} came "
            f"{int(told.count[first])} times in {int(drawn[row])} answers, though its stated "
            f"probability is {told.p[first]:.4g}: labels were not drawn from what is stated "
            "(a bias, guided or greedy decoding, another temperature?); read them with "
            "as_sampled=True, so that what is stated counts alone, or learn from the labels "
            "alone, student='ce_sgl'"
        )


_CHANCE = 5e-10
"""Honest records are refused with at most twice that probability."""

_IMPOSSIBLE = 0.02
"""An excess of a row's sum over 1 that no server's rounding explains. Smaller ones count in the
certificate.
"""


def dense(rows: Rows, student: Student, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts and what is shown, (inputs, A), NaN where hidden: what the student's rule
    reads.

    A student with a table of its own, or one that pools rows, sees every input that has a name;
    others the visited ones, in the order of `rows`.
    """
    level = student.access
    place = rows.input if sees_all(student) else np.arange(len(rows.input))
    shape = (inputs if sees_all(student) else len(rows.input)), rows.labels
    counts, visits = np.zeros(shape, dtype=np.int64), np.zeros(shape[0], dtype=np.int64)
    shown = np.full(shape, np.nan)
    weights = rows.shown
    if not level.unaltered:
        shown[place], weights = 0.0, rows.p
    at = place[rows.row], rows.label
    counts[at], visits[place] = rows.count, rows.queries
    shown[at] = np.where(rows.known, weights, shown[at])
    return level.shows.answered(counts, np.fmax(shown, -1.0), visits), shown


def sees_all(student: Student) -> bool:
    """Return whether the student's rule needs the rows of inputs that were not asked."""
    return student.prior is not None or isinstance(student.rule, TableRule)
