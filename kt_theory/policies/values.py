"""How the values that a policy keeps are written down."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from kt_theory import access
from kt_theory.access.channel import Channel
from kt_theory.kernels import storage

MOST_BITS = 30
"""Bits of a probability: its code fits 4 bytes."""

LEAST_STEP, LARGEST_STEP = 1e-6, 100.0
"""Steps of log-probabilities, in nats."""

_REACH = -math.log(float(np.finfo(np.float32).tiny))
"""Codes reach down to the least normal float32, 1e-38: what is below counts as that."""

_WIDTHS = (1, 2, 4)


def width(codes: float) -> int:
    """Return the bytes of the least unsigned integer, of 1, 2 or 4, that has so many values."""
    return next(size for size in _WIDTHS if codes <= 2.0 ** (8 * size))


class Values(ABC):
    """How values are written; the kinds are the final classes below.

    Attributes
    ----------
    number : int
        What the kernel calls it.
    name : str
        As it stands in the name of a policy; empty for float32.
    bytes : int
        That each value takes.
    """

    number: ClassVar[int]

    @property
    @abstractmethod
    def name(self) -> str:
        """As it stands in the name of a policy."""

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Bytes of a value."""

    @property
    @abstractmethod
    def channel(self) -> Channel:
        """What is shown of a row so written, and what a student makes of it."""

    @property
    @abstractmethod
    def amounts(self) -> tuple[float, float]:
        """The step or unit, and the last code of a step."""

    @abstractmethod
    def error(self, values: int, tau: float, *, among_others: bool) -> float:
        """Return how far at most a copy of so many values moves in total variation.

        Parameters
        ----------
        values : int
        tau : float
            The temperature that is undone.
        among_others : bool
            Whether other labels share what the values leave.
        """


@final
@dataclass(frozen=True)
class Floats(Values):
    """float32: what rounding they bring is below 1e-6 and not counted."""

    number: ClassVar[int] = storage.AS_IS
    name: ClassVar[str] = ""
    bytes: ClassVar[int] = 4
    channel: ClassVar[Channel] = access.SOFT.channel
    amounts: ClassVar[tuple[float, float]] = (1.0, 1.0)

    def error(self, values: int, tau: float, *, among_others: bool) -> float:
        """Return 0."""
        return 0.0


FLOATS = Floats()


@final
@dataclass(frozen=True)
class Steps(Values):
    """Log-probabilities rounded to multiples of a step: whole numbers from 0, the last of which
    stands for probability 0.

    Attributes
    ----------
    step : float
        In nats, from `LEAST_STEP` to `LARGEST_STEP`.
    """

    number: ClassVar[int] = storage.ROUNDED
    step: float

    @property
    def name(self) -> str:
        """As it stands in the name of a policy."""
        return self.channel.name

    @property
    def bytes(self) -> int:
        """As many as codes need that reach down to 1e-38."""
        return width(_REACH / self.step + 2.0)

    @property
    def channel(self) -> Channel:
        """Rounded log-probabilities."""
        return access.rounded(self.step).channel

    @property
    def amounts(self) -> tuple[float, float]:
        """The step and the last code but one."""
        return self.step, 2.0 ** (8 * self.bytes) - 2.0

    def error(self, values: int, tau: float, *, among_others: bool) -> float:
        """Return tanh(tau step / 4), as the channel's floor; where others take what is left, twice
        the largest error of the sum, at most 1.
        """
        if among_others:
            return min(2.0 * math.expm1(0.5 * self.step), 1.0)
        return math.tanh(0.25 * tau * self.step)


@final
@dataclass(frozen=True)
class Units(Values):
    """Probabilities rounded to multiples of 2^-bits: whole numbers from 0 to 2^bits.

    Attributes
    ----------
    bits : int
        From 1 to `MOST_BITS`.
    """

    number: ClassVar[int] = storage.QUANTISED
    bits: int

    @property
    def name(self) -> str:
        """As it stands in the name of a policy."""
        return self.channel.name

    @property
    def bytes(self) -> int:
        """As many as 2^bits + 1 codes need."""
        return width(2.0**self.bits + 1.0)

    @property
    def channel(self) -> Channel:
        """Quantised probabilities."""
        return access.quantised(self.bits).channel

    @property
    def amounts(self) -> tuple[float, float]:
        """The unit."""
        return 2.0**-self.bits, 0.0

    def error(self, values: int, tau: float, *, among_others: bool) -> float:
        """Return a unit for each value, at most 1: half a unit of its own and as much of the
        sum's. Through a temperature anything can be lost.
        """
        return min(values * self.amounts[0], 1.0) if tau == 1.0 else 1.0
