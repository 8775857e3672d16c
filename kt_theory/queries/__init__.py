"""Query laws: which inputs are asked, how often, and with how many labels each."""

from kt_theory.queries.laws import (
    Design,
    Iid,
    QueryLaw,
    Trajectories,
    TwoStage,
    adaptive,
    chain,
    episodes,
    iid,
    oracle,
    two_stage,
)
from kt_theory.queries.unseen import occupancy, unseen_probability

__all__ = [
    "Design",
    "Iid",
    "QueryLaw",
    "Trajectories",
    "TwoStage",
    "adaptive",
    "chain",
    "episodes",
    "iid",
    "occupancy",
    "oracle",
    "two_stage",
    "unseen_probability",
]
