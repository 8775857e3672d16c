"""How loose the theory was and who attains the limit: two pictures of the minimax risks of every
access level.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures, students, teachers
from kt_theory.exact.cost import NoExactRisk
from kt_theory.limits.bias import largest_bias
from kt_theory.limits.limit import Limit
from kt_theory.output import refuse_unwritable, write_bytes, write_table
from kt_theory.overview import limits_at, overview
from kt_theory.students.risk import exact_risk
from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    import pandas as pd

INPUTS, LABELS = 10, 10
SIZES = tuple(sorted({round(x) for x in np.geomspace(1, 10**7, 22)}))
LOOSENESS_SHAPES = ((1, 10), (1, 100), (10, 10), (100, 25), (1000, 10))
_LOOSENESS_HEAD = (
    "# How loose are the bounds?\n\n"
    "Upper bound over lower bound on the minimax risk: the paper's theorems in mean, and this "
    "package's limits. `-` where the\npaper's two theorems do not both apply. "
    "`kt-theory reproduce --limits` writes this table."
)
INSTANCES = {"hard": "instance1", "partial": "instance2", "soft": "instance3"}
STUDENTS = {
    level: tuple(one.name for one in students.STUDENTS.values() if one.access.name == level)
    for level in INSTANCES
}
_TITLES = {"hard": "hard labels", "partial": "partial soft labels", "soft": "soft labels"}
_PAPER_UPPER: dict[str, Any] = {"color": "#666666", "linestyle": figures.DASHED}
_PAPER_LOWER: dict[str, Any] = {"color": "#666666", "linestyle": figures.DOTTED}
_PRICE_STYLE = {
    "hard": ("#0072B2", "o", "hard labels"),
    "partial": ("#009E73", "^", "partial: probability of the sampled label"),
    "top_k(1)": ("#E69F00", "s", "and of the most probable label"),
    "top_k(5)": ("#56B4E9", "v", "and of the five most probable labels"),
    "soft": ("#CC3377", "D", "soft: all probabilities"),
}


def reproduce(out: Path, *, sizes: tuple[int, ...] = SIZES, progress: bool = True) -> list[Path]:
    """Draw the limits of every access level over n into the folder `out` and return the files
    written.

    `limits`: the paper's bounds, the minimax risk between them, and the exact risks of the paper's
    students on the worst teachers known and on the paper's instances. `price_of_access`: the
    minimax risk of all levels at equal n. Each as PNG and SVG with its data as CSV. `looseness`:
    upper over lower bound, the paper's and this package's, as CSV and Markdown. Nothing here is
    random.

    Parameters
    ----------
    out : Path
        Made if it is not there.
    sizes : tuple of int
        The numbers of samples.
    progress : bool
        Show a bar on a terminal.
    """
    import pandas as pd
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    names = ("limits", "price_of_access")
    suffixes = (".png", ".svg")
    refuse_unwritable(out / f"{name}{suffix}" for name in names for suffix in (".csv", *suffixes))
    refuse_unwritable((out / "looseness.csv", out / "looseness.md"))
    found = []
    rows: list[dict[str, Any]] = []
    for n in tqdm(sizes, unit="n", delay=2, disable=None if progress else True):
        found.append(limits_at(INPUTS, LABELS, n))
        rows += student_risks(n, found[-1])
    limits, risks = overview(found), pd.DataFrame(rows)
    written = [
        write_table(limits, out / "price_of_access.csv"),
        write_table(limits.merge(risks, on=["access", "n"], how="inner"), out / "limits.csv"),
    ]
    table = looseness()
    written.append(write_table(table, out / "looseness.csv"))
    written.append(write_bytes(out / "looseness.md", _as_markdown(table).encode("utf-8")))
    with figures.style():
        drawn = _draw_limits(limits, risks), _draw_price(limits)
        for name, figure in zip(names, drawn, strict=True):
            written += [figures.write(figure, out / f"{name}{suffix}") for suffix in suffixes]
    return written


def looseness() -> pd.DataFrame:
    """Return how far apart upper and lower bounds are, the paper's and this package's, at 20 points
    (S, A, n).

    Returns
    -------
    DataFrame, one row per point: inputs, labels, n, and for each access level the ratios
    upper/lower `paper` (NaN outside the theorems' regime) and `here` (1 where the minimax risk is
    exact).
    """
    import pandas as pd

    rows = []
    for inputs, labels in LOOSENESS_SHAPES:
        for times in (1, 10, 100, 1000):
            n = times * inputs * labels
            table = overview([limits_at(inputs, labels, n, top=())]).set_index("access")
            row: dict[str, Any] = {"inputs": inputs, "labels": labels, "n": n}
            for access in STUDENTS:
                level = table.loc[access]
                low, high = level["lower"], level["upper"]
                row[f"{access}: paper"] = level["paper_upper"] / level["paper_lower"]
                row[f"{access}: here"] = high / low if low > 0 else 1.0
            rows.append(row)
    return pd.DataFrame(rows)


def _as_markdown(table: pd.DataFrame) -> str:
    """The table for people: `-` where the paper's theorems do not both apply."""
    cells = [["S", "A", "n", *table.columns[3:]], ["---:"] * table.shape[1]]
    for row in table.itertuples(index=False):
        cells.append([*(f"{x:,}" for x in row[:3]), *map(_ratio, row[3:])])
    lines = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([_LOOSENESS_HEAD, "", *lines, ""])


