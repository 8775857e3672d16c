"""`minimax_risk`: the least worst-case risk of any student, at every access level."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from kt_theory.access import WHOLE_ROW, Access
from kt_theory.access.shows import MostProbable, SampledLabel
from kt_theory.graphs import as_graph
from kt_theory.limits.limit import Limit
from kt_theory.limits.soft import soft_limit
from kt_theory.teacher import Teacher
from kt_theory.validation import unknown_name, whole_number

LEVELS = ("hard", "partial", "top_k", "soft", "gradient")
"""The access levels of the order hard >= partial >= top_k >= soft >= gradient, by name."""

OTHERS = ("top_k_only", "argmax", "non_target")
"""Access levels by name that are beside this order."""

LARGEST_LABELS = 10**6
"""Most labels: one row of the worst teacher is a dense array."""

CROSSING = 0.4
"""n/(SA) above which the lower bound of hard labels is not compared with that of partial labels: they cross at 0.2 to
0.3 (measured for all A), and far above partial labels fall as SA/n and hard ones as its root."""

LARGEST_INPUTS = 10**12
"""Most inputs: beyond, rho * multiplicity of a teacher by classes is no longer 1 to 1e-9 in float64."""


def minimax_risk(
    access: str | Access,
    inputs: Any = None,
    labels: Any = None,
    n: Any = None,
    *,
    k: Any = None,
    graph: Any = None,
    hops: Any = 1,
    labels_per_query: Any = 1,
) -> Limit:
    """Return min over students of max over (rho, pi) of E TV(student, pi | rho), after n samples.

    Parameters
    ----------
    access : str or Access
        What one query reveals besides the pair (s, a): "hard" nothing; "partial" pi(a|s); "top_k" also the k most
        probable labels of the row with their probabilities; "soft" the whole row; "gradient" all rows within `hops`
        edges of s in `graph`. "top_k_only" reveals the k most probable labels and no sampled one, "argmax" the most
        probable label without its probability, "non_target" the sampled label a and p_b / (1-p_a) for all others. Or a
        level of `kt_theory.access`, such as `rounded(0.1)` or `noisy(0.5, of=top_k(5))`.
    inputs : int
        S, from 1 to 10^12. With a graph it may be omitted: the graph has one vertex for each.
    labels : int
        A, from 1 to 10^6.
    n : int
        Samples, from 0 (the prior risk) to 2^53.
    k : int, from 0 to labels
        For "top_k"; for "top_k_only" from 1.
    graph : Graph, networkx.Graph, scipy.sparse array or (S, S) array_like
        For "gradient" only; undirected.
    hops : int
        For "gradient" only; at least 0.
    labels_per_query : int
        For "hard" and "partial": how many labels are drawn, independently, at each queried input. n counts queries.

    Returns
    -------
    Limit
        Soft labels, gradients and channels that can be undone: exact (gradients where the independence number is
        found). Partial labels and top-k: exact where a worst teacher is proved, else a certified interval. Greedy top-k
        and greedy labels: exact for one input; non-target parts: for one input and few samples; else an interval. Hard
        labels and the other channels: a certified interval; where partial labels have the larger `lower`, it and its
        teacher stand, for a student of hard labels is one of partial labels that ignores the probabilities. `lower`
        never rises from hard to partial to top-k to soft.

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
    name = access.name if isinstance(access, Access) else access
    if not isinstance(access, Access) and access not in (*LEVELS, *OTHERS):
        raise unknown_name("access level", access, (*LEVELS, *OTHERS))
    level = access if isinstance(access, Access) else None
    of_graph = access == "gradient" if level is None else level.graph is not None or level.everywhere
    for argument, given, where in (
        ("k", k is not None, ("top_k", "top_k_only")),
        ("graph", graph is not None, ("gradient",)),
        ("hops", hops != 1, ("gradient",)),
        ("labels_per_query", labels_per_query != 1, ("hard", "partial")),
    ):
        if given and name not in where:
            raise ValueError(f"{argument} is given: access {name!r} has none, only {' and '.join(map(repr, where))} do")
    for argument, value in (("labels", labels), ("n", n), ("inputs", 1 if of_graph else inputs)):
        if value is None:
            raise ValueError(f"{argument} is missing: minimax_risk({name!r}, inputs=..., labels=..., n=...)")
    width = whole_number(labels, "labels", low=1)
    samples = whole_number(n, "n")
    _not_above(width, "labels", LARGEST_LABELS, f"access {name!r}")
    if isinstance(access, Access) and access.everywhere:
        return _everywhere(access, inputs, width, samples)
    if of_graph:
        return _gradient(access, graph, inputs, width, samples, hops)
    size = whole_number(inputs, "inputs", low=1)
    _not_above(size, "inputs", LARGEST_INPUTS, f"access {name!r}")
    if isinstance(access, Access):
        return _of_access(access, size, width, samples, whole_number(labels_per_query, "labels_per_query", low=1))
    if access in ("top_k", "top_k_only"):
        if k is None:
            raise ValueError(f"k is missing: minimax_risk({access!r}, inputs=..., labels=..., n=..., k=...)")
        top = whole_number(k, "k", low=0 if access == "top_k" else 1, high=width)
        return _top_k(size, width, samples, top) if access == "top_k" else _greedy(size, width, samples, top)
    if access == "soft":
        return soft_limit(size, width, samples)
    if access in ("argmax", "non_target"):
        return (_argmax if access == "argmax" else _non_target)(size, width, samples)
    one = _hard if access == "hard" else _partial
    times = whole_number(labels_per_query, "labels_per_query", low=1)
    return one(size, width, samples) if times == 1 else _repeated(access, size, width, samples, times)


