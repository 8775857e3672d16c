"""The transfer set: real records of what a teacher was asked and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.transfer.account import Account
from kt_theory.transfer.answers import Reading
from kt_theory.transfer.builder import Builder, add_arrays
from kt_theory.transfer.files import read_file
from kt_theory.transfer.rows import Rows, collect
from kt_theory.validation import unknown_name

if TYPE_CHECKING:
    import pandas as pd

LABELS = ("first_token", "text")
"""What is the label of a response: its first generated token, or its whole text."""


@dataclass(frozen=True, eq=False)
class TransferSet:
    """Records (input, sampled label, stated log-probabilities). Build it with `read` or `from_arrays`.

    Attributes
    ----------
    inputs, sampled : (n,) int64
        Codes of each record's input and sampled label; -1 where a record only states probabilities.
    entry_record, entry_label : (m,) int64
        Which record states which label's log-probability.
    entry_logp : (m,) float64
        The log-probability, nats, at most 0; NaN where it is censored: not zero, at most the smallest that the
        record lists. What a record does not state has no entry.
    input_names, label_names : tuple of str
    closed : bool
        The labels were declared; otherwise they are those that occur.
    faithful : bool
        Sampled labels follow the stated probabilities (temperature 1, nothing truncated), as far as the records say.
    account : Account
        What became of each line.
    """

    inputs: np.ndarray
    sampled: np.ndarray
    entry_record: np.ndarray
    entry_label: np.ndarray
    entry_logp: np.ndarray
    input_names: tuple[str, ...]
    label_names: tuple[str, ...]
    closed: bool
    faithful: bool
    account: Account

    @classmethod
    def read(
        cls,
        path: str | Path,
        format: str | None = None,
        *,
        label: str = "first_token",
        input: str | None = None,
        labels: Sequence[str] | None = None,
        on_error: str = "skip",
        other_sampling: bool = False,
    ) -> TransferSet:
        """Read records from a file.

        Plain records are JSON lines, CSV or Parquet with `input`, `label` and, where known, `logprob` (or `prob`) and
        `top_logprobs` (or `top_probs`): {label: log-probability} or [{"label": ..., "logprob": ...}]. What servers
        return is read as it came, one response per line, beside its request or with its `prompt`, `messages`,
        `contents`, `input`, `input_ids` or `custom_id`.

        Parameters
        ----------
        path : str or Path
            .jsonl, .ndjson, .json, .csv or .parquet. A .json or .jsonl file may also be one JSON array of records.
        format : str, optional
            plain, openai_chat, openai_responses, openai_completions, openai_batch, vllm, sglang, llama_cpp or gemini.
            Recognised by the first record if omitted.
        label : {"first_token", "text"}
            What the label of a response is.
        input : str, optional
            The field that holds the input, such as "metadata.question".
        labels : sequence of str, optional
            All labels that there are. A record with another label is left out and accounted for. Without it the labels
            are those that occur.
        on_error : {"skip", "raise"}
            What a malformed line does. Skipped or not, `account` has its number and the reason.
        other_sampling : bool
            Accept records that say they were not sampled at temperature 1 and top_p 1. Their labels do not follow the
            stated probabilities: certificates then rest on what is stated alone. Of greedy answers that list their k
            most probable labels `kt_theory.students.top_k(k, sampled=False)` learns.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            For an unknown format, a malformed line if on_error="raise", or records sampled otherwise.
        """
        source = Path(path)
        if label not in LABELS:
            raise unknown_name("label", label, LABELS)
        if on_error not in ("skip", "raise"):
            raise unknown_name("on_error", on_error, ("skip", "raise"))
        if labels is not None and len(set(labels)) != len(labels):
            raise ValueError("labels: a label stands there twice")
        if source.is_dir():
            raise IsADirectoryError(f"{source} is a folder: give the name of a file")
        account = Account(source=source.name)
        builder = Builder(account, labels)
        reading = Reading(label, input, builder.texts)
        read_file(source, builder, account, format, reading, on_error == "raise")
        return cls._built(builder, account, other_sampling)

    @classmethod
    def from_arrays(
        cls,
        inputs: Sequence[Any],
        sampled: ArrayLike | None = None,
        *,
        logits: ArrayLike | None = None,
        logprobs: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> TransferSet:
        """Return the transfer set of arrays, such as Hugging Face's `generate` returns with `output_logits`.

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
            Names of the labels; by default their numbers.

        Raises
        ------
        ValueError
            Naming the array and what is wrong with it.
        """
        codes = None if sampled is None else np.asarray(sampled)
        stated = _stated(logits, logprobs)
        if codes is None and stated is None:
            raise ValueError("from_arrays: give sampled labels, logits or logprobs")
        count = len(inputs)
        for name, array in (("sampled", codes), ("logits", stated)):
            if array is not None and len(array) != count:
                raise ValueError(f"{name} has {len(array)} entries: inputs has {count}, one is needed for each")
        if codes is not None and (codes.ndim != 1 or codes.dtype.kind not in "iu"):
            raise ValueError(f"sampled has shape {codes.shape} and type {codes.dtype}: must be whole numbers, (n,)")
        width = max(
            0 if stated is None else stated.shape[1],
            0 if codes is None or not count else int(codes.max()) + 1,
            0 if labels is None else len(labels),
        )
        names = [str(a) for a in range(width)] if labels is None else list(labels)
        if len(names) != width or (codes is not None and count and codes.min() < 0):
            raise ValueError(f"labels has {len(names)} names: sampled and logits use the codes 0 to {width - 1}")
        account = Account(source="arrays", format="arrays", lines=count)
        builder = Builder(account, names)
        add_arrays(builder, inputs, codes, stated)
        return cls._built(builder, account, True)

    @classmethod
    def _built(cls, builder: Builder, account: Account, other_sampling: bool) -> TransferSet:
        columns = builder.columns()
        states = bool(len(columns["entry_record"]))
        if account.other_sampling and states and not other_sampling:
            raise ValueError(
                f"{account.source}: {account.other_sampling} of {account.records} records were not sampled at "
                "temperature 1 and top_p 1, so that the labels do not follow the stated probabilities; "
                "other_sampling=True reads them all the same; of answers at temperature 0 that list their k most "
                "probable labels learns student=kt.students.top_k(k, sampled=False)"
            )
        closed = builder.closed and not account.outside
        return cls(**columns, closed=closed, faithful=not account.other_sampling, account=account)

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def rows(self) -> Rows:
        """The records summed up by row; repeated statements that disagree are merged by the median."""
        return self.seen_by(None)

    def seen_by(self, top: int | None, *, sampled: bool = True) -> Rows:
        """Return the rows as seen through an access level.

        Parameters
        ----------
        top : int or None
            Of each record, the sampled label's probability and the `top` largest are seen; None: all that is stated.
        sampled : bool
            False: neither the sampled label nor its probability is seen, where it is not among the largest.
        """
        own = self.sampled if sampled else np.full(len(self), -1)
        record, label, logp = self.entry_record, self.entry_label, self.entry_logp
        if top is not None and len(record):
            kept = label == own[record]
            if top > 0:
                order = np.lexsort((-np.where(np.isnan(logp), -np.inf, logp), record))
                start = np.cumsum(np.bincount(record, minlength=len(self))) - np.bincount(record, minlength=len(self))
                place = np.empty(len(record), dtype=np.int64)
                place[order] = np.arange(len(record)) - start[record[order]]
                kept |= place < top
            record, label, logp = record[kept], label[kept], logp[kept]
        width = len(self.label_names)
        return collect(self.inputs, own, record, label, np.exp(logp), width, self.closed)

    @property
    def disagreements(self) -> pd.DataFrame:
        """Pairs whose stated probabilities differ between records: input, label, median, spread, statements."""
        import pandas as pd

        rows = self.rows
        found = np.flatnonzero(rows.spread > 0)
        statements = np.bincount(rows.entry_pair, minlength=len(rows.label))
        return pd.DataFrame(
            {
                "input": [self.input_names[i] for i in rows.input[rows.row[found]]],
                "label": [self.label_names[a] for a in rows.label[found]],
                "probability": rows.p[found],
                "spread": rows.spread[found],
                "statements": statements[found],
            }
        )

    def aligned(self, table: Any) -> np.ndarray:
        """Return a table in the order of `input_names` and `label_names`: (inputs, labels), for a student's prior.

        Parameters
        ----------
        table : Copy or DataFrame
            A copy learnt before, or a frame of probabilities with the inputs as index and the labels as columns. An
            input that it lacks is uniform, a label that it lacks has probability 0.

        Raises
        ------
        ValueError
            If it is neither a copy nor a frame, or names a label that the transfer set lacks, or a name twice.
        """
        import pandas as pd

        frame = table
        if not isinstance(table, pd.DataFrame):
            if not hasattr(table, "transfer"):
                raise ValueError(
                    f"table is of type {type(table).__name__}: must be a Copy, or a pandas DataFrame with inputs as "
                    "index and labels as columns"
                )
            names = [table.transfer.input_names[i] for i in table.rows.input]
            frame = pd.DataFrame(table.pi, index=names, columns=list(table.transfer.label_names))
        frame = frame.rename(index=str, columns=str)
        lacking = [name for name in frame.columns if name not in set(self.label_names)]
        if lacking:
            raise ValueError(f"table: label {lacking[0]!r} is not among those of the records: declare them")
        for what, names in (("input", frame.index), ("label", frame.columns)):
            if not names.is_unique:
                raise ValueError(f"table names twice the {what} {names[names.duplicated()][0]!r}: give each one once")
        known = frame.reindex(columns=self.label_names, fill_value=0.0)
        return known.reindex(self.input_names, fill_value=1.0 / len(self.label_names)).to_numpy(dtype=np.float64)

    def take(self, records: ArrayLike) -> TransferSet:
        """Return the transfer set of some records, with the same names: an index or boolean array of length n."""
        chosen = np.arange(len(self))[np.asarray(records)]
        new = np.full(len(self), -1, dtype=np.int64)
        new[chosen] = np.arange(len(chosen))
        kept = new[self.entry_record] >= 0
        return replace(
            self,
            inputs=self.inputs[chosen],
            sampled=self.sampled[chosen],
            entry_record=new[self.entry_record[kept]],
            entry_label=self.entry_label[kept],
            entry_logp=self.entry_logp[kept],
        )

    def __repr__(self) -> str:
        return (
            f"TransferSet({len(self)} records, {len(self.input_names)} inputs, {len(self.label_names)} labels"
            f"{' declared' if self.closed else ''}, {len(self.entry_record)} stated probabilities)"
        )


def _stated(logits: ArrayLike | None, logprobs: ArrayLike | None) -> np.ndarray | None:
    """The (n, A) log-probabilities of one of two arrays, NaN where hidden or censored."""
    if logits is None and logprobs is None:
        return None
    if logits is not None and logprobs is not None:
        raise ValueError("from_arrays: give logits or logprobs, not both")
    name, given = ("logits", logits) if logits is not None else ("logprobs", logprobs)
    array = np.array(given, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}: must have 2 axes, (records, labels); of what generate() returns, give "
            f"the first step: {name}[0]"
        )
    if name == "logits":
        if np.isnan(array).any() or np.isposinf(array).any() or np.isneginf(array).all(axis=1).any():
            raise ValueError("logits: entries must be numbers or -inf, with a finite one in each row")
        top = array.max(axis=1, keepdims=True, initial=-np.inf)
        array = array - top - np.log(np.exp(array - top).sum(axis=1, keepdims=True))
    elif (array > 1e-3).any():
        raise ValueError(f"logprobs: {array[array > 1e-3][0]:g} is above 0, so that it is no log-probability")
    array = np.minimum(array, 0.0)
    array[array <= -1000.0] = np.nan
    return array
