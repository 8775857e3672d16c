"""Training objectives: which rows minimise them, and how far from the teacher's that is.

`objective` says what an objective is, `whole` has those on whole rows, `top` those on the k most
probable labels, `sampled` those on sampled labels; `nearest` a linear program behind one of them.
An objective is a value; `kt_theory.students.minimiser` is its student, `kt_theory.consistency` says
whether it reaches the teacher.
"""

from __future__ import annotations

from kt_theory.objectives.objective import Minimisers, Objective, Worst
from kt_theory.objectives.sampled import (
    ce_weighted,
    greedy,
    hinton,
    label_smoothing,
    sampled_probabilities,
    sampled_tail,
    sampled_weights,
)
from kt_theory.objectives.table import NAMED, as_objective
from kt_theory.objectives.top import (
    forward_kl_tail,
    forward_kl_top,
    forward_kl_truncated,
    forward_kl_within,
    reverse_kl_tail,
    reverse_kl_top,
    reverse_kl_truncated,
    reverse_kl_within,
)
from kt_theory.objectives.whole import (
    correlation,
    cosine,
    cosine_logits,
    forward_kl,
    js,
    logit_mse,
    pairwise,
    probability_mse,
    reverse_kl,
    skewed_kl,
    skewed_reverse_kl,
    sorted_distance,
    standardised_logits,
    tv,
)

__all__ = [
    "NAMED",
    "Minimisers",
    "Objective",
    "Worst",
    "as_objective",
    "ce_weighted",
    "correlation",
    "cosine",
    "cosine_logits",
    "forward_kl",
    "forward_kl_tail",
    "forward_kl_top",
    "forward_kl_truncated",
    "forward_kl_within",
    "greedy",
    "hinton",
    "js",
    "label_smoothing",
    "logit_mse",
    "pairwise",
    "probability_mse",
    "reverse_kl",
    "reverse_kl_tail",
    "reverse_kl_top",
    "reverse_kl_truncated",
    "reverse_kl_within",
    "sampled_probabilities",
    "sampled_tail",
    "sampled_weights",
    "skewed_kl",
    "skewed_reverse_kl",
    "sorted_distance",
    "standardised_logits",
    "tv",
]
