"""The planner's picture: total variation against cost, or against the number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.planning import plan

if TYPE_CHECKING:
    import pandas as pd

FACTORS = (4.0, 2.0, 1.0, 0.5)
"""The picture shows what these multiples of the total variation asked for take."""


def plan_curves(
    inputs: Any, labels: Any, tv: float, prices: Mapping[str, Any] | None = None, **options: Any
) -> pd.DataFrame:
    """Return the tables of `plan` at a few total variations around `tv`, one below the other, with a column tv.

    Parameters are those of `plan`; total variations of 1 or more are left out.
    """
    import pandas as pd

    wanted = [tv * factor for factor in FACTORS if tv * factor < 1.0]
    return pd.concat(
        [plan(inputs, labels, level, prices=prices, **options).assign(tv=level) for level in wanted], ignore_index=True
    )


def draw_plan(curves: pd.DataFrame, text: str) -> Any:
    """Return a log-log picture of a table of `plan_curves`: tv against cost, without prices against n."""
    column = "cost" if "cost" in curves else "n"
    values = curves[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    shown = curves.assign(at=values)[np.isfinite(values) & (values > 0)]
    if shown.empty:
        raise ValueError(f"nothing to draw on logarithmic axes: no level has a {column} above 0; leave the plot out")
    figure, grid = figures.canvas(1, 1, width=7.5, height=5.0)
    axes = grid[0, 0]
    names = list(shown["access"].drop_duplicates())
    for name in names:
        rows = shown[shown["access"] == name].sort_values("at")
        colour, marker, _ = figures.student_style(name, names)
        axes.plot(rows["at"], rows["tv"], color=figures.ACCESS_COLOUR.get(name, colour), marker=marker, label=name)
    axes.set(xlabel=column, ylabel="total variation that it suffices for", xscale="log", yscale="log")
    figures.title(axes, text)
    figures.legend_and_caption(
        figure, axes, "Every point is a number of queries that suffices, as proved in the table.", bounds=False
    )
    return figure
