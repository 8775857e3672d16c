"""The transfer set: real records of what a teacher was asked and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.plurals import counted
from kt_theory.sources import require_file
from kt_theory.transfer.account import Account, drawn, shortened
from kt_theory.transfer.design import DRAWN, AnyDesign, Choice
from kt_theory.transfer.read.answers import Reading
from kt_theory.transfer.read.builder import Builder
from kt_theory.transfer.read.files import ALLOWED, read_file
from kt_theory.transfer.rows import Rows, collect, merged
from kt_theory.transfer.target import Target, aim, as_folds, as_map, variants
from kt_theory.validation import (
    as_floats,
    as_path,
    entries_of,
    in_unicode,
    refuse_no_text,
    shown,
    true_or_false,
    unknown_name,
    whole_number,
)

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("first_token", "text")
"""What is the label of a response: its first generated token, or its whole text."""


@dataclass(frozen=True, eq=False)
class TransferSet(ByContent):
    """Records (input, sampled label, stated log-probabilities). Build it with `read` or
    `from_arrays`.

    Attributes
    ----------
    inputs, sampled : (n,) int64
        Codes of each record's input and sampled label; -1 where a record only states probabilities.
    entry_record, entry_label : (m,) int64
        Which record states which label's log-probability.
    entry_logp : (m,) float64
        The log-probability, nats, at most 0; NaN where it is censored: not zero, at most the
        smallest that the record lists. What a record does not state has no entry.
    input_names, label_names : tuple of str
        Of the inputs, and of the labels as the records have them.
    line : (n,) int64
        The line that each record stands on.
    target : Target
        Whose distribution a copy is of: the labels of the copy, and which label of the records
        counts as which.
    faithful : bool
        Sampled labels follow the stated probabilities (temperature 1, nothing truncated), as far as
        the records say.
    account : Account
        What became of each line.
    design : Drawn, Fixed or Strata
        How the inputs were chosen.
    """

    inputs: np.ndarray
    sampled: np.ndarray
    entry_record: np.ndarray
    entry_label: np.ndarray
    entry_logp: np.ndarray
    input_names: tuple[str, ...]
    label_names: tuple[str, ...]
    line: np.ndarray
    target: Target
    faithful: bool
    account: Account
    design: AnyDesign = DRAWN

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a copy: those of the records, unless some of them count as one."""
        return self.target.names

    @property
    def closed(self) -> bool:
        """There are no labels but these."""
        return self.target.closed

    @classmethod
    def read(
        cls,
        path: str | Path,
        format: str | None = None,
        *,
        label: str = "first_token",
        input: str | None = None,
        logprob: str | None = None,
        labels: Sequence[str] | None = None,
        other: str = "keep",
        label_map: Any = None,
        fold: str | Sequence[str] = (),
        model: str | None = None,
        requests: str | Path | None = None,
        on_error: str = "skip",
        as_sampled: bool = False,
        design: str = "drawn",
        weights: Any = None,
        strata: Any = None,
    ) -> TransferSet:
        """Read a file of records.

        Parameters
        ----------
        path : path
            .jsonl, .ndjson, .json or .txt: one record a line, or JSON that holds records, also with
            .gz or .zst; .csv, .tsv; .parquet.
        format : str, optional
            One of `kt_theory.transfer.read.files.READERS`; by default that of the first record.
        label : str
            "first_token" of a response, its whole "text", or the field of plain records that holds
            it.
        input, logprob : str, optional
            The fields that hold the input, such as "metadata.question", and the label's
            log-probability.
        labels : sequence of str, optional
            The labels that are asked about. Without it they are those that occur.
        other : {"keep", "pool", "condition", "none"}
            What becomes of labels that are not declared. They are labels too; they are pooled in
            one, `<other>`; the copy is of the teacher given that its label is declared; or there
            are none, which the certificate then takes for granted, and a record that has one is
            refused.
        label_map : mapping or path, optional
            Variants that count as one label: {variant: label} or {label: [variants]}, or a file of
            it, .json or .csv.
        fold : str or sequence of str
            "strip", "casefold" or both: labels that differ by spaces around, or by case, are one.
        model : str, optional
            Of a file with the answers of several models, the one that is read.
        requests : path, optional
            The file of requests that a Batch answers, to be joined by `custom_id`.
        on_error : {"skip", "raise"}
            What a line does that gives no record. Skipped or not, `account` has its number and the
            reason.
        as_sampled : bool
            Accept records whose labels were drawn otherwise than from the teacher's own
            distribution: at another temperature, truncated, biased, guided. Certificates then rest
            on what is stated alone, and say so. Of greedy answers that list their k most probable
            labels `kt_theory.students.top_k(k, sampled=False)` learns.
        design : {"drawn", "fixed", "strata"}
            How the inputs were chosen: drawn from a law that is not known; a fixed list, each asked
            as often as was decided before; strata, of each of which so many were drawn.
        weights : mapping or path, optional
            Of a fixed list {input: weight}, the answered inputs with equal weights by default; of
            strata {stratum: weight}; or a file, .json or .csv with two columns. At least 0, divided
            by their sum. What has a weight and no answer counts as unseen.
        strata : mapping or path, optional
            {input: stratum}, for design="strata"; or a file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            For an unknown format, a line without a record if on_error="raise", records drawn
            otherwise, of two models, or with a label that is not declared if other="none"; for an
            unknown design, weights below 0 or that sum to 0, and an input without a weight.
        """
        source = as_path(path, "path")
        refuse_no_text(format=format, label=label, input=input, logprob=logprob, model=model)
        refuse_no_text(on_error=on_error, other=other)
        if on_error not in ("skip", "raise"):
            raise unknown_name("on_error", on_error, ("skip", "raise"))
        true_or_false(as_sampled, "as_sampled")
        if labels is not None:
            labels = _names(labels)
        if requests is not None:
            require_file(as_path(requests, "requests"))
        require_file(source)
        if isinstance(label_map, (str, Path)):
            require_file(label_map)
        folds, merged = as_folds(fold), as_map(label_map)
        # What is wrong with them alone is said before a long file is read.
        aim((), (), labels, other, merged, folds)
        choice = Choice.of(design, weights, strata)
        account = Account(source=source.name)
        builder = Builder(account)
        part, field = (label, None) if label in LABELS else ("first_token", label)
        reading = Reading(part, input, builder.texts, account, field, logprob, model)
        try:
            read_file(source, builder, account, format, reading, on_error == "raise", requests)
        except OSError as error:
            if error.filename is not None or error.errno is None:
                raise
            # A disk that fails while it is read says nothing of the file.
            raise OSError(error.errno, error.strerror, str(source)) from error
        transfer = _built(builder, account, _Aim(labels, other, merged, folds), as_sampled)
        if on_error == "raise":
            _refuse_skipped(account)
        return replace(transfer, design=choice.designed(transfer.input_names))

    @classmethod
    def from_arrays(
        cls,
        inputs: Sequence[Any],
        sampled: ArrayLike | None = None,
        *,
        logits: ArrayLike | None = None,
        logprobs: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        design: str = "drawn",
        weights: Any = None,
        strata: Any = None,
    ) -> TransferSet:
        """Return the transfer set of arrays, such as Hugging Face's `generate` returns with
        `output_logits`.

        Parameters
        ----------
        inputs : sequence, (n,)
            What was asked.
        sampled : array_like of int, (n,), optional
            Code of the sampled label: the first generated token id.
        logits : array_like, (n, A), optional
            Unnormalised: softmax gives the probabilities. -inf is not known.
        logprobs : array_like, (n, A), optional
            Log-probabilities, NaN where they are not known.
        labels : sequence of str, (A,), optional
            Names of the labels: there are no others. By default they are called by their numbers,
            and there may be others than those that occur.
        design, weights, strata
            How the inputs were chosen, as for `read`.

        Raises
        ------
        ValueError
            Naming the array and what is wrong with it.
        """
        choice = Choice.of(design, weights, strata)
        inputs = [in_unicode(str(name)) for name in entries_of(inputs, "inputs")]
        if sampled is not None and np.ma.is_masked(sampled):
            raise ValueError("sampled: entries are masked, which is missing data")
        codes = None if sampled is None else _codes(sampled)
        stated = _stated(logits, logprobs)
        if codes is None and stated is None:
            raise ValueError("from_arrays: give sampled labels, logits or logprobs")
        count = len(inputs)
        for name, array in (("sampled", codes), ("logits", stated)):
            if array is not None and len(array) != count:
                raise ValueError(
                    f"{name} has {len(array)} entries: inputs has {count}, one is needed for each"
                )
        if codes is not None and (codes.ndim != 1 or codes.dtype.kind not in "iu"):
            raise ValueError(
                f"sampled has shape {codes.shape} and type {codes.dtype}: must be whole numbers, "
                "(n,)"
            )
        width = max(
            0 if stated is None else stated.shape[1],
            0 if codes is None or not count else int(codes.max()) + 1,
            0 if labels is None else len(entries_of(labels, "labels")),
        )
        names = [str(a) for a in range(width)] if labels is None else _names(labels)
        if len(names) != width or (codes is not None and count and codes.min() < 0):
            raise ValueError(
                f"labels has {len(names)} names: sampled and logits use the codes 0 to {width - 1}"
            )
        account = Account(source="arrays", format="arrays", lines=count)
        builder = Builder(account)
        for name in names:
            builder.labels[name]
        builder.add_arrays(inputs, codes, stated)
        columns = builder.columns()
        return TransferSet(
            **columns,
            target=Target.plain(names, labels is not None),
            faithful=True,
            account=account,
            design=choice.designed(columns["input_names"]),
        )

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def rows(self) -> Rows:
        """The records summed up by row; repeated statements that disagree are merged by the
        median.
        """
        return self.seen_by(None)

    def seen_by(self, top: int | None, *, sampled: bool = True) -> Rows:
        """Return the rows as seen through an access level.

        Parameters
        ----------
        top : int or None
            Of each record, the sampled label's probability and the `top` largest are seen; None:
            all that is stated.
        sampled : bool
            False: neither the sampled label nor its probability is seen, where it is not among the
            largest.
        """
        if top is not None:
            top = whole_number(top, "top")
        own = self.sampled if sampled else np.full(len(self), -1)
        record, label, logp = self.entry_record, self.entry_label, self.entry_logp
        if top is not None and len(record):
            kept = label == own[record]
            if top > 0:
                order = np.lexsort((-np.where(np.isnan(logp), -np.inf, logp), record))
                start = np.cumsum(np.bincount(record, minlength=len(self))) - np.bincount(
                    record, minlength=len(self)
                )
                place = np.empty(len(record), dtype=np.int64)
                place[order] = np.arange(len(record)) - start[record[order]]
                kept |= place < top
            record, label, logp = record[kept], label[kept], logp[kept]
        width = len(self.label_names)
        if not self.target.merges:
            return collect(self.inputs, own, record, label, np.exp(logp), width, self.closed)
        return merged(
            collect(self.inputs, own, record, label, np.exp(logp), width, False), self.target
        )

    @property
    def disagreements(self) -> pd.DataFrame:
        """Pairs whose stated probabilities differ between records: input, label, median, spread,
        statements.
        """
        import pandas as pd

        rows = self.rows
        found = np.flatnonzero(rows.spread > 0)
        statements = np.bincount(rows.entry_pair, minlength=len(rows.label))
        return pd.DataFrame(
            {
                "input": [self.input_names[i] for i in rows.input[rows.row[found]]],
                "label": [self.labels[a] for a in rows.label[found]],
                "probability": rows.p[found],
                "spread": rows.spread[found],
                "statements": statements[found],
            }
        )

    def aligned(self, table: Any) -> np.ndarray:
        """Return a table in the order of `input_names` and `labels`: (inputs, labels), for a
        student's prior.

        Parameters
        ----------
        table : Copy or DataFrame
            A copy learnt before, or a frame of probabilities with the inputs as index and the
            labels as columns. An input that it lacks is uniform, a label that it lacks has
            probability 0.

        Raises
        ------
        ValueError
            If it is neither a copy nor a frame, or names a label that the transfer set lacks, or a
            name twice.
        """
        import pandas as pd

        frame = table
        if not isinstance(table, pd.DataFrame):
            if not hasattr(table, "transfer"):
                raise ValueError(
                    f"table is of type {type(table).__name__}: must be a Copy, or a pandas "
                    "DataFrame with inputs as index and labels as columns"
                )
            frame = pd.DataFrame(
                table.pi, index=table.input_names, columns=list(table.transfer.labels)
            )
        frame = frame.rename(index=str, columns=str)
        lacking = [name for name in frame.columns if name not in set(self.labels)]
        if lacking:
            raise ValueError(
                f"table: label {lacking[0]!r} is not among those of the records: declare them"
            )
        for what, names in (("input", frame.index), ("label", frame.columns)):
            if not names.is_unique:
                raise ValueError(
                    f"table names twice the {what} {names[names.duplicated()][0]!r}: give each "
                    "one once"
                )
        known = frame.reindex(columns=self.labels, fill_value=0.0)
        return known.reindex(self.input_names, fill_value=1.0 / len(self.labels)).to_numpy(
            dtype=np.float64
        )

    def take(self, records: ArrayLike) -> TransferSet:
        """Return the transfer set of some records, with the same names: an index or boolean array
        of length n.

        Raises
        ------
        ValueError
            If it is neither.
        """
        try:
            chosen = np.arange(len(self))[np.asarray(records)]
        except (IndexError, TypeError, OverflowError):
            chosen = np.zeros((0, 0), dtype=np.int64)
        if chosen.ndim != 1:
            raise ValueError(
                f"records = {shown(records)}: must be numbers of records below {len(self)}, or a "
                "truth value for each"
            )
        new = np.full(len(self), -1, dtype=np.int64)
        new[chosen] = np.arange(len(chosen))
        kept = new[self.entry_record] >= 0
        return replace(
            self,
            inputs=self.inputs[chosen],
            sampled=self.sampled[chosen],
            line=self.line[chosen],
            entry_record=new[self.entry_record[kept]],
            entry_label=self.entry_label[kept],
            entry_logp=self.entry_logp[kept],
        )

    def __repr__(self) -> str:
        return (
            f"TransferSet({counted(len(self), 'record')}, "
            f"{counted(len(self.input_names), 'input')}, {counted(len(self.labels), 'label')}"
            f"{' declared' if self.closed else ''}, "
            f"{counted(len(self.entry_record), 'stated probability', 'stated probabilities')})"
        )


