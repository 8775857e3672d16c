"""What stands behind a channel: the own student and the bracket of its levels, a case for each
kind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never, cast

from kt_theory import students
from kt_theory.access import Access
from kt_theory.access.channel import (
    AnyChannel,
    AsIs,
    Centred,
    Channel,
    Confused,
    Noisy,
    Quantised,
    Rounded,
    Temperature,
    UpToFactor,
)
from kt_theory.limits.channels.brackets import (
    Distorted,
    NoisyLogs,
    QuantisedParts,
    RoundedLogs,
    ScaleUnknown,
    ShiftUnknown,
)
from kt_theory.limits.channels.confusion import ConfusedLabels
from kt_theory.students import Student


def channel_student(level: Access) -> Student:
    """Return the own student of a level behind a channel."""
    plain = level.plain
    match cast(AnyChannel, level.channel):
        case Temperature(tau):
            return students.tempered(tau, of=plain)
        case Rounded(step):
            return students.rounded(step, plain)
        case Quantised(bits):
            return students.quantised(bits, plain)
        case UpToFactor():
            return students.logits(plain)
        case Noisy(sigma):
            return students.noisy(sigma, plain)
        case Confused(rate, rows):
            return students.confused(rows if rate is None else rate)
        case Centred():
            # The softmax of what is shown does not need the scale.
            return replace(students.logits(plain), name=level.name, access=level)
        case AsIs():
            raise ValueError(f"access {level.name!r} has no channel")
        case other:
            assert_never(other)


def channel_bracket(channel: Channel) -> type[Distorted] | type[ConfusedLabels]:
    """Return the class of brackets of a channel's levels, where they are not those without it."""
    match cast(AnyChannel, channel):
        case Temperature() | Centred():
            return ScaleUnknown
        case UpToFactor():
            return ShiftUnknown
        case Rounded():
            return RoundedLogs
        case Quantised():
            return QuantisedParts
        case Noisy():
            return NoisyLogs
        case Confused():
            return ConfusedLabels
        case AsIs():
            raise ValueError("probabilities as they are have no channel")
        case other:
            assert_never(other)
