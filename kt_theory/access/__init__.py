"""Access levels: what one query to the teacher reveals, ordered by how much.

A level is what an answer shows of a row (`shows`), through which channel (`channel`), of which rows
(`reach`); `levels` builds the named ones.
"""

from __future__ import annotations

from typing import get_args

from kt_theory.access.channel import LARGEST_NOISE, AnyChannel, Channel
from kt_theory.access.level import Access, AccessError
from kt_theory.access.levels import (
    ARGMAX,
    HARD,
    LEVELS,
    NON_TARGET,
    PARTIAL,
    SOFT,
    as_access,
    confused,
    gradient,
    jacobian,
    logits,
    noisy,
    quantised,
    rounded,
    temperature,
    top_k,
    true_logits,
)
from kt_theory.access.reach import AnyReach, Reach
from kt_theory.access.shows import WHOLE_ROW, AnyShows, Shows, label_ranks

__all__ = [
    "ARGMAX",
    "HARD",
    "LARGEST_NOISE",
    "LEVELS",
    "NON_TARGET",
    "PARTIAL",
    "SOFT",
    "WHOLE_ROW",
    "Access",
    "AccessError",
    "Channel",
    "Reach",
    "Shows",
    "as_access",
    "confused",
    "gradient",
    "jacobian",
    "label_ranks",
    "logits",
    "noisy",
    "quantised",
    "rounded",
    "temperature",
    "top_k",
    "true_logits",
]

for _part, _kinds in ((Shows, AnyShows), (Channel, AnyChannel), (Reach, AnyReach)):
    if set(get_args(_kinds)) != set(_part.__subclasses__()):
        raise TypeError(f"{_part.__name__}: its kinds are not those of {_kinds}")