class _Aim(NamedTuple):
    """What `read` was told of labels."""

    labels: Sequence[str] | None
    other: str
    label_map: dict[str, str]
    folds: tuple[str, ...]


def _built(builder: Builder, account: Account, wanted: _Aim, as_sampled: bool) -> TransferSet:
    """Return the transfer set of what was read, or refuse what contradicts itself."""
    columns, texts = builder.columns(), builder.label_texts()
    names = columns["label_names"]
    if len(account.models) > 1:
        shown = list(account.models.items())[:5]
        found = ", ".join(f"{shortened(name)} ({count} records)" for name, count in shown)
        more = f" and {len(account.models) - 5} more" if len(account.models) > 5 else ""
        raise ValueError(
            f"{account.source} holds the answers of {len(account.models)} teachers, {found}{more}: "
            f"choose one, model={shortened(shown[0][0])}"
        )
    if account.changed and not as_sampled:
        raise ValueError(_drawn_otherwise(account))
    kept = _first_tokens_alone(columns, builder.by_text, account) & _drawn_anew(
        columns, builder.again, account
    )
    if not kept.all():
        columns, texts = _without(columns, texts, kept)
        names = columns["label_names"]
    account.records = len(columns["inputs"])
    target = aim(names, texts, *wanted)
    if wanted.other == "none" and len(target.names) > target.declared:
        _refuse_undeclared(columns, target, account)
    account.merged = _merged_names(names, columns["sampled"], target)
    account.notes += _notes_on_labels(texts, target, wanted)
    occurring = set(texts) if wanted.label_map else set()
    idle = [variant for variant in wanted.label_map if variant not in occurring]
    if idle:
        account.notes.append(
            "label_map names "
            f"{counted(len(idle), 'variant that does', 'variants that do')} not occur: "
            f"{', '.join(map(repr, idle[:4]))}"
        )
    if target.one_to_one:
        columns, target = _recoded(columns, target), target.itself
    transfer = TransferSet(**columns, target=target, faithful=not as_sampled, account=account)
    _warn_of_single_inputs(transfer)
    _warn_of_lines(account)
    return transfer


