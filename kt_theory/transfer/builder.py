"""Records gathered into columns, chunk by chunk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from kt_theory.transfer.account import Account
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
        self._inputs: list[np.ndarray] = []
        self._sampled: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []
        self._listed: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def add(self, answers: Sequence[Answer]) -> np.ndarray:
        """Take records; return which of them have a label that is declared, or none."""
        _, labels, entries, _ = zip(*answers, strict=True)
        sampled = self._coded(labels)
        sizes = np.fromiter(map(len, entries), np.int64, len(answers))
        listed = self._coded(list(chain.from_iterable(entries)))
        values = np.array(list(chain.from_iterable([each.values() for each in entries])), dtype=np.float64)
        kept = sampled != _OUTSIDE
        chosen = answers if kept.all() else [answer for answer, keep in zip(answers, kept, strict=True) if keep]
        said = Counter([answer.sampling for answer in chosen])
        self.account.other_sampling += said[False]
        inputs = self._inputs_of([answer.input for answer in chosen])
        self._keep(inputs, sampled, sizes, listed, values, kept, said[None])
        return kept

    def add_columns(self, columns: Columns) -> np.ndarray:
        """Take a chunk of plain records at once; return which of them have a label that is declared."""
        sampled, listed = self._coded(columns.labels.names), self._coded(columns.listed.names)
        sampled = sampled if columns.labels.codes is None else sampled[columns.labels.codes]
        listed = listed if columns.listed.codes is None else listed[columns.listed.codes]
        sizes, values = columns.sizes, columns.values
        if columns.own is not None:
            sizes, listed, values = _with_sampled(sampled, columns.own, sizes, listed, values)
        kept = sampled != _OUTSIDE
        if kept.all():
            inputs = self._inputs_of(columns.inputs.names)
            inputs = inputs if columns.inputs.codes is None else inputs[columns.inputs.codes]
        else:
            # Only what is kept gets a code.
            codes = np.arange(len(kept)) if columns.inputs.codes is None else columns.inputs.codes
            inputs = self._inputs_of([columns.inputs.names[code] for code in codes[kept]])
        self._keep(inputs, sampled, sizes, listed, values, kept, int(kept.sum()))
        return kept

    def _keep(
        self,
        inputs: np.ndarray,
        sampled: np.ndarray,
        sizes: np.ndarray,
        listed: np.ndarray,
        values: np.ndarray,
        kept: np.ndarray,
        unstated: int,
    ) -> None:
        """Take the kept records, without the labels that they list and that are not declared."""
        if self.closed:
            owner = np.repeat(np.arange(len(sizes)), sizes)
            inside = (listed != _OUTSIDE) & kept[owner]
            self.account.outside += int(kept[owner].sum() - inside.sum())
            sampled, sizes = sampled[kept], np.bincount(owner[inside], minlength=len(kept))[kept]
            listed, values = listed[inside], values[inside]
        self._take(inputs, sampled, sizes, listed, values, unstated)

    def _take(
        self,
        inputs: np.ndarray,
        sampled: np.ndarray,
        sizes: np.ndarray,
        listed: np.ndarray,
        values: np.ndarray,
        unstated: int,
    ) -> None:
        self._inputs.append(inputs)
        self._sampled.append(sampled)
        self._sizes.append(sizes)
        self._listed.append(listed)
        self._values.append(values)
        self.account.records += len(sampled)
        self.account.unstated_sampling += unstated
        self.account.censored += int(np.isnan(values).sum())

    def _inputs_of(self, names: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.inputs.__getitem__, names), np.int64, len(names))

    def _coded(self, keys: Sequence[Key | None]) -> np.ndarray:
        """The codes of labels: `_NONE` for no label, `_OUTSIDE` for one that is not declared."""
        code: Callable[[Any], int] = self._declared if self.closed else self.labels.__getitem__
        if None in keys:
            return np.fromiter([_NONE if key is None else code(key) for key in keys], np.int64, len(keys))
        return np.fromiter(map(code, keys), np.int64, len(keys))

    def _declared(self, key: Key) -> int:
        found = self.labels.get(key)
        return self.labels.get(self.texts.get(key, ""), _OUTSIDE) if found is None else found

    def columns(self) -> dict[str, Any]:
        """Return the arrays of a `TransferSet` and the names of its inputs and labels."""
        size = _joined(self._sizes, np.int64)
        return {
            "inputs": _joined(self._inputs, np.int64),
            "sampled": _joined(self._sampled, np.int64),
            "entry_record": np.repeat(np.arange(len(size)), size),
            "entry_label": _joined(self._listed, np.int64),
            "entry_logp": _joined(self._values, np.float64),
            "input_names": tuple(self.inputs),
            "label_names": _names(self.labels, self.texts),
        }


_NONE, _OUTSIDE = -1, -2


def _joined(parts: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


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


def add_arrays(builder: Builder, inputs: Sequence[Any], sampled: np.ndarray | None, stated: np.ndarray | None) -> None:
    """Take the records of arrays: inputs (n,), sampled codes (n,), log-probabilities (n, A), NaN where hidden."""
    count = len(inputs)
    shown = np.zeros((count, 0), dtype=bool) if stated is None else ~np.isnan(stated)
    owner, listed = np.nonzero(shown)
    builder._take(
        builder._inputs_of([str(name) for name in inputs]),
        np.full(count, _NONE) if sampled is None else np.asarray(sampled, dtype=np.int64),
        shown.sum(axis=1),
        listed,
        np.zeros(0) if stated is None else stated[owner, listed],
        count,
    )