def _of_access(level: Access, inputs: int, labels: int, n: int, labels_per_query: int) -> Limit:
    """Return the limit of an `Access` without a graph."""
    if (level.greedy and not level.top) or level.non_target:
        return replace((_non_target if level.non_target else _argmax)(inputs, labels, n), access=level.name)
    if level.top and not (level.sampled or level.greedy):
        raise ValueError(f"access {level.name!r}: no limit is known for sampled labels without their probabilities")
    top = min(level.top, labels)
    if not top:
        plain = _partial(inputs, labels, n) if level.sampled else _hard(inputs, labels, n)
        if labels_per_query > 1:
            plain = _repeated("partial" if level.sampled else "hard", inputs, labels, n, labels_per_query)
    elif level.top == WHOLE_ROW:
        plain = soft_limit(inputs, labels, n)
    else:
        plain = (_greedy if level.greedy else _top_k)(inputs, labels, n, top)
    if level.distortion is None and level.noise == 0.0:
        return replace(plain, access=level.name)
    from kt_theory.limits.channels.limits import channel_limit

    soft = soft_limit(inputs, labels, n)
    found = channel_limit(level, plain, soft, lambda: _hard(inputs, labels, n))
    if not (level.sampled and 0 < top < labels):
        return found
    # A student may ignore the probability of the sampled label, or those of the top k.
    for shows in (MostProbable(level.top), SampledLabel()):
        less = Access(shows, level.channel, name=level.name)
        found = _lowered(found, _of_access(less, inputs, labels, n, 1))
    return found


@lru_cache(maxsize=256)
def _hard(inputs: int, labels: int, n: int) -> Limit:
    """Return the limit of hard labels, its lower bound raised to that of partial labels where that is larger."""
    from kt_theory.limits.hard.interval import hard_limit

    limit = hard_limit(inputs, labels, n)
    if limit.exact or n > CROSSING * inputs * labels:
        return limit
    return _raised(limit, _partial_alone(inputs, labels, n))


def _raised(hard: Limit, partial: Limit) -> Limit:
    if partial.lower <= hard.lower:
        return hard
    reference = "worst teacher of partial labels below, add-c students above; not known to meet"
    return replace(hard, lower=partial.lower, teacher=partial.teacher, reference=reference)


@lru_cache(maxsize=256)
def _partial(inputs: int, labels: int, n: int) -> Limit:
    """Return the limit of partial labels, its upper bound lowered to that of hard labels where that can be smaller."""
    found = _partial_alone(inputs, labels, n)
    if found.exact or inputs == 1 or 4 * n > inputs:
        return found
    return _lowered(found, _hard(inputs, labels, n))


def _lowered(limit: Limit, less: Limit) -> Limit:
    """Return `limit` with the upper bound of a level that reveals less, where that is smaller."""
    if less.upper >= limit.upper:
        return limit
    reference = f"{limit.reference}; upper: here that of {less.access}"
    return replace(limit, upper=max(less.upper, limit.lower), reference=reference)


