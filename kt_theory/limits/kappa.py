"""One law for every channel without noise: the coverage of its closure.

A query resolves facts exactly, and with the facts of other queries perhaps more: a closure. kappa
is the size of the largest set of points none of which is resolved by the others. For every law on
the points

    E[mass not resolved by n samples] <= kappa/(n+1):

of n+1 samples, the last is not resolved by the others as often as any other, and those that are not
resolved by the others are at most kappa, because they are a set none of which is resolved by the
others of the set. From below, laws on such a set give Phi(kappa, n), and point-mass teachers on it
make every student lose half of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kt_theory.graphs import as_graph
from kt_theory.limits.soft import unvisited_mass
from kt_theory.validation import unknown_name, whole_number


class Coverage(NamedTuple):
    """What n queries leave unresolved, in mean, at the worst law.

    Attributes
    ----------
    lower, upper : float
        Phi(kappa, n) and kappa/(n+1), at most 1: the worst unresolved mass lies between them.
        Phi(kappa, n) is at least (kappa-1)/(e(n+1)) for n >= kappa - 1.
    risk_lower : float
        Phi(kappa, n)/2: no student has a smaller worst-case risk if the unresolved points may be
        point masses on two labels or more, whatever was resolved. At least (kappa-1)/(2e(n+1)) for
        n >= kappa - 1.
    """

    lower: float
    upper: float
    risk_lower: float


class Kappa(NamedTuple):
    """The kappa of a channel: as a formula, and as a function of its sizes by name."""

    channel: str
    formula: str
    sizes: tuple[str, ...]
    count: Callable[..., int]


def coverage(kappa: int, n: int) -> Coverage:
    """Return the bounds on the mass that n queries of a channel leave unresolved.

    Parameters
    ----------
    kappa : int
        Size of the largest set of points none of which is resolved by the others; at least 0.
    n : int
        Samples.
    """
    size, samples = whole_number(kappa, "kappa"), whole_number(n, "n")
    if size == 0:
        return Coverage(0.0, 0.0, 0.0)
    mass = unvisited_mass(size, samples).value
    return Coverage(mass, min(1.0, size / (samples + 1.0)), 0.5 * mass)


def kappa(channel: str, **sizes: Any) -> int:
    """Return the kappa of a channel, a key of `KAPPAS`.

    Parameters
    ----------
    channel : str
    **sizes
        The sizes that its formula needs: inputs S, labels A, features d, rank r; for "gradient"
        graph and hops.

    Examples
    --------
    >>> from kt_theory.limits.kappa import kappa
    >>> kappa("soft", inputs=100), kappa("partial", inputs=100, labels=25)
    (100, 2400)
    >>> kappa("affine_logits", features=7)
    8
    """
    if channel not in KAPPAS:
        raise unknown_name("channel", channel, KAPPAS)
    law = KAPPAS[channel]
    if set(sizes) != set(law.sizes):
        raise ValueError(
            f"sizes of channel {channel!r}: give {', '.join(law.sizes)}; kappa = {law.formula}"
        )
    if channel == "gradient":
        return law.count(**sizes)
    return law.count(**{name: whole_number(value, name, low=1) for name, value in sizes.items()})


def _independent(graph: Any, hops: Any) -> int:
    from kt_theory.limits.graph import independence_number, known_independence

    found = independence_number(as_graph(graph), whole_number(hops, "hops"))
    return known_independence(found)


def _encoder_queried(rank: int, inputs: int, labels: int) -> int:
    """Return the largest set of cells (s, a) none of which is resolved by the others, for features
    in general position.

    A cell is resolved if its row has others and H[s] lies in the span of those of its label. So
    cells alone in their row are free, and m rows with several cells take one of r dimensions of
    their labels with each cell. If the lone ones fill no label, the set has at most rA cells. If
    they fill one, at most S - m + (A-1) min(m, r); m = r is best.
    """
    return max(rank * labels, inputs + rank * (labels - 2), inputs)


KAPPAS: dict[str, Kappa] = {
    "soft": Kappa("whole rows of a table", "S", ("inputs",), lambda inputs: inputs),
    "partial": Kappa(
        "single probabilities of a table; the last one of a row follows from the others",
        "S(A-1)",
        ("inputs", "labels"),
        lambda inputs, labels: inputs * (labels - 1),
    ),
    "sampled_logits": Kappa(
        "single logits of a table, each row up to a shift",
        "SA",
        ("inputs", "labels"),
        lambda inputs, labels: inputs * labels,
    ),
    "gradient": Kappa(
        "rows within `hops` edges in a graph", "alpha(G^h)", ("graph", "hops"), _independent
    ),
    "jacobian": Kappa("logits and Jacobian, softmax-affine", "1", (), lambda: 1),
    "log_linear": Kappa(
        "single logits <phi(s, a), theta> + shift(s), theta in R^d",
        "d",
        ("features",),
        lambda features: features,
    ),
    "affine_logits": Kappa(
        "all logits W x + b, x in R^d", "d + 1", ("features",), lambda features: features + 1
    ),
    "encoder": Kappa(
        "single logits H[s] V^T, H known of rank r",
        "rA",
        ("rank", "labels"),
        lambda rank, labels: rank * labels,
    ),
    "encoder_rows": Kappa(
        "whole rows of logits H[s] V^T, H known of rank r", "r", ("rank",), lambda rank: rank
    ),
    "encoder_queried": Kappa(
        "single logits H[s] V^T, H of rank r in general position, H[s] known once s was queried",
        "max(rA, S + r(A-2))",
        ("rank", "inputs", "labels"),
        lambda rank, inputs, labels: _encoder_queried(min(rank, inputs), inputs, labels),
    ),
    "completion": Kappa(
        "single logits of an unknown matrix of rank r in general position",
        "r(S + A - r)",
        ("rank", "inputs", "labels"),
        lambda rank, inputs, labels: (
            rank * (inputs + labels - rank) if rank < min(inputs, labels) else inputs * labels
        ),
    ),
}
"""The channels whose kappa is known, by name."""