def _refuse_skipped(account: Account) -> None:
    for line, outcome, reason in account.skipped:
        if outcome not in ALLOWED:
            raise ValueError(f"{account.source} line {line}: {outcome}: {reason}")


def _drawn_otherwise(account: Account) -> str:
    ways = "; ".join(drawn(why, lines) for why, lines in list(account.changed.items())[:3])
    greedy = ""
    if any(
        why.endswith(("temperature = 0", "temperature = 0.0", "top_k = 1"))
        for why in account.changed
    ):
        greedy = (
            "; with it student=kt.students.top_k(k, sampled=False) learns of greedy answers that "
            "list their k most probable labels"
        )
    return (
        f"{account.source}: the labels of {account.other_sampling:,} of "
        f"{counted(account.records, 'record')} do not follow the teacher's own distribution: "
        f"{ways}; as_sampled=True reads them all the same{greedy}"
    )


def _refuse_undeclared(columns: dict[str, Any], target: Target, account: Account) -> None:
    """Raise an error that names the first record with a label which is not declared."""
    outside = target.of >= target.declared
    sampled = np.flatnonzero((columns["sampled"] >= 0) & outside[columns["sampled"]])
    listed = columns["entry_record"][outside[columns["entry_label"]]]
    record = int(np.concatenate([sampled, listed]).min())
    name = target.names[target.declared]
    raise ValueError(
        f"{account.source} line {columns['line'][record]}: label {name!r} is not declared, and "
        "other='none' says that there are no others; other='keep', other='pool' or "
        f"other='condition' says what becomes of them{_differs_little(name, target)}"
    )


