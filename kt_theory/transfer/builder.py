"""Records gathered into columns, chunk by chunk."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from kt_theory.transfer.account import Account, Skip
from kt_theory.transfer.answers import Answer, Key
from kt_theory.transfer.plain import Columns


class Builder:
    """The columns of a transfer set while it is read.

    Parameters
    ----------
    account : Account
        Takes down what is censored, outside the declared labels or sampled otherwise.
    declared : sequence of str, optional
        The labels that there are; without it, those that occur.
    """

    def __init__(self, account: Account, declared: Sequence[str] | None) -> None:
        self.account = account
        self.inputs: defaultdict[str, int] = _codes()
        self.labels: defaultdict[Key, int] = _codes()
        self.texts: dict[Key, str] = {}
        self.closed = declared is not None
        for name in declared or ():
            self.labels[name]
        self._input, self._sampled, self._size = array("q"), array("q"), array("q")
        self._listed, self._value = array("q"), array("d")

    def add(self, answers: Iterable[Answer]) -> None:
        """Take the records of one line."""
        kept = 0
        for answer in answers:
            label = None if answer.label is None else self._code(answer.label)
            if answer.label is not None and label is None:
                continue
            kept += 1
            coded = [(self._code(key), value) for key, value in answer.entries]
            inside = [(code, value) for code, value in coded if code is not None]
            self.account.outside += len(coded) - len(inside)
            self.account.censored += sum(value != value for _, value in inside)
            self.account.other_sampling += answer.sampling is False
            self.account.unstated_sampling += answer.sampling is None
            self._input.append(self.inputs[answer.input])
            self._sampled.append(-1 if label is None else label)
            self._size.append(len(inside))
            self._listed.extend(code for code, _ in inside)
            self._value.extend(value for _, value in inside)
        if not kept:
            raise Skip("outside", "the label is not among the declared ones")
        self.account.records += kept

    def _code(self, key: Key) -> int | None:
        if not self.closed:
            return self.labels[key]
        found = self.labels.get(key)
        return self.labels.get(self.texts.get(key, "")) if found is None else found

    def add_columns(self, columns: Columns) -> bool:
        """Take a chunk of plain records at once; False if one of them needs a closer look."""
        if self.closed and not (self.labels.keys() >= set(columns.labels) | set(columns.listed)):
            return False
        self._input.extend(map(self.inputs.__getitem__, columns.inputs))
        sampled = np.fromiter(map(self.labels.__getitem__, columns.labels), np.int64, len(columns.labels))
        listed = np.fromiter(map(self.labels.__getitem__, columns.listed), np.int64, len(columns.listed))
        sizes, values = np.array(columns.sizes, dtype=np.int64), columns.values
        if columns.own is not None:
            sizes, listed, values = _with_sampled(sampled, columns.own, sizes, listed, values)
        self._sampled.frombytes(sampled.tobytes())
        self._size.frombytes(sizes.tobytes())
        self._listed.frombytes(listed.tobytes())
        self._value.frombytes(np.ascontiguousarray(values).tobytes())
        self.account.records += len(sampled)
        self.account.unstated_sampling += len(sampled)
        self.account.censored += int(np.isnan(values).sum())
        return True

    def columns(self) -> dict[str, Any]:
        """Return the arrays of a `TransferSet` and the names of its inputs and labels."""
        size = np.frombuffer(self._size, dtype=np.int64) if self._size else np.zeros(0, dtype=np.int64)
        return {
            "inputs": np.array(self._input, dtype=np.int64),
            "sampled": np.array(self._sampled, dtype=np.int64),
            "entry_record": np.repeat(np.arange(len(size)), size),
            "entry_label": np.array(self._listed, dtype=np.int64),
            "entry_logp": np.array(self._value, dtype=np.float64),
            "input_names": tuple(self.inputs),
            "label_names": _names(self.labels, self.texts),
        }


def _codes() -> defaultdict[Any, int]:
    codes: defaultdict[Any, int] = defaultdict()
    codes.default_factory = codes.__len__
    return codes


def _with_sampled(
    sampled: np.ndarray, own: np.ndarray, sizes: np.ndarray, listed: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put each record's sampled label before its listed ones, unless it is listed."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    same = listed == sampled[owner]
    values = np.where(same & ~np.isnan(own[owner]), own[owner], values)
    missing = np.ones(len(sizes), dtype=bool)
    missing[owner[same]] = False
    start = np.cumsum(sizes) - sizes
    where = start[missing]
    return sizes + missing, np.insert(listed, where, sampled[missing]), np.insert(values, where, own[missing])


def _names(labels: Iterable[Key], texts: dict[Key, str]) -> tuple[str, ...]:
    """What the labels are called: their text; ids and bytes where that does not tell them apart."""
    names = [texts.get(key, key) if isinstance(key, int) else key for key in labels]
    shown = [_show(name) for name in names]
    many = {name for name in shown if shown.count(name) > 1} if len(set(shown)) < len(shown) else set()
    return tuple(
        f"{name} (token {key!r})" if name in many and not isinstance(key, str) else name
        for name, key in zip(shown, labels, strict=True)
    )


def _show(name: Key) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8", "backslashreplace")
    return f"token_id:{name}" if isinstance(name, int) else name


def of_arrays(
    inputs: Sequence[Any], sampled: np.ndarray | None, logprobs: np.ndarray | None, labels: Sequence[str]
) -> Iterable[Answer]:
    """Yield the records of arrays: inputs (n,), sampled codes (n,), log-probabilities (n, A), NaN where hidden."""
    codes: Iterable[Any] = repeat(None) if sampled is None else sampled
    rows: Iterable[Any] = repeat(None) if logprobs is None else logprobs
    for question, code, row in zip(inputs, codes, rows, strict=False):
        entries: list[tuple[Key, float]] = (
            [(labels[a], float(v) if v > -1000 else math.nan) for a, v in enumerate(row) if v == v]
            if row is not None
            else []
        )
        yield Answer(str(question), None if code is None else labels[code], entries, None)
