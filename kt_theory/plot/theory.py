"""What theory says of the risks of a picture: the paper's bounds, minimax risks, exact risks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import catalogue, figures
from kt_theory.figures.axes import readable
from kt_theory.figures.tables import Picture, log_values
from kt_theory.minimax import minimax_risk
from kt_theory.study import bound_lines
from kt_theory.validation import entries_of, unknown_name

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("paper", "minimax", "exact")
_BELOW, _ABOVE = 30.0, 10.0
"""How far theory may stretch the axis of risks, as multiples of its ends."""
_EXACT: dict[str, Any] = {"color": "black", "linewidth": 0.8}
_SIZE = ("inputs", "labels")


def asked_theory(theory: Any) -> list[str]:
    """Return the kinds of theory that are asked for, each once."""
    if theory is None:
        return []
    wanted = [theory] if isinstance(theory, str) else entries_of(theory, "theory")
    for kind in wanted:
        if kind not in KINDS:
            raise unknown_name("theory", kind, KINDS)
    return list(dict.fromkeys(wanted))


def draw_theory(picture: Picture, wanted: list[str]) -> list[Any]:
    """Draw what theory says into each panel, and return the entries for the legend."""
    entries: dict[str, Any] = {}
    for axes, part, curves in zip(picture.axes, picture.parts, picture.curves, strict=True):
        values: list[np.ndarray] = []
        colours = {curve.label: curve.look.colour for curve in curves}
        for kind in wanted:
            draw = {"paper": _paper, "minimax": _minimax, "exact": _exact}[kind]
            for handle, drawn in draw(axes, part, colours):
                entries[handle.get_label()] = handle
                values.append(drawn)
        if values and log_values(part):
            _stretch(axes, np.concatenate(values))
    return list(entries.values())


def _paper(axes: Any, part: pd.DataFrame, colours: dict[str, str]) -> list[Any]:
    _refuse_sizes(part, "paper")
    if "loss" in part and part["loss"].iloc[0] != "tv":
        return []
    before = len(axes.lines)
    bound_lines(axes, part)
    values = [np.asarray(line.get_ydata()) for line in axes.lines[before:]]
    if not values:
        return []
    every = np.concatenate(values)
    style: dict[str, Any] = {"color": "#666666", "linewidth": 0.9}
    upper = figures.legend_line("upper bound, worst teacher", linestyle=figures.DASHED, **style)
    lower = figures.legend_line("lower bound, worst teacher", linestyle=figures.DOTTED, **style)
    return [(upper, every), (lower, every)]


def _minimax(axes: Any, part: pd.DataFrame, colours: dict[str, str]) -> list[Any]:
    _refuse_sizes(part, "minimax")
    found = []
    for access, rows in part.groupby("access", sort=False):
        n, lower, upper = _limits(str(access), rows)
        own = figures.ACCESS_STYLE.get(str(access))
        of_student = colours.get(str(rows["student"].iloc[0]), "#555555")
        colour = own[0] if own else of_student
        there = np.isfinite(upper) & (upper > 0)
        if not there.any():
            continue
        line: dict[str, Any] = {"color": colour, "linestyle": "-.", "linewidth": 1.0}
        axes.fill_between(n, lower, upper, color=colour, alpha=0.15, linewidth=0, zorder=1)
        axes.plot(n, np.where(there, upper, np.nan), zorder=1.5, **line)
        handle = figures.legend_line(f"minimax risk, {access}", **line)
        found.append((handle, np.concatenate([lower, upper[there]])))
    return found


def _limits(access: str, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n and the minimax risks there, from the table or computed."""
    from tqdm import tqdm

    places = rows.drop_duplicates("n").sort_values("n")
    names = ["minimax_lower", "minimax_upper"]
    if set(names) <= set(places) and places[names].notna().all(axis=None):
        n, lower, upper = places[["n", *names]].to_numpy(dtype=np.float64).T
        return n, lower, upper
    inputs, labels = (int(places[name].iloc[0]) for name in _SIZE)
    loss = str(places["loss"].iloc[0]) if "loss" in places else "tv"
    level = catalogue.level(access, inputs)
    sizes = [int(n) for n in places["n"]]
    bar = tqdm(sizes, desc=f"limits, {access}", delay=2, disable=None, leave=False)
    found = [minimax_risk(level, inputs, labels, n, loss=loss) for n in bar]
    ends = ([one.lower for one in found], [one.upper for one in found])
    return np.array(sizes, dtype=np.float64), np.array(ends[0]), np.array(ends[1])


def _exact(axes: Any, part: pd.DataFrame, colours: dict[str, str]) -> list[Any]:
    if "exact" not in part:
        raise ValueError(
            "frame has no column 'exact': theory='exact' draws it; sweep.load has one, or "
            "frame['exact'] = kt.exact_risk(teacher, 'ce_sgl', frame['n']) of one student's rows"
        )
    drawn = []
    for _, rows in part.groupby("student", sort=False):
        ordered = rows.sort_values("n")
        values = ordered["exact"].to_numpy(dtype=np.float64)
        there = np.isfinite(values) & (values > 0)
        axes.plot(ordered["n"], np.where(there, values, np.nan), zorder=3.5, **_EXACT)
        drawn.append(values[there])
    return [(figures.legend_line("exact risk", **_EXACT), np.concatenate(drawn))]


def _refuse_sizes(part: pd.DataFrame, kind: str) -> None:
    for name in (*_SIZE, "access"):
        if name not in part:
            raise ValueError(f"frame has no column {name!r}: theory={kind!r} needs it; omit theory")
    for name in _SIZE:
        if part[name].nunique() > 1:
            values = ", ".join(f"{value:g}" for value in sorted(part[name].unique())[:5])
            raise ValueError(
                f"frame holds {name} = {values}: theory={kind!r} is of one size; keep the rows of "
                f"one, or give each a panel, panel={name!r} of kt.plot.sweep"
            )


def _stretch(axes: Any, values: np.ndarray) -> None:
    """Let the axis of risks reach what theory says, within reason."""
    low, high = axes.get_ylim()
    there = values[np.isfinite(values) & (values > 0)]
    if not len(there):
        return
    bottom = min(low, max(float(there.min()) / 1.4, low / _BELOW))
    top = max(high, min(float(there.max()) * 1.4, 1.2, high * _ABOVE))
    axes.set_ylim(bottom, top)
    readable(axes.yaxis, bottom, top)