@lru_cache(maxsize=256)
def _partial_alone(inputs: int, labels: int, n: int) -> Limit:
    from kt_theory.limits.sharing.interval import partial_limit

    return partial_limit(inputs, labels, n)


@lru_cache(maxsize=256)
def _top_k(inputs: int, labels: int, n: int, k: int) -> Limit:
    from kt_theory.limits.sharing.interval import top_k_limit

    if k == 0:
        return replace(_partial(inputs, labels, n), access="top_k")
    found = top_k_limit(inputs, labels, n, k)
    return found if found.exact else _lowered(found, _greedy(inputs, labels, n, k))


@lru_cache(maxsize=256)
def _greedy(inputs: int, labels: int, n: int, k: int) -> Limit:
    from kt_theory.limits.greedy.top_k import top_k_only_limit

    return top_k_only_limit(inputs, labels, n, k)


@lru_cache(maxsize=256)
def _argmax(inputs: int, labels: int, n: int) -> Limit:
    from kt_theory.limits.greedy.argmax import argmax_limit

    return argmax_limit(inputs, labels, n)


@lru_cache(maxsize=256)
def _non_target(inputs: int, labels: int, n: int) -> Limit:
    from kt_theory.limits.non_target import non_target_limit

    return non_target_limit(inputs, labels, n, lambda width: _hard(inputs, width, n))


def _repeated(access: str, inputs: int, labels: int, n: int, times: int) -> Limit:
    """Return the limit of hard or partial labels with several labels per query."""
    one = _hard if access == "hard" else _partial
    if inputs == 1 and n > 0:
        found = one(1, labels, whole_number(n * times, "n * labels_per_query"))
        return replace(found, n=n, reference=f"{times} labels per query are as many samples: {found.reference}")
    whole_number(n * times, "n * labels_per_query")
    from kt_theory.limits.bunched import repeated_hard_limit, repeated_partial_limit

    partial = repeated_partial_limit(_partial(inputs, labels, n), times)
    if labels == 1 or n == 0:
        return replace(partial, access=access)
    if access == "partial" and n * times > CROSSING * inputs * labels:
        return partial
    hard = repeated_hard_limit(_hard(inputs, labels, n), times)
    return _raised(hard, partial) if access == "hard" else _lowered(partial, hard)


def _everywhere(level: Access, inputs: Any, labels: int, n: int) -> Limit:
    """Return the limit where one query reveals every row: 1-1/A before it, as nothing is known, and 0 after it."""
    size = len(level.features)
    if level.distortion is not None or level.noise > 0.0 or level.top != WHOLE_ROW:
        raise ValueError(f"access {level.name!r}: no limit is known for a channel where a query reveals every row")
    if inputs is not None and whole_number(inputs, "inputs", low=1) != size:
        raise ValueError(f"inputs = {inputs!r}: the features are of {size} inputs; omit inputs")
    one = soft_limit(1, labels, n)
    assert one.teacher is not None
    teacher = Teacher.from_classes(one.teacher.classes.rows, [1.0 / size], [size])
    reference = "one query reveals every row: (1-1/A) Phi(1, n)"
    return replace(one, teacher=teacher, reference=reference, access=level.name, inputs=size)


def _gradient(access: str | Access, graph: Any, inputs: Any, labels: int, n: int, hops: Any) -> Limit:
    from kt_theory.limits.graph import gradient_limit

    if isinstance(access, Access):
        if access.distortion is not None or access.noise > 0.0 or access.top != WHOLE_ROW:
            raise ValueError(f"access {access.name!r}: no limit is known for a channel along a graph")
        net, hops = access.graph, access.hops
    elif graph is None:
        raise ValueError("graph is missing: minimax_risk('gradient', graph=..., labels=..., n=..., hops=1)")
    else:
        net = as_graph(graph)
    assert net is not None
    if inputs is not None and whole_number(inputs, "inputs", low=1) != net.vertices:
        raise ValueError(f"inputs = {inputs!r}: the graph has {net.vertices} vertices, one for each input; omit inputs")
    found = gradient_limit(net, labels, n, whole_number(hops, "hops"))
    return replace(found, access=access.name) if isinstance(access, Access) else found


def _not_above(value: int, name: str, most: int, what: str) -> None:
    if value > most:
        raise ValueError(f"{name} = {value}: must be at most {most} for {what}; more takes minutes or does not fit")
