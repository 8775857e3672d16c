"""The student of non-target answers, told of with its level's limits:
`kt_theory.limits.non_target`.
"""

from __future__ import annotations

import numpy as np

from kt_theory.access import NON_TARGET as LEVEL
from kt_theory.exact.hidden import NonTarget
from kt_theory.students.rules import RowRule
from kt_theory.students.student import Student


def _odds_or_frequencies(counts, revealed, out):
    visits = counts.sum()
    hidden = 0
    for a in range(counts.size):
        hidden += 1 if np.isnan(revealed[a]) else 0
    for a in range(counts.size):
        if visits == 0:
            out[a] = 1.0 / counts.size
        else:
            out[a] = counts[a] / visits if hidden > 0 else revealed[a]


NON_TARGET = Student(
    "non_target",
    LEVEL,
    RowRule(_odds_or_frequencies),
    "Zhao, Cui, Song, Qiu and Liang (2022), arXiv 2203.08679: the non-target part of decoupled "
    "distillation",
    NonTarget(),
)
