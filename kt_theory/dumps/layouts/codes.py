"""How the files of `kt.store` write values, and how a student undoes it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory import access
from kt_theory.access.channel import Channel
from kt_theory.validation import number_between, positive, shown, true_or_false, whole_number

FLOATS, STEPS, UNITS, COUNTS = "float32", "rounded", "quantised", "counts"
KINDS = (FLOATS, STEPS, UNITS, COUNTS)
"""How a value is written: the logarithm of a probability; the number of steps that it lies below 0;
the number of units 2^-bits in the probability; how often a label was drawn."""

_MOST_BITS = 30


@dataclass(frozen=True)
class Codes:
    """How values are written.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    unit : float
        The step in nats, or the bits; of other kinds 1.
    temperature : float
        At which values are stored.
    to_one : bool
        Whether a student divides what is stored by its sum; else what it lacks of 1 is that of
        labels which are not listed.
    others : bool
        Whether a row has one value more than labels: the mass of all others.
    """

    kind: str
    unit: float = 1.0
    temperature: float = 1.0
    to_one: bool = False
    others: bool = False

    def written(self) -> dict[str, Any]:
        """Return it as a file's metadata hold it."""
        return asdict(self)

    @classmethod
    def read(cls, held: Any) -> Codes:
        """Return what a file's metadata say.

        Raises
        ------
        ValueError
            With what is wrong.
        """
        if not isinstance(held, dict) or set(held) != set(asdict(cls(FLOATS))):
            raise ValueError(f"values = {shown(held)}: must hold {', '.join(asdict(cls(FLOATS)))}")
        if held["kind"] not in KINDS:
            raise ValueError(f"kind = {shown(held['kind'])}: must be one of {', '.join(KINDS)}")
        if held["kind"] == UNITS:
            whole_number(held["unit"], "unit", low=1, high=_MOST_BITS)
        positive(held["unit"], "unit")
        number_between(held["temperature"], "temperature", low=1e-3, high=1e3)
        for name in ("to_one", "others"):
            true_or_false(held[name], name)
        return cls(**held)

    def coded(self, weights: np.ndarray, kind: np.dtype) -> np.ndarray:
        """Return weights from 0 to 1, or counts, as numbers of a type; the last whole number of the
        type stands for 0 where steps are counted.
        """
        if self.kind == COUNTS:
            return weights.astype(kind)
        if self.kind == UNITS:
            return np.rint(np.ldexp(weights, int(self.unit))).astype(kind)
        with np.errstate(divide="ignore"):
            logs = np.log(weights)
        if self.kind == FLOATS:
            return logs.astype(kind)
        last = float(np.iinfo(kind).max)
        steps = np.clip(np.rint(-logs / self.unit), 0.0, last - 1.0)
        return np.where(weights > 0.0, steps, last).astype(kind)

    def logs(self, codes: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the natural logarithms that a student makes of rows.

        Parameters
        ----------
        codes : (m, k) array
            As they are stored.
        counts : (m,) int64
            How many of each row are values; what stands behind them is not looked at.

        Returns
        -------
        (m, k) float32 or float64, or (m, k - 1) with `others`; NaN where a row has fewer.
        """
        there = np.arange(codes.shape[1]) < counts[:, None]
        if self.kind == FLOATS and self.temperature == 1.0 and not self.others:
            return np.where(there, codes, np.nan)
        weights = np.where(there, self._weights(codes), 0.0)
        with np.errstate(divide="ignore"):
            logs = np.log(self._undone(weights, counts))
        logs[~there] = np.nan
        return logs[:, :-1] if self.others else logs

    def _weights(self, codes: np.ndarray) -> np.ndarray:
        if self.kind == COUNTS:
            return codes.astype(np.float64)
        if self.kind == UNITS:
            return np.ldexp(codes.astype(np.float64), -int(self.unit))
        if self.kind == FLOATS:
            return np.exp(codes.astype(np.float64))
        weights = np.exp(-self.unit * codes.astype(np.float64))
        return np.where(codes == np.iinfo(codes.dtype).max, 0.0, weights)

    @property
    def _channel(self) -> Channel:
        if self.kind == STEPS:
            return access.rounded(self.unit).channel
        return (
            access.quantised(int(self.unit)).channel if self.kind == UNITS else access.SOFT.channel
        )

    def _undone(self, weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """What the channel's own student makes of rows of some length."""
        found = np.zeros_like(weights)
        for count in np.unique(counts[counts > 0]):
            rows = np.flatnonzero(counts == count)
            found[rows, :count] = self._undone_alike(weights[rows, :count])
        return found

    def _undone_alike(self, weights: np.ndarray) -> np.ndarray:
        if self.to_one:
            table = self._channel.undo(weights) ** self.temperature
            return table / table.sum(axis=1, keepdims=True)
        size = weights.shape[1]
        wider = np.pad(weights, ((0, 0), (0, 1)))
        table = np.maximum(self._channel.completed(wider, size), 0.0)
        return (table / table.sum(axis=1, keepdims=True))[:, :size]


@dataclass(frozen=True)
class Notes:
    """What a file of `kt.store` says of itself.

    Attributes
    ----------
    policy : str
        What is stored, by name.
    labels, positions : int
        Of the teacher, and of the file.
    whole : bool
        Whether rows hold all labels, in their order.
    drawn : bool
        Whether the labels of a row were drawn.
    values : Codes
    size : float
        Bytes of a position, by the policy.
    loss : mapping of str to float
        A row of `kt.storage`.
    """

    policy: str
    labels: int
    positions: int
    whole: bool
    drawn: bool
    values: Codes
    size: float
    loss: dict[str, float]

    @property
    def renormalised(self) -> bool:
        """Whether rows sum to 1 though they leave labels out."""
        return self.values.to_one and not self.whole and not self.values.others

    def written(self) -> bytes:
        """Return them as the file's metadata hold them: JSON, null where a number is none."""
        loss = {name: value if math.isfinite(value) else None for name, value in self.loss.items()}
        found = {**asdict(self), "values": self.values.written(), "loss": loss, "version": VERSION}
        return json.dumps(found).encode()

    @classmethod
    def read(cls, data: bytes, path: Path) -> Notes:
        """Return the notes of a file.

        Raises
        ------
        ValueError
            If they are none that this version writes.
        """
        try:
            held = json.loads(data)
            if held.pop("version") != VERSION:
                raise ValueError(f"version is not {VERSION}")
            labels = whole_number(held["labels"], "labels", low=1, high=2**31 - 1)
            positions = whole_number(held["positions"], "positions")
            return cls(
                str(held["policy"]),
                labels,
                positions,
                true_or_false(held["whole"], "whole"),
                true_or_false(held["drawn"], "drawn"),
                Codes.read(held["values"]),
                held["size"],
                held["loss"],
            )
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: what it says of itself is damaged: {error}") from None


VERSION = 1
KEY = b"kt_theory"
"""Where the metadata of a Parquet file hold `Notes`."""
