"""Fitting a copy to real records: the students of the package, on sparse rows."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from kt_theory.access import Access
from kt_theory.content import ByContent
from kt_theory.dumps import Dump
from kt_theory.output import without_formulas, write_bytes
from kt_theory.plurals import counted
from kt_theory.sequences import SequenceCopy, fit_dump
from kt_theory.students import Student, as_students
from kt_theory.students.sparse import ClosedForm, Sharing, SparseFit, WholeRows
from kt_theory.teacher import Teacher
from kt_theory.transfer.certify.certificate import Certificate, certify
from kt_theory.transfer.rows import Rows, renumbered, starts
from kt_theory.transfer.seen import dense, refuse_impossible, seen, sees_all
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import as_path, shown

if TYPE_CHECKING:
    import pandas as pd

ALL_STATED = "all_stated"
"""The student that uses every stated probability and shares the hidden mass of a row equally:
`sel_ptl`, `top_k` and `ce_ful` in one, each where the records reveal what it needs."""

SHARED = "<shared>"
"""In place of a label: all labels of the input that have no line of their own, each with the same
probability.
"""

WRITABLE = (".parquet", ".csv", ".json")
"""Suffixes that `Copy.write` knows."""

_DENSE = 50_000_000
"""Most cells (visited inputs x labels) of a dense table."""


@dataclass(frozen=True)
class Learner:
    """What a certificate must know of the student that wrote a copy.

    Attributes
    ----------
    form : SparseFit
        How it was fitted.
    access : Access or None
        None for all that is stated.
    prior : bool
        It keeps a table of its own on inputs that were not asked.
    """

    form: SparseFit
    access: Access | None = None
    prior: bool = False

    @classmethod
    def of(cls, student: Student) -> Learner:
        """Return what a certificate must know of a student."""
        return cls(student.form, student.access, student.prior is not None)


@dataclass(frozen=True, eq=False)
class Copy(ByContent):
    """A student's table of the inputs that were asked. On others it is uniform, or the student's
    own table.

    Attributes
    ----------
    transfer : TransferSet
    student : str
    rows : Rows
        What the student saw.
    probability : (P,) float64
        q(a|s) of each pair of `rows`.
    share : (R,) float64
        q(a|s) of each label that is not among the row's pairs.
    pooled : Copy or None
        Of a teacher given that its label is declared: the copy of the teacher that pools the
        others, which this one is made of.
    learner : Learner
        What its certificate must know of the student.
    """

    transfer: TransferSet
    student: str
    rows: Rows
    probability: np.ndarray
    share: np.ndarray
    learner: Learner = Learner(Sharing())
    pooled: Copy | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the copy."""
        return self.transfer.labels[: self.rows.labels]

    @property
    def input_names(self) -> list[str]:
        """The visited inputs, a row each."""
        return [self.transfer.input_names[i] for i in self.rows.input]

    @property
    def target(self) -> str:
        """Whose distribution it is a copy of."""
        answers = ", given that it answers" if self.transfer.account.unanswered else ""
        return f"{self.transfer.target}{answers}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One line per input and label that occurs there, and one per input for the labels that do
        not.

        Columns: input; label (`SHARED` on the line of the others); probability; shared_by, the
        number of labels that the probability is shared by, equally; source: "stated" (or computed
        from what is, where the student undoes a distortion), "counted", or "shared"; count, how
        often the label was sampled; at_most, for a label that a record censors, the smallest
        probability that the same record lists; missing where it lists none. The probability is
        above it only where the input hides no label that could take the rest. The probabilities of
        an input sum to 1.
        """
        import pandas as pd

        rows = self.rows
        others = rows.labels - np.diff(rows.start)
        rest = np.flatnonzero(others * self.share > 0)
        owner = np.concatenate([rows.row, rest])
        order = np.argsort(owner, kind="stable")
        names = np.array([*self.labels, SHARED], dtype=object)
        label = np.concatenate([rows.label, np.full(len(rest), len(names) - 1)])
        stated = rows.known if self.reveals else np.zeros(len(rows.label), dtype=bool)
        counted = "shared" if self.reveals else "counted"
        source = np.concatenate([np.where(stated, "stated", counted), np.full(len(rest), "shared")])
        cap = np.where(self.reveals & ~rows.known & np.isfinite(rows.cap), rows.cap, np.nan)
        columns = {
            "input": np.array(self.input_names, dtype=object)[owner],
            "label": names[label],
            "probability": np.concatenate([self.probability, (others * self.share)[rest]]),
            "shared_by": np.concatenate([np.ones(len(rows.label), dtype=np.int64), others[rest]]),
            "source": source,
            "count": np.concatenate([rows.count, np.zeros(len(rest), dtype=np.int64)]),
            "at_most": np.concatenate([cap, np.full(len(rest), np.nan)]),
        }
        return pd.DataFrame({name: values[order] for name, values in columns.items()})

    @property
    def reveals(self) -> bool:
        """Whether the student sees probabilities."""
        level = self.learner.access
        return level is None or level.shows.states

    @property
    def declared_mass(self) -> np.ndarray:
        """Of a copy that pools the labels which were not declared: what it gives to the declared
        ones, (R,).
        """
        rows = self.rows
        other = rows.label == self.transfer.target.declared
        unpaired = 1.0 - rows.total(other)
        paired = rows.total(np.where(other, self.probability, 0.0))
        return np.clip(1.0 - paired - unpaired * self.share, 0.0, 1.0)

    @cached_property
    def pi(self) -> np.ndarray:
        """The copy as a dense table over the visited inputs: (R, A) float64, rows sum to 1."""
        shape = len(self.rows.input), self.rows.labels
        if shape[0] * shape[1] > _DENSE:
            raise ValueError(
                f"a dense table of {shape[0]} inputs x {shape[1]} labels is too large; use .table, "
                "which is sparse"
            )
        dense = np.repeat(self.share[:, None], shape[1], axis=1)
        dense[self.rows.row, self.rows.label] = self.probability
        return dense

    def teacher(self) -> Teacher:
        """Return the copy as a `Teacher` over the visited inputs, rho being their share of the
        records, or by the weights of the design.
        """
        table = self.pi / self.pi.sum(axis=1, keepdims=True)
        shares = self.transfer.design.parts(self.rows).shares(self.rows)
        weighed = shares if shares.sum() > 0 else self.rows.queries
        rho = weighed / weighed.sum()
        return Teacher(table, rho, input_names=self.input_names, label_names=self.labels)

    def wide(self) -> pd.DataFrame:
        """Return the copy with one row per visited input and one column per label; rows sum to 1.

        Raises
        ------
        ValueError
            If that would be more than 5 x 10^7 cells: use `table`.
        """
        import pandas as pd

        index = pd.Index(self.input_names, name="input")
        return pd.DataFrame(self.pi, index, list(self.labels))

    def write(self, path: str | Path) -> Path:
        """Write `table`, whole or not at all, and return the path.

        The suffix says the format: .parquet, .csv, .json (a record a line).
        """
        target = as_path(path, "path")
        if target.suffix == ".parquet":
            buffer = io.BytesIO()
            self.table.to_parquet(buffer, index=False)
            return write_bytes(target, buffer.getvalue())
        if target.suffix == ".csv":
            return write_bytes(
                target,
                without_formulas(self.table).to_csv(index=False, lineterminator="\n").encode(),
            )
        if target.suffix == ".json":
            records = self.table.to_dict("records")
            kept = [
                {name: value for name, value in record.items() if value == value}
                for record in records
            ]
            return write_bytes(
                target, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept).encode()
            )
        raise ValueError(f"{target}: must end in {', '.join(WRITABLE)}")

    def certificate(self, confidence: float = 0.95, *, anytime: bool = False) -> Certificate:
        """Return an upper confidence bound on TV(copy, teacher | rho), from the records alone.

        Parameters
        ----------
        confidence : float
            In (0, 1): the bound holds with at least this probability over the draw of the records,
            whatever the teacher and rho are.
        anytime : bool
            It holds at all times together: one may look after every answer, and stop when the bound
            is small. For a fixed list of inputs; where labels alone count, their number must be
            declared.

        Raises
        ------
        ValueError
            For a confidence outside (0, 1), or anytime=True where nothing holds at all times.
        """
        return certify(self, confidence, anytime=anytime)

    def __repr__(self) -> str:
        inputs, labels = counted(len(self.rows.input), "input"), counted(len(self.labels), "label")
        return f"Copy({self.student}: {inputs}, {labels})"


@overload
def fit(transfer: TransferSet, student: str | Student | None = None) -> Copy: ...


@overload
def fit(
    transfer: Dump, student: str | None = None, *, context: int | None = None
) -> SequenceCopy: ...


def fit(
    transfer: TransferSet | Dump,
    student: str | Student | None = None,
    *,
    context: int | None = None,
) -> Copy | SequenceCopy:
    """Return the copy of the teacher that a student learns from real records, or from a dump.

    Parameters
    ----------
    transfer : TransferSet or Dump
        A dump gives a `SequenceCopy`: a student that sees the last tokens alone, learnt from a part
        of the texts and measured on the rest.
    student : str or Student, optional
        It sees of the records exactly what its access level reveals: `ce_sgl` the sampled labels,
        `sel_ptl` and `ce_ptl` their probabilities too, `top_k(k)` the k largest beside them,
        `ce_ful` whole rows. By default, where none is stated, `ce_sgl`. Otherwise every stated
        probability is used, and the mass of a row that nobody states is shared equally by its other
        labels, but a censored one gets no more than what its own record lists, unless no other
        label is left. Of records that are known to state whole rows at another temperature, rounded
        or quantised: `kt_theory.students.tempered(tau)`, `rounded(step)`, `quantised(bits)`. The
        table of a student with a prior has a row for each of `transfer.input_names`: see
        `TransferSet.aligned`. Of a dump: `mean_rows` (the default), which averages the stated rows
        of a context; or `kneser_ney`, `modified_kneser_ney`, `absolute_discounting` or
        `good_turing`, which count the tokens that follow. All back off to shorter contexts.
    context : int, optional
        Of a dump: how many tokens the copy sees; by default what the dump takes for an input.

    Raises
    ------
    AccessError
        If the records reveal less than the student needs.
    ValueError
        For an empty transfer set, an unknown student, one whose table does not fit the records, or
        stated probabilities of an input that sum to more than 1.02; for a dump without tokens, or a
        context that nobody gives or that is longer than all texts.

    Examples
    --------
    >>> import kt_theory as kt
    >>> from kt_theory.transfer.sets import TransferSet
    >>> records = TransferSet.from_arrays(["q", "q"], [0, 1], labels=["yes", "no", "maybe"])
    >>> fit(records, "laplace").pi
    array([[0.4, 0.4, 0.2]])
    """
    if isinstance(transfer, Dump):
        return fit_dump(transfer, student, context)
    if not isinstance(transfer, TransferSet):
        raise ValueError(
            f"transfer is a {type(transfer).__name__}: must be a TransferSet or a Dump"
        )
    if context is not None:
        raise ValueError(f"context = {shown(context)}: it is for a Dump; omit it")
    if not len(transfer):
        first = [f"; line {line}: {why}" for line, _, why in transfer.account.skipped[:1]]
        raise ValueError(f"transfer holds no records: nothing can be learnt{''.join(first)}")
    if student is None and not len(transfer.entry_record):
        # Nothing is stated: the frequencies of the labels are all that can be learnt. The copy's
        # name says so.
        student = "ce_sgl"
    copy = _all_stated(transfer) if student is None else _learnt(transfer, *as_students(student))
    return _given_declared(copy) if transfer.target.other == "condition" else copy


def _all_stated(transfer: TransferSet) -> Copy:
    refuse_impossible(transfer, transfer.rows)
    return Copy(transfer, ALL_STATED, transfer.rows, *Sharing().fit(transfer.rows))


def _learnt(transfer: TransferSet, chosen: Student) -> Copy:
    rows = seen(transfer, chosen)
    form = chosen.form
    if isinstance(form, ClosedForm):
        return Copy(transfer, chosen.name, rows, *form.fit(rows), Learner.of(chosen))
    assert isinstance(form, WholeRows)
    return _whole_rows(transfer, chosen, form, rows)


def _given_declared(pooled: Copy) -> Copy:
    """Return the copy of the teacher given that its label is declared: q(a|s) / sum over the
    declared labels.

    The pooled label is the last one. A row without mass on declared labels is uniform on them.
    """
    rows, declared = pooled.rows, pooled.transfer.target.declared
    inside = rows.label < declared
    held = pooled.declared_mass
    lost = held <= 0
    scale = np.where(lost, 1.0, held)
    even = 1.0 / declared
    probability = np.where(lost[rows.row], even, pooled.probability / scale[rows.row])[inside]
    place = np.where(inside, np.cumsum(inside) - 1, -1)
    kept = replace(
        rows,
        labels=declared,
        start=starts(rows.total(inside).astype(np.int64)),
        label=rows.label[inside],
        p=rows.p[inside],
        spread=rows.spread[inside],
        cap=rows.cap[inside],
        floor=rows.floor[inside],
        record_pair=renumbered(rows.record_pair, place),
        parts=None,
        part_of=None,
    )
    return replace(
        pooled,
        rows=kept,
        probability=probability,
        share=np.where(lost, even, pooled.share / scale),
        pooled=pooled,
    )


def _whole_rows(transfer: TransferSet, student: Student, form: WholeRows, rows: Rows) -> Copy:
    """Any student that writes whole rows."""
    inputs = len(transfer.input_names if sees_all(student) else rows.input)
    if inputs * rows.labels > _DENSE:
        raise ValueError(
            f"student {student.name!r} writes whole rows: {inputs} inputs x {rows.labels} labels "
            "are too many; the students with a closed form are ce_sgl, ce_ptl, sel_ptl, ce_ful, "
            "top_k(k) and add_c(c)"
        )
    counts, shown = dense(rows, student, inputs)
    table = form.table(student, counts, shown)
    if sees_all(student):
        table, shown = table[rows.input], shown[rows.input]
    wrong = ~(
        np.isfinite(table).all(axis=1)
        & (np.abs(table.sum(axis=1) - 1.0) < 1e-9)
        & (table >= 0).all(axis=1)
    )
    if wrong.any():
        name = transfer.input_names[rows.input[int(np.argmax(wrong))]]
        raise ValueError(
            f"student {student.name!r} wrote no distribution at input {name!r}: rows must sum to 1"
        )
    full, share = _all_pairs(rows, shown), np.zeros(len(table))
    return Copy(transfer, student.name, full, table.ravel(), share, Learner.of(student))


def _all_pairs(rows: Rows, shown: np.ndarray) -> Rows:
    """The same rows with every label as a pair."""
    visited, labels = shown.shape
    place = rows.row * labels + rows.label
    spread, cap, floor = (
        np.zeros(visited * labels),
        np.full(visited * labels, np.inf),
        np.zeros(visited * labels),
    )
    spread[place], cap[place], floor[place] = rows.spread, rows.cap, rows.floor
    return replace(
        rows,
        start=np.arange(visited + 1) * labels,
        label=np.tile(np.arange(labels), visited),
        p=shown.ravel(),
        spread=spread,
        cap=cap,
        floor=floor,
        record_pair=renumbered(rows.record_pair, place),
        entry_pair=rows.entry_pair if rows.parts is not None else place[rows.entry_pair],
        part_of=None if rows.part_of is None else place[rows.part_of],
    )
