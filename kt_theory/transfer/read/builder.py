"""Records gathered into columns, chunk by chunk."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from kt_theory.transfer.account import Account
from kt_theory.transfer.read.answers import Answer, Key
from kt_theory.transfer.read.plain import Columns
from kt_theory.transfer.read.sampling import Origin


class Builder:
    """The columns of a transfer set while it is read.

    Parameters
    ----------
    account : Account
        Takes down what is censored, and how labels were drawn.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.inputs: defaultdict[str, int] = _codes()
        self.labels: defaultdict[Key, int] = _codes()
        self.texts: dict[Key, str] = {}
        self.by_text: list[int] = []
        """Records whose label is a whole text in place of a first token."""
        self.draws: dict[tuple[int, str, int], int] = {}
        """The first record of each input, seed and place among the choices of its answer."""
        self.again: list[int] = []
        """Records that repeat the input and the seed of an earlier one."""
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}

    def add(self, answers: Sequence[Answer], lines: Sequence[int]) -> None:
        """Take records, and the lines that they stand on."""
        asked, labels, entries, origins, by_text, reasoned = zip(*answers, strict=True)
        first = self.account.records
        inputs = self._inputs_of(asked)
        for origin, chosen in _places(origins).items():
            self._draw(origin, len(chosen))
            if origin.changed:
                self.account.changed.setdefault(origin.changed, []).extend(
                    [lines[i] for i in chosen]
                )
            if origin.seed:
                self._seeded(origin.seed, chosen, inputs, lines, first)
        if True in by_text:
            self.by_text.extend(first + i for i, flag in enumerate(by_text) if flag)
        self.account.reasoned += sum(reasoned)
        self._take(
            inputs=inputs,
            sampled=self._coded(labels),
            size=np.fromiter(map(len, entries), np.int64, len(answers)),
            listed=self._coded(list(chain.from_iterable(entries))),
            value=np.array(
                list(chain.from_iterable([each.values() for each in entries])), dtype=np.float64
            ),
            line=np.array(lines, dtype=np.int64),
        )

    def _draw(self, origin: Origin, count: int) -> None:
        """Take down how `count` labels were drawn."""
        account = self.account
        if not origin.changed and not origin.said:
            account.unstated_sampling += count
        for name in origin.unknown:
            account.unknown_options[name] = account.unknown_options.get(name, 0) + count
        if origin.model:
            account.models[origin.model] = account.models.get(origin.model, 0) + count

    def _seeded(
        self, seed: str, chosen: Sequence[int], inputs: np.ndarray, lines: Sequence[int], first: int
    ) -> None:
        for i in chosen:
            # The choices of one answer are drawn one after another from one seed.
            place = i - bisect_left(lines, lines[i])
            if self.draws.setdefault((int(inputs[i]), seed, place), first + i) != first + i:
                self.again.append(first + i)

    def add_columns(self, columns: Columns, first: int) -> None:
        """Take a chunk of plain records at once, the first of which stands on line `first`."""
        sampled, listed = self._coded(columns.labels.names), self._coded(columns.listed.names)
        sampled = sampled if columns.labels.codes is None else sampled[columns.labels.codes]
        listed = listed if columns.listed.codes is None else listed[columns.listed.codes]
        sizes, values = columns.sizes, columns.values
        if columns.own is not None:
            sizes, listed, values = _with_sampled(sampled, columns.own, sizes, listed, values)
        inputs = self._inputs_of(columns.inputs.names)
        inputs = inputs if columns.inputs.codes is None else inputs[columns.inputs.codes]
        self.account.unstated_sampling += len(inputs)
        line = first + np.arange(len(inputs))
        self._take(
            inputs=inputs, sampled=sampled, size=sizes, listed=listed, value=values, line=line
        )

    def add_arrays(
        self, inputs: Sequence[str], sampled: np.ndarray | None, stated: np.ndarray | None
    ) -> None:
        """Take the records of arrays: inputs (n,), sampled codes (n,), log-probabilities (n, A),
        NaN where hidden.
        """
        count = len(inputs)
        shown = np.zeros((count, 0), dtype=bool) if stated is None else ~np.isnan(stated)
        owner, listed = np.nonzero(shown)
        self.account.unstated_sampling += count
        self._take(
            inputs=self._inputs_of(inputs),
            sampled=np.full(count, _NONE)
            if sampled is None
            else np.asarray(sampled, dtype=np.int64),
            size=shown.sum(axis=1),
            listed=listed,
            value=np.zeros(0) if stated is None else stated[owner, listed],
            line=1 + np.arange(count),
        )

    def _take(self, **columns: np.ndarray) -> None:
        for name, values in columns.items():
            self._columns[name].append(values)
        self.account.records += len(columns["inputs"])
        self.account.censored += int(np.isnan(columns["value"]).sum())

    def _inputs_of(self, names: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.inputs.__getitem__, names), np.int64, len(names))

    def _coded(self, keys: Sequence[Key | None]) -> np.ndarray:
        """The codes of labels: `_NONE` for no label."""
        code: Callable[[Any], int] = self.labels.__getitem__
        if None in keys:
            return np.fromiter(
                [_NONE if key is None else code(key) for key in keys], np.int64, len(keys)
            )
        return np.fromiter(map(code, keys), np.int64, len(keys))

    def columns(self) -> dict[str, Any]:
        """Return the arrays of a `TransferSet` and the names of its inputs and labels."""
        found = {name: _joined(self._columns[name], kind) for name, kind in _COLUMNS.items()}
        return {
            "inputs": found["inputs"],
            "sampled": found["sampled"],
            "entry_record": np.repeat(np.arange(len(found["size"])), found["size"]),
            "entry_label": found["listed"],
            "entry_logp": found["value"],
            "line": found["line"],
            "input_names": tuple(self.inputs),
            "label_names": _names(self.labels, self.texts),
        }

    def label_texts(self) -> list[str]:
        """Return how the labels read: names that need not tell them apart."""
        return [
            _show(self.texts.get(key, key) if isinstance(key, int) else key) for key in self.labels
        ]


_COLUMNS = {
    "inputs": np.int64,
    "sampled": np.int64,
    "size": np.int64,
    "listed": np.int64,
    "value": np.float64,
    "line": np.int64,
}

_NONE = -1


def _places(origins: Sequence[Origin]) -> dict[Origin, Sequence[int]]:
    """Which records have each origin."""
    if len(set(map(id, origins))) == 1:
        return {origins[0]: range(len(origins))}
    found: dict[Origin, list[int]] = {}
    for i, origin in enumerate(origins):
        found.setdefault(origin, []).append(i)
    return dict(found)


def _joined(parts: list[np.ndarray], kind: Any) -> np.ndarray:
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
    return (
        sizes + missing,
        np.insert(listed, where, sampled[missing]),
        np.insert(values, where, own[missing]),
    )


def _names(labels: Iterable[Key], texts: dict[Key, str]) -> tuple[str, ...]:
    """What the labels are called: their text; ids and bytes where that does not tell them apart."""
    names = [texts.get(key, key) if isinstance(key, int) else key for key in labels]
    shown = [_show(name) for name in names]
    many = {name for name, times in Counter(shown).items() if times > 1}
    return tuple(
        f"{name} (token {key!r})" if name in many and not isinstance(key, str) else name
        for name, key in zip(shown, labels, strict=True)
    )


def _show(name: Key) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8", "backslashreplace")
    return f"token_id:{name}" if isinstance(name, int) else name
