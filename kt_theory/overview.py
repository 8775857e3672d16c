"""Every access level side by side: the paper's bounds and the minimax risk between them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.access import Access
from kt_theory.catalogue import LEVELS
from kt_theory.limits import paper as bounds
from kt_theory.limits.limit import Limit
from kt_theory.losses import Loss
from kt_theory.minimax import minimax_risk

if TYPE_CHECKING:
    import pandas as pd

PAPER = {
    name: (low, high)
    for name, entry in LEVELS.items()
    if (low := bounds.lower_of(name)) and (high := bounds.upper_of(entry.student))
}
"""The theorems of Zhao and Zhu (2023) in mean, (lower, upper), by access level; it has none for
top-k."""


def limits_at(
    inputs: int,
    labels: int,
    n: int,
    top: tuple[int, ...] = (1, 5),
    levels: tuple[Access, ...] = (),
    *,
    loss: str | Loss = "tv",
) -> dict[str, Limit]:
    """Return the minimax risk of every access level that needs no graph, by name, in increasing
    order of access.

    Parameters
    ----------
    inputs, labels, n : int
    top : tuple of int
        Which top-k levels to include; those with k >= labels - 1 show whole rows and are left out.
    levels : tuple of Access
        Further levels, without a graph, that stand below the others; such as
        `kt_theory.access.rounded(0.1)`.
    loss : str or Loss
        As for `minimax_risk`.
    """
    limit = partial(minimax_risk, inputs=inputs, labels=labels, n=n, loss=loss)
    found = {access: limit(access) for access in ("hard", "partial")}
    for k in top:
        if k < labels - 1:
            found[f"top_k({k})"] = limit("top_k", k=k)
    found["soft"] = limit("soft")
    return found | {level.name: limit(level) for level in levels}


def overview(limits: Iterable[dict[str, Limit]]) -> pd.DataFrame:
    """Return a table of the limits of every access level with the paper's bounds around them.

    Parameters
    ----------
    limits : iterable of dict
        One result of `limits_at` for each n.

    Returns
    -------
    DataFrame, one row per n and level: access, n, inputs, labels, paper_lower, lower, upper,
    paper_upper, exact, reference. paper_lower and paper_upper are NaN outside the theorem's regime,
    or where the paper has none, as in other losses than tv.
    """
    import pandas as pd

    return pd.DataFrame(overview_rows(limits))


def overview_rows(limits: Iterable[dict[str, Limit]]) -> list[dict[str, Any]]:
    """Return the rows of `overview`, without the time that a data frame takes to load."""
    rows = []
    for level in limits:
        for access, limit in level.items():
            size = limit.inputs, limit.labels, limit.n
            low, high = (
                (bounds.curve(name, *size)[0] for name in PAPER[access])
                if access in PAPER and limit.loss == "tv"
                else (np.nan,) * 2
            )
            rows.append(
                {
                    "access": access,
                    "n": limit.n,
                    "inputs": limit.inputs,
                    "labels": limit.labels,
                    "paper_lower": low,
                    "lower": limit.lower,
                    "upper": limit.upper,
                    "paper_upper": high,
                    "exact": limit.exact,
                    "reference": limit.reference,
                }
            )
    return rows
