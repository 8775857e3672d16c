"""Objectives that need no parameter, by name, and what the others are called with."""

from __future__ import annotations

from typing import Any

from kt_theory.objectives import sampled, top, whole
from kt_theory.objectives.objective import Objective
from kt_theory.validation import shown, unknown_name

NAMED: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        whole.forward_kl(),
        whole.reverse_kl(),
        whole.js(),
        whole.tv(),
        whole.probability_mse(),
        whole.cosine(),
        whole.logit_mse(),
        whole.standardised_logits(),
        whole.cosine_logits(),
        whole.correlation(),
        whole.sorted_distance(),
        sampled.sampled_weights(),
        sampled.sampled_probabilities(),
    )
}
"""Every objective that needs no parameter, by name."""

_NEED_PARAMETERS = {
    maker.__name__: f"{maker.__name__}({parameter})"
    for maker, parameter in (
        (whole.skewed_kl, "alpha"),
        (whole.skewed_reverse_kl, "alpha"),
        (whole.pairwise, "margin"),
        (sampled.ce_weighted, "gamma"),
        (sampled.label_smoothing, "epsilon"),
        (sampled.hinton, "alpha, temperature"),
        (sampled.sampled_tail, "k"),
        (top.forward_kl_top, "k"),
        (top.reverse_kl_top, "k"),
        (top.forward_kl_truncated, "k"),
        (top.reverse_kl_truncated, "k"),
        (top.forward_kl_within, "k"),
        (top.reverse_kl_within, "k"),
        (top.forward_kl_tail, "k"),
        (top.reverse_kl_tail, "k"),
    )
}


def as_objective(given: Any) -> Objective:
    """Return an `Objective`, or that of a name that needs no parameter.

    `kt_theory.catalogue.objective` reads names with parameters too.

    Raises
    ------
    ValueError
        For an unknown name, or one that needs a parameter, with the way out.
    """
    if isinstance(given, Objective):
        return given
    if not isinstance(given, str):
        raise ValueError(
            f"objective = {shown(given)}: must be a name or an objective of kt_theory.objectives"
        )
    plain = given.split("(")[0].strip()
    if given not in NAMED and plain in _NEED_PARAMETERS:
        call = _NEED_PARAMETERS[plain]
        raise ValueError(f"objective {given!r} needs a parameter: give kt_theory.objectives.{call}")
    if given not in NAMED:
        raise unknown_name("objective", given, [*NAMED, *_NEED_PARAMETERS])
    return NAMED[given]
