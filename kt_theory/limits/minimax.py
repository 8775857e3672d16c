"""`minimax_risk`: the least worst-case risk of any student, at every access level."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kt_theory.graphs import as_graph
from kt_theory.limits.limit import Limit
from kt_theory.validation import unknown_name, whole_number

LEVELS = ("hard", "partial", "top_k", "soft", "gradient")
"""The access levels whose minimax risk is known exactly or within a certified interval."""

LARGEST_LABELS = {"soft": 10**6, "gradient": 10**6, "partial": 10**4, "top_k": 10**4}
"""Most labels by level: one row of the worst teacher is a dense array; the search for it costs labels squared."""

CROSSING = 0.4
"""n/(SA) above which the lower bound of hard labels is not compared with that of partial labels: they cross at 0.2 to
0.3 (measured for all A), and far above partial labels fall as SA/n and hard ones as its root."""

LARGEST_INPUTS = 10**12
"""Most inputs: beyond, rho * multiplicity of a teacher by classes is no longer 1 to 1e-9 in float64."""


def minimax_risk(
    access: str,
    inputs: Any = None,
    labels: Any = None,
    n: Any = None,
    *,
    k: Any = None,
    graph: Any = None,
    hops: Any = 1,
) -> Limit:
    """Return min over students of max over (rho, pi) of E TV(student, pi | rho), after n samples.

    Parameters
    ----------
    access : str
        What one query reveals besides the pair (s, a): "hard" nothing; "partial" pi(a|s); "top_k" also the k most
        probable labels of the row with their probabilities; "soft" the whole row; "gradient" all rows within `hops`
        edges of s in `graph`.
    inputs : int
        S, from 1 to 10^12. For "gradient" it may be omitted: the graph has one vertex for each.
    labels : int
        A, at least 1; at most 10^6 for soft labels and gradients, 10^4 for partial labels and top-k.
    n : int
        Samples, from 0 (the prior risk) to 2^53.
    k : int, from 0 to labels
        For "top_k" only.
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        For "gradient" only; undirected.
    hops : int
        For "gradient" only; at least 0.

    Returns
    -------
    Limit
        Soft labels and gradients: exact (gradients where the independence number is found). Partial labels and top-k:
        exact where a worst teacher is proved, else a certified interval. Hard labels: a certified interval; where
        partial labels have the larger `lower`, it and its teacher stand, for a student of hard labels is one of partial
        labels that ignores the probabilities. `lower` never rises from hard to partial to top-k to soft.

    Raises
    ------
    ValueError
        For an unknown level, an argument that is missing, out of range, or of another level.

    References
    ----------
    Zhao and Zhu (2023), Theorems 3.1 to 5.2, give these rates up to constants.

    Examples
    --------
    >>> from kt_theory.limits.minimax import minimax_risk
    >>> minimax_risk("soft", inputs=2, labels=2, n=10)
    Limit(soft, inputs=2, labels=2, n=10: 0.0175246949916 exactly; (1-1/A) max_rho sum_s rho_s (1-rho_s)^n, attained by
    CE_ful; sharpens Theorems 5.1 and 5.2)
    """
    if access not in LEVELS:
        raise unknown_name("access level", access, LEVELS)
    for name, given, level in (
        ("k", k is not None, "top_k"),
        ("graph", graph is not None, "gradient"),
        ("hops", hops != 1, "gradient"),
    ):
        if given and access != level:
            raise ValueError(f"{name} is given: access {access!r} has none, only {level!r} does")
    for name, value in (("labels", labels), ("n", n), ("inputs", 1 if access == "gradient" else inputs)):
        if value is None:
            raise ValueError(f"{name} is missing: minimax_risk({access!r}, inputs=..., labels=..., n=...)")
    width = whole_number(labels, "labels", low=1)
    samples = whole_number(n, "n")
    _not_above(width, "labels", LARGEST_LABELS.get(access, 10**6), f"access {access!r}")
    if access == "gradient":
        return _gradient(graph, inputs, width, samples, hops)
    size = whole_number(inputs, "inputs", low=1)
    _not_above(size, "inputs", LARGEST_INPUTS, f"access {access!r}")
    if access == "soft":
        from kt_theory.limits.soft import soft_limit

        return soft_limit(size, width, samples)
    if access == "hard":
        return _hard(size, width, samples)
    from kt_theory.limits.partial import partial_limit, top_k_limit

    if access == "partial":
        return partial_limit(size, width, samples)
    if k is None:
        raise ValueError("k is missing: minimax_risk('top_k', inputs=..., labels=..., n=..., k=...)")
    return top_k_limit(size, width, samples, whole_number(k, "k", high=width))


def _hard(inputs: int, labels: int, n: int) -> Limit:
    """Return the limit of hard labels, its lower bound raised to that of partial labels where that is larger."""
    from kt_theory.limits.hard import hard_limit
    from kt_theory.limits.partial import partial_limit

    limit = hard_limit(inputs, labels, n)
    if limit.exact or n > CROSSING * inputs * labels or labels > LARGEST_LABELS["partial"]:
        return limit
    partial = partial_limit(inputs, labels, n)
    if partial.lower <= limit.lower:
        return limit
    reference = "worst teacher of partial labels below, add-c students above; not known to meet"
    return replace(limit, lower=partial.lower, teacher=partial.teacher, reference=reference)


def _gradient(graph: Any, inputs: Any, labels: int, n: int, hops: Any) -> Limit:
    from kt_theory.limits.graph import gradient_limit

    if graph is None:
        raise ValueError("graph is missing: minimax_risk('gradient', graph=..., labels=..., n=..., hops=1)")
    net = as_graph(graph)
    if inputs is not None and whole_number(inputs, "inputs", low=1) != net.vertices:
        raise ValueError(f"inputs = {inputs!r}: the graph has {net.vertices} vertices, one for each input; omit inputs")
    return gradient_limit(net, labels, n, whole_number(hops, "hops"))


def _not_above(value: int, name: str, most: int, what: str) -> None:
    if value > most:
        raise ValueError(f"{name} = {value}: must be at most {most} for {what}; more takes minutes or does not fit")