def _ratio(value: float) -> str:
    if np.isnan(value):
        return "-"
    return "exact" if value == 1.0 else f"{value:.4g}"


def student_risks(n: int, limits: dict[str, Limit]) -> list[dict[str, Any]]:
    """Return the exact risks of the paper's students at n, on an instance and on a bad teacher.

    One dict for each student: access, student, n, instance, instance_risk (NaN outside the
    instance's regime) and worst_risk, the largest over the least favourable teachers of all levels,
    the paper's instances at this n, and the teacher of largest bias for ce_ptl (there in the limit
    n -> infinity where no exact value is to be had).
    """
    suspects = {
        access: limit.teacher for access, limit in limits.items() if limit.teacher is not None
    }
    for family in INSTANCES.values():
        if n >= teachers.smallest_n(family, INPUTS, LABELS):
            suspects[family] = getattr(teachers, family)(INPUTS, LABELS, n)
    row = largest_bias(LABELS)[1].pi
    biased = Teacher.from_classes(row, [1.0 / INPUTS], [INPUTS])
    rows = []
    for access, names in STUDENTS.items():
        family = INSTANCES[access]
        for name in names:
            exact = {which: _exact(teacher, name, n) for which, teacher in suspects.items()}
            on_biased = _exact(biased, name, n)
            if np.isnan(on_biased):
                on_biased = float(exact_risk(biased, name, np.inf))
            rows.append(
                {
                    "access": access,
                    "student": name,
                    "n": n,
                    "instance": family,
                    "instance_risk": exact.get(family, np.nan),
                    "worst_risk": np.nanmax([on_biased, *exact.values()]),
                }
            )
    return rows


def _exact(teacher: Teacher, name: str, n: int) -> float:
    try:
        return float(exact_risk(teacher, name, n))
    except NoExactRisk:
        return np.nan


def _draw_limits(limits: Any, risks: Any) -> Any:
    figure, grid = figures.canvas(1, 3, width=12, height=4.6)
    for axes, (access, names) in zip(grid.flat, STUDENTS.items(), strict=True):
        level = limits[limits["access"] == access]
        n, low, high = level["n"], level["lower"], level["upper"]
        axes.plot(n, level["paper_upper"], linewidth=1.0, **_PAPER_UPPER)
        axes.plot(n, level["paper_lower"], linewidth=1.2, **_PAPER_LOWER)
        axes.fill_between(n, low, high, color="black", alpha=0.3, linewidth=0)
        axes.plot(n, high, color="black", linewidth=1.0)
        axes.plot(n, low, color="black", linewidth=1.0)
        for name in names:
            rows = risks[risks["student"] == name]
            colour, marker, _ = figures.STUDENT_STYLE[name]
            style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 0}
            axes.plot(rows["n"], rows["instance_risk"], markerfacecolor="white", **style)
            axes.plot(rows["n"], rows["worst_risk"], **style)
        if access == "partial":
            axes.axhline(largest_bias(LABELS)[0], linewidth=1, **figures.BIAS)
        axes.set(xlabel="n", ylabel="risk, E TV", xscale="log", yscale="log")
        axes.set(ylim=(low.min() / 5, 3.0))
        axes.set_title(f"{_TITLES[access]}: S = {INPUTS}, A = {LABELS}", loc="left")
    _limits_legend(figure)
    return figure


def _limits_legend(figure: Any) -> None:
    from matplotlib.patches import Patch

    band = "minimax risk (between proved bounds)"
    handles: list[Any] = [
        Patch(facecolor="black", alpha=0.3, edgecolor="black", label=band),
        figures.legend_line("the paper's upper bound", **_PAPER_UPPER),
        figures.legend_line("the paper's lower bound", **_PAPER_LOWER),
        figures.legend_line("largest bias of CE_ptl", **figures.BIAS),
    ]
    for name, (colour, marker, label) in figures.STUDENT_STYLE.items():
        style = {"color": colour, "marker": marker, "linewidth": 0, "gid": name}
        handles.append(figures.legend_line(label.split(" (")[0], **style))
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    note = (
        "Filled markers: exact risk of the student on the worst teacher known for it at this n; "
        "open markers: on the paper's instance for this level (Instance 1, 2, 3), where it is "
        "defined and not the worst. A student whose filled markers lie on the black band attains "
        "the limit."
    )
    figures.caption(figure, note)


def _draw_price(limits: Any) -> Any:
    figure, grid = figures.canvas(1, 1, width=8, height=5.2)
    axes = grid[0, 0]
    for access, (colour, marker, label) in _PRICE_STYLE.items():
        level = limits[limits["access"] == access]
        n, low, high = level["n"], level["lower"], level["upper"]
        axes.fill_between(n, low, high, color=colour, alpha=0.3, linewidth=0)
        style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
        axes.plot(n, np.sqrt(low * high), label=label, **style)
    axes.set(xlabel="n", ylabel="minimax risk, E TV", xscale="log", yscale="log")
    axes.set_title(f"Price of access: S = {INPUTS}, A = {LABELS}", loc="left")
    axes.legend(loc="lower left")
    note = (
        "Bands lie between proved bounds; lines are their geometric means. Soft labels are exact."
    )
    figures.caption(figure, note)
    return figure
