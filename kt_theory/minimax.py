"""`minimax_risk`: the least worst-case risk of any student, at every access level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kt_theory.access import Access, as_access, gradient, top_k
from kt_theory.catalogue.brackets import bracket
from kt_theory.limits.bracket import Bracket
from kt_theory.limits.law import Terms
from kt_theory.limits.limit import Limit
from kt_theory.limits.losses import limit_in
from kt_theory.losses import Loss, as_loss
from kt_theory.validation import unknown_name, whole_number

ORDER = ("hard", "partial", "top_k", "soft", "gradient")
"""The access levels of the order hard >= partial >= top_k >= soft >= gradient, by name."""

BESIDE = ("top_k_only", "argmax", "non_target")
"""Access levels by name that are beside this order."""

LARGEST_LABELS = 10**6
"""Most labels: one row of the worst teacher is a dense array."""

LARGEST_INPUTS = 10**12
"""Most inputs: beyond, rho * multiplicity of a teacher by classes is no longer 1 to 1e-9 in
float64.
"""


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
    loss: str | Loss = "tv",
) -> Limit:
    """Return min over students of max over (rho, pi) of E TV(student, pi | rho), or of the mean of
    another loss, after n samples.

    Parameters
    ----------
    access : str or Access
        What one query reveals besides the pair (s, a): "hard" nothing; "partial" pi(a|s); "top_k"
        also the k most probable labels of the row with their probabilities; "soft" the whole row;
        "gradient" all rows within `hops` edges of s in `graph`. "top_k_only" reveals the k most
        probable labels and no sampled one, "argmax" the most probable label without its
        probability, "non_target" the sampled label a and p_b / (1-p_a) for all others. Or a level
        of `kt_theory.access`, such as `rounded(0.1)` or `noisy(0.5, of=top_k(5))`.
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
        For "hard" and "partial": how many labels are drawn, independently, at each queried input. n
        counts queries.
    loss : str or Loss
        "tv", "acceptance" (1 - tv), "kl", "reverse_kl", "chi2", "hellinger2", "js" or "l2". Exact
        where rows are settled as a whole, and of l2 for hard labels of one input; else an interval
        by order laws from that in tv and by what is proved directly (`kt_theory.limits.losses`).
        Its `upper` is inf where no student is proved to have a finite risk on every teacher.

    Returns
    -------
    Limit
        Soft labels, gradients and channels that can be undone: exact (gradients where the
        independence number is found). Partial labels and top-k: exact where a worst teacher is
        proved, else a certified interval. Greedy top-k and greedy labels: exact for one input;
        non-target parts: for one input and few samples; else an interval. Hard labels and the other
        channels: a certified interval; where partial labels have the larger `lower`, it and its
        teacher stand, for a student of hard labels is one of partial labels that ignores the
        probabilities. `lower` never rises from hard to partial to top-k to soft.

    Raises
    ------
    ValueError
        For an unknown level, an argument that is missing, out of range, or of another level.

    References
    ----------
    Zhao and Zhu (2023), Theorems 3.1 to 5.2, give these rates up to constants.

    Examples
    --------
    >>> from kt_theory.minimax import minimax_risk
    >>> minimax_risk("soft", inputs=2, labels=2, n=10)
    Limit(soft, inputs=2, labels=2, n=10: 0.0175246949916 exactly; (1-1/A) max_rho sum_s rho_s
    (1-rho_s)^n, attained by CE_ful; sharpens Theorems 5.1 and 5.2)
    """
    asked = Asked.of(access, k, graph, hops, labels_per_query)
    own = asked.level.reach.inputs
    for argument, value in (("labels", labels), ("n", n), ("inputs", own or inputs)):
        if value is None:
            call = f"minimax_risk({asked.access!r}, inputs=..., labels=..., n=...)"
            raise ValueError(f"{argument} is missing: {call}")
    samples, found = whole_number(n, "n"), asked.sized(inputs, labels)
    _refuse_above(found.labels, "labels", LARGEST_LABELS, asked.access)
    _refuse_above(found.inputs, "inputs", LARGEST_INPUTS, asked.access)
    over = partial(limit_in, found, loss=as_loss(loss))
    return replace(over(samples), over=over)


def risk_terms(access: str | Access, inputs: int, labels: int) -> Terms:
    """Return floor, kappa and noise of an access level; the formulas are these, with S inputs and A
    labels.

    ========================  ============================  ================  ======================
    answer                    floor                         kappa             noise
    ========================  ============================  ================  ======================
    hard                      0                             S                 sqrt(S(A-1))/2
    partial                   0                             S(A-1)            0
    top_k(k)                  0                             S max(1, A-1-k)   0
    argmax                    max_j (j-1)(A-1)/(j(A+j-2))   S                 0
    non_target                0                             2S                sqrt(S)/2
    top_k(k, sampled=False)   max_j (j-k)(A-j)/(j(A-k))     S                 0
    soft                      0                             S                 0
    gradient(graph, hops)     0                             alpha(graph^h)    0
    jacobian(features)        0                             1                 0
    temperature, logits       0                             S                 0
    the same, sampled label   0                             S max(1, A-k)     0
    rounded(d), whole         tanh(d/4)                     S                 0
    rounded(d), otherwise     1 - e^(-d/2)                  as without        as without
    quantised(b), whole       A/(4 2^b)                     S                 0
    quantised(b), otherwise   2^-(b+1) each label shown     as without        as without
    noisy(sigma), whole       0                             S                 sigma sqrt(S/(2 pi))
    noisy(sigma), otherwise   as without                    as without        sigma sqrt(2 m/pi)
    ========================  ============================  ================  ======================

    m, how many answers are averaged, is S for greedy queries and SA for sampled ones. The student
    is the level's own (of argmax: argmax_hedged): one of hard labels passes every floor, at the
    pace of hard labels, wherever labels are sampled.

    Parameters
    ----------
    access : str or Access
        A name or an object of `kt_theory.access`; of a graph, one whose independence number is
        found.
    inputs, labels : int

    Examples
    --------
    >>> from kt_theory.access import rounded
    >>> from kt_theory.minimax import risk_terms
    >>> risk_terms(rounded(0.1), inputs=100, labels=25)
    Terms(access='rounded(0.1) soft', floor=0.02499479296842..., kappa=100, noise=0.0, labels=25)
    """
    level = as_access(access)
    size, width = whole_number(inputs, "inputs", low=1), whole_number(labels, "labels", low=1)
    return bracket(level, size, width).terms()


@dataclass(frozen=True)
class Asked:
    """A level as a caller names it, before its size is known.

    Attributes
    ----------
    level : Access
    access, name : str
        What limits call it, and what tables do.
    largest : bool
        Whether k must not exceed the labels, as of top-k by name.
    labels_per_query : int
    """

    level: Access
    access: str
    name: str
    largest: bool = False
    labels_per_query: int = 1

    @classmethod
    def of(cls, access: Any, k: Any, graph: Any, hops: Any, labels_per_query: Any) -> Asked:
        """Return what is asked, every parameter checked against the level that it is of."""
        known = (*ORDER, *BESIDE)
        if not isinstance(access, Access) and not (isinstance(access, str) and access in known):
            raise unknown_name("access level", access, known)
        name = access.name if isinstance(access, Access) else access
        times = whole_number(labels_per_query, "labels_per_query", low=1)
        radius = whole_number(hops, "hops")
        for argument, given, owners in (
            ("k", k is not None, ("top_k", "top_k_only")),
            ("graph", graph is not None, ("gradient",)),
            ("hops", radius != 1, ("gradient",)),
            ("labels_per_query", times != 1, ("hard", "partial")),
        ):
            if given and name not in owners:
                which = " and ".join(map(repr, owners))
                raise ValueError(f"{argument} is given: access {name!r} has none, only {which} do")
        if isinstance(access, Access):
            return cls(access, name, name, labels_per_query=times)
        if access in ("top_k", "top_k_only"):
            _refuse_missing("k", k, access)
            level = top_k(k, sampled=access == "top_k")
            return cls(level, access, level.name, largest=True)
        if access == "gradient":
            _refuse_missing("graph", graph, access)
            return cls(gradient(graph, radius), access, access)
        return cls(as_access(access), access, access, labels_per_query=times)

    def sized(self, inputs: Any, labels: Any) -> Bracket:
        """Return the bracket at S inputs, which the level itself may say, and A labels."""
        width = whole_number(labels, "labels", low=1)
        if self.largest:
            whole_number(self.level.shows.top, "k", high=width)
        size, times = self.level.reach.sized(inputs), self.labels_per_query
        return bracket(self.level, size, width, times, access=self.access, name=self.name)


def _refuse_missing(argument: str, value: Any, access: str) -> None:
    if value is None:
        raise ValueError(f"{argument} is missing: access {access!r} needs {argument}=...")


def _refuse_above(value: int, name: str, most: int, access: str) -> None:
    if value > most:
        rule = f"must be at most {most} for access {access!r}; more takes minutes or does not fit"
        raise ValueError(f"{name} = {value}: {rule}")
