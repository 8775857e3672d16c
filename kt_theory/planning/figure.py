"""The planner's picture: total variation against cost, or against the number of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.planning.estimate import ESTIMATED, WEAK
from kt_theory.planning.sizes import plans

if TYPE_CHECKING:
    import pandas as pd

FACTORS = (4.0, 0.25)
"""The picture shows what these multiples of the total variation asked for take, beside it."""

_STYLES = {
    "hard": ("#0072B2", "o"),
    "partial": ("#009E73", "^"),
    "soft": ("#CC3377", "D"),
    "gradient": ("#000000", "*"),
}
_TOP = [("#E69F00", "s"), ("#8C564B", "P"), ("#56B4E9", "v"), ("#555555", "X"), ("#F0E442", "p"), ("#D55E00", "h")]
"""Colours after Okabe and Ito, which colour-blind readers can tell apart; the markers say the same again."""


def plan_curves(frame: pd.DataFrame, inputs: Any, labels: Any, tv: float, **options: Any) -> pd.DataFrame:
    """Return the tables of `plan` at a few total variations around `tv`, one below the other, with a column tv.

    Parameters are those of `plan`, and its table at `tv`; total variations of 1 or more are left out.
    """
    import pandas as pd

    others = [tv * factor for factor in FACTORS if tv * factor < 1.0]
    tables = [frame, *plans(others, inputs, labels, **options)]
    return pd.concat([table.assign(tv=at) for table, at in zip(tables, [tv, *others], strict=True)], ignore_index=True)


def draw_plan(curves: pd.DataFrame, text: str, tv: float) -> Any:
    """Return a log-log picture of a table of `plan_curves`: total variation against cost, without prices against n.

    A point is a number of queries that suffices; a bar reaches down to the number below which none does, or spans the
    interval of an estimate. Levels that can never reach it, or have no price, are named below the picture. The dashed
    line is `tv`.
    """
    from matplotlib.lines import Line2D

    column = "cost" if "cost" in curves else "n"
    at = curves[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    left, right = _bars(curves)
    shown = curves.assign(at=at, left=at * left, right=at * right)[np.isfinite(at) & (at > 0)]
    if shown.empty:
        raise ValueError(f"nothing to draw on logarithmic axes: no level has a {column} above 0; leave the plot out")
    figure, grid = figures.canvas(1, 1, width=7.5, height=5.0)
    axes = grid[0, 0]
    styles = _styles(list(curves["access"].drop_duplicates()))
    axes.axhline(tv, color="#666666", linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)
    absent = []
    for place, (name, (colour, marker)) in enumerate(styles.items()):
        rows = shown[shown["access"] == name].sort_values("at")
        if rows.empty:
            absent.append(f"{name} ({_why(curves[curves['access'] == name])})")
            continue
        # Markers shrink, so that of points in one place all can be seen.
        size = 11.0 - 7.0 * place / max(len(styles) - 1, 1)
        axes.plot(rows["at"], rows["tv"], color=colour, marker=marker, markersize=size, linewidth=1.4, label=name)
        axes.hlines(rows["tv"], rows["left"], rows["right"], color=colour, linewidth=4, alpha=0.3, zorder=1.5)
    axes.set(xlabel="cost" if column == "cost" else "queries", ylabel="total variation", xscale="log", yscale="log")
    wanted = np.unique(curves["tv"])
    axes.set_yticks(wanted, [f"{value:.3g}" for value in wanted])
    axes.minorticks_off()
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.06, y=0.08)
    if shown["at"].max() < 10 * shown["left"].where(shown["left"] > 0, shown["at"]).min():
        _plain_ticks(axes, shown)
    figures.title(axes, text)
    line = Line2D([], [], color="#666666", linewidth=0.9, linestyle=(0, (5, 3)), label=f"asked for: {tv:.4g}")
    note = "Points: queries that suffice. Bars reach down to the number below which no student succeeds, if proved."
    if curves["certificate"].str.startswith(ESTIMATED).any():
        note = "Points: further queries that are estimated to suffice, not proved. Bars: 90 % intervals."
    if absent:
        note += f" Not drawn: {', '.join(absent)}."
    figures.legend_and_caption(figure, axes, note, bounds=False, extra=(line,))
    return figure


def _bars(curves: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the bars, divided by n: low and high, or lower and n; 1 where there is no such bound."""
    if "low" in curves:
        return _over_n(curves, "low"), _over_n(curves, "high")
    left = np.minimum(_over_n(curves, "lower"), 1.0)
    return left, np.ones(len(left))


def _over_n(curves: pd.DataFrame, column: str) -> np.ndarray:
    n, end = (curves[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan) for name in ("n", column))
    with np.errstate(invalid="ignore", divide="ignore"):
        share: np.ndarray = np.where((end > 0) & (n > 0), end / n, 1.0)
    return share


def _styles(names: list[str]) -> dict[str, tuple[str, str]]:
    others = [name for name in names if name not in _STYLES]
    return {name: _STYLES.get(name) or _TOP[others.index(name) % len(_TOP)] for name in names}


def _why(rows: pd.DataFrame) -> str:
    if rows["n"].isna().all():
        for word in ("impossible", WEAK.rstrip(": "), "not estimated"):
            if rows["reason"].str.contains(word).all():
                return word
        return "beyond 2^53"
    return "no query needed" if (rows["n"].fillna(1) == 0).all() else "no price"


def _plain_ticks(axes: Any, shown: pd.DataFrame) -> None:
    """Put a few plain numbers on an axis shorter than a decade, where powers of ten would leave it bare."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    ticks = np.geomspace(shown["left"].min(), shown["at"].max(), 5)
    axes.xaxis.set_major_locator(FixedLocator([float(f"{tick:.2g}") for tick in ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
