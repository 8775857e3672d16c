"""Students of greedy answers, which name the most probable label and no more.

What they do is told where their level's limits are: `kt_theory.limits.argmax`.
"""

from __future__ import annotations

import numpy as np

from kt_theory.access import ARGMAX
from kt_theory.exact.settled import Greedy
from kt_theory.students.rules import RowRule, frequencies
from kt_theory.students.student import Student


def _hedge(counts, revealed, out):
    labels = counts.size
    visits = counts.sum()
    spread = 0.0
    root = int(np.sqrt(labels - 1.0))
    for j in range(max(root, 1), min(root + 2, labels) + 1):
        spread = max(
            spread, (j - 1.0) * (labels - 1.0) / (j * (labels + j - 2.0)) if j > 1 else 0.0
        )
    for a in range(labels):
        if visits == 0:
            out[a] = 1.0 / labels
        else:
            out[a] = 1.0 - spread if counts[a] > 0 else spread / (labels - 1.0)


GREEDY = Student(
    "argmax",
    ARGMAX,
    RowRule(frequencies),
    "the point mass on the greedy label; 1 - max p on a visited row, 1 - 1/A at worst",
    Greedy(hedged=False),
)
HEDGED = Student(
    "argmax_hedged",
    ARGMAX,
    RowRule(_hedge),
    "1 - V on the greedy label, V = max_j (j-1)(A-1) / (j(A+j-2)) in equal shares on the others; V "
    "at worst",
    Greedy(hedged=True),
)
