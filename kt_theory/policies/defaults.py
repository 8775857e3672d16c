"""The policies that are looked at where nobody names any."""

from __future__ import annotations

from kt_theory.policies.names import policy
from kt_theory.policies.policy import Policy

SIZES = (5, 20, 50, 100, 500)
"""Labels that are kept."""

MIDDLE = 50


def usual_policies(labels: int, listed: int | None) -> list[Policy]:
    """Return the usual policies.

    Parameters
    ----------
    labels : int
        A.
    listed : int or None
        How many labels a dump's rows list; None: all.
    """
    most = labels - 1 if listed is None else min(listed, labels - 1)
    sizes = [k for k in SIZES if k <= most] or [max(most, 1)]
    middle = max((k for k in sizes if k <= MIDDLE), default=sizes[0])
    names = [f"{kind}({k})" for kind in ("renormalised", "even_tail") for k in sizes]
    names.append(f"tail_mass({middle})")
    names += [f"renormalised({middle}) rounded(0.1)", f"even_tail({middle}) rounded(0.1)"]
    names += [f"even_tail({middle}) quantised(15)", "top_p(0.9)", "top_p(0.99)"]
    names += ["sampled(12)", "sampled(50)", "sampled(50, 0.8)"]
    names += ["sampled(12, probabilities=true)", "sampled(50, probabilities=true)"]
    if listed is None:
        names += ["soft", "quantised(7)", "quantised(15)", "rounded(0.1)", "rounded(0.5)"]
    return [policy(name) for name in names]