def _differs_little(name: str, target: Target) -> str:
    """Return how a label is made one with a declared one that only looks different, empty for
    others.
    """
    alike = [one for one in target.names[: target.declared] if variants([name, one])]
    if not alike:
        return ""
    return f"; {name!r} differs from {alike[0]!r} by spaces or case alone: fold='strip,casefold'"


def _recoded(columns: dict[str, Any], target: Target) -> dict[str, Any]:
    """Return the columns with the labels in the order of the target, among them those that do not
    occur.
    """
    of = np.append(target.of, -1)
    return {
        **columns,
        "sampled": of[columns["sampled"]],
        "entry_label": of[columns["entry_label"]],
        "label_names": target.names,
    }


def _merged_names(
    names: Sequence[str], sampled: np.ndarray, target: Target
) -> dict[str, dict[str, int]]:
    """The labels of the copy with variants, these, and how often each was sampled."""
    found: dict[int, dict[str, int]] = {}
    times = np.bincount(sampled[sampled >= 0], minlength=len(names))
    several = (np.bincount(target.of) > 1).tolist()
    for name, code, count in zip(names, target.of.tolist(), times.tolist(), strict=True):
        if several[code] or name != target.names[code]:
            found.setdefault(code, {})[name] = count
    return {target.names[code]: found[code] for code in sorted(found)}


