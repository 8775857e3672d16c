"""More than one teacher, or more than one round: students that become teachers, ensembles, hidden
information.

`lineage` runs any sequence of students and compressions, each taught by the one before; `pools` has
what labels it is taught by, `drift` what is known exactly of self-distillation, `on_policy`
students that are asked where their own labels lead, `ensembles` averages of noisy teachers,
`privileged` answers that depend on something hidden, `ranks` students of few parameters.
"""

from __future__ import annotations

from kt_theory.generations.drift import fixation, heterozygosity
from kt_theory.generations.ensembles import ensemble, ensemble_floor
from kt_theory.generations.lineage import lineage
from kt_theory.generations.on_policy import OnPolicy
from kt_theory.generations.privileged import Privileged
from kt_theory.generations.ranks import rank_fit

__all__ = [
    "OnPolicy",
    "Privileged",
    "ensemble",
    "ensemble_floor",
    "fixation",
    "heterozygosity",
    "lineage",
    "rank_fit",
]
