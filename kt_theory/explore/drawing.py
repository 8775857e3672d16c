"""The page's figures, as Plotly reads them: plain dicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kt_theory.explore.questions import Curve
from kt_theory.explore.state import State
from kt_theory.figures.looks import looks
from kt_theory.limits.limit import Limit
from kt_theory.planner import words

_SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "*": "star",
}
"""matplotlib's markers as Plotly calls them."""
_DASHES = {"hard": "solid", "partial": "dash", "soft": "dot"}
_GREY = "#666666"
_SMALLEST = 1e-6
"""Risks below are drawn at the floor."""


def limits_figure(state: State, limits: Mapping[str, list[Limit]]) -> dict[str, Any]:
    """Return the limits over n: a band from the proved lower to the upper value of each level."""
    traces: list[dict[str, Any]] = []
    look_of = looks(list(limits), "access")
    for level, found in limits.items():
        drawn = [limit for limit in found if limit.lower > 0.0]
        colour = look_of[level].colour
        line = {"color": colour, "width": 2, "dash": _DASHES.get(level, "dashdot")}
        same = _trace(words.name(level), level, {"mode": "lines", "line": line})
        n = [limit.n for limit in drawn]
        lower = {"x": n, "y": [limit.lower for limit in drawn], "showlegend": False}
        upper = {"x": n, "y": [limit.upper for limit in drawn], "showlegend": bool(drawn)}
        lower["hovertemplate"] = "n = %{x:,}: at least %{y:.4g}"
        upper["hovertemplate"] = "n = %{x:,}: at most %{y:.4g}"
        traces += [same | lower, same | upper | {"fill": "tonexty", "fillcolor": f"{colour}33"}]
    ends = min(*state.grid, state.n), max(*state.grid, state.n)
    figure = _figure(traces, ends, _floor(traces), "least worst-case risk")
    mark = {"color": _GREY, "width": 1, "dash": "dash"}
    upright = {"type": "line", "x0": state.n, "x1": state.n, "y0": 0, "y1": 1, "yref": "paper"}
    figure["layout"]["shapes"] = [upright | {"line": mark}]
    return figure


def risks_figure(
    state: State,
    curves: Mapping[str, Curve],
    copies: Mapping[str, list[tuple[int, float]]],
) -> dict[str, Any]:
    """Return the students' risks on the teacher over n, and the copies of the transfer set in hand:
    those without a loss are arrows at the floor.
    """
    look_of = looks(list(dict.fromkeys((*curves, *copies))))
    lines = []
    for name, curve in curves.items():
        look = {"mode": "lines", "line": {"color": look_of[name].colour, "width": 2}}
        points = {"x": list(curve.n), "y": [risk if risk > 0 else None for risk in curve.risk]}
        line = _trace(name, name, look) | points
        lines.append(line | {"hovertemplate": "n = %{x:,}: risk %{y:.4g}"})
    seen = {name: [point for point in found if point[0] > 0] for name, found in copies.items()}
    floor = _floor([*lines, *({"y": [tv for _, tv in found]} for found in seen.values())])
    marks = []
    for name, found in seen.items():
        colour, marker = look_of[name].colour, look_of[name].marker
        symbols = ["arrow-down" if tv < floor else _SYMBOLS[marker] for _, tv in found]
        look = {"mode": "markers", "marker": {"color": colour, "size": 10, "symbol": symbols}}
        points = {"x": [n for n, _ in found], "y": [max(tv, floor) for _, tv in found]}
        said: dict[str, Any] = {
            "hovertemplate": "n = %{x:,}: TV %{customdata:.4g}",
            "customdata": [tv for _, tv in found],
            "showlegend": name not in curves,
        }
        marks.append(_trace(name, name, look) | points | said)
    ends = min(*state.grid, *state.totals[1:2]), max(*state.grid, state.totals[-1])
    return _figure([*lines, *marks], ends, floor, "risk, and TV of copies")


def _trace(name: str, group: str, look: dict[str, Any]) -> dict[str, Any]:
    """Return a curve that the legend shows and hides with its group."""
    return {"name": name, "legendgroup": group, **look}


def _floor(traces: list[dict[str, Any]]) -> float:
    """Return the lower end of the axis."""
    shown = [y for trace in traces for y in trace["y"] if y is not None and y > _SMALLEST]
    return 0.7 * min(shown, default=0.01)


def _figure(
    traces: list[dict[str, Any]], ends: tuple[int, int], floor: float, title: str
) -> dict[str, Any]:
    """Return a figure with logarithmic axes: n across, risks from the floor to 1."""
    axis = {"type": "log", "gridcolor": "#dddddd", "linecolor": _GREY, "dtick": 1}
    axis |= {"exponentformat": "power"}
    edges = [math.log10(end) for end in ends]
    across = {"title": {"text": "n, pairs"}, "range": [edges[0] - 0.03, edges[1] + 0.03]}
    up = {"title": {"text": title}, "range": [math.log10(floor), 0.05]}
    layout = {
        "xaxis": axis | across,
        "yaxis": axis | up,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "margin": {"l": 60, "r": 12, "t": 12, "b": 48},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222222"},
        "uirevision": "kept",
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}