def _notes_on_labels(texts: Sequence[str], target: Target, wanted: _Aim) -> list[str]:
    notes = []
    counts_as = dict(zip(texts, target.of.tolist(), strict=True))
    apart = [group for group in variants(texts) if len({counts_as[text] for text in group}) > 1]
    if apart:
        shown = "; ".join(", ".join(map(repr, group[:4])) for group in apart[:3])
        more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        notes.append(
            f"labels that differ by spaces or case alone are labels of their own: {shown}{more}; "
            "fold='strip,casefold' makes them one, label_map=... says which are"
        )
    undeclared = len(target.names) - target.declared
    if wanted.labels is not None and wanted.other == "keep" and undeclared:
        occur = counted(
            undeclared,
            "label that was not declared occurs, and is a label",
            "labels that were not declared occur, and are labels",
        )
        notes.append(
            f"{occur} too; other='pool' makes them one, other='condition' takes the teacher given "
            "a declared label"
        )
    return notes


def _first_tokens_alone(
    columns: dict[str, Any], by_text: list[int], account: Account
) -> np.ndarray:
    """Leave out answers that state no token where others do: their whole text would be a label
    beside first tokens.
    """
    kept = np.ones(len(columns["inputs"]), dtype=bool)
    if by_text and len(by_text) < len(kept):
        kept[by_text] = False
        _leave_out(
            columns,
            kept,
            account,
            "no token",
            "the answer states no token, others do; label='text' reads the texts of all",
        )
    return kept


def _drawn_anew(columns: dict[str, Any], again: list[int], account: Account) -> np.ndarray:
    """Leave out records that repeat a prompt and its seed: they are the same draw again."""
    kept = np.ones(len(columns["inputs"]), dtype=bool)
    if again:
        kept[again] = False
        account.repeated = len(again)
        account.warnings.append(
            f"{counted(len(again), 'record repeats', 'records repeat')} the prompt and the seed of "
            "an earlier one: they are one draw, and count once; ask again without a seed"
        )
        _leave_out(
            columns, kept, account, "repeated", "the same prompt and seed as an earlier record"
        )
    return kept


def _leave_out(
    columns: dict[str, Any], kept: np.ndarray, account: Account, outcome: str, why: str
) -> None:
    """Take down the lines of which no record is kept."""
    lines = sorted({*columns["line"][~kept].tolist()} - {*columns["line"][kept].tolist()})
    account.skipped = sorted(
        [*account.skipped, *((line, outcome, why) for line in lines)], key=_line_of
    )


def _line_of(entry: tuple[int, str, str]) -> int:
    return entry[0]


def _without(
    columns: dict[str, Any], texts: list[str], kept: np.ndarray
) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of the kept records, without inputs and labels that they do not have."""
    place = np.cumsum(kept) - 1
    stated = kept[columns["entry_record"]]
    inputs, sampled, listed = (
        columns["inputs"][kept],
        columns["sampled"][kept],
        columns["entry_label"][stated],
    )
    used = np.unique(np.concatenate([sampled[sampled >= 0], listed]))
    visited = np.unique(inputs)
    # Places that are not used are never looked up; the last stands for no label.
    code = np.full(len(texts) + 1, -1)
    code[used] = np.arange(len(used))
    found = {
        "inputs": np.searchsorted(visited, inputs),
        "sampled": code[sampled],
        "entry_record": place[columns["entry_record"][stated]],
        "entry_label": code[listed],
        "entry_logp": columns["entry_logp"][stated],
        "line": columns["line"][kept],
        "input_names": tuple(columns["input_names"][i] for i in visited.tolist()),
        "label_names": tuple(columns["label_names"][i] for i in used.tolist()),
    }
    return found, [texts[i] for i in used.tolist()]


def _warn_of_single_inputs(transfer: TransferSet) -> None:
    """Warn where almost every input was asked once: often its name is not what was asked."""
    visits = np.bincount(transfer.inputs)
    inputs = int((visits > 0).sum())
    if len(transfer) < _FEW or inputs < _ALMOST_ALL * len(transfer):
        return
    way_out = "is the field that names the input right? input=... names another"
    if transfer.account.named_by_id:
        way_out = "is `custom_id` the prompt's name? give the requests, requests=..."
    transfer.account.warnings.append(
        f"{len(transfer):,} records, {inputs:,} inputs, almost each asked once: no visit tells of "
        f"the next; {way_out}"
    )


_FEW, _ALMOST_ALL = 20, 0.9


def _warn_of_lines(account: Account) -> None:
    """Warn where answers without a label, lines that are no records, or answers of one id are not
    few.
    """
    few = 0.01 * account.lines
    broken = sum(outcome in ("malformed", "error") for _, outcome, _ in account.skipped)
    if account.unanswered > few:
        account.warnings.append(
            f"{_of_lines(account.unanswered, account, 'an answer', 'answers')} without a label "
            f"(refused, empty, cut off): {_left_out(account.unanswered)}, so that the copy is of "
            "the teacher given that it answers"
        )
    if broken > few:
        account.warnings.append(
            f"{_of_lines(broken, account, 'no record, or an error', 'no records, or errors')}: "
            f"{_left_out(broken)}"
        )
    if account.same_id:
        account.warnings.append(
            f"{counted(account.same_id, 'answer has', 'answers have')} the id of an earlier one: "
            "copies of it are no draws of their own, and must be taken out"
        )
    if account.unshown:
        account.warnings.append(
            f"{counted(account.unshown, 'answer counts', 'answers count')} far more tokens than "
            f"{'it shows' if account.unshown == 1 else 'they show'}: if these are hidden "
            "reasoning, what is stated holds given it; ask with reasoning turned off, or with the "
            "tokens of reasoning in the usage"
        )
    if account.unnamed_model:
        account.warnings.append(
            f"{counted(account.unnamed_model, 'record does', 'records do')} not say which model "
            f"answered: taken for {shortened(next(iter(account.models)))}, as in the others"
        )


def _of_lines(number: int, account: Account, one: str, many: str) -> str:
    what = f"is {one}" if number == 1 else f"are {many}"
    return f"{number:,} of {counted(account.lines, 'line')} {what}"


def _left_out(number: int) -> str:
    return "it is left out" if number == 1 else "they are left out"


def _names(labels: Any) -> list[str]:
    """The names of labels, each once; numbers are called by their digits."""
    names = [in_unicode(str(name)) for name in entries_of(labels, "labels")]
    if len(set(names)) != len(names):
        raise ValueError("labels: a label stands there twice")
    return names


def _codes(sampled: ArrayLike) -> np.ndarray:
    """The codes of sampled labels, one for each record."""
    try:
        codes = np.asarray(sampled)
    except ValueError:
        codes = np.empty((0, 0))
    if codes.ndim != 1:
        raise ValueError(
            f"sampled has shape {codes.shape} and type {codes.dtype}: must be whole numbers, (n,)"
        )
    return codes


def _stated(logits: ArrayLike | None, logprobs: ArrayLike | None) -> np.ndarray | None:
    """The (n, A) log-probabilities of one of two arrays, NaN where hidden or censored."""
    if logits is None and logprobs is None:
        return None
    if logits is not None and logprobs is not None:
        raise ValueError("from_arrays: give logits or logprobs, not both")
    name, given = ("logits", logits) if logits is not None else ("logprobs", logprobs)
    array = as_floats(given, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}: must have 2 axes, (records, labels); of what "
            f"generate() returns, give the first step: {name}[0]"
        )
    if name == "logits":
        if (
            np.isnan(array).any()
            or np.isposinf(array).any()
            or np.isneginf(array).all(axis=1).any()
        ):
            raise ValueError(
                "logits: entries must be numbers or -inf, with a finite one in each row"
            )
        top = array.max(axis=1, keepdims=True, initial=-np.inf)
        with np.errstate(over="ignore"):  # a gap beyond float64 is -inf
            array = array - top
        array = array - np.log(np.exp(array).sum(axis=1, keepdims=True))
    elif (array > 1e-3).any():
        raise ValueError(
            f"logprobs: {array[array > 1e-3][0]:g} is above 0, so that it is no log-probability"
        )
    array = np.minimum(array, 0.0)
    array[array <= -1000.0] = np.nan
    return array
